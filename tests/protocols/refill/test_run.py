"""Whole refills on the simulated bench: a healthy one, and what faults make of it."""

from __future__ import annotations

import pytest

from data.checks import Status, Verdict
from data.run import Run
from protocols.analysis.refill.verdict import evaluate

QUICK = {"analysis": "1 h", "blank_length": "30 min"}


def by_name(evaluation):
    return {check.name: check for check in evaluation.checks}


def test_a_healthy_refill_passes_and_its_ledger_closes(healthy):
    checks = by_name(healthy.evaluation)

    assert healthy.evaluation.verdict is Verdict.PASS, [c for c in checks.values() if c.verdict is Verdict.INVALID]
    assert abs(checks["ledger"].value) < checks["ledger"].expanded_uncertainty < 40.0
    assert healthy.evaluation.values["filled_ul"] == pytest.approx(8000.0, rel=0.01)
    assert checks["insertion-force"].value == pytest.approx(2.0, abs=0.6)
    assert "baclofen at 500 ug/mL, 10 mL/day" in checks["dose"].note


def test_it_is_evaluated_the_same_again(healthy):
    with Run.open(healthy.run_file) as run:
        assert run.evaluation is not None
        assert evaluate(run).checks == run.evaluation.checks
        assert evaluate(run).values == run.evaluation.values


def test_a_refill_behind_a_person_with_a_programmer_goes_to_its_end_and_passes(hurried):
    assert hurried.end.status is Status.COMPLETED, hurried.end.reason
    assert hurried.evaluation.verdict is Verdict.PASS
    assert by_name(hurried.evaluation)["alarm-date"].value == 0.0
    with Run.open(hurried.run_file) as run:
        replies = [event.fields["reply"] for event in run.records("pump-command") if "FILL" in event.fields["command"]]
    assert replies == ["done by Simulated Operator; read back reservoir_ul=8000"]


def test_what_a_filling_weighs_does_not_depend_on_how_late_the_emptying_was_halted(healthy, hurried):
    """Drawn eight times as fast, between two readings of the pressure, it makes half a millilitre of vacuum."""
    slow, fast = (by_name(one.evaluation)["weighed-counted"] for one in (healthy, hurried))

    assert fast.verdict is slow.verdict is Verdict.PASS
    assert fast.value == pytest.approx(slow.value, abs=slow.standard_uncertainty / 5.0)


def test_faults_of_port_pump_and_record_are_told_apart(run_refill):
    result = run_refill("pocket-fill:0.2", "wrong-concentration:4", "reservoir-count:3000", seed=2, **QUICK)
    checks = by_name(result.evaluation)
    failed = {name: check.owner for name, check in checks.items() if check.verdict is Verdict.FAIL}

    assert failed == {"pocket-fill": "dut", "alarm-date": "dut", "vial": "record"}
    assert checks["pocket-fill"].value == pytest.approx(0.2 * 8000.0, rel=0.05)
    assert checks["residual"].verdict is Verdict.INVALID


def test_a_needle_beside_the_port_neither_fails_nor_passes_the_pump(run_refill):
    result = run_refill("needle-beside-port", seed=3, **QUICK)
    checks = by_name(result.evaluation)

    assert result.evaluation.verdict is Verdict.INVALID
    assert checks["needle-at-stop"].verdict is Verdict.INVALID
    assert "beside the port" in checks["needle-at-stop"].note
    assert not [name for name, check in checks.items() if check.owner == "dut" and check.verdict is Verdict.FAIL]
