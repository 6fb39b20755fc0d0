"""The register of runs and the audit trail: what is missing, altered or made anew shows, and says what."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.closing import close_run
from bench.trust import users
from bench.trust.audit import check_trail, decisions
from bench.trust.keys import MEASURED, bench_key, own_key
from bench.trust.ledger import AUDIT, REGISTER, TrustError, alone, rows_of, unclosed
from bench.trust.register import begin
from bench.trust.signing import checklist, sign
from bench.trust.standing import standing, take_in
from benchmarks.tamper import HEADER, QA, measured_run
from data.audit import add_row
from data.fold import fold
from data.journal import JournalError, JournalWriter, unwritten
from data.keys import SigningKey, digest_of
from data.run import Event
from data.seal import seal
from data.signatures import sidecar


def test_a_run_that_the_register_lost_is_intact_content_unregistered(run: Path, home: Path) -> None:
    for name in ("register.jsonl", "register.head"):
        (home / "trust" / name).unlink()
    found = standing(run, home)
    assert found.state == "unregistered"
    assert "not in its register" in found.problems[0]


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
    run: Path, folder: Path, home: Path, said: Callable[..., int], capsys: pytest.CaptureFixture[str]
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


def test_a_run_that_still_goes_on_is_not_recovered_beside_it_and_closes_by_itself(
    folder: Path, home: Path, said: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    journal = folder / "long.journal"
    with JournalWriter(journal, {**HEADER, "session": {"run_id": "r-2"}}) as writer:
        assert said("recover", journal) == 2
        complaint = " ".join(capsys.readouterr().err.split())
        assert "long.journal: is being written or closed by another program; wait for its end" in complaint
        assert said("snapshot", journal) == 0
        writer.record("status", 10.0, {"status": "completed", "reason": "all steps done", "person": ""})
    closed = close_run(journal, journal.with_suffix(".h5"))
    assert standing(closed.run_file, home).registered == "run 2 of station lab"
    assert [row["run_id"] for row in rows_of(home, REGISTER)[0] if row["kind"] == "run"] == ["r-1", "r-2"]


def test_two_who_close_a_run_at_once_make_one_file(folder: Path) -> None:
    with (
        unwritten(folder / "run.journal"),
        pytest.raises(JournalError, match=r"run.journal: is being written or closed by another program"),
    ):
        close_run(folder / "run.journal", folder / "again.h5")
    assert not (folder / "again.h5").exists()


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


def test_a_full_state_folder_is_named_with_what_to_do(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bench.trust.register.add_row", full)
    header = {"station": {"name": "lab"}, "run_id": "r-9", "origin": "measured", "procedure": "read-out", "dut": {}}
    assert begin(home, header, folder / "run.journal") == (
        f"the run has no number before its end: {home / 'trust'}: No space left on device; make room and try again"
    )


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


@pytest.mark.parametrize("kept", [0, 1])
def test_a_signed_run_is_taken_in_with_its_signatures_and_can_be_signed_again(run: Path, home: Path, kept: int) -> None:
    sign(run, "quinn", QA, "rejected", "not complete")
    log, head = home / "trust" / REGISTER, home / "trust" / "register.head"
    head.unlink()
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:kept]))
    assert standing(run, home).state == "unregistered"
    assert take_in(run, home, "the backup was older") == "run 1 of station lab, 2 signatures"
    assert standing(run, home).state == "intact"
    assert sign(run, "quinn", QA, "addendum", "taken in again")["number"] == 3
    assert not check_trail(home).problems


def test_only_what_the_register_has_lost_is_taken_in_again(run: Path, home: Path) -> None:
    with pytest.raises(TrustError, match="is run 1 of station lab; nothing was registered"):
        take_in(run, home, "because")


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


def test_what_a_person_took_out_of_a_run_is_noted(home: Path) -> None:
    fields = {"from_s": 9990.0, "to_s": 10_110.5, "reason": "leant on the bench", "person": "Ada"}
    run: Any = SimpleNamespace(
        session={"run_id": "r-9"},
        records=lambda kind: [Event(11_000.0, kind, fields)] if kind == "exclusion" else [],
    )
    with alone(home):
        decisions(home, own_key(home, MEASURED), run)
    row = rows_of(home, AUDIT)[0][-1]
    said = ("exclusion 9990 s to 10110.5 s", "leant on the bench", "Ada", "r-9")
    assert (row["what"], row["why"], row["who"], row["new"]) == said
    assert check_trail(home).problems == []


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


def test_the_exit_code_of_a_run_that_nobody_vouches_for_is_1(
    run: Path, home: Path, said: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "trust" / REGISTER).unlink()
    assert said("verify", run) == 1
    assert "intact content, unregistered" in capsys.readouterr().out
    assert said("audit", "verify") == 1
