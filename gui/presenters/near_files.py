"""TOML files that are near at hand, told apart by what stands in them."""

from __future__ import annotations

import re
from pathlib import Path


def near_files(folder: Path, what: str, sign: re.Pattern[str]) -> list[Path]:
    """Files in the working folder and in that of the runs, and in their folders of a name, that hold a sign."""
    places = {near.absolute() for base in (Path.cwd(), folder) for near in (base, base / what)}
    return sorted({path for place in places for path in place.glob("*.toml") if sign.search(text_of(path))})


def text_of(path: Path) -> str:
    """What stands in a file; empty where it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
