"""What a flow-accuracy run recorded, read once from its file: corrected balance record, blanks, flow, schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from data.checks import Exclusion
from data.quantities import parse
from data.run import Run, Series
from data.samples import FloatArray, Quality
from data.schedule import Schedule
from protocols.analysis import gravimetry
from protocols.analysis.collection import Collection, Twin, blanks_of, corrected_mass_mg, gap_s
from protocols.analysis.delivery import BOLUS_SETTLING_S
from protocols.analysis.evaporation import HOUR_S, Blank, Evaporation
from protocols.analysis.flow_budget import Weighing
from protocols.analysis.grid import kept
from protocols.analysis.measured_air import AIR, air_at
from protocols.analysis.spikes import spikes
from protocols.analysis.witness import AIR_STEP, MINUTE_S, Minutes, minutes_of

SATURATED_SHARE = 0.001
"""Beyond this share of saturated samples a flow sensor is no second channel: a pump in shots outruns it."""

BLANK_SETTLE_S = 600.0
"""Left out at the start of a blank: line, vessel and balance come to rest."""

EDGE_S = 30.0
"""How far the edges of a schedule may be off within a run: the pump's clock against ours."""

LEAST_BLANK_S = 1200.0
LEAST_BLANK_SAMPLES = 24

TWIN_SHARE = 0.9
"""Of the analysis for which a twin vessel has to have been weighed, or it does not tell what the vessel lost."""

TWIN_RATIO_PERCENT = 5.0
"""Relative standard uncertainty of a vessel's loss over that of its twin, where the station file does not say."""


class GravimetricRecordError(ValueError):
    """The run holds too little to be judged; the sentence says what is missing."""


@dataclass(frozen=True)
class GravimetricRecord:
    """One run, ready to be judged.

    Attributes
    ----------
    started_s : start of delivery on the run's clock.
    analysis : begin and end of the analysis, as far as it was recorded.
    complete : whether the analysis ran to its planned end.
    collected : the corrected balance record.
    shown_t_s, shown_mg : (n,) what the balance sent, uncorrected; readings that leapt away and came back are left out.
    blanked : whether evaporation was measured, not taken from the station file.
    spread_mg_per_h : standard deviation of the station's rate of loss between set-ups, steady drift included.
    away : stretches in which the flow did not go into the vessel, or the line was settling after them.
    flow : the flow sensor in minutes, None without one that could follow.
    flow_zero_ul_per_h : what the flow sensor showed while the pump stood still, None where it never did.
    spiked_s : times of the readings that are left out since they leapt away and came back (`spikes`).
    lost : roles that were to measure the air and gave no good sample; what is usual is taken for them.
    """

    run: Run
    phases: Mapping[str, tuple[float, float]]
    schedule: Schedule
    started_s: float
    analysis: tuple[float, float]
    complete: bool
    collected: Collection
    shown_t_s: FloatArray
    shown_mg: FloatArray
    blanked: bool
    spread_mg_per_h: float
    away: tuple[Exclusion, ...]
    flow: Minutes | None
    flow_zero_ul_per_h: float | None
    spiked_s: FloatArray = field(default_factory=lambda: np.empty(0))
    lost: tuple[str, ...] = ()

    @property
    def dut(self) -> dict[str, Any]:
        """Model file of the device under test, with its serial number."""
        return dict(self.run.dut)

    @property
    def stroke_ul(self) -> float:
        """Volume of a stroke; a pump that has none delivers in drops of nothing."""
        return float(self.run.dut.get("stroke_ul") or 0.0)

    @property
    def stroke_mg(self) -> float:
        """Mass of a stroke."""
        return self.stroke_ul * self.collected.weighing.fluid_mg_per_ul

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """What of the air nothing measured, be it that no role does or that it gave no good sample; of `AIR`."""
        return tuple(role for role in AIR if role in self.lost or not self.run.has(role))

    @property
    def line_volume_ul(self) -> float:
        """Volume of the line between pump and tip."""
        return float(self.run.station["collection"]["dead_volume_ul"])

    @property
    def expected_evaporation_mg_per_h(self) -> float:
        """Rate of loss that the station file states."""
        return float(self.run.station["collection"]["evaporation_mg_per_h"])

    @property
    def planned_blanks(self) -> int:
        """Blanks that the procedure takes; of a twin vessel's record each half is one."""
        return 2 if self.run.params.get("blank", "none") in ("stopped", "diverter", "twin") else 0

    @property
    def collecting(self) -> list[tuple[float, float]]:
        """Delivery without the stretches in which the flow did not go into the vessel, or settled after them."""
        return kept(self.started_s, self.analysis[1], self.away)

    @property
    def bolus_windows(self) -> list[tuple[float, float]]:
        """Each bolus of the delivery, in the analysis or reaching into it, with the uncertainty of its edges."""
        from_s, to_s = self.analysis
        boluses = self.schedule.boluses_between(0.0, max(to_s - self.started_s, 0.0))
        windows = [
            (bolus.at_s + self.started_s - EDGE_S, bolus.end_s + self.started_s + EDGE_S + BOLUS_SETTLING_S)
            for _, bolus in boluses
        ]
        return [(max(begin, from_s), min(end, to_s)) for begin, end in windows if end > from_s]

    @property
    def set_rate_ul_per_h(self) -> float:
        """Mean programmed rate of the analysis."""
        from_s, to_s = self.analysis
        return self.expected_ul(from_s, to_s) / (to_s - from_s) * HOUR_S

    @property
    def at_one_rate(self) -> bool:
        """Whether one rate is programmed for the whole analysis."""
        from_s, to_s = (t - self.started_s for t in self.analysis)
        return len(self.schedule.segments(from_s, to_s)) == 1

    def expected_ul(self, from_s: float, to_s: float) -> float:
        """Programmed volume in an interval of the run's clock."""
        return float(self.schedule.expected_volume_ul(from_s - self.started_s, to_s - self.started_s))

    def programmed_ul(self, t_s: FloatArray) -> FloatArray:
        """Cumulative programmed volume from the start of delivery, at times of the run's clock."""
        since = np.maximum(np.asarray(t_s, dtype=np.float64) - self.started_s, 0.0)
        return np.asarray(self.schedule.expected_volume_ul(0.0, since), dtype=np.float64)

    def volumes(self, from_s: float, to_s: float) -> tuple[FloatArray, FloatArray]:
        """Delivered volume since ``from_s`` at the ends and at every good sample between them."""
        t_s = self.collected.t_s
        inside = t_s[(t_s > from_s) & (t_s < to_s)]
        times = np.concatenate([[from_s], inside, [to_s]])
        return times, self.collected.volume_ul(from_s, times)

    def calibration(self, role: str) -> dict[str, Any]:
        """Certificate of the channel in a role; empty without one."""
        return self.run.calibration(role)


def read_record(run: Run, schedule: Schedule | None = None) -> GravimetricRecord:
    """Read a run.

    Parameters
    ----------
    schedule : what the pump was programmed to deliver, where that was found out during the run; the run's own by
        default.

    Raises
    ------
    GravimetricRecordError
        When delivery never started, or the balance gave nothing.
    """
    phases = {phase.name: (phase.t0, phase.t1) for phase in run.phases}
    if not run.has("reference_mass"):
        raise GravimetricRecordError("nothing was recorded of the reference balance; see the events of the run")
    started_s = _started(run)
    planned_s = float(run.params.get("analysis_s", 0.0))
    if "analysis" in phases:
        analysis = phases["analysis"]
        complete = analysis[1] - analysis[0] >= planned_s - 1.0
    else:
        last = run.series("reference_mass").t
        analysis = (started_s, float(last[-1]) if last.size else started_s)
        complete = False
    given = run.schedule if schedule is None else schedule
    mass = since_tare(run, run.series("reference_mass").good(), started_s)
    mass, spiked_s = _calm(run, mass, _boluses(given, started_s, run.end_s))
    if mass.t.size < 2:
        raise GravimetricRecordError("the reference balance gave no good samples; check its connection and repeat")
    station = run.station
    balance = station["instruments"][run.roles["reference_mass"].partition(".")[0]]
    collection = station["collection"]
    calibration = run.calibration("reference_mass")
    uncertainty = balance["uncertainty"] | {"u_percent": calibration.get("u_percent", 0.0)}
    air, room, lost = air_at(run, mass.t)
    corrected = corrected_mass_mg(
        mass.values,
        air,
        collection["buoyant_volume_ul"],
        calibration.get("gain", 1.0),
        calibration.get("offset", 0.0),
    )
    own = _twins_balance(run, uncertainty)
    by_twin = () if own is None else _by_twin(run, analysis, own["readability_mg"], collection)
    if own is not None and by_twin:
        rates, blanked = by_twin, True
    else:
        own = None
        rates, blanked = _blanks(phases, mass.t, corrected, uncertainty["readability_mg"], collection)
    twin = None if own is None else twin_of(uncertainty, own, collection)
    return GravimetricRecord(
        run,
        phases,
        given,
        started_s,
        analysis,
        complete,
        collection_of((mass.t, corrected, air, room), Evaporation(rates), uncertainty, collection, run.fluid, twin),
        mass.t,
        mass.values,
        blanked,
        spread_mg_per_h(own or uncertainty, collection),
        _away(phases),
        *_flow(run, phases, () if schedule is None else _boluses(schedule, started_s, run.end_s)),
        spiked_s,
        lost,
    )


def since_tare(run: Run, mass: Series, started_s: float) -> Series:
    """A balance's record in which what it showed before the tare is what it showed first after it.

    The last tare before the delivery counts.  A vessel with its fluid, between whose reading and the next one the
    delivery begins, would else be lost within seconds.
    """
    balance = run.roles["reference_mass"]
    tared_s = [
        float(event.fields["to_s"])
        for event in run.records("disturbed")
        if event.fields["why"] == "tare" and balance in event.fields["channels"]
    ]
    first = int(np.searchsorted(mass.t, max((each for each in tared_s if each <= started_s), default=-math.inf)))
    if not 0 < first < mass.t.size:
        return mass
    return replace(mass, values=np.concatenate([np.full(first, mass.values[first]), mass.values[first:]]))


def _calm(run: Run, mass: Series, boluses: Sequence[tuple[float, float]] = ()) -> tuple[Series, FloatArray]:
    """A balance's record without the readings that leapt away and came back; and their times.

    In a bolus nothing is left out: a pump that strokes fast leaps by itself.
    """
    stroke_mg = float(run.dut.get("stroke_ul") or 0.0) * _density(run.fluid)[0]
    left_out = spikes(mass.t, mass.values, stroke_mg=stroke_mg)
    for begin, end in boluses:
        left_out[slice(*np.searchsorted(mass.t, [begin, end]))] = False
    calm = replace(mass, t=mass.t[~left_out], values=mass.values[~left_out], quality=mass.quality[~left_out])
    return calm, mass.t[left_out]


def collection_of(
    record: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    evaporation: Evaporation,
    uncertainty: Mapping[str, Any],
    collection: Mapping[str, Any],
    fluid: Mapping[str, Any],
    twin: Twin | None = None,
) -> Collection:
    """What a vessel on a balance collected, with what the station file declares of both.

    Parameters
    ----------
    record : (n,) times in s, corrected mass in mg, density of the air in mg/uL, temperature of the room in degC.
    uncertainty, collection, fluid : tables of the balance, the station and the fluid, as a run file keeps them; with
        the "u_percent" of the balance's certificate, if it has one.
    twin : see `twin_of`, where the evaporation is a twin vessel's.
    """
    t_s, mass_mg, air, room = record
    return Collection(
        t_s,
        mass_mg,
        air,
        room,
        evaporation,
        _weighing(fluid, uncertainty, collection, air),
        uncertainty["zero_walk_mg"],
        mg_per_k(uncertainty, collection),
        twin=twin,
    )


def twin_of(uncertainty: Mapping[str, Any], own: Mapping[str, Any], collection: Mapping[str, Any]) -> Twin:
    """What a twin vessel does not tell, with what the station file declares.

    Parameters
    ----------
    uncertainty, own : tables of the balance under the vessel, and of that under the twin.
    """
    drifts = float(uncertainty["drift_mg_per_day"]), float(own["drift_mg_per_day"])
    u_percent = float(collection.get("twin_u_percent") or TWIN_RATIO_PERCENT)
    return Twin(drifts, mg_per_k(own, collection), u_percent / 100.0)


def mg_per_k(uncertainty: Mapping[str, Any], collection: Mapping[str, Any]) -> float:
    """Standard uncertainty of the balance's temperature coefficient, times its load."""
    return float(uncertainty["temperature_coefficient_percent_per_k"] / 100.0 * collection["load_mg"])


def spread_mg_per_h(uncertainty: Mapping[str, Any], collection: Mapping[str, Any]) -> float:
    """Standard deviation of the station's rate of loss between set-ups, steady drift of the balance included."""
    drift = uncertainty["drift_mg_per_day"] / math.sqrt(3.0) / 24.0
    return math.hypot(collection["evaporation_spread_mg_per_h"], drift)


def _boluses(schedule: Schedule, started_s: float, end_s: float) -> list[tuple[float, float]]:
    """Stretches in which a bolus may be faster than a flow sensor."""
    found = schedule.boluses_between(0.0, end_s - started_s)
    return [(one.at_s + started_s - EDGE_S, one.end_s + started_s + EDGE_S) for _, one in found if one.kind != "bridge"]


def _started(run: Run) -> float:
    for event in run.records("pump-command"):
        if str(event.fields["command"]).startswith("RUN"):
            return float(event.fields["confirmed_s"])
    raise GravimetricRecordError("delivery never started; the run ended before the pump was told to run")


def _twins_balance(run: Run, uncertainty: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Uncertainty of the balance under a twin vessel, as that of the other one where none is stated; None without."""
    if run.params.get("blank", "none") != "twin" or not run.has("twin_mass"):
        return None
    own: Mapping[str, Any] = run.station["instruments"][run.roles["twin_mass"].partition(".")[0]].get("uncertainty")
    return own or uncertainty


def _by_twin(
    run: Run, analysis: tuple[float, float], readability_mg: float, collection: Mapping[str, Any]
) -> tuple[Blank, ...]:
    """Both halves of a twin vessel's record, in air of one density; none where it does not tell of the analysis."""
    twin, _ = _calm(run, run.corrected("twin_mass").good())
    halves = _halves(twin.t, *analysis)
    if not halves:
        return ()
    air, _, _ = air_at(run, twin.t)
    buoyant_ul = float(collection.get("twin_buoyant_volume_ul") or collection["buoyant_volume_ul"])
    return blanks_of(twin.t, corrected_mass_mg(twin.values, air, buoyant_ul), halves, readability_mg, 0.0)


def _blanks(
    phases: Mapping[str, tuple[float, float]],
    t_s: FloatArray,
    mass_mg: FloatArray,
    readability_mg: float,
    collection: dict[str, Any],
) -> tuple[tuple[Blank, ...], bool]:
    """Blanks of the run; without any, what the station file states, and False."""
    found = [phases[name] for name in ("blank-before", "blank-after") if name in phases]
    long_enough = [(a, b) for a, b in found if _recorded(t_s, a + BLANK_SETTLE_S, b)]
    if long_enough:
        return blanks_of(t_s, mass_mg, long_enough, readability_mg, BLANK_SETTLE_S), True
    stated = Blank(
        float(t_s[0]),
        float(t_s[-1]),
        collection["evaporation_mg_per_h"],
        collection["evaporation_spread_mg_per_h"],
        math.inf,
    )
    return (stated,), False


def _halves(t_s: FloatArray, from_s: float, to_s: float) -> list[tuple[float, float]]:
    """Both halves of a twin vessel's record; none where it does not show what was lost in the analysis."""
    if gap_s(t_s, from_s, to_s)[0] > (1.0 - TWIN_SHARE) * (to_s - from_s):
        return []
    middle_s = float(t_s[0] + t_s[-1]) / 2.0 if t_s.size else 0.0
    if min(np.count_nonzero(t_s <= middle_s), np.count_nonzero(t_s >= middle_s)) < LEAST_BLANK_SAMPLES // 2:
        return []
    return [(float(t_s[0]), middle_s), (middle_s, float(t_s[-1]))]


def _recorded(t_s: FloatArray, from_s: float, to_s: float) -> bool:
    """Whether a blank is there: long enough, with enough samples, over most of its time."""
    inside = t_s[(t_s >= from_s) & (t_s <= to_s)]
    if to_s - from_s < LEAST_BLANK_S - 1.0 or inside.size < LEAST_BLANK_SAMPLES:
        return False
    return bool(inside[-1] - inside[0] >= 0.8 * (to_s - from_s))


def _weighing(
    fluid: Mapping[str, Any], uncertainty: Mapping[str, Any], collection: Mapping[str, Any], air: FloatArray
) -> Weighing:
    density, u_density = _density(fluid)
    return Weighing(
        readability_mg=uncertainty["readability_mg"],
        repeatability_mg=uncertainty["repeatability_mg"],
        linearity_half_width_mg=uncertainty["linearity_mg"],
        buoyant_volume_ul=collection["buoyant_volume_ul"],
        meniscus_half_width_mg=math.sqrt(2.0) * collection["meniscus_mg"],  # at the first and at the last reading
        fluid_mg_per_ul=density,
        u_fluid_temperature_k=0.0,  # the volume is stated at the temperature of the density
        density_half_width_mg_per_ul=math.sqrt(3.0) * u_density,
        air_mg_per_ul=math.fsum(air.tolist()) / air.size,
        tube_diameter_mm=collection["tube_diameter_mm"],
        vessel_diameter_mm=collection["vessel_diameter_mm"],
        line_half_width_k=0.0,  # what a warming line pushes out does leave the tip: no error of the delivered volume
        u_calibration_percent=float(uncertainty.get("u_percent", 0.0)),
    )


def _density(fluid: Mapping[str, Any]) -> tuple[float, float]:
    """Density of the fluid at 20 degC in mg/uL, and its standard uncertainty.

    A density stated at another temperature is carried to 20 degC with the expansion of water.
    """
    u = float(fluid["density_u_g_per_ml"])
    if fluid["density_basis"] == "water-table":
        return gravimetry.water_density_mg_per_ul(gravimetry.REFERENCE_TEMPERATURE_DEGC), u
    water = gravimetry.water_density_mg_per_ul
    ratio = water(gravimetry.REFERENCE_TEMPERATURE_DEGC) / water(float(fluid["density_temperature_c"]))
    return float(fluid["density_g_per_ml"]) * ratio, u


def _away(phases: Mapping[str, tuple[float, float]]) -> tuple[Exclusion, ...]:
    """Stretches in which the flow did not go into the vessel, or the line was settling after them."""
    names = {"blank-before": "blank", "settling": "settling after the blank", "blank-after": "blank"}
    return tuple(Exclusion(*phases[name], why) for name, why in names.items() if name in phases)


def _flow(
    run: Run, phases: Mapping[str, tuple[float, float]], without: Sequence[tuple[float, float]]
) -> tuple[Minutes | None, float | None]:
    """The flow sensor in minutes, None without one that could follow; and what it showed while the pump stood still.

    What it showed in the stretches ``without`` is left out.
    """
    if not run.has("flow"):
        return None, None
    settings = run.station["instruments"][run.roles["flow"].partition(".")[0]]
    full_scale = settings.get("full_scale")
    series = run.corrected("flow")
    if without:
        used = np.ones(series.t.size, dtype=np.bool_)
        for begin, end in without:
            used[slice(*np.searchsorted(series.t, [begin, end]))] = False
        series = replace(series, t=series.t[used], values=series.values[used], quality=series.quality[used])
    if series.t.size and float(((series.quality & int(Quality.SATURATED)) != 0).mean()) > SATURATED_SHARE:
        return None, None  # what it could not follow is missing from every mean
    series = series.good()
    step = AIR_STEP * parse(full_scale, "flow") if full_scale else math.inf
    minutes = minutes_of(series.t, series.values, step)
    stopped = run.params.get("blank", "none") == "stopped"
    return minutes, zero_in_blanks(phases, minutes) if stopped else None


def zero_in_blanks(phases: Mapping[str, tuple[float, float]], minutes: Minutes) -> float | None:
    """Mean of the sensor in the blanks of a run whose pump stands in them; None where it is not known."""
    blanks = [(t0 + BLANK_SETTLE_S, t1) for name, (t0, t1) in phases.items() if name.startswith("blank-")]
    seen = [one for from_s, to_s in blanks for one in minutes.between(from_s, to_s).flow_ul_per_h.tolist()]
    return math.fsum(seen) / len(seen) if len(seen) * MINUTE_S >= BLANK_SETTLE_S else None
