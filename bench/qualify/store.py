"""The matrix as an HDF5 file that silx, h5web, NeXpy and h5py open: tables of rows, trials and drawn pumps."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py

from bench.qualify.drawn import stratum
from bench.qualify.matrix import Matrix, Said
from bench.qualify.outcome import off
from data.hdf5 import hdf5_file, write_mapping, write_table

DEFINITION = "pumpbench_qualification"
FORMAT = 2

DRAWN = ("true", "value", "U", "low", "high")
"""Of a drawn pump, in percent: its mean flow error, as it was found and how surely, and its limits."""

Columns = dict[str, list[Any]]


def write_matrix(out: Path, matrix: Matrix, drawn_trials: Sequence[Said]) -> None:
    """Write the matrix, in place of an earlier one of this name; raises RecordError when the disk does not take it."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with hdf5_file(part, "w", out, track_order=True) as (file, _):
            file.attrs.update(NX_class="NXroot", default="entry")
            entry = _group(file, "entry", "NXentry")
            said = matrix.to_json()
            for name, value in (
                ("definition_local", DEFINITION),
                ("title", "Qualification of the simulated bench" + (", quick form" if matrix.plan.quick else "")),
                ("start_time", matrix.made_at),
            ):
                entry[name] = value
            facts = (
                "quick",
                "complete",
                "holds",
                "confidence",
                "seeds",
                "plan",
                "code",
                "stations",
                "false_alarms",
                "drawn",
                "located",
            )
            write_mapping(_group(entry, "facts"), {"format": FORMAT} | {name: said[name] for name in facts})
            write_mapping(_group(entry, "software"), matrix.software)
            _table(entry, "rows", _rows(said["rows"]), {"at_s": "s", "told_s": "s"})
            _table(entry, "trials", _trials(matrix), {"told_s": "s", "simulated_s": "s", "cpu_s": "s"})
            _table(entry, "drawn", _drawn(drawn_trials), dict.fromkeys(DRAWN, "%"))
            _table(entry, "pumps", _columns(said["pumps"]), {})
            _table(entry, "never_found_by", _columns(said["never_found_by"]), {})
            _table(entry, "unseen", _columns(said["unseen"]), {})
            _table(entry, "left_out", _columns(said["left_out"]), {})
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _group(parent: h5py.Group, name: str, nx_class: str = "NXcollection") -> h5py.Group:
    group = parent.create_group(name, track_order=True)
    group.attrs["NX_class"] = nx_class
    return group


def _table(entry: h5py.Group, name: str, columns: Columns, units: Mapping[str, str]) -> None:
    group = _group(entry, name)
    length = len(next(iter(columns.values()), []))
    if not length:
        return
    write_table(group, "number", {"number": list(range(1, length + 1)), **columns})
    for column, unit in units.items():
        if column in group:
            group[column].attrs["units"] = unit


def _columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _rows(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Counts and claims; what is a list or a table in JSON is text here."""
    left = ("runs", "surprises")
    flat = [{key: _flat(value) for key, value in row.items() if key not in left} for row in rows]
    return _columns(flat)


def _flat(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


def _trials(matrix: Matrix) -> Columns:
    """Every trial, by the number of its row."""
    rows = [
        {
            "row": number,
            "seed": trial["seed"],
            "verdict": trial["verdict"],
            "status": trial["status"],
            "as_claimed": int(trial["as_claimed"]),
            "found_by": "; ".join(trial.get("found_by", ())),
            "off_u": off(trial["mean"]) if trial.get("mean") else None,
            "why": trial["why"],
            "told_s": trial.get("told_s"),
            "located": (trial.get("located") or {}).get("first", ""),
            "located_owner": (trial.get("located") or {}).get("owner", ""),
            "run": trial.get("run", ""),
            "simulated_s": trial.get("simulated_s"),
            "cpu_s": trial["cpu_s"],
        }
        for number, line in enumerate(matrix.lines, 1)
        for trial in line.trials
    ]
    return _columns(rows)


def _drawn(trials: Sequence[Said]) -> Columns:
    """The drawn pumps: true error, what the run said, and the stratum in which each is counted."""
    rows = []
    for trial in trials:
        if drawn := trial.get("drawn"):
            said = {"seed": trial["seed"], "counted": stratum(drawn), "run": trial.get("run", "")}
            rows.append(said | {name: drawn[name] for name in (*DRAWN, "verdict", "aim")})
    return _columns(rows)
