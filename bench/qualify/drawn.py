"""Pumps drawn around their limit: a quarter a little inside, a quarter a little outside, the rest anywhere else.

The stratum that a pump is counted in follows from its true error, which the plant tells, and the run's own U; the aim
only makes sure that each gets its share.  What is judged is the verdict of the mean flow error: another check that
fails the run would hide a mean that was passed wrongly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from bench.qualify.bounds import most_share
from bench.qualify.outcome import FAILS, PASSES
from data.checks import Limits

Stratum = Literal["inside", "outside", "rest"]

STRATA: tuple[Stratum, ...] = ("inside", "outside", "rest")
NEAR: tuple[Stratum, ...] = ("inside", "outside")
"""Those near a limit."""

REACH = 2.0
"""The rest is drawn up to so many limits."""

ALLOWED = 1.0 / 50.0
"""So many of the pumps near the limit may be judged wrongly; none of the rest."""

UNJUDGED = 1.0 / 25.0
"""So many of the pumps near the limit may be left without a verdict; none of the rest."""

HIT = 0.5
"""So many of the pumps that were aimed near the limit have to be counted there."""


def aim(seed: int) -> Stratum:
    """Stratum that the pump of a seed is to fall in."""
    strata: tuple[Stratum, ...] = ("inside", "outside", "rest", "rest")
    return strata[seed % 4]


def wanted_error(seed: int, limits: Limits, expanded: float) -> float:
    """True mean flow error at which to aim, in percent, on either side that has a limit.

    Parameters
    ----------
    limits, expanded : limits of the mean flow error and its U, in percent.
    """
    draw = Random(f"pump {seed}")  # seeded by the text: the same on every machine
    side, share = draw.choice((-1.0, 1.0)), draw.random()
    limit = limits.low if side < 0.0 else limits.high
    if limit is None:
        side, limit = -side, limits.high if side < 0.0 else limits.low
    assert limit is not None
    out, near = side * limit, 2.0 * expanded  # how far out the limit is, to its own side
    if (stratum := aim(seed)) != "rest":
        return side * (out - near * share if stratum == "inside" else out + near * share)
    # On a line from 0 to REACH limits, without what is near the limit.
    error = share * (REACH * abs(out) - 2.0 * near)
    return side * (error if error < out - near else error + 2.0 * near)


def stratum_of(true_error: float, limits: Limits, expanded: float) -> Stratum:
    """Where a pump is counted, by its true error."""
    over = _over(true_error, limits)
    if abs(over) > 2.0 * expanded:
        return "rest"
    return "inside" if over <= 0.0 else "outside"


def _over(true_error: float, limits: Limits) -> float:
    """How far beyond the nearer limit, negative inside."""
    above = -math.inf if limits.high is None else true_error - limits.high
    below = -math.inf if limits.low is None else limits.low - true_error
    return max(above, below)


def limits_of(drawn: Mapping[str, Any]) -> Limits:
    """Limits of a drawn pump, as its trial keeps them."""
    return Limits(drawn["low"], drawn["high"], "")


def stratum(drawn: Mapping[str, Any]) -> Stratum:
    """Where a drawn pump is counted."""
    return stratum_of(drawn["true"], limits_of(drawn), drawn["U"])


def is_wrong(drawn: Mapping[str, Any]) -> bool:
    """Whether a drawn pump was judged wrongly; near the limit a conditional verdict is right on either side."""
    near = stratum(drawn) in NEAR
    against = FAILS[:1] if near else FAILS
    for_it = PASSES[:1] if near else PASSES
    return drawn["verdict"] in (against if _over(drawn["true"], limits_of(drawn)) <= 0.0 else for_it)


@dataclass(frozen=True, slots=True)
class Count:
    """Pumps of one stratum: how many, how many judged wrongly, how many without a verdict."""

    stratum: Stratum
    pumps: int
    wrong: int
    no_verdict: int

    @property
    def judged(self) -> int:
        """How many have a verdict, of which alone something is proved."""
        return self.pumps - self.no_verdict

    @property
    def allowed(self) -> int:
        """How many may be wrong."""
        return 0 if self.stratum == "rest" else math.floor(ALLOWED * self.judged)

    @property
    def may_be_unjudged(self) -> int:
        """How many may be without a verdict."""
        return 0 if self.stratum == "rest" else math.floor(UNJUDGED * self.pumps)

    @property
    def holds(self) -> bool:
        """Whether no more are wrong, or without a verdict, than may be."""
        return self.wrong <= self.allowed and self.no_verdict <= self.may_be_unjudged

    @property
    def at_most(self) -> float:
        """Largest share of wrong ones that the count leaves possible."""
        return most_share(self.wrong, self.judged)


def count(trials: Iterable[Mapping[str, Any]]) -> list[Count]:
    """Counts by stratum of the trials that tell a true error; those that do not are no matter of a count."""
    rows: dict[Stratum, list[Mapping[str, Any]]] = {each: [] for each in STRATA}
    for trial in trials:
        if drawn := trial.get("drawn"):
            rows[stratum(drawn)].append(drawn)
    return [
        Count(each, len(found), sum(map(is_wrong, found)), sum(not _is_judged(one) for one in found))
        for each, found in rows.items()
    ]


def _is_judged(drawn: Mapping[str, Any]) -> bool:
    return drawn["verdict"] in (*PASSES, *FAILS)


def are_where_aimed(counts: Iterable[Count], planned: int) -> bool:
    """Whether both sides of the limit were tried by at least half of the pumps that were to try them."""
    pumps = {each.stratum: each.pumps for each in counts}
    aims = [aim(seed) for seed in range(1, planned + 1)]
    return all(pumps.get(near, 0) >= math.floor(HIT * aims.count(near)) for near in NEAR)
