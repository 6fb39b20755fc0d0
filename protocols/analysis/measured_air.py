"""The air around a vessel, by what the station measures of it: its density and its temperature."""

from __future__ import annotations

import numpy as np

from data.run import Run, Series
from data.samples import FloatArray
from protocols.analysis import gravimetry

STANDARD_AIR = (20.0, 1013.25, 50.0)  # degC, hPa, %RH, where the station does not measure them
AIR = ("room_temperature", "ambient_pressure", "humidity")
"""Roles that measure them."""

HPA_PER_KPA = 10.0
AIR_GRID_S = 300.0


def air_at(run: Run, t_s: FloatArray) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Density of the air and temperature of the room at each sample, from what the station measures of them.

    With them come the roles that were to measure it and gave no good sample.
    """
    grid = np.arange(t_s[0], t_s[-1] + AIR_GRID_S, AIR_GRID_S)
    measured = {role: _on_grid(run.corrected(role).good(), grid) for role in AIR if run.has(role)}
    lost = tuple(role for role, means in measured.items() if means is None)
    room, hpa, humidity = (
        np.full(grid.size, usual) if (means := measured.get(role)) is None else means * scale
        for role, scale, usual in zip(AIR, (1.0, HPA_PER_KPA, 1.0), STANDARD_AIR, strict=True)
    )
    density = [
        gravimetry.air_density_mg_per_ul(*point)
        for point in zip(room.tolist(), hpa.tolist(), humidity.tolist(), strict=True)
    ]
    at_samples = np.interp(t_s, grid, density), np.interp(t_s, grid, room)
    return np.asarray(at_samples[0]), np.asarray(at_samples[1]), lost


def _on_grid(series: Series, grid: FloatArray) -> FloatArray | None:
    """Means of the good samples of a slow channel around each grid point; None where it has none around any."""
    edges = np.searchsorted(series.t, np.concatenate([grid - AIR_GRID_S / 2.0, [grid[-1] + AIR_GRID_S / 2.0]]))
    sums = np.concatenate([[0.0], np.cumsum(series.values)])
    count = np.diff(edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (sums[edges[1:]] - sums[edges[:-1]]) / count
    known = count > 0
    return np.asarray(np.interp(grid, grid[known], means[known]), dtype=np.float64) if known.any() else None
