"""The register of runs: which numbers a station has given, and what was sealed and signed under each.

A file alone cannot show that it was replaced as a whole, or that its last signature was removed; the register does.
A run has its number before anything moves, so one that is killed, and whose journal is thrown away, is missed.  What
of its journal was on the disk is fixed from its begin to its end, so one that is made from another journal is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.trust import ledger
from bench.trust.audit import changed_files, decisions
from bench.trust.keys import MEASURED, UNMEASURED, bench_key, known_keys, own_key, vouched_rows
from bench.trust.ledger import REGISTER, alone, rows_of
from data.audit import Row, add_row
from data.catalogue.entry import set_rate
from data.checks import Origin
from data.disk import told
from data.journal import Fixed
from data.keys import digest_of, is_signed
from data.layout import ALTERED
from data.run import Run
from data.seal import read_seal, seal


@dataclass(frozen=True, slots=True)
class Registered:
    """What the register has of a run: the rows of its sealed files, the signatures, and what is wrong with the log.

    ``altered`` are the rows of files that were made from a journal which this bench did not write so.
    """

    seals: Sequence[Row]
    signatures: Sequence[Mapping[str, Any]]
    problems: Sequence[str]
    altered: Sequence[Row] = ()

    @property
    def place(self) -> str:
        """Its number and station."""
        return f"run {self.seals[0]['run_number']} of station {self.seals[0]['station']}" if self.seals else ""

    @property
    def journals(self) -> list[Mapping[str, Any]]:
        """The different journals that its sealed files were made from, as far as rows say it; the first one counts."""
        said = [row["journal"] for row in self.seals if "journal" in row]
        return [journal for at, journal in enumerate(said) if journal not in said[:at]]

    def journal_of(self, seal: str) -> Mapping[str, Any] | None:
        """The journal that the file with a seal was made from, given by its digest; None where no row says it."""
        return next((row.get("journal") for row in self.seals if row["seal"] == seal), None)

    def has(self, sealed: Mapping[str, Any]) -> bool:
        """Whether a file with this seal is registered."""
        return any(row["seal"] == digest_of(sealed) for row in self.seals)


def seal_run(path: Path, home: Path) -> str:
    """Seal a run file with the bench's key; returns why it has none, where the state folder could not be used.

    What was made from a journal that this bench did not write so is sealed without a key.
    """
    with Run.open(path) as run:
        kind = MEASURED if run.origin is Origin.MEASURED else UNMEASURED
        altered = ALTERED in run.session
    if altered:
        seal(path)
        return ""
    try:
        key = bench_key(home, kind)
    except (ValueError, OSError) as error:
        seal(path)
        return f"the run is sealed without a key: {_why(error, home)}"
    seal(path, key)
    return ""


def begin(home: Path, header: Mapping[str, Any], journal: Path, made: tuple[int, str] | None = None) -> str:
    """Give a run that is about to begin its number; returns why it has none yet.

    Parameters
    ----------
    header : of its journal.
    made : frames that the journal has by now, and the hash of its chain.
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
                **({} if made is None else {"journal": _journal(made)}),
            }
            add_row(home / "trust" / REGISTER, fields, ledger.now().isoformat(), own_key(home, MEASURED))
    except (ValueError, OSError) as error:
        return f"the run has no number before its end: {_why(error, home)}"
    return ""


def fix(home: Path, run_id: str, made: tuple[int, str], *, ended: bool = False) -> str:
    """Fix what of a run's journal is on the disk by a row of its own; returns why that was not kept.

    Parameters
    ----------
    made : frames that the journal has by now, and the hash of its chain.
    ended : no other frame is to come.
    """
    try:
        with alone(home):
            fields = {"kind": "checkpoint", "run_id": run_id, "journal": _journal(made), "ended": ended}
            add_row(home / "trust" / REGISTER, fields, ledger.now().isoformat(), own_key(home, MEASURED))
    except (ValueError, OSError) as error:
        return f"the register does not know how far the record is: {_why(error, home)}"
    return ""


def fixed_journal(home: Path, run_id: str) -> Fixed:
    """What is known of a run's journal; nothing where the register is from before that was kept.  Raises OSError."""
    chains, end = dict[int, str](), None
    for row in rows_of(home, REGISTER)[0]:
        if row.get("run_id") != run_id or "journal" not in row or row.get("kind") == "altered":
            continue
        frames = int(row["journal"]["frames"])
        chains.setdefault(frames, str(row["journal"]["chain"]))
        if end is None and (row.get("ended") or row.get("kind") == "run"):
            end = frames
    return Fixed(chains, end)


def enrol(path: Path, home: Path) -> str:
    """Register a sealed run, and note what it changed or overrode; returns why it was not registered.

    A run that began here, or is made again from its journal, keeps its number.  One that was made from a journal which
    this bench did not write so is kept as what it is.
    """
    try:
        with Run.open(path) as run, alone(home):
            sealed = read_seal(path) or {}
            altered = run.session.get(ALTERED, "")
            station = str(run.station.get("name", ""))
            rows, _ = rows_of(home, REGISTER)
            fields = {
                "kind": "altered" if altered else "run",
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
                "code": run.evaluated_by,
                "set_rate_ul_per_h": set_rate(run.params),
                **_made_from(run),
                **({"altered": altered} if altered else {}),
            }
            key = own_key(home, MEASURED)
            add_row(home / "trust" / REGISTER, fields, ledger.now().isoformat(), key)
            if altered:
                return f"{fields['path']}: is sealed without this bench's key: its journal is another one: {altered}"
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
    """What the register has of a run, in rows that a known key has signed."""
    rows, problems = numbered(home)
    known = known_keys(home)
    mine = [row for row in rows if row.get("run_id") == run_id and row.get("key") in known and is_signed(row)]
    seals = [row for row in mine if row.get("kind") == "run"]
    signatures = [row["row"] for row in mine if row.get("kind") == "signature"]
    return Registered(seals, signatures, problems, [row for row in mine if row.get("kind") == "altered"])


def numbered(home: Path) -> tuple[list[Row], list[str]]:
    """Every row of the register, in order: runs that began, were sealed or signed; and what is wrong with it."""
    rows, problems = vouched_rows(home, REGISTER)
    return rows, [*problems, *_gaps(rows)]


def _journal(made: tuple[int, str]) -> dict[str, Any]:
    return {"frames": made[0], "chain": made[1]}


def _made_from(run: Run) -> dict[str, Any]:
    """The journal that a file was made from, as the file says; nothing of a file from before that was kept."""
    said = run.session.get("journal") or {}
    return {"journal": _journal((said["frames"], said["chain"]))} if {"frames", "chain"} <= set(said) else {}


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
