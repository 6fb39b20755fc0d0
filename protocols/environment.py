"""Environment: one pump on one flow sensor under back pressure, at other temperatures, from a fuller reservoir.

Every result is a ratio to the reference condition, which stands before and after each series: what the sensor's gain
does not know cancels, and what drifts shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from data import quantities
from data.schedule import Continuous, Schedule
from data.units import DimensionName
from instruments.capabilities import PressureController, PumpLink, Tareable, TemperatureBath
from protocols.procedure import Controls, Measures, ParamError, Procedure, param
from protocols.prompts import Ask
from protocols.steps import (
    Condition,
    Phase,
    Program,
    ReadPump,
    SetPressure,
    SetReservoir,
    SetTemperature,
    StartDelivery,
    Step,
    StopDelivery,
    SwitchBath,
    Tare,
    VentPressure,
)

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run
    from protocols.analysis.declared import Declared
    from protocols.analysis.forecast import Forecast

HOUR_S = 3600.0

MOST_SOAK_S = 3 * HOUR_S
"""A bath that has not come to rest after so long does not come to rest."""

STROKES = 4
"""Fewer whole strokes tell nothing of their scatter."""


class Environment(Procedure):
    """Delivery against back pressure, temperature and filling, as ratios to a reference condition.

    Notes
    -----
    Method 5: a temperature that did not hold for its soak is none, however the bath stood in the hold after it.
    """

    name, method = "environment", 5
    roles = (
        Measures("flow", "uL/h"),
        Controls("pump", PumpLink),
        Controls("balance", Tareable),
        Measures("reference_mass", "mg", optional=True),
        Controls("controller", PressureController, optional=True),
        Measures("controller_pressure", "kPa", optional=True),
        Measures("outlet_pressure", "kPa", optional=True),
        Controls("bath", TemperatureBath, optional=True),
        Measures("bath_temperature", "degC", optional=True),
        Measures("room_temperature", "degC", optional=True),
        Measures("ambient_pressure", "kPa", optional=True),
        Measures("reservoir_pressure", "kPa", optional=True),
    )
    qualification: ClassVar[Mapping[str, str]] = {
        "rate": "2 mL/day",
        "temperatures": "32 degC",
        "levels": "none",
        "settle": "25 min",
        "soak": "20 min",
    }
    rate_ul_per_h: float = param("programmed rate", default="1 mL/day", low="0.01 mL/day", high="24 mL/day")
    program: bool = param("program and start the pump; no where it has one rate and always flows", default=True)
    pressures: str = param(
        "back pressures, separated by commas; none without any", default="-100 mmHg, 100 mmHg, 300 mmHg"
    )
    temperatures: str = param(
        "temperatures of the pump, separated by commas; none without any", default="32 degC, 42 degC"
    )
    levels: str = param("volumes in the reservoir, separated by commas; none without any", default="10 mL, 2 mL")
    reference_degc: float = param("temperature of the reference condition", default="37 degC", low="5 degC")
    full_ul: float = param(
        "volume in the reservoir at the reference condition of the levels", default="18 mL", low="0.1 mL", high="100 mL"
    )
    settle_s: float = param("delivery in a condition before it is judged", default="30 min", low="1 min", high="7 day")
    hold_ul: float = param(
        "volume over which a condition is judged, in whole strokes",
        default="30 uL",
        low="1 uL",
        high="5 mL",
    )
    soak_s: float = param("time for which the pump has to be in the band of temperature", default="1 h", low="1 min")
    band_k: float = param("how far the temperature may be off", default="0.5 K", low="0.1 K", high="3 K")

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.pressures_kpa = _listed("pressures", self.pressures, "pressure")
        self.temperatures_degc = _listed("temperatures", self.temperatures, "temperature")
        self.levels_ul = _listed("levels", self.levels, "volume")
        if not (self.pressures_kpa or self.temperatures_degc or self.levels_ul):
            raise ParamError(
                'parameters "pressures", "temperatures" and "levels" are all none; give one of them a condition'
            )
        self._insist_on_changes()

    def _insist_on_changes(self) -> None:
        """A condition that is the reference tells nothing, and a change over none of it is no number."""
        if any(_same(pressure, 0.0) for pressure in self.pressures_kpa):
            raise ParamError(
                'parameter "pressures": 0 kPa is the reference condition, which stands before and after the others '
                "anyway; leave it out"
            )
        for temperature in self.temperatures_degc:
            if abs(temperature - self.reference_degc) < self.band_k:
                raise ParamError(
                    f'parameter "temperatures": {temperature:g} degC is within {self.band_k:g} K of the reference '
                    f"condition, {self.reference_degc:g} degC, which stands before and after the others anyway; leave "
                    "it out"
                )
        if any(_same(level, self.full_ul) for level in self.levels_ul):
            raise ParamError(
                f'parameter "levels": {self.full_ul / 1000.0:g} mL is the reference condition "full", which stands '
                "before and after the others anyway; leave it out"
            )

    @property
    def hold_s(self) -> float:
        """Length of a hold."""
        return self.hold_ul / self.rate_ul_per_h * HOUR_S

    def programmed(self) -> Schedule | None:
        """One rate; nothing is programmed on a pump that has its own."""
        return Schedule(Continuous(self.rate_ul_per_h)) if self.program else None

    def steps(self) -> Iterator[Step]:
        """Each series stands between two holds at its reference condition."""
        yield Tare("balance")  # the vessel of a station has to be watched for its filling
        if self.program:
            yield Program("pump", Schedule(Continuous(self.rate_ul_per_h)))
            yield StartDelivery("pump")
        yield ReadPump("pump", "before")
        if self.temperatures_degc:
            yield SwitchBath("bath", True)
            yield from self._soaked("start", self.reference_degc)
        else:
            yield Phase("start", for_s=self.settle_s)
        if self.pressures_kpa:
            yield from self._pressures()
        if self.temperatures_degc:
            yield from self._temperatures()
        if self.levels_ul:
            yield from self._levels()
        yield ReadPump("pump", "after")

    def _pressures(self) -> Iterator[Step]:
        yield SetPressure("controller", 0.0)
        yield from self._judged("pressure-first")
        for number, pressure in enumerate(self.pressures_kpa, 1):
            yield SetPressure("controller", pressure)
            yield from self._judged(f"pressure-{number}")
        yield SetPressure("controller", 0.0)
        yield from self._judged("pressure-last")
        yield VentPressure("controller")

    def _temperatures(self) -> Iterator[Step]:
        yield from self._judged("temperature-first")
        for number, temperature in enumerate(self.temperatures_degc, 1):
            yield from self._soaked(f"temperature-{number}-soak", temperature)
            yield from self._judged(f"temperature-{number}")
        yield from self._soaked("temperature-last-soak", self.reference_degc)
        yield from self._judged("temperature-last")

    def _levels(self) -> Iterator[Step]:
        yield from self._filled("level-first", self.full_ul)
        for number, level in enumerate(self.levels_ul, 1):
            yield from self._filled(f"level-{number}", level)
        yield from self._filled("level-last", self.full_ul)

    def _filled(self, name: str, volume_ul: float) -> Iterator[Step]:
        yield Ask(
            f"{name}-filled",
            "fill-reservoir",
            f"Empty the reservoir and fill it with {volume_ul / 1000.0:g} mL from a weighed syringe; how much went in?",
            "uL",
            low=0.8 * volume_ul,
            high=1.2 * volume_ul,
            details=(("volume_ul", volume_ul),),
        )
        yield SetReservoir("pump", volume_ul)
        yield from self._judged(name)

    def _soaked(self, name: str, temperature_degc: float) -> Iterator[Step]:
        low, high = temperature_degc - self.band_k, temperature_degc + self.band_k
        yield SetTemperature("bath", temperature_degc)
        yield Condition(name, "bath_temperature", low, high, self.soak_s, self.soak_s + MOST_SOAK_S)

    def _judged(self, name: str) -> Iterator[Step]:
        yield Phase(f"{name}-settle", for_s=self.settle_s)
        yield Phase(name, for_s=self.hold_s)

    def teardown(self) -> Iterator[Step]:
        """Back to ambient pressure and the reference temperature; the pump stands."""
        if self.pressures_kpa:
            yield VentPressure("controller")
        if self.temperatures_degc:
            yield SetTemperature("bath", self.reference_degc)
        if self.program:
            yield StopDelivery("pump")

    def needs(self) -> set[str]:
        """What holds a condition has to be measured too."""
        return (
            super().needs()
            | ({"controller_pressure", "outlet_pressure"} if self.pressures_kpa else set())
            | ({"bath_temperature"} if self.temperatures_degc else set())
        )

    def limited_by(self) -> tuple[tuple[str, ...], str]:
        """By the limits of the conditions that are tried."""
        asked = {
            "back_pressure": self.pressures_kpa,
            "temperature": self.temperatures_degc,
            "reservoir_level": self.levels_ul,
        }
        return tuple(key for key, values in asked.items() if values), "each change of the delivery"

    def collects(self) -> bool:
        """Also where the flow sensor alone is asked: a vessel has to bear the pressure that is held over it."""
        return True

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """Too few strokes, and pressures that a weir does not hold."""
        stroke = float(dut["stroke_ul"] or 0.0)
        if self.hold_ul < STROKES * stroke:
            yield (
                f"a hold of {self.hold_ul:g} uL has fewer than {STROKES} strokes of {stroke:g} uL; "
                f"set hold to {STROKES * stroke:g} uL"
            )
        for pressure in self.pressures_kpa:
            metres = pressure / 9.79
            yield f"a back pressure of {pressure:.4g} kPa is {metres:.2g} m of water; the vessel has to bear it"

    def forecast(self, declared: Declared) -> Forecast | None:
        """Of the back pressures, by the budget of the evaluation; see docs/explanation/forecast.md."""
        from protocols.analysis.environment.forecast import environment_forecast
        from protocols.analysis.gravimetric_forecast import plan_of

        return environment_forecast(plan_of(self.steps()), self.pressures_kpa, self.settle_s, declared)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge the ratios; see docs/explanation/environment.md."""
        from protocols.analysis.environment.verdict import evaluate

        return evaluate(run)


def _same(value: float, reference: float) -> bool:
    """Whether two quantities are one but for the rounding of their units."""
    return math.isclose(value, reference, rel_tol=1e-6, abs_tol=1e-6)


def _listed(name: str, text: str, dimension: DimensionName) -> tuple[float, ...]:
    """Quantities from text with commas between them; none for "none".  Raises ParamError."""
    if text.strip().lower() in ("", "none"):
        return ()
    try:
        return tuple(quantities.parse(one.strip(), dimension) for one in text.split(","))
    except quantities.QuantityError as error:
        raise ParamError(f'parameter "{name}": {error}') from None


PROCEDURE = Environment
