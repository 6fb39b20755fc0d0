"""Reservoir life: from a weighed filling to its low-reservoir alarm and beyond, the pump's count against a balance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from data.schedule import Continuous, Schedule
from instruments.capabilities import PumpLink, Tareable
from protocols.procedure import Controls, Measures, ParamError, Procedure, param
from protocols.prompts import Ask, VesselChange
from protocols.steps import Phase, Program, ReadPump, SetReservoir, StartDelivery, Step, StopDelivery, Tare

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run
    from protocols.analysis.declared import Declared
    from protocols.analysis.forecast import Forecast

HOUR_S = 3600.0
DAY_S = 86_400.0

FILLING_S = 1800.0
"""What the plan allows for emptying and filling a reservoir."""


class ReservoirLife(Procedure):
    """Life of a filling: low-reservoir alarm, delivery over the level, and the empty reservoir.

    Notes
    -----
    Method 8: more that came out than was filled in is the rig's; of a run that ended early nothing is known of an alarm
    after the pump's last answer.
    """

    name, method = "reservoir-life", 8
    runs_empty = True
    roles = (
        Measures("reference_mass", "mg"),
        Controls("balance", Tareable),
        Controls("pump", PumpLink),
        Measures("flow", "uL/h", optional=True),
        Measures("reservoir_pressure", "kPa", optional=True),
        Measures("outlet_pressure", "kPa", optional=True),
        Measures("bath_temperature", "degC", optional=True),
        Measures("room_temperature", "degC", optional=True),
        Measures("ambient_pressure", "kPa", optional=True),
        Measures("humidity", "%", optional=True),
    )
    qualification: ClassVar[Mapping[str, str]] = {"rate": "19 mL/day", "fill": "9 mL"}
    rate_ul_per_h: float = param("programmed rate", default="0.45 mL/day", low="0.01 mL/day", high="24 mL/day")
    fill_ul: float = param("volume that is filled in", default="18 mL", low="0.5 mL", high="100 mL")
    alarm_ul: float = param(
        "volume at which the pump is expected to raise its low-reservoir alarm", default="2 mL", low="0.1 mL"
    )
    end: str = param(
        "run on until the reservoir is empty, or have it refilled after the alarm",
        default="empty",
        choices=("empty", "refill"),
    )
    beyond_ul: float = param(
        "volume that is programmed beyond the calculated end, or beyond the alarm with a refill",
        default="0.5 mL",
        low="10 uL",
        high="20 mL",
    )
    vessel_ul: float = param("most that a vessel collects before it is changed", default="9 mL", low="0.1 mL")

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        if not self.alarm_ul < self.fill_ul:
            raise ParamError(
                f'parameter "alarm": {self.alarm_ul / 1000:g} mL is not below the filling of {self.fill_ul / 1000:g} '
                "mL, so the alarm would sound from the start; fill more"
            )

    @property
    def planned_ul(self) -> float:
        """What is programmed from the start to the end, or to the refill."""
        return self.fill_ul + self.beyond_ul - (self.alarm_ul if self.end == "refill" else 0.0)

    @property
    def most_collected_ul(self) -> float:
        """What one vessel has to hold, by the program."""
        return min(self.vessel_ul, self.planned_ul)

    def programmed(self) -> Schedule:
        """One rate to the end."""
        return Schedule(Continuous(self.rate_ul_per_h))

    def steps(self) -> Iterator[Step]:
        """Fill, tell the pump, deliver vessel by vessel, and refill if that was asked for."""
        vessels = math.ceil(self.planned_ul / self.vessel_ul)
        length_s = self.planned_ul / vessels / self.rate_ul_per_h * HOUR_S
        yield Tare("balance")
        yield Program("pump", Schedule(Continuous(self.rate_ul_per_h)))
        yield self._fill("filled")
        yield SetReservoir("pump", self.fill_ul)
        yield StartDelivery("pump")
        yield ReadPump("pump", "before")
        for number in range(1, vessels + 1):
            if number > 1:
                yield VesselChange("reference_mass", f"vessel-{number}")
            yield Phase(f"life-{number}", for_s=length_s)
            yield ReadPump("pump", f"count-{number}")
        if self.end == "refill":
            yield self._fill("refilled")
            yield SetReservoir("pump", self.fill_ul)
            yield ReadPump("pump", "refilled")

    def _fill(self, key: str) -> Step:
        return Ask(
            key,
            "fill-reservoir",
            f"Empty the reservoir, fill it with {self.fill_ul / 1000.0:g} mL from a weighed syringe; how much went in?",
            "uL",
            low=0.8 * self.fill_ul,
            high=1.2 * self.fill_ul,
            details=(("volume_ul", self.fill_ul),),
            allow_s=FILLING_S,
        )

    def rests(self, phase: str) -> bool:
        """While a vessel fills, for days."""
        return phase.startswith("life-")

    def teardown(self) -> Iterator[Step]:
        """Leave the pump stopped."""
        yield StopDelivery("pump")

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """How long it takes, and an alarm volume that is not the model's."""
        days = self.planned_ul / self.rate_ul_per_h * HOUR_S / DAY_S
        alarm_days = (self.fill_ul - self.alarm_ul) / self.rate_ul_per_h * HOUR_S / DAY_S
        yield f"the alarm is expected {alarm_days:.3g} days after the start, the end after {days:.3g}"
        declared = dut.get("low_reservoir_ul")
        if declared is None:
            yield f"{dut['model']} has no low-reservoir alarm: only its delivery over the level is found"
            if not (dut.get("limits") or {}).get("reservoir_level"):
                yield (
                    f"{dut['model']} declares no [limits.reservoir-level] either, so nothing is judged, and the run "
                    'will be "not-measured"; add it with its source and revision'
                )
        elif abs(float(declared) - self.alarm_ul) > 1.0:
            yield f"{dut['model']} declares its alarm at {float(declared) / 1000:g} mL; set alarm to that"

    def forecast(self, declared: Declared) -> Forecast | None:
        """By the budgets of the evaluation, on an ideal record; see docs/explanation/forecast.md."""
        from protocols.analysis.gravimetric_forecast import rig_of
        from protocols.analysis.reservoir_life.forecast import life_forecast

        rig, vessels = rig_of(declared, "none"), math.ceil(self.planned_ul / self.vessel_ul)
        if rig is None:
            return None
        return life_forecast(rig, self.rate_ul_per_h, self.fill_ul, self.planned_ul, vessels, declared)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge alarm and level; see docs/explanation/reservoir-life.md."""
        from protocols.analysis.reservoir_life.verdict import evaluate

        return evaluate(run)


PROCEDURE = ReservoirLife
