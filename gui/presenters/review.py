"""The review page: the list of runs, the run that is open, runs that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from gui.presenters.context import Context
from gui.presenters.review_compare import MOST
from gui.presenters.review_list import RunList
from gui.presenters.review_open import MakeReader, OpenRun, State
from gui.presenters.review_read import RUN, SNAPSHOT, RunRow
from gui.presenters.run_search import RunSearch, has_catalogue
from gui.presenters.tone import Tone


class Shows(StrEnum):
    """What of the page is in front."""

    SEARCH = "search"
    LIST = "list"
    RUN = "run"
    COMPARISON = "comparison"


class PageView(Protocol):
    """What the presenter asks of its view."""

    def show_page(self) -> None:
        """Show what `ReviewPages.shows` says."""


class ReviewPages:
    """The review page as a whole.

    Attributes
    ----------
    search : the runs of the catalogue; in front at first where there is one.
    list : the runs of a folder.
    run : the run that is open; None without one.
    compared : runs that are compared, the first of them is what the others are held against.
    """

    def __init__(self, context: Context, make_reader: MakeReader | None = None) -> None:
        self.context = context
        self.search = RunSearch(context)
        self.list = RunList(context)
        self.run: OpenRun | None = None
        self.compared: list[OpenRun] = []
        self.shows = Shows.SEARCH if has_catalogue(context.state_folder) else Shows.LIST
        self._is_seen = False
        self._make_reader = make_reader
        self._view: PageView | None = None
        context.on_open(self.open)
        context.on_find(self.find)

    def attach(self, view: PageView) -> None:
        """Have a view."""
        self._view = view
        view.show_page()

    def open(self, path: Path) -> None:
        """Review a run file: read it, verify it, judge it again."""
        if self.run is not None:
            self.run.close()
        self.run = OpenRun(self.context, path, self._make_reader)
        self.run.when_read(self._was_read)
        self._show(Shows.RUN)

    def find(self, wanted: Mapping[str, str]) -> None:
        """Find the runs that another page asks for."""
        self._show(Shows.SEARCH)
        self.search.find(wanted)

    def open_row(self, row: RunRow) -> None:
        """Review a run of the list; one without a run file says what can be done."""
        if row.path.suffix == ".h5":
            self.context.open(row.path)
        else:
            self.context.notify(f"{row.path.name}: {row.sentence}", Tone.WARN)

    def compare(self, rows: Sequence[RunRow]) -> None:
        """Compare runs of the list, in their order there."""
        self.compare_files([row.path for row in rows if row.kind in (RUN, SNAPSHOT)])

    def compare_files(self, paths: Sequence[Path]) -> None:
        """Compare run files, with the first of them."""
        if not 2 <= len(paths) <= MOST:
            self.context.notify(f"Choose 2 to {MOST} run files to compare; {len(paths)} are chosen.", Tone.WARN)
            return
        self._leave_comparison()
        self.compared = [OpenRun(self.context, path, self._make_reader) for path in paths]
        for run in self.compared:
            run.when_read(self._was_compared)
        self._show(Shows.COMPARISON)

    def go(self, shows: Shows) -> None:
        """To the list, or to what is still open."""
        if (shows is Shows.RUN and self.run is None) or (shows is Shows.COMPARISON and not self.compared):
            return
        self._show(shows)

    def close(self) -> None:
        """Let go of every file."""
        if self.run is not None:
            self.run.close()
        self._leave_comparison()

    def page_shown(self) -> None:
        """The page has come to the front."""
        self._is_seen = True
        self._look()

    def page_hidden(self) -> None:
        """Nobody looks: neither folder nor catalogue are looked at."""
        self._is_seen = False
        self._look()

    def _look(self) -> None:
        for shows, there in ((Shows.LIST, self.list), (Shows.SEARCH, self.search)):
            if self._is_seen and self.shows is shows:
                there.show()
            else:
                there.hide()

    # -- small parts

    def _was_read(self, run: OpenRun) -> None:
        if run.state is State.DONE:
            run.prove()

    def _was_compared(self, run: OpenRun) -> None:
        self._tell()
        if run.state is State.DONE:  # what is compared has to be what was sealed
            run.prove_seal(self._tell)

    def _leave_comparison(self) -> None:
        for run in self.compared:
            run.close()
        self.compared = []

    def _show(self, shows: Shows) -> None:
        self.shows = shows
        self._look()
        self._tell()

    def _tell(self) -> None:
        if self._view is not None:
            self._view.show_page()
