"""Equal seeds give equal data: whatever the block length, the folder, the time zone, and whether the run was recovered.

The runs are short; benchmarks/determinism.py does the same with 49 h.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.closing import close_run
from bench.request import Request
from bench.session import Result, conduct
from data.checks import Status
from data.seal import read_seal

Trip = Callable[..., Result]


def digest(path: Path) -> str:
    seal = read_seal(path)
    assert seal is not None
    return str(seal["content"])


def test_the_data_do_not_depend_on_the_longest_block(
    short_run: Result, short_request: Callable[..., Request], tmp_path: Path
) -> None:
    other = conduct(short_request(out=tmp_path, longest_block_s=7.0))
    assert digest(other.run_file) == digest(short_run.run_file)


@pytest.mark.parametrize("longest_block_s", [1.0, 30.0])
def test_a_tripped_runs_data_do_not_depend_on_the_longest_block(
    trip: Trip, tripped: Result, longest_block_s: float
) -> None:
    other = trip(longest_block_s=longest_block_s)
    assert other.end == tripped.end
    assert other.end.status is Status.STOPPED_BY_INTERLOCK
    assert digest(other.run_file) == digest(tripped.run_file)


def test_another_seed_gives_other_data(trip: Trip, tripped: Result) -> None:
    assert digest(trip(seed=4).run_file) != digest(tripped.run_file)


def test_a_paced_run_gives_the_same_data(trip: Trip, tripped: Result) -> None:
    paced = trip(pace=5000.0)
    assert digest(paced.run_file) == digest(tripped.run_file)
    assert paced.wall_s > paced.simulated_s / 5000.0


def test_folder_time_zone_and_hash_seed_change_nothing(tripped: Result, occluded: Request, tmp_path: Path) -> None:
    station = tmp_path / "elsewhere" / "other-name.toml"
    station.parent.mkdir()
    station.write_bytes(Path(occluded.station).read_bytes())
    settings = [word for name, value in occluded.settings.items() for word in ("--set", f"{name}={value}")]
    wanted = ["--station", str(station), "--seed", "3", "--fault", occluded.faults[0], "--json", *settings]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench.cli", "run", "flow-accuracy", *wanted],
        cwd=tmp_path,
        env={**os.environ, "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (1, 4), done.stderr
    assert digest(tmp_path / json.loads(done.stdout)["run_file"]) == digest(tripped.run_file)


def test_a_recovered_run_is_the_closed_one(short_run: Result, tripped: Result, tmp_path: Path) -> None:
    for number, run in enumerate((short_run, tripped)):
        recovered = close_run(run.journal, tmp_path / f"{number}.h5")
        assert recovered.verification.digest == run.verification.digest
        assert recovered.evaluation.verdict == run.evaluation.verdict
