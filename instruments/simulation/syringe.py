"""A syringe pump, and the refill port that it may stand at.

The syringe has the laboratory's temperature; what it pushes counts in the plant at the pump's temperature, as all
volumes do, so that no mass is lost.  At the access port its flow is a source of the line.  At the refill port the
plunger's volume is book-kept interval by interval: what the reservoir cannot take when its valve has closed at
capacity is held in syringe and needle under pressure, and what it cannot give is a vacuum there; both go in or come
back before anything else moves.  A needle that does not reach the reservoir gives all of it to the pocket and draws
nothing; an open vent takes what the syringe gives, and what the reservoir presses back through the needle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from instruments.simulation.environment import EnvironmentChunk
from instruments.simulation.grid import CHUNK, DT_S, Timeline
from instruments.simulation.noise import Noise
from instruments.simulation.parameters import Draws
from instruments.simulation.properties import STANDARD_ATMOSPHERE_KPA, air_density, water_density
from instruments.simulation.signal import FloatArray
from instruments.simulation.stepping import running_sum
from instruments.simulation.weighing import Fluid

STEEL_KG_PER_M3 = 8000.0
"""Conventional density of the weights with which scales are adjusted."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SyringeState:
    """What has left the syringe since the start of the run, less what came back: volumes, and mass."""

    pushed_ul: float = 0.0
    inflow_ul: float = 0.0
    pushed_mg: float = 0.0


@dataclass(frozen=True, slots=True)
class SyringeChunk:
    """The syringe at the n + 1 grid points of a chunk.

    ``pushed_ul`` is the volume at the syringe's temperature, ``inflow_ul`` the same at the pump's.  A scale shows
    ``syringe_shown_mg``: what has left took its buoyancy with it.
    """

    pushed_ul: FloatArray
    inflow_ul: FloatArray
    pushed_mg: FloatArray
    syringe_mg: FloatArray
    syringe_shown_mg: FloatArray


class Syringe:
    """The syringe and its motor.

    Parameters
    ----------
    pusher_ul_per_h : what the motor is told to do; positive infuses.
    """

    def __init__(self, draws: Draws, fluid: Fluid, pusher_ul_per_h: Timeline) -> None:
        self._pusher = pusher_ul_per_h
        self._fluid = fluid
        self._per_interval = (1.0 + draws["pusher.gain_error"]) * DT_S / 3600.0
        self._full_mg = draws["pusher.syringe_mass_mg"]

    def plunger_ul(self, k0: int, env: EnvironmentChunk) -> FloatArray | None:
        """Volume that the plunger sweeps in each interval (n,), at the pump's temperature; None while it stands."""
        rate = self._pusher.over(k0, k0 + CHUNK)
        return rate * (self._per_interval * self._swelling(env)) if rate.any() else None

    def advance(
        self, state: SyringeState, inflow_ul: FloatArray | None, env: EnvironmentChunk
    ) -> tuple[SyringeChunk, SyringeState]:
        """Account for what went into the plant in each interval (n,), at the pump's temperature."""
        if inflow_ul is None:
            steps = [np.zeros(CHUNK)] * 3
        else:
            mg_per_ul = self._fluid.density_kg_per_m3(env.bath_degc[1:]) * 1e-3
            steps = [inflow_ul / self._swelling(env), inflow_ul, inflow_ul * mg_per_ul]
        starts = (state.pushed_ul, state.inflow_ul, state.pushed_mg)
        pushed, inflow, mass = map(running_sum, steps, starts)
        end = SyringeState(float(pushed[-1]), float(inflow[-1]), float(mass[-1]))
        return SyringeChunk(pushed, inflow, mass, self._full_mg - mass, self._shown_mg(mass, env)), end

    def _shown_mg(self, pushed_mg: FloatArray, env: EnvironmentChunk) -> FloatArray:
        """What a scale shows of the syringe, in mg of steel weights; the empty one has the buoyancy of steel."""
        air = air_density(env.pressure_hpa, env.humidity_percent, env.lab_degc)
        fluid = self._fluid.density_kg_per_m3(env.lab_degc)
        shown: FloatArray = self._full_mg - pushed_mg * (1.0 - air / fluid) / (1.0 - air / STEEL_KG_PER_M3)
        return shown

    def _swelling(self, env: EnvironmentChunk) -> FloatArray:
        """Volume at the pump's temperature over that at the laboratory's, in each interval."""
        swelling: FloatArray = water_density(env.lab_degc[1:]) / water_density(env.bath_degc[1:])
        return swelling


@dataclass(frozen=True, slots=True)
class RefillState:
    """Volumes since the start of the run: taken up by the reservoir, gone to the pocket; and what the syringe holds."""

    refilled_ul: float = 0.0
    pocket_ul: float = 0.0
    vented_ul: float = 0.0
    held_ul: float = 0.0  # compressed when positive, vacuum when negative
    needle_ul_per_s: float = 0.0  # flow of the last interval


@dataclass(frozen=True, slots=True)
class RefillChunk:
    """The port at the n + 1 grid points of a chunk."""

    refilled_ul: FloatArray
    pocket_ul: FloatArray
    vented_ul: FloatArray
    held_ul: FloatArray
    needle_ul_per_s: FloatArray


@dataclass(frozen=True, slots=True)
class PortSettings:
    """What can change at the port: share that goes beside it, vent, where its valve closes, a syringe taken off."""

    pocket_share: Timeline
    vent_is_open: Timeline
    capacity_shift_ul: Timeline
    syringe_is_off: Timeline


@dataclass(frozen=True, slots=True)
class AtReservoir:
    """What the port meets in a chunk.

    Attributes
    ----------
    volume_ul, pressure_kpa : of the reservoir at the start of the chunk.
    pump_ul : what the pump has taken since the start of the run (n + 1,).
    reached : (n,) whether the needle ends in the reservoir.
    punctures : (n,) of the septum; where the needle ends decides how much of the last drops it gets.
    viscosity : of the fluid in the needle, over that of water at 22 degC.
    """

    volume_ul: float
    pressure_kpa: float
    pump_ul: FloatArray
    reached: BoolArray
    punctures: FloatArray
    viscosity: float = 1.0


class RefillPort:
    """A needle in the refill port."""

    def __init__(self, draws: Draws, noise: Noise, settings: PortSettings) -> None:
        self._settings = settings
        self._noise = noise
        self._capacity_ul = draws["reservoir.capacity_ul"]
        self._stop_ul = draws["reservoir.stop_volume_ul"]
        self._dead_ul = draws["reservoir.dead_volume_ul"]
        self._dead_spread_ul = draws["reservoir.dead_spread_ul"]
        self._resistance = draws["pusher.needle_kpa_s_per_ul"]
        self._stiffness = 1.0 / draws["pusher.shut_compliance_ul_per_kpa"]

    def advance(
        self, state: RefillState, k0: int, plunger_ul: FloatArray | None, at: AtReservoir
    ) -> tuple[RefillChunk, FloatArray | None, RefillState]:
        """Compute one chunk.

        Parameters
        ----------
        plunger_ul : what the plunger sweeps in each interval (n,), None while it stands.

        Returns
        -------
        the port's chunk, what left the syringe in each interval, and the state at the end.
        """
        vented = self._settings.vent_is_open.over(k0, k0 + CHUNK) > 0.0
        drains = bool((vented & at.reached).any())
        if plunger_ul is None and not state.held_ul and not state.needle_ul_per_s and not drains:
            still = np.zeros(CHUNK + 1)
            volumes = (state.refilled_ul + still, state.pocket_ul + still, state.vented_ul + still)
            return RefillChunk(*volumes, still, still), None, state
        plunger = np.zeros(CHUNK) if plunger_ul is None else plunger_ul
        shares = np.where(at.reached, self._settings.pocket_share.over(k0, k0 + CHUNK), 1.0)
        capacity = self._capacity_ul + self._settings.capacity_shift_ul.over(k0, k0 + CHUNK)
        off = self._settings.syringe_is_off.over(k0, k0 + CHUNK) > 0.0
        intervals = (np.diff(at.pump_ul), plunger, at.reached, shares, vented, off, capacity, self._dead(at.punctures))
        through, left, held = self._followed(
            state.held_ul, at, zip(*(each.tolist() for each in intervals), strict=True)
        )
        aside = shares * np.maximum(through, 0.0)
        sums = ((through - aside, state.refilled_ul), (aside, state.pocket_ul), (left - through, state.vented_ul))
        refilled, pocket, waste = (running_sum(steps, start) for steps, start in sums)
        flow = np.concatenate(([state.needle_ul_per_s], through / DT_S))
        end = RefillState(*(float(column[-1]) for column in (refilled, pocket, waste, held, flow)))
        return RefillChunk(refilled, pocket, waste, held, flow), left, end

    def _followed(
        self,
        held_ul: float,
        at: AtReservoir,
        intervals: Iterable[tuple[float, float, bool, float, bool, bool, float, float]],
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Volume through the needle and out of the syringe in each interval (n,), and what is held (n + 1,).

        An interval is what the pump takes and the plunger sweeps, whether the needle ends in the reservoir, the share
        that goes beside it, whether the vent is open and the syringe off, and the volumes at which the reservoir is
        full and empty.
        """
        through, left, held, volume = list[float](), list[float](), [held_ul], at.volume_ul
        for taken, plunger, reached, share, vented, off, capacity, dead in intervals:
            volume -= taken
            if off:
                held_ul = max(held_ul, 0.0)
            if vented:
                passed = -(self._pressed_back(volume, dead, at) if reached else 0.0)
                left.append(plunger + held_ul)
                held_ul = 0.0
            else:
                wanted = held_ul + plunger
                if wanted >= 0.0:
                    passed = wanted if share >= 1.0 else min(wanted, max(capacity - volume, 0.0) / (1.0 - share))
                elif plunger >= 0.0 or not reached:
                    passed = 0.0  # the vacuum fills first
                else:
                    passed = -min(-wanted, -plunger, max(volume - dead, 0.0))
                left.append(passed)
                held_ul = held_ul + plunger - passed
            through.append(passed)
            held.append(held_ul)
            volume += passed - share * max(passed, 0.0)
        return np.array(through), np.array(left), np.array(held)

    def _pressed_back(self, volume: float, dead_ul: float, at: AtReservoir) -> float:
        """Volume that the reservoir presses out through the needle into the open vent in one interval."""
        if at.pressure_kpa <= 0.0:
            return 0.0
        flow = at.pressure_kpa * min(volume / self._stop_ul, 1.0) / (self._resistance * at.viscosity)
        return min(flow * DT_S, max(volume - dead_ul, 0.0))

    def _dead(self, punctures: FloatArray) -> FloatArray:
        """Volume that this needle cannot draw, in each interval."""
        if not self._dead_spread_ul:
            return np.full(CHUNK, self._dead_ul)
        dead = np.empty(CHUNK)
        for n in np.unique(punctures):
            z = float(self._noise.normals("emptying", int(n), 1)[0])
            dead[punctures == n] = max(self._dead_ul + self._dead_spread_ul * z, 0.0)
        return dead

    def pressure_kpa(
        self, chunk: RefillChunk, reservoir_kpa: FloatArray, reached: BoolArray, viscosity: float
    ) -> FloatArray:
        """Gauge pressure in the syringe: the reservoir's, the needle's drop, and what the valve holds back.

        ``reached`` has the n + 1 grid points: before a needle that ends elsewhere there is no reservoir.  ``viscosity``
        is that of `AtReservoir`.
        """
        behind = np.where(reached, reservoir_kpa, 0.0)
        pressure = behind + self._resistance * viscosity * chunk.needle_ul_per_s + self._stiffness * chunk.held_ul
        return np.maximum(pressure, -STANDARD_ATMOSPHERE_KPA)
