"""The verdict of a rig check: eight parts, each against the limits in the station file, each failure with its cause."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from data.checks import Axis, Check, Curve, Evaluation, Limits, Status, Verdict
from data.run import Run
from protocols.analysis.flow_budget import LINE_EXPANSION_PER_K
from protocols.analysis.rig import RecordError
from protocols.analysis.rig import balance as balance_check
from protocols.analysis.rig import line as line_check
from protocols.analysis.rig.judging import at_most, judged, told, unmeasured, within
from protocols.analysis.rig.record import RigRecord
from protocols.analysis.rig.weighed_flow import (
    evaporation,
    flow,
    syringe_gain,
    syringe_u_percent,
    walk_mg_per_h,
    warmed_mg_per_h,
)
from protocols.analysis.standing import of_a_run_cut_off

SPANS = (0, 50, 100)

HEIGHT_U_MM = 2.0
HELD = 0.5
"""A closed line that keeps less than this share of the proof pressure has let go; what is left shows no leak."""

RAMP_FROM = 0.1
"""The ramp is used from this share of it on: valve and plunger have settled."""


def evaluate(run: Run) -> Evaluation:
    """Judge a rig check; a part that was not recorded, or not long enough, is not-measured."""
    limits = run.station.get("rig_check")
    if not limits:
        note = "the station file has no table [rig_check], so nothing says what this rig must keep"
        return Evaluation((unmeasured("rig-check", "Rig check", "1", note),))
    record = RigRecord(run, limits)
    values: dict[str, float] = {}
    curves: list[Curve] = []
    parts: tuple[Callable[[RigRecord, dict[str, float], list[Curve]], Iterator[Check]], ...] = (
        _settings,
        _weighings,
        _quiet,
        _transducers,
        _line,
        evaporation,
        flow,
        _bath,
    )
    checks = [check for part in parts for check in part(record, values, curves)]
    if run.status is not Status.COMPLETED:
        checks = [of_a_run_cut_off(check) for check in checks]
    return Evaluation(tuple(checks), tuple(curves), (), values)


# -------------------------------------------------------------------------------------------------- 1, 2: balance


def _settings(record: RigRecord, values: dict[str, float], curves: list[Curve]) -> Iterator[Check]:
    """What the balance itself says of its automatic zero and adjustment."""
    name, title = "balance-settings", "Balance settings"
    found = [event.fields for event in record.run.records("settings") if event.fields.get("key") == "balance-settings"]
    if not found:
        yield unmeasured(name, title, "1", "the balance's settings were not read back")
        return
    wrong = str(found[-1].get("problems") or "")
    yield judged(name, title, "1", float(bool(wrong)), 0.0, at_most(0.0), wrong)


def _weighings(record: RigRecord, values: dict[str, float], curves: list[Curve]) -> Iterator[Check]:
    limits, count = record.limits, int(record.run.params["weighings"])
    try:
        empty, loaded = (
            [balance_check.latest(one.t, one.values) for one in (record.good("reference_mass", at) for at in phases)]
            for phases in (
                [f"empty-{k}" for k in range(1, count + 2)],
                [f"loaded-{k}" for k in range(1, count + 1)],
            )
        )
        found = balance_check.weighings(empty, loaded, limits["weight_mg"])
    except RecordError as error:
        yield unmeasured("balance-error", "Balance error", "mg", str(error))
        return
    u = math.hypot(found.u_mg, limits["weight_u_mg"])
    cause = "the balance is out of adjustment, or the weight is not the one in the station file"
    if abs(found.error_mg) > 0.001 * limits["weight_mg"]:
        cause = "the weight on the pan is not the one in the station file"
    half, title = within(limits["weight_error_mg"]), f"Balance error at {limits['weight_mg'] / 1000.0:g} g"
    check = judged("balance-error", title, "mg", found.error_mg, u, half, cause, found.dof)
    yield told(check, u, "take a weight with a better certificate, or put it on more often")
    yield judged(
        "balance-settled",
        "Scatter of the balance's readings under one load",
        "mg",
        found.reading_sd_mg,
        0.0,
        at_most(limits["weight_sd_mg"]),
        "the pan had not come to rest before the load was changed: a draft, or the shield was open",
    )
    u_sd = found.sd_mg / math.sqrt(2.0 * found.dof)
    yield judged(
        "balance-repeatability",
        "Balance repeatability",
        "mg",
        found.sd_mg,
        u_sd,
        at_most(limits["weight_sd_mg"]),
        "the balance does not repeat: vibration, a draft, or something touches the pan",
    )
    values["balance_reading_sd_mg"] = found.reading_sd_mg


def _quiet(record: RigRecord, values: dict[str, float], curves: list[Curve]) -> Iterator[Check]:
    limits = record.limits
    try:
        series = record.weighed("quiet")
        found = balance_check.quiet(series.t, series.values, record.balance["readability_mg"])
    except RecordError as error:
        yield unmeasured("balance-noise", "Balance noise", "mg", str(error))
        return
    noisy = "vibration or a draft; close the shield, look for pumps and fans on the table"
    yield judged("balance-noise", "Balance noise", "mg", found.rms_mg, 0.0, at_most(limits["quiet_rms_mg"]), noisy)
    named = "balance-wander", "Allan deviation at 100 s", "mg"
    at_100 = found.allan_mg[found.allan_s == 100.0]
    if at_100.size:
        wander = "the zero wanders: warm-up, temperature, or an open shield"
        yield judged(*named, float(at_100[0]), 0.0, at_most(limits["quiet_allan_mg"]), wander)
    else:
        yield unmeasured(*named, "it takes a quiet record of 5 min, read at least each 100 s")
    walk = walk_mg_per_h(record, float(series.t[-1] - series.t[0]))
    u_drift = math.hypot(found.u_drift_mg_per_h, walk, warmed_mg_per_h(record, "quiet"))
    drift = "the balance drifts, or the vessel loses mass: warm-up, temperature, a dry evaporation trap"
    yield judged(
        "balance-drift",
        "Balance drift",
        "mg/h",
        found.drift_mg_per_h,
        u_drift,
        within(math.hypot(limits["quiet_drift_mg_per_h"], 3.0 * u_drift)),
        drift,
    )
    spikes = "drafts or knocks; close the shield and keep away"
    yield judged(
        "balance-spikes", "Spikes", "1", float(found.spikes), 0.0, at_most(float(limits["quiet_spikes"])), spikes
    )
    axis = Axis("averaging_time", "s", found.allan_s)
    curves.append(Curve("allan", "Allan deviation of the balance", axis, (Axis("deviation", "mg", found.allan_mg),)))


# ---------------------------------------------------------------------------------------------- 3: transducers


def _transducers(record: RigRecord, values: dict[str, float], curves: list[Curve]) -> Iterator[Check]:
    yield from _zero(record, values)
    limits = record.limits
    try:
        reference = np.array([record.mean("controller_pressure", f"span-{percent}") for percent in SPANS])
        indicated = np.array([record.mean("outlet_pressure", f"span-{percent}") for percent in SPANS])
        found = line_check.span(reference, indicated, record.u("controller_pressure", float(reference[-1])))
    except RecordError as error:
        yield unmeasured("transducer-span", "Outlet transducer, span", "%", str(error))
        return
    cause = "the transducer's gain is wrong: check its scaling in the station file, or have it calibrated"
    if found.gain_error_percent < -50.0:
        cause = "the pressure of the controller did not reach the transducer: a closed valve or a blocked line"
    half, off, u = within(limits["span_percent"]), found.gain_error_percent, found.u_gain_percent
    check = judged("transducer-span", "Outlet transducer, span", "%", off, u, half, cause)
    yield told(check, u, "give the pressures longer to settle, or take a better reference")
    span_kpa = float(np.ptp(reference))
    yield judged(
        "transducer-linearity",
        "Outlet transducer, off a straight line",
        "kPa",
        found.nonlinearity_kpa,
        record.u("controller_pressure", float(reference[-1])),
        at_most(limits["span_percent"] / 100.0 * span_kpa),
        "the pressures lie on no straight line: the transducer is bent, or one of them had not settled",
    )
    curves.append(
        Curve(
            "span",
            "Outlet transducer against the controller",
            Axis("reference", "kPa", reference),
            (Axis("indicated", "kPa", indicated),),
        )
    )


def _zero(record: RigRecord, values: dict[str, float]) -> Iterator[Check]:
    """The vented reading, and the height at which it was taken against the one in the station file."""
    name, title, limits = "transducer-zero", "Outlet transducer, zero", record.limits
    believed_mm = record.run.channels[record.run.roles["outlet_pressure"]].height_mm
    measured = record.run.answers.get("height")
    if measured is None:
        yield unmeasured("transducer-height", "Outlet transducer, height", "mm", "nobody measured it")
    else:
        off_mm = float(measured) - believed_mm
        worth_mm = limits["zero_kpa"] / line_check.head_kpa(1.0, record.fluid_mg_per_ul)
        yield judged(
            "transducer-height",
            "Outlet transducer, height",
            "mm",
            off_mm,
            HEIGHT_U_MM,
            within(worth_mm),
            f"the transducer stands {float(measured):g} mm above the outlet, not {believed_mm:g} mm as the station "
            "file says: wrong height",
        )
    try:
        shown = record.mean("outlet_pressure", "vented")
    except RecordError as error:
        yield unmeasured(name, title, "kPa", str(error))
        return
    height_mm = believed_mm if measured is None else float(measured)
    zero = shown + line_check.head_kpa(height_mm, record.fluid_mg_per_ul)
    values["outlet_zero_kpa"] = zero
    u = math.hypot(record.u("outlet_pressure"), line_check.head_kpa(HEIGHT_U_MM, record.fluid_mg_per_ul))
    cause = "the transducer's zero has moved; zero it, or the vent did not open"
    check = told(
        judged(name, title, "kPa", zero, u, within(limits["zero_kpa"]), cause),
        u,
        "have the transducer calibrated better",
    )
    used = shown + line_check.head_kpa(believed_mm, record.fluid_mg_per_ul)
    if check.verdict is Verdict.PASS and abs(used) > limits["zero_kpa"]:
        both = "zero and height together are beyond it: measure the height again, and enter it in the station file"
        note = f"by the station file's height of {believed_mm:g} mm it is {used:.2g} kPa; {both}"
        check = replace(check, verdict=Verdict.FAIL, note=note)
    yield check


# ------------------------------------------------------------------------------------------------ 4, 5: the line


def _line(record: RigRecord, values: dict[str, float], curves: list[Curve]) -> Iterator[Check]:
    limits = record.limits
    try:
        found = _compliance(record)
    except RecordError as error:
        yield unmeasured("compliance", "Rig compliance", "uL/kPa", str(error))
        yield unmeasured("rig-leak", "Rig leak", "uL/h", "the compliance is not known")
        return
    usual, band = limits["compliance_ul_per_kpa"], limits["compliance_band_ul_per_kpa"]
    excess = found.ul_per_kpa - usual
    proof_kpa = float(record.run.params["proof_kpa"])
    cause = f"softer than the rig is: about {line_check.air_ul(excess, proof_kpa):.0f} uL of air in the line"
    if excess < 0.0:
        cause = "stiffer than the rig is: a part of the line was shut off or changed"
    values["compliance_ul_per_kpa"] = found.ul_per_kpa
    around = Limits(usual - band, usual + band, "station file, rig_check")
    check = judged("compliance", "Rig compliance", "uL/kPa", found.ul_per_kpa, found.u_ul_per_kpa, around, cause)
    yield told(check, found.u_ul_per_kpa, "take a syringe pump with a better certificate")
    try:
        loss = _leak(record, found)
    except RecordError as error:
        yield unmeasured("rig-leak", "Rig leak", "uL/h", str(error))
        return
    cause = "the closed line loses fluid: a fitting, a valve or the septum leaks"
    if loss.pressure_kpa < HELD * proof_kpa:
        loss = _emptied(record, found, loss)
        cause = f"only {loss.pressure_kpa:.3g} kPa were left to record: the line lets go, or a valve opened"
    elif loss.ul_per_h < 0.0:
        cause = "the closed line gains fluid, which hides a leak: the pump under test runs, or the syringe pump creeps"
    title, half = f"Rig leak at {loss.pressure_kpa:.0f} kPa", within(limits["leak_ul_per_h"])
    check = judged("rig-leak", title, "uL/h", loss.ul_per_h, loss.u_ul_per_h, half, cause)
    yield told(check, loss.u_ul_per_h, "record the decay for longer")
    decay = record.good("outlet_pressure", "decay")
    thin = slice(None, None, max(1, len(decay) // 2000))
    curves.append(
        Curve(
            "decay",
            "Pressure of the closed line",
            Axis("time", "s", decay.t[thin]),
            (Axis("pressure", "kPa", decay.values[thin]),),
        )
    )


def _compliance(record: RigRecord) -> line_check.Compliance:
    ramp = record.good("outlet_pressure", "ramp")
    begin, end = float(ramp.t[0]), float(ramp.t[-1])
    used = ramp.within(begin + RAMP_FROM * (end - begin), end)
    rate = syringe_gain(record) * float(record.run.params["injection_ul_per_h"])
    return line_check.compliance(used.t, used.values, rate, syringe_u_percent(record))


def _leak(record: RigRecord, found: line_check.Compliance) -> line_check.Leak:
    decay = record.good("outlet_pressure", "decay")
    record.insist_on_whole("decay")  # tubing that still creeps would look like a leak
    line_check.living(decay.values)
    volume_ul = float(record.run.station["collection"]["dead_volume_ul"])
    warming, u_warming = 0.0, 0.1
    if record.run.has("room_temperature"):
        room = record.good("room_temperature", "decay")
        fit = line_check.straight_line(room.t, room.values)
        half_s = (decay.t[-1] - decay.t[0]) / 2.0
        # The line follows the room late: half of the room's change is known, as much is not.
        warming, u_warming = 0.5 * fit.slope * half_s, max(0.01, 0.5 * abs(fit.slope) * half_s)
    return line_check.leak(decay.t, decay.values, found, warming, u_warming, volume_ul, LINE_EXPANSION_PER_K)


def _emptied(record: RigRecord, found: line_check.Compliance, left: line_check.Leak) -> line_check.Leak:
    """What a line lost an hour that had lost most of its pressure before the record by which a leak is told."""
    ramp, decay = record.good("outlet_pressure", "ramp"), record.good("outlet_pressure", "decay")
    hours = float(decay.t[-1] - ramp.t[-1]) / 3600.0
    lost_ul = found.ul_per_kpa * (float(ramp.values[-1]) - left.pressure_kpa)
    u_ul = lost_ul * found.u_ul_per_kpa / found.ul_per_kpa
    return line_check.Leak(lost_ul / hours, abs(u_ul) / hours, left.pressure_kpa)


# ------------------------------------------------------------------------------------------------------ 8: the bath


def _bath(record: RigRecord, values: dict[str, float], curves: list[Curve]) -> Iterator[Check]:
    name, title, unit = "bath", "Bath temperature", "degC"
    params = record.run.params
    met = [event.fields for event in record.run.records("condition") if event.fields.get("phase") == "bath"]
    try:
        last = record.good("bath_temperature", "bath")
    except RecordError as error:
        yield unmeasured(name, title, unit, str(error))
        return
    tail = last.within(float(last.t[-1]) - float(params["soak_s"]), float(last.t[-1]) + 1.0)
    mean = math.fsum(tail.values.tolist()) / len(tail)
    limits = Limits(float(params["bath_low_degc"]), float(params["bath_high_degc"]), "procedure")
    cause = "the bath does not hold its temperature: its heater is off, or it has not had time"
    check = judged(name, title, unit, mean, record.u("bath_temperature"), limits, cause)
    if not met and check.verdict is Verdict.PASS and record.run.status is Status.COMPLETED:
        check = replace(check, verdict=Verdict.FAIL, note="the bath did not stay within its band: " + cause)
    yield check
