"""STOP: what becomes of a stop that a person asked for, said as it is.

This is an orderly stop of a run by its runner, not an emergency stop: that is hardware.  It has a line of its own to
the runner, needs no control of the run, and is asked for until it is answered or the run has ended.  A runner that has
taken it and falls silent before the end is said not to answer either.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from uuid import uuid4

from bench.rpc.client import Client
from bench.rpc.doors import Doors
from bench.rpc.messages import Outcome
from bench.run_queue import Entry, QueueError
from gui.presenters.numbers import rough_duration
from gui.presenters.run_link import POLL_S, STOP_ANSWER_S
from gui.presenters.setup_queue import withdraw
from gui.presenters.tone import Tone


class StopState(StrEnum):
    """What is known of the stop."""

    IDLE = "idle"
    STOPPING = "stopping"
    ACCEPTED = "accepted"
    STOPPED = "stopped"
    NO_ANSWER = "no answer"
    DEAD = "dead"


SAYS = {
    StopState.IDLE: ("", Tone.PLAIN),
    StopState.STOPPING: ("Stopping…", Tone.BUSY),
    StopState.ACCEPTED: ("Stopping: the runner brings the bench to its safe state", Tone.BUSY),
    StopState.STOPPED: ("Stopped", Tone.GOOD),
    StopState.NO_ANSWER: ("No answer from the runner. Use the emergency stop of the bench", Tone.FAIL),
    StopState.DEAD: ("The runner is dead. See that the bench is safe; use its emergency stop", Tone.FAIL),
}


CLOSING = "Stopping: all steps are over, the record is being closed"
SILENT_SINCE = "It had taken the stop, and is silent since. Use the emergency stop of the bench"

LONG_S = 10.0
"""A runner that has made the bench safe for longer than this is told with its time."""

GLANCE_S = 0.1
"""Between two looks at how long nobody has answered."""


class Stopping:
    """One stop of one run.

    Three threads have a part in it, so that none waits for another's: one asks the runner, one reads on disk how the
    run ends and where its runner is, one says so when nobody answers.

    Parameters
    ----------
    person, reason : are recorded with it.
    changed : called on any thread when ``state`` has changed.
    doors : where the runner is, as far as that is known: then nothing on disk is waited for.

    Attributes
    ----------
    sent_s, taken_s : from `press` until the request went out, and until the runner had taken it; None before.
    """

    def __init__(
        self, entry: Entry, person: str, reason: str, changed: Callable[[], None], doors: Doors | None = None
    ) -> None:
        self.state = StopState.IDLE
        self.sentence = ""
        self.sent_s: float | None = None
        self.taken_s: float | None = None
        self._entry = entry
        self._person, self._reason = person, reason
        self._changed = changed
        self._doors = doors
        self._pressed = self._heard_at = 0.0
        self._is_taken = self._is_closing = False
        self._key = str(uuid4())
        self._lock = threading.Lock()
        self._found = threading.Event()  # where the runner is
        self._over = threading.Event()

    def press(self) -> None:
        """Ask for the stop, at once; asked again, wait for an answer again."""
        state = self.state
        if state not in (StopState.IDLE, StopState.NO_ANSWER):
            return
        self._heard_at = time.monotonic()
        self._is_taken = False  # with the same key it is done once
        if state is StopState.NO_ANSWER:
            self._say(StopState.STOPPING)
            return
        self._pressed = self._heard_at
        self._say(StopState.STOPPING)
        if self._doors is not None:
            self._found.set()
        for work, name in ((self._send, "stop"), (self._see, "stop's end"), (self._hurry, "stop's answer")):
            threading.Thread(target=work, name=name, daemon=True).start()

    @property
    def is_pending(self) -> bool:
        """Whether nobody is known to have taken it: who lets go of it now drops it."""
        return self.state in (StopState.STOPPING, StopState.NO_ANSWER)

    @property
    def says(self) -> tuple[str, Tone]:
        """What is to be read beside the button."""
        text, tone = SAYS[self.state]
        if self.state is StopState.NO_ANSWER and self._is_taken:
            return SILENT_SINCE, tone
        if self.state is StopState.ACCEPTED and self._is_closing:
            return CLOSING, tone
        if self.state is StopState.ACCEPTED and self.taken_s is not None:
            lasts_s = time.monotonic() - self._pressed - self.taken_s
            return (f"{text}: {rough_duration(lasts_s)} so far" if lasts_s > LONG_S else text), tone
        return (f"{text}: {self.sentence}" if self.sentence else text), tone

    def _send(self) -> None:
        """Until the runner takes it; then see that it still answers, until the run has ended."""
        while not self._over.is_set():
            if self._found.wait(POLL_S):
                self._exchange()
                self._over.wait(POLL_S)

    def _exchange(self) -> None:
        doors = self._doors
        assert doors is not None
        try:
            with Client(doors, self._entry, answer_s=STOP_ANSWER_S) as client:
                if not self._is_taken and not self._taken_by(client):
                    return
                self._is_closing = client.status().state == "closing"
        except Exception:  # noqa: BLE001  # whatever it is, the stop is asked for again, and that nobody answers is told
            return
        self._heard_at = time.monotonic()
        if self.state is not StopState.ACCEPTED:
            self._say(StopState.ACCEPTED)

    def _taken_by(self, client: Client) -> bool:
        """Ask for the stop; whether it was taken, or comes after the steps are over."""
        self.sent_s = self.sent_s or time.monotonic() - self._pressed
        outcome = client.stop(self._person, self._reason, self._key).outcome
        if outcome is Outcome.ACCEPTED:
            self.taken_s = self.taken_s or time.monotonic() - self._pressed
            self._is_taken = True
            self._heard_at = time.monotonic()
            self._say(StopState.ACCEPTED)
        return outcome is Outcome.ACCEPTED or (outcome is Outcome.REFUSED and client.status().state == "closing")

    def _see(self) -> None:
        """Read how the run ends; its file, or a share, may not be to be read for a while."""
        was_dead = False
        while not self._over.is_set():
            with suppress(Exception):  # whatever it is, it is looked at again
                state = self._entry.state()
                ending = state.ending
                dead = ending is not None and ending.state == "died"
                if ending is not None and (was_dead or not dead):
                    self._say(
                        StopState.DEAD if dead else StopState.STOPPED, "" if dead else ending.status or ending.state
                    )
                    self._over.set()
                    return
                was_dead = dead  # one that somebody withdraws in this moment looks the same
                if state.doors is not None:
                    self._doors = state.doors
                    self._found.set()
                if state.state == "waiting" and self._withdrawn():
                    continue
            self._over.wait(POLL_S)

    def _withdrawn(self) -> bool:
        """Take a run that still waits out of the queue, where no runner could be asked; False where it begins."""
        try:
            withdraw(self._entry, self._person, self._reason)
        except (QueueError, OSError):
            return False
        return True

    def _hurry(self) -> None:
        """Say so when nobody answers, before it is taken or after."""
        while not self._over.wait(GLANCE_S):
            with self._lock:
                waits = self.state in (StopState.STOPPING, StopState.ACCEPTED)
                is_silent = waits and not self._is_closing and time.monotonic() - self._heard_at > STOP_ANSWER_S
                if is_silent:
                    self.state = StopState.NO_ANSWER
            if is_silent:
                self._changed()

    def _say(self, state: StopState, sentence: str = "") -> None:
        with self._lock:
            if self.state in (StopState.STOPPED, StopState.DEAD):
                return
            self.state, self.sentence = state, sentence
        self._changed()
