"""Equal data from a 49 h run for every longest block, folder, time zone and recovery, with and without a trip.

    python -m benchmarks determinism [--hours 49] [--blocks 1 30 60]

States each run's content digest and wall time, and fails when those that should be equal are not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.closing import close_run
from bench.request import Request
from bench.session import Result, conduct
from bench.station import SHIPPED
from data.checks import Status

LOW = ('high = "150 kPa"', 'high = "20 kPa"')


def elsewhere(request: Request, folder: Path) -> str:
    """Digest of the same run from another process, in another folder, time zone and order of hashes."""
    words = [word for name, value in request.settings.items() for word in ("--set", f"{name}={value}")]
    words += [word for fault in request.faults for word in ("--fault", fault)]
    words += ["--station", request.station, "--seed", str(request.seed), "--out", "there"]
    subprocess.run(
        [sys.executable, "-P", "-m", "bench.cli", "run", request.procedure, *words],
        cwd=folder,
        env={**os.environ, "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    (journal,) = (folder / "there").glob("*.journal")
    return close_run(journal, folder / "again.h5").verification.digest


def compare(label: str, request: Request, blocks: list[float], status: Status) -> bool:
    """Conduct a request with each longest block and in other surroundings; whether all data are the same."""
    digests = []

    def shown(what: str, digest: str, more: str) -> None:
        digests.append(digest)
        print(f"{label}, {what:14} {digest[:16]}  {more}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for block in blocks:
            options = {**vars(request), "longest_block_s": block, "out": folder / f"{block:g}"}
            result: Result = conduct(Request(**options))
            assert result.end.status is status, result.end
            done = f"{result.simulated_s / 3600.0:.2f} h in {result.wall_s:.1f} s, {result.evaluation.verdict}"
            shown(f"blocks {block:g} s", result.verification.digest, done)
        recovered = close_run(result.journal, folder / "recovered.h5")
        shown("recovered", recovered.verification.digest, "")
        shown("elsewhere", elsewhere(request, folder), "other process, folder, TZ, PYTHONHASHSEED")
        other = conduct(Request(**{**vars(request), "seed": request.seed + 1, "out": folder / "other"}))
        print(f"{label}, another seed   {other.verification.digest[:16]}", flush=True)
    return len(set(digests)) == 1 and other.verification.digest not in digests


def main(arguments: list[str] | None = None) -> int:
    """Compare runs without and with a trip."""
    parser = argparse.ArgumentParser(prog="determinism", description=__doc__)
    parser.add_argument("--hours", type=float, default=49.0, help="stabilisation and analysis together")
    parser.add_argument("--blocks", type=float, nargs="+", default=[60.0, 30.0, 1.0])
    options = parser.parse_args(arguments)
    settings = {"stabilisation": f"{options.hours * 24 / 49:.3f} h", "analysis": f"{options.hours * 25 / 49:.3f} h"}
    with tempfile.TemporaryDirectory() as name:
        low = Path(name) / "low.toml"
        text = (SHIPPED / "sim.toml").read_text("utf-8")
        assert LOW[0] in text
        low.write_text(text.replace(*LOW, 1), "utf-8")
        clean = Request("flow-accuracy", "sim", settings=settings, seed=7)
        fault = f"occlusion@{options.hours / 5:.3f} h"
        trip = Request("flow-accuracy", str(low), settings=settings, seed=7, faults=[fault])
        same = compare("clean", clean, options.blocks, Status.COMPLETED)
        same &= compare("trip", trip, options.blocks, Status.STOPPED_BY_INTERLOCK)
    print("all equal where they should be" if same else "DIFFERENT")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
