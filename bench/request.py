"""What a person asks for, and its reading: every file and parameter that it names, before anything moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.articles import known_of_pump
from bench.findings import Finding
from bench.recipe import Loaded, insist, insist_on_pump, load_recipe
from bench.station import Station, load_station, station_path
from data.checks import Origin
from data.dut import DutModel, load_catheter, load_dut, load_fluid
from data.quantity_fields import Stated
from data.samples import FloatArray
from protocols.procedure import Controls, Procedure, load_procedure

SHIPPED = Path(__file__).parent


class RequestError(ValueError):
    """Something that was asked for cannot be done; the message says what and what to do."""


@dataclass(frozen=True, slots=True)
class Override:
    """A person lets a run start although a preflight finding blocks it.

    Attributes
    ----------
    finding : code of the finding.
    read : what had been found under that code, to the letter, when the person gave the reason, which is none for
        anything else; empty where the run begins at once, and the person reads what they took upon themselves.
    """

    finding: str
    person: str
    reason: str
    read: tuple[str, ...] = ()

    def covers(self, found: Finding) -> bool:
        """Whether the person took this finding upon themselves."""
        return self.finding == found.code and (not self.read or found.text in self.read)


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    procedure: str
    station: str
    settings: Mapping[str, str] = field(default_factory=dict)
    dut: str | None = None
    serial: str = ""
    catheter: str | None = None
    fluid: str | None = None
    faults: Sequence[str] = ()
    seed: int = 1
    out: Path = Path("runs")
    pace: float | None = None
    person: str = ""
    overrides: Sequence[Override] = ()
    longest_block_s: float | None = None
    answers: str | None = None  # file of answers to prompts
    person_answers: bool = False  # also on a simulated station, whose operator then only does what is asked
    attended: bool = False  # somebody answers prompts at a terminal or a window
    replay: Mapping[str, tuple[FloatArray, FloatArray]] | None = None
    recipe: str | None = None  # file that fixes parameters and limits


@dataclass(frozen=True)
class Prepared:
    """A request that was read and checked; nothing has moved yet."""

    request: Request
    station: Station
    path: Path
    procedure: Procedure
    roles: dict[str, str]
    articles: dict[str, dict[str, Any]]  # "dut", "catheter", "fluid" as JSON
    origin: Origin
    recipe: Loaded | None = None


def prepare(request: Request) -> Prepared:
    """Read every file and parameter that a request names; raises a ValueError with one clear sentence."""
    path = station_path(request.station)
    station = load_station(request.station)
    kind = load_procedure(request.procedure)
    defaults = station.procedures.get(kind.name, {})
    settings = {kind.param_name(name): value for name, value in defaults.items()}
    asked = {kind.param_name(name): value for name, value in request.settings.items()}
    settings.update(asked)
    recipe = load_recipe(Path(request.recipe)) if request.recipe else None
    if recipe is not None:
        insist(recipe, kind, asked)
        settings.update(recipe.fixed)
    procedure = kind(**settings)
    if request.faults and station.served is not None:
        raise RequestError(
            f'--fault: the instruments of station "{station.name}" are simulated by another program; '
            "give it the faults: pumpbench sim serve --fault"
        )
    if request.faults and not station.simulated:
        raise RequestError(
            f'--fault: station "{station.name}" has real instruments; only a simulated one can have faults'
        )
    if request.person_answers and station.simulated and request.pace is None:
        raise RequestError("time that jumps waits for no answer; give a pace at which a person can answer, such as 60")
    articles = articles_of(request, station)
    if recipe is not None:
        insist_on_pump(recipe, str(articles["dut"]["model"]))
        articles["dut"]["limits"].update(recipe.limits)
    origin = Origin.MEASURED
    if not station.real:
        origin = Origin.REPLAYED if request.replay else Origin.SIMULATED
    return Prepared(request, station, path, procedure, _roles(path, station, procedure), articles, origin, recipe)


def articles_of(
    request: Request, station: Station, without: Sequence[str] = (), *, now: bool = True
) -> dict[str, dict[str, Any]]:
    """Device under test, catheter and fluid, from the request or from the station's own defaults.

    Parameters
    ----------
    without : what need not be there.
    now : whether they are used today, and the lab's register tells of the pump as it is; it knows no earlier days.
    """
    loaders: dict[str, Callable[[Path], Stated]] = {"dut": load_dut, "catheter": load_catheter, "fluid": load_fluid}
    found = {}
    for what, load in loaders.items():
        name = getattr(request, what) or getattr(station, what)
        if name is None and what in without:
            continue
        if name is None:
            raise RequestError(
                f'--{what}: station "{station.name}" has no default; give a file, such as --{what} my.toml'
            )
        folder = "catheters" if what == "catheter" else f"{what}s"
        article = load(_shipped(name, folder))
        if isinstance(article, DutModel):
            serial = request.serial or ("" if station.real else "SIMULATED")
            if not serial:
                raise RequestError("--serial: the serial number of the device under test is missing")
            known = known_of_pump(article.model, serial, real=station.real) if now else {}
            article = article.item(serial, **known)
        found[what] = article.model_dump(mode="json")
    return found


def _shipped(name: str, folder: str) -> Path:
    """Path of a file given by path or by the name of a shipped one."""
    path = Path(name)
    if path.suffix == ".toml":
        return path
    shipped = SHIPPED / folder / f"{name}.toml"
    if not shipped.exists():
        names = ", ".join(sorted(item.stem for item in (SHIPPED / folder).glob("*.toml")))
        raise RequestError(
            f'there is no shipped file "{name}" in {folder} (there are {names}); or give a path to a .toml file'
        )
    return shipped


def _roles(path: Path, station: Station, procedure: Procedure) -> dict[str, str]:
    """The station's channels and instruments for the procedure's roles; raises RequestError for a missing one."""
    needed = procedure.needs()
    roles = {}
    for role in procedure.roles:
        target = station.roles.get(role.role)
        if target is not None:
            roles[role.role] = target
        elif role.role in needed:
            what = role.capability.__name__ if isinstance(role, Controls) else f"channel in {role.unit}"
            raise RequestError(
                f'{path}: table [roles] has no "{role.role}", which {procedure.name} needs ({what}); add the line'
            )
    return roles
