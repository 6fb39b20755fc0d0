"""One number, one unit, nothing guessed."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.quantities import (
    QuantityError,
    echo,
    format_quantity,
    in_unit,
    parse,
    quantity,
    same_dimension,
)
from data.unit_factors import FACTORS, OFFSETS
from data.units import DIMENSIONS, by_pint, dimensions_of, scale_and_offset

FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6)


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("1.5 mL/day", "flow", 62.5),
        ("1 mL/day", "flow", 1000 / 24),
        ("0.048 mL/day", "flow", 2.0),
        ("1 mL/d", "flow", 1000 / 24),
        ("694.444 nL/min", "flow", 41.66664),
        ("300 ug/day", "dose-rate", 300.0),
        ("300 mcg/day", "dose-rate", 300.0),
        ("300 \u00b5g/day", "dose-rate", 300.0),
        ("300 \u03bcg/day", "dose-rate", 300.0),
        ("2 mg/mL", "concentration", 2000.0),
        ("2000 mcg/ml", "concentration", 2000.0),
        ("37 degC", "temperature", 37.0),
        ("37 °C", "temperature", 37.0),
        ("310.15 K", "temperature", 37.0),
        ("98.6 degF", "temperature", 37.0),
        ("\u22125 degC", "temperature", -5.0),
        ("300 mmHg", "pressure", 39.9967162245),
        ("1 psi", "pressure", 6.894757293168361),
        ("10 cmH2O", "pressure", 0.980665),
        ("60 d", "time", 5_184_000.0),
        ("25 h", "time", 90_000.0),
        ("0.5 min", "time", 30.0),
        ("1 lbf", "force", 4.4482216152605),
        ("0.998 g/mL", "density", 0.998),
        ("998.2067 kg/m3", "density", 0.9982067),
        ("0.2 mg/h", "mass-rate", 0.2),
        ("-14.5 %", "percent", -14.5),
        ("14.5%", "percent", 14.5),
        ("1.25", "ratio", 1.25),
        ("0.49 uL/kPa", "compliance", 0.49),
        ("1e3 uL", "volume", 1000.0),
        ("2E-3 mL", "volume", 2.0),
        ("+5 uL", "volume", 5.0),
        ("  5\u00a0uL ", "volume", 5.0),
        ("0.0026 mL/cm", "volume-per-length", 2.6),
        ("1 kΩ", "resistance", 1000.0),
    ],
)
def test_a_quantity_is_read_in_our_unit(text, dimension, value):
    assert parse(text, dimension) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "dimension", "remedy"),
    [
        ("1,5 mL/day", "flow", "write 1.5 mL/day"),
        ("1,5", "flow", "write 1.5"),
        ("1,500 mL/h", "flow", "write 1.500 mL/h, or 1500 mL/h"),
        ("1,234,567 uL", "volume", "write 1234567 uL"),
        ("1.000,5 mL", "volume", "not one number"),
        ("1 000 uL", "volume", "write 1000 uL"),
        ("1'000.5 uL", "volume", "write 1000.5 uL"),
        ("1_000 uL", "volume", "write 1000 uL"),
        ("0.5 mL/24h", "flow", "write 0.5 mL/day"),
        ("0.5 mL/24 h", "flow", "write 0.5 mL/day"),
        ("37 C", "temperature", "write 37 degC"),
        ("37 c", "temperature", "write 37 degC"),
        ("-300 degC", "temperature", "absolute zero"),
        ("1 mL/D", "flow", "write 1 mL/day"),
        ("1 ML/day", "flow", "write 1 mL/day"),
        ("1 UL/H", "flow", "write 1 uL/h"),
        ("60 KPA", "pressure", "write 60 kPa"),
        ("60 mPa", "pressure", "write 60 with one of kPa, Pa"),
        ("60 mpa", "pressure", "write 60 with one of kPa, Pa"),
        ("60 uPa", "pressure", "write 60 with one of kPa, Pa"),
        ("10 MHz", "frequency", "write 10 with one of Hz"),
        ("2 mohm", "resistance", "write 2 with one of ohm"),
        ("20 Mg", "mass", "write 20 with one of g"),
        ("2000 pg/mL", "concentration", "write 2000 with one of ug/mL"),
        ("3 mL/dya", "flow", "write 3 mL/day"),
        ("5 Min", "time", "write 5 min"),
        ("10 psig", "pressure", "write 10 psi"),
        ("5 m", "time", "write 5 min"),
        ("10 hours", "time", "write 10 h"),
        ("1 mL / day", "flow", "write 1 mL/day"),
        ("1 mL day", "flow", "write 1 mL/day"),
        ("NaN mL/h", "flow", "does not begin with a number"),
        ("inf mL/h", "flow", "does not begin with a number"),
        ("mL/h", "flow", "does not begin with a number"),
        ("٣ mL/h", "flow", "does not begin with a number"),
        ("½ mL/h", "flow", "does not begin with a number"),
        (".5 mL", "volume", "write 0.5 mL"),
        ("5. mL", "volume", "write 5 mL"),
        ("1 2 mL/h", "flow", "not one number"),
        ("1/2 mL", "volume", "not one number"),
        ("1.5.2 mL", "volume", "not one number"),
        ("1e5e3 s", "time", "not one number"),
        ("1e4000 s", "time", "not one number"),
        ("1e999 s", "time", "too large"),
        ("5-10 mL", "volume", "not one number"),
        ("5 1 mL", "volume", "not one number"),
        ("0x10 s", "time", "one of s, ms"),
        ("1 mL", "flow", "mL is the unit of a volume"),
        ("1 mL/day", "volume", "mL/day is the unit of a flow rate"),
        ("1 mg/mL", "density", "unit of a concentration"),
        ("5", "volume", "it has no unit; write 5 with one of mL, uL, nL, L"),
        ("5 bananas", "volume", "write 5 with one of mL, uL, nL, L"),
        ("12 h 30 min", "time", "h 30 min is not one of its units"),
        ("", "volume", "a volume is missing"),
        ("   ", "volume", "a volume is missing"),
        ("1" * 100 + " uL", "volume", "too long"),
    ],
)
def test_what_is_not_one_number_and_one_known_unit_is_refused_with_a_remedy(text, dimension, remedy):
    with pytest.raises(QuantityError) as refusal:
        parse(text, dimension)
    message = str(refusal.value)
    assert remedy in message
    assert "\n" not in message


def test_a_bare_number_from_a_file_is_told_to_be_text():
    with pytest.raises(
        QuantityError, match='5 is a bare number; write a volume as text with its unit, for example "50 uL"'
    ):
        parse(5, "volume")


def test_what_was_read_is_echoed_with_our_unit_beside_it():
    assert echo("1.5 mL/day", "flow") == "1.5 mL/day = 62.5 uL/h"
    assert echo("1.5 mcg/ml", "concentration") == "1.5 ug/mL"
    assert echo("60 d", "time") == "60 day = 5184000 s"
    assert echo("300 mmHg", "pressure") == "300 mmHg = 39.9967 kPa"


def test_a_quantity_keeps_its_normalised_text():
    read = quantity(" +2 \u00b5l/min ", "flow")
    assert (read.value, read.unit, read.text) == (120.0, "uL/h", "2 uL/min")


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (62.5, "flow", "1.5 mL/day"),
        (1000 / 24, "flow", "1 mL/day"),
        (0.1, "flow", "0.1 uL/h"),
        (86400.0, "time", "1 day"),
        (90_000.0, "time", "25 h"),
        (20_000.0, "volume", "20 mL"),
        (50.0, "volume", "50 uL"),
    ],
)
def test_a_value_is_written_where_its_number_is_shortest(value, dimension, text):
    assert format_quantity(value, dimension) == text


@given(st.sampled_from(sorted(DIMENSIONS)), FINITE)
def test_what_is_written_reads_back_as_exactly_the_same_value(dimension, value):
    if dimension == "temperature":
        value = max(value, -273.15)
    assert parse(format_quantity(value, dimension), dimension) == value


@given(NUMBERS, st.sampled_from([(d.name, u) for d in DIMENSIONS.values() for u in d.units if d.name != "temperature"]))
def test_every_unit_on_the_list_is_read_and_converted_back(number, dimension_and_unit):
    dimension, unit = dimension_and_unit
    value = parse(f"{number:f} {unit}", dimension)
    assert in_unit(value, dimension, unit) == pytest.approx(float(number), rel=1e-15)


@given(st.text(max_size=30), st.sampled_from(sorted(DIMENSIONS)))
def test_any_text_is_read_or_refused_in_one_sentence(text, dimension):
    try:
        outcome = math.isfinite(parse(text, dimension))
    except QuantityError as error:
        outcome = "write" in str(error) and "\n" not in str(error)
    assert outcome


def test_the_factors_of_pint_are_those_of_the_definitions():
    exact = {
        ("pressure", "mmHg"): 13_595.1 * 9.80665e-6,  # conventional mercury column
        ("pressure", "psi"): 0.45359237 * 9.80665 / 0.0254**2 / 1000,
        ("pressure", "Torr"): 101.325 / 760,
        ("pressure", "inHg"): 13_595.1 * 9.80665e-6 * 25.4,
        ("force", "kgf"): 9.80665,
        ("flow", "nL/min"): 0.06,
        ("dose-rate", "mg/h"): 24_000.0,
        ("length", "in"): 25.4,
        ("mass-rate", "ug/s"): 3.6,
    }
    for (dimension, unit), factor in exact.items():
        scale, offset = scale_and_offset(dimension, unit)
        assert float(scale) == pytest.approx(factor, rel=1e-14)
        assert offset == 0


def test_every_unit_has_a_rational_factor_and_ours_has_one():
    for dimension in DIMENSIONS.values():
        assert dimension.unit in dimension.units
        assert set(dimension.written) <= set(dimension.units)
        for unit in dimension.units:
            assert scale_and_offset(dimension.name, unit)[0] > 0
        assert scale_and_offset(dimension.name, dimension.unit) == (1, 0)
        parse(dimension.example, dimension.name)


def test_no_two_units_of_a_dimension_differ_only_in_case():
    for dimension in DIMENSIONS.values():
        assert len({unit.casefold() for unit in dimension.units}) == len(dimension.units)


def test_units_of_one_dimension_are_known_as_such():
    assert same_dimension("mL/day", "nL/min")
    assert same_dimension("g", "mg")
    assert not same_dimension("mg", "mL")
    assert dimensions_of("bananas") == ()


def test_a_value_that_a_unit_cannot_hold_exactly_is_not_written_in_it():
    assert format_quantity(62.5, "flow", "mL/day") == "1.5 mL/day"
    with pytest.raises(QuantityError, match="is no unit of a flow rate"):
        format_quantity(62.5, "flow", "mL")
    with pytest.raises(QuantityError, match="finite"):
        format_quantity(math.inf, "flow")


def test_the_factors_that_are_kept_are_those_of_pint_and_none_is_missing():
    told = {
        (dimension.name, unit): by_pint(dimension.name, unit)
        for dimension in DIMENSIONS.values()
        for unit in dimension.units
        if unit != dimension.unit
    }
    kept = {
        (name, unit): (Fraction(factor), Fraction(OFFSETS.get(name, {}).get(unit, "0")))
        for name, units in FACTORS.items()
        for unit, factor in units.items()
    }
    assert kept == told


def test_no_station_needs_pint():
    code = (
        "import sys; from bench.station import load_station; load_station('sim-full'); sys.exit('pint' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def test_the_documentation_lists_every_unit():
    text = (Path(__file__).parents[2] / "docs/reference/quantities.md").read_text("utf-8")
    for dimension in DIMENSIONS.values():
        units = ", ".join(f"`{unit}`" for unit in dimension.units)
        assert f"| {dimension.name} | `{dimension.unit}` | {units} | `{dimension.example}` |" in text
