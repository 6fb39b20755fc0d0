"""What one run said, against what its row of the matrix claims."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.qualify.faults import INTERLOCK
from bench.qualify.plan import Row
from data.checks import Check, Evaluation, Owner, Status, Verdict

PASSES = (Verdict.PASS, Verdict.CONDITIONAL_PASS)
FAILS = tuple(verdict for verdict in Verdict if verdict.fails)

NOT_PASSED = (*FAILS, Verdict.INVALID)
"""What several faults at once get: not-measured says nothing of any of them."""

ENDED = (Status.COMPLETED, Status.STOPPED_BY_INTERLOCK)
"""How a run ends that finds a fault, unless its row says otherwise; who aborts a run proves nothing."""

FOUND: Mapping[Owner, Sequence[Verdict]] = {
    "dut": FAILS,
    "catheter": (*FAILS, Verdict.INVALID),
    "rig": (*FAILS, Verdict.INVALID),
    "record": (*FAILS, Verdict.INVALID),
}
"""What a check says that has found a fault of each owner.  Rig checks fail; in a test of a pump the rig is unfit."""

MEAN = "mean-flow-error"

FARTHEST = 2.0
"""A value that is further from the truth than so many U is wrong by itself, however few others are."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a run said.

    Attributes
    ----------
    as_claimed : whether it is what its row claims; None for a drawn pump that was judged, which is counted by its true
        error.
    why : in a few words, what it said.
    found_by : claimed checks that found the fault, whether or not the row asks for them.
    """

    verdict: str
    status: str
    as_claimed: bool | None
    why: str
    found_by: tuple[str, ...] = ()


def compare(
    row: Row,
    evaluation: Evaluation,
    status: Status,
    stopped_by: Collection[str] = (),
    mean: Mapping[str, float] | None = None,
) -> Said:
    """Whether a run said what its row claims.

    Parameters
    ----------
    stopped_by : names of the interlocks that stopped it, by its record.
    mean : flow error that a run of a sound row found, its U, and the true one; see `off`.
    """
    verdict = evaluation.verdict
    if row.expected == "right":
        whole = status is Status.COMPLETED and bool(drawn_error(evaluation)) and not _blamed(evaluation) - {"dut"}
        why = _amiss(evaluation) or ("" if whole else str(status))
        return Said(str(verdict), str(status), None if whole else False, why)
    if row.expected == "sound":
        # A claim that nothing is left to see must not be met by a run that judged nothing at all.
        right = status is Status.COMPLETED and _is_sound(evaluation)
        why = "" if right else _amiss(evaluation)
        if right and mean and off(mean) > FARTHEST:
            right, why = False, off_truth(mean)
        return Said(str(verdict), str(status), right, why)
    ended = status in ENDED or status == row.ends
    if row.expected == "not-passed":
        return Said(str(verdict), str(status), ended and verdict in NOT_PASSED, _amiss(evaluation))
    found = _found(row, evaluation, status, stopped_by)
    right = ended and _finds(row, found) and _verdict_fits(row, evaluation)
    return Said(str(verdict), str(status), right, _amiss(evaluation), found)


def _is_sound(evaluation: Evaluation) -> bool:
    """Whether nothing is said against pump or rig: a pass, or a value that nothing limits."""
    if _of(evaluation, FAILS):
        return False
    if evaluation.verdict in PASSES:
        return True
    results = [check for check in evaluation.checks if not check.suitability and check.owner != "record"]
    limited = [check for check in results if not check.optional and _is_limited(check)]
    measured = [check for check in results if check.value is not None]
    return evaluation.verdict is Verdict.NOT_MEASURED and not limited and bool(measured)


def _is_limited(check: Check) -> bool:
    return check.limit_low is not None or check.limit_high is not None


def _found(row: Row, evaluation: Evaluation, status: Status, stopped_by: Collection[str]) -> tuple[str, ...]:
    """The claimed checks that count, found the fault and name its owner; and the claimed interlocks that stopped it."""
    stops = [f"{INTERLOCK} {name}" for name in stopped_by if status is Status.STOPPED_BY_INTERLOCK]
    claimed = {*row.claimed, *row.checks}
    said = (check for check in evaluation.checks if not check.optional and check.owner == row.owner)
    found = [check.name for check in said if check.verdict in FOUND[check.owner]]
    return tuple(name for name in (*found, *stops) if name in claimed)


def _finds(row: Row, found: Collection[str]) -> bool:
    """Whether those found it that the row asks for: every one, or any one of them."""
    asked = [name in found for name in row.checks]
    return all(asked) if row.every else any(asked)


def _verdict_fits(row: Row, evaluation: Evaluation) -> bool:
    """A fault of the pump fails it and nobody else; one of anything else neither fails nor passes it."""
    blamed = _blamed(evaluation)
    if row.owner == "dut":
        return evaluation.verdict.fails and blamed == {"dut"}
    return evaluation.verdict not in PASSES and not ({"dut", "catheter"} - {row.owner}) & blamed


def _blamed(evaluation: Evaluation) -> set[str]:
    """Owners of what failed."""
    return {check.owner for check in _of(evaluation, FAILS)}


def _of(evaluation: Evaluation, verdicts: Sequence[Verdict]) -> list[Check]:
    return [check for check in evaluation.checks if check.verdict in verdicts and not check.optional]


def _amiss(evaluation: Evaluation) -> str:
    """The checks that are not as they should be, worst first, in a few words."""
    amiss = sorted(_of(evaluation, (Verdict.FAIL, Verdict.INVALID, Verdict.CONDITIONAL_FAIL)), key=_worst_first)
    return "; ".join(f"{check.name} {check.verdict} ({check.owner})" for check in amiss[:4])


def _worst_first(check: Check) -> tuple[int, bool]:
    return check.verdict.rank, not check.suitability


# ------------------------------------------------------------------------------------------------------- the truth


def drawn_error(evaluation: Evaluation) -> dict[str, Any]:
    """Value, U, limits and verdict of the check that judges the mean; empty where it has no value or no limit."""
    said = mean_error(evaluation)
    check = next((check for check in evaluation.checks if check.name == MEAN), None)
    if not said or check is None or not _is_limited(check):
        return {}
    return {**said, "low": check.limit_low, "high": check.limit_high, "verdict": str(check.verdict)}


def mean_error(evaluation: Evaluation) -> dict[str, float]:
    """Mean flow error and its U; empty where it was not measured."""
    for check in evaluation.checks:
        if check.name == MEAN and check.value is not None and check.expanded_uncertainty:
            return {"value": check.value, "U": check.expanded_uncertainty}
    return {}


def off(mean: Mapping[str, float]) -> float:
    """How far a mean flow error is from what truly left the tip, in U."""
    return abs(mean["value"] - mean["true"]) / mean["U"]


def off_truth(mean: Mapping[str, float]) -> str:
    """The same in words."""
    return f"{MEAN} {mean['value']:.4g} %, truly {mean['true']:.4g} %: off by {off(mean):.1f} U"
