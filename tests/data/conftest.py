"""A small run for tests of the record: three streams, steps, phases and answers, the same for every block length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.journal import JournalWriter
from data.samples import Block, Channel, Quality, Stream

HEADER = {
    "title": "Flow accuracy of P-20 #7, station sim",
    "procedure": "flow-accuracy",
    "method": 1,
    "origin": "simulated",
    "start_utc": "2026-01-01T00:00:00+00:00",
    "seed": 7,
    "params": {"analysis_s": 90000.0, "blank": "stopped", "windows_s": [120.0, 300.0]},
    "roles": {"pump": "pump", "reference_mass": "balance.mass", "flow": "sensor.flow"},
    "station": {"name": "sim", "instruments": {"balance": {"driver": "mettler-mtsics"}}},
    "dut": {"model": "P-20", "serial": "7", "reservoir_ul": 20000.0},
    "steps": [{"step": "Phase", "name": "analysis", "for_s": 60.0}],
    "software": {"pumpbench": "0.1.0", "pyvisa-py": "0.8.1"},
    "session": {"run_id": "r-1", "host": "here", "wall_start": "2026-03-01T08:00:00+01:00"},
}

DAQ = Stream(
    "daq",
    "daq",
    (Channel("outlet", "kPa", "gauge", 120.0, "at the tip"), Channel("bath", "degC"), Channel("dwell", "s")),
    0.1,
)
SENSOR = Stream("sensor", "sensor", (Channel("flow", "uL/h"), Channel("code", "1")), 0.5)
BALANCE = Stream("balance", "balance", (Channel("mass", "mg", max_step=1.0),))

SIGNS = np.array([[1.0, 0.0, -1.0]])


def daq_block(first: int, samples: int) -> Block:
    k = np.arange(first, first + samples)
    values = np.sin(k[:, None] * np.array([[0.1, 0.017, 0.003]])) + SIGNS
    return Block("daq", first, 0.0473 + k * 0.1, values, np.zeros((samples, 3), dtype=np.uint16))


def sensor_block(first: int, samples: int) -> Block:
    k = np.arange(first, first + samples)
    values = np.stack([700.0 + k % 11, (k % 3) * 1.0], axis=1)
    quality = np.where(k % 40 == 39, int(Quality.SATURATED), 0).astype(np.uint16)
    return Block("sensor", first, 0.01 + k * 0.5, values, np.stack([quality, quality], axis=1))


def balance_block(first: int, samples: int) -> Block:
    k = np.arange(first, first + samples)
    t = k + 0.001 * (k % 7)
    return Block("balance", first, t, 0.19 * k[:, None], np.zeros((samples, 1), dtype=np.uint16))


def fill(writer: JournalWriter, *, seconds: int, block_s: int, upto: Callable[[], None] = lambda: None) -> None:
    """Write the whole run; ``upto`` is called after each block."""
    for stream in (DAQ, SENSOR, BALANCE):
        writer.stream(stream)
    writer.record("identity", 0.0, {"instrument": "balance", "maker": "Mettler", "serial": "B1"})
    writer.record("phase", 0.0, {"name": "analysis", "state": "begin"})
    for begin in range(0, seconds, block_s):
        span = min(block_s, seconds - begin)
        writer.block(daq_block(begin * 10, span * 10))
        writer.block(sensor_block(begin * 2, span * 2))
        for second in range(begin, begin + span):
            if second % 20 != 13:  # a lost reading
                writer.block(balance_block(second, 1))
        upto()
    writer.record("phase", seconds, {"name": "analysis", "state": "end"})
    writer.record("answer", seconds, {"key": "bottle", "value": 12.5, "unit": "mg", "person": "Ada"})
    writer.record("event", seconds, {"level": "warning", "text": "a garbled reply \0\ud800 came", "time": 3})


@pytest.fixture(scope="session")
def header() -> Mapping[str, Any]:
    return HEADER


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    """Writes the small run's journal: write_run(path, seconds=, block_s=, end=True, header=..., upto=...)."""

    def write(
        path: Path,
        *,
        seconds: int = 120,
        block_s: int = 30,
        end: bool = True,
        header: Mapping[str, Any] = HEADER,
        upto: Callable[[JournalWriter], None] = lambda _: None,
        **options: Any,
    ) -> Path:
        with JournalWriter(path, header, **options) as writer:
            fill(writer, seconds=seconds, block_s=block_s, upto=lambda: upto(writer))
            if end:
                writer.record("status", seconds, {"status": "completed", "reason": "all steps done"})
        return path

    return write
