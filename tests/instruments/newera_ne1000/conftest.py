"""A simulated syringe pump that remembers what it was sent, with its driver in front of it."""

from functools import partial

import pytest

from instruments.instrument import InstrumentError
from instruments.simulation.devices.newera_ne1000 import Ne1000


class Plunger:
    """Remembers the flow that was commanded, also what was announced for later."""

    def __init__(self):
        self.changes = {}

    def write(self, value, t):
        self.changes[t] = value

    def moved_ul(self, until):
        moments = [t for t in sorted(self.changes) if t < until]
        ends = [*moments[1:], until]
        return sum(self.changes[t] * (end - t) / 3600.0 for t, end in zip(moments, ends, strict=False))


class Witness(Ne1000):
    """A pump that remembers what it was sent and what it has executed."""

    def __init__(self, **options):
        self.sent, self.executed = [], []
        super().__init__(Plunger(), **options)

    def write(self, data, now):
        self.sent.append(data)
        super().write(data, now)

    def on_command(self, name, rest, now):
        reply = super().on_command(name, rest, now)
        self.executed.append(name + rest)
        return reply


@pytest.fixture(scope="session")
def witness():
    """Function that makes such a pump."""
    return Witness


@pytest.fixture(scope="session")
def glass_1_ml():
    """A syringe, as a station file states it."""
    return {"diameter": "4.61 mm", "volume": "1 mL", "max_rate": "60 mL/h"}


@pytest.fixture
def pump_at(connected, glass_1_ml):
    """Function that opens a driver in front of a device."""
    return partial(connected, "newera-ne1000", **glass_1_ml)


@pytest.fixture(scope="session")
def watched():
    """Function that polls for a while, as a sampler does, and returns the readings."""

    def watched(pump, seconds):
        readings = []
        for _ in range(round(seconds / pump.period_s)):
            pump.clock.sleep(pump.period_s)
            readings.append(pump.sample())
        return readings

    return watched


@pytest.fixture(scope="session")
def attempt():
    """Function that polls once and returns what went wrong, or None."""

    def attempt(pump):
        try:
            pump.sample()
        except InstrumentError as error:
            return error
        return None

    return attempt
