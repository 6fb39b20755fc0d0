"""A run file that is open in a process of its own, which answers what is asked of the file.

HDF5 can crash or hang on damaged bytes: then that process ends, and the window says so.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeVar

from data.run import Run
from gui.presenters.background import Background

T = TypeVar("T")

PATIENCE_S = 60.0
"""A single question takes a fraction of a second on a sound file."""

Asked = tuple[int, int, Callable[..., Any], tuple[Any, ...], Callable[[Any], None], Callable[[str], None]]


class Reader(Protocol):
    """Answers what is asked of one run file."""

    def ask(
        self,
        work: Callable[..., T],
        arguments: tuple[Any, ...],
        then: Callable[[T], None],
        failed: Callable[[str], None],
        *,
        urgency: int = 1,
    ) -> None:
        """Have ``work(run, *arguments)`` done; the lowest urgency is done first.

        ``then`` and ``failed`` are called where presenters live, and not after `close`.
        """

    def close(self) -> None:
        """Let go of the file."""


class FileReader:
    """Meets `Reader` by a process for each of its hands.

    Parameters
    ----------
    hands : processes that read side by side.
    """

    def __init__(self, path: Path, background: Background, hands: int = 1) -> None:
        self._path = path
        self._background = background
        self._waiting: list[Asked] = []
        self._number = 0
        self._closed = False
        self._there = threading.Condition()
        self._broken = ""
        self._processes: list[Any] = []
        for number in range(hands):
            threading.Thread(target=self._work, name=f"reader {number}", daemon=True).start()

    def ask(
        self,
        work: Callable[..., T],
        arguments: tuple[Any, ...],
        then: Callable[[T], None],
        failed: Callable[[str], None],
        *,
        urgency: int = 1,
    ) -> None:
        """As `Reader.ask`."""
        with self._there:
            self._number += 1
            heapq.heappush(self._waiting, (urgency, self._number, work, arguments, then, failed))
            self._there.notify()

    def close(self) -> None:
        """As `Reader.close`."""
        with self._there:
            self._closed = True
            self._waiting.clear()
            self._there.notify_all()
            processes = list(self._processes)
        for process in processes:
            process.kill()

    def _work(self) -> None:
        """One hand: as long as the file is open, ask its process one thing after the other."""
        context = get_context("spawn")  # gRPC does not survive a fork
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._path), daemon=True)
        with self._there:
            if self._closed:
                return
            process.start()
            self._processes.append(process)
        theirs.close()
        with ours:
            while (asked := self._next()) is not None:
                self._put(ours, asked)
        process.kill()
        process.join()

    def _next(self) -> Asked | None:
        with self._there:
            while not self._waiting and not self._closed:
                self._there.wait()
            return None if self._closed else heapq.heappop(self._waiting)

    def _put(self, pipe: Connection, asked: Asked) -> None:
        *_, work, arguments, then, failed = asked
        kind, said = ("raised", self._broken) if self._broken else self._answer(pipe, work, arguments)
        self._post((lambda: failed(said)) if kind == "raised" else (lambda: then(said)))

    def _answer(self, pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, Any]:
        try:
            pipe.send((work, arguments))
            if pipe.poll(PATIENCE_S):
                answer: tuple[str, Any] = pipe.recv()
                return answer
            self._broken = f"{self._path.name}: reading it did not end within {PATIENCE_S:g} s; the file is damaged"
        except (EOFError, OSError):
            self._broken = f"{self._path.name}: reading it ended the process that read it; the file is damaged"
        return "raised", self._broken

    def _post(self, call: Callable[[], None]) -> None:
        def unless_closed() -> None:
            if not self._closed:
                call()

        if not self._closed:
            with suppress(RuntimeError):  # the window is gone
                self._background.post(unless_closed)


class HereReader:
    """Meets `Reader` in this process, for tests and scripts."""

    def __init__(self, path: Path, background: Background) -> None:
        self._path = path
        self._background = background
        self._closed = False

    def ask(
        self,
        work: Callable[..., T],
        arguments: tuple[Any, ...],
        then: Callable[[T], None],
        failed: Callable[[str], None],
        *,
        urgency: int = 1,
    ) -> None:
        """As `Reader.ask`, in the order in which it is asked."""

        def done() -> T:
            with Run.open(self._path) as run:
                return work(run, *arguments)

        self._background.aside(
            done,
            lambda said: None if self._closed else then(said),
            lambda said: None if self._closed else failed(said),
        )

    def close(self) -> None:
        """As `Reader.close`."""
        self._closed = True


def _serve(pipe: Connection, path: Path) -> None:
    """Answer until nobody asks any more."""
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        try:
            run = Run.open(path)
        except ValueError as error:
            while True:
                pipe.recv()
                pipe.send(("raised", str(error)))
        while True:
            work, arguments = pipe.recv()
            pipe.send(_done(run, work, arguments))


def _done(run: Run, work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return "done", work(run, *arguments)
    except (ValueError, OSError) as error:
        return "raised", str(error)
    except Exception as error:  # noqa: BLE001  # it must be heard by who asked
        return "raised", f"{run.path.name}: {type(error).__name__}: {error}"
