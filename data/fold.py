"""From a journal to a run file.  Closing a run, recovering one and taking a snapshot are this one function.

What is written follows from the journal's frames alone: not from where or when it is folded, nor from where one block
ends and the next begins.  What belongs to the computer and the moment goes to /session.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data.channels import StreamData, describe_time
from data.checks import Status
from data.frames import Frame, FrameKind, JournalError, Record, SessionNote, decode_anchor, decode_block
from data.hdf5 import (
    OTHER,
    Disk,
    hdf5_file,
    made_whole,
    usable_name,
    write_mapping,
    write_scalar,
    write_table,
)
from data.journal import Fixed, JournalReader, read_journal
from data.layout import (
    ALTERED,
    ANCHORS,
    DEFINITION,
    DEFINITION_AT,
    ENTRY,
    FORMAT,
    HEADER_SCALARS,
    INSTRUMENTS,
    MAPPINGS,
    RECORDS,
    RESERVED,
    SCHEDULE,
    SESSION,
    USER_BLOCK,
    add_group,
)
from data.schedule import Schedule, ScheduleError

PLOTTED = ("flow", "reference_mass")
"""Roles of which a viewer shows the first that was recorded, before any other."""

HEADER_MAPPING = {"parameters": "params"}
"""Keys of the header that have another name in the file."""

COLUMNS = ("time", "order")
"""Columns of every table of records; a field of the same name goes into the JSON of other fields."""


def fold(
    journal: Path,
    out: Path,
    *,
    incomplete: bool = False,
    until_s: float = math.inf,
    session: Mapping[str, Any] | None = None,
    fixed: Fixed | None = None,
) -> Path:
    """Make the run file of a journal, whole or not at all; the journal is only read, and may still be written.

    Parameters
    ----------
    incomplete : the run goes on (a snapshot): its status is "incomplete" whatever the journal says.
    until_s : only what was measured and happened up to then goes into the file, wherever a block ends.
    session : further facts for /session, outside the content digest, such as that the run was recovered.
    fixed : what is known of the journal from elsewhere; where it is another one, the file says so itself.

    Raises
    ------
    JournalError
        The journal is missing, foreign, or ends before its header does.
    RecordError
        ``out`` exists or cannot be written; nothing is left behind.
    """
    with (
        made_whole(out) as part,
        read_journal(journal) as reader,
        hdf5_file(part, "w", out, userblock_size=USER_BLOCK) as (file, disk),
    ):
        _Fold(file, disk, reader, until_s, fixed or Fixed()).run(incomplete, session or {})
    return out


class _Fold:
    """One pass over the frames; memory is bounded by one chunk a channel and the records."""

    def __init__(self, file: h5py.File, disk: Disk, reader: JournalReader, until_s: float, fixed: Fixed) -> None:
        self._file = file
        self._disk = disk
        self._reader = reader
        self._until_s = until_s
        self._fixed = fixed
        self._chains: dict[int, str] = {}  # those of the fixed ones
        self._header = reader.header
        self._start_utc = str(self._header["start_utc"])
        self._streams: list[StreamData] = []
        self._records: list[Record] = []
        self._notes: list[SessionNote] = []
        root = file.attrs
        root["NX_class"] = "NXroot"
        root["default"] = ENTRY
        self._entry = add_group(file, ENTRY, "NXentry")

    def run(self, incomplete: bool, session: Mapping[str, Any]) -> None:
        for frame in self._reader:
            self._take(frame)
            if self._reader.frames in self._fixed.chains:
                self._chains[self._reader.frames] = self._reader.chain.hex()
            self._disk.check()
        self._write_header(incomplete)
        self._write_schedule()
        self._write_instruments()
        for data in self._streams:
            data.finish(self._start_utc)
        self._write_anchors()
        write_records(add_group(self._entry, RECORDS, "NXcollection"), self._records, self._start_utc)
        self._choose_plot()
        self._write_session(session)

    def _take(self, frame: Frame) -> None:
        if frame.kind == FrameKind.BLOCK:
            block = decode_block(frame.payload)
            self._stream(block.number).append(block if math.isinf(self._until_s) else block.until(self._until_s))
        elif frame.kind == FrameKind.ANCHOR:
            number, host_t, samples = decode_anchor(frame.payload)
            if host_t <= self._until_s:
                self._stream(number).anchors.append((host_t, samples))
        elif frame.kind == FrameKind.STREAM:
            self._add_stream()
        elif frame.kind in (FrameKind.RECORD, FrameKind.SESSION):
            said = self._reader.decode(frame)
            if isinstance(said, Record):
                if said.t <= self._until_s:
                    self._records.append(said)
            elif isinstance(said, SessionNote):
                self._notes.append(said)

    def _stream(self, number: int) -> StreamData:
        try:
            return self._streams[number]
        except IndexError:
            raise JournalError(
                f"{self._reader.path}: names a stream that it does not declare; it is no run's"
            ) from None

    def _add_stream(self) -> None:
        stream = self._reader.streams[-1]
        names = [channel.name for channel in stream.channels]
        group = add_group(
            self._entry,
            f"{stream.name}_stream" if stream.name in RESERVED else stream.name,
            "NXdata",
            stream=stream.name,
            instrument=stream.instrument,
            signal=names[0],
            axes=["time"],
            time_indices=np.array([0]),
        )
        if names[1:]:
            group.attrs["auxiliary_signals"] = names[1:]
        self._streams.append(StreamData(group, stream))

    @property
    def _end_s(self) -> float:
        """When the last thing happened that the journal knows of."""
        ends = [record.t for record in self._records] + [data.last_t for data in self._streams if data.rows]
        return max(ends, default=0.0)

    def _write_header(self, incomplete: bool) -> None:
        entry, header = self._entry, self._header
        definition = write_scalar(entry, DEFINITION_AT[0], DEFINITION)
        definition.attrs["version"] = str(FORMAT)
        write_scalar(entry, "start_time", self._start_utc)
        write_scalar(entry, "end_time", _later(self._start_utc, self._end_s))
        write_scalar(entry, "duration", self._end_s).attrs["units"] = "s"
        final = next((record.fields for record in reversed(self._records) if record.kind == "status"), {})
        if incomplete or not final:
            final = {"status": str(Status.INCOMPLETE), "reason": "the journal ends before the run does"}
        write_scalar(entry, "status", str(final.get("status")))
        write_scalar(entry, "status_reason", str(final.get("reason") or ""))
        for key in HEADER_SCALARS:
            if header.get(key) is not None:
                write_scalar(entry, key, header[key])
        for name, nx_class in MAPPINGS.items():
            mapping = header.get(HEADER_MAPPING.get(name, name))
            if isinstance(mapping, Mapping):
                write_mapping(add_group(entry, name, nx_class), mapping)

    def _write_schedule(self) -> None:
        """The schedule as data: its rate from every edge on, and the volume expected until then."""
        stated = self._header.get("schedule")
        if stated is None:
            return
        group = add_group(self._entry, SCHEDULE, "NXdata", title="programmed delivery schedule")
        write_scalar(group, "json", stated)
        try:
            schedule = Schedule.from_json(stated)
            end = max(self._end_s, 0.0)
            edges = np.unique(np.array([0.0, *schedule.edges_s(0.0, end), end]))
            rate = schedule.rate_ul_per_h(edges)
            volume = schedule.expected_volume_ul(np.zeros_like(edges), edges)
        except (ScheduleError, KeyError, TypeError):
            return  # another program's schedule; the JSON is what it said
        group.attrs["signal"] = "rate"
        group.attrs["axes"] = ["time"]
        columns = {"time": edges, "rate": rate, "expected_volume": volume}
        write_table(group, "time", columns)
        for name, unit in (("time", "s"), ("rate", "uL/h"), ("expected_volume", "uL")):
            group[name].attrs["units"] = unit
        group["time"].attrs["long_name"] = "time since the start of delivery"
        group["rate"].attrs["long_name"] = "set rate from this time on"

    def _write_instruments(self) -> None:
        """What the station file says of each instrument, and what each said of itself."""
        station = self._header.get("station")
        tables = station.get("instruments") if isinstance(station, Mapping) else None
        described = {name: dict(table) for name, table in tables.items()} if isinstance(tables, Mapping) else {}
        for record in self._records:
            name = record.fields.get("instrument")
            if record.kind == "identity" and isinstance(name, str):
                said = {key: value for key, value in record.fields.items() if key != "instrument"}
                described.setdefault(name, {})["identity"] = said
        group = add_group(self._entry, INSTRUMENTS, "NXcollection")
        for name, mapping in described.items():
            if usable_name(name):
                write_mapping(add_group(group, name, "NXinstrument"), {"name": name, **mapping})

    def _write_anchors(self) -> None:
        group = add_group(self._entry, ANCHORS, "NXcollection")
        for data in self._streams:
            if data.anchors:
                host_time = np.array([t for t, _ in data.anchors])
                samples = np.array([n for _, n in data.anchors], dtype=np.int64)
                table = add_group(group, data.stream.name, "NXcollection")
                write_table(table, "host_time", {"host_time": host_time, "samples": samples})
                describe_time(table["host_time"], self._start_utc)

    def _choose_plot(self) -> None:
        """Name the channel that a viewer shows first: a flow or a mass, where one was recorded."""
        roles = self._header.get("roles")
        targets = dict(roles) if isinstance(roles, Mapping) else {}
        wanted = [targets[role] for role in (*PLOTTED, *targets) if role in targets]
        recorded = {data.stream.name: data for data in self._streams if data.rows}
        for target in wanted:
            stream, _, channel = str(target).partition(".")
            if stream in recorded and channel in recorded[stream].names:
                self._plot(recorded[stream], channel)
                return
        for data in recorded.values():
            self._plot(data, data.names[0])
            return

    def _plot(self, data: StreamData, channel: str) -> None:
        group = data.group
        group.attrs["signal"] = channel
        others = [name for name in data.names if name != channel]
        if others:
            group.attrs["auxiliary_signals"] = others
        self._entry.attrs["default"] = group.name.rpartition("/")[2]

    def _write_session(self, session: Mapping[str, Any]) -> None:
        """What depends on the computer and the moment; its own digest protects it."""
        said: dict[str, Any] = dict(self._header.get("session") or {})
        if "run_id" in self._header:
            said["run_id"] = self._header["run_id"]
        for note in self._notes:
            said.update(note.fields)
        said.update(session)
        if altered := self._fixed.against(self._chains, self._reader.frames):
            said[ALTERED] = altered
        tail = self._reader.tail()
        said["journal"] = {
            "frames": self._reader.frames,
            "chain": self._reader.chain.hex(),
            "lost_bytes": tail.bytes,
            "lost_frames": tail.frames,
            "lost_because": tail.reason,
        }
        write_mapping(add_group(self._file, SESSION, "NXcollection"), said)


def write_records(group: h5py.Group, records: Sequence[Record], start_utc: str) -> None:
    """One table a kind of record: its time, its place among all records, and a column a field."""
    kinds: dict[str, list[tuple[int, Record]]] = {}
    for order, record in enumerate(records):
        kinds.setdefault(record.kind, []).append((order, record))
    for kind, rows in sorted(kinds.items()):
        table = add_group(group, kind, "NXcollection")
        names = _field_names(record for _, record in rows)
        columns: dict[str, Any] = {
            "time": np.array([record.t for _, record in rows]),
            "order": np.array([order for order, _ in rows], dtype=np.int64),
        }
        for name in names:
            columns[name] = [record.fields.get(name) for _, record in rows]
        other = [{key: value for key, value in record.fields.items() if key not in names} for _, record in rows]
        if any(other):
            columns[OTHER] = [fields or None for fields in other]
        write_table(table, "time", columns)
        describe_time(table["time"], start_utc)


def _field_names(records: Iterable[Record]) -> list[str]:
    """Fields that can be columns."""
    names = {name for record in records for name in record.fields}
    return sorted(name for name in names if usable_name(name) and name not in COLUMNS)


def _later(start_utc: str, seconds: float) -> str:
    try:
        return (datetime.fromisoformat(start_utc) + timedelta(seconds=seconds)).isoformat()
    except (ValueError, OverflowError):
        return ""
