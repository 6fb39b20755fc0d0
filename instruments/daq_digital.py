"""Digital inputs on NI hardware, such as a leak tray or an emergency stop: read on demand, in a task of their own.

A channel is 1 while the condition that it is named for holds, whatever the level of its line: ``active`` says which
level that is.  A contact that must be heard when its wire breaks is normally closed and ``active = "low"``: the closed
contact holds the line high, and a pressed button, a broken wire and a pulled connector all read as 1.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NoReturn

import nidaqmx
import numpy as np
from nidaqmx.constants import LineGrouping
from nidaqmx.stream_readers import DigitalMultiChannelReader
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from data.quantity_fields import TimeS
from data.samples import Channel, Reading
from instruments.clock import Clock
from instruments.daq_devices import asking, check_serial, device_names, identity, missing, present
from instruments.daq_session import DAQ_ERRORS, DaqSession, mapped
from instruments.instrument import (
    Connection,
    Identity,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentTimeout,
    Polled,
    Settings,
)

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 4.0
"""After a failure the task is made anew first after this, then after twice the time, at most this."""


class DigitalInput(BaseModel):
    """One line, and the level at which the condition holds that the input is named for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: str = Field(pattern=r"^[^/,: ]+/port\d+/line\d+$", description='line, such as "cDAQ1Mod7/port0/line0"')
    active: Literal["high", "low"] = Field(description='level at which the channel is 1; "low" for a closed contact')
    description: str = ""


InputName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


def _distinct(inputs: dict[str, DigitalInput]) -> dict[str, DigitalInput]:
    seen: dict[str, str] = {}
    for name, each in inputs.items():
        other = seen.setdefault(each.line.lower(), name)
        if other != name:
            raise ValueError(f'inputs "{other}" and "{name}" have the same line "{each.line}"; give each its own')
    return inputs


class NiDigitalSettings(Settings):
    """Settings of the driver ``ni-digital``."""

    inputs: Annotated[dict[InputName, DigitalInput], AfterValidator(_distinct)] = Field(min_length=1)
    period_s: TimeS = Field(0.05, alias="period", gt=0.0, description="how often the lines are read")
    deadline_s: TimeS = Field(
        1.0, alias="deadline", gt=0.0, description="longest wait for a device server's answer, on the wall clock"
    )


class NiDigital(Polled):
    """Digital inputs that are read together, one channel a line.

    The task is never started, so DAQmx reserves its lines only for the moment of a read and other tasks of the same
    chassis start and stop as they like.
    """

    settings_type: ClassVar[type[Settings]] = NiDigitalSettings
    settings: NiDigitalSettings

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        inputs = self.settings.inputs
        self.channels = tuple(Channel(each, "1", description=_described(inputs[each])) for each in inputs)
        self._active = np.array([each.active == "high" for each in inputs.values()])
        self._levels = np.zeros(len(inputs), np.bool_)
        self._lock = clock.lock()
        self._session: DaqSession | None = None
        self._task: nidaqmx.Task | None = None
        self._left: list[str] = []  # tasks that the server still holds
        self._reader: DigitalMultiChannelReader | None = None
        self._retry_s = float("-inf")
        self._retry_after_s = FIRST_RETRY_S

    @property
    def period_s(self) -> float:
        """How often the lines are to be read."""
        return self.settings.period_s

    # -- instrument

    def open(self) -> None:
        """Make the task and read it once; raises InstrumentError when the device is not there or is another one."""
        check_serial(self.name, self.settings.serial, self.identify())
        with self._lock:
            self._retry_s = float("-inf")
        self.sample()

    def identify(self) -> Identity:
        """Who the first device is: its chassis where it has one, and the modules in use."""
        with asking(self.name, self._new_session()) as session:
            return identity(self.name, session, device_names(each.line for each in self.settings.inputs.values()))

    def probe(self) -> list[str]:
        """Say which lines do not exist, else which conditions hold already."""
        problems = []
        with asking(self.name, self._new_session()) as session:
            devices = present(session)
            for name, each in self.settings.inputs.items():
                problems += missing(f'input "{name}"', each.line, devices, "di_lines")
        if problems:
            return problems
        values = self.sample().values
        return [f'input "{name}" is active' for name, value in zip(self.settings.inputs, values, strict=True) if value]

    def make_safe(self) -> str:
        """Inputs drive nothing."""
        return "digital inputs drive nothing"

    def close(self) -> None:
        """Close the task."""
        with self._lock:
            self._forget()

    # -- reading

    def sample(self) -> Reading:
        """Conditions now; a task that was lost is made anew, at once the first time, then later and later."""
        with self._lock:
            fresh = self._task is None
            try:
                return self._read()
            except DAQ_ERRORS as error:
                failure = mapped(self.name, error)
                if fresh or isinstance(failure, InstrumentTimeout):  # a server that hangs is not asked twice
                    self._lose(failure, error)
                self._forget()
            try:
                return self._read()
            except DAQ_ERRORS as error:
                self._lose(mapped(self.name, error), error)

    def _read(self) -> Reading:
        if self._task is None:
            self._wait_for_retry()
            self._make()
        assert self._reader is not None
        t = self.clock.now()
        self._reader.read_one_sample_one_line(self._levels, timeout=0.0)
        self._retry_after_s = FIRST_RETRY_S
        held = self._levels == self._active
        return Reading(t, tuple(held.astype(float).tolist()), (0,) * held.size)

    # -- the task

    def _wait_for_retry(self) -> None:
        left = self._retry_s - self.clock.now()
        if left > 0.0:
            raise InstrumentDisconnected(self.name, f"its lines cannot be read; next attempt in {left:.1f} s")

    def _make(self) -> None:
        self._session = self._new_session()
        self._left = self._session.clear(self._left)
        self._task = task = self._session.task()
        for each in self.settings.inputs.values():
            task.di_channels.add_di_chan(each.line, line_grouping=LineGrouping.CHAN_PER_LINE)
        self._reader = DigitalMultiChannelReader(task.in_stream)
        self._reader.verify_array_shape = False

    def _lose(self, failure: InstrumentError, cause: Exception) -> NoReturn:
        """Drop the task and say why; it is made anew when the time has come."""
        self._forget()
        self._retry_s = self.clock.now() + self._retry_after_s
        self._retry_after_s = min(2.0 * self._retry_after_s, LAST_RETRY_S)
        raise failure from cause

    def _forget(self) -> None:
        """Close task and connection, whatever state they are in."""
        if self._session is not None:
            self._left += self._session.close()
        self._task = self._session = self._reader = None

    def _new_session(self) -> DaqSession:
        return DaqSession(self.connection.daq, self.settings.deadline_s)


def _described(each: DigitalInput) -> str:
    return each.description or f"1 while {each.line} is {each.active}"
