"""The main window: header with STOP, a rail of pages, notices, status bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QObject, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QKeyEvent, QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QStatusBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.presenters.shell import Shell
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.header import Header
from gui.views.parts import Ground, Notice, Page, tool
from gui.views.room import Squeezed, Stack

MOST_NOTICES = 3
NEWS_MS = 15_000
"""What needs nothing to be done goes by itself after this, once somebody has had the chance to read it."""

WEIGHT = {Tone.WARN: 1, Tone.FAIL: 2}


@dataclass(frozen=True)
class PageEntry:
    """A page and how it stands in the rail.

    Attributes
    ----------
    shown : called when the page comes to the front.
    """

    key: str
    title: str
    icon: str
    page: Page
    shown: Callable[[], None] = lambda: None


class StopKey(QObject):
    """Sees the stop key wherever it is pressed: in a dialog, in an open menu, in any window of ours."""

    def __init__(self, pressed: Callable[[], None]) -> None:
        super().__init__()
        self._pressed = pressed

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802  # Qt's name
        """Act on F12 once, on its press."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyPress
            and event.key() == Qt.Key.Key_F12
            and not event.isAutoRepeat()
            and event.spontaneous()
        ):
            self._pressed()
            return True
        return False


class Window(QMainWindow):
    """The main window, of pages that are made elsewhere; ``closing`` comes when it goes.

    Attributes
    ----------
    hand_over : has the stops of runs, by their numbers, asked for by a process that outlives this one; raises OSError.
    """

    closing = pyqtSignal()

    def __init__(self, shell: Shell, pages: Sequence[PageEntry]) -> None:
        super().__init__()
        self._shell = shell
        self.hand_over: Callable[[Sequence[int]], None] | None = None
        self._given_up: list[int] = []
        self._thrown_away: dict[str, list[str]] = {}  # what is not saved, of each page, when it was last said
        self._pages = list(pages)
        self.setWindowTitle("pumpbench")
        self.header = Header(shell.context.person)
        self.header.stop_pressed.connect(shell.stop)
        self.stack = Stack()
        self._place = Squeezed(self.stack, across=True)  # what has no room would push STOP out of sight
        self._notice_place = QWidget()
        self._notices = QVBoxLayout(self._notice_place)
        self._notices.setContentsMargins(8, 0, 8, 0)
        self._notices.setSpacing(4)
        self.notices: list[Notice] = []
        self._status = {key: QLabel() for key in ("runner", "age", "disk", "queue", "version")}
        self._lay_out()
        self._stop_key = StopKey(shell.stop)
        app = QApplication.instance()
        assert app is not None
        app.installEventFilter(self._stop_key)
        for number, entry in enumerate(self._pages, 1):
            QShortcut(QKeySequence(f"Ctrl+{number}"), self, lambda key=entry.key: self.go(key))
        shell.attach(self)
        if self._pages:
            self.go(self._pages[0].key)

    def _lay_out(self) -> None:
        middle = Ground()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.header)
        row = QHBoxLayout()
        row.setSpacing(0)
        self._rail_place = self._rail()
        row.addWidget(self._rail_place)
        right = QVBoxLayout()
        right.setContentsMargins(0, 6, 0, 0)
        right.addWidget(self._notice_place)
        right.addWidget(self._place, 1)
        row.addLayout(right, 1)
        column.addLayout(row, 1)
        self.setCentralWidget(middle)
        bar = QStatusBar()
        bar.setSizeGripEnabled(False)
        for key, label in self._status.items():
            (bar.addPermanentWidget if key == "version" else bar.addWidget)(label)
        self.setStatusBar(bar)
        bars = (self._place.verticalScrollBar(), self._place.horizontalScrollBar())
        frame = (self.header, self._rail_place, self._notice_place, bar, *(one for one in bars if one is not None))
        for part in (*frame, *(part for entry in self._pages for part in entry.page.parts)):
            look().keep(part)

    def _rail(self) -> QWidget:
        rail = QWidget()
        rail.setObjectName("rail")
        rail.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        column = QVBoxLayout(rail)
        column.setContentsMargins(0, 6, 0, 6)
        column.setSpacing(2)
        self._buttons = QButtonGroup(self)
        self._buttons.setExclusive(True)
        self._rail_buttons: dict[str, QToolButton] = {}
        for number, entry in enumerate(self._pages, 1):
            self.stack.addWidget(entry.page)
            made = QToolButton()
            made.setText(entry.title)
            made.setAccessibleName(f"Page {entry.title}")
            made.setToolTip(f"{entry.title} (Ctrl+{number})")
            made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            made.setCheckable(True)
            made.clicked.connect(lambda _, key=entry.key: self.go(key))
            self._buttons.addButton(made)
            self._rail_buttons[entry.key] = made
            column.addWidget(made)
        column.addStretch(1)
        self._scheme = tool("dark", "Light or dark", self._shell.other_scheme)
        self._density = tool("touch", "For the desk or for gloves", self._shell.other_density)
        row = QHBoxLayout()
        row.setSpacing(0)
        for small in (self._scheme, self._density):
            small.setProperty("small", "true")
            row.addWidget(small, 1)
        column.addLayout(row)
        look().changed.connect(self._draw_rail)
        self._draw_rail()
        return rail

    def _draw_rail(self) -> None:
        colour = look().scheme.header.text
        for entry in self._pages:
            made = self._rail_buttons[entry.key]
            made.setIcon(look().icon(entry.icon, colour))
            made.setIconSize(QSize(24, 24))
        self._scheme.setIcon(look().icon("light" if look().scheme.name == "dark" else "dark", colour))
        self._density.setIcon(look().icon("touch", colour))

    # -- what the shell says

    def go(self, key: str) -> None:
        """Bring a page to the front."""
        for entry in self._pages:
            if entry.key == key:
                self.stack.setCurrentWidget(entry.page)
                self._rail_buttons[key].setChecked(True)
                entry.shown()

    def show_header(self) -> None:
        """Show what the shell says in the header, the title and the status bar."""
        text = self._shell.header()
        self.header.show_text(text)
        said, tone = self._shell.stop_says()
        self.header.show_stop(said, tone, self._shell.can_stop)
        origin = f" [{text.origin}]" if text.origin else ""
        self.setWindowTitle(f"{text.run or 'pumpbench'} – {text.station}{origin}" if text.run else "pumpbench")
        for key, words in self._shell.status_bar().items():
            self._status[key].setText(words)

    def show_look(self) -> None:
        """Show the scheme and density that the shell has."""
        look().apply(self._shell.scheme, self._shell.density)

    def notify(self, text: str, tone: Tone) -> None:
        """Show a sentence until it is dismissed; when there are too many, old news goes, and what failed goes last.

        What weighs less than all that stands there comes beside it: it drives nothing out, and the next one takes its
        place.
        """
        for same in [one for one in self.notices if one.label.text() == text]:
            self._drop_notice(same)
        while len(self.notices) >= MOST_NOTICES:
            lightest = min(self.notices, key=lambda one: _weight(one.tone))  # of the same, the oldest
            if _weight(lightest.tone) > _weight(tone):
                break
            self._drop_notice(lightest)
        notice = Notice(text, tone)
        notice.row.addWidget(tool("remove", "Dismiss", lambda: self._drop_notice(notice)))
        self._notices.addWidget(notice)
        self.notices.append(notice)
        if not _weight(tone):
            soon = QTimer(notice)
            soon.timeout.connect(lambda: self._drop_news(notice))
            soon.start(NEWS_MS)

    def _drop_news(self, notice: Notice) -> None:
        """News goes by itself, but not while a person reads it or is at another window."""
        if self.isActiveWindow() and not notice.underMouse():
            self._drop_notice(notice)

    def _drop_notice(self, notice: Notice) -> None:
        if notice not in self.notices:
            return
        self.notices.remove(notice)
        self._notices.removeWidget(notice)
        notice.hide()
        notice.deleteLater()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802  # Qt's name
        """Let go of the runs, which go on; a stop that nobody has taken yet is not let go of.

        It is handed over last: whoever takes it says that this window is closed.
        """
        unsaved = {entry.key: list(entry.page.unsaved) for entry in self._pages if entry.page.unsaved}
        if unsaved and unsaved != self._thrown_away:
            self._thrown_away = unsaved
            self._say_unsaved(unsaved)
            if event is not None:
                event.ignore()
            return
        pending = self._shell.stops.pending
        if pending and pending != self._given_up and not self._is_handed_over(pending):
            self._given_up = pending
            if event is not None:
                event.ignore()
            return
        app = QApplication.instance()
        assert app is not None
        app.removeEventFilter(self._stop_key)
        self._shell.close()
        self.closing.emit()
        super().closeEvent(event)

    def _say_unsaved(self, unsaved: dict[str, list[str]]) -> None:
        """Say what is not saved, and show where it can be."""
        names = ", ".join(name for page in unsaved.values() for name in page)
        self.notify(f"Not saved: {names}. Save it, or close the window again to throw it away.", Tone.WARN)
        self.go(next(iter(unsaved)))

    def _is_handed_over(self, pending: Sequence[int]) -> bool:
        """Have somebody else ask for what has no answer; else say so, and that closing again gives it up."""
        try:
            if self.hand_over is not None:
                self.hand_over(pending)
                return True
            why = ""
        except OSError as error:
            why = f" ({error.strerror})"
        runs = ", ".join(f"{number:04d}" for number in pending)
        text = f"STOP of run {runs} has no answer yet, and nobody else can ask for it{why}. Close again to give it up."
        self.notify(text, Tone.FAIL)
        return False


def _weight(tone: Tone) -> int:
    """What weighs nothing is news: nobody has to do anything about it."""
    return WEIGHT.get(tone, 0)
