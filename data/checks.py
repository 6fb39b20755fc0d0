"""What an evaluation says: checks with their uncertainty, verdicts, curves, exclusions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from data.samples import FloatArray

Owner = Literal["dut", "catheter", "rig", "record"]


class Verdict(StrEnum):
    """The outcome of a check or of a run, from worst to best."""

    FAIL = "fail"
    INVALID = "invalid"
    NOT_MEASURED = "not-measured"
    NOT_CAPABLE = "not-capable"
    CONDITIONAL_FAIL = "conditional-fail"
    CONDITIONAL_PASS = "conditional-pass"
    PASS = "pass"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Verdict).index(self)

    @property
    def fails(self) -> bool:
        """True where the measured value lies outside its limits, by however little."""
        return self in (Verdict.FAIL, Verdict.CONDITIONAL_FAIL)


class Status(StrEnum):
    """How a run ended; it says nothing of the device under test."""

    COMPLETED = "completed"
    STOPPED_BY_INTERLOCK = "stopped-by-interlock"
    ABORTED = "aborted"
    ERROR = "error"
    INCOMPLETE = "incomplete"


class Origin(StrEnum):
    """Where the data of a run come from; only measured runs can be approved."""

    MEASURED = "measured"
    SIMULATED = "simulated"
    REPLAYED = "replayed"
    IMPORTED = "imported"


REVIEWS = ("unreviewed", "reviewed", "approved", "rejected", "unproven")
"""Where the review of a run can stand; "unproven" where nobody vouches for the file or a signature."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one quantity with their source; an open side is None."""

    low: float | None
    high: float | None
    source: str

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise ValueError("limits need at least one side")


@dataclass(frozen=True, slots=True)
class Check:
    """One result with its uncertainty, limits and verdict.

    ``owner`` says whose fault a failure is; a failed ``suitability`` check (the rig was not fit) turns every
    check that names it in ``depends_on`` into `Verdict.INVALID`.  Numbers are rounded to 12 significant digits.
    """

    name: str
    title: str
    value: float | None
    unit: str
    verdict: Verdict
    owner: Owner
    standard_uncertainty: float | None = None
    degrees_of_freedom: float | None = None
    coverage_factor: float | None = None
    expanded_uncertainty: float | None = None
    limit_low: float | None = None
    limit_high: float | None = None
    limit_source: str = ""
    rule: str = ""
    conformity_probability: float | None = None
    suitability: bool = False
    optional: bool = False
    depends_on: tuple[str, ...] = ()
    note: str = ""
    budget: tuple[tuple[str, float], ...] = ()  # (source, standard uncertainty in the check's unit)

    def __post_init__(self) -> None:
        for name in (
            "value",
            "standard_uncertainty",
            "degrees_of_freedom",
            "coverage_factor",
            "expanded_uncertainty",
            "conformity_probability",
        ):
            object.__setattr__(self, name, rounded(getattr(self, name)))
        object.__setattr__(self, "budget", tuple((source, float(rounded(u) or 0.0)) for source, u in self.budget))


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a curve."""

    name: str
    unit: str
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Curve:
    """A named result with one x axis and one or more y columns of the same length."""

    name: str
    title: str
    x: Axis
    y: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A stretch of the run that the evaluation did not use, and why."""

    from_s: float
    to_s: float
    reason: str
    person: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that a procedure concludes from a run file, and nothing else."""

    checks: tuple[Check, ...]
    curves: tuple[Curve, ...] = ()
    excluded: tuple[Exclusion, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)  # further named numbers, unit in the name

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the checks that count.

        A fit rig and records that agree, alone, pass no pump whose results nothing limits.
        """
        found = worst(check.verdict for check in self.checks if not check.optional)
        results = [check for check in self.checks if not check.suitability and check.owner != "record"]
        judged = not results or any(not check.optional for check in results)
        return found if judged else min(found, Verdict.NOT_MEASURED, key=lambda verdict: verdict.rank)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of the verdicts; without any, nothing was measured."""
    return min(verdicts, key=lambda verdict: verdict.rank, default=Verdict.NOT_MEASURED)


def rounded(value: float | None, digits: int = 12) -> float | None:
    """Round to significant digits, so that the last bits of a sum do not count; not-a-number stays so."""
    if value is None or value == 0.0 or not math.isfinite(value):
        return value
    return float(f"{value:.{digits - 1}e}")


def four_digits(value: float, sign: str = "") -> str:
    """A value without U in four significant digits; what is below a thousand million keeps its whole part instead."""
    return f"{value:{sign}.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:{sign}.4g}"
