"""A pump that only a clinician's programmer can talk to: a person is the link (docs/reference/operator-link.md).

No maker publishes the telemetry of an implantable pump.  Every command becomes a prompt: one person programs, then two
persons read the screen back, independently and field by field (or photograph it), and the answers are compared with
what was asked.  A command is issued when the person is asked and confirmed when the person answers.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from data.alarms import alarms_typed
from data.quantities import echo, format_quantity, plain_number
from data.quantity_fields import Percent
from data.schedule import Bolus, Continuous, Flex, PatientBolus, PeriodicBolus, Schedule, Stopped
from data.units import DimensionName
from instruments.capabilities import Answer, Confirmation, Operator, Prompt, PumpStatus
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    Instrument,
    InstrumentDisconnected,
    InstrumentRefusal,
    InstrumentReplyError,
    Settings,
)

Values = dict[str, float | str]
"""A program, each value by its name; a number is in our unit, which the name ends in."""

NOTHING_ELSE, SOMETHING_ELSE = "nothing else", "something else"

_CHOICES: dict[str, tuple[str, ...]] = {
    "mode": ("stopped", "continuous", "flex"),
    "kind": ("single", "priming", "bridge", "patient"),
    "day": ("calendar", "rolling"),
    "drug": (),
}
_NUMBERS: dict[str, tuple[DimensionName | None, str]] = {
    # end of the name -> dimension and unit
    "_ul_per_h": ("flow", "uL/h"),
    "_ug_per_ml": ("concentration", "ug/mL"),
    "_per_day": (None, "1"),
    "_ul": ("volume", "uL"),
    "_s": ("time", "s"),
}


class OperatorLinkSettings(Settings):
    """Settings of the link; ``serial`` is the serial number of the pump, as its programmer shows it."""

    maker: str = Field("", description="maker of the pump")
    model: str = Field("", description="model of the pump")
    read_back: Literal["fields", "photo"] = Field(
        "fields", description="whether two persons type in what the programmer shows, or compare a photograph of it"
    )
    agreement_percent: Percent = Field(
        0.1, alias="agreement", ge=0.0, description="how far a number on the screen may be rounded"
    )


class OperatorLink(Instrument):
    """A pump behind its programmer and a person.

    It meets `PumpLink` and `ReservoirCount` of `instruments.capabilities`.

    ``operator`` is given by whoever runs the bench, before the instrument is opened.
    """

    settings_type: ClassVar[type[Settings]] = OperatorLinkSettings
    settings: OperatorLinkSettings
    operator: Operator | None = None

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self._serial = ""
        self._programmed: Values = {}
        self._asked: Counter[str] = Counter()

    # -- what it is

    def open(self) -> None:
        """Have somebody to ask."""
        if self.operator is None:
            raise InstrumentDisconnected(self.name, "works through a person, and there is nobody to ask")

    def identify(self) -> Identity:
        """Ask once for the serial number on the programmer's screen; raises InstrumentReplyError for another pump."""
        if not self._serial:
            text = "Read the pump with its programmer and give the serial number of the pump that it shows."
            answer = self._ask(Prompt(f"{self.name}-serial", "read-programmer", text, "text", details=_field("serial")))
            self._serial = str(answer.value)
        wanted = self.settings.serial
        if wanted is not None and wanted != self._serial:
            serial, self._serial = self._serial, ""
            raise InstrumentReplyError(
                self.name, f'the programmer shows the pump "{serial}" where "{wanted}" is expected; take the right pump'
            )
        return Identity(self.settings.maker, self.settings.model, self._serial)

    def make_safe(self) -> str:
        """Leave the pump alone, and ask nobody: whoever makes a bench safe waits for no answer."""
        return "the pump under test was left as it was, with its path open; nobody was asked to stop it"

    def close(self) -> None:
        """Nothing is open."""

    # -- what it is told

    def program(self, schedule: Schedule) -> Confirmation:
        """Have a schedule programmed and read back; raises InstrumentReplyError naming what differs."""
        wanted = _values(schedule)
        what = self._next("program")
        lines = "; ".join(f"{_named(name)} {_shown(name, value)}" for name, value in wanted.items())
        text = f"Program the pump with its programmer: {schedule}.  That is: {lines}.  Do not start delivery."
        command = " ".join(["SET", *(f"{name}={_plain(value)}" for name, value in wanted.items())])
        done = self._do(Prompt(what, "program-pump", text, details=tuple(wanted.items())), command)
        if self.settings.read_back == "photo":
            reply = self._photographed(what, "the whole program", lines)
        else:
            reply = self._compared(what, wanted)
        self._programmed = wanted
        return Confirmation(done.command, f"{done.reply}; {reply}", done.issued_s, done.confirmed_s)

    def start(self) -> Confirmation:
        """Have the programmed delivery started."""
        text = "Start the programmed delivery with the programmer, and confirm at once when it has started."
        return self._do(Prompt(self._next("start"), "start-pump", text), "RUN")

    def stop(self) -> Confirmation:
        """Have the delivery stopped."""
        text = "Stop the delivery with the programmer, and confirm at once when it has stopped."
        return self._do(Prompt(self._next("stop"), "stop-pump", text), "STOP")

    def bolus(self, volume_ul: float, duration_s: float, kind: str = "single") -> Confirmation:
        """Have a bolus requested; a refusal by the pump is a reply."""
        values: Values = {"kind": kind, "volume_ul": volume_ul, "duration_s": duration_s}
        words = f"{_shown('volume_ul', volume_ul)} over {_shown('duration_s', duration_s)}"
        text = f"Request a {kind} bolus of {words} with the programmer.  Does the pump grant it?"
        command = " ".join(["BOLUS", *(f"{name}={_plain(value)}" for name, value in values.items())])
        prompt = Prompt(
            self._next("bolus"),
            "request-bolus",
            text,
            "text",
            choices=("granted", "refused"),
            details=tuple(values.items()),
        )
        return self._do(prompt, command)

    def set_reservoir(self, volume_ul: float) -> Confirmation:
        """Have the pump told what its reservoir holds, and read back; raises InstrumentReplyError where it differs."""
        what = self._next("reservoir")
        asked = _shown("volume_ul", volume_ul)
        text = f"Tell the pump with its programmer that its reservoir now holds {asked}.  Leave its delivery as it is."
        command = f"FILL volume_ul={_plain(volume_ul)}"
        done = self._do(Prompt(what, "set-reservoir", text, details=(("volume_ul", volume_ul),)), command)
        if self.settings.read_back == "photo":
            reply = self._photographed(what, "the reservoir volume", f"reservoir volume {asked}")
        else:
            reply = self._counted(what, volume_ul, done.issued_s)
        return Confirmation(done.command, f"{done.reply}; {reply}", done.issued_s, done.confirmed_s)

    # -- what it says

    def status(self) -> PumpStatus:
        """What the programmer shows; it counts no volume and its clock is not asked for: these are NaN."""
        what = self._next("status")
        running = self._read(what, "running", "Does the programmer show the pump as running?", ("running", "stopped"))
        reservoir = self._read(what, "reservoir_ul", "Which reservoir volume does the programmer show?")
        alarms = self._read(
            what, "alarms", 'Which alarms does the programmer show?  Separate them by commas; write "none" for none.'
        )
        return PumpStatus(
            running=running == "running",
            mode=str(self._programmed.get("mode", "")),
            delivered_ul=math.nan,
            reservoir_ul=float(reservoir),
            alarms=alarms_typed(str(alarms)),
            clock_s=math.nan,
        )

    def read_back(self) -> Schedule:
        """Have read off again what was programmed last; raises InstrumentRefusal when nothing was."""
        if not self._programmed:
            raise InstrumentRefusal(self.name, "has nothing to read back; program the pump first")
        return _schedule(self._held(self._next("read"), self._programmed))

    def log(self) -> tuple[str, ...]:
        """Nothing: nobody types in the log of a programmer."""
        return ()

    # -- the read-back

    def _compared(self, what: str, wanted: Values) -> str:
        """Read a program back field by field and compare; returns what was read."""
        held = self._held(what, wanted)
        different = [
            f"{_named(name)} is {_shown(name, held[name])} where {_shown(name, value)} was asked"
            for name, value in wanted.items()
            if not self._agree(value, held[name])
        ]
        question = "Does the programmer show anything else that the pump would deliver, such as boluses?"
        details = (*_field("others"), ("asked", " ".join(wanted)))
        others = self._read(what, "others", question, (NOTHING_ELSE, SOMETHING_ELSE), twice=True, details=details)
        if others != NOTHING_ELSE:
            different.append("the programmer shows more than was asked")
        if different:
            raise InstrumentReplyError(self.name, f"the program read back differs: {'; '.join(different)}")
        return "read back " + " ".join(f"{name}={_plain(value)}" for name, value in held.items())

    def _held(self, what: str, wanted: Values) -> Values:
        """What the programmer shows in the fields of a program."""
        held: Values = {}
        for name in wanted:
            held[name] = self._read(what, name, f"Which {_named(name)} does the programmer show?", twice=True)
        return held

    def _counted(self, what: str, volume_ul: float, issued_s: float) -> str:
        """Read the reservoir volume back and compare; returns what was read."""
        question = "Which reservoir volume does the programmer show?"
        held_ul = float(self._read(what, "reservoir_ul", question, twice=True))
        # A pump that runs counts down from the moment at which it was told; boluses are not looked at.
        rates = [float(value) for name, value in self._programmed.items() if name.endswith("rate_ul_per_h")]
        gone_ul = max(rates, default=0.0) * (self.clock.now() - issued_s) / 3600.0
        nearest_ul = min(max(held_ul, volume_ul - gone_ul), volume_ul)
        if not self._agree(nearest_ul, held_ul):
            shown, asked = (_shown("volume_ul", volume) for volume in (held_ul, volume_ul))
            text = f"the reservoir volume read back is {shown} where {asked} was asked"
            advice = "if its screen only rounds it, state a larger agreement in the station file"
            raise InstrumentReplyError(self.name, f"{text}; {advice}")
        return f"read back reservoir_ul={_plain(held_ul)}"

    def _photographed(self, what: str, screen: str, lines: str) -> str:
        """Have the screen photographed and compared; returns the file and its SHA-256."""
        text = f"Photograph the programmer's screen with {screen}, and give the path of the picture."
        answer = self._ask(Prompt(f"{what}-photo", "photograph-programmer", text, "text"))
        path = Path(str(answer.value))
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise InstrumentReplyError(self.name, f"the photograph {path} cannot be read: {error.strerror}") from None
        text = f"Compare the photograph {path.name} with what was asked: {lines}.  Confirm only if all of it agrees."
        self._ask(Prompt(f"{what}-compared", "compare-photograph", text, second_person=True))
        return f"photograph {path.name} sha256={digest}"

    def _agree(self, wanted: float | str, held: float | str) -> bool:
        if isinstance(wanted, str) or isinstance(held, str):
            return " ".join(str(wanted).split()).casefold() == " ".join(str(held).split()).casefold()
        return abs(wanted - held) <= self.settings.agreement_percent / 100.0 * max(abs(wanted), abs(held))

    # -- prompts

    def _next(self, command: str) -> str:
        """Name of a command, such as "pump-program-1": prompts are named once in a run."""
        self._asked[command] += 1
        return f"{self.name}-{command}-{self._asked[command]}"

    def _do(self, prompt: Prompt, command: str) -> Confirmation:
        issued_s = self.clock.now()
        answer = self._ask(prompt)
        return Confirmation(command, f"{answer.value} by {answer.person}", issued_s, answer.answered_s)

    def _read(
        self,
        what: str,
        name: str,
        text: str,
        choices: tuple[str, ...] = (),
        *,
        twice: bool = False,
        details: tuple[tuple[str, float | str], ...] | None = None,
    ) -> float | str:
        """Ask for one field of the screen; ``twice`` has two persons read it independently."""
        unit = _unit(name)
        prompt = Prompt(
            f"{what}-{name}",
            "read-programmer",
            text,
            "number" if unit else "text",
            unit,
            low=0.0 if unit else None,
            choices=choices or _CHOICES.get(name.rpartition("-")[2], ()),
            second_person=twice,
            details=details or _field(name),
        )
        return self._ask(prompt).value

    def _ask(self, prompt: Prompt) -> Answer:
        if self.operator is None:
            raise InstrumentDisconnected(self.name, "works through a person, and there is nobody to ask")
        return self.operator.ask(prompt)


# ------------------------------------------------------------------------------------------- programs as values


def _values(schedule: Schedule) -> Values:
    """The values of a schedule by their names."""
    basal = schedule.basal
    values: Values = {"mode": type(basal).__name__.lower()}
    if isinstance(basal, Continuous):
        values["rate_ul_per_h"] = basal.rate_ul_per_h
    elif isinstance(basal, Flex):
        for k, (at_s, rate) in enumerate(basal.steps, 1):
            values |= {f"step-{k}-at_s": at_s, f"step-{k}-rate_ul_per_h": rate}
    for k, bolus in enumerate(schedule.boluses, 1):
        values |= {f"bolus-{k}-kind": bolus.kind, f"bolus-{k}-at_s": bolus.at_s}
        values |= {f"bolus-{k}-volume_ul": bolus.volume_ul, f"bolus-{k}-duration_s": bolus.duration_s}
    if (each := schedule.periodic) is not None:
        values |= {"periodic-volume_ul": each.volume_ul, "periodic-duration_s": each.duration_s}
        values |= {"periodic-interval_s": each.interval_s, "periodic-first_s": each.first_s}
    if (rule := schedule.patient) is not None:
        values |= {"patient-volume_ul": rule.volume_ul, "patient-duration_s": rule.duration_s}
        values |= {"patient-lockout_s": rule.lockout_s, "patient-max_per_day": float(rule.max_per_day)}
        values["patient-day"] = rule.day
    if schedule.drug:
        values["drug"] = schedule.drug
    if schedule.concentration_ug_per_ml is not None:
        values["concentration_ug_per_ml"] = schedule.concentration_ug_per_ml
    return values


def _schedule(values: Mapping[str, Any]) -> Schedule:
    """The schedule of values by their names; raises ScheduleError where they make none."""

    def numbers(what: str, fields: str) -> list[float]:
        return [float(values[f"{what}-{field}"]) for field in fields.split()]

    def count(what: str) -> range:
        return range(1, 1 + sum(name.startswith(f"{what}-") and name.endswith("-at_s") for name in values))

    basal: Continuous | Flex | Stopped = Stopped()
    if values["mode"] == "continuous":
        basal = Continuous(float(values["rate_ul_per_h"]))
    elif values["mode"] == "flex":
        steps = (numbers(f"step-{k}", "at_s rate_ul_per_h") for k in count("step"))
        basal = Flex(tuple((at_s, rate) for at_s, rate in steps))
    boluses = []
    for k in count("bolus"):
        at_s, volume_ul, duration_s = numbers(f"bolus-{k}", "at_s volume_ul duration_s")
        boluses.append(Bolus(at_s, volume_ul, duration_s, values[f"bolus-{k}-kind"]))
    periodic = patient = None
    if "periodic-volume_ul" in values:
        periodic = PeriodicBolus(*numbers("periodic", "volume_ul duration_s interval_s first_s"))
    if "patient-volume_ul" in values:
        volume_ul, duration_s, lockout_s = numbers("patient", "volume_ul duration_s lockout_s")
        most = int(values["patient-max_per_day"])
        patient = PatientBolus(volume_ul, duration_s, lockout_s, most, values["patient-day"])
    concentration = values.get("concentration_ug_per_ml")
    return Schedule(basal, tuple(boluses), periodic, patient, str(values.get("drug", "")), concentration)


def _field(name: str) -> tuple[tuple[str, float | str], ...]:
    return (("field", name),)


def _measure(name: str) -> tuple[DimensionName | None, str]:
    """Dimension and unit of a value by the end of its name; no unit where it is a word."""
    return next((found for end, found in _NUMBERS.items() if name.endswith(end)), (None, ""))


def _unit(name: str) -> str:
    return _measure(name)[1]


def _named(name: str) -> str:
    """A value's name as a person reads it: "step-2-rate_ul_per_h" is "step 2 rate"."""
    end = next((end for end in _NUMBERS if name.endswith(end)), "")
    return name.removesuffix("" if end == "_per_day" else end).replace("-", " ").replace("_", " ")


def _shown(name: str, value: float | str) -> str:
    """A value as a person writes it, in our unit too: "1 mL/day = 41.6667 uL/h"."""
    dimension, _ = _measure(name)
    if isinstance(value, str):
        return value
    return plain_number(value) if dimension is None else echo(format_quantity(value, dimension), dimension)


def _plain(value: float | str) -> str:
    """A value as one word of a record."""
    return value.replace(" ", "_") if isinstance(value, str) else format(value, ".12g")


DRIVER = OperatorLink
