import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.analysis.flow_log import FlowLogSettings, analyse_flow_log
from protocols.analysis.grid import RecordError

HOUR_S = 3600.0
SETTINGS = FlowLogSettings(set_rate_ul_per_h=10_000.0, interval_s=30.0, density_mg_per_ul=0.998)
T_S = np.arange(121) * 30.0


def masses(flow_ul_per_h, interval_s=30.0, density=0.998):
    return np.concatenate([[0.0], np.cumsum(np.asarray(flow_ul_per_h) * interval_s * density / HOUR_S)])


def test_vectors_1_to_4_have_their_overall_errors():
    index = np.arange(1, 121)
    flows = {
        "3.000000": np.full(120, 10_300.0),
        "3.025000": 10_000.0 * (1.0 + 0.0005 * index),
        "-0.833333": np.where(index % 7 == 0, 70_000.0, 0.0),
        "0.000000": 10_000.0 * (1.0 + 0.1 * np.sin(2.0 * np.pi * index / 40.0)),
    }
    for expected, flow in flows.items():
        result = analyse_flow_log(T_S, masses(flow), SETTINGS)
        assert f"{result.overall.error_percent:.6f}".replace("-0.000000", "0.000000") == expected
        assert result.to_json()["flow"]["flow_ul_per_h"] == pytest.approx(flow.tolist(), abs=1e-6)


def test_vector_5_has_its_overall_error():
    flow = 1000.0 / 24.0 * (1.0 + 0.02 * np.sin(2.0 * np.pi * np.arange(1, 101) / 96.0))
    ambulatory = FlowLogSettings(1000.0 / 24.0, 900.0, 0.998)
    result = analyse_flow_log(np.arange(101) * 900.0, masses(flow, 900.0), ambulatory)
    assert f"{result.overall.error_percent:.6f}" == "0.012997"
    assert [point.windows for point in result.trumpet] == [100, 97, 91, 79, 63, 39]


def test_the_json_has_the_agreed_keys():
    found = analyse_flow_log(T_S, masses(np.full(120, 10_300.0)), SETTINGS).to_json()
    assert list(found) == ["overall_error_percent", "mean_flow_ul_per_h", "flow", "trumpet", "startup", "excluded"]
    assert list(found["flow"]) == ["time_s", "flow_ul_per_h"]
    assert list(found["trumpet"][0]) == ["window_s", "windows", "windows_used", "ep_max_percent", "ep_min_percent"]
    assert list(found["startup"]) == ["time_to_95_percent_s"]
    assert found["flow"]["time_s"][:2] == [30.0, 60.0]


def test_the_analysis_starts_with_the_interval_that_begins_at_start():
    flow = np.concatenate([np.full(60, 5_000.0), np.full(60, 10_100.0)])
    result = analyse_flow_log(T_S, masses(flow), replace(SETTINGS, start_s=1800.0))
    assert result.overall.error_percent == pytest.approx(1.0)
    assert [point.windows for point in result.trumpet] == [59, 57, 51, 39, 23]
    assert all(point.ep_min_percent == pytest.approx(1.0) for point in result.trumpet)
    assert result.time_to_95_percent_s == 1830.0
    assert "windows longer than the analysis are left out: 1860 s" in result.notes


def test_start_up_counts_from_the_first_sample_whatever_the_axis():
    flow = np.concatenate([np.full(20, 5_000.0), np.full(100, 10_100.0)])
    assert analyse_flow_log(1e6 + T_S, masses(flow), SETTINGS).time_to_95_percent_s == 630.0


def test_the_end_is_the_last_whole_interval():
    result = analyse_flow_log(T_S, masses(np.full(120, 10_300.0)), replace(SETTINGS, start_s=15.0, end_s=3599.0))
    assert result.overall.used_s == 3570.0
    assert any("the 14 s up to 3599 s are no whole sample interval" in note for note in result.notes)


def test_evaporation_is_added_back_and_buoyancy_corrected():
    mass = masses(np.full(120, 10_000.0)) - 50.0 * T_S / HOUR_S
    plain = analyse_flow_log(T_S, mass, SETTINGS)
    corrected = analyse_flow_log(T_S, mass, replace(SETTINGS, evaporation_mg_per_h=50.0))
    buoyant = analyse_flow_log(T_S, mass, replace(SETTINGS, evaporation_mg_per_h=50.0, air_mg_per_ul=0.0012))
    assert plain.overall.error_percent == pytest.approx(-100.0 * 50.0 / 9980.0)
    assert corrected.overall.error_percent == pytest.approx(0.0, abs=1e-9)
    assert buoyant.overall.error_percent == pytest.approx(0.1054, abs=1e-4)


def test_a_gap_excludes_windows_only_when_a_largest_gap_is_given():
    there = (T_S < 1000.0) | (T_S > 1500.0)
    mass = masses(np.full(120, 10_300.0))[there]
    bridged = analyse_flow_log(T_S[there], mass, SETTINGS)
    excluded = analyse_flow_log(T_S[there], mass, replace(SETTINGS, max_gap_s=60.0))
    assert [point.windows_used for point in bridged.trumpet] == [119, 117, 111, 99, 83, 59]
    assert any("1 spacings over 3 times the median were bridged: 990-1530 s" in note for note in bridged.notes)
    assert [(one.from_s, one.to_s) for one in excluded.excluded] == [(990.0, 1530.0)]
    assert excluded.overall == bridged.overall
    # 33 intervals before the gap, 69 after it
    assert [point.windows_used for point in excluded.trumpet] == [32 + 68, 30 + 66, 24 + 60, 12 + 48, 0 + 32, 0 + 8]
    assert excluded.to_json()["flow"]["flow_ul_per_h"][40] is None


def test_an_emptied_vessel_is_excluded_from_everything():
    mass = masses(np.full(120, 10_300.0))
    mass[60:] -= 4000.0
    result = analyse_flow_log(T_S, mass, SETTINGS)
    assert [(one.from_s, one.to_s) for one in result.excluded] == [(1770.0, 1800.0)]
    assert result.overall.error_percent == pytest.approx(3.0)
    assert result.overall.share_used == pytest.approx(119 / 120)
    assert [point.windows_used for point in result.trumpet] == [58 + 59, 56 + 57, 50 + 51, 38 + 39, 22 + 23, 0]
    assert all(point.ep_max_percent == pytest.approx(3.0) for point in result.trumpet if point.windows_used)


def test_denser_and_irregular_logs_give_what_the_grid_gives():
    dense = np.unique(np.concatenate([T_S, np.random.Generator(np.random.Philox(1)).uniform(0.0, 3600.0, 2000)]))
    flow = 10_000.0 * (1.0 + 0.1 * np.sin(np.arange(1, 121) / 5.0))
    on_grid = analyse_flow_log(T_S, masses(flow), SETTINGS)
    again = analyse_flow_log(dense, np.interp(dense, T_S, masses(flow)), SETTINGS)
    for one, other in zip(on_grid.trumpet, again.trumpet, strict=True):
        assert (other.ep_max_percent, other.ep_min_percent) == pytest.approx((one.ep_max_percent, one.ep_min_percent))


def brute_force(t_s, mass, settings):
    """The conventions, word by word, in plain Python."""
    start, end = settings.start_s, settings.end_s
    n = int((end - start) / settings.interval_s + 1e-9)

    def mass_at(t):
        for (t0, m0), (t1, m1) in pairwise(zip(t_s, mass, strict=True)):
            if t0 <= t <= t1:
                return m0 + (m1 - m0) * (t - t0) / (t1 - t0) + settings.evaporation_mg_per_h * (t - start) / 3600.0
        raise AssertionError

    grid = [mass_at(start + i * settings.interval_s) for i in range(n + 1)]
    flow = [(b - a) / (settings.interval_s * settings.density_mg_per_ul) * 3600.0 for a, b in pairwise(grid)]
    rate = settings.set_rate_ul_per_h
    trumpet = []
    for window in settings.windows_s:
        k = round(window / settings.interval_s)
        errors = [sum(100.0 * (q - rate) / rate for q in flow[j : j + k]) / k for j in range(n - k + 1)]
        trumpet.append((max(errors), min(errors), len(errors)))
    return 100.0 * (sum(flow) / n - rate) / rate, trumpet


@given(
    st.lists(st.tuples(st.floats(0.2, 5.0), st.floats(0.5, 1.5)), min_size=20, max_size=60),
    st.sampled_from([1.0, 2.0, 3.0]),
    st.floats(0.0, 1.0),
    st.floats(-1.0, 5.0),
)
@settings(max_examples=60)
def test_the_results_are_those_of_a_brute_force_computation(steps, interval_s, offset, evaporation):
    t_s = np.cumsum([0.0] + [dt for dt, _ in steps])
    mass = np.cumsum([7.0] + [dt * flow for dt, flow in steps])
    settings_ = FlowLogSettings(
        set_rate_ul_per_h=3600.0,
        interval_s=interval_s,
        density_mg_per_ul=1.02,
        start_s=offset,
        end_s=float(t_s[-1]),
        windows_s=(interval_s, 2.0 * interval_s),
        evaporation_mg_per_h=evaporation,
    )
    if t_s[-1] - offset < 2.0 * interval_s:
        return
    result = analyse_flow_log(t_s, mass, settings_)
    overall, trumpet = brute_force(t_s.tolist(), mass.tolist(), settings_)
    assert result.overall.error_percent == pytest.approx(overall, abs=1e-7)
    found = [(point.ep_max_percent, point.ep_min_percent, point.windows) for point in result.trumpet]
    for one, other in zip(found, trumpet, strict=True):
        assert one == pytest.approx(other, abs=1e-7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"set_rate_ul_per_h": 0.0}, "set rate must be above 0"),
        ({"interval_s": 0.0}, "sample interval must be above 0"),
        ({"density_mg_per_ul": -1.0}, "density must be above 0"),
        ({"max_gap_s": 0.0}, "largest gap must be above 0"),
        ({"start_s": -60.0}, "choose start and end inside the log"),
        ({"end_s": 3700.0}, "choose start and end inside the log"),
        ({"start_s": 3590.0}, "no sample interval of 30 s fits"),
        ({"windows_s": (45.0,)}, "not a whole number of sample intervals"),
        ({"windows_s": (3630.0,)}, "longer than the 3600 s analysed"),
        ({"set_rate_ul_per_h": math.nan}, "set rate must be above 0"),
    ],
)
def test_settings_that_do_not_go_with_the_log_are_refused(changes, message):
    with pytest.raises(RecordError, match=message):
        analyse_flow_log(T_S, masses(np.full(120, 10_000.0)), replace(SETTINGS, **changes))


def test_a_sample_interval_that_is_too_short_by_its_unit_is_refused():
    with pytest.raises(
        RecordError, match=r"1e-06 s cuts the log of 3600 s into more than 1e\+07 intervals; give a longer"
    ):
        analyse_flow_log(T_S, masses(np.full(120, 10_000.0)), replace(SETTINGS, interval_s=1e-6))


def test_a_mass_that_falls_is_told():
    mass = masses(np.full(120, 10_000.0))
    assert any("the mass falls" in note for note in analyse_flow_log(T_S, -mass, SETTINGS).notes)
    assert not any("the mass falls" in note for note in analyse_flow_log(T_S, mass, SETTINGS).notes)
