"""The process behind `bench.archive.guard.Guard`: a path as a line of JSON on its input, what it says on its output.

It says a line when it is ready, and ends when its input does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from bench.archive.look import look


def main() -> None:
    """Look at what is asked for until there is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # nothing else may speak on it
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        said = look(Path(json.loads(line)))
        try:
            print(json.dumps(said, allow_nan=False), file=answers, flush=True)
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
