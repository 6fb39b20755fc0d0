"""Sees when Qt's thread hangs, and opens the little STOP window then, which hangs with nobody."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, QTimer

BEAT_S = 0.2
HANGS_S = 1.5
"""Without a beat for so long the window hangs."""


class HangGuard(QObject):
    """Beats in Qt's thread, listens in one of its own.

    Parameters
    ----------
    wanted : whether there is anything to stop; asked in the listening thread.
    opened : opens the STOP window, and gives its process.
    """

    def __init__(self, wanted: Callable[[], bool], opened: Callable[[], subprocess.Popen[bytes]]) -> None:
        super().__init__()
        self._wanted, self._open = wanted, opened
        self._bar: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._beat_at = time.monotonic()
        self.longest_s = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._beat)
        self._timer.start(round(BEAT_S * 1000.0))
        threading.Thread(target=self._listen, name="hang guard", daemon=True).start()

    def close(self) -> None:
        """Listen no more; the STOP window goes with the main one, whose end is no hanging."""
        self._timer.stop()
        self._ended.set()
        if self._bar is not None and self._bar.poll() is None:
            self._bar.terminate()
            self._bar.wait()

    def _beat(self) -> None:
        now = time.monotonic()
        self.longest_s = max(self.longest_s, now - self._beat_at)
        self._beat_at = now

    def _listen(self) -> None:
        told, before = False, time.monotonic()
        while not self._ended.wait(BEAT_S):
            now, stood = time.monotonic(), time.monotonic() - before
            before = now
            if stood > HANGS_S:  # the whole process stood still, or the computer slept: Qt's thread is owed a beat
                self._beat_at = now
            hangs = time.monotonic() - self._beat_at > HANGS_S
            is_open = self._bar is not None and self._bar.poll() is None
            if hangs and not told and not is_open and self._wanted():
                self._bar = self._open()
            told = hangs


def open_stop_bar(state: Path, person: str) -> subprocess.Popen[bytes]:
    """Start the STOP window in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "gui.views.stop_bar", f"--state={state}", f"--person={person}"]
    )
