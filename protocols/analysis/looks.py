"""Looks at a run that goes on: when, and how far beyond a limit a result must be to end the run as a clear fail.

Whoever judges a growing record again and again finds a fail sooner or later (Armitage, McPherson and Rowe, J. R. Stat.
Soc. A 132 (1969) 235).  So the moments are declared before the start and share one probability by Bonferroni's
inequality, which holds however the looks hang together.  Boundaries that spend that probability unevenly, such as
O'Brien and Fleming's (Biometrics 35 (1979) 549) or Lan and DeMets' (Biometrika 70 (1983) 659), need independent
increments; the looks of one run share their blank, density and adjustment, and have none.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.analysis.budget import coverage_factor

HOUR_S = 3600.0

SHARES = (1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0, 3.0 / 4.0)
"""Parts of a phase after which it is looked at."""

SHORTEST_S = HOUR_S
"""Nothing is concluded from less than this."""

RISK = 0.01
"""The most probability with which all looks of a run together end that of a pump just at its limit."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a run found.

    Attributes
    ----------
    check : name of what was judged.
    value, unit : of it; the value is None where it could not be measured.
    beyond : how far the value is outside its limits, and over the latest part of the record if that is less; None
        where nothing can be said.
    needed : how far it would have to be.
    stop : whether the record so far is a clear fail.
    why : what kept it from being one, in words; "" where the numbers tell.
    """

    check: str
    value: float | None
    unit: str
    beyond: float | None = None
    needed: float | None = None
    stop: bool = False
    why: str = ""


def instants_s(for_s: float) -> tuple[float, ...]:
    """Moments of the looks at a phase, in s from its beginning; none where it is too short."""
    return tuple(share * for_s for share in SHARES if share * for_s >= SHORTEST_S)


def factor(dof: float, looks: int, risk: float) -> float:
    """By how many standard uncertainties a value must be beyond a limit, one-sided, at each of some looks.

    Parameters
    ----------
    dof : degrees of freedom of the standard uncertainty.
    looks, risk : how many looks share which probability.
    """
    return coverage_factor(dof, 1.0 - 2.0 * risk / looks)
