"""What is known before a run: findings that block are in test_cli.py, those that warn and tell are here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import preflight
from bench.preflight import Finding, PreflightError
from bench.request import Request, prepare
from bench.station import open_station
from instruments.clock import VirtualClock

Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(tmp_path: Path, sim_station: Callable[..., Path]) -> Look:
    """Findings by code: look({"old": "new"} of the station file, **fields of the request)."""

    def found(changes: dict[str, str] | None = None, **fields: Any) -> dict[str, Finding]:
        station = sim_station(tmp_path, changes)
        ready = prepare(Request("flow-accuracy", str(station), **{"out": tmp_path, **fields}))
        clock = VirtualClock()
        articles = ready.articles
        with open_station(ready.station, ready.path, clock, dut=articles["dut"], fluid=articles["fluid"]) as opened:
            every = preflight.findings(ready.procedure, opened, ready.roles, articles, ready.request.out, clock)
        return {finding.code: finding for finding in every}

    return found


def test_the_default_run_has_nothing_against_it_and_says_how_long_it_takes(look: Look) -> None:
    (told,) = look().values()
    assert (told.code, told.level) == ("duration", "tells")
    assert told.text == "the run takes 53 h, blanks included"


@pytest.mark.parametrize(
    ("rate", "says"),
    [("15 mL/day", "saturated"), ("0.1 mL/day", "uncertain by 15 %"), ("flex 00:00 1 mL/day, 06:00 15 mL/day", "625")],
)
def test_the_flow_sensor_is_checked_at_every_rate(look: Look, rate: str, says: str) -> None:
    settings = {"schedule": rate, "stabilisation": "0 h", "analysis": "12 h"}
    found = look({'vessel_capacity = "14 mL"': 'vessel_capacity = "1 L"'}, settings=settings)["sensor-range"]
    assert found.level == "warns"
    assert says in found.text


def test_short_blanks_and_few_strokes_are_told(look: Look) -> None:
    found = look(settings={"blank-length": "1 h"})["method"]
    assert found.text == "blanks of 1 h tell the evaporation poorly; 4 h or a twin vessel are usual"
    found = look(settings={"schedule": "0.048 mL/day"})["method"]
    assert found.text == "the analysis holds 10 strokes of 5 uL; 20 would take 50 h"


def test_a_pump_without_a_limit_is_told_that_it_gets_no_verdict(look: Look, tmp_path: Path) -> None:
    import bench

    text = (Path(bench.__file__).parent / "duts" / "sim-peristaltic.toml").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text.partition("[limits.mean]")[0], "utf-8")
    assert '"not-measured"' in look(dut=str(tmp_path / "mine.toml"))["limits"].text


def test_an_interlock_without_a_slew_is_told_what_that_costs(look: Look) -> None:
    assert 'interlocks.outlet-pressure has no "slew"' in look({'slew = "50 kPa/min"\n': ""})["slew"].text


def test_an_overdue_certificate_that_nobody_uses_only_warns(look: Look) -> None:
    unused = '[instruments.daq.calibration.reservoir_pressure]\ncertificate = "C-9"\ndue = 2020-01-01\n\n[roles]'
    changes = {"[roles]": unused, 'reservoir_pressure = "daq.reservoir_pressure"\n': ""}
    found = look(changes)["calibration"]
    assert (found.level, "C-9 of reservoir_pressure was due 2020-01-01" in found.text) == ("warns", True)


def test_a_full_disk_blocks_before_anything_moves(look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1e6))
    found = look(out=tmp_path / "not" / "yet")["disk"]
    assert found.level == "blocks"
    assert "0.00 GB are free" in found.text


def test_the_folder_of_a_station_is_no_part_of_what_is_recorded(tmp_path: Path) -> None:
    finding = Finding("slew", "warns", f"{tmp_path / 's.toml'}: hm")
    assert finding.to_json(tmp_path / "s.toml") == {"code": "slew", "level": "warns", "text": "s.toml: hm"}


def test_only_what_may_be_overridden_can_be() -> None:
    overdue = Finding("calibration", "blocks", "it is overdue")
    preflight.insist([overdue], ["calibration"])
    with pytest.raises(PreflightError, match="--override calibration"):
        preflight.insist([overdue], ["disk"])
    with pytest.raises(PreflightError, match="can be overridden"):
        preflight.insist([Finding("rate", "blocks", "too fast")], ["rate"])
    preflight.insist([Finding("slew", "warns", "slow")], [])
