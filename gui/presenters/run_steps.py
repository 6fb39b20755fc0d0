"""The steps of a plan in words, and how long each is planned to take."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from gui.presenters.numbers import exact_duration, rough_duration, unit_text

StepJson = Mapping[str, Any]


def _role(step: StepJson, name: str = "role") -> str:
    return str(step.get(name, "")).replace("_", " ")


def _name(step: StepJson) -> str:
    return str(step.get("name", "")).replace("-", " ").replace("_", " ").capitalize()


_SAID: dict[str, Callable[[StepJson], str]] = {
    "Phase": _name,
    "JudgedPhase": _name,
    "Condition": _name,
    "Tare": lambda step: f"Tare the {_role(step)}",
    "Program": lambda step: f"Program the {_role(step)}",
    "StartDelivery": lambda step: "Start delivery",
    "StopDelivery": lambda step: "Stop delivery",
    "ReadPump": lambda step: f"Read the {_role(step)}: {step.get('key', '')}",
    "ReadProgram": lambda step: "Read the program back",
    "SetValve": lambda step: f"{_role(step).capitalize()} {'on' if step.get('on') else 'off'}",
    "MoveValve": lambda step: f"{'Open' if step.get('is_open') else 'Close'} the {_role(step)}",
    "RequestBolus": lambda step: f"Ask for a bolus of {step.get('volume_ul'):g} {unit_text('uL')}",
    "SetPressure": lambda step: f"Set the pressure to {step.get('pressure_kpa'):g} kPa",
    "Infuse": lambda step: f"Push at {step.get('rate_ul_per_h'):g} {unit_text('uL/h')}",
    "Withdraw": lambda step: f"Draw at {step.get('rate_ul_per_h'):g} {unit_text('uL/h')}",
    "AwaitSyringe": lambda step: "Until the syringe stands",
    "HaltSyringe": lambda step: "Halt the syringe",
    "ClearSyringe": lambda step: "Clear the syringe's counts",
    "ReadSyringe": lambda step: f"Read the syringe: {step.get('key', '')}",
    "SetTemperature": lambda step: f"Set the bath to {step.get('temperature_degc'):g} {unit_text('degC')}",
    "Ask": lambda step: f"Ask: {step.get('key', '')}",
    "Confirm": lambda step: f"Ask for: {step.get('key', '')}",
}


def words(step: StepJson) -> str:
    """A step as a person calls it."""
    kind = str(step.get("step", ""))
    tell = _SAID.get(kind)
    if tell is not None:
        try:
            return tell(step)
        except (TypeError, ValueError):  # of another version
            pass
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind)
    return f"{plain.capitalize()} {_role(step)}".strip()


def is_phase(step: StepJson) -> bool:
    """Whether something is recorded for a time in it."""
    return "name" in step


def asks(step: StepJson) -> bool:
    """Whether a person has to do something for it."""
    return "allow_s" in step


def least_s(step: StepJson) -> float:
    """Shortest time that a step takes: to its first look, where it is looked at."""
    if step.get("looks_s"):
        return float(min(step["looks_s"]))
    return float((step.get("settle_s") if asks(step) else step.get("for_s")) or 0.0)


def most_s(step: StepJson) -> float:
    """Longest time that the plan allows for a step."""
    for key in ("at_most_s", "for_s", "allow_s"):
        if step.get(key) is not None:
            return float(step[key]) + (least_s(step) if asks(step) else 0.0)
    return 0.0


def planned(step: StepJson) -> str:
    """The planned time in words; empty for what takes none."""
    if asks(step):
        return "person"
    most = most_s(step)
    if most <= 0.0:
        return ""
    return exact_duration(most) if least_s(step) == most else f"≤ {exact_duration(most)}"


def awaited(step: StepJson, unit_of: Callable[[str], str]) -> str:
    """What a step waits for, in words; empty where that is only its time."""
    until = step.get("until")
    if until:
        unit = unit_text(unit_of(str(until["role"])))
        told = f"until {_role(until)} is {until['side']} {until['value']:g} {unit}".rstrip()
        return f"{told} more than in {until['relative_to']}" if until.get("relative_to") else told
    if step.get("step") == "Condition":
        unit = unit_text(unit_of(str(step["role"])))
        low, high = step.get("low"), step.get("high")
        sides = [f"above {low:g}" if low is not None else "", f"below {high:g}" if high is not None else ""]
        band = " and ".join(side for side in sides if side)
        return f"until {_role(step)} has stayed {band} {unit} for {rough_duration(least_s(step))}"
    if step.get("step") == "AwaitSyringe":
        return "until the syringe stands"
    return "waits for a person" if asks(step) else ""
