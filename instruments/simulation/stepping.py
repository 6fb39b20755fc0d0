"""Exact steps of first-order linear systems over a whole chunk at once; no step is ever an Euler step."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np

from instruments.simulation.grid import DT_S
from instruments.simulation.signal import FloatArray

_FILTER = "scipy.signal._sigtools"
"""Where SciPy keeps the loop of `scipy.signal.lfilter`."""


def recurrence(kept: float, drive: FloatArray, start: float) -> FloatArray:
    """y[0] = start, y[k+1] = kept · y[k] + drive[k]; shape (n + 1,)."""
    values = np.empty(len(drive) + 1)
    values[0] = start
    if len(drive):
        values[1:] = _linear_filter()(_ONE, np.array([1.0, -kept]), drive, -1, np.array([kept * start]))[0]
    return values


_ONE = np.ones(1)


@cache
def _linear_filter() -> Callable[..., Any]:
    """The loop of `scipy.signal.lfilter`: coefficients b and a, input, axis, initial state; gives output and state.

    It is taken from SciPy without the package around it, which imports for more than a second what nobody here uses:
    as long as everything else that a run's process does before it begins.  Where SciPy has it no longer, the package
    it is.
    """
    found = sys.modules.get(_FILTER)
    if found is None:
        package = importlib.util.find_spec("scipy")
        places = [] if package is None else [str(Path(at, "signal")) for at in package.submodule_search_locations or ()]
        spec = PathFinder.find_spec(_FILTER, places)
        if spec is not None and spec.loader is not None:
            found = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(found)
    loop: Callable[..., Any] | None = getattr(found, "_linear_filter", None)
    if loop is not None:
        return loop
    from scipy.signal import lfilter

    return lambda b, a, x, axis, zi: lfilter(b, a, x, axis, zi)


def lag(follows: FloatArray, start: float, tau_s: float) -> FloatArray:
    """First-order lag of an input that is linear between its samples; shapes (n + 1,)."""
    ratio = DT_S / tau_s
    kept = math.exp(-ratio)
    mean = -math.expm1(-ratio) / ratio
    return recurrence(kept, (mean - kept) * follows[:-1] + (1.0 - mean) * follows[1:], start)


def lag_of_mean(interval_means: FloatArray, start: float, tau_s: float) -> FloatArray:
    """First-order lag of an input that is constant in each interval; (n,) gives (n + 1,)."""
    kept = math.exp(-DT_S / tau_s)
    return recurrence(kept, (1.0 - kept) * interval_means, start)


def running_sum(increments: FloatArray, start: float) -> FloatArray:
    """Start and its running sums with the increments; (n,) gives (n + 1,).

    Sums from left to right, so that what comes later never changes what was before.
    """
    values = np.empty(len(increments) + 1)
    values[0] = start
    values[1:] = start + np.cumsum(increments)
    return values


def play(follows: FloatArray, start: float, half_width: float) -> FloatArray:
    """Hysteresis by the play operator: the output is dragged along ``half_width`` behind; shapes (n + 1,)."""
    values = np.empty_like(follows)
    i, n, held = 0, len(follows), start
    while i < n:
        rest = follows[i:]
        outside = np.abs(rest - held) > half_width
        first = int(np.argmax(outside)) if outside.any() else n - i
        values[i : i + first] = held
        i += first
        if i == n:
            break
        sign = 1.0 if follows[i] > held else -1.0
        dragged = np.maximum.accumulate(sign * follows[i:])
        turned = sign * follows[i:] < dragged - 2.0 * half_width
        run = int(np.argmax(turned)) if turned.any() else n - i
        values[i : i + run] = sign * (dragged[:run] - half_width)
        i += run
        held = float(values[i - 1])
    return values
