"""The bench itself: every part of the operational qualification, one run each, and the record of what it found."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.preflight import PreflightError
from bench.qualify.requirements import BENCH, GOOD
from bench.request import Request, RequestError, prepare
from bench.session import Lead, Result, conduct
from bench.station import Station, load_station
from data.checks import Check, Verdict, worst
from data.run import Run
from protocols.operational_qualification import PARTS

PROTOCOL = "operational-qualification"

STANDS_FOR = {"leak": ("rig-leak:20",)}
"""Faults of a simulated rig that stand for what a person opens at a real one."""

NOT_ASKED = "not asked for"

NOT_SIMULATED = {
    "relief": "a simulated rig has no relief valve",
    "watchdog": "a simulated rig has no cable that a person could pull; kills and resets are tried by the suite",
}


@dataclass(frozen=True)
class Part:
    """What became of one part.

    Attributes
    ----------
    why_not : why it was not run; ``cannot`` where this station never can.
    made_at, person : of its run, which may be of an earlier day than the record.
    """

    name: str
    run: str = ""
    file: str = ""
    status: str = ""
    why_not: str = ""
    cannot: bool = False
    checks: tuple[Check, ...] = ()
    made_at: str = ""
    person: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of its checks."""
        return worst(check.verdict for check in self.checks)


@dataclass(frozen=True)
class BenchRecord:
    """Installation and operation of one bench, as its runs found them."""

    station: Station
    made_at: str
    person: str
    parts: tuple[Part, ...]
    installed: tuple[dict[str, str], ...]
    software: dict[str, str]

    @property
    def verdict(self) -> Verdict:
        """The worst of the parts that were run; at best not-measured while any is left."""
        found = worst(part.verdict for part in self.parts if part.run)
        return Verdict.NOT_MEASURED if found in GOOD and self.left else found

    @property
    def left(self) -> tuple[str, ...]:
        """Parts that are still to be run; of a simulated bench those that it can."""
        simulated = self.station.simulated
        return tuple(part.name for part in self.parts if not part.run and not (simulated and part.cannot))

    def to_json(self) -> dict[str, Any]:
        """One document."""
        return {
            "made_at": self.made_at,
            "station": self.station.name,
            "simulated": self.station.simulated,
            "person": self.person,
            "verdict": str(self.verdict),
            "installed": list(self.installed),
            "software": self.software,
            "parts": [
                {
                    "part": part.name,
                    "run": part.run,
                    "file": part.file,
                    "status": part.status,
                    "why_not": part.why_not,
                    "made_at": part.made_at,
                    "person": part.person,
                    "verdict": str(part.verdict) if part.run else "",
                    "checks": [_check_json(check) for check in part.checks],
                }
                for part in self.parts
            ],
        }


def _check_json(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "title": check.title,
        "value": check.value,
        "U": check.expanded_uncertainty,
        "unit": check.unit,
        "limit_low": check.limit_low,
        "limit_high": check.limit_high,
        "verdict": str(check.verdict),
        "said": said(check),
        "note": check.note,
    }


def _check_from(said: Mapping[str, Any]) -> Check:
    """The check of a document, as far as a record tells it."""
    return Check(
        name=said["name"],
        title=said["title"],
        value=said["value"],
        unit=said["unit"],
        verdict=Verdict(said["verdict"]),
        owner="rig",
        expanded_uncertainty=said["U"],
        limit_low=said["limit_low"],
        limit_high=said["limit_high"],
        note=said["note"],
    )


def said(check: Check) -> str:
    """Value and U with their unit, in a few words."""
    if check.value is None:
        return check.note
    unit = "" if check.unit == "1" else f" {check.unit}"
    if not check.expanded_uncertainty:
        return f"{check.value:.4g}{unit}"
    decimals = min(6, max(0, 1 - math.floor(math.log10(check.expanded_uncertainty))))  # two digits of U
    return f"{check.value:.{decimals}f} ± {check.expanded_uncertainty:.{decimals}f}{unit}"


def qualify_bench(
    station_name: str,
    out: Path,
    *,
    made_at: str,
    person: str,
    seed: int = 1,
    parts: Sequence[str] = (),
    lead: Callable[[], Lead | None] = lambda: None,
    begins: Callable[[str], None] = lambda part: None,
) -> BenchRecord:
    """Run the parts in order, the one that ends with a pressed emergency stop last, and gather their record.

    Every part stands in the record: what an earlier record of the same station in the folder has of the others is kept.

    Parameters
    ----------
    parts : these alone are run; all without it.
    lead : who leads each run and asks a person; None for a simulated station, whose operator answers.

    Raises
    ------
    ValueError
        Bad input, or the preflight of a run blocks; nothing of that run has moved.
    """
    for name in parts:
        if name not in PARTS:
            raise RequestError(f'--part "{name}" is not known; there are {", ".join(PARTS)}')
    station = load_station(station_name)
    earlier = _earlier(out, station)
    before = {part.name: part for part in earlier.parts}
    done, files, why_none = [], [], []
    for name in (*(part for part in PARTS if part != "e-stop"), "e-stop"):
        request = _request(station, station_name, name, out, person, seed)
        asked, why = not parts or name in parts, _why_not(station, request, name)
        if why or not asked:
            done.append(before.get(name, Part(name, why_not=why or NOT_ASKED, cannot=bool(why))))
            why_none += [f"{name}: {why}"] if asked else []
            continue
        begins(name)
        leader = lead()
        try:
            result = conduct(replace(request, attended=leader is not None), lead=leader)
        except PreflightError as error:
            done.append(before.get(name, Part(name, why_not=str(error))))
            why_none.append(f"{name}: {error}")
            continue
        files.append(result.run_file)
        done.append(_part(name, result, made_at))
    if not files:
        raise RequestError("no part can be run: " + "; ".join(why_none))
    record = _record(station, made_at, person, tuple(done), files, earlier.installed)
    (out / BENCH).write_text(json.dumps(record.to_json(), indent=1, allow_nan=False), encoding="utf-8")
    return record


@dataclass(frozen=True)
class _Earlier:
    """What a folder holds of the same station: the parts that were run, and each instrument as it was read."""

    parts: tuple[Part, ...] = ()
    installed: tuple[Mapping[str, str], ...] = ()


def _earlier(out: Path, station: Station) -> _Earlier:
    """Read the record of a folder; raises RequestError where it is another bench's, or no record."""
    path = out / BENCH
    try:
        found = json.loads(path.read_text("utf-8"))
        if (found["station"], found["simulated"]) != (station.name, station.simulated):
            raise RequestError(f'{path}: it is of bench "{found["station"]}"; choose another folder with --out')
        parts = tuple(_part_from(part, found) for part in found["parts"] if part["run"])
        return _Earlier(parts, tuple(found["installed"]))
    except FileNotFoundError:
        return _Earlier()
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"{path}: it is no record of a bench ({error}); choose another folder with --out") from None


def _part_from(part: Mapping[str, Any], record: Mapping[str, Any]) -> Part:
    """A part of a document; one without a date of its own is of the record's."""
    return Part(
        part["part"],
        part["run"],
        part["file"],
        part["status"],
        checks=tuple(map(_check_from, part["checks"])),
        made_at=part.get("made_at") or record["made_at"],
        person=part.get("person") or record["person"],
    )


def _request(station: Station, given: str, part: str, out: Path, person: str, seed: int) -> Request:
    faults = STANDS_FOR.get(part, ()) if station.simulated else ()
    settings = {"part": part}
    serial = "" if station.simulated else "BENCH"  # no pump is under test
    return Request(
        PROTOCOL, given, settings=settings, serial=serial, faults=faults, seed=seed, out=out / "runs", person=person
    )


def _why_not(station: Station, request: Request, part: str) -> str:
    """Why a part cannot be run on this station; empty when it can."""
    if station.simulated and part in NOT_SIMULATED:
        return NOT_SIMULATED[part]
    try:
        prepare(request)
    except RequestError as error:
        return str(error)
    return ""


def _part(name: str, result: Result, made_at: str) -> Part:
    with Run.open(result.run_file) as run:
        person = str(run.session.get("user") or "")
    return Part(
        name,
        result.verification.digest[:16],
        f"runs/{result.run_file.name}",
        str(result.end.status),
        checks=result.evaluation.checks,
        made_at=made_at,
        person=person,
    )


def _record(
    station: Station,
    made_at: str,
    person: str,
    parts: tuple[Part, ...],
    files: Sequence[Path],
    known: Sequence[Mapping[str, str]],
) -> BenchRecord:
    read = ("maker", "model", "serial", "firmware")
    identities = {one["instrument"]: {name: one.get(name, "") for name in read} for one in known}
    for path in files:
        with Run.open(path) as run:
            for event in run.records("identity"):
                identities[str(event.fields["instrument"])] = {name: str(event.fields.get(name) or "") for name in read}
            software, who = dict(run.software), person or str(run.session.get("user") or "")
    installed = tuple(_installed(station, identities))
    return BenchRecord(station, made_at, who, parts, installed, software)


def _installed(station: Station, identities: dict[str, dict[str, str]]) -> Iterator[dict[str, str]]:
    """Each instrument: what it said of itself, and its certificates."""
    for name, table in station.instruments.items():
        certificates = "; ".join(
            f"{channel}: {calibration.certificate}, due {calibration.due}"
            for channel, calibration in table.calibration.items()
        )
        unread = dict.fromkeys(("maker", "model", "serial", "firmware"), "")
        yield {
            "instrument": name,
            "driver": table.driver,
            **(identities.get(name) or unread),
            "certificates": certificates,
        }
