"""Station files: the shipped ones are good, limits are carried between indication and true value and back."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.station import SHIPPED, load_station, open_station, parse_fault, shipped_stations, station_path
from bench.station_tables import Calibration
from data.tomlfile import FileError
from instruments.clock import VirtualClock, WallClock

PATTERNED = tuple(f"#{position}" for position in range(2, 8))
"""Positions that are made as the first one is, and as the last."""


@pytest.mark.parametrize("name", [name for name in shipped_stations() if name[-2:] not in PATTERNED])
def test_every_shipped_station_is_good(name: str) -> None:
    station, path = load_station(name), station_path(name)
    clock = VirtualClock() if station.simulated else WallClock()
    with open_station(station, path, clock) as opened:
        assert set(opened.instruments) == set(station.instruments)
        for interlock in opened.interlocks:
            assert opened.channel(interlock.channel)[1].unit


@given(st.floats(0.5, 2.0), st.floats(-10.0, 10.0), st.floats(-500.0, 500.0))
def test_an_indication_and_its_true_value_are_each_others_inverse(gain: float, offset: float, value: float) -> None:
    certificate = Calibration.model_validate(
        {"certificate": "C", "due": date(2030, 1, 1), "gain": gain, "offset": offset}
    )
    assert certificate.corrected(certificate.indicated(value)) == pytest.approx(value, abs=1e-9)
    assert certificate.corrected(value) == pytest.approx(gain * (value + offset))


@pytest.mark.parametrize(
    ("text", "severity", "at_s"),
    [
        ("over-delivery:1.25@2h", 1.25, 7200.0),
        ("over-delivery:1.25@2 h", 1.25, 7200.0),
        ("occlusion", 1.0, 0.0),
        ("occlusion@30 min", 1.0, 1800.0),
        ("balance-drift:-5", -5.0, 0.0),
    ],
)
def test_a_fault_is_read_as_people_write_it(text: str, severity: float, at_s: float) -> None:
    spec = parse_fault(text)
    assert (spec.severity, spec.at_s) == (severity, at_s)
    assert text.startswith(spec.name)


def test_a_shipped_station_goes_by_its_name_and_a_file_by_its_path() -> None:
    assert station_path("sim") == SHIPPED / "sim.toml"
    assert station_path("./mine.toml") == Path("mine.toml")
    with pytest.raises(FileError, match="shipped are replay, sim"):
        station_path("zzz")


@pytest.mark.parametrize(
    ("role", "remedy"), [("flwo", 'did you mean "flow"?'), ("zzz", "there are ambient_pressure, back_pressure")]
)
def test_a_role_that_no_protocol_has_is_refused_with_the_nearest(tmp_path: Path, role: str, remedy: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        station_path("sim").read_text("utf-8").replace('flow = "flow_sensor.flow"', f'{role} = "flow_sensor.flow"')
    )
    with pytest.raises(FileError, match=rf'mine.toml: key "roles.{role}": no protocol has this role; ') as refusal:
        load_station(str(path))
    assert remedy in str(refusal.value)


def test_the_station_for_long_runs_is_the_small_one_read_less_often() -> None:
    less_often = {
        "instruments.balance.period", "instruments.balance.resting_period", "instruments.daq.rate",
        "interlocks.vessel-full.slew", "name", "title",
    }  # fmt: skip
    small, long = (dict(leaves(tomllib.loads(station_path(name).read_text("utf-8")))) for name in ("sim", "sim-long"))
    assert {key for key in small.keys() | long.keys() if small.get(key) != long.get(key)} == less_often
    rests = load_station("sim-long").instruments["balance"].resting_period_s
    assert rests == 10.0


def test_the_station_for_weeks_is_the_one_for_days_read_less_often() -> None:
    less_often = {
        "instruments.balance.period", "instruments.balance.resting_period", "instruments.daq.rate",
        "instruments.flow_sensor.interval", "instruments.pump.period", "interlocks.outlet-pressure.max_outage",
        "procedures.flow-accuracy.blank", "procedures.reservoir-life.vessel", "name", "title",
    }  # fmt: skip
    days, weeks = (
        dict(leaves(tomllib.loads(station_path(name).read_text("utf-8")))) for name in ("sim-long", "sim-life")
    )
    assert {key for key in days.keys() | weeks.keys() if days.get(key) != weeks.get(key)} == less_often


def leaves(table: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
