"""Does flow-accuracy find each fault, blame its owner, and neither fail nor pass a pump for the rig?  At full length.

The rows of docs/faults.toml that flow-accuracy claims, at every rate, as pumpbench qualify runs them; each seed draws
every uncertain input of the rig anew.  Counts are printed with their exact one-sided 95 % bounds: 20 of 20 proves 86 %.

    python -m benchmarks detection [--seeds 20] [--fault leak] [--pumps 0] [--processes 2]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.qualify.ledger import Ledger
from bench.qualify.matrix import matrix_of
from bench.qualify.plan import build_plan, code_identity
from bench.qualify.pool import run_all
from bench.qualify.show import print_matrix


def main(arguments: list[str] | None = None) -> int:
    """Run and report; exit code 1 when a run did not say what is claimed."""
    parser = argparse.ArgumentParser(prog="detection", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--fault", action="append", default=[], help="only this one")
    parser.add_argument("--pumps", type=int, default=0, help="pumps drawn around their limit")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    plan = build_plan(
        ["sim"],
        quick=False,
        seeds=options.seeds,
        pumps=options.pumps,
        protocols=["flow-accuracy"],
        faults=options.fault,
    )
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder), plan.digest, code_identity()) as ledger:
        for said in run_all(plan.trials(), Path(folder), options.processes):
            ledger.append(said)
        matrix = matrix_of(plan, ledger.done, code=code_identity(), made_at="")
    print_matrix(matrix)
    return 0 if matrix.holds else 1


if __name__ == "__main__":
    sys.exit(main())
