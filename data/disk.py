"""What a record asks of a file system: a lock that goes with its process, a name that is not taken, one that lasts."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

LOCK_AT = 1 << 62
"""Windows locks bytes, and keeps others from reading those: no record is as long."""


def lock(fd: int, *, without: bool = True) -> bool:
    """Lock an open file until it is closed, or its process ends however it may; anybody may still read it.

    Returns False when another process, or another opening, has locked it.

    Parameters
    ----------
    without : what to return where the file system knows no locks, as some network drives.
    """
    if sys.platform == "win32":
        return _lock_on_windows(fd, without=without)
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return without
    return True


def write_through(file: FileIO, data: bytes) -> None:
    """Write all of some bytes to an unbuffered file, and have the disk confirm them; raises OSError."""
    done = 0
    while done < len(data):
        done += file.write(data[done:])
    os.fsync(file.fileno())


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Let an error of the system name what it is about, which that of a write or a lock does not."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def told(error: OSError, about: Path | None = None) -> str:
    """What the system would not do, without its number, and what to do; what we say ourselves stands as it is.

    Parameters
    ----------
    about : what to name where the error itself names nothing.
    """
    if error.errno is None or error.strerror is None:
        return str(error)
    where = error.filename or about
    remedy = {
        errno.ENOSPC: "make room and try again",
        errno.EACCES: "see to its rights, or choose another place",
        errno.EROFS: "choose another place",
    }
    return f"{f'{where}: ' if where else ''}{error.strerror}; {remedy.get(error.errno, 'see to it and try again')}"


def take_name(part: Path, name: Path) -> None:
    """Give a file the name that it is meant to have, for good, and never that of another file.

    Where the file system knows hard links, ``part`` stays a name of the file too, to be removed.

    Raises
    ------
    FileExistsError
        The name is taken; what has it is as it was.
    OSError
        The name cannot be given.
    """
    if os.name == "nt":
        part.rename(name)  # which Windows refuses where the name is taken
        return
    try:
        os.link(part, name)
    except FileExistsError:
        raise
    except OSError:  # no links here, as on a memory card: an empty file keeps the name free of others
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        try:
            part.replace(name)
        except OSError:
            name.unlink()
            raise
    sync_folder(name.parent)


def sync_folder(folder: Path) -> None:
    """Have the folder remember a new name; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):  # some network file systems cannot
            raise
    finally:
        os.close(fd)


if sys.platform == "win32":

    def _lock_on_windows(fd: int, *, without: bool) -> bool:
        """`LockFileEx`: Python's own call reaches 2 GiB, and a journal may be longer.

        Not verified on a Windows computer.
        """
        import ctypes
        import msvcrt
        from ctypes import wintypes

        class Overlapped(ctypes.Structure):
            _fields_ = (
                ("Internal", ctypes.c_void_p),
                ("InternalHigh", ctypes.c_void_p),
                ("Offset", wintypes.DWORD),
                ("OffsetHigh", wintypes.DWORD),
                ("hEvent", wintypes.HANDLE),
            )

        exclusive, at_once, lock_violation = 2, 1, 33
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.LockFileEx.argtypes = (wintypes.HANDLE, *[wintypes.DWORD] * 4, ctypes.POINTER(Overlapped))
        where = Overlapped(Offset=LOCK_AT & 0xFFFFFFFF, OffsetHigh=LOCK_AT >> 32)
        done = kernel.LockFileEx(msvcrt.get_osfhandle(fd), exclusive | at_once, 0, 1, 0, ctypes.byref(where))
        return bool(done) or (without and ctypes.get_last_error() != lock_violation)
