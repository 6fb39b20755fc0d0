"""The in-process VISA library under the real pyvisa: ends of reads, timeouts, plugs, attributes."""

import pytest
import pyvisa
import serial
from pyvisa.constants import BufferOperation, EventMechanism, EventType, SerialTermination
from pyvisa.errors import InvalidSession, VisaIOError

from instruments.clock import ClockError, VirtualClock
from instruments.simulation.visalib import SimulatedVisa
from instruments.simulation.wire import LineDevice, SerialLine

ASRL, SOCKET, GPIB = "ASRL1::INSTR", "TCPIP0::10.0.0.7::5025::SOCKET", "GPIB0::9::INSTR"


class Echo(LineDevice):
    """Answers each line with itself after 50 ms; two twice, mute not at all, split and half in pieces."""

    def __init__(self):
        super().__init__()
        self.received = b""
        self.triggered = 0

    def on_bytes(self, data, now):
        self.received += data
        super().on_bytes(data, now)

    def on_line(self, line, now):
        if line == "two":
            self.emit(b"one\r\n", now + 0.05)
            self.emit(b"two\r\n", now + 0.05)
        elif line == "split":
            self.emit(b"split\r", now + 0.05)
            self.emit(b"\n", now + 0.06)
        elif line == "half":
            self.emit(b"1234", now + 0.05)
            self.emit(b"56 g\r\n", now + 5.0)
        elif line != "mute":
            self.emit(line.encode("latin-1") + b"\r\n", now + 0.05)

    def trigger(self, now):
        self.triggered += 1

    def status_byte(self, now):
        return super().status_byte(now) | (0x40 if now >= 3.0 else 0)


class Bench:
    def __init__(self, resource=ASRL, **library):
        self.clock = VirtualClock()
        self.device = Echo()
        self.visa = SimulatedVisa(self.clock, {resource: self.device}, **library)
        self.manager = pyvisa.ResourceManager(self.visa)
        self.resource = resource

    def open(self, **settings):
        return self.manager.open_resource(self.resource, write_termination="\r\n", **settings)


def error_of(call, *arguments):
    with pytest.raises(VisaIOError) as caught:
        call(*arguments)
    return caught.value.abbreviation


def test_a_query_takes_the_device_s_latency_and_no_wall_time():
    bench = Bench()
    assert bench.open(read_termination="\r\n").query("hello") == "hello"
    assert bench.clock.now() == pytest.approx(0.05)


def test_a_serial_read_ends_at_line_feed_even_without_a_read_termination():
    assert Bench().open(read_termination=None).query("hello") == "hello\r\n"


def test_a_serial_read_without_end_in_and_termination_ends_at_the_timeout():
    port = Bench().open()
    port.end_input = SerialTermination.none
    assert error_of(port.query, "hello") == "VI_ERROR_TMO"


def test_a_socket_read_ends_only_on_an_enabled_termination_character():
    bench = Bench(SOCKET)
    assert error_of(bench.open().query, "hello") == "VI_ERROR_TMO"
    assert bench.open(read_termination="\n").query("hello") == "hello\r"


def test_a_gpib_read_ends_with_the_message_and_two_messages_do_not_merge():
    port = Bench(GPIB).open()
    port.write("two")
    assert [port.read(), port.read()] == ["one\r\n", "two\r\n"]


def test_two_lines_that_wait_on_a_serial_port_are_read_one_by_one():
    port = Bench().open(read_termination="\r\n")
    port.write("two")
    assert [port.read(), port.read()] == ["one", "two"]


@pytest.mark.parametrize("resource", [ASRL, GPIB])
def test_pieces_smaller_than_the_reply_are_put_together_by_pyvisa(resource):
    port = Bench(resource).open()
    port.chunk_size = 3
    port.write("a long line")
    assert port.read_raw() == b"a long line\r\n"


def test_read_bytes_returns_exactly_what_is_asked_for():
    port = Bench().open()
    port.write("0123456789")
    assert port.read_bytes(4) == b"0123"
    assert port.read_bytes(3) == b"456"


def test_a_binary_reply_may_end_in_any_character():
    port = Bench().open(read_termination="~")
    port.write_raw(b"~\x00\x01~\n")
    assert port.read_raw() == b"~"
    assert port.read_raw() == b"\x00\x01~"


def test_a_silent_device_times_out_after_the_timeout_on_the_clock():
    bench = Bench()
    assert error_of(bench.open(timeout=500).query, "mute") == "VI_ERROR_TMO"
    assert bench.clock.now() == pytest.approx(0.5)


def test_half_a_line_is_lost_with_the_timeout_and_its_tail_answers_the_next_query():
    bench = Bench()
    port = bench.open(timeout=500, read_termination="\r\n")
    assert error_of(port.query, "half") == "VI_ERROR_TMO"
    bench.clock.sleep_until(6.0)
    assert port.query("hello") == "56 g"


def test_a_computer_that_stalls_after_a_look_finds_what_has_arrived_meanwhile(monkeypatch):
    bench = Bench()
    port, look = bench.open(timeout=500, read_termination="\r\n"), bench.device.read_ready

    def then_stalls(now):
        there = look(now)
        bench.clock.sleep(3.0)
        return there

    monkeypatch.setattr(bench.device, "read_ready", then_stalls)
    assert port.query("hello") == "hello"


def test_a_line_end_that_comes_alone_ends_the_line():
    assert Bench().open(read_termination="\r\n").query("split") == "split"


def test_what_came_while_the_port_was_closed_is_gone():
    bench = Bench()
    port = bench.open(timeout=500)
    port.write("hello")
    port.close()
    bench.clock.sleep(1.0)
    assert error_of(bench.open(timeout=500).read) == "VI_ERROR_TMO"


def test_flush_discards_what_has_arrived():
    bench = Bench()
    port = bench.open(timeout=500, read_termination="\r\n")
    assert error_of(port.query, "half") == "VI_ERROR_TMO"
    bench.clock.sleep_until(6.0)
    port.flush(BufferOperation.discard_read_buffer)
    assert port.query("hello") == "hello"


def test_waiting_forever_for_a_silent_device_is_reported_and_not_endless():
    port = Bench().open(timeout=None)
    with pytest.raises(ClockError, match="infinite timeout"):
        port.query("mute")


def test_bytes_in_buffer_counts_what_has_arrived():
    bench = Bench()
    port = bench.open()
    port.write("hello")
    assert port.bytes_in_buffer == 0
    bench.clock.sleep(1.0)
    assert port.bytes_in_buffer == 7
    assert port.read() == "hello\r\n"
    assert port.bytes_in_buffer == 0


EVEN = pyvisa.constants.Parity.even


@pytest.mark.parametrize(
    ("settings", "understood"),
    [
        ({}, False),
        ({"baud_rate": 38400}, False),
        ({"parity": EVEN, "data_bits": 7}, False),
        ({"baud_rate": 38400, "parity": EVEN, "data_bits": 7}, True),
    ],
)
def test_only_a_host_with_the_device_s_port_settings_is_understood(settings, understood):
    bench = Bench()
    bench.device.line = SerialLine(baud=38400, parity="E", data_bits=7)
    port = bench.open(timeout=500, read_termination="\r\n", **settings)
    port.write("hello")
    assert (bench.device.received == b"hello\r\n") == understood
    assert (port.query("hello") == "hello") if understood else (error_of(port.read) == "VI_ERROR_TMO")


def test_an_unplugged_cable_fails_the_open_session_for_good_and_a_new_one_only_while_it_is_out():
    bench = Bench()
    port = bench.open(read_termination="\r\n")
    bench.device.unplug(bench.clock.now(), 10.0)
    assert error_of(port.query, "hello") == "VI_ERROR_CONN_LOST"
    assert error_of(bench.open) == "VI_ERROR_RSRC_NFOUND"
    assert bench.manager.list_resources() == ()
    bench.clock.sleep(10.0)
    assert error_of(port.read) == "VI_ERROR_CONN_LOST"
    port.close()
    assert bench.open(read_termination="\r\n").query("hello") == "hello"


def test_the_raw_switch_raises_what_pyvisa_py_raises():
    bench = Bench(raw_errors=True)
    port = bench.open()
    bench.device.unplug(bench.clock.now(), 10.0)
    for call in (lambda: port.write("hello"), port.read, lambda: port.bytes_in_buffer):
        with pytest.raises(serial.SerialException):
            call()


def test_a_serial_port_opens_once():
    bench = Bench()
    first = bench.open()
    assert error_of(bench.open) == "VI_ERROR_RSRC_BUSY"
    first.close()
    bench.open()


def test_a_port_that_came_back_opens_although_the_dead_session_was_never_closed():
    bench = Bench()
    dead = bench.open()
    bench.device.unplug(0.0, 1.0)
    bench.clock.sleep(2.0)
    assert bench.open(read_termination="\r\n").query("hello") == "hello"
    assert error_of(dead.read) == "VI_ERROR_CONN_LOST"


def test_a_closed_resource_is_an_invalid_session():
    port = Bench().open()
    port.close()
    with pytest.raises(InvalidSession):
        port.query("hello")


def test_what_a_serial_line_cannot_do_is_refused_as_vendors_do():
    port = Bench().open()
    assert error_of(port.clear) == "VI_ERROR_NSUP_OPER"
    assert error_of(port.read_stb) == "VI_ERROR_NSUP_OPER"
    assert error_of(port.get_visa_attribute, pyvisa.constants.ResourceAttribute.gpib_primary_address) == (
        "VI_ERROR_NSUP_ATTR"
    )


def test_a_gpib_instrument_is_cleared_triggered_and_polled():
    bench = Bench(GPIB)
    port = bench.open(timeout=500)
    port.write("hello")
    bench.clock.sleep(1.0)
    assert port.read_stb() == 0x10
    port.clear()
    assert error_of(port.read) == "VI_ERROR_TMO"
    port.assert_trigger()
    assert bench.device.triggered == 1


def test_a_service_request_is_waited_for_on_the_clock():
    bench = Bench(GPIB)
    port = bench.open()
    port.enable_event(EventType.service_request, EventMechanism.queue)
    assert port.wait_on_event(EventType.service_request, 1000, capture_timeout=True).timed_out
    bench.clock.sleep_until(3.0)
    assert not port.wait_on_event(EventType.service_request, 1000, capture_timeout=True).timed_out
    port.disable_event(EventType.service_request, EventMechanism.queue)
    assert error_of(port.wait_on_event, EventType.service_request, 0) == "VI_ERROR_NENABLED"


def test_resources_are_listed_by_expression():
    clock = VirtualClock()
    visa = SimulatedVisa(clock, {ASRL: Echo(), SOCKET: Echo(), GPIB: Echo()})
    manager = pyvisa.ResourceManager(visa)
    assert manager.list_resources() == (ASRL, GPIB)
    assert manager.list_resources("?*") == (ASRL, SOCKET, GPIB)
    assert error_of(manager.open_resource, "ASRL7::INSTR") == "VI_ERROR_RSRC_NFOUND"


def test_a_serial_resource_may_be_a_device_path():
    bench = Bench("ASRL/dev/ttyUSB0::INSTR")
    assert bench.open(read_termination="\r\n").query("hello") == "hello"


def test_a_misnamed_or_doubled_resource_is_refused_by_name():
    with pytest.raises(ValueError, match='"COM-7:" is no VISA resource'):
        SimulatedVisa(VirtualClock(), {"COM-7:": Echo()})
    with pytest.raises(ValueError, match="two simulated devices"):
        SimulatedVisa(VirtualClock(), {"ASRL1::INSTR": Echo(), "asrl1": Echo()})


def test_two_libraries_share_nothing():
    first, second = Bench(), Bench()
    first.open().write("hello")
    assert second.visa is not first.visa
    assert second.manager is not first.manager
    assert second.device.received == b""


def test_a_resource_is_opened_by_its_alias_too():
    bench = Bench()
    bench.visa.alias("scale", "ASRL1::INSTR")
    with bench.manager.open_resource("scale") as port:
        assert port.interface_type is pyvisa.constants.InterfaceType.asrl
        port.write("hello")
    assert b"hello" in bench.device.received
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_INV_RSRC_NAME"):
        bench.manager.open_resource("scales")


def test_values_in_text_and_binary_arrive_through_pyvisas_helpers():
    port = Bench().open(read_termination="\r\n")
    assert port.query_ascii_values("1.5,2.5") == [1.5, 2.5]
    port.write_raw(b"#14\x00\x00\xc0\x3f\r\n")
    assert port.read_binary_values() == [1.5]
