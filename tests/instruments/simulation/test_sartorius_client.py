"""The published client of Sartorius scales reads the simulated balance over a pseudo terminal, its own code unchanged.

Windows has no pseudo terminals; there the byte-for-byte tests of `test_sartorius_sbi` stand alone.
"""

import asyncio
import sys
from itertools import count

import pytest

if sys.platform != "win32":
    from sartorius import Scale

    from instruments.clock import WallClock
    from instruments.simulation.devices.sartorius_sbi import SartoriusBalance
    from instruments.simulation.wire_server import WireServer

    class Load:
        """A load that a test sets, in mg, or a function of time."""

        mg = 12_345.67

        def at(self, t):
            return self.mg(t) if callable(self.mg) else self.mg

    @pytest.fixture
    def load():
        return Load()

    @pytest.fixture
    def ask(load):
        """Function that asks the client one thing, in front of the balance; a pseudo terminal has no parity."""
        with WireServer(WallClock()) as server:
            scale = Scale(server.pty(SartoriusBalance(load, parity="N", latency_s=0.002)), parity="N")

            def ask(method, patience_s=60.0):
                scale.hw.ser.timeout = patience_s
                return asyncio.run(getattr(scale, method)())

            yield ask
            scale.hw.close()

    def test_the_client_reads_who_the_balance_is(ask):
        assert ask("get_info") == {"model": "MSA225S", "serial": "0021305679", "software": "00-37-12"}

    def test_the_client_reads_the_weight_its_unit_and_that_it_is_stable(ask):
        assert ask("get") == {"mass": 12.34567, "units": "g", "stable": True, "measurement": "net"}

    def test_the_client_takes_a_blank_unit_for_an_unstable_reading(ask, load):
        looks = count()
        load.mg = lambda t: 1000.0 * next(looks)
        reading = ask("get")
        assert (reading["stable"], reading["units"]) == (False, "")

    def test_the_client_tares_the_balance(ask):
        ask("zero", patience_s=0.15)  # which is answered by nothing
        assert ask("get")["mass"] == 0.0

    def test_the_client_learns_of_an_overload(ask, load):
        load.mg = 300e3
        assert ask("get") == {"on": False}
