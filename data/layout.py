"""The run file's names, and where an evaluation lies in it.  docs/reference/run-file.md lists them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py

from data.checks import Axis, Check, Curve, Evaluation, Exclusion, Verdict
from data.hdf5 import (
    RecordError,
    dataset_name,
    hdf5_file,
    read_scalar,
    read_table,
    write_array,
    write_scalar,
    write_table,
)

USER_BLOCK = 1024
MAGIC = b"pumpbench seal 1\n"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
RECOVER = "make it again from its journal with recover"

DEFINITION = "pumpbench_run"
FORMAT = 1

DEFINITION_AT = ("definition_local", "definition")
"""Where a file says that it is a run: NeXus keeps the second for definitions of its own, and older files have it."""

ENTRY = "entry"
SESSION = "session"
SEAL = "seal"
ALTERED = "altered"
"""Key of the session: what speaks against the journal that the file was made from."""
OUTSIDE = ("signatures", SESSION, SEAL)
"""Groups of the root that the content digest leaves out."""

RECORDS = "records"
ANCHORS = "anchors"
INSTRUMENTS = "instruments"
SCHEDULE = "schedule"
EVALUATION = "evaluation"

MAPPINGS = {
    "parameters": "NXcollection",
    "station": "NXcollection",
    "roles": "NXcollection",
    "software": "NXcollection",
    "dut": "NXsample",
    "catheter": "NXsample",
    "fluid": "NXsample",
    "recipe": "NXcollection",
}
"""Groups of /entry with one dataset a key, and their class."""

HEADER_SCALARS = ("title", "origin", "procedure", "method", "seed", "schema", "faults", "steps", "findings")
"""Datasets of /entry that are keys of the journal's header."""

DERIVED_SCALARS = (*DEFINITION_AT, "start_time", "end_time", "duration", "status", "status_reason")
"""Datasets of /entry that the fold makes."""

RESERVED = (*MAPPINGS, *HEADER_SCALARS, *DERIVED_SCALARS, RECORDS, ANCHORS, INSTRUMENTS, SCHEDULE, EVALUATION)
"""Names in /entry that no stream may take; such a stream gets ``_stream`` behind its name."""

_CHECK_FIELDS = tuple(field.name for field in fields(Check))
_EXCLUSION_FIELDS = tuple(field.name for field in fields(Exclusion))
_LISTS = ("depends_on", "budget")


def definition_of(file: h5py.File) -> h5py.Dataset | None:
    """Where an open file says that it is a run of ours; None where it does not."""
    entry = file.get(ENTRY)
    if not isinstance(entry, h5py.Group):
        return None
    there = (entry[name] for name in DEFINITION_AT if name in entry)
    return next((one for one in there if read_scalar(one) == DEFINITION), None)


def add_group(parent: h5py.Group, name: str, nx_class: str, /, **attributes: Any) -> h5py.Group:
    """A new group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    for key, value in attributes.items():
        group.attrs[key] = value
    return group


def write_evaluation(path: Path, evaluation: Evaluation, code: str = "") -> None:
    """Put an evaluation into a run file that has none and is not sealed yet.

    Parameters
    ----------
    code : identity of the code that evaluated, such as a hash of its sources.

    Raises
    ------
    RecordError
        The file has an evaluation already, or cannot be written.
    """
    with hdf5_file(path, "r+", path) as (file, _):
        entry = file[ENTRY]
        if EVALUATION in entry:
            raise RecordError(f"{path}: holds an evaluation already; a record is never written over")
        group = add_group(entry, EVALUATION, "NXprocess", program="pumpbench")
        write_scalar(group, "verdict", str(evaluation.verdict))
        write_scalar(group, "code", code)
        _write_checks(add_group(group, "checks", "NXcollection"), evaluation.checks)
        _write_exclusions(add_group(group, "excluded", "NXcollection"), evaluation.excluded)
        _write_values(add_group(group, "values", "NXcollection"), evaluation.values)
        curves = add_group(group, "curves", "NXcollection")
        for curve in evaluation.curves:
            _write_curve(curves, curve)


def read_evaluation(entry: h5py.Group) -> Evaluation | None:
    """The evaluation in an open file's /entry, None where there is none."""
    if EVALUATION not in entry:
        return None
    group = entry[EVALUATION]
    checks = _rows(read_table(group["checks"]), _CHECK_FIELDS)
    for check in checks:
        check["verdict"] = Verdict(check["verdict"])
        check["depends_on"] = tuple(check["depends_on"])
        check["budget"] = tuple((source, u) for source, u in check["budget"])
    values = read_table(group["values"])
    curves = sorted(group["curves"].values(), key=lambda curve: int(curve.attrs["order"]))
    return Evaluation(
        tuple(Check(**check) for check in checks),
        tuple(map(_read_curve, curves)),
        tuple(Exclusion(**row) for row in _rows(read_table(group["excluded"]), _EXCLUSION_FIELDS)),
        dict(zip(values["name"], values["value"], strict=True)),
    )


def read_code(entry: h5py.Group) -> str:
    """Identity of the code that made the stored evaluation, empty where there is none."""
    return str(read_scalar(entry[EVALUATION]["code"])) if EVALUATION in entry else ""


def _rows(table: Mapping[str, list[Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    columns = [table[name] for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _write_checks(group: h5py.Group, checks: Sequence[Check]) -> None:
    columns: dict[str, list[Any]] = {name: [getattr(check, name) for check in checks] for name in _CHECK_FIELDS}
    columns["verdict"] = [str(check.verdict) for check in checks]
    for name in _LISTS:
        columns[name] = [list(items) for items in columns[name]]
    write_table(group, "name", columns)


def _write_exclusions(group: h5py.Group, excluded: Sequence[Exclusion]) -> None:
    write_table(group, "from_s", {name: [getattr(item, name) for item in excluded] for name in _EXCLUSION_FIELDS})


def _write_values(group: h5py.Group, values: Mapping[str, float]) -> None:
    write_table(group, "name", {"name": list(values), "value": [float(value) for value in values.values()]})


def _write_curve(group: h5py.Group, curve: Curve) -> None:
    """One NXdata; datasets are named like the axes, the attribute ``long_name`` has the name as given."""
    taken: list[str] = []
    for axis in (curve.x, *curve.y):
        taken.append(dataset_name(axis.name, taken))
    data = add_group(
        group,
        dataset_name(curve.name, list(group)),
        "NXdata",
        name=curve.name,
        title=curve.title,
        signal=taken[1],
        axes=[taken[0]],
        columns=taken[1:],
        order=len(group),
    )
    axes = [write_array(data, name, axis.values) for name, axis in zip(taken, (curve.x, *curve.y), strict=True)]
    for dataset, axis in zip(axes, (curve.x, *curve.y), strict=True):
        dataset.attrs["long_name"] = axis.name
        dataset.attrs["units"] = axis.unit
    axes[0].make_scale(taken[0])
    for dataset in axes[1:]:
        dataset.dims[0].attach_scale(axes[0])


def _read_curve(group: h5py.Group) -> Curve:
    def axis(name: str) -> Axis:
        dataset = group[name]
        return Axis(str(dataset.attrs["long_name"]), str(dataset.attrs["units"]), dataset[:])

    attributes = group.attrs
    y = tuple(axis(name) for name in attributes["columns"])
    return Curve(str(attributes["name"]), str(attributes["title"]), axis(attributes["axes"][0]), y)


def why_unread(path: Path, error: Exception) -> str:
    """What is wrong with a file that cannot be read as HDF5, and what to do."""
    said = (str(error).splitlines() or [type(error).__name__])[0]
    try:
        with path.open("rb") as file:
            start = file.read(USER_BLOCK + len(HDF5_SIGNATURE))
    except OSError:
        return "cannot be read; give the path of a run file (.h5) that you may read"
    if not start.startswith(MAGIC) and HDF5_SIGNATURE not in (start[: len(HDF5_SIGNATURE)], start[USER_BLOCK:]):
        return "is not HDF5; give the path of a run file (.h5)"
    if any(word in said.lower() for word in ("truncated", "eof", "signature not found")):
        return f"is cut off; {RECOVER}"
    return f"is cut off or damaged ({said}); {RECOVER}"
