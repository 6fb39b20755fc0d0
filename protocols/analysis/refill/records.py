"""Order, vial, program and read-back of a refill, each against the others.

A right label on wrong content agrees with all of them: nothing here, and nothing on the bench, sees it but an assay.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from data.checks import Check, Limits, Verdict
from data.run import Run
from data.schedule import Bolus, Continuous, PatientBolus, Schedule
from protocols.analysis.decision import SIMPLE, judge, reported
from protocols.analysis.refill.label import NO_DRUG, LabelError, is_drug, may_name, read_label, same_name

AGREE_PERCENT = 0.1
"""Words and numbers that are copied agree within their digits."""

AGREE_S = 1.0
"""So far a planned bolus may be off the moment that was meant: a programmer shows whole seconds."""

DAY_S = 86_400.0

WRITE_LABEL = 'type drug and concentration alone, such as "baclofen 2000 ug/mL"'
WRITE_ORDER = 'order drug and concentration, such as "300 ug/day at 2000 ug/mL; drug baclofen"'

NO_ASSAY = "a right label on wrong content shows in nothing but an assay"


def reconciled(run: Run) -> Iterator[Check]:
    """Every comparison for which the run holds both sides."""
    programmed = run.schedule
    wanted = Schedule.parse(run.params["order"]) if run.params["order"] else None
    yield _vial(run, *(one for one in (wanted, programmed) if one is not None))
    if wanted is None:
        note = "no order was stated; give --set order=..."
        yield reported("order", "Program against order", None, "%", note)
    else:
        yield _same("order", "Program against order", programmed, wanted)
    read = [event.fields["schedule"] for event in run.records("program") if event.fields.get("key") == "after"]
    if read:
        held = Schedule.from_json(read[-1])
        yield _same("read-back", "Program read back against program", held, programmed, copied=True)
    else:
        yield _unread("read-back", "Program read back against program", "it was not read back")
    yield _dose(programmed)


def _vial(run: Run, *stated: Schedule) -> Check:
    """The label against drug and concentration that order, program or the fluid's file state, in this order."""
    name, title = "vial", "Label of the vial against order"
    said = str(run.answers.get("vial") or "").strip()
    if not said:
        return _unread(name, title, "the vial was not scanned")
    drugs = [one for one in (*(each.drug for each in stated), _drug_of_fluid(run)) if one]
    drug = drugs[0] if drugs else ""
    for other in drugs[1:]:
        if not may_name(drug, other):
            return _exact(name, title, 100.0, f'order, program and fluid name two drugs, "{drug}" and "{other}"')
    known = [one.concentration_ug_per_ml for one in stated] + [run.fluid.get("concentration_ug_per_ml")]
    concentration = next((float(one) for one in known if one is not None), None)
    if not drug and concentration is None:
        return _without_drug(run, name, title, said)
    if said.casefold() in NO_DRUG or (not _drug_of_fluid(run) and _is_fluid(run, said)):
        return _exact(name, title, 100.0, f'"{said}" where {drug or "a drug"} was to be filled in')
    check = _with_drug(name, title, said, drug, concentration)
    other = next((one for one in drugs if not same_name(drug, one)), "")
    if other and check.verdict is not Verdict.FAIL:
        return _unread(name, title, f'it is not clear whether "{drug}" and "{other}" are one drug; write one name')
    return check


def _without_drug(run: Run, name: str, title: str, said: str) -> Check:
    """No drug was ordered: that none is there says the name of the fluid, or of a solvent alone."""
    if said.casefold() in NO_DRUG or _is_fluid(run, said):
        return _exact(name, title, 0.0, "")
    if is_drug(said):
        return _exact(name, title, 100.0, f'"{said}" where no drug was ordered')
    known = f'"{run.fluid["name"]}", as in the fluid\'s file, or ' if run.fluid.get("name") else ""
    return _unread(name, title, f'"{said}" may be without drug or not; type {known}"none" where there is none in it')


def _with_drug(name: str, title: str, said: str, drug: str, concentration: float | None) -> Check:
    """A drug was ordered, by its name, its concentration, or both."""
    try:
        label = read_label(said)
    except LabelError as error:
        if not any(letter.isdigit() for letter in said) and not may_name(drug, said):
            return _exact(name, title, 100.0, f'"{said}" is no drug with a concentration')
        return _unread(name, title, f'the label "{said}" is not read: {error}; {WRITE_LABEL}')
    if drug and label.is_plain and not may_name(drug, label.drug):
        return _exact(name, title, 100.0, f'"{label.drug}" where {drug} was ordered')
    if concentration is None:
        return _unread(name, title, f"{said}: no concentration was ordered; {WRITE_ORDER}")
    off = 100.0 * (label.ug_per_ml / concentration - 1.0)
    if abs(off) > AGREE_PERCENT:
        where = f"{label.ug_per_ml:.6g} ug/mL where {concentration:.6g} ug/mL was ordered"
        return _exact(name, title, off, f"{said}: {where}; {NO_ASSAY}")
    if not drug:
        return _unread(name, title, f"{said}: nothing says which drug was ordered; {WRITE_ORDER}")
    if not same_name(drug, label.drug):
        return _unread(name, title, f'the label "{said}" does not name {drug} alone; {WRITE_LABEL}')
    return _exact(name, title, off, f"{said}; {NO_ASSAY}")


def _drug_of_fluid(run: Run) -> str:
    """The drug that the fluid's file states; "" for none."""
    stated = str(run.fluid.get("drug") or "none")
    return "" if stated == "none" else stated


def _is_fluid(run: Run, said: str) -> bool:
    """Whether a label says what the fluid's file calls the fluid."""
    return same_name(said, str(run.fluid.get("name") or ""))


def _same(name: str, title: str, found: Schedule, wanted: Schedule, *, copied: bool = False) -> Check:
    """Daily volume and concentration, of which the dose is made; the drug by its name; each planned bolus for itself.

    The course of the day, and what a patient may ask for, count where the one is to be a copy of the other, or where
    they are ordered: a dose a day is met by any course.  A planned bolus comes once and is no part of a dose a day.
    """
    if wanted.drug and found.drug.casefold() != wanted.drug.casefold():
        return _exact(name, title, 100.0, f'drug "{found.drug}" where {wanted.drug} was meant')
    if (copied or wanted.patient is not None) and not _same_rule(found.patient, wanted.patient):
        return _exact(name, title, 100.0, "what a patient may ask for is another")
    pairs = [(found.daily_volume_ul(), wanted.daily_volume_ul(), "uL/day")]
    if wanted.concentration_ug_per_ml is not None or found.concentration_ug_per_ml is not None:
        pairs.append((found.concentration_ug_per_ml or 0.0, wanted.concentration_ug_per_ml or 0.0, "ug/mL"))
    offs = [(100.0 * (a / b - 1.0) if b else 100.0 * float(a != b), a, b, unit) for a, b, unit in pairs]
    off, a, b, unit = max(offs, key=lambda one: abs(one[0]))
    note = f"{a:.6g} {unit} where {b:.6g} {unit} was meant" if abs(off) > AGREE_PERCENT else ""
    if not note and (other := _other_bolus(found, wanted)):
        return _exact(name, title, 100.0, other)
    if not note and (copied or not isinstance(wanted.basal, Continuous) or wanted.boluses or wanted.periodic):
        elsewhen = _elsewhen_percent(found, wanted)
        if elsewhen > AGREE_PERCENT:
            return _exact(name, title, elsewhen, f"{elsewhen:.3g} % of the volume comes at another time than was meant")
    return _exact(name, title, off, note)


def _elsewhen_percent(found: Schedule, wanted: Schedule) -> float:
    """Share of the volume that is not delivered when it was meant to be; a clock that is a second off moves little.

    Planned boluses are none of it: `_other_bolus`.

    Notes
    -----
    Half of the integral of the difference of two rates of one volume, over a day or until the second periodic bolus.
    """
    both = [replace(one, boluses=(), pump_day_offset_s=0.0, pump_clock_ppm=0.0) for one in (found, wanted)]
    until_s = max(DAY_S, *map(_periods_s, both))
    edges = np.unique(np.concatenate([[0.0, until_s], *(one.edges_s(0.0, until_s) for one in both)]))
    here, there = (one.expected_volume_ul(edges[:-1], edges[1:]) for one in both)
    meant = math.fsum(there.tolist())
    moved = 0.5 * math.fsum(np.abs(here - there).tolist())
    return 100.0 * moved / meant if meant > 0.0 else 100.0 * float(moved > 0.0)


def _periods_s(one: Schedule) -> float:
    """Until the second periodic bolus has ended."""
    each = one.periodic
    return 0.0 if each is None else each.first_s + each.interval_s + each.duration_s


def _other_bolus(found: Schedule, wanted: Schedule) -> str:
    """The first planned bolus that is another than was meant, or that one of the two has not; "" if there is none."""
    for one, meant in zip_longest(found.boluses, wanted.boluses):
        if one is None or meant is None or not _same_bolus(one, meant):
            return f"{_worded(one)} where {_worded(meant)} was meant"
    return ""


def _same_bolus(found: Bolus, wanted: Bolus) -> bool:
    """Whether the same is delivered at the same time; only a bridge takes the place of the basal delivery."""
    pairs = ((found.volume_ul, wanted.volume_ul), (found.duration_s, wanted.duration_s))
    alike = all(abs(a - b) <= AGREE_PERCENT / 100.0 * b for a, b in pairs)
    alike = alike and abs(found.at_s - wanted.at_s) <= AGREE_S
    return alike and (found.kind == "bridge") == (wanted.kind == "bridge")


def _worded(bolus: Bolus | None) -> str:
    if bolus is None:
        return "no planned bolus"
    return f"a {bolus.kind} bolus of {bolus.volume_ul:.6g} uL over {bolus.duration_s:.6g} s after {bolus.at_s:.6g} s"


def _same_rule(found: PatientBolus | None, wanted: PatientBolus | None) -> bool:
    """Whether a patient may ask for the same, within the digits of a copy."""
    if found is None or wanted is None:
        return found is wanted
    pairs = (
        (found.volume_ul, wanted.volume_ul),
        (found.duration_s, wanted.duration_s),
        (found.lockout_s, wanted.lockout_s),
    )
    alike = all(abs(a - b) <= AGREE_PERCENT / 100.0 * b for a, b in pairs)
    return alike and (found.max_per_day, found.day) == (wanted.max_per_day, wanted.day)


def _unread(name: str, title: str, note: str) -> Check:
    """A record that was to be compared and is not there."""
    return Check(name, title, None, "%", Verdict.NOT_MEASURED, "record", note=note)


def _exact(name: str, title: str, off_percent: float, note: str) -> Check:
    limits = Limits(-AGREE_PERCENT, AGREE_PERCENT, "the two are copies of one order")
    return Check(
        name, title, unit="%", owner="record", note=note, **judge(off_percent, 0.0, float("inf"), limits, SIMPLE)
    )


def _dose(schedule: Schedule) -> Check:
    """What is delivered a day: volume, and with a drug the dose, never without drug, concentration and rate."""
    daily_ul = schedule.daily_volume_ul()
    rate = f"{daily_ul / 1000.0:.4g} mL/day ({daily_ul / 24.0:.4g} uL/h)"
    if schedule.boluses:
        once_ul = math.fsum(bolus.volume_ul for bolus in schedule.boluses)
        rate += f"; planned boluses of {once_ul:.6g} uL in all come once and are not counted"
    concentration = schedule.concentration_ug_per_ml
    if concentration is None:
        return reported("dose", "Programmed a day", daily_ul / 1000.0, "mL/day", rate)
    drug = schedule.drug or "drug without a name"
    dose = daily_ul / 1000.0 * concentration
    return reported("dose", "Programmed a day", dose, "ug/day", f"{drug} at {concentration:g} ug/mL, {rate}")
