"""Workers side by side, one trial each at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from bench.qualify.plan import Row

LOG = "workers.log"


class Worker:
    """One process; started with its first trial, and anew after it died."""

    def __init__(self, folder: Path, log: IO[bytes]) -> None:
        self._folder = folder
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def run(self, row: Row, seed: int) -> dict[str, Any]:
        """What a trial said; a process that dies in it is a trial that said nothing."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        line = ""
        try:
            asked = {"row": asdict(row), "seed": seed, "folder": str(self._folder)}
            print(json.dumps(asked), file=process.stdin, flush=True)
            line = process.stdout.readline()
        except OSError:
            pass  # it died; the line is empty
        if line:
            said: dict[str, Any] = json.loads(line)
            return said
        self._process = None
        why = f"the process of the trial died with code {process.wait()}; see {LOG}"
        said = {"verdict": "", "status": "error", "as_claimed": False, "why": why, "wall_s": 0.0, "cpu_s": 0.0}
        return said | {"row": row.key, "seed": seed}

    def end(self) -> None:
        """End the process, wherever it is."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bench.qualify.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                encoding="utf-8",
            )
        return self._process


def run_all(trials: Iterable[tuple[Row, int]], folder: Path, jobs: int) -> Iterator[dict[str, Any]]:
    """What each trial said, as they end; whoever stops asking ends the workers."""
    remaining = iter(trials)
    with (folder / LOG).open("ab") as log, ThreadPoolExecutor(jobs) as threads:
        idle = [Worker(folder, log) for _ in range(jobs)]
        everybody = list(idle)
        under_way: dict[Future[dict[str, Any]], Worker] = {}
        try:
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
        finally:
            for worker in everybody:
                worker.end()
