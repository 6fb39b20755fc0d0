"""Whole catheter runs on the simulated rig, read less often: what they find is what the plant has, and whose it is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.closing import reevaluate
from bench.preflight import PreflightError
from bench.request import Override, Request
from bench.session import Result, conduct
from bench.station import station_path
from data.checks import Check, Status, Verdict
from protocols.analysis.catheter.forced import Push, gain_of, resistance
from protocols.analysis.catheter.record import water_viscosity_mpa_s
from protocols.analysis.grid import RecordError
from protocols.catheter import Catheter
from protocols.procedure import ParamError

LESS_OFTEN = (
    ('driver = "ni-digital"\nperiod = "1 s"', 'driver = "ni-digital"\nperiod = "20 s"'),
    ('max_outage = "5 s"', 'max_outage = "50 s"'),
    ('driver = "julabo"', 'driver = "julabo"\nperiod = "60 s"'),
    ('rate = "10 Hz"', 'rate = "1 Hz"'),
    ('interval = "0.1 s"', 'interval = "3 s"'),
    ('period = "2 s"', 'period = "10 s"'),
    ('period = "1 s"', 'period = "2 s"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "10 min"'),
    ('slew = "20 kPa/s" ', 'slew = "2 kPa/s" '),
)
pytestmark = pytest.mark.usefixtures("unsealed")
SHORT = {"creep": "5 min", "decay": "12 min", "radii": "10 mm, 8 mm, 6 mm"}
WARMER = 0.99821 / 0.99333  # of a volume at 20 degC that is at 37 degC


def examined(folder: Path, *faults: str, seed: int = 1, afterwards=None, changes=(), **settings) -> Result:
    text = station_path("sim-catheter").read_text("utf-8")
    for old, new in (*LESS_OFTEN, *changes):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "station.toml").write_text(text, "utf-8")
    taken = [Override("rig-check", "Ada", "the rig is not what is tested here")]
    request = Request(
        "catheter",
        str(folder / "station.toml"),
        {**SHORT, **settings},
        faults=faults,
        seed=seed,
        out=folder,
        overrides=taken,
    )
    return conduct(request, afterwards=afterwards)


def checks(result: Result) -> dict[str, Check]:
    return {check.name: check for check in result.evaluation.checks}


def blamed(result: Result) -> set[tuple[str, str, str]]:
    """Name, verdict and owner of every check that is not in order."""
    fine = {Verdict.PASS, Verdict.CONDITIONAL_PASS}
    return {(c.name, str(c.verdict), c.owner) for c in result.evaluation.checks if c.verdict not in fine}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, without_seals):
    """A sound catheter that leaks a little, its checks, and the plant behind it."""
    opened: list = []
    with without_seals():
        result = examined(tmp_path_factory.mktemp("healthy"), "catheter-leak:0.4", afterwards=opened.append)
    return result, checks(result), opened[0].rig.plant


def test_a_sound_catheter_passes_every_check(healthy):
    result, _, _ = healthy
    assert blamed(result) == set()
    assert result.evaluation.verdict is Verdict.CONDITIONAL_PASS  # no rig check holds


def test_resistance_compliance_and_bore_are_those_of_the_plant(healthy):
    result, found, plant = healthy
    values = result.evaluation.values
    of_its_water = 0.95 / water_viscosity_mpa_s(22.0)  # as the fluid's file states it
    bath_degc = plant.truth["bath_temperature_degc"].at(1800.0)
    thicker = of_its_water * water_viscosity_mpa_s(bath_degc) / water_viscosity_mpa_s(37.0)
    true = plant.draws["catheter.resistance_kpa_s_per_ul"] * thicker
    assert values["resistance_kpa_s_per_ul"] == pytest.approx(true, rel=0.005)
    assert values["catheter_ul_per_kpa_m"] == pytest.approx(0.29 / WARMER, rel=0.01)
    assert values["bore_ul"] == pytest.approx(math.pi / 4.0 * 0.53**2 * 1000.0, abs=0.8)
    assert values["length_mm"] == pytest.approx(1000.0, rel=0.01)
    assert values["ratio_at_8_mm"] == pytest.approx(1.0 + 0.05 * (6.0 / 8.0) ** 2, abs=0.03)
    assert found["leak"].value == pytest.approx(0.4 / WARMER, abs=found["leak"].expanded_uncertainty)


def test_the_same_file_gives_the_same_numbers_again(healthy):
    again = reevaluate(healthy[0].run_file)
    assert again.identical, again.why


AT_ROOM = (
    ('low = "30 degC"', 'low = "15 degC"'),
    ('pump_temperature = "37 degC"', 'pump_temperature = "22 degC"'),
    ("[simulation.plant.valves]", "[simulation.plant.bath]\nsetpoint_degc = 22.0\n\n[simulation.plant.valves]"),
)
BRIEF = {"prime": "0 uL", "radii": "", "held": "0 kPa", "creep": "2 min", "decay": "10 min"}


@pytest.mark.parametrize(("fault", "verdict"), [((), Verdict.CONDITIONAL_PASS), (("kink:1.3",), Verdict.FAIL)])
def test_a_patency_that_is_declared_for_body_temperature_is_judged_by_the_viscosity_in_the_bath(
    tmp_path, fault, verdict
):
    patency = checks(examined(tmp_path, *fault, changes=AT_ROOM, **BRIEF))["patency"]
    assert patency.limit_high == pytest.approx(3.4 * 0.95 / water_viscosity_mpa_s(37.0), rel=0.01)
    assert (patency.verdict, patency.value > 3.4) == (verdict, True)


def test_air_is_told_by_a_sensor_that_a_forced_flow_does_not_saturate(tmp_path):
    sound, airy = (checks(examined(tmp_path, *faults, **BRIEF))["no-air"] for faults in ((), ("air-bubble:50",)))
    assert (sound.verdict, sound.value) == (Verdict.PASS, 0.0)
    assert airy.verdict is Verdict.INVALID
    assert airy.value == pytest.approx(50.0 / 5000.0 * 3600.0, rel=0.15)  # s at 5 mL/h


def test_faults_of_the_catheter_that_do_not_meet_are_found_side_by_side(tmp_path):
    result = examined(tmp_path, "tip-dislodged", "kinks-early:1.6", "catheter-leak:20", "wrong-length:100", seed=2)
    wanted = {("tip-held", "catheter"), ("kink-radius", "catheter"), ("leak", "catheter"), ("priming-volume", "record")}
    assert blamed(result) == {(name, "fail", owner) for name, owner in wanted}
    assert "110" in checks(result)["priming-volume"].note  # cm, by volume and resistance together


def test_a_kink_on_a_rig_that_leaks_and_stands_wrong_fails_nobody(tmp_path):
    short = {"prime": "0 uL", "radii": "", "held": "0 kPa", "creep": "2 min", "decay": "10 min"}
    result = examined(tmp_path, "kink:1.3", "rig-leak:20@20min", "wrong-height:200", seed=3, **short)
    found = checks(result)
    assert result.evaluation.verdict is Verdict.INVALID
    assert not any(check.verdict is Verdict.FAIL for check in found.values())
    assert {name for name, _, owner in blamed(result) if owner == "rig"} == {"rig-tight", "transducer-zero"}
    assert found["patency"].value > found["patency"].limit_high


def test_a_catheter_that_comes_off_fails_although_the_leak_tray_ended_the_run(tmp_path):
    result = examined(tmp_path, "disconnect")
    assert result.end.status is Status.STOPPED_BY_INTERLOCK
    assert ("arrives", "fail", "catheter") in blamed(result)


def test_a_small_syringe_and_a_pressure_beyond_the_catheter_s_are_refused_before_anything_moves(tmp_path):
    small = station_path("sim-catheter").read_text("utf-8").replace('volume = "10 mL"', 'volume = "1 mL"')
    (tmp_path / "small.toml").write_text(small, "utf-8")
    with pytest.raises(PreflightError, match="holds 1 mL, and one of less than 10 mL can burst a catheter"):
        conduct(Request("catheter", str(tmp_path / "small.toml"), SHORT, out=tmp_path))
    with pytest.raises(PreflightError, match="goes up to 160 kPa, but it holds 150 kPa"):
        conduct(Request("catheter", "sim-catheter", {**SHORT, "proof": "160 kPa"}, out=tmp_path))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"radii": "6 mm, 8 mm"}, "largest first"),
        ({"radii": "6 kPa"}, 'parameter "radii"'),
        ({"middle": "40 mL/h"}, "must grow"),
        ({"kinked": "1"}, "is no ratio"),
    ],
)
def test_parameters_that_make_no_test_of_a_catheter_are_refused(settings, says):
    with pytest.raises(ParamError, match=says):
        Catheter(**settings)


def test_the_shortest_form_is_one_that_can_be_run():
    assert Catheter(**Catheter.qualification).decay_s >= 600.0


def test_a_slope_knows_no_zero_and_needs_two_flows():
    def taken(flow: float, kpa: float, *, blocked: bool = False) -> Push:
        return Push("", flow, kpa, 0.001, 1.004, 0.001, blocked)

    found = resistance([taken(1.0, 5.35), taken(2.0, 5.7), taken(4.0, 6.4), taken(8.0, 40.0, blocked=True)], 1.01, 0.0)
    assert found.kpa_s_per_ul == pytest.approx(0.35 / 1.01)
    assert found.intercept_kpa == pytest.approx(5.0)
    assert gain_of([taken(1.0, 5.0)] * 4) == (pytest.approx(1.004), pytest.approx(0.0005))
    with pytest.raises(RecordError, match="fewer than two"):
        resistance([taken(1.0, 40.0, blocked=True), taken(2.0, 5.7)], 1.0, 0.0)
