"""Refill of the reservoir: the needle, what comes out, what goes in, what is missing, and what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from data.schedule import Schedule
from instruments.capabilities import PumpLink, SyringePump, Tareable, Valve
from protocols.procedure import Controls, Measures, ParamError, Procedure, param
from protocols.prompts import Ask, Confirm
from protocols.steps import (
    ClearSyringe,
    HaltSyringe,
    Infuse,
    MoveValve,
    Phase,
    Program,
    ReadProgram,
    ReadPump,
    ReadSyringe,
    SetReservoir,
    StartDelivery,
    Step,
    StopDelivery,
    Tare,
    Withdraw,
    above,
    below,
)

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run
    from protocols.analysis.declared import Declared
    from protocols.analysis.forecast import Forecast

REST_S = 15.0
"""Record of the force with the needle free, and with it at rest where it was pushed to."""

SETTLE_S = 60.0
"""The balance comes to rest after its tare."""

SPARE = 1.1
"""A motion of a syringe may take so much longer than its volume and rate say, and `REST_S` more."""

PUNCTURE_SPEED_MM_PER_S = 10.0
RUN_OUT_S = 120.0
"""After the pump has stopped, line and catheter give off the rest."""

HEAVIEST_MG = 500_000.0
LARGEST_UL = 60_000.0


class RefillPort(Procedure):
    """Refill of the reservoir through its port, with the ledger of its volume and the hours after it.

    Notes
    -----
    Method 7: the syringe's loss is held against the count of its pump times the gain of the pump's certificate.
    """

    name, method = "refill-port", 7
    leaves_out = True
    roles = (
        Measures("reference_mass", "mg"),
        Measures("needle_force", "N"),
        Measures("needle_depth", "mm"),
        Measures("refill_pressure", "kPa"),
        Controls("balance", Tareable),
        Controls("force_gauge", Tareable),
        Controls("pusher", SyringePump),
        Controls("pump", PumpLink),
        Controls("outlet", Valve),
        Measures("flow", "uL/h", optional=True),
        Measures("outlet_pressure", "kPa", optional=True),
        Measures("reservoir_pressure", "kPa", optional=True),
        Measures("bath_temperature", "degC", optional=True),
        Measures("room_temperature", "degC", optional=True),
        Measures("ambient_pressure", "kPa", optional=True),
        Measures("humidity", "%", optional=True),
    )
    qualification: ClassVar[Mapping[str, str]] = {
        "schedule": "6 mL/day at 500 ug/mL; drug baclofen",
        "order": "3000 ug/day at 500 ug/mL; drug baclofen",
        "analysis": "4 h",
        "blank_length": "2 h",
    }
    # Nobody is at the port.  In the blanks, too: 200 readings of a balance have less noise than its zero's walk.
    rests_in = frozenset({"septum", "blank-before", "analysis", "blank-after"})
    schedule: Schedule = param("what the pump is programmed to deliver after the refill", default="1 mL/day")
    order: str = param("what was ordered, as a schedule, read from the order and not from the program", default="")
    fill_ul: float = param("volume that is filled in", default="18 mL", low="1 mL", high="60 mL")
    push_ul_per_h: float = param("rate of filling; never over 1 mL in 3 s", default="480 mL/h", high="1200 mL/h")
    last_ul: float = param("the last of it, filled slowly", default="2 mL", low="0.1 mL", high="10 mL")
    slow_ul_per_h: float = param("rate of the last of it", default="60 mL/h", low="1 mL/h", high="1200 mL/h")
    full_kpa: float = param("pressure in the refill line at which filling stops", default="90 kPa", low="40 kPa")
    draw_ul_per_h: float = param("rate of emptying", default="480 mL/h", low="1 mL/h", high="1200 mL/h")
    empty_kpa: float = param("pressure at which nothing more comes", default="-30 kPa", low="-80 kPa", high="-5 kPa")
    stop_mm: float = param("depth of the needle stop", default="20 mm", low="5 mm", high="60 mm")
    press_mm: float = param("how far the stage goes on beyond it", default="0.2 mm", low="0 mm", high="1 mm")
    stop_force_n: float = param("force by which the stop is known", default="1 N", low="0.2 N", high="10 N")
    speed_mm_per_s: float = param("speed of the needle", default="0.5 mm/s", low="0.05 mm/s", high="10 mm/s")
    ledger: str = param("how syringes are measured", default="weighed", choices=("weighed", "scale"))
    weighing_mg: float = param("standard uncertainty of weighing a syringe, drops included", default="5 mg")
    emptying_ul: float = param("standard deviation of what an emptying leaves behind", default="10 uL")
    left_ul: float = param("what an emptied reservoir still holds", default="0.2 mL", low="0 mL", high="5 mL")
    overfill: bool = param(
        "push until the reservoir's valve closes, and empty it again, before the filling", default=False
    )
    overfill_most_ul: float = param("largest volume of that test", default="21 mL", low="1 mL", high="60 mL")
    punctures: int = param("further punctures before the septum's leak is measured", default=0, low="0", high="2000")
    septum: str = param("how the septum's leak is measured", default="none", choices=("none", "mass", "coupon"))
    septum_length_s: float = param("time over which it is measured", default="2 day", low="1 h", high="60 day")
    septum_weighing_mg: float = param("standard uncertainty of weighing the pump against a dummy", default="0.2 mg")
    analysis_s: float = param("delivery that is watched after the refill", default="2 day", low="1 h", high="60 day")
    blank: str = param("how evaporation is measured", default="stopped", choices=("stopped",))
    blank_length_s: float = param("length of each evaporation blank", default="4 h", low="30 min", high="2 day")

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        if self.last_ul >= self.fill_ul:
            raise ParamError(f'parameter "last": {self.last_ul / 1000.0:g} mL is all of the filling; choose less')
        if self.overfill and self.overfill_most_ul <= self.fill_ul:
            raise ParamError('parameter "overfill_most" is no more than the filling; choose more than the capacity')
        if self.order:
            Schedule.parse(self.order)
        if not self.schedule.expected_volume_ul(0.0, self.analysis_s) > 0.0:
            raise ParamError(
                'parameter "schedule": nothing is delivered in the watch after the refill, so there is nothing to '
                "judge; give a rate above 0 mL/day"
            )

    def steps(self) -> Iterator[Step]:
        """Empty, fill, watch, empty again; the pump stands still but for the watch."""
        yield StopDelivery("pump")
        yield Tare("balance")
        yield Phase("tared", for_s=SETTLE_S)
        yield Ask("vial", "scan-vial", "Scan the label of the vial that is filled in: drug and concentration.")
        yield ReadPump("pump", "before")
        yield from self._insert(1)
        yield from self._empty(1)
        if self.overfill:
            yield from self._overfill()
        yield from self._fill()
        yield from self._withdraw(1)
        yield SetReservoir("pump", self.fill_ul)
        yield Program("pump", self.schedule)
        yield from self._septum()
        yield ReadPump("pump", "filled")
        yield from self._blank("blank-before")
        yield StartDelivery("pump")
        yield Phase("analysis", for_s=self.analysis_s)
        yield ReadPump("pump", "after")
        yield ReadProgram("pump", "after")
        yield StopDelivery("pump")
        yield Phase("run-out", for_s=RUN_OUT_S)
        yield from self._blank("blank-after")
        yield from self._insert(2)
        yield from self._empty(2)
        yield from self._withdraw(2)

    def _blank(self, phase: str) -> Iterator[Step]:
        """Evaporation with the line closed: an open one breathes into the vessel as the room warms and cools."""
        yield MoveValve("outlet", False)
        yield Phase(phase, for_s=self.blank_length_s)
        yield MoveValve("outlet", True)

    def _insert(self, number: int) -> Iterator[Step]:
        """The needle through the septum to the stop."""
        depth_mm = self.stop_mm + self.press_mm
        yield Tare("force_gauge")
        yield Phase(f"free-{number}", for_s=REST_S)
        yield Confirm(
            f"insert-{number}",
            "insert-needle",
            f"Move the stage with a fresh needle to {depth_mm:g} mm at {self.speed_mm_per_s:g} mm/s.",
            details=(("depth_mm", depth_mm), ("speed_mm_per_s", self.speed_mm_per_s)),
        )
        yield Phase(f"insertion-{number}", for_s=depth_mm / self.speed_mm_per_s + REST_S)
        yield Phase(f"seated-{number}", for_s=REST_S)

    def _withdraw(self, number: int) -> Iterator[Step]:
        yield Confirm(
            f"withdraw-{number}",
            "withdraw-needle",
            "Close the stopcock and move the stage back.",
            details=(("speed_mm_per_s", self.speed_mm_per_s),),
        )
        yield Phase(f"withdrawal-{number}", for_s=self.stop_mm / self.speed_mm_per_s + REST_S)

    def _syringe(self, key: str, which: str) -> Step:
        """What is in a syringe: its mass, or what its graduation shows."""
        if self.ledger == "scale":
            text = f"Read the graduation of the syringe {which}."
            return Ask(f"{key}-graduation", "read-syringe", text, unit="uL", low=0.0, high=LARGEST_UL)
        text = f"Wipe the tip of the syringe {which}, weigh it, and connect it again."
        return Ask(f"{key}-mass", "weigh-syringe", text, unit="mg", low=0.0, high=HEAVIEST_MG)

    def _empty(self, number: int) -> Iterator[Step]:
        """Draw until nothing more comes."""
        yield self._syringe(f"empty-{number}", f"for emptying {number}, before")
        yield ClearSyringe("pusher")
        yield from self._draw(f"emptying-{number}")
        yield Phase(f"emptied-{number}", for_s=REST_S)
        yield ReadSyringe("pusher", f"emptied-{number}")
        yield self._syringe(f"emptied-{number}", f"for emptying {number}, after")

    def _draw(self, phase: str) -> Iterator[Step]:
        longest_s = LARGEST_UL / self.draw_ul_per_h * 3600.0
        yield Withdraw("pusher", self.draw_ul_per_h)
        yield Phase(phase, until=below("refill_pressure", self.empty_kpa), at_most_s=longest_s)
        yield HaltSyringe("pusher")

    def _fill(self) -> Iterator[Step]:
        """Fast, then the last of it slowly; the pressure that a closed reservoir makes ends each."""
        yield self._syringe("fill", "with the new filling, before")
        yield ClearSyringe("pusher")
        yield from self._push("filling", self.push_ul_per_h, self.fill_ul - self.last_ul)
        yield from self._push("filling-slowly", self.slow_ul_per_h, self.last_ul)
        yield ReadSyringe("pusher", "filled")
        yield self._syringe("filled", "with the new filling, after")

    def _push(self, phase: str, rate_ul_per_h: float, volume_ul: float) -> Iterator[Step]:
        longest_s = SPARE * volume_ul / rate_ul_per_h * 3600.0 + REST_S
        yield Infuse("pusher", rate_ul_per_h, volume_ul)
        yield Phase(phase, until=above("refill_pressure", self.full_kpa), at_most_s=longest_s)
        yield HaltSyringe("pusher")

    def _overfill(self) -> Iterator[Step]:
        """Until the reservoir closes, at most so far; then all of it is drawn out again."""
        early_ul = self.fill_ul - self.last_ul
        yield self._syringe("over-fill", "for the over-fill test, before")
        yield from self._push("over-filling-early", self.push_ul_per_h, early_ul)
        yield from self._push("over-filling", self.slow_ul_per_h, self.overfill_most_ul - early_ul)
        yield self._syringe("over-filled", "for the over-fill test, after")
        yield from self._draw("drawing-back")

    def _septum(self) -> Iterator[Step]:
        """Further punctures, then the leak by what the pump loses, or by what a coupon's capillary gains."""
        if self.punctures:
            details = (
                ("count", float(self.punctures)),
                ("depth_mm", self.stop_mm - 2.0),
                ("speed_mm_per_s", PUNCTURE_SPEED_MM_PER_S),
            )
            text = (
                f"Puncture the septum {self.punctures} times more, each time at another place; a fresh needle every 10."
            )
            longest_s = self.punctures * (2.0 * self.stop_mm / PUNCTURE_SPEED_MM_PER_S + 1.0)
            yield Confirm("series", "puncture-series", text, details=details)
            yield Phase("series", for_s=longest_s)
        if self.septum == "none":
            return
        yield self._leak_reading("leak-before")
        yield Phase("septum", for_s=self.septum_length_s)
        yield self._leak_reading("leak-after")

    def _leak_reading(self, key: str) -> Step:
        if self.septum == "mass":
            text = "Cap the catheter port, dry the pump, weigh it against the dummy pump, and give pump less dummy."
            return Ask(key, "weigh-pump", text, unit="mg", low=-HEAVIEST_MG, high=HEAVIEST_MG)
        return Ask(key, "read-capillary", "Read the meniscus of the coupon's capillary.", unit="mm", low=-1e3, high=1e4)

    def teardown(self) -> Iterator[Step]:
        """Nothing pushes, and the pump is left stopped."""
        yield HaltSyringe("pusher")
        yield StopDelivery("pump")

    def limited_by(self) -> tuple[tuple[str, ...], str]:
        """Of the refill or of the mean delivery; records that agree judge no pump."""
        return ("refill", "mean"), "what is missing after the refill and what comes after it"

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """An order that nobody stated, a ledger that is read to a graduation, a test that does not fill the pump."""
        if self.overfill and self.left_ul + self.overfill_most_ul <= float(dut["reservoir_ul"]):
            yield (
                f"the over-fill test pushes at most {self.overfill_most_ul / 1000.0:g} mL, which does not fill the "
                f"reservoir of {float(dut['reservoir_ul']) / 1000.0:g} mL: its capacity will not be measured; raise "
                "overfill_most"
            )
        if not self.order:
            yield "no order is stated, so nothing is reconciled with it; give --set order=..."
        if self.ledger == "scale":
            yield "a graduation is read to 0.2 mL: ten times the uncertainty of weighing"

    def forecast(self, declared: Declared) -> Forecast | None:
        """By the budgets of the evaluation, on an ideal record; see docs/explanation/forecast.md."""
        from protocols.analysis.gravimetric_forecast import plan_of, rig_of
        from protocols.analysis.refill.forecast import refill_forecast

        # The line is closed in both blanks, so it does not breathe into them.
        rig = rig_of(declared, "closed")
        return None if rig is None else refill_forecast(plan_of(self.steps()), rig, self.schedule, declared)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge needle, ledger, records, and the hours after; see docs/explanation/refill-port.md."""
        from protocols.analysis.refill.verdict import evaluate

        return evaluate(run)


PROCEDURE = RefillPort
