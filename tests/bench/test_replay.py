"""A recorded log goes through the wire of a simulated sensor, the real driver and pyvisa, into a run file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.request import Request
from bench.session import Result, conduct
from bench.station import read_flow_log
from data.checks import Origin
from data.run import Run
from data.samples import Quality

HOURS = 6
STEPS_H = (1.5, 4.0)
SATURATED_S = (9000, 9060)
COUNT_NL_PER_MIN = 0.25


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hours at one value a second: two changes of regime, a minute beyond the sensor's range, a logger's marks."""
    noise = np.random.default_rng(5).normal(0.0, 8.0, HOURS * 3600)
    t = np.arange(HOURS * 3600)
    flow = np.select([t < STEPS_H[0] * 3600, t < STEPS_H[1] * 3600], [4400.0, 3100.0], 2000.0) + noise
    flow[SATURATED_S[0] : SATURATED_S[1]] = 9000.0
    values = np.round(flow / COUNT_NL_PER_MIN) * COUNT_NL_PER_MIN
    path = tmp_path_factory.mktemp("log") / "pump.txt"
    lines = [f"{value:.2f}" for value in values]
    path.write_text("\n".join(["# file TEST1.TXT", *lines[:5000], "# file TEST2.TXT", *lines[5000:]]) + "\n")
    return path


@pytest.fixture(scope="module")
def replayed(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    times, values = read_flow_log(log, "1 s", "nL/min")
    request = Request(
        "flow-record",
        "replay",
        settings={"recording": f"{HOURS} h"},
        out=tmp_path_factory.mktemp("runs"),
        replay={"flow_nl_per_min": (times, values)},
    )
    return conduct(request)


def test_a_replayed_run_says_so(replayed: Result) -> None:
    with Run.open(replayed.run_file) as run:
        assert run.origin is Origin.REPLAYED
    assert replayed.verification.intact


def test_what_was_logged_is_what_is_recorded(replayed: Result, log: Path) -> None:
    _, logged = read_flow_log(log, "1 s", "nL/min")
    with Run.open(replayed.run_file) as run:
        recorded = run.series("flow")
    good = recorded.good()
    found = good.values / 60.0 * 1e3
    # The sensor has its own crystal: each recorded value is one of the values logged within a second of it.
    at = np.round(good.t).astype(int)
    near = np.stack([logged[np.clip(at + shift, 0, logged.size - 1)] for shift in (-1, 0, 1)])
    assert np.abs(near - found).min(axis=0).max() < 1e-6


def test_changes_of_regime_are_found_where_they_were(replayed: Result) -> None:
    changes = {check.name: check.value for check in replayed.evaluation.checks if check.name.startswith("change-")}
    assert list(changes.values()) == pytest.approx(STEPS_H, abs=0.1)


def test_samples_beyond_the_range_are_flagged_and_counted(replayed: Result) -> None:
    with Run.open(replayed.run_file) as run:
        series = run.series("flow")
    flagged = series.t[(series.quality & int(Quality.SATURATED)) != 0]
    assert SATURATED_S[0] - 2 <= flagged[0] <= flagged[-1] <= SATURATED_S[1] + 2
    assert len(flagged) == pytest.approx(SATURATED_S[1] - SATURATED_S[0], abs=2)


@pytest.mark.parametrize(
    ("text", "says"),
    [("12.5\nabc\n", "line 2"), ("", "at least two"), ("# nothing\n1.0\n", "at least two")],
)
def test_a_log_that_is_none_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(path), "--out", str(tmp_path / "runs")])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert says in said
    assert said.count("\n") == 1
