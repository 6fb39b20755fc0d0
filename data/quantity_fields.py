"""Fields of pydantic models that are written as a quantity with its unit and held as a number in our unit.

The field's name carries our unit, its alias is the key in the file, as in
``reservoir_ul: VolumeUl = Field(alias="reservoir")``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from data.quantities import parse
from data.units import DimensionName


def reads(dimension: DimensionName) -> BeforeValidator:
    """Validator that reads text with the one strict parser.

    A bare number is refused, except from a record of ours (`Stated.from_json`), which holds numbers in our units.
    """

    def read(value: Any, info: ValidationInfo) -> float:
        if info.context == OWN_RECORD and isinstance(value, int | float):
            return float(value)
        return parse(value, dimension)

    return BeforeValidator(read)


OWN_RECORD = {"numbers": "in our units"}
"""Context of a validation that reads what ``model_dump`` wrote."""

FlowUlPerH = Annotated[float, reads("flow")]
VolumeUl = Annotated[float, reads("volume")]
MassMg = Annotated[float, reads("mass")]
MassMgPerH = Annotated[float, reads("mass-rate")]
PressureKpa = Annotated[float, reads("pressure")]
TimeS = Annotated[float, reads("time")]
TemperatureC = Annotated[float, reads("temperature")]
LengthMm = Annotated[float, reads("length")]
DensityGPerMl = Annotated[float, reads("density")]
ViscosityMpaS = Annotated[float, reads("viscosity")]
ConcentrationUgPerMl = Annotated[float, reads("concentration")]
DoseUgPerDay = Annotated[float, reads("dose-rate")]
VoltageV = Annotated[float, reads("voltage")]
ClockPpm = Annotated[float, reads("clock-error")]
Percent = Annotated[float, reads("percent")]


class Stated(BaseModel):
    """A table that somebody states in a file: no key that nobody reads, and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what ``model_dump(mode="json")`` wrote; raises pydantic's ValidationError."""
        stated = {key: value for key, value in record.items() if key not in cls.model_computed_fields}
        return cls.model_validate(stated, by_alias=False, by_name=True, context=OWN_RECORD)
