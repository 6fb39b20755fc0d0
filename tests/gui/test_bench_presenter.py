"""The bench at a glance, without a screen: what each station is at, who must act next, and what was opened."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.latch import Latch
from bench.request import Request
from bench.rig_reference import RigReference
from bench.rpc.desk import Desk
from bench.rpc.doors import Doors, unix_doors
from bench.rpc.messages import Ending, Status
from bench.rpc.server import serving
from bench.run_queue import Entry, RunState, StationLock, enqueue, entries
from bench.station import SHIPPED, load_station
from data.checks import Origin, Verdict
from gui.presenters import bench_overview, bench_scan
from gui.presenters.background import Inline
from gui.presenters.bench_overview import HIDDEN_POLLS, BenchOverview
from gui.presenters.bench_rows import StationRow, Urgency, ended_row, next_asked, station_row
from gui.presenters.bench_scan import ANSWER_S, Ended, RunNow, Scanner, StationNow
from gui.presenters.context import Context
from gui.presenters.numbers import local_time
from gui.presenters.rig_checks import CheckRow, RigState
from gui.presenters.tone import Tone
from instruments.capabilities import Prompt

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
REAL = load_station("template")
SIM = load_station("sim")
RUNNING = Status(7, "running", "flow-accuracy", "lab-1", phase="analysis", elapsed_s=100.0, planned_s=3700.0)
STEPS = (
    {"step": "Phase", "name": "stabilisation", "for_s": 60.0},
    {"step": "Phase", "name": "analysis", "for_s": 1840.0},
    {"step": "Confirm", "key": "weight-off", "allow_s": 600.0},
    {"step": "Phase", "name": "blank", "for_s": 1200.0},
)


def entry(number: int = 7, station: str = "lab-1", **fields: Any) -> Entry:
    folder = Path("/nowhere") / "runs" / f"{number:04d}"
    return Entry(number, folder, "flow-accuracy", station, "/nowhere", "2026-03-04T11:00:00+00:00", False, fields)


def running(status: Status | None = RUNNING, silent_s: float = 0.0, **fields: Any) -> StationNow:
    run = RunNow(entry(**fields), RunState("running"), status, silent_s, STEPS)
    return StationNow("lab-1", "/lab-1.toml", REAL, run=run, holder=7)


def ended(number: int = 5, file: str = "/r.h5", **said: Any) -> Ended:
    ending = Ending(**{"state": "ended", "status": "completed", "verdict": "pass", **said})
    state = RunState("ended", journal="/r.journal", ending=ending)
    return Ended(entry(number), state, NOON, Path(file) if file else None)


def row(now: StationNow, *unopened: Ended) -> StationRow:
    return station_row(now, None, unopened, NOON)


FREE = StationNow("lab-1", "/lab-1.toml", REAL)
PROMPT = Prompt("height", "", "How high is the vessel?", "number", "mm")
DIED = ended(file="", state="died", status="", verdict="")


@pytest.mark.parametrize(
    ("now", "urgency", "who", "said"),
    [
        (replace(FREE, died=DIED), Urgency.DEAD, "Engineer", "then to recover its record"),
        (running(replace(RUNNING, latched=("leak-tray",))), Urgency.HELD, "Engineer", "leak-tray"),
        (running(silent_s=9.0), Urgency.SILENT, "Operator", "not answered for 9 s"),
        (running(replace(RUNNING, prompts=(PROMPT,))), Urgency.ASKS, "Operator", "How high is the vessel?"),
        (replace(FREE, latches=(Latch("e-stop", "pressed", ""),)), Urgency.LATCHED, "Engineer", "e-stop (pressed)"),
        (replace(FREE, waiting=(entry(9),)), Urgency.STUCK, "Operator", "run 9 going"),
        (running(replace(RUNNING, state="held")), Urgency.TO_START, "Operator", "to start run 7"),
        (running(replace(RUNNING, state="paused")), Urgency.PAUSED, "Operator", "run 7 go on"),
        (
            StationNow("lab-1", "/a/lab-1.toml", wrong="/a/lab-1.toml:3: no"),
            Urgency.WRONG,
            "Engineer",
            " lab-1.toml:3: no",
        ),
        (replace(FREE, holder=0), Urgency.RUNNING, "Nobody:", "terminal"),
        (running(None), Urgency.RUNNING, "Nobody:", "begins"),
        (FREE, Urgency.FREE, "Nobody:", "free"),
    ],
)
def test_every_state_of_a_station_says_who_must_act_next(now, urgency, who, said):
    shown = row(now)
    assert shown.urgency is urgency
    assert shown.turns[0].who == who
    assert said in shown.turns[0].text


def test_nobody_has_to_act_before_the_run_asks_the_next_time():
    shown = row(running())
    assert shown.turns[0].text.startswith(f"Nobody until {local_time(NOON + timedelta(seconds=1800))[:5]}: then the op")
    assert shown.next_action == "then ask for: weight-off"


def test_what_a_run_was_paused_puts_the_next_question_off_and_a_phase_that_may_end_early_makes_it_the_latest():
    rested = RunNow(entry(), RunState("running"), replace(RUNNING, elapsed_s=1100.0, planned_s=4700.0), 0.0, STEPS)
    assert next_asked(rested) == (1800.0, True, "the operator, ask for: weight-off")
    early = ({"step": "Phase", "name": "stabilisation", "until": {}, "at_most_s": 600.0}, *STEPS[1:])
    run = replace(rested, steps=early, status=replace(RUNNING, elapsed_s=100.0, planned_s=4240.0))
    assert next_asked(run) == (1840.0, False, "the operator, ask for: weight-off")
    shown = row(replace(running(), run=run))
    assert " at the latest: then the operator" in shown.turns[0].text
    assert shown.left == "at most 1 h left"


def test_a_simulated_person_answers_by_itself_so_nobody_has_to_act_before_the_end():
    now = replace(running(pace=60.0), station=SIM)
    assert row(now).turns[0].text == f"Nobody until {local_time(NOON + timedelta(seconds=60))[:5]} at the latest"
    virtual = replace(running(pace=None), station=SIM)
    assert row(virtual).turns[0].text == "Nobody: it ends by itself"


def test_between_phases_the_next_question_is_told_by_the_plan():
    run = RunNow(entry(), RunState("running"), replace(RUNNING, phase="", elapsed_s=2400.0), 0.0, STEPS)
    assert next_asked(run) is None
    before = replace(run, status=replace(RUNNING, phase="", elapsed_s=1000.0))
    assert next_asked(before) == (900.0, True, "the operator, ask for: weight-off")


@pytest.mark.parametrize("state", ["paused", "closing", "held"])
def test_only_a_run_that_goes_on_has_time_left_that_passes(state):
    assert row(running()).left == "at most 1 h left"
    still = row(running(replace(RUNNING, state=state)))
    assert (still.left, still.share) == ("", None)


def test_a_rig_check_that_failed_is_minded_and_one_that_is_old_is_only_told():
    check = CheckRow(Path("r.h5"), NOON, NOON, Verdict.PASS, NOON, None, Origin.MEASURED)
    old = RigState("lab-1", True, RigReference(True, True), (check,))
    failed = RigState("lab-1", True, RigReference(True, False), (replace(check, verdict=Verdict.FAIL),))
    later = NOON + timedelta(hours=30)
    assert station_row(FREE, old, (), later).rig == ("Rig check: expired: 30 h old", Tone.MUTED)
    assert station_row(FREE, failed, (), later).rig == ("Rig check: fail, 30 h ago", Tone.FAIL)


def test_who_has_to_review_is_told_beside_the_run_that_goes_on():
    assert [turn.text for turn in row(running(), ended()).turns][1] == "QA to review run 5"
    free = row(FREE, ended(), ended(4))
    assert (free.urgency, [turn.text for turn in free.turns]) == (Urgency.TO_REVIEW, ["QA to review 2 runs"])


def test_a_run_without_verdict_is_told_by_its_status_and_a_dead_one_is_a_failure():
    assert ended_row(ended(), REAL, frozenset({"/r.h5"})).review == "opened"
    assert ended_row(ended(), REAL, frozenset()).tone is Tone.GOOD
    assert ended_row(DIED, REAL, frozenset()).tone is Tone.FAIL
    assert ended_row(replace(DIED, file=Path("/r.h5")), REAL, frozenset()).status == "died, recovered"


@pytest.mark.parametrize(
    ("status", "verdict", "outcome", "tone"),
    [
        ("completed", "fail", "fail", Tone.FAIL),
        ("completed", "", "completed", Tone.WARN),
        ("aborted", "fail", "aborted, fail", Tone.FAIL),
        ("stopped-by-interlock", "conditional-pass", "stopped by interlock, conditional pass", Tone.WARN),
        ("aborted", "pass", "aborted, pass", Tone.WARN),
    ],
)
def test_a_run_that_did_not_come_to_its_end_says_so_before_its_verdict(status, verdict, outcome, tone):
    one = ended()
    said = replace(one.state, ending=replace(one.state.ending, status=status, verdict=verdict))
    made = ended_row(replace(one, state=said), REAL, frozenset())
    assert (made.outcome, made.tone) == (outcome, tone)


# ------------------------------------------------------------------------------------------------------- looking


@pytest.fixture
def lab(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A folder with one station of the lab's own."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(context.state_folder))
    monkeypatch.chdir(tmp_path)
    context.folder.mkdir()
    text = (SHIPPED / "sim.toml").read_text("utf-8").replace('name = "sim"', 'name = "lab-1"', 1)
    (context.folder / "lab-1.toml").write_text(text, "utf-8")
    return context


@pytest.fixture
def overview(lab: Context) -> BenchOverview:
    """The page's presenter, which has looked once."""
    made = BenchOverview(lab)
    made.attach(Counted())
    inline(lab).run()
    return made


class Counted:
    """A view that counts."""

    def __init__(self) -> None:
        self.shows = 0

    def show_bench(self) -> None:
        self.shows += 1


def inline(context: Context) -> Inline:
    background = context.background
    assert isinstance(background, Inline)
    return background


def queued(context: Context, station: str = "lab-1", file: str = "lab-1.toml") -> Entry:
    return enqueue(context.state_folder, Request("read-out", file, serial="0042", person="Ben"), station)


def looked(context: Context) -> StationNow:
    return Scanner(context.folder, context.state_folder).scan().stations[0]


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_queued_run_that_nobody_can_read_is_told_and_hides_no_other(lab: Context, overview: BenchOverview):
    queued(lab, "sim", "sim")
    queued(lab, "sim", "sim")
    damaged = entries(lab.state_folder)[0].folder / "request.json"
    damaged.write_bytes(b"")
    overview.look()
    inline(lab).run()
    assert "run 0001 is left out" in overview.summary[0]
    assert [len(row.queue) for row in overview.stations if row.name == "sim"] == [1]


def test_a_shipped_station_is_shown_once_it_was_used(lab: Context):
    assert [now.name for now in Scanner(lab.folder, lab.state_folder).scan().stations] == ["lab-1"]
    queued(lab, "sim", "sim")
    found = Scanner(lab.folder, lab.state_folder).scan().stations
    assert [(now.name, now.file) for now in found][1:] == [("sim", "sim")]


def test_what_a_runner_tells_is_on_the_stations_row(lab: Context, socket_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench_scan, "ANSWER_S", 60.0)  # of a computer that stalls
    run = queued(lab)
    lock = StationLock.take(lab.state_folder, "lab-1")
    assert lock is not None
    lock.tell({"number": run.number})
    run.claim()
    with serving(Desk(run.number, "read-out", "lab-1", held=True), unix_doors(socket_folder, 1)) as doors:
        run.tell(RunState("held", doors=doors))
        now = looked(lab)
    lock.release()
    assert now.holder == run.number
    assert now.run is not None
    assert now.run.status is not None
    assert row(now).urgency is Urgency.TO_START


def test_a_runner_that_takes_the_call_and_is_silent_costs_a_moment_and_not_more(lab: Context, socket_folder: Path):
    run = queued(lab)
    lock = StationLock.take(lab.state_folder, "lab-1")
    assert lock is not None
    lock.tell({"number": run.number})
    run.claim()
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(socket_folder / "deaf"))
        deaf.listen()
        run.tell(RunState("running", doors=Doors(f"unix:{socket_folder / 'deaf'}", "unix:/nowhere")))
        now = looked(lab)
    lock.release()
    assert now.run is not None
    assert now.run.status is None
    assert ANSWER_S < 1.0


def test_one_look_that_is_not_answered_after_nobody_had_looked_is_no_long_silence(lab: Context, monkeypatch):
    run, scanner, state = queued(lab), Scanner(lab.folder, lab.state_folder), RunState("running", doors=Doors("", ""))
    clock, told = [100.0], [RUNNING]
    monkeypatch.setattr(bench_scan.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(bench_scan, "_status", lambda *_: told[0])
    scanner._run(run, state)
    clock[0], told[0] = 105.0, None
    assert scanner._run(run, state).silent_s == 0.0
    clock[0] = 108.0
    silent = scanner._run(run, state)
    assert (silent.silent_s, silent.status) == (3.0, RUNNING)


def test_a_run_whose_runner_is_gone_is_dead_until_its_record_is_closed(lab: Context):
    run = queued(lab)
    run.claim()
    journal = lab.folder / "read-out_1.journal"
    journal.write_bytes(b"")
    run.tell(RunState("running", journal=str(journal)))
    scanner = Scanner(lab.folder, lab.state_folder)
    died = scanner.scan().stations[0].died
    assert died is not None
    assert died.has_died
    journal.with_suffix(".h5").write_bytes(b"")
    scan = scanner.scan()
    assert scan.stations[0].died is None
    assert [one.file for one in scan.ended] == [journal.with_suffix(".h5")]


def test_the_record_of_a_dead_run_is_recovered_once_and_then_to_be_reviewed(overview, lab: Context, monkeypatch):
    run, journal, made = queued(lab), lab.folder / "read-out_1.journal", []
    run.claim()
    run.tell(RunState("running", journal=str(journal)))

    def recovered(path: Path) -> None:
        made.append(path)
        path.with_suffix(".h5").write_bytes(b"")

    monkeypatch.setattr(bench_overview, "recovered", recovered)
    overview.look()
    inline(lab).run()
    asked = overview.stations[0]
    for _ in range(2):
        overview.recover(asked)
    assert overview.stations[0].turns[-1].text == "Nobody: its record is being recovered…"
    inline(lab).run()
    assert made == [journal]
    assert overview.stations[0].unopened == journal.with_suffix(".h5")


def test_a_file_that_cannot_be_read_is_a_station_with_a_sentence(lab: Context):
    path = lab.folder / "lab-1.toml"
    path.write_text(path.read_text("utf-8").replace("driver", "drver", 1), "utf-8")
    now = looked(lab)
    assert now.name == "lab-1"
    assert "drver" in now.wrong or "driver" in now.wrong


def test_at_the_first_start_there_is_nothing_but_an_invitation(context: Context, tmp_path, monkeypatch):
    monkeypatch.setenv("PUMPBENCH_HOME", str(context.state_folder))
    monkeypatch.chdir(tmp_path)
    prepared: list[tuple[str, str]] = []
    context.on_prepare(lambda wish: prepared.append((wish.station, wish.protocol)))
    overview = BenchOverview(context)
    overview.attach(Counted())
    assert not overview.is_first_start  # not known yet
    inline(context).run()
    assert overview.is_first_start
    overview.try_it()
    assert prepared == [("sim", "")]


def test_what_nobody_sees_is_looked_at_less_often(overview: BenchOverview, lab: Context, monkeypatch):
    looks: list[int] = []
    monkeypatch.setattr(overview, "look", lambda: looks.append(1))
    for _ in range(2 * HIDDEN_POLLS):
        inline(lab).tick()
    hidden = len(looks)
    overview.shown(True)
    for _ in range(2 * HIDDEN_POLLS):
        inline(lab).tick()
    assert (hidden, len(looks)) == (2, 2 + 1 + 2 * HIDDEN_POLLS)


def test_a_look_that_takes_long_is_not_begun_twice(overview: BenchOverview, lab: Context):
    waiting = inline(lab).waiting
    overview.look()
    overview.look()
    assert len(waiting) == 1


def test_a_waiting_run_is_withdrawn_once_and_the_rest_of_the_queue_stays(overview: BenchOverview, lab: Context):
    first, second = queued(lab), queued(lab)
    overview.withdraw(first)
    inline(lab).run()
    assert [line.entry.number for line in overview.stations[0].queue] == [second.number]
    assert [row.status for row in overview.ended] == ["withdrawn"]
    overview.withdraw(first)
    inline(lab).run()
    said = first.state().ending
    assert said is not None
    assert said.person == "Ada"


def test_a_run_that_was_opened_is_not_to_be_reviewed_again_even_after_a_restart(overview: BenchOverview, lab: Context):
    run, file = queued(lab), lab.folder / "read-out_1.h5"
    file.write_bytes(b"")
    run.claim()
    run.tell(RunState("ended", run_file=str(file), ending=Ending("ended", "completed", run_file=str(file))))
    overview.look()
    inline(lab).run()
    assert overview.stations[0].unopened == file
    lab.open(file)
    assert overview.stations[0].unopened is None
    again = BenchOverview(lab)
    again.attach(Counted())
    inline(lab).run()
    assert again.ended[0].review == "opened"
    assert json.loads((lab.state_folder / "opened.json").read_text("utf-8")) == [str(file)]


def test_what_another_window_has_opened_is_known_here_and_not_forgotten(overview: BenchOverview, lab: Context):
    other = BenchOverview(Context(Inline(), folder=lab.folder, state_folder=lab.state_folder))
    other.context.open(lab.folder / "a.h5")
    lab.open(lab.folder / "b.h5")
    names = {str(lab.folder / name) for name in ("a.h5", "b.h5")}
    assert overview._opened.files == other._opened.files == names


def test_what_needs_a_person_stands_first_and_is_counted(overview: BenchOverview, lab: Context):
    queued(lab, "sim", "sim")
    overview.look()
    inline(lab).run()
    assert [row.name for row in overview.stations] == ["sim", "lab-1"]
    assert overview.summary == ("1 station needs a person now", Tone.WARN)
    assert len(entries(lab.state_folder)) == 1


def test_the_folder_of_the_runs_is_looked_through_aside(context: Context, monkeypatch):
    done: list[str] = []
    monkeypatch.setattr("gui.presenters.bench_overview.rig_files", lambda folder: done.append("looked") or ())
    overview = BenchOverview(context)
    monkeypatch.setattr(overview, "_scanned", lambda *_: done.append("brought back"))
    overview.look()
    inline(context).run()
    assert done == ["looked", "brought back"]


def test_stations_that_nobody_could_look_at_for_a_while_are_told_to_be_of_before(
    overview: BenchOverview, lab: Context, monkeypatch: pytest.MonkeyPatch
):
    now = [overview._seen_at]
    monkeypatch.setattr(bench_overview.time, "monotonic", lambda: now[0])
    overview.shown(True)  # a look that a share does not let come to an end
    shown = overview._view.shows
    now[0] += 90.0
    overview._tick()
    assert overview.summary[0].startswith("What stands here is 1 min 30 s old")
    assert (overview.summary[1], overview._view.shows) == (Tone.FAIL, shown + 1)
    inline(lab).run()
    assert "old" not in overview.summary[0]


@pytest.mark.parametrize("error", [OSError(116, "Stale file handle"), PermissionError(13, "Permission denied")])
@pytest.mark.parametrize("name", ["scandir", "exists", "stat"])
def test_a_share_that_has_gone_hides_no_station_and_no_run(lab: Context, overview, monkeypatch, name: str, error):
    file = ended_at(lab)
    owner = os if name == "scandir" else Path
    plain = getattr(owner, name)

    def gone(path: Any, *words: Any, **options: Any) -> Any:
        if isinstance(path, Path) and (path == lab.folder or lab.folder in path.parents):
            raise error
        return plain(path, *words, **options)

    monkeypatch.setattr(owner, name, gone)
    overview.look()
    inline(lab).run()
    assert overview.trouble == ""
    assert [row.name for row in overview.stations] == ["lab-1"]
    assert [row.file for row in overview.ended] == ([file] if name != "scandir" else [None])
    assert (f"cannot be read ({error.strerror})" in overview.summary[0]) == (name != "exists")


def test_a_share_that_is_not_mounted_for_a_while_hides_no_station_and_no_file_for_good(lab: Context):
    scanner, away, file = Scanner(lab.folder, lab.state_folder), lab.folder.with_name("away"), ended_at(lab)
    before = scanner.scan().stations
    lab.folder.rename(away)
    scan = scanner.scan()
    assert scan.stations == before
    assert scan.damaged == (
        f"{lab.folder} cannot be read (it is not there any more): station files are those that were there before",
    )
    away.rename(lab.folder)
    file.touch()
    scan = scanner.scan()
    assert [one.file for one in scan.ended] == [file]
    assert scan.damaged == ()


def ended_at(lab: Context) -> Path:
    """A run of the station that has ended; its file, as it told."""
    run, file = queued(lab), lab.folder / "read-out_1.h5"
    run.claim()
    run.tell(RunState("ended", run_file=str(file), ending=Ending("ended", "completed", run_file=str(file))))
    return file
