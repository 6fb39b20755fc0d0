"""Two columns of a text table, time and a value, from any logger: separators, encodings and mistakes.

Comma, semicolon and tab separate; the decimal sign is a point; lines that begin with # are comments; the first other
line names the columns.  Numbers are read at numpy's speed; only a table with a mistake is read again, line by line, to
say where it is.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.samples import FloatArray

SEPARATORS = (",", ";", "\t")
HEAD_BYTES = 1 << 16
ISO = "iso"


class LogError(ValueError):
    """A log that cannot be read; the sentence names the file, the line and what to do."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a table is written, and where its two columns are."""

    path: Path
    encoding: str
    separator: str
    header_line: int  # counted from 1
    columns: tuple[int, int]
    names: tuple[str, str]
    width: int


def read_log(
    path: Path, time_column: str, value_column: str, *, iso_time: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Read two columns.

    Parameters
    ----------
    path : a text table with column names in its first line.
    time_column, value_column : names of the columns.
    iso_time : the time column holds ISO 8601 dates and times; they become seconds since the first.

    Returns
    -------
    tuple
        (n,) times and (n,) values as written; times rise.

    Raises
    ------
    LogError
        For a file that is missing, empty or no table, a column that it has not, a cell that is no number, and times
        that do not rise.
    """
    layout = _layout(path, time_column, value_column)
    times, values = _dated(layout) if iso_time else _numbers(layout)
    if times.size < 2:
        raise LogError(f"{path}: it has {times.size} rows of data; an analysis needs at least two")
    falling = np.flatnonzero(~(np.diff(times) > 0.0))
    if falling.size:
        raise _order_error(layout, int(falling[0]) + 1, bool(times[falling[0]] == times[falling[0] + 1]))
    return times, values


def _layout(path: Path, time_column: str, value_column: str) -> _Layout:
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
    separator, names = _split(line, time_column.strip(), value_column.strip())
    if all(_is_number(name) for name in names if name):
        raise LogError(f'{path}: line {number} "{line.strip()[:60]}" has no column names; write a line with them first')
    columns = (_column(path, names, time_column, "--time"), _column(path, names, value_column, "--mass"))
    if columns[0] == columns[1]:
        raise LogError(f'{path}: time and mass are both column "{time_column}"; name two columns')
    return _Layout(path, encoding, separator, number, columns, (time_column.strip(), value_column.strip()), len(names))


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
            if line.strip() and not line.lstrip().startswith("#"):
                return number, line.rstrip("\n")
    raise LogError(f"{path}: it is empty; export the log again")


def _split(line: str, *wanted: str) -> tuple[str, list[str]]:
    """The separator with which the header has the wanted names, else the most frequent; and the names."""
    splits = {
        separator: [name.strip() for name in next(csv.reader([line], delimiter=separator))] for separator in SEPARATORS
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
    listed = ", ".join(f'"{name}"' for name in names)
    if count > 1:
        raise LogError(f'{path}: {count} columns are named "{wanted}"; rename them apart (columns: {listed})')
    by_case = {name.casefold(): name for name in names if name}
    near = difflib.get_close_matches(wanted.strip().casefold(), by_case, 1, cutoff=0.5)
    hint = f'did you mean {option} "{by_case[near[0]]}"? ' if near else ""
    raise LogError(f'{path}: there is no column "{wanted}"; {hint}(columns: {listed})')


def _numbers(layout: _Layout) -> tuple[FloatArray, FloatArray]:
    """Both columns as numbers."""
    table = _fast(layout) if _is_even(layout) else None
    if table is None or not np.isfinite(table).all():
        table = _line_by_line(layout)
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])


def _is_even(layout: _Layout) -> bool:
    """Whether the rows together have as many separators as the header's width asks for.

    numpy would not see the extra cells of a row with decimal commas, and read it wrongly.
    """
    if layout.encoding == "utf-16":
        return False
    separator = layout.separator.encode()
    lines = separators = 0
    last = b"\n"
    with layout.path.open("rb") as file:
        for _ in range(layout.header_line):
            file.readline()
        while chunk := file.read(1 << 22):
            lines += chunk.count(b"\n")
            separators += chunk.count(separator)
            last = chunk[-1:]
    lines += last != b"\n"
    return separators == lines * (layout.width - 1)


def _fast(layout: _Layout) -> FloatArray | None:
    """(n, 2) numbers at numpy's speed; None where a cell is none."""
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
    return table.reshape(-1, 2)


def _rows(layout: _Layout) -> Iterator[tuple[int, str, str]]:
    """Line number and the two cells of each row of data."""
    with layout.path.open(encoding=layout.encoding, errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=layout.separator)
        for cells in reader:
            number = reader.line_num
            if number <= layout.header_line or not any(cell.strip() for cell in cells):
                continue
            if cells[0].lstrip().startswith("#"):
                continue
            if len(cells) <= max(layout.columns) or (
                len(cells) > layout.width and any(c.strip() for c in cells[layout.width :])
            ):
                commas = "; a comma is not a decimal point" if layout.separator == "," else ""
                raise LogError(
                    f"{layout.path}: line {number} has {len(cells)} cells, but the header names {layout.width} "
                    f"columns{commas}; mend the line"
                )
            yield number, cells[layout.columns[0]].strip(), cells[layout.columns[1]].strip()


def _line_by_line(layout: _Layout) -> FloatArray:
    """The numbers again, slowly, naming the first cell that is none."""
    rows = []
    for number, *cells in _rows(layout):
        row = []
        for name, cell in zip(layout.names, cells, strict=True):
            if not _is_number(cell) or not math.isfinite(float(cell)):
                raise LogError(f'{layout.path}: line {number}: column "{name}" {_why_no_number(cell)}')
            row.append(float(cell))
        rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def _why_no_number(cell: str) -> str:
    """What is wrong with a cell and what to do."""
    if not cell:
        return "is empty; drop the line, so that it is a gap, or give the number"
    if re.fullmatch(r"[+-]?\d+,\d+([eE][+-]?\d+)?", cell):
        return f'holds "{cell}": a comma is not a decimal point; write {cell.replace(",", ".")}'
    if re.match(r"\d{4}-\d{2}-\d{2}", cell):
        return f'holds "{cell}", which is a date and time; give --time-unit iso'
    return f'holds "{cell[:40]}", which is not a number; mend or drop the line'


def _dated(layout: _Layout) -> tuple[FloatArray, FloatArray]:
    """Times as ISO 8601, in seconds since the first, and values."""
    from datetime import datetime

    begin: datetime | None = None
    times, values = [], []
    for number, time, value in _rows(layout):
        try:
            moment = datetime.fromisoformat(time)
            begin = moment if begin is None else begin
            times.append((moment - begin).total_seconds())
        except ValueError:
            raise LogError(
                f'{layout.path}: line {number}: column "{layout.names[0]}" holds "{time[:40]}", which is no ISO 8601 '
                "date and time; write for example 2026-03-01T14:00:00"
            ) from None
        except TypeError:
            raise LogError(
                f"{layout.path}: line {number}: some times have an offset to UTC and some have none; write all alike"
            ) from None
        if not _is_number(value) or not math.isfinite(float(value)):
            raise LogError(f'{layout.path}: line {number}: column "{layout.names[1]}" {_why_no_number(value)}')
        values.append(float(value))
    return np.array(times, dtype=np.float64), np.array(values, dtype=np.float64)


def _order_error(layout: _Layout, row: int, repeated: bool) -> LogError:
    """Say at which line time does not rise; ``row`` counts rows of data from 0."""
    cells = [(number, time) for index, (number, time, _) in enumerate(_rows(layout)) if row - 1 <= index <= row]
    (_, before), (line, here) = cells
    what = f"time {here} stands twice" if repeated else f"time falls from {before} to {here}"
    return LogError(f"{layout.path}: line {line}: {what}; sort the log by time and keep one line for each time")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
