"""How well each cause explains what a run shows: a log-likelihood with sizes left free, and the order that follows.

The rule, for quantities z in units of what is honest (see `shown`):

- a quantity that a cause leaves alone is normal: -z^2/2, where nothing counts beyond 4, so that one surprise alone can
  be outweighed;
- one that the cause has to move is there from 3 on, whatever its size: -1/2, less (3 - z)^2/2 below that on its side.
  It costs 6 more at the most where the run measured it and it is not there;
- one that the cause may move costs no more than 2 on its side;
- flows in percent of what was programmed (onto the balance, past the sensor, their difference, the blanks) are moved
  together, in the ratios that the cause fixes, by one free size, which is fitted: one for their means, one for their
  changes within the run;
- "nothing" moves nothing; it is 4 ahead, so that at the limit of its check, z = 3, a quantity alone makes nothing and
  its cause equally likely;
- where something is certainly odd (a check that counts says so, or a quantity is beyond 4), "nothing" is no answer.  In
  its place stands "unknown", which moves nothing either and is not ahead: a cause that explains any of it goes before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from protocols.analysis.locator.shown import AT_LIMIT, Shown
from protocols.analysis.locator.signatures import Sign, Signature, Table

MOST = 4.0
SIZE = 0.5
MISSING = 6.0
MAY = 2.0
NOTHING_AHEAD = 4.0

NOTHING = "nothing"
UNKNOWN = "unknown"
NO_CAUSES = (NOTHING, UNKNOWN)
"""Answers that are no cause of the table."""

Run = Mapping[str, Shown]


@dataclass(frozen=True, slots=True)
class Score:
    """One cause: its log-likelihood, and the size that was fitted in percent of the programme, where it has one."""

    cause: str
    log_likelihood: float
    size_percent: float | None = None


def scores(shown: Run, known: Table, *, objected: bool = False) -> list[Score]:
    """Every cause, those that the run could not have shown too, and "nothing" or "unknown"; likeliest first.

    Parameters
    ----------
    objected : whether a check that counts failed or is invalid.
    """
    left = math.fsum(quiet(one.z) for one in shown.values())
    certain = objected or any(abs(one.z) > MOST for one in shown.values())
    found = [Score(UNKNOWN, left) if certain else Score(NOTHING, NOTHING_AHEAD + left)]
    found += [score(name, cause, shown, known) for name, cause in known.cause.items()]
    return sorted(found, key=lambda one: -one.log_likelihood)


def visible(cause: Signature, shown: Run) -> bool:
    """Whether the run measured what tells the cause: the first that it has to show, or its flows where that is all."""
    if cause.shows:
        return any(sign.quantity in shown for sign in cause.has_to_show[0])
    return any(quantity in shown for quantity in cause.ratios)


def score(name: str, cause: Signature, shown: Run, known: Table, may_costs: float = MAY) -> Score:
    """Log-likelihood of a cause, with its sizes where they fit best.

    Parameters
    ----------
    may_costs : of each quantity that the cause may move, and that is not as usual on its side.
    """
    left = {one: value.z for one, value in shown.items()}
    size, total = None, 0.0
    for family, ratios in (("mean", cause.mean), ("change", cause.change)):
        flows = [one for one in left if known.quantity[one].family == family]
        if ratios and flows:
            fit, best = fitted(ratios, cause, [shown[one] for one in flows])
            size, total = fit if family == "mean" else size, total + best
            for one in flows:
                del left[one]
    for group in cause.has_to_show:
        # A flow is in the fit already; the group is met where one is far enough on its side.
        fits = [
            strength(shown[sign.quantity].z, sign)
            for sign in group
            if sign.quantity in shown and sign.quantity not in left
        ]
        there = [sign for sign in group if sign.quantity in left]
        if there or fits:
            total += _group(there, left, fits)
        for sign in there:
            left.pop(sign.quantity, None)
    for sign in cause.may_show:
        if sign.quantity in left:
            total += may(left.pop(sign.quantity), sign, may_costs)
    return Score(name, total + math.fsum(map(quiet, left.values())) - cause.rarer, size)


def _group(signs: Sequence[Sign], z: Mapping[str, float], fits: Sequence[float]) -> float:
    """One of the signs has to be there, or one of the flows that were fitted; the others may be."""
    each = math.fsum(may(z[sign.quantity], sign) for sign in signs)
    gains = [must(z[sign.quantity], sign) - may(z[sign.quantity], sign) for sign in signs]
    gains += [max(-0.5 * max(0.0, AT_LIMIT - strong) ** 2, -MISSING) for strong in fits]
    return each + max(gains)


def strength(z: float, sign: Sign) -> float:
    """How far a quantity is on a cause's side, in standard deviations."""
    return abs(z) if sign.side == 0 else sign.side * z


def quiet(z: float) -> float:
    """Of a quantity that is left alone."""
    return -0.5 * min(abs(z), MOST) ** 2


def may(z: float, sign: Sign, most: float = MAY) -> float:
    """Of a quantity that may be moved; it costs so much at the most once it is not as usual."""
    if strength(z, sign) <= 0.0 or quiet(z) >= -MAY:
        return quiet(z)
    return -most


def must(z: float, sign: Sign) -> float:
    """Of a quantity that has to be moved."""
    there = -SIZE - 0.5 * max(0.0, AT_LIMIT - strength(z, sign)) ** 2
    return max(there, quiet(z) - MISSING)


def fitted(ratios: Mapping[str, float], cause: Signature, flows: Sequence[Shown]) -> tuple[float, float]:
    """Size in percent of the programme that fits some flows best, and their log-likelihood.

    Parameters
    ----------
    ratios : how far each moves for each percent of the size; what is not named stays.
    """
    there = [(_value(one), one.spread or 1.0, ratios.get(one.name, 0.0)) for one in flows]
    sizes = [0.0, *(value / ratio for value, _, ratio in there if ratio)]
    weight = math.fsum((ratio / spread) ** 2 for _, spread, ratio in there)
    if weight > 0.0:
        sizes.append(math.fsum(value * ratio / spread**2 for value, spread, ratio in there) / weight)
    if cause.size == "+":
        sizes = [max(0.0, size) for size in sizes]

    def likely(size: float) -> float:
        return math.fsum(quiet((x - k * size) / u) for x, u, k in there) - (SIZE if size else 0.0)

    size = max(sizes, key=lambda one: (likely(one), -abs(one)))
    if cause.shows:
        return size, likely(size)  # what it shows says whether it is there
    seen = abs(size) * math.sqrt(weight)
    return size, max(likely(size) - 0.5 * max(0.0, AT_LIMIT - seen) ** 2, likely(0.0) - MISSING)


def _value(one: Shown) -> float:
    return one.value if one.value is not None else one.z * (one.spread or 1.0)


def explained(cause: Signature, shown: Run) -> Iterator[tuple[Shown, bool]]:
    """Each quantity that is not as usual, and whether the cause moves it that way."""
    for one in shown.values():
        if abs(one.z) >= 2.0:
            side = cause.side(one.name)
            yield one, side is not None and side * one.z >= 0.0
