"""A problem of the trail that nobody can mend any more: QA accepts it, and it is said ever after."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.trust import users
from bench.trust.acceptance import accept_problem
from bench.trust.audit import check_trail
from bench.trust.ledger import AUDIT, REGISTER, TrustError, rows_of
from bench.trust.signing import Answer, checklist, sign
from benchmarks.tamper import QA
from data.audit import add_row
from data.keys import SigningKey

WHEN = "2026-11-22T10:00:00+00:00"


@pytest.fixture
def damaged(home: Path) -> str:
    """A list in which a person's name was written over by hand; what is said of it."""
    people = home / "trust" / "users.json"
    people.write_text(people.read_text().replace("Olga Operator", "Olga O."))
    (problem,) = check_trail(home).problems
    assert problem.startswith("user olga was changed")
    return problem


def test_signing_goes_on_once_qa_has_accepted_what_cannot_be_mended(
    run: Path, home: Path, damaged: str, tmp_path: Path, said: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TrustError, match=r"does not hold.*audit accept"):
        sign(run, "quinn", QA, "rejected", "because")
    secret = tmp_path / "quinn"
    secret.write_text(QA)
    who = ("--by", "quinn", "--by-passphrase-file", secret)
    assert said("audit", "accept", 1, "--reason", "a bad sector; compared with the backup of May", *who) == 0
    sign(run, "quinn", QA, "rejected", "because")
    capsys.readouterr()
    assert said("audit", "verify") == 0
    shown = capsys.readouterr().out
    assert f"(a bad sector; compared with the backup of May): {damaged}" in shown
    assert "accepted by quinn on " in shown
    assert "whole, but for what QA accepted" in shown


def test_what_is_found_after_that_stops_signing_again(run: Path, home: Path, damaged: str) -> None:
    quinn = users.user(home, "quinn")
    accept_problem(home, 1, "typed there by hand", quinn)
    assert not check_trail(home).problems
    people = home / "trust" / "users.json"
    people.write_text(people.read_text().replace("Olga O.", "Olga Q."))
    with pytest.raises(TrustError, match="user olga was changed"):
        sign(run, "quinn", QA, "rejected", "because", {one.key: Answer(True, "seen") for one in checklist(run)})


def test_a_log_that_was_damaged_is_not_accepted(home: Path) -> None:
    log = home / "trust" / REGISTER
    log.write_text(log.read_text().replace('"station":"', '"station":"x', 1))
    with pytest.raises(TrustError, match="nobody accepts a damaged log; restore it from a backup"):
        accept_problem(home, 1, "a bad sector", users.user(home, "quinn"))


def test_only_qa_accepts_with_a_reason_and_what_is_there(home: Path, damaged: str) -> None:
    quinn, eve = (users.user(home, name) for name in ("quinn", "eve"))
    for number, why, by, says in (
        (1, " ", quinn, "say what happened"),
        (1, "because", eve, "role QA"),
        (99, "because", quinn, "99 is no problem of the trail, there are 1"),
    ):
        with pytest.raises(TrustError, match=says):
            accept_problem(home, number, why, by)
    assert not [row for row in rows_of(home, AUDIT)[0] if row.get("what") == "problem"]


def test_nobody_accepts_what_is_about_themselves(home: Path) -> None:
    people = home / "trust" / "users.json"
    there = json.loads(people.read_text())
    there["quinn"]["name"] = "Quentin"
    people.write_text(json.dumps(there))
    with pytest.raises(TrustError, match=r"about Quentin.*another QA person"):
        accept_problem(home, 1, "a typing error", users.user(home, "quinn"))


def test_who_is_qa_in_the_list_alone_accepts_nothing(home: Path, damaged: str) -> None:
    people = home / "trust" / "users.json"
    there = json.loads(people.read_text())
    there["eve"]["role"] = "QA"
    people.write_text(json.dumps(there))
    with pytest.raises(TrustError, match="was engineer at that time"):
        accept_problem(home, 1, "because", users.user(home, "eve"))


def test_a_row_that_a_foreign_key_or_no_qa_person_added_accepts_nothing(home: Path, damaged: str) -> None:
    before = check_trail(home).problems
    row = {"who": "quinn", "account": "", "what": "problem", "old": None, "new": damaged, "why": "because"}
    add_row(home / "trust" / AUDIT, row, WHEN, SigningKey.new())
    assert set(before) <= set(check_trail(home).problems)
    assert not check_trail(home).accepted
