"""The articles of a lab: pumps, catheters, fluids and instruments with their certificates, and what may be used.

One TOML file, ``HOME/articles.toml`` of the state folder or what PUMPBENCH_ARTICLES names.  What an article is stands
in its own table; whether it may be used is told by rows that are only ever added, the last of which counts, so that
the file shows who had quarantined what, when and why.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import AwareDatetime, Field, StrictInt, field_validator, model_validator

from bench.state_folder import home
from bench.toml_rows import append_row
from data.plain_text import insist_visible
from data.quantity_fields import Stated, VoltageV
from data.tomlfile import FileError, read_toml

if TYPE_CHECKING:
    from data.catalogue.store import Catalogue, Wanted

Status = Literal["in-use", "quarantined", "retired"]
Kind = Literal["dut", "catheter", "fluid", "instrument"]

VARIABLE = "PUMPBENCH_ARTICLES"

OF_A_PUMP = ("firmware", "battery_v", "replacement_due", "sterilisation", "decontamination", "custody", "punctures")

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
    """One article; a catheter or fluid is known by its lot, a pump or an instrument by its serial number.

    The last seven fields are of a pump alone: what `data.dut.Dut` has of the single one, which each run file keeps.
    """

    kind: Kind = Field(examples=["instrument"])
    id: str = Field(examples=["B021002593"], min_length=1)
    model: str = Field(examples=["XPR205"], min_length=1)
    lot: str = ""
    received: date | None = None
    use_by: date | None = None
    note: str = ""
    certificates: tuple[Certificate, ...] = ()
    firmware: str = ""
    battery_v: VoltageV | None = Field(None, alias="battery", examples=["2.9 V"])
    replacement_due: date | None = None
    sterilisation: str = ""
    decontamination: str = ""
    custody: str = ""
    punctures: StrictInt = Field(0, ge=0)

    @field_validator("id")
    @classmethod
    def _visible(cls, given: str) -> str:
        insist_visible("serial number or lot", given)
        return given

    @model_validator(mode="after")
    def _certified(self) -> Self:
        if self.certificates and self.kind != "instrument":
            raise ValueError(f"a {self.kind} has no calibration; remove its certificates")
        of_a_pump = [type(self).model_fields[name].alias or name for name in OF_A_PUMP if getattr(self, name)]
        if of_a_pump and self.kind != "dut":
            raise ValueError(f'"{of_a_pump[0]}" is of a pump alone, not of kind {self.kind}; remove it')
        return self

    @property
    def single_pump(self) -> dict[str, Any]:
        """What a run file keeps of this pump beside its model and serial number: fields of `data.dut.Dut`."""
        return {name: getattr(self, name) for name in ("lot", "use_by", *OF_A_PUMP)}


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


def lab_file(*, real: bool) -> Path | None:
    """The file that a run is checked against; None where there is none.

    Parameters
    ----------
    real : whether the station is; a simulated one is checked only where PUMPBENCH_ARTICLES names the file.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    file = home() / "articles.toml"
    return file if real and file.is_file() else None


def known_of_pump(model: str, serial: str, *, real: bool) -> dict[str, Any]:
    """What the lab's register knows of a single pump, as `data.dut.DutModel.item` takes it; empty where it does not.

    A register that cannot be read, or has the serial number as another model, says nothing here; `against` blocks the
    run.
    """
    file = lab_file(real=real)
    try:
        register = Register() if file is None else load_register(file)
    except FileError:
        return {}
    found = next((one for one in register.articles if (one.kind, one.id) == ("dut", serial)), None)
    return {} if found is None or found.model != model else found.single_pump


@dataclass(frozen=True, slots=True)
class Used:
    """What a run is about to use.

    Attributes
    ----------
    articles : serial number of the pump, lots of catheter and fluid, by kind.
    certificates : those that the station file states, by channel.
    end : the day on which it is expected to end.
    pump_model : as its model file says.
    """

    articles: Mapping[Kind, str]
    certificates: Mapping[str, str]
    end: date
    pump_model: str = ""


def against(register: Register, used: Used) -> list[str]:
    """What the register says against a run, one sentence each; empty where nothing is."""
    said: list[str] = []
    for kind, name in used.articles.items():
        article = next((one for one in register.articles if (one.kind, one.id) == (kind, name)), None)
        if article is None:
            said.append(f'{kind} "{name}" is not registered')
            continue
        if kind == "dut" and used.pump_model not in ("", article.model):
            said.append(f"dut {name}: it is registered as {article.model}, and the run is of {used.pump_model}")
        said += [f"{kind} {name}: {problem}" for problem in _unfit(article, latest_change(register, name), used.end)]
    return said + _certificates(register, used)


def change_status(path: Path, name: str, status: Status, reason: str, person: str, at: datetime) -> None:
    """Add a row that says whether an article may be used; what stands in the file stays.

    Raises
    ------
    ArticleError
        There is no such article, it has this status, or it is retired: that is for ever.
    OSError
        The disk did not take it; the file is as it was.
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
    append_row(path, "changes", {"id": name, "status": status, "reason": reason, "person": person, "at": at})


def latest_change(register: Register, name: str) -> Change | None:
    """The change that counts; None for an article that was in use from the first."""
    return next((change for change in reversed(register.changes) if change.id == name), None)


# -- small parts


def _standing(register: Register, article: Article, catalogue: Catalogue | None, today: date) -> Standing:
    change = latest_change(register, article.id)
    status: Status = "in-use" if change is None else change.status
    count = 0 if catalogue is None else catalogue.count(_of(article))
    last = catalogue.runs(_of(article), limit=1) if catalogue is not None and count else []
    problems = tuple(_problems(article, change, today))
    return Standing(article, status, change, problems, count, last[0].made if last else "")


def _certificates(register: Register, used: Used) -> list[str]:
    """Certificates of the station file that the register does not know, or knows a later one of; each article once."""
    said: dict[str, None] = {}
    for channel, number in used.certificates.items():
        article = next((one for one in register.articles if number in {each.number for each in one.certificates}), None)
        if article is None:
            said[f"certificate {number} of {channel} is not registered with any instrument"] = None
            continue
        mine = next(each for each in article.certificates if each.number == number)
        later = [one for one in article.certificates if one.channel == mine.channel and one.issued > mine.issued]
        if later:
            said[f"certificate {number} of {channel} was replaced by {later[-1].number} of {later[-1].issued}"] = None
        for problem in _unfit(article, latest_change(register, article.id), used.end):
            said[f"instrument {article.id}: {problem}"] = None
    return list(said)


def _of(article: Article) -> Wanted:
    from data.catalogue.store import Wanted  # a quarter of a second; a run asks no catalogue

    if article.kind == "instrument":
        return Wanted(instrument=article.id)
    return Wanted(dut=article.id) if article.kind == "dut" else Wanted(lot=article.id)


def _problems(article: Article, change: Change | None, today: date) -> Iterator[str]:
    """What is to be said of an article: why it is not to be used, and what it may have done before."""
    yield from _unfit(article, change, today)
    for certificate in _latest(article):
        if certificate.as_found == "beyond":
            yield (
                f"calibration {_named(certificate)} found it beyond tolerance: see what it touched before, with "
                f"pumpbench catalogue impact --instrument {article.id}"
            )


def _unfit(article: Article, change: Change | None, day: date) -> Iterator[str]:
    """Why an article is not to be used on a day."""
    if change is not None and change.status != "in-use":
        yield f"{change.status} by {change.person}: {change.reason}"
    if article.use_by is not None and article.use_by < day:
        yield f"was to be used by {article.use_by}"
    for certificate in _latest(article):
        if certificate.due < day:
            yield f"calibration {_named(certificate)} was due {certificate.due}"


def _latest(article: Article) -> Sequence[Certificate]:
    """The certificate of each channel that counts."""
    latest: dict[str, Certificate] = {}
    for certificate in sorted(article.certificates, key=lambda one: one.issued):
        latest[certificate.channel] = certificate
    return list(latest.values())


def _named(certificate: Certificate) -> str:
    return f"{certificate.number} of {certificate.channel}" if certificate.channel else certificate.number
