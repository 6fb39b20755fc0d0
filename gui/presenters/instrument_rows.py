"""Each instrument of the run: whether it answers, what it shows, how good that is, when its calibration is due."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from data.samples import UNUSABLE, Quality
from gui.presenters.live import Live, Trace
from gui.presenters.numbers import Numbers, rough_duration, with_unit
from gui.presenters.tone import Tone

DIGITS = {
    "mg": 2,
    "uL": 1,
    "uL/h": 2,
    "kPa": 2,
    "degC": 2,
    "N": 3,
    "mm": 2,
    "%": 1,
    "1": 0,
    "V": 3,
    "A": 3,
    "s": 1,
    "g/mL": 4,
}
"""After the point: the same ones all the time, so that a value that moves can be read."""

UNKNOWN = "not known"
"""In place of a value that is not of now."""

SOON = timedelta(days=30)
"""A calibration that is due within this is pointed out."""


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """An instrument, or a channel of one that is unfolded.

    Attributes
    ----------
    trace : name of the channel that is shown; empty where it has none.
    depth : 1 for a channel of the instrument above.
    due : when its calibration ends, with ``due_tone`` where that is soon or was.
    """

    name: str
    trace: str
    label: str
    state: str
    tone: Tone
    value: str
    quality: str
    age: str
    due: str
    due_tone: Tone
    depth: int = 0
    can_unfold: bool = False
    unfolded: bool = False

    @property
    def tip(self) -> str:
        """All of it in a few lines."""
        parts = [self.label if self.depth == 0 else self.trace, self.state, self.value, self.quality]
        said = ", ".join(part for part in parts if part)
        return f"{said}\n{self.due}" if self.due else said

    @property
    def state_beside(self) -> str:
        """The state beside the value, which tells already that it is not known."""
        return self.state.removeprefix(f"{UNKNOWN}, last ")

    @property
    def worst(self) -> Tone:
        """The tone of whatever is wrong with it."""
        return self.tone if self.due_tone is Tone.MUTED or self.tone in (Tone.WARN, Tone.FAIL) else self.due_tone


def digits(unit: str) -> int:
    """Digits after the point of a live value."""
    return DIGITS.get(unit, 2)


def rounded(value: float, count: int) -> float:
    """A value to so many digits after the point; what rounds to nothing has no sign."""
    return round(value, count) + 0.0 if math.isfinite(value) else value


class Instruments:
    """The instruments of the run that is watched.

    Attributes
    ----------
    unfolded : names of those whose channels are all shown.
    """

    def __init__(self, live: Live, numbers: Numbers) -> None:
        self._live = live
        self._numbers = numbers
        self.unfolded: set[str] = set()

    def turn(self, name: str) -> None:
        """Show all channels of an instrument, or its main one alone."""
        self.unfolded ^= {name}

    def rows(self) -> list[InstrumentRow]:
        """One row an instrument, and those of its channels where it is unfolded."""
        return list(self._rows())

    def _rows(self) -> Iterator[InstrumentRow]:
        plan = self._live.plan
        if plan is None:
            return
        of: dict[str, list[Trace]] = {}
        for trace in self._live.traces.values():
            of.setdefault(trace.instrument, []).append(trace)
        for name, table in (plan.station.get("instruments") or {}).items():
            traces = of.get(name, [])
            yield self._instrument(name, table, traces, self._live.lost.get(name))
            if name in self.unfolded and len(traces) > 1:
                for trace in traces:
                    yield self._channel(name, trace)

    def _instrument(
        self, name: str, table: Mapping[str, Any], traces: list[Trace], lost_s: float | None
    ) -> InstrumentRow:
        main = main_trace(traces)
        state, tone = self._state(main, lost_s)
        due, due_tone = self._due(table.get("calibration") or {})
        return InstrumentRow(
            name,
            "" if main is None else main.name,
            name.replace("_", " "),
            state,
            tone,
            "" if main is None else self._shown(main),
            "" if main is None else main.quality_word,
            "" if main is None else self._age(main),
            due,
            due_tone,
            can_unfold=len(traces) > 1,
            unfolded=name in self.unfolded,
        )

    def _channel(self, name: str, trace: Trace) -> InstrumentRow:
        state, tone = self._state(trace, None)
        return InstrumentRow(
            name,
            trace.name,
            trace.name.partition(".")[2].replace("_", " "),
            state,
            tone,
            self._shown(trace),
            trace.quality_word,
            self._age(trace),
            "",
            Tone.MUTED,
            depth=1,
        )

    def _state(self, trace: Trace | None, lost_s: float | None) -> tuple[str, Tone]:
        live = self._live
        if lost_s is not None and live.is_read and not live.is_behind:
            return f"silent {rough_duration(live.now_s - lost_s)}", Tone.FAIL
        if trace is None:
            return "commanded", Tone.MUTED
        if not len(trace.points):
            return "no sample yet", Tone.MUTED
        if not live.is_read:
            return "ended", Tone.MUTED
        if (old := out_of_date(live, trace)) is not None:
            return old
        if math.isinf(live.late_s(trace)) and math.isfinite(live.pace):
            return "waits for its next", Tone.MUTED
        if unusable := trace.quality & int(UNUSABLE):
            is_own = unusable != int(Quality.DISTURBED)  # else a person, or a hold, was at the bench
            return trace.quality_word, Tone.WARN if is_own else Tone.MUTED
        return "ok", Tone.GOOD

    def _shown(self, trace: Trace) -> str:
        """What a channel shows; nothing that is not of now, whose age the state tells."""
        old = out_of_date(self._live, trace)
        return self._value(trace) if old is None or old[1] is Tone.MUTED else UNKNOWN

    def _value(self, trace: Trace) -> str:
        if trace.unit == "1" and math.isfinite(trace.value):
            return self._numbers.number(trace.value, 0 if trace.value == round(trace.value) else 2)
        return with_unit(self._numbers.number(rounded(trace.value, digits(trace.unit)), digits(trace.unit)), trace.unit)

    def _age(self, trace: Trace) -> str:
        age = self._live.age(trace)
        return "" if math.isnan(age) or not self._live.is_read else rough_duration(age)

    def _due(self, calibration: Mapping[str, Any]) -> tuple[str, Tone]:
        plan = self._live.plan
        dates = [(str(table.get("due", "")), str(table.get("certificate", ""))) for table in calibration.values()]
        if not dates or plan is None:
            return "", Tone.MUTED
        said, certificate = min(dates)
        today = (plan.start + timedelta(seconds=self._live.last_s)).date()
        try:
            left = date.fromisoformat(said) - today
        except ValueError:
            return "", Tone.MUTED
        if left < timedelta(0):
            return f"calibration {certificate} was due {said}", Tone.FAIL
        return f"calibration {certificate} is due {said}", Tone.WARN if left <= SOON else Tone.MUTED


def out_of_date(live: Live, trace: Trace) -> tuple[str, Tone] | None:
    """What is said of a last sample that is not of now; None for one that is, or where nothing is read any more."""
    if math.isnan(trace.t) or not live.is_read:
        return None
    if live.is_behind:
        return "catching up", Tone.MUTED
    return None if live.is_known(trace) else (f"{UNKNOWN}, last {rough_duration(live.age(trace))} ago", Tone.WARN)


def main_trace(traces: list[Trace]) -> Trace | None:
    """The channel that stands for an instrument: the first that the procedure measures with."""
    return next((trace for trace in traces if trace.roles), traces[0] if traces else None)
