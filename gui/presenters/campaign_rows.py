"""A campaign as it is shown: its matrix of pumps and rates, attempts, figures, and runs that nobody had asked for."""

from __future__ import annotations

from dataclasses import dataclass

from bench.campaign.progress import RECORD_MISSING, Course, Progress
from bench.campaign.report import COVERAGES, Report, Summary
from data.catalogue.entry import MISSING
from data.catalogue.store import Line
from data.checks import Verdict
from gui.presenters.numbers import (
    NOTHING,
    Numbers,
    all_digits,
    digits_of,
    least_percent,
    significant,
    unit_text,
    with_unit,
)
from gui.presenters.run_search import began, name_of, verdict_said
from gui.presenters.tone import TONE_OF_VERDICT, Tone

STATES: dict[str, tuple[str, Tone]] = {
    "open": ("open", Tone.MUTED),
    "re-test": ("re-test granted", Tone.BUSY),
    "no verdict": ("no verdict", Tone.WARN),
    RECORD_MISSING: ("record missing", Tone.WARN),
}
NEXT = "next"

HOLDS = tuple(f"{100.0 * coverage:.0f} % of pumps" for coverage in COVERAGES)
"""Headings of the tolerance intervals."""


@dataclass(frozen=True, slots=True)
class CellText:
    """A run of the plan: its place in the order, what is written in its cell, and the tone."""

    number: int
    text: str
    tone: Tone
    tip: str


@dataclass(frozen=True, slots=True)
class PumpRow:
    """A pump and its cells, in the order of the columns."""

    serial: str
    model: str
    cells: tuple[CellText, ...]


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """A run that was made for a cell, and what became of it."""

    run: Line
    number: str
    file: str
    began: str
    verdict: str
    tone: Tone
    counts: str
    retest: str


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A check at a rate, over the pumps."""

    check: str
    rate: str
    pumps: str
    runs: str
    mean: str
    sd: str
    limits: str
    intervals: tuple[str, ...]
    tones: tuple[Tone, ...]


@dataclass(frozen=True, slots=True)
class UnplannedRow:
    """A run that nobody had asked for, and why it does not count."""

    run: Line
    file: str
    why: str


def columns_of(progress: Progress) -> tuple[str, ...]:
    """Headings of the matrix: each rate, and its replicates where there are several."""
    plan = progress.campaign
    if plan.replicates == 1:
        return plan.rates
    return tuple(f"{rate}, run {number}" for rate in plan.rates for number in range(1, plan.replicates + 1))


def pump_rows(progress: Progress) -> list[PumpRow]:
    """The matrix, a row for each pump."""
    plan, following = progress.campaign, progress.following
    by = {(one.cell.serial, one.cell.rate, one.cell.replicate): one for one in progress.courses}
    return [
        PumpRow(
            dut.serial,
            dut.model,
            tuple(
                _cell(by[dut.serial, rate, number], following)
                for rate in plan.rates
                for number in range(1, plan.replicates + 1)
            ),
        )
        for dut in plan.duts
    ]


def _cell(course: Course, following: Course | None) -> CellText:
    text, tone = state_said(course)
    if course is following:
        text, tone = f"{text}, {NEXT}", Tone.BUSY
    if len(course.attempts) > 1:
        text = f"{text} ({len(course.attempts)})"
    cell = course.cell
    tip = f"number {cell.number} in the order: {cell.serial} at {cell.rate}, run {cell.replicate}"
    if len(course.attempts) > 1:
        tip += f", {len(course.attempts)} attempts"
    return CellText(cell.number, text, tone, tip)


def state_said(course: Course) -> tuple[str, Tone]:
    """Where a run of the plan stands."""
    state = course.state
    if state in STATES:
        return STATES[state]
    return state.replace("-", " "), TONE_OF_VERDICT[Verdict(state)]


def attempt_rows(course: Course) -> list[AttemptRow]:
    """Every attempt at a run of the plan, none left out."""
    rows = []
    for at, run in enumerate(course.attempts):
        word, tone = verdict_said(run)
        granted = course.retests[at] if at < len(course.retests) else None
        retest = "" if granted is None else f"may be repeated: {granted.reason} ({granted.person})"
        counts = "counts" if run is course.result else ""
        counts = ", ".join(filter(None, (counts, "file gone" if run.kind == MISSING else "")))
        rows.append(AttemptRow(run, str(at + 1), short_name(run), began(run), word, tone, counts, retest))
    return rows


def is_whole(progress: Progress) -> bool:
    """Whether every run of the plan has a verdict."""
    return all(course.result is not None for course in progress.courses)


def figure_rows(report: Report, numbers: Numbers, *, is_final: bool) -> list[FigureRow]:
    """What the runs that count say together; an interval is held to the limits only once there are no more to come."""
    return [_figures(one, numbers, Tone.FAIL if is_final else Tone.MUTED) for one in report.summaries]


def _figures(one: Summary, numbers: Numbers, beyond: Tone) -> FigureRow:
    digits = digits_of(one.sd) if one.sd else significant(one.mean)
    low, high = (None if limit is None else numbers.number(limit, all_digits(limit)) for limit in one.limits)
    limits = f"{low} to {high}" if low and high else f"≥ {low}" if low else f"≤ {high}" if high else NOTHING
    texts, tones = [], []
    for interval in one.intervals:
        texts.append(f"{numbers.number(interval.low, digits)} to {numbers.number(interval.high, digits)}")
        tones.append(beyond if interval.within_limits is False else Tone.PLAIN)
    return FigureRow(
        one.check,
        one.rate,
        str(len(one.values)),
        str(one.runs),
        with_unit(numbers.number(one.mean, digits), one.unit),
        NOTHING if one.sd is None else with_unit(numbers.number(one.sd, digits), one.unit),
        with_unit(limits, one.unit) if unit_text(one.unit) else limits,
        tuple(texts) or (NOTHING,) * len(COVERAGES),
        tuple(tones) or (Tone.MUTED,) * len(COVERAGES),
    )


def unplanned_rows(progress: Progress) -> list[UnplannedRow]:
    """Runs of the campaign's pumps and rates that do not count, and files beside the one of a run that does."""
    return [UnplannedRow(run, short_name(run), why) for run, why in (*progress.unplanned, *progress.others)]


def short_name(run: Line) -> str:
    """A run's file from the pump's serial number on: protocol and station are the same in all rows."""
    name = name_of(run)
    at = name.find(f"_{run.dut_serial}_") if run.dut_serial else -1
    return name[at + 1 :]


def progress_said(progress: Progress) -> tuple[str, Tone]:
    """How far it is, and that somebody has approved the plan."""
    done = sum(course.result is not None for course in progress.courses)
    plan = progress.campaign
    said = f"{done} of {len(progress.courses)} runs have a verdict"
    if progress.lost:
        return f"{said}; {'; '.join(run.said for run in progress.lost)}", Tone.WARN
    if not plan.approved_by:
        return f"{said}; nobody has approved the plan, which is done before its first run", Tone.WARN
    return said, Tone.GOOD if is_whole(progress) else Tone.PLAIN


def facts_of(progress: Progress) -> list[tuple[str, str]]:
    """What the plan says."""
    plan = progress.campaign
    on = f", {plan.approved_on}" if plan.approved_on else ""
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in plan.settings.items())
    return [
        ("Protocol", f"{plan.protocol}{f', with {settings}' if settings else ''}"),
        ("Station", plan.station or "any"),
        ("Counts", f"{plan.origin} runs since {plan.since.astimezone():%Y-%m-%d %H:%M}"),
        ("Approved", f"{plan.approved_by}{on}" if plan.approved_by else "by nobody"),
    ]


def disagreements_said(report: Report) -> str:
    """Repeated runs of a pump that disagree by more than both U; empty where none do."""
    found = [one for one in report.agreements if one.en is not None and abs(one.en) > 1.0]
    return "; ".join(
        f"{one.check} of {one.serial} at {one.rate}: {one.kind} disagrees, En {one.en:.1f}" for one in found
    )


def rates_said(report: Report) -> str:
    """The share that passes, and what it is at least."""
    said = []
    for what, rate in (("runs", report.runs), ("pumps", report.pumps)):
        if rate.judged:
            said.append(
                f"{rate.passed} of {rate.judged} {what} passed: at least {least_percent(rate.low)} with 95 % confidence"
            )
    return ". ".join(said)
