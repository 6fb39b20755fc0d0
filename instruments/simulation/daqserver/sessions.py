"""Calls that make, configure and run tasks, and those about devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nidaqmx.constants import (
    AcquisitionType,
    ChannelType,
    SampleTimingType,
    TaskMode,
    TriggerType,
    WDTTaskAction,
)
from nidaqmx.error_codes import DAQmxErrors, DAQmxWarnings

from instruments.simulation.daqserver import channels, counters, customscale, events, tdms, triggers
from instruments.simulation.daqserver.channels import RECIPES
from instruments.simulation.daqserver.dispatch import Call, Handler
from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault, text_of
from instruments.simulation.daqserver.messages import fields
from instruments.simulation.daqserver.system import LONGEST_NAP_S, System
from instruments.simulation.daqserver.task import Task


def _create_task(system: System, call: Call) -> None:
    task, new = system.create(call.request.session_name, call.request.initialization_behavior)
    call.reply.task.name = task.name
    call.reply.new_session_initialized = new


def _clear_task(system: System, call: Call) -> None:
    system.clear(system.task(call.request.task.name))


def _start_task(system: System, call: Call) -> None:
    system.start(system.task(call.request.task.name))


def _stop_task(system: System, call: Call) -> None:
    """Stop; what is finite and not yet complete says so by a warning, which travels as the status of the reply."""
    task = system.task(call.request.task.name)
    early = task.running and task.hardware_timed and task.timing.mode is AcquisitionType.FINITE and not task.done
    task.stop()
    tdms.check_log(task)
    if early:
        call.reply.status = DAQmxWarnings.STOPPED_BEFORE_DONE.value


def _task_control(system: System, call: Call) -> None:
    task = system.task(call.request.task.name)
    action = TaskMode(call.request.action_raw)
    if action is TaskMode.TASK_START:
        system.start(task)
    elif action in (TaskMode.TASK_STOP, TaskMode.TASK_ABORT):
        task.stop()
    elif action in (TaskMode.TASK_COMMIT, TaskMode.TASK_RESERVE, TaskMode.TASK_VERIFY):
        task.commit()
        if action is not TaskMode.TASK_VERIFY:
            system.check_free(task)


def _is_done(system: System, call: Call) -> None:
    task = system.task(call.request.task.name)
    task.check_alive()
    task.check_fed()
    tdms.check_log(task)
    call.reply.is_task_done = task.done


def _wait_until_done(system: System, call: Call) -> None:
    task = system.task(call.request.task.name)

    def moment() -> float:
        if task.kind is ChannelType.COUNTER_OUTPUT:
            return counters.over_at(task)
        return task.moment_of(task.timing.samples)

    task.check_fed()
    done = wait(system, call, task, lambda: task.done, moment, call.request.time_to_wait)
    tdms.check_log(task)
    if not done:
        task.check_fed()
        raise DaqFault(DAQmxErrors.WAIT_UNTIL_DONE_DOES_NOT_INDICATE_DONE, f"Task Name: {task.name}")


def wait(
    system: System,
    call: Call,
    task: Task,
    ready: Callable[[], bool],
    moment: Callable[[], float],
    timeout_s: float,
) -> bool:
    """Wait in wall time until ``ready``, at most ``timeout_s`` (below 0: for ever); in virtual time never wait.

    ``moment`` is when it will be ready if nothing else happens.  Ends early when the task is stopped or the caller
    goes away.  The server's lock is let go meanwhile.
    """
    clock = system.clock
    deadline = clock.now() + timeout_s if timeout_s >= 0.0 else float("inf")
    while not ready() and task.running:
        now = clock.now()
        if not system.waits or now >= deadline or not call.context.is_active():
            break
        task.check_alive()
        system.lock.release()
        try:
            clock.wait(task.changed, min(deadline, max(moment(), now + 1e-3), now + LONGEST_NAP_S))
        finally:
            system.lock.acquire()
    return ready()


def _create_watchdog(system: System, call: Call) -> None:
    request = call.request
    task, new = system.create_watchdog(
        request.session_name, request.initialization_behavior, request.device_name, request.timeout
    )
    call.reply.task.name = task.name
    call.reply.new_session_initialized = new


def _watchdog_states(system: System, call: Call) -> None:
    request = call.request
    system.watchdog(request.task.name).configure(request.channel_names, list(request.expir_state_array))


def _control_watchdog(system: System, call: Call) -> None:
    watchdog = system.watchdog(call.request.task.name)
    if WDTTaskAction(call.request.action_raw) is WDTTaskAction.RESET_TIMER:
        watchdog.reset()
    else:
        watchdog.clear()


def _unregister(key: Callable[[Any], str]) -> Handler:
    def unregister(system: System, call: Call) -> None:
        events.unregister(system.task(call.request.task.name), key(call.request))

    return unregister


def _error_string(_: System, call: Call) -> None:
    call.reply.error_string = text_of(call.request.error_code)


def _nth_channel(system: System, call: Call) -> None:
    task = system.task(call.request.task.name)
    call.reply.buffer = task.channels[call.request.index - 1].name


def _nth_device(system: System, call: Call) -> None:
    task = system.task(call.request.task.name)
    call.reply.buffer = task.devices[call.request.index - 1].name


def _reset_device(system: System, call: Call) -> None:
    device = system.hardware.device(call.request.device_name)
    system.hardware.check_present(device)
    system.reset(device)


def _self_test(system: System, call: Call) -> None:
    system.hardware.check_present(system.hardware.device(call.request.device_name))


# -------------------------------------------------------------------------------------------- configuration


def _creator(name: str) -> Handler:
    def create(system: System, call: Call) -> None:
        task = system.task(call.request.task.name)
        task.add(channels.create(name, fields(call.request), system.hardware))

    return create


def _sample_clock(system: System, call: Call) -> None:
    request = call.request
    task = _timed(system, call, SampleTimingType.SAMPLE_CLOCK)
    if not request.rate > 0.0:
        raise DaqFault(BAD_VALUE, f"Property: SampClk.Rate\nRequested Value: {request.rate:g}\nTask Name: {task.name}")
    task.timing.rate_hz = request.rate
    task.timing.source = request.source
    task.timing.edge = request.active_edge_raw


def _timed(system: System, call: Call, kind: SampleTimingType) -> Task:
    """Give a task another timing, as far as all kinds of it have the same settings."""
    task, request = system.task(call.request.task.name), call.request
    task.check_channels()
    task.check_idle()
    task.timing.type = kind
    task.timing.mode = AcquisitionType(request.sample_mode_raw)
    task.timing.samples = int(request.samps_per_chan)
    task.timing.source = ""
    task.committed = False
    return task


def _implicit_timing(system: System, call: Call) -> None:
    task = _timed(system, call, SampleTimingType.IMPLICIT)
    if task.kind not in (ChannelType.COUNTER_INPUT, ChannelType.COUNTER_OUTPUT):
        raise DaqFault(DAQmxErrors.INVALID_TIMING_TYPE, f"Task Name: {task.name}")


def _change_detection(system: System, call: Call) -> None:
    task = _timed(system, call, SampleTimingType.CHANGE_DETECTION)
    if task.kind is not ChannelType.DIGITAL_INPUT:
        raise DaqFault(DAQmxErrors.INVALID_TIMING_TYPE, f"Task Name: {task.name}")
    task.timing.rising, task.timing.falling = call.request.rising_edge_chan, call.request.falling_edge_chan
    if not (task.timing.rising or task.timing.falling):
        raise DaqFault(DAQmxErrors.NO_CHANS_SPECD_FOR_CHANGE_DETECT, f"Task Name: {task.name}")
    for device in task.devices:
        if not device.product.di_rate_hz:
            raise DaqFault(DAQmxErrors.NO_CHANGE_DETECTION_ON_SELECTED_LINE_FOR_DEVICE, f"Device: {device.name}")


_TRIGGER_PARAMETERS = {
    "trigger_source": "SRC",
    "trigger_edge_raw": "EDGE",
    "trigger_slope_raw": "SLOPE",
    "trigger_level": "LVL",
    "trigger_when_raw": "WHEN",
    "window_top": "TOP",
    "window_bottom": "BTM",
}


def _trigger(which: str, shape: str, kind: TriggerType) -> Handler:
    """A Cfg...Trig call: its parameters become the attributes of the trigger."""

    def configure(system: System, call: Call) -> None:
        task = system.task(call.request.task.name)
        task.check_channels()
        task.check_idle()
        task.trigger[f"{which}_TRIG_TYPE"] = kind.value
        for name, value in fields(call.request):
            if name in _TRIGGER_PARAMETERS:
                task.trigger[f"{shape}_{which}_TRIG_{_TRIGGER_PARAMETERS[name]}"] = value
            elif name == "pretrigger_samples":
                task.trigger["REF_TRIG_PRETRIG_SAMPLES"] = value
        task.committed = False

    return configure


def _disable_trigger(which: str) -> Handler:
    def disable(system: System, call: Call) -> None:
        task = system.task(call.request.task.name)
        task.check_idle()
        task.trigger[f"{which}_TRIG_TYPE"] = triggers.NONE

    return disable


def _input_buffer(system: System, call: Call) -> None:
    task = system.task(call.request.task.name)
    task.check_idle()
    task.input_buffer = int(call.request.num_samps_per_chan)


def _output_buffer(system: System, call: Call) -> None:
    task = system.task(call.request.task.name)
    task.check_idle()
    task.output_buffer = int(call.request.num_samps_per_chan)
    task.output = None


def _scale(make: Callable[[Any], customscale.CustomScale]) -> Handler:
    """A Create...Scale call."""

    def create(system: System, call: Call) -> None:
        request = call.request
        made = make(request)
        made.attributes.update(
            SCALED_UNITS=request.scaled_units, PRE_SCALED_UNITS=request.pre_scaled_units_raw, DESCR=""
        )
        system.scales[request.name] = made

    return create


_lin_scale = _scale(lambda r: customscale.linear(r.name, r.slope, r.y_intercept))
_map_scale = _scale(lambda r: customscale.mapped(r.name, r.prescaled_min, r.prescaled_max, r.scaled_min, r.scaled_max))
_poly_scale = _scale(lambda r: customscale.by_polynomial(r.name, list(r.forward_coeffs), list(r.reverse_coeffs)))
_table_scale = _scale(lambda r: customscale.by_table(r.name, list(r.prescaled_vals), list(r.scaled_vals)))


HANDLERS: dict[str, Handler] = {
    "CreateTask": _create_task,
    "ClearTask": _clear_task,
    "StartTask": _start_task,
    "StopTask": _stop_task,
    "TaskControl": _task_control,
    "IsTaskDone": _is_done,
    "WaitUntilTaskDone": _wait_until_done,
    "CreateWatchdogTimerTaskEx": _create_watchdog,
    "CfgWatchdogDOExpirStates": _watchdog_states,
    "ControlWatchdogTask": _control_watchdog,
    "UnregisterDoneEvent": _unregister(lambda _: events.DONE),
    "UnregisterEveryNSamplesEvent": _unregister(
        lambda request: events.every_n_key(request.every_n_samples_event_type_raw)
    ),
    "UnregisterSignalEvent": _unregister(lambda request: events.signal_key(request.signal_id_raw)),
    "GetErrorString": _error_string,
    "GetNthTaskChannel": _nth_channel,
    "GetNthTaskReadChannel": _nth_channel,
    "GetNthTaskDevice": _nth_device,
    "ResetDevice": _reset_device,
    "SelfTestDevice": _self_test,
    "CfgSampClkTiming": _sample_clock,
    "CfgInputBuffer": _input_buffer,
    "CfgOutputBuffer": _output_buffer,
    "CfgImplicitTiming": _implicit_timing,
    "CfgChangeDetectionTiming": _change_detection,
    "CfgDigEdgeStartTrig": _trigger("START", "DIG_EDGE", TriggerType.DIGITAL_EDGE),
    "CfgDigEdgeRefTrig": _trigger("REF", "DIG_EDGE", TriggerType.DIGITAL_EDGE),
    "CfgAnlgEdgeStartTrig": _trigger("START", "ANLG_EDGE", TriggerType.ANALOG_EDGE),
    "CfgAnlgEdgeRefTrig": _trigger("REF", "ANLG_EDGE", TriggerType.ANALOG_EDGE),
    "CfgAnlgWindowStartTrig": _trigger("START", "ANLG_WIN", TriggerType.ANALOG_WINDOW),
    "CfgAnlgWindowRefTrig": _trigger("REF", "ANLG_WIN", TriggerType.ANALOG_WINDOW),
    "DisableStartTrig": _disable_trigger("START"),
    "DisableRefTrig": _disable_trigger("REF"),
    "CreateLinScale": _lin_scale,
    "CreateMapScale": _map_scale,
    "CreatePolynomialScale": _poly_scale,
    "CreateTableScale": _table_scale,
} | {name: _creator(name) for name in RECIPES}
