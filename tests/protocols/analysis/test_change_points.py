import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.analysis.change_points import change_points, saturated
from protocols.analysis.grid import RecordError

HOUR_S = 3600.0


def generator(seed):
    return np.random.Generator(np.random.Philox(seed))


def autoregression(seed, size, coefficient):
    noise = generator(seed).standard_normal(size).tolist()
    out, last = [], 0.0
    for value in noise:
        last = coefficient * last + value
        out.append(last)
    return np.array(out)


def imitation(seed):
    """A log like that of a real micropump: high with a stop, a long decrease, a swinging plateau, a sawtooth."""
    t_s = np.arange(0.0, 65.0 * HOUR_S, 5.0)
    hours = t_s / HOUR_S
    flow = np.select(
        [hours < 5.0, hours < 20.0, hours < 38.0],
        [
            4450.0 - 30.0 * hours,
            430.0 + 2700.0 * np.maximum(1.0 - (hours - 5.0) / 15.0, 0.0) ** 1.15,
            740.0 + 110.0 * np.sin(2.0 * np.pi * hours / 0.9),
        ],
        450.0 - 9.0 * (hours - 38.0) + 75.0 * (2.0 * np.mod(hours, 1.6) / 1.6 - 1.0),
    )
    flow[(hours > 1.0) & (hours < 2.0)] = 0.0
    wander = np.repeat(autoregression(seed, hours.size // 60 + 1, 0.9), 60)[: hours.size]
    flow = flow + 12.0 * wander + 40.0 * generator(seed + 1).standard_normal(hours.size)
    spikes = generator(seed + 2).integers(0, hours.size, 200)
    flow[spikes] = generator(seed + 3).uniform(-9000.0, 9000.0, 200)
    return t_s, np.round(np.clip(flow, -8000.0, 8000.0) * 4.0) / 4.0


@pytest.mark.parametrize("seed", [1, 20, 300, 4000, 50000])
def test_a_long_log_of_a_micropump_shows_its_changes_of_regime_and_few_others(seed):
    t_s, flow = imitation(seed)
    hours = np.array(change_points(t_s, flow).at_s) / HOUR_S
    for expected, within in ((5.0, 1.0), (20.0, 2.0), (38.0, 1.0)):
        assert (abs(hours - expected) <= within).any()
    assert hours.size <= 3 + 5


def test_saturated_samples_are_flagged():
    _, flow = imitation(1)
    flags = saturated(flow, -8000.0, 8000.0)
    assert 0 < flags.sum() <= 200
    assert (abs(flow[flags]) == 8000.0).all()
    assert (abs(flow[~flags]) < 8000.0).all()


NOISE = {
    "white": lambda seed, n: generator(seed).standard_normal(n),
    "autoregressive 0.5": lambda seed, n: autoregression(seed, n, 0.5),
    "autoregressive 0.95": lambda seed, n: autoregression(seed, n, 0.95),
    "random walk": lambda seed, n: np.cumsum(generator(seed).standard_normal(n)),
    "white on a slope": lambda seed, n: np.linspace(0.0, 50.0, n) + generator(seed).standard_normal(n),
    "spikes": lambda seed, n: np.where(generator(seed).random(n) < 0.05, 100.0, generator(seed).standard_normal(n)),
}


@pytest.mark.parametrize("kind", NOISE)
def test_noise_alone_has_no_change_point(kind):
    counts = [len(change_points(np.arange(2000.0), NOISE[kind](seed, 2000)).at_s) for seed in range(12)]
    assert sum(count > 0 for count in counts) <= 1


@given(st.integers(0, 10_000), st.floats(0.15, 0.85), st.sampled_from([-1.0, 1.0]), st.sampled_from([0.0, 0.6]))
@settings(max_examples=20)
def test_a_step_well_above_the_noise_is_found_where_it_is(seed, where, sign, coefficient):
    n = 4000
    values = autoregression(seed, n, coefficient)
    at = int(where * n)
    values[at:] += sign * 5.0
    found = change_points(np.arange(float(n)), values)
    assert len(found.at_s) == 1
    assert abs(found.at_s[0] - at) <= 4.0 * found.resolution_s


@pytest.mark.parametrize(("seed", "at", "step"), [(4, 715, 5), (189, 3255, -5), (198, 715, 5), (242, 1985, 5)])
def test_a_step_inside_a_block_is_one_change(seed, at, step):
    """Here the half-way median of one block looks like a short regime of its own."""
    values = generator(seed).standard_normal(4000)
    values[at:] += step
    assert change_points(np.arange(4000.0), values).at_s == pytest.approx([at], abs=10.0)


def test_a_stop_between_two_like_stretches_is_no_transition():
    values = 100.0 + generator(1).standard_normal(4000)
    values[2000:2060] = generator(2).standard_normal(60)
    assert change_points(np.arange(4000.0), values).at_s == pytest.approx([2000.0, 2060.0], abs=10.0)


def test_a_change_of_slope_alone_is_found():
    t_s = np.arange(5000.0)
    values = np.where(t_s < 2000.0, 0.01 * t_s, 20.0 - 0.005 * (t_s - 2000.0)) + generator(3).standard_normal(5000)
    found = change_points(t_s, values)
    assert found.at_s == pytest.approx([2000.0], abs=150.0)
    assert [regime.slope_per_h for regime in found.regimes] == pytest.approx([36.0, -18.0], rel=0.05)
    assert found.regimes[0].begin == pytest.approx(0.0, abs=0.5)
    assert found.regimes[1].end == pytest.approx(5.0, abs=0.5)


def test_pieces_without_noise_are_found_exactly():
    t_s = np.arange(4000.0)
    values = np.select([t_s < 1000.0, t_s < 2500.0], [100.0, 50.0], 200.0)
    assert change_points(t_s, values).at_s == pytest.approx([1000.0, 2500.0], abs=5.0)


@given(st.floats(-1e5, 1e5), st.floats(-10.0, 10.0))
@settings(max_examples=20)
def test_a_line_has_no_change_point(level, slope):
    t_s = np.arange(600.0)
    assert change_points(t_s, level + slope * t_s).at_s == ()


@given(st.integers(0, 100), st.integers(-3, 3), st.floats(-1e3, 1e3))
@settings(max_examples=10)
def test_units_and_offset_do_not_move_a_change_point(seed, power, offset):
    values = generator(seed).standard_normal(1000) + np.where(np.arange(1000) < 400, 0.0, 10.0)
    plain = change_points(np.arange(1000.0), values)
    other = change_points(np.arange(1000.0) * 10.0, (values + offset) * 10.0**power)
    assert np.array(other.at_s) == pytest.approx(np.array(plain.at_s) * 10.0)


def test_missing_hours_do_not_matter():
    t_s, flow = imitation(7)
    hours = t_s / HOUR_S
    there = (hours < 25.0) | (hours > 29.0)
    found = np.array(change_points(t_s[there], flow[there]).at_s) / HOUR_S
    assert all((abs(found - expected) <= 2.0).any() for expected in (5.0, 20.0, 38.0))
    assert found.size <= 8


def test_a_short_record_is_refused():
    with pytest.raises(RecordError, match="needs at least 120"):
        change_points(np.arange(119.0), np.zeros(119))
