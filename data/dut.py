"""What is under test: model files of pumps, catheters and fluids, and the pump on the bench with its serial number.

A file states quantities as text with a unit.  Nothing that a verdict rests on has a silent default: a limit that is not
stated is not judged, a fluid says what drug it holds (or "none") and where its density comes from.
"""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, StrictBool, StrictInt, computed_field, model_validator

from data.alarms import Alarm
from data.catheter_limits import CatheterLimits
from data.quantity_fields import (
    ClockPpm,
    ConcentrationUgPerMl,
    DensityGPerMl,
    DoseUgPerDay,
    FlowUlPerH,
    LengthMm,
    Percent,
    PressureKpa,
    Stated,
    TemperatureC,
    TimeS,
    ViscosityMpaS,
    VoltageV,
    VolumeUl,
)
from data.refill_limits import RefillLimits
from data.tomlfile import read_toml

Kind = Literal["peristaltic", "valve-gated", "gas-driven"]
LowReservoir = Literal["calculated", "predicted", "measured", "none"]


class PercentLimit(Stated):
    """Limits of a delivery error in percent of what was programmed; an open side is left out."""

    low_percent: Percent | None = Field(None, alias="low", examples=["-14.5 %"])
    high_percent: Percent | None = Field(None, alias="high", examples=["14.5 %"])
    source: str = Field(examples=["instructions for use, section 12"], min_length=1)
    revision: str = Field(examples=["A"], min_length=1)

    @model_validator(mode="after")
    def _sides(self) -> Self:
        low, high = self.low_percent, self.high_percent
        if low is None and high is None:
            raise ValueError('a limit needs a side; add low = "-10 %", high = "10 %" or both')
        if low is not None and high is not None and low >= high:
            raise ValueError("the low limit must be below the high one; change one of them")
        return self


class TrumpetLimit(PercentLimit):
    """Limits of one point of the trumpet curve."""

    window_s: TimeS = Field(alias="window", examples=["60 min"])


class StartUpLimit(Stated):
    """The longest start-up that the maker declares."""

    at_most_s: TimeS = Field(alias="at_most", examples=["2 h"])
    source: str = Field(min_length=1)
    revision: str = Field(min_length=1)


class OcclusionLimits(Stated):
    """What the maker declares of a closed outlet: when it is told, what the pump pushes against, what comes out after.

    ``pressure_at_least`` is the outlet pressure up to which the rollers do not slip.
    """

    alarm_at_most_kpa: PressureKpa | None = Field(None, alias="alarm_at_most", examples=["60 kPa"])
    pressure_at_least_kpa: PressureKpa | None = Field(None, alias="pressure_at_least", examples=["60 kPa"])
    bolus_at_most_ul: VolumeUl | None = Field(None, alias="bolus_at_most", examples=["50 uL"])
    source: str = Field(min_length=1)
    revision: str = Field(min_length=1)


class AlarmLimit(Stated):
    """How far the true content of the reservoir may be from the declared one when the low-reservoir alarm sounds."""

    within_ul: VolumeUl = Field(alias="within", gt=0.0, examples=["1 mL"])
    source: str = Field(min_length=1)
    revision: str = Field(min_length=1)


class AccuracyLimits(Stated):
    """Declared limits, one per quantity; what is left out is reported and not judged."""

    mean: PercentLimit | None = None
    segment: PercentLimit | None = None
    bolus: PercentLimit | None = None
    start_up: StartUpLimit | None = Field(None, alias="start-up")
    trumpet: tuple[TrumpetLimit, ...] = ()
    occlusion: OcclusionLimits | None = None
    refill: RefillLimits | None = None
    back_pressure: PercentLimit | None = Field(None, alias="back-pressure")
    temperature: PercentLimit | None = None
    reservoir_level: PercentLimit | None = Field(None, alias="reservoir-level")
    low_reservoir: AlarmLimit | None = Field(None, alias="low-reservoir")


class DutModel(Stated):
    """Model file of a pump (docs/reference/dut-files.md)."""

    model: str = Field(examples=["SIM-20"], min_length=1)
    maker: str = Field(examples=["the maker's name"], min_length=1)
    kind: Kind = Field(examples=["peristaltic"])
    simulated: StrictBool = False
    rate_range_ul_per_h: tuple[FlowUlPerH, FlowUlPerH] = Field(
        alias="rate_range", examples=[["0.048 mL/day", "24 mL/day"]]
    )
    usual_rates_ul_per_h: tuple[FlowUlPerH, FlowUlPerH] = Field(
        alias="usual_rates", examples=[["0.05 mL/day", "2 mL/day"]]
    )
    usual_doses_ug_per_day: tuple[DoseUgPerDay, DoseUgPerDay] | None = Field(None, alias="usual_doses")
    usual_concentrations_ug_per_ml: tuple[ConcentrationUgPerMl, ConcentrationUgPerMl] | None = Field(
        None, alias="usual_concentrations"
    )
    minimum_rate_ul_per_h: FlowUlPerH | None = Field(None, alias="minimum_rate")
    stroke_ul: VolumeUl | None = Field(None, alias="stroke")
    draws_back_ul: VolumeUl | None = Field(None, alias="draws_back", gt=0.0, examples=["0.8 uL"])
    quantum_ul_per_h: FlowUlPerH | None = Field(None, alias="quantum")
    can_stop: StrictBool = Field(examples=[True])
    reservoir_ul: VolumeUl = Field(alias="reservoir", examples=["20 mL"])
    residual_ul: VolumeUl = Field(alias="residual", examples=["1 mL"])
    low_reservoir: LowReservoir = Field(examples=["calculated"])
    low_reservoir_ul: VolumeUl | None = Field(None, alias="low_reservoir_volume", examples=["2 mL"])
    internal_path_ul: VolumeUl | None = Field(None, alias="internal_path", ge=0.0, examples=["0.2 mL"])
    alarms: tuple[Alarm, ...] = Field(examples=[["low-reservoir", "stall"]])
    occlusion_alarm_kpa: PressureKpa | None = Field(None, alias="occlusion_alarm", gt=0.0)
    patient_day: Literal["calendar", "rolling", "none"] = Field(examples=["calendar"])
    septum_punctures: StrictInt | None = Field(None, ge=1)
    refill_needle: str = ""
    clock_error_ppm: ClockPpm | None = Field(None, alias="clock_error")
    limits: AccuracyLimits = AccuracyLimits()

    @property
    def has_occlusion_alarm(self) -> bool:
        """Whether a blocked outlet raises an alarm; without one, time to alarm is n/a by model, not a fail."""
        return "occlusion" in self.alarms

    def item(self, serial: str, **register: Any) -> Dut:
        """The pump of this model with this serial number; ``register`` are further fields of `Dut`."""
        return Dut.from_json({**self.model_dump(mode="json"), "serial": serial, **register})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        pairs = {
            "rate_range": self.rate_range_ul_per_h,
            "usual_rates": self.usual_rates_ul_per_h,
            "usual_doses": self.usual_doses_ug_per_day,
            "usual_concentrations": self.usual_concentrations_ug_per_ml,
        }
        for key, pair in pairs.items():
            if pair is not None and not 0.0 <= pair[0] < pair[1]:
                raise ValueError(f'"{key}" is [lowest, highest], both from 0; write the lower value first')
        if not 0.0 <= self.residual_ul < self.reservoir_ul:
            raise ValueError('"residual" must lie between 0 and "reservoir"; change one of them')
        if (self.low_reservoir == "none") != (self.low_reservoir_ul is None):
            raise ValueError(
                '"low_reservoir_volume" goes with a low-reservoir alarm; give both, or low_reservoir = "none"'
            )
        if self.low_reservoir_ul is not None and not 0.0 < self.low_reservoir_ul < self.reservoir_ul:
            raise ValueError('"low_reservoir_volume" must lie above 0 and below "reservoir"; change one of them')
        if (self.low_reservoir == "none") == ("low-reservoir" in self.alarms):
            raise ValueError(
                '"low_reservoir" and the alarm "low-reservoir" in "alarms" contradict each other; change one'
            )
        if self.occlusion_alarm_kpa is not None and not self.has_occlusion_alarm:
            raise ValueError('"occlusion_alarm" goes with the alarm "occlusion" in "alarms"; give both, or none')
        for key, value in (("stroke", self.stroke_ul), ("quantum", self.quantum_ul_per_h)):
            if value is not None and value <= 0.0:
                raise ValueError(f'"{key}" must be above 0; correct it, or leave it out where the pump has none')
        if self.kind != "gas-driven" and self.stroke_ul is None:
            raise ValueError(f'a {self.kind} pump delivers in strokes; add a line such as stroke = "5 uL"')
        if self.draws_back_ul is not None and (
            self.kind != "peristaltic" or self.draws_back_ul >= (self.stroke_ul or 0.0)
        ):
            raise ValueError(
                '"draws_back" is the part of a stroke that a roller takes back; leave it out, or correct it'
            )
        return self


class Dut(DutModel):
    """One pump under test: its model and what the register knows of this one."""

    serial: str = Field(min_length=1)
    lot: str = ""
    firmware: str = ""
    battery_v: VoltageV | None = None
    replacement_due: date | None = None
    sterilisation: str = ""
    use_by: date | None = None
    decontamination: str = ""
    custody: str = ""
    punctures: StrictInt = Field(0, ge=0)


class Catheter(Stated):
    """File of a catheter; its priming volume follows from bore and implanted length."""

    model: str = Field(examples=["SIM-CATHETER"], min_length=1)
    lot: str = Field(examples=["L-2231"], min_length=1)
    maker: str = ""
    material: str = Field(examples=["silicone"], min_length=1)
    length_supplied_mm: LengthMm = Field(alias="length_supplied", examples=["100 cm"])
    length_trimmed_mm: LengthMm = Field(alias="length_trimmed", examples=["0 cm"])
    bore_mm: LengthMm = Field(alias="bore", examples=["0.53 mm"])
    outer_diameter_mm: LengthMm | None = Field(None, alias="outer_diameter", examples=["1.2 mm"])
    connector: str = ""
    proof_kpa: PressureKpa | None = Field(None, alias="proof_pressure", gt=0.0, examples=["150 kPa"])
    limits: CatheterLimits = CatheterLimits()

    @property
    def length_mm(self) -> float:
        """Length in use: supplied less trimmed."""
        return self.length_supplied_mm - self.length_trimmed_mm

    @computed_field  # type: ignore[prop-decorator]  # pydantic's documented order; mypy knows no decorated property
    @property
    def priming_volume_ul(self) -> float:
        """Volume of the bore over the length in use: pi/4 d^2 L, mm^3 being uL."""
        return math.pi / 4.0 * self.bore_mm**2 * self.length_mm

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not 0.0 <= self.length_trimmed_mm < self.length_supplied_mm:
            raise ValueError('"length_trimmed" is what was cut off, from 0 to below "length_supplied"; correct it')
        if not 0.0 < self.bore_mm < (self.outer_diameter_mm or math.inf):
            raise ValueError('"bore" must be above 0 and below "outer_diameter"; correct it')
        return self


class Fluid(Stated):
    """File of the fluid in the reservoir.

    ``density_basis`` says where the density comes from.  With "water-table" it is that of pure water at any temperature
    (Tanaka 2001) and ``density`` is left out; else ``density`` is stated at ``density_temperature``.
    """

    name: str = Field(examples=["water, ISO 3696 class III"], min_length=1)
    lot: str = Field(examples=["W-0412"], min_length=1)
    drug: str = Field(examples=["none"], min_length=1)
    concentration_ug_per_ml: ConcentrationUgPerMl | None = Field(None, alias="concentration", examples=["2000 ug/mL"])
    density_basis: Literal["water-table", "table", "certificate", "measured"] = Field(examples=["certificate"])
    density_source: str = Field(examples=["certificate D-881"], min_length=1)
    density_g_per_ml: DensityGPerMl | None = Field(None, alias="density", examples=["1.004 g/mL"])
    density_temperature_c: TemperatureC | None = Field(None, alias="density_temperature", examples=["22 degC"])
    density_u_g_per_ml: DensityGPerMl = Field(alias="density_u", examples=["0.0002 g/mL"])
    viscosity_mpa_s: ViscosityMpaS | None = Field(None, alias="viscosity", examples=["0.95 mPa.s"])
    viscosity_temperature_c: TemperatureC | None = Field(None, alias="viscosity_temperature", examples=["22 degC"])
    filtered: str = Field(examples=["0.2 um"], min_length=1)
    degassed: str = Field(examples=["vacuum, 30 min, 2026-03-02"], min_length=1)
    expiry: date = Field(examples=["2026-10-31"])

    @property
    def has_drug(self) -> bool:
        """Whether there is a drug in it."""
        return self.drug != "none"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.has_drug != (self.concentration_ug_per_ml is not None):
            raise ValueError(
                'a drug has a concentration and drug = "none" has not; make "drug" and "concentration" agree'
            )
        stated = self.density_g_per_ml is not None and self.density_temperature_c is not None
        if self.density_basis == "water-table":
            if self.has_drug:
                raise ValueError('a drug solution has not the density of water; state "density" and its source')
            if self.density_g_per_ml is not None:
                raise ValueError('"water-table" is itself the density; remove "density", or change "density_basis"')
        elif not stated:
            raise ValueError('add "density" and "density_temperature", or use density_basis = "water-table" for water')
        if self.density_g_per_ml is not None and not 0.5 < self.density_g_per_ml < 2.0:
            raise ValueError(f'a density of {self.density_g_per_ml:g} g/mL is no aqueous fluid; correct "density"')
        if not 0.0 < self.density_u_g_per_ml < 0.1:
            raise ValueError('"density_u" is the standard uncertainty of the density, above 0; correct it')
        if (self.viscosity_mpa_s is None) != (self.viscosity_temperature_c is None):
            raise ValueError('"viscosity" and "viscosity_temperature" go together; give both or none')
        return self


def load_dut(path: Path) -> DutModel:
    """Read the model file of a pump; raises `data.tomlfile.FileError`."""
    return read_toml(path, DutModel)


def load_catheter(path: Path) -> Catheter:
    """Read the file of a catheter; raises `data.tomlfile.FileError`."""
    return read_toml(path, Catheter)


def load_fluid(path: Path) -> Fluid:
    """Read the file of a fluid; raises `data.tomlfile.FileError`."""
    return read_toml(path, Fluid)
