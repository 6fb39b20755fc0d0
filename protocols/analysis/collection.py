"""What a vessel on a balance collected: from indications to delivered volume with its budget.

Everything that the balance shows besides delivery is taken off here: the certificate's correction, the buoyancy of the
vessel in air of changing density, evaporation (with the balance's own steady drift, which a blank on the same balance
cannot tell from it, and one on another balance does not know of), the buoyancy of the fluid and of the immersed tube.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.samples import FloatArray
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.evaporation import HOUR_S, Blank, Evaporation, blank
from protocols.analysis.flow_budget import STANDARD_AIR_MG_PER_UL_AND_HPA, Weighing, volume_budget
from protocols.analysis.gravimetry import immersion_factor, volume_ul

BUOYANT_VOLUME_SHARE = 0.1
"""Relative standard uncertainty of the volume of vessel and contents."""

EVAPORATION_VARIES = 0.08
"""Relative standard deviation of a mean rate of loss about the line between two blanks: humidity and temperature of a
laboratory that changes by 1 K and 10 % relative humidity over a day."""

BAROMETER_HPA = 0.5
"""Standard uncertainty of a change of air pressure within a run, with the room's temperature."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A second vessel on a second balance, whose record is the blank: what it does not tell of the first ones.

    Attributes
    ----------
    drifts_mg_per_day : half-widths of the steady drift of the balance under the vessel, and of that under the twin.
    mg_per_k : standard uncertainty of the twin's balance's temperature coefficient, times its load.
    u_ratio : relative standard uncertainty of what the vessel loses over what the twin loses.
    """

    drifts_mg_per_day: tuple[float, float]
    mg_per_k: float
    u_ratio: float


@dataclass(frozen=True)
class Collection:
    """Indications of a balance under a vessel, corrected, with what is needed to turn a gain into a volume.

    Attributes
    ----------
    t_s, mass_mg : (n,) good samples, corrected by `corrected_mass_mg`.
    air_mg_per_ul, room_degc : (n,) density of the air and temperature of the room at the samples.
    evaporation : rate of loss from the blanks, as the balance shows it.
    weighing : inputs of the budget; its evaporation entries are filled in for each interval.
    zero_walk_mg : standard deviation of the wander of the zero after one hour.
    mg_per_k : standard uncertainty of the balance's temperature coefficient, times its load.
    u_line_mg_per_k : standard uncertainty of what the line's breathing was taken for in the blanks; 0 where it does not
        reach the vessel in them, or was left in.
    twin : where the blank is the record of a twin vessel.
    """

    t_s: FloatArray
    mass_mg: FloatArray
    air_mg_per_ul: FloatArray
    room_degc: FloatArray
    evaporation: Evaporation
    weighing: Weighing
    zero_walk_mg: float
    mg_per_k: float
    u_line_mg_per_k: float = 0.0
    twin: Twin | None = None

    def shown_mg(self, t_s: FloatArray) -> FloatArray:
        """Corrected indication at any times, by linear interpolation of mass."""
        return np.asarray(np.interp(t_s, self.t_s, self.mass_mg), dtype=np.float64)

    def volume_ul(self, from_s: float, t_s: FloatArray) -> FloatArray:
        """Delivered volume from ``from_s`` to each time, at the reference temperature of the fluid's density.

        Parameters
        ----------
        t_s : (m,) times within the record.
        """
        gained = self.shown_mg(t_s) - float(self.shown_mg(np.array([from_s]))[0])
        lost = self.evaporation.lost_mg(from_s, t_s)
        return np.asarray((gained + lost) * self.ul_per_mg, dtype=np.float64)

    @property
    def ul_per_mg(self) -> float:
        """Delivered volume for one milligram on the balance, tube immersed."""
        w = self.weighing
        immersion = immersion_factor(w.tube_diameter_mm, w.vessel_diameter_mm)
        return volume_ul(1.0, 0.0, w.fluid_mg_per_ul, w.air_mg_per_ul, immersion)

    def delivered(self, from_s: float, to_s: float) -> tuple[float, Budget]:
        """Volume delivered in an interval, in uL, with its budget."""
        volume = float(self.volume_ul(from_s, np.array([to_s]))[0])
        hours = (to_s - from_s) / HOUR_S
        loss = self.evaporation.component(from_s, to_s)
        air = np.interp([from_s, to_s], self.t_s, self.air_mg_per_ul)
        change_hpa = float(air[1] - air[0]) / (STANDARD_AIR_MG_PER_UL_AND_HPA[0] / STANDARD_AIR_MG_PER_UL_AND_HPA[1])
        weighing = replace(
            self.weighing,
            u_evaporation_mg_per_h=loss.u,
            evaporation_dof=loss.dof,
            # The linear part of the drift is in blanks on the same balance; what is left is the walk below.
            drift_half_width_mg_per_day=self.twin.drifts_mg_per_day[0] if self.twin else 0.0,
            barometric_half_width_hpa=math.sqrt(3.0) * math.hypot(BUOYANT_VOLUME_SHARE * change_hpa, BAROMETER_HPA),
        )
        budget = volume_budget(abs(volume), hours, weighing)
        walk = Component("zero walk", self.zero_walk_mg * math.sqrt(hours) * self.ul_per_mg)
        warming = self._u_by_warming_mg(from_s, to_s) * self.ul_per_mg
        rate = abs(float(self.evaporation.rate_mg_per_h((from_s + to_s) / 2.0)))
        weather = Component("evaporation between blanks", EVAPORATION_VARIES * rate * hours * self.ul_per_mg)
        parts = [walk, Component("balance temperature", warming), weather]
        if self.u_line_mg_per_k > 0.0:
            breathed = self.u_line_mg_per_k * abs(self._blanks_warming_k_per_s()) * (to_s - from_s)
            parts.append(Component("breathing of the line", breathed * self.ul_per_mg))
        if self.twin is not None:
            drifted = self.twin.drifts_mg_per_day[1] * hours / 24.0
            parts.append(bounded("zero drift of the twin's balance", drifted * self.ul_per_mg))
            parts.append(Component("loss of the twin vessel", self.twin.u_ratio * rate * hours * self.ul_per_mg))
        return volume, budget.plus(*parts)

    def warming_k(self, from_s: float, to_s: float) -> float:
        """Change of the room's temperature in an interval."""
        return float(np.diff(np.interp([from_s, to_s], self.t_s, self.room_degc))[0])

    def _u_by_warming_mg(self, from_s: float, to_s: float) -> float:
        """Standard uncertainty of a gain because the room's temperature changed.

        A balance that follows the temperature shows a false rate in each blank, which the correction spreads over the
        interval; where the blanks are of another balance, each of them errs by itself.
        """
        gained, spread = self.warming_k(from_s, to_s), self._blanks_warming_k_per_s() * (to_s - from_s)
        if self.twin is None:
            return self.mg_per_k * abs(gained - spread)
        return math.hypot(self.mg_per_k * gained, self.twin.mg_per_k * spread)

    def u_drift_by_warming_mg_per_h(self) -> float:
        """Standard uncertainty of the blanks' mean rate because the room warmed or cooled during them."""
        own = self.mg_per_k if self.twin is None else self.twin.mg_per_k
        per_k = math.hypot(own, self.u_line_mg_per_k)
        return per_k * abs(self._blanks_warming_k_per_s()) * HOUR_S

    def _blanks_warming_k_per_s(self) -> float:
        rates = [self.warming_k(one.from_s, one.to_s) / (one.to_s - one.from_s) for one in self.evaporation.blanks]
        weights = self.evaporation.weights
        if weights is None:
            return math.fsum(rates) / len(rates)
        return math.fsum(weight * rate for weight, rate in zip(weights, rates, strict=True))


def corrected_mass_mg(
    indication_mg: FloatArray,
    air_mg_per_ul: FloatArray,
    buoyant_volume_ul: float,
    gain: float = 1.0,
    offset_mg: float = 0.0,
) -> FloatArray:
    """Indications with the certificate's correction, and as they would be in air of the first sample's density.

    Parameters
    ----------
    indication_mg, air_mg_per_ul : (n,) what the balance showed, and the density of the air then.
    buoyant_volume_ul : volume of vessel and contents.

    Notes
    -----
    All of their volume: a cell holds a force, and the weight by which it was adjusted is off the pan.  Less that
    weight's volume would be right of a balance that is adjusted anew for each reading.
    """
    air = air_mg_per_ul - air_mg_per_ul[0]
    return np.asarray(gain * (indication_mg + offset_mg) + air * buoyant_volume_ul, dtype=np.float64)


def blanks_of(
    t_s: FloatArray, mass_mg: FloatArray, phases: Sequence[tuple[float, float]], readability_mg: float, settle_s: float
) -> tuple[Blank, ...]:
    """One blank a phase in which nothing was delivered; the first ``settle_s`` of each are left out."""
    found = []
    for from_s, to_s in phases:
        inside = (t_s >= from_s + settle_s) & (t_s <= to_s)
        found.append(blank(t_s[inside], mass_mg[inside], readability_mg))
    return tuple(found)


def gap_s(t_s: FloatArray, from_s: float, to_s: float) -> tuple[float, float]:
    """Total and longest time without a sample in an interval, beyond three times the median spacing.

    Parameters
    ----------
    t_s : (n,) times of the good samples, rising.
    """
    inside = t_s[(t_s >= from_s) & (t_s <= to_s)]
    if inside.size < 3:
        return to_s - from_s, to_s - from_s
    edges = np.concatenate([[from_s], inside, [to_s]])
    spacing = np.diff(edges)
    usual = float(np.median(spacing))
    gaps = spacing[spacing > 3.0 * usual] - usual
    return float(gaps.sum()), float(gaps.max(initial=0.0))
