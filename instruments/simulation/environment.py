"""Laboratory, weather, vessel temperature and bath."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from instruments.simulation.grid import CHUNK, DT_S, Forced, Timeline, times
from instruments.simulation.noise import Noise, Wander, ramp
from instruments.simulation.parameters import Draws
from instruments.simulation.signal import DAY_S, FloatArray
from instruments.simulation.stepping import lag


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    """What the environment carries from chunk to chunk."""

    lab_wander: float
    pressure_wander: float
    humidity_wander: float
    vessel_degc: float
    bath_degc: float


@dataclass(frozen=True, slots=True)
class EnvironmentChunk:
    """The environment at the n + 1 grid points of a chunk."""

    lab_degc: FloatArray
    pressure_hpa: FloatArray
    humidity_percent: FloatArray
    vessel_degc: FloatArray
    bath_degc: FloatArray

    @property
    def pressure_kpa(self) -> FloatArray:
        """Ambient pressure."""
        return self.pressure_hpa * 0.1


class Environment:
    """The surroundings of the bench; only the bath can be commanded."""

    def __init__(self, draws: Draws, noise: Noise, bath_setpoint: Timeline, bath_is_on: Forced) -> None:
        self._d = draws
        self._noise = noise
        self._setpoint = bath_setpoint
        self._is_on = bath_is_on
        step_s = CHUNK * DT_S
        self._lab = Wander("laboratory", draws["laboratory.wander_k"], draws["laboratory.wander_s"], step_s)
        self._weather = Wander(
            "weather", draws["laboratory.pressure_wander_hpa"], draws["laboratory.pressure_wander_s"], step_s
        )
        self._damp = Wander(
            "humidity", draws["laboratory.humidity_wander_percent"], draws["laboratory.humidity_wander_s"], step_s
        )

    def start(self) -> EnvironmentState:
        """State at time zero: everything has settled."""
        wander = self._lab.start(self._noise)
        return EnvironmentState(
            wander,
            self._weather.start(self._noise),
            self._damp.start(self._noise),
            float(self._day(np.zeros(1))[0]) + wander,
            self._setpoint.at(0),
        )

    def advance(self, state: EnvironmentState, chunk: int) -> tuple[EnvironmentChunk, EnvironmentState]:
        """Compute one chunk."""
        k0 = chunk * CHUNK
        lab_end = self._lab.after(state.lab_wander, self._noise, chunk)
        pressure_end = self._weather.after(state.pressure_wander, self._noise, chunk)
        humidity_end = self._damp.after(state.humidity_wander, self._noise, chunk)
        t = times(k0, k0 + CHUNK + 1)
        lab = self._day(t) + ramp(state.lab_wander, lab_end, CHUNK)
        humidity = self._d["laboratory.humidity_percent"] + ramp(state.humidity_wander, humidity_end, CHUNK)
        vessel = lag(lab, state.vessel_degc, self._d["vessel.temperature_lag_s"])
        settled = self._settled_bath(state.bath_degc, lab, k0)
        cycle = self._d["bath.cycle_k"] * np.sin(2.0 * math.pi * t / self._d["bath.cycle_s"])
        on = self._is_on.over(k0 - 1, k0 + CHUNK)
        result = EnvironmentChunk(
            lab,
            self._d["laboratory.pressure_hpa"] + ramp(state.pressure_wander, pressure_end, CHUNK),
            np.clip(humidity, 5.0, 95.0),
            vessel,
            settled + on * cycle,
        )
        end = EnvironmentState(lab_end, pressure_end, humidity_end, float(vessel[-1]), float(settled[-1]))
        return result, end

    def _day(self, t: FloatArray) -> FloatArray:
        """Laboratory temperature that the time of day explains."""
        phase = 2.0 * math.pi * (t - self._d["laboratory.coolest_h"] * 3600.0) / DAY_S
        return self._d["laboratory.temperature_degc"] - self._d["laboratory.diurnal_k"] * np.cos(phase)

    def _settled_bath(self, start: float, lab: FloatArray, k0: int) -> FloatArray:
        """Bath temperature without the controller's limit cycle."""
        bath = np.empty(CHUNK + 1)
        bath[0] = start
        cuts = sorted({k0, *self._setpoint.changes(k0, k0 + CHUNK), *self._is_on.changes(k0, k0 + CHUNK), k0 + CHUNK})
        for a, b in pairwise(cuts):
            piece = slice(a - k0, b - k0 + 1)
            if self._is_on.at(a):
                target, tau = np.full(b - a + 1, self._setpoint.at(a)), self._d["bath.control_s"]
            else:
                target, tau = lab[piece], self._d["bath.cooling_s"]
            bath[piece] = lag(target, float(bath[a - k0]), tau)
        return bath
