"""What the samplers watch for: interlocks, conditions that a step waits for, and the means that those compare with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench.guard import Change, Changed, Guard, Mark, Tally
from bench.station import OpenStation
from instruments.instrument import InstrumentError
from protocols.interlock import Interlock
from protocols.steps import Level, Phase, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.sampler import Sampler


@dataclass
class Flagged:
    """Samples of some channels that are not to be used, since when, and until when."""

    channels: tuple[str, ...]
    from_s: float
    to_s: float | None = None
    marks: list[Mark] = field(default_factory=list, repr=False)

    def end(self, to_s: float) -> None:
        """Samples from here on may be used again."""
        self.to_s = to_s
        for mark in self.marks:
            mark.to_s = to_s


class Watch:
    """Sets guards, tallies and marks on the samplers, with limits in the terms of each channel's indication.

    Parameters
    ----------
    roles : the procedure's roles; an interlock or condition names a role or "instrument.channel".
    steps : the plan, which says of which phases a later condition needs the mean.
    """

    def __init__(
        self, opened: OpenStation, roles: Mapping[str, str], steps: Sequence[Step], samplers: Mapping[str, Sampler]
    ) -> None:
        self._opened = opened
        self._roles = roles
        self._samplers = samplers
        self._levels = [step.until for step in steps if isinstance(step, Phase) and step.until is not None]
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._interlocks: list[tuple[Guard, Sampler]] = []
        self._conditions: list[Guard] = []
        self._suspended = False

    # -- interlocks

    def guard(self, interlock: Interlock, on_change: Changed) -> Guard:
        """Watch for an interlock, from the moment on at which it is armed."""
        guard = self._set(interlock, on_change)
        if interlock.armed != "always":
            guard.arm(math.inf)
        self._interlocks.append((guard, self.sampler(interlock)))
        return guard

    def arm(self) -> None:
        """Delivery starts: arm what waited for it."""
        self._arm(lambda interlock: interlock.armed == "delivery")

    def enter(self, phase: str) -> None:
        """A phase begins: arm what is armed in it."""
        self._arm(lambda interlock: phase in interlock.phases)

    def leave(self, phase: str) -> None:
        """A phase ends: disarm what was armed in it."""
        for guard, _ in self._interlocks:
            if phase in guard.interlock.phases:
                guard.disarm(self._opened.clock.now())

    def _arm(self, wanted: Callable[[Interlock], bool]) -> None:
        for guard, sampler in self._interlocks:
            if guard.armed_s == math.inf and wanted(guard.interlock):
                guard.arm(self._opened.clock.now() + guard.interlock.settle_s)
                sampler.look()

    def sampler(self, interlock: Interlock) -> Sampler:
        """Who samples the channel of an interlock."""
        return self._place(self._target(interlock.channel))[0]

    def unit(self, interlock: Interlock) -> str:
        """Unit of the channel of an interlock."""
        return self._opened.channel(self._target(interlock.channel))[1].unit

    # -- samples that are not to be used

    def flag(self, channels: Iterable[str], from_s: float) -> Flagged:
        """Flag samples of channels or roles; of every channel of an instrument that is named alone."""
        flagged = Flagged((), from_s)
        for target in (self._target(channel) for channel in channels):
            name, _, channel = target.partition(".")
            sampler = self._samplers.get(name)
            if sampler is None:
                continue
            names = [each.name for each in sampler.instrument.channels]
            columns = (names.index(channel),) if channel in names else tuple(range(len(names)))
            mark = Mark(from_s, columns)
            flagged.channels += tuple(f"{name}.{names[column]}" for column in columns)
            flagged.marks.append(mark)
            sampler.marks.append(mark)
        return flagged

    def flag_all(self, from_s: float) -> Flagged:
        """Flag every sample of every instrument."""
        return self.flag(self._samplers, from_s)

    # -- conditions

    def until(self, name: str, level: Level, reached: Callable[[float, float], None]) -> Callable[[], None]:
        """Watch for a level, calling ``reached`` with clock time and true value; returns what ends that."""
        limit = level.value + (self._mean(level.relative_to, level.role) if level.relative_to else 0.0)
        low, high = (None, limit) if level.side == "above" else (limit, None)

        def on_change(change: Change) -> None:
            if change.state == "outside":
                reached(change.t, change.value)

        return self.band(name, level.role, low, high, on_change)

    def band(
        self,
        name: str,
        role: str,
        low: float | None,
        high: float | None,
        on_change: Changed,
        max_outage_s: float | None = None,
    ) -> Callable[[], None]:
        """Watch for a channel that leaves a band and comes back, by samples from now on; returns what ends that.

        While the bench is held nothing is told: it is not as the step that waits describes it.
        """
        target = self._target(role)
        sampler, _ = self._place(target)
        sampler.catch_up()  # samples from before cannot meet a condition
        slew = self._slew(target)
        guard = self._set(
            Interlock(f"until {name}", role, low, high, "log", slew, max_outage_s=max_outage_s), on_change
        )
        if self._suspended:
            guard.suspend(self._opened.clock.now())
        self._conditions.append(guard)

        def end() -> None:
            self._conditions.remove(guard)
            guard.end()

        return end

    def suspend(self) -> None:
        """Let no condition be met: the bench is not as the phase describes it."""
        self._suspended = True
        for guard in tuple(self._conditions):
            guard.suspend(self._opened.clock.now())

    def restore(self) -> None:
        """Let conditions be met again, by samples from now on."""
        self._suspended = False
        for guard in tuple(self._conditions):
            guard.restore(self._opened.clock.now())
        for sampler in self._samplers.values():
            sampler.look()

    # -- means

    @contextmanager
    def averaging(self, phase: str) -> Iterator[None]:
        """Take the means of a phase that later conditions compare with, while the context lasts."""
        begun: list[tuple[Sampler, Callable[[], None]]] = []
        for role in {level.role: None for level in self._levels if level.relative_to == phase}:
            sampler, column = self._place(self._target(role))
            tally = self._tallies[(phase, role)] = Tally(column)
            sampler.catch_up()
            begun.append((sampler, sampler.count(tally)))
        try:
            yield
        finally:
            for sampler, end in begun:
                sampler.catch_up()
                end()

    def _mean(self, phase: str, role: str) -> float:
        """Mean true value of a channel in a phase that has ended."""
        target = self._target(role)
        tally = self._tallies.get((phase, role))
        if tally is None or tally.count == 0:
            name = target.partition(".")[0]
            raise InstrumentError(name, f'gave no good sample of "{role}" in phase "{phase}" to compare with')
        mean = tally.total / tally.count
        calibration = self._opened.calibration(target)
        return mean if calibration is None else calibration.corrected(mean)

    # -- small parts

    def _set(self, interlock: Interlock, on_change: Changed) -> Guard:
        """Set a guard on the channel.

        The band holds for the true value, the samples are indications: the band is carried over to them, and what is
        reported is carried back.
        """
        target = self._target(interlock.channel)
        calibration = self._opened.calibration(target)
        felt, report = interlock, on_change
        if calibration is not None:
            low, high = (
                None if limit is None else calibration.indicated(limit) for limit in (interlock.low, interlock.high)
            )
            slew = None if interlock.slew_per_s is None else interlock.slew_per_s / calibration.gain
            reset_band = interlock.reset_band / calibration.gain
            felt = replace(interlock, low=low, high=high, slew_per_s=slew, reset_band=reset_band)

            def report(change: Change) -> None:
                on_change(replace(change, value=calibration.corrected(change.value)))

        sampler, column = self._place(target)
        guard = Guard(felt, column, report, last_good_s=self._opened.clock.now())
        guard.end = sampler.watch(guard)
        return guard

    def _slew(self, target: str) -> float | None:
        """Fastest honest change of a channel, as the station's interlocks state it."""
        stated: Iterable[float] = (
            interlock.slew_per_s
            for interlock in self._opened.interlocks
            if interlock.channel == target and interlock.slew_per_s is not None
        )
        return max(stated, default=None)

    def _target(self, channel: str) -> str:
        return self._roles.get(channel, channel)

    def _place(self, target: str) -> tuple[Sampler, int]:
        instrument, channel = self._opened.channel(target)
        return self._samplers[instrument.name], list(instrument.channels).index(channel)
