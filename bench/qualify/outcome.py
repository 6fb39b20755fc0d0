"""What one run said, against what its row of the matrix claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.qualify.faults import INTERLOCK
from bench.qualify.plan import Row
from data.checks import Check, Evaluation, Owner, Status, Verdict

PASSES = (Verdict.PASS, Verdict.CONDITIONAL_PASS)
FAILS = (Verdict.FAIL, Verdict.CONDITIONAL_FAIL)

SOUND = (*PASSES, Verdict.NOT_MEASURED)
"""What a sound pump on a sound rig gets; not-measured where no limit is declared, or nothing was judged."""

FOUND: Mapping[Owner, Sequence[Verdict]] = {
    "dut": FAILS,
    "catheter": (*FAILS, Verdict.INVALID),
    "rig": (*FAILS, Verdict.INVALID),
    "record": (*FAILS, Verdict.INVALID),
}
"""What a check says that has found a fault of each owner.  Rig checks fail; in a test of a pump the rig is unfit."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a run said.

    Attributes
    ----------
    as_claimed : whether it is what its row claims; None for a drawn pump, which is counted by its true error.
    why : in a few words, what it said.
    found_by : claimed checks that found the fault.
    """

    verdict: str
    status: str
    as_claimed: bool | None
    why: str
    found_by: tuple[str, ...] = ()


def compare(row: Row, evaluation: Evaluation, status: Status) -> Said:
    """Whether a run said what its row claims."""
    verdict = evaluation.verdict
    if row.expected == "right":
        return Said(str(verdict), str(status), None, _amiss(evaluation))
    if row.expected == "sound":
        # A claim that nothing is left to see must not be met by a run that judged nothing at all.
        right = verdict in SOUND and status is Status.COMPLETED and not _of(evaluation, FAILS)
        return Said(str(verdict), str(status), right, "" if right else _amiss(evaluation))
    if row.expected == "not-passed":
        return Said(str(verdict), str(status), verdict not in PASSES, _amiss(evaluation))
    found = _found(row, evaluation, status)
    right = bool(found) and _verdict_fits(row, evaluation)
    return Said(str(verdict), str(status), right, _amiss(evaluation), found)


def _found(row: Row, evaluation: Evaluation, status: Status) -> tuple[str, ...]:
    """The claimed checks that found the fault and name its owner."""
    if row.checks == (INTERLOCK,):
        return (INTERLOCK,) if status is Status.STOPPED_BY_INTERLOCK else ()
    said = (check for check in evaluation.checks if check.name in row.checks and check.owner == row.owner)
    return tuple(check.name for check in said if check.verdict in FOUND[check.owner])


def _verdict_fits(row: Row, evaluation: Evaluation) -> bool:
    """A fault of the pump fails it; one of anything else neither fails nor passes it."""
    if row.owner == "dut":
        return evaluation.verdict in FAILS
    blamed = [check.owner for check in _of(evaluation, FAILS)]
    innocent = {"dut", "catheter"} - {row.owner}
    return evaluation.verdict not in PASSES and not innocent & set(blamed)


def _of(evaluation: Evaluation, verdicts: Sequence[Verdict]) -> list[Check]:
    return [check for check in evaluation.checks if check.verdict in verdicts and not check.optional]


def _amiss(evaluation: Evaluation) -> str:
    """The checks that are not as they should be, worst first, in a few words."""
    amiss = sorted(_of(evaluation, (Verdict.FAIL, Verdict.INVALID, Verdict.CONDITIONAL_FAIL)), key=_worst_first)
    return "; ".join(f"{check.name} {check.verdict} ({check.owner})" for check in amiss[:4])


def _worst_first(check: Check) -> tuple[int, bool]:
    return check.verdict.rank, not check.suitability


def drawn_error(evaluation: Evaluation) -> dict[str, Any]:
    """Limit and U of the check that judges the mean; empty where it was not measured."""
    for check in evaluation.checks:
        if check.name == "mean-flow-error" and check.value is not None and check.limit_high is not None:
            return {"value": check.value, "U": check.expanded_uncertainty, "limit": check.limit_high}
    return {}
