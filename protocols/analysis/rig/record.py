"""The record of a rig check as its parts read it: good samples of a role, and what air and fluid weighed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.run import Run, RunError, Series
from protocols.analysis import gravimetry
from protocols.analysis.measured_air import AIR
from protocols.analysis.rig import RecordError

USUAL_HUMIDITY_PERCENT = 50.0
USUAL_PRESSURE_KPA = 101.325


@dataclass(frozen=True)
class RigRecord:
    """The run, and what its station asks of a rig."""

    run: Run
    limits: dict[str, Any]

    @property
    def balance(self) -> dict[str, float]:
        """What the station file says of the reference balance's uncertainty; raises RecordError where it does not."""
        name = str(self.run.roles["reference_mass"]).partition(".")[0]
        stated = self.run.station["instruments"][name].get("uncertainty")
        if stated is None:
            raise RecordError(f'the station file says nothing of the uncertainty of "{name}"')
        return dict(stated)

    def good(self, role: str, phase: str | tuple[float, float]) -> Series:
        """Good samples of a role within a phase or a span of time; raises RecordError when there are none."""
        try:
            series = self.run.corrected(role).within(phase).good()
        except RunError as error:
            raise RecordError(str(error)) from None
        if len(series) == 0:
            raise RecordError(f'"{role}" gave no good sample in phase "{phase}"')
        return series

    def insist_on_whole(self, phase: str) -> None:
        """Raises RecordError where the run's end cut a phase off that has to be seen to its end."""
        if any(one.name == phase and not one.complete for one in self.run.phases):
            raise RecordError(f'the run ended in phase "{phase}"')

    def weighed(self, phase: str) -> Series:
        """Good readings of the balance over a standing line; raises RecordError where it shows a single one.

        A balance whose noise reaches half a digit changes its last digit within minutes; one that does not, is frozen.
        """
        series, balance = self.good("reference_mass", phase), self.balance
        noisy = 2.0 * balance["repeatability_mg"] >= balance["readability_mg"]
        if noisy and len(series) > 1 and float(np.ptp(series.values)) == 0.0:
            raise RecordError(f'the balance showed one reading all through phase "{phase}"; look whether it is alive')
        return series

    def mean(self, role: str, phase: str | tuple[float, float]) -> float:
        """Mean of a role over a phase."""
        values = self.good(role, phase).values
        return math.fsum(values.tolist()) / values.size

    def usual(self, role: str, phase: str | tuple[float, float], otherwise: float) -> float:
        """Mean of an optional role, or what is usual where it was not measured."""
        try:
            return self.mean(role, phase) if self.run.has(role) else otherwise
        except RecordError:
            return otherwise

    def u(self, role: str, value: float = 0.0) -> float:
        """Standard uncertainty of a channel by its certificate."""
        certificate = self.run.calibration(role)
        return math.hypot(certificate.get("u", 0.0), certificate.get("u_percent", 0.0) / 100.0 * abs(value))

    def air_mg_per_ul(self, span: str | tuple[float, float]) -> float:
        """Density of the air around the vessel in a span of time."""
        room = self.usual("room_temperature", span, gravimetry.REFERENCE_TEMPERATURE_DEGC)
        ambient_hpa = 10.0 * self.usual("ambient_pressure", span, USUAL_PRESSURE_KPA)
        # A hygrometer may be read less than once in a short span.
        humidity = self.usual("humidity", span, self.usual("humidity", "blank", USUAL_HUMIDITY_PERCENT))
        return gravimetry.air_density_mg_per_ul(room, ambient_hpa, humidity)

    def lost_air(self, span: str | tuple[float, float]) -> tuple[str, ...]:
        """Roles that were to measure the air in a span of time and gave no good sample; what is usual is taken."""
        lost = []
        for role in AIR:
            try:
                if self.run.has(role):
                    self.good(role, span)
            except RecordError:
                lost.append(role)
        return tuple(lost)

    @property
    def fluid_mg_per_ul(self) -> float:
        """Density of the fluid at the room's temperature, as water changes with it."""
        fluid = self.run.fluid
        at = float(fluid.get("density_temperature_c") or gravimetry.REFERENCE_TEMPERATURE_DEGC)
        room = self.usual("room_temperature", "gain-slow", at)
        stated = fluid.get("density_g_per_ml")
        ratio = gravimetry.water_density_mg_per_ul(room) / gravimetry.water_density_mg_per_ul(at)
        return ratio * (float(stated) if stated is not None else gravimetry.water_density_mg_per_ul(at))

    @property
    def ul_per_mg(self) -> float:
        """Volume of one milligram of reading, buoyancy and immersed tube included."""
        air = self.air_mg_per_ul("gain-slow")
        collection = self.run.station["collection"]
        immersion = gravimetry.immersion_factor(collection["tube_diameter_mm"], collection["vessel_diameter_mm"])
        return immersion * gravimetry.z_factor_ul_per_mg(air, self.fluid_mg_per_ul)
