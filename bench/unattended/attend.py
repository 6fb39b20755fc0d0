"""Has the people and lamps that a station file names hear the records of a run."""

from __future__ import annotations

from collections.abc import Callable

from bench.recorder import Recorder
from bench.station import OpenStation
from bench.unattended.messages import Facts, Messenger
from bench.unattended.stack_light import StackLight


def attend(
    opened: OpenStation, recorder: Recorder, facts: Facts, undelivered: Callable[[str], None]
) -> Callable[[], None]:
    """Let the station's messenger and stack light listen; returns what waits for the last messages and lamps.

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

    ends: list[Callable[[], None]] = []
    if station.stack_light is not None:
        light = StackLight(station.stack_light, opened, tell)

        def darken() -> None:
            if dark := light.finish():
                undelivered(dark)

        recorder.listen(light.hear)
        ends.append(darken)
    if station.notify:
        messenger = Messenger(station.notify, facts, clock, failed)
        recorder.listen(messenger.hear)
        ends.append(messenger.finish)

    def finish() -> None:
        for end in ends:
            end()

    return finish
