"""Columns of a text table, time and one or more values, from any logger: separators, encodings and mistakes.

Comma, semicolon and tab separate; the decimal sign is a point; lines that begin with # are comments; the first other
line names the columns.  Numbers are read at numpy's speed; only a table with a mistake is read again, line by line, to
say where it is.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from data.nearest import nearest
from data.samples import FloatArray

SEPARATORS = (",", ";", "\t")
HEAD_BYTES = 1 << 16
ISO = "iso"
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


def read_log(
    path: Path, time_column: str, value_columns: Mapping[str, str], *, iso_time: bool = False
) -> tuple[FloatArray, ...]:
    """Read a column of time and some of values.

    Parameters
    ----------
    path : a text table with column names in its first line.
    time_column : name of the column of time.
    value_columns : names of the others, by the option that gave each, such as ``{"--mass": "m"}``.
    iso_time : the time column holds ISO 8601 dates and times; they become seconds since the first.

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
    layout = _layout(path, {"--time": time_column, **value_columns})
    times, *values = _dated(layout) if iso_time else _numbers(layout)
    if times.size < 2:
        raise LogError(f"{path}: it has {times.size} rows of data; an analysis needs at least two")
    falling = np.flatnonzero(~(np.diff(times) > 0.0))
    if falling.size:
        raise _order_error(layout, int(falling[0]) + 1, bool(times[falling[0]] == times[falling[0] + 1]))
    return times, *values


def first_moment(path: Path, time_column: str) -> datetime:
    """Date and time of the first row, written as ISO 8601 with its offset to UTC; raises `LogError` for any other."""
    layout = _layout(path, {"--time": time_column})
    number, (time,) = next(_rows(layout), (layout.header_line + 1, [""]))
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise _no_date(layout, number, time) from None
    if moment.tzinfo is None:
        raise LogError(
            f'{path}: line {number}: column "{time_column}" holds "{time[:40]}", which has no offset to UTC; '
            "say when the log began: --began 2026-03-01T14:00:00+01:00"
        )
    return moment


def _layout(path: Path, wanted: Mapping[str, str]) -> _Layout:
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
    if all(_is_number(name) for name in names if name):
        raise LogError(f'{path}: line {number} "{line.strip()[:60]}" has no column names; write a line with them first')
    columns = tuple(_column(path, names, name, option) for option, name in wanted.items())
    for later, option in enumerate(wanted):
        for earlier, other in enumerate(list(wanted)[:later]):
            if columns[later] == columns[earlier]:
                both = f"{other.removeprefix('--')} and {option.removeprefix('--')}"
                raise LogError(f'{path}: {both} are both column "{stripped[later]}"; name two columns')
    return _Layout(path, encoding, separator, number, columns, stripped, len(names))


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
    listed = ", ".join(f'"{_legible(name)}"' for name in names[:MOST_NAMES]) + (
        ", …" if len(names) > MOST_NAMES else ""
    )
    if count > 1:
        raise LogError(f'{path}: {count} columns are named "{wanted}"; rename them apart (columns: {listed})')
    by_case = {name.casefold(): name for name in names if name}
    near = nearest(wanted.strip().casefold(), by_case, 0.5)
    hint = f'; did you mean {option} "{by_case[near]}"?' if near else ""
    raise LogError(f'{path}: there is no column "{wanted}"{hint} (columns: {listed})')


def _legible(name: str) -> str:
    """The name of a column for a message: what is no text could take hold of the terminal."""
    said = "".join(sign if sign.isprintable() else "?" for sign in name)
    return said if len(said) <= LONGEST_NAME else f"{said[:LONGEST_NAME]}…"


def _numbers(layout: _Layout) -> tuple[FloatArray, ...]:
    """The columns as numbers."""
    table = _fast(layout) if _is_even(layout) else None
    if table is None or not np.isfinite(table).all():
        table = _line_by_line(layout)
    return tuple(np.ascontiguousarray(column) for column in table.T)


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
            yield number, [cells[column].strip() for column in layout.columns]


def _line_by_line(layout: _Layout) -> FloatArray:
    """The numbers again, slowly, naming the first cell that is none."""
    rows = []
    for number, cells in _rows(layout):
        row = []
        for name, cell in zip(layout.names, cells, strict=True):
            if not _is_number(cell) or not math.isfinite(float(cell)):
                raise LogError(f'{layout.path}: line {number}: column "{name}" {_why_no_number(cell)}')
            row.append(float(cell))
        rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(-1, len(layout.columns))


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
    if re.match(r"\d{4}-\d{2}-\d{2}", cell):
        return f'holds "{cell}", which is a date and time; give --time-unit iso'
    return f'holds "{cell[:40]}", which is not a number; mend or drop the line'


def _is_grouped(cell: str) -> bool:
    """Whether the one comma of a number may stand between thousands."""
    return re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", cell) is not None


def _dated(layout: _Layout) -> tuple[FloatArray, ...]:
    """Times as ISO 8601, in seconds since the first, and values."""
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
        for name, cell in zip(layout.names[1:], cells, strict=True):
            if not _is_number(cell) or not math.isfinite(float(cell)):
                raise LogError(f'{layout.path}: line {number}: column "{name}" {_why_no_number(cell)}')
            row.append(float(cell))
        rows.append(row)
    table = np.array(rows, dtype=np.float64).reshape(-1, len(layout.columns))
    return tuple(np.ascontiguousarray(column) for column in table.T)


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
    return LogError(f"{layout.path}: line {line}: {what}; sort the log by time and keep one line for each time")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
