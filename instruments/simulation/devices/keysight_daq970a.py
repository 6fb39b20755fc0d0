"""A Keysight DAQ970A, or its elder the 34970A, with a multiplexer: SCPI (LAN socket 5025, USB, GPIB, RS-232).

Source: programming guides of the DAQ970A and 34970A.  A scan steps through the channels of its list in rising order; a
timer may begin it again and again, and what it has read waits in a memory with the time since the start.  Simulated is
what transducers need: direct voltage and current, scaling, formats of readings, the memory, the error queue; no alarms,
no other modules.  From memory, not verified against a real unit: the digits of ``CONF?``, words of units, that a
restart brings back the factory's settings, the serial port's 57600 baud.  Assumed: noise, time for a relay.
"""

from __future__ import annotations

import math
import random
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from instruments.simulation.devices.keysight.converter import FUNCTIONS, NPLC, RANGES, SHORT_NAME, Converter, Setup
from instruments.simulation.devices.keysight.instrument import ScpiInstrument
from instruments.simulation.devices.keysight.scpi import (
    CONFLICT,
    IGNORED,
    MISSING,
    NOT_ALLOWED,
    OUT_OF_RANGE,
    OVERLOAD,
    STALE,
    TYPE,
    Command,
    Header,
    Query,
    Reply,
    ScpiError,
    boolean,
    choice,
    number,
    parts,
    sent,
)
from instruments.simulation.signal import Signal
from instruments.simulation.wire import SerialLine

MEMORY = {"DAQ970A": 100_000, "34970A": 50_000}
_FIRMWARE = {"DAQ970A": "A.02.02-01.00-02.01-00.02-02.00-03-02", "34970A": "13-2-2"}
_MAKER = {"DAQ970A": "Keysight Technologies", "34970A": "HEWLETT-PACKARD"}
_LIST = re.compile(r"\(@((?:\d{3}(?::\d{3})?)(?:,\d{3}(?::\d{3})?)*)?\)")
_RELAY_S = 0.003
_ENDLESS = 10**9


@dataclass(slots=True)
class Channel:
    """How one channel is converted and scaled."""

    setup: Setup = field(default_factory=lambda: Setup(nplc=1.0))
    gain: float = 1.0
    offset: float = 0.0
    unit: str = ""
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A reading in the memory."""

    value: float
    unit: str
    since_s: float
    channel: int


@dataclass(slots=True)
class Scan:
    """A scan that runs: when it began, how many sweeps it makes and has made."""

    start_s: float
    sweeps: int
    done: int = 0


class KeysightDaq970A(ScpiInstrument):
    """A unit with one multiplexer per slot.

    Parameters
    ----------
    channels : number of a channel, such as "101", and the signal at it: V, or A where it is 21 or 22 of its slot.
    model : DAQ970A or 34970A.
    serial : as ``*IDN?`` tells it; a 34970A tells 0 whatever it is.
    noise : standard deviation of a conversion at 1 NPLC, relative to its range.
    crystal_ppm : error of its clock, positive when its intervals are long; by default drawn from ``seed``, within 50.
    latency_s : time that an answer takes beside the conversions.
    """

    line = SerialLine(baud=57_600)
    boot_s = 10.0

    def __init__(
        self,
        channels: Mapping[str, Signal],
        *,
        model: str = "DAQ970A",
        serial: str = "MY58001234",
        noise: float = 1e-6,
        crystal_ppm: float | None = None,
        latency_s: float = 0.003,
        seed: int = 0,
    ) -> None:
        if model not in MEMORY:
            raise ValueError(f"data acquisition unit {serial}: there is no {model}; take {' or '.join(MEMORY)}")
        for name in channels:
            if not re.fullmatch(r"[1-3](?:0[1-9]|1\d|2[0-2])", name):
                raise ValueError(f'data acquisition unit {serial}: "{name}" is no channel; take "101" to "322"')
        if crystal_ppm is None:
            crystal_ppm = random.Random(f"{seed}/crystal/{serial}").uniform(-50.0, 50.0)
        self.signals = {int(name): signal for name, signal in channels.items()}
        self.stretch = 1.0 + 1e-6 * crystal_ppm
        self.capacity = MEMORY[model]
        self._held: dict[int, float] = {}
        told = serial if model == "DAQ970A" else "0"
        identity = f"{_MAKER[model]},{model},{told},{_FIRMWARE[model]}"
        super().__init__(identity, Converter(serial, noise, seed), latency_s)

    def _reset(self) -> None:
        self.channels: dict[int, Channel] = {}
        self.scan_list: list[int] = []
        self._trigger()
        self.shows = {"UNIT": False, "TIME": False, "CHAN": False, "ALAR": False}
        self._memory: deque[Stored] = deque(maxlen=self.capacity)
        self._scan: Scan | None = None

    def _trigger(self) -> None:
        self.source, self.timer_s, self.count = "IMM", 10.0, 1

    def _headers(self) -> list[Header]:
        headers = [
            Header("CONFigure", self._configured),
            Header("ROUTe:SCAN", lambda text, t: self._scanned(), self._set_scan),
            Header("ROUTe:SCAN:SIZE", lambda text, t: f"{len(self.scan_list):+d}"),
            Header("INITiate", None, self._initiate),
            Header("ABORt", None, lambda text, t: self._abort(t)),
            Header("READ", self._read),
            Header("FETCh", self._fetch),
            Header("R", self._removed_block),
            Header("DATA:POINts", lambda text, t: f"{self._stored(t):+d}"),
            Header("DATA:REMove", self._remove),
            Header("TRIGger:SOURce", lambda text, t: self.source, self._set_source),
            Header("TRIGger:TIMer", lambda text, t: sent(self.timer_s), self._set_timer),
            Header("TRIGger:COUNt", lambda text, t: self._counted(), self._set_count),
            Header("FORMat:READing:TIME:TYPE", lambda text, t: "REL", lambda text, t: self._only_relative(text)),
        ]
        for short, long in {"UNIT": "UNIT", "TIME": "TIME", "CHAN": "CHANnel", "ALAR": "ALARm"}.items():
            headers.append(Header(f"FORMat:READing:{long}", self._shown(short), self._show(short)))
        for short, long in FUNCTIONS.items():
            path = f"[SENSe:]{long}[:DC]"
            headers += [
                Header(f"CONFigure:{long}[:DC]", None, self._configure(short)),
                Header(f"MEASure:{long}[:DC]", self._measured(short)),
                Header(f"{path}:NPLC", self._of_each(lambda one: sent(one.setup.nplc)), self._set_nplc),
                Header(f"{path}:RANGe[:UPPer]", self._of_each(lambda one: sent(one.setup.range)), self._set_range),
                Header(
                    f"{path}:ZERO:AUTO", self._of_each(lambda one: f"{one.setup.auto_zero:d}"),
                    self._set("setup.auto_zero", boolean),
                ),
            ]  # fmt: skip
        scale = "CALCulate:SCALe"
        return [
            *headers,
            Header(f"{scale}:GAIN", self._of_each(lambda one: sent(one.gain)), self._set("gain", _any_number)),
            Header(f"{scale}:OFFSet", self._of_each(lambda one: sent(one.offset)), self._set("offset", _any_number)),
            Header(f"{scale}:UNIT", self._of_each(lambda one: f'"{one.unit}"'), self._set("unit", _quoted)),
            Header(f"{scale}:STATe", self._of_each(lambda one: f"{one.scaled:d}"), self._set("scaled", boolean)),
        ]

    # -- channels

    def _channel(self, number_: int) -> Channel:
        return self.channels.setdefault(number_, Channel())

    def _listed(self, text: str) -> list[int]:
        """Channels of ``(@101,103:105)``, each once, in rising order."""
        found = _LIST.fullmatch(text.replace(" ", ""))
        if found is None:
            raise ScpiError(TYPE if text else MISSING)
        channels: set[int] = set()
        for part in (found[1] or "").split(",") if found[1] else []:
            first, _, last = part.partition(":")
            channels |= set(range(int(first), int(last or first) + 1))
        if any(not (1 <= channel // 100 <= 3 and 1 <= channel % 100 <= 22) for channel in channels):
            raise ScpiError(OUT_OF_RANGE)
        return sorted(channels)

    def _targets(self, text: str) -> tuple[list[str], list[int]]:
        """Parameters before a channel list, and the channels: those of the scan list where none is given."""
        given = parts(text)
        if given and given[-1].startswith("(@"):
            return given[:-1], self._listed(given[-1])
        return given, self.scan_list

    def _configure(self, function: str) -> Command:
        def configure(text: str, t: float) -> None:
            given, channels = self._targets(text)
            if len(given) > 2 or not channels:
                raise ScpiError(NOT_ALLOWED if channels else MISSING)
            if function == "CURR" and any(channel % 100 < 21 for channel in channels):
                raise ScpiError(CONFLICT)
            setups = []
            for _ in channels:
                setup = Setup(function, RANGES[function][2], nplc=1.0)
                if given and given[0].upper() not in ("DEF", "AUTO"):
                    setup.fix(given[0])
                setups.append(setup)
            self.channels |= {channel: Channel(setup) for channel, setup in zip(channels, setups, strict=True)}
            self._end_scan()
            self.scan_list = channels
            self._trigger()
            self.shows = dict.fromkeys(self.shows, False)

        return configure

    def _configured(self, text: str, t: float) -> str:
        _, channels = self._targets(text)
        return ",".join(self._channel(channel).setup.told for channel in channels)

    def _of_each(self, shown: Callable[[Channel], str]) -> Query:
        return lambda text, t: ",".join(shown(self._channel(channel)) for channel in self._targets(text)[1])

    def _set(self, name: str, read: Callable[[str], Any]) -> Command:
        def command(text: str, t: float) -> None:
            given, channels = self._targets(text)
            if len(given) != 1:
                raise ScpiError(NOT_ALLOWED if given else MISSING)
            value = read(given[0])
            for channel in map(self._channel, channels):
                owner, _, key = name.rpartition(".")
                setattr(channel.setup if owner else channel, key, value)

        return command

    def _set_nplc(self, text: str, t: float) -> None:
        given, channels = self._targets(text)
        wanted = number(given[0] if given else "", NPLC[0], NPLC[-1], 1.0)
        for channel in channels:
            self._channel(channel).setup.average(wanted)

    def _set_range(self, text: str, t: float) -> None:
        given, channels = self._targets(text)
        for channel in channels:
            self._channel(channel).setup.fix(given[0] if given else "")

    def _set_scan(self, text: str, t: float) -> None:
        self._end_scan()
        self.scan_list = self._listed(text)

    def _scanned(self) -> str:
        listed = f"(@{','.join(map(str, self.scan_list))})"
        return f"#{len(str(len(listed)))}{len(listed)}{listed}"

    # -- triggers and formats

    def _set_source(self, text: str, t: float) -> None:
        self.source = choice(text, IMM="IMMEDIATE", TIM="TIMER", BUS="BUS", EXT="EXTERNAL")

    def _set_timer(self, text: str, t: float) -> None:
        self.timer_s = number(text, 0.0, 359_999.0)

    def _set_count(self, text: str, t: float) -> None:
        self.count = int(number(text, 1.0, _ENDLESS, 1.0))

    def _counted(self) -> str:
        return sent(OVERLOAD if self.count == _ENDLESS else self.count)

    def _shown(self, short: str) -> Query:
        return lambda text, t: f"{self.shows[short]:d}"

    def _show(self, short: str) -> Command:
        def show(text: str, t: float) -> None:
            self.shows[short] = boolean(text)

        return show

    def _only_relative(self, text: str) -> None:
        if choice(text, REL="RELATIVE", ABS="ABSOLUTE") != "REL":
            raise ScpiError(CONFLICT)  # the other one is not simulated

    # -- scanning

    def _sweep_s(self) -> float:
        return sum(self._channel(channel).setup.takes_s + _RELAY_S for channel in self.scan_list)

    def _every_s(self) -> float:
        """Time from one sweep to the next, by its own clock."""
        return max(self.timer_s, self._sweep_s()) if self.source == "TIM" else self._sweep_s()

    def _initiate(self, text: str, t: float) -> None:
        self._collect(t)
        if text:
            raise ScpiError(NOT_ALLOWED)
        if self._scan is not None:
            raise ScpiError(IGNORED)
        if not self.scan_list or self.source not in ("IMM", "TIM"):
            raise ScpiError(CONFLICT)
        self._memory.clear()
        self._scan = Scan(t, self.count)

    def _abort(self, t: float) -> None:
        self._collect(t)
        self._end_scan()

    def _end_scan(self) -> None:
        self._scan = None

    def _collect(self, t: float) -> None:
        """Store what the running scan has read until now."""
        scan = self._scan
        if scan is None:
            return
        every_s, sweep_s = self._every_s(), self._sweep_s()
        due = math.floor(((t - scan.start_s) / self.stretch - sweep_s) / every_s + 1e-9) + 1
        end = min(due, scan.sweeps)
        scan.done = max(scan.done, end - self.capacity // len(self.scan_list) - 1)  # what would be overwritten anyway
        while scan.done < end:
            self._sweep(scan, scan.done * every_s)
            scan.done += 1
        if scan.done >= scan.sweeps:
            self._scan = None

    def _sweep(self, scan: Scan, since_s: float) -> None:
        """Read every channel of the list once."""
        for number_ in self.scan_list:
            channel = self._channel(number_)
            value = self._convert(number_, channel, scan.start_s + since_s * self.stretch)
            unit = channel.unit if channel.scaled and channel.unit else SHORT_NAME[channel.setup.function]
            since_s += channel.setup.takes_s + _RELAY_S
            self._memory.append(Stored(value, unit, since_s, number_))  # the time at which it was ready

    def _convert(self, number_: int, channel: Channel, t: float) -> float:
        value = self._converter.convert(self.signals.get(number_), channel.setup, t)
        return channel.gain * value + channel.offset if channel.scaled and abs(value) < OVERLOAD else value

    def _tells(self, one: Stored) -> float:
        """Value of a reading as it is sent."""
        if self.saturated:
            return OVERLOAD
        if not self.frozen or one.channel not in self._held:
            self._held[one.channel] = one.value
        return self._held[one.channel]

    def _stored(self, t: float) -> int:
        self._collect(t)
        return len(self._memory)

    def _written(self, one: Stored) -> str:
        text = sent(self._tells(one))
        if self.shows["UNIT"]:
            text += f" {one.unit}"
        if self.shows["TIME"]:
            text += f",{one.since_s:013.3f}"
        if self.shows["CHAN"]:
            text += f",{one.channel}"
        return f"{text},0" if self.shows["ALAR"] else text

    def _taken(self, count: int) -> str:
        return ",".join(self._written(self._memory.popleft()) for _ in range(count))

    def _read(self, text: str, t: float) -> Reply:
        """Start a scan and wait for its end."""
        if self.count == _ENDLESS:
            raise ScpiError(CONFLICT)
        self._initiate(text, t)
        lasts_s = (self.count - 1) * self._every_s() + self._sweep_s()
        self._collect(t + lasts_s * self.stretch + 1e-6)
        return Reply(",".join(map(self._written, self._memory)), lasts_s * self.stretch)

    def _fetch(self, text: str, t: float) -> str:
        if not self._stored(t):
            raise ScpiError(STALE)
        return ",".join(map(self._written, self._memory))

    def _remove(self, text: str, t: float) -> str:
        count = int(number(text, 1.0, self.capacity))
        if count > self._stored(t):
            raise ScpiError(OUT_OF_RANGE)
        return self._taken(count)

    def _removed_block(self, text: str, t: float) -> str:
        stored = self._stored(t)
        taken = self._taken(min(stored, int(number(text, 1.0, self.capacity))) if text else stored)
        return f"#{len(str(len(taken)))}{len(taken)}{taken}"


def _any_number(text: str) -> float:
    return number(text, -1e15, 1e15)


def _quoted(text: str) -> str:
    if len(text) < 2 or text[0] not in "\"'" or text[-1] != text[0]:
        raise ScpiError(TYPE)
    return text[1:-1]


DEVICE = KeysightDaq970A
