"""A run on a terminal: where it stands, its last values, what has happened."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.cli.board import Board
from bench.rpc.client import ClientError, Followed
from bench.rpc.messages import Status
from data.frames import Frame, Record
from data.samples import Block, Channel, Stream
from instruments.capabilities import Prompt

STATUS = Status(
    7, "running", "flow-accuracy", "lab-1", phase="analysis", share_done=0.25, elapsed_s=3600.0, planned_s=14400.0,
    controller="Ada", prompts=(Prompt("height", "", "How high is it?"),), latched=("outlet-pressure",),
)  # fmt: skip


class Runner:
    """Says how the run stands, until it is gone."""

    gone = False

    def status(self) -> Status:
        if self.gone:
            raise ClientError("the runner does not answer")
        return STATUS


def take(board: Board, *contents: Any) -> None:
    for seq, content in enumerate(contents):
        board.take(Followed(Frame(0, seq, memoryview(b""), 0), content))


def samples(values: list[list[float]]) -> Block:
    return Block("daq", 0, np.arange(len(values)) * 60.0, np.array(values), np.zeros((len(values), 2), np.uint16))


@pytest.fixture
def board() -> Board:
    """A board as on a terminal."""
    made = Board(Runner())  # type: ignore[arg-type]  # as much of one as it shows
    made._live = True
    return made


def drawn(board: Board) -> str:
    written = io.StringIO()
    console = Console(width=110, file=written)
    console.print(board._drawn())
    return written.getvalue()


def test_a_board_shows_where_the_run_stands_its_last_values_and_what_happened(board: Board) -> None:
    daq = Stream("daq", "daq", (Channel("pressure", "kPa"), Channel("leak", "1")), 0.1)
    event = Record("event", 61.0, {"level": "warning", "text": "balance: no reply"})
    take(board, daq, samples([[1.0, 2.0], [3.25, float("nan")]]), event, Record("identity", 0.0, {}))
    lines = [" ".join(line.split()) for line in drawn(board).splitlines()]
    assert lines[0] == "run 7 flow-accuracy on lab-1 running analysis controlled by Ada"
    assert lines[1].endswith("1:00:00 of 4:00:00")
    assert lines[2:4] == ["held by interlock outlet-pressure", "waits for height: How high is it?"]
    assert lines[5:] == [
        "daq.pressure 3.25 kPa 0:01:00",
        "daq.leak – 1 0:01:00",
        "0:01:01 warning: balance: no reply",
    ]


def test_a_board_outlives_its_runner(board: Board) -> None:
    Runner.gone = True
    try:
        take(board, Record("phase", 0.0, {"name": "analysis", "state": "begin"}))
    finally:
        Runner.gone = False
    assert "Phase analysis begins" in drawn(board)


def test_without_a_terminal_events_are_lines(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    board._live = False
    take(board, Record("status", 90.0, {"status": "completed", "reason": "all steps done"}), Record("note", 3.0, {}))
    assert capsys.readouterr().out == " 0:01:30  Run completed: all steps done\n 0:00:03  note\n"
