"""The faults that the simulated bench can have: whose they are, what their severity means, when they begin and end.

``docs/faults.toml`` says the same with how each one shows; a test keeps the two together.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:  # numpy is not needed to name a fault
    from instruments.simulation.signal import Owner


class FaultError(ValueError):
    """A fault is unknown, or its severity or time is out of range."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault; ``where`` says who makes it happen: the plant, a VISA instrument's wire, or the NI devices."""

    name: str
    owner: Owner
    where: Literal["plant", "wire", "daq"]
    severity: float
    low: float
    high: float
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault of a run.

    Attributes
    ----------
    at_s : onset in s on the run's clock.
    for_s : how long it may strike; one of the plant stays for ever.
    instrument : which of the station it strikes; each one without a name.
    """

    name: str
    severity: float
    at_s: float = 0.0
    for_s: float = math.inf
    instrument: str = ""

    @property
    def until_s(self) -> float:
        """When it is over."""
        return self.at_s + self.for_s


class Window(Protocol):
    """What may strike from one moment until before another."""

    @property
    def from_s(self) -> float:
        """When it begins."""

    @property
    def until_s(self) -> float:
        """When it is over."""


W = TypeVar("W", bound=Window)


class Windows(Generic[W]):
    """Which of many faults may strike now: they are looked through only when one begins or ends.

    Parameters
    ----------
    faults : with their windows; each is known by its place among them.
    """

    def __init__(self, faults: Sequence[W]) -> None:
        self._faults = faults
        self._open: tuple[tuple[int, W], ...] = ()
        self._since_s = self._before_s = math.inf

    def at(self, now: float) -> tuple[tuple[int, W], ...]:
        """(place, fault) of those whose window holds a moment."""
        if not self._since_s <= now < self._before_s:
            edges = [edge for fault in self._faults for edge in (fault.from_s, fault.until_s)]
            self._since_s = max((edge for edge in edges if edge <= now), default=-math.inf)
            self._before_s = min((edge for edge in edges if edge > now), default=math.inf)
            places = enumerate(self._faults)
            self._open = tuple((place, fault) for place, fault in places if fault.from_s <= now < fault.until_s)
        return self._open


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
    yield FaultKind(
        "weak-rollers", "dut", "plant", 40.0, 1.0, 150.0, "kPa", "The rollers slip from this outlet pressure on."
    )
    yield FaultKind(
        "no-occlusion-alarm", "dut", "plant", 1.0, 1.0, 1.0, "1", "The pump's occlusion alarm does not sound."
    )
    yield FaultKind("battery-low", "dut", "plant", 1.0, 1.0, 1.0, "1", "The pump's battery nears its end of service.")
    yield FaultKind(
        "pump-clock-offset", "dut", "plant", 3600.0, -43200.0, 43200.0, "s", "The pump's clock jumps by this."
    )
    yield FaultKind(
        "late-start",
        "dut",
        "plant",
        1200.0,
        1.0,
        86400.0,
        "s",
        "The rotor sticks for this long after each start; what is programmed meanwhile is lost.",
    )
    yield FaultKind(
        "set-point-overshoot",
        "dut",
        "plant",
        1.5,
        1.0,
        10.0,
        "1",
        "The pump delivers this multiple of what is programmed for half an hour after each change of its program.",
    )
    yield FaultKind(
        "lockout-ignored", "dut", "plant", 1.0, 1.0, 1.0, "1", "The pump grants a patient's bolus within the lockout."
    )
    yield FaultKind(
        "daily-maximum-ignored",
        "dut",
        "plant",
        1.0,
        1.0,
        1.0,
        "1",
        "The pump grants a patient's bolus beyond the daily maximum.",
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
        100.0,
        "1",
        "The tube leaks after the flow sensor, whatever flows: this share of 1 mL/day under the head of the vessel.",
    )
    yield FaultKind("occlusion", "catheter", "plant", 1.0, 1.0, 1.0, "1", "The tip of the catheter is closed.")
    yield FaultKind(
        "kink", "catheter", "plant", 1000.0, 1.0, 1.0e9, "1", "The catheter's resistance is this multiple of itself."
    )
    yield from _catheter_kinds()
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
    yield from _refill_kinds()
    yield from _wire_kinds()
    yield from _daq_kinds()


def _catheter_kinds() -> Iterable[FaultKind]:
    """What forced flow, pressure decay, bends and priming find at a catheter."""
    rows: tuple[tuple[str, Owner, float, float, float, str, str], ...] = (
        (
            "catheter-leak",
            "catheter",
            20.0,
            0.001,
            1.0e5,
            "uL/h",
            "The catheter leaks to ambient; flow that is lost at 100 kPa.",
        ),
        ("disconnect", "catheter", 1.0, 1.0, 1.0, "1", "The catheter comes off the pump."),
        ("tip-dislodged", "catheter", 1.0, 1.0, 1.0, "1", "The tip sees ambient pressure, whatever is held around it."),
        ("kinks-early", "catheter", 1.6, 0.1, 10.0, "1", "The catheter kinks at this multiple of its kink radius."),
        (
            "wrong-length",
            "record",
            100.0,
            -900.0,
            10000.0,
            "mm",
            "The catheter is longer by this than its file says.",
        ),
    )
    for name, owner, severity, low, high, unit, what in rows:
        yield FaultKind(name, owner, "plant", severity, low, high, unit, what)


def _refill_kinds() -> Iterable[FaultKind]:
    """What goes wrong at a refill: at the port, with the needle, the filling, the program, the count, the scale."""
    rows: tuple[tuple[str, Owner, float, float, float, str, str], ...] = (
        ("septum-coring", "dut", 1000.0, 1.0, 1.0e6, "1", "The septum leaks this multiple of what its punctures make."),
        (
            "over-fill",
            "dut",
            -3000.0,
            -19000.0,
            20000.0,
            "uL",
            "The reservoir's valve closes so far above its capacity.",
        ),
        (
            "reservoir-count",
            "dut",
            3000.0,
            -40000.0,
            40000.0,
            "uL",
            "The pump stores so much more than it was filled with.",
        ),
        ("short-needle", "rig", 5.0, 0.5, 30.0, "mm", "The refill needle is too short by this."),
        ("needle-beside-port", "rig", 1.0, 1.0, 1.0, "1", "The refill needle goes beside the port."),
        ("syringe-scale", "rig", 0.05, -0.5, 0.5, "1", "The scale for syringes reads so much too high."),
        (
            "wrong-concentration",
            "record",
            4.0,
            0.01,
            100.0,
            "1",
            "The vial holds, and says, this multiple of the order.",
        ),
        (
            "programming-error",
            "record",
            2.0,
            0.01,
            100.0,
            "1",
            "Somebody changes the rates of a started pump to this multiple.",
        ),
    )
    for name, owner, severity, low, high, unit, what in rows:
        yield FaultKind(name, owner, "plant", severity, low, high, unit, what)


def _wire_kinds() -> Iterable[FaultKind]:
    """What strikes the wire of a VISA instrument, by the transaction."""
    for name, severity, what in (
        ("unplug", 1.0, "that an instrument is not there"),
        ("reboot", 0.01, "that an instrument loses its power for a moment and starts anew"),
        ("dropped-reply", 0.1, "that no reply comes"),
        ("late-reply", 0.1, "that a reply comes 3 s late"),
        ("truncated-reply", 0.1, "that a reply ends early"),
        ("garbled-reply", 0.01, "that a reply is damaged"),
        ("flipped-bit", 0.1, "that one bit of a reply is wrong"),
        ("doubled-reply", 0.1, "that a reply comes twice"),
        ("unsolicited-message", 0.1, "that a message that nobody asked for comes before the reply"),
        ("lf-only", 0.1, "that a line ends with LF instead of CR LF"),
        ("frozen-reading", 1.0, "that the last reply comes again"),
        ("saturated-reading", 0.1, "that the reading is beyond the range"),
    ):
        yield FaultKind(name, "rig", "wire", severity, 0.0, 1.0, "1", f"Probability per transaction {what}.")


def _daq_kinds() -> Iterable[FaultKind]:
    """What strikes the NI devices, by the call."""
    for name, what in (
        ("daq-overflow", "that the device had nowhere to put its samples"),
        ("daq-timeout", "that a read gets only a part of what was acquired"),
        ("daq-removed", "that a module or a cable is pulled"),
        ("daq-reset", "that a module or a chassis is reset and its outputs go off"),
    ):
        yield FaultKind(name, "rig", "daq", 1.0, 0.0, 1.0, "1", f"Probability per call {what}.")


FAULTS: dict[str, FaultKind] = {kind.name: kind for kind in _kinds()}
"""Every kind of fault by name."""


def kind_of(name: str) -> FaultKind:
    """The kind of fault of this name; raises `FaultError` naming the nearest one."""
    kind = FAULTS.get(name)
    if kind is None:
        close = difflib.get_close_matches(name.casefold(), FAULTS, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(FAULTS)}"
        raise FaultError(f'there is no fault "{name}"; {hint}')
    return kind


def fault(
    name: str, severity: float | None = None, at_s: float = 0.0, for_s: float = math.inf, instrument: str = ""
) -> FaultSpec:
    """A checked fault; without a severity the default of its kind.

    Raises
    ------
    FaultError
        for an unknown name, a severity out of range, an onset before the start of the run, and for an end or an
        instrument where there can be none.
    """
    kind = kind_of(name)
    chosen = kind.severity if severity is None else severity
    if not kind.low <= chosen <= kind.high:
        unit = "" if kind.unit == "1" else f" {kind.unit}"
        raise FaultError(f'fault "{name}": severity {chosen:g} is outside {kind.low:g} to {kind.high:g}{unit}')
    if not 0.0 <= at_s < math.inf:
        raise FaultError(f'fault "{name}": it cannot begin at {at_s:g} s; give a time from the start of the run')
    if not for_s > 0.0:
        raise FaultError(f'fault "{name}": it cannot last {for_s:g} s; give a duration above 0 s, or none')
    if kind.where == "plant" and for_s < math.inf:
        raise FaultError(f'fault "{name}" does not end by itself, as those of wires and DAQ do; leave its duration out')
    if kind.where == "plant" and instrument:
        raise FaultError(f'fault "{name}" is in the plant, not at an instrument; leave "/{instrument}" out')
    return FaultSpec(name, chosen, at_s, for_s, instrument)
