"""What a newcomer types, and what comes back."""

import io
import json
import os

import h5py
import pytest

from bench.cli import COMMANDS, main
from bench.cli.show import MARKS, notes_of, table_of
from bench.request import Request
from bench.session import conduct
from bench.station import SHIPPED, shipped_stations
from data.checks import Check, Evaluation, Verdict


def said(capsys, *args):
    """Exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as end:
        main(list(args))
    out, err = capsys.readouterr()
    return end.value.code, out, err


def shown(check):
    """The cells of the one row of a check's table, as text."""
    return [str(next(iter(column.cells))) for column in table_of(Evaluation((check,))).columns]


USUAL = {"name": "a", "title": "A", "value": 1.0, "unit": "%", "verdict": Verdict.PASS, "owner": "dut"}


def check(**fields):
    return Check(**(USUAL | fields))


IMPORT = [
    *("import-log", "log.csv", "--time", "t", "--time-unit", "s", "--mass", "m", "--mass-unit", "g"),
    *("--station", "sim", "--dut", "x", "--fluid", "water"),
]
PLAN = ["campaign", "new", "c.toml", "--protocol", "flow-accuracy", "--rate", "1 mL/day", "--check", "mean-flow-error"]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["demoo"], 'did you mean "demo"'),
        (["run"], "See: pumpbench run --help"),
        (["run", "flow-accuracy", "--station", "sim", "--pace", "fast"], "See: pumpbench run --help"),
        (["run", "flow-accuracy", "--station", "sim", "--pace", "1e-300"], "at this pace, too; give 0.1"),
        (["run", "flow-accuracy", "--station", "sim", "--pace", "inf"], "--pace inf: "),
        (
            ["run", "flow-accuracy", "--station", "sim", "--serial", "SN\n7"],
            r'--serial "SN\n7": what stands behind \ is',
        ),
        ([*IMPORT, "--serial", "\u202e7", "--out", "x.h5"], r'--serial "\u202e7": what stands behind \ is'),
        ([*IMPORT, "--serial", "7", "--out", "x"], "--out x: a run file ends in .h5; name it x.h5"),
        ([*PLAN, "--dut", "sim-peristaltic:7\x07"], r'--dut: the serial number "7\x07": what stands behind \ is'),
        (["handover", "--since", "-3 h"], "--since -3 h: it is how long ago the last shift ended; give a time above 0"),
        (["handover", "--since", "1e9 h"], "--since 1e9 h: it is how long ago"),
        (["catalogue", "list", "--since", "2027", "--until", "2026"], "--since 2027 is after --until 2026; write the"),
        (["runner", "attach", "--socket", "nowhere.sock"], "--socket nowhere.sock: there is no socket; give the one"),
        (["run", "flow-accuracy", "--station", "sim", "--longest-block", "0 s"], "--longest-block 0 s is not longer"),
        (["replay", "log.txt", "--interval", "5"], '--interval: "5" is not a time'),
        (["analyse", "flaw"], "See: pumpbench analyse --help"),
        (["duts", "nowhere.toml"], "nowhere.toml: there is no such file"),
        (["catalogue", "list", "--verdict", "failed"], '"failed" is none; there are '),
        (["catalogue", "list", "--review", "signed"], '"signed" is none; there are unreviewed'),
        (["recipes", "list", "nowhere"], "nowhere: there is no such folder"),
        (
            ["run", "read-out", "--station", "sim", "--dut", ""],
            "Invalid value for '--dut': it is empty; give a name, or",
        ),
        (["run", "read-out", "--station", "sim", "--serial", " "], "Invalid value for '--serial': it is empty; give"),
        (["run", "read-out", "--station", "sim", "--fault", "LEAK"], 'there is no fault "LEAK"; did you mean "leak"?'),
        (["forecast", "--fluid", ""], "Invalid value for '--fluid': it is empty; give a name, or leave the option out"),
        (["import-log", "log.csv", "--time", "t", "--station", ""], "'--station': it is empty; give a name  See: "),
        (["recipes", "new", "read-out", "--dut", ""], "Invalid value for '--dut': it is empty; give a name  See: "),
        (["report", ""], "Invalid value for 'RUN_FILE': it is empty; give a path"),
        (["recover", ""], "Invalid value for 'JOURNAL': it is empty; give a path"),
        (["catalogue", "add", "a.h5", ""], "it is empty; give a path"),
        (["users", "role", "x"], "Choose from: operator, engineer, QA  See: pumpbench users role --help"),
    ],
)
def test_a_slip_of_the_keyboard_gets_one_sentence_with_the_remedy(capsys, args, sentence):
    code, out, err = said(capsys, *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("pumpbench: ")
    assert sentence in err


@pytest.mark.skipif(os.name == "nt", reason="a link there needs rights that a test has not")
@pytest.mark.parametrize("command", ["verify", "evaluate", "locate", "report", "stations"])
def test_a_link_to_itself_is_said_in_one_sentence(capsys, tmp_path, command):
    loop = tmp_path / ("loop.toml" if command == "stations" else "loop.h5")
    loop.symlink_to(loop)
    code, out, err = said(capsys, command, str(loop))
    assert (code, "Traceback" in err) == (2, False)
    assert "cannot be read" in out + err


def test_without_a_command_the_help_is_shown(capsys):
    code, _, err = said(capsys)
    assert code == 2
    assert all(f"  {name} " in err for name in COMMANDS)


def test_the_kind_of_a_file_is_known_wherever_it_lies(capsys, tmp_path):
    files = {"dut": "duts/sim-peristaltic", "catheter": "catheters/sim", "fluid": "fluids/water"}
    copies = []
    for kind, name in files.items():
        copies.append(tmp_path / f"my-{kind}.toml")
        copies[-1].write_text((SHIPPED.parent / f"{name}.toml").read_text("utf-8"), "utf-8")
    code, out, _ = said(capsys, "duts", "--json", *map(str, copies))
    assert code == 0
    assert [row["kind"] for row in json.loads(out)] == list(files)


def test_every_shipped_station_is_listed_under_the_name_that_run_takes(capsys):
    _, out, _ = said(capsys, "stations", "--json")
    assert [row["name"] for row in json.loads(out)] == shipped_stations()


def test_a_declared_limit_is_shown_as_declared_and_an_error_with_its_sign():
    one = check(value=0.62749, expanded_uncertainty=0.0561, limit_low=-14.55, limit_high=14.55)
    assert shown(one) == ["A", "+0.627 ± 0.056 %", "±14.55 %", "✓ pass"]


def test_limits_that_follow_from_an_uncertainty_are_shown_to_three_digits():
    one = check(
        value=37.114, expanded_uncertainty=0.5, limit_low=36.00123, limit_high=38.5678, unit="degC", suitability=True
    )
    assert shown(one) == ["A", "37.11 ± 0.50 °C", "36 to 38.6 °C", "✓ pass"]


def test_what_is_said_of_many_checks_is_said_once():
    checks = [check(name=str(n), title=f"T{n}", note=f"own {n}; the rig was not fit: air") for n in range(4)]
    notes = notes_of(Evaluation(tuple(checks)))
    assert [note for note in notes if "rig" in note] == ["  T0 and 3 more: the rig was not fit: air"]
    assert "  T3: own 3" in notes


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_a_table_can_be_written_to_a_pipe_that_knows_few_signs(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
    with pytest.raises(SystemExit):
        main(["--version"])
    print("".join(MARKS.values()), "± ≤ ≥ … ° µ", flush=True)  # the stream is what is tested
    assert b"?" not in raw.getvalue().replace(MARKS[Verdict.NOT_CAPABLE].encode(), b"", 1)


@pytest.fixture(scope="module")
def still(tmp_path_factory, sim_station):
    """A run of a pump that is programmed to stand still, on the simulated station read less often."""
    settings = {"schedule": "stopped", "stabilisation": "0 h", "analysis": "1 h", "blank_length": "30 min"}
    folder = tmp_path_factory.mktemp("runs")
    station = sim_station(folder, {'period = "1 s"': 'period = "5 s"', '"0.1 s"': '"1 s"', '"10 Hz"': '"1 Hz"'})
    return conduct(Request("flow-accuracy", str(station), settings, out=folder))


def test_a_pump_that_is_programmed_to_stand_still_has_no_error_and_breaks_nothing(still):
    checks = {check.name: check for check in still.evaluation.checks}
    assert checks["mean-flow-error"].note == "nothing was programmed in the analysis"
    assert checks["no-flow"].verdict is Verdict.PASS
    assert still.evaluation.verdict is Verdict.NOT_MEASURED


def test_an_altered_file_is_evaluated_with_a_warning_and_no_pass(still, capsys, tmp_path):
    altered = tmp_path / "altered.h5"
    altered.write_bytes(still.run_file.read_bytes())
    with h5py.File(altered, "r+") as file:
        file["/entry/balance/mass"][100] += 5.0
    code, _, err = said(capsys, "evaluate", str(altered))
    assert code == 1
    assert "altered, its numbers prove nothing: /entry/balance/mass: was changed" in err


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("run.h5", b"\x89HDF", "this report ends in .pdf"),
        ("note.txt", None, "this report ends in .pdf"),
        ("note.pdf", b"notes of mine", "is no report, and nothing else is written over"),
    ],
)
def test_a_report_takes_the_place_of_a_report_alone(capsys, tmp_path, name, content, sentence):
    there = tmp_path / name
    if content is not None:
        there.write_bytes(content)
    code, _, err = said(capsys, "report", str(tmp_path / "run.h5"), "--out", str(there), "--replace")
    assert code == 2
    assert sentence in err
    assert there.exists() == (content is not None)
    assert content is None or there.read_bytes() == content
