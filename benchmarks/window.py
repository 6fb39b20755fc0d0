"""What the window costs: nine live curves of a million points at 30 frames a second, its start, a day of memory.

python -m benchmarks window [--seconds 20] [--hours 24] [--no-screen]

Needs Xvfb and openbox for the part with a real window; ``--no-screen`` leaves that part out.  The share of a core is
CPU time, which a busy computer changes little; the gap between frames and the start are told with the load.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CORE_SHARE = 0.5
START_S = 2.0
GROWTH_MB = 8.0
STARTS = 3
SCREEN = "1600x960x24"

SHOWN = """
import sys, time
import gui.app
def painted(window, event):
    print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
    gui.app.Window.paintEvent = lambda window, event: None
    gui.app.QApplication.instance().quit()
gui.app.Window.paintEvent = painted
sys.exit(gui.app.main(sys.argv[1:]))
"""
"""The window as `python -P -m gui` makes it, which tells when it is painted first and ends."""


@contextmanager
def screen() -> Iterator[dict[str, str]]:
    """An X server with a window manager, as the environment of a process that is to use it."""
    told, tell = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(tell), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=[tell],
        stderr=subprocess.DEVNULL,
    )
    os.close(tell)
    with os.fdopen(told) as lines:
        environment = {**os.environ, "DISPLAY": f":{lines.readline().strip()}", "QT_QPA_PLATFORM": "xcb"}
    manager = subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield environment
    finally:
        for process in (manager, server):
            process.terminate()
            process.wait()


def told(arguments: list[str], environment: dict[str, str]) -> dict[str, float | str]:
    """The JSON that one of our processes prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "benchmarks._live_plots", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    said: dict[str, float | str] = json.loads(done.stdout)
    return said


def live(seconds: float, environment: dict[str, str]) -> bool:
    """Nine curves, drawn 30 times a second."""
    said = told(["live", str(seconds)], environment)
    print(
        f"live      {said['platform']}: {said['cpu_share']:.2f} of a core at {said['frames_per_s']:.1f} frames/s"
        f" ({said['cpu_ms_a_frame']:.1f} ms CPU a frame; asked for: under {CORE_SHARE:g} at 30),"
        f" p95 gap {said['p95_gap_ms']:.0f} ms, {said['resident_mb']:.0f} MB, load {os.getloadavg()[0]:.1f}"
    )
    return float(said["cpu_ms_a_frame"]) * 30.0 / 1e3 < CORE_SHARE


def start(environment: dict[str, str], name: str) -> bool:
    """From the start of the process to the first paint of the window; the best of some."""
    took, cpu = [], []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as folder:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            begun = time.clock_gettime(time.CLOCK_MONOTONIC)
            done = subprocess.run(
                [sys.executable, "-P", "-c", SHOWN, "--folder", folder],
                env={**environment, "PUMPBENCH_HOME": folder},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                check=True,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(float(done.stdout.split()[0]) - begun)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    print(
        f"start     {name}: {min(took):.2f} s to the first paint (asked for: under {START_S:g}),"
        f" {min(cpu):.2f} s CPU, load {os.getloadavg()[0]:.1f}"
    )
    return min(took) < START_S


def memory(hours: float, environment: dict[str, str]) -> bool:
    """Growth of memory over a virtual day, once every curve has its full length."""
    said = told(["memory", str(hours)], environment)
    print(
        f"memory    {said['grown_mb']:+.1f} MB over {hours:g} h at 10 samples/s a channel, drawn each minute"
        f" (asked for: under {GROWTH_MB:g}), {said['resident_mb']:.0f} MB"
    )
    return float(said["grown_mb"]) < GROWTH_MB


def main(arguments: list[str] | None = None) -> int:
    """Run and print; exit code 1 when a figure is missed."""
    parser = argparse.ArgumentParser(prog="window", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--no-screen", action="store_true")
    asked = parser.parse_args(arguments)
    without = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    parts: list[Callable[[], bool]] = [
        lambda: live(asked.seconds, without),
        lambda: start(without, "offscreen"),
        lambda: memory(asked.hours, without),
    ]
    held = [part() for part in parts]
    if not asked.no_screen:
        with screen() as environment:
            held += [live(asked.seconds, environment), start(environment, "xcb")]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
