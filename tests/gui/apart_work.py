"""What is done in processes of their own: here, because such a process imports the module of what it does."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from instruments.clock import WallClock


def never() -> None:
    """Works for ever."""
    WallClock().wait(WallClock().event())


def raises() -> None:
    raise ValueError("the file is no run")


def apart_again() -> Any:
    from gui.views.background import Apart

    return Apart().do(divmod, (7, 2), 100.0)


def dies() -> None:
    os._exit(3)


def hangs_over_a_snapshot() -> None:
    """Has a folder for what it works on, and never comes back."""
    with tempfile.TemporaryDirectory(prefix="so-far-") as folder:
        (Path(folder) / "so-far.h5").write_bytes(b"x")
        never()


def hangs_in_a_check(out: Path) -> None:
    """Looks whether a folder can be written that is not there yet, and never comes back."""
    from gui.presenters.setup_check import _folder

    with _folder(out) as folder:
        (folder / str(os.getpid())).touch()
        never()


def checks(out: Path) -> None:
    """Looks whether a folder can be written that is not there yet."""
    from gui.presenters.setup_check import _folder

    with _folder(out):
        pass
