"""The course of a flow in time, by the flow sensor where it followed, else by the balance; and how well it is known.

A sensor errs by its gain and its zero.  The zero is what it showed while the pump stood, or what a rig check found. The
gain is put right by the balance, which weighed what passed: it tells how much that was, and the sensor when it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.checks import Exclusion
from data.samples import FloatArray
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.flow_budget import LINE_CHANGE_K, LINE_EXPANSION_PER_K
from protocols.analysis.flow_witness import UNCERTIFIED_GAIN_PERCENT
from protocols.analysis.gravimetric_record import GravimetricRecord, zero_in_blanks
from protocols.analysis.gravimetry import expansion_ul
from protocols.analysis.grid import kept
from protocols.analysis.rig.reference import GAIN_STABILITY_PERCENT, known_rig
from protocols.analysis.short_volume import short_volume
from protocols.analysis.suitability import CERTAIN
from protocols.analysis.witness import MINUTE_S, ZERO_WANDERS

HOUR_S = 3600.0
FOLLOWED = 0.99
"""Part of the minutes that a sensor needs, or the balance tells the course."""


@dataclass(frozen=True)
class Course:
    """Cumulative volume against time; ``by`` says whose.

    Attributes
    ----------
    u_gain_percent, u_zero_ul_per_h : of a flow sensor; 0 of the balance.
    wanders_ul_per_h : how far its zero may move within a run.
    run_s : length of the run.
    """

    t_s: FloatArray
    volume_ul: FloatArray
    by: str = "balance"
    u_gain_percent: float = 0.0
    u_zero_ul_per_h: float = 0.0
    wanders_ul_per_h: float = 0.0
    run_s: float = math.inf

    def at(self, t_s: FloatArray) -> FloatArray:
        """Volume at any times."""
        return np.asarray(np.interp(t_s, self.t_s, self.volume_ul), dtype=np.float64)

    def passed_ul(self, from_s: float, to_s: float) -> float:
        """Volume in an interval."""
        return float(np.diff(self.at(np.array([from_s, to_s])))[0])

    def u_change_ul_per_h(self, flow_ul_per_h: float, length_s: float) -> float:
        """Standard uncertainty of the difference of two mean flows within a stretch, from what changed in the sensor.

        A zero that wanders moves by the root of the time.
        """
        if self.by == "balance":
            return 0.0
        moved = self.wanders_ul_per_h * math.sqrt(min(1.0, length_s / self.run_s))
        return math.hypot(GAIN_STABILITY_PERCENT / 100.0 * flow_ul_per_h, moved)


def standing_zero(record: GravimetricRecord) -> float | None:
    """What the flow sensor showed in the blanks of a run whose pump stands in them; None where it is not known.

    Whether the tip is in the vessel meanwhile or diverted is the same to a sensor before it.
    """
    if record.flow is None or not record.dut.get("can_stop", True):
        return None
    return zero_in_blanks(record.phases, record.flow)


def time_course(record: GravimetricRecord) -> Course:
    """The flow sensor's record without its zero; the balance's where the sensor has gaps or is none."""
    from_s, to_s = record.analysis
    minutes = record.flow
    if minutes is not None and minutes.t_s.size:
        inside = (minutes.t_s >= from_s - MINUTE_S) & (minutes.t_s <= to_s + MINUTE_S)
        flow, at = minutes.flow_ul_per_h[inside], minutes.t_s[inside]
        if flow.size >= FOLLOWED * (to_s - from_s) / MINUTE_S and np.isfinite(flow).all():
            zero, u_zero, wanders = _zero(record)
            gain, u_gain = _gain(record)
            edges = np.concatenate([[at[0] - MINUTE_S / 2.0], at + MINUTE_S / 2.0])
            passed = np.concatenate([[0.0], np.cumsum((flow - zero) / gain * (np.diff(edges) / HOUR_S))])
            return Course(edges, passed, "flow sensor", u_gain, u_zero / gain, wanders / gain, record.run.end_s)
    return Course(*record.volumes(from_s, to_s))


def _zero(record: GravimetricRecord) -> tuple[float, float, float]:
    """Zero of the sensor, its standard uncertainty, and how far it may move within the run, in uL/h.

    That of the blanks, unless it is so large that something must have flowed; else that of the rig check.
    """
    found = record.flow_zero_ul_per_h
    u = float(record.calibration("flow").get("u", abs(found or 0.0)))
    rig = known_rig(record.run)
    known, u_known = (rig.flow_zero(u) if rig is not None else None) or (0.0, u)
    if found is not None and abs(found - known) <= CERTAIN * u_known:
        known, u_known = found, ZERO_WANDERS * u
    return known, u_known, ZERO_WANDERS * u


def _gain(record: GravimetricRecord) -> tuple[float, float]:
    """Gain of the sensor by the rig check, else by its certificate, and its standard uncertainty in percent."""
    rig = known_rig(record.run)
    u_percent = float(record.calibration("flow").get("u_percent", UNCERTIFIED_GAIN_PERCENT))
    return (rig.flow_gain if rig is not None else None) or (1.0, u_percent)


def levelled(
    record: GravimetricRecord,
    course: Course,
    span: tuple[float, float],
    flow_ul_per_h: float,
    excluded: Sequence[Exclusion],
) -> tuple[Course, Budget]:
    """A sensor's course with the level that the balance found in a stretch, and the budget of a mean flow, in percent.

    Parameters
    ----------
    span : begins where the pump did, and has one rate; of it the longest part that is not excluded is compared.
    flow_ul_per_h : for which the budget is.

    Notes
    -----
    With the mean flow m of the stretch a zero that is wrong by d makes a flow q wrong by d (1 - q/m) alone.  Where
    little flowed the balance tells less of the gain than the certificate does, which then holds.
    """
    by_certificate = Budget(
        "flow",
        "%",
        (
            Component("sensor, gain", course.u_gain_percent),
            Component("sensor, zero", 100.0 * course.u_zero_ul_per_h / flow_ul_per_h),
        ),
    )
    minutes = _whole_minutes(kept(*span, excluded), span[0])
    if minutes is None:
        return course, by_certificate
    from_s, to_s = minutes
    volume, budget = short_volume(record, from_s, to_s)
    passed = course.passed_ul(math.floor(from_s / MINUTE_S) * MINUTE_S, to_s)
    if volume <= CERTAIN * budget.u or passed <= 0.0:
        return course, by_certificate
    scale, mean = volume / passed, volume / (to_s - from_s) * HOUR_S
    zero = scale * course.u_zero_ul_per_h * abs(1.0 - flow_ul_per_h / mean)
    changed = scale * course.u_change_ul_per_h(flow_ul_per_h / scale, to_s - from_s)
    of_sensor = Component("sensor, zero", zero), Component("sensor, change", changed)
    weighed = budget.plus(line_warming(record, from_s, to_s)).scaled("flow", "%", 100.0 / volume)
    by_balance = weighed.plus(*Budget("flow", "uL/h", of_sensor).scaled("flow", "%", 100.0 / flow_ul_per_h).components)
    if by_balance.expanded >= by_certificate.expanded:
        return course, by_certificate
    scaled = replace(course, volume_ul=course.volume_ul * scale, by="flow sensor, scaled by the balance")
    return scaled, by_balance


def line_warming(record: GravimetricRecord, from_s: float, to_s: float) -> Component:
    """What a line that warms or cools gave off or kept: it left the tip, or did not, and the pump had no part in it."""
    collected = record.collected
    inside = (collected.t_s >= from_s) & (collected.t_s <= to_s)
    change_k = LINE_CHANGE_K
    if record.run.has("room_temperature") and "room_temperature" not in record.lost and inside.any():
        change_k = float(np.ptp(collected.room_degc[inside]))
    return bounded("line, warming", expansion_ul(record.line_volume_ul, change_k, LINE_EXPANSION_PER_K))


def _whole_minutes(stretches: Sequence[tuple[float, float]], started_s: float) -> tuple[float, float] | None:
    """The longest stretch, between whole minutes of the sensor; from where the pump began, if it begins there.

    The minute in which the pump began tells what passed in it too: before it nothing did.
    """
    if not stretches:
        return None
    from_s, to_s = max(stretches, key=lambda one: one[1] - one[0])
    if from_s > started_s:
        from_s = math.ceil(from_s / MINUTE_S) * MINUTE_S
    to_s = math.floor(to_s / MINUTE_S) * MINUTE_S
    return (from_s, to_s) if to_s - from_s >= MINUTE_S else None
