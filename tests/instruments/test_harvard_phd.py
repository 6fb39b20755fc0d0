"""The driver of Harvard syringe pumps: counts, starts, a bad wire, going safe."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.samples import Quality
from instruments.capabilities import SyringePump
from instruments.drivers.harvard_phd import HarvardPump, _digits
from instruments.instrument import (
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    load_driver,
)
from instruments.simulation.devices.harvard_phd import PhdPump

GLASS_1_ML = {"diameter": "4.61 mm", "volume": "1 mL", "max_rate": "40 mL/h"}


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


class Pressure:
    """A pressure in kPa that a test sets."""

    kpa = 0.0

    def at(self, t):
        return self.kpa


class Witness(PhdPump):
    """A pump that remembers what it was sent and what it has executed."""

    def __init__(self, **options):
        self.sent, self.executed = [], []
        super().__init__(Plunger(), **options)

    def write(self, data, now):
        self.sent.append(data)
        super().write(data, now)

    def on_command(self, name, rest, now):
        lines = super().on_command(name, rest, now)
        self.executed.append(f"{name} {rest}".strip())
        return lines


class Strike:
    """Does something to the exchange of one command, the first time that it is sent."""

    def __init__(self, command, *, request=None, reply=None):
        self.command, self.request, self.reply = command.encode(), request, reply
        self.struck = self.armed = False

    def begin(self, device, data, now):
        self.armed = not self.struck and self.command in data
        self.struck |= self.armed
        return self.request(device, data, now) if self.armed and self.request else data

    def tamper(self, device, data, at):
        return self.reply(device, data, at) if self.armed and self.reply else [(at, data)]


def lose(device, data, at):
    return []


@pytest.fixture
def pump_at(connected):
    """Function that opens a driver in front of a device."""
    return partial(connected, "harvard-phd", **GLASS_1_ML)


@pytest.fixture
def device():
    return Witness()


@pytest.fixture
def pump(pump_at, device):
    driver = pump_at(device)
    device.executed.clear()
    return driver


def watched(pump, seconds):
    """Readings of a while, as a sampler takes them."""
    readings = []
    for _ in range(round(seconds)):
        pump.clock.sleep(1.0)
        readings.append(pump.sample())
    return readings


# -- who it is, and what it says


@pytest.mark.parametrize("options", [{}, {"poll": True}, {"echo": True}, {"address": 12}])
def test_it_says_who_it_is_however_it_wakes(pump_at, options):
    pump = pump_at(Witness(**options), address=options.get("address", 0))
    identity = pump.identify()
    assert (identity.maker, identity.model) == ("Harvard Apparatus", "PHD ULTRA I/W")
    assert (identity.serial, identity.firmware) == ("D103792", "3.0.7")
    assert load_driver("harvard-phd") is HarvardPump
    assert isinstance(pump, SyringePump)
    assert (pump.sample().values, pump.probe()) == ((0.0, 0.0, 58.0, 0.0), [])


def test_the_syringe_is_set_and_settings_are_not_written_into_its_memory(pump_at, device):
    pump_at(device, force=40)
    assert {"nvram none", "force 40", "diameter 4.6100"} <= set(device.executed)
    assert device.diameter_mm == 4.61


def test_counts_and_state_while_it_infuses_and_when_the_target_is_reached(pump):
    pump.infuse(3600.0, 5.0)
    first, *_, last = watched(pump, 8)
    assert first.values[0] == pytest.approx(first.t - pump.clock.now() + 8.0, abs=0.2)
    assert (first.values[2], last.values) == (62.0, (5.0, 0.0, 84.0, 0.0))
    assert {reading.quality for reading in (first, last)} == {(0, 0, 0, 0)}


def test_counts_go_on_over_starts_in_both_directions_until_they_are_cleared(pump, device):
    for act, volume in ((pump.infuse, 5.0), (pump.withdraw, 2.0), (pump.infuse, 1.5)):
        act(36_000.0, volume)
        pump.clock.sleep(5.0)
    state = pump.syringe_state()
    assert (state.running, state.infused_ul, state.withdrawn_ul) == ("stopped", 6.5, 2.0)
    assert pump.sample().values[:2] == (6.5, 2.0)
    assert device.plunger.moved_ul(1e6) == pytest.approx(4.5)
    pump.clear_counts()
    assert pump.sample().values[:2] == (0.0, 0.0)


# -- starting


def test_a_start_says_what_was_set_and_has_a_target_even_without_a_volume(pump, device):
    done = pump.infuse(1234.5)
    assert done.command == "infuse 1234.5 uL/h, until halted"
    assert done.reply == "infuses at 1234.50 uL/h, until halted, at most 1000 uL"
    assert device._target_ul == pytest.approx(1000.0)
    assert device.executed[-1] == "status"
    assert device.executed.count("irun") == 1


@pytest.mark.parametrize(
    ("settings", "order", "why"),
    [
        ({}, lambda pump: pump.infuse(40_001.0), "at most 40000 uL/h"),
        ({}, lambda pump: pump.infuse(0.0), "above 0"),
        ({}, lambda pump: pump.infuse(100.0, 1001.0), "at most that of the syringe, 1000 uL"),
        ({}, lambda pump: pump.infuse(100.0, 0.00123), "cannot be set within 0.1%"),
        ({"direction": "infuse"}, lambda pump: pump.withdraw(100.0), "may only infuse"),
    ],
)
def test_what_the_station_does_not_allow_is_refused_before_anything_is_sent(pump_at, device, settings, order, why):
    pump = pump_at(device, **settings)
    device.sent.clear()
    with pytest.raises(InstrumentRefusal, match=why):
        order(pump)
    assert device.sent == []


def test_a_running_pump_is_not_started_again(pump, device):
    pump.infuse(1000.0)
    with pytest.raises(InstrumentRefusal, match="is running; halt it first"):
        pump.withdraw(1000.0)
    assert device.executed.count("wrun") == 0


def test_a_rate_that_the_pump_refuses_is_a_refusal(pump_at):
    with pytest.raises(InstrumentRefusal, match="Out of range"):
        pump_at(Witness(), max_rate="1 L/h").infuse(900_000.0)


@pytest.mark.parametrize("volume", [0.05, 50.0, None])
def test_a_start_whose_reply_is_lost_is_found_out_and_made_once(pump, device, volume):
    device.misbehaviour = Strike("irun", reply=lose)
    pump.infuse(36_000.0, volume)
    watched(pump, 10)
    assert device.executed.count("irun") == 1
    if volume:
        assert device.plunger.moved_ul(1e6) == pytest.approx(volume, abs=1e-3)


def test_a_start_that_was_never_heard_is_an_error_and_no_motion(pump, device):
    device.misbehaviour = Strike("irun", request=lambda device, data, now: None)
    with pytest.raises(InstrumentReplyError, match="did not start: it stands and its count has not moved"):
        pump.infuse(1000.0, 5.0)
    assert device.plunger.changes == {}


@pytest.mark.parametrize("command", ["irate", "tvolume"])
def test_a_setting_that_is_damaged_on_its_way_is_set_again(pump, device, command):
    device.misbehaviour = Strike(f"{command} 1", request=lambda device, data, now: data.replace(b" 1", b" 9", 1))
    pump.infuse(100.0, 10.0)
    assert (device._rates[1], device._target_ul) == ("100 ul/hr", 10.0)


def test_a_start_that_is_under_way_when_the_bench_goes_safe_is_refused(pump, device):
    device.misbehaviour = Strike("tvolume", request=lambda device, data, now: (pump.halt(), data)[1])
    with pytest.raises(InstrumentRefusal, match="was halted before it started"):
        pump.infuse(1000.0, 5.0)
    assert device.plunger.changes == {}


# -- stopping, alarms


def test_going_safe_stops_it_and_says_so(pump, device):
    pump.infuse(3600.0)
    pump.clock.sleep(10.0)
    assert pump.make_safe().startswith("the syringe stands; 10.")
    assert device.stands
    assert pump.sample().values[2] == 58.0


def test_a_pump_that_does_not_answer_is_not_said_to_stand(pump, device):
    pump.infuse(3600.0)
    device.unplug(pump.clock.now(), 600.0)
    with pytest.raises(InstrumentError):
        pump.make_safe()


def test_a_pump_that_does_not_stop_is_not_said_to_stand(pump, device):
    pump.infuse(3600.0)
    device._commands["stp"] = lambda rest, now: []
    with pytest.raises(InstrumentReplyError, match="was told to stop and does not say that it stands"):
        pump.make_safe()


def test_a_stall_is_an_alarm_until_the_next_start(pump_at):
    pressure = Pressure()
    pump = pump_at(Witness(pressure=pressure, force_limit_n=5.0))
    pump.infuse(3600.0)
    watched(pump, 2)
    pressure.kpa = 400.0
    (reading,) = watched(pump, 1)
    assert reading.values[2:] == (42.0, 1.0)
    assert pump.syringe_state().alarm == "stall"
    assert pump.probe() == ["it reports the alarm stall"]
    assert "stopped with the alarm stall" in pump.take_notes()[-1].text
    pressure.kpa = 0.0
    pump.infuse(3600.0)
    assert watched(pump, 1)[0].values[2:] == (62.0, 0.0)


def test_a_restart_is_noticed_by_its_count_and_the_syringe_is_set_again(pump, device):
    pump.infuse(36_000.0)
    watched(pump, 10)
    device.reboot(pump.clock.now())
    device.diameter_mm = 26.59
    pump.clock.sleep(5.0)
    for _ in range(3):
        pump.clock.sleep(1.0)
        try:
            reading = pump.sample()
        except InstrumentError:
            continue
    assert reading.values == (0.0, 0.0, 58.0, 1.0)
    assert pump.syringe_state().alarm == "reset"
    pump.infuse(100.0, 1.0)
    assert device.diameter_mm == 4.61


# -- the wire


def test_no_command_is_longer_than_24_characters(pump, device):
    pump.infuse(12_345.678, 987.65432)
    pump.halt()
    pump.withdraw(0.5, 0.25)
    pump.halt()
    pump.clear_counts()
    commands = [command for data in device.sent for command in data.decode().split("\r")]
    assert max(map(len, commands)) <= 24


@pytest.mark.parametrize("shown", ["600 ul/hr", "10.000 ul/min", "0.0001667 ml/sec", "10000 nl/min"])
def test_a_rate_is_the_same_in_whatever_unit_it_reads_back(pump, device, shown):
    rate = device._rate
    device._rate = lambda sign, rest, now: rate(sign, rest, now) if rest else [shown]
    assert pump.infuse(600.0, 1.0).reply == "infuses at 600.000 uL/h, 1 uL"


@given(st.floats(0.01, 999_999.0))
def test_a_number_is_sent_without_an_exponent_and_close_enough(value):
    text = _digits(value)
    assert "e" not in text
    assert len(text) <= 8
    assert float(text) == pytest.approx(value, rel=1e-2 if value < 0.05 else 1e-3)


@pytest.mark.parametrize(
    ("instead", "why"),
    [
        ("0 0 0 w...W\r\n>", "does not agree with its flag w"),
        ("0 0 0 i...I\r\n*", "does not agree with its flag"),
        ("0 0 0 i...I\r\n>", "does not agree with its rate"),
        ("0 0 0 i..I\r\n:", "is no status"),
        ("0 0 0 i...I\r\n;", "does not end with a prompt"),
        ("0 0 0 i...I\r\n03:", "does not end with a prompt"),
        ("0 0 0 w...W\r\n:", "moves the other way"),
    ],
)
def test_a_status_whose_parts_do_not_agree_is_none(pump, device, instead, why):
    pump.sample()
    reply = device._reply

    def answer(lines, now):
        if lines and "..." in lines[0]:
            device.emit(b"\n" + instead.encode() + b"\x11", now + 0.01)
        else:
            reply(lines, now)

    device._reply = answer
    with pytest.raises(InstrumentReplyError, match=why):
        pump.sample()


def test_two_different_replies_to_one_question_are_none(pump, device):
    answer = device.emit
    device.emit = lambda data, at: (answer(data, at), answer(data.replace(b" 0 ", b" 7 "), at))
    with pytest.raises(InstrumentReplyError):
        pump.sample()


def test_a_count_of_which_nobody_knows_whether_it_was_cleared_is_flagged_until_it_is(pump, device):
    pump.infuse(36_000.0, 5.0)
    pump.clock.sleep(5.0)
    device.misbehaviour = Strike("civolume", request=lambda device, data, now: device.unplug(now, 2.0))
    with pytest.raises(InstrumentError):
        pump.infuse(36_000.0, 5.0)
    pump.clock.sleep(10.0)
    assert pump.sample().quality[:2] == (Quality.DISTURBED, Quality.DISTURBED)
    pump.clear_counts()
    assert pump.sample().quality[:2] == (0, 0)


@pytest.mark.parametrize("raw_errors", [False, True])
def test_a_pump_whose_cable_was_pulled_comes_back(wired, device, raw_errors):
    pump = wired("harvard-phd", device, raw_errors=raw_errors, **GLASS_1_ML)
    pump.open()
    pump.infuse(3600.0)
    device.unplug(pump.clock.now(), 10.0)
    lost = 0
    for _ in range(30):
        pump.clock.sleep(1.0)
        try:
            reading = pump.sample()
        except InstrumentError:
            lost += 1
    assert 10 <= lost <= 25
    assert reading.values[0] == pytest.approx(device.moved_ul(1, reading.t), abs=1e-6)
    assert reading.values[2] == 62.0
