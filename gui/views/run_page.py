"""The run page: prepare a run, or watch one: instruments and course, plots, what needs a person, checks, events."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import QApplication, QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from gui.presenters.context import Context
from gui.presenters.live import Change, Live
from gui.presenters.run_page import RunPageModel
from gui.presenters.setup import SetUp
from gui.theme.look import look
from gui.views.pacing import NowAndThen
from gui.views.parts import Page, button, scrolled
from gui.views.room import Pile, Squeezed, Stack
from gui.views.run_checks import ChecksPanel
from gui.views.run_controls import ControlsPanel
from gui.views.run_course import CoursePanel
from gui.views.run_events import EventsPanel
from gui.views.run_exclude import ExcludePanel
from gui.views.run_instruments import InstrumentsPanel
from gui.views.run_plots import RunPlots
from gui.views.run_prompts import AttentionArea, EndCard
from gui.views.setup import SetUpPanel

SOON_MS = 150
WIDE = 1500
"""Width of the page from which on the columns at the sides have all the room they like."""

SIDES = {True: (345, 430), False: (314, 400)}
MOST_ATTENTION = 0.55
"""Of the right column's height, for what needs a person; more of it scrolls."""


class RunPage(Page):
    """A run that is watched; before there is one, the panel in which one is prepared."""

    def __init__(self, context: Context, live: Live) -> None:
        super().__init__("Run")
        self._live = live
        self.model = model = RunPageModel(context, live)
        model.changed = self._changed
        model.checks_changed = self._show_checks
        self.set_up = SetUpPanel(SetUp(context))
        self.instruments = InstrumentsPanel(model.instruments, live)
        self.course = CoursePanel(model.timeline, model.interlocks, live)
        self.controls = ControlsPanel(model.controls, live)
        self.plots = RunPlots(model.plots, live, context)
        self.attention = AttentionArea(model.asking, model.controls, context.person, self.course.steps)
        self.checks = ChecksPanel(model.provisional)
        self.events = EventsPanel(live, model.controls)
        self.exclude = ExcludePanel(model.excluding)
        self.instruments.wanted.connect(self.plots.add)
        self.plots.exclude_wanted.connect(model.excluding.ask)
        self.controls.new_run.connect(model.prepare)
        self.controls.note_wanted.connect(self.events.write)
        self.back = button("&Back to the run", "left", model.back)
        self.stack = Stack()
        self._is_moved = False
        self._lay_out()
        self._ended: object = None
        self._pace = NowAndThen(self, SOON_MS, self.refresh)
        live.listen(self._heard)
        self._changed()

    def _lay_out(self) -> None:
        preparing = QWidget()
        column = QVBoxLayout(preparing)
        column.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.setContentsMargins(8, 0, 8, 0)
        row.addWidget(self.back)
        row.addStretch(1)
        column.addLayout(row)
        column.addWidget(self.set_up, 1)
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self._is_shared: bool | None = None
        self.columns.splitterMoved.connect(lambda *_: self._moved())
        self.columns.setChildrenCollapsible(False)
        gap = look().density.gap
        self.columns.setHandleWidth(gap)
        for part in (self._left(), self.plots, self._right()):
            self.columns.addWidget(part)
        self.columns.setStretchFactor(1, 1)
        watching = QWidget()
        column = QVBoxLayout(watching)
        column.setContentsMargins(gap, 2, gap, gap)
        column.addWidget(self.columns)
        self.stack.addWidget(preparing)
        self.stack.addWidget(watching)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.stack)

    def _left(self) -> QWidget:
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(look().density.gap)
        column.addWidget(Squeezed(Pile((self.instruments, 0), (self.course, 1)), across=False), 1)
        column.addWidget(self.controls)
        return left

    def _right(self) -> QWidget:
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(look().density.gap)
        self.needs = scrolled(self.attention)
        column.addWidget(self.needs)
        column.addWidget(self.exclude)
        column.addWidget(Squeezed(Pile((self.checks, 1), (self.events, 1)), across=False), 1)
        return right

    @property
    def parts(self) -> Sequence[QWidget]:
        """As `Page.parts`: the form, and the run."""
        return self.stack.widgets

    # -- what is heard

    def _heard(self, changes: frozenset[Change]) -> None:
        if "run" in changes:
            self.attention.forget()
            self.model.excluding.forget()
            self._ended = None
        if changes & {"run", "plan", "status", "ending"}:
            self._changed()

    def _changed(self) -> None:
        self._pace.ask()

    def refresh(self) -> None:
        """Show what is to be shown now."""
        model = self.model
        before = self.stack.currentIndex()
        self.stack.setCurrentIndex(1 if model.shows_run else 0)
        self.back.setVisible(self._live.link is not None)
        self._set_seen()
        self.attention.show_cards(model.asking.cards(), model.interlocks.latched())
        end = model.end()
        if end != self._ended:
            self._ended = end
            self.attention.show_end(None if end is None else EndCard(end, model.review, model.again, model.prepare))
        self.controls.refresh()
        self.exclude.refresh()
        self._fit_needs()
        self._show_checks()
        if self.stack.currentIndex() != before and self.isVisible():
            self._take_keys()  # Qt gives them to whatever comes next, since what had them is out of sight

    def _fit_needs(self) -> None:
        self.needs.setVisible(not self.attention.is_empty)
        if not self.attention.is_empty:
            wanted = self.attention.heightForWidth(self.needs.width() - 12)
            wanted = max(wanted, self.attention.minimumSizeHint().height(), self.attention.sizeHint().height()) + 2
            self.needs.setFixedHeight(min(wanted, round(MOST_ATTENTION * max(self.height(), 300))))

    def _show_checks(self) -> None:
        if self.isVisible():
            self.checks.refresh()
            self.plots.ask()

    # -- whether somebody looks

    def shown(self) -> None:
        """The page has come to the front: the keys answer what it asks, act on its steps, or fill in the form."""
        self._changed()
        self._take_keys()

    def _take_keys(self) -> None:
        if self.model.shows_run:
            self.course.steps.setFocus(Qt.FocusReason.OtherFocusReason)
            self.attention.take_focus()
        elif not self.set_up.isAncestorOf(QApplication.focusWidget()):
            self.set_up.station.setFocus(Qt.FocusReason.OtherFocusReason)

    def _set_seen(self) -> None:
        self.model.provisional.is_shown = self.isVisible() and self.model.shows_run

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Share the width, and show what has come meanwhile."""
        super().showEvent(event)
        self._share()
        self._changed()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Share the width anew when there is much more or less of it."""
        super().resizeEvent(event)
        self._share()
        self._fit_needs()

    def _share(self) -> None:
        """Give the sides what they like, unless a person has moved them."""
        is_wide = self.width() >= WIDE
        if self._is_moved or is_wide == self._is_shared:
            return
        self._is_shared = is_wide
        left, right = SIDES[is_wide]
        self.columns.setSizes([left, max(self.width() - left - right, 300), right])

    def _moved(self) -> None:
        self._is_moved = True

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802  # Qt's name
        """Nobody looks: nothing is judged."""
        super().hideEvent(event)
        self._set_seen()
