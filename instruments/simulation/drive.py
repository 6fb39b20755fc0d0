"""What drives the pump's flow: rollers, a metering chamber between two valves, or the reservoir's gas alone.

Each drive turns the commanded volume into a source at the pump's outlet: a flow into a line without pressure, and a
conductance by which pressure there takes flow away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from instruments.simulation.environment import EnvironmentChunk
from instruments.simulation.grid import CHUNK, DT_S, RATE_HZ, Timeline, times
from instruments.simulation.parameters import Draws
from instruments.simulation.properties import BODY_DEGC, water_viscosity
from instruments.simulation.pump import Pump
from instruments.simulation.reservoir import Reservoir
from instruments.simulation.signal import DAY_S, FloatArray
from instruments.simulation.stepping import recurrence

AS_BUILT = -1.0
"""Value of the delivered-to-programmed ratio that leaves the pump's own error in place."""

OVERSHOOT_INTERVALS = round(1800.0 * RATE_HZ)
"""How long a pump overshoots after a change of its program."""


@dataclass(frozen=True, slots=True)
class DriveFaults:
    """What goes wrong with a mechanism: stall, delivered over programmed, sticking after a start, overshoot."""

    stalled: Timeline
    ratio: Timeline
    late_start_s: Timeline
    overshoot: Timeline


@dataclass(frozen=True, slots=True)
class DriveState:
    """Carried from chunk to chunk: volume that has left the metering chamber's count but not the chamber."""

    waiting_ul: float = 0.0


@dataclass(frozen=True, slots=True)
class Supply:
    """The source of one chunk.

    Attributes
    ----------
    flow_ul_per_s : (n,) mean flow of each interval into an outlet at ambient pressure.
    conductance : (first index, µL/(s kPa)) of each stretch: flow lost per kPa of outlet pressure.
    """

    flow_ul_per_s: FloatArray
    conductance: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class PumpSurroundings:
    """What a drive sees besides its program; volume and pressure as they stand at the start of the chunk."""

    environment: EnvironmentChunk
    reservoir_ul: float
    outlet_kpa: float


class Drive(Protocol):
    """The mechanism of a pump."""

    def advance(self, state: DriveState, k0: int, around: PumpSurroundings) -> tuple[Supply, DriveState]:
        """Source of the chunk that begins at ``k0``."""


class _Mechanism:
    """What the drives share: the error terms and the faults of a mechanism that counts what it delivers."""

    def __init__(self, pump: Pump, draws: Draws, reservoir: Reservoir, faults: DriveFaults) -> None:
        self.pump = pump
        self.d = draws
        self.reservoir = reservoir
        self.stalled = faults.stalled
        self.as_built = 1.0 + draws["pump.mean_error"]
        self._faults = faults

    def driven_ul(self, k0: int) -> FloatArray:
        """Volume that the mechanism has turned by at the chunk's grid points: it stands while it sticks or stalls."""
        volume = self._unstuck_ul(k0, self.pump.commanded_ul(k0, k0 + CHUNK))
        moving = self.moving(k0)
        volume[moving:] = volume[moving]
        return volume

    def _unstuck_ul(self, k0: int, volume_ul: FloatArray) -> FloatArray:
        """Commanded volume without what was commanded while the rotor stuck after a start."""
        for k in self.pump.started_k(k0 + CHUNK):
            if sticks_s := self._faults.late_start_s.at(k):
                begin, end = (float(self.pump.commanded_ul(at, at)[0]) for at in (k, k + round(sticks_s * RATE_HZ)))
                volume_ul = volume_ul - np.clip(self.pump.commanded_ul(k0, k0 + CHUNK) - begin, 0.0, end - begin)
        return volume_ul

    def moving(self, k0: int) -> int:
        """Intervals of the chunk before the motor stalls."""
        stall = self.stalled.first(1.0)
        return CHUNK if stall is None else min(max(stall - k0, 0), CHUNK)

    def start_kpa(self, around: PumpSurroundings) -> float:
        """Reservoir pressure at the start of the chunk."""
        environment = around.environment
        volume = np.array([around.reservoir_ul])
        return float(
            self.reservoir.pressure_kpa(volume, environment.bath_degc[:1], environment.pressure_kpa[:1])[0],
        )

    def last_drops(self, around: PumpSurroundings) -> float:
        """Share of the flow that an almost empty reservoir still gives."""
        return min(max(around.reservoir_ul / self.d["reservoir.last_volume_ul"], 0.0), 1.0)

    def ratio(self, k0: int) -> FloatArray:
        """Delivered over programmed at reference conditions, in each interval."""
        ratio = self._faults.ratio.over(k0, k0 + CHUNK)
        ratio[ratio == AS_BUILT] = self.as_built
        for k in self.pump.reprogrammed_k(k0 + CHUNK):
            if factor := self._faults.overshoot.at(k):
                ratio[max(k - k0, 0) : max(k + OVERSHOOT_INTERVALS - k0, 0)] *= factor
        return ratio

    def gain(self, k0: int, around: PumpSurroundings) -> FloatArray:
        """Delivered over programmed volume in each interval, without the effect of outlet pressure."""
        low_ml = max(self.d["pump.low_volume_ul"] - around.reservoir_ul, 0.0) * 1e-3
        error = self.d["pump.temperature_coefficient_per_k"] * (around.environment.bath_degc[1:] - BODY_DEGC)
        error = error + self.d["pump.wear_per_day"] * (times(k0 + 1, k0 + CHUNK + 1) / DAY_S)
        error = error - self.d["pump.low_volume_coefficient_per_ml"] * low_ml
        return np.maximum(self.ratio(k0) + error, 0.0) * self.last_drops(around)


class Rollers(_Mechanism):
    """Peristaltic: a stepper turns a rotor whose rollers displace a wavy stroke each."""

    def __init__(self, pump: Pump, draws: Draws, reservoir: Reservoir, faults: DriveFaults) -> None:
        super().__init__(pump, draws, reservoir, faults)
        self._step_ul = draws["pump.revolution_volume_ul"] / draws["pump.steps_per_revolution"]
        self._steps = round(draws["pump.steps_per_revolution"] / draws["pump.rollers"])
        self._stroke_ul = self._step_ul * self._steps
        phase = np.arange(self._steps) / self._steps
        self._within_ul = self._stroke_ul * stroke_curve(
            phase, draws["pump.stroke_ripple"], draws["pump.dip_volume"], draws["pump.dip_span"]
        )

    def advance(self, state: DriveState, k0: int, around: PumpSurroundings) -> tuple[Supply, DriveState]:
        """Whole motor steps through the stroke curve."""
        steps = np.floor(self.driven_ul(k0) / self._step_ul + 1e-9).astype(np.int64)
        strokes, within = np.divmod(steps, self._steps)
        displaced = strokes * self._stroke_ul + self._within_ul[within]
        effect = self.d["pump.reservoir_coefficient_per_kpa"] * (self.start_kpa(around) - self.reservoir.nominal_kpa)
        flow = np.diff(displaced) * (self.gain(k0, around) + effect * self.last_drops(around)) / DT_S
        slope = -self.d["pump.pressure_coefficient_per_kpa"] * self.last_drops(around)
        pieces = [(k, rate * slope) for k, rate in self.pump.rates_ul_per_s(k0, k0 + CHUNK)]
        return Supply(flow, _until(pieces, k0 + self.moving(k0))), state


class Shots(_Mechanism):
    """Valve-gated: the metering chamber empties a shot each time the program has asked for one."""

    def advance(self, state: DriveState, k0: int, around: PumpSurroundings) -> tuple[Supply, DriveState]:
        """Shots that leave the chamber exponentially; none while the reservoir cannot open the outlet valve."""
        shot_ul = self.d["pump.shot_volume_ul"]
        shots = np.diff(np.floor(self.driven_ul(k0) / shot_ul + 1e-9)) * shot_ul
        pressure = self.start_kpa(around)
        spring = self.d["pump.shot_spring_pressure_kpa"]
        filling = max(pressure - spring, 0.0) / (self.reservoir.nominal_kpa - spring)
        if pressure < around.outlet_kpa + self.d["pump.shot_valve_pressure_kpa"]:
            filling = 0.0
        kept = math.exp(-DT_S / self.d["pump.shot_decay_s"])
        entered = shots * self.gain(k0, around) * filling
        # A shot enters at the start of its interval, so the first share of it leaves within the interval.
        waiting = recurrence(kept, kept * entered, state.waiting_ul)
        left = waiting[:-1] + entered - waiting[1:]
        return Supply(left / DT_S, ((k0, 0.0),)), DriveState(float(waiting[-1]))


class Gas(_Mechanism):
    """Gas-driven: reservoir pressure through a capillary, slower as the fluid thickens."""

    def __init__(self, pump: Pump, draws: Draws, reservoir: Reservoir, faults: DriveFaults) -> None:
        super().__init__(pump, draws, reservoir, faults)
        self.as_built = 1.0  # its flow is what it is; there is no program to miss

    def advance(self, state: DriveState, k0: int, around: PumpSurroundings) -> tuple[Supply, DriveState]:
        """Flow proportional to the pressure difference; the capillary has the pump's temperature."""
        environment = around.environment
        bath = environment.bath_degc[1:]
        volume = np.full(CHUNK, around.reservoir_ul)
        pressure = self.reservoir.pressure_kpa(volume, bath, environment.pressure_kpa[1:])
        at_body = self.d["pump.gas_flow_ul_per_h"] / 3600.0 / self.reservoir.nominal_kpa
        thinner = water_viscosity(np.array([BODY_DEGC])) / water_viscosity(bath)
        conductance = at_body * thinner * self.last_drops(around) * self.ratio(k0)
        constant = float(conductance[0])
        # The network takes one conductance a chunk; what the bath's ripple adds to it meets the pressure at the start.
        flow = conductance * pressure - (conductance - constant) * around.outlet_kpa
        flow[self.moving(k0) :] = 0.0
        return Supply(flow, _until([(k0, constant)], k0 + self.moving(k0))), state


DRIVES: dict[str, type[Rollers] | type[Shots] | type[Gas]] = {
    "peristaltic": Rollers,
    "valve-gated": Shots,
    "gas-driven": Gas,
}


def stroke_curve(phase: FloatArray, ripple: float, dip: float, span: float) -> FloatArray:
    """Displaced share of a stroke at a phase in [0, 1): a steady turn, a wave, and the back-flow at a roller's exit.

    The wave and the back-flow sum to zero over the stroke, so the mean flow is exact.
    """
    into = np.minimum(phase / span, 1.0)
    taken_back = into - np.sin(2.0 * math.pi * into) / (2.0 * math.pi)
    wave = ripple * (1.0 - np.cos(2.0 * math.pi * phase)) / (2.0 * math.pi)
    curve: FloatArray = phase + wave + dip * (phase - taken_back)
    return curve


def _until(pieces: list[tuple[int, float]], end: int) -> tuple[tuple[int, float], ...]:
    """The pieces with nothing from ``end`` on."""
    return (*(piece for piece in pieces if piece[0] < end), (end, 0.0))
