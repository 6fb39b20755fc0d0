"""Occlusion: the line is closed behind the pump and opened again; what the pressure, the alarm and the balance say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from data import quantities
from data.schedule import Continuous, Schedule
from instruments.capabilities import PressureController, PumpLink, SyringePump, Tareable, Valve
from protocols.procedure import Controls, Measures, ParamError, Procedure, param
from protocols.steps import (
    AwaitSyringe,
    Infuse,
    MoveValve,
    Phase,
    Program,
    ReadPump,
    ReadSyringe,
    SetPressure,
    StartDelivery,
    Step,
    StopDelivery,
    Tare,
    VentPressure,
    Withdraw,
    above,
)

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run
    from protocols.analysis.declared import Declared
    from protocols.analysis.forecast import Forecast

HOUR_S = 3600.0

SHORTEST_WINDOW_S = 1200.0
"""The tubing's creep, 5 min, dies down within the bolus."""

EDGE_S = 60.0
"""Readings at the edges of a window are averaged over this."""

STANDING_S, STANDING_UL = 180.0, 1.2
"""The stopped pump is weighed for so long before the metered step, and once more after it where the slowest rate takes
longer for so much: a slip of the meniscus is then less than half of that rate."""

REST_S = 120.0
"""The closed line comes to rest before the syringe pushes into it."""

BACK_SHARE = 0.1
"""So much of the step is drawn back: a transducer with play follows a leak then at once, and not after 0.2 kPa."""

LONG_AFTER = 1.8
"""A rise is given up after so many times the expected time; whether a line would have risen its compliance tells."""


class Occlusion(Procedure):
    """Occlusion by the outlet valve, its release, and the pump against a back pressure.

    Notes
    -----
    Method 6: what the syringe pump pushes in the metered step is what it was asked for times the gain of its
    certificate.
    """

    name, method = "occlusion", 6
    largest_swept_ul = 0.5
    roles = (
        Measures("outlet_pressure", "kPa"),
        Measures("reference_mass", "mg"),
        Controls("balance", Tareable),
        Controls("pump", PumpLink),
        Controls("outlet", Valve),
        Controls("pusher", SyringePump, optional=True),
        Controls("controller", PressureController, optional=True),
        Measures("flow", "uL/h", optional=True),
        Measures("back_pressure", "kPa", optional=True),
        Measures("bath_temperature", "degC", optional=True),
        Measures("line_temperature", "degC", optional=True),
        Measures("room_temperature", "degC", optional=True),
        Measures("ambient_pressure", "kPa", optional=True),
        Measures("humidity", "%", optional=True),
    )
    qualification: ClassVar[Mapping[str, str]] = {"window": "10 uL", "settle": "10 min"}
    rates: str = param("rates at which the line is closed, separated by commas", default="1 mL/day")
    threshold_kpa: float = param(
        "outlet pressure whose crossing is timed", default="60 kPa", low="2 kPa", high="500 kPa"
    )
    limit_kpa: float = param(
        "outlet pressure at which the line is opened again", default="70 kPa", low="3 kPa", high="500 kPa"
    )
    line_ul_per_kpa: float = param(
        "compliance that the closed line is expected to have",
        default="0.50 uL/kPa",
        low="0.01 uL/kPa",
        high="50 uL/kPa",
    )
    settle_s: float = param("delivery before anything is judged", default="30 min", low="0 h", high="60 day")
    window_ul: float = param(
        "volume of each window: before closing, after opening, and after that", default="20 uL", low="1 uL", high="1 mL"
    )
    metered: bool = param("measure the compliance by a step of the syringe pump", default=True)
    step_ul: float = param("volume of that step", default="10 uL", low="1 uL", high="200 uL")
    step_rate_ul_per_h: float = param("its rate", default="300 uL/h", low="10 uL/h", high="10 mL/h")
    hold_s: float = param("record of the closed line after the step", default="15 min", low="10 min", high="4 h")
    partial_kpa: float = param(
        "back pressure of a partial occlusion, by the pressure controller; none at 0",
        default="0 kPa",
        low="0 kPa",
        high="200 kPa",
    )

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.rates_ul_per_h = _rates(self.rates)
        if not self.limit_kpa > self.threshold_kpa:
            raise ParamError(
                f'parameter "limit": {self.limit_kpa:g} kPa is not above the threshold of {self.threshold_kpa:g} kPa, '
                "so the crossing would not be seen; choose a higher one"
            )

    def window_s(self, rate_ul_per_h: float) -> float:
        """Length of a window at a rate."""
        return max(self.window_ul / rate_ul_per_h * HOUR_S, SHORTEST_WINDOW_S)

    @property
    def standing_s(self) -> float:
        """How long the stopped pump has to be weighed."""
        return max(STANDING_S, STANDING_UL / min(self.rates_ul_per_h) * HOUR_S)

    def expected_s(self, rate_ul_per_h: float, pressure_kpa: float) -> float:
        """Time from closing to a pressure, by rate and compliance."""
        return self.line_ul_per_kpa * pressure_kpa / rate_ul_per_h * HOUR_S

    def programmed(self) -> Schedule | None:
        """One rate is a schedule; several are not."""
        return Schedule(Continuous(self.rates_ul_per_h[0])) if len(self.rates_ul_per_h) == 1 else None

    def steps(self) -> Iterator[Step]:
        """The metered step into the closed line; then, at each rate, closed, opened, and against a back pressure."""
        yield StopDelivery("pump")
        yield Tare("balance")
        if self.metered:
            yield from self._metered()
        for number, rate in enumerate(self.rates_ul_per_h, 1):
            yield Program("pump", Schedule(Continuous(rate)))
            yield StartDelivery("pump")
            yield Phase(f"settle-{number}", for_s=self.settle_s)
            yield from self._occluded(number, rate)
            if self.partial_kpa > 0.0:
                yield from self._partial(number, rate)
            yield StopDelivery("pump")

    def _metered(self) -> Iterator[Step]:
        """The syringe pump pushes a known volume into the closed line while the pump under test stands."""
        yield MoveValve("outlet", True)
        yield Phase("metered-before", for_s=STANDING_S)
        yield MoveValve("outlet", False)
        yield Phase("metered-closed", for_s=REST_S)
        yield ReadSyringe("pusher", "metered-begin")
        yield Infuse("pusher", self.step_rate_ul_per_h, self.step_ul)
        yield AwaitSyringe("pusher", 2.0 * self.step_ul / self.step_rate_ul_per_h * HOUR_S + EDGE_S)
        yield ReadSyringe("pusher", "metered-end")
        yield Withdraw("pusher", self.step_rate_ul_per_h, float(f"{BACK_SHARE * self.step_ul:.3g}"))
        yield AwaitSyringe("pusher", 2.0 * self.step_ul / self.step_rate_ul_per_h * HOUR_S + EDGE_S)
        yield ReadSyringe("pusher", "metered-back")
        yield Phase("metered-hold", for_s=self.hold_s)
        yield MoveValve("outlet", True)
        yield Phase("metered-open", for_s=SHORTEST_WINDOW_S / 2.0)
        if self.standing_s > STANDING_S:
            yield Phase("standing", for_s=self.standing_s)

    def _occluded(self, number: int, rate_ul_per_h: float) -> Iterator[Step]:
        window_s = self.window_s(rate_ul_per_h)
        longest_s = LONG_AFTER * self.expected_s(rate_ul_per_h, self.limit_kpa) + EDGE_S
        yield Phase(f"before-{number}", for_s=window_s + EDGE_S)
        yield MoveValve("outlet", False)
        yield Phase(f"rise-{number}", until=above("outlet_pressure", self.limit_kpa), at_most_s=longest_s)
        yield ReadPump("pump", f"closed-{number}")
        yield MoveValve("outlet", True)
        yield Phase(f"after-{number}", for_s=2.0 * window_s + EDGE_S)
        yield ReadPump("pump", f"opened-{number}")

    def _partial(self, number: int, rate_ul_per_h: float) -> Iterator[Step]:
        yield SetPressure("controller", self.partial_kpa)
        yield Phase(f"partial-settle-{number}", for_s=SHORTEST_WINDOW_S)
        yield Phase(f"partial-{number}", for_s=self.window_s(rate_ul_per_h))
        yield ReadPump("pump", f"partial-{number}")
        yield VentPressure("controller")
        yield Phase(f"partial-open-{number}", for_s=SHORTEST_WINDOW_S)

    def teardown(self) -> Iterator[Step]:
        """The line is open and the pump stands."""
        yield MoveValve("outlet", True)
        if self.partial_kpa > 0.0:
            yield VentPressure("controller")
        yield StopDelivery("pump")

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """How long each rise is expected to take, and what will not be known."""
        for rate in self.rates_ul_per_h:
            minutes = self.expected_s(rate, self.threshold_kpa) / 60.0
            yield (
                f"at {rate * 0.024:.4g} mL/day the closed line is expected to reach {self.threshold_kpa:g} kPa after "
                f"{minutes:.3g} min ({self.line_ul_per_kpa:g} uL/kPa)"
            )
        half_stroke_kpa = 0.5 * float(dut["stroke_ul"] or 0.0) / self.line_ul_per_kpa
        if self.limit_kpa < self.threshold_kpa + half_stroke_kpa:
            yield (
                f"the limit is less than half a stroke, {half_stroke_kpa:.3g} kPa, above the threshold, so the time "
                f"depends on where a stroke falls; set limit to {self.threshold_kpa + half_stroke_kpa:.3g} kPa"
            )
        if "occlusion" not in dut["alarms"]:
            yield f"{dut['model']} has no occlusion alarm: time to alarm is n/a by model"
        if not self.metered:
            yield "without the metered step the compliance comes from the pump's own flow, and nothing tells a leak"
            declared = (dut.get("limits") or {}).get("occlusion") or {}
            if dut.get("kind") == "peristaltic" and declared.get("pressure_at_least_kpa") is not None:
                yield (
                    f"{dut['model']} declares a pressure that its rollers hold; without the metered step it, and with "
                    'it the run, will be "not-measured"; set metered to yes'
                )

    def forecast(self, declared: Declared) -> Forecast | None:
        """By the budgets of the evaluation, for a line as stated; see docs/explanation/forecast.md."""
        from protocols.analysis.gravimetric_forecast import rig_of
        from protocols.analysis.occlusion.forecast import occlusion_forecast

        rig = rig_of(declared, "none")
        windows = [self.window_s(rate) for rate in self.rates_ul_per_h]
        return None if rig is None else occlusion_forecast(rig, self.rates_ul_per_h, windows, declared)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge pressure, alarm and bolus; see docs/explanation/occlusion.md."""
        from protocols.analysis.occlusion.verdict import evaluate

        return evaluate(run)


def _rates(text: str) -> tuple[float, ...]:
    """Rates in uL/h from text; raises ParamError."""
    try:
        rates = tuple(quantities.parse(one, "flow") for one in text.split(","))
    except quantities.QuantityError as error:
        raise ParamError(f'parameter "rates": {error}') from None
    if any(rate <= 0.0 for rate in rates):
        raise ParamError('parameter "rates": a pump that stands raises no pressure; give rates above 0 mL/day')
    return rates


PROCEDURE = Occlusion
