"""What a report tells of the course of a run: at which moments, and what of it first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.fold import fold
from data.journal import JournalWriter
from data.report import story
from data.report.blocks import Table, Text
from data.run import Run

HEADER: dict[str, Any] = {
    "run_id": "r", "procedure": "flow-record", "method": 1, "origin": "imported",
    "start_utc": "2026-03-01T00:30:00+01:00", "station": {"name": "lab"}, "dut": {"serial": "1"}, "params": {},
}  # fmt: skip

Record = tuple[float, str, dict[str, Any]]


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., list[Table | Text]]:
    """Blocks of one section about a completed run with these records."""

    def of(title: str, *records: Record) -> list[Table | Text]:
        writer = JournalWriter(tmp_path / "a.journal", HEADER)
        for t, kind, fields in records:
            writer.record(kind, t, fields)
        writer.record("status", 5000.0, {"status": "completed", "reason": "all steps done"})
        writer.close()
        fold(tmp_path / "a.journal", tmp_path / "a.h5")
        with Run.open(tmp_path / "a.h5") as run:
            (found,) = [one for one in (*story.first_page(run, None), *story.story(run)) if one.title == title]
            return found.blocks

    return of


def test_events_are_told_in_utc_whatever_the_offset_of_the_start(told: Callable[..., list[Table]]) -> None:
    (table,) = told("Events", (60.0, "event", {"level": "info", "text": "warm"}))
    assert table.headings[1] == "UTC"
    assert table.rows[0][1] == "02-28 23:31:00"
