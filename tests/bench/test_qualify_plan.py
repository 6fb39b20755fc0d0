"""What a qualification plans: rows, trials and the identity by which a trial counts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.qualify import trial
from bench.qualify.faults import faults_file, read_faults
from bench.qualify.plan import Basis, Plan, Row, build_plan, changed, code_identity
from bench.request import Request, RequestError
from bench.station import station_path
from data.tomlfile import FileError
from instruments.simulation.faults import FAULTS

ROOT = Path(__file__).parents[2]

SOUND = Row("flow-accuracy", "short", "sim", {}, None, "sound", 1)

SHIPPED = ("sim-long", "sim-life", "sim-full", "sim-refill", "sim-catheter", "sim-twin")


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
    assert {row.form: row.severity for row in leak} == {"1 mL/day": 0.10, "0.1 mL/day": 0.015, "0.048 mL/day": 0.0144}
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


@pytest.mark.parametrize("order", [["sim-long", "sim-twin"], ["sim-twin", "sim-long"]])
def test_a_sound_pump_is_tried_beside_a_twin_vessel_too_and_nothing_else_is(order: list[str]) -> None:
    plan = build_plan(order, quick=False, protocols=["flow-accuracy"])
    by_twin = [row for row in plan.rows if row.station == "sim-twin"]
    assert [(row.form, row.expected, row.fault) for row in by_twin] == [("1 mL/day, sim-twin", "sound", "")]
    assert {row.station for row in plan.rows} == {"sim-long", "sim-twin"}
    assert not plan.left_out


def test_a_station_on_which_a_sound_pump_was_to_be_tried_too_is_missed() -> None:
    plan = build_plan(["sim"], quick=True, protocols=["flow-accuracy"])
    assert [(each.protocol, each.why) for each in plan.left_out] == [
        ("flow-accuracy on sim-twin", "it takes --station sim-twin as well")
    ]
    assert not build_plan(["sim"], quick=True, protocols=["flow-accuracy"], faults=["leak"]).left_out


def test_equal_plans_have_equal_digests_and_others_have_others(tmp_path: Path) -> None:
    one, same, more = (build_plan(["sim"], quick=True, seeds=n, protocols=["priming"]) for n in (1, 1, 2))
    assert one.digest == same.digest != more.digest
    path = tmp_path / "sim.toml"
    path.write_text(station_path("sim").read_text("utf-8") + "\n# moved\n", "utf-8")
    assert build_plan([str(path)], quick=True, seeds=1, protocols=["priming"]).digest != one.digest


def test_another_pump_under_the_same_name_and_another_version_of_a_package_make_other_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump, station = tmp_path / "pump.toml", tmp_path / "mine.toml"
    text = (ROOT / "bench" / "duts" / "sim-peristaltic.toml").read_text("utf-8")
    pump.write_text(text, "utf-8")
    ours = re.sub(r'(?m)^dut = "[^"]*"', lambda _: f"dut = '{pump}'", station_path("sim").read_text("utf-8"))
    station.write_text(ours, "utf-8")

    def planned() -> Plan:
        return build_plan([str(station)], quick=True, protocols=["flow-accuracy"])

    one = planned()
    assert planned().digest == one.digest
    pump.write_text(text.replace("14.5 %", "1.5 %"), "utf-8")
    other = planned()
    assert other.digest != one.digest
    assert not {row.key for row in one.rows} & {row.key for row in other.rows}
    was = code_identity.__wrapped__()
    monkeypatch.setattr("bench.qualify.plan.software", lambda: {"numpy": "0.1"})
    assert code_identity.__wrapped__() != was


@pytest.fixture
def mine(tmp_path: Path) -> tuple[Path, Plan]:
    """A station file of its own with a pump of its own, and the plan that was made of them."""
    pump, station = tmp_path / "pump.toml", tmp_path / "mine.toml"
    pump.write_text((ROOT / "bench" / "duts" / "sim-peristaltic.toml").read_text("utf-8"), "utf-8")
    text = station_path("sim").read_text("utf-8")
    station.write_text(re.sub(r'(?m)^dut = "[^"]*"', lambda _: f"dut = '{pump}'", text), "utf-8")
    return station, build_plan([str(station)], quick=True, seeds=1, protocols=["flow-accuracy"])


def test_a_worker_sees_what_changed_under_its_plan(mine: tuple[Path, Plan]) -> None:
    station, plan = mine
    basis, row = Basis.of(plan), plan.rows[0]
    assert changed(row, basis) == ""
    pump = station.with_name("pump.toml")
    whole = pump.read_text("utf-8")
    pump.write_text(whole.replace("14.5 %", "1.5 %"), "utf-8")
    assert changed(row, basis) == f"file of the pump, fluid or catheter on {station}"
    pump.write_text(whole, "utf-8")
    station.write_text(station.read_text("utf-8") + "# moved\n", "utf-8")
    assert changed(row, basis) == f"station file {station}"
    station.write_text("half of a fi", "utf-8")
    assert changed(row, basis).startswith(f"station file {station} (")


def test_a_worker_sees_that_the_code_changed(mine: tuple[Path, Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    basis = Basis.of(mine[1])
    monkeypatch.setattr("bench.qualify.plan.software", lambda: {"numpy": "0.1"})
    assert changed(mine[1].rows[0], basis) == "code"


@pytest.mark.parametrize("during", [False, True])
def test_a_trial_under_which_a_file_changed_is_of_no_plan(
    during: bool, mine: tuple[Path, Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station, plan = mine
    basis, runs = Basis.of(plan), list[Row]()

    def moved() -> None:
        station.write_text(station.read_text("utf-8") + "# moved\n", "utf-8")

    def tried(row: Row, *_: object) -> dict[str, object]:
        runs.append(row)
        moved()
        return {"verdict": "pass", "status": "completed", "as_claimed": True, "why": ""}

    monkeypatch.setattr(trial, "_tried", tried)
    if not during:
        moved()
    said = trial.conduct_trial(plan.rows[0], 1, tmp_path, basis)
    assert (said["status"], said["verdict"], len(runs)) == ("changed", "", int(during))
    assert f"station file {station} changed after the plan was made" in said["why"]


def test_a_rig_check_of_another_form_station_or_code_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def made(request: Request, **_: object) -> SimpleNamespace:
        asked.append(request)
        path = request.out / "rig.h5"
        path.write_text(str(len(asked)), "utf-8")
        return SimpleNamespace(run_file=path)

    monkeypatch.setattr(trial, "conduct", made)
    (tmp_path / trial.UNDER_WAY).mkdir()
    mine = tmp_path / "sim.toml"
    mine.write_text(station_path("sim").read_text("utf-8"), "utf-8")
    short = replace(SOUND, station=str(mine), rig_check={"weighings": "2"})

    def relied_on(row: Row, code: str) -> str:
        monkeypatch.setattr(trial, "code_identity", lambda: code)
        trial._provide_rig_check(row, 1, tmp_path, tmp_path)
        return (tmp_path / "rig-check_0001.h5").read_text("utf-8")

    cases = [(short, "a"), (short, "a"), (replace(short, rig_check={}), "a"), (short, "b")]
    assert [relied_on(*case) for case in cases] == ["1", "1", "2", "3"]
    mine.write_text(mine.read_text("utf-8") + "# moved", "utf-8")
    assert relied_on(short, "a") == "4"
    assert [request.settings for request in asked] == [{"weighings": "2"}, {}, {"weighings": "2"}, {"weighings": "2"}]


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
        ('[leak.claims]\nrate-step = "interlock"\n', 'write "interlock NAME"'),
        (
            '[leak.claims]\nrate-step = "a"\n[[leak.trials]]\nprotocol = "rate-step"\nevery = true\n',
            '"every" of a trial',
        ),
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
