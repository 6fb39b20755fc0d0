"""The schedule that changes of a constant rate make, programmed or read from a record."""

from __future__ import annotations

from data.schedule import Bolus, Continuous, Schedule


def course(changes: list[tuple[float, float]], end_s: float) -> Schedule:
    """Constant rates from their times on until the end, in s from the start of delivery, as one schedule."""
    ends = [at_s for at_s, _ in changes[1:]] + [end_s]
    bridges = tuple(
        Bolus(at_s, rate * (until_s - at_s) / 3600.0, until_s - at_s, "bridge")
        for (at_s, rate), until_s in list(zip(changes, ends, strict=True))[1:]
        if until_s > at_s
    )
    return Schedule(Continuous(changes[0][1]), bridges)
