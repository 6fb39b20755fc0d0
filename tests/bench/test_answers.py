"""What a person types is read strictly, and a file of answers fits the run before anything moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.answers import AnswerFile, insist, read_answer, read_answers
from data.tomlfile import FileError
from instruments.capabilities import Prompt

LEVEL = Prompt("level", "level-balance", "Level the balance.")
VOLUME = Prompt("volume", "", "Which volume?", "number", "mL", 0.0, 40.0)
LOOK = Prompt("look", "", "How does it look?", "text", choices=("clear", "cloudy"))
WORDS = Prompt("words", "", "Anything else?", "text")
TWICE = Prompt("rate", "read-programmer", "Which rate?", "number", "uL/h", second_person=True)


@pytest.mark.parametrize(
    ("prompt", "given", "value"),
    [
        (LEVEL, "done", "done"),
        (LEVEL, " Done ", "done"),
        (VOLUME, "12.5 mL", 12.5),
        (VOLUME, "500 uL", 0.5),
        (VOLUME, 40, 40.0),
        (LOOK, "CLEAR", "clear"),
        (WORDS, "a  film\non top", "a film on top"),
        (Prompt("n", "", "How many?", "number", "1"), "3", 3.0),
        (Prompt("t", "", "How warm?", "number", "degC"), "310.15 K", 37.0),
        (Prompt("m", "", "Mass?", "number", "mg"), "0.02 kg", 20_000.0),
    ],
)
def test_an_answer_is_read_in_the_prompts_unit(prompt: Prompt, given: Any, value: float | str) -> None:
    assert read_answer(prompt, given) == pytest.approx(value)


@pytest.mark.parametrize(
    ("prompt", "given", "says"),
    [
        (LEVEL, "not yet", "write done when it is"),
        (LEVEL, "", "write done when it is"),
        (VOLUME, "12.5", "it has no unit; write 12.5 with one of mL, uL, nL, L"),
        (VOLUME, "12,5 mL", "write 12.5 mL"),
        (VOLUME, "3 kPa", "a pressure"),
        (VOLUME, "41 mL", "41 mL is above 40 mL; only 0 to 40 mL can be true"),
        (VOLUME, "-1 uL", "below 0 mL"),
        (VOLUME, float("nan"), "no number"),
        (Prompt("n", "", "?", "number", "mm", low=5.0), "1 mm", "at least 5 mm can be true"),
        (Prompt("n", "", "?", "number", "mm", high=5.0), "9 mm", "at most 5 mm can be true"),
        (
            Prompt("n", "", "?", "number", "mg", high=20000.45),
            "20000.46 mg",
            "is above 20000.45 mg; at most 20000.45 mg",
        ),
        (LOOK, "milky", "clear or cloudy"),
        (WORDS, "  ", "empty"),
        (WORDS, "x" * 2001, "2001 characters"),
    ],
)
def test_what_is_no_answer_is_refused_with_what_to_write(prompt: Prompt, given: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        read_answer(prompt, given)
    assert "\n" not in str(refused.value)


@given(st.floats(0.0, 40.0), st.sampled_from(["mL", "uL", "nL", "L"]))
def test_a_number_within_the_limits_is_taken_whatever_its_unit(value_ml: float, unit: str) -> None:
    per_ml = {"mL": 1.0, "uL": 1e3, "nL": 1e6, "L": 1e-3}[unit]
    value = read_answer(Prompt("v", "", "?", "number", "mL", -1.0, 41.0), f"{value_ml * per_ml:.9f} {unit}")
    assert value == pytest.approx(value_ml, abs=1e-6)


# ------------------------------------------------------------------------------------------------------ files


def written(folder: Path, text: str) -> AnswerFile:
    path = folder / "answers.toml"
    path.write_text(text, "utf-8")
    return read_answers(path)


PLAN = {prompt.key: prompt for prompt in (LEVEL, VOLUME)}
WHOLE = 'person = "Ada"\n[answers]\nlevel = "done"\nvolume = "12.5 mL"\n'


def test_a_file_that_answers_every_prompt_is_enough(tmp_path: Path) -> None:
    file = written(tmp_path, WHOLE)
    insist(file, PLAN, (), attended=False)
    assert (file.person, file.answers["volume"]) == ("Ada", "12.5 mL")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (WHOLE.replace("volume", "volum"), 'answers.volum": the run does not ask this; did you mean "volume"'),
        (WHOLE.replace("12.5 mL", "50 mL"), 'answers.volume": 50 mL is above 40 mL'),
        (WHOLE.replace('level = "done"\n', ""), 'level = "done"'),
        (WHOLE.replace("volume = ", "# "), 'volume = "0 mL"'),
        (WHOLE.replace('person = "Ada"', ""), '"person" is missing'),
        (WHOLE.replace('person = "Ada"', 'person = ""'), "person"),
        (WHOLE.replace('"done"', "1"), "answers.level"),
    ],
)
def test_a_file_that_does_not_fit_the_run_is_refused_with_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(FileError, match=r"answers\.toml") as refused:
        insist(written(tmp_path, text), PLAN, (), attended=False)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_somebody_else_answers_need_not_stand_in_the_file(tmp_path: Path) -> None:
    insist(written(tmp_path, 'person = "Ada"\n'), PLAN, (), attended=True)
    insist(None, PLAN, ("pump",), attended=True)
    insist(None, {}, (), attended=False)


def test_without_anybody_to_answer_the_first_prompt_is_named() -> None:
    with pytest.raises(FileError, match=r'Level the balance.* level = "done"'):
        insist(None, PLAN, (), attended=False)


@pytest.mark.parametrize(
    ("second", "says"), [("", "needs the answer of two persons"), ('second_person = " ada"\n', "another person")]
)
def test_a_prompt_for_two_needs_two_persons_in_the_file(tmp_path: Path, second: str, says: str) -> None:
    text = f'person = "Ada"\n{second}[answers]\nrate = "1 mL/day"\n'
    with pytest.raises(FileError, match=says):
        insist(written(tmp_path, text), {TWICE.key: TWICE}, (), attended=False)


def test_the_prompts_of_an_instrument_may_be_answered_by_its_name(tmp_path: Path) -> None:
    file = written(tmp_path, 'person = "Ada"\n[answers]\npump-start-1 = "done"\n')
    insist(file, {}, ("pump",), attended=False)
    with pytest.raises(FileError, match="does not ask this"):
        insist(file, {}, ("twin",), attended=False)


def test_an_instrument_behind_a_person_needs_a_person() -> None:
    with pytest.raises(FileError, match="pump works through a person, and nobody is there to answer"):
        insist(None, {}, ("pump",), attended=False)
