"""Names of the units that analog channels are in, as waveforms and logged channels carry them."""

from __future__ import annotations

from collections.abc import Mapping

from nidaqmx.constants import TemperatureUnits

from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.customscale import CustomScale

_NAMES = {"VOLTAGE": "Volts", "CURRENT": "Amps", "RESISTANCE": "Ohms", "STRAIN": "Strain"}
_TEMPERATURES = {
    TemperatureUnits.DEG_C.value: "Deg C",
    TemperatureUnits.DEG_F.value: "Deg F",
    TemperatureUnits.K.value: "Kelvins",
    TemperatureUnits.DEG_R.value: "Deg R",
}


def unit_name(channel: Channel, scales: Mapping[str, CustomScale]) -> str:
    """Name of a channel's unit: that of its custom scale, else DAQmx's own; empty where none is known."""
    scale = scales.get(channel.attributes.get("AI_CUSTOM_SCALE_NAME", ""))
    if scale is not None:
        return str(scale.attributes.get("SCALED_UNITS", ""))
    measures = channel.measures_name()
    if "TEMPERATURE" in measures:
        return _TEMPERATURES.get(channel.attributes.get("AI_TEMP_UNITS", TemperatureUnits.DEG_C.value), "")
    return next((unit for word, unit in _NAMES.items() if word in measures), "")
