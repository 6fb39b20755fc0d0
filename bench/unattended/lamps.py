"""The outputs of the stack light, which are set apart from those that move valves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.protection import SafeStep
from bench.unattended.tables import StackLightTable
from data.nearest import did_you_mean
from data.tomlfile import FileError
from instruments.capabilities import Lamps
from instruments.instrument import Instrument


def set_apart(
    path: Path,
    light: StackLightTable,
    instruments: Mapping[str, Instrument],
    ordered: Sequence[tuple[str, Sequence[SafeStep]]],
) -> None:
    """Have each instrument take its lamps for lamps, before it is opened.

    Parameters
    ----------
    ordered : the station's lists of ordered steps, by the key under which they stand in the file.

    Raises
    ------
    FileError
        A lamp is none, or one of the ordered steps drives it.
    """
    lamps: dict[str, set[str]] = {}
    for colour, target in light.lamps.items():
        name, _, line = target.partition(".")
        there = _outputs(instruments[name]) if name in instruments else ()
        if line not in there:
            known = [f"{each}.{output}" for each in instruments for output in _outputs(instruments[each])]
            hint = did_you_mean(target, known, f"there are {', '.join(known) or 'none'}")
            raise FileError(f'{path}: key "stack_light.{colour}": there is no output "{target}"; {hint}')
        lamps.setdefault(name, set()).add(line)
    for key, steps in ordered:
        for step in steps:
            if step.valve in light.lamps.values():
                text = f'"{step.valve}" is a lamp of the stack light, which shows by itself that the bench went safe'
                raise FileError(f'{path}: key "{key}": {text}; leave the step out')
    for name, lines in lamps.items():
        instrument = instruments[name]
        if isinstance(instrument, Lamps):
            instrument.set_apart(lines)


def _outputs(instrument: Instrument) -> Sequence[str]:
    return tuple(getattr(instrument, "valve_names", ()))
