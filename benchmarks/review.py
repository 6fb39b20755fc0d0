"""A run file of 30 days with 8 channels at 10 Hz is opened for review, and its curves are read.

python -m benchmarks review [--days 30] [--channels 8] [--keep FILE]

The file is a sealed run of the repository whose hardware-timed stream is replaced by one of the length asked for, with
noise as a converter makes it, so that it is as large as a real one.  What is measured begins with the path and ends
with what the page shows: header, checks, result curves, events and a picture of every channel over the whole run, from
`gui.presenters.file_points.FIRST_PIECES` of its pieces; then the same from all pieces, and single samples of a stretch.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Queue

import h5py
import numpy as np

from data.channels import StreamData
from data.frames import BlockView
from data.layout import ENTRY, USER_BLOCK, add_group
from data.overview import extents
from data.run import Run
from data.samples import Channel, Stream
from data.seal import seal, verify
from gui.presenters.background import Inline
from gui.presenters.file_points import FilePoints
from gui.presenters.file_reader import FileReader
from gui.presenters.review_read import review

BASE = Path(__file__).parents[1] / "tests" / "runs" / "flow-accuracy-3.h5"
INTERVAL_S = 0.1
DAY_S = 86400.0
BLOCK = 1 << 17
COLUMNS = 1200
FIRST_PICTURE_S = 2.0


class Calls(Inline):
    """Makes calls of other threads here, as a window does."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Queue[Callable[[], None]] = Queue()

    def post(self, call: Callable[[], None]) -> None:
        """As `Background.post`."""
        self.calls.put(call)

    def until(self, holds: Callable[[], bool], within_s: float) -> float:
        """Make calls until something holds; returns how long that took, in s."""
        begun = time.perf_counter()
        while not holds():
            self.calls.get(timeout=within_s)()
        return time.perf_counter() - begun


def make(path: Path, days: float, channels: int) -> int:
    """Write the file; returns samples of a channel."""
    shutil.copyfile(BASE, path)
    with path.open("r+b") as whole:
        whole.write(bytes(USER_BLOCK))
    rows = round(days * DAY_S / INTERVAL_S)
    stream = Stream("long", "daq", tuple(Channel(f"channel_{k}", "kPa") for k in range(channels)), INTERVAL_S)
    rng = np.random.default_rng(30)
    noise = rng.normal(0.0, 6.0, (BLOCK, channels)).round()
    with h5py.File(path, "r+") as file:
        entry = file[ENTRY]
        del file["seal"], entry["duration"]
        entry.create_dataset("duration", data=rows * INTERVAL_S).attrs["units"] = "s"
        group = add_group(entry, "long", "NXdata", stream="long", instrument="daq", signal="channel_0", axes=["time"])
        group.attrs["auxiliary_signals"] = [channel.name for channel in stream.channels[1:]]
        data = StreamData(group, stream)
        for first in range(0, rows, BLOCK):
            count = min(BLOCK, rows - first)
            t = (first + np.arange(count)) * INTERVAL_S
            daily = 2000.0 * np.sin(2.0 * math.pi * t / DAY_S).round()
            values = (noise[:count] + daily[:, None] + np.arange(channels) * 100.0) * 3.0517578125e-3
            if first == 0:
                values[77, 0] = -99.0  # an extreme that one sample alone has
            data.append(BlockView(0, first, t, values, np.zeros((count, channels), np.uint16)))
            data.anchors.append((float(t[-1]) + 0.05, first + count))
        data.finish("2026-01-01T00:00:00+00:00")
    seal(path)
    return rows


def measure(path: Path) -> dict[str, float]:
    """Open and read the file as the review page does; returns what it took, in s."""
    begun = time.perf_counter()
    calls = Calls()
    reader = FileReader(path, calls, hands=2)
    got: list[object] = []
    reader.ask(review, (), got.append, sys.exit)
    took = {"header, checks, curves, events": calls.until(lambda: bool(got), 60.0)}
    with Run.open(path) as run:
        there = {name: extent for name, extent in extents(run).items() if name.startswith("long.")}
    points = [FilePoints(reader, name, extent, lambda: None) for name, extent in there.items()]
    for one in points:
        one.view(*one.span, COLUMNS)
    calls.until(lambda: all(one.part_read > 0.0 for one in points), 60.0)
    took["first picture of every channel"] = time.perf_counter() - begun
    calls.until(lambda: all(one.is_whole for one in points), 600.0)
    took["every extreme of every channel"] = time.perf_counter() - begun
    first = points[0]
    drawn = first.view(*first.span, COLUMNS)
    assert np.nanmin(drawn.y) == np.float32(-99.0), "the extreme of a single sample is not in the picture"
    middle = sum(first.span) / 2.0
    again = time.perf_counter()
    first.view(middle, middle + 60.0, COLUMNS)
    calls.until(lambda: first.view(middle, middle + 60.0, COLUMNS).exact, 60.0)
    took["single samples of a minute"] = time.perf_counter() - again
    reader.close()
    begun = time.perf_counter()
    assert verify(path).state == "intact", "the file is not what was sealed"
    took["verify: every byte and every value"] = time.perf_counter() - begun
    return took


def main() -> int:
    """Make the file, measure, compare with what was promised."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--keep", type=Path, help="where the file is made, or is already, and stays")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = asked.keep or Path(folder) / "long.h5"
        if not path.exists():
            rows = make(path, asked.days, asked.channels)
            print(f"{rows:,} samples of {asked.channels} channels, {path.stat().st_size / 1e6:,.0f} MB")
        took = measure(path)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {threading.active_count()} threads")
    for what, seconds in took.items():
        print(f"{what:34} {seconds:7.2f} s")
    return 0 if took["first picture of every channel"] < FIRST_PICTURE_S else 1


if __name__ == "__main__":
    sys.exit(main())
