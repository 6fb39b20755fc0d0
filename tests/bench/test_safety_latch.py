"""Latches that outlive their run: a file that only grows, and a next run that demands a named person."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.findings import Finding
from bench.last_stop import LastStop, unlatched_stop
from bench.latch import LatchError, Latches, latches_of
from bench.request import Override, Request
from bench.session import Result, check, conduct
from bench.station import load_station
from bench.trust.register import Begun
from bench.watchdog_clearing import ClearingError, clear_watchdog
from data.checks import Status
from data.disk import lock
from data.run import Run
from protocols.interlock import Interlock
from protocols.steps import Phase

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


@pytest.fixture
def latches(tmp_path: Path) -> Latches:
    """Latches of a station that has none yet."""
    return Latches(tmp_path / "stations" / "lab.latches")


def test_what_was_latched_stays_until_it_is_reset(latches: Latches) -> None:
    assert latches.standing() == []
    latches.latch("pressure", "too high", NOW)
    latches.latch("leak", "wet", NOW)
    latches.latch("pressure", "too high again", NOW)
    assert [(latch.interlock, latch.cause) for latch in Latches(latches.file).standing()] == [
        ("pressure", "too high"),
        ("leak", "wet"),
    ]
    latches.reset("pressure", "Ada", "a kink", NOW)
    assert [latch.interlock for latch in latches.standing()] == ["leak"]


def test_a_reset_needs_a_person_and_a_reason_and_is_kept(latches: Latches) -> None:
    latches.latch("pressure", "too high", NOW)
    for person, reason in (("", "a kink"), ("Ada", " ")):
        with pytest.raises(LatchError, match="give both"):
            latches.reset("pressure", person, reason, NOW)
    assert [latch.interlock for latch in latches.reset_all("Ada", "a kink", NOW)] == ["pressure"]
    assert latches.standing() == []
    said = latches.history()[-1]
    assert (said["event"], said["person"], said["reason"]) == ("reset", "Ada", "a kink")
    assert said["utc"] == "2026-03-01T08:30:00.000+00:00"


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0c", "\r\n"])
def test_a_reason_of_several_lines_resets_and_latches_nothing_else(latches: Latches, separator: str) -> None:
    latches.latch("pressure", "too high", NOW)
    latches.reset("pressure", "Ada", f"a kink{separator}removed", NOW)
    assert latches.standing() == []
    assert [said["event"] for said in latches.history()] == ["latch", "reset"]
    assert latches.history()[-1]["reason"] == f"a kink{separator}removed"


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_a_latch_that_a_power_cut_tore_is_still_one(latches: Latches, lost: int) -> None:
    latches.latch("leak", "wet", NOW)
    latches.latch("pressure", "too high", NOW)
    latches.file.write_bytes(latches.file.read_bytes()[:-lost])
    assert len(latches.standing()) == 2
    latches.reset_all("Ada", "looked at both", NOW)
    assert latches.standing() == []


def test_a_line_that_the_disk_takes_half_is_no_latch_and_may_be_written_again(
    latches: Latches, monkeypatch: pytest.MonkeyPatch
) -> None:
    latches.latch("leak", "wet", NOW)

    def no_room(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("os.fsync", no_room)
        with pytest.raises(OSError, match="No space left"):
            latches.latch("pressure", "too high", NOW)
    assert [latch.interlock for latch in latches.standing()] == ["leak"]
    latches.latch("pressure", "too high", NOW)
    assert [latch.interlock for latch in latches.standing()] == ["leak", "pressure"]


def test_the_name_of_a_new_file_of_latches_is_on_the_disk_too(
    latches: Latches, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = list[Path]()
    monkeypatch.setattr("bench.latch.sync_folder", synced.append)
    latches.latch("leak", "wet", NOW)
    assert set(synced) == {latches.file.parent, latches.file.parent.parent}


def test_a_file_that_cannot_be_read_is_told_with_its_name(latches: Latches) -> None:
    latches.file.mkdir(parents=True)
    with pytest.raises(LatchError, match=r"lab\.latches: cannot be read"):
        latches.standing()


def test_a_simulated_station_is_latched_only_where_somebody_asked_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PUMPBENCH_HOME", raising=False)
    assert latches_of(load_station("sim")) is None
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path))
    found = latches_of(load_station("sim"))
    assert found is not None
    assert found.file == tmp_path / "stations" / "sim.latches"


def test_a_real_station_is_latched_where_the_platform_keeps_a_users_state(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PUMPBENCH_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    found = latches_of(load_station("template"))
    assert found is not None
    assert found.file.parent == tmp_path / "pumpbench" / "stations"


def test_an_account_without_a_home_folder_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("PUMPBENCH_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(LatchError, match="set PUMPBENCH_HOME"):
        latches_of(load_station("template"))


# ----------------------------------------------------------------------------------------------- from run to run


@pytest.fixture
def latching(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A state folder in which simulated stations are latched."""
    home = tmp_path / "home"
    monkeypatch.setenv("PUMPBENCH_HOME", str(home))
    return home


def test_a_station_that_was_stopped_starts_again_only_when_a_named_person_says_why(
    latching: Path,
    occluded: Request,
    trip: Callable[..., Result],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert trip().end.status is Status.STOPPED_BY_INTERLOCK
    station = load_station(occluded.station).name
    words = ["run", "flow-record", "--station", occluded.station, "--set", "recording=10 min", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert f'station "{station}": interlock "outlet-pressure" acted on 2026-01-01 00:' in said
    assert '--override latched --person NAME --reason "..."' in said
    result = restarted(occluded, tmp_path)
    with Run.open(result.run_file) as run:
        (override,) = run.records("override")
        assert (override.fields["finding"], override.fields["person"]) == ("latched", "Ada")
    assert Latches(latching / "stations" / f"{station}.latches").standing() == []


@pytest.mark.parametrize("registered", [True, False])
def test_a_stop_that_no_latch_was_written_of_is_asked_for_as_well(
    latching: Path, occluded: Request, trip: Callable[..., Result], tmp_path: Path, registered: bool
) -> None:
    result, register = trip(), latching / "trust" / "register.jsonl"
    assert blocked(occluded, tmp_path) == ["latched"]
    (kept,) = (latching / "stations").glob("*.latches")
    kept.unlink()
    if not registered:  # since the state folder was full
        register.write_bytes(b"".join(line for line in register.read_bytes().splitlines(True) if b'"begun"' in line))
    (finding,) = [one for one in findings(occluded, tmp_path) if one.code == "latched"]
    assert "run 1 was stopped by an interlock and nobody has reset it since" in finding.text
    assert str(result.run_file) in finding.text
    restarted(occluded, tmp_path)
    assert [(said["event"], said["interlock"]) for said in Latches(kept).history()] == [("reset", "unknown")]
    assert blocked(occluded, tmp_path) == []


def test_a_stop_whose_process_was_killed_before_the_disk_took_the_latch_is_asked_for_as_well(
    latching: Path, occluded: Request, trip: Callable[..., Result], tmp_path: Path
) -> None:
    result, register = trip(), latching / "trust" / "register.jsonl"
    (kept,) = (latching / "stations").glob("*.latches")
    kept.unlink()
    result.run_file.unlink()  # which was not made
    register.write_bytes(b"".join(line for line in register.read_bytes().splitlines(True) if b'"begun"' in line))
    (finding,) = [one for one in findings(occluded, tmp_path) if one.code == "latched"]
    assert "run 1 was stopped by an interlock and nobody has reset it since" in finding.text
    assert str(result.journal) in finding.text
    restarted(occluded, tmp_path)
    assert blocked(occluded, tmp_path) == []


@pytest.fixture
def last_run(
    toy_bench: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., LastStop | None]:
    """What is known of a toy run that two interlocks held one after the other, of which one was reset.

    last_run(latches, status): how it ended, in its register, and with what the disk took of its latches.
    """
    toys = toy_bench(latches=Latches(tmp_path / "whole.latches", "r"), stated={"hold": [{"wait": "1 s"}]})
    toys.gauge.pressure = lambda t: 60.0 if 10.0 < t < 15.0 or t > 40.0 else 10.0
    holds = [Interlock(name, "gauge.pressure", high=50.0, action="hold", armed=(name,)) for name in ("one", "two")]
    reset = (20.0, lambda engine: engine.reset_interlock("one", "Ada", "a kink"))
    stop = (60.0, lambda engine: engine.stop("Ada", "enough"))
    phases = Phase("one", for_s=15.0), Phase("two", for_s=60.0)
    assert toys.run(*phases, interlocks=holds, at=[reset, stop]).status is Status.ABORTED
    whole = toys.latches.file.read_text("utf-8").splitlines(keepends=True)
    assert len(whole) == 3

    def look(lines: int, status: str = "aborted", journal: Path | None = None) -> LastStop | None:
        begun = Begun("r", 4, journal or tmp_path / "toy.journal", bool(status), status)
        monkeypatch.setattr("bench.trust.register.last_begun", lambda *_: begun)
        latches = Latches(tmp_path / f"{lines}.latches")
        latches.file.write_text("".join(whole[:lines]), "utf-8")
        return unlatched_stop("toys", latches)

    return look


@pytest.mark.parametrize("status", ["aborted", "error", ""])
@pytest.mark.parametrize(("lines", "is_lost"), [(0, True), (1, True), (2, True), (3, False)])
def test_a_hold_that_stood_as_its_run_ended_is_asked_for_where_its_own_latch_was_not_written(
    last_run: Callable[..., LastStop | None], lines: int, status: str, is_lost: bool
) -> None:
    found = last_run(lines, status)
    assert (found is not None) is is_lost
    assert found is None or (found.number, found.how, found.record.name) == (4, "held", "toy.journal")


def test_a_run_that_ended_well_or_whose_record_is_elsewhere_has_left_nothing_that_is_known(
    last_run: Callable[..., LastStop | None], tmp_path: Path
) -> None:
    assert last_run(0, "completed") is None
    assert last_run(0, "aborted", tmp_path / "elsewhere.journal") is None
    found = last_run(0, "stopped-by-interlock", tmp_path / "elsewhere.journal")
    assert found is not None
    assert found.how == "stopped"


def test_the_journal_of_a_run_that_goes_on_is_left_alone(
    last_run: Callable[..., LastStop | None], tmp_path: Path
) -> None:
    with (tmp_path / "toy.journal").open("rb") as file:
        assert lock(file.fileno())
        assert last_run(0, "") is None


def findings(occluded: Request, out: Path) -> Sequence[Finding]:
    """What speaks against another run on the station."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.preflight.insist", lambda *_: None)
        return check(replace(occluded, out=out))[1]


def blocked(occluded: Request, out: Path) -> list[str]:
    return [finding.code for finding in findings(occluded, out) if finding.level == "blocks"]


def restarted(occluded: Request, out: Path) -> Result:
    """A run that a person lets start on the station that was stopped."""
    override = Override("latched", "Ada", "the tip was closed; opened")
    options: dict[str, Any] = {"settings": {"recording": "10 min"}, "out": out, "overrides": [override]}
    return conduct(Request("flow-record", occluded.station, person="Ada", **options))


# ---------------------------------------------------------------------------------------- a watchdog that has fired


def test_a_watchdog_is_cleared_by_a_named_person_with_a_reason_and_latches_nothing(latching: Path) -> None:
    said = clear_watchdog("sim-full", "daq", "Ada", "the computer had crashed")
    assert said.startswith("watchdog cleared: valves outlet released")
    kept = Latches(latching / "stations" / "sim-full.latches")
    intent, outcome = kept.history()
    assert (intent["event"], outcome["event"]) == ("watchdog-to-be-cleared", "watchdog-cleared")
    assert {(one["instrument"], one["person"], one["reason"]) for one in (intent, outcome)} == {
        ("daq", "Ada", "the computer had crashed")
    }
    assert outcome["said"] == said
    assert kept.standing() == []


@pytest.mark.usefixtures("latching")
@pytest.mark.parametrize(
    ("station", "instrument", "reason", "why"),
    [
        ("sim-full", "daq", " ", "a named person with a reason"),
        ("sim-full", "balance", "why not", 'no instrument "balance" has a watchdog; daq has'),
        ("sim", "daq", "why not", 'no instrument "daq" has a watchdog; none has'),
    ],
)
def test_a_watchdog_that_cannot_be_cleared_is_told(station: str, instrument: str, reason: str, why: str) -> None:
    with pytest.raises(ClearingError, match=why):
        clear_watchdog(station, instrument, "Ada", reason)


def test_the_watchdog_of_a_simulated_station_whose_state_nobody_keeps_needs_no_clearing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PUMPBENCH_HOME", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["stations", "sim-full", "--clear-watchdog", "daq", "--reason", "why not"])
    assert ended.value.code == 2
    assert "is simulated" in capsys.readouterr().err
