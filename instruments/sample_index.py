"""Numbers for samples that a device times by its own crystal and hands over in order, without time stamps."""

from __future__ import annotations

import math

CRYSTAL = 1e-3
"""No crystal is further off than this."""

LINE_GAIN = 0.02
"""How much of its distance to the count the line of a `SampleIndex` makes good at each read."""

SETTLING = 1000
"""Samples after which the cable's true interval begins to show in their count."""


class SampleIndex:
    """Numbers samples that come in order but without time stamps.

    It keeps a line of sample count against clock time.  While counting is sure the line follows the count, slowly;
    where it is not, the count follows the line.  So what a wrong guess shifts is pulled back, and guesses never add up
    to a drift.

    Attributes
    ----------
    next : index of the next sample.
    anchor : latest (clock time, samples acquired by then).
    zero_s : nominal time of sample 0.
    begun : whether acquisition has been started.
    """

    def __init__(self, interval_s: float) -> None:
        self.next = 0
        self.anchor = (0.0, 0)
        self.zero_s = 0.0
        self.begun = False
        self._interval_s = interval_s
        self._at_s, self._age = 0.0, 0.0  # at this time the line has this value: 0 when sample 0 is acquired
        self._first = 0

    def begin(self, t: float) -> None:
        """Start, or start again: the index then goes on by the time that has passed."""
        if self.begun:
            self.next = max(self.next, self._acquired(t))
        else:
            self.zero_s = t + self._interval_s
        self.begun = True
        self.anchor = (t, self.next)
        self._first = self.next
        self._at_s, self._age = t, self.next - 1.0  # the first sample is complete one interval from now

    def emptied(self, t: float) -> None:
        """Everything acquired until ``t`` has been numbered."""
        age = self._age_at(t)
        error = self.next - 1.0 - age if age < self.next - 1.0 else min(0.0, self.next - age)
        count = max(self.next - self._first, SETTLING)
        self._at_s, self._age = t, age + LINE_GAIN * error
        self._interval_s *= 1.0 - LINE_GAIN * error / count
        self.anchor = (t, self.next)

    def missing(self, t: float, arrived: int, doubtful: bool) -> int:
        """Samples acquired by ``t`` that are neither numbered nor among ``arrived``.

        A count that nothing casts doubt on may be off by what the crystal and the line are.
        """
        missing = self._acquired(t) - self.next - arrived
        slack = 0.0 if doubtful else 2.0 + CRYSTAL * (t - self.anchor[0]) / self._interval_s
        return missing if missing > slack else 0

    def nearest(self, missing: int, counted: tuple[int, ...]) -> int:
        """The count that agrees best with the time that has passed.

        Firmware counts what its ring lost in samples or in bytes; the clock tells which.
        """
        return min(counted, key=lambda count: abs(count - missing))

    def _age_at(self, t: float) -> float:
        return self._age + (t - self._at_s) / self._interval_s

    def _acquired(self, t: float) -> int:
        return math.floor(self._age_at(t) + 1e-6) + 1
