"""One occlusion of a run with all that is known of it, and how its checks are named and limited."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from data.checks import Check, Limits, Owner, Verdict
from data.samples import FloatArray
from protocols.analysis.decision import judge
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.line import ClosedLine
from protocols.analysis.occlusion.record import EDGE_S, HOUR_S, Occluded, OcclusionRecord
from protocols.analysis.occlusion.rise import low_passed
from protocols.analysis.occlusion.volumes import Volumes

LEAST_SAMPLES = 10
LAST_S = 10.0
"""The pressure at opening is read off a line through so much of the end of the rise."""

STOPPED_AGREES = "stopped-agrees"
AIR_DENSITY = "air-density"
"""What is weighed stands on it, besides."""

HOLDS = (
    "rig-check",
    "outlet-pressure",
    "valve-closes",
    "line-tight",
    "compliance-as-checked",
    "bath-temperature",
    STOPPED_AGREES,
)
"""What every result behind a closed line stands on."""


@dataclass(frozen=True, slots=True)
class Behind:
    """The pressure behind the closed line.

    Attributes
    ----------
    t_s, rise_kpa : (n,) since closing, and the pressure over the baseline.
    low_t_s, low_kpa : (m,) the pressure itself, low-passed over one stroke.
    at_opening_kpa : None where the line was not opened.
    """

    t_s: FloatArray
    rise_kpa: FloatArray
    base_kpa: float
    low_t_s: FloatArray
    low_kpa: FloatArray
    top_kpa: float
    at_opening_kpa: float | None

    @property
    def mean_slope(self) -> float:
        """Of the whole rise, in kPa/s."""
        return max(float(self.rise_kpa[-1]) / float(self.t_s[-1]), 1e-9)


def behind(record: OcclusionRecord, occluded: Occluded) -> Behind:
    """Read the pressure from the closing to the opening; raises RecordError where there is none."""
    closed_s, ended_s = occluded.closed_s, occluded.ended_s
    if closed_s is None or ended_s is None:
        raise RecordError("the line was not closed")
    until_s = occluded.opened_s if occluded.opened_s is not None else ended_s
    stroke_s = record.stroke_ul / occluded.flow_ul_per_s
    base = record.mean_kpa(closed_s - max(EDGE_S, min(stroke_s, occluded.window_s)), closed_s)
    seen_s = until_s - record.guard_s
    t_s, pressure = record.pressure(closed_s, seen_s)
    if t_s.size < LEAST_SAMPLES:
        raise RecordError("the line was closed for too short a time")
    long_t, long_p = record.pressure(closed_s - stroke_s, seen_s)
    low_t, low_p = low_passed(long_t, long_p, min(stroke_s, (seen_s - closed_s) / 2.0))
    at_opening = None
    if occluded.opened_s is not None:
        tail_t, tail_p = record.pressure(seen_s - min(LAST_S, (seen_s - closed_s) / 4.0), seen_s)
        slope = (float(tail_p[-1]) - float(tail_p[0])) / max(float(tail_t[-1] - tail_t[0]), 1e-9)
        middle = math.fsum(tail_t.tolist()) / tail_t.size
        at_opening = math.fsum(tail_p.tolist()) / tail_p.size + slope * (until_s - middle)
    top = float(pressure.max())
    return Behind(t_s - closed_s, pressure - base, base, low_t - closed_s, low_p, top, at_opening)


@dataclass(frozen=True)
class Case:
    """One occlusion: what was recorded, the line by the metered step (None without one), mass and pressure.

    ``values`` are the evaluation's named numbers, to which the checks add.
    """

    record: OcclusionRecord
    occluded: Occluded
    line: ClosedLine | None
    volumes: Volumes
    behind: Behind
    values: dict[str, float]

    @property
    def flow_ul_per_s(self) -> float:
        """What the pump delivered before, at least nothing."""
        return max(self.volumes.before_ul_per_h[0], 0.0) / HOUR_S

    def keep(self, name: str, value: float) -> None:
        """Add a number to the evaluation's values; those of the first occlusion have plain names."""
        number = self.occluded.number
        self.values[name if number == 1 else f"occlusion_{number}_{name}"] = value

    def limits(self, low: str | None, high: str | None) -> Limits | None:
        """What the pump's model file declares under these keys of its table ``limits.occlusion``."""
        declared = (self.record.run.dut.get("limits") or {}).get("occlusion") or {}
        below = None if low is None else declared.get(low)
        above = None if high is None else declared.get(high)
        if below is None and above is None:
            return None
        return Limits(below, above, f"{declared['source']}, revision {declared['revision']}")


def numbered(check: Check, occluded: Occluded) -> Check:
    """The check as one of this occlusion; the first one's have plain names."""
    if occluded.number == 1:
        return check
    at = f"{occluded.rate_ul_per_h * 0.024:.4g} mL/day"
    own = {"outlet-pressure", "valve-opens", "bolus-consistent"}
    depends = tuple(f"{name}-{occluded.number}" if name in own else name for name in check.depends_on)
    return replace(check, name=f"{check.name}-{occluded.number}", title=f"{check.title}, {at}", depends_on=depends)


def told(
    name: str,
    title: str,
    value: float,
    u: float,
    unit: str,
    owner: Owner,
    note: str = "",
    depends_on: tuple[str, ...] = (),
) -> Check:
    """A number that nothing limits, with its uncertainty."""
    fields = judge(value, u, math.inf, None)
    return Check(
        name=name, title=title, unit=unit, owner=owner, optional=True, note=note, depends_on=depends_on, **fields
    )


def unmeasured(name: str, title: str, unit: str, note: str) -> Check:
    """A required result of the pump that the run does not hold."""
    return Check(name, title, None, unit, Verdict.NOT_MEASURED, "dut", note=note)
