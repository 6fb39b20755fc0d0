"""Tables of a station file about instruments and collection: certificates, uncertainties, vessel, line."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bench.protection import ComplianceUlPerKpa
from data.quantity_fields import LengthMm, Percent, Stated, TemperatureC, TimeS, VolumeUl, reads
from instruments.clock import possible_pace

TemperatureDifferenceK = Annotated[float, reads("temperature-difference")]
PercentPerK = Annotated[float, reads("temperature-coefficient")]
MassMg = Annotated[float, reads("mass")]
MassMgPerH = Annotated[float, reads("mass-rate")]


class Calibration(Stated):
    """What a certificate says of a channel: true value = gain · (indication + offset).

    ``offset`` and ``u`` are in the channel's unit; ``u_percent`` is relative to the value.
    """

    certificate: str
    due: date
    gain: float = Field(1.0, gt=0.0)
    offset: float = 0.0
    u: float = Field(0.0, ge=0.0)
    u_percent: Percent = Field(0.0, alias="u_relative", examples=["1 %"])

    def corrected(self, indication: float) -> float:
        """True value of an indication."""
        return self.gain * (indication + self.offset)

    def indicated(self, value: float) -> float:
        """Indication of a true value."""
        return value / self.gain - self.offset


class BalanceUncertainty(Stated):
    """What the maker or the lab's own record says of a balance.

    ``repeatability`` is a standard deviation, ``linearity`` and ``drift_per_day`` are half-widths of a rectangle,
    ``zero_walk`` is the standard deviation of a random walk of the zero after one hour, ``temperature_coefficient``
    the standard deviation of the relative change of a reading with temperature.
    """

    readability_mg: MassMg = Field(alias="readability")
    repeatability_mg: MassMg = Field(alias="repeatability")
    linearity_mg: MassMg = Field(alias="linearity")
    drift_mg_per_day: MassMg = Field(alias="drift_per_day")
    zero_walk_mg: MassMg = Field(alias="zero_walk")
    temperature_coefficient_percent_per_k: PercentPerK = Field(alias="temperature_coefficient", examples=["1 ppm/K"])
    capacity_mg: MassMg = Field(alias="capacity")


class Collection(Stated):
    """How the delivered fluid is collected.

    ``dead_volume`` is that of the line between pump and tip, ``buoyant_volume`` that of vessel and contents, ``load``
    their mass; ``twin_buoyant_volume`` is that of a twin vessel, the vessel's own by default, and ``twin_u_relative``
    the standard uncertainty of what the vessel loses over what its twin does.  ``evaporation`` is what the station
    usually loses and ``evaporation_spread`` the standard deviation of that between set-ups.  The pump is at
    ``pump_temperature``, give or take ``pump_temperature_band``.
    """

    topology: Literal["immersed", "weir", "pressurised-vessel", "source-weighing", "height-shifted"]
    vessel_diameter_mm: LengthMm = Field(alias="vessel_diameter")
    tube_diameter_mm: LengthMm = Field(alias="tube_diameter")
    vessel_capacity_ul: VolumeUl = Field(alias="vessel_capacity")
    meniscus_mg: MassMg = Field(alias="meniscus")
    dead_volume_ul: VolumeUl = Field(alias="dead_volume")
    buoyant_volume_ul: VolumeUl = Field(alias="buoyant_volume")
    twin_buoyant_volume_ul: VolumeUl | None = Field(None, alias="twin_buoyant_volume", exclude_if=lambda v: v is None)
    twin_u_percent: Percent | None = Field(
        None, alias="twin_u_relative", gt=0.0, examples=["5 %"], exclude_if=lambda u_percent: u_percent is None
    )
    load_mg: MassMg = Field(alias="load")
    pump_temperature_degc: TemperatureC = Field(alias="pump_temperature")
    pump_temperature_band_k: TemperatureDifferenceK = Field(alias="pump_temperature_band")
    evaporation_mg_per_h: MassMgPerH = Field(alias="evaporation")
    evaporation_spread_mg_per_h: MassMgPerH = Field(alias="evaporation_spread")


class ClosedLine(Stated):
    """The line between pump and outlet valve when that is closed, for an occlusion.

    ``swept_volume`` is what the outlet valve pushes into the line as it closes.  ``bare_compliance`` is the volume a
    pressure of the line without a catheter, of fluid at 20 degC, ``bare_compliance_u`` its standard uncertainty and
    ``bare_compliance_source`` how and when it was measured.
    """

    swept_volume_ul: VolumeUl = Field(alias="swept_volume", ge=0.0, examples=["0.05 uL"])
    bare_compliance_ul_per_kpa: ComplianceUlPerKpa | None = Field(None, alias="bare_compliance", ge=0.0)
    bare_compliance_u_ul_per_kpa: ComplianceUlPerKpa = Field(0.0, alias="bare_compliance_u", ge=0.0)
    bare_compliance_source: str = ""


class InstrumentTable(BaseModel):
    """One instrument: its driver, its calibrations and uncertainty; the other keys are the driver's own.

    ``resting_period`` is how often a sample is kept in the phases of a procedure that may rest.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    driver: str
    calibration: dict[str, Calibration] = {}
    uncertainty: BalanceUncertainty | None = None
    resting_period_s: TimeS | None = Field(
        None, alias="resting_period", gt=0.0, examples=["10 s"], exclude_if=lambda period_s: period_s is None
    )


class Served(Stated):
    """The instruments of a station are simulated by another program, `pumpbench sim serve`, behind real ports.

    ``pace`` is how fast its clock goes, ``seed`` and ``faults`` are those of its rig; they go into a run's record.
    """

    pace: Annotated[float, AfterValidator(possible_pace)] = 1.0
    seed: int = 1
    faults: list[str] = Field([])
