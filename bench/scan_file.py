"""The station file that a scan writes: what answered, ready, and what only a person knows, as comments to fill in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date

from pydantic import ValidationError

from bench.scan import NiDevice
from data.quantities import same_dimension
from data.samples import Channel
from instruments.clock import VirtualClock
from instruments.instrument import Connection, Instrument, load_driver
from instruments.recognition import Found, Recognition
from protocols.procedure import Controls, Measures, load_procedure, procedure_names

Named = dict[str, Found]


def named(found: Sequence[Found]) -> Named:
    """What was recognised, by the names that a station would give it."""
    names: Named = {}
    for each in found:
        if each.recognised is None:
            continue
        recognition = getattr(load_driver(each.driver), "recognition", None)
        usual = recognition.name if isinstance(recognition, Recognition) else "instrument"
        name, count = usual, 2
        while name in names:
            name, count = f"{usual}_{count}", count + 1
        names[name] = each
    return names


def station_text(
    name: str, found: Sequence[Found], devices: Sequence[NiDevice] = (), *, visa: str, daq: str, today: date
) -> str:
    """A station file of what was found.

    Parameters
    ----------
    name : of the station.
    visa, daq : library and target by which it was found.
    """
    instruments = named(found)
    channels = {key: _channels(key, each) for key, each in instruments.items()}
    lines = [
        f"# What answered on {today}, written by pumpbench stations scan.  Fill in what is commented out and only you",
        "# know, then check it: pumpbench stations FILE.  Every key: docs/reference/station-files.md.",
        f"name = {json.dumps(name)}",
        'title = ""',
        f"visa = {json.dumps(visa)}",
        f"daq = {json.dumps(daq)}",
        "",
    ]
    for key, each in instruments.items():
        lines += [*_instrument(key, each, channels[key]), ""]
    for each in found:
        if each.recognised is None:
            lines.append(f"# {each.resource}: {each.why}")
    lines += ["", *_devices(devices)] if devices else [""]
    lines += ["[roles]", *_roles(instruments, channels), ""]
    lines += [
        "# How it goes safe: limits that act by themselves, and the order of the safe state.",
        "# [interlocks.NAME]",
        '# channel = "instrument.channel"',
        "# [[safe_state]]",
        "",
    ]
    return "\n".join(lines)


def _instrument(name: str, found: Found, channels: Sequence[Channel]) -> Iterator[str]:
    """Its table, with the keys that the driver must have and nobody told."""
    assert found.recognised is not None
    identity, kind = found.recognised.identity, load_driver(found.driver)
    who = " ".join(part for part in (identity.maker, identity.model, identity.firmware) if part)
    yield f"[instruments.{name}]"
    yield f"# {who}"
    yield f"driver = {json.dumps(found.driver)}"
    yield f"resource = {json.dumps(found.resource)}"
    if identity.serial and _takes_serial(found):
        yield f"serial = {json.dumps(identity.serial)}"
    given = set(found.recognised.settings)
    for key, value in found.recognised.settings.items():
        yield f"{key} = {json.dumps(value)}"
    usual = getattr(kind, "line", None)
    if found.line is not None and usual is not None:
        if found.line.baud != usual.baud:
            yield f"baud = {found.line.baud}"
        for key in ("data_bits", "parity"):
            value, field = getattr(found.line, key), kind.settings_type.model_fields.get(key)
            if field is not None and field.default != value:
                yield f"{key} = {json.dumps(value)}"
    for key, field in kind.settings_type.model_fields.items():
        alias = field.alias or key
        if field.is_required() and alias not in given and alias != "resource":
            yield f"# {alias} =      # {field.description or 'required'}"
    for channel in channels:
        if channel.unit == "1":
            continue
        yield ""
        yield f"# [instruments.{name}.calibration.{channel.name}]"
        yield '# certificate = ""'
        yield "# due =          # a date, such as 2027-06-30"
        yield f"# u = 0.0        # standard uncertainty, {channel.unit}"


def _takes_serial(found: Found) -> bool:
    """Whether the driver compares a serial number: some instruments tell none."""
    assert found.recognised is not None
    return _settings_error(found, serial=found.recognised.identity.serial) is None


def _settings_error(found: Found, **more: str) -> str | None:
    """What is wrong with the settings that are known, apart from those that are missing."""
    assert found.recognised is not None
    table = {"resource": found.resource, **found.recognised.settings, **more}
    try:
        load_driver(found.driver).settings_type.model_validate(table)
    except ValidationError as error:
        wrong = [each["msg"] for each in error.errors() if each["type"] != "missing"]
        return wrong[0] if wrong else None
    return None


def _channels(name: str, found: Found) -> Sequence[Channel]:
    """Channels of an instrument, as far as they are known before its table is complete; nothing is sent."""
    assert found.recognised is not None
    kind = load_driver(found.driver)
    table = {"resource": found.resource, **found.recognised.settings}
    try:
        settings = kind.settings_type.model_validate(table)
    except ValidationError:
        return kind.channels
    made: Instrument = kind(name, settings, VirtualClock(), Connection())
    return made.channels


def _devices(devices: Sequence[NiDevice]) -> Iterator[str]:
    """NI devices with their terminals, and the beginning of a table."""
    yield "# NI devices:"
    for device in devices:
        terminals = [each[0] if len(each) == 1 else f"{each[0]} to {each[-1].rpartition('/')[2]}"
                     for each in (device.inputs, device.lines) if each]  # fmt: skip
        says = f": {', '.join(terminals)}" if terminals else ""
        yield f"# {device.name}, {device.product}, serial number {device.serial}{says}"
    yield ""
    yield "# [instruments.daq]"
    yield '# driver = "ni-daqmx"'
    yield "#"
    yield "# [[instruments.daq.channels]]"
    yield '# name = "outlet_pressure"'
    yield '# kind = "voltage"'
    first = next((each.inputs[0] for each in devices if each.inputs), "cDAQ1Mod1/ai0")
    yield f"# physical = {json.dumps(first)}"
    yield '# points = [["0 V", "0 kPa"], ["5 V", "100 kPa"]]'
    yield '# reference = "gauge"'
    yield ""


def _roles(instruments: Named, channels: dict[str, Sequence[Channel]]) -> Iterator[str]:
    """Roles of the protocols that something could play, each with what could play it."""
    yield "# What the protocols may use: take the sign away where it fits, and write the one that is meant."
    roles = {role.role: role for name in procedure_names() for role in load_procedure(name).roles}
    for name, role in sorted(roles.items()):
        able = list(_able(role, instruments, channels))
        if able:
            others = f"      # or {', '.join(able[1:])}" if len(able) > 1 else ""
            yield f"# {name} = {json.dumps(able[0])}{others}"


def _able(role: Measures | Controls, instruments: Named, channels: dict[str, Sequence[Channel]]) -> Iterator[str]:
    """Channels or instruments that could play a role, one of its own name first."""
    for name, found in sorted(instruments.items(), key=lambda item: item[0] != role.role):
        if isinstance(role, Controls):
            kind = load_driver(found.driver)
            orders = [each for each, it in vars(role.capability).items() if each[0] != "_" and callable(it)]
            if orders and all(hasattr(kind, each) for each in orders):
                yield name
            continue
        for channel in channels[name]:
            if "1" not in (channel.unit, role.unit) and same_dimension(channel.unit, role.unit):
                yield f"{name}.{channel.name}"
