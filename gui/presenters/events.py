"""The records of a run as rows of its event log: what a person wants to see as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from data.frames import Record
from gui.presenters.numbers import duration, local_time
from gui.presenters.tone import TONE_OF_LEVEL, Tone

Said = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventRow:
    """A line of the event log.

    Attributes
    ----------
    t : s on the run's clock.
    clock : the same as a person reads it: time of the day, or of the run where that jumps.
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


def _plain(words: Callable[[Said], str], tone: Tone = Tone.PLAIN) -> Callable[[Said], tuple[str, Tone]]:
    return lambda said: (words(said), tone)


def _interlock(said: Said) -> tuple[str, Tone]:
    tone = Tone.FAIL if said.get("action") in ("stop", "hold") else Tone.WARN
    return str(said["text"]), tone


def _confirm(said: Said) -> tuple[str, Tone]:
    if said.get("confirmed"):
        return f"{said['what']}: confirmed", Tone.MUTED
    return f"{said['what']}: NOT confirmed", Tone.FAIL


_TOLD: dict[str, Callable[[Said], tuple[str, Tone]]] = {
    "phase": _plain(lambda said: f"Phase {said['name']}" + (" has ended" if said["state"] == "end" else " begins")),
    "event": lambda said: (str(said["text"]), TONE_OF_LEVEL.get(str(said.get("level")), Tone.PLAIN)),
    "interlock": _interlock,
    "interlock-back": _plain(lambda said: f'Interlock "{said.get("name", "")}" is back within its limits'),
    "hold": lambda said: (
        ("The bench is held", Tone.FAIL) if said.get("state") == "begin" else ("The hold has ended", Tone.PLAIN)
    ),
    "reset": _plain(lambda said: f'{said.get("person", "")} reset interlock "{said.get("name", "")}"', Tone.WARN),
    "safe-state": _plain(lambda said: f"Safe state: {said.get('cause', '')}", Tone.WARN),
    "confirm": _confirm,
    "note": _plain(lambda said: f"{said['person']}: {said['text']}"),
    "prompt": _plain(lambda said: f"Asks: {said['text']}"),
    "answer": _plain(lambda said: f"{said.get('person', '')} answered {said['key']}: {said['value']}"),
    "pause": lambda said: (
        (f"Paused by {said['person']}", Tone.WARN)
        if said["state"] == "begin"
        else (f"Resumed by {said['person']}", Tone.PLAIN)
    ),
    "lease": _plain(lambda said: f"{said['person']} took the control from {said['taken_from']}", Tone.WARN),
    "status": lambda said: (
        f"Run {said['status']}" + (f": {said['reason']}" if said.get("reason") else ""),
        Tone.PLAIN if said["status"] == "completed" else Tone.FAIL,
    ),
    "override": _plain(lambda said: f"{said['person']} overrode {said['finding']}: {said['reason']}", Tone.WARN),
    "gap": _plain(lambda said: f"Gap in {said.get('stream', said.get('instrument', 'a stream'))}", Tone.WARN),
    "outage": _plain(lambda said: f"{said.get('instrument', 'An instrument')} did not answer", Tone.WARN),
    "identity": _plain(
        lambda said: " ".join(str(said.get(key) or "") for key in ("instrument", "maker", "model", "serial")),
        Tone.MUTED,
    ),
    "valve": _plain(lambda said: f"Valve {said['valve']} {'energised' if said['asked'] else 'released'}", Tone.MUTED),
    "pump-command": _plain(lambda said: f"Pump: {said.get('command', 'command')}", Tone.MUTED),
    "bolus": _plain(lambda said: "Bolus asked for", Tone.MUTED),
}
"""What is said of each kind of record; kinds that are not here are for the file alone."""


def event_row(record: Record, start: datetime | None) -> EventRow | None:
    """The line of a record; None for one that is no news."""
    tell = _TOLD.get(record.kind)
    if tell is None:
        return None
    try:
        text, tone = tell(record.fields)
    except KeyError:  # of another version
        text, tone = record.kind, Tone.PLAIN
    clock = duration(record.t) if start is None else local_time(start + timedelta(seconds=record.t))
    return EventRow(record.t, clock, record.kind, text, tone)
