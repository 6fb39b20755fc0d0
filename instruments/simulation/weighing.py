"""Mass: what the vessel holds, what it loses, and what a balance makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from instruments.simulation.environment import EnvironmentChunk
from instruments.simulation.grid import CHUNK, DT_S, RATE_HZ, Timeline, times
from instruments.simulation.mounting import OnCatheter
from instruments.simulation.noise import Noise
from instruments.simulation.pan import Pan
from instruments.simulation.parameters import Draws
from instruments.simulation.properties import air_density, saturation_pressure, water_density
from instruments.simulation.signal import DAY_S, FloatArray
from instruments.simulation.stepping import lag, running_sum
from instruments.simulation.tip_leak import TipLeak

HOUR_S = 3600.0
WALK_STEPS = 60
"""Steps of the walk of a zero within a chunk, linear between them: 10 s each."""

SECOND_WAVE = np.pi * (1.0 + 5.0**0.5)
"""Turn of the shorter wave of a balance's linearity in one of the longer: by the golden section, so they never meet."""

AS_DRAWN = -1.0
"""Value of the evaporation setting that leaves the drawn rate in place."""


class Fluid:
    """Density of the fluid: the declared one, expanding like water, off by what the seed drew."""

    def __init__(self, draws: Draws) -> None:
        at = np.array([draws["fluid.density_temperature_degc"]])
        self._over_water = draws["fluid.density_kg_per_m3"] / float(water_density(at)[0])
        self._deviation = draws["fluid.density_deviation_kg_per_m3"]

    def density_kg_per_m3(self, temperature_degc: FloatArray) -> FloatArray:
        """True density."""
        return water_density(temperature_degc) * self._over_water + self._deviation


class Vapour:
    """Evaporation of a vessel: its rate at reference conditions, scaled with temperature and humidity."""

    def __init__(self, draws: Draws) -> None:
        at = np.array([draws["evaporation.reference_temperature_degc"]])
        dryness = 1.0 - draws["evaporation.reference_humidity_percent"] / 100.0
        self._reference = float(saturation_pressure(at)[0]) * dryness

    def scale(self, environment: EnvironmentChunk) -> FloatArray:
        """Rate over its reference value in each interval (n,)."""
        dryness = 1.0 - environment.humidity_percent / 100.0
        scale = saturation_pressure(environment.vessel_degc) * dryness / self._reference
        mean: FloatArray = 0.5 * (scale[1:] + scale[:-1])
        return mean


@dataclass(frozen=True, slots=True)
class MeniscusState:
    """The wetting line: its force now, the next slip's volume, slips so far, and the highest volume reached."""

    force_mg: float = 0.0
    slip_at_ul: float = 0.0
    slips: int = 0
    peak_ul: float = 0.0


class Meniscus:
    """Stick-slip at the immersed tube: the force holds until the level has risen far enough, then takes a new value."""

    def __init__(self, draws: Draws, noise: Noise) -> None:
        self._amplitude_mg = draws["meniscus.amplitude_mg"]
        self._mean_ul = draws["meniscus.slip_volume_ul"]
        self._noise = noise

    def advance(self, state: MeniscusState, vessel_ul: FloatArray) -> tuple[FloatArray, MeniscusState]:
        """Force at the n + 1 grid points of a chunk."""
        peak = np.maximum.accumulate(np.maximum(vessel_ul, state.peak_ul))
        force = np.empty(len(peak))
        done, value, slip_at, slips = 0, state.force_mg, state.slip_at_ul, state.slips
        if slips == 0:
            value, slip_at, slips = self._force_mg(0), self._wait_ul(0), 1
        while peak[-1] > slip_at:
            k = int(np.searchsorted(peak, slip_at, side="right"))
            force[done:k] = value
            done, value, slip_at, slips = k, self._force_mg(slips), slip_at + self._wait_ul(slips), slips + 1
        force[done:] = value
        return force, MeniscusState(value, slip_at, slips, float(peak[-1]))

    def _force_mg(self, slip: int) -> float:
        return self._amplitude_mg * float(self._noise.generator("meniscus force", slip).uniform(-1.0, 1.0))

    def _wait_ul(self, slip: int) -> float:
        return self._mean_ul * float(self._noise.generator("meniscus wait", slip).standard_exponential())


@dataclass(frozen=True, slots=True)
class BalanceState:
    """Carried from chunk to chunk: the walk of the zero, and the filter (None before the first chunk)."""

    walk_mg: float = 0.0
    filter_mg: float | None = None


class Balance:
    """A balance cell with a vessel on it.

    Parameters
    ----------
    name : of the balance, to which its noise belongs.
    section : of the parameters that are its own; those of all balances are in "balance".
    drift : mg/h that a fault adds.
    extra : mg that somebody puts on the pan.
    """

    def __init__(self, name: str, section: str, draws: Draws, noise: Noise, drift: Timeline, extra: Timeline) -> None:
        self._d = draws
        self._own = section
        self._noise = noise
        self._name = name
        self._drift_mg_per_s = draws[f"{section}.drift_mg_per_day"] / DAY_S
        self._drift = drift
        self._extra = extra
        self._step_mg = draws["balance.zero_walk_mg_per_sqrt_h"] * np.sqrt(CHUNK * DT_S / WALK_STEPS / HOUR_S)

    def load_mg(
        self,
        liquid_mg: FloatArray,
        liquid_density: FloatArray,
        air: FloatArray,
        adjusted_air: FloatArray | float,
        temperature_degc: FloatArray,
        weight_mg: FloatArray | float = 0.0,
        gain: FloatArray | float = 0.0,
    ) -> FloatArray:
        """Load that the cell feels in air of density ``air``, in mg of its own weight; ``gain`` is off by so much.

        A cell compares no weights, it holds a force with a current.  What a milligram is it learnt in the air of its
        adjustment, so that the load's whole volume shows as the air changes (EURAMET cg-18, 4.2.4).
        """
        d, own = self._d, self._own
        start = d["vessel.liquid_mg"]
        # As the level rises the tube displaces more liquid, whose buoyancy the balance carries.
        immersed = 1.0 / (1.0 - (d["vessel.tube_diameter_mm"] / d["vessel.inner_diameter_mm"]) ** 2)
        glass = d["vessel.glass_mass_mg"] - d["vessel.glass_volume_ul"] * 1e-3 * air
        liquid = (start + immersed * (liquid_mg - start)) * (1.0 - air / liquid_density)
        load: FloatArray = (glass + liquid + weight_mg) / (1.0 - adjusted_air / d["balance.weights_density_kg_per_m3"])
        turns = load / d[f"{own}.linearity_period_mg"] + d[f"{own}.linearity_phase"]
        wave = 0.5 * d[f"{own}.linearity_mg"] * (np.sin(2.0 * np.pi * turns) + np.sin(SECOND_WAVE * turns))
        warm = d[f"{own}.temperature_coefficient_per_k"] * (temperature_degc - d["laboratory.temperature_degc"])
        shown: FloatArray = load * (1.0 + warm + gain) + wave
        return shown

    def advance(
        self, state: BalanceState, chunk: int, load_mg: FloatArray, drafts_mg: FloatArray | float = 0.0
    ) -> tuple[FloatArray, BalanceState]:
        """Indication without noise at the n + 1 grid points of a chunk."""
        k0 = chunk * CHUNK
        steps = self._step_mg * self._noise.normals(f"{self._name} zero", chunk, WALK_STEPS)
        knots = running_sum(steps, state.walk_mg)
        walk = np.interp(np.arange(CHUNK + 1), np.arange(0, CHUNK + 1, CHUNK // WALK_STEPS), knots)
        drift = self._drift_mg_per_s * times(k0, k0 + CHUNK + 1) + self._drift.integral(k0, k0 + CHUNK) / HOUR_S
        felt = load_mg + drift + walk + self._extra.over(k0 - 1, k0 + CHUNK)
        felt = felt + self._drafts(chunk) + drafts_mg
        start = float(felt[0]) if state.filter_mg is None else state.filter_mg
        shown = lag(felt, start, self._d["balance.filter_s"])
        return shown, BalanceState(float(knots[-1]), float(shown[-1]))

    def _drafts(self, chunk: int) -> FloatArray | float:
        """Spikes of doors and drafts, off by default; one that would outlast the chunk ends with it."""
        per_day = self._d["balance.drafts_per_day"]
        if not per_day:
            return 0.0
        generator = self._noise.generator(f"{self._name} drafts", chunk)
        force = np.zeros(CHUNK + 1)
        for _ in range(int(generator.poisson(per_day * CHUNK * DT_S / DAY_S))):
            first = int(generator.integers(1, CHUNK))
            length = int(generator.uniform(10.0, 60.0) * RATE_HZ)
            force[first : first + length] += generator.uniform(0.5, 5.0) * generator.choice((-1.0, 1.0))
        force[-1] = 0.0
        return force


@dataclass(frozen=True, slots=True)
class WeighingState:
    """What stands on both balances, in mg and µL since the start of the run."""

    tip_ul: float = 0.0
    tip_mg: float = 0.0
    vessel_ul: float = 0.0
    vessel_mg: float = 0.0
    evaporated_mg: float = 0.0
    twin_evaporated_mg: float = 0.0
    spilled_mg: float = 0.0
    leaked_ul: float = 0.0
    meniscus: MeniscusState = MeniscusState()
    reference: BalanceState = BalanceState()
    twin: BalanceState = BalanceState()
    adjusted_air: float | None = None  # density of the air in which the reference balance was adjusted last
    twin_adjusted_air: float | None = None


@dataclass(frozen=True, slots=True)
class WeighingSettings:
    """What can change at the vessel; ``is_diverted`` is 1 while the flow goes to waste."""

    is_diverted: Timeline
    leak_ul_per_s_kpa: OnCatheter  # none while the catheter is off
    tip_kpa: Callable[[int, int], FloatArray]  # as `TipLeak` wants it
    evaporation_mg_per_h: Timeline
    drift_mg_per_h: Timeline
    pan_mg: Timeline
    twin_pan_mg: Timeline
    weight_mg: Timeline
    door_is_open: Timeline
    capacity_ul: Timeline  # of the reference vessel; what is over it has run off and weighs no more
    adjustment_ppm: Timeline  # by which the reference balance's gain is off since it adjusted itself
    tilt_deg: Timeline  # by which it is out of level
    taken_mg: Timeline  # what was caught by vessels that were taken away since the start of the run


@dataclass(frozen=True, slots=True)
class WeighingChunk:
    """Both balances at the n + 1 grid points of a chunk; volumes and masses since the start of the run."""

    tip_ul: FloatArray
    tip_mg: FloatArray
    vessel_ul: FloatArray
    vessel_mg: FloatArray
    evaporated_mg: FloatArray
    twin_evaporated_mg: FloatArray
    spilled_mg: FloatArray
    leaked_ul: FloatArray
    door_is_open: FloatArray
    reference_mg: FloatArray
    twin_mg: FloatArray


class Weighing:
    """The vessel under the tip and its twin, each on a balance."""

    def __init__(self, draws: Draws, noise: Noise, fluid: Fluid, settings: WeighingSettings) -> None:
        self._d = draws
        self._settings = settings
        self._fluid = fluid
        self._vapour = Vapour(draws)
        self._leak = TipLeak(draws, settings.leak_ul_per_s_kpa, settings.is_diverted, settings.tip_kpa)
        self._meniscus = Meniscus(draws, noise)
        self._pan = Pan(draws, noise, settings.weight_mg, settings.door_is_open)
        drift, pan = settings.drift_mg_per_h, settings.pan_mg
        self._reference = Balance("reference balance", "balance", draws, noise, drift, pan)
        self._twin = Balance("twin balance", "twin_balance", draws, noise, Timeline(0.0), settings.twin_pan_mg)

    def advance(
        self, state: WeighingState, chunk: int, line_step_ul: FloatArray, tip_air: FloatArray, env: EnvironmentChunk
    ) -> tuple[WeighingChunk, WeighingState]:
        """Compute one chunk from what passed the flow sensor (n,) and where air left the tip (n,)."""
        k0 = chunk * CHUNK
        density = self._fluid.density_kg_per_m3(env.vessel_degc)
        taken = self._settings.taken_mg.over(k0 - 1, k0 + CHUNK) / (density[0] * 1e-3)
        arriving = line_step_ul * (1.0 - tip_air)
        lost = self._leak.lost_ul(k0, arriving, state.vessel_ul - float(taken[0]), taken[1:] - taken[0])
        tip_step = arriving - lost
        caught = tip_step * (1.0 - self._settings.is_diverted.over(k0, k0 + CHUNK))
        # The pump meters at its own temperature, so that is where the volume has its density.
        mg_per_ul = self._fluid.density_kg_per_m3(env.bath_degc[1:]) * 1e-3
        vessel_ul = running_sum(caught, state.vessel_ul)
        vessel_mg = running_sum(caught * mg_per_ul, state.vessel_mg)
        evaporated, twin_evaporated = self._evaporated(state, k0, env)
        liquid = self._d["vessel.liquid_mg"] + vessel_mg - evaporated
        spilled = self._spilled_mg(state, k0, liquid, density)
        air = air_density(env.pressure_hpa, env.humidity_percent, env.lab_degc)
        force, meniscus = self._meniscus.advance(state.meniscus, vessel_ul)
        weight, gain = self._pan.weight_mg(k0, air), self._gain(k0)
        adjusted = self._adjusted_air(state, k0, air)
        load = self._reference.load_mg(liquid - spilled, density, air, adjusted, env.lab_degc, weight, gain) + force
        drafts = self._pan.drafts_mg(k0)
        reference_mg, reference = self._reference.advance(state.reference, chunk, load, drafts)
        twin_air = float(air[0]) if state.twin_adjusted_air is None else state.twin_adjusted_air
        twin_liquid = self._d["vessel.liquid_mg"] - twin_evaporated
        twin_load = self._twin.load_mg(twin_liquid, density, air, twin_air, env.lab_degc)
        twin_mg, twin = self._twin.advance(state.twin, chunk, twin_load)
        columns = (
            running_sum(tip_step, state.tip_ul),
            running_sum(tip_step * mg_per_ul, state.tip_mg),
            vessel_ul,
            vessel_mg,
            evaporated,
            twin_evaporated,
            spilled,
            running_sum(lost, state.leaked_ul),
        )
        tip, tip_mg, vessel, caught_mg, gone, twin_gone, spilt, leaked = (float(column[-1]) for column in columns)
        gone_all = (gone, twin_gone, spilt, leaked)
        airs = float(adjusted[-1]), twin_air
        end = WeighingState(tip, tip_mg, vessel, caught_mg, *gone_all, meniscus, reference, twin, *airs)
        return WeighingChunk(*columns, self._pan.door(k0), reference_mg, twin_mg), end

    def _spilled_mg(self, state: WeighingState, k0: int, liquid_mg: FloatArray, density: FloatArray) -> FloatArray:
        """What has run off vessels because they were full: as much as the filling was ever over the capacity."""
        capacity_mg = self._settings.capacity_ul.over(k0 - 1, k0 + CHUNK) * density * 1e-3
        filling_mg = liquid_mg - self._settings.taken_mg.over(k0 - 1, k0 + CHUNK)
        spilled: FloatArray = np.maximum.accumulate(np.maximum(filling_mg - capacity_mg, state.spilled_mg))
        return spilled

    def _adjusted_air(self, state: WeighingState, k0: int, air: FloatArray) -> FloatArray:
        """Density of the air in which the reference balance was adjusted: before the run, or when it did so itself."""
        densities = np.full(CHUNK + 1, float(air[0]) if state.adjusted_air is None else state.adjusted_air)
        for k in self._settings.adjustment_ppm.changes(k0 - 1, k0 + CHUNK):
            densities[k + 1 - k0 :] = air[k + 1 - k0]
        return densities

    def _gain(self, k0: int) -> FloatArray | float:
        """By how much the reference balance's gain is off: its adjustment, and the cosine of its tilt."""
        adjustment = self._settings.adjustment_ppm.over(k0 - 1, k0 + CHUNK) * 1e-6
        tilt = np.radians(self._settings.tilt_deg.over(k0 - 1, k0 + CHUNK))
        if not (adjustment.any() or tilt.any()):
            return 0.0
        gain: FloatArray = adjustment - 2.0 * np.sin(0.5 * tilt) ** 2
        return gain

    def _evaporated(self, state: WeighingState, k0: int, env: EnvironmentChunk) -> tuple[FloatArray, FloatArray]:
        """Mass that each vessel has lost."""
        scale = self._vapour.scale(env) * (DT_S / HOUR_S)
        drawn = self._d["evaporation.rate_mg_per_h"]
        setting = self._settings.evaporation_mg_per_h.over(k0, k0 + CHUNK)
        rate = np.where(setting == AS_DRAWN, drawn, setting)
        twin_rate = (rate if self._d["evaporation.trap_is_shared"] else drawn) * self._d["evaporation.twin_ratio"]
        return running_sum(rate * scale, state.evaporated_mg), running_sum(twin_rate * scale, state.twin_evaporated_mg)
