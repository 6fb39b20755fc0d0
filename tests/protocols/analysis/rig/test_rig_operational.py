"""Operational qualification: a known leak behind a known compliance, a stop that did not stop, what a person read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.closing import _in_this_run
from data.checks import Status, Verdict
from data.run import Event, Run, Series
from protocols.analysis.rig import RecordError, operational
from protocols.operational_qualification import PARTS, OperationalQualification
from protocols.procedure import ParamError

SEALED = Path(__file__).parents[3] / "runs" / "operational-qualification-1.h5"
PARAMS = {"injection_ul_per_h": 600.0, "proof_kpa": 100.0}


def closed_line(c_ul_per_kpa: float, leak_ul_per_h: float) -> Any:
    """A record of a line that loses so much at 100 kPa: C dP/dt = Q - g P, solved exactly."""
    g, q = leak_ul_per_h / 3600.0 / 100.0, 600.0 / 3600.0
    tau = c_ul_per_kpa / g
    end = -tau * np.log1p(-100.0 * g / q)
    up = np.arange(0.0, end, 0.1)
    down = np.arange(300.0, 900.0, 0.1)
    phases = {"ramp": (up, q / g * -np.expm1(-up / tau)), "decay": (down, 100.0 * np.exp(-down / tau))}

    def good(role: str, phase: str) -> Series:
        t, values = phases[phase]
        return Series(t, values, np.zeros(t.size, dtype=np.uint16), channel=None)  # type: ignore[arg-type]

    station = {"collection": {"dead_volume_ul": 1000.0}}
    run = SimpleNamespace(calibration=lambda role: {}, roles={"pusher": "pusher"}, station=station)
    return SimpleNamespace(good=good, run=run)


@given(st.floats(0.1, 2.0), st.floats(1.0, 60.0))
def test_leak_and_compliance_are_told_apart(c_ul_per_kpa: float, leak_ul_per_h: float) -> None:
    line, loss = operational._line(closed_line(c_ul_per_kpa, leak_ul_per_h), PARAMS)
    assert line.ul_per_kpa == pytest.approx(c_ul_per_kpa, rel=0.01)
    assert loss.ul_per_h == pytest.approx(leak_ul_per_h, rel=0.01)


def flowing(sensor: Any) -> Any:
    """A record of a part "flow" whose balance gains what was pushed, and whose sensor says that, a phase to a value."""
    params = OperationalQualification(part="flow").values()

    def good(role: str, phase: str) -> Series:
        rate = float(params.get(f"{phase.removeprefix('gain-')}_ul_per_h", 0.0))
        t = np.arange(0.0, 1200.0)
        shown = sensor(rate) if role == "flow" else None
        if role == "flow" and shown is None:
            raise RecordError(f'"flow" gave no good sample in phase "{phase}"')
        return Series(t, t * rate / 3600.0 if shown is None else np.full(t.size, shown), t, channel=None)  # type: ignore[arg-type]

    collection = {"evaporation_mg_per_h": 0.0, "evaporation_spread_mg_per_h": 0.0}
    balance = {"drift_mg_per_day": 0.0, "zero_walk_mg": 0.001, "repeatability_mg": 0.02}
    roles = {"pusher": "pusher", "flow": "sensor.flow"}
    run = SimpleNamespace(calibration=lambda role: {}, roles=roles, station={"collection": collection})
    mean = lambda role, phase: float(good(role, phase).values.mean())  # noqa: E731
    return SimpleNamespace(good=good, mean=mean, run=run, balance=balance, ul_per_mg=1.0), params


@pytest.mark.parametrize(
    ("sensor", "unmeasured"),
    [
        (lambda rate: rate, set()),
        (lambda rate: None, {"sensor-zero"}),
        (lambda rate: rate if rate < 50.0 else None, {"middle-sensor", "fast-sensor"}),
    ],
)
def test_a_flow_sensor_that_fell_silent_is_not_measured_and_breaks_nothing(sensor: Any, unmeasured: set[str]) -> None:
    checks = list(operational._flow(*flowing(sensor)))
    assert {check.name for check in checks if check.verdict is Verdict.NOT_MEASURED} == unmeasured
    assert {check.name for check in checks} >= {"slow-flow", "middle-flow", "fast-flow"}


@pytest.mark.parametrize("overridden", [False, True])
def test_a_bench_whose_certificate_was_overdue_passes_with_that_condition(overridden: bool) -> None:
    with Run.open(SEALED) as run:
        taken = {"finding": "calibration", "person": "Ada", "reason": "due tomorrow"}
        let_pass = (Event(0.0, "override", taken),) if overridden else ()
        run.__dict__["events"] = (*run.events, *let_pass)
        verdict = _in_this_run(operational.evaluate(run), run).verdict
    assert verdict is (Verdict.CONDITIONAL_PASS if overridden else Verdict.PASS)


@pytest.mark.parametrize("status", [Status.ABORTED, Status.STOPPED_BY_INTERLOCK])
def test_a_part_that_was_stopped_before_its_end_passes_nothing(status: Status) -> None:
    with Run.open(SEALED) as run:
        run.__dict__["status"] = status
        assert operational.evaluate(run).verdict is Verdict.NOT_MEASURED


def stopped(status: Status, trips: list[dict[str, Any]], confirmed: bool = True) -> Any:
    """A record of a run with these trips of an interlock, and one order of the safe state."""
    events = {"interlock": [Event(10.0, "interlock", trip) for trip in trips]}
    events["confirm"] = [Event(10.1, "confirm", {"what": "pusher halt", "confirmed": confirmed})]
    run = SimpleNamespace(station={"protection": {"e_stop": "e-stop"}}, status=status, records=events.__getitem__)
    return SimpleNamespace(run=run)


def verdicts(record: Any, reaction_s: float = 2.0) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in operational._e_stop(record, {"reaction_s": reaction_s})}


PRESSED = {"name": "e-stop", "reaction_s": 0.5}


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (stopped(Status.COMPLETED, []), "e-stop"),
        (stopped(Status.STOPPED_BY_INTERLOCK, [{"name": "outlet-pressure", "reaction_s": 0.1}]), "e-stop"),
        (stopped(Status.STOPPED_BY_INTERLOCK, [{**PRESSED, "reaction_s": 2.5}]), "e-stop-reaction"),
        (stopped(Status.STOPPED_BY_INTERLOCK, [PRESSED], confirmed=False), "e-stop-confirmed"),
    ],
)
def test_a_stop_that_is_not_one_fails(record: Any, name: str) -> None:
    assert verdicts(record)[name] is Verdict.FAIL


def test_a_stop_in_time_passes() -> None:
    assert set(verdicts(stopped(Status.STOPPED_BY_INTERLOCK, [PRESSED])).values()) == {Verdict.PASS}


@pytest.mark.parametrize(
    ("opens_kpa", "verdict"),
    [(250.0, Verdict.PASS), (272.0, Verdict.CONDITIONAL_PASS), (300.0, Verdict.FAIL)],
)
def test_a_relief_valve_is_judged_with_the_gauge_that_was_read(opens_kpa: float, verdict: Verdict) -> None:
    record: Any = SimpleNamespace(run=SimpleNamespace(answers={"opens-at": opens_kpa}))
    params = {"relief_kpa": 250.0, "relief_error_percent": 10.0, "gauge_u_kpa": 2.0}
    (check,) = operational._relief(record, params)
    assert check.verdict is verdict


@pytest.mark.parametrize("part", PARTS)
def test_every_part_needs_what_its_steps_use(part: str) -> None:
    procedure = OperationalQualification(part=part)
    used = {role for step in (*procedure.steps(), *procedure.teardown()) for role in step.roles}
    assert used <= procedure.needs()


def test_weights_that_are_none_are_told() -> None:
    with pytest.raises(ParamError, match="is no list of masses"):
        OperationalQualification(part="weights", weights="5 kPa")
