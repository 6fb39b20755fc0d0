"""Find each fault of boluses, rate steps and priming, blame its owner, and test whether the uncertainty holds.

Short forms of the protocols at 1 mL/day on the simulated station, with a pump whose maker declares every limit.  Each
seed draws every uncertain input of the rig anew.  Counts stand with their exact one-sided 95 % bounds.  Then errors of
healthy runs against the fluid that truly left the tip: rms(error)/rms(u) between 0.75 and 1.25 is asked for.

    python -m benchmarks bolus [--seeds 20] [--first 1] [--rows lockout] [--coverage 40] [--shipped] [--processes 2]

The station reads less often than the shipped one, which costs a fifth of the time, unless --shipped is given.
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
from typing import Any

import numpy as np

from bench.qualify.bounds import least_share
from bench.request import Request
from bench.session import conduct
from bench.station import OpenStation, station_path
from data.checks import Check, Verdict
from data.run import Run
from protocols.analysis.bolus import block_jumps
from protocols.analysis.gravimetric_record import EDGE_S
from protocols.analysis.rate_step import plateaus_of
from protocols.procedure import load_procedure

DUT = "sim-declared"
LESS_OFTEN = (
    ('period = "1 s"', 'period = "5 s"'),
    ('interval = "0.1 s"', 'interval = "0.2 s"'),
    ('rate = "10 Hz"', 'rate = "1 Hz"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "10 min"'),
)
LAST_LINES = "[simulation.daq.devices]"
DRAFTS = ((LAST_LINES, f"[simulation.plant.balance]\ndrafts_per_day = 50\n\n{LAST_LINES}"),)
TRACKS_ZERO = (
    ('signal = "reference_load_mg"', 'signal = "reference_load_mg"\nauto_zero_signal = "balance_auto_zero"'),
)

FAIL, INVALID, PASS = (Verdict.FAIL,), (Verdict.INVALID,), (Verdict.PASS, Verdict.CONDITIONAL_PASS)


@dataclass(frozen=True)
class Row:
    """A protocol, its faults, what the run has to say, and the check that has to say it, of its owner."""

    protocol: str
    faults: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    check: str = ""
    owner: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    changes: tuple[tuple[str, str], ...] = ()  # of the station file
    named: str = "healthy"

    def __str__(self) -> str:
        what = " + ".join(self.faults) or self.named
        return f"{self.protocol}: {what}{''.join(f', {key} {value}' for key, value in self.settings)}"


BOLUS, STEP, PRIMING = "bolus-accuracy", "rate-step", "priming"
BRIDGE = (("occasion", "concentration"), ("after", "3 h"), ("volume", "420 uL"))

ROWS = (
    Row(BOLUS, (), PASS),
    Row(BOLUS, ("over-delivery:1.25@0h",), FAIL, "bolus-mean-error", "dut"),
    Row(BOLUS, ("under-delivery:0.75@0h",), FAIL, "bolus-mean-error", "dut"),
    Row(BOLUS, ("over-delivery:1.5@2h",), FAIL, "bolus-max-error", "dut"),
    Row(BOLUS, ("motor-stall:1@1.8h",), FAIL, "bolus-min-error", "dut"),
    Row(BOLUS, ("lockout-ignored:1@0h",), FAIL, "requests-by-rule", "dut"),
    Row(BOLUS, ("daily-maximum-ignored:1@0h",), FAIL, "requests-by-rule", "dut"),
    Row(BOLUS, ("leak:0.3@0h",), INVALID, "sensor-balance-ratio", "catheter"),
    Row(BOLUS, ("auto-zero:1@0h",), PASS, changes=TRACKS_ZERO),  # too fast a flow for it at this rate
    Row(BOLUS, (), INVALID, "balance-quiet", "rig", changes=DRAFTS, named="drafts"),
    Row(BOLUS, ("frozen-reading:1@1.5h",), INVALID, "balance-alive", "rig"),
    Row(BOLUS, ("balance-drift:5@1.5h",), INVALID, "ratio-steady", "rig"),
    Row(STEP, (), PASS),
    Row(STEP, ("over-delivery:1.25@0h",), FAIL, "step-1-error", "dut"),
    Row(STEP, ("set-point-overshoot:1.5@0h",), FAIL, "step-1-overshoot", "dut"),
    Row(STEP, ("late-start:1200@0h",), FAIL, "start-up", "dut"),
    Row(STEP, ("motor-stall:1@1.8h",), FAIL, "step-1-error", "dut"),
    Row(STEP, ("leak:0.3@0h",), INVALID, "sensor-balance-ratio", "catheter"),
    Row(STEP, ("dry-evaporation-trap:5@1h",), INVALID, "blanks-agree", "rig"),
    Row(STEP, ("bath-off:1@0h",), INVALID, "bath-temperature", "rig"),
    Row(PRIMING, (), PASS),
    Row(PRIMING, ("over-delivery:1.25@0h",), FAIL, "bolus-error", "dut"),
    Row(PRIMING, ("under-delivery:0.75@0h",), FAIL, "path-filled", "dut"),
    Row(PRIMING, (), FAIL, "programmed-volume", "record", (("volume", "350 uL"),)),
    Row(PRIMING, ("leak:0.3@0h",), INVALID, "sensor-balance-ratio", "catheter"),
    Row(PRIMING, (), PASS, settings=BRIDGE),
    Row(PRIMING, ("over-delivery:1.25@0h",), FAIL, "bolus-error", "dut", BRIDGE),
)


def one_run(row: Row, seed: int, shipped: bool) -> tuple[Verdict, bool]:
    """The run's verdict, and whether the row's check said what it had to, of its owner."""
    with tempfile.TemporaryDirectory() as folder:
        station = _station(Path(folder), (*row.changes, *(() if shipped else LESS_OFTEN)))
        settings = {**load_procedure(row.protocol).qualification, **dict(row.settings)}
        request = Request(
            row.protocol, station, settings=settings, dut=DUT, faults=row.faults, seed=seed, out=Path(folder)
        )
        evaluation = conduct(request).evaluation
    said = {check.name: check for check in evaluation.checks}.get(row.check)
    right = not row.check or (said is not None and said.verdict is row.verdicts[0] and said.owner == row.owner)
    return evaluation.verdict, right


def _station(folder: Path, changes: Sequence[tuple[str, str]]) -> str:
    """The simulated station, with changes a file of its own."""
    text = station_path("sim").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "changed.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def report(row: Row, results: Sequence[tuple[Verdict, bool]]) -> bool:
    """Print one line; whether every run is as claimed."""
    good = sum(verdict in row.verdicts and right for verdict, right in results)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(v for v, _ in results).items())
    what = f"{row.check} of {row.owner}" if row.check else "run"
    bound = 100.0 * least_share(good, len(results))
    print(f"{row!s:62} {what:34} {verdicts:30} {good} of {len(results)}, at least {bound:.0f} %", flush=True)
    return good == len(results)


# ----------------------------------------------------------------------------------------------------- coverage


def errors(protocol: str, seed: int, shipped: bool) -> dict[str, list[tuple[float, float, float]]]:
    """(error against truth, u, U) of the checks of one healthy run, in their unit, by kind of check."""
    truth: dict[str, Any] = {}

    def look(opened: OpenStation) -> None:
        assert opened.rig is not None
        truth["mass"], draws = opened.rig.plant.truth["tip_mass_mg"], opened.rig.plant.draws
        truth["density"] = draws["fluid.density_kg_per_m3"] + draws["fluid.density_deviation_kg_per_m3"]

    with tempfile.TemporaryDirectory() as folder:
        settings = dict(load_procedure(protocol).qualification)
        station = _station(Path(folder), () if shipped else LESS_OFTEN)
        request = Request(protocol, station, settings=settings, dut=DUT, seed=seed, out=Path(folder))
        result = conduct(request, afterwards=look)
        with Run.open(result.run_file) as run:
            checks = {check.name: check for check in result.evaluation.checks}
            volume = _Truth(truth["mass"], truth["density"] / 1000.0)
            return _boluses(run, checks, volume) if protocol == BOLUS else _steps(run, checks, volume)


class _Truth:
    """Volume that truly left the tip."""

    def __init__(self, mass: Any, density: float) -> None:
        self._mass, self._density = mass, density

    def at(self, t_s: float) -> float:
        return float(self._mass.at(t_s)) / self._density


def _boluses(run: Run, checks: dict[str, Check], volume: _Truth) -> dict[str, list[tuple[float, float, float]]]:
    begin, _ = run.phase("analysis")
    end = run.phases[-1].t1
    t_s = np.arange(begin, end, 5.0)
    volumes = np.array([volume.at(t) for t in t_s])
    commands = run.records("pump-command")
    started = next(e.fields["confirmed_s"] for e in commands if str(e.fields["command"]).startswith("RUN"))
    asked = [e.fields["confirmed_s"] for e in commands if "kind=patient" in str(e.fields["command"])]
    starts = [started + bolus.at_s for bolus in run.schedule.boluses] + asked
    expected = float(run.params["bolus_ul"])
    stroke_s = float(run.dut["stroke_ul"]) / float(run.params["basal_ul_per_h"]) * 3600.0
    found = block_jumps(t_s, volumes, starts, begin, float(t_s[-1]), stroke_s, EDGE_S)
    true = [100.0 * (one.amount / expected - 1.0) for one in found][: len(run.schedule.boluses)]
    singles = [_against(checks[f"bolus-{i}"], value) for i, value in enumerate(true, 1)]
    return {"one bolus": singles, "mean of boluses": [_against(checks["bolus-mean-error"], sum(true) / len(true))]}


def _steps(run: Run, checks: dict[str, Check], volume: _Truth) -> dict[str, list[tuple[float, float, float]]]:
    stroke = float(run.dut["stroke_ul"])
    means, transitions = [], []
    for one in plateaus_of(run):
        name = f"step-{one.number}" if one.number else "start"
        length, _ = one.whole(stroke, (one.to_s - one.from_s) / 2.0)
        true = (volume.at(one.to_s) - volume.at(one.to_s - length)) / (one.rate_ul_per_h * length / 3600.0)
        means.append(_against(checks[f"{name}-error"], 100.0 * (true - 1.0)))
        length, _ = one.whole(stroke, float(run.params["transition_s"]))
        true = (volume.at(one.from_s + length) - volume.at(one.from_s)) / (one.rate_ul_per_h * length / 3600.0)
        name = f"step-{one.number}-overshoot" if one.number else "start-up-volume"
        transitions.append(_against(checks[name], 100.0 * (true - 1.0)))
    return {"mean after a step": means, "volume of a transition": transitions}


def _against(check: Check, true: float) -> tuple[float, float, float]:
    assert check.value is not None
    assert check.standard_uncertainty is not None
    assert check.expanded_uncertainty is not None
    return check.value - true, check.standard_uncertainty, check.expanded_uncertainty


def coverage(pool: ProcessPoolExecutor, runs: int, shipped: bool) -> bool:
    """Print one line for each kind of result; whether all are as asked for."""
    good = True
    for protocol in (BOLUS, STEP):
        gathered: dict[str, list[tuple[float, float, float]]] = {}
        for found in pool.map(errors, [protocol] * runs, range(1, runs + 1), [shipped] * runs):
            for kind, values in found.items():
                gathered.setdefault(kind, []).extend(values)
        for kind, values in gathered.items():
            inside = sum(abs(error) <= expanded for error, _, expanded in values)
            ratio = math.sqrt(sum(e * e for e, _, _ in values) / sum(u * u for _, u, _ in values))
            typical = sorted(expanded for _, _, expanded in values)[len(values) // 2]
            share = 100.0 * inside / len(values)
            counted = f"{inside} of {len(values)} inside U ({share:.0f} %)"
            print(f"{protocol}, {kind}: {counted}, rms(error)/rms(u) {ratio:.2f}, median U {typical:.3g} %", flush=True)
            good &= 0.75 <= ratio <= 1.25
    return good


def main(arguments: list[str] | None = None) -> int:
    """Run and report; exit code 1 when a run did not say what is claimed or the uncertainty does not hold."""
    parser = argparse.ArgumentParser(prog="bolus", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--rows", default="", help="only rows that contain this")
    parser.add_argument("--coverage", type=int, default=40, help="healthy runs for the uncertainty; 0 for none")
    parser.add_argument("--shipped", action="store_true", help="the station as it is shipped")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    seeds = range(options.first, options.first + options.seeds)
    good = True
    with ProcessPoolExecutor(options.processes) as pool:
        for row in ROWS:
            if options.seeds and options.rows in str(row):
                shipped = [options.shipped] * options.seeds
                good &= report(row, list(pool.map(one_run, [row] * options.seeds, seeds, shipped)))
        if options.coverage:
            good &= coverage(pool, options.coverage, options.shipped)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
