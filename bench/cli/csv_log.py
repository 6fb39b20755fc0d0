"""Columns of a text table, time and one or more values, from any logger: separators, encodings and mistakes.

Comma, semicolon and tab separate; the decimal sign is a point; lines that begin with # are comments; the first other
line names the columns.  Numbers are read at numpy's speed; only a table with a mistake is read again, line by line, to
say where it is.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from data.nearest import nearest
from data.samples import FloatArray

SEPARATORS = (",", ";", "\t")
HEAD_BYTES = 1 << 16
ISO = "iso"
HOUR_S = 3600.0
SUNDAY, CLOCKS_CHANGE_BY_H = 6, 4
"""Where clocks change, they do it in a night to Sunday, before this hour."""

WRITE_OFFSETS = "write each time with its offset to UTC, such as 2026-03-29T03:00:00+02:00, or in seconds"
FORMAT_ROWS, FEWEST_ROWS = 200, 5
"""So many rows at the end of a file tell how its cells are written, and at least so many it takes."""

BEYOND = 1e30
"""No logged number is so large; many instruments write 9.9E+37 or 9.91E+37 where they have no reading."""

LOOKED_AT = 50
"""The line with the names of the columns may come so many lines below the first one."""

MOST_NAMES, LONGEST_NAME = 20, 40
"""So many columns are named in a message, each by so many signs."""


class LogError(ValueError):
    """A log that cannot be read; the sentence names the file, the line and what to do."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a table is written, and where the wanted columns are; the first one is time."""

    path: Path
    encoding: str
    separator: str
    header_line: int  # counted from 1
    columns: tuple[int, ...]
    names: tuple[str, ...]
    width: int
    below: float  # so large is no number


def read_log(
    path: Path, time_column: str, value_columns: Mapping[str, str], *, iso_time: bool = False, overloads: bool = False
) -> tuple[FloatArray, ...]:
    """Read a column of time and some of values.

    Parameters
    ----------
    path : a text table with column names in its first line.
    time_column : name of the column of time.
    value_columns : names of the others, by the option that gave each, such as ``{"--mass": "m"}``.
    iso_time : the time column holds ISO 8601 dates and times; they become seconds since the first.
    overloads : also give what instruments write where they have no reading.

    Returns
    -------
    tuple
        (n,) times, and (n,) values of each column as written; times rise.

    Raises
    ------
    LogError
        For a file that is missing, empty or no table, a column that it has not, a cell that is no number, and times
        that do not rise.
    """
    layout = _layout(path, {"--time": time_column, **value_columns}, math.inf if overloads else BEYOND)
    times, *values = _dated(layout) if iso_time else _numbers(layout)
    if times.size < 2:
        raise LogError(f"{path}: it has {times.size} rows of data; an analysis needs at least two")
    falling = np.flatnonzero(~(np.diff(times) > 0.0))
    if falling.size:
        raise _order_error(layout, int(falling[0]) + 1, bool(times[falling[0]] == times[falling[0] + 1]))
    return times, *values


def first_moment(path: Path, time_column: str) -> datetime:
    """Date and time of the first row, written as ISO 8601, with an offset to UTC or none; raises `LogError`."""
    layout = _layout(path, {"--time": time_column})
    number, (time,) = next(_rows(layout), (layout.header_line + 1, [""]))
    try:
        return datetime.fromisoformat(time)
    except ValueError:
        raise _no_date(layout, number, time) from None


def _layout(path: Path, wanted: Mapping[str, str], below: float = math.inf) -> _Layout:
    """Find encoding, separator, header and columns."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise LogError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        raise LogError(
            f"{path}: it cannot be read ({error.strerror or error}); check the path and its rights"
        ) from None
    encoding = _encoding(path, head)
    number, line = _header(path, encoding)
    stripped = tuple(name.strip() for name in wanted.values())
    separator, names = _split(line, *stripped)
    if not all(name in names for name in stripped):
        _insist_on_names_above_all(path, encoding, number, stripped)
    if all(_is_number(name) for name in names if name):
        raise LogError(f'{path}: line {number} "{line.strip()[:60]}" has no column names; write a line with them first')
    columns = tuple(_column(path, names, name, option) for option, name in wanted.items())
    for later, option in enumerate(wanted):
        for earlier, other in enumerate(list(wanted)[:later]):
            if columns[later] == columns[earlier]:
                both = f"{other.removeprefix('--')} and {option.removeprefix('--')}"
                raise LogError(f'{path}: {both} are both column "{stripped[later]}"; name two columns')
    return _Layout(path, encoding, separator, number, columns, stripped, len(names), below)


def _encoding(path: Path, head: bytes) -> str:
    """The encoding by its mark; else UTF-8, or Latin-1 where that is no UTF-8 (a micro sign in a column name)."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head:
        raise LogError(f"{path}: it is no text table (it holds zero bytes); export it as CSV")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _header(path: Path, encoding: str) -> tuple[int, str]:
    """Number and text of the first line that is neither blank nor a comment."""
    with path.open(encoding=encoding, errors="replace", newline=None) as file:
        for number, line in enumerate(file, 1):
            tells_separator = number == 1 and re.fullmatch(r'"?sep=.?"?', line.strip(), re.IGNORECASE)  # to Excel
            if line.strip() and not line.lstrip().startswith("#") and not tells_separator:
                return number, line.rstrip("\n")
    raise LogError(f"{path}: it is empty; export the log again")


def _insist_on_names_above_all(path: Path, encoding: str, header_line: int, wanted: tuple[str, ...]) -> None:
    """Refuse a file in which other lines stand above the one with the wanted names."""
    with path.open(encoding=encoding, errors="replace", newline=None) as file:
        for number, line in enumerate(itertools.islice(file, header_line + LOOKED_AT), 1):
            if number > header_line and all(name in _split(line.rstrip("\n"), *wanted)[1] for name in wanted):
                raise LogError(
                    f"{path}: the names of the columns are in line {number}, below others; drop the lines above it, or "
                    "begin them with #"
                )


def _split(line: str, *wanted: str) -> tuple[str, list[str]]:
    """The separator with which the header has the wanted names, else the most frequent; and the names."""
    splits = {
        separator: [name.strip() for name in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]
        for separator in SEPARATORS
    }
    for separator, names in splits.items():
        if all(name in names for name in wanted):
            return separator, names
    separator = max(SEPARATORS, key=line.count)
    return separator, splits[separator]


def _column(path: Path, names: list[str], wanted: str, option: str) -> int:
    """Index of a column by its name."""
    count = names.count(wanted.strip())
    if count == 1:
        return names.index(wanted.strip())
    listed = ", ".join(f'"{_legible(name)}"' for name in names[:MOST_NAMES]) + (
        ", …" if len(names) > MOST_NAMES else ""
    )
    if count > 1:
        raise LogError(f'{path}: {count} columns are named "{wanted}"; rename them apart (columns: {listed})')
    by_case = {name.casefold(): name for name in names if name}
    near = nearest(wanted.strip().casefold(), by_case, 0.5)
    hint = f'; did you mean {option} "{by_case[near]}"?' if near else ""
    if len(names) == 1:
        hint = "; separate the columns by comma, semicolon or tab"
    raise LogError(f'{path}: there is no column "{wanted}"{hint} (columns: {listed})')


def _legible(name: str) -> str:
    """The name of a column for a message: what is no text could take hold of the terminal."""
    said = "".join(sign if sign.isprintable() else "?" for sign in name)
    return said if len(said) <= LONGEST_NAME else f"{said[:LONGEST_NAME]}…"


def _numbers(layout: _Layout) -> tuple[FloatArray, ...]:
    """The columns as numbers."""
    _insist_on_a_whole_last_cell(layout)
    table = _fast(layout) if _is_even(layout) else None
    if table is None or not (np.abs(table) < layout.below).all():
        table = _line_by_line(layout)
    return tuple(np.ascontiguousarray(column) for column in table.T)


def _is_even(layout: _Layout) -> bool:
    """Whether each row has as many cells as the header, every line ends alike, and comments are lines of their own.

    numpy would not see the extra cells of a row with decimal commas, nor what stands behind a # in a row, and read
    them wrongly.
    """
    if layout.encoding == "utf-16":
        return False
    separator, rest = ord(layout.separator), b""
    with layout.path.open("rb") as file:
        for _ in range(layout.header_line):
            if b"\r" in file.readline().rstrip(b"\r\n"):
                return False
        while chunk := file.read(1 << 22):
            whole, line_end, rest = (rest + chunk).rpartition(b"\n")
            if not _are_rows(whole + line_end, separator, layout.width):
                return False
    return not rest or _are_rows(rest + b"\n", separator, layout.width)


def _are_rows(lines: bytes, separator: int, width: int) -> bool:
    """Whether every line is a row of so many cells, blank, or a comment from its first sign on."""
    if lines.count(b"\r") != lines.count(b"\r\n"):
        return False
    signs = np.frombuffer(lines, dtype=np.uint8)
    ends = np.flatnonzero(signs == ord("\n"))
    begins = np.concatenate(([0], ends[:-1] + 1)) if ends.size else ends
    cells = np.diff(np.searchsorted(np.flatnonzero(signs == separator), ends, side="left"), prepend=0) + 1
    comments = signs[begins] == ord("#")
    if lines.count(b"#") != np.count_nonzero(comments):
        return False
    if b'"' in lines:
        marks = np.diff(np.searchsorted(np.flatnonzero(signs == ord('"')), ends), prepend=0)
        if (marks[~comments] % 2).any():
            return False
    blank = (ends == begins) | ((ends == begins + 1) & (signs[begins] == ord("\r")))
    return bool((blank | comments | (cells == width)).all())


def _fast(layout: _Layout) -> FloatArray | None:
    """(n, columns) numbers at numpy's speed; None where a cell is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty table, which read_log tells better
            table: FloatArray = np.loadtxt(
                layout.path,
                delimiter=layout.separator,
                usecols=layout.columns,
                skiprows=layout.header_line,
                encoding=layout.encoding,
                quotechar='"',
                comments="#",
                ndmin=2,
            )
    except ValueError:
        return None
    return table.reshape(-1, len(layout.columns))


def _rows(layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Line number and the wanted cells of each row of data."""
    for number, cells in _records(layout):
        if number <= layout.header_line or not any(cell.strip() for cell in cells):
            continue
        if cells[0].lstrip().startswith("#"):
            continue
        if len(cells) <= max(layout.columns) or any(c.strip() for c in cells[layout.width :]):
            more = len(cells) > layout.width
            commas = "; a comma is not a decimal point" if more and layout.separator == "," else ""
            raise LogError(
                f"{layout.path}: line {number} has {len(cells)} cells, but the header names {layout.width} "
                f"columns{commas}; mend the line"
            )
        yield number, [cells[column].strip() for column in layout.columns]


def _records(layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Line number and all cells of each row; a quotation mark that nothing closes would take rows into one cell."""
    open_mark = "opens a quotation mark that it does not close; mend the line"
    with layout.path.open(encoding=layout.encoding, errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=layout.separator, skipinitialspace=True)
        number = 1
        while True:
            try:
                cells = next(reader, None)
            except csv.Error:  # a cell of more signs than the reader takes
                raise LogError(f"{layout.path}: line {number} has a cell that does not end, or {open_mark}") from None
            if cells is None:
                return
            if reader.line_num > number and any("\n" in cell and layout.separator in cell for cell in cells):
                raise LogError(f"{layout.path}: line {number} {open_mark}")
            yield number, cells
            number = reader.line_num + 1


def _line_by_line(layout: _Layout) -> FloatArray:
    """The numbers again, slowly, naming the first cell that is none."""
    rows = []
    for number, cells in _rows(layout):
        rows.append([_value(layout, number, *named) for named in zip(layout.names, cells, strict=True)])
    return np.array(rows, dtype=np.float64).reshape(-1, len(layout.columns))


def _value(layout: _Layout, number: int, name: str, cell: str) -> float:
    """A cell as a number."""
    if not _is_number(cell) or not abs(float(cell)) < layout.below:
        raise LogError(f'{layout.path}: line {number}: column "{name}" {_why_no_number(cell)}')
    return float(cell)


def _why_no_number(cell: str) -> str:
    """What is wrong with a cell and what to do."""
    if not cell:
        return "is empty; drop the line, so that it is a gap, or give the number"
    if re.fullmatch(r"[+-]?\d+,\d+([eE][+-]?\d+)?", cell):
        point, joined = cell.replace(",", "."), cell.replace(",", "")
        either = f"{point}, or {joined} where it groups thousands" if _is_grouped(cell) else point
        return f'holds "{cell}": a comma is not a decimal point; write {either}'
    if re.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?", cell):
        return f'holds "{cell}": thousands are not grouped; write {cell.replace(",", "")}'
    if _is_number(cell) and math.isfinite(float(cell)):
        return f'holds "{cell[:40]}", as instruments do where they have no reading; drop the line, so that it is a gap'
    if re.match(r"\d{4}-\d{2}-\d{2}", cell):
        return f'holds "{cell}", which is a date and time; give --time-unit iso'
    return f'holds "{cell[:40]}", which is not a number; mend or drop the line'


def _is_grouped(cell: str) -> bool:
    """Whether the one comma of a number may stand between thousands."""
    return re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", cell) is not None


def _dated(layout: _Layout) -> tuple[FloatArray, ...]:
    """Times as ISO 8601, in seconds since the first, and values."""
    _insist_on_a_whole_last_cell(layout)
    begin: datetime | None = None
    rows = []
    for number, (time, *cells) in _rows(layout):
        try:
            moment = datetime.fromisoformat(time)
            begin = moment if begin is None else begin
            row = [(moment - begin).total_seconds()]
        except ValueError:
            raise _no_date(layout, number, time) from None
        except TypeError:
            raise LogError(
                f"{layout.path}: line {number}: some times have an offset to UTC and some have none; write all alike"
            ) from None
        row += [_value(layout, number, *named) for named in zip(layout.names[1:], cells, strict=True)]
        rows.append(row)
    table = np.array(rows, dtype=np.float64).reshape(-1, len(layout.columns))
    if begin is not None and begin.tzinfo is None:
        _insist_on_one_clock(layout, begin, table[:, 0])
    return tuple(np.ascontiguousarray(column) for column in table.T)


def _insist_on_one_clock(layout: _Layout, begin: datetime, times_s: FloatArray) -> None:
    """Refuse local times where one hour is missing as it is when clocks are set forward: in a night to Sunday."""
    if times_s.size < 3:
        return
    steps = np.diff(times_s)
    usual = float(np.median(steps))
    for row in np.flatnonzero(np.abs(steps - usual - HOUR_S) < max(0.5 * usual, 1.0)):
        before, after = (begin + timedelta(seconds=float(times_s[at])) for at in (row, row + 1))
        if after.weekday() == SUNDAY and after.hour <= CLOCKS_CHANGE_BY_H:
            raise LogError(
                f"{layout.path}: time goes from {before.isoformat()} to {after.isoformat()}, as it does on a local "
                f"clock that is set forward by an hour; {WRITE_OFFSETS}"
            )


def _insist_on_a_whole_last_cell(layout: _Layout) -> None:
    """Refuse a file whose last cell was cut off: no line end, and fewer decimals than all of its column have.

    What is left of a number is a number, and another one.
    """
    size = layout.path.stat().st_size
    with layout.path.open("rb") as file:
        file.seek(max(0, size - HEAD_BYTES) // 2 * 2)  # whole pairs of bytes, for UTF-16
        tail = file.read()
    encoding = "utf-16-le" if layout.encoding == "utf-16" and size > HEAD_BYTES else layout.encoding
    text = tail.decode(encoding, errors="replace")
    if not text or text[-1] in "\r\n":
        return
    lines = [line for line in text.splitlines()[1:] if line.strip() and not line.lstrip().startswith("#")]
    *before, last = [line.rpartition(layout.separator)[2].strip().strip('"') for line in lines[-FORMAT_ROWS:]] or [""]
    usual = {len(cell.partition(".")[2]) for cell in before}
    if len(before) >= FEWEST_ROWS and len(usual) == 1 and len(last.partition(".")[2]) < usual.pop():
        raise LogError(
            f'{layout.path}: its last line has no end, and its last cell "{last[:40]}" has fewer decimals than those '
            "before: the file was cut off within a number; export it again, or drop that line"
        )


def _no_date(layout: _Layout, number: int, time: str) -> LogError:
    """Say which time is no date and time."""
    return LogError(
        f'{layout.path}: line {number}: column "{layout.names[0]}" holds "{time[:40]}", which is no ISO 8601 '
        "date and time; write for example 2026-03-01T14:00:00"
    )


def _order_error(layout: _Layout, row: int, repeated: bool) -> LogError:
    """Say at which line time does not rise; ``row`` counts rows of data from 0."""
    cells = [(number, time) for index, (number, (time, *_)) in enumerate(_rows(layout)) if row - 1 <= index <= row]
    (_, before), (line, here) = cells
    what = f"time {here} stands twice" if repeated else f"time falls from {before} to {here}"
    if _may_be_set_back(before, here):
        raise LogError(
            f"{layout.path}: line {line}: {what}, as it does on a local clock that is set back; {WRITE_OFFSETS}"
        )
    return LogError(f"{layout.path}: line {line}: {what}; sort the log by time and keep one line for each time")


def _may_be_set_back(before: str, here: str) -> bool:
    """Whether local times fall by an hour at most, as in the night in which clocks are set back."""
    try:
        earlier, later = datetime.fromisoformat(before), datetime.fromisoformat(here)
    except ValueError:
        return False
    if earlier.tzinfo is not None or later.tzinfo is not None:
        return False
    back_s = (earlier - later).total_seconds()
    return 0.0 < back_s <= HOUR_S or (back_s == 0.0 and later.weekday() == SUNDAY and later.hour <= CLOCKS_CHANGE_BY_H)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
