"""The start of a pump by a flow sensor that errs: its level is the balance's; what neither can tell is not judged."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data.checks import Exclusion, Verdict
from protocols.analysis.collection import blanks_of
from protocols.analysis.evaporation import Evaporation
from protocols.analysis.gravimetric_record import BLANK_SETTLE_S, GravimetricRecord, collection_of
from protocols.analysis.rate_course import course
from protocols.analysis.rate_step import Plateau, _settling, _start
from protocols.analysis.time_course import levelled, standing_zero, time_course
from protocols.analysis.witness import Minutes

BALANCE = {
    "readability_mg": 0.01, "repeatability_mg": 0.02, "linearity_mg": 0.1, "drift_mg_per_day": 0.3,
    "zero_walk_mg": 0.01, "temperature_coefficient_percent_per_k": 1e-4,
}  # fmt: skip
COLLECTION = {
    "evaporation_mg_per_h": 0.02, "evaporation_spread_mg_per_h": 0.004, "buoyant_volume_ul": 13_600.0,
    "load_mg": 35_000.0, "dead_volume_ul": 1000.0, "meniscus_mg": 0.05,
    "tube_diameter_mm": 0.3, "vessel_diameter_mm": 20.0,
}  # fmt: skip
WATER = {"density_basis": "water-table", "density_u_g_per_ml": 1e-5}
SENSOR = {"u": 0.63, "u_percent": 2.5}
STROKE_UL, BLANK_S, HOLD_S, READ_S = 5.0, 3600.0, 10_800.0, 10.0
ONE, TENTH = 1000.0 / 24.0, 100.0 / 24.0  # mL/day in uL/h


@dataclass
class Bench:
    """A run of one rate between two blanks: a roller pump that delivers a share of it, balance and flow sensor."""

    rate: float
    share: float = 1.01
    gain: float = 0.0
    zero: float = 0.0
    late_s: float = 0.0
    seed: int = 1
    sensor: bool = True
    blank: str = "diverter"
    rig: dict[str, float] | None = None

    @property
    def plateau(self) -> Plateau:
        return Plateau(0, BLANK_S + 17.0, BLANK_S + 17.0 + HOLD_S, self.rate)

    def pumped(self, t_s: Any) -> Any:
        """Delivered volume: a wave of a tenth, and a back-flow at the begin of each stroke."""
        into = np.clip(t_s, self.plateau.from_s + self.late_s, self.plateau.to_s) - self.plateau.from_s - self.late_s
        strokes, phase = np.divmod(self.rate / 3600.0 * into / STROKE_UL, 1.0)
        back = np.minimum(phase / 0.12, 1.0)
        back -= np.sin(2.0 * math.pi * back) / (2.0 * math.pi)
        wave = 0.105 * (1.0 - np.cos(2.0 * math.pi * phase)) / (2.0 * math.pi) + 0.058 * (phase - back)
        return self.share * STROKE_UL * (strokes + phase + wave)

    def record(self) -> GravimetricRecord:
        draw, plateau = np.random.default_rng(self.seed), self.plateau
        end_s = plateau.to_s + BLANK_S
        t_s = np.arange(0.0, end_s, READ_S)
        walk = np.cumsum(draw.normal(0.0, 0.01 * math.sqrt(READ_S / 3600.0), t_s.size))
        mass = 0.997 * self.pumped(t_s) - 0.02 * t_s / 3600.0 + walk + draw.normal(0.0, 0.02, t_s.size)
        phases = {"blank-before": (0.0, BLANK_S), "blank-after": (plateau.to_s, end_s)}
        blanks = blanks_of(t_s, mass, list(phases.values()), 0.0, BLANK_SETTLE_S)
        flat = np.zeros(t_s.size)
        minute = np.arange(0.0, end_s - 60.0, 60.0)
        flow = 60.0 * (self.pumped(minute + 60.0) - self.pumped(minute)) * (1.0 + self.gain) + self.zero
        minutes = Minutes(minute + 30.0, flow + draw.normal(0.0, 0.005, minute.size), np.zeros(minute.size))
        run: Any = SimpleNamespace(
            params={"band_percent": 5.0, "transition_s": 1800.0, "blank": self.blank},
            dut={"limits": {"start_up": _limit(at_most_s=600.0), "segment": None}, "stroke_ul": STROKE_UL},
            station={"collection": COLLECTION},
            instruments={},
            roles={},
            has=lambda role: role == "room_temperature",
            calibration=lambda role: SENSOR if role == "flow" else {},
            records=lambda kind: [SimpleNamespace(fields={"holds": True, "values": self.rig})] if self.rig else [],
            end_s=end_s,
        )
        return GravimetricRecord(
            run, phases, course([(0.0, self.rate)], HOLD_S), plateau.from_s, (plateau.from_s, plateau.to_s), True,
            collection_of((t_s, mass, flat + 0.0012, flat + 20.0), Evaporation(blanks), BALANCE, COLLECTION, WATER),
            t_s, mass, True, 0.01, (), minutes if self.sensor else None, None,
        )  # fmt: skip

    def start_up(self, excluded=()):
        record = self.record()
        record = replace(record, flow_zero_ul_per_h=standing_zero(record))
        return next(_start(record, self.plateau, time_course(record), excluded))


def _limit(**limit: float) -> dict[str, Any]:
    return {**limit, "source": "file", "revision": "1"}


@pytest.mark.parametrize("blank", ["diverter", "stopped"])
@pytest.mark.parametrize("share", [1.01, 0.98])
@pytest.mark.parametrize(("rate", "gain", "zero"), [(ONE, -0.065, 0.0), (TENTH, 0.0, -0.3), (TENTH, 0.06, 1.2)])
def test_a_healthy_pump_starts_whatever_gain_and_zero_the_sensor_has(rate, gain, zero, share, blank):
    check = Bench(rate, share, gain, zero, blank=blank).start_up()
    assert check.verdict is Verdict.PASS
    assert check.value == pytest.approx(480.0 if rate == TENTH else 120.0, abs=61.0)
    assert check.note.startswith("by the flow sensor, scaled by the balance")


@pytest.mark.parametrize(("rate", "gain", "zero"), [(ONE, 0.04, 0.0), (TENTH, 0.04, 0.3)])
def test_a_pump_8_percent_low_is_there_by_no_sensor_that_shows_too_much(rate, gain, zero):
    check = Bench(rate, 0.92, gain, zero).start_up()
    assert (check.value, check.verdict) == (None, Verdict.FAIL)
    assert check.note.startswith("never within 3 h")


@pytest.mark.parametrize("sensor", [True, False])
@pytest.mark.parametrize("rate", [ONE, TENTH])
@pytest.mark.parametrize("share", [0.947, 0.953])
def test_a_flow_that_cannot_be_told_from_95_percent_neither_passes_nor_fails(rate, share, sensor):
    verdicts = {Bench(rate, share, sensor=sensor, seed=seed).start_up().verdict for seed in range(8)}
    assert verdicts <= {Verdict.NOT_MEASURED, Verdict.NOT_CAPABLE}


def test_one_that_came_as_measured_and_may_never_have_come_says_so():
    check = Bench(TENTH, 0.96).start_up()
    assert (check.value, check.expanded_uncertainty, check.verdict) == (540.0, None, Verdict.NOT_MEASURED)
    assert check.note.endswith("min and never")


@pytest.mark.parametrize("sensor", [True, False])
@pytest.mark.parametrize("rate", [ONE, TENTH])
def test_a_rotor_that_sticks_is_late(rate, sensor):
    check = Bench(rate, 1.01, -0.03, 0.4, late_s=3000.0, sensor=sensor).start_up()
    assert check.verdict is Verdict.FAIL
    assert check.value == pytest.approx(3600.0, abs=800.0)


@pytest.mark.parametrize(
    ("rate", "share", "passes"), [(ONE, 1.01, 60), (ONE, 0.98, 60), (TENTH, 1.01, 60), (TENTH, 0.98, 35)]
)
def test_of_sixty_benches_none_fails_a_healthy_pump(rate, share, passes):
    draw = np.random.default_rng(7)
    counted = Counter(
        Bench(rate, share, draw.normal(0.0, 0.025), draw.normal(0.0, 0.63), seed=seed).start_up().verdict
        for seed in range(60)
    )
    assert counted[Verdict.FAIL] + counted[Verdict.CONDITIONAL_FAIL] == 0
    assert counted[Verdict.PASS] >= passes


def test_an_interval_of_nine_minutes_fails_no_pump_that_may_have_started_before_it():
    check = Bench(TENTH, sensor=False).start_up()
    assert (check.value, check.verdict) == (1080.0, Verdict.NOT_CAPABLE)
    assert "between 2 min and 18 min" in check.note


def test_a_zero_that_no_sensor_has_is_something_that_flowed():
    plain, leaking = Bench(TENTH, zero=0.4).record(), Bench(TENTH, zero=3.0).record()
    found = [replace(one, flow_zero_ul_per_h=standing_zero(one)) for one in (plain, leaking)]
    assert [one.flow_zero_ul_per_h for one in found] == [pytest.approx(0.4, abs=0.01), pytest.approx(3.0, abs=0.01)]
    assert [time_course(one).u_zero_ul_per_h for one in found] == [pytest.approx(0.063), pytest.approx(0.63)]


def test_a_pump_that_cannot_be_stopped_shows_no_zero():
    record = Bench(TENTH, zero=0.4).record()
    record.run.dut["can_stop"] = False
    assert standing_zero(record) is None


def test_what_a_rig_check_found_holds_where_the_blanks_show_nothing():
    rig = {"flow_gain": 1.05, "u_flow_gain": 0.004, "flow_zero_ul_per_h": 0.5, "u_flow_zero_ul_per_h": 0.02}
    record = Bench(TENTH, 1.0, 0.05, 0.5, rig=rig).record()
    found = time_course(record)
    assert found.passed_ul(*record.analysis) == pytest.approx(TENTH * HOLD_S / 3600.0, rel=0.01)
    assert [found.u_gain_percent, found.u_zero_ul_per_h] == pytest.approx([0.63, 0.12], abs=0.01)


def test_where_nothing_flowed_the_certificate_tells_the_gain():
    bench = Bench(ONE, 0.0)
    record = replace(bench.record(), flow_zero_ul_per_h=0.0)
    found = time_course(record)
    scaled, level = levelled(record, found, record.analysis, ONE, ())
    assert scaled is found
    assert dict(level.rows())["sensor, gain"] == 2.5
    assert bench.start_up().verdict is Verdict.FAIL


def test_two_minutes_tell_less_of_the_gain_than_the_certificate():
    bench = Bench(ONE)
    record = replace(bench.record(), flow_zero_ul_per_h=0.0)
    found = time_course(record)
    without = [Exclusion(bench.plateau.from_s + 180.0, bench.plateau.to_s, "door")]
    assert levelled(record, found, record.analysis, ONE, without)[0] is found


def test_a_room_that_cools_or_that_nobody_measured_makes_the_level_less_sure():
    record = Bench(TENTH).record()
    cooled = replace(record, collected=replace(record.collected, room_degc=20.0 - record.collected.t_s / 7200.0))
    unmeasured = replace(record, run=SimpleNamespace(**{**vars(record.run), "has": lambda role: False}))
    records = (record, cooled, unmeasured)
    levels = [levelled(one, time_course(one), record.analysis, TENTH, ())[1] for one in records]
    lines = [dict(level.rows()).get("line, warming") for level in levels]
    assert lines == pytest.approx([0.0, 0.22 * 1.5 / math.sqrt(3.0) * 8.0, 0.22 / math.sqrt(3.0) * 8.0], rel=0.03)


def test_what_is_excluded_tells_no_gain():
    bench = Bench(ONE, 1.01, -0.065)
    begin, end = bench.plateau.from_s, bench.plateau.to_s
    some, everything = (bench.start_up([Exclusion(begin - 1.0, to_s, "door")]) for to_s in (begin + 5000.0, end))
    assert some.verdict is Verdict.PASS
    assert everything.verdict is Verdict.NOT_MEASURED


def test_a_time_of_settling_is_as_uncertain_as_what_is_left_of_the_band():
    """A flow that falls by 4 % an hour, and a zero that may have moved by a hundredth of it."""
    bench = Bench(TENTH, zero=-0.6)
    record = replace(bench.record(), flow_zero_ul_per_h=-0.6)
    record = replace(record, flow=_falling(record.flow))
    check = _settling(record, replace(bench.plateau, number=1), time_course(record), "step-1", "Step 1")
    assert check.value == pytest.approx(1980.0, abs=120.0)
    assert check.expanded_uncertainty == pytest.approx(2300.0, abs=200.0)


def _falling(minutes: Minutes) -> Minutes:
    since_h = (minutes.t_s - BLANK_S) / 3600.0
    flow = TENTH * (1.0 + 0.04 * (HOLD_S / 3600.0 - since_h)) - 0.6
    return replace(minutes, flow_ul_per_h=flow)
