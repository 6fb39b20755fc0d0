"""The maker's own client reads the simulated meter over a pseudo terminal, in both frames, its own code unchanged.

Windows has no pseudo terminals; there the byte-for-byte tests of `test_bronkhorst_propar` stand alone.
"""

import sys

import pytest

if sys.platform != "win32":
    import propar

    from instruments.clock import WallClock
    from instruments.simulation.devices.bronkhorst_propar import CoriFlowMeter
    from instruments.simulation.wire_server import WireServer

    CAPACITY, FMEASURE, SERIAL, UNIT = 21, 205, 92, 129

    class Passed:
        """A volume in uL that has passed: 1 mL in an hour."""

        def at(self, t):
            return t / 3.6

    @pytest.fixture(scope="module")
    def meter():
        """The client in front of a meter without noise; the client keeps a port for as long as its process lives."""
        device = CoriFlowMeter(Passed(), noise_mg_per_h=0.0, density_noise_g_per_ml=0.0, latency_s=0.002)
        with WireServer(WallClock()) as server:
            client = propar.instrument(server.pty(device))
            client.master.response_timeout = 60.0  # of a computer that stalls
            while client.measure < 100:
                pass  # the first conversions are of liquid that stood
            yield client
            client.master.stop()

    @pytest.mark.parametrize("mode", [propar.PP_MODE_BINARY, propar.PP_MODE_ASCII])
    def test_the_client_reads_the_meter_in_either_frame(meter, mode):
        meter.master.propar.mode = mode
        assert meter.readParameter(SERIAL).strip() == "M21200123A"
        before, flow, after = meter.measure, meter.readParameter(FMEASURE), meter.measure
        counts = 32_000 * flow / meter.readParameter(CAPACITY)
        assert 0 < before - 1 <= counts <= after + 1  # it rises until the mean is over a whole response time

    def test_the_client_reads_several_parameters_in_one_message(meter):
        wanted = meter.db.get_parameters([CAPACITY, UNIT, FMEASURE])
        single = [meter.readParameter(number) for number in (CAPACITY, UNIT)]
        assert [one["data"] for one in meter.read_parameters(wanted)][:2] == single

    def test_the_client_finds_the_node(meter):
        nodes = []
        while not nodes:
            nodes = meter.master.get_nodes()  # for which it waits 50 ms and no longer
        assert [node["address"] for node in nodes] == [3]

    def test_what_is_read_only_is_refused_and_keeps_its_value(meter):
        before = meter.readParameter(CAPACITY)
        assert not meter.writeParameter(CAPACITY, 3.0)
        assert meter.readParameter(CAPACITY) == before
