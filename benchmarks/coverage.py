"""Does the stated uncertainty hold in full runs?  Whole flow-accuracy runs of the simulated station against its truth.

Each seed draws every uncertain input of the rig from its stated law: density of the fluid, evaporation, drift,
linearity, gains, temperatures, barometer.  A run goes through the real pyvisa and nidaqmx, journal, run file and
evaluation; the result is compared with the mass that truly left the tip.  Asked for: at least 87 of 100 results inside
U, and rms(error)/rms(u) between 0.75 and 1.25, at each rate.

    python -m benchmarks coverage [--runs 100] [--rates "1 0.1 0.048"] [--blank diverter] [--first-seed 0]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from bench.request import Request
from bench.session import conduct
from bench.station import OpenStation
from data.run import Run

RATES = "1 0.1 0.048"


def one_run(rate_ml_per_day: float, blank: str, seed: int) -> tuple[float, float, float]:
    """Error, standard uncertainty and expanded uncertainty of the judged mean flow error, in percent."""
    truth: dict[str, Any] = {}

    def look(opened: OpenStation) -> None:
        assert opened.rig is not None
        truth["mass"] = opened.rig.plant.truth["tip_mass_mg"]
        truth["draws"] = opened.rig.plant.draws

    station = "sim-twin" if blank == "twin" else "sim"
    with tempfile.TemporaryDirectory() as folder:
        settings = {"schedule": f"{rate_ml_per_day:g} mL/day", "blank": blank}
        result = conduct(
            Request("flow-accuracy", station, settings=settings, seed=seed, out=Path(folder)), afterwards=look
        )
        with Run.open(result.run_file) as run:
            from_s, to_s = run.phase("analysis")
    check = next(check for check in result.evaluation.checks if check.name == "mean-flow-error")
    value, u, expanded = check.value, check.standard_uncertainty, check.expanded_uncertainty
    assert value is not None
    assert u is not None
    assert expanded is not None
    density = (truth["draws"]["fluid.density_kg_per_m3"] + truth["draws"]["fluid.density_deviation_kg_per_m3"]) / 1000.0
    delivered_ul = (truth["mass"].at(to_s) - truth["mass"].at(from_s)) / density
    expected_ul = rate_ml_per_day * 1000.0 * (to_s - from_s) / 86_400.0
    return value - 100.0 * (delivered_ul / expected_ul - 1.0), u, expanded


def report(rate_ml_per_day: float, results: list[tuple[float, float, float]]) -> bool:
    """Print one line; whether it is as asked for."""
    inside = sum(abs(error) <= expanded for error, _, expanded in results)
    ratio = math.sqrt(sum(e * e for e, _, _ in results) / sum(u * u for _, u, _ in results))
    typical = sorted(expanded for _, _, expanded in results)[len(results) // 2]
    print(
        f"{rate_ml_per_day:6.3g} mL/day: {inside} of {len(results)} inside U, rms(error)/rms(u) {ratio:.3f}, "
        f"median U {typical:.3f} %",
        flush=True,
    )
    return inside >= 0.87 * len(results) and 0.75 <= ratio <= 1.25


def main(arguments: list[str] | None = None) -> int:
    """Run and report; exit code 1 when the coverage is not as asked for."""
    parser = argparse.ArgumentParser(prog="coverage", description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--rates", default=RATES)
    parser.add_argument("--blank", choices=("diverter", "stopped", "twin"), default="diverter")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    good = True
    with ProcessPoolExecutor(options.processes) as pool:
        for rate in map(float, options.rates.split()):
            seeds = range(options.first_seed, options.first_seed + options.runs)
            results = list(pool.map(partial(one_run, rate, options.blank), seeds))
            good &= report(rate, results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
