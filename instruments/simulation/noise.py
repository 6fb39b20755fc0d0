"""Random numbers that belong to their place: keyed by (seed, name, block), never by the order of asking.

Philox is a counter generator, so each block of each name has a stream of its own; to compute a block again, or
without the blocks before it, gives the same numbers.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from instruments.simulation.signal import FloatArray
from instruments.simulation.stepping import recurrence

FORGOTTEN = 20.0
"""Time constants after which noise that hangs together has forgotten what it was: one part in 5e8 is left."""


class Noise:
    """All random numbers of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._keys: dict[str, npt.NDArray[np.uint64]] = {}

    def generator(self, name: str, block: int = 0) -> np.random.Generator:
        """The stream of one block of one name."""
        key = self._keys.get(name)
        if key is None:
            digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=16).digest()
            key = self._keys[name] = np.frombuffer(digest, dtype="<u8").astype(np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, block, 0]))

    def normals(self, name: str, block: int, n: int) -> FloatArray:
        """The first ``n`` standard normal numbers of a block."""
        return self.generator(name, block).standard_normal(n)

    def hanging_together(self, name: str, block: int, n: int, kept: float) -> FloatArray:
        """``n`` standard normal numbers of a block, each of which keeps the share ``kept`` of the one before it.

        Across blocks too: the last numbers that drive a block are a stream of their own, from which the next one
        finds its beginning without what was before.
        """
        if kept < 1e-9:
            return self.normals(name, block, n)
        edge = min(n // 2, math.ceil(-FORGOTTEN / math.log(kept)))
        ends = [self.normals(f"{name} edge", end, edge) for end in (block, block + 1)]
        drive = np.concatenate([ends[0], self.normals(name, block, n - edge), ends[1]])
        return recurrence(kept, math.sqrt(1.0 - kept * kept) * drive[1:], float(drive[0]))[edge:]


@dataclass(frozen=True, slots=True)
class Wander:
    """A slow random process, drawn at the ends of chunks and linear between them.

    An Ornstein-Uhlenbeck process of standard deviation ``sd`` that forgets after ``tau_s``.
    """

    name: str
    sd: float
    tau_s: float
    step_s: float

    def start(self, noise: Noise) -> float:
        """Value at time zero, from the stationary law."""
        return self.sd * float(noise.normals(f"{self.name} start", 0, 1)[0])

    def after(self, value: float, noise: Noise, chunk: int) -> float:
        """Value at the end of a chunk that began with ``value``."""
        z = float(noise.normals(self.name, chunk, 1)[0])
        kept = math.exp(-self.step_s / self.tau_s)
        return value * kept + self.sd * math.sqrt(1.0 - kept * kept) * z


def ramp(start: float, end: float, n: int) -> FloatArray:
    """``n`` + 1 values from ``start`` to ``end`` in equal steps."""
    return start + (end - start) * (np.arange(n + 1, dtype=np.float64) / n)
