"""Persons with their roles and passphrases, and the keys of the bench: who counts, since when and until when."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import h5py
import pytest

from bench.closing import close_run
from bench.trust import ledger, users
from bench.trust.audit import check_trail, lasting
from bench.trust.keys import UNMEASURED, bench_key, known_keys, note, revoke, trust
from bench.trust.ledger import AUDIT, TrustError, rows_of
from bench.trust.review import review_state
from bench.trust.signing import sign
from bench.trust.standing import standing, take_in
from benchmarks.tamper import ENGINEER, measured_run
from data.fold import fold
from data.keys import SigningKey, key_id
from data.seal import read_seal, seal

Said = Callable[..., int]
Capsys = pytest.CaptureFixture[str]


def test_the_key_is_for_this_account_alone(home: Path) -> None:
    assert (home / "trust" / "bench.pem").stat().st_mode & 0o077 == 0


def test_a_run_of_an_unknown_bench_is_unregistered_until_its_key_is_trusted(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert standing(run, other).state == "unregistered"
    trust(other, str(read_seal(run)["key"]), "lab 1", "bench", "letter of 1 March")
    found = standing(run, other)
    assert found.state == "intact"
    assert review_state(run, other) == "unproven"  # its signers are not known there


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


def test_a_key_is_revoked_by_a_name_that_means_one(home: Path) -> None:
    bench_key(home, UNMEASURED)
    for name in ("", "nonsense"):
        with pytest.raises(TrustError, match=r"there are [02] keys"):
            revoke(home, name, "because")


def test_five_wrong_passphrases_lock_a_person_out_until_qa_lets_them_in(run: Path, home: Path) -> None:
    for _ in range(users.ATTEMPTS):
        with pytest.raises(TrustError):
            users.unlocked(home, "eve", "guess")
    with pytest.raises(TrustError, match="is locked out"):
        users.unlocked(home, "eve", ENGINEER)
    users.unlock(home, "eve", "came in person", users.user(home, "quinn"))
    assert users.unlocked(home, "eve", ENGINEER)[0].failures == 0
    assert check_trail(home).problems == []


def test_a_right_passphrase_lets_the_wrong_ones_before_it_be_forgotten(home: Path) -> None:
    for _ in range(2):
        for _ in range(users.ATTEMPTS - 1):
            with pytest.raises(TrustError):
                users.unlocked(home, "eve", "guess")
        assert users.unlocked(home, "eve", ENGINEER)[0].id == "eve"


def test_a_passphrase_is_long_and_a_new_one_is_another(home: Path) -> None:
    with pytest.raises(TrustError, match="fewer than 10 characters"):
        users.change_passphrase(home, "eve", ENGINEER, "short")
    with pytest.raises(TrustError, match="is the old one"):
        users.change_passphrase(home, "eve", ENGINEER, ENGINEER)


def test_a_forgotten_passphrase_gives_a_new_key_and_old_signatures_stand(run: Path, home: Path) -> None:
    users.new_key(home, "eve", "brand new passphrase", "forgotten", users.user(home, "quinn"))
    assert review_state(run) == "reviewed"
    sign(run, "eve", "brand new passphrase", "rejected", "looked again")
    assert review_state(run) == "rejected"


def test_what_a_retired_person_signed_stands_and_no_more_is_signed(run: Path, home: Path) -> None:
    users.retire(home, "eve", "left the company", users.user(home, "quinn"))
    assert review_state(run) == "reviewed"
    with pytest.raises(TrustError, match="was retired"):
        sign(run, "eve", ENGINEER, "rejected", "because")
    with pytest.raises(TrustError, match="ids are never given again"):
        users.add(home, "eve", "Another", "engineer", ENGINEER, by=users.user(home, "quinn"))


def test_a_retired_person_changes_nobody_and_is_not_changed(home: Path) -> None:
    quinn, author = users.user(home, "quinn"), users.user(home, "author")
    gone = users.retire(home, "author", "left", quinn)
    for who, name in ((gone, "eve"), (quinn, "author")):
        with pytest.raises(TrustError, match=r"only a person with the role QA|was retired on"):
            users.change_role(home, name, "operator", "because", who)
    assert author.role == "QA"
    with pytest.raises(TrustError, match="say why"):
        users.change_role(home, "eve", "QA", " ", quinn)


def test_only_qa_changes_users_and_one_qa_person_is_left(home: Path) -> None:
    with pytest.raises(TrustError, match="only a person with the role QA"):
        users.change_role(home, "eve", "QA", "because", users.user(home, "eve"))
    users.retire(home, "author", "left", users.user(home, "quinn"))
    with pytest.raises(TrustError, match="the last one with the role QA"):
        users.retire(home, "quinn", "left", users.user(home, "quinn"))


def test_who_may_not_add_a_person_does_not(home: Path, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="the first user lets in all others"):
        users.add(tmp_path / "new", "eve", "Eve", "engineer", ENGINEER)
    for by in (None, users.user(home, "eve")):
        with pytest.raises(TrustError, match="only a person with the role QA"):
            users.add(home, "new", "New", "engineer", ENGINEER, by=by)


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


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "its first line is empty"), (b"\xff\xfe\x00", "is no text in UTF-8"), (None, "cannot be read")],
)
def test_a_passphrase_file_that_holds_none_costs_no_attempt(
    run: Path, home: Path, said: Said, capsys: Capsys, content: bytes | None, sentence: str
) -> None:
    file = run.with_name("passphrase.txt")
    if content is not None:
        file.write_bytes(content)
    code = said("sign", run, "--as", "quinn", "--meaning", "rejected", "--reason", "x", "--passphrase-file", file)
    assert code == 2
    assert sentence in capsys.readouterr().err
    assert users.user(home, "quinn").failures == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_passphrase_file_of_any_editor_opens_the_key(run: Path, said: Said, encoding: str) -> None:
    file = run.with_name("passphrase.txt")
    file.write_bytes("correct horse battery\r\n".encode(encoding))
    given = ("--as", "quinn", "--meaning", "rejected", "--reason", "x", "--passphrase-file", file)
    assert said("sign", run, *given) == 0


def test_without_a_terminal_a_passphrase_is_not_asked_for(
    run: Path, said: Said, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    assert said("sign", run, "--as", "quinn", "--meaning", "rejected", "--reason", "x") == 2
    assert "there is no terminal to ask for the passphrase of quinn" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["users.json", "keys.json"])
@pytest.mark.parametrize("content", ["[1]", '{"quinn": {"id": "quinn"}}', '{"a": 1}'])
def test_a_list_of_persons_or_keys_that_was_mangled_is_named(
    run: Path, home: Path, said: Said, capsys: Capsys, name: str, content: str
) -> None:
    (home / "trust" / name).write_text(content)
    assert said("verify", run) == 2
    assert f"{name}: is damaged; restore it from a backup" in capsys.readouterr().err


def test_the_only_qa_person_who_is_locked_out_is_told_that_nobody_can_help(home: Path) -> None:
    quinn = users.user(home, "quinn")
    users.retire(home, "author", "left", quinn)
    for _ in range(users.ATTEMPTS - 1):
        with pytest.raises(TrustError, match="wrong passphrase"):
            users.unlocked(home, "quinn", "a wrong passphrase")
    with pytest.raises(TrustError, match="nobody else has the role QA and can let them in"):
        users.unlocked(home, "quinn", "a wrong passphrase")


def test_a_row_of_the_trail_that_was_changed_is_shown_as_such(home: Path, said: Said, capsys: Capsys) -> None:
    log = home / "trust" / "audit.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([lines[0], "{}\n", *lines[2:]]))
    assert said("audit", "show") == 0
    assert "a row that was changed" in capsys.readouterr().out


def test_a_subject_or_station_that_nothing_has_is_told(home: Path, run: Path, said: Said, capsys: Capsys) -> None:
    assert said("audit", "show", "--what", "usr") == 0
    assert capsys.readouterr().err.startswith('note: no subject here begins with "usr"; there are ')
    assert said("register", "list", "--station", "lib") == 0
    assert capsys.readouterr().err == 'note: --station: no run here has "lib"; did you mean "lab"?\n'


@pytest.mark.parametrize("command", ["evaluate", "review"])
def test_a_file_that_is_damaged_inside_is_told_in_one_sentence(
    run: Path, said: Said, capsys: Capsys, command: str
) -> None:
    with h5py.File(run, "r") as file:
        evaluation = file["entry/evaluation"]
        curve = next(item for item in evaluation["curves"].values() if isinstance(item, h5py.Group))
        at = file.userblock_size + h5py.h5o.get_info(curve[curve.attrs["signal"]].id).addr
    raw = bytearray(run.read_bytes())
    raw[at + 8] ^= 1
    run.write_bytes(raw)
    assert said(command, run) == 2
    assert "is cut off or damaged" in capsys.readouterr().err


def test_a_list_of_persons_that_is_put_aside_makes_nobody_the_first_one(home: Path) -> None:
    path = home / "trust" / "users.json"
    path.rename(path.with_name("aside.json"))
    with pytest.raises(TrustError, match="lists nobody, and the audit trail knows persons; restore it from a backup"):
        users.add(home, "mallory", "Mallory", "QA", "my own passphrase")


def test_an_id_that_the_trail_names_is_given_to_nobody_else(home: Path) -> None:
    path = home / "trust" / "users.json"
    path.write_text(json.dumps({name: one for name, one in json.loads(path.read_text()).items() if name != "eve"}))
    with pytest.raises(TrustError, match='"eve" was given before, as the audit trail says'):
        users.add(home, "eve", "Eve Other", "QA", ENGINEER, by=users.user(home, "quinn"))


@pytest.mark.parametrize(
    ("name", "who", "old", "says"),
    [
        ("mallory", "mallory", None, "adds user mallory, by mallory, who was not QA at that time"),
        ("mallory", "eve", None, "adds user mallory, by eve, who was not QA at that time"),
        ("eve", "olga", {"role": "engineer"}, "makes QA of user eve, by olga, who was not QA at that time"),
        ("eve", "quinn", None, "adds user eve, whose id was given before"),
    ],
)
def test_a_person_whom_nobody_of_qa_has_let_in_is_a_problem_of_the_trail(
    home: Path, name: str, who: str, old: dict[str, Any] | None, says: str
) -> None:
    assert check_trail(home).problems == []
    path = home / "trust" / "users.json"
    made = {**asdict(users.user(home, "quinn")), "id": name}
    path.write_text(json.dumps({**json.loads(path.read_text()), name: made}))
    note(home, bench_key(home), f"user {name}", "added", old=old, new=lasting(made), who=who)
    (problem,) = check_trail(home).problems
    assert problem.endswith(says)


@pytest.mark.parametrize("what", ["user", "key", "first user"])
def test_a_person_or_key_that_the_full_disk_keeps_from_the_trail_is_not_there(
    home: Path, tmp_path: Path, what: str
) -> None:
    home = tmp_path / "new" if what == "first user" else home
    as_shipped = Path.open

    def opened(path: Path, *how: Any, **options: Any) -> Any:
        if path.name == "audit.head-part":
            raise OSError(errno.ENOSPC, "No space left on device")
        return as_shipped(path, *how, **options)

    def change() -> None:
        if what == "key":
            trust(home, SigningKey.from_bytes(bytes(32)).public, "lab 2", "bench", "a letter")
        else:
            users.add(home, "nina", "Nina New", "QA", ENGINEER, by=users.users(home).get("quinn"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", opened)
        with pytest.raises(OSError, match="No space left"):
            change()
    assert check_trail(home).problems == []
    change()
    assert check_trail(home).problems == []
