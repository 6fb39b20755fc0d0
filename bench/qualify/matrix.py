"""The matrix: what the trials of each row said, counted, with what the counts prove."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from bench.qualify import drawn
from bench.qualify.bounds import least_share, most_beyond, most_share
from bench.qualify.located import GROUPS, Count, count, group
from bench.qualify.outcome import off, off_truth
from bench.qualify.plan import Plan, Row
from bench.session import software

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
        return len(self.trials) - len(self.surprises)

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
        """Trials that did not say what is claimed.

        Of drawn pumps those that tell no true error; of sound rows, where too many means are further from the truth
        than U, each of these.
        """
        if self.row.expected == "right":
            return [trial for trial in self.trials if trial["as_claimed"] is False or not trial.get("drawn")]
        too_many = self.beyond_u > most_beyond(len(self._off))
        return [_told(trial, too_many=too_many) for trial in self.trials if not _right(trial, too_many=too_many)]

    @property
    def _off(self) -> list[float]:
        """How far each mean is from the truth, in U, of the trials that tell it."""
        return [off(trial["mean"]) for trial in self.trials if trial.get("mean")]

    @property
    def beyond_u(self) -> int:
        """How many means are further from the truth than U."""
        return sum(each > 1.0 for each in self._off)

    @property
    def farthest_u(self) -> float | None:
        """How far the worst mean is from the truth, in U; None where no trial tells it."""
        return max(self._off, default=None)

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
    drawn_lines : rows of pumps around their limit, of which each is counted in its stratum.
    """

    plan: Plan
    lines: tuple[Line, ...]
    drawn_lines: tuple[Line, ...]
    code: str
    made_at: str
    software: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every trial of the plan was run."""
        return all(line.complete for line in (*self.lines, *self.drawn_lines))

    @property
    def holds(self) -> bool:
        """Whether every trial that was run said what is claimed, and the drawn pumps tried both sides of the limit."""
        return all(line.holds for line in self.lines) and self.drawn_hold

    @property
    def drawn_hold(self) -> bool:
        """Whether each drawn pump counts, few enough are judged wrongly, and both sides of the limit were tried."""
        counted = all(line.holds for line in self.drawn_lines) and all(each.holds for each in self.drawn_pumps)
        return counted and self.drawn_where_aimed

    @property
    def drawn_pumps(self) -> list[drawn.Count]:
        """Counts of the pumps around their limit, by stratum; none where none was run."""
        trials = [trial for line in self.drawn_lines for trial in line.trials]
        return drawn.count(trials) if trials else []

    @property
    def drawn_where_aimed(self) -> bool:
        """Whether enough of the drawn pumps fell near the limit; as long as some are to be run, nobody knows."""
        done = sum(len(line.trials) for line in self.drawn_lines)
        return done < self.plan.pumps or drawn.are_where_aimed(self.drawn_pumps, self.plan.pumps)

    @property
    def alarms(self) -> tuple[int, int]:
        """False alarms and trials of sound pumps on sound rigs, over all protocols."""
        return sum(len(line.surprises) for line in self._sound), sum(len(line.trials) for line in self._sound)

    @property
    def alarmed_rigs(self) -> tuple[int, int]:
        """Rigs on which any sound pump alarmed, and rigs on which every sound row was run, or one alarmed.

        The rows of one seed share its rig: one that alarms may do so in each of them, so they prove no more than one.
        A row that was not run on a rig says nothing of it.
        """
        alarmed = {trial["seed"] for line in self._sound for trial in line.surprises}
        ran = [{trial["seed"] for trial in line.trials} for line in self._sound]
        whole = set.intersection(*ran) if ran else set()
        return len(alarmed), len(whole | alarmed)

    @property
    def _sound(self) -> list[Line]:
        return [line for line in self.lines if not line.row.fault]

    @property
    def never_found_by(self) -> list[tuple[str, str, str]]:
        """Claims that no trial bears out: protocol, fault, and a check that claims it and found it in none."""
        found: Counter[tuple[str, str, str]] = Counter()
        for line in self.lines:
            if line.row.expected == "found" and line.trials:
                for name in line.row.claimed:
                    found[line.row.protocol, line.row.fault, name] += line.found_by[name]
        return [claim for claim, times in found.items() if not times]

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
        return [(line, trial) for line in (*self.lines, *self.drawn_lines) for trial in line.surprises]

    def to_json(self) -> dict[str, Any]:
        """One document; what is not known is null."""
        alarms, sound = self.alarms
        alarmed, rigs = self.alarmed_rigs
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
            "false_alarms": {
                "count": alarms,
                "trials": sound,
                "rigs_alarmed": alarmed,
                "rigs": rigs,
                "at_most": most_share(alarmed, rigs),
            },
            "drawn": {
                "planned": self.plan.pumps,
                "done": sum(len(line.trials) for line in self.drawn_lines),
                "not_counted": sum(len(line.surprises) for line in self.drawn_lines),
                "where_aimed": self.drawn_where_aimed,
            },
            "pumps": [
                asdict(each)
                | {
                    "allowed": each.allowed,
                    "may_be_unjudged": each.may_be_unjudged,
                    "at_most": each.at_most,
                    "holds": each.holds,
                }
                for each in self.drawn_pumps
            ],
            "never_found_by": [
                {"protocol": protocol, "fault": fault, "check": check} for protocol, fault, check in self.never_found_by
            ],
            "unseen": [{"fault": name, "why": why} for name, why in self.plan.unseen.items()],
            "left_out": [asdict(each) for each in self.plan.left_out],
        }


def _right(trial: Said, *, too_many: bool) -> bool:
    """Whether a trial said what is claimed; where too many means are beyond U, those are not."""
    return bool(trial["as_claimed"]) and not (too_many and trial.get("mean") and off(trial["mean"]) > 1.0)


def _told(trial: Said, *, too_many: bool) -> Said:
    """A trial that did not, with the reason where its row has it."""
    return {**trial, "why": off_truth(trial["mean"])} if trial["as_claimed"] and too_many else trial


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
        "every": row.every,
        "planned": line.planned,
        "trials": len(line.trials),
        "as_claimed": line.as_claimed,
        "proved_at_least": None if line.about_alarms else line.proved,
        "proved_at_most": line.proved if line.about_alarms else None,
        "found_by": dict(line.found_by),
        "verdicts": dict(line.verdicts),
        "told_s": line.told_s,
        "beyond_u": line.beyond_u,
        "farthest_u": line.farthest_u,
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
    lines, pumps = list[Line](), list[Line]()
    for row in plan.rows:
        trials = [done[row.key, seed] for seed in range(1, row.seeds + 1) if (row.key, seed) in done]
        (pumps if row.expected == "right" else lines).append(Line(row, row.seeds, trials))
    return Matrix(plan, tuple(lines), tuple(pumps), code, made_at, software())
