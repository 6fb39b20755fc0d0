"""What a pump is programmed to deliver: exact rates and volumes at any time, in words, as JSON and as text.

Times are seconds from the start of delivery on the run's clock.  Delivery is piecewise constant, so rates, volumes
and moments are exact sums, never quadrature.  The times of day of a flex schedule, and all times of boluses, are those
of the pump's own free-running clock: no daylight saving, an offset and a few parts per million off the run's clock.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, overload

import numpy as np

from data.quantities import plain_number
from data.samples import FloatArray
from data.schedule_course import BASAL, REPEATED, Course, work_out
from data.schedule_modes import (
    DAY_S,
    HOUR_S,
    PLANNED_KINDS,
    Basal,
    Bolus,
    Continuous,
    Decision,
    Flex,
    PatientBolus,
    PeriodicBolus,
    ScheduleError,
    Segment,
    Stopped,
    rate_of_dose,
)

__all__ = [
    "Basal",
    "Bolus",
    "Continuous",
    "Decision",
    "Flex",
    "PatientBolus",
    "PeriodicBolus",
    "RefillForecast",
    "Schedule",
    "ScheduleError",
    "Segment",
    "Stopped",
    "bridge_bolus",
    "rate_of_dose",
]

LONGEST_S = 10 * 366 * DAY_S
"""No schedule is asked about more than ten years of delivery."""

REFILL_AHEAD_S = 7 * DAY_S
"""A refill is due a week before the low-reservoir alarm."""


@dataclass(frozen=True)
class Schedule:
    """A delivery schedule as a pump holds it.

    Attributes
    ----------
    basal : `Continuous`, `Stopped` or `Flex`.
    boluses : planned boluses, kept in order of their beginning.  They add to the basal rate; a bridge replaces it.
    periodic : a bolus that repeats for ever.
    patient : what a patient may ask for; only boluses that were granted (`with_granted`) count in volumes.
    drug, concentration_ug_per_ml : what is in the reservoir; needed wherever a dose is meant.
    pump_day_offset_s : what the pump's clock shows at the start of delivery, in seconds after its midnight.
    pump_clock_ppm : how much faster the pump's clock runs than the run's clock.
    """

    basal: Basal
    boluses: tuple[Bolus, ...] = ()
    periodic: PeriodicBolus | None = None
    patient: PatientBolus | None = None
    drug: str = ""
    concentration_ug_per_ml: float | None = None
    pump_day_offset_s: float = 0.0
    pump_clock_ppm: float = 0.0
    _course: ClassVar[Course | None] = None  # worked out when first asked, kept on the instance, no part of its value

    def __post_init__(self) -> None:
        object.__setattr__(self, "boluses", tuple(sorted(self.boluses, key=lambda bolus: bolus.at_s)))
        object.__setattr__(self, "pump_day_offset_s", round(self.pump_day_offset_s % DAY_S, 6) % DAY_S)
        if any(bolus.kind not in PLANNED_KINDS for bolus in self.boluses):
            raise ScheduleError(
                f"a planned bolus is one of {', '.join(PLANNED_KINDS)}; give a periodic one as periodic"
            )
        bridges = [bolus for bolus in self.boluses if bolus.kind == "bridge"]
        if any(later.at_s < earlier.end_s for earlier, later in itertools.pairwise(bridges)):
            raise ScheduleError("two bridge boluses overlap; the second begins when the first has ended")
        if re.search(r"[;\r\n]", self.drug) or self.drug != self.drug.strip():
            raise ScheduleError(f'"{self.drug}" is no name of a drug; leave out semicolons, line ends and outer blanks')
        concentration = self.concentration_ug_per_ml
        if concentration is not None and not (math.isfinite(concentration) and concentration > 0.0):
            raise ScheduleError(f"a concentration must be above 0 ug/mL, not {concentration:g} ug/mL")
        if not abs(self.pump_clock_ppm) <= 10_000.0:
            raise ScheduleError(f"a pump's clock is not {self.pump_clock_ppm:g} ppm off; give at most 10000 ppm (1 %)")

    # -- rates and volumes ---------------------------------------------------------------------------------------------

    @overload
    def rate_ul_per_h(self, t: float) -> float: ...
    @overload
    def rate_ul_per_h(self, t: FloatArray) -> FloatArray: ...
    def rate_ul_per_h(self, t: float | FloatArray) -> float | FloatArray:
        """Rate in uL/h at each time; at an edge the new rate (continuous from the right), before 0 s nothing."""
        times = np.asarray(t, dtype=np.float64)
        rates = self._until(_latest(times)).rate(times)
        return rates if isinstance(t, np.ndarray) else float(rates)

    @overload
    def expected_volume_ul(self, t0: float, t1: float) -> float: ...
    @overload
    def expected_volume_ul(self, t0: FloatArray, t1: float | FloatArray) -> FloatArray: ...
    @overload
    def expected_volume_ul(self, t0: float, t1: FloatArray) -> FloatArray: ...
    def expected_volume_ul(self, t0: float | FloatArray, t1: float | FloatArray) -> float | FloatArray:
        """Volume in uL programmed between two times (arrays broadcast); negative where ``t1`` is before ``t0``."""
        begin, end = np.asarray(t0, dtype=np.float64), np.asarray(t1, dtype=np.float64)
        course = self._until(_latest(np.array([_latest(begin), _latest(end)])))
        volumes = course.volume(end) - course.volume(begin)
        return volumes if isinstance(t0, np.ndarray) or isinstance(t1, np.ndarray) else float(volumes)

    def edges_s(self, t0: float, t1: float) -> tuple[float, ...]:
        """Times from ``t0`` to ``t1`` (both included) at which the rate changes or a bolus begins or ends."""
        edges = self._until(t1).edges_s[:-1]
        return tuple(edges[(edges >= t0) & (edges <= t1)].tolist())

    def segments(self, t0: float, t1: float) -> tuple[Segment, ...]:
        """Stretches of constant rate that fill ``t0`` to ``t1`` without gap or overlap; delivery begins at 0 s."""
        course = self._until(t1)
        cuts = [max(t0, 0.0), *(edge for edge in self.edges_s(t0, t1) if max(t0, 0.0) < edge < t1), t1]
        segments = []
        for begin, end in itertools.pairwise(cuts):
            if end <= begin:
                continue
            index = int(course.index(np.asarray(begin)))
            number, rate = int(course.labels[index]), float(course.rates_ul_per_h[index])
            if number == BASAL:
                segments.append(Segment(begin, end, rate, "basal"))
            else:
                segments.append(Segment(begin, end, rate, self._numbered(course, number).kind, number))
        return tuple(segments)

    def boluses_between(self, t0: float, t1: float) -> tuple[tuple[int, Bolus], ...]:
        """Number and bolus of every bolus, repeated ones too, that begins from ``t0`` to before ``t1``, in run time."""
        course, gain = self._until(t1), self._clock_gain
        first, last = np.searchsorted(course.starts_s / gain, (t0, t1))
        found = ((number, self._numbered(course, number)) for number in range(int(first) + 1, int(last) + 1))
        return tuple(
            (number, Bolus(bolus.at_s / gain, bolus.volume_ul, bolus.duration_s / gain, bolus.kind))
            for number, bolus in found
        )

    # -- the pump's day ------------------------------------------------------------------------------------------------

    def pump_clock_s(self, t: float) -> float:
        """Seconds that the pump's clock shows after the midnight before the start of delivery."""
        return self.pump_day_offset_s + t * self._clock_gain

    def daily_volume_ul(self, patient_boluses: int = 0) -> float:
        """Volume of one day of basal, periodic and so many patient boluses; planned boluses do not repeat."""
        volume = _basal_day_ul(self.basal)
        if self.periodic is not None:
            volume += self.periodic.volume_ul * DAY_S / self.periodic.interval_s
        if patient_boluses and self.patient is None:
            raise ScheduleError("this schedule allows no patient bolus")
        return volume + (patient_boluses * self.patient.volume_ul if self.patient else 0.0)

    def daily_dose_ug(self, patient_boluses: int = 0) -> float:
        """Drug of one day in ug; raises `ScheduleError` when the concentration is not known."""
        if self.concentration_ug_per_ml is None:
            raise ScheduleError('a dose needs a concentration; add for example "at 2000 ug/mL" to the schedule')
        return self.daily_volume_ul(patient_boluses) * self.concentration_ug_per_ml / 1000.0

    def describe(self) -> str:
        """One day's delivery in words: volume, and with a concentration the dose, the drug and the concentration."""
        volume = f"{plain_number(self.daily_volume_ul() / 1000.0)} mL/day"
        if self.concentration_ug_per_ml is None:
            return f"{self.drug}: {volume}" if self.drug else volume
        dose, concentration = plain_number(self.daily_dose_ug()), plain_number(self.concentration_ug_per_ml)
        return f"{dose} ug/day of {self.drug or 'drug'} at {concentration} ug/mL = {volume}"

    def decide(self, requests_s: Iterable[float]) -> tuple[Decision, ...]:
        """Which of a patient's requests, given in order of time, the pump grants.

        A request is refused before delivery starts ("stopped"), less than the lockout after the last granted bolus
        began ("lockout"), or when the day has had its maximum ("daily-maximum").  A refused request does not prolong a
        lockout.  Patient boluses already among ``boluses`` count.
        """
        if self.patient is None:
            raise ScheduleError("this schedule allows no patient bolus")
        gain = self._clock_gain
        granted = [bolus.at_s for bolus in self.boluses if bolus.kind == "patient"]
        decisions: list[Decision] = []
        for at_s in requests_s:
            if decisions and at_s < decisions[-1].at_s:
                raise ScheduleError("requests for a patient bolus must stand in order of time")
            outcome = _decide(self.patient, granted, round(at_s * gain, 6), self.pump_day_offset_s)
            if outcome == "ok":
                granted.append(round(at_s * gain, 6))
            decisions.append(Decision(float(at_s), outcome))
        return tuple(decisions)

    def with_granted(self, requests_s: Iterable[float]) -> Schedule:
        """The schedule with a patient bolus for every request that the pump grants."""
        decisions = self.decide(requests_s)
        assert self.patient is not None, "decide refuses a schedule without a patient bolus"
        volume_ul, duration_s = self.patient.volume_ul, self.patient.duration_s
        granted = (
            Bolus(decision.at_s * self._clock_gain, volume_ul, duration_s, "patient")
            for decision in decisions
            if decision.granted
        )
        return replace(self, boluses=(*self.boluses, *granted))

    # -- the reservoir -------------------------------------------------------------------------------------------------

    def reservoir_ul(self, t: float, filled_ul: float) -> float:
        """Volume left at ``t`` of what was in the reservoir at the start of delivery; never below 0."""
        return max(0.0, filled_ul - self.expected_volume_ul(0.0, t))

    def moment_of_volume_s(self, volume_ul: float, patient_boluses_per_day: float = 0.0) -> float:
        """First time at which so much has been delivered; infinity if that takes over ten years.

        Patient boluses to come count as an even flow of so many a day.
        """
        if volume_ul <= 0.0:
            return 0.0
        if patient_boluses_per_day and self.patient is None:
            raise ScheduleError("this schedule allows no patient bolus")
        asked = patient_boluses_per_day * (self.patient.volume_ul if self.patient else 0.0) / DAY_S  # uL/s
        daily = self.daily_volume_ul() + asked * DAY_S
        horizon = max((bolus.end_s for bolus in self.boluses), default=0.0) + 2 * DAY_S
        horizon += volume_ul / daily * DAY_S if daily > 0.0 else 0.0
        while True:
            horizon = min(horizon, LONGEST_S)
            course = self._until(horizon)
            reached = course.volumes_ul + asked * course.edges_s
            index = int(np.searchsorted(reached, volume_ul, side="left"))
            if index < len(reached):
                slope = course.rates_ul_per_h[index - 1] / HOUR_S + asked
                moment = float(course.edges_s[index - 1] + (volume_ul - reached[index - 1]) / slope)
                return moment if moment <= LONGEST_S else math.inf
            if horizon >= LONGEST_S or daily == 0.0:
                return math.inf
            horizon *= 2.0

    def refill_forecast(
        self, filled_ul: float, alarm_ul: float, patient_boluses_per_day: float = 0.0
    ) -> RefillForecast:
        """When the reservoir reaches its low-reservoir alarm volume, and by when it is to be refilled."""
        alarm_s = self.moment_of_volume_s(filled_ul - alarm_ul, patient_boluses_per_day)
        return RefillForecast(alarm_s, alarm_s - REFILL_AHEAD_S)

    # -- records -------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and text, units in the names; `from_json` gives the same schedule back."""
        basal: dict[str, Any] = {"mode": type(self.basal).__name__.lower(), **asdict(self.basal)}
        if isinstance(self.basal, Flex):
            basal["steps"] = [list(step) for step in self.basal.steps]
        return {
            "basal": basal,
            "boluses": [asdict(bolus) for bolus in self.boluses],
            "periodic": asdict(self.periodic) if self.periodic else None,
            "patient": asdict(self.patient) if self.patient else None,
            "drug": self.drug,
            "concentration_ug_per_ml": self.concentration_ug_per_ml,
            "pump_day_offset_s": self.pump_day_offset_s,
            "pump_clock_ppm": self.pump_clock_ppm,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Schedule:
        """Read what `to_json` wrote; raises `ScheduleError` on anything else."""
        try:
            fields = dict(record)
            fields["basal"] = _basal_from_json(fields["basal"])
            fields["boluses"] = tuple(Bolus(**bolus) for bolus in fields.get("boluses", ()))
            fields["periodic"] = PeriodicBolus(**fields["periodic"]) if fields.get("periodic") else None
            fields["patient"] = PatientBolus(**fields["patient"]) if fields.get("patient") else None
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise ScheduleError(f"this is not the record of a schedule: {error}") from error

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read a schedule as people write it (docs/reference/schedule.md); raises `ScheduleError`."""
        from data.schedule_text import read_schedule

        return cls(**read_schedule(text))

    @classmethod
    def from_table(cls, table: str | Mapping[str, Any]) -> Schedule:
        """Read the TOML form: the text of `parse`, or a table with its clauses as keys; raises `ScheduleError`."""
        from data.schedule_text import read_table

        return cls(**read_table(table))

    def __str__(self) -> str:
        from data.schedule_text import write_schedule

        return write_schedule(
            self.basal,
            self.boluses,
            self.periodic,
            self.patient,
            self.drug,
            self.concentration_ug_per_ml,
            self.pump_day_offset_s,
            self.pump_clock_ppm,
        )

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _clock_gain(self) -> float:
        return 1.0 + self.pump_clock_ppm * 1e-6

    def _numbered(self, course: Course, number: int) -> Bolus:
        """Bolus ``number`` of a course, times on the pump's clock."""
        source = int(course.sources[number - 1])
        if source != REPEATED:
            return self.boluses[source]
        assert self.periodic is not None, "only a periodic bolus repeats"
        return Bolus(float(course.starts_s[number - 1]), self.periodic.volume_ul, self.periodic.duration_s, "periodic")

    def _until(self, t: float) -> Course:
        """The schedule worked out to beyond ``t``; kept, and worked out anew for twice as long when asked for more."""
        if not t <= LONGEST_S:  # nor is it at a time that is not a number
            raise ScheduleError(f"a schedule is known for ten years of delivery, not at {t:g} s")
        course = self._course
        if course is None or t >= course.horizon_s:
            horizon = DAY_S * 8.0
            while horizon <= t:
                horizon *= 2.0
            course = work_out(
                self.basal, self.boluses, self.periodic, self.pump_day_offset_s, self._clock_gain, horizon
            )
            object.__setattr__(self, "_course", course)
        return course


@dataclass(frozen=True, slots=True)
class RefillForecast:
    """Moments in seconds from the start of delivery: the low-reservoir alarm, and the refill a week before it."""

    alarm_s: float
    refill_by_s: float


def bridge_bolus(path_volume_ul: float, old_rate_ul_per_h: float, at_s: float = 0.0) -> Bolus:
    """The bridge after a change of concentration.

    The pump's internal path and the catheter still hold the old drug, so the pump goes on at the old rate (old dose
    over old concentration) until their volume has left the tip; only then does the new rate give the new dose.
    """
    if not old_rate_ul_per_h > 0.0:
        raise ScheduleError("a bridge bolus goes on at the old rate, which must be above 0 uL/h")
    return Bolus(at_s, path_volume_ul, path_volume_ul / old_rate_ul_per_h * HOUR_S, "bridge")


def _latest(times: FloatArray) -> float:
    """The latest time; not-a-number where any is."""
    return float(np.max(times)) if times.size else 0.0


def _basal_day_ul(basal: Basal) -> float:
    if isinstance(basal, Flex):
        ends = [time_s for time_s, _ in basal.steps[1:]] + [DAY_S]
        return math.fsum(rate * (end - begin) for (begin, rate), end in zip(basal.steps, ends, strict=True)) / HOUR_S
    return basal.rate_ul_per_h * 24.0 if isinstance(basal, Continuous) else 0.0


def _decide(patient: PatientBolus, granted: list[float], at_s: float, day_offset_s: float) -> Any:
    """Outcome of one request; all times on the pump's clock since the start of delivery."""
    if at_s < 0.0:
        return "stopped"
    before = [start for start in granted if start <= at_s]
    if before and at_s - max(before) < patient.lockout_s:
        return "lockout"
    if patient.day == "calendar":
        today = math.floor((at_s + day_offset_s) / DAY_S)
        count = sum(math.floor((start + day_offset_s) / DAY_S) == today for start in before)
    else:
        count = sum(at_s - start < DAY_S for start in before)
    return "daily-maximum" if count >= patient.max_per_day else "ok"


def _basal_from_json(record: Mapping[str, Any]) -> Basal:
    fields = dict(record)
    mode = fields.pop("mode")
    if mode == "flex":
        return Flex(tuple((time_s, rate) for time_s, rate in fields["steps"]))
    if mode == "continuous":
        return Continuous(**fields)
    if mode == "stopped":
        return Stopped(**fields)
    raise ScheduleError(f'a basal mode is stopped, continuous or flex, not "{mode}"')
