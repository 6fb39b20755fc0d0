"""A simulated station as a VISA backend: what any pyvisa program gets by ``ResourceManager("sim-full@pumpbench")``.

The rig is in that program's own process, on the wall clock.  It stands there until the process ends, as a bench does,
so whoever opens the same station again finds it as it was left.
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pyvisa.highlevel import VisaLibraryBase
from pyvisa.util import DebugInfo, LibraryPath

from bench.positions import joined, parted
from bench.request import Request, articles_of
from bench.station import OpenStation, load_station, open_station, shipped_stations, station_path
from instruments.clock import WallClock, possible_pace

DEFAULT = "sim"
"""The station of ``ResourceManager("@pumpbench")``."""

_rigs: dict[_Asked, OpenStation] = {}
_open_ones = ExitStack()
atexit.register(_open_ones.close)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What stands before the @: a station file or the name of a shipped one, and how its rig is made.

    Two spellings of one file are one station.
    """

    station: str
    pace: float
    seed: int


class Backend:
    """What pyvisa makes its library with, by the part before the @."""

    def __new__(cls, library_path: str = "") -> VisaLibraryBase:  # type: ignore[misc]  # pyvisa wants a library back
        """Find or make the rig; raises OSError, as pyvisa's libraries do, with what is wrong and what to write."""
        library: VisaLibraryBase = _rig(str(library_path)).visa
        return library

    @staticmethod
    def get_library_paths() -> tuple[LibraryPath, ...]:
        """The shipped simulated stations."""
        return tuple(LibraryPath(name, "shipped") for name in _shipped())

    @staticmethod
    def get_debug_info() -> DebugInfo:
        """Lines for ``pyvisa-info``."""
        return {"Simulated stations": [f"{name}@pumpbench" for name in _shipped()]}


WRAPPER_CLASS = Backend


def daq_target(library_path: str = "") -> str:
    """Address of the NI gRPC device server of the same rig, for programs that use nidaqmx too; raises OSError."""
    target: str = _rig(library_path.removesuffix("@pumpbench")).daq_target
    return target


def _rig(text: str) -> Any:
    try:
        asked = _parse(text)
        if asked not in _rigs:
            _rigs[asked] = _set_up(asked)
    except ValueError as error:
        raise OSError(str(error)) from None
    return _rigs[asked].rig


def _parse(text: str) -> _Asked:
    """Read "sim-full?pace=10&seed=3"; raises ValueError."""
    name, _, options = text.partition("?")
    given: dict[str, Any] = {"pace": 1.0, "seed": 1}
    for key, value in parse_qsl(options, keep_blank_values=True):
        if key not in given:
            raise ValueError(f'"{text}@pumpbench": there is no option "{key}"; there are pace and seed')
        try:
            given[key] = type(given[key])(value)
        except ValueError:
            raise ValueError(f'"{text}@pumpbench": {key} "{value}" is not a number; write ?{key}=10') from None
    try:
        possible_pace(given["pace"])
    except ValueError as error:
        raise ValueError(f'"{text}@pumpbench": {error}') from None
    _, position = parted(name)
    return _Asked(joined(os.path.realpath(station_path(name or DEFAULT)), position), **given)


def _set_up(asked: _Asked) -> OpenStation:
    """Make the rig of a station; raises ValueError."""
    station, path = load_station(asked.station), station_path(asked.station)
    if not station.simulated:
        raise ValueError(f'{path}: it has real instruments; take a station with visa = "simulated"')
    articles = articles_of(Request("", asked.station), station, without=("dut", "catheter", "fluid"))
    clock = WallClock(asked.pace)
    opened = _open_ones.enter_context(
        open_station(
            station,
            path,
            clock,
            seed=asked.seed,
            dut=articles.get("dut"),
            fluid=articles.get("fluid"),
        )
    )
    assert opened.rig is not None
    for name, table in station.instruments.items():
        resource = (table.model_extra or {}).get("resource")
        if resource is not None:
            opened.rig.visa.alias(name, str(resource))
    opened.rig.plant.truth["tip_volume_ul"].at(clock.now())  # the first answer takes a second: no driver's time-out
    return opened


def _shipped() -> list[str]:
    """The shipped stations that are simulated."""
    return [name for name in shipped_stations() if load_station(name).simulated]
