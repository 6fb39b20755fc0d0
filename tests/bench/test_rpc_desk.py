"""What clients ask of a run is decided, done once, on the clock's own thread, and recorded."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.rpc import desk as desk_module
from bench.rpc.desk import FOLLOWERS, Desk, RefusedError
from bench.rpc.lease import EXPIRES_S
from bench.rpc.messages import (
    Action,
    Answer,
    Command,
    Ending,
    Exclude,
    Note,
    Outcome,
    Pause,
    Reply,
    ResetInterlock,
    Resume,
    Start,
    Status,
    Stop,
)
from bench.session import Underway
from instruments.capabilities import Prompt
from instruments.clock import VirtualClock, WallClock
from protocols.steps import Phase, Tare

ACTIONS: list[Action] = [
    Start(),
    Pause(),
    Resume(),
    Stop("because"),
    Note("n"),
    Answer("height", "12.5 mm", "Ben"),
    ResetInterlock("pressure", "valve was shut"),
    Exclude(7200.0, 7380.5, "a draft"),
]


@dataclass
class Engine:
    """Remembers what it was told, and on which thread."""

    heard: list[tuple[str, ...]] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    steps: tuple[Any, ...] = ()
    phase: str = "analysis"
    rested_s: float = 0.0

    def _hear(self, *what: str) -> None:
        self.heard.append(what)
        self.threads.add(threading.current_thread().name)

    def stop(self, person: str, reason: str) -> None:
        self._hear("stop", person, reason)

    def pause(self, person: str) -> None:
        self._hear("pause", person)

    def resume(self, person: str) -> None:
        self._hear("resume", person)

    def note(self, person: str, text: str) -> None:
        self._hear("note", person, text)

    def exclude(self, person: str, from_s: float, to_s: float, reason: str) -> str:
        if to_s > 100.0:
            return "that is later than now"
        self._hear("exclude", person, reason)
        return ""


class AskingEngine(Engine):
    """Asks people, and takes only one answer."""

    class prompts:  # noqa: N801  # an attribute
        asking = (3, Prompt("height", "", "How high?", "number", "mm", low=0.0))

    latched = ("pressure",)

    def answer(self, key: str, value: str, person: str, second_person: str) -> str:
        if value != "12.5 mm":
            return "that cannot be; measure again"
        self._hear("answer", key, value, person, second_person)
        return ""

    def reset_interlock(self, name: str, person: str, reason: str) -> str:
        if name not in self.latched:
            raise ValueError(f'interlock "{name}" has not tripped')
        self._hear("reset", name, person, reason)
        return ""


@dataclass
class Recorder:
    """Keeps what is recorded."""

    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def record(self, kind: str, t: float, fields: dict[str, Any], *, urgent: bool = False) -> None:
        self.said.append((kind, fields))


class Led:
    """A desk whose run is under way, with a client that holds the lease."""

    def __init__(
        self, engine: Engine, clock: Any = None, begun: bool = True, held: bool = False, patience_s: float = 60.0
    ) -> None:
        self.engine, self.recorder = engine, Recorder()
        self.desk = Desk(7, "toy", "toys", held=held, patience_s=patience_s)
        self.lease = self.desk.acquire("Ada").lease
        path = Path("a.journal")
        self.run = Underway(engine, clock or WallClock(), self.recorder, "id", path, path)  # type: ignore[arg-type]  # as a recorder
        if begun:
            self.desk.begins(self.run)

    def ask(self, action: Action, key: str = "k", lease: str | None = None) -> Reply:
        return self.desk.command(Command(key, "Ada", action, self.lease if lease is None else lease))


@pytest.fixture
def led() -> Led:
    """A run under way on the wall clock."""
    return Led(Engine())


# ------------------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize("action", [Pause(), Resume(), Note("n"), Stop("r")], ids=lambda one: type(one).__name__)
def test_a_repeated_key_gets_the_first_reply_and_does_nothing(led: Led, action: Action) -> None:
    assert [led.ask(action).outcome for _ in range(3)] == [Outcome.ACCEPTED] * 3
    assert len(led.engine.heard) == 1
    (recorded,) = led.recorder.said
    assert recorded[0] == "command"
    assert {"key": "k", "person": "Ada"}.items() <= recorded[1].items()


def test_keys_repeated_at_once_do_it_once(led: Led) -> None:
    wall, replies = WallClock(), list[Reply]()

    def ask(key: str) -> None:
        replies.append(led.ask(Note("n"), key))

    asking = [wall.worker(str(n), partial(ask, f"k{n % 2}")) for n in range(20)]
    for one in asking:
        one.join()
    assert {reply.outcome for reply in replies} == {Outcome.ACCEPTED}
    assert len(led.engine.heard) == 2


def test_a_key_is_for_one_command(led: Led) -> None:
    led.ask(Pause())
    assert 'key "k" was used for another command' in led.ask(Resume()).sentence
    assert led.engine.heard == [("pause", "Ada")]


def test_only_who_holds_the_lease_commands_but_anybody_stops(led: Led) -> None:
    assert led.ask(Pause(), "1", lease="made up").sentence == "Ada controls this run now"
    assert led.ask(Stop("smoke"), "2", lease="").outcome is Outcome.ACCEPTED
    assert led.engine.heard == [("stop", "Ada", "smoke")]


def test_a_lease_that_was_taken_over_is_recorded_with_both_names(led: Led) -> None:
    assert not led.desk.acquire("Ben").granted
    assert led.desk.acquire("Ben", take_over=True).granted
    assert led.recorder.said == [("lease", {"person": "Ben", "taken_from": "Ada"})]
    assert led.ask(Pause()).sentence == "Ben controls this run now"


def test_a_silent_client_loses_the_control(led: Led, monkeypatch: pytest.MonkeyPatch) -> None:
    now = led.desk.wall.now()
    monkeypatch.setattr(led.desk.wall, "now", lambda: now + EXPIRES_S - 1.0)
    assert led.desk.renew(led.lease).granted
    monkeypatch.setattr(led.desk.wall, "now", lambda: now + 2 * EXPIRES_S)
    assert led.ask(Pause()).sentence == "this lease has ended; acquire it again"
    assert led.desk.acquire("Ben").granted
    assert led.desk.status().controller == "Ben"


def test_what_an_engine_cannot_do_is_refused_with_a_sentence(led: Led) -> None:
    assert "asks nothing" in led.ask(Answer("height", "1 mm"), "1").sentence
    assert "cannot be reset" in led.ask(ResetInterlock("p", "r"), "2").sentence
    assert "takes no start" in led.ask(Start(), "3").sentence
    assert led.recorder.said == []


def test_an_answer_reaches_the_engine_or_comes_back_with_its_objection() -> None:
    led = Led(AskingEngine())
    assert led.desk.status().prompts == (AskingEngine.prompts.asking[1],)
    assert led.desk.status().asked == 3
    assert led.ask(Answer("height", "-3 mm"), "1") == Reply(Outcome.REFUSED, "that cannot be; measure again")
    assert led.ask(Answer("height", "12.5 mm", "Ben"), "2").outcome is Outcome.ACCEPTED
    assert led.engine.heard == [("answer", "height", "12.5 mm", "Ada", "Ben")]
    assert [fields["key"] for _, fields in led.recorder.said] == ["2"]


def test_an_exclusion_is_kept_with_who_said_it_or_comes_back_with_the_engines_objection(led: Led) -> None:
    assert led.ask(Exclude(1.0, 200.0, "a draft"), "1") == Reply(Outcome.REFUSED, "that is later than now")
    assert led.ask(Exclude(1.0, 20.0, "a draft"), "2").outcome is Outcome.ACCEPTED
    assert led.engine.heard == [("exclude", "Ada", "a draft")]
    said = {"command": "exclude", "key": "2", "person": "Ada", "from_s": 1.0, "to_s": 20.0, "reason": "a draft"}
    assert led.recorder.said == [("command", said)]


def test_an_interlock_that_holds_the_bench_is_shown_and_can_be_reset() -> None:
    led = Led(AskingEngine())
    assert led.desk.status().latched == ("pressure",)
    assert led.ask(ResetInterlock("p", "r"), "1").sentence == 'interlock "p" has not tripped'
    assert led.ask(ResetInterlock("pressure", "valve was shut"), "2").outcome is Outcome.ACCEPTED
    assert led.engine.heard == [("reset", "pressure", "Ada", "valve was shut")]


def test_an_engine_that_breaks_refuses_and_the_run_goes_on(led: Led, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(person: str) -> None:
        raise KeyError("x")

    monkeypatch.setattr(led.engine, "pause", breaks)
    assert led.ask(Pause(), "1") == Reply(Outcome.REFUSED, "KeyError: 'x'")
    assert led.ask(Note("n"), "2").outcome is Outcome.ACCEPTED


def test_in_virtual_time_a_command_is_done_by_the_clocks_thread_alone() -> None:
    clock = VirtualClock()
    led = Led(Engine(), clock)
    replies: list[Reply] = []
    asking = WallClock().worker("client", lambda: replies.extend(led.ask(Note("n"), str(n)) for n in range(5)))

    def main() -> None:
        while not asking.done:
            clock.sleep(1.0)

    clock.run(main)
    assert [reply.outcome for reply in replies] == [Outcome.ACCEPTED] * 5
    assert led.engine.threads == {threading.current_thread().name}


def test_a_run_that_does_not_take_a_command_says_so_and_does_it_once_when_it_does() -> None:
    clock = VirtualClock()
    led = Led(Engine(), clock, patience_s=0.3)
    assert led.ask(Pause()).outcome is Outcome.PENDING
    led.desk._patience_s = 60.0
    clock.run(lambda: clock.sleep(1.0))
    assert led.ask(Pause()).outcome is Outcome.ACCEPTED
    assert led.engine.heard == [("pause", "Ada")]


def test_a_command_that_the_run_did_not_take_before_its_end_is_refused() -> None:
    clock = VirtualClock()
    led = Led(Engine(), clock, patience_s=0.3)
    led.ask(Pause())
    led.desk.ends()
    assert led.ask(Pause()) == Reply(Outcome.REFUSED, "the run has ended")
    clock.run(lambda: clock.sleep(1.0))
    assert led.engine.heard == []
    assert led.ask(Stop("late"), "2") == Reply(Outcome.REFUSED, "the run has ended")


def test_the_end_waits_for_a_command_that_is_being_done(monkeypatch: pytest.MonkeyPatch) -> None:
    led, wall = Led(Engine()), WallClock()
    begun, go_on, ended = wall.event(), wall.event(), list[bool]()

    def slow(person: str) -> None:
        begun.set()
        wall.wait(go_on, wall.now() + 60.0)
        ended.append(bool(ends_done))

    ends_done: list[bool] = []
    monkeypatch.setattr(led.engine, "pause", slow)
    client = wall.worker("client", lambda: led.ask(Pause()))
    wall.wait(begun)
    ending = wall.worker("end", lambda: (led.desk.ends(), ends_done.append(True)))
    assert led.ask(Stop("now"), "2").outcome is Outcome.ACCEPTED  # a stop waits for no other command
    go_on.set()
    client.join()
    ending.join()
    assert ended == [False]
    assert [fields["command"] for _, fields in led.recorder.said] == ["stop", "pause"]


# ------------------------------------------------------------------------------------------- before and after a run


def test_a_held_run_begins_at_the_command_of_a_person_which_is_recorded() -> None:
    led = Led(Engine(), begun=False, held=True)
    assert led.desk.status().state == "held"
    assert "has not begun" in led.ask(Pause(), "1").sentence
    assert led.ask(Start(), "2").outcome is Outcome.ACCEPTED
    assert led.desk.released()
    led.desk.begins(led.run)
    assert led.recorder.said == [("command", {"command": "start", "key": "2", "person": "Ada"})]


def test_a_held_run_can_be_withdrawn() -> None:
    led = Led(Engine(), begun=False, held=True)
    assert led.ask(Stop("wrong pump")).outcome is Outcome.ACCEPTED
    assert not led.desk.released()
    assert led.desk.withdrawn == ("Ada", "wrong pump")


def test_a_stop_that_comes_while_the_bench_is_made_ready_stops_the_run_as_it_begins() -> None:
    led = Led(Engine(), begun=False)
    assert "not held" in led.ask(Start(), "1").sentence
    led.ask(Stop("wrong pump"), "2")
    led.desk.begins(led.run)
    assert led.engine.heard == [("stop", "Ada", "wrong pump")]
    assert [fields["command"] for _, fields in led.recorder.said] == ["stop"]


def test_the_time_for_which_the_steps_stood_still_is_still_to_come(led: Led) -> None:
    led.engine.steps = (Tare("balance"), Phase("analysis", 3600.0))
    assert led.desk.status().planned_s == 3600.0
    led.engine.rested_s = 600.0
    assert led.desk.status().planned_s == 4200.0


def test_the_status_follows_the_run(led: Led) -> None:
    states = [led.desk.status().state]
    for act in (
        lambda: led.ask(Pause(), "1"),
        lambda: led.ask(Resume(), "2"),
        led.desk.ends,
        lambda: led.desk.over(Ending("ended", "completed")),
    ):
        act()
        states.append(led.desk.status().state)
    assert states == ["running", "paused", "running", "closing", "ended"]
    assert led.desk.status().ending == Ending("ended", "completed")


# ------------------------------------------------------------------------------------------------------- followers


def test_so_many_follow_and_no_more(led: Led) -> None:
    bells = [led.desk.bell() for _ in range(FOLLOWERS)]
    for bell in bells:
        bell.__enter__()
    assert led.desk.status().followers == FOLLOWERS
    with pytest.raises(RefusedError, match="8 clients follow this run already; close one of them"), led.desk.bell():
        pass
    bells[3].__exit__(None, None, None)
    with led.desk.bell() as bell:
        led.desk.synced(12)
        assert bell.is_set()


# -------------------------------------------------------------------------------------------------------- the wire


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_a_command_arrives_as_it_was_sent(action: Action) -> None:
    command = Command("key", "Ada", action, "lease")
    assert Command.from_pb(type(command.to_pb()).FromString(command.to_pb().SerializeToString())) == command


def test_a_command_of_a_later_version_is_none() -> None:
    assert Command.from_pb(desk_module.Command("k", "p", Pause()).to_pb().__class__(key="k")) is None


def test_a_status_arrives_as_it_was_sent() -> None:
    prompt = Prompt("w", "place-weight", "Place it", "number", "mg", None, 3.0, ("a",), True, (("m", 2.0), ("n", "x")))
    status = Status(
        7,
        "running",
        "p",
        "s",
        "id",
        "f",
        "j",
        "analysis",
        0.5,
        1.0,
        2.0,
        "Ada",
        3,
        4,
        ("a", "b"),
        (prompt,),
        Ending("x"),
    )
    for one in (status, Status(7, "held")):
        assert Status.from_pb(type(one.to_pb()).FromString(one.to_pb().SerializeToString())) == one
