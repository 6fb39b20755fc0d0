"""What a qualification runs: each claimed fault and each sound pump, in every form of its protocol, with every seed."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, RootModel

from bench.engine import plan as steps_of
from bench.preflight import PreflightError
from bench.qualify.faults import ClaimedFault, Trial, faults_file, read_faults
from bench.request import Override, Request, RequestError, articles_of
from bench.session import check, software
from bench.station import Station, load_station, parse_fault, station_path
from data import quantities
from data.nearest import did_you_mean
from data.quantity_fields import Stated
from data.tomlfile import FileError, read_toml
from protocols.procedure import Procedure, load_procedure, procedure_names
from protocols.steps import Phase

FORMS = Path(__file__).parent / "forms.toml"
SHORT = "short"

FULL_SEEDS = 20
QUICK_SEEDS = 3
FULL_PUMPS = 200
QUICK_PUMPS = 12

VAGUE_S = 300.0
"""An onset within a phase is refused when nobody can say within this when the phase begins."""

LATER = Override("rig-check", "qualify", "each trial is given one")

Expected = Literal["sound", "found", "not-passed", "right"]
"""
sound : the verdict of a sound pump on a sound rig.
found : a claimed check finds the fault, and names its owner.
not-passed : several faults at once must not hide each other.
right : the verdict fits the pump's true error.
"""


class Form(Stated):
    """One form of a protocol in the full matrix."""

    name: str
    settings: dict[str, str] = Field({})


class Forms(Stated):
    """The forms of one protocol; on the stations ``sound_on`` a sound pump is tried as well, in the first form."""

    dut: str | None = None
    full: tuple[Form, ...] = (Form(name="full"),)
    sound_on: tuple[str, ...] = ()
    quick_seeds: int = Field(QUICK_SEEDS, ge=1)
    pumps: bool = False


class _FormsFile(RootModel[dict[str, Forms]]):
    """The file."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the matrix; its trials differ in their seed alone.

    Attributes
    ----------
    fault : its name; empty for a sound pump and for drawn pumps.
    faults : as ``--fault`` takes them, the row's own first.
    checks : any one of them has to find it; with ``every`` each of them has to.
    claimed : all that claim to see it, of which is counted whether they do.
    ends : how else the run may end when it finds it.
    at_s : when it begins, from the start of the run.
    seeds : how many trials it gets, with the seeds from 1 on.
    rig_check : settings of the rig check on which the run relies; None where the station demands none.
    articles : SHA-256 of pump, fluid and catheter as their files state them.
    """

    protocol: str
    form: str
    station: str
    settings: Mapping[str, str]
    dut: str | None
    expected: Expected
    seeds: int
    fault: str = ""
    owner: str = ""
    severity: float | None = None
    unit: str = "1"
    at_s: float = 0.0
    faults: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    claimed: tuple[str, ...] = ()
    every: bool = False
    ends: str = ""
    rig_check: Mapping[str, str] | None = None
    articles: str = ""

    @property
    def key(self) -> str:
        """What stands for the row in a record of trials."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def tells_the_truth(self) -> bool:
        """Whether its mean is held against what truly left the tip: nothing that is wrong with it shows otherwise."""
        return self.expected == "sound" and self.protocol == "flow-accuracy"

    @property
    def title(self) -> str:
        """What is tried, for people."""
        if self.expected == "right":
            return "pumps around their limit"
        if not self.fault:
            return "sound pump, sound rig"
        severity = "" if self.severity is None else f" {self.severity:g}{'' if self.unit == '1' else ' ' + self.unit}"
        at = "from the start" if self.at_s == 0.0 else f"from {self.at_s / 3600.0:.3g} h"
        others = "".join(f" with {fault}" for fault in self.faults[1:])
        return f"{self.fault}{severity} {at}{others}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A protocol that is not run, and why."""

    protocol: str
    why: str


@dataclass(frozen=True)
class Plan:
    """Everything that is to be run.

    Attributes
    ----------
    stations : name and SHA-256 of each station file.
    digest : SHA-256 of all of it; trials of another plan do not count.
    """

    quick: bool
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    stations: Mapping[str, str]
    unseen: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 over rows and stations."""
        said = [sorted(self.stations.items()), [asdict(row) for row in self.rows]]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def trials(self) -> Iterator[tuple[Row, int]]:
        """Row and seed of each run: every row once before any of them again, so that early figures say something."""
        for seed in range(1, max(row.seeds for row in self.rows) + 1):
            yield from ((row, seed) for row in self.rows if seed <= row.seeds)

    @property
    def seeds(self) -> int:
        """Seeds of the rows that get the most, drawn pumps aside."""
        return max((row.seeds for row in self.rows if row.expected != "right"), default=0)

    @property
    def pumps(self) -> int:
        """How many pumps are drawn around their limit."""
        return sum(row.seeds for row in self.rows if row.expected == "right")


def build_plan(
    stations: Sequence[str],
    *,
    quick: bool,
    seeds: int | None = None,
    pumps: int | None = None,
    protocols: Sequence[str] = (),
    faults: Sequence[str] = (),
) -> Plan:
    """Read the files and lay out the matrix.

    Parameters
    ----------
    stations : names or files; a protocol takes the first one that has its roles, first of those that give it settings.
    seeds, pumps : how many; what is usual for the quick or the full matrix without them.
    protocols, faults : these alone; all that claim something, and all that is claimed, without them.

    Raises
    ------
    ValueError
        A name, a station or the table of faults is wrong, or nothing is left to run; says what to do.
    """
    table = read_faults(faults_file())
    wanted = _known("--protocol", protocols, procedure_names())
    chosen = _known("--fault", faults, list(table))
    loaded = [(given, load_station(given)) for given in stations]
    _simulated(loaded)
    rows, left = _all_rows(table, wanted, chosen, loaded, _Length(quick, seeds, 0 if chosen else pumps))
    if not rows:
        why = "; ".join(f"{each.protocol}: {each.why}" for each in left)
        raise RequestError(f"nothing is left to run ({why}); give another --station, --protocol or --fault")
    used = {row.station for row in rows}
    hashes = {given: file_digest(given) for given, _ in loaded if given in used}
    unseen = {name: fault.unseen for name, fault in table.items() if fault.unseen}
    return Plan(quick, tuple(rows), tuple(left), hashes, unseen)


@dataclass(frozen=True, slots=True)
class _Length:
    """How much is asked for; None where what is usual holds."""

    quick: bool
    seeds: int | None
    pumps: int | None

    def of_row(self, forms: Forms) -> int:
        """Seeds of a row."""
        if self.seeds is not None:
            return self.seeds
        return forms.quick_seeds if self.quick else FULL_SEEDS

    def of_pumps(self) -> int:
        """Drawn pumps."""
        usual = QUICK_PUMPS if self.quick else FULL_PUMPS
        return usual if self.pumps is None else self.pumps


def _all_rows(
    table: Mapping[str, ClaimedFault],
    wanted: Sequence[str],
    chosen: Sequence[str],
    loaded: Sequence[tuple[str, Station]],
    length: _Length,
) -> tuple[list[Row], list[LeftOut]]:
    """Rows of every protocol that is wanted, and the protocols that are left out."""
    forms = read_toml(FORMS, _FormsFile).root
    claimed = {each for fault in table.values() for each in fault.protocols()}
    rows: list[Row] = []
    missing = sorted(claimed - set(procedure_names()))
    left = [LeftOut(name, "it claims faults, but is not installed") for name in missing]
    for name in wanted or procedure_names():
        kind, stated = load_procedure(name), forms.get(name, Forms())
        if name not in claimed:
            left.append(LeftOut(name, "no fault is claimed by it"))
            continue
        on = _station_for(kind, stated, loaded)
        if isinstance(on, str):
            left.append(LeftOut(name, on))
            continue
        found = list(_rows(kind, stated, on, {each: table[each] for each in chosen or table}, length))
        if not chosen or any(row.fault for row in found):
            rows += found
        if not chosen:
            further, missed = _sound_elsewhere(kind, stated, loaded, length)
            rows += further
            left += missed
    return rows, left


def _known(option: str, given: Sequence[str], there: Sequence[str]) -> list[str]:
    for name in given:
        if name not in there:
            hint = did_you_mean(name, there, f"there are {', '.join(there)}")
            raise RequestError(f'{option} "{name}" is not known; {hint}')
    return list(dict.fromkeys(given))


def _simulated(loaded: Sequence[tuple[str, Station]]) -> None:
    for given, station in loaded:
        if not station.simulated:
            raise RequestError(
                f'--station {given}: faults need simulated instruments; give the simulated twin of "{station.name}", '
                "or qualify the bench itself with --hardware"
            )


def _station_for(
    kind: type[Procedure], forms: Forms, loaded: Sequence[tuple[str, Station]]
) -> str | tuple[str, Station]:
    """The first station that can run it, of those with settings for it before the others; or why there is none."""
    why = []
    with tempfile.TemporaryDirectory() as folder:
        for given, station in sorted(
            loaded, key=lambda one: (one[1].name in forms.sound_on, kind.name not in one[1].procedures)
        ):
            request = Request(kind.name, given, kind.qualification, forms.dut, out=Path(folder), overrides=[LATER])
            try:
                check(request)
            except (RequestError, PreflightError) as error:
                why.append(str(error))
            else:
                return given, station
    return "; ".join(why)


def _rows(
    kind: type[Procedure],
    forms: Forms,
    on: tuple[str, Station],
    table: Mapping[str, ClaimedFault],
    length: _Length,
) -> Iterator[Row]:
    """Sound pump, claimed faults and drawn pumps of one protocol."""
    given, _ = on
    for number, form in enumerate(_forms(kind, forms, length)):
        common = _common(kind, forms, form, on, length)
        seeds = length.of_row(forms)
        yield Row(**common, settings=form.settings, expected="sound", seeds=seeds)
        for name, fault in table.items():
            for trial in fault.tried(kind.name):
                if not trial.forms or form.name in trial.forms:
                    yield _row({**common, "seeds": seeds}, form, kind, name, fault, trial, given)
        if forms.pumps and number == 0 and length.of_pumps():
            yield Row(**common, settings=form.settings, expected="right", seeds=length.of_pumps())


def _forms(kind: type[Procedure], forms: Forms, length: _Length) -> tuple[Form, ...]:
    """Those of the quick or of the full matrix."""
    return (Form(name=SHORT, settings=dict(kind.qualification)),) if length.quick else forms.full


def _common(
    kind: type[Procedure], forms: Forms, form: Form, on: tuple[str, Station], length: _Length
) -> dict[str, Any]:
    """What the rows of one form on one station share."""
    given, station = on
    demanded = kind.relies_on_rig_check and station.rig_check is not None and station.rig_check.demanded
    relied = dict(load_procedure("rig-check").qualification) if length.quick else {}
    return {
        "protocol": kind.name,
        "form": form.name,
        "station": given,
        "dut": forms.dut,
        "rig_check": relied if demanded else None,
        "articles": articles_digest(Request(kind.name, given, dut=forms.dut), station),
    }


def _sound_elsewhere(
    kind: type[Procedure], forms: Forms, loaded: Sequence[tuple[str, Station]], length: _Length
) -> tuple[list[Row], list[LeftOut]]:
    """A sound pump on each further station, and the stations that were not given."""
    there = {station.name: (given, station) for given, station in loaded}
    form, *_ = _forms(kind, forms, length)
    rows = []
    for on in (there[name] for name in forms.sound_on if name in there):
        common = _common(kind, forms, form, on, length)
        common["form"] = f"{form.name}, {on[1].name}"
        rows.append(Row(**common, settings=form.settings, expected="sound", seeds=length.of_row(forms)))
    missing = [name for name in forms.sound_on if name not in there]
    return rows, [LeftOut(f"{kind.name} on {name}", f"it takes --station {name} as well") for name in missing]


def _row(
    common: Mapping[str, Any],
    form: Form,
    kind: type[Procedure],
    name: str,
    fault: ClaimedFault,
    trial: Trial,
    station: str,
) -> Row:
    settings = {**form.settings, **trial.settings}
    severity = trial.severity_in(form.name, fault.severity)
    at_s = _onset(trial.at, kind, settings, station, f'{faults_file()}: key "{name}.trials"')
    texts = (f"{name}:{severity!r}@{at_s!r}s" + (f"/{trial.instrument}" if trial.instrument else ""), *trial.together)
    for text in texts:
        parse_fault(text)
    claimed = fault.checks(kind.name)
    expected: Expected = "not-passed" if trial.together else "found" if claimed else "sound"
    return Row(
        **common,
        settings=settings,
        expected=expected,
        fault=name,
        owner=fault.owner,
        severity=severity,
        unit=fault.unit,
        at_s=at_s,
        faults=texts,
        checks=(trial.check,) if trial.check else claimed,
        claimed=claimed,
        every=trial.every,
        ends=str(trial.ends or ""),
    )


def _onset(text: str, kind: type[Procedure], settings: Mapping[str, str], station: str, where: str) -> float:
    """Moment in s from the start of the run that "2 h" or "analysis 50 %" means."""
    share = re.fullmatch(r"(?P<phase>[a-z0-9-]+) (?P<share>\d+(\.\d+)?) %", text)
    if share is None:
        try:
            return quantities.parse(text, "time")
        except quantities.QuantityError as error:
            raise FileError(f'{where}: at: {error}, or a share of a phase, such as "analysis 50 %"') from None
    defaults = load_station(station).procedures.get(kind.name, {})
    stated = {kind.param_name(key): value for key, value in defaults.items()}
    procedure = kind(**(stated | {kind.param_name(key): value for key, value in settings.items()}))
    earliest = latest = 0.0
    for step in steps_of(procedure):
        if isinstance(step, Phase) and step.name == share["phase"]:
            if latest - earliest > VAGUE_S or step.for_s is None:
                raise FileError(f'{where}: at: nobody can say when phase "{step.name}" is; give a time, such as "2 h"')
            return float(round(earliest + step.for_s * float(share["share"]) / 100.0))
        earliest, latest = earliest + step.least_s, latest + step.most_s
    raise FileError(f'{where}: at: {kind.name} has no phase "{share["phase"]}"; name one that it has')


def articles_digest(request: Request, station: Station) -> str:
    """SHA-256 over pump, fluid and catheter of a request, as a run would keep them: their files may be anybody's."""
    return hashlib.sha256(json.dumps(articles_of(request, station), sort_keys=True).encode()).hexdigest()


def file_digest(station: str) -> str:
    """SHA-256 of a station's file."""
    return hashlib.sha256(station_path(station).read_bytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class Basis:
    """What the trials of a plan rely on besides their rows: code, and the SHA-256 of each station file."""

    code: str
    stations: Mapping[str, str]

    @classmethod
    def of(cls, plan: Plan) -> Basis:
        """Of a plan, and of the code that made it."""
        return cls(code_identity(), dict(plan.stations))


def changed(row: Row, basis: Basis) -> str:
    """What a row relies on and is not as it was when its plan was made; empty where all is."""
    try:
        articles = articles_digest(Request(row.protocol, row.station, dut=row.dut), load_station(row.station))
        if file_digest(row.station) != basis.stations[row.station]:
            return f"station file {row.station}"
    except (ValueError, OSError) as error:
        return f"station file {row.station} ({str(error).splitlines()[0]})"
    if articles != row.articles:
        return f"file of the pump, fluid or catheter on {row.station}"
    return "code" if code_identity.__wrapped__() != basis.code else ""


@cache
def code_identity() -> str:
    """SHA-256 over what decides what a trial says: code, tables of the plant, shipped files, versions of packages."""
    digest = hashlib.sha256(faults_file().read_bytes())
    digest.update(json.dumps(software(), sort_keys=True).encode())
    for package in ("bench", "protocols", "instruments", "data"):
        root = Path(str(import_module(package).__file__)).parent
        for source in sorted(path for path in root.rglob("*") if path.suffix in (".py", ".toml")):
            digest.update(f"{package}/{source.relative_to(root).as_posix()}\0".encode())
            digest.update(source.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()
