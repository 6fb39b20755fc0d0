"""What happened in a run, as rows of a table and as stretches and moments of its time axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from data.frames import Record
from data.samples import UNUSABLE, Quality
from gui.presenters.events import event_row
from gui.presenters.file_points import Flagged
from gui.presenters.numbers import (
    NARROW_NBSP,
    OF_A_MASS,
    Numbers,
    all_digits,
    duration,
    local_date,
    local_time,
    rough_duration,
    with_unit,
)
from gui.presenters.review_read import Review
from gui.presenters.tone import Tone

PHASE, EVENT, PROMPT, OVERRIDE, EXCLUDED, GAP, QUALITY, NOTE = (
    "phase",
    "event",
    "prompt",
    "override",
    "excluded",
    "gap",
    "quality",
    "note",
)
KINDS = {
    "": "Everything",
    "warnings": "Out of the ordinary",
    PHASE: "Phases",
    PROMPT: "Prompts and answers",
    OVERRIDE: "Overrides",
    EXCLUDED: "Not used",
    GAP: "Gaps",
    QUALITY: "Quality flags",
    NOTE: "Notes",
    EVENT: "Events",
}
"""What the table can be narrowed to."""

TAKEN = {"phase", "prompt", "answer"}
"""Records that are told otherwise than as one line each."""

MOST_FLAGS = 400
"""Rows of one channel's quality flags."""

KIND_OF = {"note": NOTE, "override": OVERRIDE, "gap": GAP, "outage": GAP}


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened.

    Attributes
    ----------
    t0, t1 : begin and end on the run's clock, in s; equal for a moment.
    clock : when it began, since the run's start; ``moment`` the same on the clock of the wall.
    channel : "stream.channel" where it is about one.
    """

    t0: float
    t1: float
    kind: str
    text: str
    tone: Tone
    clock: str
    moment: str
    channel: str = ""

    @property
    def took(self) -> str:
        """How long it took; empty for a moment."""
        length = self.t1 - self.t0
        if length <= 0.0:
            return ""
        return rough_duration(length) if length >= 1.0 else f"{length * 1e3:.0f}{NARROW_NBSP}ms"

    @property
    def is_warning(self) -> bool:
        """Whether it is out of the ordinary."""
        return self.tone in (Tone.WARN, Tone.FAIL)


def happenings(review: Review, numbers: Numbers) -> list[Happening]:
    """Everything that the records and the evaluation tell, in order of time."""
    found = [*_phases(review), *_prompts(review, numbers), *_moments(review), *_excluded(review)]
    return sorted(found, key=lambda one: (one.t0, one.t1))


def gaps(review: Review, lost: Mapping[str, Sequence[tuple[float, float, int]]]) -> list[Happening]:
    """Lost samples of every stream."""
    return [
        _happening(review, t0, t1, GAP, f"{stream}: {count} samples lost", Tone.WARN)
        for stream, holes in lost.items()
        for t0, t1, count in holes
    ]


def flags(review: Review, channel: str, label: str, flagged: Sequence[Flagged]) -> list[Happening]:
    """Stretches of a channel in which quality bits are set; at most `MOST_FLAGS` rows, the longest."""
    kept = sorted(flagged, key=lambda flag: flag[0] - flag[1])[:MOST_FLAGS]
    made = [
        _happening(
            review,
            t0,
            t1,
            QUALITY,
            f"{label}: {quality_words(bits)}" + (", not used" if bits & int(UNUSABLE) else ""),
            Tone.WARN if bits & int(UNUSABLE) else Tone.MUTED,
            channel,
        )
        for t0, t1, bits in kept
    ]
    if len(kept) < len(flagged):
        text = f"{label}: {len(flagged) - len(kept)} shorter stretches with quality flags are not listed"
        made.append(_happening(review, kept[0][0], kept[0][0], QUALITY, text, Tone.MUTED, channel))
    return made


def quality_words(bits: int) -> str:
    """What quality bits mean."""
    return ", ".join(str(bit.name).lower().replace("_", " ") for bit in Quality(bits) if bit.name)


def narrowed(rows: Iterable[Happening], kind: str, text: str = "") -> list[Happening]:
    """The rows of a kind of `KINDS` that hold a text."""
    words = text.casefold().split()

    def wanted(row: Happening) -> bool:
        if kind == "warnings":
            if not row.is_warning:
                return False
        elif kind:
            if row.kind != kind:
                return False
        elif row.kind == QUALITY and not row.is_warning:
            return False  # it was used all the same; a balance that settles says so all day
        said = f"{row.text} {row.kind} {row.clock} {row.moment}".casefold()
        return all(word in said for word in words)

    return [row for row in rows if wanted(row)]


# -- small parts


def _happening(review: Review, t0: float, t1: float, kind: str, text: str, tone: Tone, channel: str = "") -> Happening:
    start = review.row.start
    moment = ""
    if start is not None and review.row.origin == "measured":
        at = start + timedelta(seconds=t0)
        moment = f"{local_date(at)[:10]} {local_time(at)}"
    return Happening(t0, max(t0, t1), kind, text, tone, duration(t0), moment, channel)


def _phases(review: Review) -> list[Happening]:
    return [
        _happening(
            review,
            phase.t0,
            phase.t1,
            PHASE,
            f"Phase {phase.name}" + ("" if phase.complete else ", cut off by the end of the run"),
            Tone.PLAIN if phase.complete else Tone.WARN,
        )
        for phase in review.phases
    ]


def _prompts(review: Review, numbers: Numbers) -> list[Happening]:
    """Each prompt with its answer; one that nobody answered lasts until the run's end."""
    made: list[Happening] = []
    open_prompts: dict[str, tuple[float, str]] = {}
    for event in review.events:
        said = event.fields
        if event.kind == "prompt":
            open_prompts[str(said.get("key"))] = (event.t, str(said.get("text") or said.get("key")))
        elif event.kind == "answer":
            asked, text = open_prompts.pop(str(said.get("key")), (event.t, str(said.get("key"))))
            value = said.get("value")
            given = numbers.number(value, all_digits(value, OF_A_MASS)) if isinstance(value, float) else str(value)
            given = with_unit(given, str(said.get("unit") or ""))
            who = " and ".join(str(said[key]) for key in ("person", "second_person") if said.get(key))
            by = f" by {who}" if who else ""
            made.append(_happening(review, asked, event.t, PROMPT, f"{text} → {given}{by}", Tone.PLAIN))
    for asked, text in open_prompts.values():
        made.append(_happening(review, asked, review.end_s, PROMPT, f"{text} → not answered", Tone.WARN))
    return made


def _moments(review: Review) -> list[Happening]:
    made = []
    for event in review.events:
        said = event.fields
        if event.kind == "disturbed":
            begin, end = (event.t if said.get(key) is None else float(said[key]) for key in ("from_s", "to_s"))
            channels = ", ".join(said.get("channels") or ())
            made.append(
                _happening(review, begin, end, EVENT, f"Disturbed by {said.get('why')}: {channels}", Tone.MUTED)
            )
        elif event.kind not in TAKEN:
            fields = {key: value for key, value in said.items() if value is not None}
            row = event_row(Record(event.kind, event.t, fields), None)
            if row is not None:
                kind = KIND_OF.get(event.kind, EVENT)
                made.append(_happening(review, event.t, event.t, kind, row.text, row.tone))
    return made


def _excluded(review: Review) -> list[Happening]:
    if review.evaluation is None:
        return []
    return [
        _happening(
            review,
            one.from_s,
            one.to_s,
            EXCLUDED,
            f"Not used: {one.reason}" + (f" ({one.person})" if one.person else ""),
            Tone.WARN,
        )
        for one in review.evaluation.excluded
    ]
