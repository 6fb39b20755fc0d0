"""A real run in a runner of its own, of another lab's protocol: the page follows it, is closed, comes back, answers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt

from bench.request import Request
from bench.run_queue import Entry, submit
from data.run import Run
from gui.presenters.context import Context
from gui.presenters.live import TICK_S, Live
from gui.views.background import QtBackground
from gui.views.run_page import RunPage

PROTOCOL = '''
from data.checks import Evaluation
from protocols.analysis.decision import reported
from protocols.procedure import Measures, Procedure
from protocols.prompts import Ask
from protocols.steps import Phase

class Riddle(Procedure):
    """A record, and a question that no simulated operator can answer."""
    name, method = "riddle", 1
    relies_on_rig_check = False
    roles = (Measures("reference_mass", "mg"),)
    def steps(self):
        yield Phase("before", for_s=70.0)
        yield Ask("height", "guess", "How high is it?", "mm", 0.0, 100.0)
        yield Phase("after", for_s=20.0)
    @staticmethod
    def evaluate(run):
        return Evaluation((reported("height", "Height", run.answers.get("height"), "mm"),))

PROCEDURE = Riddle
'''


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entry]:
    """A run that goes on."""
    package = tmp_path / "other" / "riddle-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: riddle\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[pumpbench.protocols]\nriddle = riddle_protocol:Riddle\n")
    (package.parent / "riddle_protocol.py").write_text(PROTOCOL)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    made, _ = submit(Request("riddle", "sim", pace=60.0))
    yield made
    if made.state().ending is None:
        os.kill(made.state().pid, signal.SIGKILL)


class Seat:
    """A person's window on a run: the page and what keeps it going."""

    def __init__(self, entry: Entry, qtbot: Any) -> None:
        self.notices: list[str] = []
        self.background = QtBackground(self.notices.append)
        self.live = Live(Context(self.background, person="Ada", state_folder=entry.home))
        self.page = RunPage(self.live.context, self.live)
        qtbot.addWidget(self.page)
        self.page.resize(1280, 680)
        self.page.show()
        self.end = self.background.every(TICK_S, self.live.tick)
        self.live.context.follow(entry)

    def leave(self) -> None:
        """Close it; the run goes on."""
        self.end()
        self.live.close()
        self.background.close()
        self.page.close()


def test_a_run_is_followed_left_and_found_again_answered_and_seen_to_its_end(entry: Entry, qtbot: Any) -> None:
    first = Seat(entry, qtbot)
    qtbot.waitUntil(lambda: first.live.samples > 0)
    first.leave()
    seat = Seat(entry, qtbot)
    prompts = seat.page.attention.prompts
    qtbot.waitUntil(lambda: "height" in prompts)
    qtbot.keyClicks(prompts["height"].field, "2.5 cm")
    qtbot.keyClick(prompts["height"].field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: seat.page.attention.end is not None)
    qtbot.waitUntil(lambda: bool(seat.page.checks.table.rows.rows))
    assert seat.page.checks.table.rows.rows[0].value == "25\u202fmm"
    ending = seat.live.ending
    assert ending is not None
    with Run.open(Path(ending.run_file)) as run:
        stored = {name: run.series(name) for name in seat.live.traces}
        assert sum(len(series) for series in stored.values()) == seat.live.samples
        assert all(len(stored[name]) == trace.points.taken for name, trace in seat.live.traces.items())
        assert run.answers == {"height": 25.0}
    assert [row.state for row in seat.page.course.steps.rows.rows] == ["done", "done", "done"]
    assert seat.notices == []
    seat.leave()
