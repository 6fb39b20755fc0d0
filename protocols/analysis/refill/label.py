"""What the label of a vial says: a drug, and its concentration in one of the ways in which labels state it.

Nothing is guessed: a number that could be read in two ways, such as one with a decimal comma, is not read at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from data.quantities import QuantityError, parse

_DIGITS = r"[0-9](?:[0-9.,'\u2019 ]*[0-9])?"  # with all that may separate them, so that none are cut off
_CONCENTRATION = re.compile(
    rf"(?P<number>{_DIGITS}) ?(?P<amount>[^\W\d_]+) ?(?:/|\bper\b) ?(?P<many>{_DIGITS})? ?(?P<volume>[^\W\d_]+)"
)
_PLAIN = re.compile(r"[0-9]+(\.[0-9]+)?")
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+)(\.[0-9]+)?")
_BEFORE = " ,;:=(["
_BETWEEN = re.compile(r"[ .,;:=()\[\]]*")

_WORD = re.compile(r"\w+")

NO_DRUG = frozenset({"none", "water", "saline"})
"""Labels of vials in which there is no drug."""

_SOLVENTS = frozenset({"water", "saline", "nacl", "chloride"})
_OFTEN = frozenset(
    {"baclofen", "bupivacaine", "clonidine", "fentanyl", "floxuridine", "hydromorphone", "insulin", "morphine"}
    | {"ropivacaine", "sufentanil", "treprostinil", "ziconotide"}
)
"""Drugs for such pumps: one of them on a label is a drug, even where no concentration stands beside it."""

ALIKE = 1e-3
"""Two statements of one concentration, such as 2000 ug/mL and 40 mg/20 mL, differ by no more than this share."""


class LabelError(ValueError):
    """A label that is not read; the words say why."""


@dataclass(frozen=True, slots=True)
class Label:
    """A drug, "" where the label names none, and its concentration."""

    drug: str
    ug_per_ml: float

    @property
    def is_plain(self) -> bool:
        """Whether a name stands there and nothing that may belong to a number, such as "5 to" before 10 mg/mL."""
        return bool(self.drug) and not re.search(r"(?:^|[ ,;:=(\[])[0-9]", self.drug)


def read_label(text: str) -> Label:
    """Read a label: the drug, then its concentration, which may be stated again in another way.

    "Baclofen 2,000 mcg/mL", "baclofen, 2 mg/mL" and "Baclofen 2000 mcg/mL (40 mg/20 mL)" say the same.

    Raises
    ------
    LabelError
        If no concentration stands there, or one that could be read in two ways, or two that differ, or anything more.
    """
    plain = " ".join(text.split())
    found = list(_CONCENTRATION.finditer(plain))
    if not found:
        raise LabelError("it states no concentration")
    if found[0].start() and plain[found[0].start() - 1] not in _BEFORE:
        raise LabelError(f'it is not clear where the number of "{found[0].group()}" begins')
    rest = [plain[one.end() : other.start()] for one, other in pairwise(found)]
    if not all(map(_BETWEEN.fullmatch, [*rest, plain[found[-1].end() :]])):
        raise LabelError("it says more than a drug and its concentration")
    stated = [_ug_per_ml(one) for one in found]
    if max(stated) - min(stated) > ALIKE * max(stated):
        raise LabelError("it states two concentrations")
    return Label(plain[: found[0].start()].strip(_BEFORE), stated[0])


def same_name(one: str, other: str) -> bool:
    """Whether two names of a drug are written alike but for their capitals."""
    return one.casefold() == other.casefold()


def may_name(one: str, other: str) -> bool:
    """Whether all words of the one stand in the other: "Baclofen injection" may name baclofen, and may name more."""
    here, there = (set(_WORD.findall(name.casefold())) for name in (one, other))
    return bool(here and there) and (here <= there or there <= here)


def is_drug(text: str) -> bool:
    """Whether a text that is no solvent names a drug: with a concentration, or as one that is often in such pumps."""
    words = set(_WORD.findall(text.casefold()))
    if words & _OFTEN:
        return True
    try:
        return bool(read_label(text).drug) and not words & _SOLVENTS
    except LabelError:
        return False


def _ug_per_ml(found: re.Match[str]) -> float:
    many = _number(found["many"]) if found["many"] else "1"
    try:
        amount_ug = parse(f"{_number(found['number'])} {found['amount']}", "amount")
        volume_ul = parse(f"{many} {found['volume']}", "volume")
    except QuantityError as error:
        raise LabelError(str(error)) from None
    if volume_ul <= 0.0:
        raise LabelError(f'"{found.group()}" is no concentration')
    return amount_ug / volume_ul * 1000.0


def _number(text: str) -> str:
    """A number without its separators of thousands."""
    if _PLAIN.fullmatch(text):
        return text
    if _THOUSANDS.fullmatch(text):
        return text.replace(",", "").replace(" ", "")
    raise LabelError(f'"{text}" is not plainly one number')
