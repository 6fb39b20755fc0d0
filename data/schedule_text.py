"""Schedules as people write them: clauses separated by semicolons, or the same clauses as keys of a TOML table.

The first clause is the basal delivery, the others follow in any order (docs/reference/schedule.md):

    300 ug/day at 2000 ug/mL; bolus 50 uL over 10 min every 4 h; drug baclofen
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data.quantities import QuantityError, format_quantity, parse
from data.schedule_modes import (
    HOUR_S,
    Basal,
    Bolus,
    BolusKind,
    Continuous,
    Flex,
    PatientBolus,
    PatientDay,
    PeriodicBolus,
    PlannedKind,
    ScheduleError,
    Stopped,
    rate_of_dose,
)

Fields = dict[str, Any]

_KINDS: dict[str, PlannedKind] = {"bolus": "single", "priming": "priming", "bridge": "bridge", "granted": "patient"}
_WORDS = {kind: word for word, kind in _KINDS.items()}
_JOINTS = ("over", "after", "every", "lockout", "max", "per", "at", "from")
_DAYS: dict[str, PatientDay] = {"day": "calendar", "24 h": "rolling"}
_TABLE_KEYS = ("basal", "concentration", "drug", "boluses", "periodic", "patient", "starting", "clock")


def read_schedule(text: str) -> Fields:
    """Fields of a `Schedule` from its text; raises `ScheduleError`."""
    clauses = [clause.strip() for clause in text.split(";")]
    if not clauses[0]:
        raise ScheduleError('a schedule begins with its basal delivery; write for example "1 mL/day" or "stopped"')
    if "" in clauses:
        raise ScheduleError(f'"{text.strip()}": nothing stands between two semicolons or after the last; remove one')
    basal, concentration = _split_concentration(clauses[0])
    fields: Fields = {"concentration_ug_per_ml": concentration, "boluses": []}
    try:
        fields["basal"] = _read_basal(basal, concentration)
        for clause in clauses[1:]:
            _read_clause(clause, concentration, fields)
    except QuantityError as error:
        raise ScheduleError(f'schedule "{text.strip()}": {error}') from None
    fields["boluses"] = tuple(fields["boluses"])
    return fields


def read_table(table: str | Mapping[str, Any]) -> Fields:
    """Fields of a `Schedule` from text, or from a table whose keys are its clauses; raises `ScheduleError`."""
    if isinstance(table, str):
        return read_schedule(table)
    unknown = [key for key in table if key not in _TABLE_KEYS]
    if unknown:
        raise ScheduleError(f'a schedule has no key "{unknown[0]}"; its keys are {", ".join(_TABLE_KEYS)}')
    if "basal" not in table:
        raise ScheduleError('a schedule needs a key "basal"; add a line such as basal = "1 mL/day"')
    basal = table["basal"]
    text = "flex " + ", ".join(map(str, basal)) if isinstance(basal, list) else str(basal)
    if "concentration" in table:
        text += f" at {table['concentration']}"
    for key, word in (("periodic", "bolus"), ("patient", "patient"), ("drug", "drug"), ("starting", "starting")):
        if key in table:
            text += f"; {word} {table[key]}"
    if "clock" in table:
        text += f"; clock {table['clock']}"
    return read_schedule("; ".join([text, *map(str, table.get("boluses", ()))]))


def write_schedule(
    basal: Basal,
    boluses: Sequence[Bolus],
    periodic: PeriodicBolus | None,
    patient: PatientBolus | None,
    drug: str,
    concentration_ug_per_ml: float | None,
    day_offset_s: float,
    clock_ppm: float,
) -> str:
    """The text from which `read_schedule` gives exactly the same schedule; doses stand as volumes."""
    first = _write_basal(basal)
    if concentration_ug_per_ml is not None:
        first += f" at {format_quantity(concentration_ug_per_ml, 'concentration')}"
    clauses = [first]
    for bolus in boluses:
        after = f" after {format_quantity(bolus.at_s, 'time')}" if bolus.at_s else ""
        clauses.append(f"{_WORDS[bolus.kind]} {_write_shot(bolus)}{after}")  # type: ignore[index]  # never "periodic"
    if periodic is not None:
        every, first_s = format_quantity(periodic.interval_s, "time"), periodic.first_s
        after = "" if first_s == periodic.interval_s else f" after {format_quantity(first_s, 'time')}"
        clauses.append(f"bolus {_write_shot(periodic)} every {every}{after}")
    if patient is not None:
        lockout, per = format_quantity(patient.lockout_s, "time"), "day" if patient.day == "calendar" else "24 h"
        clauses.append(f"patient {_write_shot(patient)} lockout {lockout} max {patient.max_per_day} per {per}")
    if drug:
        clauses.append(f"drug {drug}")
    if day_offset_s:
        clauses.append(f"starting {_write_time_of_day(day_offset_s)}")
    if clock_ppm:
        clauses.append(f"clock {format_quantity(clock_ppm, 'clock-error')}")
    return "; ".join(clauses)


# -- basal delivery ----------------------------------------------------------------------------------------------------


def _split_concentration(clause: str) -> tuple[str, float | None]:
    """The basal clause without its "at CONCENTRATION", and that concentration."""
    before, at, after = clause.partition(" at ")
    if not at:
        return clause, None
    try:
        concentration = parse(after, "concentration")
    except QuantityError as error:
        raise ScheduleError(f'schedule "{clause}": {error}') from None
    if concentration <= 0.0:
        raise ScheduleError(f'schedule "{clause}": a concentration must be above 0 ug/mL; correct it')
    return before.strip(), concentration


def _read_basal(clause: str, concentration: float | None) -> Basal:
    if clause == "stopped":
        return Stopped()
    if not clause.startswith("flex "):
        return Continuous(_read_rate(clause, concentration))
    steps = []
    for step in clause.removeprefix("flex ").split(","):
        time_of_day, _, rate = step.strip().partition(" ")
        steps.append((_read_time_of_day(time_of_day), _read_rate(rate, concentration)))
    return Flex(tuple(steps))


def _write_basal(basal: Basal) -> str:
    if isinstance(basal, Stopped):
        return "stopped"
    if isinstance(basal, Continuous):
        return format_quantity(basal.rate_ul_per_h, "flow")
    steps = (f"{_write_time_of_day(time_s)} {format_quantity(rate, 'flow')}" for time_s, rate in basal.steps)
    return "flex " + ", ".join(steps)


def _read_rate(text: str, concentration: float | None, remedy: str = "") -> float:
    """A volume rate, or a dose rate over the concentration; ``remedy`` says how to state one that is missing."""
    try:
        return parse(text, "flow")
    except QuantityError as error:
        try:
            dose_ug_per_day = parse(text, "dose-rate")
        except QuantityError:
            raise error from None
    if concentration is None:
        remedy = remedy or f'write for example "{text} at 2000 ug/mL"'
        raise ScheduleError(f'the dose "{text}" needs a concentration; {remedy}')
    return rate_of_dose(dose_ug_per_day, concentration)


# -- the other clauses -------------------------------------------------------------------------------------------------


def _read_clause(clause: str, concentration: float | None, fields: Fields) -> None:
    word, _, rest = clause.partition(" ")
    once: dict[str, tuple[str, Callable[[str], Any]]] = {
        "patient": ("patient", lambda text: _read_patient(text, concentration)),
        "drug": ("drug", str.strip),
        "starting": ("pump_day_offset_s", _read_time_of_day),
        "clock": ("pump_clock_ppm", lambda text: parse(text, "clock-error")),
    }
    if word in once:
        key, read = once[word]
    elif word == "bolus" and " every " in rest:
        key, read = "periodic", lambda text: _read_periodic(text, concentration)
    elif word in _KINDS:
        fields["boluses"].append(_read_bolus(_KINDS[word], rest, concentration))
        return
    else:
        known = ", ".join([*_KINDS, *once])
        raise ScheduleError(f'"{clause}" is no clause of a schedule; after the basal delivery come {known}')
    if key in fields:
        raise ScheduleError(f'"{clause}" stands for the second time; a schedule has one {word} clause of that form')
    if not rest.strip():
        raise ScheduleError(f'"{clause}" says nothing after its first word; complete or remove it')
    fields[key] = read(rest.strip())


def _read_bolus(kind: BolusKind, text: str, concentration: float | None) -> Bolus:
    if kind == "bridge":
        return _read_bridge(text)
    parts = _parts(text, "50 uL over 10 min after 2 h", needs=(), may=("over", "after", "at", "from"))
    if "over" not in parts or "at" in parts or "from" in parts:
        raise ScheduleError(f'"{text}" is no bolus; write it like "50 uL over 10 min after 2 h"')
    return Bolus(_begins_s(parts), _read_volume(parts[""], concentration), parse(parts["over"], "time"), kind)


def _read_bridge(text: str) -> Bolus:
    """A bridge carries the old drug, so an amount or dose of it is at the concentration that stands after "from"."""
    example = "200 uL at 300 ug/day from 500 ug/mL"
    parts = _parts(text, example, needs=(), may=("over", "after", "at", "from"))
    if ("over" in parts) == ("at" in parts):
        raise ScheduleError(f'"bridge {text}" is no bridge; write it like "{example}" or "200 uL over 8 h"')
    old = parse(parts["from"], "concentration") if "from" in parts else None
    if old is not None and old <= 0.0:
        raise ScheduleError(f'"bridge {text}": a concentration must be above 0 ug/mL; correct it')
    volume_ul = _read_volume(parts[""], old, _OLD)
    if "over" in parts:
        return Bolus(_begins_s(parts), volume_ul, parse(parts["over"], "time"), "bridge")
    rate = _read_rate(parts["at"], old, _OLD)
    if rate <= 0.0:
        raise ScheduleError(f'"bridge {text}": a bridge goes on at the old rate, which is above 0; correct it')
    return Bolus(_begins_s(parts), volume_ul, volume_ul / rate * HOUR_S, "bridge")


_OLD = 'a bridge holds the old drug: add its concentration, such as "from 500 ug/mL"'


def _begins_s(parts: Mapping[str, str]) -> float:
    """So long after the start of delivery."""
    return parse(parts["after"], "time") if "after" in parts else 0.0


def _read_periodic(text: str, concentration: float | None) -> PeriodicBolus:
    parts = _parts(text, "50 uL over 10 min every 4 h", needs=("over", "every"), may=("after",))
    interval_s = parse(parts["every"], "time")
    first_s = parse(parts["after"], "time") if "after" in parts else interval_s
    return PeriodicBolus(_read_volume(parts[""], concentration), parse(parts["over"], "time"), interval_s, first_s)


def _read_patient(text: str, concentration: float | None) -> PatientBolus:
    example = "10 uL over 5 min lockout 4 h max 6 per day"
    parts = _parts(text, example, needs=("over", "lockout", "max", "per"))
    if not re.fullmatch("[0-9]{1,4}", parts["max"]):
        raise ScheduleError(f'"{parts["max"]}" is no daily maximum; write a whole number, as in "patient {example}"')
    if parts["per"] not in _DAYS:
        raise ScheduleError(
            f'"per {parts["per"]}" is not known; write "per day" (from midnight of the pump\'s clock) or "per 24 h" '
            "(the 24 h before a request)"
        )
    volume_ul, duration_s = _read_volume(parts[""], concentration), parse(parts["over"], "time")
    return PatientBolus(volume_ul, duration_s, parse(parts["lockout"], "time"), int(parts["max"]), _DAYS[parts["per"]])


def _read_volume(text: str, concentration: float | None, remedy: str = "") -> float:
    """A volume, or an amount of drug over the concentration; ``remedy`` says how to state one that is missing."""
    try:
        return parse(text, "volume")
    except QuantityError as error:
        try:
            amount_ug = parse(text, "amount")
        except QuantityError:
            raise error from None
    if concentration is None:
        remedy = remedy or 'add "at 2000 ug/mL" to the basal delivery'
        raise ScheduleError(f'the dose "{text}" needs a concentration; {remedy}')
    return amount_ug / concentration * 1000.0


def _write_shot(bolus: Bolus | PeriodicBolus | PatientBolus) -> str:
    return f"{format_quantity(bolus.volume_ul, 'volume')} over {format_quantity(bolus.duration_s, 'time')}"


def _parts(text: str, example: str, needs: Sequence[str], may: Sequence[str] = ()) -> dict[str, str]:
    """The text cut at its joints: what stands before the first (under ""), then what follows each."""
    pieces = re.split(rf"(?:^|\s+)({'|'.join(_JOINTS)})(?:\s+|$)", f" {text.strip()}")
    parts = {"": pieces[0].strip()}
    for joint, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if joint in parts or joint not in (*needs, *may):
            raise ScheduleError(f'"{text}": "{joint}" does not belong there; write it like "{example}"')
        parts[joint] = piece.strip()
    lacking = [joint for joint in needs if joint not in parts]
    if lacking or not all(parts.values()):
        raise ScheduleError(f'"{text}" is not complete; write it like "{example}"')
    return parts


# -- times of day ------------------------------------------------------------------------------------------------------


def _read_time_of_day(text: str) -> float:
    found = re.fullmatch(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}(?:\.[0-9]{1,6})?))?", text)
    if found is None:
        raise ScheduleError(f'"{text}" is no time of day; write hours and minutes with two digits each, such as 08:00')
    hours, minutes, seconds = int(found[1]), int(found[2]), float(found[3] or 0.0)
    if hours > 23 or minutes > 59 or seconds >= 60.0:
        raise ScheduleError(f'"{text}" is no time of day; it runs from 00:00 to 23:59')
    return hours * HOUR_S + minutes * 60.0 + seconds


def _write_time_of_day(time_s: float) -> str:
    microseconds = round(time_s * 1e6)
    minutes, rest = divmod(microseconds, 60_000_000)
    seconds, fraction = divmod(rest, 1_000_000)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    if rest:
        text += f":{seconds:02d}"
    return text + (f".{fraction:06d}".rstrip("0") if fraction else "")
