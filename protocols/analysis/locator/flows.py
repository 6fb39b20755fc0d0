"""What flow sensor and balance show besides the checks: mean flow, its largest change, a sensor that cannot follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from data.checks import Check, Evaluation
from data.quantities import parse
from data.run import Run, RunError
from data.samples import FloatArray, Quality
from protocols.analysis.grid import touched
from protocols.analysis.locator.shown import AT_LIMIT, CERTAIN, Shown, clipped
from protocols.analysis.rig.reference import known_rig

HOUR_S = 3600.0
PART_S, PARTS, FEWEST = 600.0, 96, 6
"""Sensor and balance are looked at in parts of whole strokes, at least this long and at most so many; a change is
looked for where there are at least so many."""

WITHIN_RANGE = 0.8
"""Where the programme asks for more than this share of its full scale, a flow sensor is no witness."""

PUMP_PERCENT = 5.0
"""Standard deviation of sound pumps where no limit is declared: ±15 % is what makers of implants state."""

SIDES = ("low_percent", "high_percent")

ONE_RATE = 0.2
"""Parts of the analysis whose programme differs by less than this share are of one rate."""

DELIVERED = "delivered"
"""What reaches the vessel, against the programme."""

WEIGHED = (DELIVERED, "bolus")
"""What a pump that declares no limit of it is weighed by all the same."""

SENSOR_GAIN_PERCENT = 5.0
HONEST_CHANGE_PERCENT = 4.0 / AT_LIMIT
"""A flow may change so much within a run by itself: 4 % at the limit, as for sensor against balance."""

SATURATED_SHARE = 0.001 / AT_LIMIT

STANDS_SHARE = 0.95
"""A sensor that gives the same number so often in a row stands: noise makes most neighbours differ."""


def pump_percent(run: Run) -> float:
    """Standard deviation of the delivery of sound pumps of this model: a third of its limit."""
    declared = (run.dut.get("limits") or {}).get("mean")
    sides = [float(declared[side]) for side in SIDES if declared[side] is not None] if declared else []
    if len(sides) == len(SIDES):
        return (sides[1] - sides[0]) / 2.0 / AT_LIMIT
    return abs(sides[0]) / AT_LIMIT if any(sides) else PUMP_PERCENT


@dataclass(frozen=True)
class _Parts:
    """Mean flows in parts of the analysis, uL/h; not-a-number where there are too few samples."""

    edges_s: FloatArray
    programmed: FloatArray
    sensor: FloatArray
    balance: FloatArray


def sensor_and_balance(run: Run, evaluation: Evaluation, checks: Mapping[str, Check]) -> Iterator[Shown]:
    """Flow past the sensor and onto the balance against the programme: the mean, and the largest change."""
    parts = _parts(run)
    if parts is None:
        return
    # Whoever excluded a stretch has said what happened there to the vessel.
    told = touched(parts.edges_s, [one for one in evaluation.excluded if one.person])
    parts = replace(parts, balance=np.where(told, np.nan, parts.balance))
    programmed, sensor = parts.programmed, parts.sensor
    seen = np.isfinite(sensor) & (programmed > 0.0) & (programmed < WITHIN_RANGE * _full_scale(run))
    if seen.any():
        mean = float(programmed[seen].mean())
        percent = 100.0 * (float(sensor[seen].mean()) / mean - 1.0)
        u = _u_sensor_percent(run, mean)
        spread = math.hypot(u, pump_percent(run))
        role = run.roles["flow"]
        yield Shown("passed", "", percent, "%", clipped(percent / spread), role, u, spread=spread)
        yield from _change("passed-change", parts, np.where(seen, sensor, np.nan), role)
        both = np.where(seen, sensor - parts.balance, np.nan)
        yield from _change("lost-change", parts, both, f"{role}, {run.roles['reference_mass']}")
    if np.isfinite(parts.balance).any():
        yield from _change("caught-change", parts, parts.balance, run.roles["reference_mass"])
    blanks = checks.get("blanks-agree")
    if blanks is not None and blanks.value is not None and blanks.limit_high:
        percent = 100.0 / float(parts.programmed.mean())  # 1 mg is 1 uL, near enough here
        value, spread = percent * blanks.value, percent * blanks.limit_high / AT_LIMIT
        u = percent * (blanks.standard_uncertainty or 0.0)
        yield Shown("blank-change", "", value, "%", clipped(value / spread), blanks.name, u, spread=spread)


def _full_scale(run: Run) -> float:
    if not run.has("flow"):
        return 0.0
    stated = run.station["instruments"][run.roles["flow"].partition(".")[0]].get("full_scale")
    return parse(stated, "flow") if stated else math.inf


def _u_sensor_percent(run: Run, flow_ul_per_h: float) -> float:
    """Standard uncertainty of the sensor's mean in percent of a flow, by its rig check or its certificate."""
    certificate = run.calibration("flow")
    zero, gain = float(certificate.get("u") or 0.0), float(certificate.get("u_percent") or SENSOR_GAIN_PERCENT)
    rig = known_rig(run)
    if rig is not None:
        gain = rig.flow_gain[1] if rig.flow_gain else gain
        found = rig.flow_zero(zero)
        zero = found[1] if found else zero
    return math.hypot(gain, 100.0 * zero / flow_ul_per_h)


def _parts(run: Run) -> _Parts | None:
    """The analysis in parts of whole strokes; None where the run has no analysis with a programme."""
    spans = [(phase.t0, phase.t1) for phase in run.phases if phase.name == "analysis"]
    started = next((e for e in run.records("pump-command") if str(e.fields["command"]).startswith("RUN")), None)
    if not spans or started is None:
        return None
    try:
        schedule = run.schedule
    except RunError:
        return None
    from_s, to_s = spans[-1]
    since = float(started.fields["confirmed_s"])
    expected = float(schedule.expected_volume_ul(from_s - since, to_s - since))
    if expected <= 0.0 or to_s - from_s < FEWEST * PART_S:
        return None
    stroke_s = float(run.dut.get("stroke_ul") or 0.0) / expected * (to_s - from_s)
    least_s = max(PART_S, (to_s - from_s) / PARTS)
    part_s = math.ceil(least_s / stroke_s) * stroke_s if stroke_s > 0.0 else least_s
    edges = np.arange(from_s, to_s + 1e-6, part_s)
    if edges.size < 3:
        edges = np.array([from_s, to_s])
    volume = np.array([float(schedule.expected_volume_ul(0.0, edge - since)) for edge in edges.tolist()])
    per_hour = np.diff(edges) / HOUR_S
    return _Parts(edges, np.diff(volume) / per_hour, _sensor(run, edges), _balance(run, edges))


def _sensor(run: Run, edges_s: FloatArray) -> FloatArray:
    """Mean of the good samples of each part, zero and gain of the rig check taken off."""
    nothing = np.full(edges_s.size - 1, np.nan)
    if not run.has("flow"):
        return nothing
    whole = run.corrected("flow")
    clipped_at = np.concatenate([[0], np.cumsum((whole.quality & int(Quality.SATURATED)) != 0)])
    within = np.searchsorted(whole.t, edges_s)
    beyond = np.diff(clipped_at[within]) > SATURATED_SHARE * np.diff(within)
    good = whole.good()
    at = np.searchsorted(good.t, edges_s)
    count = np.diff(at)
    sums = np.concatenate([[0.0], np.cumsum(good.values)])
    usual = float(np.median(count)) if count.size else 0.0
    rig = known_rig(run)
    zero, gain = 0.0, 1.0
    if rig is not None:
        zero = (rig.flow_zero(float(run.calibration("flow").get("u") or 0.0)) or (0.0, 0.0))[0]
        gain = rig.flow_gain[0] if rig.flow_gain else 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (sums[at[1:]] - sums[at[:-1]]) / count
    known = (count > 0) & (count >= 0.5 * usual) & ~beyond  # what it could not follow is missing from a mean
    return np.where(known, (means - zero) / gain, nothing)


def _balance(run: Run, edges_s: FloatArray) -> FloatArray:
    """Gain of mass in each part, as uL/h of water; the vessel's loss is the same in all and drops out of a change."""
    nothing = np.full(edges_s.size - 1, np.nan)
    if not run.has("reference_mass"):
        return nothing
    good = run.corrected("reference_mass").good()
    inside = (edges_s >= good.t[0]) & (edges_s <= good.t[-1]) if good.t.size else np.zeros(edges_s.size, dtype=np.bool_)
    if inside.sum() < 2:
        return nothing
    mass = np.where(inside, np.interp(edges_s, good.t, good.values), np.nan)
    return np.asarray(np.diff(mass) / np.diff(edges_s) * HOUR_S, dtype=np.float64)


def _change(name: str, parts: _Parts, flow: FloatArray, source: str) -> Iterator[Shown]:
    """The largest change of a flow from one side of a moment to the other, in percent of the programme."""
    known = np.isfinite(flow) & (parts.programmed > 0.0)
    if known.any():
        # What is lost or gained steadily is another share of another rate.
        known &= np.abs(parts.programmed / np.median(parts.programmed[known]) - 1.0) < ONE_RATE
    if known.sum() < FEWEST:
        return
    change, spread, at = largest_change(100.0 * flow[known] / parts.programmed[known])
    began = float(parts.edges_s[:-1][known][at])
    z = clipped(change / spread)
    yield Shown(name, "", change, "%", z, source, spread, spread=spread, at_s=began if abs(z) >= AT_LIMIT else None)


def largest_change(percent: FloatArray) -> tuple[float, float, int]:
    """The most certain change of a mean: its size, its standard deviation, and the first value after it.

    Parameters
    ----------
    percent : (n,) at least two values, in order.

    Notes
    -----
    Of all moments that with the largest ratio of the change to its standard deviation, which is made of what a flow
    changes by itself and of the scatter.  The scatter is by the median of the neighbours' differences, so that the
    change itself does not count to it.
    """
    n = percent.size
    scatter = 1.4826 / math.sqrt(2.0) * float(np.median(np.abs(np.diff(percent))))
    first = np.arange(1, n)
    sums = np.cumsum(percent)[:-1]
    changes = (percent.sum() - sums) / (n - first) - sums / first
    spreads = np.hypot(HONEST_CHANGE_PERCENT, max(scatter, 0.1) * np.sqrt(1.0 / first + 1.0 / (n - first)))
    at = int(np.argmax(np.abs(changes) / spreads))
    return float(changes[at]), float(spreads[at]), at + 1


def until_the_alarm(run: Run, evaluation: Evaluation) -> Iterator[Shown]:
    """Delivered against programmed until the low-reservoir alarm, where a filling was followed so far."""
    values = evaluation.values
    if not {"left_at_alarm_ul", "alarm_after_days", "filled_ul"} <= values.keys():
        return
    rate = float(run.params.get("rate_ul_per_h") or 0.0)
    programmed = rate * values["alarm_after_days"] * 24.0
    if programmed <= 0.0:
        return
    percent = 100.0 * ((values["filled_ul"] - values["left_at_alarm_ul"]) / programmed - 1.0)
    spread = pump_percent(run)
    source = run.roles["reference_mass"]
    yield Shown(DELIVERED, "", percent, "%", clipped(percent / spread), source, spread=spread)


def sensor_itself(run: Run) -> Iterator[Shown]:
    """Share of the readings beyond the range, and whether the sensor gives one number again and again."""
    spans = [(phase.t0, phase.t1) for phase in run.phases if phase.name in ("analysis", "stabilisation")]
    if not spans or not run.has("flow"):
        return
    role = run.roles["flow"]
    inside = [run.series("flow").within(span) for span in spans]
    beyond = int(Quality.SATURATED | Quality.OVERLOAD)
    quality = np.concatenate([one.quality for one in inside])
    if not quality.size:
        return
    if _peak(run) < WITHIN_RANGE * _full_scale(run):
        share = float(np.count_nonzero(quality & beyond)) / quality.size
        yield Shown(
            "saturated", "", 100.0 * share, "%", clipped(share / SATURATED_SHARE), role, spread=100.0 * SATURATED_SHARE
        )
    values = np.concatenate([one.values for one in inside])
    quarters = [part for part in np.array_split(values, 8) if part.size > 10]
    stands = max((float(np.mean(np.diff(part) == 0.0)) for part in quarters), default=0.0)
    z = CERTAIN if stands > STANDS_SHARE else 0.0
    yield Shown("sensor-stands", "", 100.0 * stands, "%", z, role, high=100.0 * STANDS_SHARE)


def _peak(run: Run) -> float:
    """Highest programmed rate of a constant one and of boluses on it, in uL/h; 0 without a programme."""
    try:
        schedule = run.schedule
    except RunError:
        return 0.0
    mean = float(schedule.expected_volume_ul(0.0, max(run.end_s, 1.0))) / max(run.end_s, 1.0) * HOUR_S
    return max([mean, *(bolus.rate_ul_per_h for bolus in schedule.boluses)])
