"""Coefficients of the plant found again, lives of a filling told, and each fault that the two protocols claim.

Short forms on the full simulated station with the pump that declares every limit.  Each seed draws every uncertain
input of the rig anew.  Ratios of healthy runs stand against what the plant's parameters make them, what is left at the
alarm against the plant's reservoir: rms(error)/rms(u) between 0.75 and 1.25 is asked for, and printed with the share
within U.

    python -m benchmarks environment [--seeds 20] [--first 1] [--rows bath] [--coverage 40] [--processes 2]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.qualify.bounds import least_share
from bench.request import Request
from bench.session import Result, conduct
from bench.station import OpenStation, station_path
from data.checks import Check, Verdict
from data.run import Run
from protocols.analysis.reservoir_life.record import read_life
from protocols.procedure import load_procedure

LESS_OFTEN = (
    ('period = "1 s"', 'period = "20 s"'),
    ('interval = "0.1 s"', 'interval = "1 s"'),
    ('rate = "10 Hz"', 'rate = "0.1 Hz"'),
    ('period = "3 s"\nsafe_timeout = "10 s"', 'period = "80 s"\nsafe_timeout = "250 s"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "30 min"'),
    ('period = "2 s"', 'period = "30 s"'),
    ('driver = "julabo"', 'driver = "julabo"\nperiod = "60 s"'),
    ('max_outage = "5 s"', 'max_outage = "30 min"'),
    ('max_outage = "60 s"', 'max_outage = "30 min"'),
    ("demanded = true", "demanded = false"),
)
"""The station is read less often than as it is shipped, and its rig check is left out."""

ENVIRONMENT, LIFE = "environment", "reservoir-life"
BODY_DEGC = 37.0
ALARM_UL = 2000.0
MEAN, PRESSURE, RESERVOIR, TEMPERATURE = 1.01, -0.1, 0.05, 0.1  # ratio; %/kPa, %/kPa, %/K
ASKED = (0.75, 1.25)


@dataclass(frozen=True)
class Row:
    """A protocol, its fault, what the run has to say, and the check that has to say it, of its owner."""

    protocol: str
    faults: tuple[str, ...]
    verdict: Verdict
    check: str = ""
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.protocol}: {' + '.join(self.faults) or 'healthy'}"


ROWS = (
    Row(ENVIRONMENT, (), Verdict.PASS),
    Row(ENVIRONMENT, ("bath-off",), Verdict.INVALID, "temperature-1-held", "rig"),
    Row(ENVIRONMENT, ("sensor-drift:0.5",), Verdict.INVALID, "pressure-repeats", "rig"),
    Row(ENVIRONMENT, ("wrong-height:200",), Verdict.INVALID, "pressure-1-held", "rig"),
    Row(LIFE, (), Verdict.PASS),
    Row(LIFE, ("over-delivery:1.25",), Verdict.FAIL, "alarm-error", "dut"),
    Row(LIFE, ("under-delivery:0.75",), Verdict.FAIL, "alarm-error", "dut"),
    Row(LIFE, ("reservoir-count:3000",), Verdict.FAIL, "alarm-before-empty", "dut"),
    Row(LIFE, ("reservoir-count:-1000",), Verdict.FAIL, "alarm-calculated", "dut"),
    Row(LIFE, ("battery-low",), Verdict.FAIL, "pump-alarms", "dut"),
    Row(LIFE, ("pump-clock-offset:3600@3h",), Verdict.FAIL, "pump-clock", "dut"),
)


def _run(row: Row, seed: int) -> tuple[Result, float]:
    """One run of the protocol's short form, and what was truly left at the alarm, in uL at 20 degC."""
    truth: dict[str, Any] = {}

    def look(opened: OpenStation) -> None:
        assert opened.rig is not None
        truth["plant"] = opened.rig.plant

    with tempfile.TemporaryDirectory() as folder:
        text = station_path("sim-full").read_text(encoding="utf-8")
        for old, new in LESS_OFTEN:
            assert old in text, old
            text = text.replace(old, new)
        station = Path(folder) / "full.toml"
        station.write_text(text, encoding="utf-8")
        settings = dict(load_procedure(row.protocol).qualification)
        result = conduct(
            Request(
                row.protocol,
                str(station),
                settings=settings,
                dut="sim-declared",
                faults=row.faults,
                seed=seed,
                out=Path(folder),
            ),
            afterwards=look,
        )
        left = math.nan
        if row.protocol == LIFE:
            with Run.open(result.run_file) as run:
                alarm_s = read_life(run).logged_s("alarm low-reservoir")
            if alarm_s is not None:
                plant = truth["plant"]
                shrinks = plant.density_kg_per_m3(BODY_DEGC) / plant.density_kg_per_m3(20.0)
                left = plant.truth["reservoir_volume_ul"].at(alarm_s) * shrinks
        return result, left


def one_run(row: Row, seed: int) -> tuple[Verdict, bool, dict[str, tuple[Check, float]]]:
    """The run's verdict, whether the row's check said what it had to, and checks with their true values."""
    result, left_ul = _run(row, seed)
    evaluation = result.evaluation
    checks = {check.name: check for check in evaluation.checks}
    said = checks.get(row.check)
    right = not row.check or (said is not None and said.verdict is row.verdict and said.owner == row.owner)
    true = {**expected(), "alarm-error": left_ul - ALARM_UL}
    known = {name: (checks[name], value) for name, value in true.items() if name in checks}
    return evaluation.verdict, right, known


def expected() -> dict[str, float]:
    """What the plant's own parameters make of the healthy runs' checks."""
    kelvin = 310.15
    vapour = (35.0 + 101.325) * (math.exp(-26000.0 / 8.314462618 * (1.0 / 305.15 - 1.0 / kelvin)) - 1.0)
    cold = 1.0 + 0.01 * (TEMPERATURE * -5.0 + RESERVOIR * vapour) / MEAN
    pressures = (-13.332, 13.332, 39.997)
    found = {f"pressure-{n}": PRESSURE / MEAN * kpa for n, kpa in enumerate(pressures, 1)}
    found["temperature-1"] = 100.0 * (cold * 995.02 / 993.33 - 1.0)
    return found


def coverage(results: Sequence[dict[str, tuple[Check, float]]]) -> bool:
    """Print how the errors compare with their uncertainty; whether that is as asked for."""
    good = True
    for name in sorted({name for result in results for name in result}):
        pairs = [result[name] for result in results if name in result]
        errors = [(check.value or 0.0) - true for check, true in pairs]
        expanded = sorted(check.expanded_uncertainty or 0.0 for check, _ in pairs)
        inside = sum(abs(e) <= (c.expanded_uncertainty or 0.0) for e, (c, _) in zip(errors, pairs, strict=True))
        u2 = math.fsum((check.standard_uncertainty or 0.0) ** 2 for check, _ in pairs)
        ratio = math.sqrt(math.fsum(e * e for e in errors) / u2)
        mean, median = math.fsum(errors) / len(errors), expanded[len(expanded) // 2]
        print(
            f"{name:14} {inside} of {len(pairs)} within U, mean error {mean:+.3g}, median U {median:.3g} "
            f"{pairs[0][0].unit}, rms(error)/rms(u) {ratio:.2f}",
            flush=True,
        )
        good &= ASKED[0] <= ratio <= ASKED[1]
    return good


def report(row: Row, results: Sequence[tuple[Verdict, bool, dict[str, tuple[Check, float]]]]) -> bool:
    """Print one line; whether every run is as claimed."""
    good = sum(verdict is row.verdict and right for verdict, right, _ in results)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(v for v, _, _ in results).items())
    what = f"{row.check} of {row.owner}" if row.check else "run"
    bound = 100.0 * least_share(good, len(results))
    print(f"{row!s:46} {what:28} {verdicts:24} {good} of {len(results)}, at least {bound:.0f} %", flush=True)
    return good == len(results)


def main(arguments: list[str] | None = None) -> int:
    """Run and report; exit code 1 when a run did not say what is claimed or the uncertainty does not hold."""
    parser = argparse.ArgumentParser(prog="environment", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--rows", default="", help="only rows that contain this")
    parser.add_argument("--coverage", type=int, default=40, help="seeds of the healthy rows, for the uncertainty")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    good, healthy = True, []
    with ProcessPoolExecutor(options.processes) as pool:
        for row in ROWS:
            if options.rows not in str(row):
                continue
            count = options.seeds if row.faults else max(options.seeds, options.coverage)
            seeds = range(options.first, options.first + count)
            results = list(pool.map(partial(one_run, row), seeds))
            good &= report(row, results)
            if not row.faults:
                healthy += [checks for _, _, checks in results]
    if len(healthy) >= options.coverage > 0:
        good &= coverage(healthy)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
