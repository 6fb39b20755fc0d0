"""Pumps drawn around their limit: a quarter a little inside, a quarter a little outside, the rest anywhere else.

The stratum that a pump is counted in follows from its true error, which the plant tells, and the run's own U; the aim
only makes sure that each gets its share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from bench.qualify.bounds import most_share
from bench.qualify.outcome import FAILS, PASSES

Stratum = Literal["inside", "outside", "rest"]

REACH = 2.0
"""The rest is drawn up to so many limits."""

ALLOWED = 1.0 / 50.0
"""So many of the pumps near the limit may be judged wrongly; none of the rest."""


def aim(seed: int) -> Stratum:
    """Stratum that the pump of a seed is to fall in."""
    strata: tuple[Stratum, ...] = ("inside", "outside", "rest", "rest")
    return strata[seed % 4]


def wanted_error(seed: int, limit: float, expanded: float) -> float:
    """True mean flow error at which to aim, in percent, of either sign.

    Parameters
    ----------
    limit, expanded : limit of the mean flow error and its U, in percent.
    """
    draw = Random(f"pump {seed}")  # seeded by the text: the same on every machine
    side, share = draw.choice((-1.0, 1.0)), draw.random()
    near = 2.0 * expanded
    if (stratum := aim(seed)) != "rest":
        return side * (limit - near * share if stratum == "inside" else limit + near * share)
    # On a line from 0 to REACH limits, without what is near the limit.
    error = share * (REACH * limit - 2.0 * near)
    return side * (error if error < limit - near else error + 2.0 * near)


def stratum_of(true_error: float, limit: float, expanded: float) -> Stratum:
    """Where a pump is counted, by its true error."""
    over = abs(true_error) - limit
    if abs(over) > 2.0 * expanded:
        return "rest"
    return "inside" if over <= 0.0 else "outside"


@dataclass(frozen=True, slots=True)
class Count:
    """Pumps of one stratum: how many, how many judged wrongly, how many without a verdict."""

    stratum: Stratum
    pumps: int
    wrong: int
    no_verdict: int

    @property
    def allowed(self) -> int:
        """How many may be wrong."""
        return 0 if self.stratum == "rest" else math.floor(ALLOWED * self.pumps)

    @property
    def holds(self) -> bool:
        """Whether no more are wrong than may be."""
        return self.wrong <= self.allowed

    @property
    def at_most(self) -> float:
        """Largest share of wrong ones that the count leaves possible."""
        return most_share(self.wrong, self.pumps)


def count(trials: Iterable[Mapping[str, Any]]) -> list[Count]:
    """Counts by stratum of the trials that tell a true error."""
    strata: tuple[Stratum, ...] = ("inside", "outside", "rest")
    rows: dict[Stratum, list[tuple[bool, bool]]] = {stratum: [] for stratum in strata}
    for trial in trials:
        drawn = trial.get("drawn") or {}
        if not drawn:
            continue
        stratum = stratum_of(drawn["true"], drawn["limit"], drawn["U"])
        inside = abs(drawn["true"]) <= drawn["limit"]
        verdict = str(trial["verdict"])
        # Near the limit a conditional verdict is the right one; a clear one for the other side is not.
        near = stratum != "rest"
        against = FAILS[:1] if near else FAILS
        for_it = PASSES[:1] if near else PASSES
        wrong = verdict in (against if inside else for_it)
        rows[stratum].append((wrong, verdict not in (*PASSES, *FAILS)))
    return [
        Count(stratum, len(found), sum(wrong for wrong, _ in found), sum(none for _, none in found))
        for stratum, found in rows.items()
    ]
