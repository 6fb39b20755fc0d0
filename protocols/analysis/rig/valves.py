"""Judges valves by what they do: closed they hold the pressure, opened they let it go, a diverter turns the flow."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from data.checks import Check, Evaluation, Limits, Verdict
from data.run import Run, RunError, Series
from protocols.analysis.decision import judge
from protocols.analysis.rig import RecordError
from protocols.analysis.rig.line import straight_line

HELD_PERCENT = 90.0
"""A closed valve keeps at least this much of the pressure; what a line creeps is less."""

LEFT_PERCENT = 10.0
"""An opened valve leaves at most this much."""

PAST_PERCENT = 5.0
INTO_PERCENT = 80.0


def evaluate(run: Run) -> Evaluation:
    """Judge a valve test."""
    checks = [*_read_back(run), *_pressures(run)]
    if run.params["diverter"]:
        checks += _diverter(run)
    return Evaluation(tuple(checks))


def _read_back(run: Run) -> Iterator[Check]:
    """Whether each line read back as it was driven."""
    moves = run.records("valve")
    wrong = sorted(
        {str(event.fields["valve"]) for event in moves if event.fields["asked"] != event.fields["read_back"]}
    )
    note = f"{', '.join(wrong)} did not read back as driven" if wrong else f"{len(moves)} moves"
    yield _judged("read-back", "Lines read back", "1", float(len(wrong)), Limits(None, 0.0, "procedure"), note)


def _pressures(run: Run) -> Iterator[Check]:
    for name, other in (("vent", "outlet"), ("outlet", "vent")):
        try:
            top = _last(_good(run, "outlet_pressure", f"rise-{name}"))
            held = _last(_good(run, "outlet_pressure", f"closed-{name}"))
            opened = _good(run, "outlet_pressure", f"open-{name}")
        except RecordError as error:
            yield _unmeasured(f"{name}-opens", f"{name.capitalize()} valve", "%", str(error))
            continue
        if top < 0.5 * float(run.params["pressure_kpa"]):
            note = (
                f"the pressure rose to {top:.1f} kPa only: outlet or vent does not close, or the syringe pump is idle"
            )
            yield _judged(f"{name}-closed", "Valves hold", "%", 0.0, Limits(HELD_PERCENT, None, "procedure"), note)
            continue
        share = 100.0 * held / top
        note = "" if share >= HELD_PERCENT else f"{name} or {other} valve passes, or the line leaks"
        yield _judged(
            f"{name}-closed",
            f"Valves hold before {name} opens",
            "%",
            share,
            Limits(HELD_PERCENT, None, "procedure"),
            note,
        )
        left = 100.0 * _last(opened) / held
        note = _response(opened, held) if left <= LEFT_PERCENT else f"the {name} valve does not open"
        yield _judged(
            f"{name}-opens",
            f"{name.capitalize()} valve opens",
            "%",
            left,
            Limits(None, LEFT_PERCENT, "procedure"),
            note,
        )


def _response(opened: Series, held: float) -> str:
    """How soon half of the pressure was gone."""
    below = np.flatnonzero(opened.values < 0.5 * held)
    return f"half of the pressure was gone after {opened.t[below[0]] - opened.t[0]:.1f} s" if below.size else ""


def _diverter(run: Run) -> Iterator[Check]:
    try:
        rates = {name: _gain_mg_per_h(run, name) for name in ("into-1", "past-2", "into-3")}
    except RecordError as error:
        yield _unmeasured("diverter", "Diverter", "%", str(error))
        return
    pushed = float(run.params["rate_ul_per_h"])
    past = 100.0 * rates["past-2"] / pushed
    into = 100.0 * min(rates["into-1"], rates["into-3"]) / pushed
    note = "" if abs(past) <= PAST_PERCENT else "diverted flow still reaches the vessel: the diverter does not turn"
    yield _judged(
        "diverter-past",
        "Reaches the vessel while diverted",
        "%",
        past,
        Limits(-PAST_PERCENT, PAST_PERCENT, "procedure"),
        note,
    )
    note = "" if into >= INTO_PERCENT else "flow does not reach the vessel: the diverter does not turn back, or a leak"
    yield _judged(
        "diverter-into", "Reaches the vessel otherwise", "%", into, Limits(INTO_PERCENT, None, "procedure"), note
    )


def _gain_mg_per_h(run: Run, phase: str) -> float:
    series = _good(run, "reference_mass", phase)
    return straight_line(series.t, series.values).slope * 3600.0


def _good(run: Run, role: str, phase: str) -> Series:
    try:
        series = run.corrected(role).within(phase).good()
    except RunError as error:
        raise RecordError(str(error)) from None
    if len(series) < 5:
        raise RecordError(f'"{role}" gave {len(series)} good samples in phase "{phase}"')
    return series


def _last(series: Series) -> float:
    """Mean over the last second or so."""
    values = series.values[-10:]
    return math.fsum(values.tolist()) / values.size


def _judged(name: str, title: str, unit: str, value: float, limits: Limits, note: str) -> Check:
    fields = judge(value, 0.0, math.inf, limits)
    return Check(name=name, title=title, unit=unit, owner="rig", note=note, **fields)


def _unmeasured(name: str, title: str, unit: str, note: str) -> Check:
    return Check(name, title, None, unit, Verdict.NOT_MEASURED, "rig", note=note)
