"""Open resources of the simulated VISA library: when a read ends, what a timeout loses, what a pulled plug leaves."""

from __future__ import annotations

import math
from typing import Any

from pyvisa import constants
from pyvisa.constants import ResourceAttribute, SerialTermination, StatusCode

from instruments.clock import Clock, ClockError
from instruments.simulation.wire import ByteDevice, SerialLine

_PARITY = {"N": constants.Parity.none, "E": constants.Parity.even, "O": constants.Parity.odd}


class ConnectionLostError(Exception):
    """The cable was pulled since the session was opened."""


class _Session:
    """What streams and messages have in common."""

    def __init__(self, name: str, device: ByteDevice, clock: Clock, kind: tuple[constants.InterfaceType, str]) -> None:
        self.name = name
        self.device = device
        self.kind = kind
        self.serial = kind[0] == constants.InterfaceType.asrl
        self.attributes: dict[int, Any] = {
            ResourceAttribute.resource_name: name,
            ResourceAttribute.interface_type: kind[0],
            ResourceAttribute.resource_class: kind[1],
        }
        self._clock = clock
        self._generation = device.generation
        self._timeout_s = 2.0
        self._termchar = b"\n"
        self._ends_on_termchar = False
        self._buffer = bytearray()

    def alive(self) -> bool:
        """Whether the cable has stayed plugged in since the session was opened."""
        return self.device.generation == self._generation

    def set_attribute(self, attribute: int, value: Any) -> None:
        """Take over an attribute that reading depends on."""
        self.attributes[attribute] = value
        if attribute == ResourceAttribute.timeout_value:
            self._timeout_s = math.inf if value == constants.VI_TMO_INFINITE else value / 1000.0
        elif attribute == ResourceAttribute.termchar:
            self._termchar = bytes((value,))
        elif attribute == ResourceAttribute.termchar_enabled:
            self._ends_on_termchar = bool(value)

    def _check(self) -> None:
        if self.device.generation != self._generation:
            raise ConnectionLostError

    def _wait(self, deadline: float, looked_s: float) -> bool:
        """Wait until the device may have spoken; False when the last look was not before the deadline.

        On the wall clock the computer may stall after a look: what has arrived meanwhile is looked for once more.
        """
        if looked_s >= deadline:
            return False
        output = self.device.next_output_time()
        until = deadline if output is None else min(output, deadline)
        if until == math.inf:
            raise ClockError(
                f"{self.name}: read with an infinite timeout from a device that will never answer; "
                "set a timeout, or find out why the command got no reply"
            )
        self._clock.sleep_until(until)
        return True

    def discard(self) -> None:
        """Drop everything that has arrived."""
        self._check()
        self._buffer.clear()
        while self.device.read_ready(self._clock.now()):
            pass


class StreamSession(_Session):
    """A serial port or a raw TCP socket: bytes without message boundaries.

    A serial read ends on TERMCHAR even with no read termination set, because VISA's default of ASRL_END_IN says so;
    a socket's END is suppressed by default.  Without either, only the count or the timeout ends a read.  As in
    pyvisa-py, what a read had collected is lost when it times out.
    """

    def __init__(self, name: str, device: ByteDevice, clock: Clock, kind: tuple[constants.InterfaceType, str]) -> None:
        super().__init__(name, device, clock, kind)
        self._end_in = SerialTermination.termination_char
        self._suppress_end = True
        self._ends = self.serial
        self._scrambled = False
        self._match_line()
        device.read_ready(clock.now())  # what came while nobody had the port open is gone

    def set_attribute(self, attribute: int, value: Any) -> None:
        """Take over an attribute; those of the serial port must match the device."""
        super().set_attribute(attribute, value)
        if attribute == ResourceAttribute.asrl_end_in:
            self._end_in = value
        elif attribute == ResourceAttribute.suppress_end_enabled:
            self._suppress_end = bool(value)
        elif self.serial:
            self._match_line()
        ends_in = self.serial and self._end_in == SerialTermination.termination_char
        self._ends = self._ends_on_termchar or ends_in

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._check()
        if self._scrambled:
            data = _scramble(data)
        self.device.write(data, self._clock.now())

    def read(self, count: int) -> tuple[bytes, StatusCode]:
        """Receive up to ``count`` bytes: to the termination character, the count or the timeout."""
        self._check()
        buffer = self._buffer
        now = self._clock.now()
        deadline = now + self._timeout_s
        searched = 0
        while True:
            if buffer:
                end = buffer.find(self._termchar, searched) + 1 if self._ends else 0
                if 0 < end <= count:
                    return self._take(end), StatusCode.success_termination_character_read
                if len(buffer) >= count:
                    return self._take(count), StatusCode.success_max_count_read
                if not self.serial and not self._suppress_end:
                    return self._take(len(buffer)), StatusCode.success
                searched = len(buffer)
            looked_s = self._clock.now()
            data = self.device.read_ready(looked_s)
            if data:
                if self._scrambled:
                    data = _scramble(data)
                if not buffer and self._ends and data.find(self._termchar) == len(data) - 1 < count:
                    return data, StatusCode.success_termination_character_read  # the usual case: one whole line
                buffer += data
            elif not self._wait(deadline, looked_s):
                buffer.clear()
                return b"", StatusCode.error_timeout
            else:
                self._check()

    def available(self) -> int:
        """Bytes that a read would find at once."""
        self._check()
        data = self.device.read_ready(self._clock.now())
        if data:
            self._buffer += _scramble(data) if self._scrambled else data
        return len(self._buffer)

    def clear(self) -> None:
        """Clear of a socket drops what has arrived."""
        self.discard()

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _match_line(self) -> None:
        """Compare the host's port settings with the device's: characters survive only when they agree."""
        if not self.serial:
            return
        line: SerialLine = self.device.line
        get = self.attributes.get
        self._scrambled = (
            get(ResourceAttribute.asrl_baud_rate, 9600) != line.baud
            or get(ResourceAttribute.asrl_data_bits, 8) != line.data_bits
            or get(ResourceAttribute.asrl_parity, constants.Parity.none) != _PARITY[line.parity]
        )


class MessageSession(_Session):
    """GPIB, USB, VXI-11 or HiSLIP: every message of the device ends with END, and two never merge."""

    def __init__(self, name: str, device: ByteDevice, clock: Clock, kind: tuple[constants.InterfaceType, str]) -> None:
        super().__init__(name, device, clock, kind)
        self.service_requests = False

    def write(self, data: bytes) -> None:
        """Send one message with END."""
        self._check()
        now = self._clock.now()
        self.device.write(data, now)
        self.device.end_of_message(now)

    def read(self, count: int) -> tuple[bytes, StatusCode]:
        """Receive up to ``count`` bytes of one message."""
        self._check()
        deadline = self._clock.now() + self._timeout_s
        while not self._buffer:
            looked_s = self._clock.now()
            message = self.device.read_message(looked_s)
            if message is not None:
                self._buffer += message
            elif not self._wait(deadline, looked_s):
                return b"", StatusCode.error_timeout
            else:
                self._check()
        buffer = self._buffer
        end = buffer.find(self._termchar) + 1 if self._ends_on_termchar else 0
        if 0 < end <= count and end < len(buffer):
            status = StatusCode.success_termination_character_read
        else:
            end = min(count, len(buffer))
            status = StatusCode.success if end == len(buffer) else StatusCode.success_max_count_read
        data = bytes(buffer[:end])
        del buffer[:end]
        return data, status

    def available(self) -> int:
        """Bytes left of a message that was read in part."""
        self._check()
        return len(self._buffer)

    def clear(self) -> None:
        """Device clear."""
        self._check()
        self._buffer.clear()
        self.device.clear(self._clock.now())

    def wait_for_service(self, seconds: float | None) -> bool:
        """Wait until the device asserts SRQ; False when the time is over."""
        self._check()
        deadline = math.inf if seconds is None else self._clock.now() + seconds
        while not self.device.status_byte(looked_s := self._clock.now()) & 0x40:
            if not self._wait(deadline, looked_s):
                return False
        return True


def _scramble(data: bytes) -> bytes:
    """What a receiver with another baud rate or format makes of a character."""
    return bytes(byte ^ 0xA5 | 0x80 for byte in data)
