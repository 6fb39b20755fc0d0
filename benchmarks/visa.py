"""What a query of a simulated instrument costs through the real pyvisa, and what a 49 h run asks of it.

Run from the project's folder: ``python benchmarks/visa.py``.  Figures are per call on one thread; a ratio is to the
cost of the same call on a device that answers at once with constant bytes.
"""

from __future__ import annotations

import pathlib
import struct
import sys
import time
from collections.abc import Callable

import numpy as np
import pyvisa

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from instruments.clock import VirtualClock
from instruments.simulation.devices.mt_sics import MtSicsBalance
from instruments.simulation.devices.sensirion_shdlc import ShdlcFlowSensor
from instruments.simulation.visalib import SimulatedVisa
from instruments.simulation.wire import ByteDevice

POLLS, READS, SAMPLES_A_READ = 176_400, 44_099, 40


class Flat:
    """A signal that costs nothing."""

    def at(self, t: float) -> float:
        """Return a load in mg."""
        return 12_345.67

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        """Return flows in nL/min."""
        return np.full(n, 694.0)


class Parrot(ByteDevice):
    """Answers at once with constant bytes."""

    def on_bytes(self, data: bytes, now: float) -> None:
        """Answer."""
        self.emit(b"S S   12.34567 g\r\n", now)


def measured(what: str, calls: int, body: Callable[[], None]) -> float:
    """Run ``body`` once and print its time per call in µs."""
    start = time.perf_counter()
    body()
    each = (time.perf_counter() - start) / calls * 1e6
    print(f"{what:<58} {calls:>8} calls {each:8.2f} us each")
    return each


def open_port(device: ByteDevice, **settings: object) -> tuple[VirtualClock, pyvisa.resources.MessageBasedResource]:
    """Put a device on a port of its own."""
    clock = VirtualClock()
    manager = pyvisa.ResourceManager(SimulatedVisa(clock, {"ASRL1::INSTR": device}))
    port = manager.open_resource("ASRL1::INSTR", write_termination="\r\n", **settings)
    assert isinstance(port, pyvisa.resources.MessageBasedResource)
    return clock, port


def constant_reply() -> float:
    """Floor: pyvisa and the library alone."""
    _, port = open_port(Parrot(), read_termination="\r\n")

    def body() -> None:
        for _ in range(50_000):
            port.query("SI")

    return measured("constant reply", 50_000, body)


def balance() -> float:
    """Poll a balance once a second for 49 h inside a worker of the virtual clock."""
    clock, port = open_port(MtSicsBalance(Flat()), read_termination="\r\n")
    replies: set[str] = set()

    def polls() -> None:
        for k in range(POLLS):
            clock.sleep_until(float(k + 1))
            replies.add(port.query("SI"))

    each = measured("MT-SICS balance, SI with 20 ms latency", POLLS, lambda: clock.run(polls))
    assert replies == {"S S   12.34567 g"}
    assert clock.now() > 49 * 3600
    return each


def flow_sensor() -> float:
    """Read 40 samples each 4 s for 49 h."""
    clock, port = open_port(ShdlcFlowSensor(Flat(), crystal_ppm=0.0), baud_rate=115200, read_termination="~")
    port.write_raw(bytes.fromhex("7E 00 33 02 00 64 66 7E"))
    port.read_raw(), port.read_raw()
    expected = struct.pack(">40h", *[2776] * SAMPLES_A_READ)
    whole = 0

    def reads() -> None:
        nonlocal whole
        for k in range(READS):
            clock.sleep_until(4.05 + 4.0 * k)
            port.write_raw(bytes.fromhex("7E 00 36 00 C9 7E"))
            port.read_raw()
            whole += port.read_raw()[4:-2] == expected

    each = measured("SHDLC flow sensor, 40 samples a read", READS, lambda: clock.run(reads))
    assert whole == READS
    return each


def main() -> None:
    """Print every figure."""
    floor = constant_reply()
    poll, read = balance(), flow_sensor()
    print(f"ratio to a constant reply: balance {poll / floor:.2f}, flow sensor {read / floor:.2f}")
    print(f"49 h of both: {(POLLS * poll + READS * read) * 1e-6:.2f} s")


if __name__ == "__main__":
    main()
