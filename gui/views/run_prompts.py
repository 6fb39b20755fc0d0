"""What needs a person now, on top of the right column: prompts, interlocks that hold the bench, the end of the run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QPixmap
from PyQt6.QtWidgets import (
    QApplication,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from bench.answers import DONE
from bench.rpc.messages import ResetInterlock
from gui.presenters.asking import Asking, Card
from gui.presenters.controls import Controls
from gui.presenters.limits import InterlockRow
from gui.presenters.numbers import unit_text
from gui.presenters.run_end import EndText
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import ToneLabel, button, clear, muted, set_property

PICTURE_HEIGHT = 220


class Attention(QFrame):
    """A framed panel in a tone, with a title of icon and words; ``body`` is its layout."""

    def __init__(self, title: str, tone: Tone) -> None:
        super().__init__()
        set_property(self, "notice", str(tone))
        self.setAccessibleName(title)
        self.body = QVBoxLayout(self)
        gap = look().density.gap
        self.body.setContentsMargins(gap + 2, gap, gap + 2, gap + 2)
        self.body.setSpacing(gap - 2)
        self.heading = ToneLabel(title, tone)
        self.body.addWidget(self.heading)


class PromptCard(Attention):
    """One prompt, with what it takes to answer it."""

    def __init__(self, card: Card, person: str, asking: Asking) -> None:
        super().__init__("The run asks you", Tone.WARN)
        self.card = card
        self._asking = asking
        self._person = person
        self.text = QLabel(card.text)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setProperty("strong", "true")
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.body.addWidget(self.text)
        if card.details:
            self.body.addWidget(muted("   ".join(f"{name} {value}" for name, value in card.details), wrap=True))
        self.shows = muted("", wrap=True)
        self.body.addWidget(self.shows)
        self._picture()
        self.field = QLineEdit()
        self.field.setAccessibleName(f"Answer to {card.key}")
        self.field.setPlaceholderText(card.hint)
        self.field.returnPressed.connect(self._answer)
        self.second = QLineEdit()
        self.second.setAccessibleName("Name of the second person")
        self.second.setPlaceholderText("name of the second person")
        self.second_answer = self._second_answer()
        self.buttons = self._buttons()
        self._lay_out()
        self.refusal = ToneLabel("", Tone.FAIL)
        self.take_over = button("&Take over the control and answer", "person", self._take_over)
        self.body.addWidget(self.refusal)
        self.body.addWidget(self.take_over)
        self._last = ""
        self.show_card(card)

    def _picture(self) -> None:
        if not self.card.picture_name:
            return
        made = QLabel()
        made.setAccessibleName(f"Drawing {self.card.picture_name}")
        found = QPixmap() if self.card.picture is None else QPixmap(str(self.card.picture))
        if found.isNull():
            made.setText(f"drawing: {self.card.picture_name}")
        else:
            mode = Qt.TransformationMode.SmoothTransformation
            made.setPixmap(found.scaledToHeight(min(PICTURE_HEIGHT, found.height()), mode))
        self.body.addWidget(made)

    def _second_answer(self) -> QLineEdit | QComboBox:
        """Where the second person answers by themselves."""
        made: QLineEdit | QComboBox
        if self.card.choices:
            made = QComboBox()
            made.addItems(self.card.choices)
        else:
            made = QLineEdit()
            made.setPlaceholderText("their answer")
            made.setEchoMode(QLineEdit.EchoMode.Normal)
        made.setAccessibleName("Answer of the second person")
        return made

    def _buttons(self) -> list[QPushButton]:
        if self.card.is_confirmation:
            return [button("&Done", "play", lambda: self._send(DONE), primary=True)]
        if self.card.choices:
            words = ((choice, choice.replace("&", "&&")) for choice in self.card.choices)  # no letter is a key here
            return [button(shown, None, partial(self._send, choice)) for choice, shown in words]
        return [button("&Answer", "play", self._answer, primary=True)]

    def _lay_out(self) -> None:
        typed = not self.card.choices
        row = QHBoxLayout()
        if typed:
            row.addWidget(self.field, 1)
            if self.card.unit and self.card.unit != "1":
                row.addWidget(muted(f"in {unit_text(self.card.unit)}"))
        else:
            self.field.setParent(self)
            self.field.hide()
        grid = QGridLayout()
        if self.card.needs_second:
            grid.addWidget(self.second, 0, 0)
            if not self.card.is_confirmation:
                grid.addWidget(self.second_answer, 0, 1)
            self.body.addWidget(muted("Another person gives the same answer too:", wrap=True))
            self.body.addLayout(grid)
        if not self.card.needs_second or self.card.is_confirmation:
            self.second_answer.setParent(self)
            self.second_answer.hide()
        if not self.card.needs_second:
            self.second.setParent(self)
            self.second.hide()
        for one in self.buttons:
            row.addWidget(one)
        if not typed:
            row.addStretch(1)
        self.body.addLayout(row)

    def show_card(self, card: Card) -> None:
        """Show what became of an answer."""
        self.card = card
        self.heading.say(f"The run asks {self._person}: {card.key}", Tone.WARN)
        self.shows.setVisible(bool(card.shows))
        self.shows.setText(card.shows[:1].upper() + card.shows[1:])
        self.refusal.setVisible(bool(card.refusal))
        self.refusal.say(card.refusal, Tone.FAIL)
        set_property(self.field, "wrong", "true" if card.refusal else "false")
        self.take_over.setVisible(card.can_take_over)
        inputs = (self.field, self.second, self.second_answer, *self.buttons)
        if card.is_sent and any(one.hasFocus() for one in inputs):
            self.setFocus()  # what is locked would hand the focus on to whatever is next
        for one in inputs:
            one.setEnabled(not card.is_sent)
        if self.hasFocus() and not card.is_sent:
            self.take_focus()

    def take_focus(self) -> None:
        """Be ready for typing; a button has to be gone to, or a key too many would answer what nobody has read."""
        if not self.field.isHidden():
            self.field.setFocus()

    def _answer(self) -> None:
        if self.field.text().strip():
            self._send(self.field.text())
        else:
            self.field.setFocus()  # so that the letter of the button leads to it

    def _send(self, text: str, *, take_over: bool = False) -> None:
        self._last = text
        second = self.second_answer
        said = second.currentText() if isinstance(second, QComboBox) else second.text()
        said = DONE if self.card.is_confirmation else said
        self._asking.answer(self.card.key, text, self.second.text(), said, take_over=take_over)

    def _take_over(self) -> None:
        is_typed = not self.card.choices
        self._send(self.field.text() if is_typed else self._last, take_over=True)


class LatchedCard(Attention):
    """An interlock that holds the bench, and what a person needs to end that."""

    def __init__(self, row: InterlockRow, controls: Controls) -> None:
        super().__init__(f"Held by interlock {row.name}", Tone.FAIL)
        self.name = row.name
        self._controls = controls
        self.cause = QLabel()
        self.cause.setTextFormat(Qt.TextFormat.PlainText)
        self.cause.setWordWrap(True)
        self.now = muted("", wrap=True)
        self.reason = QLineEdit()
        self.reason.setPlaceholderText("what the cause was, and what was done about it")
        self.reason.setAccessibleName(f"Why interlock {row.name} may be reset")
        self.reason.returnPressed.connect(self._reset)
        self.reason.textEdited.connect(lambda _: controls.reconsider(ResetInterlock))
        self.person = muted(f"recorded as {controls.context.person}")
        self.reset = button("&Reset", "again", self._reset)
        self.says = ToneLabel()
        line = QHBoxLayout()
        line.addWidget(self.reason, 1)
        line.addWidget(self.reset)
        for one in (self.cause, self.now):
            self.body.addWidget(one)
        self.body.addLayout(line)
        self.body.addWidget(self.person)
        self.body.addWidget(self.says)
        self.show_row(row)

    def show_row(self, row: InterlockRow) -> None:
        """Show how it stands."""
        self.cause.setText(row.cause)
        self.cause.setVisible(bool(row.cause))
        self.now.setText(f"{row.channel}: now {row.value}, limit {row.limit}" if row.value else "")
        self.reset.setEnabled(self._controls.can_command)
        text, tone = self._controls.said_of_reset(self.name)
        self.says.setVisible(bool(text))
        self.says.say(text, tone)

    def _reset(self) -> None:
        self._controls.reset(self.name, self.reason.text())


class EndCard(QFrame):
    """How the run ended, and what can be done next."""

    def __init__(
        self, text: EndText, review: Callable[[], None], again: Callable[[], None], other: Callable[[], None]
    ) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAccessibleName(text.title)
        column = QVBoxLayout(self)
        title = QLabel(text.title)
        title.setObjectName("panelTitle")
        column.addWidget(title)
        big = QHBoxLayout()
        self.status = ToneLabel(text.status, text.status_tone)
        self.verdict = ToneLabel(f"verdict: {text.verdict}", text.verdict_tone)
        for label in (self.status, self.verdict):
            label.setProperty("heading", "true")
            big.addWidget(label, 1)
        self.verdict.setVisible(bool(text.verdict))
        column.addLayout(big)
        for words in (text.reason, text.next_step):
            if words:
                line = QLabel(words)
                line.setTextFormat(Qt.TextFormat.PlainText)
                line.setWordWrap(True)
                column.addWidget(line)
        place = text.run_file or text.journal
        if place:
            where = muted(str(place), wrap=True)
            where.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            where.setToolTip(str(place))
            column.addWidget(where)
        self.review = button("&Open in review", "review", review, primary=True)
        self.review.setVisible(text.run_file is not None)
        column.addWidget(self.review)
        row = QHBoxLayout()
        for one in (button("Run a&gain", "again", again), button("Ne&w run", "add", other)):
            row.addWidget(one)
        column.addLayout(row)


class AttentionArea(QWidget):
    """The stack of all that needs a person now; it takes no room while there is nothing.

    Parameters
    ----------
    rest : has the focus once a card that had it is gone, so that no key acts on what happens to be the next.  A
        question that is answered by typing takes it from there.
    """

    def __init__(self, asking: Asking, controls: Controls, person: str, rest: QWidget) -> None:
        super().__init__()
        self._asking = asking
        self._rest = rest
        self._controls = controls
        self._person = person
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(look().density.gap)
        self.prompts: dict[str, PromptCard] = {}
        self.latched: dict[str, LatchedCard] = {}
        self.end: EndCard | None = None

    def show_cards(self, cards: list[Card], latched: list[InterlockRow]) -> None:
        """Show these prompts and latched interlocks; what is typed stays."""
        rows = {row.name: row for row in latched}
        for name in [name for name in self.latched if name not in rows]:
            self._drop(self.latched.pop(name))
        for at, row in enumerate(latched):
            if row.name in self.latched:
                self.latched[row.name].show_row(row)
            else:
                self.latched[row.name] = LatchedCard(row, self._controls)
                self.column.insertWidget(at, self.latched[row.name])
        asked = {card.key: card for card in cards}
        for key in [key for key, shown in self.prompts.items() if not _is_same(shown.card, asked.get(key))]:
            self._drop(self.prompts.pop(key))
        for card in cards:
            if card.key in self.prompts:
                self.prompts[card.key].show_card(card)
            else:
                self.prompts[card.key] = PromptCard(card, self._person, self._asking)
                self.column.addWidget(self.prompts[card.key])
                self.take_focus()

    def take_focus(self) -> None:
        """Be ready for the answer that is asked for first, unless a person is at something else."""
        if self._rest.hasFocus() and self.prompts:
            next(iter(self.prompts.values())).take_focus()

    def show_end(self, made: EndCard | None) -> None:
        """Show how the run ended; None while it goes on."""
        if self.end is not None:
            self._drop(self.end)
        self.end = made
        if made is not None:
            self.column.insertWidget(0, made)

    def forget(self) -> None:
        """Another run."""
        self.prompts.clear()
        self.latched.clear()
        self.end = None
        clear(self.column)

    @property
    def is_empty(self) -> bool:
        """Whether nothing needs a person."""
        return not (self.prompts or self.latched or self.end)

    def _drop(self, card: QWidget) -> None:
        focused = QApplication.focusWidget()
        if focused is not None and (card is focused or card.isAncestorOf(focused)):
            self._rest.setFocus()
        card.hide()
        card.setParent(None)
        card.deleteLater()


def _is_same(shown: Card, now: Card | None) -> bool:
    """Whether a card is still of what is asked; a later prompt may have the same key."""
    return now is not None and now.asked == shown.asked
