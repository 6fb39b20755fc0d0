"""How fast a leak lets a held line fall, beside creep and a transducer's play, against closed forms."""

import numpy as np
import pytest

from protocols.analysis.assumed import PLAY_KPA
from protocols.analysis.rig import RecordError
from protocols.analysis.rig.held import fall

T = np.arange(0.0, 1320.0, 0.5)
HELD_S = 120.0
RANDOM = np.random.default_rng(11)


def line(leak_per_s, share=0.0, lag_s=300.0, play_kpa=0.0):
    """A line that is pushed to about 40 kPa in 2 min, exact in small steps; its transducer has play."""
    pressure, crept, shown = np.zeros(T.size), 0.0, np.zeros(T.size)
    for k in range(1, T.size):
        dt, p = T[k] - T[k - 1], pressure[k - 1]
        creeps = (p - crept) / lag_s
        pushed = 1.0 / 3.0 if T[k] <= HELD_S else 0.0
        pressure[k] = p + dt * (pushed - share * creeps - leak_per_s * p)
        crept += dt * creeps
        shown[k] = np.clip(shown[k - 1], pressure[k], pressure[k] + play_kpa)
    return shown + 0.02 * RANDOM.standard_normal(T.size), pressure


def bounds(*args, **more):
    """What is found for a made line, and the fall by its leak alone in the second half."""
    shown, pressure = line(*args, **more)
    found = fall(T, shown, HELD_S)
    return found, args[0] * float(pressure[T.size * 12 // 22 :].mean())


@pytest.mark.parametrize("leak_per_s", [0.0, 2e-5, 1e-4])
@pytest.mark.parametrize("more", [{}, {"share": 0.05}, {"share": 0.1, "lag_s": 100.0}, {"share": 0.05, "lag_s": 600.0}])
def test_the_leak_lies_between_what_creep_leaves_and_all_that_falls(leak_per_s, more):
    found, leak = bounds(leak_per_s, **more)
    # A line that has crept gives that back as its pressure falls, which holds up the fall by that share.
    assert found.least - 1e-4 <= leak <= (found.most + 4.0 * found.u) * (1.0 + more.get("share", 0.0))
    assert found.least >= 0.0 or not leak_per_s


def test_creep_that_is_over_leaves_no_doubt():
    found, leak = bounds(1e-4, share=0.1, lag_s=60.0)
    assert found.most - found.least < 0.05 * leak


def test_what_the_play_of_the_transducer_hides_may_be_a_leak():
    found, leak = bounds(3e-6, play_kpa=PLAY_KPA)
    assert found.least == pytest.approx(0.0, abs=1e-5)
    assert leak < found.most < PLAY_KPA / 1000.0


def test_a_leak_that_takes_up_the_play_hides_nothing():
    found, leak = bounds(1e-4, play_kpa=PLAY_KPA)
    assert found.most == pytest.approx(leak, rel=0.02)


def test_a_line_that_is_hardly_recorded_shows_no_leak():
    with pytest.raises(RecordError, match="do not show a leak"):
        fall(T[::80], line(0.0)[0][::80], HELD_S)
