"""The sign-off of a run: its review so far, the checklist, and the signature."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QHideEvent, QShowEvent
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLineEdit, QSplitter, QVBoxLayout, QWidget

from bench.trust.checklist import Item
from gui.presenters.context import Context
from gui.presenters.review_open import OpenRun
from gui.presenters.sign_off import FINDINGS, SignatureRow, SignOff, meanings_of
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import Panel, ToneLabel, button, clear, muted, scrolled
from gui.views.review_checks import show_facts
from gui.views.room import CalmCombo
from gui.views.table import Column, Table

ANSWERS: tuple[tuple[str, bool | None], ...] = (("–", None), ("Acceptable", True), ("Not acceptable", False))
ANSWER_WIDTH = 150
TABLE_HEIGHT = 104

COLUMNS = (
    Column[SignatureRow]("Name", lambda row: row.name),
    Column[SignatureRow]("When", lambda row: row.when),
    Column[SignatureRow]("Meaning", lambda row: row.meaning),
    Column[SignatureRow]("Reason", lambda row: row.reason, stretch=True),
    Column[SignatureRow]("Valid", lambda row: row.valid, lambda row: row.tone),
)


class QuestionRow(QWidget):
    """One question of the checklist: what the file says of it, and what the reviewer says."""

    def __init__(self, item: Item, said: Callable[[str, bool | None, str], None]) -> None:
        super().__init__()
        self._key, self._said = item.key, said
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, look().density.gap)
        column.setSpacing(3)
        column.addWidget(ToneLabel(item.question, FINDINGS[item.found]))
        text = muted(item.text, wrap=True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(text)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.choice = CalmCombo(f"Answer: {item.question}")
        self.choice.setFixedWidth(ANSWER_WIDTH)
        for word, _ in ANSWERS:
            self.choice.addItem(word)
        self.note = QLineEdit()
        self.note.setAccessibleName(f"Remark: {item.question}")
        self.note.setPlaceholderText("remark: why it is acceptable, or not" if item.found == "look" else "remark")
        self.choice.currentIndexChanged.connect(lambda _: self._tell())
        self.note.textChanged.connect(lambda _: self._tell())
        row.addWidget(self.choice)
        row.addWidget(self.note, 1)
        column.addLayout(row)

    def _tell(self) -> None:
        self._said(self._key, ANSWERS[self.choice.currentIndex()][1], self.note.text())


class SignView(QSplitter):
    """The checklist at the left; at the right where the review stands, and the signature."""

    def __init__(self, context: Context) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._context = context
        self._presenter: SignOff | None = None
        self._items: Sequence[Item] = ()
        self.questions: dict[str, QuestionRow] = {}
        self.setChildrenCollapsible(False)
        self.addWidget(self._checklist())
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for panel in (self._review(), self._signature()):
            column.addWidget(panel)
        column.addStretch(1)
        area = scrolled(right)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.addWidget(area)
        self.setSizes([600, 680])

    def _checklist(self) -> Panel:
        panel = Panel("Checklist")
        self.answered = ToneLabel()
        panel.tools.addWidget(self.answered)
        holder = QWidget()
        self._questions = QVBoxLayout(holder)
        self._questions.setContentsMargins(0, 0, 10, 0)
        self._questions.setSpacing(2)
        area = scrolled(holder)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # what is in it has it
        panel.body.addWidget(area)
        return panel

    def _review(self) -> Panel:
        panel = Panel("Review")
        self.state = ToneLabel()
        panel.tools.addWidget(self.state)
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(12)
        self._facts.setVerticalSpacing(4)
        panel.body.addLayout(self._facts)
        self.problems = ToneLabel("", Tone.WARN)
        panel.body.addWidget(self.problems)
        self.table: Table[SignatureRow] = Table("Signatures", COLUMNS)
        self.table.setFixedHeight(TABLE_HEIGHT)
        self.unsigned = muted("Nobody has signed it yet.")
        panel.body.addWidget(self.table)
        panel.body.addWidget(self.unsigned)
        return panel

    def _signature(self) -> Panel:
        panel = Panel("Signature")
        self.who, self.meaning = CalmCombo("Who signs"), CalmCombo("What the signature says")
        self.who.setPlaceholderText("choose")
        self.meaning.setPlaceholderText("choose")
        self.who.currentIndexChanged.connect(lambda _: self._show_meanings())
        self.reason, self.passphrase = QLineEdit(), QLineEdit()
        self.reason.setAccessibleName("Reason of the signature")
        self.passphrase.setAccessibleName("Passphrase")
        self.passphrase.setEchoMode(QLineEdit.EchoMode.Password)
        self.passphrase.returnPressed.connect(self._sign)
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(6)
        captions = {"Who": self.who, "Meaning": self.meaning, "Reason": self.reason, "Passphrase": self.passphrase}
        for at, (caption, edit) in enumerate(captions.items()):
            grid.addWidget(muted(caption), at, 0)
            grid.addWidget(edit, at, 1)
        grid.setColumnStretch(1, 1)
        panel.body.addLayout(grid)
        self.sign = button("&Sign", None, self._sign, primary=True)
        self.says = ToneLabel()
        panel.body.addLayout(_beside(self.sign, self.says))
        return panel

    # -- what the presenter says

    def show_run(self, run: OpenRun) -> None:
        """Show another run."""
        if self._presenter is not None:
            if self._presenter.run is run:
                return
            self._presenter.detach()
        self.begin_anew()
        self._presenter = SignOff(self._context, run)
        self._presenter.attach(self)
        self.show_proofs()

    def show_proofs(self) -> None:
        """The run was verified; what that means is looked up where somebody looks."""
        if self._presenter is not None and self.isVisible():
            self._presenter.look()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Somebody looks."""
        super().showEvent(event)
        self.show_proofs()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802  # Qt's name
        """Nobody looks: a passphrase that was typed does not stay."""
        self.passphrase.setText("")
        super().hideEvent(event)

    def show_found(self) -> None:
        """Show where the review stands, and the checklist."""
        presenter = self._presenter
        assert presenter is not None
        found = presenter.found
        self.state.say(*presenter.state_says)
        clear(self._facts)
        show_facts(self._facts, presenter.sealed_says)
        self.problems.setVisible(bool(presenter.problems))
        self.problems.say("\n".join(presenter.problems), Tone.WARN)
        rows = () if found is None else found.signatures
        self.table.show_rows(rows)
        self.table.setVisible(bool(rows))
        self.unsigned.setVisible(found is not None and not rows)
        self._show_people()
        self._show_questions(() if found is None else found.items)

    def show_news(self) -> None:
        """Show what became of signing, and what is under way."""
        presenter = self._presenter
        assert presenter is not None
        self.answered.say(*presenter.answered_says)
        self.answered.setVisible(presenter.found is not None)
        self.sign.setEnabled(presenter.found is not None and not presenter.nobody and not presenter.is_signing)
        self.passphrase.setReadOnly(presenter.is_signing)  # what is typed meanwhile would be the next one's
        text, tone = presenter.says if presenter.says[0] else (presenter.nobody, Tone.WARN)
        self.says.setVisible(bool(text))
        self.says.say(text, tone)

    def begin_anew(self) -> None:
        """Forget what was typed."""
        self._items = ()
        self.meaning.setCurrentIndex(-1)
        for edit in (self.reason, self.passphrase):
            edit.setText("")
        if self._presenter is not None and self._presenter.found is not None:
            self._show_questions(self._presenter.found.items)

    def _show_questions(self, items: Sequence[Item]) -> None:
        """The rows stay where the questions are the same: a remark may be half typed."""
        presenter = self._presenter
        assert presenter is not None
        if items == self._items and items:
            return
        self._items, given = items, dict(presenter.answers)
        clear(self._questions)
        self.questions = {}
        for item in items:
            row = QuestionRow(item, presenter.answer)
            if item.key in given:
                row.note.setText(given[item.key].note)
                row.choice.setCurrentIndex(1 if given[item.key].accepted else 2)
            self._questions.addWidget(row)
            self.questions[item.key] = row
        self._questions.addStretch(1)
        self._chain()

    def _chain(self) -> None:
        """The tab key goes through the questions, then on to the signature, though questions come later."""
        row: list[QWidget] = [edit for one in self.questions.values() for edit in (one.choice, one.note)]
        for first, second in itertools.pairwise(
            [self.table, *row, self.who, self.meaning, self.reason, self.passphrase, self.sign]
        ):
            QWidget.setTabOrder(first, second)

    def _show_people(self) -> None:
        presenter = self._presenter
        assert presenter is not None
        people = () if presenter.found is None else presenter.found.people
        before = self.who.currentData() or presenter.likely()
        self.who.clear()
        for one in people:
            self.who.addItem(one.label, one.id)
        self.who.setCurrentIndex(self.who.findData(before))

    def _show_meanings(self) -> None:
        presenter = self._presenter
        person = None if presenter is None else presenter.person(self.who.currentData() or "")
        before = self.meaning.currentText()
        self.meaning.clear()
        self.meaning.addItems(meanings_of(person))
        self.meaning.setCurrentIndex(self.meaning.findText(before) if before else -1)

    def _sign(self) -> None:
        if self._presenter is None:
            return
        who, meaning = self.who.currentData() or "", self.meaning.currentText()
        if self._presenter.sign(who, self.passphrase.text(), meaning, self.reason.text()):
            self.passphrase.setText("")


def _beside(pressed: QWidget, says: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(12)
    row.addWidget(pressed, 0, Qt.AlignmentFlag.AlignTop)
    row.addWidget(says, 1)
    row.addStretch(0)
    return row
