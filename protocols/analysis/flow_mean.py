"""The mean flow of an analysis against the programmed one, and the pump's mean rate over whole strokes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from data.checks import Check, Exclusion, Limits, Verdict
from protocols.analysis import delivery, gravimetry
from protocols.analysis.budget import Budget
from protocols.analysis.decision import judge, reported, result
from protocols.analysis.evaporation import HOUR_S
from protocols.analysis.flow_budget import mean_rate_u_percent
from protocols.analysis.flow_parts import anew
from protocols.analysis.gravimetric_record import EDGE_S, GravimetricRecord
from protocols.analysis.grid import RecordError, kept
from protocols.analysis.standing import ON_WITNESSED, as_limits

STROKES_FOR_A_MEAN = 20
_MEAN_RATE = ("mean-rate-error", "Mean rate error, whole strokes")


def nothing(note: str) -> Check:
    """The mean flow error of a run that has none."""
    return Check(
        name="mean-flow-error",
        title="Mean flow error",
        value=None,
        unit="%",
        verdict=Verdict.NOT_MEASURED,
        owner="dut",
        note=note,
    )


def means(record: GravimetricRecord, excluded: Sequence[Exclusion], doubt: float) -> Iterator[Check]:
    """The mean over the interval, which is judged; and the estimate of the pump's mean rate, over whole strokes."""
    from_s, to_s = record.analysis
    limits = as_limits(record.dut["limits"]["mean"])
    expected = record.expected_ul(from_s, to_s)
    if expected <= 0.0:
        yield nothing("nothing was programmed in the analysis")
        return
    try:
        overall, in_percent = mean_error(record, excluded)
    except RecordError as error:
        yield nothing(str(error))
        return
    notes = []
    if not record.complete:
        notes.append(_why_short(record))
    if doubt:
        notes.append(f"without the blank after it, the balance is only known to {doubt:.2g} % of the flow")
    by = doubt if record.complete else doubt + shifted_percent(record, excluded)
    name, title, note = "mean-flow-error", "Mean flow error", "; ".join(notes)
    check = result(name, title, overall, in_percent, limits, depends_on=ON_WITNESSED, note=note, optional=False)
    proven = check.verdict is Verdict.FAIL and _beyond(overall, in_percent.expanded + by, limits)
    # A limit that is clearly broken is broken; anything else would have needed the whole run.
    yield check if proven or not notes else replace(check, verdict=Verdict.NOT_MEASURED)
    yield from _mean_at_body_temperature(record, overall)
    yield from _mean_rate(record, in_percent, excluded)


def mean_error(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> tuple[float, Budget]:
    """Error in percent of the volume delivered in the analysis, in which something was programmed, and its budget.

    Each stretch that exclusions leave has readings of its own.

    Raises
    ------
    RecordError
        When exclusions leave nothing of what was programmed.
    """
    from_s, to_s = record.analysis
    stretches = kept(from_s, to_s, excluded)
    expected = math.fsum(record.expected_ul(*stretch) for stretch in stretches)
    if expected <= 0.0:
        raise RecordError("exclusions leave nothing of the analysis in which something was programmed")
    volume, budget = record.collected.delivered(from_s, to_s)
    in_percent = anew(budget, len(stretches)).scaled("mean flow error", "%", 100.0 / expected)
    return _overall(record, excluded, volume), in_percent


def shifted_percent(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> float:
    """By how much a stroke at each stretch's ends and the edges of the schedule can shift a mean that is not whole.

    Something has to be programmed in what the exclusions leave.
    """
    from_s, to_s = record.analysis
    left = kept(from_s, to_s, excluded)
    edges_ul = max(record.expected_ul(at_s - EDGE_S, at_s + EDGE_S) for at_s in (from_s, to_s))
    shifted_ul = len(left) * record.stroke_ul + edges_ul
    return 100.0 * shifted_ul / math.fsum(record.expected_ul(*one) for one in left)


def _why_short(record: GravimetricRecord) -> str:
    """What ended the analysis before its planned end."""
    from_s, to_s = record.analysis
    length = f"{(to_s - from_s) / HOUR_S:.2f} h of analysis"
    looks = [one.fields for one in record.run.records("look")]
    if not looks or not looks[-1]["stop"]:
        return f"the run ended after {length}"
    planned = f"{float(record.run.params['analysis_s']) / HOUR_S:.4g} h were planned"
    return f"a clear fail at look {looks[-1]['number']} ended it after {length}, by the rule of its plan; {planned}"


def _beyond(value: float, by: float, limits: Limits | None) -> bool:
    """Whether a value is outside its limits by more than ``by``."""
    if limits is None:
        return False
    above = limits.high is not None and value > limits.high + by
    return above or (limits.low is not None and value < limits.low - by)


def _overall(record: GravimetricRecord, excluded: Sequence[Exclusion], volume: float) -> float:
    """A = 100 (sum dV_used / sum expected_used - 1)."""
    from_s, to_s = record.analysis
    if not excluded:
        return 100.0 * (volume / record.expected_ul(from_s, to_s) - 1.0)
    t_s, volumes = record.volumes(from_s, to_s)
    found = delivery.overall(t_s, volumes, from_s, to_s, record.programmed_ul, excluded).error_percent
    assert found is not None  # something was programmed
    return found


def _mean_at_body_temperature(record: GravimetricRecord, overall: float) -> Iterator[Check]:
    """The same mean error, in percent, as that of a volume at 37 degC: water takes 0.5 % more room there."""
    if record.run.fluid["density_basis"] != "water-table":
        return
    water = gravimetry.water_density_mg_per_ul
    warm = (100.0 + overall) * water(gravimetry.REFERENCE_TEMPERATURE_DEGC) / water(37.0)
    fields = judge(warm - 100.0, None, math.inf, None)
    yield Check(
        name="mean-flow-error-37",
        title="Mean flow error, volume at 37 °C",
        unit="%",
        owner="dut",
        optional=True,
        depends_on=ON_WITNESSED,
        **fields,
    )


def _mean_rate(record: GravimetricRecord, mean: Budget, excluded: Sequence[Exclusion]) -> Iterator[Check]:
    """Error of the pump's mean rate, over as many whole strokes as the analysis holds; what is excluded cuts some."""
    from_s, to_s = record.analysis
    stroke = record.stroke_ul
    if stroke <= 0.0 or not record.at_one_rate:
        return
    if kept(from_s, to_s, excluded) != [(from_s, to_s)]:
        note = "part of the analysis is excluded, and with it of its strokes"
        yield reported(*_MEAN_RATE, None, "%", note, ON_WITNESSED)
        return
    t_s, volumes = record.volumes(from_s, to_s)
    strokes = math.floor(float(volumes[-1]) / stroke)
    if strokes < 1:
        return
    end_s = float(np.interp(strokes * stroke, np.maximum.accumulate(volumes), t_s))
    rate = strokes * stroke / (end_s - from_s) * HOUR_S
    error = 100.0 * (rate / record.set_rate_ul_per_h - 1.0)
    u = mean_rate_u_percent(mean.u, to_s - from_s, end_s - from_s, strokes * stroke, record.line_volume_ul)
    note = ""
    if strokes < STROKES_FOR_A_MEAN:
        hours = STROKES_FOR_A_MEAN * stroke / record.set_rate_ul_per_h
        note = f"{strokes} strokes; {STROKES_FOR_A_MEAN} would take {hours:.0f} h"
    yield Check(
        *_MEAN_RATE,
        unit="%",
        owner="dut",
        optional=True,
        depends_on=ON_WITNESSED,
        note=note,
        **judge(error, u, mean.dof, None),
    )
