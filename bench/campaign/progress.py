"""How far a campaign is, from the catalogue's runs: nothing is ticked off by hand.

No attempt is lost with its file: what the register has as closed holds its place until its record is back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.campaign.plan import Campaign, CampaignError, Cell, Retest, cells, settled
from bench.campaign.records import JUDGED, Lost, closed_runs, one_each
from bench.trust.seals import seals_by_run
from data.audit import Row
from data.catalogue.entry import DAMAGED, SNAPSHOT, in_utc
from data.catalogue.store import Catalogue, Line, Wanted

RECORD_MISSING = "record missing"
"""State of a run of the plan that may have been made, and whose record is not there."""

RATE_AGREES = 1e-9
"""Relative difference of a set rate that is only rounding."""


@dataclass(slots=True)
class Course:
    """One run that the campaign asks for, and every attempt at it.

    Attributes
    ----------
    attempts : runs, the earliest first; ``retests`` the grants that led to those after the first.
    lost : closed runs that may be attempts at it, and whose record is not there.
    """

    cell: Cell
    attempts: list[Line] = field(default_factory=list)
    retests: list[Retest] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)

    @property
    def result(self) -> Line | None:
        """The attempt that counts: the first that judged the pump.  No later one takes its place.

        None while the record of one may be missing.
        """
        if self.lost:
            return None
        return next((run for run in self.attempts if run.verdict in JUDGED), None)

    @property
    def state(self) -> str:
        """One of "open", "re-test" where another attempt is granted, "no verdict", or the verdict that counts.

        "record missing", whatever else, where a closed run may be an attempt at it and its record is not there.
        """
        if self.lost:
            return RECORD_MISSING
        if len(self.retests) >= max(1, len(self.attempts)):
            return "re-test"
        if not self.attempts:
            return "open"
        return "no verdict" if self.result is None else self.result.verdict


@dataclass(frozen=True, slots=True)
class Progress:
    """A campaign and its runs.

    Attributes
    ----------
    courses : in the order of the campaign.
    unplanned : runs of its pumps and rates that nobody had asked for, with why; they do not count, and are shown.
    others : files of its runs that say another thing than the one that counts, with why; shown as well.
    lost : closed runs of the register whose record the catalogue does not have.
    """

    campaign: Campaign
    courses: tuple[Course, ...]
    unplanned: tuple[tuple[Line, str], ...]
    others: tuple[tuple[Line, str], ...] = ()
    lost: tuple[Lost, ...] = ()

    @property
    def following(self) -> Course | None:
        """The next run to make; None when all are made."""
        return following_of(self.courses)

    def at(self, station: str) -> tuple[Course, ...]:
        """The runs of the pumps that stand at a station, or at a position of one; raises CampaignError for none."""
        found = tuple(course for course in self.courses if course.cell.station == station)
        if not found:
            there = ", ".join(dict.fromkeys(course.cell.station for course in self.courses if course.cell.station))
            remedy = f"there are pumps at {there}" if there else 'write station = "..." into its [[duts]]'
            raise CampaignError(f'no pump of the campaign stands at "{station}"; {remedy}')
        return found


def progress_of(campaign: Campaign, catalogue: Catalogue, register: Sequence[Row] = ()) -> Progress:
    """Put the catalogue's runs to what the campaign asks for, in order of time.

    A run belongs to a campaign by protocol, origin, serial number, set rate, and the settings that the campaign states.

    Parameters
    ----------
    register : its rows.  They say which file of a run counts, and which closed runs must be there.
    """
    wanted = Wanted(protocol=campaign.protocol, origin=campaign.origin, since=in_utc(campaign.since))
    runs = [run for run in reversed(catalogue.runs(wanted)) if run.kind not in (DAMAGED, SNAPSHOT)]
    params = catalogue.params(wanted)
    seals = seals_by_run(register)
    counted, others = one_each(runs, seals)
    there = {run.run_id for run in counted}
    lost = [run for run in closed_runs(campaign, register, seals) if run.run_id not in there]
    if lost:
        earlier = {
            run.run_id for run in catalogue.runs(replace(wanted, since="")) if run.kind not in (DAMAGED, SNAPSHOT)
        }
        earlier -= {run.run_id for run in runs}
        lost = [run for run in lost if run.run_id not in earlier and _is_of(run, campaign)]
    courses = [Course(cell) for cell in cells(campaign)]
    unplanned: list[tuple[Line, str]] = []
    for events, of_cells in _by_pump_and_rate(campaign, [*counted, *lost], courses):
        unplanned += _taken(events, of_cells, campaign, params)
    for run in lost:
        if run.rate_ul_per_h is None:  # nobody knows at which rate: it may be an attempt at any of them
            for course in courses:
                course.lost += [run] if course.cell.serial == run.serial else []
    _known_retests(campaign, runs)
    mine = {run.run_id for course in courses for run in course.attempts} | {run.run_id for run, _ in unplanned}
    mine |= {run.run_id for run in lost}
    return Progress(
        campaign, tuple(courses), tuple(unplanned), tuple(one for one in others if one[0].run_id in mine), tuple(lost)
    )


def following_of(courses: Sequence[Course]) -> Course | None:
    """The next of some runs to make; None when all are made."""
    return next((course for course in courses if course.state in ("open", "re-test")), None)


def find_attempt(progress: Progress, name: str) -> tuple[Course, Line]:
    """The attempt of a run id's beginning or of a file's name; raises CampaignError."""
    found = [
        (course, run)
        for course in progress.courses
        for run in course.attempts
        if run.run_id.startswith(name) or run.path.replace("\\", "/").endswith(f"/{name}") or run.path == name
    ]
    if len(found) != 1:
        what = "is no attempt of this campaign" if not found else "can mean several attempts"
        raise CampaignError(f'"{name}" {what}; see: pumpbench campaign status FILE')
    return found[0]


def may_repeat(progress: Progress, name: str) -> tuple[Course, Line]:
    """The attempt after which another one can be granted; raises CampaignError with why not."""
    course, line = find_attempt(progress, name)
    if course.state == "re-test":
        raise CampaignError(f"{course.cell.serial} at {course.cell.rate} may be repeated already; make that run first")
    if line is not course.attempts[-1]:
        raise CampaignError(f"{line.path} was repeated already; grant it for the latest attempt")
    return course, line


# -- small parts


def _agrees(rate: float | None, asked: float) -> bool:
    return rate is not None and abs(rate - asked) <= RATE_AGREES * asked


def _is_of(run: Lost, campaign: Campaign) -> bool:
    """Whether a lost run may be one that the campaign asks for; of a rate that nobody knows it may."""
    asked = {cell.rate_ul_per_h for cell in cells(campaign)}
    return run.rate_ul_per_h is None or any(_agrees(run.rate_ul_per_h, one) for one in asked)


def _by_pump_and_rate(
    campaign: Campaign, runs: Sequence[Line | Lost], courses: Sequence[Course]
) -> Iterator[tuple[list[Line | Lost], list[Course]]]:
    there = sorted(runs, key=lambda run: run.made)
    for dut in campaign.duts:
        for rate in campaign.rates:
            of_cells = [course for course in courses if (course.cell.serial, course.cell.rate) == (dut.serial, rate)]
            asked = of_cells[0].cell.rate_ul_per_h
            yield [run for run in there if _serial(run) == dut.serial and _agrees(_rate(run), asked)], of_cells


def _serial(run: Line | Lost) -> str:
    return run.serial if isinstance(run, Lost) else run.dut_serial


def _rate(run: Line | Lost) -> float | None:
    return run.rate_ul_per_h if isinstance(run, Lost) else run.set_rate_ul_per_h


def _taken(
    runs: Sequence[Line | Lost], of_cells: Sequence[Course], campaign: Campaign, params: dict[int, dict[str, Any]]
) -> Iterator[tuple[Line, str]]:
    """Give each run to the attempt that it is; what is none is returned with why.

    A lost one takes its place as if it were there, so that no later run becomes the first attempt.
    """
    stated = settled(campaign, of_cells[0].cell.rate)
    grants = {retest.run: retest for retest in campaign.retests}
    waiting: list[tuple[Course, Retest]] = []
    fresh = list(of_cells)
    for run in runs:
        if isinstance(run, Lost):
            if fresh:
                fresh.pop(0).lost.append(run)
            elif waiting:
                waiting[0][0].lost.append(run)
            continue
        has = params.get(run.id, {})
        other = sorted(name for name, value in stated.items() if has.get(name) != value)
        granted = next((one for one in waiting if in_utc(one[1].at) <= run.made), None)
        if other:
            yield run, f"made with another {', '.join(other)} than the campaign states"
            continue
        if granted is not None:
            waiting.remove(granted)
            course = granted[0]
        elif fresh:
            course = fresh.pop(0)
        else:
            yield run, "nobody had asked for it: a re-test needs a reason beforehand"
            continue
        course.attempts.append(run)
        if run.run_id in grants:
            course.retests.append(grants[run.run_id])
            waiting.append((course, grants[run.run_id]))


def _known_retests(campaign: Campaign, runs: Sequence[Line]) -> None:
    there = {run.run_id for run in runs}
    for retest in campaign.retests:
        if retest.run not in there:
            raise CampaignError(
                f"the re-test of run {retest.run} is granted, but the catalogue does not know that run; "
                "bring it up to date: pumpbench catalogue reindex"
            )
