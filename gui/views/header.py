"""The bar on top: which station and run, how far it is, and STOP."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from gui.presenters.header_text import HeaderText
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import Field, Pill, muted, set_property
from gui.views.room import Elided

STOP_SAYS_WIDTH, SHORT = 260, 20
"""What is said of a stop has this room; so many characters need less."""

CAPTIONS = {
    "run": "Run",
    "protocol": "Protocol",
    "article": "Device under test",
    "elapsed": "Elapsed",
    "remaining": "Remaining",
}
LEAST = {"protocol": 84, "article": 96}
"""What may be cut, and down to how many pixels."""

LEAST_STATION, LEAST_WIDTH = 70, 640
SPACING, MARGIN = 18, 16


class Header(QWidget):
    """The bar on top; ``stop_pressed`` comes the moment the button goes down."""

    stop_pressed = pyqtSignal()

    def __init__(self, person: str) -> None:
        super().__init__()
        self.setObjectName("header")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = QHBoxLayout(self)
        row.setContentsMargins(MARGIN, 8, MARGIN, 8)
        row.setSpacing(SPACING)
        self.station = Elided("No station", LEAST_STATION)
        self.station.setProperty("muted", "false")
        self.station.setProperty("station", "true")
        row.addWidget(self.station)
        self.state = Pill("IDLE", Tone.MUTED)
        row.addWidget(self.state, 0, Qt.AlignmentFlag.AlignVCenter)
        self.origin = Pill("", Tone.WARN)
        row.addWidget(self.origin, 0, Qt.AlignmentFlag.AlignVCenter)
        self.fields = {key: Field(caption, least=LEAST.get(key, 0)) for key, caption in CAPTIONS.items()}
        for one in self.fields.values():
            row.addWidget(one)
        self.operator = Field("Operator", person)
        row.addWidget(self.operator)
        row.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(0)
        self.stop_says = muted("")
        self.stop_says.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.stop_says.setWordWrap(True)
        self.stop_says.setMaximumWidth(STOP_SAYS_WIDTH)
        self.emergency = muted("")
        self.emergency.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        column.addWidget(self.stop_says)
        column.addWidget(self.emergency)
        row.addLayout(column)
        self._words = column
        self.stop = QPushButton("STOP RUN")
        self.stop.setObjectName("stop")
        self.stop.setAccessibleName("Stop the run, key F12")
        self.stop.setToolTip("Stops the run in order (F12). This is no emergency stop: use the red one of the bench.")
        self.stop.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.stop.setAutoDefault(False)
        # what goes, or is locked, while it has the focus hands it to the next: there, a space would stop the run
        self.stop.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.stop.pressed.connect(self.stop_pressed)  # on the press, not on the release
        row.addWidget(self.stop)
        self.setMinimumWidth(LEAST_WIDTH)  # else its texts would make the window wider than the screen, and STOP go
        look().changed.connect(self._draw)
        self._draw()
        self.show_text(HeaderText())

    def show_text(self, text: HeaderText) -> None:
        """Show what goes on."""
        self.station.setText(text.station)
        self.state.say(text.state.upper(), text.tone)
        self.origin.setVisible(bool(text.origin))
        self.origin.say(text.origin.upper(), Tone.WARN)
        for key, field in self.fields.items():
            said = str(getattr(text, key))
            field.say(said)
            if key not in LEAST:
                field.setVisible(bool(said))
        self.emergency.setText(text.emergency_stop)
        set_property(self.emergency, "pill", "" if text.emergency_tone is Tone.PLAIN else str(text.emergency_tone))
        self._make_room()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Show what there is room for."""
        super().resizeEvent(event)
        self._make_room()

    def _make_room(self) -> None:
        """Leave out what matters least where there is no room for it, so that STOP is always whole."""
        always = (self.station, self.state, self.origin, *(self.fields[key] for key in CAPTIONS if key not in LEAST))
        parts = [one.sizeHint().width() for one in always if not one.isHidden()]
        parts += [self._words.minimumSize().width(), self.stop.sizeHint().width()]
        cut = self.station.sizeHint().width() - self.station.minimumSizeHint().width()
        room = self.width() - 2 * MARGIN - sum(parts) - len(parts) * SPACING
        for field in (*(self.fields[key] for key in LEAST), self.operator):
            whole = field.sizeHint().width() + SPACING
            least = whole if field is self.operator else field.minimumSizeHint().width() + SPACING - cut
            fits = bool(field.text()) and least <= room
            room -= whole if fits else 0
            field.setVisible(fits)

    def show_stop(self, text: str, tone: Tone, can_stop: bool) -> None:
        """Show what became of a stop, and whether there is anything to stop."""
        self.stop_says.setText(text)
        self.stop_says.setMinimumWidth(STOP_SAYS_WIDTH if len(text) > SHORT else 0)
        set_property(self.stop_says, "pill", str(tone) if text else "")
        self.stop.setEnabled(can_stop)
        self._make_room()

    def _draw(self) -> None:
        scheme, density = look().scheme, look().density
        self.stop.setIcon(look().icon("stop", scheme.stop.text))
        self.stop.setIconSize(QSize(density.icon + 8, density.icon + 8))
