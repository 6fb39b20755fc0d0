"""Parts 6 and 7 of a rig check: what the vessel loses, and whether sensor, syringe pump and balance agree on a flow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from data.checks import Axis, Check, Curve, Limits, Verdict
from data.run import RunError
from data.samples import FloatArray
from protocols.analysis import syringe
from protocols.analysis.evaporation import HOUR_S, Blank, BlankError, blank
from protocols.analysis.flow_budget import LINE_EXPANSION_PER_K
from protocols.analysis.reading_noise import ReadingNoise
from protocols.analysis.rig import RecordError
from protocols.analysis.rig import flow as flow_check
from protocols.analysis.rig import line as line_check
from protocols.analysis.rig.judging import judged, told, unmeasured, within
from protocols.analysis.rig.record import RigRecord
from protocols.analysis.room import AIR_PER_K, LINE_U_SHARE, air_mg
from protocols.analysis.suitability import air_density

RATES = {"slow": "pushed-slow", "middle": "pushed-middle", "fast": "pushed"}
"""Name of the check of what arrives at each rate; the fastest has the name that the control charts know."""

PUSHED_PERCENT = 2.0
"""How much more or less than what is pushed may arrive, where the station file of a run does not say so yet."""

LARGEST_BIRGE = 2.43, 3.0
"""Birge ratio that three points with one and with two fitted values pass by chance in one case of 370."""

MINUTE_S = 60.0

WANDER_K_PER_H = 0.2
"""How fast a room may warm in a few minutes while its mean over an hour stands still."""

USUAL_K_PER_H = 0.5
"""How fast a laboratory warms or cools by the day's swing, at most."""

SLOPE_BLOCKS = 24
"""Parts of a record for which the noise of its slope is summed."""


def syringe_u_percent(record: RigRecord) -> float:
    """Standard uncertainty of the syringe pump's rate."""
    return syringe.syringe_u_percent(record.run, "pusher")


def syringe_gain(record: RigRecord) -> float:
    """What the syringe pump pushes over what it is asked for, by its certificate."""
    return syringe.syringe_gain(record.run, "pusher")


def walk_mg_per_h(record: RigRecord, lasted_s: float) -> float:
    """Standard deviation of the slope that a random walk of the zero has over a time T: w sqrt(6/5 / T)."""
    return float(record.balance["zero_walk_mg"]) * math.sqrt(1.2 * HOUR_S / lasted_s)


def slope_u_mg_per_h(record: RigRecord, t_s: FloatArray, mass_mg: FloatArray) -> float:
    """Standard uncertainty of the slope of readings that hang together, under a meniscus that slips as the level rises.

    Over the few microlitres of a comparison the meniscus may slip once, or not at all: a line through the readings
    follows it.
    """
    middles = (np.arange(SLOPE_BLOCKS) + 0.5) / SLOPE_BLOCKS * (t_s[-1] - t_s[0])
    from_middle_h = (middles - math.fsum(middles.tolist()) / SLOPE_BLOCKS) / HOUR_S
    weights = from_middle_h / math.fsum((from_middle_h**2).tolist())
    risen_ul = abs(float(mass_mg[-1] - mass_mg[0])) * record.ul_per_mg * (middles / (t_s[-1] - t_s[0]))
    balance, meniscus_mg = record.balance, float(record.run.station["collection"]["meniscus_mg"])
    reading_mg = math.hypot(balance["repeatability_mg"], balance["readability_mg"] / math.sqrt(12.0))
    noise = ReadingNoise(reading_mg, meniscus_mg / math.sqrt(3.0), 0.0, float(np.median(np.diff(t_s))))
    lengths = np.full(SLOPE_BLOCKS, (t_s[-1] - t_s[0]) / SLOPE_BLOCKS)
    return math.hypot(*(u for _, u in noise.parts_mg(middles, risen_ul, weights, lengths)))


def warmed_mg_per_h(record: RigRecord, span: str) -> float:
    """What a balance over a standing line may show an hour as the room warms: line, vessel in lighter air, the cell."""
    collection = record.run.station.get("collection")
    if collection is None:
        return 0.0
    k_per_h = math.hypot(_warming_k_per_h(record, span), WANDER_K_PER_H)
    shown = float(collection["dead_volume_ul"]) * LINE_EXPANSION_PER_K + _lighter_mg_per_k(record)
    return math.hypot(shown * k_per_h, _warmed_mg_per_h(record, k_per_h))


def _lighter_mg_per_k(record: RigRecord) -> float:
    """What the vessel and what is in it seem to gain as the air around them becomes warmer, and lighter."""
    return air_mg(record.run.station["collection"]) * AIR_PER_K


def gained_ul_per_h(record: RigRecord, phase: str) -> tuple[float, float]:
    """Volume that the balance gained an hour in a phase, what the vessel lost added, and its standard uncertainty.

    Raises
    ------
    RecordError
        If there are too few readings, or the station file says nothing of vessel or balance.
    """
    mass = record.good("reference_mass", phase)
    fit = line_check.straight_line(mass.t, mass.values)
    collection, balance = record.run.station.get("collection"), record.balance
    if collection is None:
        raise RecordError("the station file has no [collection], so what the vessel loses is not known")
    slope = fit.slope * HOUR_S + float(collection["evaporation_mg_per_h"])
    parts = (
        fit.u_slope * HOUR_S,
        slope_u_mg_per_h(record, mass.t, mass.values),
        float(collection["evaporation_spread_mg_per_h"]),
        balance["drift_mg_per_day"] / 24.0 / math.sqrt(3.0),
        walk_mg_per_h(record, float(mass.t[-1] - mass.t[0])),
        warmed_mg_per_h(record, phase),
    )
    return slope * record.ul_per_mg, math.hypot(*parts) * record.ul_per_mg


# ----------------------------------------------------------------------------------------------------- evaporation


def _blank(record: RigRecord) -> Blank:
    """The rate of loss, with what the air's changing buoyancy did to the vessel taken off."""
    series = record.weighed("blank")
    begin, end = float(series.t[0]), float(series.t[-1])
    edges = np.arange(begin, end + MINUTE_S, MINUTE_S)
    air = np.array([record.air_mg_per_ul((at, at + MINUTE_S)) for at in edges])
    buoyant_ul = float(record.run.station["collection"]["buoyant_volume_ul"])
    lifted = buoyant_ul * np.interp(series.t, edges + MINUTE_S / 2.0, air - air[0])
    return blank(series.t, series.values + lifted, record.balance["readability_mg"])


def _warming_k_per_h(record: RigRecord, span: str | tuple[float, float]) -> float:
    """How fast the room warmed, as balance and line felt it; what is usual where no thermometer tells."""
    if not record.run.has("room_temperature"):
        return USUAL_K_PER_H
    try:
        room = record.good("room_temperature", span)
        return abs(line_check.straight_line(room.t, room.values).slope) * HOUR_S
    except RecordError:
        return USUAL_K_PER_H


def _warmed_mg_per_h(record: RigRecord, k_per_h: float) -> float:
    """Slope of the balance's reading in a room that warms."""
    coefficient = record.balance["temperature_coefficient_percent_per_k"] / 100.0
    return float(coefficient * record.run.station["collection"]["load_mg"]) * k_per_h


def evaporation(record: RigRecord, values: dict[str, float], curves: list[Curve]) -> Iterator[Check]:
    """What the vessel loses in the blank, against what the station file states."""
    name, title, unit = "evaporation", "Evaporation", "mg/h"
    try:
        found = _blank(record)
        warming = _warmed_mg_per_h(record, _warming_k_per_h(record, "blank"))
    except (RecordError, BlankError) as error:
        yield unmeasured(name, title, unit, str(error))
        return
    collection = record.run.station["collection"]
    usual, spread = collection["evaporation_mg_per_h"], collection["evaporation_spread_mg_per_h"]
    drift = record.balance["drift_mg_per_day"] / 24.0 / math.sqrt(3.0)
    walk = walk_mg_per_h(record, found.to_s - found.from_s)
    half = 3.0 * math.hypot(spread, drift, warming, walk, found.u_mg_per_h)
    cause = "the vessel loses more than it should: a dry evaporation trap, or the oil layer is gone"
    if found.rate_mg_per_h < usual:
        cause = "the vessel gains mass without flow: a drop runs in, or the balance drifts"
    limits = Limits(usual - half, usual + half, "station file, collection")
    values["evaporation_mg_per_h"] = found.rate_mg_per_h
    yield judged(name, title, unit, found.rate_mg_per_h, found.u_mg_per_h, limits, cause, found.dof)


# ------------------------------------------------------------------------------------------- sensor and syringe pump


def flow(record: RigRecord, values: dict[str, float], curves: list[Curve]) -> Iterator[Check]:
    """The sensor behind a closed valve; then sensor, syringe pump and balance at three rates."""
    limits = record.limits
    try:
        series = record.good("flow", "zero-flow")
        zero = flow_check.zero(series.t, series.values)
    except RecordError as error:
        yield unmeasured("flow-zero", "Flow sensor, zero", "uL/h", str(error))
        yield from _uncompared("the flow sensor's zero is not known")
        return
    values["flow_zero_ul_per_h"], values["u_flow_zero_ul_per_h"] = zero.ul_per_h, zero.u_ul_per_h
    cause = "the sensor shows flow behind a closed valve: its zero has moved, or the valve passes"
    half = within(limits["flow_zero_ul_per_h"])
    check = judged("flow-zero", "Flow sensor, zero", "uL/h", zero.ul_per_h, zero.u_ul_per_h, half, cause)
    yield told(check, zero.u_ul_per_h, "let the line come to rest for longer before")
    try:
        points = _points(record, zero)
    except (RecordError, BlankError) as error:
        yield from _uncompared(str(error))
        return
    yield from air_density(record.air_mg_per_ul("gain-slow"), record.lost_air(_compared(record)))
    yield from _sensor(record, points, values)
    gained = np.array([one.balance_ul_per_h for one in points])
    shown = np.array([one.sensor_ul_per_h for one in points])
    axis = Axis("balance", "uL/h", gained)
    curves.append(Curve("flow", "Flow sensor against the balance", axis, (Axis("sensor", "uL/h", shown),)))
    yield from _arrives(record, points)
    yield from _lost(record, points)


def _uncompared(why: str) -> Iterator[Check]:
    yield unmeasured("flow-gain", "Flow sensor over balance", "%", why)
    yield unmeasured("flow-scatter", "Flow sensor over balance, scatter of the rates", "1", why)
    for name in RATES.values():
        yield unmeasured(name, "Balance over syringe pump", "%", why)
    yield unmeasured("pushed-loss", "Lost at any rate alike", "uL/h", why)


def _points(record: RigRecord, zero: flow_check.Zero) -> list[flow_check.Point]:
    """Sensor and balance at each rate."""
    loss = _blank(record)
    k_per_h = math.hypot(_warming_k_per_h(record, _compared(record)), WANDER_K_PER_H)
    breathes = _breathes_ul_per_k(record) * k_per_h
    found = []
    for name in RATES:
        shown, mass = record.good("flow", f"gain-{name}"), record.good("reference_mass", f"gain-{name}")
        if mass.t.size < line_check.LEAST_SAMPLES:
            few = f'the balance gave {mass.t.size} good readings in phase "gain-{name}"'
            raise RecordError(f"{few}; {line_check.LEAST_SAMPLES} are needed")
        walk = walk_mg_per_h(record, float(mass.t[-1] - mass.t[0]))
        own = slope_u_mg_per_h(record, mass.t, mass.values)
        wanders = record.ul_per_mg * math.hypot(walk, own, _warmed_mg_per_h(record, k_per_h))
        found.append(
            flow_check.point(
                shown.t,
                shown.values,
                mass.t,
                mass.values,
                zero_flow=zero,
                ul_per_mg=record.ul_per_mg,
                evaporation_mg_per_h=loss.rate_mg_per_h,
                u_evaporation_mg_per_h=loss.u_mg_per_h,
                u_unsteady_ul_per_h=wanders,
                u_breathes_ul_per_h=breathes,
            )
        )
    return found


def _sensor(record: RigRecord, points: list[flow_check.Point], values: dict[str, float]) -> Iterator[Check]:
    """The sensor's gain, and whether it is one gain at every rate."""
    found = flow_check.gain(points)
    values["flow_gain"], values["u_flow_gain"] = found.ratio, found.u
    half = within(record.limits["flow_gain_percent"])
    cause = "the sensor's gain has drifted, or fluid is lost between sensor and balance"
    error, u = 100.0 * (found.ratio - 1.0), 100.0 * found.u
    check = judged("flow-gain", "Flow sensor over balance", "%", error, u, half, cause, len(points) - 1)
    yield told(check, u, "collect more at each rate")
    off = max(zip(points, RATES, strict=True), key=lambda one: abs(one[0].ratio - found.ratio) / one[0].u_ratio)
    by = 100.0 * (off[0].ratio / found.ratio - 1.0)
    cause = f"the {off[1]} rate is off by {by:+.2g} % from the others, more than its u explains: "
    cause += "a loss between sensor and balance that is the same at any rate, or a sensor that is not linear"
    limits = Limits(None, LARGEST_BIRGE[0], "chance in one case of 370")
    yield judged("flow-scatter", "Flow sensor over balance, scatter of the rates", "1", found.birge, 0.0, limits, cause)


def _compared(record: RigRecord) -> tuple[float, float]:
    """From the begin of the slowest rate to the end of the fastest; raises RecordError where one was not recorded."""
    try:
        return record.run.phase("gain-slow")[0], record.run.phase("gain-fast")[1]
    except RunError as error:
        raise RecordError(str(error)) from None


def _asked(record: RigRecord) -> list[float]:
    """What the syringe pump pushes at each rate, by its certificate."""
    return [syringe_gain(record) * float(record.run.params[f"{name}_ul_per_h"]) for name in RATES]


def _breathes_ul_per_k(record: RigRecord) -> float:
    """What the balance gains when the room warms: fluid from the line, and a vessel in lighter air."""
    line_ul = float(record.run.station["collection"]["dead_volume_ul"]) * LINE_EXPANSION_PER_K
    return line_ul + _lighter_mg_per_k(record) * record.ul_per_mg


def _warmed_at(record: RigRecord, rate: str) -> tuple[float, float]:
    """How fast the room warmed at a rate and its u, K/h; over all rates, or unknown, where the thermometer was silent.

    It tells how fast, but for the wander of a room over minutes.  What a line gives off for it is known as well as in a
    blank.
    """
    for span in (f"gain-{rate}", _compared(record)):
        try:
            room = record.good("room_temperature", span)
            k_per_h = line_check.straight_line(room.t, room.values).slope * HOUR_S
        except RecordError:
            continue
        return k_per_h, math.hypot(LINE_U_SHARE * k_per_h, WANDER_K_PER_H)
    return 0.0, math.hypot(USUAL_K_PER_H, WANDER_K_PER_H)


def _caught(record: RigRecord, points: list[flow_check.Point]) -> list[tuple[float, float]]:
    """What the balance caught of what was pushed at each rate and its u, without what it gained as the room warmed."""
    per_k, found = _breathes_ul_per_k(record), []
    for rate, one in zip(RATES, points, strict=True):
        k_per_h, u_k_per_h = _warmed_at(record, rate)
        found.append((one.balance_ul_per_h - per_k * k_per_h, math.hypot(one.u_balance_ul_per_h, per_k * u_k_per_h)))
    return found


def _arrives(record: RigRecord, points: list[flow_check.Point]) -> Iterator[Check]:
    """What the balance caught of what the syringe pump pushed at each rate: a loss after the sensor shows here too."""
    half = float(record.limits.get("pushed_percent", PUSHED_PERCENT))
    caught = _caught(record, points)
    for rate, (ul_per_h, u_ul_per_h), name in zip(_asked(record), caught, RATES.values(), strict=True):
        at = 100.0 * (ul_per_h / rate - 1.0)
        u = math.hypot(100.0 * u_ul_per_h / rate, syringe_u_percent(record))
        cause = "less arrives on the balance than was pushed: a leak in the line, before or after the sensor"
        if at > 0.0:
            cause = "more arrives than was pushed: the syringe's diameter is wrong, or the pump under test runs"
        nominal = rate / syringe_gain(record)
        check = judged(name, f"Balance over syringe pump at {nominal:g} uL/h", "%", at, u, within(half), cause)
        yield told(check, u, "take a syringe pump with a better certificate, or collect more at this rate")


def _lost(record: RigRecord, points: list[flow_check.Point]) -> Iterator[Check]:
    """What does not arrive at any rate alike; the syringe pump's error may be one at all rates or another at each."""
    asked, arrived = _asked(record), _caught(record, points)
    even = syringe_u_percent(record) / 100.0
    u = [math.hypot(own, even * rate) for (_, own), rate in zip(arrived, asked, strict=True)]
    title = "Lost at any rate alike"
    try:
        found = flow_check.loss(asked, [ul_per_h for ul_per_h, _ in arrived], u)
        shown = [one.sensor_ul_per_h for one in points]
        gained = [one.balance_ul_per_h for one in points]
        after = flow_check.loss(shown, gained, [one.u_ratio * one.balance_ul_per_h for one in points])
    except RecordError as error:
        yield unmeasured("pushed-loss", title, "uL/h", str(error))
        return
    where = "after the flow sensor" if after.ul_per_h > found.ul_per_h / 2.0 else "before the flow sensor"
    cause = f"so much is lost {where} at any rate: a fitting, a valve or the catheter's end drips"
    if found.ul_per_h < 0.0:
        cause = "so much arrives besides what is pushed: the pump under test runs, or a drop runs into the vessel"
    limits = within(record.limits["leak_ul_per_h"])
    check = judged("pushed-loss", title, "uL/h", found.ul_per_h, found.u_ul_per_h, limits, cause)
    check = told(check, found.u_ul_per_h, "compare at rates that lie further apart, or collect more at each")
    if check.verdict is Verdict.PASS and found.birge > LARGEST_BIRGE[1]:
        note = (
            f"the rates lie on no straight line (Birge ratio {found.birge:.2g}, at most {LARGEST_BIRGE[1]:g}), so what "
            "is lost at any rate is not known: look for a knock, a bubble or a drop in the record of each rate"
        )
        check = replace(check, verdict=Verdict.NOT_CAPABLE, note=note)
    yield check
