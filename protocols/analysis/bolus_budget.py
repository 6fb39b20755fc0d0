"""The uncertainty budget of boluses that a balance saw between stretches of basal flow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from protocols.analysis import gravimetry
from protocols.analysis.bolus import Basal, Jump
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.collection import Collection
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.reading_noise import ReadingNoise

LINEARITY_OVER_MG = 300.0
"""A balance whose deviation from linearity waves over no less than a gram or two of load changes it by its full amount
within that over 2 pi; over a smaller gain it changes in proportion."""

AIR_HPA_PER_SQRT_H = 0.5
"""What is left of the change of air pressure after its correction, growing as a random walk does."""

MG_PER_HPA_UL = 1.184e-6
"""Change of the air's density by 1 hPa, in mg/uL."""

STEADY_U = 2.0
"""Slopes before and after that differ by more than so many of their standard uncertainties differ for a reason."""


def noise_of(record: GravimetricRecord) -> ReadingNoise:
    """What scatters the readings of the run's balance."""
    return noise_under(record.collected)


def noise_under(collected: Collection) -> ReadingNoise:
    """What scatters the readings under a vessel."""
    weighing = collected.weighing
    spacing = float(np.median(np.diff(collected.t_s)))
    reading = math.hypot(weighing.repeatability_mg, weighing.readability_mg / math.sqrt(12.0))
    # The weighing's half-width is for two readings.
    meniscus = weighing.meniscus_half_width_mg / math.sqrt(2.0) / math.sqrt(3.0)
    return ReadingNoise(reading, meniscus, collected.zero_walk_mg, spacing)


def jump_budget(record: GravimetricRecord, jumps: Sequence[Jump], stroke_s: float) -> Budget:
    """Budget in uL of the mean of some jumps; of one, where there is one.

    Notes
    -----
    The readings' part is exact for the weights that each reading has in the mean: neighbouring boluses share their
    basal stretches.  Density and gain are common to all boluses.  Where the basal flow before a bolus differs from that
    after it by more than noise, it is not known when it changed: that adds its difference over the interval.
    """
    collected = record.collected
    per_mg = collected.ul_per_mg
    noise = noise_of(record)
    lines: dict[float, tuple[Basal, list[float]]] = {}  # by the stretch's beginning
    for one in jumps:
        for sign, basal in ((-1.0, one.before), (1.0, one.after)):
            _, sums = lines.setdefault(basal.from_s, (basal, [0.0] * len(basal.blocks_s)))
            for i, weight in enumerate(basal.weights(one.at_s)):
                sums[i] += sign * weight / len(jumps)
    ordered = [lines[key] for key in sorted(lines)]
    at = np.array([t for basal, _ in ordered for t in basal.blocks_s])
    weights = np.array([w for _, parts in ordered for w in parts])
    lengths = np.array([basal.block_s for basal, parts in ordered for _ in parts])
    volumes = collected.volume_ul(record.started_s, at)
    parts_mg = noise.parts_mg(at, volumes, weights, lengths)
    amount = abs(math.fsum(one.amount for one in jumps) / len(jumps))
    hours = (float(at[-1]) - float(at[0])) / 3600.0 / len(jumps)
    weighing = collected.weighing
    per_density = amount / weighing.fluid_mg_per_ul
    immersed = 1.0 - gravimetry.immersion_factor(weighing.tube_diameter_mm, weighing.vessel_diameter_mm)
    linearity = weighing.linearity_half_width_mg * min(1.0, amount / per_mg / LINEARITY_OVER_MG)
    air_mg = AIR_HPA_PER_SQRT_H * math.sqrt(hours) * MG_PER_HPA_UL * weighing.buoyant_volume_ul
    components = [
        *(Component(source, u * per_mg) for source, u in parts_mg),
        bounded("linearity", linearity * per_mg),
        Component("air density on the vessel", air_mg / math.sqrt(len(jumps)) * per_mg),
        bounded("density, composition", per_density * weighing.density_half_width_mg_per_ul),
        Component("immersed tube", amount * immersed * weighing.u_immersion_relative),
        Component("calibration of the balance", amount * weighing.u_calibration_percent / 100.0),
        Component("basal flow changed", _unsteady(noise, jumps, per_mg)),
    ]
    if any(not whole_strokes(basal, stroke_s) for basal, _ in ordered):
        # The pump's wave is within a stroke; a mean over part of one may be off by as much as half of it.
        components.append(bounded("part of a stroke", record.stroke_ul / 2.0 * math.sqrt(2.0 / len(jumps))))
    return Budget("bolus volume", "uL", tuple(components))


def whole_strokes(basal: Basal, stroke_s: float) -> bool:
    """Whether the blocks of a line are whole strokes, so that the pump's wave is not in it."""
    return stroke_s <= 0.0 or abs(basal.block_s - stroke_s) < 1e-6 * stroke_s


def _unsteady(noise: ReadingNoise, jumps: Sequence[Jump], per_mg: float) -> float:
    """What a change of the basal flow makes of the mean, its moment unknown (rectangular over the interval)."""
    total = []
    for one in jumps:
        length = one.after.to_s - one.before.to_s
        sides = [_u_slope(noise, basal) * per_mg for basal in (one.before, one.after)]
        excess = abs(one.after.slope_per_s - one.before.slope_per_s) - STEADY_U * math.hypot(*sides)
        total.append(max(excess, 0.0) * length / math.sqrt(12.0))
    return math.sqrt(math.fsum(u * u for u in total)) / len(total)


def _u_slope(noise: ReadingNoise, basal: Basal) -> float:
    """Standard uncertainty of a slope, in mg/s, from readings, meniscus and walk of blocks on their own."""
    return math.hypot(*(u for _, u in _slope_parts(noise, basal)))


def _slope_parts(noise: ReadingNoise, basal: Basal) -> tuple[tuple[str, float], ...]:
    at = np.array(basal.blocks_s)
    slope = np.array(basal.weights(basal.middle_s + 1.0)) - np.array(basal.weights(basal.middle_s))
    lengths = np.full(at.size, basal.block_s)
    risen = basal.slope_per_s * (at - at[0])
    return noise.parts_mg(at, risen, slope, lengths)


def slope_parts_ul_per_s(record: GravimetricRecord, basal: Basal) -> list[tuple[str, float]]:
    """What the readings make of a line's slope: standard uncertainties in uL/s by their source."""
    per_mg = record.collected.ul_per_mg
    return [(source, u * per_mg) for source, u in _slope_parts(noise_of(record), basal)]


def slope_u_ul_per_s(record: GravimetricRecord, basal: Basal) -> float:
    """Standard uncertainty of a line's slope, in uL/s."""
    return _u_slope(noise_of(record), basal) * record.collected.ul_per_mg


def line_u_ul(record: GravimetricRecord, basal: Basal, at_s: float) -> float:
    """Standard uncertainty in uL of a line at a time against the record's own point there."""
    at = np.array(basal.blocks_s)
    weights = np.append(np.array(basal.weights(at_s)), -1.0)
    times = np.append(at, at_s)
    order = np.argsort(times, kind="stable")
    risen = basal.slope_per_s * (times - times[0])
    lengths = np.full(times.size, basal.block_s)
    parts = noise_of(record).parts_mg(times[order], risen[order], weights[order], lengths[order])
    return math.hypot(*(u for _, u in parts)) * record.collected.ul_per_mg
