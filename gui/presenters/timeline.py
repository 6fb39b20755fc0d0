"""The course of the run: which steps are done, which one goes on and what it waits for, how long is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gui.presenters.live import Live
from gui.presenters.numbers import duration, rough_duration
from gui.presenters.run_steps import asks, awaited, is_phase, least_s, most_s, planned, words
from gui.presenters.tone import Tone

EXACT_S = 1.0
"""Two lengths that differ by less are told as one."""


class StepState(StrEnum):
    """Where a step stands."""

    DONE = "done"
    NOW = "now"
    TO_COME = "to come"
    LEFT_OUT = "left out"
    CUT_OFF = "cut off"


TONE_OF_STEP = {
    StepState.DONE: Tone.GOOD,
    StepState.NOW: Tone.BUSY,
    StepState.TO_COME: Tone.MUTED,
    StepState.LEFT_OUT: Tone.MUTED,
    StepState.CUT_OFF: Tone.WARN,
}


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step as it stands in the timeline."""

    index: int
    title: str
    state: StepState
    planned: str
    took: str
    is_phase: bool
    waits_for: str = ""

    @property
    def tone(self) -> Tone:
        """Of its state."""
        return TONE_OF_STEP[self.state]


@dataclass(frozen=True, slots=True)
class Course:
    """How far the run is.

    Attributes
    ----------
    share : of the longest time that is planned, 0 to 1.
    phase, waits_for : what goes on, and what it waits for.
    left : of the present phase; run_left : of the run.
    stands : why the run's time stands still; empty where it does not.
    """

    share: float = 0.0
    phase: str = ""
    left: str = ""
    run_left: str = ""
    waits_for: str = ""
    stands: str = ""


class Timeline:
    """The course of the run that is watched."""

    def __init__(self, live: Live) -> None:
        self._live = live

    @property
    def now_s(self) -> float:
        """Where the run's clock is, as far as is known here; while the record is still being read, where that is."""
        live = self._live
        if live.is_behind:
            return live.last_s
        elapsed = live.status.elapsed_s if live.status is not None and live.is_going else 0.0
        return max(live.last_s, elapsed)

    def rows(self) -> list[StepRow]:
        """Every step of the plan, in order."""
        plan = self._live.plan
        return [] if plan is None else [self._row(index) for index in range(len(plan.steps))]

    def current(self) -> int:
        """Number of the step that goes on; -1 before the first and after the end."""
        at = self._live.done_steps
        return at if self._live.is_going and at >= 0 and self._live.steps_at[at][1] is None else -1

    def course(self) -> Course:
        """How far the run is."""
        live = self._live
        if live.plan is None:
            waits = "its place in the queue stands in New run, where it is begun or withdrawn"
            return Course(phase="The run has not begun", waits_for=waits) if live.is_going else Course()
        if not live.is_going:
            return Course(share=self._reached(), phase="The run has ended")
        if self._is_closing:
            return Course(share=self._reached(), phase="The record is being closed")
        if live.is_behind and live.status is not None:
            read = f"what is shown goes up to {duration(live.last_s)}"
            return Course(live.status.share_done, "Catching up with the record", waits_for=read, stands=self.stands())
        at = self.current()
        least, most = self._to_come()
        if at < 0:
            return Course(self._share(most), "", "", _span(least, most), "", self.stands())
        step = live.plan.steps[at]
        sure, left = self._of_present()
        told = "" if most_s(step) <= 0.0 or asks(step) else _span(left if least_s(step) == most_s(step) else sure, left)
        waits = awaited(step, self._unit) or self._next_look(at)
        return Course(
            self._share(most + left), words(step), told, _span(least + sure, most + left), waits, self.stands()
        )

    def left(self) -> str:
        """Longest time that the run may still take, where it is not paused or held; empty while nobody knows."""
        if self._live.plan is None or not self._live.is_going or self._is_closing or self._live.is_behind:
            return ""
        sure, left = self._of_present() if self.current() >= 0 else (0.0, 0.0)
        least, most = self._to_come()
        return f"{'' if most + left - least - sure < EXACT_S else '≤ '}{duration(most + left)}"

    def stands(self) -> str:
        """Why the run's time stands still."""
        status = self._live.status
        if not self._live.is_going or status is None:
            return ""
        if status.latched:
            return f"Held by {', '.join(status.latched)}"
        return "Paused" if status.state == "paused" else ""

    # -- small parts

    @property
    def _is_closing(self) -> bool:
        """Whether all steps are over, done or not, and no time of the run passes any more."""
        return self._live.status is not None and self._live.status.state == "closing"

    def _to_come(self) -> tuple[float, float]:
        """Shortest and longest time of the steps that have not begun."""
        assert self._live.plan is not None
        rest = self._live.plan.steps[self._live.done_steps + 1 :]
        return sum(map(least_s, rest)), sum(map(most_s, rest))

    def _of_present(self) -> tuple[float, float]:
        """Shortest and longest time that is left of the step that goes on."""
        live = self._live
        assert live.plan is not None
        step, begun = live.plan.steps[live.done_steps], live.steps_at[live.done_steps][0]
        gone = self.now_s - begun - self._stood_s(begun)
        return max(least_s(step) - gone, 0.0), max(most_s(step) - gone, 0.0)

    def _row(self, index: int) -> StepRow:
        live = self._live
        assert live.plan is not None
        step = live.plan.steps[index]
        begin, end = live.steps_at.get(index, (None, None))
        took = "" if begin is None else _took((self.now_s if end is None else end) - begin)
        state = StepState.TO_COME if live.is_going else StepState.LEFT_OUT
        if begin is not None:
            state = StepState.DONE if end is not None else StepState.NOW if live.is_going else StepState.CUT_OFF
        waits = awaited(step, self._unit) if state is StepState.NOW else ""
        return StepRow(index, words(step), state, planned(step), took, is_phase(step), waits)

    def _reached(self) -> float:
        """Share of the plan at which the run ended."""
        assert self._live.plan is not None
        if self._live.ending is not None and self._live.ending.status == "completed":
            return 1.0
        at = self._live.done_steps
        was_cut_off = at >= 0 and self._live.steps_at[at][1] is None
        return self._share(self._to_come()[1] + (self._of_present()[1] if was_cut_off else 0.0))

    def _share(self, left_s: float) -> float:
        total = self.now_s + left_s
        return min(self.now_s / total, 1.0) if total > 0.0 else 0.0

    def _stood_s(self, since_s: float) -> float:
        """For how long the run's time has stood still since a moment."""
        stood, until = 0.0, 0.0
        for begin, end in sorted([*self._spans("pause"), *self._spans("hold")]):
            begin = max(begin, since_s, until)
            stood, until = stood + max(end - begin, 0.0), max(until, end)
        return stood

    def _spans(self, kind: str) -> list[tuple[float, float]]:
        spans: list[tuple[float, float]] = []
        begun: float | None = None
        for record in self._live.kept[kind]:
            if record.fields.get("state") == "begin":
                begun = record.t if begun is None else begun
            elif begun is not None:
                spans.append((begun, record.t))
                begun = None
        return spans if begun is None else [*spans, (begun, self.now_s)]

    def _unit(self, role: str) -> str:
        trace = self._live.of_role(role) or self._live.traces.get(role)
        return "" if trace is None else trace.unit

    def _next_look(self, at: int) -> str:
        assert self._live.plan is not None
        looks: Sequence[float] = self._live.plan.steps[at].get("looks_s") or ()
        begun = self._live.steps_at[at][0]
        gone = self.now_s - begun - self._stood_s(begun)
        coming = [look for look in looks if look > gone]
        return f"looked at in {rough_duration(coming[0] - gone)}: a clear fail ends it" if coming else ""


def _span(least: float, most: float) -> str:
    if most - least < EXACT_S:
        return duration(most)
    return f"at most {duration(most)}" if least < EXACT_S else f"{rough_duration(least)} to {rough_duration(most)}"


def _took(seconds: float) -> str:
    return "" if seconds < 1.0 else rough_duration(seconds)
