"""Short environment runs on the full simulated station, read less often."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import bench.closing
import bench.trust.register
from bench.request import Request
from bench.session import Result, conduct
from bench.station import station_path
from data.seal import Verification

LESS_OFTEN = (
    ('period = "1 s"', 'period = "60 s"'),
    ('interval = "0.1 s"', 'interval = "1 s"'),
    ('rate = "10 Hz"', 'rate = "0.1 Hz"'),
    ('period = "3 s"\nsafe_timeout = "10 s"', 'period = "80 s"\nsafe_timeout = "250 s"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "30 min"'),
    ('period = "2 s"', 'period = "30 s"'),
    ('driver = "julabo"', 'driver = "julabo"\nperiod = "60 s"'),
    ('max_outage = "5 s"', 'max_outage = "30 min"'),
    ('max_outage = "60 s"', 'max_outage = "30 min"'),
    ("demanded = true", "demanded = false"),
)
SHORT = {
    "rate": "4 mL/day",
    "temperatures": "42 degC",
    "levels": "10 mL",
    "settle": "20 min",
    "soak": "20 min",
    "hold": "40 uL",
}


def environment(
    folder: Path, *faults: str, seed: int = 1, dut: str = "sim-declared", plant: str = "", **settings: str
) -> Result:
    """A short run on the shipped station, read less often."""
    text = station_path("sim-full").read_text(encoding="utf-8")
    for old, new in LESS_OFTEN:
        assert old in text, old
        text = text.replace(old, new)
    station = folder / "full.toml"
    station.write_text(text.replace("[simulation.daq.devices]", plant + "\n[simulation.daq.devices]"), encoding="utf-8")
    chosen = {**SHORT, **settings}
    return conduct(Request("environment", str(station), settings=chosen, dut=dut, faults=faults, seed=seed, out=folder))


@pytest.fixture
def run_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Conduct a short run; sealing and verifying are tested elsewhere."""
    monkeypatch.setattr(bench.trust.register, "seal_run", lambda path, home: "not sealed")
    monkeypatch.setattr(bench.closing, "verify", lambda path: Verification(True, "intact", (), ""))
    return partial(environment, tmp_path)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """All three series on a healthy rig."""
    return environment(tmp_path_factory.mktemp("environment"))
