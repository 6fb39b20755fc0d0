"""Requirement, test, evidence: docs/requirements.toml against what a qualification found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, RootModel, ValidationError

from bench.qualify.faults import table_file
from bench.qualify.words import percent
from data.checks import Verdict
from data.quantity_fields import Stated
from data.tomlfile import FileError, explain, read_toml

NAME = "requirements.toml"
MATRIX, BENCH = "matrix.json", "bench.json"

SHOWN_RUNS = 3

State = Literal["holds", "fails", "missing", "named"]


class Requirement(Stated):
    """What the bench has to do; see the head of the file."""

    sentence: str = Field(min_length=1)
    rows: tuple[str, ...] = ()
    bench: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


class _Tables(RootModel[dict[str, dict[str, Any]]]):
    """The file, before its tables are looked at."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of evidence: what it is, whether it shows the requirement, what it said, and the runs that say so."""

    name: str
    state: State
    said: str
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traced:
    """A requirement with its evidence."""

    name: str
    sentence: str
    evidence: tuple[Evidence, ...]

    @property
    def state(self) -> State:
        """Fails when any evidence does, is missing while any is, else holds; named where there are only tests."""
        states = {each.state for each in self.evidence}
        order: tuple[State, ...] = ("fails", "missing", "holds", "named")
        return next((state for state in order if state in states), "missing")


def read_requirements(path: Path | None = None) -> dict[str, Requirement]:
    """Every requirement by its name; raises FileError naming the line, the key and the remedy."""
    path = table_file(NAME) if path is None else path
    found = {}
    for name, table in read_toml(path, _Tables).root.items():
        try:
            found[name] = Requirement.model_validate(table)
        except ValidationError as error:
            raise FileError(explain(path, error, model=Requirement, prefix=name)) from None
        if not (found[name].rows or found[name].bench or found[name].tests):
            raise FileError(f'{path}: key "{name}": nothing shows this requirement; name rows, checks or tests')
    return found


def trace(folder: Path) -> list[Traced]:
    """Each requirement with the evidence that a folder holds."""
    matrix, bench = (_document(folder / name) for name in (MATRIX, BENCH))
    rows, checks = dict(_of_matrix(matrix)), dict(_of_bench(bench))
    traced = []
    for name, requirement in read_requirements().items():
        evidence = [rows.get(row, Evidence(row, "missing", "not run")) for row in requirement.rows]
        evidence += [checks.get(check, Evidence(check, "missing", "not run")) for check in requirement.bench]
        evidence += [Evidence(test, "named", "the suite runs it") for test in requirement.tests]
        traced.append(Traced(name, requirement.sentence, tuple(evidence)))
    return traced


def _document(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _of_matrix(document: Mapping[str, Any]) -> Iterator[tuple[str, Evidence]]:
    """Evidence by "PROTOCOL/FAULT"; every row of that fault in that protocol counts."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for row in document.get("rows", ()):
        grouped.setdefault(f"{row['protocol']}/{row['fault'] or 'sound'}", []).append(row)
    for name, rows in grouped.items():
        if any(row["as_claimed"] < row["trials"] for row in rows):
            state: State = "fails"
        else:
            state = "holds" if all(row["trials"] == row["planned"] for row in rows) else "missing"
        runs = [run["run"] for row in rows for run in row["runs"] if run["run"]]
        yield name, Evidence(name, state, "; ".join(map(_counted, rows)), _few(runs))
    if pumps := document.get("pumps"):
        yield "pumps", _of_pumps(pumps, document.get("drawn") or {})


def _of_pumps(pumps: Sequence[Mapping[str, Any]], drawn: Mapping[str, Any]) -> Evidence:
    """Evidence of the pumps around their limit: each that was planned has to be counted, on both sides of the limit."""
    counted = sum(each["pumps"] for each in pumps)
    said = "; ".join(f"{each['wrong']} of {each['pumps']} wrong {each['stratum']}" for each in pumps)
    if drawn.get("not_counted") or not drawn.get("where_aimed", True) or not all(each["holds"] for each in pumps):
        state: State = "fails"
    else:
        state = "holds" if counted == drawn.get("planned") else "missing"
    return Evidence("pumps", state, f"{said}; {counted} of {drawn.get('planned', '?')} counted")


def _counted(row: Mapping[str, Any]) -> str:
    if (least := row["proved_at_least"]) is not None:
        return f"{row['as_claimed']} of {row['trials']}, ≥ {percent(least)}"
    return f"{row['trials'] - row['as_claimed']} alarms of {row['trials']}, ≤ {percent(row['proved_at_most'])}"


def _of_bench(document: Mapping[str, Any]) -> Iterator[tuple[str, Evidence]]:
    """Evidence by "PART/CHECK"."""
    good = (Verdict.PASS, Verdict.CONDITIONAL_PASS)
    bad = (Verdict.FAIL, Verdict.CONDITIONAL_FAIL)
    for part in document.get("parts", ()):
        for check in part["checks"]:
            name, verdict = f"{part['part']}/{check['name']}", check["verdict"]
            state: State = "holds" if verdict in good else "fails" if verdict in bad else "missing"
            said = f"{verdict}, {check['said']}" if check["said"] else verdict
            yield name, Evidence(name, state, said, (part["run"],))


def _few(runs: Sequence[str]) -> tuple[str, ...]:
    return tuple(runs[:SHOWN_RUNS]) + ((f"and {len(runs) - SHOWN_RUNS} more",) if len(runs) > SHOWN_RUNS else ())
