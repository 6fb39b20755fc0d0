"""Gravimetric flow accuracy: what the pump delivers onto a balance, against what it was programmed to deliver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from data import quantities
from data.schedule import Schedule
from instruments.capabilities import PumpLink, Tareable, Valve
from protocols.analysis.looks import RISK, instants_s
from protocols.interlock import Interlock
from protocols.procedure import Controls, Measures, Procedure, param
from protocols.steps import (
    JudgedPhase,
    Phase,
    Program,
    ReadPump,
    SetValve,
    StartDelivery,
    Step,
    StopDelivery,
    Tare,
)

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run
    from protocols.analysis.declared import Declared
    from protocols.analysis.forecast import Forecast
    from protocols.analysis.looks import Look

HOUR_S = 3600.0
SETTLE_S = 1800.0
"""After a blank the tubing and the flow settle for this long before anything is judged."""


LONG_BLANK_S = 4 * 3600.0
"""A blank of this length tells the evaporation well enough."""

STROKES = 20
"""A mean over fewer strokes depends on where the first and the last one fall."""


class FlowAccuracy(Procedure):
    """Gravimetric flow accuracy over a programmed delivery schedule.

    Notes
    -----
    Method 6: where part of the analysis is excluded each stretch that is left has readings of its own in the budget of
    the mean, the mean at body temperature is of what is left, and there is none of whole strokes.  A start is looked
    for in intervals as short as the balance can tell; before, in those of the trumpet, and no pump that declares ten
    minutes could pass.

    Method 5: every window of the trumpet that the pump's file limits is judged, or was not measured; before, one that
    is none of the standard's or longer than the analysis left the verdict.  Segments and boluses have the budget of a
    gain over their time, not that of two readings; a flow that never came within its limit fails the start-up.

    Method 4: what a line behind a stopped pump gives off into a blank as the room warms is taken off, u of a blank
    draws on the declared wander of the balance, and the two blanks are weighted by how well each tells the loss (see
    docs/explanation/flow-analysis.md).  Before, U was up to three times what it had to be, and a draw.  The curve of
    cumulative volume begins with the analysis, and a sensor past which diverted flow went is not compared before it.
    """

    name, method = "flow-accuracy", 8
    leaves_out = True
    roles = (
        Measures("reference_mass", "mg"),
        Controls("balance", Tareable),
        Controls("pump", PumpLink),
        Controls("diverter", Valve, optional=True),
        Measures("twin_mass", "mg", optional=True),
        Measures("flow", "uL/h", optional=True),
        Measures("outlet_pressure", "kPa", optional=True),
        Measures("bath_temperature", "degC", optional=True),
        Measures("room_temperature", "degC", optional=True),
        Measures("ambient_pressure", "kPa", optional=True),
        Measures("humidity", "%", optional=True),
    )
    qualification: ClassVar[Mapping[str, str]] = {"stabilisation": "0 h", "analysis": "2 h", "blank_length": "50 min"}
    rests_in = frozenset({"stabilisation", "analysis"})
    forecast_over = "analysis_s"
    schedule: Schedule = param("what the pump is programmed to deliver", default="1 mL/day")
    stabilisation_s: float = param("stabilisation period", default="24 h", low="0 h", high="60 day")
    analysis_s: float = param("analysis period", default="25 h", low="1 h", high="60 day")
    blank: str = param(
        "how evaporation is measured: the flow diverted, the pump stopped, or a twin vessel on a second balance",
        default="stopped",
        choices=("diverter", "stopped", "twin"),
    )
    blank_length_s: float = param("length of each evaporation blank", default="4 h", low="30 min", high="2 day")
    stop_on_clear_fail: bool = param(
        "look at the analysis at declared moments and end it when the pump has clearly failed",
        default=False,
        later=True,
    )

    def steps(self) -> Iterator[Step]:
        """Blank, stabilisation, analysis, blank; the order depends on how the blank is taken."""
        if self.blank == "diverter":
            yield SetValve("diverter", False)
        yield Tare("balance")
        yield Program("pump", self.schedule)
        if self.blank == "stopped":
            yield StopDelivery("pump")
            yield Phase("blank-before", for_s=self.blank_length_s)
        yield ReadPump("pump", "before")
        yield StartDelivery("pump")
        if self.blank == "diverter":
            # The pump stabilises while its flow is diverted, so the blank costs no time of its own.
            yield Phase("stabilisation", for_s=max(0.0, self.stabilisation_s - self.blank_length_s - SETTLE_S))
            yield from self._diverted("blank-before")
            yield Phase("settling", for_s=SETTLE_S)
        else:
            yield Phase("stabilisation", for_s=self.stabilisation_s)
        looks_s = instants_s(self.analysis_s) if self.stop_on_clear_fail else ()
        if looks_s:
            yield JudgedPhase("analysis", for_s=self.analysis_s, looks_s=looks_s, risk=RISK)
        else:
            yield Phase("analysis", for_s=self.analysis_s)
        yield ReadPump("pump", "after")
        if self.blank == "diverter":
            yield from self._diverted("blank-after")
        elif self.blank == "stopped":
            yield StopDelivery("pump")
            yield Phase("blank-after", for_s=self.blank_length_s)

    def _diverted(self, phase: str) -> Iterator[Step]:
        yield SetValve("diverter", True)
        yield Phase(phase, for_s=self.blank_length_s)
        yield SetValve("diverter", False)

    def teardown(self) -> Iterator[Step]:
        """Leave the pump stopped."""
        yield StopDelivery("pump")

    def needs(self) -> set[str]:
        """A twin blank needs the second balance."""
        return super().needs() | ({"twin_mass"} if self.blank == "twin" else set())

    def limited_by(self) -> tuple[tuple[str, ...], str]:
        """By the limits of the mean."""
        return ("mean",), "the mean flow error"

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """Short blanks and few strokes widen the uncertainty."""
        if self.blank != "twin" and self.blank_length_s < LONG_BLANK_S:
            yield (
                f"blanks of {self.blank_length_s / 3600.0:.3g} h tell the evaporation poorly; "
                f"{LONG_BLANK_S / 3600.0:g} h are usual"
            )
        if self.blank == "diverter" and self.stabilisation_s < self.blank_length_s + SETTLE_S:
            yield (
                f"a stabilisation of {self.stabilisation_s / 3600.0:.3g} h does not hold the first blank, which begins "
                f"with the delivery and makes the run longer"
            )
        longest = max((float(one["window_s"]) for one in (dut["limits"] or {}).get("trumpet") or ()), default=0.0)
        if longest > self.analysis_s and self._constant():
            yield (
                f"the pump's file limits the flow over {longest / HOUR_S:.3g} h, but the analysis has "
                f'{self.analysis_s / HOUR_S:.3g} h: that point, and with it the run, will be "not-measured"'
            )
        if self.stop_on_clear_fail:
            yield from self._looks(dut)
        stroke = float(dut["stroke_ul"] or 0.0)
        expected = self.schedule.expected_volume_ul(self.stabilisation_s, self.stabilisation_s + self.analysis_s)
        if 0.0 < expected < STROKES * stroke:
            hours = self.analysis_s / 3600.0 * STROKES * stroke / expected
            held = f"the analysis holds {expected / stroke:.0f} strokes of {stroke:g} uL"
            yield f"{held}; {STROKES} would take {hours:.3g} h"

    def _constant(self) -> bool:
        """Whether the analysis has one rate, and so a trumpet."""
        return len(self.schedule.segments(self.stabilisation_s, self.stabilisation_s + self.analysis_s)) == 1

    def _looks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        looks_s = instants_s(self.analysis_s)
        if not looks_s:
            yield "the analysis is too short to be looked at; it is not ended early"
        elif not (dut["limits"] or {}).get("mean"):
            yield "the pump's file declares no limit of the mean, so nothing can be a clear fail"
        else:
            hours = ", ".join(f"{look_s / 3600.0:.3g}" for look_s in looks_s)
            yield f"a clear fail ends the analysis: it is looked at after {hours} h"

    def interlocks(self) -> Sequence[Interlock]:
        """None of its own: the limits of pressure, mass and temperature belong to the station."""
        return ()

    def forecast(self, declared: Declared) -> Forecast | None:
        """By the budget that the evaluation uses; see docs/explanation/forecast.md."""
        from protocols.analysis.flow_blanks import known_rig
        from protocols.analysis.flow_forecast import flow_forecast
        from protocols.analysis.gravimetric_forecast import plan_of, rig_of

        rig = rig_of(declared, self.blank)
        if rig is None:
            return None
        return flow_forecast(plan_of(self.steps()), self.schedule, known_rig(rig), declared.dut, declared.fluid)

    def alternatives(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Longer, with longer blanks, or with a blank that goes on all the time."""
        longest = quantities.parse(self.params["blank_length_s"].high or "", "time")
        if 2.0 * self.analysis_s <= quantities.parse(self.params["analysis_s"].high or "", "time"):
            yield f"an analysis of {2.0 * self.analysis_s / 3600.0:g} h", {"analysis_s": 2.0 * self.analysis_s}
        if self.blank == "twin":
            return
        if 2.0 * self.blank_length_s <= longest:
            yield (
                f"blanks of {2.0 * self.blank_length_s / 3600.0:g} h each",
                {"blank_length_s": 2.0 * self.blank_length_s},
            )
        yield "a twin vessel on a second balance like this one", {"blank": "twin"}

    @staticmethod
    def look(run: Run, looks: int, risk: float) -> Look:
        """Whether the mean is clearly outside its limits; see docs/explanation/early-stop.md."""
        from protocols.analysis.flow_look import look

        return look(run, looks, risk)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge what the balance saw; see docs/explanation/verdict.md."""
        from protocols.analysis.flow_verdict import evaluate

        return evaluate(run)


PROCEDURE = FlowAccuracy
