"""The lab's register as it is shown: articles, certificates, run numbers, and what an instrument has touched."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from bench.articles import VARIABLE, Article, Certificate, Change, Standing, load_register, standings
from bench.catalogue import opened, place_of
from bench.trends import Touched, impact
from bench.trust.register import numbered
from data.catalogue.store import is_there
from data.quantities import format_quantity
from gui.presenters.instrument_rows import SOON
from gui.presenters.near_files import near_files
from gui.presenters.numbers import NOTHING, local_date
from gui.presenters.run_search import given
from gui.presenters.tone import Tone

KINDS = {"dut": "Pump", "catheter": "Catheter", "fluid": "Fluid", "instrument": "Instrument"}
AS_FOUND = {
    "within": ("within", Tone.GOOD),
    "beyond": ("beyond", Tone.FAIL),
    "unknown": ("not told", Tone.MUTED),
}
STATUS = {
    "in-use": ("in use", Tone.PLAIN),
    "quarantined": ("quarantined", Tone.WARN),
    "retired": ("retired", Tone.MUTED),
}

_SIGN = re.compile(r"^\s*\[\[articles\]\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ArticleFile:
    """A file of articles: what is to be said of each, its changes, or why it cannot be read."""

    path: Path
    standings: tuple[Standing, ...] = ()
    changes: tuple[Change, ...] = ()
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class ArticleRow:
    """An article; ``due`` is the earliest date on which a certificate that counts ends."""

    standing: Standing
    kind: str
    id: str
    model: str
    lot: str
    status: str
    status_tone: Tone
    runs: str
    last_run: str
    due: str
    due_tone: Tone
    problems: str


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A certificate of an instrument."""

    number: str
    channel: str
    issued: str
    due: str
    due_tone: Tone
    as_found: str
    as_found_tone: Tone


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """Who has said whether an article may be used."""

    at: str
    status: str
    reason: str
    person: str


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A number that a station has given to a run."""

    station: str
    number: int
    when: str
    procedure: str
    dut: str
    origin: str
    verdict: str
    state: str
    tone: Tone
    path: str


@dataclass(frozen=True, slots=True)
class Numbered:
    """The numbers that were given here, the latest first, and what is wrong with the register."""

    rows: tuple[NumberRow, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """The runs that relied on an instrument; ``idle`` more had it there."""

    serial: str
    since: str
    touched: tuple[Touched, ...]
    idle: int


def article_row(one: Standing, today: date) -> ArticleRow:
    """An article of the list."""
    article = one.article
    status, tone = STATUS[one.status]
    if one.problems and one.status == "in-use":
        tone = Tone.WARN
    dues = [each.due for each in latest(article).values()]
    if article.use_by is not None:
        dues.append(article.use_by)
    due = min(dues, default=None)
    return ArticleRow(
        one,
        KINDS[article.kind],
        article.id,
        article.model,
        article.lot,
        status,
        tone,
        str(one.runs) if one.runs else NOTHING,
        one.last_run[:10] or NOTHING,
        NOTHING if due is None else str(due),
        due_tone(due, today),
        "; ".join(one.problems),
    )


def latest(article: Article) -> dict[str, Certificate]:
    """The certificate of each channel that counts: the one that was issued last."""
    return {one.channel: one for one in sorted(article.certificates, key=lambda one: one.issued)}


def due_tone(due: date | None, today: date) -> Tone:
    """Past it is a failure, near it something to be minded."""
    if due is None:
        return Tone.MUTED
    return Tone.FAIL if due < today else Tone.WARN if due <= today + SOON else Tone.PLAIN


def facts_of(row: ArticleRow) -> list[tuple[str, str]]:
    """What the register says of an article, with its caption; what it does not say is left out."""
    article = row.standing.article
    battery = "" if article.battery_v is None else format_quantity(article.battery_v, "voltage")
    said = [
        ("Model", row.model),
        ("Lot", row.lot),
        ("Received", article.received),
        ("Use by", article.use_by),
        ("Firmware", article.firmware),
        ("Battery", battery),
        ("Replacement due", article.replacement_due),
        ("Sterilisation", article.sterilisation),
        ("Decontamination", article.decontamination),
        ("Custody", article.custody),
        ("Punctures", article.punctures),
        ("Status", row.status),
        ("Runs", f"{row.runs}, the last on {row.last_run}" if row.standing.runs else "none that is known"),
        ("Note", article.note),
    ]
    return [(what, str(text)) for what, text in said if text]


def certificate_rows(article: Article, today: date) -> list[CertificateRow]:
    """The certificates of an instrument, the latest first; what is replaced is not due any more."""
    counts = list(latest(article).values())
    return [
        CertificateRow(
            one.number,
            one.channel or "whole",
            str(one.issued),
            str(one.due) if one in counts else "replaced",
            due_tone(one.due, today) if one in counts else Tone.MUTED,
            *AS_FOUND[one.as_found],
        )
        for one in sorted(article.certificates, key=lambda one: one.issued, reverse=True)
    ]


def change_rows(changes: Sequence[Change], name: str) -> list[ChangeRow]:
    """What was said of an article, the latest first."""
    mine = [one for one in changes if one.id == name]
    return [ChangeRow(local_date(one.at), STATUS[one.status][0], one.reason, one.person) for one in reversed(mine)]


def dues_said(rows: Sequence[ArticleRow]) -> tuple[str, Tone]:
    """How many articles are past a date, near one, or not to be used."""
    used = [row for row in rows if row.standing.status == "in-use"]
    late = sum(row.due_tone is Tone.FAIL for row in used)
    near = sum(row.due_tone is Tone.WARN for row in used)
    said = f"{len(rows)} articles"
    for count, what in ((late, "past their date"), (near, f"due within {SOON.days} days")):
        said += f", {count} {what}" if count else ""
    return said, Tone.FAIL if late else Tone.WARN if near else Tone.MUTED


# -- what is done in the background


def article_files(folder: Path, state_folder: Path) -> list[Path]:
    """The lab's file that runs are checked against, then those near at hand."""
    named = os.environ.get(VARIABLE)
    lab = Path(named).absolute() if named else state_folder / "articles.toml"
    near = near_files(folder, "articles", _SIGN)
    return [*([lab] if lab.is_file() else []), *(path for path in near if path != lab)]


def articles_read(folder: Path, state_folder: Path, today: date) -> tuple[ArticleFile, ...]:
    """The files of articles, with the runs that the catalogue knows of each."""
    found = []
    for path in article_files(folder, state_folder):
        try:
            register = load_register(path)
            if is_there(place_of(given(state_folder))):
                with opened(given(state_folder)) as there:
                    said = standings(register, there, today)
            else:
                said = standings(register, None, today)
            found.append(ArticleFile(path, tuple(said), register.changes))
        except (ValueError, OSError) as error:
            found.append(ArticleFile(path, wrong=str(error)))
    return tuple(found)


def numbers_read(state_folder: Path) -> Numbered:
    """The numbers that the stations of this computer have given."""
    rows, problems = numbered(state_folder)
    runs: dict[tuple[str, int], dict[str, Any]] = {}
    signed: dict[str, str] = {}
    for row in rows:
        if row.get("kind") == "signature":
            signed[str(row["run_id"])] = f"{row['row'].get('meaning')} by {row['row'].get('name')}"
        elif row.get("kind") in ("begun", "run"):
            at = str(row["station"]), int(row["run_number"])
            runs[at] = {**runs.get(at, {}), **row, "when": runs.get(at, row)["when"]}
    made = [_number_row(at, row, signed) for at, row in runs.items()]
    return Numbered(tuple(sorted(made, key=lambda one: (one.station, -one.number))), tuple(problems))


def _number_row(at: tuple[str, int], row: dict[str, Any], signed: dict[str, str]) -> NumberRow:
    closed = row["kind"] == "run"
    if not closed:
        state, tone = "begun, not closed: it goes on, or was cut off", Tone.WARN
    else:
        state, tone = signed.get(str(row["run_id"]), ""), Tone.PLAIN
        tone = Tone.FAIL if state.startswith("rejected") else Tone.PLAIN if state else Tone.MUTED
    return NumberRow(
        *at,
        local_date(datetime.fromisoformat(str(row["when"]))),
        str(row.get("procedure", "")),
        str(row.get("dut", "")),
        str(row.get("origin", "")),
        str(row.get("verdict", "")).replace("-", " ") if closed else "",
        state or "sealed, not signed",
        tone,
        str(row.get("path", "")),
    )


def impact_read(state_folder: Path, serial: str, since: str) -> Impact:
    """The runs that relied on an instrument; raises `data.catalogue.store.CatalogueError`."""
    with opened(given(state_folder)) as there:
        touched, idle = impact(there, serial, since)
    return Impact(serial, since, tuple(touched), idle)
