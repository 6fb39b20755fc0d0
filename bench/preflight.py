"""Before anything moves: what stands against this run on this station, and what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from bench import program_findings
from bench.computer import computer
from bench.findings import Finding
from bench.preflight_plan import Plan, beyond_interlocks, boluses, duration, fillings, incapable
from bench.request import Override
from bench.resting import spacing
from bench.safeguards import LATCHED, Bench, safeguards
from bench.station import OpenStation, sampled
from bench.station_tables import Calibration
from data.schedule import Schedule
from data.tomlfile import FileError
from instruments.capabilities import SyringePump
from instruments.clock import Clock
from instruments.instrument import Buffered
from protocols.procedure import Controls, Measures, Procedure
from protocols.steps import Phase, Program, StartDelivery, StopDelivery

__all__ = ["LATCHED", "OVERRIDABLE", "Finding", "PreflightError", "findings", "insist"]

HEADROOM = 1.2
"""Room that a run needs beyond what it is expected to use."""

BYTES_PER_SAMPLE = 2.2 * 10
"""Journal and run file together, for one value with its quality (the plan until a run is sealed)."""

SLOW_READING_S = 0.25
"""A small pump's motor makes some steps a second; readings farther apart miss most of them."""

MOST_DROP_KPA = 10.0
"""A line without a catheter may take as much of a forced flow; the `catheter` protocol judges by that."""

POOR = 0.1
"""A flow whose standard uncertainty is more than this share of it tells little."""

OVERRIDABLE = ("calibration", "unusual-rate", "fluid-expiry", "article", "reservoir", "disk", "rig-check", LATCHED)
"""What a named person may take upon themselves; the rest would not work or do harm.  A latch is reset so."""


class PreflightError(ValueError):
    """Findings that block the run, or an override that is none.

    Attributes
    ----------
    findings : everything that was found, what blocks and what does not.
    """

    def __init__(self, text: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(text)
        self.findings = tuple(findings)


@dataclass(frozen=True)
class _Asked:
    """Everything that a run is about."""

    procedure: Procedure
    opened: OpenStation
    roles: Mapping[str, str]
    dut: Mapping[str, Any]
    fluid: Mapping[str, Any]
    catheter: Mapping[str, Any]
    out: Path
    start: datetime
    duration_s: float

    @property
    def finish(self) -> datetime:
        """When the run is expected to end."""
        return self.start + timedelta(seconds=self.duration_s)

    @property
    def end(self) -> date:
        """Day on which the run is expected to end."""
        return self.finish.date()

    @property
    def schedules(self) -> list[Schedule]:
        return [step.schedule for step in self.procedure.steps() if isinstance(step, Program)]

    @property
    def delivering_s(self) -> float:
        """Longest time for which the pump delivers: from its start to its stop, or to the end of the run."""
        steps = list(self.procedure.steps())
        starts = [k for k, step in enumerate(steps) if isinstance(step, StartDelivery)]
        stops = [k for k, step in enumerate(steps) if isinstance(step, StopDelivery) and starts and k > starts[-1]]
        begin, end = (starts[0] if starts else 0), (stops[0] if stops else len(steps))
        return sum(step.most_s for step in steps[begin:end])


def insist(findings: Sequence[Finding], overrides: Sequence[Override]) -> None:
    """Refuse the run while a finding blocks it that nobody took upon themselves; raises PreflightError."""
    for override in overrides:
        if override.finding not in OVERRIDABLE:
            raise PreflightError(f'--override "{override.finding}": only {", ".join(OVERRIDABLE)} can be overridden')
    blocking = [
        finding
        for finding in findings
        if finding.level == "blocks" and not any(override.covers(finding) for override in overrides)
    ]
    if blocking:
        text = "; also, ".join(one.text + _unread(one, overrides) + _offer(one.code) for one in blocking)
        raise PreflightError(text, findings)


def blocking_codes(findings: Iterable[Finding]) -> frozenset[str]:
    """Codes of the findings that block a run."""
    return frozenset(finding.code for finding in findings if finding.level == "blocks")


def needless(findings: Sequence[Finding], overrides: Iterable[Override]) -> Iterator[Finding]:
    """Tell of each override that nothing stands against the run which it could mean."""
    needed = blocking_codes(findings)
    for code in dict.fromkeys(override.finding for override in overrides):
        if code not in needed:
            text = f'"{code}" was overridden, but nothing of that kind blocks the run; the override is not used'
            yield Finding("override", "tells", text)


def _unread(found: Finding, overrides: Iterable[Override]) -> str:
    """Who gave a reason for something else that was found under the same code."""
    given = next((one for one in overrides if one.finding == found.code), None)
    return "" if given is None else f' (the reason of {given.person}, "{given.reason}", was given for something else)'


def _offer(code: str) -> str:
    if code not in OVERRIDABLE:
        return ""
    return f', or start with --override {code} --person NAME --reason "..."'


def findings(
    procedure: Procedure,
    opened: OpenStation,
    roles: Mapping[str, str],
    articles: Mapping[str, Mapping[str, Any]],
    out: Path,
    clock: Clock,
) -> list[Finding]:
    """Everything that can be known before the run."""
    plan = Plan(opened, roles, articles["dut"], list(procedure.steps()))
    start = clock.utc(clock.now())
    asked = _Asked(
        procedure, opened, roles, articles["dut"], articles["fluid"], articles["catheter"], out, start, plan.most_s
    )
    beyond = [*_rates(asked), *boluses(plan)]
    if beyond:
        return beyond  # what else is wrong with such a rate follows from it
    checks = (
        _roles,
        _calibrations,
        _registered,
        _interlocks,
        _fluid,
        _pump,
        _limits,
        _weighing,
        _collection,
        _closed_line,
        _access_port,
        _sensor,
        _disk,
    )
    found = [finding for check in checks for finding in check(asked)]
    told = {(role.role, role.capability) for role in procedure.roles if isinstance(role, Controls)}
    everything = [*procedure.steps(), *procedure.teardown()]
    found += incapable(replace(plan, steps=everything), told)
    interlocks = [*opened.interlocks, *procedure.interlocks()]
    found += [*fillings(plan), *beyond_interlocks(plan)]
    found += safeguards(Bench(opened, roles, everything, interlocks))
    found += computer() if opened.station.real else ()
    found += [Finding("method", "warns", text) for text in procedure.remarks(asked.dut)]
    found.append(duration(plan, None if opened.station.simulated else asked.finish))
    return found


# ------------------------------------------------------------------------------------------------ the station


def _roles(asked: _Asked) -> Iterator[Finding]:
    """Every role is met by a channel of its dimension, or by an instrument that can be commanded so."""
    from data.quantities import same_dimension

    opened = asked.opened
    for role in asked.procedure.roles:
        target = asked.roles.get(role.role)
        if target is None:
            continue
        where = f'{opened.path}: key "roles.{role.role}"'
        if isinstance(role, Measures):
            _, channel = opened.channel(target)
            if channel.unit != role.unit and not same_dimension(channel.unit, role.unit):
                text = f"channel {target} is in {channel.unit}, but {asked.procedure.name} needs one in {role.unit}"
                yield Finding("role", "blocks", f"{where}: {text}; name another channel")
        elif not isinstance(opened.instruments[target.partition(".")[0]], role.capability):
            text = f'"{target}" is no {role.capability.__name__}, which {asked.procedure.name} needs'
            yield Finding("role", "blocks", f"{where}: {text}; name another instrument")


def _calibrations(asked: _Asked) -> Iterator[Finding]:
    """Every certificate is valid at the run's expected END; what no role and no interlock uses only warns."""
    opened, path = asked.opened, asked.opened.path
    used = {*asked.roles.values(), *(interlock.channel for interlock in opened.interlocks)}
    for name, table in opened.station.instruments.items():
        for channel, calibration in table.calibration.items():
            if calibration.due < asked.end:
                level: Literal["blocks", "warns"] = "blocks" if f"{name}.{channel}" in used else "warns"
                said = _overdue(calibration, channel, asked)
                yield Finding("calibration", level, f'{path}: instrument "{name}": {said}; renew it')
    reference = asked.roles.get("reference_mass")
    if reference is not None and opened.calibration(reference) is None:
        table_name = f"instruments.{reference.replace('.', '.calibration.')}"
        text = f'"{reference}" is the reference and has no calibration; add [{table_name}] with certificate, due and u'
        yield Finding("calibration", "blocks", f"{path}: {text}")


def _registered(asked: _Asked) -> Iterator[Finding]:
    """What the lab's register of articles says against pump, catheter, fluid and the certificates of the station."""
    from bench.articles import Kind, Used, against, lab_file, load_register

    file = lab_file(real=asked.opened.station.real)
    if file is None:
        return
    tables = asked.opened.station.instruments.items()
    certificates = {
        f"{name}.{channel}": one.certificate for name, table in tables for channel, one in table.calibration.items()
    }
    mine: dict[Kind, str] = {"dut": asked.dut["serial"], "catheter": asked.catheter["lot"], "fluid": asked.fluid["lot"]}
    try:
        said = against(load_register(file), Used(mine, certificates, asked.end, asked.dut["model"]))
    except FileError as error:
        yield Finding("article", "blocks", str(error))
        return
    for text in said:
        yield Finding("article", "blocks", f"{file}: {text}; use another one, or bring the register up to date")


def _overdue(calibration: Calibration, channel: str, asked: _Asked) -> str:
    said = f"calibration {calibration.certificate} of {channel}"
    if calibration.due < asked.start.date():
        return f"{said} was due {calibration.due}"
    return f"{said} is due {calibration.due}, before the run ends"


def _interlocks(asked: _Asked) -> Iterator[Finding]:
    opened, streams = asked.opened, sampled(asked.opened)
    for interlock in opened.interlocks:
        name = interlock.channel.partition(".")[0]
        _, channel = opened.channel(interlock.channel)
        if interlock.slew_per_s is None and isinstance(streams.get(name), Buffered) and channel.unit != "1":
            text = f'interlocks.{interlock.name} has no "slew", so {name} is read sample by sample'
            advice = "state the fastest honest change of the channel"
            yield Finding("slew", "warns", f"{opened.path}: {text}; {advice}")


def _disk(asked: _Asked) -> Iterator[Finding]:
    values = 0.0
    for instrument in sampled(asked.opened).values():
        interval = instrument.interval_s if isinstance(instrument, Buffered) else instrument.period_s
        values += asked.duration_s / interval * len(instrument.channels)
    needed = values * BYTES_PER_SAMPLE * HEADROOM
    folder = next(place for place in (asked.out.absolute(), *asked.out.absolute().parents) if place.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        text = f"the run needs about {needed / 1e9:.2f} GB, and less is free there"
        yield Finding("disk", "blocks", f"--out {asked.out}: {text}; make room, choose another folder")


# ------------------------------------------------------------------------------------- pump, fluid and vessel


def _rates(asked: _Asked) -> Iterator[Finding]:
    """Rates that the pump cannot be programmed to."""
    for schedule in asked.schedules:
        yield from program_findings.impossible(schedule, asked.dut)


def _pump(asked: _Asked) -> Iterator[Finding]:
    """Reservoir and usual range of the pump under test, and whether it can be stopped."""
    dut, model = asked.dut, asked.dut["model"]
    for schedule in asked.schedules:
        yield from program_findings.unusual(schedule, dut)
        needed, usable = schedule.expected_volume_ul(0.0, asked.delivering_s), dut["reservoir_ul"] - dut["residual_ul"]
        if needed > usable and not asked.procedure.runs_empty:
            text = (
                f"the run is expected to deliver {needed / 1000:.3g} mL, but its reservoir gives {usable / 1000:.3g} mL"
            )
            advice = "shorten the run, lower the rate"
            yield Finding("reservoir", "blocks", f"{model}: {text} above the residual volume; {advice}")
    if dut["kind"] == "gas-driven" and asked.schedules:
        text = "it delivers at the one rate of its restrictor and takes no program"
        yield Finding(
            "program", "blocks", f"{model}: {text}; record it with the protocol flow-record, or choose another pump"
        )
    if not dut["can_stop"] and any(isinstance(step, StopDelivery) for step in asked.procedure.steps()):
        text = "it cannot be stopped, but the run would stop it"
        yield Finding("pump", "blocks", f"{model}: {text}; choose another way, such as --set blank=diverter")


def _limits(asked: _Asked) -> Iterator[Finding]:
    """Without a declared limit there is no verdict."""
    keys, result = asked.procedure.limited_by() or ((), "")
    declared = asked.dut.get("limits") or {}
    if keys and not any(declared.get(key) for key in keys):
        missing = " or ".join(f"[limits.{key.replace('_', '-')}]" for key in keys)
        text = f'it declares no {missing}, so {result}, and with it the run, will be "not-measured"'
        yield Finding("limits", "warns", f"{asked.dut['model']}: {text}; add it with its source and revision")


def _fluid(asked: _Asked) -> Iterator[Finding]:
    """The fluid lasts to the end, and is what the schedule says."""
    fluid = asked.fluid
    expiry = date.fromisoformat(str(fluid["expiry"]))
    named = f"fluid {fluid['name']}, lot {fluid['lot']}"
    if expiry < asked.end:
        yield Finding("fluid-expiry", "blocks", f"{named}: it expires {expiry}, before the run ends; take a fresh lot")
    for schedule in asked.schedules:
        yield from program_findings.another_drug(schedule, fluid)


def _weighing(asked: _Asked) -> Iterator[Finding]:
    """Who weighs needs to know into what, and what a weighing is worth."""
    station, path = asked.opened.station, asked.opened.path
    if not asked.procedure.collects():
        return
    if station.collection is None:
        text = f"it has no [collection], so nothing says into what {asked.procedure.name} collects the fluid"
        yield Finding("collection", "blocks", f"{path}: {text}; add it")
    balance = asked.roles.get("reference_mass", "").partition(".")[0]
    if balance and station.instruments[balance].uncertainty is None:
        text = f'instrument "{balance}" is the reference and has no [instruments.{balance}.uncertainty]'
        yield Finding("uncertainty", "blocks", f"{path}: {text}; add it from its certificate")


def _collection(asked: _Asked) -> Iterator[Finding]:
    """What is delivered fits into the vessel and onto the balance."""
    collection, opened = asked.opened.station.collection, asked.opened
    if collection is None:
        return
    needed = max((each.expected_volume_ul(0.0, asked.delivering_s) for each in asked.schedules), default=0.0)
    needed = asked.procedure.most_collected_ul or needed
    delivered = f"the run is expected to deliver {needed / 1000:.3g} mL"
    if needed * HEADROOM > collection.vessel_capacity_ul:
        text = f"{delivered} into a vessel of {collection.vessel_capacity_ul / 1000:.3g} mL"
        yield Finding("vessel", "blocks", f"{opened.path}: {text}; use a larger vessel or shorten the run")
    balance = asked.roles.get("reference_mass", "").partition(".")[0]
    uncertainty = opened.station.instruments[balance].uncertainty if balance else None
    density = asked.fluid["density_g_per_ml"] or 1.0
    load_mg = collection.load_mg + needed * density * HEADROOM
    if uncertainty is not None and load_mg > uncertainty.capacity_mg:
        text = f"{delivered} onto a load of {collection.load_mg / 1000:.4g} g"
        holds = f"the balance holds {uncertainty.capacity_mg / 1000:.4g} g"
        yield Finding(
            "balance", "blocks", f"{opened.path}: {text}, but {holds}; use a lighter vessel or another balance"
        )


def _closed_line(asked: _Asked) -> Iterator[Finding]:
    """A valve that pushes as it closes makes a pressure of its own, in a protocol that closes the line on the pump."""
    most_ul, path, stated = asked.procedure.largest_swept_ul, asked.opened.path, asked.opened.station.closed_line
    if most_ul is None:
        return
    if stated is None:
        text = "nothing says what the outlet valve pushes into the line as it closes"
        advice = "add [closed_line] with swept_volume, from the valve's data sheet"
        yield Finding("closed-line", "blocks", f"{path}: {text}; {advice}")
    elif stated.swept_volume_ul > most_ul:
        text = f"its outlet valve pushes {stated.swept_volume_ul:g} uL into the line as it closes"
        advice = f"use a valve of at most {most_ul:g} uL"
        yield Finding(
            "closed-line", "blocks", f"{path}: {text}, which alone raises the pressure of a closed line; {advice}"
        )


def _access_port(asked: _Asked) -> Iterator[Finding]:
    """What pushes through a catheter is too large to burst it, and the plan stays within what the catheter holds."""
    smallest_ul, path = asked.procedure.smallest_syringe_ul, asked.opened.path
    if smallest_ul is None:
        return
    pumps = [role.role for role in asked.procedure.roles if getattr(role, "capability", None) is SyringePump]
    for name in [asked.roles[role] for role in pumps if role in asked.roles]:
        held_ul = getattr(asked.opened.instruments[name].settings, "volume_ul", None)
        if held_ul is None or held_ul >= smallest_ul:
            continue
        text = f"its syringe holds {held_ul / 1000:g} mL, and one of less than {smallest_ul / 1000:g} mL"
        advice = "put in a larger one and state its diameter and volume"
        yield Finding("syringe", "blocks", f'{path}: instrument "{name}": {text} can burst a catheter; {advice}')
    proof_kpa = asked.catheter.get("proof_kpa")
    planned = [step.until.value for step in asked.procedure.steps() if isinstance(step, Phase) and step.until]
    if proof_kpa is not None and max(planned, default=0.0) > proof_kpa:
        text = f"the plan goes up to {max(planned):g} kPa, but it holds {proof_kpa:g} kPa"
        yield Finding("proof", "blocks", f"catheter {asked.catheter['model']}: {text}; choose a lower proof")
    declared = (asked.catheter.get("limits") or {}).get("kink")
    smallest_mm = min(asked.procedure.radii_mm, default=0.0)
    if declared and smallest_mm > declared["radius_mm"]:
        text = f"bends of {smallest_mm:g} mm and more tell nothing of its declared {declared['radius_mm']:g} mm"
        advice = "add a mandrel of that radius to radii"
        yield Finding("mandrels", "warns", f"catheter {asked.catheter['model']}: {text} but a kink; {advice}")


def _forced(asked: _Asked, name: str, full_scale: float | None) -> Iterator[Finding]:
    """A flow that is pushed through the line passes the flow sensor, whose capillary may be too narrow for it."""
    most = max(asked.procedure.forced_ul_per_h, default=0.0)
    if full_scale is None or not most:
        return
    drop_kpa = getattr(asked.opened.instruments[name].settings, "drop_kpa", None)
    taken_kpa = 0.0 if drop_kpa is None else drop_kpa * most / full_scale
    advice = "use a sensor that is larger, or a bypass round it"
    if taken_kpa > MOST_DROP_KPA:
        text = f"{most / 1000.0:g} mL/h are pushed through its capillary, which takes {taken_kpa:.2g} kPa of it"
        yield Finding("sensor-drop", "blocks", f"{asked.opened.path}: {name}: {text}; {advice}")
    elif most > full_scale:
        text = f"{most / 1000.0:g} mL/h are pushed through it (full scale {full_scale / 1000.0:g} mL/h)"
        told = "" if drop_kpa is not None else ", and no drop says what pressure it takes"
        yield Finding("sensor-range", "warns", f"{name}: {text}: it is saturated{told}; {advice}")


def _sensor(asked: _Asked) -> Iterator[Finding]:
    """The flow sensor: read often enough, and at each rate within its range and certain enough to say something."""
    target = asked.roles.get("flow")
    if target is None:
        return
    name = target.partition(".")[0]
    kept = any(asked.procedure.rests(step.name) for step in asked.procedure.steps() if isinstance(step, Phase))
    every_s = spacing(asked.opened.instruments[name]) * (asked.opened.rests_every(name) if kept else 1)
    if "pump" in asked.roles and every_s > SLOW_READING_S:
        text = f"a reading is kept each {every_s:g} s; a pump's pulses between them show as air or as another flow"
        yield Finding("sensor-interval", "warns", f'{name}: {text}; write interval = "0.1 s" and no resting_period')
    full_scale = getattr(asked.opened.instruments[name].settings, "full_scale_ul_per_h", None)
    yield from _forced(asked, name, full_scale)
    calibration = asked.opened.calibration(target)
    u = 0.0 if calibration is None else calibration.u
    rates = {segment.rate_ul_per_h for each in asked.schedules for segment in each.segments(0.0, asked.duration_s)}
    for rate in sorted(rates - {0.0}):
        at = f"at {rate:.4g} uL/h ({rate * 0.024:.4g} mL/day)"
        if full_scale is not None and rate > full_scale:
            text = f"{at} it is saturated (full scale {full_scale:.4g} uL/h); only the balance follows"
            yield Finding("sensor-range", "warns", f"{name}: {text}")
        elif u > POOR * rate:
            text = f"{at} its zero alone is uncertain by {100.0 * u / rate:.0f} % (u); only the balance tells the flow"
            yield Finding("sensor-range", "warns", f"{name}: {text}")
