"""Fault, owner, check, verdict: what docs/faults.toml says of each fault, by a whole run each.

A seed draws the rig anew; benchmarks/detection.py has many of them, and runs of full length.  The bench is the shipped
simulated station, read less often so that a run takes a fraction of a second; some rows are repeated on the station as
shipped.  Sealing is left out here: it has tests of its own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.request import Request
from bench.session import Result, conduct
from bench.station import station_path
from data.checks import Check, Evaluation, Status, Verdict
from data.run import Event, Run
from instruments.clock import VirtualClock
from protocols.analysis.flow_verdict import evaluate

SEEDS = 5  # the rows take them in turn
ANALYSIS = {"1 mL/day": "2 h", "0.1 mL/day": "4.8 h", "0.048 mL/day": "5 h"}  # whole strokes, or many of them
BLANK_H = 5.0 / 6.0
MID_RUN = "2.25h"  # the analysis is from 1.33 h to 3.33 h

LESS_OFTEN = (
    ('period = "1 s"', 'period = "10 s"'),
    ('interval = "0.1 s"', 'interval = "1 s"'),
    ('rate = "10 Hz"', 'rate = "1 Hz"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "60 min"'),
    ('max_outage = "60 s"', 'max_outage = "10 min"'),
)
SHIPPED_BLOCK_S = VirtualClock.block_s

pytestmark = pytest.mark.usefixtures("unsealed", "long_blocks")


@pytest.fixture
def long_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured does not depend on the length of blocks; to read many short ones takes its time.

    Of one test and no longer, lest the run that many modules share be made with them.
    """
    monkeypatch.setattr(VirtualClock, "block_s", 600.0)


def _station(path: Path, *changes: tuple[str, str]) -> str:
    text = station_path("sim").read_text(encoding="utf-8")
    for old, new in (*LESS_OFTEN, *changes):
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _station(tmp_path_factory.mktemp("station") / "quick.toml")


@pytest.fixture(scope="module")
def averaging(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same with more readings of the flow sensor, without which it shows nothing at low rates."""
    path = tmp_path_factory.mktemp("averaging") / "quick.toml"
    return _station(path, ('interval = "1 s"', 'interval = "0.4 s"'))


def _run(
    station: str, out: Path, *faults: str, seed: int = 1, rate: str = "1 mL/day", blank: str = "diverter"
) -> Result:
    settings = {
        "schedule": rate,
        "stabilisation": "0 h",
        "analysis": ANALYSIS[rate],
        "blank": blank,
        "blank_length": "50 min",
    }
    return conduct(Request("flow-accuracy", station, settings=settings, faults=faults, seed=seed, out=out))


def _check(evaluation: Evaluation, name: str) -> Check:
    return next(check for check in evaluation.checks if check.name == name)


def _unfit(evaluation: Evaluation) -> list[str]:
    return [check.name for check in evaluation.checks if check.suitability and check.verdict is Verdict.INVALID]


# ------------------------------------------------------------------------------------------------------ the table


@dataclass(frozen=True)
class Row:
    """A fault, the check that has to find it, and whose fault that check has to say it is."""

    fault: str
    check: str
    owner: str = "rig"

    def __str__(self) -> str:
        return self.fault


PUMP = (
    Row("over-delivery:1.2@0h", "mean-flow-error", "dut"),
    Row(f"over-delivery:1.5@{MID_RUN}", "mean-flow-error", "dut"),
    Row("under-delivery:0.8@0h", "mean-flow-error", "dut"),
    Row("motor-stall:1@0h", "no-flow", "dut"),
    Row(f"motor-stall:1@{MID_RUN}", "no-flow", "dut"),
    Row(f"reset-to-minimum-rate:1@{MID_RUN}", "no-flow", "dut"),
    Row(f"free-flow:5000@{MID_RUN}", "unexpected-delivery", "dut"),
)

RIG = (
    Row("leak:0.3@0h", "sensor-balance-ratio", "catheter"),
    Row(f"leak:0.1@{MID_RUN}", "ratio-steady", "catheter"),
    Row(f"occlusion:1@{MID_RUN}", "outlet-pressure", "catheter"),
    Row("dry-evaporation-trap:3@0h", "evaporation"),
    Row(f"dry-evaporation-trap:3@{MID_RUN}", "blanks-agree"),
    Row(f"bath-off:1@{MID_RUN}", "bath-temperature"),
    Row("sensor-drift:2@0h", "ratio-steady"),
    Row(f"balance-drift:5@{MID_RUN}", "blanks-agree"),
    Row(f"air-bubble:50@{MID_RUN}", "no-air"),
    Row(f"unplug:1@{MID_RUN}", "data-complete"),
    Row(f"frozen-reading:1@{MID_RUN}", "balance-alive"),
)


def _seeded(rows: Sequence[Row]) -> list[tuple[Row, int]]:
    return [(row, 1 + number % SEEDS) for number, row in enumerate(rows)]


@pytest.mark.parametrize(("row", "seed"), _seeded(PUMP), ids=str)
def test_a_fault_of_the_pump_fails_the_pump(row: Row, seed: int, station: str, tmp_path: Path) -> None:
    evaluation = _run(station, tmp_path, row.fault, seed=seed).evaluation
    found = _check(evaluation, row.check)
    assert (found.verdict, found.owner, evaluation.verdict) == (Verdict.FAIL, "dut", Verdict.FAIL)
    assert not _unfit(evaluation)


@pytest.mark.parametrize(("row", "seed"), _seeded(RIG), ids=str)
def test_a_fault_of_rig_or_catheter_neither_fails_nor_passes_the_pump(
    row: Row, seed: int, station: str, tmp_path: Path
) -> None:
    evaluation = _run(station, tmp_path, row.fault, seed=seed).evaluation
    found = _check(evaluation, row.check)
    assert (found.verdict, found.owner) == (Verdict.INVALID, row.owner)
    assert evaluation.verdict is Verdict.INVALID
    assert {_check(evaluation, name).owner for name in _unfit(evaluation)} == {row.owner}
    assert not {check.verdict for check in evaluation.checks} & {Verdict.FAIL, Verdict.CONDITIONAL_FAIL}


@pytest.mark.parametrize(
    ("rate", "seed"), [("1 mL/day", 1), ("1 mL/day", 2), ("0.1 mL/day", 3), ("0.048 mL/day", 4)], ids=str
)
def test_a_healthy_pump_on_a_healthy_rig_passes(
    rate: str, seed: int, station: str, averaging: str, tmp_path: Path
) -> None:
    evaluation = _run(station if rate == "1 mL/day" else averaging, tmp_path, seed=seed, rate=rate).evaluation
    assert evaluation.verdict is Verdict.PASS, _unfit(evaluation)


@pytest.mark.parametrize(("fault", "seed"), [("garbled-reply:0.01@0h", 5), ("unplug:0.01@0.5h", 1)])
def test_lost_readings_leave_the_verdict_to_the_pump_and_are_told(
    fault: str, seed: int, station: str, tmp_path: Path
) -> None:
    result = _run(station, tmp_path, fault, seed=seed)
    assert result.evaluation.verdict is Verdict.PASS
    with Run.open(result.run_file) as run:
        assert [*run.gaps("reference_mass"), *run.gaps("flow")]
        assert [event.text for event in run.events if event.kind == "event"]
    over = _run(station, tmp_path, fault, "over-delivery:1.2@0h").evaluation
    assert over.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "faults",
    [
        ("over-delivery:1.25@0h", "leak:0.2@0h"),  # together they deliver what was programmed
        ("over-delivery:1.25@0h", "dry-evaporation-trap:10.4@0h"),
        ("under-delivery:0.75@0h", f"balance-drift:15@{MID_RUN}"),
        ("over-delivery:1.25@0h", f"bath-off:1@{MID_RUN}"),
        ("over-delivery:1.25@0h", f"frozen-reading:1@{MID_RUN}"),
        ("over-delivery:1.25@0h", f"air-bubble:30@{MID_RUN}"),
        ("over-delivery:1.25@0h", f"unplug:1@{MID_RUN}"),
        ("over-delivery:1.25@0h", "sensor-drift:-2@0h"),
    ],
    ids=" and ".join,
)
def test_a_fault_of_the_rig_cannot_hide_one_of_the_pump(faults: Sequence[str], station: str, tmp_path: Path) -> None:
    evaluation = _run(station, tmp_path, *faults, seed=3).evaluation
    assert evaluation.verdict in (Verdict.INVALID, Verdict.FAIL)


@pytest.mark.parametrize("fault", ["frozen-reading:1@0h", "unplug:1@0h", "air-bubble:5@0h", "bath-off:1@0h"])
def test_a_rig_that_is_unfit_from_the_start_judges_nothing(fault: str, station: str, tmp_path: Path) -> None:
    assert _run(station, tmp_path, fault, seed=2).evaluation.verdict in (Verdict.INVALID, Verdict.NOT_MEASURED)


def test_every_fault_of_the_table_in_the_docs_has_a_row_here() -> None:
    table = tomllib.loads((Path(__file__).parents[2] / "docs" / "faults.toml").read_text(encoding="utf-8"))
    rows = {row.fault.partition(":")[0]: row for row in (*PUMP, *RIG)}
    claimed = {
        name: entry["claims"]["flow-accuracy"]
        for name, entry in table.items()
        if "flow-accuracy" in entry.get("claims", {})
    }
    assert set(claimed) == set(rows)
    for name, row in rows.items():
        assert table[name]["owner"] == row.owner, name
        assert row.check in claimed[name], name


# ---------------------------------------------------------------------------------------- the station as it is shipped


def test_a_healthy_pump_passes_on_the_shipped_station(short_run: Result) -> None:
    assert short_run.evaluation.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("faults", "verdict"),
    [(["leak:0.3@0h"], Verdict.INVALID), (["motor-stall:1@1.2h"], Verdict.FAIL)],
    ids=["rig", "pump"],
)
def test_the_shipped_station_gives_the_same_verdicts(
    faults: Sequence[str],
    verdict: Verdict,
    short_request: Callable[..., Request],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(VirtualClock, "block_s", SHIPPED_BLOCK_S)
    assert conduct(short_request(faults=faults, seed=6, out=tmp_path)).evaluation.verdict is verdict


# ----------------------------------------------------------------------------------------------------- interlocks


def test_a_pump_that_fills_the_vessel_fails_although_the_interlock_ended_the_run(station: str, tmp_path: Path) -> None:
    result = _run(station, tmp_path, "free-flow:9000@1h", seed=2)
    assert result.end.status is Status.STOPPED_BY_INTERLOCK
    assert result.evaluation.verdict is Verdict.FAIL
    assert _check(result.evaluation, "mean-flow-error").verdict is Verdict.FAIL


def test_a_pump_that_dumps_while_it_is_stopped_fails(station: str, tmp_path: Path) -> None:
    evaluation = _run(station, tmp_path, "free-flow:20000@5min", blank="stopped").evaluation
    assert _check(evaluation, "unexpected-delivery").verdict is Verdict.FAIL
    assert evaluation.verdict is Verdict.FAIL


def test_a_run_that_ended_before_its_last_blank_blames_no_pump_for_what_a_vessel_can_lose(tmp_path: Path) -> None:
    blind = _station(tmp_path / "blind.toml", ('flow = "flow_sensor.flow"\n', ""), ('high = "14 g"', 'high = "70 mg"'))
    lossy = _run(blind, tmp_path, "dry-evaporation-trap:12@1.4h")
    assert lossy.end.status is Status.STOPPED_BY_INTERLOCK
    mean = _check(lossy.evaluation, "mean-flow-error")
    assert mean.value is not None
    assert mean.value < -16.0
    assert mean.verdict is Verdict.NOT_MEASURED
    assert lossy.evaluation.verdict is Verdict.NOT_MEASURED


# ---------------------------------------------------------------------------------- what the flow sensor cannot tell


def test_at_a_low_rate_the_sensor_says_that_it_cannot_show_a_leak_from_the_start(
    averaging: str, tmp_path: Path
) -> None:
    told = _check(_run(averaging, tmp_path, "leak:0.03@0h", rate="0.1 mL/day").evaluation, "sensor-balance-ratio")
    assert told.verdict is Verdict.NOT_CAPABLE
    assert "cannot show a loss below" in told.note


def test_a_leak_that_drains_the_vessel_while_the_pump_stands_shows_as_evaporation_and_is_taken_off(
    averaging: str, tmp_path: Path
) -> None:
    healthy = _run(averaging, tmp_path, rate="0.1 mL/day", blank="stopped").evaluation
    assert healthy.verdict is Verdict.PASS
    leaky = _run(averaging, tmp_path, "leak:0.03@0h", rate="0.1 mL/day", blank="stopped").evaluation
    found = _check(leaky, "evaporation")
    assert (found.verdict, found.owner, leaky.verdict) == (Verdict.INVALID, "rig", Verdict.INVALID)
    assert _check(leaky, "sensor-balance-ratio").verdict is Verdict.PASS
    errors = [_check(one, "mean-flow-error").value for one in (healthy, leaky)]
    assert errors[1] == pytest.approx(errors[0], abs=1.0)  # of 30 % that were lost


# --------------------------------------------------------------------------------------------------------- exclusions


STEP_H = 2.25


@pytest.fixture(scope="module")
def touched(
    station: str,
    tmp_path_factory: pytest.TempPathFactory,
    without_seals: Callable[[], AbstractContextManager[None]],
) -> dict[float, Path]:
    """Runs whose balance record has a step of so many milligrams, by way of a replayed record."""
    hours = np.arange(0.0, 6.0, 1.0 / 360.0)
    collecting = np.clip(hours - BLANK_H, 0.0, 2.5)
    noise = np.random.default_rng(7).normal(0.0, 0.02, hours.size)
    found = {}
    for step in (-30.0, 30.0):
        mass = 41.5 * collecting - 0.02 * hours + noise + step * (hours > STEP_H)
        settings = {"stabilisation": "0 h", "analysis": "2 h", "blank_length": "50 min"}
        request = Request(
            "flow-accuracy",
            station,
            settings=settings,
            out=tmp_path_factory.mktemp("touched"),
            replay={"reference_load_mg": (hours * 3600.0, mass)},
        )
        with without_seals():
            found[step] = conduct(request).run_file
    return found


def _with_exclusion(path: Path, monkeypatch: pytest.MonkeyPatch, hours: float) -> Evaluation:
    """The evaluation after a named person took out a stretch around the step."""
    fields = {
        "from_s": STEP_H * 3600.0 - 20.0,
        "to_s": STEP_H * 3600.0 - 20.0 + hours * 3600.0,
        "reason": "vessel touched",
        "person": "A. Engineer",
    }
    with Run.open(path) as run:
        recorded = run.records
        monkeypatch.setattr(
            run, "records", lambda kind: [Event(0.0, kind, fields)] if kind == "exclusion" else recorded(kind)
        )
        return evaluate(run)


def test_a_fall_of_the_mass_is_left_out_and_said(touched: dict[float, Path]) -> None:
    with Run.open(touched[-30.0]) as run:
        evaluation = evaluate(run)
    assert evaluation.verdict is Verdict.PASS
    assert [(gap.person, "fell" in gap.reason) for gap in evaluation.excluded] == [("", True)]
    assert evaluation.excluded[0].from_s == pytest.approx(STEP_H * 3600.0, abs=30.0)


def test_a_rise_that_did_not_pass_the_sensor_stays_in_and_blames_nobody(touched: dict[float, Path]) -> None:
    with Run.open(touched[30.0]) as run:
        evaluation = evaluate(run)
    assert evaluation.excluded == ()
    raised = _check(evaluation, "unexpected-delivery")
    assert raised.verdict is evaluation.verdict is Verdict.INVALID
    assert raised.value == pytest.approx(30.0, rel=0.05)


def test_a_rise_without_an_event_and_without_a_second_channel_fails(
    touched: dict[float, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Run.open(touched[30.0]) as run:
        has = run.has
        monkeypatch.setattr(run, "has", lambda role: role != "flow" and has(role))
        evaluation = evaluate(run)
    assert evaluation.excluded == ()
    assert _check(evaluation, "unexpected-delivery").verdict is Verdict.FAIL
    assert evaluation.verdict is Verdict.FAIL


def test_only_a_named_person_takes_a_rise_out(touched: dict[float, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = _with_exclusion(touched[30.0], monkeypatch, 40.0 / 3600.0)
    assert evaluation.verdict is Verdict.PASS
    assert [gap.person for gap in evaluation.excluded] == ["A. Engineer"]


def test_more_than_a_twentieth_left_out_judges_nothing(
    touched: dict[float, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = _with_exclusion(touched[30.0], monkeypatch, 0.11)
    assert _check(evaluation, "excluded").verdict is Verdict.INVALID
    assert _check(evaluation, "mean-flow-error").verdict is Verdict.INVALID
