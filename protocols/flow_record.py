"""Record a flow sensor and find where the flow changed: for pumps without a balance, and for recorded logs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from protocols.procedure import Measures, Procedure, param
from protocols.steps import Phase, Step

if TYPE_CHECKING:
    from data.checks import Check, Curve, Evaluation
    from data.run import Run
    from data.samples import FloatArray
    from protocols.analysis.change_points import ChangePoints

LONGEST_GAP_S = 60.0

FIGURES = 600
"""Points of the curve that shows the whole record."""


class FlowRecord(Procedure):
    """Flow against time, its changes of regime, and what the sensor could not follow."""

    name, method = "flow-record", 1
    roles = (Measures("flow", "uL/h"),)
    recording_s: float = param("how long to record", default="24 h", low="10 min", high="60 day")

    def steps(self) -> Iterator[Step]:
        """Only record."""
        yield Phase("recording", for_s=self.recording_s)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Change points of the good samples; a number of changes is no verdict, it is reported."""
        from data.checks import Evaluation
        from data.samples import Quality
        from protocols.analysis.change_points import change_points
        from protocols.analysis.decision import reported
        from protocols.analysis.grid import RecordError, gaps

        series = run.corrected("flow")
        good = series.good()
        share = float(((series.quality & int(Quality.SATURATED)) != 0).mean()) if series.t.size else 0.0
        checks = [reported("saturated", "Saturated samples", 100.0 * share, "%")]
        try:
            found = change_points(good.t, good.values)
        except RecordError as error:
            return Evaluation((*checks, reported("changes", "Changes of regime", None, "1", str(error))))
        checks += _changes(found)
        mean = math.fsum(good.values.tolist()) / good.t.size
        checks.append(reported("mean-flow", "Mean flow", mean, "uL/h"))
        return Evaluation(tuple(checks), (_curve(good.t, good.values),), gaps(series.t, LONGEST_GAP_S))


def _changes(found: ChangePoints) -> Iterator[Check]:
    from protocols.analysis.decision import reported

    yield reported("changes", "Changes of regime", float(len(found.at_s)), "1")
    for number, (at_s, after) in enumerate(zip(found.at_s, found.regimes[1:], strict=True), 1):
        note = f"then from {after.begin:.4g} to {after.end:.4g} uL/h"
        yield reported(f"change-{number}", f"Change {number} after", at_s / 3600.0, "h", note)


def _curve(t_s: FloatArray, flow_ul_per_h: FloatArray) -> Curve:
    """The whole record as means of equal stretches."""
    import numpy as np

    from data.checks import Axis, Curve

    count = min(FIGURES, t_s.size)
    index = np.minimum(((t_s - t_s[0]) / max(t_s[-1] - t_s[0], 1e-9) * count).astype(np.int64), count - 1)
    filled = np.bincount(index, minlength=count)
    kept = filled > 0
    time = np.bincount(index, weights=t_s, minlength=count)[kept] / filled[kept] / 3600.0
    flow = np.bincount(index, weights=flow_ul_per_h, minlength=count)[kept] / filled[kept]
    return Curve("flow", "Flow", Axis("time", "h", time), (Axis("sensor", "uL/h", flow),))


PROCEDURE = FlowRecord
