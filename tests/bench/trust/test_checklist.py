"""What the checklist of a review finds in a file: a reviewer must say something of whatever was not as planned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.trust.checklist import Item, checklist
from data.fold import fold
from data.journal import JournalWriter
from data.report.story import DEVIATING, MOST_DEVIATIONS

HEADER: dict[str, Any] = {
    "run_id": "r", "procedure": "flow-record", "method": 1, "origin": "measured",
    "start_utc": "2026-01-01T00:00:00+00:00", "station": {"name": "lab"}, "dut": {"serial": "1"}, "params": {},
}  # fmt: skip
OUTAGE = {"instrument": "balance", "state": "begin", "text": 'instrument "balance" does not answer'}
GAP = {"instrument": "daq", "samples": 3, "text": 'instrument "daq" missed 3 samples without being lost'}


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., dict[str, Item]]:
    """The questions about a completed run with these records, by key."""

    def of(*records: tuple[str, dict[str, Any]]) -> dict[str, Item]:
        writer = JournalWriter(tmp_path / "a.journal", HEADER)
        for t, (kind, fields) in enumerate(records):
            writer.record(kind, float(t), fields)
        writer.record("status", 100.0, {"status": "completed", "reason": "all steps done"})
        writer.close()
        fold(tmp_path / "a.journal", tmp_path / "a.h5")
        return {item.key: item for item in checklist(tmp_path / "a.h5")}

    return of


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("outage", OUTAGE, 'outage: instrument "balance" does not answer'),
        ("gap", GAP, 'gap: instrument "daq" missed 3 samples without being lost'),
        ("pause", {"state": "begin", "person": "Ada", "phase": "analysis"}, "pause: phase analysis, state begin (Ada)"),
        ("note", {"text": "the door was opened", "person": "Ada"}, "the door was opened (Ada)"),
        ("traceback", {"text": "Traceback:\n  line 1\nKeyError: 'x'\n"}, "the program broke: KeyError: 'x'"),
        ("event", {"level": "warning", "text": "warm"}, "warm"),
    ],
)
def test_whatever_deviates_is_to_be_looked_at(
    asked: Callable[..., dict[str, Item]], kind: str, fields: dict[str, Any], said: str
) -> None:
    found = asked((kind, fields))["deviations"]
    assert (found.found, found.text) == ("look", said)


def test_a_run_without_any_deviation_is_completed(asked: Callable[..., dict[str, Item]]) -> None:
    found = asked(("event", {"level": "info", "text": "warm"}), ("step", {"name": "tare"}))["deviations"]
    assert (found.found, found.text) == ("ok", "completed, every check was judged")


@pytest.mark.parametrize("kind", sorted({*DEVIATING} - {"interlock-back"}))  # which comes after its interlock
def test_no_deviation_of_the_report_escapes_the_checklist(asked: Callable[..., dict[str, Item]], kind: str) -> None:
    items = asked((kind, {"name": "pressure", "text": "said"}))
    assert "look" in (items["deviations"].found, items["interlocks"].found)


def test_a_late_error_is_told_before_many_gaps(asked: Callable[..., dict[str, Item]]) -> None:
    error = ("event", {"level": "error", "text": "the pump is on fire"})
    assert asked(*[("gap", GAP)] * 30, error)["deviations"].text.startswith("the pump is on fire; gap: ")


def test_many_deviations_are_counted(asked: Callable[..., dict[str, Item]]) -> None:
    text = asked(*[("gap", GAP)] * (MOST_DEVIATIONS + 5))["deviations"].text
    assert text.count("missed 3 samples") == MOST_DEVIATIONS
    assert text.endswith("; and 5 more, which the report lists")
