"""Readings that a run lost: how many, of which instrument, and how."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from data.run import Run
from data.samples import Quality
from protocols.analysis.locator.shown import CERTAIN, Shown, clipped

MISSING_SHARE = 0.002
"""A wire loses one reading in some thousands."""

FEWEST_LOSSES, MANY, FEW, LONG_S = 20, 0.4, 3, 2.5
"""Losses are told apart where there are so many: by the share of wrong replies or of instruments without their tare,
by readings that jumped, and by how long they last: an instrument that starts anew takes seconds."""

NO_REPLY, TARED_AGAIN = "no whole reply", "is set again"
"""Words of the drivers' records: nothing, or not all, came in time; a balance was given its tare back."""

MEASURING = ("reference_mass", "flow")


def lost(run: Run) -> Iterator[Shown]:
    """Readings that are missing, instruments that never came back, and how readings were lost."""
    away: dict[str, float] = {}
    for event in run.records("outage"):
        name = str(event.fields["instrument"])
        if event.fields["state"] == "end":
            away.pop(name, None)
        else:
            away.setdefault(name, event.t)
    gone = [at for at in away.values() if at < run.end_s - 1.0]
    yield Shown(
        "silent", "", float(len(gone)), "1", CERTAIN if gone else 0.0, ", ".join(sorted(away)) or "outages",
        high=0.0, at_s=min(gone, default=None),
    )  # fmt: skip
    missing = {
        role: sum(count for _, _, count in run.gaps(role)) / max(len(run.series(role)), 1)
        for role in MEASURING
        if run.has(role)
    }
    if missing:
        worst = max(missing, key=lambda role: missing[role])
        share = missing[worst]
        z = clipped(share / MISSING_SHARE)
        yield Shown("gaps", "", 100.0 * share, "%", z, run.roles[worst], spread=100.0 * MISSING_SHARE)
    yield from _how_lost(run)


def _how_lost(run: Run) -> Iterator[Shown]:
    """How readings were lost, where enough were: no reply or a wrong one, for how long, and what came back untared."""
    told = run.records("outage")
    ends = [float(one.fields["lasted_s"]) for one in told if one.fields["state"] == "end"]
    begins = [str(one.fields["text"]) for one in told if one.fields["state"] == "begin"]
    if len(ends) < FEWEST_LOSSES:
        return
    damaged = sum(NO_REPLY not in text for text in begins) / len(begins)
    untared = sum(TARED_AGAIN in one.text for one in run.records("event")) / len(ends)
    typical_s = float(np.median(ends))
    bad = int(Quality.IMPLAUSIBLE)
    implausible = sum(int(np.count_nonzero(run.series(role).quality & bad)) for role in MEASURING if run.has(role))
    for name, share in (("wrong-replies", damaged), ("untared", untared)):
        z = CERTAIN if share > MANY else 0.0
        yield Shown(name, "", 100.0 * share, "%", z, "outages", high=100.0 * MANY)
    yield Shown("long-losses", "", typical_s, "s", CERTAIN if typical_s > LONG_S else 0.0, "outages", high=LONG_S)
    z = CERTAIN if implausible >= FEW else 0.0
    yield Shown("jumps", "", float(implausible), "1", z, "quality flags", high=float(FEW))
