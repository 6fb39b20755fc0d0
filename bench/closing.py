"""From a journal to a sealed run file: fold, evaluate, write the evaluation, seal, verify.

Closing a run and recovering one are the same call.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path

from bench.catalogue import note_run
from bench.state_folder import home
from data.checks import Check, Evaluation, Status, Verdict
from data.fold import fold
from data.hdf5 import made_whole
from data.journal import read_journal, unwritten
from data.layout import write_evaluation
from data.run import Run
from data.seal import Verification, Verifier, verify
from protocols.procedure import load_procedure

CONDITIONAL = {
    "calibration": "a calibration was overdue or missing",
    "fluid-expiry": "the fluid had expired",
    "rig-check": "no rig check held",
    "article": "the register of articles spoke against what was used",
}
"""Findings of the preflight that, overridden by a person, leave a pass conditional."""

EVALUATING = ("protocols", "data")
"""Packages whose code decides what an evaluation says."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed run."""

    run_file: Path
    evaluation: Evaluation
    verification: Verification
    untrusted: str = ""  # why it carries no key or is not registered


def close_run(journal: Path, out: Path, verified_by: Verifier | None = None) -> Closed:
    """Make the run file of a journal, evaluated, sealed and verified, whole or not at all.  The journal is only read.

    It is sealed with the bench's key and registered; a state folder that cannot be used for that ends no run.  What the
    register has of the journal is compared: the file of one that is altered, cut or longer says so, and has no key.

    Parameters
    ----------
    verified_by : what looks whether the file is as it was sealed; `verify`, in a process of its own, without it.

    Raises
    ------
    JournalError
        The journal is missing, foreign, still written or closed by somebody else, or ends before its header does.
    RecordError
        ``out`` exists or cannot be written; nothing is left behind.
    """
    from bench.trust.register import enrol, fixed_journal, seal_run

    with unwritten(journal):
        fixed = None
        with suppress(OSError):  # sealing and registering say that, too
            fixed = fixed_journal(home(), _run_id(journal))
        with made_whole(out) as part:
            try:
                fold(journal, part, fixed=fixed)
                evaluation = evaluate(part)
                write_evaluation(part, evaluation, code=code_hash())
                untrusted = seal_run(part, home())
            except ValueError as error:
                raise type(error)(str(error).replace(str(part), str(out))) from None
        closed = Closed(out, evaluation, (verified_by or verify)(out), untrusted or enrol(out, home()))
    note_run(out)
    return closed


def _run_id(journal: Path) -> str:
    """Id of a journal's run, where its file will have it from."""
    with read_journal(journal) as reader:
        header = reader.header
    return str(header.get("run_id") or (header.get("session") or {}).get("run_id", ""))


def evaluate(path: Path) -> Evaluation:
    """Judge a run file with the installed code.

    An evaluation that breaks is itself a result: the run is kept, and its verdict is `Verdict.INVALID`, owner record.
    """
    with Run.open(path) as run:
        procedure = load_procedure(run.procedure)
        try:
            return _in_this_run(procedure.evaluate(run), run)
        except Exception as error:  # noqa: BLE001  # whatever breaks, the record must be closed and say so
            return Evaluation((_broken(error, path),))


def _in_this_run(evaluation: Evaluation, run: Run) -> Evaluation:
    """What no procedure needs to know: a pass is worth less after an override, and nothing after an interlock.

    A run that an interlock stopped can prove a violation, never its absence.
    """
    best, why = Verdict.PASS, []
    for event in run.records("override"):
        if event.fields["finding"] in CONDITIONAL:
            best = Verdict.CONDITIONAL_PASS
            let_pass = f"let pass by {event.fields['person']}: {event.fields['reason']}"
            why.append(f"{CONDITIONAL[event.fields['finding']]}, {let_pass}")
    if run.status is Status.STOPPED_BY_INTERLOCK:
        best = Verdict.NOT_MEASURED
        why.append("an interlock stopped the run before its end")
    if not why:
        return evaluation

    def seen(check: Check) -> Check:
        if check.suitability or check.verdict.rank <= best.rank:
            return check
        return replace(check, verdict=best, note="; ".join(filter(None, [check.note, *why])))

    return replace(evaluation, checks=tuple(map(seen, evaluation.checks)))


@dataclass(frozen=True, slots=True)
class Again:
    """A second evaluation beside the stored one."""

    evaluation: Evaluation
    identical: bool
    why: str


def reevaluate(path: Path) -> Again:
    """Judge a run file again and compare with what it says; reads only."""
    evaluation = evaluate(path)
    with Run.open(path) as run:
        stored, method = run.evaluation, run.method
        kind = load_procedure(run.procedure)
        code = run.evaluated_by
    if stored is None:
        return Again(evaluation, False, "the file holds no evaluation (it was not closed)")
    whose = "the same code" if code == code_hash() else "other code than the file's"
    different = _differences(stored, evaluation)
    if not different:
        return Again(evaluation, True, f"every check agrees to the last digit, by {whose}")
    methods = "" if kind.method == method else f"; the file was judged by method {method}, this is method {kind.method}"
    return Again(evaluation, False, f"{'; '.join(different)} (by {whose}{methods})")


def _differences(stored: Evaluation, again: Evaluation) -> list[str]:
    """What two evaluations disagree on, one clause a check."""
    before = {check.name: check for check in stored.checks}
    after = {check.name: check for check in again.checks}
    said = [f"check {name} is new" for name in after if name not in before]
    said += [f"check {name} is gone" for name in before if name not in after]
    for name, check in after.items():
        old = before.get(name)
        if old is None or old == check:
            continue
        if old.verdict != check.verdict:
            said.append(f"{name}: {old.verdict} became {check.verdict}")
        elif old.value != check.value:
            said.append(f"{name}: {old.value} became {check.value} {check.unit}")
        else:
            said.append(f"{name}: uncertainty, limits or notes differ")
    return said


def _broken(error: Exception, path: Path) -> Check:
    said = f"{type(error).__name__}: {error}".replace(str(path), "the run file")  # which says the same under any name
    return Check(
        name="evaluation",
        title="Evaluation",
        value=None,
        unit="1",
        verdict=Verdict.INVALID,
        owner="record",
        note=f"the evaluation broke off: {said}",
    )


@cache
def code_hash() -> str:
    """SHA-256 over the sources that evaluate, so that a file tells whose code judged it."""
    digest = hashlib.sha256()
    for package in EVALUATING:
        root = Path(str(import_module(package).__file__)).parent
        for source in sorted(root.rglob("*.py")):
            digest.update(f"{package}/{source.relative_to(root).as_posix()}\0".encode())
            digest.update(source.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()
