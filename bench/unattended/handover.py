"""The shift hand-over note: what every run of a folder did since the last shift, and what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from data.frames import FrameKind, JournalError, Record
from data.journal_reader import read_journal
from data.run import Run, RunError

TOLD = ("interlock", "reset", "outage", "pause", "hold", "note", "exclusion", "override", "safe-state")
"""Kinds of records that the next shift needs to read; events only where they are warnings or errors."""

MOST_LINES = 20
"""Of one run; the rest is counted."""


@dataclass
class RunNote:
    """What the next shift needs to know of one run."""

    name: str
    title: str
    going_on: bool
    begun: datetime
    until: datetime
    status: str
    verdict: str = ""
    phase: str = ""
    planned_s: float = 0.0
    waits: list[str] = field(default_factory=list)
    happened: list[tuple[datetime, str]] = field(default_factory=list)


def run_notes(folder: Path, since: datetime) -> list[RunNote]:
    """Every run of a folder that goes on, or that ended after a moment in UTC, the latest begun first.

    A journal beside which there is no run file is a run that goes on, or one that was cut off.
    """
    notes = [note for journal in sorted(folder.glob("*.journal")) if (note := _note(journal)) is not None]
    kept = [note for note in notes if note.going_on or note.until >= since]
    return sorted(kept, key=lambda note: note.begun, reverse=True)


def _note(journal: Path) -> RunNote | None:
    """Read one journal, and the verdict of its run file; None for a journal that cannot be read."""
    try:
        with read_journal(journal) as reader:
            header = reader.header
            # A simulated run has virtual times; for people it ran when the computer ran it.
            session: dict[str, Any] = header.get("session") or {}
            simulated = header.get("origin") == "simulated"
            begun = datetime.fromisoformat(str(session.get("wall_start") if simulated else header["start_utc"]))
            records = [
                said
                for frame in reader
                if frame.kind == FrameKind.RECORD and isinstance(said := reader.decode(frame), Record)
            ]
    except (JournalError, ValueError, KeyError, TypeError):
        return None
    end_s = max((record.t for record in records), default=0.0)
    planned = [step for step in header.get("steps") or [] if isinstance(step, dict)]
    run_file = journal.with_suffix(".h5")
    note = RunNote(
        journal.stem,
        str(header.get("title") or header.get("procedure")),
        not run_file.exists(),
        begun,
        begun + timedelta(seconds=end_s),
        "goes on",
        planned_s=sum(float(step.get("for_s") or step.get("at_most_s") or 0.0) for step in planned),
    )
    _tell(note, records, begun)
    if not note.going_on:
        note.verdict = _verdict(run_file)
    return note


def _tell(note: RunNote, records: Sequence[Record], begun: datetime) -> None:
    waits: dict[str, str] = {}
    for record in records:
        fields, at = record.fields, begun + timedelta(seconds=record.t)
        if record.kind == "phase":
            note.phase = str(fields.get("name")) if fields.get("state") == "begin" else ""
        elif record.kind == "prompt":
            waits[str(fields.get("key"))] = str(fields.get("text"))
        elif record.kind == "answer":
            waits.pop(str(fields.get("key")), None)
        elif record.kind == "status":
            note.status = f"{fields.get('status')}: {fields.get('reason')}"
        if record.kind in TOLD or (record.kind == "event" and fields.get("level") in ("warning", "error")):
            note.happened.append((at, f"{record.kind}: {_said(fields)}"))
    note.waits = list(waits.values()) if note.going_on else []


def _said(fields: Any) -> str:
    text = str(fields.get("text") or fields.get("cause") or fields.get("finding") or fields.get("state") or "")
    who = fields.get("person")
    return f"{text} ({who})" if who else text


def _verdict(run_file: Path) -> str:
    try:
        with Run.open(run_file) as run:
            return "not evaluated" if run.evaluation is None else str(run.evaluation.verdict)
    except RunError:
        return "the run file cannot be read; run verify on it"


def handover_text(notes: Sequence[RunNote], folder: Path, now: datetime, person: str) -> str:
    """The note in Markdown."""
    lines = [f"# Hand-over, {_when(now)}", "", f"From {person}. Runs in {folder}.", ""]
    if not notes:
        lines += ["No run goes on and none has ended.", ""]
    for note in notes:
        lines += list(_paragraph(note, now))
    return "\n".join(lines)


def _paragraph(note: RunNote, now: datetime) -> Iterator[str]:
    yield f"## {note.name}: {note.title}"
    yield ""
    if note.going_on:
        due = note.begun + timedelta(seconds=note.planned_s)
        silent_min = (now - note.until).total_seconds() / 60.0
        phase = f", phase {note.phase}" if note.phase else ""
        yield f"- {note.status}{phase}; begun {_when(note.begun)}, planned until {_when(due)}"
        if silent_min > 10.0:
            yield f"- **nothing was recorded for {silent_min:.0f} min**: is its runner alive? (runner list; recover)"
    else:
        yield f"- {note.status}; verdict **{note.verdict}**; {_when(note.begun)} to {_when(note.until)}"
    for text in note.waits:
        yield f"- **waits for an answer**: {text}"
    for at, text in note.happened[-MOST_LINES:]:
        yield f"- {_when(at)} {text}"
    if len(note.happened) > MOST_LINES:
        yield f"- and {len(note.happened) - MOST_LINES} earlier ones"
    yield ""


def _when(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
