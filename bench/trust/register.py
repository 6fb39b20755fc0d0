"""The register of runs: which numbers a station has given, and what was sealed and signed under each.

A file alone cannot show that it was replaced as a whole, or that its last signature was removed; the register does.
A run has its number before anything moves, so one that is killed, and whose journal is thrown away, is missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.trust import ledger
from bench.trust.audit import changed_files, decisions
from bench.trust.keys import MEASURED, UNMEASURED, bench_key, own_key
from bench.trust.ledger import REGISTER, alone, rows_of
from data.audit import Row, add_row
from data.checks import Origin
from data.disk import told
from data.keys import digest_of
from data.run import Run
from data.seal import read_seal, seal


@dataclass(frozen=True, slots=True)
class Registered:
    """What the register has of a run: the rows of its sealed files, the signatures, and what is wrong with the log."""

    seals: Sequence[Row]
    signatures: Sequence[Mapping[str, Any]]
    problems: Sequence[str]

    @property
    def place(self) -> str:
        """Its number and station."""
        return f"run {self.seals[0]['run_number']} of station {self.seals[0]['station']}" if self.seals else ""

    def has(self, sealed: Mapping[str, Any]) -> bool:
        """Whether a file with this seal is registered."""
        return any(row["seal"] == digest_of(sealed) for row in self.seals)


def seal_run(path: Path, home: Path) -> str:
    """Seal a run file with the bench's key; returns why it has none, where the state folder could not be used."""
    with Run.open(path) as run:
        kind = MEASURED if run.origin is Origin.MEASURED else UNMEASURED
    try:
        key = bench_key(home, kind)
    except (ValueError, OSError) as error:
        seal(path)
        return f"the run is sealed without a key: {_why(error, home)}"
    seal(path, key)
    return ""


def begin(home: Path, header: Mapping[str, Any], journal: Path) -> str:
    """Give a run that is about to begin its number; returns why it has none yet.

    Parameters
    ----------
    header : of its journal.
    """
    station, run_id = str(header["station"]["name"]), str(header["run_id"])
    try:
        with alone(home):
            fields = {
                "kind": "begun",
                "station": station,
                "run_number": _number(rows_of(home, REGISTER)[0], station, run_id),
                "run_id": run_id,
                "path": str(journal.resolve()),
                "origin": str(header["origin"]),
                "procedure": str(header["procedure"]),
                "dut": str(header["dut"].get("serial") or ""),
            }
            add_row(home / "trust" / REGISTER, fields, ledger.now().isoformat(), own_key(home, MEASURED))
    except (ValueError, OSError) as error:
        return f"the run has no number before its end: {_why(error, home)}"
    return ""


def enrol(path: Path, home: Path) -> str:
    """Register a sealed run, and note what it changed or overrode; returns why it was not registered.

    A run that began here, or is made again from its journal, keeps its number.
    """
    try:
        with Run.open(path) as run, alone(home):
            sealed = read_seal(path) or {}
            station = str(run.station.get("name", ""))
            rows, _ = rows_of(home, REGISTER)
            fields = {
                "kind": "run",
                "station": station,
                "run_number": _number(rows, station, str(sealed["run_id"])),
                "run_id": sealed["run_id"],
                "content": sealed["content"],
                "seal": digest_of(sealed),
                "path": str(path.resolve()),
                "origin": str(run.origin),
                "procedure": run.procedure,
                "dut": str(run.dut.get("serial", "")),
                "verdict": str(run.verdict),
                "status": str(run.status),
            }
            key = own_key(home, MEASURED)
            add_row(home / "trust" / REGISTER, fields, ledger.now().isoformat(), key)
            decisions(home, key, run)
            changed_files(home, key, run)
    except (ValueError, OSError) as error:
        return f"the run is not registered: {_why(error, home)}"
    return ""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that began on a station: its number, its journal, and how it ended, where it was closed."""

    run_id: str
    number: int
    path: Path
    closed: bool
    status: str


def last_begun(home: Path, station: str, before: str = "") -> Begun | None:
    """The run that began last on a station, or last before another one, given by its id; raises OSError."""
    rows = [row for row in rows_of(home, REGISTER)[0] if row.get("station") == station and row["run_id"] != before]
    begun = max(
        (row for row in rows if row.get("kind") == "begun"), key=lambda row: int(row["run_number"]), default=None
    )
    if begun is None:
        return None
    closed = [row for row in rows if row.get("kind") == "run" and row["run_id"] == begun["run_id"]]
    status = str(closed[0].get("status", "")) if closed else ""
    return Begun(str(begun["run_id"]), int(begun["run_number"]), Path(begun["path"]), bool(closed), status)


def registered(home: Path, run_id: str) -> Registered:
    """What the register has of a run."""
    rows, problems = numbered(home)
    mine = [row for row in rows if row.get("run_id") == run_id]
    seals = [row for row in mine if row.get("kind") == "run"]
    signatures = [row["row"] for row in mine if row.get("kind") == "signature"]
    return Registered(seals, signatures, problems)


def numbered(home: Path) -> tuple[list[Row], list[str]]:
    """Every row of the register, in order: runs that began, were sealed or signed; and what is wrong with it."""
    rows, problems = rows_of(home, REGISTER)
    return rows, [*problems, *_gaps(rows)]


def _why(error: Exception, home: Path) -> str:
    """What the state folder would not take."""
    return told(error, home / "trust") if isinstance(error, OSError) else str(error)


def _number(rows: Sequence[Row], station: str, run_id: str) -> int:
    """The number of a run of a station: the one that it has, or the next."""
    given = {row["run_id"]: int(row["run_number"]) for row in rows if _numbered(row) and row["station"] == station}
    return given.get(run_id, max(given.values(), default=0) + 1)


def _numbered(row: Row) -> bool:
    return row.get("kind") in ("begun", "run")


def _gaps(rows: Sequence[Row]) -> list[str]:
    """Stations whose numbers are not 1, 2, 3, ..."""
    given: dict[str, dict[int, None]] = {}
    for row in rows:
        if _numbered(row):
            given.setdefault(str(row["station"]), {})[int(row["run_number"])] = None
    wrong = [name for name, numbers in given.items() if list(numbers) != list(range(1, len(numbers) + 1))]
    return [f"{REGISTER}: the run numbers of station {name} have a gap" for name in wrong]
