"""What the maker of a catheter, or an approved document, declares of it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from data.quantity_fields import FlowUlPerH, LengthMm, Percent, PressureKpa, Stated, TemperatureC, reads

ComplianceUlPerKpa = Annotated[float, reads("compliance")]


class PatencyLimit(Stated):
    """The largest pressure that a forced flow of water needs through the straight catheter."""

    at_most_kpa: PressureKpa = Field(alias="at_most", gt=0.0, examples=["3.4 kPa"])
    flow_ul_per_h: FlowUlPerH = Field(alias="flow", gt=0.0, examples=["30 mL/h"])
    temperature_c: TemperatureC = Field(37.0, alias="temperature", ge=10.0, le=50.0, examples=["37 degC"])
    source: str = Field(min_length=1)
    revision: str = Field(min_length=1)


class LeakLimit(Stated):
    """The largest leak at a pressure."""

    at_most_ul_per_h: FlowUlPerH = Field(alias="at_most", gt=0.0, examples=["1 uL/h"])
    pressure_kpa: PressureKpa = Field(alias="pressure", gt=0.0, examples=["100 kPa"])
    source: str = Field(min_length=1)
    revision: str = Field(min_length=1)


class KinkLimit(Stated):
    """The radius to which it may be bent without a kink."""

    radius_mm: LengthMm = Field(alias="radius", gt=0.0, examples=["8 mm"])
    source: str = Field(min_length=1)
    revision: str = Field(min_length=1)


class CatheterComplianceLimit(Stated):
    """The largest compliance of a metre."""

    per_metre_ul_per_kpa: ComplianceUlPerKpa = Field(alias="per_metre", gt=0.0, examples=["0.35 uL/kPa"])
    source: str = Field(min_length=1)
    revision: str = Field(min_length=1)


class PrimingLimit(Stated):
    """How far the bore's volume may be from that which follows from bore and length in use."""

    low_percent: Percent = Field(alias="low", examples=["-4 %"])
    high_percent: Percent = Field(alias="high", examples=["4 %"])
    source: str = Field(min_length=1)
    revision: str = Field(min_length=1)

    @model_validator(mode="after")
    def _sides(self) -> Self:
        if not self.low_percent < 0.0 < self.high_percent:
            raise ValueError('write a share below 0 for "low" and one above 0 for "high", such as "-4 %" and "4 %"')
        return self


class CatheterLimits(Stated):
    """Table ``[limits]`` of a catheter's file; what is left out is reported and not judged."""

    patency: PatencyLimit | None = None
    leak: LeakLimit | None = None
    kink: KinkLimit | None = None
    compliance: CatheterComplianceLimit | None = None
    priming: PrimingLimit | None = None
