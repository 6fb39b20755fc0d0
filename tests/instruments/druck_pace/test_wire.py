"""The driver of pressure controllers on a bad wire: what is lost, damaged or said twice."""

import contextlib
import re

import pytest

from data.samples import Quality
from instruments.instrument import InstrumentError, InstrumentRefusal, InstrumentReplyError
from instruments.simulation.misbehaviour import KINDS

MAX_STEP_KPA = 0.5
TIMEOUT_S = 0.8


class Loss:
    """What happens to the next messages of the host in which a text stands, or to their replies.

    "message" or "reply" are lost, of "half" a message the end of line is lost, a "digit" 9 of the reply turns into 7,
    a "one" at its end into 0.
    """

    def __init__(self, text, what, count=1):
        self.text, self.what, self.left = text.encode(), what, count
        self.hit = False

    def begin(self, device, data, now):
        self.hit = self.text in data and self.left > 0
        self.left -= self.hit
        if not self.hit:
            return data
        return {"message": None, "half": data[:-1]}.get(self.what, data)

    def tamper(self, device, data, at):
        if not self.hit:
            return [(at, data)]
        changed = {"reply": b"", "digit": data.replace(b"9", b"7"), "one": data.replace(b"1\n", b"0\n")}
        return [(at, changed.get(self.what, data))]


class Chain:
    """Several of them, one after the other."""

    def __init__(self, *losses):
        self.losses = losses

    def begin(self, device, data, now):
        for loss in self.losses:
            data = data and loss.begin(device, data, now)
        return data

    def tamper(self, device, data, at):
        for loss in self.losses:
            ((at, data),) = loss.tamper(device, data, at)
        return [(at, data)]


@pytest.mark.parametrize("what", ["reply", "message"])
@pytest.mark.parametrize("text", [":SLEW:MODE LIN", ":AMPL 500", ":OUTP:STAT 1", ":VENT 1", ":OUTP:STAT 0;:SYST"])
def test_a_command_whose_reply_is_lost_is_done_once(pace, device, text, what):
    device.misbehaviour = loss = Loss(text, what)
    pace.set_pressure(50.0)
    pace.isolate()
    pace.vent()
    assert pace.pressure_state().mode == "vent"
    assert loss.left == (0 if "SYST" not in text else 1)
    done = [entry for entry in device.done if entry[0] in ("OUTPut", "SOURce", "SOURce:SLEW")]
    assert len(done) == len(set(done)) + 1  # OUTP 0, by isolate and by vent


def test_a_damaged_answer_to_what_it_holds_does_not_make_a_command_be_said_again(pace, device):
    lost, damaged = Loss(":VENT 1", "reply"), Loss("VENT?\n", "one")
    pace.set_pressure(50.0, 50.0)
    pace.clock.sleep(5.0)
    device.misbehaviour = Chain(lost, damaged)
    pace.vent()
    assert (lost.left, damaged.left) == (0, 0)
    assert device.done.count(("SOURce:VENT", "1")) == 1


def test_after_a_refusal_the_other_errors_of_that_command_are_forgotten(pace, device):
    device._errors.extend([-222, -222])
    with pytest.raises(InstrumentRefusal):
        pace.set_pressure(50.0, 60.0)
    pace.sample()
    assert not device._errors


def test_a_message_that_loses_its_end_costs_one_question(pace, device):
    device.misbehaviour = Loss(":SENS", "half")
    assert pace.sample().values[0] == 0.0


def test_a_damaged_digit_does_not_make_the_bench_believe_that_control_was_lost(pace, device):
    pace.set_pressure(50.0)
    device.misbehaviour = Loss(":SENS", "one")
    assert pace.sample().values[2] == 1.0
    assert pace.take_notes() == []


def test_a_jump_that_another_reading_confirms_is_read_and_one_that_does_not_last_is_not(control, scripted):
    script = scripted()
    driver = control(script)
    driver.sample()
    script.answers[":SENS:PRES:INL"] = "900.0000000, 1"
    assert driver.sample().values[0] == 90.0
    script.misbehaviour = Loss(":SENS", "digit")
    assert driver.sample().values[0] == 90.0
    (note,) = driver.take_notes()
    assert "a reading of 70 kPa did not last" in note.text


def test_two_different_replies_to_one_message_are_none(control, scripted):
    script = scripted()
    driver = control(script)
    answer = script.emit
    script.emit = lambda data, at: (answer(data, at), answer(data.replace(b"500", b"510"), at))
    with pytest.raises(InstrumentReplyError):
        driver.sample()


def test_a_completed_vent_that_is_still_shown_does_not_keep_the_line_from_being_shut(control, scripted):
    vent, setpoint = ":SOUR:PRES:LEV:IMM:AMPL:VENT", ":SOUR:PRES:LEV:IMM:AMPL"
    driver = control(scripted({vent: "2", setpoint: "0.0", ":SYST:ERR": '0,"No error"'}))
    driver.vent()
    assert driver.pressure_state().mode == "vent"
    driver.isolate()
    assert driver.pressure_state().mode == "measure"


HELD = {
    ":SOUR:PRES:INL": "0.025", ":SOUR:PRES:INL:TIME": "2", ":SOUR:PRES:SLEW": "10.0", ":SOUR:PRES:SLEW:MODE": "LIN",
    ":SOUR:PRES:SLEW:OVER": "0", ":SOUR:PRES:LEV:IMM:AMPL": "500.0", ":OUTP:STAT": "1",
    ":SOUR:PRES:LEV:IMM:AMPL:VENT": "0", ":SYST:ERR": '0,"No error"',
}  # fmt: skip


@pytest.mark.parametrize(
    ("header", "instead"),
    [(":SOUR:PRES:INL", "0.03"), (":SOUR:PRES:INL:TIME", "3"), (":SOUR:PRES:SLEW", "10.01"),
     (":SOUR:PRES:SLEW:MODE", "MAX"), (":SOUR:PRES:SLEW:OVER", "1"), (":SOUR:PRES:LEV:IMM:AMPL", "500.01"),
     (":OUTP:STAT", "0"), (":SOUR:PRES:LEV:IMM:AMPL:VENT", "1")],
)  # fmt: skip
def test_each_thing_that_is_set_must_read_back_as_it_was_said(control, header, instead, scripted):
    driver = control(scripted(HELD))
    driver.set_pressure(50.0)
    script = scripted({**HELD, header: instead})
    with pytest.raises(InstrumentReplyError, match="did not do"):
        control(script).set_pressure(50.0)


def test_a_command_that_nobody_answers_is_given_up_and_said(pace, device):
    device.misbehaviour = Loss(":AMPL 500", "message", count=99)
    with pytest.raises(
        InstrumentReplyError, match=re.escape('did not do ":UNIT:PRES HPA;:SOUR:PRES:LEV:IMM:AMPL 500.')
    ):
        pace.set_pressure(50.0)
    assert pace.pressure_state().mode == "measure"


EVERYTHING = dict.fromkeys(
    ("drop", "late", "truncate", "flip", "garble", "duplicate", "unsolicited", "lf_only", "drop_request"), 0.05
)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_wire_does_a_reading_is_the_pressure_at_its_moment(control, damaged, seed, listed):
    device = listed()
    driver = control(device, max_step=f"{MAX_STEP_KPA} kPa")
    driver.set_pressure(180.0, 0.05)
    struck = damaged(device, seed, **EVERYTHING, flip_request=0.05, unplug=0.004).struck
    read = wrong = 0
    for k in range(1500):
        driver.clock.sleep_until(10.0 + 2.0 * k)
        start = driver.clock.now()
        try:
            reading = driver.sample()
        except InstrumentError:
            continue
        finally:
            assert driver.clock.now() - start <= 3 * TIMEOUT_S + 2e-3  # no wait is shorter than 1 ms
        if reading.quality[0] & Quality.IMPLAUSIBLE:
            continue
        read += 1
        off = abs(reading.values[0] - device.true_at(reading.t))
        assert off <= MAX_STEP_KPA
        wrong += off > 1e-4
    assert read > 800
    assert wrong <= struck["flip"] / 4
    assert min(struck.values()) >= 2


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_to_replies_no_command_is_done_twice(control, damaged, seed, listed):
    device = listed()
    driver = control(device)
    struck = damaged(device, seed, **EVERYTHING, unplug=0.003, reboot=0.003).struck
    confirmed = 0
    for k in range(1, 301):
        driver.clock.sleep(10.0)
        device.done.clear()
        try:
            (driver.vent, driver.isolate, lambda k=k: driver.set_pressure(k / 2))[k % 3]()
            confirmed += 1
        except InstrumentError:
            pass
        done = [entry for entry in device.done if entry[0] not in ("UNIT", "*CLS")]
        assert len(done) == len(set(done))
    assert confirmed > 150
    assert sum(struck.values()) > 500


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_wire_does_to_both_directions_what_is_confirmed_is_so(control, damaged, seed, listed):
    device = listed()
    driver = control(device)
    damaged(device, seed, **EVERYTHING, flip_request=0.1, unplug=0.003, reboot=0.003)
    confirmed = 0
    for k in range(1, 301):
        driver.clock.sleep(10.0)
        try:
            (driver.vent, driver.isolate, lambda k=k: driver.set_pressure(k / 2, 10.0))[k % 3]()
        except InstrumentError:
            continue
        confirmed += 1
        assert (device.is_on, device.vents) == ((False, True), (False, False), (True, False))[k % 3]
        if device.is_on:
            held = (device.setpoint_kpa, device.slew_kpa_per_s, device.slew_mode, device.unit)
            assert held == (pytest.approx(k / 2, abs=3e-4), pytest.approx(10.0, rel=2e-5), "LIN", "HPA")
    assert confirmed > 120


@pytest.mark.parametrize("kind", KINDS)
def test_three_transactions_after_a_fault_the_readings_are_right_again(control, damaged, kind, listed):
    device = listed()
    driver = control(device, max_step=f"{MAX_STEP_KPA} kPa")
    driver.set_pressure(180.0, 0.05)
    for trial in range(6):
        misbehaviour = damaged(device, trial, **{kind.replace("-", "_"): 0.5})
        for _ in range(20):
            driver.clock.sleep(2.0)
            with contextlib.suppress(InstrumentError):
                reading = driver.sample()
                off = abs(reading.values[0] - device.true_at(reading.t))
                assert kind == "freeze" or reading.quality[0] or off <= MAX_STEP_KPA
        assert misbehaviour.struck[kind]
        device.misbehaviour, device.frozen, device.saturated = None, False, False
        driver.clock.sleep(31.0)  # the plug is in again, and the next attempt to open the port is due
        failed = 0
        for k in range(10):
            driver.clock.sleep(2.0)
            try:
                reading = driver.sample()
            except InstrumentError:
                failed += 1
                assert k < 3
            else:
                assert reading.values[0] == pytest.approx(device.true_at(reading.t), abs=1e-4)
        assert failed <= 2
