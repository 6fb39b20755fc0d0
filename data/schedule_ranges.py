"""Can this pump deliver a schedule, and is it one that people use?  Findings for those who decide, no decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data.quantities import plain_number
from data.schedule import Continuous, Flex, Schedule

UNUSUAL_FACTOR = 10.0
"""Over ten times the highest or under a tenth of the lowest usual value needs a second entry: a slipped point."""

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
        if not low <= rate <= high
    )  # fmt: skip


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
