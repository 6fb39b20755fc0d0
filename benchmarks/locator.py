"""Does the locator put the right cause first?  Over the trials of a qualification, by owner and by protocol.

Each trial of `pumpbench qualify` asks the locator, which sees the run file alone.  Asked for: the right cause first in
at least 90 % of the runs with a claimed fault of the pump, and of the rig; those of catheter and record are reported,
and so are pairs of faults, faults that no check claims ("nothing" is right there too) and sound pumps.

    python -m benchmarks locator --from FOLDER     a folder of `pumpbench qualify`, its trials so far
    python -m benchmarks locator [--seeds 1]       or a quick matrix of its own
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.qualify.bounds import least_share
from bench.qualify.ledger import NAME
from bench.qualify.located import GROUPS, Count, count, group, wanted
from bench.qualify.plan import Row, build_plan
from bench.qualify.pool import run_all

STATIONS = ("sim-long", "sim-life", "sim-full", "sim-refill", "sim-catheter")
ASKED = 0.90
MOST_SEEDS = 60
"""A row's key holds how many seeds it was given, which a folder does not say."""

HELD_TO = ("dut", "rig")

Trial = tuple[Row, Mapping[str, Any]]


def of_folder(folder: Path) -> list[Trial]:
    """The trials of a folder that asked the locator; of each row and seed the last."""
    rows = {
        (each := replace(row, seeds=seeds)).key: each
        for quick in (True, False)
        for row in build_plan(STATIONS, quick=quick).rows
        for seeds in range(1, MOST_SEEDS + 1)
    }
    found: dict[tuple[str, int], Trial] = {}
    for line in (folder / NAME).read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        if said["row"] in rows and said.get("located"):
            found[said["row"], said["seed"]] = rows[said["row"]], said
    return list(found.values())


def of_its_own(seeds: int) -> Iterator[Trial]:
    """Run the quick matrix."""
    rows = {row.key: row for row in build_plan(STATIONS, quick=True, seeds=seeds, pumps=0).rows}
    trials = [(row, seed) for seed in range(1, seeds + 1) for row in rows.values()]
    with tempfile.TemporaryDirectory() as folder, closing(run_all(trials, Path(folder), 2)) as said_by_trials:
        for said in said_by_trials:
            yield rows[said["row"]], said


def by(trials: Iterable[Trial], key: Any) -> dict[str, Count]:
    """Counts of the trials under each key."""
    found: dict[str, Count] = {}
    for row, said in trials:
        name = key(row)
        found[name] = found.get(name, Count()) + count(row, [said])
    return found


def table(heading: str, found: Mapping[str, Count]) -> None:
    """Print counts."""
    print(f"\n{heading:24}{'runs':>6}{'right cause first':>20}{'or tied':>10}{'right owner first':>20}{'proves':>10}")
    for name, each in found.items():
        shares = f"{each.cause:>8} {each.cause / each.trials:>10.1%}"
        print(
            f"{name:24}{each.trials:6}{shares:>20}{each.tied:10}{each.owner:20}"
            f"{'≥ ' + format(least_share(each.cause, each.trials), '.0%'):>10}"
        )


def misses(trials: Iterable[Trial]) -> Counter[str]:
    """What stood first in place of what."""
    found: Counter[str] = Counter()
    for row, said in trials:
        first, tied = said["located"]["first"], said["located"]["tied"]
        if first not in wanted(row).causes:
            seen = " (tied)" if set(tied) & wanted(row).causes else ""
            found[f"{row.protocol}, {row.title}: {first}{seen}"] += 1
    return found


def main(arguments: list[str] | None = None) -> int:
    """Count and report; exit code 1 where it is less than asked for."""
    parser = argparse.ArgumentParser(prog="locator", description=__doc__)
    parser.add_argument("--from", dest="folder", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args(arguments)
    trials = of_folder(options.folder) if options.folder else list(of_its_own(options.seeds))
    trials = [(row, said) for row, said in trials if said.get("located")]
    if not trials:
        print(f"{options.folder}: no trial asked the locator; run pumpbench qualify again, which does")
        return 2
    groups = by(trials, group)
    table("fault of", {name: groups[name] for name in GROUPS if name in groups})
    claimed = [(row, said) for row, said in trials if row.expected == "found"]
    table("claimed faults in", by(claimed, lambda row: row.protocol))
    for line, number in misses(trials).most_common():
        print(f"  {number} x {line}")
    held = [groups[name] for name in HELD_TO if name in groups]
    return 0 if held and all(each.cause >= ASKED * each.trials for each in held) else 1


if __name__ == "__main__":
    sys.exit(main())
