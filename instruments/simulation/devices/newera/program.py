"""The pumping program of a New Era pump, and the motion of its motor while it executes a phase."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

PHASES = 41


@dataclass(slots=True)
class Phase:
    """One phase of the pumping program."""

    function: str = "STP"
    rate: float = 0.0
    rate_unit: str = "MH"
    volume: float = 0.0  # in the pump's volume unit; 0 is without an end
    direction: str = "INF"


@dataclass(frozen=True, slots=True)
class Motion:
    """Steps at one rate, as many as are left of the phase or without an end."""

    start_s: float
    interval_s: float
    sign: int
    steps: int | None

    def done(self, t: float) -> int:
        """Steps made by ``t``."""
        made = int((t - self.start_s) / self.interval_s + 1e-6)
        return made if self.steps is None else min(made, self.steps)

    def end_s(self) -> float:
        """Moment of the last step."""
        return math.inf if self.steps is None else self.start_s + self.steps * self.interval_s


@dataclass(slots=True)
class Memory:
    """What survives a loss of power."""

    diameter_mm: float
    safe_timeout_s: int
    restarts: bool
    volume_unit: str = "UL"
    phases: list[Phase] = field(default_factory=lambda: [Phase("RAT"), *(Phase() for _ in range(PHASES - 1))])
