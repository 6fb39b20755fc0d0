"""A stream that falls silent is lost, as one that is unplugged; one that rests, or is read in long blocks, is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.guard import Change, Guard
from bench.sampler import SILENT_S, Sampler
from bench.station import load_station, open_station, station_path
from data.checks import Status
from data.samples import Quality
from instruments.clock import VirtualClock
from instruments.drivers.sensirion_shdlc import ShdlcFlowSensor
from protocols.interlock import Interlock
from protocols.procedure import Procedure
from protocols.steps import Phase

STOP = Interlock("gone", "gauge.pressure", high=1e3, slew_per_s=1.0, max_outage_s=5.0)
LOG = Interlock("gone", "gauge.pressure", high=1e3, slew_per_s=1.0, max_outage_s=5.0, action="log")
ONE = Phase("one", for_s=120.0)
BLOCKS_S = [0.05, 7.0, 60.0]


def silence(toys: Any, from_s: float, until_s: float = math.inf, *, counted: bool = True) -> None:
    """Let the gauge answer without a sample for a while; ``counted`` says whether it counts what is missing."""
    gauge, usual, last = toys.gauge, toys.gauge.read, round(from_s / toys.gauge.interval_s)

    def read(most: int) -> Any:
        now, next_index = toys.clock.now(), int(gauge._next)
        if now < from_s:
            return usual(most)
        if next_index < last:
            return usual(min(most, last - next_index))
        if now < until_s:
            gauge.note("warning", f"{round((now - from_s) * 10)} samples are missing")
            return usual(0)
        if next_index == last and counted:
            gauge._next = round(until_s / gauge.interval_s)
        elif not counted and gauge._start_s == 0.0:
            gauge._start_s = until_s - from_s  # its sample clock stood still
        return usual(most)

    gauge.read = read


def changes(toys: Any) -> list[tuple[str, float]]:
    """How the channel's interlock stood, and since when."""
    told = [(one["state"], one["sample_s"]) for one in toys.of("interlock")]
    return sorted(told + [("back", one["sample_s"]) for one in toys.of("interlock-back")], key=lambda one: one[1])


# ------------------------------------------------------------------------------------------------- what is lost


@pytest.mark.parametrize("longest_block_s", BLOCKS_S)
@pytest.mark.parametrize("from_s", [20.0, 23.4, 64.8])
def test_a_stream_that_answers_without_a_sample_stops_the_run_after_its_longest_outage(
    toys: Any, longest_block_s: float, from_s: float
) -> None:
    silence(toys, from_s)
    end = toys.run(ONE, interlocks=[STOP], longest_block_s=longest_block_s)
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert toys.of("safe-state")[0]["t"] == pytest.approx(from_s + 5.0, abs=0.11)


@pytest.mark.parametrize("longest_block_s", BLOCKS_S)
@pytest.mark.parametrize("counted", [False, True])
def test_it_is_lost_once_and_back_with_its_next_sample(toys: Any, longest_block_s: float, counted: bool) -> None:
    silence(toys, 23.4, 61.7, counted=counted)
    toys.run(ONE, interlocks=[LOG], longest_block_s=longest_block_s)
    (lost, lost_s), (back, back_s) = changes(toys)
    assert (lost, back) == ("lost", "back")
    assert lost_s == pytest.approx(28.4, abs=0.11)
    assert back_s == pytest.approx(61.7, abs=0.21)


def test_what_lies_behind_a_short_hole_of_a_long_block_is_no_outage(toys: Any) -> None:
    toys.gauge.hole = (200, 5)
    toys.run(ONE, interlocks=[LOG], longest_block_s=60.0)
    assert (changes(toys), toys.of("outage"), [gap["samples"] for gap in toys.of("gap")]) == ([], [], [5])


def test_a_hole_in_one_long_block_is_an_outage_like_any_other(toys: Any) -> None:
    toys.gauge.hole = (200, 300)
    toys.run(ONE, interlocks=[LOG], longest_block_s=60.0)
    assert [state for state, _ in changes(toys)] == ["lost", "back"]
    assert changes(toys)[0][1] == pytest.approx(25.0, abs=0.11)


def test_silence_is_one_outage_of_the_record_and_each_note_is_told_once(toys: Any) -> None:
    silence(toys, 20.0, 80.0)
    toys.run(ONE, longest_block_s=0.1)
    begin, end = toys.of("outage")
    assert (begin["state"], begin["t"]) == ("begin", pytest.approx(20.0 + SILENT_S, abs=0.21))
    assert "has given no sample for" in begin["text"]
    assert (end["state"], end["t"], end["samples"]) == ("end", pytest.approx(80.0, abs=0.21), 600)
    assert len([event for event in toys.of("event") if "samples are missing" in event["text"]]) == 1


def test_a_second_silence_is_a_second_outage(toys: Any) -> None:
    silence(toys, 80.0, 100.0)
    silence(toys, 20.0, 40.0)
    toys.run(ONE, longest_block_s=0.1)
    assert [one["state"] for one in toys.of("outage")] == ["begin", "end"] * 2
    assert len([event for event in toys.of("event") if "samples are missing" in event["text"]]) == 2


class Kept:
    """A record that keeps its kinds alone."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def record(self, kind: str, *_: Any, **__: Any) -> None:
        self.kinds.append(kind)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def test_a_flow_sensor_whose_ring_stays_empty_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, clock, kept, told, seen = ShdlcFlowSensor._fetch, VirtualClock(), Kept(), list[str](), list[Change]()

    def fetch(self: ShdlcFlowSensor) -> Any:
        counts, lost, more, error, sent_s = usual(self)
        return (counts, lost, more, error, sent_s) if clock.now() < 20.0 else (counts[:0], lost, False, error, sent_s)

    monkeypatch.setattr(ShdlcFlowSensor, "_fetch", fetch)
    interlock = Interlock("flow", "flow_sensor.flow", high=1e6, max_outage_s=2.0)
    with open_station(load_station("sim"), station_path("sim"), clock) as opened:
        sensor: Any = opened.instruments["flow_sensor"]

        def main() -> None:
            sensor.open()
            sampler = Sampler(sensor, clock, kept, lambda level, text: told.append(text), 0.05)  # type: ignore[arg-type]  # as a recorder
            sampler.watch(Guard(interlock, 0, seen.append, last_good_s=clock.now()))
            worker = clock.worker("sampler", sampler.run)
            clock.sleep(60.0)
            sampler.end()
            worker.join()

        clock.run(main)
        clock.close()
    assert [(change.state, round(change.t)) for change in seen] == [("lost", 22)]
    assert kept.kinds.count("outage") == 1
    assert len(told) == 1


# ------------------------------------------------------------------------- two samples with too long a time between


def guarded(from_s: float = 0.0) -> tuple[Guard, list[tuple[str, float]]]:
    seen: list[tuple[str, float]] = []
    interlock = Interlock("gone", "gauge.pressure", high=50.0, max_outage_s=1.0)
    return Guard(interlock, 0, lambda change: seen.append((change.state, change.t)), last_good_s=from_s), seen


def test_two_good_samples_that_are_further_apart_than_an_outage_may_last_are_an_outage() -> None:
    """A computer that was suspended, or a worker that nobody let run."""
    guard, seen = guarded()
    for t in (0.5, 1.5, 3600.0, 3601.0):
        guard.judge_one(t, 10.0, 0)
    assert seen == [("lost", 3600.0), ("back", 3600.0)]


def test_so_they_are_where_they_come_in_blocks_or_in_one() -> None:
    for blocks in ([[0.5, 1.5], [3600.0, 3601.0]], [[0.5, 1.5, 3600.0, 3601.0]]):
        guard, seen = guarded()
        for t in blocks:
            guard.judge(np.array(t), np.full(len(t), 10.0), np.zeros(len(t), dtype=np.uint16))
        assert seen == [("lost", 3600.0), ("back", 3600.0)]


def test_what_comes_outside_its_band_after_an_outage_is_told_as_both() -> None:
    guard, seen = guarded()
    guard.judge(np.array([0.5, 9.0]), np.array([10.0, 60.0]), np.zeros(2, dtype=np.uint16))
    assert seen == [("lost", 9.0), ("outside", 9.0)]


def test_bad_samples_do_not_shorten_an_outage() -> None:
    guard, seen = guarded()
    bits = np.array([0, int(Quality.DEVICE_ERROR), 0], dtype=np.uint16)
    guard.judge(np.array([0.5, 1.2, 2.0]), np.full(3, 10.0), bits)
    assert seen == [("lost", 2.0), ("back", 2.0)]


@pytest.mark.parametrize("from_s", [0.0, 20.0])
def test_samples_without_a_number_are_an_outage_whatever_their_quality_says(toys: Any, from_s: float) -> None:
    toys.gauge.pressure = lambda t: math.nan if t > from_s else 10.0
    end = toys.run(ONE, interlocks=[STOP])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert toys.of("safe-state")[0]["t"] == pytest.approx(from_s + 5.0, abs=0.21)


def test_so_is_one_reading_without_a_number_after_the_other() -> None:
    guard, seen = guarded()
    for t in (0.5, 1.2, 1.9):
        guard.judge_one(t, 10.0 if t < 1.0 else math.nan, 0)
    assert seen == [("lost", 1.9)]


def test_an_outage_counts_from_the_arming_on() -> None:
    guard, seen = guarded()
    guard.arm(8.5)
    guard.judge(np.array([0.5, 9.0]), np.full(2, 10.0), np.zeros(2, dtype=np.uint16))
    guard.judge_one(9.9, 10.0, 0)
    assert seen == []


# -------------------------------------------------------------------------------------------------- what is not


@pytest.mark.parametrize("longest_block_s", BLOCKS_S)
def test_a_stream_that_is_read_in_long_blocks_is_not_lost(toys: Any, longest_block_s: float) -> None:
    shortest = Interlock("gone", "gauge.pressure", high=1e3, slew_per_s=1.0, max_outage_s=0.2)
    slow = Interlock("slow", "gauge.pressure", max_outage_s=600.0, action="log")
    toys.run(ONE, interlocks=[shortest, slow], longest_block_s=longest_block_s)
    assert (toys.of("interlock"), toys.of("outage")) == ([], [])


def test_what_an_instrument_takes_to_start_is_no_outage(toys: Any) -> None:
    usual = toys.gauge.start
    toys.gauge.start = lambda: [toys.clock.sleep(8.0), usual()]
    assert toys.run(ONE, interlocks=[STOP]).status is Status.COMPLETED


def test_a_channel_that_comes_to_be_watched_while_it_rests_is_asked_at_once_and_not_lost(
    toy_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Procedure, "rests_in", frozenset({"quiet"}))
    tables: dict[str, dict[str, str]] = {name: {"driver": "toy"} for name in ("gauge", "scale", "box", "pump")}
    tables["scale"]["resting_period"] = "60 s"
    toys, seen, asked = toy_bench(stated={"instruments": tables}), list[Change](), list[float]()
    usual = toys.scale.sample
    toys.scale.sample = lambda: [asked.append(toys.clock.now()), usual()][1]

    def watch(engine: Any) -> None:
        engine._watch.band("not too heavy", "scale.mass", None, 1e6, seen.append, max_outage_s=5.0)

    toys.run(Phase("quiet", for_s=300.0), at=[(190.5, watch)])
    assert seen == []
    assert [t for t in asked if 130.0 < t < 193.5] == [180.0, 191.0, 192.0, 193.0]
