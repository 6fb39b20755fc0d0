"""The driver of pressure controllers in front of the simulated one, on a good wire and on a bad one."""

import contextlib
import math
import re
import tomllib
from pathlib import Path

import pytest

from data.samples import Quality
from instruments.capabilities import PressureController
from instruments.clock import VirtualClock
from instruments.drivers.druck_pace import DruckPace
from instruments.instrument import (
    Connection,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    load_driver,
)
from instruments.simulation.devices.druck_pace import DruckPaceController
from instruments.simulation.misbehaviour import KINDS
from instruments.simulation.rig import Rig
from instruments.simulation.wire import ByteDevice, LineAssembler
from instruments.visa import VisaSettings

MAX_STEP_KPA = 0.5
TIMEOUT_S = 0.8


class Line:
    """A line without volume; an actuator that goes where it is told."""

    def write(self, value, t):
        pass

    def ramp(self, value, per_s, t):
        pass


class Listed(DruckPaceController):
    """A controller that lists the commands which it does."""

    def __init__(self, **settings):
        super().__init__(Line(), noise_kpa=0.0, **settings)
        self.done = []

    def _command(self, header, parameter, t):
        super()._command(header, parameter, t)
        self.done.append((re.sub(r"\[.*?\]", "", header.form), parameter))

    def true_at(self, t):
        """Gauge pressure of the conversion that a query finds which is done at ``t``."""
        return self._course.at(int(t * 10 + 1e-6) / 10)


class Script(ByteDevice):
    """Answers each query from a table, unknown ones with a blank line."""

    def __init__(self, answers=()):
        super().__init__()
        self.answers = {
            "*IDN": "GE Druck,Pace5000 User Interface,7,1", ":UNIT:PRES": "HPA", ":SENS:PRES:RANG": '"2.00barg"',
            ":SENS:PRES:INL": "500.0000000, 1", ":OUTP:STAT": "0",
        }  # fmt: skip
        self.answers |= dict(answers)
        self.lines = LineAssembler()

    def on_bytes(self, data, now):
        for line in self.lines.feed(data):
            asked = [part[:-1] for part in line.decode().split(";") if part.endswith("?")]
            reply = ";".join(f"{header} {self.answers[header]}" for header in asked if header in self.answers)
            self.emit(reply.encode() + b"\n", now + 0.01)


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


@pytest.fixture
def control(wired):
    """Function that opens a driver in front of a device."""

    def control(device, **settings):
        driver = wired("druck-pace", device, **{"max_pressure": "180 kPa", **settings})
        driver.open()
        return driver

    return control


@pytest.fixture
def device():
    return Listed()


@pytest.fixture
def pace(control, device):
    """The driver of that controller."""
    driver = control(device)
    device.done.clear()
    return driver


def pressure_after(driver, seconds):
    driver.clock.sleep(seconds)
    return driver.sample().values[0]


def test_the_page_of_the_driver_lists_its_keys_and_channels(pace):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "druck-pace.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", page.partition("## In simulation")[0], re.MULTILINE))
    own = DruckPace.settings_type.model_fields.keys() - VisaSettings.model_fields.keys()
    keys = {DruckPace.settings_type.model_fields[name].alias or name for name in own}
    assert told == keys | {"timeout"} | {channel.name for channel in pace.channels}


def stated(page):
    """What the page of a driver shows of a station file: the table of the instrument, and that of its simulation."""
    text = (Path(__file__).parents[2] / "docs" / "reference" / page).read_text(encoding="utf-8")
    tables = tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)))
    (table,) = tables["instruments"].values()
    ((resource, device),) = tables["simulation"]["visa"].items()
    return {**table, "resource": resource}, {resource: device}


def test_a_transmitter_of_the_same_rig_sees_what_the_controller_does():
    (control, pace), (transmit, transmitter) = stated("druck-pace.md"), stated("keller-x.md")
    clock = VirtualClock()
    rig = Rig({"visa": {**pace, **transmitter}}, clock, seed=1)
    connection = Connection.through(rig.visa)
    controller, sensor = (
        kind(
            "it",
            kind.settings_type.model_validate({k: v for k, v in table.items() if k != "driver"}),
            clock,
            connection,
        )
        for kind, table in ((load_driver(table["driver"]), table) for table in (control, transmit))
    )
    controller.open()
    sensor.open()
    for act, kpa in ((lambda: controller.set_pressure(20.0), 20.0), (controller.vent, 0.0)):
        act()
        clock.sleep(30.0)
        assert sensor.sample().values[0] == pytest.approx(kpa, abs=0.05)
        assert controller.sample().values[0] == pytest.approx(kpa, abs=0.01)
    rig.close()


# -- readings


def test_the_name_leads_to_this_driver_and_it_controls_pressure(pace):
    assert load_driver("druck-pace") is DruckPace
    assert isinstance(pace, PressureController)


@pytest.mark.parametrize("resource", ["ASRL1::INSTR", "TCPIP::10.0.0.7::5025::SOCKET", "GPIB0::5::INSTR"])
def test_a_controller_tells_who_it_is_on_every_interface(control, resource):
    driver = control(Listed(), resource=resource)
    identity = driver.identify()
    assert (identity.maker, identity.model) == ("GE Druck", "Pace5000 User Interface")
    assert (identity.serial, identity.firmware) == ("3213201", "02.00.07")
    assert driver.sample().values == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("unit", ["BAR", "MPA", "PSI"])
def test_whatever_unit_stands_at_the_instrument_readings_are_in_kpa(control, unit):
    driver = control(Listed(start_kpa=50.0, unit=unit))
    reading = driver.sample()
    assert reading.values[0] == pytest.approx(50.0, abs=1e-6)
    assert (driver.channels[0].unit, driver.channels[0].reference) == ("kPa", "gauge")


def test_a_reading_is_stamped_with_the_moment_of_its_question(pace):
    pace.clock.sleep_until(7.0)
    assert pace.sample().t == 7.0


def test_a_pressure_beyond_the_range_is_flagged(control):
    script = Script({":SENS:PRES:INL": "2201.0000000, 0"})
    assert control(script).sample().quality == (Quality.SATURATED, 0, 0)


@pytest.mark.parametrize(
    "answers",
    [
        {":SENS:PRES:INL": "nan, 1"},
        {":SENS:PRES:INL": "5_0, 1"},
        {":SENS:PRES:INL": "500.0 HPA, 1"},
        {":SENS:PRES:INL": "500.0000000"},
        {":SENS:PRES:INL": "500.0000000, 2"},
        {":UNIT:PRES": "BAR"},
        {":OUTP:STAT": "2"},
        {":OUTP:STAT": "1;:OUTP:STAT 1"},
    ],
)
def test_nothing_but_the_whole_shape_of_a_reply_is_a_reading(control, answers):
    script = Script()
    driver = control(script)
    script.answers |= answers
    with pytest.raises(InstrumentReplyError):
        driver.sample()


def test_a_query_that_it_does_not_know_is_an_error_that_says_so(control):
    script = Script()
    driver = control(script)
    script.answers = {"*IDN": script.answers["*IDN"]}
    with pytest.raises(InstrumentReplyError, match="a blank line, as for a query that it does not know"):
        driver.sample()


def test_a_jump_that_another_reading_confirms_is_read_and_one_that_does_not_last_is_not(control):
    script = Script()
    driver = control(script)
    driver.sample()
    script.answers[":SENS:PRES:INL"] = "900.0000000, 1"
    assert driver.sample().values[0] == 90.0
    script.misbehaviour = Loss(":SENS", "digit")
    assert driver.sample().values[0] == 90.0
    (note,) = driver.take_notes()
    assert "a reading of 70 kPa did not last" in note.text


@pytest.mark.parametrize("selected", ["2.00bara", "BAROMETER", "1.00bard"])
def test_a_range_that_is_not_gauge_pressure_is_refused(wired, selected):
    driver = wired("druck-pace", Script({":SENS:PRES:RANG": f'"{selected}"'}), max_pressure="50 kPa")
    with pytest.raises(InstrumentDisconnected, match="none of gauge pressure"):
        driver.open()


def test_a_range_that_is_switched_to_absolute_at_the_panel_stops_the_readings(pace, device):
    device.range = "2.00bara"
    with pytest.raises(InstrumentReplyError, match="is none of gauge pressure"):
        pace.sample()
    device.range = "2.00barg"
    assert pace.sample().values[0] == 0.0


def test_a_unit_that_is_changed_at_the_panel_is_set_again_and_the_log_says_so(pace, device):
    device.unit = "PSI"
    assert pressure_after(pace, 1.0) == 0.0
    assert device.unit == "HPA"
    (note,) = pace.take_notes()
    assert "its unit was PSI and is set to HPA again" in note.text


# -- control


def test_a_pressure_is_reached_by_the_slew_and_reported_within_limits(pace, device):
    done = pace.set_pressure(50.0, 2.0)
    assert (done.command, done.reply) == ("50 kPa at 2 kPa/s", "regulates to 50 kPa")
    assert done.issued_s < done.confirmed_s < done.issued_s + 3.0
    assert pressure_after(pace, 20.0) == pytest.approx(40.0, abs=3.0)
    assert pressure_after(pace, 20.0) == pytest.approx(50.0)
    assert pace.sample().values[1:] == (1.0, 1.0)
    assert pace.pressure_state().mode == "control"
    assert pace.pressure_state().setpoint_kpa == pytest.approx(50.0)


def test_the_slew_band_and_dwell_of_the_station_file_are_set(control, device):
    driver = control(device, slew="30 kPa/min", in_limits="0.4 kPa", in_limits_time="10 s")
    driver.set_pressure(50.0)
    assert device.slew_kpa_per_s == pytest.approx(0.5)
    assert (device.slew_mode, device.overshoot, device.band_s) == ("LIN", False, 10)
    assert device.band_percent == pytest.approx(0.2)


@pytest.mark.parametrize("pressure_kpa", [180.1, -0.1, math.nan, math.inf])
def test_a_pressure_out_of_range_is_refused_before_anything_is_sent(pace, device, pressure_kpa):
    with pytest.raises(InstrumentRefusal, match="is outside 0 to 180 kPa"):
        pace.set_pressure(pressure_kpa)
    assert device.done == []


@pytest.mark.parametrize("slew", [0.0, -1.0, math.nan, math.inf])
def test_a_slew_that_is_none_is_refused_before_anything_is_sent(pace, device, slew):
    with pytest.raises(InstrumentRefusal, match="no speed"):
        pace.set_pressure(50.0, slew)
    assert device.done == []


def test_the_range_of_the_instrument_limits_the_pressure_too(control):
    driver = control(Listed(ranges=("350mbarg",)), max_pressure="180 kPa")
    with pytest.raises(InstrumentRefusal, match="outside 0 to 35 kPa"):
        driver.set_pressure(40.0)


def test_what_the_instrument_refuses_is_a_refusal_and_control_stays_off(pace, device):
    with pytest.raises(InstrumentRefusal, match=re.escape("Data out of range (-222)")):
        pace.set_pressure(50.0, 60.0)  # faster than this controller can
    assert pace.pressure_state().mode == "measure"
    assert pace.pressure_state().setpoint_kpa == 0.0


def test_control_begins_only_after_the_set_point_was_read_back(pace, device):
    pace.set_pressure(50.0)
    headers = [header for header, _ in device.done]
    wanted = ["UNIT", "SOURce:SLEW:MODE", "SOURce:SLEW:OVERshoot", "SOURce:SLEW", "UNIT", "SOURce"]
    assert headers[-8:] == [*wanted, "SOURce:VENT", "OUTPut"]


def test_shut_off_the_line_keeps_its_pressure(pace):
    pace.set_pressure(50.0, 10.0)
    pace.clock.sleep(10.0)
    pace.isolate()
    assert pace.pressure_state().mode == "measure"
    assert pressure_after(pace, 60.0) == pytest.approx(50.0)


def test_a_vent_goes_to_ambient_and_a_new_pressure_ends_it(pace):
    pace.set_pressure(50.0, 10.0)
    pace.clock.sleep(10.0)
    pace.vent()
    assert pace.pressure_state().mode == "vent"
    assert pressure_after(pace, 10.0) == 0.0
    assert pace.pressure_state().mode == "vent"
    pace.set_pressure(20.0, 10.0)
    assert pressure_after(pace, 10.0) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("safe", "mode", "said"), [("vent", "vent", "out to ambient"), ("isolate", "measure", "keeps its pressure")]
)
def test_going_safe_does_what_the_station_says(control, safe, mode, said):
    driver = control(Listed(), safe=safe)
    driver.set_pressure(50.0, 10.0)
    assert said in driver.make_safe()
    assert driver.pressure_state().mode == mode


def test_a_pressure_that_is_being_set_does_not_come_after_a_stop(pace, device):
    read = pace._order

    def stop_meanwhile(text, *rest):
        if ":OUTP:STAT 1" in text:
            pace._order = read
            pace.make_safe()
        return read(text, *rest)

    pace._order = stop_meanwhile
    with pytest.raises(InstrumentRefusal, match="was vented or shut off meanwhile"):
        pace.set_pressure(50.0)
    assert pace.pressure_state().mode == "vent"


def test_a_controller_that_restarts_does_not_regulate_again_by_itself_and_the_log_says_so(pace, device):
    pace.set_pressure(50.0, 10.0)
    pace.clock.sleep(10.0)
    device.reboot(pace.clock.now())
    pace.clock.sleep(10.0)
    assert pace.sample().values == (pytest.approx(50.0), 0.0, 0.0)
    texts = " / ".join(note.text for note in pace.take_notes())
    assert "its unit was BAR" in texts
    assert "no longer regulates" in texts
    pace.set_pressure(50.0)
    assert device.band_percent == pytest.approx(0.025)


def test_a_controller_that_is_switched_on_by_hand_is_reported(pace, device):
    pace.sample()
    device._switch(True, pace.clock.now())
    assert pace.sample().values[2] == 1.0
    assert "switched on by hand" in pace.take_notes()[0].text


# -- readiness


@pytest.mark.parametrize(
    ("device", "problem"),
    [
        (Listed(supply_kpa=150.0), "supply of 150.0 kPa is below"),
        (Listed(ranges=("1.00barg",)), 'range "1.00barg" ends below'),
    ],
)
def test_what_keeps_a_controller_from_a_run_is_said(control, device, problem):
    (said,) = control(device).probe()
    assert problem in said


def test_a_controller_that_does_not_tell_its_supply_is_ready(control):
    assert control(Script()).probe() == []


# -- a bad wire


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


def test_two_different_replies_to_one_message_are_none(control):
    script = Script()
    driver = control(script)
    answer = script.emit
    script.emit = lambda data, at: (answer(data, at), answer(data.replace(b"500", b"510"), at))
    with pytest.raises(InstrumentReplyError):
        driver.sample()


def test_a_completed_vent_that_is_still_shown_does_not_keep_the_line_from_being_shut(control):
    vent, setpoint = ":SOUR:PRES:LEV:IMM:AMPL:VENT", ":SOUR:PRES:LEV:IMM:AMPL"
    driver = control(Script({vent: "2", setpoint: "0.0", ":SYST:ERR": '0,"No error"'}))
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
def test_each_thing_that_is_set_must_read_back_as_it_was_said(control, header, instead):
    driver = control(Script(HELD))
    driver.set_pressure(50.0)
    script = Script({**HELD, header: instead})
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
def test_whatever_the_wire_does_a_reading_is_the_pressure_at_its_moment(control, damaged, seed):
    device = Listed()
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
def test_whatever_happens_to_replies_no_command_is_done_twice(control, damaged, seed):
    device = Listed()
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
def test_whatever_the_wire_does_to_both_directions_what_is_confirmed_is_so(control, damaged, seed):
    device = Listed()
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
def test_three_transactions_after_a_fault_the_readings_are_right_again(control, damaged, kind):
    device = Listed()
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
