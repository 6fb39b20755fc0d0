"""The parts of a form: calm combo boxes, fields with a caption, what is understood, and why something is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QKeyEvent, QResizeEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from gui.presenters.setup_fields import FormField
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import ToneLabel, muted, set_property
from gui.views.room import CalmCombo, Elided

SCHEDULE_LINES = 3


class Entry(QLineEdit):
    """A line for typing or scanning: a scanner ends with Enter, which goes on to the next field."""

    left = pyqtSignal()

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(text)
        self.setAccessibleName(name)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  # Qt's name
        """Enter goes to the next field."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.focusNextChild()
            return
        super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent | None) -> None:  # noqa: N802  # Qt's name
        """Tell that the field was left."""
        super().focusOutEvent(event)
        self.left.emit()


class Captioned(QWidget):
    """An input under its caption, with what is understood beside or under it, and an error under both."""

    def __init__(self, caption: str, helps: str, edit: QWidget, *, wide: bool = False) -> None:
        super().__init__()
        self.edit, self._is_wide = edit, wide
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        head = QHBoxLayout()
        head.setSpacing(8)
        self.caption = QLabel(caption)
        self.caption.setBuddy(edit)
        self.caption.setToolTip(helps)
        head.addWidget(self.caption)
        head.addWidget(Elided(helps), 1)
        column.addLayout(head)
        self.says = muted("", wrap=True)
        if wide:
            column.addWidget(edit)
            column.addWidget(self.says)
            self.says.hide()
        else:
            row = QHBoxLayout()
            row.setSpacing(8)
            row.addWidget(edit, 5)
            row.addWidget(self.says, 6)
            column.addLayout(row)
        self._error = ToneLabel("", Tone.FAIL)
        self._error.hide()
        column.addWidget(self._error)
        edit.setToolTip(helps)
        edit.setAccessibleDescription(helps)

    def say(self, text: str, error: str = "") -> None:
        """Show what is understood, or why it is not."""
        self.says.setText(text)
        self.says.setVisible(bool(text) or not self._is_wide)
        set_property(self.edit, "wrong", "true" if error else "false")
        if error:
            self._error.say(f"{error[:1].upper()}{error[1:]}", Tone.FAIL)
        self._error.setVisible(bool(error))

    @property
    def error(self) -> str:
        """The error that is shown."""
        return self._error.text() if not self._error.isHidden() else ""


class ParamRow(Captioned):
    """One parameter of a protocol."""

    def __init__(self, field: FormField, typed: Callable[[str, str], None], left: Callable[[str], None]) -> None:
        self._name = field.name
        self._typed = typed
        super().__init__(field.caption, field.item.help, self._made(field, left), wide=field.kind == "schedule")
        self.edit.setAccessibleName(field.caption)
        self.show_field(field)
        if isinstance(self.edit, QLineEdit | QPlainTextEdit):
            self.edit.setReadOnly(field.is_fixed)
        else:
            self.edit.setEnabled(not field.is_fixed)

    def show_field(self, field: FormField) -> None:
        """Show what the field says; what stands in it stays unless it is another text."""
        edit = self.edit
        if isinstance(edit, QLineEdit):
            if edit.text() != field.text:
                edit.setText(field.text)
                edit.home(False)  # a text that is longer than its field is read from its beginning
        elif isinstance(edit, QPlainTextEdit):
            if edit.toPlainText() != field.text:
                edit.setPlainText(field.text)
        elif isinstance(edit, QCheckBox):
            edit.blockSignals(True)  # nobody has ticked it
            edit.setChecked(field.text.strip().lower() in ("yes", "true"))
            edit.blockSignals(False)
        elif isinstance(edit, QComboBox):
            edit.setCurrentText(field.text)
        self.say(field.says, field.shown_error)

    def _made(self, field: FormField, left: Callable[[str], None]) -> QWidget:
        name = field.name
        if field.kind == "flag":
            box = QCheckBox("Yes")
            box.toggled.connect(lambda on: self._typed(name, "yes" if on else "no"))
            return box
        if field.kind == "choice":
            combo = CalmCombo(field.caption)
            combo.addItems(([] if field.usual in field.item.choices else [""]) + list(field.item.choices))
            combo.currentTextChanged.connect(lambda text: self._typed(name, text))
            return combo
        if field.kind == "schedule":
            return ScheduleEdit(lambda text: self._typed(name, text), lambda: left(name))
        entry = Entry(field.caption)
        entry.textEdited.connect(lambda text: self._typed(name, text))
        entry.left.connect(lambda: left(name))
        return entry


class ScheduleEdit(QPlainTextEdit):
    """A schedule, a clause on each line or between semicolons."""

    def __init__(self, typed: Callable[[str], None], left: Callable[[], None]) -> None:
        super().__init__()
        self.setTabChangesFocus(True)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.textChanged.connect(lambda: typed(self.toPlainText()))
        self._left = left
        self._fit()
        look().changed.connect(self._fit)

    def focusOutEvent(self, event: QFocusEvent | None) -> None:  # noqa: N802  # Qt's name
        """Tell that the field was left."""
        super().focusOutEvent(event)
        self._left()

    def _fit(self) -> None:
        self.setFixedHeight(round(1.35 * look().density.font * SCHEDULE_LINES) + 18)


class TwoColumns(QWidget):
    """Two columns beside each other where there is room, else one over the other.

    Parameters
    ----------
    least : width in logical pixels from which on there are two.
    """

    def __init__(self, left: Sequence[QWidget], right: Sequence[QWidget], least: int) -> None:
        super().__init__()
        self._least = least
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(look().density.gap)
        for widgets in (left, right):
            column = QVBoxLayout()
            column.setSpacing(look().density.gap)
            for widget in widgets:
                column.addWidget(widget)
            column.addStretch(1)
            self._row.addLayout(column, 1)

    @property
    def are_two(self) -> bool:
        """Whether the columns are beside each other."""
        return self._row.direction() is QHBoxLayout.Direction.LeftToRight

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Lay the columns out for the new width."""
        super().resizeEvent(event)
        wide = self.width() >= self._least
        if wide is not self.are_two:
            way = QHBoxLayout.Direction
            self._row.setDirection(way.LeftToRight if wide else way.TopToBottom)
            for number in range(self._row.count()):
                self._row.setStretch(number, 1 if wide else 0)
