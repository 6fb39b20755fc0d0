"""Saves what a widget shows as a picture."""

from __future__ import annotations

import re
from pathlib import Path

from PyQt6.QtCore import QRect
from PyQt6.QtGui import QPixmap
from PyQt6.QtWidgets import QWidget

from gui.presenters.context import Context
from gui.presenters.tone import Tone


def free_path(folder: Path, title: str) -> Path:
    """A file name of a title that is not there yet: flow-rate_0001.png."""
    stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "picture"
    number = 1
    while (path := folder / f"{stem}_{number:04d}.png").exists():
        number += 1
    return path


def save_picture(widget: QWidget, path: Path, context: Context, part: QRect | None = None) -> Path | None:
    """Write a widget, or a part of it, as PNG, and say where it is; None where it cannot be written."""
    return written(widget.grab() if part is None else widget.grab(part), path, context)


def written(picture: QPixmap, path: Path, context: Context) -> Path | None:
    """Write a picture as PNG, and say where it is; None where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_written = picture.save(str(path), "PNG")
    except OSError:
        is_written = False
    if is_written:
        context.notify(f"The picture is in {path}", Tone.PLAIN)
        return path
    context.notify(f"The picture cannot be written to {path}; is the disk full, or the folder read-only?", Tone.FAIL)
    return None
