"""What a test protocol is: parameters, roles, steps, and how to judge the run file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

from data import quantities
from data.nearest import did_you_mean
from data.schedule import Schedule
from data.units import DimensionName
from protocols.interlock import Interlock
from protocols.steps import Step

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run
    from protocols.analysis.declared import Declared
    from protocols.analysis.forecast import Forecast
    from protocols.analysis.looks import Look

# The unit in a parameter's name says its dimension.
_DIMENSIONS: dict[str, DimensionName] = {
    "_ul_per_h": "flow",
    "_ul_per_kpa": "compliance",
    "_mg_per_h": "mass-rate",
    "_g_per_ml": "density",
    "_mm_per_s": "velocity",
    "_percent": "percent",
    "_degc": "temperature",
    "_k": "temperature-difference",
    "_kpa": "pressure",
    "_ul": "volume",
    "_mg": "mass",
    "_mm": "length",
    "_n": "force",
    "_s": "time",
}

NOT_PROTOCOLS = {"analysis", "blanks", "interlock", "procedure", "prompts", "steps"}


class ParamError(ValueError):
    """A parameter of a procedure is unknown, unreadable or out of range."""


@dataclass(frozen=True, slots=True)
class Measures:
    """A role that is met by any channel of the unit's dimension."""

    role: str
    unit: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Controls:
    """A role that is met by an instrument with a capability."""

    role: str
    capability: type
    optional: bool = False


Role = Measures | Controls


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: what the form asks, what the command line takes, what the file stores."""

    help: str
    default: str | float | int | bool | None
    low: str | None = None
    high: str | None = None
    choices: tuple[str, ...] = ()
    name: str = ""
    kind: type = float
    dimension: DimensionName | None = None
    later: bool = False

    @property
    def short_name(self) -> str:
        """The name without its unit, as people type it."""
        for suffix in _DIMENSIONS:
            if self.dimension is not None and self.name.endswith(suffix):
                return self.name.removesuffix(suffix)
        return self.name

    def read(self, value: object) -> Any:
        """Value in our unit from what a person typed or a file holds; raises ParamError."""
        try:
            return self._in_range(self._convert(value), value)
        except ValueError as error:
            raise ParamError(f'parameter "{self.short_name}": {error}') from None

    def _convert(self, value: object) -> Any:
        if self.kind is Schedule:
            if isinstance(value, Schedule):
                return value
            return Schedule.from_json(value) if isinstance(value, Mapping) else Schedule.parse(str(value))
        if self.dimension is not None:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
            return quantities.parse(str(value), self.dimension)
        if self.kind is bool:
            words = {"true": True, "yes": True, "false": False, "no": False}
            if str(value).lower() not in words:
                raise ValueError(f'"{value}" is neither yes nor no')
            return words[str(value).lower()]
        if self.kind is str:
            text = str(value)
            if self.choices and text not in self.choices:
                raise ValueError(f'"{text}" is not one of {", ".join(self.choices)}')
            return text
        try:
            return self.kind(str(value))
        except ValueError:
            raise ValueError(f'"{value}" is not a number; write it like {self.default}') from None

    def _in_range(self, value: Any, given: object) -> Any:
        for bound, outside in ((self.low, "below"), (self.high, "above")):
            if bound is None:
                continue
            limit = quantities.parse(bound, self.dimension) if self.dimension else self.kind(bound)
            if (value < limit) if outside == "below" else (value > limit):
                raise ValueError(f"{given} is {outside} {bound}; choose a value {self._allowed}")
        return value

    @property
    def _allowed(self) -> str:
        if self.low is None or self.high is None:
            return f"of at most {self.high}" if self.low is None else f"of at least {self.low}"
        return f"from {self.low} to {self.high}"


def param(
    help: str,  # noqa: A002  # the word that forms and command lines use
    default: str | float | bool | None = None,
    low: str | None = None,
    high: str | None = None,
    choices: Sequence[str] = (),
    *,
    later: bool = False,
) -> Any:
    """Declare a parameter; its dimension follows from the unit in the attribute's name.

    One that came later is kept only where it is not the default, so that other runs stay what they were to the bit.
    """
    return Param(help, default, low, high, tuple(choices), later=later)


class Procedure:
    """A test protocol.  A subclass declares parameters with `param` and reads as its specification."""

    name: ClassVar[str]
    title: ClassVar[str] = ""
    method: ClassVar[int]
    roles: ClassVar[tuple[Role, ...]] = ()
    params: ClassVar[dict[str, Param]] = {}
    relies_on_rig_check: ClassVar[bool] = True
    """Whether what it concludes stands on a rig that was checked; not so where it checks the rig itself."""
    largest_swept_ul: ClassVar[float | None] = None
    """The most that the outlet valve may push into the line as it closes; None where it does not matter."""
    smallest_syringe_ul: ClassVar[float | None] = None
    """The smallest syringe that may push into a catheter; None where nothing is pushed through one."""
    radii_mm: Sequence[float] = ()
    """Radii of the mandrels round which a catheter is bent."""
    runs_empty: ClassVar[bool] = False
    """Whether it is meant to empty the reservoir."""
    leaves_out: ClassVar[bool] = False
    """Whether `evaluate` leaves out what a named person excluded; else a run takes no exclusion."""
    qualification: ClassVar[Mapping[str, str]] = {}
    """Parameters of the shortest form that its own uncertainty allows, as people type them."""
    rests_in: ClassVar[frozenset[str]] = frozenset()
    """Long quiet phases, in which an instrument that has a resting period is recorded at that."""
    forecast_over: ClassVar[str] = ""
    """The parameter whose length decides what a run can tell, where `forecast` knows that; else empty."""

    def __init_subclass__(cls) -> None:
        hints = get_type_hints(cls)
        declared = {name: value for name, value in vars(cls).items() if isinstance(value, Param)}
        cls.params = dict(cls.params)
        for name, item in declared.items():
            dimension = next((d for suffix, d in _DIMENSIONS.items() if name.endswith(suffix)), None)
            kind = hints.get(name, float)
            cls.params[name] = replace(item, name=name, kind=kind, dimension=dimension if kind is float else None)
        cls.title = cls.title or (cls.__doc__ or cls.name).strip().splitlines()[0].rstrip(".")

    def __init__(self, **values: object) -> None:
        chosen = {self.param_name(name): value for name, value in values.items()}
        for name, item in self.params.items():
            value = chosen.get(name, item.default)
            if value is None:
                raise ParamError(f'parameter "{item.short_name}" of {self.name} is missing: {item.help}')
            setattr(self, name, item.read(value))

    @classmethod
    def param_name(cls, name: str) -> str:
        """Full name of a parameter given with or without its unit; raises ParamError with the nearest name."""
        wanted = name.replace("-", "_")
        for full, item in cls.params.items():
            if wanted in (full, item.short_name):
                return full
        names = [item.short_name for item in cls.params.values()]
        hint = did_you_mean(wanted, names, f"it has {', '.join(names)}")
        raise ParamError(f'{cls.name} has no parameter "{name}"; {hint}')

    def values(self) -> dict[str, Any]:
        """Parameters in our units; a schedule as its JSON."""
        found = {
            name: value
            for name, item in self.params.items()
            if (value := getattr(self, name)) != item.default or not item.later
        }
        return {name: value.to_json() if isinstance(value, Schedule) else value for name, value in found.items()}

    def steps(self) -> Iterator[Step]:
        """What to do; equal parameters give equal steps."""
        raise NotImplementedError

    def teardown(self) -> Iterator[Step]:
        """What to do after a normal end or an operator's stop, but never after an interlock."""
        yield from ()

    def programmed(self) -> Schedule | None:
        """What the pump is programmed to deliver from its start to the end; None where that is not one schedule."""
        schedule = getattr(self, "schedule", None)
        return schedule if isinstance(schedule, Schedule) else None

    @property
    def forced_ul_per_h(self) -> Sequence[float]:
        """Flows that a syringe pump pushes through the whole line, and so through the flow sensor."""
        return ()

    @property
    def most_collected_ul(self) -> float | None:
        """What one vessel has to hold where vessels are changed; None where all goes into one."""
        return None

    def limited_by(self) -> tuple[tuple[str, ...], str] | None:
        """Keys of the model file's limits of which a run needs one for a verdict, and the result that they limit.

        None where the limits are the protocol's own, or the run is judged by others too.
        """
        return None

    def rests(self, phase: str) -> bool:
        """Whether a phase is long and quiet; where phases are numbered, by the beginning of its name."""
        return phase in self.rests_in

    def needs(self) -> set[str]:
        """Roles that these parameters need, optional ones among them."""
        always = {role.role for role in self.roles if not role.optional}
        return always | {role for step in (*self.steps(), *self.teardown()) for role in step.roles}

    def collects(self) -> bool:
        """Whether what it concludes needs to know into what the fluid goes: the station's [collection]."""
        return "reference_mass" in self.needs()

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """What a person should know before the start, one sentence each.

        Parameters
        ----------
        dut : the device under test as `data.dut.Dut` dumps it.
        """
        yield from ()

    def forecast(self, declared: Declared) -> Forecast | None:
        """Expected uncertainty of each check before the run; None where it is not known beforehand.

        Parameters
        ----------
        declared : what a run file would keep of a run with these parameters.
        """
        return None

    @staticmethod
    def look(run: Run, looks: int, risk: float) -> Look:
        """Whether the record so far is a clear fail; reads the file alone.  For a procedure with a `JudgedPhase`.

        Parameters
        ----------
        looks, risk : how many looks share which probability of ending the run of a pump just at its limit.
        """
        raise NotImplementedError

    def alternatives(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Other plans whose forecast may be better: what is different in words, and the parameters that are."""
        yield from ()

    def interlocks(self) -> Sequence[Interlock]:
        """Limits that the procedure adds to the station's own."""
        return ()

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Judge the run file; reads the file alone."""
        raise NotImplementedError


def procedure_names() -> list[str]:
    """Names of every protocol that is installed."""
    return sorted(_our_procedures() | {point.name for point in entry_points(group="pumpbench.protocols")})


def _our_procedures() -> set[str]:
    package = import_module("protocols")
    return {item.name.replace("_", "-") for item in iter_modules(package.__path__) if item.name not in NOT_PROTOCOLS}


@cache
def role_names() -> frozenset[str]:
    """The roles of every protocol that is installed; those of one that cannot be loaded are not among them."""
    found = set[str]()
    for name in procedure_names():
        with suppress(ImportError, AttributeError):  # somebody else's, and broken: it says so when it is asked for
            found.update(role.role for role in load_procedure(name).roles)
    return frozenset(found)


def load_procedure(name: str) -> type[Procedure]:
    """Class of a protocol: ``flow-accuracy`` is in protocols/flow_accuracy.py.

    Raises
    ------
    ParamError
        When there is no such protocol; names the nearest one.
    """
    if name in _our_procedures():  # asked first: to look through all installed packages takes 10 ms
        found: type[Procedure] = import_module(f"protocols.{name.replace('-', '_')}").PROCEDURE
        return found
    for point in entry_points(group="pumpbench.protocols"):
        if point.name == name:
            load: Callable[[], type[Procedure]] = point.load
            return load()
    hint = did_you_mean(name, procedure_names(), f"there are {', '.join(procedure_names())}")
    raise ParamError(f'there is no protocol "{name}"; {hint}')
