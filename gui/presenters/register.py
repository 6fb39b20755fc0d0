"""The lab's register: articles and their certificates, run numbers, and what a doubtful instrument has touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

from bench.articles import STATUSES, Article, change_status
from data.catalogue.store import Line
from gui.presenters.background import Cancel, nothing
from gui.presenters.context import Context
from gui.presenters.register_rows import (
    ArticleFile,
    ArticleRow,
    ChangeRow,
    Impact,
    Numbered,
    NumberRow,
    article_row,
    articles_read,
    change_rows,
    dues_said,
    impact_read,
    latest,
    numbers_read,
)
from gui.presenters.tone import Tone

ALL = ""


class RegisterView(Protocol):
    """What the presenter asks of its view."""

    def show_articles(self) -> None:
        """Show `Register.rows`, `says` and which article is chosen."""

    def show_article(self) -> None:
        """Show `Register.chosen`: another article is chosen."""

    def show_numbers(self) -> None:
        """Show `Register.numbers`."""

    def show_impact(self) -> None:
        """Show `Register.impact`, or that it is looked for, or why there is none."""


class Register:
    """All that is registered.

    Attributes
    ----------
    files : the files of articles near at hand; None until they were read.
    kind : what the list is narrowed to; `ALL` is everything.
    chosen : the article that is told in full.
    numbers : the run numbers of this computer's stations; None until they were read.
    impact : what an instrument has touched; None until somebody asked.
    trouble, impact_says : why something cannot be shown.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.files: Sequence[ArticleFile] | None = None
        self.kind = ALL
        self.chosen: ArticleRow | None = None
        self.numbers: Numbered | None = None
        self.impact: Impact | None = None
        self.trouble = ""
        self.impact_says: tuple[str, Tone] = ("", Tone.PLAIN)
        self._file: Path | None = None
        self._is_reading = self._is_stale = False
        self._cancels: dict[str, Cancel] = {}
        self._view: RegisterView | None = None

    def attach(self, view: RegisterView) -> None:
        """Have a view."""
        self._view = view
        view.show_articles()
        view.show_numbers()
        view.show_impact()

    def look(self) -> None:
        """Read everything again."""
        folder, state_folder, today = self.context.folder, self.context.state_folder, self.today
        background = self.context.background
        if self._is_reading:  # a share may not answer; a thread for each look would leave none for anything else
            self._is_stale = True
        else:
            self._is_reading = True
            background.aside(lambda: articles_read(folder, state_folder, today), self._take_articles, self._no_articles)
        self._leave("numbers")
        self._cancels["numbers"] = background.apart(numbers_read, (state_folder,), self._take_numbers, self._no_numbers)

    def _leave(self, *whats: str) -> None:
        for what in whats:
            self._cancels.get(what, nothing)()

    @property
    def today(self) -> date:
        """The day on which certificates are looked at."""
        return datetime.now(UTC).date()

    # -- articles

    def _take_articles(self, files: tuple[ArticleFile, ...]) -> None:
        if self._was_stale():
            return
        self.files, self.trouble = files, ""
        if self.file is None:
            self._file = files[0].path if files else None
        self._keep_chosen()
        self._tell_articles()

    def _keep_chosen(self) -> None:
        """Only what is in the list can be chosen."""
        kept = None if self.chosen is None else self.chosen.id
        rows = self.rows
        self.chosen = next((row for row in rows if row.id == kept), rows[0] if rows else None)

    def _no_articles(self, said: str) -> None:
        if self._was_stale():
            return
        self.trouble = said
        self._tell_articles()

    def _was_stale(self) -> bool:
        """Read again where somebody looked meanwhile."""
        is_stale, self._is_stale, self._is_reading = self._is_stale, False, False
        if is_stale:
            self.look()
        return is_stale

    def choose_file(self, path: Path) -> None:
        """Show another file of articles."""
        self._file = path
        self.chosen = self.rows[0] if self.rows else None
        self._tell_articles()

    @property
    def file(self) -> ArticleFile | None:
        """The file that is shown."""
        return next((one for one in self.files or () if one.path == self._file), None)

    def narrow(self, kind: str) -> None:
        """Show articles of one kind only."""
        self.kind = kind
        self._keep_chosen()
        self._tell_articles()

    @property
    def rows(self) -> list[ArticleRow]:
        """The articles that are asked for; first what must be minded, last what is retired."""
        file = self.file
        if file is None:
            return []
        made = [article_row(one, self.today) for one in file.standings if self.kind in (ALL, one.article.kind)]
        return sorted(made, key=lambda row: (_urgency(row), row.kind, row.id))

    @property
    def says(self) -> tuple[str, Tone]:
        """How many there are, and what is due."""
        file = self.file
        if self.trouble or (file is not None and file.wrong):
            return self.trouble or (file.wrong if file is not None else ""), Tone.FAIL
        if self.files is None:
            return "Looking for articles…", Tone.BUSY
        return dues_said(self.rows) if file is not None else ("", Tone.PLAIN)

    def choose(self, row: ArticleRow) -> None:
        """Tell an article in full."""
        self.chosen = row
        if self._view is not None:
            self._view.show_article()

    def changes(self) -> list[ChangeRow]:
        """What was said of the chosen article."""
        if self.file is None or self.chosen is None:
            return []
        return change_rows(self.file.changes, self.chosen.id)

    def set_status(self, word: str, reason: str, then: Callable[[], None] = lambda: None) -> str:
        """Say whether the chosen article may be used, with a reason; returns why not, empty where that is tried.

        ``then`` is called when it is written.
        """
        file, chosen = self.file, self.chosen
        if file is None or chosen is None:
            return "Choose an article first."
        if not reason.strip():
            return "Give the reason; it is written beside the status."
        status = next(one for one in STATUSES if one == word)
        person = self.context.person

        def write() -> None:
            change_status(file.path, chosen.id, status, reason.strip(), person, datetime.now(UTC))

        def wrote(_: object) -> None:
            then()
            self.look()

        def failed(said: str) -> None:
            self.context.notify(f"The status of {chosen.id} was not written: {said}", Tone.FAIL)

        self.context.background.aside(write, wrote, failed)
        return ""

    def find_runs(self) -> None:
        """Find the runs of the chosen article."""
        if self.chosen is not None:
            self.context.find(**wanted_of(self.chosen.standing.article))

    # -- run numbers

    def _take_numbers(self, found: Numbered) -> None:
        self.numbers = found
        self._tell_numbers()

    def _no_numbers(self, said: str) -> None:
        self.numbers = Numbered((), (said,))
        self._tell_numbers()

    @property
    def numbers_say(self) -> tuple[str, Tone]:
        """Whether every number that was given is there."""
        found = self.numbers
        if found is None:
            return "Reading the register…", Tone.BUSY
        if found.problems:
            return "; ".join(found.problems), Tone.FAIL
        if not found.rows:
            return "No run was begun on this computer yet.", Tone.MUTED
        stations = len({row.station for row in found.rows})
        return f"{len(found.rows)} numbers of {stations} stations, none is missing; the log is whole", Tone.GOOD

    def open_number(self, row: NumberRow) -> None:
        """Review the run of a number."""
        path = Path(row.path)
        otherwise = f"Run {row.number} of {row.station}: {row.path} is not there as a run file."
        if path.suffix == ".h5":
            self.context.open_if_there(path, otherwise)
        else:
            self.context.notify(otherwise, Tone.WARN)

    # -- impact

    def first_doubt(self) -> tuple[str, str]:
        """Serial number of the chosen instrument, and since when it is in doubt where it was found beyond tolerance.

        That is the day of the calibration before: what the instrument did in between is not known.
        """
        if self.chosen is None or self.chosen.standing.article.kind != "instrument":
            return "", ""
        article = self.chosen.standing.article
        beyond = [one for one in latest(article).values() if one.as_found == "beyond"]
        before = [
            one
            for one in sorted(article.certificates, key=lambda one: one.issued)
            if beyond and one.channel == beyond[0].channel and one.issued < beyond[0].issued
        ]
        return article.id, str(before[-1].issued) if before else ""

    def look_at_impact(self, serial: str, since: str) -> None:
        """See which runs relied on an instrument, since a date or since a certificate was first used."""
        if not serial.strip():
            self.impact, self.impact_says = None, ("Give the serial number of the instrument.", Tone.WARN)
            self._tell_impact()
            return
        self._leave("impact")
        self.impact, self.impact_says = None, ("Looking…", Tone.BUSY)
        self._tell_impact()
        arguments = (self.context.state_folder, serial.strip(), since.strip())
        self._cancels["impact"] = self.context.background.apart(
            impact_read, arguments, self._take_impact, self._no_impact
        )

    def _take_impact(self, found: Impact) -> None:
        self.impact = found
        count = len(found.touched)
        idle = f"; {found.idle} more had it on their station and did not rely on it" if found.idle else ""
        verdicts = [one.run.verdict for one in found.touched]
        passed = sum(verdict in ("pass", "conditional-pass") for verdict in verdicts)
        said = f"{count} run{'s' if count != 1 else ''} relied on {found.serial}, {passed} of them passed{idle}"
        self.impact_says = (said, Tone.WARN if count else Tone.MUTED)
        self._tell_impact()

    def _no_impact(self, said: str) -> None:
        self.impact_says = (said.removeprefix("--since: "), Tone.WARN)
        self._tell_impact()

    def open_run(self, run: Line) -> None:
        """Review a run that was touched."""
        otherwise = f"{run.path} is not there (it was on computer {run.computer})"
        self.context.open_if_there(Path(run.path), otherwise)

    # -- small parts

    def _tell_articles(self) -> None:
        if self._view is not None:
            self._view.show_articles()
            self._view.show_article()

    def _tell_numbers(self) -> None:
        if self._view is not None:
            self._view.show_numbers()

    def _tell_impact(self) -> None:
        if self._view is not None:
            self._view.show_impact()


def wanted_of(article: Article) -> dict[str, str]:
    """What finds the runs of an article, by fields of `data.catalogue.store.Wanted`."""
    return {{"dut": "dut", "instrument": "instrument"}.get(article.kind, "lot"): article.id}


def _urgency(row: ArticleRow) -> int:
    """What must be minded comes first: in use though it should not be, due soon, quarantined."""
    if row.standing.status == "retired":
        return 4
    if row.standing.status == "quarantined":
        return 2
    return 0 if row.problems else 1 if row.due_tone in (Tone.FAIL, Tone.WARN) else 3
