"""What a review answers, with what the file itself says of each question."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from bench.answers import plain_name
from bench.closing import code_hash
from bench.trust.users import User
from data.checks import Origin, Status, Verdict
from data.keys import digest_of
from data.report import story
from data.run import Event, Run

Finding = Literal["ok", "look", "unknown"]

ASKED_BEFORE = ("interlock", "interlock-back")
"""Kinds of deviations about which the question of the interlocks asks; what comes back had tripped."""

CLOCK_OFFSET_S = 60.0
"""A pump's clock that is off by more than this is to be looked at."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question.  ``found``: "ok", "look" where a reviewer must say something, "unknown" where the file is mute."""

    key: str
    question: str
    found: Finding
    text: str

    @property
    def digest(self) -> str:
        """Of what a person sees of it, which an answer is an answer to."""
        return digest_of({"question": self.question, "found": self.found, "text": self.text})


def checklist(path: Path, attempts: list[str] | None = None, known: Set[str] = frozenset()) -> list[Item]:
    """The questions of a review, in their order.

    Parameters
    ----------
    attempts : every registered run on the same device under test, one text each; None where nobody knows.
    known : `names_of` everybody who may sign here.
    """
    with Run.open(path) as run:
        return [
            _rig_check(run),
            _calibrations(run),
            _interlocks(run),
            _overrides(run),
            _recipe(run),
            _exclusions(run),
            _clocks(run),
            _software(run),
            _deviations(run),
            _attempts(attempts),
            *_strangers(run, known),
        ]


def _item(key: str, question: str, look: list[str], ok: str) -> Item:
    return Item(key, question, "look" if look else "ok", "; ".join(look) or ok)


def _rig_check(run: Run) -> Item:
    question = "Did a rig check hold when the run began?"
    records = run.records("rig-check")
    if not records:
        return Item("rig-check", question, "unknown", "the run relied on no rig check")
    said = records[-1].fields
    if said.get("demanded") and not said.get("holds"):
        return Item("rig-check", question, "look", str(said.get("text")))
    return Item("rig-check", question, "ok" if said.get("holds") else "unknown", str(said.get("text")))


def _calibrations(run: Run) -> Item:
    look, there = [], 0
    end = run.start.date().toordinal() + run.end_s / 86400.0
    for instrument, table in run.station.get("instruments", {}).items():
        for channel, certificate in (table.get("calibration") or {}).items():
            there += 1
            try:
                due = date.fromisoformat(str(certificate.get("due")))
            except ValueError:
                look.append(f"{instrument}.{channel}: no due date")
                continue
            if due.toordinal() < end:
                look.append(f"{instrument}.{channel}: certificate {certificate.get('certificate')} was due {due}")
    measured = set(run.roles.values()) & set(run.channels)
    look += [f"{channel}: no certificate" for channel in sorted(measured) if not run.calibration(channel)]
    ok = f"{there} certificates, each valid to the end of the run"
    return _item("calibrations", "Were all calibrations valid to the end of the run?", look, ok)


def _interlocks(run: Run) -> Item:
    look = [event.text or f"{event.fields.get('name', 'interlock')}" for event in run.records("interlock")]
    look += [f"{event.fields.get('what')}: not confirmed" for event in run.records("confirm") if not _confirmed(event)]
    return _item("interlocks", "Did any interlock trip, and was each safe state confirmed?", look, "none tripped")


def _confirmed(event: Any) -> bool:
    return event.fields.get("confirmed") is not False


def _overrides(run: Run) -> Item:
    look = [
        f"{event.fields['finding']} by {event.fields['person']}: {event.fields['reason']}"
        for event in run.records("override")
    ]
    return _item("overrides", "Was the run started against a finding?", look, "nothing was overridden")


def _recipe(run: Run) -> Item:
    question = "Was it run by an approved recipe?"
    said = run.recipe
    if not said:
        return Item("recipe", question, "unknown", "no recipe was used: its parameters were chosen for this run")
    named = f'"{said.get("name")}", version {said.get("version")} ({str(said.get("sha256"))[:12]})'
    if not said.get("approved"):
        return Item("recipe", question, "look", f"{named}, which did not count as approved ({said.get('approval')})")
    by, when = said.get("approved_by"), str(said.get("approved_when"))[:10]
    return Item("recipe", question, "ok", f"{named}, approved by {by} on {when}")


def _exclusions(run: Run) -> Item:
    excluded = run.evaluation.excluded if run.evaluation is not None else ()
    look = [
        f"{item.from_s:.0f} s to {item.to_s:.0f} s: {item.reason}" + (f" ({item.person})" if item.person else "")
        for item in excluded
    ]
    return _item("exclusions", "Was any stretch left out, and rightly?", look, "nothing was left out")


def _clocks(run: Run) -> Item:
    look = [finding["text"] for finding in run.findings if finding.get("code") == "clock"]
    look += [event.text for event in run.records("event") if "clock" in event.text]
    question = "Were the clocks of computer and pump right?"
    told = [(event.t, event.fields) for event in run.records("pump")]
    clocks = [(t, float(said["clock_s"])) for t, said in told if said.get("clock_s") is not None]
    if len(clocks) < 2:
        found: Finding = "look" if look else "unknown"
        return Item("clocks", question, found, "; ".join([*look, "the pump's clock was not read before and after"]))
    drift_s = (clocks[-1][1] - clocks[0][1]) - (clocks[-1][0] - clocks[0][0])
    text = f"the pump's clock ran {drift_s:+.1f} s against the bench in {run.end_s / 3600.0:.1f} h"
    if abs(drift_s) > CLOCK_OFFSET_S:
        look.append(text)
    return _item("clocks", question, look, text)


def _software(run: Run) -> Item:
    versions = ", ".join(f"{name} {run.software[name]}" for name in ("pumpbench", "python") if name in run.software)
    question = "Did released software run and judge it?"
    same = "the installed code" if run.evaluated_by == code_hash() else "other code than is installed here"
    return Item("software", question, "unknown", f"{versions}; judged by {same} ({run.evaluated_by[:12]})")


def _deviations(run: Run) -> Item:
    look = []
    if run.status is not Status.COMPLETED:
        look.append(f"{run.status}: {run.status_reason}")
    if run.evaluation is not None:
        bad = (Verdict.INVALID, Verdict.NOT_MEASURED, Verdict.NOT_CAPABLE)
        look += [
            f"{one.title}: {one.verdict}" for one in run.evaluation.checks if one.verdict in bad and not one.optional
        ]
    told = [_told(event) for event in sorted(filter(_deviates, run.events), key=story.gravity)]
    more = len(told) - story.MOST_DEVIATIONS
    look += told[: story.MOST_DEVIATIONS] + ([f"and {more} more, which the report lists"] if more > 0 else [])
    lost = run.session.get("journal", {})
    if isinstance(lost, dict) and lost.get("lost_bytes"):
        look.append(f"{lost['lost_bytes']} bytes of the journal were lost: {lost.get('lost_because')}")
    ok = "completed, every check was judged"
    return _item("deviations", "Did anything deviate from the protocol?", look, ok)


def _deviates(event: Event) -> bool:
    """Whether the report calls it a deviation, and no other question asks about it."""
    if event.kind == "event":
        return event.fields.get("level") in ("warning", "error")
    return event.kind in story.DEVIATING and event.kind not in ASKED_BEFORE


def _told(event: Event) -> str:
    if event.kind == "traceback":
        return f"the program broke: {event.text.strip().splitlines()[-1]}"
    return story.said(event)


def _attempts(attempts: list[str] | None) -> Item:
    question = "Are all attempts on this device accounted for?"
    if attempts is None:
        return Item("attempts", question, "unknown", "there is no register here")
    look = attempts if len(attempts) > 1 else []
    return _item("attempts", question, look, "this is the only registered run of the device")


def _strangers(run: Run, known: Set[str]) -> list[Item]:
    """A question more where someone had a hand in a measured run whom nobody could recognise as its approver."""
    if run.origin is not Origin.MEASURED or not known:
        return []
    ran = [str(run.session.get(name) or "") for name in ("user", "os_account")]
    strange = [] if known & set(map(plain_name, ran)) else ["/".join(filter(None, ran)) or "nobody is named"]
    strange += [name for name in _hands(run) if plain_name(name) not in {*known, *map(plain_name, ran)}]
    look = [f"who ran this is not a known person: {name}" for name in dict.fromkeys(strange)]
    question = "Is it certain who ran it, and that none of them approves it?"
    return [Item("persons", question, "look", "; ".join(look))] if look else []


def names_of(people: Iterable[User]) -> set[str]:
    """The names by which persons are known in a run: id, printed name, account; without what makes spellings differ."""
    return {plain_name(name) for one in people for name in (one.id, one.name, one.account)} - {""}


def origin_of(path: Path) -> Origin:
    """Where the data come from."""
    with Run.open(path) as run:
        return run.origin


def authors_of(path: Path) -> set[str]:
    """Who made a run: the person that it names, the account under which it ran, and whoever had a hand in it.

    A hand is an answer, an override, a pause, a reset or any other command; who only left a note had none.
    """
    with Run.open(path) as run:
        names = [str(run.session.get(name) or "") for name in ("user", "os_account")] + _hands(run)
    return set(map(plain_name, names)) - {""}


def _hands(run: Run) -> list[str]:
    """The persons of events in which they had a hand, in their order."""
    acts = [
        event.fields
        for event in run.events
        if event.kind not in ("note", "lease") and event.fields.get("command") != "note"
    ]
    names = [fields.get(name) for fields in acts for name in ("person", "second_person")]
    return [str(name) for name in names if name]
