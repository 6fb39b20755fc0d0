"""Not more often than a person can see: what is wished for is done now and then, and only where it is seen."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QEvent, QObject, QTimer
from PyQt6.QtWidgets import QWidget


class NowAndThen(QObject):
    """Calls something at most once in an interval, while a widget can be seen; the last wish is never forgotten.

    Parameters
    ----------
    interval_ms : between two calls.
    """

    def __init__(self, widget: QWidget, interval_ms: int, call: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget = widget
        self._call = call
        self._is_owed = False
        self._interval_ms = interval_ms
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._due)
        widget.installEventFilter(self)

    def ask(self) -> None:
        """Wish for a call."""
        self._is_owed = True
        if self._widget.isVisible() and not self._timer.isActive():
            self._due()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802  # Qt's name
        """Do what is owed when the widget comes into sight."""
        if event is not None and event.type() == QEvent.Type.Show and self._is_owed and not self._timer.isActive():
            self._timer.start(0)
        return False

    def _due(self) -> None:
        if self._is_owed and self._widget.isVisible():
            self._is_owed = False
            self._timer.start(self._interval_ms)
            self._call()
