"""Reading six channels at 10 Hz from the simulated NI device server, through the real nidaqmx, in virtual time.

    python -m benchmarks.daq [--hours 49] [--block 30]

States what it read and asserts it: every sample of the run, once, with the values that its signals have.  Then has the
module pulled out again and again, some hours apart, and states by how much samples are away from where the crystal is.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time

import numpy as np

from data.samples import FloatArray
from instruments.clock import VirtualClock
from instruments.daq import NiDaqmx
from instruments.daq_settings import NiDaqmxSettings
from instruments.instrument import Connection, InstrumentError
from instruments.simulation.daqserver.server import DaqServer

RATE_HZ = 10.0
PER_READ_MS = 0.55
SLACK = 8
CRYSTAL_PPM = 30.0
BREAKS, APART_S, READ_S = 30, 10_000.0, 60.0
CRYSTALS_PPM = (-80.0, -40.0, 0.0, 40.0, 80.0)
SHIFT = 1.5
"""Samples by which a stream may be away after all breaks: each new task has a phase of its own."""
DEVICES = {"cDAQ1Mod1": "NI 9219", "cDAQ1Mod2": "NI 9215", "cDAQ1Mod3": "NI 9208", "cDAQ1Mod4": "NI 9213"}
PRESSURE = {"kind": "voltage", "points": [["0 V", "0 kPa"], ["10 V", "100 kPa"]]}
BRIDGE = {"kind": "bridge", "points": [["0 mV/V", "0 kPa"], ["2 mV/V", "100 kPa"]]}
LOOP = {"kind": "current", "points": [["4 mA", "0 kPa"], ["20 mA", "40 kPa"]]}
CHANNELS = [
    {"name": "outlet", "physical": "cDAQ1Mod1/ai0", **BRIDGE},
    {"name": "reservoir", "physical": "cDAQ1Mod2/ai0", **PRESSURE},
    {"name": "barometer", "physical": "cDAQ1Mod2/ai1", **PRESSURE},
    {"name": "back", "physical": "cDAQ1Mod3/ai0", **LOOP},
    {"name": "bath", "physical": "cDAQ1Mod4/ai0", "kind": "thermocouple", "type": "K"},
    {"name": "vessel", "physical": "cDAQ1Mod1/ai1", "kind": "rtd"},
]
LEVELS = {
    "cDAQ1Mod1/ai0": 1e-3,
    "cDAQ1Mod2/ai0": 2.5,
    "cDAQ1Mod2/ai1": 5.0,
    "cDAQ1Mod3/ai0": 12e-3,
    "cDAQ1Mod4/ai0": 0.6e-3,
    "cDAQ1Mod1/ai1": 110.0,
}


class Ripple:
    """A level with a small ripple that belongs to the sample index."""

    def __init__(self, level: float) -> None:
        self.level = level

    def at(self, t: float) -> float:
        """The level."""
        return self.level

    def samples(self, t0: float, dt: float, first: int, n: int) -> FloatArray:
        """The level with its ripple."""
        return np.asarray(self.level * (1.0 + 1e-4 * np.sin(0.1 * np.arange(first, first + n))))


class Dial:
    """A voltage that turns once in 100 s, so that it tells the moment at which it was sampled."""

    turn_s = 100.0

    def at(self, t: float) -> float:
        """Where it stands."""
        return t % self.turn_s * 0.09

    def samples(self, t0: float, dt: float, first: int, n: int) -> FloatArray:
        """Where it stood at each sample."""
        return np.asarray((t0 + np.arange(first, first + n) * dt) % self.turn_s * 0.09)


def shift(crystal_ppm: float, seed: int = 1) -> float:
    """By how many samples the worst one is away from where the crystal is, after `BREAKS` breaks."""
    clock, draw, worst = VirtualClock(), random.Random(seed), 0.0
    server = DaqServer(clock, {"cDAQ1Mod1": "NI 9215"}, {"cDAQ1Mod1/ai0": Dial()}, clock_ppm=crystal_ppm).start()
    channel = {"name": "dial", "physical": "cDAQ1Mod1/ai0", "kind": "voltage"}
    settings = NiDaqmxSettings.model_validate({"rate": f"{RATE_HZ:g} Hz", "channels": [channel]})
    daq = NiDaqmx("daq", settings, clock, Connection.through(daq=server.target))
    daq.open()
    daq.start()
    for _ in range(BREAKS):
        until = clock.now() + draw.uniform(0.3, 1.7) * APART_S
        while clock.now() < until:
            clock.sleep(READ_S)
            with contextlib.suppress(InstrumentError):  # not made anew yet
                block = daq.read(round(READ_S * RATE_HZ) + SLACK)
        late_s = block.values[:, 0] / 0.09 - block.t + crystal_ppm * 1e-6 * block.t
        turned_s = (late_s + Dial.turn_s / 2.0) % Dial.turn_s - Dial.turn_s / 2.0
        worst = max(worst, float(np.abs(turned_s).max()) * RATE_HZ)
        server.unplug("cDAQ1Mod1")
        clock.sleep(draw.uniform(0.01, 3.0))
        with contextlib.suppress(InstrumentError):
            daq.read(SLACK)
        server.plug("cDAQ1Mod1")
    daq.close()
    server.close()
    return worst


def main() -> int:
    """Run, check, print; exit code 1 when breaks shift samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=49.0)
    parser.add_argument("--block", type=float, default=30.0)
    given = parser.parse_args()
    clock = VirtualClock()
    begin = time.perf_counter()
    signals = {terminal: Ripple(level) for terminal, level in LEVELS.items()}
    server = DaqServer(clock, DEVICES, signals, clock_ppm=CRYSTAL_PPM).start()
    served_s = time.perf_counter() - begin
    settings = NiDaqmxSettings.model_validate({"rate": f"{RATE_HZ:g} Hz", "channels": CHANNELS})
    daq = NiDaqmx("daq", settings, clock, Connection.through(daq=server.target))
    begin = time.perf_counter()
    daq.open()
    daq.start()
    opened_s = time.perf_counter() - begin
    reads, samples = round(given.hours * 3600.0 / given.block), 0
    total = np.zeros(len(CHANNELS))
    begin = time.perf_counter()
    for _ in range(reads):
        clock.sleep(given.block)
        block = daq.read(round(given.block * RATE_HZ) + SLACK)
        assert block.first == samples
        samples += len(block.t)
        total += block.values.sum(axis=0)
    spent_s = time.perf_counter() - begin
    assert abs(samples - reads * given.block * RATE_HZ * (1.0 + CRYSTAL_PPM * 1e-6)) < 2.0
    assert np.allclose((total / samples)[:4], [50.0, 25.0, 50.0, 20.0], rtol=1e-3)
    assert server.calls["ReadAnalogF64"] == reads
    daq.close()
    server.close()
    per_read_ms = 1e3 * spent_s / reads
    print(f"server up in {1e3 * served_s:.0f} ms, instrument open and started in {1e3 * opened_s:.0f} ms")
    print(f"{samples} samples of {len(CHANNELS)} channels in {reads} blocks of {given.block:g} s: {spent_s:.2f} s")
    verdict = "within" if per_read_ms <= PER_READ_MS else "over"
    print(f"a block, all-in: {per_read_ms:.3f} ms ({verdict} {PER_READ_MS} ms)")
    print(f"a stored value: {1e6 * spent_s / (samples * len(CHANNELS)):.2f} us")
    shifts = {ppm: shift(ppm) for ppm in CRYSTALS_PPM}
    said = ", ".join(f"{worst:.2f} at {ppm:+g} ppm" for ppm, worst in shifts.items())
    print(f"samples away after {BREAKS} breaks some {APART_S / 3600.0:.1f} h apart (asked for: {SHIFT:g}): {said}")
    return 0 if max(shifts.values()) <= SHIFT else 1


if __name__ == "__main__":
    sys.exit(main())
