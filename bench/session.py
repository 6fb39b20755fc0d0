"""One run, from what a person asked for to the sealed run file."""

from __future__ import annotations

import getpass
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from bench import __version__, preflight
from bench.answers import AnswerFile, answers_of
from bench.closing import close_run
from bench.engine import End, Engine, plan
from bench.forecast import finding, rows, subject_of
from bench.last_stop import reset_all
from bench.last_tries import MEMORY, LastTries, keep_on, on_signals
from bench.latch import latches_of
from bench.recorder import Recorder
from bench.request import Override, Prepared, Request, RequestError, prepare
from bench.rig_reference import RigReference, rig_reference
from bench.state_folder import home
from bench.station import OpenStation, Station, open_station, parse_fault
from bench.trust.checkpoints import Checkpoints
from bench.unattended.attend import Audience, attend
from bench.unattended.awake import awake
from bench.unattended.messages import Facts
from bench.unsaved import UnsavedError
from data.checks import Evaluation, Origin, Status
from data.journal import JournalFull, JournalWriter
from data.plain_text import insist_visible
from data.seal import Verification, Verifier
from instruments.clock import Clock, PacedClock, VirtualClock, WallClock
from protocols.analysis.forecast import Forecast

SCHEMA = 1
SOFTWARE = ("pumpbench", "numpy", "scipy", "h5py", "pyvisa", "pyvisa-py", "nidaqmx", "grpcio")

NO_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]')
"""What a file's name cannot hold on some platform (folders, drives, Windows' alternate streams), or would hide."""


@dataclass(frozen=True)
class Result:
    """What became of it."""

    run_file: Path
    journal: Path
    end: End
    origin: Origin
    evaluation: Evaluation
    verification: Verification
    findings: Sequence[preflight.Finding]
    simulated_s: float
    wall_s: float
    trouble: Sequence[str] = ()  # what the disk did in between


@dataclass(frozen=True, slots=True)
class Underway:
    """A run that begins."""

    engine: Engine
    clock: Clock
    recorder: Recorder
    run_id: str
    journal: Path
    run_file: Path


class Lead(Protocol):
    """Whoever leads a run from outside: a runner, with its clients."""

    def begins(self, run: Underway) -> None:
        """Take the run over; called on the clock's own thread, before anything moves."""

    def synced(self, seq: int) -> None:
        """Hear that the journal is on the disk up to a sequence number; must not wait."""

    def ends(self) -> None:
        """Let go of the engine; called on the clock's own thread.  Nothing is recorded after it."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A run against which nothing stands; nothing has moved yet."""

    prepared: Prepared
    clock: Clock
    opened: OpenStation
    findings: Sequence[preflight.Finding]
    rig: RigReference | None
    answers: AnswerFile | None
    forecast: Forecast | None = None

    @property
    def overrides(self) -> Sequence[Override]:
        """Those that the run needed: one of what does not stand is worth no less, and none of the record's."""
        needed = preflight.blocking_codes(self.findings)
        return [one for one in self.prepared.request.overrides if one.finding in needed]


@contextmanager
def _ready(request: Request, verified_by: Verifier | None = None) -> Iterator[_Ready]:
    """Check a request and make its station; raises a ValueError with one clear sentence."""
    insist_visible("--serial", request.serial)
    prepared = prepare(request)
    with (
        closing(_clock(prepared, request.pace)) as clock,
        open_station(
            prepared.station,
            prepared.path,
            clock,
            seed=request.seed,
            faults=tuple(parse_fault(text) for text in request.faults),
            dut=prepared.articles["dut"],
            fluid=prepared.articles["fluid"],
            replay=request.replay,
            task_book=_task_book(prepared.station),
        ) as opened,
    ):
        findings = preflight.findings(prepared.procedure, opened, prepared.roles, prepared.articles, request.out, clock)
        if prepared.recipe is not None and prepared.recipe.state != "approved":
            text = f'recipe "{prepared.recipe.recipe.title}" counts as not approved: {prepared.recipe.why}'
            findings = [*findings, preflight.Finding("recipe", "warns", text)]
        rig = _rig(prepared, verified_by)
        if rig is not None and rig.demanded and not rig.holds:
            findings = [*findings, preflight.Finding("rig-check", "blocks", rig.why)]
        subject = subject_of(prepared)
        blocked = any(one.level == "blocks" for one in findings)  # its rate, for example, may be none of the pump's
        forecast = None if blocked else subject.forecast()
        if forecast is not None:
            findings = [*findings[:-1], finding(subject, forecast), *findings[-1:]]
        preflight.insist(findings, request.overrides)
        findings = [*preflight.needless(findings, request.overrides), *findings]
        attended = request.attended or opened.rig is not None  # behind which stands a simulated operator
        answers = answers_of(request.answers, prepared.procedure, opened.instruments, attended=attended)
        yield _Ready(prepared, clock, opened, findings, rig, answers, forecast)


def _task_book(station: Station) -> Path | None:
    """File in which the station's tasks on a device server are noted; None where there is none to speak of."""
    if station.daq in ("local", "simulated"):
        return None
    return home() / "stations" / f"{re.sub(r'[^A-Za-z0-9_-]', '_', station.name)}.tasks"


def _rig(prepared: Prepared, verified_by: Verifier | None) -> RigReference | None:
    """The rig check on which the run relies; None for a procedure that tests the rig itself."""
    if not prepared.procedure.relies_on_rig_check:
        return None
    seed = _seed(prepared)
    now = WallClock().start
    return rig_reference(prepared.request.out, prepared.station, prepared.origin, seed, now, verified_by)


def check(request: Request) -> tuple[Station, Sequence[preflight.Finding]]:
    """Everything that `conduct` checks before anything moves, and nothing more; raises ValueError as it does."""
    with _ready(request) as ready:
        _new_name(request.out, ready.prepared)
        return ready.prepared.station, ready.findings


def conduct(
    request: Request,
    progress: Callable[[float, str], None] | None = None,
    afterwards: Callable[[OpenStation], None] | None = None,
    announce: Callable[[Sequence[preflight.Finding]], None] | None = None,
    lead: Lead | None = None,
    verified_by: Verifier | None = None,
) -> Result:
    """Run the request to its end and close the record.

    Parameters
    ----------
    progress : called now and then with the share of the planned time that is done and the present phase.
    announce : called with what the preflight found, before anything moves.
    afterwards : called when the run has ended and its station is still open, to look at the truth of a simulated one.
    lead : whoever leads the run from outside.
    verified_by : what looks at the sealed file, and at that of the rig check on which the run relies; see `close_run`.

    Raises
    ------
    UnsavedError
        The run has ended and the bench is safe, but the disk did not take all of its record, or that an interlock is
        latched.  On a real bench it takes until somebody gives up that there is room.
    ValueError
        Bad input, or a preflight finding that blocks and was not overridden; nothing has moved.
    """
    begun = Clock.wall()
    with _ready(request, verified_by) as ready:
        if announce is not None:
            announce(ready.findings)
        run_file = _new_name(request.out, ready.prepared)
        journal = run_file.with_suffix(".journal")
        header = _header(ready, run_file)
        writer = JournalWriter(journal, header, acknowledged=None if lead is None else lead.synced)
        unnumbered, unfixed = _number(header, journal, writer), list[str]()
        checkpoints = Checkpoints(home(), header["run_id"], writer, ready.clock, unfixed.append)
        with _awake(ready.prepared):
            recorded = ready.clock.run(
                lambda: _record(ready, writer, header["run_id"], progress, lead, checkpoints.look)
            )
        simulated_s = ready.clock.now()
        if afterwards is not None:
            afterwards(ready.opened)
    try:
        unended = checkpoints.end(whole=recorded.left.whole)
        if lost := _unclosed(recorded.left, writer, run_file):
            raise UnsavedError(lost)
        closed = close_run(journal, run_file, verified_by)
    except (KeyboardInterrupt, ValueError, OSError) as error:
        why = "stopped while the run file was made" if isinstance(error, KeyboardInterrupt) else str(error)
        raise UnsavedError(f"{why}; nothing is lost, then: pumpbench recover {journal}") from None
    if recorded.left.unkept:
        raise UnsavedError(_unkept(recorded.left, run_file))
    return Result(
        run_file,
        journal,
        recorded.end,
        ready.prepared.origin,
        closed.evaluation,
        closed.verification,
        ready.findings,
        simulated_s,
        Clock.wall() - begun,
        [*recorded.trouble, *filter(None, [unnumbered, *unfixed, closed.untrusted or unended])],
    )


def _number(header: dict[str, Any], journal: Path, writer: JournalWriter) -> str:
    """Register that the run begins; returns why it could not be, which ends no run."""
    from bench.trust.register import begin

    return begin(home(), header, journal, writer.confirmed)


def _awake(prepared: Prepared) -> AbstractContextManager[object]:
    """A real run keeps its computer awake; a simulated one has no hardware that could be left alone."""
    return awake(f"{prepared.procedure.name} is running") if prepared.station.real else nullcontext()


@dataclass(frozen=True, slots=True)
class _Recorded:
    """How a run ended, what the disk did meanwhile, and what of it is not where it should be."""

    end: End
    trouble: Sequence[str]
    left: LastTries


def _record(
    ready: _Ready,
    writer: JournalWriter,
    run_id: str,
    progress: Callable[[float, str], None] | None,
    lead: Lead | None,
    synced: Callable[[], object],
) -> _Recorded:
    """Body of the main worker."""
    prepared, clock = ready.prepared, ready.clock
    trouble: list[str] = []

    def on_trouble(text: str) -> None:
        trouble.append(text)
        recorder.record("event", clock.now(), {"level": "error", "text": text})

    recorder = Recorder(writer, clock, on_trouble, synced)
    facts = Facts(prepared.station.name, prepared.procedure.name, run_id, str(writer.path.with_suffix(".h5")))
    audience = attend(ready.opened, recorder, facts, trouble.append)
    person = _person(prepared.request)
    longest_block_s = prepared.request.longest_block_s or clock.block_s
    latches = latches_of(prepared.station, run_id)
    engine = Engine(
        ready.opened,
        prepared.procedure,
        prepared.roles,
        recorder,
        longest_block_s=longest_block_s,
        person=person,
        latches=latches,
    )
    engine.prompts.file = ready.answers
    engine.prompts.person_answers = prepared.request.person_answers
    if prepared.request.attended:
        engine.prompts.attend()
    for override in ready.overrides:
        fields = {"finding": override.finding, "person": override.person, "reason": override.reason}
        recorder.record("override", clock.now(), fields, urgent=True)
        if latches is not None and override.finding == preflight.LATCHED:
            now = WallClock().start
            reset_all(prepared.station.name, latches, run_id, override.person, override.reason, now)
    if ready.rig is not None:
        recorder.record("rig-check", clock.now(), ready.rig.to_json())
    for expected in rows(ready.forecast) if ready.forecast is not None else ():
        recorder.record("forecast", clock.now(), expected)
    done = clock.event()
    if progress is not None:
        clock.worker("~progress", lambda: _report(engine, clock, done, progress))
    try:
        with on_signals(lambda name: clock.post(lambda: engine.stop(person, f"stopped by {name}"))):
            if lead is not None:
                lead.begins(Underway(engine, clock, recorder, run_id, writer.path, writer.path.with_suffix(".h5")))
            end = engine.run()
    finally:
        done.set()
        if lead is not None:
            lead.ends()
        with suppress(JournalFull):  # which is tried again
            recorder.close()
        left = LastTries(writer, latches, engine.unkept)
        _finish(left, clock, audience)
    return _Recorded(end, trouble, left)


def _finish(left: LastTries, clock: Clock, audience: Audience) -> None:
    """Try what the disk did not take, on the wall clock for as long as it takes, and let the audience go."""

    def waits() -> None:
        text = (
            f"the run has ended and the bench is safe, but {left.why}; this is tried until there is room, or until "
            "Ctrl-C or SIGTERM gives it up"
        )
        print(f"pumpbench: {text}", file=sys.stderr, flush=True)
        audience.hear("unsaved", clock.now(), {"state": "begin", "text": text})

    if isinstance(clock, WallClock):
        keep_on(left, clock, waits)
        audience.hear("unsaved", clock.now(), {"state": "end", "text": left.why})
    else:
        left()
    audience.finish()


def _unclosed(left: LastTries, writer: JournalWriter, run_file: Path) -> str:
    """What became of a record that its disk did not take to its end; "" where that is closed."""
    if not left.unclosed:
        return ""
    why = f"{writer.path}: the run has ended and the bench is safe, but the disk took no more"
    if left.copy is None:
        why = (
            f"{why}, and no other place did ({left.unclosed}): the last {writer.unsynced_bytes} bytes of the record "
            f"are lost; make room, then: pumpbench recover {writer.path}"
        )
    else:
        soon = " before this computer is switched off" if left.copy.is_relative_to(MEMORY) else ""
        why = (
            f"{why}; its whole record is in {left.copy}; make room{soon}, then: "
            f"pumpbench recover {left.copy} --out {run_file}"
        )
    return f"{why}; {_not_latched(left)}" if left.unkept else why


def _unkept(left: LastTries, run_file: Path) -> str:
    return f"{run_file}: the run has ended, and this is its record, but {_not_latched(left)}"


def _not_latched(left: LastTries) -> str:
    return f"{left.unkept}, so the next run would not ask for it: find its cause before you start one"


def _report(engine: Engine, clock: Clock, done: Any, progress: Callable[[float, str], None]) -> None:
    total = max(1.0, sum(step.most_s for step in engine.steps))
    while not clock.wait(done, clock.now() + max(1.0, total / 400)):
        progress(min(1.0, clock.now() / total), engine.phase)


def _clock(prepared: Prepared, pace: float | None) -> Clock:
    if not prepared.station.simulated:
        if pace not in (None, 1.0):
            raise RequestError(f'--pace: the instruments of station "{prepared.station.name}" have their own time')
        return WallClock(prepared.station.served.pace if prepared.station.served else 1.0)
    if pace is None:
        return VirtualClock()
    try:
        return PacedClock(pace)
    except ValueError as error:
        raise RequestError(f"--{error}") from None


def _seed(prepared: Prepared) -> int | None:
    """Seed of the simulated rig, wherever it is; None for real instruments."""
    if prepared.station.served is not None:
        return prepared.station.served.seed
    return prepared.request.seed if prepared.station.simulated else None


def _person(request: Request) -> str:
    return request.person or getpass.getuser()


def _header(ready: _Ready, run_file: Path) -> dict[str, Any]:
    prepared, procedure = ready.prepared, ready.prepared.procedure
    steps = plan(procedure)
    tested = f" of {prepared.articles['dut']['model']}" if procedure.relies_on_rig_check else ""  # else it is the rig
    return {
        "run_id": str(uuid4()),
        "schema": SCHEMA,
        "origin": str(prepared.origin),
        "title": f"{procedure.title}{tested}, station {prepared.station.name}",
        "procedure": procedure.name,
        "method": procedure.method,
        "params": procedure.values(),
        "seed": _seed(prepared),
        "faults": list(prepared.station.served.faults if prepared.station.served else prepared.request.faults),
        "start_utc": ready.clock.start.isoformat(),
        "station": prepared.station.model_dump(mode="json", by_alias=False),
        "roles": prepared.roles,
        **prepared.articles,
        "schedule": None if (schedule := procedure.programmed()) is None else schedule.to_json(),
        "steps": [step.to_json() for step in steps],
        "findings": [finding.to_json(prepared.path) for finding in ready.findings],
        **({} if prepared.recipe is None else {"recipe": prepared.recipe.to_json()}),
        "software": software(),
        "session": circumstances(_person(prepared.request), run_file, prepared.path),
    }


def software() -> dict[str, str]:
    """Versions of the packages that a run rests on, as its header keeps them."""
    return {name: _version(name) for name in SOFTWARE} | {"python": platform.python_version()}


def circumstances(person: str, run_file: Path, station_file: Path) -> dict[str, Any]:
    """The computer and the moment, which a header keeps outside the content digest."""
    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "user": person,
        "os_account": getpass.getuser(),
        "wall_start": WallClock().start.isoformat(),
        "run_file": str(run_file.resolve()),
        "station_file": str(station_file.resolve()),
        "pid": os.getpid(),
        "argv": list(sys.argv),
    }


@cache
def _version(package: str) -> str:
    if package == "pumpbench":
        return __version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _new_name(folder: Path, prepared: Prepared) -> Path:
    """A name that no run has yet; raises RequestError when the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"--out {folder}: {error.strerror}; choose a folder that can be written") from None
    if not os.access(folder, os.W_OK):
        raise RequestError(f"--out {folder}: the folder cannot be written; choose another one")
    said = f"{prepared.procedure.name}_{prepared.station.name}_{prepared.articles['dut']['serial']}"
    stem = NO_NAME.sub("-", said)  # the record keeps the serial number as it was given
    number = 1
    while any((folder / f"{stem}_{number:04d}{suffix}").exists() for suffix in (".h5", ".journal")):
        number += 1
    return folder / f"{stem}_{number:04d}.h5"


def exit_code(result: Result) -> int:
    """Exit code of a run: the hardware first, then the verdict (see `data.checks.Verdict`)."""
    from data.checks import Verdict

    if result.end.status is Status.ERROR:
        return 3
    codes = {
        Verdict.PASS: 0,
        Verdict.CONDITIONAL_PASS: 0,
        Verdict.FAIL: 1,
        Verdict.CONDITIONAL_FAIL: 1,
    }
    return codes.get(result.evaluation.verdict, 4)
