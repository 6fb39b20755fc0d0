"""The hand-over note: what goes on, what waits, what happened."""

from datetime import UTC, datetime, timedelta

import pytest

from bench.unattended.handover import handover_text, run_notes
from data.journal import JournalWriter

BEGUN = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
NOW = BEGUN + timedelta(hours=10)


@pytest.fixture
def run_of(tmp_path):
    """Function that writes a journal with some records."""

    def write(name, *records, finished=False, begun=BEGUN):
        header = {
            "run_id": name,
            "procedure": "flow-accuracy",
            "method": 1,
            "origin": "measured",
            "start_utc": begun.isoformat(),
            "title": "Gravimetric flow accuracy",
            "steps": [{"step": "Phase", "name": "analysis", "for_s": 86_400.0}],
        }
        journal = JournalWriter(tmp_path / f"{name}.journal", header)
        for t, kind, fields in records:
            journal.record(kind, t, fields)
        journal.sync()
        journal.close()
        if finished:
            (tmp_path / f"{name}.h5").write_bytes(b"")

    return write


def note(folder, since=BEGUN):
    return handover_text(run_notes(folder, since), folder, NOW, "Ada")


def test_a_run_that_goes_on_tells_its_phase_and_what_waits(run_of, tmp_path):
    run_of(
        "run_0001",
        (0.0, "phase", {"name": "analysis", "state": "begin"}),
        (36_000.0, "prompt", {"key": "w", "text": "Put the weight on the pan."}),
    )
    text = note(tmp_path)
    assert "goes on, phase analysis" in text
    assert "**waits for an answer**: Put the weight on the pan." in text


def test_a_prompt_that_was_answered_waits_for_nobody(run_of, tmp_path):
    run_of("run_0001", (5.0, "prompt", {"key": "w", "text": "Weight?"}), (9.0, "answer", {"key": "w"}))
    assert "waits" not in note(tmp_path)


def test_what_happened_stands_with_its_time_and_person(run_of, tmp_path):
    run_of(
        "run_0001",
        (3600.0, "outage", {"state": "begin", "text": "no sample: balance"}),
        (3700.0, "note", {"person": "Bo", "text": "draft shield was open"}),
        (3750.0, "exclusion", {"person": "Bo", "text": "1 h to 62 min: the shield", "reason": "the shield"}),
        (3800.0, "event", {"level": "info", "text": "nobody needs this"}),
    )
    text = note(tmp_path)
    assert "outage: no sample: balance" in text
    assert "note: draft shield was open (Bo)" in text
    assert "exclusion: 1 h to 62 min: the shield (Bo)" in text
    assert "nobody needs this" not in text


def test_a_run_that_fell_silent_is_pointed_out(run_of, tmp_path):
    run_of("run_0001", (60.0, "phase", {"name": "analysis", "state": "begin"}))
    assert "nothing was recorded for 599 min" in note(tmp_path)


def test_runs_of_earlier_shifts_are_left_out(run_of, tmp_path):
    run_of("run_0001", (5.0, "status", {"status": "completed", "reason": "done"}), finished=True)
    assert "run_0001" in note(tmp_path, BEGUN)
    assert "No run goes on" in note(tmp_path, BEGUN + timedelta(hours=1))


def test_a_long_list_is_counted(run_of, tmp_path):
    run_of("run_0001", *((float(t), "note", {"person": "Bo", "text": f"n{t}"}) for t in range(30)))
    assert "and 10 earlier ones" in note(tmp_path)


def test_a_damaged_journal_hides_nothing_else(run_of, tmp_path):
    run_of("run_0001", (5.0, "note", {"person": "Bo", "text": "here"}))
    (tmp_path / "other.journal").write_bytes(b"nonsense")
    assert "here" in note(tmp_path)
