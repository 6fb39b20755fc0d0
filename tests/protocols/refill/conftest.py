"""One short refill on a healthy rig, shared by the tests."""

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
    ('period = "1 s"', 'period = "20 s"'),
    ('interval = "0.1 s"', 'interval = "10 s"'),
    ('period = "0.2 s"', 'period = "3 s"'),
    ('rate = "10 Hz"', 'rate = "0.5 Hz"'),
    ('period = "3 s"\nsafe_timeout = "10 s"', 'period = "30 s"\nsafe_timeout = "100 s"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "10 min"'),
    ("dead_spread_ul = 10.0", "dead_spread_ul = 10.0\nfill_ul = 5000.0"),
    ('max_outage = "1 s"', 'max_outage = "60 s"'),
    ('max_outage = "5 s"', 'max_outage = "5 min"'),
    ('max_outage = "60 s"', 'max_outage = "5 min"'),
)
SHORT = {
    "schedule": "10 mL/day at 500 ug/mL; drug baclofen",
    "order": "5000 ug/day at 500 ug/mL; drug baclofen",
    "fill": "8 mL",
    "last": "1 mL",
    "push": "60 mL/h",
    "slow": "30 mL/h",
    "draw": "60 mL/h",
    "speed": "0.1 mm/s",
    "analysis": "2 h",
    "blank_length": "1 h",
}


BY_HAND = (
    ('driver = "pump-link"\nperiod = "10 min"\nresource = "ASRL3::INSTR"', 'driver = "operator-link"'),
    ('[simulation.visa."ASRL3::INSTR"]\ndevice = "pump-link"\n', ""),
)
"""Changes of the station: a pump that only a person with its programmer can talk to."""


def refill(folder: Path, *faults: str, seed: int = 1, by_hand: bool = False, **settings: str) -> Result:
    """A short refill on the shipped station, read less often."""
    text = station_path("sim-refill").read_text(encoding="utf-8")
    for old, new in (*LESS_OFTEN, *(BY_HAND if by_hand else ())):
        text = text.replace(old, new)
    station = folder / "refill.toml"
    station.write_text(text, encoding="utf-8")
    wanted = {**SHORT, **settings}
    return conduct(Request("refill-port", str(station), settings=wanted, faults=faults, seed=seed, out=folder))


def leave_unsealed(patch: pytest.MonkeyPatch) -> None:
    """Sealing and verifying take longer than a short refill and are tested elsewhere."""
    patch.setattr(bench.trust.register, "seal_run", lambda path, home: "not sealed")
    patch.setattr(bench.closing, "verify", lambda path: Verification(True, "intact", (), ""))


@pytest.fixture
def run_refill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Do a short refill that is not sealed."""
    leave_unsealed(monkeypatch)
    return partial(refill, tmp_path)


@pytest.fixture(scope="session")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Behind a person with a programmer, and drawn eight times as fast."""
    with pytest.MonkeyPatch.context() as patch:
        leave_unsealed(patch)
        return refill(tmp_path_factory.mktemp("hurried"), by_hand=True, draw="480 mL/h")


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A sealed refill on a healthy rig."""
    return refill(tmp_path_factory.mktemp("refill"))
