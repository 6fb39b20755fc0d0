"""Files of pumps, catheters and fluids: what they say, and what is said of a file that is wrong."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

import bench
from data.dut import Catheter, Dut, DutModel, Fluid, load_catheter, load_dut, load_fluid
from data.tomlfile import FileError

SHIPPED = Path(bench.__file__).parent
PUMPS = sorted((SHIPPED / "duts").glob("*.toml"))
FLUIDS = sorted((SHIPPED / "fluids").glob("*.toml"))
CATHETER = SHIPPED / "catheters" / "sim.toml"
ROLLER = SHIPPED / "duts" / "sim-peristaltic.toml"
WATER = SHIPPED / "fluids" / "water.toml"
SALINE = SHIPPED / "fluids" / "baclofen-saline-template.toml"


@pytest.fixture
def changed(tmp_path):
    """Writes a shipped file with one piece of text replaced."""

    def write(source: Path, old: str, new: str) -> Path:
        text = source.read_text("utf-8")
        assert old in text
        path = tmp_path / source.name
        path.write_text(text.replace(old, new, 1), "utf-8")
        return path

    return write


# -- what ships ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PUMPS, ids=lambda path: path.stem)
def test_a_shipped_pump_is_simulated_and_has_one_limit_the_mean_unless_it_declares_all(path):
    pump = load_dut(path)
    limits = pump.limits
    assert pump.simulated
    assert (limits.mean.low_percent, limits.mean.high_percent) == (-14.5, 14.5)
    others = (limits.segment, limits.bolus, limits.start_up)
    assert all(others) if path.stem == "sim-declared" else others == (None, None, None)
    assert limits.trumpet == ()
    assert limits.mean.source
    assert pump.has_occlusion_alarm == (limits.occlusion is not None) == (path.stem == "sim-alarming")


def test_quantities_of_a_pump_are_in_our_units():
    pump = load_dut(ROLLER)
    assert pump.rate_range_ul_per_h == (2.0, 1000.0)
    assert pump.stroke_ul == 5.0
    assert pump.low_reservoir_ul == 2000.0


def test_a_gas_driven_pump_cannot_be_stopped():
    assert not load_dut(SHIPPED / "duts" / "sim-gas-driven.toml").can_stop


def test_the_template_of_a_drug_is_complete_and_denser_than_water():
    fluid = load_fluid(SALINE)
    assert fluid.has_drug
    assert fluid.concentration_ug_per_ml == 2000.0
    assert fluid.density_g_per_ml == 1.004
    assert fluid.density_temperature_c == 22.0


def test_water_has_the_density_of_the_table_and_an_uncertainty():
    water = load_fluid(WATER)
    assert water.density_basis == "water-table"
    assert water.density_g_per_ml is None
    assert water.density_u_g_per_ml == pytest.approx(0.3e-3 / 3**0.5, rel=2e-3)
    assert not water.has_drug


@pytest.mark.parametrize(("bore", "per_cm"), [("0.53 mm", 2.2), ("0.575 mm", 2.6)])
def test_a_catheter_holds_its_bore_over_the_length_in_use(changed, bore, per_cm):
    catheter = load_catheter(changed(CATHETER, '"0.53 mm"', f'"{bore}"'))
    assert catheter.length_mm == 1000.0
    assert catheter.priming_volume_ul == pytest.approx(100.0 * per_cm, rel=5e-3)


# -- the pump on the bench, and records ------------------------------------------------------------------------------


def test_a_pump_on_the_bench_has_a_serial_number_and_a_register():
    pump = load_dut(ROLLER).item("SN-17", lot="L1", firmware="1.2", punctures=3, use_by=date(2027, 1, 1))
    assert (pump.serial, pump.model, pump.punctures) == ("SN-17", "SIM-20", 3)
    assert Dut.from_json(json.loads(pump.model_dump_json())) == pump
    with pytest.raises(ValidationError):
        load_dut(ROLLER).item("")


@pytest.mark.parametrize(
    ("load", "kind", "path"),
    [(load_dut, DutModel, path) for path in PUMPS]
    + [(load_fluid, Fluid, path) for path in FLUIDS]
    + [(load_catheter, Catheter, CATHETER)],
    ids=lambda value: getattr(value, "stem", ""),
)
def test_a_record_of_a_file_gives_the_same_back(load, kind, path):
    article = load(path)
    assert kind.from_json(json.loads(article.model_dump_json())) == article


def test_a_number_without_a_unit_is_read_from_a_record_only():
    record = load_dut(ROLLER).model_dump(mode="json")
    with pytest.raises(ValidationError):
        DutModel.model_validate(record)


# -- what is wrong with a file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("reservoir = ", "reservor = ", ':15: key "reservor" is not known here; did you mean "reservoir"?'),
        ("can_stop = true\n", "", ': key "can_stop" is missing; add a line such as can_stop = true'),
        ('"20 mL"', '"20,0 mL"', ':15: key "reservoir": "20,0 mL" is not a volume: a comma is not a decimal point'),
        ('"20 mL"', "20", ':15: key "reservoir": 20 is a bare number; write a volume as text'),
        ('"20 mL"', "20 mL", ":15: this is not TOML at column 16"),
        ('"20 mL"', '"20 mL/h"', "mL/h is the unit of a flow rate"),
        ('"peristaltic"', '"peristalic"', ':4: key "kind": "peristalic" is not known here; did you mean "perist'),
        ('"peristaltic"', '"syringe"', "write one of peristaltic, valve-gated, gas-driven"),
        ("[limits.mean]", "[limits.maen]", ':29: key "limits.maen" is not known here; did you mean "mean"?'),
        ('low = "-14.5 %"', 'lo = "-14.5 %"', ':30: key "limits.mean.lo" is not known here; did you mean "low"?'),
        ('low = "-14.5 %"', 'low = "14.5 %"', "the low limit must be below the high one"),
        ('source = "pumpbench simulated device"\n', "", 'key "limits.mean.source" is missing'),
        ('"stall"', '"stal"', ':23: key "alarms.2": "stal" is not known here; did you mean "stall"?'),
        ("septum_punctures = 500", 'septum_punctures = "500"', "write a whole number without quotes"),
        ("simulated = true", 'simulated = "yes"', "write true or false, without quotes"),
        ('["0.048 mL/day", "24 mL/day"]', '"24 mL/day"', 'key "rate_range" is "24 mL/day"; write a list in brackets'),
        ('["0.048 mL/day", "24 mL/day"]', '["24 mL/day", "1 mL/day"]', '"rate_range" is [lowest, highest]'),
        ('"1.5 mL"', '"25 mL"', '"residual" must lie between 0 and "reservoir"'),
        ('"2 mL"', '"50 mL"', '"low_reservoir_volume" must lie above 0 and below "reservoir"'),
        ('"2 mL"', '"-1 mL"', '"low_reservoir_volume" must lie above 0 and below "reservoir"'),
        ('"0.2 mL"', '"-0.2 mL"', ':19: key "internal_path" is "-0.2 mL": input should be greater than or equal to 0'),
        ('stroke = "5 uL"', "", "a peristaltic pump delivers in strokes"),
        ('stroke = "5 uL"', 'stroke = "5 uL"\ndraws_back = "5 uL"', '"draws_back" is the part of a stroke'),
        ('"calculated"', '"none"', '"low_reservoir_volume" goes with a low-reservoir alarm'),
        ('["low-reservoir", "empty', '["empty', "contradict each other"),
    ],
)  # fmt: skip
def test_a_wrong_pump_file_is_told_file_line_key_and_remedy(changed, old, new, said):
    path = changed(ROLLER, old, new)
    with pytest.raises(FileError) as refusal:
        load_dut(path)
    message = str(refusal.value)
    assert message.startswith(str(path))
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("source", "old", "new", "said"),
    [
        (WATER, 'drug = "none"\n', "", 'key "drug" is missing; add a line such as drug = "none"'),
        (WATER, 'drug = "none"', 'drug = "baclofen"', "a drug has a concentration"),
        (WATER, 'density_basis = "water-table"\n', "", 'key "density_basis" is missing'),
        (WATER, '"water-table"', '"measured"', 'add "density" and "density_temperature"'),
        (WATER, 'density_u = "0.173 kg/m3"', 'density_u = "0 kg/m3"', "standard uncertainty of the density, above 0"),
        (WATER, "expiry = 2099-12-31", 'expiry = "never"', "write a date, such as 2026-10-31"),
        (WATER, 'viscosity_temperature = "22 degC"', "", '"viscosity" and "viscosity_temperature" go together'),
        (SALINE, '"measured"', '"water-table"', "a drug solution has not the density of water"),
        (SALINE, '"1.004 g/mL"', '"1004 g/mL"', "no aqueous fluid"),
        (SALINE, '"1.004 g/mL"', '"1.004"', "it has no unit; write 1.004 with one of g/mL"),
        (CATHETER, '"10 cm"', '"110 cm"', '"length_trimmed" is what was cut off'),
        (CATHETER, '"0.53 mm"', '"5.3 mm"', 'below "outer_diameter"'),
        (CATHETER, "bore", "boar", 'did you mean "bore"?'),
    ],
)
def test_a_wrong_fluid_or_catheter_file_is_told_what_to_do(changed, source, old, new, said):
    load = load_catheter if source is CATHETER else load_fluid
    with pytest.raises(FileError) as refusal:
        load(changed(source, old, new))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_each_of_several_problems_gets_its_own_line(changed):
    path = changed(ROLLER, 'reservoir = "20 mL"', 'reservoir = "20 C"\ncolour = "blue"')
    with pytest.raises(FileError) as refusal:
        load_dut(path)
    lines = str(refusal.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{path}:") for line in lines)


def test_a_file_that_is_not_there_or_not_text_is_said_to_be_so(tmp_path):
    with pytest.raises(FileError, match="there is no such file; check the path"):
        load_dut(tmp_path / "none.toml")
    with pytest.raises(FileError, match=r"cannot be read|no such file"):
        load_dut(tmp_path)
    (tmp_path / "latin.toml").write_bytes('model = "Pumpe für"'.encode("latin-1"))
    with pytest.raises(FileError, match="save it as UTF-8"):
        load_dut(tmp_path / "latin.toml")


def test_a_file_saved_by_a_windows_editor_is_read(tmp_path):
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbf" + ROLLER.read_bytes().replace(b"\n", b"\r\n"))
    assert load_dut(path) == load_dut(ROLLER)


def test_the_documentation_names_every_key():
    text = (Path(__file__).parents[2] / "docs/reference/dut-files.md").read_text("utf-8")
    for model in (DutModel, Catheter, Fluid):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}`" in text or f"[limits.{name}" in text or name == "limits"
