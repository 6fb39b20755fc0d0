"""What an interlock did in a station's last run that is not latched, since the disk did not take it, or not in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from bench.latch import Latches
from bench.state_folder import home
from data.checks import Status
from data.journal import FrameKind, Record, read_journal, unwritten
from data.run import Run

UNNAMED = "unknown"
"""Name of an interlock of which no more is known than that it stopped a run."""


@dataclass(frozen=True, slots=True)
class LastStop:
    """The last run of a station, which an interlock stopped, or held to its end.

    ``record`` is its file, or its journal where it was not closed.
    """

    run_id: str
    number: int
    record: Path
    how: Literal["stopped", "held"]


def unlatched_stop(station: str, latches: Latches, before: str = "") -> LastStop | None:
    """The last run of a station where an interlock acted in it of which the latches know neither that nor a reset.

    Its process may have been killed, or given up, before the disk took the latch.

    Parameters
    ----------
    before : id of a run that has begun already.

    Raises
    ------
    OSError
        The latches or the register cannot be read.
    """
    from bench.trust.register import last_begun

    last = last_begun(home(), station, before)
    if last is None or last.status == Status.COMPLETED:
        return None
    said = latches.of_run(last.run_id)
    if any(one.get("event") == "reset" for one in said):
        return None
    kept = Counter(one.get("interlock") for one in said)
    record = next((path for path in (last.path.with_suffix(".h5"), last.path) if path.exists()), last.path)
    left = _left(record, last.run_id)
    if left is None:  # the record is somewhere else
        unkept = not said and last.status == Status.STOPPED_BY_INTERLOCK
        return LastStop(last.run_id, last.number, record, "stopped") if unkept else None
    lost = [acted for acted in left if acted.times > kept[acted.interlock]]
    if not lost:
        return None
    how: Literal["stopped", "held"] = "stopped" if any(acted.action == "stop" for acted in left) else "held"
    return LastStop(last.run_id, last.number, record, how)


def reset_all(station: str, latches: Latches, run_id: str, person: str, reason: str, utc: datetime) -> None:
    """Reset for a run whatever is latched on its station, and a stop just before it that nobody latched.

    Raises
    ------
    OSError
        The latches or the register cannot be read, or the disk does not take it.
    """
    latches.reset_all(person, reason, utc)
    if (last := unlatched_stop(station, latches, run_id)) is not None:
        latches.reset(UNNAMED, person, reason, utc, last.run_id)


@dataclass(frozen=True, slots=True)
class _Acted:
    """An interlock that nobody has reset by the end of a record: what it did last, and how often it acted."""

    interlock: str
    action: str
    times: int


def _left(record: Path, run_id: str) -> Sequence[_Acted] | None:
    """The interlocks that a run has left latched, as its record tells; None where that does not."""
    with suppress(OSError, ValueError):
        stat = record.stat()
        return _read(record, run_id, (stat.st_size, stat.st_mtime_ns))
    return None


@lru_cache(maxsize=8)
def _read(record: Path, run_id: str, _: tuple[int, int]) -> Sequence[_Acted] | None:
    """The same from a file that is as it was: a form asks again with each word that is typed."""
    left, times = dict[str, str](), Counter[str]()
    for kind, fields in _events(record, run_id):
        name = str(fields["name"])
        if kind == "reset":
            left.pop(name, None)
        elif fields.get("action") in ("hold", "stop"):
            left[name] = str(fields["action"])
            times[name] += 1
    return tuple(_Acted(name, action, times[name]) for name, action in left.items())


def _events(record: Path, run_id: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What interlocks did, and who reset them; raises ValueError where that is no record of the run, or goes on."""
    if record.suffix == ".h5":
        with Run.open(record) as run:
            if run.session.get("run_id") != run_id:
                raise ValueError("is the file of another run")
            yield from ((event.kind, event.fields) for event in run.events if event.kind in ("interlock", "reset"))
        return
    with unwritten(record), read_journal(record) as reader:
        if str(reader.header.get("run_id")) != run_id:
            raise ValueError("is the journal of another run")
        for frame in reader:
            if frame.kind != FrameKind.RECORD:
                continue
            said = reader.decode(frame)
            if isinstance(said, Record) and said.kind in ("interlock", "reset"):
                yield said.kind, said.fields
