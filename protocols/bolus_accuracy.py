"""Bolus accuracy: boluses on basal flow onto a balance, and what the pump answers to a patient's requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from data.schedule import Bolus, Continuous, PatientBolus, Schedule
from instruments.capabilities import PumpLink, Tareable, Valve
from protocols.blanks import still_blank
from protocols.procedure import Controls, Measures, ParamError, Procedure, param
from protocols.steps import Phase, Program, ReadPump, RequestBolus, StartDelivery, Step, StopDelivery, Tare

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run
    from protocols.analysis.declared import Declared
    from protocols.analysis.forecast import Forecast

AFTER_LOCKOUT_S = 60.0
"""A request that must be granted comes so long after the lockout has ended."""

STROKES_IN_HALF = 2
"""The basal flow is taken from whole strokes in the last half between boluses; a line needs two."""


class BolusAccuracy(Procedure):
    """Volume of boluses on basal flow, and the patient bolus with its lockout and daily maximum.

    Notes
    -----
    Method 3: a limited bolus that cannot be judged stays in the verdict, a delivery that nobody programmed fails the
    pump, and where the pump's clock is not known its midnight may be at any time.  Method 6: what a granted request
    delivered has the limits of a bolus, a refused one may change nothing, and the basal flow is judged.  Method 7:
    evaporation and the balance's drift are measured in blanks; in the basal flow a vessel that lost more than its
    station states, or a balance that drifted, was the pump's.
    """

    name, method = "bolus-accuracy", 7
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
    qualification: ClassVar[Mapping[str, str]] = {
        "boluses": "3",
        "interval": "40 min",
        "stabilisation": "10 min",
        "lockout": "80 min",
        "daily_maximum": "2",
        "blank_length": "30 min",
    }
    basal_ul_per_h: float = param("basal rate", default="1 mL/day", low="0.01 mL/day", high="24 mL/day")
    bolus_ul: float = param("volume of each bolus", default="25 uL", low="0.1 uL", high="1 mL")
    duration_s: float = param("time over which a bolus is given", default="5 min", low="1 s", high="1 day")
    boluses: int = param("number of boluses", default=25, low="2", high="200")
    interval_s: float = param("time from the beginning of one bolus to that of the next", default="1 h", low="1 min")
    stabilisation_s: float = param("delivery before the first interval", default="2 h", low="0 h", high="60 day")
    requests: bool = param("ask for patient boluses too, in the lockout and beyond the daily maximum", default=True)
    lockout_s: float = param("lockout of the patient bolus", default="2 h", low="1 min", high="1 day")
    daily_maximum: int = param("patient boluses that the pump may grant in a day", default=2, low="1", high="20")
    day: str = param("what a day is to the pump's rule", default="calendar", choices=("calendar", "rolling"))
    blank: str = param(
        "how evaporation is measured while the pump stands: the flow diverted, or only the pump stopped",
        default="diverter",
        choices=("diverter", "stopped"),
    )
    blank_length_s: float = param("length of each evaporation blank", default="1 h", low="30 min", high="2 day")

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        if self.interval_s < 2.0 * self.duration_s:
            raise ParamError(
                f'parameter "interval": {self.interval_s:g} s leaves no basal flow after half of it when a bolus takes '
                f"{self.duration_s:g} s; choose at least {2.0 * self.duration_s:g} s"
            )
        if self.requests and self.lockout_s < 4.0 * self.duration_s:
            raise ParamError(
                f'parameter "lockout": {self.lockout_s:g} s is too short to ask within it for a bolus of '
                f"{self.duration_s:g} s and to see by mass what follows; choose at least {4.0 * self.duration_s:g} s"
            )

    @property
    def first_bolus_s(self) -> float:
        """From the start of delivery to the first bolus."""
        return self.stabilisation_s + self.interval_s

    @property
    def analysis_s(self) -> float:
        """One interval of basal flow alone, then one for each bolus."""
        return (self.boluses + 1) * self.interval_s

    def programmed(self) -> Schedule:
        """Basal rate, the boluses, and the rule of the patient bolus."""
        rule = PatientBolus(self.bolus_ul, self.duration_s, self.lockout_s, self.daily_maximum, _day(self.day))
        return Schedule(
            Continuous(self.basal_ul_per_h),
            tuple(
                Bolus(self.first_bolus_s + i * self.interval_s, self.bolus_ul, self.duration_s)
                for i in range(self.boluses)
            ),
            patient=rule if self.requests else None,
        )

    def steps(self) -> Iterator[Step]:
        """Blank, basal flow, the boluses, a request in each lockout, after it, and beyond the daily maximum, blank."""
        yield Tare("balance")
        yield Program("pump", self.programmed())
        yield StopDelivery("pump")
        yield from still_blank("blank-before", self.blank, self.blank_length_s)
        yield StartDelivery("pump")
        yield ReadPump("pump", "before")
        yield Phase("stabilisation", for_s=self.stabilisation_s)
        yield Phase("analysis", for_s=self.analysis_s)
        if self.requests:
            for number, wait_s in enumerate(self.waits_s(), 1):
                yield RequestBolus("pump", self.bolus_ul, self.duration_s, "patient")
                yield Phase(f"request-{number}", for_s=wait_s)
        yield ReadPump("pump", "after")
        yield StopDelivery("pump")
        yield from still_blank("blank-after", self.blank, self.blank_length_s)

    def waits_s(self) -> tuple[float, ...]:
        """What follows each request: half of a lockout, in which the next one is refused, or the rest of it."""
        half = self.lockout_s / 2.0
        return (half, half + AFTER_LOCKOUT_S) * self.daily_maximum + (half,)

    def teardown(self) -> Iterator[Step]:
        """Leave the pump stopped."""
        yield StopDelivery("pump")

    def limited_by(self) -> tuple[tuple[str, ...], str]:
        """By the limits of a bolus."""
        return ("bolus",), "the mean error of the boluses"

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """Too short an interval for whole strokes, and a rule that is not the model's."""
        stroke = float(dut["stroke_ul"] or 0.0)
        shortest = min(self.interval_s, self.lockout_s / 2.0) if self.requests else self.interval_s
        needed = 2.0 * (STROKES_IN_HALF * stroke / self.basal_ul_per_h * 3600.0 + 30.0)
        if shortest < needed:
            yield (
                f"half of {shortest / 60.0:.4g} min holds no {STROKES_IN_HALF} strokes of {stroke:g} uL, so the basal "
                f"flow is known poorly; {needed / 60.0:.4g} min would do"
            )
        if self.requests and dut["patient_day"] not in (self.day, "none"):
            yield f"{dut['model']} counts a {dut['patient_day']} day, but the rule is programmed with a {self.day} one"
        if self.requests and dut["patient_day"] == "none":
            yield f"{dut['model']} declares no patient bolus; leave the requests out with --set requests=no"

    def forecast(self, declared: Declared) -> Forecast | None:
        """By the budget of the evaluation, on an ideal record; see docs/explanation/forecast.md."""
        from protocols.analysis.delivery_forecast import bolus_forecast
        from protocols.analysis.flow_blanks import known_rig
        from protocols.analysis.gravimetric_forecast import plan_of, rig_of

        rig, schedule = rig_of(declared, self.blank), self.programmed()
        return None if rig is None else bolus_forecast(plan_of(self.steps()), known_rig(rig), schedule, declared)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge what the balance saw of each bolus, and what the pump answered."""
        from protocols.analysis.bolus_verdict import evaluate

        return evaluate(run)


def _day(word: str) -> Any:
    return word  # one of the choices


PROCEDURE = BolusAccuracy
