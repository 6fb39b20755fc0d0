"""The server: a gRPC port of this process behind which simulated devices answer as NI-DAQmx would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from instruments.clock import Clock
from instruments.simulation.daqserver import calibration, outputs, saved, sessions, terminals, transfer, waveforms
from instruments.simulation.daqserver.catalogue import CatalogueError
from instruments.simulation.daqserver.dispatch import STREAMS, Dispatcher
from instruments.simulation.daqserver.faults import DaqFault
from instruments.simulation.daqserver.hardware import Hardware, Wiring, lower_keys, name_devices
from instruments.simulation.daqserver.inprocess import InProcessChannel
from instruments.simulation.daqserver.misbehaviour import Misbehaviour
from instruments.simulation.daqserver.system import System
from instruments.simulation.signal import Actuator, Signal

WORKERS, VIRTUAL_WORKERS = STREAMS + 64, STREAMS + 4
"""Threads for calls.  On the wall clock each read that waits holds one; in virtual time none waits, and a few threads
that stay warm answer a tenth sooner.  A registration for events holds one as long as it is there."""


HANDLERS = (
    sessions.HANDLERS
    | calibration.HANDLERS
    | transfer.HANDLERS
    | outputs.HANDLERS
    | waveforms.HANDLERS
    | terminals.HANDLERS
    | saved.HANDLERS
)

CLOSING_S = 1.0
"""Calls under way get this long to end; a port without calls closes at once."""


class DaqServer:
    """A simulated NI gRPC device server.

    Parameters
    ----------
    clock : paces the sample clocks.  On a virtual clock no call ever waits: a read of samples that are not there yet
        answers at once with those that are, as a read timeout (-200284), whatever its timeout says.
    devices : DAQmx name to type, such as ``{"cDAQ1Mod1": "NI 9219", "Dev1": "USB-6211"}``.
    signals : physical channel to what it measures, in V, A, V/V or ohm; "cDAQ1Mod2/_cjtemp" is a cold junction in
        degC, a digital line is high above 0.5, a counter gives its edges since ever.  A signal that is not a number is
        an open input.
    actuators : digital line or analog output to what it drives.
    wiring : physical channel to shunt and leads, or to the relay that feeds what an output drives.
    clock_ppm : how fast the devices' crystal runs.

    Raises
    ------
    CatalogueError
        A device type that is not in the catalogue, or a terminal that no device has.
    """

    def __init__(
        self,
        clock: Clock,
        devices: Mapping[str, str],
        signals: Mapping[str, Signal],
        actuators: Mapping[str, Actuator] | None = None,
        wiring: Mapping[str, Wiring] | None = None,
        clock_ppm: float = 0.0,
    ) -> None:
        hardware = Hardware(
            clock,
            name_devices(devices),
            lower_keys(signals),
            lower_keys(actuators or {}),
            lower_keys(wiring or {}),
            clock_ppm,
        )
        relays = [wired.relay for wired in (wiring or {}).values() if wired.relay is not None]
        for physical in (*signals, *(actuators or {}), *(wiring or {}), *relays):
            try:
                hardware.check_terminal(physical)
            except DaqFault:
                there = ", ".join(f"{device.name} ({device.product.name})" for device in hardware.devices.values())
                raise CatalogueError(f'there is no terminal "{physical}" on the devices {there or "(none)"}') from None
        self.system = System(hardware)
        self._dispatcher = Dispatcher(self.system, HANDLERS)
        self._server: Any = None
        self._port = 0

    def start(self, port: int = 0) -> DaqServer:
        """Listen on 127.0.0.1; port 0 is any free one."""
        options = (
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        )
        workers = WORKERS if self.system.waits else VIRTUAL_WORKERS
        self._server = grpc.server(ThreadPoolExecutor(workers, "ni device server"), options=options)
        self._server.add_generic_rpc_handlers((self._dispatcher,))
        self._port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()
        return self

    def close(self) -> None:
        """End what runs, and stop listening; calls under way end first."""
        with self.system.lock:
            self.system.close()
        if self._server is not None:
            self._server.stop(CLOSING_S).wait()
            self._server = None

    def channel(self) -> InProcessChannel:
        """A gRPC channel to this server for a client in this process, which needs no port."""
        return InProcessChannel(self._dispatcher)

    @property
    def target(self) -> str:
        """Address as a gRPC target."""
        return f"127.0.0.1:{self._port}"

    @property
    def calls(self) -> Counter[str]:
        """How often each call was made."""
        return self._dispatcher.calls

    @property
    def unknown(self) -> Counter[str]:
        """Calls and attributes that were asked for and are not simulated."""
        return self.system.unknown

    # -- what can happen to devices

    @property
    def misbehaviour(self) -> Misbehaviour | None:
        """What strikes the calls; None by default."""
        return self._dispatcher.misbehaviour

    @misbehaviour.setter
    def misbehaviour(self, value: Misbehaviour | None) -> None:
        self._dispatcher.misbehaviour = value

    def unplug(self, name: str) -> None:
        """Pull a module out of its chassis (then -88708) or the cable of a device or chassis (then -201003)."""
        with self.system.lock:
            self.system.unplug(self.system.hardware.device(name))

    def plug(self, name: str) -> None:
        """Put it back; tasks that ran on it are aborted (-88709) and must be made anew."""
        with self.system.lock:
            self.system.plug(self.system.hardware.device(name))

    def reset(self, name: str) -> None:
        """Reset a device: its tasks are aborted, its outputs go off."""
        with self.system.lock:
            self.system.reset(self.system.hardware.device(name))

    def stall(self, name: str) -> None:
        """Let a device hang: it answers, but its sample clock stands still."""
        with self.system.lock:
            self.system.stall(self.system.hardware.device(name))

    def resume(self, name: str) -> None:
        """End a stall; tasks go on when they are started anew."""
        with self.system.lock:
            self.system.release(self.system.hardware.device(name))

    def output(self, physical: str) -> float:
        """Level of a digital line or analog output."""
        self.system.hardware.check_terminal(physical)
        return self.system.hardware.outputs.get(physical.lower(), 0.0)
