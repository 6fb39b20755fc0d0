"""The stops that were asked for in this window, of whichever runs: none is forgotten while its run goes on."""

from __future__ import annotations

from collections.abc import Callable

from bench.rpc.doors import Doors
from bench.run_queue import Entry
from gui.presenters.context import Context
from gui.presenters.stopping import SAYS, Stopping, StopState
from gui.presenters.tone import Tone

FAILED = {
    StopState.NO_ANSWER: "no answer to STOP; use the emergency stop of the bench",
    StopState.DEAD: "its runner is dead and took no STOP; see that the bench is safe, use its emergency stop",
}


class Stops:
    """Every stop, by the number of its run; what becomes of one that the header does not show is a notice.

    Parameters
    ----------
    reason : is recorded with each.
    changed : called where the presenters live when one has changed.
    """

    def __init__(self, context: Context, reason: str, changed: Callable[[], None]) -> None:
        self._context = context
        self._reason = reason
        self._changed = changed
        self._of: dict[int, Stopping] = {}
        self._told: dict[int, StopState] = {}
        self._shown: int | None = None

    def press(self, entry: Entry, doors: Doors | None) -> None:
        """Stop a run, now; pressed twice is pressed once, unless the first one had no answer."""
        number, background = entry.number, self._context.background
        stop = self._of.get(number)
        if stop is None or stop.state is StopState.DEAD:
            made = Stopping(
                entry,
                self._context.person,
                self._reason,
                lambda: background.post(lambda: self._heard(number, made)),
                doors,
            )
            self._of[number] = stop = made
            self._told.pop(number, None)
        stop.press()

    def show(self, number: int | None) -> None:
        """The header shows what becomes of this one from now on; of the one before it is told."""
        before, self._shown = self._shown, number
        if before != number:
            self._tell(before)

    def says(self, number: int | None) -> tuple[str, Tone]:
        """What became of the stop of a run."""
        stop = self._of.get(-1 if number is None else number)
        return SAYS[StopState.IDLE] if stop is None else stop.says

    @property
    def pending(self) -> list[int]:
        """Runs whose stop nobody is known to have taken."""
        return [number for number, stop in self._of.items() if stop.is_pending]

    def _heard(self, number: int, stop: Stopping) -> None:
        if self._of.get(number) is stop and number != self._shown:
            self._tell(number)
        self._changed()

    def _tell(self, number: int | None) -> None:
        stop = self._of.get(-1 if number is None else number)
        if number is None or stop is None or self._told.get(number) is stop.state:
            return
        before, self._told[number] = self._told.get(number), stop.state
        if stop.state in FAILED:
            self._context.notify(f"Run {number:04d}: {FAILED[stop.state]}", Tone.FAIL)
        elif stop.state is StopState.STOPPED or before in FAILED:
            self._context.notify(f"Run {number:04d}: {stop.says[0]}", stop.says[1])
