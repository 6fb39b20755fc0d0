"""Work done elsewhere than in Qt's thread, and its result brought back to it."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from gui.presenters.background import Cancel

T = TypeVar("T")

THREADS = 32
"""For what waits, begun where they are needed: each page may have some that a share does not let go of, and there are
always some left for the commands to a run."""

MOST_APART = 6
"""Processes at once; a file that hangs in one holds up no command."""

UNWANTED = "was not wanted any more"


class QtBackground(QObject):
    """Meets `gui.presenters.background.Background` in a window.

    Parameters
    ----------
    notify : shows a sentence for which nobody else cares.
    """

    _called = pyqtSignal(object)

    def __init__(self, notify: Callable[[str], None]) -> None:
        super().__init__()
        self._notify = notify
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="background")
        self._others = ThreadPoolExecutor(MOST_APART, thread_name_prefix="apart")
        self._called.connect(self._make)
        self._closed = False
        self._timers: list[QTimer] = []
        self._apart: set[Apart] = set()

    def aside(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[str], None] | None = None
    ) -> None:
        """As `Background.aside`."""
        self._pool.submit(self._do, work, then, failed or self._notify)

    def apart(
        self,
        work: Callable[..., T],
        arguments: tuple[Any, ...],
        then: Callable[[T], None],
        failed: Callable[[str], None] | None = None,
        *,
        deadline_s: float = 120.0,
        late: str = "",
    ) -> Cancel:
        """As `Background.apart`."""
        one = Apart()
        self._apart.add(one)
        say = failed or self._notify

        def heard(call: Callable[[Any], None]) -> Callable[[Any], None]:
            def hear(said: Any) -> None:
                self._apart.discard(one)
                if not one.is_cancelled:
                    call(said)

            return hear

        def cancel() -> None:
            self._apart.discard(one)
            one.cancel()

        self._others.submit(self._do, lambda: one.do(work, arguments, deadline_s, late), heard(then), heard(say))
        return cancel

    def post(self, call: Callable[[], None]) -> None:
        """As `Background.post`."""
        self._called.emit(call)

    def every(self, interval_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """As `Background.every`."""
        timer = QTimer(self)
        timer.timeout.connect(call)
        timer.start(round(interval_s * 1000.0))
        self._timers.append(timer)

        def end() -> None:
            if timer in self._timers:
                self._timers.remove(timer)
                timer.stop()
                timer.deleteLater()

        return end

    def close(self) -> None:
        """Bring no more results back and repeat nothing; processes that work are killed."""
        self._closed = True
        for timer in self._timers:
            timer.stop()
        for one in self._apart:
            one.cancel()
        for pool in (self._pool, self._others):
            pool.shutdown(wait=False, cancel_futures=True)

    def _do(self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[str], None]) -> None:
        try:
            done = work()
        except (ValueError, OSError) as error:
            said = str(error)
            self.post(lambda: failed(said))
        except Exception as error:  # noqa: BLE001  # the end of a thread: it must be seen
            said = f"{type(error).__name__}: {error}"
            self.post(lambda: failed(said))
        else:
            self.post(lambda: then(done))

    def _make(self, call: Callable[[], None]) -> None:
        if not self._closed:
            call()


class Apart:
    """One piece of work in a process of its own, which can be ended from another thread at any moment."""

    def __init__(self) -> None:
        self.is_cancelled = False
        self._process: SpawnProcess | None = None

    def cancel(self) -> None:
        """Kill the process, or never begin one; waits for nothing."""
        self.is_cancelled = True  # before the process is looked at: `do` looks the other way round
        process = self._process
        if process is not None:
            with suppress(OSError):  # it has just ended
                process.kill()

    def do(self, work: Callable[..., Any], arguments: tuple[Any, ...], deadline_s: float, late: str = "") -> Any:
        """Result of a function in a new process; raises ValueError with what it raised, or when it took too long."""
        if self.is_cancelled:
            raise ValueError(UNWANTED)
        context = get_context("spawn")  # gRPC does not survive a fork
        scratch = tempfile.mkdtemp(prefix="pumpbench-")
        ours, theirs = context.Pipe(duplex=False)
        # no daemon, which may start none
        process = context.Process(target=_answer, args=(theirs, work, arguments, scratch))
        process.start()
        self._process = process
        theirs.close()
        try:
            if self.is_cancelled:
                raise ValueError(UNWANTED)
            if not ours.poll(deadline_s):
                said = f"gave no answer within {deadline_s:g} s and was ended; the file may be damaged"
                raise ValueError(late or said)
            kind, said = ours.recv()
        except EOFError:
            raise ValueError("ended without an answer; the file may be damaged") from None
        finally:
            self._process = None
            process.kill()
            threading.Thread(target=_bury, args=(process, scratch), daemon=True).start()
            ours.close()
        if kind == "raised":
            raise ValueError(said)
        return said


def _bury(process: SpawnProcess, scratch: str) -> None:
    """Once a process is gone, remove what it has left: one that was killed could not."""
    process.join()
    shutil.rmtree(scratch, ignore_errors=True)


def _answer(pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...], scratch: str) -> None:
    tempfile.tempdir = scratch  # of this process alone: a runner that it starts lives longer
    try:
        said: tuple[str, Any] = ("done", work(*arguments))
    except (ValueError, OSError) as error:
        said = ("raised", str(error))
    except Exception as error:  # noqa: BLE001  # it must be heard by who asked
        said = ("raised", f"{type(error).__name__}: {error}")
    with suppress(BrokenPipeError):  # the window is gone
        pipe.send(said)
    pipe.close()
