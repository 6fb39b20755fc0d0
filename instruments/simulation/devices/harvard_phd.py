"""A Harvard PHD Ultra or Elite 11 syringe pump on its RS-232 or USB port: pump chain commands.

Sources: user's guide 5419-002 of the PHD Ultra (pump chain commands, ``status``); the packages ``flowchem`` and
``python-syringe-pump`` for the form of replies and for poll mode.  A command ends with CR and may be cut to its first
four letters; "@" before it leaves the display alone, an address before it picks a pump of a chain.  A reply begins with
LF, its lines end with CR LF, and the prompt stands last, without a line end: ":" idle, ">" infusing, "<" withdrawing,
"*" stalled, "T*" target reached.  In poll mode XON (11h) follows; else the pump also tells by itself when it stops.

Not verified against a real pump.  ``status`` has its time in s, as the manual says (some programs take it as ms).
Assumed: that the volume counts towards the target since it was cleared, what the prompt is after a stop, that echo
repeats the line, that counts are lost with the power and settings only where NVRAM was off.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from instruments.simulation.signal import Actuator, Signal
from instruments.simulation.syringe_pump import CHECKS_PER_S, SyringePump
from instruments.simulation.wire import SerialLine

XON = b"\x11"
FASTEST_MM_PER_MIN, SLOWEST_MM_PER_MIN = 190.8, 0.18e-3
_LONGEST = 80

_VOLUMES_UL = {"pl": 1e-6, "nl": 1e-3, "ul": 1.0, "ml": 1e3}
_SECONDS = {"hr": 3600.0, "min": 60.0, "sec": 1.0}
_LETTERS = {"p": "pl", "n": "nl", "u": "ul", "m": "ml"}
_FL_PER_UL = 1e9
_NUMBER = re.compile(r"\d{1,7}\.?\d{0,7}|\.\d{1,7}")
_LINE = re.compile(r"@?(?:(\d{1,2}):?)?\s*([a-z]*)\s*(.*?)\s*")


class CommandError(Exception):
    """A command that the pump refuses, in its words."""


@dataclass(frozen=True, slots=True)
class _Motion:
    """The plunger at one rate until a moment."""

    start_s: float
    ul_per_s: float
    sign: int
    end_s: float

    def moved_ul(self, t: float) -> float:
        return self.ul_per_s * (max(self.start_s, min(t, self.end_s)) - self.start_s)


class PhdPump(SyringePump):
    """A pump that moves ``plunger``.

    Parameters
    ----------
    plunger, pressure : as every syringe pump has them.
    force_limit_n : force on the plunger at which it stalls with ``force`` at 100 %.
    address : in a pump chain, 0 to 99; 0 is not told in replies.
    diameter_mm : the syringe that is set when it is switched on.
    model, serial, firmware : as ``ver`` and ``version`` tell them.
    echo, poll : how it is set when it is switched on.
    latency_s : time from the end of a command to the end of its reply.
    """

    line = SerialLine(baud=115_200)
    boot_s = 3.0

    def __init__(
        self,
        plunger: Actuator,
        *,
        pressure: Signal | None = None,
        force_limit_n: float = 222.0,
        address: int = 0,
        diameter_mm: float = 26.59,
        model: str = "PHD ULTRA I/W",
        serial: str = "D103792",
        firmware: str = "3.0.7",
        echo: bool = False,
        poll: bool = False,
        latency_s: float = 0.01,
    ) -> None:
        super().__init__(plunger, pressure, force_limit_n, address)
        self.diameter_mm = diameter_mm
        self.model, self.serial, self.firmware = model, serial, firmware
        self.latency_s = latency_s
        self._wakes_with = echo, poll
        self._rates = {1: "0 ml/min", -1: "0 ml/min"}  # as they were set
        self._force_percent, self._date = 100, "01/01/20 00:00:00"
        self._motion: _Motion | None = None
        self._commands: dict[str, Callable[[str, float], list[str]]] = {
            "": lambda rest, now: [], "ver": self._ver, "version": self._version, "status": self._status,
            "address": lambda rest, now: [f"Pump address is {self.address}"], "diameter": self._diameter,
            "irate": lambda rest, now: self._rate(1, rest, now), "wrate": lambda rest, now: self._rate(-1, rest, now),
            "crate": self._current_rate, "tvolume": self._target,
            "ivolume": lambda rest, now: self._volume(1, rest, now),
            "wvolume": lambda rest, now: self._volume(-1, rest, now),
            "civolume": lambda rest, now: self._clear((1,)), "cwvolume": lambda rest, now: self._clear((-1,)),
            "cvolume": lambda rest, now: self._clear((1, -1)), "ctvolume": self._clear_target,
            "irun": lambda rest, now: self._run(1, now), "wrun": lambda rest, now: self._run(-1, now),
            "run": lambda rest, now: self._run(self._sign, now), "rrun": lambda rest, now: self._run(-self._sign, now),
            "stp": self._stop, "stop": self._stop, "force": self._force, "poll": self._poll_mode,
            "echo": self._echo_mode, "nvram": self._nvram, "load": self._load,
            "time": self._time, "dim": lambda rest, now: [],
        }  # fmt: skip
        self._names = {name[:4]: name for name in reversed(self._commands)} | {name: name for name in self._commands}
        self._forget()

    def _forget(self) -> None:
        self.echo, self.poll = self._wakes_with
        self._line = ""
        self._prompt = ":"
        self._motion = None
        self._sign = 1
        self._counted_ul = {1: 0.0, -1: 0.0}
        self._run_s = {1: 0.0, -1: 0.0}
        self._target_ul: float | None = None
        self._check = 0  # index of the next look at the force
        self._held = ""

    # -- the wire

    def on_bytes(self, data: bytes, now: float) -> None:
        """Execute the lines that are complete."""
        for byte in data:
            if byte == 0x0D:
                line, self._line = self._line, ""
                self._execute(line, now)
            elif 0x20 <= byte < 0x7F:
                self._line = (self._line + chr(byte).lower())[-_LONGEST:]

    def _execute(self, line: str, now: float) -> None:
        found = _LINE.fullmatch(line)
        if found is None or int(found[1] or 0) != self.address:
            return
        try:
            name = self._names.get(found[2])
            if name is None:
                raise CommandError(f"Command error: {found[2]}")
            lines = self.on_command(name, found[3], now)
        except CommandError as error:
            lines = [str(error)]
        self._reply([line, *lines] if self.echo else lines, now)

    def on_command(self, name: str, rest: str, now: float) -> list[str]:
        """Execute one command; returns the lines of its reply."""
        return self._commands[name](rest, now)

    def _reply(self, lines: list[str], now: float) -> None:
        address = f"{self.address:02d}" if self.address else ""
        beginning = f"{address}{self._prompt}" if address else ""
        text = "\n" + "".join(f"{beginning}{line}\r\n" for line in lines) + address + self._prompt
        self.emit(text.encode("latin-1") + (XON if self.poll else b""), now + self.latency_s)

    def unsolicited(self) -> bytes:
        """An empty reply, as a key at the panel may bring one."""
        return b"\n:" + (XON if self.poll else b"")

    def on_reboot(self, now: float) -> None:
        """The motor stops, counts and target are lost."""
        self._halt(now, ":")
        self._forget()

    # -- time

    def next_event(self) -> float | None:
        """The target, the next look at the force."""
        motion = self._motion
        if motion is None:
            return None
        first = motion.end_s if self.pressure is None else min(motion.end_s, self._check / CHECKS_PER_S)
        return first if first < math.inf else None

    def on_time(self, t: float) -> None:
        """Stop at the target, or by a force that is too large; out of poll mode the pump says so."""
        motion = self._motion
        assert motion is not None
        if motion.end_s <= t:
            self._halt(t, "T*")
        else:
            self._check += 1
            assert self.pressure is not None
            force_n = motion.sign * self.pressure.at(t) * self._area_mm2() * 1e-3
            if force_n <= self.force_limit_n * self._force_percent / 100.0:
                return
            self._halt(t, "*")
        if not self.poll:
            self._reply([], t)

    # -- the motor

    def _area_mm2(self) -> float:
        return math.pi / 4.0 * self.diameter_mm**2

    def moved_ul(self, sign: int, now: float) -> float:
        """Volume infused (1) or withdrawn (-1) since it was cleared."""
        motion = self._motion
        return self._counted_ul[sign] + (motion.moved_ul(now) if motion is not None and motion.sign == sign else 0.0)

    def _run(self, sign: int, now: float) -> list[str]:
        if self._motion is not None:
            raise CommandError("Command error: pump is running")
        ul_per_s = _ul_per_s(self._rates[sign])
        if ul_per_s <= 0.0:
            raise CommandError("Command error: rate not set")
        left_ul = math.inf if self._target_ul is None else self._target_ul - self._counted_ul[sign]
        if left_ul <= 0.0:
            raise CommandError("Command error: target reached")
        self._sign = sign
        self._motion = _Motion(now, ul_per_s, sign, now + left_ul / ul_per_s)
        self._prompt = ">" if sign > 0 else "<"
        self._check = math.floor(now * CHECKS_PER_S) + 1
        self._drive(sign * ul_per_s * 3600.0, now, self._motion.end_s)
        return []

    def _halt(self, t: float, prompt: str) -> None:
        """Stop the motor and count what it moved."""
        motion = self._motion
        if motion is None:
            return
        self._counted_ul[motion.sign] += motion.moved_ul(t)
        self._run_s[motion.sign] += min(t, motion.end_s) - motion.start_s
        self._motion, self._prompt = None, prompt
        self._drive(0.0, t, math.inf)

    def _stop(self, rest: str, now: float) -> list[str]:
        self._halt(now, ":")
        self._prompt = ":"
        return []

    # -- commands

    def _standing(self) -> None:
        if self._motion is not None:
            raise CommandError("Command error: pump is running")

    def _ver(self, rest: str, now: float) -> list[str]:
        return [f"{self.model} {self.firmware}"]

    def _version(self, rest: str, now: float) -> list[str]:
        return [f"Firmware:      v{self.firmware}", f"Pump address:  {self.address}", f"Serial number: {self.serial}"]

    def _status(self, rest: str, now: float) -> list[str]:
        """Rate in fL/s, time in s and volume in fL of the present direction, and the flags."""
        if not self.frozen or not self._held:
            sign = self._sign
            motion = self._motion
            rate = 0.0 if motion is None else motion.ul_per_s
            run_s = self._run_s[sign] + (0.0 if motion is None else now - motion.start_s)
            letter = "i" if sign > 0 else "w"
            flags = f"{letter}.{'S' if self._prompt == '*' else '.'}.{letter.upper()}"
            volume_fl = round(self.moved_ul(sign, now) * _FL_PER_UL)
            self._held = f"{round(rate * _FL_PER_UL)} {round(run_s)} {volume_fl} {flags}"
        return [self._held]

    def _diameter(self, rest: str, now: float) -> list[str]:
        if not rest:
            return [f"{self.diameter_mm:.4f} mm"]
        self._standing()
        value = _number(rest.removesuffix("mm").strip())
        if not 0.1 <= value <= 60.0:
            raise CommandError(f"Argument error: {rest}\r\n   Out of range")
        self.diameter_mm = value
        return []

    def _rate(self, sign: int, rest: str, now: float) -> list[str]:
        fastest, slowest = (mm * self._area_mm2() for mm in (FASTEST_MM_PER_MIN, SLOWEST_MM_PER_MIN))  # µL/min
        if not rest:
            return [self._rates[sign]]
        if rest == "lim":
            return [f"{slowest * 1e3:.4f} nl/min to {fastest * 1e-3:.4f} ml/min"]
        self._standing()
        if rest in ("max", "min"):
            rest = f"{fastest if rest == 'max' else slowest:.4f} ul/min"
        value, _, unit = rest.partition(" ")
        volume, _, time = unit.strip().partition("/")
        volume, time = _LETTERS.get(volume, volume), {"h": "hr", "m": "min", "s": "sec"}.get(time, time)
        if volume not in _VOLUMES_UL or time not in _SECONDS:
            raise CommandError(f"Argument error: {rest}")
        number = _number(value)
        if not slowest <= number * _VOLUMES_UL[volume] / _SECONDS[time] * 60.0 <= fastest:
            raise CommandError(f"Argument error: {rest}\r\n   Out of range")
        self._rates[sign] = f"{number:.7g} {volume}/{time}"
        return []

    def _current_rate(self, rest: str, now: float) -> list[str]:
        if self._motion is None:
            return []
        verb = "Infusing" if self._motion.sign > 0 else "Withdrawing"
        return [f"{verb} at {self._rates[self._motion.sign]}"]

    def _volume(self, sign: int, rest: str, now: float) -> list[str]:
        if rest:
            raise CommandError(f"Argument error: {rest}")
        return [_shown(self.moved_ul(sign, now))]

    def _clear(self, signs: tuple[int, ...]) -> list[str]:
        self._standing()
        for sign in signs:
            self._counted_ul[sign] = self._run_s[sign] = 0.0
        self._prompt = ":"
        return []

    def _target(self, rest: str, now: float) -> list[str]:
        if not rest:
            return ["Target volume not set" if self._target_ul is None else _shown(self._target_ul)]
        self._standing()
        value, _, unit = rest.partition(" ")
        unit = _LETTERS.get(unit.strip(), unit.strip())
        if unit not in _VOLUMES_UL:
            raise CommandError(f"Argument error: {rest}")
        self._target_ul = _number(value) * _VOLUMES_UL[unit]
        self._prompt = ":"
        return []

    def _clear_target(self, rest: str, now: float) -> list[str]:
        self._standing()
        self._target_ul, self._prompt = None, ":"
        return []

    def _force(self, rest: str, now: float) -> list[str]:
        if not rest:
            return [f"{self._force_percent}%"]
        if not rest.rstrip("%").isdigit() or not 1 <= int(rest.rstrip("%")) <= 100:
            raise CommandError(f"Argument error: {rest}\r\n   Out of range")
        self._force_percent = int(rest.rstrip("%"))
        return []

    def _poll_mode(self, rest: str, now: float) -> list[str]:
        if rest:
            self.poll = _is_on(rest)
            return []
        return [f"Poll mode is {'ON' if self.poll else 'OFF'}"]

    def _echo_mode(self, rest: str, now: float) -> list[str]:
        if rest:
            self.echo = _is_on(rest)
            return []
        return [f"Echo is {'ON' if self.echo else 'OFF'}"]

    def _time(self, rest: str, now: float) -> list[str]:
        self._date = rest or self._date
        return [self._date]

    def _nvram(self, rest: str, now: float) -> list[str]:
        if rest not in ("on", "off", "none"):
            raise CommandError(f"Argument error: {rest}")
        return []

    def _load(self, rest: str, now: float) -> list[str]:
        if rest not in ("", "qs i", "qs w", "qs iw", "qs wi"):
            raise CommandError(f"Argument error: {rest}")
        return [] if rest else ["Quick Start Infuse/Withdraw"]


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise CommandError(f"Argument error: {text}")
    return float(text)


def _is_on(text: str) -> bool:
    if text not in ("on", "off"):
        raise CommandError(f"Argument error: {text}")
    return text == "on"


def _ul_per_s(rate: str) -> float:
    value, _, unit = rate.partition(" ")
    volume, _, time = unit.partition("/")
    return float(value) * _VOLUMES_UL[volume] / _SECONDS[time]


def _shown(volume_ul: float) -> str:
    """A volume in the unit that suits it."""
    unit = "ml" if volume_ul >= 1000.0 else "ul" if volume_ul >= 1.0 or volume_ul == 0.0 else "nl"
    return f"{volume_ul / _VOLUMES_UL[unit]:.4f} {unit}"


DEVICE = PhdPump
