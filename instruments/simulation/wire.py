"""The wire of a simulated instrument: bytes in, bytes out, each at its moment.

A device model knows its protocol and its signals; it does not know who is at the other end of the cable.  The
in-process VISA library (`visalib`) and the pty and TCP ports (`wire_server`) read the same model, on virtual or
wall time.  All times are seconds on the run's clock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Literal, Protocol

UNREAD_MESSAGES = 4096
"""What a host's driver keeps for a port that nobody reads; later bytes are lost."""

_LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class SerialLine:
    """How a serial instrument is set: baud rate, data bits, parity and stop bits."""

    baud: int = 9600
    data_bits: int = 8
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: float = 1.0


class Tamperer(Protocol):
    """What stands between a device and its cable and damages the traffic; see `misbehaviour`."""

    def begin(self, device: ByteDevice, data: bytes, now: float) -> bytes | None:
        """Look at what the host sent; returns what the device gets, None when nothing arrives."""

    def tamper(self, device: ByteDevice, data: bytes, at: float) -> list[tuple[float, bytes]]:
        """What becomes of a reply that would leave the device at ``at``: (moment, bytes) pairs."""


class ByteDevice(ABC):
    """A simulated instrument at the end of a cable.

    A model implements `on_bytes` and answers with `emit`.  One that also speaks unasked (streaming, waiting for
    stability) tells when in `next_event` and acts in `on_time`.

    Attributes
    ----------
    line : how its serial port is set; a host with other settings reads garbage.
    boot_s : time in s from power to the first command that it understands.
    bus_powered : the cable carries its supply, so that pulling the plug restarts it.
    frozen : the reading stands still; models that measure repeat their last value while it is set.
    saturated : the signal is beyond the range; models that measure show what they show there while it is set.
    generation : how often the plug was pulled; a session that was opened before is dead.
    """

    line = SerialLine()
    boot_s = 2.0
    bus_powered = False

    def __init__(self) -> None:
        self.misbehaviour: Tamperer | None = None
        self.frozen = self.saturated = False
        self.generation = 0
        self._out: deque[tuple[float, bytes]] = deque()
        self._plugged_at = float("-inf")
        self._ready_at = float("-inf")

    # -- the host's side of the cable

    def write(self, data: bytes, now: float) -> None:
        """Take bytes from the host."""
        self.advance(now)
        if self.misbehaviour is not None:
            passed = self.misbehaviour.begin(self, data, now)
            if passed is None:
                return
            data = passed
        if now >= self._ready_at:
            self.on_bytes(data, now)

    def end_of_message(self, now: float) -> None:  # noqa: B027  # most devices have nothing to do here
        """END came with the last byte (GPIB, USB, LAN instruments); a serial line has nothing like it."""

    def read_ready(self, now: float) -> bytes:
        """Everything that has arrived at the host by ``now``; empty when nothing has."""
        self.advance(now)
        out = self._out
        if not out or out[0][0] > now:
            return b""
        first = out.popleft()[1]
        if not out or out[0][0] > now:
            return first
        parts = [first]
        while out and out[0][0] <= now:
            parts.append(out.popleft()[1])
        return b"".join(parts)

    def read_message(self, now: float) -> bytes | None:
        """Next whole message that has arrived by ``now``, for interfaces that keep message boundaries."""
        self.advance(now)
        if self._out and self._out[0][0] <= now:
            return self._out.popleft()[1]
        return None

    def next_output_time(self) -> float | None:
        """Earliest moment at which there may be something to read; None while the device would stay silent."""
        event = self.next_event()
        if not self._out:
            return event
        head = self._out[0][0]
        return head if event is None or head < event else event

    def clear(self, now: float) -> None:
        """Device clear: pending output is dropped."""
        self._out.clear()

    def trigger(self, now: float) -> None:  # noqa: B027  # most devices have nothing to do here
        """Group execute trigger."""

    def status_byte(self, now: float) -> int:
        """Status byte as a serial poll reads it; bit 4 says that a message waits."""
        self.advance(now)
        return 0x10 if self._out and self._out[0][0] <= now else 0

    # -- the plug and the mains switch

    def connected(self, now: float) -> bool:
        """Whether the cable is plugged in."""
        return now >= self._plugged_at

    def unplug(self, now: float, away_s: float) -> None:
        """Pull the plug for a time; sessions that are open do not survive it."""
        self.generation += 1
        self._plugged_at = max(self._plugged_at, now + away_s)
        self._out.clear()
        if self.bus_powered:
            self._start(now, self._plugged_at)

    def plug(self, now: float) -> None:
        """Put the plug back before its time."""
        self._plugged_at = min(self._plugged_at, now)

    def reboot(self, now: float) -> None:
        """Lose power and come back at once: state is lost, commands are not understood for `boot_s`."""
        self._out.clear()
        self._start(now, now)

    def _start(self, lost_at: float, back_at: float) -> None:
        self._ready_at = back_at + self.boot_s
        self.on_reboot(lost_at)
        text = self.boot_text()
        if text:
            self._push(self._ready_at, text)

    # -- what a model implements

    @abstractmethod
    def on_bytes(self, data: bytes, now: float) -> None:
        """Take bytes that arrived at ``now``: whole commands, parts of them, or several."""

    def next_event(self) -> float | None:
        """Moment of the next thing that the device does by itself; None when it only answers."""
        return None

    def on_time(self, t: float) -> None:  # noqa: B027  # most devices have nothing to do here
        """Do what was announced for ``t``; `next_event` is later afterwards."""

    def on_reboot(self, now: float) -> None:  # noqa: B027  # most devices have nothing to do here
        """Forget what does not survive a loss of power."""

    def boot_text(self) -> bytes:
        """What the device says when it has started."""
        return b""

    def unsolicited(self) -> bytes:
        """A message that this kind of device may send unasked, for the fault of that name."""
        return b"\r\n"

    # -- what a model uses

    def emit(self, data: bytes, at: float) -> None:
        """Send bytes that are complete at the host at ``at``; a line keeps their order."""
        if self.misbehaviour is None:
            self._push(at, data)
            return
        for moment, damaged in self.misbehaviour.tamper(self, data, at):
            self._push(moment, damaged)

    def advance(self, now: float) -> None:
        """Let everything happen that the device does by itself up to ``now``."""
        event = self.next_event()
        while event is not None and event <= now:
            self.on_time(event)
            event = self.next_event()

    def _push(self, at: float, data: bytes) -> None:
        """Queue a message; the one before it is read first, whatever their moments."""
        if data and len(self._out) < UNREAD_MESSAGES:
            self._out.append((at, data))


class LineDevice(ByteDevice):
    """A device that takes lines: CR LF, CR or LF ends one, an empty line is none, and half a line ends with the power.

    A model implements `on_line`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard = b""  # of a line whose end has not come

    @abstractmethod
    def on_line(self, line: str, now: float) -> None:
        """Take a line, without its end."""

    def on_bytes(self, data: bytes, now: float) -> None:
        """Take the lines that are complete, one after the other."""
        *lines, rest = (self._heard + data).replace(b"\r", b"\n").split(b"\n")
        self._heard = rest[-_LONGEST_LINE:]
        for line in lines:
            if line:
                self.on_line(line.decode("latin-1"), now)

    def end_of_message(self, now: float) -> None:
        """END ends a line as well."""
        self.on_bytes(b"\n", now)

    def _start(self, lost_at: float, back_at: float) -> None:
        self._heard = b""
        super()._start(lost_at, back_at)
