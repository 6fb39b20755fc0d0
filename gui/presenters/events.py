"""The records of a run as rows of its event log: what a person wants to see as it comes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from data.frames import Record
from data.told import Level, told
from gui.presenters.numbers import duration, local_date, local_time
from gui.presenters.tone import Tone


@dataclass(frozen=True, slots=True)
class EventRow:
    """A line of the event log.

    Attributes
    ----------
    t : s on the run's clock.
    clock : the same as a person reads it: time of the day, with the date after the first one, or of the run where that
        jumps.
    kind : of the record.
    """

    t: float
    clock: str
    kind: str
    text: str
    tone: Tone

    @property
    def is_note(self) -> bool:
        """Whether a person wrote it."""
        return self.kind in ("note", "answer", "reset", "override")

    @property
    def is_warning(self) -> bool:
        """Whether it is out of the ordinary."""
        return self.tone in (Tone.WARN, Tone.FAIL)


TONES: dict[Level, Tone] = {"detail": Tone.MUTED, "news": Tone.PLAIN, "warning": Tone.WARN, "error": Tone.FAIL}


def event_row(record: Record, start: datetime | None) -> EventRow | None:
    """The line of a record; None for one that is no news."""
    line = told(record.kind, record.fields)
    if line is None:
        return None
    clock = duration(record.t) if start is None else _clock(record.t, start)
    return EventRow(record.t, clock, record.kind, line.text, TONES[line.level])


def _clock(t: float, start: datetime) -> str:
    """A moment on the clock of the wall; a run of days passes each time of the day many times."""
    at = start + timedelta(seconds=t)
    is_first_day = at.astimezone().date() == start.astimezone().date()
    return local_time(at) if is_first_day else f"{local_date(at)[5:10]} {local_time(at)}"
