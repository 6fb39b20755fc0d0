"""Does the bench find each fault, blame its owner, and neither fail nor pass a pump for the rig?  Runs of full length.

Every row at each rate, with many seeds: each seed draws every uncertain input of the rig anew.  Counts are printed with
their exact (Clopper-Pearson) one-sided 95 % bounds: 20 of 20 proves 86 %, 3 of 3 no more than 37 %.

    python -m benchmarks detection [--runs 20] [--first 1] [--rates "1 0.1 0.048"] [--rows leak] [--processes 2]
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
from pathlib import Path

from bench.request import Request
from bench.session import conduct
from data.checks import Verdict

STABILISATION_H = 24.0
MID_RUN_H = STABILISATION_H + 12.5
STROKE_UL = 5.0
STROKES = 20

OVER = {1.0: 1.20, 0.1: 1.25, 0.048: 1.30}
"""Severities at the detection floors: the limit of 14.5 %, U and 3 u."""

LEAK_IN_RUN = {1.0: 0.10, 0.1: 0.15, 0.048: 0.30}
TRAP_MG_PER_H = 3.0


@dataclass(frozen=True)
class Row:
    """Faults, what the run has to say, and the check that has to say it."""

    faults: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    check: str = ""
    owner: str = ""
    blank: str = "diverter"

    def __str__(self) -> str:
        blank = "" if self.blank == "diverter" else f" ({self.blank} blanks)"
        return (" + ".join(self.faults) or "healthy") + blank


def rows(rate: float) -> list[Row]:
    """What is claimed at a rate, in mL/day."""
    over, under, leak = OVER[rate], 2.0 - OVER[rate], LEAK_IN_RUN[rate]
    fail, invalid, kept = (Verdict.FAIL,), (Verdict.INVALID,), (Verdict.PASS,)
    mid = f"{MID_RUN_H:g}h"
    return [
        Row((), kept),
        Row((f"over-delivery:{over:g}@0h",), fail, "mean-flow-error", "dut"),
        Row((f"under-delivery:{under:g}@0h",), fail, "mean-flow-error", "dut"),
        Row((f"motor-stall:1@{mid}",), fail, "no-flow", "dut"),
        Row((f"reset-to-minimum-rate:1@{mid}",), fail, "no-flow", "dut"),
        Row((f"free-flow:5000@{mid}",), fail, "unexpected-delivery", "dut"),
        Row(("leak:0.3@0h",), invalid, "sensor-balance-ratio", "catheter", "diverter" if rate == 1.0 else "stopped"),
        Row((f"leak:{leak:g}@{mid}",), invalid, "ratio-steady", "catheter"),
        Row((f"dry-evaporation-trap:{TRAP_MG_PER_H:g}@0h",), invalid, "evaporation", "rig"),
        Row((f"dry-evaporation-trap:{TRAP_MG_PER_H:g}@{mid}",), invalid, "blanks-agree", "rig"),
        Row((f"bath-off:1@{mid}",), invalid, "bath-temperature", "rig"),
        Row(("sensor-drift:1@0h",), invalid, "ratio-steady", "rig"),
        Row((f"balance-drift:5@{mid}",), invalid, "blanks-agree", "rig"),
        Row((f"air-bubble:{50 if rate == 1.0 else 5}@{mid}",), invalid, "no-air", "rig"),
        Row((f"unplug:1@{mid}",), invalid, "data-complete", "rig"),
        Row((f"frozen-reading:1@{mid}",), invalid, "balance-alive", "rig"),
        Row(("garbled-reply:0.01@0h",), kept),
        Row(("unplug:0.001@1h",), kept),
        Row(("over-delivery:1.25@0h", f"leak:0.2@{mid}"), (Verdict.INVALID, Verdict.FAIL)),
        Row(("over-delivery:1.25@0h", "dry-evaporation-trap:2@0h"), (Verdict.INVALID, Verdict.FAIL)),
    ]


def one_run(row: Row, rate: float, seed: int) -> tuple[Verdict, bool]:
    """The run's verdict, and whether the row's check said what it had to, of its owner."""
    stroke_h = STROKE_UL / (rate * 1000.0 / 24.0)
    # The lowest rate takes fewer strokes than asked for: 20 would be 50 h.
    analysis_h = max(1, round(25.0 / stroke_h)) * stroke_h if stroke_h * STROKES > 25.0 else 25.0
    settings = {"schedule": f"{rate:g} mL/day", "analysis": f"{analysis_h:.6f} h", "blank": row.blank}
    with tempfile.TemporaryDirectory() as folder:
        request = Request("flow-accuracy", "sim", settings=settings, faults=row.faults, seed=seed, out=Path(folder))
        evaluation = conduct(request).evaluation
    said = {check.name: check for check in evaluation.checks}.get(row.check)
    right = not row.check or (said is not None and said.verdict is row.verdicts[0] and said.owner == row.owner)
    return evaluation.verdict, right


def least_share(successes: int, runs: int, confidence: float = 0.95) -> float:
    """Exact lower bound of a proportion, Clopper and Pearson (1934), one-sided."""
    if successes == 0:
        return 0.0
    low, high = 0.0, successes / runs
    for _ in range(60):
        share = (low + high) / 2.0
        terms = (math.comb(runs, k) * share**k * (1.0 - share) ** (runs - k) for k in range(successes, runs + 1))
        low, high = (share, high) if math.fsum(terms) < 1.0 - confidence else (low, share)
    return low if successes < runs else (1.0 - confidence) ** (1.0 / runs)


def report(row: Row, rate: float, results: Sequence[tuple[Verdict, bool]]) -> bool:
    """Print one line; whether every run is as claimed."""
    good = sum(verdict in row.verdicts and right for verdict, right in results)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(v for v, _ in results).items())
    what = f"{row.check} of {row.owner}" if row.check else "run"
    print(
        f"{rate:5g} mL/day  {row!s:55} {what:34} {verdicts:24} "
        f"{good} of {len(results)}, at least {100.0 * least_share(good, len(results)):.0f} %",
        flush=True,
    )
    return good == len(results)


def main(arguments: list[str] | None = None) -> int:
    """Run and report; exit code 1 when a run did not say what is claimed."""
    parser = argparse.ArgumentParser(prog="detection", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--rates", default="1 0.1 0.048")
    parser.add_argument("--rows", default="", help="only rows that contain this")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    seeds = range(options.first, options.first + options.runs)
    good = True
    with ProcessPoolExecutor(options.processes) as pool:
        for rate in map(float, options.rates.split()):
            for row in rows(rate):
                if options.rows in str(row):
                    results = list(pool.map(one_run, [row] * options.runs, [rate] * options.runs, seeds))
                    good &= report(row, rate, results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
