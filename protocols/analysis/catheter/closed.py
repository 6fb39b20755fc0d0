"""The closed line under proof pressure: compliance from the ramp, leak from the second half of the decay.

Units: kPa, uL, s; leaks in uL/h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from protocols.analysis.budget import Component
from protocols.analysis.catheter.record import HOUR_S, CatheterRecord
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.line import ClosedLine, followed, metered_step
from protocols.analysis.occlusion.regression import least_squares
from protocols.analysis.occlusion.rise import integrated

REACHED = 0.95
"""A ramp that ended below this share of its aim met a line that is not closed, or that leaks what is pushed."""

LEAST_DECAY_S = 300.0

CREEP_UNKNOWN = 0.1
"""Standard uncertainty of what creep takes off the judged half, as a share of it: silicone is no single exponential."""


@dataclass(frozen=True, slots=True)
class Decay:
    """What a line under proof pressure takes and loses.

    Attributes
    ----------
    reached : whether it came to its pressure; otherwise the leak is at least what was pushed at the end.
    ul_per_kpa, u_ul_per_kpa : its compliance.
    leak_ul_per_h : at the mean pressure ``kpa`` of the judged half, with its components.
    gained : share of what was pushed that the balance gained meanwhile.
    """

    reached: bool
    ul_per_kpa: float
    u_ul_per_kpa: float
    leak_ul_per_h: float
    kpa: float
    components: tuple[Component, ...]
    gained: float
    creep_share: float = 0.0

    @property
    def u_ul_per_h(self) -> float:
        """Standard uncertainty of the leak."""
        return math.sqrt(math.fsum(one.u**2 for one in self.components))


def decay(record: CatheterRecord, what: str, told: float, u_told: float) -> Decay:
    """Read the test "proof" (with the catheter) or "rig" (with the bridge); raises RecordError where it is not there.

    Parameters
    ----------
    told : volume for each microlitre that the syringe pump was told, and its relative standard uncertainty.

    Notes
    -----
    V = C p + C_creep x + G (integral of p): C from the beginning of the ramp, the creep from all of the record, and the
    leak G from the second half of the decay alone, with what creep still takes there taken off.
    """
    closed, ramp, hold = (record.span(f"{what}-{part}") for part in ("closed", "ramp", "creep"))
    base = record.mean_kpa("outlet_pressure", closed)[0]
    rate = float(record.params["raise_ul_per_h"]) * (1.0 if what == "proof" else 0.4) / HOUR_S * told
    gained = _gained(record, closed, ramp, hold, rate)
    begun_s = record.counted_ul(f"{what}-begin")[1]
    _, rising = record.pressure(*ramp)
    if rising.size == 0 or float(rising.max()) < REACHED * float(record.params["proof_kpa"]):
        top = max(float(rising.max()) - base if rising.size else 0.0, 1e-3)
        return Decay(False, 0.0, 0.0, rate * HOUR_S, top, (), gained)
    end_s = record.span(f"{what}-decay")[1]
    judged_s = (record.span(f"{what}-decay")[0] + end_s) / 2.0
    if end_s - judged_s < LEAST_DECAY_S / 2.0:
        raise RecordError("the decay was recorded too briefly")
    parts = (record.pressure(begun_s, hold[0]), record.pressure(hold[0], end_s))  # a long decay must not thin the ramp
    t_s, pressure = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    line = metered_step(t_s - begun_s, pressure - base, hold[0] - begun_s, rate, u_told, record.u_gain)
    rise, since = pressure - base, t_s - begun_s
    losses = integrated(since, rise)
    crept = followed(since, rise, line.creep_s) if line.creep_ul_per_kpa else 0.0 * rise
    held = rise + line.creep_share * crept
    half = t_s >= judged_s
    ones = 0.0 * losses[half] + 1.0
    fit = least_squares([ones, losses[half]], held[half])
    if fit is None:
        raise RecordError("the decay was recorded too briefly")
    mean = math.fsum(rise[half].tolist()) / int(half.sum())
    hours = float(t_s[half][-1] - t_s[half][0]) / HOUR_S
    swelled, u_swelled = record.warming_ul(judged_s, end_s)
    leak = -line.ul_per_kpa * fit.coefficients[1] * mean * HOUR_S + swelled / hours
    creeping = line.creep_ul_per_kpa * abs(float(crept[half][-1] - crept[half][0])) / hours
    return Decay(
        True,
        line.ul_per_kpa,
        line.u_ul_per_kpa,
        leak,
        mean,
        _components(line, leak, mean * fit.u(1), u_swelled / hours, creeping),
        gained,
        line.creep_share,
    )


def _components(
    line: ClosedLine, leak_ul_per_h: float, u_slope: float, u_swelling: float, creeping: float
) -> tuple[Component, ...]:
    """Of a leak, in uL/h; ``u_slope`` in kPa/s."""
    return (
        Component("scatter of the pressure", line.ul_per_kpa * u_slope * HOUR_S),
        Component("compliance", abs(leak_ul_per_h) * line.u_ul_per_kpa / line.ul_per_kpa),
        Component("warming of the fluid", u_swelling),
        Component("creep", CREEP_UNKNOWN * creeping),
    )


def _gained(
    record: CatheterRecord,
    closed: tuple[float, float],
    ramp: tuple[float, float],
    hold: tuple[float, float],
    rate_ul_per_s: float,
) -> float:
    """Share of what was pushed up that the balance gained behind the closed valve."""
    pushed = rate_ul_per_s * max(ramp[1] - ramp[0], 1.0)
    after = (hold[0], min(hold[0] + 30.0, hold[1]))
    return (record.level_mg(after) - record.level_mg(closed)) * record.ul_per_mg / pushed
