"""Decision rules: from a value, its uncertainty and its limits to a verdict and a probability of conformity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from data.checks import Check, Limits, Owner, Verdict
from protocols.analysis.budget import Budget, coverage_factor

Kind = Literal["non-binary", "simple acceptance", "guarded acceptance"]


class DecisionError(ValueError):
    """A value, uncertainty or rule with which nothing can be decided."""


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How a result is judged against limits, after ILAC-G8:09/2019.

    Attributes
    ----------
    kind : "non-binary" gives pass, conditional-pass, conditional-fail and fail; "simple acceptance" judges the value
        alone (guard band 0); "guarded acceptance" passes only inside the guard band and fails otherwise.
    guard_factor : guard band over expanded uncertainty, w = guard_factor * U.
    r_max : a measurement whose U is more than this part of the limit is not capable; None lets any measure.
    """

    kind: Kind = "non-binary"
    guard_factor: float = 1.0
    r_max: float | None = 1.0 / 3.0

    def __post_init__(self) -> None:
        if self.kind not in ("non-binary", "simple acceptance", "guarded acceptance"):
            raise DecisionError(
                f'"{self.kind}" is no decision rule; write non-binary, simple acceptance or guarded acceptance'
            )
        if not (math.isfinite(self.guard_factor) and self.guard_factor >= 0.0):
            raise DecisionError(f"a guard band is at least 0 times U, not {self.guard_factor:g} times")
        if self.r_max is not None and not self.r_max > 0.0:
            raise DecisionError(f"r_max is above 0, not {self.r_max:g}; leave it out to judge whatever U is")

    def __str__(self) -> str:
        if self.kind == "simple acceptance":
            return "ILAC-G8 simple acceptance, w = 0"
        guard = "U" if self.guard_factor == 1.0 else f"{self.guard_factor:g} U"
        return f"ILAC-G8 {self.kind}, w = {guard}"


NON_BINARY = DecisionRule()
SIMPLE = DecisionRule("simple acceptance", 0.0)


def judge(
    value: float | None, u: float | None, dof: float, limits: Limits | None, rule: DecisionRule = NON_BINARY
) -> dict[str, Any]:
    """Judge a value; returns the fields of `data.checks.Check` that follow from it.

    Parameters
    ----------
    value : the measured value; None when it could not be measured.
    u : its standard uncertainty in the same unit; None when it is not known.
    dof : effective degrees of freedom of ``u``.
    limits : None when nothing limits the quantity: the value is reported, the check is not-measured.

    Returns
    -------
    dict
        value, standard_uncertainty, degrees_of_freedom, coverage_factor, expanded_uncertainty, limit_low, limit_high,
        limit_source, rule, conformity_probability, verdict: ``Check(name=..., title=..., unit=..., owner=...,
        **judge(...))``.

    Raises
    ------
    DecisionError
        If the value, u or dof is not a number that can be judged.
    """
    if value is not None and not math.isfinite(value):
        raise DecisionError(f"{value} cannot be judged; a value that was not measured is None")
    if u is not None and not (math.isfinite(u) and u >= 0.0):
        raise DecisionError(f"a standard uncertainty is a finite number of at least 0, not {u}")
    if not dof > 0.0:
        raise DecisionError(f"degrees of freedom are above 0, not {dof}")
    k = coverage_factor(dof) if u is not None else None
    expanded = k * u if k is not None and u is not None else None
    fields: dict[str, Any] = {
        "value": value,
        "standard_uncertainty": u,
        "degrees_of_freedom": dof if u is not None else None,
        "coverage_factor": k,
        "expanded_uncertainty": expanded,
        "limit_low": limits.low if limits else None,
        "limit_high": limits.high if limits else None,
        "limit_source": limits.source if limits else "",
        "rule": str(rule) if limits else "",
        "conformity_probability": None,
        "verdict": Verdict.NOT_MEASURED,
    }
    if value is not None and u is not None and expanded is not None and limits is not None:
        fields["conformity_probability"] = conformity_probability(value, u, dof, limits)
        fields["verdict"] = _verdict(value, expanded, limits, rule)
    return fields


def result(
    name: str,
    title: str,
    value: float | None,
    budget: Budget,
    limits: Limits | None,
    *,
    owner: Owner = "dut",
    depends_on: tuple[str, ...] = (),
    note: str = "",
    optional: bool | None = None,
    rule: DecisionRule = NON_BINARY,
) -> Check:
    """A value with its budget, judged.

    Parameters
    ----------
    value : in the unit of the budget; None when it could not be measured.
    limits : None when nothing limits the quantity.
    optional : None for a result that counts where something limits it, and is only shown where nothing does.
    """
    return Check(
        name=name,
        title=title,
        unit=budget.unit,
        owner=owner,
        optional=limits is None if optional is None else optional,
        depends_on=depends_on,
        note=note,
        budget=budget.rows(),
        **judge(value, budget.u, budget.dof, limits, rule),
    )


def reported(
    name: str, title: str, value: float | None, unit: str, note: str = "", depends_on: tuple[str, ...] = ()
) -> Check:
    """A number about the pump that nothing limits: it is shown, and no verdict follows from it."""
    return Check(
        name=name,
        title=title,
        value=value,
        unit=unit,
        verdict=Verdict.NOT_MEASURED,
        owner="dut",
        optional=True,
        depends_on=depends_on,
        note=note,
    )


def conformity_probability(value: float, u: float, dof: float, limits: Limits) -> float:
    """Probability that the quantity itself lies within the limits, by Student t (normal for infinite dof).

    Notes
    -----
    JCGM 106:2012, 7.2, with the t distribution of the budget's effective degrees of freedom.
    """
    if u == 0.0:
        return 1.0 if _inside_by(value, limits) >= 0.0 else 0.0
    below_high = 1.0 if limits.high is None else share_below((limits.high - value) / u, dof)
    below_low = 0.0 if limits.low is None else share_below((limits.low - value) / u, dof)
    return max(0.0, below_high - below_low)


def capable(expanded: float, limits: Limits, r_max: float | None) -> bool:
    """Whether U is at most ``r_max`` of the limit.

    The limit is half the width of a two-sided interval, and the distance from 0 of a one-sided limit.
    """
    return r_max is None or expanded <= r_max * limit_size(limits)


def limit_size(limits: Limits) -> float:
    """What an uncertainty is compared with: half of a two-sided interval, a one-sided limit itself."""
    if limits.low is not None and limits.high is not None:
        return (limits.high - limits.low) / 2.0
    return abs(limits.high if limits.high is not None else limits.low or 0.0)


def _verdict(value: float, expanded: float, limits: Limits, rule: DecisionRule) -> Verdict:
    """The zone in which the value lies; a clear fail is one even where the measurement is not capable."""
    inside_by = _inside_by(value, limits)
    guard = rule.guard_factor * expanded
    clear = max(expanded, guard) if rule.kind == "non-binary" else expanded
    if -inside_by > clear:
        return Verdict.FAIL
    if not capable(expanded, limits, rule.r_max):
        return Verdict.NOT_CAPABLE
    if rule.kind != "non-binary":
        return Verdict.PASS if inside_by >= guard else Verdict.FAIL
    if inside_by >= guard:
        return Verdict.PASS
    if inside_by >= 0.0:
        return Verdict.CONDITIONAL_PASS
    return Verdict.CONDITIONAL_FAIL if -inside_by <= guard else Verdict.FAIL


def _inside_by(value: float, limits: Limits) -> float:
    """Distance to the nearer limit, negative outside."""
    to_low = math.inf if limits.low is None else value - limits.low
    to_high = math.inf if limits.high is None else limits.high - value
    return min(to_low, to_high)


def share_below(x: float, dof: float) -> float:
    """P(X <= x) of the standard t distribution."""
    if math.isinf(dof):
        return 0.5 * math.erfc(-x / math.sqrt(2.0))
    from scipy.special import stdtr

    return float(stdtr(dof, x))
