"""What stands against a programmed delivery: what the pump cannot be set to, and what its fluid is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.findings import Finding
from data import schedule_ranges
from data.schedule import Schedule

EVERYTHING = (0.0, float("inf"))


def impossible(schedule: Schedule, dut: Mapping[str, Any]) -> Iterator[Finding]:
    """Rates that the pump cannot be programmed to."""
    low, high = dut["rate_range_ul_per_h"]
    for beyond in schedule_ranges.out_of_range(schedule, (low, high)):
        yield Finding("rate", "blocks", f"{dut['model']}: {beyond.text}")


def unusual(schedule: Schedule, dut: Mapping[str, Any]) -> Iterator[Finding]:
    """Rates, doses and concentrations that the pump's file does not call usual."""
    keys = ("usual_rates_ul_per_h", "usual_doses_ug_per_day", "usual_concentrations_ug_per_ml")
    rates, doses, concentrations = (dut.get(key) for key in keys)
    for value in schedule_ranges.unusual(schedule, rates or EVERYTHING, doses, concentrations):
        yield Finding("unusual-rate", "blocks", f"{dut['model']}: {value.text.partition(';')[0]}; change it")


def another_drug(schedule: Schedule, fluid: Mapping[str, Any]) -> Iterator[Finding]:
    """A drug or concentration that is not the fluid's."""
    named = f"fluid {fluid['name']}, lot {fluid['lot']}"
    drug, concentration = schedule.drug, schedule.concentration_ug_per_ml
    if concentration is not None and concentration != fluid["concentration_ug_per_ml"]:
        there = fluid["concentration_ug_per_ml"]
        has = "no drug" if there is None else f"{there:g} ug/mL"
        text = f"the schedule counts on {concentration:g} ug/mL, but the fluid file states {has}"
        yield Finding("drug", "blocks", f"{named}: {text}; correct one of them")
    elif drug and drug != fluid["drug"]:
        text = f"the schedule is for {drug}, but the fluid file states {fluid['drug']}"
        yield Finding("drug", "blocks", f"{named}: {text}; correct one of them")
