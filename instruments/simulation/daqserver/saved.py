"""Tasks, channels and scales that the driver keeps by name, as those that are made in NI MAX.

They are kept as long as the server runs.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import messages
from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.dispatch import Call, Handler
from instruments.simulation.daqserver.faults import DaqFault
from instruments.simulation.daqserver.hardware import expand
from instruments.simulation.daqserver.system import Saved, System
from instruments.simulation.daqserver.task import Task, Timing

_OVERWRITE, _EDITING, _DELETION = 1, 2, 4
_TAKEN = {
    "task": DAQmxErrors.CANT_SAVE_TASK_WITHOUT_REPLACE,
    "channel": DAQmxErrors.CANT_SAVE_CHAN_WITHOUT_REPLACE,
    "scale": DAQmxErrors.CUSTOM_SCALE_NAME_USED,
}
"""What is said where the name is taken and nothing may be overwritten."""


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What a saved task is made of."""

    channels: tuple[Channel, ...]
    timing: Timing
    attributes: dict[str, Any]


def _keep(system: System, kind: str, name: str, what: object, request: messages.Message) -> None:
    kept = system.saved[kind]
    options = request.options_raw
    if name in kept and not options & _OVERWRITE:
        raise DaqFault(_TAKEN[kind], f"Name: {name}")
    kept[name] = Saved(what, request.author, bool(options & _EDITING), bool(options & _DELETION))


def _save_task(system: System, call: Call) -> None:
    task = system.task(call.request.task.name)
    task.check_channels()
    what = TaskSettings(tuple(map(_copy, task.channels)), replace(task.timing), deepcopy(task.attributes))
    _keep(system, "task", call.request.save_as or task.name, what, call.request)


def _copy(channel: Channel) -> Channel:
    copied = replace(channel, attributes=deepcopy(channel.attributes), parts=tuple(map(_copy, channel.parts)))
    copied.initial = dict(channel.initial)
    return copied


def _load_task(system: System, call: Call) -> None:
    saved = system.kept("task", call.request.session_name).what
    assert isinstance(saved, TaskSettings)
    task, new = system.create(call.request.session_name, call.request.initialization_behavior)
    if new:
        _restore(task, saved)
    call.reply.task.name = task.name
    call.reply.new_session_initialized = new


def _restore(task: Task, saved: TaskSettings) -> None:
    task.add(list(map(_copy, saved.channels)))
    task.timing = replace(saved.timing)
    task.attributes = deepcopy(saved.attributes)


def _save_channel(system: System, call: Call) -> None:
    channel = system.task(call.request.task.name).channel(call.request.channel_name)
    _keep(system, "channel", call.request.save_as or channel.name, _copy(channel), call.request)


def _add_channels(system: System, call: Call) -> None:
    task = system.task(call.request.task.name)
    for name in filter(None, expand(call.request.channel_names)):
        saved = system.kept("channel", name).what
        assert isinstance(saved, Channel)
        copied = _copy(saved)
        copied.name = name
        task.add([copied])


def _save_scale(system: System, call: Call) -> None:
    scale = system.scales.get(call.request.scale_name)
    if scale is None:
        raise DaqFault(DAQmxErrors.CUSTOM_SCALE_DOES_NOT_EXIST, f"Custom Scale: {call.request.scale_name}")
    name = call.request.save_as or scale.name
    _keep(system, "scale", name, scale, call.request)
    system.scales[name] = replace(scale, name=name)


def _delete(kind: str, field: str) -> Handler:
    def delete(system: System, call: Call) -> None:
        name = getattr(call.request, field)
        system.kept(kind, name)
        del system.saved[kind][name]

    return delete


HANDLERS: dict[str, Handler] = {
    "SaveTask": _save_task,
    "LoadTask": _load_task,
    "DeleteSavedTask": _delete("task", "task_name"),
    "SaveGlobalChan": _save_channel,
    "AddGlobalChansToTask": _add_channels,
    "DeleteSavedGlobalChan": _delete("channel", "channel_name"),
    "SaveScale": _save_scale,
    "DeleteSavedScale": _delete("scale", "scale_name"),
}
