"""From a journal to a sealed run file: fold, evaluate, write the evaluation, seal, verify.  Closing and recovering are the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from data.checks import Check, Evaluation, Verdict
from data.fold import fold
from data.layout import write_evaluation
from data.run import Run
from data.seal import Verification, seal, verify
from protocols.procedure import load_procedure

EVALUATING = ("protocols", "data")
"""Packages whose code decides what an evaluation says."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed run."""

    run_file: Path
    evaluation: Evaluation
    verification: Verification


def close_run(journal: Path, out: Path) -> Closed:
    """Make the run file of a journal, evaluated, sealed and verified.  The journal is only read."""
    fold(journal, out)
    evaluation = evaluate(out)
    write_evaluation(out, evaluation, code=code_hash())
    seal(out)
    return Closed(out, evaluation, verify(out))


def evaluate(path: Path) -> Evaluation:
    """Judge a run file with the installed code.

    An evaluation that breaks is itself a result: the run is kept, and its verdict is `Verdict.INVALID`, owner record.
    """
    with Run.open(path) as run:
        procedure = load_procedure(run.procedure)
        try:
            return procedure.evaluate(run)
        except Exception as error:  # noqa: BLE001  # whatever breaks, the record must be closed and say so
            return Evaluation((_broken(error),))


def _broken(error: Exception) -> Check:
    return Check(
        name="evaluation",
        title="Evaluation",
        value=None,
        unit="1",
        verdict=Verdict.INVALID,
        owner="record",
        note=f"the evaluation broke off: {type(error).__name__}: {error}",
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
