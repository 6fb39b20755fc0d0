"""What a SCPI instrument with a converter does with what it hears: lines one after the other, each in its time."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable

from instruments.simulation.devices.keysight.converter import Converter
from instruments.simulation.devices.keysight.scpi import Command, Header, Interpreter, Query, Reply
from instruments.simulation.wire import LineDevice


class ScpiInstrument(LineDevice):
    """An instrument with one converter.

    A model sets what `_reset` and `_headers` stand on before it calls this constructor.

    Parameters
    ----------
    identity : as ``*IDN?`` tells it.
    converter : what its readings come from.
    latency_s : time that an answer takes beside the conversions.
    """

    def __init__(self, identity: str, converter: Converter, latency_s: float) -> None:
        super().__init__()
        self.latency_s = latency_s
        self._converter = converter
        self._free_at = -math.inf
        self._reset()
        self._scpi = Interpreter(self._headers(), identity, self._reset)

    @abstractmethod
    def _reset(self) -> None:
        """Go back to the settings with which it wakes, and forget what was read."""

    @abstractmethod
    def _headers(self) -> Iterable[Header]:
        """Its command tree, without the common commands."""

    @abstractmethod
    def _configure(self, function: str) -> Command:
        """What ``CONFigure`` does for a function."""

    @abstractmethod
    def _read(self, text: str, t: float) -> Reply:
        """Begin to measure, and answer with all that is measured."""

    def _measured(self, function: str) -> Query:
        """What ``MEASure?`` answers for a function."""
        configure = self._configure(function)

        def measure(text: str, t: float) -> Reply:
            configure(text, t)
            return self._read("", t)

        return measure

    # -- the wire

    def on_line(self, line: str, now: float) -> None:
        """Execute a message after the one before."""
        replies, end = self._scpi.execute(line, max(now, self._free_at))
        self._free_at = end
        if replies:
            self.emit(replies.encode("latin-1") + b"\n", end + self.latency_s)

    def unsolicited(self) -> bytes:
        """A blank line."""
        return b"\n"

    def on_reboot(self, now: float) -> None:
        """It wakes with the settings of the factory and an empty memory."""
        self._reset()
        self._scpi.power_up()
        self._free_at = -math.inf
