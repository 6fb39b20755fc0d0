"""What the locator answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data.checks import Owner
from protocols.analysis.locator.shown import Shown

Whose = Owner | Literal["nobody"]


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause, and how it fits.

    Attributes
    ----------
    name, owner, says : as in docs/faults.toml; "nothing", and "unknown" where something is odd and no cause of the
        table need explain it, belong to nobody.
    behind : by how much its log-likelihood is behind that of the likeliest, 0 for that.
    weight : its share of the likelihoods of all causes that the run could show, and of those that look the same.
    size_percent : size that fits best, in percent of what was programmed; None where it has none.
    explains : quantities that are not as usual, and that it moves that way.
    leaves : quantities that are not as usual, and that it does not explain.
    lacks : quantities that it has to move, and that are as usual.
    """

    name: str
    owner: Whose
    says: str
    behind: float
    weight: float
    size_percent: float | None
    explains: tuple[Shown, ...]
    leaves: tuple[Shown, ...]
    lacks: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Location:
    """Where the trouble of a run is.

    Attributes
    ----------
    causes : likeliest first; those that are tied with the likeliest stand in the order rig, record, catheter, pump.
    tied : names of those that the run cannot tell from the likeliest, that one included; one name where none is.
    next_action : what would separate the first two causes.
    shown : every quantity that the run showed.
    unseen : causes that the run could not have shown; they are not ranked.
    alike : those of them that would make all that was shown no less likely.
    whose : owners that the answer leaves open: of the likeliest cause, then of those that are alike.
    besides : a second cause, which explains what the likeliest leaves; empty where that leaves nothing.
    objections : names of the checks that count and failed or are invalid.
    """

    causes: tuple[Cause, ...]
    tied: tuple[str, ...]
    next_action: str
    shown: tuple[Shown, ...]
    unseen: tuple[str, ...]
    alike: tuple[str, ...]
    whose: tuple[Whose, ...]
    besides: str = ""
    objections: tuple[str, ...] = ()

    @property
    def first(self) -> Cause:
        """The likeliest cause."""
        return self.causes[0]

    @property
    def owner(self) -> Whose:
        """Whose the likeliest cause is."""
        return self.first.owner
