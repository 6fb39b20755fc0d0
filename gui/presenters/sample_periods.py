"""How often a station's instruments are to give a sample: as their tables say, else as their drivers do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from data.quantities import parse
from instruments.instrument import load_driver

OF_THE_TABLE = {"driver", "calibration", "uncertainty", "resting_period", "resting_period_s"}
"""Keys of an instrument's table that are not its driver's."""


def sample_periods(instruments: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Longest time from one sample to the next, in s, of each instrument that is asked for them, or rests.

    Drivers are loaded, which takes a moment; what one of another version, or of another lab, does not tell is left out.

    Parameters
    ----------
    instruments : their tables, as the header of a run keeps them.
    """
    made = {}
    for name, table in instruments.items():
        longest = max((*_period(table), *_resting(table)), default=0.0)
        if longest > 0.0:
            made[name] = longest
    return made


def _period(table: Mapping[str, Any]) -> tuple[float, ...]:
    with suppress(Exception):  # what somebody else's driver raises is no matter of the window's
        kind = load_driver(str(table["driver"])).settings_type
        own = {key: value for key, value in table.items() if key not in OF_THE_TABLE}
        return (float(getattr(kind.model_validate(own), "period_s", 0.0)),)
    return ()


def _resting(table: Mapping[str, Any]) -> tuple[float, ...]:
    said = table.get("resting_period", table.get("resting_period_s"))
    with suppress(ValueError):
        return () if said is None else (parse(said, "time") if isinstance(said, str) else float(said),)
    return ()
