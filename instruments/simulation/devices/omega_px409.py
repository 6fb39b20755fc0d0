"""An Omega PX409-USBH pressure transmitter on its virtual serial port.

Sources: user's guide of the PX409-USB(H) and programs of others.  A command ends with CR and is case-sensitive; an
empty one is answered by the prompt alone.  Units other than psi, the form of ENQ, and that it shows up to 110 % of its
range are assumed.  The stream of ``PC`` is binary: a sync byte AAh, a type, and a little-endian float, in which AAh is
sent twice.
"""

from __future__ import annotations

import random
import struct

from instruments.simulation.signal import Signal
from instruments.simulation.wire import ByteDevice, SerialLine

CR = b"\r"
PROMPT = b">"
SYNC, READING_PACKET = 0xAA, 0x01
MOST = 1.1
"""Share of the range that it shows."""

CONVERSIONS_PER_S = 100
_RATES_PER_S = (5, 10, 20, 40, 80, 160, 320, 640, 1000)
_KPA = {"psi": 6.894757293, "bar": 100.0, "mbar": 0.1, "hPa": 0.1, "kPa": 1.0}
_STANDARD_HPA = 1013.25
_LONGEST = 80


class Px409Transmitter(ByteDevice):
    """A transmitter whose cell sees ``signal``.

    Parameters
    ----------
    signal : gauge pressure in kPa at its port.
    ambient : barometric pressure in hPa, for an absolute one; a standard atmosphere without it.
    absolute : it measures against vacuum.
    unit : psi, bar, mbar, hPa or kPa.
    high_kpa : end of its range.
    serial, firmware : as SNR and ENQ tell them.
    noise_kpa : standard deviation of a conversion.
    start_s : time from the plug to its first answer.
    latency_s : time from the end of a command to the end of its reply.
    """

    line = SerialLine(baud=115_200)
    bus_powered = True

    def __init__(
        self,
        signal: Signal,
        *,
        ambient: Signal | None = None,
        absolute: bool = False,
        unit: str = "psi",
        high_kpa: float = 103.42136,
        serial: int = 487_740,
        firmware: str = "1.13.05",
        noise_kpa: float = 0.005,
        start_s: float = 6.0,
        latency_s: float = 0.005,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if unit not in _KPA:
            raise ValueError(f'transmitter {serial}: unit "{unit}" is unknown; take one of {", ".join(_KPA)}')
        self.signal, self.ambient = signal, ambient
        self.absolute, self.unit, self.high_kpa = absolute, unit, high_kpa
        self.serial, self.firmware = serial, firmware
        self.noise_kpa, self.latency_s = noise_kpa, latency_s
        self.boot_s = start_s
        self._seed = seed
        self._held_kpa: float | None = None
        self._forget()

    def _forget(self) -> None:
        self._line = b""
        self._rate, self._averaged = 0, 2
        self._sent = -1  # packets of the stream, -1 while there is none
        self._stream_from = 0.0

    # -- the wire

    def on_bytes(self, data: bytes, now: float) -> None:
        """Answer the commands that are complete."""
        *commands, rest = (self._line + data).replace(b"\n", b"").split(CR)
        self._line = rest[-_LONGEST:]
        for command in commands:
            reply = self._answer(command, now)
            if reply is not None:
                self.emit(reply + PROMPT, now + self.latency_s)

    def on_reboot(self, now: float) -> None:
        """A stream ends with the power."""
        self._forget()

    def unsolicited(self) -> bytes:
        """A prompt nobody asked for."""
        return PROMPT

    def _answer(self, command: bytes, now: float) -> bytes | None:
        """Reply to one command without its prompt; None where there is none."""
        name, _, value = command.decode("latin-1").partition(" ")
        if not command:
            return b""
        if name == "P" and not value:
            return f"{self.shown(now)} {self.unit}\r\n".encode()
        if name == "SNR" and not value:
            return b"%d\r\n" % self.serial
        if name == "ENQ" and not value:
            high = self.high_kpa / _KPA[self.unit]
            kind = "A" if self.absolute else "G"
            return f"USBPX2\r\n{self.firmware}\r\n0.0 to {high:.1f} {self.unit.upper()} {kind}\r\n".encode()
        if name == "RATE" and (not value or value in "012345678"):
            self._rate = int(value or self._rate)
            return b"RATE = %d\r\n" % self._rate
        if name == "AVG" and (not value or value in ("0", "2", "4", "8", "16")):
            self._averaged = int(value or self._averaged)
            return b"AVG = %d\r\n" % self._averaged
        if name == "PC" and not value:
            self._sent, self._stream_from = 0, now
            return None
        if name == "PS" and not value:
            self._sent = -1
            return b""
        return command + b" @command unsupported\r\n"

    # -- measuring

    def kpa(self, now: float) -> float:
        """Latest conversion in kPa; its noise belongs to its number."""
        if self.saturated:
            return MOST * self.high_kpa
        if self.frozen and self._held_kpa is not None:
            return self._held_kpa
        rate = CONVERSIONS_PER_S
        k = int(now * rate + 1e-6)
        kpa = self.signal.at(k / rate)
        if self.absolute:
            kpa += 0.1 * (_STANDARD_HPA if self.ambient is None else self.ambient.at(k / rate))
        if self.noise_kpa:
            kpa += random.Random(f"{self._seed}/px409/{self.serial}/{k}").gauss(0.0, self.noise_kpa)
        self._held_kpa = max(-MOST * self.high_kpa, min(MOST * self.high_kpa, kpa))
        return self._held_kpa

    def shown(self, now: float) -> str:
        """The reading as it is written: the digits of a thousandth of a kPa or finer."""
        places = 2 if _KPA[self.unit] < 1.0 else 5
        return f"{self.kpa(now) / _KPA[self.unit]:.{places}f}"

    # -- the stream

    def next_event(self) -> float | None:
        """The next packet of the stream."""
        return None if self._sent < 0 else self._stream_from + (self._sent + 1) / _RATES_PER_S[self._rate]

    def on_time(self, t: float) -> None:
        """Send one packet."""
        self._sent += 1
        value = struct.pack("<f", self.kpa(t) / _KPA[self.unit])
        sync = bytes((SYNC,))
        self.emit(sync + bytes((READING_PACKET,)) + value.replace(sync, 2 * sync), t + self.latency_s)


DEVICE = Px409Transmitter
