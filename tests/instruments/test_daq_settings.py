"""What a station file may say of an NI-DAQmx instrument, and what it is told when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from instruments.daq_inputs import Columns
from instruments.daq_settings import NiDaqmxSettings
from instruments.instrument import load_driver

BRIDGE = {
    "name": "outlet_pressure",
    "physical": "cDAQ1Mod1/ai0",
    "kind": "bridge",
    "points": [["0 mV/V", "0 kPa"], ["2 mV/V", "1 bar"]],
    "reference": "gauge",
    "height": "12 mm",
}


def read(**table: Any) -> NiDaqmxSettings:
    return NiDaqmxSettings.model_validate(table)


def test_the_driver_is_found_by_its_name() -> None:
    assert load_driver("ni-daqmx").settings_type is NiDaqmxSettings


def test_quantities_are_read_into_the_units_of_the_bench() -> None:
    settings = read(rate="10 Hz", channels=[BRIDGE], buffer="5 min")
    assert settings.rate_hz == 10.0
    assert settings.buffer_s == 300.0
    (channel,) = Columns(settings.channels).channels
    assert (channel.name, channel.unit, channel.reference, channel.height_mm) == (
        "outlet_pressure",
        "kPa",
        "gauge",
        12.0,
    )
    assert settings.channels[0].points.pairs == ((0.0, 0.0), (2.0, 100.0))  # type: ignore[union-attr]  # a bridge


def test_a_channel_has_the_unit_of_what_its_sensor_measures() -> None:
    channels = [
        {"name": "volts", "physical": "Dev1/ai0", "kind": "voltage"},
        {"name": "loop", "physical": "Dev1/ai1", "kind": "current"},
        {"name": "humidity", "physical": "Dev1/ai2", "kind": "voltage", "points": [["0 V", "0 %"], ["1 V", "100 %"]]},
        {"name": "bath", "physical": "Dev1/ai3", "kind": "thermocouple", "type": "T"},
        {
            "name": "needle",
            **{k: BRIDGE[k] for k in ("physical", "kind")},
            "points": [["0 mV/V", "0 N"], ["2 mV/V", "5 N"]],
        },
    ]
    assert [channel.unit for channel in Columns(read(channels=channels).channels).channels] == [
        "V",
        "A",
        "%",
        "degC",
        "N",
    ]


def test_a_valve_may_be_written_as_its_line_alone() -> None:
    valves = read(
        valves={"outlet": "cDAQ1Mod5/port0/line0", "vent": {"line": "cDAQ1Mod5/port0/line1", "safe": "energised"}}
    ).valves
    assert (valves["outlet"].line, valves["outlet"].safe) == ("cDAQ1Mod5/port0/line0", "released")
    assert valves["vent"].safe == "energised"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"physical": "cDAQ1Mod1"}, "String should match pattern"),
        ({"kind": "bridg"}, "does not match any of the expected tags"),
        ({"points": [["0 mV/V", "0 kPa"]]}, "write at least two points"),
        ({"points": [["0 mV/V", "0 kPa"], ["0 mV/V", "100 kPa"]]}, "two points have the same electrical value"),
        ({"points": [["0 mV/V", "0 kPa"], ["1 mV/V", "2 kPa"], ["2 mV/V", "1 kPa"]]}, "neither rise nor fall"),
        ({"points": [["0 mV/V", "0 kPa"], ["2 mV/V", "100 N"]]}, "measure different things"),
        ({"points": [["0 mV/V", "0 degC"], ["2 mV/V", "10 degC"]]}, "a bridge measures a pressure or a force"),
        ({"points": [["0 V", "0 kPa"], ["2 V", "100 kPa"]]}, "V"),
        ({"points": "2 mV/V"}, "write at least two points"),
        ({"points": [["0 mV/V"], ["2 mV/V", "100 kPa"]]}, "write a pair of quantities"),
        ({"range": ["100 kPa", "0 kPa"]}, "swap them"),
        ({"excitation": 2.5}, "write a voltage as text with its unit"),
        ({"reference": "relative"}, "gauge"),
        ({"sensitivity": "2 mV/V"}, "Extra inputs are not permitted"),
        ({"name": "Outlet pressure"}, "String should match pattern"),
    ],
)
def test_a_wrong_channel_is_told_what_to_write(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        read(channels=[BRIDGE | change])


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({}, "neither a channel nor a valve"),
        ({"channels": [BRIDGE, BRIDGE]}, 'two channels have the name "outlet_pressure"'),
        ({"channels": [BRIDGE, BRIDGE | {"name": "other"}]}, 'two channels have the physical "cDAQ1Mod1/ai0"'),
        ({"channels": [BRIDGE], "rate": "10 s"}, "frequency"),
        ({"channels": [BRIDGE], "rate": "0 Hz"}, "greater than 0"),
        ({"valves": {"outlet": "cDAQ1Mod5/line0"}}, "String should match pattern"),
        ({"valves": {"outlet": {"line": "cDAQ1Mod5/port0/line0", "normally": "shut"}}}, "'open' or 'closed'"),
        (
            {
                "channels": [
                    {"name": "a", "physical": "D/ai0", "kind": "thermocouple", "type": "K", "cold_junction": "b"}
                ]
            },
            'cold_junction "b" is neither',
        ),
    ],
)
def test_wrong_settings_are_told_what_to_write(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        read(**table)
