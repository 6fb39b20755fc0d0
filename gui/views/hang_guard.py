"""Sees when Qt's thread hangs, and opens the little STOP window then, which hangs with nobody."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from PyQt6.QtCore import QObject, QTimer

from gui.presenters.qualification import of_its_own
from gui.theme.look import look
from gui.views.stop_bar import Why

BEAT_S = 0.2
HANGS_S = 1.5
"""Without a beat for so long the window hangs."""

LEAVES_S = 1.0
"""So long the end of the main window waits for that of the STOP window, which may have something to do still."""

Bar = subprocess.Popen[bytes]


class HangGuard(QObject):
    """Beats in Qt's thread, listens in one of its own, and opens the STOP window: one at a time.

    Parameters
    ----------
    wanted : whether there is anything to stop; asked in the listening thread.  Where that cannot be told there may be.
    opened : opens the STOP window, told why, and gives its process; what happens to the main one is written to its
        input, a word of `Why` on a line.
    """

    def __init__(self, wanted: Callable[[], bool], opened: Callable[[Why], Bar]) -> None:
        super().__init__()
        self._wanted, self._open = wanted, opened
        self._bar: Bar | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._beat_at = time.monotonic()
        self.longest_s = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._beat)
        self._timer.start(round(BEAT_S * 1000.0))
        threading.Thread(target=self._listen, name="hang guard", daemon=True).start()

    def ask(self) -> None:
        """Open the STOP window for a person who has to say which run is meant; raises OSError."""
        self._show(Why.ASKED)

    def close(self) -> None:
        """Listen no more; the STOP window goes with the main one, unless a stop in it has no answer yet."""
        self._timer.stop()
        self._ended.set()
        with self._lock:
            bar = self._bar
            if bar is None or bar.poll() is not None:
                return
            _tell(bar, Why.CLOSED)
            if bar.stdin is not None:
                with suppress(OSError):
                    bar.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            bar.wait(LEAVES_S)

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
            if hangs and not told and self._is_wanted():
                with suppress(OSError):  # there may be no more processes: the next time it hangs
                    self._show(Why.HANGS)
            elif told and not hangs:
                with self._lock:
                    _tell(self._bar, Why.BACK)
            told = hangs

    def _is_wanted(self) -> bool:
        try:
            return self._wanted()
        except Exception:  # noqa: BLE001  # the guard must not end by it
            return True

    def _show(self, why: Why) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            if self._bar is not None and self._bar.poll() is None:
                _tell(self._bar, why)
            else:
                self._bar = self._open(why)


def _tell(bar: Bar | None, why: Why) -> None:
    if bar is None or bar.stdin is None:
        return
    with suppress(OSError, ValueError):  # a person has closed it
        bar.stdin.write(f"{why}\n".encode())
        bar.stdin.flush()


def open_stop_bar(state: Path, person: str, why: Why, press: Sequence[int] = ()) -> Bar:
    """Start the STOP window in a process of its own, which outlives this one; raises OSError.

    Parameters
    ----------
    press : numbers of runs that it stops at once.
    """
    asked = [f"--state={state}", f"--person={person}", f"--why={why}", *(f"--press={number}" for number in press)]
    asked += [f"--scheme={look().scheme.name}", f"--density={look().density.name}"]  # the folder that has it may hang
    listens = why is not Why.CLOSED
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "gui.views.stop_bar", *asked, *(["--listen"] if listens else [])],
        stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
        **of_its_own(),
    )
