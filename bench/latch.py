"""Interlocks that stay latched beyond their run, until a named person resets them: one small file a station.

    HOME/stations/NAME.latches      a line of JSON for each latch, reset and clearing of a watchdog, never changed

HOME is PUMPBENCH_HOME, or where the platform keeps a user's state.  A simulated station is latched only where
PUMPBENCH_HOME is set: simulated runs must not block each other.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.state_folder import home
from bench.station import Station
from data.disk import sync_folder, write_through


class LatchError(ValueError):
    """Latches that cannot be read, written or reset; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Latch:
    """An interlock that waits for a person."""

    interlock: str
    cause: str
    utc: str


class Latches:
    """What is latched on one station.

    Parameters
    ----------
    file : need not exist.
    run_id : of the run that latches, so that it can be told whether the stop of a run was kept.
    """

    def __init__(self, file: Path, run_id: str = "") -> None:
        self.file = file
        self._run = {"run": run_id} if run_id else {}
        self._unsynced = [file.parent]  # folders that may have forgotten a new name in a power cut

    def standing(self) -> list[Latch]:
        """What is latched now, the oldest first; a line that a power cut tore counts as a latch.

        Raises
        ------
        LatchError
            The file cannot be read.
        """
        try:
            text = self.file.read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LatchError(f"{self.file}: cannot be read ({error.strerror}); make it readable") from None
        latched: dict[str, Latch] = {}
        for line in _lines(text):
            said = _said(line)
            if said.get("event") == "reset":
                latched.pop(said["interlock"], None)
            elif "instrument" in said:
                continue  # a note on an instrument
            else:
                name = said.get("interlock", "unknown")
                cause = said.get("cause", "a line of the file is damaged")
                latched.setdefault(name, Latch(name, cause, said.get("utc", "")))
        return list(latched.values())

    def latch(self, interlock: str, cause: str, utc: datetime) -> None:
        """Latch an interlock; raises OSError."""
        self._append({"event": "latch", "interlock": interlock, "cause": cause, "utc": _moment(utc), **self._run})

    def reset(self, interlock: str, person: str, reason: str, utc: datetime, run_id: str = "") -> None:
        """Reset one interlock by a named person with a reason; raises OSError, or LatchError without the two.

        Parameters
        ----------
        run_id : of a run that an interlock stopped, and that did not latch.
        """
        if not (person.strip() and reason.strip()):
            raise LatchError(f'interlock "{interlock}" is reset by a named person with a reason; give both')
        said = {"event": "reset", "interlock": interlock, "person": person.strip(), "reason": reason.strip()}
        self._append({**said, "utc": _moment(utc), **({"run": run_id} if run_id else {})})

    def reset_all(self, person: str, reason: str, utc: datetime) -> list[Latch]:
        """Reset whatever is latched; returns what that was."""
        found = self.standing()
        for latch in found:
            self.reset(latch.interlock, person, reason, utc)
        return found

    def note(self, event: str, instrument: str, said: str, person: str, reason: str, utc: datetime) -> None:
        """Keep what a named person did to an instrument and why; raises OSError."""
        fields = {"event": event, "instrument": instrument, "said": said, "person": person, "reason": reason}
        self._append({**fields, "utc": _moment(utc)})

    def history(self) -> list[dict[str, Any]]:
        """Every latch, reset and note, as it was written; raises OSError."""
        if not self.file.exists():
            return []
        return [said for line in _lines(self.file.read_text("utf-8", errors="replace")) if (said := _said(line))]

    def of_run(self, run_id: str) -> list[dict[str, Any]]:
        """What a run has latched, and a reset of its stop that it did not latch; raises OSError."""
        return [said for said in self.history() if said.get("run") == run_id]

    def _append(self, said: dict[str, str]) -> None:
        """Add a line, whole or not at all; it is on the disk when this returns.  Raises OSError."""
        self._unsynced += [each.parent for each in (self.file.parent, *self.file.parents) if not each.exists()]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            torn = file.read(1) not in (b"", b"\n")
            try:
                write_through(file, b"\n" * torn + json.dumps(said, ensure_ascii=False).encode() + b"\n")
            except OSError:
                with suppress(OSError):  # half a line would count as a latch
                    file.truncate(end)
                raise
        while self._unsynced:
            sync_folder(self._unsynced[-1])
            self._unsynced.pop()


def latches_of(station: Station, run_id: str = "") -> Latches | None:
    """The latches of a station; None for a simulated one where nobody asked to keep them.

    Parameters
    ----------
    run_id : of the run that has the station.

    Raises
    ------
    LatchError
        There is no folder for them.
    """
    if not station.real and not os.environ.get("PUMPBENCH_HOME"):
        return None
    name = re.sub(r"[^A-Za-z0-9_-]", "_", station.name)
    try:
        return Latches(home() / "stations" / f"{name}.latches", run_id)
    except RuntimeError:
        raise LatchError("this account has no home folder to keep latches in; set PUMPBENCH_HOME") from None


def _moment(utc: datetime) -> str:
    return utc.isoformat(timespec="milliseconds")


def _lines(text: str) -> list[str]:
    """The lines of the file; a reason may hold what `str.splitlines` takes for the end of one, such as U+2028."""
    *lines, torn = text.split("\n")
    return [*lines, torn] if torn else lines


def _said(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
