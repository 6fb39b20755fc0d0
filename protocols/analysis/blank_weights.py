"""How much each of two blanks counts: a balance that follows the room shows a false rate in the one that warms more."""

from __future__ import annotations

import math
from dataclasses import replace

from protocols.analysis.collection import EVAPORATION_VARIES, Collection
from protocols.analysis.evaporation import HOUR_S, BlankError


def weighted(collected: Collection, from_s: float, to_s: float) -> Collection:
    """The same collection, with the blanks weighted so that the loss from ``from_s`` to ``to_s`` is known best.

    Parameters
    ----------
    collected : with two blanks; any other is returned as it is.

    Raises
    ------
    BlankError
        If the interval is empty.

    Notes
    -----
    Blank i shows e_i + k W_i, with u_i, where the room warmed by W_i in K/h and k is known to be 0 with u_k: the
    balance's temperature coefficient, and what the line's breathing is wrong by.  Over the interval of T hours, in
    which the room warms by D, the mass is wrong by k (D - T sum w_i W_i) and by T sum w_i u_i.  The rate truly changes
    between the blanks, by an unknown c, so that weights other than those of an interpolation, p_i, cost T (w_1 - p_1)
    u_c.  The sum of the squares is least for one w_1, taken from 0 to 1: least squares with correlated observations
    (Aitken 1935).  u_c^2 is the square of the blanks' difference beyond what their own uncertainties explain, but at
    least what weather does to the rate.
    """
    if len(collected.evaporation.blanks) != 2:
        return collected
    if to_s <= from_s:
        raise BlankError(f"from {from_s:g} s to {to_s:g} s is no interval")
    hours = (to_s - from_s) / HOUR_S
    before, after = collected.evaporation.blanks
    first, last = (
        collected.warming_k(one.from_s, one.to_s) / (one.to_s - one.from_s) * HOUR_S for one in (before, after)
    )
    u_k = math.hypot(collected.mg_per_k, collected.u_line_mg_per_k)
    left = u_k * (collected.warming_k(from_s, to_s) / hours - last)
    turn = u_k * (first - last)
    explained = turn**2 + before.u_mg_per_h**2 + after.u_mg_per_h**2
    evaporation = replace(collected.evaporation, u_difference_mg_per_h=math.sqrt(explained))
    weather = math.sqrt(2.0) * EVAPORATION_VARIES * abs(before.rate_mg_per_h + after.rate_mg_per_h) / 2.0
    u_change = max(evaporation.beyond_mg_per_h, weather)
    middle = evaporation.interpolated(from_s, to_s)[0]
    square = explained + u_change**2
    if square <= 0.0:
        return collected
    best = (turn * left + after.u_mg_per_h**2 + middle * u_change**2) / square
    weight = min(1.0, max(0.0, best))
    chosen = replace(evaporation, weights=(weight, 1.0 - weight), u_change_mg_per_h=u_change)
    return replace(collected, evaporation=chosen)
