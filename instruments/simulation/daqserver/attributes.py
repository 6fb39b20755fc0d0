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
    BusType,
    ChannelType,
    OverwriteMode,
    ProductCategory,
    ReadRelativeTo,
    RegenerationMode,
    WaitMode,
)
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import messages
from instruments.simulation.daqserver.faults import BAD_VALUE, NOT_APPLICABLE, DaqFault
from instruments.simulation.daqserver.hardware import Device, expand
from instruments.simulation.daqserver.system import System
from instruments.simulation.daqserver.task import Task

DRIVER_VERSION = (26, 0, 0)
DEFAULT_SAMPLES = "#0x31E8"
"""An attribute without a public name by which the client asks how many samples "all available" means."""

PASSIVE = frozenset(
    (
        "AI_ADC_TIMING_MODE",
        "AI_AUTO_ZERO_MODE",
        "AI_BRIDGE_SHUNT_CAL_ENABLE",
        "AI_CHOP_ENABLE",
        "AI_COUPLING",
        "AI_DATA_XFER_MECH",
        "AI_LOWPASS_CUTOFF_FREQ",
        "AI_LOWPASS_ENABLE",
        "AI_OPEN_THRMCPL_DETECT_ENABLE",
        "AI_REMOVE_FILTER_DELAY",
        "AI_TERM_CFG",
        "AO_IDLE_OUTPUT_BEHAVIOR",
        "CHAN_DESCR",
        "DO_OUTPUT_DRIVE_TYPE",
    )
)
"""Attributes that may be set though the simulated devices do nothing with them."""


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
        raise _unknown(system, call.scope, name)
    store = scope(system, request)
    if call.action == "Get":
        if name not in store:
            raise _unknown(system, call.scope, name)
        messages.set_value(reply, store[name])
    elif call.action == "Set":
        store.set(name, messages.get_value(request))
    else:
        store.reset(name)


def _unknown(system: System, scope: str, name: str) -> DaqFault:
    system.unknown[f"{scope}.{name}"] += 1
    return DaqFault(NOT_APPLICABLE, f"Property: {scope}.{name}")


class _Store:
    """Attributes of one object: what follows from its state, and what was set."""

    def __init__(
        self,
        system: System,
        scope: str,
        computed: dict[str, Callable[[], Any]],
        kept: dict[str, Any] | None = None,
        setters: dict[str, Callable[[Any], None]] | None = None,
    ) -> None:
        self._system = system
        self._scope = scope
        self._computed = computed
        self._kept = kept if kept is not None else {}
        self._setters = setters or {}

    def __contains__(self, name: str) -> bool:
        return name in self._computed or name in self._kept

    def __getitem__(self, name: str) -> Any:
        return self._computed[name]() if name in self._computed else self._kept[name]

    def set(self, name: str, value: Any) -> None:
        if name in self._setters:
            self._setters[name](value)
        elif name in self._kept or name in PASSIVE:
            self._kept[name] = value
        else:
            raise _unknown(self._system, self._scope, name)

    def reset(self, name: str) -> None:
        if name in self._setters or name in self._kept:
            self._kept.pop(name, None)
            return
        raise _unknown(self._system, self._scope, name)


# ------------------------------------------------------------------------------------------------- of a task


def _chan(system: System, request: messages.Message) -> _Store:
    task = system.task(request.task.name)
    task.check_channels()
    names = [name for name in expand(request.channel) if name] or [channel.name for channel in task.channels]
    channels = [task.channel(name) for name in names]
    first = channels[0]
    if first.kind is ChannelType.ANALOG_INPUT and not task.committed and not task.aborted:
        with contextlib.suppress(DaqFault):  # a channel that cannot be committed still has what it was given
            task.commit()  # ranges follow from the devices
    if len(channels) == 1:
        return _Store(system, "Chan", {}, _Uncommitting(task, first.attributes))
    return _Store(system, "Chan", {}, _Everywhere(task, [channel.attributes for channel in channels]))


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


def _task(system: System, request: messages.Message) -> _Store:
    task = system.task(request.task.name)
    return _Store(
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


def _timing(system: System, request: messages.Message) -> _Store:
    task = system.task(request.task.name)
    timing = task.timing

    def highest() -> float:
        rates = [
            device.product.max_rate_hz
            / (sum(channel.device is device for channel in task.channels) if device.product.shared else 1)
            for device in task.devices
            if device.product.max_rate_hz and not device.product.holds
        ]
        return min(rates, default=max(device.product.max_rate_hz for device in task.devices))

    def set_rate(value: Any) -> None:
        if not value > 0.0:
            raise DaqFault(BAD_VALUE, f"Property: SampClk.Rate\nRequested Value: {value:g}")
        timing.rate_hz = float(value)
        task.committed = False

    return _Store(
        system,
        "Timing",
        {
            "SAMP_CLK_RATE": task.actual_rate_hz,
            "SAMP_CLK_MAX_RATE": highest,
            "SAMP_CLK_SRC": lambda: timing.source or f"/{task.devices[0].name}/ai/SampleClockTimebase",
            "SAMP_CLK_ACTIVE_EDGE": lambda: timing.edge,
            "SAMP_QUANT_SAMP_MODE": lambda: timing.mode.value,
            "SAMP_QUANT_SAMP_PER_CHAN": lambda: timing.samples,
            "SAMP_TIMING_TYPE": lambda: task.sample_timing,
        },
        setters={
            "SAMP_CLK_RATE": set_rate,
            "SAMP_QUANT_SAMP_MODE": lambda value: setattr(timing, "mode", AcquisitionType(value)),
            "SAMP_QUANT_SAMP_PER_CHAN": lambda value: setattr(timing, "samples", int(value)),
        },
    )


def _read(system: System, request: messages.Message) -> _Store:
    task = system.task(request.task.name)
    defaults = {
        "OVERWRITE": OverwriteMode.DO_NOT_OVERWRITE_UNREAD_SAMPLES.value,
        "RELATIVE_TO": ReadRelativeTo.CURRENT_READ_POSITION.value,
        "OFFSET": 0,
        "READ_ALL_AVAIL_SAMP": False,
        "AUTO_START": True,
        "WAIT_MODE": WaitMode.WAIT_FOR_INTERRUPT.value,
        "CHANNELS_TO_READ": ", ".join(channel.name for channel in task.channels),
    }
    for name, value in defaults.items():
        task.attributes.setdefault(name, value)
    task.attributes["CHANNELS_TO_READ"] = defaults["CHANNELS_TO_READ"]
    return _Store(
        system,
        "Read",
        {
            "NUM_CHANS": lambda: len(task.channels),
            "AVAIL_SAMP_PER_CHAN": task.available,
            "TOTAL_SAMP_PER_CHAN_ACQUIRED": task.acquired,
            "CURR_READ_POS": lambda: task.position,
            "DIGITAL_LINES_BYTES_PER_CHAN": lambda: max((len(channel.lines) for channel in task.channels), default=0),
            "RAW_DATA_WIDTH": lambda: 4,
            "OPEN_THRMCPL_CHANS_EXIST": lambda: _latch(task, "OPEN_THRMCPL_CHANS", "was_open", "THERMOCOUPLE"),
            "OPEN_CHANS_EXIST": lambda: _latch(task, "OPEN_CHANS", "was_open", ""),
            "OVERLOADED_CHANS_EXIST": lambda: _latch(task, "OVERLOADED_CHANS", "was_overloaded", ""),
            DEFAULT_SAMPLES: lambda: _default_samples(task),
        },
        task.attributes,
    )


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


def _write(system: System, request: messages.Message) -> _Store:
    task = system.task(request.task.name)
    task.attributes.setdefault("REGEN_MODE", RegenerationMode.ALLOW_REGENERATION.value)
    return _Store(
        system,
        "Write",
        {
            "NUM_CHANS": lambda: len(task.channels),
            "DIGITAL_LINES_BYTES_PER_CHAN": lambda: max((len(channel.lines) for channel in task.channels), default=0),
            "CURR_WRITE_POS": lambda: task.position,
            "TOTAL_SAMP_PER_CHAN_GENERATED": lambda: task.position,
        },
        task.attributes,
    )


def _buffer(system: System, request: messages.Message) -> _Store:
    task = system.task(request.task.name)
    return _Store(
        system,
        "Buffer",
        {"INPUT_BUF_SIZE": lambda: task.buffer_size},
        setters={"INPUT_BUF_SIZE": lambda value: setattr(task, "input_buffer", int(value))},
    )


def _trigger(system: System, request: messages.Message) -> _Store:
    task = system.task(request.task.name)
    return _Store(system, "Trig", {}, task.attributes.setdefault("TRIGGER", {"START_TRIG_TYPE": 10230}))


# --------------------------------------------------------------------------------- of devices and the system


def _watchdog(system: System, request: messages.Message) -> _Store:
    watchdog = system.watchdog(request.task.name)
    states = {
        "DO_EXPIR_STATE": lambda: watchdog.states[request.lines.lower()],
    }
    return _Store(
        system,
        "Watchdog",
        {"HAS_EXPIRED": lambda: watchdog.expired, "TIMEOUT": lambda: watchdog.timeout_s}
        | (states if request.lines.lower() in watchdog.states else {}),
        setters={
            "TIMEOUT": lambda value: watchdog.set_timeout(float(value)),
            "DO_EXPIR_STATE": lambda value: watchdog.configure(request.lines, [int(value)]),
        },
    )


def _device(system: System, request: messages.Message) -> _Store:
    device = system.hardware.device(request.device_name)
    product = device.product
    voltage = [end for ends in product.ranges.get("V", ()) for end in ends]

    def names(kind: str) -> Callable[[], str]:
        return lambda: ", ".join(device.terminals(kind))

    return _Store(
        system,
        "Device",
        {
            "PRODUCT_TYPE": lambda: product.name,
            "PRODUCT_CATEGORY": lambda: _category(device),
            "SERIAL_NUM": lambda: device.serial,
            "PRODUCT_NUM": lambda: device.serial & 0xFFFF,
            "IS_SIMULATED": lambda: True,
            "BUS_TYPE": lambda: (BusType.USB if not device.chassis else BusType.COMPACT_DAQ).value,
            "AI_PHYSICAL_CHANS": names("ai"),
            "AO_PHYSICAL_CHANS": names("ao"),
            "CI_PHYSICAL_CHANS": names("ctr"),
            "CO_PHYSICAL_CHANS": names("ctr"),
            "DI_LINES": names("di"),
            "DO_LINES": names("do"),
            "DI_PORTS": names("di-port"),
            "DO_PORTS": names("do-port"),
            "COMPACT_DAQ_CHASSIS_DEV_NAME": lambda: device.chassis or "",
            "COMPACT_DAQ_SLOT_NUM": lambda: device.slot,
            "CHASSIS_MODULE_DEV_NAMES": lambda: ", ".join(module.name for module in system.hardware.modules(device)),
            "AI_SUPPORTED_MEAS_TYPES": lambda: [measures.value for measures in product.measures],
            "AI_MAX_SINGLE_CHAN_RATE": lambda: product.max_rate_hz,
            "AI_MAX_MULTI_CHAN_RATE": lambda: product.max_rate_hz / (product.ai if product.shared else 1),
            "AI_MIN_RATE": lambda: product.min_rate_hz,
            "AI_SIMULTANEOUS_SAMPLING_SUPPORTED": lambda: not product.shared,
            "AI_VOLTAGE_RNGS": lambda: voltage,
            "AI_CURRENT_RNGS": lambda: [end for ends in product.ranges.get("A", ()) for end in ends],
            "AI_BRIDGE_RNGS": lambda: [end for ends in product.ranges.get("V/V", ()) for end in ends],
            "AI_RESISTANCE_RNGS": lambda: [end for ends in product.ranges.get("ohm", ()) for end in ends],
            "AI_VOLTAGE_INT_EXCIT_DISCRETE_VALS": lambda: list(product.excitations_v),
        },
    )


def _category(device: Device) -> int:
    if device.product.slots:
        return int(ProductCategory.COMPACT_DAQ_CHASSIS.value)
    return int((ProductCategory.C_SERIES_MODULE if device.chassis else ProductCategory.USBDAQ).value)


def _physical(system: System, request: messages.Message) -> _Store:
    device = system.hardware.check_terminal(request.physical_channel)
    return _Store(
        system,
        "PhysicalChan",
        {
            "AI_SUPPORTED_MEAS_TYPES": lambda: [measures.value for measures in device.product.measures],
            "DI_SAMP_CLK_SUPPORTED": lambda: True,
            "DO_SAMP_CLK_SUPPORTED": lambda: False,
            "DI_CHANGE_DETECT_SUPPORTED": lambda: False,
        },
    )


def _system(system: System, _: messages.Message) -> _Store:
    major, minor, update = DRIVER_VERSION
    return _Store(
        system,
        "SystemInfo",
        {
            "NIDAQ_MAJOR_VERSION": lambda: major,
            "NIDAQ_MINOR_VERSION": lambda: minor,
            "NIDAQ_UPDATE_VERSION": lambda: update,
            "DEV_NAMES": lambda: ", ".join(device.name for device in system.hardware.devices.values()),
            "TASKS": lambda: "",
            "SCALES": lambda: ", ".join(system.scales),
            "GLOBAL_CHANS": lambda: "",
        },
    )


def _scale(system: System, request: messages.Message) -> _Store:
    found = system.scales.get(request.scale_name)
    if found is None:
        raise DaqFault(DAQmxErrors.CUSTOM_SCALE_DOES_NOT_EXIST, f"Custom Scale: {request.scale_name}")
    return _Store(system, "Scale", {}, found.attributes)


_SCOPES: dict[str, Callable[[System, messages.Message], _Store]] = {
    "Chan": _chan,
    "Task": _task,
    "Timing": _timing,
    "Read": _read,
    "Write": _write,
    "Buffer": _buffer,
    "Trig": _trigger,
    "Device": _device,
    "PhysicalChan": _physical,
    "SystemInfo": _system,
    "Scale": _scale,
    "Watchdog": _watchdog,
}
