"""The scan as a person uses it: by keys, with what was found in a table, and the text of a station at its end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget

from bench.scan import SerialPort
from gui.presenters import station_scan
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.theme.look import look
from gui.views.station_page import StationPage
from instruments.instrument import Identity
from instruments.recognition import Found, Recognised

PORTS = [SerialPort(f"/dev/ttyUSB{n}", f"/dev/serial/by-id/usb-{n}", "FTDI FT232R") for n in range(8)]
SILENT = "nothing answers; check power and cable, or nothing is there that tells who it is"


def ask(resource: str, library: str, state_folder: Path) -> Found:
    """A balance is at the first port, and nothing at any other."""
    if resource.startswith("ASRL/dev/serial/by-id/usb-0"):
        return Found(resource, "mettler-mtsics", Recognised(Identity("Mettler-Toledo", "XPR205 Excellence", "B1")))
    return Found(resource, why=SILENT)


@pytest.fixture
def page(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any) -> StationPage:
    """The page with the scan in front, on a computer with eight serial ports."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(station_scan, "serial_ports", lambda: PORTS)
    monkeypatch.setattr(station_scan, "asked_at", ask)
    look().apply("light", "desk")
    context.folder.mkdir()
    made = StationPage(context)
    qtbot.addWidget(made)
    made.resize(1280, 640)
    made.show()
    qtbot.waitExposed(made)
    made.shown()
    made.tabs.setCurrentWidget(made.scan)
    run(made)
    return made


def run(page: StationPage) -> None:
    background = page.editor.context.background
    assert isinstance(background, Inline)
    background.run()


def column(page: StationPage, number: int) -> list[str]:
    model = page.scan.table.rows
    return [str(model.data(model.index(row, number))) for row in range(model.rowCount())]


def test_a_scan_from_the_tick_to_the_text_needs_no_mouse(page: StationPage):
    scan = page.scan
    scan.ports.setFocus()
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Down, Qt.Key.Key_Space):
        QTest.keyClick(scan.ports, key)
    QTest.keyClick(scan.others, Qt.Key.Key_Return)
    run(page)
    assert column(page, 0) == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    assert column(page, 1) == ["recognised", "not recognised"]
    QTest.keyClick(scan.name, Qt.Key.Key_Return)
    run(page)
    assert page.tabs.currentWidget() is page.file
    assert "[instruments.balance]" in page.file.text.edit.toPlainText()
    assert (page.files.currentText(), page.save.isEnabled()) == ("lab-1 •", True)


def test_what_is_written_wrong_is_told_beside_the_table(page: StationPage, qtbot: Any):
    page.scan.others.setText("10.0.0.7")
    qtbot.mouseClick(page.scan.begin, Qt.MouseButton.LeftButton)
    assert page.scan.wrong.isVisible()
    assert page.scan.wrong.label.text().startswith('"10.0.0.7" is no port; write HOST:PORT')
    page.scan.others.setText("10.0.0.7:4001")
    qtbot.mouseClick(page.scan.begin, Qt.MouseButton.LeftButton)
    assert not page.scan.wrong.isVisible()


def test_the_keys_stay_at_the_button_that_can_be_pressed(page: StationPage):
    scan = page.scan
    scan.others.setText("COM4")
    scan.begin.setFocus()
    QTest.keyClick(scan.begin, Qt.Key.Key_Space)
    assert (scan.begin.isEnabled(), scan.end.isEnabled(), scan.end.hasFocus()) == (False, True, True)
    QTest.keyClick(scan.end, Qt.Key.Key_Space)
    assert (scan.begin.isEnabled(), scan.end.isEnabled(), scan.begin.hasFocus()) == (True, False, True)
    run(page)
    assert column(page, 1) == ["not asked"]


def test_looking_for_ports_again_keeps_what_is_ticked(page: StationPage, monkeypatch: pytest.MonkeyPatch):
    page.scan.ports.item(3).setCheckState(Qt.CheckState.Checked)
    monkeypatch.setattr(station_scan, "serial_ports", lambda: PORTS[2:])
    page.scan.shown()
    run(page)
    states = [page.scan.ports.item(row).checkState() for row in range(page.scan.ports.count())]
    assert [state is Qt.CheckState.Checked for state in states] == [False, True, False, False, False, False]


def test_a_row_is_read_in_whole_below_the_table(page: StationPage, qtbot: Any):
    page.scan.others.setText("/dev/ttyS4")
    qtbot.mouseClick(page.scan.begin, Qt.MouseButton.LeftButton)
    run(page)
    page.scan.table.selectRow(0)
    assert page.scan.whole.text() == f"/dev/ttyS4: {SILENT}"


def test_a_name_that_a_person_has_written_is_not_changed(page: StationPage):
    assert page.scan.name.text() == "lab-1"
    page.scan.name.setText("bench-north")
    page.scan.shown()
    assert page.scan.name.text() == "bench-north"


@pytest.mark.parametrize(("scheme", "density"), [("light", "desk"), ("dark", "touch")])
def test_it_fits_a_small_screen(page: StationPage, scheme: Any, density: Any):
    look().apply(scheme, density)
    QApplication.processEvents()
    assert page.minimumSizeHint().width() <= 1280
    assert page.minimumSizeHint().height() <= 640
    for shown in (page.scan.begin, page.scan.end, page.scan.make, page.scan.name):
        assert page.rect().contains(shown.rect().translated(shown.mapTo(page, shown.rect().topLeft())))
    look().apply("light", "desk")


def test_a_letter_leads_to_one_thing_and_the_tab_key_goes_from_the_ports_to_the_station(page: StationPage):
    page.scan.make.setEnabled(True)
    texts = [page.tabs.tabText(number) for number in range(page.tabs.count())]
    texts += [one.text() for one in page.findChildren(QAbstractButton) if one.isVisible()]
    texts += [one.text() for one in page.findChildren(QLabel) if one.isVisible() and one.buddy() is not None]
    letters = [found.lower() for text in texts for found in re.findall(r"(?<!&)&([^&\s])", text)]
    assert sorted(letters) == sorted(set(letters))
    scan, order = page.scan, []
    wanted: list[QWidget] = [
        scan.ports,
        scan.others,
        scan.daq,
        scan.library,
        scan.begin,
        scan.table,
        scan.name,
        scan.make,
    ]
    wanted[0].setFocus()
    for _ in range(20):
        order.append(QApplication.focusWidget())
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    assert [one for one in order if one in wanted][: len(wanted)] == wanted
