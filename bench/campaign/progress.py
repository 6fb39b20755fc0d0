"""How far a campaign is, from the catalogue's runs alone: nothing is ticked off by hand, and no attempt is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.campaign.plan import Campaign, CampaignError, Cell, Retest, cells, settled
from data.catalogue.entry import DAMAGED, MISSING, SNAPSHOT, in_utc
from data.catalogue.store import Catalogue, Line, Wanted

JUDGED = ("pass", "conditional-pass", "fail", "conditional-fail")
"""Verdicts that say something of the pump; any other is an attempt without a result."""

PASSED = ("pass", "conditional-pass")

RATE_AGREES = 1e-9
"""Relative difference of a set rate that is only rounding."""


@dataclass(slots=True)
class Course:
    """One run that the campaign asks for, and every attempt at it.

    Attributes
    ----------
    attempts : runs, the earliest first; ``retests`` the grants that led to those after the first.
    """

    cell: Cell
    attempts: list[Line] = field(default_factory=list)
    retests: list[Retest] = field(default_factory=list)

    @property
    def result(self) -> Line | None:
        """The attempt that counts: the first that judged the pump.  No later one takes its place."""
        return next((run for run in self.attempts if run.verdict in JUDGED), None)

    @property
    def state(self) -> str:
        """One of "open", "re-test" where another attempt is granted, "no verdict", or the verdict that counts."""
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
    """

    campaign: Campaign
    courses: tuple[Course, ...]
    unplanned: tuple[tuple[Line, str], ...]

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


def progress_of(campaign: Campaign, catalogue: Catalogue) -> Progress:
    """Put the catalogue's runs to what the campaign asks for, in order of time.

    A run belongs to a campaign by protocol, origin, serial number, set rate, and the settings that the campaign states.
    """
    wanted = Wanted(protocol=campaign.protocol, origin=campaign.origin, since=in_utc(campaign.since))
    runs = [run for run in reversed(catalogue.runs(wanted)) if run.kind not in (DAMAGED, MISSING, SNAPSHOT)]
    params = catalogue.params(wanted)
    courses = [Course(cell) for cell in cells(campaign)]
    unplanned: list[tuple[Line, str]] = []
    for events, of_cells in _by_pump_and_rate(campaign, _once(runs), courses):
        unplanned += _taken(events, of_cells, campaign, params)
    _known_retests(campaign, runs)
    return Progress(campaign, tuple(courses), tuple(unplanned))


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


def _once(runs: Sequence[Line]) -> Iterator[Line]:
    """Each run once, though its file may lie in several places."""
    seen: set[str] = set()
    for run in runs:
        if run.run_id not in seen:
            seen.add(run.run_id)
            yield run


def _by_pump_and_rate(
    campaign: Campaign, runs: Iterator[Line], courses: Sequence[Course]
) -> Iterator[tuple[list[Line], list[Course]]]:
    there = list(runs)
    for dut in campaign.duts:
        for rate in campaign.rates:
            of_cells = [course for course in courses if (course.cell.serial, course.cell.rate) == (dut.serial, rate)]
            asked = of_cells[0].cell.rate_ul_per_h
            yield (
                [
                    run
                    for run in there
                    if run.dut_serial == dut.serial
                    and run.set_rate_ul_per_h is not None
                    and abs(run.set_rate_ul_per_h - asked) <= RATE_AGREES * asked
                ],
                of_cells,
            )


def _taken(
    runs: Sequence[Line], of_cells: Sequence[Course], campaign: Campaign, params: dict[int, dict[str, Any]]
) -> Iterator[tuple[Line, str]]:
    """Give each run to the attempt that it is; what is none is returned with why."""
    stated = settled(campaign, of_cells[0].cell.rate)
    grants = {retest.run: retest for retest in campaign.retests}
    waiting: list[tuple[Course, Retest]] = []
    fresh = list(of_cells)
    for run in runs:
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
