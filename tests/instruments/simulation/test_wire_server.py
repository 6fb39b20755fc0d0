"""Ports for other programs: what reaches a device over TCP and what comes back."""

import socket

import pytest

from instruments.clock import VirtualClock, WallClock
from instruments.simulation.devices.mt_sics import MtSicsBalance
from instruments.simulation.wire_server import WireServer


class Flat:
    def at(self, t):
        return 1.23

    def samples(self, t0, dt, first, n):
        raise NotImplementedError


@pytest.fixture
def address():
    with WireServer(WallClock()) as server:
        yield server.tcp(MtSicsBalance(Flat(), latency_s=0.001))


def ask(address, command):
    with socket.create_connection(address, timeout=60.0) as client:
        client.sendall(command)
        return client.makefile("rb").readline()


def test_a_balance_answers_over_tcp(address):
    assert ask(address, b"SI\r\n") == b"S S    0.00123 g\r\n"


def test_the_next_client_takes_over(address):
    with socket.create_connection(address, timeout=60.0) as first:
        assert ask(address, b"I4\r\n") == b'I4 A "B021002593"\r\n'
        assert first.recv(1) == b""
    assert ask(address, b"SI\r\n") == b"S S    0.00123 g\r\n"


def test_ports_need_wall_time():
    with pytest.raises(ValueError, match="WallClock"):
        WireServer(VirtualClock())
