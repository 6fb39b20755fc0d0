"""Bolus accuracy from a log of mass against time, for logs of any program (`pumpbench analyse bolus`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from data.checks import Exclusion
from data.samples import FloatArray
from protocols.analysis import gravimetry
from protocols.analysis.bolus import Jump, jumps
from protocols.analysis.grid import RecordError, check_record, long_spacings
from protocols.analysis.mass_steps import negative_steps

HOUR_S = 3600.0
LISTED = 5
SHORT_SHARE = 0.5
"""A last bolus that is followed for less than this share of the others' time may not have been over."""

TAKEN_AWAY = 0.1
"""A bolus below minus this share of the set volume is no noise: the mass is that of what was emptied."""

LEAST_EFFECT_PERCENT = 0.1
"""What a fall changes of a bolus is told from here on."""


@dataclass(frozen=True, slots=True)
class BolusLog:
    """Volumes of the boluses of a log and their errors against the set volume.

    Attributes
    ----------
    boluses : the jump of each, in mg as the balance showed it.
    volumes_ul, errors_percent : of each, in order of time.
    basal_ul_per_h : the slope before the first bolus and after each, evaporation and drift included.
    notes : what a reader must know beside the numbers.
    """

    boluses: tuple[Jump, ...]
    volumes_ul: tuple[float, ...]
    errors_percent: tuple[float, ...]
    basal_ul_per_h: tuple[float, ...]
    notes: tuple[str, ...]

    @property
    def mean_error_percent(self) -> float:
        """Mean of the errors."""
        return math.fsum(self.errors_percent) / len(self.errors_percent)

    def to_json(self) -> dict[str, object]:
        """The results as `pumpbench analyse bolus --json` prints them."""
        return {
            "volumes_ul": list(self.volumes_ul),
            "errors_percent": list(self.errors_percent),
            "mean_error_percent": self.mean_error_percent,
            "max_error_percent": max(self.errors_percent),
            "min_error_percent": min(self.errors_percent),
        }


def analyse_bolus_log(
    t_s: FloatArray,
    mass_mg: FloatArray,
    starts_s: Sequence[float],
    set_volume_ul: float,
    density_mg_per_ul: float,
    air_mg_per_ul: float | None = None,
) -> BolusLog:
    """Volume and error of each bolus of a log.

    Parameters
    ----------
    t_s, mass_mg : (n,) times, rising, and the mass that the balance showed; more mass is more delivered.
    starts_s : when each bolus begins, on the log's time axis, rising.
    set_volume_ul : what each bolus was set to, without the basal flow.
    air_mg_per_ul : corrects the buoyancy of the air; mass is taken as given without it.

    Raises
    ------
    RecordError
        If log, starts or volume do not allow the analysis; the sentence says why.

    Notes
    -----
    `protocols.analysis.bolus.jumps` says what is detrended; the error is 100 (V/V_set - 1).
    """
    check_record(t_s, mass_mg)
    if not set_volume_ul > 0.0:
        raise RecordError(f"the set volume must be above 0 uL, not {set_volume_ul:g} uL")
    if not density_mg_per_ul > 0.0:
        raise RecordError(f"the density must be above 0 g/mL, not {density_mg_per_ul:g} g/mL")
    buoyancy = 1.0 if air_mg_per_ul is None else gravimetry.buoyancy_factor(air_mg_per_ul, density_mg_per_ul)
    per_mg = buoyancy / density_mg_per_ul
    expected_mg = set_volume_ul / per_mg
    found = jumps(t_s, mass_mg, starts_s, expected_mg)
    volumes = tuple(one.amount * per_mg for one in found)
    return BolusLog(
        found,
        volumes,
        tuple(100.0 * (volume / set_volume_ul - 1.0) for volume in volumes),
        tuple(line.slope_per_s * per_mg * HOUR_S for line in (found[0].before, *(one.after for one in found))),
        tuple(_notes(t_s, mass_mg, found, expected_mg)),
    )


def _notes(t_s: FloatArray, mass_mg: FloatArray, found: Sequence[Jump], expected_mg: float) -> Iterator[str]:
    """What a reader must know beside the numbers."""
    lengths = [one.after.length_s for one in found]
    told = f"{min(lengths):g} s" if min(lengths) == max(lengths) else f"{min(lengths):g} s to {max(lengths):g} s"
    yield f"basal flow is taken from the last half between boluses, {told} long"
    if all(one.amount < -TAKEN_AWAY * expected_mg for one in found):
        yield (
            "every bolus takes mass away, and more mass is more delivered: give what was collected, or the reservoir's "
            "with its sign turned"
        )
    yield from _cut_short(found)
    falls = negative_steps(t_s, mass_mg)
    starts = [one.at_s for one in found]
    # What a fall does to the boluses is told with it; the flow is judged as if it had not been.
    whole = mass_mg
    for fall in falls:
        if not _begun_in(fall, found):
            whole = _restored(t_s, whole, fall)
    remarks = [remark for one in jumps(t_s, whole, starts, expected_mg) for remark in one.remarks]
    yield from remarks[:LISTED]
    if len(remarks) > LISTED:
        yield f"and {len(remarks) - LISTED} more of the same kind"
    if long := long_spacings(t_s):
        shown = ", ".join(f"{a:g}-{b:g} s" for a, b in long[:10]) + (", ..." if len(long) > 10 else "")
        yield f"{len(long)} spacings over 3 times the median: {shown}"
    for fall in falls[:LISTED]:
        without = jumps(t_s, _restored(t_s, mass_mg, fall), starts, expected_mg)
        yield f"{fall.reason} from {fall.from_s:g} s to {fall.to_s:g} s; {_effect(fall, found, without, expected_mg)}"
    if len(falls) > LISTED:
        yield f"and {len(falls) - LISTED} more falls of the mass"


def _cut_short(found: Sequence[Jump]) -> Iterator[str]:
    """A last bolus after which the log ends far sooner than others are followed."""
    if len(found) < 2:
        return
    last_s, usual_s = 2.0 * found[-1].after.length_s, 2.0 * median(one.after.length_s for one in found[:-1])
    if last_s < SHORT_SHARE * usual_s:
        yield (
            f"bolus {len(found)}: the log ends {last_s:.4g} s after its mark at {found[-1].at_s:g} s, and the others "
            f"have {usual_s:.4g} s; if it was not over after half of that, it is measured too small, and with it the "
            "mean and the smallest error: log longer, or end the log at its mark and leave the mark out"
        )


def _begun_in(fall: Exclusion, found: Sequence[Jump]) -> list[int]:
    """Numbers of the boluses that begin while the mass falls: neither can be told from the other."""
    return [number for number, one in enumerate(found, 1) if fall.from_s <= one.at_s < fall.to_s]


def _restored(t_s: FloatArray, mass_mg: FloatArray, fall: Exclusion) -> FloatArray:
    """The mass without a fall."""
    before, after = np.interp([fall.from_s, fall.to_s], t_s, mass_mg)
    within = np.clip((t_s - fall.from_s) / (fall.to_s - fall.from_s), 0.0, 1.0)
    return np.asarray(mass_mg + (before - after) * within, dtype=np.float64)


def _effect(fall: Exclusion, found: Sequence[Jump], without: Sequence[Jump], expected_mg: float) -> str:
    """By how much each bolus is measured otherwise by a fall."""
    if begun := _begun_in(fall, found):
        named = ", ".join(f"bolus {number}" for number in begun)
        return f"{named} began meanwhile and cannot be told from it"
    effects = [100.0 * (one.amount - clean.amount) / expected_mg for one, clean in zip(found, without, strict=True)]
    told = [
        f"bolus {number} is measured {abs(effect):.3g} % too {'large' if effect > 0.0 else 'small'}"
        for number, effect in enumerate(effects, 1)
        if abs(effect) > LEAST_EFFECT_PERCENT
    ]
    return f"by it {' and '.join(told)}" if told else "it changes no bolus"
