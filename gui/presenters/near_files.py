"""TOML files that are near at hand, told apart by what stands in them."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatch
from pathlib import Path


def near_files(folder: Path, what: str, sign: re.Pattern[str]) -> list[Path]:
    """Files in the working folder and in that of the runs, and in their folders of a name, that hold a sign.

    Raises OSError where a folder is there and cannot be read: nobody knows what is in it.
    """
    places = {near.absolute() for base in (Path.cwd(), folder) for near in (base, base / what)}
    return sorted({path for place in places for path in _toml_files(place) if sign.search(text_of(path))})


def _toml_files(place: Path) -> list[Path]:
    """Not by `Path.glob`, which takes a folder that cannot be read for an empty one, in some versions of Python."""
    try:
        with os.scandir(place) as there:
            return [place / one.name for one in there if fnmatch(one.name, "*.toml")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def text_of(path: Path) -> str:
    """What stands in a file; empty where it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
