"""The verdict of a catheter: fitness of the rig by the bridge, then what the catheter did in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from data import quantities
from data.checks import Axis, Check, Curve, Evaluation, Limits, Status, Verdict
from data.run import Run
from protocols.analysis import suitability
from protocols.analysis.catheter.closed import Decay, decay
from protocols.analysis.catheter.findings import (
    Bend,
    Case,
    arrives,
    bends,
    compliance,
    kink_radius,
    leak,
    missing,
    patency,
    priming,
    tip_held,
)
from protocols.analysis.catheter.fitness import Rig, fitness
from protocols.analysis.catheter.forced import Push, Resistance, gain_of, push, pushes, resistance
from protocols.analysis.catheter.plan import FLUSH_S
from protocols.analysis.catheter.record import CatheterRecord
from protocols.analysis.grid import RecordError
from protocols.analysis.standing import of_a_run_cut_off, on_suitability

SMALLEST_SYRINGE_UL = 10_000.0
CURVE_POINTS = 600


def evaluate(run: Run) -> Evaluation:
    """Judge a catheter run."""
    record = CatheterRecord(run)
    try:
        return _judged(record)
    except RecordError as error:
        return Evaluation((missing("patency", "Pressure through the catheter", "kPa", str(error)),))


def _judged(record: CatheterRecord) -> Evaluation:
    bridge, flows = pushes(record, "bridge"), pushes(record, "straight")
    told = _told(record, bridge)
    at_bath = told[0] * record.swelling
    proof, why = _decay(record, "proof", told)
    rig = Rig(bridge, _again(record), _decay(record, "rig", told)[0])
    straight, line = _resistance(flows, at_bath, told[1]), _resistance(bridge, at_bath, told[1])
    case = Case(record, rig, (*_flushed(record), *flows), told, straight, line)
    fit = [*fitness(record, rig, proof), _syringe(record)]
    bent = bends(case)
    judged = [patency(case), arrives(case), *tip_held(case), *kink_radius(case, bent), leak(case, proof, why)]
    judged += [*compliance(case, proof), *priming(case)]
    bad = {check.name for check in [*fit, *judged] if check.suitability and check.verdict is Verdict.INVALID}
    judged = [_explained(on_suitability(check, bad), judged) for check in judged]
    if record.run.status is not Status.COMPLETED:
        judged = [of_a_run_cut_off(check) for check in judged]
    return Evaluation((*judged, *fit), tuple(_curves(record, case, bent)), (), case.values)


def _told(record: CatheterRecord, bridge: tuple[Push, ...]) -> tuple[float, float]:
    """Volume for each microlitre that the syringe pump pushes by its certificate, if the balance weighed it; else 1."""
    try:
        gain, u = gain_of(bridge)
    except RecordError:
        return 1.0, record.u_syringe
    return (gain, u / gain) if abs(gain - 1.0) < 0.05 else (1.0, record.u_syringe)


def _again(record: CatheterRecord) -> Push | None:
    try:
        return push(record, "again-slow", record.rates_ul_per_h["slow"], float(record.params["hold_s"]))
    except RecordError:
        return None


def _decay(record: CatheterRecord, what: str, told: tuple[float, float]) -> tuple[Decay | None, str]:
    """A line under proof pressure; or None, and why."""
    try:
        return decay(record, what, *told), ""
    except RecordError as error:
        return None, str(error)


def _resistance(taken: tuple[Push, ...], at_bath: float, u_told: float) -> Resistance | None:
    try:
        return resistance(taken, at_bath, u_told)
    except RecordError:
        return None


def _flushed(record: CatheterRecord) -> Iterator[Push]:
    """The first flow through the catheter, by which it is filled: what it loses may end the run."""
    with suppress(RecordError):
        yield push(record, "flush", record.rates_ul_per_h["slow"], FLUSH_S)


def _syringe(record: CatheterRecord) -> Check:
    """The syringe at the access port, as the station states it: a smaller one can burst a catheter."""
    name = record.run.roles["syringe"].partition(".")[0]
    stated = record.run.station["instruments"][name].get("volume")
    if stated is None:
        return missing(
            "syringe", "Syringe at the access port", "mL", "the station does not say how large it is", "record"
        )
    volume = quantities.parse(str(stated), "volume")
    note = "" if volume >= SMALLEST_SYRINGE_UL else "a syringe of less than 10 mL makes pressures that burst a catheter"
    limits = Limits(SMALLEST_SYRINGE_UL / 1000.0, None, "protocol")
    title = "Syringe at the access port"
    return suitability.judged("syringe", title, "mL", volume / 1000.0, 0.0, limits, note, owner="record")


def _explained(check: Check, judged: Sequence[Check]) -> Check:
    """A blocked or lost catheter says nothing of its length, a kinked one nothing of its volume's share."""
    broken = {one.name for one in judged if one.owner == "catheter" and one.verdict is Verdict.FAIL}
    if check.name != "priming-volume" or "arrives" not in broken or check.verdict is Verdict.INVALID:
        return check
    return missing(
        check.name, check.title, check.unit, "what is pushed does not arrive, so no volume follows", "record"
    )


def _curves(record: CatheterRecord, case: Case, bent: tuple[Bend, ...]) -> Iterator[Curve]:
    passed = [one for one in case.flows if not one.blocked]
    if passed:
        flow = Axis("flow", "uL/h", np.array([one.rate_ul_per_s * 3600.0 for one in passed]))
        pressure = (Axis("pressure", "kPa", np.array([one.kpa for one in passed])),)
        yield Curve("forced-flow", "Outlet pressure in forced flow", flow, pressure)
    if bent:
        radius = Axis("radius", "mm", np.array([one.radius_mm for one in bent]))
        ratio = (Axis("ratio", "1", np.array([one.ratio for one in bent])),)
        yield Curve("bends", "Resistance in a bend over that of the straight catheter", radius, ratio)
    for what, title in (("proof", "with the catheter"), ("rig", "with the bridge")):
        if f"{what}-decay" in record.phases:
            t_s, pressure_kpa = record.pressure(record.phases[f"{what}-creep"][0], record.phases[f"{what}-decay"][1])
            thin = slice(None, None, max(1, t_s.size // CURVE_POINTS))
            time = Axis("time", "s", t_s[thin] - t_s[0])
            yield Curve(
                f"decay-{what}", f"Proof pressure, {title}", time, (Axis("pressure", "kPa", pressure_kpa[thin]),)
            )
