"""What is known before a run: findings that block are in test_cli.py, those that warn and tell are here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import preflight
from bench.articles import lab_file
from bench.preflight import Finding, PreflightError
from bench.request import Override, Request, prepare
from bench.session import conduct
from bench.station import open_station, station_path
from data.checks import Verdict
from instruments.clock import VirtualClock

Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(tmp_path: Path, sim_station: Callable[..., Path]) -> Look:
    """Findings by code: look({"old": "new"} of the station file, **fields of the request)."""

    def found(changes: dict[str, str] | None = None, *, every: bool = False, **fields: Any) -> dict[str, Finding]:
        station = sim_station(tmp_path, changes)
        ready = prepare(Request("flow-accuracy", str(station), **{"out": tmp_path, **fields}))
        clock = VirtualClock()
        articles = ready.articles
        with open_station(ready.station, ready.path, clock, dut=articles["dut"], fluid=articles["fluid"]) as opened:
            seen = preflight.findings(ready.procedure, opened, ready.roles, articles, ready.request.out, clock)
        return {f"{one.code} {number}" if every else one.code: one for number, one in enumerate(seen)}

    return found


def test_the_default_run_has_nothing_against_it_and_says_how_long_it_takes(look: Look) -> None:
    (told,) = look().values()
    assert (told.code, told.level) == ("duration", "tells")
    assert told.text == "the run takes 53 h, blanks included"


@pytest.mark.parametrize(
    ("rate", "says"),
    [("15 mL/day", "saturated"), ("0.1 mL/day", "uncertain by 15 %"), ("flex 00:00 1 mL/day, 06:00 15 mL/day", "625")],
)
def test_the_flow_sensor_is_checked_at_every_rate(look: Look, rate: str, says: str) -> None:
    settings = {"schedule": rate, "stabilisation": "0 h", "analysis": "12 h"}
    found = look({'vessel_capacity = "14 mL"': 'vessel_capacity = "1 L"'}, settings=settings)["sensor-range"]
    assert found.level == "warns"
    assert says in found.text


NARROW = (
    ('family = "SF06"', 'family = "SF04"'),
    ('full_scale = "2000 uL/min"', 'full_scale = "8 uL/min"'),
    ('model = "SLF3S-0600F"', 'model = "LG16-0150"'),
)


@pytest.fixture
def forced(tmp_path: Path) -> Callable[..., dict[str, Finding]]:
    """Findings by code of a catheter run on the catheters' station, with changes of its file."""

    def found(*changes: tuple[str, str]) -> dict[str, Finding]:
        text = station_path("sim-catheter").read_text("utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        (tmp_path / "station.toml").write_text(text, "utf-8")
        ready = prepare(Request("catheter", str(tmp_path / "station.toml"), out=tmp_path))
        clock = VirtualClock()
        with open_station(ready.station, ready.path, clock) as opened:
            seen = preflight.findings(ready.procedure, opened, ready.roles, ready.articles, tmp_path, clock)
        return {one.code: one for one in seen}

    return found


@pytest.mark.parametrize(
    ("drop", "code", "level", "says"),
    [
        ('drop = "0.51 kPa"', "sensor-drop", "blocks", "takes 32 kPa of it"),
        ('drop = "0.1 kPa"', "sensor-range", "warns", "saturated; use a sensor that is larger"),
        ("", "sensor-range", "warns", "saturated, and no drop says what pressure it takes"),
    ],
)
def test_a_flow_that_is_forced_through_a_narrow_sensor_is_told(
    forced: Callable[..., dict[str, Finding]], drop: str, code: str, level: str, says: str
) -> None:
    found = forced(*NARROW, ('drop = "0.06 kPa"', drop))[code]
    assert found.level == level
    assert says in found.text


def test_a_sensor_that_lets_a_forced_flow_through_is_not_spoken_of(
    forced: Callable[..., dict[str, Finding]],
) -> None:
    assert not {"sensor-drop", "sensor-range"} & set(forced())


@pytest.mark.parametrize(
    ("written", "says"),
    [('interval = "1 s"', "each 1 s"), ('interval = "0.1 s"\nresting_period = "10 s"', "each 10 s")],
)
def test_a_flow_sensor_that_is_read_seldom_is_told(look: Look, written: str, says: str) -> None:
    found = look({'interval = "0.1 s"': written})["sensor-interval"]
    assert found.level == "warns"
    assert says in found.text


def test_short_blanks_and_few_strokes_are_told(look: Look) -> None:
    found = look(settings={"blank-length": "1 h"})["method"]
    assert found.text == "blanks of 1 h tell the evaporation poorly; 4 h are usual"
    found = look(settings={"schedule": "0.048 mL/day"})["method"]
    assert found.text == "the analysis holds 10 strokes of 5 uL; 20 would take 50 h"


def test_a_pump_without_a_limit_is_told_that_it_gets_no_verdict(look: Look, tmp_path: Path) -> None:
    import bench

    text = (Path(bench.__file__).parent / "duts" / "sim-peristaltic.toml").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text.partition("[limits.mean]")[0], "utf-8")
    assert '"not-measured"' in look(dut=str(tmp_path / "mine.toml"))["limits"].text


def test_an_interlock_without_a_slew_is_told_what_that_costs(look: Look) -> None:
    assert 'interlocks.outlet-pressure has no "slew"' in look({'slew = "50 kPa/min"\n': ""})["slew"].text


def test_an_overdue_certificate_that_nobody_uses_only_warns(look: Look) -> None:
    unused = '[instruments.daq.calibration.reservoir_pressure]\ncertificate = "C-9"\ndue = 2020-01-01\n\n[roles]'
    changes = {"[roles]": unused, 'reservoir_pressure = "daq.reservoir_pressure"\n': ""}
    found = look(changes)["calibration"]
    assert (found.level, "C-9 of reservoir_pressure was due 2020-01-01" in found.text) == ("warns", True)


def test_a_full_disk_blocks_before_anything_moves(look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1e6))
    found = look(out=tmp_path / "not" / "yet")["disk"]
    assert found.level == "blocks"
    assert "GB, and less is free there; make room" in found.text


def test_the_folder_of_a_station_is_no_part_of_what_is_recorded(tmp_path: Path) -> None:
    finding = Finding("slew", "warns", f"{tmp_path / 's.toml'}: hm")
    assert finding.to_json(tmp_path / "s.toml") == {"code": "slew", "level": "warns", "text": "s.toml: hm"}


def test_only_what_may_be_overridden_can_be() -> None:
    overdue = Finding("calibration", "blocks", "it is overdue")
    preflight.insist([overdue], [taken("calibration")])
    with pytest.raises(PreflightError, match="--override calibration"):
        preflight.insist([overdue], [taken("disk")])
    with pytest.raises(PreflightError, match="can be overridden"):
        preflight.insist([Finding("rate", "blocks", "too fast")], [taken("rate")])
    preflight.insist([Finding("slew", "warns", "slow")], [])


def test_an_override_is_of_what_was_read_and_of_nothing_else_under_the_same_code() -> None:
    balance, sensor = (
        Finding("calibration", "blocks", f"that of the {name} is overdue") for name in ("balance", "sensor")
    )
    preflight.insist([balance], [taken("calibration", balance.text)])
    preflight.insist([balance, sensor], [taken("calibration", balance.text, sensor.text)])
    preflight.insist([balance, sensor], [taken("calibration", balance.text), taken("calibration", sensor.text)])
    preflight.insist([], [taken("calibration", balance.text)])
    with pytest.raises(PreflightError) as refused:
        preflight.insist([balance, sensor], [taken("calibration", balance.text)])
    assert str(refused.value).startswith(
        'that of the sensor is overdue (the reason of Ada, "agreed", was given for something else), or start with'
    )


def taken(code: str, *read: str) -> Override:
    return Override(code, "Ada", "agreed", read)


# -- the lab's register of articles

CERTIFICATES = {"SIM-BAL-01": "2099-01-02", "SIM-FLOW-01": "2099-01-02", "SIM-TC-01": "2099-01-02"}


def registered(path: Path, certificates: dict[str, str] = CERTIFICATES, more: str = "") -> Path:
    """A register that has everything that the run of `spoken` uses."""
    rows = "[[articles.certificates]]\nnumber = {0!r}\nissued = 2025-01-02\ndue = {1}\n"
    known = [("dut", "SN-1", ""), ("catheter", "C-1", ""), ("fluid", "W-1", "use_by = 2099-01-02\n")]
    known += [("instrument", f"I-{name}", rows.format(name, due)) for name, due in certificates.items()]
    tables = [f"[[articles]]\nkind = {kind!r}\nid = {name!r}\nmodel = 'SIM-20'\n{rest}" for kind, name, rest in known]
    path.write_text("\n".join([*tables, more]))
    return path


def changed(name: str, status: str) -> str:
    said = "person = 'Eve'\nreason = 'was dropped'\nat = 2026-01-02T00:00:00+00:00\n"
    return f"[[changes]]\nid = {name!r}\nstatus = {status!r}\n{said}"


LATER = "[[articles.certificates]]\nnumber = 'SIM-TC-02'\nissued = 2025-06-01\ndue = 2099-01-02\n"
"""Of the last instrument."""


@pytest.fixture
def spoken(look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[str]]:
    """What a register says against a run of pump SN-1 with catheter C-1 and water W-1."""
    files = {}
    for kind, name, lot in (("catheter", "catheters/sim", "C-1"), ("fluid", "fluids/water", "W-1")):
        text = (Path(preflight.__file__).parent / f"{name}.toml").read_text("utf-8")
        files[kind] = str(tmp_path / f"{lot}.toml")
        Path(files[kind]).write_text(text.replace('lot = "SIMULATED"', f'lot = "{lot}"'), "utf-8")

    def against(file: Path) -> list[str]:
        monkeypatch.setenv("PUMPBENCH_ARTICLES", str(file))
        found = look(serial="SN-1", every=True, **files).values()
        said = [one for one in found if one.code.startswith("article")]
        assert all(one.level == "blocks" for one in said)
        return [one.text.removeprefix(f"{file}: ").partition(";")[0] for one in said]

    return against


def test_a_run_of_what_the_register_lets_be_used_has_nothing_against_it(spoken: Any, tmp_path: Path) -> None:
    assert spoken(registered(tmp_path / "articles.toml")) == []


@pytest.mark.parametrize(
    ("certificates", "more", "says"),
    [
        (CERTIFICATES, changed("SN-1", "quarantined"), "dut SN-1: quarantined by Eve: was dropped"),
        (CERTIFICATES, changed("C-1", "retired"), "catheter C-1: retired by Eve: was dropped"),
        ({**CERTIFICATES, "SIM-BAL-01": "2025-12-02"}, "", "SIM-BAL-01 was due 2025-12-02"),
        (dict.fromkeys(("SIM-BAL-01", "SIM-TC-01"), "2099-01-02"), "", "SIM-FLOW-01 of flow_sensor.flow is not"),
        (CERTIFICATES, LATER, "SIM-TC-01 of daq.bath_temperature was replaced by SIM-TC-02 of 2025-06-01"),
        (CERTIFICATES, changed("I-SIM-BAL-01", "quarantined"), "instrument I-SIM-BAL-01: quarantined"),
    ],
)
def test_what_the_register_has_against_a_run_blocks_it(
    spoken: Any, tmp_path: Path, certificates: dict[str, str], more: str, says: str
) -> None:
    (said,) = spoken(registered(tmp_path / "articles.toml", certificates, more))
    assert says in said


def test_what_is_not_registered_or_expired_and_a_register_that_is_not_there_block(spoken: Any, tmp_path: Path) -> None:
    file = registered(tmp_path / "articles.toml")
    file.write_text(file.read_text().replace("'SN-1'", "'SN-2'").replace("use_by = 2099", "use_by = 2020"))
    assert spoken(file) == ['dut "SN-1" is not registered', "fluid W-1: was to be used by 2020-01-02"]
    assert "there is no such file" in spoken(tmp_path / "gone.toml")[0]


def test_a_pump_that_is_registered_as_another_model_blocks(spoken: Any, tmp_path: Path) -> None:
    file = registered(tmp_path / "articles.toml")
    file.write_text(file.read_text().replace("SIM-20", "OTHER-40", 1))
    assert spoken(file) == ["dut SN-1: it is registered as OTHER-40, and the run is of SIM-20"]


def test_a_simulated_station_is_checked_only_where_the_register_is_named(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path))
    file = registered(tmp_path / "articles.toml")
    assert "article" not in look()
    assert (lab_file(real=True), lab_file(real=False)) == (file, None)


def test_a_run_against_the_register_needs_a_person_and_passes_under_a_condition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "articles.toml").write_text("")
    monkeypatch.setenv("PUMPBENCH_ARTICLES", str(tmp_path / "articles.toml"))
    asked = Request("read-out", "sim", out=tmp_path, person="Ada")
    with pytest.raises(PreflightError, match=r'dut "SIMULATED" is not registered.*--override article'):
        conduct(asked)
    result = conduct(replace(asked, overrides=[Override("article", "Ada", "a trial")]))
    assert result.evaluation.verdict is Verdict.CONDITIONAL_PASS
    assert "the register of articles spoke against what was used, let pass by Ada: a trial" in str(result.evaluation)
