"""The window on a real X server, led by a real keyboard: the stage of .ci/run that needs Xvfb, openbox and xdotool.

Not part of the suite that ``./pumpbench test`` runs, which needs no screen.  Without a window manager a window never
becomes active and no key arrives, so openbox runs too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.request import Request
from bench.run_queue import Entry, submit
from instruments.clock import WallClock

WALL = WallClock()
SCREEN = "1600x960x24"
PAGES = 5


def until(condition: Callable[[], Any], within_s: float = 30.0) -> Any:
    by = WALL.now() + within_s
    while not (found := condition()):
        assert WALL.now() < by, "it did not happen"
        WALL.sleep(0.1)
    return found


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An X server with a window manager."""
    out, told = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(told), "-screen", "0", SCREEN, "-nolisten", "tcp"], pass_fds=[told]
    )
    os.close(told)
    with os.fdopen(out) as lines:
        monkeypatch.setenv("DISPLAY", f":{lines.readline().strip()}")
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    manager = subprocess.Popen(["openbox"])
    yield
    manager.terminate()
    manager.wait()
    server.terminate()
    server.wait()


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A run that goes on."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    made, _ = submit(Request("flow-accuracy", "sim", {"analysis": "25 h"}, pace=60.0))
    until(lambda: made.state().state == "running")
    return made


def xdotool(*words: str) -> str:
    done = subprocess.run(["xdotool", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def test_a_window_on_a_screen_shows_the_run_that_goes_on_its_pages_come_by_key_and_f12_stops_the_run(
    screen: None, entry: Entry
) -> None:
    window = subprocess.Popen([sys.executable, "-P", "-m", "bench.cli", "gui", "--folder", "runs"])
    shown = until(lambda: xdotool("search", "--onlyvisible", "--name", rf"^{entry.number:04d}"))
    xdotool("windowactivate", "--sync", shown)
    for page in range(1, PAGES + 1):
        xdotool("key", f"ctrl+{page}")
    xdotool("key", "F12")
    until(lambda: entry.state().ending is not None)
    ending = entry.state().ending
    assert ending is not None
    assert (ending.status, ending.reason) == ("aborted", "pressed STOP in the window")
    assert window.poll() is None
    xdotool("key", "alt+F4")
    assert window.wait(20.0) == 0
