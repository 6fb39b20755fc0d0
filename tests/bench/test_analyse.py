import json

import pytest
from click.testing import CliRunner

from bench.cli.analyse import analyse

DEFAULTS = (
    *("--time", "t", "--time-unit", "min", "--mass", "m", "--mass-unit", "g"),
    *("--set-rate", "10 mL/h", "--sample-interval", "0.5 min", "--density", "0.998 g/mL"),
)


def run(path, *options, defaults=DEFAULTS):
    return CliRunner().invoke(analyse, ["flow", str(path), *defaults, *options])


def log(folder, text=None, encoding="utf-8", separator=",", head=("t", "m")):
    """The log of a constant flow of 10.3 mL/h, or a text."""
    path = folder / "log.csv"
    if text is None:
        rows = [f"{i * 0.5}{separator}{10.3 * i * 0.5 * 0.998 / 60.0!r}" for i in range(121)]
        text = "\n".join([separator.join(head), *rows]) + "\n"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_log_gives_its_results_as_json(tmp_path):
    result = run(log(tmp_path), "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["overall_error_percent"] == pytest.approx(3.0)
    assert found["mean_flow_ul_per_h"] == pytest.approx(10_300.0)
    assert found["startup"]["time_to_95_percent_s"] == 30.0
    assert found["excluded"] == []
    assert [(point["window_s"], point["windows"]) for point in found["trumpet"]] == [
        (60.0, 119),
        (120.0, 117),
        (300.0, 111),
        (660.0, 99),
        (1140.0, 83),
        (1860.0, 59),
    ]
    assert all(point["ep_max_percent"] == pytest.approx(3.0) for point in found["trumpet"])


def test_every_option_reaches_the_analysis(tmp_path):
    options = (
        *("--start", "10 min", "--end", "40 min", "--windows", "2 min, 5 min"),
        *("--evaporation", "100 mg/h", "--buoyancy", "1.2 kg/m3", "--max-gap", "1 min", "--json"),
    )
    found = json.loads(run(log(tmp_path), *options).stdout)
    assert [(point["window_s"], point["windows"]) for point in found["trumpet"]] == [(120.0, 57), (300.0, 51)]
    buoyancy = (1.0 - 0.0012 / 8.0) / (1.0 - 0.0012 / 0.998)
    assert found["mean_flow_ul_per_h"] == pytest.approx((10_300.0 + 100.0 / 0.998) * buoyancy)


def test_people_get_a_table(tmp_path):
    text = run(log(tmp_path)).stdout
    assert "overall error     +3 %" in text
    assert "Ep(max)" in text
    assert "+3.000" in text


def test_a_density_that_was_not_given_is_told_on_stderr(tmp_path):
    result = run(log(tmp_path), "--json", defaults=DEFAULTS[:-2])
    assert "no --density given: taken as water at 20 degC, 0.998207 g/mL" in result.stderr
    assert json.loads(result.stdout)["overall_error_percent"] == pytest.approx(
        100.0 * (1.03 * 0.998 / 0.9982067 - 1.0), abs=1e-5
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_byte_order_marks_do_not_matter(tmp_path, separator, encoding):
    result = run(log(tmp_path, encoding=encoding, separator=separator), "--json")
    assert json.loads(result.stdout)["overall_error_percent"] == pytest.approx(3.0)


def test_comments_blank_lines_quotes_and_other_columns_do_not_matter(tmp_path):
    rows = [f'"{i * 0.5}","draft, door",{10.3 * i * 0.5 * 0.998 / 60.0!r}' for i in range(121)]
    text = "\r\n".join(["# balance 3", "", '"t","note","m"', *rows[:60], "# pause", "", *rows[60:], ""])
    assert json.loads(run(log(tmp_path, text), "--json").stdout)["overall_error_percent"] == pytest.approx(3.0)


def test_a_micro_sign_of_an_old_program_is_read(tmp_path):
    result = run(log(tmp_path, encoding="latin-1", head=("t", "µ")), "--json", "--mass", "µ")
    assert json.loads(result.stdout)["overall_error_percent"] == pytest.approx(3.0)


def test_a_comma_inside_a_column_name_does_not_hide_the_separator(tmp_path):
    result = run(log(tmp_path, separator=";", head=("t, elapsed", "m")), "--json", "--time", "t, elapsed")
    assert result.exit_code == 0


def test_times_of_day_are_read_as_iso_8601(tmp_path):
    rows = [f"2026-03-01T{10 + i // 120:02}:{i // 2 % 60:02}:{i % 2 * 30:02},{i * 0.08566}" for i in range(121)]
    result = run(log(tmp_path, "\n".join(["t,m", *rows])), "--time-unit", "iso", "--json")
    found = json.loads(result.stdout)
    assert found["flow"]["time_s"][-1] == 3600.0
    assert found["overall_error_percent"] == pytest.approx(3.0, abs=0.01)


GOOD = "t,m\n0,0\n0.5,0.0857\n1,0.1714\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty; export the log again"),
        ("t,m\n", "it has 0 rows of data; an analysis needs at least two"),
        ("t,m\n0,0\n", "it has 1 rows of data"),
        ("0,0\n0.5,1\n", 'line 1 "0,0" has no column names'),
        ("time,m\n0,0\n1,1\n", 'there is no column "t" (columns: "time", "m")'),
        ("\x1b[2Jt\x07,m\n0,0\n1,1\n", '(columns: "?[2Jt?", "m")'),
        ("T,m\n0,0\n1,1\n", 'there is no column "t"; did you mean --time "T"? (columns: "T", "m")'),
        ("t,m,m\n0,0,0\n1,1,1\n", '2 columns are named "m"; rename them apart'),
        ("t;m\n0;0\n0,5;0,0857\n", 'line 3: column "t" holds "0,5": a comma is not a decimal point; write 0.5'),
        (
            "t,m\n0,0\n0,5,0,0857\n",
            "line 3 has 4 cells, but the header names 2 columns; a comma is not a decimal point",
        ),
        ("t,m\n0,0,0,0\n1,5,0,0857\n2,5,0,1714\n", "line 2 has 4 cells, but the header names 2 columns"),
        (GOOD + "1.5,abc\n", 'line 5: column "m" holds "abc", which is not a number'),
        (GOOD + "1.5,nan\n", 'line 5: column "m" holds "nan", which is not a number'),
        (GOOD + "1.5,inf\n", 'line 5: column "m" holds "inf"'),
        (GOOD + "1.5,\n", 'line 5: column "m" is empty; drop the line'),
        (GOOD + "1.5\n", "line 5 has 1 cells, but the header names 2 columns"),
        (GOOD + "0.75,0.2\n", "line 5: time falls from 1 to 0.75; sort the log by time"),
        (GOOD + "1,0.2\n", "line 5: time 1 stands twice"),
        ("t,m\n2026-03-01T10:00:00,0\n2026-03-01T10:00:30,1\n", "which is a date and time; give --time-unit iso"),
        ("t\0m", "it is no text table"),
    ],
)
def test_a_log_with_a_mistake_is_refused_in_one_sentence_with_its_place(tmp_path, text, sentence):
    path = log(tmp_path, text)
    result = run(path, "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert sentence in result.stderr
    assert str(path) in result.stderr
    assert result.stderr.strip().count("\n") == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--set-rate", "5 ml"), "--set-rate:"),
        (("--set-rate", "1,5 mL/h"), "1.5"),
        (("--set-rate", "0 mL/h"), "the set rate must be above 0 uL/h"),
        (("--sample-interval", "0 s"), "the sample interval must be above 0 s"),
        (("--windows", "2 min, 70 s"), "a window of 70 s is not a whole number of sample intervals of 30 s"),
        (("--windows", "2 h"), "a window of 7200 s is longer than the 3600 s analysed"),
        (("--time-unit", "fortnight"), "--time-unit:"),
        (("--mass-unit", "mL"), "--mass-unit:"),
        (("--start", "2 h"), "choose start and end inside the log"),
        (("--buoyancy", "1.2 g/mL"), '--buoyancy: "1.2 g/mL" is no density of air'),
        (("--mass", "t"), "time and mass are both column"),
    ],
)
def test_an_option_with_a_mistake_is_refused_in_one_sentence(tmp_path, options, sentence):
    result = run(log(tmp_path), *options)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.strip().count("\n") == 0


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_file_that_is_none_is_refused(tmp_path, name):
    result = run(tmp_path / name)
    assert result.exit_code == 2
    assert "check the path" in result.stderr


def test_iso_times_with_a_mistake_are_named(tmp_path):
    wrong = log(tmp_path, "t,m\n2026-03-01T10:00:00,0\nyesterday,1\n")
    assert 'line 3: column "t" holds "yesterday"' in run(wrong, "--time-unit", "iso").stderr
    mixed = log(tmp_path, "t,m\n2026-03-01T10:00:00,0\n2026-03-01T10:00:30+01:00,1\n")
    assert "some have none; write all alike" in run(mixed, "--time-unit", "iso").stderr


def test_a_vessel_change_and_a_gap_stand_among_the_exclusions(tmp_path):
    rows = [f"{i * 0.5},{0.0856617 * i - (5.0 if i >= 80 else 0.0):.7f}" for i in range(121) if not 20 < i < 30]
    result = run(log(tmp_path, "\n".join(["t,m", *rows])), "--max-gap", "1 min", "--json")
    found = json.loads(result.stdout)
    assert [(one["from_s"], one["to_s"]) for one in found["excluded"]] == [(600.0, 900.0), (2370.0, 2400.0)]
    assert found["excluded"][0]["reason"] == "gap of 300 s, longer than 60 s"
    assert found["excluded"][1]["reason"].startswith("mass fell by 49")
    assert found["overall_error_percent"] == pytest.approx(3.0, abs=1e-3)
