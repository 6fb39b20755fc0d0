"""What a person types into the form of a run is understood, or refused with a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.presenters.setup_check import plain
from gui.presenters.setup_fields import field_of, on_screen, one_line, understood
from protocols.flow_accuracy import FlowAccuracy
from protocols.procedure import load_procedure, procedure_names

ANALYSIS, SCHEDULE = FlowAccuracy.params["analysis_s"], FlowAccuracy.params["schedule"]


def test_a_field_says_what_it_understood_and_what_may_be_typed() -> None:
    field = field_of(ANALYSIS)
    field.put("30 h")
    assert field.says == "108000\u202fs · 1\u202fh to 60\u202fday · changed, was 25 h"
    assert not field.error


def test_a_number_without_a_unit_is_refused_in_one_sentence_with_what_to_write() -> None:
    assert understood(ANALYSIS, "25") == (
        "",
        '"25" is not a time: it has no unit; write 25 with one of s, ms, us, min, h, day',
    )
    assert understood(ANALYSIS, "2 min")[1].endswith("choose a value from 1 h to 60 day")


def test_a_schedule_says_its_rates_and_the_volume_and_dose_of_a_day() -> None:
    said, error = understood(SCHEDULE, "300 ug/day at 2000 ug/mL\nbolus 50 uL over 10 min every 4 h;\ndrug baclofen")
    assert not error
    assert said == "6.25, 306.2\u202fµL/h; 900\u202fµg/day of baclofen at 2000\u202fµg/mL = 0.45\u202fmL/day"


def test_many_boluses_a_day_are_echoed_as_a_range_of_rates() -> None:
    said, _ = understood(
        SCHEDULE, "flex 00:00 1 mL/day, 06:00 2 mL/day, 12:00 3 mL/day, 18:00 4 mL/day, 20:00 5 mL/day"
    )
    assert said.startswith("41.67 to 208.3\u202fµL/h; ")


@pytest.mark.parametrize("name", procedure_names())
def test_every_default_of_every_protocol_is_understood_as_it_stands_in_the_form(name: str) -> None:
    for item in load_procedure(name).params.values():
        field = field_of(item)
        assert bool(field.error) is (item.default is None), field
        assert item.default is None or item.read(one_line(field.text)) == item.read(item.default)


@given(st.text(max_size=40))
def test_whatever_is_typed_is_either_understood_or_refused_with_a_sentence(text: str) -> None:
    for item in FlowAccuracy.params.values():
        echo, error = understood(item, text)
        assert not (echo and error)
        assert "\n" not in error


def test_units_are_written_as_on_a_screen() -> None:
    assert on_screen("5 uL at 37 degC, 2 ug/mL") == "5\u202fµL at 37\u202f°C, 2\u202fµg/mL"
    assert plain("--out /x: the folder cannot be written") == "Output folder /x: the folder cannot be written"
    assert plain("/long/way/sim.toml: table [roles]", "sim") == "sim.toml: table [roles]"
    assert plain("/a long/way/sim.toml: table [roles]", "sim") == "sim.toml: table [roles]"
    assert plain(r"C:\a long\way\sim.toml: table [roles]", "sim") == "sim.toml: table [roles]"
