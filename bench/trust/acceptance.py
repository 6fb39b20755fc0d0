"""A problem of the trail that cannot be mended any more: QA says that it is known, so that signing goes on."""

from __future__ import annotations

from pathlib import Path

from bench.trust import ledger
from bench.trust.audit import check_trail, names_person
from bench.trust.keys import MEASURED, note, own_key
from bench.trust.ledger import PROBLEM, TrustError, alone
from bench.trust.users import User, insist_on_qa, role_claimed


def accept_problem(home: Path, number: int, reason: str, by: User) -> str:
    """Note that a problem which `audit verify` names is known and stays; returns its sentence.

    Parameters
    ----------
    number : of the problem, from 1, as `check_trail` gives them.
    by : whose passphrase was just given.

    Raises
    ------
    TrustError
        No reason, nobody who is QA by the audit trail as well, a problem about this very person, a damaged log, or no
        such problem.
    """
    if not reason.strip():
        raise TrustError(
            "--reason: say what happened and why the records can be relied on; it stands in the audit trail"
        )
    insist_on_qa(by)
    with alone(home):
        now = ledger.now()
        claim = {"user": by.id, "name": by.name, "role": by.role, "when": now.isoformat()}
        if wrong := role_claimed(home, claim):
            raise TrustError(f"{wrong}; nothing was noted")
        found = check_trail(home)
        problems = found.problems
        if not 1 <= number <= len(problems):
            there = f"there are {len(problems)}" if problems else "there is none"
            raise TrustError(f"{number} is no problem of the trail, {there}; see: pumpbench audit verify")
        problem = problems[number - 1]
        if problem in found.damage:
            raise TrustError(f"{problem}: nobody accepts a damaged log; restore it from a backup, see: Sign a run")
        if names_person(problem, by.id):
            raise TrustError(f"the problem is about {by.name} ({problem}); another QA person accepts it")
        note(home, own_key(home, MEASURED), PROBLEM, reason, new=problem, who=by.id, moment=now)
    return problem
