"""Bolus accuracy from a log of mass against time, for logs of any program (`pumpbench analyse bolus`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data.samples import FloatArray
from protocols.analysis import gravimetry
from protocols.analysis.bolus import Jump, jumps
from protocols.analysis.grid import RecordError, check_record, long_spacings
from protocols.analysis.mass_steps import negative_steps

HOUR_S = 3600.0
LISTED = 5


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
    found = jumps(t_s, mass_mg, starts_s)
    buoyancy = 1.0 if air_mg_per_ul is None else gravimetry.buoyancy_factor(air_mg_per_ul, density_mg_per_ul)
    per_mg = buoyancy / density_mg_per_ul
    volumes = tuple(one.amount * per_mg for one in found)
    return BolusLog(
        found,
        volumes,
        tuple(100.0 * (volume / set_volume_ul - 1.0) for volume in volumes),
        tuple(line.slope_per_s * per_mg * HOUR_S for line in (found[0].before, *(one.after for one in found))),
        _notes(t_s, mass_mg, found),
    )


def _notes(t_s: FloatArray, mass_mg: FloatArray, found: Sequence[Jump]) -> tuple[str, ...]:
    """What a reader must know beside the numbers."""
    lengths = [one.after.length_s for one in found]
    told = f"{min(lengths):g} s" if min(lengths) == max(lengths) else f"{min(lengths):g} s to {max(lengths):g} s"
    notes = [f"basal flow is taken from the last half between boluses, {told} long"]
    remarks = [remark for one in found for remark in one.remarks]
    notes += remarks[:LISTED]
    if len(remarks) > LISTED:
        notes.append(f"and {len(remarks) - LISTED} more of the same kind")
    if long := long_spacings(t_s):
        shown = ", ".join(f"{a:g}-{b:g} s" for a, b in long[:10]) + (", ..." if len(long) > 10 else "")
        notes.append(f"{len(long)} spacings over 3 times the median: {shown}")
    for fall in negative_steps(t_s, mass_mg):
        notes.append(
            f"{fall.reason} from {fall.from_s:g} s to {fall.to_s:g} s: the bolus there counts the fall as its own"
        )
    return tuple(notes)
