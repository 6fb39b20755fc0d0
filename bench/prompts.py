"""Questions to the person at the bench, and whoever answers them: a terminal, a file, a window, a simulated operator.

A prompt and its answer are records of the run, written at once.  An answer that cannot be is refused with a sentence,
which is recorded too, and the prompt waits on; the first answer that can be counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from bench.answers import AnswerFile, read_answer, same_person
from instruments.capabilities import Answer, Prompt
from instruments.clock import Clock, Event, PacedClock, VirtualClock
from instruments.instrument import InstrumentError

LOOK_S = 1.0
"""How often a wait looks by itself whether the run is to end: an interlock in a teardown may wake nobody."""

ENDING_S = 300.0
"""Longest wait for an answer in a teardown: the bench is to be made safe, and perhaps everybody has gone home."""

TRIES = 3
"""How often a simulated operator is asked again when its answer was refused."""

FILE = "file"
"""Source of an answer out of a file; others are "terminal", "window" and "simulated-operator"."""

OPERATOR = "Simulated Operator"
SECOND_OPERATOR = "Second Simulated Operator"


class PromptError(InstrumentError):
    """A prompt that nobody can answer, or not in time; the message names the prompt."""

    def __init__(self, key: str, what: str) -> None:
        Exception.__init__(self, f'prompt "{key}": {what}')
        self.instrument = "operator"


class Record(Protocol):
    """The run's record."""

    def __call__(self, kind: str, fields: Mapping[str, Any], *, urgent: bool = False) -> None:
        """Record something; urgent is on the disk at once."""


class Hands(Protocol):
    """A simulated operator: does what a prompt asks and says what a person would say."""

    def respond(
        self, action: str, kind: str, unit: str, details: Mapping[str, float | str], asked_s: float
    ) -> tuple[float, float | str]:
        """Moment of the answer and its value in the prompt's unit; raises ValueError when it cannot do this."""


class Listener(Protocol):
    """Somebody who is shown prompts and may answer through `Prompts.answer`; called on the clock's own thread."""

    def asked(self, prompt: Prompt) -> None:
        """Show a prompt."""

    def settled(self, prompt: Prompt) -> None:
        """Take it away: it was answered by somebody, or the run ends."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """An answer that is known to come at a moment."""

    at_s: float
    value: float | str
    person: str
    second_person: str
    source: str


@dataclass
class _Waiting:
    """The prompt that waits, to ``latest_s``; ``first`` is the answer of the first of two persons."""

    prompt: Prompt
    number: int
    asked_s: float
    longest_s: float
    answered: Event
    latest_s: float = 0.0  # later by pauses
    first: tuple[float | str, str] | None = None
    answer: Answer | None = None


@dataclass
class Prompts:
    """Asks the person at the bench, one prompt at a time; one object a run.  An `instruments.capabilities.Operator`.

    Parameters
    ----------
    hold : waits to a clock time, longer by pauses, or until an event is set; raises when the steps are to end.
    nudge : has ``hold`` look at its event.
    ending : whether the steps have ended and the teardown goes on.
    hands : the simulated operator of a simulated station.
    person_answers : the simulated operator only does what is asked, and what it would answer is told; a person answers,
        and while one is asked time goes no faster than in reality.
    longest_s : a prompt without an answer for longer ends the run; None waits for ever.
    """

    clock: Clock
    record: Record
    hold: Callable[[float, Event], None]
    nudge: Callable[[], None]
    ending: Callable[[], bool] = lambda: False
    hands: Hands | None = None
    longest_s: float | None = None
    file: AnswerFile | None = None
    person_answers: bool = False
    _listeners: list[Listener] = field(default_factory=list)
    _attended: bool = False
    _asked: int = 0
    _waiting: _Waiting | None = None

    def __post_init__(self) -> None:
        self._lock = self.clock.lock()  # answers may come from several threads at once

    # -- whoever answers

    def attend(self, listener: Listener | None = None) -> None:
        """From now on somebody can answer; a listener is shown each prompt.  Virtual time waits for nobody."""
        if type(self.clock) is VirtualClock:
            return
        self._attended = True
        if listener is not None:
            self._listeners.append(listener)

    @property
    def waiting(self) -> Prompt | None:
        """The prompt that waits for its answer, or for the second one."""
        waiting = self._waiting
        return None if waiting is None or waiting.answer is not None else waiting.prompt

    @property
    def asking(self) -> tuple[int, Prompt] | None:
        """The same with its number: a prompt may be asked anew, with the key of one that was answered."""
        waiting = self._waiting
        return None if waiting is None or waiting.answer is not None else (waiting.number, waiting.prompt)

    @property
    def half_answered(self) -> bool:
        """Whether the first of two persons has answered the prompt that waits."""
        waiting = self._waiting
        return waiting is not None and waiting.first is not None and waiting.answer is None

    def answer(self, key: str, value: float | str, person: str, second_person: str = "", source: str = "window") -> str:
        """Answer the prompt that waits; returns "", or the sentence why the answer was refused.

        Where two persons have to answer, the answer of each comes by itself; or both names come with the one answer,
        when the source has seen to it that both gave it.

        Parameters
        ----------
        value : as typed ("12.5 mL", "done", a choice), or a number in the prompt's unit.
        """
        with self._lock:
            waiting = self._waiting
            if waiting is None or waiting.prompt.key != key or waiting.answer is not None:
                return f'nobody asks "{key}" now; {_asks(waiting)}'
            try:
                self._take(waiting, value, person.strip(), second_person.strip(), source)
            except ValueError as error:
                text = f'prompt "{key}": {source} answer of {person.strip() or "nobody"} refused: {error}'
                self.record("event", {"level": "warning", "text": text})
                return str(error)
            return ""

    # -- whoever asks

    def ask(self, prompt: Prompt) -> Answer:
        """Ask and wait on the clock for the answer.

        Raises
        ------
        PromptError
            Nobody can answer, or nobody did in time.
        Halted
            The steps are to end, as ``hold`` has it.
        """
        if self._waiting is not None:
            raise PromptError(prompt.key, f'cannot be asked while "{self._waiting.prompt.key}" waits for its answer')
        asked_s = self.clock.now()
        longest_s = math.inf if self.longest_s is None else self.longest_s
        longest_s = min(longest_s, ENDING_S) if self.ending() else longest_s
        self._asked += 1
        waiting = _Waiting(prompt, self._asked, asked_s, longest_s, self.clock.event(), asked_s + longest_s)
        self.record("prompt", {**asdict(prompt), "details": dict(prompt.details)}, urgent=True)
        self._waiting = waiting
        try:
            for listener in self._listeners:
                listener.asked(prompt)
            return self._wait(waiting)
        finally:
            self._waiting = None
            for listener in self._listeners:
                listener.settled(prompt)

    def _wait(self, waiting: _Waiting) -> Answer:
        key, said = waiting.prompt.key, ""
        for _ in range(TRIES):
            try:
                offer = self._offer(waiting.prompt)
            except ValueError as error:
                said = str(error)
                break
            if offer is None:
                break
            if self.person_answers and offer.source != FILE:
                text = f'the simulated bench shows {_shown(offer.value, waiting.prompt.unit)} for "{key}"'
                self.record("shown", {"key": key, "value": offer.value, "unit": waiting.prompt.unit, "text": text})
                break
            self._hold(waiting, offer.at_s)
            if waiting.answer is None:
                said = self.answer(key, offer.value, offer.person, offer.second_person, offer.source)
            if waiting.answer is not None or offer.source == FILE:
                break
        if waiting.answer is None:
            if not self._attended and (self.file is not None or self.hands is not None):
                missing = "nobody is there who answers" if waiting.first is None else "a second person has to answer"
                raise PromptError(key, said or missing)
            with self._no_faster_than_reality():
                self._hold(waiting, math.inf)
        assert waiting.answer is not None
        return waiting.answer

    def _hold(self, waiting: _Waiting, until: float) -> None:
        """Wait for the answer, at most to a clock time, later by pauses; raises PromptError when it takes too long."""
        while waiting.answer is None and (now := self.clock.now()) < until:
            if now >= waiting.latest_s:
                raise PromptError(waiting.prompt.key, f"nobody answered within {waiting.longest_s:g} s")
            look = min(until, waiting.latest_s, now + LOOK_S)
            self.hold(look, waiting.answered)
            paused_s = self.clock.now() - look
            if paused_s > 0.0:
                until, waiting.latest_s = until + paused_s, waiting.latest_s + paused_s

    def _no_faster_than_reality(self) -> AbstractContextManager[None]:
        """Give a person the time that a person needs."""
        if isinstance(self.clock, PacedClock) and self.clock.pace > 1.0:
            return self.clock.going_at(1.0)
        return nullcontext()

    def _offer(self, prompt: Prompt) -> _Offer | None:
        """What the file or the simulated operator answers; raises ValueError when the operator cannot.

        The file's word counts before the operator's, but the operator's hands do what is asked all the same.
        """
        at_s, value, cannot = self.clock.now(), None, None
        if self.hands is not None:
            try:
                at_s, value = self.hands.respond(prompt.action, prompt.kind, prompt.unit, dict(prompt.details), at_s)
            except ValueError as error:
                cannot = error
        if self.file is not None and prompt.key in self.file.answers:
            return _Offer(at_s, self.file.answers[prompt.key], self.file.person, self.file.second_person, FILE)
        if cannot is not None:
            raise cannot
        if value is None:
            return None
        return _Offer(at_s, value, OPERATOR, SECOND_OPERATOR if prompt.second_person else "", "simulated-operator")

    # -- one answer

    def _take(self, waiting: _Waiting, value: float | str, person: str, second_person: str, source: str) -> None:
        """Let an answer count, or the first of two; raises ValueError with the reason why it cannot."""
        if not person:
            raise ValueError("an answer needs the name of the person who gives it")
        prompt = waiting.prompt
        said = read_answer(prompt, value)
        if not prompt.second_person:
            second_person = ""
        elif second_person == "" and waiting.first is None:
            waiting.first = said, person
            text = f'prompt "{prompt.key}": {person} has answered; another person is to answer independently'
            self.record("event", {"level": "info", "text": text})
            return
        else:
            person, second_person = _two(waiting, said, person, second_person)
        answered_s = self.clock.now()
        waiting.answer = Answer(prompt.key, said, person, answered_s, second_person, source)
        fields = {
            **asdict(waiting.answer),
            "given": str(value),
            "unit": prompt.unit,
            "asked_s": waiting.asked_s,
            "waited_s": answered_s - waiting.asked_s,
        }
        self.record("answer", fields, urgent=True)
        waiting.answered.set()
        self.nudge()


def _two(waiting: _Waiting, said: float | str, person: str, second_person: str) -> tuple[str, str]:
    """The two persons who have given an answer; raises ValueError when they are one, or do not agree."""
    if second_person == "":
        assert waiting.first is not None, "the first answer never comes here"
        first, second_person = waiting.first[0], person
        person = waiting.first[1]
        if not same_person(person, second_person) and first != said:
            waiting.first = None
            raise ValueError(f"{person} answered {first}, {second_person} {said}; both answer again")
    if same_person(person, second_person):
        raise ValueError(f"{person} has answered; the second answer must come from another person")
    return person, second_person


def _shown(value: float | str, unit: str) -> str:
    return value if isinstance(value, str) else f"{value:.6g} {unit}"


def _asks(waiting: _Waiting | None) -> str:
    return "no prompt waits" if waiting is None else f'the prompt that waits is "{waiting.prompt.key}"'
