"""An editor of TOML texts: line numbers, tones of syntax, lines that are wrong, find."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PyQt6.QtCore import QRect, QSize, Qt
from PyQt6.QtGui import (
    QColor,
    QFont,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShortcut,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
)
from PyQt6.QtWidgets import QHBoxLayout, QLineEdit, QPlainTextEdit, QTextEdit, QVBoxLayout, QWidget

from gui.presenters.toml_lines import pieces
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.theme.syntax import MONOSPACE, is_strong, syntax_colour
from gui.views.parts import muted, set_property, tool


class Tones(QSyntaxHighlighter):
    """Colours the pieces of a text."""

    def highlightBlock(self, text: str | None) -> None:  # noqa: N802  # Qt's name
        """As Qt asks."""
        for marked in pieces(text or ""):
            form = QTextCharFormat()
            form.setForeground(QColor(syntax_colour(look().scheme, marked.piece)))
            if is_strong(marked.piece):
                form.setFontWeight(QFont.Weight.Bold)
            self.setFormat(marked.begin, marked.length, form)


class LineNumbers(QWidget):
    """The column of line numbers; a wrong line has a cross."""

    def __init__(self, editor: TomlEdit) -> None:
        super().__init__(editor)
        self._editor = editor

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """As Qt asks."""
        return QSize(self._editor.numbers_width(), 0)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802  # Qt's name
        """As Qt asks."""
        if event is not None:
            self._editor.draw_numbers(QPainter(self), event.rect())


class TomlEdit(QPlainTextEdit):
    """The text itself; ``wrong`` has a sentence for each line that is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: Mapping[int, str] = {}
        self.setAccessibleName("Text of the station file")
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setTabChangesFocus(True)
        self._tones = Tones(self.document())
        self._numbers = LineNumbers(self)
        self.blockCountChanged.connect(lambda _: self._make_room())
        self.updateRequest.connect(self._scrolled)
        self.cursorPositionChanged.connect(self._mark)
        look().changed.connect(self.restyle)
        self.restyle()

    def restyle(self) -> None:
        """Take over the look of the window."""
        if self.styleSheet() != monospaced():
            self.setStyleSheet(monospaced())
        self._tones.rehighlight()
        self._make_room()
        self._mark()

    def show_text(self, text: str) -> None:
        """Show another text, at its beginning."""
        if text != self.toPlainText():
            self.setPlainText(text)

    def show_wrong(self, wrong: Mapping[int, str]) -> None:
        """Mark the lines that are wrong."""
        if wrong != self.wrong:
            self.wrong = dict(wrong)
            self._mark()
            self._numbers.update()

    def jump(self, line: int) -> None:
        """Go to a line and have it in the middle."""
        document = self.document()
        assert document is not None
        block = document.findBlockByNumber(line - 1)
        if block.isValid():
            self.setTextCursor(QTextCursor(block))
            self.centerCursor()

    @property
    def line(self) -> int:
        """Where the cursor is."""
        return self.textCursor().blockNumber() + 1

    # -- line numbers

    def numbers_width(self) -> int:
        """Pixels that the column takes."""
        digits = max(len(str(self.blockCount())), 3)
        return self.fontMetrics().horizontalAdvance("0") * (digits + 2) + 6

    def draw_numbers(self, painter: QPainter, area: QRect) -> None:
        """Draw the numbers of the lines that are seen."""
        scheme = look().scheme
        painter.fillRect(area, QColor(scheme.panel))
        painter.setFont(self.font())
        block = self.firstVisibleBlock()
        top = self.blockBoundingGeometry(block).translated(self.contentOffset()).top()
        width, height = self._numbers.width() - 8, self.fontMetrics().height()
        while block.isValid() and top <= area.bottom():
            number = block.blockNumber() + 1
            if block.isVisible():
                is_wrong = number in self.wrong
                fill = scheme.tone(Tone.FAIL)
                if is_wrong:
                    painter.fillRect(QRect(0, int(top), self._numbers.width(), height), QColor(fill.under))
                painter.setPen(QColor(fill.text if is_wrong else scheme.text if number == self.line else scheme.muted))
                text = f"✕ {number}" if is_wrong else str(number)
                painter.drawText(QRect(0, int(top), width, height), Qt.AlignmentFlag.AlignRight, text)
            top += self.blockBoundingRect(block).height()
            block = block.next()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """As Qt asks."""
        super().resizeEvent(event)
        inside = self.contentsRect()
        self._numbers.setGeometry(QRect(inside.left(), inside.top(), self.numbers_width(), inside.height()))

    def _make_room(self) -> None:
        self.setViewportMargins(self.numbers_width(), 0, 0, 0)
        inside = self.contentsRect()
        self._numbers.setGeometry(QRect(inside.left(), inside.top(), self.numbers_width(), inside.height()))
        self._numbers.update()

    def _scrolled(self, area: QRect, by: int) -> None:
        if by:
            self._numbers.scroll(0, by)
        else:
            self._numbers.update(0, area.y(), self._numbers.width(), area.height())

    # -- marks

    def _mark(self) -> None:
        """The line of the cursor, and those that are wrong."""
        scheme, document = look().scheme, self.document()
        assert document is not None
        marks = []
        for line, colour in ((self.line, scheme.striped), *((one, scheme.tone(Tone.FAIL).under) for one in self.wrong)):
            block = document.findBlockByNumber(line - 1)
            if not block.isValid():
                continue
            mark = QTextEdit.ExtraSelection()
            mark.format.setBackground(QColor(colour))
            mark.format.setProperty(QTextFormat.Property.FullWidthSelection, True)
            mark.cursor = QTextCursor(block)
            marks.append(mark)
        self.setExtraSelections(marks)
        self._numbers.update()


class FindBar(QWidget):
    """Finds a text in an editor; Enter for the next, Shift+Enter for the one before, Esc to leave."""

    def __init__(self, editor: TomlEdit) -> None:
        super().__init__()
        self._editor = editor
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.wanted = QLineEdit()
        self.wanted.setPlaceholderText("Find")
        self.wanted.setAccessibleName("Find in the station file")
        self.wanted.textChanged.connect(lambda _: self.seek(from_here=True))
        self.count = muted("")
        row.addWidget(self.wanted, 1)
        row.addWidget(tool("up", "The one before (Shift+Enter)", lambda: self.seek(backward=True)))
        row.addWidget(tool("down", "The next one (Enter)", self.seek))
        row.addWidget(self.count)
        row.addWidget(tool("remove", "Leave the search (Esc)", self.leave))
        self.hide()

    def open(self) -> None:
        """Ask what to find."""
        self.show()
        chosen = self._editor.textCursor().selectedText()
        if chosen and "\u2029" not in chosen:
            self.wanted.setText(chosen)
        self.wanted.setFocus()
        self.wanted.selectAll()

    def leave(self) -> None:
        """Go back to the text."""
        self.hide()
        self._editor.setFocus()

    def seek(self, *, backward: bool = False, from_here: bool = False) -> None:
        """Go to the next place, around the end if need be."""
        wanted = self.wanted.text()
        text = self._editor.toPlainText().casefold()
        count = text.count(wanted.casefold()) if wanted else 0
        self.count.setText(f"{count} found" if wanted else "")
        set_property(self.wanted, "wrong", "true" if wanted and not count else "false")
        if not count:
            return
        flags = QTextDocument.FindFlag.FindBackward if backward else QTextDocument.FindFlag(0)
        if from_here:
            cursor = self._editor.textCursor()
            cursor.setPosition(cursor.selectionStart())
            self._editor.setTextCursor(cursor)
        if not self._editor.find(wanted, flags):
            where = QTextCursor.MoveOperation.End if backward else QTextCursor.MoveOperation.Start
            self._editor.moveCursor(where)
            self._editor.find(wanted, flags)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  # Qt's name
        """Enter and Esc."""
        if event is None:
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.seek(backward=bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        elif event.key() == Qt.Key.Key_Escape:
            self.leave()
        else:
            super().keyPressEvent(event)


class TomlEditor(QWidget):
    """The editor with its search."""

    def __init__(self, typed: Callable[[str], None]) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.edit = TomlEdit()
        self.finder = FindBar(self.edit)
        column.addWidget(self.finder)
        column.addWidget(self.edit, 1)
        self.edit.textChanged.connect(lambda: typed(self.edit.toPlainText()))
        shortcut = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(self.finder.open)


def monospaced() -> str:
    """Style of a text whose letters are all of one width."""
    families = ", ".join(f'"{name}"' for name in MONOSPACE)
    return f"font-family: {families}; font-size: {look().density.font}px; padding: 0;"
