"""What a campaign says: of each check by rate its mean, scatter and tolerance intervals, and the share that passes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.campaign.progress import Course, Progress
from bench.campaign.records import JUDGED, PASSED
from data.catalogue.entry import MISSING, CheckEntry
from data.catalogue.store import Catalogue, Line
from protocols.analysis.tolerance import PassRate, pass_rate, two_sided_factor

CONFIDENCE = 0.95
COVERAGES = (0.90, 0.95)


@dataclass(frozen=True, slots=True)
class Interval:
    """Holds a share of all pumps with 95 % confidence, if they are normally distributed."""

    coverage: float
    k: float
    low: float
    high: float
    within_limits: bool | None  # None without limits


@dataclass(frozen=True, slots=True)
class Summary:
    """A check at a rate.

    Attributes
    ----------
    values : (n,) one a pump, the mean of its replicates: those of one pump are alike, and are not more pumps.
    within_sd : scatter of the replicates of a pump, pooled; None with one replicate.
    limits : narrowest that the runs were judged by.
    """

    check: str
    unit: str
    rate: str
    runs: int
    values: tuple[float, ...]
    mean: float
    sd: float | None
    within_sd: float | None
    limits: tuple[float | None, float | None]
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two results of a check of one pump at one rate.

    Attributes
    ----------
    kind : "replicate", or "re-test" of the one that counts.
    runs : their ids, the earlier first.
    en : difference over the root of the sum of both U squared; up to 1 they agree.  None where a U is not stated.
    """

    kind: str
    check: str
    unit: str
    serial: str
    rate: str
    runs: tuple[str, str]
    values: tuple[float, float]
    en: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A campaign's figures; ``pumps`` passes where every run of the pump that counts has passed."""

    summaries: tuple[Summary, ...]
    runs: PassRate
    pumps: PassRate
    agreements: tuple[Agreement, ...] = ()


def report_of(progress: Progress, catalogue: Catalogue) -> Report:
    """The figures of the runs that count so far."""
    judged = [course for course in progress.courses if course.result is not None]
    found: dict[int, dict[str, CheckEntry]] = {}
    for course in judged:
        for run in _judged(course):
            found[run.id] = {check.name: check for check in catalogue.details(run)[1]}
    summaries = []
    for name in progress.campaign.checks:
        for rate in progress.campaign.rates:
            summary = _summary(name, rate, [course for course in judged if course.cell.rate == rate], found)
            if summary is not None:
                summaries.append(summary)
    verdicts: dict[str, list[bool]] = {}
    for course in judged:
        assert course.result is not None
        verdicts.setdefault(course.cell.serial, []).append(course.result.verdict in PASSED)
    runs = [passed for of_pump in verdicts.values() for passed in of_pump]
    pumps = [all(of_pump) for of_pump in verdicts.values()]
    agreements = tuple(_agreements(progress.campaign.checks, judged, found))
    return Report(tuple(summaries), pass_rate(sum(runs), len(runs)), pass_rate(sum(pumps), len(pumps)), agreements)


def cell_json(course: Course) -> dict[str, Any]:
    """A run of the plan with its attempts, as plain data."""
    return asdict(course.cell) | {
        "state": course.state,
        "counts": None if course.result is None else course.result.run_id,
        "attempts": [
            {"run_id": run.run_id, "path": run.path, "verdict": run.verdict, "file_gone": run.kind == MISSING}
            for run in course.attempts
        ],
        "lost": [asdict(run) for run in course.lost],
        "retests": [one.model_dump(mode="json") for one in course.retests],
    }


def status_json(progress: Progress) -> dict[str, Any]:
    """Every run of a campaign, those that nobody had asked for too, as plain data."""
    return {
        "title": progress.campaign.title,
        "protocol": progress.campaign.protocol,
        "origin": progress.campaign.origin,
        "approved_by": progress.campaign.approved_by,
        "cells": [cell_json(course) for course in progress.courses],
        "unplanned": [
            {"run_id": run.run_id, "path": run.path, "verdict": run.verdict, "why": why}
            for run, why in progress.unplanned
        ],
        "others": [
            {"run_id": run.run_id, "path": run.path, "verdict": run.verdict, "why": why} for run, why in progress.others
        ],
        "lost": [asdict(run) for run in progress.lost],
    }


def _judged(course: Course) -> list[Line]:
    """Attempts that judged the pump; the first one counts."""
    return [run for run in course.attempts if run.verdict in JUDGED]


def _agreements(
    checks: Sequence[str], judged: Sequence[Course], found: Mapping[int, Mapping[str, CheckEntry]]
) -> Iterator[Agreement]:
    """Each later replicate against the first of its pump and rate, and each re-test against the result that counts."""
    first: dict[tuple[str, str], Course] = {}
    for course in sorted(judged, key=lambda one: one.cell.replicate):
        mine = _judged(course)
        begun = first.setdefault((course.cell.serial, course.cell.rate), course)
        pairs: list[tuple[str, Line, Line]] = [("re-test", mine[0], later) for later in mine[1:]]
        if begun is not course:
            earlier, later = sorted((_judged(begun)[0], mine[0]), key=lambda run: run.made)
            pairs.append(("replicate", earlier, later))
        for kind, one, other in pairs:
            for name in checks:
                a, b = found[one.id].get(name), found[other.id].get(name)
                if a is None or b is None or a.value is None or b.value is None:
                    continue
                at = course.cell.serial, course.cell.rate
                runs, values = (one.run_id, other.run_id), (a.value, b.value)
                yield Agreement(kind, name, a.unit, *at, runs, values, _en(a, b))


def _en(a: CheckEntry, b: CheckEntry) -> float | None:
    """E_n number of two results (ISO 13528:2022, 9.7), by their expanded uncertainties."""
    if a.value is None or b.value is None or not a.u_expanded or not b.u_expanded:
        return None
    return (b.value - a.value) / math.hypot(a.u_expanded, b.u_expanded)


def _summary(
    name: str, rate: str, courses: Sequence[Course], found: dict[int, dict[str, CheckEntry]]
) -> Summary | None:
    by: dict[str, list[float]] = {}
    checks: list[CheckEntry] = []
    for course in courses:
        assert course.result is not None
        check = found[course.result.id].get(name)
        if check is not None and check.value is not None and check.verdict != "invalid":
            by.setdefault(course.cell.serial, []).append(check.value)
            checks.append(check)
    if not checks:
        return None
    values = tuple(math.fsum(of_pump) / len(of_pump) for of_pump in by.values())
    n, mean = len(values), math.fsum(values) / len(values)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1)) if n > 1 else None
    lows = [check.limit_low for check in checks if check.limit_low is not None]
    highs = [check.limit_high for check in checks if check.limit_high is not None]
    limits = max(lows, default=None), min(highs, default=None)
    intervals = () if sd is None else tuple(_interval(n, mean, sd, coverage, limits) for coverage in COVERAGES)
    return Summary(
        name, checks[0].unit, rate, len(checks), values, mean, sd, _within(list(by.values())), limits, intervals
    )


def _within(groups: Sequence[Sequence[float]]) -> float | None:
    """Pooled standard deviation of replicates."""
    freedom = sum(len(group) - 1 for group in groups)
    if freedom == 0:
        return None
    squares = math.fsum((x - math.fsum(group) / len(group)) ** 2 for group in groups for x in group)
    return math.sqrt(squares / freedom)


def _interval(n: int, mean: float, sd: float, coverage: float, limits: tuple[float | None, float | None]) -> Interval:
    k = two_sided_factor(n, coverage, CONFIDENCE)
    low, high = mean - k * sd, mean + k * sd
    within = None
    if limits != (None, None):
        within = (limits[0] is None or low >= limits[0]) and (limits[1] is None or high <= limits[1])
    return Interval(coverage, k, low, high, within)
