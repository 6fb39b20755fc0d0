"""Clearing a watchdog that has fired: what it locked stays locked until a named person says why it may go on."""

from __future__ import annotations

from contextlib import suppress

from bench.latch import LatchError, latches_of
from bench.run_queue import holding
from bench.station import load_station, open_station, station_path
from instruments.capabilities import HostWatched
from instruments.clock import VirtualClock, WallClock
from instruments.instrument import Instrument, InstrumentError


class ClearingError(ValueError):
    """A watchdog that cannot be cleared; the message says why and what to do."""


def clear_watchdog(station_name: str, name: str, person: str, reason: str) -> str:
    """Clear the watchdog of an instrument and keep who did it and why; returns what the instrument says.

    No run may have the station meanwhile.  It is kept beside the station's latches before anything is sent, and the
    outcome after it.

    Raises
    ------
    ClearingError
        There is no such watchdog, nobody says why, or the instrument refuses.
    QueueError
        A run has the station.
    """
    if not (person.strip() and reason.strip()):
        raise ClearingError(f'the watchdog of "{name}" is cleared by a named person with a reason; give both')
    station, path = load_station(station_name), station_path(station_name)
    latches = latches_of(station)
    if latches is None:
        raise ClearingError(
            f'station "{station.name}" is simulated: a watchdog that fired is as new in the next run; nothing to clear'
        )
    clock = VirtualClock() if station.simulated else WallClock()
    with holding(station), open_station(station, path, clock) as opened:
        watched = [
            key
            for key, one in opened.instruments.items()
            if isinstance(one, HostWatched) and one.watchdog_period_s is not None
        ]
        if name not in watched:
            raise ClearingError(
                f'{path}: no instrument "{name}" has a watchdog; '
                + (f"{', '.join(watched)} has" if watched else "none has")
            )

        def keep(what: str, said: str) -> None:
            try:
                latches.note(what, name, said, person, reason, WallClock().start)
            except OSError as error:
                raise LatchError(f"{latches.file}: cannot be written ({error.strerror}); make it writable") from None

        keep("watchdog-to-be-cleared", "")
        said = clock.run(lambda: _cleared(opened.instruments[name]))
        keep("watchdog-cleared", said)
    return said


def _cleared(instrument: Instrument) -> str:
    """Body of the only worker."""
    assert isinstance(instrument, HostWatched)
    try:
        instrument.open()
        return instrument.clear_watchdog()
    except InstrumentError as error:
        raise ClearingError(f"not cleared: {error}") from None
    finally:
        with suppress(InstrumentError):
            instrument.close()
