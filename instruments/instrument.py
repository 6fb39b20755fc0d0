"""What an instrument is to the bench: its errors, identity, settings and three ways to give data, and how one is found.

A driver is a small class of one instrument family on a transport (`instruments.visa`, `instruments.daq`).  Polled
instruments give a `Reading`, hardware-timed ones a `Block`.  A driver module ends with ``DRIVER = TheClass`` and is
found by its name: ``mettler-mtsics`` is ``instruments/drivers/mettler_mtsics.py``; packages of other people name theirs
in the entry-point group ``pumpbench.drivers``.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from data.nearest import did_you_mean
from data.samples import Block, Channel, Reading, Stream
from instruments.clock import Clock

if TYPE_CHECKING:
    from pyvisa import ResourceManager
    from pyvisa.highlevel import VisaLibraryBase

    from instruments.daq_book import TaskBook

DRIVER_GROUP = "pumpbench.drivers"


# --------------------------------------------------------------------------------------------------- errors


class InstrumentError(Exception):
    """Something between the bench and one instrument went wrong; the message names the instrument."""

    def __init__(self, instrument: str, what: str) -> None:
        super().__init__(f'instrument "{instrument}": {what}')
        self.instrument = instrument


class InstrumentTimeout(InstrumentError):  # noqa: N818  # the field says timeout, not timeout error
    """No reply, or not a whole one, before the deadline."""


class InstrumentReplyError(InstrumentError):
    """A reply that is damaged, that answers another question, or that does not say what it should."""


class InstrumentRefusal(InstrumentReplyError):  # noqa: N818  # it is no error that an instrument says no
    """A good reply by which the instrument says that it will not: busy, out of range, not allowed now."""


class InstrumentDisconnected(InstrumentError):  # noqa: N818  # the field says timeout, not timeout error
    """The instrument cannot be reached: unplugged, switched off, or waiting for the next attempt to reopen."""


class InstrumentOverflow(InstrumentError):  # noqa: N818  # the field says timeout, not timeout error
    """A hardware buffer ran over and the stream cannot go on by itself; ``lost`` samples are missing (-1: unknown)."""

    def __init__(self, instrument: str, what: str, lost: int = -1) -> None:
        super().__init__(instrument, what)
        self.lost = lost


class DriverError(ValueError):
    """A driver that does not exist or cannot be loaded, or settings that do not fit it."""


# ------------------------------------------------------------------------------------ identity and settings


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an instrument says it is."""

    maker: str
    model: str
    serial: str
    firmware: str = ""


class Settings(BaseModel):
    """Settings of one instrument as its station file states them; each driver extends this beside its class.

    A quantity is a string with its unit in the file (``period = "1 s"``) and a number in the attribute (``period_s``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    serial: str | None = Field(None, description="serial number that the instrument must report; any when left out")


# ------------------------------------------------------------------------------------------------ connection


@dataclass(frozen=True, slots=True)
class DaqTarget:
    """Address "host:port" of an NI gRPC device server; without one the local NI-DAQmx driver is used.

    ``book`` is where its tasks are noted; without one those of a killed process are found by nobody.
    """

    address: str
    book: TaskBook | None = field(default=None, kw_only=True)


class Connection:
    """How instruments are reached: a VISA library and an NI-DAQmx target.  Opened at the first use.

    Parameters
    ----------
    visa : makes the resource manager; called once.
    daq : NI gRPC device server, or None for the local driver.
    """

    def __init__(self, visa: Callable[[], ResourceManager] | None = None, daq: DaqTarget | None = None) -> None:
        self.daq = daq
        self._make = visa or _resource_manager_of("")
        self._manager: ResourceManager | None = None

    @classmethod
    def through(cls, library: str | VisaLibraryBase = "", daq: str | None = None) -> Connection:
        """Connect through a VISA library: its string ("", "@py", a path) or an instance of a library class."""
        return cls(_resource_manager_of(library), DaqTarget(daq) if daq else None)

    @property
    def visa(self) -> ResourceManager:
        """The resource manager that all VISA instruments of the station share."""
        if self._manager is None:
            self._manager = self._make()
        return self._manager

    def close(self) -> None:
        """Close the resource manager, if it was opened."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None


def _resource_manager_of(library: str | VisaLibraryBase) -> Callable[[], ResourceManager]:
    def make() -> ResourceManager:
        import pyvisa  # heavy, and not needed by a station without VISA instruments

        return pyvisa.ResourceManager(library)

    return make


# ----------------------------------------------------------------------------------------------- instruments


@dataclass(frozen=True, slots=True)
class Note:
    """Something an instrument went through that belongs into the run's log."""

    t: float
    level: Literal["info", "warning", "error"]
    text: str


class Instrument(ABC):
    """One instrument of a station.

    Parameters
    ----------
    name : what the station calls it; also the name of its stream.
    settings : an instance of the driver's ``settings_type``.
    clock : gives every wait and every time stamp.
    connection : how it is reached; nothing is opened before `open`.
    """

    settings_type: ClassVar[type[Settings]] = Settings
    channels: tuple[Channel, ...] = ()

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        if not isinstance(settings, self.settings_type):
            raise DriverError(f'instrument "{name}": settings are {type(settings).__name__}, not those of its driver')
        self.name = name
        self.settings = settings
        self.clock = clock
        self.connection = connection
        self._notes: list[Note] = []

    @property
    def stream(self) -> Stream:
        """The stream that this instrument's channels share."""
        return Stream(self.name, self.name, self.channels)

    @abstractmethod
    def open(self) -> None:
        """Connect and make ready; raises InstrumentError when the instrument is not there or is another one."""

    @abstractmethod
    def identify(self) -> Identity:
        """Ask the instrument who it is."""

    def probe(self) -> list[str]:
        """Say what keeps the instrument from being ready for a run, one sentence each; an empty list is ready."""
        return []

    @abstractmethod
    def make_safe(self) -> str:
        """Drive nothing dangerous any more; returns a sentence that says what state the instrument is left in."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the instrument; does nothing when it is not open and never raises InstrumentError."""

    def note(self, level: Literal["info", "warning", "error"], text: str) -> None:
        """Keep something for the run's log, stamped now."""
        self._notes.append(Note(self.clock.now(), level, text))

    def take_notes(self) -> list[Note]:
        """Return the notes since the last call; the sampler calls this after each reading, failed ones too."""
        if not self._notes:
            return []
        notes, self._notes = self._notes, []
        return notes


class Polled(Instrument):
    """An instrument that is asked for each reading."""

    @property
    @abstractmethod
    def period_s(self) -> float:
        """How often it is to be asked."""

    @abstractmethod
    def sample(self) -> Reading:
        """Ask once, in one transaction; stamped with the moment at which the question was sent.

        Raises InstrumentTimeout, InstrumentReplyError or InstrumentDisconnected; never repeats the last value.
        """


class Buffered(Instrument):
    """An instrument that times its own samples and keeps them until they are read."""

    interval_s: float
    """Nominal spacing of the samples; the true one follows from the anchors, since every crystal is off."""

    read_period_s: float
    """It must be read at least this often, or its buffer runs over."""

    @property
    def stream(self) -> Stream:
        """The stream that this instrument's channels share."""
        return Stream(self.name, self.name, self.channels, self.interval_s)

    @abstractmethod
    def start(self) -> None:
        """Start acquisition; sample 0 is the first one after this."""

    @abstractmethod
    def read(self, most: int) -> Block:
        """Return at most ``most`` consecutive samples that are there already; never waits for more.

        A short block, even an empty one, is a block.  Its ``t`` is nominal (start + index x `interval_s`); the sampler
        refines it from the anchors.  Samples that the instrument counted as lost leave a hole before ``first``.
        Raises InstrumentOverflow when acquisition broke off, and as `Polled.sample`.
        """

    @abstractmethod
    def anchor(self) -> tuple[float, int]:
        """Latest pair (clock time, samples acquired by then), lost ones included."""

    @abstractmethod
    def stop(self) -> None:
        """Stop acquisition; what was acquired and not read is dropped."""


# ---------------------------------------------------------------------------------------------------- lookup


def driver_names() -> list[str]:
    """Names of all drivers that are installed, ours and other people's."""
    return sorted(_our_drivers() | set(entry_points(group=DRIVER_GROUP).names))


def _our_drivers() -> set[str]:
    folder = importlib.import_module("instruments.drivers")
    return {module.name.replace("_", "-") for module in pkgutil.iter_modules(folder.__path__)}


def load_driver(name: str) -> type[Instrument]:
    """Return the class of a driver by its name.

    Raises
    ------
    DriverError
        There is no such driver (the message lists those there are and the nearest), or its package is broken.
    """
    if name in _our_drivers():  # asked first: to look through all installed packages takes 10 ms
        driver = importlib.import_module(f"instruments.drivers.{name.replace('-', '_')}").DRIVER
    else:
        found = next(iter(entry_points(group=DRIVER_GROUP, name=name)), None)
        if found is None:
            hint = did_you_mean(name, driver_names(), "name one of those there are")
            raise DriverError(f'there is no driver "{name}"; {hint} (known: {", ".join(driver_names())})')
        try:
            driver = found.load()
        except (ImportError, AttributeError) as error:
            raise DriverError(f'driver "{name}" ({found.value}) cannot be loaded: {error}') from error
    if not (isinstance(driver, type) and issubclass(driver, Instrument)):
        raise DriverError(f'driver "{name}" is {driver!r}, not a class of instruments')
    return driver
