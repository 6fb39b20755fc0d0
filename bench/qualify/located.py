"""Whether the locator puts the right cause, and the right owner, first: of each trial, and counted by owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.qualify.faults import faults_file, read_faults
from bench.qualify.plan import Row
from data.checks import Evaluation
from data.run import Run
from protocols.analysis.locator import NOTHING, locate

Said = Mapping[str, Any]

NOBODY = "nobody"
MOST = 5
"""Causes that a trial keeps."""


def located(run: Run, evaluation: Evaluation) -> dict[str, Any]:
    """What the locator says of a run, as plain data."""
    found = locate(run, evaluation)
    return {
        "first": found.first.name,
        "owner": found.owner,
        "tied": list(found.tied),
        "causes": [[one.name, round(one.behind, 2)] for one in found.causes[:MOST]],
        "besides": found.besides,
        "next": found.next_action,
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Causes and owners that are right for a row: of faults that no check claims here, "nothing" too."""

    causes: frozenset[str]
    owners: frozenset[str]


def wanted(row: Row) -> Wanted:
    """What is right for a row."""
    table = read_faults(faults_file())
    names = {fault.partition(":")[0].partition("@")[0] for fault in row.faults} or ({row.fault} if row.fault else set())
    owners = {str(table[name].owner) for name in names if name in table}
    if row.expected == "sound":
        names, owners = names | {NOTHING}, owners | {NOBODY}
    return Wanted(frozenset(names), frozenset(owners))


@dataclass(frozen=True, slots=True)
class Count:
    """Trials that the locator saw.

    Attributes
    ----------
    cause, owner : in how many the right cause, and the right owner, stood first.
    tied : in how many the right cause stood first or was tied with the first.
    """

    trials: int = 0
    cause: int = 0
    owner: int = 0
    tied: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.trials + other.trials, self.cause + other.cause, self.owner + other.owner, self.tied + other.tied
        )


def count(row: Row, trials: Iterable[Said]) -> Count:
    """Count the trials of a row; those without an answer do not count."""
    right = wanted(row)
    found = [trial["located"] for trial in trials if trial.get("located")]
    return Count(
        len(found),
        sum(one["first"] in right.causes for one in found),
        sum(one["owner"] in right.owners for one in found),
        sum(bool(right.causes & set(one["tied"])) for one in found),
    )


def group(row: Row) -> str:
    """Under whom a row is counted: the owner of a claimed fault, else "unclaimed", "together" or "sound"."""
    if row.expected == "found":
        return row.owner
    if row.expected == "not-passed":
        return "together"
    return "unclaimed" if row.fault else "sound"


GROUPS = ("dut", "rig", "catheter", "record", "together", "unclaimed", "sound")
