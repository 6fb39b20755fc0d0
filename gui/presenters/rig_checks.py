"""The rig checks of a folder: what each said, how long the latest holds, and the charts of their results.

Reading them opens run files, so it is done apart: `read_rig_checks` is for a process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.rig_chart import RigChart, rig_charts
from bench.rig_reference import ACCEPTED, PROCEDURE, RigReference, rig_reference
from bench.station import Station, load_station
from data.checks import Origin, Verdict
from data.run import Run, RunError
from gui.presenters.numbers import local_date, rough_duration
from gui.presenters.tone import TONE_OF_VERDICT, Tone

MOST_ROWS = 200
"""The latest rig checks of a station that are listed."""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One rig check.

    Attributes
    ----------
    begun, ended : in UTC; of a simulated one on the clock of the computer.
    expires : until when it would hold by its age alone; None where the station asks for none.
    seed : of a simulated rig.
    """

    path: Path
    begun: datetime
    ended: datetime
    verdict: Verdict
    expires: datetime | None
    seed: int | None
    origin: Origin

    @property
    def date(self) -> str:
        """When it was made."""
        return local_date(self.begun)

    @property
    def tone(self) -> Tone:
        """Of its verdict."""
        return TONE_OF_VERDICT[self.verdict]

    def validity(self, is_latest: bool, state: RigState, now: datetime) -> tuple[str, Tone]:
        """Whether a run may rely on it."""
        if not is_latest:
            return "replaced by a later one", Tone.MUTED
        word, tone = state.says(now)
        return word, tone


@dataclass(frozen=True)
class RigState:
    """What is known of the rig checks of one station.

    Attributes
    ----------
    demanded : whether a run needs one that holds.
    reference : of the latest, judged when it was read; None where the station has no table [rig_check].
    rows : the latest first.
    """

    station: str
    demanded: bool = False
    reference: RigReference | None = None
    rows: tuple[CheckRow, ...] = ()
    charts: tuple[RigChart, ...] = ()

    @property
    def latest(self) -> CheckRow | None:
        """The last one that was made."""
        return self.rows[0] if self.rows else None

    def says(self, now: datetime) -> tuple[str, Tone]:
        """Whether a run may rely on the latest, at a moment."""
        minds = Tone.WARN if self.demanded else Tone.MUTED
        latest = self.latest
        if self.reference is None:
            return "no rig check is asked for", Tone.MUTED
        if latest is None:
            return "none was made", minds
        age = rough_duration(max((now - latest.ended).total_seconds(), 0.0))
        if latest.verdict not in ACCEPTED:
            return f"{latest.verdict}, {age} ago", Tone.FAIL
        if latest.expires is not None and now > latest.expires:
            return f"expired: {age} old", minds
        if not self.reference.holds:
            return _short(self.reference), minds
        assert latest.expires is not None
        return f"holds until {local_date(latest.expires)}", Tone.GOOD

    def holds(self, now: datetime) -> bool:
        """Whether a run may rely on it."""
        latest = self.latest
        expired = latest is None or latest.expires is None or now > latest.expires
        return self.reference is not None and self.reference.holds and not expired


def read_rig_checks(folder: str, names: Sequence[str], with_charts: bool) -> dict[str, RigState]:
    """The rig checks of some stations, by the names of their files; a file that cannot be read is left out."""
    states = {}
    for name in names:
        try:
            station = load_station(name)
        except (ValueError, OSError):
            continue
        states[name] = _state(Path(folder), station, with_charts)
    return states


def rig_files(folder: Path) -> tuple[tuple[str, int], ...]:
    """Name and time of each rig check of a folder: when they change, it is time to read them again."""
    found = []
    for path in folder.glob(f"{PROCEDURE}_*.h5"):
        try:
            found.append((path.name, path.stat().st_mtime_ns))
        except OSError:
            continue
    return tuple(sorted(found))


def _state(folder: Path, station: Station, with_charts: bool) -> RigState:
    rows = sorted(_rows(folder, station), key=lambda row: row.begun, reverse=True)[:MOST_ROWS]
    reference = None
    if station.rig_check is not None:
        origin = Origin.MEASURED if station.real else Origin.SIMULATED
        seed = rows[0].seed if rows else None
        rows = [row for row in rows if row.origin is origin]
        reference = rig_reference(folder, station, origin, seed, datetime.now(UTC))
    demanded = station.rig_check is not None and station.rig_check.demanded
    charts = tuple(rig_charts(folder, station.name)) if with_charts else ()
    return RigState(station.name, demanded, reference, tuple(rows), charts)


def _rows(folder: Path, station: Station) -> list[CheckRow]:
    valid_s = None if station.rig_check is None else station.rig_check.valid_s
    rows = []
    for path in sorted(folder.glob(f"{PROCEDURE}_*.h5")):
        try:
            with Run.open(path) as run:
                if run.procedure != PROCEDURE or run.station.get("name") != station.name or run.evaluation is None:
                    continue
                begun = datetime.fromisoformat(str(run.session.get("wall_start") or run.start.isoformat()))
                # A simulated run's own times are virtual; it was made at the time of the computer.
                lasted_s = 0.0 if run.origin is Origin.SIMULATED else run.end_s
                row = CheckRow(path, begun, begun, run.evaluation.verdict, None, run.seed, run.origin)
        except (RunError, ValueError, OSError):
            continue
        ended = begun + timedelta(seconds=lasted_s)
        expires = None if valid_s is None else ended + timedelta(seconds=valid_s)
        rows.append(replace(row, ended=ended, expires=expires))
    return rows


def _short(reference: RigReference) -> str:
    """Why it does not hold, without the file's name, which stands beside it, and without the remedy."""
    said = reference.why.split("; ")[0].replace(f", {reference.file}", "").removeprefix("the latest rig check, ")
    return said.replace("was changed since the latest rig check", "was changed since")
