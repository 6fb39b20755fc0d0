"""The bench at a glance: every station, sorted by how soon a person should turn to it, and the runs that have ended."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from bench.run_queue import Entry
from gui.presenters.background import Cancel, nothing
from gui.presenters.bench_rows import EndedRow, StationRow, Turn, Urgency, ended_row, station_row
from gui.presenters.bench_scan import Ended, Scan, Scanner
from gui.presenters.context import Context
from gui.presenters.numbers import rough_duration
from gui.presenters.review_list import RECOVER_S
from gui.presenters.review_read import recovered
from gui.presenters.rig_checks import RigState, read_rig_checks, rig_files
from gui.presenters.setup_queue import get_going, withdraw
from gui.presenters.tone import Tone

POLL_S = 1.0
HIDDEN_POLLS = 5
"""Nobody looks: every so many polls are enough."""

LATE_S = 6.0
"""A look that takes longer than this waits for a folder that does not answer; what is shown is of before."""

OPENED = "opened.json"
MOST_OPENED = 2000
"""Run files that are remembered as opened."""

REASON = "withdrawn in the window"
TRY = "sim"
"""The station on which a first run is tried."""

Shown = tuple[StationRow, ...]


class BenchView(Protocol):
    """What the presenter asks of the page."""

    def show_bench(self) -> None:
        """Show what the presenter says."""


class BenchOverview:
    """What goes on at every station.

    Attributes
    ----------
    stations : the most urgent first.
    ended : the latest first.
    trouble : why nothing could be looked at; empty while all is well.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.stations: Shown = ()
        self.ended: tuple[EndedRow, ...] = ()
        self.trouble = ""
        self._scan: Scan | None = None
        self._scanner = Scanner(context.folder, context.state_folder)
        self._opened = _Opened(context.state_folder / OPENED)
        self._rigs: dict[str, RigState] = {}
        self._rigs_of: object = None
        self._leave_rigs: Cancel = nothing
        self._view: BenchView | None = None
        self._is_shown = False
        self._is_looking = False
        self._begun_at = self._seen_at = time.monotonic()  # of the look that is under way, and of what is shown
        self._polls = 0
        self._recovering: set[Path] = set()
        context.on_open(self._hear_opened)

    def attach(self, view: BenchView) -> None:
        """Have a page, and look."""
        self._view = view
        self.context.background.every(POLL_S, self._tick)
        self.look()

    def shown(self, is_shown: bool) -> None:
        """Whether anybody sees the page."""
        self._is_shown = is_shown
        if is_shown:
            self.look()

    def look(self) -> None:
        """Look at everything, unless that is under way."""
        if not self._is_looking:
            self._is_looking, self._begun_at = True, time.monotonic()
            folder = self.context.folder
            self.context.background.aside(
                lambda: (self._scanner.scan(), _rig_files(folder)), lambda found: self._scanned(*found), self._failed
            )

    @property
    def is_first_start(self) -> bool:
        """Whether there is nothing to show yet."""
        return self._scan is not None and not self.stations and not self.ended

    @property
    def summary(self) -> tuple[str, Tone]:
        """The bench in one sentence."""
        age = rough_duration(time.monotonic() - self._seen_at)
        if self.trouble:
            return self.trouble if self._scan is None else f"{self.trouble}. What stands here is {age} old", Tone.FAIL
        late = f"the folder of the runs or that of the stations does not answer ({self.context.folder})"
        if self._scan is None:
            return (f"Looking for {age}: {late}", Tone.WARN) if self._is_late else ("Looking…", Tone.MUTED)
        if self._is_late:
            return f"What stands here is {age} old: {late}. STOP acts all the same", Tone.FAIL
        urgent = [row for row in self.stations if row.urgency < Urgency.TO_REVIEW]
        if urgent:
            worst = Tone.FAIL if any(row.tone is Tone.FAIL for row in urgent) else Tone.WARN
            count = "1 station needs" if len(urgent) == 1 else f"{len(urgent)} stations need"
            return ". ".join([f"{count} a person now", *self._scan.damaged]), worst
        if self._scan.damaged:
            return ". ".join(self._scan.damaged), Tone.WARN
        going = sum(row.run is not None for row in self.stations)
        to_review = sum(row.review == "to review" for row in self.ended)
        said = ["no run goes on" if not going else "1 run goes on" if going == 1 else f"{going} runs go on"]
        if to_review:
            said.append("1 run is to be reviewed" if to_review == 1 else f"{to_review} runs are to be reviewed")
        return ", ".join(said).capitalize(), Tone.PLAIN

    @property
    def _is_late(self) -> bool:
        return self._is_looking and time.monotonic() - self._begun_at > LATE_S

    # -- what a person does

    def watch(self, row: StationRow) -> None:
        """Watch the run that goes on."""
        if row.run is not None:
            self.context.follow(row.run)

    def stop(self, row: StationRow) -> None:
        """Stop the run that goes on."""
        if row.run is not None:
            self.context.stop(row.run)
            self._tell_stops()

    def open(self, file: Path) -> None:
        """Review a run file."""
        self.context.open(file)

    def prepare(self, row: StationRow) -> None:
        """Prepare a run on a station."""
        self.context.prepare(row.file or row.name)

    def edit(self, row: StationRow) -> None:
        """Look at a station's file."""
        self.context.edit(row.file or row.name)

    def try_it(self) -> None:
        """Prepare a first, simulated run."""
        self.context.prepare(TRY)

    def describe_bench(self) -> None:
        """Begin with a station file of one's own."""
        self.context.edit("template")

    def withdraw(self, entry: Entry) -> None:
        """Take a run out of the queue."""
        person = self.context.person
        self.context.background.aside(lambda: withdraw(entry, person, REASON), lambda _: self.look(), self._say)

    def get_going(self, entry: Entry) -> None:
        """Start a runner for a run that waits although nobody holds its station."""
        self.context.background.aside(lambda: get_going(entry), lambda _: self.look(), self._say)

    def recover(self, row: StationRow) -> None:
        """Make the run file of a run that has died, from its journal."""
        journal = row.lost
        if journal is None or journal in self._recovering:
            return
        self._recovering.add(journal)

        def done(_: object) -> None:
            self._recovering.discard(journal)
            self.context.notify(f"{journal.with_suffix('.h5').name} was made from its journal.", Tone.GOOD)
            self.look()

        def failed(sentence: str) -> None:
            self._recovering.discard(journal)
            self.context.notify(f"{journal.name} was not recovered: {sentence}", Tone.FAIL)

        self.context.background.apart(recovered, (journal,), done, failed, deadline_s=RECOVER_S)
        self._arrange()

    # -- looking

    def _tick(self) -> None:
        self._polls += 1
        if self._is_shown and (self._is_late or self.trouble):
            self._tell_stops()  # what stands there gets older, but for these
        if self._is_shown or self._polls % HIDDEN_POLLS == 0:
            self.look()

    def _scanned(self, scan: Scan, rigs: tuple[tuple[str, int], ...] | None) -> None:
        self._is_looking, self._seen_at = False, time.monotonic()
        self._scan, self.trouble = scan, ""
        self._arrange()
        if rigs is not None:
            self._look_at_rigs(scan, rigs)

    def _failed(self, sentence: str) -> None:
        self._is_looking = False
        self.trouble = f"The state of the stations cannot be read: {sentence}"
        self._show()

    def _look_at_rigs(self, scan: Scan, rigs: tuple[tuple[str, int], ...]) -> None:
        """Read the rig checks again when there are others, or a station file is another one."""
        asked = [one for one in scan.stations if one.station is not None and one.station.rig_check is not None]
        files = tuple(one.file for one in asked if one.file)
        told = tuple(one.station for one in asked)
        seen = (rigs, told)
        if seen == self._rigs_of:
            return
        self._rigs_of = seen
        if files:
            arguments = (str(self.context.folder), files, False)
            self._leave_rigs()
            self._leave_rigs = self.context.background.apart(read_rig_checks, arguments, self._heard_rigs, self._say)

    def _heard_rigs(self, rigs: dict[str, RigState]) -> None:
        self._rigs = {state.station: state for state in rigs.values()}
        self._arrange()

    def _arrange(self) -> None:
        scan = self._scan
        if scan is None:
            return
        opened = self._opened.files
        unopened: dict[str, list[Ended]] = {}
        for one in scan.ended:
            if one.file is not None and str(one.file) not in opened:
                unopened.setdefault(one.entry.station, []).append(one)
        rows = [
            station_row(one, self._rigs.get(one.name), unopened.get(one.name, ()), scan.now) for one in scan.stations
        ]
        rows = [_recovering(row) if row.lost in self._recovering else self._stopping(row) for row in rows]
        self.stations = tuple(sorted(rows, key=lambda row: (row.urgency, row.name)))
        stations = {one.name: one.station for one in scan.stations}
        self.ended = tuple(ended_row(one, stations.get(one.entry.station), opened) for one in scan.ended)
        self._show()

    def _stopping(self, row: StationRow) -> StationRow:
        """The row of a station, with what became of the stop of its run."""
        return row if row.run is None else replace(row, stop=self.context.stop_says(row.run.number))

    def _tell_stops(self) -> None:
        """Show what became of each stop, with nothing read: the disk may hang just then."""
        self.stations = tuple(self._stopping(row) for row in self.stations)
        self._show()

    def _hear_opened(self, file: Path) -> None:
        try:
            self._opened.add(file)
        except OSError as error:
            self._say(f"That the file was opened could not be kept: {error.strerror}")
        self._arrange()

    def _say(self, sentence: str) -> None:
        self.context.notify(sentence, Tone.WARN)
        self.look()

    def _show(self) -> None:
        if self._view is not None:
            self._view.show_bench()


def _recovering(row: StationRow) -> StationRow:
    """The row of a station while the record of its run that has died is made."""
    return replace(row, lost=None, turns=(*row.turns, Turn("Nobody:", "its record is being recovered…", Tone.BUSY)))


def _rig_files(folder: Path) -> tuple[tuple[str, int], ...] | None:
    """As `rig_files`; None where the folder cannot be read: the stations are told all the same."""
    with suppress(OSError):
        return rig_files(folder)
    return None


class _Opened:
    """Run files that somebody has looked at, kept in the state folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[str] = []
        self._changed = 0

    @property
    def files(self) -> frozenset[str]:
        """Their paths; another window may have added to them."""
        try:
            changed = self._path.stat().st_mtime_ns
            if changed != self._changed:
                said = json.loads(self._path.read_text("utf-8"))
                self._files = [str(one) for one in said] if isinstance(said, list) else []
                self._changed = changed
        except (OSError, ValueError):
            pass  # what is known stays
        return frozenset(self._files)

    def add(self, file: Path) -> None:
        """Remember one; raises OSError."""
        if str(file) in self.files:
            return
        self._files = [*self._files, str(file)][-MOST_OPENED:]
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._files), "utf-8")
        part.replace(self._path)
