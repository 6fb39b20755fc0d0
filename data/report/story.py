"""What happened in a run, for its report: exclusions, overrides, deviations, phases, prompts, events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from enum import IntEnum
from typing import Any

from data.checks import Evaluation, Origin, Status
from data.report.blocks import Block, Cell, Section, Table, Text
from data.report.set_up import overdue
from data.report.wording import elapsed, label, length, plain
from data.run import Event, Run

SILENT = ("step", "phase", "forecast", "identity", "prompt", "answer", "rig-check")
"""Kinds that are told elsewhere in the report, or by the plan."""

DEVIATING = ("interlock", "interlock-back", "outage", "gap", "hold", "pause", "reset", "traceback", "note")
"""Kinds that always deviate."""

MOST_DEVIATIONS = 14
MOST_EVENTS = 400


class Gravity(IntEnum):
    """How much a deviation should be minded; the gravest come first."""

    GRAVE = 0
    SERIOUS = 1
    SLIGHT = 2


@dataclass(frozen=True, slots=True)
class Deviation:
    """Something that was not as it should be; ``t`` is None where it is of the run as a whole."""

    t: float | None
    text: str
    gravity: Gravity


def first_page(run: Run, evaluation: Evaluation | None) -> list[Section]:
    """What a reviewer must see before anything else."""
    return [
        Section("Exclusions", [_exclusions(evaluation)]),
        Section("Overrides", [_overrides(run)]),
        Section("Deviations and remarks", [_deviations(run)]),
    ]


def story(run: Run) -> list[Section]:
    """Phases, prompts and events."""
    return [
        Section("Course of the run", [_phases(run), *_prompts(run)]),
        Section("Events", _events(run)),
    ]


def deviations(run: Run) -> list[Deviation]:
    """Whatever was not as it should be, the gravest first, then by time."""
    found = [*_of_the_run(run), *_of_its_course(run)]
    return sorted(found, key=lambda one: (one.gravity, one.t is not None, one.t or 0.0))


def _of_the_run(run: Run) -> Iterator[Deviation]:
    """Deviations that have no moment."""
    if run.origin is not Origin.MEASURED:
        faults = f", with the faults {', '.join(run.faults)}" if run.faults else ", no fault was asked for"
        text = f"the data are {run.origin}{faults if run.origin is Origin.SIMULATED else ''}"
        yield Deviation(None, text, Gravity.GRAVE)
    if run.status is not Status.COMPLETED:
        yield Deviation(None, f"the run did not end as planned ({run.status}): {run.status_reason}", Gravity.GRAVE)
    for finding in run.findings:
        if finding["level"] != "tells":
            yield Deviation(None, f"before the start: {finding['text']}", Gravity.SERIOUS)
    for name, due in overdue(run):
        text = f"calibration of {name} was due {due}, before the end of the run"
        yield Deviation(None, text, Gravity.SERIOUS)
    journal = run.session.get("journal") or {}
    if journal.get("lost_frames") or journal.get("lost_bytes"):
        text = f"{journal.get('lost_bytes')} bytes of the journal were lost: {journal.get('lost_because')}"
        yield Deviation(None, text, Gravity.GRAVE)
    if run.session.get("recovered"):
        yield Deviation(None, "the run was cut off and recovered from its journal", Gravity.SERIOUS)


def _of_its_course(run: Run) -> Iterator[Deviation]:
    """Phases that were cut off, and events that deviate and that no finding has told."""
    for phase in run.phases:
        if not phase.complete:
            yield Deviation(phase.t1, f"phase {phase.name} was cut off", Gravity.SERIOUS)
    found = " ".join(str(finding["text"]) for finding in run.findings)
    for event in run.events:
        if _deviates(event) and not (event.text and event.text in found):
            yield Deviation(event.t, said(event), gravity(event))


def gravity(event: Event) -> Gravity:
    """How much an event that deviates should be minded."""
    match event.kind:
        case "confirm" | "teardown" | "traceback":
            return Gravity.GRAVE
        case "event":
            return Gravity.GRAVE if event.fields.get("level") == "error" else Gravity.SERIOUS
        case "interlock":
            return Gravity.SERIOUS if event.fields.get("action") in ("log", "flag-gap") else Gravity.GRAVE
        case "gap" | "note" | "pause" | "reset" | "interlock-back":
            return Gravity.SLIGHT
    return Gravity.SERIOUS


def said(event: Event) -> str:
    """An event in one line."""
    who = str(event.fields.get("person") or "")
    line = _worded(event.kind, event.fields) or _listed(event)
    return f"{line} ({who})" if who and who not in line else line


def _worded(kind: str, of: Mapping[str, Any]) -> str:
    """The usual kinds as sentences; empty for any other."""
    match kind:
        case "valve":
            back = of.get("read_back")
            read = "" if back is None else f", reads back {_on(back)}"
            return f"{of.get('valve')} {_on(of.get('asked'))}{read}"
        case "pump-command":
            return f"pump: {of.get('command')}; answered {of.get('reply') or 'nothing'}"
        case "command":
            return f"{of.get('instrument')}: {of.get('command')}; answered {of.get('reply') or 'nothing'}"
        case "confirm":
            return f"{of.get('what')}: {'confirmed' if of.get('confirmed') else 'NOT CONFIRMED'}"
        case "teardown":
            return f"teardown, {of.get('name')}: {of.get('outcome')}"
        case "disturbed":
            span = f"{elapsed(of.get('from_s') or 0.0)} to {elapsed(of.get('to_s') or 0.0)}"
            return f"{plain(of.get('channels'))} not used {span}: {of.get('why')}"
        case "status":
            return f"the run ended: {of.get('status')}, {of.get('reason')}"
        case "pump":
            alarms = plain(of.get("alarms")) if of.get("alarms") else "no alarm"
            counts = f"delivered {plain(of.get('delivered_ul'), 'µL')}, reservoir {plain(of.get('reservoir_ul'), 'µL')}"
            running = "runs" if of.get("running") else "stands"
            return f"pump read out ({of.get('key')}): {running}, {of.get('mode')}, {counts}, {alarms}"
        case "condition":
            return f"condition of phase {of.get('phase')} met at {plain(of.get('value'))}"
    return ""


def _on(state: Any) -> str:
    return "on" if state is True else "off" if state is False else plain(state)


def _listed(event: Event) -> str:
    """Any event as its text, or as its fields in a row."""
    text = event.text or _words(event.fields)
    if event.kind in ("event", "note"):
        return text
    kind = event.kind.replace("-", " ")
    return f"{kind}: {text}" if text else kind


def _deviates(event: Event) -> bool:
    fields = event.fields
    match event.kind:
        case "event":
            return fields.get("level") in ("warning", "error")
        case "confirm":
            return not fields.get("confirmed")
        case "teardown":
            return fields.get("outcome") != "done"
        case "settings":
            return bool(fields.get("problems"))
        case "rig-check":
            return bool(fields.get("demanded")) and not fields.get("holds")
    return event.kind in DEVIATING


def _words(fields: Mapping[str, Any]) -> str:
    parts = []
    for key, value in fields.items():
        if value in (None, "", [], {}) or key == "person":
            continue
        words, unit = label(str(key))
        parts.append(f"{words} {plain(value, unit)}")
    return ", ".join(parts)


def _exclusions(evaluation: Evaluation | None) -> Block:
    if evaluation is None:
        return Text("Not known: the run was not evaluated.", "warn")
    if not evaluation.excluded:
        return Text("None: the evaluation used everything that was recorded in its phases.")
    rows = [
        [
            elapsed(item.from_s),
            elapsed(item.to_s),
            length(item.to_s - item.from_s),
            item.reason,
            item.person or "automatic",
        ]
        for item in evaluation.excluded
    ]
    return Table(("From", "To", "Length", "Reason", "By"), rows, (0, 0, 0, 3, 1))


def _overrides(run: Run) -> Block:
    rows = [
        [str(event.fields["finding"]), str(event.fields["person"]), str(event.fields["reason"])]
        for event in run.records("override")
    ]
    return Table(("Finding", "By", "Reason"), rows, (0, 0, 1)) if rows else Text("None.")


def _deviations(run: Run) -> Block:
    found = deviations(run)
    # What has a moment is in the course of the run and its events too; what has none is told here alone.
    shown = [*found[:MOST_DEVIATIONS], *(one for one in found[MOST_DEVIATIONS:] if one.t is None)]
    rows: list[list[str | Cell]] = [["–" if one.t is None else elapsed(one.t), one.text] for one in shown]
    if len(found) > len(shown):
        rows.append(["", Cell(f"and {len(found) - len(shown)} more, see Course of the run and Events", "warn")])
    return Table(("Time", "What"), rows, (0, 1)) if rows else Text("None.")


def _phases(run: Run) -> Block:
    if not run.phases:
        return Text("The run had no phases.")
    rows: list[list[str | Cell]] = [
        [phase.name, elapsed(phase.t0), elapsed(phase.t1), length(phase.t1 - phase.t0), _complete(phase.complete)]
        for phase in run.phases
    ]
    caption = f"Phases; times are hours:minutes:seconds since the start. The plan had {len(run.steps)} steps."
    return Table(("Phase", "From", "To", "Length", ""), rows, (2, 1, 1, 1, 1), (1, 2, 3), caption)


def _complete(complete: bool) -> Cell:
    return Cell("complete", "muted") if complete else Cell("cut off", "warn", strong=True)


def _prompts(run: Run) -> list[Block]:
    answers = run.records("answer")
    rows = []
    for prompt in run.records("prompt"):
        key = prompt.fields["key"]
        answer = next((one for one in answers if one.fields["key"] == key and one.t >= prompt.t), None)
        rows.append([elapsed(prompt.t), prompt.text, *(_answer(answer.fields) if answer else ("not answered", "–"))])
    if not rows:
        return [Text("Nothing was asked of a person.", "muted")]
    return [Table(("Time", "Asked", "Answer", "By"), rows, (0, 4, 2, 2), caption="Prompts and answers")]


def _answer(fields: Mapping[str, Any]) -> tuple[str, str]:
    given = plain(fields.get("value"), str(fields.get("unit") or ""))
    who = " and ".join(filter(None, [str(fields.get("person") or ""), str(fields.get("second_person") or "")]))
    return given, who or "–"


def _events(run: Run) -> list[Block]:
    found = [event for event in run.events if event.kind not in SILENT or _deviates(event)]
    if not found:
        return [Text("None.")]
    shown = _most_of(found)
    rows: list[list[str | Cell]] = [
        [elapsed(event.t), _moment(run, event), Cell(said(event), "warn" if _deviates(event) else "")]
        for event in shown
    ]
    blocks: list[Block] = [Table(("Time", "UTC", "What"), rows, (0, 0, 1))]
    if more := len(found) - len(shown):
        blocks.append(Text(f"and {more} more, none of which deviates; they are in the attached run.json.", "warn"))
    return blocks


def _most_of(events: list[Event]) -> list[Event]:
    """All events that deviate, and the first others, as far as there is room for them."""
    room = MOST_EVENTS - sum(map(_deviates, events))
    shown = []
    for event in events:
        deviates = _deviates(event)
        if deviates or room > 0:
            shown.append(event)
            room -= not deviates
    return shown


def _moment(run: Run, event: Event) -> str:
    return f"{run.start.astimezone(UTC) + timedelta(seconds=round(event.t)):%m-%d %H:%M:%S}"
