"""The parts of a refill's analysis against closed forms."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checks import Verdict
from data.schedule import Schedule
from protocols.analysis.refill import needle, records, septum
from protocols.analysis.refill.after import largest_surge
from protocols.analysis.refill.ledger import Syringes, syringes
from protocols.procedure import ParamError
from protocols.refill_port import RefillPort

WATER, AIR = 0.998207, 0.0012


def said(answers, events=(), fluid=None, **params):
    """As much of a run as these functions read."""
    known = {"ledger": "weighed", "weighing_mg": 5.0, "order": "", "punctures": 0, "septum_weighing_mg": 0.2, **params}

    def of(kind):
        return [SimpleNamespace(t=t, kind=k, fields=fields) for t, k, fields in events if k == kind]

    dut = {"septum_punctures": 500}
    return SimpleNamespace(answers=answers, params=known, records=of, dut=dut, fluid=fluid or {})


def masses(fill, empty):
    return {"fill-mass": 80e3, "filled-mass": 80e3 - fill, "empty-2-mass": 40e3, "emptied-2-mass": 40e3 + empty}


def test_what_a_syringe_has_lost_becomes_a_volume_with_its_buoyancy():
    found = syringes(said(masses(18_000.0, 16_000.0)), WATER, AIR)

    assert found.filled_ul == pytest.approx(18_000.0 * 1.00285, rel=1e-5)  # Z at 20 degC and 1013 hPa
    assert found.emptied_ul == (None, pytest.approx(16_000.0 * 1.00285, rel=1e-5))
    assert found.volume("", 0.0).u == pytest.approx(math.sqrt(2.0) * 5.014, rel=1e-3)


def test_a_graduation_is_a_volume_with_a_larger_u():
    answers = {"fill-graduation": 40_000.0, "filled-graduation": 22_000.0}
    found = syringes(said(answers, ledger="scale"), WATER, AIR)

    assert found.filled_ul == 18_000.0
    assert found.volume("", 18_000.0).u == pytest.approx(math.sqrt(2.0) * 200.0 / math.sqrt(3.0))


def test_a_syringe_that_was_not_weighed_twice_says_nothing():
    found = syringes(said({"fill-mass": 80e3}), WATER, AIR)

    assert found == Syringes(None, (None, None), None, found.u_reading_ul, found.u_gain, True)


def trace(stop_mm=20.0, beside=False):
    depth = np.arange(0.0, 20.2, 0.02)
    force = 0.02 * np.maximum(depth - 5.0, 0.0)
    if not beside:
        force = np.where(depth < 6.5, 4.0 / 3.0 * np.maximum(depth - 5.0, 0.0), 0.45)
        force = force + 20.0 * np.maximum(depth - stop_mm, 0.0)
    return depth, force


def test_the_puncture_is_the_highest_force_before_the_stop():
    depth, force = trace()
    peak = needle._peak(depth, force, 20.0)

    assert peak is not None
    assert peak.value_n == pytest.approx(4.0 / 3.0 * 1.49, abs=1e-3)  # between 6.48 mm and the puncture at 6.5 mm
    assert peak.at_mm == pytest.approx(6.49, abs=0.02)
    assert peak.u_n == pytest.approx(0.02 * 4.0 / 3.0 / math.sqrt(12.0), rel=1e-6)
    assert needle._plateau(depth, force, peak.at_mm, 20.0) == pytest.approx(0.45)


def test_gel_is_no_puncture():
    assert needle._peak(*trace(beside=True), 20.0) is None


@given(st.lists(st.floats(-5.0, 5.0), min_size=2, max_size=40), st.integers(1, 10))
def test_the_largest_surge_is_the_largest_rise_within_the_window(steps, window):
    over = np.cumsum(steps)
    every = [over[k] - over[i] for k in range(len(over)) for i in range(max(0, k - window), k)]
    found, first, last = largest_surge(over, window)

    assert found == pytest.approx(max(0.0, *every))
    assert over[last] - over[first] == pytest.approx(found)
    assert last - first <= window


ORDER = Schedule.parse("300 ug/day at 2000 ug/mL; drug baclofen")


@pytest.mark.parametrize(
    ("label", "off"),
    [
        ("baclofen 2000 ug/mL", 0.0),
        ("Baclofen, 2 mg/mL", 0.0),
        ("baclofen 500 ug/mL", -75.0),
        ("morphine 2000 ug/mL", 100.0),
        ("none", 100.0),
    ],
)
def test_the_label_of_the_vial_is_compared_by_drug_and_concentration(label, off):
    check = records._vial(said({"vial": label}), ORDER)

    assert check.value == pytest.approx(off)
    assert check.verdict.value == ("fail" if off else "pass")
    assert check.owner == "record"


def test_a_program_of_another_dose_concentration_or_drug_is_another_program():
    for text in ("3000 ug/day at 2000 ug/mL; drug baclofen", "300 ug/day at 500 ug/mL; drug baclofen"):
        assert records._same("order", "", Schedule.parse(text), ORDER).verdict.value == "fail"
    morphine = Schedule.parse("300 ug/day at 2000 ug/mL; drug morphine")
    assert records._same("order", "", morphine, ORDER).verdict.value == "fail"
    assert records._same("order", "", Schedule.parse("0.15 mL/day at 2 mg/mL; drug Baclofen"), ORDER).value == 0.0


def test_a_dose_stands_with_drug_concentration_and_rate():
    check = records._dose(ORDER)

    assert (check.value, check.unit) == (pytest.approx(300.0), "ug/day")
    assert check.note == "baclofen at 2000 ug/mL, 0.15 mL/day (6.25 uL/h)"


def leak(how, before, after, days=2.0):
    events = [(0.0, "answer", {"key": "leak-before"}), (days * 86_400.0, "answer", {"key": "leak-after"})]
    run = said({"leak-before": before, "leak-after": after}, events, septum=how)
    return septum.leak(run, WATER, 1.0 / 24.0, "the maker", ())


def test_a_cored_septum_shows_in_the_mass_of_the_pump():
    check = leak("mass", 10.0, 10.0 - 6.0 * WATER)

    assert check.value == pytest.approx(3.0)
    assert check.standard_uncertainty == pytest.approx(math.sqrt(2.0) * 0.2 / WATER / 2.0)
    assert check.verdict.value == "fail"
    assert leak("mass", 10.0, 10.0).verdict.value == "pass"


@pytest.mark.parametrize(("how", "moved", "said"), [("mass", 40.0, "pump less dummy"), ("coupon", -5.0, "went back")])
def test_a_septum_that_takes_fluid_in_was_read_the_wrong_way_round(how, moved, said):
    check = leak(how, 12.0, 12.0 + moved)

    assert (check.verdict, check.optional) == (Verdict.INVALID, False)
    assert said in check.note
    assert leak(how, 12.0, 12.0 + moved / 100.0).verdict is Verdict.PASS  # within the noise of two readings


@pytest.mark.parametrize(("limit", "optional"), [(1.0, False), (None, True)])
def test_a_leak_that_is_limited_counts_where_it_was_not_read_twice(limit, optional):
    check = septum.leak(said({"leak-before": 3.0}, septum="mass"), WATER, limit, "the maker", ())
    assert (check.verdict, check.optional) == (Verdict.NOT_MEASURED, optional)


def test_85_nl_a_day_are_10_8_mm_of_the_capillary():
    check = leak("coupon", 3.0, 3.0 + 21.6)

    assert check.value == pytest.approx(0.0848, rel=1e-3)
    assert check.expanded_uncertainty < 0.006


@pytest.mark.parametrize(("moved_mm", "nl"), [(0.0, 5.5), (10.8, 6.5)])
def test_two_readings_of_the_capillary_tell_a_leak_to_what_the_guide_says(moved_mm, nl):
    assert leak("coupon", 3.0, 3.0 + moved_mm, days=1.0).expanded_uncertainty == pytest.approx(nl / 1000.0, abs=5e-5)


def test_parameters_that_contradict_each_other_are_refused():
    with pytest.raises(ParamError, match='"last"'):
        RefillPort(fill="2 mL", last="3 mL")
    with pytest.raises(ParamError, match="overfill"):
        RefillPort(overfill="yes", overfill_most="10 mL")
    with pytest.raises(ValueError, match="schedule"):
        RefillPort(order="two of the red ones")


@pytest.mark.parametrize("schedule", ["0 mL/day", "stopped"])
def test_a_watch_in_which_nothing_is_delivered_is_refused(schedule):
    with pytest.raises(ParamError, match=r'"schedule": nothing is delivered .* above 0 mL/day'):
        RefillPort(schedule=schedule)


def test_nothing_is_pushed_faster_than_a_millilitre_in_three_seconds():
    with pytest.raises(ParamError, match="choose a value of at most 1200 mL/h"):
        RefillPort(push="1300 mL/h")


def test_its_shortest_form_has_valid_parameters():
    assert RefillPort(**RefillPort.qualification).analysis_s == 4 * 3600.0
