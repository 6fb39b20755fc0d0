"""Simulated instruments on real ports of this computer, for software that brings its own serial port or socket.

A port lives on wall time: its bytes leave when the operating system lets them.  Pseudo terminals exist on Linux and
macOS alone; TCP serves every platform.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
from types import TracebackType

from instruments.clock import VirtualClock, WallClock, Worker
from instruments.simulation.wire import ByteDevice

_POLL_S = 0.02
_CHUNK = 4096


class WireServer:
    """Serves devices on pseudo terminals and TCP ports from one worker of a wall clock; a context manager.

    Raises
    ------
    ValueError
        When the clock is virtual: a foreign process cannot wait on it.
    """

    def __init__(self, clock: WallClock) -> None:
        if isinstance(clock, VirtualClock):
            raise ValueError("ports for other programs run on wall time; start the server on a WallClock")
        self._clock = clock
        self._ports: list[_Port] = []
        self._open = False
        self._worker: Worker | None = None

    def tcp(self, device: ByteDevice, port: int = 0) -> tuple[str, int]:
        """Serve a device on a loopback TCP port; returns host and port."""
        listener = socket.create_server(("127.0.0.1", port))
        self._ports.append(_TcpPort(device, listener))
        return "127.0.0.1", int(listener.getsockname()[1])

    def pty(self, device: ByteDevice) -> str:
        """Serve a device on a pseudo terminal; returns the path that a serial port library opens."""
        if sys.platform == "win32":
            raise OSError("Windows has no pseudo terminals for serial ports; serve the device on TCP")
        import pty  # exists on POSIX alone
        import tty

        master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._ports.append(_PtyPort(device, master, slave))
        return os.ttyname(slave)

    def __enter__(self) -> WireServer:
        self._open = True
        self._worker = self._clock.worker("wire server", self._serve)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        assert self._worker is not None
        self._worker.join()
        for port in self._ports:
            port.close()
        if self._worker.error is not None:
            raise self._worker.error

    def _serve(self) -> None:
        while self._open:
            handles = [handle for port in self._ports for handle in port.handles()]
            readable, _, _ = select.select(handles, [], [], self._wait_s())
            now = self._clock.now()
            for port in self._ports:
                port.step(set(readable), now)

    def _wait_s(self) -> float:
        """Time to the next output of any device, at most one poll."""
        now = self._clock.now()
        times = (port.device.next_output_time() for port in self._ports)
        return min(_POLL_S, max(0.0, min((t - now for t in times if t is not None), default=_POLL_S)))


class _Port:
    """A device and what it is served on."""

    def __init__(self, device: ByteDevice) -> None:
        self.device = device

    def handles(self) -> list[int]:
        """File descriptors to wait on."""
        raise NotImplementedError

    def step(self, readable: set[int], now: float) -> None:
        """Pass on what the host sent and what the device has to say."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the port."""
        raise NotImplementedError


class _PtyPort(_Port):
    """The slave end stays open here too: else the master sees an error when a client closes it."""

    def __init__(self, device: ByteDevice, master: int, slave: int) -> None:
        super().__init__(device)
        self._master, self._slave = master, slave

    def handles(self) -> list[int]:
        return [self._master]

    def step(self, readable: set[int], now: float) -> None:
        if self._master in readable:
            self.device.write(os.read(self._master, _CHUNK), now)
        data = self.device.read_ready(now)
        if data:
            with contextlib.suppress(BlockingIOError):  # nobody reads: what does not fit is lost, as on a real port
                os.write(self._master, data)

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)


class _TcpPort(_Port):
    """One client at a time, the latest wins."""

    def __init__(self, device: ByteDevice, listener: socket.socket) -> None:
        super().__init__(device)
        self._listener = listener
        self._client: socket.socket | None = None

    def handles(self) -> list[int]:
        client = [] if self._client is None else [self._client.fileno()]
        return [self._listener.fileno(), *client]

    def step(self, readable: set[int], now: float) -> None:
        if self._client is not None and self._client.fileno() in readable:
            self._receive(now)
        if self._listener.fileno() in readable:
            self._hang_up()
            self._client, _ = self._listener.accept()
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = self.device.read_ready(now)
        if data and self._client is not None:
            try:
                self._client.sendall(data)
            except OSError:
                self._hang_up()

    def _receive(self, now: float) -> None:
        assert self._client is not None
        try:
            data = self._client.recv(_CHUNK)
        except OSError:
            data = b""
        if data:
            self.device.write(data, now)
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def close(self) -> None:
        self._hang_up()
        self._listener.close()
