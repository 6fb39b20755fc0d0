"""Locks on files: held until the file is closed, and gone with the process however that ends."""

from __future__ import annotations

import sys
from typing import IO

from instruments.clock import WallClock

LOCK_AT = 1 << 30
"""Windows locks bytes, and keeps others from reading those; nothing is written here."""

LOOKED_AT_S = 0.5
"""Who asks whether a lock is held takes it for a moment; whoever wants it tries for so long."""


def lock_file(file: IO[bytes]) -> bool:
    """Lock a file until it is closed; False when another process, or another opening, has."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(LOCK_AT)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        return False
    return True


def lock_soon(file: IO[bytes]) -> bool:
    """As `lock_file`, though somebody looks at this moment whether it is held."""
    wall = WallClock()
    while not lock_file(file):
        if wall.now() > LOOKED_AT_S:
            return False
        wall.sleep(0.05)
    return True
