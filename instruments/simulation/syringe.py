"""A syringe pump, and the refill port that it may stand at.

The syringe has the laboratory's temperature; what it pushes counts in the plant at the pump's temperature, as all
volumes do, so that no mass is lost.  At the access port its flow is a source of the line.  At the refill port the
plunger's volume is book-kept interval by interval: what the reservoir cannot take when its valve has closed at
capacity is held in syringe and needle under pressure, and what it cannot give is a vacuum there; both go in or come
back before anything else moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruments.simulation.environment import EnvironmentChunk
from instruments.simulation.grid import CHUNK, DT_S, Timeline
from instruments.simulation.parameters import Draws
from instruments.simulation.properties import STANDARD_ATMOSPHERE_KPA, water_density
from instruments.simulation.signal import FloatArray
from instruments.simulation.stepping import running_sum
from instruments.simulation.weighing import Fluid


@dataclass(frozen=True, slots=True)
class SyringeState:
    """What has left the syringe since the start of the run, less what came back: volumes, and mass."""

    pushed_ul: float = 0.0
    inflow_ul: float = 0.0
    pushed_mg: float = 0.0


@dataclass(frozen=True, slots=True)
class SyringeChunk:
    """The syringe at the n + 1 grid points of a chunk.

    ``pushed_ul`` is the volume at the syringe's temperature, ``inflow_ul`` the same at the pump's.
    """

    pushed_ul: FloatArray
    inflow_ul: FloatArray
    pushed_mg: FloatArray
    syringe_mg: FloatArray


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
        return SyringeChunk(pushed, inflow, mass, self._full_mg - mass), end

    def _swelling(self, env: EnvironmentChunk) -> FloatArray:
        """Volume at the pump's temperature over that at the laboratory's, in each interval."""
        swelling: FloatArray = water_density(env.lab_degc[1:]) / water_density(env.bath_degc[1:])
        return swelling


@dataclass(frozen=True, slots=True)
class RefillState:
    """Volumes since the start of the run: taken up by the reservoir, gone to the pocket; and what the syringe holds."""

    refilled_ul: float = 0.0
    pocket_ul: float = 0.0
    held_ul: float = 0.0  # compressed when positive, vacuum when negative
    needle_ul_per_s: float = 0.0  # flow of the last interval


@dataclass(frozen=True, slots=True)
class RefillChunk:
    """The port at the n + 1 grid points of a chunk."""

    refilled_ul: FloatArray
    pocket_ul: FloatArray
    held_ul: FloatArray
    needle_ul_per_s: FloatArray


class RefillPort:
    """A needle in the refill port.

    Parameters
    ----------
    pocket_share : share of what leaves the needle on filling that ends beside the port.
    """

    def __init__(self, draws: Draws, pocket_share: Timeline) -> None:
        self._pocket_share = pocket_share
        self._capacity_ul = draws["reservoir.capacity_ul"]
        self._dead_ul = draws["reservoir.dead_volume_ul"]
        self._resistance = draws["pusher.needle_kpa_s_per_ul"]
        self._stiffness = 1.0 / draws["pusher.shut_compliance_ul_per_kpa"]

    def advance(
        self, state: RefillState, k0: int, plunger_ul: FloatArray | None, reservoir_ul: float, pump_ul: FloatArray
    ) -> tuple[RefillChunk, FloatArray | None, RefillState]:
        """Compute one chunk.

        Parameters
        ----------
        plunger_ul : what the plunger sweeps in each interval (n,), None while it stands.
        reservoir_ul : the reservoir's volume at the start of the chunk.
        pump_ul : what the pump has taken since the start of the run (n + 1,).

        Returns
        -------
        the port's chunk, what went through the needle in each interval, and the state at the end.
        """
        if plunger_ul is None and not state.held_ul and not state.needle_ul_per_s:
            still = np.zeros(CHUNK + 1)
            volumes = (state.refilled_ul + still, state.pocket_ul + still)
            return RefillChunk(*volumes, still, still), None, state
        plunger = np.zeros(CHUNK) if plunger_ul is None else plunger_ul
        share = self._pocket_share.over(k0, k0 + CHUNK)
        through, held = np.zeros(CHUNK), np.full(CHUNK + 1, state.held_ul)
        volume, drawn = reservoir_ul, np.diff(pump_ul)
        for i in range(CHUNK):
            volume -= float(drawn[i])
            passed = self._through_needle(float(plunger[i]), float(held[i]), volume, float(share[i]))
            held[i + 1] = held[i] + plunger[i] - passed
            through[i] = passed
            volume += passed - float(share[i]) * max(passed, 0.0)
        aside = share * np.maximum(through, 0.0)
        refilled, pocket = running_sum(through - aside, state.refilled_ul), running_sum(aside, state.pocket_ul)
        flow = np.concatenate(([state.needle_ul_per_s], through / DT_S))
        end = RefillState(*(float(column[-1]) for column in (refilled, pocket, held, flow)))
        return RefillChunk(refilled, pocket, held, flow), through, end

    def _through_needle(self, plunger: float, held: float, volume: float, share: float) -> float:
        """Volume that goes in (or, when negative, comes out) in one interval."""
        wanted = held + plunger
        if wanted >= 0.0:
            room = max(self._capacity_ul - volume, 0.0)
            return wanted if share >= 1.0 else min(wanted, room / (1.0 - share))
        if plunger >= 0.0:
            return 0.0  # the vacuum fills first
        return -min(-wanted, -plunger, max(volume - self._dead_ul, 0.0))

    def pressure_kpa(self, chunk: RefillChunk, reservoir_kpa: FloatArray) -> FloatArray:
        """Gauge pressure in the syringe: the reservoir's, the needle's drop, and what the valve holds back."""
        pressure = reservoir_kpa + self._resistance * chunk.needle_ul_per_s + self._stiffness * chunk.held_ul
        return np.maximum(pressure, -STANDARD_ATMOSPHERE_KPA)
