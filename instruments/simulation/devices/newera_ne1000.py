"""A New Era NE-1000 syringe pump on its RS-232 port: basic and safe communications mode, pumping program, alarms.

Sources: NE-1000 user manual (publication 1200-01), section 10 and the command summary; NESP-Lib.  A stepper motor turns
the lead screw, so the volume is counted in steps and the rate is one step every whole number of ticks of a timer.

Not verified against a real pump, hence parameters: advance of a step, the tick, stall force, reply latency, and whether
a pump in basic mode understands packets too (NESP-Lib relies on it).  From memory of the manual: counts are lost with
the power and run over after 9999 units, `STP` is not applicable to a stopped pump, a count is shown rounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from instruments.simulation.devices.newera.program import PHASES, Memory, Motion, Phase
from instruments.simulation.devices.newera.wording import ETX, STX, CommandError, number, packet, shown, whole
from instruments.simulation.signal import Actuator, Signal
from instruments.simulation.syringe_pump import CHECKS_PER_S, SyringePump
from instruments.simulation.wire import SerialLine

CR = 0x0D
INTER_BYTE_S = 0.5
"""A packet whose next byte comes later than this is dropped."""

FASTEST_MM_PER_MIN = 51.005
SLOWEST_UM_PER_H = 42.05

_RATES_UL_PER_S = {"UH": 1.0 / 3600.0, "UM": 1.0 / 60.0, "MH": 1000.0 / 3600.0, "MM": 1000.0 / 60.0}
_VOLUMES_UL = {"UL": 1.0, "ML": 1000.0}
_DIRECTIONS = {"INF": 1, "WDR": -1}
_RUNS_OVER = 10_000.0
_LARGEST_FOR_UL_MM = 14.0  # default volume unit: uL up to this diameter, mL above
_COMMAND = re.compile(r"(\d{0,2})([A-Z]*)(.*)")


class Ne1000(SyringePump):
    """A pump that moves ``plunger``.

    Parameters
    ----------
    plunger, pressure, force_limit_n, address : as every syringe pump has them.
    diameter_mm : the syringe that is set when it is switched on.
    safe_timeout_s : 0 for basic mode, else it wakes in safe mode with this time-out.
    restarts_after_power_failure : goes on pumping after a loss of power (``PF``).
    packets_in_basic_mode : understands packets in basic mode as well.
    latency_s : time from the end of a command to the end of its reply.
    step_um : advance of the plunger with one step.
    tick_us : a step is made every whole number of these.
    """

    line = SerialLine(baud=19_200)
    boot_s = 1.5

    def __init__(
        self,
        plunger: Actuator,
        *,
        pressure: Signal | None = None,
        force_limit_n: float = 155.0,
        address: int = 0,
        diameter_mm: float = 26.59,
        safe_timeout_s: int = 0,
        restarts_after_power_failure: bool = False,
        packets_in_basic_mode: bool = True,
        latency_s: float = 0.015,
        step_um: float = 0.2126,
        tick_us: float = 1.0,
    ) -> None:
        super().__init__(plunger, pressure, force_limit_n, address)
        self.packets_in_basic_mode = packets_in_basic_mode
        self.latency_s = latency_s
        self.step_um = step_um
        self.tick_s = tick_us * 1e-6
        self._memory = Memory(diameter_mm, safe_timeout_s, restarts_after_power_failure)
        self._memory.volume_unit = _default_unit(diameter_mm)
        self._commands: dict[str, Callable[[str, float], str]] = {
            "": lambda rest, now: "", "DIA": self._diameter, "PHN": self._phase_number, "FUN": self._function,
            "RAT": self._rate, "VOL": self._volume, "DIR": self._direction, "RUN": self._run, "STP": self._stop,
            "DIS": self._dispensed, "CLD": self._clear, "SAF": self._safe_mode, "PF": self._power_failure,
            "VER": lambda rest, now: "NE1000V3.928",
        }  # fmt: skip
        self._names = sorted(self._commands, key=len, reverse=True)
        self._forget()

    def _forget(self) -> None:
        self._line = ""
        self._packet = bytearray()
        self._byte_at = -math.inf
        self._status = "S"
        self._alarm = ""
        self._motion: Motion | None = None
        self._left: int | None = None  # steps left of a paused phase, None without an end
        self._phase = 0  # being executed
        self._selected = 0
        self._moved_ul = {1: 0.0, -1: 0.0}
        self._check = 0  # index of the next look at the force
        self._silent_at: float | None = None  # when the time-out elapses
        self._restart_at: float | None = None
        self._held = ""

    # -- the wire

    def on_bytes(self, data: bytes, now: float) -> None:
        """Take bytes: packets, and in basic mode lines that end with CR, stripped of blanks and control characters."""
        if self._packet and now - self._byte_at > INTER_BYTE_S:
            self._packet.clear()
        self._byte_at = now
        for byte in data:
            safe = self._memory.safe_timeout_s > 0
            if self._packet or (byte == STX and (safe or self.packets_in_basic_mode)):
                self._packet.append(byte)
                self._take_packet(now)
            elif safe:
                continue  # nothing counts outside a packet
            elif byte == CR:
                line, self._line = self._line, ""
                self._execute(line, now)
            elif 0x20 < byte < 0x7F:
                self._line = (self._line + chr(byte).upper())[-80:]

    def _take_packet(self, now: float) -> None:
        """Execute the packet if it is complete; one that is damaged is answered ``?COM``."""
        received = self._packet
        if len(received) < 2 or len(received) <= max(received[1], 4):
            return
        whole, text = bytes(received), bytes(received[2:-3])
        received.clear()
        if whole != packet(text):
            self._reply("?COM", now)
            return
        if self._memory.safe_timeout_s:
            self._silent_at = now + self._memory.safe_timeout_s
        self._execute(text.decode("latin-1").upper(), now)

    def _execute(self, text: str, now: float) -> None:
        """Execute a command that is meant for this pump; a pending alarm is reported instead, once."""
        match = _COMMAND.fullmatch("".join(text.split()))
        if match is None or int(match[1] or 0) != self.address:
            return
        data = ""
        if not self._alarm:
            words = match[2] + match[3]
            name = next((name for name in self._names if words.startswith(name)), "")
            try:
                if words and not name:
                    raise CommandError  # not recognised: the question mark alone
                data = self.on_command(name, words[len(name) :], now)
            except CommandError as error:
                data = f"?{error}"
        if self._alarm:  # also one that the command itself has raised
            alarm, self._alarm = self._alarm, ""
            self._send(f"A?{alarm}", now)
        else:
            self._reply(data, now)

    def on_command(self, name: str, rest: str, now: float) -> str:
        """Execute one command; returns the data of its reply."""
        return self._commands[name](rest, now)

    def _reply(self, data: str, now: float) -> None:
        self._send(self._status + data, now)

    def _send(self, text: str, now: float) -> None:
        self.emit(self._framed(f"{self.address:02d}{text}"), now + self.latency_s)

    def _framed(self, text: str) -> bytes:
        body = text.encode("latin-1")
        return packet(body) if self._memory.safe_timeout_s else bytes((STX,)) + body + bytes((ETX,))

    def unsolicited(self) -> bytes:
        """The alarm of another pump on the same line."""
        return self._framed(f"{(self.address + 1) % 100:02d}A?S")

    def on_reboot(self, now: float) -> None:
        """The motor stops, counts are lost; settings, mode and program stay."""
        was_moving = self._motion is not None
        self._halt(now)
        self._forget()
        self._alarm = "R"
        if was_moving and self._memory.restarts:
            self._restart_at = self._ready_at

    def boot_text(self) -> bytes:
        """In safe mode it reports the reset by itself."""
        return self._framed(f"{self.address:02d}A?R") if self._memory.safe_timeout_s else b""

    # -- time

    def next_event(self) -> float | None:
        """End of the volume, next look at the force, end of the time-out, restart after a loss of power."""
        moments = [t for t in (self._silent_at, self._restart_at) if t is not None]
        if self._motion is not None:
            moments.append(self._motion.end_s())
            if self.pressure is not None:
                moments.append(self._check / CHECKS_PER_S)
        first = min(moments, default=math.inf)
        return first if first < math.inf else None

    def on_time(self, t: float) -> None:
        """Do what is due; in safe mode an alarm is reported at once, and once more with the next reply."""
        before = self._alarm
        self._do(t)
        if self._alarm != before and self._memory.safe_timeout_s:
            self._send(f"A?{self._alarm}", t)

    def _do(self, t: float) -> None:
        motion = self._motion
        if motion is not None and motion.end_s() <= t:
            self._halt(t)
            self._begin(self._phase + 1, t)
        elif motion is not None and self.pressure is not None and self._check / CHECKS_PER_S <= t:
            self._check += 1
            if motion.sign * self.pressure.at(t) * self._area_mm2() * 1e-3 > self.force_limit_n:
                self._fail("S", t)
        elif self._silent_at is not None and self._silent_at <= t:
            self._silent_at = None  # until the next packet
            self._fail("T", t)
        elif self._restart_at is not None and self._restart_at <= t:
            self._restart_at = None
            self._begin(0, t)

    def _fail(self, alarm: str, t: float) -> None:
        """Stop with an alarm."""
        self._halt(t)
        self._status, self._alarm = "S", alarm

    # -- the motor

    def _area_mm2(self) -> float:
        return math.pi / 4.0 * self._memory.diameter_mm**2

    def _step_ul(self) -> float:
        return self._area_mm2() * self.step_um * 1e-3

    def _begin(self, phase: int, t: float) -> None:
        """Begin a phase of the program."""
        self._phase = phase
        if phase >= PHASES:
            self._fail("O", t)
            return
        program = self._memory.phases[phase]
        if program.function == "STP":
            self._status = "S"
        elif program.rate <= 0.0:
            self._fail("E", t)
        else:
            target_ul = program.volume * _VOLUMES_UL[self._memory.volume_unit]
            self._left = max(1, round(target_ul / self._step_ul())) if target_ul > 0.0 else None
            self._move(t)

    def _move(self, t: float) -> None:
        """Turn the motor for the steps that are left of the phase."""
        program = self._memory.phases[self._phase]
        per_s = program.rate * _RATES_UL_PER_S[program.rate_unit] / self._step_ul()
        interval_s = max(1, round(1.0 / (per_s * self.tick_s))) * self.tick_s
        sign = _DIRECTIONS[program.direction]
        self._motion = motion = Motion(t, interval_s, sign, self._left)
        self._status = "I" if sign > 0 else "W"
        self._check = math.floor(t * CHECKS_PER_S) + 1
        self._drive(sign * self._step_ul() / interval_s * 3600.0, t, motion.end_s())

    def _halt(self, t: float) -> None:
        """Stop the motor and count what it moved."""
        motion = self._motion
        if motion is None:
            return
        steps = motion.done(t)
        self._moved_ul[motion.sign] += steps * self._step_ul()
        self._left = None if motion.steps is None else motion.steps - steps
        self._motion = None
        self._drive(0.0, t, math.inf)

    def moved_ul(self, sign: int, now: float) -> float:
        """Volume infused (1) or withdrawn (-1) by now, by the count of steps."""
        motion = self._motion
        moving = motion.done(now) if motion is not None and motion.sign == sign else 0
        return self._moved_ul[sign] + moving * self._step_ul()

    # -- commands

    def _standing(self) -> None:
        if self._motion is not None:
            raise CommandError("NA")

    def _program(self) -> Phase:
        return self._memory.phases[self._selected]

    def _diameter(self, rest: str, now: float) -> str:
        if not rest:
            return shown(self._memory.diameter_mm)
        self._standing()
        self._memory.diameter_mm = number(rest, 0.1, 80.0)
        self._memory.volume_unit = _default_unit(self._memory.diameter_mm)
        return ""

    def _phase_number(self, rest: str, now: float) -> str:
        if not rest:
            return str(self._selected + 1)
        self._standing()
        self._selected = whole(rest, 1, PHASES) - 1
        return ""

    def _function(self, rest: str, now: float) -> str:
        if not rest:
            return self._program().function
        self._standing()
        if rest not in ("RAT", "STP"):
            raise CommandError
        self._program().function = rest
        return ""

    def _rate(self, rest: str, now: float) -> str:
        program = self._program()
        if not rest:
            return shown(program.rate) + program.rate_unit
        digits, unit = (rest[:-2], rest[-2:]) if rest[-2:] in _RATES_UL_PER_S else (rest, "")
        if self._motion is not None and (unit or self._selected != self._phase):
            raise CommandError("NA")  # of a running pump the number alone can be changed
        rate, unit = number(digits, 0.0, 9999.0), unit or program.rate_unit
        speed_mm_per_s = rate * _RATES_UL_PER_S[unit] / self._area_mm2()
        if not SLOWEST_UM_PER_H / 3.6e6 <= speed_mm_per_s <= FASTEST_MM_PER_MIN / 60.0:
            raise CommandError("OOR")
        program.rate, program.rate_unit = rate, unit
        if self._motion is not None:
            self._halt(now)
            self._move(now)
        return ""

    def _volume(self, rest: str, now: float) -> str:
        if not rest:
            return shown(self._program().volume) + self._memory.volume_unit
        self._standing()
        if rest in _VOLUMES_UL:
            self._memory.volume_unit = rest
        else:
            self._program().volume = number(rest, 0.0, 9999.0)
        return ""

    def _direction(self, rest: str, now: float) -> str:
        program = self._program()
        if not rest:
            return program.direction
        self._standing()
        if rest == "REV":
            rest = "WDR" if program.direction == "INF" else "INF"
        if rest not in _DIRECTIONS:
            raise CommandError
        program.direction = rest
        return ""

    def _run(self, rest: str, now: float) -> str:
        self._standing()
        if self._status == "P" and not rest:
            self._move(now)
        else:
            self._begin(whole(rest, 1, PHASES) - 1 if rest else 0, now)
        return ""

    def _stop(self, rest: str, now: float) -> str:
        """Pause; stop when it is paused."""
        if rest:
            raise CommandError
        if self._status == "S":
            raise CommandError("NA")
        self._halt(now)
        self._status = "S" if self._status == "P" else "P"
        return ""

    def _dispensed(self, rest: str, now: float) -> str:
        if rest:
            raise CommandError
        if not self.frozen or not self._held:
            unit = self._memory.volume_unit
            infused, withdrawn = (shown(self.moved_ul(sign, now) / _VOLUMES_UL[unit] % _RUNS_OVER) for sign in (1, -1))
            self._held = f"I{infused}W{withdrawn}{unit}"
        return self._held

    def _clear(self, rest: str, now: float) -> str:
        self._standing()
        if rest not in _DIRECTIONS:
            raise CommandError
        self._moved_ul[_DIRECTIONS[rest]] = 0.0
        return ""

    def _safe_mode(self, rest: str, now: float) -> str:
        if not rest:
            return str(self._memory.safe_timeout_s)
        self._memory.safe_timeout_s = seconds = whole(rest, 0, 255)
        self._silent_at = now + seconds if seconds else None
        return ""

    def _power_failure(self, rest: str, now: float) -> str:
        if not rest:
            return str(int(self._memory.restarts))
        self._memory.restarts = whole(rest, 0, 1) == 1
        return ""


def _default_unit(diameter_mm: float) -> str:
    return "UL" if diameter_mm <= _LARGEST_FOR_UL_MM else "ML"


DEVICE = Ne1000
