"""Applies the theme to the application, and tells widgets that draw themselves what it is."""

from __future__ import annotations

from weakref import WeakSet, ref

import qtawesome
from PyQt6.QtCore import QEvent, QObject, QSize, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QFontDatabase, QIcon, QPalette
from PyQt6.QtWidgets import QApplication, QStyleFactory, QToolTip, QWidget

from data.report import FONTS
from gui.presenters.tone import Tone
from gui.theme.sheet import style_sheet
from gui.theme.tokens import DENSITIES, DESK, LIGHT, SCHEMES, Density, DensityName, Scheme, SchemeName

ICONS = {
    "bench": "mdi6.view-dashboard-outline",
    "run": "mdi6.play-circle-outline",
    "review": "mdi6.file-search-outline",
    "station": "mdi6.tune-vertical",
    "qualify": "mdi6.grid",
    "campaigns": "mdi6.clipboard-list-outline",
    "register": "mdi6.book-open-variant",
    "play": "mdi6.play",
    "pause": "mdi6.pause",
    "stop": "mdi6.stop-circle",
    "note": "mdi6.pencil-outline",
    "info": "mdi6.information-outline",
    "question": "mdi6.help-circle-outline",
    "folder": "mdi6.folder-open-outline",
    "file": "mdi6.file-outline",
    "seal": "mdi6.seal",
    "again": "mdi6.refresh",
    "compare": "mdi6.compare-horizontal",
    "zoom-out": "mdi6.arrow-expand-horizontal",
    "zoom-y": "mdi6.arrow-expand-vertical",
    "smaller": "mdi6.magnify-minus-outline",
    "larger": "mdi6.magnify-plus-outline",
    "zoom-box": "mdi6.selection-drag",
    "picture": "mdi6.camera-outline",
    "hold": "mdi6.pause-box-outline",
    "cursor": "mdi6.crosshairs",
    "cut": "mdi6.content-cut",
    "add": "mdi6.plus",
    "remove": "mdi6.close",
    "up": "mdi6.chevron-up",
    "down": "mdi6.chevron-down",
    "right": "mdi6.chevron-right",
    "left": "mdi6.chevron-left",
    "light": "mdi6.white-balance-sunny",
    "dark": "mdi6.weather-night",
    "touch": "mdi6.gesture-tap",
    "person": "mdi6.account-outline",
    "clock": "mdi6.clock-outline",
    "save": "mdi6.content-save-outline",
    "lock": "mdi6.lock-outline",
    "wrench": "mdi6.wrench-outline",
    "link": "mdi6.link-variant",
    "no-link": "mdi6.link-variant-off",
}
TONE_ICONS = {
    Tone.PLAIN: "mdi6.circle-small",
    Tone.MUTED: "mdi6.dots-horizontal",
    Tone.GOOD: "mdi6.check",
    Tone.BUSY: "mdi6.progress-clock",
    Tone.WARN: "mdi6.alert",
    Tone.FAIL: "mdi6.close-thick",
}


LOOSE = "QToolTip { border: 1px solid palette(mid); padding: 4px; }"
"""What is of no part of a window; never changed, since that would be of every widget."""


class Look(QObject):
    """The scheme and the density that the window has now.

    Attributes
    ----------
    changed : signal; whoever draws itself draws anew.
    """

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.scheme: Scheme = LIGHT
        self.density: Density = DESK
        self._icons: dict[tuple[str, str], QIcon] = {}
        self._parts: WeakSet[QWidget] = WeakSet()  # a look outlives windows, and keeps none
        self._sheet = ""

    def apply(self, scheme: SchemeName, density: DensityName) -> None:
        """Give the whole application a look: at once what is seen, each part of a window that is not when it is."""
        self.scheme, self.density = SCHEMES[scheme], DENSITIES[density]
        app = _application()
        app.setPalette(_palette(self.scheme))
        QToolTip.setPalette(_palette(self.scheme))
        self._sheet = style_sheet(self.scheme, self.density)
        shared = LOOSE if self._parts else self._sheet
        if app.styleSheet() != shared:
            app.setStyleSheet(shared)
        for part in list(self._parts):
            if part.isVisible():
                self._dress(part)
        self.changed.emit()

    def keep(self, part: QWidget) -> None:
        """Dress a part of a window by itself from now on.

        Qt takes about a millisecond for each widget that has a new style sheet, seen or not: with one sheet for all
        pages the window stood still for a second, and for several while runs went on.
        """
        self._parts.add(part)
        part.installEventFilter(self)
        known = ref(part)
        part.destroyed.connect(lambda: self._forget(known))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802  # Qt's name
        """Dress a part when it comes into sight."""
        if event is not None and event.type() == QEvent.Type.Show and isinstance(watched, QWidget):
            self._dress(watched)
        return False

    def _forget(self, known: ref[QWidget]) -> None:
        if (part := known()) is not None:
            self._parts.discard(part)

    def _dress(self, part: QWidget) -> None:
        if part.styleSheet() != self._sheet:
            part.setStyleSheet(self._sheet)

    def icon(self, name: str, colour: str | None = None) -> QIcon:
        """An icon of `ICONS`, in the colour of text without another."""
        return self._drawn(ICONS[name], colour or self.scheme.text)

    def tone_icon(self, tone: Tone) -> QIcon:
        """The icon that goes with a tone's word."""
        muted = tone in (Tone.GOOD, Tone.MUTED, Tone.PLAIN)
        return self._drawn(TONE_ICONS[tone], self.scheme.muted if muted else self.scheme.tone(tone).text)

    @property
    def icon_size(self) -> QSize:
        """Of icons in rows and buttons."""
        return QSize(self.density.icon, self.density.icon)

    def _drawn(self, glyph: str, colour: str) -> QIcon:
        if (glyph, colour) not in self._icons:
            self._icons[glyph, colour] = qtawesome.icon(glyph, color=colour, color_disabled=self.scheme.muted)
        return self._icons[glyph, colour]


def look() -> Look:
    """The application's look, made with its font at the first call."""
    app = _application()
    found = app.property("pumpbench.look")
    if isinstance(found, Look):
        return found
    made = Look()
    made.setParent(app)
    app.setProperty("pumpbench.look", made)
    app.setStyle(QStyleFactory.create("Fusion"))
    for path in sorted(FONTS.glob("*.otf")):
        QFontDatabase.addApplicationFont(str(path))
    app.setFont(lettering(DESK.font))
    return made


def lettering(pixels: int, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The window's font, each letter as it was written: by itself Inter draws the x of "6x3" as a times sign."""
    font = QFont("Inter")
    font.setPixelSize(pixels)
    font.setWeight(weight)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    font.setFeature(QFont.Tag("calt"), 0)
    return font


def _application() -> QApplication:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    return app


def _palette(scheme: Scheme) -> QPalette:
    palette = QPalette()
    for role, colour in (
        (QPalette.ColorRole.Window, scheme.window),
        (QPalette.ColorRole.Base, scheme.sunken),
        (QPalette.ColorRole.AlternateBase, scheme.striped),
        (QPalette.ColorRole.Button, scheme.panel),
        (QPalette.ColorRole.Text, scheme.text),
        (QPalette.ColorRole.WindowText, scheme.text),
        (QPalette.ColorRole.ButtonText, scheme.text),
        (QPalette.ColorRole.PlaceholderText, scheme.muted),
        (QPalette.ColorRole.Mid, scheme.line),
        (QPalette.ColorRole.ToolTipBase, scheme.sunken),
        (QPalette.ColorRole.ToolTipText, scheme.text),
        (QPalette.ColorRole.Highlight, scheme.accent.under),
        (QPalette.ColorRole.HighlightedText, scheme.accent.text),
        (QPalette.ColorRole.Link, scheme.accent_line),
    ):
        palette.setColor(role, QColor(colour))
    return palette
