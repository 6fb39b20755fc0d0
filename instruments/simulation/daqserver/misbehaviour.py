"""What devices, cables and servers do to calls, seeded: buffers run over, modules are pulled, servers fall silent.

A `Misbehaviour` looks at each call before it is served; from the onset of a fault on, each call draws whether the
fault strikes it.  The draws depend on the seed and the number of calls alone, so equal runs misbehave equally.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nidaqmx.constants import ChannelType

from instruments.simulation.daqserver.faults import SessionFault
from instruments.simulation.daqserver.hardware import Device
from instruments.simulation.daqserver.messages import Message
from instruments.simulation.daqserver.system import System
from instruments.simulation.daqserver.task import Task
from instruments.simulation.faults import Windows

Kind = Literal["overflow", "timeout", "unplug", "reset", "stall", "unavailable"]
KINDS: tuple[Kind, ...] = ("overflow", "timeout", "unplug", "reset", "stall", "unavailable")

NAMED: dict[str, Kind] = {
    "daq-overflow": "overflow",
    "daq-timeout": "timeout",
    "daq-removed": "unplug",
    "daq-reset": "reset",
}
"""Faults that a user names, and the kind that each of them is."""

LAG_S = 0.15
"""Samples of at most this time are still on their way to the host when a read times out."""


@dataclass(frozen=True, slots=True)
class DaqTrouble:
    """A fault that strikes a call with ``probability`` from ``from_s`` until before ``until_s``.

    ``kinds`` are drawn from with equal chance each time it strikes:

    - overflow: a read meets -200279; the device had nowhere to put its samples
    - timeout: a read gets -200284 and only a part of what was acquired, the rest comes with the next one
    - unplug: the cable of the device, or its module, is pulled for ``away_s``, though not beyond ``back_by_s``
    - reset: the device is reset; its outputs go off and its tasks are void
    - stall: its sample clock stands still for ``away_s``
    - unavailable: the server answers nobody for ``away_s``

    ``devices`` are the only ones whose tasks it strikes; without any it strikes all.
    """

    kinds: tuple[Kind, ...]
    probability: float
    from_s: float = 0.0
    until_s: float = math.inf
    away_s: float = 5.0
    back_by_s: float = math.inf
    devices: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.kinds or any(kind not in KINDS for kind in self.kinds):
            raise ValueError(f"a DAQ fault is of the kinds {', '.join(KINDS)}, not {', '.join(self.kinds) or 'none'}")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(
                f"severity {self.probability} of DAQ fault {'/'.join(self.kinds)}: it is a probability per call, "
                "from 0 to 1"
            )


def named_trouble(
    name: str, severity: float, from_s: float = 0.0, until_s: float = math.inf, devices: Iterable[str] = ()
) -> DaqTrouble:
    """The fault that a user names; raises ValueError for an unknown name or a severity that is no probability."""
    try:
        only = frozenset(map(str.lower, devices))
        return DaqTrouble((NAMED[name],), severity, from_s, until_s, back_by_s=until_s, devices=only)
    except KeyError:
        raise ValueError(f'unknown DAQ fault "{name}"; known: {", ".join(NAMED)}') from None


class Misbehaviour:
    """What strikes the calls of one server.

    Attributes
    ----------
    struck : how often each kind has struck, for tests and logs.
    hits : how often each of the faults has struck, in their order.
    """

    def __init__(self, faults: Iterable[DaqTrouble], *, seed: int = 0) -> None:
        self.faults = tuple(faults)
        self.struck: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self.hits = [0] * len(self.faults)
        self._windows = Windows(self.faults)
        self._random = random.Random(f"{seed}/daq")
        self._back: list[tuple[float, Device, Kind]] = []
        self._silent_until = -math.inf

    def onsets(self) -> set[float]:
        """The moments from which on something may strike."""
        return {fault.from_s for fault in self.faults if fault.probability > 0.0}

    def begin(self, system: System, request: Message) -> None:
        """Draw what strikes this call; raises SessionFault while the server answers nobody."""
        now = system.clock.now()
        self._bring_back(system, now)
        for place, fault in self._windows.at(now):
            if self._random.random() < fault.probability:
                kind = fault.kinds[int(self._random.random() * len(fault.kinds))]
                if self._strike(system, request, kind, fault, min(now + fault.away_s, fault.back_by_s)):
                    self.struck[kind] += 1
                    self.hits[place] += 1
        if now < self._silent_until:
            raise SessionFault("UNAVAILABLE", "the server answers nobody")

    def end(self, system: System) -> None:
        """Bring back at once whatever is away."""
        self._silent_until = -math.inf
        self._bring_back(system, math.inf)

    def _bring_back(self, system: System, now: float) -> None:
        """Plug in and let go on whatever has been away for long enough."""
        for entry in [entry for entry in self._back if entry[0] <= now]:
            self._back.remove(entry)
            _, device, kind = entry
            if kind == "unplug":
                system.plug(device)
            else:
                system.release(device)

    def _strike(self, system: System, request: Message, kind: Kind, fault: DaqTrouble, until: float) -> bool:
        """Do it; False where this call has nothing that could be struck."""
        if kind == "unavailable":
            self._silent_until = max(self._silent_until, until)
            return True
        task = self._task(system, request)
        if task is None or not task.devices:
            return False
        if fault.devices and not any(device.name.lower() in fault.devices for device in task.devices):
            return False
        if kind in ("overflow", "timeout"):
            return self._strike_samples(task, kind)
        device = task.devices[int(self._random.random() * len(task.devices))]
        if device.chassis and self._random.random() < 0.5:
            device = system.hardware.device(device.chassis)
        if kind == "reset":
            system.reset(device)
            return True
        if any(away is device for _, away, _ in self._back):
            return False
        (system.unplug if kind == "unplug" else system.stall)(device)
        self._back.append((until, device, kind))
        return True

    def _strike_samples(self, task: Task, kind: Kind) -> bool:
        if not (task.running and task.hardware_timed and task.kind is ChannelType.ANALOG_INPUT):
            return False
        if kind == "overflow":
            task.overrun = True
            task.freeze()
        else:
            task.withheld = 1 + int(self._random.random() * LAG_S / task.dt)
        return True

    @staticmethod
    def _task(system: System, request: Message) -> Task | None:
        if "task" not in request.DESCRIPTOR.fields_by_name:
            return None
        return system.tasks.get(request.task.name)
