"""One run file judged again: whether the stored verdict and numbers stand, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.closing import code_hash, evaluate
from bench.session import software
from data.checks import Check, Evaluation
from data.run import Run
from data.seal import NO_RUN, examine
from protocols.procedure import load_procedure

Outcome = Literal["same", "verdict", "number", "altered", "unjudged", "unreadable", "foreign", "late", "died"]
"""What became of a file.

"verdict": the verdict of a check or of the run would change; "number": only numbers or notes would; "altered": the file
is not what was sealed, so its numbers prove nothing; "unjudged": it holds no evaluation; "foreign": it is no run;
"late": it was not read in time; "died": it ended the process that read it.
"""

FAILED: tuple[Outcome, ...] = ("verdict", "number", "altered", "unreadable", "late", "died")
"""Outcomes that somebody has to look at."""

NOT_REPEATED: tuple[Outcome, ...] = ("same", "verdict", "number", "altered", "unjudged", "unreadable", "foreign")
"""Outcomes that stand when the work is taken up again; the others may have been the computer's."""


@dataclass(frozen=True, slots=True)
class Change:
    """One check that would be another one."""

    check: str
    what: Literal["verdict", "value", "other", "new", "gone"]
    before: str
    after: str

    def __str__(self) -> str:
        if self.what in ("new", "gone"):
            return f"{self.check} is {self.what}"
        return f"{self.check}: {self.before} became {self.after}"


def look(path: Path) -> dict[str, Any]:
    """Judge a run file again; reads only.

    Returns
    -------
    dict
        ``outcome`` as `Outcome`, ``why`` in words, ``code`` of this program; of a run also ``procedure``, ``method``,
        ``verdict`` as stored and ``verdict_now``, and ``changes`` as text.
    """
    said: dict[str, Any] = {"code": code_hash(), "changes": []}
    found = examine(path)
    if found.state == "unreadable":
        foreign = any(NO_RUN in problem for problem in found.problems)
        return said | {"outcome": "foreign" if foreign else "unreadable", "why": "; ".join(found.problems)}
    try:
        said |= _judged(path)
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        return said | {"outcome": "unreadable", "why": f"it cannot be judged: {error}"}
    if found.state == "altered":
        said |= {"outcome": "altered", "why": f"the file is not what was sealed: {'; '.join(found.problems)}"}
    return said


def _judged(path: Path) -> dict[str, Any]:
    """What the file says, and what this program says of it."""
    with Run.open(path) as run:
        stored, method, code, made_with = run.evaluation, run.method, run.evaluated_by, run.software
        procedure, origin = run.procedure, str(run.origin)
    kind, now = load_procedure(procedure), evaluate(path)
    said: dict[str, Any] = {"procedure": procedure, "method": method, "origin": origin, "verdict_now": str(now.verdict)}
    if stored is None:
        return said | {"outcome": "unjudged", "verdict": "", "why": "it holds no evaluation (it was not closed)"}
    changes = list(changes_of(stored, now))
    said |= {"verdict": str(stored.verdict), "changes": [str(change) for change in changes]}
    if not changes:
        return said | {"outcome": "same", "why": ""}
    verdicts = stored.verdict != now.verdict or any(change.what in ("verdict", "new", "gone") for change in changes)
    why = _why(method, kind.method, code, made_with)
    return said | {"outcome": "verdict" if verdicts else "number", "why": why}


def changes_of(stored: Evaluation, now: Evaluation) -> Iterator[Change]:
    """Checks of two evaluations that are not equal, in the order of the later one; those that are gone come last."""
    before = {check.name: check for check in stored.checks}
    for check in now.checks:
        old = before.pop(check.name, None)
        if old is None:
            yield Change(check.name, "new", "", str(check.verdict))
        elif old.verdict != check.verdict:
            yield Change(check.name, "verdict", str(old.verdict), str(check.verdict))
        elif old.value != check.value:
            yield Change(check.name, "value", _value(old), _value(check))
        elif old != check:
            yield Change(check.name, "other", _other(old), _other(check))
    for name, old in before.items():
        yield Change(name, "gone", str(old.verdict), "")


def _value(check: Check) -> str:
    return "no value" if check.value is None else f"{check.value!r} {check.unit}"


def _other(check: Check) -> str:
    """What else of a check a reader compares."""
    limits = f"limits {check.limit_low} to {check.limit_high}"
    note = f", note {check.note!r}" if check.note else ""
    return f"U {check.expanded_uncertainty}, {limits}{note}"


def _why(method: int, method_now: int, code: str, made_with: dict[str, str]) -> str:
    """Why the same record gives another evaluation."""
    if method != method_now:
        return f"the method was raised from {method} to {method_now}"
    if code != code_hash():
        return f"the code differs from that which judged it, at the same method {method}"
    today = software()
    others = [
        f"{name} {made_with[name]}, now {version}"
        for name, version in today.items()
        if made_with.get(name, version) != version
    ]
    return f"the same code gives another result: {'; '.join(others) or 'the file was judged elsewhere'}"
