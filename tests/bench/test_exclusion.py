"""A named person excludes a stretch of a run that goes on: what is kept, what is refused, and what becomes of it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.cli import main
from bench.closing import close_run, evaluate, reevaluate
from bench.engine import Engine
from bench.looks import look
from bench.request import Request
from bench.rpc.desk import Desk
from bench.rpc.doors import unix_doors
from bench.rpc.server import serving
from bench.run_queue import RunState, StationLock, enqueue
from bench.session import Underway, conduct
from bench.trust.checklist import authors_of, checklist
from data.checks import Check, Evaluation, Verdict
from data.report import story
from data.report.blocks import Table
from data.run import Event, Run
from instruments.clock import VirtualClock, WallClock
from protocols.procedure import load_procedure
from protocols.steps import Phase

RUNS = Path(__file__).parents[1] / "runs"
TOUCHED_S = 3605.0
"""A minute after the analysis begins the balance shows 21 mg more, and the flow sensor nothing."""


def named(evaluation: Evaluation, name: str) -> Check:
    return next(check for check in evaluation.checks if check.name == name)


# ----------------------------------------------------------------------------------------------------- the engine


def test_what_a_named_person_excludes_is_recorded_when_it_is_said(toys: Any) -> None:
    toys.run(Phase("one", for_s=60.0), at=[(30.0, lambda engine: engine.exclude(" Ada ", 0.0, 30.0, "a\n draft "))])
    kept = {"t": 30.0, "from_s": 0.0, "to_s": 30.0, "person": "Ada", "reason": "a draft"}
    assert toys.of("exclusion") == [{**kept, "text": "0 s to 30 s: a draft"}]


@pytest.mark.parametrize(
    ("person", "from_s", "to_s", "reason", "sentence"),
    [
        ("Ada", 1.0, 2.0, " ", "a stretch is excluded by a named person with a reason; give both"),
        ("", 1.0, 2.0, "r", "a stretch is excluded by a named person with a reason; give both"),
        ("Ada", -1.0, 2.0, "r", "the stretch begins at -1 s, before the run; its first moment is 0 s"),
        ("Ada", 20.0, 20.0, "r", "the stretch ends at 20 s, not after its begin at 20 s; turn them round"),
        ("Ada", 20.0, 30.5, "r", "the stretch ends at 30.5 s, and the run is at 30 s; exclude it when it is over"),
        ("Ada", 1.0, math.inf, "r", "a stretch has a begin and an end; give both as times since the run's begin"),
        ("Ada", math.nan, 2.0, "r", "a stretch has a begin and an end; give both as times since the run's begin"),
    ],
)
def test_what_cannot_be_excluded_is_refused_with_a_sentence(
    toys: Any, person: str, from_s: float, to_s: float, reason: str, sentence: str
) -> None:
    said: list[str] = []
    toys.run(at=[(30.0, lambda engine: said.append(engine.exclude(person, from_s, to_s, reason)))])
    assert said[0].startswith(sentence)
    assert toys.of("exclusion") == []


times = st.one_of(st.floats(), st.floats(-10.0, 70.0), st.sampled_from([0.0, 30.0, 60.0]))


@given(times, times, st.sampled_from(["", " \n", "a draft"]), st.sampled_from(["", "Ada"]), st.floats(0.0, 59.0))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_refused_leaves_no_record_and_whatever_is_kept_leaves_one(
    toy_bench: Any, from_s: float, to_s: float, reason: str, person: str, said_s: float
) -> None:
    toys, said = toy_bench(clock=VirtualClock()), list[str]()
    toys.run(at=[(said_s, lambda engine: said.append(engine.exclude(person, from_s, to_s, reason)))])
    can_be = bool(person and reason.strip()) and 0.0 <= from_s < to_s <= said_s
    assert (said == [""]) == can_be
    assert len(toys.of("exclusion")) == can_be
    assert len(said[0].splitlines()) == (not can_be)


def test_a_run_that_has_ended_excludes_nothing_any_more(toys: Any) -> None:
    engines: list[Engine] = []
    toys.run(at=[(1.0, engines.append)])
    assert engines[0].exclude("Ada", 1.0, 2.0, "r") == "the run has ended; what was not excluded by then is judged"


def test_a_protocol_that_leaves_nothing_out_takes_no_exclusion(toys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def excludes(engine: Engine) -> None:
        monkeypatch.setattr(engine._procedure, "leaves_out", False)
        said.append(engine.exclude("Ada", 1.0, 2.0, "r"))

    toys.run(at=[(30.0, excludes)])
    assert said == ['protocol "toy" judges everything that was recorded; say in a note what happened instead']
    assert toys.of("exclusion") == []


def test_the_protocols_that_take_an_exclusion_are_those_whose_evaluation_leaves_it_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = {"from_s": 100.0, "to_s": 101.0, "reason": "r", "person": "Ada"}
    recorded = Run.records
    monkeypatch.setattr(
        Run, "records", lambda run, kind: [Event(200.0, kind, fields)] if kind == "exclusion" else recorded(run, kind)
    )
    latest = {path.stem.rpartition("-")[0]: path for path in sorted(RUNS.glob("*.h5"))}
    honour = {name for name, path in latest.items() if any(one.person for one in evaluate(path).excluded)}
    assert honour - {"reservoir-life"} == {name for name in latest if load_procedure(name).leaves_out}


LATEST = {path.stem.rpartition("-")[0]: path for path in sorted(RUNS.glob("*.h5"))}


@pytest.mark.parametrize("name", [name for name in LATEST if load_procedure(name).leaves_out])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_touch_that_was_excluded_fails_no_pump(name: str, share: float) -> None:
    """Somebody leaves 60 mg on the vessel; a minute on both sides is excluded."""
    with Run.open(LATEST[name]) as run:
        before = {check.name: check.verdict for check in load_procedure(name).evaluate(run).checks}
        spans = [(one.t0, one.t1) for one in run.phases if not one.name.startswith("blank")]
        longest = max(spans, key=lambda span: span[1] - span[0])
        at_s = longest[0] + share * (longest[1] - longest[0])
        mass = run.series("reference_mass")
        run._series["reference_mass"] = replace(mass, values=mass.values + 60.0 * (mass.t > at_s))
        fields = {"from_s": at_s - 60.0, "to_s": at_s + 60.0, "reason": "r", "person": "Ada"}
        run.__dict__["events"] = (*run.events, Event(at_s + 60.0, "exclusion", fields))
        after = {check.name: check for check in load_procedure(name).evaluate(run).checks}
    failed = [one for one, check in after.items() if check.verdict is Verdict.FAIL and check.owner == "dut"]
    assert [one for one in failed if before.get(one) is not Verdict.FAIL] == []


# ------------------------------------------------------------------------------------------------ a run in which it is


class Person:
    """Leads a run: says things at moments of its clock."""

    def __init__(self, *acts: tuple[float, Callable[[Engine], str]]) -> None:
        self.acts, self.said = acts, list[str]()

    def begins(self, run: Underway) -> None:
        def act() -> None:
            for t, do in self.acts:
                run.clock.sleep_until(t)
                self.said.append(do(run.engine))

        run.clock.worker("~person", act)

    def synced(self, seq: int) -> None:
        """Nothing to do."""

    def ends(self) -> None:
        """Nothing to do."""


@pytest.fixture(scope="module")
def touched(tmp_path_factory: pytest.TempPathFactory, sim_station: Callable[..., Path]) -> Path:
    """A run whose vessel was touched in the analysis, which Ada excluded half an hour later, and a bit twice."""
    folder = tmp_path_factory.mktemp("touched")
    person = Person(
        (5400.0, lambda engine: engine.exclude("Ada", 3540.0, 3660.0, "I touched the vessel")),
        (5401.0, lambda engine: engine.exclude("Ada", 3640.0, 3680.0, "and again")),
    )
    short = {"stabilisation": "0 h", "analysis": "1 h", "blank-length": "30 min"}
    less_often = {'period = "1 s"': 'period = "2 s"', 'interval = "0.1 s"': 'interval = "1 s"', '"10 Hz"': '"1 Hz"'}
    station = str(sim_station(folder, less_often))
    request = Request("flow-accuracy", station, short, seed=3, faults=[f"auto-adjust:600@{TOUCHED_S:g} s"], out=folder)
    result = conduct(request, lead=person)
    assert person.said == ["", ""]
    return result.run_file


def test_a_surplus_on_the_balance_alone_judges_nothing_until_it_is_excluded(
    touched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_it = evaluate(touched)
    recorded = Run.records
    monkeypatch.setattr(Run, "records", lambda run, kind: [] if kind == "exclusion" else recorded(run, kind))
    without = evaluate(touched)
    verdicts = [named(each, "unexpected-delivery").verdict for each in (without, with_it)]
    assert verdicts == [Verdict.INVALID, Verdict.PASS]
    assert named(without, "mean-flow-error").value == pytest.approx(50.0, abs=25.0)
    assert named(with_it, "mean-flow-error").value == pytest.approx(0.0, abs=3.0)
    assert (without.verdict is Verdict.PASS, with_it.verdict is Verdict.PASS) == (False, True)


def test_the_share_of_the_analysis_counts_what_was_excluded_twice_once(touched: Path) -> None:
    with Run.open(touched) as run:
        (analysis,) = [phase for phase in run.phases if phase.name == "analysis"]
    share = named(evaluate(touched), "excluded").value
    assert share == pytest.approx(100.0 * (3680.0 - analysis.t0) / (analysis.t1 - analysis.t0))


def test_the_file_evaluates_identically_and_a_recovered_journal_says_the_same(touched: Path, tmp_path: Path) -> None:
    assert reevaluate(touched).identical
    closed = close_run(touched.with_suffix(".journal"), tmp_path / "again.h5")
    said = evaluate(touched)
    assert (closed.evaluation.checks, closed.evaluation.excluded) == (said.checks, said.excluded)
    assert [(one.from_s, one.to_s, one.person) for one in said.excluded] == [(3540, 3660, "Ada"), (3640, 3680, "Ada")]


def test_the_first_page_of_the_report_and_the_checklist_show_who_excluded_what_and_why(touched: Path) -> None:
    with Run.open(touched) as run:
        first, *_ = story.first_page(run, run.evaluation)
    assert first.title == "Exclusions"
    (table,) = first.blocks
    assert isinstance(table, Table)
    assert table.rows[0] == ["00:59:00", "01:01:00", "2 min", "I touched the vessel", "Ada"]
    (item,) = [one for one in checklist(touched) if one.key == "exclusions"]
    assert (item.found, item.text.partition(";")[0]) == ("look", "3540 s to 3660 s: I touched the vessel (Ada)")


def test_who_excluded_something_had_a_hand_in_the_run(touched: Path) -> None:
    assert "ada" in authors_of(touched)


def test_a_look_leaves_out_what_was_excluded_by_its_moment(touched: Path) -> None:
    kind, journal = load_procedure("flow-accuracy"), touched.with_suffix(".journal")
    before, after = (look(kind, journal, until_s, 5, 0.001).value for until_s in (5399.0, 5402.0))
    assert before is not None
    assert after is not None
    assert before > 50.0 > 5.0 > abs(after)


# -------------------------------------------------------------------------------------------------- the command line


class Led:
    """An engine that hears an exclusion, and refuses one that a test does not want."""

    steps, phase, rested_s, refusal = (), "analysis", 0.0, ""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float, float, str]] = []

    def exclude(self, person: str, from_s: float, to_s: float, reason: str) -> str:
        if not self.refusal:
            self.heard.append((person, from_s, to_s, reason))
        return self.refusal


class Kept(list[tuple[str, dict[str, Any]]]):
    """A recorder."""

    def record(self, kind: str, t: float, fields: dict[str, Any], *, urgent: bool = False) -> None:
        self.append((kind, fields))


@contextmanager
def going_on(home: Path, engine: Led, kept: Kept) -> Iterator[Desk]:
    """Run 1 of the state folder, behind its doors."""
    entry = enqueue(home, Request("flow-accuracy", "sim"), "sim")
    lock, desk = StationLock.take(home, "sim"), Desk(1, "flow-accuracy", "sim")
    assert lock is not None
    lock.tell({"number": 1})
    with serving(desk, unix_doors(home, 1)) as doors:
        path = Path("a.journal")
        desk.begins(Underway(engine, WallClock(), kept, "id", path, path))  # type: ignore[arg-type]  # all it needs
        entry.tell(RunState("running", os.getpid(), doors=doors))
        try:
            yield desk
        finally:
            desk.ends()
            lock.release()


WORDS = ("--from", "2 h", "--to", "123 min", "--reason", "a draft")


def exclude(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["runner", "exclude", *words])
    found = capsys.readouterr()
    return int(ended.value.code or 0), found.out, found.err


def test_a_command_excludes_a_stretch_and_says_what_was_kept(
    detached_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine, kept = Led(), Kept()
    with going_on(detached_home, engine, kept):
        said = exclude(capsys, "1", *WORDS, "--person", "Ada")
    assert said == (0, "run 1 leaves out 2 h = 7200 s to 123 min = 7380 s, that is 180 s\n", "")
    assert engine.heard == [("Ada", 7200.0, 7380.0, "a draft")]
    ((kind, fields),) = kept
    assert (kind, fields["command"], fields["person"], fields["from_s"]) == ("command", "exclude", "Ada", 7200.0)


def test_only_who_has_the_control_excludes(detached_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine, kept = Led(), Kept()
    with going_on(detached_home, engine, kept) as desk:
        desk.acquire("Ben")
        code, _, err = exclude(capsys, "1", *WORDS, "--person", "Ada")
        assert (code, engine.heard, list(kept)) == (2, [], [])
        assert err == "pumpbench: Ben controls this run; ask them, or take it over\n"
        assert exclude(capsys, "1", *WORDS, "--person", "Ada", "--take-over")[0] == 0
    assert [kind for kind, _ in kept] == ["lease", "command"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "run 1: it is later than now"),
        (("--from", "2 h 3 min"), '--from: "2 h 3 min" is not a time'),
        (("--to", "2:03:00"), '--to: "2:03:00" is not a time'),
        (("--to", "7380"), '--to: "7380" is not a time: it has no unit; write 7380 with one of s, ms, us, min, h, day'),
    ],
)
def test_what_is_refused_is_one_sentence_and_leaves_no_record(
    detached_home: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    engine, kept = Led(), Kept()
    engine.refusal = "it is later than now"
    with going_on(detached_home, engine, kept):
        code, out, err = exclude(capsys, "1", *WORDS, *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"pumpbench: {sentence}")
    assert list(kept) == []
