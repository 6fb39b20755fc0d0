"""Compliance, time, bolus and alarm of occlusion runs against the plant, and each fault by its owner.

    python -m benchmarks occlusion [--runs 20] [--first 1] [--rates "1 24 0.1"] [--faults] [--shipped] [--processes 2]

The plant knows what nobody at the bench does: compliance, pressure, and what has left pump and tip.  Volumes are those
at 20 degC, as the balance gives them.  Each seed draws every uncertain input of the rig anew.  Errors are printed with
their root mean square over their u: 0.75 to 1.25 for a sound budget.  The station is sim-full, read less often unless
``--shipped`` is given.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from bench.qualify.bounds import least_share
from bench.qualify.worker import stands_alone
from bench.request import Override, Request
from bench.session import conduct
from bench.station import OpenStation, station_path
from data.checks import Check, Evaluation, Verdict
from data.run import Run
from instruments.simulation.properties import water_density
from protocols.analysis.occlusion.record import OcclusionRecord
from protocols.analysis.occlusion.rise import crossing_s, low_passed

DUT = "sim-alarming"
CREEP_SHARE = 0.05
ALARM_KPA = 50.0
MOVED_S = 1.0
"""So long after its command a valve has moved."""


LESS_OFTEN = (
    ('rate = "10 Hz"', 'rate = "2 Hz"'),
    ('interval = "0.1 s"', 'interval = "1 s"'),
    ('period = "1 s"', 'period = "2 s"'),
)
"""Balance, safety inputs, flow sensor and DAQ: a third of the work, and hardly less to know."""


@dataclass(frozen=True)
class Row:
    """Faults, what the run has to say, and the check that has to say it."""

    faults: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    check: str = ""
    owner: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " + ".join(self.faults) or "healthy"


FAIL, INVALID = (Verdict.FAIL,), (Verdict.INVALID,)
CALM = (Verdict.PASS, Verdict.CONDITIONAL_PASS)

ROWS = (
    Row((), CALM),
    Row(("motor-stall@0h",), FAIL, "flow-before", "dut"),
    Row(("motor-stall@1.7h",), FAIL, "reaches-threshold", "dut"),
    Row(("free-flow:5000@0h",), FAIL, "stopped-flow", "dut"),
    Row(("free-flow:5000@1.2h",), FAIL, "flow-before", "dut"),
    Row(("weak-rollers:40@0h",), FAIL, "slip-pressure", "dut"),
    Row(("weak-rollers:20@0h",), FAIL, "slip-pressure", "dut"),
    Row(("no-occlusion-alarm@0h",), FAIL, "alarm-pressure", "dut"),
    Row(("rig-leak:20@0h",), INVALID, "line-tight", "rig"),
    Row(("rig-leak:100@0h",), INVALID, "line-tight", "rig"),
    Row(("valve-stuck-open@0h",), INVALID, "valve-closes", "rig"),
    Row(("valve-stuck-closed@0h",), INVALID, "outlet-pressure", "catheter"),
    Row(("valve-stuck-closed@1.7h",), INVALID, "valve-opens", "rig"),
    Row(("occlusion@0h",), INVALID, "outlet-pressure", "catheter"),
    Row(("air-bubble:50@0h",), INVALID, "compliance-as-checked", "rig"),
    Row(("bath-off@0h",), INVALID, "bath-temperature", "rig"),
)


@dataclass(frozen=True)
class Found:
    """One run: its verdict, whether the row's check said what it had to, and (error, u) of each result."""

    verdict: Verdict
    right: bool
    errors: dict[str, tuple[float, float]]
    note: str = ""


def station(folder: Path, *, shipped: bool) -> str:
    """The station, as it is shipped or read less often."""
    if shipped:
        return "sim-full"
    text = station_path("sim-full").read_text("utf-8")
    for old, new in LESS_OFTEN:
        assert old in text, old
        text = text.replace(old, new)
    (folder / "station.toml").write_text(text, "utf-8")
    return str(folder / "station.toml")


def one_run(row: Row, rate: float, seed: int, *, shipped: bool) -> Found:
    """Conduct a run and compare it with the plant."""
    truth: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        request = Request(
            "occlusion",
            station(Path(folder), shipped=shipped),
            settings={"rates": f"{rate:g} mL/day", **row.settings},
            dut=DUT,
            faults=row.faults,
            seed=seed,
            out=Path(folder),
            overrides=[
                Override("rig-check", "benchmark", "the rig is the plant's own"),
                Override("unusual-rate", "benchmark", "24 mL/day is asked for"),
            ],
        )
        opened: list[OpenStation] = []
        result = conduct(request, afterwards=opened.append)
        evaluation = result.evaluation
        if not row.faults:
            with Run.open(result.run_file) as run:
                truth = true_values(opened[0], run)
    said = {check.name: check for check in evaluation.checks}.get(row.check)
    right = not row.check or (said is not None and said.verdict is row.verdicts[0] and said.owner == row.owner)
    return Found(
        evaluation.verdict, right, errors(evaluation, truth), "" if said is None else f"{said.value} {said.note}"
    )


def true_values(opened: OpenStation, run: Run) -> dict[str, float]:
    """What the plant knows, at 20 degC."""
    assert opened.rig is not None
    plant, record = opened.rig.plant, OcclusionRecord(run)
    occluded = record.occlusions[0]
    assert occluded.opened_s is not None
    assert occluded.closed_s is not None
    colder = float(water_density(np.array([37.0]))[0] / water_density(np.array([20.0]))[0])
    density = plant.density_kg_per_m3(20.0) * 1e-3

    def gained(name: str, from_s: float, to_s: float) -> float:
        return plant.truth[name].at(to_s) - plant.truth[name].at(from_s)

    draws = plant.draws
    compliance = draws["catheter.proximal_compliance_ul_per_kpa"] + draws["catheter.distal_compliance_ul_per_kpa"]
    span = (occluded.opened_s, occluded.opened_s + occluded.window_s)
    given_off = gained("tip_mass_mg", *span) / density
    # What the valve takes in as it opens is missing at the tip, as it is on the balance: it is no delivery that lacks.
    added = gained("added_volume_ul", span[0] + MOVED_S, span[1])
    usual = (gained("pump_volume_ul", *span) + added) * colder
    stroke_s = record.stroke_ul / occluded.flow_ul_per_s
    steps = round((occluded.opened_s - occluded.closed_s + stroke_s) * 2.0)
    pressure = plant.truth["outlet_pressure_kpa"].samples(occluded.closed_s - stroke_s, 0.5, 0, steps)
    times = occluded.closed_s - stroke_s + 0.5 * np.arange(steps)
    low_t, low = low_passed(times, pressure, stroke_s)
    crossed = crossing_s(low_t[low_t > occluded.closed_s], low[low_t > occluded.closed_s], run.params["threshold_kpa"])
    raised = times[(times > occluded.closed_s) & (pressure >= ALARM_KPA)]
    return {
        "compliance": compliance * colder,
        "compliance-by-rise": compliance * colder,
        "catheter-compliance": compliance * colder - draws_bare(run),
        "bolus": given_off - usual,
        "time-to-threshold": math.nan if crossed is None else crossed - occluded.closed_s,
        "time-to-alarm": float(raised[0]) - occluded.closed_s if raised.size else math.nan,
        "flow-before": 100.0
        * gained("tip_mass_mg", occluded.closed_s - 30.0 - occluded.window_s, occluded.closed_s - 30.0)
        / density
        / (occluded.flow_ul_per_s * occluded.window_s),
    }


def draws_bare(run: Run) -> float:
    """The line without a catheter, as the station states it."""
    return float(run.station["closed_line"]["bare_compliance_ul_per_kpa"])


def errors(evaluation: Evaluation, truth: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Error and u of each result: percent for compliances, else its unit."""
    found = {}
    checks: dict[str, Check] = {check.name: check for check in evaluation.checks}
    for name, true in truth.items():
        check = checks.get(name)
        if check is None or check.value is None or check.standard_uncertainty is None or math.isnan(true):
            continue
        scale = 100.0 / true if "compliance" in name else 1.0
        found[name] = (scale * (check.value - true), scale * check.standard_uncertainty)
    return found


def report(rate: float, results: Sequence[Found]) -> bool:
    """Print the errors of healthy runs; whether compliance is within 2 % and every bolus within its U."""
    good = True
    names = sorted({name for result in results for name in result.errors})
    for name in names:
        pairs = [result.errors[name] for result in results if name in result.errors]
        of = np.array(pairs)
        ratio = math.sqrt(float(np.mean((of[:, 0] / of[:, 1]) ** 2)))
        inside = int((np.abs(of[:, 0]) <= 2.0 * of[:, 1]).sum())
        unit = "%" if "compliance" in name or name == "flow-before" else "uL" if name == "bolus" else "s"
        mean, most = of[:, 0].mean(), np.abs(of[:, 0]).max()
        print(
            f"{rate:5g} mL/day  {name:20} error {mean:+8.3f} mean, {most:8.3f} most {unit:2}  "
            f"u {of[:, 1].mean():7.3f}  rms(error/u) {ratio:.2f}  {inside} of {len(pairs)} within U",
            flush=True,
        )
        if name in ("compliance", "catheter-compliance"):
            good &= bool((np.abs(of[:, 0]) < 2.0).all())
    return good


def main(arguments: list[str] | None = None) -> int:
    """Run and report; exit code 1 when a run did not say what is claimed."""
    parser = argparse.ArgumentParser(prog="occlusion", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--rates", default="1")
    parser.add_argument("--faults", action="store_true", help="the table of faults, at 1 mL/day")
    parser.add_argument("--rows", default="", help="only rows that contain this")
    parser.add_argument("--shipped", action="store_true", help="read the station as often as it is shipped")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    seeds = range(options.first, options.first + options.runs)
    good = True
    with (
        tempfile.TemporaryDirectory() as home,
        # With latches of the bench, a fault that ends in a stop would have the next seed refused.
        ProcessPoolExecutor(options.processes, initializer=stands_alone, initargs=(Path(home),)) as pool,
    ):
        for rate in map(float, options.rates.split()):
            for row in ROWS if options.faults else ROWS[:1]:
                if options.rows not in str(row):
                    continue
                conducted = partial(one_run, row, rate, shipped=options.shipped)
                results = list(pool.map(conducted, seeds))
                right = sum(result.verdict in row.verdicts and result.right for result in results)
                verdicts = ", ".join(f"{count} {v}" for v, count in Counter(r.verdict for r in results).items())
                what = f"{row.check} of {row.owner}" if row.check else "run"
                print(
                    f"{rate:5g} mL/day  {row!s:28} {what:34} {verdicts:24} {right} of {len(results)}, "
                    f"at least {100.0 * least_share(right, len(results)):.0f} %",
                    flush=True,
                )
                for result in results:
                    if not (result.verdict in row.verdicts and result.right):
                        print(f"      {result.verdict}: {result.note}", flush=True)
                good &= right == len(results)
                if not row.faults:
                    good &= report(rate, results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
