"""Record a flow sensor and find where the flow changed: for pumps without a balance, and for recorded logs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from protocols.procedure import Measures, Procedure, param
from protocols.steps import Phase, Step

if TYPE_CHECKING:
    from data.checks import Check, Curve, Evaluation, Exclusion
    from data.run import Run, Series
    from data.samples import FloatArray
    from protocols.analysis.change_points import ChangePoints

LONGEST_GAP_S = 60.0
"""A longer spacing is a gap, where those beside it are not as long: a log may have a row every ten minutes."""

FIGURES = 600
"""Points of the curve that shows the whole record."""


class FlowRecord(Procedure):
    """Flow against time, its changes of regime, and what the sensor could not follow."""

    name, method = "flow-record", 2
    roles = (Measures("flow", "uL/h"),)
    recording_s: float = param("how long to record", default="24 h", low="10 min", high="60 day")

    def steps(self) -> Iterator[Step]:
        """Only record."""
        yield Phase("recording", for_s=self.recording_s)

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Change points of the good samples; a number of changes is no verdict, it is reported."""
        import numpy as np

        from data.checks import Evaluation
        from data.samples import Quality
        from protocols.analysis.change_points import change_points
        from protocols.analysis.decision import reported
        from protocols.analysis.grid import RecordError

        series = run.corrected("flow")
        good = series.good()
        lasting_s, gaps = _lasting(run, series)
        saturated = (series.quality & int(Quality.SATURATED)) != 0
        share = math.fsum(lasting_s[saturated].tolist()) / (math.fsum(lasting_s.tolist()) or 1.0)
        checks = [reported("saturated", "Saturated samples", 100.0 * share, "%")]
        try:
            found = change_points(good.t, good.values)
        except RecordError as error:
            return Evaluation((*checks, reported("changes", "Changes of regime", None, "1", str(error))))
        checks += _changes(found)
        checks.append(_mean(good, lasting_s[np.searchsorted(series.t, good.t)]))
        return Evaluation(tuple(checks), (_curve(good.t, good.values),), gaps)


def _lasting(run: Run, series: Series) -> tuple[FloatArray, tuple[Exclusion, ...]]:
    """(n,) seconds for which each sample stands, and the gaps, for which none does.

    A flow that was derived from a volume is the mean since the sample before, however long ago.  Any other sample
    stands for half the spacing on either side; at an end and beside a gap as far as on its other side.
    """
    import numpy as np

    if series.t.size < 2:
        return np.ones_like(series.t), ()
    if any(source.fields["derived"] for source in run.records("import")):
        return np.diff(run.series("log.volume").t), ()
    gaps = _gaps(series.t)
    half_s = np.diff(series.t) / 2.0
    half_s[np.searchsorted(series.t, [gap.from_s for gap in gaps])] = 0.0
    before, after = np.concatenate([[0.0], half_s]), np.concatenate([half_s, [0.0]])
    return np.where(before > 0.0, before, after) + np.where(after > 0.0, after, before), gaps


def _gaps(t_s: FloatArray) -> tuple[Exclusion, ...]:
    """Spacings over a minute and over three times the median of the three before and of the three behind."""
    import numpy as np

    from protocols.analysis.grid import LONG_SPACING, gaps

    long = gaps(t_s, LONGEST_GAP_S)
    at = np.searchsorted(t_s, [one.from_s for one in long])
    threes = np.lib.stride_tricks.sliding_window_view(np.pad(np.diff(t_s), 3), 3)
    usual = np.maximum(np.median(threes[at], axis=1), np.median(threes[at + 4], axis=1))
    return tuple(
        one for one, usual_s in zip(long, usual, strict=True) if one.to_s - one.from_s > LONG_SPACING * usual_s
    )


def _mean(good: Series, lasting_s: FloatArray) -> Check:
    """The mean over the time for which the good samples stand."""
    from protocols.analysis.decision import reported

    span_s = math.fsum(lasting_s.tolist())
    if not span_s > 0.0:
        return reported("mean-flow", "Mean flow", None, "uL/h", "every good sample stands alone between gaps")
    return reported("mean-flow", "Mean flow", math.fsum((good.values * lasting_s).tolist()) / span_s, "uL/h")


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
