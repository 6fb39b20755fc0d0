"""Operational qualification of a bench: guided steps with weights, a traceable flow, and whatever must stop a run.

A run does one part, since some parts end the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from instruments.capabilities import SyringePump, Tareable, Valve
from protocols.analysis.rig.points import read_points
from protocols.procedure import Controls, Measures, ParamError, Procedure, param
from protocols.prompts import Ask, Confirm
from protocols.steps import AwaitSyringe, ClearSyringe, HaltSyringe, Infuse, MoveValve, Phase, Step, Tare, above

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run

PARTS = ("weights", "flow", "closed-line", "leak", "e-stop", "relief", "watchdog")

WEIGHING_S = 90.0
SETTLE_S = 120.0
LONGEST_RAMP_S = 3600.0
STOPS_WITHIN_S = 300.0
"""A person presses the emergency stop long before this; then the run is over."""


class OperationalQualification(Procedure):
    """Guided operational qualification of a bench, one part a run."""

    name, method = "operational-qualification", 5
    relies_on_rig_check = False
    roles = (
        Measures("reference_mass", "mg"),
        Measures("outlet_pressure", "kPa"),
        Measures("flow", "uL/h", optional=True),
        Measures("room_temperature", "degC", optional=True),
        Measures("ambient_pressure", "kPa", optional=True),
        Measures("humidity", "%", optional=True),
        Controls("balance", Tareable),
        Controls("outlet", Valve),
        Controls("vent", Valve),
        Controls("pusher", SyringePump),
    )
    part: str = param("what is qualified in this run", choices=PARTS)
    weights: str = param("conventional masses of the reference weights", default="5 g, 20 g, 50 g")
    weight_u_mg: float = param("standard uncertainty of each weight", default="0.05 mg", low="0.0001 mg", high="1 g")
    weight_error_mg: float = param("largest error of the balance", default="0.6 mg", low="0.001 mg", high="10 g")
    slow_ul_per_h: float = param("smallest flow of the syringe pump", default="30 uL/h", low="1 uL/h", high="10 mL/h")
    middle_ul_per_h: float = param("middle flow", default="100 uL/h", low="1 uL/h", high="10 mL/h")
    fast_ul_per_h: float = param("largest flow", default="300 uL/h", low="1 uL/h", high="10 mL/h")
    collected_ul: float = param("volume that each flow collects", default="30 uL", low="5 uL", high="1 mL")
    flow_error_percent: float = param("largest error of a flow by the balance", default="5 %")
    sensor_error_percent: float = param("largest error of the flow sensor", default="15 %")
    bolus_ul: float = param("metered bolus", default="50 uL", low="1 uL", high="5 mL")
    bolus_error_percent: float = param("largest error of the bolus by the balance", default="5 %")
    proof_kpa: float = param("pressure of the closed line", default="100 kPa", low="10 kPa", high="500 kPa")
    injection_ul_per_h: float = param("rate of the injection that raises the line to it", default="600 uL/h")
    creep_s: float = param("wait for the creep of the tubing", default="5 min", low="1 min", high="1 h")
    decay_s: float = param("record of the decay of pressure", default="10 min", low="4 min", high="4 h")
    tight_ul_per_h: float = param("largest loss of the closed line", default="2 uL/h", low="0.001 uL/h")
    capsule_ul_per_kpa: float = param("compliance of the capsule by its certificate", default="0 uL/kPa")
    capsule_error_percent: float = param("largest error of the capsule's compliance", default="10 %")
    leak_ul_per_h: float = param("flow of the needle valve at that pressure, by its certificate", default="20 uL/h")
    leak_error_percent: float = param("largest error of the leak", default="10 %")
    press_kpa: float = param("pressure at which the emergency stop is pressed", default="20 kPa", low="5 kPa")
    reaction_s: float = param("longest time to the safe state", default="3 s", low="0.05 s", high="5 min")
    relief_kpa: float = param("pressure at which the relief valve has to open", default="250 kPa", low="10 kPa")
    relief_error_percent: float = param("how far off it may open", default="10 %")
    gauge_u_kpa: float = param(
        "standard uncertainty of the gauge that a person reads", default="2 kPa", low="0.001 kPa"
    )
    watchdog_s: float = param("longest time from a pulled plug to released valves", default="60 s", low="1 s")
    stopwatch_u_s: float = param("standard uncertainty of a stopwatch in a hand", default="0.3 s", low="0.01 s")

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.masses_mg, unit = read_points(self.weights)
        if unit != "mg":
            raise ParamError(f'parameter "weights": "{self.weights}" is no list of masses; write it like "5 g, 20 g"')

    def needs(self) -> set[str]:
        """What the part moves and reads; a person reads the rest."""
        of_part = {
            "weights": {"reference_mass", "balance"},
            "relief": set(),
            "watchdog": set(),
            "flow": {"reference_mass", "balance", "outlet", "pusher"},
        }
        return of_part.get(self.part, {"outlet_pressure", "outlet", "vent", "pusher"})

    def steps(self) -> Iterator[Step]:
        """The steps of the part."""
        parts = {
            "weights": self._weights,
            "flow": self._flow,
            "closed-line": self._closed_line,
            "leak": self._leak,
            "e-stop": self._e_stop,
            "relief": self._relief,
            "watchdog": self._watchdog,
        }
        yield from parts[self.part]()

    def _weights(self) -> Iterator[Step]:
        """Each weight on and off twice, between zeros."""
        yield Confirm("level", "level-balance", "Check that the balance is level and has been on for its warm-up time.")
        yield Confirm("shield", "close-door", "Close the draft shield.")
        yield Tare("balance")
        for number, mass_mg in enumerate(self.masses_mg, 1):
            for k in (1, 2):
                yield Phase(f"empty-{number}-{k}", for_s=WEIGHING_S)
                yield Confirm(
                    f"on-{number}-{k}",
                    "place-weight",
                    f"Put the {mass_mg / 1000.0:g} g reference weight on the pan.",
                    details=(("mass_mg", mass_mg),),
                )
                yield Phase(f"loaded-{number}-{k}", for_s=WEIGHING_S)
                yield Confirm(f"off-{number}-{k}", "remove-weight", "Take the reference weight off the pan.")
            yield Phase(f"empty-{number}-3", for_s=WEIGHING_S)

    def _flow(self) -> Iterator[Step]:
        """No flow, three flows and a bolus of a syringe pump with a certificate, onto the balance."""
        yield Tare("balance")
        yield MoveValve("outlet", False)
        yield Phase("zero-flow", for_s=600.0)
        yield MoveValve("outlet", True)
        yield Phase("open", for_s=SETTLE_S)
        rates = {"slow": self.slow_ul_per_h, "middle": self.middle_ul_per_h, "fast": self.fast_ul_per_h}
        for name, rate in rates.items():
            yield ClearSyringe("pusher")
            yield Infuse("pusher", rate)
            yield Phase(f"settle-{name}", for_s=SETTLE_S)
            yield Phase(f"gain-{name}", for_s=max(SETTLE_S, self.collected_ul / rate * 3600.0))
            yield HaltSyringe("pusher")
        yield Phase("run-out", for_s=SETTLE_S)
        yield Phase("before-bolus", for_s=SETTLE_S)
        yield ClearSyringe("pusher")
        yield Infuse("pusher", self.fast_ul_per_h, self.bolus_ul)
        yield AwaitSyringe("pusher", 2.0 * self.bolus_ul / self.fast_ul_per_h * 3600.0 + SETTLE_S)
        yield Phase("bolus-settles", for_s=SETTLE_S)
        yield Phase("after-bolus", for_s=SETTLE_S)

    def _ramp(self) -> Iterator[Step]:
        """Up to the proof pressure against the closed outlet, and a record of what is lost there."""
        yield MoveValve("outlet", False)
        yield MoveValve("vent", False)
        yield Phase("closed", for_s=SETTLE_S)
        yield ClearSyringe("pusher")  # or a large syringe might run over the end of its counts
        yield Infuse("pusher", self.injection_ul_per_h)
        yield Phase("ramp", until=above("outlet_pressure", self.proof_kpa), at_most_s=LONGEST_RAMP_S)
        yield HaltSyringe("pusher")
        yield Phase("creep", for_s=self.creep_s)
        yield Phase("decay", for_s=self.decay_s)

    def _released(self) -> Iterator[Step]:
        yield MoveValve("vent", True)
        yield Phase("release", for_s=SETTLE_S)

    def _closed_line(self) -> Iterator[Step]:
        """A closed valve holds the pressure; a capsule of known compliance is seen as what it is."""
        yield from self._ramp()
        yield from self._released()
        if self.capsule_ul_per_kpa > 0.0:
            text = f"Connect the compliance capsule of {self.capsule_ul_per_kpa:g} uL/kPa to the line, free of air."
            yield Confirm("capsule", "connect-capsule", text)
            yield MoveValve("vent", False)
            yield ClearSyringe("pusher")  # or a large syringe might run over the end of its counts
            yield Infuse("pusher", self.injection_ul_per_h)
            yield Phase("capsule-ramp", until=above("outlet_pressure", self.proof_kpa), at_most_s=LONGEST_RAMP_S)
            yield HaltSyringe("pusher")
            yield from self._released()

    def _leak(self) -> Iterator[Step]:
        """A needle valve lets out a known flow."""
        text = f"Open the needle valve at the line: it lets out {self.leak_ul_per_h:g} uL/h at {self.proof_kpa:g} kPa."
        yield Confirm("open-leak", "open-needle-valve", text)
        yield from self._ramp()
        yield from self._released()
        yield Confirm("close-leak", "close-needle-valve", "Close the needle valve.")

    def _e_stop(self) -> Iterator[Step]:
        """Pressed while the syringe pump pushes into the closed line."""
        yield MoveValve("outlet", False)
        yield MoveValve("vent", False)
        yield ClearSyringe("pusher")  # or a large syringe might run over the end of its counts
        yield Infuse("pusher", self.injection_ul_per_h)
        yield Phase("rise", until=above("outlet_pressure", self.press_kpa), at_most_s=LONGEST_RAMP_S)
        yield Confirm("press", "press-e-stop", "Press the emergency stop.")
        yield Phase("pressed", for_s=STOPS_WITHIN_S)

    def _relief(self) -> Iterator[Step]:
        """By hand, since the bench's own interlock would stop it long before."""
        text = (
            "Take the relief valve off the line, raise the pressure on it with the hand pump, and enter where it opens."
        )
        yield Ask("opens-at", "read-relief-valve", text, unit="kPa", low=0.0, high=5000.0)

    def _watchdog(self) -> Iterator[Step]:
        """By hand, since a run cannot tell what happens while its computer is cut off."""
        text = (
            "With another run under way and the outlet valve driven, pull the cable between computer and DAQ and take "
            "the time to the click with which the valves fall back. Enter it."
        )
        yield Ask("falls-back-after", "pull-daq-cable", text, unit="s", low=0.0, high=3600.0)
        text = "Did every valve fall back to its safe side, and does nothing push?"
        yield Ask("all-safe", "look-at-valves", text, choices=("yes", "no"))

    def teardown(self) -> Iterator[Step]:
        """Nothing pushes, and the line is open."""
        if "pusher" in self.needs():
            yield HaltSyringe("pusher")
            yield MoveValve("outlet", True)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge the part; see docs/explanation/operational-qualification.md."""
        from protocols.analysis.rig.operational import evaluate

        return evaluate(run)


PROCEDURE = OperationalQualification
