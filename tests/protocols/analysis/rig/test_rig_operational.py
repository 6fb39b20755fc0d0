"""Operational qualification: a known leak behind a known compliance, a stop that did not stop, what a person read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from data.samples import Channel
from protocols.analysis.rig import RecordError, operational
from protocols.operational_qualification import PARTS, OperationalQualification
from protocols.procedure import ParamError

SEALED = Path(__file__).parents[3] / "runs" / "operational-qualification-1.h5"
CHANNEL = Channel("x", "1")
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
        return Series(t, values, np.zeros(t.size, dtype=np.uint16), CHANNEL)

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
        return Series(t, t * rate / 3600.0 if shown is None else np.full(t.size, shown), t, CHANNEL)

    collection = {"evaporation_mg_per_h": 0.0, "evaporation_spread_mg_per_h": 0.0, "meniscus_mg": 0.0}
    collection |= {"dead_volume_ul": 0.0, "buoyant_volume_ul": 0.0, "load_mg": 0.0}
    balance = {"drift_mg_per_day": 0.0, "zero_walk_mg": 0.001, "repeatability_mg": 0.02, "readability_mg": 0.01}
    balance |= {"temperature_coefficient_percent_per_k": 0.0001}
    roles = {"pusher": "pusher", "flow": "sensor.flow"}
    station = {"collection": collection}
    run = SimpleNamespace(calibration=lambda role: {}, roles=roles, station=station, has=roles.__contains__)

    def mean(role: str, phase: str) -> float:
        return float(good(role, phase).values.mean())

    air = {"air_mg_per_ul": lambda span: 0.0012, "lost_air": lambda span: ()}
    return SimpleNamespace(good=good, mean=mean, run=run, balance=balance, ul_per_mg=1.0, **air), params


def test_flows_that_were_weighed_in_the_air_of_no_laboratory_are_invalid() -> None:
    record, params = flowing(lambda rate: rate)
    record.air_mg_per_ul = lambda span: 0.012  # a barometer in another unit
    found = {check.name: check for check in operational._flow(record, params)}
    assert (found["air-density"].verdict, found["air-density"].owner) == (Verdict.INVALID, "rig")


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


BALANCE = {"repeatability_mg": 0.02, "readability_mg": 0.01, "zero_walk_mg": 0.01}


def weighed(load_sd_mg: float) -> dict[str, Any]:
    """Checks of a part "weights" whose loads, zeros too, scatter so much each time."""
    random = np.random.default_rng(5)
    masses = {"1": 5000.0, "2": 20_000.0, "3": 50_000.0}

    def good(role: str, phase: str) -> Series:
        what, number, k = phase.split("-")
        t = 200.0 * (2 * int(k) - (what == "empty")) + np.arange(20.0)
        load = masses[number] * (what == "loaded") + load_sd_mg * random.standard_normal()
        return Series(t, np.full(20, load), t, CHANNEL)

    record: Any = SimpleNamespace(good=good, balance=BALANCE)
    params = OperationalQualification(part="weights").values()
    return {check.name: check for check in operational._weights(record, params)}


def test_a_sound_balance_is_known_as_well_as_the_station_file_states_it() -> None:
    checks = weighed(0.02)
    assert {check.verdict for check in checks.values()} == {Verdict.PASS}
    # Of two weighings that share a zero: 0.02 mg times the root of 7/8.
    stated = math.hypot(0.05, math.sqrt(0.02**2 * 7.0 / 8.0), 0.01 / math.sqrt(12.0))
    assert checks["weight-2"].standard_uncertainty == pytest.approx(stated, rel=0.01)


def test_a_balance_that_does_not_repeat_fails_for_that_and_its_errors_are_less_certain() -> None:
    checks = weighed(0.3)
    assert checks["weights-repeatability"].verdict is Verdict.FAIL
    assert "3 degrees of freedom" in checks["weights-repeatability"].note
    found = checks["weights-repeatability"].value
    assert found == pytest.approx(0.3, rel=0.6)
    assert checks["weight-2"].standard_uncertainty == pytest.approx(
        math.hypot(0.05, found * math.sqrt(0.875)), rel=0.01
    )
    assert checks["weight-2"].degrees_of_freedom == pytest.approx(3.0, rel=0.3)
    assert checks["weight-2"].verdict is not Verdict.PASS


PRESSED = {"name": "e-stop", "channel": "safety.e_stop", "value": 1.0, "sample_s": 10.0, "text": "pressed"}
IN_TIME = (("pusher: halted", 10.1), ("valve daq.vent released", 10.9))


def stopped(
    status: Status = Status.STOPPED_BY_INTERLOCK,
    trips: Sequence[Mapping[str, Any]] = (PRESSED,),
    orders: Sequence[tuple[str, float]] = IN_TIME,
    unconfirmed: str = "",
    cause: str = "pressed",
) -> Any:
    """A record of a run with these trips of an interlock, whose input is read each second, and orders of a safe state.

    Every instrument's own safe state follows at 14 s.
    """
    done = [{"what": what, "confirmed": what != unconfirmed, "took_s": 0.1, "at": at} for what, at in orders]
    done.append({"what": "room: a hygrometer drives nothing", "confirmed": True, "took_s": None, "at": 14.0})
    last_s = orders[-1][1] if orders else 10.0
    events = {
        "interlock": [Event(last_s, "interlock", trip) for trip in trips],
        "safe-state": [Event(10.0, "safe-state", {"cause": cause})],
        "confirm": [Event(1.0, "confirm", {"what": "valve daq.vent energised", "confirmed": True, "took_s": 0.0})],
    }
    events["confirm"] += [Event(fields["at"], "confirm", fields) for fields in done]
    t = np.arange(0.0, 11.0)
    shown = Series(t, np.where(t < 10.0, 0.0, 1.0), np.zeros(t.size, dtype=np.uint16), CHANNEL)
    run = SimpleNamespace(
        station={"protection": {"e_stop": "e-stop"}},
        status=status,
        roles={"pusher": "pusher"},
        records=events.__getitem__,
        series=lambda channel: shown,
    )
    return SimpleNamespace(run=run)


def told(record: Any, reaction_s: float = 2.0) -> dict[str, Any]:
    return {check.name: check for check in operational._e_stop(record, {"reaction_s": reaction_s})}


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (stopped(Status.COMPLETED, []), "e-stop"),
        (stopped(trips=[{**PRESSED, "name": "outlet-pressure"}]), "e-stop"),
        (stopped(cause="the outlet's pressure"), "e-stop"),
        (stopped(orders=(("pusher: halted", 10.1), ("valve daq.vent released", 12.9))), "e-stop-reaction"),
        (stopped(unconfirmed="pusher: halted"), "e-stop-confirmed"),
        (stopped(unconfirmed="valve daq.vent released"), "e-stop-confirmed"),
    ],
)
def test_a_stop_that_is_not_one_fails(record: Any, name: str) -> None:
    assert told(record)[name].verdict is Verdict.FAIL


def test_a_stop_in_time_passes_and_every_order_counts() -> None:
    checks = told(stopped())
    assert {check.verdict for check in checks.values()} == {Verdict.PASS}
    assert checks["e-stop-confirmed"].value == 3.0


def test_the_safe_state_is_reached_with_its_last_order_and_the_contact_may_be_a_sample_old() -> None:
    reaction = told(stopped())["e-stop-reaction"]
    assert reaction.value == pytest.approx(0.9 + 0.5)
    assert reaction.standard_uncertainty == pytest.approx(1.0 / math.sqrt(12.0))


def test_an_order_that_answers_late_was_confirmed_then() -> None:
    unsure = "controller: vented: not confirmed, no answer within 1 s"
    orders = (*IN_TIME, (unsure, 11.0), ("controller: vented, late", 11.3))
    checks = told(stopped(orders=orders, unconfirmed=unsure), reaction_s=3.0)
    assert checks["e-stop-reaction"].value == pytest.approx(1.3 + 0.5)
    assert {check.verdict for check in checks.values()} == {Verdict.PASS}


def test_a_pusher_that_the_ordered_steps_leave_out_is_safe_when_every_instrument_is() -> None:
    reaction = told(stopped(orders=(("valve daq.vent released", 10.9),)))["e-stop-reaction"]
    assert reaction.value == pytest.approx(4.0 + 0.5)
    assert reaction.verdict is Verdict.FAIL


def test_an_input_that_is_read_too_seldom_cannot_show_a_short_reaction() -> None:
    check = told(stopped(), reaction_s=1.5)["e-stop-reaction"]
    assert check.verdict is Verdict.NOT_CAPABLE
    assert "read every 1 s" in check.note


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (stopped(unconfirmed="valve daq.vent released"), "valve daq.vent released"),
        (stopped(trips=[{**PRESSED, "sample_s": None}]), "fell silent"),
        (stopped(trips=[{**PRESSED, "value": None}]), "fell silent"),
    ],
)
def test_a_reaction_of_which_a_time_is_missing_is_not_measured(record: Any, why: str) -> None:
    check = told(record)["e-stop-reaction"]
    assert (check.verdict, check.value) == (Verdict.NOT_MEASURED, None)
    assert why in check.note


@pytest.mark.parametrize(
    ("opens_kpa", "verdict"),
    [(250.0, Verdict.PASS), (272.0, Verdict.CONDITIONAL_PASS), (300.0, Verdict.FAIL)],
)
def test_a_relief_valve_is_judged_with_the_gauge_that_was_read(opens_kpa: float, verdict: Verdict) -> None:
    assert relief(opens_kpa, {}).verdict is verdict


def relief(opens_kpa: float, station: Mapping[str, Any]) -> Any:
    record: Any = SimpleNamespace(run=SimpleNamespace(answers={"opens-at": opens_kpa}, station=station))
    params = {"relief_kpa": 250.0, "relief_error_percent": 10.0, "gauge_u_kpa": 2.0}
    (check,) = operational._relief(record, params)
    return check


def test_a_relief_valve_has_to_open_where_the_station_file_says_whatever_the_parameter_is() -> None:
    station = {"protection": {"relief_kpa": 120.0}}
    assert relief(250.0, station).verdict is Verdict.FAIL
    assert relief(120.0, station).verdict is Verdict.PASS


def judged_line(change: Any) -> Any:
    """Loss of a tight line, whose pressures in the decay are changed."""
    record = closed_line(0.5, 0.5)
    whole = record.good
    record.good = lambda role, phase: change(whole(role, phase)) if phase == "decay" else whole(role, phase)
    (check,) = operational._closed_line(record, {**PARAMS, "tight_ul_per_h": 2.0, "capsule_ul_per_kpa": 0.0})
    return check


def test_a_closed_line_passes_that_holds_and_no_frozen_transducer_or_line_that_gains_fluid() -> None:
    held = judged_line(lambda series: series)
    frozen = judged_line(lambda series: replace(series, values=np.full_like(series.values, 99.0)))
    rising = judged_line(lambda series: replace(series, values=series.values + 40.0 / 3600.0 * series.t))
    assert (held.verdict, frozen.verdict, rising.verdict) == (Verdict.PASS, Verdict.NOT_MEASURED, Verdict.FAIL)


def test_a_syringe_pump_that_its_certificate_corrects_pushes_what_that_says() -> None:
    record = closed_line(0.5, 20.0)
    record.run.calibration = lambda role: {"gain": 1.1}
    line, loss = operational._line(record, PARAMS)
    assert (line.ul_per_kpa, loss.ul_per_h) == (pytest.approx(0.55, rel=0.01), pytest.approx(22.0, rel=0.01))


@pytest.mark.parametrize("part", PARTS)
def test_every_part_needs_what_its_steps_use(part: str) -> None:
    procedure = OperationalQualification(part=part)
    used = {role for step in (*procedure.steps(), *procedure.teardown()) for role in step.roles}
    assert used <= procedure.needs()


def test_weights_that_are_none_are_told() -> None:
    with pytest.raises(ParamError, match="is no list of masses"):
        OperationalQualification(part="weights", weights="5 kPa")
