"""What a count of runs proves, against published tables and by its own definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.qualify.bounds import least_share, most_beyond, most_share


@pytest.mark.parametrize(
    ("successes", "trials", "proved"), [(20, 20, 0.861), (3, 3, 0.368), (29, 29, 0.902), (59, 59, 0.9505), (0, 5, 0.0)]
)
def test_a_count_of_successes_proves_what_the_tables_say(successes: int, trials: int, proved: float) -> None:
    assert least_share(successes, trials) == pytest.approx(proved, abs=5e-4)


@pytest.mark.parametrize(("events", "trials", "left"), [(0, 200, 0.0149), (0, 1, 0.95), (5, 5, 1.0), (0, 0, 1.0)])
def test_a_count_of_false_alarms_leaves_possible_what_the_tables_say(events: int, trials: int, left: float) -> None:
    assert most_share(events, trials) == pytest.approx(left, abs=5e-5)


@pytest.mark.parametrize(("trials", "most"), [(0, 0), (1, 1), (3, 1), (20, 4), (200, 17)])
def test_more_values_beyond_u_than_chance_explains_come_once_in_a_hundred(trials: int, most: int) -> None:
    share = 1.0 - math.erf(math.sqrt(2.0))
    chances = [math.comb(trials, k) * share**k * (1.0 - share) ** (trials - k) for k in range(trials + 1)]
    assert most_beyond(trials) == most
    assert math.fsum(chances[most + 1 :]) <= 0.01
    assert most == 0 or math.fsum(chances[most:]) > 0.01


def test_the_interval_of_one_in_ten_is_the_published_one() -> None:
    assert least_share(1, 10, 0.975) == pytest.approx(0.0025, abs=5e-5)
    assert most_share(1, 10, 0.975) == pytest.approx(0.4450, abs=5e-5)


@given(st.integers(1, 60), st.data())
def test_at_the_bound_as_many_successes_come_once_in_twenty(trials: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, trials))
    share = least_share(count, trials)
    terms = (math.comb(trials, k) * share**k * (1.0 - share) ** (trials - k) for k in range(count, trials + 1))
    assert math.fsum(terms) == pytest.approx(0.05, rel=1e-6)
