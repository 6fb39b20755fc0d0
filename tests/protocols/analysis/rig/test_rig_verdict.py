"""A rig check whose record lacks something: what is missing is said, and never left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Check, Status, Verdict
from data.run import PhaseSpan, Run
from data.samples import FloatArray
from protocols.analysis.rig.balance import quiet
from protocols.analysis.rig.operational import evaluate as qualified
from protocols.analysis.rig.verdict import evaluate
from protocols.procedure import ParamError
from protocols.rig_check import RigCheck

SEALED = Path(__file__).parents[3] / "runs" / "rig-check-2.h5"
WHOLE = SEALED.with_name("rig-check-5.h5")

Edit = Callable[[FloatArray, FloatArray], FloatArray]


@pytest.fixture
def sealed() -> Iterator[Run]:
    """A rig check with a quiet record of three minutes."""
    with Run.open(SEALED) as run:
        yield run


def test_a_quiet_record_too_short_for_the_wander_of_the_zero_is_not_measured(sealed: Run) -> None:
    found = evaluate(sealed)
    unmeasured = {check.name for check in found.checks if check.verdict is Verdict.NOT_MEASURED}
    assert (found.verdict, unmeasured) == (Verdict.NOT_MEASURED, {"balance-wander"})


def test_a_rig_check_that_was_stopped_passes_nothing_and_blames_no_bath_that_had_no_time(sealed: Run) -> None:
    sealed.__dict__["status"] = Status.ABORTED
    *before, bath = sealed.phases
    sealed.__dict__["phases"] = (*before, PhaseSpan(bath.name, bath.t0, bath.t0 + 60.0, True))
    sealed.__dict__["events"] = tuple(event for event in sealed.events if event.kind != "condition")
    assert {check.verdict for check in evaluate(sealed).checks} == {Verdict.NOT_MEASURED}


@pytest.mark.parametrize("seconds", [300, 299])
def test_five_minutes_show_the_wander_of_the_zero(seconds: int) -> None:
    t_s = np.arange(float(seconds))
    assert 100.0 in quiet(t_s, np.random.default_rng(1).normal(0.0, 0.02, t_s.size), 0.01).allan_s


def test_a_quiet_record_that_is_too_short_is_refused_before_the_start() -> None:
    with pytest.raises(ParamError, match="quiet"):
        RigCheck(quiet="4 min")


# ------------------------------------------------------------------------- a rig that is unfit, and one that is not


@pytest.fixture
def whole() -> Iterator[Run]:
    """A rig check of a sound rig whose balance was read each 5 s."""
    with Run.open(WHOLE) as run:
        yield run


def edited(run: Run, role: str, first: str, last: str, edit: Edit) -> None:
    """Let a role have shown something else from one phase to another: ``edit`` gets seconds since then, and values."""
    series = run.series(role)
    inside = (series.t >= run.phase(first)[0]) & (series.t < run.phase(last)[1])
    values = series.values.copy()
    values[inside] = edit(series.t[inside] - run.phase(first)[0], values[inside])
    run._series[role] = replace(series, values=values)


def judged(run: Run) -> dict[str, Check]:
    return {check.name: check for check in evaluate(run).checks}


def test_a_sound_rig_passes_all_of_it(whole: Run) -> None:
    assert {check.verdict for check in judged(whole).values()} == {Verdict.PASS}


def test_a_line_that_lets_go_before_the_record_of_its_decay_fails_though_nothing_is_left_to_leak(whole: Run) -> None:
    edited(whole, "outlet_pressure", "creep", "decay", lambda t, kpa: np.where(t > 30.0, 0.05 + 0.01 * np.sin(t), kpa))
    leak = judged(whole)["rig-leak"]
    assert leak.verdict is Verdict.FAIL
    assert leak.value > 100.0
    assert "the line lets go" in leak.note


def test_a_line_that_gains_fluid_hides_its_leak_and_fails(whole: Run) -> None:
    edited(whole, "outlet_pressure", "decay", "decay", lambda t, kpa: kpa + 40.0 / 3600.0 * t)
    leak = judged(whole)["rig-leak"]
    assert leak.verdict is Verdict.FAIL
    assert "gains fluid" in leak.note


@pytest.mark.parametrize(
    ("role", "phase", "check"),
    [
        ("outlet_pressure", "decay", "rig-leak"),
        ("reference_mass", "quiet", "balance-noise"),
        ("reference_mass", "blank", "evaporation"),
    ],
)
def test_what_a_frozen_channel_shows_passes_nothing(whole: Run, role: str, phase: str, check: str) -> None:
    edited(whole, role, phase, phase, lambda _, values: np.full_like(values, values[0]))
    assert judged(whole)[check].verdict is Verdict.NOT_MEASURED


def test_a_bent_transducer_fails_though_its_ends_lie_on_the_line(whole: Run) -> None:
    edited(whole, "outlet_pressure", "span-50", "span-50", lambda _, kpa: kpa + 2.0)
    checks = judged(whole)
    assert checks["transducer-linearity"].verdict is Verdict.FAIL
    assert checks["transducer-span"].verdict is Verdict.NOT_CAPABLE


def test_a_transducer_that_is_known_worse_than_its_limit_passes_no_zero(whole: Run) -> None:
    whole.station["instruments"]["daq"]["calibration"]["outlet_pressure"]["u"] = 2.0
    assert judged(whole)["transducer-zero"].verdict is Verdict.NOT_CAPABLE


def test_a_moved_zero_does_not_hide_behind_a_height_that_was_read_wrong(whole: Run) -> None:
    edited(whole, "outlet_pressure", "vented", "vented", lambda _, kpa: kpa + 1.1)
    whole.__dict__["answers"] = {**whole.answers, "height": -70.0}
    checks = judged(whole)
    assert checks["transducer-height"].verdict is Verdict.PASS
    assert checks["transducer-zero"].verdict is Verdict.FAIL
    assert "zero and height together" in checks["transducer-zero"].note


@pytest.mark.parametrize(("off_mg", "verdict"), [(0.0, Verdict.PASS), (0.12, Verdict.PASS), (-0.85, Verdict.FAIL)])
def test_the_draft_of_an_opened_shield_is_no_error_of_a_balance_that_is_read_seldom(
    whole: Run, off_mg: float, verdict: Verdict
) -> None:
    edited(whole, "reference_mass", "empty-1", "empty-3", lambda _, mg: np.where(mg > 19_000.0, mg + off_mg, mg))
    error = judged(whole)["balance-error"]
    assert error.value == pytest.approx(off_mg, abs=0.02)
    assert error.verdict is verdict


def test_a_pan_that_had_not_come_to_rest_is_told(whole: Run) -> None:
    edited(whole, "reference_mass", "loaded-2", "loaded-2", lambda t, mg: mg + np.where(t < 78.0, 2.0, 0.0))
    assert judged(whole)["balance-settled"].verdict is Verdict.FAIL


def test_the_correction_of_the_syringe_pump_by_its_certificate_counts(whole: Run) -> None:
    before = judged(whole)
    whole.station["instruments"]["pusher"]["calibration"]["infused"]["gain"] = 1.05
    after = judged(whole)
    assert after["compliance"].value == pytest.approx(1.05 * before["compliance"].value)
    assert after["pushed"].value == pytest.approx(100.0 * ((1.0 + before["pushed"].value / 100.0) / 1.05 - 1.0))
    assert after["pushed"].verdict is Verdict.FAIL


@pytest.mark.parametrize("seconds", [60.0, 120.0, 300.0])
def test_a_rig_check_that_was_stopped_while_its_tubing_crept_found_no_leak(whole: Run, seconds: float) -> None:
    begun, _ = whole.phase("decay")
    before = (phase for phase in whole.phases if phase.t0 < begun)
    whole.__dict__["phases"] = (*before, PhaseSpan("decay", begun, begun + seconds, False))
    whole.__dict__["status"] = Status.ABORTED
    series = whole.series("outlet_pressure")
    whole._series["outlet_pressure"] = series.within(0.0, begun + seconds)
    assert judged(whole)["rig-leak"].verdict is Verdict.NOT_MEASURED
    whole.__dict__["params"] = whole.params | {"part": "closed-line", "tight_ul_per_h": 2.0, "capsule_ul_per_kpa": 0.0}
    assert {check.verdict for check in qualified(whole).checks} == {Verdict.NOT_MEASURED}
