"""The audit trail: what persons and runs changed, in rows that are never removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.trust.keys import known_keys, note
from bench.trust.ledger import AUDIT, PROBLEM, REGISTER, read_json, rows_of, unclosed
from data.audit import Row, forged
from data.keys import SigningKey, digest_of, is_signed, key_id
from data.run import Run

FILES = ("station", "dut", "catheter", "fluid")
"""What a run takes from files, and may find changed since the run before it."""

LIVED = ("punctures", "battery_v", "custody")
"""Facts of a device under test that change from run to run by themselves."""

PASSING = ("wrapped", "failures")
"""Facts of a person that the trail does not hold."""

CLOCK_STEP_S = 1.0


def decisions(home: Path, key: SigningKey, run: Run) -> None:
    """Note who let a run start although a finding stood against it, and who took what out of what is judged.

    The caller holds the folder.
    """
    taken = [(f"override {event.fields['finding']}", event.fields) for event in run.records("override")]
    for event in run.records("exclusion"):
        from_s, to_s = (float(event.fields[side]) for side in ("from_s", "to_s"))
        taken.append((f"exclusion {from_s:.10g} s to {to_s:.10g} s", event.fields))
    for what, fields in taken:
        note(home, key, what, str(fields["reason"]), new=run.session.get("run_id"), who=str(fields["person"]))


def changed_files(home: Path, key: SigningKey, run: Run) -> None:
    """Note each file that says another thing than when a run used it last.  The caller holds the folder."""
    rows, _ = rows_of(home, AUDIT)
    last = {row["what"]: row["new"] for row in rows if "what" in row}
    who, why = str(run.session.get("user", "")), f"used by run {run.session.get('run_id')}"
    for kind in FILES:
        said = {name: value for name, value in getattr(run, kind).items() if name not in LIVED}
        if not said:
            continue
        what = f"{kind} file {_name(kind, said)}"
        stated = {name: digest_of({"": value}) for name, value in said.items()}
        new = {"digest": digest_of(stated), "keys": stated}
        old = last.get(what)
        if old is None or old["digest"] != new["digest"]:
            note(home, key, what, why, old=old, new=new, who=who)


@dataclass(frozen=True, slots=True)
class Trail:
    """What is wrong with the logs and lists of the state folder, and what is only to be said of them.

    Attributes
    ----------
    damage : of the logs themselves; only a backup mends it, or a log that is begun anew.
    others : what the logs and lists show that should not be.
    accepted : the row by which a QA person accepted each of the others that stays, by its sentence.
    """

    damage: Sequence[str]
    others: Sequence[str]
    remarks: Sequence[str]
    accepted: Mapping[str, Row]

    @property
    def problems(self) -> list[str]:
        """Nothing is signed while there is one."""
        return [*self.damage, *self.others]


def check_trail(home: Path) -> Trail:
    """Look through the audit trail and the register, and the keys and persons that the trail should have noted."""
    known = known_keys(home)
    damage, remarks = [], []
    for name in (AUDIT, REGISTER):
        rows, broken = rows_of(home, name)
        damage += broken + forged(home / "trust" / name, rows, known)
        remarks += _set_back(rows, name)
    rows, _ = rows_of(home, REGISTER)
    remarks += [_gone(row) for row in unclosed(rows) if not Path(row["path"]).exists()]
    remarks += [_altered(row) for row in rows if row.get("kind") == "altered"]
    trail = rows_of(home, AUDIT)[0]
    others = _two_journals(rows) + _unnoted(home) + _let_in(trail)
    taken = {problem: row for problem, row in _accepted(trail, known).items() if problem in others}
    return Trail(damage, [problem for problem in others if problem not in taken], remarks, taken)


def _accepted(trail: Sequence[Row], known: Mapping[str, object]) -> dict[str, Row]:
    """Problems that somebody accepted who was QA at that time, in a row that a key of this bench signed."""
    persons: dict[str, Mapping[str, Any]] = {}
    found: dict[str, Row] = {}
    for row in trail:
        kind, _, name = str(row.get("what")).partition(" ")
        if kind == "user" and isinstance(row.get("new"), Mapping):
            persons[name] = row["new"]
        elif kind == PROBLEM and isinstance(row.get("new"), str) and row.get("key") in known and is_signed(row):
            who = str(row.get("who"))
            person = persons.get(who, {})
            if person.get("role") == "QA" and not person.get("retired") and not names_person(row["new"], who):
                found.setdefault(row["new"], row)
    return found


def names_person(problem: str, who: str) -> bool:
    """Whether a problem is about a person, who does not accept it then."""
    words = problem.replace(",", " ").split()
    return any((before, word) in (("user", who), ("by", who)) for before, word in pairwise(words))


def _gone(row: Row) -> str:
    where = f"run {row['run_number']} of station {row['station']}"
    return f"{REGISTER}: {where} began on {str(row['when'])[:10]}, was never closed, and {row['path']} is not there"


def _altered(row: Row) -> str:
    where = f"run {row['run_number']} of station {row['station']}"
    return f"{REGISTER}: {where}: {row['path']} was made from another journal on {row['when'][:10]}: {row['altered']}"


def _two_journals(rows: Sequence[Row]) -> list[str]:
    """Runs of which files were sealed that are not made from one journal."""
    first: dict[str, Row] = {}
    said = []
    for row in rows:
        if row.get("kind") != "run" or "journal" not in row:
            continue
        known = first.setdefault(str(row["run_id"]), row)
        if row["journal"] != known["journal"]:
            where = f"run {row['run_number']} of station {row['station']}"
            at = f"rows {known['number']} and {row['number']}"
            said.append(f"{REGISTER}: {where} was sealed from two journals, see {at}")
    return said


def _unnoted(home: Path) -> list[str]:
    """Keys and persons that are other than the trail last said."""
    rows, _ = rows_of(home, AUDIT)
    noted = {str(row.get("what")): row.get("new") for row in rows}
    keys, users = (read_json(home / "trust" / name) for name in ("keys.json", "users.json"))
    there = {f"key {key_id(public)}": entry for public, entry in keys.items()}
    there |= {f"user {name}": entry for name, entry in users.items()}
    named = {what for what in noted if what.startswith(("key ", "user "))}
    return [
        f"{what} was changed, added or removed, and the audit trail does not say so ({_now(there.get(what))})"
        for what in sorted({*there, *named})
        if lasting(there.get(what)) != lasting(noted.get(what))
    ]


def _now(entry: Mapping[str, Any] | None) -> str:
    """What is there, so that who accepts it accepts this and no later change."""
    return "it is gone" if entry is None else f"it is now {digest_of(lasting(entry) or {})[:12]}"


def _let_in(rows: Sequence[Row]) -> list[str]:
    """Persons who were added, or given a role, by nobody who was QA at that time, and ids that were given twice."""
    known: dict[str, Mapping[str, Any]] = {}
    said = []
    for row in rows:
        kind, _, name = str(row.get("what")).partition(" ")
        if kind != "user" or not isinstance(row.get("new"), Mapping):
            continue
        before, who = known.get(name), known.get(str(row.get("who")), {})
        is_added = row.get("old") is None
        where = f"{AUDIT}: row {row['number']}"
        if is_added and before is not None:
            said.append(f"{where} adds user {name}, whose id was given before")
        is_let_in = is_added or row["new"].get("role") != (before or row.get("old") or {}).get("role")
        if known and is_let_in and (who.get("role") != "QA" or who.get("retired")):
            did = "adds" if is_added else f"makes {row['new'].get('role')} of"
            said.append(f"{where} {did} user {name}, by {row.get('who')}, who was not QA at that time")
        known[name] = row["new"]
    return said


def lasting(entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What of a key or a person the trail notes: all but the wrapped key and the count of failed attempts."""
    return None if entry is None else {name: value for name, value in entry.items() if name not in PASSING}


def _set_back(rows: Sequence[Row], name: str) -> list[str]:
    """Where the computer's clock was set back."""
    said = []
    for before, after in pairwise(rows):
        try:
            back_s = (datetime.fromisoformat(before["when"]) - datetime.fromisoformat(after["when"])).total_seconds()
        except (KeyError, TypeError, ValueError):
            continue
        if back_s > CLOCK_STEP_S:
            said.append(f"{name}: the clock was set back by {back_s:.0f} s before row {after['number']}")
    return said


def _name(kind: str, said: Mapping[str, Any]) -> str:
    """What a file is about, as people call it."""
    parts = {"station": ("name",), "dut": ("model", "serial")}.get(kind, ("name", "model", "lot"))
    return " ".join(str(said[part]) for part in parts if said.get(part))
