"""What happened in a run, for its report: exclusions, overrides, deviations, phases, prompts, events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from typing import Any

from data.checks import Evaluation, Origin, Status
from data.report.blocks import Block, Cell, Section, Table, Text
from data.report.set_up import overdue
from data.report.wording import elapsed, label, length, plain
from data.run import Event, Run

SILENT = ("step", "phase", "forecast", "identity", "prompt", "answer", "rig-check")
"""Kinds that are told elsewhere in the report, or by the plan."""

DEVIATING = ("interlock", "interlock-back", "outage", "gap", "hold", "pause", "reset", "traceback", "note")
"""Kinds that always are on the first page."""

MOST_DEVIATIONS = 14
MOST_EVENTS = 400


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


def deviations(run: Run) -> Iterator[tuple[float | None, str]]:
    """Whatever was not as it should be, with its time in s where it has one."""
    if run.origin is not Origin.MEASURED:
        faults = f", with the faults {', '.join(run.faults)}" if run.faults else ", no fault was asked for"
        yield None, f"the data are {run.origin}{faults if run.origin is Origin.SIMULATED else ''}"
    if run.status is not Status.COMPLETED:
        yield None, f"the run did not end as planned ({run.status}): {run.status_reason}"
    for finding in run.findings:
        if finding["level"] != "tells":
            yield None, f"before the start: {finding['text']}"
    for name, due in overdue(run):
        yield None, f"calibration of {name} was due {due}, before the end of the run"
    journal = run.session.get("journal") or {}
    if journal.get("lost_frames") or journal.get("lost_bytes"):
        yield None, f"{journal.get('lost_bytes')} bytes of the journal were lost: {journal.get('lost_because')}"
    if run.session.get("recovered"):
        yield None, "the run was cut off and recovered from its journal"
    for phase in run.phases:
        if not phase.complete:
            yield phase.t1, f"phase {phase.name} was cut off"
    found = " ".join(str(finding["text"]) for finding in run.findings)
    for event in run.events:
        if _deviates(event) and not (event.text and event.text in found):
            yield event.t, said(event)


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
    found = list(deviations(run))
    rows: list[list[str | Cell]] = [["–" if t is None else elapsed(t), text] for t, text in found[:MOST_DEVIATIONS]]
    if len(found) > MOST_DEVIATIONS:
        rows.append(["", Cell(f"and {len(found) - MOST_DEVIATIONS} more, see Events", "warn")])
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
    shown = [event for event in run.events if event.kind not in SILENT]
    if not shown:
        return [Text("None.")]
    rows: list[list[str | Cell]] = [
        [elapsed(event.t), _moment(run, event), Cell(said(event), "warn" if _deviates(event) else "")]
        for event in shown[:MOST_EVENTS]
    ]
    blocks: list[Block] = [Table(("Time", "UTC", "What"), rows, (0, 0, 1))]
    if len(shown) > MOST_EVENTS:
        blocks.append(Text(f"and {len(shown) - MOST_EVENTS} more, which are in the attached run.json.", "warn"))
    return blocks


def _moment(run: Run, event: Event) -> str:
    return f"{run.start.astimezone(UTC) + timedelta(seconds=round(event.t)):%m-%d %H:%M:%S}"
