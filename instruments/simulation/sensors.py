"""Flow, pressure and temperature sensors up to their electrical output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruments.simulation.environment import EnvironmentChunk
from instruments.simulation.grid import CHUNK, DT_S, Timeline, times
from instruments.simulation.noise import Noise, Wander, ramp
from instruments.simulation.parameters import Draws
from instruments.simulation.properties import water_density
from instruments.simulation.signal import DAY_S, FloatArray
from instruments.simulation.stepping import lag_of_mean, play

NL_PER_MIN = 6.0e4
"""nL/min in one µL/s."""

YEAR_S = 365.25 * DAY_S
AIR_SPIKE = 3.0
"""Height of the spike at either end of a bubble, over the noise in air."""


@dataclass(frozen=True, slots=True)
class FlowState:
    """Carried from chunk to chunk: the filtered flow, the indication, air in the last interval, the gain's wander."""

    filtered_nl_per_min: float = 0.0
    shown_nl_per_min: float = 0.0
    air: float = 0.0
    gain: float = 0.0


class FlowSensor:
    """A thermal flow sensor: what it linearises, without its white noise, rounding and saturation."""

    def __init__(self, draws: Draws, noise: Noise, drift_per_day: Timeline) -> None:
        self._d = draws
        self._noise = noise
        self._drift = drift_per_day
        self._wander = Wander(
            "flow sensor gain", draws["flow_sensor.repeatability"], draws["flow_sensor.repeatability_s"], CHUNK * DT_S
        )

    def start(self) -> FlowState:
        """No flow."""
        return FlowState(0.0, self._d["flow_sensor.zero_error_nl_per_min"], 0.0, self._wander.start(self._noise))

    def advance(
        self, state: FlowState, chunk: int, line_step_ul: FloatArray, air: FloatArray, env: EnvironmentChunk
    ) -> tuple[FloatArray, FloatArray, FlowState]:
        """Indication and air flag at the n + 1 grid points of a chunk."""
        d, k0 = self._d, chunk * CHUNK
        # The volume is metered at the pump's temperature and flows through the sensor at the laboratory's.
        shrunk = water_density(env.bath_degc[1:]) / water_density(env.lab_degc[1:])
        flow = line_step_ul * shrunk * (NL_PER_MIN / DT_S)
        filtered = lag_of_mean(flow, state.filtered_nl_per_min, d["flow_sensor.time_constant_s"])
        gain = 1.0 + d["flow_sensor.gain_error"] + self._drift.integral(k0, k0 + CHUNK) / DAY_S
        warm = env.lab_degc - d["flow_sensor.reference_temperature_degc"]
        wander_end = self._wander.after(state.gain, self._noise, chunk)
        gain = gain + d["flow_sensor.temperature_coefficient_per_k"] * warm + ramp(state.gain, wander_end, CHUNK)
        zero = d["flow_sensor.zero_error_nl_per_min"] + d["flow_sensor.zero_per_k"] * warm
        shown = filtered * gain + zero
        flags = np.concatenate(([state.air], air))
        if flags.any():
            self._in_air(shown, flags, zero, chunk)
        shown[0] = state.shown_nl_per_min
        return shown, flags, FlowState(float(filtered[-1]), float(shown[-1]), float(flags[-1]), wander_end)

    def _in_air(self, shown: FloatArray, flags: FloatArray, zero: FloatArray, chunk: int) -> None:
        """In air the sensor reads noise around its zero, with a spike at either end of the bubble."""
        sd = self._d["flow_sensor.air_noise_nl_per_min"]
        noise = sd * np.concatenate(([0.0], self._noise.normals("flow sensor in air", chunk, CHUNK)))
        shown[:] = np.where(flags == 1.0, zero + noise, shown)
        ends = np.diff(flags)
        shown[1:] += np.where(ends == 0.0, 0.0, zero[1:] + AIR_SPIKE * sd * ends - shown[1:])


class Transducer:
    """A pressure transducer with a linear electrical output.

    Parameters
    ----------
    section : its section of the parameters.
    """

    def __init__(self, section: str, draws: Draws) -> None:
        self._low = draws[f"{section}.low_kpa"]
        self._span = draws[f"{section}.high_kpa"] - self._low
        self._low_output = draws[f"{section}.low_output"]
        self._output_span = draws[f"{section}.high_output"] - self._low_output
        self._zero = draws[f"{section}.zero_error"]
        self._gain = 1.0 + draws[f"{section}.gain_error"]
        self._half_play = 0.5 * draws[f"{section}.hysteresis"] * self._span
        self._zero_per_k = draws[f"{section}.zero_per_k"]
        self._drift_per_s = draws[f"{section}.drift_per_year"] / YEAR_S
        self._reference_degc = draws["laboratory.temperature_degc"]
        self.noise = draws[f"{section}.noise"] * abs(self._output_span)

    def deflect(self, pressure_kpa: FloatArray, start_kpa: float) -> FloatArray:
        """What the membrane follows, its hysteresis included, at the n + 1 grid points of a chunk."""
        return play(pressure_kpa, start_kpa, self._half_play)

    def output(self, deflection_kpa: FloatArray, lab_degc: FloatArray, k0: int) -> FloatArray:
        """Electrical output without noise."""
        share = (deflection_kpa - self._low) / self._span * self._gain + self._zero
        share = share + self._zero_per_k * (lab_degc - self._reference_degc)
        share = share + self._drift_per_s * times(k0, k0 + len(share))
        return self._low_output + self._output_span * share
