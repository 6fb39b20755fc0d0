"""Where the bench keeps what outlasts a run: queue, latches, keys, register, catalogue."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def home() -> Path:
    """The state folder: PUMPBENCH_HOME, or where the platform keeps a user's state."""
    if given := os.environ.get("PUMPBENCH_HOME"):
        return Path(given).absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "pumpbench"
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state") / "pumpbench"
