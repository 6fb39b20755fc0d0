"""Start and reference triggers of a task, from the attributes that the application has set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import DigitalWidthUnits, Edge, Slope, SyncType, TriggerType, WindowTriggerCondition1
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault
from instruments.simulation.daqserver.pulses import Train, edge_after
from instruments.simulation.daqserver.sampling import Trigger

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

Attributes = Mapping[str, Any]

NONE = TriggerType.NONE.value
DEFAULTS: dict[str, Any] = {
    "START_TRIG_TYPE": NONE,
    "REF_TRIG_TYPE": NONE,
    "START_TRIG_RETRIGGERABLE": False,
    "START_TRIG_DELAY": 0.0,
    "DIG_EDGE_START_TRIG_EDGE": Edge.RISING.value,
    "DIG_EDGE_REF_TRIG_EDGE": Edge.RISING.value,
    "ANLG_EDGE_START_TRIG_HYST": 0.0,
    "ANLG_EDGE_REF_TRIG_HYST": 0.0,
    "REF_TRIG_PRETRIG_SAMPLES": 0,
    "START_TRIG_DELAY_UNITS": DigitalWidthUnits.SECONDS.value,
    "TRIGGER_SYNC_TYPE": SyncType.NONE.value,
}
_CHUNK = 16_384


class DigitalEdge:
    """An edge at a terminal, from the moment of arming on."""

    def __init__(self, train: Train, armed: float, *, rising: bool) -> None:
        self._train = train
        self._armed = armed
        self._before = train.count(armed)  # an edge of this very moment that is still to come is a trigger
        self._rising = rising

    def next(self, after: float, now: float) -> float:
        """First edge in (after, now], or at the moment of arming."""
        number = self._before if after <= self._armed else self._train.count(after)
        self._train.count(now)
        at = edge_after(self._train, number, after, rising=self._rising)
        return at if at <= now else math.inf


class Analog:
    """A channel of the task that crosses a level or enters a window, looked at with its sample clock.

    Parameters
    ----------
    values : (t0, first, n) to the channel's scaled values at ``t0 + (first + k)·dt``.
    inside : (values, whether it held before) to whether it holds at each of them.
    """

    def __init__(
        self,
        values: Callable[[float, int, int], FloatArray],
        inside: Callable[[FloatArray, bool], BoolArray],
        dt: float,
    ) -> None:
        self._values = values
        self._inside = inside
        self._dt = dt
        self._after = math.nan  # from here on it has been looked for, so many samples far
        self._looked = 0
        self._held = True

    def next(self, after: float, now: float) -> float:
        """First sample in (after, now] at which it begins to hold."""
        if after != self._after:
            self._after, self._looked, self._held = after, 0, True  # what holds from the beginning is no edge
        last = math.floor((now - after) / self._dt + 1e-6)
        while self._looked <= last:
            n = min(_CHUNK, last - self._looked + 1)
            holds = self._inside(self._values(after, self._looked, n), self._held)
            before = np.concatenate(([self._held], holds[:-1]))
            begins = np.flatnonzero(holds & ~before)
            if begins.size:
                return float(after + (self._looked + int(begins[0])) * self._dt)
            self._held = bool(holds[-1])
            self._looked += n
        return math.inf


def _crossing(level: float, hysteresis: float, *, rising: bool) -> Callable[[FloatArray, bool], BoolArray]:
    """Beyond a level; it has to go back by the hysteresis before it can cross again."""

    def inside(values: FloatArray, held: bool) -> BoolArray:
        signed, limit = (values, level) if rising else (-values, -level)
        known = np.where(signed >= limit, 1, np.where(signed < limit - hysteresis, 0, -1))
        last = np.maximum.accumulate(np.where(known >= 0, np.arange(known.size), -1))
        return np.asarray(np.where(last >= 0, known[last], int(held)).astype(bool))

    return inside


def _window(bottom: float, top: float, *, entering: bool) -> Callable[[FloatArray, bool], BoolArray]:
    def inside(values: FloatArray, held: bool) -> BoolArray:
        within = (values >= bottom) & (values <= top)
        return within if entering else ~within

    return inside


def make(
    which: str,
    attributes: Attributes,
    armed: float,
    dt: float,
    train: Callable[[str], Train],
    channel: Callable[[str], Callable[[float, int, int], FloatArray]],
) -> Trigger | None:
    """Make the trigger that a task's attributes describe; None where it has none.

    Parameters
    ----------
    which : "START" or "REF".
    train : finds the pulses at a terminal.
    channel : finds the values of a channel of the task.

    Raises
    ------
    DaqFault
        A terminal or channel that is not there, or a kind of trigger that is not simulated.
    """
    kind = TriggerType(attributes.get(f"{which}_TRIG_TYPE", NONE))
    if kind is TriggerType.NONE:
        return None
    if kind is TriggerType.DIGITAL_EDGE:
        rising = attributes.get(f"DIG_EDGE_{which}_TRIG_EDGE", Edge.RISING.value) == Edge.RISING.value
        return DigitalEdge(train(attributes[f"DIG_EDGE_{which}_TRIG_SRC"]), armed, rising=rising)
    if kind is TriggerType.ANALOG_EDGE:
        rising = attributes.get(f"ANLG_EDGE_{which}_TRIG_SLOPE", Slope.RISING.value) == Slope.RISING.value
        level, hysteresis = (attributes.get(f"ANLG_EDGE_{which}_TRIG_{what}", 0.0) for what in ("LVL", "HYST"))
        values = channel(attributes[f"ANLG_EDGE_{which}_TRIG_SRC"])
        return Analog(values, _crossing(level, hysteresis, rising=rising), dt)
    if kind is TriggerType.ANALOG_WINDOW:
        bottom, top = (attributes[f"ANLG_WIN_{which}_TRIG_{end}"] for end in ("BTM", "TOP"))
        entering = attributes[f"ANLG_WIN_{which}_TRIG_WHEN"] == WindowTriggerCondition1.ENTERING_WINDOW.value
        return Analog(channel(attributes[f"ANLG_WIN_{which}_TRIG_SRC"]), _window(bottom, top, entering=entering), dt)
    name = "Start" if which == "START" else "Ref"
    raise DaqFault(BAD_VALUE, f"Property: {name}Trig.Type\nRequested Value: {kind.name}")


def no_source(name: str) -> DaqFault:
    """The error of an analog trigger on what is no channel of the task."""
    return DaqFault(DAQmxErrors.INVALID_ANALOG_TRIG_SRC, f"Source: {name}")
