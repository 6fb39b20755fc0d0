"""The rig check on the full simulated rig: it passes a healthy rig, names what is wrong with another, and counts.

The rig is read less often than the shipped one; tests/test_docs.py checks the shipped one.
"""

from __future__ import annotations

import math
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import pytest

from bench.cli.show import values_of
from bench.preflight import PreflightError
from bench.request import Override, Request
from bench.rig_chart import RigChart, rig_charts, sparkline
from bench.rig_reference import rig_reference
from bench.session import conduct
from bench.state_folder import home
from bench.station import Station, load_station, station_path
from bench.trust.register import enrol, seal_run
from data.checks import Origin, Verdict
from data.run import Run
from data.seal import examine, seal
from instruments.clock import WallClock
from protocols.analysis.rig.chart import control_chart
from protocols.rig_check import DEMANDS, RigCheck

SHORT = dict(RigCheck.qualification)

LESS_OFTEN = (
    ('driver = "ni-digital"\nperiod = "1 s"', 'driver = "ni-digital"\nperiod = "20 s"'),
    ('max_outage = "5 s"', 'max_outage = "50 s"'),
    ('driver = "julabo"', 'driver = "julabo"\nperiod = "60 s"'),
    ('period = "2 s"', 'period = "18 s"'),
    ('period = "1 s"', 'period = "2 s"'),
    ('period = "3 s"', 'period = "27 s"'),
    ('safe_timeout = "10 s"', 'safe_timeout = "82 s"'),
    ('rate = "10 Hz"', 'rate = "1 Hz"'),
    ('interval = "0.1 s"', 'interval = "1 s"'),
    ('driver = "pump-link"', 'driver = "pump-link"\nperiod = "10 min"'),
)


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    """Station file of the full simulated rig, read less often."""
    text = station_path("sim-full").read_text("utf-8")
    for old, new in LESS_OFTEN:
        assert old in text, old
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("rig") / "less-often.toml"
    path.write_text(text, "utf-8")
    return str(path)


def checked(rig: str, out: Path, *faults: str, seed: int = 1):
    return conduct(Request("rig-check", rig, settings=SHORT, faults=faults, seed=seed, out=out))


@pytest.fixture(scope="module")
def healthy(rig, tmp_path_factory):
    """Folder with the rig check of a healthy rig, and what became of it."""
    folder = tmp_path_factory.mktemp("healthy")
    return folder, checked(rig, folder)


def failed(result) -> dict[str, str]:
    return {check.name: check.note for check in result.evaluation.checks if check.verdict is Verdict.FAIL}


def test_a_healthy_rig_passes(healthy):
    _, result = healthy
    assert result.evaluation.verdict is Verdict.PASS
    assert all(check.verdict is Verdict.PASS and check.owner == "rig" for check in result.evaluation.checks)


def test_what_it_measures_is_the_rig(healthy):
    _, result = healthy
    values = result.evaluation.values
    assert values["compliance_ul_per_kpa"] == pytest.approx(0.49, rel=0.03)
    assert values["flow_gain"] == pytest.approx(1.0, abs=0.075)
    ratio = next(check for check in result.evaluation.checks if check.name == "flow-gain")
    with Run.open(result.run_file) as run:
        assert run.faults == []
    assert ratio.standard_uncertainty < 1.5


NAMED = {
    "compliance": r"about [345]\d uL of air",
    "rig-leak": "a fitting, a valve or the septum leaks",
    "evaporation": "a dry evaporation trap",
    "flow-gain": "the sensor's gain has drifted",
    "balance-settings": "automatic zero is on",
    "transducer-height": "wrong height",
    "bath": "its heater is off",
}


@pytest.mark.parametrize(
    ("faults", "checks"),
    [
        (("air-bubble:50@0h", "dry-evaporation-trap:3@0h"), ("compliance", "evaporation")),
        (  # the sensor not with the bubble, which passes it meanwhile
            ("sensor-drift:2@0h", "auto-zero:1@0h", "wrong-height:200@0h", "bath-off:1@0h"),
            ("flow-gain", "balance-settings", "transducer-height", "bath"),
        ),
    ],
)
@pytest.mark.usefixtures("unsealed")
def test_each_fault_of_the_rig_is_named(rig, faults, checks, tmp_path):
    notes = failed(checked(rig, tmp_path, *faults))
    assert [check for check in checks if not re.search(NAMED[check], notes.get(check, ""))] == []


def test_a_leak_is_named_and_a_rig_check_that_found_one_does_not_hold(rig, tmp_path):
    notes = failed(checked(rig, tmp_path, "rig-leak:20@0h"))
    assert list(notes) == ["rig-leak"]
    assert re.search(NAMED["rig-leak"], notes["rig-leak"])
    why = rig_reference(tmp_path, load_station(rig), Origin.SIMULATED, 1, WallClock().start).why
    assert "ended fail; mend the rig" in why


def test_a_station_that_demands_a_rig_check_refuses_to_judge_a_pump_without(rig, tmp_path):
    with pytest.raises(PreflightError, match="no rig check of station"):
        conduct(Request("flow-accuracy", rig, out=tmp_path))


def test_a_rig_check_holds_for_its_own_rig(rig, healthy):
    folder, result = healthy
    station = load_station(rig)
    now = WallClock().start
    held = rig_reference(folder, station, Origin.SIMULATED, 1, now)
    assert (held.demanded, held.holds, held.why) == (True, True, "")
    assert held.digest == result.verification.digest
    other = rig_reference(folder, station, Origin.SIMULATED, 2, now)
    assert not other.holds


def test_a_rig_check_is_worth_nothing_when_it_is_old_or_the_station_was_changed(rig, healthy):
    folder, _ = healthy
    station, now = load_station(rig), WallClock().start
    old = rig_reference(folder, station, Origin.SIMULATED, 1, now + timedelta(hours=25))
    until = datetime.fromisoformat(re.search(r"held until (\S+ \S+) UTC; run it again$", old.why)[1]).replace(
        tzinfo=UTC
    )
    assert abs(until - now - timedelta(hours=24)) < timedelta(hours=2)
    assert rig_reference(folder, station, Origin.SIMULATED, 1, now + timedelta(hours=31)).why == old.why
    ahead = rig_reference(folder, station, Origin.SIMULATED, 1, now - timedelta(hours=2))
    assert "is of a time to come; look at the computer's clock" in ahead.why
    moved = station.model_copy(update={"roles": {**station.roles, "flow": "flow_sensor.other"}})
    assert "[roles] was changed" in rig_reference(folder, moved, Origin.SIMULATED, 1, now).why


def test_a_rig_check_of_an_older_method_does_not_hold(rig, healthy, monkeypatch):
    folder, _ = healthy
    monkeypatch.setattr(RigCheck, "method", RigCheck.method + 1)
    why = rig_reference(folder, load_station(rig), Origin.SIMULATED, 1, WallClock().start).why
    assert why.endswith(f", is of method {RigCheck.method - 1}, not {RigCheck.method}; run rig-check again")


@pytest.mark.parametrize(
    ("key", "value", "holds"),
    [("leak_ul_per_h", 1.0, False), ("weight_certificate", "W-2", False), ("demanded", False, True)],
)
def test_a_rig_check_against_other_limits_does_not_hold(rig, healthy, key, value, holds):
    folder, _ = healthy
    station = load_station(rig)
    limits = station.rig_check.model_copy(update={key: value})
    changed = station.model_copy(update={"rig_check": limits})
    found = rig_reference(folder, changed, Origin.SIMULATED, 1, WallClock().start)
    assert found.holds is holds
    assert ("the station's table [rig_check] was changed since" in found.why) is not holds


def test_how_long_a_rig_check_holds_is_what_the_station_says_now(rig, healthy):
    folder, _ = healthy
    station, now = load_station(rig), WallClock().start
    longer = station.rig_check.model_copy(update={"valid_s": 48 * 3600.0})
    changed = station.model_copy(update={"rig_check": longer})
    assert rig_reference(folder, changed, Origin.SIMULATED, 1, now + timedelta(hours=30)).holds


def asking(station: Station, **settings: str) -> Station:
    """The same station, whose file gives the rig check these parameters."""
    return station.model_copy(update={"procedures": {"rig-check": settings}})


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"proof": "200 kPa"}, "with proof 100 kPa, where at least 200 kPa is asked for; run rig-check again as the"),
        ({"slow": "10 uL/h"}, "with slow 30 uL/h, where exactly 10 uL/h is asked for"),
        ({"bath-high": "37.5 degC"}, "with bath_high 38 degC, where at most 37.5 degC is asked for"),
        ({"decay": "20 min"}, "with decay 10 min, where at least 20 min is asked for"),
        ({"quiet": "1 min"}, r"the station's table \[procedures.rig-check\] cannot be used: .*; mend it and run"),
    ],
)
def test_a_rig_check_that_asked_for_less_than_its_station_does_not_hold(rig, healthy, setting, says):
    folder, _ = healthy
    found = rig_reference(folder, asking(load_station(rig), **setting), Origin.SIMULATED, 1, WallClock().start)
    assert not found.holds
    assert re.search(says, found.why)


def test_a_rig_check_that_asked_for_more_than_its_station_holds(rig, healthy):
    folder, _ = healthy
    less = asking(load_station(rig), proof="50 kPa", soak="1 min", bath_high="39 degC", bath_wait="12 h")
    assert rig_reference(folder, less, Origin.SIMULATED, 1, WallClock().start).holds


def test_every_parameter_of_a_rig_check_is_compared_but_the_wait_for_the_bath():
    assert set(RigCheck.params) - set(DEMANDS) == {"bath_wait_s"}
    assert RigCheck().falls_short(RigCheck().values()) == ""


@pytest.mark.parametrize("weaker", [{"proof": "10 kPa"}, {"weighings": "2"}, {"fast": "50 uL/h"}, {"weight": "10 g"}])
def test_a_weaker_rig_check_falls_short_of_the_protocol(weaker):
    (name,) = weaker
    assert re.match(rf"{name} \d+.*, where (at least|exactly) \d+", RigCheck().falls_short(RigCheck(**weaker).values()))


@pytest.fixture
def said_to_be_real(rig, healthy, tmp_path, monkeypatch):
    """A rig check of a station, rewritten to say that it was measured, and not sealed yet; with the station."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    _, result = healthy
    path = Path(shutil.copy(result.run_file, tmp_path))
    with path.open("r+b") as file:
        file.write(bytes(1024))  # the user block, with the seal
    with h5py.File(path, "r+") as file:
        for group in {"seal", "signatures"} & set(file):
            del file[group]
        file["entry/origin"][()] = b"measured"
    return path, asking(load_station(rig), **SHORT)


def test_a_real_bench_takes_no_short_form_that_its_station_does_not_state(rig, said_to_be_real):
    path, stated = said_to_be_real
    seal(path)
    why = rig_reference(path.parent, load_station(rig), Origin.MEASURED, 1, WallClock().start).why
    assert "was run with weighings 2, where at least 3 is asked for" in why
    assert "weighings" not in rig_reference(path.parent, stated, Origin.MEASURED, 1, WallClock().start).why


def test_a_real_bench_relies_on_no_rig_check_that_its_register_does_not_know(said_to_be_real):
    path, station = said_to_be_real
    seal(path)
    found = rig_reference(path.parent, station, Origin.MEASURED, 1, WallClock().start)
    assert (found.holds, examine(path).intact) == (False, True)
    assert "is unregistered: sealed without a key" in found.why


def test_a_real_bench_relies_on_a_rig_check_that_it_has_registered(said_to_be_real):
    path, station = said_to_be_real
    assert not seal_run(path, home())
    assert not enrol(path, home())
    found = rig_reference(path.parent, station, Origin.MEASURED, 1, WallClock().start)
    assert (found.holds, found.why) == (True, "")


def test_a_run_keeps_the_rig_check_that_it_relies_on_and_no_override_that_it_does_not_need(rig, healthy):
    folder, relied = healthy
    settings = {"stabilisation": "0 h", "analysis": "1 h", "blank-length": "30 min"}
    needless = Override("rig-check", "Ada", "to be sure")
    result = conduct(Request("flow-accuracy", rig, settings=settings, seed=1, overrides=[needless], out=folder))
    assert result.findings[0].text.startswith('"rig-check" was overridden, but nothing of that kind blocks the run')
    assert result.evaluation.verdict is Verdict.PASS
    with Run.open(result.run_file) as run:
        assert run.records("override") == []
        (record,) = run.records("rig-check")
    assert record.fields["holds"]
    assert record.fields["check_digest"] == relied.verification.digest
    assert record.fields["serials"]["flow_sensor"]
    assert "pump" not in record.fields["serials"]
    assert record.fields["fluid"]["name"].startswith("water")
    checks = {check.name: check for check in result.evaluation.checks}
    assert checks["rig-check"].verdict is Verdict.PASS
    assert checks["sensor-balance-ratio"].standard_uncertainty < 1.5  # 2.9 by the sensor's certificate


@pytest.mark.usefixtures("unsealed")
def test_who_overrides_a_missing_rig_check_gets_no_more_than_a_conditional_pass(rig, tmp_path):
    settings = {"stabilisation": "0 h", "analysis": "1 h", "blank-length": "30 min"}
    taken = Override("rig-check", "Ada", "weights are at calibration")
    result = conduct(Request("flow-accuracy", rig, settings=settings, overrides=[taken], out=tmp_path))
    assert result.evaluation.verdict is not Verdict.PASS
    said = next(check for check in result.evaluation.checks if check.name == "rig-check")
    assert "no rig check" in said.note


def test_the_chart_has_every_result_of_every_rig_check(healthy):
    folder, _ = healthy
    charts = {chart.check: chart for chart in rig_charts(folder, "sim-full")}
    assert {"compliance", "rig-leak", "flow-gain", "bath"} <= set(charts)
    assert charts["compliance"].chart is None
    assert charts["compliance"].row()["control limits"] == "too few values"
    assert math.isclose(charts["compliance"].values[0], 0.496, rel_tol=0.03)


def test_a_line_of_the_chart_fits_on_80_columns_and_what_is_out_of_control_is_said():
    values = (*(-0.0021 + 0.0001 * math.sin(k) for k in range(30)), 0.5)
    files = tuple(f"rig-check_lab_{k:04d}.h5" for k in range(31))
    chart = RigChart("balance-repeatability", "uL/kPa", files, files, values, control_chart(values))
    row = chart.row()
    assert sum(max(len(heading), len(cell)) + 2 for heading, cell in row.items()) <= 80
    assert row["latest"] == "0.500000 uL/kPa"
    assert re.fullmatch(r"-0\.00\d{4} to -0\.00\d{4}", row["control limits"])
    assert chart.remark.startswith(
        "balance-repeatability: beyond three standard deviations since rig-check_lab_0030.h5"
    )


def test_a_sparkline_reaches_from_the_least_to_the_greatest():
    assert sparkline((0.0, 1.0, 2.0)) == "▁▅█"
    assert sparkline((1.0, 1.0)) == "▁▁"


@pytest.mark.usefixtures("unsealed")
def test_a_calibration_by_the_controller_finds_the_error_of_a_transducer(rig, tmp_path):
    settings = {
        "channel": "daq.outlet_pressure",
        "points": "0 kPa, 10 kPa, 20 kPa, 30 kPa, 40 kPa",
        "course": "up-down",
        "source": "controller",
        "reference": "PACE",
        "certificate": "C-1",
        "uncertainty": "0.01 kPa",
        "allowed": "1 kPa",
        "vent": "no",
        "settle": "2 min",
    }
    result = conduct(Request("calibration", rig, settings=settings, seed=4, out=tmp_path))
    assert result.evaluation.verdict is Verdict.PASS
    gain = result.evaluation.values["gain"]
    assert gain == pytest.approx(1.0, abs=0.006)
    assert f"  gain    {gain:.6g}" in values_of(result.evaluation)
    vented = {**settings, "points": "0 kPa", "vent": "yes"}
    zero = conduct(Request("calibration", rig, settings=vented, seed=4, out=tmp_path))
    assert zero.evaluation.values["gain"] == 1.0


@pytest.mark.usefixtures("unsealed")
def test_the_valves_of_a_healthy_rig_pass_and_one_that_is_stuck_is_named(rig, tmp_path):
    healthy = conduct(Request("valve-test", rig, seed=4, out=tmp_path))
    assert healthy.evaluation.verdict is Verdict.PASS
    stuck = conduct(Request("valve-test", rig, faults=("valve-stuck-open:1@0h",), seed=4, out=tmp_path))
    assert "outlet or vent does not close" in failed(stuck)["vent-closed"]
    measured = {check.name: check for check in stuck.evaluation.checks}
    assert measured["rig-leak"].verdict is Verdict.NOT_MEASURED


@pytest.mark.usefixtures("unsealed")
def test_a_valve_that_keeps_nine_tenths_of_the_pressure_and_leaks_fails(rig, tmp_path):
    settings = {"diverter": "no"}
    leaking = conduct(Request("valve-test", rig, settings=settings, faults=("rig-leak:10@0h",), seed=4, out=tmp_path))
    assert list(failed(leaking)) == ["rig-leak"]
    checks = {check.name: check for check in leaking.evaluation.checks}
    assert checks["outlet-closed"].verdict is Verdict.PASS
    leak = checks["rig-leak"]  # 10 uL/h at 100 kPa are 3.9 at 39 kPa
    assert leak.value == pytest.approx(3.8, abs=leak.expanded_uncertainty)
    assert leak.limit_high == 2.0
    settings["leak"] = "5 uL/h"
    allowed = conduct(Request("valve-test", rig, settings=settings, faults=("rig-leak:10@0h",), seed=4, out=tmp_path))
    assert allowed.evaluation.verdict is Verdict.PASS


@pytest.mark.usefixtures("unsealed")
def test_a_read_out_names_every_channel(rig, tmp_path):
    station = tmp_path / "station.toml"
    text = Path(rig).read_text("utf-8")
    for slow in ('"10 min"', '"60 s"', '"27 s"'):
        text = text.replace(f"period = {slow}", 'period = "10 s"')
    station.write_text(text, "utf-8")
    result = conduct(Request("read-out", str(station), settings={"length": "30 s"}, seed=4, out=tmp_path))
    assert result.evaluation.verdict is Verdict.PASS
    checks = {check.name: check for check in result.evaluation.checks}
    assert {"balance.mass", "controller.pressure", "safety.e_stop"} <= set(checks)
    assert checks["flow_sensor.flow"].standard_uncertainty < 1.0  # 32 with the pulse of the valves made ready
