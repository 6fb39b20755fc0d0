"""Signing a run off in the window, without the window: what is said, refused and signed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.trust.review import review_state
from benchmarks.tamper import ENGINEER, QA, measured_run
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.file_reader import HereReader
from gui.presenters.review_open import OpenRun
from gui.presenters.sign_off import SignOff, meanings_of
from gui.presenters.tone import Tone


class Seen:
    """A view that counts."""

    def __init__(self) -> None:
        self.begun_anew = 0

    def show_found(self) -> None:
        pass

    def show_news(self) -> None:
        pass

    def begin_anew(self) -> None:
        self.begun_anew += 1


@pytest.fixture
def off(signed_bench: Path, tmp_path: Path) -> SignOff:
    """The sign-off of a measured run, verified and looked up."""
    background = Inline()
    context = Context(background, person="quinn", folder=tmp_path, state_folder=signed_bench / "home")
    run = OpenRun(context, signed_bench / "run.h5", lambda path: HereReader(path, background))
    made = SignOff(context, run)
    made.attach(Seen())
    run.prove_seal(made.look)
    background.run()
    return made


def work(off: SignOff) -> None:
    assert isinstance(off.context.background, Inline)
    off.context.background.run()


def answered(off: SignOff) -> SignOff:
    assert off.found is not None
    for item in off.found.items:
        off.answer(item.key, True, "looked at")
    return off


def signed(off: SignOff, who: str, passphrase: str, meaning: str, reason: str = "complete") -> str:
    off.sign(who, passphrase, meaning, reason)
    work(off)
    return off.says[0]


def test_it_says_where_the_review_stands_who_sealed_the_run_and_who_signed_it(off: SignOff) -> None:
    assert off.found is not None
    assert off.state_says == ("reviewed", Tone.PLAIN)
    said = dict(off.sealed_says)
    assert said["Sealed by"].startswith("this bench")
    assert said["Register"] == "run 1 of station lab"
    (row,) = off.found.signatures
    assert (row.name, row.meaning, row.reason, row.valid) == (
        "Eve Engineer (engineer)",
        "reviewed",
        "complete",
        "valid",
    )
    assert row.when.endswith(" UTC")
    assert not off.problems


def test_the_checklist_counts_the_attempts_in_the_register_of_this_window(off: SignOff) -> None:
    assert off.found is not None
    assert off.found.items[-1].text == "this is the only registered run of the device"


def test_a_run_is_approved_and_verified_again_and_the_answers_are_not_the_next_ones(off: SignOff) -> None:
    said = signed(answered(off), "quinn", QA, "approved")
    assert said.startswith("Signed: approved by Quinn Example, ")
    assert off.state_says == ("approved", Tone.GOOD)
    assert review_state(off.run.path, off.context.state_folder) == "approved"
    assert off.found is not None
    assert [row.valid for row in off.found.signatures] == ["valid", "valid"]
    assert off.answers == {}


def test_a_checklist_that_changed_since_it_was_shown_is_not_signed_and_shown_anew(off: SignOff) -> None:
    answered(off)
    measured_run(off.run.path.parent, name="second", people=False, run_id="r-2")
    said = signed(off, "quinn", QA, "approved")
    assert said == "Not signed: the checklist has changed since you looked: attempts; look at it again"
    assert off.found is not None
    assert "run 2" in next(item.text for item in off.found.items if item.key == "attempts")
    assert sorted({item.key for item in off.found.items} - set(off.answers)) == ["attempts"]
    assert signed(answered(off), "quinn", QA, "approved").startswith("Signed")


def test_what_is_missing_is_said_before_a_passphrase_is_tried(off: SignOff) -> None:
    assert not off.sign("", "", "", "")
    assert off.says[0] == "Choose who signs and what the signature says."
    assert signed(off, "quinn", QA, "approved", " ") == "Give the reason; it stands beside the signature."
    assert signed(off, "quinn", QA, "approved").startswith("Answer the checklist first: rig-check, ")
    answered(off).answer("overrides", True, " ")
    assert "shows something for overrides: say in the remark" in signed(off, "quinn", QA, "approved")
    assert signed(answered(off), "quinn", "", "approved") == "Type the passphrase."


@pytest.mark.parametrize(
    ("who", "passphrase", "meaning", "why"),
    [
        ("author", QA, "approved", "Author took part in this run, and nobody approves the own run"),
        ("eve", ENGINEER, "approved", 'Eve Engineer has the role engineer; "approved" is signed by QA'),
        ("quinn", "a wrong passphrase", "approved", "Quinn Example: wrong passphrase, 4 attempts are left"),
    ],
)
def test_who_may_not_sign_is_told_why_and_nothing_is_signed(
    off: SignOff, who: str, passphrase: str, meaning: str, why: str
) -> None:
    assert signed(answered(off), who, passphrase, meaning).startswith(f"Not signed: {why}")
    assert off.says[1] is Tone.FAIL
    assert review_state(off.run.path, off.context.state_folder) == "reviewed"
    assert off.found is not None
    assert list(off.answers) == [item.key for item in off.found.items]


def test_who_is_locked_out_is_told_so(off: SignOff) -> None:
    said = [signed(answered(off), "quinn", "a wrong passphrase", "rejected") for _ in range(6)]
    assert said[4].startswith("Not signed: Quinn Example: locked out; a QA person lets them in")
    assert said[5].startswith("Not signed: Quinn Example is locked out; a QA person lets them in")


def test_a_run_that_is_not_measured_is_not_approved(off: SignOff, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = Path(__file__).parents[1] / "runs" / "rate-step-1.h5"
    shutil.copyfile(simulated, off.run.path.with_name("other.h5"))
    other = OpenRun(off.context, off.run.path.with_name("other.h5"), lambda path: HereReader(path, Inline()))
    mine = SignOff(off.context, other)
    mine.attach(Seen())
    other.prove_seal(mine.look)
    work(mine)
    assert "only a measured run can be approved" in signed(answered(mine), "quinn", QA, "approved")
    assert dict(mine.sealed_says)["Register"] == "not registered here"


def test_the_passphrase_is_kept_nowhere(off: SignOff) -> None:
    signed(answered(off), "quinn", QA, "approved")
    for path in off.run.path.parent.rglob("*"):
        assert path.is_dir() or QA.encode() not in path.read_bytes(), path
    assert QA not in repr([vars(off), off.context.background.__dict__])


def test_a_file_that_was_altered_is_unproven_and_says_what_is_wrong(off: SignOff) -> None:
    sidecar = off.run.path.with_suffix(".sig.json")
    sidecar.write_text(sidecar.read_text().replace("complete", "Complete"))
    off.run.prove_seal(off.look)
    work(off)
    assert off.state_says == ("unproven", Tone.FAIL)
    assert off.problems


def put_another(run_file: Path) -> None:
    """Another run of the same pump takes a run's place, sealed and registered as that one was."""
    other = measured_run(run_file.parent, name="second", people=False, run_id="r-2")
    run_file.with_suffix(".sig.json").unlink()
    other.replace(run_file)


def test_a_run_that_takes_its_place_is_not_proven_as_the_one_that_is_shown_and_not_signed(off: SignOff) -> None:
    answered(off)
    put_another(off.run.path)
    off.run.prove()
    work(off)
    off.look()
    assert off.run.seal_says[::2] == ("replaced", Tone.FAIL)
    assert off.run.verdict_says[0].endswith(", replaced")
    assert off.run.judge_says[0] == "not recomputed"
    assert off.state_says == ("not known", Tone.FAIL)
    assert not off.sign("quinn", QA, "approved", "complete")
    assert review_state(off.run.path, off.context.state_folder) == "unreviewed"


def test_a_run_that_takes_its_place_before_it_was_verified_once_is_not_proven_either(off: SignOff) -> None:
    run = OpenRun(off.context, off.run.path, lambda path: HereReader(path, off.context.background))
    run.when_read(lambda one: put_another(one.path))
    run.when_read(lambda one: one.prove())
    work(off)
    assert run.seal_says[0] == "replaced"
    assert run.judge_says[0] == "not recomputed"


def test_a_run_that_took_its_place_since_it_was_verified_is_not_signed_and_told(off: SignOff) -> None:
    answered(off)
    put_another(off.run.path)
    said = signed(off, "quinn", QA, "rejected")
    assert said == "Not signed: another file was put there since it was shown; open it anew and look at it"
    assert off.run.seal_says[0] == "replaced"
    assert off.found is None
    assert review_state(off.run.path, off.context.state_folder) == "unreviewed"


def test_what_took_its_place_is_read_anew_when_it_is_to_be_verified_again(off: SignOff) -> None:
    opened: list[Path] = []
    off.context.on_open(opened.append)
    off.run.prove_again()
    work(off)
    assert not opened
    put_another(off.run.path)
    off.run.prove_again()
    work(off)
    off.run.prove_again()
    assert opened == [off.run.path]


def test_a_person_is_offered_the_meanings_of_the_role(off: SignOff) -> None:
    assert off.likely() == "quinn"
    assert list(meanings_of(off.person("olga"))) == ["addendum"]
    assert list(meanings_of(off.person("eve"))) == ["reviewed", "rejected", "addendum"]
