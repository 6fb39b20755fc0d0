"""The checks of a run that goes on: now and then, greyed, without a verdict; at the end those of the run file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.request import Request
from bench.rpc.messages import Ending
from bench.session import conduct
from data.checks import Verdict
from data.run import Run
from gui.presenters import provisional
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.provisional import Provisional, SoFar, judge_so_far, judged_at_end
from gui.presenters.tone import Tone
from protocols.analysis.suitability import not_measured

SEALED = Path(__file__).parents[1] / "runs" / "flow-accuracy-3.h5"
clock = [1000.0]
"""Real time, in s."""


class Counting(Inline):
    """Keeps what is to be done apart, and does not do it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Any, ...]] = []
        self.then: Callable[[Any], None] = lambda found: None
        self.failed: Callable[[str], None] | None = None
        self.late = ""

    def apart(
        self, work: Any, arguments: Any, then: Any, failed: Any = None, *, deadline_s: float = 120.0, late: str = ""
    ) -> None:
        """Keep it."""
        self.asked.append((work, *arguments))
        self.then, self.failed, self.late = then, failed, late


@pytest.fixture
def background(context: Context) -> Counting:
    context.background = made = Counting()
    return made


@pytest.fixture
def checks(background: Counting, watched: Any, context: Context, monkeypatch: pytest.MonkeyPatch) -> Provisional:
    monkeypatch.setattr(provisional, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    made = Provisional(context, watched.live)
    made.is_shown = True
    watched.says(journal="runs/a.journal", elapsed_s=100.0)
    watched.block("balance", [100.0], 1.0)
    return made


def so_far(cpu_s: float = 1.0) -> SoFar:
    evaluation = judged_at_end(str(SEALED))
    assert evaluation is not None
    return SoFar(evaluation.checks, evaluation.curves, 100.0, "", cpu_s)


def test_nothing_is_judged_in_the_first_minute_or_while_nobody_looks(
    background: Counting, checks: Provisional, watched: Any
) -> None:
    checks.is_shown = False
    checks.look()
    checks.is_shown, watched.live.last_s = True, 59.0
    checks.look()
    assert background.asked == []


def test_one_snapshot_at_a_time_is_taken_and_none_of_what_is_judged_already(
    background: Counting, checks: Provisional, tmp_path: Path
) -> None:
    checks.look()
    checks.look()
    assert background.asked == [(judge_so_far, str(tmp_path / "runs" / "a.journal"), False)]
    background.then(so_far())
    clock[0] += 1e6
    checks.look()
    assert len(background.asked) == 1


def test_what_costs_much_is_done_seldom(background: Counting, checks: Provisional, watched: Any) -> None:
    checks.look()
    background.then(so_far(cpu_s=30.0))
    watched.block("balance", [200.0], 1.0)
    clock[0] += 299.0
    checks.look()
    assert len(background.asked) == 1
    clock[0] += 2.0
    checks.look()
    assert len(background.asked) == 2


def test_what_was_given_up_after_long_is_not_tried_again_at_once(
    background: Counting, checks: Provisional, watched: Any
) -> None:
    checks.look()
    clock[0] += 300.0
    assert background.failed is not None
    background.failed("gave no answer within 300 s")
    watched.block("balance", [200.0], 1.0)
    clock[0] += 2999.0
    checks.look()
    assert len(background.asked) == 1
    clock[0] += 2.0
    checks.look()
    assert len(background.asked) == 2


def test_who_waits_in_vain_for_the_checks_of_a_long_run_reads_why_and_what_to_do(
    background: Counting, checks: Provisional, watched: Any, tmp_path: Path
) -> None:
    checks.look()
    assert background.failed is not None
    background.failed(background.late)
    said = checks.remark()
    assert "took longer than 5 min and was given up" in said
    assert "tried again in 50 min" in said
    assert f"pumpbench snapshot {tmp_path / 'runs' / 'a.journal'}" in said
    assert checks.caption() == "none could be worked out"
    clock[0] += 3001.0
    watched.block("balance", [200.0], 1.0)
    checks.look()
    background.then(so_far())
    assert "given up" not in checks.remark()


def test_checks_so_far_are_greyed_and_have_no_verdict(background: Counting, checks: Provisional) -> None:
    checks.look()
    background.then(so_far())
    rows = checks.rows()
    assert rows
    assert {(row.verdict, row.tone) for row in rows} == {("", Tone.MUTED)}
    assert checks.caption() == "provisional, of the record up to 00:01:40"


def test_a_rig_check_that_cannot_be_judged_yet_says_why_and_shows_no_number(
    background: Counting, checks: Provisional
) -> None:
    why = "the flow was led away from the balance for a blank; they are compared over the analysis"
    ratio = not_measured("sensor-balance-ratio", "Flow sensor less balance", "%", why, optional=True)
    checks.look()
    background.then(replace(so_far(), checks=(*so_far().checks, ratio), outlook="U is 1 % now"))
    assert checks.remark() == f"U is 1 % now\nFlow sensor less balance: {why}"
    assert [row.name for row in checks.rows() if row.note == why] == []


def test_the_checks_of_the_run_file_have_their_verdict(background: Counting, checks: Provisional, watched: Any) -> None:
    watched.says(Ending("ended", "completed", run_file=str(SEALED)))
    assert background.asked == [(judged_at_end, str(SEALED))]
    background.then(judged_at_end(str(SEALED)))
    row = next(row for row in checks.rows() if row.name == "mean-flow-error")
    assert (row.verdict, row.tone) == ("pass", Tone.GOOD)
    assert checks.caption() == "of the sealed run file"


def test_why_a_run_did_not_pass_is_told_and_the_rig_comes_first(checks: Provisional) -> None:
    with Run.open(SEALED) as run:
        evaluation = run.evaluation
    assert evaluation is not None
    checks.final = evaluation
    assert checks.remark() == ""
    found = list(evaluation.checks)
    of_rig = next(at for at, one in enumerate(found) if one.suitability and not one.optional)
    found[0] = replace(found[0], verdict=Verdict.INVALID, note="the rig was not fit")
    checks.final = replace(evaluation, checks=tuple(found))
    assert checks.remark() == f"{found[0].title}: the rig was not fit"
    found[of_rig] = replace(found[of_rig], verdict=Verdict.FAIL, note="the line is kinked")
    checks.final = replace(evaluation, checks=tuple(found))
    assert checks.remark() == f"{found[of_rig].title}: the line is kinked"


def test_why_nothing_can_be_judged_is_told(background: Counting, checks: Provisional) -> None:
    checks.look()
    assert background.failed is not None
    background.failed("the disk is full")
    assert (checks.caption(), checks.remark()) == ("none could be worked out", "the disk is full")


def test_what_comes_of_a_run_that_is_watched_no_more_is_not_shown(
    background: Counting, checks: Provisional, watched: Any
) -> None:
    checks.look()
    watched.live.link = None
    background.then(so_far())
    assert checks.so_far is None


def test_a_snapshot_of_a_journal_is_judged_and_thrown_away(tmp_path: Path) -> None:
    done = conduct(Request("flow-record", "sim", {"recording": "10 min"}, out=tmp_path))
    with Run.open(done.run_file) as run:
        assert run.evaluation is not None
        final = {check.name: check.value for check in run.evaluation.checks}
        end_s = run.end_s
    found = judge_so_far(str(done.journal), True)
    assert {check.name: check.value for check in found.checks} == final
    assert (found.outlook, found.until_s) == ("", end_s)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".h5", ".journal"]
