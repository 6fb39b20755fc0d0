"""When the pump's own occlusion alarm sounded, by the pump's log."""

from __future__ import annotations

import math
from dataclasses import dataclass

from data.run import Run
from protocols.analysis.occlusion.record import Occluded

WORDS = "alarm occlusion"
LOGGED_S = 1.0
"""A log entry's time is rounded to this, at the most."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """When it sounded, in s after closing, and the standard uncertainty of that."""

    after_s: float
    u_s: float


def alarm_after(run: Run, occluded: Occluded) -> Alarm | None:
    """The first occlusion alarm after the closing, from the log as it was read then; None where there is none.

    An entry has the time of the pump's own clock, whose difference from ours was read together with the log.
    """
    if occluded.closed_s is None:
        return None
    until_s = math.inf if occluded.opened_s is None else occluded.opened_s
    keys = (f"closed-{occluded.number}", f"opened-{occluded.number}")
    for read in run.records("pump"):
        if read.fields["key"] not in keys:
            continue
        asked, answered = float(read.fields["asked_s"]), float(read.fields["answered_s"])
        ahead = float(read.fields["clock_s"]) - (asked + answered) / 2.0
        for entry in read.fields["log"] or ():
            at, _, text = str(entry).partition(",")
            t_s = float(at) - ahead
            if text.startswith(WORDS) and occluded.closed_s <= t_s <= until_s:
                return Alarm(t_s - occluded.closed_s, math.hypot(LOGGED_S / math.sqrt(12.0), (answered - asked) / 2.0))
    return None
