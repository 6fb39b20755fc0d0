"""What an instrument is to the bench."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest
from pydantic import ValidationError

from data.quantity_fields import TimeS
from data.samples import Channel, Reading
from instruments import instrument as module
from instruments.clock import VirtualClock
from instruments.instrument import (
    Connection,
    DriverError,
    Identity,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentOverflow,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    Polled,
    Settings,
    driver_names,
    load_driver,
)


class Thermometer(Polled):
    """The smallest instrument there can be."""

    channels = (Channel("air", "degC"),)
    period_s = 1.0

    def open(self):
        pass

    def identify(self):
        return Identity("Nobody", "T", "1")

    def sample(self):
        return Reading(self.clock.now(), (20.0,), (0,))

    def make_safe(self):
        return "it drives nothing"

    def close(self):
        pass


class TimedSettings(Settings):
    pause_s: TimeS


def entry_points_of(*entries):
    return lambda group: EntryPoints([EntryPoint(name, value, group) for name, value in entries])


@pytest.mark.parametrize(
    "error", [InstrumentTimeout, InstrumentReplyError, InstrumentDisconnected, InstrumentOverflow, InstrumentRefusal]
)
def test_every_error_is_an_instrument_error_and_names_its_instrument(error):
    made = error("balance", "said nothing")
    assert isinstance(made, InstrumentError)
    assert made.instrument == "balance"
    assert str(made) == 'instrument "balance": said nothing'


def test_an_instrument_without_a_safe_state_cannot_be_made():
    class Careless(Thermometer):
        make_safe = Polled.make_safe

    with pytest.raises(TypeError, match="make_safe"):
        Careless("air", Settings(), VirtualClock(), Connection())


def test_the_stream_of_an_instrument_carries_its_name_and_channels():
    stream = Thermometer("air", Settings(), VirtualClock(), Connection()).stream
    assert (stream.name, stream.instrument, stream.channels[0].unit, stream.interval_s) == ("air", "air", "degC", None)


def test_settings_of_another_driver_are_refused():
    class Timed(Thermometer):
        settings_type = TimedSettings

    with pytest.raises(DriverError, match='"air"'):
        Timed("air", Settings(), VirtualClock(), Connection())


def test_notes_are_stamped_and_taken_once():
    clock = VirtualClock()
    thermometer = Thermometer("air", Settings(), clock, Connection())
    clock.sleep(3.0)
    thermometer.note("warning", "it fell down")
    (note,) = thermometer.take_notes()
    assert (note.t, note.level, note.text) == (3.0, "warning", "it fell down")
    assert thermometer.take_notes() == []


def test_a_quantity_is_a_string_with_its_unit():
    assert TimedSettings.model_validate({"pause_s": "1.5 min"}).pause_s == 90.0
    with pytest.raises(ValidationError, match=r"90 is a bare number; write a time as text with its unit"):
        TimedSettings.model_validate({"pause_s": 90})
    with pytest.raises(ValidationError, match="pause_s"):
        TimedSettings.model_validate({"pause_s": "1,5 min"})


def test_a_key_that_no_driver_knows_is_refused():
    with pytest.raises(ValidationError, match="serail"):
        Settings.model_validate({"serail": "B1"})


@pytest.mark.parametrize("name", ["mettler-mtsics", "sensirion-shdlc", "pump-link"])
def test_a_driver_is_found_by_its_name(name):
    assert issubclass(load_driver(name), module.Instrument)


def test_an_unknown_driver_is_refused_with_the_nearest_name_and_all_that_there_are():
    with pytest.raises(DriverError, match='did you mean "mettler-mtsics"') as caught:
        load_driver("metler-mtsics")
    assert "sensirion-shdlc" in str(caught.value)


def test_a_name_cannot_reach_outside_the_folder_of_drivers():
    with pytest.raises(DriverError, match="no driver"):
        load_driver("..clock")


def test_a_driver_of_another_package_is_found(monkeypatch):
    monkeypatch.setattr(module, "entry_points", lambda group, **_: entry_points_of(("cubis", "decimal:Decimal"))(group))
    assert "cubis" in driver_names()
    with pytest.raises(DriverError, match="not a class of instruments"):
        load_driver("cubis")


def test_a_driver_of_another_package_that_is_broken_is_named(monkeypatch):
    monkeypatch.setattr(module, "entry_points", lambda group, **_: entry_points_of(("cubis", "no_such:X"))(group))
    with pytest.raises(DriverError, match=r'"cubis" \(no_such:X\) cannot be loaded'):
        load_driver("cubis")


def test_a_connection_makes_its_resource_manager_once_and_only_when_used():
    made = []
    connection = Connection(lambda: made.append(None) or object())
    assert not made
    assert connection.visa is connection.visa
    assert len(made) == 1


def test_a_connection_closes_what_it_opened():
    class Manager:
        closed = False

        def close(self):
            self.closed = True

    manager = Manager()
    connection = Connection(lambda: manager)
    connection.close()
    assert not manager.closed
    assert connection.visa is manager
    connection.close()
    assert manager.closed


def test_a_connection_without_a_server_uses_the_local_daq_driver():
    assert Connection.through("").daq is None
    assert Connection.through("", "127.0.0.1:31763").daq.address == "127.0.0.1:31763"
