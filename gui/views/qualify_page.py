"""The qualify page: run the detection matrix and see it as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from gui.plots.matrix_picture import MatrixPicture
from gui.presenters.numbers import least_percent, most_percent, rough_duration
from gui.presenters.qualification import STATIONS, Asked, Qualification
from gui.views.parts import Page, Panel, ToneLabel, button, muted, scrolled, tool
from gui.views.table import Column, Table

FORMS = ("Quick: one to three seeds, minutes", "Full: twenty seeds, a night")

Line = Mapping[str, Any]


class QualifyPage(Page):
    """Choose, start, stop, and look at what is found."""

    def __init__(self, presenter: Qualification) -> None:
        super().__init__("Qualification")
        self._presenter = presenter
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 8, 8, 8)
        row.setSpacing(8)
        left = QWidget()
        left.setObjectName("scrolled")
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._choices())
        column.addWidget(self._found())
        column.addWidget(self._cell(), 1)
        area = scrolled(left)
        area.setFixedWidth(360)
        row.addWidget(area)
        row.addWidget(self._matrix(), 1)
        presenter.attach(self)
        presenter.look()

    def shown(self) -> None:
        """The page comes to the front: the keys choose what is tried, or a cell of the matrix while that is fixed."""
        self._presenter.shown()
        (self.form if self.form.isEnabled() else self.picture).setFocus(Qt.FocusReason.OtherFocusReason)

    def _choices(self) -> Panel:
        panel = Panel("What is tried")
        panel.body.addWidget(
            muted("Every claimed fault and sound pumps, each through a whole run of the simulated bench.", wrap=True)
        )
        form = QFormLayout()
        self.form = QComboBox()
        self.form.addItems(FORMS)
        self.form.setAccessibleName("Form of the matrix")
        form.addRow("&Form", self.form)
        self.folder = QLineEdit(str(self._presenter.asked.folder))
        self.folder.setAccessibleName("Folder of the trials")
        self.folder.editingFinished.connect(self._ask)
        form.addRow("Fol&der", self.folder)
        panel.body.addLayout(form)
        self.stations = {name: QCheckBox(name) for name in STATIONS}
        boxes = QGridLayout()
        for number, (name, box) in enumerate(self.stations.items()):
            box.setChecked(True)
            box.setAccessibleName(f"Station {name}")
            box.toggled.connect(self._ask)
            boxes.addWidget(box, number // 2, number % 2)
        panel.body.addLayout(boxes)
        self.form.currentIndexChanged.connect(self._ask)
        buttons = QHBoxLayout()
        self.start = button("&Run what is left", "play", self._start, primary=True)
        self.stop = button("S&top it", "remove", self._presenter.stop)
        buttons.addWidget(self.start)
        buttons.addWidget(self.stop)
        panel.body.addLayout(buttons)
        panel.body.addWidget(
            muted(
                "It runs in a process of its own: it goes on when the window is closed, and loses no trial.", wrap=True
            )
        )
        return panel

    def _found(self) -> Panel:
        panel = Panel("What it says")
        self.facts: Table[tuple[str, str]] = Table(
            "What the matrix says", (Column("", lambda row: row[0]), Column("", lambda row: row[1], stretch=True))
        )
        header = self.facts.horizontalHeader()
        assert header is not None
        header.hide()
        self.facts.setMinimumHeight(190)
        panel.body.addWidget(self.facts)
        return panel

    def _cell(self) -> Panel:
        panel = Panel("The cell that is chosen")
        self.cell_title = QLabel("–")
        self.cell_title.setWordWrap(True)
        self.cell_says = muted("", wrap=True)
        self.cell_says.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        panel.body.addWidget(self.cell_title)
        panel.body.addWidget(self.cell_says)
        panel.body.addStretch(1)
        return panel

    def _matrix(self) -> Panel:
        panel = Panel("Detection matrix")
        panel.tools.addWidget(tool("picture", "Save the picture", self._save))
        self.says = ToneLabel()
        panel.body.addWidget(self.says)
        self.picture = MatrixPicture()
        self.picture.chosen.connect(self._presenter.choose)
        panel.body.addWidget(self.picture, 1)
        return panel

    # -- what a person does

    def _ask(self) -> None:
        stations = [name for name, box in self.stations.items() if box.isChecked()]
        quick = self.form.currentIndex() == 0
        folder = Path(self.folder.text().strip() or "qualification").expanduser().absolute()
        if stations:
            self._presenter.ask(quick=quick, stations=stations, protocols=(), folder=folder)
        else:
            self.show_matrix()  # without a station nothing can be run

    def _save(self) -> None:
        self.picture.save(self._presenter.context)

    def _start(self) -> None:
        self._ask()
        self._presenter.start()

    # -- what the presenter says

    def show_matrix(self) -> None:
        """Show the picture and the sentence above it."""
        running = self._presenter.running is not None
        self.says.say(*self._presenter.says)
        self.start.setEnabled(not running and any(box.isChecked() for box in self.stations.values()))
        self.stop.setEnabled(running)
        for box in (*self.stations.values(), self.form, self.folder):
            box.setEnabled(not running)
        self.facts.show_rows(self._presenter.facts)
        if self.picture.table is not self._presenter.table:
            self.picture.show_table(self._presenter.table)
            cell = self.picture.current()
            self._presenter.choose(*(("", "") if cell is None else (cell.row, cell.column)))

    def show_asked(self, asked: Asked) -> None:
        """Show what is counted, where nobody chose it here."""
        for box in (self.form, *self.stations.values()):
            box.blockSignals(True)
        self.form.setCurrentIndex(0 if asked.quick else 1)
        for name, box in self.stations.items():
            box.setChecked(name in asked.stations)
        for box in (self.form, *self.stations.values()):
            box.blockSignals(False)

    def show_cell(self, lines: Sequence[Line]) -> None:
        """Show what was found of one fault by one protocol."""
        if not lines:
            self.cell_title.setText("–")
            self.cell_says.setText("")
            return
        first = lines[0]
        owner = f", whose fault is that of the {first['owner']}" if first["owner"] else ""
        self.cell_title.setText(f"{first['fault'] or 'Sound pump'} in {first['protocol']}{owner}")
        self.cell_says.setText("\n\n".join(map(told, lines)))


def told(line: Line) -> str:
    """What one row of the matrix says, in a few lines."""
    severity = "" if line["severity"] is None else f"{line['severity']:g} {line['unit'] if line['unit'] != '1' else ''}"
    said = [f"Form {line['form']}, station {line['station']}" + (f", severity {severity.strip()}" if severity else "")]
    if line["checks"]:
        said.append(f"Has to be found by {(' and ' if line.get('every') else ' or ').join(line['checks'])}")
    said.append(f"As claimed in {line['as_claimed']} of {line['trials']} trials, {line['planned']} planned")
    for bound, words, percent in (
        ("proved_at_least", "at least", least_percent),
        ("proved_at_most", "at most", most_percent),
    ):
        if line["trials"] and line[bound] is not None:
            said.append(f"That proves {words} {percent(line[bound])}, one-sided, 95 %")
    if line["told_s"]:
        said.append(f"Told {rough_duration(line['told_s'])} after its onset")
    said += [f"Seed {each['seed']}: {each['why'] or 'nothing was said'}" for each in line["surprises"]]
    return "\n".join(said)
