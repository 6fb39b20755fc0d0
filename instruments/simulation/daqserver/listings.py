"""Attributes of devices, physical channels, scales, watchdogs and of the system itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nidaqmx.constants import (
    AcquisitionType,
    UsageTypeAO,
    UsageTypeCO,
)
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import messages
from instruments.simulation.daqserver.channels import TERMS
from instruments.simulation.daqserver.faults import DaqFault
from instruments.simulation.daqserver.hardware import Device
from instruments.simulation.daqserver.store import Store
from instruments.simulation.daqserver.system import System

DRIVER_VERSION = (26, 0, 0)
# Bits of NI's CouplingTypes, TriggerUsageTypes and terminal configurations.
_DC = 2
_REFERENCE, _START = 4, 8
_RSE, _TERMINALS_DIFF, _TERMINALS_ALL = 1, 4, 7


def watchdog(system: System, request: messages.Message) -> Store:
    """Attributes of a watchdog timer."""
    watchdog = system.watchdog(request.task.name)
    states = {
        "DO_EXPIR_STATE": lambda: watchdog.states[request.lines.lower()],
    }
    return Store(
        system,
        "Watchdog",
        {"HAS_EXPIRED": lambda: watchdog.expired, "TIMEOUT": lambda: watchdog.timeout_s}
        | (states if request.lines.lower() in watchdog.states else {}),
        setters={
            "TIMEOUT": lambda value: watchdog.set_timeout(float(value)),
            "DO_EXPIR_STATE": lambda value: watchdog.configure(request.lines, [int(value)]),
        },
    )


def device(system: System, request: messages.Message) -> Store:
    """Attributes of a device or module; the name of one of its channels stands for it."""
    device = system.hardware.device(request.device_name.removeprefix("/").partition("/")[0])
    product = device.product
    voltage = [end for ends in product.ranges.get("V", ()) for end in ends]

    def names(kind: str) -> Callable[[], str]:
        return lambda: ", ".join(device.terminals(kind))

    computed: dict[str, Callable[[], Any]] = {
        "PRODUCT_TYPE": lambda: product.name,
        "PRODUCT_CATEGORY": lambda: product.category.value,
        "SERIAL_NUM": lambda: device.serial,
        "PRODUCT_NUM": lambda: device.serial & 0xFFFF,
        "IS_SIMULATED": lambda: True,
        "BUS_TYPE": lambda: product.bus.value,
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
    }
    return Store(system, "Device", computed | _of_product(device) | _of_triggers(device))


def _of_product(device: Device) -> dict[str, Callable[[], Any]]:
    """What outputs, lines and counters of a device can do."""
    product = device.product
    ao = list(product.ao_range)
    ao_type = (UsageTypeAO.VOLTAGE if product.ao_quantity == "V" else UsageTypeAO.CURRENT).value
    modes = [AcquisitionType.FINITE.value, AcquisitionType.CONTINUOUS.value]
    return {
        "AO_SUPPORTED_OUTPUT_TYPES": lambda: [ao_type] if product.ao else [],
        "AO_VOLTAGE_RNGS": lambda: ao if product.ao and product.ao_quantity == "V" else [],
        "AO_CURRENT_RNGS": lambda: ao if product.ao and product.ao_quantity == "A" else [],
        "AO_SAMP_CLK_SUPPORTED": lambda: product.ao_rate_hz > 0.0,
        "AO_MAX_RATE": lambda: product.ao_rate_hz,
        "AO_MIN_RATE": lambda: 0.0,
        "DI_MAX_RATE": lambda: product.di_rate_hz,
        "DO_MAX_RATE": lambda: product.do_rate_hz,
        "AI_SAMP_MODES": lambda: modes if product.ai else [],
        "AO_SAMP_MODES": lambda: modes if product.ao_rate_hz else [],
        "CI_SAMP_MODES": lambda: modes if product.counters else [],
        "CO_SAMP_MODES": lambda: modes if product.counters else [],
        "CI_SAMP_CLK_SUPPORTED": lambda: product.counters > 0,
        "CO_SAMP_CLK_SUPPORTED": lambda: product.counters > 0,
        "CI_MAX_SIZE": lambda: 32,
        "CO_MAX_SIZE": lambda: 32,
        "CI_MAX_TIMEBASE": lambda: product.counter_hz,
        "CO_MAX_TIMEBASE": lambda: product.counter_hz,
        "CI_SUPPORTED_MEAS_TYPES": lambda: list(TERMS) if product.counters else [],
        "CO_SUPPORTED_OUTPUT_TYPES": lambda: [each.value for each in UsageTypeCO] if product.counters else [],
        "ACCESSORY_PRODUCT_TYPES": lambda: "",
        "ACCESSORY_PRODUCT_NUMS": list,
        "ACCESSORY_SERIAL_NUMS": list,
    }


def _of_triggers(device: Device) -> dict[str, Callable[[], Any]]:
    """Terminals of a device, and what it can be triggered by."""
    product = device.product
    start, both = _START, _START | _REFERENCE
    return {
        "TERMINALS": lambda: ", ".join(device.routes()),
        "ANLG_TRIG_SUPPORTED": lambda: product.ai > 0 and not product.holds,
        "DIG_TRIG_SUPPORTED": lambda: not product.holds,
        "TIME_TRIG_SUPPORTED": lambda: False,
        "AI_TRIG_USAGE": lambda: both if product.ai else 0,
        "AO_TRIG_USAGE": lambda: start if product.ao_rate_hz else 0,
        "DI_TRIG_USAGE": lambda: both if product.di_rate_hz else 0,
        "DO_TRIG_USAGE": lambda: start if product.do_rate_hz else 0,
        "CI_TRIG_USAGE": lambda: start if product.counters else 0,
        "CO_TRIG_USAGE": lambda: start if product.counters else 0,
        "AI_COUPLINGS": lambda: _DC if product.ai else 0,
        "TEDS_HWTEDS_SUPPORTED": lambda: product.teds,
        "NUM_DMA_CHANS": lambda: 0,
        "AI_NUM_SAMP_TIMING_ENGINES": lambda: 3 if product.slots else int(product.ai > 0),
        "AO_NUM_SAMP_TIMING_ENGINES": lambda: int(product.ao_rate_hz > 0 or product.slots > 0),
        "DI_NUM_SAMP_TIMING_ENGINES": lambda: int(product.di_rate_hz > 0 or product.slots > 0),
        "DO_NUM_SAMP_TIMING_ENGINES": lambda: int(product.do_rate_hz > 0 or product.slots > 0),
    }


def physical(system: System, request: messages.Message) -> Store:
    """Attributes of a terminal; no sensor with TEDS is ever connected."""
    name = request.physical_channel
    device = system.hardware.check_terminal(name)
    own = name.partition("/")[2].lower().lstrip("_")
    if "TEDS" in messages.attribute_name(request):
        raise absent(device, name)
    product = device.product
    modes = [AcquisitionType.FINITE.value, AcquisitionType.CONTINUOUS.value]
    computed: dict[str, Callable[[], Any]] = {}
    if own.startswith(("ai", "cj")):
        computed = {
            "AI_SUPPORTED_MEAS_TYPES": lambda: [measures.value for measures in product.measures],
            "AI_TERM_CFGS": lambda: _TERMINALS_ALL if len(product.pfi) else _TERMINALS_DIFF,
            "AI_INPUT_SRCS": lambda: "_external_channel",
        }
    elif own.startswith("ao"):
        kind = (UsageTypeAO.VOLTAGE if product.ao_quantity == "V" else UsageTypeAO.CURRENT).value
        computed = {"AO_SUPPORTED_OUTPUT_TYPES": lambda: [kind], "AO_TERM_CFGS": lambda: _RSE}
    elif own.startswith("ctr"):
        computed = {
            "CI_SUPPORTED_MEAS_TYPES": lambda: list(TERMS),
            "CO_SUPPORTED_OUTPUT_TYPES": lambda: [each.value for each in UsageTypeCO],
        }
    elif own.startswith("port"):
        port = system.hardware.port(name)
        computed = {
            "DI_PORT_WIDTH": lambda: port.lines,
            "DO_PORT_WIDTH": lambda: port.lines,
            "DI_SAMP_CLK_SUPPORTED": lambda: product.di_rate_hz > 0.0,
            "DO_SAMP_CLK_SUPPORTED": lambda: product.do_rate_hz > 0.0,
            "DI_SAMP_MODES": lambda: modes if product.di_rate_hz else [],
            "DO_SAMP_MODES": lambda: modes if product.do_rate_hz else [],
            "DI_CHANGE_DETECT_SUPPORTED": lambda: product.di_rate_hz > 0.0,
        }
    return Store(system, "PhysicalChan", computed)


def absent(device: Device, physical: str) -> DaqFault:
    """What is said of TEDS where no such sensor is connected, or the device cannot read one."""
    code = DAQmxErrors.TEDS_SENSOR_NOT_DETECTED if device.product.teds else DAQmxErrors.TEDS_NOT_SUPPORTED
    return DaqFault(code, f"Physical Channel Name: {physical}\nDevice: {device.name}")


def system(system: System, _: messages.Message) -> Store:
    """Attributes of the driver."""
    major, minor, update = DRIVER_VERSION
    return Store(
        system,
        "SystemInfo",
        {
            "NIDAQ_MAJOR_VERSION": lambda: major,
            "NIDAQ_MINOR_VERSION": lambda: minor,
            "NIDAQ_UPDATE_VERSION": lambda: update,
            "DEV_NAMES": lambda: ", ".join(device.name for device in system.hardware.devices.values()),
            "TASKS": lambda: ", ".join(system.saved["task"]),
            "SCALES": lambda: ", ".join(system.saved["scale"]),
            "GLOBAL_CHANS": lambda: ", ".join(system.saved["channel"]),
        },
    )


def scale(system: System, request: messages.Message) -> Store:
    """Attributes of a custom scale."""
    found = system.scales.get(request.scale_name)
    if found is None:
        raise DaqFault(DAQmxErrors.CUSTOM_SCALE_DOES_NOT_EXIST, f"Custom Scale: {request.scale_name}")
    return Store(system, "Scale", {}, found.attributes)


def persisted(kind: str, field: str) -> Callable[[System, messages.Message], Store]:
    """Attributes of a saved task, channel or scale; ``field`` of the request names it."""

    def attributes(system: System, request: messages.Message) -> Store:
        found = system.kept(kind, getattr(request, field))
        computed: dict[str, Callable[[], Any]] = {
            "AUTHOR": lambda: found.author,
            "ALLOW_INTERACTIVE_EDITING": lambda: found.editing,
            "ALLOW_INTERACTIVE_DELETION": lambda: found.deletion,
        }
        return Store(system, f"Persisted {kind}", computed)

    return attributes
