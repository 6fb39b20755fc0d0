"""What the review page reads of run files and journals; each function here runs in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.checks import Evaluation, Origin, Verdict
from data.journal import read_journal
from data.keys import digest_of
from data.overview import Extent, extents, holes
from data.run import Event, PhaseSpan, Run
from data.schedule import Schedule
from data.seal import Verification, examine, read_seal

if TYPE_CHECKING:
    from bench.closing import Again, Closed

ANOTHER = "another file was put there since this one was read; verify again to read what lies there now"
"""Why what is shown cannot be proven: at its path lies something else."""

NICENESS = 10
"""Of what nobody waits for with the mouse in the hand."""

RUN, SNAPSHOT, CUT_OFF, GOING_ON, DAMAGED = "run", "snapshot", "cut off", "going on", "damaged"
JUST_WRITTEN = "just written"


@dataclass(frozen=True, slots=True)
class RunRow:
    """A file of the list.

    Attributes
    ----------
    kind : `RUN`, `SNAPSHOT` of one that went on, `CUT_OFF` or `GOING_ON` for a journal without a run file,
        `JUST_WRITTEN` where nobody knows yet which, `DAMAGED`.
    start, made : moment zero on the run's clock, and on the wall; they differ where the run was no real one.
    status, verdict : as stored; empty where there is none.
    digest : content digest by the seal, empty where there is no seal; nothing has verified it.
    sentence : what is wrong with the file, or is to be said of it.
    """

    path: Path
    size: int
    kind: str
    start: datetime | None = None
    made: datetime | None = None
    title: str = ""
    procedure: str = ""
    dut: str = ""
    station: str = ""
    status: str = ""
    verdict: str = ""
    origin: str = ""
    digest: str = ""
    run_id: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A recorded channel: its roles, its unit, how much there is of it."""

    name: str
    unit: str
    reference: str
    roles: tuple[str, ...]
    extent: Extent

    @property
    def label(self) -> str:
        """What a person calls it."""
        return (self.roles[0] if self.roles else self.name.replace(".", ": ")).replace("_", " ")


@dataclass(frozen=True, slots=True)
class Review:
    """Everything of a run file but its samples; ``seal`` as `data.run.Run.seal`, by which the file is known again."""

    row: RunRow
    reason: str
    method: int
    end_s: float
    seed: int | None
    faults: tuple[str, ...]
    params: Mapping[str, Any]
    roles: Mapping[str, str]
    station: Mapping[str, Any]
    dut: Mapping[str, Any]
    catheter: Mapping[str, Any]
    fluid: Mapping[str, Any]
    software: Mapping[str, str]
    session: Mapping[str, Any]
    findings: tuple[Mapping[str, Any], ...]
    phases: tuple[PhaseSpan, ...]
    events: tuple[Event, ...]
    evaluation: Evaluation | None
    evaluated_by: str
    channels: tuple[ChannelInfo, ...]
    seal: str = ""
    schedule: Schedule | None = None
    delivery_s: float = 0.0
    steps: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


def read_rows(paths: Sequence[Path]) -> list[RunRow]:
    """The rows of some run files and journals; raises nothing, a file that cannot be read says why."""
    return [read_row(path) for path in paths]


def read_row(path: Path) -> RunRow:
    """The row of one file."""
    size = 0
    try:
        size = path.stat().st_size
        if path.suffix == ".journal":
            return _journal_row(path, size)
        with Run.open(path) as run:
            return _run_row(run, size)
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        return RunRow(path, size, DAMAGED, sentence=_without(str(error), path))


def review(run: Run) -> Review:
    """Everything that the page shows at once."""
    there = extents(run)
    roles: dict[str, list[str]] = {}
    for role, target in run.roles.items():
        roles.setdefault(target, []).append(role)
    channels = [
        ChannelInfo(name, channel.unit, channel.reference or "", tuple(roles.get(name, ())), there[name])
        for name, channel in run.channels.items()
        if name in there
    ]
    schedule = None
    with suppress(ValueError, KeyError, TypeError):
        schedule = run.schedule
    return Review(
        _run_row(run, run.path.stat().st_size),
        run.status_reason,
        run.method,
        run.end_s,
        run.seed,
        tuple(run.faults),
        run.params,
        run.roles,
        run.station,
        run.dut,
        run.catheter,
        run.fluid,
        run.software,
        run.session,
        tuple(run.findings),
        run.phases,
        run.events,
        run.evaluation,
        run.evaluated_by,
        tuple(channels),
        run.seal,
        schedule,
        delivery_of(run.events),
        tuple(run.steps),
    )


def all_holes(run: Run) -> dict[str, list[tuple[float, float, int]]]:
    """Lost samples of every stream that has some: begin, end in s, and how many."""
    found = {stream: holes(run, stream) for stream in run.streams}
    return {stream: gaps for stream, gaps in found.items() if gaps}


def checked(path: Path) -> Verification:
    """`data.seal.verify` for who is in a process of its own already."""
    _step_back()
    return examine(path)


def judged(path: Path, seal: str) -> Again:
    """`bench.closing.reevaluate` of the file with this seal; raises ValueError where another one lies there."""
    from bench.closing import reevaluate

    _step_back()
    again = reevaluate(path)
    insist_same(path, seal)
    return again


def insist_same(path: Path, seal: str) -> None:
    """Raise ValueError where another file than the one with this seal lies there by now; "" is any."""
    sealed = read_seal(path) if seal else None
    if ("" if sealed is None else digest_of(sealed)) != seal:
        raise ValueError(f"{path}: {ANOTHER}")


def recovered(journal: Path) -> Closed:
    """What `pumpbench recover` does: the run file of a journal, beside it."""
    from bench.closing import close_run

    return close_run(journal, journal.with_suffix(".h5"))


def delivery_of(events: Sequence[Event]) -> float:
    """When the delivery began, in s; 0 where it never did."""
    for event in events:
        said = event.fields
        if event.kind == "step" and said.get("state") == "end" and str(said.get("name")).startswith("StartDelivery"):
            return event.t
    return 0.0


# -- small parts


def _run_row(run: Run, size: int) -> RunRow:
    sealed = read_seal(run.path)
    snapshot = run.verdict is None and run.status == "incomplete"
    said = "not sealed: it can be altered without a trace" if sealed is None and not snapshot else ""
    return RunRow(
        run.path,
        size,
        SNAPSHOT if snapshot else RUN,
        run.start,
        _moment(run.session.get("wall_start")) or run.start,
        run.title,
        run.procedure,
        _article(run.dut),
        str(run.station.get("name", "")),
        str(run.status),
        "" if run.verdict is None else str(run.verdict),
        str(run.origin),
        "" if sealed is None else str(sealed["content"]),
        str(run.session.get("run_id", "")),
        said,
    )


def _journal_row(path: Path, size: int) -> RunRow:
    with read_journal(path) as reader:
        header = reader.header
    start = _moment(header["start_utc"])
    return RunRow(
        path,
        size,
        CUT_OFF,
        start,
        _moment((header.get("session") or {}).get("wall_start")) or start,
        str(header.get("title") or header["procedure"]),
        str(header["procedure"]),
        _article(header.get("dut") or {}),
        str((header.get("station") or {}).get("name", "")),
        "",
        "",
        str(Origin(header["origin"])),
        run_id=str(header.get("run_id", "")),
        sentence="a journal without a run file: the run was cut off; recover it",
    )


def _moment(said: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(said))
    except ValueError:
        return None


def _article(dut: Mapping[str, Any]) -> str:
    """Model and serial number of a pump; other people's files may have neither."""
    return " ".join(str(dut[key]) for key in ("model", "serial") if dut.get(key))


def _without(said: str, path: Path) -> str:
    """What is said of a file, without its path."""
    first = said.splitlines()[0] if said else "cannot be read"
    return first.removeprefix(f"{path}: ")


def _step_back() -> None:
    """Leave the processor to whoever draws."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)


def verdict_of(row: RunRow) -> Verdict | None:
    """The verdict of a row, None where it has none."""
    return Verdict(row.verdict) if row.verdict else None
