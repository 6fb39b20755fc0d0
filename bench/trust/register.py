"""The register of sealed runs: which numbers a station has given, and what was sealed and signed under each.

A file alone cannot show that it was replaced as a whole, or that its last signature was removed; the register does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.trust import ledger
from bench.trust.audit import changed_files, overrides
from bench.trust.keys import MEASURED, UNMEASURED, bench_key, own_key
from bench.trust.ledger import REGISTER, alone, rows_of
from data.audit import Row, add_row
from data.checks import Origin
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
        return f"the run is sealed without a key: {error}"
    seal(path, key)
    return ""


def enrol(path: Path, home: Path) -> str:
    """Register a sealed run, and note what it changed or overrode; returns why it was not registered.

    A run that is made again from its journal keeps its number.
    """
    try:
        with Run.open(path) as run, alone(home):
            sealed = read_seal(path) or {}
            station = str(run.station.get("name", ""))
            rows, _ = rows_of(home, REGISTER)
            runs = [row for row in rows if row.get("kind") == "run" and row.get("station") == station]
            numbers = {row["run_id"]: int(row["run_number"]) for row in runs}
            fields = {
                "kind": "run",
                "station": station,
                "run_number": numbers.get(sealed["run_id"], max(numbers.values(), default=0) + 1),
                "run_id": sealed["run_id"],
                "content": sealed["content"],
                "seal": digest_of(sealed),
                "path": str(path.resolve()),
                "origin": str(run.origin),
                "procedure": run.procedure,
                "dut": str(run.dut.get("serial", "")),
                "verdict": str(run.verdict),
            }
            key = own_key(home, MEASURED)
            add_row(home / "trust" / REGISTER, fields, ledger.now().isoformat(), key)
            overrides(home, key, run)
            changed_files(home, key, run)
    except (ValueError, OSError) as error:
        return f"the run is not registered: {error}"
    return ""


def registered(home: Path, run_id: str) -> Registered:
    """What the register has of a run."""
    rows, problems = rows_of(home, REGISTER)
    mine = [row for row in rows if row.get("run_id") == run_id]
    seals = [row for row in mine if row.get("kind") == "run"]
    signatures = [row["row"] for row in mine if row.get("kind") == "signature"]
    return Registered(seals, signatures, [*problems, *_gaps(rows)])


def _gaps(rows: Sequence[Row]) -> list[str]:
    """Stations whose numbers are not 1, 2, 3, ..."""
    given: dict[str, dict[int, None]] = {}
    for row in rows:
        if row.get("kind") == "run":
            given.setdefault(str(row["station"]), {})[int(row["run_number"])] = None
    wrong = [name for name, numbers in given.items() if list(numbers) != list(range(1, len(numbers) + 1))]
    return [f"{REGISTER}: the run numbers of station {name} have a gap" for name in wrong]
