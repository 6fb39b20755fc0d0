"""The balance driver in front of the simulated balance, on a good wire and on a bad one."""

import math
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.samples import Quality
from instruments.capabilities import Tareable
from instruments.clock import VirtualClock
from instruments.drivers.mettler_mtsics import MtSicsBalance
from instruments.instrument import (
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    load_driver,
)
from instruments.simulation.devices import mt_sics
from instruments.simulation.wire import LineDevice

DIGIT_MG = 0.01


class Load:
    """A load in mg as a function of time, converted ten times a second."""

    def __init__(self, mg):
        self.mg = mg if callable(mg) else lambda t: mg

    def at(self, t):
        return self.mg(t)

    def shown_at(self, t):
        """What a balance displays that is asked at ``t``."""
        return round(self.mg(int(t * 10 + 1e-6) / 10) / DIGIT_MG) * DIGIT_MG


class Script(LineDevice):
    """Answers each command from a table, every other one with ES."""

    def __init__(self, **answers):
        super().__init__()
        known = {"I4": 'I4 A "B1"', "@": 'I4 A "B1"', "I2": 'I2 A "XS204 220.0 g"', "I3": 'I3 A "2.1"'}
        self.answers = known | answers
        self.heard = []

    def on_line(self, line, now):
        self.heard.append(line)
        answer = self.answers.get(line, "ES")
        self.emit(answer.encode("latin-1") + (b"" if answer.endswith("\n") else b"\r\n"), now + 0.01)


@pytest.fixture
def weigh(connected):
    """Function that opens a balance driver in front of a device."""
    return partial(connected, "mettler-mtsics")


def creeping(t):
    """A load that shows another value at each conversion, so that an old reply cannot pass for a new one."""
    return 10_000.0 + 0.05 * math.floor(10 * t + 1e-6) + 0.02 * (math.floor(10 * t + 1e-6) % 7)


# -- readings


def test_a_balance_tells_who_it_is_and_how_much_it_carries(weigh):
    balance = weigh(mt_sics.MtSicsBalance(Load(0.0)))
    identity = balance.identify()
    assert (identity.maker, identity.model, identity.serial) == ("Mettler-Toledo", "XPR205 Excellence", "B021002593")
    assert identity.firmware == "2.10 10.28.0.493.142"
    assert balance.capacity_mg == pytest.approx(220_000.09)


def test_the_capacity_of_the_station_file_wins(weigh):
    assert weigh(mt_sics.MtSicsBalance(Load(0.0)), capacity="120 g").capacity_mg == 120_000.0


def test_a_balance_can_be_tared(weigh):
    assert isinstance(weigh(mt_sics.MtSicsBalance(Load(0.0))), Tareable)


@given(mg=st.floats(-2000.0, 219_999.0))
def test_what_the_balance_shows_is_what_is_read(wired, mg):
    balance = wired("mettler-mtsics", mt_sics.MtSicsBalance(Load(mg)))
    balance.open()
    reading = balance.sample()
    assert reading.values == (pytest.approx(mg, abs=0.50001 * DIGIT_MG), 83.0)
    assert reading.quality == (0, 0)


@pytest.mark.parametrize(
    ("reply", "mg"),
    [
        ("S S    12.3456 g", 12_345.6),
        ("S S   -12.3456 g", -12_345.6),
        ("S D    12.3456 g", 12_345.6),
        ("S S         12 mg", 12.0),
        ("S S   0.012345 kg", 12_345.0),
        ("S S    12.3456 g   ", 12_345.6),
        ("S S    12.3456 g\n", 12_345.6),
        ("S S    12.3451 g", 12_345.1),
    ],
)
def test_a_weight_in_its_columns_is_read_to_the_last_digit(weigh, reply, mg):
    reading = weigh(Script(SI=reply)).sample()
    assert reading.values[0] == mg
    assert reading.quality[0] == (Quality.UNSTABLE if reply[2] == "D" else 0)


@pytest.mark.parametrize(
    "reply",
    [
        "S S   12.3456 g",
        "S S     12.3456 g",
        "S S 12.3456    g",
        "S S    12.3456 ct",
        "S S    12.3456",
        "S S    12,3456 g",
        "S S    12.34 6 g",
        "S S     1_2.34 g",
        "S S        nan g",
        "S S      1e300 g",
        "S S     0x1.8p g",
        "S S          . g",
        "S s    12.3456 g",
        "TI S    12.3456 g",
        "S S    12.3\u00b556 g",
        "",
        'I4 A "B1"',
    ],
)
def test_nothing_but_a_weight_in_its_columns_is_a_reading(weigh, reply):
    balance = weigh(Script(SI=reply))
    with pytest.raises((InstrumentReplyError, InstrumentTimeout)):
        balance.sample()


@pytest.mark.parametrize(
    ("reply", "quality", "code"),
    [
        ("S +", Quality.OVERLOAD, 43.0),
        ("S -", Quality.UNDERLOAD, 45.0),
        ("S S Error 10b", Quality.DEVICE_ERROR, 69.0),
        ("S S     Error 3t", Quality.DEVICE_ERROR, 69.0),
    ],
)
def test_a_state_without_a_value_is_flagged_and_has_none(weigh, reply, quality, code):
    reading = weigh(Script(SI=reply)).sample()
    assert math.isnan(reading.values[0])
    assert reading.values[1] == code
    assert reading.quality == (quality, 0)


@pytest.mark.parametrize(("reply", "error"), [("S I", InstrumentRefusal), ("EL", InstrumentRefusal)])
def test_a_busy_balance_is_not_asked_again_at_once(weigh, reply, error):
    device = Script(SI=reply)
    balance = weigh(device)
    device.heard.clear()
    with pytest.raises(error):
        balance.sample()
    assert device.heard == ["SI"]


@pytest.mark.parametrize("reply", ["ES", "ET", "S L"])
def test_an_error_reply_is_an_error(weigh, reply):
    with pytest.raises(InstrumentReplyError):
        weigh(Script(SI=reply)).sample()


def test_two_replies_to_one_question_are_none(weigh):
    balance = weigh(Script(SI="S S     0.0000 g\r\nS S    12.3456 g"))
    with pytest.raises(InstrumentReplyError, match="more than one reply"):
        balance.sample()


def test_the_same_reply_twice_is_one(weigh):
    assert weigh(Script(SI="S S    12.3456 g\r\nS S    12.3456 g")).sample().values[0] == 12_345.6


# -- tare


def test_a_tare_takes_the_load_as_zero(weigh):
    balance = weigh(mt_sics.MtSicsBalance(Load(12_345.6)))
    balance.tare()
    assert balance.sample().values[0] == 0.0


def test_a_tare_waits_for_a_stable_reading(weigh):
    balance = weigh(mt_sics.MtSicsBalance(Load(lambda t: 5000.0 + 100.0 * max(0.0, 8.0 - t))))
    balance.tare()
    assert 9.0 <= balance.clock.now() <= 10.0
    assert balance.sample().values[0] == 0.0


def test_a_load_that_never_rests_cannot_be_tared_and_the_wire_stays_in_step(weigh):
    load = Load(lambda t: 5000.0 + 100.0 * t)
    balance = weigh(mt_sics.MtSicsBalance(load), stability_timeout="15 s")
    balance.clock.sleep(5.0)
    with pytest.raises(InstrumentRefusal, match="was not stable within 15 s; keep draughts away"):
        balance.tare()
    reading = balance.sample()
    assert reading.values[0] == pytest.approx(load.shown_at(reading.t))


def test_an_overloaded_balance_cannot_be_tared(weigh):
    balance = weigh(mt_sics.MtSicsBalance(Load(300_000.0)), stability_timeout="3 s")
    with pytest.raises(InstrumentRefusal):
        balance.tare()


@pytest.mark.parametrize("command", ["TI", "TA"])
def test_a_tare_whose_digits_were_damaged_is_not_remembered(weigh, command):
    device = Script(SI="S S    12.3456 g", TI="TI S    12.3456 g", TA="TA A    12.3456 g")
    balance = weigh(device)
    once(device, command, "12", "16")
    balance.tare()
    assert balance._tare == b"12.3456 g"
    assert [command for command in device.heard if command.startswith("T")] == ["TI", "TA", "TI", "TA"]


def once(device, command, old, new):
    """Let the next reply to a command say something else."""
    emit = device.emit

    def damaged(data, at):
        if device.heard[-1] == command:
            device.emit, data = emit, data.replace(old.encode(), new.encode())
        emit(data, at)

    device.emit = damaged


def test_a_tare_is_set_again_only_when_the_balance_has_lost_it(weigh):
    device = mt_sics.MtSicsBalance(Load(12_345.6))
    balance = weigh(device)
    balance.tare()
    device.heard = []
    execute = device.on_line
    device.on_line = lambda line, now: (device.heard.append(line), execute(line, now))
    balance._in_step = False
    once(device, "TA", "12", "16")
    assert balance.sample().values[0] == 0.0
    assert [command for command in device.heard if command != "SI"] == ["I3", "TA", "TA"]
    assert balance.take_notes() == []


def test_a_restarted_balance_gets_its_tare_back_and_the_log_says_so(weigh):
    device = mt_sics.MtSicsBalance(Load(12_345.6))
    balance = weigh(device)
    balance.tare()
    device.reboot(balance.clock.now())
    balance.clock.sleep(6.0)  # it has started in silence between two questions
    assert balance.sample().values[0] == 0.0
    (note,) = balance.take_notes()
    assert note.level == "warning"
    assert "its tare of 12.34560 g was gone and is set again" in note.text


def test_a_tare_that_is_still_there_is_left_alone(weigh, damaged):
    device = mt_sics.MtSicsBalance(Load(12_345.6))
    balance = weigh(device)
    balance.tare()
    damaged(device, seed=1, drop=0.2)
    answered = 0
    for _ in range(50):
        balance.clock.sleep(1.0)
        try:
            assert balance.sample().values[0] == 0.0
        except InstrumentTimeout:
            continue
        answered += 1
    assert answered > 20
    assert balance.take_notes() == []


def test_a_balance_that_will_not_take_its_tare_back_gives_no_readings(weigh):
    device = Script(SI="S S    12.3456 g", TI="TI S    12.3456 g", TA="TA A    12.3456 g")
    balance = weigh(device)
    balance.tare()
    device.answers |= {"TA": "TA A     0.0000 g", "TA 12.3456 g": "TA L"}
    device.emit(b'I4 A "B1"\r\n', balance.clock.now())
    for _ in range(3):
        with pytest.raises(InstrumentRefusal, match="does not accept"):
            balance.sample()


def test_a_balance_that_waits_for_something_is_reset_at_last(weigh):
    device = mt_sics.MtSicsBalance(Load(lambda t: 100.0 + 50.0 * t), stability_timeout_s=1e6)
    balance = weigh(device)
    balance._tare = b"1.00000 g"
    balance.clock.sleep(5.0)
    device.write(b"S\r\n", balance.clock.now())  # somebody's key: it waits, and refuses everything meanwhile
    errors = 0
    for _ in range(8):
        try:
            balance.sample()
            break
        except InstrumentError:
            errors += 1
    assert 1 <= errors <= 5
    assert device.tare_mg == pytest.approx(1000.0)


def test_half_a_command_in_the_input_of_a_balance_costs_one_more_question(weigh):
    device = mt_sics.MtSicsBalance(Load(100.0))
    balance = weigh(device)
    device.write(b"J", balance.clock.now())
    balance._in_step = False
    start = balance.clock.now()
    assert balance.sample().values[0] == 100.0
    assert balance.clock.now() - start < 0.2


def test_a_serial_number_whose_digits_were_damaged_is_not_remembered(wired):
    device = Script(SI="S S    12.3456 g")
    balance = wired("mettler-mtsics", device)
    once(device, "I4", "B1", "B5")
    with pytest.raises(InstrumentDisconnected, match="tells two serial numbers"):
        balance.open()
    balance.clock.sleep(2.0)
    balance.sample()
    assert balance._serial_number == "B1"


def test_a_late_answer_to_one_marker_is_none_to_the_next(weigh):
    """Every answer comes half a second late for a while, so that old ones meet new questions."""
    load = Load(creeping)
    device = mt_sics.MtSicsBalance(load, stable_digits=1e6)
    balance = weigh(device)
    balance.tare()
    device.latency_s = 0.02
    for k in range(200):
        device.latency_s = 0.5 if k % 20 < 15 else 0.02
        try:
            reading = balance.sample()
        except InstrumentError:
            continue
        assert reading.values[0] == pytest.approx(load.shown_at(reading.t) - device.tare_mg, abs=1e-6)


def silence(device, after):
    """Let every answer after so many vanish."""

    class Silence:
        left = after

        def begin(self, device, data, now):
            return data

        def tamper(self, device, data, at):
            self.left -= 1
            return [(at, data)] if self.left >= 0 else []

    device.misbehaviour = Silence()


def test_a_tare_that_failed_leaves_the_one_before(weigh):
    device = mt_sics.MtSicsBalance(Load(lambda t: 5000.0 if t < 1.0 else 9000.0))
    balance = weigh(device, stability_timeout="3 s")
    balance.tare()
    balance.clock.sleep(5.0)
    silence(device, after=2)  # the tare is taken, and nobody hears of it
    with pytest.raises(InstrumentError):
        balance.tare()
    assert device.tare_mg == 9000.0
    device.misbehaviour = None
    assert balance.sample().values[0] == 4000.0


# -- readiness


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ({"M03": "M03 A 1"}, "automatic zero is on"),
        ({"M16": "M16 A 1"}, "may go to sleep"),
        ({"SI": "S D    12.3456 g"}, "not stable"),
        ({"SI": "S +"}, "out of range"),
        ({"SI": "S S    12.3456 ct"}, "unit must be g, mg or kg"),
        ({"SI": "S S Error 3b"}, "fault of its load cell"),
        ({"SI": "S S     12.345 g"}, 'its digit of 1 mg is coarse for max_step; write max_step = "10 mg" or more'),
    ],
)
def test_what_keeps_a_balance_from_a_run_is_said(weigh, answers, problem):
    (said,) = weigh(Script(**{"SI": "S S    12.3456 g", **answers})).probe()
    assert problem in said


def test_a_balance_without_level_2_is_ready_when_it_is_stable(weigh):
    assert weigh(Script(SI="S S    12.3456 g")).probe() == []


def test_a_balance_with_everything_set_is_ready(weigh):
    balance = weigh(mt_sics.MtSicsBalance(Load(100.0)))
    balance.clock.sleep(2.0)
    assert balance.probe() == []
    assert "drives nothing" in balance.make_safe()


# -- a bad wire


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_wire_does_a_reading_is_the_load_at_its_moment(weigh, damaged, seed):
    load = Load(creeping)
    device = mt_sics.MtSicsBalance(load)
    balance = weigh(device)
    balance.tare()
    tare = load.shown_at(balance.clock.now()) - balance.sample().values[0]
    struck = damaged(
        device, seed, drop=0.05, late=0.05, truncate=0.05, garble=0.05, duplicate=0.05, unsolicited=0.05, lf_only=0.05,
        unplug=0.004, reboot=0.004,
    ).struck  # fmt: skip
    read = failed = 0
    for k in range(1500):
        balance.clock.sleep_until(10.0 + k)
        start = balance.clock.now()
        try:
            reading = balance.sample()
        except InstrumentError:
            failed += 1
            continue
        finally:
            assert balance.clock.now() - start <= 0.9 + 1e-9
        read += 1
        assert reading.values[0] == pytest.approx(load.shown_at(reading.t) - tare, abs=1e-6)
    assert read > 600
    assert failed > 10
    assert min(count for kind, count in struck.items() if kind not in ("flip", "freeze")) >= 2


def test_a_balance_that_is_unplugged_comes_back_with_its_tare(weigh):
    device = mt_sics.MtSicsBalance(Load(12_345.6))
    balance = weigh(device)
    balance.tare()
    device.unplug(balance.clock.now(), 20.0)
    missed = 0
    for k in range(1, 61):
        balance.clock.sleep_until(1.0 * k)
        try:
            assert balance.sample().values[0] == 0.0
        except InstrumentDisconnected:
            missed += 1
    assert 20 <= missed <= 36


def test_the_name_leads_to_this_driver():
    assert load_driver("mettler-mtsics") is MtSicsBalance


def test_a_balance_needs_no_running_clock_to_be_made(wired):
    assert wired("mettler-mtsics", Script(), VirtualClock(), period="2 s").period_s == 2.0
