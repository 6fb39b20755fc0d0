"""The daily rig check: balance, transducers, line, evaporation, flow sensor and bath, before any pump is judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from data.quantities import format_quantity
from instruments.capabilities import PressureController, PumpLink, SyringePump, Tareable, Valve
from protocols.procedure import Controls, Measures, Procedure, param
from protocols.prompts import Ask, Confirm
from protocols.steps import (
    ClearSyringe,
    Condition,
    HaltSyringe,
    Infuse,
    IsolatePressure,
    MoveValve,
    Phase,
    ReadSettings,
    ReadSyringe,
    SetPressure,
    Step,
    StopDelivery,
    Tare,
    VentPressure,
    above,
)

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run

WEIGHING_S = 90.0
"""A draft from opening the shield dies down and the balance settles, then the last ten of its readings count."""

SETTLE_S = 120.0
LONGEST_RAMP_S = 3600.0

DEMANDS: Mapping[str, Literal["at least", "at most", "exactly"]] = {
    "weight_mg": "exactly",
    "weighings": "at least",
    "quiet_s": "at least",
    "span_kpa": "at least",
    "proof_kpa": "at least",
    "injection_ul_per_h": "exactly",
    "creep_s": "at least",
    "decay_s": "at least",
    "blank_length_s": "at least",
    "slow_ul_per_h": "exactly",
    "middle_ul_per_h": "exactly",
    "fast_ul_per_h": "exactly",
    "compared_ul": "at least",
    "bath_low_degc": "at least",
    "bath_high_degc": "at most",
    "soak_s": "at least",
}
"""What a rig check was run with, against what is asked for.  How long it might wait for the bath proves nothing."""


class RigCheck(Procedure):
    """Daily proof that the rig is fit to judge a pump."""

    name, method = "rig-check", 6
    relies_on_rig_check = False
    roles = (
        Measures("reference_mass", "mg"),
        Measures("outlet_pressure", "kPa"),
        Measures("controller_pressure", "kPa"),
        Measures("flow", "uL/h"),
        Measures("bath_temperature", "degC"),
        Measures("room_temperature", "degC", optional=True),
        Measures("ambient_pressure", "kPa", optional=True),
        Measures("humidity", "%", optional=True),
        Controls("balance", Tareable),
        Controls("pump", PumpLink),
        Controls("outlet", Valve),
        Controls("vent", Valve),
        Controls("pusher", SyringePump),
        Controls("controller", PressureController),
        Controls("diverter", Valve, optional=True),
    )
    qualification: ClassVar[Mapping[str, str]] = {
        "weighings": "2",
        "quiet": "5 min",
        "blank_length": "30 min",
        "compared": "25 uL",
        "soak": "5 min",
        "bath_wait": "10 min",
    }
    weight_mg: float = param("reference weight near the working load", default="20 g", low="1 g", high="10 kg")
    weighings: int = param("how often the weight is put on", default=3, low="2", high="20")
    quiet_s: float = param("quiet record of the balance", default="10 min", low="5 min", high="1 day")
    span_kpa: float = param("highest pressure of the span check", default="40 kPa", low="5 kPa", high="500 kPa")
    proof_kpa: float = param("pressure of the leak test", default="100 kPa", low="10 kPa", high="500 kPa")
    injection_ul_per_h: float = param("rate of the injection that raises the line to it", default="600 uL/h")
    creep_s: float = param("wait for the creep of the tubing", default="5 min", low="1 min", high="1 h")
    decay_s: float = param("record of the decay of pressure", default="10 min", low="4 min", high="4 h")
    blank_length_s: float = param("length of the evaporation blank", default="1 h", low="30 min", high="2 day")
    slow_ul_per_h: float = param("slowest rate at which the flow sensor is compared", default="30 uL/h")
    middle_ul_per_h: float = param("middle rate", default="100 uL/h")
    fast_ul_per_h: float = param("fastest rate", default="300 uL/h")
    compared_ul: float = param("volume that each comparison collects", default="30 uL", low="5 uL", high="1 mL")
    bath_low_degc: float = param("lowest temperature of the bath", default="36 degC")
    bath_high_degc: float = param("highest temperature of the bath", default="38 degC")
    soak_s: float = param("how long the bath must have stayed within", default="30 min", low="1 min", high="1 day")
    bath_wait_s: float = param("longest wait for that", default="4 h", low="1 min", high="2 day")

    def falls_short(self, done: Mapping[str, Any]) -> str:
        """Where a rig check that was run with other parameters proves less than this one would; "" where nowhere."""
        for name, demand in DEMANDS.items():
            asked, was = getattr(self, name), done[name]
            enough = {"at least": was >= asked, "at most": was <= asked, "exactly": was == asked}[demand]
            if not enough:
                kind = self.params[name].dimension
                was, asked = (value if kind is None else format_quantity(value, kind) for value in (was, asked))
                return f"{self.params[name].short_name} {was}, where {demand} {asked} is asked for"
        return ""

    @property
    def forced_ul_per_h(self) -> tuple[float, ...]:
        """Those at which the flow sensor is compared."""
        return self.slow_ul_per_h, self.middle_ul_per_h, self.fast_ul_per_h

    def steps(self) -> Iterator[Step]:
        """All eight parts; the pump under test stands still throughout."""
        yield StopDelivery("pump")
        yield from self._balance()
        yield from self._transducers()
        yield from self._line()
        yield Phase("blank", for_s=self.blank_length_s)  # the line is closed, and its tubing creeps back meanwhile
        yield from self._flow()
        yield Condition(
            "bath",
            "bath_temperature",
            self.bath_low_degc,
            self.bath_high_degc,
            self.soak_s,
            max(self.bath_wait_s, self.soak_s),
        )

    def _balance(self) -> Iterator[Step]:
        """A reference weight on and off, and a record of nothing: a line that is open breathes into the vessel."""
        yield MoveValve("outlet", False)
        yield Confirm("level", "level-balance", "Check that the balance is level and has been on for its warm-up time.")
        yield Confirm("shield", "close-door", "Close the draft shield.")
        yield Tare("balance")
        yield ReadSettings("balance", "balance-settings")
        for k in range(1, self.weighings + 1):
            yield Phase(f"empty-{k}", for_s=WEIGHING_S)
            yield Confirm(
                f"weight-on-{k}",
                "place-weight",
                f"Put the {self.weight_mg / 1000.0:g} g reference weight on the pan.",
                details=(("mass_mg", self.weight_mg),),
            )
            yield Phase(f"loaded-{k}", for_s=WEIGHING_S)
            yield Confirm(f"weight-off-{k}", "remove-weight", "Take the reference weight off the pan.")
        yield Phase(f"empty-{self.weighings + 1}", for_s=WEIGHING_S)
        yield Phase("quiet", for_s=self.quiet_s)

    def _transducers(self) -> Iterator[Step]:
        """Zero, vented at a height that somebody measured; span by the controller through the open line."""
        yield Ask(
            "height",
            "measure-height",
            "Measure how high the outlet transducer stands above the pump's outlet.",
            unit="mm",
            low=-1000.0,
            high=1000.0,
        )
        yield VentPressure("controller")
        yield MoveValve("outlet", True)
        yield MoveValve("vent", True)
        yield Phase("vented", for_s=SETTLE_S)
        yield MoveValve("vent", False)
        for percent in (0, 50, 100):
            yield SetPressure("controller", self.span_kpa * percent / 100.0)
            yield Phase(f"span-settle-{percent}", for_s=SETTLE_S)
            yield Phase(f"span-{percent}", for_s=SETTLE_S)
        yield VentPressure("controller")
        yield Phase("span-release", for_s=SETTLE_S)

    def _line(self) -> Iterator[Step]:
        """Pushed up against the closed valve: the ramp tells the compliance, the decay the leak."""
        yield MoveValve("outlet", False)
        yield Phase("closed", for_s=SETTLE_S)
        yield ClearSyringe("pusher")  # or a large syringe might run over the end of its counts
        yield Infuse("pusher", self.injection_ul_per_h)
        yield Phase("ramp", until=above("outlet_pressure", self.proof_kpa), at_most_s=LONGEST_RAMP_S)
        yield HaltSyringe("pusher")
        yield ReadSyringe("pusher", "injected")
        yield Phase("creep", for_s=self.creep_s)
        yield Phase("decay", for_s=self.decay_s)
        yield MoveValve("vent", True)
        yield Phase("release", for_s=SETTLE_S)
        yield MoveValve("vent", False)

    def _flow(self) -> Iterator[Step]:
        """No flow behind the closed valve, then three rates onto the balance."""
        yield Phase("zero-flow", for_s=600.0)
        yield MoveValve("outlet", True)
        rates = {"slow": self.slow_ul_per_h, "middle": self.middle_ul_per_h, "fast": self.fast_ul_per_h}
        for name, rate in rates.items():
            yield ClearSyringe("pusher")
            yield Infuse("pusher", rate)
            yield Phase(f"settle-{name}", for_s=SETTLE_S)
            yield Phase(f"gain-{name}", for_s=max(SETTLE_S, self.compared_ul / rate * 3600.0))
            yield HaltSyringe("pusher")
        yield ReadSyringe("pusher", "pushed")
        yield Phase("run-out", for_s=SETTLE_S)

    def teardown(self) -> Iterator[Step]:
        """Nothing pushes and nothing is under pressure."""
        yield HaltSyringe("pusher")
        yield VentPressure("controller")
        yield IsolatePressure("controller")

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge the rig against the limits in its station file; see docs/explanation/rig-check.md."""
        from protocols.analysis.rig.verdict import evaluate

        return evaluate(run)


PROCEDURE = RigCheck
