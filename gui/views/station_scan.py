"""What is at the ports: a person ticks and writes where to ask, sees what answers, and makes a station file of it."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from gui.presenters.station_scan import LIBRARIES, LOCAL, ScanRow, StationScan
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import Notice, Panel, ToneLabel, button, muted, scrolled, tool
from gui.views.table import Column, Table

PORT = Qt.ItemDataRole.UserRole
PORT_ROWS_PX = 110
"""The list of ports is not lower: three or four of them are seen."""

HARMLESS = (
    "Only what you tick or write is opened. The questions move, zero and set nothing at instruments that the bench "
    "has a driver for; name ports of your bench alone."
)


class StationScanPanel(QWidget):
    """Where to ask, what answered, and the station file of it.

    Parameters
    ----------
    made : is called when a file was made and is shown as text.
    """

    def __init__(self, scan: StationScan, made: Callable[[], None]) -> None:
        super().__init__()
        self._scan = scan
        self._made = made
        self._is_filling = False
        self._offered = ""
        across = QSplitter(Qt.Orientation.Horizontal)
        across.setChildrenCollapsible(False)
        across.addWidget(self._where())
        across.addWidget(self._what())
        across.setStretchFactor(0, 0)
        across.setStretchFactor(1, 1)
        across.setSizes([390, 840])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.addWidget(across)
        scan.attach(self)
        look().changed.connect(self.show_ports)
        self.show_ports()
        self.show_scan()

    def shown(self) -> None:
        """Come to the front: an adapter may have been plugged in."""
        self._scan.find()
        self._offer_name()

    # -- parts

    def _where(self) -> Panel:
        panel = Panel("Where to ask")
        panel.tools.addWidget(tool("again", "Look for serial ports again; none is opened", self._scan.find))
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 4, 0)
        column.setSpacing(5)
        column.addWidget(muted(HARMLESS, wrap=True))
        self.ports = QListWidget()
        self.ports.setAccessibleName("Serial ports of this computer")
        self.ports.setMinimumHeight(PORT_ROWS_PX)
        self.ports.itemChanged.connect(self._ticked)
        self.none = muted("This computer has no serial port.", wrap=True)
        column.addWidget(_label("Serial &ports of this computer", self.ports))
        column.addWidget(self.none)
        column.addWidget(self.ports, 1)
        self.others = self._edit("Other ports", "10.0.0.7:4001, /dev/ttyS4, GPIB0::5::INSTR")
        self.daq = self._edit("Where NI devices are", f"{LOCAL}, or HOST:PORT of a device server")
        self.library = QComboBox()
        self.library.setAccessibleName("VISA library")
        for name, says in LIBRARIES.items():
            self.library.addItem(says, name)
        self.library.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for text, edit in (
            ("&Other ports, HOST:PORT among them", self.others),
            ("N&I devices", self.daq),
            ("VISA &library", self.library),
        ):
            column.addWidget(_label(text, edit))
            column.addWidget(edit)
        panel.body.addWidget(scrolled(inside), 1)
        buttons = QHBoxLayout()
        self.begin = button("&Begin the scan", "play", self._begin, primary=True)
        self.end = button("&End it", "remove", self._scan.cancel)
        buttons.addWidget(self.begin, 1)
        buttons.addWidget(self.end)
        panel.body.addLayout(buttons)
        return panel

    def _what(self) -> Panel:
        panel = Panel("What answered")
        self.progress = ToneLabel("", Tone.MUTED)
        self.wrong = Notice("", Tone.WARN)
        self.table: Table[ScanRow] = Table(
            "What answered",
            (
                Column("Port", lambda row: row.port),
                Column("Result", lambda row: row.result, tone=lambda row: row.tone),
                Column("Driver", lambda row: row.driver),
                Column("Serial number", lambda row: row.serial),
                Column("What it is, or what was heard", lambda row: row.says, stretch=True),
            ),
        )
        self.table.chosen.connect(lambda _: self._show_row())
        self.whole = muted("", wrap=True)
        panel.body.addWidget(self.progress)
        panel.body.addWidget(self.wrong)
        panel.body.addWidget(self.table, 1)
        panel.body.addWidget(self.whole)
        below = QHBoxLayout()
        below.setSpacing(6)
        self.name = QLineEdit()
        self.name.setAccessibleName("Name of the station")
        self.name.setMaximumWidth(200)
        self.name.returnPressed.connect(self._make)
        self.make = button("&Make a station file", "add", self._make)
        below.addWidget(muted("It is shown as text to be filled in, and written when you save it."), 1)
        below.addWidget(_label("&Name of the station", self.name))
        below.addWidget(self.name)
        below.addWidget(self.make)
        panel.body.addLayout(below)
        return panel

    def _edit(self, name: str, such_as: str) -> QLineEdit:
        made = QLineEdit()
        made.setAccessibleName(name)
        made.setPlaceholderText(such_as)
        made.setToolTip(such_as)
        made.returnPressed.connect(self._begin)
        return made

    # -- what the presenter says

    def show_ports(self) -> None:
        """Show anew which serial ports there are."""
        scan, self._is_filling = self._scan, True
        now = self.ports.currentRow()
        self.ports.clear()
        for port in scan.ports:
            item = QListWidgetItem(f"{port.name}   {port.says}" if port.says else port.name)
            item.setData(PORT, port.name)
            item.setToolTip(f"{port.says}\n{port.lasting}".strip())
            item.setSizeHint(QSize(0, look().density.row))  # no wider than the list: what does not fit is elided
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if port.name in scan.ticked else Qt.CheckState.Unchecked)
            self.ports.addItem(item)
        self.ports.setCurrentRow(min(max(now, 0), len(scan.ports) - 1))
        self.ports.setVisible(bool(scan.ports))
        self.none.setVisible(not scan.ports)
        self._is_filling = False

    def show_scan(self) -> None:
        """Show anew how far the scan is and what it has found."""
        scan = self._scan
        self.progress.say(*scan.progress)
        self.wrong.label.say(scan.wrong, Tone.WARN)
        self.wrong.setVisible(bool(scan.wrong))
        self.table.show_rows(scan.rows)
        self._show_row()
        begins = not scan.is_scanning and not scan.is_making
        if not begins and self.begin.hasFocus():
            self.end.setEnabled(True)
            self.end.setFocus()
        self.begin.setEnabled(begins)
        if begins and self.end.hasFocus():
            self.begin.setFocus()
        self.end.setEnabled(scan.is_scanning)
        self.make.setEnabled(scan.can_make)
        self.make.setText("Making it…" if scan.is_making else "&Make a station file")

    def show_made(self) -> None:
        """Show the file that was made."""
        self._made()

    def _show_row(self) -> None:
        row = self.table.current()
        said = "" if row is None or not row.says else f"{row.port}: {row.says}"
        self.whole.setText(said)
        self.whole.setVisible(bool(said))

    def _offer_name(self) -> None:
        """Offer a name that is free, unless a person has written another one."""
        if self.name.text() == self._offered:
            self._offered = self._scan.name
            self.name.setText(self._offered)

    # -- what a person does

    def _ticked(self, item: QListWidgetItem) -> None:
        if not self._is_filling:
            self._scan.tick(item.data(PORT), item.checkState() is Qt.CheckState.Checked)

    def _begin(self) -> None:
        scan = self._scan
        scan.others, scan.daq, scan.library = self.others.text(), self.daq.text(), self.library.currentData()
        scan.scan()

    def _make(self) -> None:
        self._scan.make(self.name.text().strip())


def _label(text: str, buddy: QWidget) -> QLabel:
    made = muted(text)
    made.setBuddy(buddy)
    return made
