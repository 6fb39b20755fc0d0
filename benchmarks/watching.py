"""A window that is killed ten times and stopped for 30 s while a run goes on: it comes back and has no gap.

    python -m benchmarks watching [--kills 10] [--stall 30] [--pace 120]
    python -m benchmarks watching --day

A runner conducts a flow-accuracy run of the simulated station at a multiple of real time.  Windows (offscreen, the
whole window with its pages) watch it: ten are killed with SIGKILL, the last is stopped with SIGSTOP and continued, and
then watches to the end.  What it has then must be what the run file has, channel by channel: as many samples, the same
sum of the values, the same last one.

With --day it watches a run of 27 h at 1800 times real time: once the curves are full its memory must not grow any more.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.request import Request
from bench.run_queue import Entry, submit
from data.run import Run

WATCH_S = 4.0
LASTS_S = 900.0
DAY_PACE = 1800.0
FULL_H = 9.0
GROWTH_MB = 20.0

WINDOW = """
import json, os, sys
from pathlib import Path
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication
import numpy as np
from data.samples import Block
app = QApplication([])
from gui.app import build
from gui.presenters.live import Live
sums = {}
heard = Live._block
def block(self, said):
    for column, trace in enumerate(self._columns[said.stream]):
        values = said.values[:, column]
        count, total, _ = sums.get(trace.name, (0, 0.0, 0.0))
        sums[trace.name] = (count + len(values), total + float(np.nansum(values)), float(values[-1]))
    heard(self, said)
Live._block = block
window, context = build(Path("runs"))
window.show()
live = window._shell.live
def tell():
    over = live.ending is not None and not live.link.behind
    rss = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
    said = {"samples": live.samples, "t": live.last_s, "over": over, "rss": rss, "sums": sums if over else {}}
    part = Path(sys.argv[1] + ".part")
    part.write_text(json.dumps(said))
    part.replace(sys.argv[1])
    if over:
        app.quit()
timer = QTimer()
timer.timeout.connect(tell)
timer.start(500)
app.exec()
"""


def window(told: Path) -> subprocess.Popen[bytes]:
    """A window that tells now and then what it has."""
    told.unlink(missing_ok=True)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", WINDOW, str(told)], env=os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    )


def until(condition: Callable[[], Any], what: str, within_s: float = LASTS_S) -> Any:
    """Wait for something."""
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
        time.sleep(0.1)
    return found


def said(told: Path) -> dict[str, Any]:
    """What a window tells; empty before it does."""
    return json.loads(told.read_text()) if told.exists() else {}


def compare(told: dict[str, Any], entry: Entry) -> list[str]:
    """What the window has that the run file has not, or has otherwise."""
    ending = entry.state().ending
    assert ending is not None
    wrong = []
    with Run.open(Path(ending.run_file)) as run:
        for name in run.channels:
            series = run.series(name)
            count, total, last = told["sums"].get(name, (0, 0.0, 0.0))
            same = np.isclose(total, np.nansum(series.values), rtol=1e-9, atol=1e-9) and last == series.values[-1]
            if count != len(series) or not same:
                wrong.append(f"{name}: {count} of {len(series)} samples")
    return wrong


def day() -> int:
    """Watch a run of more than a day; what the window holds must not grow from its tenth hour on."""
    settings = {"stabilisation": "1 h", "analysis": "24 h", "blank_length": "1 h"}
    entry, _ = submit(Request("flow-accuracy", "sim", settings, pace=DAY_PACE))
    until(lambda: entry.state().state == "running", "the run begins")
    told = Path("told.json").absolute()
    shown, seen = window(told), []
    while not (found := said(told)).get("over"):
        if found.get("samples"):
            seen.append((found["t"] / 3600.0, found["rss"]))
        time.sleep(0.5)
    shown.wait()
    early = np.median([rss for hours, rss in seen if FULL_H < hours < FULL_H + 3.0])
    late = np.median([rss for hours, rss in seen if hours > 24.0])
    hours = seen[-1][0]
    print(f"{found['samples']:,} samples in {hours:.1f} h; {early:.0f} MB at {FULL_H:g} h, {late:.0f} MB at the end")
    flat = bool(late - early < GROWTH_MB)
    print("flat" if flat else f"NOT flat: more than {GROWTH_MB:g} MB")
    return 0 if flat else 1


def main() -> int:
    """Kill, stop, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--stall", type=float, default=30.0)
    parser.add_argument("--pace", type=float, default=120.0)
    parser.add_argument("--day", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PUMPBENCH_HOME"] = f"{folder}/home"
        os.chdir(folder)
        if asked.day:
            return day()
        settings = {"stabilisation": "1 h", "analysis": "4 h", "blank_length": "1 h"}
        entry, _ = submit(Request("flow-accuracy", "sim", settings, pace=asked.pace))
        until(lambda: entry.state().state == "running", "the run begins")
        told = Path(folder) / "told.json"
        for _ in range(asked.kills):
            shown = window(told)
            until(lambda: said(told).get("samples"), "a window has samples", 60.0)
            time.sleep(WATCH_S / asked.kills)
            shown.kill()
            shown.wait()
        shown = window(told)
        until(lambda: said(told).get("samples"), "the last window has samples", 60.0)
        began = said(told)
        shown.send_signal(signal.SIGSTOP)
        time.sleep(asked.stall)
        shown.send_signal(signal.SIGCONT)
        until(lambda: said(told).get("over"), "the window has seen the end")
        shown.wait()
        found = said(told)
        wrong = compare(found, entry)
        print(f"{asked.kills} windows killed, one stopped for {asked.stall:g} s, pace {asked.pace:g}")
        print(f"{found['samples']:,} samples seen by the last one; it had {began['samples']:,} when it was stopped")
        print(f"memory {began['rss']:.0f} MB then, {found['rss']:.0f} MB at the end")
        print("no gap: every channel has the samples of the run file" if not wrong else "GAPS: " + "; ".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
