"""A live read-out: every channel of a station for a while, recorded like any other run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from protocols.procedure import Procedure, param
from protocols.steps import Phase, Step

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run


class ReadOut(Procedure):
    """Read-out of every channel of the station."""

    name, method = "read-out", 2
    relies_on_rig_check = False
    settle_s: float = param("wait for the line to rest after valves were made ready", default="10 s", low="0 s")
    length_s: float = param("how long", default="5 min", low="10 s", high="60 day")

    def steps(self) -> Iterator[Step]:
        """Record, once the pulse of flow is over that a moving valve pushes through the line."""
        yield Phase("settling", for_s=self.settle_s)
        yield Phase("read-out", for_s=self.length_s)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Mean and scatter of every channel, and whether each one answered."""
        from protocols.analysis.rig.read_out import evaluate

        return evaluate(run)


PROCEDURE = ReadOut
