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
from gui.presenters.numbers import rough_duration
from gui.presenters.tone import Tone

LOOK_S = 2.0
COUNT_S = 6.0
"""Between two counts of the trials; each takes a process of its own for a second."""

STATIONS = ("sim-long", "sim-full", "sim-refill", "sim-catheter")
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
    unknown = latest if latest != plan.digest else ""
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
        self._counting = False
        self._counted_for = (-1, True)
        self._looks = 0
        self._chosen = False  # whether a person chose what to count in this folder
        self._strange = ""

    def attach(self, view: QualificationView) -> None:
        """Have a page."""
        self._view = view
        self.context.background.every(LOOK_S, self.look)

    def ask(self, *, quick: bool, stations: Sequence[str], protocols: Sequence[str], folder: Path) -> None:
        """Choose what is to be run."""
        wanted = Asked(folder, tuple(stations), quick, tuple(protocols))
        if wanted == self.asked:
            return
        self._chosen, self._strange = wanted.folder == self.asked.folder, ""
        self.asked = wanted
        self._counted_for = (-1, True)
        self.so_far = None
        self.table = MatrixTable()
        self.look()

    def start(self) -> None:
        """Run what is not done yet."""
        if self.running is not None:
            return
        self._chosen = True
        self.asked.folder.mkdir(parents=True, exist_ok=True)
        with (self.asked.folder / "qualify.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bench.cli", *self.asked.words()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_of_its_own(),
            )
        self.running = self._begun = process.pid
        self._stopping = False
        self.context.background.aside(process.wait, self._ended)
        self._show()

    def stop(self) -> None:
        """Have it stop; what is done stays done."""
        if self.running is not None:
            self._stopping = True
            self._show()
            os.kill(self.running, signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)

    def choose(self, fault: str, protocol: str) -> None:
        """Show one cell."""
        rows = self.so_far.matrix["rows"] if self.so_far is not None else ()
        if self._view is not None:
            self._view.show_cell([row for row in rows if (row["fault"], row["protocol"]) == (fault, protocol)])

    def look(self) -> None:
        """See whether it runs, and count what is there when that has changed."""
        self.running = under_way(self.asked.folder) or self._begun
        self._stopping = self._stopping and self.running is not None
        self._looks += 1
        size = self._size()
        due = self._looks % max(round(COUNT_S / LOOK_S), 1) == 0 or self.so_far is None
        if size and due and not self._counting and (size, self.running is not None) != self._counted_for:
            self._counting, self._counted_for = True, (size, self.running is not None)
            follow = not self._chosen or (self.running is not None and self._begun is None)
            asked = self.asked
            self.context.background.apart(
                count, (asked, follow, self._strange), lambda found: self._counted(found, asked), self._not_counted
            )
        self._show()

    @property
    def says(self) -> tuple[str, Tone]:
        """The sentence above the picture."""
        found = self.so_far
        if self._stopping and self.running:
            return "Stopping: the trials that run now end first", Tone.BUSY
        if found is None:
            return ("Starting…", Tone.BUSY) if self.running else ("Nothing was run in this folder yet", Tone.MUTED)
        if not found.done and found.others and self._begun is None:
            text = f"{found.others} trials are here, of another selection or of another version of this program"
            return (text, Tone.WARN) if self.running else (f"{text}; none of this one yet", Tone.MUTED)
        text = f"{found.done} of {found.total} trials"
        if self.running and found.left_s is not None:
            text += f", about {rough_duration(found.left_s)} left"
        missed = [cell.row for cell in self.table.cells if cell.state == "amiss"]
        if missed:
            names = ", ".join(dict.fromkeys(fault or "a sound pump" for fault in missed))
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
            text = f"{alarms['count']} of {alarms['trials']}, at most {100 * alarms['at_most']:.1f} %"
            said.append(("False alarms", text))
        words = {"inside": "Pumps just inside", "outside": "Pumps just outside", "rest": "Other pumps"}
        for each in matrix["pumps"]:
            said.append((words[each["stratum"]], f"{each['wrong']} of {each['pumps']} judged wrongly"))
        for owner, each in matrix.get("located", {}).items():
            if owner in ("dut", "rig", "catheter", "record"):
                said.append(
                    (f"Located, {owner}", f"{each['right_cause_first']} of {each['located']} right cause first")
                )
        return said

    # -- small parts

    def _size(self) -> int:
        try:
            return (self.asked.folder / "trials.jsonl").stat().st_size
        except OSError:
            return 0

    def _counted(self, found: SoFar, asked: Asked) -> None:
        self._counting = False
        if asked != self.asked:
            return  # a person chose something else meanwhile
        self._strange = found.strange
        if found.asked != asked:
            self.asked = found.asked
            if self._view is not None:
                self._view.show_asked(found.asked)
        self.so_far, self.table = found, matrix_of(found.matrix)
        self._show()

    def _not_counted(self, why: str) -> None:
        self._counting = False
        self.context.notify(f"The matrix cannot be counted: {why}", Tone.WARN)

    def _ended(self, code: int) -> None:
        self.running = self._begun = None
        self._stopping = False
        if code not in (0, 1, 130, -signal.SIGINT):
            log = self.asked.folder / "qualify.log"
            lines = log.read_text("utf-8", "replace").strip().splitlines()
            self.context.notify(f"The qualification ended with an error: {lines[-1] if lines else log}", Tone.FAIL)
        self._counted_for = (-1, True)
        self.look()

    def _show(self) -> None:
        if self._view is not None:
            self._view.show_matrix()


def _of_its_own() -> dict[str, Any]:
    """What keeps a process from ending with the window."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
