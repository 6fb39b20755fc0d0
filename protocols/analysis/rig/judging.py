"""How one result of a rig check is judged against the limits in the station file."""

from __future__ import annotations

import math
from dataclasses import replace

from data.checks import Check, Limits, Verdict
from protocols.analysis.decision import judge

ROOM = 3.0
"""So many standard uncertainties a limit leaves room for: a sound rig fails one check in 370 by chance at the worst."""


def unmeasured(name: str, title: str, unit: str, note: str) -> Check:
    """A part that was not recorded, or not long enough."""
    return Check(name, title, None, unit, Verdict.NOT_MEASURED, "rig", note=note)


def judged(
    name: str, title: str, unit: str, value: float, u: float, limits: Limits, cause: str, dof: float = math.inf
) -> Check:
    """A rig's result; outside its limits the note names the cause.

    The limits leave room for the uncertainty, so the value alone decides; U stands beside it.
    """
    inside = (limits.low is None or value >= limits.low) and (limits.high is None or value <= limits.high)
    fields = judge(value, u, dof, limits)
    fields["verdict"] = Verdict.PASS if inside else Verdict.FAIL
    fields["rule"] = "value within limits; they leave room for U"
    return Check(name=name, title=title, unit=unit, owner="rig", note="" if inside else cause, **fields)


def told(check: Check, u: float, remedy: str) -> Check:
    """A check whose limits owe nothing to its u: where they leave no room for `ROOM` of them, it does not pass.

    A value that lies outside by more than that is a fail all the same.
    """
    if check.value is None or check.limit_low is None or check.limit_high is None:
        return check
    half = (check.limit_high - check.limit_low) / 2.0
    beyond = max(check.limit_low - check.value, check.value - check.limit_high)
    if ROOM * u <= half or beyond > ROOM * u:
        return check
    note = (
        f"u is {u:.2g} {check.unit}, and limits of {half:.3g} {check.unit} leave no room for {ROOM:g} of them: {remedy}"
    )
    return replace(check, verdict=Verdict.NOT_CAPABLE, note=note)


def within(half: float) -> Limits:
    """Limits of the station file on both sides of zero."""
    return Limits(-half, half, "station file, rig_check")


def at_most(high: float) -> Limits:
    """An upper limit of the station file."""
    return Limits(None, high, "station file, rig_check")
