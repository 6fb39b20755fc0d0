"""The stack light: green while a run goes on, amber while it waits for a person, red after an interlock or an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from bench.station import OpenStation
from bench.unattended.tables import StackLightTable
from instruments.capabilities import Valve
from instruments.instrument import InstrumentError

Colour = Literal["red", "amber", "green"]
COLOURS: tuple[Colour, ...] = ("red", "amber", "green")


class StackLight:
    """Shows the state of a run; a lamp that cannot be switched is told once and stops nothing.

    Parameters
    ----------
    tell : (level, text) into the run's event log.
    """

    def __init__(self, table: StackLightTable, opened: OpenStation, tell: Callable[[str, str], None]) -> None:
        self._lines = {colour: line for colour in COLOURS if (line := getattr(table, colour)) is not None}
        self._opened = opened
        self._tell = tell
        self._shown: dict[Colour, bool] = {}
        self._troubled = False
        self._waits: set[str] = set()
        self._alarm = False

    def hear(self, kind: str, t: float, fields: Mapping[str, Any]) -> None:
        """Take a record of the run and switch the lamps accordingly."""
        state = fields.get("state")
        if kind == "prompt":
            self._waits.add(str(fields.get("key")))
        elif kind == "answer":
            self._waits.discard(str(fields.get("key")))
        elif kind in ("pause", "hold"):
            (self._waits.add if state == "begin" else self._waits.discard)(kind)
        elif kind == "outage":
            (self._waits.add if state != "end" else self._waits.discard)(f"outage {fields.get('instrument')}")
        elif kind == "interlock" and fields.get("action") in ("stop", "hold"):
            self._alarm = True
        elif kind == "reset":
            self._alarm = False
        elif kind == "status":
            self._show({"red"} if self._alarm or fields.get("status") != "completed" else set())
            return
        elif kind != "step":
            return
        self._show({"red"} if self._alarm else {"amber"} if self._waits else {"green"})

    def finish(self) -> None:
        """Let go of the lines again; the lamps stay as they are."""
        for name in {line.partition(".")[0] for line in self._lines.values()}:
            self._opened.instruments[name].close()

    def _show(self, lit: set[str]) -> None:
        for colour, line in self._lines.items():
            on = colour in lit
            if self._shown.get(colour) is on:
                continue
            name, _, valve = line.partition(".")
            instrument = self._opened.instruments[name]
            try:
                if not isinstance(instrument, Valve):
                    raise InstrumentError(name, f'drives no line "{valve}"')
                instrument.set_valve(valve, on)
                self._shown[colour] = on
            except (InstrumentError, KeyError) as error:
                if not self._troubled:
                    self._tell("warning", f"the stack light does not show the run's state: {error}")
                self._troubled = True
