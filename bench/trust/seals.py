"""Every seal of a run: one that is recovered again, or judged by other code, has another file under the same number."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.trust.ledger import TrustError
from data.audit import Row

SEALED = ("run", "altered")
"""Kinds of rows that a sealed file has."""

STATES = ("reviewed", "approved", "rejected")
"""Meanings of a last signature that say where the review of a file stands."""


@dataclass(frozen=True, slots=True)
class OneSeal:
    """A sealed file of a run, as the register has it.

    Attributes
    ----------
    digest : of the seal; ``content`` that of what the file says.
    review : what the last registered signature of this seal means, "unreviewed" without one.
    code : hash of the code that judged it; empty in a row from before that was kept.
    altered : it was made from a journal that this bench did not write so.
    journal : what it was made from; None where no row says it.
    """

    digest: str
    content: str
    path: str
    when: str
    verdict: str
    review: str
    code: str
    altered: bool
    journal: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """Of the file."""
        return Path(self.path).name

    @property
    def said(self) -> str:
        """Its verdict, where its review stands, and whose code judged it."""
        code = f"code {self.code[:12]}" if self.code else "code not known"
        return ", ".join([self.verdict or "no verdict", *["altered"] * self.altered, self.review, code])

    def is_named(self, text: str) -> bool:
        """Whether a text names this file, by its name or by the first twelve digits of its seal."""
        return self.digest[:12] in text or bool(re.search(rf"(?<![\w.-]){re.escape(self.name)}(?![\w-])", text))


def seals_of(sealed: Sequence[Row], signatures: Sequence[Mapping[str, Any]]) -> list[OneSeal]:
    """The different seals of a run, the first one first; what was made from an altered journal is behind all others.

    Parameters
    ----------
    sealed : its rows of sealed files in the register.
    signatures : its registered signatures.
    """
    reviews = {row["seal"]: str(row["meaning"]) for row in signatures}
    first: dict[str, Row] = {}
    for row in sealed:
        first.setdefault(row["seal"], row)
    there = [_one(row, reviews.get(digest, "")) for digest, row in first.items()]
    return sorted(there, key=lambda one: one.altered)


def seals_by_run(rows: Sequence[Row]) -> dict[str, list[OneSeal]]:
    """The seals of every run of the register, by run id."""
    sealed, signed = defaultdict[str, list[Row]](list), defaultdict[str, list[Mapping[str, Any]]](list)
    for row in rows:
        if row.get("kind") in SEALED:
            sealed[str(row["run_id"])].append(row)
        elif row.get("kind") == "signature":
            signed[str(row["run_id"])].append(row["row"])
    return {run_id: seals_of(mine, signed[run_id]) for run_id, mine in sealed.items()}


def told_of(seals: Sequence[OneSeal], mine: str) -> Iterator[str]:
    """What is to be known, beside a file that is given by its seal, of the others of its run."""
    own = next((one.journal for one in seals if one.digest == mine), None)
    for one in seals:
        if one.digest != mine:
            is_other = own is not None and one.journal not in (None, own)
            made = "is made from another journal of this run" if is_other else "is another seal of this run"
            yield f"{one.path} {made} ({one.when[:10]}): {one.said}"


def insist_on_named(seals: Sequence[OneSeal], mine: str, notes: str) -> None:
    """See that whoever approves a file names each other of its run that is rejected or says another thing.

    Raises
    ------
    TrustError
        One is not named in what they wrote.
    """
    verdict = next((one.verdict for one in seals if one.digest == mine), "")
    for one in seals:
        if one.digest == mine or (one.review != "rejected" and one.verdict == verdict):
            continue
        namesake = sum(other.name == one.name for other in seals) > 1
        name = one.digest[:12] if namesake else one.name
        if not (one.digest[:12] in notes if namesake else one.is_named(notes)):
            raise TrustError(
                f"{one.path} is another seal of this run ({one.said}), so this one is approved only by who says why "
                f'that one does not count: name "{name}" in the note to "attempts"'
            )


def _one(row: Row, meaning: str) -> OneSeal:
    return OneSeal(
        row["seal"],
        str(row.get("content", "")),
        str(row["path"]),
        str(row["when"]),
        str(row.get("verdict", "")).replace("None", ""),
        meaning if meaning in STATES else "unreviewed",
        str(row.get("code", "")),
        row.get("kind") == "altered",
        row.get("journal"),
    )
