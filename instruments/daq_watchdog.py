"""The watchdog of an NI-DAQmx instrument: valves that fall back by themselves when the host is silent.

Two kinds.  A timer in the device (cDAQ-9185 and 9189, X Series) puts each line into its expiration state.  Where there
is none, a heartbeat: a line that the bench toggles, and a retriggerable relay outside that cuts the valves' supply
when the toggling ends.  Both are armed, fed, and after they have fired cleared by somebody's own decision.

Sources: NI-DAQmx Device Considerations, "Watchdog Timers"; cDAQ-9185/9189 user manual, "Watchdog Timer": a chassis
starts its timer only while nothing else runs on it, and does nothing more after it has fired until it is reset.  Not
verified against hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import nidaqmx
from nidaqmx.constants import Level, ProductCategory, TaskMode
from nidaqmx.error_codes import DAQmxErrors
from nidaqmx.errors import DaqError
from nidaqmx.stream_writers import DigitalSingleChannelWriter
from nidaqmx.system.watchdog import DOExpirationState, WatchdogTask

from instruments.clock import Clock
from instruments.daq_devices import asking, device_names, missing, present
from instruments.daq_session import DAQ_ERRORS, DaqSession, WatchdogFired, mapped
from instruments.instrument import InstrumentDisconnected, InstrumentError, InstrumentRefusal

NewSession = Callable[[], DaqSession]


class Watchdog:
    """What is known of one watchdog, whichever kind it is: armed, fed in time, or fired.

    Parameters
    ----------
    kind : the timer or the heartbeat.
    """

    def __init__(self, name: str, clock: Clock, kind: Timer | Heartbeat) -> None:
        self._name = name
        self._kind = kind
        self._lock = clock.lock()
        self._armed = self._fired = False

    def problems(self) -> list[str]:
        """Say what keeps it from being armed."""
        try:
            self._kind.check_able()
        except InstrumentError as error:
            return [str(error)]
        return []

    def arm(self) -> None:
        """Begin to count; does nothing while it counts.  Raises InstrumentError when the hardware cannot."""
        with self._lock:
            self.check()
            if not self._armed:
                self._guarded(self._kind.arm)
                self._armed = True

    def feed(self) -> None:
        """Begin to count anew: one call.  Raises WatchdogFired when it is too late, InstrumentError else."""
        with self._lock:
            self.check()
            if not self._armed:
                raise InstrumentRefusal(self._name, "its watchdog is not armed; call arm_watchdog first")
            self._guarded(self._kind.feed)

    def check(self) -> None:
        """Raise WatchdogFired when it is known to have fired; never waits for a feed that is under way."""
        if self._fired or (self._armed and self._kind.is_late()):
            self._fired = True
            raise WatchdogFired(self._name)

    def disarm(self) -> None:
        """Stop counting; one that has fired stays so."""
        with self._lock:
            armed, self._armed = self._armed, False
            if armed and not self._fired:
                self._guarded(self._kind.disarm)

    def clear(self) -> None:
        """End the locked state, whoever brought it about; it is not armed afterwards."""
        with self._lock:
            self._guarded(self._kind.clear)
            self._armed = self._fired = False

    def close(self) -> None:
        """Let go of it as it is: one that still counts is left to fire, since nobody said that all is safe."""
        with self._lock:
            if self._armed and not self._fired:
                self._kind.leave()
            self._kind.close()
            self._armed = False

    def _guarded(self, action: Callable[[], object]) -> None:
        try:
            action()
        except WatchdogFired:
            self._fired = True
            raise


class Timer:
    """The watchdog timer of a device or chassis.

    Parameters
    ----------
    expiration : line to its level after the timer has run out.
    """

    def __init__(self, name: str, timeout_s: float, expiration: Mapping[str, bool], new_session: NewSession) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._expiration = dict(expiration)
        self._new_session = new_session
        self._session: DaqSession | None = None
        self._task: WatchdogTask | None = None
        self._resets_alone = False  # a chassis cannot be cleared, only reset

    def check_able(self) -> None:
        """Raise InstrumentRefusal when the hardware has no such timer."""
        try:
            self._make().control(TaskMode.TASK_VERIFY)
        except DAQ_ERRORS as error:
            raise self._explained(error) from error
        finally:
            self.close()

    def arm(self) -> None:
        """Start the timer."""
        try:
            self._make().start()
        except DAQ_ERRORS as error:
            self.close()
            raise self._explained(error) from error

    def feed(self) -> None:
        """Reset the timer."""
        assert self._task is not None
        try:
            self._task.reset_timer()
        except DAQ_ERRORS as error:
            raise mapped(self._name, error) from error

    def is_late(self) -> bool:
        """The hardware alone knows."""
        return False

    def disarm(self) -> None:
        """Stop the timer."""
        assert self._task is not None
        try:
            self._task.stop()
        except DAQ_ERRORS as error:
            raise mapped(self._name, error) from error
        finally:
            self.close()

    def clear(self) -> None:
        """Unlock the device: a chassis by a reset, which takes all its outputs to their power-up states."""
        try:
            if self._task is not None and not self._resets_alone:
                self._task.clear_expiration()
            else:
                with asking(self._name, self._new_session()) as session:
                    self._holder(session).reset_device()
        except DAQ_ERRORS as error:
            raise mapped(self._name, error) from error
        finally:
            self.close()

    def leave(self) -> None:
        """Let go of the timer without stopping it."""
        if self._task is not None:
            DaqSession.leave(self._task)
            self._task = None

    def close(self) -> None:
        """Close task and connection, whatever state they are in."""
        task = self._task
        if task is not None:
            try:
                task.close()
            except DAQ_ERRORS:  # it is gone already
                self.leave()
        if self._session is not None:
            self._session.close()
        self._task = self._session = None

    def _make(self) -> WatchdogTask:
        self.close()
        self._session = self._new_session()
        holder = self._holder(self._session)
        self._task = task = self._session.watchdog(holder.name, self._timeout_s)
        task.cfg_watchdog_do_expir_states(
            [DOExpirationState(line, Level.HIGH if on else Level.LOW) for line, on in self._expiration.items()]
        )
        return task

    def _holder(self, session: DaqSession) -> Any:
        """The device that has the timer: the chassis of the lines' modules, or their own device."""
        devices = present(session)
        holders = {}
        for line in self._expiration:
            if wrong := missing("watchdog", line, devices, "do_lines"):
                raise InstrumentDisconnected(self._name, wrong[0])
            device = devices[device_names([line])[0].lower()]
            if device.product_category is ProductCategory.C_SERIES_MODULE:
                device = device.compact_daq_chassis_device
                self._resets_alone = True
            holders[device.name] = device
        if len(holders) > 1:
            raise InstrumentRefusal(
                self._name,
                f"one watchdog cannot guard valves on {' and '.join(holders)}; make an instrument of each",
            )
        (holder,) = holders.values()
        return holder

    def _explained(self, error: Exception) -> InstrumentError:
        code = error.error_code if isinstance(error, DaqError) else None
        if code == DAQmxErrors.WATCHDOG_TIMER_NOT_SUPPORTED.value:
            return InstrumentRefusal(
                self._name,
                "the hardware of its valves has no watchdog timer (cDAQ-9185, cDAQ-9189 and X Series devices have "
                "one); name a heartbeat line with a relay instead",
            )
        if code == DAQmxErrors.CANT_RESERVE_WATCHDOG_TASK_WHILE_OTHER_TASKS_RESERVED.value:
            return InstrumentRefusal(
                self._name,
                "its watchdog cannot be armed while something runs on its chassis; arm it before that",
            )
        return mapped(self._name, error)


class Heartbeat:
    """A line whose toggling holds a relay outside; the relay cuts the valves' supply ``hold_s`` after the last change.

    The bench cannot see the relay.  It takes it for open when it was late itself.
    """

    def __init__(self, name: str, line: str, hold_s: float, clock: Clock, new_session: NewSession) -> None:
        self._name = name
        self._line = line
        self._hold_s = hold_s
        self._clock = clock
        self._new_session = new_session
        self._session: DaqSession | None = None
        self._task: nidaqmx.Task | None = None
        self._left: list[str] = []  # tasks that the server still holds
        self._writer: DigitalSingleChannelWriter | None = None
        self._level = False
        self._fed_s = float("-inf")

    def check_able(self) -> None:
        """Raise InstrumentDisconnected when there is no such line."""
        with asking(self._name, self._new_session()) as session:
            if wrong := missing("heartbeat", self._line, present(session), "do_lines"):
                raise InstrumentDisconnected(self._name, wrong[0])

    def arm(self) -> None:
        """Give the first two changes: whatever level the line was left at, one of them is a change."""
        self._write(False)
        self._write(True)

    def feed(self) -> None:
        """Toggle the line; a task that was lost is made anew, since the relay may still hold."""
        self._write(not self._level)

    def is_late(self) -> bool:
        """Whether the relay has opened, by the host's own clock."""
        return self._clock.now() - self._fed_s >= self._hold_s

    def disarm(self) -> None:
        """Leave the line low: the relay opens soon."""
        try:
            self._write(False)
        finally:
            self.close()

    def clear(self) -> None:
        """Nothing is locked; the next arming closes the relay."""
        self.close()

    def leave(self) -> None:
        """The relay opens by itself."""

    def close(self) -> None:
        """Close task and connection, whatever state they are in."""
        if self._session is not None:
            self._left += self._session.close()
        self._task = self._session = self._writer = None

    def _write(self, level: bool) -> None:
        try:
            if self._writer is None:
                self._make()
            assert self._writer is not None
            begun_s = self._clock.now()  # the relay counts from a moment after this
            self._writer.write_one_sample_one_line(level, timeout=0.0)
        except DAQ_ERRORS as error:
            self.close()
            raise mapped(self._name, error) from error
        self._level, self._fed_s = level, begun_s

    def _make(self) -> None:
        self._session = self._new_session()
        self._left = self._session.clear(self._left)
        self._task = task = self._session.task()
        task.do_channels.add_do_chan(self._line)
        self._writer = DigitalSingleChannelWriter(task.out_stream, auto_start=True)
        self._writer.verify_array_shape = False
