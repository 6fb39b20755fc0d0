"""A simulated NI device server with something at its terminals, as the real nidaqmx sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
import nidaqmx
import numpy as np
import pytest
from nidaqmx.constants import AcquisitionType
from nidaqmx.errors import DaqError
from nidaqmx.grpc_session_options import SessionInitializationBehavior

from instruments.clock import Clock, VirtualClock
from instruments.simulation.daqserver.hardware import Wiring
from instruments.simulation.daqserver.server import DaqServer

DEVICES = {
    "cDAQ1Mod1": "NI 9215",
    "cDAQ1Mod2": "NI 9205",
    "cDAQ1Mod3": "NI 9213",
    "cDAQ1Mod4": "NI 9472",
    "cDAQ1Mod5": "NI 9401",
    "cDAQ1Mod6": "NI 9263",
    "cDAQ1Mod7": "NI 9239",
    "Dev1": "USB-6211",
    "Dev2": "USB-6341",
}
WIRING = {
    "Dev2/ctr0": Wiring(pulses_hz=10.0, duty=0.25),
    "Dev2/PFI9": Wiring(pulses_hz=100.0),
    "Dev1/ctr1": Wiring(per_count=0.5),
}


class Index:
    """A signal whose value tells which moment it belongs to: volts = seconds / 1000."""

    def at(self, t: float) -> float:
        return t / 1000.0

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return (t0 + np.arange(first, first + n) * dt) / 1000.0


class Switch:
    """A line that is high in every odd second."""

    def at(self, t: float) -> float:
        return float(int(t + 1e-9) % 2)

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return np.array([self.at(t0 + k * dt) for k in range(first, first + n)])


class Edges:
    """Ten edges a second."""

    def at(self, t: float) -> float:
        return 10.0 * t

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return 10.0 * (t0 + np.arange(first, first + n) * dt)


class Seen:
    """An actuator that remembers what it was told, and when."""

    def __init__(self) -> None:
        self.commands: list[tuple[float, float]] = []

    def write(self, value: float, t: float) -> None:
        self.commands.append((value, t))


class Lab:
    """A server with signals and actuators at its terminals, a channel to it, and its clock."""

    def __init__(self, clock: Clock, clock_ppm: float = 0.0) -> None:
        self.clock, self.devices = clock, DEVICES
        signals = {f"cDAQ1Mod{slot}/ai{index}": Index() for slot in (1, 2, 3, 7) for index in range(4)}
        signals |= {"Dev1/ai0": Index(), "cDAQ1Mod5/port0/line7": Switch(), "Dev1/ctr0": Edges()}
        signals |= {"Dev1/ctr1": Edges(), "Dev2/ai0": Index(), "Dev2/ai1": Index(), "Dev2/PFI0": Switch()}
        self.valve, self.pressure = Seen(), Seen()
        actuators = {"cDAQ1Mod4/port0/line0": self.valve, "cDAQ1Mod6/ao0": self.pressure}
        self.server = DaqServer(clock, DEVICES, signals, actuators, WIRING, clock_ppm).start()
        self.channel = grpc.insecure_channel(self.server.target, options=[("grpc.max_receive_message_length", -1)])

    def options(
        self, name: str = "", behaviour: int = SessionInitializationBehavior.AUTO
    ) -> nidaqmx.GrpcSessionOptions:
        return nidaqmx.GrpcSessionOptions(self.channel, name, initialization_behavior=behaviour)

    def task(self, name: str = "") -> nidaqmx.Task:
        return nidaqmx.Task(name, grpc_options=self.options(name))

    def voltage(self, channels: str = "cDAQ1Mod1/ai0", rate: float | None = 10.0, **timing: object) -> nidaqmx.Task:
        task = self.task()
        task.ai_channels.add_ai_voltage_chan(channels, min_val=-10.0, max_val=10.0)
        if rate is not None:
            task.timing.cfg_samp_clk_timing(rate, **({"sample_mode": AcquisitionType.CONTINUOUS} | timing))
        return task

    def close(self) -> None:
        self.channel.close()
        self.server.close()


@pytest.fixture(scope="session")
def make_lab() -> type[Lab]:
    """Makes a lab on a clock; whoever makes it closes it."""
    return Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab in virtual time."""
    made = Lab(VirtualClock())
    yield made
    made.close()


@pytest.fixture(scope="session")
def code_of() -> Callable[[Callable[[], object]], int]:
    """Function that gives the DAQmx code with which an action fails."""

    def code_of(action: Callable[[], object]) -> int:
        with pytest.raises(DaqError) as failed:
            action()
        return int(failed.value.error_code)

    return code_of


class Level:
    """A signal that stands still."""

    def __init__(self) -> None:
        self.value = 0.0

    def at(self, t: float) -> float:
        return self.value

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return np.full(n, self.value)


class Portless:
    """A server in virtual time that is reached without a network."""

    def __init__(self, devices: Mapping[str, str], signals: Mapping[str, Any], wiring: Mapping[str, Wiring]) -> None:
        self.clock = VirtualClock()
        self.server = DaqServer(self.clock, devices, signals, wiring=wiring)
        self.options = nidaqmx.GrpcSessionOptions(self.server.channel(), "")

    def task(self) -> nidaqmx.Task:
        return nidaqmx.Task(grpc_options=self.options)


@pytest.fixture(scope="session")
def portless() -> type[Portless]:
    """Makes a server without a port, of devices, signals and wiring."""
    return Portless


class Terminals(Portless):
    """Modules with a level at their first input."""

    def __init__(self) -> None:
        devices = {"cDAQ1Mod1": "NI 9219", "cDAQ1Mod2": "NI 9215", "cDAQ1Mod3": "NI 9237"}
        self.levels = {f"{module}/ai0": Level() for module in devices}
        super().__init__(devices, self.levels, {"cDAQ1Mod3/ai0": Wiring(bridge_ohm=345.0)})

    def read(self, terminal: str, electrical: float, kind: str, excited: str, **settings: object) -> float:
        self.levels[terminal].value = electrical
        with nidaqmx.Task(grpc_options=self.options) as task:
            end = f"_{excited}" if excited else ""
            getattr(task.ai_channels, f"add_ai_{kind}_chan{end}")(terminal, **settings)
            return float(task.read())


@pytest.fixture
def bench() -> Terminals:
    """Modules without a network."""
    return Terminals()
