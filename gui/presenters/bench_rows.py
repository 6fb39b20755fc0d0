"""A station as one row of the bench overview: its state, how far its run is, and who must act next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

from bench.rpc.messages import Status as RunStatus
from bench.run_queue import Entry
from bench.station import Station
from data.checks import Status
from gui.presenters.bench_scan import Ended, RunNow, StationNow
from gui.presenters.numbers import local_time, rough_duration
from gui.presenters.rig_checks import RigState
from gui.presenters.run_link import STATUS_S
from gui.presenters.run_steps import asks, is_phase, least_s, most_s, words
from gui.presenters.tone import TONE_OF_VERDICT, Tone


class Urgency(IntEnum):
    """How soon a person should turn to a station; what stands first comes first."""

    DEAD = 0
    HELD = 1
    SILENT = 2
    ASKS = 3
    LATCHED = 4
    STUCK = 5
    TO_START = 6
    PAUSED = 7
    WRONG = 8
    TO_REVIEW = 9
    RUNNING = 10
    FREE = 11


@dataclass(frozen=True, slots=True)
class Turn:
    """Who must act next, and what they have to do."""

    who: str
    what: str
    tone: Tone = Tone.PLAIN

    @property
    def text(self) -> str:
        """As one sentence."""
        return f"{self.who} {self.what}"


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A run that waits for the station."""

    entry: Entry
    text: str


@dataclass(frozen=True, slots=True)
class StationRow:
    """What the overview shows of a station.

    Attributes
    ----------
    file : as a request names the station; empty where no run can be prepared on it.
    state, tone : the word for its state.
    share : of the run that is done; None where none goes on.
    left : time left in words.
    turns : who must act, the most urgent first; never empty.
    next_action : what the run itself does next.
    run : the run that can be watched.
    stuck : the first run that waits although nobody holds the station.
    unopened : a run file that nobody has looked at.
    lost : the journal of a run that has died, from which its run file can be made.
    stop : what became of the stop of its run, in words; empty where nobody has stopped it here.
    """

    name: str
    title: str
    file: str
    urgency: Urgency
    state: str
    tone: Tone
    run_text: str
    article: str
    phase: str
    share: float | None
    left: str
    turns: tuple[Turn, ...]
    next_action: str
    rig: tuple[str, Tone]
    queue: tuple[QueueLine, ...] = ()
    run: Entry | None = None
    stuck: Entry | None = None
    unopened: Path | None = None
    lost: Path | None = None
    stop: tuple[str, Tone] = ("", Tone.PLAIN)


@dataclass(frozen=True, slots=True)
class EndedRow:
    """A run that is over.

    Attributes
    ----------
    verdict : empty where nothing was judged.
    """

    entry: Entry
    at: str
    article: str
    status: str
    verdict: str
    tone: Tone
    file: Path | None
    is_opened: bool
    reason: str

    @property
    def number(self) -> str:
        """As the run is called."""
        return f"{self.entry.number:04d}"

    @property
    def outcome(self) -> str:
        """The verdict, behind how the run ended where it did not come to its end: that is why, and no pump's fault."""
        early = "" if self.status == str(Status.COMPLETED) else self.status.replace("-", " ")
        return ", ".join(filter(None, (early, self.verdict.replace("-", " ")))) or self.status

    @property
    def review(self) -> str:
        """Whether somebody has looked at it."""
        if self.file is None:
            return "no run file"
        return "opened" if self.is_opened else "to review"


@dataclass(frozen=True, slots=True)
class _State:
    urgency: Urgency
    word: str
    tone: Tone
    turn: Turn


def station_row(now: StationNow, rig: RigState | None, unopened: Sequence[Ended], moment: datetime) -> StationRow:
    """The row of a station.

    Parameters
    ----------
    unopened : its runs that have ended and whose files nobody has looked at.
    moment : now, in UTC.
    """
    state = _state(now, moment)
    urgency, turns = _with_review(state, unopened)
    run, died = now.run, now.died
    shown = run.entry if run is not None else died.entry if died is not None else None
    share, left = _progress(run, state)
    return StationRow(
        now.name,
        now.title,
        now.file if now.station is not None else "",
        urgency,
        state.word,
        state.tone,
        "" if shown is None else f"{shown.procedure}, run {shown.number}",
        "" if shown is None else article_of(shown, now.station),
        _phase(run.status.phase) if run is not None and run.status is not None else "",
        share,
        left,
        turns,
        _next_action(run),
        _rig(rig, moment),
        tuple(_line(place, entry, now.station) for place, entry in enumerate(now.waiting, 1)),
        None if run is None else run.entry,
        now.waiting[0] if now.waiting and now.holder is None and run is None else None,
        unopened[0].file if unopened else None,
        Path(died.state.journal) if died is not None and run is None and died.state.journal else None,
    )


def _with_review(state: _State, unopened: Sequence[Ended]) -> tuple[Urgency, tuple[Turn, ...]]:
    """Who must act, with those who review beside them."""
    if not unopened:
        return state.urgency, (state.turn,)
    count = f"{len(unopened)} runs" if len(unopened) > 1 else f"run {unopened[0].entry.number}"
    review = Turn("QA", f"to review {count}")
    if state.urgency is Urgency.FREE:
        return Urgency.TO_REVIEW, (review,)
    return state.urgency, (state.turn, review)


def _progress(run: RunNow | None, state: _State) -> tuple[float | None, str]:
    """Share that is done and time left; nothing for a run that rests, whose time does not pass as planned."""
    status = None if run is None else run.status
    if status is None or status.planned_s <= 0.0 or status.state != "running" or state.urgency is Urgency.HELD:
        return None, ""
    assert run is not None
    left_s, is_sure = left_of(run, status)
    return status.share_done, f"{'' if is_sure else 'at most '}{rough_duration(left_s)} left"


def ended_row(ended: Ended, station: Station | None, opened: frozenset[str]) -> EndedRow:
    """The row of a run that is over."""
    ending = ended.state.ending
    assert ending is not None
    status = ending.status or ending.state
    verdict = ending.verdict
    if verdict:
        tone = next((tone for one, tone in TONE_OF_VERDICT.items() if str(one) == verdict), Tone.WARN)
        tone = Tone.WARN if tone is Tone.GOOD and status != str(Status.COMPLETED) else tone
    else:
        tone = Tone.MUTED if ending.state == "withdrawn" else Tone.FAIL if ended.has_died else Tone.WARN
    return EndedRow(
        ended.entry,
        _day_and_time(ended.at),
        article_of(ended.entry, station),
        "died, recovered" if ending.state == "died" and ended.file is not None else status,
        verdict,
        tone,
        ended.file,
        ended.file is not None and str(ended.file) in opened,
        "" if status == str(Status.COMPLETED) else ending.reason,
    )


def article_of(entry: Entry, station: Station | None) -> str:
    """Model and serial number of what is tested, as far as the request or the station says them."""
    asked = entry.request_fields.get("dut") or (station.dut if station is not None else "")
    serial = str(entry.request_fields.get("serial") or "")
    return " / ".join(part for part in (Path(str(asked or "")).stem, f"SN {serial}" if serial else "") if part)


# ---------------------------------------------------------------------------------------------------- the state


def _state(now: StationNow, moment: datetime) -> _State:
    if now.run is None and now.died is not None:
        number, journal = now.died.entry.number, now.died.state.journal
        what = f"to see that the bench is safe: the runner of run {number} has died"
        what += "; then to recover its record" if journal else ""
        return _State(Urgency.DEAD, "dead", Tone.FAIL, Turn("Engineer", what, Tone.FAIL))
    if now.run is not None:
        return _of_run(now, now.run, moment)
    if now.wrong:
        return _State(
            Urgency.WRONG, "wrong", Tone.WARN, Turn("Engineer", f"to mend its file: {_without_folder(now)}", Tone.WARN)
        )
    if now.holder is not None:
        word = "in the foreground" if now.holder == 0 else "held"
        return _State(Urgency.RUNNING, word, Tone.PLAIN, Turn("Nobody:", "a run in a terminal has it"))
    if now.latches:
        return _latched(now)
    if now.waiting:
        what = f"to get run {now.waiting[0].number} going: it waits although nobody holds the station"
        return _State(Urgency.STUCK, "not held", Tone.WARN, Turn("Operator", what, Tone.WARN))
    return _State(Urgency.FREE, "free", Tone.PLAIN, Turn("Nobody:", "it is free"))


def _without_folder(now: StationNow) -> str:
    return now.wrong.replace(now.file, Path(now.file).name)


def _latched(now: StationNow) -> _State:
    names = ", ".join(latch.interlock for latch in now.latches)
    what = f"to reset interlock {names} ({now.latches[0].cause}): prepare a run and override it with your name"
    return _State(Urgency.LATCHED, "latched", Tone.FAIL, Turn("Engineer", what, Tone.FAIL))


def _of_run(now: StationNow, run: RunNow, moment: datetime) -> _State:
    status = run.status
    if run.silent_s > STATUS_S:
        what = f"to look at the bench: the runner has not answered for {rough_duration(run.silent_s)}"
        return _State(Urgency.SILENT, "no answer", Tone.FAIL, Turn("Operator", what, Tone.FAIL))
    if status is None:
        return _State(Urgency.RUNNING, run.state.state, Tone.PLAIN, Turn("Nobody:", "the run begins"))
    if status.latched:
        names = ", ".join(status.latched)
        turn = Turn("Engineer", f"to reset interlock {names}", Tone.FAIL)
        return _State(Urgency.HELD, "held", Tone.FAIL, turn)
    if status.prompts:
        turn = Turn("Operator", f"to answer: {status.prompts[0].text}", Tone.WARN)
        return _State(Urgency.ASKS, "asks", Tone.WARN, turn)
    if status.state == "held":
        turn = Turn("Operator", f"to start run {run.entry.number}, which is prepared", Tone.WARN)
        return _State(Urgency.TO_START, "prepared", Tone.WARN, turn)
    if status.state == "paused":
        turn = Turn("Operator", f"to let run {run.entry.number} go on", Tone.WARN)
        return _State(Urgency.PAUSED, "paused", Tone.WARN, turn)
    return _State(Urgency.RUNNING, status.state, Tone.PLAIN, _nobody(now, run, moment))


def _nobody(now: StationNow, run: RunNow, moment: datetime) -> Turn:
    """Until when nobody has to act: the next thing that a person is asked, or the end."""
    status = run.status
    assert status is not None
    simulated = now.station is not None and now.station.simulated
    pace = run.entry.request_fields.get("pace")
    if status.planned_s <= 0.0 or status.state == "closing" or (simulated and not pace):
        return Turn("Nobody:", "it ends by itself")
    asked = None if simulated else next_asked(run)  # a simulated person answers by itself
    left_s, is_sure, why = asked if asked is not None else (*left_of(run, status), "")
    until = moment + timedelta(seconds=max(left_s, 0.0) / float(pace or 1.0))
    said = f"until {_until(until, moment)}{'' if is_sure else ' at the latest'}"
    return Turn("Nobody", said if asked is None else f"{said}: then {why}")


def left_of(run: RunNow, status: RunStatus) -> tuple[float, bool]:
    """Longest time that a run still takes, and whether it takes so long for sure: steps may end before their time."""
    left_s = status.planned_s - status.elapsed_s
    if (here := _here(run, status)) >= 0:
        left_s = min(left_s, sum(map(most_s, run.steps[here:])))
    return max(left_s, 0.0), bool(run.steps) and all(map(_is_fixed, run.steps))


def next_asked(run: RunNow) -> tuple[float, bool, str] | None:
    """Longest time until a person is next asked, whether it lasts so long for sure, and for what.

    None where the run only ends.
    """
    status = run.status
    if status is None:
        return None
    here, longest = _here(run, status), [most_s(step) for step in run.steps]
    elapsed_s = status.elapsed_s - max(status.planned_s - sum(longest), 0.0)  # without what it was paused and held
    for at, step in enumerate(run.steps):
        begins_s = sum(longest[:at])
        if asks(step) and at > here and (here >= 0 or begins_s >= elapsed_s):
            left_s = min(begins_s - elapsed_s, sum(longest[here:at])) if here >= 0 else begins_s - elapsed_s
            return left_s, all(map(_is_fixed, run.steps[:at])), f"the operator, {words(step).lower()}"
    return None


def _here(run: RunNow, status: RunStatus) -> int:
    """Number of the step that goes on; -1 where it is none with a name."""
    return next((at for at, step in enumerate(run.steps) if is_phase(step) and step.get("name") == status.phase), -1)


def _is_fixed(step: Mapping[str, Any]) -> bool:
    return least_s(step) == most_s(step)


def _rig(rig: RigState | None, moment: datetime) -> tuple[str, Tone]:
    """What is to be said of the rig check; one that is merely old is no news at a bench that rests."""
    if rig is None or rig.reference is None:
        return "", Tone.MUTED
    said, tone = rig.says(moment)
    return f"Rig check: {said}", tone if tone is Tone.FAIL else Tone.MUTED


def _next_action(run: RunNow | None) -> str:
    """What the run does after its present phase."""
    if run is None or run.status is None or not run.status.phase:
        return ""
    names = [step.get("name") if is_phase(step) else None for step in run.steps]
    if run.status.phase not in names:
        return ""
    after = run.steps[names.index(run.status.phase) + 1 :]
    worth = next((step for step in after if is_phase(step) or asks(step)), None)
    return f"then {words(worth).lower()}" if worth is not None else "then the end"


def _phase(name: str) -> str:
    return name.replace("-", " ").replace("_", " ").capitalize()


def _line(place: int, entry: Entry, station: Station | None) -> QueueLine:
    article = article_of(entry, station)
    asked = str(entry.request_fields.get("person") or "")
    parts = [f"{place}. run {entry.number}", entry.procedure, article, f"asked for by {asked}" if asked else ""]
    return QueueLine(entry, ", ".join(part for part in parts if part))


def _until(moment: datetime, now: datetime) -> str:
    """A moment as people say it: the time alone where it is today."""
    there, here = moment.astimezone(), now.astimezone()
    clock = local_time(moment)[:5]
    if there.date() == here.date():
        return clock
    if there.date() == (here + timedelta(days=1)).date():
        return f"tomorrow {clock}"
    return f"{there:%a} {there.day} {there:%b}, {clock}"


def _day_and_time(moment: datetime) -> str:
    here = datetime.now(UTC).astimezone()
    there = moment.astimezone()
    return local_time(moment)[:5] if there.date() == here.date() else f"{there:%Y-%m-%d} {local_time(moment)[:5]}"
