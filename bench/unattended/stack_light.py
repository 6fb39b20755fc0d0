"""The stack light: green while a run goes on, amber while it waits for a person, red after an interlock or an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.ordered import reason
from bench.station import OpenStation
from bench.unattended.tables import StackLightTable
from instruments.capabilities import Lamps, Valve
from instruments.instrument import Instrument, InstrumentError

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""After a failure the lamps are tried again first after this, then after twice the time, at most this."""

LAST_S = 10.0
"""Longest wait for the lamps when the run has ended."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be shown, and how often it was to be written although nothing had changed."""

    lit: frozenset[str] = frozenset()
    anew: int = 0


class StackLight:
    """Shows the state of a run; a lamp that cannot be switched is told once and stops nothing.

    The lamps have a worker of their own, which knows the latest state alone: whoever writes the record never waits for
    an instrument.

    Parameters
    ----------
    tell : (level, text) into the run's event log.
    """

    def __init__(self, table: StackLightTable, opened: OpenStation, tell: Callable[[str, str], None]) -> None:
        self._lamps = table.lamps
        self._opened = opened
        self._clock = opened.clock
        self._tell = tell
        self._waits: set[str] = set()
        self._alarm = False
        self._wanted = _Wanted()
        self._troubled = False
        self._why = ""  # the lamps do not show what they should
        self._changed = self._clock.event()
        self._over = self._clock.event()
        self._done = self._clock.event()
        self._clock.worker("~stack light", self._work)

    def hear(self, kind: str, t: float, fields: Mapping[str, Any]) -> None:
        """Take a record of the run; returns at once."""
        state, anew = fields.get("state"), False
        if kind == "prompt":
            self._waits.add(str(fields.get("key")))
        elif kind == "answer":
            self._waits.discard(str(fields.get("key")))
        elif kind in ("pause", "hold"):
            (self._waits.add if state == "begin" else self._waits.discard)(kind)
        elif kind == "outage":
            (self._waits.add if state != "end" else self._waits.discard)(f"outage {fields.get('instrument')}")
            anew = True  # what takes an instrument may reset its outputs
        elif kind == "interlock" and fields.get("action") in ("stop", "hold"):
            self._alarm = True
        elif kind == "reset":
            self._alarm = False
        elif kind == "safe-state":
            anew = True  # which may have switched the lamps, too
        elif kind == "status":
            self._alarm = self._alarm or fields.get("status") != "completed"
            self._show({"red"} if self._alarm else set(), anew=True)
            return
        elif kind == "unsaved":  # after the end: the record waits for room
            self._show({"red"} if self._alarm else {"amber"} if state == "begin" else set(), anew=False)
            return
        elif kind != "step":
            return
        self._show({"red"} if self._alarm else {"amber"} if self._waits else {"green"}, anew=anew)

    def finish(self) -> str:
        """Have the last state shown, and let go of the lines; the lamps stay as they are.

        Returns
        -------
        "", or why the lamps do not show how the run ended.
        """
        self._over.set()
        self._changed.set()
        done = self._clock.wait(self._done, self._clock.now() + LAST_S)
        return self._why if done else _said(f"no answer within {LAST_S:g} s")

    def _show(self, lit: set[str], *, anew: bool) -> None:
        wanted = replace(self._wanted, lit=frozenset(lit), anew=self._wanted.anew + anew)
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    def _work(self) -> None:
        """Body of the worker."""
        shown, pause_s = _Wanted(), 0.0
        try:
            while True:
                self._changed.clear()
                over, wanted = self._over.is_set(), self._wanted  # in this order: nothing is wanted after the end
                if wanted != shown:
                    self._why = self._light(wanted.lit)
                    if self._why:
                        pause_s = min(max(FIRST_PAUSE_S, 2.0 * pause_s), LONGEST_PAUSE_S)
                    else:
                        shown, pause_s = wanted, 0.0
                if over:
                    self._let_go()
                    return
                if pause_s:
                    self._clock.wait(self._over, self._clock.now() + pause_s)
                else:
                    self._clock.wait(self._changed)
        finally:
            self._done.set()

    def _light(self, lit: frozenset[str]) -> str:
        """Switch every lamp; returns "", or why that was not done, which is told once."""
        states: dict[str, dict[str, bool]] = {}
        for colour, target in self._lamps.items():
            name, _, line = target.partition(".")
            states.setdefault(name, {})[line] = colour in lit
        try:
            for name, lamps in states.items():
                _switch(self._opened.instruments[name], lamps)
        except Exception as error:  # noqa: BLE001  # whatever breaks, a lamp ends nothing
            why = _said(reason(error))
            if not self._troubled:
                self._tell("warning", why)
            self._troubled = True
            return why
        return ""

    def _let_go(self) -> None:
        for name in {target.partition(".")[0] for target in self._lamps.values()}:
            instrument = self._opened.instruments[name]
            instrument.leave_lamps() if isinstance(instrument, Lamps) else instrument.close()


def _switch(instrument: Instrument, lamps: Mapping[str, bool]) -> None:
    if isinstance(instrument, Lamps):
        instrument.light(lamps)
        return
    if not isinstance(instrument, Valve):
        raise InstrumentError(instrument.name, f"drives no {', '.join(lamps)}")
    for line, on in lamps.items():
        instrument.set_valve(line, on)


def _said(why: str) -> str:
    return f"the stack light does not show the run's state: {why}"
