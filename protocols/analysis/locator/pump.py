"""What the pump says of itself: alarms, log, clock, and the boluses that it granted to its patient."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from data.alarms import tells
from data.run import Run, RunError
from protocols.analysis.locator.shown import CERTAIN, Shown, clipped, happened
from protocols.analysis.pump_reports import clock_s

DAY_S = 86400.0

CLOCK_S, CLOCK_PPM = 1.0, 100.0
"""The clock of a pump from ours."""

PROVOKED: Mapping[str, frozenset[str]] = {"occlusion": frozenset({"occlusion"})}
"""Alarms that a protocol brings about."""

ALARMS = ("stall", "low-battery", "occlusion")


def pump_says(run: Run) -> Iterator[Shown]:
    """Alarms, log and clock, where the pump was read after it had been started.

    What a person reads off a programmer has no log and no clock, and may name alarms in its own words.
    """
    read = run.records("pump")
    later = [one for one in read if one.fields["key"] != "before"]
    if not later:
        return
    alarms = [str(name) for one in later for name in one.fields["alarms"] or ()]
    for name in ALARMS:
        if name not in PROVOKED.get(run.procedure, ()):
            yield happened(f"alarm-{name}", any(tells(told, name) for told in alarms), "pump.alarms")
    if any(one.fields["log"] for one in read):
        log = [str(line).casefold() for one in later for line in one.fields["log"] or ()]
        yield happened("reset-logged", any("reset" in line for line in log), "pump.log")
    clocks = [one.fields for one in read if math.isfinite(clock_s(one.fields))]
    if len(clocks) > 1:
        first, last = clocks[0], clocks[-1]
        ours = float(last["answered_s"]) - float(first["answered_s"])
        jump = clock_s(last) - clock_s(first) - ours
        spread = math.hypot(CLOCK_S, 1e-6 * CLOCK_PPM * ours)
        yield Shown("pump-clock", "", jump, "s", clipped(jump / spread), "pump.clock_s", CLOCK_S, spread=spread)


def requests(run: Run) -> Iterator[Shown]:
    """Patient boluses that were granted against the programmed rule."""
    try:
        rule = run.schedule.patient
    except RunError:
        return
    asked = [one for one in run.records("pump-command") if str(one.fields["command"]).startswith("BOLUS kind=patient")]
    if rule is None or not asked:
        return
    granted: list[float] = []
    within = beyond = 0
    for one in asked:
        if "granted=1" not in str(one.fields["reply"]) and not str(one.fields["reply"]).startswith("granted"):
            continue
        at_s = float(one.fields["confirmed_s"])
        if granted and at_s - granted[-1] < rule.lockout_s - CLOCK_S:
            within += 1
        elif _on_the_day(run, granted, at_s, rule.day) >= rule.max_per_day:
            beyond += 1
        granted.append(at_s)
    for name, count in (("lockout-broken", within), ("maximum-broken", beyond)):
        yield Shown(name, "", float(count), "1", CERTAIN if count else 0.0, "pump.commands", high=0.0)


def _on_the_day(run: Run, granted: list[float], at_s: float, day: str) -> int:
    """Boluses granted before on the same day of the pump's clock, or in the 24 h before."""
    ahead = next((clock_s(one.fields) - float(one.fields["answered_s"]) for one in run.records("pump")), 0.0)
    if day == "rolling" or not math.isfinite(ahead):
        return sum(at_s - one < DAY_S for one in granted)
    return sum(math.floor((one + ahead) / DAY_S) == math.floor((at_s + ahead) / DAY_S) for one in granted)
