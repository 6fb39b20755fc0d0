"""The detection matrix of a qualification as rows, columns and cells, from what ``pumpbench qualify --json`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gui.presenters.numbers import least_percent

CellState = Literal["claimed", "amiss", "unseen", "open"]
"""As claimed; not as claimed; the fault cannot be seen; trials are still to be run."""

EXPECTED = {
    "found": "is to be found",
    "not-passed": "is not to be passed",
    "sound": "is to be passed",
}


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A fault, and whose it is; the key is empty for the pumps without one."""

    key: str
    label: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """What a protocol makes of a fault.

    Attributes
    ----------
    row, column : key of the fault, name of the protocol.
    as_claimed, trials : so many of so many trials ended as it is claimed.
    planned : trials that are to be run.
    proved : the share that the trials prove at the confidence of the qualification: 3 of 3 prove 0.37, 60 of 60 0.95.
    tip : one line for each severity.
    """

    row: str
    column: str
    state: CellState
    as_claimed: int = 0
    trials: int = 0
    planned: int = 0
    proved: float = 0.0
    tip: str = ""

    @property
    def text(self) -> str:
        """What is written in it."""
        if self.state == "unseen":
            return ""
        if self.state == "open":
            return f"… {self.trials}/{self.planned}"
        return f"{'✕ ' if self.state == 'amiss' else ''}{self.as_claimed}/{self.trials}"


@dataclass(frozen=True, slots=True)
class MatrixTable:
    """Everything that the picture shows; a fault that a protocol does not claim to find has no cell there."""

    rows: tuple[MatrixRow, ...] = ()
    columns: tuple[str, ...] = ()
    cells: tuple[MatrixCell, ...] = ()


def matrix_of(document: Mapping[str, Any]) -> MatrixTable:
    """The matrix of a qualification's JSON; drawn pumps, which have a table of their own, are left out."""
    lines = [line for line in document["rows"] if line["expected"] in EXPECTED]
    columns = tuple(dict.fromkeys(str(line["protocol"]) for line in lines))
    rows: dict[str, MatrixRow] = {}
    by_cell: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in sorted(lines, key=lambda line: bool(line["fault"])):  # without a fault come first
        fault = str(line["fault"])
        rows.setdefault(fault, MatrixRow(fault, fault or "no fault", str(line["owner"])))
        by_cell.setdefault((fault, str(line["protocol"])), []).append(line)
    cells = [_cell(fault, column, found) for (fault, column), found in by_cell.items()]
    for unseen in document.get("unseen", ()):
        fault = str(unseen["fault"])
        if fault not in rows:
            rows[fault] = MatrixRow(fault, fault)
            cells += [MatrixCell(fault, column, "unseen", tip=str(unseen["why"])) for column in columns]
    return MatrixTable(tuple(rows.values()), columns, tuple(cells))


def _cell(fault: str, column: str, lines: Sequence[Mapping[str, Any]]) -> MatrixCell:
    as_claimed, trials, planned = (
        sum(int(line[name]) for line in lines) for name in ("as_claimed", "trials", "planned")
    )
    state: CellState = "amiss" if as_claimed < trials else "open" if trials < planned else "claimed"
    proved = min(map(_proved, lines))
    return MatrixCell(fault, column, state, as_claimed, trials, planned, proved, "\n".join(map(_told, lines)))


def _proved(line: Mapping[str, Any]) -> float:
    """Of a fault at least so many are found; of pumps without one at most so many are not passed."""
    if (most := line.get("proved_at_most")) is not None:
        return 1.0 - float(most)
    return float(line.get("proved_at_least") or 0.0)


def _told(line: Mapping[str, Any]) -> str:
    """One line of a cell: what was tried, what was claimed, how often it was so."""
    severity = "" if line["severity"] is None else f" {line['severity']:g}"
    unit = f" {line['unit']}" if severity and line["unit"] not in ("", "1") else ""
    claim = EXPECTED[str(line["expected"])]
    proved = f", which proves {least_percent(_proved(line), 0)}" if line["trials"] else ""
    checks = f" by {', '.join(line['checks'])}" if line["checks"] else ""
    count = f"{line['as_claimed']} of {line['trials']}{proved}"
    return f"{line['fault'] or 'no fault'}{severity}{unit} {claim}{checks}: {count}"
