"""The hardware watchdog: armed before, fed while each sampler that guards lives, disarmed after the safe state."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from bench.sampler import STARTS_S
from bench.watchdog import FEEDS, LATE_S, SILENT_S
from data.checks import Status
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    Instrument,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    Settings,
)
from protocols.interlock import Interlock
from protocols.steps import Phase

HIGH = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=1.0)
HANGS_S = 1e6


class Relay(Instrument):
    """Goes safe by itself when it is not fed; meets `instruments.capabilities.HostWatched`."""

    watchdog_period_s: float | None = 2.0

    def __init__(self, clock: Clock) -> None:
        super().__init__("relay", Settings(), clock, Connection())
        self.events: list[tuple[float, str]] = []
        self.feeding_takes_s = 0.0
        self.fails: Exception | None = None
        self.safe_takes_s = 0.0
        self.safe_fails: Exception | None = None

    def open(self) -> None:
        self._keep("open")

    def identify(self) -> Identity:
        return Identity("toys", "relay", "1")

    def make_safe(self) -> str:
        self.clock.sleep(self.safe_takes_s)
        if self.safe_fails is not None:
            raise self.safe_fails
        self._keep("safe")
        return "safe"

    def close(self) -> None:
        self._keep("closed")

    def arm_watchdog(self) -> None:
        self._keep("arm")

    def feed_watchdog(self) -> None:
        if self.fails is not None and self.clock.now() > 20.0:
            raise self.fails
        self.clock.sleep(self.feeding_takes_s)
        self._keep("feed")

    def disarm_watchdog(self) -> None:
        self._keep("disarm")

    def clear_watchdog(self) -> str:
        self._keep("clear")
        return "cleared"

    def _keep(self, what: str) -> None:
        self.events.append((self.clock.now(), what))

    def fed(self) -> list[float]:
        """When it was fed."""
        return [t for t, what in self.events if what == "feed"]


@pytest.fixture
def toys(toy_bench: Any) -> Any:
    """A toy bench with a relay."""
    bench = toy_bench()
    bench.relay = Relay(bench.clock)
    bench.more = [bench.relay]
    return bench


def hang(toys: Any, from_s: float, until_s: float = HANGS_S) -> None:
    """Let the gauge's driver hang between two moments."""
    usual = toys.gauge.read

    def read(most: int) -> Any:
        if from_s <= toys.clock.now() < until_s:
            toys.clock.sleep_until(until_s)
        return usual(most)

    toys.gauge.read = read


def test_a_watchdog_is_armed_fed_in_time_and_disarmed_when_the_bench_is_safe(toys: Any) -> None:
    assert toys.run(Phase("one", for_s=60.0), interlocks=[HIGH]).status is Status.COMPLETED
    kinds = [what for _, what in toys.relay.events]
    assert kinds[:2] == ["open", "arm"]
    assert kinds[-3:] == ["safe", "disarm", "closed"]
    spacing = [later - earlier for earlier, later in pairwise([0.0, *toys.relay.fed(), 60.0])]
    assert max(spacing) <= 2.0 / FEEDS + 1e-9


def test_a_station_without_a_watchdog_feeds_nothing(toys: Any) -> None:
    toys.relay.watchdog_period_s = None
    toys.run(interlocks=[HIGH])
    assert [what for _, what in toys.relay.events] == ["open", "safe", "closed"]


@pytest.mark.parametrize(("outage_s", "allowed_s"), [(None, SILENT_S), (8.0, 8.0)])
def test_a_sampler_that_hangs_ends_the_feeding(toys: Any, outage_s: float | None, allowed_s: float) -> None:
    hang(toys, 30.0)
    guard = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=1.0, max_outage_s=outage_s)
    end = toys.run(Phase("one", for_s=600.0), interlocks=[guard])
    hung_s = min(one["t"] for one in toys.of("safe-state"))
    assert max(toys.relay.fed()) <= 40.0 + allowed_s + 1e-9, "the gauge is read each 40 s at most here"
    assert end.status is (Status.ERROR if outage_s is None else Status.STOPPED_BY_INTERLOCK)
    assert "no sign of life" in " ".join(event["text"] for event in toys.of("event"))
    assert hung_s < 60.0


def test_a_sampler_that_guards_nothing_may_hang(toys: Any) -> None:
    hang(toys, 30.0, 90.0)
    mass = Interlock("mass", "scale.mass", high=1e9)
    note = Interlock("note", "gauge.pressure", high=50.0, action="log")
    assert toys.run(Phase("one", for_s=120.0), interlocks=[mass, note]).status is Status.COMPLETED
    assert len(toys.relay.fed()) > 100


def test_a_sampler_that_lives_again_is_fed_for_again(toys: Any) -> None:
    hang(toys, 30.0, 36.0)
    brief = Interlock("pressure", "gauge.pressure", high=50.0)  # sample by sample
    assert toys.run(Phase("one", for_s=60.0), interlocks=[brief]).status is Status.COMPLETED
    assert "all samplers are alive again" in [event["text"] for event in toys.of("event")]


@pytest.mark.parametrize(
    ("error", "within_s"),
    [
        (InstrumentTimeout("relay", "no reply"), 2.7),
        (InstrumentRefusal("relay", "too late"), 0.7),
        (OSError("a bug"), 2.7),
    ],
)
def test_a_watchdog_that_cannot_be_fed_ends_the_run_safe(toys: Any, error: Exception, within_s: float) -> None:
    toys.relay.fails = error
    end = toys.run(Phase("one", for_s=600.0), interlocks=[HIGH])
    assert end.status is Status.ERROR
    assert "the watchdog of relay has expired" in end.reason
    assert toys.of("safe-state")[0]["t"] <= 20.0 + within_s + 0.1


def test_a_feed_that_hangs_ends_the_run_safe_as_the_watchdog_expires(toys: Any) -> None:
    usual = toys.relay.feed_watchdog
    toys.relay.feed_watchdog = lambda: [toys.clock.sleep(HANGS_S if toys.clock.now() > 20.0 else 0.0), usual()]
    end = toys.run(Phase("one", for_s=600.0), interlocks=[HIGH])
    assert (end.status, end.reason) == (
        Status.ERROR,
        'the watchdog of relay has expired: instrument "relay" could not be fed',
    )
    assert toys.of("safe-state")[0]["t"] <= 20.0 + 2.0 + LATE_S + 0.1


def test_a_look_for_hanging_samplers_that_breaks_ends_the_run_safe(toys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("bench.watchdog.Watchdog._notice_lost", breaks)
    guard = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=1.0, max_outage_s=8.0)
    end = toys.run(Phase("one", for_s=600.0), interlocks=[guard])
    assert (end.status, "the look for samplers that hang broke off" in end.reason) == (Status.ERROR, True)
    assert toys.box.valves()["vent"] is True


def test_a_watchdog_is_left_armed_where_the_instrument_did_not_say_that_it_is_safe(toys: Any) -> None:
    toys.relay.safe_takes_s = 100.0
    toys.run(interlocks=[HIGH])
    assert "disarm" not in [what for _, what in toys.relay.events]
    assert any("left armed" in event["text"] for event in toys.of("event"))


@pytest.mark.parametrize(
    "error", [InstrumentReplyError("relay", "its supply reads back energised"), ZeroDivisionError("a bug")]
)
def test_a_watchdog_is_left_armed_where_the_instrument_said_that_it_is_not_safe(toys: Any, error: Exception) -> None:
    toys.relay.safe_fails = error
    assert toys.run(Phase("one", for_s=30.0), interlocks=[HIGH]).status is Status.COMPLETED
    assert [what for _, what in toys.relay.events if what != "feed"] == ["open", "arm", "closed"]
    assert any("left armed" in event["text"] for event in toys.of("event"))


def test_what_another_instrument_says_leaves_no_watchdog_armed(toys: Any) -> None:
    toys.scale.safe = lambda: 1 / 0
    toys.run(Phase("one", for_s=30.0), interlocks=[HIGH])
    assert [what for _, what in toys.relay.events][-3:] == ["safe", "disarm", "closed"]


def test_a_run_that_cannot_open_an_instrument_leaves_no_watchdog_armed(toys: Any) -> None:
    toys.gauge.missing = True
    assert toys.run().status is Status.ERROR
    assert "arm" not in [what for _, what in toys.relay.events]


def test_a_sampler_that_hangs_is_noticed_without_any_watchdog(toy_bench: Any) -> None:
    toys = toy_bench()
    hang(toys, 30.0)
    guard = Interlock("pressure", "gauge.pressure", high=50.0, max_outage_s=8.0)
    end = toys.run(Phase("one", for_s=600.0), interlocks=[guard])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert 38.0 <= toys.of("safe-state")[0]["t"] <= 41.0
    assert toys.box.valves()["vent"] is True


@pytest.mark.parametrize(("outage_s", "allowed_s"), [(None, SILENT_S), (8.0, 8.0)])
def test_an_instrument_that_hangs_as_it_is_started_is_noticed(
    toys: Any, outage_s: float | None, allowed_s: float
) -> None:
    toys.gauge.start = lambda: toys.clock.sleep_until(HANGS_S)
    guard = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=1.0, max_outage_s=outage_s)
    end = toys.run(Phase("one", for_s=600.0), interlocks=[guard])
    assert end.status is (Status.ERROR if outage_s is None else Status.STOPPED_BY_INTERLOCK)
    assert max(toys.relay.fed()) <= STARTS_S + allowed_s + 1e-9
    assert toys.of("safe-state")[0]["t"] <= STARTS_S + allowed_s + 3.0


def test_one_that_takes_its_time_to_start_hangs_not(toys: Any) -> None:
    usual = toys.gauge.start
    toys.gauge.start = lambda: [toys.clock.sleep(STARTS_S), usual()]
    brief = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=1.0, max_outage_s=0.5)
    assert toys.run(Phase("one", for_s=60.0), interlocks=[brief]).status is Status.COMPLETED
    assert toys.of("interlock") == []
