"""Priming and bridge boluses: whether the drug has reached the tip when the programmer believes it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from data.schedule import Bolus, Continuous, Schedule, bridge_bolus
from instruments.capabilities import PumpLink, Tareable, Valve
from protocols.blanks import still_blank
from protocols.procedure import Controls, Measures, ParamError, Procedure, param
from protocols.steps import Phase, Program, ReadPump, StartDelivery, Step, StopDelivery, Tare

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run
    from protocols.analysis.declared import Declared
    from protocols.analysis.forecast import Forecast

STROKES_IN_HALF = 2


class Priming(Procedure):
    """Priming bolus after implant or catheter revision, or bridge bolus after a change of concentration.

    Notes
    -----
    Method 3: the rate after a bridge is judged; before, a pump that went on at the old rate passed.  A volume beside
    which something is excluded is not judged.  Method 6: the basal flow before and after a priming bolus is judged, and
    no pump fails by a path that the programmed volume does not fill.  Method 7: evaporation and the balance's drift are
    measured in blanks; in the basal flow they were the pump's.
    """

    name, method = "priming", 7
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
    qualification: ClassVar[Mapping[str, str]] = {"before": "40 min", "after": "40 min", "blank_length": "30 min"}
    occasion: str = param(
        "what is filled: pump and catheter, a new catheter alone, or both with another concentration",
        default="implant",
        choices=("implant", "catheter-revision", "concentration"),
    )
    volume_ul: float = param(
        "volume that the programmer is given: internal path and catheter, or the catheter alone",
        default="420 uL",
        low="1 uL",
        high="5 mL",
    )
    duration_s: float = param("time over which a priming bolus is given", default="40 min", low="1 min", high="1 day")
    basal_ul_per_h: float = param("basal rate; with another concentration, the old one", default="1 mL/day")
    new_ul_per_h: float = param("rate after a bridge", default="0.5 mL/day")
    before_s: float = param("basal flow before the bolus", default="1 h", low="10 min", high="10 day")
    after_s: float = param("basal flow after it", default="1 h", low="10 min", high="10 day")
    blank: str = param(
        "how evaporation is measured while the pump stands: the flow diverted, or only the pump stopped",
        default="diverter",
        choices=("diverter", "stopped"),
    )
    blank_length_s: float = param("length of each evaporation blank", default="1 h", low="30 min", high="2 day")
    tolerance_percent: float = param(
        "how far a volume may be from what the path needs", default="10 %", low="1 %", high="50 %"
    )

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        rates = {"basal": self.basal_ul_per_h}
        if self.occasion == "concentration":
            rates["new"] = self.new_ul_per_h
        for name, rate in rates.items():
            if not rate > 0.0:
                raise ParamError(
                    f'parameter "{name}": {rate * 0.024:g} mL/day carries nothing on to the tip; give a rate above '
                    "0 mL/day"
                )
        if self.occasion == "concentration" and abs(self.new_ul_per_h / self.basal_ul_per_h - 1.0) < 0.05:
            raise ParamError(
                'parameter "new": the end of a bridge shows by a change of the rate; choose one that differs from the '
                "old by at least 5 %"
            )

    @property
    def bolus(self) -> Bolus:
        """The priming bolus on top of the basal rate, or the bridge at the old rate."""
        if self.occasion == "concentration":
            return bridge_bolus(self.volume_ul, self.basal_ul_per_h)
        return Bolus(self.before_s, self.volume_ul, self.duration_s, "priming")

    @property
    def analysis_s(self) -> float:
        """From the start of delivery to the end."""
        return self.bolus.end_s + self.after_s

    def programmed(self) -> Schedule:
        """Basal rate and bolus."""
        rate = self.new_ul_per_h if self.occasion == "concentration" else self.basal_ul_per_h
        return Schedule(Continuous(rate), (self.bolus,))

    def steps(self) -> Iterator[Step]:
        """Program, blank, deliver and record until the basal flow after the bolus is known, blank."""
        yield Tare("balance")
        yield Program("pump", self.programmed())
        yield StopDelivery("pump")
        yield from still_blank("blank-before", self.blank, self.blank_length_s)
        yield StartDelivery("pump")
        yield ReadPump("pump", "before")
        yield Phase("analysis", for_s=self.analysis_s)
        yield ReadPump("pump", "after")
        yield StopDelivery("pump")
        yield from still_blank("blank-after", self.blank, self.blank_length_s)

    def teardown(self) -> Iterator[Step]:
        """Leave the pump stopped."""
        yield StopDelivery("pump")

    def limited_by(self) -> tuple[tuple[str, ...], str]:
        """By the limits of a bolus; a bridge is slow, and stands on those of a stretch at one rate."""
        if self.occasion == "concentration":
            return ("segment",), "the volume of the bridge and the rate after it"
        return ("bolus",), "the volume of the priming bolus"

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """Too little basal flow around the bolus, and a model that does not say what its path holds."""
        stroke = float(dut["stroke_ul"] or 0.0)
        slow = self.new_ul_per_h if self.occasion == "concentration" else self.basal_ul_per_h
        needed = 2.0 * (STROKES_IN_HALF * stroke / slow * 3600.0 + 30.0)
        shortest = self.after_s if self.occasion == "concentration" else min(self.before_s, self.after_s)
        if shortest < needed:
            yield (
                f"half of {shortest / 60.0:.4g} min of basal flow holds no {STROKES_IN_HALF} strokes of {stroke:g} uL; "
                f"{needed / 60.0:.4g} min would"
            )
        if dut["internal_path_ul"] is None and self.occasion != "catheter-revision":
            yield f"{dut['model']} does not state its internal path; what the path needs is not known"

    def forecast(self, declared: Declared) -> Forecast | None:
        """By the budget of the evaluation, on an ideal record; see docs/explanation/forecast.md."""
        from protocols.analysis.delivery_forecast import priming_forecast
        from protocols.analysis.flow_blanks import known_rig
        from protocols.analysis.gravimetric_forecast import plan_of, rig_of

        rig, schedule = rig_of(declared, self.blank), self.programmed()
        return None if rig is None else priming_forecast(plan_of(self.steps()), known_rig(rig), schedule, declared)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge volume and time against what path and catheter hold."""
        from protocols.analysis.priming import evaluate

        return evaluate(run)


PROCEDURE = Priming
