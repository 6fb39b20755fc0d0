"""What the plan of a catheter's test and its evaluation both go by."""

from __future__ import annotations

from data import quantities
from protocols.procedure import ParamError

FLUSH_S = 120.0
"""The first flow through the catheter."""

REST_S = 30.0
"""A flow, a bend or an open line is given so long to come to its steady state."""

LONGEST_RAMP_S = 240.0
"""A line that does not come to its proof pressure within this is given up."""

RIG_SHARE = 0.4
"""The bridged line is pushed up at so much of the rate."""

BACK_UL = 1.0
"""Drawn back after a ramp: a transducer with play follows a fall from then on, and not only after 0.2 kPa."""


def radii_of(text: str) -> tuple[float, ...]:
    """Radii in mm from text; raises ParamError."""
    try:
        radii = tuple(quantities.parse(one, "length") for one in text.split(",")) if text.strip() else ()
    except quantities.QuantityError as error:
        raise ParamError(f'parameter "radii": {error}') from None
    if list(radii) != sorted(set(radii), reverse=True) or any(radius <= 0.0 for radius in radii):
        raise ParamError('parameter "radii": mandrels come largest first, each once; write them like "20 mm, 10 mm"')
    return radii
