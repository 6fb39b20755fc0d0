"""The station files that are at hand: those of the lab, and those that are shipped as examples."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bench.station import SHIPPED
from gui.presenters.near_files import near_files

FOLDER = "stations"
"""Where a copy that a person may change is put, in the folder of the runs."""

_SIGN = re.compile(r"^\s*\[instruments\.", re.MULTILINE)
_NAME = re.compile(r'^(?P<before>\s*name\s*=\s*)"(?P<name>[^"\n]*)"', re.MULTILINE)
_GOOD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class StationFile:
    """A station file.

    Attributes
    ----------
    name : as a request names it: of a shipped one, or the path.
    """

    name: str
    path: Path
    is_shipped: bool

    @property
    def shown(self) -> str:
        """What stands in a list."""
        return f"{self.path.stem} (shipped)" if self.is_shipped else self.path.stem


def own_files(folder: Path) -> list[Path]:
    """Station files in the working folder and in that of the runs, and in their folders ``stations``."""
    return near_files(folder, FOLDER, _SIGN)


def shipped_files() -> list[Path]:
    """The stations that come with the bench."""
    return sorted(SHIPPED.glob("*.toml"))


def station_files(folder: Path) -> list[StationFile]:
    """All that are at hand, one's own first."""
    own = [StationFile(str(path), path, False) for path in own_files(folder)]
    return own + [StationFile(path.stem, path, True) for path in shipped_files()]


def name_in(text: str) -> str:
    """What a station file calls its station; empty where it does not."""
    found = _NAME.search(text.partition("\n[")[0])
    return found["name"] if found else ""


def copy_of(text: str, name: str) -> str:
    """The text of a station file for a station of another name: two of one name would share queue and latches."""
    head, bracket, rest = text.partition("\n[")
    renamed, count = _NAME.subn(rf'\g<before>"{name}"', head, count=1)
    return (renamed if count else f'name = "{name}"\n{head}') + bracket + rest


def free_name(stem: str, taken: Collection[str]) -> str:
    """A name of a stem that is not taken yet."""
    number = 1
    while (name := f"{stem}-{number}") in taken:
        number += 1
    return name


def wrong_name(name: str, taken: Collection[str]) -> str:
    """Why a new file cannot be called so; empty when it can."""
    if not _GOOD_NAME.fullmatch(name):
        return f'"{name}" cannot be the name of a station: write letters, digits, - and _, at most 40 of them'
    if name in taken:
        return f'there is a station "{name}" already; choose another name'
    return ""


def text_in(path: Path) -> str | None:
    """What stands in a file; None where it cannot be read."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be written into a station file.

    Attributes
    ----------
    saved : what was in the file when it was last read.
    is_new : whether the file is only begun.
    """

    path: Path
    text: str
    saved: str
    is_new: bool


def why_not_written(draft: Draft) -> str:
    """Why a draft must not be written over what is on the disk; empty when it may."""
    there = text_in(draft.path)
    if there is None or (there == draft.saved and not draft.is_new):
        return ""
    if draft.is_new:
        return f"Not saved, since {draft.path} was written by somebody else meanwhile; copy your text"
    return "Not saved, since the file on the disk was changed meanwhile; copy your text, then revert"


def written(draft: Draft) -> str:
    """Write a draft, and keep the old beside it; returns why it is not written, empty when it is."""
    if why := why_not_written(draft):
        return why
    try:
        if draft.is_new:
            draft.path.parent.mkdir(parents=True, exist_ok=True)
        else:
            write_whole(draft.path.with_name(f"{draft.path.name}.bak"), draft.saved)
        write_whole(draft.path, draft.text)
    except OSError as error:
        return f"{draft.path} was not saved ({error.strerror}); nothing was changed"
    return ""


def copied(folder: Path, name: str, text: str) -> str:
    """Write a copy of a station file under another name; returns why it is not written, empty when it is."""
    path = folder / FOLDER / f"{name}.toml"
    try:
        if why := wrong_name(name, {item.path.stem for item in station_files(folder)}):
            return why
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, copy_of(text, name))
    except OSError as error:
        return f"{path} cannot be written ({error.strerror}); choose another folder with --folder"
    return ""


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all; raises OSError."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
