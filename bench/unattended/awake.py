"""A computer that must not fall asleep while a run goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ES_CONTINUOUS = 0x8000_0000
ES_SYSTEM_REQUIRED = 0x0000_0001


@contextmanager
def awake(reason: str) -> Iterator[bool]:
    """Keep the computer awake while the context lasts; yields whether the system took the wish.

    Linux asks logind through ``systemd-inhibit``, whose lock ends with a child that reads a pipe of ours: when this
    process dies, by whatever means, the pipe closes and the lock is gone.  Windows has SetThreadExecutionState, which
    ends with the thread; macOS has ``caffeinate``, which watches our process.
    """
    if sys.platform == "win32":
        import ctypes

        taken = ctypes.windll.kernel32.SetThreadExecutionState(ES_CONTINUOUS | ES_SYSTEM_REQUIRED) != 0
        try:
            yield taken
        finally:
            ctypes.windll.kernel32.SetThreadExecutionState(ES_CONTINUOUS)
        return
    child = _child(reason)
    try:
        yield child is not None
    finally:
        if child is not None:
            child.communicate()  # closes the pipe that holds it, and waits for its end


def _child(reason: str) -> subprocess.Popen[bytes] | None:
    """The process that holds the lock, None where the system has none or refuses it."""
    if caffeinate := shutil.which("caffeinate"):
        command = [caffeinate, "-i", "-w", str(os.getpid()), "cat"]
    elif inhibit := shutil.which("systemd-inhibit"):
        what = ["--what=sleep:idle:handle-lid-switch", "--who=pumpbench", f"--why={reason}", "--mode=block"]
        command = [inhibit, *what, "cat"]
    else:
        return None
    silent = subprocess.DEVNULL
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=silent)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(b"\n")
        child.stdin.flush()
        held = child.stdout.read(1) == b"\n"  # the lock is held when what it guards answers
    except OSError:
        held = False
    if held:
        return child
    child.communicate()
    return None
