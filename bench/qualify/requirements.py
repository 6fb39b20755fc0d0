"""Requirement, test, evidence: docs/requirements.toml against what a qualification found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, RootModel, ValidationError

from bench.qualify.faults import faults_file, read_faults, table_file
from bench.qualify.outcome import FAILS
from bench.qualify.plan import code_identity
from bench.qualify.words import percent
from data.checks import Owner, Verdict
from data.quantity_fields import Stated
from data.tomlfile import FileError, explain, read_toml
from protocols.procedure import procedure_names

NAME = "requirements.toml"
MATRIX, BENCH = "matrix.json", "bench.json"

SHOWN_RUNS = 3
SHOWN_DIGITS = 10
"""Of the identity of code."""

EVERY = "*"
OTHER_CODE = "found by other code"
SIMULATED = "on a simulated bench, which shows nothing of a real one"

State = Literal["holds", "fails", "missing", "named"]
ORDER: tuple[State, ...] = ("fails", "missing", "holds", "named")

GOOD = (Verdict.PASS, Verdict.CONDITIONAL_PASS)


class Requirement(Stated):
    """What the bench has to do; see the head of the file."""

    sentence: str = Field(min_length=1)
    rows: tuple[str, ...] = ()
    faults_of: tuple[Owner, ...] = ()
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
        return next((state for state in ORDER if state in states), "missing")


def read_requirements(path: Path | None = None) -> dict[str, Requirement]:
    """Every requirement by its name; raises FileError naming the line, the key and the remedy."""
    path = table_file(NAME) if path is None else path
    found = {}
    for name, table in read_toml(path, _Tables).root.items():
        try:
            found[name] = Requirement.model_validate(table)
        except ValidationError as error:
            raise FileError(explain(path, error, model=Requirement, prefix=name)) from None
        if not (found[name].rows or found[name].faults_of or found[name].bench or found[name].tests):
            raise FileError(f'{path}: key "{name}": nothing shows this requirement; name rows, checks or tests')
    return found


def rows_of(requirement: Requirement) -> list[str]:
    """Names of the rows that a requirement asks for, each once."""
    table = read_faults(faults_file())
    installed = set(procedure_names())
    names: list[str] = []
    for row in requirement.rows:
        protocol, _, what = row.partition("/")
        if protocol != EVERY:
            names.append(row)
            continue
        claiming = {each for fault in table.values() for each in fault.protocols()} & installed
        names += [f"{each}/{what}" for each in sorted(claiming)]
    for name, fault in table.items():
        if fault.owner in requirement.faults_of:
            names += [f"{protocol}/{name}" for protocol in fault.claims if protocol in installed]
    return list(dict.fromkeys(names))


def trace(folder: Path) -> list[Traced]:
    """Each requirement with the evidence that a folder holds."""
    matrix, bench = (_document(folder / name) for name in (MATRIX, BENCH))
    rows, checks = dict(_of_matrix(matrix)), dict(_of_bench(bench))
    traced = []
    for name, requirement in read_requirements().items():
        evidence = [rows.get(row, Evidence(row, "missing", "not run")) for row in rows_of(requirement)]
        evidence += [checks.get(check, Evidence(check, "missing", "not run")) for check in requirement.bench]
        evidence += [Evidence(test, "named", "the suite runs it") for test in requirement.tests]
        traced.append(Traced(name, requirement.sentence, tuple(evidence)))
    return traced


def sources(folder: Path) -> list[str]:
    """What the evidence of a folder was made with, and when: a sentence for the matrix, and one for the bench."""
    matrix, bench = (_document(folder / name) for name in (MATRIX, BENCH))
    said = []
    if matrix:
        same = "the code of today" if _of_this_code(matrix) else f"{OTHER_CODE}, so that its rows are open"
        code = str(matrix.get("code") or "?")[:SHOWN_DIGITS]
        said.append(f"Matrix of faults: {matrix.get('made_at', '?')}, code {code}, {same}.")
    if bench:
        simulated = f", {SIMULATED}" if bench.get("simulated") else ""
        said.append(f"Bench {bench.get('station', '?')}: {bench.get('made_at', '?')}{simulated}.")
    return said


def _of_this_code(matrix: Mapping[str, Any]) -> bool:
    return matrix.get("code") == code_identity()


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
        yield name, _by_code(Evidence(name, state, "; ".join(map(_counted, rows)), _few(runs)), document)
    if pumps := document.get("pumps"):
        yield "pumps", _by_code(_of_pumps(pumps, document.get("drawn") or {}), document)


def _by_code(evidence: Evidence, document: Mapping[str, Any]) -> Evidence:
    """What other code found shows nothing of this one."""
    if _of_this_code(document):
        return evidence
    return replace(evidence, state="missing", said=f"{evidence.said}, {OTHER_CODE}")


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
    """Evidence by "PART/CHECK", and by "PART/*" for all of a part; a simulated bench shows nothing of a real one."""
    for part in document.get("parts", ()):
        found = [_of_check(part, check, simulated=bool(document.get("simulated"))) for check in part["checks"]]
        yield from ((each.name, each) for each in found)
        if found:
            state: State = next(state for state in ORDER if state in {each.state for each in found})
            amiss = [each.name.partition("/")[2] for each in found if each.state == state != "holds"]
            said = f"{len(found)} checks" + (f", not as asked for: {', '.join(amiss)}" if amiss else "")
            name = f"{part['part']}/{EVERY}"
            yield name, Evidence(name, state, said, (part["run"],))


def _of_check(part: Mapping[str, Any], check: Mapping[str, Any], *, simulated: bool) -> Evidence:
    name, verdict = f"{part['part']}/{check['name']}", check["verdict"]
    said = f"{verdict}, {check['said']}" if check["said"] else str(verdict)
    state: State = "holds" if verdict in GOOD else "fails" if verdict in FAILS else "missing"
    if simulated:
        state, said = "fails" if state == "fails" else "missing", f"{said}, {SIMULATED}"
    return Evidence(name, state, said, (part["run"],))


def _few(runs: Sequence[str]) -> tuple[str, ...]:
    return tuple(runs[:SHOWN_RUNS]) + ((f"and {len(runs) - SHOWN_RUNS} more",) if len(runs) > SHOWN_RUNS else ())
