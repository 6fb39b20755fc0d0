"""Panel: how far the run is, its steps, and its interlocks."""

from __future__ import annotations

from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QTabWidget

from gui.presenters.instrument_rows import UNKNOWN
from gui.presenters.limits import InterlockRow, Interlocks
from gui.presenters.live import Change, Live
from gui.presenters.timeline import StepRow, Timeline
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.theme.tokens import DESK
from gui.views.pacing import NowAndThen
from gui.views.parts import Panel, Pill, muted
from gui.views.room import Elided
from gui.views.table import Column, Table

EVERY_MS = 400
LEAST_LEFT = 90
PLANNED, NARROW = 1, 335
"""The column of planned times, and the width below which it is in the tool tip alone."""


class CoursePanel(Panel):
    """Phase, time left, progress; below them the steps, or the interlocks."""

    def __init__(self, timeline: Timeline, interlocks: Interlocks, live: Live) -> None:
        super().__init__("Course")
        self._timeline = timeline
        self._interlocks = interlocks
        self._live = live
        self.phase = QLabel()
        self.phase.setProperty("big", "true")
        self.phase.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.stands = Pill("", Tone.WARN)
        self.left = Elided("", LEAST_LEFT)
        self.run_left = muted("")
        self.waits = muted("", wrap=True)
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("How far the run is")
        self.steps: Table[StepRow] = Table(
            "Steps of the run",
            (
                Column("Step", lambda row: row.title, tone=lambda row: row.tone, stretch=True, tip=_step_tip),
                Column("Plan", lambda row: row.planned, number=True),
                Column("Took", lambda row: row.took, number=True),
            ),
        )
        self.limits: Table[InterlockRow] = Table(
            "Interlocks",
            (
                Column("Interlock", lambda row: row.name, tone=lambda row: row.tone, stretch=True, tip=_limit_tip),
                Column("Limit", lambda row: row.limit, number=True),
                Column("Room", _room, number=True, tip=_limit_tip),
            ),
        )
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        bar = self.tabs.tabBar()
        assert bar is not None
        bar.setDrawBase(False)
        self.tabs.addTab(self.steps, "&Steps")
        self.tabs.addTab(self.limits, "&Interlocks")
        self._shown = -2
        self._pace = NowAndThen(self, EVERY_MS, self.refresh)
        self._lay_out()
        live.listen(self._heard)
        self._pace.ask()

    def _lay_out(self) -> None:
        self.body.addWidget(self.phase)
        self.body.addWidget(self.stands)
        self.body.addWidget(self.progress)
        row = QHBoxLayout()
        row.addWidget(self.left)
        row.addStretch(1)
        row.addWidget(self.run_left)
        self.body.addLayout(row)
        self.body.addWidget(self.waits)
        self.body.addWidget(self.tabs, 1)
        for table in (self.steps, self.limits):
            table.setMinimumHeight(90)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Show what there is room for."""
        super().resizeEvent(event)
        self.steps.setColumnHidden(PLANNED, self.width() < NARROW * look().density.font // DESK.font)
        self._shown = -2  # the step that goes on may be out of sight now
        self._pace.ask()

    def _heard(self, changes: frozenset[Change]) -> None:
        if "run" in changes:
            self._shown = -2
        self._pace.ask()

    def refresh(self) -> None:
        """Show how far the run is."""
        course = self._timeline.course()
        self.phase.setText(course.phase)
        self.phase.setToolTip(course.phase)
        self.stands.setVisible(bool(course.stands))
        self.stands.say(course.stands, Tone.WARN)
        self.left.setText(f"{course.left} left of it" if course.left else "")
        self.run_left.setText(f"run: {course.run_left} left" if course.run_left else "")
        self.waits.setVisible(bool(course.waits_for))
        self.waits.setText(course.waits_for)
        self.progress.setValue(round(1000.0 * course.share))
        self._show_limits()
        self.steps.show_rows(self._timeline.rows())
        current = self._timeline.current()
        if current >= 0 and current != self._shown:
            self._shown = current
            self.steps.scrollTo(self.steps.rows.index(current, 0), Table.ScrollHint.PositionAtCenter)

    def _show_limits(self) -> None:
        rows = self._interlocks.rows()
        self.limits.show_rows(rows)
        wrong = sum(row.tone in (Tone.WARN, Tone.FAIL) for row in rows)
        self.tabs.setTabText(1, f"&Interlocks: {wrong} to see" if wrong else f"&Interlocks ({len(rows)})")


def _step_tip(row: StepRow) -> str:
    parts = [row.title, str(row.state), f"planned {row.planned}" if row.planned else "",
             f"took {row.took}" if row.took else "", row.waits_for]  # fmt: skip
    return ", ".join(part for part in parts if part)


def _room(row: InterlockRow) -> str:
    """How far it is from its limit; what there is room for where that is not known, or it has none."""
    return row.room or (row.value if row.value == UNKNOWN else row.state)


def _limit_tip(row: InterlockRow) -> str:
    said = f"{row.name}: {row.channel} {row.limit}, now {row.value}; {row.armed}; it does: {row.action}"
    return f"{said}\n{row.cause}" if row.cause else said
