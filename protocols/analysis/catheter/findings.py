"""What is found of the catheter itself: patency, what arrives, tip, bends, leak, compliance, priming volume."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

from data.checks import Check, Limits, Owner, Verdict, worst
from protocols.analysis.assumed import PLAY_KPA
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.catheter.closed import Decay
from protocols.analysis.catheter.fitness import Rig
from protocols.analysis.catheter.forced import Push, Resistance, push
from protocols.analysis.catheter.plan import REST_S, radii_of
from protocols.analysis.catheter.record import BODY_DEGC, HOUR_S, CatheterRecord, water_viscosity_mpa_s
from protocols.analysis.decision import judge, result
from protocols.analysis.grid import RecordError

FLOWING = ("rig-check", "air-density", "transducer-zero", "no-air", "outlet-opens", "rig-flow", "bath-temperature")
"""What every result of a forced flow stands on."""

CLOSED = ("rig-check", "transducer-zero", "no-air", "valve-closes", "rig-tight", "rig-compliance")
"""What every result behind the closed valve stands on."""

ARRIVES_PERCENT = 97.0
HELD_PERCENT = 50.0
DISCONNECTED = 0.5
"""A catheter with less than half of the resistance of its bore and length is not in the line."""

OPEN = (Verdict.PASS, Verdict.CONDITIONAL_PASS)
"""What is judged of a bend that stays open."""

MANDREL_MM = 0.05
COUNT_UL = 0.05
"""Half of the last digit of a syringe pump's count."""


@dataclass(frozen=True)
class Case:
    """The run, the rig, and the forced flows through the straight catheter.

    ``told`` is the volume at 20 degC for each microlitre that the syringe pump pushes by its certificate, with its
    relative standard uncertainty; ``straight`` and ``line`` are resistances with the catheter and with the bridge, None
    where there is none.  ``values`` are the evaluation's named numbers, to which the checks add.
    """

    record: CatheterRecord
    rig: Rig
    flows: tuple[Push, ...]
    told: tuple[float, float]
    straight: Resistance | None
    line: Resistance | None
    values: dict[str, float] = field(default_factory=dict)

    @property
    def resistance(self) -> tuple[float, float] | None:
        """Of the catheter alone, in kPa s/uL, and its standard uncertainty."""
        if self.straight is None or self.line is None:
            return None
        value = self.straight.kpa_s_per_ul - self.line.kpa_s_per_ul
        return value, math.hypot(self.straight.u, self.line.u, value * self.record.u_gain)

    def limit(self, key: str) -> Mapping[str, Any] | None:
        """What the catheter's file declares of a quantity."""
        found = self.record.limits.get(key)
        return found if isinstance(found, dict) else None


def source(declared: Mapping[str, Any]) -> str:
    """Where a declared limit comes from."""
    return f"{declared['source']}, revision {declared['revision']}"


def found(
    name: str,
    title: str,
    unit: str,
    value: float,
    components: tuple[Component, ...],
    limits: Limits | None,
    *,
    owner: Owner = "catheter",
    depends_on: tuple[str, ...] = (),
    note: str = "",
) -> Check:
    """A result with its budget; optional where nothing limits it."""
    budget = Budget(name, unit, components)
    return result(name, title, value, budget, limits, owner=owner, depends_on=depends_on, note=note)


def missing(name: str, title: str, unit: str, note: str, owner: Owner = "catheter") -> Check:
    """A result that the run does not hold."""
    return Check(name, title, None, unit, Verdict.NOT_MEASURED, owner, note=note)


def from_below(check: Check) -> Check:
    """A value that the quantity is at least: clearly beyond its limit it fails, and below it nobody knows."""
    return check if check.verdict is Verdict.FAIL else replace(check, verdict=Verdict.NOT_MEASURED)


# ------------------------------------------------------------------------------------------------------- forced flow


def patency(case: Case) -> Check:
    """Pressure that the declared flow needs through the catheter, or at least what a blocked one took."""
    declared = case.limit("patency")
    flow = float(declared["flow_ul_per_h"]) if declared else float(case.record.params["fast_ul_per_h"])
    name, title = "patency", f"Pressure at {flow / 1000.0:g} mL/h through the catheter"
    poiseuille = case.record.poiseuille_kpa_s_per_ul * flow / HOUR_S
    limits = _at_bath(case, declared, DISCONNECTED * poiseuille) if declared else None
    blocked = [one for one in case.flows if one.blocked]
    value = case.resistance
    if value is None:
        if not blocked or not case.flows:
            return missing(name, title, "kPa", "the forced flows were not recorded")
        most = max(blocked, key=lambda one: one.kpa / one.rate_ul_per_s)
        bridged = [one.kpa for one in case.rig.flows if one.rate_ul_per_s == most.rate_ul_per_s and not one.blocked]
        least = (most.kpa - math.fsum(bridged)) / most.rate_ul_per_s * flow / HOUR_S
        note = f"blocked: at {most.rate_ul_per_s * 3.6:g} mL/h the pressure rose to {most.kpa:.3g} kPa; at least"
        known = (Component("gain of the transducer", least * case.record.u_gain), *_by_bath(case, least, limits))
        return from_below(found(name, title, "kPa", least, known, limits, depends_on=FLOWING, note=note))
    resistance = value[0]
    case.values["resistance_kpa_s_per_ul"], case.values["u_resistance_kpa_s_per_ul"] = value
    case.values["poiseuille_kpa_s_per_ul"] = case.record.poiseuille_kpa_s_per_ul
    note = f"{resistance / case.record.poiseuille_kpa_s_per_ul:.3g} times what bore and length of its file make"
    if limits is not None and limits.low is not None and resistance * flow / HOUR_S < limits.low:
        note = f"the catheter is off, or open near the pump: {note}"
    straight, line = case.straight, case.line
    assert straight is not None
    assert line is not None
    scale = flow / HOUR_S
    parts = (
        Component("flow and scatter, with the catheter", straight.u * scale),
        Component("flow and scatter, with the bridge", line.u * scale),
        Component("gain of the transducer", abs(resistance) * case.record.u_gain * scale),
        *_by_bath(case, resistance * scale, limits),
    )
    return found(name, title, "kPa", resistance * scale, parts, limits, depends_on=FLOWING, note=note)


def _at_bath(case: Case, declared: Mapping[str, Any], low_kpa: float) -> Limits:
    """The declared pressure is that of water at a temperature; this fluid at that of the bath needs another."""
    at_degc = float(declared.get("temperature_c", BODY_DEGC))
    thicker = case.record.viscosity_mpa_s / water_viscosity_mpa_s(at_degc)
    high = float(declared["at_most_kpa"]) * thicker
    return Limits(low_kpa, high, f"{source(declared)}, {declared['at_most_kpa']:g} kPa with water at {at_degc:g} degC")


def _by_bath(case: Case, kpa: float, limits: Limits | None) -> Iterator[Component]:
    """A limit that goes with the viscosity is as uncertain as the bath's temperature, told as one of the pressure."""
    if limits is not None:
        yield Component("viscosity, by the bath's temperature", abs(kpa) * case.record.u_viscosity)


def arrives(case: Case) -> Check:
    """Share of what the syringe pushes that leaves the tip; the flow that loses most counts."""
    name, title = "arrives", "Arrives at the balance"
    told, u_told = case.told
    shares = [
        (100.0 * one.arrived / told, 100.0 * one.u_arrived / told, one) for one in case.flows if one.arrived is not None
    ]
    if not shares:
        return missing(name, title, "%", "no forced flow passed")
    value, u, worst = min(shares, key=lambda share: share[0])
    note = ""
    if value < ARRIVES_PERCENT:
        ambient = bool(case.rig.flows) and worst.kpa < case.rig.flows[0].kpa  # less than the bridge took
        where = "the pressure is at ambient: look at the connector" if ambient else "look for a leak or a cut"
        note = f"lost on the way at {worst.rate_ul_per_s * 3.6:.3g} mL/h; {where}"
    parts = (Component("balance", u), Component("syringe, by the bridge", abs(value) * u_told))
    limits = Limits(ARRIVES_PERCENT, 200.0 - ARRIVES_PERCENT, "protocol")
    return found(name, title, "%", value, parts, limits, depends_on=FLOWING, note=note)


def tip_held(case: Case) -> Iterator[Check]:
    """Share of a back pressure at the tip that the pump's outlet sees."""
    if not float(case.record.params["held_kpa"]) > 0.0:
        return
    name, title = "tip-held", "Back pressure that comes back to the outlet"
    if any(one.blocked for one in case.flows):
        yield missing(name, title, "%", "the catheter is blocked")
        return
    try:
        rose, u_rose = _rise(case.record, "outlet_pressure")
        held, u_held = _rise(case.record, "controller_pressure")
    except RecordError as error:
        yield missing(name, title, "%", str(error))
        return
    if not held > 0.5 * float(case.record.params["held_kpa"]):
        text = f"the controller held {held:.3g} kPa"
        yield Check(name, title, None, "%", Verdict.INVALID, "rig", suitability=True, note=text)
        return
    value = 100.0 * rose / held
    parts = (
        Component("play of the transducer", 100.0 * PLAY_KPA / math.sqrt(3.0) / held),
        Component("scatter", 100.0 * math.hypot(u_rose, u_held * rose / held) / held),
        Component("gain of the transducer", abs(value) * case.record.u_gain),
    )
    note = "" if value >= HELD_PERCENT else "the tip sees ambient pressure: it is not where the pressure is held"
    yield found(name, title, "%", value, parts, Limits(HELD_PERCENT, None, "protocol"), depends_on=FLOWING, note=note)


def _rise(record: CatheterRecord, role: str) -> tuple[float, float]:
    """Change of a pressure from before to while the tip is under pressure."""
    if not record.run.has(role):
        raise RecordError(f'"{role}" was not recorded')
    before, u_before = record.mean_kpa(role, record.span("held-before"))
    held, u_held = record.mean_kpa(role, record.span("held"))
    return held - before, math.hypot(u_before, u_held)


# -------------------------------------------------------------------------------------------------------------- bends


@dataclass(frozen=True, slots=True)
class Bend:
    """One mandrel: resistance over that of the straight catheter, and its standard uncertainty."""

    radius_mm: float
    ratio: float
    u: float
    at_least: bool


def bends(case: Case) -> tuple[Bend, ...]:
    """Every bend that was recorded, up to the one in which the run ended."""
    value, straight, line = case.resistance, case.straight, case.line
    if value is None or straight is None or line is None or not value[0] > 0.0:
        return ()
    rate = case.record.rates_ul_per_h["middle"]
    told = case.told[0] * case.record.swelling
    done = []
    for number, radius_mm in enumerate(radii_of(str(case.record.params["radii"])), 1):
        try:
            one = push(case.record, f"bent-{number}", rate, REST_S)
        except RecordError:
            break
        flow = one.rate_ul_per_s * told
        resistance = (one.kpa - straight.intercept_kpa) / flow - line.kpa_s_per_ul
        ratio = resistance / value[0]
        u = math.hypot(one.u_kpa / flow, straight.u, ratio * straight.u) / value[0]
        done.append(Bend(radius_mm, ratio, u, one.blocked))
    return tuple(done)


def kink_radius(case: Case, bent: tuple[Bend, ...]) -> Iterator[Check]:
    """The smallest mandrel round which, and round all larger ones, it stays open; None where it does round none.

    The mandrels on either side of the declared radius decide, each by its resistance and the uncertainty of that.
    """
    name, title = "kink-radius", "Smallest radius without a kink"
    if not str(case.record.params["radii"]).strip():
        return
    if not bent:
        yield missing(name, title, "mm", "no bend was measured")
        return
    kinked = float(case.record.params["kinked"])
    for one in bent:
        case.values[f"ratio_at_{one.radius_mm:g}_mm"] = one.ratio
        case.values[f"u_ratio_at_{one.radius_mm:g}_mm"] = one.u
    verdicts = [_stays_open(one, kinked) for one in bent]
    opened = list(takewhile(lambda pair: pair[1] in OPEN, zip(bent, verdicts, strict=True)))
    declared = case.limit("kink")
    limits = Limits(None, float(declared["radius_mm"]), source(declared)) if declared else None
    mandrel = Budget(name, "mm", (Component("mandrel", MANDREL_MM / math.sqrt(3.0)),))
    radius_mm = opened[-1][0].radius_mm if opened else None
    check = result(name, title, radius_mm, mandrel, limits, owner="catheter", depends_on=FLOWING)
    if limits is not None and limits.high is not None:
        verdict = _at_radius(bent, verdicts, len(opened), limits.high)
        check = replace(check, verdict=verdict, conformity_probability=None)  # a mandrel is chosen, not measured
    yield replace(check, note=_bent(bent, verdicts, len(opened), check.verdict, limits))


def _stays_open(one: Bend, kinked: float) -> Verdict:
    """Whether a bend's resistance stays below that of a kink; one that was given up is known from below alone."""
    verdict: Verdict = judge(one.ratio, one.u, math.inf, Limits(None, kinked, "parameter kinked"))["verdict"]
    return Verdict.NOT_MEASURED if one.at_least and verdict is not Verdict.FAIL else verdict


def _at_radius(bent: Sequence[Bend], verdicts: Sequence[Verdict], opened: int, declared_mm: float) -> Verdict:
    """Open round a mandrel of at most the declared radius, or kinked round one of at least it; else nobody knows."""
    open_at = [verdicts[k] for k in range(opened) if bent[k].radius_mm <= declared_mm]
    if open_at:
        return max(open_at, key=lambda verdict: verdict.rank)
    down_to = worst(verdict for one, verdict in zip(bent, verdicts, strict=True) if one.radius_mm >= declared_mm)
    return Verdict.NOT_MEASURED if down_to in OPEN else down_to


def _bent(
    bent: Sequence[Bend], verdicts: Sequence[Verdict], opened: int, verdict: Verdict, limits: Limits | None
) -> str:
    """What the first mandrel at which it does not stay open showed, and what no mandrel tells."""
    note = "no kink seen"
    if opened < len(bent):
        first = bent[opened]
        seen = f"{first.ratio:.3g} times the resistance"
        if verdicts[opened].fails:
            note = f"kinked at {first.radius_mm:g} mm, {seen}"
        else:
            note = f"not told at {first.radius_mm:g} mm, {seen}, U {2.0 * first.u:.2g}"
        if not opened:
            note += "; the smallest radius without a kink is larger"
    if verdict is Verdict.NOT_MEASURED and limits is not None:
        note += f"; no mandrel tells of the declared {limits.high:g} mm: use one of that radius"
    return note


# --------------------------------------------------------------------------------------------------- under pressure


def leak(case: Case, proof: Decay | None, why: str) -> Check:
    """Leak with the catheter less that with the bridge, at the declared pressure."""
    declared = case.limit("leak")
    at_kpa = float(declared["pressure_kpa"]) if declared else float(case.record.params["proof_kpa"])
    name, title = "leak", f"Leak of the catheter at {at_kpa:g} kPa"
    limits = Limits(None, float(declared["at_most_ul_per_h"]), source(declared)) if declared else None
    rig = case.rig.decay
    if proof is None:
        return missing(name, title, "uL/h", why)
    if rig is None:
        seen = f"{proof.leak_ul_per_h:.3g} uL/h at {proof.kpa:.0f} kPa" if proof.reached else proof.why
        return missing(name, title, "uL/h", f"{seen}, but the rig was not measured with the bridge: nobody knows whose")
    # A leak grows with the pressure, but one that was seen at a lower pressure alone is only at least as large.
    scale = at_kpa / proof.kpa if proof.reached else min(at_kpa / proof.kpa, 1.0)
    with_catheter, of_rig = proof.leak_ul_per_h * scale, proof.kpa * scale / rig.kpa
    parts = [
        Component(f"{one.source}, {whose}", one.u * by)
        for test, whose, by in ((proof, "catheter", scale), (rig, "rig", of_rig))
        for one in test.components
    ]
    value = with_catheter - (rig.leak_ul_per_h * of_rig if rig.reached else 0.0)
    case.values["leak_ul_per_h"], case.values["u_leak_ul_per_h"] = value, Budget(name, "uL/h", tuple(parts)).u
    case.values["rig_leak_ul_per_h"] = rig.leak_ul_per_h * at_kpa / rig.kpa
    note = "" if proof.reached else f"at least, by what leaks at {proof.kpa * scale:.3g} kPa: {proof.why}"
    if not rig.reached:
        note = f"{note}; " * bool(note) + f"with the bridge {rig.why}: nobody knows whose"
    check = found(name, title, "uL/h", value, tuple(parts), limits, depends_on=CLOSED, note=note)
    if not rig.reached:
        return replace(check, verdict=Verdict.NOT_MEASURED)
    return check if proof.reached else from_below(check)


def compliance(case: Case, proof: Decay | None) -> Iterator[Check]:
    """What a metre of the catheter takes at once, air apart."""
    rig, declared = case.rig.decay, case.limit("compliance")
    name, title = "compliance", "Compliance of a metre"
    if proof is None or rig is None:
        return
    if not (proof.wall_ul_per_kpa > 0.0 and rig.wall_ul_per_kpa > 0.0):
        if declared is not None:
            yield missing(name, title, "uL/kPa", "the pressure did not rise as that of one closed line")
        return
    metres = case.record.length_mm / 1000.0
    value = (proof.wall_ul_per_kpa - rig.wall_ul_per_kpa) / metres
    parts = (
        Component("with the catheter", proof.u_wall / metres),
        Component("with the bridge", rig.u_wall / metres),
    )
    limits = Limits(None, float(declared["per_metre_ul_per_kpa"]), source(declared)) if declared else None
    walls = f"{proof.wall_ul_per_kpa:.4g} uL/kPa with it, {rig.wall_ul_per_kpa:.4g} without"
    note = f"{walls}; creep {100.0 * proof.creep_share:.2g} %"
    if proof.softer_ul_per_kpa2 > rig.softer_ul_per_kpa2:
        more = 2.0 * (proof.softer_ul_per_kpa2 - rig.softer_ul_per_kpa2) * proof.kpa / metres
        note += f"; it softens: {value + more:.4g} uL/kPa at {proof.kpa:.0f} kPa"
    if proof.air_ul > rig.air_ul:
        note += f"; about {proof.air_ul - rig.air_ul:.0f} uL of air beside it"
    case.values["catheter_ul_per_kpa_m"] = value
    yield found(name, title, "uL/kPa", value, parts, limits, depends_on=CLOSED, note=note)


# ------------------------------------------------------------------------------------------------------------ priming


def priming(case: Case) -> Iterator[Check]:
    """Volume of the bore, by what the dried catheter kept of what was pushed, against that of its file."""
    if not float(case.record.params["prime_ul"]) > 0.0:
        return
    name, title = "priming-volume", "Volume of the bore over that of its file"
    record = case.record
    try:
        begin, end = record.counted_ul("prime-begin"), record.counted_ul("prime-end")
        before, after = record.span("dry-before"), record.span("primed")
        ran = record.span("prime")
        gained = record.level_mg((after[1] - 15.0, after[1])) - record.level_mg((before[1] - 15.0, before[1]))
        tail = record.mass((ran[1] - 30.0, ran[1] - 15.0))[1]
        pushing_kpa = record.mean_kpa("outlet_pressure", ran)[0] - record.mean_kpa("outlet_pressure", before)[0]
    except RecordError as error:
        yield missing(name, title, "%", str(error), "record")
        return
    pushed, arrived = (end[0] - begin[0]) * case.told[0], gained * record.ul_per_mg
    if pushed - arrived > 0.9 * pushed or tail.size < 2 or float(tail[-1] - tail[0]) < 1.0:
        yield missing(name, title, "%", "the fluid did not come through; raise prime", "record")
        return
    # Counts and balance are at 20 degC; the bore is filled at the temperature of the bath.
    bore = (pushed - arrived) * record.swelling
    parts = (
        Component("syringe, by the bridge", pushed * case.told[1]),
        Component("count of the syringe", math.sqrt(2.0) * COUNT_UL),
        Component("balance", record.u_level_mg * record.ul_per_mg),
        # Where the catheter still resists the air has the pressure of the outlet, behind it that of the line.
        bounded("compression of the air", bore * pushing_kpa / record.room_kpa),
    )
    relative = tuple(Component(one.source, 100.0 * one.u / record.bore_ul) for one in parts)
    case.values["bore_ul"] = bore
    case.values["u_bore_ul"] = Budget(name, "uL", parts).u
    declared = case.limit("priming")
    limits = Limits(declared["low_percent"], declared["high_percent"], source(declared)) if declared else None
    off = 100.0 * (bore / record.bore_ul - 1.0)
    note = f"{bore:.4g} uL, {record.bore_ul:.4g} uL by bore and trimmed length"
    value = case.resistance
    if value is not None and value[0] > 0.0:
        # V^2 R = 8 pi mu L^3 whatever the bore is.
        length = (bore**2 * value[0] / (8.0e-6 * math.pi * record.viscosity_mpa_s)) ** (1.0 / 3.0)
        case.values["length_mm"] = length
        note += (
            f"; volume and resistance together make {length / 10.0:.4g} cm, its file {record.length_mm / 10.0:.4g} cm"
        )
    yield found(name, title, "%", off, relative, limits, owner="record", depends_on=FLOWING, note=note)
