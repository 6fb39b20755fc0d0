"""Tests of the window: without a screen, and every window closed at the end of its test."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before Qt is imported

from PyQt6.QtCore import QEvent
from PyQt6.QtWidgets import QApplication, QWidget

from gui.presenters.background import Inline
from gui.presenters.context import Context

OF_QT = {"QTipLabel", "QComboBoxPrivateContainer"}
"""Windows that Qt makes and keeps."""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """What pages share, with folders of the test's own; `Inline.run` does what waits."""
    return Context(Inline(), person="Ada", folder=tmp_path / "runs", state_folder=tmp_path / "state")


def windows() -> set[QWidget]:
    """Windows that are there and not about to go."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        return set()
    app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    return {one for one in app.topLevelWidgets() if one.metaObject().className() not in OF_QT}  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def no_window_survives(request: pytest.FixtureRequest) -> Iterator[None]:
    """A window that a test leaves behind would be drawn, and heard, in every later one."""
    if "qtbot" not in request.fixturenames:
        yield
        return
    before = windows()
    yield
    if left := windows() - before:
        gc.collect()
        left = windows() - before
    assert not left, f"left behind: {', '.join(type(one).__name__ for one in left)}"
