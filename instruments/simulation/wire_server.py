"""Simulated instruments on real ports of this computer, for software that brings its own serial port or socket.

A port lives on wall time: its bytes leave when the operating system lets them.  Pseudo terminals exist on Linux and
macOS alone; TCP serves every platform.

One worker serves all of them.  It lets every device act at its own moments, however silent its host is: a time-out of a
syringe pump stops the motor although nobody talks to it any more.

A device may have several ports; what it says goes to the port that spoke last, as a multiplexer of serial lines does.
A TCP port has one client, the latest wins: a host that was killed can never keep its successor out.  A pseudo terminal
is a cable: programs that open it at once share it.  While a plug is pulled (`ByteDevice.unplug`) the TCP port hangs up
at once, and the pseudo terminal passes nothing on.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
from collections.abc import Callable, Mapping
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
        self._lines: list[_Line] = []
        self._open = False
        self._worker: Worker | None = None
        self._lock = clock.lock()  # held while devices are stepped

    def tcp(self, device: ByteDevice, port: int = 0) -> tuple[str, int]:
        """Serve a device on a loopback TCP port; returns host and port."""
        listener = socket.create_server(("127.0.0.1", port))
        self._line(device).ends.append(_TcpEnd(listener))
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
        self._line(device).ends.append(_PtyEnd(master, slave))
        return os.ttyname(slave)

    def unplug(self, device: ByteDevice, away_s: float) -> None:
        """Pull the plug of a device for a time; callable from any thread."""
        with self._lock:
            device.advance(self._clock.now())
            device.unplug(self._clock.now(), away_s)

    def plug(self, device: ByteDevice) -> None:
        """Put the plug of a device back before its time; callable from any thread."""
        with self._lock:
            device.plug(self._clock.now())

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
        for line in self._lines:
            line.close()
        if self._worker.error is not None:
            raise self._worker.error

    def _line(self, device: ByteDevice) -> _Line:
        for line in self._lines:
            if line.device is device:
                return line
        self._lines.append(_Line(device))
        return self._lines[-1]

    def _serve(self) -> None:
        while self._open:
            handles = [handle for line in self._lines for end in line.ends for handle in end.handles()]
            readable = _readable(handles, self._wait_s())
            with self._lock:
                now = self._clock.now()
                for line in self._lines:
                    line.step(readable, now)

    def _wait_s(self) -> float:
        """Real time to the next thing that any device does by itself or says, at most one poll."""
        now = self._clock.now()
        times = (line.device.next_output_time() for line in self._lines)
        due_s = min((t - now for t in times if t is not None), default=_POLL_S)
        return min(_POLL_S, max(0.0, due_s / self._clock.pace))


def _readable(handles: list[int], wait_s: float) -> set[int]:
    """Those of the handles at which something has arrived, after at most so much real time."""
    if not hasattr(select, "poll"):
        return set(select.select(handles, [], [], wait_s)[0])  # Windows: sockets alone, and few of them
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    return {handle for handle, _ in poll.poll(1000.0 * wait_s)}


class _Line:
    """A device and the ports on which it is served."""

    def __init__(self, device: ByteDevice) -> None:
        self.device = device
        self.ends: list[_PtyEnd | _TcpEnd] = []
        self._speaker: _PtyEnd | _TcpEnd | None = None

    def step(self, readable: set[int], now: float) -> None:
        """Pass on what hosts sent and what the device has to say, and let it act by itself."""
        there = self.device.connected(now)
        for end in self.ends:
            data = end.receive(readable, there)
            if data and there:
                self._speaker = end
                self.device.write(data, now)
        said = self.device.read_ready(now)
        if said and there and self._speaker is not None:
            self._speaker.send(said)

    def close(self) -> None:
        """Release the ports."""
        for end in self.ends:
            end.close()


class _PtyEnd:
    """The slave end stays open here too: else the master sees an error when a client closes it."""

    def __init__(self, master: int, slave: int) -> None:
        self._master, self._slave = master, slave

    def handles(self) -> list[int]:
        """File descriptors to wait on."""
        return [self._master]

    def receive(self, readable: set[int], there: bool) -> bytes:
        """What arrived from the host."""
        return os.read(self._master, _CHUNK) if self._master in readable else b""

    def send(self, data: bytes) -> None:
        """Pass on what the device says."""
        with contextlib.suppress(BlockingIOError):  # nobody reads: what does not fit is lost, as on a real port
            os.write(self._master, data)

    def close(self) -> None:
        """Release the port."""
        os.close(self._master)
        os.close(self._slave)


class _TcpEnd:
    """One client at a time, the latest wins."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._client: socket.socket | None = None

    def handles(self) -> list[int]:
        """File descriptors to wait on."""
        client = [] if self._client is None else [self._client.fileno()]
        return [self._listener.fileno(), *client]

    def receive(self, readable: set[int], there: bool) -> bytes:
        """What arrived from the client; a new one takes the place of the old one."""
        data = b""
        if self._client is not None and self._client.fileno() in readable:
            data = self._received()
        if self._listener.fileno() in readable:
            self._hang_up()
            with contextlib.suppress(OSError):  # it has given up meanwhile
                self._client, _ = self._listener.accept()
                self._client.setblocking(False)
                self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not there:
            self._hang_up()
        return data

    def send(self, data: bytes) -> None:
        """Pass on what the device says; a client that does not read loses what does not fit, and stops nobody else."""
        if self._client is None:
            return
        try:
            self._client.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up()

    def close(self) -> None:
        """Release the port."""
        self._hang_up()
        self._listener.close()

    def _received(self) -> bytes:
        assert self._client is not None
        try:
            data = self._client.recv(_CHUNK)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        return data

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def addresses(server: WireServer, devices: Mapping[str, ByteDevice]) -> dict[str, dict[str, str]]:
    """Serve devices on every kind of port that the platform has; their addresses by the devices' names."""
    kinds: dict[str, Callable[[ByteDevice], str]] = {"tcp": lambda device: "{}:{}".format(*server.tcp(device))}
    if sys.platform != "win32":
        kinds["pty"] = server.pty
    return {name: {kind: serve(device) for kind, serve in kinds.items()} for name, device in devices.items()}
