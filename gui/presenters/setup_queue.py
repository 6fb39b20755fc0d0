"""The runs that wait, or go on: what is before a new one, and what may still be withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.run_queue import Entry, QueueError, entries, start_runner, station_holder
from gui.presenters.known_runs import KnownRuns
from gui.presenters.tone import Tone

LEFT_ALONE = "Nobody holds its station. After a run that was stopped or ended early a person has to begin the next."

_STATES = {
    "starting": ("is starting", Tone.BUSY),
    "held": ("waits for its start", Tone.BUSY),
    "running": ("is running", Tone.BUSY),
}


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A run that waits or goes on.

    Attributes
    ----------
    place : among those that wait for the same station, from 1; 0 for one that has begun.
    is_left_alone : whether it waits although nobody holds its station.
    """

    entry: Entry
    state: str
    tone: Tone
    place: int
    is_left_alone: bool = False

    @property
    def waits(self) -> bool:
        """Whether it has not begun, and can be withdrawn."""
        return self.place > 0


def queue_rows(folder: Path, runs: KnownRuns | None = None) -> tuple[QueueRow, ...]:
    """The runs of a state folder that have not ended, in order; ``runs`` is what is known of them already."""
    rows: list[QueueRow] = []
    places: dict[str, int] = {}
    for entry, state in (runs or KnownRuns(folder)).going():
        if state.state == "waiting":
            place = places[entry.station] = places.get(entry.station, 0) + 1
            lone = place == 1 and station_holder(folder, entry.station) is None
            said = "waits for a person" if lone else f"waits, no. {place} in line"
            rows.append(QueueRow(entry, said, Tone.WARN if lone else Tone.MUTED, place, lone))
        else:
            said, tone = _STATES.get(state.state, (state.state, Tone.PLAIN))
            rows.append(QueueRow(entry, said, tone, 0))
    return tuple(rows)


def is_first_start(folder: Path) -> bool:
    """Whether no run was ever asked for here."""
    return not entries(folder)


def withdraw(entry: Entry, person: str, reason: str) -> None:
    """Take a run out of the queue; raises QueueError when it has begun."""
    if not entry.withdraw(person, reason):
        raise QueueError(f"run {entry.number} has begun; watch it, and stop it there")


def get_going(entry: Entry) -> None:
    """Start a runner for a run that waits although nobody holds its station."""
    start_runner(entry.home, entry.station)
