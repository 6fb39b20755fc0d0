"""Workers side by side, one trial each at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree
from typing import IO, Any

from bench.qualify.ledger import DIED
from bench.qualify.plan import Basis, Row
from bench.qualify.trial import UNDER_WAY

LOG = "workers.log"

WORKER = ("-P", "-m", "bench.qualify.worker")


class Worker:
    """One process; started with its first trial, and anew after it died."""

    def __init__(self, folder: Path, log: IO[bytes], basis: Basis | None = None) -> None:
        self._folder = folder
        self._basis = None if basis is None else asdict(basis)
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def run(self, row: Row, seed: int) -> dict[str, Any]:
        """What a trial said; a process that dies in it is a trial that said nothing."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        line = ""
        try:
            asked = {"row": asdict(row), "seed": seed, "folder": str(self._folder), "basis": self._basis}
            print(json.dumps(asked), file=process.stdin, flush=True)
            line = process.stdout.readline()
        except OSError:
            pass  # it died; the line is empty
        if line:
            said: dict[str, Any] = json.loads(line)
            return said
        why = f"the process of the trial died with code {process.wait()}; see {LOG}"
        self.close()
        said = {"verdict": "", "status": DIED, "as_claimed": False, "why": why, "wall_s": 0.0, "cpu_s": 0.0}
        return said | {"row": row.key, "seed": seed}

    def end(self) -> None:
        """End the process, wherever it is; whoever waits for its trial hears that it died.

        Not by a termination, which stops a run in order: everything in it is simulated, and it would be a trial.
        """
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Let go of a process that has ended, when nobody waits for it any more."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):  # what it did not read any more
                    if pipe is not None:
                        pipe.close()
            self._process.wait()
            self._process = None

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, *WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                encoding="utf-8",
            )
        return self._process


def run_all(
    trials: Iterable[tuple[Row, int]], folder: Path, jobs: int, basis: Basis | None = None
) -> Generator[dict[str, Any], None, None]:
    """What each trial said, as they end; to close it ends the workers.

    Parameters
    ----------
    basis : what the plan relies on; each worker looks whether that still holds.
    """
    remaining = iter(trials)
    with (folder / LOG).open("ab") as log, _workers(folder, log, jobs, basis) as (threads, idle):
        under_way: dict[Future[dict[str, Any]], Worker] = {}
        while True:
            while idle and (trial := next(remaining, None)) is not None:
                worker = idle.pop()
                under_way[threads.submit(worker.run, *trial)] = worker
            if not under_way:
                return
            ended, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in ended:
                idle.append(under_way.pop(future))
                yield future.result()


@contextmanager
def _workers(
    folder: Path, log: IO[bytes], jobs: int, basis: Basis | None
) -> Iterator[tuple[ThreadPoolExecutor, list[Worker]]]:
    """Threads and as many workers, which are ended with the block."""
    everybody = [Worker(folder, log, basis) for _ in range(jobs)]
    rmtree(folder / UNDER_WAY, ignore_errors=True)  # of a process that was killed
    try:
        with ThreadPoolExecutor(jobs) as threads:
            try:
                yield threads, list(everybody)
            finally:
                for worker in everybody:
                    worker.end()
    finally:
        for worker in everybody:
            worker.close()
        rmtree(folder / UNDER_WAY, ignore_errors=True)
