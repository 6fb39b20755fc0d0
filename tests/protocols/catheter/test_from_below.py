"""What is known from below alone never passes, and a line that loses its pressure still tells its leak."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from data.checks import Check, Verdict
from data.run import Run
from protocols.analysis.budget import Component
from protocols.analysis.catheter.closed import Decay
from protocols.analysis.catheter.findings import Case, leak, patency
from protocols.analysis.catheter.fitness import Rig, fitness
from protocols.analysis.catheter.forced import Push
from protocols.analysis.catheter.record import CatheterRecord, water_viscosity_mpa_s
from protocols.analysis.catheter.verdict import evaluate

SEALED = Path(__file__).parents[2] / "runs" / "catheter-2.h5"
BRIDGED = {15000.0: 0.8, 30000.0: 0.9}  # uL/h, and kPa with a zero that is off
C, CREEP_S = 0.4892, 300.0  # of the line with the catheter, in uL/kPa


@contextmanager
def leaking(ul_per_h: float, *, creep: float, at_most: float, what: str = "proof") -> Iterator[Run]:
    """The sealed run, whose line leaks so much at 100 kPa once it has its proof pressure."""
    with Run.open(SEALED) as run:
        catheter = copy.deepcopy(dict(run.catheter))
        catheter["limits"]["leak"]["at_most_ul_per_h"] = at_most
        run.__dict__["catheter"] = catheter
        series = run.series("outlet_pressure")
        base = float(np.mean(series.within(run.phase(f"{what}-closed")).values))
        (begun_s, _), (held_s, _), (_, end_s) = (run.phase(f"{what}-{part}") for part in ("ramp", "creep", "decay"))
        rows = np.flatnonzero((series.t > begun_s) & (series.t <= end_s))
        values, x = series.values.copy(), 0.0
        noise = np.random.default_rng(5).normal(0.0, 0.01, values.size)
        p = 0.0
        for before, k in itertools.pairwise(rows.tolist()):
            dt = float(series.t[k] - series.t[before])
            p = values[k] - base if series.t[k] <= held_s else p
            for _ in range(10 if series.t[k] > held_s else 0):
                p -= 0.1 * dt * (creep * (p - x) / CREEP_S + ul_per_h / 3600.0 / 100.0 * p / C)
                x += 0.1 * dt * (p - x) / CREEP_S
            if series.t[k] > held_s:
                values[k] = base + p + noise[k]
            else:
                x += dt * (p - x) / CREEP_S
        run._series["outlet_pressure"] = replace(series, values=values)
        yield run


def named(run: Run) -> dict[str, Check]:
    return {check.name: check for check in evaluate(run).checks}


@pytest.mark.parametrize("creep", [0.0, 0.05])
@pytest.mark.parametrize("ul_per_h", [350.0, 500.0, 2000.0])
def test_a_line_that_loses_more_than_half_of_its_pressure_tells_its_leak_by_the_time_before(ul_per_h, creep):
    with leaking(ul_per_h, creep=creep, at_most=0.7 * ul_per_h) as run:
        check = named(run)["leak"]
    assert check.value == pytest.approx(ul_per_h, abs=check.expanded_uncertainty)
    assert check.expanded_uncertainty < 0.01 * ul_per_h
    assert check.verdict is Verdict.FAIL


@pytest.mark.parametrize(("at_most", "verdict"), [(5000.0, Verdict.FAIL), (20_000.0, Verdict.NOT_MEASURED)])
def test_a_pressure_that_is_gone_at_once_tells_a_leak_from_below_alone(at_most, verdict):
    with leaking(30000.0, creep=0.0, at_most=at_most) as run:
        check = named(run)["leak"]
    assert 5000.0 < check.value < 20_000.0
    assert (check.verdict, check.optional) == (verdict, False)
    assert check.note.startswith("at least")


def test_a_line_that_stands_and_then_is_off_leaks_at_least_what_it_had_held():
    with Run.open(SEALED) as run:
        series, (begun_s, _) = run.series("outlet_pressure"), run.phase("proof-creep")
        base = float(np.mean(series.within(run.phase("proof-closed")).values))
        off = (series.t > begun_s + 120.0) & (series.t <= run.phase("proof-decay")[1])
        run._series["outlet_pressure"] = replace(series, values=np.where(off, base, series.values))
        check = named(run)["leak"]
    assert check.note.startswith("at least")
    assert check.verdict is Verdict.FAIL


def held(leak_ul_per_h: float, *, reached: bool) -> Decay:
    by = (Component("flow of the syringe", 0.005 * leak_ul_per_h),)
    return Decay(reached, 0.2, 0.001, leak_ul_per_h, 100.0, by, 0.0)


def record(**limits: object) -> SimpleNamespace:
    """As much of a run as the findings ask for."""
    stated = {"source": "maker", "revision": "A"}
    return SimpleNamespace(
        limits={key: {**value, **stated} for key, value in limits.items()},
        u_gain=0.001,
        u_viscosity=0.005,
        poiseuille_kpa_s_per_ul=0.35,
        viscosity_mpa_s=water_viscosity_mpa_s(37.0),
        params={"proof_kpa": 100.0, "fast_ul_per_h": 30000.0},
    )


@pytest.mark.parametrize(
    ("leaks", "reached", "verdict"),
    [
        (3.7, False, Verdict.NOT_MEASURED),
        (5.01, False, Verdict.NOT_MEASURED),  # not beyond it by U
        (8.0, False, Verdict.FAIL),
        (3.7, True, Verdict.PASS),
    ],
)
def test_a_leak_that_is_at_least_a_value_below_its_limit_does_not_pass(leaks, reached, verdict):
    limits = record(leak={"at_most_ul_per_h": 5.0, "pressure_kpa": 100.0})
    rig = Rig((), None, held(0.0, reached=True))
    assert leak(Case(limits, rig, (), (1.0, 0.0), None, None), held(leaks, reached=reached), "").verdict is verdict


def test_behind_a_rig_that_holds_no_pressure_no_leak_is_the_catheter_s():
    limits = record(leak={"at_most_ul_per_h": 5.0, "pressure_kpa": 100.0})
    rig = Rig((), None, held(1.5, reached=False))
    check = leak(Case(limits, rig, (), (1.0, 0.0), None, None), held(8.0, reached=True), "")
    assert check.verdict is Verdict.NOT_MEASURED
    assert "nobody knows whose" in check.note


def test_a_rig_that_holds_no_pressure_is_not_tight_by_what_it_leaks_at_least():
    with Run.open(SEALED) as run:
        found = {
            reached: {c.name: c for c in fitness(CatheterRecord(run), Rig((), None, held(1.5, reached=reached)), None)}
            for reached in (False, True)
        }
    assert [found[reached]["rig-tight"].verdict for reached in (False, True)] == [Verdict.NOT_MEASURED, Verdict.PASS]


@pytest.mark.parametrize(
    ("at_most", "verdict"), [(15.0, Verdict.NOT_MEASURED), (12.501, Verdict.NOT_MEASURED), (3.4, Verdict.FAIL)]
)
def test_a_blocked_flow_faster_than_the_declared_one_says_how_much_it_takes_at_least(at_most, verdict):
    limits = record(patency={"at_most_kpa": at_most, "flow_ul_per_h": 15000.0})
    given_up = Push("straight-fast", 30000.0 / 3600.0, 25.0, 0.0, None, 0.0, blocked=True)
    check = patency(Case(limits, Rig((), None, None), (given_up,), (1.0, 0.0), None, None))
    assert check.value == pytest.approx(12.5)
    assert (check.verdict, check.optional) == (verdict, False)
    assert math.isclose(check.limit_high, at_most)


def test_what_a_blocked_flow_takes_at_least_is_without_what_the_bridge_took():
    limits = record(patency={"at_most_kpa": 12.0, "flow_ul_per_h": 30000.0})
    given_up = Push("straight-fast", 30000.0 / 3600.0, 12.5, 0.0, None, 0.0, blocked=True)
    bridged = tuple(Push(f"bridge-{k}", k / 3600.0, kpa, 0.0, 1.0, 0.0, blocked=False) for k, kpa in BRIDGED.items())
    check = patency(Case(limits, Rig(bridged, None, None), (given_up,), (1.0, 0.0), None, None))
    assert check.value == pytest.approx(11.6)
    assert check.verdict is Verdict.NOT_MEASURED
