"""The plant's parameters: a number or a law each, with unit and source, and the draws that a seed makes from the laws.

``parameters.toml`` beside this file holds every one; a station may override them in its ``[simulation.plant]``
table, with a plain value, or with a law of its own.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from instruments.simulation.noise import Noise

FILE = Path(__file__).with_name("parameters.toml")
PLACE = "[simulation.plant]"

Law = Literal["fixed", "normal", "uniform"]


class ParameterError(ValueError):
    """A parameter of the plant is unknown, or its value is none."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    ``low`` and ``high`` are the bounds of a uniform law, and those at which a normal law is cut off; ``at_least``
    and ``at_most`` are what an override may be.  The unit of a word lists its choices.
    """

    name: str
    unit: str
    source: str
    law: Law = "fixed"
    value: float | str = 0.0
    mean: float = 0.0
    sd: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    at_least: float = -math.inf
    at_most: float = math.inf

    def draw(self, noise: Noise) -> float:
        """The number that this seed gives the parameter; a normal law is drawn again until it is in its bounds."""
        if self.law == "fixed":
            assert not isinstance(self.value, str)
            return self.value
        generator = noise.generator(f"draw {self.name}")
        if self.law == "uniform":
            return float(generator.uniform(self.low, self.high))
        while True:
            value = self.mean + self.sd * float(generator.standard_normal())
            if self.low <= value <= self.high:
                return value


class Draws(Mapping[str, float]):
    """What one seed drew for every parameter that is a number: the truth that an evaluation has to find."""

    def __init__(self, values: Mapping[str, float], uncertain: frozenset[str]) -> None:
        self._values = dict(values)
        self.uncertain = uncertain

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class PlantParameters:
    """All parameters by their dotted name, such as ``evaporation.rate_mg_per_h``."""

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        self._parameters = dict(parameters)

    @classmethod
    def load(cls, overrides: Mapping[str, object] | None = None) -> PlantParameters:
        """Read the parameter file and apply a station's overrides.

        Parameters
        ----------
        overrides : nested as in TOML, ``{"pump": {"mean_error": 0.02}}``, or with dotted names.

        Raises
        ------
        ParameterError
            naming the key and what may stand there.
        """
        parameters = dict(_shipped())
        for name, value in _flat(overrides or {}, parameters):
            parameters[name] = _overridden(parameters[name], value)
        return cls(parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters.values())

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def text(self, name: str) -> str:
        """A parameter that is a word."""
        value = self._parameters[name].value
        assert isinstance(value, str), name
        return value

    def draw(self, noise: Noise) -> Draws:
        """Draw every number from its law; a parameter's draw does not depend on the others."""
        numbers = [p for p in self if not isinstance(p.value, str)]
        uncertain = frozenset(p.name for p in numbers if p.law != "fixed")
        return Draws({p.name: p.draw(noise) for p in numbers}, uncertain)


@cache
def _shipped() -> Mapping[str, Parameter]:
    """The parameter file."""
    with FILE.open("rb") as file:
        tables = tomllib.load(file)
    names = ((section, key) for section, table in tables.items() for key in table)
    return {f"{s}.{key}": Parameter(name=f"{s}.{key}", **tables[s][key]) for s, key in names}


def _flat(overrides: Mapping[str, object], known: Mapping[str, Parameter]) -> Iterator[tuple[str, object]]:
    """Overrides by dotted name, each of them known."""
    sections = {name.split(".")[0] for name in known}
    for key, value in overrides.items():
        inner: Iterator[tuple[str, object]]
        if key in sections and isinstance(value, Mapping):
            inner = ((f"{key}.{name}", entry) for name, entry in value.items())
        else:
            inner = iter([(key, value)])
        for name, entry in inner:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f'did you mean "{close[0]}"?' if close else f"known sections are {', '.join(sorted(sections))}"
                raise ParameterError(f'{PLACE}: there is no parameter "{name}"; {hint}')
            yield name, entry


def _overridden(parameter: Parameter, value: object) -> Parameter:
    """The parameter with the value or law that a station gives it."""
    place = f"{PLACE}: {parameter.name}"
    is_word = isinstance(parameter.value, str)
    if isinstance(value, Mapping):
        return _with_law(parameter, value, place)
    if is_word:
        if not isinstance(value, str):
            raise ParameterError(f"{place} is {value!r}; write a word in quotes ({parameter.unit})")
        choices = parameter.unit.split(" | ")
        if len(choices) > 1 and value not in choices:
            raise ParameterError(f'{place} is "{value}"; choose one of {", ".join(choices)}')
        return replace(parameter, value=value)
    return replace(parameter, law="fixed", value=_number(value, parameter, place))


def _with_law(parameter: Parameter, table: Mapping[str, object], place: str) -> Parameter:
    """The parameter with another law, given as a table."""
    allowed = {"normal": {"mean", "sd", "low", "high"}, "uniform": {"low", "high"}, "fixed": {"value"}}
    law = table.get("law", parameter.law)
    if law not in allowed or isinstance(parameter.value, str):
        raise ParameterError(f'{place}: law is {law!r}; write "normal", "uniform" or "fixed", or a plain number')
    numbers = {str(k): v for k, v in table.items() if k != "law"}
    unknown = sorted(set(numbers) - allowed[law])
    if unknown:
        raise ParameterError(f'{place}: "{unknown[0]}" does not belong to a {law} law; it has {sorted(allowed[law])}')
    given = {k: _number(v, parameter, f"{place}.{k}") for k, v in numbers.items()}
    if law != parameter.law:
        parameter = replace(parameter, value=0.0, mean=0.0, sd=0.0, low=-math.inf, high=math.inf)
    changed = replace(parameter, law=law, **given)  # type: ignore[arg-type]  # the names are those allowed above
    if law == "uniform" and not -math.inf < changed.low <= changed.high < math.inf:
        raise ParameterError(f"{place}: a uniform law needs low and high, low not above high")
    if law == "normal" and (changed.sd < 0.0 or not changed.low <= changed.mean <= changed.high):
        raise ParameterError(f"{place}: a normal law needs an sd that is not negative, and bounds around its mean")
    return changed


def _number(value: object, parameter: Parameter, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ParameterError(f"{place} is {value!r}; write a finite number in {parameter.unit}")
    if not parameter.at_least <= value <= parameter.at_most:
        raise ParameterError(f"{place} is {value:g}; it may be {parameter.at_least:g} to {parameter.at_most:g}")
    return float(value)
