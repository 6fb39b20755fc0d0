"""A simulated person at the bench: understands what a prompt asks, does it to the plant, and answers after a while.

It knows actions by their words and what belongs to them by name, never the sentence that a person reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from instruments.clock import Clock
from instruments.simulation.mounting import bore_ul
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
    "switch-bath-on": ("bath_is_on", 1.0),
    "switch-bath-off": ("bath_is_on", 0.0),
    "set-bath": ("bath_setpoint_degc", "temperature_degc"),
    "set-back-pressure": ("back_pressure_kpa", "pressure_kpa"),
    "bridge-line": ("catheter_is_off", 1.0),
    "mount-catheter": ("catheter_is_off", 0.0),
    "bend-catheter": ("bend_mm", "radius_mm"),
    "straighten-catheter": ("bend_mm", 0.0),
}

MEASUREMENTS: dict[str, tuple[str, str, float, float]] = {
    # action -> truth of the plant, its unit, standard deviation of a reading, and its resolution
    "measure-height": ("transducer_height_mm", "mm", 0.3, 0.5),
    "weigh-syringe": ("syringe_shown_mg", "mg", 0.5, 1.0),
    "read-capillary": ("capillary_mm", "mm", 0.1, 0.1),
    "weigh-pump": ("pump_mass_gain_mg", "mg", 0.2, 0.1),
}

REFERENCES: dict[str, tuple[str, float]] = {
    # unit of a reference -> actuator, and standard deviation of what the reference shows against it
    "kPa": ("back_pressure_kpa", 0.005),
    "mg": ("weight_mg", 0.05),
}

BY_HAND = {"needle_mm": 5.0, "back_pressure_kpa": 5.0}
"""How fast a hand moves what cannot jump, a second, where the prompt does not say."""

GRADUATED_UL = 40_000.0
GRADUATION_UL = 100.0
GRADUATION_ERROR_UL = 200.0
"""A syringe's graduation: where its plunger stands at the start, one mark, and how far a reading may be off."""

WORK_S = {
    "change-vessel": 40.0,
    "fill-reservoir": 300.0,
    "program-pump": 60.0,
    "set-reservoir": 20.0,
    "measure-height": 20.0,
    "weigh-syringe": 30.0,
    "weigh-pump": 60.0,
    "read-capillary": 20.0,
    "set-reference": 30.0,
    "bridge-line": 60.0,
    "mount-catheter": 60.0,
    "bend-catheter": 15.0,
    "straighten-catheter": 10.0,
    "dry-catheter": 120.0,
}
"""Time that an action takes besides the reaction."""

ACTS = 0.6
"""Share of the time to the answer after which the plant feels what was done."""

BODY_DEGC = 37.0
FILLING_SD_UL = 15.0
"""Standard deviation of a filling by the difference of a syringe's weight, with what stays in the needle."""

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
        self._filled_ul = 0.0
        self._programmer = Programmer(plant.pump)
        self._actions: dict[str, Callable[[Details, float], Value]] = {
            "change-vessel": self._change_vessel,
            "fill-reservoir": self._fill_reservoir,
            "program-pump": self._programmer.program,
            "start-pump": self._programmer.start,
            "stop-pump": self._programmer.stop,
            "request-bolus": self._programmer.bolus,
            "set-reservoir": self._programmer.fill,
            "scan-vial": self._scan_vial,
            "read-syringe": self._read_syringe,
            "insert-needle": self._insert_needle,
            "withdraw-needle": self._withdraw_needle,
            "puncture-series": self._puncture_series,
            "dry-catheter": self._dry_catheter,
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
        if action == "set-reference":
            return self._set_reference(details, unit, t)
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
        true = self._plant.truth[quantity].at(t)
        if quantity == "syringe_shown_mg":
            self._take_off_syringe(t)
            sd = self._plant.draws["pusher.scale_sd_mg"]
            true *= 1.0 + self._plant.truth["scale_error"].at(t)
        return round((true + sd * z) / resolution) * resolution

    def _set_reference(self, details: Details, unit: str, t: float) -> Value:
        """Bring a reference to about a value, and say what it shows."""
        if unit not in REFERENCES:
            raise OperatorError(
                f'the simulated operator has a reference in {" and ".join(REFERENCES)}, none in "{unit}"; '
                "answer it by a file or at the window"
            )
        actuator, sd = REFERENCES[unit]
        value = number(details, "value")
        self._write(actuator, value, t)
        z = float(self._noise.normals("operator's reading", self._asked, 1)[0])
        return round(value + sd * z, 3)

    def _read_syringe(self, _: Details, t: float) -> Value:
        """Where the plunger stands on the syringe's graduation, in uL."""
        self._take_off_syringe(t)
        z = float(self._noise.generator(f"operator's graduation {self._asked}").uniform(-1.0, 1.0))
        left_ul = GRADUATED_UL - self._plant.truth["pushed_volume_ul"].at(t)
        return round((left_ul + GRADUATION_ERROR_UL * z) / GRADUATION_UL) * GRADUATION_UL

    def _take_off_syringe(self, t: float) -> None:
        """Take a syringe off to measure it, and connect one again: air fills a vacuum that it held."""
        self._write("syringe_is_off", 1.0, t)
        self._write("syringe_is_off", 0.0, t + 1.0)

    def _scan_vial(self, _: Details, t: float) -> Value:
        """What the label of the vial says, as a scanner types it."""
        drug, labelled = self._plant.text("vial.drug"), self._plant.draws["vial.concentration_ug_per_ml"]
        if drug == "none":
            return "none"
        return f"{drug} {labelled * self._plant.truth['label_factor'].at(t):.6g} ug/mL"

    # -- the needle

    def _insert_needle(self, details: Details, t: float) -> Value:
        self._move_needle(number(details, "depth_mm"), details, t)
        return DONE

    def _withdraw_needle(self, details: Details, t: float) -> Value:
        self._move_needle(0.0, details, t)
        return DONE

    def _puncture_series(self, details: Details, t: float) -> Value:
        """Puncture ``count`` times, to ``depth_mm`` and out again, one after the other."""
        depth_mm, speed = number(details, "depth_mm"), _speed(details)
        cycle_s = 2.0 * math.ceil(depth_mm / speed * 10.0 + 1.0) / 10.0
        for k in range(int(number(details, "count"))):
            self._move_needle(depth_mm, details, t + k * cycle_s)
            self._move_needle(0.0, details, t + (k + 0.5) * cycle_s)
        return DONE

    def _move_needle(self, to_mm: float, details: Details, t: float) -> None:
        needle = self._plant.actuators["needle_mm"]
        assert isinstance(needle, PlantMover)
        needle.ramp(to_mm, _speed(details), t)

    def _dry_catheter(self, _: Details, t: float) -> Value:
        """Blow the catheter out and mount it again: its bore is full of air."""
        draws = self._plant.draws
        self._write("catheter_is_off", 0.0, t)
        length_mm = draws["catheter.length_mm"] + self._plant.truth["extra_length_mm"].at(t)
        self._write("air_ul", bore_ul(length_mm, draws["catheter.bore_mm"]), t)
        self._write("air_ul", 0.0, t + 1.0)
        return DONE

    def _change_vessel(self, _: Details, t: float) -> Value:
        """Lift the vessel with what it has caught, and put one of the same kind in its place 10 s later."""
        draws, truth = self._plant.draws, self._plant.truth
        caught = truth["vessel_mass_mg"].at(t) - truth["evaporated_mg"].at(t) - truth["spilled_mg"].at(t)
        z = float(self._noise.normals("operator's vessel", self._asked, 1)[0])
        self._write("pan_mg", -(draws["vessel.glass_mass_mg"] + draws["vessel.liquid_mg"] + caught), t)
        self._write("pan_mg", VESSEL_SPREAD_MG * z - caught, t + 10.0)
        self._write("taken_mg", caught, t + 10.0)
        return DONE

    def _fill_reservoir(self, details: Details, t: float) -> Value:
        """Empty the reservoir and fill it from a weighed syringe; answers the volume at 20 degC by weight."""
        shown_ul = round(number(details, "volume_ul"))
        z = float(self._noise.normals("operator's filling", self._asked, 1)[0])
        swells = self._plant.density_kg_per_m3(20.0) / self._plant.density_kg_per_m3(BODY_DEGC)
        holds_ul = (shown_ul + FILLING_SD_UL * z) * swells
        there_ul = self._plant.truth["reservoir_volume_ul"].at(t)
        self._filled_ul += holds_ul - there_ul
        self._write("filled_ul", self._filled_ul, t)
        return float(shown_ul)

    def _write(self, name: str, value: float, t: float) -> None:
        actuator = self._plant.actuators[name]
        if name in BY_HAND and isinstance(actuator, PlantMover):
            actuator.ramp(value, BY_HAND[name], t)
        else:
            actuator.write(value, t)


def _speed(details: Details) -> float:
    """How fast the stage is to move, in mm/s."""
    return number(details, "speed_mm_per_s") if "speed_mm_per_s" in details else BY_HAND["needle_mm"]


def number(details: Details, name: str) -> float:
    """A detail that is a number; raises OperatorError."""
    value = details.get(name)
    if isinstance(value, str) or value is None:
        raise OperatorError(f'the simulated operator needs the detail "{name}", a number, and is told {value!r}')
    return float(value)
