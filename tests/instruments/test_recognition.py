"""Who is at a port that nobody knows: every simulated instrument is recognised, and nothing moves by it."""

import random

import pytest
import pyvisa

from bench import served_rig
from bench.scan import recognitions
from instruments.clock import VirtualClock
from instruments.instrument import Identity
from instruments.recognition import Recognised, Recognition, look_at
from instruments.simulation.rig import Rig
from instruments.simulation.visalib import SimulatedVisa
from instruments.simulation.wire import ByteDevice
from instruments.visa import SerialLine

SERIAL, SOCKET = "ASRL1::INSTR", "TCPIP::10.0.0.7::4001::SOCKET"
WITHIN_S = 20.0
DRIVERS = sorted(recognitions())


class Silent(ByteDevice):
    """Hears and says nothing."""

    def on_bytes(self, data, now):
        pass


class Babbling(ByteDevice):
    """Sends garbage twenty times a second, whatever it is asked."""

    def __init__(self):
        super().__init__()
        self.next_s = 0.0
        self.random = random.Random(1)

    def on_bytes(self, data, now):
        pass

    def next_event(self):
        return self.next_s

    def on_time(self, t):
        self.next_s = t + 0.05
        self.emit(self.random.randbytes(9), t)


@pytest.fixture
def looking():
    """Function that looks at a device behind a resource; returns what it found and how long it took."""

    def look(device, resource, drivers=None, within_s=WITHIN_S, clock=None):
        clock = clock or VirtualClock()
        manager = pyvisa.ResourceManager(SimulatedVisa(clock, {resource: device} if device else {}))
        begun_s = clock.now()
        found = look_at(resource, drivers or recognitions(), manager, clock, within_s=within_s)
        return found, clock.now() - begun_s

    return look


def state_of(device):
    """What a question must not change of a device: everything plain that its attributes say, but for its wire."""
    talk = ("_out", "_lines", "_free", "_busy", "_byte", "_check", "_refused", "_heard", "_said", "_deaf",
            "_events", "_has_new_error", "_looked_s", "_initialised", "_last", "_held")  # fmt: skip
    plain = (int, float, str, bool, tuple, type(None))
    return {
        key: value
        for key, value in vars(device).items()
        if isinstance(value, plain) and not key.startswith(talk) and value == value  # nor what is no number
    }


@pytest.mark.parametrize("resource", [SERIAL, SOCKET])
@pytest.mark.parametrize("driver", DRIVERS)
def test_every_instrument_is_recognised_and_nothing_moves(looking, driver, resource):
    clock = VirtualClock()
    described = served_rig.of_instruments({"it": driver}, daq=False)
    rig = Rig(described.simulation, clock, seed=1)
    (device,) = rig.devices.values()
    before, standing = state_of(device), rig.plant.standing(clock.now())
    clock.sleep(30.0)  # whatever it says when it is switched on has been said
    found, took_s = looking(device, resource, clock=clock)
    assert (found.driver, found.why) == (driver, "")
    assert took_s <= WITHIN_S
    assert rig.plant.standing(clock.now()) == standing
    assert not rig.plant.pump.state(clock.now()).running
    assert state_of(device) == before
    rig.close()


def test_what_an_instrument_says_is_ready_for_a_station_file(looking):
    described = served_rig.of_instruments({"it": "sensirion-shdlc"}, daq=False)
    rig = Rig(described.simulation, VirtualClock(), seed=1)
    found, _ = looking(next(iter(rig.devices.values())), SERIAL)
    assert found.recognised.identity == Identity("Sensirion", "LG16-0150", "0000000000000008")
    assert found.recognised.settings == {"family": "SF04"}
    assert (found.line.baud, found.line.parity) == (115_200, "none")
    rig.close()


@pytest.mark.parametrize("resource", [SERIAL, SOCKET, "USB0::0x2A8D::0x0101::MY53201234::0::INSTR"])
def test_a_silent_port_is_said_to_be_silent_within_its_time(looking, resource):
    found, took_s = looking(Silent(), resource)
    assert (found.driver, found.recognised) == ("", None)
    assert found.why.startswith("nothing answers; check power and cable")
    assert took_s < WITHIN_S


@pytest.mark.parametrize("resource", [SERIAL, SOCKET])
def test_a_port_that_babbles_is_none_of_them_and_ends_in_time(looking, resource):
    found, took_s = looking(Babbling(), resource)
    assert found.recognised is None
    assert found.why in (
        "something talks there, but as no instrument that there is a driver for",
        "its 20 s were over before every driver had asked",
    )
    assert took_s < WITHIN_S + 0.1


def test_a_port_that_is_not_there_is_told_with_what_to_check(looking):
    found, _ = looking(None, SERIAL)
    assert found.why.startswith("it cannot be opened: ")
    assert found.why.endswith("; check its name, the cable and who else uses it")


def test_time_that_is_over_is_told(looking):
    found, took_s = looking(Silent(), SERIAL, within_s=2.0)
    assert found.why == "its 2 s were over before every driver had asked"
    assert took_s <= 2.0 + 1e-9


def test_on_interfaces_with_messages_nothing_but_scpi_is_asked(looking):
    asked = []

    class Listening(Silent):
        def on_bytes(self, data, now):
            asked.append(data)

    looking(Listening(), "GPIB0::22::INSTR")
    assert asked == [b"*IDN?\r\n"]


def test_a_driver_of_another_package_takes_part(looking):
    class Foreign(Silent):
        def on_bytes(self, data, now):
            if data == b"WHO\r":
                self.emit(b"ME 7\r\n", now + 0.01)

    def recognise(ask):
        return Recognised(Identity("Mylab", "One", "7")) if ask(b"WHO\r") == b"ME 7\r\n" else None

    drivers = {**recognitions(), "mylab-one": Recognition("thing", recognise, (SerialLine(9600),))}
    found, _ = looking(Foreign(), SOCKET, drivers)
    assert (found.driver, found.recognised.identity.serial) == ("mylab-one", "7")


def test_a_question_is_asked_once_at_a_port_however_many_drivers_have_it(looking):
    asked = []

    class Listening(Silent):
        def on_bytes(self, data, now):
            asked.append(data)

    looking(Listening(), SOCKET)
    questions = [each for each in asked if each != b"\r\n"]
    assert len(questions) == len(set(questions)) > 10


def test_no_question_is_an_order_of_another_instrument():
    """What tares, zeroes, starts, stops or prints: of balances, pumps, gauges, controllers."""
    asked = []

    def ask(question, within_s=0.3):
        asked.append(question)
        return b""

    for each in recognitions().values():
        assert each.recognise(ask) is None
    words = {part.strip(b"\x1b").upper() for each in asked for part in each.replace(b"\n", b"\r").split(b"\r")}
    orders = {b"T", b"TI", b"TAC", b"TA", b"Z", b"ZI", b"S", b"SI", b"SIR", b"SR", b"@", b"P", b"U", b"V", b"CLR",
              b"RUN", b"STP", b"IRUN", b"WRUN", b"STOP", b"*RST", b"*CLS", b"VENT", b"PC", b"PS"}  # fmt: skip
    assert words & orders == set()
    assert all(len(each) < 80 for each in asked)
