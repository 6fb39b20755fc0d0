"""The watchdog timer of a device or chassis: outputs that go to their expiration states when the host falls silent.

Sources: NI-DAQmx Device Considerations, "Watchdog Timers"; cDAQ-9185/9189 and X Series user manuals, "Watchdog Timer".
A chassis refuses everything after the expiration until it is reset, and its timer can only be started while no other
task runs on it.  An X Series device refuses digital writes until the expiration is cleared.  What the manuals leave
open (which call is refused with which code, that clearing also stops the timer) is not verified against hardware.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from nidaqmx.constants import Level
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver.countdown import Countdown
from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault
from instruments.simulation.daqserver.hardware import Device, Hardware, expand

NEVER_S = -1.0
_LEVELS = {Level.HIGH.value: 1.0, Level.LOW.value: 0.0, Level.TRISTATE.value: 0.0}


class Watchdog:
    """One timer and the expiration states of lines.

    Raises
    ------
    DaqFault
        -200662: the device has no watchdog timer; -200668: the timeout is out of its range.
    """

    def __init__(
        self, hardware: Hardware, lock: AbstractContextManager[object], device: Device, timeout_s: float
    ) -> None:
        if device.product.watchdog_s is None:
            raise DaqFault(DAQmxErrors.WATCHDOG_TIMER_NOT_SUPPORTED, f"Device: {device.name}")
        self.device = device
        self.states: dict[str, int] = {}  # line, in small letters
        self._hardware = hardware
        self._countdown = Countdown(hardware.clock, f"watchdog {device.name}", lock, self._expire)
        self._timeout_s = 0.0
        self.set_timeout(timeout_s)
        self._running = False

    @property
    def timeout_s(self) -> float:
        """Time after which it expires; -1 is never."""
        return self._timeout_s

    def set_timeout(self, seconds: float) -> None:
        """Change the timeout, for the next reset."""
        longest = self.device.product.watchdog_s or 0.0
        if seconds != NEVER_S and not 0.0 < seconds <= longest:
            raise DaqFault(
                DAQmxErrors.WATCHDOG_TIMEOUT_OUT_OF_RANGE_AND_NOT_SPECIAL_VAL,
                f"Requested Value: {seconds:g}\nMaximum Value: {longest:g}\nDevice: {self.device.name}",
            )
        self._timeout_s = seconds

    @property
    def expired(self) -> bool:
        """Whether the device is locked; may be asked only while the task runs (-200983)."""
        if not self._running:
            raise DaqFault(
                DAQmxErrors.CANNOT_GET_PROPERTY_WHEN_TASK_NOT_RESERVED_COMMITTED_OR_RUNNING,
                f"Property: Expired\nDevice: {self.device.name}",
            )
        return self.device.name.lower() in self._hardware.expired

    def configure(self, channels: str, levels: Sequence[int]) -> None:
        """Set the expiration states of lines or whole ports."""
        names = [name for name in expand(channels) if name]
        if len(names) != len(levels):
            raise DaqFault(DAQmxErrors.MISMATCHED_INPUT_ARRAY_SIZES, f"Device: {self.device.name}")
        for name, level in zip(names, levels, strict=True):
            self.set_state(name, level)

    def set_state(self, physical: str, level: int) -> None:
        """Set the expiration state of one line or port."""
        port = self._hardware.port(physical)
        device = self._hardware.device(physical.partition("/")[0])
        if self.device.name.lower() not in (device.name.lower(), (device.chassis or "").lower()):
            raise DaqFault(DAQmxErrors.PHYS_CHAN_DEV_NOT_IN_TASK, f"Physical Channel Name: {physical}")
        if port.direction == "in":
            raise DaqFault(DAQmxErrors.CANT_SET_WATCHDOG_EXPIRATION_ON_DIG_IN_CHAN, f"Physical Channel: {physical}")
        no_tristate = port.direction == "out" and level == Level.TRISTATE.value
        if no_tristate or (level not in _LEVELS and level != Level.NO_CHANGE.value):
            raise DaqFault(BAD_VALUE, f"Property: Watchdog.DO.ExpirState\nRequested: {level}\nChannel: {physical}")
        lines = [physical] if "/line" in physical.lower() else [f"{physical}/line{i}" for i in range(port.lines)]
        self.states |= {line.lower(): level for line in lines}

    # -- the timer

    def start(self) -> None:
        """Begin to count; a device that is expired is refused."""
        self._hardware.check_unlocked(self.device)
        self._running = True
        self._restart()

    def reset(self) -> None:
        """Begin to count anew; -200644 or -201478 when it is too late."""
        self.check()
        self._check_running()
        self._hardware.check_unlocked(self.device)
        if self.expired:
            raise DaqFault(DAQmxErrors.CANT_RESET_EXPIRED_WATCHDOG, f"Device: {self.device.name}")
        self._restart()

    def clear(self) -> None:
        """Unlock the device and stop the timer; a chassis can only be reset (-201478)."""
        self.check()
        self._check_running()
        self._hardware.check_unlocked(self.device)
        if self.expired:
            self._hardware.expired.discard(self.device.name.lower())
            self.stop()

    def stop(self) -> None:
        """Stop the timer; what is expired stays so."""
        self._countdown.stop()
        self._running = False

    def check(self) -> None:
        """Expire if the moment has come."""
        self._countdown.check()

    def _restart(self) -> None:
        if self._timeout_s != NEVER_S:
            self._countdown.start(self._timeout_s)

    def _check_running(self) -> None:
        if not self._running:
            raise DaqFault(DAQmxErrors.CANNOT_PERFORM_OP_WHEN_TASK_NOT_RESERVED, f"Device: {self.device.name}")

    def _expire(self) -> None:
        self._hardware.expired.add(self.device.name.lower())
        for line, level in self.states.items():
            if level in _LEVELS:
                self._hardware.drive(line, _LEVELS[level])
