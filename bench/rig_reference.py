"""The rig check that a run relies on: the station's latest one, and whether it still holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.state_folder import home
from bench.station import Station
from bench.trust.standing import standing
from data.checks import Origin, Verdict
from data.run import Run, RunError
from data.seal import Verifier, read_seal, verify
from protocols.analysis.rig.reference import fluid_of, serials_of
from protocols.procedure import ParamError
from protocols.rig_check import RigCheck

PROCEDURE = RigCheck.name

ACCEPTED = (Verdict.PASS, Verdict.CONDITIONAL_PASS)

JUDGED_BY = ("instruments", "collection", "roles", "rig_check")
"""Tables of a station file on which the verdict of a rig check stands."""

CLOCKS_APART = timedelta(minutes=5)
"""A clock that was set may be so far behind what it was; a rig check from later than that says nothing of its age."""

OF_TODAY = {"demanded", "valid_s"}
"""Keys of the table [rig_check] that say nothing of the rig: they count as they stand now."""


@dataclass(frozen=True)
class RigReference:
    """What a run may say of its rig.

    Attributes
    ----------
    demanded : the station asks for a rig check.
    holds : there is one, it passed, is intact, recent, of the present method and demanding enough, and nothing of the
        station has changed since.
    why : the sentence that says why it does not hold; empty when it does.
    run_id, digest, file : of the rig check; empty without one.
    values : what it measured of the rig, such as ``flow_gain``, unit in the name.
    fluid : with which it was made: a flow sensor has another gain for another one.
    serials : of its instruments, as they told them; the pump under test may be another one.
    """

    demanded: bool
    holds: bool
    why: str = ""
    run_id: str = ""
    digest: str = ""
    file: str = ""
    values: dict[str, float] = field(default_factory=dict)
    fluid: dict[str, Any] = field(default_factory=dict)
    serials: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Fields of the run's record "rig-check"."""
        return {
            "demanded": self.demanded,
            "holds": self.holds,
            "text": self.why,
            "check_run_id": self.run_id,
            "check_digest": self.digest,
            "values": dict(self.values),
            "fluid": dict(self.fluid),
            "serials": dict(self.serials),
        }


def rig_reference(
    folder: Path,
    station: Station,
    origin: Origin,
    seed: int | None,
    now: datetime,
    verified_by: Verifier | None = None,
) -> RigReference:
    """Find the station's latest rig check among the runs of a folder, and judge whether it holds.

    Parameters
    ----------
    seed : of a simulated station, whose rig is another one for each seed; None for a real one.
    now : moment at which the run begins, in UTC.
    verified_by : what looks at the file of the rig check; `verify`, in a process of its own, without it.
    """
    demanded = station.rig_check is not None and station.rig_check.demanded
    if station.rig_check is None:
        return RigReference(False, False, "the station asks for no rig check")
    latest = max(_candidates(folder, station, origin, seed), key=lambda found: found.begun, default=None)
    if latest is None:
        why = f'no rig check of station "{station.name}" was found in {folder}; run rig-check first'
        return RigReference(demanded, False, why)
    why = _why_not(latest, station, origin, now, verified_by or verify)
    told = latest.run_id, latest.digest, latest.path.name, latest.values, latest.fluid, latest.serials
    return RigReference(demanded, not why, why, *told)


@dataclass(frozen=True)
class _Found:
    path: Path
    run_id: str
    digest: str
    begun: datetime
    ended: datetime
    verdict: Verdict
    method: int
    params: dict[str, Any]
    station: dict[str, Any]
    values: dict[str, float]
    fluid: dict[str, Any]
    serials: dict[str, str]


def _candidates(folder: Path, station: Station, origin: Origin, seed: int | None) -> Iterator[_Found]:
    for path in sorted(folder.glob(f"{PROCEDURE}_*.h5")):
        try:
            sealed = read_seal(path)
            with Run.open(path) as run:
                if run.procedure != PROCEDURE or run.station.get("name") != station.name or run.origin is not origin:
                    continue
                if run.seed != seed or run.evaluation is None or sealed is None:
                    continue
                # A simulated run's own times are virtual; it was made at the time of the computer.
                begun = datetime.fromisoformat(str(run.session.get("wall_start") or run.start.isoformat()))
                lasted = timedelta(seconds=0.0 if origin is Origin.SIMULATED else run.end_s)
                evaluation = run.evaluation
                yield _Found(
                    path,
                    str(sealed["run_id"]),
                    str(sealed["content"]),
                    begun,
                    begun + lasted,
                    evaluation.verdict,
                    run.method,
                    run.params,
                    run.station,
                    dict(evaluation.values),
                    fluid_of(run),
                    serials_of(run),
                )
        except (RunError, ValueError, OSError):
            continue  # a file that cannot be read proves nothing; the next one may


def _why_not(found: _Found, station: Station, origin: Origin, now: datetime, verified_by: Verifier) -> str:
    """Why a rig check does not hold, as one sentence; empty when it does."""
    assert station.rig_check is not None
    name = found.path.name
    if found.verdict not in ACCEPTED:
        return f"the latest rig check, {name}, ended {found.verdict}; mend the rig and run rig-check again"
    if found.begun > now + CLOCKS_APART:
        return f"the latest rig check, {name}, is of a time to come; look at the computer's clock, then run it again"
    until = found.ended + timedelta(seconds=station.rig_check.valid_s)
    if now > until:
        return f"the latest rig check, {name}, held until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC; run it again"
    if found.method != RigCheck.method:
        return f"the latest rig check, {name}, is of method {found.method}, not {RigCheck.method}; run rig-check again"
    stated = station.model_dump(mode="json", by_alias=False)
    changed = next((key for key in JUDGED_BY if _judged_by(stated, key) != _judged_by(found.station, key)), None)
    if changed:
        return f"the station's table [{changed}] was changed since the latest rig check, {name}; run rig-check again"
    try:
        less = _less(found, station, origin)
    except ParamError as error:
        return f"the station's table [procedures.rig-check] cannot be used: {error}; mend it and run rig-check again"
    if less:
        return f"the latest rig check, {name}, was run with {less}; run rig-check again as the station states it"
    verification = verified_by(found.path)
    if not verification.intact:
        return f"the latest rig check, {name}, is {verification.state}; run rig-check again"
    if (
        origin is Origin.MEASURED
    ):  # anybody can make a file that is whole; a real bench relies on what it has registered
        vouched = standing(found.path, home(), found=verification)
        if not vouched.intact:
            return f"the latest rig check, {name}, is {vouched.state}: {vouched.problems[0]}; or run rig-check again"
    return ""


def _judged_by(station: Mapping[str, Any], key: str) -> Any:
    """A table of a station, less what does not decide what a rig check says."""
    table = station.get(key)
    return {name: table[name] for name in table if name not in OF_TODAY} if key == "rig_check" and table else table


def _less(found: _Found, station: Station, origin: Origin) -> str:
    """Where a rig check was run with less than the protocol or the station asks for; "" where nowhere.

    Simulated runs prove nothing of a pump, so the short form of a qualification is enough for them.
    """
    stated = {RigCheck.param_name(name): value for name, value in station.procedures.get(PROCEDURE, {}).items()}
    forms = [stated]
    if origin is not Origin.MEASURED:
        forms.append(stated | {RigCheck.param_name(name): value for name, value in RigCheck.qualification.items()})
    said = [RigCheck(**form).falls_short(found.params) for form in forms]
    return said[-1] if all(said) else ""
