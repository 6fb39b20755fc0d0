"""Reviews: who may sign what, what the checklist asks, and what signing leaves behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import h5py
import pytest

from bench.catalogue import opened
from bench.cli import cli
from bench.trust import users
from bench.trust.ledger import REGISTER, TrustError, rows_of
from bench.trust.register import enrol
from bench.trust.review import review_state
from bench.trust.signing import Answer, checklist, restore, sign
from bench.trust.standing import standing
from benchmarks.tamper import ENGINEER, QA, measured_run
from data.catalogue.entry import read_entry
from data.fold import fold
from data.keys import is_signed
from data.run import Run
from data.seal import examine, seal
from data.signatures import sidecar


def accepted(run: Path) -> dict[str, Answer]:
    return {item.key: Answer(True, "looked at") for item in checklist(run)}


def test_a_reviewed_run_is_approved_by_qa_and_is_still_intact(run: Path, home: Path) -> None:
    assert review_state(run) == "reviewed"
    row = sign(run, "quinn", QA, "approved", "all well", accepted(run))
    found = standing(run, home)
    assert found.state == "intact"
    assert review_state(run) == "approved"
    assert is_signed(row)
    assert {"name", "when", "meaning", "reason", "content", "run_id", "previous", "key", "checklist"} <= set(row)


def test_only_what_was_shown_is_signed(run: Path, folder: Path) -> None:
    with Run.open(run) as shown:
        seal = shown.seal
        measured_run(folder, name="second", people=False, run_id="r-2").replace(run)
        sidecar(run).unlink()
        with Run.open(run) as other:
            assert other.seal not in ("", seal)
    with pytest.raises(TrustError, match="another file was put there since it was shown"):
        sign(run, "quinn", QA, "rejected", "because", seal=seal)
    assert review_state(run) == "unreviewed"


def test_a_run_that_is_open_while_another_takes_its_place_has_not_the_seal_of_that_one(run: Path, folder: Path) -> None:
    with Run.open(run) as shown:
        measured_run(folder, name="second", people=False, run_id="r-2").replace(run)
        assert shown.seal == ""


def test_what_takes_the_place_of_a_run_while_a_passphrase_is_typed_is_not_signed(
    run: Path,
    folder: Path,
    said: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def typed(*_: object) -> str:
        measured_run(folder, name="second", people=False, run_id="r-2").replace(run)
        sidecar(run).unlink()
        return QA

    monkeypatch.setattr("bench.cli.signing.passphrase", typed)
    assert said("sign", run, "--as", "quinn", "--meaning", "rejected", "--reason", "because") != 0
    assert "another file was put there since it was shown" in capsys.readouterr().err
    assert review_state(run) == "unreviewed"


def test_the_catalogue_hears_of_a_signature(run: Path, home: Path) -> None:
    with opened(make=True) as catalogue:
        catalogue.add([read_entry(run)])
    sign(run, "quinn", QA, "approved", "all well", accepted(run))
    with opened() as catalogue:
        assert [line.review for line in catalogue.runs()] == ["approved"]


def test_a_catalogue_that_cannot_be_reached_costs_no_signature_and_is_told(
    run: Path, folder: Path, said: Callable[..., int], capsys: pytest.CaptureFixture[str]
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
    shutil.copy(Path(__file__).parents[2] / "runs" / "read-out-1.h5", path)
    with pytest.raises(TrustError, match="the run is simulated"):
        sign(path, "quinn", QA, "approved", "because", accepted(path))
    with pytest.raises(TrustError, match="is unregistered, so it is not signed: sealed without a key"):
        sign(path, "quinn", QA, "reviewed", "because", accepted(path))
    assert enrol(path, home) == ""
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


@pytest.mark.parametrize(
    ("author", "account"),
    [
        ("quinn", "x"),
        ("Quinn Example", "x"),
        ("QUINN", "x"),
        (" Quinn  Example ", "x"),
        ("Ｑｕｉｎｎ\u00a0Example", "x"),
        ("lab-pc", "x"),
        ("somebody", " LAB-PC"),
    ],
    ids=["id", "printed name", "in other letters", "spaces", "wide letters", "account as person", "account"],
)
def test_a_run_is_its_author_s_by_id_by_name_and_by_account(
    folder: Path, home: Path, author: str, account: str
) -> None:
    users.add(home, "pat", "Pat Quinn", "QA", QA, account="lab-pc", by=users.user(home, "quinn"))
    session = {"user": author, "os_account": account}
    other = measured_run(folder, name="second", people=False, run_id="r-2", session=session)
    who = "pat" if "lab-pc" in (author + account).lower() else "quinn"
    with pytest.raises(TrustError, match="nobody approves the own run"):
        sign(other, who, QA, "approved", "because", accepted(other))


@pytest.mark.parametrize(
    ("session", "events", "strange"),
    [
        ({"user": "quinn.example", "os_account": "qex"}, [], "quinn.example/qex"),
        ({"user": "eve", "os_account": "qex"}, [], ""),
        ({"user": "E. Engineer", "os_account": "EVE"}, [], ""),
        ({"user": "eve", "os_account": "qex"}, [("reset", {"name": "a", "person": "Q. E.", "reason": "b"})], "Q. E."),
        ({"user": "eve", "os_account": "qex"}, [("note", {"person": "Q. E.", "text": "hm"})], ""),
    ],
)
def test_who_ran_a_measured_run_and_is_no_known_person_is_asked_about(
    folder: Path, session: dict[str, str], events: list[tuple[str, dict[str, object]]], strange: str
) -> None:
    other = measured_run(folder, name="second", people=False, run_id="r-2", session=session, events=events)
    items = {item.key: item for item in checklist(other)}
    assert ("persons" in items) == bool(strange)
    if strange:
        said = f"who ran this is not a known person: {strange}"
        assert (items["persons"].found, items["persons"].text) == ("look", said)
        with pytest.raises(TrustError, match="for persons; say in a note"):
            sign(other, "quinn", QA, "approved", "because", {**accepted(other), "persons": Answer(True)})


def test_nothing_is_signed_that_the_signer_has_not_seen(run: Path, folder: Path, home: Path) -> None:
    measured_run(folder, name="second", people=False, run_id="r-2")
    seen = {item.key: Answer(True, "looked at", item.digest) for item in checklist(run)}
    measured_run(folder, name="third", people=False, run_id="r-3")
    before = run.read_bytes()
    with pytest.raises(TrustError, match="the checklist has changed since you looked: attempts; look at it again"):
        sign(run, "quinn", QA, "approved", "because", seen)
    assert run.read_bytes() == before
    seen = {item.key: Answer(True, "looked at", item.digest) for item in checklist(run)}
    row = sign(run, "quinn", QA, "approved", "because", seen)
    assert {item["key"]: item["text"] for item in row["checklist"]}["attempts"].count("run") == 3
    assert set(row["checklist"][0]) == {"key", "found", "text", "accepted", "note"}


@pytest.mark.parametrize(
    ("event", "took_part"),
    [
        (("answer", {"key": "k", "value": "yes", "person": "Pat", "second_person": "quinn example"}), True),
        (("answer", {"key": "k", "value": "yes", "person": "Quinn Example", "second_person": ""}), True),
        (("reset", {"name": "burst", "person": "quinn", "reason": "seen to"}), True),
        (("command", {"command": "pause", "key": "1", "person": "quinn"}), True),
        (("command", {"command": "note", "key": "1", "person": "quinn", "text": "hm"}), False),
        (("note", {"person": "quinn", "text": "hm"}), False),
        (("lease", {"person": "quinn", "taken_from": ""}), False),
    ],
)
def test_who_had_a_hand_in_a_run_does_not_approve_it(
    folder: Path, event: tuple[str, dict[str, object]], took_part: bool
) -> None:
    other = measured_run(folder, name="second", people=False, run_id="r-2", events=[event])
    with pytest.raises(TrustError, match="nobody approves the own run") if took_part else nullcontext():
        sign(other, "quinn", QA, "approved", "because", accepted(other))


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


def test_a_run_is_signed_and_verified_from_the_command_line(
    run: Path, folder: Path, said: Callable[..., int], capsys: pytest.CaptureFixture[str]
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
