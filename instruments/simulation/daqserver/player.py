"""Lets what hangs on buffered outputs follow them while no call comes."""

from __future__ import annotations

from contextlib import AbstractContextManager

from instruments.simulation.daqserver.task import Task

LEAST_S = 0.05
"""Between two looks at an output; what hangs on it sees no faster waveform."""


def attend(task: Task, lock: AbstractContextManager[object]) -> None:
    """Move what hangs on the outputs of a running task, until it ends or is stopped."""
    clock, output = task.hardware.clock, task.output

    def follow() -> None:
        while True:
            with lock:
                if not task.running or task.output is not output:
                    return
                task.play()
                if task.done or task.frozen is not None:
                    return
                until = clock.now() + LEAST_S
                following = task.moment_of(task.acquired() + 1)
                if following < float("inf"):
                    until = max(until, following)
            clock.wait(task.changed, until)

    clock.worker(f"output of {task.name}", follow)
