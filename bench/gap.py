"""Samples that are missing from a stream, as the record tells of them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Gap:
    """Samples that are missing, in one or more places between two moments."""

    from_s: float
    to_s: float = math.nan
    samples: int = 0
    places: int = 0


def grown(gap: Gap | None, from_s: float, to_s: float, samples: int) -> Gap:
    """A gap, if there is one already, and another place where samples are missing."""
    begun = gap or Gap(from_s)
    return Gap(begun.from_s, to_s, begun.samples + samples, begun.places + 1)
