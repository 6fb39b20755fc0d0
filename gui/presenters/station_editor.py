"""A station file as a person reads and changes it: checked while it is typed, compared before it is saved.

An invalid file is never written.  What was there before is kept beside it as ``.bak``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, Protocol

from gui.presenters.background import Cancel, nothing
from gui.presenters.certificate_rows import CertificateRow, certificate_row
from gui.presenters.context import Context
from gui.presenters.station_check import CHECKS, Checked, Problem, check_station
from gui.presenters.station_files import (
    FOLDER,
    Draft,
    StationFile,
    copied,
    free_name,
    station_files,
    text_in,
    why_not_written,
    written,
    wrong_name,
)
from gui.presenters.tone import Tone

Part = Literal["files", "text", "checked", "review"]

CONTEXT_LINES = 2
"""Lines around a change that are shown with it."""


class EditorView(Protocol):
    """What the presenter asks of the page."""

    def show_part(self, part: Part) -> None:
        """Show a part anew."""

    def jump(self, line: int) -> None:
        """Bring a line of the text into view."""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of the comparison: " " as before, "+" new, "-" gone, "@" where it stands."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class CheckAction:
    """A protocol on the bench itself; ``why_not`` is empty when it can be prepared."""

    protocol: str
    word: str
    why_not: str


class StationEditor:
    """One station file at a time.

    Attributes
    ----------
    files : all that are at hand.
    chosen : the file that is shown.
    text, saved : as it is typed, and as it is on the disk.
    checked : what was found in the text when it was last checked; ``is_checked`` whether that is this text.
    review : the comparison while a person decides on saving; empty else.
    refusal : why the last save was not done; empty else.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.files: list[StationFile] = []
        self.chosen: StationFile | None = None
        self.text = ""
        self.saved = ""
        self.checked: Checked | None = None
        self.is_checked = False
        self.review: tuple[DiffLine, ...] = ()
        self.refusal = ""
        self._drafts: dict[Path, str] = {}
        self._unwritten: dict[Path, StationFile] = {}  # files that were begun here and are not on the disk yet
        self._seen: dict[Path, str] = {}  # the text on the disk from which a draft was made
        self._texts: dict[Path, str | None] = {}  # as they were last read; None where they could not be
        self._in_hand: set[Path] = set()  # files that are being compared or written
        self._wants_save = False
        self._checking: tuple[Path, str] | None = None
        self._is_uncheckable = False  # the last check came to nothing
        self._cancel: Cancel = nothing
        self._is_finding = self._is_stale = False
        self._wanted = ""
        self._view: EditorView | None = None
        context.on_edit(self._asked)

    def attach(self, view: EditorView) -> None:
        """Have a page."""
        self._view = view

    # -- choosing

    def find(self) -> None:
        """Look for station files anew; again after a look that is under way: a share may not answer."""
        if self._is_finding:
            self._is_stale = True
            return
        self._is_finding, self._is_stale = True, False
        folder, chosen = self.context.folder, None if self.chosen is None else self.chosen.path
        self.context.background.aside(lambda: _read(folder, chosen), lambda found: self._found(*found), self._not_found)

    def choose(self, name: str) -> None:
        """Show a file as it was last read, then as it is now; what was typed in another one is kept."""
        found = self._called(name)
        if found is not None and found != self.chosen and self._open(found):
            self.find()

    def _open(self, found: StationFile) -> bool:
        """Show a file as it was last read; whether it could be."""
        path = found.path
        saved = "" if path in self._unwritten else self._seen.get(path, self._texts.get(path))
        if saved is None:
            self.context.notify(f"{path} cannot be read; see that it is there, and text in UTF-8", Tone.WARN)
            self._show("files")
            return False
        self._keep_draft()
        self.chosen, self.saved = found, saved
        self.text = self._drafts.get(path, saved)
        self.checked, self.is_checked, self.review, self.refusal = None, False, (), ""
        self._wants_save = False
        self._show("files", "text", "checked", "review")
        self.check()
        return True

    def _was_stale(self) -> bool:
        """Look again where somebody has asked for that, or has written, since the look was begun."""
        is_stale, self._is_stale, self._is_finding = self._is_stale, False, False
        if is_stale:
            self.find()
        return is_stale

    def _not_found(self, sentence: str) -> None:
        if not self._was_stale():
            self.context.notify(f"The station files cannot be looked for: {sentence}", Tone.WARN)

    def _found(self, files: list[StationFile], texts: dict[Path, str | None]) -> None:
        if self._was_stale():
            return
        there = {item.path for item in files}
        left = [item for item in self.files if item.path not in there and self._is_all_that_is_left(item)]
        self.files, self._texts = [*left, *files], texts
        self._show("files")
        wanted, self._wanted = self._called(self._wanted) if self._wanted else None, ""
        if wanted is not None and wanted != self.chosen:
            self._open(wanted)
        elif self.chosen is not None:
            self._take_over(texts.get(self.chosen.path))
        elif files:
            own = [item for item in files if not item.is_shipped]
            self._open(own[0] if own else self._called("sim") or files[0])

    def _is_all_that_is_left(self, file: StationFile) -> bool:
        """Whether the text of a file that is on no disk, or not any more, is still here."""
        return file == self.chosen or file.path in self._drafts or file.path in self._unwritten

    def _take_over(self, there: str | None) -> None:
        """Show what somebody else has written, unless something was typed here."""
        if there is not None and there != self.saved and not self.is_changed:
            self.text = self.saved = there
            self.is_checked = False
            self._show("text", "checked")
            self.check()

    def _asked(self, name: str) -> None:
        """Another page wants a station to be looked at."""
        self._wanted = name
        self.find()

    def _called(self, name: str) -> StationFile | None:
        exact = next((item for item in self.files if name in (item.name, str(item.path))), None)
        return exact or next((item for item in self.files if item.path.stem == name), None)

    def _keep_draft(self) -> None:
        if self.chosen is None:
            return
        path = self.chosen.path
        if self.is_changed:
            self._drafts[path], self._seen[path] = self.text, self.saved
        else:
            self._drafts.pop(path, None)
            self._seen.pop(path, None)

    # -- typing

    @property
    def is_read_only(self) -> bool:
        """Whether the file comes with the bench."""
        return self.chosen is None or self.chosen.is_shipped

    @property
    def is_changed(self) -> bool:
        """Whether the text is another one than on the disk."""
        return self.chosen is not None and self.text != self.saved

    def has_draft(self, file: StationFile) -> bool:
        """Whether something in a file is not saved."""
        return self.is_changed if file == self.chosen else file.path in self._drafts

    def type(self, text: str) -> None:
        """Take what was typed; `check` follows when the person pauses."""
        if text != self.text:
            self.text, self.is_checked, self.refusal = text, False, ""
            self._wants_save = False
            if self.review:
                self.review = ()
                self._show("review")
            self._show("checked")

    @property
    def unsaved(self) -> list[str]:
        """Files in which something is not saved: with the window it is gone."""
        return [item.shown for item in self.files if self.has_draft(item)]

    def check(self) -> None:
        """Have the text checked, unless it is; the latest alone, since each check is a process."""
        if self.chosen is None or self.is_checked:
            return
        asked = self.chosen.path, self.text
        if asked == self._checking:
            return
        self._cancel()
        self._checking, self._is_uncheckable = asked, False

        def heard(checked: Checked) -> None:
            self._checking = None
            if self.chosen is None or asked != (self.chosen.path, self.text):
                self.check()  # something else was typed since
            else:
                self._heard(checked)

        arguments = (self.text, self.chosen.path.name)
        self._cancel = self.context.background.apart(check_station, arguments, heard, self._not_checked)

    def _heard(self, checked: Checked) -> None:
        before = self.checked
        self.is_checked = True
        kept = before if checked.station is None and before is not None else checked
        # While a file is wrong, the contents are those that it had when it last was right.
        self.checked = Checked(
            checked.problems, checked.remarks, checked.station, kept.tree, kept.certificates, kept.why_not
        )
        self._show("checked")
        if self._wants_save:
            self.save()

    def _not_checked(self, sentence: str) -> None:
        self.refusal = f"The file could not be checked: {sentence}"
        self._checking, self._wants_save, self._is_uncheckable = None, False, True
        self._show("checked", "review")

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the text, as far as it was checked."""
        return () if self.checked is None else self.checked.problems

    @property
    def state(self) -> tuple[str, Tone]:
        """What is to be said of the file in a few words."""
        if self.chosen is None:
            return "No station file is chosen", Tone.MUTED
        if self.chosen.path in self._in_hand:
            return f"Waiting for {self.chosen.path.parent}…", Tone.BUSY
        if not self.is_checked:
            return ("Not checked", Tone.WARN) if self._is_uncheckable else ("Checking…", Tone.MUTED)
        count = len(self.problems)
        if count:
            return ("1 mistake" if count == 1 else f"{count} mistakes"), Tone.FAIL
        remarks = self.checked.remarks if self.checked is not None else ()
        if remarks:
            return remarks[0], Tone.WARN
        return ("No mistakes, not saved yet" if self.is_changed else "No mistakes"), Tone.GOOD

    # -- copying and saving

    @property
    def copy_name(self) -> str:
        """A name for a copy of the chosen file."""
        return "" if self.chosen is None else free_name(f"my-{self.chosen.path.stem}", self._names)

    def copy(self, name: str) -> None:
        """Write a copy that may be changed, and show it."""
        folder, text = self.context.folder, self.text
        path = folder / FOLDER / f"{name}.toml"

        def done(wrong: str) -> None:
            self._refuse(wrong)
            if not wrong:
                self._wanted = str(path)
                self.find()

        if wrong := self.wrong_new_name(name):
            self._refuse(wrong)
        elif self.chosen is not None:
            self._aside(path, lambda: copied(folder, name, text), done)

    @property
    def new_name(self) -> str:
        """A name for a file that is begun."""
        return free_name("lab", self._names)

    def begin(self, name: str, text: str) -> str:
        """Show a file that is written only when it is saved; returns why it cannot be, empty when it is shown."""
        if wrong := self.wrong_new_name(name):
            return wrong
        path = self.context.folder / FOLDER / f"{name}.toml"
        begun = StationFile(str(path), path, False)
        self._unwritten[path], self._drafts[path], self._seen[path] = begun, text, ""
        self.files = [begun, *self.files]
        self.choose(begun.name)
        return ""

    def wrong_new_name(self, name: str) -> str:
        """Why another file cannot be called so, as far as is known; empty when it can."""
        return wrong_name(name, self._names)

    @property
    def _names(self) -> set[str]:
        """Names that are taken, as far as is known: no folder is looked at, a share may not answer."""
        return {item.path.stem for item in self.files}

    def save(self) -> None:
        """Show what would be written; a text that is wrong is refused."""
        if self.is_read_only or not self.is_changed:
            return
        if not self.is_checked:
            self._wants_save = True
            self.check()
            return
        self._wants_save = False
        if self.problems:
            first = self.problems[0]
            at = f"line {first.line}: " if first.line is not None else ""
            self._refuse(f"Not saved, since the file is wrong: {at}{first.text}")
            return
        draft = self._draft()

        def compared(why: str) -> None:
            if self.chosen is not None and draft == self._draft():  # else it is no more what would be written
                self.review = () if why else tuple(diff(draft.saved, draft.text))
                self._refuse(why)

        self._aside(draft.path, lambda: why_not_written(draft), compared)

    def write(self) -> None:
        """Write what was shown, and keep the old beside it."""
        if self.chosen is None or not self.review or not self.is_checked or self.problems:
            return
        draft = self._draft()
        if draft.path in self._in_hand:
            return
        self.review = ()
        self._aside(draft.path, lambda: written(draft), lambda why: self._written(draft, why))

    def _written(self, draft: Draft, why: str) -> None:
        path = draft.path
        if why:
            self._refuse(why)
            return
        self._unwritten.pop(path, None)
        self._texts[path] = draft.text
        self._is_stale |= self._is_finding  # what is being read may be older
        if self.chosen is not None and self.chosen.path == path:
            self.saved = draft.text
        elif self._drafts.get(path) == draft.text:
            del self._drafts[path], self._seen[path]
        elif path in self._drafts:
            self._seen[path] = draft.text
        self._show("files", "checked", "review")

    def _draft(self) -> Draft:
        """What would be written now."""
        assert self.chosen is not None
        path = self.chosen.path
        return Draft(path, self.text, self.saved, path in self._unwritten)

    def _aside(self, path: Path, work: Callable[[], str], then: Callable[[str], None]) -> None:
        """Have something done with a file, unless that is under way: a share may not answer."""
        if path in self._in_hand:
            return

        def done(said: str) -> None:
            self._in_hand.discard(path)
            then(said)

        self._in_hand.add(path)
        self._show("review")
        self.context.background.aside(work, done, done)

    def _refuse(self, sentence: str) -> None:
        """Say why something was not done; empty when it was."""
        self.refusal = sentence
        self._show("review")

    def go_on(self) -> None:
        """Go back to the text without saving."""
        self.review, self.refusal = (), ""
        self._show("review")

    def revert(self) -> None:
        """Throw away what was typed since the file was last saved."""
        if self.chosen is None or self.chosen.path in self._in_hand:
            return
        if self.chosen.path in self._unwritten:
            self._forget(self.chosen.path)
            return
        there = self._texts.get(self.chosen.path)
        self.saved = self.saved if there is None else there
        self.text, self.is_checked, self.review, self.refusal = self.saved, False, (), ""
        self._keep_draft()
        self._show("files", "text", "checked", "review")
        self.check()
        self.find()

    def _forget(self, path: Path) -> None:
        """Throw a file away that was never written, and show another one."""
        for kept in (self._unwritten, self._drafts, self._seen):
            kept.pop(path, None)
        self._cancel()
        self.chosen, self.text, self.saved, self._checking = None, "", "", None
        self.checked, self.is_checked, self.review, self.refusal = None, False, (), ""
        self._show("text", "checked", "review")
        self.find()

    # -- what the station is

    @property
    def actions(self) -> tuple[CheckAction, ...]:
        """The protocols on the bench itself."""
        return tuple(CheckAction(protocol, word, self._why_not(protocol)) for protocol, word in CHECKS.items())

    def _why_not(self, protocol: str) -> str:
        if self.chosen is None:
            return "no station is chosen"
        if self.is_changed:
            return "save the file first: a run takes what is on the disk"
        if self.checked is None or not self.is_checked:
            return "the file could not be checked" if self._is_uncheckable else "the file is being checked"
        if self.problems:
            return "the file is wrong"
        return dict(self.checked.why_not).get(protocol, "")

    def prepare(self, protocol: str) -> None:
        """Prepare a run of a protocol on this station."""
        if self.chosen is not None and not self._why_not(protocol):
            self.context.prepare(self.chosen.name, protocol)

    def certificates(self, today: date) -> list[CertificateRow]:
        """The calibrations, what is due first."""
        found = () if self.checked is None else self.checked.certificates
        return [certificate_row(one, today, self.context.numbers) for one in found]

    def _show(self, *parts: Part) -> None:
        if self._view is not None:
            for part in parts:
                self._view.show_part(part)


def _read(folder: Path, chosen: Path | None) -> tuple[list[StationFile], dict[Path, str | None]]:
    """The files that are at hand, and what stands in them and in the one that is shown."""
    files = station_files(folder)
    paths = [item.path for item in files] + ([] if chosen is None else [chosen])
    return files, {path: text_in(path) for path in paths}


def diff(before: str, after: str) -> list[DiffLine]:
    """The lines that differ, with a few around them."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=CONTEXT_LINES, lineterm="")
    made = []
    for line in lines:
        if line.startswith(("---", "+++")):
            continue
        if line.startswith("@@"):
            place = line.split("+")[1].split(" ")[0].split(",")[0]
            made.append(DiffLine("@", f"line {place}"))
        else:
            made.append(DiffLine(line[0], line[1:]))
    if not made and before != after:
        made.append(DiffLine("@", "only the ends of lines differ"))
    return made
