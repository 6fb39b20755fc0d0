"""Test of the valves: whether they move, and whether what they are to shut stays shut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from instruments.capabilities import PumpLink, SyringePump, Valve
from protocols.procedure import Controls, Measures, Procedure, param
from protocols.steps import HaltSyringe, Infuse, MoveValve, Phase, SetValve, Step, StopDelivery, above

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run

LONGEST_RISE_S = 3600.0


class ValveTest(Procedure):
    """Test of every valve by what it does to pressure and mass."""

    name, method = "valve-test", 3
    relies_on_rig_check = False
    roles = (
        Measures("outlet_pressure", "kPa"),
        Measures("reference_mass", "mg"),
        Controls("pump", PumpLink),
        Controls("outlet", Valve),
        Controls("vent", Valve),
        Controls("diverter", Valve, optional=True),
        Controls("pusher", SyringePump),
    )
    pressure_kpa: float = param(
        "pressure against which the valves are tested", default="40 kPa", low="5 kPa", high="500 kPa"
    )
    rate_ul_per_h: float = param(
        "rate at which the syringe pump pushes", default="600 uL/h", low="10 uL/h", high="10 mL/h"
    )
    hold_s: float = param("how long a closed valve must hold", default="1 min", low="20 s", high="1 h")
    leak_hold_s: float = param(
        "how long they are held for the leak, after the line has crept", default="20 min", low="5 min", high="4 h"
    )
    leak_ul_per_h: float = param(
        "largest leak behind closed valves; 0: that of the station's rig check, else 2 uL/h",
        default="0 uL/h",
        low="0 uL/h",
    )
    open_s: float = param(
        "how long an opened valve may take to release the pressure", default="30 s", low="5 s", high="10 min"
    )
    collect_s: float = param(
        "record of the mass in each position of the diverter", default="3 min", low="1 min", high="1 h"
    )
    diverter: bool = param("test the diverter too", default=True)

    def steps(self) -> Iterator[Step]:
        """Push up against closed valves, and let each one release the pressure in turn."""
        yield StopDelivery("pump")
        for name, held_s in (("vent", self.hold_s), ("outlet", max(self.hold_s, self.leak_hold_s))):
            yield MoveValve("outlet", False)
            yield MoveValve("vent", False)
            yield Infuse("pusher", self.rate_ul_per_h)
            yield Phase(f"rise-{name}", until=above("outlet_pressure", self.pressure_kpa), at_most_s=LONGEST_RISE_S)
            yield HaltSyringe("pusher")
            yield Phase(f"closed-{name}", for_s=held_s)
            yield MoveValve(name, True)
            yield Phase(f"open-{name}", for_s=self.open_s)
        yield MoveValve("vent", False)
        if self.diverter:
            yield from self._diverted()

    def _diverted(self) -> Iterator[Step]:
        """Into the vessel, past it, and into it again."""
        yield Infuse("pusher", self.rate_ul_per_h)
        for k, on in enumerate((False, True, False), start=1):
            yield SetValve("diverter", on)
            yield Phase(f"turn-{k}", for_s=self.open_s)
            yield Phase(f"{'past' if on else 'into'}-{k}", for_s=self.collect_s)
        yield HaltSyringe("pusher")

    def teardown(self) -> Iterator[Step]:
        """Nothing pushes, and the line is open."""
        yield HaltSyringe("pusher")
        yield MoveValve("outlet", True)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge each valve by pressure and mass."""
        from protocols.analysis.rig.valves import evaluate

        return evaluate(run)


PROCEDURE = ValveTest
