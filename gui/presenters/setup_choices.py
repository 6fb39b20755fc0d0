"""What a run can be made of: the stations with their state, the protocols, and the files of what is tested."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.latch import LatchError, latches_of
from bench.positions import joined, parted
from bench.recipe import Loaded, load_recipe
from bench.request import SHIPPED
from bench.run_queue import station_holder
from bench.station import Station, load_station, shipped_stations, stations_in
from data.dut import load_catheter, load_dut, load_fluid
from data.quantity_fields import Stated
from gui.presenters.known_runs import KnownRuns
from gui.presenters.near_files import near_files, text_of
from gui.presenters.station_files import own_files
from gui.presenters.tone import Tone
from protocols.procedure import Procedure, load_procedure, procedure_names

KINDS = {"dut": "Device under test", "catheter": "Catheter", "fluid": "Fluid"}
"""What is tested and with what, as a request names it and as a person does."""

_LOADERS: dict[str, Callable[[Path], Stated]] = {"dut": load_dut, "catheter": load_catheter, "fluid": load_fluid}
_SIGNS = {"dut": "rate_range|reservoir", "catheter": "bore|length_supplied", "fluid": "drug|density_basis"}
_RECIPE_SIGN = re.compile(r"^\s*method\s*=", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StationChoice:
    """A station that can be chosen.

    Attributes
    ----------
    name : as a request names it: of a shipped one, or the path of a file.
    station : what its file says; None where it cannot be read, then ``wrong`` says why.
    holder : number of the run that holds it, 0 for one in the foreground, None when nobody does.
    queued : runs that wait for it.
    latched : interlocks that wait for a person.
    """

    name: str
    station: Station | None
    wrong: str = ""
    holder: int | None = None
    queued: int = 0
    latched: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What stands in the list."""
        name = self._short
        return f"{name} – {self.station.title}" if self.station is not None and self.station.title else name

    @property
    def _short(self) -> str:
        file, position = parted(self.name)
        return joined(Path(file).stem, position)

    @property
    def is_busy(self) -> bool:
        """Whether a run would have to wait for it."""
        return self.holder is not None or self.queued > 0

    @property
    def state(self) -> tuple[str, Tone]:
        """Its state in words, and how much a person should mind it."""
        if self.station is None:
            return self.wrong, Tone.FAIL
        if self.latched:
            return f"latched: {', '.join(self.latched)}", Tone.FAIL
        queued = f", {self.queued} {'waits' if self.queued == 1 else 'wait'}" if self.queued else ""
        if self.holder is None:
            return (f"free{queued}", Tone.PLAIN) if not self.queued else (f"not held{queued}", Tone.WARN)
        by = f"run {self.holder}" if self.holder else "a run in the foreground"
        return f"held by {by}{queued}", Tone.BUSY

    def is_called(self, name: str) -> bool:
        """Whether a person or another page means this station; a bench file alone means its first position."""
        file, _ = parted(self.name)
        known = {self.name, self._short, file, Path(file).name, Path(file).stem} | (
            {self.station.name} if self.station is not None else set()
        )
        return name in known


@dataclass(frozen=True, slots=True)
class ArticleChoice:
    """A device, a catheter or a fluid whose file is there.

    Attributes
    ----------
    name : as a request names it: of a shipped file, or the path of a file.
    ids : what may be typed or scanned for it, in small letters.
    says : what it is, in words.
    """

    kind: str
    name: str
    ids: frozenset[str]
    says: str


@dataclass(frozen=True, slots=True)
class RecipeChoice:
    """A recipe whose file is there.

    Attributes
    ----------
    name : path of the file.
    loaded : what it says; None where it cannot be used, then ``wrong`` says why.
    """

    name: str
    loaded: Loaded | None
    wrong: str = ""

    @property
    def shown(self) -> str:
        """What stands in the list."""
        if self.loaded is None:
            return f"{Path(self.name).name} – cannot be used"
        return f"{self.loaded.recipe.title} – {self.loaded.state}"

    @property
    def says(self) -> str:
        """What a person should know of it before the start."""
        if self.loaded is None:
            return self.wrong
        why = self.loaded.why
        return f"Recipe for {', '.join(self.loaded.recipe.duts)}: {why}."

    @property
    def fixed(self) -> Mapping[str, str]:
        """Parameters that cannot be changed, by full name."""
        return {} if self.loaded is None else self.loaded.fixed


@dataclass(frozen=True)
class Choices:
    """All that can be chosen."""

    stations: Sequence[StationChoice]
    protocols: Mapping[str, type[Procedure]]
    articles: Sequence[ArticleChoice]
    recipes: Sequence[RecipeChoice] = ()

    def article(self, kind: str, typed: str) -> ArticleChoice | None:
        """What was meant by a name, a path, a model or a lot."""
        wanted = typed.strip().casefold()
        return next((one for one in self.articles if one.kind == kind and wanted in one.ids), None)


def find_choices(folder: Path, state_folder: Path) -> Choices:
    """Everything that is shipped, and the files that lie in the working folder or in the folder of the runs."""
    found = [one for path in own_files(folder) for one in _stations(str(path))]
    found += [_station(name) for name in shipped_stations()]
    found.sort(key=lambda one: one.station is None)  # what cannot be used comes last
    protocols = {name: load_procedure(name) for name in procedure_names()}
    recipes = tuple(_recipe(path, state_folder) for path in near_files(folder, "recipes", _RECIPE_SIGN))
    return Choices(tuple(with_states(found, state_folder)), protocols, tuple(_articles(folder)), recipes)


def files_stamp(folder: Path) -> tuple[tuple[str, int], ...]:
    """Another one when a station file near at hand has come, has gone or was changed."""
    found = []
    for path in own_files(folder):
        with suppress(OSError):  # it has just gone
            found.append((str(path), path.stat().st_mtime_ns))
    return tuple(found)


def with_states(
    stations: Iterable[StationChoice], state_folder: Path, runs: KnownRuns | None = None
) -> list[StationChoice]:
    """The stations as they are now; ``runs`` is what is known of the queue already."""
    going = (runs or KnownRuns(state_folder)).going()
    queued = Counter(entry.station for entry, state in going if state.state == "waiting")
    return [_with_state(one, state_folder, queued) for one in stations]


def _with_state(one: StationChoice, state_folder: Path, queued: Mapping[str, int]) -> StationChoice:
    if one.station is None:
        return one
    latched: tuple[str, ...] = ()
    try:
        latches = latches_of(one.station)
        latched = () if latches is None else tuple(latch.interlock for latch in latches.standing())
    except LatchError as error:
        latched = (str(error),)
    name = one.station.name
    holder = station_holder(state_folder, name)
    return replace(one, holder=holder, queued=queued[name], latched=latched)


def _stations(file: str) -> list[StationChoice]:
    """The station of a file, or one for each of its positions."""
    try:
        return [_station(name) for name in stations_in(file)]
    except (ValueError, OSError) as error:
        return [StationChoice(file, None, str(error))]


def _station(name: str) -> StationChoice:
    try:
        return StationChoice(name, load_station(name))
    except (ValueError, OSError) as error:
        return StationChoice(name, None, str(error))


def _recipe(path: Path, state_folder: Path) -> RecipeChoice:
    try:
        return RecipeChoice(str(path), load_recipe(path, state_folder))
    except (ValueError, OSError) as error:
        return RecipeChoice(str(path), None, str(error))


def _articles(folder: Path) -> list[ArticleChoice]:
    found = []
    for kind, load in _LOADERS.items():
        sign = re.compile(rf"^\s*({_SIGNS[kind]})\b", re.MULTILINE)
        own = [path for path in near_files(folder, f"{kind}s", sign) if "[instr" not in text_of(path)]
        shipped = sorted((SHIPPED / f"{kind}s").glob("*.toml"))
        for path in (*own, *shipped):
            try:
                stated = load(path)
            except (ValueError, OSError):
                continue  # who names it is told what is wrong with it
            found.append(_article(kind, path if path in own else Path(path.stem), stated))
    return found


def _article(kind: str, path: Path, stated: Stated) -> ArticleChoice:
    model = str(getattr(stated, "model", "") or getattr(stated, "name", ""))
    lot = str(getattr(stated, "lot", ""))
    maker = str(getattr(stated, "maker", ""))
    says = ", ".join(part for part in (model, maker, f"lot {lot}" if lot else "") if part)
    ids = {str(path), path.name, path.stem, model, *({lot} if lot and lot != "SIMULATED" else ())}
    return ArticleChoice(kind, str(path), frozenset(one.casefold() for one in ids if one), says)
