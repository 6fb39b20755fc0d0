"""The pump link driver in front of the simulated programming head, on a good wire and on a bad one."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schedule import Bolus, Continuous, Flex, PatientBolus, PeriodicBolus, Schedule, Stopped
from instruments.capabilities import PumpLink
from instruments.drivers.pump_link import _arguments, _differences, _framed, _schedule, _unframed
from instruments.instrument import (
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
)
from instruments.simulation.devices.pump_link import PumpLinkDevice
from instruments.simulation.signal import ProgramError, PumpState

PLAIN = Schedule(Continuous(1000.0 / 24.0))


class Pump:
    """Remembers what it was told; delivers one microlitre an hour of clock time."""

    maker, model, serial, firmware = "Nobody & Co", "Roller 20", "P1", "1.0"

    def __init__(self):
        self.held = None
        self.told = []
        self.alarms = ()
        self.running = False
        self.answer = "ok"

    def load(self, program, t):
        if program.rate_ul_per_h > 1000.0:
            raise ProgramError("rate out of range, at most 1000 uL/h")
        self.held = program
        self.told.append("load")

    def start(self, t):
        self.running = True
        self.told.append("start")

    def stop(self, t):
        self.running = False
        self.told.append("stop")

    def bolus(self, volume_ul, duration_s, kind, t):
        self.told.append(f"bolus {kind} {volume_ul:g} {duration_s:g}")
        return self.answer

    def state(self, t):
        mode = self.held.mode if self.held else "stopped"
        return PumpState(self.running, mode, t / 3600.0, 20_000.0 - t / 3600.0, self.alarms, 43_200.0 + t, 5.0)

    def program(self, t):
        return self.held

    def log(self):
        return [(float(k), f"entry; {k}, 100 %") for k in range(40)]


@pytest.fixture
def pump():
    return Pump()


@pytest.fixture
def head(pump):
    return PumpLinkDevice(pump)


@pytest.fixture
def link(wired, head):
    link = wired("pump-link", head)
    link.open()
    return link


def between(low, high):
    return st.floats(low, high).map(lambda value: float(f"{value:.9g}"))


def basals():
    steps = st.lists(st.integers(1, 1439), max_size=5, unique=True).flatmap(
        lambda minutes: st.tuples(*(between(0.0, 500.0) for _ in range(len(minutes) + 1))).map(
            lambda rates: Flex(tuple(zip([0.0, *(60.0 * m for m in sorted(minutes))], rates, strict=True)))
        )
    )
    return st.one_of(st.just(Stopped()), between(0.1, 900.0).map(Continuous), steps)


def schedules():
    bolus = st.builds(
        Bolus, between(0.0, 1e5), between(0.1, 100.0), between(1.0, 3e3), st.sampled_from(["single", "priming"])
    )
    periodic = st.none() | st.builds(
        PeriodicBolus, between(0.1, 50.0), between(1.0, 600.0), between(700.0, 1e5), between(0.0, 1e4)
    )
    patient = st.none() | st.builds(
        PatientBolus, between(0.1, 50.0), between(1.0, 600.0), between(600.0, 1e4), st.integers(0, 20),
        st.sampled_from(["calendar", "rolling"]),
    )  # fmt: skip
    return st.builds(
        Schedule, basals(), st.lists(bolus, max_size=3).map(tuple), periodic, patient,
        st.sampled_from(["", "baclofen", "Bac lofen=50 %, a:b"]), st.none() | between(50.0, 4000.0),
    )  # fmt: skip


# -- what it says


def test_a_link_is_a_pump_link_and_tells_who_the_pump_is(link):
    assert isinstance(link, PumpLink)
    identity = link.identify()
    assert (identity.maker, identity.model, identity.serial, identity.firmware) == (
        "Nobody & Co",
        "Roller 20",
        "P1",
        "1.0",
    )


def test_the_pump_that_the_station_names_is_the_only_one_accepted(wired, head):
    with pytest.raises(InstrumentDisconnected, match='"P1" answers at ASRL1::INSTR where "P7" is expected'):
        wired("pump-link", head, serial="P7").open()


def test_the_state_of_the_pump_is_a_stream(link, pump):
    pump.running, pump.alarms = True, ("low-reservoir", "eri")
    link.clock.sleep(7200.0)
    reading = link.sample()
    assert dict(zip((channel.name for channel in link.channels), reading.values, strict=True)) == {
        "delivered": pytest.approx(reading.t / 3600.0),
        "reservoir": pytest.approx(20_000.0 - reading.t / 3600.0),
        "running": 1.0,
        "alarms": 2.0,
        "clock": pytest.approx(43_200.0 + reading.t),
    }
    assert reading.quality == (0,) * 5
    status = link.status()
    assert (status.running, status.mode, status.alarms) == (True, "stopped", ("low-reservoir", "eri"))


def test_the_log_comes_whole_though_it_has_several_pages(link):
    log = link.log()
    assert len(log) == 40
    assert log[39] == "43239,entry; 39, 100 %"


def test_alarms_keep_a_pump_from_being_ready(link, pump):
    assert link.probe() == []
    pump.alarms = ("motor-stall",)
    assert link.probe() == ["the pump reports the alarm motor-stall"]


def test_events_go_into_the_log_once(link, pump):
    pump.alarms = ("motor-stall",)
    link.clock.sleep(10.0)
    link.sample()
    link.sample()
    link._stray(2 * _framed("1 EVT alarm=motor-stall").replace(b">", b"!"))
    (note,) = link.take_notes()
    assert note.text.endswith("event 1 EVT alarm=motor-stall")


def test_making_safe_leaves_the_pump_as_it_is_and_says_so(link, pump):
    link.program(PLAIN)
    link.start()
    assert link.make_safe() == "the pump under test was left running (continuous), with its path open"
    link.stop()
    assert "left stopped, as it was" in link.make_safe()
    assert pump.told == ["load", "start", "stop"]


# -- what it is told


@given(schedule=schedules())
def test_every_schedule_comes_back_as_it_was_programmed(wired, schedule):
    link = wired("pump-link", PumpLinkDevice(Pump()))
    link.open()
    link.program(schedule)
    held = link.read_back()
    assert _differences(_arguments(schedule), _arguments(held)) == []
    for t in (0.0, 1000.0, 50_000.0, 200_000.0):
        assert held.rate_ul_per_h(t) == pytest.approx(schedule.rate_ul_per_h(t), rel=1e-6, abs=1e-9)


@given(schedule=schedules())
def test_the_words_of_a_schedule_mean_that_schedule(schedule):
    assert _arguments(_schedule(_arguments(schedule))) == _arguments(schedule)


def test_a_confirmation_says_what_was_said_and_when(link):
    issued_s = link.clock.now()
    done = link.program(PLAIN)
    assert done.command == "SET mode=continuous rate=41.6666666667"
    assert done.reply == "OK; read back mode=continuous rate=41.6666667"
    assert done.issued_s == issued_s
    assert done.confirmed_s == link.clock.now() > issued_s


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate_ul_per_h": 41.6667 * (1 + 3e-6)}, "rate is 41.66"),
        ({"mode": "stopped"}, "mode is stopped where continuous was programmed; rate is nothing where 41.6"),
        ({"drug": "morphine"}, "drug is morphine where baclofen was programmed"),
        ({"concentration_ug_per_ml": 500.0}, "conc is 500 where 2000 was programmed"),
        ({"concentration_ug_per_ml": None}, "conc is nothing where 2000 was programmed"),
    ],
)
def test_a_pump_that_holds_something_else_is_refused_naming_what_differs(link, pump, change, said):
    load = pump.load

    def load_wrongly(program, t):
        load(program, t)
        pump.held = replace(pump.held, **change)

    pump.load = load_wrongly
    schedule = replace(PLAIN, drug="baclofen", concentration_ug_per_ml=2000.0)
    with pytest.raises(InstrumentReplyError, match="the program read back differs") as caught:
        link.program(schedule)
    assert said in str(caught.value)


def test_a_rate_out_of_range_is_refused_in_the_pumps_words(link):
    with pytest.raises(InstrumentRefusal, match=r"rate out of range, at most 1000 uL/h \(code 4\)"):
        link.program(Schedule(Continuous(5000.0)))


def test_a_pump_without_a_program_does_not_start(link):
    with pytest.raises(InstrumentRefusal, match="no program"):
        link.start()


def test_a_bolus_that_the_pump_refuses_is_a_reply(link, pump):
    assert link.bolus(20.0, 600.0).reply == "OK granted=1"
    pump.answer = "refused:lockout"
    assert link.bolus(20.0, 600.0, "patient").reply == "OK granted=0 reason=lockout"
    assert pump.told == ["bolus single 20 600", "bolus patient 20 600"]


# -- a bad wire


def lose(head, count, kind="reply"):
    """Let the next replies, or requests, of the head vanish."""

    class Loss:
        left = count

        def begin(self, device, data, now):
            if kind == "request" and self.left > 0:
                self.left -= 1
                return None
            return data

        def tamper(self, device, data, at):
            if kind == "reply" and self.left > 0:
                self.left -= 1
                return []
            return [(at, data)]

    head.misbehaviour = Loss()


@pytest.mark.parametrize("kind", ["reply", "request"])
@pytest.mark.parametrize("count", [1, 2])
def test_an_order_whose_reply_is_lost_is_executed_once(link, pump, head, kind, count):
    lose(head, count, kind)
    link.bolus(20.0, 600.0)
    assert pump.told == ["bolus single 20 600"]


def test_an_order_that_nobody_answers_is_given_up(link, pump, head):
    lose(head, 99)
    start = link.clock.now()
    with pytest.raises(InstrumentTimeout):
        link.bolus(20.0, 600.0)
    assert pump.told == ["bolus single 20 600"]
    assert link.clock.now() - start <= 3.0


def test_an_order_is_not_repeated_to_a_head_that_restarted_meanwhile(link, pump, head):
    lose(head, 1)
    bolus = pump.bolus

    def deliver_and_fail(*order):
        granted = bolus(*order)
        head.boot_s = 0.1
        return granted

    pump.bolus = deliver_and_fail
    answer = head._execute

    def execute(*request):
        reply = answer(*request)
        head.misbehaviour = None
        head.reboot(link.clock.now())
        head._ready_at = link.clock.now() + 0.1
        return reply

    head._execute = execute
    head.emit = lambda data, at, emit=head.emit: emit(data, at) if not data.startswith(b"<") else None
    with pytest.raises(InstrumentReplyError, match="restarted during"):
        link.bolus(20.0, 600.0)
    assert pump.told == ["bolus single 20 600"]


def test_an_order_is_not_repeated_to_a_head_that_was_busy_and_then_restarted(link, pump, head, monkeypatch):
    lose(head, 1)
    sleep = link.clock.sleep

    def restart(seconds):
        head.boot_s = 0.01
        head.reboot(link.clock.now())
        sleep(seconds)

    monkeypatch.setattr(link.clock, "sleep", restart)
    answer = head.on_line
    head.on_line = lambda line, now: (answer(line, now), setattr(head, "_busy_until", 1e9))
    with pytest.raises(InstrumentReplyError, match="restarted during"):
        link.bolus(20.0, 600.0)
    assert pump.told == ["bolus single 20 600"]


def test_a_head_that_restarted_before_an_order_gets_it(link, pump, head):
    for k in range(1, 3):
        head._events = 0  # it counts its events anew
        head.reboot(link.clock.now())
        link.clock.sleep(2.0)
        link.bolus(float(k), 600.0)
        assert link._boots == k
    assert pump.told == ["bolus single 1 600", "bolus single 2 600"]


def test_a_busy_head_is_asked_again(link, pump, head):
    head._busy_until = link.clock.now() + 0.2
    link.bolus(20.0, 600.0)
    assert pump.told == ["bolus single 20 600"]


def test_a_head_that_stays_busy_refuses(link, head):
    head._busy_until = math.inf
    with pytest.raises(InstrumentRefusal, match="is busy"):
        link.stop()


def test_a_link_that_was_opened_again_is_understood(wired, head):
    first = wired("pump-link", head)
    first.open()
    for _ in range(20):
        first.status()
    first.close()
    again = wired("pump-link", head, first.clock)
    again.open()
    again.program(PLAIN)
    assert again.read_back().basal == Continuous(41.6666667)


def test_the_sequence_begins_anew_after_its_last_number(link):
    link._sequence = 999_997
    for _ in range(5):
        link.status()
    assert link._sequence < 10


@given(st.text(st.characters(codec="ascii", exclude_characters="*\r\n"), max_size=60), st.data())
def test_a_line_with_a_flipped_bit_is_refused(text, draw):
    line = _framed(text)
    assert _unframed(line) == b">" + text.encode()
    place = draw.draw(st.integers(1, len(line) - 3))
    flipped = bytearray(line)
    flipped[place] ^= 1 << draw.draw(st.integers(0, 7))
    assert _unframed(bytes(flipped)) is None


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_wire_does_no_order_is_executed_twice_and_no_state_is_old(link, pump, head, damaged, seed):
    link.program(PLAIN)
    pump.told.clear()
    struck = damaged(
        head, seed, drop=0.05, late=0.05, truncate=0.05, flip=0.05, garble=0.05, duplicate=0.05, unsolicited=0.05,
        unplug=0.003,
    ).struck  # fmt: skip
    confirmed = failed = 0
    for k in range(1, 600):
        link.clock.sleep(10.0)
        order = f"bolus single {k} 60"
        try:
            assert link.bolus(float(k), 60.0).reply == "OK granted=1"
            confirmed += 1
            assert pump.told.count(order) == 1
        except InstrumentError:
            failed += 1
            assert pump.told.count(order) <= 1
        try:
            reading = link.sample()
        except InstrumentError:
            continue
        assert reading.values[0] == pytest.approx(reading.t / 3600.0, abs=1e-6)
    assert confirmed > 500
    assert failed >= 1
    assert min(count for kind, count in struck.items() if kind not in ("reboot", "freeze", "lf-only", "unplug")) > 10
