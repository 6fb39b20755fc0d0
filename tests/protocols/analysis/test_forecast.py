"""What is said of a run before it: that it follows from the declared uncertainties, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data.checks import Limits
from protocols.analysis.budget import Budget, Component
from protocols.analysis.declared import Declared
from protocols.analysis.forecast import Expected, Forecast, Likely, dominant, expected, shortest_s, within
from protocols.analysis.gravimetric_forecast import Plan, Rig, likely_runs, plan_of, rig_of
from protocols.flow_accuracy import FlowAccuracy

BALANCE = {
    "readability_mg": 0.01,
    "repeatability_mg": 0.02,
    "linearity_mg": 0.1,
    "drift_mg_per_day": 0.3,
    "zero_walk_mg": 0.01,
    "temperature_coefficient_percent_per_k": 1e-4,
}
COLLECTION = {
    "vessel_diameter_mm": 20.0,
    "tube_diameter_mm": 0.3,
    "meniscus_mg": 0.05,
    "dead_volume_ul": 1000.0,
    "buoyant_volume_ul": 13_600.0,
    "load_mg": 35_000.0,
    "evaporation_mg_per_h": 0.02,
    "evaporation_spread_mg_per_h": 0.004,
}
STATION = {
    "instruments": {"balance": {"uncertainty": BALANCE, "period": "1 s"}, "twin": {"uncertainty": BALANCE}},
    "collection": COLLECTION,
}
AIR = {role: f"room.{role}" for role in ("room_temperature", "ambient_pressure", "humidity")}
ROLES = {"reference_mass": "balance.mass", "twin_mass": "twin.mass", **AIR}
FLUID = {"density_basis": "water-table", "density_u_g_per_ml": 1.7e-4}
DUT = {"stroke_ul": 5.0, "limits": {"mean": {"low_percent": -14.5, "high_percent": 14.5, "source": "s", "revision": 1}}}
LIMITS = Limits(-14.5, 14.5, "model file")


def forecast(**settings: str) -> Forecast:
    found = FlowAccuracy(**settings).forecast(declared())
    assert found is not None
    return found


def declared(
    station: Mapping[str, Any] = STATION, roles: Mapping[str, str] = ROLES, start_h: float | None = None
) -> Declared:
    return Declared({}, station, roles, DUT, FLUID, start_h=start_h)


def first(u: float, **fields: float) -> Expected:
    budget = Budget("error", "%", (Component("all", u),))
    return Expected("error", "Error", "%", budget, 2.0 * u, 2.0 * u, (Likely(2.0 * u, u, math.inf),), LIMITS, **fields)


def scattering(*expanded: float) -> Expected:
    """A check of which likely runs have such an expanded uncertainty."""
    budgets = [Budget("error", "%", (Component("all", each / 2.0),)) for each in expanded]
    return expected("error", "Error", budgets, LIMITS)


def test_a_plan_is_as_long_as_its_steps_and_delivery_begins_where_they_say():
    plan = plan_of(FlowAccuracy(blank="stopped", stabilisation="2 h", analysis="3 h", blank_length="1 h").steps())
    assert (plan.started_s, plan.analysis, plan.duration_s) == (3600.0, (10_800.0, 21_600.0), 25_200.0)


def test_a_perfect_balance_leaves_the_fluid_and_the_room():
    perfect = dict.fromkeys(BALANCE, 0.0)
    still = {**COLLECTION, "meniscus_mg": 0.0, "evaporation_mg_per_h": 0.0, "dead_volume_ul": 0.0}
    still |= {"buoyant_volume_ul": 0.0, "tube_diameter_mm": 0.0}
    plan = Plan({"blank-before": (0.0, 7200.0), "analysis": (7200.0, 93_600.0)}, 0.0, 93_600.0)
    rig = Rig({**BALANCE, **perfect}, BALANCE, still, 1.0, 1.0, "stopped")
    for run in likely_runs(plan, rig, FLUID, 1000.0):
        _, budget = run.delivered(*plan.analysis)
        # Density alone, with the air's part of a hundredth of a percent of the volume.
        assert budget.u == pytest.approx(1000.0 * 1.7e-4 / 0.9982, rel=0.02)


def test_a_short_run_is_uncertain_by_the_two_readings_at_its_ends():
    found = forecast(schedule="0.1 mL/day", analysis="1 h", blank_length="4 h", blank="diverter").checks[0]
    readings = math.hypot(
        0.02 * math.sqrt(2.0), 0.1 / math.sqrt(3.0), 0.05 * math.sqrt(2.0 / 3.0), 0.01 / math.sqrt(6.0)
    )
    assert found.expanded == pytest.approx(100.0 * 2.0 * readings * 1.0031 / (100.0 / 24.0), rel=0.05)


def test_more_delivery_and_longer_blanks_each_tell_more():
    plain = forecast(schedule="0.1 mL/day", analysis="12 h", blank_length="1 h").checks[0].expanded
    changes = ({"schedule": "1 mL/day"}, {"blank_length": "8 h"})
    for changed in changes:
        settings = {"schedule": "0.1 mL/day", "analysis": "12 h", "blank_length": "1 h", **changed}
        assert forecast(**settings).checks[0].expanded < 0.9 * plain


def test_a_twin_vessel_tells_the_loss_but_not_how_either_balance_drifts():
    settings = {"schedule": "0.1 mL/day", "analysis": "25 h", "blank": "twin"}

    def u(drift_mg: float) -> float:
        steady = {**BALANCE, "drift_mg_per_day": drift_mg}
        instruments = {name: {**table, "uncertainty": steady} for name, table in STATION["instruments"].items()}
        return FlowAccuracy(**settings).forecast(declared({**STATION, "instruments": instruments})).checks[0].expanded

    drifts_mg = 0.3 / math.sqrt(3.0) * 25.0 / 24.0 * math.sqrt(2.0)
    expected = 2.0 * drifts_mg * 1.0031 / (100.0 / 24.0 * 25.0) * 100.0
    assert math.sqrt(u(0.3) ** 2 - u(0.0) ** 2) == pytest.approx(expected, rel=0.1)


def test_a_line_that_breathes_into_the_blank_is_seen_by_the_thermometer_or_costs_certainty():
    settings = {"schedule": "0.1 mL/day", "analysis": "12 h", "blank_length": "1 h"}
    blind = {role: channel for role, channel in ROLES.items() if role != "room_temperature"}

    def u(blank: str, roles: Mapping[str, str] = ROLES, line_ul: float = 1000.0) -> float:
        station = {**STATION, "collection": {**COLLECTION, "dead_volume_ul": line_ul}}
        return FlowAccuracy(**settings, blank=blank).forecast(declared(station, roles)).checks[0].expanded

    assert u("stopped") < 1.2 * u("diverter")
    assert u("stopped", blind) > 1.5 * u("stopped")
    assert u("stopped", blind) > 1.3 * u("stopped", blind, line_ul=0.0)


def test_air_that_nobody_measures_floats_the_vessel_unseen():
    plan = FlowAccuracy(schedule="0.1 mL/day", analysis="12 h", blank_length="1 h", blank="diverter")
    roles = {role: channel for role, channel in ROLES.items() if role != "ambient_pressure"}
    seen, unseen = (plan.forecast(declared(roles=given)).checks[0].expanded for given in (ROLES, roles))
    assert unseen > 1.3 * seen


def test_the_hour_at_which_a_run_begins_says_how_its_room_will_warm():
    settings = {"stabilisation": "0 h", "analysis": "12 h", "blank_length": "1 h", "blank": "stopped"}
    plan = FlowAccuracy(schedule="0.1 mL/day", **settings)

    def expected_at(hour: float) -> float:
        blind = {role: channel for role, channel in ROLES.items() if role != "room_temperature"}
        return plan.forecast(declared(roles=blind, start_h=hour)).checks[0].expanded

    assert expected_at(10.0) > 1.1 * expected_at(4.0), "one blank warms and the other cools"


def test_equal_plans_have_equal_forecasts():
    assert forecast(analysis="3 h", blank_length="1 h") == forecast(analysis="3 h", blank_length="1 h")


def test_a_station_that_declares_no_uncertainty_forecasts_nothing():
    without = {**STATION, "instruments": {"balance": {"uncertainty": None}}}
    assert rig_of(declared(without), "stopped") is None
    assert FlowAccuracy().forecast(declared(without)) is None


def test_a_check_is_capable_up_to_a_third_of_its_limit():
    assert first(14.5 / 6.0 - 1e-9).capable
    assert first(14.5 / 6.0 + 1e-3).capable is False
    assert replace(first(1.0), limits=None).capable is None


def test_a_pump_is_decided_where_its_value_and_its_scatter_stay_clear_of_the_limit():
    one = first(1.0)  # U = 2, and 1.645 for the scatter of one run in twenty
    assert one.decides(14.5 - 3.7)
    assert not one.decides(14.5 - 3.6)
    assert not one.decides(-14.5 - 3.6)
    assert one.decides(-14.5 - 3.7)


def test_an_incapable_run_decides_only_on_a_clear_fail():
    assert not first(3.0).decides(0.0)
    assert first(3.0).decides(26.0)


def test_what_only_half_of_the_runs_can_pass_is_not_decided():
    capable_u = 14.5 / 3.0
    assert scattering(*[0.9 * capable_u] * 40).decides(0.0)
    assert not scattering(*[0.9 * capable_u] * 22, *[1.1 * capable_u] * 18).decides(0.0)
    assert scattering(*[0.9 * capable_u] * 39, 1.1 * capable_u).decides(0.0)


def test_runs_with_a_larger_uncertainty_than_most_need_a_pump_that_is_further_from_the_limit():
    spread = scattering(*[1.0] * 10, *[3.0] * 6)
    assert spread.expanded == 1.0
    room = 1.0 + 1.645 * spread.budget.u  # what the median alone would ask for
    assert not spread.decides(14.5 - room)
    assert not spread.decides(14.5 + room)
    assert spread.decides(14.5 - 5.0)
    assert spread.decides(14.5 + 5.0)


def test_a_part_of_a_stroke_keeps_a_short_run_from_deciding():
    assert first(0.1).decides(10.0)
    assert not first(0.1, part_stroke=5.0).decides(10.0)


def test_the_shortest_run_lies_between_the_lengths_that_were_asked():
    # U = 20 %/h over the length: 4.83 % after 4.14 h.
    table = [Forecast(3600.0 * h, 3600.0 * h, (first(10.0 / h),)) for h in (1.0, 2.0, 8.0, 16.0)]
    assert shortest_s(table, lambda one: one.capable) == pytest.approx(3600.0 * 20.0 * 3.0 / 14.5, rel=0.011)
    assert shortest_s(table[:2], lambda one: one.capable) is None
    assert shortest_s(table[2:], lambda one: one.capable) == 8.0 * 3600.0


def test_a_length_that_decides_by_chance_is_not_the_shortest_that_does():
    lengths = (1.0, 12.0, 25.0, 48.0)  # at 12 h the analysis happens to hold whole strokes
    table = [
        Forecast(3600.0 * h, 3600.0 * h, (first(0.1, part_stroke=0.0 if h in (12.0, 48.0) else 5.0),)) for h in lengths
    ]
    found = shortest_s(table, lambda one: one.decides(10.0))
    assert found is not None
    assert found > 25.0 * 3600.0


def test_what_is_expected_is_the_middle_of_likely_runs():
    budgets = [Budget("e", "%", (Component("a", u), Component("b", 1.0))) for u in (0.5, 1.0, 1.5)]
    found = expected("e", "E", budgets)
    assert found.expanded == pytest.approx(2.0 * math.sqrt(2.0))
    assert (found.low, found.high) == pytest.approx((2.0 * math.hypot(0.5, 1.0), 2.0 * math.hypot(1.5, 1.0)))


@pytest.mark.parametrize(("drawn", "says"), [(32, 0.90), (19, 0.90), (8, 7 / 9)])
def test_as_many_other_runs_lie_within_the_interval_as_is_said(drawn: int, says: float):
    rng = np.random.default_rng(20_601)
    found = np.sort(rng.lognormal(0.0, 0.15, (4000, drawn)), axis=1)
    bounds = np.array([within(row) for row in found.tolist()])
    another = rng.lognormal(0.0, 0.15, 4000)
    share = np.mean((bounds[:, 0] <= another) & (another <= bounds[:, 1]))
    assert share == pytest.approx(says, abs=0.015)


def test_how_many_runs_of_ten_is_said_by_how_many_were_drawn():
    assert [scattering(*[1.0] * drawn).of_ten for drawn in (32, 8)] == ["nine runs of ten", "eight runs of ten"]


def test_the_largest_sources_come_first():
    budget = Budget("e", "%", (Component("a", 1.0), Component("b", 3.0), Component("c", 0.0)))
    assert dominant(budget) == [("b", pytest.approx(0.9)), ("a", pytest.approx(0.1))]
