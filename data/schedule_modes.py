"""The parts of a delivery schedule: basal modes, boluses, segments, and what the pump's clock does to them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

DAY_S = 86400.0
HOUR_S = 3600.0

BolusKind = Literal["single", "priming", "bridge", "patient", "periodic"]
PlannedKind = Literal["single", "priming", "bridge", "patient"]
SegmentKind = Literal["basal", "single", "priming", "bridge", "patient", "periodic"]
PatientDay = Literal["calendar", "rolling"]
Outcome = Literal["ok", "lockout", "daily-maximum", "stopped"]

PLANNED_KINDS: tuple[PlannedKind, ...] = ("single", "priming", "bridge", "patient")


class ScheduleError(ValueError):
    """A schedule that no pump could deliver; the sentence says which part and what to write."""


@dataclass(frozen=True, slots=True)
class Continuous:
    """One basal rate for ever."""

    rate_ul_per_h: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate_ul_per_h", _not_negative("a continuous rate", self.rate_ul_per_h, "uL/h"))


@dataclass(frozen=True, slots=True)
class Stopped:
    """No basal delivery; a programmed bolus still runs."""


@dataclass(frozen=True, slots=True)
class Flex:
    """A pattern of rates over the day of the pump's own clock, repeated every day.

    ``steps`` are (time of day in s, rate in uL/h); the first is at 00:00 and the times rise.
    """

    steps: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        steps = tuple(
            (_microseconds(time_s), _not_negative("a flex rate", rate, "uL/h")) for time_s, rate in self.steps
        )
        object.__setattr__(self, "steps", steps)
        if not steps or steps[0][0] != 0.0:
            raise ScheduleError("a flex schedule begins at 00:00; add the rate from midnight as its first step")
        times = [time_s for time_s, _ in steps]
        if any(later <= earlier for earlier, later in itertools.pairwise(times)):
            raise ScheduleError("the steps of a flex schedule must stand in order of time, each time once")
        if times[-1] >= DAY_S:
            raise ScheduleError("a flex step begins between 00:00 and 24:00 of the pump's day")


Basal = Continuous | Stopped | Flex


@dataclass(frozen=True, slots=True)
class Bolus:
    """One bolus that begins ``at_s`` after the start of delivery.

    It adds to the basal rate over its duration, except a ``bridge`` bolus, which replaces the basal rate: it carries
    the old drug out of the path at the old dose before the new rate begins.
    """

    at_s: float
    volume_ul: float
    duration_s: float
    kind: BolusKind = "single"

    def __post_init__(self) -> None:
        object.__setattr__(self, "at_s", _microseconds(_not_negative("the time of a bolus", self.at_s, "s")))
        _check_bolus(self, f"a {self.kind} bolus")

    @property
    def end_s(self) -> float:
        """Seconds from the start of delivery to its end."""
        return self.at_s + self.duration_s

    @property
    def rate_ul_per_h(self) -> float:
        """Rate of the bolus alone."""
        return self.volume_ul / self.duration_s * HOUR_S


@dataclass(frozen=True, slots=True)
class PeriodicBolus:
    """The same bolus every ``interval_s``, the first ``first_s`` after the start of delivery; it adds to the basal."""

    volume_ul: float
    duration_s: float
    interval_s: float
    first_s: float

    def __post_init__(self) -> None:
        _check_bolus(self, "a periodic bolus")
        object.__setattr__(
            self, "interval_s", _microseconds(_positive("the interval of a bolus", self.interval_s, "s"))
        )
        object.__setattr__(self, "first_s", _microseconds(_not_negative("the time of a bolus", self.first_s, "s")))
        if self.duration_s > self.interval_s:
            raise ScheduleError(
                f"a periodic bolus of {self.duration_s:g} s does not fit its interval of {self.interval_s:g} s;"
                " shorten the bolus or lengthen the interval"
            )


@dataclass(frozen=True, slots=True)
class PatientBolus:
    """What a patient may ask for: a bolus, at least ``lockout_s`` after the last one began, so many a day.

    ``day`` says what a day is: ``calendar`` from midnight to midnight of the pump's clock, ``rolling`` the 24 h before
    the request.  A bolus counts from its beginning.
    """

    volume_ul: float
    duration_s: float
    lockout_s: float
    max_per_day: int
    day: PatientDay = "calendar"

    def __post_init__(self) -> None:
        _check_bolus(self, "a patient bolus")
        object.__setattr__(self, "lockout_s", _microseconds(_not_negative("a lockout", self.lockout_s, "s")))
        if self.lockout_s < self.duration_s:
            raise ScheduleError(
                f"a lockout of {self.lockout_s:g} s ends before its bolus of {self.duration_s:g} s;"
                " lengthen the lockout"
            )
        if self.max_per_day != int(self.max_per_day) or self.max_per_day < 0:
            raise ScheduleError(f"the daily maximum of a patient bolus is a whole number, not {self.max_per_day}")
        object.__setattr__(self, "max_per_day", int(self.max_per_day))
        if self.day not in ("calendar", "rolling"):
            raise ScheduleError(f'the day of a patient bolus is "calendar" or "rolling", not "{self.day}"')


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of constant rate on the run's clock, from ``t0`` (included) to ``t1`` (not included), in seconds.

    ``kind`` is "basal" or the kind of the bolus that began last; ``number`` counts the boluses of the schedule in order
    of their beginning, from 1, and is None for basal delivery.
    """

    t0: float
    t1: float
    rate_ul_per_h: float
    kind: SegmentKind
    number: int | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.t1 - self.t0

    @property
    def volume_ul(self) -> float:
        """Volume expected over the segment."""
        return self.rate_ul_per_h * self.duration_s / HOUR_S


@dataclass(frozen=True, slots=True)
class Decision:
    """What the pump answers to a patient's request at ``at_s``."""

    at_s: float
    outcome: Outcome

    @property
    def granted(self) -> bool:
        """Whether the bolus is delivered."""
        return self.outcome == "ok"


def rate_of_dose(dose_ug_per_day: float, concentration_ug_per_ml: float) -> float:
    """Rate in uL/h that carries a daily dose at a concentration."""
    return dose_ug_per_day / concentration_ug_per_ml * 1000.0 / 24.0


def _check_bolus(bolus: Bolus | PeriodicBolus | PatientBolus, what: str) -> None:
    object.__setattr__(bolus, "volume_ul", _positive(f"the volume of {what}", bolus.volume_ul, "uL"))
    duration_s = _microseconds(_positive(f"the duration of {what}", bolus.duration_s, "s"))
    if duration_s <= 0.0:
        raise ScheduleError(f"the duration of {what} must be at least a microsecond")
    object.__setattr__(bolus, "duration_s", duration_s)


def _positive(what: str, value: float, unit: str) -> float:
    if not (math.isfinite(value) and value > 0.0):
        raise ScheduleError(f"{what} must be above 0 {unit}, not {value:g} {unit}")
    return float(value)


def _not_negative(what: str, value: float, unit: str) -> float:
    if not (math.isfinite(value) and value >= 0.0):
        raise ScheduleError(f"{what} must be 0 {unit} or more, not {value:g} {unit}")
    return float(value)


def _microseconds(time_s: float) -> float:
    """Round to the microsecond, so that edges meant to coincide do."""
    return round(float(time_s), 6)
