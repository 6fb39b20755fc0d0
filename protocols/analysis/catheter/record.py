"""What a catheter run recorded, as its parts read it: pressures, masses, counts of the syringe, the fluid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from data.quantities import parse
from data.run import Run
from data.samples import FloatArray, Quality
from protocols.analysis import gravimetry, syringe
from protocols.analysis.assumed import TRANSDUCER_GAIN_U_PERCENT
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.rise import thinned
from protocols.analysis.occlusion.warming import EXPANSION_PER_K
from protocols.analysis.rig import RecordError as RigRecordError
from protocols.analysis.rig.line import STANDARD_ATMOSPHERE_KPA
from protocols.analysis.rig.record import RigRecord
from protocols.analysis.witness import AIR_STEP

HOUR_S = 3600.0
MOST_SAMPLES = 2000
BODY_DEGC = 37.0

UNCERTIFIED_BATH_K = 0.5
"""Of a bath's probe without a certificate: a Pt100 of class B and its reader."""

AIR_SHARE, AIR_RESTLESS, LEAST_AIR = 0.1, 0.4, 3
"""Air reads less than this share of what is pushed, or of full scale if that is less, and another value in more than
this share of successive readings, at least so many readings long."""

EDGE_S = (1.0, 2.0)
"""Left out at the begin and end of a forced flow: stamps of instruments and steps are a second apart."""

FLOWS = ("slow", "middle", "fast")


@dataclass(frozen=True)
class CatheterRecord:
    """The run; what it does not hold raises `RecordError`."""

    run: Run

    @cached_property
    def rig(self) -> RigRecord:
        """Its channels."""
        return RigRecord(self.run, {})

    @property
    def params(self) -> Mapping[str, Any]:
        """Parameters of the procedure."""
        return self.run.params

    @property
    def limits(self) -> Mapping[str, Any]:
        """What the catheter's file declares."""
        return dict(self.run.catheter.get("limits") or {})

    @cached_property
    def phases(self) -> dict[str, tuple[float, float]]:
        """Begin and end of each phase."""
        return {phase.name: (phase.t0, phase.t1) for phase in self.run.phases}

    @property
    def rates_ul_per_h(self) -> dict[str, float]:
        """The forced flows, as the syringe pump pushes them by its certificate."""
        return {name: self.syringe_gain * float(self.params[f"{name}_ul_per_h"]) for name in FLOWS}

    def span(self, name: str) -> tuple[float, float]:
        """Begin and end of a phase; raises RecordError where it never came."""
        if name not in self.phases:
            raise RecordError(f'the run ended before phase "{name}"')
        return self.phases[name]

    # -- pressure

    def pressure(self, from_s: float, to_s: float) -> tuple[FloatArray, FloatArray]:
        """Times and outlet pressures of a stretch, at most `MOST_SAMPLES` of them."""
        try:
            found = self.rig.good("outlet_pressure", (from_s, to_s))
        except RigRecordError as error:
            raise RecordError(str(error)) from None
        return thinned(found.t, found.values, MOST_SAMPLES)

    def mean_kpa(self, role: str, span: tuple[float, float]) -> tuple[float, float]:
        """Mean of a pressure over a stretch, and its standard uncertainty from the scatter."""
        try:
            values = self.rig.good(role, span).values
        except RigRecordError as error:
            raise RecordError(str(error)) from None
        if values.size < 5:
            raise RecordError(f'"{role}" gave {values.size} good samples from {span[0]:.0f} s to {span[1]:.0f} s')
        mean = math.fsum(values.tolist()) / values.size
        square = math.fsum(((values - mean) ** 2).tolist()) / (values.size - 1)
        return mean, math.sqrt(square / values.size)

    @property
    def u_gain(self) -> float:
        """Relative standard uncertainty of the outlet transducer's gain."""
        return float(self.run.calibration("outlet_pressure").get("u_percent") or TRANSDUCER_GAIN_U_PERCENT) / 100.0

    @property
    def u_syringe(self) -> float:
        """Relative standard uncertainty of what the syringe pump moves, by its certificate."""
        return syringe.syringe_u_percent(self.run, "syringe") / 100.0

    @cached_property
    def syringe_gain(self) -> float:
        """What the syringe pump moves over what it is asked for, and over what it counts, by its certificate."""
        return syringe.syringe_gain(self.run, "syringe")

    # -- volume

    @cached_property
    def bath_degc(self) -> float:
        """Temperature of the catheter; body temperature where no bath is measured."""
        return self.rig.usual("bath_temperature", (0.0, self.run.end_s), BODY_DEGC)

    @cached_property
    def u_bath_k(self) -> float:
        """Standard uncertainty of that: of the probe, by its certificate if it has one; or the station's band."""
        if self.run.has("bath_temperature"):
            return self.rig.u("bath_temperature") or UNCERTIFIED_BATH_K
        return float(self.run.station["collection"]["pump_temperature_band_k"]) / math.sqrt(3.0)

    @cached_property
    def fluid_mg_per_ul(self) -> float:
        """Density of the fluid at 20 degC, as water changes with temperature."""
        fluid, water = self.run.fluid, gravimetry.water_density_mg_per_ul
        stated = fluid.get("density_g_per_ml")
        if stated is None:
            return water(gravimetry.REFERENCE_TEMPERATURE_DEGC)
        return (
            float(stated) * water(gravimetry.REFERENCE_TEMPERATURE_DEGC) / water(float(fluid["density_temperature_c"]))
        )

    @cached_property
    def air_mg_per_ul(self) -> float:
        """Density of the air around the vessel."""
        room = self.rig.usual("room_temperature", (0.0, self.run.end_s), 20.0)
        humidity = self.rig.usual("humidity", (0.0, self.run.end_s), 50.0)
        return gravimetry.air_density_mg_per_ul(room, 10.0 * self.room_kpa, humidity)

    @property
    def lost_air(self) -> tuple[str, ...]:
        """Roles that were to measure it and gave no good sample."""
        return self.rig.lost_air((0.0, self.run.end_s))

    @cached_property
    def ul_per_mg(self) -> float:
        """Volume at 20 degC of one milligram on the balance, buoyancy and immersed tube included."""
        collection = self.run.station["collection"]
        immersion = gravimetry.immersion_factor(collection["tube_diameter_mm"], collection["vessel_diameter_mm"])
        return gravimetry.volume_ul(1.0, 0.0, self.fluid_mg_per_ul, self.air_mg_per_ul, immersion)

    @cached_property
    def swelling(self) -> float:
        """Volume in the catheter over that at 20 degC."""
        water = gravimetry.water_density_mg_per_ul
        return water(gravimetry.REFERENCE_TEMPERATURE_DEGC) / water(self.bath_degc)

    def mass(self, span: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
        """Times and readings of the balance in a stretch."""
        try:
            found = self.rig.good("reference_mass", span)
        except RigRecordError as error:
            raise RecordError(str(error)) from None
        return found.t, found.values

    def level_mg(self, span: tuple[float, float]) -> float:
        """Mean reading of the balance over a stretch."""
        values = self.mass(span)[1]
        if values.size < 5:
            raise RecordError(f"the balance gave {values.size} good readings from {span[0]:.0f} s to {span[1]:.0f} s")
        return math.fsum(values.tolist()) / values.size

    @property
    def u_level_mg(self) -> float:
        """Standard uncertainty of a difference of two levels: the meniscus at the tube, twice, and the readings."""
        balance = self.rig.balance
        meniscus = float(self.run.station["collection"]["meniscus_mg"]) / math.sqrt(3.0)
        return math.sqrt(2.0) * math.hypot(meniscus, balance["repeatability_mg"] / 2.0)

    def counted_ul(self, key: str) -> tuple[float, float]:
        """What the syringe pump had pushed at a read-out, by its count and its certificate, and when it said so."""
        found = [event.fields for event in self.run.records("syringe") if event.fields["key"] == key]
        if not found:
            raise RecordError(f'the run ended before the syringe was read for "{key}"')
        return self.syringe_gain * float(found[-1]["infused_ul"]), float(found[-1]["answered_s"])

    @property
    def ul_per_k(self) -> float:
        """What the fluid in the line swells for each kelvin."""
        return float(self.run.station["collection"]["dead_volume_ul"]) * EXPANSION_PER_K

    @cached_property
    def room_kpa(self) -> float:
        """Absolute pressure of the room."""
        return self.rig.usual("ambient_pressure", (0.0, self.run.end_s), STANDARD_ATMOSPHERE_KPA)

    # -- air

    def air_s(self, name: str) -> list[tuple[float, float]]:
        """Stretches of a forced flow in which the flow sensor was in air.

        By its own flag; or it reads its zero although what is pushed would show or saturate it, and as restlessly as a
        sensor in air does: a flow that merely does not come leaves it still, and one that begins or ends is soon over.
        """
        if not self.run.has("flow") or name not in self.phases:
            return []
        settings = self.run.station["instruments"][self.run.roles["flow"].partition(".")[0]]
        if not settings.get("full_scale"):
            return []
        full_scale = parse(str(settings["full_scale"]), "flow")
        begin = self.phases.get(f"{name}-settle", self.phases[name])[0]
        series = self.run.series("flow").within(begin, self.phases[name][1])
        flagged = (series.quality & int(Quality.AIR)) != 0
        steady = (series.t >= begin + EDGE_S[0]) & (series.t <= self.phases[name][1] - EDGE_S[1])
        pushed = min(full_scale, self._pushed_ul_per_h(name))
        low = flagged | (steady & (np.abs(series.values) < AIR_SHARE * pushed))
        moved = np.concatenate([[False], np.abs(np.diff(series.values)) > AIR_STEP * full_scale])
        edges = np.flatnonzero(np.diff(np.concatenate([[False], low, [False]]).astype(np.int8)))
        found = []
        for a, b in edges.reshape(-1, 2).tolist():
            restless = int(np.count_nonzero(moved[a + 1 : b])) > AIR_RESTLESS * (b - a - 1)
            if b - a >= LEAST_AIR and (bool(flagged[a:b].any()) or restless):
                found.append((float(series.t[a]), float(series.t[b - 1])))
        return found

    def _pushed_ul_per_h(self, name: str) -> float:
        """What a forced flow pushes; bends are laid at the middle one, all that has no other name at the slowest."""
        middle = name.startswith("bent-") or name == "straight-again"
        key = next((key for key in FLOWS if name.endswith(f"-{key}")), "middle" if middle else "slow")
        return self.rates_ul_per_h[key]

    # -- what follows from the catheter's file

    @property
    def length_mm(self) -> float:
        """Length in use."""
        return float(self.run.catheter["length_supplied_mm"]) - float(self.run.catheter["length_trimmed_mm"])

    @property
    def bore_ul(self) -> float:
        """Volume of the bore."""
        return float(self.run.catheter["priming_volume_ul"])

    @cached_property
    def viscosity_mpa_s(self) -> float:
        """Viscosity of the fluid in the catheter: as stated, carried to its temperature as that of water goes."""
        fluid = self.run.fluid
        stated = fluid.get("viscosity_mpa_s")
        here = water_viscosity_mpa_s(self.bath_degc)
        if stated is None:
            return here
        return float(stated) * here / water_viscosity_mpa_s(float(fluid["viscosity_temperature_c"]))

    @property
    def u_viscosity(self) -> float:
        """Relative standard uncertainty of the viscosity by the temperature of the bath."""
        return thinning_per_k(self.bath_degc) * self.u_bath_k

    @property
    def poiseuille_kpa_s_per_ul(self) -> float:
        """Resistance that follows from bore and length of the file.

        Notes
        -----
        R = 128 mu L / (pi d^4) (Hagen-Poiseuille); mPa s / mm^3 is 1e-6 kPa s / uL.
        """
        bore_mm = float(self.run.catheter["bore_mm"])
        return 128.0e-6 * self.viscosity_mpa_s * self.length_mm / (math.pi * bore_mm**4)


def water_viscosity_mpa_s(temperature_degc: float) -> float:
    """Viscosity of water: 2.414e-5 Pa s x 10^(247.8/(T - 140 K)) (Vogel form; 1 % from 0 to 100 degC)."""
    return float(2.414e-2 * 10.0 ** (247.8 / (temperature_degc + 273.15 - 140.0)))


def thinning_per_k(temperature_degc: float) -> float:
    """Share by which water loses viscosity with each kelvin, by the slope of the same law: 2 % at 37 degC."""
    return math.log(10.0) * 247.8 / (temperature_degc + 273.15 - 140.0) ** 2
