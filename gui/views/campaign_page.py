"""The campaigns page: which there are, the matrix of the chosen one, what comes next, all attempts, the figures."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QHideEvent, QShowEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from gui.presenters.campaign_rows import (
    HOLDS,
    AttemptRow,
    FigureRow,
    PumpRow,
    UnplannedRow,
    attempt_rows,
    columns_of,
    disagreements_said,
    facts_of,
    figure_rows,
    is_whole,
    progress_said,
    pump_rows,
    rates_said,
    state_said,
    unplanned_rows,
)
from gui.presenters.campaigns import Campaigns
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import Notice, Page, Panel, SureButton, ToneLabel, button, clear, muted, scrolled
from gui.views.review_checks import show_facts
from gui.views.room import CalmCombo
from gui.views.table import Column, Table

HELD = "tolerance interval of the pumps' means with 95 % confidence, if they are normally distributed (ISO 16269-6)"


def held_column(at: int, heading: str) -> Column[FigureRow]:
    """A column of tolerance intervals."""
    return Column[FigureRow](heading, lambda row: row.intervals[at], lambda row: row.tones[at], tip=lambda _: HELD)


def cell_column(at: int, heading: str) -> Column[PumpRow]:
    """A column of the matrix."""
    return Column[PumpRow](
        heading,
        lambda row: row.cells[at].text,
        lambda row: row.cells[at].tone,
        tip=lambda row: row.cells[at].tip,
        stretch=True,
    )


ATTEMPTS = (
    Column[AttemptRow]("", lambda row: row.number, number=True),
    Column[AttemptRow]("File", lambda row: row.file, stretch=True, tip=lambda row: row.run.path),
    Column[AttemptRow]("Began", lambda row: row.began),
    Column[AttemptRow]("Verdict", lambda row: row.verdict, lambda row: row.tone),
    Column[AttemptRow]("", lambda row: row.counts),
    Column[AttemptRow]("Re-test", lambda row: row.retest),
)
FIGURES = (
    Column[FigureRow]("Check", lambda row: row.check, stretch=True, least=16),
    Column[FigureRow]("Rate", lambda row: row.rate),
    Column[FigureRow]("Pumps", lambda row: row.pumps, number=True),
    Column[FigureRow]("Runs", lambda row: row.runs, number=True),
    Column[FigureRow]("Mean", lambda row: row.mean, number=True),
    Column[FigureRow]("Std dev", lambda row: row.sd, number=True),
    Column[FigureRow]("Limits", lambda row: row.limits, number=True),
    *(held_column(at, heading) for at, heading in enumerate(HOLDS)),
)
UNPLANNED = (
    Column[UnplannedRow]("File", lambda row: row.file, tip=lambda row: row.run.path),
    Column[UnplannedRow]("Why it does not count", lambda row: row.why, lambda _: Tone.WARN, stretch=True),
)
NONE_YET = (
    "There is no campaign near at hand. Write its plan beside the runs, on the command line: pumpbench campaign new "
    "FILE.toml --protocol … --dut MODEL:SERIAL --rate … --check … --approved-by …"
)
FIGURES_HEIGHT, ATTEMPTS_HEIGHT, UNPLANNED_HEIGHT = 150, 120, 100


class CampaignPage(Page):
    """Pumps by rates by replicates: how far that is, and what it says."""

    def __init__(self, presenter: Campaigns) -> None:
        super().__init__("Campaigns")
        self.presenter = presenter
        self.none = Notice(NONE_YET, Tone.BUSY)
        self.wrong = Notice("", Tone.FAIL)
        self.files = CalmCombo("Campaign")
        self.files.activated.connect(lambda at: presenter.choose(Path(str(self.files.itemData(at)))))
        self.says = ToneLabel()
        self.matrix: Table[PumpRow] | None = None
        self._columns: tuple[str, ...] = ()
        self._told = (Path(), 0)  # the campaign and the run of it whose attempts are shown
        self.attempts: Table[AttemptRow] = Table("Attempts", ATTEMPTS)
        self.attempts.activated.connect(lambda _: self._open())
        self.figures: Table[FigureRow] = Table("Figures", FIGURES)
        self.unplanned: Table[UnplannedRow] = Table("Runs that are not of the plan", UNPLANNED)
        self._lay_out()
        presenter.attach(self)

    def _lay_out(self) -> None:
        gap = look().density.gap
        outer = QVBoxLayout(self)
        outer.setContentsMargins(gap, 2, gap, gap)
        outer.setSpacing(gap)
        head = Panel("Campaign")
        head.title.hide()
        head.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        row = QHBoxLayout()
        row.addWidget(muted("Campaign"))
        row.addWidget(self.files, 1)
        row.addWidget(self.says, 2)
        head.body.addLayout(row)
        outer.addWidget(head)
        outer.addWidget(self.none)
        outer.addWidget(self.wrong)
        self.body = QSplitter(Qt.Orientation.Horizontal)
        self.body.setChildrenCollapsible(False)
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(gap)
        column.addWidget(self._made_matrix(), 3)
        column.addWidget(self._made_figures(), 2)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(gap)
        for panel in (self._made_next(), self._made_cell(), self._made_plan(), self._made_unplanned()):
            column.addWidget(panel)
        column.addStretch(1)
        self.body.addWidget(left)
        self.body.addWidget(scrolled(right))
        self.body.setStretchFactor(0, 3)
        self.body.setStretchFactor(1, 2)
        self.body.setSizes([890, 400])
        outer.addWidget(self.body, 1)
        outer.addStretch(0)

    def _made_matrix(self) -> Panel:
        panel = Panel("Pumps and rates")
        panel.tools.addWidget(muted("arrows choose a run of the plan"))
        self._matrix_place = panel.body
        return panel

    def _made_figures(self) -> Panel:
        panel = Panel("What it says so far")
        self.rates = muted("", wrap=True)
        self.figures.setMinimumHeight(FIGURES_HEIGHT)
        self.apart = ToneLabel("", Tone.WARN)
        self.report = button("&Report as PDF", "save", self.presenter.write_report)
        self.report.setToolTip("Beside the plan: plan, figures, and every attempt verified anew; a second for each run")
        panel.tools.addWidget(self.report)
        panel.body.addWidget(self.figures, 1)
        panel.body.addWidget(self.apart)
        panel.body.addWidget(self.rates)
        return panel

    def _made_next(self) -> Panel:
        panel = Panel("Next")
        self.next = ToneLabel()
        self.prepare = button("&Prepare this run", "run", self.presenter.prepare_next, primary=True)
        self.prepare.setToolTip("In the run page, with station, pump, rate and parameters filled in")
        panel.body.addWidget(self.next)
        row = QHBoxLayout()
        row.addWidget(self.prepare)
        row.addStretch(1)
        panel.body.addLayout(row)
        return panel

    def _made_cell(self) -> Panel:
        panel = Panel("Attempts")
        self.cell = panel
        self.state = ToneLabel()
        panel.tools.addWidget(self.state)
        self.attempts.setFixedHeight(ATTEMPTS_HEIGHT)
        panel.body.addWidget(self.attempts)
        row = QHBoxLayout()
        self.open = button("&Open", "file", self._open)
        self.reason = QLineEdit()
        self.reason.setAccessibleName("Why the run may be repeated")
        self.reason.setPlaceholderText("reason")
        self.grant = SureButton("&Grant a re-test", "Press again: it is written into the plan", self._grant)
        row.addWidget(self.open)
        row.addWidget(self.reason, 1)
        row.addWidget(self.grant)
        panel.body.addLayout(row)
        return panel

    def _made_plan(self) -> Panel:
        panel = Panel("The plan")
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(12)
        self._facts.setVerticalSpacing(4)
        panel.body.addLayout(self._facts)
        return panel

    def _made_unplanned(self) -> Panel:
        self.strays = Panel("Not of the plan")
        self.unplanned.setFixedHeight(UNPLANNED_HEIGHT)
        self.strays.body.addWidget(self.unplanned)
        return self.strays

    # -- what the presenter says

    def show_files(self) -> None:
        """Show which campaigns there are."""
        files, chosen = self.presenter.files or (), self.presenter.chosen
        self.files.clear()
        for one in files:
            self.files.addItem(f"{one.title} – {one.path.name}", str(one.path))
            self.files.setItemData(self.files.count() - 1, str(one.path), Qt.ItemDataRole.ToolTipRole)
        self.files.setCurrentIndex(-1 if chosen is None else self.files.findData(str(chosen.path)))
        self.none.setVisible(self.presenter.files is not None and not files)

    def show_counted(self) -> None:
        """Show how far the chosen one is, and what it says."""
        found, sentence = self.presenter.counted, self.presenter.sentence
        self.wrong.setVisible(bool(sentence))
        self.wrong.label.say(sentence, Tone.FAIL)
        self.body.setVisible(found is not None and not sentence)
        self.says.setVisible(self.presenter.chosen is not None and not sentence)
        if found is None:
            self.says.say("Counting…", Tone.BUSY)
            return
        self.says.say(*progress_said(found.progress))
        self._show_matrix()
        self.figures.show_rows(
            figure_rows(found.report, self.presenter.context.numbers, is_final=is_whole(found.progress))
        )
        self.rates.setText(rates_said(found.report) or "No run has a verdict yet.")
        apart = disagreements_said(found.report)
        self.apart.setVisible(bool(apart))
        self.apart.say(apart, Tone.WARN)
        self.report.setEnabled(not self.presenter.is_writing)
        self.report.setText("Making it…" if self.presenter.is_writing else "&Report as PDF")
        self.next.say(*self.presenter.next_says)
        self.prepare.setEnabled(self.presenter.can_prepare)
        clear(self._facts)
        show_facts(self._facts, facts_of(found.progress))
        strays = unplanned_rows(found.progress)
        self.unplanned.show_rows(strays)
        self.strays.setVisible(bool(strays))

    def _show_matrix(self) -> None:
        assert self.presenter.counted is not None
        progress = self.presenter.counted.progress
        columns = columns_of(progress)
        if self.matrix is None or columns != self._columns:
            clear(self._matrix_place)
            self._columns = columns
            self.matrix = matrix = Table[PumpRow](
                "Pumps and rates",
                [
                    Column[PumpRow]("Pump", lambda row: row.serial, tip=lambda row: row.model),
                    *(cell_column(at, heading) for at, heading in enumerate(columns)),
                ],
            )
            matrix.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectItems)
            selection = matrix.selectionModel()
            assert selection is not None
            selection.currentChanged.connect(lambda *_: self._choose_cell())
            matrix.activated.connect(lambda _: self._open())
            self._matrix_place.addWidget(matrix)
            if self.files.hasFocus():
                matrix.setFocus()
        rows = pump_rows(progress)
        self.matrix.show_rows(rows)
        chosen = 0 if self.presenter.course is None else self.presenter.course.cell.number
        for at, row in enumerate(rows):
            for column, cell in enumerate(row.cells, 1):
                if cell.number == chosen:
                    self.matrix.setCurrentIndex(self.matrix.rows.index(at, column))

    def show_cell(self) -> None:
        """Show the attempts at the chosen run of the plan."""
        course = self.presenter.course
        self.cell.setVisible(course is not None)
        chosen = self.presenter.chosen
        if course is None or chosen is None:
            return
        cell = course.cell
        if (chosen.path, cell.number) != self._told:
            self._told = chosen.path, cell.number
            self.grant.calm()
            self.reason.setText("")  # it was of another run
        self.cell.title.setText(f"Run {cell.number}: {cell.serial} at {cell.rate}")
        self.state.say(*state_said(course))
        rows = attempt_rows(course)
        self.attempts.show_rows(rows)
        if rows and self.attempts.current() is None:
            self.attempts.selectRow(len(rows) - 1)
        self.attempts.setColumnHidden(len(ATTEMPTS) - 1, not any(row.retest for row in rows))
        self.open.setEnabled(bool(rows))
        for one in (self.reason, self.grant):
            one.setEnabled(self.presenter.may_repeat)

    # -- what a person does

    def _choose_cell(self) -> None:
        assert self.matrix is not None
        index = self.matrix.currentIndex()
        row = self.matrix.current()
        if row is not None and index.column() > 0:
            self.presenter.choose_cell(row.cells[index.column() - 1].number)

    def _open(self) -> None:
        row = self.attempts.current()
        if row is not None:
            self.presenter.open(row.run)

    def _grant(self) -> None:
        told, reason = self._told, self.reason.text()

        def granted() -> None:
            if (told, reason) == (self._told, self.reason.text()):
                self.reason.setText("")

        self.presenter.grant(reason, then=granted)

    # -- Qt

    def shown(self) -> None:
        """The page has come to the front."""
        if self.matrix is not None:
            self.matrix.setFocus()
        else:
            self.files.setFocus()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Things are looked at while somebody sees them."""
        super().showEvent(event)
        self.presenter.shown(True)

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802  # Qt's name
        """And not else."""
        super().hideEvent(event)
        self.presenter.shown(False)
