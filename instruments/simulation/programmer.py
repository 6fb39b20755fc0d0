"""A clinician's programmer in the hands of the simulated operator: programs the plant's pump, shows what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from instruments.simulation.signal import (
    BolusKind,
    DeliveryProgram,
    Mode,
    PatientRule,
    PeriodicBolus,
    ProgramError,
    ProgrammedBolus,
    PumpUnderTest,
)

T = TypeVar("T", bound=str)

Details = Mapping[str, float | str]

MODES: tuple[Mode, ...] = ("stopped", "continuous", "flex")
KINDS: tuple[BolusKind, ...] = ("single", "priming", "bridge", "patient")

UNITS = {"ul_per_h": "uL/h", "ul": "uL", "s": "s", "ug_per_ml": "ug/mL", "per_day": "1"}
"""Unit of what the programmer shows, by the end of its name."""

DIGITS = 7
"""Significant digits of its display."""


class Programmer:
    """The programmer of a pump."""

    def __init__(self, pump: PumpUnderTest) -> None:
        self._pump = pump

    def program(self, details: Details, t: float) -> str:
        """Enter a program, each value by its name; raises `ProgramError`."""
        self._pump.load(parse(details), t)
        return "done"

    def start(self, _: Details, t: float) -> str:
        """Start the programmed delivery; raises `ProgramError`."""
        self._pump.start(t)
        return "done"

    def stop(self, _: Details, t: float) -> str:
        """Stop the pump."""
        self._pump.stop(t)
        return "done"

    def fill(self, details: Details, t: float) -> str:
        """Enter what the reservoir holds; raises `ProgramError`."""
        self._pump.fill(_number(details, "volume_ul"), t)
        return "done"

    def bolus(self, details: Details, t: float) -> str:
        """Request a bolus; says "granted" or "refused"."""
        kind = _one_of(KINDS, details.get("kind"), "kind of bolus")
        answer = self._pump.bolus(_number(details, "volume_ul"), _number(details, "duration_s"), kind, t)
        return "granted" if answer == "ok" else "refused"

    def read(self, details: Details, unit: str, t: float) -> float | str:
        """Read one field off the screen, a number in ``unit``; raises `ProgramError` for what it does not show."""
        field = str(details.get("field"))
        screen = self._screen(t)
        if field == "others":
            return "nothing else" if set(str(details["asked"]).split()) >= set(self._held(t)) else "something else"
        if field not in screen:
            raise ProgramError(f'the screen shows no "{field}"', 3)
        value = screen[field]
        if isinstance(value, str):
            return value
        shown = next((name for end, name in UNITS.items() if field.endswith(end)), "1")
        if unit != shown:
            raise ProgramError(f'it shows "{field}" in {shown}, not in "{unit}"', 3)
        return float(format(value, f".{DIGITS}g"))

    def _screen(self, t: float) -> dict[str, float | str]:
        """Everything that the programmer shows."""
        state = self._pump.state(t)
        return {
            **self._held(t),
            "serial": self._pump.serial,
            "running": "running" if state.running else "stopped",
            "reservoir_ul": state.reservoir_ul,
            "alarms": ", ".join(state.alarms) or "none",
            "clock_s": state.clock_s,
        }

    def _held(self, t: float) -> dict[str, float | str]:
        """The program in the pump, each value by its name."""
        program = self._pump.program(t)
        return {} if program is None else shown(program)


def parse(details: Details) -> DeliveryProgram:
    """Program of the values that a person is told to enter; raises `ProgramError` naming what is wrong."""
    mode = _one_of(MODES, details.get("mode"), "mode")
    periodic = patient = None
    if "periodic-volume_ul" in details:
        volume, duration, interval, first = _numbers(details, "periodic", "volume_ul duration_s interval_s first_s")
        periodic = PeriodicBolus(volume, duration, interval, first)
    if "patient-volume_ul" in details:
        volume, duration, lockout, most = _numbers(details, "patient", "volume_ul duration_s lockout_s max_per_day")
        day = _one_of(("calendar", "rolling"), details.get("patient-day"), "day of the patient bolus")
        patient = PatientRule(volume, duration, lockout, int(most), "calendar" if day == "calendar" else "rolling")
    steps = [_numbers(details, f"step-{k}", "at_s rate_ul_per_h") for k in _count(details, "step", "at_s")]
    boluses = []
    for k in _count(details, "bolus", "at_s"):
        at, volume, duration = _numbers(details, f"bolus-{k}", "at_s volume_ul duration_s")
        kind = _one_of(KINDS, details.get(f"bolus-{k}-kind"), "kind of bolus")
        boluses.append(ProgrammedBolus(at, volume, duration, kind))
    return DeliveryProgram(
        mode,
        _number(details, "rate_ul_per_h") if mode == "continuous" else 0.0,
        tuple((at, rate) for at, rate in steps),
        tuple(boluses),
        periodic,
        patient,
        str(details.get("drug", "")),
        _number(details, "concentration_ug_per_ml") if "concentration_ug_per_ml" in details else None,
    )


def shown(program: DeliveryProgram) -> dict[str, float | str]:
    """The values of a program by their names."""
    values: dict[str, float | str] = {"mode": program.mode}
    if program.mode == "continuous":
        values["rate_ul_per_h"] = program.rate_ul_per_h
    for k, (at, rate) in enumerate(program.steps, 1):
        values |= {f"step-{k}-at_s": at, f"step-{k}-rate_ul_per_h": rate}
    for k, bolus in enumerate(program.boluses, 1):
        values |= {f"bolus-{k}-kind": bolus.kind, f"bolus-{k}-at_s": bolus.at_s}
        values |= {f"bolus-{k}-volume_ul": bolus.volume_ul, f"bolus-{k}-duration_s": bolus.duration_s}
    if program.periodic is not None:
        each = program.periodic
        values |= {"periodic-volume_ul": each.volume_ul, "periodic-duration_s": each.duration_s}
        values |= {"periodic-interval_s": each.interval_s, "periodic-first_s": each.first_s}
    if program.patient is not None:
        rule = program.patient
        values |= {"patient-volume_ul": rule.volume_ul, "patient-duration_s": rule.duration_s}
        values |= {"patient-lockout_s": rule.lockout_s, "patient-max_per_day": float(rule.max_per_day)}
        values["patient-day"] = rule.day
    if program.drug:
        values["drug"] = program.drug
    if program.concentration_ug_per_ml is not None:
        values["concentration_ug_per_ml"] = program.concentration_ug_per_ml
    return values


def _count(details: Details, what: str, field: str) -> list[int]:
    """Numbers of the entries of one sort, from 1 on without a hole."""
    k = 1
    while f"{what}-{k}-{field}" in details:
        k += 1
    return list(range(1, k))


def _numbers(details: Details, what: str, fields: str) -> list[float]:
    return [_number(details, f"{what}-{field}") for field in fields.split()]


def _number(details: Details, name: str) -> float:
    value = details.get(name)
    if isinstance(value, str) or value is None:
        raise ProgramError(f'"{name}" is {value!r} and should be a number', 3)
    return float(value)


def _one_of(known: tuple[T, ...], word: object, what: str) -> T:
    found = next((one for one in known if one == word), None)
    if found is None:
        raise ProgramError(f"{word!r} is no {what}", 3)
    return found
