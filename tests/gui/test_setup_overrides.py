"""Who starts a run in spite of a finding gives a reason: for what was read, for one run, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.request import Request
from bench.session import check
from gui.presenters import setup
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.setup import SetUp
from gui.presenters.setup_check import Examined, FindingRow
from protocols.flow_accuracy import FlowAccuracy


@pytest.fixture
def prepared(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: Inline) -> SetUp:
    """The set-up, with all that can be chosen."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(context.state_folder))
    monkeypatch.chdir(tmp_path)
    made = SetUp(context)
    made.find()
    made.context.background.every(setup.TICK_S, made._tick)
    made.shown(True)
    inline.run()
    return made


def test_an_override_is_of_one_station_and_what_blocked_is_looked_at_again_on_demand(
    prepared: SetUp, inline: Inline, pause: Callable[[], None]
) -> None:
    prepared.form.choose_station("sim-full")
    pause()
    prepared.override(setup.RIG_CHECK, "agreed with QA")
    assert prepared.why_not == ""
    prepared.find()
    inline.run()
    assert prepared.why_not == "Checking…"
    pause()
    assert prepared.why_not == ""
    prepared.form.choose_station("sim")
    prepared.form.choose_station("sim-full")
    pause()
    assert [one.code for one in prepared.blocking] == [setup.RIG_CHECK]


def test_nothing_is_told_of_overrides_that_nobody_has_given(prepared: SetUp, pause: Callable[[], None]) -> None:
    pause()
    assert prepared.examined is not None
    assert [one.text for one in prepared.examined.findings if "override" in one.text] == []


def test_a_finding_may_be_overridden_with_a_reason_by_the_person_named(
    prepared: SetUp, queued: list[Request], inline: Inline, pause: Callable[[], None]
) -> None:
    prepared.form.fill({**FlowAccuracy.qualification, "schedule": "23 mL/day", "analysis": "1 h"})
    pause()
    overridable = {one.code for one in prepared.blocking if one.overridable}
    assert "unusual-rate" in overridable
    for code in overridable:
        prepared.override(code, "agreed with QA")
    assert prepared.why_not == ""
    prepared.start()
    inline.run()
    assert {(one.finding, one.person, one.reason) for one in queued[0].overrides} == {
        (code, "Ada", "agreed with QA") for code in overridable
    }
    assert all(one.read for one in queued[0].overrides)
    check(queued[0])  # finds the same, to the letter
    assert prepared.overrides == {}


def overdue(*names: str) -> Examined:
    rows = (FindingRow("calibration", "blocks", f"{name} was due", True, f"{name} was due") for name in names)
    return Examined(tuple(rows))


def test_a_reason_is_none_for_something_else_that_is_found_under_the_same_code(
    prepared: SetUp, monkeypatch: pytest.MonkeyPatch, inline: Inline, pause: Callable[[], None]
) -> None:
    found = [overdue("the balance")]
    monkeypatch.setattr(setup, "examine", lambda request: found[-1])
    pause()
    prepared.override("calibration", "agreed with QA")
    assert prepared.why_not == ""
    found.append(overdue("the balance", "the flow sensor"))
    prepared.find()
    inline.run()
    pause()
    assert prepared.why_not == "the balance was due And 1 more."
    assert prepared.lapsed == {"calibration"}
    prepared.override("calibration", "both agreed with QA")
    found.append(overdue("the flow sensor"))
    prepared.find()
    inline.run()
    pause()
    assert (prepared.why_not, prepared.lapsed) == ("", set())
