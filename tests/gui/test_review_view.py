"""The review page as a person uses it, with sealed runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt6.QtGui import QDropEvent
from PyQt6.QtWidgets import QLabel

from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.file_reader import HereReader
from gui.presenters.review import Shows
from gui.presenters.review_open import OpenRun
from gui.presenters.review_timeline import PHASE
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import ToneLabel
from gui.views.review_compare import CHECK_LETTERS
from gui.views.review_page import ReviewPage

RUNS = Path(__file__).parents[1] / "runs"
NAMES = ("flow-accuracy-3.h5", "occlusion-1.h5", "rate-step-1.h5")


PROVE = OpenRun.prove


@pytest.fixture
def page(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReviewPage]:
    """The page with a folder of three runs, read in this process; proving them takes long and is done where asked."""
    monkeypatch.setattr(OpenRun, "prove", lambda run: None)
    look().apply("light", "desk")
    for name in NAMES:
        shutil.copyfile(RUNS / name, tmp_path / name)
    background = Inline()
    context = Context(background, folder=tmp_path, state_folder=tmp_path / "home")
    made = ReviewPage(context, lambda path: HereReader(path, background))
    qtbot.addWidget(made)
    made.resize(1290, 640)
    made.show()
    made.shown()
    background.run()
    yield made
    made.pages.close()


def inline_of(page: ReviewPage) -> Inline:
    background = page.pages.context.background
    assert isinstance(background, Inline)
    return background


def work(page: ReviewPage) -> None:
    inline_of(page).run()


def opened(page: ReviewPage, name: str) -> ReviewPage:
    page.pages.context.open(page.pages.list.folder / name)
    work(page)
    return page


def test_a_run_is_chosen_and_opened_with_the_keyboard(page: ReviewPage, qtbot: Any) -> None:
    page.list.table.selectRow(0)
    name = page.list.chosen()[0].path.name
    qtbot.keyClick(page.list.table, Qt.Key.Key_Return)
    work(page)
    assert page.pages.shows is Shows.RUN
    assert page.pages.run is not None
    assert page.pages.run.path.name == name


def test_a_run_that_is_opened_shows_its_verdict_its_checks_its_curves_and_that_it_is_proved(page: ReviewPage) -> None:
    name = "rig-check-6.h5"
    shutil.copyfile(RUNS / name, page.pages.list.folder / name)
    run = opened(page, name).run
    assert page.pages.run is not None
    PROVE(page.pages.run)
    assert (run.seal.word.text(), run.judge.word.text()) == ("verifying…", "recomputing…")
    work(page)
    assert run.verdict.label.text() == "PASS"
    assert run.origin.text() == "SIMULATED"
    assert (run.seal.word.text(), run.judge.word.text()) == ("intact", "identical")
    assert not any(label.isVisible() for label in run.why.values())
    assert run.checks.table.rows.rowCount() == 23
    assert [plot.title for plot in run.curves][2:] == ["Pressure of the closed line", "Flow sensor against the balance"]


def test_a_file_that_cannot_be_read_says_why_and_shows_nothing_of_the_run_before(page: ReviewPage) -> None:
    opened(page, NAMES[0])
    cut = page.pages.list.folder / "cut.h5"
    cut.write_bytes((RUNS / NAMES[0]).read_bytes()[:90_000])
    opened(page, "cut.h5")
    assert page.run.status.text() == "is cut off; make it again from its journal with recover"
    assert not page.run.tabs.isVisible()
    assert not page.run.verdict.isVisible()


def test_the_check_that_is_chosen_shows_its_budget_the_largest_source_first(page: ReviewPage) -> None:
    checks = opened(page, NAMES[0]).run.checks
    checks.table.selectRow(0)
    assert checks.detail.title.text().startswith("Mean flow error: +0.65")
    first = checks.detail._budget.itemAtPosition(1, 0)
    label = None if first is None else first.widget()
    assert isinstance(label, QLabel)
    assert label.text() == "linearity"


def test_what_happened_is_shown_in_the_plots_when_it_is_chosen(page: ReviewPage) -> None:
    record = opened(page, NAMES[0]).run.record
    row, phase = next((at, one) for at, one in enumerate(record._shown) if one.text == "Phase analysis")
    record.table.selectRow(row)
    plots = list(record.plots.values())
    assert len(plots) == 3
    assert {(plot.time.t0, plot.time.t1) for plot in plots} == {(plots[0].time.t0, plots[0].time.t1)}
    assert plots[0].time.t0 < phase.t0 < phase.t1 < plots[0].time.t1
    assert plots[0].time.span_s == pytest.approx(2.0 * (phase.t1 - phase.t0))


def test_what_lies_under_the_mouse_in_a_plot_is_chosen_in_the_table(page: ReviewPage) -> None:
    record = opened(page, NAMES[0]).run.record
    phase = next(one for one in record._shown if one.text == "Phase settling")
    plot = next(iter(record.plots.values()))
    before = plot.time.t0, plot.time.t1
    plot.canvas.hands.pressed.emit(QPointF((phase.t0 + phase.t1) / 2.0, 0.0))
    assert record.table.current() == phase
    assert (plot.time.t0, plot.time.t1) == before


def test_a_channel_that_is_marked_is_plotted_with_those_of_its_unit_in_the_same_stretch(page: ReviewPage) -> None:
    record = opened(page, NAMES[0]).run.record
    next(iter(record.plots.values())).time.show(1000.0, 2000.0)
    tree = record.channels
    item = next(item for item in tree.findItems("bath temperature", Qt.MatchFlag.MatchRecursive, 0))
    item.setCheckState(0, Qt.CheckState.Checked)
    assert list(record.plots)[-1] == "Bath temperature"
    assert {(plot.time.t0, plot.time.t1) for plot in record.plots.values()} == {(1000.0, 2000.0)}


def test_the_table_is_narrowed_to_a_kind_and_phases_are_marked_on_the_axes(page: ReviewPage) -> None:
    record = opened(page, NAMES[0]).run.record
    record.kind.setCurrentIndex(record.kind.findData(PHASE))
    record.kind.activated.emit(record.kind.currentIndex())
    assert {row.kind for row in record.table.rows.rows} == {PHASE}
    spans = next(iter(record.plots.values())).canvas.spans
    assert "analysis" in [span.label for span in spans if span.tone is Tone.PLAIN]


def test_runs_are_compared_side_by_side_with_their_differences(page: ReviewPage) -> None:
    page.list.table.selectAll()
    page.pages.compare(page.list.chosen()[:2])
    work(page)
    panel = page.comparison
    assert page.pages.shows is Shows.COMPARISON
    headings = [column.heading for column in panel.checks.rows.columns]
    assert headings[1:] == ["A: value ± U", "A: verdict", "B: value ± U", "B: verdict", "B − A", "Agreement"]
    assert panel.facts.rows.rowCount() > 10


def test_names_of_checks_are_read_though_many_runs_are_compared(page: ReviewPage, qtbot: Any) -> None:
    page.resize(900, 640)
    page.list.table.selectAll()
    page.pages.compare(page.list.chosen())
    work(page)
    table = page.comparison.checks
    qtbot.waitUntil(lambda: table.columnWidth(0) >= CHECK_LETTERS * table.fontMetrics().averageCharWidth())


def test_a_run_that_is_not_what_was_sealed_says_so_where_it_is_compared(page: ReviewPage) -> None:
    folder = page.pages.list.folder
    with h5py.File(folder / NAMES[1], "r+") as file:
        file["entry/title"][()] = "another one"
    rows = [row for row in page.pages.list.rows if row.path.name in NAMES[:2]]
    page.pages.compare(sorted(rows, key=lambda row: row.path.name))
    work(page)
    said = [label.text() for label in page.comparison.findChildren(ToneLabel)]
    assert any(text.startswith("A  flow-accuracy-3.h5") and text.endswith("pass") for text in said)
    assert any(text.startswith("B  occlusion-1.h5") and text.endswith("altered") for text in said)


def test_one_run_alone_is_not_compared(page: ReviewPage) -> None:
    said: list[str] = []
    page.pages.context.notify = lambda text, tone: said.append(text)
    page.pages.compare(page.pages.list.rows[:1])
    assert said == ["Choose 2 to 6 run files to compare; 1 are chosen."]
    assert page.pages.shows is Shows.LIST


def test_a_run_file_that_is_dropped_on_the_page_is_opened(page: ReviewPage) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(page.pages.list.folder / NAMES[1]))])
    copy, buttons, keys = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    page.dropEvent(QDropEvent(QPointF(5.0, 5.0), copy, data, buttons, keys))
    work(page)
    assert page.pages.run is not None
    assert page.pages.run.path.name == NAMES[1]


def test_a_type_in_the_field_narrows_the_list_and_a_header_sorts_it(page: ReviewPage) -> None:
    page.list.text.setText("occlusion")
    assert page.list.table.rows.rowCount() == 1
    page.list.text.clear()
    across = page.list.table.horizontalHeader()
    assert across is not None
    across.sectionClicked.emit(0)
    assert [row.path.name for row in page.list.table.rows.rows] == sorted(NAMES)


def test_the_page_is_usable_on_a_small_screen_in_the_dark_with_gloves(page: ReviewPage) -> None:
    look().apply("dark", "touch")
    opened(page, NAMES[0])
    assert page.minimumSizeHint().width() <= 1290
    assert page.minimumSizeHint().height() <= 640
    look().apply("light", "desk")


def test_the_folder_is_looked_at_only_while_the_page_is_to_be_seen(page: ReviewPage) -> None:
    page.hide()
    shutil.copyfile(RUNS / NAMES[0], page.pages.list.folder / "another.h5")
    inline_of(page).tick()
    assert len(page.pages.list.rows) == len(NAMES)
    page.show()
    work(page)
    assert len(page.pages.list.rows) == len(NAMES) + 1


def test_the_list_is_sorted_by_keyboard_too(page: ReviewPage, qtbot: Any) -> None:
    page.list.order.setFocus()
    qtbot.keyClick(page.list.order, Qt.Key.Key_Home)
    page.list.order.activated.emit(0)
    first = [row.path.name for row in page.list.table.rows.rows]
    assert first in (sorted(NAMES), sorted(NAMES, reverse=True))
    page.list.order.activated.emit(0)
    assert [row.path.name for row in page.list.table.rows.rows] == first[::-1]
