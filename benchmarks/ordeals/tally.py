"""What an ordeal has counted: faults by kind, what became of readings and orders, and what must not have been."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

IN_STEP_WITHIN = 3
"""Transactions after the end of all faults within which a driver reads again."""


@dataclass
class Tally:
    """Counts of one driver, of one seed or of several.

    Attributes
    ----------
    struck : faults by kind.
    good, flagged, stuck : values that count, that carry a flag, and that an instrument repeated which stood still.
    missing : calls that brought an error instead, by its name.
    small : good values off by what a damaged digit below ``max_step`` is worth.
    worst : how far the worst of them was off.
    told : orders that were confirmed.
    resync : most transactions that it took to be in step after the end of all faults.
    longest : longest call, in timeouts.
    wrong, foreign, broken : sentences on good values that were wrong by more, on errors other than the three, and on
        everything else that must not be.
    """

    struck: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    good: int = 0
    flagged: int = 0
    stuck: int = 0
    small: int = 0
    worst: float = 0.0
    told: int = 0
    resync: int = 0
    longest: float = 0.0
    wrong: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Everything that must not be."""
        return [*self.wrong, *self.foreign, *self.broken]

    def add(self, other: Tally) -> None:
        """Take the counts of another seed."""
        for name in ("struck", "missing"):
            getattr(self, name).update(getattr(other, name))
        for name in ("good", "flagged", "stuck", "small", "told"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("worst", "resync", "longest"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        for name in ("wrong", "foreign", "broken"):
            getattr(self, name).extend(getattr(other, name))
