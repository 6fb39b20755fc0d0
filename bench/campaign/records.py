"""Which file of a run counts, and which closed runs have none, by the register."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bench.campaign.plan import Campaign
from bench.trust.seals import SEALED, OneSeal
from data.audit import Row
from data.catalogue.entry import MISSING, in_utc
from data.catalogue.store import Line

JUDGED = ("pass", "conditional-pass", "fail", "conditional-fail")
"""Verdicts that say something of the pump; any other is an attempt without a result."""

PASSED = ("pass", "conditional-pass")


@dataclass(frozen=True, slots=True)
class Lost:
    """A run that the register has as closed, and whose record the catalogue does not have.

    Attributes
    ----------
    place : its number and station.
    rate_ul_per_h : None in a register from before that was kept.
    made : when it began, in UTC; when it was closed where no row says it.
    """

    run_id: str
    place: str
    serial: str
    rate_ul_per_h: float | None
    made: str
    path: str
    verdict: str

    @property
    def said(self) -> str:
        """What is missing, and what to do."""
        return (
            f"{self.place}, {self.serial}, was closed ({self.verdict or 'no verdict'}), and its record is missing: "
            f"{self.path} is not in the catalogue; bring it back, then: pumpbench catalogue add FOLDER"
        )


def one_each(runs: Sequence[Line], seals: Mapping[str, Sequence[OneSeal]]) -> tuple[list[Line], list[tuple[Line, str]]]:
    """Each run once, by its first registered file, and the other files of runs that say another thing, with why.

    Where no register knows a run, one that failed counts before one that passed.
    """
    by = defaultdict[str, list[Line]](list)
    for run in runs:
        by[run.run_id].append(run)
    taken, others = list[Line](), list[tuple[Line, str]]()
    for run_id, files in by.items():
        known = seals.get(run_id, ())
        counts = known[0].content if known else min(files, key=_rank).digest
        mine = [file for file in files if file.digest == counts]
        if mine:
            taken.append(min(mine, key=lambda file: (file.kind == MISSING, file.path)))
        first = (known[0].path if known else mine[0].path).replace("\\", "/").rpartition("/")[2]
        why = f"another file of the run of {first}, which counts"
        different = {file.digest: file for file in sorted(files, key=_rank, reverse=True) if file.digest != counts}
        others += [(file, why) for file in different.values()]
    return sorted(taken, key=lambda run: run.made), others


def closed_runs(campaign: Campaign, rows: Sequence[Row], seals: Mapping[str, Sequence[OneSeal]]) -> Iterator[Lost]:
    """The closed runs of the register that a campaign may ask for, as if their records were lost."""
    began = {row["run_id"]: row["when"] for row in rows if row.get("kind") == "begun"}
    serials, since = {dut.serial for dut in campaign.duts}, in_utc(campaign.since)
    closed: dict[str, Row] = {}
    for row in rows:
        is_asked = (row.get("procedure"), row.get("origin")) == (campaign.protocol, campaign.origin)
        if row.get("kind") in SEALED and is_asked and row["dut"] in serials:
            closed.setdefault(row["run_id"], row)
    for run_id, row in closed.items():
        made = in_utc(datetime.fromisoformat(str(began.get(run_id, row["when"]))))
        is_variable = "set_rate_ul_per_h" in row and row["set_rate_ul_per_h"] is None  # no campaign asks for that
        if made >= since and not is_variable:
            place = f"run {row['run_number']} of station {row['station']}"
            first = seals[run_id][0]
            yield Lost(run_id, place, row["dut"], row.get("set_rate_ul_per_h"), made, first.path, first.verdict)


def _rank(file: Line) -> tuple[int, str]:
    """What fails comes before what has no verdict, and that before what passes."""
    return 2 if file.verdict in PASSED else 0 if file.verdict in JUDGED else 1, file.path
