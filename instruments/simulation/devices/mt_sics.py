"""A Mettler-Toledo laboratory balance on its serial port: MT-SICS levels 0 and 1, and of level 2 what a bench sets.

Sources: MT-SICS reference manuals for AB/MS, AX/MX/UMX and Excellence balances.  The model converts at 10 Hz, shows
whole digits, judges stability itself and executes one command at a time.  Not verified against a real balance, hence
parameters: how long `S` waits for stability, the stability criterion, the form of the ``M21`` query and of ``C0`` and
``M16``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from instruments.simulation.signal import Signal
from instruments.simulation.wire import LineDevice

CONVERSIONS_PER_S = 10
_EPS = 1e-6  # conversions; a poll at 0.3 s must find conversion 3 whatever 0.3 is in binary

_OVERLOAD_DIGITS = 9.0  # shown beyond the capacity before it counts as overload
_BEYOND_DIGITS = 100.0  # where a load cell at its stop stands

_GRAM, _MILLIGRAM = 0, 3
_UNITS = {_GRAM: ("g", 1e-3, 3), _MILLIGRAM: ("mg", 1.0, 0)}  # name, per mg, further decimals
_COMMANDS = {
    0: ("I0", "I1", "I2", "I3", "I4", "I5", "S", "SI", "SIR", "Z", "ZI", "@"),
    1: ("D", "DW", "SR", "T", "TA", "TAC", "TI"),
    2: ("C0", "I10", "I11", "M03", "M16", "M21"),
}


@dataclass(slots=True)
class _Waiting:
    """A command that waits for a stable reading."""

    command: str
    until: float
    next_check: int  # conversion index


@dataclass(slots=True)
class _Stream:
    """SIR, or SR with its state: the last stable value and whether a change from it was reported."""

    command: str
    next_conversion: int
    preset_mg: float | None = None
    stable_mg: float = 0.0
    changed: bool = False


class MtSicsBalance(LineDevice):
    """A balance whose load cell sees ``signal``.

    Parameters
    ----------
    signal : indication of the load cell in mg, noise and drift included, before rounding and tare.
    serial, model : as ``I4`` and ``I2`` report them.
    readability_mg : one digit d in mg, a power of ten; 0.01 is a semi-micro balance.
    capacity_g : weighing range; beyond capacity + 9 d the balance shows overload.
    latency_s : time from the end of a command to the end of its reply at the host.
    stable_digits : a reading is stable when it changed by at most this many digits over the last second.
    stability_timeout_s : how long S, T and Z wait before they give up with ``I``.
    auto_zero : zero tracking.  While the display is within 3 d of zero it follows the load by at most 0.5 d a
        second, and so eats a slow flow.
    auto_zero_signal : 1 while somebody has switched it on at the panel.
    """

    boot_s = 5.0

    def __init__(
        self,
        signal: Signal,
        *,
        serial: str = "B021002593",
        model: str = "XPR205",
        readability_mg: float = 0.01,
        capacity_g: float = 220.0,
        latency_s: float = 0.02,
        stable_digits: float = 10.0,
        stability_timeout_s: float = 20.0,
        auto_zero: bool = False,
        auto_zero_signal: Signal | None = None,
    ) -> None:
        super().__init__()
        places = -math.log10(readability_mg)
        if abs(places - round(places)) > 1e-9:
            raise ValueError(f"balance {serial}: readability {readability_mg} mg is no power of ten; take 0.01 or 0.1")
        self.signal = signal
        self.serial, self.model = serial, model
        self.capacity_mg = capacity_g * 1e3
        self.latency_s = latency_s
        self.stable_digits = stable_digits
        self.stability_timeout_s = stability_timeout_s
        self.auto_zero = auto_zero
        self._auto_zero_signal = auto_zero_signal
        self.digit_mg = readability_mg
        self.power_on_zero_mg = 0.0
        self._decimals_of_mg = round(places)
        self._commands: dict[str, Callable[[str, float], None]] = {
            "I0": self._list_commands, "I1": self._levels, "I2": self._balance_data, "I3": self._software,
            "I4": self._serial_number, "I5": self._software_id, "I10": self._balance_id, "I11": self._balance_type,
            "S": self._stable_weight, "SI": self._weight_now, "SIR": self._repeat, "SR": self._on_change,
            "Z": self._zero_stable, "ZI": self._zero_now, "T": self._tare_stable, "TI": self._tare_now,
            "TA": self._tare_value, "TAC": self._tare_clear, "@": self._reset, "D": self._display,
            "DW": self._display_weight, "M03": self._zero_tracking, "M16": self._sleep, "M21": self._unit,
            "C0": self._adjustment,
        }  # fmt: skip
        self._power_on()

    def _power_on(self) -> None:
        self.zero_mg = self.power_on_zero_mg
        self.tare_mg = 0.0
        self._busy_until = -math.inf
        self._waiting: _Waiting | None = None
        self._stream: _Stream | None = None
        self._tracked_to: int | None = None
        self._converted, self._value_mg, self._stable = -1, 0.0, False
        self._host_unit = _GRAM
        self._set_unit(_GRAM)

    # -- the wire

    def write(self, data: bytes, now: float) -> None:
        """Take bytes from the host; the short path of the command that a bench repeats all day."""
        if (
            data == b"SI\r\n"
            and self._waiting is None
            and self._stream is None
            and self.misbehaviour is None
            and now >= self._busy_until
            and now >= self._ready_at
            and not self._heard
        ):
            self._busy_until = now + self.latency_s
            self._weight_now("", now)
        else:
            super().write(data, now)

    def on_line(self, line: str, now: float) -> None:
        """Execute a command."""
        name, _, rest = line.partition(" ")
        if name == "@":
            self._reset(rest, now)
            return
        if now < self._busy_until:
            return  # sent ahead: the balance is not listening yet
        command = self._commands.get(name)
        if command is None:
            self._send("ES", now)
        elif self._waiting is not None:
            self._send(f"{name} I", now)
        else:
            if name in ("S", "SI", "SIR", "SR"):
                self._stream = None
            self._busy_until = now + self.latency_s
            command(rest.strip(), now)

    def _send(self, text: str, now: float) -> None:
        self.emit(text.encode("latin-1") + b"\r\n", now + self.latency_s)

    def boot_text(self) -> bytes:
        """The balance reports its serial number when it has started."""
        return f'I4 A "{self.serial}"\r\n'.encode()

    def unsolicited(self) -> bytes:
        """A weight nobody asked for, as the print key sends it."""
        return b"S S     0.00000 g\r\n" if self._host_unit == _GRAM else b"S S        0.00 mg\r\n"

    def on_reboot(self, now: float) -> None:
        """Tare, zero point and unit do not survive."""
        self._power_on()

    # -- the load cell

    def _reading(self, now: float) -> tuple[float, bool]:
        """Gross load in mg above the zero point and whether it is stable."""
        if self.saturated:
            return self.capacity_mg + _BEYOND_DIGITS * self.digit_mg, True
        if not self.frozen or self._converted < 0:
            k = int(now * CONVERSIONS_PER_S + _EPS)
            before = max(0, k - CONVERSIONS_PER_S)
            if self._converted == before:
                second_ago = self._value_mg
            else:
                second_ago = self.signal.at(before / CONVERSIONS_PER_S)
            self._value_mg = self.signal.at(k / CONVERSIONS_PER_S)
            self._converted = k
            self._stable = abs(self._value_mg - second_ago) <= self.stable_digits * self.digit_mg
            if self._tracks_zero(now):
                self._track_zero(k)
        return self._value_mg - self.zero_mg, self._stable

    def _tracks_zero(self, now: float) -> bool:
        """Whether automatic zero is on, by its setting or because somebody switched it on at the panel."""
        switched = self._auto_zero_signal
        return self.auto_zero or (switched is not None and switched.at(now) >= 0.5)

    def _track_zero(self, k: int) -> None:
        """Let the zero point follow a load that creeps near zero, once a second since the last reading."""
        d = self.digit_mg
        if self._tracked_to is None:
            self._tracked_to = k
        for second in range(self._tracked_to + CONVERSIONS_PER_S, k + 1, CONVERSIONS_PER_S):
            shown = self.signal.at(second / CONVERSIONS_PER_S) - self.zero_mg - self.tare_mg
            if abs(shown) <= 3.0 * d:
                self.zero_mg += max(-0.5 * d, min(0.5 * d, shown))
            self._tracked_to = second

    def _range(self, gross_mg: float) -> str:
        """``+`` or ``-`` outside the weighing range, empty inside."""
        if gross_mg > self.capacity_mg + _OVERLOAD_DIGITS * self.digit_mg:
            return "+"
        return "-" if gross_mg < -0.01 * self.capacity_mg else ""

    def _set_unit(self, unit: int) -> None:
        self._host_unit = unit
        self._unit_name, per_mg, further = _UNITS[unit]
        self._decimals = max(0, self._decimals_of_mg + further)
        self._shown_digit = self.digit_mg * per_mg
        self._suffix = f" {self._unit_name}"

    def _shown(self, mg: float) -> str:
        """Value in whole digits, right-aligned in ten characters, and its unit."""
        digits = round(mg / self.digit_mg)
        return f"{digits * self._shown_digit:10.{self._decimals}f}{self._suffix}"

    # -- weighing

    def _weight_now(self, rest: str, now: float) -> None:
        if rest:
            self._send("ES", now)
            return
        gross, stable = self._reading(now)
        self._send(self._weight_line(gross, stable), now)

    def _weight_line(self, gross: float, stable: bool) -> str:
        outside = self._range(gross)
        if outside:
            return f"S {outside}"
        return f"S {'S' if stable else 'D'} {self._shown(gross - self.tare_mg)}"

    def _stable_weight(self, rest: str, now: float) -> None:
        self._await("S", rest, now)

    def _zero_stable(self, rest: str, now: float) -> None:
        self._await("Z", rest, now)

    def _tare_stable(self, rest: str, now: float) -> None:
        self._await("T", rest, now)

    def _await(self, command: str, rest: str, now: float) -> None:
        """Answer as soon as the reading is stable, or ``I`` when it does not become so."""
        if rest:
            self._send("ES", now)
            return
        first = int(now * CONVERSIONS_PER_S + _EPS)
        self._waiting = _Waiting(command, now + self.stability_timeout_s, first)
        if self._settled(now):
            return
        self._waiting.next_check = first + 1

    def _settled(self, now: float) -> bool:
        """Finish the waiting command if the reading is stable now or its time is over."""
        assert self._waiting is not None
        command = self._waiting.command
        gross, stable = self._reading(now)
        outside = self._range(gross)
        if not stable and not outside and now < self._waiting.until:
            return False
        self._waiting = None
        if not stable and not outside:
            self._send(f"{command} I", now)
        elif outside:
            self._send(f"{command} {outside}", now)
        elif command == "S":
            self._send(self._weight_line(gross, stable), now)
        elif command == "Z":
            self._send(f"Z {self._set_zero(gross) or 'A'}", now)
        else:
            self._send(self._tare_line("T", gross, stable), now)
        return True

    def _zero_now(self, rest: str, now: float) -> None:
        gross, stable = self._reading(now)
        self._send(f"ZI {self._range(gross) or self._set_zero(gross) or ('S' if stable else 'D')}", now)

    def _set_zero(self, gross: float) -> str:
        """Take the load as zero unless it is outside the zero range of 2 % of the capacity."""
        zero = self.zero_mg + gross
        if abs(zero - self.power_on_zero_mg) > 0.02 * self.capacity_mg:
            return "+" if zero > self.power_on_zero_mg else "-"
        self.zero_mg = zero
        self.tare_mg = 0.0
        return ""

    def _tare_now(self, rest: str, now: float) -> None:
        gross, stable = self._reading(now)
        self._send(self._tare_line("TI", gross, stable), now)

    def _tare_line(self, command: str, gross: float, stable: bool) -> str:
        outside = self._range(gross)
        if outside:
            return f"{command} {outside}"
        if gross < -0.5 * self.digit_mg:
            return f"{command} -"
        self.tare_mg = round(gross / self.digit_mg) * self.digit_mg
        return f"{command} {'S' if stable else 'D'} {self._shown(self.tare_mg)}"

    def _tare_value(self, rest: str, now: float) -> None:
        if rest:
            value, _, unit = rest.partition(" ")
            scale = {"g": 1e3, "mg": 1.0}.get(unit.strip())
            try:
                tare = float(value) * scale if scale else -1.0
            except ValueError:
                tare = -1.0
            if not 0.0 <= tare <= self.capacity_mg:
                self._send("TA L", now)
                return
            self.tare_mg = round(tare / self.digit_mg) * self.digit_mg
        self._send(f"TA A {self._shown(self.tare_mg)}", now)

    def _tare_clear(self, rest: str, now: float) -> None:
        self.tare_mg = 0.0
        self._send("TAC A", now)

    # -- streaming

    def _repeat(self, rest: str, now: float) -> None:
        self._stream = _Stream("SIR", int(now * CONVERSIONS_PER_S + _EPS))
        self._step_stream(now)

    def _on_change(self, rest: str, now: float) -> None:
        preset = None
        if rest:
            value, _, unit = rest.partition(" ")
            scale = {"g": 1e3, "mg": 1.0}.get(unit.strip())
            try:
                preset = float(value) * (scale or math.nan)
            except ValueError:
                preset = math.nan
            if not preset >= self.digit_mg:
                self._send("SR L", now)
                return
        self._stream = _Stream("SR", int(now * CONVERSIONS_PER_S + _EPS), preset, math.nan, changed=True)
        self._step_stream(now)

    def _step_stream(self, now: float) -> None:
        """One conversion of a running SIR or SR."""
        stream = self._stream
        assert stream is not None
        stream.next_conversion += 1
        gross, stable = self._reading(now)
        if stream.command == "SIR":
            self._send(self._weight_line(gross, stable), now)
            return
        preset = stream.preset_mg
        if preset is None:  # 12.5 % of the last stable value, at least 30 digits
            preset = max(30.0 * self.digit_mg, 0.125 * abs(stream.stable_mg))
        if stream.changed and stable:
            stream.stable_mg, stream.changed = gross, False
            self._send(self._weight_line(gross, stable), now)
        elif not stream.changed and abs(gross - stream.stable_mg) >= preset:
            stream.changed = True
            self._send(self._weight_line(gross, stable=False), now)

    def next_event(self) -> float | None:
        """The next conversion, while a command waits or a stream runs."""
        if self._waiting is not None:
            return self._waiting.next_check / CONVERSIONS_PER_S
        if self._stream is not None:
            return self._stream.next_conversion / CONVERSIONS_PER_S
        return None

    def on_time(self, t: float) -> None:
        """Look at one conversion."""
        if self._waiting is not None:
            self._waiting.next_check += 1
            self._settled(t)
        elif self._stream is not None:
            self._step_stream(t)

    def clear(self, now: float) -> None:
        """Drop what is pending."""
        super().clear(now)
        self._waiting = self._stream = None
        self._heard = b""

    # -- identification and settings

    def _reset(self, rest: str, now: float) -> None:
        """``@``: drop what is pending, and the tare; the zero point stays."""
        self._waiting = self._stream = None
        self.tare_mg = 0.0
        self._out.clear()
        self._send(f'I4 A "{self.serial}"', now)

    def _list_commands(self, rest: str, now: float) -> None:
        entries = [(level, name) for level, names in _COMMANDS.items() for name in names]
        for number, (level, name) in enumerate(entries, 1):
            self._send(f'I0 {"A" if number == len(entries) else "B"} {level} "{name}"', now)

    def _levels(self, rest: str, now: float) -> None:
        self._send('I1 A "012" "2.30" "2.20" "1.00" ""', now)

    def _balance_data(self, rest: str, now: float) -> None:
        capacity_g = (self.capacity_mg + _OVERLOAD_DIGITS * self.digit_mg) * 1e-3
        self._send(f'I2 A "{self.model} Excellence {capacity_g:.{self._decimals_of_mg + 3}f} g"', now)

    def _software(self, rest: str, now: float) -> None:
        self._send('I3 A "2.10 10.28.0.493.142"', now)

    def _serial_number(self, rest: str, now: float) -> None:
        self._send(f'I4 A "{self.serial}"', now)

    def _software_id(self, rest: str, now: float) -> None:
        self._send('I5 A "12121306C"', now)

    def _balance_id(self, rest: str, now: float) -> None:
        self._send('I10 A "simulated"', now)

    def _balance_type(self, rest: str, now: float) -> None:
        self._send(f'I11 A "{self.model}"', now)

    def _display(self, rest: str, now: float) -> None:
        quoted = len(rest) >= 2 and rest[0] == rest[-1] == '"'
        self._send("D A" if quoted else "D L", now)

    def _display_weight(self, rest: str, now: float) -> None:
        self._send("DW A", now)

    def _zero_tracking(self, rest: str, now: float) -> None:
        """``M03`` reads or sets automatic zero."""
        if not rest:
            self._send(f"M03 A {int(self._tracks_zero(now))}", now)
        elif rest in ("0", "1"):
            self.auto_zero = rest == "1"
            self._tracked_to = None
            self._send("M03 A", now)
        else:
            self._send("M03 L", now)

    def _sleep(self, rest: str, now: float) -> None:
        """``M16`` reads the sleep mode: off, and not to be switched on here."""
        self._send("M16 A 0" if not rest else "M16 A" if rest == "0" else "M16 L", now)

    def _adjustment(self, rest: str, now: float) -> None:
        """``C0`` reads the adjustment setting: manual, with the internal weight."""
        self._send('C0 A 0 0 ""' if not rest else "C0 A" if rest == "0 0" else "C0 L", now)

    def _unit(self, rest: str, now: float) -> None:
        """``M21 0 u`` sets the unit of the host interface: g or mg."""
        if not rest:
            self._send(f"M21 B 0 {self._host_unit}", now)
            self._send("M21 A 1 0", now)
            return
        target, _, unit = rest.partition(" ")
        if target == "0" and unit in ("0", "3"):
            self._set_unit(int(unit))
            self._send("M21 A", now)
        elif target == "1" and unit == "0":
            self._send("M21 A", now)
        else:
            self._send("M21 L", now)


DEVICE = MtSicsBalance
