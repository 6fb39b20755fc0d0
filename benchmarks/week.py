"""A week with a fault an hour: the run completes, each gap has its event, no value is wrong, memory stays flat.

    python -m benchmarks week [--days 7] [--seed 1] [--every "1 h"]

Runs flow-accuracy on the simulated station without a fault, and twice with one fault an hour, each run in a process of
its own.  A fault is one of a wire or of the NI devices, at an instrument drawn at random, for seconds to minutes.
States what was struck and what became of it; fails when one of the conditions in `judged` does not hold.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from bench.request import Request
from bench.session import Underway, conduct
from bench.station import OpenStation
from data import quantities
from data.checks import Status
from data.layout import ANCHORS
from data.run import Run, Series
from data.samples import FloatArray

BLANK_H = 1.0
FIRST_S = 1800.0
"""Before the first fault the run is set up; a step that fails ends a run, which is none of this page's business."""

FLAT_MB = 6.0
"""What the process may grow by from the second seventh of the run to the last, by the medians: 3 % of it.  In the first
it reads and compiles what it needs."""

BACK_OFF_S = 30.0
"""An instrument is connected to again after at most this (`instruments.visa`, `instruments.daq_acquisition`)."""

WIRE = {
    "unplug": (1.0,),
    "reboot": (0.05, 1.0),
    "dropped-reply": (0.3, 1.0),
    "late-reply": (0.3, 1.0),
    "truncated-reply": (0.3, 1.0),
    "garbled-reply": (0.3, 1.0),
    "flipped-bit": (0.1, 0.5),
    "doubled-reply": (0.3, 1.0),
    "unsolicited-message": (0.3, 1.0),
    "lf-only": (0.3, 1.0),
    "frozen-reading": (1.0,),
    "saturated-reading": (0.3, 1.0),
}
"""Faults of a wire, and their severities: now and then, and each time."""

DAQ = {"daq-overflow": (1.0,), "daq-timeout": (1.0,), "daq-removed": (1.0,), "daq-reset": (1.0,)}

RIGHTLY_ENDS = ("saturated-reading", "balance")
"""An overload of the balance is an overfull vessel to the interlock, which ends the run."""

LASTS_S = {"balance": (20.0, 300.0), "flow_sensor": (20.0, 300.0), "pump": (90.0, 300.0), "daq": (2.0, 20.0)}
"""How long a fault lasts, at least and at most.  The pump is asked once a minute; the interlock on the outlet pressure
rightly ends a run whose DAQ is silent for a minute."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault of the week."""

    name: str
    severity: float
    at_s: float
    for_s: float
    instrument: str

    def __str__(self) -> str:
        return f"{self.name}:{self.severity:g}@{self.at_s:.1f} s+{self.for_s:.1f} s/{self.instrument}"


def drawn(length_s: float, every_s: float, seed: int) -> list[Strike]:
    """One fault in each hour, at a moment, an instrument and for a time that follow from the seed."""
    draw = random.Random(f"{seed}/week")
    strikes = []
    for hour in range(int((length_s - FIRST_S) // every_s)):
        instrument = draw.choice(list(LASTS_S))
        faults = DAQ if instrument == "daq" else WIRE
        name = draw.choice([fault for fault in faults if (fault, instrument) != RIGHTLY_ENDS])
        for_s = round(draw.uniform(*LASTS_S[instrument]), 1)
        at_s = round(FIRST_S + hour * every_s + draw.uniform(0.0, every_s - for_s), 1)
        strikes.append(Strike(name, draw.choice(faults[name]), at_s, for_s, instrument))
    return strikes


# ------------------------------------------------------------------------------------------------------- one run


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    run_file: Path
    status: str
    reason: str
    verdict: str
    digest: str
    length_s: float
    memory_mb: list[tuple[float, float]]
    struck: dict[str, dict[str, int]]
    hits: list[int]
    cpu_s: float
    wall_s: float


@dataclass
class Watcher:
    """Notes the memory of the process while the run goes on."""

    every_s: float
    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    ended: bool = False

    def begins(self, run: Underway) -> None:
        """Look at the memory now and then."""

        def look() -> None:
            while not self.ended:
                self.memory_mb.append((run.clock.now(), resident_mb()))
                run.clock.sleep(self.every_s)

        run.clock.worker("~memory", look)

    def synced(self, seq: int) -> None:
        """The journal is on the disk; nobody waits for it here."""

    def ends(self) -> None:
        """Look no more."""
        self.ended = True


def resident_mb() -> float:
    """Memory of this process that is in use, in MB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096 / 1e6


def one(
    station: str, length_s: float, seed: int, strikes: Sequence[Strike], folder: Path, schedule: str = "1 mL/day"
) -> Outcome:
    """Conduct one run in this process."""
    stabilisation_s = (length_s - 2.0 * BLANK_H * 3600.0) / 4.0 + BLANK_H * 3600.0
    settings = {
        "stabilisation": f"{stabilisation_s:.0f} s",
        "analysis": f"{length_s - stabilisation_s - BLANK_H * 3600.0:.0f} s",
        "blank_length": f"{BLANK_H:g} h",
        "schedule": schedule,
    }
    struck: dict[str, dict[str, int]] = {}
    hits: dict[str, list[int]] = {}

    def look(opened: OpenStation) -> None:
        assert opened.rig is not None
        for name, instrument in opened.instruments.items():
            found = opened.rig.misbehaviours.get(getattr(instrument.settings, "resource", "daq"))
            if found is not None:
                struck[name] = {kind: count for kind, count in found.struck.items() if count}
                hits[name] = list(found.hits)

    watcher = Watcher(length_s / 168.0)
    wall, cpu = time.perf_counter(), time.process_time()
    faults = [str(strike) for strike in strikes]
    request = Request("flow-accuracy", station, settings=settings, faults=faults, seed=seed, out=folder)
    result = conduct(request, afterwards=look, lead=watcher)
    return Outcome(
        result.run_file,
        str(result.end.status),
        result.end.reason,
        str(result.evaluation.verdict),
        result.verification.digest,
        result.simulated_s,
        watcher.memory_mb,
        struck,
        [hits[strike.instrument].pop(0) for strike in strikes],
        time.process_time() - cpu,
        time.perf_counter() - wall,
    )


# ------------------------------------------------------------------------------------------------ what must hold

Spans = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Found:
    """What is wrong with one run, and what was seen besides."""

    wrong: list[str]
    good: int  # samples that may be used, over all channels
    unusable: int  # samples that are flagged
    gaps: int
    missing: int
    stale: int  # samples that a stuck instrument repeated
    longest_s: dict[str, float]  # by instrument: longest silence over the end of its fault


def judged(faulty: Path, sound: Path, strikes: Sequence[Strike]) -> Found:
    """Compare a run with faults with the same run without.

    What must hold, for every channel:

    - a good sample is within ``max_step`` (without one: within the noise) of what the run without faults shows within
      a few samples of its moment; a stuck instrument may repeat what was true when its fault began
    - each hole in the samples has a record (``outage`` or ``gap``) of its instrument, or its samples are flagged
    - there is no hole and no flag but after a fault of that instrument
    - after the end of a fault good samples come again within the longest back-off and one turn of the sampler
    """
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    longest_s: dict[str, float] = {}
    with Run.open(faulty) as run, Run.open(sound) as reference:
        if run.status is not Status.COMPLETED:
            wrong.append(f"the run ended {run.status}: {run.status_reason}")
        told = _told(run)
        for channel in run.channels:
            instrument = channel.partition(".")[0]
            own = [strike for strike in strikes if strike.instrument == instrument]
            series, spacing_s = _as_heard(run, channel), _spacing_s(run, channel)
            counts["good"] += len(series.good())
            counts["unusable"] += len(series) - len(series.good())
            off, stale = _off(series, reference.series(channel), spacing_s, own)
            counts["stale"] += stale
            wrong += [f"{channel} is {value:.6g} at {t:.1f} s, off what it should be" for t, value in off[:3]]
            bound_s = BACK_OFF_S + _turn_s(run, channel)
            holes = [tuple(_by_clock(run, channel, np.array(hole[:2]))) for hole in run.gaps(channel)]
            counts["gaps"] += len(holes)
            counts["missing"] += sum(missing for _, _, missing in run.gaps(channel))
            wrong += [
                f"{channel} has a gap from {t0:.1f} s to {t1:.1f} s of which no record tells"
                for t0, t1 in holes
                if not _touched((t0, t1), told.get(instrument, ()))
            ]
            struck = [(strike.at_s, strike.at_s + strike.for_s + bound_s) for strike in own]
            wrong += [
                f"{channel} has no good sample from {t0:.1f} s to {t1:.1f} s although nothing has struck"
                for t0, t1 in _silences(series, spacing_s, _resting(run, instrument))
                if not _touched((t0, t1), struck) and not _touched((t0, t1), _disturbed(run))
            ]
            for strike in own:
                back_s = _back_s(series, strike)
                longest_s[instrument] = max(longest_s.get(instrument, 0.0), back_s)
                if back_s > bound_s:
                    wrong.append(f"{channel} is silent for {back_s:.1f} s after the end of {strike}")
    return Found(
        wrong, counts["good"], counts["unusable"], counts["gaps"], counts["missing"], counts["stale"], longest_s
    )


def _told(run: Run) -> dict[str, list[tuple[float, float]]]:
    """By instrument: the spans of which a record says that samples are missing."""
    told: dict[str, list[tuple[float, float]]] = {}
    begun: dict[str, float] = {}
    for event in run.records("outage"):
        name = event.fields["instrument"]
        if event.fields["state"] == "begin":
            begun[name] = event.t
        elif event.fields["state"] == "end":
            told.setdefault(name, []).append((begun.pop(name), event.t))
            if event.fields.get("samples"):
                told[name].append((event.fields["from_s"], event.fields["to_s"]))
    for name, t in begun.items():
        told.setdefault(name, []).append((t, run.end_s))
    for event in run.records("gap"):
        told.setdefault(event.fields["instrument"], []).append((event.fields["from_s"], event.fields["to_s"]))
    return told


def _disturbed(run: Run) -> Spans:
    return [(event.fields["from_s"], event.fields["to_s"]) for event in run.records("disturbed")]


def _touched(span: tuple[float, float], spans: Spans) -> bool:
    """Whether one of the spans has a moment in common with this one."""
    return any(t0 <= span[1] and span[0] <= t1 for t0, t1 in spans)


def _as_heard(run: Run, channel: str) -> Series:
    """A channel by the run's clock; one that keeps what the wire said beside the values has their flags."""
    series = run.series(channel)
    series = replace(series, t=_by_clock(run, channel, series.t))
    if series.channel.unit != "1":
        return series
    instrument = channel.partition(".")[0]
    others = [run.series(other).quality for other in run.channels if other.partition(".")[0] == instrument]
    return replace(series, quality=np.bitwise_or.reduce(others))


def _by_clock(run: Run, channel: str, t: FloatArray) -> FloatArray:
    """Times by the run's clock, by which its records are.

    Where a stream has been begun anew so often that no line fits its anchors, its times are nominal: a crystal of
    50 ppm is 2 min off after a month.  Each anchor says by how much.
    """
    group = run.streams[channel.partition(".")[0]]
    anchors = group.parent[ANCHORS].get(str(group.attrs["stream"])) if ANCHORS in group.parent else None
    if anchors is None or "dt_fitted_s" in group.attrs:
        return t
    nominal = float(group.attrs["t0_nominal_s"]) + anchors["samples"][:] * float(group.attrs["dt_nominal_s"])
    return t + np.interp(t, nominal, anchors["host_time"][:] - nominal)


def _spacing_s(run: Run, channel: str) -> float:
    """Time from one sample to the next; the longest where the stream rests in some phases."""
    series, resting = run.series(channel), _resting(run, channel.partition(".")[0])
    if resting:
        series = series.within(*max(((t0, t1) for t0, t1, _ in resting), key=lambda span: span[1] - span[0]))
    return float(np.median(np.diff(series.t[:10_000])))


def _resting(run: Run, instrument: str) -> list[tuple[float, float, int]]:
    """Begin and end of each stretch of which one sample of so many was kept."""
    found: list[tuple[float, float, int]] = []
    for event in run.records("rest"):
        if event.fields["instrument"] == instrument:
            if event.fields["state"] == "begin":
                found.append((event.t, run.end_s, int(event.fields["every"])))
            else:
                found[-1] = (found[-1][0], event.t, found[-1][2])
    return found


def _turn_s(run: Run, channel: str) -> float:
    """How long a sampler may take from one question to the next, and its answer."""
    return max(15.0, 2.5 * _spacing_s(run, channel))


def _silences(
    series: Series, spacing_s: float, resting: Sequence[tuple[float, float, int]]
) -> Iterator[tuple[float, float]]:
    """Stretches without a good sample, longer than two and a half samples as they come at that moment."""
    t = series.good().t
    longest_s = np.full(len(t), 2.5 * spacing_s)
    if resting:
        every = max(every for _, _, every in resting)
        longest_s /= every
        for t0, t1, _ in resting:
            longest_s[slice(*np.searchsorted(t, [t0 - 2.5 * spacing_s, t1 + 2.5 * spacing_s]))] = 2.5 * spacing_s
    for k in np.flatnonzero(np.diff(t) > longest_s[1:]):
        yield float(t[k]), float(t[k + 1])


def _back_s(series: Series, strike: Strike) -> float:
    """Time from the end of a fault to the next good sample."""
    t = series.good().t
    end_s = strike.at_s + strike.for_s
    k = int(np.searchsorted(t, end_s))
    return float(t[k]) - end_s if k < len(t) else 0.0


def _off(
    series: Series, sound: Series, spacing_s: float, own: Sequence[Strike]
) -> tuple[list[tuple[float, float]], int]:
    """Good samples that are not what the run without faults shows about their moment, and how many are stale."""
    good, true = series.good(), sound.good()
    reach = 1 + round(max(2.0 / spacing_s, 2.0))
    low = minimum_filter1d(true.values, 2 * reach + 1, mode="nearest")
    high = maximum_filter1d(true.values, 2 * reach + 1, mode="nearest")
    at = np.clip(np.searchsorted(true.t, good.t), 0, len(true.t) - 1)
    allowed = series.channel.max_step or _noise(true.values)
    off = (good.values < low[at] - allowed) | (good.values > high[at] + allowed)
    stale = 0
    for strike in own:
        if strike.name == "frozen-reading":
            # A buffer that is read once it is stuck holds what was taken since it was read before.
            stuck = slice(
                *np.searchsorted(good.t, [strike.at_s - 15.0, strike.at_s + strike.for_s + 2.0 * spacing_s + 15.0])
            )
            before = slice(
                *np.searchsorted(true.t, [strike.at_s - 15.0 - 2.0 * spacing_s, strike.at_s + 15.0 + spacing_s])
            )
            seen = true.values[before]
            old = (
                off[stuck] & (good.values[stuck] >= seen.min() - allowed) & (good.values[stuck] <= seen.max() + allowed)
            )
            stale += int(old.sum())
            off[stuck] &= ~old
    return [(float(good.t[k]), float(good.values[k])) for k in np.flatnonzero(off)], stale


def _noise(values: FloatArray) -> float:
    """Six standard deviations of what changes from one sample to the next, by the median."""
    return 6.0 * 1.4826 * float(np.median(np.abs(np.diff(values)))) + 1e-9 * float(np.max(np.abs(values), initial=0.0))


def by_sevenths_mb(memory_mb: Sequence[tuple[float, float]]) -> list[float]:
    """Median memory in each seventh of the run."""
    end_s = memory_mb[-1][0]
    edges = [end_s * k / 7.0 for k in range(8)]
    return [float(np.median([mb for t, mb in memory_mb if t0 <= t <= t1])) for t0, t1 in pairwise(edges)]


def growth_mb(memory_mb: Sequence[tuple[float, float]]) -> float:
    """By how much the memory grew from the second seventh of the run to its last."""
    sevenths = by_sevenths_mb(memory_mb)
    return sevenths[-1] - sevenths[1]


# ------------------------------------------------------------------------------------------------------------ all


def main(arguments: list[str] | None = None) -> int:
    """Run three times, compare, print."""
    parser = argparse.ArgumentParser(prog="week", description=__doc__)
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", default="1 h", help="time from one fault to the next")
    parser.add_argument("--station", default="sim")
    options = parser.parse_args(arguments)
    length_s = options.days * 86_400.0
    strikes = drawn(length_s, quantities.parse(options.every, "time"), options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
        with pool:
            outcomes = []
            for what, these in (("sound", []), ("faulty", strikes), ("again", strikes)):
                outcome = pool.submit(one, options.station, length_s, options.seed, these, folder / what).result()
                _print_run(what, outcome)
                outcomes.append(outcome)
        sound, faulty, again = outcomes
        wrong = _print_strikes(strikes, faulty)
        found = judged(faulty.run_file, sound.run_file, strikes)
    print(f"samples: {found.good} good, {found.unusable} flagged, {found.missing} missing in {found.gaps} gaps")
    print(f"  {found.stale} repeated by a stuck instrument")
    print("longest time to the next good sample after a fault: ", end="")
    print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.longest_s.items()))
    wrong += found.wrong
    if faulty.digest != again.digest:
        wrong.append("two runs with the same seed and the same faults differ")
    for outcome in (sound, faulty, again):
        if growth_mb(outcome.memory_mb) > FLAT_MB:
            wrong.append(f"memory grew by {growth_mb(outcome.memory_mb):.1f} MB from the second seventh to the last")
    print("\n".join(wrong) if wrong else "completed, every gap told, no wrong value, memory flat, digest the same")
    return 1 if wrong else 0


def _print_run(what: str, outcome: Outcome) -> None:
    mb = ", ".join(f"{memory:.1f}" for memory in by_sevenths_mb(outcome.memory_mb))
    print(
        f"{what:7} {outcome.length_s / 3600.0:.1f} h in {outcome.wall_s:.1f} s, {outcome.cpu_s:.1f} s CPU; "
        f"{outcome.status}, {outcome.verdict}; digest {outcome.digest[:16]}"
    )
    print(f"        memory in each seventh, MB: {mb}; grown by {growth_mb(outcome.memory_mb):+.2f}", flush=True)


def _print_strikes(strikes: Sequence[Strike], outcome: Outcome) -> list[str]:
    """What has struck; returns what has not."""
    drawn_by, struck_by = Counter(strike.name for strike in strikes), Counter[str]()
    for strike, hits in zip(strikes, outcome.hits, strict=True):
        struck_by[strike.name] += hits > 0
    print(
        f"{len(strikes)} faults drawn, {sum(hits > 0 for hits in outcome.hits)} have struck {sum(outcome.hits)} times"
    )
    for name, count in sorted(drawn_by.items()):
        print(f"  {name:22} {count:3} drawn, {struck_by[name]:3} struck")
    return [f"not one {name} has struck" for name in drawn_by if not struck_by[name]]


if __name__ == "__main__":
    sys.exit(main())
