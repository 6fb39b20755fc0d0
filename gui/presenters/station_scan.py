"""What is at the ports that a person ticks or writes, asked one after the other; nothing else is opened.

Each port is asked in a process of its own, so a scan can be ended at any moment, and a port that hangs ends alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from bench.scan import (
    PORT_S,
    NiDevice,
    ScanError,
    SerialPort,
    in_use,
    is_address,
    named_resource,
    ni_devices,
    place_of,
    resource_of,
    scan,
    serial_ports,
    unnamed_twice,
)
from gui.presenters.background import Cancel, nothing
from gui.presenters.context import Context
from gui.presenters.station_editor import StationEditor
from gui.presenters.tone import Tone
from instruments.clock import WallClock

if TYPE_CHECKING:
    from instruments.recognition import Found

Answer: TypeAlias = "Found | str"
"""What was found at a port, or why it could not be asked."""

ENDED_S = 3.0 * PORT_S
"""After so long the process that asks at a port is ended: nothing else frees it where a driver of the system hangs."""

LIBRARIES = {"@py": "pyvisa-py, which comes with the bench", "": "of a vendor: NI, Keysight, Rohde & Schwarz"}
"""VISA libraries, and what a person calls them."""

LOCAL = "local"
"""The NI driver of this computer."""

_BETWEEN = re.compile(r"[\s,;]+")


class ScanView(Protocol):
    """What the presenter asks of the panel."""

    def show_ports(self) -> None:
        """Show anew which serial ports there are."""

    def show_scan(self) -> None:
        """Show anew how far the scan is and what it has found."""

    def show_made(self) -> None:
        """Show the file that was made."""


@dataclass(frozen=True, slots=True)
class ScanRow:
    """A port that was named, or an NI device that was found, as a row.

    Attributes
    ----------
    says : which instrument it is and how its port is set, or what was heard instead.
    """

    port: str
    result: str
    tone: Tone
    driver: str = ""
    serial: str = ""
    says: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a scan is to ask.

    Attributes
    ----------
    resources : VISA resources, each port once, and what a person calls them.
    daq : "local", "HOST:PORT", or empty for no NI devices.
    """

    resources: Mapping[str, str] = field(default_factory=dict)
    daq: str = ""


def asked_at(resource: str, library: str, state_folder: Path) -> Answer:
    """Ask who is at one port, unless a run uses it by now; for a process of its own."""
    if why := in_use(state_folder).get(place_of(resource)):
        return why
    (found,) = scan([resource], WallClock(), library=library)
    return found


def text_of_scan(
    name: str, answers: Sequence[tuple[str, Answer]], devices: Sequence[NiDevice], library: str, daq: str
) -> str:
    """The station file of a scan; for a process of its own, since it loads every driver and protocol."""
    from bench.scan_file import station_text
    from instruments.recognition import Found

    found = [Found(resource, why=each) if isinstance(each, str) else each for resource, each in answers]
    today = WallClock().start.date()
    return station_text(name, unnamed_twice(found), devices, visa=library, daq=daq or LOCAL, today=today)


class StationScan:
    """One scan at a time.

    Attributes
    ----------
    ports : serial ports of this computer.
    ticked : names of those that are to be asked; none before a person ticks one.
    others, daq : as they are typed: further ports, and where NI devices are.
    library : VISA library.
    wrong : why what was asked for is not done; empty else.
    is_making : whether the station file is being made.
    """

    def __init__(self, context: Context, editor: StationEditor) -> None:
        self.context = context
        self.editor = editor
        self.ports: list[SerialPort] = []
        self.ticked: set[str] = set()
        self.others = self.daq = self.wrong = ""
        self.library = next(iter(LIBRARIES))
        self.is_making = False
        self._wanted = Wanted()
        self._by = self.library  # by which the answers came
        self._answers: dict[str, Answer] = {}
        self._devices: list[NiDevice] | str | None = None
        self._now = ""  # the resource that is asked, or the DAQ target
        self._for_s = 0
        self._cancel: Cancel = nothing
        self._end_ticking: Cancel = nothing
        self._view: ScanView | None = None

    def attach(self, view: ScanView) -> None:
        """Have a panel."""
        self._view = view

    # -- what is asked

    def find(self) -> None:
        """Look anew which serial ports there are; none is opened."""
        self.context.background.aside(serial_ports, self._found)

    def _found(self, ports: list[SerialPort]) -> None:
        self.ports = ports
        self.ticked &= {port.name for port in ports}
        if self._view is not None:
            self._view.show_ports()

    def tick(self, name: str, on: bool) -> None:
        """Name a serial port, or take it out again."""
        (self.ticked.add if on else self.ticked.discard)(name)

    def _wishes(self) -> Wanted:
        """What is to be asked; raises ScanError."""
        named = {resource_of(port.lasting): port.name for port in self.ports if port.name in self.ticked}
        named |= {named_resource(text): text for text in _BETWEEN.split(self.others) if text}
        once = {place_of(resource): resource for resource in reversed(named)}  # the first name of each place
        daq = self.daq.strip()
        if daq not in ("", LOCAL) and not is_address(daq):
            raise ScanError(
                f'"{daq}" is no place of NI devices; write local, or HOST:PORT of a server such as 10.0.0.5:31763'
            )
        if not named and not daq:
            raise ScanError("Tick a serial port, or write where else to ask: nothing is asked that you have not named")
        return Wanted({resource: name for resource, name in named.items() if resource in once.values()}, daq)

    # -- the scan

    @property
    def is_scanning(self) -> bool:
        """Whether a port is being asked."""
        return bool(self._now)

    def scan(self) -> None:
        """Ask at what is named, one port after the other."""
        if self.is_scanning or self.is_making:
            return
        try:
            self._wanted = self._wishes()
        except ScanError as error:
            self._refuse(str(error))
            return
        self.wrong, self._by = "", self.library
        self._answers, self._devices = {}, None
        self._end_ticking = self.context.background.every(1.0, self._tick)
        self._go_on()

    def cancel(self) -> None:
        """Ask no further; what has answered stays."""
        self._cancel()
        self._end()

    def _go_on(self) -> None:
        background, self._for_s = self.context.background, 0
        left = [resource for resource in self._wanted.resources if resource not in self._answers]
        if left:
            self._now = left[0]
            self._cancel = background.apart(
                asked_at,
                (left[0], self._by, self.context.state_folder),
                self._answered,
                lambda sentence: self._answered(_not_asked(sentence)),
                deadline_s=ENDED_S,
            )
        elif self._wanted.daq and self._devices is None:
            self._now = self._wanted.daq
            self._cancel = background.apart(
                ni_devices, (self._now,), self._told_devices, self._no_devices, deadline_s=ENDED_S
            )
        else:
            self._end()
            return
        self._show()

    def _answered(self, answer: Answer) -> None:
        self._answers[self._now] = answer
        self._go_on()

    def _told_devices(self, devices: list[NiDevice]) -> None:
        self._devices = devices or "there is no NI device"
        self._go_on()

    def _no_devices(self, sentence: str) -> None:
        self._devices = _not_asked(sentence.removeprefix(f"--daq {self._now}: "))
        self._go_on()

    def _end(self) -> None:
        self._now = ""
        self._cancel = nothing
        self._end_ticking()
        self._end_ticking = nothing
        self._show()

    def _tick(self) -> None:
        self._for_s += 1
        self._show()

    # -- what it found

    @property
    def progress(self) -> tuple[str, Tone]:
        """How far the scan is, in a sentence."""
        count = len(self._wanted.resources) + bool(self._wanted.daq)
        done = len(self._answers) + (self._devices is not None)
        if not count:
            return "Nothing has been asked yet", Tone.MUTED
        if self.is_scanning:
            port = self._wanted.resources.get(self._now)
            most = "" if port is None else f"; it may take {PORT_S:g} s"
            where = port or f"NI devices, {self._now}"
            return f"Asking {where} ({done + 1} of {count}), {self._for_s} s so far{most}", Tone.BUSY
        if done < count:
            return f"Ended after {done} of {count}; the others were not asked", Tone.MUTED
        known, wrong = (sum(row.tone is tone for row in self.rows) for tone in (Tone.GOOD, Tone.WARN))
        return f"{known} recognised{f', {wrong} not' if wrong else ''}", Tone.WARN if wrong else Tone.GOOD

    @property
    def rows(self) -> list[ScanRow]:
        """The ports in the order in which they are asked, then the NI devices."""
        found = [each for each in self._answers.values() if not isinstance(each, str)]
        shown = dict(zip((each.resource for each in found), unnamed_twice(found), strict=True))
        rows = [self._row(resource, name, shown) for resource, name in self._wanted.resources.items()]
        return rows + self._device_rows()

    def _row(self, resource: str, name: str, shown: Mapping[str, Found]) -> ScanRow:
        answer = self._answers.get(resource)
        if answer is None:
            return ScanRow(name, *self._state(resource))
        if isinstance(answer, str):
            return ScanRow(name, "not asked", Tone.WARN, says=answer)
        found = shown[resource]
        if found.recognised is None:
            if answer.recognised is not None:
                return ScanRow(name, "known already", Tone.MUTED, answer.driver, says=found.why)
            return ScanRow(name, "not recognised", Tone.WARN, says=found.why)
        one, line = found.recognised.identity, found.line
        who = " ".join(part for part in (one.maker, one.model) if part)
        how = "" if line is None else f"; {line.baud} baud, {line.data_bits}{line.parity[0].upper()}{line.stop_bits}"
        return ScanRow(name, "recognised", Tone.GOOD, found.driver, one.serial, who + how)

    def _device_rows(self) -> list[ScanRow]:
        where, devices = f"NI, {self._wanted.daq}", self._devices
        if not self._wanted.daq:
            return []
        if devices is None:
            return [ScanRow(where, *self._state(self._wanted.daq))]
        if isinstance(devices, str):
            return [ScanRow(where, "not found", Tone.WARN, says=devices)]
        return [
            ScanRow(each.name, "recognised", Tone.GOOD, "ni-daqmx", each.serial, _terminals(each)) for each in devices
        ]

    def _state(self, place: str) -> tuple[str, Tone]:
        if place == self._now:
            return "is asked…", Tone.BUSY
        return ("waits" if self.is_scanning else "not asked"), Tone.MUTED

    # -- the station file

    @property
    def can_make(self) -> bool:
        """Whether something is known that a station file can say."""
        known = any(row.tone is Tone.GOOD for row in self.rows)
        return known and not self.is_scanning and not self.is_making

    @property
    def name(self) -> str:
        """A name for the station."""
        return self.editor.new_name

    def make(self, name: str) -> None:
        """Make a station file of what answered, and show it as text that is not saved."""
        if not self.can_make:
            return
        if wrong := self.editor.wrong_new_name(name):
            self._refuse(wrong)
            return
        self.wrong, self.is_making = "", True
        devices = self._devices if isinstance(self._devices, list) else []
        arguments = (name, tuple(self._answers.items()), devices, self._by, self._wanted.daq)
        self.context.background.apart(text_of_scan, arguments, lambda text: self._made(name, text), self._not_made)
        self._show()

    def _made(self, name: str, text: str) -> None:
        self.is_making = False
        self.wrong = self.editor.begin(name, text)
        self._show()
        if not self.wrong and self._view is not None:
            self._view.show_made()

    def _not_made(self, sentence: str) -> None:
        self.is_making = False
        self._refuse(f"The station file could not be made: {sentence}")

    def _refuse(self, sentence: str) -> None:
        self.wrong = sentence
        self._show()

    def _show(self) -> None:
        if self._view is not None:
            self._view.show_scan()


def _not_asked(sentence: str) -> str:
    """Why there is no answer; what is said of a process that was ended is about files elsewhere."""
    ended = sentence.removesuffix("; the file may be damaged")
    return sentence if ended == sentence else f"{ended}; see whether another program holds it"


def _terminals(device: NiDevice) -> str:
    """What an NI device is, and its terminals: those of a kind by the first and the last."""
    kinds = [each for each in (device.inputs, device.lines) if each]
    named = (each[0] if len(each) == 1 else f"{each[0]} to {each[-1].rpartition('/')[2]}" for each in kinds)
    return "; ".join((device.product, *named))
