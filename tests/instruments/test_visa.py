"""One exchange on a VISA wire, and what becomes of it when something goes wrong."""

import contextlib
import itertools
import sys

import pytest
import pyvisa
import serial
from pyvisa.constants import StatusCode

from data.samples import Channel, Reading
from instruments.clock import VirtualClock, WallClock
from instruments.instrument import (
    Connection,
    Identity,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    Polled,
)
from instruments.simulation.wire import LineDevice
from instruments.visa import DEADLINES, LAST_RETRY_S, VisaInstrument, VisaSettings

TIMEOUT_S = 0.3


class Counter(LineDevice):
    """Answers ID with a serial number, V with the number of the question, NO with a refusal."""

    def __init__(self, serial_number="C1", latency_s=0.01):
        super().__init__()
        self.serial_number, self.latency_s = serial_number, latency_s
        self.asked = []
        self.boot_s = 0.1

    def on_line(self, line, now):
        self.asked.append(line)
        answer = {"ID": f"ID {self.serial_number}", "V": f"V {len(self.asked)}", "NO": "NO"}[line]
        self.emit(answer.encode() + b"\r\n", now + self.latency_s)

    def unsolicited(self):
        return b"V 0\r\n"


class Reader(VisaInstrument, Polled):
    """Driver of it."""

    channels = (Channel("count", "1"),)
    period_s = 1.0
    restored = 0

    def identify(self):
        return Identity("Nobody", "Counter", self._ask(b"ID\r\n", lambda reply: self._word(reply, b"ID")))

    def sample(self):
        return self._ask(b"V\r\n", self._reading)

    def command(self, text=b"V"):
        return self._command(text + b"\r\n", self._reading)

    def make_safe(self):
        return "it drives nothing"

    def _reading(self, reply):
        return Reading(self.sent_s, (float(self._word(reply, b"V")),), (0,))

    def _word(self, reply, head):
        name, _, word = reply.rstrip().partition(b" ")
        if name == b"NO":
            raise InstrumentRefusal(self.name, "will not")
        if name != head or not word:
            raise InstrumentReplyError(self.name, f"unexpected {reply!r}")
        return word.decode("ascii")

    def _marker(self):
        return b"ID\r\n"

    def _is_marked(self, reply):
        return reply.startswith(b"ID ")

    def _restore(self):
        self.restored += 1


@pytest.fixture
def device():
    return Counter()


@pytest.fixture
def reader(wired, device):
    reader = wired(Reader, device)
    reader.open()
    device.asked.clear()
    return reader


class Failing:
    """Stands in the place of a port and raises."""

    def __init__(self, reader, error):
        self.port, self.error = reader._port, error

    def __getattr__(self, name):
        return getattr(self.port, name)

    def read_raw(self):
        raise self.error

    def close(self):
        self.port.close()
        raise OSError(5, "Input/output error")


def visa_error(status):
    return pyvisa.errors.VisaIOError(status)


def terminal_errors():
    if sys.platform == "win32":
        return []
    import termios

    return [termios.error(22, "Invalid argument")]


# -- errors


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (visa_error(StatusCode.error_timeout), InstrumentTimeout),
        (visa_error(StatusCode.error_serial_parity), InstrumentReplyError),
        (visa_error(StatusCode.error_serial_framing), InstrumentReplyError),
        (visa_error(StatusCode.error_serial_overrun), InstrumentReplyError),
        (UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"), InstrumentReplyError),
        (ValueError("could not convert"), InstrumentReplyError),
        (pyvisa.errors.InvalidBinaryFormat("no #"), InstrumentReplyError),
        *(
            (error, InstrumentDisconnected)
            for error in [
                visa_error(StatusCode.error_connection_lost),
                visa_error(StatusCode.error_io),
                visa_error(StatusCode.error_invalid_object),
                visa_error(StatusCode.error_resource_not_found),
                visa_error(StatusCode.error_no_listeners),
                visa_error(StatusCode.error_system_error),
                visa_error(StatusCode.error_resource_busy),
                pyvisa.errors.InvalidSession(),
                serial.SerialException("write failed: [Errno 5]"),
                ConnectionResetError(104, "reset"),
                BrokenPipeError(32, "broken"),
                *terminal_errors(),
            ]
        ),
    ],
)
def test_whatever_a_wire_raises_becomes_one_of_three_errors(reader, error, becomes):
    reader._port = Failing(reader, error)
    with pytest.raises(InstrumentError) as caught:
        reader.command()
    assert type(caught.value) is becomes
    assert '"it"' in str(caught.value)
    assert (reader._port is None) == (becomes is InstrumentDisconnected)


@pytest.mark.parametrize(
    "error",
    [
        Exception("could not connect: timeout"),
        ValueError("Please install PyUSB"),
        serial.SerialException("[Errno 2] could not open port"),
        visa_error(StatusCode.error_resource_not_found),
    ],
)
def test_a_port_that_cannot_be_opened_is_disconnected_and_the_message_says_what_to_check(error):
    class Manager:
        def open_resource(self, *_, **__):
            raise error

    settings = VisaSettings.model_validate({"resource": "ASRL7::INSTR"})
    reader = Reader("it", settings, VirtualClock(), Connection(Manager))
    with pytest.raises(InstrumentDisconnected, match=r"cannot open ASRL7::INSTR.*check its name, the cable"):
        reader.open()


def test_a_resource_string_with_a_typo_is_named(wired, device):
    reader = wired(Reader, device)
    object.__setattr__(reader.settings, "resource", "ASLR1::INSTR")
    with pytest.raises(InstrumentDisconnected, match="ASLR1::INSTR"):
        reader.open()


def test_an_instrument_that_is_not_open_says_so(wired, device):
    with pytest.raises(InstrumentDisconnected, match="is not open"):
        wired(Reader, device).sample()


def test_a_closed_instrument_stays_closed(reader):
    reader.close()
    reader.close()
    with pytest.raises(InstrumentDisconnected, match="is not open"):
        reader.sample()


# -- one exchange


def test_a_reading_is_stamped_with_the_moment_of_the_question(reader):
    reader.clock.sleep(5.0)
    asked_s = reader.clock.now()
    assert reader.sample().t == asked_s
    assert reader.clock.now() > asked_s


def test_a_question_is_asked_twice_and_a_command_once(reader, device, damaged):
    damaged(device, drop=1.0)
    for call, times in ((reader.sample, 1), (reader.command, 1)):
        device.asked.clear()
        reader._in_step = True
        with pytest.raises(InstrumentTimeout):
            call()
        assert device.asked.count("V") == times
    device.misbehaviour = None
    reader.sample()
    device.asked.clear()
    drop_first(device, 1)
    assert reader.sample().values == (3.0,)
    assert device.asked == ["V", "ID", "V"]


def test_a_refusal_is_final_and_costs_no_further_exchange(reader, device):
    with pytest.raises(InstrumentRefusal):
        reader.command(b"NO")
    assert device.asked == ["NO"]
    reader.sample()
    assert device.asked == ["NO", "V"]


def test_what_arrived_before_the_question_is_no_answer_to_it(reader, device):
    device.emit(b"V 99\r\n", reader.clock.now())
    assert reader.sample().values == (1.0,)


@pytest.mark.parametrize("ends", [b"V 1\n", b"V 1\r\n"])
def test_a_line_may_end_without_carriage_return(reader, ends):
    assert reader._reading(ends).values == (1.0,)


def drop_first(device, count):
    """Let the first answers of a device vanish."""

    class Dropper:
        left = count

        def begin(self, device, data, now):
            return data

        def tamper(self, device, data, at):
            self.left -= 1
            return [] if self.left >= 0 else [(at, data)]

    device.misbehaviour = Dropper()


def test_a_late_reply_never_comes_in_the_place_of_another(reader, device):
    device.latency_s = 0.5
    with pytest.raises(InstrumentTimeout):
        reader.sample()
    device.latency_s = 0.01
    for _ in range(5):
        reader.clock.sleep(1.0)
        value = reader.sample().values[0]
        assert value == len(device.asked)


def test_no_call_takes_longer_than_three_timeouts(reader, device, damaged):
    misbehaviour = damaged(device, drop=0.3, late=0.3, truncate=0.2, duplicate=0.2, unplug=0.02, reboot=0.02)
    for _ in range(3000):
        start = reader.clock.now()
        with contextlib.suppress(InstrumentError):
            reader.sample()
        assert reader.clock.now() - start <= DEADLINES * TIMEOUT_S + 1e-9
        reader.clock.sleep(0.7)
    assert min(misbehaviour.struck[kind] for kind in ("drop", "late", "truncate", "unplug", "reboot")) >= 5


def test_answers_that_come_at_the_last_moment_do_not_add_up(reader, device):
    reader._restore = lambda: reader._command(b"ID\r\n", bytes)
    drop_first(device, 1)
    device.latency_s = 0.29
    start = reader.clock.now()
    with pytest.raises(InstrumentTimeout):
        reader.sample()
    assert reader.clock.now() - start <= DEADLINES * TIMEOUT_S + 1e-9
    reader.clock.sleep(1.0)
    assert reader.sample().values[0] == len(device.asked)


# -- connections


@pytest.mark.parametrize("raw_errors", [False, True])
def test_an_unplugged_instrument_is_disconnected_and_comes_back(wired, device, raw_errors):
    reader = wired(Reader, device, raw_errors=raw_errors)
    reader.open()
    device.unplug(reader.clock.now(), 10.0)
    with pytest.raises(InstrumentDisconnected):
        reader.sample()
    while reader.clock.now() < 9.9:
        with pytest.raises(InstrumentDisconnected):
            reader.sample()
        reader.clock.sleep(0.1)
    reader.clock.sleep(10.0)
    asked = len(device.asked)
    assert reader.sample().values == (asked + 3.0,)  # in step, identified, asked
    assert reader.restored == 2  # at open and now


def test_until_the_next_attempt_is_due_a_call_fails_at_once_and_says_when(reader, device):
    device.unplug(reader.clock.now(), 1e9)
    with pytest.raises(InstrumentDisconnected):
        reader.sample()
    start = reader.clock.now()
    with pytest.raises(InstrumentDisconnected, match=r"next attempt in 0\.5 s"):
        reader.sample()
    assert reader.clock.now() == start


def test_attempts_to_connect_become_rarer_but_never_stop(reader, device):
    attempts = []
    reader.connection.visa.open_resource = lambda *_, **__: attempts.append(reader.clock.now()) or refuse()
    device.unplug(reader.clock.now(), 1e9)
    for _ in range(3000):
        with pytest.raises(InstrumentDisconnected):
            reader.sample()
        reader.clock.sleep(0.1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert gaps[:3] == pytest.approx([1.0, 2.0, 4.0], abs=0.11)
    assert max(gaps) == pytest.approx(LAST_RETRY_S, abs=0.11)
    assert 10 <= len(attempts) <= 16


def refuse():
    raise OSError(2, "No such file")


def test_another_instrument_at_the_same_cable_is_refused(reader, device):
    device.unplug(reader.clock.now(), 1.0)
    device.serial_number = "C2"
    with pytest.raises(InstrumentDisconnected):
        reader.sample()
    reader.clock.sleep(2.0)
    with pytest.raises(InstrumentDisconnected, match='"C2" answers at ASRL1::INSTR where "C1" is expected'):
        reader.sample()
    assert reader.restored == 1  # the stranger was told nothing
    device.serial_number = "C1"
    reader.clock.sleep(5.0)
    reader.sample()


def test_the_serial_number_of_the_station_file_is_checked_at_open(wired, device):
    reader = wired(Reader, device, serial="C7")
    with pytest.raises(InstrumentDisconnected, match='"C7" is expected; connect the right one, or correct'):
        reader.open()


def test_a_port_behind_which_nobody_answers_is_closed_again(wired, device, damaged):
    damaged(device, drop=1.0)
    reader = wired(Reader, device)
    with pytest.raises(InstrumentDisconnected, match="does not answer"):
        reader.open()
    assert reader._port is None
    assert reader.clock.now() <= DEADLINES * TIMEOUT_S


def test_a_tcp_port_on_which_nobody_listens_is_disconnected():
    settings = VisaSettings.model_validate({"resource": "TCPIP::127.0.0.1::9::SOCKET", "timeout": "0.1 s"})
    reader = Reader("it", settings, WallClock(), Connection.through("@py"))
    with pytest.raises(InstrumentDisconnected):
        reader.open()
    reader.connection.close()


@pytest.mark.parametrize("error", [InstrumentReplyError, InstrumentRefusal])
def test_what_cannot_be_brought_back_keeps_the_instrument_out_of_use(reader, device, error):
    def fail():
        raise error("it", "lost its tare")

    reader._restore = fail
    drop_first(device, 1)
    for _ in range(3):
        with pytest.raises(error, match="lost its tare"):
            reader.sample()
    del reader._restore
    reader.sample()


# -- several threads of control


def test_two_workers_never_get_each_others_answers(wired, device):
    clock = VirtualClock()
    reader = wired(Reader, device, clock)
    readings = {"one": [], "two": []}

    def body(name):
        def run():
            for _ in range(200):
                readings[name].append(reader.sample())
                clock.sleep(0.003)

        return run

    def main():
        reader.open()
        workers = [clock.worker(name, body(name)) for name in readings]
        for worker in workers:
            worker.join()
        assert all(worker.error is None for worker in workers)

    clock.run(main)
    counts = sorted(reading.values[0] for taken in readings.values() for reading in taken)
    assert counts == [float(k + 3) for k in range(400)]  # two questions at open
    times = sorted(reading.t for taken in readings.values() for reading in taken)
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 0.01 - 1e-9


def test_threads_of_the_wall_clock_share_an_instrument_too(wired):
    clock = WallClock()
    reader = wired(Reader, Counter(latency_s=0.0), clock, timeout="60 s")
    reader.open()
    counts = []

    def take():
        counts.extend(reader.sample().values[0] for _ in range(50))

    workers = [clock.worker(name, take) for name in ("one", "two")]
    for worker in workers:
        worker.join()
    assert sorted(counts) == [float(k + 3) for k in range(100)]


def test_the_socket_of_a_terminal_server_is_listened_to_before_each_question(wired, device):
    reader = wired(Reader, device, resource="TCPIP0::10.0.0.7::4001::SOCKET")
    reader.open()
    device.emit(b"V 99\r\n", reader.clock.now())
    assert reader.sample().values == (3.0,)
    device.latency_s = 0.5
    with pytest.raises(InstrumentTimeout):
        reader.sample()
    device.latency_s = 0.01
    reader.clock.sleep(2.0)
    assert reader.sample().values[0] == len(device.asked)


def test_an_instrument_with_message_boundaries_is_cleared_to_get_in_step(wired, device):
    reader = wired(Reader, device, resource="GPIB0::5::INSTR")
    reader.open()
    device.latency_s = 0.5
    with pytest.raises(InstrumentTimeout):
        reader.sample()
    device.latency_s = 0.01
    reader.clock.sleep(2.0)
    assert reader.sample().values[0] == len(device.asked)
