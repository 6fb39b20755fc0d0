"""Does an early stop end none but pumps that clearly fail?  Drawn measurements with the real estimator, then full runs.

First, measurements of the flow-accuracy form of 25 h are drawn, every input of the budget from its law, the pump in
strokes that begin anywhere, and looked at as a run is, without the allowance for the missing second blank, which would
only make stops rarer.  Asked for: of pumps just at the limit no more are stopped than the declared risk, of sound ones
(up to 10 % off, or slow to start) none.  Beside it stands what looking with the ordinary U would do.

Then full runs of the simulated station: sound pumps run to their end, pumps that deliver half as much again are stopped
at the same look on every block length with the same digest, and are judged "fail" over the time that was analysed.

    python -m benchmarks early_stop [--draws 1000] [--runs 6] [--rates "1 0.1 0.048"]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from bench.request import Request
from bench.session import Result, conduct
from data.checks import Limits
from data.run import Run
from data.schedule import Schedule
from protocols.analysis.collection import Collection, blanks_of
from protocols.analysis.evaporation import Evaporation
from protocols.analysis.flow_budget import Weighing
from protocols.analysis.flow_look import beyond_limits
from protocols.analysis.flow_mean import mean_error
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.looks import RISK, instants_s

HOUR_S = 3600.0
ANALYSIS_S = 25.0 * HOUR_S
BLANK_S = 4.0 * HOUR_S
WATER_MG_PER_UL = 0.9982067
STROKE_UL = 5.0
LIMITS = Limits(-14.5, 14.5, "as the simulated pump's")
WEIGHING = Weighing(
    fluid_mg_per_ul=WATER_MG_PER_UL,
    u_fluid_temperature_k=0.0,
    density_half_width_mg_per_ul=0.0003,
    meniscus_half_width_mg=math.sqrt(2.0) * 0.05,
    line_half_width_k=0.0,
)


def drawn(rate_ml_per_day: float, error: float, slow_h: float, rng: np.random.Generator) -> GravimetricRecord:
    """One measurement that has its first blank, with the pump's own error and the time that it takes to start."""
    t = np.arange(-BLANK_S, ANALYSIS_S + 1.0, 60.0)
    hours, step_h = t / HOUR_S, 60.0 / HOUR_S
    density = WATER_MG_PER_UL + rng.uniform(-0.0003, 0.0003)
    true_rate = rate_ml_per_day * 1000.0 / 24.0 * (1.0 + error)
    pumped = true_rate * np.clip(hours - slow_h, 0.0, None) / STROKE_UL + rng.uniform()
    volume = STROKE_UL * (np.floor(pumped) - math.floor(pumped[0]))  # strokes at once: the worst that a part can be
    fluid = volume * density * (1.0 - 0.0012 / density) / (1.0 - 0.0012 / 8.0)
    evaporation = max(0.002, rng.normal(0.02, 0.004))
    later = evaporation * (1.0 + rng.normal(0.0, 0.08))
    lost = np.where(hours < 0.0, evaporation, later) * hours
    walk = np.cumsum(rng.normal(0.0, 0.01 * math.sqrt(step_h), t.size))
    drift = rng.uniform(-0.3, 0.3) / 24.0 * hours
    room = 22.0 + rng.uniform(0.5, 1.0) * np.sin(2.0 * np.pi * (hours / 24.0 + rng.uniform()))
    follows = rng.normal(0.0, 0.035) * (room - 22.0)
    linear = np.where(hours > 0.0, rng.uniform(-0.1, 0.1), 0.0)
    meniscus = rng.uniform(-0.05, 0.05) + np.where(hours > 0.0, rng.uniform(-0.05, 0.05), 0.0)
    shown = fluid - lost + walk + drift + follows + linear + meniscus + rng.normal(0.0, 0.02, t.size)
    mass = np.round(shown / 0.01) * 0.01
    blanks = blanks_of(t, mass, [(-BLANK_S, -60.0)], 0.01, 600.0)
    air = np.full(t.size, 0.0012)
    collected = Collection(t, mass, air, room, Evaporation(blanks), WEIGHING, zero_walk_mg=0.01, mg_per_k=0.035)
    run = cast(Run, SimpleNamespace(dut={"stroke_ul": STROKE_UL}))
    schedule = Schedule.parse(f"{rate_ml_per_day:g} mL/day")
    whole = (0.0, ANALYSIS_S)
    return GravimetricRecord(run, {}, schedule, 0.0, whole, False, collected, t, mass, True, 0.004, (), None, None)


def looked(record: GravimetricRecord) -> tuple[int, bool]:
    """Number of the look that stops a measurement, 0 where none does; and whether one beyond the plain U would."""
    looks_s = instants_s(ANALYSIS_S)
    stopped, plain = 0, False
    for number, at_s in enumerate(looks_s, 1):
        part = replace(record, analysis=(0.0, at_s))
        value, budget = mean_error(part, ())
        plain |= abs(value) - 14.5 > budget.expanded
        beyond, needed = beyond_limits(part, (), LIMITS, 0.0, len(looks_s), RISK)
        if not stopped and beyond > needed:
            stopped = number
    return stopped, plain


def kinds(rate: float, draws: int) -> bool:
    """Print one line for each kind of pump at a rate; whether all is as asked for."""
    good = True
    for error, slow_h, most in (
        (0.0, 0.0, 0.0),
        (0.10, 0.0, 0.0),
        (-0.10, 0.0, 0.0),
        (0.0, 0.5, 0.0),
        (0.145, 0.0, RISK),
        (-0.145, 0.0, RISK),
        (0.20, 0.0, 1.0),
        (0.30, 0.0, 1.0),
        (0.50, 0.0, 1.0),
        (-0.50, 0.0, 1.0),
    ):
        rng = np.random.default_rng([int(rate * 1e6), int(1000 + 1000 * error), int(10 * slow_h)])
        found = [looked(drawn(rate, error, slow_h, rng)) for _ in range(draws)]
        stops = [number for number, _ in found if number]
        share, plain = len(stops) / draws, sum(one for _, one in found) / draws
        right = share <= most
        good &= right
        at = f", usually at look {sorted(stops)[len(stops) // 2]}" if stops else ""
        slow = f", {slow_h:g} h late" if slow_h else ""
        print(
            f"{rate:6.3g} mL/day, {100.0 * error:+5.1f} %{slow}: stopped {100.0 * share:5.1f} %{at} "
            f"(with U alone {100.0 * plain:.1f} %){'' if right else '  <- too many'}",
            flush=True,
        )
    return good


def run_once(seed: int, faults: Sequence[str], settings: dict[str, str], block_s: float | None) -> dict[str, Any]:
    """A full run: its looks, its digest and what was concluded."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Request(
            "flow-accuracy",
            "sim",
            settings=settings,
            seed=seed,
            out=Path(folder),
            faults=faults,
            longest_block_s=block_s,
        )
        result: Result = conduct(asked)
        with Run.open(result.run_file) as run:
            looks = [one.fields for one in run.records("look")]
            from_s, to_s = run.phase("analysis")
        check = next(one for one in result.evaluation.checks if one.name == "mean-flow-error")
        return {
            "stop": next((one["number"] for one in looks if one["stop"]), 0),
            "digest": result.verification.digest,
            "intact": result.verification.intact,
            "verdict": str(check.verdict),
            "note": check.note,
            "hours": (to_s - from_s) / HOUR_S,
            "reason": result.end.reason,
        }


def full_runs(runs: int) -> bool:
    """Sound pumps and bad ones, in turn; whether all is as asked for."""
    good = True
    common = {"analysis": "8 h", "stabilisation": "2 h", "blank-length": "1 h", "stop-on-clear-fail": "yes"}
    for seed in range(1, runs + 1):
        for fault in ((), ("over-delivery:1.5",) if seed % 2 else ("under-delivery:0.5",)):
            settings = {**common, "schedule": f"{1 if fault else (1, 0.1)[seed // 2 % 2]} mL/day"}
            found = run_once(seed, fault, settings, None)
            said = f"seed {seed} {settings['schedule']:12}{''.join(fault) or 'sound':20}"
            if fault:
                again = run_once(seed, fault, settings, 1.0 if seed == 1 else 7.0)
                right = found == again and found["stop"] > 0 and found["verdict"] == "fail" and found["hours"] < 8.0
                right &= f"{found['hours']:.2f} h of analysis" in found["note"]
            else:
                right = found["stop"] == 0 and found["hours"] > 7.99 and found["verdict"] == "pass"
            good &= right and found["intact"]
            print(
                f"{said}: look {found['stop']}, {found['hours']:.2f} h, {found['verdict']}; {found['reason']}"
                f"{'' if right else '  <- not as asked for'}",
                flush=True,
            )
    return good


def main(arguments: list[str] | None = None) -> int:
    """Draw, run and report; exit code 1 when anything is not as asked for."""
    parser = argparse.ArgumentParser(prog="early_stop", description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--rates", default="1 0.1 0.048")
    options = parser.parse_args(arguments)
    good = True
    if options.draws:
        for rate in map(float, options.rates.split()):
            good &= kinds(rate, options.draws)
    if options.runs:
        good &= full_runs(options.runs)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
