"""Every text of the theme is legible on what lies under it, and curves can be told apart."""

from __future__ import annotations

from typing import Any

import pytest
from PyQt6.QtGui import QColor, QFont, QTextLayout
from PyQt6.QtWidgets import QApplication, QLabel, QLineEdit, QStackedWidget

from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.theme.sheet import style_sheet
from gui.theme.tokens import DENSITIES, SCHEMES, Scheme, SchemeName, contrast
from gui.views.parts import Page

TEXT = 4.5
"""WCAG 2.2 AA for text of this size; 3 for lines."""

LINE = 3.0


@pytest.fixture(params=list(SCHEMES))
def scheme(request: pytest.FixtureRequest) -> Scheme:
    return SCHEMES[request.param]


def test_the_contrast_of_black_on_white_is_21_and_of_a_colour_on_itself_1() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.01)  # the grey that is known to just pass
    assert contrast("#0072B2", "#0072B2") == 1.0


def test_text_is_legible_on_every_background(scheme: Scheme) -> None:
    for under in (scheme.window, scheme.panel, scheme.sunken, scheme.striped):
        for text in (scheme.text, scheme.muted):
            assert contrast(text, under) >= TEXT, (text, under)
    for fill in (scheme.header, scheme.accent, scheme.stop):
        assert contrast(fill.text, fill.under) >= TEXT, fill
    assert contrast(scheme.header_muted, scheme.header.under) >= TEXT


def test_what_scrolls_can_be_seen(scheme: Scheme) -> None:
    for under in (scheme.window, scheme.panel, scheme.sunken):
        assert contrast(scheme.handle, under) >= LINE, under


def test_every_tone_is_legible_on_its_fill(scheme: Scheme) -> None:
    for tone in Tone:
        fill = scheme.tone(tone)
        for under in (scheme.sunken, scheme.panel) if fill.under == "transparent" else (fill.under,):
            assert contrast(fill.text, under) >= TEXT, (tone, under)


def test_curves_stand_out_from_the_plot_and_no_two_are_drawn_alike(scheme: Scheme) -> None:
    pens = [*scheme.curves, scheme.schedule, scheme.limit]
    assert all(contrast(pen.colour, scheme.sunken) >= LINE for pen in pens)
    assert len(set(scheme.curves)) == len(scheme.curves) == 9


def test_what_needs_notice_has_a_fill_and_what_does_not_has_none(scheme: Scheme) -> None:
    assert {tone for tone in Tone if scheme.tone(tone).under != "transparent"} == {Tone.BUSY, Tone.WARN, Tone.FAIL}


@pytest.mark.parametrize("density", list(DENSITIES))
def test_the_style_sheet_is_whole(scheme: Scheme, density: str) -> None:
    sheet = style_sheet(scheme, DENSITIES[density])
    assert sheet.count("{") == sheet.count("}")
    assert DENSITIES["touch"].control >= 44  # fingers in gloves


def test_a_part_that_nobody_sees_takes_the_new_look_when_it_is_shown(qtbot: Any) -> None:
    look().apply("light", "desk")
    stack, pages = QStackedWidget(), [QLabel("one"), QLabel("two")]
    qtbot.addWidget(stack)
    for page in pages:
        stack.addWidget(page)
        look().keep(page)
    stack.show()
    look().apply("dark", "desk")
    dark = style_sheet(SCHEMES["dark"], DENSITIES["desk"])
    assert [page.styleSheet() == dark for page in pages] == [True, False]
    stack.setCurrentIndex(1)
    assert pages[1].styleSheet() == dark
    assert dark not in QApplication.instance().styleSheet()  # type: ignore[union-attr]  # there is one


class TwoPart(Page):
    """A page of a part that takes a new look by itself; around it the ground is seen."""

    def __init__(self) -> None:
        super().__init__("Two")
        self.part = QLabel("one", self)

    @property
    def parts(self) -> tuple[QLabel]:
        return (self.part,)


def test_the_ground_between_the_parts_of_a_page_has_the_look_of_now(qtbot: Any) -> None:
    look().apply("light", "desk")
    page = TwoPart()
    qtbot.addWidget(page)
    page.resize(300, 200)
    look().keep(page.part)
    page.show()
    schemes: tuple[SchemeName, ...] = ("dark", "light")
    for name in schemes:
        look().apply(name, "desk")
        seen = page.grab().toImage().pixelColor(290, 190)
        assert seen == QColor(SCHEMES[name].window)


def glyphs(text: str, font: QFont) -> list[int]:
    """Numbers of the shapes that a text is drawn with."""
    layout = QTextLayout(text, font)
    layout.beginLayout()
    layout.createLine()
    layout.endLayout()
    return [glyph for run in layout.glyphRuns() for glyph in run.glyphIndexes()]


@pytest.mark.parametrize("kind", [QLabel, QLineEdit])
def test_a_serial_number_is_shown_with_the_letters_that_it_has(qtbot, kind) -> None:
    part = kind("6x3")
    qtbot.addWidget(part)
    look().keep(part)
    part.show()
    assert part.font().family() == "Inter"
    assert glyphs("6x3", part.font()) == [glyph for letter in "6x3" for glyph in glyphs(letter, part.font())]
