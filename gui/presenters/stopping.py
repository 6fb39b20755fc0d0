"""STOP: what becomes of a stop that a person asked for, said as it is.

This is an orderly stop of a run by its runner, not an emergency stop: that is hardware.  It has a line of its own to
the runner, needs no control of the run, and is asked for until it is answered or the run has ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from uuid import uuid4

from bench.rpc.client import Client
from bench.rpc.messages import Outcome
from bench.run_queue import Entry, QueueError
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


class Stopping:
    """One stop of one run.

    Parameters
    ----------
    person, reason : are recorded with it.
    changed : called on any thread when ``state`` has changed.

    Attributes
    ----------
    sent_s, taken_s : from `press` until the request went out, and until the runner had taken it; None before.
    """

    def __init__(self, entry: Entry, person: str, reason: str, changed: Callable[[], None]) -> None:
        self.state = StopState.IDLE
        self.sentence = ""
        self.sent_s: float | None = None
        self.taken_s: float | None = None
        self._entry = entry
        self._person, self._reason = person, reason
        self._changed = changed
        self._pressed = 0.0
        self._key = str(uuid4())
        self._done = threading.Event()

    def press(self) -> None:
        """Ask for the stop, at once and from a thread of its own."""
        if self.state is not StopState.IDLE:
            return
        self._pressed = time.monotonic()
        self._say(StopState.STOPPING)
        threading.Thread(target=self._ask, name="stop", daemon=True).start()
        threading.Thread(target=self._hurry, name="stop's answer", daemon=True).start()

    @property
    def says(self) -> tuple[str, Tone]:
        """What is to be read beside the button."""
        text, tone = SAYS[self.state]
        return (f"{text}: {self.sentence}" if self.sentence else text), tone

    def _ask(self) -> None:
        """Until the runner takes it; then until the run has ended."""
        accepted = was_dead = False
        while True:
            try:
                state = self._entry.state()
            except (OSError, ValueError):  # its file, or a share, is not to be read just now
                self._done.wait(POLL_S)
                continue
            ending = state.ending
            dead = ending is not None and ending.state == "died"
            if dead and not was_dead:  # one that somebody withdraws in this moment looks the same
                was_dead = True
                self._done.wait(POLL_S)
                continue
            if ending is not None:
                self._say(StopState.DEAD if dead else StopState.STOPPED, "" if dead else ending.status or ending.state)
                self._done.set()
                return
            if state.state == "waiting" and self._withdrawn():
                continue
            if not accepted:
                accepted = self._asked()
            self._done.wait(POLL_S)

    def _withdrawn(self) -> bool:
        """Take a run that still waits out of the queue, where no runner could be asked; False where it begins."""
        try:
            withdraw(self._entry, self._person, self._reason)
        except (QueueError, OSError):
            return False
        return True

    def _asked(self) -> bool:
        try:
            with Client.of(self._entry, answer_s=STOP_ANSWER_S) as client:
                self.sent_s = self.sent_s or time.monotonic() - self._pressed
                reply = client.stop(self._person, self._reason, self._key)
        except (ValueError, OSError):  # a `ClientError` is one
            return False
        if reply.outcome is Outcome.ACCEPTED:
            self.taken_s = time.monotonic() - self._pressed
            self._done.set()
            self._say(StopState.ACCEPTED)
            self._done.clear()
        return reply.outcome is Outcome.ACCEPTED

    def _hurry(self) -> None:
        """Say so when nobody answers."""
        if not self._done.wait(STOP_ANSWER_S) and self.state is StopState.STOPPING:
            self._say(StopState.NO_ANSWER)

    def _say(self, state: StopState, sentence: str = "") -> None:
        self.state, self.sentence = state, sentence
        self._changed()
