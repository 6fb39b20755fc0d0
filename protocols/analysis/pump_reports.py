"""What a pump says of itself during a run: its clock against ours, and alarms that nothing in the run provokes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from data.checks import Check, Limits, Verdict
from data.run import Run
from protocols.analysis.decision import SIMPLE, judge, reported

CLOCK_READ_S = 0.5
"""Half of what a clock that shows whole seconds hides; the pump's answer takes less."""

OURS_PPM = 1.0
"""Standard uncertainty of the pace of the run's own clock, which follows network time."""

LEAST_S = 600.0


def clock_s(said: Mapping[str, Any]) -> float:
    """The pump's clock in one of its answers; NaN where it was not read, as off a programmer: a file has None there."""
    shown = said["clock_s"]
    return math.nan if shown is None else float(shown)


def pump_reports(
    run: Run, first: Mapping[str, Any], last: Mapping[str, Any], provoked: Collection[str]
) -> Iterator[Check]:
    """Checks of two answers of the pump, one near the beginning and one near the end of a run.

    A clock beyond what the model declares, and an alarm that nothing provoked, fail the pump.  That it keeps the time
    and raises no alarm is no result: it says nothing of what the pump delivers.

    Parameters
    ----------
    provoked : alarms that the run itself brings about.
    """
    yield _clock(run, first, last)
    found = sorted({str(name) for name in (*first["alarms"], *last["alarms"])} - set(provoked))
    note = f"the pump reports {', '.join(found)}" if found else ""
    limits = Limits(None, 0.0, "a pump that is fit for a test raises none")
    fields = judge(float(len(found)), 0.0, math.inf, limits, SIMPLE)
    title = "Alarms that nothing provoked"
    yield Check("pump-alarms", title, unit="1", owner="dut", optional=not found, note=note, **fields)


def _clock(run: Run, first: Mapping[str, Any], last: Mapping[str, Any]) -> Check:
    """Pace of the pump's clock between two answers, in ppm; a jump shows as a pace that no crystal has."""
    name, title = "pump-clock", "Pump's clock against ours"
    ours = float(last["answered_s"]) - float(first["answered_s"])
    its = clock_s(last) - clock_s(first)
    if not (math.isfinite(its) and ours >= LEAST_S):
        return reported(name, title, None, "ppm", "the pump's clock was not read twice")
    off_s = its - ours
    half = 0.5 * max(float(status["answered_s"]) - float(status["asked_s"]) for status in (first, last))
    u = math.hypot(1e6 * math.sqrt(2.0) * (CLOCK_READ_S + half) / math.sqrt(3.0) / ours, OURS_PPM)
    declared = run.dut.get("clock_error_ppm")
    limits = None
    if declared is not None:
        limits = Limits(-float(declared), float(declared), "model file, clock_error")
    note = f"{off_s:+.3g} s in {ours / 3600.0:.4g} h"
    fields = judge(1e6 * off_s / ours, u, math.inf, limits)
    if limits is not None and fields["verdict"] in (Verdict.NOT_MEASURED, Verdict.NOT_CAPABLE):
        note += "; a run of days tells it better"
    wrong = fields["verdict"].fails
    return Check(name, title, unit="ppm", owner="dut", optional=not wrong, note=note, **fields)
