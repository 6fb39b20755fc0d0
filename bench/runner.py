"""The runner: a process that conducts one run, whoever comes and goes.

``python -P -m bench.runner --home HOME --station NAME`` takes the first run that waits for the station, opens its
doors for clients (see `bench.rpc`), conducts it, and starts the next runner when others wait.  Clients only watch and
ask; when they die, the run goes on.  SIGTERM stops the run in order, and keeps the next one from starting.
"""

from __future__ import annotations

import argparse
import faulthandler
import getpass
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import run_queue
from bench.preflight import Finding
from bench.rpc.desk import Desk
from bench.rpc.doors import Doors, loopback_doors, unix_doors
from bench.rpc.messages import Command, Ending, Stop
from bench.rpc.server import serving
from bench.run_queue import Entry, RunState, StationLock
from bench.session import Result, Underway, conduct, exit_code
from bench.unsaved import UnsavedError
from data.checks import Status
from instruments.clock import WallClock

ORDERLY = ("SIGTERM", "SIGINT", "SIGBREAK")
"""Signals that stop the run in order, where the platform has them."""

SWITCH_S = 0.0005
"""The threads of clients hand the interpreter over to the acquisition this soon."""

EXIT_BAD_INPUT, EXIT_RUN_ERROR = 2, 3


class Runner:
    """Conducts one run and tells on disk how it goes; meets `bench.session.Lead`."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.desk = Desk(entry.number, entry.procedure, entry.station, held=entry.hold)
        self.terminated = False
        self._state = RunState("held" if entry.hold else "starting", os.getpid())

    def opens(self, doors: Doors) -> None:
        """Tell where it is reached; from now on signals stop the run in order."""
        began = WallClock().start.isoformat(timespec="seconds")
        self._state = replace(self._state, doors=doors, began=began)
        self.entry.tell(self._state)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that is closed stops nothing
        self._listen()

    def conduct(self) -> Ending:
        """Conduct the run to its end, whatever that is, and tell it on disk."""
        ending = self._conducted()
        self._tell(replace(self._state, state=ending.state, ending=ending))
        return ending

    def _conducted(self) -> Ending:
        try:
            if not self.desk.released():
                person, reason = self.desk.withdrawn or ("", "")
                return Ending("withdrawn", reason=reason, person=person, exit_code=EXIT_BAD_INPUT)
            self._tell(replace(self._state, state="starting"))
            os.chdir(self.entry.cwd)
            request = self.entry.request()
            request = replace(request, out=request.out.absolute())
            return _ended(conduct(request, announce=_announce, lead=self))
        except (ValueError, OSError) as error:
            return self._broken_off(str(error), EXIT_BAD_INPUT)  # as `pumpbench run` ends
        except UnsavedError as error:
            return self._broken_off(str(error), EXIT_RUN_ERROR)
        except Exception as error:  # noqa: BLE001  # those who follow must hear of it
            traceback.print_exc()
            return self._broken_off(f"{type(error).__name__}: {error}; see {self.entry.log}", EXIT_RUN_ERROR)

    # -- for the session, on the clock's own thread, which is the process's main one

    def begins(self, run: Underway) -> None:
        """Take the run over, and the signals back from the session."""
        self._tell(
            replace(
                self._state, state="running", run_id=run.run_id, journal=str(run.journal), run_file=str(run.run_file)
            )
        )
        self.desk.begins(run)
        self._listen()

    def synced(self, seq: int) -> None:
        """Wake those who follow."""
        self.desk.synced(seq)

    def ends(self) -> None:
        """Let go of the engine."""
        self.desk.ends()

    # -- small parts

    def _listen(self) -> None:
        for name in ORDERLY:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._terminate)

    def _terminate(self, number: int, _: object) -> None:
        self.terminated = True
        name = signal.Signals(number).name
        stop = Command(f"signal-{name}", getpass.getuser(), Stop(f"stopped by {name}"))
        # From a thread of its own: the signal may have come in the middle of a wait whose lock the desk would need.
        threading.Thread(target=self.desk.command, args=(stop,), daemon=True).start()

    def _broken_off(self, reason: str, code: int) -> Ending:
        print(reason, file=sys.stderr)
        begun = bool(self._state.journal)
        return Ending(
            "ended" if begun else "refused",
            "error" if begun else "",
            reason,
            exit_code=code,
            journal=self._state.journal,
        )

    def _tell(self, state: RunState) -> None:
        """Tell it on disk; a disk that does not take it stops nothing."""
        self._state = state
        try:
            self.entry.tell(state)
        except OSError as error:
            print(f"{self.entry.folder}: the state cannot be written ({error.strerror})", file=sys.stderr, flush=True)


def _announce(findings: Sequence[Finding]) -> None:
    for finding in findings:
        print(f"note: {finding.text}", file=sys.stderr, flush=True)


def _ended(result: Result) -> Ending:
    for text in result.trouble:
        print(f"note: {text}", file=sys.stderr)
    end = result.end
    return Ending(
        "ended",
        str(end.status),
        end.reason,
        end.person,
        str(result.evaluation.verdict),
        exit_code(result),
        str(result.run_file),
        str(result.journal),
    )


def lead_next(home: Path, station: str, halts: int | None = None) -> bool:
    """Conduct the first run that waits for a station; False when none does, or when another process holds it.

    Parameters
    ----------
    halts : how often the queue had been halted when somebody wanted this: whoever ended a runner since wants none to
        follow.
    """
    lock = StationLock.take(home, station)
    if lock is None:
        return False  # whoever holds it looks at the queue when it lets go
    try:
        if halts is not None and halts != run_queue.halts(home, station):
            print(f'station "{station}": a run was stopped meanwhile; the next one begins when a person starts it')
            return False
        for entry in run_queue.waiting(home, station):
            lock.tell({"number": entry.number})
            runner = Runner(entry)
            doors = loopback_doors() if sys.platform == "win32" else unix_doors(home, entry.number)
            with serving(runner.desk, doors) as opened:
                if not entry.claim():
                    continue  # a person has just withdrawn it
                _write_to(entry.log)
                runner.opens(opened)
                ending = runner.conduct()
                is_over = _wants_a_look(runner, ending)
                if is_over:
                    run_queue.halt_queue(home, station)
                runner.desk.over(ending)
                lock.release()
            # Only now: who queued a run while the lock was held relies on this look, and who stops a run that has
            # just ended on a door that was open until here.
            if not is_over and _wants_a_look(runner, ending):
                run_queue.halt_queue(home, station)
            elif not is_over and run_queue.waiting(home, station):
                run_queue.start_runner(home, station)
            return True
        return False
    finally:
        lock.release()


def _wants_a_look(runner: Runner, ending: Ending) -> bool:
    """Whether nothing may move on the bench before a person says so.

    Whoever stops a run has a reason to look at the bench, also when the run took it no more (in its teardown, or while
    its file is made); after an interlock or an error somebody has to.
    """
    return runner.terminated or runner.desk.stop_asked or ending.status not in ("", Status.COMPLETED)


def _write_to(log: Path) -> None:
    """Send what this process says to a file."""
    fd = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    for stream in (1, 2):
        os.dup2(fd, stream)
    os.close(fd)


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="bench.runner", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--station", required=True)
    parser.add_argument("--halts", type=int)
    options = parser.parse_args(arguments)
    faulthandler.enable()
    sys.setswitchinterval(SWITCH_S)
    lead_next(options.home, options.station, options.halts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
