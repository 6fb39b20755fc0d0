"""Whether an occlusion alarm came: by the pump's log, or by what a person read off its programmer."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from data.checks import Verdict
from data.run import Run
from protocols.analysis.occlusion.verdict import evaluate

SEALED = Path(__file__).parents[3] / "runs" / "occlusion-1.h5"  # opened at 68.4 kPa; the alarm came at 49.8 kPa


def alarm_pressure(*, log: bool, alarms: list[str], at_most_kpa: float | None):
    """The check where the pump's log was read, or only the alarms that stand, before the line was opened."""
    with Run.open(SEALED) as run:
        dut = copy.deepcopy(run.dut)
        dut["limits"]["occlusion"]["alarm_at_most_kpa"] = at_most_kpa
        events = list(run.events)
        for k, event in enumerate(events):
            if event.kind == "pump":
                said = alarms if event.fields["key"] == "closed-1" else []
                told = {"alarms": said} if log else {"alarms": said, "log": [], "clock_s": None}
                events[k] = replace(event, fields={**event.fields, **told})
        run.__dict__.update(dut=dut, events=tuple(events))
        return next(check for check in evaluate(run).checks if check.name == "alarm-pressure")


@pytest.mark.parametrize(
    ("alarms", "at_most_kpa", "verdict", "value"),
    [
        (["occlusion"], 55.0, Verdict.NOT_MEASURED, 68.4),  # it came before 68.4 kPa, nobody knows where
        (["occlusion"], 75.0, Verdict.PASS, 68.4),
        (["stall"], 55.0, Verdict.FAIL, None),
        (["stall"], 75.0, Verdict.NOT_MEASURED, None),
    ],
)
def test_without_a_log_an_alarm_that_stands_came_before_it_was_read(alarms, at_most_kpa, verdict, value):
    check = alarm_pressure(log=False, alarms=alarms, at_most_kpa=at_most_kpa)
    assert (check.verdict, check.optional) == (verdict, False)
    assert check.value == (value if value is None else pytest.approx(value, abs=0.1))


def test_an_alarm_in_the_log_has_its_pressure_whatever_stands():
    check = alarm_pressure(log=True, alarms=[], at_most_kpa=55.0)
    assert (check.verdict, check.value) == (Verdict.PASS, pytest.approx(49.77, abs=0.01))


@pytest.mark.parametrize(("late_s", "counts"), [(0.4, True), (5.0, False)])
def test_an_alarm_that_sounds_as_the_line_is_opened_is_one_though_its_log_rounds_the_second_up(late_s, counts):
    with Run.open(SEALED) as run:
        dut = copy.deepcopy(run.dut)
        dut["limits"]["occlusion"]["alarm_at_most_kpa"] = 60.0
        opened_s = run.phase("after-1")[0]
        events = list(run.events)
        for k, event in enumerate(events):
            if event.kind == "pump" and event.fields["key"] in ("closed-1", "opened-1"):
                asked, answered = event.fields["asked_s"], event.fields["answered_s"]
                ahead = float(event.fields["clock_s"]) - (asked + answered) / 2.0
                entry = f"{opened_s + late_s + ahead},alarm occlusion"
                events[k] = replace(event, fields={**event.fields, "log": [entry], "alarms": []})
        run.__dict__.update(dut=dut, events=tuple(events))
        check = next(check for check in evaluate(run).checks if check.name == "alarm-pressure")
    assert check.verdict is Verdict.FAIL  # beyond 60 kPa it came, or never
    assert (check.value is not None) == counts
