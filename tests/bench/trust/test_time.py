"""What time does to trust: a clock that is set back or was ahead, and a passphrase that grows old."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bench.trust import ledger, users
from bench.trust.audit import check_trail
from bench.trust.clock import accept_clock
from bench.trust.keys import UNMEASURED, bench_key, revoke
from bench.trust.ledger import AUDIT, REGISTER, TrustError, rows_of
from bench.trust.review import review_state
from bench.trust.signing import sign
from bench.trust.standing import standing
from benchmarks.tamper import ENGINEER, QA, measured_run
from data.keys import key_id


def later(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    now = ledger.now
    monkeypatch.setattr(ledger, "now", lambda: now() + timedelta(days=days))


def test_an_old_passphrase_signs_nothing_until_it_is_changed(
    run: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, 366)
    with pytest.raises(TrustError, match="older than a year"):
        sign(run, "quinn", QA, "rejected", "because")
    users.change_passphrase(home, "quinn", QA, "a fresh passphrase")
    sign(run, "quinn", "a fresh passphrase", "rejected", "because")
    assert review_state(run) == "rejected"


def test_nothing_is_signed_when_the_clock_was_set_back(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, -2)
    with pytest.raises(TrustError, match="set the clock right"):
        sign(run, "quinn", QA, "rejected", "because")


def test_a_clock_that_was_ahead_stops_signing_until_qa_says_that_it_was(
    run: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quinn = users.user(home, "quinn")
    with pytest.raises(TrustError, match="behind no row"):
        accept_clock(home, "because", quinn)
    with monkeypatch.context() as ahead:
        later(ahead, 30)
        users.new_key(home, "eve", "brand new passphrase", "forgotten", quinn)
    with pytest.raises(TrustError, match="audit accept-clock"):
        sign(run, "quinn", QA, "rejected", "because")
    for by, why, says in ((users.user(home, "eve"), "a flat battery", "role QA"), (quinn, " ", "say why")):
        with pytest.raises(TrustError, match=says):
            accept_clock(home, why, by)
    accept_clock(home, "a flat battery", quinn)
    sign(run, "quinn", QA, "rejected", "because")
    assert review_state(run) == "rejected"
    row = next(row for row in rows_of(home, AUDIT)[0] if row["what"] == "clock")
    assert (row["who"], row["why"]) == ("quinn", "a flat battery")
    with pytest.raises(TrustError, match=r"not Eve Engineer's at the time.*a QA person gives a new one"):
        sign(run, "eve", "brand new passphrase", "rejected", "because")
    assert (standing(run, home).state, check_trail(home).problems) == ("intact", [])


def test_a_clock_that_was_accepted_and_is_set_back_again_stops_signing_again(
    run: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as ahead:
        later(ahead, 30)
        revoke(home, key_id(bench_key(home, UNMEASURED).public), "because")
    accept_clock(home, "a flat battery", users.user(home, "quinn"))
    later(monkeypatch, -2)
    with pytest.raises(TrustError, match="set the clock right"):
        sign(run, "quinn", QA, "rejected", "because")


def test_a_clock_that_was_set_back_is_told(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, -1)
    measured_run(folder, name="second", people=False, run_id="r-2")
    found = check_trail(home)
    assert found.problems == []
    assert any("set back by 8" in text for text in found.remarks)


def test_a_role_given_while_the_clock_was_ahead_is_signed_in_once_the_clock_is_accepted(
    run: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quinn = users.user(home, "quinn")
    with monkeypatch.context() as ahead:
        later(ahead, 30)
        users.change_role(home, "eve", "QA", "promoted", quinn)
    accept_clock(home, "a flat battery", quinn)
    sign(run, "eve", ENGINEER, "rejected", "because")
    assert (standing(run, home).state, review_state(run)) == ("intact", "rejected")
    sign(run, "quinn", QA, "rejected", "I agree")


def test_what_was_signed_while_the_clock_was_ahead_stands_when_the_role_changes_after_it_was_accepted(
    run: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quinn = users.user(home, "quinn")
    with monkeypatch.context() as ahead:
        later(ahead, 30)
        sign(run, "eve", ENGINEER, "rejected", "because")
    accept_clock(home, "a flat battery", quinn)
    users.change_role(home, "eve", "QA", "promoted", quinn)
    assert (standing(run, home).state, review_state(run)) == ("intact", "rejected")


def test_nobody_signs_in_a_role_that_the_trail_dates_after_the_signature(
    run: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = ledger.now()
    with monkeypatch.context() as ahead:
        ahead.setattr(ledger, "now", lambda: moment + timedelta(seconds=0.9))
        users.change_role(home, "eve", "QA", "promoted", users.user(home, "quinn"))
    monkeypatch.setattr(ledger, "now", lambda: moment)
    before, rows = run.read_bytes(), len(rows_of(home, REGISTER)[0])
    with pytest.raises(TrustError, match="Eve Engineer was engineer at that time, and signed as QA"):
        sign(run, "eve", ENGINEER, "rejected", "because")
    assert (run.read_bytes(), len(rows_of(home, REGISTER)[0])) == (before, rows)
    assert standing(run, home).intact
