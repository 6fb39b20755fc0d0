"""The plant's signals: what each one is, its unit, and the noise at its terminals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from instruments.simulation.grid import CHUNK, Forced, Timeline
from instruments.simulation.model import Columns, Model
from instruments.simulation.properties import pt100_ohm, thermocouple_v
from instruments.simulation.signal import FloatArray

ANTI_ALIAS_S = 1.0 / (2.0 * np.pi * 50.0)
"""Time constant of the 50 Hz low pass before a converter: read faster than that, noise hangs together."""

Smooth = Callable[[Columns, int], FloatArray]
"""A signal without its noise at the n + 1 grid points of a chunk that begins at a grid index."""


@dataclass(frozen=True, slots=True)
class Output:
    """One signal.

    ``noise`` is the standard deviation of a sample at any rate, which hangs together over the time constant
    ``noise_s`` of the low pass that it went through; ``noise_sqrt_s`` is the standard deviation of the mean over 1 s
    of a sensor that averages between its samples; ``held`` says that values are held, not interpolated.  What is known
    at any moment, not at grid points alone, has ``moment``: from places on the grid (shares of an index) to values.
    """

    name: str
    unit: str
    description: str
    smooth: Smooth
    noise: float = 0.0
    noise_s: float = 0.0
    noise_sqrt_s: float = 0.0
    held: bool = False
    moment: Callable[[FloatArray], FloatArray] | None = None


def outputs(model: Model) -> Iterator[Output]:
    """All signals of a plant; the names of those that no instrument sees begin with ``truth_``."""
    yield from _weighing(model)
    yield from _flow(model)
    yield from _pressures(model)
    yield from _pressure_instruments(model)
    yield from _temperatures(model)
    yield from _climate_instruments(model)
    yield from _stage(model)
    yield from _digital(model)
    yield from _truth(model)


def _column(name: str) -> Smooth:
    return lambda columns, _: columns[name]


def _at_any_moment(moment: Callable[[FloatArray], FloatArray]) -> Smooth:
    return lambda _, k0: moment(np.arange(k0, k0 + CHUNK + 1, dtype=np.float64))


def _setting(setting: Timeline | Forced) -> Smooth:
    return lambda _, k0: setting.over(k0 - 1, k0 + CHUNK)


def _weighing(model: Model) -> Iterator[Output]:
    d = model.draws
    noise = float(np.hypot(d["balance.noise_mg"], d["balance.vibration_mg"]))
    over_s = d["balance.filter_s"]
    for name, whose in (("reference", "reference balance"), ("twin", "balance of the twin vessel")):
        column = _column(f"{name}_mg")
        yield Output(f"{name}_load_mg", "mg", f"{whose} before tare and rounding", column, noise, over_s)


def _flow(model: Model) -> Iterator[Output]:
    d = model.draws
    yield Output(
        "flow_nl_per_min",
        "nL/min",
        "flow sensor before rounding and saturation",
        _column("flow"),
        noise_sqrt_s=d["flow_sensor.noise_nl_per_min_sqrt_s"],
    )
    yield Output("flow_air", "1", "1 while air is in the flow sensor", _column("air"), held=True)
    yield Output("flow_temperature_degc", "degC", "temperature of the flow sensor", _column("lab_degc"))


def _pressures(model: Model) -> Iterator[Output]:
    names = {
        "outlet_transducer": ("outlet_pressure_v_per_v", "V/V", "bridge ratio of the pump's outlet pressure"),
        "reservoir_transducer": ("reservoir_pressure_v", "V", "reservoir pressure"),
        "back_pressure_transducer": ("back_pressure_a", "A", "pressure at the outlet, 4-20 mA"),
    }
    for section, (name, unit, description) in names.items():
        transducer = model.transducers[section]

        def smooth(columns: Columns, k0: int, section: str = section) -> FloatArray:
            return model.transducers[section].output(columns[section], columns["lab_degc"], k0)

        yield Output(name, unit, description, smooth, transducer.noise, ANTI_ALIAS_S)
    low, span = model.draws["barometer.low_hpa"], model.draws["barometer.high_hpa"] - model.draws["barometer.low_hpa"]
    error = model.draws["barometer.error_hpa"]
    yield Output(
        "barometer_v",
        "V",
        "ambient pressure, 0-5 V",
        lambda columns, _: (columns["pressure_hpa"] + error - low) * (5.0 / span),
        model.draws["barometer.noise_hpa"] * 5.0 / span,
        ANTI_ALIAS_S,
    )


def _pressure_instruments(model: Model) -> Iterator[Output]:
    """What instruments with a pressure sensor of their own see, in kPa."""
    d = model.draws

    def seen(column: str, section: str) -> Smooth:
        gain, zero = 1.0 + d[f"{section}.gain_error"], d[f"{section}.zero_error_kpa"]
        return lambda columns, _: columns[column] * gain + zero

    yield Output(
        "controller_pressure_kpa",
        "kPa",
        "gauge pressure at the outlet by the pressure controller's own sensor",
        seen("back_kpa", "controller"),
        d["controller.noise_kpa"],
    )
    yield Output(
        "keller_pressure_kpa",
        "kPa",
        "gauge pressure at the pump's outlet by a digital transmitter",
        seen("p1_kpa", "transmitter"),
        d["transmitter.noise_kpa"],
    )
    yield Output(
        "pusher_pressure_kpa", "kPa", "gauge pressure that the syringe pump pushes against", _column("pusher_kpa")
    )
    gain, zero = 1.0 + d["refill_transducer.gain_error"], d["refill_transducer.zero_error_kpa"]
    low, span = d["refill_transducer.low_kpa"], d["refill_transducer.high_kpa"] - d["refill_transducer.low_kpa"]
    yield Output(
        "refill_pressure_v",
        "V",
        "gauge pressure in the refill line, 0-5 V",
        lambda columns, _: (columns["refill_kpa"] * gain + zero - low) * (5.0 / span),
        d["refill_transducer.noise_kpa"] * 5.0 / span,
        ANTI_ALIAS_S,
    )


def _climate_instruments(model: Model) -> Iterator[Output]:
    """What instruments tell of bath and room in the quantity itself."""
    d = model.draws
    yield Output(
        "bath_sensor_degc",
        "degC",
        "temperature of the bath by the circulator's own sensor",
        lambda columns, _: columns["bath_degc"] + d["bath.sensor_error_k"],
        d["bath.sensor_noise_k"],
    )
    yield Output(
        "hygrometer_degc",
        "degC",
        "temperature of the laboratory by the hygrometer",
        lambda columns, _: columns["lab_degc"] + d["hygrometer.temperature_error_k"],
    )
    yield Output(
        "hygrometer_percent",
        "%",
        "relative humidity by the hygrometer",
        lambda columns, _: columns["humidity_percent"] + d["hygrometer.humidity_error_percent"],
    )


def _stage(model: Model) -> Iterator[Output]:
    force, position = model.stage.force_n, model.stage.position_mm
    noise = model.draws["stage.noise_n"]
    yield Output("stage_force_n", "N", "force on the needle", _at_any_moment(force), noise, moment=force)
    yield Output("stage_position_mm", "mm", "position of the stage", _at_any_moment(position), moment=position)
    travel_mm, off_mm = model.draws["stage.travel_mm"], model.draws["stage.position_error_mm"]

    def volts(place: FloatArray) -> FloatArray:
        return (position(place) + off_mm) * (10.0 / travel_mm)

    yield Output(
        "stage_position_v",
        "V",
        "position of the stage by its potentiometer, 0-10 V",
        _at_any_moment(volts),
        model.draws["stage.position_noise_mm"] * 10.0 / travel_mm,
        moment=volts,
    )


def _digital(model: Model) -> Iterator[Output]:
    """Contacts: 1 or 0, held between grid points."""
    controls, tray_ul = model.controls, model.draws["tray.detects_ul"]

    def tray(columns: Columns, _: int) -> FloatArray:
        return np.where(columns["tray_ul"] + columns["leaked_ul"] > tray_ul, 1.0, 0.0)

    e_stop = _setting(Forced(controls.e_stop, controls.e_stop_is_held))
    auto_zero = _setting(controls.balance_auto_zero)
    yield Output("leak_tray", "1", "1 when the tray under the line has caught liquid", tray, held=True)
    yield Output("e_stop", "1", "1 while the emergency stop is pressed", e_stop, held=True)
    yield Output(
        "door_open", "1", "1 while a door of the reference balance is open", _column("door_is_open"), held=True
    )
    yield Output("balance_auto_zero", "1", "1 while the reference balance tracks its zero", auto_zero, held=True)


def _temperatures(model: Model) -> Iterator[Output]:
    d, kind = model.draws, model.thermocouple

    def junction(columns: Columns) -> FloatArray:
        return columns["lab_degc"] + d["thermocouple.terminal_rise_k"]

    def thermocouple(columns: Columns, _: int) -> FloatArray:
        hot = columns["bath_degc"] + d["thermocouple.error_k"]
        return thermocouple_v(kind, hot) - thermocouple_v(kind, junction(columns))

    yield Output(
        "bath_thermocouple_v",
        "V",
        "thermocouple in the bath",
        thermocouple,
        d["thermocouple.noise_v"],
    )
    yield Output(
        "cold_junction_degc",
        "degC",
        "what the sensor at the terminals says",
        lambda columns, _: junction(columns) + d["thermocouple.cold_junction_error_k"],
    )
    yield Output(
        "vessel_rtd_ohm",
        "ohm",
        "Pt100 at the vessel",
        lambda columns, _: pt100_ohm(columns["vessel_degc"] + d["rtd.error_k"]),
        d["rtd.noise_ohm"],
    )
    yield Output(
        "lab_temperature_v",
        "V",
        "hygrometer, 0-5 V for 0-50 degC",
        lambda columns, _: (columns["lab_degc"] + d["hygrometer.temperature_error_k"]) * 0.1,
    )
    yield Output(
        "humidity_v",
        "V",
        "hygrometer, 0-5 V for 0-100 % relative humidity",
        lambda columns, _: (columns["humidity_percent"] + d["hygrometer.humidity_error_percent"]) * 0.05,
    )


_TRUTH = (
    ("programmed_volume_ul", "uL", "programmed_ul", "volume that the program has commanded"),
    ("pump_volume_ul", "uL", "pump_ul", "volume that has left the pump, at its temperature"),
    ("line_volume_ul", "uL", "line_ul", "volume that has passed the flow sensor, at the pump's temperature"),
    ("tip_volume_ul", "uL", "tip_ul", "liquid that has left the tip, at the pump's temperature"),
    ("tip_mass_mg", "mg", "tip_mg", "mass that has left the tip"),
    ("vessel_volume_ul", "uL", "vessel_ul", "volume that the vessel has caught"),
    ("vessel_mass_mg", "mg", "vessel_mg", "mass that the vessel has caught"),
    ("evaporated_mg", "mg", "evaporated_mg", "mass that the vessel has lost"),
    ("twin_evaporated_mg", "mg", "twin_evaporated_mg", "mass that the twin vessel has lost"),
    ("spilled_mg", "mg", "spilled_mg", "mass that has run off the full vessel"),
    ("lost_volume_ul", "uL", "lost_ul", "volume that left by vent, connector, leak or relief valve"),
    ("tray_volume_ul", "uL", "tray_ul", "of it, what did not leave by the vent"),
    ("leaked_volume_ul", "uL", "leaked_ul", "volume that was lost between flow sensor and tip"),
    ("added_volume_ul", "uL", "added_ul", "volume from thermal expansion and the outlet valve"),
    ("crept_volume_ul", "uL", "crept_ul", "volume that silicone has given way to by creep"),
    ("pushed_volume_ul", "uL", "pushed_ul", "volume that has left the syringe, at its temperature"),
    ("inflow_volume_ul", "uL", "inflow_ul", "the same at the pump's temperature"),
    ("pushed_mass_mg", "mg", "pushed_mg", "mass that has left the syringe"),
    ("syringe_mass_mg", "mg", "syringe_mg", "mass of the syringe"),
    ("syringe_shown_mg", "mg", "syringe_shown_mg", "what a right scale shows of the syringe"),
    ("vented_volume_ul", "uL", "vented_ul", "volume that left by the vent of the refill line"),
    ("septum_leak_volume_ul", "uL", "leak_ul", "volume that the reservoir lost through the septum"),
    ("pump_mass_gain_mg", "mg", "pump_mg", "mass that the pump has gained"),
    ("capillary_mm", "mm", "capillary_mm", "meniscus in the capillary of the coupon fixture"),
    ("refilled_volume_ul", "uL", "refilled_ul", "volume that the reservoir has taken from the needle"),
    ("pocket_volume_ul", "uL", "pocket_ul", "volume that went beside the refill port"),
    ("reservoir_volume_ul", "uL", "reservoir_ul", "volume in the reservoir"),
    ("outlet_pressure_kpa", "kPa", "p1_kpa", "gauge pressure at the pump's outlet"),
    ("distal_pressure_kpa", "kPa", "p2_kpa", "gauge pressure at the catheter's distal end"),
    ("reservoir_pressure_kpa", "kPa", "reservoir_kpa", "gauge pressure in the reservoir"),
    ("back_pressure_kpa", "kPa", "back_kpa", "gauge pressure applied to the outlet"),
    ("transducer_height_mm", "mm", "height_mm", "height of the outlet transducer above the outlet"),
    ("bath_temperature_degc", "degC", "bath_degc", "temperature of pump and bath"),
    ("lab_temperature_degc", "degC", "lab_degc", "temperature of the laboratory"),
    ("vessel_temperature_degc", "degC", "vessel_degc", "temperature of the vessel"),
    ("barometer_hpa", "hPa", "pressure_hpa", "ambient pressure"),
    ("humidity_percent", "%", "humidity_percent", "relative humidity"),
)


def _truth(model: Model) -> Iterator[Output]:
    for name, unit, column, description in _TRUTH:
        yield Output(f"truth_{name}", unit, description, _column(column))
    label, scale = _setting(model.controls.label_factor), _setting(model.controls.scale_error)
    yield Output("truth_label_factor", "1", "concentration on the vial over that of the fluid's file", label, held=True)
    yield Output("truth_scale_error", "1", "relative error of the scale for syringes", scale, held=True)
    extra = _setting(model.controls.extra_length_mm)
    yield Output("truth_extra_length_mm", "mm", "length of the catheter over that of the parameters", extra, held=True)
    punctures = model.stage.punctures
    yield Output(
        "truth_punctures", "1", "punctures of the septum", _at_any_moment(punctures), held=True, moment=punctures
    )
