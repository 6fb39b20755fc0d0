"""The rig checks of a station: whether the latest holds, all of them, and each result over time."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from gui.plots.control_chart import ControlChartPlot
from gui.presenters.context import Context
from gui.presenters.rig_checks import CheckRow
from gui.presenters.station_rig import RULES, ChartRow, StationRig
from gui.presenters.tone import Tone
from gui.views.parts import Panel, ToneLabel, button
from gui.views.table import Column, Table


class StationRigPanel(QWidget):
    """Rig checks and their control charts."""

    def __init__(self, context: Context, rig: StationRig) -> None:
        super().__init__()
        self._rig = rig
        self.says = ToneLabel("", Tone.MUTED)
        self.checks: Table[CheckRow] = Table(
            "Rig checks",
            (
                Column("Begun", lambda row: row.date, tip=lambda row: str(row.path)),
                Column("Verdict", lambda row: str(row.verdict), tone=lambda row: row.tone),
                Column("Validity", lambda row: rig.validity(row)[0], stretch=True),
            ),
        )
        self.checks.doubleClicked.connect(lambda _: self._open())
        self.checks.chosen.connect(lambda at: self.open.setEnabled(at >= 0))
        self.results: Table[ChartRow] = Table(
            "Results of the rig checks",
            (
                Column("Result", lambda row: row.name, tone=lambda row: row.tone, stretch=True),
                Column("Checks", lambda row: row.count, number=True),
                Column("Latest", lambda row: row.latest, number=True),
                Column("Control limits", lambda row: row.limits, number=True),
            ),
        )
        self.results.chosen.connect(self._choose)
        self.plot = ControlChartPlot(context)
        self.plot.setToolTip(RULES)
        self.remark = ToneLabel("", Tone.MUTED)
        self.open = button("&Open", "folder", self._open)
        self.open.setEnabled(False)
        self._lay_out()
        rig.attach(self)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.addWidget(self.says)
        across = QSplitter(Qt.Orientation.Horizontal)
        across.setChildrenCollapsible(False)
        down = QSplitter(Qt.Orientation.Vertical)
        down.setChildrenCollapsible(False)
        results, checks, chart = Panel("Results"), Panel("Rig checks"), Panel("Control chart")
        results.body.addWidget(self.results)
        checks.tools.addWidget(self.open)
        checks.body.addWidget(self.checks)
        chart.body.addWidget(self.plot, 1)
        chart.body.addWidget(self.remark)
        self._chart = chart
        down.addWidget(results)
        down.addWidget(checks)
        down.setSizes([360, 220])
        across.addWidget(down)
        across.addWidget(chart)
        across.setStretchFactor(0, 1)
        across.setStretchFactor(1, 1)
        across.setSizes([600, 640])
        column.addWidget(across, 1)

    def show_rig(self) -> None:
        """Show what the presenter says."""
        rig = self._rig
        self.says.say(*rig.says)
        self.checks.show_rows(rig.checks)
        self.results.show_rows(rig.rows)
        at = next((at for at, row in enumerate(rig.rows) if row.chart.check == rig.chosen), -1)
        if at >= 0 and self.results.currentIndex().row() != at:
            self.results.selectRow(at)
        course = rig.course
        self._chart.title.setText(f"Control chart: {course.name}" if course is not None else "Control chart")
        self.plot.setVisible(course is not None)
        self.plot.show_course(course)
        out = at >= 0 and bool(rig.rows[at].remark)
        self.remark.say(rig.rules, Tone.WARN if out else Tone.MUTED)

    def _choose(self, at: int) -> None:
        if 0 <= at < len(self._rig.rows):
            self._rig.choose(self._rig.rows[at].chart.check)

    def _open(self) -> None:
        row = self.checks.current()
        if row is not None:
            self._rig.open(row)
