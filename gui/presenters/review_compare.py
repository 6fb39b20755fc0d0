"""Two or more runs side by side: checks with their differences, curves laid over each other, what else differs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from data.checks import Check, Curve
from gui.plots.pyramid import Drawn
from gui.presenters.file_points import FilePoints
from gui.presenters.numbers import NARROW_NBSP, NOTHING, Numbers, digits_of, with_unit
from gui.presenters.review_checks import result_text, verdict_word
from gui.presenters.review_facts import parameter, parameters, plain, what_it_was
from gui.presenters.review_read import Review
from gui.presenters.tone import Tone

AGREE = 1.0
"""Results agree where the En number is not above this (ISO 13528, ISO/IEC 17043)."""

MOST = 6
"""Runs that can be compared at once: as many as there are pens that can be told apart."""

NEVER_EQUAL = ("Run id", "Content digest", "Began", "On its clock", "Took", "Judged by code")
"""Facts that tell runs apart and explain nothing."""


DETAILS = {
    "Schedule": "schedule",
    "Device": "dut",
    "Catheter": "catheter",
    "Fluid": "fluid",
    "Roles": "roles",
    "Station": "station",
}
"""Parts of the header that are compared key by key."""

FIGURES = 15
"""Of numbers that differ by little: all that one has."""

MOST_DETAILS = 100
"""Keys of one part that are named."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The check of one run."""

    text: str
    verdict: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class CompareRow:
    """One check of every run.

    Attributes
    ----------
    difference, agreement : of each further run from the first one.
    """

    title: str
    cells: tuple[Cell, ...]
    difference: tuple[str, ...]
    agreement: tuple[str, ...]
    tone: Tone


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact of every run."""

    what: str
    values: tuple[str, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class Overlay:
    """One result of several runs: a title, and for each run its name and the curve with this one column."""

    title: str
    curves: tuple[tuple[str, Curve], ...]


def shifted(points: FilePoints, zero_s: float) -> Callable[[float, float, int], Drawn]:
    """What is to be drawn of a channel where another moment is zero."""

    def view(t0: float, t1: float, columns: int) -> Drawn:
        drawn = points.view(t0 + zero_s, t1 + zero_s, columns)
        return Drawn(drawn.x - zero_s, drawn.y, drawn.exact)

    return view


def en_number(first: Check, other: Check) -> float | None:
    """|difference| / sqrt(U1² + U2²) of two values with their expanded uncertainties; None where one has none.

    Notes
    -----
    The En score of ISO/IEC 17043, B.4; it takes the two for independent, which runs of one rig are not wholly, so
    what they share makes it too small.
    """
    if first.value is None or other.value is None or not first.expanded_uncertainty or not other.expanded_uncertainty:
        return None
    if first.unit != other.unit:
        return None
    en = abs(other.value - first.value) / math.hypot(first.expanded_uncertainty, other.expanded_uncertainty)
    return en if math.isfinite(en) else None


def compared(reviews: Sequence[Review], numbers: Numbers) -> list[CompareRow]:
    """Every check that one of the runs has, in the order of the first run that has it."""
    by_run = [{check.name: check for check in _checks(review)} for review in reviews]
    names = dict.fromkeys(name for checks in by_run for name in checks)
    return [_row([checks.get(name) for checks in by_run], numbers) for name in names]


def differences(reviews: Sequence[Review], numbers: Numbers) -> list[FactRow]:
    """Facts and parameters of every run, those that differ first."""
    tables = [{**dict(what_it_was(review)), **dict(parameters(review, numbers))} for review in reviews]
    names = [name for name in dict.fromkeys(name for table in tables for name in table) if name not in NEVER_EQUAL]
    exact = [_exact(review, numbers) for review in reviews]
    rows = []
    for name in names:
        values = tuple(table.get(name, NOTHING) for table in tables)
        whole = tuple(one.get(name, text) for one, text in zip(exact, values, strict=True))
        differs = len(set(whole)) > 1  # what is written with few digits may hide it
        rows.append(FactRow(name, whole if differs and len(set(values)) == 1 else values, differs))
    return sorted([*rows, *_in_detail(reviews, numbers)], key=lambda row: not row.differs)


def overlaid(reviews: Sequence[Review], names: Sequence[str]) -> list[Overlay]:
    """Result curves that more than one run has, in the same units; one for each column."""
    found: dict[tuple[str, str], list[tuple[str, Curve]]] = {}
    titles: dict[tuple[str, str], str] = {}
    for review, name in zip(reviews, names, strict=True):
        for curve in () if review.evaluation is None else review.evaluation.curves:
            for y in curve.y:
                key = (curve.name, y.name)
                found.setdefault(key, []).append((name, replace(curve, y=(y,))))
                several = f"{curve.title}, {y.name.replace('_', ' ')}"
                titles.setdefault(key, several if len(curve.y) > 1 else curve.title)
    return [
        Overlay(titles[key], tuple(curves))
        for key, curves in found.items()
        if len(curves) > 1 and len({(curve.x.unit, curve.y[0].unit) for _, curve in curves}) == 1
    ]


# -- small parts


def _exact(review: Review, numbers: Numbers) -> dict[str, str]:
    """The parameters that are numbers, with all their digits."""
    return {
        parameter(name, value, numbers)[0]: f"{float(value):.12g}"
        for name, value in review.params.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _in_detail(reviews: Sequence[Review], numbers: Numbers) -> list[FactRow]:
    """What differs within station, device, catheter, fluid and schedule, by the key in its file."""
    rows = []
    for title, field in DETAILS.items():
        tables = [dict(_flat(_detail(review, field))) for review in reviews]
        keys = dict.fromkeys(key for table in tables for key in table)
        differing = [key for key in keys if len({repr(table.get(key)) for table in tables}) > 1]
        for key in differing[:MOST_DETAILS]:
            values = tuple(plain(table.get(key), numbers) for table in tables)
            if len(set(values)) == 1:  # by less than is written else
                values = tuple(plain(table.get(key), numbers, FIGURES) for table in tables)
            rows.append(FactRow(f"{title}: {key}", values, True))
    return rows


def _detail(review: Review, field: str) -> Any:
    if field == "schedule":
        return {} if review.schedule is None else review.schedule.to_json()
    return getattr(review, field)


def _flat(said: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested tables with its dotted key; lists of tables by their number."""
    if isinstance(said, Mapping):
        parts = list(said.items())
    elif isinstance(said, (list, tuple)) and any(isinstance(one, Mapping) for one in said):
        parts = [(str(number), one) for number, one in enumerate(said, 1)]
    else:
        yield path, said
        return
    for key, value in parts:
        yield from _flat(value, f"{path}.{key}" if path else str(key))


def _checks(review: Review) -> tuple[Check, ...]:
    return () if review.evaluation is None else review.evaluation.checks


def _row(checks: Sequence[Check | None], numbers: Numbers) -> CompareRow:
    there = [check for check in checks if check is not None]
    first, *others = checks
    told = [_difference(first, other, numbers) for other in others]
    tones = {tone for _, _, tone in told}
    return CompareRow(
        there[0].title,
        tuple(_cell(check, numbers) for check in checks),
        tuple(text for text, _, _ in told),
        tuple(text for _, text, _ in told),
        Tone.WARN if Tone.WARN in tones else Tone.PLAIN,
    )


def _cell(check: Check | None, numbers: Numbers) -> Cell:
    if check is None:
        return Cell(NOTHING, "not there", Tone.MUTED)
    word, tone = verdict_word(check)
    return Cell(result_text(check, numbers), word, tone)


def _difference(first: Check | None, other: Check | None, numbers: Numbers) -> tuple[str, str, Tone]:
    """Difference, what the En number says, and how much to mind it."""
    if first is None or other is None or first.value is None or other.value is None or first.unit != other.unit:
        return NOTHING, "", Tone.MUTED
    by = other.value - first.value
    if by == 0.0:
        text = with_unit(numbers.number(0.0, 0), first.unit)
        return text, *_agrees(first, other, numbers)
    spread = math.hypot(first.expanded_uncertainty or 0.0, other.expanded_uncertainty or 0.0)
    digits = digits_of(spread) if spread else digits_of(abs(by) / 10.0)
    by = round(by, digits) + 0.0  # no minus before a zero
    text = with_unit(f"{'+' if by > 0.0 else ''}{numbers.number(by, digits)}", first.unit)
    return text, *_agrees(first, other, numbers)


def _agrees(first: Check, other: Check, numbers: Numbers) -> tuple[str, Tone]:
    """The En number with its word; nothing where there is none."""
    en = en_number(first, other)
    if en is None:
        return "", Tone.PLAIN
    word = "agree" if en <= AGREE else "differ"
    return f"En{NARROW_NBSP}{numbers.number(en, 2)}, {word}", Tone.PLAIN if en <= AGREE else Tone.WARN
