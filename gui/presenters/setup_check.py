"""What stands against a request, what it would tell and how it would go: worked out in a process of its own.

The functions of this module are handed to `Background.apart`; what they take and give can be pickled.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bench.preflight import OVERRIDABLE, Finding, PreflightError
from bench.request import Override, Prepared, Request, prepare
from bench.run_queue import Entry, submit
from gui.presenters.numbers import MINUS, NARROW_NBSP, NOTHING, duration, figures
from gui.presenters.run_steps import words
from gui.presenters.setup_fields import on_screen
from protocols.prompts import Ask, Confirm
from protocols.steps import Step

HOUR_S = 3600.0
FEW_H = 100.0
"""Longer stretches are written in days."""

_OPTIONS = {
    "dut": "device under test",
    "catheter": "catheter",
    "fluid": "fluid",
    "serial": "serial number",
    "out": "output folder",
    "pace": "pace",
    "fault": "faults",
}
_OPTION = re.compile(rf"--({'|'.join(_OPTIONS)})\b(?= \S*:|:)")
_REST = re.compile(r" \(see: pumpbench [^)]*\)|, such as --\w+ \S+")


NOT_CHECKED = (
    "To check the run took longer than 2 min and was given up: the computer has much else to do, or a folder does not "
    "answer; wait a little, then change a field to have it checked again"
)
UNSURE = (
    "Whether the run was started is not known, since no word of it came within 2 min: look whether it is in the queue "
    "before you start it again"
)


UNUSED = "override"
"""Of an override that nothing needs: here all are given, and nobody has."""

WORD_OF_LEVEL = {"blocks": "Blocks", "warns": "Warning", "tells": "Note"}


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One thing that was found.

    Attributes
    ----------
    overridable : whether a named person may take it upon themselves.
    found : the same as the bench says it, which an override is for.
    """

    code: str
    level: Literal["blocks", "warns", "tells"]
    text: str
    overridable: bool = False
    found: str = ""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of the plan; ``begins_s`` and ``takes_s`` are (least, most) in s, (0, 0) for what takes none."""

    text: str
    begins_s: tuple[float, float]
    takes_s: tuple[float, float]
    is_prompt: bool = False

    @property
    def begins(self) -> str:
        """When it begins, counted from the start of the run."""
        return _at_most(self.begins_s)

    @property
    def takes(self) -> str:
        """How long it takes."""
        return "" if self.takes_s[1] == 0.0 else _at_most(self.takes_s)


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of a request before it starts."""

    findings: tuple[FindingRow, ...]
    steps: tuple[StepRow, ...] = ()

    @property
    def takes_s(self) -> tuple[float, float]:
        """Shortest and longest time of the run."""
        last = self.steps[-1] if self.steps else StepRow("", (0.0, 0.0), (0.0, 0.0))
        return last.begins_s[0] + last.takes_s[0], last.begins_s[1] + last.takes_s[1]

    @property
    def prompts(self) -> int:
        """How often a person is asked for something."""
        return sum(step.is_prompt for step in self.steps)


@dataclass(frozen=True, slots=True)
class LengthRow:
    """What another length of the analysis would tell."""

    analysis: str
    run: str
    expanded: str
    passes: str
    is_planned: bool


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """How long the analysis must be to decide on a pump of some error, in nineteen runs of twenty."""

    pump: str
    analysis: str


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The forecast of a plan.

    Attributes
    ----------
    says : sentences: U of each check, what would help, what U does not hold.
    rows : other lengths of the analysis.
    decided : what can be decided.
    why_not : why nothing can be said, where that is so.
    """

    says: tuple[str, ...] = ()
    rows: tuple[LengthRow, ...] = ()
    decided: tuple[DecisionRow, ...] = ()
    why_not: str = ""


# ------------------------------------------------------------------------------------------------------ examining


def examine(request: Request) -> Examined:
    """Everything that can be found before anything moves, and the plan."""
    try:
        prepared = prepare(request)
    except (ValueError, OSError) as error:
        return Examined((FindingRow("request", "blocks", plain(str(error), Path(request.station).stem)),))
    steps = tuple(_timed(prepared.procedure.steps()))
    try:
        return Examined(tuple(_findings(request, prepared)), steps)
    except (ValueError, OSError) as error:
        return Examined((FindingRow("request", "blocks", plain(str(error), prepared.path.stem)),), steps)


def _findings(request: Request, prepared: Prepared) -> Iterator[FindingRow]:
    """As `bench.session.check` finds them, those that a person may override among them."""
    from bench.session import check  # brings along all that runs a run

    # Were everything overridden that may be, what else blocks is refused; the rest is told with its level.
    everything = [Override(code, "nobody", "to see what else stands against the run") for code in OVERRIDABLE]
    with _folder(request.out) as out:
        asked = replace(request, out=out, overrides=everything, attended=True)
        try:
            found = list(check(asked)[1])
        except PreflightError as error:
            found = list(error.findings) or [Finding("blocked", "blocks", str(error))]
        for one in found:
            if one.code == UNUSED:
                continue
            text = one.text.replace(str(out), str(request.out))
            overridable = one.level == "blocks" and one.code in OVERRIDABLE
            yield FindingRow(one.code, one.level, plain(text, prepared.path.stem), overridable, text)


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """The output folder, or one beside it that goes again: a folder is made for a run, not for a check."""
    if out.is_dir():
        yield out
        return
    there = next(place for place in out.absolute().parents if place.is_dir())
    made = there / f".pumpbench-{os.getppid()}"  # of the window: what a check that was ended has left is used again
    try:
        made.mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(f"output folder {out}: {error.strerror}; choose a folder that can be written") from None
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def plain(text: str, station: str = "") -> str:
    """A sentence for the command line as it is read in the window; ``station`` is the stem of the station's file."""
    if station:
        there = rf"(?={re.escape(station)}\.toml)"
        text = re.sub(rf'^(?:[A-Za-z]:)?[/\\][^:"]*[/\\]{there}|\S*[/\\]{there}', "", text)
    text = _REST.sub("", _OPTION.sub(lambda found: _OPTIONS[found[1]], text))
    first = text.split(maxsplit=1)[0] if text else ""
    return on_screen(text[:1].upper() + text[1:] if first.rstrip(",:").isalpha() else text)


# ------------------------------------------------------------------------------------------------------- the plan


def _timed(steps: Iterator[Step]) -> Iterator[StepRow]:
    least = most = 0.0
    for step in steps:
        yield StepRow(told(step), (least, most), (step.least_s, step.most_s), isinstance(step, Ask | Confirm))
        least, most = least + step.least_s, most + step.most_s


def told(step: Step) -> str:
    """A step in words; what a person is asked for in full."""
    return on_screen(step.text if isinstance(step, Ask | Confirm) else words(step.to_json()))


def _at_most(pair: tuple[float, float]) -> str:
    return duration(pair[1]) if pair[0] == pair[1] else f"\u2264 {duration(pair[1])}"


# ------------------------------------------------------------------------------------------------------- forecast


def foresee(request: Request) -> Foreseen:
    """What a run could tell; raises ValueError as `prepare`."""
    from bench.forecast import ForecastError, outlook, subject_of

    prepared = prepare(request)
    try:
        found = outlook(subject_of(prepared))
    except ForecastError as error:
        return Foreseen(why_not=str(error))
    first = found.plan.checks[0]
    says = [_expected(one.title, one.expanded, one.unit, one.most, one.capable) for one in found.plan.checks]
    by_length = bool(prepared.procedure.forecast_over)
    if by_length and first.limits is not None and found.capable_s is None:
        says.append("No length of the analysis would let a pump pass.")
    better = [f"{what} (U = {figures(u, 2)} {first.unit})" for what, u in found.changes]
    says += [f"Better would be {', or '.join(better)}."] if better else []
    says += [f"{note[:1].upper()}{note[1:]}." for note in found.plan.notes]
    rows = tuple(
        LengthRow(
            _length(one.analysis_s),
            _length(one.duration_s),
            on_screen(f"{figures(one.checks[0].expanded, 2)} {first.unit}"),
            {None: NOTHING, True: "yes", False: "no"}[one.checks[0].capable],
            one.analysis_s == found.plan.analysis_s,
        )
        for one in (found.table if by_length else ())
    )
    decided = tuple(
        DecisionRow(
            on_screen(f"{_signed(one.value)} {first.unit}"),
            "by no length" if one.analysis_s is None else f"after {_length(one.analysis_s)}",
        )
        for one in found.decisions
    )
    return Foreseen(tuple(on_screen(text) for text in says), rows, decided)


def _length(seconds: float) -> str:
    hours = seconds / HOUR_S
    return f"{hours:.3g}{NARROW_NBSP}h" if hours < FEW_H else f"{hours / 24.0:.3g}{NARROW_NBSP}d"


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", MINUS) if value else "0"


def _expected(title: str, expanded: float, unit: str, most: float | None, capable: bool | None) -> str:
    said = f"{title}: U = {figures(expanded, 2)} {unit}"
    if most is None:
        return f"{said}, no limit is declared."
    return (
        f"{said}; a pump can pass with U up to {figures(most, 3)} {unit}." if capable else f"{said}; NO pump can pass."
    )


# ------------------------------------------------------------------------------------------------------- starting


def begin(request: Request) -> Entry:
    """Queue a run and start its runner; raises ValueError with one sentence, then nothing was queued."""
    try:
        return submit(request)[0]
    except ValueError as error:
        raise ValueError(plain(str(error))) from None
