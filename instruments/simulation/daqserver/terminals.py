"""Calls about routes between terminals, about TEDS and logging, and those that only calculate."""

from __future__ import annotations

import numpy as np
from nidaqmx.constants import Signal
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import listings, messages, tdms
from instruments.simulation.daqserver.dispatch import Call, Handler
from instruments.simulation.daqserver.faults import DaqFault
from instruments.simulation.daqserver.hardware import expand
from instruments.simulation.daqserver.system import System

_EXPORTED = {
    Signal.SAMPLE_CLOCK.value: "SampleClock",
    Signal.START_TRIGGER.value: "StartTrigger",
    Signal.REFERENCE_TRIGGER.value: "ReferenceTrigger",
}


def _connect(system: System, call: Call) -> None:
    """Route what stands at one terminal to another one."""
    _route(system, call.request.source_terminal, call.request.destination_terminal)


def _route(system: System, source: str, destination: str) -> None:
    hardware = system.hardware
    for terminal in (source, destination):
        hardware.train(terminal, system.clock.now())  # says when there is none of this name
    hardware.connected[hardware.key(destination)] = hardware.key(source)


def _disconnect(system: System, call: Call) -> None:
    system.hardware.connected.pop(system.hardware.key(call.request.destination_terminal), None)


def _export(system: System, call: Call) -> None:
    """Route a signal of a task to terminals."""
    task, signal = system.task(call.request.task.name), call.request.signal_id_raw
    task.check_channels()
    if signal in _EXPORTED:
        source = task.terminal(_EXPORTED[signal])
    elif signal == Signal.COUNTER_OUTPUT_EVENT.value and "CO_PULSE_TERM" in task.channels[0].attributes:
        source = str(task.channels[0].attributes["CO_PULSE_TERM"])
    else:
        raise DaqFault(DAQmxErrors.ROUTE_NOT_SUPPORTED_BY_HW_ROUTING, f"Task Name: {task.name}")
    for destination in expand(call.request.output_terminal):
        _route(system, source, destination)


def _no_sensor(system: System, call: Call) -> None:
    """No sensor with TEDS is ever connected."""
    name = next(iter(expand(call.request.physical_channel)))
    raise listings.absent(system.hardware.check_terminal(name), name)


def _no_virtual_sensor(system: System, call: Call) -> None:
    """The files of virtual TEDS are on the computer of the server, which has none."""
    system.hardware.check_terminal(call.request.physical_channel)
    raise DaqFault(
        DAQmxErrors.VIRTUAL_TEDS_FILE_NOT_FOUND,
        f"File Path: {call.request.file_path}\nPhysical Channel Name: {call.request.physical_channel}",
    )


def _logging(system: System, call: Call) -> None:
    request = call.request
    tdms.configure(
        system.task(request.task.name),
        LOGGING_FILE_PATH=request.file_path,
        LOGGING_MODE=request.logging_mode_raw,
        LOGGING_TDMS_GROUP_NAME=request.group_name,
        LOGGING_TDMS_OPERATION=request.operation_raw,
    )


def _new_file(system: System, call: Call) -> None:
    tdms.start_new_file(system.task(call.request.task.name), call.request.file_path)


def _reverse_polynomial(_: System, call: Call) -> None:
    """Fit the inverse of a polynomial, as the driver does for a custom scale."""
    request = call.request
    forward = list(request.forward_coeffs)
    order = request.reverse_poly_order if request.reverse_poly_order >= 0 else len(forward) - 1
    x = np.linspace(request.min_val_x, request.max_val_x, max(request.num_points_to_compute, order + 1))
    y = np.polynomial.polynomial.polyval(x, forward)
    call.reply.reverse_coeffs.extend(np.polynomial.Polynomial.fit(y, x, order).convert().coef.tolist())


_WITHOUT_SENSORS: dict[str, Handler] = dict.fromkeys(messages.methods("CreateTEDSAI"), _no_sensor)

HANDLERS: dict[str, Handler] = {
    "ConnectTerms": _connect,
    "DisconnectTerms": _disconnect,
    "ExportSignal": _export,
    "ClearTEDS": _no_sensor,
    "ConfigureTEDS": _no_virtual_sensor,
    "WriteToTEDSFromArray": _no_sensor,
    "WriteToTEDSFromFile": _no_sensor,
    "ConfigureLogging": _logging,
    "StartNewFile": _new_file,
    "CalculateReversePolyCoeff": _reverse_polynomial,
} | _WITHOUT_SENSORS
