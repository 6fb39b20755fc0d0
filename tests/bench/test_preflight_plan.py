"""Plans that the pump's or the station's own file rules out are refused before the start, and how long a plan takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import bench
from bench.preflight import PreflightError
from bench.preflight_plan import Plan, beyond_interlocks, boluses, duration, fillings
from bench.request import Override, Request, prepare
from bench.session import check
from bench.station import open_station, station_path
from instruments.clock import VirtualClock
from instruments.drivers import mettler_mtsics, pump_link
from protocols.procedure import load_procedure
from protocols.steps import RequestBolus

UNCHECKED = [Override("rig-check", "Ada", "the rig is not what is tested here")]
PlanOf = Callable[..., Plan]


class Countless(pump_link.PumpLinkHead):
    """A pump that counts no reservoir."""

    set_reservoir = None  # type: ignore[assignment]


class Tareless(mettler_mtsics.MtSicsBalance):
    """A balance that cannot be set to zero."""

    tare = None  # type: ignore[assignment]


@pytest.fixture
def plan_of(tmp_path: Path) -> PlanOf:
    """Plan of a protocol on a shipped station, some of whose text is changed."""

    def made(protocol: str, station: str, changes: dict[str, str] | None = None, /, **settings: str) -> Plan:
        text = station_path(station).read_text("utf-8")
        for old, new in (changes or {}).items():
            assert old in text, old
            text = text.replace(old, new)
        (tmp_path / "station.toml").write_text(text, "utf-8")
        ready = prepare(Request(protocol, str(tmp_path / "station.toml"), settings, out=tmp_path))
        dut, fluid = ready.articles["dut"], ready.articles["fluid"]
        with open_station(ready.station, ready.path, VirtualClock(), dut=dut, fluid=fluid) as opened:
            return Plan(opened, ready.roles, dut, list(ready.procedure.steps()))

    return made


@pytest.mark.parametrize(
    ("protocol", "station", "settings", "says"),
    [
        ("refill-port", "sim-refill", {"fill": "25 mL"}, "fills in 25 mL, but its reservoir holds 20 mL"),
        ("reservoir-life", "sim-full", {"fill": "30 mL"}, "fills in 30 mL, but its reservoir holds 20 mL"),
        ("environment", "sim-full", {"full": "21 mL"}, "fills in 21 mL"),
        ("bolus-accuracy", "sim-long", {"duration": "1 s", "requests": "no"}, "25 uL in 1 s onto 1 mL/day.*least 94 s"),
        ("bolus-accuracy", "sim-long", {"duration": "1 s"}, "25 uL in 1 s onto 1 mL/day needs 2161 mL/day"),
        ("priming", "sim-long", {"duration": "1 min"}, "420 uL in 60 s"),
        (
            "occlusion",
            "sim-full",
            {"threshold": "300 kPa", "limit": "400 kPa"},
            '"rise-1" goes to 400 kPa, but interlock "outlet-pressure" acts at 150 kPa',
        ),
        ("refill-port", "sim-refill", {"full": "160 kPa"}, '"refill-pressure" acts at 150 kPa'),
        ("environment", "sim-full", {"pressures": "160 kPa"}, "goes to 160 kPa"),
        ("environment", "sim-full", {"temperatures": "46 degC"}, '"bath-temperature" acts at 45 degC'),
    ],
)
def test_a_plan_that_a_file_rules_out_is_refused_before_the_start(
    tmp_path: Path, protocol: str, station: str, settings: dict[str, str], says: str
) -> None:
    with pytest.raises(PreflightError, match=says):
        check(Request(protocol, station, settings, out=tmp_path, overrides=UNCHECKED))


@pytest.mark.parametrize(
    ("protocol", "station"),
    [
        ("environment", "sim-full"),
        ("occlusion", "sim-full"),
        ("rig-check", "sim-full"),
        ("valve-test", "sim-full"),
        ("catheter", "sim-catheter"),
        ("refill-port", "sim-refill"),
        ("reservoir-life", "sim-long"),
        ("bolus-accuracy", "sim-long"),
        ("priming", "sim-long"),
        ("rate-step", "sim-long"),
    ],
)
@pytest.mark.parametrize("form", ["default", "qualification"])
def test_nothing_rules_out_a_protocol_as_it_is_shipped(plan_of: PlanOf, protocol: str, station: str, form: str) -> None:
    settings = {} if form == "default" else load_procedure(protocol).qualification
    plan = plan_of(protocol, station, **settings)
    assert [*boluses(plan), *fillings(plan), *beyond_interlocks(plan)] == []


@pytest.mark.parametrize(
    ("armed", "found"),
    [('"always"', 1), ('"delivery"', 1), ('"phase:rise-1"', 1), ('["phase:before-1", "phase:after-1"]', 0)],
)
def test_only_an_interlock_that_is_armed_in_a_phase_rules_its_pressure_out(
    plan_of: PlanOf, armed: str, found: int
) -> None:
    changes = {'high = "150 kPa"': f'high = "150 kPa"\narmed = {armed}'}
    assert len(list(beyond_interlocks(plan_of("occlusion", "sim-full", changes, limit="150 kPa")))) == found


def test_before_delivery_an_interlock_of_the_delivery_rules_nothing_out(plan_of: PlanOf) -> None:
    changes = {'high = "150 kPa"': 'high = "30 kPa"\narmed = "delivery"'}
    assert list(beyond_interlocks(plan_of("valve-test", "sim-full", changes))) == []


def test_an_interlock_that_only_logs_rules_nothing_out(plan_of: PlanOf) -> None:
    changes = {'slew = "50 kPa/min"\naction = "stop"': 'slew = "50 kPa/min"\naction = "log"'}
    assert list(beyond_interlocks(plan_of("occlusion", "sim-full", changes, limit="400 kPa"))) == []


@pytest.mark.parametrize(
    ("protocol", "station", "settings"),
    [
        ("refill-port", "sim-refill", {}),
        ("reservoir-life", "sim-long", {}),
        ("environment", "sim-full", {"levels": "10 mL"}),
    ],
)
def test_a_pump_that_counts_no_reservoir_is_refused_before_a_step_tells_it_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, station: str, settings: dict[str, str]
) -> None:
    monkeypatch.setattr(pump_link, "DRIVER", Countless)
    says = r'role "pump": instrument "pump" \(pump-link\) is no ReservoirCount, so the step SetReservoir cannot be done'
    with pytest.raises(PreflightError, match=says) as refused:
        check(Request(protocol, station, settings, out=tmp_path, overrides=UNCHECKED))
    assert sum(finding.code == "role" for finding in refused.value.findings) == 1


def test_what_no_step_asks_for_an_instrument_need_not_be_able_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_link, "DRIVER", Countless)
    check(Request("environment", "sim-full", {"levels": "none"}, out=tmp_path, overrides=UNCHECKED))


def test_a_role_that_the_protocol_declares_is_told_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mettler_mtsics, "DRIVER", Tareless)
    with pytest.raises(PreflightError, match='"balance" is no Tareable') as refused:
        check(Request("reservoir-life", "sim-long", out=tmp_path, overrides=UNCHECKED))
    assert sum(finding.code == "role" for finding in refused.value.findings) == 1


def test_a_request_that_is_not_programmed_is_held_against_the_pumps_rate_too(plan_of: PlanOf) -> None:
    plan = plan_of("flow-accuracy", "sim")
    asked = Plan(plan.opened, plan.roles, plan.dut, [*plan.steps, RequestBolus("pump", 25.0, 10.0)])
    assert "25 uL in 10 s onto 1 mL/day" in next(iter(boluses(asked))).text


def test_a_plan_that_may_end_earlier_is_said_to_take_at_most_so_long(plan_of: PlanOf) -> None:
    finish = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    fixed, waiting = plan_of("flow-accuracy", "sim"), plan_of("rig-check", "sim-full")
    looking = plan_of("flow-accuracy", "sim", stop_on_clear_fail="yes")
    assert duration(fixed, finish).text == "the run takes 53 h, blanks included, until 2026-03-04 05:06 UTC"
    assert duration(waiting, None).text == "the run takes at most 10.12 h, blanks included"
    assert "at most 53 h" in duration(looking, None).text
    assert duration(waiting, finish).text.endswith("UTC at the latest")


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({}, "no [limits.back-pressure] or [limits.temperature] or [limits.reservoir-level]"),
        ({"temperatures": "none", "levels": "none"}, "no [limits.back-pressure], so each change of the delivery"),
    ],
)
def test_an_environment_that_the_pump_limits_nowhere_is_told_so(
    tmp_path: Path, settings: dict[str, str], missing: str
) -> None:
    request = Request("environment", "sim-full", settings, dut="sim-peristaltic", out=tmp_path, overrides=UNCHECKED)
    _, findings = check(request)
    assert [missing in found.text for found in findings if found.code == "limits"] == [True]


def test_one_limit_of_what_is_tried_is_enough(tmp_path: Path) -> None:
    text = (
        (Path(bench.__file__).parent / "duts" / "sim-declared.toml")
        .read_text("utf-8")
        .partition("[limits.temperature]")[0]
    )
    (tmp_path / "mine.toml").write_text(text, "utf-8")
    request = Request("environment", "sim-full", dut=str(tmp_path / "mine.toml"), out=tmp_path, overrides=UNCHECKED)
    assert not [found for found in check(request)[1] if found.code == "limits"]


@pytest.mark.parametrize(("radii", "told"), [("12 mm, 10 mm", True), ("12 mm, 8 mm", False), ("", False)])
def test_mandrels_that_are_all_wider_than_the_declared_radius_are_told(tmp_path: Path, radii: str, told: bool) -> None:
    request = Request("catheter", "sim-catheter", {"radii": radii}, out=tmp_path, overrides=UNCHECKED)
    assert ("mandrels" in {found.code for found in check(request)[1]}) is told
