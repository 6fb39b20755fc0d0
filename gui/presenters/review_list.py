"""The runs of a folder: read in the background, sorted, filtered, kept up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from gui.presenters.background import Cancel
from gui.presenters.context import Context
from gui.presenters.known_runs import KnownRuns
from gui.presenters.numbers import NARROW_NBSP, local_date
from gui.presenters.review_read import (
    CUT_OFF,
    DAMAGED,
    GOING_ON,
    JUST_WRITTEN,
    RUN,
    RunRow,
    read_rows,
    recovered,
    verdict_of,
)
from gui.presenters.tone import TONE_OF_VERDICT, Tone, tone_of_end

LOOK_S = 3.0
"""Between two looks at the folder."""

BATCH = 16
BATCH_S = 30.0
SINGLE_S = 10.0
"""How long a batch of files, and a file that its batch failed with, may take."""

RECOVER_S = 3600.0
WRITTEN_S = 30.0
"""A journal that was written so lately may still be; it is if it has grown since it was first seen."""

SLOWER = 20.0
"""While files are read, showing them takes at most about this part of the time."""

SUFFIXES = (".h5", ".journal")
ALL = "all"

KEYS: dict[str, Callable[[RunRow], str | float]] = {
    "file": lambda row: row.path.name.casefold(),
    "date": lambda row: 0.0 if row.made is None else row.made.timestamp(),
    "protocol": lambda row: row.procedure,
    "dut": lambda row: row.dut.casefold(),
    "station": lambda row: row.station.casefold(),
    "status": lambda row: row.status or row.kind,
    "verdict": lambda row: -1.0 if (verdict := verdict_of(row)) is None else float(verdict.rank),
    "origin": lambda row: row.origin,
    "digest": lambda row: row.digest,
    "size": lambda row: float(row.size),
}
"""What the list can be sorted by."""

Stamp = tuple[int, int]
"""Time of the last change in ns, and size: what tells that a file is another one."""


class ListView(Protocol):
    """What the presenter asks of its view."""

    def show_runs(self) -> None:
        """Show `RunList.rows` and `RunList.says`."""


class RunList:
    """The runs of a folder.

    Attributes
    ----------
    text, protocol, verdict, status : what the list is narrowed to; `ALL` is everything.
    sort_key, descending : order of the list.
    is_shown : nothing is looked at while nobody looks.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._chosen: Path | None = None
        self._listed = context.folder
        self.text = ""
        self.protocol = self.verdict = self.status = ALL
        self.sort_key, self.descending = "date", True
        self.is_shown = False
        self.recovering: set[Path] = set()
        self._view: ListView | None = None
        self._known: dict[Path, tuple[Stamp, RunRow]] = {}
        self._waiting: list[tuple[Path, Stamp]] = []
        self._looking = False
        self._runs = KnownRuns(context.state_folder)
        self._reading: dict[int, Cancel] = {}  # batches that are being read
        self._batches = 0
        self._rest_until = 0.0
        self._live: set[Path] = set()
        self._grown: set[Path] = set()  # files that were seen to grow
        self._fresh: set[Path] = set()  # journals that were written lately
        self._sentence = ""
        context.background.every(LOOK_S, self.look)

    @property
    def folder(self) -> Path:
        """The folder that a person chose here; the one where runs are written without that."""
        return self._chosen or self.context.folder

    def attach(self, view: ListView) -> None:
        """Have a view."""
        self._view = view
        view.show_runs()

    # -- what is shown

    @property
    def rows(self) -> list[RunRow]:
        """The runs that are asked for, in the order that is asked for."""
        kept = [row for row in self._rows() if self._is_wanted(row)]
        kept.sort(key=lambda row: row.path.name)
        kept.sort(key=KEYS[self.sort_key], reverse=self.descending)
        return kept

    def choices(self, what: str) -> list[str]:
        """What the list can be narrowed to: protocols, verdicts or statuses that are there."""
        asked = getattr(self, what)  # what is asked for can be seen though there is none of it any more
        return [ALL, *sorted({asked, *(_of(row, what) for row in self._rows())} - {"", ALL})]

    @property
    def says(self) -> tuple[str, Tone]:
        """How many there are, and how far reading them is."""
        if self._sentence:
            return self._sentence, Tone.WARN
        count, there = sum(map(self._is_wanted, self._rows())), len(self._known)
        text = f"{there} run{'s' if there != 1 else ''}" if count == there else f"{count} of {there} runs"
        if self._waiting or self._reading:
            left = len(self._waiting)
            return f"{text}, reading {left} more…" if left else f"{text}, reading…", Tone.BUSY
        damaged = sum(row.kind == DAMAGED for _, row in self._known.values())
        return (f"{text}, {damaged} cannot be read" if damaged else text), Tone.WARN if damaged else Tone.MUTED

    # -- what a person does

    def show(self) -> None:
        """The list has come to the front."""
        self.is_shown = True
        self.look()

    def hide(self) -> None:
        """Nobody looks any more."""
        self.is_shown = False

    def open_folder(self, text: str) -> None:
        """Look at another folder; one that is none is said."""
        path = Path(text.strip()).expanduser().absolute()

        def looked(is_file: bool) -> None:
            self._chosen = path.parent if is_file else path
            self.look()
            if is_file and path.suffix == ".h5":
                self.context.open(path)

        if path.suffix in SUFFIXES:
            self.context.background.aside(path.is_file, looked, lambda _: looked(False))
        else:
            looked(False)

    def narrow(self, *, text: str | None = None, **to: str) -> None:
        """Show only some: those that hold a text, and those of a ``protocol``, ``verdict`` or ``status``."""
        if text is not None:
            self.text = text
        for what, value in to.items():
            setattr(self, what, value)
        self._show()

    def sort(self, key: str) -> None:
        """Sort by a key; by the same one again, the other way round."""
        self.descending = not self.descending if key == self.sort_key else key in ("date", "size")
        self.sort_key = key
        self._show()

    def recover(self, row: RunRow) -> None:
        """Make the run file of a run that was cut off, from its journal."""
        journal = row.path
        if row.kind != CUT_OFF or journal in self.recovering:
            return
        self.recovering.add(journal)
        self._show()

        def done(_: object) -> None:
            self.recovering.discard(journal)
            made = journal.with_suffix(".h5")
            self.context.notify(f"{made.name} was made from its journal.", Tone.GOOD)
            self.look()

        def failed(said: str) -> None:
            self.recovering.discard(journal)
            self.context.notify(f"{journal.name} was not recovered: {said}", Tone.FAIL)
            self._show()

        self.context.background.apart(recovered, (journal,), done, failed, deadline_s=RECOVER_S)

    # -- looking at the folder

    def look(self) -> None:
        """See what has come, has changed and has gone."""
        if self.folder != self._listed:
            self._listed, self._sentence = self.folder, ""
            self._known.clear()
            self._waiting.clear()
            self._leave_batches()
            self._show()
        if not self.is_shown or self._looking:
            return
        self._looking = True
        folder, runs = self.folder, self._runs
        self.context.background.aside(
            lambda: (folder, _listed(folder), _live(runs)), self._seen, lambda said: self._not_seen(folder, said)
        )

    def _seen(self, found: tuple[Path, dict[Path, Stamp], set[Path]]) -> None:
        self._looking = False
        folder, there, live = found
        if folder != self.folder:
            self.look()
            return
        gone = [path for path in self._known if path not in there]
        for path in gone:
            del self._known[path]
        changed = bool(gone) or live != self._live or bool(self._sentence)
        self._live, self._sentence = live, ""
        known = {path: stamp for path, (stamp, _) in self._known.items()}
        self._grown |= {path for path, stamp in there.items() if path in known and stamp[1] > known[path][1]}
        # The header of a journal stays as it is once it was read; it may not have been whole yet.
        headed = {path for path, (_, row) in self._known.items() if path.suffix == ".journal" and row.kind != DAMAGED}
        self._waiting = [
            (path, stamp) for path, stamp in there.items() if known.get(path) != stamp and path not in headed
        ]
        for path, stamp in there.items():
            if path in headed and known[path] != stamp:
                row = self._known[path][1]
                self._known[path] = (stamp, replace(row, size=stamp[1]))
                changed = True
        fresh = {path for path in headed & there.keys() if _is_fresh(there[path])}
        changed, self._fresh = changed or fresh != self._fresh, fresh
        self._waiting.sort(key=lambda item: -item[1][0])
        if changed or self._waiting:
            self._show()
        self._read()

    def _not_seen(self, folder: Path, said: str) -> None:
        self._looking = False
        if folder == self.folder:
            self._known.clear()
            self._sentence = said
            self._show()

    def _read(self) -> None:
        """The newest first, some at a time."""
        if self._reading or not self._waiting:
            return
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        self._ask(batch, BATCH_S if len(batch) > 1 else SINGLE_S)

    def _ask(self, batch: Sequence[tuple[Path, Stamp]], deadline_s: float) -> None:
        stamps = dict(batch)
        self._batches = number = self._batches + 1

        def done(rows: list[RunRow]) -> None:
            del self._reading[number]
            self._take(rows, stamps)

        def failed(said: str) -> None:
            del self._reading[number]
            if len(batch) == 1:  # HDF5 crashed or hangs on this one
                path = batch[0][0]
                self._take([RunRow(path, stamps[path][1], DAMAGED, sentence=f"reading it {said}")], stamps)
            else:
                for one in batch:  # to find the one that the batch failed with
                    self._ask([one], SINGLE_S)

        ask = self.context.background.apart
        self._reading[number] = ask(read_rows, (tuple(stamps),), done, failed, deadline_s=deadline_s)

    def _leave_batches(self) -> None:
        """They are of a folder that is not listed any more."""
        for cancel in self._reading.values():
            cancel()
        self._reading.clear()

    def _take(self, rows: list[RunRow], stamps: dict[Path, Stamp]) -> None:
        for row in rows:
            if row.path.parent == self.folder:
                self._known[row.path] = (stamps[row.path], row)
        self._read()
        is_last = not (self._waiting or self._reading)
        begun = time.monotonic()
        if is_last or begun >= self._rest_until:  # a list of thousands takes a while to be shown
            self._show()
            self._rest_until = time.monotonic() + SLOWER * (time.monotonic() - begun)

    # -- small parts

    def _rows(self) -> list[RunRow]:
        return [self._as_of_now(row, _is_fresh(stamp)) for stamp, row in self._known.values()]

    def _as_of_now(self, row: RunRow, just_written: bool) -> RunRow:
        """A journal that is still written is no run that was cut off; one in the foreground is in no queue."""
        if row.kind != CUT_OFF:
            return row
        if row.path in self.recovering:
            return replace(row, kind=GOING_ON, sentence="is being recovered…")
        if row.path in self._live or (just_written and row.path in self._grown):
            return replace(row, kind=GOING_ON, sentence="the run goes on; its file is made when it ends")
        if just_written:
            said = "was written a moment ago: the run goes on, or was cut off; it shows within half a minute"
            return replace(row, kind=JUST_WRITTEN, sentence=said)
        return row

    def _is_wanted(self, row: RunRow) -> bool:
        for what in ("protocol", "verdict", "status"):
            asked = getattr(self, what)
            if asked not in (ALL, _of(row, what)):
                return False
        words = self.text.casefold().split()
        if not words:
            return True
        said = [row.path.name, row.title, row.procedure, row.dut, row.station, row.status, row.verdict, row.origin]
        text = " ".join([*said, row.digest, row.run_id, row.sentence, date_of(row)]).casefold()
        return all(word in text for word in words)

    def _show(self) -> None:
        if self._view is not None:
            self._view.show_runs()


def _is_fresh(stamp: Stamp) -> bool:
    """Whether a file was changed so lately that it may be about to change again."""
    return time.time_ns() - stamp[0] < WRITTEN_S * 1e9


def _of(row: RunRow, what: str) -> str:
    return {"protocol": row.procedure, "verdict": row.verdict, "status": row.status or row.kind}[what]


def date_of(row: RunRow) -> str:
    """When a run began, on the clock of the wall."""
    return "" if row.made is None else local_date(row.made)


def size_text(size: int) -> str:
    """Bytes as a person reads them."""
    for unit, step in (("GB", 1e9), ("MB", 1e6)):
        if size >= step:
            return f"{size / step:.1f}{NARROW_NBSP}{unit}"
    return f"{max(round(size / 1e3), 1)}{NARROW_NBSP}kB"


def verdict_text(row: RunRow) -> str:
    """The verdict as a word; what there is instead of one."""
    if row.verdict:
        return row.verdict.replace("-", " ")
    return "not judged" if row.kind == RUN else row.kind


def verdict_tone(row: RunRow) -> Tone:
    """How much to mind it."""
    verdict = verdict_of(row)
    if verdict is not None:
        return TONE_OF_VERDICT[verdict]
    tones = {DAMAGED: Tone.FAIL, CUT_OFF: Tone.WARN, GOING_ON: Tone.BUSY, JUST_WRITTEN: Tone.BUSY}
    return tones.get(row.kind, Tone.MUTED)


def origin_text(row: RunRow) -> str:
    """Where the data come from."""
    return row.origin


def origin_tone(row: RunRow) -> Tone:
    """Only what was measured can be approved."""
    return origin_tone_of(row.origin)


def origin_tone_of(origin: str) -> Tone:
    """Only what was measured can be approved."""
    return Tone.PLAIN if origin in ("measured", "") else Tone.WARN


def status_tone(row: RunRow) -> Tone:
    """Whether the run came to its end."""
    return status_tone_of(row.status)


def status_tone_of(status: str) -> Tone:
    """Whether a run of this status came to its end."""
    return Tone.PLAIN if status in ("completed", "") else tone_of_end(status)


def _listed(folder: Path) -> dict[Path, Stamp]:
    """Run files of a folder, and journals that have none; raises ValueError where it is no folder."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give one that holds run files")
    there: dict[Path, Stamp] = {}
    for path in folder.iterdir():
        if path.suffix in SUFFIXES and not path.name.startswith("."):
            try:
                said = path.stat()
            except OSError:
                continue  # it has just gone
            there[path] = (said.st_mtime_ns, said.st_size)
    return {
        path: stamp for path, stamp in there.items() if path.suffix == ".h5" or path.with_suffix(".h5") not in there
    }


def _live(runs: KnownRuns) -> set[Path]:
    """Journals that a run of this computer still writes."""
    return {Path(state.journal) for _, state in runs.going() if state.journal}
