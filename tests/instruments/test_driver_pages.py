"""The pages of drivers list their keys and channels, and what they show of a station file reads the plant."""

import re
import tomllib
from pathlib import Path

import pytest

from instruments.clock import VirtualClock
from instruments.instrument import Connection, load_driver
from instruments.simulation.rig import Rig
from instruments.visa import VisaSettings

PAGES = Path(__file__).parents[2] / "docs" / "reference"
DRIVERS = ["harvard-phd", "mensor-cpc", "omega-px409", "sartorius-sbi"]


def stated(driver):
    """Text of a driver's page, and what it shows of a station file: the instrument's table, that of its simulation."""
    text = (PAGES / f"{driver}.md").read_text(encoding="utf-8")
    tables = tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)))
    (table,) = tables["instruments"].values()
    ((resource, device),) = tables["simulation"]["visa"].items()
    return text, {key: value for key, value in table.items() if key != "driver"}, {resource: device}


@pytest.fixture
def opened():
    """Function that opens the instrument of a page in front of the rig of that page."""
    rigs = []

    def opened(driver):
        _, table, visa = stated(driver)
        rigs.append(Rig({"visa": visa}, VirtualClock(), seed=1))
        kind = load_driver(driver)
        settings = kind.settings_type.model_validate(table | {"resource": next(iter(visa))})
        instrument = kind("it", settings, rigs[-1].visa.clock, Connection.through(rigs[-1].visa))
        instrument.open()
        return instrument, rigs[-1].plant

    yield opened
    for rig in rigs:
        rig.close()


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_page_lists_every_key_and_channel_and_no_other(driver, opened):
    text, _, _ = stated(driver)
    rows = re.findall(r"^\| (`.*?`) \|", re.split(r"## (?:In simulation|The simulated)", text)[0], re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    instrument, _ = opened(driver)
    fields = instrument.settings_type.model_fields
    keys = {fields[name].alias or name for name in fields.keys() - VisaSettings.model_fields.keys()}
    assert told - {"timeout"} == keys | {channel.name for channel in instrument.channels}


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_page_lists_every_key_of_the_simulated_device_and_no_other(driver):
    text, _, _ = stated(driver)
    table = re.split(r"## (?:In simulation|The simulated)", text)[1]
    told = {name for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    module = __import__(f"instruments.simulation.devices.{driver.replace('-', '_')}", fromlist=["DEVICE"])
    names = set(module.DEVICE.__init__.__annotations__)
    assert told == names - {"seed", "return"}


def test_what_a_controller_holds_is_what_a_transmitter_at_the_outlet_sees(opened):
    controller, plant = opened("mensor-cpc")
    for act, kpa in ((lambda: controller.set_pressure(20.0), 20.0), (controller.vent, 0.0)):
        act()
        controller.clock.sleep(30.0)
        assert plant.truth["back_pressure_kpa"].at(controller.clock.now()) == pytest.approx(kpa, abs=0.01)
        assert controller.sample().values[0] == pytest.approx(kpa, abs=0.01)


def test_what_a_syringe_pump_counts_is_what_the_plant_was_pushed(opened):
    pump, plant = opened("harvard-phd")
    before = plant.truth["pushed_volume_ul"].at(pump.clock.now())
    pump.infuse(360.0, 2.0)
    pump.clock.sleep(60.0)
    pushed = plant.truth["pushed_volume_ul"].at(pump.clock.now()) - before
    assert pump.sample().values[:3] == (2.0, 0.0, 84.0)
    assert pushed == pytest.approx(2.0, rel=0.02)


def test_a_balance_and_a_transmitter_see_the_plant(opened):
    balance, plant = opened("sartorius-sbi")
    balance.tare()
    plant.actuators["weight_mg"].write(20_000.0, balance.clock.now())
    balance.clock.sleep(120.0)
    assert balance.sample().values[0] == pytest.approx(20_000.0, abs=5.0)
    transmitter, plant = opened("omega-px409")
    reading = transmitter.sample()
    assert reading.values[0] == pytest.approx(plant.truth["outlet_pressure_kpa"].at(reading.t), abs=0.5)
