"""Get, set and reset of every attribute, by its name in NI's enumerations.

One rule: an attribute has a value because a call gave it one, because it follows from the state, or because it is a
default of its kind of channel.  Everything else is DAQmx error -200452 and counted, never silently zero.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from nidaqmx.constants import (
    AcquisitionType,
    ChannelType,
    Level,
    OverwriteMode,
    ReadRelativeTo,
    RegenerationMode,
    SampleTimingType,
    WaitMode,
    WriteRelativeTo,
)

from instruments.simulation.daqserver import counters, listings, messages, power, rates, tdms, triggers
from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault
from instruments.simulation.daqserver.hardware import expand
from instruments.simulation.daqserver.pulses import Succession
from instruments.simulation.daqserver.store import Store, unknown
from instruments.simulation.daqserver.system import System
from instruments.simulation.daqserver.task import Task

ONBOARD_SAMPLES = 127
DEFAULT_SAMPLES = "#0x31E8"
"""An attribute without a public name by which the client asks how many samples "all available" means."""


def answer(system: System, call: messages.Method, request: messages.Message, reply: messages.Message) -> None:
    """Serve one Get...Attribute, Set...Attribute or Reset...Attribute call.

    Raises
    ------
    DaqFault
        An attribute that does not apply, or a value that is none.
    """
    name = messages.attribute_name(request)
    scope = _SCOPES.get(call.scope)
    if scope is None:
        raise unknown(system, call.scope, name)
    store = scope(system, request)
    if call.action == "Get":
        if name not in store:
            raise unknown(system, call.scope, name)
        messages.set_value(reply, store[name])
        return
    if call.action == "Set":
        store.set(name, messages.get_value(request))
    else:
        store.reset(name)
    if call.scope in ("Trig", "Timing"):
        system.task(request.task.name).committed = False


# ------------------------------------------------------------------------------------------------- of a task


def _chan(system: System, request: messages.Message) -> Store:
    task = system.task(request.task.name)
    task.check_channels()
    names = [name for name in expand(request.channel) if name] or [channel.name for channel in task.channels]
    channels = [task.channel(name) for name in names]
    first = channels[0]
    if first.kind is ChannelType.ANALOG_INPUT and not task.committed and not task.aborted:
        with contextlib.suppress(DaqFault):  # a channel that cannot be committed still has what it was given
            task.commit()  # ranges follow from the devices
    if len(channels) == 1:
        kept = _Uncommitting(task, first.attributes)
        now = _of_counter(task, first)
        if power.is_supply(first):
            now = {"PWR_OUTPUT_STATE": lambda: power.output_state(task, first)}
        return Store(system, "Chan", now, kept, power.setters(task, first), first.initial)
    kept = _Everywhere(task, [channel.attributes for channel in channels])
    return Store(system, "Chan", {}, kept, initial=first.initial)


def _of_counter(task: Task, channel: Channel) -> dict[str, Callable[[], Any]]:
    """What a counter is at now."""

    def level() -> int:
        train = task.hardware.internal.get(counters.key_of(task, channel))
        is_high = isinstance(train, Succession) and train.high(task.hardware.clock.now())
        return int((Level.HIGH if is_high else Level.LOW).value)

    if channel.kind is ChannelType.COUNTER_OUTPUT:
        return {"CO_PULSE_DONE": lambda: task.done, "CO_OUTPUT_STATE": level}
    if channel.attributes.get("CI_MEAS_TYPE") != counters.COUNTS:
        return {}
    return {
        "CI_COUNT": lambda: counters.count(task, channel, task.hardware.clock.now()),
        "CI_TC_REACHED": lambda: False,
    }


class _Uncommitting(dict[str, Any]):
    """Attributes of a channel: setting one makes the task check itself anew."""

    def __init__(self, task: Task, attributes: dict[str, Any]) -> None:
        super().__init__(attributes)
        self._task = task
        self._attributes = attributes

    def __setitem__(self, name: str, value: Any) -> None:
        self._task.committed = False
        self._attributes[name] = value


class _Everywhere(_Uncommitting):
    """The same for several channels at once."""

    def __init__(self, task: Task, all_attributes: list[dict[str, Any]]) -> None:
        super().__init__(task, all_attributes[0])
        self._all = all_attributes

    def __setitem__(self, name: str, value: Any) -> None:
        self._task.committed = False
        for attributes in self._all:
            attributes[name] = value


def _task(system: System, request: messages.Message) -> Store:
    task = system.task(request.task.name)
    return Store(
        system,
        "Task",
        {
            "NAME": lambda: task.name,
            "CHANNELS": lambda: ", ".join(channel.name for channel in task.channels),
            "NUM_CHANS": lambda: len(task.channels),
            "DEVICES": lambda: ", ".join(device.name for device in task.devices),
            "NUM_DEVICES": lambda: len(task.devices),
            "COMPLETE": lambda: task.done,
        },
    )


def _timing(system: System, request: messages.Message) -> Store:
    task = system.task(request.task.name)
    timing = task.timing

    def set_rate(value: Any) -> None:
        if not value > 0.0:
            raise DaqFault(BAD_VALUE, f"Property: SampClk.Rate\nRequested Value: {value:g}")
        timing.rate_hz = float(value)
        if timing.type is SampleTimingType.ON_DEMAND:
            timing.type = SampleTimingType.SAMPLE_CLOCK
        task.committed = False

    return Store(
        system,
        "Timing",
        {
            "SAMP_CLK_RATE": lambda: rates.actual_hz(task),
            "SAMP_CLK_MAX_RATE": lambda: rates.highest_of_all_hz(task),
            "SAMP_CLK_SRC": lambda: timing.source or task.terminal("SampleClockTimebase"),
            "SAMP_CLK_TERM": lambda: task.terminal("SampleClock"),
            "SAMP_CLK_ACTIVE_EDGE": lambda: timing.edge,
            "SAMP_QUANT_SAMP_MODE": lambda: timing.mode.value,
            "SAMP_QUANT_SAMP_PER_CHAN": lambda: timing.samples,
            "SAMP_TIMING_TYPE": lambda: timing.type.value,
            "CHANGE_DETECT_DI_RISING_EDGE_PHYSICAL_CHANS": lambda: timing.rising,
            "CHANGE_DETECT_DI_FALLING_EDGE_PHYSICAL_CHANS": lambda: timing.falling,
        },
        task.attributes.setdefault("TIMING", {}),
        setters={
            "SAMP_TIMING_TYPE": lambda value: setattr(timing, "type", SampleTimingType(value)),
            "SAMP_CLK_SRC": lambda value: setattr(timing, "source", str(value)),
            "SAMP_CLK_ACTIVE_EDGE": lambda value: setattr(timing, "edge", int(value)),
            "CHANGE_DETECT_DI_RISING_EDGE_PHYSICAL_CHANS": lambda value: setattr(timing, "rising", str(value)),
            "CHANGE_DETECT_DI_FALLING_EDGE_PHYSICAL_CHANS": lambda value: setattr(timing, "falling", str(value)),
            "SAMP_CLK_RATE": set_rate,
            "SAMP_QUANT_SAMP_MODE": lambda value: setattr(timing, "mode", AcquisitionType(value)),
            "SAMP_QUANT_SAMP_PER_CHAN": lambda value: setattr(timing, "samples", int(value)),
        },
    )


def _read(system: System, request: messages.Message) -> Store:
    task = system.task(request.task.name)
    defaults = {
        "OVERWRITE": OverwriteMode.DO_NOT_OVERWRITE_UNREAD_SAMPLES.value,
        "RELATIVE_TO": ReadRelativeTo.CURRENT_READ_POSITION.value,
        "OFFSET": 0,
        "READ_ALL_AVAIL_SAMP": False,
        "AUTO_START": True,
        "WAIT_MODE": WaitMode.WAIT_FOR_INTERRUPT.value,
        "CHANNELS_TO_READ": ", ".join(channel.name for channel in task.channels),
        **tdms.DEFAULTS,
    }
    for name, value in defaults.items():
        task.attributes.setdefault(name, value)
    task.attributes["CHANNELS_TO_READ"] = defaults["CHANNELS_TO_READ"]
    return Store(
        system,
        "Read",
        {
            "NUM_CHANS": lambda: len(task.channels),
            "AVAIL_SAMP_PER_CHAN": task.available,
            "TOTAL_SAMP_PER_CHAN_ACQUIRED": task.acquired,
            "CURR_READ_POS": lambda: task.position,
            "DIGITAL_LINES_BYTES_PER_CHAN": lambda: max((len(channel.lines) for channel in task.channels), default=0),
            "RAW_DATA_WIDTH": lambda: _raw_width(task),
            "CHANGE_DETECT_HAS_OVERFLOWED": lambda: False,
            "OPEN_THRMCPL_CHANS_EXIST": lambda: _latch(task, "OPEN_THRMCPL_CHANS", "was_open", "THERMOCOUPLE"),
            "OPEN_CHANS_EXIST": lambda: _latch(task, "OPEN_CHANS", "was_open", ""),
            "OVERLOADED_CHANS_EXIST": lambda: _latch(task, "OVERLOADED_CHANS", "was_overloaded", ""),
            DEFAULT_SAMPLES: lambda: _default_samples(task),
        }
        | (
            {"OVERTEMPERATURE_CHANS_EXIST": lambda: False, "OVERTEMPERATURE_CHANS": str} if power.supplies(task) else {}
        ),
        task.attributes,
        setters=tdms.setters(task),
        initial=tdms.DEFAULTS,
    )


def _raw_width(task: Task) -> int:
    """Bytes of one scan as the device keeps it."""
    widths = [channel.attributes.get("AI_RAW_SAMP_SIZE", 32) // 8 for channel in task.channels]
    return max(widths, default=4) * len(widths)


def _latch(task: Task, name: str, flag: str, measures: str) -> bool:
    """Hand over what the inputs noticed since the last look, and forget it."""
    noticed = []
    for each in task.inputs:
        if getattr(each, flag) and measures in each.measures.name:
            noticed.append(each.channel.name)
            setattr(each, flag, False)
    task.attributes[name] = ", ".join(noticed)
    return bool(noticed)


def _default_samples(task: Task) -> int:
    if not task.hardware_timed:
        return 1
    if task.timing.mode is AcquisitionType.FINITE and not task.attributes.get("READ_ALL_AVAIL_SAMP", False):
        return task.timing.samples
    return task.available()


def _write(system: System, request: messages.Message) -> Store:
    task = system.task(request.task.name)
    for attribute, value in (
        ("REGEN_MODE", RegenerationMode.ALLOW_REGENERATION.value),
        ("RELATIVE_TO", WriteRelativeTo.CURRENT_WRITE_POSITION.value),
        ("OFFSET", 0),
        ("WAIT_MODE", WaitMode.POLL.value),
    ):
        task.attributes.setdefault(attribute, value)
    return Store(
        system,
        "Write",
        {
            "NUM_CHANS": lambda: len(task.channels),
            "DIGITAL_LINES_BYTES_PER_CHAN": lambda: max((len(channel.lines) for channel in task.channels), default=0),
            "CURR_WRITE_POS": lambda: task.output.written if task.output else 0,
            "TOTAL_SAMP_PER_CHAN_GENERATED": task.acquired,
            "SPACE_AVAIL": lambda: task.output.space(task.acquired()) if task.output else task.output_buffer or 0,
            "RAW_DATA_WIDTH": lambda: 2,
        },
        task.attributes,
    )


def _buffer(system: System, request: messages.Message) -> Store:
    task = system.task(request.task.name)
    return Store(
        system,
        "Buffer",
        {
            "INPUT_BUF_SIZE": lambda: task.buffer_size,
            "INPUT_ONBRD_BUF_SIZE": lambda: ONBOARD_SAMPLES,
            "OUTPUT_BUF_SIZE": lambda: task.output.size if task.output else task.output_buffer or 0,
            "OUTPUT_ONBRD_BUF_SIZE": lambda: ONBOARD_SAMPLES,
        },
        setters={
            "INPUT_BUF_SIZE": lambda value: setattr(task, "input_buffer", int(value)),
            "OUTPUT_BUF_SIZE": lambda value: setattr(task, "output_buffer", int(value)),
        },
    )


def _trigger(system: System, request: messages.Message) -> Store:
    task = system.task(request.task.name)
    computed = {
        "START_TRIG_TERM": lambda: task.terminal("StartTrigger"),
        "REF_TRIG_TERM": lambda: task.terminal("ReferenceTrigger"),
    }
    return Store(system, "Trig", computed, task.trigger, initial=triggers.DEFAULTS)


def _export(system: System, request: messages.Message) -> Store:
    """Where signals of a task are routed to; nothing is connected there."""
    task = system.task(request.task.name)
    return Store(system, "ExportSignal", {}, task.attributes.setdefault("EXPORTED", {}))


_SCOPES: dict[str, Callable[[System, messages.Message], Store]] = {
    "Chan": _chan,
    "Task": _task,
    "Timing": _timing,
    "Read": _read,
    "Write": _write,
    "Buffer": _buffer,
    "Trig": _trigger,
    "ExportSignal": _export,
    "Device": listings.device,
    "PhysicalChan": listings.physical,
    "SystemInfo": listings.system,
    "Scale": listings.scale,
    "Watchdog": listings.watchdog,
    "PersistedTask": listings.persisted("task", "task_name"),
    "PersistedChan": listings.persisted("channel", "channel"),
    "PersistedScale": listings.persisted("scale", "scale_name"),
}
