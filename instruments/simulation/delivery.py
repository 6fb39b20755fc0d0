"""How the pump understands its program: exact commanded volume, rate and the moments at which the rate changes.

A bolus adds to the basal rate, except a bridge, which replaces it while it runs (docs/reference/pump-link.md).

Times here are seconds on the PUMP's clock since delivery began (``tau``); the pump's own day decides over flex steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np

from instruments.simulation.signal import DAY_S, DeliveryProgram, FloatArray, ProgramError

HOUR_S = 3600.0

LAST_BITS = 1e-9
"""So far a rate that was worked out from a dose may be off a limit at which it was meant to be."""


def volume_ul(program: DeliveryProgram, tau_s: FloatArray, clock_s: float) -> FloatArray:
    """Volume commanded from the start of delivery until ``tau_s`` (n,).

    Parameters
    ----------
    tau_s : (n,) rising seconds of the pump's clock since the start of delivery, none negative.
    clock_s : time of the pump's clock when delivery started.
    """
    volume = _basal_volume_ul(program, tau_s, clock_s)
    for begin, end in _bridged(program):
        if tau_s[-1] > begin:
            held = _basal_volume_ul(program, np.clip(tau_s, begin, end), clock_s)
            volume = volume - (held - _basal_volume_ul(program, np.array([begin]), clock_s))
    for bolus in program.boluses:
        if tau_s[0] >= bolus.at_s + bolus.duration_s:
            volume = volume + bolus.volume_ul
        elif tau_s[-1] > bolus.at_s:
            volume = volume + bolus.volume_ul * np.clip((tau_s - bolus.at_s) / bolus.duration_s, 0.0, 1.0)
    periodic = program.periodic
    if periodic is not None:
        into = np.maximum(tau_s - periodic.first_s, 0.0)
        whole = np.floor(into / periodic.interval_s)
        share = np.minimum((into - whole * periodic.interval_s) / periodic.duration_s, 1.0)
        volume = volume + periodic.volume_ul * (whole + share)
    return volume


def _bridged(program: DeliveryProgram) -> Iterator[tuple[float, float]]:
    """Stretches in which a bridge bolus replaces the basal rate, in order and none over another."""
    reached = 0.0
    for bolus in sorted((bolus for bolus in program.boluses if bolus.kind == "bridge"), key=lambda bolus: bolus.at_s):
        begin, end = max(bolus.at_s, reached), bolus.at_s + bolus.duration_s
        if end > begin:
            yield begin, end
            reached = end


def _basal_volume_ul(program: DeliveryProgram, tau_s: FloatArray, clock_s: float) -> FloatArray:
    if program.mode == "flex":
        return _flex_volume_ul(program, clock_s + tau_s) - _flex_volume_ul(program, np.float64(clock_s))
    rate = program.rate_ul_per_h if program.mode == "continuous" else 0.0
    return tau_s * (rate / HOUR_S)


def _flex_volume_ul(program: DeliveryProgram, clock_s: FloatArray | np.float64) -> FloatArray:
    """Volume that the daily pattern delivers from midnight of day 0 to a time of the pump's clock."""
    edges, before = _day(program.steps)
    days = np.floor(clock_s / DAY_S)
    volume: FloatArray = days * before[-1] + np.interp(clock_s - days * DAY_S, edges, before)
    return volume


@lru_cache(maxsize=16)
def _day(steps: tuple[tuple[float, float], ...]) -> tuple[FloatArray, FloatArray]:
    """Edges of a day's pattern in s, its end included, and the volume delivered before each."""
    edges = np.array([at for at, _ in steps] + [DAY_S])
    rates = np.array([rate for _, rate in steps]) / HOUR_S
    return edges, np.concatenate(([0.0], np.cumsum(np.diff(edges) * rates)))


def rate_ul_per_h(program: DeliveryProgram, tau_s: float, clock_s: float) -> float:
    """Commanded rate just after ``tau_s``."""
    rate = 0.0
    if program.mode == "continuous":
        rate = program.rate_ul_per_h
    elif program.mode == "flex":
        of_day = (clock_s + tau_s) % DAY_S
        rate = [step_rate for at, step_rate in program.steps if at <= of_day][-1]
    if any(begin <= tau_s < end for begin, end in _bridged(program)):
        rate = 0.0
    for bolus in program.boluses:
        if bolus.at_s <= tau_s < bolus.at_s + bolus.duration_s:
            rate += bolus.volume_ul / bolus.duration_s * HOUR_S
    periodic = program.periodic
    if periodic is not None and tau_s >= periodic.first_s:
        into = (tau_s - periodic.first_s) % periodic.interval_s
        if into < periodic.duration_s:
            rate += periodic.volume_ul / periodic.duration_s * HOUR_S
    return rate


def next_edge_s(program: DeliveryProgram, tau_s: float, clock_s: float) -> float:
    """First moment after ``tau_s`` at which the commanded rate changes, infinity if it never does."""
    return min((edge for edge in _next_edges(program, tau_s, clock_s) if edge > tau_s), default=math.inf)


def _next_edges(program: DeliveryProgram, tau_s: float, clock_s: float) -> Iterator[float]:
    """Candidates: of each part of the program those around ``tau_s``."""
    for bolus in program.boluses:
        yield bolus.at_s
        yield bolus.at_s + bolus.duration_s
    if program.mode == "flex" and len(program.steps) > 1:
        midnight = math.floor((clock_s + tau_s) / DAY_S) * DAY_S - clock_s
        bridged = list(_bridged(program))
        for at in (*(at for at, _ in program.steps), DAY_S):
            if not any(begin < midnight + at < end for begin, end in bridged):
                yield midnight + at
    periodic = program.periodic
    if periodic is not None:
        n = max(0, math.floor((tau_s - periodic.first_s) / periodic.interval_s))
        for whole in (n, n + 1):
            start = periodic.first_s + whole * periodic.interval_s
            yield start
            yield start + periodic.duration_s


def check(program: DeliveryProgram, minimum_ul_per_h: float, maximum_ul_per_h: float) -> None:
    """Raise `ProgramError` for a program that the pump cannot hold."""
    rates = _basal_rates(program)
    for rate in rates:
        if not minimum_ul_per_h * (1.0 - LAST_BITS) <= rate <= maximum_ul_per_h * (1.0 + LAST_BITS):
            raise ProgramError(f"rate {rate:g} uL/h is outside {minimum_ul_per_h:g} to {maximum_ul_per_h:g} uL/h")
    above_basal = maximum_ul_per_h - max(rates, default=0.0)
    for volume, duration, bridges in _doses(program):
        room = maximum_ul_per_h if bridges else above_basal
        if not (volume > 0.0 and duration > 0.0 and math.isfinite(volume) and math.isfinite(duration)):
            raise ProgramError(f"a bolus of {volume:g} uL over {duration:g} s cannot be delivered")
        if volume / duration * HOUR_S > room * (1.0 + LAST_BITS):
            raise ProgramError(f"a bolus of {volume:g} uL over {duration:g} s needs more than {room:g} uL/h")
    spans = sorted((b.at_s, b.at_s + b.duration_s) for b in program.boluses if b.kind == "bridge")
    if any(begin < end for (_, end), (begin, _) in pairwise(spans)):
        raise ProgramError("two bridge boluses overlap", 3)
    periodic = program.periodic
    if periodic is not None and not (periodic.interval_s >= periodic.duration_s and periodic.first_s >= 0.0):
        raise ProgramError("a periodic bolus must end before the next one begins", 3)
    if any(bolus.at_s < 0.0 for bolus in program.boluses):
        raise ProgramError("a bolus cannot begin before delivery does", 3)
    patient = program.patient
    if patient is not None and (patient.lockout_s < 0.0 or patient.max_per_day < 0):
        raise ProgramError("lockout and daily maximum of the patient bolus cannot be negative", 3)


def _basal_rates(program: DeliveryProgram) -> list[float]:
    if program.mode == "continuous":
        return [program.rate_ul_per_h]
    if program.mode == "stopped":
        return []
    starts = [at for at, _ in program.steps]
    if not starts or starts[0] != 0.0 or sorted(set(starts)) != starts or starts[-1] >= DAY_S:
        raise ProgramError("flex steps must begin at 0 s of the day and rise within it", 3)
    return [rate for _, rate in program.steps]


def _doses(program: DeliveryProgram) -> Iterator[tuple[float, float, bool]]:
    """Volume and duration of each bolus, and whether it replaces the basal rate."""
    for bolus in program.boluses:
        yield bolus.volume_ul, bolus.duration_s, bolus.kind == "bridge"
    for dose in (program.periodic, program.patient):
        if dose is not None:
            yield dose.volume_ul, dose.duration_s, False
