"""Events: every N samples, done, and signals, as streams of replies to a call that registers for them.

They are told at their moments on the run's clock.  A worker of the clock looks after each registration while its task
runs; whoever stops a task tells first what has happened until then.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from nidaqmx.constants import AcquisitionType, ChannelType, EveryNSamplesEventType, Signal
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import messages
from instruments.simulation.daqserver.faults import ABORTED, STARVED, DaqFault
from instruments.simulation.daqserver.task import INPUTS, Task

NAP_S = 0.05
"""How often is looked where the moment of the next event cannot be foreseen."""

LEAST_S = 1e-3

_ACQUIRED, _TRANSFERRED = (
    each.value for each in (EveryNSamplesEventType.ACQUIRED_INTO_BUFFER, EveryNSamplesEventType.TRANSFERRED_FROM_BUFFER)
)
_SIGNALS: dict[int, tuple[ChannelType, ...]] = {
    Signal.SAMPLE_CLOCK.value: (
        ChannelType.ANALOG_INPUT,
        ChannelType.ANALOG_OUTPUT,
        ChannelType.DIGITAL_INPUT,
        ChannelType.DIGITAL_OUTPUT,
        ChannelType.COUNTER_INPUT,
    ),
    Signal.SAMPLE_COMPLETE.value: (ChannelType.ANALOG_INPUT, ChannelType.COUNTER_INPUT),
    Signal.COUNTER_OUTPUT_EVENT.value: (ChannelType.COUNTER_OUTPUT,),
    Signal.CHANGE_DETECTION_EVENT.value: (ChannelType.DIGITAL_INPUT,),
}
"""Signals, and the tasks in which each comes with every sample, pulse or change."""


@dataclass(eq=False)
class Registration:
    """Somebody who wants to be told.

    Attributes
    ----------
    key : what a task has one of.
    every : samples, pulses or changes from event to event; 0 for the end of the task.
    reply : what is sent for each event.
    """

    key: str
    every: int
    reply: messages.Message
    told: int = 0
    ended: bool = False
    # A queue of the clock is for the clock's workers; this one ends in a thread of gRPC's that waits for nothing else.
    _waiting: queue.SimpleQueue[bytes | None] = field(default_factory=queue.SimpleQueue)

    def begin(self) -> None:
        """The task begins anew."""
        self.told = 0

    def look(self, task: Task) -> None:
        """Tell what has happened since the last look."""
        task.look()
        if self.every:
            happened = task.acquired() // self.every
            for _ in range(happened - self.told):
                self._tell(0)
            self.told = max(self.told, happened)
        elif not self.told:
            fault = ABORTED if task.aborted else STARVED if task.starved else 0
            if fault or (task.running and task.done):
                self.told = 1
                self._tell(fault)

    def next(self, task: Task) -> float:
        """When the next event comes; infinite when that cannot be foreseen."""
        if self.every:
            return task.moment_of((self.told + 1) * self.every)
        finite = task.timing.mode is AcquisitionType.FINITE and task.kind is not ChannelType.COUNTER_OUTPUT
        return task.moment_of(task.timing.samples) if finite and task.hardware_timed else float("inf")

    def end(self) -> None:
        """End the stream."""
        self.ended = True
        self._waiting.put(None)

    def replies(self) -> Iterator[bytes]:
        """Every reply as soon as it is there, until the registration ends."""
        while (reply := self._waiting.get()) is not None:
            yield reply

    def _tell(self, status: int) -> None:
        self.reply.status = int(status)
        self._waiting.put(self.reply.SerializeToString())


def register(task: Task, name: str, request: messages.Message, reply: messages.Message) -> Registration:
    """Register for the events of a task; raises DaqFault for what the task does not have or has already."""
    if task.running:
        raise DaqFault(
            DAQmxErrors.CANNOT_REGISTER_DA_QMX_SOFTWARE_EVENT_WHILE_TASK_IS_RUNNING, f"Task Name: {task.name}"
        )
    key, every, twice = _REGISTRATIONS[name](task, request, reply)
    if key in task.listeners:
        raise DaqFault(twice, f"Task Name: {task.name}")
    made = Registration(key, every, reply)
    task.listeners[key] = made
    return made


def unregister(task: Task, key: str) -> None:
    """End a registration; that there is none is no error."""
    found = task.listeners.pop(key, None)
    if found is not None:
        found.end()


def attend(task: Task, registration: Registration, lock: AbstractContextManager[object]) -> None:
    """Look after a registration until its task ends or is stopped."""
    clock, run = task.hardware.clock, task.runs

    def follow() -> None:
        while True:
            with lock:
                if registration.ended or task.runs != run:
                    return
                registration.look(task)
                over = not task.running or (registration.told and not registration.every)
                if over:
                    return
                now, following = clock.now(), registration.next(task)
                until = now + NAP_S if following in (float("inf"),) or following <= now else following
            clock.wait(task.changed, max(until, now + LEAST_S))

    clock.worker(f"{registration.key} of {task.name}", follow)


# ----------------------------------------------------------------------------------------------- what there is

Wanted = tuple[str, int, DAQmxErrors]


def _every_n(task: Task, request: messages.Message, reply: messages.Message) -> Wanted:
    kind, n = request.every_n_samples_event_type_raw, int(request.n_samples)
    is_input = task.kind in INPUTS
    if kind == _ACQUIRED and not is_input:
        raise DaqFault(
            DAQmxErrors.EVERY_N_SAMPLES_ACQ_INTO_BUFFER_EVENT_NOT_SUPPORTED_BY_DEVICE, f"Task Name: {task.name}"
        )
    if kind == _TRANSFERRED and is_input:
        raise DaqFault(
            DAQmxErrors.EVERY_N_SAMPS_TRANSFERRED_FROM_BUFFER_EVENT_NOT_SUPPORTED_BY_DEVICE, f"Task Name: {task.name}"
        )
    if n < 1:
        raise DaqFault(DAQmxErrors.EVERY_N_SAMPS_EVENT_INTERVAL_ZERO_NOT_SUPPORTED, f"Task Name: {task.name}")
    reply.every_n_samples_event_type_raw, reply.n_samples = kind, n
    acquired = DAQmxErrors.EVERY_N_SAMPS_ACQ_INTO_BUFFER_EVENT_ALREADY_REGISTERED
    transferred = DAQmxErrors.EVERY_N_SAMPS_TRANSFERRED_FROM_BUFFER_EVENT_ALREADY_REGISTERED
    return every_n_key(kind), n, acquired if kind == _ACQUIRED else transferred


def _done(_: Task, __: messages.Message, ___: messages.Message) -> Wanted:
    return DONE, 0, DAQmxErrors.DONE_EVENT_ALREADY_REGISTERED


def _signal(task: Task, request: messages.Message, reply: messages.Message) -> Wanted:
    signal = int(request.signal_id_raw)
    if task.kind not in _SIGNALS.get(signal, ()):
        raise DaqFault(
            DAQmxErrors.DA_QMX_SIGNAL_EVENT_TYPE_NOT_SUPPORTED_BY_CHAN_TYPES_OR_DEVICES_IN_TASK,
            f"Task Name: {task.name}",
        )
    reply.signal_id = signal
    return signal_key(signal), 1, DAQmxErrors.SIGNAL_EVENT_ALREADY_REGISTERED


DONE = "done event"


def every_n_key(kind: int) -> str:
    """Under which an event of every N samples is registered."""
    return f"every N samples event {kind}"


def signal_key(signal: int) -> str:
    """Under which the event of a signal is registered."""
    return f"signal event {signal}"


_REGISTRATIONS: dict[str, Callable[[Task, messages.Message, messages.Message], Wanted]] = {
    "RegisterEveryNSamplesEvent": _every_n,
    "RegisterDoneEvent": _done,
    "RegisterSignalEvent": _signal,
}
NAMES = frozenset(_REGISTRATIONS)
