"""How soon STOP in the window reaches a runner: from the press until the runner has taken and recorded it.

    python -m benchmarks stop [--presses 10]

Each press stops a run of its own, of the simulated station at the pace of real time, in a process of its own.  Every
press has to be taken within 100 ms.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time

import numpy as np

from bench.request import Request
from bench.run_queue import Entry, submit
from gui.presenters.stopping import Stopping, StopState

WITHIN_S = 0.1
LASTS_S = 60.0


def begun() -> Entry:
    """A run that goes on."""
    entry, _ = submit(Request("flow-record", "sim", {"recording": "30 day"}, pace=1.0))
    until = time.monotonic() + LASTS_S
    while entry.state().state != "running":
        assert time.monotonic() < until, "the run did not begin"
        time.sleep(0.05)
    return entry


def press(entry: Entry) -> Stopping:
    """Stop it, and wait for its end."""
    stop = Stopping(entry, "Ada", "benchmark", lambda: None)
    stop.press()
    until = time.monotonic() + LASTS_S
    while stop.state is not StopState.STOPPED:
        assert time.monotonic() < until, "the run did not end"
        time.sleep(0.01)
    return stop


def main() -> int:
    """Press, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presses", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PUMPBENCH_HOME"] = f"{folder}/home"
        os.chdir(folder)
        stops = [press(begun()) for _ in range(asked.presses)]
    sent = np.array([stop.sent_s for stop in stops]) * 1000.0
    taken = np.array([stop.taken_s for stop in stops]) * 1000.0
    print(f"{asked.presses} presses: sent after p50 {np.median(sent):.1f} ms, max {sent.max():.1f} ms;")
    print(f"taken and recorded by the runner after p50 {np.median(taken):.1f} ms, max {taken.max():.1f} ms")
    held = bool(taken.max() < WITHIN_S * 1000.0)
    print("held" if held else f"NOT held: asked is {WITHIN_S * 1000.0:.0f} ms")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
