"""The verdict of an environment run: each condition's ratio with U, coefficients, and whether the bench held them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from data.checks import Axis, Check, Curve, Evaluation, Limits, Status, Verdict
from data.quantities import parse
from data.run import Run, Series
from data.samples import Quality
from data.units import DimensionName
from protocols.analysis import bath, suitability, witness
from protocols.analysis.decision import result
from protocols.analysis.environment.hold import Hold, hold
from protocols.analysis.environment.series import Point, Sensor, SeriesOf
from protocols.analysis.grid import RecordError
from protocols.analysis.rig.reference import known_rig, rig_was_checked
from protocols.analysis.standing import as_limits, of_a_run_cut_off, on_suitability

HOUR_S = 3600.0
PRESSURISED = ("immersed", "pressurised-vessel")
"""Collections on whose vessel a controller can press; a weir and a shifted height hold a pressure of their own."""

LARGEST_REPEAT_PERCENT = 1.0
"""How far the reference may have moved between its holds: drift of the sensor's gain, and 0.1-0.15 %/K of the room."""

SATURATED_PERCENT = 0.1

LARGEST_SPACING_S = 1.0
"""Readings further apart fall on the motor's steps with a beat that strokes repeat: no scatter shows it."""

TEMPERATURE_REPEATS = 0.2
"""Part of a thermometer's u that does not cancel in a difference of two temperatures."""

TRANSDUCER_GAIN_PERCENT = 0.25
"""Standard uncertainty of a transducer's gain where its certificate says nothing."""

FILLED_UL = 20.0
"""Standard uncertainty of a filling by weighed syringes."""

CREEP_SHARE, CREEP_S, USUAL_UL_PER_KPA = 0.1, 300.0, 0.5
"""Silicone takes up so much more than it does at once, with this time constant; compliance of a usual line."""

STATIC_KPA = 0.15
"""What stands over the tip, and what the flow needs through the line, at most."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of condition: its phases' name, its parameter, its unit, its limits in the model file, its word."""

    name: str
    params: str
    dimension: DimensionName
    unit: str
    limits: str
    word: str


KINDS = (
    Kind("pressure", "pressures", "pressure", "kPa", "back_pressure", "back pressure"),
    Kind("temperature", "temperatures", "temperature", "K", "temperature", "temperature"),
    Kind("level", "levels", "volume", "mL", "reservoir_level", "volume in the reservoir"),
)


@dataclass(frozen=True)
class Record:
    """What the run holds."""

    run: Run

    @cached_property
    def phases(self) -> dict[str, tuple[float, float]]:
        """Begin and end of each phase."""
        return {phase.name: (phase.t0, phase.t1) for phase in self.run.phases if phase.complete}

    @cached_property
    def flow(self) -> Series:
        """Good samples of the flow sensor, with its certificate's correction."""
        return self.run.corrected("flow").good()

    @property
    def stroke_s(self) -> float:
        """Duration of a programmed stroke; 0 for a pump without strokes."""
        stroke = float(self.run.dut.get("stroke_ul") or 0.0)
        return stroke / float(self.run.params["rate_ul_per_h"]) * HOUR_S

    @cached_property
    def sensor(self) -> Sensor:
        """Zero and its wander: by the rig check where one holds, else by the certificate alone."""
        u = float(self.run.calibration("flow").get("u", 0.0))
        known = known_rig(self.run)
        zero, u_zero = (known.flow_zero(u) if known is not None else None) or (0.0, u)
        return Sensor(zero, u_zero, witness.ZERO_WANDERS * u)

    def held(self, name: str) -> Hold | None:
        """A hold; None when the run ended before its end.  Raises RecordError."""
        span = self.phases.get(name)
        if span is None:
            return None
        self._insist("flow")
        return hold(name, self.flow, *span, self.stroke_s)

    def _insist(self, role: str) -> None:
        if not self.run.has(role):
            raise RecordError(f'nothing was recorded of "{role}"; look whether its instrument answers')

    def mean(self, role: str, span: tuple[float, float]) -> float:
        """Mean of a channel in a stretch; raises RecordError without good samples."""
        self._insist(role)
        values = self.run.corrected(role).within(span).good().values
        if not values.size:
            raise RecordError(f'"{role}" gave no good samples from {span[0]:.0f} s to {span[1]:.0f} s')
        return math.fsum(values.tolist()) / values.size

    @cached_property
    def soaked(self) -> set[str]:
        """Names of the soaks in which the bath stayed in its band for as long as was asked for."""
        return {str(event.fields["phase"]) for event in self.run.records("condition")}

    def conditions(self, kind: Kind) -> tuple[float, ...]:
        """What was asked for, in order."""
        text = str(self.run.params[kind.params])
        if text.strip().lower() in ("", "none"):
            return ()
        return tuple(parse(one.strip(), kind.dimension) for one in text.split(","))


def evaluate(run: Run) -> Evaluation:
    """Judge an environment run."""
    record = Record(run)
    found: list[Check] = []
    curves: list[Curve] = []
    values: dict[str, float] = {}
    common = [*rig_was_checked(run), *_flow_is_fit(record)]
    fit = list(common)
    for kind in KINDS:
        if not (asked := record.conditions(kind)):
            continue
        held = list(_fitness(record, kind, asked))
        try:
            series = _series(record, kind, asked)
        except RecordError as error:
            fit += held
            found.append(_nothing(kind, str(error)))
            continue
        held.append(_repeats(kind, series))
        fit += held
        stands_on = tuple(check.name for check in (*common, *held))
        found += results(run, kind, series, asked, stands_on)
        curves.append(_curve(kind, series))
        values |= _values(kind, series)
    bad = {check.name for check in fit if check.verdict is Verdict.INVALID}
    judged = [on_suitability(check, bad) for check in found]
    # The end of a phase is recorded however the run ended.
    planned = sum(step["step"] in ("Phase", "Condition") for step in run.steps)
    if run.status is not Status.COMPLETED or len(record.phases) < planned:
        judged = [of_a_run_cut_off(check) for check in judged]
    return Evaluation((*judged, *fit), tuple(curves), (), values)


def _nothing(kind: Kind, note: str) -> Check:
    return Check(f"{kind.name}-1", f"Delivery, {kind.word}", None, "%", Verdict.NOT_MEASURED, "dut", note=note)


def _series(record: Record, kind: Kind, asked: Sequence[float]) -> SeriesOf:
    """The series with what its conditions really were; raises RecordError without delivery in both reference holds."""
    first, last = record.held(f"{kind.name}-first"), record.held(f"{kind.name}-last")
    if first is None or last is None:
        raise RecordError("the run ended before the reference condition was there again")
    points = []
    for number in range(1, len(asked) + 1):
        name = f"{kind.name}-{number}"
        one = record.held(name)
        if one is not None:
            x, u_x = _over_reference(record, kind, name, asked[number - 1])
            before = asked[number - 2] if number > 1 else 0.0
            change = asked[number - 1] - before if kind.name == "pressure" else 0.0
            since_s = one.from_s - record.phases[f"{one.name}-settle"][0]
            points.append(Point(x, u_x, one, creep_ul_per_h(record.run.station, since_s, one, change)))
    return SeriesOf(kind.unit, first, last, tuple(points), record.sensor)


def _over_reference(record: Record, kind: Kind, name: str, asked: float) -> tuple[float, float]:
    """A condition less the reference condition, and its standard uncertainty, in the kind's unit."""
    if kind.name == "level":
        filled = [float(record.run.answers.get(f"level-{end}-filled", math.nan)) for end in ("first", "last")]
        level = float(record.run.answers.get(f"{name}-filled", asked))
        return (level - 0.5 * math.fsum(filled)) / 1000.0, math.sqrt(2.0) * FILLED_UL / 1000.0
    role = "controller_pressure" if kind.name == "pressure" else "bath_temperature"
    ends = [record.mean(role, record.phases[f"{kind.name}-{end}"]) for end in ("first", "last")]
    x = record.mean(role, record.phases[name]) - 0.5 * math.fsum(ends)
    u = float(record.run.calibration(role).get("u") or 0.0)
    return x, u * (math.sqrt(2.0) if kind.name == "pressure" else TEMPERATURE_REPEATS)


def creep_ul_per_h(station: Mapping[str, Any], since_s: float, one: Hold, change_kpa: float) -> float:
    """What the tubing still takes up of the flow in a hold after a change of pressure, at most; below 0: gives back.

    Parameters
    ----------
    since_s : from the change to the begin of the hold.
    """
    table = station.get("rig_check") or {}
    taken = CREEP_SHARE * float(table.get("compliance_ul_per_kpa", USUAL_UL_PER_KPA)) * change_kpa
    length = one.to_s - one.from_s
    left = math.exp(-since_s / CREEP_S) * -math.expm1(-length / CREEP_S)
    return taken * left / length * HOUR_S


# -------------------------------------------------------------------------------------------------- the pump


def results(
    run: Run, kind: Kind, series: SeriesOf, asked: Sequence[float], stands_on: tuple[str, ...]
) -> Iterator[Check]:
    """Delivery in each condition of a kind, and its change with the kind."""
    limits = as_limits(run.dut["limits"].get(kind.limits))
    for point in series.points:
        number = int(point.hold.name.rpartition("-")[2])
        title = f"Delivery at {_written(kind, asked[number - 1])} against the reference"
        budget = series.budget(point, title)
        note = f"{series.repeats_percent:+.2g} % between the references"
        if point.hold.strokes:
            note = f"{point.hold.strokes} strokes; {note}"
        change = series.change_percent(point)
        yield result(point.hold.name, title, change, budget, limits, depends_on=stands_on, note=note)
    if series.points:
        yield _coefficient(kind, series, stands_on)


def _coefficient(kind: Kind, series: SeriesOf, stands_on: tuple[str, ...]) -> Check:
    name, title, unit = f"{kind.name}-coefficient", f"Change of delivery by {kind.word}", f"%/{kind.unit}"
    try:
        slope, budget = series.coefficient(series.points)
    except RecordError as error:
        return Check(name, title, None, unit, Verdict.NOT_MEASURED, "dut", optional=True, note=str(error))
    note = f"least squares through the reference, {len(series.points)} conditions"
    return result(name, title, slope, budget, None, depends_on=stands_on, note=note)


def _written(kind: Kind, value: float) -> str:
    if kind.name == "level":
        return f"{value / 1000.0:.4g} mL in the reservoir"
    return f"{value:.4g} kPa" if kind.name == "pressure" else f"{value:.4g} degC"


# -------------------------------------------------------------------------------------------------- the bench


def _flow_is_fit(record: Record) -> Iterator[Check]:
    """Whether the sensor was in its range, and in liquid, in all that is judged."""
    if not record.run.has("flow"):
        yield suitability.not_measured("flow-range", "Flow sensor beyond its range", "%", "nothing was recorded of it")
        return
    names = {f"{kind.name}-{at}" for kind in KINDS for at in ("first", *range(1, 100), "last")}
    spans = [span for name, span in record.phases.items() if name in names]
    if not spans:
        return
    quality = np.concatenate([record.run.series("flow").within(span).quality for span in spans])
    share = 100.0 * np.count_nonzero(quality & int(Quality.SATURATED)) / max(quality.size, 1)
    note = "" if share <= SATURATED_PERCENT else "choose a lower rate"
    limits = Limits(None, SATURATED_PERCENT, "protocol")
    yield suitability.judged("flow-range", "Flow sensor beyond its range", "%", share, 0.0, limits, note)
    spacing = float(np.median(np.diff(record.flow.t))) if len(record.flow) > 1 else math.inf
    if math.isfinite(spacing):
        limits = Limits(None, LARGEST_SPACING_S, "protocol")
        note = "" if spacing <= LARGEST_SPACING_S else "it misses the motor's steps; set a shorter interval"
        yield suitability.judged("flow-sampling", "Flow sensor read each", "s", round(spacing, 2), 0.0, limits, note)
    settings = record.run.station["instruments"][record.run.roles["flow"].partition(".")[0]]
    full_scale = settings.get("full_scale")
    step = witness.AIR_STEP * parse(full_scale, "flow") if full_scale else math.inf
    minutes = witness.minutes_of(record.flow.t, record.flow.values, step)
    u = float(record.run.calibration("flow").get("u", 0.0))
    yield witness.no_air(minutes, min(span[0] for span in spans), max(span[1] for span in spans), u)


def _fitness(record: Record, kind: Kind, asked: Sequence[float]) -> Iterator[Check]:
    """Whether the conditions of a series were there; holds of a run cut off are left out."""
    names = [f"{kind.name}-{at}" for at in ("first", *range(1, len(asked) + 1), "last")]
    spans = {name: record.phases[name] for name in names if name in record.phases}
    if kind.name == "pressure":
        yield _collection(record)
        pressures = dict(zip(names, (0.0, *asked, 0.0), strict=True))
        for name, span in spans.items():
            yield _pressure_held(record, name, span, pressures[name])
    reference = float(record.run.params["reference_degc"])
    varied = asked if kind.name == "temperature" else (reference,) * len(asked)
    temperatures = dict(zip(names, (reference, *varied, reference), strict=True))
    for name, span in spans.items():
        yield from _temperature_held(record, name, span, temperatures[name], kind)


def _collection(record: Record) -> Check:
    topology = str(record.run.station["collection"]["topology"])
    fits = topology in PRESSURISED
    note = topology if fits else f"no pressure can be held over a vessel of the kind {topology}"
    limits = Limits(None, 0.0, "protocol")
    return suitability.judged("collection", "Collection cannot be pressed on", "1", float(not fits), 0.0, limits, note)


def _pressure_held(record: Record, name: str, span: tuple[float, float], asked_kpa: float) -> Check:
    """The pump's outlet by its own transducer, less what the controller says that it holds over the vessel."""
    check = f"{name}-held"
    title = f"Outlet less controller at {asked_kpa:.4g} kPa"
    try:
        outlet, held = record.mean("outlet_pressure", span), record.mean("controller_pressure", span)
    except RecordError as error:
        return suitability.not_measured(check, title, "kPa", str(error))
    certificate = record.run.calibration("outlet_pressure")
    gain = float(certificate.get("u_percent") or TRANSDUCER_GAIN_PERCENT) / 100.0
    u = math.hypot(float(certificate.get("u") or 0.0), gain * held)
    u = math.hypot(u, float(record.run.calibration("controller_pressure").get("u") or 0.0))
    half = suitability.CERTAIN * u + STATIC_KPA
    note = ""
    if abs(outlet - held) > half:
        note = "the pump does not see what the controller holds: a height, a zero, a valve, or a tip beside the vessel"
    elif abs(held - asked_kpa) > half:
        note = f"the controller held {held:.4g} kPa"
        return suitability.judged(check, title, "kPa", held - asked_kpa, u, Limits(-half, half, "protocol"), note)
    limits = Limits(-half, half, "3 standard uncertainties of the transducer")
    return suitability.judged(check, title, "kPa", outlet - held, u, limits, note)


def _temperature_held(
    record: Record, name: str, span: tuple[float, float], wanted_degc: float, kind: Kind
) -> Iterator[Check]:
    # Where the temperature is no condition, the station says how well it has to be held.
    half = float(record.run.params["band_k"]) if kind.name == "temperature" else _station_band_k(record)
    check = f"{name}-held" if kind.name == "temperature" else f"{name}-bath"
    title = f"Pump temperature, {name}"
    for held in bath.in_band(record.run, check, title, span, wanted_degc - half, wanted_degc + half):
        yield _after_soak(record, held, name) if kind.name == "temperature" else held


def _after_soak(record: Record, held: Check, name: str) -> Check:
    """The same; a bath that came into its band just before a hold says nothing of the pump, which follows it late."""
    soak = "start" if name == "temperature-first" else f"{name}-soak"
    if soak in record.soaked or held.verdict is Verdict.INVALID:
        return held
    long = float(record.run.params["soak_s"]) / 60.0
    note = f'the bath did not stay in its band for {long:.4g} min in "{soak}", before the hold; look after its heater'
    return replace(held, verdict=Verdict.INVALID, note=note)


def _station_band_k(record: Record) -> float:
    return float(record.run.station["collection"]["pump_temperature_band_k"])


def _repeats(kind: Kind, series: SeriesOf) -> Check:
    """The reference at the end against that at the beginning."""
    name, title = f"{kind.name}-repeats", "Reference at the end against the beginning"
    u = series.u_repeats_percent
    half = math.hypot(LARGEST_REPEAT_PERCENT, suitability.CERTAIN * u)
    note = "" if abs(series.repeats_percent) <= half else "the sensor or the pump drifts; the ratios are not trusted"
    limits = Limits(-half, half, "protocol")
    return suitability.judged(name, title, "%", series.repeats_percent, u, limits, note)


# ---------------------------------------------------------------------------------------------- small parts


def _curve(kind: Kind, series: SeriesOf) -> Curve:
    points = sorted(series.points, key=lambda point: point.x)
    changes = np.array([series.change_percent(point) for point in points])
    u = np.array([series.budget(point, "").expanded for point in points])
    x = np.array([point.x for point in points])
    return Curve(
        kind.name,
        f"Change of delivery, {kind.word}",
        Axis(f"{kind.name}_over_reference", kind.unit, x),
        (Axis("change", "%", changes), Axis("expanded_uncertainty", "%", u)),
    )


def _values(kind: Kind, series: SeriesOf) -> dict[str, float]:
    found = {f"{kind.name}_reference_ul_per_h": series.first.flow_ul_per_h}
    if series.points:
        with suppress(RecordError):  # no condition differs from the reference
            found[f"{kind.name}_coefficient_percent_per_{kind.unit.lower()}"] = series.coefficient(series.points)[0]
    return found
