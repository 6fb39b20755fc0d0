"""The locator: signatures that agree with the table of faults, a ranking by likelihood, and whole run files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.qualify.faults import faults_file, read_faults
from data.checks import Check, Evaluation, Verdict
from data.run import Run
from protocols.analysis.locator import NOTHING, UNKNOWN, Location, Shown, locate, ranked, shows
from protocols.analysis.locator.flows import _change, _Parts, largest_change, pump_percent
from protocols.analysis.locator.pump import pump_says
from protocols.analysis.locator.shown import CERTAIN, by_name, of_check, of_checks
from protocols.analysis.locator.signatures import table

RUNS = sorted((Path(__file__).parents[2] / "runs").glob("*.h5"))
KNOWN = table()
CLAIMED = sorted(name for name, fault in read_faults(faults_file()).items() if fault.claims)
FLOWS = {name: 0.5 + 4.0 * number / 10.0 for number, name in enumerate(KNOWN.quantity) if KNOWN.quantity[name].family}


def shown(name: str, z: float) -> Shown:
    """A quantity that is z standard deviations from what is honest."""
    spread = FLOWS.get(name, 1.0)
    return Shown(name, KNOWN.quantity[name].title, z * spread, "%", max(-CERTAIN, min(CERTAIN, z)), "x", spread=spread)


def moved(**z: float) -> Location:
    """Ranking of a run that shows these quantities and no other, in standard deviations."""
    names = {name.replace("_", "-"): value for name, value in z.items()}
    return ranked([shown(name, value) for name, value in names.items()])


# ------------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize("name", CLAIMED)
def test_every_claimed_fault_has_a_signature_with_its_owner(name: str) -> None:
    assert KNOWN.cause[name].owner == read_faults(faults_file())[name].owner


def test_no_signature_is_of_a_fault_that_does_not_exist() -> None:
    assert set(KNOWN.cause) <= set(read_faults(faults_file()))


# ----------------------------------------------------------------------------------------------- the ranking


def steady(**percent: float) -> Location:
    """Ranking of flows in percent of the programme, each known to 2 %."""
    return ranked(
        [Shown(name, KNOWN.quantity[name].title, z, "%", z / 2.0, "x", spread=2.0) for name, z in percent.items()]
    )


def test_what_is_lost_steadily_beside_a_bolus_is_not_in_it_and_is_a_leak() -> None:
    assert steady(bolus=0.0, passed=0.0, lost=29.0).tied == ("leak",)


def test_what_a_drifting_balance_gains_beside_a_bolus_is_no_pump_and_no_leak() -> None:
    found = steady(bolus=0.0, passed=0.0, lost=-14.0, delivered=14.0)
    assert (found.tied, found.owner) == (("balance-drift",), "rig")


def test_a_pump_that_gives_too_little_gives_it_in_boluses_too() -> None:
    assert steady(bolus=-25.0, passed=-25.0, lost=0.0).tied == ("under-delivery",)


def test_a_steady_loss_is_no_change_of_the_flow_where_the_programme_changes() -> None:
    """300 uL/h of a bridge, then 40: 10 uL/h lost are another share of each."""
    programmed = np.repeat([300.0, 40.0], [4, 20])
    edges = np.arange(programmed.size + 1) * 600.0
    parts = _Parts(edges, programmed, programmed, programmed - 10.0)
    (change,) = _change("caught-change", parts, parts.balance, "balance.mass")
    assert change.value == pytest.approx(0.0, abs=1e-9)


@st.composite
def signatures(draw: st.DrawFn) -> tuple[str, list[Shown]]:
    """A cause, and a run that shows all that it has to show and nothing else but noise."""
    name = draw(st.sampled_from(sorted(KNOWN.cause)))
    cause = KNOWN.cause[name]
    side = draw(st.sampled_from([1.0, -1.0])) if cause.size == "+-" else 1.0
    found = dict.fromkeys(KNOWN.quantity, 0.0)
    for family in (cause.mean, cause.change):
        size = draw(st.floats(60.0, 90.0))
        found |= {one: side * ratio * size / FLOWS[one] for one, ratio in family.items()}
    for group in cause.has_to_show:
        for sign in group[: draw(st.integers(1, len(group)))]:
            if sign.quantity not in cause.ratios:
                found[sign.quantity] = (sign.side or side) * draw(st.floats(4.0, 6.0))
    noise = draw(st.lists(st.floats(-0.8, 0.8), min_size=len(found), max_size=len(found)))
    return name, [shown(one, z + e) for (one, z), e in zip(found.items(), noise, strict=True)]


@given(signatures())
def test_what_shows_all_of_a_cause_and_nothing_else_is_that_cause_or_tied_with_it(
    drawn: tuple[str, list[Shown]],
) -> None:
    name, found = drawn
    assert name in ranked(found).tied


@settings(max_examples=50)
@given(st.lists(st.floats(-1.0, 1.0), min_size=len(KNOWN.quantity), max_size=len(KNOWN.quantity)))
def test_noise_is_nothing(noise: list[float]) -> None:
    location = ranked([shown(name, z) for name, z in zip(KNOWN.quantity, noise, strict=True)])
    assert location.tied == (NOTHING,)
    assert location.owner == "nobody"


@settings(max_examples=30)
@given(signatures(), st.randoms(use_true_random=False))
def test_the_order_in_which_quantities_come_changes_nothing(drawn: tuple[str, list[Shown]], random: Random) -> None:
    _, found = drawn
    mixed = list(found)
    random.shuffle(mixed)
    one, other = ranked(found), ranked(mixed)
    assert one.tied == other.tied
    assert one.next_action == other.next_action


@settings(max_examples=50)
@given(signatures(), st.sets(st.sampled_from(sorted(KNOWN.quantity))))
def test_a_cause_that_the_run_could_not_show_is_not_ranked(drawn: tuple[str, list[Shown]], gone: set[str]) -> None:
    location = ranked([one for one in drawn[1] if one.name not in gone])
    named = {one.name for one in location.causes}
    assert named.isdisjoint(location.unseen)
    assert len(named & {NOTHING, UNKNOWN}) == 1
    assert (named | set(location.unseen)) - {NOTHING, UNKNOWN} == set(KNOWN.cause)
    assert set(location.alike) <= set(location.unseen)


def test_weights_add_up_and_fall() -> None:
    location = moved(lost=4.0, delivered=-4.0, passed=0.0, bath=0.0, air=0.0, settings=0.0, data_gone=0.0,
                     balance_stands=0.0, blank=0.0, read_back=0.0)  # fmt: skip
    assert not location.alike
    weights = [one.weight for one in location.causes]
    assert sum(weights) == pytest.approx(1.0)
    assert weights == sorted(weights, reverse=True)


def test_a_leak_and_a_drifting_sensor_differ_in_who_kept_to_the_programme() -> None:
    assert moved(lost=5.0, delivered=-4.0, passed=0.0).first.name == "leak"
    assert moved(lost=5.0, delivered=0.0, passed=4.0).first.name == "sensor-drift"
    assert moved(lost=0.0, delivered=4.0, passed=4.0).first.name == "over-delivery"


def test_a_sensor_that_knows_too_little_leaves_leak_and_slow_pump_tied() -> None:
    blind = [shown("delivered", -5.0), *(replace(shown(one, 0.0), spread=40.0) for one in ("lost", "passed"))]
    certain = [shown("delivered", -5.0), shown("lost", 0.0), shown("passed", -5.0)]
    gaps = [next(c.behind for c in ranked(found).causes if c.name == "leak") for found in (blind, certain)]
    assert gaps[0] < 6.0 < gaps[1]


def test_causes_that_are_tied_come_in_the_order_rig_before_catheter_before_pump() -> None:
    location = moved(line_loss=5.0)
    assert location.tied == ("rig-leak", "catheter-leak")
    assert location.next_action == KNOWN.quantity["rig-loss"].test


def test_the_next_action_tests_what_the_first_two_differ_in() -> None:
    location = moved(pressure_rise=5.0, pressure_stays=5.0)
    assert set(location.tied) == {"valve-stuck-closed", "occlusion"}
    assert "valve-test" in location.next_action


def test_a_second_fault_is_named_beside_the_first() -> None:
    location = moved(delivered=5.0, passed=5.0, lost=0.0, blank=5.0)
    assert {location.first.name, location.besides} == {"over-delivery", "dry-evaporation-trap"}


# --------------------------------------------------------------------------------- what is odd, and nobody explains


def test_nothing_is_no_answer_while_a_check_that_counts_objects() -> None:
    sound = [shown(name, 0.0) for name in KNOWN.quantity]
    assert ranked(sound).first.name == NOTHING
    location = ranked(sound, objections=["excluded"])
    assert (location.first.name, location.owner) == (UNKNOWN, "nobody")
    assert NOTHING not in {one.name for one in location.causes}
    assert location.next_action == "read what the report says of excluded"


@pytest.mark.parametrize("z", [-6.0, -4.5, 4.5, 6.0])
def test_nothing_is_no_answer_where_a_quantity_is_certainly_odd(z: float) -> None:
    location = moved(**(dict.fromkeys((name.replace("-", "_") for name in KNOWN.quantity), 0.0) | {"no_flow": z}))
    assert NOTHING not in {one.name for one in location.causes}


def test_what_no_cause_explains_is_blamed_on_nobody() -> None:
    quiet = dict.fromkeys((name.replace("-", "_") for name in KNOWN.quantity), 0.0)
    location = moved(**quiet | {"span": 6.0})
    assert (location.first.name, location.owner) == (UNKNOWN, "nobody")
    assert [one.name for one in location.first.leaves] == ["span"]
    assert location.next_action == KNOWN.quantity["span"].test


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INVALID])
@pytest.mark.parametrize("optional", [False, True])
def test_a_check_objects_where_it_counts(verdict: Verdict, optional: bool) -> None:
    with Run.open(next(path for path in RUNS if path.stem.startswith("flow-accuracy"))) as run:
        assert run.evaluation is not None
        further = check(None, None, None, verdict=verdict, optional=optional)
        location = locate(run, Evaluation((*run.evaluation.checks, further)))
    assert location.objections == (() if optional else ("x",))
    assert (location.first.name == NOTHING) is optional


def test_a_steady_leak_is_a_leak_though_every_bolus_is_right() -> None:
    """The basal flow is taken off a bolus, and a steady loss with it."""
    location = moved(lost=6.0, bolus=0.2, passed=-0.3, passed_change=2.0, lost_change=0.5, parted=0.7, blank=0.0)
    assert location.first.name == "leak"
    assert moved(lost=0.0, bolus=5.0, passed=5.0, read_back=0.0).first.name == "over-delivery"


# --------------------------------------------------------------------------------- what a run could not have shown


STANDS = {"delivered": -6.0, "passed": -6.0, "passed_change": -6.0, "caught_change": -6.0, "lost_change": 0.0}


def test_a_stall_that_a_closed_line_brings_about_as_well_is_not_the_pumps_alone() -> None:
    stall = STANDS | {"no_flow": 6.0, "alarm_stall": 6.0, "lost": 0.0}
    location = moved(**stall)
    assert location.first.name == "motor-stall"
    assert {"occlusion", "valve-stuck-closed"} <= set(location.alike)
    assert {"rig", "catheter"} <= set(location.whose)
    assert location.first.weight < 0.5
    assert location.next_action == KNOWN.quantity["pressure-rise"].test
    seen = moved(**stall, pressure_rise=0.0)
    assert {"occlusion", "valve-stuck-closed"}.isdisjoint(seen.alike)


def test_a_pump_without_a_bath_thermometer_may_be_cold() -> None:
    slow = {"delivered": -5.0, "passed": -5.0, "lost": 0.0, "read_back": 0.0}
    assert "bath-off" in moved(**slow).alike
    assert "rig" in moved(**slow).whose
    assert "bath-off" not in moved(**slow, bath=0.0).alike


def test_a_loss_on_the_balance_without_a_flow_sensor_may_be_its_tracked_zero() -> None:
    location = moved(delivered=-5.0, blank=0.0, read_back=0.0)
    assert location.owner == "dut"
    assert {"auto-zero", "leak"} <= set(location.alike)
    assert "auto-zero" not in moved(delivered=-5.0, blank=0.0, read_back=0.0, settings=0.0).alike


def test_a_flow_that_only_falls_short_is_no_closed_line() -> None:
    location = moved(delivered=-5.0, passed=-5.0, lost=0.0, passed_change=0.0, caught_change=0.0, lost_change=0.0)
    assert {"valve-stuck-closed", "occlusion", "disconnect"}.isdisjoint(location.alike)


# ----------------------------------------------------------------------------------------------- what is shown


def check(value: float | None, low: float | None, high: float | None, u: float = 0.0, **more: Any) -> Check:
    verdict = more.pop("verdict", Verdict.PASS)
    return Check(
        "x",
        "X",
        value,
        str(more.pop("unit", "%")),
        verdict,
        "rig",
        u,
        limit_low=low,
        limit_high=high,
        **more,
    )


@pytest.mark.parametrize(
    ("found", "z"),
    [
        (check(14.5, -14.5, 14.5), 3.0),
        (check(-29.0, -14.5, 14.5), -6.0),
        (check(5.0, 0.0, 6.0), 2.0),
        (check(5.0, 0.0, 6.0, u=4.0), 0.5),  # a value that is not known well says little
        (check(1.0, None, 2.0), 0.5),  # well within its only limit
        (check(2.0, None, 2.0), 2.0),
        (check(3.0, None, 2.0), 4.5),
        (check(100.0, 50.0, None), 0.0),
        (check(25.0, 50.0, None), -4.5),
        (check(80.0, 60.0, None, unit="kPa"), 0.0),
        (check(54.0, 60.0, None, unit="kPa"), -4.0),
        (check(0.0, None, 0.0, unit="1"), 0.0),
        (check(1.0, None, 0.0, unit="1"), 6.0),
        (check(None, None, None, verdict=Verdict.FAIL), 6.0),
    ],
)
def test_a_check_counts_by_how_far_it_is_on_the_way_to_its_limit(found: Check, z: float) -> None:
    one = of_check(found)
    assert one is not None
    assert one.z == pytest.approx(z, abs=1e-6)


@pytest.mark.parametrize("found", [check(None, -1.0, 1.0, verdict=Verdict.NOT_MEASURED), check(1.0, None, None)])
def test_a_check_without_value_or_limits_says_nothing(found: Check) -> None:
    assert of_check(found) is None


def test_steps_that_contradict_each_other_are_no_wrong_rate() -> None:
    steps = [replace(check(value, -10.0, 10.0), name=f"step-{n}-error") for n, value in enumerate((20.0, 12.0, -1.0))]
    contrary, alike = (by_name(list(of_checks(some, KNOWN)))["delivered"] for some in (steps, steps[:2]))
    assert contrary.z == 0.0
    assert alike.value == 12.0


@given(st.floats(8.0, 100.0), st.integers(3, 27), st.sampled_from([1.0, -1.0]), st.integers(0, 2**32 - 1))
def test_a_step_of_a_flow_is_found_with_its_size_at_its_place(size: float, at: int, side: float, seed: int) -> None:
    flow = np.random.default_rng(seed).normal(100.0, 0.5, 30)
    flow[at:] += side * size
    change, spread, first = largest_change(flow)
    assert first == at
    assert change == pytest.approx(side * size, abs=2.0)
    assert abs(change) > 3.0 * spread


@given(st.integers(0, 2**32 - 1))
def test_a_flow_that_only_scatters_has_not_changed(seed: int) -> None:
    change, spread, _ = largest_change(np.random.default_rng(seed).normal(100.0, 1.0, 30))
    assert abs(change) < 3.0 * spread


@pytest.mark.parametrize(
    ("declared", "spread"),
    [
        (None, 5.0),
        ({"low_percent": -14.5, "high_percent": 14.5}, 14.5 / 3.0),
        ({"low_percent": None, "high_percent": 12.0}, 4.0),
        ({"low_percent": -12.0, "high_percent": None}, 4.0),
    ],
)
def test_what_is_weighed_without_a_limit_counts_by_the_declared_mean(declared: object, spread: float) -> None:
    run: Any = SimpleNamespace(dut={"limits": {"mean": declared}})
    assert pump_percent(run) == pytest.approx(spread)
    weighed = of_check(check(2.0 * spread, None, None, 0.1), spread)
    assert weighed is not None
    assert (weighed.z, weighed.spread) == (pytest.approx(2.0), pytest.approx(spread))
    assert of_check(check(2.0 * spread, None, None, 0.1)) is None


def pump_read(*alarms: str, log: tuple[str, ...] = (), clock_s: float | None = None) -> Any:
    """A run of which the pump was read before and after."""
    fields = {"clock_s": clock_s, "answered_s": 0.0}
    before = SimpleNamespace(fields=fields | {"key": "before", "alarms": (), "log": log[:1]})
    after = SimpleNamespace(fields=fields | {"key": "after", "alarms": alarms, "log": log})
    return SimpleNamespace(procedure="flow-accuracy", records=lambda kind: [before, after])


@pytest.mark.parametrize(
    ("told", "alarm"),
    [
        ("stall", "alarm-stall"),
        ("Motor stalled!", "alarm-stall"),
        ("LOW BATTERY", "alarm-low-battery"),
        ("Battery: low", "alarm-low-battery"),
        ("Occlusion detected", "alarm-occlusion"),
        ("low reservoir", ""),
    ],
)
def test_an_alarm_that_a_person_typed_is_known_by_its_words(told: str, alarm: str) -> None:
    found = {one.name for one in pump_says(pump_read(told)) if one.z}
    assert found == ({alarm} if alarm else set())


def test_a_log_that_nobody_read_shows_no_pump_without_a_reset() -> None:
    assert "reset-logged" not in {one.name for one in pump_says(pump_read())}
    logged = {one.name: one.z for one in pump_says(pump_read(log=("start", "RESET 2"), clock_s=1.0))}
    assert logged["reset-logged"] == CERTAIN
    whole = {one.name: one.z for one in pump_says(pump_read(log=("start", "stop"), clock_s=1.0))}
    assert whole["reset-logged"] == 0.0


# ------------------------------------------------------------------------------------------------- run files


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_nothing_is_odd_in_a_sealed_sound_run(path: Path) -> None:
    with Run.open(path) as run:
        stored = run.evaluation
        assert stored is not None
        assert locate(run, stored).first.name == NOTHING


def test_what_a_simulated_run_was_given_is_not_read(tmp_path: Path) -> None:
    path = next(path for path in RUNS if path.stem.startswith("flow-accuracy"))
    told = tmp_path / "told.h5"
    shutil.copyfile(path, told)
    with h5py.File(told, "r+") as file:
        entry = file["entry"]
        if "faults" in entry:
            del entry["faults"]
        entry["faults"] = '["leak:0.3@0s"]'
    found = []
    for one in (path, told):
        with Run.open(one) as run:
            assert run.evaluation is not None
            found.append(shows(run, run.evaluation))
    assert found[0] == found[1]


def test_a_run_that_holds_nothing_is_answered() -> None:
    path = next(path for path in RUNS if path.stem.startswith("read-out"))
    with Run.open(path) as run:
        location = locate(run, Evaluation(()))
    assert location.first.name == NOTHING
    assert location.next_action == "none: nothing is odd"
