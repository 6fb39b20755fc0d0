"""Hours with a fault every few minutes: completed, each gap told, no wrong value, the same data for the same seed.

benchmarks/week.py does the same for a week, on the station as it is shipped, and looks at the memory too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.station import load_station, open_station, parse_fault, station_path
from benchmarks.week import Outcome, Strike, drawn, growth_mb, judged, one
from data.samples import Block
from data.tomlfile import FileError
from instruments.clock import VirtualClock
from instruments.simulation.faults import FaultSpec, Windows
from instruments.simulation.misbehaviour import WireFault
from protocols.steps import Phase

LENGTH_S, EVERY_S, SEED = 4.0 * 3600.0, 720.0, 38

LESS_OFTEN = {
    'period = "1 s"': 'period = "10 s"',
    'interval = "0.1 s"': 'interval = "0.5 s"',
    'rate = "10 Hz"': 'rate = "1 Hz"',
}
STRIKES = drawn(LENGTH_S, EVERY_S, SEED)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, sim_station: Callable[..., Path]) -> Callable[..., Outcome]:
    station = sim_station(tmp_path_factory.mktemp("station"), LESS_OFTEN)

    def conduct(strikes: Sequence[Strike]) -> Outcome:
        return one(str(station), LENGTH_S, SEED, strikes, tmp_path_factory.mktemp("run"))

    return conduct


@pytest.fixture(scope="module")
def sound(run: Callable[..., Outcome]) -> Outcome:
    return run([])


@pytest.fixture(scope="module")
def faulty(run: Callable[..., Outcome]) -> Outcome:
    return run(STRIKES)


def test_hours_of_faults_lose_nothing_untold_and_show_nothing_wrong(faulty: Outcome, sound: Outcome) -> None:
    found = judged(faulty.run_file, sound.run_file, STRIKES)
    assert found.wrong == []
    assert faulty.status == "completed"
    assert found.gaps > 10
    assert sum(hits > 0 for hits in faulty.hits) > 0.8 * len(STRIKES)


def test_the_same_faults_and_seed_give_the_same_data(faulty: Outcome, run: Callable[..., Outcome]) -> None:
    assert run(STRIKES).digest == faulty.digest


def test_what_nothing_explains_would_be_found(faulty: Outcome, sound: Outcome) -> None:
    """Else the first test would prove nothing."""
    unlike = judged(faulty.run_file, sound.run_file, [replace(strike, at_s=strike.at_s + 360.0) for strike in STRIKES])
    assert any("although nothing has struck" in text for text in unlike.wrong)
    assert growth_mb([(float(t), 100.0 + t) for t in range(71)]) == pytest.approx(50.0, abs=1.0)


def test_a_gap_is_told_by_the_clock_however_far_the_crystal_has_drifted(toys: Any) -> None:
    toys.scale.period_s = 3600.0
    gauge, true_s = toys.gauge, 10.001
    gauge.interval_s, taken = 10.0, [0, 0]  # next index; index behind the hole

    def read(most: int) -> Block:
        first, end = taken[0], int(toys.clock.now() / true_s)
        if first >= 80_000 and not taken[1]:
            first = taken[1] = first + 5
        taken[0] = end = max(first, min(end, first + most))
        t = 10.0 * np.arange(first, end)
        return Block("gauge", first, t, np.zeros((len(t), 1)), np.zeros((len(t), 1), np.uint16))

    gauge.read, gauge.start = read, lambda: None
    toys.run(Phase("days", for_s=80_500 * true_s), longest_block_s=3600.0)
    (gap,) = toys.of("gap")
    assert gap["samples"] == 5
    assert gap["to_s"] - gap["from_s"] == pytest.approx(60.0, abs=0.1)
    assert gap["to_s"] == pytest.approx(taken[1] * true_s, abs=25.0)  # nominal times are 80 s off


# ------------------------------------------------------------------------------- how a fault is told when it ends


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("unplug@2h+5min/balance", FaultSpec("unplug", 1.0, 7200.0, 300.0, "balance")),
        ("lf-only:0.5@1e+3 s + 2 min", FaultSpec("lf-only", 0.5, 1000.0, 120.0)),
        ("daq-reset/daq", FaultSpec("daq-reset", 1.0, 0.0, instrument="daq")),
    ],
)
def test_a_fault_may_have_an_end_and_an_instrument(text: str, means: FaultSpec) -> None:
    assert parse_fault(text) == means


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("leak@2h+3min", "leave its duration out"),
        ("leak@2h/balance", 'leave "/balance" out'),
        ("unplug@2h+0s", "a duration above 0 s"),
        ("unplug@2h+5", "it has no unit"),
        ("unplug@2h+", "2h+"),
        ("unplug+5min", "TIME+DURATION"),
        ("unplug@2h+5min+6min", "2h+5min"),
    ],
)
def test_a_malformed_end_or_instrument_is_told_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match="fault") as error:
        parse_fault(text)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("unplug/balanc", 'did you mean "balance"'),
        ("unplug/daq", '"daq" has no VISA resource'),
        ("daq-reset/balance", '"balance" has no NI device'),
    ],
)
def test_a_fault_is_aimed_at_an_instrument_that_it_can_strike(text: str, says: str) -> None:
    station = load_station("sim")
    with (
        pytest.raises(FileError) as error,
        open_station(station, station_path("sim"), VirtualClock(), faults=(parse_fault(text),)),
    ):
        pass
    assert says in str(error.value)


@given(st.lists(st.tuples(st.floats(0.0, 9.0), st.floats(0.1, 9.0))), st.lists(st.floats(0.0, 20.0)))
def test_a_window_is_open_from_its_beginning_until_before_its_end(
    spans: list[tuple[float, float]], moments: list[float]
) -> None:
    faults = [WireFault(("drop",), 1.0, at_s, at_s + for_s) for at_s, for_s in spans]
    windows = Windows(faults)
    for t in moments:
        assert [fault for _, fault in windows.at(t)] == [each for each in faults if each.from_s <= t < each.until_s]
