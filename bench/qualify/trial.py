"""One trial of the matrix: a whole run through the whole bench, in a folder of its own that goes afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.qualify.drawn import aim, is_wrong, limits_of, stratum_of, wanted_error
from bench.qualify.ledger import CHANGED
from bench.qualify.located import located
from bench.qualify.outcome import compare, drawn_error, mean_error
from bench.qualify.plan import Basis, Row, articles_digest, changed, code_identity, file_digest
from bench.request import Request
from bench.session import Result, conduct
from bench.station import OpenStation, load_station
from bench.unsaved import UnsavedError
from data.checks import Limits
from data.run import Run
from data.seal import examine
from instruments.clock import Clock, WallClock

UNDER_WAY = "under-way"
"""Folder of the runs that go on."""

UNEXPECTED = "unexpected"
"""Folder of the run files of trials that did not say what is claimed."""

RIG_CHECKS = "rig-checks"
RIG_CHECK_HOLDS_S = 12 * 3600.0
"""After this a rig check is made anew; it holds for twice as long."""

FIRST_LIMITS, FIRST_U = Limits(-14.5, 14.5, ""), 0.5
"""What a drawn pump is first aimed by, in percent; the run then says what they are."""

AIMS = 3


def conduct_trial(row: Row, seed: int, folder: Path, basis: Basis | None = None) -> dict[str, Any]:
    """Run one trial and say what it said, as plain data.

    Parameters
    ----------
    folder : of the qualification; rig checks, and the run files of surprises, are kept in it.
    basis : what the plan relies on; a trial before or during which that changed has the status ``changed``.
    """
    begun, cpu = Clock.wall(), time.process_time()
    what = "" if basis is None else changed(row, basis)
    said = {} if what else _conducted(row, seed, folder)
    what = what or ("" if basis is None else changed(row, basis))
    if what:
        why = f"{what} changed after the plan was made; the same command makes another"
        said = {"verdict": "", "status": CHANGED, "as_claimed": False, "why": why}
    return said | {
        "row": row.key,
        "seed": seed,
        "wall_s": round(Clock.wall() - begun, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
    }


def _conducted(row: Row, seed: int, folder: Path) -> dict[str, Any]:
    """What the run of a trial said."""
    (folder / UNDER_WAY).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder / UNDER_WAY, ignore_cleanup_errors=True) as temporary:
        try:
            if row.expected == "right":
                return _drawn(row, seed, folder, Path(temporary))
            return _tried(row, seed, folder, Path(temporary))
        except (ValueError, OSError, UnsavedError) as error:
            return {"verdict": "", "status": "error", "as_claimed": False, "why": str(error).splitlines()[0]}


def _tried(row: Row, seed: int, folder: Path, temporary: Path) -> dict[str, Any]:
    truth: dict[str, Any] | None = {} if row.tells_the_truth else None
    result = _run(row, seed, folder, temporary, row.faults, truth)
    mean: dict[str, Any] = mean_error(result.evaluation) if truth else {}
    if truth and mean:
        mean |= {"true": _true_error(result, truth)}
    with Run.open(result.run_file) as run:
        told_s = run.end_s - row.at_s
        blamed = located(run, result.evaluation)
        stopped_by = {one.fields["name"] for one in run.records("interlock") if one.fields["action"] == "stop"}
    said = compare(row, result.evaluation, result.end.status, stopped_by, mean)
    kept = "" if said.as_claimed else _keep(result.run_file, row, seed, folder)
    return {
        "verdict": said.verdict,
        "status": said.status,
        "as_claimed": said.as_claimed,
        "why": said.why,
        "found_by": list(said.found_by),
        "told_s": round(told_s, 1) if row.fault else None,
        "kept": kept,
        "located": blamed,
        "mean": mean,
        **_identity(result),
    }


def _drawn(row: Row, seed: int, folder: Path, temporary: Path) -> dict[str, Any]:
    """A pump of a wanted true error; what the seed adds to it is known after a run and taken off in the next."""
    limits, expanded, over, drawn = FIRST_LIMITS, FIRST_U, 1.0, dict[str, Any]()
    for number in range(1, AIMS + 1):
        wanted = 1.0 + wanted_error(seed, limits, expanded) / 100.0
        ratio = wanted / over
        fault = f"{'over' if ratio >= 1.0 else 'under'}-delivery:{ratio!r}@0s"
        attempt = temporary / f"{number}"
        true: dict[str, Any] = {}
        result = _run(row, seed, folder, attempt, (fault,), true)
        drawn = drawn_error(result.evaluation)
        if not drawn:
            break
        error = _true_error(result, true)
        drawn |= {"true": error, "aim": aim(seed)}
        limits, expanded, over = limits_of(drawn), drawn["U"], (1.0 + error / 100.0) / ratio
        if stratum_of(error, limits, expanded) == aim(seed):
            break
    said = compare(row, result.evaluation, result.end.status)
    amiss = said.as_claimed is False or is_wrong(drawn)
    return {
        "verdict": said.verdict,
        "status": said.status,
        "as_claimed": said.as_claimed,
        "why": said.why,
        "drawn": drawn,
        "kept": _keep(result.run_file, row, seed, folder) if amiss else "",
        **_identity(result),
    }


def _true_error(result: Result, truth: Mapping[str, Any]) -> float:
    """Mean flow error of what truly left the tip during the analysis, in percent."""
    with Run.open(result.run_file) as run:
        from_s, to_s = run.phase("analysis")
        begun = next(event.fields["confirmed_s"] for event in run.records("pump-command") if _starts(event.fields))
        expected = run.schedule.expected_volume_ul(from_s - begun, to_s - begun)
    draws = truth["draws"]
    density = (draws["fluid.density_kg_per_m3"] + draws["fluid.density_deviation_kg_per_m3"]) / 1000.0
    delivered = (truth["mass"].at(to_s) - truth["mass"].at(from_s)) / density
    return float(100.0 * (delivered / expected - 1.0))


def _starts(fields: Mapping[str, Any]) -> bool:
    return str(fields["command"]).startswith("RUN")


def _run(
    row: Row,
    seed: int,
    folder: Path,
    out: Path,
    faults: tuple[str, ...],
    truth: dict[str, Any] | None = None,
) -> Result:
    out.mkdir(exist_ok=True)
    if row.rig_check is not None:
        _provide_rig_check(row, seed, folder, out)

    def look(opened: OpenStation) -> None:
        if truth is not None and opened.rig is not None:
            plant = opened.rig.plant
            truth.update(mass=plant.truth["tip_mass_mg"], draws=plant.draws)

    request = Request(
        row.protocol,
        row.station,
        settings=row.settings,
        dut=row.dut,
        faults=faults,
        seed=seed,
        out=out,
        person="qualify",
    )
    # A process of its own, as for the record of a pump, takes as long as a fifth of a trial.
    return conduct(request, afterwards=look, verified_by=examine)


def _provide_rig_check(row: Row, seed: int, folder: Path, out: Path) -> None:
    """Put a rig check of this rig beside the run that relies on it; every trial of a seed has the same rig."""
    store = folder / RIG_CHECKS
    store.mkdir(parents=True, exist_ok=True)
    settings = dict(row.rig_check or {})
    request = Request("rig-check", row.station, settings=settings, seed=seed)
    kept = store / f"{Path(row.station).stem}_{seed:04d}_{_identity_of(request)}.h5"
    now = WallClock().start.timestamp()
    if not (kept.exists() and now - kept.stat().st_mtime < RIG_CHECK_HOLDS_S):
        with tempfile.TemporaryDirectory(dir=folder / UNDER_WAY, ignore_cleanup_errors=True) as temporary:
            made = conduct(replace(request, out=Path(temporary)), verified_by=examine)
            with suppress(PermissionError):  # on Windows another worker may be reading the same one
                os.replace(made.run_file, kept)
    shutil.copyfile(kept, out / "rig-check_0001.h5")


def _identity_of(request: Request) -> str:
    """What stands for a rig check: nothing that would be made otherwise today is taken for it."""
    articles = articles_digest(request, load_station(request.station))
    made_of = [code_identity(), file_digest(request.station), articles, sorted(request.settings.items()), request.seed]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]


def _keep(run_file: Path, row: Row, seed: int, folder: Path) -> str:
    """Keep the run file of a surprise; returns its name."""
    place = folder / UNEXPECTED
    place.mkdir(exist_ok=True)
    what = row.fault or ("drawn" if row.expected == "right" else "sound")
    kept = place / f"{row.protocol}_{what}_{row.key[:6]}_{seed:04d}.h5"
    os.replace(run_file, kept)
    return f"{UNEXPECTED}/{kept.name}"


def _identity(result: Result) -> dict[str, Any]:
    return {"run": result.verification.digest[:16], "simulated_s": round(result.simulated_s, 1)}
