"""What a runner and its clients say to each other, as plain data; ``runner.proto`` is how it looks on the wire."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from typing import Any

from bench.rpc import runner_pb2 as pb
from instruments.capabilities import Prompt


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended.

    Attributes
    ----------
    state : "ended"; "refused" before anything moved; "withdrawn" by a person before that; "died" with its runner.
    status : of the run file, such as "completed"; empty where nothing ran.
    exit_code : what ``pumpbench run`` would have ended with.
    run_file, journal : empty where nothing was recorded.
    """

    state: str
    status: str = ""
    reason: str = ""
    person: str = ""
    verdict: str = ""
    exit_code: int = 0
    run_file: str = ""
    journal: str = ""

    def to_pb(self) -> pb.Ending:
        """As it is sent."""
        return pb.Ending(**asdict(self))

    @staticmethod
    def from_pb(said: pb.Ending) -> Ending:
        """As it was sent."""
        return Ending(**{item.name: getattr(said, item.name) for item in fields(Ending)})


def _prompt_to_pb(prompt: Prompt) -> pb.Prompt:
    plain = {item.name: getattr(prompt, item.name) for item in fields(prompt) if item.name != "details"}
    details = [
        pb.Detail(name=name, text=value) if isinstance(value, str) else pb.Detail(name=name, number=value)
        for name, value in prompt.details
    ]
    return pb.Prompt(**plain, details=details)


def _prompt_from_pb(said: pb.Prompt) -> Prompt:
    plain: dict[str, Any] = {item.name: getattr(said, item.name) for item in fields(Prompt)}
    for limit in ("low", "high"):
        plain[limit] = plain[limit] if said.HasField(limit) else None
    details = ((detail.name, getattr(detail, detail.WhichOneof("value"))) for detail in said.details)
    return Prompt(**{**plain, "choices": tuple(said.choices), "details": tuple(details)})


@dataclass(frozen=True, slots=True)
class Status:
    """What goes on just now.

    Times are on the run's clock; ``run_file`` is there when the run has ended; ``latched`` are the interlocks that hold
    the bench until a person resets them; ``asked`` counts the prompts up to the one that waits, which may have the key
    of one before.
    """

    number: int
    state: str
    procedure: str = ""
    station: str = ""
    run_id: str = ""
    run_file: str = ""
    journal: str = ""
    phase: str = ""
    share_done: float = 0.0
    elapsed_s: float = 0.0
    planned_s: float = 0.0
    controller: str = ""
    followers: int = 0
    asked: int = 0
    latched: tuple[str, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    ending: Ending | None = None

    def to_pb(self) -> pb.StatusReply:
        """As it is sent."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)[:-2]}
        prompts = [_prompt_to_pb(prompt) for prompt in self.prompts]
        return pb.StatusReply(**plain, prompts=prompts, ending=None if self.ending is None else self.ending.to_pb())

    @staticmethod
    def from_pb(said: pb.StatusReply) -> Status:
        """As it was sent."""
        plain: dict[str, Any] = {item.name: getattr(said, item.name) for item in fields(Status)[:-2]}
        plain["latched"] = tuple(said.latched)
        prompts = tuple(map(_prompt_from_pb, said.prompts))
        return Status(**plain, prompts=prompts, ending=Ending.from_pb(said.ending) if said.HasField("ending") else None)


# -- what can be asked of a run; the names of the fields are those on the wire


@dataclass(frozen=True, slots=True)
class Start:
    """Release a run that was prepared with hold."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold the present phase; sampling goes on."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on where it was held."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the run in order; whoever asks."""

    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Keep a remark with the run."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a prompt; the value is as typed, with its unit."""

    prompt: str
    value: str
    second_person: str = ""


@dataclass(frozen=True, slots=True)
class ResetInterlock:
    """Arm an interlock again that has held the run."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Exclude:
    """Take a stretch that is over out of what is judged; times in s since the run's begin."""

    from_s: float
    to_s: float
    reason: str


Action = Start | Pause | Resume | Stop | Note | Answer | ResetInterlock | Exclude

_WIRE: dict[str, tuple[type[Any], type[Any]]] = {
    "start": (Start, pb.Start),
    "pause": (Pause, pb.Pause),
    "resume": (Resume, pb.Resume),
    "stop": (Stop, pb.Halt),
    "note": (Note, pb.Note),
    "answer": (Answer, pb.Answer),
    "reset_interlock": (ResetInterlock, pb.ResetInterlock),
    "exclude": (Exclude, pb.Exclude),
}
_NAMES = {kind: name for name, (kind, _) in _WIRE.items()}


def name_of(action: Action) -> str:
    """The action's name on the wire and in the journal."""
    return _NAMES[type(action)]


@dataclass(frozen=True, slots=True)
class Command:
    """An action, asked for by a person; whoever repeats a ``key`` gets the first reply and nothing more happens."""

    key: str
    person: str
    action: Action
    lease: str = ""

    def to_pb(self) -> pb.CommandRequest:
        """As it is sent."""
        name = name_of(self.action)
        action = _WIRE[name][1](**asdict(self.action))
        return pb.CommandRequest(key=self.key, person=self.person, lease=self.lease, **{name: action})

    @staticmethod
    def from_pb(said: pb.CommandRequest) -> Command | None:
        """As it was sent; None when it holds no action that this version knows."""
        name = said.WhichOneof("action")
        if name is None:
            return None
        kind, _ = _WIRE[name]
        asked = getattr(said, name)
        action = kind(**{item.name: getattr(asked, item.name) for item in fields(kind)})
        return Command(said.key, said.person, action, said.lease)


class Outcome(IntEnum):
    """What became of a command; the numbers are those on the wire."""

    ACCEPTED = 1
    REFUSED = 2
    PENDING = 3


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a command, with a sentence where it is no plain yes."""

    outcome: Outcome
    sentence: str = ""

    def to_pb(self) -> pb.CommandReply:
        """As it is sent."""
        return pb.CommandReply(outcome=self.outcome.name, sentence=self.sentence)

    @staticmethod
    def from_pb(said: pb.CommandReply) -> Reply:
        """As it was sent."""
        return Reply(Outcome(said.outcome), said.sentence)


@dataclass(frozen=True, slots=True)
class Grant:
    """Answer to whoever wants to control a run; ``lease`` is to be shown with each command."""

    granted: bool
    lease: str = ""
    holder: str = ""
    expires_s: float = 0.0
    sentence: str = ""

    def to_pb(self) -> pb.LeaseReply:
        """As it is sent."""
        return pb.LeaseReply(**asdict(self))

    @staticmethod
    def from_pb(said: pb.LeaseReply) -> Grant:
        """As it was sent."""
        return Grant(**{item.name: getattr(said, item.name) for item in fields(Grant)})
