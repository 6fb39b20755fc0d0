"""The bar on top: which station and run, how far it is, and STOP."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from gui.presenters.header_text import HeaderText
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import Field, Pill, muted, set_property

STOP_SAYS_WIDTH, SHORT = 260, 20
"""What is said of a stop has this room; so many characters need less."""


class Header(QWidget):
    """The bar on top; ``stop_pressed`` comes the moment the button goes down."""

    stop_pressed = pyqtSignal()

    def __init__(self, person: str) -> None:
        super().__init__()
        self.setObjectName("header")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 16, 8)
        row.setSpacing(18)
        self.station = QLabel("No station")
        self.station.setProperty("station", "true")
        row.addWidget(self.station)
        self.state = Pill("IDLE", Tone.MUTED)
        row.addWidget(self.state, 0, Qt.AlignmentFlag.AlignVCenter)
        self.origin = Pill("", Tone.WARN)
        row.addWidget(self.origin, 0, Qt.AlignmentFlag.AlignVCenter)
        captions = {
            "run": "Run",
            "protocol": "Protocol",
            "article": "Device under test",
            "elapsed": "Elapsed",
            "remaining": "Remaining",
        }
        self.fields = {key: Field(caption) for key, caption in captions.items()}
        for one in self.fields.values():
            row.addWidget(one)
        self._operator = Field("Operator", person)
        row.addWidget(self._operator)
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
        self.stop = QPushButton("STOP RUN")
        self.stop.setObjectName("stop")
        self.stop.setAccessibleName("Stop the run, key F12")
        self.stop.setToolTip("Stops the run in order (F12). This is no emergency stop: use the red one of the bench.")
        self.stop.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.stop.setAutoDefault(False)
        self.stop.pressed.connect(self.stop_pressed)  # on the press, not on the release
        row.addWidget(self.stop)
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
            field.setVisible(bool(said))
            field.say(said)
        self.emergency.setText(text.emergency_stop)
        set_property(self.emergency, "pill", "" if text.emergency_tone is Tone.PLAIN else str(text.emergency_tone))

    def show_stop(self, text: str, tone: Tone, can_stop: bool) -> None:
        """Show what became of a stop, and whether there is anything to stop."""
        self.stop_says.setText(text)
        self.stop_says.setMinimumWidth(STOP_SAYS_WIDTH if len(text) > SHORT else 0)
        set_property(self.stop_says, "pill", str(tone) if text else "")
        self.stop.setEnabled(can_stop)

    def _draw(self) -> None:
        scheme, density = look().scheme, look().density
        self.stop.setIcon(look().icon("stop", scheme.stop.text))
        self.stop.setIconSize(QSize(density.icon + 8, density.icon + 8))
