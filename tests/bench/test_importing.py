"""A log made elsewhere becomes a sealed run file of origin "imported"; what it does not hold is not measured."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.closing import reevaluate
from bench.trust import users
from bench.trust.ledger import TrustError
from bench.trust.signing import Answer, checklist, sign
from data.checks import Origin, Verdict
from data.journal import DiskFile
from data.run import Run
from data.samples import Quality
from data.seal import verify

Import = Callable[..., tuple[int, str]]

WEIGHED = (
    "--time", "t [s]", "--time-unit", "s", "--mass", "m [g]", "--mass-unit", "g", "--set", "schedule=1 mL/day",
    "--began", "2026-03-01T14:00:00+01:00", "--phase", "analysis=1.5 h..4 h",
)  # fmt: skip
BLANKS = ("--phase", "blank-before=0 h..0.75 h", "--phase", "blank-after=4 h..5 h", "--set", "blank=stopped")


@pytest.fixture(scope="module")
def weighed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five hours: the pump stands still, delivers 1 mL/day from 0.75 h to 4 h, stands still again; it dries slowly."""
    t_s = 100.0 + np.arange(0.0, 5 * 3600.0 + 1.0, 20.0)
    hours = (t_s - 100.0) / 3600.0
    noise = np.random.default_rng(11).normal(0.0, 0.02, t_s.size)
    mass_mg = np.clip(hours - 0.75, 0.0, 3.25) * 41.6667 / 1.00263 - 0.02 * hours + noise
    path = tmp_path_factory.mktemp("log") / "weighed.csv"
    rows = [f"{t:.1f};{m / 1000.0:.5f}" for t, m in zip(t_s, mass_mg, strict=True)]
    path.write_text("\n".join(["# exported by another program", "t [s];m [g]", *rows]) + "\n")
    return path


@pytest.fixture
def imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Import:
    """Exit code and the one sentence on stderr, or the output, of an import into run.h5."""

    def run(log: Path, *words: str) -> tuple[int, str]:
        said = ["--station", "sim", "--dut", "sim-peristaltic", "--serial", "A-1", "--fluid", "water"]
        shifted = [_later(word) for word in words]
        with pytest.raises(SystemExit) as ended:
            main(["import-log", str(log), *said, *shifted, "--out", str(tmp_path / "run.h5")])
        out, err = capsys.readouterr()
        assert len(err.splitlines()) <= 1
        return int(ended.value.code or 0), err or out

    return run


def _later(word: str) -> str:
    """Times of a phase on the axis of the log, which begins at 100 s."""
    _, dots, _ = word.partition("..")
    if not dots:
        return word
    phase, _, span = word.partition("=")
    ends = [float(end.removesuffix("h")) * 3600.0 + 100.0 for end in span.split("..")]
    return f"{phase}={ends[0]!r} s..{ends[1]!r} s"


def test_a_log_becomes_an_intact_run_that_says_where_it_came_from(imported, weighed, tmp_path):
    code, _ = imported(weighed, *WEIGHED, *BLANKS)
    assert code == 0
    assert verify(tmp_path / "run.h5").intact
    assert list(tmp_path.iterdir()) == [tmp_path / "run.h5"]
    with Run.open(tmp_path / "run.h5") as run:
        assert run.origin is Origin.IMPORTED
        (source,) = run.records("import")
        assert source.fields["sha256"] == hashlib.sha256(weighed.read_bytes()).hexdigest()
        assert source.fields["bytes"] == weighed.stat().st_size
        assert source.fields["file"] == "weighed.csv"
        assert run.verdict is Verdict.PASS
    assert reevaluate(tmp_path / "run.h5").identical


def test_an_imported_run_can_be_reviewed_and_never_approved(imported, weighed, tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setattr(users, "SCRYPT_N", 16)
    monkeypatch.setenv("PUMPBENCH_HOME", str(home))
    users.add(home, "m.moe", "Mary Moe", "QA", "correct horse battery", "first person")
    imported(weighed, *WEIGHED, *BLANKS)
    run = tmp_path / "run.h5"
    answers = {item.key: Answer(True, "looked at") for item in checklist(run)}
    with pytest.raises(TrustError, match="the run is imported; only a measured run can be approved"):
        sign(run, "m.moe", "correct horse battery", "approved", "all is well", answers)
    assert sign(run, "m.moe", "correct horse battery", "reviewed", "all is well", answers)["meaning"] == "reviewed"


def test_what_was_logged_is_what_is_recorded(imported, weighed, tmp_path):
    imported(weighed, *WEIGHED)
    logged = np.loadtxt(weighed, delimiter=";", skiprows=2)
    with Run.open(tmp_path / "run.h5") as run:
        recorded = run.series("reference_mass")
        assert run.start.isoformat() == "2026-03-01T14:00:00+01:00"
    np.testing.assert_allclose(recorded.t, logged[:, 0] - 100.0, rtol=0, atol=1e-9)
    np.testing.assert_allclose(recorded.values, logged[:, 1] * 1000.0, rtol=1e-12)


def test_a_mean_without_blanks_is_not_judged(imported, weighed, tmp_path):
    code, _ = imported(weighed, *WEIGHED, "--delivery", "2800 s")
    assert code == 4
    with Run.open(tmp_path / "run.h5") as run:
        checks = {check.name: check for check in run.evaluation.checks}
        assert not run.has("outlet_pressure")
    assert checks["mean-flow-error"].verdict is Verdict.NOT_MEASURED
    assert checks["start-up"].verdict is Verdict.NOT_MEASURED
    assert not {"evaporation", "blanks-agree", "outlet-pressure", "bath-temperature"} & set(checks)


def test_a_pass_that_stands_on_an_overdue_certificate_is_conditional(imported, weighed, tmp_path):
    late = [word.replace("2026", "2031") for word in WEIGHED]
    assert imported(weighed, *late, *BLANKS)[0] == 0
    with Run.open(tmp_path / "run.h5") as run:
        assert run.verdict is Verdict.CONDITIONAL_PASS
        assert [finding["code"] for finding in run.findings] == ["calibration"]


def test_a_flow_beyond_the_range_of_its_sensor_is_saturated(imported, tmp_path):
    log = tmp_path / "flow.csv"
    rows = [f"2026-03-01T14:{k:02d}:00+01:00,{700 if k != 5 else 9000}" for k in range(30)]
    log.write_text("\n".join(["time,q", *rows]))
    imported(log, "--time", "time", "--time-unit", "iso", "--flow", "q", "--flow-unit", "nL/min")
    with Run.open(tmp_path / "run.h5") as run:
        flow = run.series("flow")
        assert run.procedure == "flow-record"
        assert run.start.isoformat() == "2026-03-01T14:00:00+01:00"
    assert flow.values[0] == pytest.approx(42.0)
    assert np.flatnonzero(flow.quality == Quality.SATURATED).tolist() == [5]


def test_the_mean_flow_of_a_volume_is_its_gain_over_its_time_however_its_rows_are_spaced(imported, tmp_path):
    t_s = np.concatenate([np.arange(300.0), 300.0 + 600.0 * np.arange(73)])
    volume_ul = np.where(t_s < 300.0, 0.2 * t_s, 60.0 + (t_s - 300.0) / 360.0)  # 60 uL in 5 min, then 10 uL/h for 12 h
    log = tmp_path / "volume.csv"
    log.write_text("\n".join(["t,v", *(f"{t!r},{v!r}" for t, v in zip(t_s.tolist(), volume_ul.tolist(), strict=True))]))
    words = ("--time", "t", "--time-unit", "s", "--volume", "v", "--volume-unit", "uL")
    imported(log, *words, "--began", "2026-03-01T14:00:00+01:00")
    with Run.open(tmp_path / "run.h5") as run:
        mean = next(check for check in run.evaluation.checks if check.name == "mean-flow")
        assert not run.evaluation.excluded
    assert mean.value == pytest.approx(180.0 / (43_500.0 / 3600.0), rel=1e-9)


def test_a_mass_beyond_the_balance_s_capacity_is_saturated_and_judges_no_pump(imported, weighed, tmp_path):
    log = tmp_path / "odd.csv"
    rows = weighed.read_text().splitlines()
    rows[500] = rows[500].split(";")[0] + ";1e300"
    log.write_text("\n".join(rows))
    assert imported(log, *WEIGHED, *BLANKS)[0] == 0
    with Run.open(tmp_path / "run.h5") as run:
        mass = run.series("reference_mass")
    assert np.flatnonzero(mass.quality == Quality.SATURATED).tolist() == [498]


def test_masses_in_another_unit_than_was_said_are_refused(imported, weighed, tmp_path):
    heavier = tmp_path / "heavier.csv"
    head, names, *rows = weighed.read_text().splitlines()
    pairs = (row.split(";") for row in rows)
    heavier.write_text("\n".join([head, names, *(f"{t};{(float(m) + 1.0) * 1000.0}" for t, m in pairs)]))
    code, said = imported(heavier, *WEIGHED, *BLANKS)
    assert (code, "see that the column and its unit are right" in said) == (2, True)
    assert not list(tmp_path.glob("run.*"))


def test_an_import_onto_a_full_disk_says_so_and_leaves_nothing(imported, weighed, tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(DiskFile, "write", full)
    code, said = imported(weighed, *WEIGHED, *BLANKS)
    assert (code, said.rstrip().endswith("there is no room for it; make room and import again")) == (2, True)
    assert not list(tmp_path.glob("run.*"))


def test_a_journal_that_is_there_is_never_written_over(imported, weighed, tmp_path):
    (tmp_path / "run.journal").write_bytes(b"a run")
    code, said = imported(weighed, *WEIGHED, *BLANKS)
    assert (code, "choose another --out" in said) == (2, True)
    assert (tmp_path / "run.journal").read_bytes() == b"a run"


def test_a_volume_is_kept_and_its_flow_said_to_be_derived(imported, tmp_path):
    log = tmp_path / "volume.csv"
    log.write_text("\n".join(["t,v", *(f"{k},{k * 0.5}" for k in range(0, 30, 2))]))
    words = ("--time", "t", "--time-unit", "min", "--volume", "v", "--volume-unit", "uL", *WEIGHED[-4:-2])
    imported(log, *words)
    with Run.open(tmp_path / "run.h5") as run:
        assert run.series("log.volume").values[-1] == 14.0
        assert run.series("flow").values == pytest.approx(np.full(14, 30.0))
        assert "difference" in run.records("import")[0].fields["derived"]


SLIPS = {
    "a cell that is no number": ("120.0;0.00001", "120.0;none", (), ["line 4", '"m [g]"', "none"]),
    "time that falls": ("140.0;", "40.0;", (), ["line 5", "time falls"]),
    "no schedule": ("", "", ("--set", "schedule=1 mL/da"), ["schedule"]),
    "a phase beyond the log": ("", "", ("--phase", "blank-after=4 h..50 h"), ["--phase blank-after", "not within"]),
    "phases that overlap": ("", "", ("--phase", "blank-after=3 h..5 h"), ["blank-after begins at"]),
    "a phase that there is not": ("", "", ("--phase", "rise=0 h..1 h"), ['"rise"', "stabilisation"]),
    "a protocol that needs more": ("", "", ("--protocol", "occlusion"), ["flow-accuracy or flow-record"]),
    "a twin vessel": ("", "", ("--set", "blank=twin"), ["second balance"]),
    "delivery after the end of the log": ("", "", ("--delivery", "10 day"), ["--delivery: ", "is not within the log"]),
    "delivery in a stopped blank": ("", "", (*BLANKS, "--delivery", "200 s"), ["--delivery", "blank-before"]),
    "a moment without offset": ("", "", ("--began", "2026-03-01T14:00:00"), ["--began", "offset"]),
    "a unit of another kind": ("", "", ("--mass-unit", "kPa"), ["--mass-unit"]),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_bad_input_is_one_sentence_that_says_where_and_nothing_is_left(slip, imported, weighed, tmp_path):
    old, new, words, expected = SLIPS[slip]
    log = tmp_path / "log.csv"
    lines = weighed.read_text().splitlines()
    if "number" in slip:
        lines[3] = "120.0;none"
    log.write_text("\n".join(lines).replace(old, new, 1) if "falls" in slip else "\n".join(lines))
    code, said = imported(log, *WEIGHED, *words)
    assert code == 2
    assert [part for part in expected if part not in said] == [], said
    assert list(tmp_path.iterdir()) == [log]


ISO_TIMES = ("--time", "when", "--time-unit", "iso", "--mass", "m", "--mass-unit", "g", "--set", "schedule=1 mL/day")


@pytest.fixture
def dated(tmp_path: Path) -> Callable[[str], Path]:
    """A log of two hours and a half with dates and times that end so."""

    def write(offset: str) -> Path:
        rows = [f"2026-03-01T{14 + k // 60}:{k % 60:02d}:00{offset},{k * 0.000694:.6f}" for k in range(150)]
        (tmp_path / "dated.csv").write_text("\n".join(["when,m", *rows]) + "\n")
        return tmp_path / "dated.csv"

    return write


@pytest.mark.parametrize(
    ("offset", "began", "sentence"),
    [
        ("+01:00", "2024-03-01T14:00:00+01:00", "the log's first row says 2026-03-01T14:00:00+01:00"),
        ("+01:00", "2026-03-01T14:00:00+02:00", "the log's first row says 2026-03-01T14:00:00+01:00"),
        ("", "2026-03-01T15:00:00+01:00", "the log's first row says 2026-03-01T14:00:00;"),
        ("", "", "without an offset to UTC; say which it is: --began 2026-03-01T14:00:00"),
        ("+01:00", "", ""),
        ("+01:00", "2026-03-01T13:00:00.4+00:00", ""),
        ("", "2026-03-01T14:00:00-05:00", ""),
    ],
)
def test_a_log_that_says_when_it_was_made_is_believed(imported, dated, tmp_path, offset, began, sentence):
    code, said = imported(dated(offset), *ISO_TIMES, *(("--began", began) if began else ()))
    assert (code == 2) == bool(sentence)
    assert sentence in said
    assert (tmp_path / "run.h5").exists() == (not sentence)


@pytest.mark.parametrize(
    ("schedule", "fluid", "sentence"),
    [
        (
            "2000 ug/day at 2000 ug/mL; drug morphine",
            "water",
            "counts on 2000 ug/mL, but the fluid file states no drug",
        ),
        ("2000 ug/day at 2000 ug/mL", "sim-baclofen", "counts on 2000 ug/mL, but the fluid file states 500 ug/mL"),
        ("500 ug/day at 500 ug/mL; drug morphine", "sim-baclofen", "for morphine, but the fluid file states baclofen"),
        ("100 mL/day", "water", "100 mL/day is above"),
    ],
)
def test_a_program_that_cannot_have_been_is_refused(imported, weighed, tmp_path, schedule, fluid, sentence):
    words = [f"schedule={schedule}" if word.startswith("schedule=") else word for word in WEIGHED]
    code, said = imported(weighed, *words, "--fluid", fluid)
    assert (code, "--set schedule: " in said, sentence in said) == (2, True, True), said
    assert not (tmp_path / "run.h5").exists()


def test_a_volume_of_a_counter_that_was_reset_has_no_mean(imported, tmp_path):
    t_s = np.arange(0.0, 86_400.0, 60.0)
    volume = t_s / 86_400.0 * 1000.0
    volume[volume > 500.0] -= 500.0
    log = tmp_path / "counted.csv"
    log.write_text("t,v\n" + "\n".join(f"{t:g},{v:.3f}" for t, v in zip(t_s, volume, strict=True)) + "\n")
    columns = ("--time", "t", "--time-unit", "s", "--volume", "v", "--volume-unit", "uL")
    code, said = imported(log, *columns, "--began", "2026-03-01T14:00:00+01:00")
    assert (code, "it falls at 43260 s, as where a counter is reset" in said) == (2, True), said


@pytest.mark.parametrize(
    ("option", "unit", "column"),
    [("--mass-unit", "mg", "m [g]"), ("--time-unit", "min", "t [s]")],
)
def test_a_unit_that_a_column_s_name_does_not_say_is_refused(imported, weighed, option, unit, column):
    words = list(WEIGHED)
    words[words.index(option) + 1] = unit
    code, said = imported(weighed, *words)
    assert (code, f'{option} {unit}: column "{column}" says' in said) == (2, True), said
