"""How well each cause explains what a run shows: a log-likelihood with sizes left free, and the order that follows.

The rule, for quantities z in units of what is honest (see `shown`):

- a quantity that a cause leaves alone is normal: -z^2/2, where nothing counts beyond 4, so that one surprise alone can
  be outweighed;
- one that the cause has to move is there from 3 on, whatever its size: -1/2, less (3 - z)^2/2 below that on its side.
  It costs 4 more at the most where the run measured it and it is not there;
- one that the cause may move costs no more than 2 on its side;
- flows in percent of what was programmed (balance, sensor, their difference) are moved together, in the ratio that the
  cause fixes, by one free size, which is fitted;
- "nothing" moves nothing; it is 3 ahead, as any cause has to be twenty times likelier before something is called odd.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from protocols.analysis.locator.shown import AT_LIMIT, Shown
from protocols.analysis.locator.signatures import Sign, Signature, Table

MOST = 4.0
SIZE = 0.5
MISSING = 4.0
MAY = 2.0
NOTHING_AHEAD = 3.0

NOTHING = "nothing"

Run = Mapping[str, Shown]


@dataclass(frozen=True, slots=True)
class Score:
    """One cause: its log-likelihood, and the size that was fitted in percent of the programme, where it has one."""

    cause: str
    log_likelihood: float
    size_percent: float | None = None


def scores(shown: Run, known: Table) -> list[Score]:
    """Every cause, those that the run could not have shown too, and "nothing"; likeliest first."""
    found = [Score(NOTHING, NOTHING_AHEAD + math.fsum(quiet(one.z) for one in shown.values()))]
    found += [score(name, cause, shown, known) for name, cause in known.cause.items()]
    return sorted(found, key=lambda one: -one.log_likelihood)


def visible(cause: Signature, shown: Run) -> bool:
    """Whether the run measured what tells the cause: what it has to show, or its flows where it shows nothing else."""
    if cause.shows:
        return all(any(sign.quantity in shown for sign in group) for group in cause.has_to_show)
    return any(quantity in shown for quantity in cause.share)


def score(name: str, cause: Signature, shown: Run, known: Table) -> Score:
    """Log-likelihood of a cause, with its sizes where they fit best."""
    shares = [one for one in known.quantity if known.quantity[one].share and one in shown and cause.share]
    left = {one: value.z for one, value in shown.items() if one not in shares}
    size, total = fitted(cause, shown, shares) if shares else (None, 0.0)
    for group in cause.has_to_show:
        # A share that has to show is in the fit already; the group is met where that is far enough from nothing.
        there = [sign for sign in group if sign.quantity in left]
        met = [sign for sign in group if sign.quantity in shares and strength(shown[sign.quantity].z, sign) >= AT_LIMIT]
        if there:
            total += _group(there, left, met=bool(met))
            for sign in there:
                left.pop(sign.quantity, None)
        elif any(sign.quantity in shares for sign in group) and not met:
            best = max(strength(shown[sign.quantity].z, sign) for sign in group if sign.quantity in shares)
            total -= min(MISSING, 0.5 * max(0.0, AT_LIMIT - best) ** 2)
    for sign in cause.may_show:
        if sign.quantity in left:
            total += may(left.pop(sign.quantity), sign)
    return Score(name, total + math.fsum(map(quiet, left.values())), size)


def _group(signs: Sequence[Sign], z: Mapping[str, float], *, met: bool) -> float:
    """One of the signs has to be there; the others may be."""
    each = math.fsum(may(z[sign.quantity], sign) for sign in signs)
    return each if met else each + max(must(z[sign.quantity], sign) - may(z[sign.quantity], sign) for sign in signs)


def strength(z: float, sign: Sign) -> float:
    """How far a quantity is on a cause's side, in standard deviations."""
    return abs(z) if sign.side == 0 else sign.side * z


def quiet(z: float) -> float:
    """Of a quantity that is left alone."""
    return -0.5 * min(abs(z), MOST) ** 2


def may(z: float, sign: Sign) -> float:
    """Of a quantity that may be moved."""
    return max(quiet(z), -MAY) if strength(z, sign) > 0.0 else quiet(z)


def must(z: float, sign: Sign) -> float:
    """Of a quantity that has to be moved."""
    there = -SIZE - 0.5 * max(0.0, AT_LIMIT - strength(z, sign)) ** 2
    return max(there, quiet(z) - MISSING)


def fitted(cause: Signature, shown: Run, shares: Sequence[str]) -> tuple[float | None, float]:
    """Size in percent of the programme that fits the flows best, and their log-likelihood."""
    there = [(_value(shown[one]), shown[one].spread or 1.0, cause.share.get(one, 0.0)) for one in shares]
    sizes = [value / ratio for value, _, ratio in there if ratio]
    weight = math.fsum((ratio / spread) ** 2 for _, spread, ratio in there)
    if weight == 0.0:
        return None, math.fsum(quiet(value / spread) for value, spread, _ in there)
    sizes.append(math.fsum(value * ratio / spread**2 for value, spread, ratio in there) / weight)
    if cause.size == "+":
        sizes = [max(0.0, size) for size in sizes]
    found = [(math.fsum(quiet((x - k * size) / u) for x, u, k in there), size) for size in sizes]
    best, size = max(found, key=lambda one: (one[0], abs(one[1])))
    seen = abs(size) * math.sqrt(weight)
    there_at_all = best - SIZE - 0.5 * max(0.0, AT_LIMIT - seen) ** 2
    missing = math.fsum(quiet(value / spread) for value, spread, _ in there) - MISSING
    return (size, there_at_all) if there_at_all >= missing else (0.0, missing)


def _value(one: Shown) -> float:
    return one.value if one.value is not None else one.z * (one.spread or 1.0)


def explained(cause: Signature, shown: Run) -> Iterator[tuple[Shown, bool]]:
    """Each quantity that is not as usual, and whether the cause moves it that way."""
    for one in shown.values():
        if abs(one.z) >= 2.0:
            side = cause.side(one.name)
            yield one, side is not None and side * one.z >= 0.0
