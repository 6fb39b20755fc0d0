"""Refills: does the ledger close with a true U on healthy rigs, and is each fault found and its owner named.

Every row with many seeds: each seed draws every uncertain input of the rig anew.  Counts are printed with their exact
(Clopper-Pearson) one-sided 95 % bounds: 20 of 20 proves 86 %.  The ledger's error is over the truth of the plant.

    python -m benchmarks refill [--seeds 20] [--first 1] [--ledger-seeds 40] [--rows pocket] [--processes 2]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.qualify.bounds import least_share
from bench.request import Request
from bench.session import conduct
from bench.station import OpenStation, station_path
from data.checks import Verdict

LESS_OFTEN = (
    ('period = "1 s"', 'period = "10 s"'),
    ('interval = "0.1 s"', 'interval = "1 s"'),
    ('period = "0.2 s"', 'period = "2 s"'),
    ('rate = "10 Hz"', 'rate = "1 Hz"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "10 min"'),
    ('max_outage = "1 s"', 'max_outage = "10 s"'),
    ('max_outage = "5 s"', 'max_outage = "60 s"'),
)
"""Samples are kept less often than on the shipped station, so syringe and needle have to go slower."""

SHORT = {
    "push": "40 mL/h",
    "slow": "20 mL/h",
    "draw": "120 mL/h",
    "speed": "0.1 mm/s",
    "analysis": "4 h",
}
BY_MASS = {"septum": "mass"}
RMS = (0.75, 1.25)


@dataclass(frozen=True)
class Row:
    """Faults, what the run has to say, and the check that has to say it."""

    faults: tuple[str, ...]
    verdict: Verdict
    check: str = ""
    owner: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        extra = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        return (" + ".join(self.faults) or "healthy") + (f" ({extra})" if extra else "")


def rows() -> list[Row]:
    """What is claimed.  The pump is started about an hour after the start of the run."""
    fail, invalid = Verdict.FAIL, Verdict.INVALID
    return [
        Row((), Verdict.PASS),
        Row((), Verdict.PASS, settings={"overfill": "yes"}),
        Row((), Verdict.PASS, "septum-leak", "dut", BY_MASS),
        Row(("pocket-fill:0.2",), fail, "pocket-fill", "dut"),
        Row(("septum-coring:1000",), fail, "septum-leak", "dut", BY_MASS),
        Row(("over-fill:-3000",), fail, "capacity", "dut"),
        Row(("over-fill:3000",), fail, "capacity", "dut", {"overfill": "yes"}),
        Row(("reservoir-count:3000",), fail, "alarm-date", "dut"),
        Row(("over-delivery:1.25",), fail, "residual; surge", "dut"),
        Row(("under-delivery:0.75",), fail, "residual", "dut"),
        Row(("free-flow:5000@3h",), fail, "surge", "dut"),
        Row(("motor-stall:1@3h",), fail, "residual", "dut"),
        Row(("wrong-concentration:4",), fail, "vial", "record"),
        Row(("programming-error:2",), fail, "read-back", "record"),
        Row(("short-needle:5",), invalid, "needle-at-stop", "rig"),
        Row(("needle-beside-port:1",), invalid, "needle-at-stop", "rig"),
        Row(("syringe-scale:0.05",), invalid, "weighed-counted", "rig"),
        Row(("balance-drift:5@3h",), invalid, "blanks-agree", "rig"),
        Row(("dry-evaporation-trap:3",), invalid, "evaporation", "rig"),
        Row(("bath-off:1@1h",), invalid, "bath-temperature", "rig"),
    ]


def quick_station(folder: Path) -> str:
    """The shipped station, read less often."""
    text = station_path("sim-refill").read_text(encoding="utf-8")
    for old, new in LESS_OFTEN:
        text = text.replace(old, new)
    path = folder / "sim-refill-quick.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def one_run(row: Row, seed: int) -> tuple[Verdict, bool, float]:
    """The run's verdict, whether the row's check said what it had to, and error over u of the ledger."""
    truth: dict[str, float] = {}

    def look(opened: OpenStation) -> None:
        assert opened.rig is not None
        at = opened.clock.now()
        truth.update({name: signal.at(at) for name, signal in opened.rig.plant.truth.items() if name.endswith("_ul")})

    with tempfile.TemporaryDirectory() as folder:
        settings = {**SHORT, **row.settings}
        request = Request(
            "refill-port",
            quick_station(Path(folder)),
            settings=settings,
            faults=row.faults,
            seed=seed,
            out=Path(folder),
        )
        evaluation = conduct(request, afterwards=look).evaluation
    said = {check.name: check for check in evaluation.checks}
    named = [said[name] for name in row.check.split("; ") if name]
    right = all(check.verdict is row.verdict and check.owner == row.owner for check in named)
    values = evaluation.values
    off = math.nan
    if "missing_ul" in values:
        off = (values["missing_ul"] - truth["pocket_volume_ul"]) / values["u_missing_ul"]
    return evaluation.verdict, right, off


def report(row: Row, results: Sequence[tuple[Verdict, bool, float]]) -> bool:
    """Print one line; whether every run is as claimed."""
    good = sum(verdict is row.verdict and right for verdict, right, _ in results)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(v for v, _, _ in results).items())
    what = f"{row.check} of {row.owner}" if row.check else "run"
    print(
        f"{row!s:42} {what:26} {verdicts:22} {good} of {len(results)}, at least "
        f"{100.0 * least_share(good, len(results)):.0f} %",
        flush=True,
    )
    return good == len(results)


def coverage(results: Sequence[tuple[Verdict, bool, float]]) -> bool:
    """Print how the ledger's error compares with its uncertainty."""
    offs = [off for _, _, off in results if math.isfinite(off)]
    rms = math.sqrt(math.fsum(off**2 for off in offs) / len(offs))
    inside = sum(abs(off) <= 2.0 for off in offs)
    print(
        f"ledger: {inside} of {len(offs)} within U, rms(error)/u = {rms:.2f}, claimed {RMS[0]} to {RMS[1]}", flush=True
    )
    return RMS[0] <= rms <= RMS[1]


def main(arguments: list[str] | None = None) -> int:
    """Run and report; exit code 1 when a run did not say what is claimed."""
    parser = argparse.ArgumentParser(prog="refill", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--ledger-seeds", type=int, default=40, help="seeds of the healthy row, for the ledger's U")
    parser.add_argument("--rows", default="", help="only rows that contain this")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    good = True
    with ProcessPoolExecutor(options.processes) as pool:
        for number, row in enumerate(rows()):
            if options.rows not in str(row):
                continue
            count = max(options.seeds, options.ledger_seeds) if number == 0 else options.seeds
            results = list(pool.map(partial(one_run, row), range(options.first, options.first + count)))
            good &= report(row, results)
            if number == 0 and count >= 40:
                good &= coverage(results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
