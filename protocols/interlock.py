"""Interlocks: limits on a channel that act by themselves the moment a block of samples arrives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from data.samples import UNUSABLE, FloatArray, Quality, QualityArray

Action = Literal["log", "flag-gap", "hold", "stop"]
"""What happens: it is written down; the samples are flagged as not to be used; the bench takes its hold and the run's
time stands still until a person resets it; the bench goes safe and the run ends."""

Armed = Literal["always", "delivery"] | tuple[str, ...]

LATCHING: tuple[Action, ...] = ("hold", "stop")
"""Actions that only a named person undoes."""

# An overloaded or saturated sample is no measurement, but it is beyond the limit all the same.
_NO_EVIDENCE = int(UNUSABLE & ~(Quality.SATURATED | Quality.OVERLOAD | Quality.UNDERLOAD))
_UNUSABLE = int(UNUSABLE)
_OVERLOAD = int(Quality.OVERLOAD)
_UNDERLOAD = int(Quality.UNDERLOAD)


@dataclass(frozen=True, slots=True)
class Interlock:
    """A band that a channel must not leave.

    Attributes
    ----------
    channel : "instrument.channel", or a role of the procedure.
    low, high : limits in the channel's unit; an open side is None.  An overloaded sample is above every ``high``, an
        underloaded one below every ``low``, whatever its value.
    action : what happens on a crossing.
    slew_per_s : fastest honest change of the channel; lets blocks grow while the value is far from the limit.
        Without it every block stays at the shortest length.
    reaction_s : longest time from the sample to the action that the station promises.
    max_outage_s : a channel without a good sample for longer than this acts like a crossing; None if it may be lost.
    armed : always, or from the start of delivery (a net mass means nothing before the tare), or in the phases named.
    reset_band : how far within its limits the channel must be to count as back, in its unit: noise at a limit is one
        crossing and not many.
    quality : a sample with any of these bits acts like a crossing.
    settle_s : how long after its arming it begins to act, where a phase begins with a transient.
    flags : the channels whose samples a ``flag-gap`` flags; its own where none is named.
    """

    name: str
    channel: str
    low: float | None = None
    high: float | None = None
    action: Action = "stop"
    slew_per_s: float | None = None
    reaction_s: float = 0.15
    max_outage_s: float | None = None
    armed: Armed = "always"
    reset_band: float = 0.0
    quality: Quality = Quality.GOOD
    settle_s: float = 0.0
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.low is None and self.high is None and not self.quality and self.max_outage_s is None:
            raise ValueError(
                f'interlock "{self.name}" has neither a low nor a high limit, nor a quality, nor a longest outage; '
                "add one"
            )
        low, high = self.inner
        if self.reset_band < 0.0 or low > high:
            raise ValueError(
                f'interlock "{self.name}": nothing lies {self.reset_band:g} within both limits; '
                "choose a smaller reset_band"
            )
        if self.flags and self.action != "flag-gap":
            raise ValueError(f'interlock "{self.name}" flags samples only with the action "flag-gap"; remove "flags"')
        if self.armed == ():
            raise ValueError(f'interlock "{self.name}" is armed in no phase; name one, or arm it "always"')

    @property
    def latches(self) -> bool:
        """Whether only a person can undo what it does."""
        return self.action in LATCHING

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases in which it is armed; none where it does not depend on phases."""
        return self.armed if isinstance(self.armed, tuple) else ()

    @property
    def inner(self) -> tuple[float, float]:
        """The band in which the channel counts as back."""
        low = -math.inf if self.low is None else self.low + self.reset_band
        high = math.inf if self.high is None else self.high - self.reset_band
        return low, high

    def changes(self, values: FloatArray, quality: QualityArray, outside: bool) -> list[tuple[int, bool]]:
        """Indices at which the channel leaves its band (True) or is back in it (False).

        Parameters
        ----------
        values, quality : (samples,) of the watched channel.
        outside : whether it was outside before.
        """
        beyond = self.beyond(values, quality)
        if not (outside or beyond.any()):
            return []
        told = np.flatnonzero(beyond | self.back(values, quality))  # between the two nothing changes
        now = beyond[told]
        before = np.concatenate(([outside], now[:-1]))
        return [(int(told[k]), bool(now[k])) for k in np.flatnonzero(now != before)]

    def beyond(self, values: FloatArray, quality: QualityArray) -> npt.NDArray[np.bool_]:
        """Whether each sample is outside the band."""
        outside = np.zeros(len(values), dtype=bool)
        if self.high is not None:
            outside |= (values > self.high) | ((quality & _OVERLOAD) != 0)
        if self.low is not None:
            outside |= (values < self.low) | ((quality & _UNDERLOAD) != 0)
        outside &= (quality & _NO_EVIDENCE) == 0
        if self.quality:
            outside |= (quality & int(self.quality)) != 0
        return outside

    def back(self, values: FloatArray, quality: QualityArray) -> npt.NDArray[np.bool_]:
        """Whether each sample is far enough within the band, and good, so that the channel is back."""
        low, high = self.inner
        good = (quality & (_UNUSABLE | int(self.quality))) == 0
        inside: npt.NDArray[np.bool_] = good & (values >= low) & (values <= high)
        return inside

    def state(self, value: float, quality: int) -> bool | None:
        """One sample: outside (True), back in the band (False), or neither, which leaves it as it was (None)."""
        if quality:
            if quality & int(self.quality):
                return True
            if quality & _NO_EVIDENCE:
                return None
            if (self.high is not None and quality & _OVERLOAD) or (self.low is not None and quality & _UNDERLOAD):
                return True
        if (self.high is not None and value > self.high) or (self.low is not None and value < self.low):
            return True
        low, high = self.inner
        return False if low <= value <= high and not quality & _UNUSABLE else None

    def headroom_s(self, value: float, noise: float = 0.0, outside: bool = False) -> float:
        """Shortest time in which the channel could leave its band, or come back, give or take its noise."""
        if not self.slew_per_s or (self.low is None and self.high is None):
            return 0.0
        low, high = self.inner if outside else (self.low, self.high)
        distances = [abs(limit - value) for limit in (low, high) if limit is not None and math.isfinite(limit)]
        return max(0.0, (min(distances) - noise) / self.slew_per_s)
