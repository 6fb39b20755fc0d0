"""What an interlock does when its channel leaves its band, and until when that lasts.

``log`` and ``flag-gap`` end when the channel is back.  ``hold`` and ``stop`` are latched: a hold until a named person
resets it, a stop until a named person does so before the next run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bench.guard import Change, Guard
from bench.latch import Latches
from bench.latch_keeper import Entry, LatchKeeper
from bench.ordered import at_work
from bench.safety import Safety
from bench.sampler import Sampler
from bench.watch import Flagged, Watch
from data.samples import Quality
from instruments.clock import Clock, Event
from protocols.interlock import Action, Interlock

_BEYOND_RANGE = int(Quality.OVERLOAD | Quality.UNDERLOAD)  # which counts, whatever the number that comes with it


class Record(Protocol):
    """The run's record."""

    def __call__(self, kind: str, fields: Mapping[str, Any], *, urgent: bool = False) -> None:
        """Record something; urgent is on the disk at once."""


class Course(Protocol):
    """What an interlock may do with the run."""

    phase: str

    @property
    def ending(self) -> bool:
        """Whether the run is in its teardown, or past it: nobody could end a hold any more."""

    def stopped(self, cause: str) -> None:
        """The bench has gone safe: the run ends."""

    def failed(self, reason: str) -> None:
        """The run cannot go on: the bench goes safe, and the run ends with an error."""

    def nudge(self) -> None:
        """Have whoever waits look again."""


@dataclass
class Standing:
    """How an interlock stands.

    Attributes
    ----------
    action : what it did when it was latched; None while it is not.
    since_s : clock time of its latest crossing.
    """

    interlock: Interlock
    guard: Guard | None = None
    sampler: Sampler | None = None
    action: Action | None = None
    cause: str = ""
    since_s: float = math.nan
    flagged: Flagged | None = None

    @property
    def latched(self) -> bool:
        """Whether it waits for a person."""
        return self.action is not None


@dataclass
class _Hold:
    """A hold of the bench, from the interlock that came first to the last reset."""

    begun_by: str
    cause: str
    since_s: float
    flagged: Flagged
    ended: Event
    told: bool = False


class Interlocks:
    """Every interlock of a run.

    Parameters
    ----------
    tell : (level, text) into the run's event log.
    latches : keeps what is latched beyond the run; None where that would be no use.
    longest_hold_s : a hold that nobody ends for longer becomes a stop; virtual time would go on for ever.
    """

    def __init__(
        self,
        safety: Safety,
        watch: Watch,
        clock: Clock,
        course: Course,
        record: Record,
        tell: Callable[[str, str], None],
        latches: Latches | None = None,
        longest_hold_s: float = math.inf,
    ) -> None:
        self._safety = safety
        self._watch = watch
        self._clock = clock
        self._course = course
        self._record = record
        self._tell = tell
        self._keeper = None if latches is None else LatchKeeper(latches, clock, tell)
        self._lock = clock.lock()  # over who holds, never over a command
        self._held: _Hold | None = None
        self._longest_hold_s = longest_hold_s
        self.standing: dict[str, Standing] = {}

    def watch(self, interlock: Interlock) -> None:
        """Act on a channel from the moment on at which the interlock is armed; raises ValueError for a second name."""
        if interlock.name in self.standing:
            raise ValueError(f'two interlocks are called "{interlock.name}"; give one of them another name')
        standing = self.standing[interlock.name] = Standing(interlock)
        standing.guard = self._watch.guard(interlock, lambda change: self._changed(standing, change))
        standing.sampler = self._watch.sampler(interlock)

    @property
    def latched(self) -> tuple[str, ...]:
        """Names of the interlocks that wait for a person."""
        return tuple(name for name, standing in self.standing.items() if standing.latched)

    @property
    def guarded(self) -> list[tuple[Guard, Sampler]]:
        """Guards that hold or stop, with their samplers."""
        return [
            (standing.guard, standing.sampler)
            for standing in self.standing.values()
            if standing.interlock.latches and standing.guard is not None and standing.sampler is not None
        ]

    # -- what the samplers see

    def _changed(self, standing: Standing, change: Change) -> None:
        """A channel left its band, was lost or is back; called in the sampling worker, before anything is recorded."""
        if change.state == "back":
            self._back(standing, change)
            return
        interlock = standing.interlock
        cause = f'interlock "{interlock.name}": {self._what(interlock, change)}'
        action, acted_s, safe_s = self._act(standing, self._action(standing), cause)
        begins = math.isnan(standing.since_s)
        standing.since_s = change.t if begins else standing.since_s
        if interlock.action == "flag-gap" and standing.flagged is None:
            lost_s = standing.guard.last_good_s if change.state == "lost" and standing.guard else change.t
            standing.flagged = self._watch.flag(interlock.flags or (interlock.channel,), lost_s)
        reaction_s = acted_s - change.t
        fields = {
            "name": interlock.name,
            "channel": interlock.channel,
            "action": action,
            "state": change.state,
            "value": change.value if math.isfinite(change.value) else None,
            "sample_s": change.t,
            "reaction_s": reaction_s,
            "safe_after_s": None if safe_s is None else safe_s - change.t,
            "text": cause,
        }
        self._record("interlock", fields, urgent=standing.latched)
        if action in ("hold", "stop") and not reaction_s <= interlock.reaction_s:
            took_s = self._clock.now() - change.t if math.isnan(reaction_s) else reaction_s
            acted = "had done nothing yet" if math.isnan(reaction_s) else "acted"
            said = f'interlock "{interlock.name}" {acted} {took_s * 1000.0:.0f} ms after the sample'
            promised = f"later than the {interlock.reaction_s * 1000.0:.0f} ms that the station promises"
            self._tell("warning", f"{said}, {promised}")

    def _action(self, standing: Standing) -> Action:
        """What is to be done: a hold that nobody could end is a stop, and what is latched acts no second time.

        A reset looks at the channel under the same lock: it sees the crossing, or the crossing finds nothing latched.
        """
        with self._lock:
            action = standing.interlock.action
            if action == "hold" and self._course.ending:
                action = "stop"
            if standing.action == action or standing.action == "stop":
                return "log"
            return action

    def _act(self, standing: Standing, action: Action, cause: str) -> tuple[Action, float, float | None]:
        """Do it, and have it kept that it is latched, whatever becomes of what is done.

        Returns
        -------
        What was done, the clock time at which the first step of that was, and that at which the last step of a safe
        state was; None where not every step was confirmed, nobody waited for the last one, or nothing was to be done.
        """
        acted_s = safe_s = None
        try:
            if action == "hold":
                acted_s = self._hold(standing, cause)
                action = "stop" if self._course.ending else action  # the steps have ended just now
            if action == "stop":
                standing.action, standing.cause = action, cause
                taken = self._safety.trip(cause, self._course.phase, lambda: self._course.stopped(cause))
                if taken is not None:
                    acted_s, safe_s = taken.first_s if acted_s is None else acted_s, taken.last_s
                self._course.nudge()  # whoever waits for the end of a hold
        finally:
            if action in ("hold", "stop"):
                self._keep(standing)
        return action, self._clock.now() if acted_s is None else acted_s, safe_s

    def _back(self, standing: Standing, change: Change) -> None:
        interlock, since_s = standing.interlock, standing.since_s
        standing.since_s = math.nan
        fields = {
            "name": interlock.name,
            "channel": interlock.channel,
            "value": change.value if math.isfinite(change.value) else None,
            "sample_s": change.t,
            "lasted_s": change.t - since_s,
            "latched": standing.latched,
        }
        self._record("interlock-back", fields)
        if standing.flagged is not None:
            flagged, standing.flagged = standing.flagged, None
            self._unflag(flagged, change.t, f'interlock "{interlock.name}"')

    def _what(self, interlock: Interlock, change: Change) -> str:
        if change.state == "lost":
            return f"{interlock.channel} gave no good sample for {interlock.max_outage_s:g} s"
        unit = self._watch.unit(interlock)
        said = "" if unit == "1" else f" {unit}"
        if math.isfinite(change.value) and not change.quality & (int(interlock.quality) | _BEYOND_RANGE):
            return f"{interlock.channel} was {change.value:.6g}{said}, {_limit(interlock, change.value)}{said}"
        bits = ", ".join(bit.name.lower().replace("_", "-") for bit in Quality(change.quality) if bit.name)
        return f"{interlock.channel} was {bits or 'no number'}"

    # -- holding

    def _hold(self, standing: Standing, cause: str) -> float | None:
        """Hold the bench, or join those that hold it; the run's time stands still from now on."""
        with self._lock:
            standing.action, standing.cause = "hold", cause
            held, first = self._held, self._held is None
            if held is None:
                now = self._clock.now()
                flagged = self._watch.flag_all(now)
                self._held = held = _Hold(standing.interlock.name, cause, now, flagged, self._clock.event())
                self._watch.suspend()
        acted_s = self._safety.hold(self._course.phase, self._broke)
        if first:
            self._tell_begin(held)
            if math.isfinite(self._longest_hold_s):
                self._clock.worker("~hold", lambda: self._overdue(standing, held))
        self._course.nudge()
        return acted_s

    def _overdue(self, standing: Standing, held: _Hold) -> None:
        """Stop when nobody ends the hold in time."""
        if not self._clock.wait(held.ended, held.since_s + self._longest_hold_s):
            cause = f"{standing.cause}; nobody has reset it for {self._longest_hold_s / 3600.0:g} h"
            self._act(standing, "stop", cause)

    def reset(self, name: str, person: str, reason: str) -> str:
        """Unlatch an interlock that holds the bench, once its channel is back in its band.

        The last one ends the hold: the valves that it moved go back, and the run goes on.

        Returns
        -------
        "" when it is done, else one sentence that says why not and what to do.
        """
        standing = self.standing.get(name)
        if standing is None:
            there = ", ".join(self.standing) or "none"
            return f'there is no interlock "{name}" in this run; there are {there}'
        person, reason = person.strip(), reason.strip()
        if not person or not reason:
            return f'interlock "{name}" is reset by a named person with a reason; give both'
        with self._lock:
            if refusal := self._refusal(standing):
                return refusal
            standing.action = None
            if why := _astray(standing):  # since just now, and whoever saw that may have found it latched
                standing.action = "hold"
                return _not_back(name, why)
            last = not self._somebody_holds()
            if self._safety.cause is None:  # a stop that came meanwhile stays latched
                self._keep(standing, person, reason)
        text = f'interlock "{name}" was reset: {reason}'
        fields = {"name": name, "person": person, "reason": reason, "held": not last, "text": text}
        self._record("reset", fields, urgent=True)
        if last:
            at_work(self._clock, "~release", lambda: self._release(name, person, reason))
        return ""

    def _refusal(self, standing: Standing) -> str:
        """Why an interlock cannot be reset now, and what to do; "" where it can."""
        name = standing.interlock.name
        if not standing.latched:
            return f'interlock "{name}" is not latched; there is nothing to reset'
        if standing.action == "stop" or self._safety.cause is not None:
            return (
                f'interlock "{name}" cannot be reset in this run: the bench has gone safe, and nothing undoes that; '
                "start another run when its cause is gone"
            )
        if self._course.ending:
            return (
                f'interlock "{name}" cannot be reset any more: the run is ending, and goes safe as the bench stands; '
                "start another run when its cause is gone"
            )
        why = _astray(standing)
        return _not_back(name, why) if why else ""

    def _release(self, name: str, person: str, reason: str) -> None:
        """Body of a worker of its own, since it commands valves."""
        try:
            self._return(name, person, reason)
        except Exception as error:  # noqa: BLE001  # nobody would see it in a worker, and nobody could end the hold
            self._broke(error)

    def _broke(self, error: Exception) -> None:
        """The program itself failed."""
        self._course.failed(f"the hold cannot be done or ended: {type(error).__name__}: {error}")

    def _return(self, name: str, person: str, reason: str) -> None:
        """End the hold, unless another interlock holds the bench by now, or it goes safe meanwhile."""
        with self._lock:
            release = 0 if self._somebody_holds() else self._safety.begin_release()
        if not release:
            return
        if wrong := self._safety.put_back(release):
            self._course.failed(f"the hold cannot be ended: {wrong}")
            return
        with self._lock:
            astray = [each for each in self.standing.values() if each.interlock.action == "hold" and _astray(each)]
            if self._somebody_holds() or (not astray and not self._safety.end_release(release)):
                return
            if not astray:
                held, self._held = self._held, None
                self._watch.restore()
        if astray:
            self._hold_again(astray)
            return
        if held is not None:
            self._end_hold(held, {"interlock": name, "person": person, "reason": reason})
        self._course.nudge()

    def _hold_again(self, astray: Sequence[Standing]) -> None:
        """Hold the bench for channels that left their bands as a hold was to end; whoever saw that may come later."""
        for standing in astray:
            cause = f'interlock "{standing.interlock.name}": {_astray(standing)}'
            self._tell("warning", f"{cause}; the bench is held again")
            self._act(standing, "hold", cause)

    def _somebody_holds(self) -> bool:
        return any(standing.action == "hold" for standing in self.standing.values())

    def end(self) -> None:
        """The run ends: whatever lasts, lasts no longer."""
        self._safety.let_end()
        now = self._clock.now()
        for standing in self.standing.values():
            if standing.flagged is not None:
                self._unflag(standing.flagged, now, f'interlock "{standing.interlock.name}"')
                standing.flagged = None
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            self._end_hold(held, {"text": "the run ended"})

    def unkept(self) -> Sequence[Entry]:
        """Nothing more is latched or reset: what is not kept beyond the run, since the disk does not take it."""
        left = () if self._keeper is None else self._keeper.end()
        for name in dict.fromkeys(entry.interlock for entry in left):
            self._tell("error", f'interlock "{name}": its latch is not kept; the next run here would not ask for it')
        return left

    def _tell_begin(self, held: _Hold) -> None:
        with self._lock:
            if not held.told:
                held.told = True
                fields = {"state": "begin", "interlock": held.begun_by, "text": held.cause}
                self._record("hold", fields, urgent=True)

    def _end_hold(self, held: _Hold, fields: Mapping[str, Any]) -> None:
        held.ended.set()
        self._tell_begin(held)  # unless the run ends while the bench is being held
        now = self._clock.now()
        self._record("hold", {"state": "end", "lasted_s": now - held.since_s, **fields}, urgent=True)
        self._unflag(held.flagged, now, "hold")

    # -- small parts

    def _unflag(self, flagged: Flagged, to_s: float, why: str) -> None:
        flagged.end(to_s)
        fields = {"channels": list(flagged.channels), "from_s": flagged.from_s, "to_s": to_s, "why": why}
        self._record("disturbed", fields)

    def _keep(self, standing: Standing, person: str = "", reason: str = "") -> None:
        """Have it kept beyond the run that it is latched, or was reset, in the order in which that happens."""
        if self._keeper is None:
            return
        with self._lock:
            self._keeper.keep(standing.interlock.name, standing.cause, person, reason)


def _astray(standing: Standing) -> str:
    """How a channel stands that is not back; "" for one that is."""
    state = "back" if standing.guard is None else standing.guard.state
    if state == "back":
        return ""
    why = "gives no good sample" if state == "lost" else f"is not back, that is {_band(standing.interlock)}"
    return f"{standing.interlock.channel} {why}"


def _limit(interlock: Interlock, value: float) -> str:
    """The limit beyond which a value is; one that is at it, but for the rounding of a correction, is beyond it, too."""
    is_high = interlock.low is None or (interlock.high is not None and value > interlock.high)
    return f"above {interlock.high:g}" if is_high else f"below {interlock.low:g}"


def _not_back(name: str, why: str) -> str:
    return f'interlock "{name}" cannot be reset: {why}; remove the cause first'


def _band(interlock: Interlock) -> str:
    """What counts as back, in words."""
    low, high = interlock.inner
    sides = ("at least", low), ("at most", high)
    return " and ".join(f"{side} {limit:g}" for side, limit in sides if math.isfinite(limit)) or "its good quality"
