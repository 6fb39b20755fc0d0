"""A protocol that does nothing but drive: valves, syringe pump and pressure controller, again and again.

The benchmark ``kills`` installs it for the processes that it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from instruments.capabilities import PressureController, SyringePump, Valve
from protocols.procedure import Controls, Procedure, param
from protocols.steps import HaltSyringe, Infuse, MoveValve, Phase, SetPressure, SetValve, Step

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run


class Stir(Procedure):
    """Everything that can be driven, driven."""

    name, method = "stir", 1
    relies_on_rig_check = False
    roles = (
        Controls("outlet", Valve),
        Controls("vent", Valve),
        Controls("diverter", Valve),
        Controls("pusher", SyringePump),
        Controls("controller", PressureController),
    )
    pressure_kpa: float = param("set point of the controller", default="20 kPa", low="1 kPa", high="50 kPa")
    rate_ul_per_h: float = param("rate of the syringe pump", default="900 uL/h", low="10 uL/h", high="1200 uL/h")
    rounds: int = param("how often", default=3, low="1", high="100")

    def steps(self) -> Iterator[Step]:
        """Push against a shut outlet under pressure, then through the open one into waste."""
        for k in range(1, self.rounds + 1):
            yield MoveValve("outlet", False)
            yield Infuse("pusher", self.rate_ul_per_h)
            yield SetPressure("controller", self.pressure_kpa)
            yield Phase(f"shut-{k}", for_s=0.5)
            yield SetValve("diverter", True)
            yield MoveValve("outlet", True)
            yield Phase(f"open-{k}", for_s=0.5)
            yield HaltSyringe("pusher")
            yield SetValve("diverter", False)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Nothing is judged."""
        from data.checks import Evaluation

        return Evaluation(())


PROCEDURE = Stir
