"""What a run was made with, for its report: instruments, calibrations, roles, interlocks, what was under test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from data.report.blocks import Block, Cell, Pairs, Section, Table, Text
from data.report.wording import number, pairs_of, plain, unit_of
from data.run import Run, RunError


def overdue(run: Run) -> Iterator[tuple[str, str]]:
    """Channels whose calibration was due before the run's end, with the date."""
    end = (run.start + timedelta(seconds=run.end_s)).date().isoformat()
    for name, certificate in _calibrations(run):
        due = certificate.get("due")
        if due and str(due) < end:
            yield name, str(due)


def setup(run: Run) -> list[Section]:
    """The set-up, from the station file and what the instruments said of themselves."""
    return [
        Section("Instruments", [_instruments(run), _calibration_table(run)]),
        Section("Set-up", [_roles(run), *_interlocks(run), *_pairs("Collection", run.station.get("collection"))]),
        Section("Programme", [*_schedule(run), *_pairs("Parameters", run.params, ("schedule",))]),
        Section(
            "Under test",
            [
                *_pairs("Pump", run.dut, ("limits",)),
                *_limits("Limits of the pump", run.dut.get("limits")),
                *_pairs("Catheter", run.catheter, ("limits",)),
                *_limits("Limits of the catheter", run.catheter.get("limits")),
                *_pairs("Fluid", run.fluid),
            ],
        ),
        Section(
            "Software", [Pairs([(name, str(version)) for name, version in run.software.items()], side_by_side=True)]
        ),
    ]


def _instruments(run: Run) -> Block:
    rows = []
    for name, table in sorted(run.instruments.items()):
        said = table.get("identity") or {}
        model = " ".join(filter(None, (str(said.get("maker") or ""), str(said.get("model") or ""))))
        serial = str(said.get("serial") or table.get("serial") or "–")
        rows.append([name, model or "–", serial, str(said.get("firmware") or "–"), str(table.get("driver") or "–")])
    if not rows:
        return Text("No instrument is recorded.")
    return Table(("Name", "Instrument", "Serial", "Firmware", "Driver"), rows, (0, 3, 2, 2, 2))


def _calibrations(run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, table in sorted(run.station.get("instruments", {}).items()):
        for channel, certificate in sorted((table.get("calibration") or {}).items()):
            yield f"{name}.{channel}", dict(certificate)


def _calibration_table(run: Run) -> Block:
    late = dict(overdue(run))
    rows: list[list[str | Cell]] = []
    for name, certificate in _calibrations(run):
        due = Cell(f"{certificate.get('due')} overdue", "bad", strong=True) if name in late else ""
        channel = run.channels.get(name)
        unit = unit_of(channel.unit) if channel else ""
        correction = f"{number(certificate.get('gain', 1.0), 8)} · (x {_offset(certificate.get('offset', 0.0))})"
        spread = [f"{number(certificate['u'])} {unit}".rstrip()] if certificate.get("u") else []
        spread += [f"{number(certificate['u_percent'])} %"] if certificate.get("u_percent") else []
        given = str(certificate.get("certificate") or "–")
        rows.append([name, given, due or plain(certificate.get("due")), correction, " and ".join(spread) or "–"])
    if not rows:
        return Text("No channel has a calibration certificate.", "warn")
    caption = "Calibrations: true value = gain · (indication + offset); u is a standard uncertainty"
    return Table(("Channel", "Certificate", "Due", "Correction", "u"), rows, (2, 2, 2, 2, 2), caption=caption)


def _offset(offset: float) -> str:
    return f"− {number(-offset)}" if offset < 0 else f"+ {number(offset)}"


def _roles(run: Run) -> Block:
    rows = [[role.replace("_", " "), what] for role, what in sorted(run.roles.items())]
    return Table(("Role", "Taken by"), rows, (1, 2), caption="Roles") if rows else Text("The run used no roles.")


def _interlocks(run: Run) -> Iterator[Block]:
    rows = [
        [
            name,
            str(table.get("channel") or "–"),
            plain(table.get("low")),
            plain(table.get("high")),
            str(table.get("action")),
        ]
        for name, table in sorted((run.station.get("interlocks") or {}).items())
    ]
    if rows:
        yield Table(("Interlock", "Channel", "Low", "High", "Action"), rows, (2, 2, 1, 1, 1), caption="Interlocks")


def _schedule(run: Run) -> Iterator[Block]:
    try:
        yield Text(f"Delivery schedule: {run.schedule.describe()}")
    except RunError:
        yield Text("The run has no delivery schedule.", "muted")


def _limits(title: str, limits: Any) -> Iterator[Block]:
    """Limits that a model file declares, each with where it comes from; a quantity may have several."""
    rows = []
    for name, declared in sorted((limits or {}).items()):
        for one in declared if isinstance(declared, list) else [declared]:
            if one:
                said = {key: value for key, value in one.items() if key not in ("source", "revision")}
                rows.append(
                    [
                        name.replace("_", " "),
                        plain(said),
                        f"{plain(one.get('source'))}, revision {plain(one.get('revision'))}",
                    ]
                )
    if rows:
        yield Table(("Quantity", "Limit", "Source"), rows, (1, 2, 2), caption=title)


def _pairs(title: str, mapping: Any, leave: tuple[str, ...] = ()) -> Iterator[Block]:
    rows = pairs_of(mapping or {}, leave)
    if rows:
        yield Text(title, "heading")
        yield Pairs(rows, side_by_side=True)
