"""Files of JSON lines: what a kill tears, what stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.json_lines import JsonLines, read_lines

OBJECTS = st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5), max_size=2), max_size=4)


@given(OBJECTS, st.data())
def test_a_file_cut_off_anywhere_keeps_every_whole_line_and_takes_new_ones(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], draw: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    with path.open("ab+") as file:
        lines = JsonLines(file)
        for row in rows:
            lines.append(row)
    size = draw.draw(st.integers(0, path.stat().st_size))
    data = path.read_bytes()[:size]
    path.write_bytes(data)
    with path.open("ab+") as file:
        JsonLines(file).append({"new": 1})
    assert read_lines(path.read_bytes()) == ([*rows[: data.count(b"\n")], {"new": 1}], 0, path.stat().st_size)


def test_a_damaged_line_in_the_middle_stays_and_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    text = b'{"a": 1}\n\0\xff{\n[1]\n{"a": 2}\n'
    path.write_bytes(text + b'{"a"')
    with path.open("ab+") as file:
        lines = JsonLines(file)
    assert (lines.rows, lines.damaged) == ([{"a": 1}, {"a": 2}], 2)
    assert path.read_bytes() == text
