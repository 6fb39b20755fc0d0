"""While a phase rests one sample of each window is kept; each is judged, and what is missing is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.resting import Resting, samples_in
from bench.station import station_path
from benchmarks.week import drawn, judged, one
from data.fold import fold
from data.run import Run
from data.samples import Block, Rest, due_before
from protocols.interlock import Interlock
from protocols.procedure import Procedure
from protocols.steps import Phase

TOYS = ("gauge", "scale", "box", "pump")
STEPS = (Phase("before", for_s=30.0), Phase("quiet", for_s=300.0), Phase("after", for_s=30.0))
LENGTH_S, EVERY_S = 4.0 * 3600.0, 660.0
RESTS = {"scale": "10 s", "gauge": "10 s"}


@pytest.fixture
def resting(toy_bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A toy bench on which gauge and scale rest in the phase "quiet"."""
    monkeypatch.setattr(Procedure, "rests_in", frozenset({"quiet"}))

    def make(periods: dict[str, str] = RESTS, **options: Any) -> Any:
        tables = {name: {"driver": "toy"} for name in TOYS}
        for name, period in periods.items():
            tables[name]["resting_period"] = period
        return toy_bench(stated={"instruments": tables}, **options)

    return make


def indices(blocks: list[Block], stream: str) -> list[int]:
    return [
        int(block.first + block.stride * row)
        for block in blocks
        if block.stream == stream
        for row in range(len(block.t))
    ]


def moments(blocks: list[Block], stream: str) -> list[float]:
    return [float(t) for block in blocks if block.stream == stream for t in block.t]


def test_one_sample_of_each_window_is_kept_in_the_quiet_phase_and_every_one_outside(
    resting: Callable[..., Any],
) -> None:
    bench = resting()
    bench.run(*STEPS)
    for stream, per_s in (("scale", 1), ("gauge", 10)):
        t = np.array(moments(bench.blocks, stream))
        quiet = t[(t > 29.95) & (t < 329.85)]
        assert len(quiet) == 30
        assert np.allclose(np.diff(quiet), 10.0)
        assert np.allclose(np.diff(t[t < 29.95]), 1.0 / per_s)
        assert np.allclose(np.diff(t[t > 331.0]), 1.0 / per_s)
    assert [(one["instrument"], one["state"], one["every"]) for one in bench.of("rest")] == [
        ("gauge", "begin", 100),
        ("scale", "begin", 10),
        ("gauge", "end", 100),
        ("scale", "end", 10),
    ]


def test_without_a_resting_period_nothing_rests(resting: Callable[..., Any]) -> None:
    bench = resting({})
    bench.run(*STEPS)
    assert indices(bench.blocks, "scale") == list(range(360))
    assert bench.of("rest") == []
    assert all(block.stride == 1 for block in bench.blocks)


@pytest.mark.parametrize("longest_block_s", [0.5, 7.0, 60.0])
def test_what_is_kept_does_not_depend_on_the_length_of_blocks(
    resting: Callable[..., Any], longest_block_s: float
) -> None:
    bench = resting()
    bench.run(*STEPS, longest_block_s=longest_block_s)
    kept = indices(bench.blocks, "gauge")
    edges = [one["sample"] for one in bench.of("rest") if one["instrument"] == "gauge"]
    assert edges == [300, 3300]
    assert kept == [*range(300), *range(300, 3300, 100), *range(3300, kept[-1] + 1)]


def test_an_interlock_acts_at_the_same_sample_whether_its_channel_rests_or_not(resting: Callable[..., Any]) -> None:
    acted = []
    for periods in (RESTS, {}):
        bench = resting(periods)
        bench.gauge.pressure = lambda t: 10.0 if t < 123.4 else 200.0
        bench.run(*STEPS, interlocks=[Interlock("over", "pressure", high=150.0, slew_per_s=1.0)])
        acted += [(one["sample_s"], one["value"]) for one in bench.of("interlock")]
    assert acted == [(pytest.approx(123.4, abs=1e-6), 200.0)] * 2


@pytest.mark.parametrize(
    ("interlock", "asked"),
    [
        (None, 10.0),
        (Interlock("full", "scale.mass", high=1e6, action="stop"), 1.0),
        (Interlock("full", "scale.mass", high=1e6, slew_per_s=1.0), 10.0),
        (Interlock("full", "scale.mass", high=1e6, slew_per_s=1e6, action="log"), 1.0),
        (Interlock("gone", "scale.mass", max_outage_s=5.0, high=1e6, slew_per_s=1.0), 1.0),
        (Interlock("gone", "scale.mass", max_outage_s=25.0, high=1e6, slew_per_s=1.0), 10.0),
    ],
)
def test_a_guarded_instrument_is_asked_as_often_as_its_interlock_needs(
    resting: Callable[..., Any], interlock: Interlock | None, asked: float
) -> None:
    bench, at = resting(), []
    sample = bench.scale.sample
    bench.scale.sample = lambda: (at.append(bench.clock.now()), sample())[1]
    bench.run(*STEPS, interlocks=[] if interlock is None else [interlock])
    t = np.array(at)
    assert np.max(np.diff(t[(t > 215.0) & (t < 325.0)])) == pytest.approx(asked, abs=0.03)
    kept = np.array(moments(bench.blocks, "scale"))
    assert np.allclose(np.diff(kept[(kept > 31.0) & (kept < 325.0)]), 10.0)


def test_a_lost_reply_is_asked_for_again_and_only_a_window_without_any_is_a_gap(
    resting: Callable[..., Any], tmp_path: Path
) -> None:
    bench = resting()
    bench.scale.lost = ((99.5, 100.5), (148.0, 171.5))
    bench.gauge.hole = (2005, 100)
    bench.run(*STEPS)
    kept = indices(bench.blocks, "scale")
    assert [index for index in kept if 80 <= index <= 190] == [80, 90, 101, 110, 120, 130, 140, 172, 180, 190]
    with Run.open(fold(bench.folder / "toy.journal", tmp_path / "toy.h5")) as run:
        assert [(t0, missing) for t0, _, missing in run.gaps("scale.mass")] == [(pytest.approx(140.0), 2)]
        assert [missing for _, _, missing in run.gaps("gauge.pressure")] == []
        assert run.rests("scale") == [Rest(10, 30, 330)]
        assert list(run.series("scale.mass").t) == moments(bench.blocks, "scale")


def test_a_hole_in_a_resting_stream_is_told_and_found_in_the_file(resting: Callable[..., Any], tmp_path: Path) -> None:
    bench = resting({**RESTS, "gauge": "2 s"})
    bench.gauge.hole = (2005, 45)
    bench.run(*STEPS)
    (gap,) = bench.of("gap")
    assert gap["samples"] == 1
    with Run.open(fold(bench.folder / "toy.journal", tmp_path / "toy.h5")) as run:
        ((t0, t1, missing),) = run.gaps("gauge.pressure")
        assert (missing, gap["from_s"] - 0.2 < t0 < t1 < gap["to_s"] + 0.2) == (1, True)


@pytest.mark.parametrize(
    ("resting_s", "spacing_s", "said"),
    [(1.0, 1.0, '"2 s"'), (2.5, 1.0, "no whole number"), (10.0, 0.0, "nothing that could rest")],
)
def test_a_resting_period_is_a_whole_number_of_samples(resting_s: float, spacing_s: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        samples_in(resting_s, spacing_s)
    assert samples_in(10.0, 0.1) == 100


@given(st.data())
def test_any_blocks_and_holes_keep_the_first_sample_of_each_window_and_count_the_others(data: st.DataObject) -> None:
    every, end = data.draw(st.integers(2, 7)), 60
    edges = sorted(data.draw(st.sets(st.integers(0, end), max_size=4)))
    there = sorted(data.draw(st.sets(st.integers(0, end - 1), min_size=1)))
    stream, kept, missed, at = Resting(every), list[int](), 0, 0
    for index in [*there, None]:
        for edge in [edge for edge in edges if at <= edge and (index is None or edge <= index)]:
            stream.change(edge)
            at = edge + 1
        if index is None:
            break
        for rows, stride in stream.kept(index, 1):
            missed += stream.missed(index)
            kept += [index + row for row in range(*rows.indices(1))]
            stream.expected = kept[-1] + 1
            assert stride == stream.stride
    resting = [any(rest.from_index <= k < rest.to_index for rest in stream.rests) for k in range(end)]
    assert [k for k in there if not resting[k]] == [k for k in kept if not resting[k]]
    slots = [int(due_before(k + 1, stream.rests)) for k in kept]
    assert slots == sorted(set(slots))
    assert missed == sum(np.diff([0, *slots]) - 1)


def test_hours_of_faults_at_one_of_eight_pumps_lose_nothing_untold_while_it_rests(tmp_path: Path) -> None:
    """benchmarks/eight.py does the same for a month of all eight."""
    text = station_path("sim-eight").read_text("utf-8")
    assert 'interval = "0.1 s"' in text
    (tmp_path / "eight.toml").write_text(text.replace('interval = "0.1 s"', 'interval = "0.5 s"'), "utf-8")
    station, strikes = f"{tmp_path / 'eight.toml'}#2", drawn(LENGTH_S, EVERY_S, seed=5)
    sound, faulty = (one(station, LENGTH_S, 5, these, tmp_path / name) for name, these in (("s", ()), ("f", strikes)))
    found = judged(faulty.run_file, sound.run_file, strikes)
    assert found.wrong == []
    assert faulty.status == "completed"
    assert found.gaps > 10
    unlike = judged(faulty.run_file, sound.run_file, [replace(strike, at_s=strike.at_s + 330.0) for strike in strikes])
    assert any("although nothing has struck" in text for text in unlike.wrong)
