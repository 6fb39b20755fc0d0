"""What a report tells of the course of a run: at which moments, and what of it first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.fold import fold
from data.journal import JournalWriter
from data.report import story
from data.report.blocks import Cell, Table, Text
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


def text(cell: str | Cell) -> str:
    return cell.text if isinstance(cell, Cell) else cell


def test_events_are_told_in_utc_whatever_the_offset_of_the_start(told: Callable[..., list[Table]]) -> None:
    (table,) = told("Events", (60.0, "event", {"level": "info", "text": "warm"}))
    assert table.headings[1] == "UTC"
    assert table.rows[0][1] == "02-28 23:31:00"


GAP = ("gap", {"instrument": "daq", "text": "daq missed 3 samples"})
VENT = ("confirm", {"what": "vent", "confirmed": False})
GRAVE = [
    ("event", {"level": "error", "text": "the pump is on fire"}),
    ("interlock", {"name": "pressure", "action": "stop", "text": "pressure is too high"}),
    VENT,
]


@pytest.mark.parametrize("late", GRAVE, ids=[kind for kind, _ in GRAVE])
def test_a_late_grave_deviation_is_first_on_the_first_page_after_what_is_of_the_whole_run(
    told: Callable[..., list[Table]], late: tuple[str, dict[str, Any]]
) -> None:
    noise = [(float(t), *GAP) for t in range(50)]
    (table,) = told("Deviations and remarks", *noise, (4000.0, *late))
    assert [text(row[0]) for row in table.rows[:3]] == ["–", "01:06:40", "00:00:00"]
    assert len(table.rows) == story.MOST_DEVIATIONS + 1
    assert text(table.rows[-1][1]) == "and 38 more, see Course of the run and Events"


def test_an_interlock_that_only_logs_does_not_stand_before_an_error(told: Callable[..., list[Table]]) -> None:
    log = ("interlock", {"name": "room", "action": "log", "text": "room is warm"})
    (table,) = told("Deviations and remarks", (1.0, *GAP), (2.0, *log), (3.0, *VENT))
    told_in_order = [text(row[1]) for row in table.rows[1:]]
    assert told_in_order == ["vent: NOT CONFIRMED", "interlock: room is warm", "gap: daq missed 3 samples"]


def test_no_event_that_deviates_is_left_out_of_the_events(told: Callable[..., list[Table | Text]]) -> None:
    usual = [(float(t), "event", {"level": "info", "text": f"at {t} s"}) for t in range(1, 1001)]
    events, more = told("Events", *usual, (2000.0, *VENT), (3000.0, *GRAVE[0]))
    assert [text(row[2]) for row in events.rows[-2:]] == ["vent: NOT CONFIRMED", "the pump is on fire"]
    assert len(events.rows) == story.MOST_EVENTS
    assert more.text.startswith("and 603 more, none of which deviates")  # the end of the run among them
