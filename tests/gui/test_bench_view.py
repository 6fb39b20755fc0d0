"""The first page as a person uses it: cards in order of urgency, what can be pressed, and the runs that have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from bench.request import Request
from bench.rpc.messages import Ending
from bench.run_queue import Entry, RunState, enqueue
from bench.station import SHIPPED
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.theme.look import look
from gui.views.bench_page import BenchPage


class Bench:
    """The page, with a folder of its own and two stations."""

    def __init__(self, context: Context, qtbot: Any) -> None:
        self.context = context
        assert isinstance(context.background, Inline)
        self.background = context.background
        self.asked: list[tuple[str, ...]] = []
        context.on_prepare(lambda wish: self.asked.append(("prepare", wish.station, wish.protocol)))
        context.on_edit(lambda *said: self.asked.append(("edit", *said)))
        context.on_open(lambda file: self.asked.append(("open", file.name)))
        self.page = BenchPage(context)
        qtbot.addWidget(self.page)
        self.page.resize(1200, 700)
        self.page.show()
        self.look()

    def look(self) -> None:
        self.page.overview.look()
        self.background.run()

    def queue(self, station: str) -> Entry:
        entry = enqueue(self.context.state_folder, Request("read-out", station, serial="0042"), Path(station).stem)
        self.look()
        return entry

    def end(self, station: str) -> Path:
        """A run that has ended with a run file."""
        entry, file = self.queue(station), self.context.folder / "read-out_1.h5"
        file.write_bytes(b"")
        entry.claim()
        ending = Ending("ended", "completed", verdict="pass", run_file=str(file))
        entry.tell(RunState("ended", run_file=str(file), ending=ending))
        self.look()
        return file


@pytest.fixture
def bench(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any) -> Bench:
    """The page of a lab with two stations."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(context.state_folder))
    monkeypatch.chdir(tmp_path)
    look().apply("light", "desk")
    context.folder.mkdir()
    for name in ("a", "b"):
        text = (SHIPPED / "sim.toml").read_text("utf-8").replace('name = "sim"', f'name = "{name}"', 1)
        (context.folder / f"{name}.toml").write_text(text, "utf-8")
    return Bench(context, qtbot)


def order(bench: Bench) -> list[str]:
    return [card.row.name for card in sorted(bench.page.cards.values(), key=lambda card: card.y())]


def test_a_station_that_needs_a_person_moves_to_the_top_and_its_card_stays_the_same(bench: Bench, qtbot: Any):
    card = bench.page.cards["b"]
    assert order(bench) == ["a", "b"]
    bench.queue("b.toml")
    qtbot.waitUntil(lambda: order(bench) == ["b", "a"])
    assert bench.page.cards["b"] is card
    assert card.state.text() == "NOT HELD"


def test_a_waiting_run_is_withdrawn_by_two_presses_and_not_by_one(bench: Bench, qtbot: Any):
    entry = bench.queue("a.toml")
    line = bench.page.cards["a"]._queue.itemAt(0).layout()
    withdraw = line.itemAt(line.count() - 1).widget()
    qtbot.mouseClick(withdraw, Qt.MouseButton.LeftButton)
    bench.background.run()
    assert entry.state().state == "waiting"
    assert withdraw.text() == f"Withdraw run {entry.number}: press again"
    qtbot.mouseClick(withdraw, Qt.MouseButton.LeftButton)
    bench.background.run()
    assert entry.state().state == "withdrawn"


def test_what_is_most_likely_wanted_has_its_word_and_each_button_acts(bench: Bench, qtbot: Any):
    card = bench.page.cards["a"]
    worded = [made.text() for made in card._buttons if made.isVisible() and "Text" in made.toolButtonStyle().name]
    assert worded == ["Prepare a run"]
    for made in (card.prepare, card.edit):
        qtbot.mouseClick(made, Qt.MouseButton.LeftButton)
    path = str(bench.context.folder / "a.toml")
    assert bench.asked == [("prepare", path, ""), ("edit", path)]


def test_a_run_that_has_ended_is_opened_by_the_keyboard_and_is_reviewed_then(bench: Bench):
    bench.end("a.toml")
    assert bench.page.cards["a"].open.isVisible()
    bench.page.ended.selectRow(0)
    QTest.keyClick(bench.page.ended, Qt.Key.Key_Return)
    assert bench.asked == [("open", "read-out_1.h5")]
    assert bench.page.overview.ended[0].review == "opened"
    assert not bench.page.cards["a"].open.isVisible()


def test_the_first_start_invites_to_a_simulated_run(context: Context, tmp_path, monkeypatch, qtbot: Any):
    monkeypatch.setenv("PUMPBENCH_HOME", str(context.state_folder))
    monkeypatch.chdir(tmp_path)
    first = Bench(context, qtbot)
    assert first.page.try_it.isVisible()
    for made in (first.page.try_it, first.page.describe):
        qtbot.mouseClick(made, Qt.MouseButton.LeftButton)
    assert first.asked == [("prepare", "sim", ""), ("edit", "template")]


def test_hiding_the_page_makes_it_look_less_often(bench: Bench):
    assert bench.page.overview._is_shown
    bench.page.hide()
    assert not bench.page.overview._is_shown


@pytest.mark.parametrize(("scheme", "density"), [("dark", "desk"), ("light", "touch")])
def test_cards_fit_a_small_screen_in_every_look(bench: Bench, scheme, density):
    bench.queue("a.toml")
    look().apply(scheme, density)
    bench.page.resize(1280, 640)
    assert bench.page.minimumSizeHint().width() <= 1280
    assert all(card.minimumSizeHint().width() <= 1250 for card in bench.page.cards.values())
    look().apply("light", "desk")
