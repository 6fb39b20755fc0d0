"""Seals with a key, the register, persons, signatures and the audit trail: what is changed shows, and says what."""

from __future__ import annotations

import json
import random
import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import h5py
import pytest

from bench.catalogue import opened
from bench.cli import cli, main
from bench.closing import close_run
from bench.trust import ledger, users
from bench.trust.audit import check_trail
from bench.trust.clock import accept_clock
from bench.trust.keys import UNMEASURED, bench_key, known_keys, revoke, trust
from bench.trust.ledger import AUDIT, REGISTER, TrustError, rows_of, unclosed
from bench.trust.register import begin
from bench.trust.signing import Answer, checklist, restore, review_state, sign
from bench.trust.standing import standing, take_in
from benchmarks.tamper import HEADER, KINDS, alter, measured_run
from data.audit import add_row
from data.catalogue.entry import read_entry
from data.fold import fold
from data.keys import SigningKey, canonical, digest_of, is_signed, key_id
from data.seal import MAGIC, examine, read_seal, room_of, seal
from data.signatures import check_rows, sidecar, write_rows

QA, ENGINEER = "correct horse battery", "another long word"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrapped keys that cost little, and a look at a file in this process."""
    monkeypatch.setattr(users, "SCRYPT_N", 16)
    monkeypatch.setattr("bench.trust.standing.verify", examine)
    monkeypatch.setattr("bench.trust.signing.verify", examine)


@pytest.fixture
def folder(tmp_path: Path, sealed_bench: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(sealed_bench, tmp_path / "bench")
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "bench" / "home"))
    return tmp_path / "bench"


@pytest.fixture
def run(folder: Path) -> Path:
    return folder / "run.h5"


@pytest.fixture
def home(folder: Path) -> Path:
    return folder / "home"


def accepted(run: Path) -> dict[str, Answer]:
    return {item.key: Answer(True, "looked at") for item in checklist(run)}


def later(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    now = ledger.now
    monkeypatch.setattr(ledger, "now", lambda: now() + timedelta(days=days))


# ------------------------------------------------------------------------------------------------ seal, register


def test_a_run_is_sealed_by_the_key_for_its_origin_and_registered(run: Path, home: Path) -> None:
    found = standing(run, home)
    assert (found.state, found.registered) == ("intact", "run 1 of station lab")
    assert "this bench" in found.sealed_by
    assert "for measured runs" in found.sealed_by
    assert run.read_bytes()[:1024].startswith(MAGIC)


def test_the_key_is_for_this_account_alone(home: Path) -> None:
    assert (home / "trust" / "bench.pem").stat().st_mode & 0o077 == 0


def test_a_file_sealed_before_there_were_keys_is_intact_without_one(home: Path) -> None:
    found = standing(Path(__file__).parents[1] / "runs" / "read-out-1.h5", home)
    assert found.intact
    assert found.sealed_by.startswith("no key")


def test_a_run_of_an_unknown_bench_is_unregistered_until_its_key_is_trusted(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert standing(run, other).state == "unregistered"
    trust(other, str(read_seal(run)["key"]), "lab 1", "bench", "letter of 1 March")
    found = standing(run, other)
    assert found.state == "intact"
    assert review_state(run, other) == "unproven"  # its signers are not known there


def test_a_run_that_the_register_lost_is_intact_content_unregistered(run: Path, home: Path) -> None:
    for name in ("register.jsonl", "register.head"):
        (home / "trust" / name).unlink()
    found = standing(run, home)
    assert found.state == "unregistered"
    assert "not in its register" in found.problems[0]


def test_a_simulated_run_that_claims_to_be_measured_is_altered(folder: Path, home: Path) -> None:
    again = fold(folder / "run.journal", folder / "again.h5")
    seal(again, bench_key(home, UNMEASURED))
    found = standing(again, home)
    assert found.state == "altered"
    assert any("its seal is of the key for runs that are not measured" in problem for problem in found.problems)


def test_a_file_in_place_of_another_is_altered_whoever_sealed_it(run: Path, folder: Path, home: Path) -> None:
    run.unlink()
    sidecar(run).unlink()
    seal(fold(folder / "run.journal", run), bench_key(home))
    found = standing(run, home)
    assert found.state == "altered"
    assert any("registered with another seal" in problem for problem in found.problems)


def test_a_run_made_again_from_its_journal_keeps_its_number(folder: Path, home: Path) -> None:
    again = close_run(folder / "run.journal", folder / "again.h5").run_file
    assert standing(again, home).registered == "run 1 of station lab"


def begun(home: Path, folder: Path, run_id: str) -> Path:
    """A run that was killed: it has its number, and its journal is there."""
    journal = folder / f"{run_id}.journal"
    journal.write_bytes((folder / "run.journal").read_bytes())
    assert begin(home, {**HEADER, "run_id": run_id}, journal) == ""
    return journal


def test_a_killed_run_has_a_number_that_no_other_gets_and_is_listed_and_asked_for(
    run: Path, folder: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = begun(home, folder, "r-2")
    third = measured_run(folder, name="third", people=False, run_id="r-3")
    assert standing(third, home).registered == "run 3 of station lab"
    attempts = next(item for item in checklist(run) if item.key == "attempts")
    assert "run 2: began and was never closed" in attempts.text
    assert said("register", "list") == 0
    assert re.search(r"lab +2 .* not closed .*r-2.journal\n", capsys.readouterr().out)
    journal.unlink()
    assert any("run 2 of station lab began" in text for text in check_trail(home).remarks)


def test_a_recovered_run_has_the_number_that_it_began_with(folder: Path, home: Path) -> None:
    begun(home, folder, "r-2")
    measured_run(folder, name="third", people=False, run_id="r-3")
    again = measured_run(folder, name="recovered", people=False, run_id="r-2")
    assert standing(again, home).registered == "run 2 of station lab"
    assert unclosed(rows_of(home, REGISTER)[0]) == []
    assert check_trail(home).problems == []


def test_a_number_that_is_missing_in_the_register_is_noticed(run: Path, home: Path, folder: Path) -> None:
    path = home / "trust" / REGISTER
    row = {"kind": "run", "station": "lab", "run_number": 3, "run_id": "r-3"}
    add_row(path, row, "2026-11-21T10:00:00+00:00", bench_key(home))
    assert any("run numbers of station lab have a gap" in problem for problem in standing(run, home).problems)


def test_a_run_is_closed_where_no_state_can_be_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "file" / "home"))
    closed = close_run(folder / "run.journal", folder / "again.h5")
    assert closed.untrusted.startswith("the run is sealed without a key")
    assert closed.verification.intact


def test_a_lost_key_is_replaced_and_what_it_sealed_is_still_known(run: Path, home: Path, folder: Path) -> None:
    (home / "trust" / "bench.pem").unlink()
    again = close_run(folder / "run.journal", folder / "again.h5").run_file
    assert standing(run, home).intact
    assert standing(again, home).intact
    assert [one.own for one in known_keys(home).values()].count(True) == 2
    assert any("was not there" in str(row["why"]) for row in rows_of(home, AUDIT)[0])


def test_a_key_that_is_restored_from_a_backup_seals_on_as_if_it_had_never_been_lost(home: Path, folder: Path) -> None:
    path = home / "trust" / "bench.pem"
    backup = path.read_bytes()
    path.unlink()
    second = measured_run(folder, name="second", people=False, run_id="r-2")
    path.write_bytes(backup)
    third = measured_run(folder, name="third", people=False, run_id="r-3")
    seals = [read_seal(one) or {} for one in (folder / "run.h5", second, third)]
    assert seals[0]["key"] == seals[2]["key"] != seals[1]["key"]
    assert all(standing(one, home).intact for one in (folder / "run.h5", second, third))
    assert check_trail(home).problems == []


def test_a_revoked_key_counts_for_what_was_registered_before(run: Path, home: Path) -> None:
    revoke(home, key_id(str(read_seal(run)["key"])), "a stolen computer")
    found = standing(run, home)
    assert found.intact
    assert "revoked" in found.sealed_by


# --------------------------------------------------------------------------------------------- persons, signatures


def test_a_reviewed_run_is_approved_by_qa_and_is_still_intact(run: Path, home: Path) -> None:
    assert review_state(run) == "reviewed"
    row = sign(run, "quinn", QA, "approved", "all well", accepted(run))
    found = standing(run, home)
    assert found.state == "intact"
    assert review_state(run) == "approved"
    assert is_signed(row)
    assert {"name", "when", "meaning", "reason", "content", "run_id", "previous", "key", "checklist"} <= set(row)


def test_the_catalogue_hears_of_a_signature(run: Path, home: Path) -> None:
    with opened(make=True) as catalogue:
        catalogue.add([read_entry(run)])
    sign(run, "quinn", QA, "approved", "all well", accepted(run))
    with opened() as catalogue:
        assert [line.review for line in catalogue.runs()] == ["approved"]


def test_a_catalogue_that_cannot_be_reached_costs_no_signature_and_is_told(
    run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "home" / "catalogue.db").write_bytes(b"no database at all, but a text that is long enough")
    (folder / "quinn.txt").write_text(QA + "\n")
    words = ["--as", "quinn", "--meaning", "rejected", "--reason", "because", "--passphrase-file", folder / "quinn.txt"]
    assert said("sign", run, *words) == 0
    assert "the catalogue shows the state before" in capsys.readouterr().err
    assert review_state(run) == "rejected"


@pytest.mark.parametrize(
    ("recipe", "found", "text"),
    [
        ({}, "unknown", "no recipe was used"),
        (
            {"approved": True, "approved_by": "Quinn", "approved_when": "2026-11-20T10:00"},
            "ok",
            "by Quinn on 2026-11-20",
        ),
        ({"approved": False, "approval": "unsigned"}, "look", "did not count as approved (unsigned)"),
    ],
)
def test_the_checklist_says_what_recipe_was_used(
    folder: Path, home: Path, recipe: dict[str, object], found: str, text: str
) -> None:
    said = {"recipe": {"name": "basal", "version": "2", "sha256": "ab" * 32, **recipe}} if recipe else {}
    other = measured_run(folder, name="second", people=False, run_id="r-2", **said)
    item = next(item for item in checklist(other) if item.key == "recipe")
    assert item.found == found
    assert text in item.text


def test_an_addendum_returns_a_run_to_unreviewed(run: Path) -> None:
    sign(run, "olga", ENGINEER, "addendum", "the vessel was chipped")
    assert review_state(run) == "unreviewed"


@pytest.mark.parametrize(
    ("who", "word", "meaning", "says"),
    [
        ("olga", ENGINEER, "reviewed", "has the role operator"),
        ("eve", ENGINEER, "approved", "has the role engineer"),
        ("author", QA, "approved", "nobody approves the own run"),
        ("nobody", QA, "reviewed", 'there is no user "nobody"'),
        ("quinn", "wrong", "approved", "wrong passphrase"),
    ],
)
def test_who_may_not_sign_does_not(run: Path, who: str, word: str, meaning: str, says: str) -> None:
    before = run.read_bytes()
    with pytest.raises(TrustError, match=says):
        sign(run, who, word, meaning, "because", accepted(run))
    assert run.read_bytes() == before


def test_a_run_that_was_not_measured_is_not_approved(home: Path, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "simulated.h5"
    shutil.copy(Path(__file__).parents[1] / "runs" / "read-out-1.h5", path)
    with pytest.raises(TrustError, match="the run is simulated"):
        sign(path, "quinn", QA, "approved", "because", accepted(path))
    sign(path, "quinn", QA, "reviewed", "an old file, signed beside it", accepted(path))
    assert (review_state(path), standing(path, home).state) == ("reviewed", "intact")


def test_a_review_answers_the_whole_checklist_and_what_the_file_shows_with_a_note(run: Path) -> None:
    with pytest.raises(TrustError, match="checklist is not answered"):
        sign(run, "quinn", QA, "approved", "because")
    look = [item.key for item in checklist(run) if item.found == "look"]
    assert "overrides" in look
    with pytest.raises(TrustError, match="say in a note"):
        sign(run, "quinn", QA, "approved", "because", {**accepted(run), "overrides": Answer(True)})
    with pytest.raises(TrustError, match="not accepted"):
        sign(run, "quinn", QA, "approved", "because", {**accepted(run), "overrides": Answer(False, "no")})


def test_five_wrong_passphrases_lock_a_person_out_until_qa_lets_them_in(run: Path, home: Path) -> None:
    for _ in range(users.ATTEMPTS):
        with pytest.raises(TrustError):
            users.unlocked(home, "eve", "guess")
    with pytest.raises(TrustError, match="is locked out"):
        users.unlocked(home, "eve", ENGINEER)
    users.unlock(home, "eve", "came in person", users.user(home, "quinn"))
    assert users.unlocked(home, "eve", ENGINEER)[0].failures == 0
    assert check_trail(home).problems == []


def test_an_old_passphrase_signs_nothing_until_it_is_changed(
    run: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, 366)
    with pytest.raises(TrustError, match="older than a year"):
        sign(run, "quinn", QA, "rejected", "because")
    users.change_passphrase(home, "quinn", QA, "a fresh passphrase")
    sign(run, "quinn", "a fresh passphrase", "rejected", "because")
    assert review_state(run) == "rejected"


def test_what_a_retired_person_signed_stands_and_no_more_is_signed(run: Path, home: Path) -> None:
    users.retire(home, "eve", "left the company", users.user(home, "quinn"))
    assert review_state(run) == "reviewed"
    with pytest.raises(TrustError, match="was retired"):
        sign(run, "eve", ENGINEER, "rejected", "because")
    with pytest.raises(TrustError, match="ids are never given again"):
        users.add(home, "eve", "Another", "engineer", ENGINEER, by=users.user(home, "quinn"))


def test_only_qa_changes_users_and_one_qa_person_is_left(home: Path) -> None:
    with pytest.raises(TrustError, match="only a person with the role QA"):
        users.change_role(home, "eve", "QA", "because", users.user(home, "eve"))
    users.retire(home, "author", "left", users.user(home, "quinn"))
    with pytest.raises(TrustError, match="the last one with the role QA"):
        users.retire(home, "quinn", "left", users.user(home, "quinn"))


def test_a_forgotten_passphrase_gives_a_new_key_and_old_signatures_stand(run: Path, home: Path) -> None:
    users.new_key(home, "eve", "brand new passphrase", "forgotten", users.user(home, "quinn"))
    assert review_state(run) == "reviewed"
    sign(run, "eve", "brand new passphrase", "rejected", "looked again")
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


def test_a_file_restored_from_before_its_signature_gets_it_back(run: Path, folder: Path, home: Path) -> None:
    backup = {path: path.read_bytes() for path in (run, sidecar(run))}
    sign(run, "quinn", QA, "approved", "all well", accepted(run))
    for path, content in backup.items():
        path.write_bytes(content)
    found = standing(run, home)
    assert (found.state, review_state(run)) == ("altered", "unproven")
    assert "sign --restore" in found.problems[0]
    assert restore(run) == 2
    assert review_state(run) == "approved"


def test_a_state_folder_restored_from_before_a_run_says_so(run: Path, home: Path, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "backup")
    other = measured_run(folder, name="second", people=False, run_id="r-2")
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "backup", home)
    assert standing(run, home).intact
    assert standing(other, home).state == "unregistered"
    assert take_in(other, home, "restored from the backup of Monday") == "run 2 of station lab"
    assert standing(other, home).intact
    assert check_trail(home).problems == []


def test_a_file_that_another_program_rewrote_keeps_its_signatures(run: Path, home: Path) -> None:
    with h5py.File(run, "r+") as file:
        file["session"].create_dataset("x", data=range(3000))
    with h5py.File(run, "r+") as file:
        del file["session/x"]
    found = standing(run, home)
    assert (found.state, review_state(run)) == ("rewritten", "reviewed")


# ------------------------------------------------------------------------------------------------- audit, tampering


def test_the_trail_says_who_changed_what_from_what_to_what_and_why(home: Path) -> None:
    users.change_role(home, "eve", "QA", "trained on 3 May", users.user(home, "quinn"))
    row = rows_of(home, AUDIT)[0][-1]
    assert (row["who"], row["what"], row["why"]) == ("quinn", "user eve", "trained on 3 May")
    assert (row["old"]["role"], row["new"]["role"]) == ("engineer", "QA")
    assert row["when"][-6] in "+-"
    assert check_trail(home).problems == []


def test_a_file_that_changed_between_two_runs_and_an_override_are_noted(home: Path, folder: Path) -> None:
    before = len(rows_of(home, AUDIT)[0])
    measured_run(folder, name="second", people=False, run_id="r-2", station={"name": "lab", "instruments": {"x": {}}})
    rows = rows_of(home, AUDIT)[0][before:]
    assert [row["what"] for row in rows] == ["override rig-check", "station file lab"]
    assert rows[1]["old"]["digest"] != rows[1]["new"]["digest"]


def test_a_clock_that_was_set_back_is_told(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, -1)
    measured_run(folder, name="second", people=False, run_id="r-2")
    found = check_trail(home)
    assert found.problems == []
    assert any("set back by 8" in text for text in found.remarks)


@pytest.mark.parametrize("name", [AUDIT, REGISTER])
@pytest.mark.parametrize("how", ["edit", "remove", "swap", "cut off", "sign anew"])
def test_an_altered_log_is_noticed(home: Path, name: str, how: str) -> None:
    path = home / "trust" / name
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "edit":
        lines[0] = lines[0].replace(b'"when":"2', b'"when":"1')
    elif how == "remove":
        del lines[0]
    elif how == "swap":
        lines[0], lines[1] = lines[1], lines[0]
    elif how == "cut off":
        del lines[-1]
    else:
        row = {key: value for key, value in json.loads(lines[-1]).items() if key not in ("key", "signature")}
        forged = SigningKey.new().signed(row)
        lines[-1] = json.dumps(forged, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    assert check_trail(home).problems != []


@pytest.mark.parametrize("torn", [b"", b'{"number":99'], ids=["no head yet", "half a row"])
def test_a_log_whose_writer_was_killed_goes_on(home: Path, torn: bytes) -> None:
    path, head = home / "trust" / AUDIT, home / "trust" / "audit.head"
    before = head.read_bytes()
    users.change_role(home, "eve", "QA", "because", users.user(home, "quinn"))
    if torn:
        path.write_bytes(path.read_bytes() + torn)
    else:
        head.write_bytes(before)
    users.change_role(home, "eve", "engineer", "because", users.user(home, "quinn"))
    assert check_trail(home).problems == []


def test_a_log_that_lost_its_head_and_its_end_shows_it_when_it_has_grown_again(home: Path) -> None:
    path = home / "trust" / AUDIT
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    (home / "trust" / "audit.head").unlink()
    users.change_role(home, "eve", "QA", "because", users.user(home, "quinn"))
    assert any("row" in problem for problem in check_trail(home).problems)


def test_a_head_that_was_made_to_fit_a_shorter_log_is_noticed(home: Path) -> None:
    path = home / "trust" / AUDIT
    lines = path.read_bytes().splitlines(keepends=True)[:-2]
    path.write_bytes(b"".join(lines))
    said = {"rows": len(lines), "last": digest_of(json.loads(lines[-1]))}
    foreign = SigningKey.new().signed(said)
    for head in (said, foreign, {**foreign, "key": bench_key(home).public}):
        (home / "trust" / "audit.head").write_text(json.dumps(head))
        assert any("head" in problem for problem in check_trail(home).problems)


def test_a_log_that_was_made_anew_with_another_key_is_noticed(home: Path) -> None:
    path, foreign = home / "trust" / REGISTER, SigningKey.new()
    rows, _ = rows_of(home, REGISTER)
    path.unlink()
    path.with_suffix(".head").unlink()
    for row in rows:
        own = ("number", "previous", "when", "key", "signature")
        add_row(path, {name: value for name, value in row.items() if name not in own}, row["when"], foreign)
    problems = check_trail(home).problems
    assert [f"{REGISTER}: row {row['number']} was changed, or signed with a foreign key" for row in rows] == problems[
        :-1
    ]
    assert problems[-1] == f"{REGISTER}: its head was signed with a foreign key"


def test_a_person_who_was_changed_behind_the_trail_is_noticed(home: Path) -> None:
    path = home / "trust" / "users.json"
    path.write_text(path.read_text("utf-8").replace('"role": "operator"', '"role": "QA"'), "utf-8")
    assert any("user olga" in problem for problem in check_trail(home).problems)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_alteration_is_noticed(folder: Path, home: Path, kind: str) -> None:
    """Three of each kind here; a thousand in benchmarks/tamper.py."""
    pristine = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for seed in range(3):
        what = alter(folder, kind, random.Random(f"{kind} {seed}"))
        assert check_trail(home).problems or not standing(folder / "run.h5", home).intact, what
        for path, content in pristine.items():
            path.write_bytes(content)


def test_the_untouched_record_is_intact_and_its_logs_are_whole(run: Path, home: Path) -> None:
    assert standing(run, home).intact
    assert check_trail(home).problems == []


def test_signatures_show_by_themselves_that_one_before_was_removed_or_moved(run: Path) -> None:
    sign(run, "olga", ENGINEER, "addendum", "the vessel was chipped")
    first, second = examine(run).signatures
    known = (first["run_id"], first["content"], first["seal"])
    assert check_rows([first, second], *known) == []
    for rows in ([second], [second, first], [first, first]):
        assert any("removed, or their order" in problem for problem in check_rows(rows, *known))


def test_a_signature_given_later_in_place_of_one_before_the_last_is_noticed(run: Path, home: Path) -> None:
    sign(run, "olga", ENGINEER, "addendum", "the vessel was chipped")
    first, second = examine(run).signatures
    key = users.unlocked(home, "eve", ENGINEER)[1]
    other = key.signed({name: first[name] for name in first if name not in ("key", "signature")} | {"reason": "nicer"})
    found = check_rows([other, second], first["run_id"], first["content"], first["seal"])
    assert found == ["signature 2 (Olga Operator): one before it was removed, or their order was changed"]


@pytest.mark.parametrize("where", ["file", "sidecar"])
def test_signatures_that_say_the_same_in_other_bytes_are_noticed(run: Path, home: Path, where: str) -> None:
    if where == "sidecar":
        said = json.loads(sidecar(run).read_text("utf-8"))
        sidecar(run).write_text(json.dumps(said), "utf-8")
    else:
        offset, _ = room_of(read_seal(run) or {}) or (0, 0)
        text = run.read_bytes()
        end = text.index(b"\0", offset)
        run.write_bytes(text[:offset] + text[offset:end].replace(b"{", b"{ ", 1) + text[end + 1 :])
    found = standing(run, home)
    assert found.state == "altered"
    assert "was changed" in found.problems[0]


def slipped_in(run: Path, home: Path, role: str, key: SigningKey | None = None) -> None:
    """An approval that the engineer signs, and registers with the bench's key, past `sign`."""
    key, (first,) = key or users.unlocked(home, "eve", ENGINEER)[1], examine(run).signatures
    said = {name: value for name, value in first.items() if name not in ("key", "signature")}
    when = ledger.now().isoformat()
    claimed = {"number": 2, "previous": digest_of(first), "role": role, "meaning": "approved", "when": when}
    row = key.signed({**said, **claimed})
    add_row(home / "trust" / REGISTER, {"kind": "signature", "run_id": "r-1", "row": row}, when, bench_key(home))
    write_rows(run, room_of(read_seal(run) or {}), [first, row])


def test_a_role_that_a_person_had_not_is_noticed_whoever_let_the_signature_in(run: Path, home: Path) -> None:
    slipped_in(run, home, "QA")
    found = standing(run, home)
    assert (found.state, review_state(run)) == ("altered", "unproven")
    assert found.problems == ("signature 2: Eve Engineer was engineer at that time, and signed as QA",)
    users.change_role(home, "eve", "QA", "trained", users.user(home, "quinn"))
    assert standing(run, home).state == "altered"


def test_an_approval_by_who_may_not_approve_proves_nothing(run: Path, home: Path) -> None:
    slipped_in(run, home, "engineer")
    assert (standing(run, home).state, review_state(run)) == ("intact", "unproven")


def test_a_seal_that_was_made_to_fit_another_content_has_not_its_key_s_signature(run: Path, folder: Path) -> None:
    other = fold(folder / "run.journal", folder / "other.h5")
    with h5py.File(other, "r+") as file:
        file["entry/sensor/flow"][0] += 1.0
    seal(other, SigningKey.new())
    made, real = read_seal(other) or {}, read_seal(run) or {}
    forged = canonical({**made, "key": real["key"]})
    other.write_bytes((MAGIC + forged).ljust(1023) + b"\n" + other.read_bytes()[1024:])
    assert examine(other).problems == ("the seal was changed: its signature is not that of its key",)


def test_a_run_that_was_not_measured_is_sealed_with_the_key_for_such_runs(folder: Path, home: Path) -> None:
    other = measured_run(folder, name="second", people=False, run_id="r-2", origin="simulated")
    found = standing(other, home)
    assert (found.state, "for runs that are not measured" in found.sealed_by) == ("intact", True)


def test_a_registered_signature_by_a_key_that_is_nobody_s_is_noticed(run: Path, home: Path) -> None:
    slipped_in(run, home, "engineer", SigningKey.new())
    assert standing(run, home).problems == ("signature 2: the key is none of Eve Engineer's",)


def test_a_seal_that_says_the_same_in_other_bytes_is_noticed(run: Path) -> None:
    data = run.read_bytes()
    assert data[1000:1024].isspace()
    run.write_bytes(data[:1000] + b"\n" + data[1001:])
    assert examine(run).problems == ("the seal was changed",)


def test_the_signatures_of_another_run_are_noticed(folder: Path, home: Path, run: Path) -> None:
    other = measured_run(folder, name="second", people=False, run_id="r-2")
    write_rows(other, room_of(read_seal(other) or {}), examine(run).signatures)
    found = standing(other, home)
    assert found.state == "altered"
    assert "belongs to another file" in found.problems[0]


# ------------------------------------------------------------------------------------ rules that each have one test


@pytest.mark.parametrize(
    ("author", "account"),
    [("quinn", "x"), ("Quinn Example", "x"), ("QUINN", "x"), ("lab-pc", "x"), ("somebody", "lab-pc")],
    ids=["id", "printed name", "in other letters", "account as person", "account"],
)
def test_a_run_is_its_author_s_by_id_by_name_and_by_account(
    folder: Path, home: Path, author: str, account: str
) -> None:
    users.add(home, "pat", "Pat Quinn", "QA", QA, account="lab-pc", by=users.user(home, "quinn"))
    session = {"user": author, "os_account": account}
    other = measured_run(folder, name="second", people=False, run_id="r-2", session=session)
    who = "pat" if "lab-pc" in (author, account) else "quinn"
    with pytest.raises(TrustError, match="nobody approves the own run"):
        sign(other, who, QA, "approved", "because", accepted(other))


@pytest.mark.parametrize(
    ("meaning", "reason", "answers", "says"),
    [
        ("approved", "  ", {}, "the reason is missing"),
        ("certified", "because", {}, "is no meaning of a signature"),
        ("rejected", "because", {"weather": Answer(True)}, 'the checklist has no "weather"'),
    ],
)
def test_a_signature_that_says_nothing_known_is_not_given(
    run: Path, meaning: str, reason: str, answers: dict[str, Answer], says: str
) -> None:
    with pytest.raises(TrustError, match=says):
        sign(run, "quinn", QA, meaning, reason, answers)


def test_a_file_that_is_not_as_it_was_sealed_is_not_signed(run: Path, home: Path) -> None:
    with h5py.File(run, "r+") as file:
        file["entry/sensor/flow"][0] += 1.0
    before = len(rows_of(home, REGISTER)[0])
    with pytest.raises(TrustError, match="is altered, so it is not signed"):
        sign(run, "quinn", QA, "rejected", "because")
    assert len(rows_of(home, REGISTER)[0]) == before


def test_who_looked_at_a_run_before_another_signed_it_looks_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unlocked = users.unlocked

    def meanwhile(*words: Any) -> Any:
        monkeypatch.setattr("bench.trust.signing.unlocked", unlocked)
        sign(run, "eve", ENGINEER, "rejected", "I was first")
        return unlocked(*words)

    monkeypatch.setattr("bench.trust.signing.unlocked", meanwhile)
    with pytest.raises(TrustError, match="somebody has signed it in this moment"):
        sign(run, "quinn", QA, "rejected", "because")
    assert [row["user"] for row in examine(run).signatures] == ["eve", "eve"]


def test_a_run_whose_room_for_signatures_is_used_up_is_not_signed_and_says_so(run: Path, home: Path) -> None:
    before = len(rows_of(home, REGISTER)[0])
    with pytest.raises(ValueError, match="no room for more signatures"):
        sign(run, "quinn", QA, "rejected", "long " * 20000)
    assert len(rows_of(home, REGISTER)[0]) == before
    assert standing(run, home).intact


def test_a_signature_that_the_register_does_not_know_is_told_and_not_thrown_away(
    run: Path, home: Path, tmp_path: Path
) -> None:
    shutil.copytree(home, tmp_path / "backup")
    sign(run, "quinn", QA, "rejected", "because")
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "backup", home)
    found = standing(run, home)
    assert (found.state, review_state(run)) == ("unregistered", "unproven")
    assert "signature 2 (Quinn Example) is not in the register" in found.problems
    with pytest.raises(TrustError, match="the signature of Quinn Example is not in the register"):
        restore(run)


def test_signatures_are_restored_only_into_the_file_that_was_signed(folder: Path, run: Path, tmp_path: Path) -> None:
    other = fold(folder / "run.journal", tmp_path / "other.h5")
    seal(other)
    with pytest.raises(TrustError, match="is not registered here"):
        restore(other)


def test_a_revoked_key_makes_no_new_run_count_and_is_replaced(run: Path, folder: Path, home: Path) -> None:
    stolen = bench_key(home)
    revoke(home, key_id(stolen.public), "a stolen computer")
    other = fold(folder / "run.journal", folder / "other.h5")
    with h5py.File(other, "r+") as file:
        del file["session/run_id"]
        file["session/run_id"] = "r-9"
    seal(other, stolen)
    found = standing(other, home)
    assert found.state == "unregistered"
    assert "which was revoked (a stolen computer)" in found.problems[0]
    with pytest.raises(TrustError, match="only what a key that counts here has sealed"):
        take_in(other, home, "because")
    assert bench_key(home).public != stolen.public


def test_only_what_the_register_has_lost_is_taken_in_again(run: Path, home: Path) -> None:
    with pytest.raises(TrustError, match="is run 1 of station lab; nothing was registered"):
        take_in(run, home, "because")


def test_a_key_is_revoked_by_a_name_that_means_one(home: Path) -> None:
    bench_key(home, UNMEASURED)
    for name in ("", "nonsense"):
        with pytest.raises(TrustError, match=r"there are [02] keys"):
            revoke(home, name, "because")


@pytest.mark.parametrize(
    ("begin", "until", "says"),
    [(-1, 1, ""), (-1, 0, "at the time"), (-2, -1, "at the time"), (1, 2, "at the time"), (1, None, "at the time")],
)
def test_a_key_is_a_person_s_from_when_it_was_given_until_it_was_taken(
    home: Path, begin: int, until: int | None, says: str
) -> None:
    when, eve = ledger.now(), users.user(home, "eve")
    known = [None if day is None else when + timedelta(days=day, seconds=-1) for day in (begin, until)]
    days = ["" if day is None else day.isoformat() for day in known]
    keys = [{**eve.keys[0], **dict(zip(("from", "until"), days, strict=True))}]
    row = {"user": "eve", "name": "Eve", "key": eve.keys[0]["public"], "when": when.isoformat()}
    assert says in users.signed_by({"eve": replace(eve, keys=keys)}, row)
    assert bool(says) == bool(users.signed_by({"eve": replace(eve, keys=keys)}, row))


def test_a_key_that_was_never_a_person_s_signs_nothing_for_them(home: Path) -> None:
    row = {"user": "eve", "name": "Eve", "key": SigningKey.new().public, "when": ledger.now().isoformat()}
    assert "is none of Eve Engineer's" in users.signed_by(users.users(home), row)


def test_a_right_passphrase_lets_the_wrong_ones_before_it_be_forgotten(home: Path) -> None:
    for _ in range(2):
        for _ in range(users.ATTEMPTS - 1):
            with pytest.raises(TrustError):
                users.unlocked(home, "eve", "guess")
        assert users.unlocked(home, "eve", ENGINEER)[0].id == "eve"


def test_who_may_not_add_a_person_does_not(home: Path, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="the first user lets in all others"):
        users.add(tmp_path / "new", "eve", "Eve", "engineer", ENGINEER)
    for by in (None, users.user(home, "eve")):
        with pytest.raises(TrustError, match="only a person with the role QA"):
            users.add(home, "new", "New", "engineer", ENGINEER, by=by)


def test_a_retired_person_changes_nobody_and_is_not_changed(home: Path) -> None:
    quinn, author = users.user(home, "quinn"), users.user(home, "author")
    gone = users.retire(home, "author", "left", quinn)
    for who, name in ((gone, "eve"), (quinn, "author")):
        with pytest.raises(TrustError, match=r"only a person with the role QA|was retired on"):
            users.change_role(home, name, "operator", "because", who)
    assert author.role == "QA"
    with pytest.raises(TrustError, match="say why"):
        users.change_role(home, "eve", "QA", " ", quinn)


def test_a_passphrase_is_long_and_a_new_one_is_another(home: Path) -> None:
    with pytest.raises(TrustError, match="fewer than 10 characters"):
        users.change_passphrase(home, "eve", ENGINEER, "short")
    with pytest.raises(TrustError, match="is the old one"):
        users.change_passphrase(home, "eve", ENGINEER, ENGINEER)


# ------------------------------------------------------------------------------------------------- the command line


def said(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert isinstance(end.value.code, int)
    return end.value.code


def test_a_run_is_signed_and_verified_from_the_command_line(
    run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "quinn.txt").write_text(QA + "\n")
    answers = [word for item in checklist(run) for word in ("--answer", f"{item.key}=yes: looked at")]
    words = [
        "--as",
        "quinn",
        "--meaning",
        "approved",
        "--reason",
        "all well",
        "--passphrase-file",
        folder / "quinn.txt",
    ]
    assert said("sign", run, *words, *answers) == 0
    capsys.readouterr()
    assert said("verify", run, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["review"]) == ("intact", "approved")
    assert found["signatures"][-1]["name"] == "Quinn Example"
    assert said("audit", "verify") == 0


def test_the_exit_code_of_a_run_that_nobody_vouches_for_is_1(
    run: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "trust" / REGISTER).unlink()
    assert said("verify", run) == 1
    assert "intact content, unregistered" in capsys.readouterr().out
    assert said("audit", "verify") == 1


def test_a_passphrase_is_no_option_of_any_command() -> None:
    for name in ("sign", "users"):
        command = cli.get_command(click.Context(cli), name)
        commands = command.commands.values() if isinstance(command, click.Group) else [command]
        options = {option for each in commands if each for param in each.params for option in param.opts}
        assert {option for option in options if "passphrase" in option} <= {
            "--passphrase-file",
            "--by-passphrase-file",
            "--old-passphrase-file",
        }
