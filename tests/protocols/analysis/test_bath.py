"""Whether a bath held its temperature: a probe that was silent says nothing, one that is read seldom says enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data.checks import Check, Verdict
from data.run import Run, Series
from data.samples import Channel
from protocols.analysis.bath import in_the_stations_band
from protocols.procedure import load_procedure

RUNS = Path(__file__).parents[2] / "runs"
SPAN = (1000.0, 11_800.0)
COLLECTION = {"pump_temperature_degc": 37.0, "pump_temperature_band_k": 1.0}


def of_a_run(t_s: Any, resting_s: float | None = None, span: tuple[float, float] = SPAN) -> list[Check]:
    """What is said of a probe that read 37 degC at these times."""
    times = np.asarray(t_s, dtype=np.float64)
    series = Series(times, np.full(times.size, 37.0), np.zeros(times.size, np.uint16), Channel("t", "degC"))
    run: Any = SimpleNamespace(
        roles={"bath_temperature": "daq.bath"},
        station={"collection": COLLECTION, "instruments": {"daq": {"resting_period_s": resting_s}}},
        has=lambda role: times.size > 0,
        corrected=lambda role: series,
        calibration=lambda role: {},
    )
    return list(in_the_stations_band(run, span))


def verdict(t_s: Any, **more: Any) -> Verdict:
    (check,) = of_a_run(t_s, **more)
    return check.verdict


def test_a_station_without_a_probe_has_no_check_and_a_probe_that_never_spoke_is_not_measured() -> None:
    assert verdict([]) is Verdict.NOT_MEASURED
    without: Any = SimpleNamespace(roles={}, station={"collection": COLLECTION})
    assert list(in_the_stations_band(without, SPAN)) == []


@pytest.mark.parametrize(
    "t_s",
    [
        np.arange(0.0, 1120.0, 0.1),  # lost two minutes after the begin
        np.arange(8000.0, 12_000.0, 0.1),  # came late
        np.concatenate([np.arange(0.0, 3000.0), np.arange(9000.0, 12_000.0)]),
    ],
)
def test_a_probe_that_was_silent_for_most_of_the_span_is_not_measured(t_s: Any) -> None:
    assert verdict(t_s) is Verdict.NOT_MEASURED


@pytest.mark.parametrize(
    ("t_s", "more"),
    [
        (np.arange(0.0, 12_000.0, 1800.0), {}),
        (np.concatenate([np.arange(0.0, 3000.0, 0.1), np.arange(3600.0, 12_000.0, 1800.0)]), {"resting_s": 1800.0}),
        (np.arange(0.0, 12_000.0, 1800.0), {"span": (1900.0, 2500.0)}),  # none in the span, one before it
        (np.arange(0.0, 11_000.0, 10.0), {}),  # the last 7 % are missing
    ],
)
def test_a_probe_that_is_read_seldom_is_enough(t_s: Any, more: dict[str, Any]) -> None:
    assert verdict(t_s, **more) is Verdict.PASS


def bath_lost(run: Run, from_s: float) -> None:
    series = run.series("bath_temperature")
    kept = series.t < from_s
    run._series["bath_temperature"] = replace(
        series, t=series.t[kept], values=series.values[kept], quality=series.quality[kept]
    )


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("environment-1", "pressure-1-bath"),
        ("rate-step-2", "bath-temperature"),
        ("occlusion-1", "bath-temperature"),
        ("catheter-1", "bath-temperature"),
    ],
)
def test_a_sealed_run_whose_probe_was_lost_on_the_way_does_not_pass(name: str, check: str) -> None:
    with Run.open(RUNS / f"{name}.h5") as run:
        bath_lost(run, 1500.0)
        found = load_procedure(run.procedure).evaluate(run)
    (bath,) = (one for one in found.checks if one.name == check)
    assert bath.verdict is Verdict.NOT_MEASURED
    assert found.verdict is Verdict.NOT_MEASURED
