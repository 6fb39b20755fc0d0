"""What a closed line takes: a known volume pushed into it tells its compliance, its creep and its leak.

Units: kPa, uL, s, uL/s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.grid import BoolArray, RecordError
from protocols.analysis.occlusion.regression import Fit, least_squares
from protocols.analysis.occlusion.rise import initial_slope, integrated

CREEP_S = tuple(60.0 * 1.2**k for k in range(16))
"""Time constants that are tried, 1 min to 15 min; what creeps more slowly looks like a leak in a short record."""

LEAST_SAMPLES = 30
LEAST_RISE_KPA = 2.0
"""A metered step that raises the pressure by less met no closed line."""

FROM, TO = 0.1, 0.95
"""The part of the rise that is used: valve, plunger and the transducer's play have settled, the motor still runs."""

SETTLED = 0.2
"""So much of the record after the step is left out: a transducer with play shows no fall at first."""


@dataclass(frozen=True, slots=True)
class ClosedLine:
    """The law V = C p + C_creep x + G (integral of p dt), where x follows p with the time constant of the creep.

    Attributes
    ----------
    ul_per_kpa, u_ul_per_kpa : what the line takes at once.
    creep_ul_per_kpa, creep_s : what it takes later, and how soon.
    leak_ul_per_s_kpa, u_leak : what it loses for each kPa.
    """

    ul_per_kpa: float
    u_ul_per_kpa: float
    creep_ul_per_kpa: float = 0.0
    creep_s: float = math.inf
    leak_ul_per_s_kpa: float = 0.0
    u_leak: float = 0.0

    @property
    def creep_share(self) -> float:
        """What it takes later over what it takes at once."""
        return self.creep_ul_per_kpa / self.ul_per_kpa

    def taken_ul(self, t_s: FloatArray, rise_kpa: FloatArray) -> FloatArray:
        """Volume (n,) that a rise (n,) from 0 at time 0 has put into the line, its leak included."""
        taken = self.ul_per_kpa * rise_kpa + self.leak_ul_per_s_kpa * integrated(t_s, rise_kpa)
        if self.creep_ul_per_kpa:
            taken = taken + self.creep_ul_per_kpa * followed(t_s, rise_kpa, self.creep_s)
        return np.asarray(taken, dtype=np.float64)

    def given_back_ul(self, t_s: FloatArray, rise_kpa: FloatArray, after_s: float) -> float:
        """What an opened line gives back of a rise (n,) within a time, at whose end it is at rest but for the creep."""
        crept = 0.0
        if self.creep_ul_per_kpa:
            stretched = float(followed(t_s, rise_kpa, self.creep_s)[-1])
            crept = self.creep_ul_per_kpa * stretched * -math.expm1(-after_s / self.creep_s)
        return self.ul_per_kpa * float(rise_kpa[-1]) + crept


def followed(t_s: FloatArray, values: FloatArray, lag_s: float) -> FloatArray:
    """Values (n,) through a first-order lag, from 0 at time 0; straight between samples."""
    out = np.empty(values.size)
    x, before, at = 0.0, 0.0, 0.0
    for k, (t, value) in enumerate(zip(t_s.tolist(), values.tolist(), strict=True)):
        dt = t - at
        if dt > 0.0:
            kept = math.exp(-dt / lag_s)
            share = lag_s / dt * (1.0 - kept)  # mean of the weight of the end of the interval
            x = kept * x + (share - kept) * before + (1.0 - share) * value
        out[k], before, at = x, value, t
    return out


def metered_step(
    t_s: FloatArray, rise_kpa: FloatArray, held_s: float, flow_ul_per_s: float, u_flow: float, u_gain: float
) -> ClosedLine:
    """The line from a step of a syringe pump.

    Parameters
    ----------
    t_s, rise_kpa : (n,) since the syringe pump began, and the rise over the pressure before.
    held_s : from when on the syringe stood.
    flow_ul_per_s : what it pushed, ``u_flow`` the relative standard uncertainty of that.
    u_gain : relative standard uncertainty of the transducer's gain.

    Raises
    ------
    RecordError
        When the line was not closed, or the record is too short.

    Notes
    -----
    The compliance is the flow over the slope of the rise at its beginning (`rise.initial_slope`): the syringe does not
    slow as pressure rises.  Creep and leak come from the time after it: V is constant there, so
    p = const - (C_creep/C) x - (G/C) (integral of p), linear in what is sought, with x and the integral known from the
    record.  Neither is negative.  The time constant is that with the smallest residuals, and which of the two there is
    the Bayesian information criterion decides.
    """
    top = float(np.max(rise_kpa)) if rise_kpa.size else 0.0
    if not top > LEAST_RISE_KPA:
        raise RecordError("the pressure did not rise while the syringe pump pushed; the line is open or the pump idle")
    pushed = (t_s < held_s) & (rise_kpa >= FROM * top) & (rise_kpa <= TO * top)
    held = t_s >= held_s + SETTLED * (float(t_s[-1]) - held_s)
    if min(int(pushed.sum()), int(held.sum())) < LEAST_SAMPLES:
        raise RecordError("the metered step was recorded too briefly to make a compliance; let it last longer")
    law = initial_slope(t_s[pushed], rise_kpa[pushed])
    if law is None or not law.slope_kpa_per_s > 0.0:
        raise RecordError("the pressure did not rise while the syringe pump pushed; the line is open or the pump idle")
    compliance = flow_ul_per_s / law.slope_kpa_per_s
    u = compliance * math.hypot(u_flow, u_gain, law.u_slope / law.slope_kpa_per_s)
    creep, lag_s, leak, u_leak = _afterwards(t_s, rise_kpa, held)
    return ClosedLine(compliance, u, compliance * creep, lag_s, compliance * leak, compliance * u_leak)


def _afterwards(t_s: FloatArray, rise_kpa: FloatArray, held: BoolArray) -> tuple[float, float, float, float]:
    """Share of creep, its time constant, leak over compliance, and the standard uncertainty of that."""
    p, ones = rise_kpa[held], np.ones(int(held.sum()))
    losses = integrated(t_s, rise_kpa)[held]
    lagging = [(lag_s, followed(t_s, rise_kpa, lag_s)[held]) for lag_s in CREEP_S]
    choices: list[tuple[float, Fit, float, int | None, int | None]] = []  # score, fit, lag, place of creep and of leak

    def consider(columns: list[FloatArray], lag_s: float, creep: int | None, leak: int | None) -> None:
        fit = least_squares(columns, p)
        if fit is None or any(k is not None and fit.coefficients[k] < 0.0 for k in (creep, leak)):
            return
        unknowns = len(columns) + (creep is not None)
        score = p.size * math.log(max(fit.rss, 1e-12) / p.size) + unknowns * math.log(p.size)
        choices.append((score, fit, lag_s, creep, leak))

    consider([ones], math.inf, None, None)
    consider([ones, -losses], math.inf, None, 1)
    for lag_s, followed_kpa in lagging:
        consider([ones, -followed_kpa], lag_s, 1, None)
        consider([ones, -followed_kpa, -losses], lag_s, 1, 2)
    _, fit, lag_s, creep, leak = min(choices, key=lambda choice: choice[0])
    share = 0.0 if creep is None else fit.coefficients[creep]
    hours_kpa = float(losses[-1] - losses[0])
    u_leak = fit.u(leak) if leak is not None else 2.0 * fit.rms / hours_kpa if hours_kpa > 0.0 else 0.0
    return share, lag_s, 0.0 if leak is None else fit.coefficients[leak], u_leak
