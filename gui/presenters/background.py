"""Work that takes long, done elsewhere than where the window is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Cancel = Callable[[], None]
"""Ends what was asked for: nothing is heard of it any more.  Called again, or when all is done, it does nothing."""


def nothing() -> None:
    """Cancels nothing: what was asked for has come, or nothing was."""


class Background(Protocol):
    """Does work, and gives what comes of it back where the presenter lives.

    Presenters live in one thread.  ``then`` and ``failed`` are called there, never before `aside` or `apart` has
    returned, and not at all once the window is closed.
    """

    def aside(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[str], None] | None = None
    ) -> None:
        """Do what waits more than it works: ask a runner, read a small file.

        ``failed`` gets one sentence for a ValueError or an OSError; without it, it is shown as a notice.
        """

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
        """Do what works long, or may never come back (HDF5 can hang on a damaged file), in a process of its own.

        ``work`` is a function of a module, its arguments and result can be pickled; past the deadline it is killed, and
        ``failed`` gets ``late``, or that the file may be damaged where that is empty.

        Returns
        -------
        What kills the process: for who has to know something newer by now.
        """

    def post(self, call: Callable[[], None]) -> None:
        """Have a call made where the presenters live; from any thread."""

    def every(self, interval_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Make a call again and again where the presenters live; returns what ends it."""


class Inline:
    """Does everything at once, where it is asked for; `run` makes the calls that wait.  For tests and for scripts.

    Attributes
    ----------
    notices : sentences for which nobody else cares.
    repeated : calls that `tick` makes.
    waiting : what was asked for and is not done yet, in order.
    """

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.repeated: list[Callable[[], None]] = []
        self.waiting: list[Callable[[], None]] = []

    def aside(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[str], None] | None = None
    ) -> None:
        """As `Background.aside`."""
        self.waiting.append(lambda: self._do(work, then, failed))

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
        """As `Background.apart`, in this process and without a deadline."""

        def do() -> None:
            self._do(lambda: work(*arguments), then, failed)

        def cancel() -> None:
            if do in self.waiting:
                self.waiting.remove(do)

        self.waiting.append(do)
        return cancel

    def post(self, call: Callable[[], None]) -> None:
        """As `Background.post`."""
        self.waiting.append(call)

    def every(self, interval_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """As `Background.every`; `tick` makes the calls."""
        self.repeated.append(call)
        return lambda: self.repeated.remove(call)

    def run(self) -> None:
        """Do all that waits, and what comes of it."""
        while self.waiting:
            self.waiting.pop(0)()

    def tick(self) -> None:
        """Make each repeated call once, then `run`."""
        for call in list(self.repeated):
            call()
        self.run()

    def _do(self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[str], None] | None) -> None:
        try:
            done = work()
        except (ValueError, OSError) as error:
            (failed or self.notices.append)(str(error))
        else:
            then(done)
