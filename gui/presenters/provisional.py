"""What the evaluation would say of the record so far, now and then while the run goes on, and what it said at the end.

A snapshot of the journal is folded into a file that is thrown away, and judged in a process of its own.  Before the end
nothing of it is a verdict: values may still move, blanks and phases may be missing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.closing import evaluate
from bench.forecast import ForecastError, live
from data.checks import Check, Curve, Evaluation
from data.fold import fold
from data.run import Run
from gui.presenters.context import Context
from gui.presenters.live import Change, Live
from gui.presenters.numbers import Numbers, duration, figures, rough_duration, unit_text
from gui.presenters.review_checks import limits_text, result_text, verdict_word
from gui.presenters.tone import Tone

MOST_REASONS = 2
FIRST_S = 60.0
"""Of the run, before there is anything to judge."""

LEAST_S = 20.0
"""Between two snapshots, in real time."""

SHARE = 0.1
"""Of one core at most."""

LONGEST_S = 300.0
"""A snapshot that takes longer is given up."""

GIVEN_UP = (
    f"To judge the record so far took longer than {rough_duration(LONGEST_S)} and was given up: it is long, or the "
    f"computer has much else to do. It is tried again in {rough_duration(LONGEST_S / SHARE)}. The run and its record "
    "are whole; the verdict comes at the end. To look into the record before, make a snapshot of it: "
    "pumpbench snapshot JOURNAL"
)

LOOK_S = 1.0
"""Between two looks whether a snapshot is due."""


@dataclass(frozen=True)
class SoFar:
    """What came of a snapshot.

    Attributes
    ----------
    until_s : of the run's clock: how far the record that was judged went, which a window may still be reading.
    outlook : what is known of the first check, and what will be at the end; empty where nothing can be said.
    cpu_s : what it cost.
    """

    checks: tuple[Check, ...]
    curves: tuple[Curve, ...]
    until_s: float
    outlook: str
    cpu_s: float


def judge_so_far(journal: str, with_outlook: bool) -> SoFar:
    """Judge the record of a run that goes on.

    Parameters
    ----------
    with_outlook : whether something was forecast, so that it can be said how that comes along.

    Raises
    ------
    ValueError
        There is nothing to judge yet.
    """
    begun = time.process_time()
    with tempfile.TemporaryDirectory(prefix="pumpbench-") as folder:
        snapshot = fold(Path(journal), Path(folder) / "so-far.h5", incomplete=True)
        evaluation = evaluate(snapshot)
        with Run.open(snapshot) as run:
            until_s, outlook = run.end_s, _outlook(run) if with_outlook else ""
    return SoFar(evaluation.checks, evaluation.curves, until_s, outlook, time.process_time() - begun)


def _outlook(run: Run) -> str:
    try:
        found = live(run)
    except (ForecastError, ValueError):
        return ""
    unit = unit_text(found.check.unit)
    known = found.check.expanded_uncertainty
    told = [] if known is None else [f"U is {figures(known, 2)} {unit} now"]
    if found.so_far is not None:
        told.append(f"{figures(found.so_far.expanded, 2)} {unit} was expected by now")
    told.append(f"{figures(found.at_end.expanded, 2)} {unit} at the end")
    return f"{found.at_end.title}: {', '.join(told)}"


def judged_at_end(run_file: str) -> Evaluation | None:
    """What the run file says; None where it holds no evaluation."""
    with Run.open(Path(run_file)) as run:
        return run.evaluation


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check as it is shown.

    Attributes
    ----------
    verdict : empty before the run has ended.
    """

    name: str
    title: str
    value: str
    limits: str
    verdict: str
    tone: Tone
    note: str


class Provisional:
    """The checks of the run that is watched.

    Parameters
    ----------
    changed : called when there are new ones.

    Attributes
    ----------
    is_shown : nothing is worked out while nobody looks.
    so_far : of the last snapshot; final : of the run file, once the run has ended.
    trouble : why there is nothing.
    """

    def __init__(self, context: Context, live: Live, changed: Callable[[], None] = lambda: None) -> None:
        self.context = context
        self.live = live
        self.changed = changed
        self.is_shown = False
        self._forget()
        live.listen(self._heard)
        context.background.every(LOOK_S, self.look)

    def _forget(self) -> None:
        self.so_far: SoFar | None = None
        self.final: Evaluation | None = None
        self.trouble = ""
        self.is_busy = False
        self._next = 0.0
        self._judged_s = -1.0

    def _heard(self, changes: frozenset[Change]) -> None:
        if "run" in changes:
            self._forget()
            self.changed()
        if "ending" in changes and self.live.ending is not None:
            self._read_end(self.live.ending.run_file)

    def look(self) -> None:
        """Take a snapshot if one is due and somebody looks."""
        journal = self.journal()
        if journal is None or not self.is_shown or self.is_busy or not self.live.is_going:
            return
        if self.live.last_s < FIRST_S or self.live.last_s == self._judged_s or time.monotonic() < self._next:
            return
        link, begun, self.is_busy, self._judged_s = self.live.link, time.monotonic(), True, self.live.last_s

        def then(found: SoFar) -> None:
            if link is self.live.link:
                self.is_busy, self.so_far, self.trouble = False, found, ""
                self._next = time.monotonic() + max(LEAST_S, found.cpu_s / SHARE)
                self.changed()

        def failed(sentence: str) -> None:
            if link is self.live.link:
                self.is_busy, self.trouble = False, sentence
                now = time.monotonic()  # it may have worked all the while
                self._next = now + max(LEAST_S, (now - begun) / SHARE)
                self.changed()

        late = GIVEN_UP.replace("JOURNAL", str(journal))
        arguments = (str(journal), bool(self.live.kept["forecast"]))
        self.context.background.apart(judge_so_far, arguments, then, failed, deadline_s=LONGEST_S, late=late)

    def journal(self) -> Path | None:
        """The journal of the run that is watched, if it is on this computer."""
        status, link = self.live.status, self.live.link
        if link is None or status is None or not status.journal:
            return None
        return Path(link.entry.cwd) / status.journal

    def _read_end(self, run_file: str) -> None:
        link = self.live.link
        if link is None or not run_file:
            return

        def then(found: Evaluation | None) -> None:
            if link is self.live.link:
                self.final = found
                self.changed()

        def failed(sentence: str) -> None:
            if link is self.live.link:
                self.trouble = sentence
                self.changed()

        path = str(Path(link.entry.cwd) / run_file)
        self.context.background.apart(judged_at_end, (path,), then, failed)

    # -- what is shown

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Of the run file, else of the last snapshot."""
        if self.final is not None:
            return self.final.curves
        return () if self.so_far is None else self.so_far.curves

    def caption(self) -> str:
        """How old it is, or why there is nothing."""
        if self.final is not None:
            return "of the sealed run file"
        if self.so_far is not None:
            return f"provisional, of the record up to {duration(self.so_far.until_s)}"
        if self.trouble:
            return "none could be worked out"
        if not self.live.is_going:
            return ""
        return "being worked out…" if self.is_busy else "the first come after a minute of the run"

    def remark(self) -> str:
        """What is known of the outcome beyond the rows, why the rig has no value for a check that counts later, and why
        there is nothing, or nothing newer.

        At the end, why the run did not pass: a panel that is touched by fingers has no tool tips.
        """
        if self.final is not None:
            return "\n".join(_why_not(self.final.checks))
        if self.so_far is None:
            return self.trouble
        if not self.rows():
            return self.trouble or "Nothing can be said yet: no check has a value."
        silent = [one for one in self.so_far.checks if one.suitability and one.note and _says_nothing(one)]
        notes = (f"{one.title}: {one.note}" for one in silent)
        return "\n".join(filter(None, [self.so_far.outlook, *notes, self.trouble]))

    def rows(self) -> list[CheckRow]:
        """The checks that count first, then what is only reported, then those of the rig."""
        final = self.final is not None
        checks = self.final.checks if self.final is not None else () if self.so_far is None else self.so_far.checks
        shown = [check for check in checks if final or not _says_nothing(check)]
        ordered = sorted(shown, key=lambda check: (check.optional, check.suitability))
        return [row_of(check, self.context.numbers, final) for check in ordered]


def _why_not(checks: Sequence[Check]) -> list[str]:
    """Why a run did not pass: what was wrong with the rig, on which all else stands, else with the pump."""
    wrong = [one for one in checks if one.note and not one.optional and verdict_word(one)[1] in (Tone.WARN, Tone.FAIL)]
    of_rig = [one for one in wrong if one.suitability]
    return [f"{one.title}: {one.note}" for one in (of_rig or wrong)[:MOST_REASONS]]


def _says_nothing(check: Check) -> bool:
    """A check that the record does not go far enough for yet."""
    return check.value is None


def row_of(check: Check, numbers: Numbers, final: bool) -> CheckRow:
    """A check in words; the verdict only when it is final."""
    word, tone = verdict_word(check) if final else ("", Tone.MUTED)
    value = result_text(check, numbers)
    return CheckRow(check.name, check.title, value, limits_text(check, numbers), word, tone, check.note)
