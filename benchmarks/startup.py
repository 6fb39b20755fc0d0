"""How long a start takes: `pumpbench --help` and `import bench`, a station file, and a served rig after its imports.

python -m benchmarks startup
"""

from __future__ import annotations

import subprocess
import sys
import time

REPEATS = 7
ASKED_S = {"pumpbench --help": 0.3, "import bench": 0.15, "sim serve": 1.0}
SERVED = """
import time
from bench import served_rig
from bench.station import serve_rig
from instruments.clock import WallClock

def up():
    begun = time.perf_counter()
    rig = served_rig.of_station("sim-full")
    with serve_rig(rig.simulation, rig.where, WallClock(), rig.resources, plant=rig.plant, wires=rig.wires) as served:
        assert served.ports and served.daq
        return time.perf_counter() - begun

up()  # imports what it needs
print(min(up() for _ in range(3)))
"""
STATION = """
import time
from bench.station import load_station
load_station("sim")
{also}
print(time.process_time())
"""
UNITS = "import pint; pint.UnitRegistry().Quantity('1 mL/day')"
"""What reading a station's quantities would cost with pint, whose factors are kept as numbers."""


def best_s(*arguments: str) -> float:
    """Shortest wall time of a command."""
    took = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-P", *arguments], check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - begun)
    return min(took)


def least_cpu_s(program: str) -> float:
    """Smallest CPU time that a program, which prints its own, takes."""

    def once() -> float:
        done = subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True)
        return float(done.stdout)

    return min(once() for _ in range(REPEATS))


def main() -> int:
    """Measure and print; exit code 1 when a start is slower than asked for."""
    bare = best_s("-c", "pass")
    starts = {
        "pumpbench --help": best_s("-m", "bench.cli", "--help"),
        "import bench": best_s("-c", "import bench"),
    }
    served = subprocess.run([sys.executable, "-P", "-c", SERVED], check=True, capture_output=True, text=True)
    starts["sim serve"] = float(served.stdout)
    print(f"bare interpreter {bare:.3f} s")
    for name, seconds in starts.items():
        print(f"{name}: {seconds:.3f} s, {seconds / bare:.1f} times bare (asked for: {ASKED_S[name]:g} s)")
    station, with_pint = (least_cpu_s(STATION.format(also=also)) for also in ("", UNITS))
    print(f"a station file: {station:.3f} s of CPU, {station / with_pint:.2f} times what it takes with pint")
    return 0 if all(seconds < ASKED_S[name] for name, seconds in starts.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
