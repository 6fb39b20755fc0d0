import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.checks import Exclusion
from protocols.analysis.delivery import constant_rate
from protocols.analysis.grid import RecordError
from protocols.analysis.strokes import pulsation

STROKE_UL = 5.0
RATE = 1000.0 / 24.0
T_S = np.arange(0.0, 86_400.0, 10.0)


def delivered(t_s, amplitudes, factor=1.0, expected=None):
    """A volume with a sine of so many uL at each order."""
    volume = constant_rate(RATE)(t_s) if expected is None else expected(t_s)
    position = volume / STROKE_UL
    swing = sum(size * np.sin(2.0 * np.pi * order * position + order) for order, size in amplitudes.items())
    return factor * volume + swing


@given(st.floats(0.0, 0.3), st.floats(0.0, 0.3), st.floats(0.0, 0.1), st.floats(0.7, 1.3))
@settings(max_examples=20)
def test_each_order_has_its_amplitude_whatever_the_mean_flow(once, revolution, double, factor):
    found = pulsation(
        T_S, delivered(T_S, {1.0: once, 0.5: revolution, 2.0: double}, factor), constant_rate(RATE), STROKE_UL
    )
    assert found.orders == (0.5, 1.0, 2.0, 3.0, 4.0)
    assert found.amplitude_ul == pytest.approx([revolution, once, double, 0.0, 0.0], abs=0.004)


def test_the_modulation_of_the_flow_is_the_slope_of_the_swing():
    """0.1 uL at order 1 of a 5 uL stroke swings the flow by 2 pi 0.1/5 = 12.57 %."""
    found = pulsation(T_S, delivered(T_S, {1.0: 0.1}), constant_rate(RATE), STROKE_UL)
    assert found.flow_amplitude_percent[1] == pytest.approx(12.57, abs=0.1)
    assert found.half_swing_ul == pytest.approx(0.1, rel=0.01)
    assert found.strokes == 199.0


def test_strokes_at_different_rates_fall_on_each_other():
    def expected(t):
        return (
            np.minimum(t, 30_000.0) + 3.0 * np.clip(t - 30_000.0, 0.0, 20_000.0) + np.maximum(t - 50_000.0, 0.0)
        ) / 86.4

    found = pulsation(T_S, delivered(T_S, {1.0: 0.2}, expected=expected), expected, STROKE_UL)
    assert found.amplitude_ul[1] == pytest.approx(0.2, abs=0.005)
    assert found.half_swing_ul == pytest.approx(0.2, rel=0.02)


def test_a_vessel_change_does_not_show_as_a_swing():
    volume = delivered(T_S, {1.0: 0.2})
    volume[4000:] -= 800.0
    exclusions = [Exclusion(float(T_S[3999]), float(T_S[4000]), "mass fell")]
    found = pulsation(T_S, volume, constant_rate(RATE), STROKE_UL, exclusions=exclusions)
    assert found.amplitude_ul[1] == pytest.approx(0.2, abs=0.005)


def test_noise_of_a_balance_does_not_hide_a_small_order():
    noise = 0.02 * np.random.Generator(np.random.Philox(1)).standard_normal(T_S.size)
    found = pulsation(T_S, delivered(T_S, {0.5: 0.02}) + noise, constant_rate(RATE), STROKE_UL)
    assert found.amplitude_ul[0] == pytest.approx(0.02, abs=0.003)
    assert (found.amplitude_ul[1:] < 0.003).all()


def test_too_few_strokes_or_samples_are_refused():
    with pytest.raises(RecordError, match="too few to fold"):
        pulsation(T_S[:100], delivered(T_S[:100], {}), constant_rate(RATE), STROKE_UL)
    sparse = np.arange(0.0, 86_400.0, 432.0)
    with pytest.raises(RecordError, match="use fewer bins"):
        pulsation(sparse, delivered(sparse, {}), constant_rate(RATE), STROKE_UL)
