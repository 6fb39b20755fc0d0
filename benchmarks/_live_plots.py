"""Nine curves of a million points each in four plots, drawn 30 times a second while they grow; for `benchmarks.window`.

python -P -m benchmarks._live_plots live SECONDS        prints one line of JSON
python -P -m benchmarks._live_plots memory HOURS
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QEvent, QObject, Qt, QTimer
from PyQt6.QtWidgets import QApplication, QGridLayout, QWidget

from data.samples import FloatArray
from gui.plots.canvas import Span
from gui.plots.pyramid import Pyramid
from gui.plots.time_plot import TimePlot
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.tone import Tone
from gui.theme.look import look

POINTS = 1_000_000
FRAMES_PER_S = 30
NEW_PER_S = 1000
STEP_S = 0.1
PLOTS = (("Flow", "uL/h", 3), ("Pressure", "kPa", 3), ("Mass", "mg", 1), ("Temperature", "degC", 2))
SIZE = (1280, 820)


class Paints(QObject):
    """Counts how often a plot is painted, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802  # Qt's name
        """Take the time of each paint."""
        if event is not None and event.type() == QEvent.Type.Paint:
            self.at.append(time.perf_counter())
        return False


class Bench:
    """A window with four linked plots, and what feeds them."""

    def __init__(self, folder: Path, points: int) -> None:
        context = Context(Inline(), folder=folder, state_folder=folder)
        self.window = QWidget()
        self.window.setObjectName("page")
        self.window.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        grid = QGridLayout(self.window)
        self.random = np.random.default_rng(1)
        self.curves: list[Pyramid] = []
        self.plots: list[TimePlot] = []
        self.count = 0
        for number, (title, unit, curves) in enumerate(PLOTS):
            plot = TimePlot(title, unit, context)
            for index in range(curves):
                self.curves.append(Pyramid())
                plot.curve(str(index), f"channel {index + 1}", index, self.curves[-1])
            plot.limits([("limit", 12.0)])
            plot.spans([Span(0.0, 5e4, "phase", Tone.PLAIN), Span(2e4, 3e4, "excluded")])
            plot.watermark("simulated")
            if self.plots:
                plot.link(self.plots[0])
            self.plots.append(plot)
            grid.addWidget(plot, number // 2, number % 2)
        self.grow(points)
        self.window.resize(*SIZE)

    def grow(self, count: int) -> None:
        """Add so many samples to each curve."""
        t: FloatArray = (self.count + np.arange(count)) * STEP_S
        for number, curve in enumerate(self.curves):
            curve.extend(t, number + np.sin(t / 900.0) + self.random.normal(0.0, 0.2, count))
        self.count += count

    def redraw(self) -> None:
        """Have every plot drawn."""
        for plot in self.plots:
            plot.redraw()


def resident_mb() -> float:
    """Memory that this process has in the machine."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024.0
    raise OSError("/proc/self/status has no VmRSS")


def measured(bench: Bench, seconds: float) -> dict[str, float | str]:
    """Run the window for so long, and say what it took."""
    paints, due = Paints(), time.perf_counter()
    viewport = bench.plots[0].canvas.viewport()
    viewport.installEventFilter(paints)
    app = QApplication.instance()
    assert isinstance(app, QApplication)

    def tick() -> None:
        bench.grow(NEW_PER_S // FRAMES_PER_S + 1)
        bench.redraw()

    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    timer.start(1000 // FRAMES_PER_S)
    QTimer.singleShot(round(seconds * 1000.0), app.quit)
    cpu, due = time.process_time(), time.perf_counter()
    app.exec()
    took, cpu = time.perf_counter() - due, time.process_time() - cpu
    timer.stop()
    gaps = np.diff(paints.at)
    return {
        "platform": app.platformName(),
        "frames_per_s": len(paints.at) / took,
        "cpu_share": cpu / took,
        "cpu_ms_a_frame": cpu / max(len(paints.at), 1) * 1e3,
        "p95_gap_ms": float(np.percentile(gaps, 95)) * 1e3 if len(gaps) else float("inf"),
        "resident_mb": resident_mb(),
    }


def remembered(bench: Bench, hours: float) -> dict[str, float | str]:
    """Fill every curve, then run so many hours in virtual time; how much memory has grown."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    per_minute = round(60.0 / STEP_S)

    def run(minutes: int) -> None:
        for _ in range(minutes):
            bench.grow(per_minute)
            bench.redraw()
            app.processEvents()

    bench.grow(POINTS)
    run(60)
    gc.collect()
    before = resident_mb()
    run(round(hours * 60.0))
    gc.collect()
    after = resident_mb()
    return {"grown_mb": after - before, "resident_mb": after}


def main(arguments: list[str]) -> int:
    """Measure and print."""
    what, amount = arguments[0], float(arguments[1])
    app = QApplication([])
    look().apply("light", "desk")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), POINTS)
        bench.window.show()
        for _ in range(5):
            app.processEvents()
            bench.redraw()
        print(json.dumps(measured(bench, amount) if what == "live" else remembered(bench, amount)))
        bench.window.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
