"""Short runs of the protocols about boluses and changes of the rate, on the simulated station read less often."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import bench.closing
import bench.trust.register
from bench.request import Request
from bench.session import Result, conduct
from bench.station import station_path
from data.checks import Check
from data.seal import Verification
from protocols.procedure import load_procedure

LESS_OFTEN = (
    ('period = "1 s"', 'period = "10 s"'),
    ('interval = "0.1 s"', 'interval = "0.2 s"'),
    ('rate = "10 Hz"', 'rate = "1 Hz"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "10 min"'),
)

Runs = Callable[..., Result]


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The simulated station, read less often."""
    text = station_path("sim").read_text(encoding="utf-8")
    for old, new in LESS_OFTEN:
        assert old in text, old
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("station") / "quick.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def conducted(quick: str, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Conduct the shortest form of a protocol; the pump declares every limit, unless it is another one.

    Sealing and verifying take a third of the time, and are for one run of each protocol only.
    """

    def conduct_one(
        protocol: str, *faults: str, dut: str = "sim-declared", sealed: bool = False, **settings: str
    ) -> Result:
        chosen = {**load_procedure(protocol).qualification, **settings}
        out: Path = tmp_path_factory.mktemp("run")
        with pytest.MonkeyPatch.context() as patch:
            if not sealed:
                patch.setattr(bench.trust.register, "seal_run", lambda path, home: "not sealed")
                patch.setattr(bench.closing, "verify", lambda path: Verification(True, "intact", (), ""))
            return conduct(Request(protocol, quick, settings=chosen, dut=dut, faults=faults, seed=3, out=out))

    return conduct_one


@pytest.fixture
def named() -> Callable[[Result], dict[str, Check]]:
    """Checks of a result by name."""
    return lambda result: {check.name: check for check in result.evaluation.checks}
