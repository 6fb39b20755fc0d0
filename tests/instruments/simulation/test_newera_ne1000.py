"""The simulated syringe pump, byte for byte, on a plunger that only remembers."""

import binascii
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.clock import VirtualClock
from instruments.simulation.devices.newera.wording import crc_ccitt, packet, shown
from instruments.simulation.devices.newera_ne1000 import DEVICE, Ne1000
from instruments.simulation.rig import Rig, RigError

FINE = {"step_um": 1e-3, "tick_us": 1e-6}
"""Steps so small that every count is a round number."""


class Plunger:
    """Remembers the flow that was commanded, also what was announced for later."""

    def __init__(self):
        self.changes = {}

    def write(self, value, t):
        self.changes[t] = value

    def flow_at(self, t):
        return self.changes[max(moment for moment in self.changes if moment <= t)]

    def moved_ul(self, until):
        moments = [t for t in sorted(self.changes) if t < until]
        ends = [*moments[1:], until]
        return sum(self.changes[t] * (end - t) / 3600.0 for t, end in zip(moments, ends, strict=False))


class Pressure:
    def __init__(self, kpa):
        self.kpa = kpa

    def at(self, t):
        return self.kpa(t) if callable(self.kpa) else self.kpa


@pytest.fixture
def pump():
    return Ne1000(Plunger(), diameter_mm=10.0, latency_s=0.015, **FINE)


@pytest.fixture
def safe_pump():
    return Ne1000(Plunger(), diameter_mm=10.0, safe_timeout_s=10, **FINE)


def ask(pump, text, now):
    """Exchange in basic mode; returns what stands between STX and ETX."""
    pump.write(text.encode() + b"\r", now)
    reply = pump.read_ready(now + 0.1)
    assert (reply[:1], reply[-1:]) == (b"\x02", b"\x03")
    return reply[1:-1].decode()


def ask_safely(pump, text, now):
    """Exchange in safe mode; returns the texts of the packets that came, check sums compared."""
    pump.write(packet(text.encode()), now)
    return texts(pump.read_ready(now + 0.1))


def texts(data):
    found = []
    while data:
        length = data[1] + 1
        assert (data[0], data[length - 1]) == (2, 3)
        assert binascii.crc_hqx(data[2 : length - 1], 0) == 0
        found.append(data[2 : length - 3].decode())
        data = data[length:]
    return found


def started(pump, rate="3600.UH", volume="5.000", now=0.0):
    for command in (f"RAT{rate}", "VOLUL", f"VOL{volume}", "DIRINF", "RUN"):
        reply = ask(pump, command, now)
    assert reply == "00I"


# -- the wire


@given(st.binary(max_size=60))
def test_the_check_sum_agrees_with_an_independent_one(data):
    assert crc_ccitt(data) == binascii.crc_hqx(data, 0)


def test_the_packets_of_the_manual():
    assert packet(b"SAF0") == bytes.fromhex("02 08 53 41 46 30 55 43 03")
    assert packet(b"00S") == bytes.fromhex("02 07 30 30 53 AA A6 03")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (0.1234, "0.123"), (9.9996, "10.00"), (41.667, "41.67"), (999.96, "1000."), (1234.4, "1234.")],
)
def test_a_number_is_shown_with_four_digits_and_a_point(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("", "00S"),
        ("ver", "00SNE1000V3.928"),
        (" d i a ", "00S10.00"),
        ("0 DIA 20.05", "00S"),
        ("DIA 123.45", "00S?OOR"),
        ("DIA 81", "00S?OOR"),
        ("DIA abc", "00S?"),
        ("DIA 1.2345", "00S?"),
        ("HELLO", "00S?"),
        ("RAT", "00S0.000MH"),
        ("RAT 10.5 UM", "00S"),
        ("RAT 4100 UM", "00S?OOR"),
        ("RAT 0.001 UH", "00S?OOR"),
        ("VOL", "00S0.000UL"),
        ("VOL ML", "00S"),
        ("VOL 5000", "00S"),
        ("DIR", "00SINF"),
        ("DIR REV", "00S"),
        ("DIR UP", "00S?"),
        ("PHN", "00S1"),
        ("PHN 42", "00S?OOR"),
        ("FUN", "00SRAT"),
        ("FUN LOP 3", "00S?"),
        ("DIS", "00SI0.000W0.000UL"),
        ("CLD INF", "00S"),
        ("CLD", "00S?"),
        ("SAF", "00S0"),
        ("SAF 256", "00S?OOR"),
        ("PF", "00S0"),
        ("PF 2", "00S?OOR"),
        ("STP", "00S?NA"),
        ("STP 1", "00S?"),
        ("DIS 1", "00S?"),
    ],
)
def test_a_command_in_basic_mode_is_answered_between_stx_and_etx(pump, command, reply):
    assert ask(pump, command, 1.0) == reply


def test_a_reply_takes_its_time(pump):
    pump.write(b"\r", 1.0)
    assert pump.read_ready(1.014) == b""
    assert pump.read_ready(1.0151) == b"\x0200S\x03"


def test_a_pump_answers_to_its_own_address_alone():
    pump = Ne1000(Plunger(), address=7)
    pump.write(b"\r0\r3VER\r", 1.0)
    assert pump.read_ready(2.0) == b""
    assert ask(pump, "07", 3.0) == "07S"
    with pytest.raises(ValueError, match="from 0 to 99"):
        Ne1000(Plunger(), address=100)


def test_in_safe_mode_only_packets_count(safe_pump):
    safe_pump.write(b"VER\r0\r", 1.0)
    assert safe_pump.read_ready(2.0) == b""
    assert ask_safely(safe_pump, "0VER", 3.0) == ["00SNE1000V3.928"]
    assert ask_safely(safe_pump, "", 4.0) == ["00S"]


def test_a_damaged_packet_is_answered_so_and_does_not_feed(safe_pump):
    ask_safely(safe_pump, "", 1.0)
    safe_pump.write(packet(b"0VER").replace(b"V", b"W"), 5.0)
    assert texts(safe_pump.read_ready(5.1)) == ["00S?COM"]
    assert safe_pump.next_event() == 11.0


def test_a_packet_in_pieces_is_one_unless_a_piece_is_late(safe_pump):
    whole = packet(b"0VER")
    safe_pump.write(whole[:4], 1.0)
    safe_pump.write(whole[4:], 1.4)
    assert texts(safe_pump.read_ready(2.0)) == ["00SNE1000V3.928"]
    safe_pump.write(whole[:4], 3.0)
    assert ask_safely(safe_pump, "0VER", 3.6) == ["00SNE1000V3.928"]


@pytest.mark.parametrize("in_basic", [True, False])
def test_a_change_of_mode_is_answered_in_the_new_one(in_basic):
    pump = Ne1000(Plunger(), packets_in_basic_mode=in_basic)
    pump.write(b"SAF 20\r", 1.0)
    assert texts(pump.read_ready(1.1)) == ["00S"]
    assert ask_safely(pump, "0SAF", 2.0) == ["00S20"]
    pump.write(packet(b"SAF0"), 3.0)
    assert pump.read_ready(3.1) == b"\x0200S\x03"
    pump.write(packet(b"0SAF10"), 4.0)
    assert pump.read_ready(4.1) == (packet(b"00S") if in_basic else b"")


# -- the motor


@pytest.mark.parametrize(("direction", "sign", "status"), [("INF", 1.0, "I"), ("WDR", -1.0, "W")])
def test_a_volume_moves_the_plunger_and_stops_it_at_its_end(pump, direction, sign, status):
    for command in ("RAT 60.00 UM", "VOL 5.000", f"DIR {direction}"):
        assert ask(pump, command, 0.5) == "00S"
    assert ask(pump, "RUN", 1.0) == f"00{status}"
    assert pump.plunger.flow_at(3.0) == pytest.approx(sign * 3600.0, rel=1e-4)
    assert ask(pump, "DIS", 3.5)[2] == status
    counted = ask(pump, "DIS", 6.5)
    assert counted == ("00SI5.000W0.000UL" if sign > 0 else "00SI0.000W5.000UL")
    assert pump.plunger.moved_ul(100.0) == pytest.approx(sign * 5.0, abs=pump._step_ul())


def test_the_end_of_a_volume_is_announced_to_the_plunger_when_it_begins(pump):
    started(pump)
    end = max(pump.plunger.changes)
    assert (end, pump.plunger.changes[end]) == (pytest.approx(5.0, rel=1e-4), 0.0)
    assert pump.next_event() == end


@given(rate=st.floats(50.0, 9000.0), diameter=st.floats(4.0, 30.0), seconds=st.floats(1.0, 500.0))
def test_what_is_counted_is_what_the_plunger_moved_to_a_step(rate, diameter, seconds):
    pump = Ne1000(Plunger(), diameter_mm=diameter)
    ask(pump, "VOLUL", 0.0)
    assert ask(pump, f"RAT {rate:.0f} UH", 0.0) == "00S"
    assert ask(pump, "RUN", 0.0) == "00I"
    moved = pump.plunger.moved_ul(seconds)
    assert moved == pytest.approx(round(rate) * seconds / 3600.0, rel=0.01)
    assert 0.0 <= moved - pump.moved_ul(1, seconds) <= pump._step_ul() * (1.0 + 1e-6)
    steps = pump.moved_ul(1, seconds) / pump._step_ul()
    assert steps == pytest.approx(round(steps), abs=1e-6)


@given(
    st.lists(
        st.tuples(st.sampled_from(["INF", "WDR"]), st.sampled_from(["0.000", "3.000", "20.00"]), st.floats(0.1, 30.0)),
        min_size=1,
        max_size=8,
    )
)
def test_however_often_it_is_started_and_stopped_the_plunger_moves_what_is_counted(strokes):
    pump, now = Ne1000(Plunger(), diameter_mm=10.0, **FINE), 0.0
    ask(pump, "RAT 60 UM", now)
    for direction, volume, seconds in strokes:
        for command in (f"VOL {volume}", f"DIR {direction}", "RUN"):
            ask(pump, command, now)
        now += seconds
        ask(pump, "STP", now)
        ask(pump, "STP", now)
    counted = pump.moved_ul(1, now) - pump.moved_ul(-1, now)
    assert pump.plunger.moved_ul(now + 100.0) == pytest.approx(counted, abs=2.0 * len(strokes) * pump._step_ul())


def test_the_rate_is_a_step_every_whole_number_of_ticks():
    pump = Ne1000(Plunger(), diameter_mm=10.0, tick_us=1000.0)
    started(pump, "9000.UH", "0.000")
    interval_s = pump._step_ul() / (pump.plunger.flow_at(1.0) / 3600.0)
    assert interval_s == pytest.approx(0.007)
    assert pump.plunger.flow_at(1.0) == pytest.approx(9000.0, rel=0.05)
    assert pump.plunger.flow_at(1.0) != pytest.approx(9000.0, rel=0.01)


def test_the_first_stop_pauses_and_the_second_stops(pump):
    started(pump)
    assert ask(pump, "STP", 2.0) == "00P"
    assert pump.plunger.flow_at(4.99) == pump.plunger.flow_at(6.0) == 0.0
    assert ask(pump, "DIS", 3.0) == "00PI2.000W0.000UL"
    assert ask(pump, "STP", 4.0) == "00S"
    assert ask(pump, "STP", 5.0) == "00S?NA"


def test_a_paused_volume_goes_on_where_it_was_and_a_stopped_one_begins_anew(pump):
    started(pump)
    ask(pump, "STP", 2.0)
    assert ask(pump, "RUN", 10.0) == "00I"
    assert ask(pump, "DIS", 14.0) == "00SI5.000W0.000UL"
    ask(pump, "RUN", 20.0)
    ask(pump, "STP", 22.0)
    ask(pump, "STP", 23.0)
    ask(pump, "RUN", 30.0)
    assert ask(pump, "DIS", 40.0) == "00SI12.00W0.000UL"


def test_a_stop_that_was_announced_does_not_end_a_later_motion(pump):
    started(pump)
    ask(pump, "STP", 1.0)
    ask(pump, "STP", 1.0)
    ask(pump, "VOL 0", 1.0)
    ask(pump, "RUN", 2.0)
    ask(pump, "RAT 3600", 3.0)
    assert pump.plunger.flow_at(4.0) == pump.plunger.flow_at(60.0) == pytest.approx(3600.0, rel=1e-4)


def test_a_running_pump_takes_another_rate_in_its_unit_and_nothing_else(pump):
    started(pump, "60.00UM", "10.00")
    for command in ("RUN", "DIA 5", "VOL 3", "VOL ML", "DIR WDR", "CLD INF", "PHN 2", "FUN STP", "RAT 5 UH"):
        assert ask(pump, command, 1.0) == "00I?NA"
    assert ask(pump, "RAT 30", 2.0) == "00I"
    assert pump.plunger.flow_at(3.0) == pytest.approx(1800.0, rel=1e-4)
    assert pump.next_event() == pytest.approx(18.0, abs=0.01)
    assert ask(pump, "DIS", 20.0) == "00SI10.00W0.000UL"


def test_counts_are_cleared_apart_and_run_over(pump):
    started(pump, "2000.UM", "9990.")
    assert ask(pump, "DIS", 400.0) == "00SI9990.W0.000UL"
    ask(pump, "VOL 15", 400.0)
    ask(pump, "RUN", 400.0)
    assert ask(pump, "DIS", 410.0) == "00SI5.000W0.000UL"
    ask(pump, "CLD WDR", 411.0)
    assert ask(pump, "DIS", 412.0) == "00SI5.000W0.000UL"
    ask(pump, "CLD INF", 413.0)
    assert ask(pump, "DIS", 414.0) == "00SI0.000W0.000UL"


def test_the_volume_unit_follows_the_syringe_unless_it_is_set(pump):
    ask(pump, "DIA 20.05", 1.0)
    assert ask(pump, "VOL", 2.0) == "00S0.000ML"
    ask(pump, "DIA 14", 3.0)
    assert ask(pump, "DIS", 4.0) == "00SI0.000W0.000UL"


def test_phases_follow_one_another_until_one_stops(pump):
    for command in ("RAT 60 UM", "VOL 1", "PHN 2", "FUN RAT", "RAT 120 UM", "VOL 4", "DIR WDR", "PHN 1", "RUN"):
        ask(pump, command, 0.0)
    assert ask(pump, "DIS", 10.0) == "00SI1.000W4.000UL"
    assert pump.plunger.flow_at(0.5) == pytest.approx(3600.0, rel=1e-4)
    assert pump.plunger.flow_at(2.0) == pytest.approx(-7200.0, rel=1e-4)
    ask(pump, "RUN 2", 20.0)
    assert ask(pump, "DIS", 30.0) == "00SI1.000W8.000UL"


# -- alarms


def test_a_program_that_cannot_run_is_an_alarm_that_is_said_once(pump):
    assert ask(pump, "RUN", 1.0) == "00A?E"
    assert ask(pump, "", 2.0) == "00S"
    ask(pump, "PHN 41", 3.0)
    for command in ("FUN RAT", "RAT 60 UM", "VOL 1", "RUN 41"):
        ask(pump, command, 4.0)
    assert ask(pump, "", 6.0) == "00A?O"


def test_a_pending_alarm_takes_the_place_of_a_command(pump):
    pump.reboot(0.0)
    assert ask(pump, "RAT 60 UM", 5.0) == "00A?R"
    assert ask(pump, "RAT", 6.0) == "00S0.000MH"


@pytest.mark.parametrize(("direction", "stall_kpa"), [("INF", 100.0), ("WDR", -100.0)])
def test_a_plunger_that_is_pushed_too_hard_stalls_within_a_tenth_of_a_second(direction, stall_kpa):
    area_mm2 = math.pi * 25.0
    pressure = Pressure(lambda t: stall_kpa * (1.001 if t >= 2.0 else 0.999))
    pump = Ne1000(Plunger(), diameter_mm=10.0, pressure=pressure, force_limit_n=100.0 * area_mm2 * 1e-3)
    for command in ("RAT 60 UM", "VOL 0", f"DIR {direction}", "RUN"):
        ask(pump, command, 0.0)
    pump.advance(10.0)
    assert pump.plunger.flow_at(1.99) != 0.0
    assert pump.plunger.flow_at(2.11) == 0.0
    assert ask(pump, "DIS", 11.0) == "00A?S"
    assert ask(pump, "DIS", 12.0)[2] == "S"


def test_a_pump_that_hears_nothing_stops_and_says_so_twice(safe_pump):
    for command in ("RAT60UM", "VOL0", "RUN"):
        ask_safely(safe_pump, command, 1.0)
    assert safe_pump.next_event() == 11.0
    assert ask_safely(safe_pump, "", 8.0) == ["00I"]
    assert safe_pump.next_event() == 18.0
    assert texts(safe_pump.read_ready(60.0)) == ["00A?T"]
    assert safe_pump.plunger.flow_at(17.9) > 0.0
    assert safe_pump.plunger.flow_at(18.0) == 0.0
    assert ask_safely(safe_pump, "DIS", 61.0) == ["00A?T"]
    assert ask_safely(safe_pump, "DIS", 62.0) == ["00SI17.00W0.000UL"]


def test_a_loss_of_power_stops_the_motor_and_the_counts_and_keeps_mode_and_settings(safe_pump):
    for command in ("RAT60UM", "VOL0", "RUN"):
        ask_safely(safe_pump, command, 1.0)
    safe_pump.reboot(5.0)
    assert safe_pump.plunger.flow_at(5.0) == 0.0
    assert texts(safe_pump.read_ready(20.0)) == ["00A?R"]
    assert safe_pump.next_event() is None  # the time-out begins with the first packet
    assert ask_safely(safe_pump, "RAT", 30.0) == ["00A?R"]
    assert safe_pump.next_event() == 40.0
    assert ask_safely(safe_pump, "RAT", 31.0) == ["00S60.00UM"]
    assert ask_safely(safe_pump, "DIS", 32.0) == ["00SI0.000W0.000UL"]


@pytest.mark.parametrize("restarts", [True, False])
def test_only_a_pump_that_is_set_so_goes_on_after_a_loss_of_power(pump, restarts):
    ask(pump, f"PF {int(restarts)}", 0.0)
    started(pump, volume="0.000")
    pump.reboot(5.0)
    pump.advance(20.0)
    assert (pump.plunger.flow_at(20.0) > 0.0) == restarts


def test_a_pump_without_a_cable_goes_on_pumping(pump):
    started(pump)
    pump.unplug(1.0, 3.0)
    assert ask(pump, "DIS", 10.0) == "00SI5.000W0.000UL"


def test_a_frozen_count_repeats_itself(pump):
    started(pump, volume="0.000")
    before = ask(pump, "DIS", 1.0)
    pump.frozen = True
    assert ask(pump, "DIS", 5.0) == before
    pump.frozen = False
    assert ask(pump, "DIS", 6.0) == "00II6.000W0.000UL"


def test_what_it_says_unasked_is_from_another_pump(pump, safe_pump):
    assert pump.unsolicited() == b"\x0201A?S\x03"
    assert texts(safe_pump.unsolicited()) == ["01A?S"]


def test_the_rig_makes_one_from_a_station_s_table(virtual_rig):
    signal = "truth_outlet_pressure_kpa"
    rig = virtual_rig({"device": "newera-ne1000", "plunger": "back_pressure_kpa", "pressure": signal})
    (device,) = rig.devices.values()
    assert isinstance(device, DEVICE)
    assert device.pressure is rig.plant.signals[signal]
    with pytest.raises(RigError, match='"plunger" is missing; name an actuator of the plant'):
        virtual_rig({"device": "newera-ne1000"})


@pytest.fixture
def virtual_rig():
    """Function that makes a rig with one device on its wire; closes them."""
    rigs = []

    def make(table):
        rigs.append(Rig({"visa": {"ASRL1::INSTR": table}}, VirtualClock(), seed=1))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
