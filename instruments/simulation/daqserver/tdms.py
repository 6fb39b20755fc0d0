"""Logging: what a task acquires, written to TDMS files on the computer of the server.

As the driver does, mode Log writes whatever is acquired, and Log and Read what the application reads.  A file is
complete after each write, so one whose server is killed can be read.  Values are scaled, in 64-bit floats; the driver
writes the codes of the converters and how to scale them, which readers of TDMS show as the same numbers.

Names and properties of what is in a file follow files of the driver that people have published (issue 125 of npTDMS);
the codes of errors follow their names in nidaqmx and are not verified on hardware.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from io import BytesIO, FileIO
from struct import error as StructError  # noqa: N812  # it is an exception
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import ChannelType, LoggingMode, LoggingOperation, ReadRelativeTo, UsageTypeCI
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import counters, power
from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault
from instruments.simulation.daqserver.frontend import Samples
from instruments.simulation.daqserver.unitnames import unit_name

if TYPE_CHECKING:
    from instruments.simulation.daqserver.task import Task

LOOK_S = 1.0
"""How often mode Log writes what has come."""

_AT_ONCE = 1_000_000
"""Samples a channel that are written as one segment at most."""

_OFF, _LOG, _BOTH = (mode.value for mode in (LoggingMode.OFF, LoggingMode.LOG, LoggingMode.LOG_AND_READ))
_OPEN, _OPEN_OR_CREATE, _REPLACE, _CREATE = (
    operation.value
    for operation in (
        LoggingOperation.OPEN,
        LoggingOperation.OPEN_OR_CREATE,
        LoggingOperation.CREATE_OR_REPLACE,
        LoggingOperation.CREATE,
    )
)
_HERE = ReadRelativeTo.CURRENT_READ_POSITION.value

DEFAULTS: dict[str, Any] = {
    "LOGGING_MODE": _OFF,
    "LOGGING_FILE_PATH": "",
    "LOGGING_TDMS_GROUP_NAME": "",
    "LOGGING_TDMS_OPERATION": _OPEN_OR_CREATE,
    "LOGGING_PAUSE": False,
    "LOGGING_SAMPS_PER_FILE": 0,
    "LOGGING_FILE_WRITE_SIZE": 0,
    "LOGGING_FILE_PREALLOCATION_SIZE": 0,
}
_POSSIBLE = {"LOGGING_MODE": (_OFF, _LOG, _BOTH), "LOGGING_TDMS_OPERATION": (_OPEN, _OPEN_OR_CREATE, _REPLACE, _CREATE)}
_WHILE_RUNNING = ("LOGGING_PAUSE", "LOGGING_FILE_PATH")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PROTECTED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_PATH = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP)

_PAIRS = tuple(each.value for each in (UsageTypeCI.PULSE_FREQ, UsageTypeCI.PULSE_TIME, UsageTypeCI.PULSE_TICKS))


# ------------------------------------------------------------------------------------------------ settings


def configure(task: Task, **settings: Any) -> None:
    """Change what a task logs, and where to; raises -200479 for what cannot change while it runs."""
    for name, value in settings.items():
        if name not in _WHILE_RUNNING:
            task.check_idle()
        if value not in _POSSIBLE.get(name, (value,)):
            raise DaqFault(BAD_VALUE, f"Property: {name}\nRequested Value: {value}\nTask Name: {task.name}")
    task.attributes.update(settings)
    if not task.running:
        task.committed = False


def setters(task: Task) -> dict[str, Callable[[Any], None]]:
    """How each property of a task's logging is set."""

    def set_one(name: str, value: Any) -> None:
        configure(task, **{name: value})

    return {name: partial(set_one, name) for name in DEFAULTS}


def start_new_file(task: Task, path: str) -> None:
    """Write what comes from now on to another file."""
    configure(task, LOGGING_FILE_PATH=path)
    if task.log is not None:
        task.log.renew = True


def _setting(task: Task, name: str) -> Any:
    return task.attributes.get(name, DEFAULTS[name])


def check(task: Task) -> None:
    """Raise where a task is to log what cannot be logged."""
    if _setting(task, "LOGGING_MODE") == _OFF:
        return
    code = 0
    if task.kind not in (ChannelType.ANALOG_INPUT, ChannelType.DIGITAL_INPUT, ChannelType.COUNTER_INPUT):
        code = DAQmxErrors.LOGGING_NOT_SUPPORT_ON_OUTPUT_TASKS
    elif power.supplies(task):
        code = DAQmxErrors.MEAS_TYPE_OR_CHANNEL_NOT_SUPPORTED_FOR_LOGGING
    elif any(channel.attributes.get("CI_MEAS_TYPE") in _PAIRS for channel in task.channels):
        code = DAQmxErrors.MEASUREMENT_TYPE_NOT_SUPPORTED_FOR_LOGGING
    elif not task.hardware_timed:
        code = DAQmxErrors.LOGGING_MODE_NOT_SUPPORTED_NON_BUFFERED
    elif not _setting(task, "LOGGING_FILE_PATH"):
        code = DAQmxErrors.FILE_PATH_INVALID
    if code:
        raise DaqFault(code, f"Task Name: {task.name}")


def check_read(task: Task) -> None:
    """Raise where a task that logs cannot be read, or not in this way."""
    mode = task.attributes.get("LOGGING_MODE", _OFF)
    if mode == _OFF:
        return
    if mode == _LOG:
        raise DaqFault(DAQmxErrors.READ_NOT_SUPPORTED_FOR_LOGGING_MODE, f"Task Name: {task.name}", read=0)
    if task.attributes.get("RELATIVE_TO", _HERE) != _HERE or task.attributes.get("OFFSET", 0):
        code = DAQmxErrors.ATTRIBUTE_NOT_SUPPORTED_WHEN_LOGGING
        raise DaqFault(code, f"Property: Read.RelativeTo, Read.Offset\nTask Name: {task.name}", read=0)
    check_log(task)


def check_log(task: Task) -> None:
    """Raise what has ended the logging of a task: as long as it runs, and once afterwards where nobody was told."""
    log = task.log
    if log is None:
        return
    log.look()
    if log.fault is not None and (task.running or not log.told):
        log.told = True
        raise log.fault


# ---------------------------------------------------------------------------------------------- while it runs


def begin(task: Task) -> Log | None:
    """Open the file of a task that starts; None when it logs nothing."""
    end(task)
    if _setting(task, "LOGGING_MODE") == _OFF:
        return None
    return Log(task)


def end(task: Task) -> None:
    """Write what is left and close the file; a fault that nobody was told stays."""
    if task.log is not None:
        task.log.look()
        task.log.close()


def attend(task: Task, lock: AbstractContextManager[object]) -> None:
    """Write what a task in mode Log acquires while no call comes, until it ends or is stopped."""
    clock, log = task.hardware.clock, task.log
    if log is None or not log.alone:
        return

    def follow() -> None:
        while True:
            with lock:
                if task.log is not log or not task.running:
                    return
                log.look()
                if log.fault is not None or task.done:
                    return
                until = clock.now() + LOOK_S
            clock.wait(task.changed, until)

    clock.worker(f"log of {task.name}", follow)


class Log:
    """What a running task logs.

    Attributes
    ----------
    alone : mode Log: what is acquired is written, and cannot be read.
    renew : the next write begins another file.
    fault, told : what has ended it, and whether the application knows.

    Raises
    ------
    DaqFault
        The file cannot be opened as asked.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self.alone = _setting(task, "LOGGING_MODE") == _LOG
        self.renew = False
        self.fault: DaqFault | None = None
        self.told = False
        self._paused = False
        self._number = 0
        self._written = 0  # samples a channel in this file
        asked = str(_setting(task, "LOGGING_FILE_PATH"))
        self._name = os.path.basename(asked)
        self._operation = _setting(task, "LOGGING_TDMS_OPERATION")
        self._file: TdmsFile | None = self._opened(asked)
        if self._operation == _OPEN:
            self._operation = _OPEN_OR_CREATE  # the files behind the first one are new

    def look(self) -> None:
        """Write what was acquired, in mode Log."""
        task = self._task
        while self.alone and self._file is not None and (n := task.acquired() - task.position) > 0:
            with suppress(DaqFault):  # kept in `fault`
                self.write(task.next_samples(min(n, _AT_ONCE)))

    def write(self, wanted: Sequence[Samples]) -> None:
        """Write samples that were just read; raises DaqFault when they cannot be written."""
        n = sum(part.n for part in wanted)
        if _setting(self._task, "LOGGING_PAUSE"):
            self._paused = True
            return
        if not n or self._file is None:
            return
        moments = np.concatenate([part.t0 + (part.first + np.arange(part.n)) * part.dt for part in wanted])
        rows = _rows(self._task, wanted, moments)
        per_file, done = int(_setting(self._task, "LOGGING_SAMPS_PER_FILE")), 0
        try:
            while done < n:
                self._turn_over(per_file)
                part = slice(done, min(n, done + per_file - self._written) if per_file else n)
                self._file.append([row[part] for row in rows], self._properties(float(moments[done])))
                self._written += part.stop - done
                done = part.stop
        except OSError as error:
            self._fail(_fault_of(error, self._file.path, self._task))
        except DaqFault as fault:
            self._fail(fault)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._task.hardware.logs.discard(self._file.real_path)
            self._file.close()
            self._file = None

    def _fail(self, fault: DaqFault) -> None:
        self.close()
        self.fault = fault
        if not self.alone:
            fault.read = 0
            self.told = True
        raise fault

    def _turn_over(self, per_file: int) -> None:
        """Begin another file or group where it is time for one."""
        if self.renew or (per_file and self._written >= per_file):
            path = self._next_path()
            self.close()
            self._file = self._opened(path)
            self._written, self.renew = 0, False
        elif self._paused and self._written:
            assert self._file is not None
            self._file.begin_group()
        self._paused = False

    def _next_path(self) -> str:
        """The path that was asked for last; numbered where only this one is full; a folder keeps name and number."""
        folder, name = os.path.split(str(_setting(self._task, "LOGGING_FILE_PATH")))
        if name and (self.renew or name != self._name):
            self._name, self._number = name, 0
        if not self.renew:
            self._number += 1
        stem, suffix = os.path.splitext(self._name)
        return os.path.join(folder, f"{stem}_{self._number:04d}{suffix}" if self._number else self._name)

    def _opened(self, path: str) -> TdmsFile:
        task = self._task
        try:
            if os.path.realpath(path) in task.hardware.logs:
                code = DAQmxErrors.FILE_ALREADY_OPENED_FOR_WRITE
                raise DaqFault(code, f"File Path: {path}\nTask Name: {task.name}")
            made = TdmsFile(
                path, self._operation, _setting(task, "LOGGING_TDMS_GROUP_NAME") or task.name, task.channels
            )
        except FileExistsError:
            where = f"The file is to be created, and exists.\nFile Path: {path}\nTask Name: {task.name}"
            raise DaqFault(DAQmxErrors.GENERIC_FILE_IO, where) from None
        except ImportError:
            raise DaqFault(DAQmxErrors.TDMS_NOT_FOUND, f"Task Name: {task.name}") from None
        except OSError as error:
            raise _fault_of(error, path, task) from None
        except (ValueError, KeyError, IndexError, StructError):
            code = DAQmxErrors.FILE_PATH_INVALID if "\0" in path else DAQmxErrors.FILE_VERSION_MISMATCH
            raise DaqFault(code, f"File Path: {path}\nTask Name: {task.name}") from None
        task.hardware.logs.add(made.real_path)
        return made

    def _properties(self, start: float) -> list[dict[str, object]]:
        """Of each channel: name, unit and, where its samples are evenly spaced, timing; ``start`` of a new group."""
        task = self._task
        timing: dict[str, object] = {}
        if task.dt:
            utc = task.hardware.clock.utc(start).replace(tzinfo=None)
            timing = {"wf_start_time": np.datetime64(utc, "us"), "wf_increment": task.dt, "wf_start_offset": 0.0}
            timing["wf_samples"] = 1  # so the driver says; it is no count
        found = []
        for channel in task.channels:
            unit = unit_name(channel, task.scales)
            named: dict[str, object] = {"NI_ChannelName": channel.name}
            if unit:
                named |= {"unit_string": unit, "NI_UnitDescription": unit}
            found.append(named | timing)
        return found


def _fault_of(error: OSError, path: str, task: Task) -> DaqFault:
    """The driver's error for one of the file system."""
    code = DAQmxErrors.GENERIC_FILE_IO
    if error.errno in _FULL:
        code = DAQmxErrors.DISK_FULL
    elif error.errno in _PROTECTED:
        code = DAQmxErrors.FILE_WRITE_PROTECTED
    elif error.errno in _NO_PATH:
        code = DAQmxErrors.FILE_PATH_INVALID
    return DaqFault(code, f"{error.strerror}\nFile Path: {path}\nTask Name: {task.name}")


def _rows(task: Task, wanted: Sequence[Samples], moments: npt.NDArray[np.float64]) -> list[npt.NDArray[Any]]:
    """Values of each channel in the type in which they are logged."""
    if task.kind is ChannelType.COUNTER_INPUT:
        values = counters.values(task, task.position - moments.size, moments)[0]
    else:
        values = task.take(wanted)
    return [row.astype(_kind(channel)) for channel, row in zip(task.channels, values, strict=True)]


def _kind(channel: Channel) -> str:
    if channel.lines:
        return "<u1" if len(channel.lines) <= 8 else "<u2" if len(channel.lines) <= 16 else "<u4"
    return "<u4" if channel.attributes.get("CI_MEAS_TYPE") == counters.COUNTS else "<f8"


# -------------------------------------------------------------------------------------------------- the file


class TdmsFile:
    """A TDMS file that a task writes, with the index that goes with it.

    Raises
    ------
    FileExistsError
        It is to be created and is there.
    OSError, ValueError
        It cannot be opened, or what is there is no TDMS file.
    ImportError
        npTDMS is not installed.
    """

    def __init__(self, path: str, operation: int, group: str, channels: Sequence[Channel]) -> None:
        import nptdms  # only where something is logged

        self._nptdms = nptdms
        self.path, self.real_path = path, os.path.realpath(path)
        self._asked, self._names = group, [channel.name for channel in channels]
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(errno.EINVAL, "This is no file")
        kept = operation == _OPEN or (operation == _OPEN_OR_CREATE and os.path.exists(path))
        extends = kept and os.path.getsize(path) > 0
        version, self._groups = 4712, set[str]()
        if extends:
            _check_begin(path)
            there = nptdms.TdmsFile.read_metadata(path)
            version, self._groups = there.tdms_version or version, {each.name for each in there.groups()}
        self._data, self._index = FileIO(path, "r+" if extends else "x" if operation == _CREATE else "w"), None
        self._staged = BytesIO(), BytesIO()
        try:
            self._writer = nptdms.TdmsWriter(self._staged[0], version=version, index_file=self._staged[1])
            if not extends or os.path.exists(f"{path}_index"):  # an index of a part would be read as one of the whole
                self._index = FileIO(f"{path}_index", "r+" if extends else "w")
            for file in self._files():
                file.seek(0, os.SEEK_END)
            self.begin_group()
            name = {} if extends else {"name": os.path.splitext(os.path.basename(path))[0]}
            self._put([nptdms.RootObject(name), nptdms.GroupObject(self._group)])
        except (OSError, ValueError):
            self.close()
            raise

    def begin_group(self) -> None:
        """Write the next samples to another group: that of the name that was asked for, or the next with a number."""
        number, name = 0, self._asked
        while name in self._groups:
            number += 1
            name = f"{self._asked} #{number}"
        self._group = name
        self._groups.add(name)
        self._described = False

    def append(self, rows: Sequence[npt.NDArray[Any]], properties: Sequence[dict[str, object]]) -> None:
        """Write samples of each channel; the properties count where the group begins."""
        made = [
            self._nptdms.ChannelObject(self._group, name, row, None if self._described else own)
            for name, row, own in zip(self._names, rows, properties, strict=True)
        ]
        self._put(made)
        self._described = True

    def close(self) -> None:
        """Close both files."""
        for file in self._files():
            file.close()

    def _put(self, objects: list[Any]) -> None:
        """Write one segment, wholly or not at all."""
        self._writer.write_segment(objects)
        begun = [(file, file.tell()) for file in self._files()]
        try:
            for file, staged in zip(self._files(), self._staged, strict=False):
                left = memoryview(staged.getvalue())
                while left:
                    left = left[file.write(left) :]
        except OSError:
            for file, end_before in begun:
                with suppress(OSError):
                    file.truncate(end_before)
            raise
        finally:
            for staged in self._staged:
                staged.seek(0)
                staged.truncate()

    def _files(self) -> list[FileIO]:
        return [file for file in (self._data, self._index) if file is not None]


def _check_begin(path: str) -> None:
    """Raise ValueError where a file does not begin as one of TDMS; its reader takes a short one for an empty one."""
    with FileIO(path) as file:
        if file.read(4) != b"TDSm":
            raise ValueError(f"{path} is no TDMS file")
