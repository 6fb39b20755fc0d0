"""What a flow-accuracy run will be able to tell of a pump, from its plan and what the station declares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data.checks import Limits
from data.schedule import Schedule
from protocols.analysis.bolus_budget import noise_under
from protocols.analysis.budget import Budget, Component
from protocols.analysis.collection import Collection
from protocols.analysis.evaporation import HOUR_S
from protocols.analysis.flow_budget import cycle, mean_rate_u_percent
from protocols.analysis.forecast import Expected, Forecast, expected
from protocols.analysis.gravimetric_forecast import Plan, Rig, likely_runs
from protocols.analysis.standing import as_limits

WHOLE = 1e-6
"""Strokes beyond a whole number of them that are none."""


def flow_forecast(
    plan: Plan, schedule: Schedule, rig: Rig, dut: Mapping[str, Any], fluid: Mapping[str, Any]
) -> Forecast | None:
    """Expected uncertainties of the mean flow error, the mean rate error and the limited points of the trumpet.

    Parameters
    ----------
    dut, fluid : as a run file keeps them.

    Returns
    -------
    Forecast or None
        None where nothing is programmed in the analysis.
    """
    from_s, to_s = plan.analysis
    expected_ul = float(schedule.expected_volume_ul(from_s - plan.started_s, to_s - plan.started_s))
    if expected_ul <= 0.0:
        return None
    runs = likely_runs(plan, rig, fluid, expected_ul)
    means = [run.delivered(from_s, to_s)[1].scaled("mean flow error", "%", 100.0 / expected_ul) for run in runs]
    limits = dut.get("limits") or {}
    constant = len(schedule.segments(from_s - plan.started_s, to_s - plan.started_s)) == 1
    stroke_ul = float(dut.get("stroke_ul") or 0.0)
    part = 100.0 * cycle(stroke_ul).u / expected_ul if (expected_ul / max(stroke_ul, 1e-9)) % 1.0 > WHOLE else 0.0
    mean = expected("mean-flow-error", "Mean flow error", means, as_limits(limits.get("mean")), part)
    others: list[Expected] = []
    if constant and stroke_ul > 0.0 and expected_ul >= stroke_ul:
        others.append(_mean_rate(means, to_s - from_s, expected_ul, stroke_ul, rig.collection["dead_volume_ul"]))
    if constant:
        others += _trumpet(means, runs[0], expected_ul / (to_s - from_s) * HOUR_S, limits.get("trumpet") or ())
    notes = tuple(_strokes(expected_ul, stroke_ul)) if constant else ()
    return Forecast(plan.duration_s, to_s - from_s, (mean, *others), notes)


def _mean_rate(
    means: Sequence[Budget], analysis_s: float, expected_ul: float, stroke_ul: float, line_ul: float
) -> Expected:
    """Mean rate over the whole strokes that a pump at its programmed rate makes."""
    whole_ul = math.floor(expected_ul / stroke_ul) * stroke_ul
    whole_s = analysis_s * whole_ul / expected_ul
    budgets = []
    for mean in means:
        u = mean_rate_u_percent(mean.u, analysis_s, whole_s, whole_ul, line_ul)
        budgets.append(Budget("mean rate error", "%", (Component("mean rate", u, mean.dof),)))
    return expected("mean-rate-error", "Mean rate error, whole strokes", budgets)


def _trumpet(
    means: Sequence[Budget], collected: Collection, rate_ul_per_h: float, declared: Sequence[Mapping[str, Any]]
) -> Iterator[Expected]:
    """Points of the trumpet that the model file limits."""
    noise = noise_under(collected)
    for one in declared:
        window_s = float(one["window_s"])
        window_ul = rate_ul_per_h * window_s / HOUR_S
        apart = Component("readings", 100.0 * noise.apart_mg(window_s, window_ul) * collected.ul_per_mg / window_ul)
        budgets = [Budget("trumpet", "%", (Component("mean", mean.u, mean.dof), apart)) for mean in means]
        name = f"trumpet-{window_s / 60.0:.4g}min"
        limits: Limits | None = as_limits(one)
        yield expected(name, f"Trumpet {window_s / 60.0:.4g} min", budgets, limits)


def _strokes(expected_ul: float, stroke_ul: float) -> Iterator[str]:
    """What a part of a stroke at either end can shift the mean by; that is the pump, and not in U."""
    if stroke_ul <= 0.0:
        return
    strokes = expected_ul / stroke_ul
    if strokes < 1.0:
        yield f"the analysis holds less than one stroke of {stroke_ul:g} uL: its mean is not the pump's, whatever U is"
    elif strokes % 1.0 > WHOLE:
        yield (
            f"the analysis holds {strokes:.4g} strokes of {stroke_ul:g} uL: the part of a stroke can shift the mean by "
            f"up to {100.0 / strokes:.2g} % of a pump in pulses, which is no part of U"
        )
