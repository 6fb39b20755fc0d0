"""A run as CSV or Parquet: samples, records, checks and curves, each file with the run's id and digest.

Samples are written piece by piece, so that a run of a month needs no more memory than a short one.
"""

from __future__ import annotations

import json
import shutil
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from data.checks import Curve, Evaluation
from data.hdf5 import CHUNK_ROWS, RecordError, dataset_name
from data.overview import rows_of
from data.run import Run
from data.samples import Quality

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["csv", "parquet"]
ZIPPED = "zstd"


class ExportError(RecordError):
    """A run that cannot be exported; the message says why and what to do."""


def export(path: Path, folder: Path, kind: Kind, *, digest: str, at_once: int = CHUNK_ROWS) -> list[Path]:
    """Write a run into a new folder, whole or not at all; returns the files.

    Parameters
    ----------
    digest : content digest of the run as it is now (`data.seal.verify`); stands in each file.
    at_once : samples of a stream that are held in memory.

    Raises
    ------
    ExportError
        The folder has something in it, or cannot be written.
    RunError
        The file is missing or no run of ours.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} exists and is not empty; choose another folder")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with Run.open(path) as run:
            writer = _Folder(part, kind, _about(run, digest))
            _streams(run, writer, at_once)
            writer.table("events", _events(run))
            if run.evaluation is not None:
                _evaluation(run.evaluation, writer)
        if folder.exists():
            folder.rmdir()
        part.replace(folder)
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return sorted(each for each in folder.rglob("*") if each.is_file())


class _Sink(Protocol):
    """Where batches of one table go."""

    @abstractmethod
    def write_batch(self, batch: Any) -> None:
        """Add a batch."""


class _Folder:
    """Files of one kind in a folder, each with what is to be known of the run."""

    def __init__(self, root: Path, kind: Kind, about: Mapping[str, str]) -> None:
        self._root = root
        self._kind = kind
        self._about = about

    def table(self, name: str, batch: pa.RecordBatch) -> None:
        """Write a table that is one batch."""
        self.batches(name, batch.schema, [batch])

    def batches(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Write a table batch by batch."""
        import pyarrow.csv
        import pyarrow.parquet

        path = self._root / f"{name}.{self._kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            sink: AbstractContextManager[_Sink]
            if self._kind == "parquet":
                known = {f"pumpbench.{key}": value for key, value in self._about.items()}
                schema = schema.with_metadata({**(schema.metadata or {}), **known})
                sink = pyarrow.parquet.ParquetWriter(file, schema, compression=ZIPPED)
            else:
                file.write(
                    "".join(f"# {key}: {' '.join(value.split())}\n" for key, value in self._about.items()).encode()
                )
                sink = pyarrow.csv.CSVWriter(file, _headed(schema))
            with sink as out:
                for batch in batches:
                    out.write_batch(_as(batch, schema if self._kind == "parquet" else _headed(schema)))


def _as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _headed(schema: pa.Schema) -> pa.Schema:
    """Columns named with their unit: a CSV has no other place for it."""
    import pyarrow as pa

    fields = []
    for field in schema:
        unit = (field.metadata or {}).get(b"unit", b"").decode()
        fields.append(pa.field(f"{field.name} [{unit}]" if unit else field.name, field.type))
    return pa.schema(fields)


def _about(run: Run, digest: str) -> dict[str, str]:
    return {
        "run": str(run.session.get("run_id") or ""),
        "content digest": digest,
        "procedure": f"{run.procedure}, method {run.method}",
        "origin": str(run.origin),
        "status": str(run.status),
        "verdict": str(run.verdict or "not evaluated"),
        "start": run.start.isoformat(),
        "time": "time is in s since start",
        "quality": "bits, 0 is good: " + ", ".join(f"{flag.value} {str(flag.name).lower()}" for flag in Quality),
    }


def _field(name: str, kind: Any, unit: str = "", **more: str) -> pa.Field:
    import pyarrow as pa

    said = {"unit": unit, **more} if unit else more
    return pa.field(name, kind, metadata=said or None)


def _streams(run: Run, writer: _Folder, at_once: int) -> None:
    import pyarrow as pa

    for stream in sorted(run.streams):
        channels = {name.partition(".")[2]: one for name, one in run.channels.items() if name.startswith(f"{stream}.")}
        fields = [_field("time", pa.float64(), "s")]
        for name, channel in channels.items():
            more = {"reference": str(channel.reference)} if channel.reference else {}
            fields.append(_field(name, pa.float64(), channel.unit, **more))
            fields.append(_field(f"{name}_quality", pa.uint16()))
        schema = pa.schema(fields)
        writer.batches(f"streams/{dataset_name(stream)}", schema, _samples(run, stream, schema, at_once))


def _samples(run: Run, stream: str, schema: pa.Schema, at_once: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for rows in rows_of(run, stream, at_once):
        columns = [pa.array(rows.t)]
        for name, values in rows.values.items():
            columns += [pa.array(values), pa.array(rows.quality[name])]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _events(run: Run) -> pa.RecordBatch:
    """Every record: its time, kind and text, and all its fields as JSON."""
    import pyarrow as pa

    schema = pa.schema(
        [_field("time", pa.float64(), "s"), *(_field(name, pa.string()) for name in ("kind", "text", "fields"))]
    )
    events = run.events
    columns = [
        pa.array([event.t for event in events], pa.float64()),
        pa.array([event.kind for event in events], pa.string()),
        pa.array([event.text for event in events], pa.string()),
        pa.array([_json(dict(event.fields)) for event in events], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _evaluation(evaluation: Evaluation, writer: _Folder) -> None:
    writer.table("checks", _rows([asdict(check) for check in evaluation.checks]))
    if evaluation.excluded:
        writer.table("excluded", _rows([asdict(item) for item in evaluation.excluded]))
    taken: list[str] = []
    for curve in evaluation.curves:
        taken.append(dataset_name(curve.name, taken))
        writer.table(f"curves/{taken[-1]}", _curve(curve))


def _rows(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Rows of equal keys; what is a list is JSON.  A check names its unit in a column of its own."""
    import pyarrow as pa

    plain = [
        {key: _json(value) if isinstance(value, list | tuple) else value for key, value in row.items()} for row in rows
    ]
    columns = {key: [row[key] for row in plain] for key in (plain[0] if plain else ())}
    arrays = {key: pa.array(values, _type_of(values)) for key, values in columns.items()}
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _type_of(values: list[Any]) -> Any:
    import pyarrow as pa

    known = [value for value in values if value is not None]
    if any(isinstance(value, str) for value in known):
        return pa.string()
    return pa.bool_() if known and all(isinstance(value, bool) for value in known) else pa.float64()


def _curve(curve: Curve) -> pa.RecordBatch:
    import pyarrow as pa

    axes = (curve.x, *curve.y)
    schema = pa.schema([_field(axis.name, pa.float64(), axis.unit) for axis in axes])
    return pa.RecordBatch.from_arrays(
        [pa.array(np.asarray(axis.values, dtype=np.float64)) for axis in axes], schema=schema
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
