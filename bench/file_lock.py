"""Locks on files: held until the file is closed, and gone with the process however that ends."""

from __future__ import annotations

from typing import IO

from data import disk
from instruments.clock import WallClock

HOLD_ON_S = 2.0
"""Who looks whether a lock is held has it for a moment; whoever wants it tries for so long."""


def lock_file(file: IO[bytes]) -> bool:
    """Lock a file until it is closed; False when another process, or another opening, has, or where nothing locks."""
    return disk.lock(file.fileno(), without=False)


def lock_soon(file: IO[bytes], within_s: float | None = None) -> bool:
    """As `lock_file`, though somebody has it at this moment; tries for `HOLD_ON_S` unless told for how long."""
    wall = WallClock()
    while not lock_file(file):
        if wall.now() > (HOLD_ON_S if within_s is None else within_s):
            return False
        wall.sleep(0.02)
    return True
