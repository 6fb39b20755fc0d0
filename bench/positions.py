"""One bench file for several pumps: what stands at each position, and that no position takes another one's wire.

A file with ``[positions.NAME]`` describes as many stations.  Each is the rest of the file with that table merged over
it, and with "{position}" replaced by the position's name in every text and key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.tomlfile import FileError, Key

POSITIONS = "positions"

PLACE = "{position}"
"""Stands for the name of the position, in texts and in keys."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,20}")
_TERMINAL = re.compile(r"/?(?P<device>[A-Za-z0-9_-]+)/(?P<terminal>ai|ao|ci|co|ctr|port|PFI|_)[\w/:,-]*", re.IGNORECASE)
_LINES = re.compile(r"(?P<port>.*/line)(?P<first>\d+):(?:line)?(?P<last>\d+)")


def parted(name: str) -> tuple[str, str]:
    """File, or name of a shipped one, and position of "bench.toml#3"; the position is "" where none is named."""
    if name.endswith(".toml") or "#" not in name:
        return name, ""
    file, _, position = name.rpartition("#")
    return file, position


def joined(file: str | Path, position: str) -> str:
    """How a run names a position of a file; the file itself without one."""
    return f"{file}#{position}" if position else str(file)


def positions_of(path: Path, table: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the positions of a bench file, in their order; none for a file of one station.

    Raises
    ------
    FileError
        ``positions`` is no table of tables, or a name is none.
    """
    stated = table.get(POSITIONS)
    if stated is None:
        return ()
    if not isinstance(stated, Mapping) or not stated or not all(isinstance(own, Mapping) for own in stated.values()):
        raise FileError(
            f'{path}: key "{POSITIONS}" is made of tables; write [{POSITIONS}.1], [{POSITIONS}.2] and so on'
        )
    for name, own in stated.items():
        if not _NAME.fullmatch(name):
            raise FileError(
                f'{path}: key "{POSITIONS}.{name}": a position is named by letters, digits, - and _, at most 20 of them'
            )
        if "name" in own or POSITIONS in own:
            raise FileError(
                f'{path}: key "{POSITIONS}.{name}": a position has neither a "name" nor positions of its own; '
                "its station is called by the file's name and its own"
            )
    return tuple(stated)


def at_position(path: Path, table: Mapping[str, Any], position: str) -> dict[str, Any]:
    """The table of the station at a position; the file's own table where it has no positions and none is named.

    Raises
    ------
    FileError
        The position is not there, or none was named and there are several.
    """
    there = positions_of(path, table)
    if not there:
        if position:
            raise FileError(
                f'{path}: has no [{POSITIONS}], so there is no position "{position}"; leave out #{position}'
            )
        return dict(table)
    if position not in there:
        what = f'there is no position "{position}"' if position else "it describes several positions"
        raise FileError(f"{path}: {what}; name one after the file, such as #{there[0]}; there are {', '.join(there)}")
    rest = {key: value for key, value in table.items() if key != POSITIONS}
    merged: dict[str, Any] = _placed(_merged(rest, table[POSITIONS][position]), position)
    if isinstance(merged.get("name"), str):
        merged["name"] += f"-{position}"
    title = str(rest.get("title", ""))
    if title and PLACE not in title and "title" not in table[POSITIONS][position]:
        merged["title"] = f"{title}, position {position}"
    return merged | {POSITIONS: position}


def key_in_file(table: Mapping[str, Any], position: str, key: Key) -> Key:
    """Where the file states what a merged table has at a key: in the position's own table, or in the rest."""
    own = table.get(POSITIONS, {}).get(position, {})
    if not position or _depth(own, key, position) < max(1, _depth(table, key, position)):
        return key
    return (POSITIONS, position, *key)


def insist_apart(path: Path, table: Mapping[str, Any]) -> None:
    """Refuse a bench file by which two positions, each a process of its own, would take the same wire.

    Notes
    -----
    A serial port belongs to one process, whatever addresses share its bus.  The analog inputs of an NI module are
    timed by one task; a digital line belongs to one task (both from memory of the NI-DAQmx help, not verified against
    real modules).

    Raises
    ------
    FileError
        Names the wire and the two positions.
    """
    taken: dict[str, tuple[str, str, str]] = {}
    for position in positions_of(path, table):
        instruments = at_position(path, table, position).get("instruments", {})
        for name, instrument in instruments.items() if isinstance(instruments, Mapping) else ():
            for wire, said in _wires(instrument):
                other, whose, _ = taken.setdefault(wire, (position, str(name), said))
                if other != position:
                    raise FileError(
                        f'{path}: positions {other} and {position} both use "{said}" (instruments "{whose}" and '
                        f'"{name}"); each position is a process of its own, so give each its own port, line or module, '
                        f'as by "{PLACE}" in the text'
                    )


# -- small parts


def _wires(instrument: object) -> Iterator[tuple[str, str]]:
    """What an instrument takes for its process alone, in a form that can be compared, and as it stands in the file."""
    if not isinstance(instrument, Mapping):
        return
    resource = instrument.get("resource")
    if isinstance(resource, str):
        yield resource.casefold(), resource
    for key, value in instrument.items():
        if key not in ("resource", "calibration", "uncertainty"):
            for text in _texts(value):
                yield from ((wire, text) for wire in _terminals(text))


def _terminals(text: str) -> Iterator[str]:
    """The modules and lines of a physical channel such as "cDAQ1Mod1/ai0:3" or "cDAQ1Mod6/port0/line0:2"."""
    for part in text.split(","):
        found = _TERMINAL.fullmatch(part.strip())
        if found is None:
            continue
        part = part.strip().lstrip("/").casefold()
        lines = _LINES.fullmatch(part)
        if found["terminal"].casefold() == "ai":
            yield f"{found['device'].casefold()}/ai"
        elif lines:
            for line in range(int(lines["first"]), int(lines["last"]) + 1):
                yield f"{lines['port']}{line}"
        else:
            yield part


def _texts(value: object) -> Iterator[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _merged(rest: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged however deep; any other value of the position, a list too, takes the place of the other."""
    merged = dict(rest)
    for key, value in own.items():
        there = merged.get(key)
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            merged[key] = _merged(there, value)
        else:
            merged[key] = value
    return merged


def _placed(value: Any, position: str) -> Any:
    if isinstance(value, str):
        return value.replace(PLACE, position)
    if isinstance(value, Mapping):
        return {str(key).replace(PLACE, position): _placed(each, position) for key, each in value.items()}
    if isinstance(value, list):
        return [_placed(each, position) for each in value]
    return value


def _depth(table: object, key: Sequence[str | int], position: str) -> int:
    """How many parts of a key a table has."""
    depth = 0
    for part in key:
        if isinstance(table, Mapping):
            placed = {str(name).replace(PLACE, position): value for name, value in table.items()}
            if part not in placed:
                break
            table = placed[str(part)]
        elif isinstance(table, list) and isinstance(part, int) and part < len(table):
            table = table[part]
        else:
            break
        depth += 1
    return depth
