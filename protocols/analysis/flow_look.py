"""Whether a flow-accuracy run that goes on is a clear fail already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from data.checks import Exclusion, Limits, Verdict
from data.run import Run
from protocols.analysis.flow_blanks import known_record
from protocols.analysis.flow_mean import mean_error, shifted_percent
from protocols.analysis.flow_verdict import evaluate
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.grid import RecordError
from protocols.analysis.looks import Look, factor
from protocols.analysis.rig_fitness import doubt_percent
from protocols.analysis.standing import exclusions

FIGURES = 12


def look(run: Run, looks: int, risk: float) -> Look:
    """Judge what is recorded: by the evaluation first, then by the guard band that repeated looks need.

    Parameters
    ----------
    run : a snapshot that ends at the look.
    looks, risk : see `protocols.analysis.looks.factor`.
    """
    evaluation = evaluate(run)
    check = next(one for one in evaluation.checks if one.name == "mean-flow-error")
    found = Look(check.name, check.value, check.unit)
    if check.verdict is not Verdict.FAIL:
        return replace(found, why="; ".join(filter(None, [str(check.verdict), check.note])))
    record = known_record(run)
    doubt = doubt_percent(record, evaluation.checks)
    limits = Limits(check.limit_low, check.limit_high, check.limit_source)
    beyond, needed = (
        float(f"{percent:.{FIGURES}g}")
        for percent in beyond_limits(record, exclusions(record), limits, doubt, looks, risk)
    )
    return replace(found, beyond=beyond, needed=needed, stop=beyond > needed)


def beyond_limits(
    record: GravimetricRecord, excluded: Sequence[Exclusion], limits: Limits, doubt: float, looks: int, risk: float
) -> tuple[float, float]:
    """How far the mean error is outside its limits and how far it must be to end the run, in percent.

    Both the mean so far and that of its later half have to be: a pump that only starts slowly is not stopped.  Returned
    is the one that lacks more.  What is needed is the factor of repeated looks times u, what nobody can vouch for
    without the second blank, and what a stroke and the edges of the schedule can shift a mean by.

    Parameters
    ----------
    doubt : how wrong the balance can be without anything showing it, in percent of the flow.
    looks, risk : see `protocols.analysis.looks.factor`.
    """
    from_s, to_s = record.analysis
    later = replace(record, analysis=((from_s + to_s) / 2.0, to_s))
    found = [_of_part(part, excluded, limits, doubt, looks, risk) for part in (record, later)]
    return min(found, key=lambda one: one[0] - one[1])


def _of_part(
    record: GravimetricRecord, excluded: Sequence[Exclusion], limits: Limits, doubt: float, looks: int, risk: float
) -> tuple[float, float]:
    from_s, to_s = record.analysis
    expected = record.expected_ul(from_s, to_s)
    if expected <= 0.0:
        return 0.0, 0.0
    try:
        value, budget = mean_error(record, [one for one in excluded if one.to_s > from_s and one.from_s < to_s])
    except RecordError:
        return 0.0, 0.0  # all of it is excluded
    outside = []
    if limits.high is not None:
        outside.append(value - limits.high)
    if limits.low is not None:
        outside.append(limits.low - value)
    shifted = shifted_percent(record, excluded)
    return max(outside), factor(budget.dof, looks, risk) * budget.u + doubt + shifted
