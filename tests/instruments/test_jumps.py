"""A true step and a damaged digit, told apart by asking again."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.samples import Channel, Quality, Reading
from instruments.instrument import InstrumentTimeout
from instruments.jumps import AGREEING, AGREEING_IF_DISTURBED, Jumps

STEP = 1.0
LOST = None
OVERLOADED = math.nan


def reading(value):
    overload = int(Quality.OVERLOAD) if math.isnan(value) else 0
    return Reading(0.0, (value, 83.0), (overload, 0))


def judged(*answers, last=100.0, agreeing=AGREEING, moving=False):
    """What becomes of the first of these answers, and how many were asked for."""
    jumps = Jumps((Channel("mass", "mg", max_step=STEP), Channel("status", "1")))
    if last is not None:
        jumps._last = (last, 83.0)
    left = list(answers)

    def ask():
        answer = left.pop(0)
        if answer is LOST:
            raise InstrumentTimeout("it", "said nothing")
        said = reading(answer)
        return replace(said, quality=(int(Quality.UNSTABLE), 0)) if moving else said

    first = ask()
    result, damaged = (first, False) if jumps.follows(first) else jumps.settled(first, ask, agreeing)
    return result.values[0], result.quality, damaged, len(answers) - len(left), jumps


GOOD, DOUBTFUL = (0, 0), (int(Quality.IMPLAUSIBLE), 0)


@given(st.floats(-1.0, 1.0))
def test_a_reading_near_the_last_one_is_believed_at_once(step):
    assert judged(100.0 + step, 0.0)[:4] == (100.0 + step, GOOD, False, 1)


def test_a_channel_may_creep_as_far_as_it_likes():
    jumps = judged(100.0)[-1]
    assert all(jumps.follows(reading(100.0 + 0.9 * k)) for k in range(50))


@pytest.mark.parametrize("step", [1.01, -1.01, 50.0, -1e6])
def test_a_true_step_is_the_first_reading_and_costs_one_question(step):
    *said, jumps = judged(100.0 + step, 100.2 + step, 0.0)
    assert said == [100.0 + step, GOOD, False, 2]
    assert jumps.follows(reading(100.4 + step))


@pytest.mark.parametrize("damaged", [180.0, 20.0, 101.2])
def test_a_damaged_reading_gives_way_to_the_one_after_it(damaged):
    *said, jumps = judged(damaged, 100.1, 0.0)
    assert said == [100.1, GOOD, True, 2]
    assert not jumps.follows(reading(damaged + 0.2))


def test_a_third_reading_decides_where_a_step_and_a_damage_meet():
    assert judged(140.0, 980.0, 140.1)[:4] == (140.0, GOOD, False, 3)
    *said, jumps = judged(940.0, 140.0, 140.1)
    assert said == [140.1, GOOD, True, 3]
    assert jumps.follows(reading(140.0))
    assert judged(180.0, 900.0, 100.1)[:4] == (100.1, GOOD, True, 3)


@pytest.mark.parametrize("answers", [(140.0, LOST), (140.0, 980.0, LOST), (140.0, 980.0, 500.0), (140.0, OVERLOADED)])
def test_what_nothing_confirms_is_flagged_and_the_next_reading_decides(answers):
    *said, asked, jumps = judged(*answers)
    assert said == [140.0, DOUBTFUL, False]
    assert asked == len(answers) <= AGREEING + 1
    assert not jumps.follows(reading(140.0))


def test_on_a_disturbed_wire_the_same_flip_twice_in_a_row_is_not_believed():
    assert judged(180.0, 180.1, 100.1, agreeing=AGREEING_IF_DISTURBED)[:4] == (100.1, GOOD, True, 3)
    assert judged(140.0, 140.1, 140.2, agreeing=AGREEING_IF_DISTURBED)[:4] == (140.0, GOOD, False, 3)
    assert judged(140.0, 980.0, 140.1, 140.2, agreeing=AGREEING_IF_DISTURBED)[:4] == (140.0, GOOD, False, 4)


def test_a_load_that_is_still_on_its_way_is_not_called_damaged():
    assert judged(140.0, 200.0, 199.9)[:4] == (199.9, GOOD, False, 3)
    assert judged(180.0, 100.2, moving=True)[2:4] == (False, 2)


@pytest.mark.parametrize("slope", [30.0, -2.0])
def test_a_channel_that_runs_away_is_believed(slope):
    *said, jumps = judged(*(100.0 + slope * k for k in (1, 2, 3)))
    assert said == [100.0 + slope, GOOD, False, 3]
    assert jumps.follows(reading(100.0 + 3 * slope))


def test_the_first_reading_of_all_needs_another_like_it():
    assert judged(5000.0, 5000.5, last=None)[:4] == (5000.0, GOOD, False, 2)
    assert judged(9000.0, 5000.0, 5000.5, last=None)[:4] == (5000.5, GOOD, True, 3)
    assert judged(1.0, 4.0, 9.0, last=None)[1] == DOUBTFUL


def test_an_overloaded_reading_is_no_step_and_leaves_the_last_value_as_it_was():
    *said, jumps = judged(OVERLOADED, 0.0)
    assert said[1:] == [(int(Quality.OVERLOAD), 0), False, 1]
    assert jumps.follows(reading(100.5))


def test_channels_without_a_step_may_jump():
    jumps = Jumps((Channel("mass", "mg"), Channel("status", "1")))
    assert all(jumps.follows(reading(value)) for value in (0.0, 1e9, math.nan, -5.0))


@given(st.lists(st.integers(-50, 50).map(lambda tens: 10.0 * tens), max_size=30), st.sampled_from([5.0, -45.0, 805.0]))
def test_one_damaged_answer_in_three_is_never_believed(steps, damage):
    """A balance between true steps of any size, asked again as often as it takes; no damage looks like the old load."""
    jumps, truth, answered = Jumps((Channel("mass", "mg", max_step=STEP),)), 0.0, [0]

    def ask():
        answered[0] += 1
        return Reading(0.0, (truth + (0.0 if answered[0] % 3 else damage),), (0,))

    for step in steps:
        truth += step
        first = ask()
        result = first if jumps.follows(first) else jumps.settled(first, ask)[0]
        assert result.quality == (0,)
        assert abs(result.values[0] - truth) <= STEP
