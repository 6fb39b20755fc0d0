"""Everything one server knows: devices, tasks, scales, who has reserved what, and what it was asked in vain."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from dataclasses import dataclass, field

from nidaqmx.constants import ChannelType
from nidaqmx.error_codes import DAQmxErrors

from instruments.clock import Clock, VirtualClock
from instruments.simulation.daqserver import counters, events, player, tdms
from instruments.simulation.daqserver.catalogue import CHASSIS_ENGINES
from instruments.simulation.daqserver.customscale import CustomScale
from instruments.simulation.daqserver.faults import NO_TASK, RESERVED, DaqFault, SessionFault
from instruments.simulation.daqserver.hardware import Device, Hardware
from instruments.simulation.daqserver.task import Task
from instruments.simulation.daqserver.watchdog import Watchdog

_log = logging.getLogger(__name__)

AUTO, INITIALIZE_NEW, ATTACH = 0, 1, 2

_COUNTERS = {ChannelType.COUNTER_INPUT, ChannelType.COUNTER_OUTPUT}

LONGEST_NAP_S = 0.1
"""A waiting handler looks this often whether its caller is still there."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A task, channel or scale that is kept under a name, and who may change it in MAX."""

    what: object
    author: str
    editing: bool
    deletion: bool


_UNKNOWN = {
    "task": DAQmxErrors.TASK_NOT_IN_DATA_NEIGHBORHOOD,
    "channel": DAQmxErrors.INVALID_GLOBAL_CHAN,
    "scale": DAQmxErrors.CUSTOM_SCALE_DOES_NOT_EXIST,
}


@dataclass
class System:
    """State of a server; handlers change it under ``lock``, which is never held over a wait."""

    hardware: Hardware
    tasks: dict[str, Task] = field(default_factory=dict)
    scales: dict[str, CustomScale] = field(default_factory=dict)
    saved: dict[str, dict[str, Saved]] = field(default_factory=lambda: {kind: {} for kind in _UNKNOWN})
    unknown: Counter[str] = field(default_factory=Counter)
    # A lock of the clock is for the clock's workers; handlers run on gRPC's own threads and never wait inside.
    lock: threading.RLock = field(default_factory=threading.RLock)  # noqa: TID251  # see above
    _invented: int = 0

    def __post_init__(self) -> None:
        self.hardware.add_relays(self.lock)

    @property
    def clock(self) -> Clock:
        """The clock of the run."""
        return self.hardware.clock

    @property
    def waits(self) -> bool:
        """Whether a handler may wait: never in virtual time, which would stand still meanwhile."""
        return not isinstance(self.clock, VirtualClock)

    def miss(self, name: str, answer: str) -> None:
        """Count what was asked in vain, and tell the log of it once."""
        self.unknown[name] += 1
        if self.unknown[name] == 1:
            _log.warning("the simulated NI device server does not know %s; it answers %s", name, answer)

    def kept(self, kind: str, name: str) -> Saved:
        """Find a task, channel or scale that was saved."""
        found = self.saved[kind].get(name)
        if found is None:
            raise DaqFault(_UNKNOWN[kind], f"Name: {name}")
        return found

    # -- sessions

    def create(self, name: str, behaviour: int) -> tuple[Task, bool]:
        """Open a session: the task, and whether it is new."""
        if not name:
            self._invented += 1
            name = f"_unnamedTask<{self._invented - 1:X}>"
        if name in self.tasks:
            if behaviour == INITIALIZE_NEW:
                raise SessionFault("ALREADY_EXISTS", f"Cannot initialize '{name}' when a session already exists.")
            return self.tasks[name], False
        if behaviour == ATTACH:
            raise SessionFault(
                "FAILED_PRECONDITION", f"Cannot attach to '{name}' because a session has not been initialized."
            )
        task = Task(name, self.hardware, self.scales, self.clock.event())
        self.tasks[name] = task
        return task, True

    def create_watchdog(self, name: str, behaviour: int, device_name: str, timeout_s: float) -> tuple[Task, bool]:
        """Open the session of a watchdog timer."""
        device = self.hardware.device(device_name)
        self.hardware.check_present(device)
        watchdog = Watchdog(self.hardware, self.lock, device, timeout_s)
        task, new = self.create(name, behaviour)
        if new:
            task.watchdog, task.devices = watchdog, [device]
        return task, new

    def watchdog(self, name: str) -> Watchdog:
        """Find a watchdog timer by its session; -200635 when that is another kind of task."""
        task = self.task(name)
        if task.watchdog is None:
            raise DaqFault(DAQmxErrors.ACTION_NOT_SUPPORTED_TASK_NOT_WATCHDOG, f"Task Name: {name}")
        return task.watchdog

    def catch_up(self) -> None:
        """Let every timer act whose moment has come, and write what has come to be logged; called before each call."""
        for task in self.tasks.values():
            if task.log is not None and task.running:
                task.log.look()
            if task.watchdog is not None:
                task.watchdog.check()
            elif task.running and (task.output is not None or task.t0 == math.inf):
                task.play()
        for relay in self.hardware.relays.values():
            relay.check()

    def close(self) -> None:
        """Let everything that runs or waits come to its end."""
        for task in self.tasks.values():
            task.stop()  # a waiting read gives up
            for listener in task.listeners.values():
                listener.end()
        for relay in self.hardware.relays.values():
            relay.close()

    def task(self, name: str) -> Task:
        """Find a task by its session; a closed one is DAQmx error -200088."""
        found = self.tasks.get(name)
        if found is None:
            raise DaqFault(NO_TASK, f"Task Name: {name}")
        return found

    def clear(self, task: Task) -> None:
        """Forget a task; what it drives stays as it is."""
        task.stop()
        for listener in task.listeners.values():
            listener.end()
        self.tasks.pop(task.name, None)

    def start(self, task: Task) -> None:
        """Reserve what a task needs and start it."""
        if task.running:
            return
        task.commit()
        self.check_free(task)
        generates = task.hardware_timed and task.kind in (ChannelType.ANALOG_OUTPUT, ChannelType.DIGITAL_OUTPUT)
        if generates and (task.output is None or not task.output.written):
            raise DaqFault(DAQmxErrors.OUTPUT_BUFFER_EMPTY, f"Task Name: {task.name}")
        counters.check(task)
        if not task.hardware_timed and any(key.startswith("every") for key in task.listeners):
            raise DaqFault(
                DAQmxErrors.EVERY_N_SAMPLES_EVENT_NOT_SUPPORTED_FOR_NON_BUFFERED_TASKS, f"Task Name: {task.name}"
            )
        if task.watchdog is not None:
            task.watchdog.start()
            return
        task.start()
        for listener in task.listeners.values():
            if isinstance(listener, events.Registration):
                events.attend(task, listener, self.lock)
        if self.waits:
            tdms.attend(task, self.lock)
        if generates and self._drives(task):
            player.attend(task, self.lock)
        if any(device.name.lower() in self.hardware.stalled for device in task.devices):
            task.frozen = 0

    def _drives(self, task: Task) -> bool:
        """Whether something hangs on the outputs of a task."""
        return any(
            terminal.lower() in self.hardware.actuators
            for channel in task.channels
            for terminal in (channel.lines or (channel.physical,))
        )

    def check_free(self, task: Task) -> None:
        """Raise the error of a resource that another task holds."""
        others = [other for other in self.tasks.values() if other is not task and other.running]
        if task.watchdog is not None:
            _check_quiet(task, others)
            return
        kind = task.kind
        for other in others:
            alike = other.kind is kind or (kind in _COUNTERS and other.kind in _COUNTERS)
            if alike and _overlap(task, other):
                raise DaqFault(RESERVED, f"Task Name: {task.name}\nReserved by: {other.name}")
        if task.kind is not ChannelType.ANALOG_INPUT or not task.hardware_timed:
            return
        for chassis in {device.chassis for device in task.devices if device.chassis}:
            timed = [other for other in others if other.kind is task.kind and other.hardware_timed]
            engines = sum(1 for other in timed if any(device.chassis == chassis for device in other.devices))
            if engines >= CHASSIS_ENGINES:
                raise DaqFault(DAQmxErrors.RESOURCE_ALREADY_RESERVED, f"Device: {chassis}\nTask Name: {task.name}")

    # -- what happens to devices

    def reset(self, device: Device) -> None:
        """Abort the tasks of a device and take its outputs to their power-up state."""
        affected = [device, *self.hardware.modules(device)]
        for task in self.tasks.values():
            if any(own in affected for own in task.devices):
                task.abort()
        for each in affected:
            self.hardware.expired.discard(each.name.lower())
            self.hardware.release(each)

    def unplug(self, device: Device) -> None:
        """Take a device away; a module pulled from its chassis and a device fed by USB lose their outputs."""
        self.hardware.unplugged.add(device.name.lower())
        if not device.product.slots:
            self.hardware.release(device)
        affected = [device, *self.hardware.modules(device)]
        for task in self.tasks.values():
            if any(own in affected for own in task.devices):
                task.freeze()
                task.committed = False
                task.changed.set()

    def plug(self, device: Device) -> None:
        """Put a device back; tasks that ran on it stay dead until they are made anew."""
        self.hardware.unplugged.discard(device.name.lower())
        affected = [device, *self.hardware.modules(device)]
        for task in self.tasks.values():
            if task.frozen is not None and any(own in affected for own in task.devices):
                task.abort()

    def stall(self, device: Device) -> None:
        """Stop the sample clocks of a device, as one that hangs: it answers, but nothing more is acquired."""
        affected = [device, *self.hardware.modules(device)]
        for own in affected:
            self.hardware.stalled.add(own.name.lower())
        for task in self.tasks.values():
            if any(own in affected for own in task.devices):
                task.freeze()

    def release(self, device: Device) -> None:
        """End a stall; tasks go on when they are started anew."""
        for own in (device, *self.hardware.modules(device)):
            self.hardware.stalled.discard(own.name.lower())


def _check_quiet(task: Task, others: list[Task]) -> None:
    """The watchdog of a chassis starts only while nothing else runs there (-201477)."""
    for device in task.devices:
        for other in others:
            if device.product.slots and any(own.chassis == device.name for own in other.devices):
                raise DaqFault(
                    DAQmxErrors.CANT_RESERVE_WATCHDOG_TASK_WHILE_OTHER_TASKS_RESERVED,
                    f"Device: {device.name}\nReserved by: {other.name}",
                )


def _overlap(task: Task, other: Task) -> bool:
    """Whether two tasks of one type need the same module (analog input), or the same line, output or counter."""
    if task.kind is ChannelType.ANALOG_INPUT:
        if not (task.hardware_timed or other.hardware_timed):
            return False
        return any(device in other.devices for device in task.devices)
    if task.kind is ChannelType.DIGITAL_INPUT:
        return False
    return bool(_terminals(task) & _terminals(other))


def _terminals(task: Task) -> set[str]:
    return {
        task.hardware.key(terminal) for channel in task.channels for terminal in (channel.lines or (channel.physical,))
    }
