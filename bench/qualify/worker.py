"""A process that runs trials: row and seed as a line of JSON on its standard input, what it said as one on its output.

It ends when its input does, so that none outlives whoever started it for longer than the trial that it is in.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.qualify.plan import Basis, Row
from bench.qualify.trial import conduct_trial


def row_from(fields: dict[str, Any]) -> Row:
    """The row that ``asdict`` made plain data of."""
    lists = {name: tuple(fields[name]) for name in ("faults", "checks", "claimed")}
    return Row(**fields | lists)


def stands_alone(folder: Path) -> None:
    """Have trials keep their keys, register and latches in a folder of their own, and not among those of the bench.

    ``PUMPBENCH_HOME`` goes: with it a simulated station would be latched by the trial before.
    """
    os.environ.pop("PUMPBENCH_HOME", None)
    os.environ.update(XDG_STATE_HOME=str(folder), LOCALAPPDATA=str(folder))


def main() -> None:
    """Run what is asked for until there is no more."""
    with tempfile.TemporaryDirectory(prefix="pumpbench-", ignore_cleanup_errors=True) as folder:
        stands_alone(Path(folder))
        _work()


def _work() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # nothing else may speak on it
    for line in sys.stdin:
        asked = json.loads(line)
        basis = Basis(**asked["basis"]) if asked["basis"] else None
        said = conduct_trial(row_from(asked["row"]), asked["seed"], Path(asked["folder"]), basis)
        try:
            print(json.dumps(said, allow_nan=False), file=answers, flush=True)
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
