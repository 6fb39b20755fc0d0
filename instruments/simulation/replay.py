"""A recorded log as a signal: what was measured once comes through the wire of a simulated instrument again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instruments.simulation.signal import FloatArray


class LogError(ValueError):
    """A log that cannot be replayed; the message names the line or value and the remedy."""


class ReplaySignal:
    """Plays a log: at any moment the value that was logged last.

    Nothing is interpolated, so the counts that the instrument sends are the counts that were recorded.  Before its
    first value the signal has that value, after its last the last one; `end_s` tells when that is.
    """

    def __init__(self, times_s: FloatArray, values: FloatArray) -> None:
        self._times = times_s
        self._values = values

    @classmethod
    def from_log(
        cls, times_s: npt.ArrayLike, values: npt.ArrayLike, *, start_s: float | None = None, scale: float = 1.0
    ) -> ReplaySignal:
        """Make a signal of a log.

        Parameters
        ----------
        times_s, values : (n,) what was recorded, times rising.
        start_s : moment on the run's clock of the first value; by default the log's own times stand.
        scale : factor on the values, when the log has another unit than the instrument's signal.

        Raises
        ------
        LogError
            When the shapes differ, the log is empty, a number is not finite or time does not rise.
        """
        t = np.array(times_s, dtype=np.float64)
        v = np.array(values, dtype=np.float64) * scale
        if t.ndim != 1 or t.shape != v.shape or not t.size:
            raise LogError(f"a log needs one time for each value; it has {t.size} times and {v.size} values")
        bad = np.flatnonzero(~(np.isfinite(t) & np.isfinite(v)))
        if bad.size:
            raise LogError(f"value {bad[0] + 1} of the log is not a finite number; remove it or its line")
        falling = np.flatnonzero(np.diff(t) <= 0.0)
        if falling.size:
            raise LogError(f"time does not rise at value {falling[0] + 2} of the log; sort it and remove duplicates")
        if start_s is not None:
            t += start_s - t[0]
        return cls(t, v)

    @property
    def end_s(self) -> float:
        """Moment of the last value."""
        return float(self._times[-1])

    def at(self, t: float) -> float:
        """Value that was logged last at ``t``."""
        return float(self._values[max(0, int(np.searchsorted(self._times, t, side="right")) - 1)])

    def samples(self, t0: float, dt: float, first: int, n: int) -> FloatArray:
        """Values at ``t0 + (first + k)·dt``, shape (n,)."""
        t = t0 + np.arange(first, first + n) * dt
        picked: FloatArray = self._values[np.maximum(np.searchsorted(self._times, t, side="right") - 1, 0)]
        return picked


def read_log(source: Path | Iterable[str], interval_s: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Times in s and values of a text log.

    A line holds one value, or a time in s and a value with a comma, semicolon or blank between.  Lines that begin with
    ``#`` (a logger's ``# file`` marks among them) and empty ones are skipped.  Where the log has no times, values are
    ``interval_s`` apart from 0 on.

    Raises
    ------
    LogError
        When a line is neither, with its number, or a file is no text; OSError when it cannot be read.
    """
    name = source.name if isinstance(source, Path) else "log"
    digits: set[int] | None = set()  # behind the comma of each line, where all are two whole numbers with one between
    times: list[float] = []
    values: list[float] = []
    columns = 0
    for number, line in _lines(source):
        words = line.replace(",", " ").replace(";", " ").split()
        columns = columns or len(words)
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            numbers = []
        if len(numbers) != columns or columns > 2:
            raise LogError(
                f'{name}, line {number}: "{line[:40]}" is not one value, or a time and a value as in the lines before; '
                "correct it, or begin it with #"
            )
        pair = re.fullmatch(r"-?\d+,(\d+)", line)
        digits = None if pair is None or digits is None else digits | {len(pair[1])}
        times.append(numbers[0] if columns == 2 else interval_s * len(values))
        values.append(numbers[-1])
    if digits is not None and len(digits) == 1 and not _are_even(times):
        raise LogError(
            f'{name}: lines such as "{times[0]:g},{values[0]:g}" may be numbers with a decimal comma; write points, or '
            "where they are a time and a value a semicolon between"
        )
    return np.array(times), np.array(values)


def _are_even(times: Sequence[float]) -> bool:
    """Whether numbers rise by equal steps, as a logger's times do."""
    steps = np.diff(times)
    return bool((steps > 0.0).all() and np.allclose(steps, steps[:1]))


def _lines(source: Path | Iterable[str]) -> Iterator[tuple[int, str]]:
    """Numbered lines that hold something."""
    try:
        lines = source.read_text(encoding="utf-8").splitlines() if isinstance(source, Path) else source
    except UnicodeDecodeError:
        raise LogError(f"{source}: it is no text in UTF-8; give the log as text, one value a line") from None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text
