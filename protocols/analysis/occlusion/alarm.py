"""When the pump's own occlusion alarm sounded, by the pump's log; and whether it stood, where no log tells."""

from __future__ import annotations

import math
from dataclasses import dataclass

from data.run import Run
from protocols.analysis.occlusion.record import Occluded
from protocols.analysis.pump_reports import clock_s

ALARM = "occlusion"
WORDS = f"alarm {ALARM}"
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
        ahead = clock_s(read.fields) - (asked + answered) / 2.0
        for entry in read.fields["log"] or ():
            at, _, text = str(entry).partition(",")
            t_s = float(at) - ahead
            late_s = (
                LOGGED_S + (answered - asked) / 2.0
            )  # one that sounded just before the opening may be noted after it
            if text.startswith(WORDS) and occluded.closed_s <= t_s <= until_s + late_s:
                return Alarm(t_s - occluded.closed_s, math.hypot(LOGGED_S / math.sqrt(12.0), (answered - asked) / 2.0))
    return None


def stood(run: Run, occluded: Occluded) -> bool | None:
    """Whether an alarm stood at the end of the rise of which the log has no entry; None where that is not known.

    A log with a clock that lacks it says no.  What a person reads off a programmer has neither, but the alarms that
    stand, of which one may stand since the occlusion before.
    """
    reads = {read.fields["key"]: read.fields for read in run.records("pump")}
    here = [reads[key] for key in (f"closed-{occluded.number}", f"opened-{occluded.number}") if key in reads]
    if any(read["log"] and math.isfinite(clock_s(read)) for read in here):
        return False
    standing = {key: ALARM in read["alarms"] for key, read in reads.items()}
    return None if standing.get(f"opened-{occluded.number - 1}") else standing.get(f"closed-{occluded.number}")
