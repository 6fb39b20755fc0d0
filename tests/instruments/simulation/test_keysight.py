"""The simulated multimeter and data acquisition unit, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.clock import VirtualClock
from instruments.simulation.devices.keysight.scpi import Header, ScpiError, number
from instruments.simulation.devices.keysight_34461a import Keysight34461A
from instruments.simulation.devices.keysight_daq970a import KeysightDaq970A
from instruments.simulation.rig import Rig, RigError


class Value:
    """A voltage or current as a function of time."""

    def __init__(self, value):
        self.value = value if callable(value) else lambda t: value

    def at(self, t):
        return self.value(t)


def ask(device, text, now=100.0):
    device.write(text.encode() + b"\n", now)
    return device.read_ready(now + 60.0).decode()


@pytest.fixture
def meter():
    return Keysight34461A(volts=Value(1.2345), amps=Value(0.012), noise=0.0)


@pytest.fixture
def unit():
    signals = {"101": Value(1.25), "102": Value(lambda t: t / 100.0), "121": Value(0.012)}
    return KeysightDaq970A(signals, noise=0.0, crystal_ppm=0.0)


# -- the multimeter


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        ("*IDN?", "Keysight Technologies,34461A,MY53201234,A.02.14-02.40-02.14-00.49-01-01"),
        ("MEAS:VOLT:DC? 10", "+1.23450000E+00"),
        ("measure:voltage:dc? def,def", "+1.23450000E+00"),
        ("CONF:VOLT 10;:READ?", "+1.23450000E+00"),
        ("CONF:VOLT:DC 10;:CONF?", '"VOLT +1.000000E+01,+3.000000E-06"'),
        ("CONF:CURR:DC 0.02;:READ?;:CONF?", '+1.20000000E-02;"CURR +1.000000E-01,+3.000000E-08"'),
        ("CONF:VOLT 1;:READ?", "+9.90000000E+37"),
        ("SAMP:COUN 2;:READ?", "+1.23450000E+00,+1.23450000E+00"),
        ("VOLT:DC:NPLC 1;NPLC?;:SENS:VOLT:NPLC?", "+1.00000000E+00;+1.00000000E+00"),
        ("SYST:ERR?", '+0,"No error"'),
        ("MEAS:PRES?", ""),
        ("FETC?", ""),
        ("TRIG:SOUR?;*ESE 4;*ESE?;*OPC?;:SYST:VERS?", "IMM;4;1;1994.0"),
    ],
)
def test_the_multimeter_answers(meter, sent, reply):
    assert ask(meter, sent) == (f"{reply}\n" if reply else "")


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ("MEAS:PRES?", '-113,"Undefined header"'),
        ("FETC?", '-230,"Data stale"'),
        ("CONF:VOLT 1e6", '-222,"Data out of range"'),
        ("CONF:VOLT ten", '-104,"Data type error"'),
        ("VOLT:NPLC", '-109,"Missing parameter"'),
        ("TRIG:SOUR SUN", '-224,"Illegal parameter value"'),
        ("READ? 1", '-108,"Parameter not allowed"'),
        ("TRIG:SOUR EXT;:INIT", '-221,"Settings conflict"'),
    ],
)
def test_what_it_cannot_take_is_in_its_queue_once(meter, sent, error):
    ask(meter, sent, 1.0)
    assert ask(meter, "*STB?", 2.0) == "4\n"
    assert ask(meter, "SYST:ERR?", 3.0) == f"{error}\n"
    assert ask(meter, "SYST:ERR?", 4.0) == '+0,"No error"\n'


def test_after_an_error_the_rest_of_a_message_is_not_executed(meter):
    assert ask(meter, "*IDN?;:NONSENSE;:CONF:CURR") == "Keysight Technologies,34461A,MY53201234," + (
        "A.02.14-02.40-02.14-00.49-01-01\n"
    )
    assert meter.setup.function == "VOLT"


def test_the_queue_keeps_twenty_errors(meter):
    for k in range(25):
        ask(meter, "NONSENSE", float(k))
    told = [ask(meter, "SYST:ERR?", 50.0 + k) for k in range(21)]
    assert told[18:] == ['-113,"Undefined header"\n', '-350,"Error queue overflow"\n', '+0,"No error"\n']


def test_a_reading_takes_as_long_as_it_averages(meter):
    ask(meter, "CONF:VOLT 10;:VOLT:NPLC 10", 1.0)
    meter.write(b"READ?\n", 2.0)
    assert meter.read_ready(2.39) == b""
    assert meter.read_ready(2.41) == b"+1.23450000E+00\n"


def test_end_ends_a_line_on_interfaces_that_have_it(meter):
    meter.write(b"*OPC?", 1.0)
    meter.end_of_message(1.0)
    assert meter.read_message(2.0) == b"1\n"


def test_noise_belongs_to_its_moment_and_is_less_over_more_cycles():
    def spread(nplc):
        meter = Keysight34461A(volts=Value(1.0), noise=1e-6)
        ask(meter, f"CONF:VOLT 10;:VOLT:NPLC {nplc}", 0.0)
        values = [float(ask(meter, "READ?", 10.0 * k)) for k in range(1, 60)]
        return max(values) - min(values)

    assert spread(100) < 0.5 * spread(1)


def test_a_restart_brings_the_defaults_back(meter):
    ask(meter, "CONF:CURR 0.1", 1.0)
    meter.reboot(2.0)
    assert ask(meter, "CONF?", 50.0) == '"VOLT +1.000000E+01,+3.000000E-06"\n'


# -- the data acquisition unit


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        ("CONF:VOLT:DC 10,(@101:102);:ROUT:SCAN?", "#210(@101,102)"),
        ("ROUT:SCAN (@103,101,102);SCAN?;:ROUT:SCAN:SIZE?", "#214(@101,102,103);+3"),
        ("ROUT:SCAN (@);SCAN?", "#13(@)"),
        ("CONF:VOLT:DC 10,(@101,102);:READ?", "+1.25000000E+00,+1.00000000E+00"),
        ("MEAS:CURR:DC? 0.1,(@121)", "+1.20000000E-02"),
        ("CONF:VOLT 10,(@101);:FORM:READ:UNIT ON;CHAN ON;TIME ON;:READ?", "+1.25000000E+00 VDC,000000000.044,101"),
        ("CONF:VOLT 10,(@101);:CONF:CURR 0.1,(@121);:FORM:READ:UNIT ON;:READ?", "+1.20000000E-02 ADC"),
        ("CONF:VOLT 1,(@101);:READ?", "+9.90000000E+37"),
        ("CONF:VOLT 10,(@101);:CONF? (@101)", '"VOLT +1.000000E+01,+3.000000E-06"'),
        (
            "CONF:VOLT 10,(@101);:CALC:SCAL:GAIN 2,(@101);OFFS 1,(@101);UNIT 'PSI',(@101);STAT ON,(@101);"
            ":FORM:READ:UNIT ON;:READ?",
            "+3.50000000E+00 PSI",
        ),
    ],
)
def test_the_unit_answers(unit, sent, reply):
    assert ask(unit, sent) == f"{reply}\n"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ("CONF:CURR 0.1,(@101)", "-221"),
        ("ROUT:SCAN (@499)", "-222"),
        ("ROUT:SCAN 101", "-104"),
        ("DATA:REM? 1", "-222"),
        ("INIT", "-221"),
        ("CONF:VOLT 10", "-109"),
        ("CONF:VOLT 10,(@101);:TRIG:COUN INF;:READ?", "-221"),
        ("CONF:VOLT 10,(@101);:TRIG:SOUR TIM;:INIT;:INIT", "-213"),
    ],
)
def test_what_the_unit_cannot_take_is_in_its_queue(unit, sent, error):
    assert ask(unit, sent, 1.0) == ""
    assert ask(unit, "SYST:ERR?", 2.0).startswith(error)


def test_a_timed_scan_fills_the_memory_and_is_taken_out_of_it(unit):
    ask(unit, "CONF:VOLT 10,(@101,102);:FORM:READ:TIME ON;CHAN ON;:TRIG:SOUR TIM;TIM 2;COUN INF;:INIT", 100.0)
    unit.write(b"DATA:POIN?\n", 104.1)
    assert unit.read_ready(104.2) == b"+6\n"
    unit.write(b"DATA:REM? 2\n", 104.2)
    assert unit.read_ready(104.3) == b"+1.25000000E+00,000000000.044,101,+1.00000000E+00,000000000.088,102\n"
    unit.write(b"R? 1\n", 104.3)
    assert unit.read_ready(104.4) == b"#233+1.25000000E+00,000000002.044,101\n"
    unit.write(b"ABOR;:DATA:POIN?\n", 104.5)
    assert unit.read_ready(104.6) == b"+3\n"
    unit.write(b"DATA:POIN?\n", 150.0)
    assert unit.read_ready(150.1) == b"+3\n"


def test_a_crystal_that_is_slow_makes_fewer_sweeps():
    unit = KeysightDaq970A({"101": Value(1.0)}, noise=0.0, crystal_ppm=100.0)
    ask(unit, "CONF:VOLT 10,(@101);:TRIG:SOUR TIM;TIM 1;COUN INF;:INIT", 0.0)
    assert ask(unit, "DATA:POIN?", 20_000.5) == "+19999\n"


def test_a_memory_that_ran_over_keeps_the_latest(unit):
    unit.capacity = 100
    unit._memory = type(unit._memory)(maxlen=100)
    ask(unit, "CONF:VOLT 10,(@101);:TRIG:SOUR TIM;TIM 1;COUN INF;:FORM:READ:TIME ON;:INIT", 0.0)
    assert ask(unit, "DATA:POIN?", 1000.5) == "+100\n"
    assert ask(unit, "DATA:REM? 1", 1000.6) == "+1.25000000E+00,000000901.044\n"


def test_a_frozen_unit_repeats_itself_and_a_saturated_one_is_overloaded(unit):
    ask(unit, "CONF:VOLT 10,(@102)", 1.0)
    first = ask(unit, "READ?", 100.0)
    unit.frozen = True
    assert ask(unit, "READ?", 200.0) == first
    unit.frozen, unit.saturated = False, True
    assert ask(unit, "READ?", 300.0) == "+9.90000000E+37\n"


@pytest.mark.parametrize(("settings", "why"), [({"model": "3706A"}, "3706A"), ({}, '"99" is no channel')])
def test_what_is_no_unit_is_refused(settings, why):
    with pytest.raises(ValueError, match=why):
        KeysightDaq970A({"101": Value(0.0)} if settings else {"99": Value(0.0)}, **settings)


def test_a_station_names_the_signal_of_each_channel():
    def rig(name):
        table = {"device": "keysight-daq970a", "channels": {"101": "reservoir_pressure_v", "121": name}}
        return Rig({"visa": {"ASRL1::INSTR": table}}, VirtualClock(), seed=1)

    made = rig("back_pressure_a")
    assert sorted(made.devices["ASRL1::INSTR"].signals) == [101, 121]
    made.close()
    with pytest.raises(RigError, match=r'channels.121: there is no "back_pressure"; did you mean'):
        rig("back_pressure")


# -- SCPI


@given(st.sampled_from(["VOLT:DC:NPLC", "voltage:nplc", "SENS:VOLT:NPLC", "SENSe:VOLTage:DC:NPLC"]))
def test_long_short_and_left_out_nodes_are_one_header(text):
    assert Header("[SENSe:]VOLTage[:DC]:NPLC").pattern.fullmatch(text)


@given(st.text(max_size=12))
def test_a_parameter_is_a_number_in_its_limits_or_an_error(text):
    code = 0
    try:
        value = number(text, -5.0, 5.0)
    except ScpiError as error:
        value, code = 0.0, error.code
    assert -5.0 <= value <= 5.0
    assert code in (0, -104, -109, -222)


@given(st.binary(max_size=80))
def test_no_garbage_upsets_a_unit(garbage):
    unit = KeysightDaq970A({"101": Value(1.0)}, noise=0.0)
    unit.write(garbage, 1.0)
    unit.read_ready(900.0)
    assert ask(unit, "\n*RST;*CLS;:SYST:ERR?", 1000.0) == '+0,"No error"\n'
