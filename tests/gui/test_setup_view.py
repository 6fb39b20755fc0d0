"""The panel in which a run is prepared, as a person and a scanner use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QFocusEvent, QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QWidget,
)

from bench.request import Override, Request
from bench.rpc.messages import Ending
from bench.run_queue import RunState, StationLock, enqueue
from gui.presenters import setup
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.setup import SetUp
from gui.presenters.setup_check import Examined, FindingRow, Foreseen, StepRow
from gui.presenters.setup_queue import withdraw
from gui.theme.look import look
from gui.views.setup import SetUpPanel
from gui.views.setup_findings import ANEW
from protocols.flow_accuracy import FlowAccuracy

Shown = Callable[..., SetUpPanel]

DUE = "the certificate of the balance was due; renew it"
OVERDUE = FindingRow("calibration", "blocks", DUE, overridable=True, found=f"/lab/sim.toml: {DUE}")
HARD = FindingRow("rate", "blocks", "the pump cannot be programmed to this rate; change it")
POOR = FindingRow("method", "warns", "short blanks tell the evaporation poorly")


@pytest.fixture
def found() -> list[FindingRow]:
    """What the check of a request finds."""
    return []


@pytest.fixture
def panel(
    context: Context,
    found: list[FindingRow],
    queued: list[Request],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> SetUpPanel:
    """The panel on the simulated station, with everything found and checked."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(context.state_folder))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(setup, "examine", lambda request: Examined(tuple(found)))
    monkeypatch.setattr(setup, "foresee", lambda request: Foreseen())
    look().apply("light", "desk")
    made = SetUpPanel(SetUp(context))
    qtbot.addWidget(made)
    made.resize(360, 700)
    made.show()
    settle(made)
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


def settle(panel: SetUpPanel) -> None:
    background = panel.presenter.context.background
    assert isinstance(background, Inline)
    background.run()
    for _ in range(setup.LOOK_TICKS + 1):
        background.tick()


def edit(panel: SetUpPanel, name: str) -> Any:
    return panel.rows[name].edit


def type_over(edit: QLineEdit, text: str) -> None:
    edit.setFocus()
    edit.selectAll()
    QTest.keyClicks(edit, text)


def test_an_error_stands_under_its_field_when_the_person_pauses_and_goes_with_its_cause(panel: SetUpPanel) -> None:
    type_over(edit(panel, "analysis"), "25")
    assert not panel.rows["analysis"].error
    settle(panel)
    assert (
        panel.rows["analysis"].error
        == '"25" is not a time: it has no unit; write 25 with one of s, ms, us, min, h, day'
    )
    assert not panel.start.isEnabled()
    assert panel.start.toolTip() == "Correct Analysis."
    QTest.keyClicks(edit(panel, "analysis"), " h")
    assert not panel.rows["analysis"].error
    settle(panel)
    assert panel.start.isEnabled()


def test_a_field_that_was_left_shows_its_error_at_once(panel: SetUpPanel) -> None:
    type_over(edit(panel, "analysis"), "soon")
    QTest.keyClick(edit(panel, "analysis"), Qt.Key.Key_Tab)
    assert panel.rows["analysis"].error


def test_a_scanner_types_an_id_and_its_enter_goes_on_to_the_next_field(panel: SetUpPanel) -> None:
    box = panel.articles.boxes["dut"]
    type_over(box.line, "SIM-G20")
    QTest.keyClick(box.line, Qt.Key.Key_Return)
    assert panel.articles.rows["dut"].says.text() == "SIM-G20, pumpbench"
    assert panel.articles.serial.hasFocus()
    QTest.keyClicks(panel.articles.serial, "004417")
    QTest.keyClick(panel.articles.serial, Qt.Key.Key_Return)
    assert not panel.articles.serial.hasFocus()
    asked = panel.presenter.form.request()
    assert asked is not None
    assert (asked.dut, asked.serial) == ("sim-gas-driven", "004417")


def test_choosing_a_protocol_makes_its_form(panel: SetUpPanel) -> None:
    panel.protocol.setCurrentIndex(panel.protocol.findData("bolus-accuracy"))
    panel.protocol.activated.emit(panel.protocol.currentIndex())
    assert set(panel.rows) == {field.name for field in panel.presenter.form.fields.values()}
    assert panel.rows["requests"].edit.isChecked()
    assert [edit(panel, "day").itemText(at) for at in range(2)] == ["calendar", "rolling"]
    edit(panel, "requests").click()
    assert panel.presenter.form.fields["requests"].text == "no"


def test_a_schedule_may_stand_on_several_lines_and_tab_leaves_it(panel: SetUpPanel) -> None:
    schedule = edit(panel, "schedule")
    assert isinstance(schedule, QPlainTextEdit)
    schedule.setFocus()
    schedule.selectAll()
    QTest.keyClicks(schedule, "1 mL/day")
    QTest.keyClick(schedule, Qt.Key.Key_Return)
    QTest.keyClicks(schedule, "bolus 50 uL over 10 min every 4 h")
    QTest.keyClick(schedule, Qt.Key.Key_Tab)
    assert not schedule.hasFocus()
    asked = panel.presenter.form.request()
    assert asked is not None
    assert asked.settings == {"schedule": "1 mL/day; bolus 50 uL over 10 min every 4 h"}


def test_the_wheel_that_scrolls_the_form_changes_nothing_in_it(panel: SetUpPanel) -> None:
    before = panel.station.currentIndex()
    at, turn = QPointF(5, 5), QPoint(0, -120)
    keys, none = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.NoButton
    event = QWheelEvent(at, at, turn, turn, none, keys, Qt.ScrollPhase.NoScrollPhase, False)
    panel.station.wheelEvent(event)
    assert panel.station.currentIndex() == before
    assert not event.isAccepted()


def test_what_blocks_keeps_the_start_until_somebody_gives_a_reason(
    panel: SetUpPanel, found: list[FindingRow], queued: list[Request]
) -> None:
    found += [POOR, OVERDUE]
    panel.presenter.form.type("analysis", "2 h")
    settle(panel)
    assert not panel.start.isEnabled()
    reason = panel.findings.reasons["calibration"]
    type_over(reason, "agreed with QA")
    assert not panel.start.isEnabled()
    QTest.keyClick(reason, Qt.Key.Key_Return)
    assert panel.start.isEnabled()
    panel.start.click()
    settle(panel)
    assert queued[0].overrides == [Override("calibration", "Ada", "agreed with QA", (OVERDUE.found,))]
    settle(panel)
    assert panel.findings.reasons["calibration"].text() == ""  # for the next run it has to be given anew


def test_a_reason_that_is_being_given_is_not_lost_when_the_forecast_comes_or_all_is_looked_at_again(
    panel: SetUpPanel, found: list[FindingRow]
) -> None:
    found.append(OVERDUE)
    panel.presenter.form.type("analysis", "2 h")
    settle(panel)
    type_over(panel.findings.reasons["calibration"], "agreed w")
    panel.show_part("findings", "")  # the forecast has come
    assert panel.findings.reasons["calibration"].text() == "agreed w"
    assert panel.findings.reasons["calibration"].hasFocus()
    panel.presenter._changed()  # a station file was saved in an editor
    settle(panel)
    assert panel.findings.reasons["calibration"].text() == "agreed w"
    panel.presenter.form.type_serial("another")  # which it is not about
    settle(panel)
    assert panel.findings.reasons["calibration"].text() == ""


def test_a_reason_for_one_certificate_is_not_put_in_for_another(panel: SetUpPanel, found: list[FindingRow]) -> None:
    found.append(OVERDUE)
    panel.presenter.form.type("analysis", "2 h")
    settle(panel)
    type_over(panel.findings.reasons["calibration"], "agreed with QA")
    QTest.keyClick(panel.findings.reasons["calibration"], Qt.Key.Key_Return)
    other = "the certificate of the flow sensor was due; renew it"
    found[:] = [replace(OVERDUE, text=other, found=other)]
    panel.presenter.form.type("analysis", "3 h")
    settle(panel)
    reason = panel.findings.reasons["calibration"]
    assert (reason.text(), reason.placeholderText()) == ("", ANEW)
    assert not panel.start.isEnabled()
    type_over(reason, "not yet ag")
    found[:] = [OVERDUE]
    panel.presenter.form.type("analysis", "2 h")
    settle(panel)
    assert panel.findings.reasons["calibration"].text() == "agreed with QA"  # what was said of this one
    assert not panel.start.isEnabled()


def test_what_nobody_may_override_has_no_place_for_a_reason(panel: SetUpPanel, found: list[FindingRow]) -> None:
    found.append(HARD)
    panel.presenter.form.type("analysis", "2 h")
    settle(panel)
    assert panel.findings.reasons == {}
    assert not panel.start.isEnabled()


def test_the_first_start_offers_a_run_in_one_press(panel: SetUpPanel, queued: list[Request]) -> None:
    assert panel.try_it.isVisible()
    panel.try_it.click()
    assert not panel.try_it.isVisible()
    assert edit(panel, "analysis").text() == "2 h"
    settle(panel)
    assert queued[0].settings["analysis"] == "2 h"
    assert not panel.try_it.isVisible()


def test_a_run_that_waits_is_listed_and_can_be_withdrawn(panel: SetUpPanel, context: Context) -> None:
    lock = StationLock.take(context.state_folder, "sim")
    assert lock is not None
    lock.tell({"number": 7})
    settle(panel)
    assert panel.start.text() == "&Queue the run"
    panel.start.click()
    settle(panel)
    assert [row.entry.number for row in panel.queue.table.rows.rows] == [1]
    assert panel.queue.withdraw.isEnabled()
    panel.queue.withdraw.click()
    settle(panel)
    assert not panel.queue.isHidden()
    assert panel.queue.withdraw.text() == "Withdraw run 1: press again"
    panel.queue.withdraw.click()
    settle(panel)
    assert panel.queue.isHidden()
    lock.release()


def test_a_press_that_was_for_one_run_withdraws_no_other(panel: SetUpPanel, context: Context) -> None:
    entries = [enqueue(context.state_folder, Request("flow-record", "sim"), "sim") for _ in range(2)]
    settle(panel)
    panel.queue.table.selectRow(0)
    panel.queue.withdraw.click()
    panel.queue.table.selectRow(1)
    panel.queue.withdraw.click()
    settle(panel)
    assert [entry.state().state for entry in entries] == ["waiting", "waiting"]
    assert panel.queue.withdraw.text() == "Withdraw run 2: press again"


def test_the_run_that_was_chosen_to_be_withdrawn_stays_chosen_or_none_is(panel: SetUpPanel, context: Context) -> None:
    entries = [enqueue(context.state_folder, Request("flow-record", "sim"), "sim") for _ in range(3)]
    settle(panel)
    table = panel.queue.table
    table.selectRow(1)
    entries[0].claim()
    entries[0].tell(RunState("ended", ending=Ending("ended", "completed")))
    settle(panel)
    assert table.current().entry.number == entries[1].number
    withdraw(entries[1], "Ada", "elsewhere")
    enqueue(context.state_folder, Request("flow-record", "sim"), "sim")
    settle(panel)
    assert (len(table.rows.rows), table.current(), panel.queue.withdraw.isEnabled()) == (2, None, False)


def test_a_yes_that_came_from_elsewhere_is_ticked(panel: SetUpPanel) -> None:
    flag = next(name for name, one in panel.presenter.form.fields.items() if one.kind == "flag")
    panel.presenter.form.fill({flag: "true"})
    assert (edit(panel, flag).isChecked(), panel.presenter.form.fields[flag].text) == (True, "true")


def test_faults_are_chosen_from_the_list_and_taken_back(panel: SetUpPanel) -> None:
    simulation = panel.simulation
    simulation.opener.click()
    simulation.fault.setCurrentIndex(simulation.fault.findData("leak"))
    assert simulation.severity.text() == "0.3"
    simulation.severity.setText("much")
    simulation.add_button.click()
    assert "is not a number" in simulation.error
    simulation.severity.clear()
    QTest.keyClicks(simulation.severity, "0.2")
    assert not simulation.error
    simulation.at.setText("2 h")
    simulation.add_button.click()
    assert (panel.presenter.form.faults, simulation.error) == (["leak:0.2@2 h"], "")
    panel.presenter.form.remove_fault(0)
    assert panel.presenter.form.faults == []


def test_a_real_station_has_no_simulation(panel: SetUpPanel) -> None:
    panel.presenter.form.choose_station("template")
    assert panel.simulation.isHidden()
    assert panel.articles.serial.placeholderText() == ""


@pytest.mark.parametrize("density", ["desk", "touch"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_panel(panel: SetUpPanel, density: Any, width: int) -> None:
    look().apply("light", density)
    panel.resize(width, 700)
    QTest.qWaitForWindowExposed(panel)
    assert panel.columns.are_two is (width == 1280)
    for one in panel.findChildren(QWidget):
        if one.isVisible() and isinstance(one, QLabel | QLineEdit | QComboBox | QAbstractButton):
            assert one.mapTo(panel, QPoint(one.width(), 0)).x() <= width, one.accessibleName() or one
    look().apply("light", "desk")


def test_everything_that_is_filled_in_has_a_name_and_the_tab_key_reaches_the_start(panel: SetUpPanel) -> None:
    for one in panel.findChildren((QLineEdit, QComboBox, QPlainTextEdit, QAbstractButton)):
        assert one.accessibleName() or one.text() or not one.isVisible(), one
    panel.station.setFocus()
    passed = [QApplication.focusWidget()]
    while passed[-1] is not panel.start and len(passed) < 40:
        QTest.keyClick(passed[-1], Qt.Key.Key_Tab)
        passed.append(QApplication.focusWidget())
    assert passed[-1] is panel.start
    read = [panel.station, panel.protocol, *(row.edit for row in panel.rows.values()), panel.articles.person]
    assert [one for one in passed if one in read] == read


def test_the_letter_of_a_label_brings_its_field_into_sight(panel: SetUpPanel) -> None:
    area = panel.station.parentWidget()
    while not isinstance(area, QScrollArea):
        assert area is not None
        area = area.parentWidget()
    bar = area.verticalScrollBar()
    assert bar is not None
    bar.setValue(bar.maximum())
    assert panel.station.visibleRegion().isEmpty()
    QApplication.sendEvent(panel.station, QFocusEvent(QEvent.Type.FocusIn, Qt.FocusReason.ShortcutFocusReason))
    assert not panel.station.visibleRegion().isEmpty()


def test_the_plan_is_as_high_as_its_rows_in_the_touch_density_too(panel: SetUpPanel) -> None:
    steps = (StepRow("Tare the balance", (0.0, 0.0), (0.0, 0.0)),) * 3
    panel.presenter.examined = Examined((), steps=steps)
    panel.plan.show_all()
    before = panel.plan.table.height()
    look().apply("light", "touch")
    assert panel.plan.table.height() > before


def test_the_plan_of_another_protocol_is_read_from_its_beginning(panel: SetUpPanel) -> None:
    bar = panel.plan.table.verticalScrollBar()
    assert bar is not None
    for name, before, after in (("Weigh", 0, 5), ("Weigh", 5, 5), ("Push", 0, 0)):
        steps = tuple(StepRow(f"{name} {number}", (0.0, 0.0), (60.0, 60.0)) for number in range(40))
        panel.presenter.examined = Examined((), steps)
        panel.plan.show_all()
        assert bar.value() == before, name
        bar.setValue(after)


def test_a_text_that_is_longer_than_its_field_is_read_from_its_beginning(panel: SetUpPanel) -> None:
    row = next(row for row in panel.rows.values() if isinstance(row.edit, QLineEdit))
    row.show_field(replace(panel.presenter.form.fields[row._name], text="3000 ug/day at 500 ug/mL; drug baclofen"))
    assert row.edit.cursorPosition() == 0  # type: ignore[attr-defined]  # a line


def test_a_parameter_that_a_recipe_fixes_is_shown_and_cannot_be_edited(panel: SetUpPanel, tmp_path: Path) -> None:
    fixed = 'schedule = "1 mL/day"\nanalysis = "1 h"\nblank = "stopped"\n'
    head = 'name = "basal"\nversion = "2"\nauthor = "a"\nprotocol = "flow-accuracy"\nduts = ["SIM-20"]\n'
    (tmp_path / "basal.toml").write_text(f"{head}method = {FlowAccuracy.method}\n[params]\n{fixed}")
    panel.presenter.find()
    settle(panel)
    at = panel.protocol.findText("basal, version 2 – unsigned")
    panel.protocol.setCurrentIndex(at)
    panel.protocol.activated.emit(at)
    assert edit(panel, "analysis").isReadOnly()
    assert edit(panel, "schedule").isReadOnly()
    assert not edit(panel, "blank").isEnabled()
    assert not edit(panel, "stabilisation").isReadOnly()
    assert panel.protocol.currentText() == "basal, version 2 – unsigned"
