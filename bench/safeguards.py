"""Before anything moves: whether the bench can go safe, by itself and by what it is built of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.findings import Finding
from bench.last_stop import unlatched_stop
from bench.latch import LatchError, latches_of
from bench.ordered import steps_for
from bench.protection import Protection, too_short
from bench.resting import spacing
from bench.station import OpenStation
from instruments.capabilities import PressureController, SyringePump, Valve
from instruments.instrument import Buffered
from protocols.interlock import Interlock
from protocols.steps import (
    AwaitSyringe,
    Condition,
    HaltSyringe,
    Infuse,
    IsolatePressure,
    MoveValve,
    Phase,
    SetPressure,
    SetValve,
    StartDelivery,
    Step,
    VentPressure,
    Withdraw,
)

LATCHED = "latched"
"""Code of the finding that a named person resets by overriding it."""


@dataclass(frozen=True)
class Bench:
    """What is looked at.

    Parameters
    ----------
    interlocks : the station's and the procedure's.
    """

    opened: OpenStation
    roles: Mapping[str, str]
    steps: Sequence[Step]
    interlocks: Sequence[Interlock]

    @property
    def protection(self) -> Protection:
        """What the station file says; nothing where it has no such table."""
        return self.opened.station.protection or Protection.model_validate({})

    @property
    def phases(self) -> set[str]:
        """Every phase of the plan."""
        return {step.name for step in self.steps if isinstance(step, Phase | Condition)}

    def having(self, capability: type[Any]) -> list[str]:
        """Names of the instruments that can be commanded so."""
        return [name for name, instrument in self.opened.instruments.items() if isinstance(instrument, capability)]

    def interlock(self, name: str) -> Interlock:
        """An interlock of the station by its name."""
        return next(each for each in self.opened.interlocks if each.name == name)


def safeguards(bench: Bench) -> Iterator[Finding]:
    """Everything that speaks against the run."""
    for check in (_latched, _arming, _outages, _safe_state, _hold, _e_stop):
        yield from check(bench)
    if bench.having(SyringePump) or bench.having(PressureController):
        missing = list(_protection(bench))
        yield from missing
        if not missing:
            yield from _pushers(bench)
    yield from _supply(bench)
    yield from _stands_open(bench)


# ------------------------------------------------------------------------------------------------- interlocks


def _latched(bench: Bench) -> Iterator[Finding]:
    """What stopped or held an earlier run, and was not reset by a person."""
    station = bench.opened.station
    try:
        latches = latches_of(station)
        standing = [] if latches is None else latches.standing()
        unlatched = None if latches is None else unlatched_stop(station.name, latches)
    except (LatchError, OSError) as error:
        yield Finding("latches", "blocks", str(error))
        return
    for latch in standing:
        when = f" on {latch.utc.replace('T', ' ')[:16]} UTC" if latch.utc else ""
        said = latch.cause.removeprefix(f'interlock "{latch.interlock}": ')
        text = f'interlock "{latch.interlock}" acted{when} and nobody has reset it since: {said}'
        yield Finding(LATCHED, "blocks", f'station "{station.name}": {text}; find its cause')
    if unlatched is not None and latches is not None:
        text = f"run {unlatched.number} was {unlatched.how} by an interlock and nobody has reset it since"
        why = "its disk did not take that, the run's process ended before, or it was replaced"
        lost = f"{latches.file} does not know of it, since {why}"
        advice = f"find its cause, see {unlatched.record}"
        yield Finding(LATCHED, "blocks", f'station "{station.name}": {text}; {lost}; {advice}')


def _arming(bench: Bench) -> Iterator[Finding]:
    """Interlocks of one name, and those that wait for a phase that does not come."""
    names = [interlock.name for interlock in bench.interlocks]
    for name in sorted({name for name in names if names.count(name) > 1}):
        text = f'the station and the protocol both have an interlock "{name}"'
        yield Finding("interlocks", "blocks", f"{bench.opened.path}: {text}; give the station's another name")
    for interlock in bench.interlocks:
        if interlock.phases and not bench.phases & set(interlock.phases):
            text = f'interlock "{interlock.name}" is not armed in this run, which has no phase'
            yield Finding("arming", "tells", f"{text} {' or '.join(interlock.phases)}")


def _outages(bench: Bench) -> Iterator[Finding]:
    """A protocol's own interlock that finds a sound channel lost; that of a station is refused as its file is read."""
    for interlock in bench.interlocks:
        target = bench.roles.get(interlock.channel, interlock.channel)
        instrument = bench.opened.instruments.get(target.partition(".")[0])
        spacing_s = 0.0 if instrument is None else spacing(instrument)
        if short := too_short(target, interlock.max_outage_s, spacing_s):
            yield Finding("interlocks", "blocks", f'{bench.opened.path}: interlock "{interlock.name}": {short}')


def _hold(bench: Bench) -> Iterator[Finding]:
    """A hold ends what goes on by itself: it may last until somebody comes in the morning."""
    holding, path = [interlock.name for interlock in bench.interlocks if interlock.action == "hold"], bench.opened.path
    if not holding:
        return
    steps = bench.opened.station.hold
    if not steps:
        text = f'interlock "{holding[0]}" holds, but there is no [[hold]], so it only makes the run wait'
        yield Finding("hold", "warns", f"{path}: {text}; list what vents the line, in order")
        return
    ended = {step.instrument for step in steps}
    for capability, goes_on, do in (
        (SyringePump, "pushes on", '"halt"'),
        (PressureController, "regulates on", '"vent" or "isolate"'),
    ):
        for name in bench.having(capability):
            if name not in ended:
                text = f'interlock "{holding[0]}" holds, but {name} {goes_on} until somebody resets it'
                yield Finding("hold", "warns", f"{path}: {text}; add a step to [[hold]] with do = {do}")


def _e_stop(bench: Bench) -> Iterator[Finding]:
    """A real bench that drives something has an emergency stop that the run hears of."""
    opened = bench.opened
    driven = [*_valved(bench), *bench.having(SyringePump), *bench.having(PressureController)]
    named = bench.protection.e_stop
    if named is not None:
        yield from _always_stops(bench, bench.interlock(named))
    elif driven and opened.station.real:
        text = f"{', '.join(driven)} can be driven, but there is no emergency stop"
        advice = "wire it to an input, watch that by an interlock, and name it in [protection] as e_stop"
        yield Finding("e-stop", "warns", f"{opened.path}: {text}; {advice}")


def _always_stops(bench: Bench, e_stop: Interlock) -> Iterator[Finding]:
    """The emergency stop's interlock acts whenever it is pressed, and when nobody can tell."""
    wrong = {
        'neither stops nor holds; write action = "stop"': not e_stop.latches,
        'is not armed always; write armed = "always"': e_stop.armed != "always",
        "may lose its channel; give it a max_outage": e_stop.max_outage_s is None,
    }
    for text in (text for text, so in wrong.items() if so):
        said = f'interlock "{e_stop.name}", the emergency stop, {text}'
        yield Finding("e-stop", "blocks", f"{bench.opened.path}: {said}")


# ------------------------------------------------------------------------------------------------- safe state


def _valved(bench: Bench) -> list[str]:
    return [name for name in bench.having(Valve) if getattr(bench.opened.instruments[name], "valve_names", ()) != ()]


def _safe_state(bench: Bench) -> Iterator[Finding]:
    valves = _valved(bench)
    if valves and not bench.opened.station.safe_state:
        text = f"{', '.join(valves)} moves valves, but there is no [[safe_state]]; list where each valve goes, in order"
        yield Finding("safe-state", "warns", f"{bench.opened.path}: {text}")


# ------------------------------------------------------------------------- where software is too slow


def _protection(bench: Bench) -> Iterator[Finding]:
    """A pusher or a pressure controller needs a relief valve, and a vent that is open without current."""
    stated, path = bench.protection, bench.opened.path
    driving = ", ".join([*bench.having(SyringePump), *bench.having(PressureController)])
    needed = {
        "relief": stated.relief_kpa is not None,
        "relief_valve": bool(stated.relief_valve),
        "vent": stated.vent is not None,
        "proof": stated.proof_kpa is not None,
        "compliance": stated.compliance_ul_per_kpa is not None or not bench.having(SyringePump),
    }
    if missing := [key for key, there in needed.items() if not there]:
        text = f"{driving} can burst a line faster than software stops it; state {', '.join(missing)} in [protection]"
        yield Finding("protection", "blocks", f"{path}: {text}")
        return
    assert stated.vent is not None
    assert stated.relief_kpa is not None
    assert stated.proof_kpa is not None
    yield from _vent(bench, stated.vent)
    if stated.relief_kpa > stated.proof_kpa:
        text = f"the relief valve opens at {stated.relief_kpa:g} kPa, but the line holds {stated.proof_kpa:g} kPa"
        yield Finding("protection", "blocks", f"{path}: {text}; take a lower one")
    if bench.having(SyringePump):
        yield from _limit(bench, stated.relief_kpa)
    elif stated.interlock is not None:
        yield from _sees(bench, bench.interlock(stated.interlock))


def _vent(bench: Bench, vent: str) -> Iterator[Finding]:
    """The vent is open without current, and every safe state takes its current away."""
    opened = bench.opened
    name, _, valve = vent.partition(".")
    line = getattr(opened.instruments[name].settings, "valves", {}).get(valve)
    if getattr(line, "normally", "open") != "open":
        text = f'the vent "{vent}" is closed without current, so a power cut closes the line'
        yield Finding("protection", "blocks", f'{opened.path}: {text}; take a valve with normally = "open"')
    steps = opened.station.safe_state
    for phase in sorted({"", *(phase for step in steps for phase in step.phases)}):
        if not any(step.valve == vent and step.on is False for step in steps_for(phase, steps)):
            where = f' of phase "{phase}"' if phase else ""
            text = f'the safe state{where} does not open the vent "{vent}"; add a step with on = false'
            yield Finding("protection", "blocks", f"{opened.path}: {text}")


def _stands_open(bench: Bench) -> Iterator[Finding]:
    """A vent that is open without current takes the pump's flow, unless something closes it."""
    if not any(isinstance(step, StartDelivery | Infuse) for step in bench.steps):
        return
    opened, vents = bench.opened, {bench.protection.vent, bench.roles.get("vent")}
    moved = {bench.roles.get(step.role) for step in bench.steps if isinstance(step, MoveValve | SetValve)}
    for vent in sorted(vents - moved - {None}, key=str):
        name, _, valve = str(vent).partition(".")
        line = getattr(opened.instruments[name].settings, "valves", {}).get(valve)
        last = [step.on for step in opened.station.ready if step.valve == vent]
        if getattr(line, "normally", "closed") == "open" and last[-1:] != [True]:
            text = f'the vent "{vent}" is open without current and nothing closes it, so the flow may take that way'
            yield Finding("vent", "warns", f'{opened.path}: {text}; add [[ready]] with valve = "{vent}", on = true')


def _supply(bench: Bench) -> Iterator[Finding]:
    """A pressure controller regulates on when the computer is gone; a valve without current takes it off the line."""
    opened = bench.opened
    controllers, supply = bench.having(PressureController), bench.protection.supply
    if not controllers:
        return
    who = f"{', '.join(controllers)} goes on regulating when the computer is gone"
    if supply is None:
        text = f"{who}; put a valve between it and the line that shuts without current, on the relay of the watchdog"
        yield Finding("supply", "warns", f"{opened.path}: {text}, and name it in [protection] as supply")
    elif not any(step.valve == supply and step.on is False for step in opened.station.safe_state):
        text = f'{who}, but the safe state does not release the valve "{supply}"; add a step with on = false'
        yield Finding("supply", "blocks", f"{opened.path}: {text}")


def _limit(bench: Bench, relief_kpa: float) -> Iterator[Finding]:
    """One interlock, on a pressure, stops the pusher before the relief valve opens."""
    stated, path = bench.protection, bench.opened.path
    candidates = _candidates(bench)
    if stated.interlock is None and len(candidates) != 1:
        found = ", ".join(interlock.name for interlock in candidates) or "none"
        text = f"which interlock stops the pusher at a high pressure? There are {found}"
        yield Finding("protection", "blocks", f"{path}: {text}; name one in [protection] as interlock")
        return
    guarding = _guarding(bench)
    if guarding not in candidates:
        text = f'interlock "{guarding.name}" does not stop or hold at a high pressure'
        yield Finding("protection", "blocks", f"{path}: {text}; name another one")
    elif guarding.high is not None and guarding.high >= relief_kpa:
        text = f'interlock "{guarding.name}" acts at {guarding.high:g} kPa, the relief valve at {relief_kpa:g} kPa'
        yield Finding("protection", "blocks", f"{path}: {text} already; lower the interlock's limit")
    else:
        yield from _sees(bench, guarding)


def _sees(bench: Bench, guarding: Interlock) -> Iterator[Finding]:
    """The interlock acts when its channel is lost, and is armed wherever something is driven."""
    path, named = bench.opened.path, f'interlock "{guarding.name}"'
    if guarding.max_outage_s is None:
        text = f"{named}, which stops the pusher, may lose its channel; give it a max_outage"
        yield Finding("protection", "blocks", f"{path}: {text}")
    if blind := _unarmed(bench.steps, guarding):
        text = f"{named} is not armed while the plan drives: {', '.join(blind)}"
        yield Finding("protection", "blocks", f'{path}: {text}; arm it there too, or write armed = "always"')


def _unarmed(steps: Sequence[Step], guarding: Interlock) -> list[str]:
    """Phases, and steps outside of any, in which a plan pushes or presses while an interlock is not armed."""
    driving, delivered, blind = set[str](), False, dict[str, None]()
    for step in steps:
        delivered = delivered or isinstance(step, StartDelivery)
        armed = guarding.armed == "always" or (guarding.armed == "delivery" and delivered)
        if isinstance(step, Infuse) or (isinstance(step, SetPressure) and step.pressure_kpa > 0.0):
            driving.add(step.role)
        elif isinstance(step, HaltSyringe | Withdraw | SetPressure | IsolatePressure | VentPressure):
            driving.discard(step.role)
        elif driving and step.most_s > 0.0 and not armed:
            if not isinstance(step, Phase | Condition):
                blind[f'step "{step}"'] = None
            elif step.name not in guarding.phases:
                blind[f'phase "{step.name}"'] = None
        if isinstance(step, AwaitSyringe):
            driving.discard(step.role)
    return list(blind)


def _candidates(bench: Bench) -> list[Interlock]:
    """Interlocks that stop or hold at a high pressure against ambient, as the relief valve has it."""

    def fits(interlock: Interlock) -> bool:
        _, channel = bench.opened.channel(interlock.channel)
        return (
            interlock.latches and interlock.high is not None and channel.unit == "kPa" and channel.reference == "gauge"
        )

    return [interlock for interlock in bench.opened.interlocks if fits(interlock)]


def _guarding(bench: Bench) -> Interlock:
    name = bench.protection.interlock
    return _candidates(bench)[0] if name is None else bench.interlock(name)


def fastest_ul_per_h(bench: Bench) -> float:
    """Flow at which the pressure does not reach the proof pressure before the interlock has stopped it.

    (P_proof − P_trip)·C / latency; the latency is the promised reaction, and one period more of a polled channel.
    """
    stated, guarding = bench.protection, _guarding(bench)
    assert stated.proof_kpa is not None
    assert stated.compliance_ul_per_kpa is not None
    assert guarding.high is not None
    instrument, _ = bench.opened.channel(guarding.channel)
    polled_s = 0.0 if isinstance(instrument, Buffered) else float(getattr(instrument, "period_s", 0.0))
    volume_ul = (stated.proof_kpa - guarding.high) * stated.compliance_ul_per_kpa
    return 3600.0 * volume_ul / (guarding.reaction_s + polled_s)


def _pushers(bench: Bench) -> Iterator[Finding]:
    """No pusher may be faster than its interlock, as the station sets it up and as the plan asks for it."""
    pushers = bench.having(SyringePump)
    if not pushers:
        return
    cap = fastest_ul_per_h(bench)
    named = _guarding(bench).name
    reach = f'interlock "{named}" can only catch {_mlh(cap)}'
    for name in pushers:
        allowed = float(getattr(bench.opened.instruments[name], "max_rate_ul_per_h", 0.0))
        if allowed > cap:
            where = f'{bench.opened.path}: instrument "{name}"'
            yield Finding("pusher", "blocks", f"{where} may push {_mlh(allowed)}, but {reach}; lower its max_rate")
    fast = [step for step in bench.steps if isinstance(step, Infuse | Withdraw) and step.rate_ul_per_h > cap]
    for step in fast[:1]:
        yield Finding("pusher", "blocks", f"the plan asks {step.role} for {_mlh(step.rate_ul_per_h)}, but {reach}")


def _mlh(flow_ul_per_h: float) -> str:
    return f"{flow_ul_per_h / 1000.0:.3g} mL/h"
