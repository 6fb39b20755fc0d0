"""What a run against back pressures will be able to tell: the zero's wander and the creep of the line.

What temperatures and levels leave uncertain is the pump's own scatter and drift, which no station declares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from protocols.analysis.declared import Declared
from protocols.analysis.environment.hold import Hold
from protocols.analysis.environment.series import Point, SeriesOf
from protocols.analysis.environment.verdict import KINDS, Record, creep_ul_per_h, results
from protocols.analysis.forecast import Forecast
from protocols.analysis.gravimetric_forecast import Plan
from protocols.analysis.ideal_record import expected_of


def environment_forecast(
    plan: Plan, pressures_kpa: Sequence[float], settle_s: float, declared: Declared
) -> Forecast | None:
    """Expected uncertainties of the delivery at each back pressure; None without any, or without a known sensor.

    Parameters
    ----------
    settle_s : delivery in a condition before it is judged.
    declared : with the procedure's parameters.
    """
    if not pressures_kpa or not declared.calibration("flow"):
        return None
    record = Record(declared.as_run)
    flow_ul_per_h = float(declared.params["rate_ul_per_h"])

    def held(name: str) -> Hold:
        from_s, to_s = plan.phases[name]
        strokes = math.floor((to_s - from_s) / record.stroke_s + 1e-6) if record.stroke_s else 0
        begin = to_s - strokes * record.stroke_s if strokes else from_s
        return Hold(name, begin, to_s, flow_ul_per_h + record.sensor.zero_ul_per_h, 0.0, math.inf, strokes)

    points = []
    for number, (pressure, before) in enumerate(zip(pressures_kpa, (0.0, *pressures_kpa), strict=False), 1):
        one = held(f"pressure-{number}")
        u = float(declared.calibration("controller_pressure").get("u") or 0.0)
        since_s = settle_s + one.from_s - plan.phases[one.name][0]
        creep = creep_ul_per_h(declared.station, since_s, one, pressure - before)
        points.append(Point(pressure, math.sqrt(2.0) * u, one, creep))
    kind = KINDS[0]
    series = SeriesOf(kind.unit, held("pressure-first"), held("pressure-last"), tuple(points), record.sensor)
    checks = expected_of([list(results(declared.as_run, kind, series, pressures_kpa, ()))])
    note = "and what the pump scatters between strokes and drifts between the references"
    return Forecast(plan.duration_s, plan.duration_s, tuple(checks), (note,)) if checks else None
