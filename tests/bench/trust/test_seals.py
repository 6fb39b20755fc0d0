"""Seals with a key, and signatures in the file: what was changed shows, whoever changed it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import h5py
import pytest

from bench.trust import ledger, users
from bench.trust.audit import check_trail
from bench.trust.keys import UNMEASURED, bench_key
from bench.trust.ledger import REGISTER, TrustError
from bench.trust.register import enrol
from bench.trust.review import review_state
from bench.trust.signing import Answer, checklist, sign
from bench.trust.standing import standing, take_in
from benchmarks.tamper import ENGINEER, KINDS, QA, alter, measured_run
from data.audit import add_row
from data.fold import fold
from data.keys import SigningKey, canonical, digest_of
from data.layout import MAGIC
from data.seal import examine, read_seal, room_of, seal
from data.signatures import check_rows, sidecar, write_rows


def test_a_run_is_sealed_by_the_key_for_its_origin_and_registered(run: Path, home: Path) -> None:
    found = standing(run, home)
    assert (found.state, found.registered) == ("intact", "run 1 of station lab")
    assert "this bench" in found.sealed_by
    assert "for measured runs" in found.sealed_by
    assert run.read_bytes()[:1024].startswith(MAGIC)


def test_a_file_sealed_before_there_were_keys_has_its_content_and_nobody_who_vouches_for_it(home: Path) -> None:
    path = Path(__file__).parents[2] / "runs" / "read-out-1.h5"
    found = standing(path, home)
    assert (examine(path).intact, found.state, found.registered) == (True, "unregistered", "")
    assert found.sealed_by.startswith("no key")
    assert "sealed without a key" in found.problems[0]


def forged(folder: Path, key: SigningKey | None = None) -> Path:
    """A simulated run that somebody says was measured, under a run id of its own, and seals anew."""
    path = measured_run(folder, name="forged", people=False, run_id="r-2", origin="simulated")
    data = path.read_bytes()
    path.write_bytes(bytes(1024) + data[1024:])
    with h5py.File(path, "r+") as file:
        del file["seal"], file["signatures"]
        file["entry/origin"][()] = "measured"
        file["session/run_id"][()] = "r-9"
    seal(path, key)
    return path


@pytest.mark.parametrize("key", [None, SigningKey.new()], ids=["no key", "a key of one's own"])
def test_a_forged_file_is_unregistered_and_nobody_can_approve_it_or_take_it_in(
    folder: Path, home: Path, key: SigningKey | None
) -> None:
    path = forged(folder, key)
    found = standing(path, home)
    assert (found.state, found.registered) == ("unregistered", "")
    answers = {item.key: Answer(True, "looked at") for item in checklist(path)}
    with pytest.raises(TrustError, match="is unregistered, so it is not signed"):
        sign(path, "quinn", QA, "approved", "complete", answers)
    with pytest.raises(TrustError, match="only what a key that counts here has sealed is registered"):
        take_in(path, home, "because")


def test_a_file_without_a_key_that_the_register_knows_is_intact(folder: Path, home: Path) -> None:
    path = forged(folder)
    assert enrol(path, home) == ""  # what nothing here does, but who holds the bench's key may
    assert standing(path, home).intact


def test_a_file_that_was_rewritten_is_not_approved_where_nobody_vouches_for_it(run: Path, home: Path) -> None:
    for name in ("register.jsonl", "register.head"):
        (home / "trust" / name).unlink()
    run.write_bytes(run.read_bytes() + b"more")
    assert (standing(run, home).state, review_state(run)) == ("rewritten", "unproven")


@pytest.mark.parametrize("instead", [b"!", b"=", b"\\"])
def test_a_damaged_key_in_the_seal_is_an_alteration_and_no_breakdown(run: Path, home: Path, instead: bytes) -> None:
    key = str((read_seal(run) or {})["key"]).encode()
    data = run.read_bytes()
    assert data.count(key) >= 1
    run.write_bytes(data.replace(key, key[:7] + instead + key[8:], 1))
    found = standing(run, home)
    assert found.state in ("altered", "unreadable")
    assert found.problems


def test_a_simulated_run_that_claims_to_be_measured_is_altered(folder: Path, home: Path) -> None:
    again = fold(folder / "run.journal", folder / "again.h5")
    seal(again, bench_key(home, UNMEASURED))
    found = standing(again, home)
    assert found.state == "altered"
    assert any("its seal is of the key for runs that are not measured" in problem for problem in found.problems)


def test_a_run_that_was_not_measured_is_sealed_with_the_key_for_such_runs(folder: Path, home: Path) -> None:
    other = measured_run(folder, name="second", people=False, run_id="r-2", origin="simulated")
    found = standing(other, home)
    assert (found.state, "for runs that are not measured" in found.sealed_by) == ("intact", True)


def test_a_file_that_another_program_rewrote_keeps_its_signatures(run: Path, home: Path) -> None:
    with h5py.File(run, "r+") as file:
        file["session"].create_dataset("x", data=range(3000))
    with h5py.File(run, "r+") as file:
        del file["session/x"]
    found = standing(run, home)
    assert (found.state, review_state(run)) == ("rewritten", "reviewed")


def test_a_seal_that_was_made_to_fit_another_content_has_not_its_key_s_signature(run: Path, folder: Path) -> None:
    other = fold(folder / "run.journal", folder / "other.h5")
    with h5py.File(other, "r+") as file:
        file["entry/sensor/flow"][0] += 1.0
    seal(other, SigningKey.new())
    made, real = read_seal(other) or {}, read_seal(run) or {}
    forged = canonical({**made, "key": real["key"]})
    other.write_bytes((MAGIC + forged).ljust(1023) + b"\n" + other.read_bytes()[1024:])
    assert examine(other).problems == ("the seal was changed: its signature is not that of its key",)


def test_a_seal_that_says_the_same_in_other_bytes_is_noticed(run: Path) -> None:
    data = run.read_bytes()
    assert data[1000:1024].isspace()
    run.write_bytes(data[:1000] + b"\n" + data[1001:])
    assert examine(run).problems == ("the seal was changed",)


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


def test_the_signatures_of_another_run_are_noticed(folder: Path, home: Path, run: Path) -> None:
    other = measured_run(folder, name="second", people=False, run_id="r-2")
    write_rows(other, room_of(read_seal(other) or {}), examine(run).signatures)
    found = standing(other, home)
    assert found.state == "altered"
    assert "belongs to another file" in found.problems[0]


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


def test_a_registered_signature_by_a_key_that_is_nobody_s_is_noticed(run: Path, home: Path) -> None:
    slipped_in(run, home, "engineer", SigningKey.new())
    assert standing(run, home).problems == ("signature 2: the key is none of Eve Engineer's",)


def test_the_untouched_record_is_intact_and_its_logs_are_whole(run: Path, home: Path) -> None:
    assert standing(run, home).intact
    assert check_trail(home).problems == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_alteration_is_noticed(folder: Path, home: Path, kind: str) -> None:
    """Three of each kind here; a thousand in benchmarks/tamper.py."""
    pristine = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for seed in range(3):
        what = alter(folder, kind, random.Random(f"{kind} {seed}"))
        assert check_trail(home).problems or not standing(folder / "run.h5", home).intact, what
        for path, content in pristine.items():
            path.write_bytes(content)
