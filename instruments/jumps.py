"""A true step, or a digit that the wire damaged: where nothing checks a reply, further readings decide.

A damaged digit does not come twice in a row, a true step does not go away.  So a reading that is further from the last
good one than its channel's ``max_step`` is asked again at once, and once more where the two disagree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from data.samples import UNUSABLE, Channel, Quality, Reading
from instruments.instrument import InstrumentError

AGREEING, AGREEING_IF_DISTURBED = 2, 3
"""How many readings must show the same before a jump is believed, on a good wire and on a disturbed one."""

_UNUSABLE, _UNSTABLE = int(UNUSABLE), int(Quality.UNSTABLE)


class Jumps:
    """Remembers the last good reading of an instrument and judges the next by it.

    Parameters
    ----------
    channels : of the instrument; those without a ``max_step`` may jump.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._steps = tuple(
            (column, channel.max_step) for column, channel in enumerate(channels) if channel.max_step is not None
        )
        self._last = (math.nan,) * len(channels)

    def follows(self, reading: Reading) -> bool:
        """Whether every channel is within its step of the last good reading; what follows is remembered."""
        values, last = reading.values, self._last
        for column, step in self._steps:
            if not -step <= values[column] - last[column] <= step and _is_value(reading, column):
                return False
        self._remember(reading)
        return True

    def settled(self, first: Reading, ask: Callable[[], Reading], agreeing: int = AGREEING) -> tuple[Reading, bool]:
        """What to make of a reading that does not follow: the reading to use, and whether the first was damaged.

        Parameters
        ----------
        ask : takes another reading; where it raises InstrumentError nothing confirms the first.
        agreeing : how many readings must show the same; one more is taken at most.

        Returns
        -------
        tuple
            The first reading where others confirm it; a later one where that continues the last good reading, or is
            confirmed itself; else the first, `Quality.IMPLAUSIBLE` in the channels that jumped.
        """
        heard = [first]
        while len(heard) <= agreeing:
            try:
                again = ask()
            except InstrumentError:
                break
            if not self._shows(again):
                break
            confirmed = sum(self._near(again, before) for before in heard) >= agreeing - 1
            if (confirmed and self._near(again, first)) or (len(heard) == agreeing and self._ramp([*heard, again])):
                self._remember(again)
                return first, False
            heard.append(again)
            if self.follows(again):
                return again, not _moving(heard)
            if confirmed:
                damaged = not (_moving(heard) or self._on_the_way(first, again))
                self._remember(again)
                return again, damaged
        return self._flagged(first), False

    def _shows(self, reading: Reading) -> bool:
        """Whether every watched channel has a value."""
        return all(_is_value(reading, column) for column, _ in self._steps)

    def _near(self, one: Reading, other: Reading) -> bool:
        """Whether two readings show the same, within a step."""
        return all(abs(one.values[column] - other.values[column]) <= step for column, step in self._steps)

    def _ramp(self, heard: Sequence[Reading]) -> bool:
        """Whether each channel that jumped went on, away from the last good reading: it moves too fast to agree."""
        for column, step in self._steps:
            values = [self._last[column], *(reading.values[column] for reading in heard)]
            moves = [later - earlier for earlier, later in pairwise(values)]
            steady = all(-step <= move <= step for move in moves)
            if not (steady or all(move > 0.0 for move in moves) or all(move < 0.0 for move in moves)):
                return False
        return True

    def _on_the_way(self, reading: Reading, end: Reading) -> bool:
        """Whether each watched channel was between the last good reading and where it ended up."""
        return all(
            min(self._last[column], end.values[column])
            <= reading.values[column]
            <= max(self._last[column], end.values[column])
            for column, _ in self._steps
        )

    def _remember(self, reading: Reading) -> None:
        values = reading.values
        for column, _ in self._steps:
            if not _is_value(reading, column):
                values = (*values[:column], self._last[column], *values[column + 1 :])
        self._last = values

    def _flagged(self, reading: Reading) -> Reading:
        quality = list(reading.quality)
        for column, step in self._steps:
            if not -step <= reading.values[column] - self._last[column] <= step:
                quality[column] |= int(Quality.IMPLAUSIBLE)
        return replace(reading, quality=tuple(quality))


def _is_value(reading: Reading, column: int) -> bool:
    """Whether a channel shows a value at all: an overloaded or faulty one is flagged already."""
    return not reading.quality[column] & _UNUSABLE and not math.isnan(reading.values[column])


def _moving(heard: Sequence[Reading]) -> bool:
    """Whether the instrument itself says of any reading that it moves: then one that did not last was no damage."""
    return any(bits & _UNSTABLE for reading in heard for bits in reading.quality)
