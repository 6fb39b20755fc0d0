"""What the files of station, device and fluid say of the plant that is simulated, and of its instruments' wires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.station import Station

ROLLERS = 2
"""Rollers of the simulated peristaltic pump: strokes in one revolution."""

ALARM_KPA = 60.0
"""Where the simulated pump alarms for an occlusion, if its model does not say."""


def wires_of(station: Station) -> dict[str, set[str]]:
    """VISA resource of each instrument of a simulated station, or the NI devices of its terminals."""
    devices = station.simulation.get("daq", {}).get("devices", {})
    resources = station.simulation.get("visa", {})
    wires = {}
    for name, table in station.instruments.items():
        said = {text for value in (table.model_extra or {}).values() for text in _texts(value)}
        wires[name] = {text for text in said if text in resources}
        wires[name] |= {text.partition("/")[0] for text in said if "/" in text and text.partition("/")[0] in devices}
    return wires


def _texts(value: object) -> Iterator[str]:
    """Every text in a table, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def as_plant(dut: Mapping[str, Any], fluid: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    """What the files of device and fluid say, as parameters of the simulated plant."""
    plant: dict[str, dict[str, object]] = {}
    if dut:
        low, high = dut["rate_range_ul_per_h"]
        plant["pump"] = {
            "kind": dut["kind"],
            "maker": dut["maker"],
            "model": dut["model"],
            "serial": dut["serial"],
            "minimum_rate_ul_per_h": low,
            "maximum_rate_ul_per_h": high,
        }
        plant["reservoir"] = {"capacity_ul": dut["reservoir_ul"]}
        if "occlusion" in dut["alarms"]:
            plant["pump"]["occlusion_alarm_kpa"] = dut.get("occlusion_alarm_kpa") or ALARM_KPA
        if dut["kind"] == "peristaltic":
            plant["pump"]["revolution_volume_ul"] = dut["stroke_ul"] * ROLLERS
        if dut["minimum_rate_ul_per_h"] is not None:
            plant["pump"]["reset_rate_ul_per_h"] = dut["minimum_rate_ul_per_h"]
        if dut["low_reservoir_ul"] is not None:
            plant["reservoir"]["alarm_volume_ul"] = dut["low_reservoir_ul"]
    if fluid and fluid["density_g_per_ml"] is not None:
        plant["fluid"] = {
            "density_kg_per_m3": fluid["density_g_per_ml"] * 1000.0,
            "density_temperature_degc": fluid["density_temperature_c"],
        }
    if fluid and fluid["viscosity_mpa_s"] is not None:
        plant.setdefault("fluid", {}).update(
            viscosity_mpa_s=fluid["viscosity_mpa_s"], viscosity_temperature_degc=fluid["viscosity_temperature_c"]
        )
    if fluid and fluid["concentration_ug_per_ml"] is not None:
        plant["vial"] = {"drug": fluid["drug"], "concentration_ug_per_ml": fluid["concentration_ug_per_ml"]}
    return plant
