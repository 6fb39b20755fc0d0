"""A process that reads run files for another one: a file that hangs or kills it costs its deadline and no more."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from data.seal import SLOWEST_BYTES_PER_S

COMMAND = (sys.executable, "-P", "-m", "bench.archive.worker")

PATIENCE_S = 60.0
"""How long a file may take, besides what its size needs."""


class Guard:
    """One process, started with its first file, and anew after it ended.  Use it in a ``with`` statement."""

    def __init__(self, patience_s: float = PATIENCE_S, command: tuple[str, ...] = COMMAND) -> None:
        self._patience_s = patience_s
        self._command = command
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def look(self, path: Path) -> dict[str, Any]:
        """What `bench.archive.look.look` says of a file, or that it was late or ended the process."""
        try:
            patience_s = self._patience_s + path.stat().st_size / SLOWEST_BYTES_PER_S
            process = self._started()
        except OSError as error:
            return {"outcome": "unreadable", "why": f"{path}: cannot be read ({error.strerror})", "changes": []}
        assert process.stdin is not None
        assert process.stdout is not None
        late = []

        def end() -> None:
            late.append(True)
            process.kill()

        deadline = threading.Timer(patience_s, end)
        deadline.daemon = True
        deadline.start()
        try:
            print(json.dumps(str(path)), file=process.stdin, flush=True)
            line = process.stdout.readline()
        except OSError:
            line = ""  # it died
        finally:
            deadline.cancel()
        if line:
            said: dict[str, Any] = json.loads(line)
            return said
        code = process.wait()
        self.close()
        if late:
            return {"outcome": "late", "why": f"reading it did not end within {patience_s:.3g} s", "changes": []}
        return {"outcome": "died", "why": f"reading it ended the process with {code}", "changes": []}

    def end(self) -> None:
        """End the process, wherever it is; whoever waits for it hears that it died."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process and let go of it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what it did not read any more
                if pipe is not None:
                    pipe.close()
        process.wait()

    def _started(self) -> subprocess.Popen[str]:
        """The process, ready for a file: what it takes to start does not count."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
            assert self._process.stdout is not None
            self._process.stdout.readline()
        return self._process
