"""How fast the time of a simulated bench may go."""

import math

SLOWEST_PACE = 0.1
"""The safe state of a stop takes some seconds of the run's own time, and a person waits for it."""


def possible_pace(pace: float) -> float:
    """The pace itself, in seconds of a simulated bench per second; raises ValueError, as a sentence, at no real one."""
    if not SLOWEST_PACE <= pace < math.inf:
        raise ValueError(f"pace {pace:g}: a stop takes its time at this pace, too; give {SLOWEST_PACE:g} or more")
    return pace
