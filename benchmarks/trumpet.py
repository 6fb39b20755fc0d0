"""Trumpet curve of 1e8 samples with six windows: blocked, in floats and in integer counts, against whole arrays.

    python -m benchmarks.trumpet [--samples 100000000]

States what it computed and asserts it: every window's extremes are compared with those of whole-array differences.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from data.samples import FloatArray
from protocols.analysis.trumpet import AMBULATORY_WINDOWS, TrumpetPoint, prefix_counts, trumpet

INTERVAL_S = 0.5
RATE_UL_PER_H = 41.7
COUNT_UL = 1e-6
LIMIT_S = 1.0


def whole_array(cumulative: FloatArray, windows: tuple[float, ...]) -> list[tuple[float, float]]:
    """The same extremes without blocks."""
    found = []
    for window in windows:
        count = round(window / INTERVAL_S)
        difference = cumulative[count:] - cumulative[:-count]
        expected = RATE_UL_PER_H * window / 3600.0
        found.append((100.0 * (difference.max() / expected - 1.0), 100.0 * (difference.min() / expected - 1.0)))
    return found


def timed(call: Callable[[], tuple[TrumpetPoint, ...]]) -> tuple[float, tuple[TrumpetPoint, ...]]:
    """Seconds of wall time of the better of two calls, and the result."""
    best = float("inf")
    for _ in range(2):
        begin = time.perf_counter()
        points = call()
        best = min(best, time.perf_counter() - begin)
    return best, points


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100_000_000)
    samples = parser.parse_args().samples
    windows = tuple(count * INTERVAL_S for count in AMBULATORY_WINDOWS)
    generator = np.random.Generator(np.random.Philox(1))
    counts = generator.integers(5000, 6600, samples, dtype=np.int16)
    begin = time.perf_counter()
    prefix = prefix_counts(counts)
    prefix_s = time.perf_counter() - begin
    del counts
    in_counts_s, in_counts = timed(lambda: trumpet(prefix, INTERVAL_S, RATE_UL_PER_H, windows, unit_ul=COUNT_UL))
    volume: FloatArray = prefix.astype(np.float64) * COUNT_UL
    in_floats_s, in_floats = timed(lambda: trumpet(volume, INTERVAL_S, RATE_UL_PER_H, windows))
    begin = time.perf_counter()
    expected = whole_array(volume, windows)
    whole_s = time.perf_counter() - begin
    for one, other, (high, low) in zip(in_floats, in_counts, expected, strict=True):
        assert one.windows == one.windows_used == samples - round(one.window_s / INTERVAL_S) + 1
        assert one.ep_max_percent is not None
        assert one.ep_min_percent is not None
        assert other.ep_max_percent is not None
        assert abs(one.ep_max_percent - high) < 1e-9
        assert abs(one.ep_min_percent - low) < 1e-9
        assert abs(other.ep_max_percent - high) < 1e-4, "a float volume of 1e8 samples is only so good"
    print(f"trumpet of {samples:g} samples, {len(windows)} windows, every extreme checked:")
    print(f"  blocked, float64 volumes    {in_floats_s:6.2f} s")
    print(f"  blocked, int64 counts       {in_counts_s:6.2f} s   (prefix sum once: {prefix_s:.2f} s)")
    print(f"  whole arrays, float64       {whole_s:6.2f} s   ({whole_s / in_floats_s:.1f} times the blocked one)")
    if samples == 100_000_000:
        assert in_floats_s < LIMIT_S, f"the limit is {LIMIT_S} s"


if __name__ == "__main__":
    main()
