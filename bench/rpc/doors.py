"""Where a runner is reached, and who may: unix sockets of one user, or loopback ports with a token on Windows."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LONGEST_SOCKET_PATH = 107
"""Bytes that the kernel takes, less the final zero (Linux 108, macOS 104 with it; the latter is not aimed at)."""


class DoorError(ValueError):
    """No door can be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Two addresses of one runner, for gRPC: all that it offers, and the stop alone.

    ``token`` has to be shown with each call; empty where the permissions of a socket's folder keep others away.
    """

    main: str
    stop: str
    token: str = ""


def unix_doors(home: Path, number: int) -> Doors:
    """Sockets of a run, in a folder that nobody else can enter; raises DoorError."""
    # Runs of two state folders have the same numbers, and may have the same folder of sockets.
    place = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:8]
    for folder in _folders(home):
        main, stop = (folder / f"{place}-{number}{what}.sock" for what in ("", "-stop"))
        if len(os.fsencode(stop)) <= LONGEST_SOCKET_PATH:
            private_folder(folder)
            return Doors(f"unix:{main}", f"unix:{stop}")
    raise DoorError(f"{home}: the path is too long for a socket; set XDG_RUNTIME_DIR or a shorter PUMPBENCH_HOME")


def loopback_doors() -> Doors:
    """Ports of this computer, to be chosen by the system, behind a token that is made anew for each run."""
    return Doors("127.0.0.1:0", "127.0.0.1:0", secrets.token_urlsafe(32))


def _folders(home: Path) -> Iterator[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.path.isdir(runtime):
        yield Path(runtime) / "pumpbench"
    yield home / "sockets"
    if sys.platform != "win32":
        yield Path(tempfile.gettempdir()) / f"pumpbench-{os.getuid()}"


def private_folder(folder: Path) -> Path:
    """Make a folder that only this user can enter, or see that it is one; raises DoorError."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    if sys.platform == "win32":
        return folder  # below %LOCALAPPDATA%, which Windows keeps to its user
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise DoorError(f"{folder}: belongs to somebody else; remove it, or set XDG_RUNTIME_DIR or PUMPBENCH_HOME")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


@contextmanager
def private_files() -> Iterator[None]:
    """What is made meanwhile can be used by this user alone; the whole process is affected, so keep it short."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def remove(address: str) -> None:
    """Remove what is left of a door."""
    if address.startswith("unix:"):
        Path(address.removeprefix("unix:")).unlink(missing_ok=True)
