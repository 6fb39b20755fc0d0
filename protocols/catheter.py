"""Catheter: patency in forced flow, priming volume, leak under proof pressure, bends, disconnection, dislodged tip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from instruments.capabilities import PressureController, PumpLink, SyringePump, Tareable, Valve
from protocols.analysis.catheter.plan import BACK_UL, FLUSH_S, LONGEST_RAMP_S, REST_S, RIG_SHARE, radii_of
from protocols.procedure import Controls, Measures, ParamError, Procedure, param
from protocols.prompts import Confirm
from protocols.steps import (
    AwaitSyringe,
    ClearSyringe,
    HaltSyringe,
    Infuse,
    MoveValve,
    Phase,
    ReadSyringe,
    SetPressure,
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

HOUR_S = 3600.0

SETTLE_S = 15.0
"""Forced flow comes to rest: resistance times compliance is a fraction of a second, the balance takes some seconds."""

HELD_S = 60.0
BACK_UL_PER_H = 600.0

SPARE_S = 15.0
"""So much longer than it needs a measured push may take."""


class Catheter(Procedure):
    """Catheter: patency, priming volume, leak, bends, connection and tip.

    Notes
    -----
    Method 8: what the syringe pump pushes is what it was asked for, or counted, times the gain of its certificate.
    """

    name, method = "catheter", 8
    smallest_syringe_ul = 10_000.0
    roles = (
        Measures("outlet_pressure", "kPa"),
        Measures("reference_mass", "mg"),
        Controls("balance", Tareable),
        Controls("pump", PumpLink),
        Controls("outlet", Valve),
        Controls("vent", Valve),
        Controls("syringe", SyringePump),
        Controls("controller", PressureController, optional=True),
        Measures("controller_pressure", "kPa", optional=True),
        Measures("flow", "uL/h", optional=True),
        Measures("bath_temperature", "degC", optional=True),
        Measures("line_temperature", "degC", optional=True),
        Measures("room_temperature", "degC", optional=True),
        Measures("ambient_pressure", "kPa", optional=True),
        Measures("humidity", "%", optional=True),
    )
    qualification: ClassVar[Mapping[str, str]] = {"creep": "5 min", "decay": "12 min", "radii": "10 mm, 8 mm, 6 mm"}
    slow_ul_per_h: float = param("slowest forced flow", default="5 mL/h", low="1 mL/h", high="30 mL/h")
    middle_ul_per_h: float = param("middle forced flow", default="15 mL/h", low="1 mL/h", high="60 mL/h")
    fast_ul_per_h: float = param("fastest forced flow", default="30 mL/h", low="2 mL/h", high="60 mL/h")
    hold_s: float = param("record at each forced flow", default="1 min", low="30 s", high="10 min")
    blocked_kpa: float = param(
        "outlet pressure at which a forced flow is given up", default="25 kPa", low="10 kPa", high="100 kPa"
    )
    held_kpa: float = param(
        "back pressure that the tip has to see; none at 0", default="3 kPa", low="0 kPa", high="20 kPa"
    )
    radii: str = param(
        "radii of the mandrels, largest first, separated by commas; none if empty",
        default="20 mm, 12 mm, 10 mm, 8 mm, 6 mm",
    )
    kinked: float = param("resistance over that of the straight catheter from which on it is kinked", default=1.3)
    proof_kpa: float = param("pressure of the leak test", default="100 kPa", low="10 kPa", high="500 kPa")
    raise_ul_per_h: float = param("rate that raises it", default="3 mL/h", low="0.1 mL/h", high="10 mL/h")
    creep_s: float = param("wait for the creep of the tubing", default="10 min", low="2 min", high="2 h")
    decay_s: float = param("record of the decay of pressure", default="20 min", low="10 min", high="8 h")
    prime_ul: float = param(
        "volume that is pushed into the dried catheter; none at 0", default="450 uL", low="0 uL", high="5 mL"
    )

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.radii_mm = radii_of(self.radii)
        if not self.slow_ul_per_h < self.middle_ul_per_h < self.fast_ul_per_h:
            raise ParamError('parameter "middle": the forced flows must grow from slow to fast; change one of them')
        if not 1.05 <= self.kinked <= 10.0:
            raise ParamError(f'parameter "kinked": {self.kinked:g} is no ratio from 1.05 to 10, such as 1.3')

    @property
    def flows(self) -> dict[str, float]:
        """The forced flows by name, in uL/h, rising: play of the transducer is then the same at each."""
        return {"slow": self.slow_ul_per_h, "middle": self.middle_ul_per_h, "fast": self.fast_ul_per_h}

    @property
    def forced_ul_per_h(self) -> tuple[float, ...]:
        """They pass the flow sensor, too."""
        return tuple(self.flows.values())

    @property
    def pushed_ul(self) -> float:
        """What the syringe has to hold."""
        at_flows = 2.0 * sum(self.flows.values()) * (self.hold_s + SETTLE_S)
        flushes = 2.0 * self.slow_ul_per_h * (FLUSH_S + self.hold_s)
        bends = self.middle_ul_per_h * (REST_S + SETTLE_S) * (len(self.radii_mm) + 1)
        return (at_flows + flushes + bends) / HOUR_S + self.prime_ul + 200.0

    def steps(self) -> Iterator[Step]:
        """The rig with a bridge in the catheter's place, the catheter, the rig again, and the catheter dried."""
        yield StopDelivery("pump")
        yield ClearSyringe("syringe")
        yield Confirm("shield", "close-door", "Close the draft shield.")
        yield from self._bridge("bridge", "Put the bridge in the catheter's place.")
        yield Tare("balance")
        yield from self._released("vented", 2.0 * REST_S)
        yield from self._push("bridge-flush", self.slow_ul_per_h, FLUSH_S)
        yield from self._forced("bridge")
        yield Confirm("mount", "mount-catheter", "Take the bridge off and mount the filled catheter, straight.")
        yield from self._push("flush", self.slow_ul_per_h, FLUSH_S)
        yield from self._forced("straight")
        if self.held_kpa > 0.0:
            yield from self._held()
        yield from self._bends()
        yield from self._proof("proof")
        yield from self._bridge("bridge-again", "Put the bridge in the catheter's place again.")
        yield from self._push("again-slow", self.slow_ul_per_h, self.hold_s)
        yield from self._proof("rig")
        if self.prime_ul > 0.0:
            yield from self._prime()

    def _bridge(self, key: str, text: str) -> Iterator[Step]:
        """The line is vented before anybody opens it."""
        yield MoveValve("outlet", True)
        yield from self._released(f"{key}-vented", REST_S)
        yield Confirm(key, "bridge-line", text)

    def _released(self, name: str, for_s: float) -> Iterator[Step]:
        yield MoveValve("vent", True)
        yield Phase(name, for_s=for_s)
        yield MoveValve("vent", False)

    def _push(self, name: str, rate_ul_per_h: float, for_s: float) -> Iterator[Step]:
        """A forced flow, given up when the pressure says that nothing passes."""
        given_up = above("outlet_pressure", self.blocked_kpa)
        yield Infuse("syringe", rate_ul_per_h, _rounded(rate_ul_per_h * (SETTLE_S + for_s + SPARE_S) / HOUR_S))
        yield Phase(f"{name}-settle", until=given_up, at_most_s=SETTLE_S)
        yield Phase(name, until=given_up, at_most_s=for_s)
        yield HaltSyringe("syringe")

    def _forced(self, what: str) -> Iterator[Step]:
        """Each forced flow, from the slowest on."""
        for name, rate in self.flows.items():
            yield from self._push(f"{what}-{name}", rate, self.hold_s)
        yield from self._released(f"{what}-released", REST_S)

    def _held(self) -> Iterator[Step]:
        """A back pressure at the tip, while nothing flows."""
        yield Phase("held-before", for_s=HELD_S)
        yield SetPressure("controller", self.held_kpa)
        yield Phase("held-settle", for_s=HELD_S)
        yield Phase("held", for_s=HELD_S)
        yield VentPressure("controller")
        yield Phase("held-after", for_s=HELD_S)

    def _bends(self) -> Iterator[Step]:
        for number, radius_mm in enumerate(self.radii_mm, 1):
            text = f"Lay the catheter half round the mandrel of {radius_mm:g} mm radius."
            yield Confirm(f"bend-{number}", "bend-catheter", text, details=(("radius_mm", radius_mm),))
            yield from self._push(f"bent-{number}", self.middle_ul_per_h, REST_S)
        if self.radii_mm:
            yield Confirm("unbend", "straighten-catheter", "Take the catheter off the mandrel and lay it out straight.")
            yield from self._push("straight-again", self.middle_ul_per_h, REST_S)
            yield from self._released("straight-released", REST_S)

    def _proof(self, what: str) -> Iterator[Step]:
        """Pushed up against the closed valve: the ramp tells the compliance, the decay the leak."""
        yield MoveValve("outlet", False)
        yield Phase(f"{what}-closed", for_s=REST_S)
        yield ReadSyringe("syringe", f"{what}-begin")
        rate = self.raise_ul_per_h if what == "proof" else RIG_SHARE * self.raise_ul_per_h
        yield Infuse("syringe", rate, _rounded(rate * LONGEST_RAMP_S / HOUR_S))
        yield Phase(f"{what}-ramp", until=above("outlet_pressure", self.proof_kpa), at_most_s=LONGEST_RAMP_S)
        yield HaltSyringe("syringe")
        yield Withdraw("syringe", BACK_UL_PER_H, BACK_UL)
        yield AwaitSyringe("syringe", SPARE_S)
        yield Phase(f"{what}-creep", for_s=self.creep_s)
        yield Phase(f"{what}-decay", for_s=self.decay_s)
        yield from self._released(f"{what}-released", REST_S)
        yield MoveValve("outlet", True)

    def _prime(self) -> Iterator[Step]:
        """What is missing on the balance is the air that the fluid drove out."""
        text = "Take the bridge off, blow the catheter dry with air, and mount it straight."
        yield Confirm("dry", "dry-catheter", text)
        yield Phase("dry-before", for_s=REST_S)
        yield ReadSyringe("syringe", "prime-begin")
        yield Infuse("syringe", self.slow_ul_per_h, self.prime_ul)
        needed_s = self.prime_ul / self.slow_ul_per_h * HOUR_S
        yield Phase("prime", until=above("outlet_pressure", self.blocked_kpa), at_most_s=needed_s + SPARE_S)
        yield HaltSyringe("syringe")
        yield Phase("primed", for_s=REST_S)
        yield ReadSyringe("syringe", "prime-end")

    def teardown(self) -> Iterator[Step]:
        """Nothing pushes, the line is open."""
        yield HaltSyringe("syringe")
        if self.held_kpa > 0.0:
            yield VentPressure("controller")
        yield MoveValve("outlet", True)

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """What the syringe has to hold, and what stays unseen."""
        yield f"the syringe has to hold {self.pushed_ul / 1000.0:.2g} mL at the start; never use one of less than 10 mL"
        if not self.held_kpa:
            yield "without a back pressure at the tip nothing tells a dislodged one"
        if not self.prime_ul:
            yield "without priming nothing tells a wrong trimmed length"

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge the catheter; see docs/explanation/catheter.md."""
        from protocols.analysis.catheter.verdict import evaluate

        return evaluate(run)


def _rounded(volume_ul: float) -> float:
    """A volume in three digits, which a syringe pump can be told; it ends by itself even if nobody halts it."""
    return float(f"{volume_ul:.3g}")


PROCEDURE = Catheter
