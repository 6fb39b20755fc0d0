"""Had what lies in the bath its temperature?  By the bath's probe, of every station that has one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from data.checks import Check
from data.run import Run
from data.samples import FloatArray
from protocols.analysis import suitability

ROLE = "bath_temperature"

SPACINGS = 3.0
"""Readings up to so many of their usual spacings apart have no gap between them."""


def in_the_stations_band(run: Run, span: tuple[float, float], title: str = "Pump temperature") -> Iterator[Check]:
    """The check "bath-temperature", against the band that the station file states; none without a probe."""
    collection = run.station["collection"]
    middle, half = collection["pump_temperature_degc"], collection["pump_temperature_band_k"]
    yield from in_band(run, "bath-temperature", title, span, middle - half, middle + half)


def in_band(
    run: Run, name: str, title: str, span: tuple[float, float], low_degc: float, high_degc: float
) -> Iterator[Check]:
    """Worst mean over 10 min in a span of time; none for a station without a probe.

    A probe that the station has must have been read in nearly all of the span, or nothing says what went on meanwhile.
    """
    if ROLE not in run.roles:
        return
    if not run.has(ROLE):
        yield suitability.not_measured(name, title, "degC", "nothing was recorded of it")
        return
    bath = run.corrected(ROLE).good()
    inside, usual_s = bath.within(span), _usual_s(run, bath.t)
    if not len(inside):  # it may be read more seldom than the span is long
        inside = bath.within(span[0] - usual_s, span[1] + usual_s)
    u = float(run.calibration(ROLE).get("u") or 0.0)
    check = suitability.in_band(name, title, "degC", inside.t, inside.values, low_degc, high_degc, u)
    yield suitability.seen_throughout(check, bath.t, *span, usual_s)


def _usual_s(run: Run, t_s: FloatArray) -> float:
    """How far apart its readings may be without a gap: it may be read seldom, more seldom yet while it rests."""
    settings = run.station["instruments"].get(run.roles[ROLE].partition(".")[0]) or {}
    spacing_s = float(np.median(np.diff(t_s))) if t_s.size > 1 else 0.0
    return SPACINGS * max(spacing_s, float(settings.get("resting_period_s") or 0.0))
