"""The form of a run: what is chosen and typed, how it is understood, and the request that it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from bench.request import Override, Request
from gui.presenters.context import Wish
from gui.presenters.setup_choices import KINDS, Choices, RecipeChoice, StationChoice
from gui.presenters.setup_faults import fault_text
from gui.presenters.setup_fields import FormField, field_of, fixed_field, one_line
from gui.presenters.setup_memory import Memory
from protocols.procedure import Procedure

Part = Literal["choices", "states", "form", "field", "article", "simulation", "findings", "start", "queue"]

PACES: tuple[float | None, ...] = (1.0, 60.0, 600.0, None)
"""Simulated seconds a second; None as fast as possible."""

USUAL_PACE = 600.0

USUAL = ("sim", "flow-accuracy")
"""Station and protocol that stand there at first."""


class SetUpForm:
    """What is chosen and typed.

    Parameters
    ----------
    told : called with the part of the form that has changed, and the name of the field.
    edited : called when the request may have changed.

    Attributes
    ----------
    is_there : whether there is a file of this path; None while nobody knows.
    choices : None until they have been found.
    station, protocol : what is chosen.
    recipe : what fixes some of the protocol's parameters; None without one.
    fields : the parameters, by name.
    articles : what was typed or scanned for device, catheter and fluid.
    pace : simulated seconds a second; None as fast as possible.
    person_answers : whether the person at the window answers on a simulated station too.
    """

    def __init__(
        self, memory: Memory, person: str, out: Path, told: Callable[[Part, str], None], edited: Callable[[], None]
    ) -> None:
        self.is_there: Callable[[str], bool | None] = lambda path: None
        self.choices: Choices | None = None
        self.station: StationChoice | None = None
        self.protocol: type[Procedure] | None = None
        self.recipe: RecipeChoice | None = None
        self.fields: dict[str, FormField] = {}
        self.articles: dict[str, str] = dict.fromkeys(KINDS, "")
        self.serial = ""
        self.person = person
        self.out = str(out)
        self.pace: float | None = memory.pace if memory.protocol else USUAL_PACE
        self.person_answers = memory.person_answers
        self.seed = memory.seed
        self.faults: list[str] = []
        self._memory = memory
        self._told, self._edited = told, edited

    # -- choosing

    def take_choices(self, choices: Choices, wanted: tuple[str, str]) -> None:
        """What can be chosen was found; what was chosen stays, if it is still there."""
        gone = self.station is not None and not any(one.name == self.station.name for one in choices.stations)
        if gone and self.station is not None and not wanted[0]:  # no other one is taken without a word
            there = StationChoice(self.station.name, None, "its file is gone; choose another station")
            choices = replace(choices, stations=(*choices.stations, there))
        self.choices = choices
        before = "" if self.recipe is None or wanted[1] else self.recipe.name
        recipe = next((one for one in choices.recipes if one.name == before), None)
        protocol = "" if self.protocol is None else self.protocol.name
        protocols = (wanted[1], protocol, self._memory.protocol, USUAL[1])
        if recipe is None:
            self.choose_protocol(next(name for name in protocols if name in choices.protocols))
        station = "" if self.station is None else self.station.name
        names = (wanted[0], station, self._memory.station, USUAL[0], choices.stations[0].name)
        self.choose_station(next(name for name in names if self.called(name) is not None))
        if recipe is not None and recipe != self.recipe:
            self.choose_recipe(recipe.name)
        self._told("choices", "")

    def called(self, name: str) -> StationChoice | None:
        """The station of a name."""
        stations = self.choices.stations if self.choices is not None else ()
        return next((one for one in stations if one.is_called(name)), None)

    def choose_station(self, name: str) -> None:
        """Take a station; its own defaults are filled in."""
        found, before = self.called(name), self.station
        if found is None:
            return
        usual = {kind: self._usual_article(kind) for kind in KINDS}
        self.station = found
        is_same = before is not None and found.name == before.name  # then its file was changed: what was typed stays
        if before is not None and is_same and found.station == before.station:
            return
        kept = self._memory.articles.get(found.name, {})
        for kind in KINDS:
            if not is_same or self.articles[kind] == usual[kind]:
                self.articles[kind] = kept.get(kind) or self._usual_article(kind)
        if self.has_own_time:
            self.faults = []
        typed = {one.name: one.text for one in self.fields.values() if is_same and one.is_changed}
        self._new_fields()
        if typed:
            kept_open = [name for name, field in self.fields.items() if name in typed and not field.is_fixed]
            self.fill({name: typed[name] for name in kept_open})

    def choose_protocol(self, name: str) -> None:
        """Take a protocol; its parameters are filled in with what they were the last time, or with what is usual."""
        chosen = self.protocol is not None and self.protocol.name == name and self.recipe is None
        if self.choices is None or chosen:
            return
        self.protocol, self.recipe = self.choices.protocols[name], None
        self._new_fields()

    def choose_recipe(self, name: str) -> None:
        """Take a recipe, and the protocol that it is for; what it fixes is filled in and stays."""
        found = next((one for one in self.choices.recipes if one.name == name), None) if self.choices else None
        if self.choices is None or found is None:
            return
        self.recipe = found
        if found.loaded is not None:
            self.protocol = self.choices.protocols[found.loaded.recipe.protocol]
        self._new_fields()

    def choose(self, name: str) -> None:
        """Take a protocol or a recipe, as they stand in one list."""
        if self.choices is not None and name in self.choices.protocols:
            self.choose_protocol(name)
        else:
            self.choose_recipe(name)

    def put_back(self) -> None:
        """Put every parameter and article back to what is usual."""
        if self.protocol is not None and self.station is not None:
            self._memory.settings.pop(self.protocol.name, None)
            self._memory.articles.pop(self.station.name, None)
            self.articles = {kind: self._usual_article(kind) for kind in KINDS}
            self._new_fields()

    def fill(self, texts: dict[str, str]) -> None:
        """Put texts into fields, as if a person had typed and left them."""
        for name, text in texts.items():
            self.fields[name].put(text)
            self.fields[name].settled = True
        self._told("form", "")
        self._edited()

    def fill_in(self, wish: Wish) -> None:
        """Put in what another page knows of the run: only that, each other parameter as it is usual."""
        named = {kind: name for kind in KINDS if (name := getattr(wish, kind))}
        if self.protocol is None or not (wish.settings or named or wish.serial):
            return
        self.serial = wish.serial
        self.articles |= named
        names = {self.protocol.params[self.protocol.param_name(name)].short_name: name for name in wish.settings}
        for field in self.fields.values():
            if not field.is_fixed:
                field.put(wish.settings[names[field.name]] if field.name in names else field.usual)
                field.settled = True
        self._told("form", "")
        self._edited()

    def remember(self) -> None:
        """Take what is chosen into the memory."""
        assert self.station is not None
        assert self.protocol is not None
        kept, name = self._memory, self.station.name
        kept.station, kept.protocol, kept.pace, kept.seed = name, self.protocol.name, self.pace, self.seed
        kept.person_answers = self.person_answers
        kept.settings[kept.protocol] = {one.name: one.text for one in self.fields.values() if one.is_changed}
        kept.articles[name] = {kind: text for kind, text in self.articles.items() if text != self._usual_article(kind)}

    def _usual_article(self, kind: str) -> str:
        station = None if self.station is None else self.station.station
        return str(getattr(station, kind, None) or "")

    def _new_fields(self) -> None:
        if self.protocol is None or self.station is None:
            return
        kept = self._memory.settings.get(self.protocol.name, {})
        fixed = {} if self.recipe is None else self.recipe.fixed
        self.fields = {}
        for item in self.protocol.params.values():
            if item.name in fixed:
                self.fields[item.short_name] = fixed_field(item, fixed[item.name])
                continue
            field = field_of(item, self._stations_default(item.name, item.short_name))
            if item.short_name in kept:
                field.put(kept[item.short_name])
                field.settled = True
            self.fields[field.name] = field
        self._told("form", "")
        self._edited()

    def _stations_default(self, name: str, short_name: str) -> object:
        if self.station is None or self.station.station is None or self.protocol is None:
            return None
        given = self.station.station.procedures.get(self.protocol.name, {})
        return next((value for key, value in given.items() if key.replace("-", "_") in (name, short_name)), None)

    def can_do(self, protocol: str) -> bool:
        """Whether the station has everything that a protocol needs with whatever parameters."""
        station = None if self.station is None else self.station.station
        if station is None or self.choices is None:
            return False
        return all(role.optional or role.role in station.roles for role in self.choices.protocols[protocol].roles)

    # -- typing

    def type(self, name: str, text: str) -> None:
        """A parameter is being typed."""
        field = self.fields[name]
        if text != field.text and not field.is_fixed:
            field.put(text)
            self._told("field", name)
            self._edited()

    def leave(self, name: str) -> None:
        """The person has left a field: an error is shown at once."""
        if name in self.fields and not self.fields[name].settled:
            self.fields[name].settled = True
            self._told("field", name)

    def settle(self) -> None:
        """The person has paused: errors are shown."""
        for name in self.fields:
            self.leave(name)

    def type_article(self, kind: str, text: str) -> None:
        """Name, path, model or lot of a device, catheter or fluid, typed or scanned."""
        if text != self.articles[kind]:
            self.articles[kind] = text
            self._told("article", kind)
            self._edited()

    def type_serial(self, text: str) -> None:
        """Serial number of the device under test."""
        self.serial = text.strip()
        self._edited()

    def type_person(self, text: str) -> None:
        """Who runs this."""
        self.person = text.strip()
        self._edited()

    def type_out(self, text: str) -> None:
        """Folder of the run file."""
        self.out = text.strip()
        self._edited()

    def type_seed(self, text: str) -> None:
        """Seed of the simulation."""
        self.seed = text.strip()
        self._edited()

    def choose_pace(self, pace: float | None) -> None:
        """How fast simulated time goes; None as fast as possible."""
        self.pace = pace
        self._told("simulation", "")
        self._edited()

    def choose_answers(self, person_answers: bool) -> None:
        """Who answers what a simulated run asks."""
        self.person_answers = person_answers
        self._edited()

    def add_fault(self, name: str, severity: str, at: str, lasts: str, instrument: str) -> str:
        """Give the simulated station a fault; returns why not, empty where it has it now."""
        try:
            text = fault_text(name, severity, at, lasts, instrument)
        except ValueError as error:
            return str(error)
        self.faults.append(text)
        self._told("simulation", "")
        self._edited()
        return ""

    def remove_fault(self, number: int) -> None:
        """Take a fault back."""
        del self.faults[number]
        self._told("simulation", "")
        self._edited()

    # -- what it comes to

    def article_says(self, kind: str) -> tuple[str, str]:
        """What was understood by what was typed, and why it was not; one of the two is empty."""
        typed, what = self.articles[kind].strip(), KINDS[kind]
        if not typed:
            return "", f"{what}: choose it, name its file, or scan its label"
        found = self.choices.article(kind, typed) if self.choices is not None else None
        if found is not None:
            return found.says, ""
        if not typed.endswith(".toml"):
            return "", f"“{typed}” is no {what.lower()} that is known here; choose one, or name its file (.toml)"
        if self.is_there(typed) is False:
            return "", f"there is no file {typed}; check the path"
        return "a file of yours", ""

    @property
    def has_own_time(self) -> bool:
        """Whether the station's instruments are real, or simulated elsewhere: then there is no pace."""
        return self.station is None or self.station.station is None or not self.station.station.simulated

    @property
    def needs_serial(self) -> bool:
        """Whether the device under test must be told by its serial number."""
        return self.station is not None and self.station.station is not None and self.station.station.real

    def is_asked_for(self, kind: str) -> bool:
        """Whether the form asks for device, catheter or fluid at once, or the station's own is taken unless changed."""
        of_a_pump = self.protocol is not None and self.protocol.relies_on_rig_check
        usual = self._usual_article(kind)
        is_plain = bool(usual) and self.articles[kind] == usual and not self.article_says(kind)[1]
        return not is_plain or (kind == "dut" and of_a_pump)

    @property
    def wrong(self) -> str:
        """What the form itself lacks, in one sentence; empty where nothing."""
        if self.station is None or self.protocol is None:
            return "Looking for stations and protocols…"
        if self.station.station is None:
            return f"The station file cannot be read: {self.station.wrong}"
        if self.recipe is not None and self.recipe.wrong:
            return self.recipe.wrong
        wrong = [field.caption for field in self.fields.values() if field.error]
        if wrong:
            return f"Correct {', '.join(wrong[:3])}{' and others' if len(wrong) > 3 else ''}."
        for kind in KINDS:
            if said := self.article_says(kind)[1]:
                return f"{said[:1].upper()}{said[1:]}."
        lacks = (
            (self.needs_serial and not self.serial, "Give the serial number of the device under test."),
            (not self.person, "Say who runs this."),
            (not self.out, "Name the folder of the run file."),
            (not self.has_own_time and not self._is_seed, "The seed is a whole number from 0."),
        )
        return next((sentence for is_so, sentence in lacks if is_so), "")

    @property
    def _is_seed(self) -> bool:
        return self.seed.isascii() and self.seed.isdecimal() and len(self.seed) < 10

    def request(self, overrides: Sequence[Override] = ()) -> Request | None:
        """What is asked for now; None while something is missing without which nothing can be said."""
        if self.station is None or self.protocol is None or self.wrong:
            return None
        changed = {
            field.name: one_line(field.text) if field.kind == "schedule" else field.text.strip()
            for field in self.fields.values()
            if field.is_changed
        }
        simulated = not self.has_own_time
        return Request(
            self.protocol.name,
            self.station.name,
            settings=changed,
            dut=self._named("dut"),
            serial=self.serial,
            catheter=self._named("catheter"),
            fluid=self._named("fluid"),
            faults=tuple(self.faults) if simulated else (),
            seed=int(self.seed) if simulated else 1,
            out=Path(self.out).expanduser().absolute(),
            pace=self.pace if simulated else None,
            person=self.person,
            person_answers=simulated and self.person_answers and self.pace is not None,
            recipe=None if self.recipe is None else self.recipe.name,
            overrides=overrides,
        )

    def _named(self, kind: str) -> str:
        typed = self.articles[kind].strip()
        found = self.choices.article(kind, typed) if self.choices is not None else None
        return found.name if found is not None else typed
