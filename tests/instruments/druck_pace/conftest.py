"""Simulated pressure controllers, one that lists its commands and one that follows a script, and their driver."""

import re
from functools import partial

import pytest

from instruments.simulation.devices.druck_pace import DruckPaceController
from instruments.simulation.wire import LineDevice


class Line:
    """A line without volume; an actuator that goes where it is told."""

    def write(self, value, t):
        pass

    def ramp(self, value, per_s, t):
        pass


class Listed(DruckPaceController):
    """A controller that lists the commands which it does."""

    def __init__(self, **settings):
        super().__init__(Line(), noise_kpa=0.0, **settings)
        self.done = []

    def _command(self, header, parameter, t):
        super()._command(header, parameter, t)
        self.done.append((re.sub(r"\[.*?\]", "", header.form), parameter))

    def true_at(self, t):
        """Gauge pressure of the conversion that a query finds which is done at ``t``."""
        return self._course.at(int(t * 10 + 1e-6) / 10)


class Script(LineDevice):
    """Answers each query from a table, unknown ones with a blank line."""

    def __init__(self, answers=()):
        super().__init__()
        self.answers = {
            "*IDN": "GE Druck,Pace5000 User Interface,7,1", ":UNIT:PRES": "HPA", ":SENS:PRES:RANG": '"2.00barg"',
            ":SENS:PRES:INL": "500.0000000, 1", ":OUTP:STAT": "0",
        }  # fmt: skip
        self.answers |= dict(answers)

    def on_line(self, line, now):
        asked = [part[:-1] for part in line.split(";") if part.endswith("?")]
        reply = ";".join(f"{header} {self.answers[header]}" for header in asked if header in self.answers)
        self.emit(reply.encode() + b"\n", now + 0.01)


@pytest.fixture(scope="session")
def listed():
    """Function that makes a controller which lists the commands that it does."""
    return Listed


@pytest.fixture(scope="session")
def scripted():
    """Function that makes a device which answers from a table."""
    return Script


@pytest.fixture
def control(connected):
    """Function that opens a driver in front of a device."""
    return partial(connected, "druck-pace", max_pressure="180 kPa")


@pytest.fixture
def device():
    return Listed()


@pytest.fixture
def pace(control, device):
    """The driver of that controller."""
    driver = control(device)
    device.done.clear()
    return driver


@pytest.fixture(scope="session")
def pressure_after():
    """Function that waits and returns the pressure in kPa that is read then."""

    def pressure_after(driver, seconds):
        driver.clock.sleep(seconds)
        return driver.sample().values[0]

    return pressure_after
