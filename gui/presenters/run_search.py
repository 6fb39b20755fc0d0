"""Runs that are found through the catalogue: by words and filters, page by page, wherever their files lie."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from bench.catalogue import VARIABLE, Indexed, index, known_folders, missed, opened, place_of
from data.catalogue.entry import DAMAGED, MISSING, RUN, SNAPSHOT
from data.catalogue.store import Line, Wanted, is_there
from data.checks import Verdict
from gui.presenters.background import Cancel, nothing
from gui.presenters.context import Context
from gui.presenters.numbers import local_date
from gui.presenters.sign_off import STATES
from gui.presenters.tone import TONE_OF_VERDICT, Tone

PAGE = 200
"""So many runs are read at once; more when somebody scrolls there."""

LOOK_S = 2.0
"""Between two looks whether the catalogue has changed."""

SERVER_S = 15.0
"""A server is asked again after this: it does not tell that it has changed."""

INDEX_S = 6 * 3600.0

CHOICES = {"protocol": "Protocol", "verdict": "Verdict", "review": "Review", "origin": "Origin", "station": "Station"}
"""What is narrowed by choosing, and its word."""

TYPED = {
    "dut": ("Device", "serial number or model"),
    "lot": ("Lot", "of pump, fluid or catheter"),
    "instrument": ("Instrument", "serial number"),
    "since": ("From", "such as 2026-11-21"),
    "until": ("Until", "such as 2026-11"),
}
"""What is narrowed by typing: its word, and what may be typed."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the catalogue says.

    Attributes
    ----------
    lines : of the page that was asked for; ``count`` of all that are wanted, ``total`` of all that there are.
    choices : see `data.catalogue.store.Catalogue.choices`; None where they were not asked for, nor ``total``.
    missed : runs that the catalogue did not take at their end.
    there : False where there is no catalogue.
    """

    lines: Sequence[Line] = ()
    count: int = 0
    total: int = 0
    choices: Mapping[str, Sequence[str]] | None = None
    missed: int = 0
    there: bool = True


class SearchView(Protocol):
    """What the presenter asks of its view."""

    def show_found(self) -> None:
        """Show `RunSearch.lines`, `says`, `choices` and whether a catalogue is there."""

    def show_wanted(self) -> None:
        """Put `RunSearch.wanted` into the filters."""


class RunSearch:
    """The runs that the catalogue knows, narrowed and sorted.

    Attributes
    ----------
    wanted : what is asked for.
    lines : the runs of it that have been read, in order.
    choices : what there is to be chosen, by field of `Wanted`.
    there : whether there is a catalogue; None until that is known.
    order, up : see `data.catalogue.store.Catalogue.runs`.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.wanted = Wanted()
        self.lines: Sequence[Line] = ()
        self.count = self.total = 0
        self.choices: Mapping[str, Sequence[str]] = {}
        self.there: bool | None = None
        self.order, self.up = "made", False
        self.is_indexing = False
        self._missed = 0
        self._sentence = ""
        self._is_shown = self._is_asking = self._is_stale = self._is_looking = False
        self._most = PAGE
        self._seen: object = None
        self._stop: Cancel = nothing
        self._view: SearchView | None = None
        context.background.every(LOOK_S, self.look)

    def attach(self, view: SearchView) -> None:
        """Have a view."""
        self._view = view
        view.show_found()

    def show(self) -> None:
        """The list has come to the front."""
        self._is_shown = True
        self._ask()

    def hide(self) -> None:
        """Nobody looks any more."""
        self._is_shown = False

    # -- what a person does

    def narrow(self, **to: str) -> None:
        """Ask for other runs, by fields of `Wanted`."""
        wanted = replace(self.wanted, **{name: text.strip() for name, text in to.items()})
        if wanted != self.wanted:
            self.wanted = wanted
            self._begin()

    def find(self, wanted: Mapping[str, str]) -> None:
        """Ask for these runs, and show in the filters what was asked for."""
        self.wanted = replace(Wanted(), **wanted)
        if self._view is not None:
            self._view.show_wanted()
        self._begin()

    def clear(self) -> None:
        """Ask for all runs."""
        self.find({})

    def sort(self, order: str) -> None:
        """Sort by a key of `data.catalogue.store.ORDERS`; by the same one again, the other way round."""
        self.up = not self.up if order == self.order else order not in ("made", "duration_s")
        self.order = order
        self._begin()

    def more(self) -> None:
        """Somebody has scrolled to the end of what was read."""
        if len(self.lines) < self.count and self._most <= len(self.lines):
            self._most = len(self.lines) + PAGE
            self._ask()

    def open(self, line: Line) -> None:
        """Review a run, where its file can be read from here."""
        otherwise = f"{name_of(line)} cannot be opened: {why_not(line)}"
        if line.kind in (RUN, SNAPSHOT):
            self.context.open_if_there(Path(line.path), otherwise)
        else:
            self.context.notify(otherwise, Tone.WARN)

    def index(self, folder: str = "") -> None:
        """Take the run files of a folder, and of those below it, into the catalogue; of all that it knows without one.

        Only what has changed is read, in a process of its own; the list grows meanwhile.
        """
        if self.is_indexing:
            return
        places = (Path(folder.strip()).expanduser().absolute(),) if folder.strip() else ()
        self.is_indexing, self._sentence = True, ""
        arguments = (given(self.context.state_folder), places)
        self._stop = self.context.background.apart(
            indexed, arguments, self._indexed, self._not_indexed, deadline_s=INDEX_S
        )
        self._show()

    def stop_indexing(self) -> None:
        """Leave it at what was read so far."""
        self._stop()
        if self.is_indexing:
            self.is_indexing = False
            self._ask()

    def _indexed(self, done: Indexed) -> None:
        self.is_indexing = False
        said = f"{done.added} files read, {done.unchanged} as known"
        for count, what in ((len(done.damaged), "cannot be read"), (len(done.missing), "are gone")):
            said += f", {count} {what}" if count else ""
        self.context.notify(said, Tone.WARN if done.damaged or done.missing else Tone.GOOD)
        self._ask()

    def _not_indexed(self, said: str) -> None:
        self.is_indexing, self._sentence = False, said
        self._show()

    # -- what is shown

    @property
    def says(self) -> tuple[str, Tone]:
        """How many runs there are, or why there are none."""
        if self._sentence:
            return self._sentence, Tone.WARN
        if self.there is None:
            return "Looking…", Tone.BUSY
        text = (
            f"{self.total:,} run{'s' if self.total != 1 else ''}"
            if self.count == self.total
            else f"{self.count:,} of {self.total:,} runs"
        )
        if self.is_indexing:
            return f"{text}, reading run files…", Tone.BUSY
        if not self.there:
            return "No catalogue yet", Tone.MUTED
        if self._missed:
            return f"{text}; {self._missed} not taken in when they ended: bring it up to date", Tone.WARN
        return text, Tone.MUTED

    @property
    def is_narrowed(self) -> bool:
        """Whether not all runs are asked for."""
        return self.wanted != Wanted()

    # -- asking

    def look(self) -> None:
        """Ask again if the catalogue has changed."""
        if self._is_shown and not self._is_asking and not self._is_looking:
            self._is_looking, state_folder = True, self.context.state_folder
            self.context.background.aside(lambda: stamp(state_folder), self._looked, lambda _: self._looked(self._seen))

    def _looked(self, seen: object) -> None:
        self._is_looking = False
        if seen != self._seen:
            self._ask()

    def _begin(self) -> None:
        self._most = PAGE
        self._ask()

    def _ask(self) -> None:
        """Ask for what is wanted now; what is under way is not shown then."""
        if self._is_asking:
            self._is_stale = True
            return
        self._is_asking = True
        asked = (self.wanted, self.order, self.up, self._most)
        state_folder, before = self.context.state_folder, self._seen

        def ask() -> tuple[object, Found]:
            seen = stamp(state_folder)
            return seen, found(state_folder, *asked, whole=seen is None or seen != before)

        self.context.background.aside(ask, lambda came: self._take(*came), self._failed)

    def _take(self, seen: object, came: Found) -> None:
        self._is_asking = False
        if self._asked_anew():
            return
        self._seen, self._sentence = seen, ""
        self.lines, self.count, self._missed, self.there = came.lines, came.count, came.missed, came.there
        if came.choices is not None:
            self.choices, self.total = came.choices, came.total
        self._show()

    def _failed(self, said: str) -> None:
        self._is_asking = False
        if not self._asked_anew():
            self._sentence = said
            self._show()

    def _asked_anew(self) -> bool:
        stale, self._is_stale = self._is_stale, False
        if stale:
            self._ask()
        return stale

    def _show(self) -> None:
        if self._view is not None:
            self._view.show_found()


# -- what is done in the background


def given(state_folder: Path) -> str:
    """The catalogue's address, as `bench.catalogue.opened` takes it: what the environment says goes first."""
    return "" if os.environ.get(VARIABLE) else str(state_folder / "catalogue.db")


def has_catalogue(state_folder: Path) -> bool:
    """Whether there may be a catalogue; asks no server."""
    return bool(os.environ.get(VARIABLE)) or (state_folder / "catalogue.db").is_file()


def stamp(state_folder: Path) -> object:
    """Another one when the catalogue may have changed."""
    if os.environ.get(VARIABLE):
        return time.monotonic() // SERVER_S
    with suppress(OSError):
        there = (state_folder / "catalogue.db").stat()
        return there.st_mtime_ns, there.st_size
    return None


def found(state_folder: Path, wanted: Wanted, order: str, up: bool, most: int, *, whole: bool) -> Found:
    """The runs that are asked for, as many as are shown; raises `data.catalogue.store.CatalogueError`.

    Parameters
    ----------
    whole : whether to tell too how many runs there are at all, and what can be chosen: the catalogue has changed.
    """
    place = given(state_folder)
    if not is_there(place_of(place)):
        return Found(choices={}, there=False)
    with opened(place) as there:
        lines = there.runs(wanted, limit=most, order=order, up=up)
        count = len(lines) if len(lines) < most else there.count(wanted)
        return Found(lines, count, there.count() if whole else 0, there.choices() if whole else None, len(missed()))


def indexed(place: str, folders: Sequence[Path]) -> Indexed:
    """Bring folders up to date, all that are known without any."""
    with opened(place, make=True) as there:
        return index(there, folders or known_folders(there))


# -- how a run is shown


def name_of(line: Line) -> str:
    """The name of its file; the paths of another computer may be of another kind."""
    return line.path.replace("\\", "/").rpartition("/")[2]


def began(line: Line) -> str:
    """When it began, on the clock of the wall here."""
    try:
        return local_date(datetime.fromisoformat(line.made))
    except ValueError:
        return ""


def device(line: Line) -> str:
    """Model and serial number of the pump."""
    return " ".join(filter(None, (line.dut_model, line.dut_serial)))


def verdict_said(line: Line) -> tuple[str, Tone]:
    """The verdict as a word, or what there is instead of one."""
    if line.kind == MISSING:
        return "file missing", Tone.FAIL
    if line.kind == DAMAGED:
        return "damaged", Tone.FAIL
    if line.verdict in set(Verdict):
        return line.verdict.replace("-", " "), TONE_OF_VERDICT[Verdict(line.verdict)]
    return ("snapshot" if line.kind == SNAPSHOT else "not judged"), Tone.MUTED


def review_said(line: Line) -> tuple[str, Tone]:
    """Where the review stands, as the file's signatures say it; nothing has verified them."""
    return next((said for state, said in STATES.items() if state == line.review), (line.review, Tone.MUTED))


def tip_of(line: Line) -> str:
    """All that a row does not show."""
    lots = ", ".join(filter(None, (line.dut_lot, line.fluid_lot, line.catheter_lot)))
    said = (line.path, line.sentence, f"on computer {line.computer}", f"lots {lots}" if lots else "", line.run_id)
    return "\n".join(filter(None, said))


def why_not(line: Line) -> str:
    """Why a run cannot be opened from here."""
    return line.sentence or f"{line.path} is on computer {line.computer}; open it there, or from a folder that both see"
