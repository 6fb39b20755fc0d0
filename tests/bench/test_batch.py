"""What is polled goes to the record in blocks, waits there for no reading that comes late, and ends when it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.recorder import SYNC_WALL_S
from bench.resting import Resting
from bench.sampler import Sampler
from data.samples import Block, Channel, Reading
from instruments.clock import VirtualClock, WallClock
from instruments.clock.virtual import _Flag
from instruments.instrument import Connection, Identity, InstrumentTimeout, Polled, Settings


class Thermometer(Polled):
    """A thermometer of any period, which does not answer at times."""

    channels = (Channel("temperature", "degC"),)
    period_s = 30.0
    mute: tuple[float, float] = (0.0, 0.0)

    def open(self) -> None:
        """Nothing to do."""

    def identify(self) -> Identity:
        return Identity("toys", "thermometer", "1")

    def make_safe(self) -> str:
        return "safe"

    def close(self) -> None:
        """Nothing to do."""

    def sample(self) -> Reading:
        asked = self.clock.now()
        if self.mute[0] <= asked < self.mute[1]:
            raise InstrumentTimeout(self.name, "no reply")
        return Reading(asked, (37.0,), (0,))


class Kept:
    """A record that notes how old each reading is when it comes."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.blocks: list[Block] = []
        self.ages_s: list[float] = []

    def block(self, block: Block) -> None:
        self.blocks.append(block)
        self.ages_s += (self._clock.now() - block.t).tolist()

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def polled(period_s: float, every: int = 1, mute: tuple[float, float] = (0.0, 0.0)) -> Kept:
    """An hour of readings on a clock that writes the record as the wall clock does."""
    clock = VirtualClock()
    clock.record_every_s = WallClock.record_every_s
    kept, room = Kept(clock), Thermometer("room", Settings(), clock, Connection())
    room.period_s, room.mute = period_s, mute  # type: ignore[misc]  # a property of the real ones
    sampler = Sampler(room, clock, kept, lambda *_: None, 0.05, Resting(every))  # type: ignore[arg-type]  # as a recorder

    def main() -> None:
        worker = clock.worker("sampler", sampler.run)
        clock.sleep(1.0)
        sampler.rest("quiet")
        clock.sleep(3600.0)
        sampler.end()
        worker.join()

    clock.run(main)
    clock.close()
    return kept


@pytest.mark.parametrize(("period_s", "every"), [(30.0, 1), (30.0, 20), (1.0, 60), (1.0, 1)])
def test_a_reading_does_not_wait_for_one_that_comes_late(period_s: float, every: int) -> None:
    kept = polled(period_s, every)
    assert len(kept.ages_s) >= 3600.0 / period_s / every
    assert max(kept.ages_s) == 0.0


def test_readings_that_come_fast_are_kept_in_one_block() -> None:
    kept = polled(0.05)
    assert max(kept.ages_s) <= WallClock.record_every_s + 1e-9
    assert len(kept.ages_s) / len(kept.blocks) > 4.0


def test_what_was_read_before_an_instrument_fell_silent_is_kept_at_once() -> None:
    kept = polled(0.1, mute=(100.05, 200.05))
    t = np.concatenate([block.t for block in kept.blocks])
    before = np.array(kept.ages_s)[(t > 99.0) & (t < 100.05)]
    assert max(before) < 0.25


class Interrupted(_Flag):
    """A flag at whose clearing another thread comes between."""

    def __init__(self, clock: VirtualClock, between: Callable[[], object]) -> None:
        super().__init__(clock)
        self._between = [between]

    def clear(self) -> None:
        while self._between:
            self._between.pop()()
        super().clear()


def test_an_end_that_comes_as_the_worker_takes_another_order_is_not_missed() -> None:
    clock = VirtualClock()
    room = Thermometer("room", Settings(), clock, Connection())
    sampler = Sampler(room, clock, Kept(clock), lambda *_: None, 0.05, Resting(20))  # type: ignore[arg-type]  # as a recorder
    sampler._wake = Interrupted(clock, sampler.end)

    def main() -> bool:
        worker = clock.worker("sampler", sampler.run)
        clock.sleep(100.0)
        sampler.rest("quiet")
        clock.sleep(100.0)
        return worker.done

    assert clock.run(main)
    clock.close()


def test_from_the_instrument_to_the_disk_a_reading_takes_a_second_at_most() -> None:
    """In the block, in the queue of the writer, and until the disk has confirmed it."""
    assert 2.0 * WallClock.record_every_s + SYNC_WALL_S <= 1.0
