"""What the catalogue keeps of a run file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py

from data.checks import REVIEWS, Check
from data.run import Run
from data.seal import read_seal
from data.signatures import rows_in, sidecar_rows

RUN, SNAPSHOT, DAMAGED, MISSING = "run", "snapshot", "damaged", "missing"

REFERENCE = "reference"
"""Name of the standard that a calibration was made against; it stands in the parameters, not in the station."""


@dataclass(frozen=True, slots=True)
class CheckEntry:
    """One check of a run; ``k`` is the coverage factor of the expanded uncertainty ``u_expanded``."""

    name: str
    title: str
    value: float | None
    u_expanded: float | None
    k: float | None
    limit_low: float | None
    limit_high: float | None
    unit: str
    verdict: str
    owner: str
    optional: bool


@dataclass(frozen=True, slots=True)
class InstrumentEntry:
    """An instrument of a run, once for each of its certificates.

    Attributes
    ----------
    instrument : its name on the station; `REFERENCE` for the standard of a calibration.
    serial : what the instrument itself said; what the station file says where it said nothing.
    channel, certificate, due : of a calibration; empty without one.
    relied_on : the roles and interlocks that it took in the run, with commas; empty where it only was there.
    """

    instrument: str
    driver: str
    maker: str
    model: str
    serial: str
    firmware: str
    channel: str
    certificate: str
    due: str
    relied_on: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, as the catalogue lists it.

    Attributes
    ----------
    path : absolute.
    size, changed_ns : of the file when it was read; what tells that it is another one.
    kind : `RUN`, `SNAPSHOT` of one that went on, `DAMAGED`, or `MISSING` where the file has gone.
    sentence : what is wrong with the file; empty where nothing is.
    digest, bytes_digest : content digest, and SHA-256 of the bytes, by the seal; nothing has verified them.
    start, made : moment zero on the run's clock, and on the wall, in UTC; they differ where the run was no real one.
    params : the procedure's parameters, in our units.
    set_rate_ul_per_h : the constant rate that was programmed, None where there is none.
    """

    path: str
    size: int
    changed_ns: int
    kind: str
    sentence: str = ""
    run_id: str = ""
    digest: str = ""
    bytes_digest: str = ""
    title: str = ""
    procedure: str = ""
    method: int = 0
    station: str = ""
    dut_model: str = ""
    dut_serial: str = ""
    dut_lot: str = ""
    fluid: str = ""
    fluid_lot: str = ""
    catheter: str = ""
    catheter_lot: str = ""
    origin: str = ""
    status: str = ""
    verdict: str = ""
    start: str = ""
    made: str = ""
    duration_s: float = 0.0
    person: str = ""
    software: str = ""
    code: str = ""
    review: str = ""
    set_rate_ul_per_h: float | None = None
    params: Mapping[str, Any] | None = None
    checks: tuple[CheckEntry, ...] = ()
    instruments: tuple[InstrumentEntry, ...] = ()


def read_entry(path: Path) -> Entry:
    """What the catalogue keeps of one file; raises nothing for a damaged one, it says why it cannot be read."""
    path = path.absolute()
    size = changed_ns = 0
    try:
        there = path.stat()
        size, changed_ns = there.st_size, there.st_mtime_ns
        with Run.open(path) as run:
            return _entry(run, size, changed_ns)
    except (ValueError, OSError, KeyError, RuntimeError, TypeError) as error:
        return damaged(path, size, changed_ns, str(error))


def damaged(path: Path, size: int, changed_ns: int, why: str) -> Entry:
    """The entry of a file that cannot be read, with why, in one sentence without its path."""
    lines = why.splitlines()
    first = lines[0] if lines else "cannot be read"
    return Entry(str(path), size, changed_ns, DAMAGED, first.removeprefix(f"{path}: "))


def _entry(run: Run, size: int, changed_ns: int) -> Entry:
    sealed = read_seal(run.path)
    evaluation = run.evaluation
    snapshot = evaluation is None and run.status == "incomplete"
    unsealed = sealed is None and not snapshot
    return Entry(
        path=str(run.path),
        size=size,
        changed_ns=changed_ns,
        kind=SNAPSHOT if snapshot else RUN,
        sentence="not sealed: it can be altered without a trace" if unsealed else "",
        run_id=str(run.session.get("run_id", "")),
        digest="" if sealed is None else str(sealed["content"]),
        bytes_digest="" if sealed is None else str(sealed["bytes"]),
        title=run.title,
        procedure=run.procedure,
        method=run.method,
        station=str(run.station.get("name", "")),
        dut_model=_text(run.dut, "model"),
        dut_serial=_text(run.dut, "serial"),
        dut_lot=_text(run.dut, "lot"),
        fluid=_text(run.fluid, "name"),
        fluid_lot=_text(run.fluid, "lot"),
        catheter=_text(run.catheter, "model"),
        catheter_lot=_text(run.catheter, "lot"),
        origin=str(run.origin),
        status=str(run.status),
        verdict="" if run.verdict is None else str(run.verdict),
        start=in_utc(run.start),
        made=_made(run),
        duration_s=run.end_s,
        person=_text(run.session, "user"),
        software=_text(run.software, "pumpbench"),
        code=run.evaluated_by,
        review=_review(run.path, sealed is not None and bool(sealed.get("room"))),
        set_rate_ul_per_h=set_rate(run.params),
        params=run.params,
        checks=() if evaluation is None else tuple(map(_check, evaluation.checks)),
        instruments=tuple(_instruments(run)),
    )


def in_utc(moment: datetime) -> str:
    """A moment as text that sorts by time; one without an offset is taken as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="microseconds")


def _made(run: Run) -> str:
    """When it was made on the wall; runs of other programs say only when they began."""
    try:
        return in_utc(datetime.fromisoformat(str(run.session["wall_start"])))
    except (KeyError, ValueError):
        return in_utc(run.start)


def _review(path: Path, has_room: bool) -> str:
    """Where the review stands by what the last signature says; whether it counts is for who knows keys and persons."""
    if has_room:
        with h5py.File(path, "r") as file:
            rows, _ = rows_in(file)
    else:
        rows = sidecar_rows(path)[0] or []
    meaning = str(rows[-1].get("meaning", "")) if rows else ""
    return meaning if meaning in REVIEWS else REVIEWS[0]


def _text(said: Mapping[str, Any], key: str) -> str:
    return str(said.get(key) or "")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _check(check: Check) -> CheckEntry:
    return CheckEntry(
        check.name,
        check.title,
        _finite(check.value),
        _finite(check.expanded_uncertainty),
        _finite(check.coverage_factor),
        _finite(check.limit_low),
        _finite(check.limit_high),
        check.unit,
        str(check.verdict),
        check.owner,
        check.optional,
    )


def set_rate(params: Mapping[str, Any]) -> float | None:
    """The rate of a schedule that never changes, else of a parameter that is a rate."""
    schedule = params.get("schedule")
    if isinstance(schedule, Mapping):
        basal = schedule.get("basal") or {}
        is_constant = basal.get("mode") == "continuous" and not schedule.get("boluses") and not schedule.get("periodic")
        return float(basal["rate_ul_per_h"]) if is_constant else None
    rate = params.get("rate_ul_per_h")
    return float(rate) if isinstance(rate, int | float) and not isinstance(rate, bool) else None


def _instruments(run: Run) -> Iterator[InstrumentEntry]:
    told = {name: said.get("identity") or {} for name, said in run.instruments.items()}
    relied = _relied_on(run)
    for name, table in run.station.get("instruments", {}).items():
        said = told.get(name, {})
        of_file = str(table.get("serial") or "")
        certificates = {
            channel: said_of for channel, said_of in (table.get("calibration") or {}).items() if said_of
        } or {"": {}}
        for channel, certificate in certificates.items():
            yield InstrumentEntry(
                name,
                str(table.get("driver", "")),
                _text(said, "maker"),
                _text(said, "model"),
                _text(said, "serial") or of_file,
                _text(said, "firmware"),
                channel,
                _text(certificate, "certificate"),
                _text(certificate, "due"),
                ", ".join(relied.get(name, ())),
            )
    if standard := _text(run.params, REFERENCE):
        certificate_of = _text(run.params, "certificate")
        yield InstrumentEntry(
            REFERENCE, "", "", standard, standard.split()[-1], "", "", certificate_of, "", "the standard"
        )


def _relied_on(run: Run) -> dict[str, list[str]]:
    """What each instrument did for the run: its roles, and the interlocks that watched through it."""
    found: dict[str, list[str]] = {}
    for role, target in run.roles.items():
        found.setdefault(str(target).partition(".")[0], []).append(role)
    for interlock, table in (run.station.get("interlocks") or {}).items():
        found.setdefault(str(table.get("channel", "")).partition(".")[0], []).append(f"interlock {interlock}")
    return found
