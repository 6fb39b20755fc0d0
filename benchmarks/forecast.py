"""Is U what it was forecast to be?  Short flow-accuracy runs, each with the forecast that its own record keeps.

Each seed draws another rig.  Printed is, for each run, the expanded uncertainty that its evaluation found over the one
that was said before it began.  Asked for: every U found within 20 % of its forecast.

    python -m benchmarks forecast [--runs 20] [--analysis "2 h"] [--blank-length "50 min"] [--rates "1 0.1"]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.request import Request
from bench.session import conduct
from data.run import Run

STATION = "sim"
BLANKS = ("stopped", "diverter")
WITHIN = (0.8, 1.2)


def one_run(settings: Mapping[str, str], seed: int) -> tuple[float, float, float, float]:
    """U found, and U forecast with the ends of its interval, of the mean flow error in percent."""
    with tempfile.TemporaryDirectory() as folder:
        result = conduct(Request("flow-accuracy", STATION, settings=dict(settings), seed=seed, out=Path(folder)))
        with Run.open(result.run_file) as run:
            said = next(one.fields for one in run.records("forecast") if one.fields["check"] == "mean-flow-error")
    check = next(one for one in result.evaluation.checks if one.name == "mean-flow-error")
    assert check.expanded_uncertainty is not None
    return check.expanded_uncertainty, said["expanded_uncertainty"], said["low"], said["high"]


def main(arguments: list[str] | None = None) -> int:
    """Run and report; exit code 1 when a ratio is outside."""
    parser = argparse.ArgumentParser(prog="forecast", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--analysis", default="2 h")
    parser.add_argument("--blank-length", default="50 min")
    parser.add_argument("--stabilisation", default="2 h")
    parser.add_argument("--rates", default="1 0.1")
    parser.add_argument("--first-seed", type=int, default=1)
    options = parser.parse_args(arguments)
    common = {"analysis": options.analysis, "blank-length": options.blank_length}
    common["stabilisation"] = options.stabilisation
    kinds = itertools.cycle(itertools.product(options.rates.split(), BLANKS))
    ratios, inside = [], 0
    for seed, (rate, blank) in zip(range(options.first_seed, options.first_seed + options.runs), kinds, strict=False):
        found, said, low, high = one_run({**common, "schedule": f"{rate} mL/day", "blank": blank}, seed)
        ratios.append(found / said)
        inside += low <= found <= high
        print(
            f"seed {seed:3} {rate:>5} mL/day {blank:8}: found {found:.4f} %, forecast {said:.4f} % "
            f"({low:.4f} to {high:.4f}), ratio {found / said:.3f}",
            flush=True,
        )
    ordered = sorted(ratios)
    agreed = sum(WITHIN[0] <= ratio <= WITHIN[1] for ratio in ratios)
    print(
        f"{agreed} of {len(ratios)} within 20 %, median ratio {ordered[len(ordered) // 2]:.3f}, "
        f"{ordered[0]:.3f} to {ordered[-1]:.3f}; {inside} inside the interval of nine in ten"
    )
    return 0 if agreed == len(ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
