"""Mean flow of a hold by the flow sensor, over whole strokes, with the scatter between the strokes as its type A."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.run import Series
from protocols.analysis.grid import WHOLE, RecordError

BINS = 4
"""Parts of a stroke: each is compared with the same part of the other strokes, so the pump's own wave is no scatter."""

PARTS = 8
"""Parts into which a hold is divided where a pump has no strokes; each is compared with all others."""

LEAST_SHARE = 0.9
"""Part of a hold for which the sensor has to have given samples."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold under one condition.

    Attributes
    ----------
    from_s, to_s : the whole strokes that were used.
    flow_ul_per_h : mean flow in them, as the sensor shows it.
    u_ul_per_h, dof : standard uncertainty of that mean by the scatter between strokes, and its degrees of freedom.
    strokes : how many; 0 where the pump has none.
    """

    name: str
    from_s: float
    to_s: float
    flow_ul_per_h: float
    u_ul_per_h: float
    dof: float
    strokes: int

    @property
    def middle_s(self) -> float:
        """The moment for which the mean stands."""
        return 0.5 * (self.from_s + self.to_s)


def hold(name: str, flow: Series, from_s: float, to_s: float, stroke_s: float) -> Hold:
    """Mean over the last whole strokes of a stretch.

    Parameters
    ----------
    flow : good samples in uL/h.
    stroke_s : duration of a programmed stroke; 0 for a pump without strokes.

    Raises
    ------
    RecordError
        When there are fewer than two strokes, or the sensor gave too little.

    Notes
    -----
    The rotor turns as it is told, whatever it delivers, so whole strokes of the programme hold its wave exactly.  A
    stroke is cut into `BINS` parts; s^2 is the variance of a part between the n strokes, pooled over the parts with
    (n - 1) BINS degrees of freedom, and u = s / sqrt(n BINS).
    """
    strokes = math.floor((to_s - from_s) / stroke_s + WHOLE) if stroke_s > 0.0 else 0
    if stroke_s > 0.0 and strokes < 2:
        raise RecordError(f'hold "{name}" has no two strokes of {stroke_s:.0f} s; choose a larger "hold"')
    rows, columns = (strokes, BINS) if strokes else (PARTS, 1)
    begin = to_s - strokes * stroke_s if strokes else from_s
    inside = flow.within(begin, to_s)
    part = np.minimum(((inside.t - begin) / (to_s - begin) * rows * columns).astype(np.int64), rows * columns - 1)
    count = np.bincount(part, minlength=rows * columns)
    if len(inside) < 2 * rows * columns or np.count_nonzero(count) < LEAST_SHARE * count.size:
        raise RecordError(f'the flow sensor gave {len(inside)} good samples in hold "{name}"; it needs more')
    with np.errstate(invalid="ignore"):
        means = (np.bincount(part, weights=inside.values, minlength=count.size) / count).reshape(rows, columns)
    known = np.isfinite(means)
    each = known.sum(axis=0)
    centre = np.where(known, means, 0.0).sum(axis=0) / each
    squares = math.fsum(np.where(known, (means - centre) ** 2, 0.0).ravel().tolist())
    dof = float((each - 1).sum())
    u = math.sqrt(squares / dof / float(each.sum()))
    return Hold(name, begin, to_s, math.fsum(centre.tolist()) / columns, u, dof, strokes)
