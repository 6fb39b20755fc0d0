"""A valve test whose record was cut off, froze, or rises: nothing of it passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Check, Status, Verdict
from data.run import PhaseSpan, Run
from data.samples import FloatArray
from protocols.analysis.rig.valves import evaluate

SEALED = Path(__file__).parents[3] / "runs" / "valve-test-2.h5"


@pytest.fixture
def sealed() -> Iterator[Run]:
    """A valve test of sound valves."""
    with Run.open(SEALED) as run:
        yield run


def judged(run: Run) -> dict[str, Check]:
    return {check.name: check for check in evaluate(run).checks}


def held(run: Run, kpa_of: FloatArray | float) -> None:
    """Let the held line have shown this instead."""
    series = run.series("outlet_pressure")
    begin, end = run.phase("closed-outlet")
    inside = (series.t >= begin) & (series.t < end)
    values = series.values.copy()
    values[inside] = kpa_of if isinstance(kpa_of, float) else values[inside] + kpa_of[: int(inside.sum())]
    run._series["outlet_pressure"] = replace(series, values=values)


def test_sound_valves_pass(sealed: Run) -> None:
    assert {check.verdict for check in judged(sealed).values()} == {Verdict.PASS}


def test_a_test_that_was_stopped_in_its_last_phase_passes_nothing(sealed: Run) -> None:
    *before, last = sealed.phases
    sealed.__dict__["phases"] = (*before, PhaseSpan(last.name, last.t0, last.t0 + 130.0, False))
    sealed.__dict__["status"] = Status.ABORTED
    assert {check.verdict for check in judged(sealed).values()} == {Verdict.NOT_MEASURED}


def test_a_valve_that_had_no_time_to_release_the_pressure_is_not_blamed(sealed: Run) -> None:
    begun, _ = sealed.phase("open-outlet")
    series = sealed.series("outlet_pressure")
    t = np.union1d(series.t[series.t < begun], begun + np.arange(0.05, 0.7, 0.1))
    values = np.interp(t, series.t, series.values)
    seen = replace(series, t=t, values=values, quality=np.zeros(t.size, dtype=np.uint16))
    sealed._series["outlet_pressure"] = seen
    before = (phase for phase in sealed.phases if phase.t0 < begun)
    sealed.__dict__["phases"] = (*before, PhaseSpan("open-outlet", begun, begun + 0.7, False))
    sealed.__dict__["status"] = Status.ABORTED
    assert {check.verdict for check in judged(sealed).values()} == {Verdict.NOT_MEASURED}


def test_a_frozen_transducer_shows_no_tight_line(sealed: Run) -> None:
    held(sealed, 40.25)
    assert judged(sealed)["rig-leak"].verdict is Verdict.NOT_MEASURED


def test_a_line_that_gains_fluid_passes_no_leak(sealed: Run) -> None:
    held(sealed, np.arange(2000.0) * 40.0 / 3600.0)
    leak = judged(sealed)["rig-leak"]
    assert leak.value < -5.0
    assert leak.verdict is Verdict.CONDITIONAL_FAIL
    assert "gains fluid" in leak.note


def test_the_diverter_is_held_against_what_the_syringe_pump_pushes_by_its_certificate(sealed: Run) -> None:
    sealed.station["instruments"]["pusher"]["calibration"]["infused"]["gain"] = 1.3
    assert judged(sealed)["diverter-into"].verdict is Verdict.FAIL
