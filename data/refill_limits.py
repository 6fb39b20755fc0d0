"""What the maker of a pump, or an approved document, declares of its refill port and its reservoir."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from data.quantity_fields import FlowUlPerH, Stated, VolumeUl, reads

ForceN = Annotated[float, reads("force")]


class RefillLimits(Stated):
    """Table ``[limits.refill]`` of a pump's model file; what is left out is reported and not judged.

    ``pocket`` is the volume that may be missing after a refill, ``capacity`` how far from the stated one the
    reservoir's valve may close, ``surge`` what may come beyond the schedule in any hour after a refill, ``count`` how
    far the pump's own reservoir count may be off.
    """

    insertion_force_n: ForceN | None = Field(None, alias="insertion_force", gt=0.0, examples=["3 N"])
    pocket_ul: VolumeUl | None = Field(None, alias="pocket", gt=0.0, examples=["1 mL"])
    capacity_ul: VolumeUl | None = Field(None, alias="capacity", gt=0.0, examples=["0.5 mL"])
    surge_ul: VolumeUl | None = Field(None, alias="surge", gt=0.0, examples=["50 uL"])
    count_ul: VolumeUl | None = Field(None, alias="count", gt=0.0, examples=["0.5 mL"])
    septum_leak_ul_per_h: FlowUlPerH | None = Field(None, alias="septum_leak", gt=0.0, examples=["1 uL/day"])
    source: str = Field(min_length=1)
    revision: str = Field(min_length=1)
