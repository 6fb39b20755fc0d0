"""What the bar on top of the window says."""

from __future__ import annotations

from dataclasses import dataclass

from gui.presenters.tone import Tone


@dataclass(frozen=True, slots=True)
class HeaderText:
    """What the header shows; empty where there is nothing."""

    station: str = "No station"
    state: str = "idle"
    tone: Tone = Tone.MUTED
    run: str = ""
    protocol: str = ""
    article: str = ""
    elapsed: str = ""
    remaining: str = ""
    origin: str = ""
    emergency_stop: str = ""
    emergency_tone: Tone = Tone.PLAIN
