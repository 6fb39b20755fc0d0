"""A phase that may end early: looks at the record at declared moments, and what a clear fail does.

A look reads the journal, never the engine: a snapshot that ends at the declared moment, whatever came since.  On the
wall clock a process of its own does it, so that acquisition and interlocks hear nothing of it; in virtual time it is
done at once and takes no time.  Either way the same samples give the same decision.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from data.fold import fold
from data.run import Run
from instruments.clock import WALL_HORIZON_S, Clock, Event
from protocols.analysis.looks import Look
from protocols.procedure import Procedure, load_procedure
from protocols.steps import JudgedPhase

AFTER_S = 600.0
"""A look begins so long after its moment: by then every sample up to it is in the journal."""

LONGEST_S = 1800.0
"""A look that takes longer is given up, and the run goes on."""

NICE = 15
"""A look's process leaves the processor to the acquisition."""

Judge = Callable[[float], Look]
"""From a moment of the run to what the record says up to it; what it raises is told, and the run goes on."""


class Course(Protocol):
    """What the engine lets a phase do with the run's time."""

    rested_s: float
    done: str

    def hold(self, until: float, met: Event) -> None:
        """Wait to a clock time, longer by pauses, or until ``met`` is set; raises Halted when the steps are to end."""

    def nudge(self) -> None:
        """Have `hold` look at its event again."""


def follow(
    step: JudgedPhase,
    clock: Clock,
    course: Course,
    record: Callable[[str, Mapping[str, Any]], None],
    procedure: Procedure,
    journal: Path,
) -> None:
    """Hold a phase to its end, or to the first look that finds a clear fail."""
    begin, rested_s, never = clock.now(), course.rested_s, clock.event()
    judge = _judge(clock, procedure, journal, len(step.looks_s), step.risk)

    def hold(for_s: float) -> float:
        """Wait for a time of the phase without its pauses; returns that moment on the run's clock."""
        course.hold(begin + for_s + course.rested_s - rested_s, never)
        return begin + for_s + course.rested_s - rested_s

    for number, at_s in enumerate(step.looks_s, 1):
        sample_s = hold(at_s + AFTER_S) - AFTER_S
        found = _looked(clock, course, lambda sample_s=sample_s: judge(sample_s))  # type: ignore[misc]  # bound
        if isinstance(found, str):
            text = f'phase "{step.name}", look {number}: {found}; the run goes on'
            record("event", {"level": "warning", "text": text, "phase": step.name, "sample_s": sample_s})
            continue
        of = {"phase": step.name, "number": number, "looks": len(step.looks_s), "sample_s": sample_s}
        record("look", {**of, **asdict(found)})
        if found.stop:
            took_h = (clock.now() - begin) / 3600.0
            course.done = f"all steps done; a clear fail at look {number} ended the {step.name} after {took_h:.2f} h"
            return
    hold(step.most_s)


def _looked(clock: Clock, course: Course, look: Callable[[], Look]) -> Look | str:
    """What a look found, or why it found nothing; the steps can be paused and ended meanwhile."""
    done, found = clock.event(), list[Look | str]()

    def work() -> None:
        try:
            found.append(look())
        except Exception as error:  # noqa: BLE001  # a look that breaks must not end the run
            found.append(f"{type(error).__name__}: {error}")
        done.set()
        course.nudge()

    clock.worker("~look", work)
    course.hold(clock.now() + LONGEST_S, done)
    return found[0] if found else f"no answer within {LONGEST_S:g} s"


def _judge(clock: Clock, procedure: Procedure, journal: Path, looks: int, risk: float) -> Judge:
    """How a look is done on a clock."""
    if clock.block_s <= WALL_HORIZON_S:
        return lambda until_s: _aside(journal, until_s, looks, risk)
    return lambda until_s: look(procedure, journal, until_s, looks, risk)


def look(procedure: Procedure | type[Procedure], journal: Path, until_s: float, looks: int, risk: float) -> Look:
    """Judge the record up to a moment, from a snapshot of the journal that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="pumpbench-look-") as folder:
        snapshot = fold(journal, Path(folder) / "look.h5", incomplete=True, until_s=until_s)
        with Run.open(snapshot) as run:
            return procedure.look(run, looks, risk)


def _aside(journal: Path, until_s: float, looks: int, risk: float) -> Look:
    """The same in a process of its own; raises OSError or ValueError where it comes to nothing."""
    words = [str(journal), repr(until_s), str(looks), repr(risk)]
    command = [sys.executable, "-P", "-m", "bench.looks", *words]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=LONGEST_S, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ValueError(said[-1] if said else f"its process ended with {done.returncode}")
    return Look(**json.loads(done.stdout))


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the process that looks."""
    parser = argparse.ArgumentParser(prog="bench.looks", description=__doc__)
    parser.add_argument("journal", type=Path)
    parser.add_argument("until_s", type=float)
    parser.add_argument("looks", type=int)
    parser.add_argument("risk", type=float)
    options = parser.parse_args(arguments)
    if hasattr(os, "nice"):
        os.nice(NICE)
    from data.journal import read_journal

    with read_journal(options.journal) as reader:
        procedure = load_procedure(str(reader.header["procedure"]))
    print(json.dumps(asdict(look(procedure, options.journal, options.until_s, options.looks, options.risk))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
