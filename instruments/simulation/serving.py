"""A simulated rig for other programs: its instruments on TCP and pseudo terminals, its NI devices as a gRPC server.

One plant and one wall clock behind all of them.  Whoever serves it also sees the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from instruments.clock import WallClock
from instruments.simulation.rig import Rig
from instruments.simulation.wire import ByteDevice
from instruments.simulation.wire_server import WireServer, addresses

_VOLUMES = {"delivered_ul": "tip_volume_ul", "pushed_ul": "pushed_volume_ul", "lost_ul": "lost_volume_ul"}
_PRESSURES = ("outlet_pressure_kpa", "distal_pressure_kpa")


@runtime_checkable
class PressureSource(Protocol):
    """A device that may have a pressure on the line."""

    setpoint_kpa: float

    @property
    def is_on(self) -> bool:
        """Whether it regulates."""

    @property
    def vents(self) -> bool:
        """Whether its line is open to ambient."""


class ServedRig:
    """A rig on ports of this computer, from entering to leaving it as a context.

    Parameters
    ----------
    resources : name of an instrument -> its VISA resource in the rig.

    Attributes
    ----------
    ports : address of each instrument by its name and the kind of port: ``tcp`` "host:port", ``pty`` a path.
    """

    def __init__(self, rig: Rig, clock: WallClock, resources: Mapping[str, str]) -> None:
        self.rig = rig
        self._clock = clock
        self._devices: dict[str, ByteDevice] = {name: rig.devices[resource] for name, resource in resources.items()}
        self._server = WireServer(clock)
        self.ports: dict[str, dict[str, str]] = {}

    @property
    def daq(self) -> str:
        """Address of the NI gRPC device server."""
        return self.rig.daq_target

    def __enter__(self) -> ServedRig:
        self.truth()  # the plant's first answer takes a second, which shall be no host's time-out
        self.ports = addresses(self._server, self._devices)
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def unplug(self, name: str, away_s: float) -> None:
        """Pull the plug of an instrument for a time."""
        self._server.unplug(self._devices[name], away_s)

    def plug(self) -> None:
        """Put every plug back."""
        for device in self._devices.values():
            self._server.plug(device)

    def truth(self) -> dict[str, Any]:
        """What is true in the plant now, and what the pressure controllers do, whether it reaches the line or not."""
        now, plant = self._clock.now(), self.rig.plant
        volumes = {name: plant.truth[signal].at(now) for name, signal in _VOLUMES.items()}
        return {
            "t_s": now,
            "utc": self._clock.utc(now).isoformat(),
            **plant.standing(now),
            "pump_is_running": plant.pump.state(now).running,
            **{name: plant.truth[name].at(now) for name in _PRESSURES},
            **volumes,
            "controllers": {
                name: {"regulates": device.is_on, "setpoint_kpa": device.setpoint_kpa, "vents": device.vents}
                for name, device in self._devices.items()
                if isinstance(device, PressureSource)
            },
            "daq_unknown": dict(self.rig.daq.unknown),
        }
