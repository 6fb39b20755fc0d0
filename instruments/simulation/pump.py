"""The pump under test as its programmer knows it: program, commands, own counts, alarms and log.

What its mechanism then delivers is in `drive`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from instruments.simulation import delivery
from instruments.simulation.grid import (
    RATE_HZ,
    Timeline,
    index_at,
    index_of_command,
    index_of_onset,
    time_of,
    times,
)
from instruments.simulation.parameters import Draws, PlantParameters
from instruments.simulation.signal import (
    DAY_S,
    BolusKind,
    DeliveryProgram,
    FloatArray,
    PatientRule,
    ProgramError,
    ProgrammedBolus,
    PumpState,
)

LONG_STOP_S = 48 * 3600.0


@dataclass(frozen=True, slots=True)
class _Command:
    """Something that changed the pump: acts from grid index ``k``, was given at ``t``."""

    k: int
    t: float
    what: str  # "load", "start", "stop", "bolus", "reset", "clock"
    program: DeliveryProgram | None = None
    bolus: ProgrammedBolus | None = None


@dataclass(frozen=True, slots=True)
class _Era:
    """A stretch of time with one program; ``base_ul`` was commanded before ``start_k``, from which its times count."""

    k: int
    t: float
    running: bool
    program: DeliveryProgram | None
    start_k: int
    base_ul: float
    step_s: float = 0.0  # by which the pump's clock has jumped


@dataclass(frozen=True, slots=True)
class PumpFaults:
    """What goes wrong with the pump that it knows of itself, from its moment on.

    ``stalled`` and ``battery_low`` are 1, ``reset`` is 1 from when it falls back to its reset rate, and
    ``clock_step_s`` is how far its clock jumps.  Whoever starts it lets somebody multiply its rates by
    ``programmed_factor``, and ``count_error_ul`` is added to the volume that it stores at a refill.  It grants a
    patient's bolus in spite of the lockout or the daily maximum where ``lockout_ignored`` or ``maximum_ignored`` is 1.
    """

    stalled: Timeline
    reset: Timeline
    battery_low: Timeline
    clock_step_s: Timeline
    programmed_factor: Timeline
    count_error_ul: Timeline
    lockout_ignored: Timeline
    maximum_ignored: Timeline


class Pump:
    """A programmable pump; meets `instruments.simulation.signal.PumpUnderTest`.

    Parameters
    ----------
    faults : what goes wrong with it.
    lock : held while a command changes the pump.
    changed : called with the first grid index that a command changes.
    now : the run's clock.
    """

    def __init__(
        self,
        parameters: PlantParameters,
        draws: Draws,
        faults: PumpFaults,
        lock: AbstractContextManager[object],
        changed: Callable[[int], None],
        now: Callable[[], float],
    ) -> None:
        self.maker = parameters.text("pump.maker")
        self.model = parameters.text("pump.model")
        self.serial = parameters.text("pump.serial")
        self.firmware = parameters.text("pump.firmware")
        self.kind = parameters.text("pump.kind")
        self._d = draws
        self._ppm = 1.0 + draws["pump.clock_error_ppm"] * 1e-6
        self._quantum_ul, self._stroke_ul = self._counting()
        self._faults = faults
        self._lock = lock
        self._changed = changed
        self._now = now
        self.hears: Callable[[float], tuple[bool, tuple[float, ...]]] = lambda _: (False, ())
        """Whether the occlusion alarm sounds at a moment, and when it began to until then."""
        self._commands: list[_Command] = []
        self._fills: list[tuple[float, float]] = []  # when, and up to which commanded volume its reservoir lasts then
        self._grants: list[float] = []  # times of the pump's clock at which a patient bolus was granted
        self._spoken: list[tuple[float, str]] = []
        for timeline, what in ((faults.reset, "reset"), (faults.clock_step_s, "clock")):
            k = timeline.next_change(-1)
            if k is not None:
                self._commands.append(_Command(k, time_of(k), what))
        self._eras = self._replay()

    # -- what a programmer does

    def load(self, program: DeliveryProgram, t: float) -> None:
        """Store a program; a running pump goes on with it, its times counting from here.  Raises `ProgramError`."""
        if self.kind == "gas-driven":
            raise ProgramError("a gas-driven pump has one rate and no program", 3)
        delivery.check(program, self._d["pump.minimum_rate_ul_per_h"], self._d["pump.maximum_rate_ul_per_h"])
        self._command(_Command(index_of_command(t), t, "load", program), f"program: {program.mode}")

    def start(self, t: float) -> None:
        """Start delivery: program times count from here.  Raises `ProgramError` without a program."""
        if self._era(t).program is None:
            raise ProgramError("there is no program to start", 3)
        self._command(_Command(index_of_command(t), t, "start"), "delivery started")

    def stop(self, t: float) -> None:
        """Stop the motor; a gas-driven pump has none and flows on."""
        self._command(_Command(index_of_command(t), t, "stop"), "delivery stopped")

    def fill(self, volume_ul: float, t: float) -> None:
        """Store what the reservoir holds after a refill; the count goes down from there.  Raises `ProgramError`."""
        capacity_ul = self._d["reservoir.capacity_ul"]
        if not 0.0 <= volume_ul <= capacity_ul:
            raise ProgramError(f"a reservoir of {capacity_ul:g} uL does not hold {volume_ul:g} uL")
        with self._lock:
            stored_ul = volume_ul + self._faults.count_error_ul.at(index_at(t))
            self._fills.append((t, self._commanded_ul(t) + stored_ul))
            self._spoken.append((t, f"reservoir filled: {stored_ul:g} uL"))

    def bolus(self, volume_ul: float, duration_s: float, kind: BolusKind, t: float) -> str:
        """Request a bolus; "ok" or "refused:" and the reason."""
        era = self._era(t)
        answer = self._bolus_answer(era, volume_ul, duration_s, kind, t)
        if answer != "ok":
            self._spoken.append((t, f"{kind} bolus {answer}"))
            return answer
        assert era.program is not None
        rule = era.program.patient
        if kind == "patient" and rule is not None:
            volume_ul, duration_s = rule.volume_ul, rule.duration_s
            self._grants.append(self.clock_s(t))
        k = index_of_command(t)
        bolus = ProgrammedBolus(self._tau_s(era, time_of(k)), volume_ul, duration_s, kind)
        self._command(_Command(k, t, "bolus", bolus=bolus), f"{kind} bolus of {volume_ul:g} uL over {duration_s:g} s")
        return "ok"

    def state(self, t: float) -> PumpState:
        """What the pump would tell a programmer at ``t``."""
        era = self._era(t)
        commanded = self._commanded_ul(t)
        delivered = math.floor(commanded / self._quantum_ul + 1e-9) * self._quantum_ul
        return PumpState(
            running=era.running,
            mode="stopped" if era.program is None else era.program.mode,
            delivered_ul=delivered,
            reservoir_ul=max(0.0, self._lasts_ul(t) - delivered),
            alarms=self._alarms(t, era, commanded),
            clock_s=self.clock_s(t),
            stroke_ul=self._stroke_ul,
        )

    def program(self, t: float) -> DeliveryProgram | None:
        """The stored program without boluses that were requested since, None before the first one."""
        stored: DeliveryProgram | None = None
        held: DeliveryProgram | None = None
        for command in self._in_order():
            if command.t <= t and command.what == "load":
                stored = held = command.program
            elif command.t <= t and command.what == "reset":
                stored = held = self._reset_program()
            elif command.t <= t and command.what == "start":
                held = self._meddled(stored, command.k)
        return held

    def log(self) -> list[tuple[float, str]]:
        """The pump's log until now, oldest first."""
        now = self._now()
        told = self._spoken + [(t, text) for t, text in self._noticed(now) if t <= now]
        return sorted(told, key=lambda entry: entry[0])

    def clock_s(self, t: float) -> float:
        """Time of the pump's own clock, since its midnight of day 0."""
        return self._steady_clock_s(t) + self._faults.clock_step_s.at(index_at(t))

    def _steady_clock_s(self, t: float) -> float:
        """The same without the jump that a fault makes."""
        return self._d["pump.clock_offset_s"] + t * self._ppm

    def _clock_at_start_s(self, era: _Era) -> float:
        """What the clock that an era goes by would have shown at its start."""
        return self._steady_clock_s(time_of(era.start_k)) + era.step_s

    # -- what the mechanism and the horizon ask

    def commanded_ul(self, k0: int, k1: int) -> FloatArray:
        """Volume that the program has commanded since the start of the run, at the indices k0 … k1."""
        values = np.empty(k1 - k0 + 1)
        for i, era in enumerate(self._eras):
            end = self._eras[i + 1].k if i + 1 < len(self._eras) else k1
            a, b = max(era.k + 1 if i else 0, k0), min(end, k1)  # a value belongs to the interval that ends there
            if a <= b:
                values[a - k0 : b - k0 + 1] = self._era_volume_ul(era, times(a, b + 1))
        return values

    def rates_ul_per_s(self, k0: int, k1: int) -> list[tuple[int, float]]:
        """Commanded rate over [k0, k1), as (first index, rate) of each stretch."""
        pieces: list[tuple[int, float]] = []
        for i, era in enumerate(self._eras):
            end = self._eras[i + 1].k if i + 1 < len(self._eras) else k1
            k = max(era.k, k0)
            while k < min(end, k1):
                pieces.append((k, self._rate_ul_per_h(era, k) / 3600.0))
                edge = self._edge_t(era, time_of(k))
                k = end if math.isinf(edge) else max(index_of_onset(edge), k + 1)
        return pieces

    def next_change_s(self, t: float) -> float:
        """First moment after ``t`` at which a command acts or the commanded rate changes, infinity if none is known."""
        k = int(t * RATE_HZ + 1e-6)
        acting = [e for e in self._eras if e.k <= k][-1]
        coming = min((time_of(e.k) for e in self._eras if time_of(e.k) > t), default=math.inf)
        return min(coming, self._edge_t(acting, t))

    def started_k(self, before_k: int) -> list[int]:
        """Grid indices before ``before_k`` from which delivery was started."""
        return [command.k for command in self._in_order() if command.what == "start" and command.k < before_k]

    def reprogrammed_k(self, before_k: int) -> list[int]:
        """Grid indices before ``before_k`` from which a running pump had another program."""
        found, running = [], False
        for command in self._in_order():
            if command.k < before_k and command.what == "load" and running:
                found.append(command.k)
            running = command.what == "start" or (running and command.what != "stop")
        return found

    # -- eras

    def _command(self, command: _Command, text: str) -> None:
        with self._lock:
            self._commands.append(command)
            self._spoken.append((command.t, text))
            self._eras = self._replay()
            self._changed(command.k)

    def _in_order(self) -> list[_Command]:
        """Commands in the order in which they act."""
        return sorted(self._commands, key=lambda command: command.k)

    def _replay(self) -> list[_Era]:
        """All eras from the commands in the order in which they act."""
        gas = self.kind == "gas-driven"
        fixed = DeliveryProgram("continuous", self._d["pump.gas_flow_ul_per_h"]) if gas else None
        eras = [_Era(0, -math.inf, gas, fixed, 0, 0.0)]
        for command in self._in_order():
            era = eras[-1]
            done_ul = float(self._era_volume_ul(era, times(command.k, command.k + 1))[0])
            fresh = replace(era, k=command.k, t=command.t, start_k=command.k, base_ul=done_ul)
            if command.what == "bolus":
                assert era.program is not None
                assert command.bolus is not None
                program = replace(era.program, boluses=(*era.program.boluses, command.bolus))
                eras.append(replace(era, k=command.k, t=command.t, program=program))
            elif command.what == "load":
                eras.append(replace(fresh, program=command.program))
            elif command.what == "reset":
                eras.append(replace(fresh, program=self._reset_program()))
            elif command.what == "clock":
                eras.append(self._jumped(era, command, done_ul))
            elif not gas:
                starts, held = command.what == "start", self._as_loaded(era)
                held = self._meddled(held, command.k) if starts else held
                eras.append(replace(fresh, program=held, running=starts))
        return eras

    def _jumped(self, era: _Era, command: _Command, done_ul: float) -> _Era:
        """The era after a jump of the clock: a daily pattern goes on elsewhere, all else as before."""
        after = replace(era, k=command.k, step_s=self._faults.clock_step_s.at(command.k))
        if era.program is None or era.program.mode != "flex":
            return after
        again_ul = float(self._era_volume_ul(replace(after, base_ul=0.0), times(command.k, command.k + 1))[0])
        return replace(after, base_ul=done_ul - again_ul if era.running else era.base_ul)

    def _as_loaded(self, era: _Era) -> DeliveryProgram | None:
        """The era's program without the boluses that were requested while it ran."""
        loads = [c for c in self._in_order() if c.what in ("load", "reset") and c.k <= era.k]
        return loads[-1].program or self._reset_program() if loads else era.program

    def _meddled(self, program: DeliveryProgram | None, k: int) -> DeliveryProgram | None:
        """The program after somebody has changed the rates of the pump that was just started."""
        factor = self._faults.programmed_factor.at(k)
        if program is None or factor == 1.0:
            return program
        steps = tuple((at, rate * factor) for at, rate in program.steps)
        return replace(program, rate_ul_per_h=program.rate_ul_per_h * factor, steps=steps)

    def _reset_program(self) -> DeliveryProgram:
        return DeliveryProgram("continuous", self._d["pump.reset_rate_ul_per_h"])

    def _era(self, t: float) -> _Era:
        """The era of the last command that was given at or before ``t``."""
        return [era for era in self._eras if era.t <= t + 1e-9][-1]

    def _tau_s(self, era: _Era, t: float) -> float:
        return (t - time_of(era.start_k)) * self._ppm

    def _era_volume_ul(self, era: _Era, t: FloatArray) -> FloatArray:
        if not era.running or era.program is None:
            return np.full(len(t), era.base_ul)
        tau = np.maximum(t - time_of(era.start_k), 0.0) * self._ppm
        return era.base_ul + delivery.volume_ul(era.program, tau, self._clock_at_start_s(era))

    def _commanded_ul(self, t: float) -> float:
        acting = [era for era in self._eras if time_of(era.k) <= t or era.k == 0][-1]
        return float(self._era_volume_ul(acting, np.array([t]))[0])

    def _rate_ul_per_h(self, era: _Era, k: int) -> float:
        if not era.running or era.program is None:
            return 0.0
        tau = self._tau_s(era, time_of(k)) + 1e-6
        return delivery.rate_ul_per_h(era.program, tau, self._clock_at_start_s(era))

    def _edge_t(self, era: _Era, t: float) -> float:
        """First change of the era's commanded rate after ``t``, on the run's clock."""
        if not era.running or era.program is None:
            return math.inf
        start = time_of(era.start_k)
        tau = max(self._tau_s(era, t), 0.0) + 1e-6
        return start + delivery.next_edge_s(era.program, tau, self._clock_at_start_s(era)) / self._ppm

    # -- what it knows of itself

    def _counting(self) -> tuple[float, float]:
        """Smallest volume that the pump counts, and the volume of one stroke."""
        if self.kind == "peristaltic":
            revolution = self._d["pump.revolution_volume_ul"]
            return revolution / self._d["pump.steps_per_revolution"], revolution / self._d["pump.rollers"]
        return self._d["pump.shot_volume_ul"], self._d["pump.shot_volume_ul"]

    def _bolus_answer(self, era: _Era, volume_ul: float, duration_s: float, kind: BolusKind, t: float) -> str:
        if era.program is None or (kind == "patient" and era.program.patient is None):
            return "refused:no-program"
        if not era.running or self.kind == "gas-driven":
            return "refused:stopped"
        if self._stall_noticed_s() <= t:
            return "refused:stalled"
        if kind == "patient":
            assert era.program.patient is not None
            return self._patient_answer(era.program.patient, t)
        now = self._tau_s(era, t)
        bridging = [b for b in era.program.boluses if b.kind == "bridge" and b.at_s + b.duration_s > now]
        if kind == "bridge" and any(b.at_s < now + duration_s for b in bridging):
            return "refused:bridge"
        try:
            extra = ProgrammedBolus(0.0, volume_ul, duration_s, kind)
            low = min(self._d["pump.minimum_rate_ul_per_h"], era.program.rate_ul_per_h)
            delivery.check(
                replace(era.program, boluses=(extra,), periodic=None), low, self._d["pump.maximum_rate_ul_per_h"]
            )
        except ProgramError:
            return "refused:range"
        return "ok"

    def _patient_answer(self, rule: PatientRule, t: float) -> str:
        clock_s, k = self.clock_s(t), index_at(t)
        locked = bool(self._grants) and clock_s < self._grants[-1] + rule.lockout_s
        if locked and not self._faults.lockout_ignored.at(k):
            return "refused:lockout"
        since = clock_s - DAY_S if rule.day == "rolling" else math.floor(clock_s / DAY_S) * DAY_S
        today = [at for at in self._grants if at > since or (rule.day == "calendar" and at == since)]
        room = len(today) < rule.max_per_day or bool(self._faults.maximum_ignored.at(k))
        return "ok" if room else "refused:daily-maximum"

    def _alarms(self, t: float, era: _Era, commanded_ul: float) -> tuple[str, ...]:
        left_ul = self._lasts_ul(t) - commanded_ul
        told = [c.what for c in self._in_order() if c.t <= t and c.what in ("load", "reset")]
        alarms = {
            "empty-reservoir": left_ul <= 0.0,
            "low-battery": (bool(told) and told[-1] == "reset") or self._faults.battery_low.at(index_at(t)) == 1.0,
            "low-reservoir": left_ul <= self._d["reservoir.alarm_volume_ul"],
            "occlusion": self.hears(t)[0],
            "stall": self._stall_noticed_s() <= t,
            "stopped-too-long": era.program is not None and not era.running and t >= era.t + LONG_STOP_S,
        }
        return tuple(name for name, sounds in alarms.items() if sounds)

    def _noticed(self, t: float) -> list[tuple[float, str]]:
        """What the pump notices by itself until ``t``."""
        noticed = [
            *self._ran_low(t),
            (self._stall_noticed_s(), "alarm stall: the rotor does not turn"),
            (_onset_s(self._faults.battery_low), "alarm low-battery: replace the pump within 90 days"),
        ]
        noticed += [(onset, "alarm occlusion: the motor meets too high a pressure") for onset in self.hears(t)[1]]
        for i, era in enumerate(self._eras):
            end = self._eras[i + 1].t if i + 1 < len(self._eras) else math.inf
            if i and era.program is not None and not era.running and end > era.t + LONG_STOP_S:
                noticed.append((era.t + LONG_STOP_S, "alarm stopped-too-long: for 48 h"))
        noticed += [
            (c.t, "alarm low-battery: the pump was reset to its minimum rate")
            for c in self._commands
            if c.what == "reset"
        ]
        return noticed

    def _lasts_ul(self, t: float) -> float:
        """Commanded volume at which the pump counts its reservoir empty, as it stands at ``t``."""
        filled = [lasts_ul for at, lasts_ul in self._fills if at <= t]
        return filled[-1] if filled else self._d["reservoir.fill_ul"]

    def _ran_low(self, t: float) -> Iterator[tuple[float, str]]:
        """When its count ran low and out between one refill and the next, until ``t``."""
        begins = [(-math.inf, self._d["reservoir.fill_ul"]), *self._fills]
        ends = [at for at, _ in self._fills] + [math.inf]
        for (begin, lasts_ul), end in zip(begins, ends, strict=True):
            low_ul = lasts_ul - self._d["reservoir.alarm_volume_ul"]
            for volume_ul, what in ((low_ul, "low-reservoir"), (lasts_ul, "empty-reservoir")):
                at = max(self._reached_s(volume_ul, t), begin)
                if at < end and at < math.inf:
                    yield at, f"alarm {what}: calculated"

    def _stall_noticed_s(self) -> float:
        return _onset_s(self._faults.stalled) + self._d["pump.stall_detection_s"]

    def _reached_s(self, volume_ul: float, t: float) -> float:
        """When the commanded volume reached a value, infinity if it has not by ``t``."""
        low, high = 0.0, t
        if not t > 0.0 or self._commanded_ul(t) < volume_ul:
            return math.inf
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self._commanded_ul(middle) < volume_ul else (low, middle)
        return high


def _onset_s(fault: Timeline) -> float:
    """When a fault begins, infinity if it never does."""
    k = fault.first(1.0)
    return math.inf if k is None else time_of(k)
