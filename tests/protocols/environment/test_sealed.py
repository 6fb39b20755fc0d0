"""What is said of a sealed run of an environment whose record is changed: what a pump did, or what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Evaluation, Status, Verdict
from data.run import Run, Series
from protocols.analysis.environment.verdict import evaluate

SEALED = Path(__file__).parents[2] / "runs" / "environment-1.h5"


@contextmanager
def sealed() -> Iterator[Run]:
    with Run.open(SEALED) as run:
        yield run


def flowing(run: Run, flow_ul_per_h: float, from_s: float, to_s: float) -> Series:
    """The flow sensor's record with another flow in a stretch."""
    series = run.series("flow")
    inside = (series.t >= from_s) & (series.t < to_s)
    noise = np.random.default_rng(0).normal(0.0, 0.03, series.t.size)
    return replace(series, values=np.where(inside, flow_ul_per_h + noise, series.values))


def verdicts(found: Evaluation) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in found.checks}


@pytest.mark.parametrize("shown_ul_per_h", [0.02, -0.02])
def test_a_pump_that_a_back_pressure_stalls_fails(shown_ul_per_h: float) -> None:
    with sealed() as run:
        stalled = run.phase("pressure-1-settle")[0], run.phase("pressure-1")[1]
        run._series["flow"] = flowing(run, shown_ul_per_h, *stalled)
        found = evaluate(run)
    assert verdicts(found)["pressure-1"] is Verdict.FAIL
    assert found.verdict is Verdict.FAIL


def test_a_pump_that_never_delivers_is_not_measured_and_the_record_says_why() -> None:
    with sealed() as run:
        run._series["flow"] = flowing(run, -0.02, 0.0, run.end_s)
        found = evaluate(run)
    assert found.verdict is Verdict.NOT_MEASURED
    assert "saw no delivery at the reference condition" in found.checks[0].note


@pytest.mark.parametrize("status", [Status.ABORTED, Status.ERROR, Status.INCOMPLETE])
def test_a_run_that_ended_in_its_last_hold_passes_nothing_though_the_hold_has_an_end(status: Status) -> None:
    with sealed() as run:
        run.__dict__["status"] = status
        found = evaluate(run)
    assert verdicts(found)["pressure-1"] is Verdict.NOT_MEASURED
    assert found.verdict is Verdict.NOT_MEASURED


SOAKS = ("start", "temperature-1-soak", "temperature-last-soak")


def as_temperatures(soaked: Iterable[str]) -> Evaluation:
    """A sealed run of a back pressure as one of 42 degC; the bath is in its band from 2 s before each hold on."""
    with Run.open(SEALED.with_name("environment-5.h5")) as run:
        named = [replace(one, name=one.name.replace("pressure", "temperature")) for one in run.phases]
        some = run.events[0]
        met = tuple(replace(some, kind="condition", fields={"phase": name}) for name in soaked)
        params = {**run.params, "pressures": "none", "temperatures": "42 degC"}
        run.__dict__.update(phases=tuple(named), params=params, events=(*run.events, *met))
        bath = run.series("bath_temperature")
        from_s, to_s = run.phase("temperature-1")
        warm = (bath.t >= from_s - 2.0) & (bath.t <= to_s)
        run._series["bath_temperature"] = replace(bath, values=np.where(warm, 42.0, 37.0))
        return evaluate(run)


def test_temperatures_that_held_for_their_soaks_are_judged() -> None:
    found = verdicts(as_temperatures(SOAKS))
    assert {found[f"temperature-{at}-held"] for at in ("first", "1", "last")} == {Verdict.PASS}
    assert found["temperature-1"] is Verdict.CONDITIONAL_PASS  # 4.9 % of the 5 % that are allowed


@pytest.mark.parametrize(
    ("missing", "check"),
    [
        ("start", "temperature-first"),
        ("temperature-1-soak", "temperature-1"),
        ("temperature-last-soak", "temperature-last"),
    ],
)
def test_a_temperature_that_never_held_for_its_soak_judges_no_pump_wherever_the_bath_stood_in_the_hold(
    missing: str, check: str
) -> None:
    found = as_temperatures(name for name in SOAKS if name != missing)
    assert verdicts(found)[f"{check}-held"] is Verdict.INVALID
    assert verdicts(found)["temperature-1"] is Verdict.INVALID
    assert found.verdict is Verdict.INVALID


@pytest.mark.parametrize("role", ["flow", "controller_pressure", "outlet_pressure"])
def test_a_channel_that_was_never_written_leaves_nothing_measured_and_says_so(
    role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sealed() as run:
        find = run._find
        monkeypatch.setattr(run, "_find", lambda name: None if name == role else find(name))
        found = evaluate(run)
    assert found.verdict is Verdict.NOT_MEASURED
    assert any(f'nothing was recorded of "{role}"' in check.note for check in found.checks)
