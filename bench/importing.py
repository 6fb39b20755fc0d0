"""A log that another program made of a balance or a flow sensor, as a sealed run file of origin "imported".

Nothing is added to what the log holds: what a protocol asks besides (a rig check, pressures, blanks that were not
taken) is missing in the file, and the checks that stand on it are not measured.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from bench import program_findings
from bench.closing import Closed, close_run
from bench.findings import Finding
from bench.request import Request, RequestError, articles_of
from bench.session import SCHEMA, circumstances, software
from bench.station import Station, load_station, station_path
from data import quantities
from data.checks import Origin, Status
from data.journal import JournalFull, JournalWriter
from data.samples import Block, Channel, FloatArray, Quality, Stream
from protocols.analysis.occlusion.log import resets
from protocols.procedure import Measures, Procedure, load_procedure

PROTOCOLS = ("flow-accuracy", "flow-record")
"""Protocols that are judged from a mass or a flow against time alone."""

PHASES = {
    "flow-accuracy": ("blank-before", "stabilisation", "analysis", "blank-after"),
    "flow-record": ("recording",),
}
"""Stretches of a log that a protocol tells apart."""

PLACE = {"blank-before": 0, "stabilisation": 0, "analysis": 1, "recording": 1, "blank-after": 2}
"""In which order they follow each other; a diverted blank lies within the stabilisation or behind it."""

MAIN = {"flow-accuracy": "analysis", "flow-record": "recording"}
"""The stretch that is the whole log where nothing else is said."""

ROWS = 1 << 16
EDGE_S = 1e-6


@dataclass(frozen=True, slots=True)
class Source:
    """The file that was imported, as it was read."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the log: its name and unit there, and its values in the unit of its channel."""

    name: str
    unit: str
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Log:
    """A log in our units.

    Attributes
    ----------
    t_s : (n,) times on the log's own axis, rising.
    columns : (n,) values each, by what was measured: "mass" in mg, "flow" in uL/h, "volume" in uL.
    time_column : name of the column of times.
    """

    source: Source
    t_s: FloatArray
    columns: Mapping[str, Column]
    time_column: str


@dataclass(frozen=True)
class Asked:
    """What a person says of a log; times are on the log's own axis.

    Attributes
    ----------
    protocol : empty for the one that fits what was measured.
    phases : begin and end of each stretch that the log tells apart.
    delivery_s : when the pump began to deliver; where it is None, the begin of the log, or the end of the blank for
        which it was stopped.
    began : moment of the first row.
    """

    station: str
    dut: str
    serial: str
    fluid: str
    began: datetime
    person: str
    protocol: str = ""
    catheter: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    phases: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    delivery_s: float | None = None


def source_of(path: Path) -> Source:
    """Name, size and SHA-256 of a file; raises RequestError."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Source(path.name, file.tell(), digest)
    except OSError as error:
        raise RequestError(f"{path}: it cannot be read ({error.strerror or error}); check the path") from None


def import_log(log: Log, asked: Asked, out: Path) -> Closed:
    """Make a sealed run file of a log, by the same way as of a run: journal, fold, evaluation, seal, verification.

    Raises
    ------
    ValueError
        The log does not hold what the protocol weighs or measures, or something that was said does not fit it; one
        sentence, and nothing is left behind.
    """
    if out.exists():
        raise RequestError(f"--out {out} exists; choose another name, a record is never written over")
    plan = _plan(log, asked)
    journal = out.with_suffix(".journal")
    if journal.exists():
        raise RequestError(f"{journal} exists: it is the record of a run that was not closed; choose another --out")
    try:
        with JournalWriter(journal, _header(plan, out)) as writer:
            _write(writer, plan)
    except BaseException as error:
        journal.unlink(missing_ok=True)
        if isinstance(error, JournalFull):
            raise RequestError(f"--out {out}: there is no room for it; make room and import again") from error
        raise
    try:
        return close_run(journal, out)
    finally:
        journal.unlink()  # the log itself is what could be imported again


@dataclass(frozen=True)
class _Plan:
    """A log and all that was said of it, read and checked; times from here on begin with the log's first row."""

    log: Log
    asked: Asked
    station: Station
    path: Path
    procedure: Procedure
    articles: Mapping[str, dict[str, Any]]
    streams: Sequence[tuple[Stream, FloatArray, FloatArray]]  # and times and values of each
    roles: Mapping[str, str]
    phases: Mapping[str, tuple[float, float]]
    delivery_s: float
    derived: str
    findings: Sequence[Finding]

    @property
    def end_s(self) -> float:
        return float(self.log.t_s[-1] - self.log.t_s[0])


def _plan(log: Log, asked: Asked) -> _Plan:
    name = asked.protocol or ("flow-accuracy" if "mass" in log.columns else "flow-record")
    _fits(name, log.columns)
    kind, path, station = load_procedure(name), station_path(asked.station), load_station(asked.station)
    request = Request(
        name, asked.station, dut=asked.dut, serial=asked.serial, catheter=asked.catheter, fluid=asked.fluid
    )
    articles = articles_of(request, station, without=("catheter",), now=False)
    phases = _phases(log, asked, name)
    procedure = kind(**_settings(kind, station, asked, phases))
    streams, roles, derived = _streams(log, station, path, kind)
    if name == "flow-accuracy":
        _weighs(procedure, station, path, roles["reference_mass"])
    delivery_s = _delivery_s(log, asked, phases, procedure)
    length_s = float(log.t_s[-1] - log.t_s[0])
    findings = (*_findings(station, path, roles, articles, asked.began, length_s), *_program(procedure, articles))
    return _Plan(log, asked, station, path, procedure, articles, streams, roles, phases, delivery_s, derived, findings)


def _fits(name: str, columns: Mapping[str, Column]) -> None:
    """Whether the log holds what the protocol is about."""
    if name not in PROTOCOLS:
        raise RequestError(f'--protocol "{name}": a log is judged by {" or ".join(PROTOCOLS)}; choose one of them')
    if name == "flow-accuracy" and "mass" not in columns:
        raise RequestError(
            "--protocol flow-accuracy weighs: give the balance's own column with --mass (a volume hides density and "
            "evaporation), or import the log as flow-record"
        )
    if name == "flow-record" and not {"flow", "volume"} & set(columns):
        raise RequestError("--protocol flow-record records a flow: give --flow or --volume, or use flow-accuracy")
    if "volume" in columns and {"flow", "mass"} & set(columns):
        raise RequestError("--volume stands alone: beside a mass or a flow it would say the same twice; leave it out")


def _phases(log: Log, asked: Asked, name: str) -> dict[str, tuple[float, float]]:
    """The stretches, from the log's first row, in the order of their begin."""
    known, begin = PHASES[name], float(log.t_s[0])
    if asked.delivery_s is not None:
        _inside(log, "--delivery", asked.delivery_s, asked.delivery_s)
    for phase, span in asked.phases.items():
        if phase not in known:
            raise RequestError(f'--phase "{phase}": {name} has {", ".join(known)}; name one of them')
        _inside(log, f"--phase {phase}", *span)
    begin_s = begin if asked.delivery_s is None else asked.delivery_s
    spans = {MAIN[name]: (begin_s, float(log.t_s[-1])), **asked.phases}
    ordered = sorted(spans.items(), key=lambda item: item[1])
    for (first, (_, end)), (second, (start, _)) in pairwise(ordered):
        if start < end - EDGE_S:
            raise RequestError(f"--phase: {second} begins at {start:g} s, before {first} ends at {end:g} s; set apart")
    places = [PLACE[phase] for phase, _ in ordered]
    if places != sorted(places):
        raise RequestError(f"--phase: the stretches follow each other as {', '.join(known)}; correct their times")
    return {phase: (from_s - begin, to_s - begin) for phase, (from_s, to_s) in ordered}


def _delivery_s(log: Log, asked: Asked, phases: Mapping[str, tuple[float, float]], procedure: Procedure) -> float:
    """Begin of the delivery, from the log's first row."""
    if asked.delivery_s is None:
        return phases["blank-before"][1] if _stops(procedure, phases) else 0.0
    delivery_s = asked.delivery_s - float(log.t_s[0])
    if "analysis" in phases and delivery_s > phases["analysis"][0] + EDGE_S:
        raise RequestError("--delivery: the pump began to deliver after the analysis began; correct one of the times")
    if _stops(procedure, phases) and delivery_s < phases["blank-before"][1] - EDGE_S:
        raise RequestError(
            "--delivery: the pump delivered in blank-before, for which it was stopped; correct the times, or say "
            "--set blank=diverter"
        )
    return delivery_s


def _stops(procedure: Procedure, phases: Mapping[str, tuple[float, float]]) -> bool:
    """Whether the pump was stopped for a blank before its delivery."""
    return "blank-before" in phases and procedure.values().get("blank") == "stopped"


def _inside(log: Log, what: str, from_s: float, to_s: float) -> None:
    """Whether a stretch lies within the log."""
    first, last = float(log.t_s[0]), float(log.t_s[-1])
    if not first - EDGE_S <= from_s <= to_s <= last + EDGE_S:
        said = f"{from_s:g} s" if from_s == to_s else f"{from_s:g} s to {to_s:g} s"
        raise RequestError(f"{what}: {said} is not within the log, which runs from {first:g} s to {last:g} s")


def _settings(
    kind: type[Procedure], station: Station, asked: Asked, phases: Mapping[str, tuple[float, float]]
) -> dict[str, str]:
    """Parameters: what was said, what the station usually does, and for lengths what the log holds."""
    given = {kind.param_name(name): value for name, value in asked.settings.items()}
    if "schedule" in kind.params and "schedule" not in given:
        raise RequestError(
            "--set schedule: nothing in a log says what the pump was programmed to deliver; "
            'add for example --set schedule="1 mL/day"'
        )
    usual = {kind.param_name(name): str(value) for name, value in station.procedures.get(kind.name, {}).items()}
    lengths = {name: to_s - from_s for name, (from_s, to_s) in phases.items()}
    blanks = [lengths[name] for name in ("blank-before", "blank-after") if name in lengths]
    if blanks:
        lengths["blank_length"] = min(blanks)
    held = {f"{name}_s": f"{length!r} s" for name, length in lengths.items() if f"{name}_s" in kind.params}
    return {**usual, **held, **given}


def _streams(
    log: Log, station: Station, path: Path, kind: type[Procedure]
) -> tuple[list[tuple[Stream, FloatArray, FloatArray]], dict[str, str], str]:
    """What the file holds: each column as the station's channel in its role; and how one was derived."""
    t_s = log.t_s - log.t_s[0]
    if "volume" in log.columns:
        volume = log.columns["volume"].values
        if at_s := resets(log.t_s, volume):
            raise RequestError(
                f"--volume: it falls at {at_s[0]:.6g} s, as where a counter is reset; join its parts to one volume, or "
                "import each by itself"
            )
        flow = np.diff(volume) / np.diff(t_s) * 3600.0
        streams = [
            (Stream("log", "log", (Channel("volume", "uL"),)), t_s, volume),
            (Stream("derived", "log", (Channel("flow", "uL/h"),)), t_s[1:], flow),
        ]
        return streams, {"flow": "derived.flow"}, "flow: difference of volume over that of time, at the later time"
    streams, roles = [], {}
    for what, role in (("mass", "reference_mass"), ("flow", "flow")):
        if what not in log.columns or not any(one.role == role for one in kind.roles):
            continue
        target = station.roles.get(role)
        if target is None or "." not in target:
            raise RequestError(
                f'{path}: table [roles] has no "{role}", so nothing says which instrument measured --{what}; '
                "add the line, and the instrument with its certificate"
            )
        instrument, _, channel = target.partition(".")
        unit = next(one.unit for one in kind.roles if isinstance(one, Measures) and one.role == role)
        streams.append((Stream(instrument, instrument, (Channel(channel, unit),)), t_s, log.columns[what].values))
        roles[role] = target
    return streams, roles, ""


def _weighs(procedure: Procedure, station: Station, path: Path, target: str) -> None:
    """Whether the station file says what a weighing is worth, and the log has what its blank needs."""
    balance = target.partition(".")[0]
    if station.instruments[balance].uncertainty is None:
        raise RequestError(f'{path}: instrument "{balance}" has no [instruments.{balance}.uncertainty]; add it')
    if station.collection is None:
        raise RequestError(f"{path}: it has no [collection], so nothing says into what the fluid was weighed; add it")
    if procedure.values()["blank"] == "twin":
        raise RequestError(
            '--set blank: "twin" needs the log of a second balance, which cannot be imported; choose stopped or '
            "diverter, and give the blanks that were taken with --phase"
        )


def _findings(
    station: Station,
    path: Path,
    roles: Mapping[str, str],
    articles: Mapping[str, Mapping[str, Any]],
    began: datetime,
    length_s: float,
) -> Iterator[Finding]:
    """What would have kept a run from its start: a pass that stands on it is conditional."""
    end = (began + timedelta(seconds=length_s)).date()
    for role, target in roles.items():
        instrument, _, channel = target.partition(".")
        table = station.instruments.get(instrument)
        certificate = table.calibration.get(channel) if table is not None else None
        if certificate is None and role == "reference_mass":
            yield Finding("calibration", "warns", f'{path}: "{target}" is the reference and has no calibration')
        elif certificate is not None and certificate.due < end:
            said = f"calibration {certificate.certificate} of {channel} was due {certificate.due}"
            yield Finding("calibration", "warns", f'{path}: instrument "{instrument}": {said}')
    fluid = articles["fluid"]
    if date.fromisoformat(str(fluid["expiry"])) < end:
        named = f"fluid {fluid['name']}, lot {fluid['lot']}"
        yield Finding("fluid-expiry", "warns", f"{named}: it expired {fluid['expiry']}, before the log ends")


def _program(procedure: Procedure, articles: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """What is unusual of the program that was stated; raises RequestError where it cannot have been so."""
    schedule, dut, fluid = procedure.programmed(), articles["dut"], articles["fluid"]
    if schedule is None:
        return
    for finding in (*program_findings.impossible(schedule, dut), *program_findings.another_drug(schedule, fluid)):
        raise RequestError(f"--set schedule: {finding.text}")
    for finding in program_findings.unusual(schedule, dut):
        yield Finding(finding.code, "warns", finding.text.removesuffix("; change it"))


def _header(plan: _Plan, out: Path) -> dict[str, Any]:
    procedure, schedule = plan.procedure, plan.procedure.programmed()
    return {
        "run_id": str(uuid4()),
        "schema": SCHEMA,
        "origin": str(Origin.IMPORTED),
        "title": f"{procedure.title} of {plan.articles['dut']['model']}, imported from {plan.log.source.name}",
        "procedure": procedure.name,
        "method": procedure.method,
        "params": procedure.values(),
        "start_utc": plan.asked.began.isoformat(),
        "station": plan.station.model_dump(mode="json", by_alias=False),
        "roles": dict(plan.roles),
        **plan.articles,
        "schedule": None if schedule is None else schedule.to_json(),
        "steps": [],  # nothing was done by this program
        "findings": [finding.to_json(plan.path) for finding in plan.findings],
        "software": software(),
        "session": circumstances(plan.asked.person, out, plan.path),
    }


def _write(writer: JournalWriter, plan: _Plan) -> None:
    """The log as a journal: where it came from, what was said of it, its samples, its end."""
    person, source = plan.asked.person, plan.log.source
    columns = {what: f"{one.name} [{one.unit}]" for what, one in plan.log.columns.items()}
    said = {"file": source.name, "bytes": source.size, "sha256": source.sha256, "rows": int(plan.log.t_s.size)}
    more = {"time_column": plan.log.time_column, "columns": columns, "derived": plan.derived, "person": person}
    writer.record("import", 0.0, {**said, **more, "first_row_s": float(plan.log.t_s[0])})
    for finding in plan.findings:
        reason = f"the log was made elsewhere and is imported as it is ({finding.to_json(plan.path)['text']})"
        writer.record("override", 0.0, {"finding": finding.code, "person": person, "reason": reason})
    if plan.procedure.programmed() is not None:
        stated = {"command": "RUN", "reply": f"nobody was asked: stated by {person} at the import"}
        times = {"issued_s": plan.delivery_s, "confirmed_s": plan.delivery_s}
        writer.record("pump-command", plan.delivery_s, {**stated, **times})
    for name, (from_s, to_s) in plan.phases.items():
        writer.record("phase", from_s, {"name": name, "state": "begin"})
        writer.record("phase", to_s, {"name": name, "state": "end"})
    for stream, t_s, values in plan.streams:
        writer.stream(stream)
        quality = _quality(plan.station, stream, values)
        for first in range(0, t_s.size, ROWS):
            rows = slice(first, first + ROWS)
            writer.block(Block(stream.name, first, t_s[rows], values[rows, None], quality[rows, None]))
            writer.write()
    status = {"status": str(Status.COMPLETED), "reason": f"imported from {source.name}"}
    writer.record("status", plan.end_s, status)


def _quality(station: Station, stream: Stream, values: FloatArray) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """What is beyond the range or the capacity that the station file states is saturated, whoever logged it.

    Raises
    ------
    RequestError
        All of it is.
    """
    quality = np.zeros(values.size, dtype=np.uint16)
    table, channel = station.instruments.get(stream.name), stream.channels[0]
    if table is None:
        return quality
    stated = (table.model_extra or {}).get("full_scale")
    if channel.unit == "uL/h" and stated is not None:
        full_scale = quantities.parse(str(stated), "flow")
        quality[np.abs(values) >= full_scale * (1.0 - math.ulp(1.0))] = int(Quality.SATURATED)
    if channel.unit == "mg" and table.uncertainty is not None:
        quality[np.abs(values) > table.uncertainty.capacity_mg] = int(Quality.SATURATED)
    if quality.all():
        raise RequestError(
            f'every {channel.name} of the log is beyond what "{stream.name}" can show by the station file; '
            f"see that the column and its unit are right"
        )
    return quality
