"""The records of a run as they come, in a line each: what a person who watches it on a screen or a terminal is told.

A report tells more of each record, and of more of them: see `data.report.story`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["detail", "news", "warning", "error"]
Said = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """A line, and how much it should be minded."""

    text: str
    level: Level = "news"


def told(kind: str, said: Said) -> Told | None:
    """What is told of a record; None for one that is no news, which is in the file alone."""
    tell = _TOLD.get(kind)
    if tell is None:
        return None
    try:
        return tell(said)
    except KeyError:  # of another version
        return Told(kind)


def _line(words: Callable[[Said], str], level: Level = "news") -> Callable[[Said], Told]:
    return lambda said: Told(words(said), level)


def _begins(said: Said) -> bool:
    return bool(said["state"] == "begin")


def _event(said: Said) -> Told:
    levels: dict[str, Level] = {"warning": "warning", "error": "error"}
    return Told(str(said["text"]), levels.get(str(said.get("level")), "news"))


def _answer(said: Said) -> str:
    persons = " and ".join(filter(None, (str(said.get(key) or "") for key in ("person", "second_person"))))
    unit = said.get("unit")
    return f"{persons or 'Somebody'} answered {said['key']}: {said['value']}" + (f" {unit}" if unit else "")


_TOLD: dict[str, Callable[[Said], Told]] = {
    "phase": _line(lambda said: f"Phase {said['name']} {'begins' if _begins(said) else 'has ended'}"),
    "event": _event,
    "shown": _line(lambda said: str(said["text"])),
    "interlock": lambda said: Told(str(said["text"]), "error" if said.get("action") in ("stop", "hold") else "warning"),
    "interlock-back": _line(lambda said: f'Interlock "{said.get("name", "")}" is back within its limits'),
    "hold": lambda said: Told("The bench is held", "error") if _begins(said) else Told("The hold has ended"),
    "reset": _line(lambda said: f'{said.get("person", "")} reset interlock "{said.get("name", "")}"', "warning"),
    "safe-state": _line(lambda said: f"Safe state: {said.get('cause', '')}", "warning"),
    "confirm": lambda said: (
        Told(f"{said['what']}: confirmed", "detail")
        if said.get("confirmed")
        else Told(f"{said['what']}: NOT confirmed", "error")
    ),
    "note": _line(lambda said: f"{said['person']}: {said['text']}"),
    "exclusion": _line(lambda said: f"{said['person']} excluded {said['text']}", "warning"),
    "prompt": _line(lambda said: f"Asks: {said['text']}"),
    "answer": _line(_answer),
    "pause": lambda said: (
        Told(f"Paused by {said['person']}", "warning") if _begins(said) else Told(f"Resumed by {said['person']}")
    ),
    "command": _line(lambda said: f"{said['person']}: {said['command']}", "detail"),
    "lease": _line(lambda said: f"{said['person']} took the control from {said['taken_from']}", "warning"),
    "status": lambda said: Told(
        f"Run {str(said['status']).replace('-', ' ')}" + (f": {said['reason']}" if said.get("reason") else ""),
        "news" if said["status"] == "completed" else "error",
    ),
    "override": _line(lambda said: f"{said['person']} overrode {said['finding']}: {said['reason']}", "warning"),
    "gap": _line(lambda said: f"Gap in {said.get('stream', said.get('instrument', 'a stream'))}", "warning"),
    "outage": _line(lambda said: f"{said.get('instrument', 'An instrument')} did not answer", "warning"),
    "identity": _line(
        lambda said: " ".join(str(said.get(key) or "") for key in ("instrument", "maker", "model", "serial")), "detail"
    ),
    "valve": _line(lambda said: f"Valve {said['valve']} {'energised' if said['asked'] else 'released'}", "detail"),
    "pump-command": _line(lambda said: f"Pump: {said.get('command', 'command')}", "detail"),
    "bolus": _line(lambda said: "Bolus asked for", "detail"),
}
