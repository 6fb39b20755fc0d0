"""Everything in the window can be reached without a mouse: letters lead to one thing each, inputs have names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)

from gui.app import build
from gui.views.window import Window

PAGES = ("bench", "run", "review", "station", "qualify")
INPUTS = (QLineEdit, QPlainTextEdit, QComboBox, QAbstractButton, QAbstractItemView)


@pytest.fixture
def window(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    window, _ = build(tmp_path / "runs")
    qtbot.addWidget(window)
    window.show()
    qtbot.waitExposed(window)
    yield window
    window.close()


def letters(page: QWidget) -> Iterator[str]:
    """The letters that a person may press with Alt on a page."""
    for widget in page.findChildren(QWidget):
        texts: list[str] = []
        if isinstance(widget, QTabBar):
            texts = [widget.tabText(number) for number in range(widget.count())]
        elif isinstance(widget, QAbstractButton) or (isinstance(widget, QLabel) and widget.buddy() is not None):
            texts = [widget.text()]
        if widget.isVisible():
            for text in texts:
                yield from (found.lower() for found in re.findall(r"(?<!&)&([^&\s])", text))


def inputs(page: QWidget) -> list[QWidget]:
    """What can have the focus on a page."""
    return [
        one
        for one in page.findChildren(QWidget)
        if isinstance(one, INPUTS)
        and one.isVisible()
        and one.focusPolicy() != Qt.FocusPolicy.NoFocus
        and not isinstance(one.parent(), QTabBar)
    ]


def named(widget: QWidget) -> bool:
    inner = widget.parent()
    return bool(widget.accessibleName()) or (isinstance(inner, QComboBox) and bool(inner.accessibleName()))


def test_a_letter_leads_to_one_thing_and_what_can_be_used_has_a_name_for_those_who_hear_the_screen(
    window: Window,
) -> None:
    for page in PAGES:
        window.go(page)
        shown = window.stack.currentWidget()
        assert shown is not None
        twice = [letter for letter, count in Counter(letters(shown)).items() if count > 1]
        assert (page, twice) == (page, [])
        nameless = [f"{type(one).__name__} {one.objectName()}" for one in inputs(shown) if not named(one)]
        assert (page, nameless) == (page, [])


def test_a_page_that_comes_to_the_front_has_the_keys(window: Window, qtbot: Any) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    for page in ("run", "review", "station", "qualify"):
        window.go(page)
        shown = window.stack.currentWidget()
        assert shown is not None
        qtbot.waitUntil(lambda on=shown: on.isAncestorOf(QApplication.focusWidget()))


def test_pages_come_by_key_and_the_tab_key_comes_round_without_pressing_stop(window: Window, qtbot: Any) -> None:
    for number, page in enumerate(PAGES, 1):
        QTest.keyClick(window, Qt.Key(Qt.Key.Key_0 + number), Qt.KeyboardModifier.ControlModifier)
        assert window.stack.currentIndex() == number - 1, page
    seen = set()
    for _ in range(60):
        QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Tab)
        seen.add(QApplication.focusWidget())
    assert len(seen) > 8
    assert window.header.stop_says.text() == ""
