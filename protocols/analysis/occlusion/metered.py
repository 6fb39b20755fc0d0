"""A known volume pushed into a closed line tells its compliance, its creep and its leak.

Units: kPa, uL, s, uL/s.
"""

from __future__ import annotations

import math

import numpy as np

from data.samples import FloatArray
from protocols.analysis.assumed import PLAY_KPA
from protocols.analysis.grid import BoolArray, RecordError
from protocols.analysis.occlusion.afterwards import LIKELY_CREEP, afterwards
from protocols.analysis.occlusion.line import ClosedLine
from protocols.analysis.occlusion.rise import initial_slope, integrated, neighbour_noise
from protocols.analysis.occlusion.warming import Warming

IDLE = "the pressure did not rise while the syringe pump pushed; the line is open or the pump idle"
TOO_BRIEF = "the metered step was recorded too briefly to make a compliance; let it last longer"

LEAST_SAMPLES = 30
LEAST_RISE_KPA = 2.0
"""A metered step that raises the pressure by less met no closed line."""

FROM, TO = 0.1, 0.95
"""The part of the rise that is used: valve, plunger and the transducer's play have settled, the motor still runs."""

SETTLED = 0.1
"""So much of the record after the step is left out: a transducer with play shows no fall at first."""

GONE = 0.5
"""Where the line holds less than this share of what the syringe left in it, it leaks: no tube creeps by so much."""

PARTS, LEAST_OF_A_PART, CLEAR = 12, 6, 3.0
"""A fall is looked for in so many parts, of so many samples at least, and seen beyond so many standard deviations."""


def metered_step(
    t_s: FloatArray,
    rise_kpa: FloatArray,
    held_s: float,
    flow_ul_per_s: float,
    u_flow: float,
    u_gain: float,
    warming: Warming | None = None,
    left_ul: float | None = None,
) -> ClosedLine:
    """The line from a step of a syringe pump.

    Parameters
    ----------
    t_s, rise_kpa : (n,) since the syringe pump began, and the rise over the pressure before.
    held_s : from when on the syringe stood.
    flow_ul_per_s : what it pushed, ``u_flow`` the relative standard uncertainty of that.
    u_gain : relative standard uncertainty of the transducer's gain.
    warming : what the fluid in the line has swelled at these times; None for a line that has always one temperature.
    left_ul : what the syringe has pushed less what it drew back; None where nobody knows.

    Raises
    ------
    RecordError
        When the line was not closed, or the record is too short.

    Notes
    -----
    The compliance is that of the rise (`at_once`), creep and leak come from the time after it (`afterwards`).  What
    leaks so fast that it is gone by then is missing in the line (`_gone`).
    """
    compliance, u = at_once(t_s, rise_kpa, held_s, flow_ul_per_s, math.hypot(u_flow, u_gain))
    gone = None if left_ul is None else _gone(t_s, rise_kpa, t_s >= held_s, compliance, left_ul, u)
    if gone is not None:
        return ClosedLine(compliance, compliance * u, leak_ul_per_s_kpa=gone[0], u_leak=gone[1])
    held = t_s >= held_s + SETTLED * (float(t_s[-1]) - held_s)
    if int(held.sum()) < LEAST_SAMPLES:
        raise RecordError(TOO_BRIEF)
    room = warming or Warming(np.zeros(t_s.size), ())
    after = afterwards(t_s, rise_kpa, held, compliance, room)
    # Not drawn back, a transducer with play shows no fall that is not wider than the play; drawn back, no rise.
    fallen = float(np.max(rise_kpa)) - float(rise_kpa[held][0])
    hidden = max(PLAY_KPA - fallen, _hidden_kpa(rise_kpa[held], room.soonest_ul[held] / compliance)) / math.sqrt(3.0)
    u_leak = math.hypot(after.u_leak, hidden / after.losses_kpa_s, after.leak * u)
    creep = compliance * after.creep
    return ClosedLine(compliance, compliance * u, creep, after.lag_s, compliance * after.leak, compliance * u_leak)


def at_once(
    t_s: FloatArray, rise_kpa: FloatArray, held_s: float, flow_ul_per_s: float, u_relative: float
) -> tuple[float, float]:
    """Compliance by the rise alone, and its relative standard uncertainty; raises RecordError.

    Parameters
    ----------
    u_relative : that of the flow and of the transducer's gain together.

    Notes
    -----
    The flow over the slope of the rise at its beginning (`rise.initial_slope`): the syringe does not slow as pressure
    rises.
    """
    top = float(np.max(rise_kpa)) if rise_kpa.size else 0.0
    if not top > LEAST_RISE_KPA:
        raise RecordError(IDLE)
    rising = np.arange(t_s.size) <= int(np.argmax(rise_kpa))  # what is drawn back does not count
    pushed = rising & (t_s < held_s) & (rise_kpa >= FROM * top) & (rise_kpa <= TO * top)
    if int(pushed.sum()) < LEAST_SAMPLES:
        raise RecordError(TOO_BRIEF)
    law = initial_slope(t_s[pushed], rise_kpa[pushed])
    if law is None or not law.slope_kpa_per_s > 0.0:
        raise RecordError(IDLE)
    return flow_ul_per_s / law.slope_kpa_per_s, math.hypot(u_relative, law.u_slope / law.slope_kpa_per_s)


def _gone(
    t_s: FloatArray, rise_kpa: FloatArray, held: BoolArray, compliance: float, left_ul: float, u_relative: float
) -> tuple[float, float] | None:
    """Leak of a line that has lost most of what was left in it, and its standard uncertainty; None where it has not.

    Parameters
    ----------
    held : (n,) when the syringe stood.
    u_relative : that of the compliance and of the volume.

    Notes
    -----
    What is missing has leaked over the integral of p since the syringe began, however soon it did: G = (V - C p) /
    (integral of p), at the moment in the hold at which that is surest.  Early the tube may have crept, late the
    transducer's play has added up.  Once the line is empty nothing is left of the record by which `afterwards` could
    tell a leak.
    """
    losses = integrated(t_s, rise_kpa)
    told = held & (losses > 0.0)
    if not told.any() or not float(np.min(compliance * rise_kpa[told])) < GONE * left_ul:
        return None
    inside, losses, play = compliance * rise_kpa[told], losses[told], PLAY_KPA / math.sqrt(3.0)
    leak = (left_ul - inside) / losses
    missing = np.sqrt((LIKELY_CREEP * inside) ** 2 + (compliance * play) ** 2 + (u_relative * left_ul) ** 2)
    u = np.hypot(missing / losses, leak * play * t_s[told] / losses)
    surest = int(np.argmin(u / np.maximum(leak, 1e-12)))
    return float(leak[surest]), float(u[surest])


def _hidden_kpa(rise_kpa: FloatArray, swelled_kpa: FloatArray) -> float:
    """What a transducer with play may hide of a rise: it goes on where fluid swells and no pressure is seen to fall."""
    hidden, noise = 0.0, neighbour_noise(rise_kpa)
    many = min(PARTS, rise_kpa.size // LEAST_OF_A_PART)
    for shown, swelled in zip(np.array_split(rise_kpa, many), np.array_split(swelled_kpa, many), strict=True):
        third = shown.size // 3
        fell = float(np.mean(shown[:third]) - np.mean(shown[-third:]))
        if fell < CLEAR * noise * math.sqrt(2.0 / third):
            hidden += max(float(swelled[-1] - swelled[0]), 0.0)
    return min(hidden, PLAY_KPA)
