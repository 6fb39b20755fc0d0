"""Forced flow: the resistance of what is in the line, and what share of the flow arrives.

Units: kPa, uL, s.  Volumes are those at 20 degC unless a name says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from protocols.analysis.catheter.record import EDGE_S, FLOWS, HOUR_S, CatheterRecord
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.regression import least_squares

EARLY_S = 1.0
"""A phase that ended so much before its time was given up, or cut off with the run."""

LEAST_S, FILLED_S = 25.0, 5.0
"""The shortest forced flow that says something, and how soon after its start the balance sees it."""

LEAST_READINGS = 8
"""Of the balance, for a slope."""


@dataclass(frozen=True, slots=True)
class Push:
    """One forced flow.

    Attributes
    ----------
    rate_ul_per_s : what the syringe pump pushed, by what it was told and its certificate.
    kpa, u_kpa : mean outlet pressure and its scatter's standard uncertainty.
    arrived, u_arrived : what the balance gained over that; None where it gave too little.
    blocked : whether it was given up.
    """

    name: str
    rate_ul_per_s: float
    kpa: float
    u_kpa: float
    arrived: float | None
    u_arrived: float
    blocked: bool


def push(record: CatheterRecord, name: str, rate_ul_per_h: float, planned_s: float) -> Push:
    """Read one forced flow; raises RecordError where it never came."""
    settling, span = record.span(f"{name}-settle"), record.span(name)
    rate, given_up_kpa = rate_ul_per_h / HOUR_S, float(record.run.params["blocked_kpa"])
    if span[1] - span[0] < planned_s - EARLY_S:
        top = record.pressure(settling[0], span[1] + 1.0)[1].max()
        if float(top) >= given_up_kpa:
            return Push(name, rate, float(top), 0.0, None, 0.0, True)
        if span[1] - settling[0] < LEAST_S:
            raise RecordError(f'phase "{name}" was cut off')
        span = (settling[0] + FILLED_S, span[1])  # an interlock ended the run: what there is has to do
    span = (span[0] + EDGE_S[0], span[1] - EDGE_S[1])
    kpa, u_kpa = record.mean_kpa("outlet_pressure", span)
    arrived, u_arrived = _arrived(record, span, rate)
    return Push(name, rate, kpa, u_kpa, arrived, u_arrived, False)


def _arrived(record: CatheterRecord, span: tuple[float, float], rate_ul_per_s: float) -> tuple[float | None, float]:
    """Share that arrived, by the slope of the balance."""
    try:
        t_s, mass_mg = record.mass(span)
    except RecordError:
        return None, 0.0
    since = t_s - t_s[0]
    fit = least_squares([np.ones(since.size), since], mass_mg) if since.size >= LEAST_READINGS else None
    if fit is None:
        return None, 0.0
    scale = record.ul_per_mg / rate_ul_per_s
    u_mg_per_s = math.hypot(fit.u(1), record.u_level_mg / (span[1] - span[0]))
    return fit.coefficients[1] * scale, u_mg_per_s * scale


def pushes(record: CatheterRecord, what: str) -> tuple[Push, ...]:
    """The forced flows "bridge" or "straight", as far as they came."""
    hold_s = float(record.params["hold_s"])
    found = []
    for name in FLOWS:
        with suppress(RecordError):
            found.append(push(record, f"{what}-{name}", record.rates_ul_per_h[name], hold_s))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Resistance:
    """Slope of pressure over flow, in kPa s/uL of fluid at the catheter's temperature; its intercept in kPa."""

    kpa_s_per_ul: float
    u: float
    intercept_kpa: float


def resistance(taken: Sequence[Push], ul_per_told: float, u_told: float) -> Resistance:
    """Slope of pressure over flow through two or more forced flows; raises RecordError below two.

    Parameters
    ----------
    ul_per_told : volume at the catheter's temperature for each microlitre that the syringe pump pushes by its
        certificate, and its relative standard uncertainty.

    Notes
    -----
    A slope needs no zero, and at flows that only rise the transducer's play is the same at each.
    """
    passed = [one for one in taken if not one.blocked]
    if len(passed) < 2:
        raise RecordError("fewer than two forced flows passed")
    flow = [one.rate_ul_per_s * ul_per_told for one in passed]
    middle = math.fsum(flow) / len(flow)
    sxx = math.fsum((q - middle) ** 2 for q in flow)
    slope = math.fsum((q - middle) * one.kpa for q, one in zip(flow, passed, strict=True)) / sxx
    scatter = math.sqrt(math.fsum(((q - middle) / sxx * one.u_kpa) ** 2 for q, one in zip(flow, passed, strict=True)))
    mean = math.fsum(one.kpa for one in passed) / len(passed)
    return Resistance(slope, math.hypot(scatter, slope * u_told), mean - slope * middle)


def gain_of(taken: Sequence[Push]) -> tuple[float, float]:
    """Mean share that arrived, weighted by its uncertainty, and its standard uncertainty; RecordError without one."""
    known = [(one.arrived, one.u_arrived) for one in taken if one.arrived is not None and one.u_arrived > 0.0]
    if not known:
        raise RecordError("the balance did not weigh what was pushed")
    weights = [1.0 / u**2 for _, u in known]
    whole = math.fsum(weights)
    mean = math.fsum(w * share for w, (share, _) in zip(weights, known, strict=True)) / whole
    return mean, 1.0 / math.sqrt(whole)
