"""Time for everything that waits: a wall clock, a virtual clock and a paced one, behind one contract.

Nothing else in the bench may sleep, read the time or use a lock of its own (ruff bans it), because a wait that the
virtual clock does not know would stop virtual time for ever.  The virtual clock is a barrier: one registered worker
runs at a time, and when it waits, time jumps to the earliest wake-up; ties go by (time, worker name).  So a 30-day
protocol runs in minutes and twice the same.
"""

from __future__ import annotations

from instruments.clock.contract import (
    WALL_HORIZON_S,
    Clock,
    ClockError,
    Event,
    Queue,
    StandstillError,
    Worker,
)
from instruments.clock.pace import possible_pace
from instruments.clock.paced import PacedClock
from instruments.clock.virtual import VIRTUAL_START, VirtualClock
from instruments.clock.wall import WallClock

__all__ = [
    "VIRTUAL_START",
    "WALL_HORIZON_S",
    "Clock",
    "ClockError",
    "Event",
    "PacedClock",
    "Queue",
    "StandstillError",
    "VirtualClock",
    "WallClock",
    "Worker",
    "possible_pace",
]
