"""When a reservoir is empty, from records whose delivery is known; and what of a life counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data.checks import Check, Evaluation, Status, Verdict
from data.run import Run
from protocols.analysis.pump_reports import pump_reports
from protocols.analysis.reservoir_life import verdict
from protocols.analysis.reservoir_life.record import LifeRecord
from protocols.analysis.reservoir_life.verdict import Life, evaluate
from protocols.reservoir_life import ReservoirLife

RATE_UL_PER_H, START_S, HOUR_S = 100.0, 310.0, 3600.0


def life(*shares: float) -> Life:
    """Ten windows of 1 h for each share of the program that the pump delivers."""
    hours = np.arange(10.0 * len(shares) + 1.0)
    delivered = np.concatenate([[0.0], np.cumsum(np.repeat(shares, 10) * RATE_UL_PER_H)])
    record: Any = SimpleNamespace(
        rate_ul_per_h=RATE_UL_PER_H,
        filled_ul=18_000.0,
        t_s=START_S + hours * HOUR_S,
        delivered_ul=delivered,
        gravimetric=SimpleNamespace(stroke_ul=5.0, analysis=(START_S, START_S + float(hours[-1]) * HOUR_S)),
    )
    return Life(record)


@pytest.mark.parametrize(
    ("shares", "empty_h"),
    [
        ((1.0, 1.0, 0.0), 20.0),
        ((1.25, 1.25, 0.05), 20.0),
        ((0.75, 0.75, 0.75), None),  # too little all along: it is not empty
        ((0.75, 0.75, 0.1), 20.0),
        ((1.0, 0.7, 1.0), None),
        ((1.0, 0.0, 0.0, 0.0, 0.0), 10.0),  # nothing comes any more, whatever the reason
        ((0.0, 0.0), 0.0),
    ],
)
def test_it_is_empty_from_when_little_of_what_the_pump_usually_delivers_comes(
    shares: tuple[float, ...], empty_h: float | None
) -> None:
    found = life(*shares).empty_s
    assert found == (None if empty_h is None else START_S + empty_h * HOUR_S)


def test_before_anything_was_delivered_all_that_was_filled_in_is_left() -> None:
    record: Any = SimpleNamespace(filled_ul=18_000.0, gravimetric=SimpleNamespace(started_s=START_S))
    left, budget = LifeRecord.left(record, START_S)
    assert left == 18_000.0
    assert budget.u == 20.0


SEALED = Path(__file__).parents[2] / "runs" / "reservoir-life-2.h5"
WITHOUT_ALARM: dict[str, Any] = {"low_reservoir": "none", "low_reservoir_ul": None, "alarms": ()}


def judged(**changed: Any) -> Evaluation:
    """The sealed life of a sound filling, judged with another file of the pump."""
    with Run.open(SEALED) as run:
        run.__dict__["dut"] = {**run.dut, **changed}
        return evaluate(run)


def test_a_pump_without_the_alarm_whose_level_nothing_limits_passes_by_nothing_that_it_says() -> None:
    with Run.open(SEALED) as run:
        limits = dict.fromkeys(run.dut["limits"])
    found = judged(**WITHOUT_ALARM, limits=limits)
    assert not [check.name for check in found.checks if check.name == "pump-alarms" and not check.optional]
    assert found.verdict is Verdict.NOT_MEASURED
    assert judged(**WITHOUT_ALARM).verdict is Verdict.PASS  # its delivery over the level is limited
    assert judged(limits=limits).verdict is Verdict.PASS  # an alarm has to come before the end, whatever is declared


@pytest.mark.parametrize(("clock_error_ppm", "clock"), [(500.0, Verdict.PASS), (100.0, Verdict.NOT_CAPABLE)])
def test_a_clock_that_keeps_the_time_passes_nobody(clock_error_ppm: float, clock: Verdict) -> None:
    with Run.open(SEALED) as run:
        limits = dict.fromkeys(run.dut["limits"])
    found = judged(**WITHOUT_ALARM, limits=limits, clock_error_ppm=clock_error_ppm)
    check = next(check for check in found.checks if check.name == "pump-clock")
    assert (check.verdict, check.optional, found.verdict) == (clock, True, Verdict.NOT_MEASURED)


@pytest.mark.parametrize(("off_s", "verdict", "counts"), [(9.0, Verdict.PASS, False), (60.0, Verdict.FAIL, True)])
def test_a_clock_counts_against_a_pump_alone(off_s: float, verdict: Verdict, counts: bool) -> None:
    run: Any = SimpleNamespace(dut={"clock_error_ppm": 500.0})
    first, last = (
        {"alarms": (), "asked_s": at, "answered_s": at, "clock_s": clock}
        for at, clock in ((0.0, 0.0), (36_000.0, 36_000.0 + off_s))
    )
    clock = next(pump_reports(run, first, last, ()))
    assert (clock.verdict, not clock.optional) == (verdict, counts)


@pytest.mark.parametrize("status", [Status.ABORTED, Status.STOPPED_BY_INTERLOCK, Status.ERROR])
def test_a_life_that_was_stopped_in_its_last_phase_passes_nothing(status: Status) -> None:
    with Run.open(SEALED) as run:
        run.__dict__["status"] = status
        found = evaluate(run)
    assert found.verdict is Verdict.NOT_MEASURED
    assert not [check.name for check in found.checks if not check.suitability and check.verdict is Verdict.PASS]


def test_an_alarm_that_nothing_provoked_still_counts() -> None:
    run: Any = SimpleNamespace(dut={})
    answer = {"alarms": ("stall",), "asked_s": 0.0, "answered_s": 1.0, "clock_s": 0.0}
    _, alarms = pump_reports(run, answer, answer, ())
    assert (alarms.verdict, alarms.optional, alarms.note) == (Verdict.FAIL, False, "the pump reports stall")


@pytest.mark.parametrize(("level", "said"), [(None, True), ({"low_percent": -5.0, "high_percent": 5.0}, False)])
def test_a_life_that_will_be_judged_by_nothing_is_told_before_the_start(level: object, said: bool) -> None:
    told = list(ReservoirLife().remarks({"model": "M", "low_reservoir_ul": None, "limits": {"reservoir_level": level}}))
    assert any("declares no [limits.reservoir-level] either" in one for one in told) is said


@pytest.mark.parametrize(("alarms", "names"), [((), []), (("low-reservoir",), ["alarm-cleared"])])
def test_a_refill_clears_no_alarm_of_a_pump_that_has_none(alarms: tuple[str, ...], names: list[str]) -> None:
    run = SimpleNamespace(dut={"alarms": alarms}, params={"end": "refill"})
    life: Any = SimpleNamespace(empty_s=None, record=SimpleNamespace(run=run, statuses={"refilled": {"alarms": []}}))
    assert [check.name for check in verdict._end(life)] == names


def read_off(with_alarm: str, empty_share: float) -> dict[str, Check]:
    """The sealed life, its pump read by a person: the alarm stands from one reading on; when the reservoir is empty."""
    with Run.open(SEALED) as run:
        events, stands = [], False
        for event in run.events:
            if event.kind == "pump":
                stands = stands or event.fields["key"] == with_alarm
                said = {"alarms": ["low-reservoir"] if stands else [], "log": [], "clock_s": None}
                event = replace(event, fields={**event.fields, **said})
            events.append(event)
        run.__dict__["events"] = tuple(events)
        lives = [phase for phase in run.phases if phase.name.startswith("life-")]
        empty_s = lives[0].t0 + empty_share * (lives[-1].t1 - lives[0].t0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Life, "empty_s", empty_s)
            return {check.name: check for check in evaluate(run).checks}


@pytest.mark.parametrize(
    ("with_alarm", "empty_share", "expected"),
    [
        ("count-1", 0.9, Verdict.PASS),  # two vessels: it stood after the first
        ("count-2", 0.9, Verdict.NOT_MEASURED),  # it came and the reservoir ran dry, both in the second
        ("count-2", 0.3, Verdict.FAIL),  # dry in the first, at whose end no alarm stood
        ("never", 0.9, Verdict.FAIL),
    ],
)
def test_without_a_log_an_alarm_came_between_two_readings(
    with_alarm: str, empty_share: float, expected: Verdict
) -> None:
    found = read_off(with_alarm, empty_share)
    assert found["alarm-before-empty"].verdict is expected
    assert found["alarm-error"].verdict is Verdict.NOT_MEASURED


def cut_after_the_first_vessel(*, alarm: bool) -> dict[str, Check]:
    """A sealed life of two vessels that a person ended in the second, after it ran dry; read with the first alone."""
    with Run.open(SEALED.with_name("reservoir-life-7.h5")) as run:
        events = []
        for event in run.events:
            if event.kind == "pump" and event.fields["key"] == "count-2":
                continue
            if event.kind == "pump" and not alarm:
                event = replace(event, fields={**event.fields, "log": ["0.0,start"]})
            events.append(event)
        run.__dict__.update(events=tuple(events), status=Status.ABORTED)
        return {check.name: check for check in evaluate(run).checks}


def test_of_an_alarm_after_the_last_answer_of_a_run_that_ended_early_nothing_is_known() -> None:
    check = cut_after_the_first_vessel(alarm=True)["alarm-before-empty"]
    assert (check.verdict, check.optional) == (Verdict.NOT_MEASURED, False)
    assert check.note.endswith("the pump was last read before, without the alarm")


def test_a_pump_that_was_asked_after_it_ran_dry_and_has_no_alarm_fails_in_a_run_that_ended_early_too() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Life, "empty_s", 20_000.0)
        check = cut_after_the_first_vessel(alarm=False)["alarm-before-empty"]
    assert check.verdict is Verdict.FAIL


def gaining(mg: float, filled_ul: float = 0.0) -> Evaluation:
    """The sealed life on a balance that gained so much by itself, evenly, and so much more typed as filled in."""
    with Run.open(SEALED) as run:
        mass = run.series("reference_mass")
        drift = mg * (mass.t - mass.t[0]) / (mass.t[-1] - mass.t[0])
        run._series["reference_mass"] = replace(mass, values=mass.values + drift)
        run.__dict__["answers"] = {**run.answers, "filled": run.answers["filled"] + filled_ul}
        return evaluate(run)


@pytest.mark.parametrize(("mg", "filled_ul"), [(600.0, 0.0), (0.0, -600.0)])
def test_more_that_came_out_than_was_filled_in_is_the_rigs(mg: float, filled_ul: float) -> None:
    found = gaining(mg, filled_ul)
    checks = {check.name: check for check in found.checks}
    check = checks["within-filling"]
    assert (check.verdict, check.owner, check.suitability) == (Verdict.INVALID, "rig", True)
    assert checks["alarm-error"].verdict is checks["alarm-before-empty"].verdict is Verdict.INVALID
    assert found.verdict is Verdict.INVALID


@pytest.mark.parametrize(("mg", "filled_ul"), [(0.0, 0.0), (0.0, -60.0), (200.0, 0.0)])
def test_what_a_syringe_leaves_in_an_emptied_reservoir_makes_no_rig_unfit(mg: float, filled_ul: float) -> None:
    check = next(check for check in gaining(mg, filled_ul).checks if check.name == "within-filling")
    assert check.verdict is Verdict.PASS
