"""Trains of pulses and buffers of outputs: what holds whatever they are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.simulation.daqserver.generation import OutputBuffer
from instruments.simulation.daqserver.pulses import Programmed, Succession, Watched, edge_after, falling
from instruments.simulation.daqserver.sampling import Retriggered

times = st.floats(1e-3, 10.0)
trains = st.builds(
    Programmed,
    st.floats(0.0, 100.0),
    st.lists(st.tuples(times, times), min_size=1, max_size=4).map(tuple),
    st.none() | st.integers(0, 20),
)


@given(trains, st.integers(1, 30))
def test_an_edge_is_counted_from_its_moment_on(train, number):
    rise = train.rise(number)
    if train.n is not None and number > train.n:
        assert math.isinf(rise)
        return
    assert train.count(rise) == number
    assert train.count(rise - 1e-4) == number - 1
    assert train.high(rise + 1e-5)
    assert not train.high(falling(train, number) + 1e-5)


@given(trains, st.floats(0.0, 300.0))
def test_the_next_edge_lies_behind_and_none_lies_between(train, t):
    number = train.count(t)
    following = edge_after(train, number, t, rising=True)
    assert following > t - 1e-6
    assert math.isinf(following) or train.count(following) == number + 1


@given(trains, trains, st.floats(0.0, 200.0))
def test_a_counter_that_changes_its_pulses_loses_and_invents_none(first, second, moment):
    made = Succession()
    made.begin(first, 0.0)
    before = made.count(moment)
    made.begin(Programmed(moment + 1.0, second.pulses, second.n), moment)
    assert made.count(moment) == before
    assert made.count(moment + 50.0) == before + Programmed(moment + 1.0, second.pulses, second.n).count(moment + 50.0)
    if made.count(moment + 50.0) > before:
        assert made.rise(before + 1) == pytest.approx(moment + 1.0)


class Level:
    """High in every odd second."""

    def at(self, t):
        return float(int(t) % 2)

    def samples(self, t0, dt, first, n):
        return (np.floor(t0 + (first + np.arange(n)) * dt + 1e-9) % 2).astype(float)


@given(st.lists(st.floats(0.01, 7.0), min_size=1, max_size=8))
def test_how_often_a_level_is_looked_at_does_not_change_its_edges(naps):
    often, once, t = Watched(Level(), 0.0), Watched(Level(), 0.0), 0.0
    for nap in naps:
        t += nap
        often.look(t)
    once.look(t)
    assert (often.rises, often.falls) == (once.rises, once.falls)
    assert once.rises == pytest.approx([1.0 + 2.0 * k for k in range(len(once.rises))], abs=0.011)


class Every:
    """Triggers at whole seconds."""

    def next(self, after, now):
        at = math.floor(after) + 1.0
        return at if at <= now else math.inf


@given(st.integers(1, 30), st.floats(0.01, 0.5), st.floats(0.0, 60.0))
def test_each_trigger_gives_its_samples_evenly(n, dt, now):
    ticks = Retriggered(Every(), 1.0, n, dt, 0.0)
    count = ticks.count(now)
    moments = [ticks.moment(index) for index in range(count)]
    assert all(moment <= now + 1e-6 * dt for moment in moments)
    assert moments == sorted(moments)
    for k in range(0, count - count % n, n):
        assert moments[k : k + n] == pytest.approx([moments[k] + j * dt for j in range(n)])
        assert moments[k] == round(moments[k])


@given(st.lists(st.integers(1, 6), min_size=1, max_size=20), st.integers(6, 12))
def test_what_is_written_in_time_is_generated_once_and_in_order(writes, size):
    buffer, written, generated = OutputBuffer(1, size, regenerates=False), 0, []
    for n in writes:
        while buffer.space(len(generated)) < n:
            generated.append(float(buffer.at(len(generated))[0]))
        buffer.put(np.arange(written, written + n, dtype=float)[None, :], len(generated))
        written += n
    while buffer.holds(len(generated)):
        generated.append(float(buffer.at(len(generated))[0]))
    assert generated == list(range(written))
