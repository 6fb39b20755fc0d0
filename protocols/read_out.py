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

    name, method = "read-out", 1
    relies_on_rig_check = False
    length_s: float = param("how long", default="5 min", low="10 s", high="60 day")

    def steps(self) -> Iterator[Step]:
        """Record."""
        yield Phase("read-out", for_s=self.length_s)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Mean and scatter of every channel, and whether each one answered."""
        from protocols.analysis.rig.read_out import evaluate

        return evaluate(run)


PROCEDURE = ReadOut
