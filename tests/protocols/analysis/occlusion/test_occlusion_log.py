"""Logs whose figures are known in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.log import OcclusionLogSettings, analyse_occlusion_log
from protocols.analysis.occlusion.logged_rise import harmonics
from protocols.analysis.occlusion.rise import highest_rise_kpa, initial_slope, raw_crossing_s, time_to_rise_s

RATE, CLOSED, OPENED, BASE, TAU = 1000.0 / 24.0, 1800.0, 5400.0, 1.3, 5.0
FLOW = RATE / 3600.0


def rise(t, compliance, loss):
    """Rise behind a closed line that loses some flow for each kPa."""
    since = np.maximum(t - CLOSED, 0.0)
    return FLOW * since / compliance if loss < 1e-12 else FLOW / loss * -np.expm1(-loss / compliance * since)


def log(compliance=0.5, loss=0.0, every=10.0, noise=0.0, end=7200.0, at_once=False):
    """Times, pressures and volumes at the tip, and the settings that go with them."""
    t = np.arange(0.0, end, every)
    top = float(rise(np.array([OPENED]), compliance, loss)[0])
    since = np.maximum(t - OPENED, 0.0)
    left = np.where(t >= OPENED, 0.0 if at_once else np.exp(-since / TAU), 1.0)
    pressure = BASE + np.minimum(rise(t, compliance, loss), top) * left
    volume = FLOW * (np.minimum(t, CLOSED) + since) + np.where(t >= OPENED, compliance * top * (1.0 - left), 0.0)
    pressure += noise * np.random.default_rng(1).standard_normal(t.size)
    return t, pressure, volume, top


def settings(threshold=60.0, released=OPENED):
    return OcclusionLogSettings(RATE, CLOSED, released, threshold)


@pytest.mark.parametrize("loss", [0.0, 1e-3 * FLOW, 1e-4])
@pytest.mark.parametrize("every", [1.0, 7.0, 60.0])
@pytest.mark.parametrize("at_once", [False, True])
def test_every_figure_of_a_closed_form_log_is_found(loss, every, at_once):
    t, pressure, volume, top = log(0.49, loss, every, at_once=at_once)
    found = analyse_occlusion_log(t, pressure, volume, settings())
    assert found.baseline_kpa == pytest.approx(BASE)
    assert found.compliance_ul_per_kpa == pytest.approx(0.49, rel=2e-4)
    assert found.slope_kpa_per_s == pytest.approx(FLOW / 0.49, rel=2e-4)
    assert found.time_to_threshold_s == pytest.approx(time_to_rise_s(60.0 - BASE, FLOW, 0.49, loss), abs=0.1)
    assert found.pressure_at_release_kpa == pytest.approx(BASE + top, rel=3e-4)
    assert found.bolus_ul == pytest.approx(0.49 * top, rel=1e-4)
    assert found.missed_volume_ul == pytest.approx(FLOW * (OPENED - CLOSED), rel=1e-9)


@tried(max_examples=40)
@given(st.floats(0.05, 5.0), st.floats(0.0, 3e-4), st.floats(0.5, 90.0), st.floats(0.0, 0.3))
def test_noise_and_sampling_do_not_move_the_compliance(compliance, loss, every, noise):
    t, pressure, _, top = log(compliance, loss, every, noise * min(1.0, FLOW * 60.0 / compliance))
    found = analyse_occlusion_log(t, pressure, None, settings(threshold=BASE + 0.5 * top))
    assert found.compliance_ul_per_kpa == pytest.approx(compliance, rel=0.02)
    half = time_to_rise_s(0.5 * top, FLOW, compliance, loss)
    assert found.time_to_threshold_s == pytest.approx(half, rel=0.02, abs=2.0)


def test_without_a_volume_the_bolus_is_compliance_times_rise():
    t, pressure, _, top = log()
    found = analyse_occlusion_log(t, pressure, None, settings())
    assert found.bolus_ul == pytest.approx(0.5 * top)
    assert found.missed_volume_ul == pytest.approx(FLOW * (OPENED - CLOSED))


def test_the_flow_before_counts_and_not_the_set_rate_where_the_volume_tells_it():
    t, pressure, volume, _ = log()
    other = OcclusionLogSettings(RATE / 1.1, CLOSED, OPENED, 60.0)
    assert analyse_occlusion_log(t, pressure, volume, other).compliance_ul_per_kpa == pytest.approx(0.5)
    without = analyse_occlusion_log(t, pressure, None, other)
    assert without.compliance_ul_per_kpa == pytest.approx(0.5 / 1.1)


def test_what_was_delivered_past_a_partial_occlusion_was_not_missed():
    t, pressure, volume, _ = log()
    passed = volume + 0.25 * FLOW * np.clip(t - CLOSED, 0.0, OPENED - CLOSED)
    found = analyse_occlusion_log(t, pressure, passed, settings())
    assert found.missed_volume_ul == pytest.approx(0.75 * FLOW * (OPENED - CLOSED))
    assert found.bolus_ul == pytest.approx(analyse_occlusion_log(t, pressure, volume, settings()).bolus_ul)


def test_a_threshold_that_a_leak_keeps_from_being_reached_has_no_time():
    t, pressure, _, _ = log(loss=FLOW / 40.0)
    assert analyse_occlusion_log(t, pressure, None, settings()).time_to_threshold_s is None
    assert math.isinf(time_to_rise_s(58.7, FLOW, 0.5, FLOW / 40.0))


def test_a_line_that_was_not_opened_has_neither_bolus_nor_pressure_at_release():
    t, pressure, volume, _ = log(end=5000.0)
    found = analyse_occlusion_log(t, pressure, volume, settings(released=None))
    assert (found.bolus_ul, found.missed_volume_ul, found.pressure_at_release_kpa) == (None, None, None)
    assert found.time_to_threshold_s == pytest.approx(58.7 * 0.5 / FLOW)


def test_a_valve_that_pushes_into_the_line_as_it_closes_does_not_change_the_slope():
    t = np.arange(1.0, 3000.0, 1.0)
    found = initial_slope(t, 10.0 + 0.02 * t)
    assert (found.slope_kpa_per_s, found.step_kpa) == (pytest.approx(0.02), pytest.approx(10.0))


def test_rollers_that_begin_to_slip_do_not_change_the_slope_before():
    t = np.arange(10.0, 6000.0, 10.0)
    bent = 40.0 + 60.0 * -np.expm1(-np.maximum(t - 2000.0, 0.0) / 3000.0)
    assert initial_slope(t, np.where(t < 2000.0, 0.02 * t, bent)).slope_kpa_per_s == pytest.approx(0.02, rel=1e-3)


def test_a_pressure_that_does_not_rise_gives_no_compliance():
    t, _, _, _ = log()
    found = analyse_occlusion_log(t, np.full(t.size, BASE), None, settings())
    assert found.compliance_ul_per_kpa is None
    assert found.bolus_ul is None
    assert any("did not rise" in note for note in found.notes)


# ------------------------------------------------------------------------------------- pulsation, bends, a dead time


def closed(every, pressed):
    """Times and a pressure that rises as a function of the time since closing tells, then falls at once."""
    t = np.arange(0.0, 7200.0, every)
    since = np.clip(t - CLOSED, 0.0, None)
    return t, BASE + np.where(t < OPENED, pressed(since), 0.0)


def compliance_and_bends(t, pressure, volume=None):
    found = analyse_occlusion_log(t, pressure, volume, settings())
    return found.compliance_ul_per_kpa, [note for note in found.notes if "bends" in note or "begins to rise" in note]


@pytest.mark.parametrize("period", [200.0, 432.0, 900.0])
@pytest.mark.parametrize("every", [10.0, 60.0])
@pytest.mark.parametrize("swing", [0.1, 1.0])
def test_a_pulsation_of_the_pressure_does_not_move_the_compliance(period, every, swing):
    t, pressure = closed(every, lambda since: FLOW / 0.5 * since)
    found, bends = compliance_and_bends(t, pressure + swing * np.sin(2.0 * math.pi / period * t))
    assert found == pytest.approx(0.5, rel=2e-3)
    assert not bends


def test_a_pulsation_is_told_with_its_period_and_how_many_were_averaged():
    t, pressure = closed(5.0, lambda since: FLOW / 0.5 * since)
    found = analyse_occlusion_log(t, pressure + np.sin(2.0 * math.pi / 400.0 * t), None, settings())
    assert any("a period of 400 s; slope and compliance are means over 8.8 of them" in note for note in found.notes)


@pytest.mark.parametrize("period", [200.0, 432.0, 900.0])
@pytest.mark.parametrize("every", [10.0, 60.0])
def test_strokes_of_flow_move_neither_the_compliance_nor_the_flow_before(period, every):
    turn = 2.0 * math.pi / period

    def pumped(t):
        return FLOW * (t + 0.9 / turn * (1.0 - np.cos(turn * t)))

    t, pressure = closed(every, lambda since: (pumped(since + CLOSED) - pumped(CLOSED)) / 0.5)
    volume = np.where(t < CLOSED, pumped(t), np.where(t < OPENED, pumped(CLOSED), pumped(t)))
    assert compliance_and_bends(t, pressure, volume)[0] == pytest.approx(0.5, rel=5e-3)


@pytest.mark.parametrize("every", [10.0, 60.0])
@pytest.mark.parametrize("swing", [0.0, 0.3, 1.0])
def test_a_leak_is_told_from_a_pulsation(every, swing):
    t, pressure = closed(every, lambda since: FLOW / 5e-5 * -np.expm1(-1e-4 * since))
    found, bends = compliance_and_bends(t, pressure + swing * np.sin(2.0 * math.pi / 432.0 * t))
    assert found == pytest.approx(0.5, rel=2e-3)
    assert not bends


@pytest.mark.parametrize("every", [10.0, 60.0])
@pytest.mark.parametrize("swing", [0.0, 0.3, 1.0])
def test_slipping_rollers_leave_the_first_part_and_a_note(every, swing):
    def pressed(since):
        kink = 40.0 * 0.5 / FLOW
        return np.where(
            since < kink, FLOW / 0.5 * since, 40.0 - 11.6 * np.expm1(-2e-3 * np.clip(since - kink, 0, None))
        )

    t, pressure = closed(every, pressed)
    found, bends = compliance_and_bends(t, pressure + swing * np.sin(2.0 * math.pi / 300.0 * t))
    assert found == pytest.approx(0.5, rel=1e-2)
    assert "those of its first" in bends[0]


def test_a_bend_below_the_ripple_is_seen_in_the_means_over_its_periods():
    t, pressure = closed(5.0, lambda since: FLOW / 0.5 * since - 2e-6 * np.clip(since - 1800.0, 0.0, None) ** 2)
    found, bends = compliance_and_bends(t, pressure + 3.0 * np.sin(2.0 * math.pi / 200.0 * t))
    assert found == pytest.approx(0.5, rel=1e-2)
    assert "those of its first" in bends[0]


def test_a_pulsation_of_too_few_periods_before_a_bend_is_told():
    t, pressure = closed(20.0, lambda since: np.minimum(FLOW / 0.5 * since, 40.0))
    found = analyse_occlusion_log(t, pressure + np.sin(2.0 * math.pi / 1500.0 * t), None, settings(threshold=30.0))
    assert any("pulsates too slowly" in note for note in found.notes)


@pytest.mark.parametrize("dead", [60.0, 120.0])
@pytest.mark.parametrize("every", [10.0, 60.0])
@pytest.mark.parametrize("swing", [0.0, 1.0])
def test_a_dead_time_does_not_move_the_compliance(dead, every, swing):
    t, pressure = closed(every, lambda since: FLOW / 0.5 * np.clip(since - dead, 0.0, None))
    found, told = compliance_and_bends(t, pressure + swing * np.sin(2.0 * math.pi / 200.0 * t))
    assert found == pytest.approx(0.5, rel=5e-3)
    if not swing:
        assert f"begins to rise only {dead:g} s after" in told[0]


@given(st.floats(0.0, 0.5), st.integers(0, 99))
def test_noise_alone_is_neither_a_bend_nor_a_dead_time(noise, seed):
    t, pressure = closed(10.0, lambda since: FLOW / 0.5 * since)
    found, told = compliance_and_bends(t, pressure + noise * np.random.default_rng(seed).standard_normal(t.size))
    assert found == pytest.approx(0.5, rel=0.02)
    assert not told


# ------------------------------------------------------------------------------------------------------ flow and bolus


def notes_of(t, pressure, volume):
    found = analyse_occlusion_log(t, pressure, volume, settings())
    return found, "; ".join(found.notes)


def test_the_notes_say_which_flow_counts_and_what_the_bolus_is():
    t, pressure, volume, _ = log()
    assert "the flow is that of the volume before the occlusion, 41.667 uL/h" in notes_of(t, pressure, volume)[1]
    _, without = notes_of(t, pressure, None)
    assert "the flow is the set rate of 41.667 uL/h" in without
    assert "bolus_ul is compliance times the rise" in without


def test_a_volume_in_another_unit_is_told():
    t, pressure, volume, _ = log()
    assert "1000 times the set rate of 41.667 uL/h; check --volume-unit" in notes_of(t, pressure, 1000.0 * volume)[1]
    assert "check --volume-unit" not in notes_of(t, pressure, 1.1 * volume)[1]


@pytest.mark.parametrize(("at", "lost"), [(1000.0, ""), (3600.0, "missed_volume_ul"), (6000.0, "bolus_ul")])
def test_a_counter_that_is_reset_is_told_and_spoils_only_what_it_counts(at, lost):
    t, pressure, volume, top = log()
    found, notes = notes_of(t, pressure, np.where(t < at, volume, volume - volume[t >= at][0]))
    assert f"the volume falls at {at:g} s" in notes
    expected = {"compliance_ul_per_kpa": 0.5, "bolus_ul": 0.5 * top, "missed_volume_ul": FLOW * 3600.0}
    for name, value in expected.items():
        assert found.to_json()[name] == (None if name == lost else pytest.approx(value, rel=1e-3))


def test_a_log_that_ends_while_the_bolus_flows_says_so():
    t, pressure, volume, top = log(every=1.0, end=OPENED + 6.0)
    found, notes = notes_of(t, pressure, volume)
    assert found.bolus_ul == pytest.approx(0.5 * top * -math.expm1(-5.0 / TAU), rel=1e-3)
    assert "the log ends 5 s after the release" in notes
    assert "the log ends" not in notes_of(*log(every=1.0)[:3])[1]


def test_a_log_that_ends_at_the_release_has_no_bolus():
    t, pressure, volume, _ = log(every=1.0, end=OPENED + 1.0)
    found, notes = notes_of(t, pressure, volume)
    assert found.bolus_ul is None
    assert found.missed_volume_ul == pytest.approx(FLOW * 3600.0)
    assert "the log ends at the release" in notes


@pytest.mark.parametrize(
    ("closed", "released", "threshold", "says"),
    [
        (-5.0, OPENED, 60.0, "it has to show the pressure before: correct the moment"),
        (8000.0, None, 60.0, "before the occlusion at 8000 s has any effect"),
        (CLOSED, 1000.0, 60.0, "the release at 1000 s is not between"),
        (CLOSED, OPENED, 1.0, "is not above the 1.3 kPa before the occlusion"),
        (CLOSED, CLOSED + 11.0, 60.0, "fewer than two rows while the line was closed"),
    ],
)
def test_moments_that_do_not_go_with_the_log_are_refused(closed, released, threshold, says):
    t, pressure, _, _ = log()
    with pytest.raises(RecordError, match=says):
        analyse_occlusion_log(t, pressure, None, OcclusionLogSettings(RATE, closed, released, threshold))


def test_the_closed_forms_agree_with_each_other():
    assert time_to_rise_s(58.7, FLOW, 0.49) == pytest.approx(41.4 * 60.0, rel=0.01)
    assert time_to_rise_s(58.7, FLOW, 0.49, 1e-12) == pytest.approx(time_to_rise_s(58.7, FLOW, 0.49))
    assert highest_rise_kpa(FLOW, 2e-4, 150.0) == pytest.approx(207.9, abs=0.1)  # 208 kPa at 1 mL/day
    assert highest_rise_kpa(FLOW, 0.0) == math.inf
    assert raw_crossing_s(np.array([0.0, 10.0]), np.array([0.0, 4.0]), 1.0) == pytest.approx(2.5)


@pytest.mark.parametrize("every", [10.0, 60.0, 120.0])
@pytest.mark.parametrize("tau", [100.0, 300.0, 1200.0])
def test_coarse_samples_of_a_leak_give_the_compliance_and_the_bolus(every, tau):
    compliance, loss = 0.3, 0.3 / tau
    t, pressure, volume, top = log(compliance, loss, every)
    since = np.clip(t - CLOSED, 0.0, OPENED - CLOSED)
    volume += FLOW * since - compliance * rise(CLOSED + since, compliance, loss)  # what leaks leaves the tip
    found = analyse_occlusion_log(t, pressure, volume, settings(threshold=BASE + 0.5 * top))
    assert found.compliance_ul_per_kpa == pytest.approx(compliance, rel=1e-5)
    assert found.slope_kpa_per_s == pytest.approx(FLOW / compliance, rel=1e-5)
    assert found.bolus_ul == pytest.approx(compliance * top, rel=1e-3)
    assert found.missed_volume_ul == pytest.approx(compliance * top, rel=1e-3)


@pytest.mark.parametrize("rows", [2, 3, 4, 5, 9])
def test_a_rise_of_few_rows_far_above_the_baseline_is_analysed(rows):
    t = np.arange(0.0, 600.0)
    pressure = np.where(t < 100.0, 2.0, 2.0 + 0.1 * (t - 100.0))
    asked = OcclusionLogSettings(360.0, 599.0 - rows, None, 30.0)
    found = analyse_occlusion_log(t, pressure, None, asked)
    assert found.time_to_threshold_s is not None
    assert 0.0 <= found.time_to_threshold_s <= 1.0
    assert any("at the threshold already before the occlusion" in note for note in found.notes)


def test_a_counter_that_is_reset_as_the_line_is_closed_tells_no_missed_volume():
    t, pressure, volume, _ = log()
    found = analyse_occlusion_log(t, pressure, np.where((t >= CLOSED) & (t < OPENED), 0.0, volume), settings())
    assert found.missed_volume_ul is None
    assert any("volume falls at 1800 s" in note for note in found.notes)
    assert "the flow is that of the volume before the occlusion, 41.667 uL/h" in found.notes


def test_a_volume_that_falls_or_stands_is_told():
    t, pressure, volume, _ = log()
    falling = analyse_occlusion_log(t, pressure, -volume, settings())
    assert any("the volume falls before the occlusion, by 41.667 uL/h" in note for note in falling.notes)
    standing = analyse_occlusion_log(t, pressure, 0.0 * volume, settings())
    assert any("bolus_ul is below zero" in note for note in standing.notes)
    assert not any("below zero" in note for note in analyse_occlusion_log(t, pressure, volume, settings()).notes)


def test_a_single_row_after_a_long_gap_has_no_harmonics():
    assert harmonics(np.array([1e5]), 60.0) == []


def test_what_the_pump_counts_is_told_from_what_left_the_tip():
    t, pressure, volume, _ = log()
    counted = analyse_occlusion_log(t, pressure, FLOW * t, settings())
    assert any("seems to be what the pump counts" in note for note in counted.notes)
    t, pressure, volume, _ = log(0.3, 3e-4)
    since = np.clip(t - CLOSED, 0.0, OPENED - CLOSED)
    leaking = analyse_occlusion_log(
        t, pressure, volume + FLOW * since - 0.3 * rise(CLOSED + since, 0.3, 3e-4), settings()
    )
    assert not any("counts" in note for note in leaking.notes)
