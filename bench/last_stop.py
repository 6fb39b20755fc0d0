"""The stop of a station's last run that nobody latched, since the disk did not take it: the register knows of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.latch import Latches
from bench.state_folder import home
from data.checks import Status
from data.run import Run

UNNAMED = "unknown"
"""Name of an interlock of which no more is known than that it stopped a run."""


@dataclass(frozen=True, slots=True)
class LastStop:
    """The last run of a station, which an interlock stopped."""

    run_id: str
    number: int
    record: Path


def unlatched_stop(station: str, latches: Latches, before: str = "") -> LastStop | None:
    """The last run of a station where an interlock stopped it and the latches know neither that nor a reset of it.

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
    if last is None or latches.knows(last.run_id):
        return None
    record = last.path.with_suffix(".h5")
    status = last.status if last.closed else _status(record, last.run_id)
    return LastStop(last.run_id, last.number, record) if status == Status.STOPPED_BY_INTERLOCK else None


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


def _status(record: Path, run_id: str) -> str:
    """How a run ended that could not be registered, as its file says; "" where there is none."""
    with suppress(OSError, ValueError), Run.open(record) as run:
        return str(run.status) if run.session.get("run_id") == run_id else ""
    return ""
