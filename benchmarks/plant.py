"""The simulated plant: 49 h of every instrument's signal at 10 Hz, and the reading of single values.

    python -m benchmarks.plant [--hours 49]

The ratio is to drawing as many normal numbers, the least that a noisy simulation must do.  Asserts what was delivered.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from instruments.clock import VirtualClock
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.plant import Plant
from instruments.simulation.signal import DeliveryProgram

CHUNK_S = 600
TARGET_S = 2.0  # for 49 h on an idle 2-core machine
RATIO_LIMIT = 10.0
READS = 200_000


def plant() -> Plant:
    """A plant whose pump delivers 1 mL/day."""
    made = Plant(PlantParameters.load(), VirtualClock(), seed=1)
    made.pump.load(DeliveryProgram("continuous", 1000.0 / 24.0), 0.0)
    made.pump.start(0.0)
    made.signals["reference_load_mg"].at(0.0)  # imports what the first chunk needs
    return made


def run(made: Plant, hours: int) -> tuple[float, int]:
    """Seconds of wall time to read all signals of all instruments, and how many samples that was."""
    signals = [signal for name, signal in made.signals.items() if not name.startswith("truth_")]
    samples = 0
    begin = time.perf_counter()
    for first in range(0, hours * 36_000, CHUNK_S * 10):
        for signal in signals:
            samples += len(signal.samples(0.0, 0.1, first, CHUNK_S * 10))
    return time.perf_counter() - begin, samples


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=int, default=49)
    hours = parser.parse_args().hours
    made = plant()
    wall_s, samples = run(made, hours)
    delivered = made.truth["tip_volume_ul"].at(hours * 3600.0 - 1.0)
    signals = sum(not name.startswith("truth_") for name in made.signals)
    assert samples == signals * hours * 36_000
    assert abs(delivered / (hours * 1000.0 / 24.0) - 1.01) < 0.01
    begin = time.perf_counter()
    generator = np.random.Generator(np.random.Philox(1))
    for _ in range(samples // 6000):
        generator.standard_normal(6000)
    normals_s = time.perf_counter() - begin
    signal = made.signals["reference_load_mg"]
    first = hours * 3600.0 - 600.0
    begin = time.perf_counter()
    total = sum(signal.at(first + k * 0.003) for k in range(READS))
    read_us = (time.perf_counter() - begin) / READS * 1e6
    assert total / READS > 35_000.0
    print(f"plant, {hours} h, {samples:g} samples of {signals} signals, {delivered:.3f} uL delivered:")
    ratio = wall_s / normals_s
    print(f"  all signals                {wall_s:6.2f} s   ({ratio:.1f} times as many normal numbers alone)")
    print(f"  target for 49 h            {TARGET_S:6.2f} s")
    print(f"  one value                  {read_us:6.2f} us  ({READS} reads)")
    assert ratio < RATIO_LIMIT, f"the limit is {RATIO_LIMIT}"


if __name__ == "__main__":
    main()
