"""The detection matrix tells at a look what is found, what is amiss, and what nobody can see."""

from __future__ import annotations

from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtTest import QTest

from gui.plots.matrix_picture import MatrixPicture, legible, mixed
from gui.presenters.context import Context
from gui.presenters.matrix_cells import MatrixTable, matrix_of
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.theme.tokens import SCHEMES, contrast


def row(protocol: str, fault: str, as_claimed: int, trials: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "protocol": protocol,
        "fault": fault,
        "owner": "dut" if fault else "",
        "severity": 0.5 if fault else None,
        "unit": "1",
        "expected": "found" if fault else "sound",
        "checks": ["flow"] if fault else [],
        "planned": 3,
        "trials": trials,
        "as_claimed": as_claimed,
        "proved_at_least": 0.37 if fault else None,
        "proved_at_most": None if fault else 0.63,
        **more,
    }


DOCUMENT = {
    "rows": [
        row("flow-accuracy", "leak", 3),
        row("flow-accuracy", "leak", 2, severity=0.1, unit="uL/h"),
        row("flow-accuracy", "", 3),
        row("occlusion", "stall", 1, 1),
        row("occlusion", "", 3),
        row("flow-accuracy", "stall", 3),
        row("pumps", "", 3, expected="right"),
    ],
    "unseen": [{"fault": "reboot", "why": "asked again"}],
}


@pytest.fixture
def table() -> MatrixTable:
    return matrix_of(DOCUMENT)


@pytest.fixture
def picture(qtbot: Any, table: MatrixTable) -> MatrixPicture:
    look().apply("light", "desk")
    made = MatrixPicture()
    qtbot.addWidget(made)
    made.show_table(table)
    made.resize(500, 300)
    with qtbot.waitExposed(made):
        made.show()
    return made


def test_faults_are_rows_protocols_columns_and_pumps_without_a_fault_come_first(table: MatrixTable) -> None:
    assert [one.label for one in table.rows] == ["no fault", "leak", "stall", "reboot"]
    assert table.columns == ("flow-accuracy", "occlusion")


def test_a_cell_adds_up_its_severities_and_tells_each(table: MatrixTable) -> None:
    cells = {(cell.row, cell.column): cell for cell in table.cells}
    leak = cells["leak", "flow-accuracy"]
    assert (leak.state, leak.text) == ("amiss", "✕ 5/6")
    assert leak.tip.splitlines()[1] == "leak 0.1 uL/h is to be found by flow: 2 of 3, which proves 37 %"
    assert cells["stall", "occlusion"].text == "… 1/3"
    assert cells["", "occlusion"].text == "3/3"
    assert cells["reboot", "occlusion"].state == "unseen"
    assert ("leak", "occlusion") not in cells


def test_arrow_keys_go_from_cell_to_cell_and_tell_where_they_are(picture: MatrixPicture, qtbot: Any) -> None:
    picture.choose("", "occlusion")
    with qtbot.waitSignal(picture.chosen) as heard:
        QTest.keyClick(picture, Qt.Key.Key_Down)  # past the empty cell of a leak, to what is nearest
    assert heard.args == ["leak", "flow-accuracy"]
    QTest.keyClick(picture, Qt.Key.Key_Down)
    QTest.keyClick(picture, Qt.Key.Key_Right)
    assert "stall, occlusion: … 1/3" in picture.accessibleDescription()
    QTest.keyClick(picture, Qt.Key.Key_Right)
    assert picture.current() is not None
    with qtbot.waitSignal(picture.opened) as opened:
        QTest.keyClick(picture, Qt.Key.Key_Return)
    assert opened.args == ["stall", "occlusion"]


def test_a_click_chooses_a_cell_and_an_empty_one_nothing(picture: MatrixPicture, qtbot: Any) -> None:
    viewport = picture.viewport()
    assert viewport is not None
    with qtbot.waitSignal(picture.chosen) as heard:
        QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=picture._place(2, 1).center())
    assert heard.args == ["stall", "occlusion"]
    with qtbot.assertNotEmitted(picture.chosen):
        QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=picture._place(1, 1).center())


def test_what_is_amiss_has_the_fill_of_a_failure_and_what_is_empty_none(picture: MatrixPicture) -> None:
    image = picture.grab().toImage()

    def ground(down: int, right: int) -> str:
        return image.pixelColor(picture._place(down, right).topLeft()).name()

    assert QColor(look().scheme.tone(Tone.FAIL).under).name() == ground(1, 0)
    assert QColor(look().scheme.sunken).name() == ground(1, 1)
    assert mixed(look().scheme.sunken, look().scheme.muted, 0.37) == ground(0, 1)


def test_what_is_chosen_stays_when_trials_are_added(picture: MatrixPicture) -> None:
    picture.choose("stall", "flow-accuracy")
    picture.show_table(matrix_of({"rows": [row("catheter", "kink", 3), *DOCUMENT["rows"]]}))
    found = picture.current()
    assert found is not None
    assert (found.row, found.column) == ("stall", "flow-accuracy")


def test_a_cell_out_of_sight_is_scrolled_to(picture: MatrixPicture) -> None:
    picture.resize(240, 110)
    picture.choose("reboot", "occlusion")
    viewport = picture.viewport()
    assert viewport is not None
    assert viewport.rect().contains(picture._place(3, 1).translated(-picture._scrolled()).center())


@pytest.mark.parametrize("name", list(SCHEMES))
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_text_is_legible_on_every_shade(name: str, share: float) -> None:
    scheme = {str(known): each for known, each in SCHEMES.items()}[name]
    ground = mixed(scheme.sunken, scheme.muted, share)
    assert contrast(legible(scheme, ground), ground) >= 4.5


def test_the_whole_matrix_is_saved_also_what_is_out_of_sight(picture: MatrixPicture, context: Context) -> None:
    picture.resize(120, 80)
    saved = picture.save(context)
    assert saved is not None
    assert saved.stat().st_size > 2000


def test_an_empty_matrix_is_shown_and_answers_keys(picture: MatrixPicture) -> None:
    picture.show_table(MatrixTable())
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_Return):
        QTest.keyClick(picture, key)
    assert picture.current() is None
