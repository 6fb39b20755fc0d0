"""Connecting to the instruments of a bench, at the begin of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from bench.ordered import reason
from instruments.instrument import Instrument


def open_each(
    instruments: Mapping[str, Instrument],
    go_on: Callable[[], object],
    record: Callable[[str, Mapping[str, Any]], object],
    tell: Callable[[str, str], object],
) -> None:
    """Connect to every instrument, those behind one that is missing, too; then raises what was wrong first.

    A run that was killed may have left something driven.  Only what is connected can be made safe when this run ends,
    because an instrument is missing.

    Parameters
    ----------
    go_on : called before each; raises when the run is to end.
    record, tell : (kind, fields) into the run's record, (level, text) into its event log.
    """
    wrong: Exception | None = None
    for name, instrument in instruments.items():
        go_on()
        try:
            instrument.open()
            record("identity", {"instrument": name, **asdict(instrument.identify())})
            for problem in instrument.probe():
                tell("warning", f"{name}: {problem}")
        except Exception as error:  # noqa: BLE001  # raised when the others are connected
            if wrong is None:
                wrong = error
            else:
                tell("error", reason(error))
    if wrong is not None:
        raise wrong
