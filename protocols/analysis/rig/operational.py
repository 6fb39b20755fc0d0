"""The verdict of an operational qualification: what the bench makes of weights, flows and stops that are known.

Each check has U by the certificate of what is known and by the record; the guard-banded rule decides.  A bench whose U
is over a third of a limit is not capable of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from data.checks import Check, Evaluation, Limits, Status, Verdict
from data.run import Event, Run, RunError
from protocols.analysis.budget import Budget, Component, resolution
from protocols.analysis.decision import judge, result
from protocols.analysis.flow_budget import LINE_EXPANSION_PER_K
from protocols.analysis.rig import RecordError
from protocols.analysis.rig import balance as balance_check
from protocols.analysis.rig import flow as flow_check
from protocols.analysis.rig import line as line_check
from protocols.analysis.rig.points import read_points
from protocols.analysis.rig.record import RigRecord
from protocols.analysis.rig.weighed_flow import gained_ul_per_h, syringe_gain, syringe_u_percent
from protocols.analysis.standing import of_a_run_cut_off
from protocols.analysis.suitability import air_density

RATES = ("slow", "middle", "fast")

RAMP_FROM = 0.1
"""A ramp is used from this share of it on: valve and plunger have settled."""

CAPSULE_CERTIFICATE_PERCENT = 1.0
NEEDLE_CERTIFICATE_PERCENT = 1.0
"""Standard uncertainties of capsule and needle valve, until a certificate of theirs is entered: assumed."""

U_WARMING_K = 0.05
"""What the fluid of a closed line may warm in the half of a record that counts: standard uncertainty, assumed."""

SOURCE = "parameter of the qualification"
PROTECTION = "station file, protection"


def evaluate(run: Run) -> Evaluation:
    """Judge the part that the run did."""
    parts = {
        "weights": _weights,
        "flow": _flow,
        "closed-line": _closed_line,
        "leak": _leak,
        "e-stop": _e_stop,
        "relief": _relief,
        "watchdog": _watchdog,
    }
    record, part = RigRecord(run, dict(run.station.get("rig_check") or {})), str(run.params["part"])
    checks = tuple(parts[part](record, run.params))
    if part == "e-stop":
        # Of the rig's fitness, so that a stop that was asked for does not take the verdict from it.
        checks = tuple(replace(check, suitability=True) for check in checks)
    elif run.status is not Status.COMPLETED:
        try:
            record.insist_on_whole("decay")
        except RecordError as error:  # tubing that still creeps would look like a leak
            checks = tuple(_unmeasured(check.name, check.title, check.unit, str(error)) for check in checks)
        checks = tuple(map(of_a_run_cut_off, checks))
    return Evaluation(checks)


def _judged(name: str, title: str, unit: str, value: float, u: float, limits: Limits, dof: float = math.inf) -> Check:
    return Check(name=name, title=title, unit=unit, owner="rig", **judge(value, u, dof, limits))


def _unmeasured(name: str, title: str, unit: str, note: str) -> Check:
    return Check(name, title, None, unit, Verdict.NOT_MEASURED, "rig", note=note)


def _within(half: float) -> Limits:
    return Limits(-half, half, SOURCE)


# ------------------------------------------------------------------------------------------------- weights and flows


def _weights(record: RigRecord, params: Mapping[str, Any]) -> Iterator[Check]:
    """The error at each weight, and whether the balance repeats as the station file says, by all of them."""
    masses, _ = read_points(str(params["weights"]))
    weighed: list[balance_check.Weighings | RecordError] = []
    apart_h = 0.0
    for number, mass_mg in enumerate(masses, 1):
        try:
            empty = [record.good("reference_mass", f"empty-{number}-{k}") for k in (1, 2, 3)]
            loaded = [record.good("reference_mass", f"loaded-{number}-{k}") for k in (1, 2)]
            found = balance_check.weighings(
                [balance_check.latest(one.t, one.values) for one in empty],
                [balance_check.latest(one.t, one.values) for one in loaded],
                mass_mg,
            )
        except RecordError as error:
            weighed.append(error)
            continue
        weighed.append(found)
        apart_h = max(apart_h, float(empty[-1].t[-1] - empty[0].t[-1]) / (2 * len(loaded)) / 3600.0)
    declared = balance_check.declared_mg(record.balance, apart_h)
    every = [one for one in weighed if isinstance(one, balance_check.Weighings)]
    measured = balance_check.repeatability(every) if every else None
    for number, (mass_mg, one) in enumerate(zip(masses, weighed, strict=True), 1):
        titles = f"weight-{number}", f"Balance error at {mass_mg / 1000.0:g} g"
        if isinstance(one, RecordError) or measured is None:
            yield _unmeasured(*titles, "mg", str(one))
            continue
        # The weighings of one run are few: their scatter counts where it is more than what the station file says.
        sd, dof = max((declared, math.inf), (measured.sd_mg, float(measured.dof)))
        budget = Budget(
            titles[0],
            "mg",
            (
                Component("reference weight", float(params["weight_u_mg"])),
                Component("repeatability", sd * one.u_of_one, dof),
                resolution("readability", record.balance["readability_mg"]),
            ),
        )
        limits = _within(float(params["weight_error_mg"]))
        yield result(*titles, one.error_mg, budget, limits, owner="rig")
    yield _repeats(measured, declared)


def _repeats(measured: balance_check.Repeatability | None, declared_mg: float) -> Check:
    """Chi-square: whether the scatter of the weighings may be that of a balance as the station file states it."""
    titles = "weights-repeatability", "Repeatability of the balance, by every weight"
    if measured is None:
        return _unmeasured(*titles, "mg", "no weight was weighed")
    source = f"station file, uncertainty; by chance beyond it in {100.0 * balance_check.FALSE_ALARM:g} % of cases"
    limits = Limits(None, measured.largest_mg(declared_mg), source)
    check = _judged(*titles, "mg", measured.sd_mg, 0.0, limits)
    said = f"{measured.dof} degrees of freedom; the station file states {declared_mg:.2g} mg"
    if check.verdict is not Verdict.PASS:
        said += ": vibration, a draft, a weight that was put down off the middle, or the balance needs service"
    return replace(check, note=said)


def _flow(record: RigRecord, params: Mapping[str, Any]) -> Iterator[Check]:
    syringe = syringe_u_percent(record)
    has_sensor = "flow" in record.run.roles
    try:
        zero = _zero(record) if has_sensor else flow_check.Zero(0.0, 0.0)
    except RecordError as error:
        zero, has_sensor = flow_check.Zero(0.0, 0.0), False
        yield _unmeasured("sensor-zero", "Flow sensor, zero", "uL/h", str(error))
    yield from air_density(record.air_mg_per_ul("gain-slow"), record.lost_air("gain-slow"))
    for name in RATES:
        yield _pushed(record, params, name, syringe)
        if has_sensor:
            yield _sensor(record, params, name, zero, syringe)
    yield _bolus(record, params, syringe)


def _pushed(record: RigRecord, params: Mapping[str, Any], at: str, syringe_percent: float) -> Check:
    """What the balance gained of what the syringe pump pushed."""
    rate = float(params[f"{at}_ul_per_h"])
    titles = f"{at}-flow", f"Balance over syringe pump at {rate:g} uL/h"
    try:
        slope, u_slope = gained_ul_per_h(record, f"gain-{at}")
    except RecordError as error:
        return _unmeasured(*titles, "%", str(error))
    pushed = rate * syringe_gain(record)
    u = math.hypot(100.0 * u_slope / pushed, syringe_percent)
    return _judged(*titles, "%", 100.0 * (slope / pushed - 1.0), u, _within(float(params["flow_error_percent"])))


def _sensor(
    record: RigRecord, params: Mapping[str, Any], at: str, zero: flow_check.Zero, syringe_percent: float
) -> Check:
    """What the flow sensor showed of it, less its zero."""
    rate = float(params[f"{at}_ul_per_h"])
    titles = f"{at}-sensor", f"Flow sensor over syringe pump at {rate:g} uL/h"
    try:
        shown = record.mean("flow", f"gain-{at}") - zero.ul_per_h
    except RecordError as error:
        return _unmeasured(*titles, "%", str(error))
    pushed = rate * syringe_gain(record)
    u = math.hypot(100.0 * zero.u_ul_per_h / pushed, syringe_percent, flow_check.SENSOR_EVEN_PERCENT)
    return _judged(*titles, "%", 100.0 * (shown / pushed - 1.0), u, _within(float(params["sensor_error_percent"])))


def _zero(record: RigRecord) -> flow_check.Zero:
    series = record.good("flow", "zero-flow")
    return flow_check.zero(series.t, series.values)


def _bolus(record: RigRecord, params: Mapping[str, Any], syringe_percent: float) -> Check:
    name, title, unit = "bolus", f"Metered bolus of {float(params['bolus_ul']):g} uL by the balance", "%"
    try:
        before, after = (record.good("reference_mass", f"{when}-bolus") for when in ("before", "after"))
    except RecordError as error:
        return _unmeasured(name, title, unit, str(error))
    hours = (float(after.t.mean()) - float(before.t.mean())) / 3600.0
    collection, balance = record.run.station["collection"], record.balance
    lost = float(collection["evaporation_mg_per_h"]) * hours
    gained = record.mean("reference_mass", "after-bolus") - record.mean("reference_mass", "before-bolus") + lost
    asked = syringe_gain(record) * float(params["bolus_ul"])
    wandering = balance["zero_walk_mg"] * math.sqrt(max(hours, 0.0))
    reading = math.sqrt(2.0) * balance["repeatability_mg"]
    u_mg = math.hypot(reading, wandering, float(collection.get("meniscus_mg") or 0.0))
    u = math.hypot(100.0 * u_mg * record.ul_per_mg / asked, syringe_percent)
    off = 100.0 * (gained * record.ul_per_mg / asked - 1.0)
    return _judged(name, title, unit, off, u, _within(float(params["bolus_error_percent"])))


# ----------------------------------------------------------------------------------------------------- closed line


def _line(record: RigRecord, params: Mapping[str, Any]) -> tuple[line_check.Compliance, line_check.Leak]:
    """Compliance of the closed line, and what it loses at the proof pressure.

    Notes
    -----
    A line that loses g P takes Q - g P of the injection: with the slopes s_r of the ramp and s_d of the decay at the
    mean pressures P_r and P_d, C = Q / (s_r - s_d P_r / P_d) and g = -C s_d / P_d.
    """
    ramp, decay = record.good("outlet_pressure", "ramp"), record.good("outlet_pressure", "decay")
    begin, end = float(ramp.t[0]), float(ramp.t[-1])
    used = ramp.within(begin + RAMP_FROM * (end - begin), end)
    half = decay.within((float(decay.t[0]) + float(decay.t[-1])) / 2.0, float(decay.t[-1]) + 1.0)
    line_check.living(decay.values)
    up = line_check.straight_line(used.t, used.values)
    down = line_check.straight_line(half.t, half.values)
    slope = up.slope - down.slope * up.value / down.value
    if slope <= 0.0:
        raise RecordError("the pressure did not rise while the syringe pump pushed; the line is open or the pump idle")
    rate = syringe_gain(record) * float(params["injection_ul_per_h"]) / 3600.0
    found = rate / slope
    relative = math.hypot(math.hypot(up.u_slope, down.u_slope) / slope, syringe_u_percent(record) / 100.0)
    at_proof = float(params["proof_kpa"]) / down.value
    loss = -found * down.slope * 3600.0 * at_proof
    volume = float(record.run.station["collection"]["dead_volume_ul"])
    warmed = volume * LINE_EXPANSION_PER_K * U_WARMING_K / ((float(half.t[-1]) - float(half.t[0])) / 3600.0)
    u_loss = math.hypot(found * down.u_slope * 3600.0 * at_proof, loss * relative, warmed)
    return line_check.Compliance(found, found * relative), line_check.Leak(loss, u_loss, down.value)


def _closed_line(record: RigRecord, params: Mapping[str, Any]) -> Iterator[Check]:
    title = f"Loss of the closed line at {float(params['proof_kpa']):g} kPa"
    try:
        line, loss = _line(record, params)
    except RecordError as error:
        yield _unmeasured("closed-line", title, "uL/h", str(error))
        return
    limits = _within(float(params["tight_ul_per_h"]))  # a line that gains fluid hides what it loses
    yield _judged("closed-line", title, "uL/h", loss.ul_per_h, loss.u_ul_per_h, limits)
    capsule = float(params["capsule_ul_per_kpa"])
    if capsule > 0.0:
        yield _capsule(record, params, line, capsule)


def _capsule(record: RigRecord, params: Mapping[str, Any], line: line_check.Compliance, capsule: float) -> Check:
    name, title, unit = "capsule", "Compliance of the capsule", "%"
    try:
        ramp = record.good("outlet_pressure", "capsule-ramp")
        begin, end = float(ramp.t[0]), float(ramp.t[-1])
        used = ramp.within(begin + RAMP_FROM * (end - begin), end)
        syringe = syringe_u_percent(record)
        rate = syringe_gain(record) * float(params["injection_ul_per_h"])
        both = line_check.compliance(used.t, used.values, rate, syringe)
    except RecordError as error:
        return _unmeasured(name, title, unit, str(error))
    found = both.ul_per_kpa - line.ul_per_kpa
    # Both injections are of one syringe pump: its error is the same share of the difference.
    scatter = math.hypot(
        math.sqrt(max(0.0, both.u_ul_per_kpa**2 - (both.ul_per_kpa * syringe / 100.0) ** 2)),
        math.sqrt(max(0.0, line.u_ul_per_kpa**2 - (line.ul_per_kpa * syringe / 100.0) ** 2)),
    )
    u = math.hypot(100.0 * scatter / capsule, syringe, CAPSULE_CERTIFICATE_PERCENT)
    limits = _within(float(params["capsule_error_percent"]))
    return _judged(name, title, unit, 100.0 * (found / capsule - 1.0), u, limits)


def _leak(record: RigRecord, params: Mapping[str, Any]) -> Iterator[Check]:
    name, title, unit = "leak", f"Leak of the needle valve at {float(params['proof_kpa']):g} kPa", "%"
    try:
        _, loss = _line(record, params)
    except RecordError as error:
        yield _unmeasured(name, title, unit, str(error))
        return
    known = float(params["leak_ul_per_h"])
    u = math.hypot(100.0 * loss.u_ul_per_h / known, NEEDLE_CERTIFICATE_PERCENT)
    yield _judged(
        name, title, unit, 100.0 * (loss.ul_per_h / known - 1.0), u, _within(float(params["leak_error_percent"]))
    )


# -------------------------------------------------------------------------------------------------------- the stops


def _e_stop(record: RigRecord, params: Mapping[str, Any]) -> Iterator[Check]:
    """The run has to be stopped by the emergency stop, in time, and every order of the safe state confirmed."""
    run = record.run
    wanted = str((run.station.get("protection") or {}).get("e_stop") or "e-stop")
    trips = [event for event in run.records("interlock") if event.fields["name"] == wanted]
    begun = [(trip, safe) for safe in run.records("safe-state") for trip in trips if trip.text == safe.fields["cause"]]
    stopped = bool(begun) and run.status is Status.STOPPED_BY_INTERLOCK
    title = "Emergency stop stops the run"
    yield _judged("e-stop", title, "1", float(stopped), 0.0, Limits(1.0, None, SOURCE))
    if not stopped:
        return
    trip, safe = begun[0]
    # The trip is recorded when its steps are done, so those come before it.
    said = _answers([event for event in run.records("confirm") if event.t >= safe.t])
    yield _in_time(record, trip, said, Limits(None, float(params["reaction_s"]), SOURCE))
    done = sum(bool(event.fields["confirmed"]) for event in said)
    limits = Limits(max(1, len(said)), None, SOURCE)
    yield _judged("e-stop-confirmed", "Orders of the safe state confirmed", "1", float(done), 0.0, limits)


def _answers(said: Sequence[Event]) -> list[Event]:
    """What became of each order: one that did not answer in its time, and did so later, was confirmed then."""
    late = {str(event.fields["what"]).removesuffix(", late") for event in said if event.fields["confirmed"]}
    return [
        event
        for event in said
        if event.fields["confirmed"] or str(event.fields["what"]).partition(": not confirmed")[0] not in late
    ]


def _in_time(record: RigRecord, trip: Event, said: Sequence[Event], limits: Limits) -> Check:
    """From the contact to the last order of the safe state.

    Notes
    -----
    The ordered steps of the station's safe state are those that tell how long they took; every instrument's own safe
    state follows.  Where the ordered steps leave out the syringe pump, it goes on pushing until the latter.
    """
    name, title = "e-stop-reaction", "From the contact to the last order of the safe state"
    pusher = record.run.roles["pusher"].partition(".")[0]
    ordered = [event for event in said if event.fields.get("took_s") is not None]
    if not any(str(event.fields["what"]).startswith(f"{pusher}:") for event in ordered):
        ordered = list(said)
    unsure = [str(event.fields["what"]) for event in ordered if not event.fields["confirmed"]]
    if unsure or not ordered:
        return _unmeasured(name, title, "s", "; ".join(unsure) or "nothing of the safe state is in the record")
    try:
        closed_s, u = _contact(record.run, trip)
    except RecordError as error:
        return _unmeasured(name, title, "s", str(error))
    ended_s = max(event.t if event.fields.get("done_s") is None else float(event.fields["done_s"]) for event in ordered)
    check = _judged(name, title, "s", ended_s - closed_s, u, limits)
    asked = f"the input is read every {u * math.sqrt(12.0):.2g} s, which is most of U"
    return replace(check, note=asked if check.verdict is Verdict.NOT_CAPABLE else "")


def _contact(run: Run, trip: Event) -> tuple[float, float]:
    """When the contact was pressed, and the standard uncertainty: at any moment between two samples of its input."""
    channel, value, seen_s = (trip.fields.get(key) for key in ("channel", "value", "sample_s"))
    if value is None or seen_s is None:
        raise RecordError("the input of the emergency stop fell silent; nobody saw it pressed")
    try:
        shown = run.series(str(channel)).good()
    except RunError as error:
        raise RecordError(str(error)) from None
    before = shown.t[(shown.t < seen_s) & (shown.values != value)]
    if not before.size:
        raise RecordError("the input of the emergency stop was never seen before it was pressed")
    since_s = float(seen_s) - float(before[-1])
    return float(seen_s) - since_s / 2.0, since_s / math.sqrt(12.0)


def _relief(record: RigRecord, params: Mapping[str, Any]) -> Iterator[Check]:
    name, title, unit = "relief", "Relief valve opens", "kPa"
    answer = record.run.answers.get("opens-at")
    if answer is None:
        yield _unmeasured(name, title, unit, "nobody entered where it opens")
        return
    # What bounds every driven line is what the station file says, so that is what has to be true.
    protection = (record.run.station.get("protection") or {}).get("relief_kpa")
    stated, source = (float(params["relief_kpa"]), SOURCE) if protection is None else (float(protection), PROTECTION)
    half = stated * float(params["relief_error_percent"]) / 100.0
    limits = Limits(stated - half, stated + half, source)
    yield _judged(name, title, unit, float(answer), float(params["gauge_u_kpa"]), limits)


def _watchdog(record: RigRecord, params: Mapping[str, Any]) -> Iterator[Check]:
    title = "From a pulled plug to released valves"
    answer = record.run.answers.get("falls-back-after")
    if answer is None:
        yield _unmeasured("watchdog", title, "s", "nobody entered the time")
        return
    limits = Limits(None, float(params["watchdog_s"]), SOURCE)
    yield _judged("watchdog", title, "s", float(answer), float(params["stopwatch_u_s"]), limits)
    safe = float(record.run.answers.get("all-safe") == "yes")
    yield _judged("watchdog-safe", "Every valve on its safe side", "1", safe, 0.0, Limits(1.0, None, SOURCE))
