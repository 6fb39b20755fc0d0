"""A run file that is read by another process, which may end whenever it likes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from queue import Queue  # noqa: TID251  # another process answers: no clock has a say
from typing import Any

from data.run import Run
from gui.presenters.background import Inline
from gui.presenters.file_reader import FileReader

RUNS = Path(__file__).parents[1] / "runs"


class Posted(Inline):
    """Makes calls of other threads where they are waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Queue[Callable[[], None]] = Queue()

    def post(self, call: Callable[[], None]) -> None:
        self.calls.put(call)


def procedure(run: Run) -> str:
    return run.procedure


def dies(run: Run) -> None:
    os._exit(3)


def asked(path: Path, *works: Any) -> list[Any]:
    """What comes of some questions, in the order of their answers."""
    posted, said = Posted(), list[Any]()
    reader = FileReader(path, posted)
    for urgency, work in enumerate(works):
        reader.ask(work, (), said.append, said.append, urgency=urgency)
    for _ in works:
        posted.calls.get(timeout=60.0)()
    reader.close()
    return said


def test_a_file_is_read_in_a_process_of_its_own_and_its_end_is_told_to_all_who_ask_after_it() -> None:
    said = asked(RUNS / "priming-1.h5", procedure, dies, procedure)
    assert said[0] == "priming"
    assert said[1:] == ["priming-1.h5: reading it ended the process that read it; the file is damaged"] * 2


def test_a_file_that_is_none_is_said_to_everybody_who_asks(tmp_path: Path) -> None:
    said = asked(tmp_path / "gone.h5", procedure, procedure)
    assert said == [f"{tmp_path / 'gone.h5'}: there is no such file; give the path of a run file (.h5)"] * 2
