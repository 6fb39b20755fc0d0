"""What a station file says of going safe: interlocks, the ordered steps, and what protects where software cannot."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from data import quantities
from data.quantity_fields import PressureKpa, Stated, TimeS, reads
from data.samples import Quality
from data.units import DimensionName, dimensions_of
from instruments.capabilities import PressureController, SyringePump, TemperatureBath, Valve
from instruments.clock import WALL_HORIZON_S
from instruments.instrument import Instrument
from protocols.interlock import Action, Armed, Interlock

LONGEST_WAIT_S = 5.0
"""Longest single wait in a safe state: who waits longer is not going safe."""

LEAST_SAMPLES = 2.0
"""A channel is not lost before it has missed this many samples."""

LATENCY_S = 2.0 * WALL_HORIZON_S
"""A sample is judged this much later than it was taken: the block in which it is read, and as long to read that."""

LONGEST_WITHIN_S = 10.0
"""Longest time that one step may take before the next one goes on."""

_PHASE = "phase:"
_DONE = {"halt": "halted", "vent": "vented", "isolate": "isolated", "keep": "kept as it is", "off": "switched off"}

ComplianceUlPerKpa = Annotated[float, reads("compliance")]
QualityName = Literal["saturated", "overload", "underload", "frozen", "device-error", "air", "out-of-band"]


def _armed(value: Any) -> Any:
    """Read "always", "delivery", "phase:rise" or a list of such phases."""
    if value in ("always", "delivery"):
        return value
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts:
        raise ValueError(f'{value!r} is no arming; write "always", "delivery", "phase:NAME" or a list of phases')
    for text in texts:
        if not (isinstance(text, str) and text.startswith(_PHASE) and text != _PHASE):
            raise ValueError(f'{text!r} is no phase; write "phase:NAME", such as "phase:rise"')
    return tuple(text.removeprefix(_PHASE) for text in texts)


class InterlockTable(Stated):
    """One interlock; quantities are in the unit of the channel that it watches."""

    channel: str
    low: str | None = None
    high: str | None = None
    quality: list[QualityName] = Field([])
    action: Action = "stop"
    reset_band: str | None = None
    slew: str | None = None  # "50 kPa/min"
    reaction_s: TimeS = Field(0.15, alias="reaction")
    max_outage_s: TimeS | None = Field(None, alias="max_outage")
    armed: Annotated[Armed, BeforeValidator(_armed)] = "always"
    settle_s: TimeS = Field(0.0, alias="settle", ge=0.0)
    flags: list[str] = Field([])


class SafeStep(Stated):
    """One step of an ordered list: a valve to a position, an instrument to what it can do, or a short wait.

    ``phases`` are those for which it stands; a step without them stands for every phase that has no list of its own.
    The next step goes on after ``within`` at the latest.
    """

    valve: str | None = None
    on: bool | None = None
    instrument: str | None = None
    do: Literal["halt", "vent", "isolate", "keep", "off"] | None = None
    wait_s: TimeS | None = Field(None, alias="wait", gt=0.0, le=LONGEST_WAIT_S)
    phases: list[str] = Field([])
    within_s: TimeS = Field(1.0, alias="within", gt=0.0, le=LONGEST_WITHIN_S)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        parts = (("valve", "on"), ("instrument", "do"), ("wait_s",))
        given = [all(getattr(self, key) is not None for key in part) for part in parts]
        there = [key for part in parts for key in part if getattr(self, key) is not None]
        if sum(given) != 1 or len(there) > 2 or (given[2] and len(there) > 1):
            raise ValueError('a step is either valve = "daq.vent" and on, or instrument = "pusher" and do, or wait')
        return self

    @property
    def target(self) -> str:
        """The valve or instrument; "" for a wait."""
        return self.valve or self.instrument or ""

    @property
    def instrument_name(self) -> str:
        """The instrument that does it; "" for a wait."""
        return self.target.partition(".")[0]

    @property
    def said(self) -> str:
        """The step in words."""
        if self.valve is not None:
            return f"valve {self.valve} {'energised' if self.on else 'released'}"
        return f"waited {self.wait_s:g} s" if self.do is None else f"{self.instrument}: {_DONE[self.do]}"


class Protection(Stated):
    """What protects the bench where software cannot.

    ``relief`` is the set pressure of the relief valve, ``relief_valve`` which one it is, ``vent`` the normally-open
    valve that opens the pressurised line, ``proof`` what the weakest part of it holds, ``compliance`` its volume a
    pressure.  ``supply`` is the valve between a pressure controller and the line: without current the line is shut off
    from it, since a controller whose computer is gone regulates for ever.
    ``interlock`` names the one that stops a pusher or a controller, ``e_stop`` that of the emergency stop's input.
    """

    relief_kpa: PressureKpa | None = Field(None, alias="relief")
    relief_valve: str = ""
    vent: str | None = None
    supply: str | None = None
    proof_kpa: PressureKpa | None = Field(None, alias="proof")
    compliance_ul_per_kpa: ComplianceUlPerKpa | None = Field(None, alias="compliance", gt=0.0)
    interlock: str | None = None
    e_stop: str | None = None


def interlock(name: str, table: InterlockTable, unit: str, interval_s: float) -> Interlock:
    """The interlock of a table.

    Parameters
    ----------
    unit : of the channel that it watches.
    interval_s : spacing of the channel's samples.

    Raises
    ------
    ValueError
        A quantity cannot be read or makes no sense; says what to write.
    """
    low, high = (None if text is None else quantities.parse(text, _dimension(unit)) for text in (table.low, table.high))
    if short := too_short(table.channel, table.max_outage_s, interval_s):
        raise ValueError(short)
    bits = Quality.GOOD
    for quality in table.quality:
        bits |= Quality[quality.upper().replace("-", "_")]
    return Interlock(
        name,
        table.channel,
        low,
        high,
        action=table.action,
        slew_per_s=None if table.slew is None else _slew(table.slew, unit),
        reaction_s=table.reaction_s,
        max_outage_s=table.max_outage_s,
        armed=table.armed,
        reset_band=0.0 if table.reset_band is None else _difference(table.reset_band, unit),
        quality=bits,
        settle_s=table.settle_s,
        flags=tuple(table.flags),
    )


def too_short(channel: str, outage_s: float | None, interval_s: float) -> str:
    """Why a channel cannot be said to be lost so soon, and what to write; "" where it can.

    Parameters
    ----------
    outage_s : how long the channel may give no good sample.
    interval_s : spacing of its samples.
    """
    least_s = max(LEAST_SAMPLES * interval_s, interval_s + LATENCY_S)
    if outage_s is None or outage_s >= least_s * (1.0 - 1e-9):
        return ""
    least = f"{math.ceil(least_s * 1e3 - 1e-6) / 1e3:g} s"
    comes = f"a sample of it comes each {interval_s:g} s and is judged up to {LATENCY_S:g} s later"
    lost = f"max_outage = {outage_s:g} s would find {channel} lost although it is not, since {comes}"
    return f'{lost}; write at least "{least}", or sample it more often'


def unfit(step: SafeStep, instrument: Instrument) -> str:
    """Why an instrument cannot do a step; "" when it can."""
    if step.valve is not None:
        name = step.valve.partition(".")[2]
        there = getattr(instrument, "valve_names", ())
        if not isinstance(instrument, Valve) or name not in there:
            return f'there is no valve "{step.valve}"; {instrument.name} has {", ".join(there) or "none"}'
        return ""
    needed: dict[str, type[Any]] = {"halt": SyringePump, "vent": PressureController, "isolate": PressureController}
    wanted = needed.get(step.do or "", TemperatureBath)
    if not isinstance(instrument, wanted):
        return f'"{instrument.name}" cannot {step.do}, since it is no {wanted.__name__}; name another instrument'
    return ""


def _slew(text: str, unit: str) -> float:
    """Read such a text as "50 kPa/min", in the channel's unit a second."""
    amount, slash, per = text.rpartition("/")
    if not slash:
        raise ValueError(f'"{text}" is no rate of change; write it like "50 kPa/min"')
    return _difference(amount, unit) / quantities.parse(f"1 {per}", "time")


def _difference(text: str, unit: str) -> float:
    """Read a difference in the channel's unit; one of temperatures may be written in K or in degC."""
    if unit == "degC" and text.split()[-1:] == ["K"]:
        return quantities.parse(text, "temperature-difference")
    if unit == "degC" and text.split()[-1:] == ["degF"]:
        raise ValueError(f'"{text}" is a temperature, not a difference; write it in K')
    return quantities.parse(text, _dimension(unit))


def _dimension(unit: str) -> DimensionName:
    """Dimension of which a channel's unit is our unit."""
    for dimension in dimensions_of(unit):
        if dimension.unit == unit:
            return dimension.name
    raise ValueError(f'a channel in "{unit}" cannot have limits')
