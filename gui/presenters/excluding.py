"""A stretch of the run that is watched, which a person takes out of what is judged: what is written of it so far."""

from __future__ import annotations

from dataclasses import dataclass

from bench.rpc.messages import Exclude
from data.quantities import QuantityError, format_quantity, parse
from gui.presenters.controls import Controls
from gui.presenters.live import Live
from gui.presenters.numbers import is_bare
from gui.presenters.tone import Tone

TOUCH_S = 60.0
"""So long before and after the moment that a person points at is proposed: a hand is off a vessel by then."""


@dataclass
class Excluding:
    """From when to when, and why, as a person writes it.

    Attributes
    ----------
    is_asked : whether somebody is about to exclude something.
    from_text, to_text : times since the run's begin.
    """

    controls: Controls
    live: Live
    is_asked: bool = False
    from_text: str = ""
    to_text: str = ""
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether there is something to write: a run that has ended takes nothing more."""
        return self.is_asked and self.live.is_going

    def forget(self) -> None:
        """Another run is watched."""
        self.is_asked = False

    def ask(self, shown: tuple[float, float] | None, pointed_s: float | None) -> None:
        """Begin, with the moment that the cursor is at, else with the stretch that a person has zoomed to, if any."""
        if pointed_s is not None:
            shown = pointed_s - TOUCH_S, pointed_s + TOUCH_S
        if not self.is_open:
            self.reason = ""
        self.is_asked, self.from_text, self.to_text = True, "", ""
        if shown is not None:
            begin, end = max(shown[0], 0.0), min(shown[1], self.live.last_s)
            if begin < end:
                self.from_text, self.to_text = _whole(begin), _whole(end)
        self.controls.reconsider(Exclude)
        self.controls.changed()

    def write(self, from_text: str, to_text: str, reason: str) -> None:
        """The person has written something; what was refused before is not what stands there."""
        self.from_text, self.to_text, self.reason = from_text, to_text, reason
        self.controls.reconsider(Exclude)

    def leave(self) -> None:
        """Exclude nothing."""
        self.is_asked = False
        self.controls.reconsider(Exclude)
        self.controls.changed()

    @property
    def stretch_s(self) -> tuple[float, float]:
        """From when to when, in s; raises `QuantityError` for what is no time."""
        return parse(self.from_text, "time"), parse(self.to_text, "time")

    @property
    def says(self) -> tuple[str, Tone]:
        """What is missing, else what will be kept."""
        if not (self.from_text.strip() and self.to_text.strip()):
            return "Write from when to when, as times since the run's begin, such as 90 min and 92 min", Tone.MUTED
        try:
            from_s, to_s = self.stretch_s
        except QuantityError as error:
            bare = next((text for text in (self.from_text, self.to_text) if is_bare(text)), "")
            return f"“{bare.strip()}” has no unit; write s, min or h after it" if bare else str(error), Tone.WARN
        if to_s <= from_s:
            return "It ends before it begins; turn the times round", Tone.WARN
        if to_s > self.live.last_s:
            return "It is not over yet; exclude it when it is", Tone.WARN
        if not self.reason.strip():
            return "Write the reason: what was done to the bench", Tone.MUTED
        length = format_quantity(round(to_s - from_s, 3), "time")
        return f"{length} will be left out, with your name; that cannot be taken back", Tone.PLAIN

    @property
    def can_keep(self) -> bool:
        """Whether it can be said now."""
        return self.controls.can_command and self.says[1] is Tone.PLAIN

    def keep(self) -> None:
        """Say it; what is written stays until it is kept."""
        if self.can_keep:
            kept = self._written
            self.controls.exclude(*self.stretch_s, self.reason, lambda: self._kept(kept))

    @property
    def _written(self) -> tuple[str, str, str]:
        return self.from_text, self.to_text, self.reason

    def _kept(self, kept: tuple[str, str, str]) -> None:
        """It is kept; what was written since stays, for that is another stretch."""
        if kept == self._written:
            self.leave()


def _whole(seconds: float) -> str:
    return format_quantity(float(round(seconds)), "time") if round(seconds) else "0 s"
