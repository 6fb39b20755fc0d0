"""The published MT-SICS client drives the simulated balance over a pseudo terminal, its own code unchanged.

Windows has no pseudo terminals; there the byte-for-byte tests of `test_mt_sics` stand alone.
"""

import sys
import warnings

import pytest

if sys.platform != "win32":
    from instruments.clock import WallClock
    from instruments.simulation.devices.mt_sics import MtSicsBalance
    from instruments.simulation.wire_server import WireServer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client asks setuptools for its own version, which warns that it will not
        from mettler_toledo_device import MettlerToledoDevice

    class Load:
        """A load that the test sets, in mg."""

        mg = 1234.56

        def at(self, t):
            return self.mg

    @pytest.fixture
    def load():
        return Load()

    @pytest.fixture
    def client(load, monkeypatch):
        monkeypatch.setattr(MettlerToledoDevice, "_RESET_DELAY", 0.0)  # waits 2 s for boards that reset when opened
        with WireServer(WallClock()) as server:
            balance = MtSicsBalance(load, serial="1126493049", latency_s=0.002)
            device = MettlerToledoDevice(port=server.pty(balance), timeout=60.0)
            yield device
            device.close()

    def test_the_client_reads_who_the_balance_is(client):
        assert client.get_serial_number() == "1126493049"
        assert client.get_balance_data() == ["XPR205", "Excellence", "220.00009", "g"]
        assert client.get_mtsics_level()[0] == "012"
        assert client.get_software_version() == ["2.10", "10.28.0.493.142"]
        assert client.get_software_id() == "12121306C"

    def test_the_client_reads_the_weight_with_its_stability(client):
        assert client.get_weight() == [1.23456, "g", "S"]
        assert client.get_weight_stable() == [1.23456, "g"]

    def test_the_client_zeroes_within_the_zero_range_and_is_refused_outside(client, load):
        assert client.zero_stable() is True
        assert client.get_weight()[0] == 0.0
        assert client.zero() == "S"
        load.mg = 5000.0
        assert client.zero_stable() is False

    def test_the_client_learns_of_an_overload(client, load):
        load.mg = 300e3
        with pytest.raises(Exception, match="overload"):
            client.get_weight()
