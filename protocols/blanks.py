"""The evaporation blank of a protocol whose pump stands in it."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.steps import Phase, SetValve, Step


def still_blank(phase: str, blank: str, length_s: float) -> Iterator[Step]:
    """Record while nothing is delivered; a diverter also keeps out what a warming line pushes out of the tip.

    Parameters
    ----------
    phase : "blank-before" or "blank-after".
    blank : "diverter", or "stopped" where there is none.
    """
    if blank == "diverter":
        yield SetValve("diverter", True)
    yield Phase(phase, for_s=length_s)
    if blank == "diverter":
        yield SetValve("diverter", False)
