"""Rows of the register and the audit trail that no key of this bench has signed: nobody believes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.trust.audit import check_trail
from bench.trust.ledger import AUDIT, REGISTER, TrustError
from bench.trust.register import registered
from bench.trust.review import review_state
from bench.trust.signing import Answer, checklist, sign
from bench.trust.standing import standing
from benchmarks.tamper import ENGINEER, QA
from data import audit
from data.audit import add_row
from data.keys import SigningKey, canonical, digest_of
from data.seal import examine, read_seal, room_of
from data.signatures import write_rows

WHEN = "2026-11-22T10:00:00+00:00"


def made_anew(log: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """A log with some of its rows, chained and signed with a key that somebody has just made."""
    key, previous, lines = SigningKey.new(), "", []
    for row in filter(keep, map(json.loads, log.read_text().splitlines())):
        said = {name: value for name, value in row.items() if name not in ("key", "signature")}
        signed = key.signed({**said, "number": len(lines) + 1, "previous": previous})
        previous = digest_of(signed)
        lines.append(canonical(signed) + b"\n")
    log.write_bytes(b"".join(lines))
    log.with_suffix(".head").write_bytes(canonical(key.signed({"rows": len(lines), "last": previous})))


def test_a_rejection_is_not_gone_with_a_register_that_was_made_anew(run: Path, home: Path) -> None:
    before = examine(run).signatures
    sign(run, "quinn", QA, "rejected", "bad")
    made_anew(home / "trust" / REGISTER, lambda row: row.get("row", {}).get("meaning") != "rejected")
    write_rows(run, room_of(read_seal(run) or {}), before)
    found = standing(run, home)
    assert (found.state, review_state(run), found.registered) == ("unregistered", "unproven", "")
    assert "register.jsonl: row 1 was signed with a foreign key" in found.problems
    assert "register.jsonl: its head was signed with a foreign key" in found.problems
    with pytest.raises(TrustError, match="is unregistered, so it is not signed"):
        sign(run, "quinn", QA, "rejected", "bad")


def test_a_row_that_a_foreign_key_added_to_the_register_is_flagged_and_not_taken(run: Path, home: Path) -> None:
    log, key = home / "trust" / REGISTER, SigningKey.new()
    seal = read_seal(run) or {}
    run_id = str(seal["run_id"])
    row = {**examine(run).signatures[0], "meaning": "approved"}
    add_row(log, {"kind": "signature", "run_id": run_id, "row": row}, WHEN, key)
    here = registered(home, run_id)
    assert [one["meaning"] for one in here.signatures] == ["reviewed"]
    assert any("signed with a foreign key" in problem for problem in here.problems)


def test_a_row_that_only_names_a_known_key_is_not_taken(run: Path, home: Path) -> None:
    log = home / "trust" / REGISTER
    run_id = str((read_seal(run) or {})["run_id"])
    lines = log.read_text().splitlines()
    row = json.loads(lines[-1]) | {"number": len(lines) + 1, "previous": digest_of(json.loads(lines[-1]))}
    log.write_text("\n".join([*lines, canonical(row).decode()]) + "\n")
    here = registered(home, run_id)
    assert len(here.signatures) == 1
    assert f"register.jsonl: row {len(lines) + 1} was changed" in here.problems


@pytest.mark.parametrize("anew", [False, True])
def test_who_wrote_another_role_into_list_and_trail_signs_nothing_with_it(run: Path, home: Path, anew: bool) -> None:
    people, trail = home / "trust" / "users.json", home / "trust" / AUDIT
    said = json.loads(people.read_text())
    said["olga"]["role"] = "QA"
    people.write_text(json.dumps(said))
    lines = [
        line.replace('"role":"operator"', '"role":"QA"') if '"user olga"' in line else line
        for line in trail.read_text().splitlines()
    ]
    trail.write_text("\n".join(lines) + "\n")
    if anew:
        made_anew(trail, lambda row: True)
    before = run.read_bytes()
    accepted = {item.key: Answer(True, "looked at") for item in checklist(run)}
    with pytest.raises(TrustError, match=r"not signed|nothing is signed"):
        sign(run, "olga", ENGINEER, "approved", "because", accepted)
    assert run.read_bytes() == before
    assert review_state(run) == "unproven", "nobody can tell any more what role the first signer had"


def test_nothing_is_signed_while_the_trail_does_not_hold(run: Path, home: Path) -> None:
    people = home / "trust" / "users.json"
    said = json.loads(people.read_text())
    said["olga"]["role"] = "engineer"
    people.write_text(json.dumps(said))
    with pytest.raises(TrustError, match=r"does not hold: user olga was changed.*audit verify"):
        sign(run, "quinn", QA, "rejected", "because")


def test_a_long_register_is_proven_once(run: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = home / "trust" / REGISTER
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    lines, previous = [canonical(row) for row in rows], digest_of(rows[-1])
    for number in range(len(rows) + 1, 40_001):
        row = {**rows[0], "kind": "checkpoint", "run_id": "another", "number": number, "previous": previous}
        lines.append(canonical(row))
        previous = hashlib.sha256(lines[-1]).hexdigest()
    log.write_bytes(b"\n".join(lines) + b"\n")
    log.with_suffix(".head").unlink()
    proven = []
    monkeypatch.setattr(audit, "is_signed", lambda row: proven.append(row) or True)
    check_trail(home)
    assert len(proven) > 40_000
    proven.clear()
    registered(home, "r-1")
    check_trail(home)
    assert len(proven) < 100
