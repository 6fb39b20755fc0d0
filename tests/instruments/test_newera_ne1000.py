"""The syringe pump driver in front of the simulated pump, on a good wire and on a bad one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data.samples import Quality
from instruments.capabilities import SyringePump
from instruments.clock import VirtualClock
from instruments.drivers.newera_ne1000 import TOLERANCE, NewEraPump, NewEraSettings
from instruments.instrument import (
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    load_driver,
)
from instruments.newera_messages import digits, framed
from instruments.simulation.devices.newera_ne1000 import Ne1000, packet
from instruments.simulation.misbehaviour import KINDS

GLASS_1_ML = {"diameter": "4.61 mm", "volume": "1 mL", "max_rate": "60 mL/h"}
PLASTIC_50_ML = {"diameter": "26.59 mm", "volume": "50 mL", "max_rate": "1000 mL/h"}


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

    @property
    def stands(self):
        return self._motion is None


class Pressure:
    def __init__(self, kpa):
        self.kpa = kpa

    def at(self, t):
        return self.kpa


class Strike:
    """Does something to the exchange of one command, the first time it is sent."""

    def __init__(self, command, *, request=None, reply=None):
        self.command, self.request, self.reply = command.encode(), request, reply
        self.struck = self.armed = False

    def begin(self, device, data, now):
        self.armed = not self.struck and self.command in data
        self.struck |= self.armed
        return self.request(device, data, now) if self.armed and self.request else data

    def tamper(self, device, data, at):
        return self.reply(device, data, at) if self.armed and self.reply else [(at, data)]


@pytest.fixture
def pump_at(wired):
    """Function that opens a driver in front of a device."""

    def pump_at(device, clock=None, **settings):
        pump = wired("newera-ne1000", device, clock, **{**GLASS_1_ML, **settings})
        pump.open()
        return pump

    return pump_at


def watched(pump, seconds):
    """Poll for a while, as a sampler does."""
    readings = []
    for _ in range(round(seconds / pump.period_s)):
        pump.clock.sleep(pump.period_s)
        readings.append(pump.sample())
    return readings


# -- who it is and how it is set


def test_a_pump_tells_its_model_and_is_a_syringe_pump(pump_at):
    pump = pump_at(Witness())
    identity = pump.identify()
    assert (identity.maker, identity.model, identity.serial, identity.firmware) == ("New Era", "NE-1000", "", "3.928")
    assert isinstance(pump, SyringePump)
    assert load_driver("newera-ne1000") is NewEraPump


@pytest.mark.parametrize("stored", [0, 10, 25])
@pytest.mark.parametrize("wanted", ["10 s", "0 s"])
@pytest.mark.parametrize("in_basic", [True, False])
def test_a_pump_is_found_in_whichever_mode_it_wakes_and_brought_into_ours(pump_at, stored, wanted, in_basic):
    device = Witness(safe_timeout_s=stored, packets_in_basic_mode=in_basic)
    pump = pump_at(device, safe_timeout=wanted)
    assert device._memory.safe_timeout_s == float(wanted.split()[0])
    assert pump.syringe_state().running == "stopped"


@pytest.mark.parametrize("in_basic", [True, False])
def test_a_pump_that_was_put_into_basic_mode_is_brought_back(pump_at, in_basic):
    device = Witness(packets_in_basic_mode=in_basic)
    pump = pump_at(device)
    device._memory.safe_timeout_s = 0
    assert [attempt(pump) for _ in range(3)][-1] is None
    assert device._memory.safe_timeout_s == 10
    # A packet taken for the beginning of a line must not become a command when the line ends: "1RUN" might be "RUN 2".
    assert in_basic or b"?\r0VER\r" in device.sent


def test_opening_sets_the_syringe_its_unit_and_a_program_of_one_phase(pump_at):
    device = Witness(restarts_after_power_failure=True)
    device._memory.phases[1].function = "RAT"
    pump_at(device)
    memory = device._memory
    assert (memory.diameter_mm, memory.volume_unit, memory.restarts) == (4.61, "UL", False)
    assert [phase.function for phase in memory.phases[:2]] == ["RAT", "STP"]


def test_a_pump_that_stands_is_left_in_basic_mode(pump_at):
    device = Witness()
    pump = pump_at(device)
    pump.close()
    assert device._memory.safe_timeout_s == 0


def test_a_pump_that_runs_when_it_is_let_go_stops_by_itself(pump_at):
    device = Witness()
    pump = pump_at(device)
    pump.infuse(100.0)
    pump.close()
    device.advance(pump.clock.now() + 9.0)
    assert not device.stands
    device.advance(pump.clock.now() + 10.0)
    assert device.stands
    assert device.plunger.changes[max(device.plunger.changes)] == 0.0


def test_a_pump_that_was_found_running_is_not_set_and_said_to_be_so(pump_at, wired):
    device = Witness()
    first = pump_at(device)
    first.infuse(100.0)
    first.close()
    again = wired("newera-ne1000", device, first.clock, **{**GLASS_1_ML, "diameter": "10 mm"})
    again.open()
    assert device._memory.diameter_mm == 4.61
    assert again.probe() == ["it is infusing; halt it"]
    again.make_safe()
    again.infuse(100.0, 5.0)
    assert device._memory.diameter_mm == 10.0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"serial": "1"}, "does not tell its serial number"),
        ({"safe_timeout": "2.5 s"}, "whole number of seconds"),
        ({"safe_timeout": "300 s"}, "whole number of seconds"),
        ({"period": "4 s"}, "shorter than a third"),
        ({"diameter": "123 mm"}, "less than or equal to 80"),
        ({"diameter": "0.1 um"}, "greater than or equal to 0.1"),
        ({"direction": "up"}, "'both', 'infuse' or 'withdraw'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_a_sentence(settings, problem):
    with pytest.raises(ValidationError, match=problem):
        NewEraSettings.model_validate({"resource": "ASRL1::INSTR", **GLASS_1_ML, **settings})


# -- rates, volumes, counts


@given(rate=st.floats(1e-4, 6e4), volume=st.none() | st.floats(1e-4, 1000.0))
def test_what_is_set_is_what_was_asked_for_within_a_thousandth_or_nothing_is_sent(wired, rate, volume):
    device = Witness(step_um=1e-4, tick_us=1e-6)
    pump = wired("newera-ne1000", device, **GLASS_1_ML)
    pump.open()
    device.sent.clear()
    try:
        done = pump.infuse(rate, volume)
    except InstrumentRefusal as error:
        refusal = str(error)
        assert "?OOR" in refusal or ("cannot be set within" in refusal and device.sent == [])
        return
    phase = device._memory.phases[0]
    assert phase.rate * {"UH": 1, "UM": 60, "MH": 1000, "MM": 60_000}[phase.rate_unit] == pytest.approx(
        rate, rel=TOLERANCE
    )
    assert phase.volume == pytest.approx(volume or 0.0, rel=TOLERANCE)
    assert f"RAT {digits(phase.rate)}{phase.rate_unit}" in done.reply


def test_a_confirmation_states_the_rate_that_is_set(pump_at):
    done = pump_at(Witness()).infuse(1000.0 / 24.0, 12.3456)
    assert done.command == "infuse 41.6666667 uL/h, 12.3456 uL"
    assert done.reply == "infuses at 41.67 uL/h (RAT 41.67UH, +0.008 %), 12.35 uL (VOL 12.35UL)"
    assert done.issued_s < done.confirmed_s


@pytest.mark.parametrize("verb", ["infuse", "withdraw"])
def test_a_volume_is_moved_once_and_counted(pump_at, verb):
    device = Witness()
    pump = pump_at(device)
    getattr(pump, verb)(3600.0, 20.0)
    states = watched(pump, 30.0)
    sign = 1.0 if verb == "infuse" else -1.0
    assert device.plunger.moved_ul(pump.clock.now()) == pytest.approx(sign * 20.0, abs=0.005)
    assert states[-1].values == ((20.0, 0.0) if sign > 0 else (0.0, 20.0)) + (83.0, 0.0)
    assert states[5].values[2] == (73.0 if sign > 0 else 87.0)
    assert device.executed.count("RUN") == 1


def test_counts_go_on_until_they_are_cleared(pump_at):
    pump = pump_at(Witness())
    for _ in range(2):
        pump.infuse(3600.0, 5.0)
        watched(pump, 10.0)
    assert pump.syringe_state().infused_ul == 10.0
    pump.clear_counts()
    assert pump.syringe_state().infused_ul == 0.0


def test_a_large_syringe_is_counted_in_millilitres(pump_at):
    pump = pump_at(Witness(), **PLASTIC_50_ML)
    done = pump.infuse(600_000.0, 20_000.0)
    assert done.reply.endswith("20000 uL (VOL 20.00ML)")
    watched(pump, 130.0)
    assert pump.syringe_state().infused_ul == 20_000.0
    with pytest.raises(InstrumentRefusal, match="by four digits of mL"):
        pump.infuse(1000.0, 12.3)


@pytest.mark.parametrize(
    ("verb", "rate", "volume", "why"),
    [
        ("infuse", 60_001.0, None, "above 0 and at most 60000 uL/h"),
        ("infuse", 0.0, None, "above 0"),
        ("infuse", float("nan"), None, "above 0"),
        ("infuse", 0.0125, None, "multiple of 0.001 uL/h"),
        ("infuse", 10.0, 1000.1, "at most that of the syringe, 1000 uL"),
        ("infuse", 10.0, 0.0, "above 0"),
        ("infuse", 10.0, 0.0123, "four digits of uL"),
        ("withdraw", 10.0, 1.0, "may only infuse"),
    ],
)
def test_what_the_station_or_four_digits_do_not_allow_is_refused_before_anything_is_sent(
    pump_at, verb, rate, volume, why
):
    device = Witness()
    pump = pump_at(device, direction="infuse")
    device.sent.clear()
    with pytest.raises(InstrumentRefusal, match=why):
        getattr(pump, verb)(rate, volume)
    assert device.sent == []


def test_a_count_is_not_let_run_over(pump_at):
    pump = pump_at(Witness(), volume="10 mL", diameter="14.6 mm")
    pump.infuse(60_000.0, 5000.0)
    watched(pump, 310.0)
    with pytest.raises(InstrumentRefusal, match="clear the counts first"):
        pump.infuse(60_000.0, 5000.0)
    with pytest.raises(InstrumentRefusal, match="clear the counts first"):
        pump.infuse(60_000.0)
    pump.withdraw(60_000.0, 5000.0)


def test_a_running_pump_is_not_started_again_and_not_cleared(pump_at):
    device = Witness()
    pump = pump_at(device)
    pump.infuse(100.0)
    for command in (lambda: pump.infuse(50.0), lambda: pump.withdraw(50.0, 1.0), pump.clear_counts):
        with pytest.raises(InstrumentRefusal, match="is running; halt it first"):
            command()
    assert device.executed.count("RUN") == 1


def test_a_pause_at_the_pump_is_ended_so_that_a_start_begins_anew(pump_at):
    device = Witness()
    pump = pump_at(device)
    pump.infuse(3600.0, 20.0)
    pump.clock.sleep(5.0)
    device.on_bytes(packet(b"0STP"), pump.clock.now())
    pump.infuse(3600.0, 10.0)
    watched(pump, 15.0)
    assert pump.syringe_state().infused_ul == pytest.approx(15.1, abs=0.2)


def test_a_rate_beyond_the_motor_is_refused_by_the_pump_in_its_words(pump_at):
    with pytest.raises(InstrumentRefusal, match=r"refuses 'RAT1000UM': it is out of range \(\?OOR\)"):
        pump_at(Witness()).infuse(60_000.0)


def test_another_pump_on_the_line_is_not_disturbed_and_does_not_disturb(pump_at):
    device = Witness(address=7)
    pump = pump_at(device, address=7)
    pump.infuse(100.0, 1.0)
    device.write(packet(b"3STP"), pump.clock.now())
    device.emit(packet(b"03A?S") + packet(b"03S"), pump.clock.now())
    assert pump.syringe_state().running == "infusing"
    assert pump.syringe_state().alarm == ""


# -- safe: the time-out, alarms, going safe


def test_polling_feeds_the_pump_and_without_it_the_pump_stops_within_the_time_out(pump_at):
    device = Witness()
    pump = pump_at(device, safe_timeout="10 s", period="3 s")
    pump.infuse(100.0)
    watched(pump, 600.0)
    fed = pump.clock.now()
    pump.clock.sleep(60.0)
    state = pump.syringe_state()
    assert (state.running, state.alarm) == ("stopped", "time-out")
    assert max(device.plunger.changes) == pytest.approx(fed, abs=10.1)
    assert "stopped with the alarm time-out" in pump.take_notes()[0].text


def test_a_time_out_while_nothing_moves_is_no_alarm(pump_at):
    pump = pump_at(Witness())
    pump.clock.sleep(3600.0)
    assert pump.syringe_state().alarm == ""
    assert pump.take_notes() == []
    pump.clock.sleep(3600.0)
    pump.infuse(100.0, 1.0)


def test_in_basic_mode_nothing_stops_the_syringe_and_the_probe_says_so(pump_at):
    device = Witness()
    pump = pump_at(device, safe_timeout="0 s")
    assert "nothing stops the syringe" in pump.probe()[0]
    pump.infuse(100.0)
    pump.clock.sleep(3600.0)
    device.advance(pump.clock.now())
    assert not device.stands


@pytest.mark.parametrize("safe_timeout", ["10 s", "0 s"])
def test_a_stalled_pump_says_so_until_the_next_start(pump_at, safe_timeout):
    pressure = Pressure(0.0)
    pump = pump_at(Witness(pressure=pressure, force_limit_n=1.0), safe_timeout=safe_timeout)
    pump.infuse(1000.0)
    watched(pump, 5.0)
    pressure.kpa = 70.0  # 1.17 N on a plunger of 4.61 mm
    readings = watched(pump, 5.0)
    assert [reading.values[3] for reading in readings] == [83.0] * 5
    assert pump.syringe_state().alarm == "stall"
    pressure.kpa = 0.0
    pump.infuse(1000.0)
    assert pump.syringe_state().alarm == ""


def test_a_pump_that_stalls_at_once_did_not_start(pump_at):
    device = Witness(pressure=Pressure(70.0), force_limit_n=1.0, latency_s=0.12)
    with pytest.raises(InstrumentRefusal, match="stopped at once: stall"):
        pump_at(device, timeout="0.6 s").infuse(1000.0)


def test_a_pump_that_lost_its_power_stands_and_says_so_and_is_set_again(pump_at):
    device = Witness()
    pump = pump_at(device)
    pump.infuse(1000.0)
    watched(pump, 10.0)
    device.reboot(pump.clock.now())
    device._memory.diameter_mm, device._memory.restarts = 20.0, True
    pump.clock.sleep(5.0)
    state = pump.syringe_state()
    assert (state.running, state.infused_ul, state.alarm) == ("stopped", 0.0, "reset")
    pump.infuse(1000.0, 1.0)
    assert (device._memory.diameter_mm, device._memory.restarts) == (4.61, False)


def test_counts_that_fall_by_themselves_mean_that_it_was_reset(pump_at):
    device = Witness()
    pump = pump_at(device)
    pump.infuse(1000.0)
    watched(pump, 10.0)
    device.reboot(pump.clock.now())
    device._alarm = ""  # the reply that told of it was lost
    device._out.clear()
    pump.clock.sleep(5.0)
    assert pump.syringe_state().alarm == "reset"


def test_going_safe_stops_the_motor_for_good(pump_at):
    device = Witness()
    pump = pump_at(device)
    pump.infuse(1000.0, 100.0)
    watched(pump, 10.0)
    said = pump.make_safe()
    assert re.fullmatch(r"the syringe stands; 2\.\d+ uL infused, 0 uL withdrawn", said)
    assert device.stands
    assert device._status == "S"
    assert "the syringe stands" in pump.make_safe()


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4])
def test_a_start_that_is_under_way_does_not_outlive_going_safe(wired, delay):
    clock, device = VirtualClock(), Witness()
    pump = wired("newera-ne1000", device, clock, **GLASS_1_ML)
    outcome = []

    def start():
        try:
            outcome.append(pump.infuse(1000.0))
        except InstrumentRefusal as error:
            outcome.append(error)

    def main():
        pump.open()
        worker = clock.worker("steps", start)
        clock.sleep(delay)
        pump.make_safe()
        worker.join()

    clock.run(main)
    assert len(outcome) == 1
    assert device.stands


def test_a_motor_that_does_not_say_that_it_stands_is_not_confirmed(pump_at):
    device = Witness()
    pump = pump_at(device)
    pump.infuse(1000.0)
    device._commands["STP"] = lambda rest, now: ""
    start = pump.clock.now()
    with pytest.raises(InstrumentReplyError, match="does not say that it stands"):
        pump.make_safe()
    assert pump.clock.now() - start < 5.0


# -- a lost reply


def lose(device, data, at):
    return []


@pytest.mark.parametrize("volume", [0.5, 50.0, None])
def test_a_start_whose_reply_is_lost_is_found_out_and_made_once(pump_at, volume):
    device = Witness()
    pump = pump_at(device)
    device.misbehaviour = Strike("RUN", reply=lose)
    pump.infuse(36_000.0, volume)
    watched(pump, 10.0)
    assert device.executed.count("RUN") == 1
    if volume:
        assert device.plunger.moved_ul(1e6) == pytest.approx(volume, abs=0.005)


def test_a_start_that_was_never_heard_is_an_error_and_no_motion(pump_at):
    device = Witness()
    pump = pump_at(device)
    device.misbehaviour = Strike("RUN", request=lambda device, data, now: None)
    with pytest.raises(InstrumentReplyError, match="did not start: it stands and its counts have not moved"):
        pump.infuse(1000.0, 5.0)
    assert device.plunger.changes == {}


def test_a_start_that_is_damaged_on_its_way_is_not_executed(pump_at):
    device = Witness()
    pump = pump_at(device)
    device.misbehaviour = Strike("RUN", request=lambda device, data, now: data.replace(b"RUN", b"RUM"))
    with pytest.raises(InstrumentReplyError, match=r"damaged \(\?COM\)"):
        pump.infuse(1000.0, 5.0)
    assert device.stands


def test_a_pump_that_is_restarted_by_its_start_does_not_run(pump_at):
    device = Witness()
    pump = pump_at(device)
    device.misbehaviour = Strike("RUN", request=lambda device, data, now: device.reboot(now))
    with pytest.raises(InstrumentError):
        pump.infuse(1000.0, 5.0)
    pump.clock.sleep(5.0)
    assert pump.syringe_state().alarm == "reset"
    assert device.stands


# -- commands that nobody sent


@pytest.mark.parametrize("address", range(100))
def test_no_packet_is_another_command_to_a_pump_in_basic_mode(address):
    device = Witness(address=address, packets_in_basic_mode=False)
    device._memory.phases[0].rate = 1.0
    for text in ("RUN", "STP", "DIA4.610", "SAF10"):
        device.executed.clear()
        device.write(framed(f"{address}{text}", safe=True), 0.0)
        device.write(b"?\r" + framed(f"{address}VER", safe=False), 0.0)
        # A length or a check sum may be CR: then it is a question for the state, or the command itself.
        assert [command for command in device.executed if command] in (["VER"], [text, "VER"])


# -- a bad wire

EVERYTHING = {kind.replace("-", "_"): 0.003 if kind in ("unplug", "reboot") else 0.02 for kind in KINDS}


def shaken(pump, device, damaged, seed, **kinds):
    """Some thousand transactions on a bad wire: start, watch, stop, over and over.

    Returns (readings that were taken for good and differ from the truth, good readings, failed calls).
    """
    struck = damaged(device, seed, **kinds).struck
    clock, wrong, good, failed = pump.clock, 0, 0, 0
    for k in range(150):
        before = device.executed.count("RUN")
        started = False
        try:
            (pump.infuse if k % 3 else pump.withdraw)(1800.0 + k, 10.0 + k / 10.0 if k % 2 else None)
            started = True
        except InstrumentError:
            failed += 1
        assert device.executed.count("RUN") - before in ((1,) if started else (0, 1))
        for _ in range(12):
            clock.sleep(1.0)
            try:
                reading = pump.sample()
            except InstrumentError:
                failed += 1
                continue
            stuck = device.frozen and reading.values[2] == 83.0  # which nobody can tell of a pump that stands
            if not reading.quality[0] and not stuck:
                good += 1
                truth = [device.moved_ul(sign, reading.t) for sign in (1, -1)]
                wrong += any(abs(value - true) > 0.12 for value, true in zip(reading.values, truth, strict=False))
        try:
            pump.make_safe()
            assert device.stands
        except InstrumentError:
            failed += 1
            clock.sleep(11.0)  # nobody asks
            device.advance(clock.now())
            assert device.stands or not pump._safe
        if device.stands:
            try:
                pump.clear_counts()
            except InstrumentError:
                failed += 1
    assert len(device.sent) > 3000
    assert min(count for kind, count in struck.items() if kinds.get(kind.replace("-", "_"))) >= 2
    return wrong, good, failed


@pytest.mark.parametrize("seed", range(4))
def test_in_safe_mode_whatever_the_wire_does_no_value_is_wrong_and_nothing_is_done_twice(pump_at, damaged, seed):
    device = Witness()
    pump = pump_at(device)
    device.executed.clear()
    wrong, good, failed = shaken(pump, device, damaged, seed, **EVERYTHING)
    assert wrong == 0
    assert good > 1000
    assert failed > 20
    sent = {data[3:-3].decode() for data in device.sent if data[:1] == b"\x02"}
    assert set(device.executed) <= sent


@pytest.mark.parametrize("seed", range(2))
def test_in_basic_mode_nothing_but_a_flipped_bit_can_make_a_wrong_value(pump_at, damaged, seed):
    for kinds in ({**EVERYTHING, **dict.fromkeys(("flip", "flip_request", "freeze"), 0.0)}, {"flip": 0.1}):
        device = Witness()
        pump = pump_at(device, safe_timeout="0 s")
        wrong, good, _ = shaken(pump, device, damaged, seed, **kinds)
        assert good > 1000
        assert wrong <= (0.02 * good if kinds.get("flip") else 0)


@pytest.mark.parametrize("safe_timeout", ["10 s", "0 s"])
@pytest.mark.parametrize("kind", [kind.replace("-", "_") for kind in KINDS if kind not in ("unplug", "reboot")])
def test_three_exchanges_after_the_wire_is_good_again_everything_is_as_before(pump_at, damaged, kind, safe_timeout):
    device = Witness()
    pump = pump_at(device, safe_timeout=safe_timeout)
    for seed in range(10):
        damaged(device, seed, **{kind: 0.7})
        for _ in range(20):
            pump.clock.sleep(1.0)
            try:
                pump.sample()
            except InstrumentError:
                continue
        device.misbehaviour = None
        outcomes = [attempt(pump) for _ in range(4)]
        assert outcomes[-1] is None


@pytest.mark.parametrize("raw_errors", [False, True])
def test_a_pump_whose_cable_was_pulled_comes_back_and_has_stopped_meanwhile(wired, raw_errors):
    device = Witness()
    pump = wired("newera-ne1000", device, raw_errors=raw_errors, **GLASS_1_ML)
    pump.open()
    pump.infuse(1000.0)
    device.unplug(pump.clock.now(), 20.0)
    lost = 0
    for _ in range(40):
        pump.clock.sleep(1.0)
        error = attempt(pump)
        assert error is None or isinstance(error, InstrumentDisconnected | InstrumentTimeout)
        lost += error is not None
    assert 20 <= lost <= 36
    state = pump.syringe_state()
    assert (state.running, state.alarm) == ("stopped", "time-out")
    assert state.infused_ul == pytest.approx(1000.0 * 10.0 / 3600.0, abs=0.02)


def test_a_count_that_stands_still_while_the_motor_turns_is_flagged(pump_at):
    device = Witness()
    pump = pump_at(device)
    pump.infuse(1000.0)
    watched(pump, 3.0)
    device.frozen = True
    readings = watched(pump, 3.0)
    assert [reading.quality[:2] for reading in readings[1:]] == [(Quality.FROZEN, Quality.FROZEN)] * 2


def attempt(pump):
    try:
        pump.sample()
    except InstrumentError as error:
        return error
    return None
