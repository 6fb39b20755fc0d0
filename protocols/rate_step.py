"""Rate steps: how soon and how truly a pump follows its start and each change of its programmed rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from data.quantities import parse
from data.schedule import Continuous, Schedule
from instruments.capabilities import PumpLink, Tareable, Valve
from protocols.analysis.rate_course import course
from protocols.blanks import still_blank
from protocols.procedure import Controls, Measures, ParamError, Procedure, param
from protocols.steps import Phase, Program, ReadPump, StartDelivery, Step, StopDelivery, Tare

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run
    from protocols.analysis.declared import Declared
    from protocols.analysis.forecast import Forecast

LARGEST_CHANGE_PERCENT = 100.0
STROKES_HELD = 4
"""A rate is held for whole strokes of transition and as many from which its new mean is taken."""


class RateStep(Procedure):
    """Start-up, settling, new mean and overshoot after each change of the programmed rate.

    Notes
    -----
    Method 3: what is excluded is taken out of the start too; a drop wiped off there was a fault of the pump.
    Method 5: the flow sensor has the zero of the blanks and the level of the balance, and what is not known of a flow
    is in the start and in the settling; gain and zero of the sensor could fail a healthy pump and pass a slow one.
    Method 7: all that came at a rate is judged, and no flow and what nobody programmed fail: between transition and
    last half nothing was looked at.  Method 8: a blank is estimated with the declared walk of the zero and the room's
    thermometer, as in flow-accuracy; by its record alone its u was a draw.
    """

    name, method = "rate-step", 8
    leaves_out = True
    roles = (
        Measures("reference_mass", "mg"),
        Controls("balance", Tareable),
        Controls("pump", PumpLink),
        Controls("diverter", Valve, optional=True),
        Measures("flow", "uL/h", optional=True),
        Measures("outlet_pressure", "kPa", optional=True),
        Measures("bath_temperature", "degC", optional=True),
        Measures("room_temperature", "degC", optional=True),
        Measures("ambient_pressure", "kPa", optional=True),
        Measures("humidity", "%", optional=True),
    )
    qualification: ClassVar[Mapping[str, str]] = {"changes": "20 %", "hold": "1 h", "blank_length": "30 min"}
    basal_ul_per_h: float = param("rate at the start", default="1 mL/day", low="0.01 mL/day", high="24 mL/day")
    changes: str = param("changes of the rate, each of the rate before it", default="10 %, 30 %, -20 %")
    hold_s: float = param("how long each rate is held", default="3 h", low="5 min", high="30 day")
    transition_s: float = param(
        "time after a change over which its volume is judged", default="30 min", low="1 min", high="10 day"
    )
    band_percent: float = param("a flow has settled within this of its new mean", default="5 %", low="1 %", high="50 %")
    blank: str = param(
        "how evaporation is measured: the flow diverted, or only the pump stopped",
        default="diverter",
        choices=("diverter", "stopped"),
    )
    blank_length_s: float = param("length of each evaporation blank", default="1 h", low="30 min", high="2 day")

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.rates()
        if self.transition_s > self.hold_s / 2.0:
            raise ParamError(
                f'parameter "transition": {self.transition_s:g} s is more than half of the {self.hold_s:g} s for which '
                "a rate is held; the other half shows its new mean"
            )

    def rates(self) -> tuple[float, ...]:
        """The rate at the start, and after each change."""
        found = [self.basal_ul_per_h]
        for one in self.changes.split(","):
            try:
                percent = parse(one, "percent")
            except ValueError as error:
                raise ParamError(f'parameter "changes": {error}') from None
            if not (0.0 < abs(percent) <= LARGEST_CHANGE_PERCENT and percent > -100.0):
                raise ParamError(
                    f'parameter "changes": "{one.strip()}" is no change of a rate that can be asked for; each is above '
                    f"-100 % and at most {LARGEST_CHANGE_PERCENT:g} %, and not 0 %: write for example 10 %, -20 %"
                )
            found.append(found[-1] * (1.0 + percent / 100.0))
        return tuple(found)

    @property
    def analysis_s(self) -> float:
        """Every rate."""
        return len(self.rates()) * self.hold_s

    def programmed(self) -> Schedule:
        """The rates one after the other, as planned; each replaces the first one for its time, as a bridge does."""
        return course([(i * self.hold_s, rate) for i, rate in enumerate(self.rates())], self.analysis_s)

    def steps(self) -> Iterator[Step]:
        """Blank, start, each change while the pump runs, blank."""
        rates = self.rates()
        yield Tare("balance")
        yield Program("pump", Schedule(Continuous(rates[0])))
        yield StopDelivery("pump")
        yield from still_blank("blank-before", self.blank, self.blank_length_s)
        yield StartDelivery("pump")
        yield ReadPump("pump", "before")
        yield Phase("start", for_s=self.hold_s)
        for number, rate in enumerate(rates[1:], 1):
            yield Program("pump", Schedule(Continuous(rate)))
            yield Phase(f"step-{number}", for_s=self.hold_s)
        yield ReadPump("pump", "after")
        yield StopDelivery("pump")
        yield from still_blank("blank-after", self.blank, self.blank_length_s)

    def teardown(self) -> Iterator[Step]:
        """Leave the pump stopped."""
        yield StopDelivery("pump")

    def limited_by(self) -> tuple[tuple[str, ...], str]:
        """By the limits of a stretch at one rate."""
        return ("segment",), "each new mean"

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """Too few strokes."""
        stroke = float(dut["stroke_ul"] or 0.0)
        needed = 2.0 * STROKES_HELD * stroke / min(self.rates()) * 3600.0
        if self.hold_s < needed:
            yield (
                f"half of {self.hold_s / 60.0:.4g} min holds no {STROKES_HELD} strokes of {stroke:g} uL; "
                f"{needed / 60.0:.4g} min would"
            )

    def forecast(self, declared: Declared) -> Forecast | None:
        """By the budget of the evaluation, on an ideal record; see docs/explanation/forecast.md."""
        from protocols.analysis.delivery_forecast import rate_step_forecast
        from protocols.analysis.flow_blanks import known_rig
        from protocols.analysis.gravimetric_forecast import plan_of, rig_of

        rig, schedule = rig_of(declared, self.blank), self.programmed()
        return (
            None
            if rig is None
            else rate_step_forecast(plan_of(self.steps()), known_rig(rig), self.rates(), schedule, declared)
        )

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge the volume by the balance, the course in time by the flow sensor at the balance's level."""
        from protocols.analysis.rate_step import evaluate

        return evaluate(run)


PROCEDURE = RateStep
