"""The interlocks of a run: their limits, how far their channels are from them, what is armed and what is latched."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.protection import InterlockTable, interlock
from gui.presenters.instrument_rows import UNKNOWN, digits, out_of_date, rounded
from gui.presenters.live import Live, Trace
from gui.presenters.numbers import Numbers, all_digits, digits_beside, with_unit
from gui.presenters.tone import Tone
from protocols.interlock import Interlock
from protocols.procedure import load_procedure

NEAR = 0.05
"""A channel within this part of a limit is said to be near it."""


@dataclass(frozen=True, slots=True)
class InterlockRow:
    """An interlock as it stands now.

    Attributes
    ----------
    room : how far its channel is from the nearest limit.
    armed : "armed", or when it will be.
    can_reset : it holds the bench, and a person may end that.
    cause : what it said when it acted.
    """

    name: str
    channel: str
    limit: str
    value: str
    room: str
    action: str
    armed: str
    state: str
    tone: Tone
    can_reset: bool = False
    cause: str = ""


def station_interlocks(station: Mapping[str, Any], unit_of: Mapping[str, str]) -> list[Interlock]:
    """Interlocks of a station as a run's header keeps them; one whose channel is not known is left out."""
    found = []
    for name, said in (station.get("interlocks") or {}).items():
        armed = said.get("armed", "always")
        if isinstance(armed, list | tuple):
            armed = [f"phase:{phase}" for phase in armed]
        unit = unit_of.get(str(said.get("channel", "")))
        if unit is None:
            continue
        try:
            found.append(interlock(name, InterlockTable.from_json({**said, "armed": armed}), unit, 0.0))
        except ValueError:  # of another version
            continue
    return found


class Interlocks:
    """The interlocks of the run that is watched."""

    def __init__(self, live: Live, numbers: Numbers) -> None:
        self._live = live
        self._numbers = numbers
        self._known: tuple[Interlock, ...] = ()
        self._of: tuple[object, int] = (None, 0)

    def known(self) -> tuple[Interlock, ...]:
        """Those of the station and of the procedure whose channels are there."""
        plan = self._live.plan
        if plan is None:
            return ()
        if self._of != (plan, len(self._live.traces)):
            self._of = (plan, len(self._live.traces))
            units = {name: trace.unit for name, trace in self._live.traces.items()}
            try:
                own = tuple(load_procedure(plan.procedure)(**plan.params).interlocks())
            except ValueError:  # of another version
                own = ()
            self._known = (*station_interlocks(plan.station, units), *own)
        return self._known

    def on(self, trace: Trace) -> Iterator[Interlock]:
        """Those that watch a channel."""
        return (one for one in self.known() if self._trace(one) is trace)

    def rows(self) -> list[InterlockRow]:
        """Every interlock, those that act first."""
        order = [Tone.FAIL, Tone.WARN]
        rows = [self._row(one) for one in self.known()]
        return sorted(rows, key=lambda row: order.index(row.tone) if row.tone in order else len(order))

    def latched(self) -> list[InterlockRow]:
        """Those that wait for a person."""
        status = self._live.status
        names = status.latched if status is not None and self._live.is_going else ()
        rows = {row.name: row for row in self.rows()}
        return [rows.get(name, InterlockRow(name, "", "", "", "", "hold", "", "latched", Tone.FAIL, True))
                for name in names]  # fmt: skip

    # -- small parts

    def _trace(self, one: Interlock) -> Trace | None:
        return self._live.traces.get(one.channel) or self._live.of_role(one.channel)

    def _row(self, one: Interlock) -> InterlockRow:
        trace = self._trace(one)
        latched = self._live.status is not None and one.name in self._live.status.latched
        cause, lasts = self._last(one.name)
        armed = self._armed(one)
        state, tone = ("ok" if armed == "armed" else armed), Tone.MUTED
        old = None if trace is None else out_of_date(self._live, trace)
        room, near = self._room(one, trace) if old is None else ("", False)
        if latched:
            state, tone = "latched", Tone.FAIL
        elif lasts:
            state, tone = "beyond its limit", Tone.FAIL if one.latches else Tone.WARN
        elif old is not None:
            state, tone = old
        elif near and armed == "armed" and self._live.is_going:
            state, tone = "near its limit", Tone.WARN
        return InterlockRow(
            one.name,
            one.channel if trace is None else trace.label,
            self._limit(one, trace),
            "" if trace is None else UNKNOWN if old is not None else self._value(one, trace),
            room,
            one.action,
            armed,
            state,
            tone,
            latched,
            cause,
        )

    def _limit(self, one: Interlock, trace: Trace | None) -> str:
        unit = "" if trace is None else trace.unit
        low, high = (None if side is None else self._plain(side, unit) for side in (one.low, one.high))
        if low is not None and high is not None:
            return f"{low} to {high}"
        if high is not None:
            return f"≤ {high}"
        if low is not None:
            return f"≥ {low}"
        return "quality" if one.quality else f"silent ≤ {one.max_outage_s:g} s"

    def _plain(self, value: float, unit: str) -> str:
        return with_unit(self._numbers.number(value, all_digits(value)), unit)

    def _value(self, one: Interlock, trace: Trace) -> str:
        return self._written(trace.value, trace.unit, _digits(one, trace))

    def _written(self, value: float, unit: str, count: int) -> str:
        return with_unit(self._numbers.number(rounded(value, count), count), unit)

    def _room(self, one: Interlock, trace: Trace | None) -> tuple[str, bool]:
        """Distance to the nearest limit in words, and whether that is little."""
        if trace is None or not math.isfinite(trace.value) or trace.unit == "1":
            return "", False
        rooms = [(abs(limit), distance) for limit, distance in (
            (one.high, math.inf if one.high is None else one.high - trace.value),
            (one.low, math.inf if one.low is None else trace.value - one.low),
        ) if limit is not None]  # fmt: skip
        if not rooms:
            return "", False
        limit, distance = min(rooms, key=lambda pair: pair[1])
        return self._written(distance, trace.unit, _digits(one, trace)), distance < NEAR * limit

    def _armed(self, one: Interlock) -> str:
        if one.armed == "always":
            return "armed"
        if one.armed == "delivery":
            return "armed" if self._live.delivery_s is not None else "armed from the delivery on"
        phases = self._live.phases
        if phases and phases[-1].t1 is None and phases[-1].name in one.phases:
            return "armed"
        return f"armed in {', '.join(one.phases)}"

    def _last(self, name: str) -> tuple[str, bool]:
        """What an interlock said when it last acted, and whether its channel is still beyond."""
        crossed = next((r for r in reversed(self._live.kept["interlock"]) if r.fields.get("name") == name), None)
        if crossed is None:
            return "", False
        back = next((r for r in reversed(self._live.kept["interlock-back"]) if r.fields.get("name") == name), None)
        return str(crossed.fields.get("text", "")), back is None or back.t < crossed.t


def _digits(one: Interlock, trace: Trace) -> int:
    """Digits after the point of a value and its room: as many as tell it from its limits."""
    least = digits(trace.unit)
    if not math.isfinite(trace.value):
        return least
    sides = [side for side in (one.low, one.high) if side is not None]
    written = [float(f"{side:.6g}") for side in sides]  # as it stands beside the value
    return max(digits_beside(trace.value, sides, least), digits_beside(trace.value, written, least))
