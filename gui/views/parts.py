"""Small parts that every view is made of: panels, pills, labels, buttons, notices."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from PyQt6.QtCore import QEvent, QSize, Qt, QTimer
from PyQt6.QtGui import QColor, QKeySequence, QPainter, QPaintEvent
from PyQt6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.room import Elided

MOST_LETTERS = 2000
"""Of a sentence; somebody may have pasted a file."""

LONGEST_WORD = 24
"""Letters after which a line may be broken: a word without an end would make everything as wide as itself."""

_WORD = re.compile(rf"(\S{{{LONGEST_WORD}}})(?=\S)")
_BREAK = "\u200b"

SURE_MS = 4000
"""For so long a button that was pressed once waits to be pressed again."""


class Panel(QFrame):
    """A titled panel; ``body`` is its layout, ``tools`` the row right of the title."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAccessibleName(title)
        gap = look().density.gap
        outer = QVBoxLayout(self)
        outer.setContentsMargins(gap + 2, gap, gap + 2, gap + 2)
        outer.setSpacing(gap - 2)
        head = QHBoxLayout()
        head.setSpacing(gap)
        self.title = QLabel(title)
        self.title.setObjectName("panelTitle")
        head.addWidget(self.title)
        head.addStretch(1)
        self.tools = QHBoxLayout()
        self.tools.setSpacing(4)
        head.addLayout(self.tools)
        outer.addLayout(head)
        self.body = QVBoxLayout()
        self.body.setSpacing(gap - 2)
        outer.addLayout(self.body, 1)


class Ground(QWidget):
    """What panels lie on.

    It draws itself: what is dressed part by part has no style sheet of its own that would tell it of another look.
    """

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802  # Qt's name
        """Draw it in the colour of the window."""
        QPainter(self).fillRect(self.rect(), QColor(look().scheme.window))


class Page(Ground):
    """One page of the window."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)

    @property
    def unsaved(self) -> Sequence[str]:
        """What would be lost if the window were closed now."""
        return ()

    @property
    def parts(self) -> Sequence[QWidget]:
        """What takes a new look by itself when it comes into sight; a page of several leaves out what is behind."""
        return (self,)


class ToneLabel(QWidget):
    """An icon and a word in a tone; never the colour alone."""

    def __init__(self, text: str = "", tone: Tone = Tone.PLAIN) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        self._icon = QLabel()
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)  # what persons and files say is no markup
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._text, 1)
        self._tone, self._said = tone, ""
        self.say(text, tone)
        look().changed.connect(self._draw)

    def say(self, text: str, tone: Tone) -> None:
        """Show a sentence in a tone."""
        self._tone, self._said = tone, text
        self._text.setText(broken(text))
        self.setAccessibleName(text)
        set_property(self._text, "tone", str(tone))
        self._draw()

    def text(self) -> str:
        """What it says."""
        return self._said

    def _draw(self) -> None:
        self._icon.setPixmap(look().tone_icon(self._tone).pixmap(look().icon_size))


class Pill(QLabel):
    """A short word on a fill: a state."""

    def __init__(self, text: str = "", tone: Tone = Tone.PLAIN) -> None:
        super().__init__()
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.say(text, tone)

    def say(self, text: str, tone: Tone) -> None:
        """Show a word in a tone."""
        self.setText(text)
        self.setAccessibleName(text)
        set_property(self, "pill", str(tone))


class Field(QWidget):
    """A small caption over a value, which is cut down to ``least`` pixels where there is no room for it."""

    def __init__(self, caption: str, text: str = "–", least: int = 0) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self._caption = muted(caption)
        self._value = Elided(text, least) if least else QLabel(text)
        self._value.setTextFormat(Qt.TextFormat.PlainText)
        self._value.setProperty("muted", "false")
        self._value.setProperty("strong", "true")
        column.addWidget(self._caption)
        column.addWidget(self._value)

    def say(self, text: str) -> None:
        """Show a value."""
        if text != self._value.text():
            self._value.setText(text)
        self.setAccessibleName(f"{self._caption.text()}: {text}")

    def text(self) -> str:
        """The value."""
        return self._value.text()


class Notice(QFrame):
    """A sentence that stays until it is dismissed, with buttons where something can be done."""

    def __init__(self, text: str, tone: Tone = Tone.WARN) -> None:
        super().__init__()
        set_property(self, "notice", str(tone))
        self.tone = tone
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(10, 6, 10, 6)
        self.label = ToneLabel(text, tone)
        self.row.addWidget(self.label, 1)


class SureButton(QPushButton):
    """A button that acts when it is pressed a second time: what it does cannot be taken back.

    Attributes
    ----------
    sure : what it says while it waits for that.
    """

    def __init__(self, text: str, sure: str, pressed: Callable[[], None]) -> None:
        super().__init__(text)
        self.sure = sure
        self._plain, self._pressed = text, pressed
        self.setAccessibleName(text.replace("&", ""))
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self.calm)
        self.clicked.connect(self._click)

    def _click(self) -> None:
        if self._again.isActive():
            self.calm()
            self._pressed()
            return
        self._again.start(SURE_MS)
        self.setText(self.sure)
        self.setShortcut(QKeySequence.mnemonic(self._plain))  # the same keys act the second time
        self.setAccessibleName(self.sure)

    def calm(self) -> None:
        """Take the first press back: what it would act on is something else by now."""
        self._again.stop()
        self.setText(self._plain)
        self.setAccessibleName(self._plain.replace("&", ""))


def broken(text: str) -> str:
    """A text whose long words may be broken, and that ends somewhere."""
    return _WORD.sub(rf"\1{_BREAK}", text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…")


def muted(text: str, wrap: bool = False) -> QLabel:
    """A label in small print."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setProperty("muted", "true")
    label.setWordWrap(wrap)
    return label


def button(text: str, icon: str | None, pressed: Callable[[], None], *, primary: bool = False) -> QPushButton:
    """A push button that calls something."""
    made = QPushButton(text)
    if primary:
        made.setProperty("primary", "true")
    _dress(made, icon, "#FFFFFF" if primary else None)
    made.setAccessibleName(text.replace("&", ""))
    made.clicked.connect(lambda: pressed())
    return made


def tool(icon: str, says: str, pressed: Callable[[], None] | None = None, *, checkable: bool = False) -> QToolButton:
    """A small button with an icon alone; ``says`` is its tool tip and its accessible name."""
    made = QToolButton()
    made.setCheckable(checkable)
    _dress(made, icon, None)
    made.setToolTip(says)
    made.setAccessibleName(says)
    if pressed is not None:
        made.clicked.connect(lambda: pressed())
    return made


def _dress(made: QAbstractButton, icon: str | None, colour: str | None) -> None:
    if icon is None:
        return

    def draw() -> None:
        made.setIcon(look().icon(icon, colour if colour is None or look().scheme.name == "light" else "#0C1013"))
        made.setIconSize(QSize(look().density.icon, look().density.icon))

    draw()
    look().changed.connect(draw)
    made.destroyed.connect(lambda: look().changed.disconnect(draw))


def scrolled(content: QWidget) -> QScrollArea:
    """A widget that scrolls up and down where it does not fit."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    content.setObjectName(content.objectName() or "scrolled")
    area.setWidget(content)
    return area


def set_property(widget: QWidget, name: str, value: str) -> None:
    """Set a property on which the style sheet decides, and have the widget drawn by it."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        style = widget.style()
        assert style is not None
        style.unpolish(widget)
        style.polish(widget)
        if isinstance(widget, QLabel):  # takes over a padding then only
            QApplication.sendEvent(widget, QEvent(QEvent.Type.StyleChange))


def clear(layout: QLayout) -> None:
    """Remove everything from a layout."""
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()  # a layout shows what is new to it a moment later, which would then be a window of its own
            widget.setParent(None)
            widget.deleteLater()
        elif (inner := item.layout()) is not None:
            clear(inner)
