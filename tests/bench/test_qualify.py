"""Qualification: what is planned, what a run is held to, and that a kill loses no trial."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import main
from bench.file_lock import lock_file
from bench.qualify import drawn, pool
from bench.qualify.faults import faults_file, read_faults
from bench.qualify.forecast import left_s
from bench.qualify.hardware import BenchRecord, qualify_bench
from bench.qualify.ledger import Ledger, look, under_way
from bench.qualify.matrix import matrix_of
from bench.qualify.outcome import compare
from bench.qualify.page import page
from bench.qualify.plan import Plan, Row, build_plan
from bench.qualify.record_page import bench_page, requirements_page
from bench.qualify.requirements import read_requirements, trace
from bench.qualify.words import summary
from bench.request import RequestError
from bench.station import station_path
from data.checks import Check, Evaluation, Status, Verdict
from data.tomlfile import FileError
from instruments.simulation.faults import FAULTS
from protocols.operational_qualification import PARTS

ROOT = Path(__file__).parents[2]

SHIPPED = ("sim-long", "sim-life", "sim-full", "sim-refill", "sim-catheter")

# --------------------------------------------------------------------------------------------------------- the plan


@pytest.fixture(scope="module")
def quick_plan() -> Plan:
    return build_plan(SHIPPED, quick=True)


def test_every_fault_of_the_plant_is_claimed_tried_or_said_to_be_unseen(quick_plan: Plan) -> None:
    plan = quick_plan
    assert set(FAULTS) == {row.fault for row in plan.rows if row.fault} | set(plan.unseen)
    assert {row.protocol for row in plan.rows} == {row.protocol for row in plan.rows if row.expected == "sound"}
    assert not [each for each in plan.left_out if "no fault" not in each.why]


def test_every_trial_of_the_full_matrix_has_a_moment_a_severity_and_a_station() -> None:
    plan = build_plan(SHIPPED, quick=False)
    assert len(list(plan.trials())) == plan.seeds * sum(r.expected != "right" for r in plan.rows) + plan.pumps
    leak = [row for row in plan.rows if row.fault == "leak" and row.checks == ("ratio-steady",)]
    assert {row.form: row.severity for row in leak} == {"1 mL/day": 0.10, "0.1 mL/day": 0.15, "0.048 mL/day": 0.30}
    assert {row.at_s for row in leak} == {(24.0 + 12.5) * 3600.0}


def test_a_protocol_that_no_station_can_run_is_left_out_with_the_reason() -> None:
    plan = build_plan(["sim"], quick=True)
    why = {each.protocol: each.why for each in plan.left_out}
    assert "which rig-check needs" in why["rig-check"]
    assert why["calibration"] == "no fault is claimed by it"
    assert not {row.protocol for row in plan.rows} & set(why)


def test_a_protocol_runs_on_the_station_that_has_settings_for_it_and_else_on_the_first_that_can() -> None:
    for order in (["sim-long", "sim-life"], ["sim-life", "sim-long"]):
        plan = build_plan(order, quick=True, protocols=["reservoir-life", "flow-accuracy", "priming"])
        on = {row.protocol: row.station for row in plan.rows}
        assert on == {"reservoir-life": "sim-life", "flow-accuracy": "sim-long", "priming": order[0]}


def test_equal_plans_have_equal_digests_and_others_have_others(tmp_path: Path) -> None:
    one, same, more = (build_plan(["sim"], quick=True, seeds=n, protocols=["priming"]) for n in (1, 1, 2))
    assert one.digest == same.digest != more.digest
    path = tmp_path / "sim.toml"
    path.write_text(station_path("sim").read_text("utf-8") + "\n# moved\n", "utf-8")
    assert build_plan([str(path)], quick=True, seeds=1, protocols=["priming"]).digest != one.digest


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"stations": ["sim"], "protocols": ["primin"]}, 'did you mean "priming"'),
        ({"stations": ["sim"], "faults": ["leek"]}, 'did you mean "leak"'),
        ({"stations": ["sim"], "protocols": ["rig-check"]}, "nothing is left to run"),
        ({"stations": ["template"]}, "--hardware"),
    ],
)
def test_what_cannot_be_planned_is_told_in_one_sentence(asked: dict[str, list[str]], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        build_plan(**asked, quick=True)


FAULT = """[leak]
owner = "catheter"
severity = 0.3
from = 0.001
to = 1.0
unit = "1"
means = "share"
shows = "balance low"
"""


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("", 'either claims or a reason why it is "unseen"'),
        ('unseen = "too small"\n[leak.claims]\nrate-step = "start"\n', "remove the other"),
        ('[leak.claims]\nrate-step = "a; b"\n[[leak.trials]]\nprotocol = "rate-step"\ncheck = "c"\n', "a; b"),
        ('unsen = "too small"\n', 'did you mean "unseen"'),
    ],
)
def test_a_table_that_claims_nothing_clear_is_refused(more: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(FAULT + more, "utf-8")
    with pytest.raises(FileError, match=says):
        read_faults(path)


def test_a_missing_table_of_faults_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.qualify.faults.NAME", "gone.toml")
    with pytest.raises(FileError, match="the table is missing; install pumpbench anew"):
        faults_file()


# ------------------------------------------------------------------------------------------- what a run is held to

SOUND = Row("flow-accuracy", "short", "sim", {}, None, "sound", 1)
LEAK = replace(SOUND, expected="found", fault="leak", owner="catheter", checks=("ratio",))
DRY = replace(LEAK, fault="dry-evaporation-trap", owner="rig", checks=("evaporation",))
SLOW = replace(LEAK, fault="under-delivery", owner="dut", checks=("mean",))
STOP = replace(LEAK, fault="e-stop", owner="rig", checks=("interlock",))
PAIR = replace(LEAK, expected="not-passed", faults=("leak", "over-delivery:1.25"))


def said(**verdicts: Verdict) -> Evaluation:
    """An evaluation: the owner is that which such a check has."""
    owners = {"ratio": "catheter", "evaporation": "rig"}
    return Evaluation(
        tuple(Check(name, name, 1.0, "%", each, owners.get(name, "dut")) for name, each in verdicts.items())  # type: ignore[arg-type]
    )


FAIL, INVALID, PASS, UNKNOWN = Verdict.FAIL, Verdict.INVALID, Verdict.PASS, Verdict.NOT_MEASURED


@pytest.mark.parametrize(
    ("row", "evaluation", "right"),
    [
        (SOUND, said(mean=PASS), True),
        (SOUND, said(mean=UNKNOWN), True),
        (SOUND, said(mean=FAIL), False),
        (SOUND, said(mean=PASS, evaporation=INVALID), False),
        (SLOW, said(mean=FAIL), True),
        (SLOW, said(other=FAIL, mean=PASS), False),  # failed by another check than the one that claims it
        (SLOW, said(mean=INVALID), False),
        (LEAK, said(ratio=INVALID, mean=INVALID), True),
        (LEAK, said(ratio=FAIL), True),
        (LEAK, said(ratio=INVALID, mean=FAIL), False),  # the pump is blamed
        (DRY, said(evaporation=INVALID, mean=INVALID), True),
        (DRY, said(evaporation=PASS, mean=PASS), False),
        (DRY, said(evaporation=INVALID, mean=FAIL), False),
        (DRY, said(evaporation=INVALID, ratio=FAIL), False),  # the catheter is blamed
        (PAIR, said(mean=FAIL), True),
        (PAIR, said(mean=PASS), False),
    ],
)
def test_a_run_is_held_to_its_claim(row: Row, evaluation: Evaluation, right: bool) -> None:
    assert compare(row, evaluation, Status.COMPLETED).as_claimed is right


def test_a_check_of_another_owner_finds_nothing() -> None:
    wrong = replace(LEAK, owner="rig")
    assert compare(wrong, said(ratio=INVALID), Status.COMPLETED).as_claimed is False


@pytest.mark.parametrize(("status", "right"), [(Status.STOPPED_BY_INTERLOCK, True), (Status.COMPLETED, False)])
def test_a_fault_that_has_to_stop_the_run_is_found_by_the_stop(status: Status, right: bool) -> None:
    assert compare(STOP, said(mean=UNKNOWN), status).as_claimed is right


def test_a_sound_run_that_broke_off_is_not_sound() -> None:
    assert compare(SOUND, said(mean=UNKNOWN), Status.STOPPED_BY_INTERLOCK).as_claimed is False


# ------------------------------------------------------------------------------------------- pumps around the limit


@given(st.integers(1, 10_000), st.floats(1.0, 30.0), st.floats(0.01, 0.2))
def test_an_aim_falls_into_its_stratum(seed: int, limit: float, share: float) -> None:
    expanded = share * limit
    error = drawn.wanted_error(seed, limit, expanded)
    edge = abs(abs(abs(error) - limit) - 2.0 * expanded) < 1e-9 * limit or abs(abs(error) - limit) < 1e-9 * limit
    assert edge or drawn.stratum_of(error, limit, expanded) == drawn.aim(seed)
    assert abs(error) <= 2.0 * limit


def pump(true: float, verdict: Verdict) -> dict[str, object]:
    return {"verdict": str(verdict), "drawn": {"true": true, "value": true, "limit": 14.5, "U": 0.5}}


def test_pumps_are_counted_by_their_true_error() -> None:
    conditional = Verdict.CONDITIONAL_FAIL
    near = [pump(14.2, PASS)] * 48 + [pump(-14.4, conditional), pump(13.9, FAIL)]
    beyond = [pump(14.9, FAIL), pump(-15.0, PASS)]
    rest = [pump(3.0, PASS), pump(3.0, INVALID), pump(20.0, FAIL), pump(10.0, conditional)]
    inside, outside, elsewhere = drawn.count([*near, *beyond, *rest])
    assert (inside.pumps, inside.wrong, inside.allowed, inside.holds) == (50, 1, 1, True)
    assert (outside.pumps, outside.wrong, outside.allowed, outside.holds) == (2, 1, 0, False)
    assert (elsewhere.pumps, elsewhere.wrong, elsewhere.no_verdict, elsewhere.holds) == (4, 1, 1, False)


# -------------------------------------------------------------------------------------------- the record of trials

TRIAL = {"row": "a", "seed": 1, "verdict": "pass"}


def test_a_stop_of_one_trial_latches_no_other_and_the_register_of_the_bench_has_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    plan = build_plan(["sim-full"], quick=True, seeds=2, protocols=["rig-check"], faults=["e-stop"])
    (row,) = [row for row in plan.rows if row.fault == "e-stop"]
    asked = [(row, seed) for seed in (1, 2)]
    (tmp_path / "out").mkdir()
    said = list(pool.run_all(asked, tmp_path / "out", 1))
    assert [trial["status"] for trial in said] == ["stopped-by-interlock"] * 2
    assert not (tmp_path / "home").exists()


def test_a_trial_that_was_recorded_is_there_again(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(TRIAL)
    with Ledger(tmp_path, "plan", "code") as again:
        assert again.done == {("a", 1): TRIAL}


@pytest.mark.parametrize("length", [1, 20, 74])
def test_a_torn_last_line_goes_and_the_next_one_is_whole(length: int, tmp_path: Path) -> None:
    line = b'{"plan": "plan", "code": "code", "row": "a", "seed": 2, "verdict": "pass"}\n'
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(TRIAL)
    with ledger.path.open("ab") as file:
        file.write(line[:length])
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert list(ledger.done) == [("a", 1)]
        ledger.append(TRIAL | {"seed": 3})
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert list(ledger.done) == [("a", 1), ("a", 3)]


def test_a_folder_has_one_qualification_at_a_time_and_others_may_look(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append({"row": "a", "seed": 1, "status": "completed"})
        assert under_way(tmp_path) == os.getpid()
        assert look(tmp_path, "plan", "code") == ledger.done
        with pytest.raises(RequestError, match="is under way there"):
            Ledger(tmp_path, "plan", "code")
    assert under_way(tmp_path) is None
    assert look(tmp_path / "nothing", "plan", "code") == {}


def test_a_qualification_begins_though_a_window_looks_at_its_folder_at_that_moment(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code"):
        pass
    looking = (tmp_path / "under-way.lock").open("r+b")
    assert lock_file(looking)
    threading.Timer(0.1, looking.close).start()
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert ledger.done == {}


def test_a_trial_whose_process_died_is_a_miss_and_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WORKER", ("-c", "raise SystemExit(7)"))
    (said,) = pool.run_all([(SOUND, 1)], tmp_path, 1)
    assert (said["as_claimed"], said["seed"], said["row"]) == (False, 1, SOUND.key)
    assert "died with code 7" in said["why"]
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(said)
        assert len(ledger.done) == 1
    with Ledger(tmp_path, "plan", "code") as again:
        assert again.done == {}


def test_a_trial_that_a_signal_stopped_says_nothing_and_is_run_again(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(TRIAL | {"seed": 2, "status": "aborted", "as_claimed": False})
        ledger.append(TRIAL | {"seed": 3, "status": "stopped-by-interlock"})
    with Ledger(tmp_path, "plan", "code") as again:
        assert [seed for _, seed in again.done] == [3]
        assert again.foreign == 0


def test_trials_of_another_plan_or_of_other_code_do_not_count(tmp_path: Path) -> None:
    for plan, code in (("plan", "other"), ("other", "code")):
        with Ledger(tmp_path, plan, code) as ledger:
            ledger.append(TRIAL)
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert (ledger.done, ledger.foreign) == ({}, 2)


def test_the_time_left_follows_the_trials_that_were_measured() -> None:
    plan = build_plan(["sim"], quick=True, seeds=4, protocols=["priming"], faults=["over-delivery"])
    trials = list(plan.trials())
    assert left_s(plan, {}, 2) is None
    done = {(row.key, seed): {"wall_s": 10.0} for row, seed in trials[:4]}
    assert left_s(plan, done, 2) == pytest.approx(10.0 * (len(trials) - 4) / 2)


# --------------------------------------------------------------------------------------------- a small real matrix


KILLED_IN_TIME = """
import os, signal, sys
from bench.cli import main
from bench.qualify.ledger import Ledger
append = Ledger.append
def killed(*ledger_and_trial):
    append(*ledger_and_trial)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
Ledger.append = killed
main(sys.argv[1:])
"""
"""The command, which is killed as soon as its first trial is on the disk."""


@pytest.fixture(scope="module")
def qualified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, dict[str, object]]:
    """Folder of a matrix whose process was killed after its first trial, that trial, and the matrix after going on."""
    folder = tmp_path_factory.mktemp("qualified")
    text = station_path("sim").read_text("utf-8")
    for old, new in (('period = "1 s"', 'period = "10 s"'), ('interval = "0.1 s"', 'interval = "0.2 s"')):
        text = text.replace(old, new)
    (folder / "sim.toml").write_text(text.replace('rate = "10 Hz"', 'rate = "1 Hz"'), "utf-8")
    out, ledger = folder / "out", folder / "out" / "trials.jsonl"
    words = ["qualify", "--station", str(folder / "sim.toml"), "--quick", "--seeds", "1", "--protocol", "flow-accuracy"]
    words += ["--fault", "over-delivery", "--fault", "frozen-reading", "--jobs", "1", "--out", str(out), "--json"]
    killed = subprocess.run(
        [sys.executable, "-P", "-c", KILLED_IN_TIME, *words], stdout=subprocess.DEVNULL, check=False
    )
    assert killed.returncode not in (0, 1), "it ended before it was killed"
    first = ledger.read_bytes()
    again = subprocess.run([sys.executable, "-P", "-m", "bench.cli", *words], stdout=subprocess.PIPE, check=False)
    assert again.returncode == 0
    return out, first, json.loads(again.stdout)


def test_a_matrix_goes_on_after_a_kill_without_doing_a_trial_twice(qualified) -> None:
    out, first, matrix = qualified
    assert first.count(b"\n") < 3
    assert (out / "trials.jsonl").read_bytes().startswith(first)
    trials = [json.loads(line) for line in (out / "trials.jsonl").read_bytes().splitlines()]
    assert len({(trial["row"], trial["seed"], trial["code"]) for trial in trials}) == len(trials)
    assert matrix["complete"] is True


def test_a_small_matrix_says_who_found_what(qualified) -> None:
    _, _, matrix = qualified
    rows = {row["fault"]: row for row in matrix["rows"]}
    assert rows[""]["verdicts"] == {"pass": 1}
    assert rows["over-delivery"]["found_by"] == {"mean-flow-error": 1}
    assert rows["frozen-reading"]["verdicts"] == {"invalid": 1}
    assert rows["frozen-reading"]["proved_at_least"] == pytest.approx(0.05)
    assert rows["frozen-reading"]["told_s"] == pytest.approx(3 * 3600.0 - 4200.0, rel=0.05)


def test_the_files_of_a_matrix_say_the_same_as_its_document(qualified) -> None:
    out, _, matrix = qualified
    with h5py.File(out / "matrix.h5") as file:
        entry = file["entry"]
        assert entry.attrs["NX_class"] == "NXentry"
        assert entry["rows/fault"].asstr()[:].tolist() == [row["fault"] for row in matrix["rows"]]
        assert entry["rows/at_s"].attrs["units"] == "s"
        assert entry["trials/as_claimed"][:].tolist() == [1, 1, 1]
    text = (out / "matrix.html").read_text("utf-8")
    assert "✓ found</span> 1 of 1, ≥ 5.0 %" in text
    assert not re.search(r"https?:|<script|class=.bad", text)


def test_a_miss_is_coloured_named_and_fails_the_matrix() -> None:
    plan = build_plan(["sim"], quick=True, seeds=1, protocols=["priming"], faults=["over-delivery"])
    missed = {"seed": 1, "verdict": "pass", "status": "completed", "as_claimed": False, "why": "", "told_s": 9.0}
    done = {(row.key, seed): missed for row, seed in plan.trials() if row.fault}
    matrix = matrix_of(plan, done, code="c" * 64, made_at="2026-01-01")
    text = page(matrix)
    assert not matrix.holds
    assert 'class="bad"' in text
    assert "✗ missed</span> 0 of 1" in text
    assert "Not as claimed" in text


def test_what_was_not_run_is_not_called_as_claimed() -> None:
    plan = build_plan(["sim"], quick=True, seeds=1, protocols=["priming"], faults=["over-delivery"])
    matrix = matrix_of(plan, {}, code="c" * 64, made_at="2026-01-01")
    assert not matrix.complete
    assert summary(matrix) == "0 of 1 row as claimed; 0 false alarms in 0 runs of sound pumps; trials are missing"


def test_bad_input_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["qualify", "--station", "simm"])
    assert end.value.code == 2
    assert 'did you mean "sim"' in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ requirements


def test_every_requirement_names_evidence_that_there_is(quick_plan: Plan) -> None:
    rows = {f"{row.protocol}/{row.fault or 'sound'}" for row in quick_plan.rows} | {"pumps"}
    for name, requirement in read_requirements().items():
        assert set(requirement.rows) <= rows, name
        assert {check.partition("/")[0] for check in requirement.bench} <= set(PARTS), name
        assert [test for test in requirement.tests if not (ROOT / test).is_file()] == [], name


def _matrix_document(as_claimed: int, trials: int) -> dict[str, object]:
    runs = [{"seed": seed, "run": f"{seed:016x}", "verdict": "fail"} for seed in range(trials)]
    counts = {"planned": 3, "trials": trials, "as_claimed": as_claimed, "runs": runs}
    bounds = {"proved_at_least": 0.37, "proved_at_most": None}
    faults = ("over-delivery", "under-delivery", "motor-stall", "reset-to-minimum-rate", "free-flow")
    rows = [{"protocol": "flow-accuracy", "fault": fault, **counts, **bounds} for fault in faults]
    return {"rows": rows, "pumps": [{"stratum": "rest", "pumps": 12, "wrong": 0, "holds": True}]}


@pytest.mark.parametrize(("as_claimed", "trials", "state"), [(3, 3, "holds"), (2, 3, "fails"), (2, 2, "missing")])
def test_a_requirement_is_shown_only_by_all_of_its_evidence(
    as_claimed: int, trials: int, state: str, tmp_path: Path
) -> None:
    (tmp_path / "matrix.json").write_text(json.dumps(_matrix_document(as_claimed, trials)), "utf-8")
    traced = {each.name: each for each in trace(tmp_path)}
    assert traced["wrong-delivery"].state == state
    assert traced["true-mass"].state == "missing"
    assert traced["quantities"].state == "named"
    assert f"{as_claimed} of {trials}" in requirements_page(list(traced.values()), "2026-01-01")


def test_a_requirement_that_nothing_shows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "requirements.toml"
    path.write_text('[easy]\nsentence = "It is easy."\n', "utf-8")
    with pytest.raises(FileError, match="nothing shows this requirement"):
        read_requirements(path)


# -------------------------------------------------------------------------------------------------- the bench itself


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BenchRecord]:
    """The record of a simulated bench, by its weights and its emergency stop."""
    out = tmp_path_factory.mktemp("bench")
    parts = ("weights", "e-stop", "relief")
    return out, qualify_bench("sim-full", out, made_at="2026-01-01", person="Ada Example", parts=parts)


def test_a_pressed_stop_passes_the_part_that_it_ends(record) -> None:
    _, made = record
    parts = {part.name: part for part in made.parts}
    assert list(parts) == ["weights", "relief", "e-stop"]
    assert (parts["e-stop"].status, parts["e-stop"].verdict) == ("stopped-by-interlock", Verdict.PASS)
    assert parts["weights"].verdict is Verdict.PASS
    assert parts["relief"].why_not == "a simulated rig has no relief valve"


def test_the_record_of_a_bench_names_its_instruments_and_is_evidence(record) -> None:
    out, made = record
    balance = next(row for row in made.installed if row["instrument"] == "balance")
    assert (balance["serial"], balance["certificates"]) == ("B021002593", "mass: SIM-BAL-01, due 2030-12-31")
    traced = {each.name: each for each in trace(out)}
    assert traced["true-mass"].state == "holds"
    assert traced["true-flow"].state == "missing"
    text = bench_page(made)
    assert "not run: a simulated rig has no relief valve" in text
    assert "Ada Example" in text


def test_an_unknown_part_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there are weights, flow"):
        qualify_bench("sim-full", tmp_path, made_at="", person="", parts=["weight"])
