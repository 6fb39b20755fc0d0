"""The review page: the list of runs, the run that is open, the runs that are compared."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtGui import QDragEnterEvent, QDropEvent, QHideEvent, QShowEvent
from PyQt6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from gui.presenters.context import Context
from gui.presenters.review import ReviewPages, Shows
from gui.presenters.review_open import MakeReader
from gui.views.parts import Page
from gui.views.review_compare import ComparisonPanel
from gui.views.review_list import RunListPanel, page_of
from gui.views.review_run import RunPanel
from gui.views.room import Stack
from gui.views.run_search import RunSearchPanel

WORDS = {
    Shows.SEARCH: "F&ind runs",
    Shows.LIST: "&Runs of a folder",
    Shows.RUN: "O&pen run",
    Shows.COMPARISON: "Compariso&n",
}


class ReviewPage(Page):
    """What QA works with; files and folders can be dropped on it."""

    def __init__(self, context: Context, make_reader: MakeReader | None = None) -> None:
        super().__init__("Review")
        self.setAcceptDrops(True)
        self.pages = ReviewPages(context, make_reader)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self._bar = QWidget()
        row = QHBoxLayout(self._bar)
        row.setContentsMargins(8, 0, 8, 4)
        row.setSpacing(4)
        self.buttons: dict[Shows, QToolButton] = {}
        for shows, word in WORDS.items():
            made = QToolButton()
            made.setText(word)
            made.setCheckable(True)
            made.setAccessibleName(word.replace("&", ""))
            made.clicked.connect(lambda _, shows=shows: self._go(shows))
            self.buttons[shows] = made
            row.addWidget(made)
        row.addStretch(1)
        column.addWidget(self._bar)
        self.search = RunSearchPanel(self.pages)
        self.list = RunListPanel(self.pages)
        self.run = RunPanel(context)
        self.comparison = ComparisonPanel(context)
        self.stack = Stack()
        for panel in (page_of(self.search), page_of(self.list), self.run, self.comparison):
            self.stack.addWidget(panel)
        column.addWidget(self.stack, 1)
        self.pages.attach(self)

    @property
    def parts(self) -> Sequence[QWidget]:
        """As `Page.parts`: what leads to the lists and runs, and each of those."""
        return (self._bar, *self.stack.widgets)

    def shown(self) -> None:
        """The page has come to the front."""
        self.pages.page_shown()
        self._lead_in()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Somebody looks again, after another page or a minimised window."""
        super().showEvent(event)
        self.pages.page_shown()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802  # Qt's name
        """Nobody looks: the folder is not looked at either."""
        self.pages.page_hidden()
        super().hideEvent(event)

    def show_page(self) -> None:
        """Show what the presenter says."""
        pages = self.pages
        self.run.attach(pages.run)
        if pages.compared:
            self.comparison.show_runs(pages.compared)
        is_another = self.stack.currentIndex() != list(Shows).index(pages.shows)
        self.stack.setCurrentIndex(list(Shows).index(pages.shows))
        if is_another:
            self._lead_in()
        for shows, made in self.buttons.items():
            made.setChecked(shows is pages.shows)
        self.buttons[Shows.RUN].setVisible(pages.run is not None)
        self.buttons[Shows.COMPARISON].setVisible(bool(pages.compared))

    def _go(self, shows: Shows) -> None:
        self.pages.go(shows)
        self.show_page()
        self._lead_in()

    def _lead_in(self) -> None:
        """Where a list is shown, arrows move in it at once, or words are typed; in a run keys begin at its tabs."""
        if self.pages.shows is Shows.LIST:
            self.list.table.setFocus()
        elif self.pages.shows is Shows.SEARCH:
            self.search.text.setFocus()
        elif self.pages.shows is Shows.RUN:
            self.run.lead_in()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802  # Qt's name
        """Take files and folders of this computer."""
        data = None if event is None else event.mimeData()
        if event is not None and data is not None and any(url.isLocalFile() for url in data.urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802  # Qt's name
        """List a folder that is dropped, open a run file."""
        data = None if event is None else event.mimeData()
        if event is None or data is None:
            return
        paths = [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
        if paths:
            self.pages.list.open_folder(paths[0])
            event.acceptProposedAction()
