"""The articles of a lab: pumps, catheters, fluids and instruments with their certificates, and what may be used.

One TOML file.  What an article is stands in its own table; whether it may be used is told by rows that are only ever
added, the last of which counts, so that the file shows who had quarantined what, when and why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from data.catalogue.store import Catalogue, Wanted
from data.quantity_fields import Stated
from data.tomlfile import read_toml

Status = Literal["in-use", "quarantined", "retired"]
Kind = Literal["dut", "catheter", "fluid", "instrument"]

STATUSES: tuple[Status, ...] = ("in-use", "quarantined", "retired")


class ArticleError(ValueError):
    """An article that is not in the register, or may not change so; the message says what to do."""


class Certificate(Stated):
    """A calibration of an instrument; ``as_found`` says whether it was within tolerance before it was adjusted."""

    number: str = Field(examples=["C-2231"], min_length=1)
    channel: str = ""
    issued: date = Field(examples=["2026-03-02"])
    due: date = Field(examples=["2027-03-02"])
    as_found: Literal["within", "beyond", "unknown"] = "unknown"


class Article(Stated):
    """One article; a catheter or fluid is known by its lot, a pump or an instrument by its serial number."""

    kind: Kind = Field(examples=["instrument"])
    id: str = Field(examples=["B021002593"], min_length=1)
    model: str = Field(examples=["XPR205"], min_length=1)
    lot: str = ""
    received: date | None = None
    use_by: date | None = None
    note: str = ""
    certificates: tuple[Certificate, ...] = ()

    @model_validator(mode="after")
    def _certified(self) -> Self:
        if self.certificates and self.kind != "instrument":
            raise ValueError(f"a {self.kind} has no calibration; remove its certificates")
        return self


class Change(Stated):
    """A person says whether an article may be used, with the reason."""

    id: str = Field(min_length=1)
    status: Status
    reason: str = Field(min_length=1)
    person: str = Field(min_length=1)
    at: AwareDatetime


class Register(Stated):
    """The file (docs/howto/articles.md)."""

    articles: tuple[Article, ...] = ()
    changes: tuple[Change, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> Self:
        ids = [article.id for article in self.articles]
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f'"{twice[0]}" is there twice; an article has one table')
        if unknown := sorted({change.id for change in self.changes} - set(ids)):
            raise ValueError(f'"{unknown[0]}" was changed and is no article; an article is retired, never removed')
        return self


@dataclass(frozen=True, slots=True)
class Standing:
    """What is to be said of an article.

    Attributes
    ----------
    status : "in-use" unless a change says other; ``change`` is the one that counts.
    problems : why it should not be used, one sentence each; empty when it may be.
    runs, last_run : of the catalogue; when the last one was made, in UTC.
    """

    article: Article
    status: Status
    change: Change | None
    problems: tuple[str, ...]
    runs: int
    last_run: str


def load_register(path: Path) -> Register:
    """Read the file; raises `data.tomlfile.FileError`."""
    return read_toml(path, Register)


def standings(register: Register, catalogue: Catalogue | None, today: date) -> list[Standing]:
    """Every article with its status, its problems and its runs, in the order of the file."""
    return [_standing(register, article, catalogue, today) for article in register.articles]


def change_status(path: Path, name: str, status: Status, reason: str, person: str, at: datetime) -> None:
    """Add a row that says whether an article may be used; what stands in the file stays.

    Raises
    ------
    ArticleError
        There is no such article, it has this status, or it is retired: that is for ever.
    """
    register = load_register(path)
    if name not in {article.id for article in register.articles}:
        there = ", ".join(article.id for article in register.articles) or "none"
        raise ArticleError(f'{path}: there is no article "{name}" (there are {there}); add its table first')
    last = latest_change(register, name)
    if last is not None and last.status == "retired":
        raise ArticleError(f"{name} was retired by {last.person} ({last.reason}); what is retired is not used again")
    if status == ("in-use" if last is None else last.status):
        raise ArticleError(f"{name} is {status} already; nothing was changed")
    said = {"id": name, "status": status, "reason": reason, "person": person}
    lines = ["", "[[changes]]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in said.items())]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join([*lines, f"at = {at.isoformat()}"]) + "\n")


def latest_change(register: Register, name: str) -> Change | None:
    """The change that counts; None for an article that was in use from the first."""
    return next((change for change in reversed(register.changes) if change.id == name), None)


# -- small parts


def _standing(register: Register, article: Article, catalogue: Catalogue | None, today: date) -> Standing:
    change = latest_change(register, article.id)
    status: Status = "in-use" if change is None else change.status
    runs = [] if catalogue is None else catalogue.runs(_of(article))
    problems = tuple(_problems(article, change, today))
    return Standing(article, status, change, problems, len(runs), runs[0].made if runs else "")


def _of(article: Article) -> Wanted:
    if article.kind == "instrument":
        return Wanted(instrument=article.id)
    return Wanted(dut=article.id) if article.kind == "dut" else Wanted(lot=article.id)


def _problems(article: Article, change: Change | None, today: date) -> Iterator[str]:
    if change is not None and change.status != "in-use":
        yield f"{change.status} by {change.person}: {change.reason}"
    if article.use_by is not None and article.use_by < today:
        yield f"was to be used by {article.use_by}"
    latest: dict[str, Certificate] = {}
    for certificate in sorted(article.certificates, key=lambda one: one.issued):
        latest[certificate.channel] = certificate
    for channel, certificate in latest.items():
        of = f" of {channel}" if channel else ""
        if certificate.due < today:
            yield f"calibration {certificate.number}{of} was due {certificate.due}"
        if certificate.as_found == "beyond":
            yield (
                f"calibration {certificate.number}{of} found it beyond tolerance: see what it touched before, with "
                f"pumpbench catalogue impact --instrument {article.id}"
            )
