"""Every instrument's own safe state, side by side: one that hangs or breaks holds up nobody."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bench.ordered import at_work, reason
from instruments.clock import Clock
from instruments.instrument import Instrument

MAKE_SAFE_S = 5.0
"""Longest wait for one instrument's own safe state."""

Record = Callable[[str, Mapping[str, Any]], None]


def make_each_safe(instruments: Sequence[Instrument], clock: Clock, record: Record) -> tuple[set[str], set[str]]:
    """Call every instrument's own `make_safe`, each with a deadline, and record what each of them said.

    Returns
    -------
    Names of those that hang, and of those that are not known to be safe, with those that hang.
    """
    jobs = [_Job(instrument, clock) for instrument in instruments]
    ended = clock.event()

    def work(job: _Job) -> None:
        job.run()
        if all(other.said is not None for other in jobs):
            ended.set()

    for job in jobs:
        at_work(clock, f"safe {job.instrument.name}", partial(work, job))
    if jobs:
        clock.wait(ended, clock.now() + MAKE_SAFE_S)
    hanging, unsafe = set[str](), set[str]()
    for job in jobs:
        name, said, done_s = job.instrument.name, job.said, job.said_s
        if said is None:
            hanging.add(name)
            said = f'instrument "{name}": not confirmed, no answer within {MAKE_SAFE_S:g} s', False
            done_s = clock.now()
        what, confirmed = said
        if not confirmed:
            unsafe.add(name)
        record("confirm", {"what": what, "confirmed": confirmed, "done_s": done_s})
    return hanging, unsafe


class _Job:
    """One instrument's way to its safe state.

    Attributes
    ----------
    said : what it said, and whether that confirms it; None until it answers.
    said_s : clock time of that.
    """

    def __init__(self, instrument: Instrument, clock: Clock) -> None:
        self.instrument = instrument
        self.said: tuple[str, bool] | None = None
        self.said_s = math.nan
        self._clock = clock

    def run(self) -> None:
        name = self.instrument.name
        try:
            said = f"{name}: {self.instrument.make_safe()}", True
        except Exception as error:  # noqa: BLE001  # nobody would see it in a worker
            said = f'instrument "{name}": not confirmed, {reason(error)}', False
        self.said_s = self._clock.now()
        self.said = said
