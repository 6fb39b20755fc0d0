"""Short lives of a filling on the full simulated station, read less often."""

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
    ('interval = "0.1 s"', 'interval = "60 s"'),
    ('rate = "10 Hz"', 'rate = "0.05 Hz"'),
    ('period = "3 s"\nsafe_timeout = "10 s"', 'period = "80 s"\nsafe_timeout = "250 s"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "30 min"'),
    ('period = "2 s"', 'period = "5 min"'),
    ('period = "30 s"', 'period = "5 min"'),
    ('driver = "julabo"', 'driver = "julabo"\nperiod = "5 min"'),
    ('max_outage = "5 s"', 'max_outage = "30 min"'),
    ('max_outage = "60 s"', 'max_outage = "30 min"'),
    ("demanded = true", "demanded = false"),
)
SHORT = {"rate": "19 mL/day", "fill": "4.5 mL", "vessel": "3 mL"}


BY_HAND = (
    ('driver = "pump-link"\nperiod = "30 min"\nresource = "ASRL3::INSTR"', 'driver = "operator-link"'),
    ('[simulation.visa."ASRL3::INSTR"]\ndevice = "pump-link"\n', ""),
)
"""Changes of the station: a pump that only a person with its programmer can talk to."""


def life(
    folder: Path, *faults: str, seed: int = 1, dut: str = "sim-declared", by_hand: bool = False, **settings: str
) -> Result:
    """A small filling, quickly used up."""
    text = station_path("sim-full").read_text(encoding="utf-8")
    for old, new in (*LESS_OFTEN, *(BY_HAND if by_hand else ())):
        assert old in text, old
        text = text.replace(old, new)
    station = folder / "full.toml"
    station.write_text(text, encoding="utf-8")
    chosen = {**SHORT, **settings}
    return conduct(
        Request("reservoir-life", str(station), settings=chosen, dut=dut, faults=faults, seed=seed, out=folder)
    )


@pytest.fixture
def run_life(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Use up a small filling; sealing and verifying are tested elsewhere."""
    monkeypatch.setattr(bench.trust.register, "seal_run", lambda path, home: "not sealed")
    monkeypatch.setattr(bench.closing, "verify", lambda path: Verification(True, "intact", (), ""))
    return partial(life, tmp_path)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A whole life of a filling with a sound pump."""
    return life(tmp_path_factory.mktemp("life"))
