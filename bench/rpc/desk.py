"""The desk of a run: what clients ask of it is decided, done once and recorded here.  It knows nothing of gRPC.

Clients come on threads of a server; the engine lives on its clock's own thread and is reached by `Clock.post` alone.
A command has a key, and whoever repeats it gets the first reply: a client that lost the line may simply ask again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import singledispatchmethod
from typing import Any, Protocol, runtime_checkable

from bench.rpc.lease import Lease
from bench.rpc.messages import (
    Action,
    Answer,
    Command,
    Ending,
    Exclude,
    Grant,
    Note,
    Outcome,
    Pause,
    Reply,
    ResetInterlock,
    Resume,
    Start,
    Status,
    Stop,
    name_of,
)
from bench.session import Underway
from instruments.capabilities import Prompt
from instruments.clock import Event, WallClock

PATIENCE_S = 10.0
"""How long a client waits for the run to take its command before it is told to ask again."""

FOLLOWERS = 8
"""Clients that may follow a run at once."""

ENDED = "the run has ended"


class Commandable(Protocol):
    """What a desk asks of an engine, on the clock's own thread."""

    def stop(self, person: str, reason: str) -> None:
        """Stop the run in order."""

    def pause(self, person: str) -> None:
        """Hold the present phase."""

    def resume(self, person: str) -> None:
        """Go on with it."""

    def note(self, person: str, text: str) -> None:
        """Keep a remark."""

    def exclude(self, person: str, from_s: float, to_s: float, reason: str) -> object:
        """Take a stretch out of what is judged; says the sentence why it cannot be."""


@runtime_checkable
class Answerable(Protocol):
    """An engine that asks people."""

    def answer(self, key: str, value: str, person: str, second_person: str) -> object:
        """Answer the prompt of this key; says, or raises ValueError with, the sentence why an answer does not do."""


class Waiting(Protocol):
    """The prompts of an engine."""

    @property
    def asking(self) -> tuple[int, Prompt] | None:
        """The one that waits for its answer, and the how many-th of the run it is."""


@runtime_checkable
class Asking(Protocol):
    """An engine that shows what it asks."""

    @property
    def prompts(self) -> Waiting:
        """What it asks."""


@runtime_checkable
class Resettable(Protocol):
    """An engine whose interlocks can be armed again."""

    @property
    def latched(self) -> tuple[str, ...]:
        """Names of the interlocks that wait for it."""

    def reset_interlock(self, name: str, person: str, reason: str) -> object:
        """Arm it again; says, or raises ValueError with, the sentence why it cannot be."""


class RefusedError(ValueError):
    """What was asked is not done; the message says why."""


class _Turn:
    """A command, and its reply as soon as there is one."""

    def __init__(self, command: Command, done: Event) -> None:
        self.command = command
        self.done = done
        self.reply = Reply(Outcome.PENDING, "the run has not taken it yet; ask again with the same key")

    def end(self, refusal: str = "", sentence: str = "") -> None:
        """Give the reply, unless there is one."""
        if not self.done.is_set():
            self.reply = Reply(Outcome.REFUSED, refusal) if refusal else Reply(Outcome.ACCEPTED, sentence)
            self.done.set()


class Desk:
    """Leads one run for its clients; meets `bench.session.Lead`.

    Parameters
    ----------
    number, procedure, station : what the run is called.
    held : the run waits for a `Start`.
    patience_s : real time for which `command` waits for the run.
    """

    def __init__(
        self, number: int, procedure: str, station: str, *, held: bool = False, patience_s: float = PATIENCE_S
    ) -> None:
        self.wall = WallClock()
        self.ending: Ending | None = None
        self._told = Status(number, "held" if held else "starting", procedure, station)
        self._patience_s = patience_s
        self._run: Underway | None = None
        self._paused = False
        self._released = self.wall.event()
        self.withdrawn: tuple[str, str] | None = None  # person and reason
        self.stop_asked = False  # by anybody at any time, though it was too late for this run
        self._early: list[Callable[[Underway], object]] = []  # what is to be recorded as soon as there is a journal
        self._lease = Lease()
        self._turns: dict[str, _Turn] = {}
        self._bells: tuple[Event, ...] = ()
        self._lock = self.wall.lock()  # over a few lines, never over a wait
        self._order = self.wall.lock()  # one command after the other ...
        self._stops = self.wall.lock()  # ... but a stop, which waits for nothing but a stop
        if not held:
            self._released.set()

    # -- for whoever conducts the run

    def released(self) -> bool:
        """Wait while the run is held; returns False when it was withdrawn instead."""
        self.wall.wait(self._released)
        return self.withdrawn is None

    def begins(self, run: Underway) -> None:
        """Take the run over."""
        with self._lock:
            self._run = run
            early, self._early = self._early, []
        self._say(state="running", run_id=run.run_id, run_file=str(run.run_file), journal=str(run.journal))
        for entry in early:
            entry(run)
        if self.withdrawn is not None:
            run.engine.stop(*self.withdrawn)

    def synced(self, seq: int) -> None:
        """Wake the followers; they read the file themselves."""
        for bell in self._bells:
            bell.set()

    def ends(self) -> None:
        """Take no more commands: what is under way is done first, what was not begun is refused."""
        with self._order, self._stops, self._lock:
            assert self._run is not None
            self._told = self._now(self._run)
            self._run = None
            turns = list(self._turns.values())
        self._say(state="closing", phase="", asked=0, prompts=(), latched=())
        for turn in turns:
            turn.end(refusal=ENDED)

    def over(self, ending: Ending) -> None:
        """Tell how the run ended; the followers read the rest and go."""
        self.ending = ending
        self._say(state=ending.state, ending=ending)
        self.synced(-1)

    # -- for clients

    def status(self) -> Status:
        """What goes on just now."""
        with self._lock:
            run, told = self._run, self._told
            told = replace(told, controller=self._lease.holder(self.wall.now()), followers=len(self._bells))
        return told if run is None else replace(self._now(run), controller=told.controller, followers=told.followers)

    def command(self, command: Command) -> Reply:
        """Do something to the run, once for each key."""
        self.stop_asked |= isinstance(command.action, Stop)
        if not command.key or not command.person.strip():
            return Reply(Outcome.REFUSED, "a command has a key and names a person; give both")
        asked = replace(command, lease="")  # which may be another one when it is asked again
        with self._lock:
            turn = self._turns.get(command.key)
            new = turn is None
            if turn is None:
                turn = self._turns[command.key] = _Turn(asked, self.wall.event())
        if turn.command != asked:
            return Reply(Outcome.REFUSED, f'key "{command.key}" was used for another command; choose a new one')
        if new:
            self._take(turn, command.lease)
        self.wall.wait(turn.done, self.wall.now() + self._patience_s)
        return turn.reply

    def acquire(self, person: str, *, take_over: bool = False) -> Grant:
        """Give somebody the control; whoever takes it from somebody else is recorded."""
        with self._lock:
            before = self._lease.holder(self.wall.now())
            grant = self._lease.acquire(person, self.wall.now(), take_over=take_over)
        if grant.granted and before:
            self._record_soon("lease", {"person": person, "taken_from": before})
        return grant

    def renew(self, secret: str) -> Grant:
        """Keep the control."""
        with self._lock:
            return self._lease.renew(secret, self.wall.now())

    def release(self, secret: str) -> Grant:
        """Give the control back."""
        with self._lock:
            return self._lease.release(secret, self.wall.now())

    @contextmanager
    def bell(self) -> Iterator[Event]:
        """An event that is set when there may be more of the journal; raises RefusedError when too many listen."""
        event = self.wall.event()
        with self._lock:
            if len(self._bells) >= FOLLOWERS:
                raise RefusedError(f"{FOLLOWERS} clients follow this run already; close one of them")
            self._bells = (*self._bells, event)
        try:
            yield event
        finally:
            with self._lock:
                self._bells = tuple(one for one in self._bells if one is not event)

    # -- one command

    def _take(self, turn: _Turn, lease: str) -> None:
        """Decide on a command and have it done."""
        if not isinstance(turn.command.action, Stop):
            with self._lock:
                refusal = self._lease.refusal(lease, self.wall.now())
            if refusal:
                turn.end(refusal)
                return
        with self._lock:
            run = self._run
            if run is None:
                self._before_or_after(turn)
                return
        run.clock.post(lambda: self._do(turn))

    def _before_or_after(self, turn: _Turn) -> None:
        """A command to a run that has no engine yet, or no more."""
        command, action = turn.command, turn.command.action
        if self._told.state not in ("held", "starting"):
            turn.end(refusal=ENDED)
        elif isinstance(action, Stop):
            self.withdrawn = self.withdrawn or (command.person, action.reason)
            self._keep(turn, "it does not begin, or ends at once")
        elif not isinstance(action, Start):
            turn.end(refusal="the run has not begun; wait until it does")
        elif self._released.is_set():
            turn.end(refusal="the run is not held; it begins by itself")
        else:
            self._told = replace(self._told, state="starting")
            self._keep(turn)

    def _keep(self, turn: _Turn, sentence: str = "") -> None:
        self._early.append(lambda run: _record(run, turn.command))
        self._released.set()
        turn.end(sentence=sentence)

    def _do(self, turn: _Turn) -> None:
        """Do it and record it; on the clock's own thread, which on the wall clock is the caller's."""
        command = turn.command
        with self._stops if isinstance(command.action, Stop) else self._order:
            run = self._run
            if run is None:
                turn.end(refusal=ENDED)
                return
            try:
                self._act(command.action, run.engine, command.person)
            except Exception as error:  # noqa: BLE001  # a posted action's error would end the run
                turn.end(refusal=str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")
                return
            _record(run, command)
        turn.end()

    @singledispatchmethod
    def _act(self, action: Action, engine: Commandable, person: str) -> None:
        raise RefusedError(f"the run is under way; it takes no {name_of(action)}")

    @_act.register
    def _(self, action: Pause, engine: Commandable, person: str) -> None:
        engine.pause(person)
        self._paused = True

    @_act.register
    def _(self, action: Resume, engine: Commandable, person: str) -> None:
        engine.resume(person)
        self._paused = False

    @_act.register
    def _(self, action: Stop, engine: Commandable, person: str) -> None:
        engine.stop(person, action.reason)

    @_act.register
    def _(self, action: Note, engine: Commandable, person: str) -> None:
        engine.note(person, action.text)

    @_act.register
    def _(self, action: Exclude, engine: Commandable, person: str) -> None:
        _insist(engine.exclude(person, action.from_s, action.to_s, action.reason))

    @_act.register
    def _(self, action: Answer, engine: Commandable, person: str) -> None:
        if not isinstance(engine, Answerable):
            raise RefusedError("this run asks nothing; there is no prompt to answer")
        _insist(engine.answer(action.prompt, action.value, person, action.second_person))

    @_act.register
    def _(self, action: ResetInterlock, engine: Commandable, person: str) -> None:
        if not isinstance(engine, Resettable):
            raise RefusedError("interlocks of this run cannot be reset; stop it, find the cause and start anew")
        _insist(engine.reset_interlock(action.name, person, action.reason))

    # -- small parts

    def _record_soon(self, kind: str, fields: dict[str, str]) -> None:
        def entry(run: Underway) -> None:
            with self._order:
                if self._run is run:
                    run.recorder.record(kind, run.clock.now(), fields, urgent=True)

        with self._lock:
            run = self._run
            if run is None:
                self._early.append(entry)
                return
        run.clock.post(lambda: entry(run))

    def _now(self, run: Underway) -> Status:
        """The status of a run under way; reads what its workers only write."""
        planned_s = sum(step.most_s for step in run.engine.steps) + run.engine.rested_s
        elapsed_s = run.clock.now()
        asking = run.engine.prompts.asking if isinstance(run.engine, Asking) else None
        return replace(
            self._told,
            state="paused" if self._paused else "running",
            phase=run.engine.phase,
            share_done=min(1.0, elapsed_s / max(1.0, planned_s)),
            elapsed_s=elapsed_s,
            planned_s=planned_s,
            asked=0 if asking is None else asking[0],
            prompts=() if asking is None else (asking[1],),
            latched=run.engine.latched if isinstance(run.engine, Resettable) else (),
        )

    def _say(self, **changed: Any) -> None:
        with self._lock:
            self._told = replace(self._told, **changed)


def _insist(sentence: object) -> None:
    """Refuse with what the engine said against it."""
    if isinstance(sentence, str) and sentence:
        raise RefusedError(sentence)


def _record(run: Underway, command: Command) -> None:
    fields = {"command": name_of(command.action), "key": command.key, "person": command.person}
    run.recorder.record("command", run.clock.now(), fields | asdict(command.action), urgent=True)
