"""A run of a runner, as the window has it: its frames and its state come in threads of their own, commands go out.

The threads only fetch and check.  What they brought is taken by `RunLink.take` where the presenters live, a little at a
time, so that a window that comes back to a run of days stays at hand while it catches up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from uuid import uuid4

from bench.rpc.client import Client, ClientError, checked
from bench.rpc.doors import Doors
from bench.rpc.messages import Action, Ending, Outcome, Reply, Status
from bench.run_queue import Entry
from data.frames import Content, FrameChain
from gui.presenters.background import Background

POLL_S = 0.5
"""Between two questions for the state of a run."""

STATUS_S = 2.0
"""A runner that has not told its state for this long is said not to answer."""

WAITING_PIECES = 8
"""So many pieces of about 1 MiB wait to be taken; the runner holds back the rest."""

STOP_ANSWER_S = 3.0
"""A stop that is not answered for this long is said to have no answer; it is asked for again all the same."""


TRIES = 6
"""So often a run that has not taken a command yet is asked; each time it takes some seconds to say so."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a run cannot be followed any further."""

    reason: str


Taken = Content | Ending | Broken


class RunLink:
    """One run of this computer, followed from its first frame on.

    Parameters
    ----------
    entry : the run.
    background : where commands are sent from.

    Attributes
    ----------
    status : the last that the runner told; None before it told any.
    silent_s : for how long it has not answered.
    ending : how the run ended; None while it goes on.
    behind : whether frames wait to be taken.
    doors : where its runner is; None before it has told.
    """

    def __init__(self, entry: Entry, background: Background) -> None:
        self.entry = entry
        self.status: Status | None = None
        self.ending: Ending | None = None
        self.doors: Doors | None = None
        self._background = background
        self._pieces: Queue[list[Content] | Ending | Broken] = Queue(WAITING_PIECES)
        self._left: list[Content] = []
        self._closed = threading.Event()
        self._followed: Client | None = None
        self._told_at = time.monotonic()
        threading.Thread(target=self._follow, name=f"follow run {entry.number}", daemon=True).start()
        threading.Thread(target=self._watch, name=f"state of run {entry.number}", daemon=True).start()

    @property
    def silent_s(self) -> float:
        """Seconds since the runner last told its state; 0 once the run has ended."""
        return 0.0 if self.ending is not None else time.monotonic() - self._told_at

    @property
    def behind(self) -> bool:
        """Whether more is there to be taken."""
        return bool(self._left) or not self._pieces.empty()

    def take(self, limit_s: float, hear: Callable[[Taken], None]) -> None:
        """Hand on what has come, in order, for about so long."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            if not self._left:
                try:
                    said = self._pieces.get_nowait()
                except Empty:
                    return
                if isinstance(said, Ending):
                    self.ending = said
                if not isinstance(said, list):
                    hear(said)
                    continue
                self._left = said[::-1]
            for _ in range(min(len(self._left), 64)):
                hear(self._left.pop())

    def close(self) -> None:
        """Follow it no more; the run goes on.

        A runner has room for a few who follow, and one that is not begun yet says nothing by which the thread would
        see that nobody listens any more.
        """
        self._closed.set()
        if self._followed is not None:
            threading.Thread(target=self._followed.close, name=f"leave run {self.entry.number}", daemon=True).start()

    # -- commands

    def do(
        self,
        person: str,
        action: Action,
        then: Callable[[Reply], None],
        failed: Callable[[str], None],
        *,
        take_over: bool = False,
    ) -> None:
        """Have the control for one command; ``failed`` gets a sentence when somebody else has it or nobody answers."""

        def ask() -> Reply:
            with Client.of(self.entry) as client, client.control(person, take_over=take_over) as lease:
                key = str(uuid4())
                reply = client.command(person, action, lease, key)
                for _ in range(TRIES):
                    if reply.outcome is not Outcome.PENDING or self._closed.is_set():
                        break
                    reply = client.command(person, action, lease, key)  # with the same key it is done once
            if reply.outcome is Outcome.PENDING:
                raise ClientError("the run has not taken it yet, and may still do so; see its events, then try again")
            if reply.outcome is Outcome.REFUSED:
                raise ClientError(reply.sentence)
            return reply

        self._background.aside(ask, then, failed)

    # -- the threads

    def _follow(self) -> None:
        try:
            client = self._client()
            if client is None:
                return
            with client:
                self._followed = client
                if self._closed.is_set():
                    return
                chain = FrameChain()
                for said in client.pieces():
                    if isinstance(said, Ending):
                        self._put(said)
                        return
                    self._put([message.content for message in checked(chain, said)])
                    if self._closed.is_set():
                        return
        except Exception as error:  # noqa: BLE001  # else nobody would be told that nothing more comes
            is_told = isinstance(error, ValueError | OSError)  # `ClientError` and `JournalError` are ValueErrors
            self._put(Broken(str(error) if is_told else f"{type(error).__name__}: {error}"))
            self._await_end()

    def _await_end(self) -> None:
        """How a run ends that cannot be followed any further is told on disk."""
        while not self._closed.is_set():
            with suppress(OSError, ValueError):  # it is being written
                if (ending := self.entry.state().ending) is not None:
                    self._put(ending)
                    return
            self._closed.wait(POLL_S)

    def _client(self) -> Client | None:
        """A client once the run has a runner; None when it never had one, or nobody wants it any more."""
        was_dead = False
        while not self._closed.is_set():
            state = self.entry.state()
            dead = state.ending is not None and state.ending.state == "died"
            if dead and not was_dead:  # one that somebody withdraws in this moment looks the same
                was_dead = True
                self._closed.wait(POLL_S)
                continue
            if state.doors is not None:
                self.doors = state.doors
                return Client(state.doors, self.entry)
            if state.ending is not None:
                self._put(state.ending)
                return None
            self._told_at = time.monotonic()  # nobody is there yet who could tell
            self._closed.wait(POLL_S)
        return None

    def _put(self, said: list[Content] | Ending | Broken) -> None:
        while not self._closed.is_set():
            try:
                self._pieces.put(said, timeout=POLL_S)
            except Full:
                continue
            return

    def _watch(self) -> None:
        client: Client | None = None
        while not self._closed.is_set() and self.ending is None:
            try:
                if client is None:
                    doors = self.doors = self.entry.state().doors
                    client = None if doors is None else Client(doors, self.entry, answer_s=STATUS_S)
                if client is not None:
                    self.status = client.status()
                    self._told_at = time.monotonic()
            except Exception:  # noqa: BLE001  # how long it has been silent says it
                pass
            self._closed.wait(POLL_S)
        if client is not None:
            client.close()
