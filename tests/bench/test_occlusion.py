"""Whole occlusion runs on the full simulated rig, read less often: what they find is what the plant has."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from bench.preflight import PreflightError
from bench.request import Override, Request
from bench.session import Result, conduct
from bench.station import station_path
from data.checks import Check, Verdict
from data.run import Run
from protocols.analysis.occlusion.verdict import evaluate
from protocols.occlusion import Occlusion
from protocols.procedure import ParamError

LESS_OFTEN = (
    ('driver = "ni-digital"\nperiod = "1 s"', 'driver = "ni-digital"\nperiod = "20 s"'),
    ('max_outage = "5 s"', 'max_outage = "50 s"'),
    ('period = "3 s"\nsafe_timeout = "10 s"', 'period = "9 s"\nsafe_timeout = "28 s"'),
    ('driver = "julabo"', 'driver = "julabo"\nperiod = "60 s"'),
    ('rate = "10 Hz"', 'rate = "1 Hz"'),
    ('interval = "0.1 s"', 'interval = "2 s"'),
    ('period = "1 s"', 'period = "2 s"'),
    ('slew = "2 kPa/s"\nperiod = "2 s"', 'slew = "2 kPa/s"\nperiod = "30 s"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "10 min"'),
)
pytestmark = pytest.mark.usefixtures("unsealed")
SHORT = {"rates": "5 mL/day", "window": "10 uL", "settle": "10 min"}
FIT = {"pass", "conditional-pass"}


def station(folder: Path, *changes: tuple[str, str]) -> str:
    text = station_path("sim-full").read_text("utf-8")
    for old, new in (*LESS_OFTEN, *changes):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "station.toml").write_text(text, "utf-8")
    return str(folder / "station.toml")


def occluded(
    folder: Path, *faults: str, dut: str = "sim-alarming", seed: int = 1, afterwards=None, **settings
) -> Result:
    chosen = {**SHORT, **settings}
    taken = [Override("rig-check", "Ada", "the rig is not what is tested here")]
    request = Request(
        "occlusion", station(folder), chosen, dut=dut, faults=faults, seed=seed, out=folder, overrides=taken
    )
    return conduct(request, afterwards=afterwards)


def checks(result: Result) -> dict[str, Check]:
    return {check.name: check for check in result.evaluation.checks}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, without_seals):
    """A sound pump with an alarm, its checks, and the plant behind it."""
    opened: list = []
    with without_seals():
        result = occluded(tmp_path_factory.mktemp("healthy"), afterwards=opened.append, partial="20 kPa")
    return result, checks(result), opened[0].rig.plant


def test_a_sound_pump_on_a_sound_rig_passes(healthy):
    result, found, _ = healthy
    assert result.evaluation.verdict is Verdict.CONDITIONAL_PASS  # no rig check holds
    judged = (
        "stopped-flow",
        "flow-before",
        "flow-after",
        "reaches-threshold",
        "alarm-pressure",
        "slip-pressure",
        "bolus",
    )
    assert all(found[name].verdict in FIT for name in judged)


def test_compliance_and_creep_are_those_of_the_line(healthy):
    result, found, plant = healthy
    true = plant.draws["catheter.proximal_compliance_ul_per_kpa"] + plant.draws["catheter.distal_compliance_ul_per_kpa"]
    colder = 0.99333 / 0.99821  # the plant's volumes are those at 37 degC, ours at 20 degC
    assert found["compliance"].value == pytest.approx(true * colder, rel=0.015)
    of_catheter = found["catheter-compliance"]
    assert of_catheter.value == pytest.approx(0.29 * colder, abs=of_catheter.expanded_uncertainty)
    assert of_catheter.expanded_uncertainty < 0.03 * of_catheter.value
    assert found["compliance-by-rise"].value == pytest.approx(
        true * colder, abs=found["compliance-by-rise"].expanded_uncertainty
    )
    assert result.evaluation.values["creep_ul_per_kpa"] == pytest.approx(0.05 * true, rel=0.4)


def test_the_bolus_is_what_the_tip_gave_beyond_what_the_pump_pumped(healthy):
    result, found, plant = healthy
    with Run.open(result.run_file) as run:
        opened_s = run.phase("after-1")[0]
    span = (opened_s, opened_s + 20.0 * 60.0 - 20.0 * 60.0 % 86.4)
    tip = plant.truth["tip_mass_mg"].at(span[1]) - plant.truth["tip_mass_mg"].at(span[0])
    pumped = plant.truth["pump_volume_ul"].at(span[1]) - plant.truth["pump_volume_ul"].at(span[0])
    true = tip / (plant.density_kg_per_m3(20.0) * 1e-3) - pumped * 0.99333 / 0.99821
    assert found["bolus"].value == pytest.approx(true, abs=1.5 * found["bolus"].expanded_uncertainty)
    assert found["bolus-consistent"].verdict is Verdict.PASS


def test_threshold_and_alarm_come_when_the_plant_has_these_pressures(healthy):
    result, found, plant = healthy
    with Run.open(result.run_file) as run:
        closed_s, ended_s = run.phase("rise-1")
    times = np.arange(closed_s, ended_s, 0.1)
    pressure = plant.truth["outlet_pressure_kpa"].samples(closed_s, 0.1, 0, times.size)
    assert found["time-to-alarm"].value == pytest.approx(times[np.argmax(pressure >= 50.0)] - closed_s, abs=0.6)
    raw = times[np.argmax(pressure >= 60.0)] - closed_s
    assert result.evaluation.values["raw_time_to_threshold_s"] == pytest.approx(raw, rel=0.02)
    assert found["time-to-threshold"].value == pytest.approx(raw, rel=0.05)
    assert result.evaluation.values["expected_time_s"] == pytest.approx(raw, rel=0.06)


def test_a_partial_occlusion_slows_the_pump_by_its_pressure_coefficient(healthy):
    _, found, _ = healthy
    partial = found["partial-flow"]
    assert partial.standard_uncertainty == pytest.approx(0.45, rel=0.1)  # the sensor's repeatability, twice
    assert partial.value == pytest.approx(98.0, abs=3.0 * partial.standard_uncertainty)  # -0.1 %/kPa at 20 kPa


def test_the_same_file_gives_the_same_numbers_again(healthy):
    result, found, _ = healthy
    with Run.open(result.run_file) as run:
        again = {check.name: check for check in evaluate(run).checks}
    assert {name: (c.value, c.standard_uncertainty) for name, c in again.items()} == {
        name: (c.value, c.standard_uncertainty) for name, c in found.items()
    }


@pytest.mark.parametrize(
    ("faults", "found", "verdict", "owner", "more"),
    [
        (("weak-rollers:40", "no-occlusion-alarm"), ("slip-pressure", "alarm-pressure"), "fail", "dut", "1 mL/day"),
        (("free-flow:5000@10 s",), ("stopped-flow", "flow-before"), "fail", "dut", "5 mL/day"),  # after the tare
        (("rig-leak:20", "air-bubble:50"), ("line-tight", "compliance-as-checked"), "invalid", "rig", "5 mL/day"),
        (("valve-stuck-open",), ("valve-closes",), "invalid", "rig", "5 mL/day"),
    ],
)
def test_each_fault_is_found_and_laid_to_its_owner(faults, found, verdict, owner, more, tmp_path):
    result = occluded(tmp_path, *(fault if "@" in fault else f"{fault}@0h" for fault in faults), rates=more)
    said = checks(result)
    assert [(said[check].verdict, said[check].owner) for check in found] == [(verdict, owner)] * len(found)
    assert result.evaluation.verdict == verdict


def test_a_closed_tip_fails_nobody(tmp_path):
    result = occluded(tmp_path, "occlusion@0h", dut="sim-peristaltic", rates="1 mL/day", settle="5 min")
    found = checks(result)
    assert (found["outlet-pressure"].verdict, found["outlet-pressure"].owner) == ("invalid", "catheter")
    assert result.evaluation.verdict is Verdict.INVALID
    assert not {c.verdict for c in result.evaluation.checks} & {Verdict.FAIL, Verdict.CONDITIONAL_FAIL}
    assert "n/a by model" in found["time-to-alarm"].note
    assert found["time-to-alarm"].optional


def test_a_valve_that_sweeps_too_much_refuses_an_occlusion(tmp_path):
    sweeping = station(tmp_path, ('swept_volume = "0.05 uL"', 'swept_volume = "5 uL"'))
    with pytest.raises(PreflightError, match="pushes 5 uL into the line as it closes"):
        conduct(Request("occlusion", sweeping, SHORT, out=tmp_path))


def test_a_station_that_does_not_say_what_its_valve_sweeps_refuses_an_occlusion(tmp_path):
    silent = Path(station(tmp_path))
    silent.write_text(re.sub(r"\[closed_line\][^[]*", "", silent.read_text("utf-8")), "utf-8")
    with pytest.raises(PreflightError, match=r"add \[closed_line\] with swept_volume"):
        conduct(Request("occlusion", str(silent), SHORT, out=tmp_path))


def test_the_expected_time_follows_from_rate_and_compliance():
    plan = Occlusion(rates="1 mL/day, 0.1 mL/day", line="0.49 uL/kPa")
    assert [plan.expected_s(rate, 58.7) / 60.0 for rate in plan.rates_ul_per_h] == [
        pytest.approx(41.4, abs=0.1),
        pytest.approx(6.9 * 60.0, rel=0.01),
    ]
    said = list(plan.remarks({"stroke_ul": 5.0, "alarms": [], "model": "X"}))
    assert "after 42.3 min (0.49 uL/kPa)" in said[0]
    assert any("n/a by model" in remark for remark in said)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"limit": "50 kPa"}, "is not above the threshold"),
        ({"rates": "1 mL/day, 0 mL/day"}, "raises no pressure"),
        ({"rates": "1"}, 'parameter "rates"'),
    ],
)
def test_parameters_that_make_no_occlusion_are_refused(settings, says):
    with pytest.raises(ParamError, match=says):
        Occlusion(**settings)


def test_the_shortest_form_is_one_that_can_be_run():
    assert math.isclose(Occlusion(**Occlusion.qualification).window_s(1000.0 / 24.0), 1200.0)
