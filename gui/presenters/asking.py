"""What the run asks of people: shown until it is answered, checked here before it is sent, refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

from bench.answers import DONE, read_answer, same_person
from bench.rpc.messages import Answer, Reply
from gui.presenters.context import Context
from gui.presenters.live import Live
from gui.presenters.numbers import OF_A_MASS, Numbers, PlainNumbers, all_digits, is_bare, unit_text, with_unit
from gui.presenters.tone import Tone
from instruments.capabilities import Prompt
from protocols.procedure import load_procedure

UNITS_OF_DETAILS = {
    "_mm_per_s": "mm/s",
    "_ul_per_h": "uL/h",
    "_mg": "mg",
    "_mm": "mm",
    "_ul": "uL",
    "_kpa": "kPa",
    "_degc": "degC",
    "_s": "s",
    "_n": "N",
}
"""Ends of the names of a prompt's details."""

Asked = tuple[str, int]
"""A prompt's key, and the how many-th of the run it is."""


@dataclass(frozen=True, slots=True)
class Card:
    """A prompt as it stands.

    Attributes
    ----------
    hint : what can be an answer.
    asked : the how many-th prompt of the run it is; another one may have the same key.
    choices : buttons instead of a field; "done" alone for a confirmation.
    refusal : why the last answer was not taken.
    is_sent : an answer is on its way.
    needs_second : another person answers too.
    can_take_over : somebody else controls the run, and may be relieved of it.
    shows : what a simulated bench shows for it.
    """

    key: str
    text: str
    hint: str
    unit: str
    choices: tuple[str, ...]
    details: tuple[tuple[str, str], ...]
    picture: Path | None
    picture_name: str
    needs_second: bool
    asked: int = 0
    refusal: str = ""
    is_sent: bool = False
    can_take_over: bool = False
    shows: str = ""

    @property
    def is_confirmation(self) -> bool:
        """Whether it is done or not."""
        return self.choices == (DONE,)


@dataclass
class Asking:
    """The prompts of the run that is watched.

    Parameters
    ----------
    changed : called when a card has changed without a tick of `Live`.
    """

    context: Context
    live: Live
    changed: Callable[[], None] = lambda: None
    _states: dict[Asked, tuple[str, bool, bool]] = field(default_factory=dict)  # refusal, sent, take over
    _answered: set[Asked] = field(default_factory=set)

    def forget(self) -> None:
        """Another run is watched, which may ask for the same."""
        self._states.clear()
        self._answered.clear()

    def cards(self) -> list[Card]:
        """What is asked now."""
        status = self.live.status
        if status is None or not self.live.is_going:
            return []
        asked = {(prompt.key, status.asked): prompt for prompt in status.prompts}
        self._answered &= asked.keys()
        self._states = {one: state for one, state in self._states.items() if one in asked}
        return [self._card(one, prompt) for one, prompt in asked.items() if one not in self._answered]

    def answer(self, key: str, text: str, second: str = "", second_text: str = "", *, take_over: bool = False) -> None:
        """Give an answer as typed; the second person's, where two are asked, has to agree."""
        prompt = self._prompt(key)
        link, status = self.live.link, self.live.status
        if prompt is None or link is None or status is None:
            return
        asked = key, status.asked
        if self._states.get(asked, ("", False, False))[1]:
            return
        try:
            said = read_answer(prompt, text.strip())
            self._agree(prompt, said, second.strip(), second_text.strip())
        except ValueError as error:
            self._say(asked, without_unit(text, prompt.unit) or str(error))
            return
        self._say(asked, "", sent=True)
        action = Answer(key, text.strip(), second.strip() if prompt.second_person else "")

        def taken(reply: Reply) -> None:
            if link is self.live.link:
                self._taken(asked, prompt, second, reply)

        def failed(sentence: str) -> None:
            if link is self.live.link:
                self._say(asked, sentence, can_take_over="take it over" in sentence)
            else:
                self.context.notify(f"Run {link.entry.number:04d}, answer to {key}: {sentence}", Tone.WARN)

        link.do(self.context.person, action, taken, failed, take_over=take_over)

    def _agree(self, prompt: Prompt, said: float | str, second: str, second_text: str) -> None:
        """Raise ValueError unless a second person has given the same answer, or will elsewhere."""
        if not prompt.second_person or not second:
            return
        if same_person(self.context.person, second):
            raise ValueError(f"{second} is the first person; another one has to answer too")
        if read_answer(prompt, second_text) != said:
            raise ValueError(f"{self.context.person} answered {said}, {second} {second_text}; both answer again")

    def _taken(self, asked: Asked, prompt: Prompt, second: str, reply: Reply) -> None:
        if prompt.second_person and not second.strip():
            self._say(asked, f"{self.context.person} has answered; another person has to answer too")
            return
        self._answered.add(asked)
        self._say(asked, reply.sentence, sent=True)

    def _say(self, asked: Asked, refusal: str, *, sent: bool = False, can_take_over: bool = False) -> None:
        self._states[asked] = (refusal, sent, can_take_over)
        self.changed()

    def _prompt(self, key: str) -> Prompt | None:
        prompts = () if self.live.status is None else self.live.status.prompts
        return next((prompt for prompt in prompts if prompt.key == key), None)

    # -- the card

    def _card(self, asked: Asked, prompt: Prompt) -> Card:
        numbers = self.context.numbers
        made = Card(
            prompt.key,
            prompt.text,
            _hint(prompt),
            prompt.unit,
            (DONE,) if prompt.kind == "confirm" else prompt.choices,
            tuple(_detail(name, value, numbers) for name, value in prompt.details),
            None if self.live.plan is None else drawing(self.live.plan.procedure, prompt.picture),
            prompt.picture,
            prompt.second_person,
            asked[1],
        )
        refusal, sent, over = self._states.get(asked, ("", False, False))
        return replace(made, refusal=refusal, is_sent=sent, can_take_over=over, shows=self._shows(prompt.key))

    def _shows(self, key: str) -> str:
        """What a simulated bench has told a person to answer with, where one answers."""
        latest = reversed(self.live.kept["shown"])
        return next((str(record.fields["text"]) for record in latest if record.fields["key"] == key), "")


def without_unit(text: str, unit: str) -> str:
    """What is said of a number alone, where it is asked for in a unit; empty for anything else.

    The parser names any unit of the dimension, by which somebody in a hurry would answer a tenth, or tenfold.
    """
    number, shown = text.strip(), unit_text(unit)
    return f"“{number}” has no unit; write {number} {shown} if it is that" if shown and is_bare(text) else ""


def drawing(procedure: str, name: str) -> Path | None:
    """File of a drawing that belongs to a procedure: beside its module, or in ``pictures`` there."""
    if not name:
        return None
    try:
        folder = Path(str(import_module(load_procedure(procedure).__module__).__file__)).parent
    except ValueError:
        return None
    places = (folder / name, folder / "pictures" / name)
    return next((place for place in places if place.is_file() and folder in place.resolve().parents), None)


def _hint(prompt: Prompt) -> str:
    """What can be an answer, as it is typed: with a point, also where the screen writes a comma."""
    if prompt.kind == "confirm":
        return ""
    if prompt.kind == "text":
        return "" if prompt.choices else "words"
    unit, numbers = unit_text(prompt.unit), PlainNumbers()
    low, high = (
        None if side is None else numbers.number(side, all_digits(side, OF_A_MASS))
        for side in (prompt.low, prompt.high)
    )
    if low is not None and high is not None:
        return f"{low} to {with_unit(high, prompt.unit)}"
    if low is not None or high is not None:
        return f"{'at least' if high is None else 'at most'} {with_unit(low or high or '', prompt.unit)}"
    return f"a number with its unit, such as 1 {unit}"


def _detail(name: str, value: float | str, numbers: Numbers) -> tuple[str, str]:
    """A detail's name in words and its value with the unit that the name ends in."""
    for end, unit in UNITS_OF_DETAILS.items():
        if name.endswith(end) and not isinstance(value, str):
            written = numbers.number(value, all_digits(value, OF_A_MASS if unit == "mg" else 6))
            return name.removesuffix(end).replace("_", " "), with_unit(written, unit)
    return name.replace("_", " "), value if isinstance(value, str) else f"{value:g}"
