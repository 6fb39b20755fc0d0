"""A simulated device on a wire with its driver in front of it."""

import pytest

from instruments.clock import VirtualClock
from instruments.instrument import Connection, load_driver
from instruments.simulation.misbehaviour import Misbehaviour, WireFault
from instruments.simulation.visalib import SimulatedVisa


@pytest.fixture(scope="session")
def wired():
    """Function that makes a driver in front of a device; the device is plugged into ASRL1 of a library of its own."""

    def wire(driver, device, clock=None, *, resource="ASRL1::INSTR", raw_errors=False, **settings):
        clock = clock or VirtualClock()
        kind = load_driver(driver) if isinstance(driver, str) else driver
        library = SimulatedVisa(clock, {resource: device}, raw_errors=raw_errors)
        written = kind.settings_type.model_validate({"resource": resource, **settings})
        return kind("it", written, clock, Connection.through(library))

    return wire


@pytest.fixture(scope="session")
def connected(wired):
    """Function that makes a driver as `wired` does, and opens it."""

    def connect(driver, device, clock=None, **settings):
        instrument = wired(driver, device, clock, **settings)
        instrument.open()
        return instrument

    return connect


@pytest.fixture
def hurried(monkeypatch):
    """Function after which a device server has but a moment for each answer, however long it had for those before.

    A short deadline from the beginning would be over whenever the computer stalls.
    """
    return lambda: monkeypatch.setattr("instruments.daq_session._Call._deadline_s", 0.3)


@pytest.fixture(scope="session")
def damaged():
    """Function that lets faults of given kinds strike a device's wire, with a probability a transaction each."""

    def damage(device, seed=0, **probabilities):
        faults = [
            WireFault((kind.replace("_", "-"),), probability, away_s=7.0, late_s=0.9)
            for kind, probability in probabilities.items()
        ]
        misbehaviour = Misbehaviour("it", faults, seed=seed)
        misbehaviour.attach(device)
        return misbehaviour

    return damage
