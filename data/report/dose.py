"""Dose risk: the worst over- and under-delivery in any window of an hour, four hours and a day.

Read from the evaluation's curve of cumulative volume, which is corrected as the verdict is; between its points delivery
is taken as even.  Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data.checks import Curve, Evaluation
from data.report.blocks import Block, Cell, Section, Table, Text
from data.report.wording import elapsed, length, number
from data.run import Run, RunError
from data.samples import FloatArray

WINDOWS_S = (3600.0, 4 * 3600.0, 24 * 3600.0)
CURVE, DELIVERED, PROGRAMMED = "volume", "delivered", "programmed"
ANALYSIS = "analysis"
IN_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0}


@dataclass(frozen=True, slots=True)
class Course:
    """Cumulative volumes, in µL, at times in s."""

    t: FloatArray
    delivered: FloatArray
    programmed: FloatArray


@dataclass(frozen=True, slots=True)
class Worst:
    """The window with the largest deviation to one side: begin in s, deviation and programmed in µL."""

    begin_s: float
    deviation_ul: float
    programmed_ul: float


def course_of(evaluation: Evaluation) -> Course | None:
    """The curve of cumulative volume, None where the evaluation has none."""
    for curve in evaluation.curves:
        axes = {axis.name: axis for axis in curve.y}
        if curve.name == CURVE and curve.x.unit in IN_SECONDS and {DELIVERED, PROGRAMMED} <= set(axes):
            return _course(curve, axes[DELIVERED].values, axes[PROGRAMMED].values)
    return None


def worst_windows(course: Course, window_s: float) -> tuple[Worst, Worst] | None:
    """Largest over- and under-delivery in any window of one length; None where the course is shorter.

    Notes
    -----
    The deviation D = delivered - programmed is linear between the points, so D(t + w) - D(t) is largest where the
    window begins or ends at a point: only these are looked at.
    """
    t = course.t
    if len(t) < 2 or t[-1] - t[0] < window_s * (1 - 1e-9):
        return None
    last = max(t[-1] - window_s, t[0])
    begins = np.unique(np.clip(np.concatenate((t, t - window_s)), t[0], last))
    deviation = _over(course, course.delivered - course.programmed, begins, window_s)
    programmed = _over(course, course.programmed, begins, window_s)
    most, least = int(np.argmax(deviation)), int(np.argmin(deviation))
    return (
        Worst(float(begins[most]), float(deviation[most]), float(programmed[most])),
        Worst(float(begins[least]), float(deviation[least]), float(programmed[least])),
    )


def dose_section(run: Run, evaluation: Evaluation) -> Section:
    """The dose-risk view of a run."""
    whole = course_of(evaluation)
    course = None if whole is None else _analysed(whole, run)
    if course is None:
        return Section("Dose risk", (Text("The evaluation has no curve of cumulative volume to look for windows in."),))
    concentration, said = _concentration(run)
    headings = ["Window", "Side", "Begins", "Deviation", "Of programmed"]
    if concentration is not None:
        headings.insert(4, "Dose")
    rows = list(_rows(course, concentration))
    step = float(np.median(np.diff(course.t)))
    notes: list[Block] = [Text(sentence) for sentence in said]
    notes.append(
        Text(
            "Deviation of the delivered from the programmed volume in the worst window of each length, over "
            f"{length(course.t[-1] - course.t[0])} of the analysis, on the evaluation's grid of {length(step)}; times "
            "are since the start of the curve of cumulative volume. Worst values include the noise of the "
            "measurement; they are reported, not judged.",
            "muted",
        )
    )
    widths = (1,) * len(headings)
    return Section("Dose risk", (Table(headings, rows, widths, tuple(range(2, len(headings)))), *notes))


def _rows(course: Course, concentration: float | None) -> Iterator[Sequence[str | Cell]]:
    for window_s in WINDOWS_S:
        found = worst_windows(course, window_s)
        if found is None:
            blank = ["–"] * (2 if concentration is None else 3)
            yield [length(window_s), Cell("the run is shorter", "muted"), "–", *blank]
            continue
        for side, worst in zip(("over", "under"), found, strict=True):
            dose = [] if concentration is None else [f"{_signed(worst.deviation_ul * concentration / 1000)} µg"]
            share = 100 * worst.deviation_ul / worst.programmed_ul if worst.programmed_ul > 0 else None
            percent = "–" if share is None else f"{_signed(share)} %"
            yield [length(window_s), side, elapsed(worst.begin_s), f"{_signed(worst.deviation_ul)} µL", *dose, percent]


def _concentration(run: Run) -> tuple[float | None, list[str]]:
    """µg/mL of what was delivered where it is known, and what is to be said of it."""
    try:
        schedule = run.schedule
    except RunError:
        return None, []
    of_fluid, programmed = run.fluid.get("concentration_ug_per_ml"), schedule.concentration_ug_per_ml
    known = of_fluid if of_fluid is not None else programmed
    if known is None:
        none = f"No concentration is known, so these are volumes and no doses. Programmed: {schedule.describe()}."
        return None, [none]
    drug = schedule.drug or run.fluid.get("drug") or "drug not named"
    said = [f"{drug}, {number(known)} µg/mL. Programmed: {schedule.describe()}."]
    if of_fluid is not None and programmed is not None and of_fluid != programmed:
        said.append(
            f"The pump was programmed for {number(programmed)} µg/mL and filled with {number(of_fluid)} µg/mL: every "
            "dose is off by this ratio on top of what is shown."
        )
    return float(known), said


def _course(curve: Curve, delivered: FloatArray, programmed: FloatArray) -> Course | None:
    t = np.asarray(curve.x.values, dtype=np.float64) * IN_SECONDS[curve.x.unit]
    known = np.isfinite(t) & np.isfinite(delivered) & np.isfinite(programmed)
    return Course(t[known], delivered[known], programmed[known]) if np.count_nonzero(known) > 1 else None


def _analysed(course: Course, run: Run) -> Course | None:
    """The course within the analysis: before it the flow may have been led past the vessel, to measure blanks.

    The curve ends with the analysis or less than a step before it, so the first step is left out too.
    """
    spans = [phase.t1 - phase.t0 for phase in run.phases if phase.name == ANALYSIS]
    step = float(np.median(np.diff(course.t)))
    if not spans or course.t[-1] - course.t[0] <= spans[-1] * (1 + 1e-9):
        return course
    inside = course.t >= course.t[-1] - spans[-1] + step * (1 - 1e-9)
    found = Course(course.t[inside], course.delivered[inside], course.programmed[inside])
    return found if len(found.t) > 1 else None


def _over(course: Course, values: FloatArray, begins: FloatArray, window_s: float) -> FloatArray:
    return np.asarray(np.interp(begins + window_s, course.t, values) - np.interp(begins, course.t, values))


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")
