"""What a person answers to a prompt: how it is read, and files of answers that are given beforehand.

person = "Ada Example"
second_person = "Ben Example"          # where a prompt needs two

[answers]
height = "12.5 mm"
level = "done"
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from data import quantities
from data.nearest import did_you_mean
from data.quantity_fields import Stated
from data.tomlfile import FileError, read_toml
from data.units import DimensionName, canonical, dimensions_of
from instruments.capabilities import Prompt
from protocols.procedure import Procedure
from protocols.prompts import prompts_of

DONE = "done"
"""What confirms that something was done."""

FIGURES = 9
"""Of a limit that an answer is held against: the mass that is typed has as many."""

LONGEST = 2000
"""Characters of a free text."""


def read_answer(prompt: Prompt, given: float | str) -> float | str:
    """Value of an answer: "done", a number in the prompt's unit, or words.

    Parameters
    ----------
    given : as typed ("12.5 mL", "done", a choice), or a number in the prompt's unit.

    Raises
    ------
    ValueError
        It is no answer to this prompt; the sentence says why and what to write.
    """
    if prompt.kind == "number":
        return _number(prompt, given)
    text = " ".join(str(given).split())
    if prompt.kind == "confirm":
        if text.casefold() != DONE:
            raise ValueError(f'"{text}" does not say that it was done; write {DONE} when it is')
        return DONE
    if prompt.choices:
        found = {choice.casefold(): choice for choice in prompt.choices}.get(text.casefold())
        if found is None:
            raise ValueError(f'"{text}" is none of the choices; write {" or ".join(prompt.choices)}')
        return found
    if not text:
        raise ValueError("the answer is empty; write some words")
    if len(text) > LONGEST:
        raise ValueError(f"the answer has {len(text)} characters; write at most {LONGEST}")
    return text


def _number(prompt: Prompt, given: float | str) -> float:
    value = _in_unit(given, prompt.unit) if isinstance(given, str) else float(given)
    if not math.isfinite(value):
        raise ValueError(f"{given} is no number that anybody can measure")
    for limit, outside in ((prompt.low, "below"), (prompt.high, "above")):
        if limit is not None and (value < limit if outside == "below" else value > limit):
            raise ValueError(f"{given} is {outside} {limit:.{FIGURES}g} {prompt.unit}; {_allowed(prompt)}")
    return value


def _allowed(prompt: Prompt) -> str:
    if prompt.low is None:
        return f"at most {prompt.high:.{FIGURES}g} {prompt.unit} can be true"
    if prompt.high is None:
        return f"at least {prompt.low:.{FIGURES}g} {prompt.unit} can be true"
    return f"only {prompt.low:.{FIGURES}g} to {prompt.high:.{FIGURES}g} {prompt.unit} can be true"


def _in_unit(text: str, unit: str) -> float:
    """A typed quantity in a unit; raises ValueError (`data.quantities`)."""
    dimension = dimension_of(unit)
    return quantities.in_unit(quantities.parse(text, dimension), dimension, unit)


def dimension_of(unit: str) -> DimensionName:
    """Kind of quantity that is measured in a unit: the one of which it is our unit, where there are several."""
    found = sorted(dimensions_of(canonical(unit)), key=lambda dimension: dimension.unit != canonical(unit))
    if not found:
        raise ValueError(f'nobody can answer in "{unit}", which is no unit; see docs/reference/quantities.md')
    return found[0].name


# ------------------------------------------------------------------------------------------------------ files


class _Answers(Stated):
    """A file of answers."""

    person: str = Field(min_length=1, examples=["Ada Example"])
    second_person: str = ""
    answers: dict[str, str] = Field({})


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """Answers that were written down before the run, and who wrote them."""

    path: Path
    answers: Mapping[str, str]
    person: str
    second_person: str = ""


def read_answers(path: Path) -> AnswerFile:
    """Read a file of answers; raises FileError naming the file, the key and the remedy."""
    said = read_toml(path, _Answers)
    return AnswerFile(path, said.answers, said.person, said.second_person)


def answers_of(
    path: str | None, procedure: Procedure, instruments: Mapping[str, object], *, attended: bool
) -> AnswerFile | None:
    """File of answers of a run, None without one; refuses a run whose prompts nobody would answer.

    Raises
    ------
    FileError
        The file cannot be read or does not fit the run, or an answer is missing; one sentence names the prompt.
    """
    file = None if path is None else read_answers(Path(path))
    prompts = prompts_of((*procedure.steps(), *procedure.teardown()))
    asking = [name for name, instrument in instruments.items() if hasattr(instrument, "operator")]
    insist(file, prompts, asking, attended=attended)
    return file


def insist(file: AnswerFile | None, prompts: Mapping[str, Prompt], asking: Collection[str], *, attended: bool) -> None:
    """Refuse a run that would wait for an answer that nobody gives, and a file that answers what nobody asks.

    Parameters
    ----------
    prompts : what the plan asks, by key.
    asking : names of instruments that ask by themselves; their prompts are named "INSTRUMENT-..." and not in the plan.
    attended : whether somebody or something answers what the file does not.

    Raises
    ------
    FileError
        With one sentence that names the prompt.
    """
    if file is not None:
        _insist_known(file, prompts, asking)
        for key, given in file.answers.items():
            if key in prompts:
                _insist_readable(file, prompts[key], given)
    if attended:
        return
    where = "--answers" if file is None else f"{file.path}"
    for key, prompt in prompts.items():
        if file is None or key not in file.answers:
            raise FileError(
                f'{where}: the run asks "{prompt.text}", and nobody is there to answer; start it from a terminal, or '
                f'give a file with a line such as {key} = "{_example(prompt)}" in its table [answers]'
            )
    if asking and file is None:
        raise FileError(
            f"{where}: {', '.join(sorted(asking))} works through a person, and nobody is there to answer; "
            f"start the run from a terminal, or give a file of answers"
        )


def _insist_known(file: AnswerFile, prompts: Mapping[str, Prompt], asking: Collection[str]) -> None:
    for key in file.answers:
        if key in prompts or any(key.startswith(f"{name}-") for name in asking):
            continue
        hint = did_you_mean(key, prompts, f"it asks {', '.join(prompts) or 'nothing'}")
        raise FileError(f'{file.path}: key "answers.{key}": the run does not ask this; {hint}')


def _insist_readable(file: AnswerFile, prompt: Prompt, given: str) -> None:
    try:
        read_answer(prompt, given)
    except ValueError as error:
        raise FileError(f'{file.path}: key "answers.{prompt.key}": {error}') from None
    if prompt.second_person and not file.second_person:
        raise FileError(
            f'{file.path}: prompt "{prompt.key}" needs the answer of two persons; add second_person = "NAME"'
        )
    if prompt.second_person and same_person(file.person, file.second_person):
        raise FileError(f'{file.path}: key "second_person": it must be another person than "{file.person}"')


def _example(prompt: Prompt) -> str:
    if prompt.kind == "confirm":
        return DONE
    if prompt.kind == "text":
        return prompt.choices[0] if prompt.choices else "..."
    value = prompt.low if prompt.low is not None else prompt.high if prompt.high is not None else 1.0
    return f"{value:.{FIGURES}g} {prompt.unit}"


def same_person(person: str, other: str) -> bool:
    """Whether two names are those of one person."""
    return plain_name(person) == plain_name(other)


def plain_name(name: str) -> str:
    """A name without what makes two spellings of it differ: case, spaces, and forms of one letter (Unicode NFKC)."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())
