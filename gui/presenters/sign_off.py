"""What a review comes to: where it stands, what its checklist asks, and the signature that closes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bench.trust.checklist import Item
from bench.trust.review import MAY, ReviewState, state_of
from bench.trust.signing import ANOTHER, Answer, checklist, sign
from bench.trust.standing import Standing, standing
from bench.trust.users import users
from data.seal import Verification
from gui.presenters.background import Cancel, nothing
from gui.presenters.context import Context
from gui.presenters.numbers import NOTHING
from gui.presenters.review_open import OpenRun
from gui.presenters.tone import Tone

STATES: dict[ReviewState, tuple[str, Tone]] = {
    "unreviewed": ("unreviewed", Tone.MUTED),
    "reviewed": ("reviewed", Tone.PLAIN),
    "approved": ("approved", Tone.GOOD),
    "rejected": ("rejected", Tone.FAIL),
    "unproven": ("unproven", Tone.FAIL),
}
"""Where a review stands, as a word with its tone."""

FINDINGS = {"ok": Tone.GOOD, "look": Tone.WARN, "unknown": Tone.MUTED}

NEEDS_ANSWERS = ("reviewed", "approved")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign: with which meanings."""

    id: str
    name: str
    role: str
    account: str
    locked: bool

    @property
    def meanings(self) -> list[str]:
        """What their signature may say."""
        return [meaning for meaning, roles in MAY.items() if self.role in roles]

    @property
    def label(self) -> str:
        """Printed name, role, and that they are locked out where they are."""
        return f"{self.name} ({self.role}{', locked out' if self.locked else ''})"


@dataclass(frozen=True, slots=True)
class SignatureRow:
    """A signature as it stands in the table."""

    name: str
    when: str
    meaning: str
    reason: str
    valid: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a run's review."""

    standing: Standing
    state: ReviewState
    items: tuple[Item, ...]
    signatures: tuple[SignatureRow, ...]
    people: tuple[Person, ...]


class SignView(Protocol):
    """What the presenter asks of its view."""

    def show_found(self) -> None:
        """Show `SignOff.found`; it has just become known."""

    def show_news(self) -> None:
        """Show `SignOff.says` and whether something is under way."""

    def begin_anew(self) -> None:
        """Show no answers, reason and meaning any more: the run was signed."""


class SignOff:
    """The review of a run that is open.

    Attributes
    ----------
    found : None until the file has been verified and looked up.
    answers : by the key of each question of the checklist, of those that were answered.
    says : what became of the last signature, with the tone.
    """

    def __init__(self, context: Context, run: OpenRun) -> None:
        self.context = context
        self.run = run
        self.found: Found | None = None
        self.answers: dict[str, Answer] = {}
        self.says: tuple[str, Tone] = ("", Tone.PLAIN)
        self.is_signing = False
        self._cancel: Cancel = nothing
        self._looked: Verification | None = None
        self._sentence = ""
        self._view: SignView | None = None

    def attach(self, view: SignView) -> None:
        """Have a view."""
        self._view = view
        view.show_found()
        view.show_news()

    def detach(self) -> None:
        """Have no view any more; what is signed or written goes on."""
        self._view = None
        self._cancel()

    # -- where it stands

    def look(self) -> None:
        """Look up what is known of the run, where it has been verified since the last look."""
        found = self.run.verification
        if found is None:
            self._show()
        elif self.run.is_replaced:
            self._cancel()
            self._looked = found
            self._fail(self.run.seal_says[1])
        elif found is not self._looked:
            self._looked = found
            path, folder = self.run.path, self.context.state_folder
            self._cancel()
            self._cancel = self.context.background.apart(looked_up, (path, folder, found), self._take, self._fail)

    def _take(self, found: Found) -> None:
        self.found, self._sentence = found, ""
        shown = self._shown  # an answer to what has changed since is none
        self.answers = {key: answer for key, answer in self.answers.items() if answer.seen == shown.get(key)}
        self._show()

    def _fail(self, said: str) -> None:
        self.found, self._sentence = None, said.removeprefix(f"{self.run.path}: ")
        self._show()

    @property
    def state_says(self) -> tuple[str, Tone]:
        """Where the review stands, in a word."""
        if self.found is not None:
            return STATES[self.found.state]
        if self._sentence:
            return "not known", Tone.FAIL
        word, _, tone = self.run.seal_says
        return (word, tone) if self._looked is None else ("looking it up…", Tone.BUSY)

    @property
    def problems(self) -> list[str]:
        """Why nobody vouches for the file or for a signer; empty where all is well."""
        if self.found is None:
            return [self._sentence] if self._sentence else []
        here = self.found.standing
        return [text.removeprefix(f"{self.run.path}: ") for text in (*here.problems, *here.remarks)]

    @property
    def sealed_says(self) -> list[tuple[str, str]]:
        """Who sealed the file, and where it is registered."""
        if self.found is None:
            return []
        here = self.found.standing
        return [
            ("Sealed by", here.sealed_by or "nobody"),
            ("Register", here.registered or "not registered here"),
        ]

    @property
    def nobody(self) -> str:
        """What to do where there is nobody who could sign."""
        if self.found is None or self.found.people:
            return ""
        return "Nobody can sign here yet. Add a person on the command line: pumpbench users add"

    def likely(self) -> str:
        """The id of who sits at the window, where they may sign."""
        if self.found is None:
            return ""
        me = self.context.person.casefold()
        mine = [one.id for one in self.found.people if me in (one.id, one.account.casefold(), one.name.casefold())]
        return mine[0] if mine else ""

    def person(self, name: str) -> Person | None:
        """Somebody who may sign, by id."""
        people = () if self.found is None else self.found.people
        return next((one for one in people if one.id == name), None)

    @property
    def _seal(self) -> str:
        """Digest of the seal of what is shown, and verified: that alone is signed."""
        return "" if self.run.review is None else self.run.review.seal

    # -- the checklist

    def answer(self, key: str, accepted: bool | None, note: str) -> None:
        """Answer a question of the checklist; None takes the answer back."""
        if accepted is None:
            self.answers.pop(key, None)
        else:
            self.answers[key] = Answer(accepted, note.strip(), self._shown.get(key, ""))
        self._show_news()

    @property
    def _shown(self) -> dict[str, str]:
        """The digest of each question as it is shown, by key."""
        return {} if self.found is None else {item.key: item.digest for item in self.found.items}

    @property
    def answered_says(self) -> tuple[str, Tone]:
        """How much of the checklist is answered."""
        items = () if self.found is None else self.found.items
        count = sum(item.key in self.answers for item in items)
        return f"{count} of {len(items)} answered", Tone.PLAIN if count < len(items) else Tone.GOOD

    def _missing(self, who: str, passphrase: str, meaning: str, reason: str) -> str:
        """What a person still has to say before anything is tried; empty when it is all there."""
        assert self.found is not None
        if not who or not meaning:
            return "Choose who signs and what the signature says."
        if not reason.strip():
            return "Give the reason; it stands beside the signature."
        if meaning in NEEDS_ANSWERS:
            open_ones = [item.key for item in self.found.items if item.key not in self.answers]
            if open_ones:
                return f"Answer the checklist first: {', '.join(open_ones)}."
            mute = [one.key for one in self.found.items if one.found == "look" and not self.answers[one.key].note]
            if mute:
                return f"The file shows something for {', '.join(mute)}: say in the remark why it is acceptable or not."
        return "" if passphrase else "Type the passphrase."

    # -- the signature

    def sign(self, who: str, passphrase: str, meaning: str, reason: str) -> bool:
        """Sign the run, and verify it again afterwards; returns whether it is tried: the passphrase is used up then.

        The passphrase is handed on within this process and not kept.
        """
        if self.is_signing or self.found is None:
            return False
        if missing := self._missing(who, passphrase, meaning, reason):
            self.says = (missing, Tone.WARN)
            self._show_news()
            return False
        path, folder = self.run.path, self.context.state_folder
        answers = dict(self.answers) if meaning != "addendum" else {}

        seal = self._seal

        def signed() -> str:
            row = sign(path, who, passphrase, meaning, reason, answers, folder, seal)
            return f"Signed: {row['meaning']} by {row['name']}, {utc(str(row['when']))}"

        self.is_signing, self.says = True, ("Verifying the file, then signing it…", Tone.BUSY)
        self._show_news()
        self.context.background.aside(signed, self._signed, self._refused)
        return True

    def _signed(self, said: str) -> None:
        self.is_signing, self.says, self.answers = False, (said, Tone.GOOD), {}
        if self._view is None:
            self.context.notify(f"{self.run.path.name}: {said}", Tone.GOOD)
            return
        self._view.begin_anew()
        self._view.show_news()
        self.run.prove_seal(self.look)

    def _refused(self, said: str) -> None:
        text = said.removeprefix(f"{self.run.path}: ")
        self.is_signing, self.says = False, (f"Not signed: {text}", Tone.FAIL)
        self._show_news()
        if self._view is None:
            self.context.notify(f"{self.run.path.name}: not signed: {text}", Tone.FAIL)
            return
        self._looked = None  # what stood in the way may have come since
        if text == ANOTHER:
            self.run.prove_seal(self.look)
        else:
            self.look()

    def _show(self) -> None:
        if self._view is not None:
            self._view.show_found()
            self._view.show_news()

    def _show_news(self) -> None:
        if self._view is not None:
            self._view.show_news()


# -- what runs in a process of its own


def looked_up(path: Path, folder: Path, found: Verification) -> Found:
    """All that the file, the register and the list of persons say of a review."""
    here = standing(path, folder, found=found)
    persons = users(folder)
    items = () if here.state == "unreadable" else tuple(checklist(path, folder))
    people = tuple(
        Person(one.id, one.name, one.role, one.account, one.locked) for one in persons.values() if not one.retired
    )
    return Found(here, state_of(here), items, signature_rows(here), people)


def signature_rows(here: Standing) -> tuple[SignatureRow, ...]:
    """The signatures in their order, each with why it counts or does not."""
    return tuple(
        SignatureRow(
            f"{row.get('name')} ({row.get('role')})",
            utc(str(row.get("when"))),
            str(row.get("meaning")),
            str(row.get("reason")),
            *_worth(why),
        )
        for row, why in zip(here.signatures, here.worth, strict=True)
    )


def utc(said: str) -> str:
    """The moment of a signature, in UTC."""
    try:
        return f"{datetime.fromisoformat(said).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return NOTHING


def _worth(why: str) -> tuple[str, Tone]:
    """A signature's worth in words."""
    return (f"not proven: {why}", Tone.FAIL) if why else ("valid", Tone.GOOD)


def meanings_of(person: Person | None) -> Sequence[str]:
    """What a signature may say; all of it where nobody is chosen."""
    return list(MAY) if person is None else person.meanings
