"""The faults that the simulated bench can have: whose they are, what their severity means, when they begin.

``docs/faults.toml`` says the same with how each one shows; a test keeps the two together.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # numpy is not needed to name a fault
    from instruments.simulation.signal import Owner


class FaultError(ValueError):
    """A fault is unknown, or its severity or time is out of range."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault; ``where`` says who makes it happen: the plant, or an instrument's wire."""

    name: str
    owner: Owner
    where: Literal["plant", "wire"]
    severity: float
    low: float
    high: float
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault of a run: its name, severity, and onset in s on the run's clock."""

    name: str
    severity: float
    at_s: float = 0.0


def _kinds() -> Iterable[FaultKind]:
    yield FaultKind(
        "over-delivery", "dut", "plant", 1.25, 1.0, 10.0, "1", "The pump delivers this multiple of what is programmed."
    )
    yield FaultKind(
        "under-delivery", "dut", "plant", 0.75, 0.0, 1.0, "1", "The pump delivers this share of what is programmed."
    )
    yield FaultKind("motor-stall", "dut", "plant", 1.0, 1.0, 1.0, "1", "The motor stops for good.")
    yield FaultKind(
        "reset-to-minimum-rate",
        "dut",
        "plant",
        1.0,
        1.0,
        1.0,
        "1",
        "The pump forgets its program and goes on at its minimum rate.",
    )
    yield FaultKind(
        "free-flow",
        "dut",
        "plant",
        5000.0,
        1.0,
        1.0e6,
        "uL/h",
        "The reservoir empties through the pump; flow at the nominal reservoir pressure.",
    )
    yield FaultKind("battery-low", "dut", "plant", 1.0, 1.0, 1.0, "1", "The pump's battery nears its end of service.")
    yield FaultKind(
        "pump-clock-offset", "dut", "plant", 3600.0, -43200.0, 43200.0, "s", "The pump's clock jumps by this."
    )
    yield FaultKind(
        "pocket-fill",
        "dut",
        "plant",
        0.2,
        0.0,
        1.0,
        "1",
        "This share of what is injected into the refill port goes beside it.",
    )
    yield FaultKind(
        "leak",
        "catheter",
        "plant",
        0.3,
        0.001,
        1.0,
        "1",
        "This share of the flow is lost after the flow sensor, before the vessel.",
    )
    yield FaultKind("occlusion", "catheter", "plant", 1.0, 1.0, 1.0, "1", "The tip of the catheter is closed.")
    yield FaultKind(
        "kink", "catheter", "plant", 1000.0, 1.0, 1.0e9, "1", "The catheter's resistance is this multiple of itself."
    )
    yield FaultKind(
        "dry-evaporation-trap",
        "rig",
        "plant",
        3.0,
        0.0,
        50.0,
        "mg/h",
        "The vessel evaporates at this rate at reference conditions.",
    )
    yield FaultKind("bath-off", "rig", "plant", 1.0, 1.0, 1.0, "1", "The heater of the bath is off.")
    yield FaultKind(
        "sensor-drift",
        "rig",
        "plant",
        0.5,
        -2.0,
        2.0,
        "1/day",
        "The gain of the flow sensor changes by this share a day.",
    )
    yield FaultKind(
        "balance-drift", "rig", "plant", 5.0, -50.0, 50.0, "mg/h", "The zero of the reference balance moves by this."
    )
    yield FaultKind(
        "air-bubble", "rig", "plant", 50.0, 0.1, 1000.0, "uL", "A bubble of this volume travels down the line."
    )
    yield FaultKind(
        "rig-leak",
        "rig",
        "plant",
        20.0,
        0.001,
        1.0e5,
        "uL/h",
        "The line leaks to ambient at the pump's outlet; flow that is lost at 100 kPa.",
    )
    yield FaultKind("valve-stuck-open", "rig", "plant", 1.0, 1.0, 1.0, "1", "The outlet valve is open, come what may.")
    yield FaultKind(
        "valve-stuck-closed", "rig", "plant", 1.0, 1.0, 1.0, "1", "The outlet valve is closed, come what may."
    )
    yield FaultKind(
        "wrong-height",
        "rig",
        "plant",
        200.0,
        -2000.0,
        2000.0,
        "mm",
        "The outlet transducer stands this much higher than the station states.",
    )
    yield FaultKind(
        "vessel-overflow",
        "rig",
        "plant",
        5500.0,
        1.0,
        1.0e6,
        "uL",
        "The vessel holds no more than this, its filling at the start included; the rest runs off.",
    )
    yield FaultKind("auto-zero", "rig", "plant", 1.0, 1.0, 1.0, "1", "The reference balance tracks its zero.")
    yield FaultKind(
        "auto-adjust",
        "rig",
        "plant",
        -50.0,
        -1000.0,
        1000.0,
        "1e-6",
        "The reference balance adjusts itself, which changes its gain by this.",
    )
    yield FaultKind("out-of-level", "rig", "plant", 0.5, 0.0, 5.0, "deg", "The reference balance is tilted by this.")
    yield FaultKind("e-stop", "rig", "plant", 1.0, 1.0, 1.0, "1", "Somebody presses the emergency stop.")
    yield FaultKind(
        "unplug", "rig", "wire", 1.0, 0.0, 1.0, "1", "Probability per transaction that an instrument is not there."
    )
    yield FaultKind(
        "garbled-reply", "rig", "wire", 0.01, 0.0, 1.0, "1", "Probability per transaction that a reply is damaged."
    )
    yield FaultKind(
        "frozen-reading",
        "rig",
        "wire",
        1.0,
        0.0,
        1.0,
        "1",
        "Probability per transaction that the last reply comes again.",
    )


FAULTS: dict[str, FaultKind] = {kind.name: kind for kind in _kinds()}
"""Every kind of fault by name."""


def kind_of(name: str) -> FaultKind:
    """The kind of fault of this name; raises `FaultError` naming the nearest one."""
    kind = FAULTS.get(name)
    if kind is None:
        close = difflib.get_close_matches(name, FAULTS, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(FAULTS)}"
        raise FaultError(f'there is no fault "{name}"; {hint}')
    return kind


def fault(name: str, severity: float | None = None, at_s: float = 0.0) -> FaultSpec:
    """A checked fault; without a severity the default of its kind.

    Raises
    ------
    FaultError
        for an unknown name, a severity out of range, or an onset before the start of the run.
    """
    kind = kind_of(name)
    chosen = kind.severity if severity is None else severity
    if not kind.low <= chosen <= kind.high:
        unit = "" if kind.unit == "1" else f" {kind.unit}"
        raise FaultError(f'fault "{name}": severity {chosen:g} is outside {kind.low:g} to {kind.high:g}{unit}')
    if not 0.0 <= at_s < math.inf:
        raise FaultError(f'fault "{name}": it cannot begin at {at_s:g} s; give a time from the start of the run')
    return FaultSpec(name, chosen, at_s)
