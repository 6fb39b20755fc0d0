"""The detection matrix in the window: it is run by ``pumpbench qualify`` in a process of its own, and watched here.

A matrix of a night goes on when the window is closed, and is found again when it is opened.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from bench.qualify.ledger import under_way
from gui.presenters.context import Context
from gui.presenters.matrix_cells import MatrixTable, matrix_of
from gui.presenters.numbers import most_percent, rough_duration
from gui.presenters.tone import Tone

LOOK_S = 2.0
COUNT_S = 6.0
"""Between two counts of the trials; each takes a process of its own for a second."""

STATIONS = ("sim-long", "sim-life", "sim-full", "sim-refill", "sim-catheter")
"""Shipped stations on which every protocol can be run; the first is read no more often than long runs need."""


@dataclass(frozen=True)
class Asked:
    """What is to be qualified; as the options of ``pumpbench qualify``.

    Attributes
    ----------
    protocols : only these; all without any.
    folder : of the trials and the matrix; the same goes on where it was stopped.
    """

    folder: Path
    stations: tuple[str, ...] = STATIONS
    quick: bool = True
    protocols: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """The command line."""
        said = ["qualify", "--out", str(self.folder), *(["--quick"] if self.quick else [])]
        for option, values in (("--station", self.stations), ("--protocol", self.protocols)):
            for value in values:
                said += [option, value]
        return said


@dataclass(frozen=True)
class SoFar:
    """What the trials said so far.

    Attributes
    ----------
    matrix : as ``pumpbench qualify --json`` prints it.
    left_s : how long the rest takes; None where nobody knows.
    asked : what was counted.
    others : trials of the folder that do not count: of another selection, or of another version of this program.
    strange : plan of the latest trial, where that is none of those that were tried.
    """

    done: int
    total: int
    left_s: float | None
    matrix: Mapping[str, Any]
    asked: Asked
    others: int = 0
    strange: str = ""


def count(asked: Asked, follow: bool = False, strange: str = "") -> SoFar:
    """Count the trials that are there; reads files, and takes a second of imports: for a process of its own.

    Parameters
    ----------
    follow : where the latest trial belongs to the other form, or to all stations, count those.
    strange : a plan that is known to be neither.
    """
    from bench.qualify import matrix
    from bench.qualify.forecast import left_s, usual_jobs
    from bench.qualify.ledger import look
    from bench.qualify.plan import build_plan, code_identity

    code, plans = code_identity(), _plans(asked.folder)
    latest = next((each for each, by in reversed(plans) if by == code), "")
    plan = build_plan(asked.stations, quick=asked.quick, protocols=asked.protocols)
    if follow and latest not in ("", strange, plan.digest):
        for other in _others(asked):
            tried = build_plan(other.stations, quick=other.quick, protocols=other.protocols)
            if tried.digest == latest:
                asked, plan = other, tried
                break
    done = look(asked.folder, plan.digest, code)
    counted = matrix.matrix_of(plan, done, code=code, made_at="")
    total = sum(1 for _ in plan.trials())
    left = left_s(plan, done, usual_jobs())
    others = sum(1 for each in plans if each != (plan.digest, code))
    unknown = latest if follow and latest != plan.digest else ""
    return SoFar(len(done), total, left, counted.to_json(), asked, others, unknown)


def _plans(folder: Path) -> list[tuple[str, str]]:
    """Plan and code of each trial in a folder."""
    from bench.json_lines import read_lines
    from bench.qualify.ledger import NAME

    try:
        lines = read_lines((folder / NAME).read_bytes())[0]
    except FileNotFoundError:
        return []
    return [(str(line.get("plan")), str(line.get("code"))) for line in lines]


def _others(asked: Asked) -> Iterator[Asked]:
    """What else may have been asked for in a folder."""
    yield replace(asked, quick=not asked.quick)
    if asked.stations != STATIONS:
        for quick in (asked.quick, not asked.quick):
            yield replace(asked, quick=quick, stations=STATIONS)


class QualificationView(Protocol):
    """What the presenter asks of the page."""

    def show_matrix(self) -> None:
        """Show the picture and the sentence above it."""

    def show_asked(self, asked: Asked) -> None:
        """Show what is counted, where nobody chose it here."""

    def show_cell(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Show what was found of one fault by one protocol: its rows of the matrix."""


class Qualification:
    """The qualification in one folder.

    Attributes
    ----------
    asked : what is, or will be, run.
    running : its process; None while none runs.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.asked = Asked(context.folder.parent / "qualification")
        self.running: int | None = None
        self.so_far: SoFar | None = None
        self.table = MatrixTable()
        self._view: QualificationView | None = None
        self._stopping = False
        self._begun: int | None = None  # a process that was started here; it locks its folder a second later
        self._process: subprocess.Popen[bytes] | None = None  # the same, until it has ended
        self._counting = self._is_looking = False
        self._trouble = ""
        self._bytes = 0  # of the trials
        self._counted_for = (-1, True)
        self._looks = 0
        self._chosen = False  # whether a person chose what to count in this folder
        self._strange = ""

    def attach(self, view: QualificationView) -> None:
        """Have a page."""
        self._view = view
        self.context.background.every(LOOK_S, self.look)

    def shown(self) -> None:
        """The page has come to the front: what could not be counted is counted again."""
        if self._trouble:
            self._counted_for = (-1, True)
        self.look()

    def ask(self, *, quick: bool, stations: Sequence[str], protocols: Sequence[str], folder: Path) -> None:
        """Choose what is to be run."""
        wanted = Asked(folder, tuple(stations), quick, tuple(protocols))
        if wanted == self.asked:
            return
        self._chosen, self._strange = wanted.folder == self.asked.folder, ""
        self.asked = wanted
        self._counted_for = (-1, True)
        self._forget()
        self._show()
        self.look()

    def start(self) -> None:
        """Run what is not done yet."""
        if self.running is not None:
            return
        try:
            self._process = process = _started(self.asked)
        except OSError as error:
            where = f"The qualification cannot be run in {self.asked.folder}"
            self.context.notify(f"{where} ({error.strerror}); choose a folder that can be written", Tone.FAIL)
            return
        self._chosen = True
        self.running = self._begun = process.pid
        self._stopping = False
        self._show()

    def stop(self) -> None:
        """Have it stop; what is done stays done."""
        if self.running is None:
            return
        try:
            os.kill(self.running, signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
        except ProcessLookupError:
            self.look()  # it has just ended
        except OSError as error:
            self.context.notify(f"The qualification was not stopped: {error.strerror}", Tone.WARN)
        else:
            self._stopping = True
            self._show()

    def choose(self, fault: str, protocol: str) -> None:
        """Show one cell."""
        rows = self.so_far.matrix["rows"] if self.so_far is not None else ()
        if self._view is not None:
            self._view.show_cell([row for row in rows if (row["fault"], row["protocol"]) == (fault, protocol)])

    def look(self) -> None:
        """See whether it runs, and count what is there when that has changed; files are looked at aside."""
        if self._process is not None and (code := self._process.poll()) is not None:
            self._process = None
            self._ended(code)
            return
        if self._is_looking:
            return
        self._is_looking = True
        folder = self.asked.folder
        self.context.background.aside(
            lambda: (folder, under_way(folder), _size(folder)), self._looked, lambda _: self._looked((folder, None, 0))
        )

    def _looked(self, seen: tuple[Path, int | None, int]) -> None:
        self._is_looking = False
        folder, running, size = seen
        if folder != self.asked.folder:
            self.look()  # another one was chosen meanwhile
            return
        self.running = running or self._begun
        self._stopping = self._stopping and self.running is not None
        self._looks += 1
        self._bytes = size
        if not size:
            self._forget()
        due = self._looks % max(round(COUNT_S / LOOK_S), 1) == 0 or self.so_far is None
        if size and due and not self._counting and (size, self.running is not None) != self._counted_for:
            self._counting, self._counted_for = True, (size, self.running is not None)
            asked = self.asked
            self.context.background.apart(
                count,
                (asked, self._follows, self._strange),
                lambda found: self._counted(found, asked),
                self._not_counted,
            )
        self._show()

    @property
    def says(self) -> tuple[str, Tone]:
        """The sentence above the picture."""
        found = self.so_far
        if self._stopping and self.running:
            return "Stopping: the trials that run now end first", Tone.BUSY
        if self._trouble:
            return f"The trials cannot be counted: {self._trouble}", Tone.FAIL
        if found is None and self._bytes:
            return "Counting the trials…", Tone.BUSY
        if found is None:
            return ("Starting…", Tone.BUSY) if self.running else ("Nothing was run in this folder yet", Tone.MUTED)
        text = f"{found.done} of {found.total} trials"
        if found.strange and self._begun is None:
            text = f"The latest trials are of another selection; of this one {text}"
        elif self.running and found.left_s is not None:
            text += f", about {rough_duration(found.left_s)} left"
        if not found.done:
            return self._none_yet(found, text)
        missed = [cell.row or "a sound pump" for cell in self.table.cells if cell.state == "amiss"]
        drawn = found.matrix.get("drawn", {})
        tried = drawn.get("where_aimed", True) and not drawn.get("not_counted")
        if not (tried and all(each.get("holds", True) for each in found.matrix["pumps"])):
            missed.append("pumps around their limit")
        if missed:
            names = ", ".join(dict.fromkeys(missed))
            return f"{text}. Not as claimed: {names}", Tone.FAIL
        if found.done < found.total:
            return f"{text}. All as claimed so far", Tone.BUSY if self.running else Tone.WARN
        return f"{text}. All as claimed", Tone.GOOD

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What else the matrix says: false alarms, pumps around their limit, the locator."""
        if self.so_far is None:
            return []
        matrix = self.so_far.matrix
        alarms = matrix["false_alarms"]
        said = []
        if alarms["trials"]:
            text = f"{alarms['count']} of {alarms['trials']}, on at most {most_percent(alarms['at_most'])} of rigs"
            said.append(("False alarms", text))
        words = {"inside": "Pumps just inside", "outside": "Pumps just outside", "rest": "Other pumps"}
        for each in (each for each in matrix["pumps"] if each["pumps"]):
            said.append((words[each["stratum"]], f"{each['wrong']} of {each['pumps']} judged wrongly"))
        for owner, each in matrix.get("located", {}).items():
            if owner in ("dut", "rig", "catheter", "record"):
                said.append(
                    (f"Located, {owner}", f"{each['right_cause_first']} of {each['located']} right cause first")
                )
        return said

    # -- small parts

    @property
    def _follows(self) -> bool:
        """Whether to count what the latest trial is of, rather than what was chosen here."""
        return not self._chosen or (self.running is not None and self._begun is None)

    def _none_yet(self, found: SoFar, text: str) -> tuple[str, Tone]:
        """Where no trial counts: nothing is as claimed, nor is it not."""
        if not found.others or self._begun is not None:
            return text, Tone.BUSY if self.running else Tone.MUTED
        text = f"{found.others} trials are here, of another selection or of another version of this program"
        return (text, Tone.WARN) if self.running else (f"{text}; none of this one yet", Tone.MUTED)

    def _forget(self) -> None:
        """Nothing is known of the trials."""
        self._trouble = ""
        if self.so_far is not None:
            self.so_far, self.table = None, MatrixTable()

    def _counted(self, found: SoFar, asked: Asked) -> None:
        self._counting = False
        if asked != self.asked or (found.asked != asked and not self._follows):
            self._counted_for = (-1, True)  # a person chose, or began, something else meanwhile
            return
        self._trouble = ""
        self._strange = found.strange
        if found.asked != asked:
            self.asked = found.asked
            if self._view is not None:
                self._view.show_asked(found.asked)
        self.so_far, self.table = found, matrix_of(found.matrix)
        self._show()

    def _not_counted(self, why: str) -> None:
        self._counting, self._trouble = False, why
        self._show()

    def _ended(self, code: int) -> None:
        self.running = self._begun = None
        self._stopping = False
        if code not in (0, 1, 130, -signal.SIGINT):
            log = self.asked.folder / "qualify.log"
            said = "The qualification ended with an error"
            self.context.background.aside(
                lambda: _last_line(log), lambda line: self.context.notify(f"{said}: {line or log}", Tone.FAIL)
            )
        self._counted_for = (-1, True)
        self.look()

    def _show(self) -> None:
        if self._view is not None:
            self._view.show_matrix()


def _size(folder: Path) -> int:
    """Of the trials, in bytes."""
    try:
        return (folder / "trials.jsonl").stat().st_size
    except OSError:
        return 0


def _last_line(log: Path) -> str:
    """Of a log; empty where there is none."""
    try:
        lines = log.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def _started(asked: Asked) -> subprocess.Popen[bytes]:
    """The qualification in a process of its own; raises OSError where its folder cannot be written."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    with (asked.folder / "qualify.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.cli", *asked.words()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **of_its_own(),
        )


def of_its_own() -> dict[str, Any]:
    """What keeps a process from ending with the window."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
