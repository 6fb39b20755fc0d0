"""Every driver against thousands of random faults of its wire: a value is right, flagged, or not there.

    python -m benchmarks misbehaviour [--n 10000] [--seeds 3] [--driver NAME]

One row a driver, of all seeds together.  Asked for: no value that is marked good off by more than the channel's
``max_step``, with a checksum none off at all; no error but the three (and the overflow of a hardware buffer); in step
within three transactions after the end of all faults; no reading longer than three timeouts; an order that was
confirmed executed once, one that was not once at most.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from benchmarks.ordeals.cases import CASES
from benchmarks.ordeals.daq import DaqCase
from benchmarks.ordeals.tally import Tally

COLUMNS = (
    f"{'driver':23}{'faults':>8}{'good':>9}{'flagged':>9}{'missing':>9}{'stuck':>7}{'small':>7}{'wrong':>7}"
    f"{'foreign':>9}{'orders':>8}{'resync':>8}{'longest':>9}{'CPU s':>8}"
)


def row(name: str, tally: Tally, cpu_s: float) -> str:
    """One line of the table."""
    return (
        f"{name:23}{tally.struck.total():8}{tally.good:9}{tally.flagged:9}{tally.missing.total():9}{tally.stuck:7}"
        f"{tally.small:7}{len(tally.wrong):7}{len(tally.foreign):9}{tally.told:8}{tally.resync:8}{tally.longest:9.3f}"
        f"{cpu_s:8.1f}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Try every driver and print; exit code 1 when anything was that must not be."""
    parser = argparse.ArgumentParser(prog="misbehaviour", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--n", type=int, default=10_000, help="faults for each driver and seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--driver", default="", help="only those whose name holds this")
    options = parser.parse_args(arguments)
    failures: list[str] = []
    cases: list[Any] = [case for case in (*CASES, DaqCase()) if options.driver in str(case)]
    print(COLUMNS)
    for case in cases:
        tally, begun = Tally(), time.process_time()
        for seed in range(1, options.seeds + 1):
            one = case.ordeal(seed, options.n)
            tally.add(one)
            failures += [f"{case}, seed {seed}: {what}" for what in one.failures]
        print(row(str(case), tally, time.process_time() - begun))
        struck = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.struck.items()))
        missing = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.missing.items()))
        print(f"    faults: {struck}\n    missing: {missing}", flush=True)
    for failure in failures[:50]:
        print(failure)
    print("asked for: nothing wrong, nothing foreign, in step within 3 transactions, no reading over 3 timeouts")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
