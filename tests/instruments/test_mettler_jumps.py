"""The balance driver where its reading jumps: by a true step of the load, or by a digit that the wire damaged."""

import pytest

from data.samples import UNUSABLE, Quality
from instruments.simulation.devices.mt_sics import MtSicsBalance


class Load:
    """5 g, and 80 mg from a moment on."""

    def __init__(self, falls_at=float("inf")):
        self.falls_at = falls_at

    def at(self, t):
        return 5000.0 if t < self.falls_at else 80.0


class Damage:
    """Turns 5 g into 5.8 g in some replies to SI, counted from the first; loses ``lost`` and those after ``last``."""

    def __init__(self, *places, last=10_000, lost=()):
        self.places, self.last, self.lost, self.count = places, last, lost, 0

    def begin(self, device, data, now):
        self.weighs = data == b"SI\r\n"
        return data

    def tamper(self, device, data, at):
        self.count += self.weighs
        if self.count > self.last or (self.weighs and self.count in self.lost):
            return []
        return [(at, data.replace(b"5.000", b"5.800") if self.weighs and self.count in self.places else data)]


@pytest.fixture
def weighed(wired):
    """Function that reads a balance once a second: values, qualities and moments, and the driver."""

    def weighed(count, load, damage, **settings):
        device = MtSicsBalance(load)
        balance = wired("mettler-mtsics", device, **settings)
        balance.open()
        device.misbehaviour = damage
        start, said = balance.clock.now(), []
        for k in range(count):
            balance.clock.sleep_until(start + k)
            reading = balance.sample()
            said.append((round(reading.values[0], 2), reading.quality[0] & int(UNUSABLE), round(reading.t - start, 2)))
        assert balance.clock.now() - start - (count - 1) <= 3 * balance.settings.timeout_s + 1e-9
        return said, balance

    return weighed


def test_a_true_step_of_the_load_is_read_when_it_happens(weighed):
    said, balance = weighed(5, Load(falls_at=2.9), Damage())
    assert said == [(mg, 0, k) for k, mg in enumerate([5000.0, 5000.0, 5000.0, 80.0, 80.0])]
    assert balance.take_notes() == []


def test_a_damaged_digit_is_asked_again_and_said(weighed):
    said, balance = weighed(4, Load(), Damage(4))  # the first reading of all is asked twice
    assert said == [(5000.0, 0, 0), (5000.0, 0, 1), (5000.0, 0, 2.02), (5000.0, 0, 3)]
    (note,) = balance.take_notes()
    assert "a reading of 5800 mg did not last and was damaged on the wire" in note.text


def test_on_a_wire_that_failed_in_the_last_hour_the_same_flip_twice_in_a_row_is_not_believed(weighed):
    damage = Damage(2400, 2401, lost=(5,))
    said, balance = weighed(2500, Load(), damage)
    assert {mg for mg, _, _ in said} == {5000.0}
    assert sum("a reading of 5800 mg did not last" in note.text for note in balance.take_notes()) == 1


def test_a_step_that_nothing_confirms_is_flagged_and_takes_no_longer_than_three_timeouts(weighed):
    damage = Damage(last=4)
    said, balance = weighed(3, Load(falls_at=1.9), damage)
    assert said[2] == (80.0, Quality.IMPLAUSIBLE, 2)
    damage.last = 10_000
    assert not balance.sample().quality[0] & int(UNUSABLE)


def test_the_largest_step_is_a_key_of_the_station_file(weighed):
    said, balance = weighed(4, Load(), Damage(4), max_step="1 g")
    assert balance.channels[0].max_step == 1000.0
    assert [mg for mg, _, _ in said] == [5000.0, 5000.0, 5800.0, 5000.0]
