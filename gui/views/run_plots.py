"""The plots of the run that is watched: up to four, linked, each with a choice of its curves."""

from __future__ import annotations

import math
import time

import numpy as np
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QGridLayout, QLabel, QMenu, QStackedWidget, QVBoxLayout, QWidget

from data.checks import Curve
from data.frames import Record
from gui.plots.canvas import Span
from gui.plots.curve_plot import CurvePlot
from gui.plots.pyramid import Drawn
from gui.plots.time_curve import Asked
from gui.plots.time_plot import TimePlot
from gui.plots.time_tools import TimeTools
from gui.presenters.context import Context
from gui.presenters.instrument_rows import UNKNOWN, digits
from gui.presenters.live import Change, Live
from gui.presenters.live_plots import FLOW, RESULT, VOLUME, WINDOWS_S, CurveSpec, LivePlots, PlotSpec, window_text
from gui.presenters.time_view import TimeView
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.pacing import NowAndThen
from gui.views.parts import Panel, muted, tool

EVERY_MS = 100
SLOWER = 6.0
"""Drawing takes at most this part of the time."""

SHORTEST_SPAN = 1.0 / 400.0
"""A phase that is shorter than this part of the run is not marked."""


class ResultPlot(QStackedWidget):
    """A curve of the evaluation so far, or why there is none yet."""

    def __init__(self, title: str, context: Context) -> None:
        super().__init__()
        waits = Panel(title)
        self.says = QLabel()
        self.says.setProperty("muted", "true")
        self.says.setWordWrap(True)
        self.says.setAlignment(Qt.AlignmentFlag.AlignCenter)
        waits.body.addWidget(self.says, 1)
        self.plot = CurvePlot(context, tools=False)
        self.addWidget(waits)
        self.addWidget(self.plot)
        self._shown: tuple[Curve | None, str] = (None, "")

    def show_curve(self, curve: Curve | None, watermark: str, why_not: str) -> None:
        """Show a curve; None where there is none, and why."""
        self.says.setText(why_not)
        if self._shown[0] is curve and self._shown[1] == watermark:
            return
        self._shown = curve, watermark
        self.setCurrentIndex(0 if curve is None else 1)
        if curve is not None:
            self.plot.show_curve(curve, watermark=watermark)


class RunPlots(QWidget):
    """A grid of plots that is made anew when other curves belong there.

    ``exclude_wanted`` comes with the stretch that a person has zoomed to and where the cursor is; None for either.
    """

    exclude_wanted = pyqtSignal(object, object)

    def __init__(self, presenter: LivePlots, live: Live, context: Context) -> None:
        super().__init__()
        self._presenter = presenter
        self._live = live
        self._context = context
        self._generation = -1
        self._rest_until = 0.0
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(look().density.gap - 2)
        self._grid = QGridLayout()
        self._grid.setSpacing(look().density.gap)
        self._column.addLayout(self._grid, 1)
        self.waits = muted("The plots come with the first samples.")
        self.waits.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._column.addWidget(self.waits, 1)
        self._tools: TimeTools | None = None
        self._time: TimeView | None = None
        self._cut: QWidget | None = None
        self.slots: list[TimePlot | ResultPlot] = []
        self._keys: dict[TimePlot, list[str]] = {}
        self._pace = NowAndThen(self, EVERY_MS, self.refresh)
        live.listen(self._heard)
        self._pace.ask()

    def _heard(self, changes: frozenset[Change]) -> None:
        if changes & {"run", "streams", "values", "phase", "ending", "events", "time"}:
            self._pace.ask()

    def refresh(self) -> None:
        """Work out and draw what is new; less often where drawing takes long."""
        now = time.monotonic()
        if now < self._rest_until:
            self._pace.ask()
            return
        self._presenter.update()
        if self._generation != self._presenter.generation:
            self._make()
        self._draw()
        if self._cut is not None:
            self._cut.setVisible(self._live.is_going)
        spent = time.monotonic() - now
        self._rest_until = now + spent * SLOWER

    @property
    def time_plots(self) -> list[TimePlot]:
        """Those against time."""
        return [slot for slot in self.slots if isinstance(slot, TimePlot)]

    # -- making

    def _make(self) -> None:
        """Plots for what the presenter says; one that is about the same as before stays."""
        self._generation = self._presenter.generation
        specs = self._presenter.plots
        old = list(self.slots)
        self.slots = []
        first = next((slot for slot in old if isinstance(slot, TimePlot)), None)
        for at, spec in enumerate(specs):
            kept = old[at] if at < len(old) and _is_same(old[at], spec) else None
            slot = kept or self._slot(at, spec)
            self.slots.append(slot)
            if isinstance(slot, TimePlot):
                if kept is None and first is not None:
                    slot.link(first)
                first = first or slot
                self._fill(slot, spec)
        for slot in old:
            if slot not in self.slots:
                self._drop(slot)
        self.waits.setVisible(not self.slots)
        self._place()

    def _drop(self, slot: TimePlot | ResultPlot) -> None:
        """Take a plot away; it shares nothing with the others any more."""
        if isinstance(slot, TimePlot):
            alone = TimePlot(slot.title, slot.unit, self._context, tools=False)
            alone.setParent(slot)
            slot.link(alone)
            self._keys.pop(slot, None)
        slot.hide()
        slot.setParent(None)
        slot.deleteLater()

    def _slot(self, at: int, spec: PlotSpec) -> TimePlot | ResultPlot:
        if spec.kind == RESULT:
            return ResultPlot(spec.title, self._context)
        made = TimePlot(spec.title, spec.unit, self._context, tools=False, digits=digits(spec.unit))
        choose = tool("station", f"Curves of the plot {spec.title}")
        choose.clicked.connect(lambda: self.menu(made).popup(choose.mapToGlobal(choose.rect().bottomLeft())))
        made.head.add(choose)
        return made

    def _place(self) -> None:
        large = self._presenter.is_large and len(self.slots) > 1
        while self._grid.count():
            self._grid.takeAt(0)
        for at, slot in enumerate(self.slots):
            if large:
                row, column, wide = (0, 0, 2) if at == 0 else (1 + (at - 1) // 2, (at - 1) % 2, 1)
                wide = 2 if at == len(self.slots) - 1 and column == 0 else wide
            else:
                row, column, wide = at // 2, at % 2, 1
                wide = 2 if at == len(self.slots) - 1 and column == 0 else 1
            self._grid.addWidget(slot, row, column, 1, wide)
            slot.show()
        for at in range(3):
            self._grid.setRowStretch(at, 0)
        for at in range(2):
            self._grid.setColumnStretch(at, 1)
        rows = {self._grid.getItemPosition(at)[0] for at in range(self._grid.count())}
        for at in rows:
            self._grid.setRowStretch(at or 0, 3 if large and at == 0 else 2)
        self._renew_tools()

    def _renew_tools(self) -> None:
        if self._tools is not None and self._time is not None:
            self._time.leave(self._tools.show_state)
            self._tools.setParent(None)
            self._tools.deleteLater()
            self._tools = self._cut = None
        if self.time_plots:
            self._tools, self._time = TimeTools(*self.time_plots), self.time_plots[0].time
            self._cut = tool("cut", "Exclude a stretch from what is judged", self._exclude)
            self._tools.add(self._cut)
            self._column.addWidget(self._tools)

    def _fill(self, plot: TimePlot, spec: PlotSpec) -> None:
        for key in self._keys.pop(plot, []):
            plot.remove(key)
        self._keys[plot] = [curve.key for curve in spec.visible()]
        pen = 0
        for curve in spec.visible():
            if curve.expected:
                plot.curve(curve.key, curve.label, "schedule", self._asked(curve))
            elif curve.points is not None:
                plot.curve(curve.key, curve.label, pen, curve.points)
                pen += 1
        plot.main(spec.main)
        plot.limits([(line.label, line.value) for line in spec.limits])

    def _asked(self, curve: CurveSpec) -> Asked:
        def asked(t0: float, t1: float, columns: int) -> Drawn:
            x, y = self._presenter.line(curve, self._live.last_s)
            inside = (x >= t0) & (x <= t1)
            ends = np.asarray([t for t in (t0, t1) if len(x) and x[0] < t < x[-1]])
            order = np.argsort(np.concatenate((x[inside], ends)), kind="stable")
            at_ends = np.interp(ends, x, y) if len(ends) else ends
            return Drawn(np.concatenate((x[inside], ends))[order], np.concatenate((y[inside], at_ends))[order], True)

        return asked

    # -- drawing

    def _draw(self) -> None:
        spans = self._spans()
        for slot, spec in zip(self.slots, self._presenter.plots, strict=True):
            if isinstance(slot, ResultPlot):
                slot.show_curve(self._presenter.trumpet, self._live.origin, self._presenter.why_no_trumpet())
                continue
            slot.watermark(self._live.origin)
            slot.value(None if self._presenter.is_known(spec) else UNKNOWN)
            slot.spans(spans)
            for curve in spec.visible():
                if curve.expected:
                    slot.changed(curve.key)
            slot.redraw()

    def _spans(self) -> list[Span]:
        """Phases as lines with their names, gaps and what is disturbed as shades."""
        now = self._live.last_s
        least = now * SHORTEST_SPAN
        phases = [
            Span(row.t0, now if row.t1 is None else row.t1, row.name, Tone.PLAIN)
            for row in self._live.phases
            if (now if row.t1 is None else row.t1) - row.t0 > least
        ]
        shades = [
            Span(float(record.fields["from_s"]), float(record.fields["to_s"]), _why(record))
            for kind in ("gap", "disturbed", "outage", "exclusion")
            for record in self._live.kept[kind]
            if record.fields.get("to_s") is not None and math.isfinite(float(record.fields["to_s"]))
        ]
        return phases + [shade for shade in shades if shade.t1 - shade.t0 > least]

    # -- what a person chooses

    def ask(self) -> None:
        """Draw soon: something else than the samples is new."""
        self._pace.ask()

    def add(self, name: str) -> None:
        """Plot a channel."""
        self._presenter.add(name)
        self._pace.ask()

    def menu(self, plot: TimePlot) -> QMenu:
        """The choices of a plot, as they are now."""
        menu = QMenu(plot)
        menu.aboutToHide.connect(menu.deleteLater)
        at = self.slots.index(plot)
        spec = self._presenter.plots[at]
        for key, label, shown in self._presenter.choices(at):
            action = menu.addAction(label)
            assert action is not None
            action.setCheckable(True)
            action.setChecked(shown)
            action.toggled.connect(lambda on, key=key: self._choose(at, key, on))
        if spec.kind == FLOW and self._presenter.flow is not None:
            self._offer_windows(menu)
        if spec.kind == VOLUME:
            menu.addSeparator()
            action = menu.addAction("What is beyond the programmed volume")
            assert action is not None
            action.setCheckable(True)
            action.setChecked(self._presenter.shows_difference)
            action.toggled.connect(self._show_difference)
        others = self._presenter.others(at)
        if others:
            inner = menu.addMenu("Show instead")
            assert inner is not None
            for kind, title in others:
                action = inner.addAction(title)
                assert action is not None
                action.triggered.connect(lambda _, kind=kind: self._replace(at, kind))
        return menu

    def _offer_windows(self, menu: QMenu) -> None:
        inner = menu.addMenu("Flow from the balance over")
        assert inner is not None
        for window_s in WINDOWS_S:
            action = inner.addAction(window_text(window_s))
            assert action is not None
            action.setCheckable(True)
            action.setChecked(window_s == self._presenter.window_s)
            action.triggered.connect(lambda _, window_s=window_s: self._take_window(window_s))

    def _exclude(self) -> None:
        time = self._time
        if time is not None:
            self.exclude_wanted.emit(None if time.is_following else (time.t0, time.t1), time.cursor)

    def _choose(self, at: int, key: str, shown: bool) -> None:
        self._presenter.show_curve(at, key, shown)
        self._pace.ask()

    def _show_difference(self, shown: bool) -> None:
        self._presenter.show_difference(shown)
        self._pace.ask()

    def _take_window(self, window_s: float) -> None:
        self._presenter.take_window(window_s)
        self._pace.ask()

    def _replace(self, at: int, kind: str) -> None:
        self._presenter.replace(at, kind)
        self._pace.ask()


def _why(record: Record) -> str:
    """What a shade says: why something was disturbed, the reason of a person, else of what kind it is."""
    return str(record.fields.get("why", record.fields.get("reason", record.kind)))


def _is_same(slot: TimePlot | ResultPlot, spec: PlotSpec) -> bool:
    """Whether a plot can show this too."""
    if isinstance(slot, TimePlot):
        return spec.kind != RESULT and (slot.title, slot.unit) == (spec.title, spec.unit)
    return spec.kind == RESULT
