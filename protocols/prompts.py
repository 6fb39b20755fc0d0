"""Steps that a person at the bench does or answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from instruments.capabilities import Prompt
from protocols.steps import Step

ANSWER_S = 600.0
"""What a plan allows for a person to do what a prompt asks and to answer it, where the step says nothing else."""

Details = tuple[tuple[str, float | str], ...]
"""Numbers and words that an action needs, such as ``(("mass_mg", 20000.0),)``."""


@dataclass(frozen=True, slots=True)
class _Prompted(Step):
    """What `Ask` and `Confirm` have in common.

    Attributes
    ----------
    key : name of the answer, once in a procedure.
    action : what has to be done for it, one of the words of docs/howto/new-protocol.md; "" for a mere question.
    text : the whole sentence that the person reads.
    second_person : another named person must give the same answer independently.
    allow_s : what the plan allows for the answer; nothing happens when it takes longer.
    """

    key: str
    action: str
    text: str
    second_person: bool = field(default=False, kw_only=True)
    details: Details = field(default=(), kw_only=True)
    allow_s: float = field(default=ANSWER_S, kw_only=True)

    def __post_init__(self) -> None:
        if not self.key or not self.text:
            raise ValueError(f'prompt "{self.key}" needs a key and a text')

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.key}"

    @property
    def most_s(self) -> float:
        """What the plan allows for the answer."""
        return self.allow_s


@dataclass(frozen=True, slots=True)
class Ask(_Prompted):
    """Ask the person at the bench for a number, a choice or words; the answer is ``run.answers[key]``.

    Attributes
    ----------
    unit : of a number (docs/reference/quantities.md); "" for words.
    low, high : limits of a number, in ``unit``; an answer outside is refused.
    choices : the only words that are an answer; empty for free text.
    """

    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _Prompted.__post_init__(self)  # `super()` does not find a class with slots
        if self.unit and self.choices:
            raise ValueError(f'prompt "{self.key}" asks for a number and for a choice; leave out one of them')
        if not self.unit and (self.low is not None or self.high is not None):
            raise ValueError(f'prompt "{self.key}" has limits, but no unit; a number without one has the unit "1"')

    @property
    def prompt(self) -> Prompt:
        """What the person is asked."""
        return Prompt(
            self.key,
            self.action,
            self.text,
            "number" if self.unit else "text",
            self.unit,
            self.low,
            self.high,
            self.choices,
            self.second_person,
            self.details,
        )


@dataclass(frozen=True, slots=True)
class Confirm(_Prompted):
    """Have the person at the bench do something and say that it is done.

    ``picture`` is the file name of a drawing that belongs to the procedure.
    """

    picture: str = ""

    @property
    def prompt(self) -> Prompt:
        """What the person is asked."""
        return Prompt(
            self.key,
            self.action,
            self.text,
            second_person=self.second_person,
            details=self.details,
            picture=self.picture,
        )


@dataclass(frozen=True, slots=True)
class VesselChange(Step):
    """Have the collecting vessel changed; what the balance shows meanwhile is recorded as disturbed.

    Attributes
    ----------
    role : the channel that is disturbed.
    key : name of the answer, once in a procedure.
    settle_s : time after the change that counts as disturbed too.
    """

    role: str
    key: str
    text: str = "Take the collecting vessel off the balance, put an empty one in its place and close the draft shield."
    settle_s: float = 60.0
    second_person: bool = False
    details: Details = ()
    allow_s: float = ANSWER_S

    def __str__(self) -> str:
        return f"VesselChange {self.role} {self.key}"

    @property
    def least_s(self) -> float:
        """The time to settle."""
        return self.settle_s

    @property
    def most_s(self) -> float:
        """What the plan allows for the change, and the time to settle."""
        return self.allow_s + self.settle_s

    @property
    def prompt(self) -> Prompt:
        """What the person is asked."""
        return Prompt(self.key, "change-vessel", self.text, second_person=self.second_person, details=self.details)


def prompts_of(steps: Iterable[Step]) -> dict[str, Prompt]:
    """Every prompt of some steps by its key; raises ValueError for a key that stands there twice."""
    found: dict[str, Prompt] = {}
    for step in steps:
        if isinstance(step, Ask | Confirm | VesselChange):
            if step.key in found:
                raise ValueError(f'the procedure asks "{step.key}" twice; give each prompt a key of its own')
            found[step.key] = step.prompt
    return found
