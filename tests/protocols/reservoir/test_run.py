"""Whole lives of a filling: a sound pump's alarm, pumps that run dry before it, and what a pump says of itself."""

from __future__ import annotations

import pytest

from bench.request import Request
from bench.session import conduct
from data.checks import Status, Verdict
from data.run import Run
from instruments.simulation.programmer import Programmer
from protocols.analysis.reservoir_life.verdict import evaluate

SHRINKS = 993.33 / 998.21  # from the pump's 37 degC to 20 degC


def by_name(result):
    return {check.name: check for check in result.evaluation.checks}


def test_a_sound_pump_warns_before_it_is_empty_by_what_it_delivers_too_much(healthy):
    checks = by_name(healthy)
    left = 4500.0 - 2500.0 * 1.01 * SHRINKS  # it meters 1 % too much until the alarm

    assert healthy.evaluation.verdict is Verdict.PASS, checks
    assert abs(checks["alarm-error"].value - (left - 2000.0)) < checks["alarm-error"].expanded_uncertainty < 60.0
    assert checks["alarm-before-empty"].value == pytest.approx(2.2, abs=0.3)
    assert checks["empty-flow"].value < 20.0
    assert healthy.evaluation.values["refill_by_days"] > healthy.evaluation.values["alarm_after_days"]


def test_it_is_evaluated_the_same_again(healthy):
    with Run.open(healthy.run_file) as run:
        assert run.evaluation is not None
        assert evaluate(run).checks == run.evaluation.checks


def test_a_pump_that_delivers_twice_as_much_is_empty_before_its_calculated_alarm(run_life):
    checks = by_name(run_life("over-delivery:2", dut="sim-peristaltic"))

    assert checks["alarm-before-empty"].verdict is Verdict.FAIL
    assert checks["alarm-before-empty"].owner == "dut"
    assert checks["alarm-calculated"].value == pytest.approx(0.0, abs=5.0)


def test_a_wrong_count_a_low_battery_and_a_jump_of_the_clock_are_read_from_the_pump(run_life):
    checks = by_name(run_life("reservoir-count:1000", "battery-low:1@1h", "pump-clock-offset:60@1h", seed=2))
    failed = {name for name, check in checks.items() if check.verdict is Verdict.FAIL}

    assert {"alarm-calculated", "pump-alarms", "pump-clock"} <= failed
    assert checks["alarm-calculated"].value == pytest.approx(1000.0, abs=20.0)
    assert checks["pump-alarms"].note == "the pump reports low-battery"


def test_a_refill_after_the_alarm_silences_it_and_an_empty_vessel_takes_the_place_of_a_full_one(run_life):
    result = run_life(end="refill", beyond="0.3 mL", fill="3 mL", vessel="0.7 mL", seed=3)

    assert by_name(result)["alarm-cleared"].verdict is Verdict.PASS
    found = result.evaluation.values
    pressed = 1.0 - 0.001 * 0.85  # kPa that 19 mL/day need through the flow sensor
    assert found["delivered_ul"] == pytest.approx(found["programmed_ul"] * 1.01 * SHRINKS * pressed, rel=0.005)


def test_a_life_behind_a_person_with_a_programmer_goes_to_its_end_and_knows_its_alarm(run_life):
    result = run_life(by_hand=True, end="refill", seed=2)
    checks = by_name(result)

    assert result.end.status is Status.COMPLETED, result.end.reason
    assert checks["alarm-before-empty"].verdict is Verdict.PASS
    assert checks["alarm-cleared"].verdict is Verdict.PASS
    assert checks["pump-alarms"].verdict is Verdict.PASS
    assert checks["pump-clock"].note == "the pump's clock was not read twice"
    with Run.open(result.run_file) as run:
        commands = [str(event.fields["command"]) for event in run.records("pump-command")]
    assert [command for command in commands if command.startswith("FILL")] == ["FILL volume_ul=4500"] * 2


def test_an_alarm_as_a_person_types_it_is_the_alarm_that_a_life_brings_about(run_life, monkeypatch):
    told = Programmer.read

    def typed(self, details, unit, t):
        shown = told(self, details, unit, t)
        return shown.upper().replace("-", " ") if details["field"] == "alarms" else shown

    monkeypatch.setattr(Programmer, "read", typed)
    checks = by_name(run_life(by_hand=True, seed=2))

    assert checks["alarm-before-empty"].verdict is Verdict.PASS
    assert checks["pump-alarms"].verdict is Verdict.PASS


def test_the_balance_rests_while_a_vessel_fills_and_the_pump_is_judged_as_before(tmp_path):
    settings = {"rate": "19 mL/day", "fill": "4.5 mL", "vessel": "3 mL"}
    result = conduct(Request("reservoir-life", "sim-long", settings=settings, dut="sim-declared", out=tmp_path))
    assert result.evaluation.verdict is Verdict.PASS, by_name(result)
    with Run.open(result.run_file) as run:
        rests = [event.fields for event in run.records("rest")]
    assert [(fields["state"], fields["phase"]) for fields in rests][:3] == [
        ("begin", "life-1"), ("end", ""), ("begin", "life-2")
    ]  # fmt: skip
    assert {(fields["instrument"], fields["every"]) for fields in rests} == {("balance", 2)}


def test_an_empty_pump_whose_balance_is_seldom_read_fails_although_the_balance_repeats_itself(tmp_path):
    settings = {"rate": "19 mL/day", "fill": "9 mL"}
    fault = "over-delivery:1.25"
    result = conduct(
        Request("reservoir-life", "sim-life", settings, dut="sim-declared", faults=[fault], seed=5, out=tmp_path)
    )
    checks = by_name(result)
    assert checks["balance-alive"].value > checks["balance-alive"].limit_high  # three equal readings after the end
    assert checks["balance-alive"].verdict is Verdict.PASS
    assert (checks["alarm-error"].verdict, result.evaluation.verdict) == (Verdict.FAIL, Verdict.FAIL)
