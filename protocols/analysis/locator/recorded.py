"""What a run shows besides its checks: the course of sensor and balance, the pump's own words, losses, contacts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from data.alarms import tells
from data.checks import Check, Evaluation
from data.quantities import parse
from data.run import Event, Run, RunError
from data.samples import FloatArray, Quality
from protocols.analysis.catheter.findings import DISCONNECTED
from protocols.analysis.catheter.record import CatheterRecord
from protocols.analysis.grid import RecordError, touched
from protocols.analysis.locator.shown import AT_LIMIT, CERTAIN, Shown, clipped
from protocols.analysis.pump_reports import clock_s
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
MISSING_SHARE = 0.002
"""A wire loses one reading in some thousands."""

FEWEST_LOSSES, MANY, FEW, LONG_S = 20, 0.4, 3, 2.5
"""Losses are told apart where there are so many: by the share of wrong replies or of instruments without their tare,
by readings that jumped, and by how long they last: an instrument that starts anew takes seconds."""

NO_REPLY, TARED_AGAIN = "no whole reply", "is set again"
"""Words of the drivers' records: nothing, or not all, came in time; a balance was given its tare back."""

MEASURING = ("reference_mass", "flow")

STANDS_SHARE = 0.95
"""A sensor that gives the same number so often in a row stands: noise makes most neighbours differ."""

CLOCK_S, CLOCK_PPM = 1.0, 100.0
"""The clock of a pump from ours."""

DROP_KPA = 0.02
"""What two means of the outlet pressure differ by while nothing changes."""

DISCONNECTED_PERCENT = 100.0 * DISCONNECTED

RISEN_PERCENT = 50.0
"""A syringe pump that reaches less of the pressure it was to reach pushes into an open line: no leak takes so much."""

PROVOKED: Mapping[str, frozenset[str]] = {"occlusion": frozenset({"occlusion"})}
"""Alarms that a protocol brings about."""

ALARMS = ("stall", "low-battery", "occlusion")


def of_record(run: Run, evaluation: Evaluation) -> Iterator[Shown]:
    """Every quantity that a run shows besides its checks; titles are given later."""
    checks = {check.name: check for check in evaluation.checks}
    yield from _pump_says(run)
    yield from _requests(run)
    yield from _flows(run, evaluation, checks)
    yield from _until_the_alarm(run, evaluation)
    yield from _lost(run)
    yield from _contacts(run)
    yield from _forced(run, checks)
    yield from _risen(run)
    if "insertion-force" in checks and checks["needle-at-stop"].value is not None:
        yield _happened("not-pierced", checks["insertion-force"].value is None, "insertion-force")


def _happened(name: str, happened: bool, source: str) -> Shown:
    """Something that may not happen at all."""
    return Shown(name, "", None if happened else 0.0, "1", CERTAIN if happened else 0.0, source)


def pump_percent(run: Run) -> float:
    """Standard deviation of the delivery of sound pumps of this model: a third of its limit."""
    declared = (run.dut.get("limits") or {}).get("mean")
    sides = [float(declared[side]) for side in SIDES if declared[side] is not None] if declared else []
    if len(sides) == len(SIDES):
        return (sides[1] - sides[0]) / 2.0 / AT_LIMIT
    return abs(sides[0]) / AT_LIMIT if any(sides) else PUMP_PERCENT


# --------------------------------------------------------------------------------------------------- the pump's words


def _pump_says(run: Run) -> Iterator[Shown]:
    """Alarms, log and clock, where the pump was read after it had been started.

    What a person reads off a programmer has no log and no clock, and may name alarms in its own words.
    """
    read = run.records("pump")
    later = [one for one in read if one.fields["key"] != "before"]
    if not later:
        return
    alarms = [str(name) for one in later for name in one.fields["alarms"] or ()]
    for name in ALARMS:
        if name not in PROVOKED.get(run.procedure, ()):
            yield _happened(f"alarm-{name}", any(tells(told, name) for told in alarms), "pump.alarms")
    if any(one.fields["log"] for one in read):
        log = [str(line).casefold() for one in later for line in one.fields["log"] or ()]
        yield _happened("reset-logged", any("reset" in line for line in log), "pump.log")
    clocks = [one.fields for one in read if math.isfinite(clock_s(one.fields))]
    if len(clocks) > 1:
        first, last = clocks[0], clocks[-1]
        ours = float(last["answered_s"]) - float(first["answered_s"])
        jump = clock_s(last) - clock_s(first) - ours
        spread = math.hypot(CLOCK_S, 1e-6 * CLOCK_PPM * ours)
        yield Shown("pump-clock", "", jump, "s", clipped(jump / spread), "pump.clock_s", CLOCK_S, spread=spread)


def _requests(run: Run) -> Iterator[Shown]:
    """Patient boluses that were granted against the programmed rule."""
    try:
        rule = run.schedule.patient
    except RunError:
        return
    asked = [one for one in run.records("pump-command") if str(one.fields["command"]).startswith("BOLUS kind=patient")]
    if rule is None or not asked:
        return
    granted: list[float] = []
    within = beyond = 0
    for one in asked:
        if "granted=1" not in str(one.fields["reply"]) and not str(one.fields["reply"]).startswith("granted"):
            continue
        at_s = float(one.fields["confirmed_s"])
        if granted and at_s - granted[-1] < rule.lockout_s - CLOCK_S:
            within += 1
        elif _on_the_day(run, granted, at_s, rule.day) >= rule.max_per_day:
            beyond += 1
        granted.append(at_s)
    for name, count in (("lockout-broken", within), ("maximum-broken", beyond)):
        yield Shown(name, "", float(count), "1", CERTAIN if count else 0.0, "pump.commands", high=0.0)


def _on_the_day(run: Run, granted: list[float], at_s: float, day: str) -> int:
    """Boluses granted before on the same day of the pump's clock, or in the 24 h before."""
    day_s = 24.0 * HOUR_S
    ahead = next((clock_s(one.fields) - float(one.fields["answered_s"]) for one in run.records("pump")), 0.0)
    if day == "rolling" or not math.isfinite(ahead):
        return sum(at_s - one < day_s for one in granted)
    return sum(math.floor((one + ahead) / day_s) == math.floor((at_s + ahead) / day_s) for one in granted)


# ---------------------------------------------------------------------------------------------------- sensor, balance


@dataclass(frozen=True)
class _Parts:
    """Mean flows in parts of the analysis, uL/h; not-a-number where there are too few samples."""

    edges_s: FloatArray
    programmed: FloatArray
    sensor: FloatArray
    balance: FloatArray


def _flows(run: Run, evaluation: Evaluation, checks: Mapping[str, Check]) -> Iterator[Shown]:
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


def _until_the_alarm(run: Run, evaluation: Evaluation) -> Iterator[Shown]:
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


# ------------------------------------------------------------------------------------------------- losses, contacts


def _lost(run: Run) -> Iterator[Shown]:
    """Readings that are missing, instruments that never came back, and a sensor at its end or standing still."""
    away: dict[str, float] = {}
    for event in run.records("outage"):
        name = str(event.fields["instrument"])
        if event.fields["state"] == "end":
            away.pop(name, None)
        else:
            away.setdefault(name, event.t)
    gone = [at for at in away.values() if at < run.end_s - 1.0]
    yield Shown(
        "silent", "", float(len(gone)), "1", CERTAIN if gone else 0.0, ", ".join(sorted(away)) or "outages",
        high=0.0, at_s=min(gone, default=None),
    )  # fmt: skip
    missing = {
        role: sum(count for _, _, count in run.gaps(role)) / max(len(run.series(role)), 1)
        for role in MEASURING
        if run.has(role)
    }
    if missing:
        worst = max(missing, key=lambda role: missing[role])
        share = missing[worst]
        z = clipped(share / MISSING_SHARE)
        yield Shown("gaps", "", 100.0 * share, "%", z, run.roles[worst], spread=100.0 * MISSING_SHARE)
    yield from _how_lost(run)
    if run.has("flow"):
        yield from _sensor_itself(run)


def _how_lost(run: Run) -> Iterator[Shown]:
    """How readings were lost, where enough were: no reply or a wrong one, for how long, and what came back untared."""
    told = run.records("outage")
    ends = [float(one.fields["lasted_s"]) for one in told if one.fields["state"] == "end"]
    begins = [str(one.fields["text"]) for one in told if one.fields["state"] == "begin"]
    if len(ends) < FEWEST_LOSSES:
        return
    damaged = sum(NO_REPLY not in text for text in begins) / len(begins)
    untared = sum(TARED_AGAIN in one.text for one in run.records("event")) / len(ends)
    typical_s = float(np.median(ends))
    bad = int(Quality.IMPLAUSIBLE)
    implausible = sum(int(np.count_nonzero(run.series(role).quality & bad)) for role in MEASURING if run.has(role))
    for name, share in (("wrong-replies", damaged), ("untared", untared)):
        z = CERTAIN if share > MANY else 0.0
        yield Shown(name, "", 100.0 * share, "%", z, "outages", high=100.0 * MANY)
    yield Shown("long-losses", "", typical_s, "s", CERTAIN if typical_s > LONG_S else 0.0, "outages", high=LONG_S)
    z = CERTAIN if implausible >= FEW else 0.0
    yield Shown("jumps", "", float(implausible), "1", z, "quality flags", high=float(FEW))


def _sensor_itself(run: Run) -> Iterator[Shown]:
    """Share of the readings beyond the range, and whether the sensor gives one number again and again."""
    spans = [(phase.t0, phase.t1) for phase in run.phases if phase.name in ("analysis", "stabilisation")]
    if not spans:
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


def _contacts(run: Run) -> Iterator[Shown]:
    """Contacts that an interlock of the station watches: emergency stop and leak tray."""
    watched: Mapping[str, Any] = run.station.get("interlocks") or {}
    tripped = [event for event in run.records("interlock") if event.fields.get("action") != "none"]
    for name, words in (("e-stop", ("e-stop", "e_stop")), ("tray", ("leak-tray", "leak_tray"))):
        if any(_about(words, key, str(table.get("channel"))) for key, table in watched.items()):
            found = [
                event for event in tripped if _about(words, str(event.fields["name"]), str(event.fields["channel"]))
            ]
            yield _contact(name, found)


def _named(event: Event) -> tuple[Any, Any]:
    return event.fields["name"], event.fields["channel"]


def _about(words: tuple[str, ...], *texts: str) -> bool:
    return any(word in text for word in words for text in texts)


def _contact(name: str, found: list[Event]) -> Shown:
    at_s = found[0].t if found else None
    value, z = (None, CERTAIN) if found else (0.0, 0.0)
    return Shown(name, "", value, "1", z, "interlocks", at_s=at_s)


# ------------------------------------------------------------------------------------------------------ forced flow


def _forced(run: Run, checks: Mapping[str, Check]) -> Iterator[Shown]:
    """Whether a forced flow passes the catheter, and what it needs against the bridge."""
    spans = {phase.name: (phase.t0, phase.t1) for phase in run.phases}
    if "arrives" in checks and "straight-slow-settle" in spans:
        yield _happened("blocked", checks["arrives"].value is None, "arrives")
    if not {"flush", "bridge-slow"} <= spans.keys() or not run.has("outlet_pressure"):
        return
    pressure = run.corrected("outlet_pressure").good()
    with_it, without = (pressure.within(spans[name]).values for name in ("flush", "bridge-slow"))
    if min(with_it.size, without.size) < 5:
        return
    rate = float(run.params["slow_ul_per_h"]) / HOUR_S
    try:
        expected = CatheterRecord(run).poiseuille_kpa_s_per_ul * rate
    except RecordError:
        return  # no temperature, no viscosity
    over = 100.0 * float(with_it.mean() - without.mean()) / expected
    u = 100.0 * math.hypot(DROP_KPA, *(float(one.std()) / math.sqrt(one.size) for one in (with_it, without))) / expected
    spread = math.hypot(u, (100.0 - DISCONNECTED_PERCENT) / AT_LIMIT)
    z = clipped(min(0.0, (over - 100.0) / spread))
    yield Shown("drop", "", over, "%", z, run.roles["outlet_pressure"], u, low=DISCONNECTED_PERCENT, spread=spread)


def _risen(run: Run) -> Iterator[Shown]:
    """How far a syringe pump raised the pressure behind the valves that a test had closed, of what it was to reach."""
    rises = [phase for phase in run.phases if phase.name.startswith("rise-") and phase.complete]
    asked = run.params.get("pressure_kpa")
    if not rises or not asked or not run.has("outlet_pressure"):
        return
    pressure = run.corrected("outlet_pressure").good()
    tops = [part.max() for phase in rises if (part := pressure.within(phase).values).size]
    if tops:
        percent = 100.0 * float(min(tops)) / float(asked)
        spread = (100.0 - RISEN_PERCENT) / AT_LIMIT
        z = clipped(min(0.0, (percent - 100.0) / spread))
        yield Shown("risen", "", percent, "%", z, run.roles["outlet_pressure"], low=RISEN_PERCENT, spread=spread)
