"""Has the people and lamps that a station file names hear the records of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.recorder import Listener, Recorder
from bench.station import OpenStation
from bench.unattended.messages import Facts, Messenger
from bench.unattended.stack_light import StackLight


@dataclass(frozen=True)
class Audience:
    """The people and lamps that hear of a run."""

    listeners: Sequence[Listener]
    ends: Sequence[Callable[[], None]]

    def hear(self, kind: str, t: float, fields: Mapping[str, Any]) -> None:
        """Hear what comes after the record was closed; returns at once."""
        for listener in self.listeners:
            listener(kind, t, fields)

    def finish(self) -> None:
        """Wait for the last messages and lamps."""
        for end in self.ends:
            end()


def attend(opened: OpenStation, recorder: Recorder, facts: Facts, undelivered: Callable[[str], None]) -> Audience:
    """Let the station's messenger and stack light listen.

    Parameters
    ----------
    undelivered : called with a sentence when a message reached nobody, or the lamps do not show the end; on any thread.
    """
    station, clock = opened.station, opened.clock

    def tell(level: str, text: str) -> None:
        recorder.record("event", clock.now(), {"level": level, "text": text})

    def failed(text: str) -> None:
        undelivered(text)
        clock.post(lambda: tell("warning", text))

    listeners, ends = list[Listener](), list[Callable[[], None]]()
    if station.stack_light is not None:
        light = StackLight(station.stack_light, opened, tell)

        def darken() -> None:
            if dark := light.finish():
                undelivered(dark)

        listeners.append(light.hear)
        ends.append(darken)
    if station.notify:
        messenger = Messenger(station.notify, facts, clock, failed)
        listeners.append(messenger.hear)
        ends.append(messenger.finish)
    for listener in listeners:
        recorder.listen(listener)
    return Audience(listeners, ends)
