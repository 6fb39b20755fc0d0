"""One run that is open: what it was, whether it is intact, what it says."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QProgressBar, QSplitter, QTabWidget, QVBoxLayout, QWidget

from gui.plots.curve_plot import CurvePlot
from gui.presenters.context import Context
from gui.presenters.numbers import local_date, rough_duration
from gui.presenters.review_facts import parameters, what_it_was
from gui.presenters.review_list import origin_tone, status_tone
from gui.presenters.review_open import OpenRun, State
from gui.presenters.review_read import Review
from gui.presenters.setup_check import WORD_OF_LEVEL
from gui.presenters.tone import Tone
from gui.views.parts import Notice, Panel, Pill, ToneLabel, button, clear, muted, scrolled, set_property
from gui.views.review_checks import ChecksView, show_facts
from gui.views.review_record import RecordView
from gui.views.review_report import ReportPanel
from gui.views.review_sign import SignView

CURVE_HEIGHT = 230
BESIDE_VERDICT = 64
"""Pixels of icon and margins beside the word."""

MOST_LETTERS = 300
"""Of a sentence that is shown; the tool tip has all of it."""


class Proof(QWidget):
    """One of the two proofs: what is proved, and the word for how it stands; the tool tip says why."""

    def __init__(self, caption: str) -> None:
        super().__init__()
        self._caption = caption
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(muted(caption), 0, Qt.AlignmentFlag.AlignVCenter)
        self.word = ToneLabel()
        self.word.setMinimumWidth(112)
        row.addWidget(self.word, 0, Qt.AlignmentFlag.AlignVCenter)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setFixedWidth(70)
        self.bar.setAccessibleName(f"{caption}: under way")
        row.addWidget(self.bar, 0, Qt.AlignmentFlag.AlignVCenter)

    def say(self, word: str, why: str, tone: Tone) -> None:
        """Show how it stands."""
        self.word.say(word, tone)
        self.bar.setVisible(tone is Tone.BUSY)
        self.setToolTip(why)
        self.setAccessibleName(f"{self._caption} {word}: {why}")


class RunPanel(QWidget):
    """The run that is open."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._run: OpenRun | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 2, 8, 8)
        column.setSpacing(8)
        column.addWidget(self._summary())
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("What the run says")
        self.checks = ChecksView(context)
        self._curves_holder = QWidget()
        self._curves = QVBoxLayout(self._curves_holder)
        self._curves.setContentsMargins(0, 0, 0, 0)
        self.curves: list[CurvePlot] = []
        first = QSplitter(Qt.Orientation.Horizontal)
        first.setChildrenCollapsible(False)
        first.addWidget(self.checks)
        self._curves_area = scrolled(self._curves_holder)
        first.addWidget(self._curves_area)
        first.setStretchFactor(0, 3)
        first.setStretchFactor(1, 2)
        first.setSizes([840, 440])
        self.record, self.sign_off, self.report = RecordView(context), SignView(context), ReportPanel(context)
        self.tabs.addTab(first, "C&hecks and curves")
        self.tabs.addTab(self.record, "Recordin&g")
        self.tabs.addTab(scrolled(self._about()), "&About the run")
        self.tabs.addTab(self.sign_off, "Sign-o&ff")
        self.tabs.addTab(self.report, "Repor&t")
        self.tabs.currentChanged.connect(lambda _: self.lead_in())
        column.addWidget(self.tabs, 1)

    def lead_in(self) -> None:
        """Keys begin at the tabs: arrows choose one, Tab goes into it."""
        bar = self.tabs.tabBar()
        assert bar is not None
        if self.isVisible():
            bar.setFocus()

    def _summary(self) -> Panel:
        panel = Panel("")
        self.summary = panel
        self.verdict, self.origin = Notice("", Tone.PLAIN), Pill()
        self.verdict.row.setContentsMargins(10, 2, 10, 2)
        self.again = button("&Verify again", "again", self._prove)
        self.again.setToolTip("Compare the file with its seal and judge it again from its data")
        panel.tools.addWidget(self.origin)
        panel.tools.addWidget(self.verdict)
        self.line = QLabel()
        self.line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.line.setWordWrap(True)
        panel.body.addWidget(self.line)
        self.status = ToneLabel()
        self.seal, self.judge = Proof("Record"), Proof("Verdict recomputed")
        row = QHBoxLayout()
        row.setSpacing(16)
        row.addWidget(self.status, 1, Qt.AlignmentFlag.AlignVCenter)
        for one in (self.seal, self.judge, self.again):
            row.addWidget(one)
        panel.body.addLayout(row)
        self.why = {self.seal: ToneLabel(), self.judge: ToneLabel()}
        for label in self.why.values():
            panel.body.addWidget(label)
        return panel

    def _about(self) -> QWidget:
        made = QWidget()
        row = QHBoxLayout(made)
        row.setSpacing(8)
        self._tables: dict[str, QGridLayout] = {}
        for title in ("The run", "Parameters", "Found before the start"):
            panel = Panel(title)
            grid = QGridLayout()
            grid.setHorizontalSpacing(12)
            grid.setVerticalSpacing(4)
            panel.body.addLayout(grid)
            panel.body.addStretch(1)
            self._tables[title] = grid
            row.addWidget(panel, 1)
        return made

    # -- what the presenter says

    def attach(self, run: OpenRun | None) -> None:
        """Show another run."""
        if self._run is run:
            return
        if self._run is not None:
            self._run.detach()
        self._run = run
        if run is not None:
            run.attach(self)

    def show_run(self) -> None:
        """Show all of the run."""
        run = self._run
        assert run is not None
        self.summary.title.setText(run.path.name)
        self.summary.title.setToolTip(str(run.path))
        is_read = run.review is not None
        self.tabs.setVisible(is_read)
        for one in (self.verdict, self.origin, self.seal, self.judge, self.line, self.again, *self.why.values()):
            one.setVisible(is_read)
        self.status.setVisible(True)
        if run.state is State.FAILED:
            self.status.say(run.sentence, Tone.FAIL)
        elif run.review is None:
            self.status.say("Reading the file…", Tone.BUSY)
        else:
            self._show_review(run.review)
            self.show_proofs()

    def _show_review(self, review: Review) -> None:
        assert self._run is not None
        row = review.row
        self.summary.title.setText(row.title or row.path.name)
        self.origin.say(row.origin.upper(), origin_tone(row))
        self.origin.setVisible(row.origin != "measured")
        began = "" if row.made is None else f"began {local_date(row.made)}"
        said = (row.path.name, row.dut, f"station {row.station}", began, f"took {rough_duration(review.end_s)}")
        self.line.setText("  ·  ".join(filter(None, said)))
        text = f"Run {row.status.replace('-', ' ')}" + (f": {review.reason}" if review.reason else "")
        self.status.say(text, Tone.GOOD if row.status == "completed" else status_tone(row))
        evaluation = review.evaluation
        self.checks.show_checks(() if evaluation is None else evaluation.checks)
        self._show_curves(review)
        self.record.show_run(self._run)
        self.sign_off.show_run(self._run)
        self.report.show_run(self._run)
        self._show_about(review)

    def _show_curves(self, review: Review) -> None:
        clear(self._curves)
        self.curves = []
        curves = () if review.evaluation is None else review.evaluation.curves
        for curve in curves:
            if len(curve.x.values) and curve.y:
                plot = CurvePlot(self._context)
                plot.show_curve(curve, watermark="" if review.row.origin == "measured" else review.row.origin)
                plot.setMinimumHeight(CURVE_HEIGHT)
                self._curves.addWidget(plot, 1)
                self.curves.append(plot)
        self._curves_area.setVisible(bool(self.curves))

    def _show_about(self, review: Review) -> None:
        numbers = self._context.numbers
        findings = [(_level(str(one.get("level", ""))), str(one.get("text", ""))) for one in review.findings]
        tables = {
            "The run": what_it_was(review),
            "Parameters": parameters(review, numbers),
            "Found before the start": findings or [("", "nothing")],
        }
        for title, said in tables.items():
            clear(self._tables[title])
            show_facts(self._tables[title], said)

    def show_proofs(self) -> None:
        """Show whether the file is intact and its verdict follows."""
        assert self._run is not None
        for proof, (word, why, tone) in ((self.seal, self._run.seal_says), (self.judge, self._run.judge_says)):
            proof.say(word, why, tone)
            label = self.why[proof]
            label.setVisible(tone in (Tone.WARN, Tone.FAIL))
            label.say(why if len(why) <= MOST_LETTERS else f"{why[:MOST_LETTERS]}…", tone)
            label.setToolTip(why)
        word, tone = self._run.verdict_says
        set_property(self.verdict, "notice", str(tone))
        self.verdict.label.say(word.upper(), tone)
        self.verdict.setMinimumWidth(self.verdict.fontMetrics().horizontalAdvance(word.upper()) + BESIDE_VERDICT)
        self.again.setEnabled(not self._run.is_proving)
        self.sign_off.show_proofs()
        self.report.show_proofs()

    def show_happenings(self) -> None:
        """There are more of them."""
        self.record.show_happenings()

    def show_points(self, channel: str) -> None:
        """More of a channel has been read."""
        self.record.show_points(channel)

    def _prove(self) -> None:
        if self._run is not None:
            self._run.prove_again()


def _level(said: str) -> str:
    """How much a finding stands in the way, as the form says it too."""
    return WORD_OF_LEVEL.get(said, said)
