"""The catalogue in a database: SQLite in a file, or PostgreSQL where several benches share one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, Select, create_engine, delete, func, insert, inspect, or_, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from data.catalogue.entry import MISSING, REFERENCE, CheckEntry, Entry, InstrumentEntry, in_utc
from data.catalogue.tables import ABOUT, CHECKS, INSTRUMENTS, META, PARAMS, PARTS, RUNS, VERSION

CONNECT_S = 5
"""How long a server may take to answer."""

BUSY_S = 30
"""How long another process may write into an SQLite file."""

AT_ONCE = 100
"""So many files are put in by one transaction: the disk takes longer for it than the rows do."""

AGAIN = "it is only an index: make it again with pumpbench catalogue reindex --anew FOLDER"

ORDERS = ("made", "path", "procedure", "dut_serial", "station", "status", "verdict", "origin", "review", "duration_s")
"""What runs can be sorted by."""

_SEARCHED = (
    *("path", "run_id", "digest", "title", "procedure", "station", "person", "sentence", "kind", "made"),
    *("dut_model", "dut_serial", "dut_lot", "fluid", "fluid_lot", "catheter", "catheter_lot"),
    *("origin", "status", "verdict", "review"),
)

_DATE = re.compile(r"\d{4}(-\d{2}){0,2}")

_OF_RUN = tuple(column.name for column in RUNS.columns if column.name not in ("id", "computer"))
_OF_CHECK = tuple(field.name for field in fields(CheckEntry))
_OF_INSTRUMENT = tuple(field.name for field in fields(InstrumentEntry))


class CatalogueError(ValueError):
    """A catalogue that is not there, is of another version, or cannot be reached; says what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What runs are asked for; what is empty does not narrow.

    Attributes
    ----------
    dut : serial number or model.
    lot : of the pump, the fluid or the catheter.
    instrument : serial number of an instrument that the run relied on, or its name on the station.
    since, until : a day, a month or a year in UTC, such as "2026-11-21"; both are included.
    text : words that must each stand somewhere in what a list shows of the run, in large or small letters.
    """

    dut: str = ""
    lot: str = ""
    instrument: str = ""
    protocol: str = ""
    verdict: str = ""
    origin: str = ""
    station: str = ""
    review: str = ""
    kind: str = ""
    since: str = ""
    until: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A run of the list; fields as those of `Entry`, with the row's number and the computer whose path it is."""

    id: int
    computer: str
    path: str
    size: int
    changed_ns: int
    kind: str
    sentence: str
    run_id: str
    digest: str
    bytes_digest: str
    title: str
    procedure: str
    method: int
    station: str
    dut_model: str
    dut_serial: str
    dut_lot: str
    fluid: str
    fluid_lot: str
    catheter: str
    catheter_lot: str
    origin: str
    status: str
    verdict: str
    start: str
    made: str
    duration_s: float
    person: str
    software: str
    code: str
    review: str
    set_rate_ul_per_h: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """A check of a run."""

    run: Line
    check: CheckEntry


@dataclass(frozen=True, slots=True)
class Use:
    """An instrument in a run."""

    run: Line
    instrument: InstrumentEntry


def url_of(place: str) -> URL:
    """The address of a database: a path, or a URL of sqlite or postgresql; raises CatalogueError."""
    if "://" not in place:
        return URL.create("sqlite", database=str(Path(place).absolute()))
    try:
        url = make_url(place)
    except (ArgumentError, ValueError):
        raise CatalogueError(
            "the catalogue's address cannot be read; write postgresql://USER@HOST/DATABASE, or the path of a file"
        ) from None
    kind = url.drivername.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite":
        return url
    raise CatalogueError(
        f"a catalogue in {kind} is not known; write postgresql://USER@HOST/DATABASE, or the path of a file"
    )


def is_there(url: URL) -> bool:
    """Whether there may be a catalogue: an SQLite file exists, a server is asked when it is needed."""
    return url.drivername != "sqlite" or Path(url.database or "").is_file()


class Catalogue:
    """An open catalogue; use it in a ``with`` statement.

    Parameters
    ----------
    computer : whose files are added; paths of different computers do not meet.
    make : make it where there is none.
    anew : drop what is there first, of whatever version.

    Raises
    ------
    CatalogueError
        From every method: it is not there, of another version, or cannot be reached.
    """

    def __init__(self, url: URL, computer: str, *, make: bool = False, anew: bool = False) -> None:
        self.url, self.computer = url, computer
        self._shown = url.render_as_string(hide_password=True)
        if not (make or is_there(url)):
            raise CatalogueError(f"{url.database}: there is no catalogue yet; make it: pumpbench catalogue add FOLDER")
        with self._spoken():
            self._engine = _engine(url)
            try:
                if anew:
                    META.drop_all(self._engine)
                self._check(make or anew)
            except BaseException:
                self._engine.dispose()  # nobody else will: there is no catalogue to be closed
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    # -- into it

    def add(self, entries: Iterable[Entry]) -> int:
        """Put files in, each whole and in place of what was known of its path; the number of them."""
        count = 0
        waiting = iter(entries)
        with self._spoken():
            while some := list(islice(waiting, AT_ONCE)):
                try:
                    self._replace(some)
                except IntegrityError:  # another process has put one of them in at this moment
                    self._replace(some)
                count += len(some)
        return count

    def known(self) -> dict[str, tuple[int, int]]:
        """Size and time of the last change of each file of this computer that was there, by its path."""
        asked = select(RUNS.c.path, RUNS.c.size, RUNS.c.changed_ns)
        with self._reading() as at:
            rows = at.execute(asked.where(RUNS.c.computer == self.computer, RUNS.c.kind != MISSING))
            return {path: (size, changed_ns) for path, size, changed_ns in rows}

    def gone(self, paths: Sequence[str]) -> list[str]:
        """Files that are there no more: dropped where the same run is listed elsewhere, else listed as missing.

        Returns
        -------
        Paths of what is missing now.
        """
        missing = []
        with self._spoken(), self._engine.begin() as at:
            for path in paths:
                ids = self._ids(at, path)
                run_ids = at.execute(select(RUNS.c.run_id).where(RUNS.c.id.in_(ids))).scalars().all()
                elsewhere = select(RUNS.c.id).where(
                    RUNS.c.run_id.in_([name for name in run_ids if name]), RUNS.c.id.not_in(ids), RUNS.c.kind != MISSING
                )
                if at.execute(elsewhere.limit(1)).first():
                    _forget(at, ids)
                else:
                    said = {"kind": MISSING, "sentence": "the file is gone; the catalogue knows no other of this run"}
                    at.execute(update(RUNS).where(RUNS.c.id.in_(ids)).values(said))
                    missing.append(path)
        return missing

    # -- out of it

    def runs(
        self, wanted: Wanted | None = None, *, limit: int = 0, skip: int = 0, order: str = "made", up: bool = False
    ) -> list[Line]:
        """Runs that are asked for, the latest first.

        Parameters
        ----------
        limit : at most so many of them, 0 for all.
        skip : so many of them left out, of a list that is read page by page.
        order : one of `ORDERS`; ``up`` from the smallest on.
        """
        if order not in ORDERS:
            raise CatalogueError(f'runs cannot be sorted by "{order}"; choose one of {", ".join(ORDERS)}')
        keys = (RUNS.c[order], RUNS.c.made, RUNS.c.id)
        asked = _narrowed(select(RUNS), wanted or Wanted())
        asked = asked.order_by(*(keys if up else (key.desc() for key in keys)))
        with self._reading() as at:
            return [Line(*row) for row in at.execute(asked.limit(limit).offset(skip) if limit else asked)]

    def count(self, wanted: Wanted | None = None) -> int:
        """How many runs are asked for."""
        with self._reading() as at:
            return int(at.execute(_narrowed(select(func.count(RUNS.c.id)), wanted or Wanted())).scalar_one())

    def find(self, name: str) -> Line:
        """The run of a file's path, of its name, or of the beginning of its run id; raises CatalogueError."""
        pattern = _like(name)
        named = or_(
            RUNS.c.path.in_([name, str(Path(name).absolute())]),
            RUNS.c.path.like(f"%/{pattern}", escape="!"),
            RUNS.c.path.like(f"%\\{pattern}", escape="!"),
            RUNS.c.run_id.like(f"{pattern}%", escape="!"),
        )
        with self._reading() as at:
            found = [Line(*row) for row in at.execute(select(RUNS).where(named).order_by(RUNS.c.id).limit(3))]
        if not found:
            raise CatalogueError(f'the catalogue knows no run "{name}"; add its file, or see: pumpbench catalogue list')
        if len({line.run_id or line.path for line in found}) > 1:
            named_files = ", ".join(line.path for line in found)
            raise CatalogueError(f'several runs can be meant by "{name}" ({named_files}); give the path')
        return found[0]

    def details(self, run: Line) -> tuple[dict[str, Any], list[CheckEntry], list[InstrumentEntry]]:
        """Parameters, checks and instruments of a run."""
        with self._reading() as at:
            params = at.execute(select(PARAMS.c.json).where(PARAMS.c.run == run.id)).scalar_one_or_none()
            of_checks = select(*(CHECKS.c[name] for name in _OF_CHECK)).where(CHECKS.c.run == run.id)
            of_them = select(*(INSTRUMENTS.c[name] for name in _OF_INSTRUMENT)).where(INSTRUMENTS.c.run == run.id)
            checks = [CheckEntry(*row) for row in at.execute(of_checks.order_by(CHECKS.c.position))]
            instruments = [InstrumentEntry(*row) for row in at.execute(of_them.order_by(INSTRUMENTS.c.position))]
        return json.loads(params or "{}"), checks, instruments

    def params(self, wanted: Wanted) -> dict[int, dict[str, Any]]:
        """Parameters of the runs that are asked for, by the row's number."""
        asked = _narrowed(select(RUNS.c.id, PARAMS.c.json).join(PARAMS, PARAMS.c.run == RUNS.c.id), wanted)
        with self._reading() as at:
            return {number: json.loads(text) for number, text in at.execute(asked)}

    def points(self, check: str, wanted: Wanted | None = None) -> list[Point]:
        """A check in every run that has it, the earliest first; a run that is listed twice counts once."""
        columns = [CHECKS.c[name] for name in _OF_CHECK]
        asked = _narrowed(select(RUNS, *columns).join(CHECKS, CHECKS.c.run == RUNS.c.id), wanted or Wanted())
        asked = asked.where(CHECKS.c.name == check).order_by(RUNS.c.made, RUNS.c.id)
        cut = len(RUNS.columns)
        with self._reading() as at:
            found = [Point(Line(*row[:cut]), CheckEntry(*row[cut:])) for row in at.execute(asked)]
        seen: set[str] = set()
        return [one for one in found if not (one.run.run_id in seen or seen.add(one.run.run_id))]  # type: ignore[func-returns-value]  # None on purpose

    def check_names(self) -> list[str]:
        """Names of the checks that there are."""
        with self._reading() as at:
            return list(at.execute(select(CHECKS.c.name).distinct().order_by(CHECKS.c.name)).scalars())

    def uses(self, serial: str) -> list[Use]:
        """Every use of an instrument in a run, the earliest first, once for each certificate."""
        columns = [INSTRUMENTS.c[name] for name in _OF_INSTRUMENT]
        is_standard = (INSTRUMENTS.c.instrument == REFERENCE) & INSTRUMENTS.c.model.like(
            f"%{_like(serial)}%", escape="!"
        )
        asked = select(RUNS, *columns).join(INSTRUMENTS, INSTRUMENTS.c.run == RUNS.c.id)
        asked = asked.where(or_(INSTRUMENTS.c.serial == serial, is_standard)).order_by(RUNS.c.made, RUNS.c.id)
        cut = len(RUNS.columns)
        with self._reading() as at:
            return [Use(Line(*row[:cut]), InstrumentEntry(*row[cut:])) for row in at.execute(asked)]

    def choices(self) -> dict[str, list[str]]:
        """What the runs can be narrowed to: the values that there are, by the name of a field of `Wanted`."""
        runs, there = RUNS.c, {}
        columns = {
            "protocol": (runs.procedure,),
            "verdict": (runs.verdict,),
            "review": (runs.review,),
            "origin": (runs.origin,),
            "station": (runs.station,),
            "dut": (runs.dut_model, runs.dut_serial),
            "lot": (runs.dut_lot, runs.fluid_lot, runs.catheter_lot),
        }
        with self._reading() as at:
            for name, several in columns.items():
                found = {value for column in several for value in at.execute(select(column).distinct()).scalars()}
                there[name] = sorted(found - {""})
        return there | {"instrument": self.serials()}

    def serials(self) -> list[str]:
        """Serial numbers of the instruments that there are."""
        with self._reading() as at:
            asked = select(INSTRUMENTS.c.serial).distinct().order_by(INSTRUMENTS.c.serial)
            return [serial for serial in at.execute(asked).scalars() if serial]

    # -- small parts

    def _check(self, make: bool) -> None:
        """Have tables of this version."""
        if not inspect(self._engine).has_table(ABOUT.name):
            if not make:
                raise CatalogueError(f"{self._shown}: holds no catalogue yet; make it: pumpbench catalogue add FOLDER")
            META.create_all(self._engine)
            with self._engine.begin() as at:
                at.execute(insert(ABOUT).values(version=VERSION))
            return
        with self._engine.connect() as at:
            version = at.execute(select(ABOUT.c.version)).scalar()
        if version != VERSION:
            raise CatalogueError(f"{self._shown}: is of version {version}, this program keeps {VERSION}; {AGAIN}")

    def _replace(self, entries: Sequence[Entry]) -> None:
        with self._engine.begin() as at:
            for entry in entries:
                _forget(at, self._ids(at, entry.path))
                _put(at, entry, self.computer)

    def _ids(self, at: Connection, path: str) -> list[int]:
        asked = select(RUNS.c.id).where(RUNS.c.computer == self.computer, RUNS.c.path == path)
        return list(at.execute(asked).scalars())

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._spoken(), self._engine.connect() as at:
            yield at

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        """Turn what a database says into one sentence."""
        try:
            yield
        except SQLAlchemyError as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            said = next(iter(str(cause).strip().splitlines()), type(error).__name__)
            remedy = AGAIN if self.url.drivername == "sqlite" else "see whether the server runs and lets you in"
            raise CatalogueError(f"{self._shown}: the catalogue cannot be used ({said}); {remedy}") from None


def _engine(url: URL) -> Engine:
    if url.drivername != "sqlite":
        return create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_S})
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return create_engine(url, connect_args={"timeout": BUSY_S})


def _forget(at: Connection, ids: Sequence[int]) -> None:
    for part in PARTS:
        at.execute(delete(part).where(part.c.run.in_(ids)))
    at.execute(delete(RUNS).where(RUNS.c.id.in_(ids)))


def _put(at: Connection, entry: Entry, computer: str) -> None:
    said = {name: getattr(entry, name) for name in _OF_RUN}
    number = at.execute(insert(RUNS).values(computer=computer, **said)).inserted_primary_key
    assert number is not None
    (run,) = number
    if entry.params is not None:
        at.execute(insert(PARAMS).values(run=run, json=json.dumps(entry.params)))
    for table, rows, names in ((CHECKS, entry.checks, _OF_CHECK), (INSTRUMENTS, entry.instruments, _OF_INSTRUMENT)):
        if rows:
            each = [{name: getattr(row, name) for name in names} for row in rows]
            at.execute(insert(table), [{"run": run, "position": k, **row} for k, row in enumerate(each)])


def _narrowed(asked: Select[Any], wanted: Wanted) -> Select[Any]:
    runs = RUNS.c
    columns = {
        "protocol": runs.procedure,
        "verdict": runs.verdict,
        "origin": runs.origin,
        "station": runs.station,
        "review": runs.review,
        "kind": runs.kind,
    }
    for name, column in columns.items():
        if value := getattr(wanted, name):
            asked = asked.where(column == value)
    for word in wanted.text.split():
        pattern = f"%{_like(word)}%"
        asked = asked.where(or_(*(runs[name].ilike(pattern, escape="!") for name in _SEARCHED)))
    if wanted.dut:
        asked = asked.where(or_(runs.dut_serial == wanted.dut, runs.dut_model == wanted.dut))
    if wanted.lot:
        asked = asked.where(or_(*(lot == wanted.lot for lot in (runs.dut_lot, runs.fluid_lot, runs.catheter_lot))))
    if wanted.instrument:
        named = or_(INSTRUMENTS.c.serial == wanted.instrument, INSTRUMENTS.c.instrument == wanted.instrument)
        asked = asked.where(runs.id.in_(select(INSTRUMENTS.c.run).where(named, INSTRUMENTS.c.relied_on != "")))
    if wanted.since:
        asked = asked.where(runs.made >= span_of(wanted.since)[0])
    if wanted.until:
        asked = asked.where(runs.made < span_of(wanted.until)[1])
    return asked


def span_of(text: str) -> tuple[str, str]:
    """Begin and end, as the catalogue writes moments, of a year, a month, a day or a moment; raises CatalogueError.

    A moment without an offset is one in UTC; its end is a second later.
    """
    try:
        if _DATE.fullmatch(text):
            year, month, day = (*map(int, text.split("-")), 0, 0)[:3]
            begin = datetime(year, month or 1, day or 1, tzinfo=UTC)
            if day:
                end = begin + timedelta(days=1)
            else:
                end = datetime(year + (month in (0, 12)), month % 12 + 1 if month else 1, 1, tzinfo=UTC)
        else:
            begin = datetime.fromisoformat(text)
            end = begin + timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise CatalogueError(f'"{text}" is no date; write one such as 2026-11-21, 2026-11 or 2026') from None
    return in_utc(begin), in_utc(end)


def _like(text: str) -> str:
    """Text that stands for itself in LIKE with the escape "!"."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
