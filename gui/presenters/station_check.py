"""Whether the text of a station file is right, and what the station is made of; for a process of its own.

Every driver checks its settings as it is made, so the instruments are made here; nothing is sent on a wire.
"""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from bench.station import OpenStation, Station, load_station, open_station, stations_in
from bench.station_tables import Calibration
from data.tomlfile import FileError
from gui.presenters.numbers import unit_text
from gui.presenters.toml_lines import Key, keys, line_of, parts
from instruments.clock import VirtualClock, WallClock
from protocols.procedure import load_procedure

CHECKS = {
    "read-out": "&Read out",
    "calibration": "&Zero or calibrate",
    "valve-test": "&Valve test",
    "rig-check": "Rig c&heck",
}
"""Protocols on the bench itself, and what a person calls them."""

TABLES = {
    "Protection": "protection",
    "Rig check": "rig_check",
    "Collection": "collection",
    "Closed line": "closed_line",
}
"""Tables that are shown as they are stated."""

_LINE = re.compile(r":(?P<line>\d+): (?P<what>.*)", re.DOTALL)
_KEY = re.compile(r'key "(?P<key>[^"]+)"')
_CHANNEL = re.compile(r'instrument "(?P<instrument>[^"]+)" has no channel "(?P<channel>[^"]+)"')


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where; without a line where it concerns the whole file."""

    line: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the station in the tree of its contents; ``key`` is where the file says it."""

    name: str
    says: str
    key: Key
    children: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Certificate:
    """The calibration of a channel; ``calibration`` is None where the file gives none."""

    channel: str
    unit: str
    calibration: Calibration | None

    @property
    def due(self) -> date | None:
        """When it has to be renewed."""
        return None if self.calibration is None else self.calibration.due


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found.

    Attributes
    ----------
    problems : empty for a file that is right.
    remarks : what may be right elsewhere but not on this computer.
    why_not : of each of `CHECKS`, why it cannot be run on the station; without an entry it can.
    """

    problems: tuple[Problem, ...]
    remarks: tuple[str, ...] = ()
    station: Station | None = None
    tree: tuple[Node, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    why_not: tuple[tuple[str, str], ...] = ()


def check_station(text: str, name: str) -> Checked:
    """Check the text of a station file that is called so; it need not be saved."""
    with tempfile.TemporaryDirectory(prefix="pumpbench-") as folder:
        path = Path(folder) / name
        path.write_text(text, "utf-8", newline="")
        try:
            station, *_ = [load_station(each) for each in stations_in(str(path))]  # each position must be good
        except FileError as error:
            return Checked(_problems(str(error), path, text), tree=outline(text))
        raw = tomllib.loads(text)
        clock = VirtualClock() if station.simulated else WallClock()
        try:
            with open_station(station, path, clock) as opened:
                return Checked((), (), station, _tree(opened, raw), _certificates(opened), _why_not(station))
        except FileError as error:
            return Checked(_problems(str(error), path, text), tree=outline(text))
        except (ValueError, OSError, ImportError) as error:  # the vendor's library may be on another computer
            remark = f"the instruments could not be made on this computer ({error}); their settings are not checked"
            return Checked((), (remark,), station, _without_instruments(station, raw), (), _why_not(station))


def _problems(message: str, path: Path, text: str) -> tuple[Problem, ...]:
    return tuple(_problem(line, path, text) for line in message.splitlines() if line.strip())


def _problem(message: str, path: Path, text: str) -> Problem:
    """A sentence about the file as one about a line."""
    said = message.removeprefix(str(path))
    numbered = _LINE.match(said)
    if numbered is not None:
        return Problem(int(numbered["line"]), numbered["what"])
    said = said.removeprefix(": ").replace(str(path), path.name)
    key, channel = _KEY.search(said), _CHANNEL.search(said)
    if key is not None:
        return Problem(line_of(text, parts(key["key"])), said)
    if channel is not None:
        wanted = f'"{channel["instrument"]}.{channel["channel"]}"'
        lines = (number for number, line in enumerate(text.splitlines(), 1) if wanted in line)
        return Problem(next(lines, None), said)
    named = re.search(r'"([a-z_]+)"', said)
    return Problem(line_of(text, (named[1],)) if named is not None else None, said)


# ----------------------------------------------------------------------------------------------------- the contents


def outline(text: str) -> tuple[Node, ...]:
    """The tables of a text that is not right yet."""
    found: dict[str | int, list[Node]] = {}
    for _, key in keys(text):
        below = found.setdefault(key[0], [])
        if len(key) > 1:
            name, whole = f"{key[1]}", key[:2]
            if all(node.key != whole for node in below):
                below.append(Node(name, "", whole))
    titles = {name: f"{name}".replace("_", " ").capitalize() for name in found}
    return tuple(Node(titles[name], "", (name,), tuple(nodes)) for name, nodes in found.items() if nodes)


def _tree(opened: OpenStation, raw: dict[str, Any]) -> tuple[Node, ...]:
    station = opened.station
    instruments = tuple(_instrument(opened, name) for name in station.instruments)
    return (
        Node("Instruments", str(len(instruments)), ("instruments",), instruments),
        *_plain_nodes(station, raw),
    )


def _without_instruments(station: Station, raw: dict[str, Any]) -> tuple[Node, ...]:
    made = tuple(Node(name, table.driver, ("instruments", name)) for name, table in station.instruments.items())
    return (Node("Instruments", str(len(made)), ("instruments",), made), *_plain_nodes(station, raw))


def _instrument(opened: OpenStation, name: str) -> Node:
    table, made = opened.station.instruments[name], opened.instruments[name]
    extra = table.model_extra or {}
    listed = extra.get("channels")
    named = [str(one.get("name")) for one in listed] if isinstance(listed, list) else []
    children = []
    for channel in made.channels:
        key: Key = ("instruments", name)
        if channel.name in named:
            key = (*key, "channels", named.index(channel.name))
        elif channel.name in (extra.get("inputs") or {}):
            key = (*key, "inputs", channel.name)
        says = " ".join(part for part in (unit_text(channel.unit), channel.reference or "") if part)
        roles = [role for role, target in opened.station.roles.items() if target == f"{name}.{channel.name}"]
        children.append(Node(channel.name, ", ".join((*([says] if says else []), *roles)), key))
    valves = extra.get("valves") or {}
    children += [Node(valve, "valve", ("instruments", name, "valves", valve)) for valve in valves]
    at = next((str(extra[key]) for key in ("resource", "device", "physical") if key in extra), "")
    return Node(name, " ".join(part for part in (table.driver, at) if part), ("instruments", name), tuple(children))


def _plain_nodes(station: Station, raw: dict[str, Any]) -> Iterator[Node]:
    roles = tuple(Node(role, target, ("roles", role)) for role, target in station.roles.items())
    yield Node("Roles", str(len(roles)), ("roles",), roles)
    locks = tuple(Node(name, _limit(station, name), ("interlocks", name)) for name in station.interlocks)
    yield Node("Interlocks", str(len(locks)), ("interlocks",), locks)
    for title, key, steps in (
        ("Made ready", "ready", station.ready),
        ("Safe state, in this order", "safe_state", station.safe_state),
        ("On hold", "hold", station.hold),
    ):
        if steps:
            said = tuple(Node(f"{at}. {step.said}", "", (key, at - 1)) for at, step in enumerate(steps, 1))
            yield Node(title, str(len(said)), (key,), said)
    for title, key in TABLES.items():
        stated = raw.get(key)
        if isinstance(stated, dict):
            yield Node(
                title, "", (key,), tuple(Node(name, _said(value), (key, name)) for name, value in stated.items())
            )


def _said(value: object) -> str:
    """A value as the file states it, with its unit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.replace("uL", "µL") if isinstance(value, str) else f"{value}"


def _limit(station: Station, name: str) -> str:
    table = station.interlocks[name]
    sides = [f"{word} {value}" for word, value in (("below", table.low), ("above", table.high)) if value]
    return f"{table.channel} {' or '.join(sides) or ', '.join(table.quality)}: {table.action}"


def _certificates(opened: OpenStation) -> tuple[Certificate, ...]:
    found, used = [], set(opened.station.roles.values())
    for name, made in opened.instruments.items():
        stated = opened.station.instruments[name].calibration
        found += [
            Certificate(f"{name}.{one.name}", one.unit, stated.get(one.name))
            for one in made.channels
            if one.name in stated or f"{name}.{one.name}" in used
        ]
    return tuple(sorted(found, key=lambda one: (one.due is None, one.due or date.max, one.channel)))


def _why_not(station: Station) -> tuple[tuple[str, str], ...]:
    """Why a protocol on the bench itself cannot be run, by its name."""
    reasons = []
    for name in CHECKS:
        roles = [role.role for role in load_procedure(name).roles if not role.optional]
        missing = [role for role in roles if role not in station.roles]
        if missing:
            said = ", ".join(missing)
            reasons.append((name, f"the table [roles] has no {said}, which {name} needs"))
        elif name == "rig-check" and station.rig_check is None:
            reasons.append((name, "the file has no table [rig_check], which says what to expect"))
    return tuple(reasons)
