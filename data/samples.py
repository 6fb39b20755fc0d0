"""What an instrument measured: channels, quality bits, single readings and blocks of samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
QualityArray = npt.NDArray[np.uint16]

PressureReference = Literal["gauge", "absolute", "differential"]


class Quality(IntFlag):
    """Why a sample may not be used; ``GOOD`` is zero.  The values are stored, so they never change meaning."""

    GOOD = 0
    UNSTABLE = 1  # the instrument itself says that the value is still moving; usable
    SATURATED = 2  # at the end of the instrument's range
    OVERLOAD = 4
    UNDERLOAD = 8
    FROZEN = 16  # the same raw reply for longer than physics allows
    OUT_OF_BAND = 32  # a condition of the step (temperature, humidity) was not met
    DISTURBED = 64  # tied to a logged tare, vessel change or door event
    DEVICE_ERROR = 128  # the instrument reported an internal error with the value
    AIR = 256  # air in the line of a flow sensor
    CLOCK_STEP = 512  # no run sets it: its times do not follow the computer's clock, whose steps are events
    INTERPOLATED = 1024  # set by analysis only: an instrument never invents a value
    IMPLAUSIBLE = 2048  # jumped by more than the channel's ``max_step``, on a wire without a checksum, unconfirmed


UNUSABLE = (
    Quality.SATURATED
    | Quality.OVERLOAD
    | Quality.UNDERLOAD
    | Quality.FROZEN
    | Quality.DISTURBED
    | Quality.DEVICE_ERROR
    | Quality.AIR
    | Quality.IMPLAUSIBLE
)
"""A sample with any of these bits is not used by an evaluation."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured quantity of an instrument.

    ``unit`` is one of ours: s, uL, uL/h, mg, mg/h, kPa, degC, N, g/mL, %, V, A, or "1" for counts and flags.
    ``height_mm`` is the height of a pressure channel above the outlet of the pump under test.  ``max_step`` is the
    largest change from one good sample to the next that is believed at once, where a wire has no checksum; None: any.
    """

    name: str
    unit: str
    reference: PressureReference | None = None
    height_mm: float = 0.0
    description: str = ""
    max_step: float | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """Channels that share their time stamps.

    ``interval_s`` is the nominal spacing of a hardware-timed stream, None for a polled one.
    """

    name: str
    instrument: str
    channels: tuple[Channel, ...]
    interval_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One polled sample: its time on the run's clock in seconds, one value and one quality a channel."""

    t: float
    values: tuple[float, ...]
    quality: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive samples of one stream.

    Attributes
    ----------
    stream : name of the stream.
    first : index of the first sample in the stream; a lost sample leaves a hole in the indices.
    t : (samples,) seconds on the run's clock.
    values : (samples, channels) in the channels' units.
    quality : (samples, channels) bit masks of `Quality`.
    stride : only every so many-th sample is here, where the stream rests; 1: each.
    """

    stream: str
    first: int
    t: FloatArray
    values: FloatArray
    quality: QualityArray
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Rest:
    """A stretch of a stream of which one sample in each window of ``every`` is kept, the first that came.

    The windows begin at the multiples of ``every``; the stretch is from one index up to and without another.
    """

    every: int
    from_index: int
    to_index: float = math.inf


def due_before(index: Any, rests: Sequence[Rest]) -> Any:
    """How many samples of a stream should have been kept before an index, or before each of an array of them.

    With an index one more than that of a kept sample, this counts that sample too, however late in its window it came.
    """
    due = index
    for rest in rests:
        within = np.clip(index, rest.from_index, rest.to_index)
        windows = -(-within // rest.every) + rest.from_index // -rest.every
        due = due - (within - rest.from_index) + windows
    return due
