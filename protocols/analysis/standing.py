"""On what a result stands: what may not be used of a record, and what an unfit rig makes of a check."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace

from data.checks import Check, Exclusion, Limits, Verdict
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.recurring_falls import steps

ON_BALANCE = (
    "rig-check",
    "data-complete",
    "excluded",
    "recurring-falls",
    "air-density",
    "evaporation",
    "blanks-agree",
    "balance-alive",
    "no-air",
    "outlet-pressure",
    "bath-temperature",
)
"""Checks of the rig on which a result of the balance depends."""

ON_WITNESSED = (*ON_BALANCE, "sensor-balance-ratio", "ratio-steady")
"""Those on which a mean depends: a sensor that disagrees tells of fluid that went elsewhere."""


def on_suitability(check: Check, bad: AbstractSet[str]) -> Check:
    """A number that stands on an unfit rig is kept, and says nothing of the pump."""
    blamed = sorted(bad & set(check.depends_on))
    if not blamed:
        return check
    note = f"{check.note}; " if check.note else ""
    return replace(check, verdict=Verdict.INVALID, note=f"{note}the rig was not fit: {', '.join(blamed)}")


def exclusions(record: GravimetricRecord) -> tuple[Exclusion, ...]:
    """What may not be used: falls of the mass, and what a named person took out with a reason."""
    found = [gap for gap in steps(record) if not any(gap.from_s < a.to_s and gap.to_s > a.from_s for a in record.away)]
    for event in record.run.records("exclusion"):
        what = event.fields
        found.append(Exclusion(what["from_s"], what["to_s"], what["reason"], what["person"]))
    return tuple(found)


def as_limits(declared: object) -> Limits | None:
    """Limits in percent as a model file declares them; None for what it does not."""
    if not isinstance(declared, dict):
        return None
    return Limits(declared["low_percent"], declared["high_percent"], source(declared))


def source(declared: dict[str, object]) -> str:
    """Where a declared limit comes from."""
    return f"{declared['source']}, revision {declared['revision']}"


def of_a_run_cut_off(check: Check) -> Check:
    """A limit that is clearly broken is broken; anything else would have needed the whole run."""
    if check.suitability or check.verdict in (Verdict.FAIL, Verdict.NOT_MEASURED):
        return check
    note = f"{check.note}; " if check.note else ""
    return replace(check, verdict=Verdict.NOT_MEASURED, note=f"{note}the run ended early")
