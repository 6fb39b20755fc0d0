"""A simulated person at the bench: understands what a prompt asks, does it to the plant, and answers after a while.

It knows actions by their words and what belongs to them by name, never the sentence that a person reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from instruments.clock import Clock
from instruments.simulation.noise import Noise
from instruments.simulation.plant import Plant, PlantMover
from instruments.simulation.programmer import Programmer
from instruments.simulation.signal import ProgramError

Details = Mapping[str, float | str]
Value = float | str

DONE = "done"

SETTINGS: dict[str, tuple[str, float | str]] = {
    # action -> actuator, and its value or the name of the detail that gives it
    "place-weight": ("weight_mg", "mass_mg"),
    "remove-weight": ("weight_mg", 0.0),
    "open-door": ("door_open", 1.0),
    "close-door": ("door_open", 0.0),
    "press-e-stop": ("e_stop", 1.0),
    "release-e-stop": ("e_stop", 0.0),
    "insert-needle": ("needle_mm", "depth_mm"),
    "withdraw-needle": ("needle_mm", 0.0),
    "switch-bath-on": ("bath_is_on", 1.0),
    "switch-bath-off": ("bath_is_on", 0.0),
    "set-bath": ("bath_setpoint_degc", "temperature_degc"),
    "set-back-pressure": ("back_pressure_kpa", "pressure_kpa"),
}

MEASUREMENTS: dict[str, tuple[str, str, float, float]] = {
    # action -> truth of the plant, its unit, standard deviation of a reading, and its resolution
    "measure-height": ("transducer_height_mm", "mm", 0.3, 0.5),
    "weigh-syringe": ("syringe_mass_mg", "mg", 0.5, 1.0),
}

BY_HAND = {"needle_mm": 5.0, "back_pressure_kpa": 5.0}
"""How fast a hand moves what cannot jump, a second."""

WORK_S = {"change-vessel": 40.0, "program-pump": 60.0, "measure-height": 20.0, "weigh-syringe": 30.0}
"""Time that an action takes besides the reaction."""

ACTS = 0.6
"""Share of the time to the answer after which the plant feels what was done."""

VESSEL_SPREAD_MG = 50.0
"""Standard deviation of the mass of a vessel of the same kind."""


class OperatorError(ValueError):
    """The simulated operator cannot do or measure this; the sentence says what."""


class SimulatedOperator:
    """The person at a simulated bench.

    Parameters
    ----------
    seed : decides every reaction time and every error of reading.
    reaction_s : median of the reaction time, whose logarithm is normal with the standard deviation ``spread``.
    """

    def __init__(self, plant: Plant, clock: Clock, seed: int, *, reaction_s: float = 12.0, spread: float = 0.4) -> None:
        if not reaction_s > 0.0 or not spread >= 0.0:
            raise ValueError(f"reaction_s is {reaction_s:g} and spread {spread:g}; both are positive numbers")
        self._plant = plant
        self._clock = clock
        self._noise = Noise(seed)
        self._reaction_s = reaction_s
        self._spread = spread
        self._asked = 0
        self._programmer = Programmer(plant.pump)
        self._actions: dict[str, Callable[[Details, float], Value]] = {
            "change-vessel": self._change_vessel,
            "program-pump": self._programmer.program,
            "start-pump": self._programmer.start,
            "stop-pump": self._programmer.stop,
            "request-bolus": self._programmer.bolus,
        }

    def respond(self, action: str, kind: str, unit: str, details: Details, asked_s: float) -> tuple[float, Value]:
        """Do what is asked, and say what a person would say, and when.

        Parameters
        ----------
        kind : "confirm" is answered by "done", "number" by a number in ``unit``, "text" by words.
        details : what belongs to the action, by name.
        asked_s : clock time of the question.

        Raises
        ------
        OperatorError
            The action, or what belongs to it, is unknown, or the pump refuses it.
        """
        self._asked += 1
        z = float(self._noise.normals("operator's reaction", self._asked, 1)[0])
        takes_s = self._reaction_s * math.exp(self._spread * z) + WORK_S.get(action, 0.0)
        try:
            value = self._do(action, kind, unit, details, asked_s + ACTS * takes_s)
        except ProgramError as error:
            raise OperatorError(f"the programmer refuses {action}: {error}") from None
        return asked_s + takes_s, value

    def _do(self, action: str, kind: str, unit: str, details: Details, t: float) -> Value:
        if action in SETTINGS:
            return self._set(*SETTINGS[action], details, t)
        if action in MEASUREMENTS:
            return self._measure(*MEASUREMENTS[action], unit, t)
        if action in self._actions:
            return self._actions[action](details, t)
        if action == "read-programmer":
            return self._programmer.read(details, unit, t)
        if kind == "confirm":
            return DONE
        asked = f"how to {action}" if action else "what is asked"
        raise OperatorError(f"the simulated operator does not know {asked}; answer it by a file or at the window")

    def _set(self, actuator: str, value: float | str, details: Details, t: float) -> Value:
        """Move something of the plant."""
        self._write(actuator, number(details, value) if isinstance(value, str) else value, t)
        return DONE

    def _measure(self, quantity: str, its_unit: str, sd: float, resolution: float, unit: str, t: float) -> Value:
        """Read something off, with an error, to the resolution of the rule or balance in hand."""
        if unit != its_unit:
            raise OperatorError(f'the simulated operator measures this in {its_unit}, not in "{unit}"')
        z = float(self._noise.normals("operator's reading", self._asked, 1)[0])
        return round((self._plant.truth[quantity].at(t) + sd * z) / resolution) * resolution

    def _change_vessel(self, _: Details, t: float) -> Value:
        """Lift the vessel with what it has caught, and put one of the same kind in its place 10 s later."""
        draws, truth = self._plant.draws, self._plant.truth
        caught = truth["vessel_mass_mg"].at(t) - truth["evaporated_mg"].at(t) - truth["spilled_mg"].at(t)
        z = float(self._noise.normals("operator's vessel", self._asked, 1)[0])
        self._write("pan_mg", -(draws["vessel.glass_mass_mg"] + draws["vessel.liquid_mg"] + caught), t)
        self._write("pan_mg", VESSEL_SPREAD_MG * z - caught, t + 10.0)
        return DONE

    def _write(self, name: str, value: float, t: float) -> None:
        actuator = self._plant.actuators[name]
        if name in BY_HAND and isinstance(actuator, PlantMover):
            actuator.ramp(value, BY_HAND[name], t)
        else:
            actuator.write(value, t)


def number(details: Details, name: str) -> float:
    """A detail that is a number; raises OperatorError."""
    value = details.get(name)
    if isinstance(value, str) or value is None:
        raise OperatorError(f'the simulated operator needs the detail "{name}", a number, and is told {value!r}')
    return float(value)
