"""What an occlusion run will be able to tell: compliance, time to the threshold, bolus on release, flow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.checks import Check
from data.schedule import Continuous, Schedule
from protocols.analysis.collection import Collection
from protocols.analysis.decision import result
from protocols.analysis.declared import Declared
from protocols.analysis.forecast import Forecast
from protocols.analysis.gravimetric_forecast import Plan, Rig
from protocols.analysis.ideal_record import expected_of, ideal_records
from protocols.analysis.occlusion.case import Case, numbered, told
from protocols.analysis.occlusion.record import (
    HOUR_S,
    LEAST_WARMING_K,
    Occluded,
    OcclusionRecord,
)
from protocols.analysis.occlusion.released import flow_checks
from protocols.analysis.occlusion.rising import MOMENT_S
from protocols.analysis.occlusion.volumes import Volumes, volumes
from protocols.analysis.room import ROOM_WANDER_K, ROOM_WANDER_S

PER_WINDOW_S = 120.0
"""Valves, questions to the pump and the edges of windows."""


@dataclass(frozen=True)
class _Ideal(OcclusionRecord):
    """A record whose balance shows what a pump without error would deliver."""

    weighed: Collection

    @property
    def collected(self) -> Collection:
        return self.weighed

    def warming_ul(self, from_s: float, to_s: float) -> tuple[float, float]:
        """By a room that wanders as rooms do."""
        per_k = self.ul_per_k
        if "room_temperature" not in self.run.roles:
            return 0.0, per_k * 10.0 * LEAST_WARMING_K
        forgotten = -math.expm1(-(to_s - from_s) / ROOM_WANDER_S)
        change_k = ROOM_WANDER_K * math.sqrt(2.0 * forgotten) * math.sqrt(2.0 / math.pi)  # its mean size
        return 0.0, per_k * max(LEAST_WARMING_K, 0.5 * change_k)


def occlusion_forecast(
    rig: Rig, rates_ul_per_h: Sequence[float], windows_s: Sequence[float], declared: Declared
) -> Forecast | None:
    """Expected uncertainties of each occlusion, and how long all of them take if the line is as stated.

    Parameters
    ----------
    windows_s : planned length of a window at each rate.
    declared : with the procedure's parameters.
    """
    params = declared.params
    line_ul_per_kpa = float(params["line_ul_per_kpa"])
    one = OcclusionRecord(declared.as_run)
    checks: list[Check] = []
    duration_s = 0.0
    if params["metered"]:
        checks += _line_checks(one, line_ul_per_kpa)
        push_s = float(params["step_ul"]) / float(params["step_rate_ul_per_h"]) * HOUR_S
        duration_s += push_s + float(params["hold_s"]) + 600.0 + 180.0
    for number, (rate, window_s) in enumerate(zip(rates_ul_per_h, windows_s, strict=True), 1):
        rise_s = line_ul_per_kpa * float(params["limit_kpa"]) / rate * HOUR_S
        occluded = _occluded(number, rate, window_s, rise_s, one.stroke_ul)
        record = _weighed(rig, occluded, line_ul_per_kpa * float(params["limit_kpa"]), declared)
        found = [*flow_checks(occluded, volumes(record, occluded)), *_rise_checks(record, rise_s)]
        found.append(_bolus(record, volumes(record, occluded)))
        checks += [numbered(check, occluded) for check in found]
        duration_s += float(params["settle_s"]) + 3.0 * window_s + rise_s + PER_WINDOW_S
        if float(params["partial_kpa"]) > 0.0:
            duration_s += window_s + 2400.0
    expected = sorted(expected_of([checks]), key=lambda check: check.name != "bolus")
    note = f"if the closed line takes {line_ul_per_kpa:g} uL/kPa; the plan allows for 1.8 times as long a rise"
    return Forecast(duration_s, duration_s, tuple(expected), (note,)) if expected else None


def _occluded(number: int, rate: float, window_s: float, rise_s: float, stroke_ul: float) -> Occluded:
    stroke_s = stroke_ul / rate * HOUR_S
    if 0.0 < stroke_s <= window_s:
        window_s = math.floor(window_s / stroke_s + 1e-6) * stroke_s
    closed = window_s + PER_WINDOW_S
    opened = closed + rise_s
    return Occluded(
        number, rate, window_s, 0.0, PER_WINDOW_S / 2.0, closed, opened, opened, opened + 2.0 * window_s + PER_WINDOW_S
    )


def _weighed(rig: Rig, occluded: Occluded, stored_ul: float, declared: Declared) -> _Ideal:
    """Flow, nothing while the line is closed, all that it held as it opens, flow."""
    closed, opened, end = occluded.closed_s or 0.0, occluded.opened_s or 0.0, occluded.until_s
    plan = Plan({}, 0.0, end)
    schedule = Schedule(Continuous(occluded.rate_ul_per_h))
    ideal = next(ideal_records(declared, plan, rig, schedule, (0.0, end), runs=1)).collected
    held = occluded.flow_ul_per_s * np.clip(ideal.t_s - closed, 0.0, opened - closed) / ideal.ul_per_mg
    released = np.where(ideal.t_s > opened, stored_ul / ideal.ul_per_mg, 0.0)
    return _Ideal(declared.as_run, replace(ideal, mass_mg=ideal.mass_mg - held + released))


def _line_checks(record: OcclusionRecord, line_ul_per_kpa: float) -> Iterator[Check]:
    """Compliance by the metered step: the syringe's volume and the transducer's gain; its noise is nothing beside."""
    u = line_ul_per_kpa * math.hypot(record.u_syringe, record.u_gain)
    yield told("compliance", "Compliance of the line", line_ul_per_kpa, u, "uL/kPa", "rig")
    stated: Mapping[str, float] = record.run.station.get("closed_line") or {}
    if stated.get("bare_compliance_ul_per_kpa") is not None:
        own = line_ul_per_kpa - float(stated["bare_compliance_ul_per_kpa"])
        u = math.hypot(u, float(stated["bare_compliance_u_ul_per_kpa"]))
        yield told("catheter-compliance", "Compliance of the catheter", own, u, "uL/kPa", "catheter")


def _rise_checks(record: OcclusionRecord, rise_s: float) -> Iterator[Check]:
    limit, threshold = float(record.run.params["limit_kpa"]), float(record.run.params["threshold_kpa"])
    u = math.hypot(record.u_kpa(threshold) / (limit / rise_s), MOMENT_S)
    yield told("time-to-threshold", f"Time to {threshold:g} kPa", rise_s * threshold / limit, u, "s", "dut")
    yield told("reaches-threshold", "Highest pressure", limit, record.u_kpa(limit), "kPa", "dut")


def _bolus(record: _Ideal, found: Volumes) -> Check:
    assert found.bolus_ul is not None  # the ideal record reaches so far
    value, budget = found.bolus_ul
    limits = Case.limits(_Only(record), None, "bolus_at_most_ul")  # type: ignore[arg-type]  # all that it asks
    return result("bolus", "Bolus on release", value, budget, limits)


@dataclass(frozen=True, slots=True)
class _Only:
    record: OcclusionRecord
