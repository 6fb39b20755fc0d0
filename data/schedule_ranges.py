"""Can this pump deliver a schedule, and is it one that people use?  Findings for those who decide, no decisions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from data.quantities import plain_number
from data.schedule import Continuous, Flex, Schedule

UNUSUAL_FACTOR = 10.0
"""Over ten times the highest or under a tenth of the lowest usual value needs a second entry: a slipped point."""

LAST_BITS = 1e-9
"""A dose over a concentration, or a volume over a time, is a rate that is off by its last bits."""

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RangeFinding:
    """One value of a schedule outside a range; ``text`` is a sentence that says what, and what to do."""

    quantity: str
    value: float
    unit: str
    low: float
    high: float
    text: str


def basal_rates(schedule: Schedule) -> tuple[float, ...]:
    """The different rates in uL/h that the basal delivery has, without stops, lowest first."""
    basal = schedule.basal
    rates = [rate for _, rate in basal.steps] if isinstance(basal, Flex) else []
    if isinstance(basal, Continuous):
        rates = [basal.rate_ul_per_h]
    return tuple(sorted({rate for rate in rates if rate > 0.0}))


def out_of_range(schedule: Schedule, rate_range_ul_per_h: Range) -> tuple[RangeFinding, ...]:
    """Basal rates that the pump cannot be programmed to; the limits themselves can be."""
    low, high = rate_range_ul_per_h
    return tuple(
        RangeFinding(
            "rate", rate, "uL/h", low, high,
            f"{_flow(rate, schedule)} is {'below' if rate < low else 'above'} what this pump can be programmed to, "
            f"{_ml_per_day(low)} to {_ml_per_day(high)} mL/day; change the dose or the concentration",
        )
        for rate in basal_rates(schedule)
        if not low * (1.0 - LAST_BITS) <= rate <= high * (1.0 + LAST_BITS)
    )  # fmt: skip


def bolus_out_of_range(volume_ul: float, duration_s: float, basal_ul_per_h: float, high: float) -> RangeFinding | None:
    """A bolus that, with the basal rate to which it adds, is faster than the pump can deliver.

    Parameters
    ----------
    basal_ul_per_h : rate to which it adds; 0 for one that replaces the basal rate.
    high : the pump's largest rate in uL/h.
    """
    rate = volume_ul / duration_s * 3600.0 + basal_ul_per_h
    if rate <= high * (1.0 + LAST_BITS):
        return None
    onto = f" onto {_ml_per_day(basal_ul_per_h)} mL/day" if basal_ul_per_h else ""
    room = high - basal_ul_per_h
    advice = (
        f"give it over at least {plain_number(_upwards(volume_ul / room * 3600.0))} s" if room > 0.0 else "lower it"
    )
    text = (
        f"a bolus of {plain_number(volume_ul)} uL in {plain_number(duration_s)} s{onto} needs "
        f"{_ml_per_day(rate)} mL/day, more than this pump's {_ml_per_day(high)} mL/day; {advice}"
    )
    return RangeFinding("bolus rate", rate, "uL/h", 0.0, high, text)


def boluses_out_of_range(schedule: Schedule, high: float) -> tuple[RangeFinding, ...]:
    """Planned, periodic and patient boluses faster than the pump's largest rate in uL/h, each kind of them once."""
    basal = max(basal_rates(schedule), default=0.0)
    asked = [
        (bolus.volume_ul, bolus.duration_s, 0.0 if bolus.kind == "bridge" else basal) for bolus in schedule.boluses
    ]
    asked += [
        (one.volume_ul, one.duration_s, basal) for one in (schedule.periodic, schedule.patient) if one is not None
    ]
    found = (bolus_out_of_range(*one, high) for one in dict.fromkeys(asked))
    return tuple(one for one in found if one is not None)


def _upwards(duration_s: float) -> float:
    """Whole seconds, so that the pump is never asked for more than it can."""
    return math.ceil(duration_s - 1e-6)


def unusual(
    schedule: Schedule,
    usual_rates_ul_per_h: Range,
    usual_doses_ug_per_day: Range | None = None,
    usual_concentrations_ug_per_ml: Range | None = None,
) -> tuple[RangeFinding, ...]:
    """Rates, daily dose and concentration over 10 times or under 0.1 of what is usual: each needs a second entry."""
    return tuple(_unusual(schedule, usual_rates_ul_per_h, usual_doses_ug_per_day, usual_concentrations_ug_per_ml))


def _unusual(
    schedule: Schedule, rates: Range, doses: Range | None, concentrations: Range | None
) -> Iterator[RangeFinding]:
    for rate in basal_rates(schedule):
        if _far(rate, rates):
            usual = f"{_ml_per_day(rates[0])} to {_ml_per_day(rates[1])} mL/day"
            yield _finding("rate", rate, "uL/h", rates, _flow(rate, schedule), usual)
    concentration = schedule.concentration_ug_per_ml
    if concentration is None:
        return
    dose = schedule.daily_dose_ug()
    if doses is not None and dose > 0.0 and _far(dose, doses):
        usual = f"{plain_number(doses[0])} to {plain_number(doses[1])} ug/day"
        yield _finding("dose", dose, "ug/day", doses, schedule.describe(), usual)
    if concentrations is not None and _far(concentration, concentrations):
        usual = f"{plain_number(concentrations[0])} to {plain_number(concentrations[1])} ug/mL"
        yield _finding("concentration", concentration, "ug/mL", concentrations, schedule.describe(), usual)


def _finding(quantity: str, value: float, unit: str, usual: Range, shown: str, usual_text: str) -> RangeFinding:
    side = "over 10 times" if value > usual[1] else "under a tenth of"
    text = f"{shown}: the {quantity} is {side} what is usual ({usual_text}); enter it a second time if it is meant"
    return RangeFinding(quantity, value, unit, usual[0], usual[1], text)


def _far(value: float, usual: Range) -> bool:
    return value > usual[1] * UNUSUAL_FACTOR or value < usual[0] / UNUSUAL_FACTOR


def _flow(rate_ul_per_h: float, schedule: Schedule) -> str:
    """A rate, with the dose that it carries where the concentration is known."""
    volume = f"{_ml_per_day(rate_ul_per_h)} mL/day"
    concentration = schedule.concentration_ug_per_ml
    if concentration is None:
        return volume
    dose = plain_number(rate_ul_per_h * 0.024 * concentration)
    return f"{volume} ({dose} ug/day of {schedule.drug or 'drug'} at {plain_number(concentration)} ug/mL)"


def _ml_per_day(rate_ul_per_h: float) -> str:
    return plain_number(rate_ul_per_h * 0.024)
