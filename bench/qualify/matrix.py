"""The matrix: what the trials of each row said, counted, with what the counts prove."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from statistics import median
from typing import Any

from bench import __version__
from bench.qualify import drawn
from bench.qualify.bounds import least_share, most_share
from bench.qualify.located import GROUPS, Count, count, group
from bench.qualify.plan import Plan, Row
from bench.session import SOFTWARE

Said = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One row of the plan with what its trials said.

    Attributes
    ----------
    proved : of a fault, the least share that is found; of a sound pump, the largest share of false alarms.  One-sided,
        95 %.
    told_s : median time from the onset to the moment at which the bench said so: the end of the run, when it is
        evaluated, or an interlock.
    """

    row: Row
    planned: int
    trials: Sequence[Said]

    @property
    def as_claimed(self) -> int:
        """How many trials said what is claimed."""
        return sum(bool(trial["as_claimed"]) for trial in self.trials)

    @property
    def about_alarms(self) -> bool:
        """Whether what counts is that nothing is said."""
        return self.row.expected == "sound"

    @property
    def proved(self) -> float:
        """What the count proves of a share."""
        if self.about_alarms:
            return most_share(len(self.trials) - self.as_claimed, len(self.trials))
        return least_share(self.as_claimed, len(self.trials))

    @property
    def told_s(self) -> float | None:
        """Median of the times to the moment at which the bench said so."""
        times = [float(trial["told_s"]) for trial in self.trials if trial["as_claimed"] and trial.get("told_s")]
        return median(times) if times and not self.about_alarms else None

    @property
    def found_by(self) -> Counter[str]:
        """How often each claimed check found it."""
        return Counter(name for trial in self.trials for name in trial.get("found_by", ()))

    @property
    def verdicts(self) -> Counter[str]:
        """How often each verdict came; "error" where a run had none."""
        return Counter(str(trial["verdict"] or trial["status"]) for trial in self.trials)

    @property
    def surprises(self) -> list[Said]:
        """Trials that did not say what is claimed."""
        return [trial for trial in self.trials if not trial["as_claimed"]]

    @property
    def holds(self) -> bool:
        """Whether every trial that was run said what is claimed."""
        return not self.surprises

    @property
    def located(self) -> Count:
        """In how many trials the locator put the right cause, and the right owner, first."""
        return count(self.row, self.trials)

    @property
    def complete(self) -> bool:
        """Whether every trial was run."""
        return len(self.trials) == self.planned


@dataclass(frozen=True)
class Matrix:
    """What a qualification found.

    Attributes
    ----------
    made_at : when, as its caller says.
    code : identity of the code that ran; see `plan.code_identity`.
    drawn_pumps : counts of the pumps around their limit.
    """

    plan: Plan
    lines: tuple[Line, ...]
    drawn_pumps: tuple[drawn.Count, ...]
    drawn_done: int
    code: str
    made_at: str
    software: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every trial of the plan was run."""
        return all(line.complete for line in self.lines) and self.drawn_done == self.plan.pumps

    @property
    def holds(self) -> bool:
        """Whether every trial that was run said what is claimed."""
        return all(line.holds for line in self.lines) and all(each.holds for each in self.drawn_pumps)

    @property
    def alarms(self) -> tuple[int, int]:
        """False alarms and trials of sound pumps on sound rigs, over all protocols."""
        sound = [line for line in self.lines if not line.row.fault]
        return sum(len(line.surprises) for line in sound), sum(len(line.trials) for line in sound)

    @property
    def located(self) -> dict[str, Count]:
        """What the locator put first: of claimed faults by owner, then of pairs, unclaimed faults and sound pumps."""
        found = {name: Count() for name in GROUPS}
        for line in self.lines:
            found[group(line.row)] += line.located
        return {name: each for name, each in found.items() if each.trials}

    @property
    def surprises(self) -> list[tuple[Line, Said]]:
        """Every trial that did not say what is claimed."""
        return [(line, trial) for line in self.lines for trial in line.surprises]

    def to_json(self) -> dict[str, Any]:
        """One document; what is not known is null."""
        alarms, sound = self.alarms
        return {
            "made_at": self.made_at,
            "quick": self.plan.quick,
            "complete": self.complete,
            "holds": self.holds,
            "confidence": 0.95,
            "seeds": self.plan.seeds,
            "stations": dict(self.plan.stations),
            "plan": self.plan.digest,
            "code": self.code,
            "software": dict(self.software),
            "rows": [_line_json(line) for line in self.lines],
            "located": {name: _located_json(each) for name, each in self.located.items()},
            "false_alarms": {"count": alarms, "trials": sound, "at_most": most_share(alarms, sound)},
            "pumps": [
                asdict(each) | {"allowed": each.allowed, "at_most": each.at_most, "holds": each.holds}
                for each in self.drawn_pumps
            ],
            "unseen": [{"fault": name, "why": why} for name, why in self.plan.unseen.items()],
            "left_out": [asdict(each) for each in self.plan.left_out],
        }


def _located_json(each: Count) -> dict[str, int]:
    return {
        "located": each.trials,
        "right_cause_first": each.cause,
        "right_owner_first": each.owner,
        "right_cause_tied": each.tied,
    }


def _line_json(line: Line) -> dict[str, Any]:
    row = line.row
    return {
        "protocol": row.protocol,
        "form": row.form,
        "station": row.station,
        "settings": dict(row.settings),
        "fault": row.fault,
        "owner": row.owner,
        "severity": row.severity,
        "unit": row.unit,
        "at_s": row.at_s,
        "faults": list(row.faults),
        "expected": row.expected,
        "checks": list(row.checks),
        "planned": line.planned,
        "trials": len(line.trials),
        "as_claimed": line.as_claimed,
        "proved_at_least": None if line.about_alarms else line.proved,
        "proved_at_most": line.proved if line.about_alarms else None,
        "found_by": dict(line.found_by),
        "verdicts": dict(line.verdicts),
        "told_s": line.told_s,
        **_located_json(line.located),
        "runs": [
            {"seed": trial["seed"], "run": trial.get("run", ""), "verdict": trial["verdict"]} for trial in line.trials
        ],
        "surprises": [
            {"seed": trial["seed"], "why": trial["why"], "file": trial.get("kept", "")} for trial in line.surprises
        ],
    }


def matrix_of(plan: Plan, done: Mapping[tuple[str, int], Said], *, code: str, made_at: str) -> Matrix:
    """Count what the trials of a plan said."""
    lines, pumps = [], []
    for row in plan.rows:
        if row.expected == "right":
            pumps += [done[row.key, seed] for seed in range(1, row.seeds + 1) if (row.key, seed) in done]
        else:
            trials = [done[row.key, seed] for seed in range(1, row.seeds + 1) if (row.key, seed) in done]
            lines.append(Line(row, row.seeds, trials))
    return Matrix(
        plan, tuple(lines), tuple(drawn.count(pumps)) if pumps else (), len(pumps), code, made_at, _software()
    )


def _software() -> dict[str, str]:
    others = {name: metadata.version(name) for name in SOFTWARE if name != "pumpbench"}
    return {"pumpbench": __version__, **others, "python": platform.python_version()}
