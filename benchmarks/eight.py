"""Eight pumps: one runner or one each, measured; and a month of all eight with a fault an hour at every one.

    python -m benchmarks eight [--days 7] [--positions 8] [--at-once 2] [--seed 1] [--seconds 20] [--only month]

First eight sets of instruments are read on the wall clock, in one process and in eight: processor time, memory, and how
long an interlock takes from its sample to the receipt of the valve command.  Then every position of the shipped bench
``sim-eight`` runs flow-accuracy in virtual time, each channel every 10 s in the long phases and every second in the
others, without a fault and with one fault an hour, by the conditions of `benchmarks.week`; the first position twice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from bench.station import stations_in
from benchmarks._one_or_eight import Arrangement, journal_of, measured, together
from benchmarks.week import FLAT_MB, Found, Outcome, Strike, drawn, growth_mb, judged, one
from data import quantities

BENCH = "sim-eight"

SCHEDULE = "0.35 mL/day"
"""A month of it fits the collecting vessel."""


@dataclass(frozen=True)
class Month:
    """What became of one position.

    Attributes
    ----------
    again : the same run once more, for its digest; None where it was not asked for.
    """

    station: str
    strikes: Sequence[Strike]
    sound: Outcome
    faulty: Outcome
    again: Outcome | None
    found: Found

    @property
    def wrong(self) -> Iterator[str]:
        """Every condition that does not hold."""
        yield from self.found.wrong
        for outcome in (self.sound, self.faulty):
            if outcome.status != "completed":
                yield f"a run ended {outcome.status}: {outcome.reason}"
            if growth_mb(outcome.memory_mb) > FLAT_MB:
                yield f"memory grew by {growth_mb(outcome.memory_mb):.1f} MB from the second seventh to the last"
        if self.again is not None and self.again.digest != self.faulty.digest:
            yield "two runs with the same seed and the same faults differ"


def month(
    stations: Sequence[str],
    length_s: float,
    every_s: float,
    seed: int,
    folder: Path,
    *,
    at_once: int = 2,
    told: Callable[[Month], None] = lambda _: None,
) -> list[Month]:
    """Run every station without and with its faults, each run in a process of its own.

    Parameters
    ----------
    seed : of the first station; each next one has the next.
    told : called with each station when its runs are judged.
    """
    with ProcessPoolExecutor(at_once, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:

        def begun(number: int, strikes: Sequence[Strike], what: str) -> Future[Outcome]:
            out = folder / f"{number}-{what}"
            return pool.submit(one, stations[number], length_s, seed + number, strikes, out, SCHEDULE)

        plans = [drawn(length_s, every_s, seed + number) for number in range(len(stations))]
        whats = [("sound", "faulty", *(["again"] if number == 0 else [])) for number in range(len(stations))]
        runs = [
            [begun(number, () if what == "sound" else plans[number], what) for what in each]
            for number, each in enumerate(whats)
        ]
        months = []
        for number, each in enumerate(runs):
            sound, faulty, *again = [run.result() for run in each]
            found = judged(faulty.run_file, sound.run_file, plans[number])
            months.append(Month(stations[number], plans[number], sound, faulty, again[0] if again else None, found))
            told(months[-1])
            for path in {path for what in whats[number] for path in (folder / f"{number}-{what}").iterdir()}:
                path.unlink()  # a month of eight pumps is much
    return months


def main(arguments: list[str] | None = None) -> int:
    """Measure, run, judge, print."""
    parser = argparse.ArgumentParser(prog="eight", description=__doc__)
    parser.add_argument("--days", type=float, default=7.0, help="the first of which warm the memory up")
    parser.add_argument("--every", default="1 h", help="time from one fault to the next, at each position")
    parser.add_argument("--positions", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=2, help="processes at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="for which processor time is counted")
    parser.add_argument("--rounds", type=int, default=2, help="each with one trip a pump")
    parser.add_argument("--only", choices=("wall", "month"), help="one part alone")
    options = parser.parse_args(arguments)
    stations = stations_in(BENCH)[: options.positions]
    if options.only != "month":
        _print_arrangements(stations, options.seconds, options.rounds, options.seed)
    return 0 if options.only == "wall" else _month(stations, options)


def _print_arrangements(stations: Sequence[str], seconds: float, rounds: int, seed: int) -> None:
    """Measure one process against one each, by turns, quietly and while one pump's run is closed."""
    with tempfile.TemporaryDirectory() as name:
        journal = journal_of(stations[0], Path(name))
        for what, closing in (("quiet", None), ("while the run of one pump is closed", journal)):
            one, each = list[Arrangement](), list[Arrangement]()
            for number in range(rounds):
                for apart, found in ((False, one), (True, each)):
                    found.append(measured(stations, apart, seconds, seed + 100 * number, closing))
            print(f"{what}, one process: {together(one)}")
            print(f"{what}, {len(stations)} processes: {together(each)}", flush=True)


def _month(stations: Sequence[str], options: argparse.Namespace) -> int:
    begun, every_s = time.perf_counter(), quantities.parse(options.every, "time")
    with tempfile.TemporaryDirectory() as name:
        months = month(
            stations,
            options.days * 86_400.0,
            every_s,
            options.seed,
            Path(name),
            at_once=options.at_once,
            told=_print_month,
        )
    wrong = [f"{each.station}: {text}" for each in months for text in each.wrong]
    cpu_s = sum(run.cpu_s for each in months for run in (each.sound, each.faulty, each.again) if run is not None)
    print(f"{len(months)} pumps, {options.days:g} days: {cpu_s / 60.0:.1f} CPU-min, ", end="")
    print(f"{(time.perf_counter() - begun) / 60.0:.1f} min by the clock")
    print("\n".join(wrong) if wrong else "completed, every gap told, no wrong value, memory flat, digest the same")
    return 1 if wrong else 0


def _print_month(one: Month) -> None:
    found, faulty = one.found, one.faulty
    struck = sum(hits > 0 for hits in faulty.hits)
    print(
        f"{one.station}: {faulty.length_s / 86_400.0:.2f} d, {faulty.status}, {faulty.verdict}; "
        f"{len(one.strikes)} faults drawn, {struck} have struck; digest {faulty.digest[:16]}"
        + (", twice" if one.again is not None and one.again.digest == faulty.digest else "")
    )
    print(
        f"  {found.good} good samples, {found.unusable} flagged, {found.missing} missing in {found.gaps} gaps; "
        f"{faulty.cpu_s:.0f} s CPU, {faulty.wall_s:.0f} s; memory grown by {growth_mb(faulty.memory_mb):+.2f} MB; "
        f"{'; '.join(one.wrong) or 'all holds'}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
