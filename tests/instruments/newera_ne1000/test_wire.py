"""The syringe pump driver on a bad wire: lost replies, damaged commands, faults of every kind."""

import pytest

from data.samples import Quality
from instruments.instrument import InstrumentDisconnected, InstrumentError, InstrumentReplyError, InstrumentTimeout
from instruments.newera_messages import framed
from instruments.simulation.misbehaviour import KINDS


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


# -- a lost reply


def lose(device, data, at):
    return []


@pytest.mark.parametrize("volume", [0.5, 50.0, None])
def test_a_start_whose_reply_is_lost_is_found_out_and_made_once(pump_at, volume, witness, watched):
    device = witness()
    pump = pump_at(device)
    device.misbehaviour = Strike("RUN", reply=lose)
    pump.infuse(36_000.0, volume)
    watched(pump, 10.0)
    assert device.executed.count("RUN") == 1
    if volume:
        assert device.plunger.moved_ul(1e6) == pytest.approx(volume, abs=0.005)


def test_a_start_that_was_never_heard_is_an_error_and_no_motion(pump_at, witness):
    device = witness()
    pump = pump_at(device)
    device.misbehaviour = Strike("RUN", request=lambda device, data, now: None)
    with pytest.raises(InstrumentReplyError, match="did not start: it stands and its counts have not moved"):
        pump.infuse(1000.0, 5.0)
    assert device.plunger.changes == {}


def test_a_start_that_is_damaged_on_its_way_is_not_executed(pump_at, witness):
    device = witness()
    pump = pump_at(device)
    device.misbehaviour = Strike("RUN", request=lambda device, data, now: data.replace(b"RUN", b"RUM"))
    with pytest.raises(InstrumentReplyError, match=r"damaged \(\?COM\)"):
        pump.infuse(1000.0, 5.0)
    assert device.stands


def test_a_pump_that_is_restarted_by_its_start_does_not_run(pump_at, witness):
    device = witness()
    pump = pump_at(device)
    device.misbehaviour = Strike("RUN", request=lambda device, data, now: device.reboot(now))
    with pytest.raises(InstrumentError):
        pump.infuse(1000.0, 5.0)
    pump.clock.sleep(5.0)
    assert pump.syringe_state().alarm == "reset"
    assert device.stands


# -- commands that nobody sent


@pytest.mark.parametrize("address", range(100))
def test_no_packet_is_another_command_to_a_pump_in_basic_mode(address, witness):
    device = witness(address=address, packets_in_basic_mode=False)
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
def test_in_safe_mode_whatever_the_wire_does_no_value_is_wrong_and_nothing_is_done_twice(
    pump_at, damaged, seed, witness
):
    device = witness()
    pump = pump_at(device)
    device.executed.clear()
    wrong, good, failed = shaken(pump, device, damaged, seed, **EVERYTHING)
    assert wrong == 0
    assert good > 1000
    assert failed > 20
    sent = {data[3:-3].decode() for data in device.sent if data[:1] == b"\x02"}
    assert set(device.executed) <= sent


@pytest.mark.parametrize("seed", range(2))
def test_in_basic_mode_nothing_but_a_flipped_bit_can_make_a_wrong_value(pump_at, damaged, seed, witness):
    for kinds in ({**EVERYTHING, **dict.fromkeys(("flip", "flip_request", "freeze"), 0.0)}, {"flip": 0.1}):
        device = witness()
        pump = pump_at(device, safe_timeout="0 s")
        wrong, good, _ = shaken(pump, device, damaged, seed, **kinds)
        assert good > 1000
        assert wrong <= (0.02 * good if kinds.get("flip") else 0)


@pytest.mark.parametrize("safe_timeout", ["10 s", "0 s"])
@pytest.mark.parametrize("kind", [kind.replace("-", "_") for kind in KINDS if kind not in ("unplug", "reboot")])
def test_three_exchanges_after_the_wire_is_good_again_everything_is_as_before(
    pump_at, damaged, kind, safe_timeout, witness, attempt
):
    device = witness()
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
def test_a_pump_whose_cable_was_pulled_comes_back_and_has_stopped_meanwhile(
    wired, raw_errors, witness, attempt, glass_1_ml
):
    device = witness()
    pump = wired("newera-ne1000", device, raw_errors=raw_errors, **glass_1_ml)
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


def test_a_count_that_stands_still_while_the_motor_turns_is_flagged(pump_at, witness, watched):
    device = witness()
    pump = pump_at(device)
    pump.infuse(1000.0)
    watched(pump, 3.0)
    device.frozen = True
    readings = watched(pump, 3.0)
    assert [reading.quality[:2] for reading in readings[1:]] == [(Quality.FROZEN, Quality.FROZEN)] * 2
