"""Commands on runs that have a process of their own: ``runner list``, ``attach``, ``stop`` and the rest."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bench.cli.paths import FilePath
from bench.state_folder import home

if TYPE_CHECKING:
    from bench.request import Request
    from bench.rpc.messages import Action, Ending, Reply, Status
    from bench.run_queue import Entry, RunState

BEGINS_WITHIN_S = 30.0
"""A runner that has not taken its run by then has failed to start."""

LOOK_S = 0.1
SETTLED_S = 3.0
STATUS_S = 1.0
"""How long a list waits for one runner."""

LAST = 20
"""Runs that a list shows, the latest, unless all are asked for."""

EXIT_RUN_ERROR, EXIT_DETACHED = 3, 130

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def runner() -> None:
    """Watch and lead runs that were started with `run --detach`; RUN is a number of `runner list`."""


def _person(command: F) -> F:
    return click.option("--person", default="", help="Who does this; the OS account without it.")(command)


def _take_over(command: F) -> F:
    text = "Take the control from whoever has it; recorded with both names."
    return click.option("--take-over", is_flag=True, help=text)(command)


# -------------------------------------------------------------------------------------------------------- starting


def detach(request: Request, hold: bool, as_json: bool) -> int:
    """Queue a run, start its runner, and say how to reach it."""
    from bench.run_queue import submit

    entry, findings = submit(request, hold=hold)
    for finding in findings:
        click.echo(f"note: {finding.text}", err=True)
    state = _taken(entry)
    if state.ending is not None and state.ending.state == "refused":
        raise click.UsageError(f"run {entry.number} did not begin: {state.ending.reason}")
    if as_json:
        click.echo(json.dumps(_row(entry), indent=1))
        return 0
    click.echo(_sentence(entry, state))
    if state.journal:
        click.echo(f"  run id    {state.run_id}\n  journal   {state.journal}")
    click.echo(f"  watch it  pumpbench runner attach {entry.number}")
    click.echo(f'  stop it   pumpbench runner stop {entry.number} --person NAME --reason "..."')
    return 0


def _sentence(entry: Entry, state: RunState) -> str:
    if state.state == "waiting":
        return f'run {entry.number} waits for station "{entry.station}", {_held_by(entry)}'
    said = {"held": "is held: it begins with pumpbench runner start", "running": "has begun", "ended": "has ended"}
    return f'run {entry.number} on station "{entry.station}" {said.get(state.state, f"is {state.state}")}'


def _held_by(entry: Entry) -> str:
    from bench.run_queue import left_alone, station_holder

    holder = station_holder(entry.home, entry.station)
    if (first := left_alone(entry)) is not None:
        return f"behind run {first.number}, which a person has to begin: pumpbench runner start {first.number}"
    if holder is None:
        return f"which nobody holds; to get it going: pumpbench runner start {entry.number}"
    return f"which run {holder} holds" if holder else "which a run in the foreground holds"


def _taken(entry: Entry) -> RunState:
    """The run's state as soon as it has begun, is held, is over, or waits for another one."""
    from bench.run_queue import left_alone, station_holder
    from instruments.clock import WallClock

    wall = WallClock()
    while True:
        state = entry.state()
        if state.state not in ("waiting", "starting"):
            return state
        others = station_holder(entry.home, entry.station) not in (None, entry.number) or left_alone(entry) is not None
        if state.state == "waiting" and others and wall.now() > LOOK_S * 3:
            return state
        if wall.now() > BEGINS_WITHIN_S:
            raise click.UsageError(
                f"run {entry.number} does not begin; what its runner says is in {entry.home / 'runners.log'}"
            )
        wall.sleep(LOOK_S)


def _let_go(entry: Entry) -> None:
    """Wait while a run that has ended still holds the station, to be closed; raises UsageError where one goes on."""
    from bench.run_queue import find, station_holder
    from instruments.clock import WallClock

    wall = WallClock()
    while entry.state().state == "waiting" and (holder := station_holder(entry.home, entry.station)) is not None:
        goes_on = holder == 0 or find(entry.home, str(holder)).state().ending is None
        if goes_on or wall.now() > BEGINS_WITHIN_S:
            raise click.UsageError(f"{_sentence(entry, entry.state())}; it can begin when that has ended")
        wall.sleep(LOOK_S)


# --------------------------------------------------------------------------------------------------------- listing


@runner.command("list")
@click.option("--all", "everything", is_flag=True, help=f"Show all, not only the last {LAST}.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_runs(everything: bool, as_json: bool) -> int:
    """List the runs that wait, go on or have ended."""
    from bench.run_queue import entries, unreadable

    for sentence in unreadable(home()).values():
        click.echo(f"note: {sentence}", err=True)
    found = entries(home())
    rows = [_row(entry) for entry in (found if everything else found[-LAST:])]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return 0
    if not rows:
        click.echo("no run was started with --detach")
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("run", "state", "protocol", "station", "phase", "done", "verdict", "queued"):
        table.add_column(heading)
    for row in rows:
        done = "" if row["share_done"] is None else f"{row['share_done']:.0%}"
        shown = [row[key] or "" for key in ("procedure", "station", "phase")]
        state = row["status"] or row["state"]
        table.add_row(*map(Text, (str(row["run"]), state, *shown, done, row["verdict"] or "", row["queued"])))
    import sys

    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0


def _row(entry: Entry) -> dict[str, Any]:
    """A run as plain data; what it does not have is null."""
    from bench.rpc.messages import Ending

    state = entry.state()
    status = _status(entry) if state.ending is None and state.doors is not None else None
    ending = state.ending or Ending("")
    return {
        "run": entry.number,
        "state": state.state if status is None else status.state,
        "procedure": entry.procedure,
        "station": entry.station,
        "phase": None if status is None else status.phase or None,
        "share_done": None if status is None else round(status.share_done, 4),
        "latched": [] if status is None else list(status.latched),
        "prompts": [] if status is None else [prompt.key for prompt in status.prompts],
        "run_id": state.run_id or None,
        "run_file": state.run_file or None,
        "journal": state.journal or None,
        "status": ending.status or None,
        "verdict": ending.verdict or None,
        "reason": ending.reason or None,
        "exit_code": None if state.ending is None else ending.exit_code,
        "queued": entry.asked,
        "began": state.began or None,
        "pid": state.pid or None,
        "socket": None if state.doors is None else state.doors.main.removeprefix("unix:"),
        "stop_socket": None if state.doors is None else state.doors.stop.removeprefix("unix:"),
        "log": str(entry.log),
    }


def _status(entry: Entry) -> Status | None:
    from bench.rpc.client import Client, ClientError

    try:
        with Client.of(entry, answer_s=STATUS_S) as client:
            return client.status()
    except ClientError:
        return None  # it has just ended, or is busy; what is on disk is shown


# --------------------------------------------------------------------------------------------------------- leading


@runner.command()
@click.argument("run", required=False)
@_person
@_take_over
def start(run: str | None, person: str, take_over: bool) -> int:
    """Let a run begin that is held, or that waits although nobody holds its station."""
    from bench.rpc.messages import Start
    from bench.run_queue import find, start_runner

    entry = find(home(), run)
    if entry.state().state == "waiting":
        _let_go(entry)
        start_runner(entry.home, entry.station)
        click.echo(_sentence(entry, _taken(entry)))
        return 0
    return _command(entry, Start(), person, take_over, "begins")


@runner.command()
@click.argument("run", required=False)
@_person
@click.option("--reason", default="", help="Why; it is recorded.")
def stop(run: str | None, person: str, reason: str) -> int:
    """Stop a run in order; one that waits is withdrawn."""
    from bench.rpc.client import Client
    from bench.run_queue import find

    entry = find(home(), run)
    who, why = person or getpass.getuser(), reason or "no reason was given"
    if entry.state().state == "waiting" and entry.withdraw(who, why):
        click.echo(f"run {entry.number} is withdrawn; it had not begun")
        return 0
    _insist_alive(entry)
    with Client.of(entry) as client:
        return _told(entry, client.stop(who, why), "stops")


@runner.command()
@click.argument("run", required=False)
@_person
@_take_over
def pause(run: str | None, person: str, take_over: bool) -> int:
    """Hold the present phase of a run; sampling goes on."""
    from bench.rpc.messages import Pause

    return _lead(run, Pause(), person, take_over, "is paused")


@runner.command()
@click.argument("run", required=False)
@_person
@_take_over
def resume(run: str | None, person: str, take_over: bool) -> int:
    """Go on with a run where it was paused."""
    from bench.rpc.messages import Resume

    return _lead(run, Resume(), person, take_over, "goes on")


@runner.command()
@click.argument("run")
@click.argument("text")
@_person
@_take_over
def note(run: str, text: str, person: str, take_over: bool) -> int:
    """Keep a remark with a run."""
    from bench.rpc.messages import Note

    return _lead(run, Note(text), person, take_over, "has the note")


@runner.command()
@click.argument("run")
@click.option("--from", "begin", required=True, help='Where the stretch begins since the run\'s begin, such as "2 h".')
@click.option("--to", "end", required=True, help='Where it ends, such as "123 min"; not later than now.')
@_person
@click.option("--reason", required=True, help="Why it may not be judged; it is recorded, and shown in the report.")
@_take_over
def exclude(run: str, begin: str, end: str, person: str, reason: str, take_over: bool) -> int:
    """Take a stretch of a run that goes on out of what is judged; nothing takes that back."""
    from bench.cli.log_options import quantity
    from bench.rpc.messages import Exclude
    from data.quantities import echo

    stretch = Exclude(quantity("--from", begin, "time"), quantity("--to", end, "time"), reason)
    kept = f"{echo(begin, 'time')} to {echo(end, 'time')}, that is {stretch.to_s - stretch.from_s:g} s"
    return _lead(run, stretch, person, take_over, f"leaves out {kept}")


@runner.command()
@click.argument("run")
@click.argument("key")
@click.argument("value")
@_person
@click.option("--second-person", default="", help="Who has answered the same independently, where two must.")
@_take_over
def answer(run: str, key: str, value: str, person: str, second_person: str, take_over: bool) -> int:
    """Answer the prompt KEY of a run with VALUE, such as "12.5 mL" or done."""
    from bench.rpc.messages import Answer

    return _lead(run, Answer(key, value, second_person), person, take_over, "has the answer")


@runner.command()
@click.argument("run")
@click.argument("interlock")
@_person
@click.option("--reason", required=True, help="Why it may go on; it is recorded.")
@_take_over
def reset(run: str, interlock: str, person: str, reason: str, take_over: bool) -> int:
    """Arm an INTERLOCK again that holds a run."""
    from bench.rpc.messages import ResetInterlock

    return _lead(run, ResetInterlock(interlock, reason), person, take_over, f'has interlock "{interlock}" armed again')


def _lead(run: str | None, action: Action, person: str, take_over: bool, done: str) -> int:
    from bench.run_queue import find

    return _command(find(home(), run), action, person, take_over, done)


def _command(entry: Entry, action: Action, person: str, take_over: bool, done: str) -> int:
    """Have the control for one command."""
    from bench.rpc.client import Client

    _insist_alive(entry)
    who = person or getpass.getuser()
    with Client.of(entry) as client, client.control(who, take_over=take_over) as lease:
        return _told(entry, client.command(who, action, lease), done)


def _insist_alive(entry: Entry) -> None:
    ending = entry.state().ending
    if ending is not None:
        raise click.UsageError(f"run {entry.number} has ended: {ending.status or ending.state}")


def _told(entry: Entry, reply: Reply, done: str) -> int:
    from bench.rpc.messages import Outcome

    if reply.outcome is Outcome.REFUSED:
        raise click.UsageError(f"run {entry.number}: {reply.sentence}")
    if reply.outcome is Outcome.PENDING:
        click.echo(f"run {entry.number}: {reply.sentence}", err=True)
        return EXIT_RUN_ERROR
    click.echo(f"run {entry.number} {done}" + (f": {reply.sentence}" if reply.sentence else ""))
    return 0


# -------------------------------------------------------------------------------------------------------- watching


@runner.command()
@click.argument("run", required=False)
@click.option("--socket", type=FilePath(), help="Socket of a runner elsewhere, such as ssh forwards it.")
def attach(run: str | None, socket: Path | None) -> int:
    """Watch a run: phases, last values, events.  Ctrl-C detaches and the run goes on; else its exit code is given."""
    from bench.cli.board import Board
    from bench.rpc.client import Client
    from bench.rpc.doors import Doors
    from bench.rpc.messages import Ending
    from bench.run_queue import find

    if socket is not None and not socket.is_socket():
        raise click.UsageError(f"--socket {socket}: there is no socket; give the one of a runner that goes on")
    entry = None if socket is not None else find(home(), run)
    try:
        if entry is not None:
            state = _begun(entry)
            if state.doors is None:
                assert state.ending is not None
                return _end(state.ending, entry)
            client = Client(state.doors, entry)
        else:
            client = Client(Doors(f"unix:{socket}", f"unix:{socket}"))
        with client, Board(client).shown() as board:
            for message in client.follow():
                if isinstance(message, Ending):
                    ending = message
                    break
                board.take(message)
        return _end(ending, entry)
    except KeyboardInterrupt:
        click.echo("detached; the run goes on", err=True)
        return EXIT_DETACHED


def _begun(entry: Entry) -> RunState:
    """Wait until a run that waits is begun or withdrawn."""
    from instruments.clock import WallClock

    wall, seen, since, said = WallClock(), "", 0.0, ""
    while True:
        state = entry.state()
        if state.doors is not None or state.ending is not None:
            return state
        sentence = _sentence(entry, state)
        if sentence != seen:
            seen, since = sentence, wall.now()
        elif sentence != said and wall.now() - since > SETTLED_S:  # between two runs nobody has the station
            said = sentence
            click.echo(f"note: {said}", err=True)
        wall.sleep(LOOK_S)


def _end(ending: Ending, entry: Entry | None) -> int:
    """Show what came out, as `pumpbench run` does; returns the run's exit code."""
    if entry is not None and ending.run_file and Path(ending.run_file).exists():
        from bench.cli.show import check_table
        from data.run import Run

        with Run.open(Path(ending.run_file)) as run:
            if run.evaluation is not None:
                check_table(run.evaluation)
                click.echo()
    status = ending.status or ending.state
    by = f" by {ending.person}" if ending.person else ""
    click.echo(f"status    {status}{by}" + ("" if status == "completed" else f": {ending.reason}"))
    if ending.verdict:
        click.echo(f"verdict   {ending.verdict}\nrun file  {ending.run_file}")
    return ending.exit_code
