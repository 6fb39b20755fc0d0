"""Virtual channels: one table says for every Create...Chan call what it makes and where its parameters go."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nidaqmx.constants import (
    ADCTimingMode,
    BridgePhysicalUnits,
    ChannelType,
    Coupling,
    Level,
    LineGrouping,
    PowerIdleOutputBehavior,
    ScaleType,
    Sense,
    TerminalConfiguration,
    UsageTypeAO,
    UsageTypeCI,
    UsageTypeCO,
)
from nidaqmx.constants import UsageTypeAI as Measures
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import iepe
from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault
from instruments.simulation.daqserver.hardware import Device, Hardware, expand


@dataclass
class Channel:
    """A virtual channel of a task.

    ``lines`` are the digital lines of a digital channel, lowest bit first; ``of_port`` says that they are whole ports.
    ``parts`` are the voltage and the current of a calculated power.
    ``initial`` are the attributes that it was made with.
    """

    name: str
    physical: str
    device: Device
    kind: ChannelType
    attributes: dict[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    of_port: bool = False
    parts: tuple[Channel, ...] = ()
    initial: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.initial = dict(self.attributes)

    def measures_name(self) -> str:
        """Name of what an analog channel measures; empty for any other."""
        return Measures(self.attributes["AI_MEAS_TYPE"]).name if "AI_MEAS_TYPE" in self.attributes else ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a Create...Chan call makes.

    Attributes
    ----------
    units : the attribute that takes the ``units`` parameter.
    fixed : attributes that follow from the call itself.
    own : parameters of this call alone, and their attributes.
    """

    kind: ChannelType
    measures: int
    units: str = ""
    fixed: tuple[tuple[str, Any], ...] = ()
    own: tuple[tuple[str, str], ...] = ()


def _bridge(measures: Measures, units: str, scale: ScaleType) -> Recipe:
    return Recipe(ChannelType.ANALOG_INPUT, measures.value, units, (("AI_BRIDGE_SCALE_TYPE", scale.value),))


def _ci(measures: UsageTypeCI, edge: str = "edge_raw") -> Recipe:
    """A counter's measurement: its attributes begin as its terminal's does."""
    prefix = TERMS[measures.value]
    word = "ACTIVE_EDGE" if measures is UsageTypeCI.COUNT_EDGES else "STARTING_EDGE"
    own = ((edge, f"{prefix}_{word}"), ("meas_method_raw", f"{prefix}_MEAS_METH"), ("meas_time", f"{prefix}_MEAS_TIME"))
    shared = (("divisor", f"{prefix}_DIV"), ("min_freq", "CI_MIN"), ("max_freq", "CI_MAX"))
    return Recipe(ChannelType.COUNTER_INPUT, measures.value, f"{prefix}_UNITS", own=own + shared)


def _co(makes: UsageTypeCO, units: str, *own: tuple[str, str]) -> Recipe:
    return Recipe(ChannelType.COUNTER_OUTPUT, makes.value, units, own=own)


def _ai(measures: Measures, units: str) -> Recipe:
    return Recipe(ChannelType.ANALOG_INPUT, measures.value, units)


TERMS: dict[int, str] = {
    UsageTypeCI.COUNT_EDGES.value: "CI_COUNT_EDGES",
    UsageTypeCI.FREQUENCY.value: "CI_FREQ",
    UsageTypeCI.PERIOD.value: "CI_PERIOD",
    UsageTypeCI.PULSE_WIDTH_DIGITAL.value: "CI_PULSE_WIDTH",
    UsageTypeCI.PULSE_WIDTH_DIGITAL_SEMI_PERIOD.value: "CI_SEMI_PERIOD",
    UsageTypeCI.PULSE_FREQ.value: "CI_PULSE_FREQ",
    UsageTypeCI.PULSE_TIME.value: "CI_PULSE_TIME",
    UsageTypeCI.PULSE_TICKS.value: "CI_PULSE_TICKS",
    UsageTypeCI.DUTY_CYCLE.value: "CI_DUTY_CYCLE",
    UsageTypeCI.POSITION_LINEAR_ENCODER.value: "CI_ENCODER_A_INPUT",
    UsageTypeCI.POSITION_ANGULAR_ENCODER.value: "CI_ENCODER_A_INPUT",
    UsageTypeCI.PULSE_WIDTH_DIGITAL_TWO_EDGE_SEPARATION.value: "CI_TWO_EDGE_SEP_FIRST",
}
"""How the attributes of a measurement begin: of its terminal, units and starting edge."""


def _thermistor() -> Recipe:
    letters = tuple((letter, f"AI_THRMSTR_{letter.upper()}") for letter in ("a", "b", "c", "r1"))
    return Recipe(ChannelType.ANALOG_INPUT, Measures.TEMPERATURE_THERMISTOR.value, "AI_TEMP_UNITS", own=letters)


def _encoder(measures: UsageTypeCI, units: str, *own: tuple[str, str]) -> Recipe:
    index = tuple((f"zidx_{word}", f"CI_ENCODER_Z_INDEX_{word.removesuffix('_raw').upper()}") for word in _INDEX)
    shared = (("decoding_type_raw", "CI_ENCODER_DECODING_TYPE"), *index)
    return Recipe(ChannelType.COUNTER_INPUT, measures.value, units, own=own + shared)


_INDEX = ("enable", "val", "phase_raw")
_EDGES = (("first_edge_raw", "CI_TWO_EDGE_SEP_FIRST_EDGE"), ("second_edge_raw", "CI_TWO_EDGE_SEP_SECOND_EDGE"))
_SECOND_TERMS: dict[int, tuple[tuple[str, str], ...]] = dict.fromkeys(
    (UsageTypeCI.POSITION_LINEAR_ENCODER.value, UsageTypeCI.POSITION_ANGULAR_ENCODER.value),
    (("CI_ENCODER_B_INPUT_TERM", "Aux"), ("CI_ENCODER_Z_INPUT_TERM", "Gate")),
) | {UsageTypeCI.PULSE_WIDTH_DIGITAL_TWO_EDGE_SEPARATION.value: (("CI_TWO_EDGE_SEP_SECOND_TERM", "Gate"),)}
"""Further terminals of a counter's measurement, and where they are until the application says otherwise."""

_FIRST_TERMS = {
    UsageTypeCI.COUNT_EDGES.value: "Source",
    UsageTypeCI.POSITION_LINEAR_ENCODER.value: "Source",
    UsageTypeCI.POSITION_ANGULAR_ENCODER.value: "Source",
    UsageTypeCI.PULSE_WIDTH_DIGITAL_TWO_EDGE_SEPARATION.value: "Aux",
}


def _iepe(measures: Measures) -> Recipe:
    """A sensor that is fed with a constant current."""
    units, sensitivity = iepe.SENSORS[measures]
    own = (("sensitivity", sensitivity), ("sensitivity_units_raw", f"{sensitivity}_UNITS"))
    return Recipe(ChannelType.ANALOG_INPUT, measures.value, f"{units}_UNITS", own=own)


_MICROPHONE = (
    ("mic_sensitivity", "AI_MICROPHONE_SENSITIVITY"),
    ("max_snd_press_level", "AI_SOUND_PRESSURE_MAX_SOUND_PRESSURE_LVL"),
)
_SUPPLY = (
    ("voltage_setpoint", "PWR_VOLTAGE_SETPOINT"),
    ("current_setpoint", "PWR_CURRENT_SETPOINT"),
    ("output_enable", "PWR_OUTPUT_ENABLE"),
)

ELSEWHERE: dict[str, Measures] = {
    "Accel4WireDCVoltage": Measures.ACCELERATION_4_WIRE_DC_VOLTAGE,
    "AccelCharge": Measures.ACCELERATION_CHARGE,
    "Charge": Measures.CHARGE,
    "CurrentRMS": Measures.CURRENT_ACRMS,
    "FreqVoltage": Measures.FREQUENCY_VOLTAGE,
    "PosEddyCurrProxProbe": Measures.POSITION_EDDY_CURRENT_PROX_PROBE,
    "PosLVDT": Measures.POSITION_LINEAR_LVDT,
    "PosRVDT": Measures.POSITION_ANGULAR_RVDT,
    "RosetteStrainGage": Measures.ROSETTE_STRAIN_GAGE,
    "VoltageRMS": Measures.VOLTAGE_ACRMS,
}
"""What none of the simulated devices measures, as little as the real ones: -200431."""

RECIPES: dict[str, Recipe] = {
    "CreateAIVoltageChan": _ai(Measures.VOLTAGE, "AI_VOLTAGE_UNITS"),
    "CreateAIVoltageChanWithExcit": _ai(Measures.VOLTAGE_CUSTOM_WITH_EXCITATION, "AI_VOLTAGE_UNITS"),
    "CreateAICurrentChan": _ai(Measures.CURRENT, "AI_CURRENT_UNITS"),
    "CreateAICalculatedPowerChan": _ai(Measures.CALCULATED_POWER, "AI_POWER_UNITS"),
    "CreateAIResistanceChan": _ai(Measures.RESISTANCE, "AI_RESISTANCE_UNITS"),
    "CreateAIPowerChan": Recipe(ChannelType.ANALOG_INPUT, Measures.POWER.value, own=_SUPPLY),
    "CreateAIAccelChan": _iepe(Measures.ACCELERATION_ACCELEROMETER_CURRENT_INPUT),
    "CreateAIForceIEPEChan": _iepe(Measures.FORCE_IEPE_SENSOR),
    "CreateAIVelocityIEPEChan": _iepe(Measures.VELOCITY_IEPE_SENSOR),
    "CreateAIMicrophoneChan": Recipe(
        ChannelType.ANALOG_INPUT, iepe.MICROPHONE.value, "AI_SOUND_PRESSURE_UNITS", own=_MICROPHONE
    ),
    "CreateAIBridgeChan": _bridge(Measures.BRIDGE, "AI_BRIDGE_UNITS", ScaleType.NONE),
    "CreateAIStrainGageChan": _ai(Measures.STRAIN_STRAIN_GAGE, "AI_STRAIN_UNITS"),
    "CreateAIThrmcplChan": _ai(Measures.TEMPERATURE_THERMOCOUPLE, "AI_TEMP_UNITS"),
    "CreateAIRTDChan": _ai(Measures.TEMPERATURE_RTD, "AI_TEMP_UNITS"),
    "CreateAIThrmstrChanIex": _thermistor(),
    "CreateAIThrmstrChanVex": _thermistor(),
    "CreateAITempBuiltInSensorChan": _ai(Measures.TEMPERATURE_BUILT_IN_SENSOR, "AI_TEMP_UNITS"),
    "CreateAOVoltageChan": Recipe(ChannelType.ANALOG_OUTPUT, UsageTypeAO.VOLTAGE.value, "AO_VOLTAGE_UNITS"),
    "CreateAOCurrentChan": Recipe(ChannelType.ANALOG_OUTPUT, UsageTypeAO.CURRENT.value, "AO_CURRENT_UNITS"),
    "CreateDIChan": Recipe(ChannelType.DIGITAL_INPUT, 0),
    "CreateDOChan": Recipe(ChannelType.DIGITAL_OUTPUT, 0),
    "CreateCICountEdgesChan": _ci(UsageTypeCI.COUNT_EDGES),
    "CreateCIFreqChan": _ci(UsageTypeCI.FREQUENCY),
    "CreateCIPeriodChan": _ci(UsageTypeCI.PERIOD),
    "CreateCIPulseWidthChan": _ci(UsageTypeCI.PULSE_WIDTH_DIGITAL, "starting_edge_raw"),
    "CreateCISemiPeriodChan": _ci(UsageTypeCI.PULSE_WIDTH_DIGITAL_SEMI_PERIOD),
    "CreateCIPulseChanFreq": _ci(UsageTypeCI.PULSE_FREQ),
    "CreateCIPulseChanTime": _ci(UsageTypeCI.PULSE_TIME),
    "CreateCIPulseChanTicks": _ci(UsageTypeCI.PULSE_TICKS),
    "CreateCIDutyCycleChan": _ci(UsageTypeCI.DUTY_CYCLE),
    "CreateCILinEncoderChan": _encoder(
        UsageTypeCI.POSITION_LINEAR_ENCODER,
        "CI_LIN_ENCODER_UNITS",
        ("dist_per_pulse", "CI_LIN_ENCODER_DIST_PER_PULSE"),
        ("initial_pos", "CI_LIN_ENCODER_INITIAL_POS"),
    ),
    "CreateCIAngEncoderChan": _encoder(
        UsageTypeCI.POSITION_ANGULAR_ENCODER,
        "CI_ANG_ENCODER_UNITS",
        ("pulses_per_rev", "CI_ANG_ENCODER_PULSES_PER_REV"),
        ("initial_angle", "CI_ANG_ENCODER_INITIAL_ANGLE"),
    ),
    "CreateCITwoEdgeSepChan": Recipe(
        ChannelType.COUNTER_INPUT,
        UsageTypeCI.PULSE_WIDTH_DIGITAL_TWO_EDGE_SEPARATION.value,
        "CI_TWO_EDGE_SEP_UNITS",
        own=_EDGES,
    ),
    "CreateCOPulseChanFreq": _co(
        UsageTypeCO.PULSE_FREQUENCY,
        "CO_PULSE_FREQ_UNITS",
        ("initial_delay", "CO_PULSE_FREQ_INITIAL_DELAY"),
        ("freq", "CO_PULSE_FREQ"),
        ("duty_cycle", "CO_PULSE_DUTY_CYC"),
    ),
    "CreateCOPulseChanTime": _co(
        UsageTypeCO.PULSE_TIME,
        "CO_PULSE_TIME_UNITS",
        ("initial_delay", "CO_PULSE_TIME_INITIAL_DELAY"),
        ("low_time", "CO_PULSE_LOW_TIME"),
        ("high_time", "CO_PULSE_HIGH_TIME"),
    ),
    "CreateCOPulseChanTicks": _co(
        UsageTypeCO.PULSE_TICKS,
        "",
        ("initial_delay", "CO_PULSE_TICKS_INITIAL_DELAY"),
        ("low_ticks", "CO_PULSE_LOW_TICKS"),
        ("high_ticks", "CO_PULSE_HIGH_TICKS"),
        ("source_terminal", "CO_CTR_TIMEBASE_SRC"),
    ),
} | {
    f"CreateAI{sensor}Bridge{shape}Chan": _bridge(measures, units, scale)
    for sensor, measures, units in (
        ("Pressure", Measures.PRESSURE_BRIDGE, "AI_PRESSURE_UNITS"),
        ("Force", Measures.FORCE_BRIDGE, "AI_FORCE_UNITS"),
        ("Torque", Measures.TORQUE_BRIDGE, "AI_TORQUE_UNITS"),
    )
    for shape, scale in (
        ("TwoPointLin", ScaleType.TWO_POINT_LINEAR),
        ("Table", ScaleType.TABLE),
        ("Polynomial", ScaleType.POLYNOMIAL),
    )
}

_PARAMETERS: dict[str, str] = {
    "terminal_config_raw": "AI_TERM_CFG",
    "min_val": "AI_MIN",
    "max_val": "AI_MAX",
    "custom_scale_name": "AI_CUSTOM_SCALE_NAME",
    "bridge_config_raw": "AI_BRIDGE_CFG",
    "voltage_excit_source_raw": "AI_EXCIT_SRC",
    "voltage_excit_val": "AI_EXCIT_VAL",
    "current_excit_source_raw": "AI_EXCIT_SRC",
    "current_excit_val": "AI_EXCIT_VAL",
    "use_excit_for_scaling": "AI_EXCIT_USE_FOR_SCALING",
    "nominal_bridge_resistance": "AI_BRIDGE_NOM_RESISTANCE",
    "first_electrical_val": "AI_BRIDGE_TWO_POINT_LIN_FIRST_ELECTRICAL_VAL",
    "second_electrical_val": "AI_BRIDGE_TWO_POINT_LIN_SECOND_ELECTRICAL_VAL",
    "first_physical_val": "AI_BRIDGE_TWO_POINT_LIN_FIRST_PHYSICAL_VAL",
    "second_physical_val": "AI_BRIDGE_TWO_POINT_LIN_SECOND_PHYSICAL_VAL",
    "electrical_vals": "AI_BRIDGE_TABLE_ELECTRICAL_VALS",
    "physical_vals": "AI_BRIDGE_TABLE_PHYSICAL_VALS",
    "forward_coeffs": "AI_BRIDGE_POLY_FORWARD_COEFF",
    "reverse_coeffs": "AI_BRIDGE_POLY_REVERSE_COEFF",
    "electrical_units_raw": "AI_BRIDGE_ELECTRICAL_UNITS",
    "physical_units_raw": "AI_BRIDGE_PHYSICAL_UNITS",
    "shunt_resistor_loc_raw": "AI_CURRENT_SHUNT_LOC",
    "ext_shunt_resistor_val": "AI_CURRENT_SHUNT_RESISTANCE",
    "strain_config_raw": "AI_STRAIN_GAGE_CFG",
    "gage_factor": "AI_STRAIN_GAGE_GAGE_FACTOR",
    "initial_bridge_voltage": "AI_BRIDGE_INITIAL_VOLTAGE",
    "nominal_gage_resistance": "AI_BRIDGE_NOM_RESISTANCE",
    "poisson_ratio": "AI_STRAIN_GAGE_POISSON_RATIO",
    "lead_wire_resistance": "AI_LEAD_WIRE_RESISTANCE",
    "thermocouple_type_raw": "AI_THRMCPL_TYPE",
    "cjc_source_raw": "AI_THRMCPL_CJC_SRC",
    "cjc_val": "AI_THRMCPL_CJC_VAL",
    "cjc_channel": "AI_THRMCPL_CJC_CHAN",
    "rtd_type_raw": "AI_RTD_TYPE",
    "resistance_config_raw": "AI_RESISTANCE_CFG",
    "r0": "AI_RTD_R0",
    "idle_state_raw": "CO_PULSE_IDLE_STATE",
    "initial_count": "CI_COUNT_EDGES_INITIAL_CNT",
    "count_direction_raw": "CI_COUNT_EDGES_DIR",
}
"""Parameter of a Create...Chan call to the attribute that keeps it."""

_DEFAULTS: dict[ChannelType, dict[str, Any]] = {
    ChannelType.ANALOG_INPUT: {
        "AI_COUPLING": Coupling.DC.value,
        "AI_TERM_CFG": TerminalConfiguration.DIFF.value,
        "AI_ADC_TIMING_MODE": ADCTimingMode.AUTOMATIC.value,
        "AI_CUSTOM_SCALE_NAME": "",
        "AI_LOWPASS_ENABLE": False,
        "AI_OPEN_THRMCPL_DETECT_ENABLE": True,
    },
    ChannelType.ANALOG_OUTPUT: {"AO_CUSTOM_SCALE_NAME": ""},
    ChannelType.DIGITAL_INPUT: {"DI_INVERT_LINES": False},
    ChannelType.DIGITAL_OUTPUT: {"DO_INVERT_LINES": False, "DO_TRISTATE": False},
    ChannelType.COUNTER_INPUT: {"CI_CUSTOM_SCALE_NAME": ""},
    ChannelType.COUNTER_OUTPUT: {"CO_PULSE_IDLE_STATE": Level.LOW.value},
}
_PREFIXES = {ChannelType.ANALOG_OUTPUT: "AO_", ChannelType.COUNTER_INPUT: "CI_"}
_BRIDGE_DEFAULTS: dict[str, Any] = {"AI_BRIDGE_INITIAL_RATIO": 0.0, "AI_BRIDGE_SHUNT_CAL_GAIN_ADJUST": 1.0}
_EXTRA: dict[int, dict[str, Any]] = {
    Measures.BRIDGE.value: _BRIDGE_DEFAULTS,
    Measures.PRESSURE_BRIDGE.value: _BRIDGE_DEFAULTS,
    Measures.FORCE_BRIDGE.value: _BRIDGE_DEFAULTS,
    Measures.TORQUE_BRIDGE.value: _BRIDGE_DEFAULTS,
    Measures.STRAIN_STRAIN_GAGE.value: _BRIDGE_DEFAULTS,
    Measures.TEMPERATURE_THERMOCOUPLE.value: {"AI_THRMCPL_LEAD_OFFSET_VOLTAGE": 0.0},
    Measures.TEMPERATURE_RTD.value: {"AI_RTD_A": 3.9083e-3, "AI_RTD_B": -5.775e-7, "AI_RTD_C": -4.183e-12},
    Measures.TEMPERATURE_BUILT_IN_SENSOR.value: {"AI_MIN": -50.0, "AI_MAX": 120.0},
    Measures.POWER.value: {
        "PWR_IDLE_OUTPUT_BEHAVIOR": PowerIdleOutputBehavior.MAINTAIN_EXISTING_VALUE.value,
        "PWR_REMOTE_SENSE": Sense.LOCAL.value,
    },
}


RECIPES |= {f"CreateAI{name}Chan": _ai(measures, "") for name, measures in ELSEWHERE.items()}


def create(call: str, parameters: Iterable[tuple[str, Any]], hardware: Hardware) -> list[Channel]:
    """Make the channels of a Create...Chan call.

    Raises
    ------
    DaqFault
        A device, terminal, measurement type or limit that does not exist.
    """
    recipe = RECIPES[call]
    given = dict(parameters)
    if recipe.measures == Measures.CALCULATED_POWER.value:
        return [_power(given, hardware)]
    if recipe.kind in (ChannelType.DIGITAL_INPUT, ChannelType.DIGITAL_OUTPUT):
        return _digital(recipe.kind, given, hardware)
    terminals = list(expand(given.get("physical_channel") or given["counter"]))
    names = _names(given["name_to_assign_to_channel"], terminals)
    attributes = _attributes(recipe, given)
    prefix = "AO" if recipe.kind is ChannelType.ANALOG_OUTPUT else "AI"
    for terminal in terminals:
        _check_type(recipe, terminal, hardware.check_terminal(terminal))
    if not attributes.get(f"{prefix}_MIN", 0.0) < attributes.get(f"{prefix}_MAX", 1.0):
        raise DaqFault(DAQmxErrors.MIN_NOT_LESS_THAN_MAX, f"Channel Name: {names[0]}")
    channels = []
    for name, terminal in zip(names, terminals, strict=True):
        device = hardware.check_terminal(terminal)
        own = {**attributes, "CHAN_TYPE": recipe.kind.value, "PHYSICAL_CHAN_NAME": terminal, "CHAN_DESCR": ""}
        own |= _of_counter(recipe, terminal, device)
        channels.append(Channel(name, terminal, device, recipe.kind, own))
    return channels


def _power(given: dict[str, Any], hardware: Hardware) -> Channel:
    """A voltage times a current."""
    name = given["name_to_assign_to_channel"] or given["voltage_physical_channel"]
    parts: list[Channel] = []
    attributes: dict[str, Any] = {}
    for word, call in (("voltage", "CreateAIVoltageChan"), ("current", "CreateAICurrentChan")):
        low, high = given[f"{word}_min_val"], given[f"{word}_max_val"]
        own = {"physical_channel": given[f"{word}_physical_channel"], "min_val": low, "max_val": high}
        kept = {key: given[key] for key in ("terminal_config_raw", "shunt_resistor_loc_raw", "ext_shunt_resistor_val")}
        parts += create(call, {**own, **kept, "name_to_assign_to_channel": name, "units_raw": 0}.items(), hardware)
        prefix = f"AI_CALCULATED_POWER_{word.upper()}"
        attributes |= {f"{prefix}_MIN": low, f"{prefix}_MAX": high}
    attributes |= {
        "CHAN_TYPE": ChannelType.ANALOG_INPUT.value,
        "CHAN_DESCR": "",
        "AI_MEAS_TYPE": Measures.CALCULATED_POWER.value,
        "AI_POWER_UNITS": given["units_raw"],
        "AI_CUSTOM_SCALE_NAME": given["custom_scale_name"],
        "PHYSICAL_CHAN_NAME": ", ".join(part.physical for part in parts),
    }
    first = parts[0]
    return Channel(name, first.physical, first.device, ChannelType.ANALOG_INPUT, attributes, parts=tuple(parts))


def _of_counter(recipe: Recipe, terminal: str, device: Device) -> dict[str, Any]:
    """Timebase and terminal of a counter's channel; other channels have none."""
    name = "/" + re.sub(r"/_?ctr", "/Ctr", terminal, flags=re.IGNORECASE)
    if recipe.kind is ChannelType.COUNTER_OUTPUT:
        return {"CO_CTR_TIMEBASE_RATE": device.product.counter_hz, "CO_PULSE_TERM": f"{name}InternalOutput"}
    if recipe.kind is not ChannelType.COUNTER_INPUT:
        return {}
    end = _FIRST_TERMS.get(recipe.measures, "Gate")
    further = {term: f"{name}{where}" for term, where in _SECOND_TERMS.get(recipe.measures, ())}
    first = {f"{TERMS[recipe.measures]}_TERM": f"{name}{end}"}
    return {"CI_CTR_TIMEBASE_RATE": device.product.counter_hz} | first | further


def _attributes(recipe: Recipe, given: dict[str, Any]) -> dict[str, Any]:
    attributes = {**_DEFAULTS[recipe.kind], **_EXTRA.get(recipe.measures, {}), **dict(recipe.fixed)}
    for name, value in given.items():
        target = recipe.units if name == "units_raw" else dict(recipe.own).get(name) or _PARAMETERS.get(name)
        if not target:
            continue
        if recipe.kind in _PREFIXES:
            target = target.replace("AI_", _PREFIXES[recipe.kind])
        attributes[target] = value
    if attributes.get("AI_TERM_CFG") == TerminalConfiguration.DEFAULT.value:
        attributes["AI_TERM_CFG"] = TerminalConfiguration.DIFF.value
    measured = {
        ChannelType.ANALOG_INPUT: "AI_MEAS_TYPE",
        ChannelType.ANALOG_OUTPUT: "AO_OUTPUT_TYPE",
        ChannelType.COUNTER_INPUT: "CI_MEAS_TYPE",
        ChannelType.COUNTER_OUTPUT: "CO_OUTPUT_TYPE",
    }[recipe.kind]
    attributes[measured] = recipe.measures
    if recipe.measures == iepe.MICROPHONE.value:
        attributes["AI_MAX"] = iepe.loudest_pa(attributes["AI_SOUND_PRESSURE_MAX_SOUND_PRESSURE_LVL"])
        attributes["AI_MIN"] = -attributes["AI_MAX"]
    pascals = BridgePhysicalUnits.PASCALS.value
    if attributes.get("AI_BRIDGE_PHYSICAL_UNITS", pascals) == 0:
        raise DaqFault(BAD_VALUE, "Property: AI.Bridge.PhysicalUnits")
    return attributes


def _check_type(recipe: Recipe, terminal: str, device: Device) -> None:
    wanted = {
        ChannelType.ANALOG_INPUT: ("ai", "_cj", "power"),
        ChannelType.ANALOG_OUTPUT: ("ao",),
        ChannelType.COUNTER_INPUT: ("ctr", "_ctr"),
        ChannelType.COUNTER_OUTPUT: ("ctr", "_ctr"),
    }[recipe.kind]
    fits = terminal.partition("/")[2].lower().startswith(wanted)
    if recipe.kind is ChannelType.ANALOG_INPUT:
        fits = fits and Measures(recipe.measures) in device.product.measures
    if recipe.kind is ChannelType.ANALOG_OUTPUT:
        current = recipe.measures == UsageTypeAO.CURRENT.value
        fits = fits and (device.product.ao_quantity == "A") == current
    if not fits:
        raise DaqFault(DAQmxErrors.PHYS_CHAN_MEAS_TYPE, f"Device: {device.name}\nPhysical Channel Name: {terminal}")


def _names(given: str, terminals: list[str]) -> list[str]:
    """Names as the client expects them: the terminals', the one given, or the one given with a number."""
    if not given:
        return terminals
    if len(terminals) == 1:
        return [given]
    listed = [name.strip() for name in given.split(",")]
    return listed if len(listed) == len(terminals) else [f"{given}{index}" for index in range(len(terminals))]


def _digital(kind: ChannelType, given: dict[str, Any], hardware: Hardware) -> list[Channel]:
    prefix = "DI" if kind is ChannelType.DIGITAL_INPUT else "DO"
    groups = [hardware.lines_of(item) for item in expand(given["lines"])]
    allowed = ("in", "both") if prefix == "DI" else ("out", "both")
    for line in (line for group in groups for line in group):
        if hardware.port(line).direction not in allowed:
            code = DAQmxErrors.DIGITAL_OUTPUT_NOT_SUPPORTED if prefix == "DO" else DAQmxErrors.PHYS_CHAN_MEAS_TYPE
            raise DaqFault(code, f"Physical Channel Name: {line}")
    name = given["name_to_assign_to_lines"]
    if given["line_grouping_raw"] == LineGrouping.CHAN_FOR_ALL_LINES.value:
        lines = tuple(line for group in groups for line in group)
        single = given["lines"] if len(groups) == 1 else f"{lines[0]}..."
        named = [(name or single, lines)]
    else:
        lines = tuple(line for group in groups for line in group)
        names = _names(name, list(lines))
        named = [(each, (line,)) for each, line in zip(names, lines, strict=True)]
    return [
        Channel(
            name,
            ", ".join(lines),
            hardware.check_terminal(lines[0]),
            kind,
            {
                **_DEFAULTS[kind],
                "CHAN_TYPE": kind.value,
                "CHAN_DESCR": "",
                "PHYSICAL_CHAN_NAME": ", ".join(lines),
                f"{prefix}_NUM_LINES": len(lines),
            },
            lines,
            of_port="/line" not in given["lines"].lower(),
        )
        for name, lines in named
    ]
