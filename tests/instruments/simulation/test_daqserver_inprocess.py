"""The device server without a network: the real nidaqmx cannot tell it from the one behind a port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import nidaqmx
import numpy as np
import pytest
from nidaqmx.constants import AcquisitionType
from nidaqmx.errors import DaqError, DaqReadError, RpcError
from nidaqmx.grpc_session_options import SessionInitializationBehavior
from nidaqmx.stream_readers import AnalogMultiChannelReader
from nidaqmx.system import System

from instruments.clock import VirtualClock
from instruments.daq import NiDaqmx
from instruments.daq_session import InProcess
from instruments.daq_settings import NiDaqmxSettings
from instruments.instrument import Connection, InstrumentDisconnected
from instruments.simulation.daqserver.misbehaviour import DaqTrouble, Misbehaviour
from instruments.simulation.daqserver.server import DaqServer

DEVICES = {"cDAQ1Mod1": "NI 9215", "cDAQ1Mod2": "NI 9472"}


class Index:
    """A signal whose value tells which moment it belongs to."""

    def at(self, t: float) -> float:
        return t / 1000.0

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return (t0 + np.arange(first, first + n) * dt) / 1000.0


@pytest.fixture(params=["network", "in process"])
def way(request: pytest.FixtureRequest) -> Iterator[tuple[DaqServer, Any]]:
    """A server and a channel to it, by either way."""
    server = DaqServer(VirtualClock(), DEVICES, {f"cDAQ1Mod1/ai{index}": Index() for index in range(2)}).start()
    channel = server.channel() if request.param == "in process" else grpc.insecure_channel(server.target)
    yield server, channel
    channel.close()
    server.close()


def options(channel: Any, name: str = "", behaviour: int = SessionInitializationBehavior.AUTO) -> Any:
    return nidaqmx.GrpcSessionOptions(channel, name, initialization_behavior=behaviour)


def test_devices_tasks_and_samples_are_the_same(way: tuple[DaqServer, Any]) -> None:
    server, channel = way
    assert [device.product_type for device in System.remote(grpc_options=options(channel)).devices] == [
        "cDAQ-9178",
        "NI 9215",
        "NI 9472",
    ]
    with nidaqmx.Task(grpc_options=options(channel)) as task:
        task.ai_channels.add_ai_voltage_chan("cDAQ1Mod1/ai0:1", min_val=-10.0, max_val=10.0)
        task.timing.cfg_samp_clk_timing(10.0, sample_mode=AcquisitionType.CONTINUOUS)
        task.start()
        server.system.clock.sleep(2.05)
        reader, data = AnalogMultiChannelReader(task.in_stream), np.zeros((2, 30))
        with pytest.raises(DaqReadError) as late:
            reader.read_many_sample(data, 30, timeout=0.0)
        assert (late.value.error_code, late.value.samps_per_chan_read) == (-200284, 21)
        assert data.ravel()[:21] == pytest.approx(np.arange(21) * 1e-4, abs=2e-4)
    assert server.system.tasks == {}


def test_errors_are_the_same(way: tuple[DaqServer, Any]) -> None:
    server, channel = way
    with nidaqmx.Task("one", grpc_options=options(channel, "one")) as task:
        with pytest.raises(DaqError) as failed:
            task.ai_channels.add_ai_voltage_chan("cDAQ1Mod1/ai9")
        assert failed.value.error_code == -200170
        assert "Physical Channel Name: ai9" in str(failed.value)
        with pytest.raises(RpcError) as unknown:
            task.ci_channels.add_ci_ang_velocity_chan("cDAQ1/ctr0")
        assert unknown.value.rpc_code is grpc.StatusCode.UNIMPLEMENTED
        new = SessionInitializationBehavior.INITIALIZE_SERVER_SESSION
        with pytest.raises(RpcError) as twice:
            nidaqmx.Task("one", grpc_options=options(channel, "one", new))
        assert twice.value.rpc_code is grpc.StatusCode.ALREADY_EXISTS
    assert server.unknown == {"CreateCIAngVelocityChan": 1}


def test_a_server_that_answers_nobody_is_unavailable(way: tuple[DaqServer, Any]) -> None:
    server, channel = way
    server.misbehaviour = Misbehaviour([DaqTrouble(("unavailable",), 1.0)])
    with pytest.raises(RpcError) as refused:
        nidaqmx.Task(grpc_options=options(channel))
    assert refused.value.rpc_code is grpc.StatusCode.UNAVAILABLE


def test_an_instrument_reads_and_switches_without_a_port() -> None:
    server = DaqServer(VirtualClock(), DEVICES, {"cDAQ1Mod1/ai0": Index()})
    clock = server.system.clock
    connection = Connection(daq=InProcess("in process", server.channel))
    channels = [{"name": "v", "physical": "cDAQ1Mod1/ai0", "kind": "voltage"}]
    table = {"rate": "10 Hz", "channels": channels, "valves": {"outlet": "cDAQ1Mod2/port0/line0"}}
    daq = NiDaqmx("daq", NiDaqmxSettings.model_validate(table), clock, connection)

    def main() -> None:
        daq.open()
        daq.start()
        clock.sleep(30.0)
        block = daq.read(400)
        assert (block.first, len(block.t)) == (0, 301)
        assert block.values[:, 0] == pytest.approx(np.arange(301) * 1e-4, abs=2e-4)
        daq.set_valve("outlet", True)
        assert daq.valves() == {"outlet": True}
        server.unplug("cDAQ1")
        with pytest.raises(InstrumentDisconnected):
            daq.read(400)

    clock.run(main)
    daq.close()
    server.close()
