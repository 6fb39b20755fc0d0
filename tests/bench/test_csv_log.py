"""Logs that read like numbers and are others: cut off, with decimal commas, or on a clock that was changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from bench.cli.csv_log import LogError, read_log

MASS = {"--mass": "m"}


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_decimal_comma_is_seen_whatever_ends_the_lines_and_however_many_are_blank(tmp_path, end):
    rows = ["t,m", *(f"{k},{k * 0.001:.3f}" for k in range(100)), "100,0,100", "", "# end", ""]
    with pytest.raises(LogError, match=r"line 102 has 3 cells.*a comma is not a decimal point"):
        read_log(written(tmp_path / "log.csv", end.join(rows)), "t", MASS)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_gives_the_same_numbers(tmp_path, end):
    rows = ["# a logger", "t,m", *(f"{k},{k * 0.001:.3f}" for k in range(100)), "", "# end"]
    times, values = read_log(written(tmp_path / "log.csv", end.join(rows) + end), "t", MASS)
    np.testing.assert_array_equal(times, np.arange(100.0))
    np.testing.assert_allclose(values, times * 0.001, atol=1e-12)


def test_a_row_is_not_cut_at_a_number_sign(tmp_path):
    rows = ["t,m", "0,1.0", "1,1.5#2", "2,1.6"]
    with pytest.raises(LogError, match="line 3"):
        read_log(written(tmp_path / "log.csv", "\n".join(rows) + "\n"), "t", MASS)


def test_a_file_longer_than_a_block_is_counted_line_by_line(tmp_path):
    rows = ["t,m", *(f"{k},{k * 0.0001:.9f}" for k in range(400_000))]
    good = written(tmp_path / "good.csv", "\n".join(rows) + "\n")
    assert good.stat().st_size > 1 << 22
    assert read_log(good, "t", MASS)[1][-1] == pytest.approx(39.9999)
    rows[300_000] += ",5"
    with pytest.raises(LogError, match="line 300001 has 3 cells"):
        read_log(written(tmp_path / "bad.csv", "\n".join([*rows, ""]) + "\n"), "t", MASS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_last_cell_that_was_cut_off_is_no_number(tmp_path, encoding):
    path = tmp_path / "log.csv"
    text = "t,m\n" + "\n".join(f"{k},{1.0 + k * 0.0004:.5f}" for k in range(5000))
    path.write_bytes(text.encode(encoding))
    assert read_log(path, "t", MASS)[0].size == 5000, "a last line without an end may be whole"
    path.write_bytes(text[:-3].encode(encoding))
    with pytest.raises(LogError, match=r"last cell \"2.99\" has fewer decimals.*cut off within a number"):
        read_log(path, "t", MASS)


ROWS = [f"{k},{k * 0.001:.3f},x" for k in range(100)]


@pytest.mark.parametrize("reading", ["9.9E+37", "-9.91e37", "1e308"])
@pytest.mark.parametrize("time", ["50", "2026-03-01T10:00:50"])
def test_the_number_that_instruments_write_where_they_have_no_reading_is_refused(tmp_path, reading, time):
    rows = [f"{time.replace('50', f'{k:02}')},{k * 0.001:.3f}" for k in range(10, 60)]
    rows[40] = f"{time},{reading}"
    path = written(tmp_path / "log.csv", "\n".join(["t,m", *rows, ""]))
    with pytest.raises(LogError, match=r'line 42: column "m" holds ".*as instruments do where they have no reading'):
        read_log(path, "t", MASS, iso_time=len(time) > 2)


@pytest.mark.parametrize("rows", [100, 20_000])
@pytest.mark.parametrize("cell", ['"0.04', '0.04,"x'])
def test_a_quotation_mark_that_nothing_closes_takes_no_rows_away(tmp_path, rows, cell):
    lines = ["t,m,note", *(f"{k},{k * 0.001:.3f},x" for k in range(rows)), ""]
    lines[41] = f"40,{cell}"
    with pytest.raises(LogError, match=r"line 42 .*opens a quotation mark that it does not close"):
        read_log(written(tmp_path / "log.csv", "\n".join(lines)), "t", MASS)


def test_a_remark_of_two_lines_in_quotation_marks_is_one_cell(tmp_path):
    rows = ["t,m,note", *ROWS, '100,0.1,"line closed\nby hand"', "101,0.101,x", ""]
    assert read_log(written(tmp_path / "log.csv", "\n".join(rows)), "t", MASS)[1][-1] == 0.101


def test_a_cell_longer_than_any_number_is_named(tmp_path):
    rows = ["t,m,note", *ROWS, f"100,{'9' * 200_000},x", ""]
    with pytest.raises(LogError, match="line 102 has a cell that does not end"):
        read_log(written(tmp_path / "log.csv", "\n".join(rows)), "t", MASS)


@pytest.mark.parametrize("head", ['"t", "m", "note"', ' "t" ,"m" , "note"', "sep=,\nt,m,note", '"sep=,"\nt,m,note'])
def test_blanks_about_quoted_names_and_a_line_that_tells_the_separator_are_read_over(tmp_path, head):
    rows = [head, *(f'"{k}", "{k * 0.001:.3f}", "x"' for k in range(100)), ""]
    assert read_log(written(tmp_path / "log.csv", "\n".join(rows)), "t", MASS)[1][-1] == 0.099


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("Logger X\nserial 123\nt,m,note", "names of the columns are in line 3, below others; drop the lines above it"),
        ("1,2,3\nt,m,note", "names of the columns are in line 2, below others"),
        ("t|m|note", r'there is no column "t"; separate the columns by comma, semicolon or tab'),
    ],
)
def test_what_stands_above_or_between_the_names_is_told(tmp_path, head, says):
    with pytest.raises(LogError, match=says):
        read_log(written(tmp_path / "log.csv", "\n".join([head, *ROWS, ""])), "t", MASS)


def test_a_row_with_too_few_cells_has_no_decimal_comma(tmp_path):
    with pytest.raises(LogError, match="line 102 has 1 cells, but the header names 3 columns; mend the line"):
        read_log(written(tmp_path / "log.csv", "\n".join(["t,m,note", *ROWS, "end of file", ""])), "t", MASS)


def test_cells_of_many_lengths_do_not_tell_that_the_last_was_cut_off(tmp_path):
    rows = ["t,m", *(f"{k},{k * 0.125}" for k in range(20))]
    assert read_log(written(tmp_path / "log.csv", "\n".join([*rows, "20,2.5"])), "t", MASS)[1][-1] == 2.5


def local(begin: datetime, seconds: list[float], jump_s: float, after_s: float) -> str:
    """A log with the times of a clock that jumps once."""
    rows = ["t,m"]
    for at in seconds:
        shown = begin + timedelta(seconds=at + (jump_s if at >= after_s else 0.0))
        rows.append(f"{shown.isoformat()},{at * 0.01:.4f}")
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("every_s", [30.0, 300.0, 3600.0])
def test_a_local_clock_that_was_set_forward_is_named(tmp_path, every_s):
    begin = datetime(2026, 3, 28, 14)
    seconds = [k * every_s for k in range(int(90_000 / every_s))]
    log = written(tmp_path / "log.csv", local(begin, seconds, 3600.0, 12 * 3600.0))
    with pytest.raises(LogError, match="clock that is set forward by an hour; write each time with its offset"):
        read_log(log, "t", MASS, iso_time=True)


def test_an_hour_that_is_missing_by_day_is_a_gap(tmp_path):
    begin = datetime(2026, 3, 29, 5)
    log = written(tmp_path / "log.csv", local(begin, [k * 300.0 for k in range(200)], 3600.0, 8 * 3600.0))
    assert read_log(log, "t", MASS, iso_time=True)[0].size == 200


@pytest.mark.parametrize("every_s", [30.0, 300.0, 3600.0])
def test_a_local_clock_that_was_set_back_is_named(tmp_path, every_s):
    begin = datetime(2026, 10, 24, 14)
    seconds = [k * every_s for k in range(int(90_000 / every_s))]
    log = written(tmp_path / "log.csv", local(begin, seconds, -3600.0, 13 * 3600.0))
    with pytest.raises(LogError, match="clock that is set back; write each time with its offset"):
        read_log(log, "t", MASS, iso_time=True)
