"""The row of buttons below a plot against time, or below several that are linked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QWidget

from gui.presenters.time_view import WINDOWS, TimeView
from gui.views.parts import button, tool

if TYPE_CHECKING:
    from gui.plots.time_plot import TimePlot


class TimeTools(QWidget):
    """Acts on the stretch of time that plots share, and on each of them.

    Parameters
    ----------
    plots : linked ones.
    live : whether more samples may come; what follows and holds them is left out else.
    """

    def __init__(self, *plots: TimePlot, live: bool = True) -> None:
        super().__init__()
        self._plots = plots
        self._is_live = live
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        self.window_choice = QComboBox()
        self.window_choice.addItems([name for name, _ in WINDOWS])
        self.window_choice.setAccessibleName("What is followed")
        self.window_choice.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.window_choice.activated.connect(lambda at: self._time.follow(WINDOWS[at][1]))
        self.live = button("Back to live", "play", lambda: self._time.back_to_live(), primary=True)
        self.live.setToolTip("Follow the newest samples again (End)")
        self.all = tool("zoom-out", "Show all (Home, double click)", self._show_all)
        self.values = tool("zoom-y", "Fit the values (Y)", self._fit_y)
        self.box = tool("zoom-box", "Zoom by drawing a box (B; or with the right mouse button)", checkable=True)
        self.box.clicked.connect(lambda checked: self._time.draw_boxes(checked))
        self.hold = tool("hold", "Hold what is shown; samples go on being taken (Space)", checkable=True)
        self.hold.clicked.connect(lambda checked: self._time.hold(checked))
        self.reading = tool("cursor", "Read values at a moment (C; arrow keys move it)", checkable=True)
        self.reading.clicked.connect(lambda checked: self._read(checked))
        self.picture = tool("picture", "Save a picture (P)", self._save)
        self._row.addWidget(self.window_choice)
        self._row.addWidget(self.live)
        self._row.addStretch(1)
        for made in (self.all, self.values, self.box, self.hold, self.reading, self.picture):
            self._row.addWidget(made)
        self.window_choice.setVisible(live)
        self.hold.setVisible(live)
        self.listen()

    def add(self, made: QWidget) -> None:
        """Put a further button at the end of the row."""
        self._row.addWidget(made)

    @property
    def _time(self) -> TimeView:
        return self._plots[0].time

    def listen(self) -> None:
        """Show what the plots do, now and from now on."""
        self._time.listen(self.show_state)
        self.show_state()

    def show_state(self) -> None:
        """Show what is followed, held, pointed at."""
        time = self._time
        self.live.setVisible((self._is_live and not time.is_following) or time.is_held)
        self.hold.setChecked(time.is_held)
        self.box.setChecked(time.draws_box)
        self.reading.setChecked(time.cursor is not None)
        self.window_choice.setCurrentIndex([window for _, window in WINDOWS].index(time.window_s))

    def _show_all(self) -> None:
        for plot in self._plots:
            plot.fit_y()
        self._time.show_all()

    def _fit_y(self) -> None:
        for plot in self._plots:
            plot.fit_y()

    def _read(self, checked: bool) -> None:
        self._plots[0].show_cursor(checked)

    def _save(self) -> None:
        for plot in self._plots:
            plot.save()
