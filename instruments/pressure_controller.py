"""What drivers of pressure controllers have in common: settings, limits, orders that a stop takes back, going safe."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field

from data.quantity_fields import PressureKpa, TimeS, reads
from data.samples import Channel, Quality
from instruments.capabilities import Confirmation
from instruments.clock import Clock
from instruments.instrument import Connection, InstrumentRefusal, Polled, Settings
from instruments.visa import VisaInstrument, VisaSettings

MEASURED_RANGE = 1.1
"""Share of its range beyond which a controller measures nothing."""


class PressureControllerSettings(VisaSettings):
    """Settings of a controller."""

    period_s: TimeS = Field(1.0, alias="period", gt=0.0, description="how often it is asked")
    max_pressure_kpa: PressureKpa = Field(alias="max_pressure", description="largest set point; more is refused unsent")
    min_pressure_kpa: PressureKpa = Field(0.0, alias="min_pressure", description="smallest set point")
    slew_kpa_per_s: Annotated[float, reads("pressure-rate")] = Field(
        1.0, alias="slew", gt=0.0, description="how fast, unless a step says"
    )
    in_limits_kpa: PressureKpa = Field(
        0.05,
        alias="in_limits",
        gt=0.0,
        description="half-width of the band around the set point that counts as reached",
    )
    in_limits_time_s: TimeS = Field(
        4.0, alias="in_limits_time", ge=1.0, le=3600.0, description="how long it must have stayed there"
    )
    max_step_kpa: PressureKpa = Field(
        2.0, alias="max_step", gt=0.0, description="a larger change from one reading to the next is asked again"
    )
    safe: Literal["vent", "isolate"] = Field("vent", description="what going safe does")


class PolledPressureController(VisaInstrument, Polled):
    """A controller that is asked for its pressure; meets `instruments.capabilities.PressureController`.

    Going safe opens the line to ambient (``safe = "vent"``) or shuts it off with its pressure in it ("isolate").
    """

    settings: PressureControllerSettings

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        pressure = "pressure at the outlet of the controller"
        self.channels = (
            Channel("pressure", "kPa", "gauge", description=pressure, max_step=self.settings.max_step_kpa),
            Channel("in_limits", "1", description="1 once the pressure has stayed near enough to the set point"),
            Channel("regulating", "1", description="1 while it regulates, 0 while it only measures or vents"),
        )
        self._low_kpa = self._high_kpa = math.nan  # of its range, once it is known
        self._band_is_set = False
        self._regulates: bool | None = None  # as far as the bench knows; None while it is being told
        self._stops = 0  # orders to vent or to shut off

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    # -- what a driver gives

    @abstractmethod
    def _set_band(self, stops: int) -> None:
        """Set what counts as reached."""

    @abstractmethod
    def _regulate(self, pressure_kpa: float, slew_kpa_per_s: float, stops: int) -> str:
        """Order slew, set point and control, each read back before the next; returns what it does then."""

    @abstractmethod
    def _cease(self, how: Literal["vent", "isolate"]) -> str:
        """Order it not to regulate, and to vent or to shut the line; returns what it says of that."""

    # -- what it is told

    def set_pressure(self, pressure_kpa: float, slew_kpa_per_s: float | None = None) -> Confirmation:
        """Regulate to a gauge pressure: slew, then set point, then control, each read back before the next.

        Raises InstrumentRefusal when the pressure is out of range, before anything is sent, or when the controller was
        vented or shut off meanwhile.
        """
        stops, issued_s = self._stops, self.clock.now()
        slew = self.settings.slew_kpa_per_s if slew_kpa_per_s is None else slew_kpa_per_s
        self._connected()  # else the range is not known
        self._insist_on_limits(pressure_kpa, slew)
        if not self._band_is_set:
            self._set_band(stops)
            self._band_is_set = True
        reply = self._regulate(pressure_kpa, slew, stops)
        self._regulates = True
        return Confirmation(f"{pressure_kpa:g} kPa at {slew:g} kPa/s", reply, issued_s, self.clock.now())

    def isolate(self) -> Confirmation:
        """Cease to regulate and stay shut: what pressure is in the line stays there."""
        return self._stop("isolate")

    def vent(self) -> Confirmation:
        """Cease to regulate and begin to let the pressure out to ambient; does not wait until it is out."""
        return self._stop("vent")

    def make_safe(self) -> str:
        """Vent, or shut off, as the station says."""
        if self.settings.safe == "isolate":
            self.isolate()
            return "the pressure controller is shut off; the line keeps its pressure"
        self.vent()
        return "the pressure controller lets its pressure out to ambient and does not regulate"

    def _stop(self, how: Literal["vent", "isolate"]) -> Confirmation:
        issued_s = self.clock.now()
        self._stops += 1  # first: a set_pressure that is under way on another thread must not go on
        self._regulates = None
        said = self._cease(how)
        self._regulates = False
        return Confirmation(how, f"does not regulate; {said}", issued_s, self.clock.now())

    def _insist_on_limits(self, pressure_kpa: float, slew_kpa_per_s: float) -> None:
        least = max(self.settings.min_pressure_kpa, self._low_kpa)
        most = min(self.settings.max_pressure_kpa, self._high_kpa)
        if not least <= pressure_kpa <= most:
            raise InstrumentRefusal(self.name, f"{pressure_kpa:g} kPa is outside {least:g} to {most:g} kPa")
        if not 0.0 < slew_kpa_per_s < math.inf:
            raise InstrumentRefusal(self.name, f"{slew_kpa_per_s:g} kPa/s is no speed of a change")

    def _insist_on_no_stop(self, stops: int | None, order: str) -> None:
        """Raise InstrumentRefusal where a stop came since their number was ``stops``; None for a stop itself."""
        if stops not in (None, self._stops):
            raise InstrumentRefusal(self.name, f'was vented or shut off meanwhile; "{order}" was not sent')

    # -- what it says

    def _quality(self, kpa: float) -> Quality:
        return Quality.SATURATED if abs(kpa) > MEASURED_RANGE * self._high_kpa else Quality.GOOD

    def _notice(self, on: bool) -> None:
        """Say that control was switched by hand, or lost with the power."""
        if self._regulates not in (None, on):
            what = "was switched on by hand" if on else "no longer regulates: it restarted, or was switched off by hand"
            self.note("warning", f'pressure controller "{self.name}" {what}')
        self._regulates = on
