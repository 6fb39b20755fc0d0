"""Was the rig fit to judge a catheter?  What fails here makes invalid what stands on it; it never fails a catheter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data.checks import Check, Limits
from protocols.analysis import suitability
from protocols.analysis.bath import in_the_stations_band
from protocols.analysis.catheter.closed import Decay
from protocols.analysis.catheter.forced import Push
from protocols.analysis.catheter.record import CatheterRecord
from protocols.analysis.grid import RecordError
from protocols.analysis.rig.line import air_ul
from protocols.analysis.rig.reference import known_rig, rig_was_checked

ZERO_KPA = 0.7
LEAK_UL_PER_H = 2.0
"""Where the station does not say what a rig may have: 0.25 % of 200 kPa with the vent's own head, and its leak."""

SYRINGE_PERCENT = 2.0
"""How far what arrives through the bridge may be from what the syringe pump pushes by its certificate."""

OPEN_KPA = 10.0
"""A rig without a catheter takes less than this at any forced flow."""

AIR_S = 2.0
STUCK_SHARE = 0.5
"""A closed valve lets through less than this part of what is pushed."""

BRIDGED = "by the bridge"


@dataclass(frozen=True)
class Rig:
    """What the bridge showed: forced flows before and after the catheter, proof pressure; None where not done."""

    flows: tuple[Push, ...]
    again: Push | None
    decay: Decay | None


def fitness(record: CatheterRecord, rig: Rig, proof: Decay | None) -> Iterator[Check]:
    """Every suitability check for which the run holds something; ``proof`` is the test with the catheter."""
    yield from rig_was_checked(record.run)
    yield from suitability.air_density(record.air_mg_per_ul, record.lost_air)
    yield from _zero(record)
    yield from _air(record)
    bridged = [*rig.flows, *([rig.again] if rig.again else [])]
    if bridged:
        yield _opens(bridged)
        yield arrives_through_the_bridge(bridged)
    yield from _closes(proof, rig.decay)
    if rig.decay is not None:
        yield from _tight(record, rig.decay)
    # Viscosity goes with 2 % a kelvin.
    yield from in_the_stations_band(record.run, (0.0, record.run.end_s), "Temperature of the catheter")


def _stated(record: CatheterRecord, key: str, otherwise: float) -> tuple[float, str]:
    """What the station file asks of its rig check, and where that stands."""
    stated = record.run.station.get("rig_check") or {}
    return (float(stated[key]), "station file, rig_check") if key in stated else (otherwise, "protocol")


def _zero(record: CatheterRecord) -> Iterator[Check]:
    """The vented line is at ambient pressure; a transducer at another height is not."""
    name, title = "transducer-zero", "Outlet pressure, vented"
    most, source = _stated(record, "zero_kpa", ZERO_KPA)
    try:
        span = record.span("vented")
        value, u = record.mean_kpa("outlet_pressure", (0.5 * (span[0] + span[1]), span[1]))
    except RecordError as error:
        yield suitability.not_measured(name, title, "kPa", str(error))
        return
    note = "" if abs(value) <= most else "the transducer stands at another height than stated, or its zero has moved"
    yield suitability.judged(name, title, "kPa", value, u, Limits(-most, most, source), note)


def _air(record: CatheterRecord) -> Iterator[Check]:
    """Air in the flow sensor where none is due: in a forced flow, or in a second piece when priming."""
    name, title = "no-air", "No air in the line"
    if not record.run.has("flow"):
        yield suitability.not_measured(name, title, "s", "no flow sensor tells air", optional=True)
        return
    pushed = [name.removesuffix("-settle") for name in record.phases if name.endswith("-settle")]
    found = sorted(span for name in pushed for span in record.air_s(name))
    found += record.air_s("prime")[1:]  # the first is what the dried catheter held
    seconds = sum(b - a for a, b in found)
    note = f"air passed the flow sensor, first at {found[0][0]:.0f} s" if found else ""
    yield suitability.judged(name, title, "s", seconds, 0.0, Limits(None, AIR_S, "protocol"), note)


def _opens(bridged: list[Push]) -> Check:
    """Without the catheter nothing stands in the way."""
    highest = max(one.kpa for one in bridged)
    note = "" if highest <= OPEN_KPA else "the outlet valve does not open, or the line behind it is blocked"
    limits = Limits(None, OPEN_KPA, BRIDGED)
    return suitability.judged("outlet-opens", "Highest pressure, bridged", "kPa", highest, 0.0, limits, note)


def arrives_through_the_bridge(bridged: list[Push]) -> Check:
    """Syringe pump and balance agree without the catheter; the one that is farthest off counts."""
    name, title = "rig-flow", "Arrives through the bridge"
    shares = [(100.0 * one.arrived, 100.0 * one.u_arrived) for one in bridged if one.arrived is not None]
    if not shares:
        return suitability.not_measured(name, title, "%", "the balance weighed none of the bridged flows")
    value, u = max(shares, key=lambda share: abs(share[0] - 100.0))
    limits = Limits(100.0 - SYRINGE_PERCENT, 100.0 + SYRINGE_PERCENT, "protocol")
    inside = abs(value - 100.0) <= SYRINGE_PERCENT
    note = "" if inside else "syringe pump and balance disagree without the catheter: a leak, air, or one of the two"
    return suitability.judged(name, title, "%", value, u, limits, note)


def _closes(proof: Decay | None, bridged: Decay | None) -> Iterator[Check]:
    """What is pushed up behind the closed valve does not reach the vessel."""
    gained = [100.0 * one.gained for one in (proof, bridged) if one is not None]
    if not gained:
        return
    limits = Limits(None, 100.0 * STUCK_SHARE, "protocol")
    value = max(gained)
    note = "" if value <= 100.0 * STUCK_SHARE else "the outlet valve does not close"
    yield suitability.judged("valve-closes", "Reaches the vessel, closed", "%", value, 0.0, limits, note)


def _tight(record: CatheterRecord, bridged: Decay) -> Iterator[Check]:
    """Leak and compliance of the rig alone."""
    most, source = _stated(record, "leak_ul_per_h", LEAK_UL_PER_H)
    known = known_rig(record.run)
    note = ""
    if bridged.leak_ul_per_h > most:
        checked = (
            f"the rig check {known.run_id} found it tight" if known is not None and known.holds else "see rig-check"
        )
        note = f"fittings or valves leak without the catheter; {checked}"
    name, title = "rig-tight", f"Leak of the rig at {bridged.kpa:.0f} kPa"
    if bridged.reached or bridged.leak_ul_per_h > most:
        limits = Limits(None, most, source)
        yield suitability.judged(name, title, "uL/h", bridged.leak_ul_per_h, bridged.u_ul_per_h, limits, note)
    else:
        text = f"with the bridge {bridged.why}: it leaks at least {bridged.leak_ul_per_h:.3g} uL/h"
        yield suitability.not_measured(name, title, "uL/h", text)
    stated = record.run.station.get("closed_line") or {}
    bare = stated.get("bare_compliance_ul_per_kpa")
    if bare is None or not bridged.ul_per_kpa > 0.0:
        return
    band, source = _stated(record, "compliance_band_ul_per_kpa", 0.1)
    excess = bridged.ul_per_kpa - float(bare)
    note = f"softer than stated: about {air_ul(excess):.0f} uL of air in the rig" if excess > band else ""
    limits = Limits(float(bare) - band, float(bare) + band, source)
    value, u = bridged.ul_per_kpa, bridged.u_ul_per_kpa
    yield suitability.judged("rig-compliance", "Compliance of the rig", "uL/kPa", value, u, limits, note)
