"""What a pressure controller tells: who it is, its pressure, its states, and whether it is ready."""

import re
import tomllib
from pathlib import Path

import pytest

from data.samples import Quality
from instruments.capabilities import PressureController
from instruments.clock import VirtualClock
from instruments.drivers.druck_pace import DruckPace
from instruments.instrument import Connection, InstrumentDisconnected, InstrumentReplyError, load_driver
from instruments.simulation.rig import Rig
from instruments.visa import VisaSettings


def test_the_page_of_the_driver_lists_its_keys_and_channels(pace):
    page = (Path(__file__).parents[3] / "docs" / "reference" / "druck-pace.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", page.partition("## In simulation")[0], re.MULTILINE))
    own = DruckPace.settings_type.model_fields.keys() - VisaSettings.model_fields.keys()
    keys = {DruckPace.settings_type.model_fields[name].alias or name for name in own}
    assert told == keys | {"timeout"} | {channel.name for channel in pace.channels}


def stated(page):
    """What the page of a driver shows of a station file: the table of the instrument, and that of its simulation."""
    text = (Path(__file__).parents[3] / "docs" / "reference" / page).read_text(encoding="utf-8")
    tables = tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)))
    (table,) = tables["instruments"].values()
    ((resource, device),) = tables["simulation"]["visa"].items()
    return {**table, "resource": resource}, {resource: device}


def test_a_transmitter_of_the_same_rig_sees_what_the_controller_does():
    (control, pace), (transmit, transmitter) = stated("druck-pace.md"), stated("keller-x.md")
    clock = VirtualClock()
    rig = Rig({"visa": {**pace, **transmitter}}, clock, seed=1)
    connection = Connection.through(rig.visa)
    controller, sensor = (
        kind(
            "it",
            kind.settings_type.model_validate({k: v for k, v in table.items() if k != "driver"}),
            clock,
            connection,
        )
        for kind, table in ((load_driver(table["driver"]), table) for table in (control, transmit))
    )
    controller.open()
    sensor.open()
    for act, kpa in ((lambda: controller.set_pressure(20.0), 20.0), (controller.vent, 0.0)):
        act()
        clock.sleep(30.0)
        assert sensor.sample().values[0] == pytest.approx(kpa, abs=0.05)
        assert controller.sample().values[0] == pytest.approx(kpa, abs=0.01)
    rig.close()


# -- readings


def test_the_name_leads_to_this_driver_and_it_controls_pressure(pace):
    assert load_driver("druck-pace") is DruckPace
    assert isinstance(pace, PressureController)


@pytest.mark.parametrize("resource", ["ASRL1::INSTR", "TCPIP::10.0.0.7::5025::SOCKET", "GPIB0::5::INSTR"])
def test_a_controller_tells_who_it_is_on_every_interface(control, resource, listed):
    driver = control(listed(), resource=resource)
    identity = driver.identify()
    assert (identity.maker, identity.model) == ("GE Druck", "Pace5000 User Interface")
    assert (identity.serial, identity.firmware) == ("3213201", "02.00.07")
    assert driver.sample().values == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("unit", ["BAR", "MPA", "PSI"])
def test_whatever_unit_stands_at_the_instrument_readings_are_in_kpa(control, unit, listed):
    driver = control(listed(start_kpa=50.0, unit=unit))
    reading = driver.sample()
    assert reading.values[0] == pytest.approx(50.0, abs=1e-6)
    assert (driver.channels[0].unit, driver.channels[0].reference) == ("kPa", "gauge")


def test_a_reading_is_stamped_with_the_moment_of_its_question(pace):
    pace.clock.sleep_until(7.0)
    assert pace.sample().t == 7.0


def test_a_pressure_beyond_the_range_is_flagged(control, scripted):
    script = scripted({":SENS:PRES:INL": "2201.0000000, 0"})
    assert control(script).sample().quality == (Quality.SATURATED, 0, 0)


@pytest.mark.parametrize(
    "answers",
    [
        {":SENS:PRES:INL": "nan, 1"},
        {":SENS:PRES:INL": "5_0, 1"},
        {":SENS:PRES:INL": "500.0 HPA, 1"},
        {":SENS:PRES:INL": "500.0000000"},
        {":SENS:PRES:INL": "500.0000000, 2"},
        {":UNIT:PRES": "BAR"},
        {":OUTP:STAT": "2"},
        {":OUTP:STAT": "1;:OUTP:STAT 1"},
    ],
)
def test_nothing_but_the_whole_shape_of_a_reply_is_a_reading(control, answers, scripted):
    script = scripted()
    driver = control(script)
    script.answers |= answers
    with pytest.raises(InstrumentReplyError):
        driver.sample()


def test_a_query_that_it_does_not_know_is_an_error_that_says_so(control, scripted):
    script = scripted()
    driver = control(script)
    script.answers = {"*IDN": script.answers["*IDN"]}
    with pytest.raises(InstrumentReplyError, match="a blank line, as for a query that it does not know"):
        driver.sample()


@pytest.mark.parametrize("selected", ["2.00bara", "BAROMETER", "1.00bard"])
def test_a_range_that_is_not_gauge_pressure_is_refused(wired, selected, scripted):
    driver = wired("druck-pace", scripted({":SENS:PRES:RANG": f'"{selected}"'}), max_pressure="50 kPa")
    with pytest.raises(InstrumentDisconnected, match="none of gauge pressure"):
        driver.open()


def test_a_range_that_is_switched_to_absolute_at_the_panel_stops_the_readings(pace, device):
    device.range = "2.00bara"
    with pytest.raises(InstrumentReplyError, match="is none of gauge pressure"):
        pace.sample()
    device.range = "2.00barg"
    assert pace.sample().values[0] == 0.0


def test_a_unit_that_is_changed_at_the_panel_is_set_again_and_the_log_says_so(pace, device, pressure_after):
    device.unit = "PSI"
    assert pressure_after(pace, 1.0) == 0.0
    assert device.unit == "HPA"
    (note,) = pace.take_notes()
    assert "its unit was PSI and is set to HPA again" in note.text


# -- readiness


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"supply_kpa": 150.0}, "supply of 150.0 kPa is below"),
        ({"ranges": ("1.00barg",)}, 'range "1.00barg" ends below'),
    ],
)
def test_what_keeps_a_controller_from_a_run_is_said(control, options, problem, listed):
    (said,) = control(listed(**options)).probe()
    assert problem in said


def test_a_controller_that_does_not_tell_its_supply_is_ready(control, scripted):
    assert control(scripted()).probe() == []
