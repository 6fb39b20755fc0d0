"""Pumps, catheters, fluids and instruments of the lab: a list, and all that is known of the chosen one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLineEdit, QSplitter, QVBoxLayout, QWidget

from bench.articles import STATUSES
from gui.presenters.register import ALL, Register
from gui.presenters.register_rows import (
    KINDS,
    STATUS,
    ArticleRow,
    CertificateRow,
    ChangeRow,
    certificate_rows,
    facts_of,
)
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import Notice, Panel, SureButton, ToneLabel, button, clear, muted, scrolled, tool
from gui.views.review_checks import show_facts
from gui.views.room import CalmCombo
from gui.views.table import Column, Table

ARTICLES = (
    Column[ArticleRow]("Kind", lambda row: row.kind),
    Column[ArticleRow]("Number", lambda row: row.id),
    Column[ArticleRow]("Model", lambda row: row.model, stretch=True),
    Column[ArticleRow]("Lot", lambda row: row.lot),
    Column[ArticleRow]("Status", lambda row: row.status, lambda row: row.status_tone, tip=lambda row: row.problems),
    Column[ArticleRow]("Runs", lambda row: row.runs, number=True, tip=lambda row: f"the last on {row.last_run}"),
    Column[ArticleRow]("Good until", lambda row: row.due, lambda row: row.due_tone, tip=lambda row: row.problems),
)
CERTIFICATES = (
    Column[CertificateRow]("Certificate", lambda row: row.number),
    Column[CertificateRow]("Channel", lambda row: row.channel),
    Column[CertificateRow]("Issued", lambda row: row.issued),
    Column[CertificateRow]("Due", lambda row: row.due, lambda row: row.due_tone),
    Column[CertificateRow]("As found", lambda row: row.as_found, lambda row: row.as_found_tone, stretch=True),
)
CHANGES = (
    Column[ChangeRow]("When", lambda row: row.at),
    Column[ChangeRow]("Status", lambda row: row.status),
    Column[ChangeRow]("Reason", lambda row: row.reason, stretch=True),
    Column[ChangeRow]("Person", lambda row: row.person),
)
NONE_YET = (
    "There is no file of articles near at hand. Write articles.toml beside the runs, with a table [[articles]] for "
    "each pump, catheter, fluid and instrument (docs/howto/articles.md)."
)
TABLE_HEIGHT = 130


class ArticlesView(QSplitter):
    """The list at the left, the chosen article at the right.

    Parameters
    ----------
    to_impact : leads to what the chosen instrument has touched.
    """

    def __init__(self, presenter: Register, to_impact: Callable[[], None]) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._presenter = presenter
        self._to_impact = to_impact
        self._told = ""  # id of the article that is told in full
        self.setChildrenCollapsible(False)
        self.table: Table[ArticleRow] = Table("Articles", ARTICLES)
        self.table.chosen.connect(lambda _: self._choose())
        self.certificates: Table[CertificateRow] = Table("Certificates", CERTIFICATES)
        self.history: Table[ChangeRow] = Table("Changes of status", CHANGES)
        for table in (self.certificates, self.history):
            table.setFixedHeight(TABLE_HEIGHT)
        self.addWidget(self._made_list())
        self.addWidget(scrolled(self._made_article()))
        self.setStretchFactor(0, 3)
        self.setStretchFactor(1, 2)
        self.setSizes([740, 520])

    def _made_list(self) -> Panel:
        panel = Panel("Articles")
        self.says = ToneLabel()
        panel.body.addWidget(self.says)
        panel.tools.addWidget(tool("again", "Read everything again", self._presenter.look))
        self.none = Notice(NONE_YET, Tone.BUSY)
        panel.body.addWidget(self.none)
        row = QHBoxLayout()
        self.files, self.kind = CalmCombo("File of articles"), CalmCombo("Show articles of one kind")
        self.files.activated.connect(lambda at: self._presenter.choose_file(Path(str(self.files.itemData(at)))))
        self.kind.addItem("All kinds", ALL)
        for kind, word in KINDS.items():
            self.kind.addItem(f"{word}s", kind)
        self.kind.activated.connect(lambda at: self._presenter.narrow(str(self.kind.itemData(at))))
        row.addWidget(muted("File"))
        row.addWidget(self.files, 1)
        row.addWidget(self.kind)
        panel.body.addLayout(row)
        panel.body.addWidget(self.table, 1)
        return panel

    def _made_article(self) -> QWidget:
        made = QWidget()
        column = QVBoxLayout(made)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(look().density.gap)
        self.article = Panel("Article")
        self.problems = ToneLabel("", Tone.WARN)
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(12)
        self._facts.setVerticalSpacing(4)
        self.article.body.addLayout(self._facts)
        self.article.body.addWidget(self.problems)
        row = QHBoxLayout()
        self.runs = button("&Runs of it", "review", self._presenter.find_runs)
        self.touched = button("&What it touched", "link", self._to_impact)
        self.touched.setToolTip("The runs that relied on this instrument, and their verdicts")
        row.addWidget(self.runs)
        row.addWidget(self.touched)
        row.addStretch(1)
        self.article.body.addLayout(row)
        self._certificates, self._history = Panel("Certificates"), Panel("What was said of it")
        self._certificates.body.addWidget(self.certificates)
        self._history.body.addWidget(self.history)
        for panel in (self.article, self._certificates, self._made_status(), self._history):
            column.addWidget(panel)
        column.addStretch(1)
        return made

    def _made_status(self) -> Panel:
        panel = Panel("May it be used?")
        self.status = CalmCombo("Status")
        for status in STATUSES:
            self.status.addItem(STATUS[status][0], status)
        self.reason = QLineEdit()
        self.reason.setAccessibleName("Reason of the status")
        self.reason.setPlaceholderText("reason")
        self.set = SureButton("&Set status", "Press again: it is written", self._set)
        self.refusal = ToneLabel("", Tone.WARN)
        self.refusal.hide()
        row = QHBoxLayout()
        row.addWidget(self.status)
        row.addWidget(self.reason, 1)
        row.addWidget(self.set)
        panel.body.addLayout(row)
        panel.body.addWidget(self.refusal)
        return panel

    # -- what the presenter says

    def show_articles(self) -> None:
        """Show the articles of the file."""
        presenter = self._presenter
        files = presenter.files or ()
        self.none.setVisible(presenter.files is not None and not files and not presenter.trouble)
        self.files.clear()
        for one in files:
            self.files.addItem(str(one.path), str(one.path))
        if presenter.file is not None:
            self.files.setCurrentIndex(self.files.findData(str(presenter.file.path)))
        self.says.setVisible(bool(presenter.says[0]))
        self.says.say(*presenter.says)
        rows, chosen = presenter.rows, presenter.chosen
        self.table.show_rows(rows)
        at = next((at for at, row in enumerate(rows) if chosen is not None and row.id == chosen.id), -1)
        if at >= 0 and self.table.currentIndex().row() != at:
            self.table.selectRow(at)
        self.show_article()

    def show_article(self) -> None:
        """Show all that is known of the chosen article."""
        row = self._presenter.chosen
        shown = row is not None
        for panel in (self.article, self._certificates, self._history, self.set.parentWidget()):
            if panel is not None:
                panel.setVisible(shown)
        if row is None:
            return
        if row.id != self._told:
            self._told = row.id
            self.set.calm()
            self.reason.setText("")  # it was of another article
            self.refusal.hide()
        article = row.standing.article
        self.article.title.setText(f"{row.kind} {row.id}")
        clear(self._facts)
        show_facts(self._facts, facts_of(row))
        self.problems.setVisible(bool(row.problems))
        self.problems.say("\n".join(row.standing.problems), Tone.WARN)
        self.certificates.show_rows(certificate_rows(article, self._presenter.today))
        self._certificates.setVisible(bool(article.certificates))
        changes = self._presenter.changes()
        self.history.show_rows(changes)
        self._history.setVisible(bool(changes))
        self.touched.setVisible(article.kind == "instrument")
        self.set.setEnabled(row.standing.status != "retired")

    # -- what a person does

    def _choose(self) -> None:
        row = self.table.current()
        if row is not None and row != self._presenter.chosen:
            self._presenter.choose(row)

    def _set(self) -> None:
        told, reason = self._told, self.reason.text()

        def written() -> None:
            if (told, reason) == (self._told, self.reason.text()):
                self.reason.setText("")

        refused = self._presenter.set_status(str(self.status.currentData()), reason, written)
        self.refusal.say(refused, Tone.WARN)
        self.refusal.setVisible(bool(refused))
