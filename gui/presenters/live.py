"""The run that is watched, as far as it is known here: its plan, its channels, its events, its prompts, its end.

`Live.tick` takes what the runner sent meanwhile and says what has changed; panels show what they care for.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from bench.rpc.messages import Ending, Status
from bench.run_queue import Entry
from data.checks import Origin
from data.frames import Record
from data.samples import UNUSABLE, Block, Quality, Stream
from data.schedule import Schedule
from gui.plots.pyramid import Pyramid
from gui.presenters.context import Context
from gui.presenters.events import EventRow, event_row
from gui.presenters.run_link import Broken, RunLink, Taken
from gui.presenters.sample_periods import sample_periods
from gui.presenters.tone import Tone, tone_of_end

TICK_S = 0.05
"""Between two looks at what came."""

TAKE_S = 0.012
"""Of each tick, for what came; the rest is for drawing."""

TAKE_BEHIND_S = 0.03
"""The same while the record of before is being read: then a person waits for that."""

AT_MOST_BEHIND, BEHIND_S = 0.95, 120.0
"""What is shown is of now if it goes to so much of the run's time, less so many seconds of it."""

LATE_S, LATE_SAMPLES = 5.0, 3.0
"""A channel without a sample for so long in real time, and for so many times the spacing of its samples, is late; what
a runner has told that says nothing for so long is not of now either."""

TELL_S = 1.0
"""Where nothing is heard for this long, panels are told that time has passed: what they show gets older."""

KEPT_SAMPLES = 1 << 18
"""Samples of a channel that are kept, 7 h of ten a second; what is older is thinned and keeps its extremes."""

MOST_EVENTS = 5000
"""Lines of the event log that are kept; the file has them all."""

KEPT = frozenset(
    (
        "forecast",
        "exclusion",
        "valve",
        "hold",
        "pause",
        "outage",
        "gap",
        "disturbed",
        "interlock",
        "interlock-back",
        "reset",
        "look",
        "shown",
    )
)
"""Kinds of records that panels ask for again."""

MOST_KEPT = 2000
"""Of each of these; the file has them all."""

MOST_MOVES = 50_000
"""Of the valves' moves: what was programmed to flow onto the balance follows from all of them."""

UNUSABLE_BITS = int(UNUSABLE)
MASS_UNIT = "mg"


@dataclass
class Trace:
    """One channel of the run.

    Attributes
    ----------
    name : "stream.channel".
    instrument : whose it is.
    roles : what the procedure takes it for.
    points : every sample, for plots; see `hidden_bits`.
    t, value, quality : the last sample.
    stride : samples from one that is kept to the next: more than one while its instrument rests.
    """

    name: str
    instrument: str
    unit: str
    reference: str
    roles: tuple[str, ...]
    points: Pyramid = field(default_factory=lambda: Pyramid(KEPT_SAMPLES))
    t: float = math.nan
    value: float = math.nan
    quality: int = 0
    stride: int = 1

    @property
    def hidden_bits(self) -> int:
        """Quality bits of samples that are not plotted.

        While the bench is held or paused every sample is disturbed: an evaluation leaves it out, but a person must see
        what the pressure does.  A disturbed weight alone is of nothing: the vessel was touched, the balance tared.
        """
        return UNUSABLE_BITS if self.unit == MASS_UNIT else UNUSABLE_BITS & ~int(Quality.DISTURBED)

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.roles[0].replace("_", " ") if self.roles else self.name

    @property
    def quality_word(self) -> str:
        """What is wrong with the last sample; empty where nothing is."""
        return ", ".join(bit.name.lower().replace("_", " ") for bit in Quality(self.quality) if bit.name)


@dataclass
class PhaseRow:
    """A phase that has begun, in s on the run's clock; ``t1`` is None while it goes on."""

    name: str
    t0: float
    t1: float | None = None


@dataclass
class Plan:
    """What the header of the run says."""

    procedure: str
    title: str
    station: Mapping[str, Any]
    dut: Mapping[str, Any]
    catheter: Mapping[str, Any]
    fluid: Mapping[str, Any]
    params: Mapping[str, Any]
    roles: Mapping[str, str]
    steps: tuple[Mapping[str, Any], ...]
    schedule: Schedule | None
    origin: Origin
    start: datetime
    seed: int | None

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> Plan:
        """The plan of a journal's header."""
        schedule = header.get("schedule")
        return cls(
            str(header["procedure"]),
            str(header.get("title", "")),
            header.get("station") or {},
            header.get("dut") or {},
            header.get("catheter") or {},
            header.get("fluid") or {},
            header.get("params") or {},
            header.get("roles") or {},
            tuple(header.get("steps") or ()),
            None if schedule is None else Schedule.from_json(schedule),
            Origin(header["origin"]),
            datetime.fromisoformat(str(header["start_utc"])),
            header.get("seed"),
        )


Change = str
"""What a tick may have changed: "run", "plan", "streams", "values", "events", "phase", "status", "ending".

"time" alone says that nothing was heard for a while.
"""


class Live:
    """The run that is watched.

    Attributes
    ----------
    link : None while no run is watched.
    plan : None before the run has begun.
    traces : by "stream.channel".
    done_steps : index of the step that is being done, -1 before the first; ``steps_at`` has begin and end of each.
    delivery_s : moment zero of the schedule; None before it.
    samples : taken so far.
    kept : the latest records of each kind in `KEPT`.
    lost : instruments that do not answer their runner, and since when.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._listeners: list[Callable[[frozenset[Change]], None]] = []
        self._forget()
        context.on_follow(self.follow)

    def _forget(self) -> None:
        self.link: RunLink | None = None
        self.plan: Plan | None = None
        self.traces: dict[str, Trace] = {}
        self.events: list[EventRow] = []
        self.records: dict[str, int] = {}
        self.kept: dict[str, deque[Record]] = {
            kind: deque(maxlen=MOST_MOVES if kind == "valve" else MOST_KEPT) for kind in KEPT
        }
        self.phases: list[PhaseRow] = []
        self.steps_at: dict[int, tuple[float, float | None]] = {}
        self.done_steps = -1
        self.delivery_s: float | None = None
        self.last_s = 0.0
        self.samples = 0
        self.broken = ""
        self.lost: dict[str, float] = {}
        self._interval_s: dict[str, float] = {}  # by instrument: of its stream; then of its table and driver
        self._period_s: dict[str, float] = {}
        self._told_at = time.monotonic()
        self._columns: dict[str, list[Trace]] = {}
        self._changes: set[Change] = {"run"}
        self._status: Status | None = None

    def listen(self, call: Callable[[frozenset[Change]], None]) -> None:
        """Hear what each tick has changed; nothing is said where nothing has."""
        self._listeners.append(call)

    def follow(self, entry: Entry) -> None:
        """Watch a run, from its first frame on."""
        if self.link is not None:
            self.link.close()
        self._forget()
        self.link = RunLink(entry, self.context.background)

    def close(self) -> None:
        """Watch no run."""
        if self.link is not None:
            self.link.close()

    @property
    def status(self) -> Status | None:
        """The last that the runner told."""
        return self._status

    @property
    def ending(self) -> Ending | None:
        """How the run ended; None while it goes on, or none is watched."""
        return None if self.link is None else self.link.ending

    @property
    def is_going(self) -> bool:
        """Whether a run is watched that has not ended."""
        return self.link is not None and self.link.ending is None

    @property
    def is_behind(self) -> bool:
        """Whether the record is still being read: what is shown is of long before what goes on."""
        if not self.is_going or self.link is None or self.status is None or not self.link.behind:
            return False
        return self.last_s < AT_MOST_BEHIND * self.status.elapsed_s - BEHIND_S

    @property
    def is_read(self) -> bool:
        """Whether the instruments are read: they are not once the run has ended, nor while its record is closed."""
        return self.is_going and (self.status is None or self.status.state != "closing")

    @property
    def pace(self) -> float:
        """Seconds of the run in a real one; infinite where it goes as fast as it can."""
        if self.plan is None or self.plan.origin is Origin.MEASURED or self.link is None:
            return 1.0
        served = self.plan.station.get("served") or {}
        return float(self.link.entry.request_fields.get("pace") or served.get("pace") or math.inf)

    @property
    def now_s(self) -> float:
        """Where the run's clock is as far as can be known: it goes on while the runner is silent."""
        silent_s = self.link.silent_s if self.link is not None and self.is_read else 0.0
        told_s = self.last_s if self.status is None else self.status.elapsed_s
        return max(self.last_s, told_s + silent_s * (self.pace if math.isfinite(self.pace) else 1.0))

    def age(self, trace: Trace) -> float:
        """How old the last sample of a channel is, in s of the run; nan before there is any."""
        return self.now_s - trace.t

    def late_s(self, trace: Trace) -> float:
        """From which age on a channel is late; infinite while nobody knows how far apart its samples are."""
        spacing = max(
            self._interval_s.get(trace.instrument, 0.0) * trace.stride, self._period_s.get(trace.instrument, 0.0)
        )
        span = trace.points.span
        if spacing == 0.0 and span is not None and len(trace.points) > 1:
            spacing = (span[1] - span[0]) / (len(trace.points) - 1) * trace.stride
        return max(LATE_S * self.pace, LATE_SAMPLES * spacing) if spacing > 0.0 else math.inf

    def is_known(self, trace: Trace) -> bool:
        """Whether the last sample of a channel is of now, as far as that is ever so."""
        if self.broken or trace.instrument in self.lost or self._is_mute:
            return False
        return not self.age(trace) > self.late_s(trace)

    @property
    def _is_mute(self) -> bool:
        """Whether the runner has told neither its state nor a sample for long."""
        least_s = LATE_S * (self.pace if math.isfinite(self.pace) else 1.0)
        return self.link is not None and self.link.silent_s > LATE_S and self.now_s - self.last_s > least_s

    @property
    def origin(self) -> str:
        """Where the data come from, where that is not an instrument; empty else."""
        return "" if self.plan is None or self.plan.origin is Origin.MEASURED else str(self.plan.origin)

    def of_role(self, role: str) -> Trace | None:
        """The channel that the procedure takes for a role."""
        target = None if self.plan is None else self.plan.roles.get(role)
        return self.traces.get(target or "")

    def tick(self) -> None:
        """Take what came, for a while, and say what has changed."""
        if self.link is not None:
            self.link.take(TAKE_BEHIND_S if self.is_behind else TAKE_S, self._hear)
            if self.link.status is not self._status:
                self._status = self.link.status
                self._changes.add("status")
        now = time.monotonic()
        if self.is_going and now - self._told_at > TELL_S:
            self._changes.add("time")
        if self._changes:
            changes = frozenset(self._changes)
            self._changes.clear()
            self._told_at = now
            self._tell(changes)

    def _tell(self, changes: frozenset[Change]) -> None:
        """Let everybody hear it: a panel with a defect must not keep a prompt from being shown."""
        wrong: list[Exception] = []
        for call in self._listeners:
            try:
                call(changes)
            except Exception as error:  # noqa: BLE001  # it is raised below
                wrong.append(error)
        if wrong:
            raise wrong[0]

    # -- what comes

    def _hear(self, said: Taken) -> None:
        if isinstance(said, Block):
            self._block(said)
        elif isinstance(said, Record):
            self._record(said)
        elif isinstance(said, Stream):
            self._stream(said)
        elif isinstance(said, Ending):
            self._changes.add("ending")
        elif isinstance(said, Broken):
            self.broken = said.reason
            self._changes.add("ending")
        elif isinstance(said, Mapping):
            self.plan = plan = Plan.of(said)
            self._changes.add("plan")
            instruments = plan.station.get("instruments") or {}
            self.context.background.aside(
                lambda: sample_periods(instruments), lambda found: self._hear_periods(plan, found)
            )

    def _hear_periods(self, plan: Plan, found: dict[str, float]) -> None:
        if plan is self.plan:
            self._period_s = found

    def _stream(self, stream: Stream) -> None:
        roles: dict[str, list[str]] = {}
        for role, target in (self.plan.roles if self.plan is not None else {}).items():
            roles.setdefault(target, []).append(role)
        made = []
        for channel in stream.channels:
            name = f"{stream.name}.{channel.name}"
            made.append(
                Trace(name, stream.instrument, channel.unit, channel.reference or "", tuple(roles.get(name, ())))
            )
        self._columns[stream.name] = made
        if stream.interval_s is not None:
            self._interval_s[stream.instrument] = stream.interval_s
        self.traces.update({trace.name: trace for trace in made})
        self._changes.add("streams")

    def _block(self, block: Block) -> None:
        for column, trace in enumerate(self._columns[block.stream]):
            values, quality = block.values[:, column], block.quality[:, column]
            trace.points.extend(block.t, np.where((quality & trace.hidden_bits) == 0, values, np.nan))
            trace.t = float(block.t[-1])
            trace.value = float(values[-1])
            trace.quality = int(block.quality[-1, column])
            trace.stride = block.stride
        self.samples += block.values.size
        self.last_s = max(self.last_s, float(block.t[-1]))
        self._changes.add("values")

    def _record(self, record: Record) -> None:
        self.records[record.kind] = self.records.get(record.kind, 0) + 1
        self.last_s = max(self.last_s, record.t)
        if record.kind in KEPT:
            self.kept[record.kind].append(record)
        if record.kind == "outage":
            self._outage(record)
        elif record.kind == "phase":
            self._phase(record)
        elif record.kind == "step":
            self._step(record)
        row = event_row(
            record, None if self.plan is None or self.plan.origin is not Origin.MEASURED else self.plan.start
        )
        if row is not None:
            self.events.append(row)
            if len(self.events) > MOST_EVENTS:
                del self.events[: MOST_EVENTS // 10]
            self._changes.add("events")

    def _outage(self, record: Record) -> None:
        name = str(record.fields.get("instrument", ""))
        if record.fields.get("state") == "end":
            self.lost.pop(name, None)
        else:
            self.lost.setdefault(name, record.t)

    def _phase(self, record: Record) -> None:
        if record.fields["state"] == "begin":
            self.phases.append(PhaseRow(str(record.fields["name"]), record.t))
        elif self.phases:
            self.phases[-1].t1 = record.t
        self._changes.add("phase")

    def _step(self, record: Record) -> None:
        index = int(record.fields["index"])
        if record.fields["state"] == "begin":
            self.done_steps = index
            self.steps_at[index] = (record.t, None)
        else:
            self.steps_at[index] = (self.steps_at.get(index, (record.t, None))[0], record.t)
            if str(record.fields["name"]).startswith("StartDelivery"):
                self.delivery_s = record.t
        self._changes.add("phase")


def tone_of(status: Status | None, ending: Ending | None, silent: bool) -> tuple[str, Tone]:
    """The word for the state of a run, and its tone."""
    if ending is not None:
        word = ending.status or ending.state
        return word.replace("-", " "), tone_of_end(word)
    if silent:
        return "no answer", Tone.FAIL
    if status is None:
        return "waiting", Tone.MUTED
    if status.latched:
        return "held", Tone.FAIL
    if status.prompts:
        return "asks you", Tone.WARN
    return status.state, Tone.WARN if status.state == "paused" else Tone.PLAIN
