"""A pump that was told to stand: it fails where two ways tell that it runs on, and never by one draft."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from data.checks import Check, Verdict
from protocols.analysis.occlusion.line import ClosedLine
from protocols.analysis.occlusion.record import HOUR_S, OcclusionRecord
from protocols.analysis.occlusion.stopped import stopped_flow
from protocols.analysis.reading_noise import ReadingNoise
from protocols.occlusion import STANDING_S, Occlusion
from protocols.steps import Phase

C = 0.49
SLOW, USUAL = 0.1, 1.0  # mL/day


class Standing:
    """As much of a record as the check reads: the balance, 120 s and 15 min behind the closed valve, the balance again.

    The stopped pump is weighed for ``length_s``: before the valve closes, or where that is long 10 min after it opened.

    ``shown_mg`` is what the balance shows beyond its noise, ``pressure_kpa`` the pressure since the closing, ``flow``
    what the sensor shows before and behind the closed valve.
    """

    def __init__(self, rate_ml_per_day, length_s, shown_mg, pressure_kpa=None, flow=None):
        self.rates_ul_per_h = (rate_ml_per_day * 1000.0 / 24.0,)
        self.guard_s, self.loss_mg_per_h = 2.0, (0.02, 0.004)
        first_s = min(length_s, STANDING_S)
        closed_s, hold_s, opened_s = first_s, first_s + 240.0, first_s + 1140.0
        self.phases = {"metered-before": (0.0, first_s)}
        if pressure_kpa is not None:
            self.phases |= {"metered-closed": (closed_s, closed_s + 120.0), "metered-hold": (hold_s, opened_s)}
        if length_s > first_s:
            self.phases["standing"] = (opened_s + 600.0, opened_s + 600.0 + length_s)
        weighed_s = self.phases.get("standing", (0.0, 0.0))[0]
        self.t_s = t_s = np.arange(0.0, opened_s + 600.0 + length_s)
        rng = np.random.default_rng(2)
        mass = np.round(shown_mg(np.maximum(t_s - weighed_s, 0.0)) + rng.normal(0.0, 0.02, t_s.size), 2)
        self.collected = SimpleNamespace(t_s=t_s, mass_mg=mass, ul_per_mg=1.003)
        self.noise = ReadingNoise(0.02, 0.05 / math.sqrt(3.0), 0.01, 1.0)
        self.kpa = 0.1 + rng.normal(0.0, 0.01, t_s.size)
        is_closed = (t_s > closed_s) & (t_s <= opened_s)
        if pressure_kpa is not None:
            self.kpa += np.where(is_closed, pressure_kpa(np.maximum(t_s - closed_s, 0.0)), 0.0)
        before, behind = (0.0, 0.0) if flow is None else flow
        sensed = np.where(is_closed, behind, before) + rng.normal(0.0, 0.04, t_s.size)
        series = SimpleNamespace(within=lambda from_s, to_s: SimpleNamespace(values=sensed[self._rows(from_s, to_s)]))
        self.run = SimpleNamespace(
            params={"line_ul_per_kpa": 0.5},
            has=lambda role: role == "flow" and flow is not None,
            corrected=lambda _: SimpleNamespace(good=lambda: series),
            calibration=lambda _: {"u": 0.4},
        )

    def _rows(self, from_s, to_s):
        return (self.t_s >= from_s) & (self.t_s <= to_s)

    def mean_kpa(self, from_s, to_s):
        return float(np.mean(self.kpa[self._rows(from_s, to_s)]))

    def pressure(self, from_s, to_s):
        rows = self._rows(from_s, to_s)
        return self.t_s[rows], self.kpa[rows]

    def u_kpa(self, _):
        return 0.2

    def warming_ul(self, *_):
        return 0.0, 0.0044


def nothing(t_s):
    return np.zeros(t_s.size)


def draft(mg, from_s, for_s=12.0):
    return lambda t_s: np.where((t_s >= from_s) & (t_s < from_s + for_s), mg, 0.0)


def slip(mg, at_s):
    return lambda t_s: np.where(t_s >= at_s, mg, 0.0)


def delivered(ul_per_h):
    return lambda t_s: ul_per_h / HOUR_S / 1.003 * t_s


def behind(ul_per_h):
    return lambda since_s: ul_per_h / HOUR_S / C * since_s


def creeping(since_s):
    """A metered step of 20 kPa whose line creeps by a twentieth."""
    return np.where(since_s > 180.0, 20.0 * (0.95 + 0.05 * np.exp(-(since_s - 180.0) / 300.0)), 0.0)


LINE = ClosedLine(C, 0.003, 0.05 * C, 300.0)


def found(record: Standing, line: ClosedLine | None = LINE) -> dict[str, Check]:
    assert set(dir(OcclusionRecord)) >= {"loss_mg_per_h", "warming_ul", "mean_kpa", "u_kpa", "guard_s", "collected"}
    return {check.name: check for check in stopped_flow(record, line)}  # type: ignore[arg-type]  # as much of a record as it reads


def long_s(rate: float) -> float:
    return Occlusion(rates=f"{rate} mL/day").standing_s


@pytest.mark.parametrize("rate", [SLOW, USUAL, 24.0])
def test_a_pump_that_stands_passes(rate):
    check = found(Standing(rate, long_s(rate), nothing, creeping))["stopped-flow"]
    assert (check.verdict, check.optional) == (Verdict.PASS, False)
    assert check.value == pytest.approx(0.0, abs=check.expanded_uncertainty)


@pytest.mark.parametrize(
    ("rate", "length_s", "shown", "verdict", "agrees"),
    [
        (USUAL, 60.0, draft(0.5, 45.0), Verdict.NOT_MEASURED, Verdict.INVALID),  # 26.7 uL/h by means, 20.8 allowed
        (USUAL, 180.0, draft(0.5, 150.0), Verdict.PASS, Verdict.PASS),
        (USUAL, 180.0, draft(5.0, 130.0, 25.0), Verdict.PASS, Verdict.PASS),
        (SLOW, 60.0, slip(0.2, 30.0), Verdict.NOT_MEASURED, Verdict.PASS),  # 18 uL/h, and no way tells 2
        (SLOW, 1037.0, slip(0.2, 500.0), Verdict.PASS, Verdict.PASS),
    ],
)
def test_neither_a_draft_nor_a_slip_of_the_meniscus_fails_a_sound_pump(rate, length_s, shown, verdict, agrees):
    checks = found(Standing(rate, length_s, shown, creeping))
    assert (checks["stopped-flow"].verdict, checks["stopped-agrees"].verdict) == (verdict, agrees)


@pytest.mark.parametrize("rate", [SLOW, USUAL, 5.0])
def test_a_pump_that_runs_on_at_its_rate_fails_by_balance_and_pressure(rate):
    ul_per_h = rate * 1000.0 / 24.0
    record = Standing(rate, long_s(rate), delivered(ul_per_h), behind(ul_per_h))
    check = found(record)["stopped-flow"]
    assert (check.verdict, check.owner) == (Verdict.FAIL, "dut")
    assert check.value == pytest.approx(ul_per_h, abs=check.expanded_uncertainty)
    assert check.note.startswith("the pump delivers although it was stopped; balance")


def test_a_free_flow_whose_pressure_is_up_within_seconds_fails():
    free = Standing(24.0, 180.0, delivered(5000.0), lambda since_s: 35.0 * -np.expm1(-since_s / 12.0))
    assert found(free, None)["stopped-flow"].verdict is Verdict.FAIL
    assert found(free, ClosedLine(3.0 * C, 0.1))["stopped-flow"].verdict is Verdict.FAIL  # by a step that it drained


@pytest.mark.parametrize(
    ("shown", "pressure", "flow", "says"),
    [
        (delivered(60.0), creeping, None, "balance alone"),
        (delivered(60.0), creeping, (0.3, 0.3), "balance alone"),
        (delivered(60.0), creeping, (60.0, 0.0), "balance, flow sensor alone"),
        (nothing, behind(60.0), None, "pressure alone"),
        (nothing, creeping, (60.0, 0.0), "flow sensor alone"),
    ],
)
def test_where_one_way_shows_a_flow_that_another_does_not_the_rig_is_at_fault(shown, pressure, flow, says):
    checks = found(Standing(USUAL, 180.0, shown, pressure, flow))
    agrees = checks["stopped-agrees"]
    assert (agrees.verdict, agrees.owner, agrees.suitability) == (Verdict.INVALID, "rig", True)
    assert f"by {says}" in agrees.note
    assert checks["stopped-flow"].verdict is Verdict.NOT_MEASURED
    assert "stopped-agrees" in checks["stopped-flow"].depends_on


@pytest.mark.parametrize(
    ("pressure", "flow", "line", "verdict"),
    [
        (None, None, None, Verdict.NOT_MEASURED),  # the run ended before the valve closed
        (nothing, None, None, Verdict.NOT_MEASURED),  # no step says that the valve closes
        (nothing, (60.0, 0.0), None, Verdict.FAIL),
    ],
)
def test_a_balance_alone_fails_no_pump(pressure, flow, line, verdict):
    record = Standing(USUAL, 180.0, delivered(60.0), pressure, flow)
    assert found(record, line)["stopped-flow"].verdict is verdict


def test_a_balance_with_drafts_makes_a_pump_that_seems_to_run_on_invalid():
    def shown(t_s):
        return delivered(60.0)(t_s) + draft(3.0, 100.0, 10.0)(t_s)

    checks = found(Standing(USUAL, 180.0, shown, behind(60.0)))
    assert (checks["balance-quiet"].verdict, checks["balance-quiet"].owner) == (Verdict.INVALID, "rig")
    assert "balance-quiet" in checks["stopped-flow"].depends_on


def test_a_sensor_tells_a_slow_pump_that_stands_where_a_minute_of_the_balance_is_too_short():
    record = Standing(SLOW, 60.0, nothing, creeping, (0.3, 0.3))
    check = found(record)["stopped-flow"]
    assert check.verdict is Verdict.PASS
    assert check.expanded_uncertainty < 0.2
    assert found(Standing(SLOW, 60.0, nothing, creeping))["stopped-flow"].verdict is Verdict.NOT_MEASURED


def test_a_slow_pump_is_weighed_long_enough_and_a_usual_one_not_for_longer():
    usual, slow = (Occlusion(rates=f"{rate} mL/day") for rate in (USUAL, SLOW))
    names = [[step.name for step in plan.steps() if isinstance(step, Phase)] for plan in (usual, slow)]
    assert ["standing" in each for each in names] == [False, True]
    assert slow.standing_s == pytest.approx(1036.8)
