"""When a run has ended and a disk does not take the end of what must be kept: try again, and elsewhere.

Nothing is lost while the process lives.  So on a real bench, which is safe by then, it goes on until there is room, or
somebody ends it.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from bench.latch import Latches
from bench.latch_keeper import Entry
from bench.state_folder import home
from data.journal import JournalError, JournalWriter
from instruments.clock import Clock

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What stops a run in order, where the platform has it, and gives up what its disk does not take."""

TRY_EVERY_S = 10.0
TELL_EVERY_S = 3600.0
GIVE_UP_S = 5.0
"""How long an attempt that is under way may take when somebody gives up."""

MEMORY = Path("/dev/shm")  # the last resort: it is gone when the computer is switched off


class LastTries:
    """The end of a record, and the latches that are not kept yet.

    Attributes
    ----------
    copy : the whole record in another place; None where it is where it belongs, or nowhere.
    unclosed : why the record does not stand in its own file.
    unkept : why not all latches are kept.
    """

    def __init__(self, writer: JournalWriter, latches: Latches | None, entries: Sequence[Entry]) -> None:
        self._writer = writer
        self._latches = latches
        self._entries = list(entries)
        self.copy: Path | None = None
        self.unclosed = self.unkept = ""

    def __call__(self) -> bool:
        """Try what has not been done; returns whether nothing is left."""
        if self.copy is None:
            self.unclosed = self._close()
        self.unkept = self._keep()
        return self.whole and not self.unkept

    @property
    def whole(self) -> bool:
        """Whether all of the record is on a disk."""
        return not self.unclosed or self.copy is not None

    @property
    def why(self) -> str:
        """What is left, and why."""
        return "; ".join(filter(None, ["" if self.copy else self.unclosed, self.unkept]))

    def _close(self) -> str:
        try:
            self._writer.close()
        except JournalError as error:
            self.copy = rescue(self._writer)
            return str(error)
        return ""

    def _keep(self) -> str:
        while self._entries and self._latches is not None:
            entry = self._entries[0]
            try:
                entry.write(self._latches)
            except (OSError, ValueError) as error:
                return f'{self._latches.file} does not take that interlock "{entry.interlock}" is latched ({error})'
            self._entries.pop(0)
        return ""


def keep_on(attempt: Callable[[], bool], clock: Clock, waits: Callable[[], object]) -> None:
    """Try until it is done, or a signal comes.

    Parameters
    ----------
    attempt : returns whether it is done; a disk may make it hang, so it has a worker.
    waits : called when it was not done at first, and then once an hour.
    """
    over, ended = clock.event(), clock.event()

    def work() -> None:
        while not attempt() and not clock.wait(over, clock.now() + TRY_EVERY_S):
            pass
        ended.set()

    with on_signals(lambda _: over.set()):
        clock.worker("~last tries", work)
        tell_s = clock.now() + GIVE_UP_S
        while not clock.wait(ended, clock.now() + GIVE_UP_S):
            if over.is_set():
                return
            if clock.now() >= tell_s:
                waits()
                tell_s = clock.now() + TELL_EVERY_S


def rescue(writer: JournalWriter) -> Path | None:
    """Write the whole record to another place, since its own disk takes no more; None where none does."""
    for place in _places():
        folder = None
        try:
            if shutil.disk_usage(place).free < writer.path.stat().st_size + writer.unsynced_bytes:
                continue
            folder = Path(tempfile.mkdtemp(prefix="pumpbench-", dir=place))
            writer.copy_to(folder / writer.path.name)
        except (OSError, JournalError):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)  # half a copy helps nobody, and fills another disk
        else:
            return folder / writer.path.name
    return None


def _places() -> list[Path]:
    """Where a record may be rescued to: what lasts longest comes first."""
    places = list[Path]()
    for place in (home, Path.cwd, lambda: Path(tempfile.gettempdir()), lambda: MEMORY):
        with suppress(OSError, RuntimeError):  # no such folder, none that can be written, or no home
            places.append(place())
    return [place for place in places if place.is_dir()]


@contextmanager
def on_signals(act: Callable[[str], object]) -> Iterator[None]:
    """Have something done when this process is to end, instead of that; called with the signal's name.

    Whoever listened before, such as a runner that no other run shall follow, hears of it too.
    """
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before: dict[int, Any] = {}

    def heard(number: int, frame: FrameType | None) -> None:
        name, listened = signal.Signals(number).name, before[number]
        if callable(listened) and listened is not signal.default_int_handler:
            listened(number, frame)
        # From a thread of its own: the signal may have come in the middle of a wait whose lock `set` would need.
        threading.Thread(target=lambda: act(name), daemon=True).start()

    if threading.current_thread() is threading.main_thread():  # else signals are somebody else's business
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                before[number] = signal.signal(number, heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
