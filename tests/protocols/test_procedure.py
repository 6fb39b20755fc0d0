"""Parameters, roles and lookup of procedures."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schedule import Continuous, Schedule
from protocols.flow_accuracy import FlowAccuracy
from protocols.procedure import ParamError, load_procedure, procedure_names
from protocols.steps import Phase, StartDelivery, above


def test_a_protocol_is_found_by_its_name() -> None:
    assert "flow-accuracy" in procedure_names()
    assert load_procedure("flow-accuracy") is FlowAccuracy


@pytest.mark.parametrize("name", ["flow-acuracy", "procedure", "../x", ""])
def test_an_unknown_protocol_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(ParamError, match=f'no protocol "{re.escape(name)}"; .*flow-accuracy'):
        load_procedure(name)


def test_parameters_are_read_with_their_units_and_with_or_without_the_unit_in_the_name() -> None:
    procedure = FlowAccuracy(schedule="0.5 mL/day", stabilisation="2 h", analysis_s="90 min")
    assert procedure.stabilisation_s == 7200.0
    assert procedure.analysis_s == 5400.0
    assert procedure.schedule.basal == Continuous(0.5 * 1000 / 24)


def test_defaults_are_one_millilitre_a_day_after_24_hours_for_25_hours() -> None:
    procedure = FlowAccuracy()
    assert (procedure.stabilisation_s, procedure.analysis_s) == (86400.0, 90000.0)
    assert procedure.schedule == Schedule.parse("1 mL/day")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"analysis": "25"}, 'parameter "analysis": '),
        ({"analysis": "30 min"}, "below 1 h"),
        ({"analysis": "61 day"}, "above 60 day"),
        ({"anlysis": "25 h"}, 'has no parameter "anlysis"; did you mean "analysis"'),
        ({"blank": "valve"}, 'parameter "blank": "valve" is not one of diverter, stopped, twin'),
        ({"schedule": "1,5 mL/day"}, "1.5"),
    ],
)
def test_a_bad_parameter_is_refused_with_one_sentence_that_names_it(settings: dict[str, str], says: str) -> None:
    with pytest.raises(ParamError, match=says) as refused:
        FlowAccuracy(**settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("protocol", "settings", "says"),
    [
        ("rig-check", {"weighings": "few"}, 'parameter "weighings": "few" is not a number; write it like 3'),
        ("calibration", {}, 'parameter "channel" of calibration is missing: channel to calibrate'),
    ],
)
def test_what_a_message_quotes_stands_in_double_quotes(protocol: str, settings: dict[str, str], says: str) -> None:
    with pytest.raises(ParamError, match=says):
        load_procedure(protocol)(**settings)


def test_an_answer_that_is_neither_yes_nor_no_is_quoted() -> None:
    with pytest.raises(ParamError, match='parameter "vent": "perhaps" is neither yes nor no'):
        load_procedure("calibration").params["vent"].read("perhaps")


@given(st.sampled_from(["diverter", "stopped", "twin"]), st.integers(6, 48), st.integers(1, 100))
def test_equal_parameters_give_equal_steps(blank: str, stabilisation_h: int, analysis_h: int) -> None:
    settings = {"blank": blank, "stabilisation": f"{stabilisation_h} h", "analysis": f"{analysis_h} h"}
    once, again = (tuple(FlowAccuracy(**settings).steps()) for _ in range(2))
    assert once == again
    assert [step.to_json() for step in once] == [step.to_json() for step in again]


@given(st.sampled_from(["diverter", "stopped", "twin"]), st.integers(0, 48))
def test_the_pump_delivers_for_the_whole_stabilisation_before_the_analysis(blank: str, stabilisation_h: int) -> None:
    steps = list(FlowAccuracy(blank=blank, stabilisation=f"{stabilisation_h} h").steps())
    start = next(index for index, step in enumerate(steps) if isinstance(step, StartDelivery))
    analysis = next(i for i, step in enumerate(steps) if isinstance(step, Phase) and step.name == "analysis")
    assert sum(step.least_s for step in steps[start:analysis]) >= stabilisation_h * 3600.0


def test_a_phase_needs_a_duration_or_a_condition_with_a_longest_time() -> None:
    for wrong in ({}, {"for_s": 1.0, "until": above("p", 1.0)}, {"until": above("p", 1.0)}):
        with pytest.raises(ValueError, match='phase "rise"'):
            Phase("rise", **wrong)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("name", procedure_names())
def test_the_shortest_form_of_a_protocol_has_valid_parameters(name: str) -> None:
    kind = load_procedure(name)
    assert all(kind.params[kind.param_name(key)].read(value) is not None for key, value in kind.qualification.items())
