"""What a reading of a transducer with a voltage or current output means."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.samples import Quality
from instruments.transducers import CurrentTransducer, VoltageTransducer

PRESSURE = {"kind": "voltage", "points": [["0 V", "0 kPa"], ["5 V", "100 kPa"]], "reference": "gauge"}
LOOP = {"kind": "current", "points": [["4 mA", "-50 kPa"], ["20 mA", "50 kPa"]], "reference": "gauge"}


@given(raw=st.floats(-9.9, 9.9))
def test_two_points_are_a_line_that_goes_on_beyond_them(raw):
    value, quality = VoltageTransducer.model_validate({"name": "p", **PRESSURE}).measured(raw)
    assert value == pytest.approx(20.0 * raw, abs=1e-12)
    assert quality == 0


def test_a_loop_is_read_by_ne_43():
    loop = CurrentTransducer.model_validate({"name": "p", **LOOP, "shunt": "250 ohm"})
    assert loop.measured(3.0) == (pytest.approx(0.0), 0)
    assert loop.measured(0.925)[1] == Quality.SATURATED
    assert loop.measured(0.2)[1] == Quality.SATURATED | Quality.DEVICE_ERROR
    assert (loop.function, loop.most_raw, loop.unit) == ("VOLT", pytest.approx(5.5), "kPa")


def test_a_table_of_points_is_followed_and_an_overload_has_no_value():
    table = {"name": "p", "kind": "voltage", "points": [["0 V", "0 kPa"], ["1 V", "10 kPa"], ["2 V", "40 kPa"]]}
    curve = VoltageTransducer.model_validate(table)
    assert curve.measured(1.5) == (25.0, 0)
    value, quality = curve.measured(-9.9e37)
    assert math.isnan(value)
    assert quality == Quality.UNDERLOAD


@pytest.mark.parametrize(
    ("volts", "kpa", "flags"),
    [
        (-0.01, -0.1, Quality.GOOD),  # noise around a zero is not rectified
        (2.1, 43.0, Quality.GOOD),
        (2.3, 49.0, Quality.SATURATED),  # further than a tenth of the points' span, and seen by an interlock at 45 kPa
        (-0.3, -3.0, Quality.SATURATED),
    ],
)
def test_the_outermost_lines_of_a_table_go_on_beyond_its_points(volts, kpa, flags):
    table = {"name": "p", "kind": "voltage", "points": [["0 V", "0 kPa"], ["1 V", "10 kPa"], ["2 V", "40 kPa"]]}
    assert VoltageTransducer.model_validate(table).measured(volts) == (pytest.approx(kpa), flags)


def test_a_stated_range_ends_before_the_margin_of_a_table():
    points = [["0 V", "0 kPa"], ["1 V", "10 kPa"], ["2 V", "40 kPa"]]
    curve = VoltageTransducer.model_validate(
        {"name": "p", "kind": "voltage", "points": points, "range": ["0 V", "2.05 V"]}
    )
    assert curve.measured(2.1) == (pytest.approx(43.0), Quality.SATURATED)


def test_a_loop_with_a_table_keeps_to_ne_43():
    points = [["4 mA", "0 kPa"], ["12 mA", "60 kPa"], ["20 mA", "100 kPa"]]
    loop = CurrentTransducer.model_validate({"name": "p", "kind": "current", "points": points})
    assert loop.measured(20.4e-3) == (pytest.approx(102.0), 0)
    assert loop.measured(20.6e-3) == (pytest.approx(103.0), Quality.SATURATED)


@pytest.mark.parametrize(
    ("settings", "step"), [({}, 10.0), ({"max_step": "2 kPa"}, 2.0), ({"points": None, "max_step": "2 mV"}, 0.002)]
)
def test_the_largest_step_is_a_tenth_of_the_span_or_as_stated(settings, step):
    table = {key: value for key, value in {"name": "p", **PRESSURE, **settings}.items() if value is not None}
    assert VoltageTransducer.model_validate(table).as_channel.max_step == pytest.approx(step)
