"""NI-DAQmx instruments: hardware-timed analog inputs of one task, and valves on digital lines in a task of their own.

A task may span the modules of a chassis, so all its channels share one sample clock and one block.  Reads never wait:
whoever samples sleeps until a block is due and then takes what is there (DAQmx's timeout with a partial read is a
short block).  What is lost leaves a hole in the sample indices, sized by time; nothing is ever shifted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from data.samples import Block
from instruments.clock import Clock
from instruments.daq_acquisition import Acquisition
from instruments.daq_devices import asking, check_serial, device_names, identity, missing, present
from instruments.daq_inputs import Columns
from instruments.daq_lines import Lines
from instruments.daq_session import DaqSession, WatchdogFired
from instruments.daq_settings import NiDaqmxSettings, ValveLine
from instruments.daq_watchdog import Heartbeat, Timer, Watchdog
from instruments.instrument import (
    Buffered,
    Connection,
    Identity,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    Settings,
)


class NiDaqmx(Buffered):
    """Analog inputs and valves on NI hardware, through the local driver or an NI gRPC device server."""

    settings_type: ClassVar[type[Settings]] = NiDaqmxSettings
    settings: NiDaqmxSettings

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        columns = Columns(self.settings.channels)
        self.channels = columns.channels
        self.interval_s = 1.0 / self.settings.rate_hz
        self.read_period_s = self.settings.buffer_s / 2.0
        self._acquisition = Acquisition(name, self.settings, columns, clock, self._new_session, self.note)
        self._valves, self._lines, self._lamps = self._parted(())
        self._watchdog = self._new_watchdog()
        self._valves_in_doubt = False  # whatever took the acquisition may have reset the outputs too

    @property
    def valve_names(self) -> tuple[str, ...]:
        """Names of the valves."""
        return tuple(self._valves)

    # -- instrument

    def open(self) -> None:
        """Make the tasks; raises InstrumentError when the device is not there or cannot do what is asked."""
        check_serial(self.name, self.settings.serial, self.identify())
        self._acquisition.configure()
        self._lines.states()

    def identify(self) -> Identity:
        """Who the first device is: its chassis where it has one, and the modules in use."""
        with asking(self.name, self._new_session()) as session:
            return identity(self.name, session, self._device_names())

    def probe(self) -> list[str]:
        """Say which terminals and lines do not exist."""
        with asking(self.name, self._new_session()) as session:
            devices = present(session)
            problems = []
            for each in self.settings.channels:
                problems += missing(f'channel "{each.name}"', each.physical, devices, "ai_physical_chans")
            for name, valve in self.settings.valves.items():
                problems += missing(f'valve "{name}"', valve.line, devices, "do_lines")
        if self._watchdog is not None:
            problems += self._watchdog.problems()
        return problems

    def make_safe(self) -> str:
        """Bring every valve to its safe state; raises InstrumentError when that cannot be confirmed."""
        valves = self._valves
        if not valves:
            return "drives nothing"
        wanted = {name: valve.safe == "energised" for name, valve in valves.items()}
        said = "valves "
        try:
            self._lines.drive(wanted)
        except WatchdogFired:
            said = "its watchdog has fired: valves "
        found = self._lines.states()
        wrong = [name for name, on in wanted.items() if found[name] != on]
        if wrong:
            raise InstrumentReplyError(
                self.name, f"valve {wrong[0]} reads back {_word(found[wrong[0]])} after make_safe"
            )
        return said + ", ".join(f"{name} {_word(on)}" for name, on in found.items()) + ", read back"

    def close(self) -> None:
        """Close all tasks but that of the lamps; the valves stay as they are, and an armed watchdog is left to fire."""
        if self._watchdog is not None:
            self._watchdog.close()
        self._acquisition.stop()
        self._lines.close()

    # -- acquisition

    def start(self) -> None:
        """Start acquisition; while it runs, or after it broke off, it only goes on."""
        self._acquisition.start()

    def read(self, most: int) -> Block:
        """Take what is there, at most ``most`` samples; behind an outage the valves are put back where they were."""
        try:
            block = self._acquisition.read(most)
        except InstrumentError:
            self._valves_in_doubt = True
            raise
        if self._valves_in_doubt:
            self._put_valves_back()
        return block

    def anchor(self) -> tuple[float, int]:
        """Latest (clock time, samples acquired by then): taken from the last short block, which emptied the buffer."""
        return self._acquisition.anchor()

    def stop(self) -> None:
        """Stop acquisition and forget its task; the next start begins at sample 0."""
        self._acquisition.stop()

    # -- valves

    def set_valve(self, name: str, on: bool) -> None:
        """Energise or release one valve; raises KeyError for an unknown name."""
        if name not in self._valves:
            raise KeyError(f'instrument "{self.name}" has no valve "{name}"; it has {", ".join(self.valve_names)}')
        if self._watchdog is not None:
            self._watchdog.check()
        self._lines.drive({name: on})

    def valves(self) -> dict[str, bool]:
        """State of every valve as the device reads it back."""
        return self._lines.states()

    # -- lamps

    def set_apart(self, names: Collection[str]) -> None:
        """Take some of the lines for lamps, which then are no valves; before it is opened.

        They have a task of their own, on another connection: lamps that hang hold up no valve.
        """
        for name in names:
            if name not in self.settings.valves:
                there = ", ".join(self.settings.valves)
                raise KeyError(f'instrument "{self.name}" has no line "{name}" for a lamp; it has {there}')
        self._valves, self._lines, self._lamps = self._parted(names)

    def light(self, lit: Mapping[str, bool]) -> None:
        """Switch lamps, all in one write."""
        self._lamps.drive(lit)

    def leave_lamps(self) -> None:
        """Close the task of the lamps, which stay as they are."""
        self._lamps.close()

    # -- a silent host

    @property
    def watchdog_period_s(self) -> float | None:
        """Longest time between two feeds; None without a watchdog."""
        return None if self.settings.watchdog is None else self.settings.watchdog.timeout_s

    def arm_watchdog(self) -> None:
        """Begin to count.  The timer of a chassis can only be armed before acquisition starts (InstrumentRefusal)."""
        watchdog = self._guard()
        with self._lines.away(), self._lamps.away():  # a chassis starts its timer only without them
            watchdog.arm()

    def feed_watchdog(self) -> None:
        """Begin to count anew: one call; raises WatchdogFired (an InstrumentRefusal) when it is too late."""
        self._guard().feed()

    def disarm_watchdog(self) -> None:
        """Stop counting and leave the lines as they are; a relay behind a heartbeat drops soon."""
        if self._watchdog is not None:
            self._watchdog.disarm()

    def clear_watchdog(self) -> str:
        """End what a watchdog that fired has locked; says how the valves are now.  It must be armed anew afterwards.

        A chassis is reset for it: its outputs go to their power-up states, and what runs on it breaks off.
        """
        self._guard().clear()
        self._lines.forget()
        self._lines.close()
        return "watchdog cleared: valves " + ", ".join(f"{name} {_word(on)}" for name, on in self.valves().items())

    def _put_valves_back(self) -> None:
        """Bring valves that a reset has released back to where the bench had them, and say so."""
        if not self._valves:
            self._valves_in_doubt = False
            return
        try:
            if self._watchdog is not None:
                self._watchdog.check()
            lost = self._lines.put_back()
        except InstrumentError as error:
            if not isinstance(error, WatchdogFired):
                return  # and tried again at the next read
            lost = {}  # the watchdog's doing: they stay until a person clears it
        self._valves_in_doubt = False
        for name, on in lost.items():
            said = f'valve "{name}" had left its state in an outage and was {_word(on)} again'
            self.note("warning", f'instrument "{self.name}": {said}')

    def _guard(self) -> Watchdog:
        if self._watchdog is None:
            raise InstrumentRefusal(self.name, "has no watchdog; add a [watchdog] table to it in the station")
        return self._watchdog

    # -- small parts

    def _parted(self, lamps: Collection[str]) -> tuple[dict[str, ValveLine], Lines, Lines]:
        """The valves, and the tasks of the valves and of the lamps."""
        valves, others = dict[str, ValveLine](), dict[str, ValveLine]()
        for name, line in self.settings.valves.items():
            (others if name in lamps else valves)[name] = line
        lines, lit = (Lines(self.name, each, self.clock, self._new_session) for each in (valves, others))
        return valves, lines, lit

    def _new_session(self) -> DaqSession:
        """A new connection; a fresh one after a failure, since gRPC would wait before it tried an old one again."""
        return DaqSession(self.connection.daq, self.settings.deadline_s)

    def _new_watchdog(self) -> Watchdog | None:
        wanted = self.settings.watchdog
        if wanted is None:
            return None
        valves = self.settings.valves.values()

        def new_session() -> DaqSession:
            return DaqSession(self.connection.daq, min(self.settings.deadline_s, wanted.timeout_s))

        if wanted.heartbeat is not None:
            beat = Heartbeat(self.name, wanted.heartbeat, wanted.timeout_s, self.clock, new_session)
            return Watchdog(self.name, self.clock, beat)
        expiration = {valve.line: valve.safe == "energised" for valve in valves}
        return Watchdog(self.name, self.clock, Timer(self.name, wanted.timeout_s, expiration, new_session))

    def _device_names(self) -> list[str]:
        channels = [each.physical for each in self.settings.channels]
        return device_names([*channels, *(valve.line for valve in self.settings.valves.values())])


def _word(on: bool) -> str:
    return "energised" if on else "released"
