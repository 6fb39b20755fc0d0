"""Reading a run file.  An evaluation sees a run through this alone; nothing here knows a procedure.

Everything is read when it is asked for and no earlier, so that opening a run of 30 days costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from data.channels import times_of
from data.checks import Evaluation, Origin, Status, Verdict
from data.hdf5 import OTHER, RecordError, read_mapping, read_scalar, read_table
from data.layout import (
    DEFINITION,
    ENTRY,
    EVALUATION,
    FORMAT,
    INSTRUMENTS,
    RECORDS,
    SCHEDULE,
    SESSION,
    definition_of,
    read_code,
    read_evaluation,
    why_unread,
)
from data.samples import UNUSABLE, Channel, FloatArray, QualityArray, Rest, due_before
from data.schedule import Schedule
from data.seal import seal_of_open


class RunError(RecordError):
    """A run file that is foreign or damaged, or lacks what is asked for; the message says what and what to do."""


@dataclass(frozen=True, slots=True)
class Event:
    """A record of the run.  ``fields`` has every field of its kind, None where this record has none."""

    t: float
    kind: str
    fields: Mapping[str, Any]

    @property
    def text(self) -> str:
        """What it says to a person, empty where nothing."""
        return str(self.fields.get("text") or "")


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A phase and its time; one that the run's end cut off ends there."""

    name: str
    t0: float
    t1: float
    complete: bool


Span = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Samples of one channel.

    Attributes
    ----------
    t : (samples,) seconds on the run's clock, by the fitted clock of the instrument where it has one.
    values : (samples,) in the channel's unit.
    quality : (samples,) bit masks of `Quality`.
    phases : name and time of the run's phases, for `within`.
    """

    t: FloatArray
    values: FloatArray
    quality: QualityArray
    channel: Channel
    phases: Mapping[str, Span] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.t)

    def within(self, begin: float | str | Span | PhaseSpan, end: float | None = None) -> Series:
        """Samples from ``begin`` up to and without ``end``; or of a phase, given by name or by its two times.

        Raises
        ------
        RunError
            There is no phase of this name.
        """
        if isinstance(begin, str):
            begin = _phase(self.phases, begin)
        if isinstance(begin, PhaseSpan):
            begin = (begin.t0, begin.t1)
        t0, t1 = begin if isinstance(begin, tuple) else (begin, np.inf if end is None else end)
        rows = slice(*np.searchsorted(self.t, [t0, t1]))
        return replace(self, t=self.t[rows], values=self.values[rows], quality=self.quality[rows])

    def good(self) -> Series:
        """Samples that may be used: no bit of `UNUSABLE` is set and the value is a number."""
        usable = (self.quality & int(UNUSABLE) == 0) & ~np.isnan(self.values)
        if usable.all():
            return self
        return replace(self, t=self.t[usable], values=self.values[usable], quality=self.quality[usable])


class Run:
    """An open run file; use it in a ``with`` statement."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        self._entry: h5py.Group = file[ENTRY]
        self._series: dict[str, Series] = {}

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open a file for reading.

        Raises
        ------
        RunError
            The file is missing, no HDF5, truncated, or no run of ours.
        """
        try:
            file = h5py.File(path, "r")
        except FileNotFoundError:
            raise RunError(f"{path}: there is no such file; give the path of a run file (.h5)") from None
        except OSError as error:
            raise RunError(f"{path}: {why_unread(path, error)}") from None
        try:
            definition = definition_of(file)
            if definition is None:
                raise KeyError(DEFINITION)
            version = str(definition.attrs["version"])
        except (KeyError, AttributeError, ValueError, RuntimeError, OSError):
            file.close()
            raise RunError(
                f"{path}: is HDF5 but no run of pumpbench; give a run file, or import it with its own tool"
            ) from None
        if version != str(FORMAT):
            file.close()
            raise RunError(f"{path}: has format {version}, this program reads format {FORMAT}; use its own")
        return cls(path, file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    # -- what the run was

    @cached_property
    def procedure(self) -> str:
        """Name of the procedure."""
        return str(self._scalar("procedure"))

    @cached_property
    def method(self) -> int:
        """Version of the procedure's method."""
        return int(self._scalar("method"))

    @cached_property
    def title(self) -> str:
        """What a person calls it."""
        return str(self._scalar("title", self.procedure))

    @cached_property
    def origin(self) -> Origin:
        """Where the data come from."""
        return Origin(self._scalar("origin"))

    @cached_property
    def status(self) -> Status:
        """How the run ended."""
        return Status(self._scalar("status"))

    @cached_property
    def status_reason(self) -> str:
        """Why it ended so."""
        return str(self._scalar("status_reason", ""))

    @cached_property
    def seed(self) -> int | None:
        """Seed of a simulated run."""
        seed = self._scalar("seed", None)
        return None if seed is None else int(seed)

    @cached_property
    def faults(self) -> list[str]:
        """Faults that a simulated run was given."""
        return list(self._scalar("faults", []))

    @cached_property
    def start(self) -> datetime:
        """Moment of t = 0."""
        return datetime.fromisoformat(str(self._scalar("start_time")))

    @cached_property
    def end_s(self) -> float:
        """Time of the last thing that the run recorded."""
        return float(self._scalar("duration"))

    @cached_property
    def params(self) -> dict[str, Any]:
        """Parameters of the procedure, in our units."""
        return self._mapping("parameters")

    @cached_property
    def station(self) -> dict[str, Any]:
        """The station file."""
        return self._mapping("station")

    @cached_property
    def roles(self) -> dict[str, str]:
        """What of the station took each role: "stream.channel", or an instrument."""
        return self._mapping("roles")

    @cached_property
    def dut(self) -> dict[str, Any]:
        """The pump under test."""
        return self._mapping("dut")

    @cached_property
    def catheter(self) -> dict[str, Any]:
        """The catheter."""
        return self._mapping("catheter")

    @cached_property
    def fluid(self) -> dict[str, Any]:
        """The fluid."""
        return self._mapping("fluid")

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """The recipe that fixed parameters and limits; empty for a run without one."""
        return self._mapping("recipe")

    @cached_property
    def software(self) -> dict[str, str]:
        """Versions of the packages that ran."""
        return self._mapping("software")

    @cached_property
    def instruments(self) -> dict[str, dict[str, Any]]:
        """Settings and calibration of each instrument, and under "identity" what it said of itself."""
        groups = self._entry[INSTRUMENTS].items() if INSTRUMENTS in self._entry else ()
        return {name: read_mapping(group) for name, group in groups}

    @cached_property
    def session(self) -> dict[str, Any]:
        """The computer and the moment; outside the content digest."""
        return read_mapping(self._file[SESSION]) if SESSION in self._file else {}

    @cached_property
    def seal(self) -> str:
        """Digest of its seal; empty without one, and where another file lies at its path by now."""
        return seal_of_open(self.path, self._file)

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """The plan, step by step, as it was before anything moved."""
        return list(self._scalar("steps", []))

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """What the check before the start found."""
        return list(self._scalar("findings", []))

    @cached_property
    def schedule(self) -> Schedule:
        """What the pump was programmed to deliver; raises RunError when the run has no schedule."""
        if SCHEDULE not in self._entry:
            raise RunError(f"{self.path}: the run has no delivery schedule")
        return Schedule.from_json(read_scalar(self._entry[SCHEDULE]["json"]))

    # -- what happened

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Every record of every kind, in the order in which they were made."""
        found: list[tuple[int, Event]] = []
        for kind, group in self._entry[RECORDS].items():
            columns = read_table(group)
            times, order = columns.pop("time"), columns.pop("order")
            other = columns.pop(OTHER, [None] * len(times))
            for row, t in enumerate(times):
                fields = {name: values[row] for name, values in columns.items()} | (other[row] or {})
                found.append((order[row], Event(t, kind, fields)))
        return tuple(event for _, event in sorted(found, key=lambda item: item[0]))

    def records(self, kind: str) -> list[Event]:
        """Records of one kind, in order."""
        return [event for event in self.events if event.kind == kind]

    @cached_property
    def answers(self) -> dict[str, Any]:
        """What persons answered, by the prompt's key; the last answer counts."""
        return {str(event.fields["key"]): event.fields.get("value") for event in self.records("answer")}

    @cached_property
    def phases(self) -> tuple[PhaseSpan, ...]:
        """Phases in the order of their beginning."""
        begun: list[tuple[str, float]] = []
        ended: dict[int, float] = {}
        for event in self.records("phase"):
            name = str(event.fields["name"])
            if event.fields["state"] == "begin":
                begun.append((name, event.t))
            else:
                ended.update([(at, event.t) for at, (other, _) in enumerate(begun) if other == name][-1:])
        return tuple(PhaseSpan(name, t0, ended.get(at, self.end_s), at in ended) for at, (name, t0) in enumerate(begun))

    def phase(self, name: str) -> Span:
        """Begin and end of a phase, of the last one of this name; raises RunError when there is none."""
        return _phase(self._spans, name)

    @cached_property
    def _spans(self) -> dict[str, Span]:
        return {phase.name: (phase.t0, phase.t1) for phase in self.phases}

    # -- what was measured

    @cached_property
    def streams(self) -> dict[str, h5py.Group]:
        """Groups of the streams, by name."""
        groups = self._entry.values()
        return {str(group.attrs["stream"]): group for group in groups if "stream" in group.attrs}

    @cached_property
    def channels(self) -> dict[str, Channel]:
        """Every recorded channel by "stream.channel"."""
        return {
            f"{stream}.{name}": _channel(group[name])
            for stream, group in self.streams.items()
            for name in _names(group)
        }

    def has(self, role: str) -> bool:
        """Whether a role, or "stream.channel", was recorded with at least one sample."""
        found = self._find(role)
        return found is not None and len(found[0][found[1]]) > 0

    def series(self, role: str) -> Series:
        """Samples of a role, or of "stream.channel", as indicated; kept, so that asking again costs nothing.

        Raises
        ------
        RunError
            There is no such channel; says which there are.
        """
        if role not in self._series:
            found = self._find(role)
            if found is None:
                there = ", ".join(sorted({*self.channels, *self.roles})) or "none"
                raise RunError(f'{self.path}: has no channel or role "{role}"; there are {there}')
            group, name = found
            try:
                values = np.asarray(group[name][:], dtype=np.float64)
                quality = np.asarray(group[f"{name}_quality"][:], dtype=np.uint16)
                t = times_of(group)
            except (OSError, RuntimeError, KeyError) as error:
                raise RunError(f'{self.path}: channel "{role}" cannot be read; run verify on the file') from error
            self._series[role] = Series(t, values, quality, _channel(group[name]), self._spans)
        return self._series[role]

    def calibration(self, role: str) -> dict[str, Any]:
        """What the station's certificate says of a role's channel, or of "stream.channel"; empty without one."""
        instrument, _, channel = str(self.roles.get(role, role)).partition(".")
        tables = self.station.get("instruments", {})
        return dict(tables.get(instrument, {}).get("calibration", {}).get(channel) or {})

    def corrected(self, role: str) -> Series:
        """`series`, which holds indications, as true values: gain · (indication + offset) by the certificate."""
        series, certificate = self.series(role), self.calibration(role)
        gain, offset = float(certificate.get("gain", 1.0)), float(certificate.get("offset", 0.0))
        if (gain, offset) == (1.0, 0.0):
            return series
        return replace(series, values=gain * (series.values + offset))

    def gaps(self, role: str) -> list[tuple[float, float, int]]:
        """Lost samples: time of the last one before, of the first one after, and how many are missing.

        Those that nobody wanted while the stream rested are not missing.
        """
        found = self._find(role)
        if found is None or "index" not in found[0]:
            return []
        index, t = found[0]["index"][:], self.series(role).t
        missing = np.diff(due_before(index + 1, self.rests(str(found[0].attrs["stream"])))) - 1
        return [(float(t[k]), float(t[k + 1]), int(missing[k])) for k in np.flatnonzero(missing > 0)]

    def rests(self, stream: str) -> list[Rest]:
        """The stretches of a stream of which not every sample was kept, since its instrument has a resting period."""
        found: list[Rest] = []
        for event in self.records("rest"):
            if event.fields["instrument"] == stream:
                index, every = int(event.fields["sample"]), int(event.fields["every"])
                if event.fields["state"] == "begin":
                    found.append(Rest(every, index))
                elif found:
                    found[-1] = replace(found[-1], to_index=index)
        return found

    def _find(self, role: str) -> tuple[h5py.Group, str] | None:
        stream, _, name = str(self.roles.get(role, role)).partition(".")
        group = self.streams.get(stream)
        return (group, name) if group is not None and name in _names(group) else None

    # -- what was concluded

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """The stored evaluation, None where the run was not evaluated."""
        return read_evaluation(self._entry)

    @cached_property
    def verdict(self) -> Verdict | None:
        """The stored verdict alone, None where the run was not evaluated."""
        return Verdict(read_scalar(self._entry[EVALUATION]["verdict"])) if EVALUATION in self._entry else None

    @cached_property
    def evaluated_by(self) -> str:
        """Identity of the code that evaluated."""
        return read_code(self._entry)

    # -- small parts

    def _scalar(self, name: str, *default: Any) -> Any:
        if name in self._entry:
            return read_scalar(self._entry[name])
        if default:
            return default[0]
        raise RunError(f'{self.path}: has no "{name}"; the file is damaged, run verify on it')

    def _mapping(self, name: str) -> dict[str, Any]:
        return read_mapping(self._entry[name]) if name in self._entry else {}


def _phase(spans: Mapping[str, Span], name: str) -> Span:
    try:
        return spans[name]
    except KeyError:
        raise RunError(f'the run has no phase "{name}"; it has {", ".join(spans) or "none"}') from None


def _names(group: h5py.Group) -> Iterator[str]:
    """Names of a stream's channels, the plotted one first."""
    yield str(group.attrs["signal"])
    yield from map(str, group.attrs.get("auxiliary_signals", ()))


def _channel(dataset: h5py.Dataset) -> Channel:
    attributes = dataset.attrs
    name = dataset.name.rpartition("/")[2]
    described = str(attributes["long_name"])
    return Channel(
        name,
        str(attributes["units"]),
        attributes.get("reference"),
        float(attributes["height_mm"]),
        "" if described == name else described,
        None if (most := attributes.get("max_step")) is None else float(most),
    )
