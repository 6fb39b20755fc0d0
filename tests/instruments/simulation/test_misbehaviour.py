"""Faults of the wire: what each of them does, that they are seeded, and that no device or library falls over them."""

import struct

import numpy as np
import pytest
import pyvisa
from pyvisa.errors import VisaIOError

from instruments.clock import VirtualClock
from instruments.simulation.devices.mt_sics import MtSicsBalance
from instruments.simulation.devices.pump_link import PumpLinkDevice, crc16
from instruments.simulation.devices.sensirion_shdlc import ShdlcFlowSensor
from instruments.simulation.misbehaviour import KINDS, Misbehaviour, WireFault, named_fault
from instruments.simulation.signal import PumpState
from instruments.simulation.visalib import SimulatedVisa

WEIGHT = b"S S    0.00123 g\r\n"


class Flat:
    def at(self, t):
        return 1.23

    def samples(self, t0, dt, first, n):
        return np.full(n, 500.0)


class IdlePump:
    maker, model, serial, firmware = "Sim", "P", "1", "1.0"

    def state(self, t):
        return PumpState(False, "stopped", 0.0, 20_000.0, (), t, 1.0)


def struck(kind, probability=1.0, seed=0, **fault):
    balance = MtSicsBalance(Flat(), latency_s=0.02)
    misbehaviour = Misbehaviour("balance", [WireFault((kind,), probability, **fault)], seed=seed)
    misbehaviour.attach(balance)
    return balance, misbehaviour


def reply(balance, now=10.0, wait_s=1.0):
    balance.write(b"SI\r\n", now)
    return balance.read_ready(now + wait_s)


def test_a_dropped_reply_never_comes():
    assert reply(struck("drop")[0], wait_s=100.0) == b""


def test_a_late_reply_comes_after_the_host_has_given_up():
    balance, _ = struck("late", late_s=3.0)
    assert reply(balance) == b""
    assert balance.read_ready(13.1) == WEIGHT


def test_a_late_reply_is_not_overtaken_by_the_next_one():
    balance, _ = struck("late", until_s=10.5, late_s=3.0)
    assert reply(balance, 10.0) == b""
    balance.write(b"I4\r\n", 11.5)
    assert balance.read_ready(13.0) == b""
    assert balance.read_ready(13.1) == WEIGHT + b'I4 A "B021002593"\r\n'


def test_a_truncated_reply_is_a_beginning():
    for k in range(20):
        damaged = reply(struck("truncate", seed=k)[0])
        assert WEIGHT.startswith(damaged)
        assert damaged != WEIGHT


def test_a_flipped_bit_is_one_bit():
    for k in range(20):
        damaged = reply(struck("flip", seed=k)[0])
        assert sum((a ^ b).bit_count() for a, b in zip(damaged, WEIGHT, strict=True)) == 1


def test_a_garbled_byte_is_no_ascii():
    for k in range(20):
        damaged = reply(struck("garble", seed=k)[0])
        assert sum(a != b for a, b in zip(damaged, WEIGHT, strict=True)) == 1
        with pytest.raises(UnicodeDecodeError):
            damaged.decode("ascii")


def test_duplicates_unsolicited_lines_and_bare_line_feeds():
    assert reply(struck("duplicate")[0]) == WEIGHT * 2
    assert reply(struck("unsolicited")[0]) == b"S S     0.00000 g\r\n" + WEIGHT
    assert reply(struck("lf-only")[0]) == WEIGHT.replace(b"\r", b"")


def test_a_pulled_plug_comes_back_and_leaves_the_old_session_dead():
    balance, _ = struck("unplug", until_s=20.0, away_s=30.0)
    assert reply(balance) == b""
    assert (balance.connected(39.9), balance.connected(40.0), balance.generation) == (False, True, 1)
    assert reply(balance, 41.0) == WEIGHT


def test_a_restart_loses_the_state_and_says_so():
    balance, _ = struck("reboot", from_s=5.0, until_s=15.0)
    balance.write(b"T\r\n", 1.0)
    assert reply(balance, 10.0) == b""
    assert balance.read_ready(16.0).startswith(b"I4 A")
    assert reply(balance, 20.0) == WEIGHT


def test_a_frozen_reading_repeats_itself_until_the_fault_is_over():
    class Rising(Flat):
        def at(self, t):
            return t

    balance = MtSicsBalance(Rising())
    Misbehaviour("balance", [named_fault("frozen-reading", 1.0, from_s=100.0)]).attach(balance)
    last = reply(balance, 99.0)
    assert reply(balance, 98.0) != last
    last = reply(balance, 99.5)
    assert reply(balance, 200.0) == reply(balance, 300.0) == last


def test_a_saturated_balance_shows_overload_while_the_fault_lasts():
    balance, _ = struck("saturate", until_s=15.0)
    assert reply(balance, 10.0) == b"S +\r\n"
    assert reply(balance, 16.0) == WEIGHT


@pytest.mark.parametrize(("model", "limit", "flags"), [("LG16-0150", 32_000, []), ("SLF3S-0600F", 32_500, [2])])
def test_a_saturated_flow_sensor_stands_at_its_limit_and_says_so(model, limit, flags):
    sensor = ShdlcFlowSensor(Flat(), model=model, crystal_ppm=0.0)
    sensor.write(bytes.fromhex("7E 00 33 02 00 64 66 7E" if not flags else "7E 00 33 04 00 64 36 08 26 7E"), 0.0)
    Misbehaviour("flow", [WireFault(("saturate",), 1.0, from_s=1.0, until_s=2.0)]).attach(sensor)
    last = {t: sample(sensor, t) for t in (0.9, 1.5, 2.5)}
    assert last[1.5][0] == limit
    assert last[0.9][0] == last[2.5][0] < limit
    assert [last[1.5][2:], last[2.5][2:]] == [flags, [0 for _ in flags]]


def sample(sensor, now):
    """Signals of the latest sample of a flow sensor (command 35)."""
    data = b"\x03" if sensor.model.family == "SF06" else b""
    body = bytes((0, 0x35, len(data))) + data
    sensor.write(b"\x7e" + body + bytes((~sum(body) & 0xFF,)) + b"\x7e", now)
    reply = sensor.read_ready(now + 0.1).split(b"\x7e")[-2]
    for plain, stuffed in (
        (b"\x7e", b"\x7d\x5e"),
        (b"\x11", b"\x7d\x31"),
        (b"\x13", b"\x7d\x33"),
        (b"\x7d", b"\x7d\x5d"),
    ):
        reply = reply.replace(stuffed, plain)
    return [value for (value,) in struct.iter_unpack(">h", reply[4:-1])]


def test_a_request_that_is_lost_is_not_executed():
    balance, _ = struck("drop-request", until_s=11.0)
    assert reply(balance, 10.0) == b""
    balance.write(b"T\r\n", 10.5)
    assert balance.tare_mg == 0.0
    balance.write(b"T\r\n", 11.0)
    assert balance.tare_mg == pytest.approx(1.23)


def test_a_flipped_bit_of_a_request_is_one_bit():
    heard = []
    for k in range(40):
        balance, _ = struck("flip-request", seed=k)
        balance.on_bytes = lambda data, now: heard.append(data)
        balance.write(b"SI\r\n", 10.0)
    assert {sum((a ^ b).bit_count() for a, b in zip(data, b"SI\r\n", strict=True)) for data in heard} == {1}
    assert len(set(heard)) > 10


def test_nothing_strikes_before_the_onset():
    balance, misbehaviour = struck("drop", from_s=11.0)
    assert misbehaviour.onsets() == {11.0}
    assert reply(balance, 10.9) == WEIGHT
    assert reply(balance, 11.0) == b""


def test_the_severity_is_the_share_of_transactions():
    balance, misbehaviour = struck("garble", 0.1)
    for k in range(5000):
        reply(balance, float(k))
    assert misbehaviour.struck["garble"] == pytest.approx(500, abs=90)


def test_equal_seeds_strike_alike_and_other_seeds_otherwise():
    def transcript(seed):
        balance, _ = struck("garble", 0.3, seed=seed)
        return [reply(balance, float(k)) for k in range(100)]

    assert transcript(1) == transcript(1)
    assert transcript(1) != transcript(2)


def test_a_garbled_frame_never_passes_its_checksum():
    sensor = ShdlcFlowSensor(Flat(), crystal_ppm=0.0)
    sensor.write(bytes.fromhex("7E 00 33 02 00 64 66 7E"), 0.0)
    Misbehaviour("flow", [WireFault(("garble",), 1.0)]).attach(sensor)
    whole = 0
    for k in range(500):
        sensor.read_ready(10.0 * k + 9.0)
        sensor.write(bytes.fromhex("7E 00 36 00 C9 7E"), 10.0 * k + 10.0)
        body = sensor.read_ready(10.0 * k + 11.0).split(b"\x7e")
        for part in body:
            for plain, stuffed in ((b"\x13", b"\x7d\x33"), (b"\x11", b"\x7d\x31"), (b"\x7d", b"\x7d\x5d")):
                part = part.replace(stuffed, plain)
            whole += len(part) > 4 and sum(part) & 0xFF == 0xFF and part[3] == len(part) - 5 and part[:2] == b"\x00\x36"
    # a garbled closing flag leaves the body itself intact; the host waits for the flag and times out
    assert whole < 500 * 5 / 100


def link_request(k):
    body = b"%d STAT" % (k + 1)
    return b">" + body + b"*%04X\r\n" % crc16(body)


DEVICES = {
    "balance": (lambda: MtSicsBalance(Flat()), lambda k: b"SI\r\n" if k % 7 else b"@\r\n", 9600, "\n"),
    "flow": (
        lambda: ShdlcFlowSensor(Flat()),
        lambda k: bytes.fromhex("7E 00 36 00 C9 7E") if k % 7 else bytes.fromhex("7E 00 33 02 00 64 66 7E"),
        115200,
        "~",
    ),
    "pump": (lambda: PumpLinkDevice(IdlePump()), link_request, 38400, "\n"),
}


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_at_ten_percent_breaks_the_library_and_runs_repeat(name, kind):
    def transcript(seed):
        make, command, baud, end = DEVICES[name]
        clock, device, log = VirtualClock(), make(), []
        misbehaviour = Misbehaviour(name, [WireFault((kind,), 0.1)], seed=seed)
        misbehaviour.attach(device)
        manager = pyvisa.ResourceManager(SimulatedVisa(clock, {"ASRL1::INSTR": device}))
        port = None
        for k in range(300):
            clock.sleep(1.0)
            try:
                port = port or manager.open_resource("ASRL1::INSTR", baud_rate=baud, read_termination=end, timeout=500)
                port.write_raw(command(k))
                log.append(port.read_raw())
            except VisaIOError as error:
                log.append(error.error_code)
                if error.error_code != pyvisa.constants.StatusCode.error_timeout and port is not None:
                    port.close()
                    port = None
        assert misbehaviour.struck[kind] > 5
        return log

    first = transcript(3)
    assert first == transcript(3)
    assert sum(isinstance(entry, bytes) for entry in first) > 30


def test_a_fault_without_a_name_kind_or_probability_is_refused():
    with pytest.raises(ValueError, match="unknown wire fault"):
        named_fault("unplugged", 0.1)
    with pytest.raises(ValueError, match="from 0 to 1"):
        named_fault("unplug", 1.5)
    with pytest.raises(ValueError, match="of the kinds"):
        WireFault(("explode",), 0.1)


def test_the_crc_of_this_file_is_that_of_the_link():
    assert crc16(b"123456789") == 0x29B1
    assert struct.pack(">H", crc16(b"")) == b"\xff\xff"
