"""A Sartorius laboratory balance on the SBI protocol: RS-232 9600 8O1, 1200 7O1 on older ones.

Sources: SBI chapters of Cubis, EB and WZA manuals; the package ``sartorius`` for a reply of 22 characters and for
"Stat".  A command is ESC and a letter, or ESC, a letter, a digit and an underline; line ends are ignored; tare and zero
get no answer.  A blank unit says that the reading is not stable.  Where a reply of status stands in its columns, and
that the balance takes what lies on it as zero when it is switched on, is from memory.
"""

from __future__ import annotations

import math
import re
from typing import Literal

from instruments.simulation.signal import Signal
from instruments.simulation.wire import ByteDevice, SerialLine

ESC = 0x1B
CONVERSIONS_PER_S = 10
_EPS = 1e-6  # conversions
_OVERLOAD_DIGITS = 9.0
_PER_MG = {"g": (1e-3, 3), "mg": (1.0, 0), "kg": (1e-6, 6)}  # units per mg, further decimals
_LONG = frozenset(b"fksxtz")  # first letter of a command that ends with an underline
_END = ord("_")
_LONGEST = 24
_BITS_PER_CHARACTER = 11.0
_COLUMNS = 14  # of a reply, without identification and line end
_TARE_RANGE = re.compile("[TUV]")


class SartoriusBalance(ByteDevice):
    """A balance whose load cell sees ``signal``.

    Parameters
    ----------
    signal : indication of the load cell in mg, noise and drift included, before rounding and zero.
    serial, model, software : as x2_, x1_ and x3_ tell them.
    readability_mg : one digit in mg, a power of ten.
    capacity_g : weighing range.
    unit : g, mg or kg.
    characters : of a reply, line end included: 16, or 22 with an identification.
    baud, data_bits, parity : of its port; parity O, E or N.
    prints : "any" answers a request for printing at once, "stable" when the reading is.
    stable_digits : a reading is stable when it changed by at most this many digits over the last second.
    latency_s : time from the end of a command to the beginning of its reply.
    """

    boot_s = 6.0

    def __init__(
        self,
        signal: Signal,
        *,
        serial: str = "0021305679",
        model: str = "MSA225S",
        software: str = "00-37-12",
        readability_mg: float = 0.01,
        capacity_g: float = 220.0,
        unit: str = "g",
        characters: Literal[16, 22] = 22,
        baud: int = 9600,
        data_bits: int = 8,
        parity: Literal["N", "E", "O"] = "O",
        prints: Literal["any", "stable"] = "any",
        stable_digits: float = 10.0,
        latency_s: float = 0.03,
    ) -> None:
        super().__init__()
        places = -math.log10(readability_mg)
        if abs(places - round(places)) > 1e-9:
            raise ValueError(f"balance {serial}: readability {readability_mg} mg is no power of ten; take 0.01 or 0.1")
        if unit not in _PER_MG:
            raise ValueError(f'balance {serial}: unit "{unit}" is unknown; take g, mg or kg')
        if characters not in (16, 22):
            raise ValueError(f"balance {serial}: a reply has 16 or 22 characters, not {characters}")
        self.line = SerialLine(baud, data_bits, parity, 1.0)
        self.signal = signal
        self.serial, self.model, self.software = serial, model, software
        self.digit_mg = readability_mg
        self.capacity_mg = capacity_g * 1e3
        self.unit, self.characters, self.prints = unit, characters, prints
        self.stable_digits, self.latency_s = stable_digits, latency_s
        self.adjusting = False  # somebody has started its adjustment
        self.error = 0  # number of an error that it reports in the place of a weight
        self.zero_mg = 0.0
        self._decimals = max(0, round(places) + _PER_MG[unit][1])
        self._held: tuple[float, bool] | None = None
        self._zeroed_at: float | None = None
        self._forget()

    def _forget(self) -> None:
        self._command: bytearray | None = None  # since ESC
        self._tares = self._waits = False
        self._check = 0  # conversion at which a waiting command is looked at next

    # -- the wire

    def on_bytes(self, data: bytes, now: float) -> None:
        """Execute the commands that are complete; nothing counts outside of one."""
        for byte in data:
            if byte == ESC:
                self._command = bytearray()
            elif self._command is not None:
                self._command.append(byte)
                whole = byte == _END if self._command[0] in _LONG else True
                if whole or len(self._command) > _LONGEST:
                    command, self._command = self._command.decode("latin-1"), None
                    self._execute(command, now)

    def _execute(self, command: str, now: float) -> None:
        texts = {"x1_": self.model, "x2_": self.serial, "x3_": self.software}
        if command in texts:
            self._send(f"{texts[command]:>{_COLUMNS}}", now)
        elif command == "P":
            self._waits = True
        elif _TARE_RANGE.fullmatch(command):
            self._tares = True
        elif command == "S":
            self.reboot(now)
        self._check = int(now * CONVERSIONS_PER_S + _EPS)
        self._attend(now)

    def _attend(self, now: float) -> None:
        """Do what waits for the balance, if it need not wait any longer."""
        gross_mg, stable = self._load(now)
        if self._tares and stable:
            self.zero_mg += gross_mg
            self._tares = False
        if self._waits and (stable or self.prints == "any"):
            self._waits = False
            self._send(self.shown(now), now)
        self._check += 1

    def _send(self, text: str, now: float) -> None:
        line = text.encode("latin-1") + b"\r\n"
        self.emit(line, now + self.latency_s + len(line) * _BITS_PER_CHARACTER / self.line.baud)

    def next_event(self) -> float | None:
        """The next conversion, while something waits for a stable reading."""
        return self._check / CONVERSIONS_PER_S if self._tares or self._waits else None

    def on_time(self, t: float) -> None:
        """Look at one conversion."""
        self._attend(t)

    def on_reboot(self, now: float) -> None:
        """What lies on the pan is zero when it has started."""
        self._forget()
        self._held, self._zeroed_at = None, self._ready_at

    def unsolicited(self) -> bytes:
        """What the print key sends."""
        return self._columns("N", "+   0.00000 g  ").encode() + b"\r\n"

    # -- the load cell

    def _load(self, now: float) -> tuple[float, bool]:
        """Load in mg above the zero point, and whether it is stable."""
        if self._zeroed_at is not None and now >= self._zeroed_at:
            self.zero_mg, self._zeroed_at = self.signal.at(self._zeroed_at), None
        if self._held is None or not self.frozen:
            k = int(now * CONVERSIONS_PER_S + _EPS)
            load_mg = self.signal.at(k / CONVERSIONS_PER_S)
            before_mg = self.signal.at(max(0, k - CONVERSIONS_PER_S) / CONVERSIONS_PER_S)
            self._held = load_mg, abs(load_mg - before_mg) <= self.stable_digits * self.digit_mg
        return self._held[0] - self.zero_mg, self._held[1]

    def shown(self, now: float) -> str:
        """A reply without its line end."""
        net_mg, stable = self._load(now)
        state = self._state(net_mg + self.zero_mg)
        if state:
            return self._columns("Stat", f"{state:{_COLUMNS}}")
        value = round(net_mg / self.digit_mg) * self.digit_mg * _PER_MG[self.unit][0]
        sign = "-" if value < 0.0 else "+"
        return self._columns("N", f"{sign}{abs(value):9.{self._decimals}f} {self.unit if stable else '':3}")

    def _state(self, load_mg: float) -> str:
        """What stands in the place of a value; empty where there is one."""
        if self.error:
            return f"   Err  {self.error:02d}"
        if self.adjusting:
            return "      C"
        if self.saturated or load_mg > self.capacity_mg + _OVERLOAD_DIGITS * self.digit_mg:
            return "      H"
        return "      L" if load_mg < -0.01 * self.capacity_mg else ""

    def _columns(self, identification: str, text: str) -> str:
        return f"{identification:6}{text}" if self.characters == 22 else text


DEVICE = SartoriusBalance
