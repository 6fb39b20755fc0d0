"""Interlocks: limits on a channel that act by themselves the moment a block of samples arrives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from data.samples import UNUSABLE, FloatArray, Quality, QualityArray

Action = Literal["log", "flag-gap", "stop"]

# An overloaded or saturated sample is no measurement, but it is beyond the limit all the same.
_NO_EVIDENCE = int(UNUSABLE & ~(Quality.SATURATED | Quality.OVERLOAD | Quality.UNDERLOAD))


@dataclass(frozen=True, slots=True)
class Interlock:
    """A band that a channel must not leave.

    Attributes
    ----------
    channel : "instrument.channel", or a role of the procedure.
    low, high : limits in the channel's unit; an open side is None.
    action : what happens on a crossing.
    slew_per_s : fastest honest change of the channel; lets blocks grow while the value is far from the limit.
        Without it every block stays at the shortest length.
    reaction_s : longest time from the sample to the action that the station promises.
    max_outage_s : a channel without a good sample for longer than this acts like a crossing; None if it may be lost.
    armed : always, or from the start of delivery (a net mass means nothing before the tare).
    """

    name: str
    channel: str
    low: float | None = None
    high: float | None = None
    action: Action = "stop"
    slew_per_s: float | None = None
    reaction_s: float = 0.15
    max_outage_s: float | None = None
    armed: Literal["always", "delivery"] = "always"

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise ValueError(f'interlock "{self.name}" has neither a low nor a high limit; add one')

    def crossing(self, values: FloatArray, quality: QualityArray) -> int | None:
        """Index of the first sample outside the band, None if there is none.

        Parameters
        ----------
        values, quality : (samples,) of the watched channel.
        """
        beyond = self.beyond(values, quality)
        return int(np.argmax(beyond)) if beyond.any() else None

    def leaving(self, values: FloatArray, quality: QualityArray, outside: bool) -> list[int]:
        """Indices of the samples that leave the band; ``outside`` is whether the one before them was outside."""
        beyond = self.beyond(values, quality)
        if not beyond.any():
            return []
        before = np.concatenate(([outside], beyond[:-1]))
        return [int(index) for index in np.flatnonzero(beyond & ~before)]

    def beyond(self, values: FloatArray, quality: QualityArray) -> npt.NDArray[np.bool_]:
        """Whether each sample is outside the band."""
        outside = np.zeros(len(values), dtype=bool)
        if self.high is not None:
            outside |= values > self.high
        if self.low is not None:
            outside |= values < self.low
        outside &= (quality & _NO_EVIDENCE) == 0
        return outside

    def outside(self, value: float, quality: int) -> bool:
        """Whether one sample is outside the band."""
        if quality & _NO_EVIDENCE:
            return False
        return (self.high is not None and value > self.high) or (self.low is not None and value < self.low)

    def headroom_s(self, value: float, noise: float = 0.0) -> float:
        """Shortest time in which the channel could cross a limit, out or back in, give or take its noise."""
        if not self.slew_per_s:
            return 0.0
        distance = min(
            self.high - value if self.high is not None else float("inf"),
            value - self.low if self.low is not None else float("inf"),
        )
        return max(0.0, (abs(distance) - noise) / self.slew_per_s)
