"""What an occlusion run recorded, as its parts read it: pressures, levels of mass, and the moments between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data.run import Run, RunError, Series
from data.samples import FloatArray
from data.schedule import Continuous, Schedule
from protocols.analysis import syringe
from protocols.analysis.assumed import TRANSDUCER_GAIN_U_PERCENT
from protocols.analysis.collection import Collection
from protocols.analysis.gravimetric_record import GravimetricRecord, GravimetricRecordError, read_record
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.rise import thinned
from protocols.analysis.occlusion.warming import EXPANSION_PER_K, thermometer
from protocols.analysis.reading_noise import ReadingNoise

HOUR_S = 3600.0

EDGE_S = 30.0
"""A level of mass is the mean of the readings from so long before to so long after."""

LEAST_READINGS = 5
MOST_SAMPLES = 2000
WHOLE = 1e-6

LEAST_WARMING_K = 0.02


@dataclass(frozen=True, slots=True)
class Occluded:
    """One occlusion: its number, its programmed rate, and its moments on the run's clock; None for what never came.

    ``window_s`` is a whole number of strokes, as many as fit into the planned window.
    """

    number: int
    rate_ul_per_h: float
    window_s: float
    started_s: float
    before_s: float | None
    closed_s: float | None
    ended_s: float | None  # of the rise
    opened_s: float | None
    until_s: float  # end of what was recorded after opening, or of the run

    @property
    def flow_ul_per_s(self) -> float:
        """The programmed flow."""
        return self.rate_ul_per_h / HOUR_S


@dataclass(frozen=True)
class OcclusionRecord:
    """The run; raises `RecordError` where it holds too little."""

    run: Run

    # -- what it is about

    @property
    def stroke_ul(self) -> float:
        """Volume of a stroke; 0 for a pump that has none."""
        return float(self.run.dut.get("stroke_ul") or 0.0)

    @cached_property
    def rates_ul_per_h(self) -> tuple[float, ...]:
        """The programmed rates, in order."""
        from data.quantities import parse

        return tuple(parse(one, "flow") for one in str(self.run.params["rates"]).split(","))

    @cached_property
    def phases(self) -> dict[str, tuple[float, float]]:
        """Begin and end of each phase."""
        return {phase.name: (phase.t0, phase.t1) for phase in self.run.phases}

    @cached_property
    def occlusions(self) -> tuple[Occluded, ...]:
        """Every occlusion that was begun."""
        found = []
        for number, rate in enumerate(self.rates_ul_per_h, 1):
            settled = self.phases.get(f"settle-{number}")
            if settled is None:
                break
            before, rise, after = (self.phases.get(f"{name}-{number}") for name in ("before", "rise", "after"))
            window_s = max(float(self.run.params["window_ul"]) / rate * HOUR_S, 1200.0)
            stroke_s = self.stroke_ul / rate * HOUR_S
            if 0.0 < stroke_s <= window_s:
                window_s = math.floor(window_s / stroke_s + WHOLE) * stroke_s
            found.append(
                Occluded(
                    number,
                    rate,
                    window_s,
                    settled[0],
                    None if before is None else before[0],
                    None if rise is None else rise[0],
                    None if rise is None else rise[1],
                    None if after is None else after[0],
                    self.run.end_s if after is None else after[1],
                )
            )
        return tuple(found)

    # -- pressure

    @cached_property
    def _pressure(self) -> Series:
        try:
            return self.run.corrected("outlet_pressure").good()
        except RunError as error:
            raise RecordError(str(error)) from None

    def pressure(self, from_s: float, to_s: float) -> tuple[FloatArray, FloatArray]:
        """Times and pressures of a stretch, at most `MOST_SAMPLES` of them."""
        found = self._pressure.within(from_s, to_s)
        return thinned(found.t, found.values, MOST_SAMPLES)

    @cached_property
    def guard_s(self) -> float:
        """A sample within this of a moving valve may already show what it does."""
        t_s = self._pressure.t
        return 2.0 * float(np.median(np.diff(t_s))) if t_s.size > 1 else 0.0

    def mean_kpa(self, from_s: float, to_s: float) -> float:
        """Mean pressure of a stretch."""
        values = self._pressure.within(from_s, to_s).values
        if values.size < 2:
            raise RecordError(f'"outlet_pressure" gave no good sample from {from_s:.0f} s to {to_s:.0f} s')
        return math.fsum(values.tolist()) / values.size

    def u_kpa(self, pressure_kpa: float) -> float:
        """Standard uncertainty of a pressure by the transducer's certificate."""
        certificate = self.run.calibration("outlet_pressure")
        return math.hypot(certificate.get("u", 0.0), self.u_gain * pressure_kpa)

    @property
    def u_gain(self) -> float:
        """Relative standard uncertainty of the transducer's gain."""
        return float(self.run.calibration("outlet_pressure").get("u_percent") or TRANSDUCER_GAIN_U_PERCENT) / 100.0

    @property
    def u_syringe(self) -> float:
        """Relative standard uncertainty of the volume that the syringe pump moves."""
        return syringe.syringe_u_percent(self.run, "pusher") / 100.0

    @property
    def syringe_gain(self) -> float:
        """What the syringe pump moves over what it is asked for, and over what it counts."""
        return syringe.syringe_gain(self.run, "pusher")

    # -- mass

    @cached_property
    def balance_record(self) -> GravimetricRecord:
        """The balance's record."""
        try:
            return read_record(self.run, Schedule(Continuous(self.rates_ul_per_h[0])))
        except GravimetricRecordError as error:
            raise RecordError(str(error)) from None

    @cached_property
    def collected(self) -> Collection:
        """The corrected balance record."""
        return self.balance_record.collected

    def level_mg(self, from_s: float, to_s: float) -> float:
        """Mean of the corrected indication over a stretch."""
        t_s = self.collected.t_s
        rows = slice(*np.searchsorted(t_s, [from_s, to_s]))
        values = self.collected.mass_mg[rows]
        if values.size < LEAST_READINGS:
            raise RecordError(f"the balance gave {values.size} good readings from {from_s:.0f} s to {to_s:.0f} s")
        return math.fsum(values.tolist()) / values.size

    @cached_property
    def noise(self) -> ReadingNoise:
        """What scatters the readings."""
        weighing = self.collected.weighing
        spacing = float(np.median(np.diff(self.collected.t_s)))
        one = math.hypot(weighing.repeatability_mg, weighing.readability_mg / math.sqrt(12.0))
        meniscus = weighing.meniscus_half_width_mg / math.sqrt(2.0) / math.sqrt(3.0)
        return ReadingNoise(one, meniscus, self.collected.zero_walk_mg, spacing)

    @property
    def loss_mg_per_h(self) -> tuple[float, float]:
        """What the vessel loses, as the station states it, and how far that, with the balance's drift, may be off."""
        blank = self.collected.evaporation.blanks[0]
        name = self.run.roles["reference_mass"].partition(".")[0]
        drift = float(self.run.station["instruments"][name]["uncertainty"]["drift_mg_per_day"])
        return blank.rate_mg_per_h, math.hypot(blank.u_mg_per_h, drift / 24.0 / math.sqrt(3.0))

    @property
    def ul_per_k(self) -> float:
        """What the fluid in the line swells for each kelvin."""
        return float(self.run.station["collection"]["dead_volume_ul"]) * EXPANSION_PER_K

    def warming_ul(self, from_s: float, to_s: float) -> tuple[float, float]:
        """Volume by which the fluid in the line swells in a stretch, and the standard uncertainty of that.

        The line follows the room late: half of the room's change is known, as much is not.
        """
        per_k = self.ul_per_k
        ends_s = np.array([from_s, to_s])
        room = thermometer(self.run, "room_temperature", ends_s)
        if room is None:
            return 0.0, per_k * 10.0 * LEAST_WARMING_K
        change = float(np.diff(np.interp(ends_s, room.t, room.values))[0])
        return 0.5 * per_k * change, per_k * max(LEAST_WARMING_K, 0.5 * abs(change))
