"""The one door to nidaqmx: tasks on a gRPC device server or the local driver, and its errors in the bench's words."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import nidaqmx
from nidaqmx.error_codes import DAQmxErrors
from nidaqmx.errors import DaqError, DaqNotFoundError, Error, RpcError
from nidaqmx.grpc_session_options import GrpcSessionOptions, SessionInitializationBehavior
from nidaqmx.system import System
from nidaqmx.system.watchdog import WatchdogTask

from instruments.instrument import (
    DaqTarget,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
)

DAQ_ERRORS = (Error, grpc.RpcError, ValueError, TypeError, OSError)
"""What nidaqmx and gRPC raise: a closed gRPC channel is a ValueError, a wrong array a TypeError."""

NOT_YET = DAQmxErrors.SAMPLES_NOT_YET_AVAILABLE.value

OVERRUNS = frozenset(
    code.value
    for code in (
        DAQmxErrors.SAMPLES_NO_LONGER_AVAILABLE,
        DAQmxErrors.ACQ_STOPPED_TO_PREVENT_INTERMEDIATE_BUFFER_OVERFLOW,
        DAQmxErrors.DATA_OVERWRITTEN_IN_DEVICE_MEMORY,
        DAQmxErrors.INPUT_FIFO_OVERFLOW,
        DAQmxErrors.INPUT_FIFO_OVERFLOW_2,
        DAQmxErrors.INPUT_FIFO_OVERFLOW_3,
    )
)
"""Samples were lost because nobody fetched them in time."""

GONE = frozenset(
    code.value
    for code in (
        DAQmxErrors.DEV_CANNOT_BE_ACCESSED,
        DAQmxErrors.DEV_ABSENT_OR_UNAVAILABLE,
        DAQmxErrors.DEVICE_REMOVED,
        DAQmxErrors.HARDWARE_NOT_RESPONDING,
        DAQmxErrors.NETWORK_STATUS_CONNECTION_LOST,
        DAQmxErrors.NETWORK_TARGET_UNREACHABLE,
        DAQmxErrors.CHASSIS_COMMUNICATION_INTERRUPTED,
        DAQmxErrors.RESOURCE_NOT_IN_POOL_ROUTING,
        DAQmxErrors.DRIVER_DEVICE_GUID_NOT_FOUND_ROUTING,
        DAQmxErrors.RUNTIME_ABORTED_ROUTING,
        DAQmxErrors.RUNTIME_ABORTING_ROUTING,
        DAQmxErrors.PAL_TRANSFER_ABORTED,
        DAQmxErrors.INVALID_TASK,  # the server was started anew and knows our task no more
        DAQmxErrors.INVALID_DEVICE_ID,
    )
)
"""The device, or what we had made on it, is not there any more."""

FIRED = frozenset(
    code.value
    for code in (
        DAQmxErrors.CHASSIS_WATCHDOG_TIMER_EXPIRED,
        DAQmxErrors.CANT_RESET_EXPIRED_WATCHDOG,
        DAQmxErrors.WRITE_FAILED_BECAUSE_WATCHDOG_EXPIRED,
        DAQmxErrors.WRITE_FAILED_BECAUSE_WATCHDOG_CHANGED_LINE_DIRECTION,
        DAQmxErrors.CONFIG_FAILED_BECAUSE_WATCHDOG_EXPIRED,
        DAQmxErrors.INPUT_CFG_FAILED_BECAUSE_WATCHDOG_EXPIRED,
        DAQmxErrors.ROUTE_FAILED_BECAUSE_WATCHDOG_EXPIRED,
    )
)
"""The watchdog timer of the device or its chassis has run out."""

LATE = frozenset({NOT_YET, DAQmxErrors.OPERATION_TIMED_OUT.value})

TASK_NAME = "pumpbench"
_OUR_NAMES = re.compile(rf"[\w ]+: {TASK_NAME}[0-9a-f]{{32}}")

RECONNECT_MS = 1000
"""A connection that was lost is tried again at least this often; gRPC would wait for up to two minutes."""

_TIMEOUTS = (grpc.StatusCode.DEADLINE_EXCEEDED,)
_LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class WatchdogFired(InstrumentRefusal):
    """The host was silent for too long: the outputs are in their expiration states until somebody clears that."""

    def __init__(self, instrument: str) -> None:
        super().__init__(
            instrument,
            "its watchdog has fired: the host was silent for too long and the outputs are in their expiration states; "
            f'find out why, then clear it: pumpbench stations FILE --clear-watchdog {instrument} --reason "..."',
        )


@dataclass(frozen=True, slots=True)
class InProcess(DaqTarget):
    """A device server in this process, reached without a network; ``channel`` makes a gRPC channel to it."""

    channel: Callable[[], Any]


class DaqSession:
    """A connection to NI-DAQmx: everything that is made of nidaqmx is made here.

    A task that is given up while the server is out of reach lives on in the server, and its successor would be refused
    what it has reserved.  So `close` tells which tasks could not be closed, and `clear` of a later connection ends
    them.

    Parameters
    ----------
    target : NI gRPC device server, or None for the local driver.
    deadline_s : longest wait for an answer of the server, in wall seconds.
    """

    def __init__(self, target: DaqTarget | None, deadline_s: float) -> None:
        self._channel: Any = None
        self._target = target
        self._book = None if target is None else target.book
        self._tasks: dict[str, nidaqmx.Task] = {}
        if isinstance(target, InProcess):
            self._channel = target.channel()
        elif target is not None:
            options = [
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_reconnect_backoff_ms", RECONNECT_MS),
            ]
            self._channel = _DeadlineChannel(grpc.insecure_channel(target.address, options=options), deadline_s)

    def task(self) -> nidaqmx.Task:
        """A new task under a name that no other one has, so that it can never be mistaken."""
        name = f"{TASK_NAME}{uuid.uuid4().hex}"
        if self._book is not None:
            self.clear(self._book.left())
            self._book.note(name)
        self._tasks[name] = task = nidaqmx.Task(name, **self._options(name))
        return task

    def watchdog(self, device: str, timeout_s: float) -> WatchdogTask:
        """A new task of a device's or chassis' watchdog timer; it must be let go with `forget`."""
        return WatchdogTask(device, timeout=timeout_s, **self._options())

    @staticmethod
    def leave(watchdog: WatchdogTask) -> None:
        """Let go of the task of a timer without ending it."""
        watchdog._close_on_exit = False  # noqa: SLF001  # else it warns that nobody closed it, and there is no other way

    def system(self) -> System:
        """The devices that the driver knows."""
        return System.remote(**self._options()) if self._target is not None else System.local()

    def close(self) -> list[str]:
        """Close its tasks and the connection, whatever state they are in; returns the names of tasks that live on."""
        left = []
        for name, task in self._tasks.items():
            if not _closed(task.close):
                left.append(name)
            elif self._book is not None:
                self._book.strike(name)
        self._tasks = {}
        if self._channel is not None:
            self._channel.close()
        return left

    def clear(self, left: list[str]) -> list[str]:
        """End tasks that another connection has left behind; returns the names of those that still live on."""
        behaviour = SessionInitializationBehavior.ATTACH_TO_SERVER_SESSION
        for index, name in enumerate(left):
            options = GrpcSessionOptions(self._channel, name, initialization_behavior=behaviour)
            if not _closed(lambda: nidaqmx.Task(name, grpc_options=options).close()):  # noqa: B023  # called at once
                return left[index:]
            if self._book is not None:
                self._book.strike(name)
        return []

    def _options(self, name: str = "") -> dict[str, Any]:
        if self._channel is None:
            return {}
        # The default would attach to whatever task of the same name is there.
        behaviour = SessionInitializationBehavior.INITIALIZE_SERVER_SESSION
        return {"grpc_options": GrpcSessionOptions(self._channel, name, initialization_behavior=behaviour)}


def _closed(close: Callable[[], None]) -> bool:
    """Close a task; False when the server did not hear it."""
    try:
        close()
    except RpcError as error:
        return error.rpc_code not in (*_TIMEOUTS, *_LOST)
    except DAQ_ERRORS:  # it is gone already
        pass
    return True


class _DeadlineChannel(grpc.Channel):  # type: ignore[misc]  # grpc has no types
    """A channel whose calls end after a time: nidaqmx sets no deadline, so a hung server would hang us for ever."""

    def __init__(self, channel: Any, deadline_s: float) -> None:
        self._channel = channel
        self._deadline_s = deadline_s

    def unary_unary(self, *args: Any, **kwargs: Any) -> _Call:
        return _Call(self._channel, args, kwargs, self._deadline_s)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._channel.unary_stream(*args, **kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._channel.stream_unary(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._channel.stream_stream(*args, **kwargs)

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> _DeadlineChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Call:
    """One call of the service, prepared when it is made first: nidaqmx names all 450 anew for each task."""

    __slots__ = ("_args", "_channel", "_deadline_s", "_kwargs", "_prepared")

    def __init__(self, channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any], deadline_s: float) -> None:
        self._channel = channel
        self._args = args
        self._kwargs = kwargs
        self._deadline_s = deadline_s
        self._prepared: Any = None

    def __call__(self, request: Any, metadata: Any = None) -> Any:
        if self._prepared is None:
            self._prepared = self._channel.unary_unary(*self._args, **self._kwargs)
        return self._prepared(request, self._deadline_s, metadata)


def said(error: Exception) -> str:
    """What an error says, in one line and without the random names of our tasks, so that equal runs say the same."""
    return " ".join(_OUR_NAMES.sub("", str(error)).split())


def mapped(instrument: str, error: Exception) -> InstrumentError:
    """Say what nidaqmx or gRPC raised in one of the bench's errors."""
    if isinstance(error, DaqNotFoundError):
        return InstrumentDisconnected(
            instrument, "NI-DAQmx is not installed on this computer; install it, or name a device server in the station"
        )
    text = said(error)
    if isinstance(error, DaqError):
        code = error.error_code
        if code in FIRED:
            return WatchdogFired(instrument)
        if code in GONE:
            return InstrumentDisconnected(instrument, f"the device is gone: {text}")
        if code in LATE:
            return InstrumentTimeout(instrument, text)
        return InstrumentRefusal(instrument, text)
    status = error.rpc_code if isinstance(error, RpcError) else None
    if status in _TIMEOUTS:
        return InstrumentTimeout(instrument, "the device server did not answer in time")
    if status in _LOST:
        return InstrumentDisconnected(instrument, "the device server cannot be reached")
    if isinstance(error, ValueError | OSError) and not isinstance(error, Error):
        return InstrumentDisconnected(instrument, text)  # a gRPC channel that was closed under way
    return InstrumentReplyError(instrument, text)


def is_overrun(error: Exception) -> bool:
    """Whether samples were lost in a buffer."""
    return isinstance(error, DaqError) and error.error_code in OVERRUNS
