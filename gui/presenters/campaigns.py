"""Campaigns: which there are, how far the chosen one is, what it says, and the next run of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

from bench.articles import load_register, standings
from bench.campaign.plan import Campaign, grant, load_campaign, rate_setting
from bench.campaign.progress import RECORD_MISSING, Course, Progress, may_repeat, progress_of
from bench.campaign.report import Report, report_of
from bench.catalogue import opened
from bench.trust.ledger import REGISTER, rows_of
from data.catalogue.store import Line
from gui.presenters.background import Cancel, nothing
from gui.presenters.context import Context, Wish
from gui.presenters.near_files import near_files
from gui.presenters.register_rows import article_files
from gui.presenters.run_report import REPORT_S, written
from gui.presenters.run_search import given, stamp
from gui.presenters.tone import Tone
from protocols.procedure import load_procedure

LOOK_S = 3.0
"""Between two looks whether the catalogue or the file has changed."""

FOLDER = "campaigns"
_SIGN = re.compile(r"^\s*rates\s*=\s*\[", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CampaignFile:
    """A campaign's file: its title, or why it cannot be read.

    Attributes
    ----------
    stamp : tells whether it was changed since.
    """

    path: Path
    title: str
    wrong: str = ""
    stamp: object = None


@dataclass(frozen=True, slots=True)
class Counted:
    """A campaign, how far it is and what it says.

    Attributes
    ----------
    against : what speaks against the pump of the next run, by the register of articles.
    """

    progress: Progress
    report: Report
    against: tuple[str, ...]


class CampaignsView(Protocol):
    """What the presenter asks of its view."""

    def show_files(self) -> None:
        """Show `Campaigns.files` and which is chosen."""

    def show_counted(self) -> None:
        """Show `Campaigns.counted`, or why there is nothing."""

    def show_cell(self) -> None:
        """Show `Campaigns.course`: another cell is chosen."""


class Campaigns:
    """The campaigns near at hand.

    Attributes
    ----------
    files : those that there are; None until they were looked for.
    chosen : the one that is shown.
    counted : how far it is; None until that is known.
    course : the cell that is chosen.
    sentence : why there is nothing to show.
    is_writing : the report is being made.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.files: Sequence[CampaignFile] | None = None
        self.chosen: CampaignFile | None = None
        self.counted: Counted | None = None
        self.course: Course | None = None
        self.sentence = ""
        self.is_writing = False
        self._is_shown = self._is_looking = self._is_finding = False
        self._seen: object = None
        self._cancel: Cancel = nothing
        self._view: CampaignsView | None = None
        context.background.every(LOOK_S, self.look)

    def attach(self, view: CampaignsView) -> None:
        """Have a view."""
        self._view = view
        view.show_files()
        view.show_counted()

    def shown(self, is_shown: bool) -> None:
        """Whether anybody looks."""
        self._is_shown = is_shown
        if is_shown:
            if self.sentence:
                self._seen = None  # what could not be counted is counted again
            self.find()

    def find(self) -> None:
        """Look for the files of campaigns, unless that is under way: a share may not answer."""
        if self._is_finding:
            return
        self._is_finding = True
        folder = self.context.folder
        self.context.background.aside(lambda: campaign_files(folder), self._found, self._not_found)

    def _not_found(self, said: str) -> None:
        self._is_finding = False
        self.context.notify(f"The campaigns cannot be looked for: {said}", Tone.WARN)

    def _found(self, files: tuple[CampaignFile, ...]) -> None:
        self._is_finding = False
        if files != self.files:
            before = None if self.chosen is None else self.chosen.path
            self.files = files
            self.chosen = next((one for one in files if one.path == before), files[0] if files else None)
            if self.chosen is None or self.chosen.path != before:
                self._forget()
            self._tell_files()
        self.look()

    def choose(self, path: Path) -> None:
        """Show another campaign."""
        found = next((one for one in self.files or () if one.path == path), None)
        if found is not None and found != self.chosen:
            self.chosen = found
            self._forget()
            self._tell()
            self.look()

    def _forget(self) -> None:
        """Nothing is known of the chosen one; what is being counted is of another."""
        self._cancel()
        self.counted, self.course, self._seen, self.sentence = None, None, None, ""

    def choose_cell(self, number: int) -> None:
        """Show the attempts at one run of the campaign, by its place in the order."""
        courses = () if self.counted is None else self.counted.progress.courses
        self.course = next((one for one in courses if one.cell.number == number), None)
        if self._view is not None:
            self._view.show_cell()

    def look(self) -> None:
        """Count again what has changed; a file that was changed is read again first."""
        chosen = self.chosen
        if not self._is_shown or chosen is None or self._is_looking:
            return
        state_folder, path = self.context.state_folder, chosen.path
        self._is_looking = True
        self.context.background.aside(
            lambda: (path, _stamp(path), stamp(state_folder)), self._looked, lambda _: self._not_looked()
        )

    def _not_looked(self) -> None:
        self._is_looking = False

    def _looked(self, seen: tuple[Path, object, object]) -> None:
        self._is_looking = False
        if self.chosen is not None and seen[0] != self.chosen.path:
            self.look()  # another one was chosen meanwhile
        if self.chosen is None or seen[0] != self.chosen.path or seen == self._seen:
            return
        if seen[1] != self.chosen.stamp:
            self.find()
            return
        self._seen = seen
        self._cancel()
        if self.chosen.wrong:
            self._fail(self.chosen.wrong)
            return
        arguments = (self.chosen.path, self.context.state_folder, self.context.folder, datetime.now(UTC).date())
        self._cancel = self.context.background.apart(counted, arguments, self._take, self._fail)

    def _take(self, found: Counted) -> None:
        self.counted, self.sentence = found, ""
        number = self.course.cell.number if self.course is not None else 0
        courses = found.progress.courses
        following = found.progress.following
        self.course = next((one for one in courses if one.cell.number == number), following or courses[0])
        self._tell()

    def _fail(self, said: str) -> None:
        self.counted, self.course, self.sentence = None, None, said
        self._tell()

    # -- what a person does

    @property
    def next_says(self) -> tuple[str, Tone]:
        """Which run comes next, and what speaks against it."""
        if self.counted is None:
            return "", Tone.PLAIN
        progress, following = self.counted.progress, self.counted.progress.following
        if following is None:
            without = sum(one.state == "no verdict" for one in progress.courses)
            hint = f"; {without} ended without a verdict and may be repeated for a reason" if without else ""
            if held := sum(one.state == RECORD_MISSING for one in progress.courses):
                return f"{held} runs wait for a record that is missing{hint}", Tone.WARN
            return f"Every run is made{hint}", Tone.WARN if without else Tone.GOOD
        cell = following.cell
        said = f"Run {cell.number} of {len(progress.courses)}: {cell.serial} at {cell.rate}"
        if self.counted.against:
            return f"{said}. Not now: {'; '.join(self.counted.against)}", Tone.WARN
        return said, Tone.PLAIN

    @property
    def can_prepare(self) -> bool:
        """Whether the next run can be made."""
        return self.counted is not None and self.counted.progress.following is not None and not self.counted.against

    def prepare_next(self) -> None:
        """Have the next run prepared in the run page, with all that the campaign states."""
        if self.counted is None or not self.can_prepare:
            return
        following = self.counted.progress.following
        assert following is not None
        self.context.wish(wish_of(self.counted.progress.campaign, following))

    def write_report(self) -> None:
        """Write the campaign's report as PDF beside its plan; every attempt is verified anew for it."""
        if self.chosen is None or self.is_writing:
            return
        self.is_writing = True
        self._tell()
        arguments = (self.chosen.path, self.context.state_folder)
        self.context.background.apart(report_written, arguments, self._written, self._not_written, deadline_s=REPORT_S)

    def _written(self, out: Path) -> None:
        self.is_writing = False
        self.context.notify(f"{out.name} is beside the plan: {out}", Tone.GOOD)
        self._tell()

    def _not_written(self, said: str) -> None:
        self.is_writing = False
        self.context.notify(f"No report of the campaign: {said}", Tone.FAIL)
        self._tell()

    def open(self, run: Line) -> None:
        """Review an attempt."""
        otherwise = f"{run.path} is not there (it was on computer {run.computer})"
        self.context.open_if_there(Path(run.path), otherwise)

    @property
    def may_repeat(self) -> bool:
        """Whether another attempt at the chosen run can be granted."""
        return self.course is not None and bool(self.course.attempts) and self.course.state != "re-test"

    def grant(self, reason: str, granted: str = "", then: Callable[[], None] = lambda: None) -> None:
        """Grant another attempt at the chosen run, with a reason; what was run stays in the count.

        ``then`` is called when it is written.
        """
        if self.counted is None or self.course is None or not self.may_repeat or self.chosen is None:
            return
        if not reason.strip():
            self.context.notify("A re-test needs a reason: say why the run may be repeated.", Tone.WARN)
            return
        path, progress, run, person = self.chosen.path, self.counted.progress, self.course.attempts[-1], granted

        def write() -> str:
            course, line = may_repeat(progress, run.run_id)
            grant(path, line.run_id, reason.strip(), person or self.context.person, datetime.now(UTC))
            return f"{course.cell.serial} at {course.cell.rate} may be repeated"

        def wrote(said: str) -> None:
            then()
            self.context.notify(said, Tone.GOOD)
            self.look()

        def failed(said: str) -> None:
            self.context.notify(f"No re-test was granted: {said}", Tone.FAIL)

        self.context.background.aside(write, wrote, failed)

    def _tell(self) -> None:
        if self._view is not None:
            self._view.show_counted()
            self._view.show_cell()

    def _tell_files(self) -> None:
        if self._view is not None:
            self._view.show_files()
        self._tell()


def wish_of(campaign: Campaign, course: Course) -> Wish:
    """The run of a cell, as it is prepared."""
    setting = rate_setting(load_procedure(campaign.protocol))
    cell = course.cell
    return Wish(campaign.station, campaign.protocol, {**campaign.settings, setting: cell.rate}, cell.model, cell.serial)


# -- what is done in the background


def campaign_files(folder: Path) -> tuple[CampaignFile, ...]:
    """The campaigns in the working folder and in that of the runs, and in their folders ``campaigns``."""
    return tuple(map(_described, near_files(folder, FOLDER, _SIGN)))


def _described(path: Path) -> CampaignFile:
    seen = _stamp(path)  # before it is read: what is written meanwhile is another one
    try:
        return CampaignFile(path, load_campaign(path).title, stamp=seen)
    except (ValueError, OSError) as error:
        return CampaignFile(path, path.stem, str(error), seen)


def counted(path: Path, state_folder: Path, folder: Path, today: date) -> Counted:
    """How far a campaign is, what it says, and what speaks against its next pump."""
    campaign = load_campaign(path)
    with opened(given(state_folder), make=True) as there:
        progress = progress_of(campaign, there, rows_of(state_folder, REGISTER)[0])
        report = report_of(progress, there)
    following = progress.following
    files = article_files(folder, state_folder)
    against = () if following is None else tuple(_against(files, following.cell.serial, today))
    return Counted(progress, report, against)


def report_written(path: Path, state_folder: Path) -> Path:
    """Make the report of a campaign and write it beside the plan, never over another file."""
    from bench.campaign.paper import paper, papers_of
    from data.report.typeset import pdf_of, program

    campaign = load_campaign(path)
    with opened(given(state_folder)) as there:
        progress = progress_of(campaign, there, rows_of(state_folder, REGISTER)[0])
        report = report_of(progress, there)
    return written(pdf_of(*paper(papers_of(path, progress, report, state_folder), program())), path)


def _against(files: Sequence[Path], serial: str, today: date) -> list[str]:
    """What the lab's registers of articles say against using a pump; nothing where it is in none."""
    said: list[str] = []
    for path in files:
        for one in standings(load_register(path), None, today):
            if one.article.kind == "dut" and one.article.id == serial:
                said += one.problems
    return said


def _stamp(path: Path) -> object:
    """Of a file as it is; None where it has gone."""
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_mtime_ns, there.st_size
