"""The buffer of an output task with a sample clock: what is generated when, and where it runs dry."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class OutputBuffer:
    """Samples that wait to be generated, as a ring.

    Parameters
    ----------
    channels, size : of the ring.
    regenerates : whether it begins anew where nothing new was written.
    """

    def __init__(self, channels: int, size: int, *, regenerates: bool) -> None:
        self.size = size
        self.regenerates = regenerates
        self.written = 0  # samples per channel since ever
        self._ring = np.zeros((channels, size))

    def space(self, generated: int) -> int:
        """Samples that may be written now without destroying any that is still to come."""
        return self.size - max(0, self.written - generated)

    def put(self, samples: FloatArray, generated: int) -> None:
        """Write samples, shape (channels, n) with n up to the space that there is."""
        if self.regenerates and self.written >= self.size:
            self.written = max(self.written, generated)  # what is new comes next, not where the old would have gone on
        places = (self.written + np.arange(samples.shape[1])) % self.size
        self._ring[:, places] = samples
        self.written += samples.shape[1]

    def holds(self, index: int) -> bool:
        """Whether the sample of a number can be generated."""
        return self.written > 0 if self.regenerates else index < self.written

    def at(self, index: int) -> FloatArray:
        """The sample of a number, for each channel."""
        return np.asarray(self._ring[:, index % min(self.written, self.size)])
