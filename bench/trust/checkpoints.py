"""Fixes what of a run's journal is on the disk, now and then and at its end, by rows of the register.

So what was acknowledged before a run was cut off cannot be made otherwise unseen, and recovered from that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.trust.register import fix
from data.journal import JournalWriter
from instruments.clock import Clock

FIRST_S = 600.0
SHARE = 8.0
LONGEST_S = 6.0 * 3600.0
"""A row comes after ten minutes, then whenever the run has got an eighth longer, at least every six hours of real time.

Some 150 rows of 0.5 KB are those of a run of 30 days.
"""


class Checkpoints:
    """Looks at each sync of a journal whether it is time for a row, which a worker adds: the writer never waits.

    Parameters
    ----------
    trouble : called with a sentence, once, when the register does not take a row.
    """

    def __init__(
        self, home: Path, run_id: str, writer: JournalWriter, clock: Clock, trouble: Callable[[str], object]
    ) -> None:
        self._home = home
        self._run_id = run_id
        self._writer = writer
        self._clock = clock
        self._trouble = trouble
        self._troubled = False
        self._begun_s = clock.wall()
        self._due_s = self._begun_s + FIRST_S

    def look(self) -> None:
        """The disk has confirmed the journal up to here; returns at once."""
        now = self._clock.wall()
        if now >= self._due_s:
            self._due_s = now + min(max(FIRST_S, (now - self._begun_s) / SHARE), LONGEST_S)
            self._clock.worker("~checkpoint", partial(self._keep, self._writer.confirmed))

    def end(self, *, whole: bool) -> str:
        """No frame is to come; returns why that was not kept.

        Parameters
        ----------
        whole : every frame is on a disk, if not in the journal's own place.
        """
        made = self._writer.made if whole else self._writer.confirmed
        return fix(self._home, self._run_id, made, ended=whole)

    def _keep(self, confirmed: tuple[int, str]) -> None:
        """Body of a worker."""
        why = fix(self._home, self._run_id, confirmed)
        if why and not self._troubled:
            self._trouble(why)
        self._troubled = bool(why)
