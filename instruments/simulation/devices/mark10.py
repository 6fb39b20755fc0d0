"""A Mark-10 digital force gauge on its USB or RS-232 port: series 4, 5 and 7, gauge control language 2.

Sources: user's guides of series 4 (9.1.3), series 5 (9.6) and model 7i (14.6).  A command ends with CR, a reply with
CR LF; a setting that is accepted gets no reply.  Compression is positive.  Series 4 knows ``?`` alone.

Not verified against a real gauge, hence parameters: conversions a second, reply latency.  Assumed: what an overloaded
gauge says (``OVER`` beyond 110 % of its capacity), that zero and unsaved settings are lost with the power.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from instruments.simulation.signal import FloatArray, Signal
from instruments.simulation.wire import LineDevice, SerialLine

OVERLOAD = 1.1  # of the capacity
PIECE = 16_384
"""Conversions that are looked through at once for a peak."""

_EPS = 1e-6  # conversions; a question at 0.02 s must find conversion 20 whatever 0.02 is in binary
_PER_N = {  # command and name in LIST: unit of a reply, units per newton
    "LBF": ("lbF", 1.0 / 4.4482216152605),
    "OZF": ("ozF", 16.0 / 4.4482216152605),
    "KGF": ("kgF", 1.0 / 9.80665),
    "GF": ("gF", 1000.0 / 9.80665),
    "N": ("N", 1.0),
    "MN": ("mN", 1000.0),
    "KN": ("kN", 0.001),
}
_OTHER_NAMES = {"LB": "LBF", "OZ": "OZF", "KG": "KGF", "G": "GF"}
_AUTO_OUTPUT = (0, 1, 2, 5, 10, 25, 50, 125, 250)
_COMMAND = re.compile(r"([A-Z?]+)(-?[\d.]*)")
_ILLEGAL, _NOT_APPLICABLE, _INVALID, _TOO_LARGE = "*10", "*11", "*12", "*22"


@dataclass(frozen=True, slots=True)
class _Setup:
    """Settings; those that were saved come back with the power."""

    unit: str = "LBF"
    mode: str = "CUR"
    displayed_filter: int = 8  # averages 2^n conversions
    current_filter: int = 1
    auto_output: int = 0  # readings a second
    auto_off_min: int = 5
    with_unit: bool = True
    inverted: int = 0
    without_sign: int = 0


class ForceGauge(LineDevice):
    """A gauge whose load cell sees ``force``.

    Parameters
    ----------
    force : force in N, compression positive, noise included, before zero and rounding.
    series : 4, 5 or 7.
    serial, model : as ``RS`` and ``RM`` report them.
    capacity_n, resolution_n : range, and one digit, a power of ten.
    unit : the unit in which it wakes, as ``LIST`` names it.
    battery : 0 full to 3 nearly empty.
    conversions_per_s : its own sample clock.
    latency_s : time from the end of a command to the end of its reply.
    """

    line = SerialLine(baud=115_200)
    boot_s = 3.0

    def __init__(
        self,
        force: Signal,
        *,
        series: int = 5,
        serial: str = "3912345",
        model: str = "M5-10",
        capacity_n: float = 50.0,
        resolution_n: float = 0.01,
        unit: str = "LBF",
        battery: int = 0,
        conversions_per_s: int = 1000,
        latency_s: float = 0.004,
    ) -> None:
        super().__init__()
        if series not in (4, 5, 7):
            raise ValueError(f"force gauge {serial}: there is no series {series}; take 4, 5 or 7")
        if unit not in _PER_N:
            raise ValueError(f"force gauge {serial}: unit {unit} is none of {', '.join(_PER_N)}")
        self.force = force
        self.series = series
        self.serial, self.model = serial, model
        self.capacity_n, self.resolution_n = capacity_n, resolution_n
        self.battery = battery
        self.conversions_per_s = conversions_per_s
        self.latency_s = latency_s
        self._saved = _Setup(unit=unit)
        self._held_n = 0.0
        self._answers: dict[str, Callable[[float], str]] = {
            "?": self._displayed, "?C": self._current, "?PT": self._peak_tension, "?PC": self._peak_compression,
            "LIST": self._list, "RN": lambda now: "Mark-10 force gauge", "RM": lambda now: self.model,
            "RV": lambda now: "1.00", "RS": lambda now: self.serial,
        }  # fmt: skip
        self._power_on(0.0)

    def _power_on(self, now: float) -> None:
        self._setup = self._saved
        self._zero_n = 0.0
        self._next_output = self._index(now)
        self._clear_peaks(now)

    # -- the wire

    def on_line(self, line: str, now: float) -> None:
        """Execute a command."""
        if reply := self._answer(line.strip(), now):
            self.emit(reply.encode("latin-1") + b"\r\n", now + self.latency_s)

    def unsolicited(self) -> bytes:
        """A reading nobody asked for, as the data key sends it."""
        return self._written(0.0).encode() + b"\r\n"

    def on_reboot(self, now: float) -> None:
        """Zero, peaks and what was not saved are gone."""
        self._power_on(now)

    def _answer(self, text: str, now: float) -> str:
        """Reply to a command; empty for a setting that is accepted."""
        if self.series == 4 and text != "?":
            return _NOT_APPLICABLE if text in ("MEM", "STA", "CLRMEM") else _ILLEGAL
        if text in self._answers:
            return self._answers[text](now)
        if text in ("?A", "?ET", "MEM", "STA"):
            return _NOT_APPLICABLE
        if text in ("Z", "CLR"):
            if text == "Z":
                self._zero_n = self._gross_n(now)
            self._clear_peaks(now)
            return ""
        if text == "SAVE":
            self._saved = self._setup
            return ""
        return self._set(text, now)

    def _set(self, text: str, now: float) -> str:
        unit = _OTHER_NAMES.get(text, text)
        if unit in _PER_N:
            self._setup = replace(self._setup, unit=unit)
        elif text in ("CUR", "PT", "PC"):
            self._setup = replace(self._setup, mode=text)
        elif text in ("FULL", "NUM"):
            self._setup = replace(self._setup, with_unit=text == "FULL")
        else:
            return self._set_number(text, now)
        return ""

    def _set_number(self, text: str, now: float) -> str:
        """A setting with a number behind its name; returns the code of an error, or nothing."""
        limits = {"FLTC": ("displayed_filter", 10), "FLTP": ("current_filter", 10), "AOFF": ("auto_off_min", 30),
                  "AOUT": ("auto_output", 250)}  # fmt: skip
        if self.series == 7:
            limits |= {"IPOL": ("inverted", 1), "OPOL": ("without_sign", 1)}
        found = _COMMAND.fullmatch(text)
        if found is None or found[1] not in limits:
            return _ILLEGAL
        name, most = limits[found[1]]
        if not found[2].isdigit():
            return _INVALID
        value = int(found[2])
        if value > most:
            return _TOO_LARGE
        if name == "auto_output":
            if value not in _AUTO_OUTPUT:
                return _INVALID
            self._next_output = math.floor(now * value + _EPS) + 1
        changed: dict[str, Any] = {name: value}
        self._setup = replace(self._setup, **changed)
        return ""

    def _list(self, now: float) -> str:
        setup = self._setup
        filters = f"FLTC{setup.displayed_filter}", f"FLTP{setup.current_filter}"
        automatic = f"AOUT{setup.auto_output:02d}", f"AOFF{setup.auto_off_min}"
        form = "FULL" if setup.with_unit else "NUM"
        fields = ["V1.00", setup.unit, setup.mode, *filters, *automatic, form, "MIT", "POL"]
        if self.series == 7:
            fields += [f"IPOL{setup.inverted}", f"OPOL{setup.without_sign}"]
        return ";".join([*fields, f"B{self.battery}"])

    # -- the load cell

    def _index(self, now: float) -> int:
        return int(now * self.conversions_per_s + _EPS)

    def _conversions(self, first: int, n: int) -> FloatArray:
        return self.force.samples(0.0, 1.0 / self.conversions_per_s, first, n)

    def _gross_n(self, now: float, averaged: int = 0) -> float:
        """Mean of the last 2^averaged conversions."""
        if not self.frozen:
            last = self._index(now)
            first = max(0, last + 1 - 2**averaged)
            taken = self._conversions(first, last + 1 - first)
            self._held_n = float(np.add.reduce(taken)) / taken.size  # what mean() gives, which takes its time over two
        return self._held_n

    def _current(self, now: float) -> str:
        return self._reading(self._gross_n(now, self._setup.current_filter))

    def _displayed(self, now: float) -> str:
        if self._setup.mode == "PT":
            return self._peak_tension(now)
        if self._setup.mode == "PC":
            return self._peak_compression(now)
        return self._reading(self._gross_n(now, self._setup.displayed_filter))

    def _reading(self, gross_n: float) -> str:
        if self.saturated or abs(gross_n) > OVERLOAD * self.capacity_n:
            return "OVER"
        return self._written(gross_n - self._zero_n)

    def _written(self, net_n: float) -> str:
        """A force in whole digits of the unit, with its sign as the settings have it."""
        setup = self._setup
        unit, per_n = _PER_N[setup.unit]
        places = _places(self.resolution_n * per_n)
        value = -net_n if setup.inverted else abs(net_n) if setup.without_sign else net_n
        text = f"{round(value * per_n, places) + 0.0:.{places}f}"
        return f"{text} {unit}" if setup.with_unit else text

    # -- peaks

    def _clear_peaks(self, now: float) -> None:
        self._peaked = self._index(now)  # conversions that were looked at
        self._tension_n = self._compression_n = 0.0

    def _look_for_peaks(self, now: float) -> None:
        """Look at every conversion since the last time."""
        end = self._index(now) + 1
        while self._peaked < end:
            n = min(PIECE, end - self._peaked)
            net = self._conversions(self._peaked, n) - self._zero_n
            self._tension_n = min(self._tension_n, float(net.min()))
            self._compression_n = max(self._compression_n, float(net.max()))
            self._peaked += n

    def _peak_tension(self, now: float) -> str:
        self._look_for_peaks(now)
        return self._written(self._tension_n)

    def _peak_compression(self, now: float) -> str:
        self._look_for_peaks(now)
        return self._written(self._compression_n)

    # -- automatic output

    def next_event(self) -> float | None:
        """The next reading of the automatic output."""
        rate = self._setup.auto_output
        return self._next_output / rate if rate else None

    def on_time(self, t: float) -> None:
        """Send one reading unasked."""
        self._next_output += 1
        self.emit(self._displayed(t).encode() + b"\r\n", t + self.latency_s)


@cache
def _places(digit: float) -> int:
    """Decimal places that show one digit."""
    return max(0, math.ceil(-math.log10(digit) - 1e-9))


DEVICE = ForceGauge
