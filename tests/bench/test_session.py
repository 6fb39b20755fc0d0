"""A run from what a person asked for to the sealed file: whatever ends it, and whatever the disk does."""

from __future__ import annotations

import errno
import gc
import json
import signal
import subprocess
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench.cli.run
import bench.closing
import bench.session
from bench.cli import main
from bench.closing import close_run, reevaluate
from bench.request import Override, Request
from bench.session import Result, conduct, exit_code
from bench.station import OpenStation
from bench.trust.ledger import REGISTER, rows_of
from bench.unsaved import UnsavedError
from data.checks import Status, Verdict
from data.fold import fold
from data.journal import DiskFile, JournalWriter, read_journal
from data.run import Run
from data.samples import Block
from data.seal import Verifier, verify
from instruments.clock import WallClock

RECORD = {"recording": "10 min"}


def record_request(**options: Any) -> Request:
    return Request("flow-record", "sim", **{"settings": RECORD, "person": "Ada", **options})


# ------------------------------------------------------------------------------------------------- a whole run


def test_a_run_has_its_number_before_it_ends_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path))
    seen: list[list[str]] = []
    conduct(
        record_request(out=tmp_path), lambda *_: seen.append([row["kind"] for row in rows_of(tmp_path, REGISTER)[0]])
    )
    rows, _ = rows_of(tmp_path, REGISTER)
    assert seen[0] == ["begun"]
    begun, end, run = rows
    assert [row["kind"] for row in rows] == ["begun", "checkpoint", "run"]
    assert (begun["run_number"], begun["run_id"], begun["dut"]) == (run["run_number"], run["run_id"], run["dut"])
    assert (begun["journal"]["frames"], end["ended"], end["journal"]) == (1, True, run["journal"])


@pytest.mark.parametrize(
    ("serial", "stem"),
    [("A/12", "A-12"), ("../../x", "..-..-x"), ("SN:7", "SN-7"), ("..", ".."), ("A 12-ü", "A 12-ü")],
)
@pytest.mark.usefixtures("unsealed")
def test_a_serial_number_that_is_no_file_name_stays_in_the_folder_and_in_the_record(
    tmp_path: Path, serial: str, stem: str
) -> None:
    result = conduct(Request("read-out", "sim", settings={"length": "10 s"}, serial=serial, out=tmp_path))
    assert result.run_file == tmp_path / f"read-out_sim_{stem}_0001.h5"
    with Run.open(result.run_file) as run:
        assert run.dut["serial"] == serial


def test_a_run_ends_sealed_evaluated_and_agreeing_with_itself(short_run: Result) -> None:
    assert (short_run.end.status, short_run.verification.state) == (Status.COMPLETED, "intact")
    assert short_run.evaluation.verdict is Verdict.PASS
    again = reevaluate(short_run.run_file)
    assert again.identical, again.why


def test_a_closed_run_is_verified_in_a_process_of_its_own(
    as_shipped: Mapping[str, Verifier], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert set(as_shipped.values()) == {verify}
    monkeypatch.setattr(bench.closing, "verify", verify)
    started: list[list[str]] = []
    start = subprocess.run
    monkeypatch.setattr("data.seal.subprocess.run", lambda words, **how: started.append(words) or start(words, **how))
    verification = conduct(record_request(out=tmp_path)).verification
    assert [words[-2] for words in started] == ["data.seal"]
    assert verification.state == "intact"


def test_a_run_file_tells_the_whole_story(short_run: Result) -> None:
    with Run.open(short_run.run_file) as run:
        assert [phase.name for phase in run.phases] == [
            "stabilisation", "blank-before", "settling", "analysis", "blank-after",
        ]  # fmt: skip
        assert {event.fields["instrument"] for event in run.records("identity")} == {
            "balance", "flow_sensor", "pump", "daq",
        }  # fmt: skip
        begun = [event.fields["index"] for event in run.records("step") if event.fields["state"] == "begin"]
        assert begun == list(range(len(run.steps)))
        assert run.findings[-1]["code"] == "duration"
        assert run.station["name"] == "sim"
        assert all(event.fields["confirmed"] for event in run.records("confirm"))


def test_a_run_stopped_by_an_interlock_is_judged_on_what_it_has(tripped: Result) -> None:
    """The occlusion came before the analysis: nothing is proven against the pump, nothing is measured."""
    assert tripped.end.status is Status.STOPPED_BY_INTERLOCK
    judged = [check for check in tripped.evaluation.checks if check.owner == "dut" and not check.optional]
    assert judged
    assert {check.verdict for check in judged} <= {Verdict.FAIL, Verdict.INVALID, Verdict.NOT_MEASURED}
    assert exit_code(tripped) in (1, 4)
    with Run.open(tripped.run_file) as run:
        assert run.records("teardown") == []
        assert run.records("interlock")[0].fields["name"] == "outlet-pressure"


def test_an_instrument_that_is_missing_leaves_a_run_file_and_exit_code_3(
    sim_station: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    balance = '[instruments.balance]\ndriver = "mettler-mtsics"\nresource = "ASRL1::INSTR"'
    station = sim_station(tmp_path, {balance: balance.replace("ASRL1", "ASRL9")})
    code, said, _ = command(capsys, "run", "flow-accuracy", "--station", station, "--out", tmp_path / "o", "--json")
    found = json.loads(said)
    assert (code, found["status"]) == (3, "error")
    with Run.open(Path(found["run_file"])) as run:
        assert "ASRL9::INSTR" in run.status_reason


def test_an_override_is_recorded_with_its_person_and_makes_a_pass_conditional(
    sim_station: Callable[..., Path], short_request: Callable[..., Request], tmp_path: Path
) -> None:
    less_often = {'period = "1 s"': 'period = "5 s"', 'interval = "0.1 s"': 'interval = "1 s"', '"10 Hz"': '"1 Hz"'}
    overdue = {"due = 2030-12-31\nu_relative": "due = 2020-12-31\nu_relative"}
    station = sim_station(tmp_path, {**overdue, **less_often})
    overrides = [Override("calibration", "Ada", "the new certificate is on its way")]
    result = conduct(short_request(station, out=tmp_path, overrides=overrides, person="Ada"))
    assert result.evaluation.verdict is Verdict.CONDITIONAL_PASS
    assert exit_code(result) == 0
    with Run.open(result.run_file) as run:
        (override,) = run.records("override")
        assert override.fields == {"finding": "calibration", "person": "Ada", "reason": overrides[0].reason}


# --------------------------------------------------------------------------------------------- stopped by signals


def command(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command line."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the next run be struck by a signal as soon as it goes on, and something else holds."""

    def strike(number: signal.Signals, holds: Callable[[], bool] = lambda: True) -> None:
        @contextmanager
        def progress(_prompts: object) -> Iterator[Callable[[float, str], None]]:
            struck: list[bool] = []

            def report(share: float, phase: str) -> None:
                if not struck and holds():
                    struck.append(True)
                    signal.raise_signal(number)

            yield report

        monkeypatch.setattr(bench.cli.run, "_progress_bar", progress)

    return strike


def samples_in(folder: Path, stream: str) -> int:
    """How many samples of a stream a run has in its journal by now."""
    with read_journal(next(folder.glob("*.journal"))) as reader:
        said = [reader.decode(frame) for frame in reader]
    return sum(len(block.t) for block in said if isinstance(block, Block) and block.stream == stream)


@pytest.mark.usefixtures("unsealed")
@pytest.mark.parametrize("pace", [[], ["--pace", "50000"]], ids=["virtual", "paced"])
def test_control_c_stops_a_run_in_order(
    signalled: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str], pace: list[str]
) -> None:
    signalled(signal.SIGINT)
    words = ["run", "flow-record", "--station", "sim", "--set", "recording=20 day", "--person", "Ada", "--json"]
    code, said, _ = command(capsys, *words, "--out", tmp_path, *pace)
    found = json.loads(said)
    assert (code, found["status"]) == (4, "aborted")
    assert found["simulated_s"] < 20 * 86400
    with Run.open(Path(found["run_file"])) as run:
        assert run.records("status")[0].fields["person"] == "Ada"
        assert run.status_reason == "stopped by SIGINT"
        assert len(run.records("confirm")) == 7


VISA = ("mettler-mtsics", "sensirion-shdlc", "pump-link")
PATIENT = {f'driver = "{name}"': f'driver = "{name}"\ntimeout = "60 s"' for name in VISA}
"""Changes of the simulated station, for a computer that stalls while a run goes on in real time."""


@pytest.mark.usefixtures("unsealed")
def test_a_termination_stops_a_run_on_the_wall_clock(
    signalled: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    sim_station: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bench.session, "_clock", lambda prepared, pace: WallClock())
    signalled(signal.SIGTERM, lambda: samples_in(tmp_path, "daq") >= 10)
    words = ["run", "flow-record", "--station", sim_station(tmp_path, PATIENT), "--set", "recording=10 min"]
    words += ["--json", "--out", tmp_path]
    code, said, _ = command(capsys, *words)
    found = json.loads(said)
    assert (code, found["status"]) == (4, "aborted")
    assert 1.0 < found["simulated_s"] < 600.0
    with Run.open(Path(found["run_file"])) as run:
        assert len(run.series("daq.outlet_pressure")) >= 10
        assert run.status_reason == "stopped by SIGTERM"


# -------------------------------------------------------------------------------------------------- the wall clock


@pytest.mark.usefixtures("unsealed")
def test_an_interlock_acts_on_the_wall_clock(
    monkeypatch: pytest.MonkeyPatch, sim_station: Callable[..., Path], tmp_path: Path
) -> None:
    """The pressure steps over its limit 1.5 s after the start; 1 kHz in blocks of 50 ms."""
    clock = WallClock()
    monkeypatch.setattr(bench.session, "_clock", lambda prepared, pace: clock)
    station = sim_station(tmp_path, PATIENT | {'rate = "10 Hz"': 'rate = "1 kHz"'})
    step_s = clock.now() + 2.5
    pressure = (np.array([0.0, step_s]), np.array([0.0, 0.0018]))
    request = Request("flow-accuracy", str(station), out=tmp_path, replay={"outlet_pressure_v_per_v": pressure})
    result = conduct(request)
    assert result.end.status is Status.STOPPED_BY_INTERLOCK
    with Run.open(result.run_file) as run:
        (trip,) = run.records("interlock")
        valves = [event for event in run.records("confirm") if event.fields["what"].startswith("valve")]
        assert all(event.fields["confirmed"] for event in valves)
        assert trip.fields["reaction_s"] >= 0.0  # how long it takes is measured by `python -m benchmarks interlock`
        told_late = any("that the station promises" in event.fields["text"] for event in run.records("event"))
        assert told_late == (trip.fields["reaction_s"] > 0.15), "a stalled computer is told of"
        assert min(trip.t, valves[-1].t) >= step_s
        assert run.records("safe-state")[0].t <= valves[0].t
        blocks = np.diff(run.series("daq.outlet_pressure").t)
        assert blocks.max() < 0.0011, "no sample is lost"


# -------------------------------------------------------------------------------------------------------- the disk


class FullDisk(DiskFile):
    """A disk that takes so many bytes and then, for some attempts or for ever, no more."""

    def __init__(self, path: Path, *, takes: int, refusals: float) -> None:
        super().__init__(path)
        self._takes, self._refusals = takes, refusals

    def write(self, offset: int, data: bytes) -> int:
        if offset + len(data) > self._takes and self._refusals > 0:
            self._refusals -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(offset, data)


def fill(monkeypatch: pytest.MonkeyPatch, *, takes: int, refusals: float) -> None:
    disk = partial(FullDisk, takes=takes, refusals=refusals)
    monkeypatch.setattr(bench.session, "JournalWriter", partial(JournalWriter, open_file=disk))


def test_a_disk_that_is_full_for_a_while_costs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = conduct(record_request(out=tmp_path / "a"))
    fill(monkeypatch, takes=20_000, refusals=3)
    result = conduct(record_request(out=tmp_path / "b"))
    assert len(result.trouble) == 1
    assert "the disk is full" in result.trouble[0]
    with Run.open(plain.run_file) as expected, Run.open(result.run_file) as run:
        for name in expected.channels:
            assert np.array_equal(run.series(name).values, expected.series(name).values)
        assert "the disk is full" in run.records("event")[-1].text


def test_a_disk_that_stays_full_ends_with_a_copy_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path))
    fill(monkeypatch, takes=20_000, refusals=1e9)
    words = ["run", "flow-record", "--station", "sim", "--set", "recording=10 min", "--out", tmp_path / "o"]
    code, said, complaint = command(capsys, *words)
    assert (code, said) == (3, "")
    assert "the run has ended and the bench is safe, but the disk took no more" in complaint
    assert len([line for line in complaint.splitlines() if not line.startswith("note: ")]) == 1
    (copy,) = tmp_path.glob("pumpbench-*/*.journal")
    assert f"pumpbench recover {copy} --out " in complaint
    assert list((tmp_path / "o").glob("*.h5")) == []
    recovered = close_run(copy, tmp_path / "recovered.h5")
    assert (recovered.verification.intact, recovered.untrusted) == (True, "")
    (cut,) = (tmp_path / "o").glob("*.journal")
    gc.collect()  # the process of the run has ended, and its writer with it
    assert "it ends after" in close_run(cut, tmp_path / "cut.h5").untrusted
    with Run.open(recovered.run_file) as run:
        assert run.status is Status.COMPLETED


def test_without_any_room_the_message_says_what_is_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("data.journal.DiskFile", partial(FullDisk, takes=0, refusals=1e9))
    fill(monkeypatch, takes=20_000, refusals=1e9)
    with pytest.raises(UnsavedError, match=r"bytes of the record are lost; make room, then: pumpbench recover"):
        conduct(record_request(out=tmp_path / "o"))
    (journal,) = (tmp_path / "o").glob("*.journal")
    gc.collect()  # the process of the run has ended, and its writer with it
    assert close_run(journal, tmp_path / "rest.h5").verification.intact


def test_a_run_file_that_cannot_be_made_keeps_its_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_room(self: Any, offset: Any = None, *_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("data.hdf5.Disk.check", no_room)
    words = ["run", "flow-record", "--station", "sim", "--set", "recording=10 min", "--out", tmp_path]
    code, _, complaint = command(capsys, *words)
    (journal,) = tmp_path.glob("*.journal")
    assert code == 3
    assert f"pumpbench recover {journal}" in complaint
    monkeypatch.undo()
    code, said, _ = command(capsys, "recover", journal)
    assert code == 4
    assert "record intact" in said


# ------------------------------------------------------------------------------------------------------- snapshots


@pytest.mark.usefixtures("unsealed")
def test_snapshots_of_a_running_run_open_in_other_peoples_readers(tmp_path: Path) -> None:
    import xarray

    taken: list[Path] = []

    def progress(share: float, phase: str) -> None:
        if len(taken) < 8 and share * 8 > len(taken):
            (journal,) = tmp_path.glob("*.journal")
            taken.append(fold(journal, tmp_path / f"snapshot-{len(taken)}.h5", incomplete=True))

    result = conduct(record_request(out=tmp_path), progress)
    lengths = []
    for path in taken:
        with Run.open(path) as run:
            assert run.status is Status.INCOMPLETE
            lengths.append(len(run.series("daq.outlet_pressure")) if run.has("daq.outlet_pressure") else 0)
    for path, engine in ((taken[0], "netcdf4"), (taken[1], "h5netcdf"), (taken[5], "netcdf4")):
        with xarray.open_datatree(path, engine=engine) as tree:
            assert "entry" in tree
    assert len(taken) == 8
    assert lengths == sorted(lengths)
    assert lengths[-1] > 4000
    for engine in ("netcdf4", "h5netcdf"):
        with xarray.open_datatree(result.run_file, engine=engine) as tree:
            assert tree["entry/daq"].sizes["time"] in (6000, 6001)


@pytest.mark.usefixtures("unsealed")
def test_a_simulated_run_leaves_nothing_of_its_rig_behind(tmp_path: Path) -> None:
    """Its watchdog and its heartbeat relay are still armed at the end, which kept all of it for ever."""
    seen: list[weakref.ref[object]] = []

    def look(opened: OpenStation) -> None:
        assert opened.rig is not None
        seen.append(weakref.ref(opened.rig.plant))

    conduct(Request("read-out", "sim-full", settings={"length": "2 min"}, out=tmp_path), afterwards=look)
    gc.collect()
    assert [one() for one in seen] == [None]
