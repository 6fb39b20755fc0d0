"""A run file that is open for review: what it says, whether it is intact, whether the installed code agrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from data.keys import digest_of
from data.seal import PATIENCE_S, SLOWEST_BYTES_PER_S, Verification
from gui.presenters.background import Cancel
from gui.presenters.context import Context
from gui.presenters.file_points import FilePoints
from gui.presenters.file_reader import FileReader, Reader
from gui.presenters.numbers import unit_text
from gui.presenters.review_list import verdict_text, verdict_tone
from gui.presenters.review_read import ANOTHER, ChannelInfo, Review, all_holes, checked, judged, review
from gui.presenters.review_timeline import Happening, flags, gaps, happenings
from gui.presenters.tone import Tone

if TYPE_CHECKING:
    from bench.closing import Again

JUDGE_S = 7200.0
HANDS = 2
"""Processes that read one file side by side: inflating is what takes the time."""

ORDER = ("uL/h", "kPa", "mg", "N", "degC", "uL")
"""Units of the channels that are looked at first."""

PLOTS = 3
"""Plots that are there when a run is opened."""

MOST_CURVES = 4
"""Curves of one of those plots."""

MakeReader = Callable[[Path], Reader]


class State(StrEnum):
    """How far something is."""

    BUSY = "busy"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PlotGroup:
    """Channels of one unit that are plotted together: what the plot is called, and what its unit measures."""

    title: str
    quantity: str
    unit: str
    channels: tuple[ChannelInfo, ...]


class RunView(Protocol):
    """What the presenter asks of its view."""

    def show_run(self) -> None:
        """Show all of the run; what is there has just become known."""

    def show_proofs(self) -> None:
        """Show `OpenRun.seal_says` and `OpenRun.judge_says`."""

    def show_happenings(self) -> None:
        """Show `OpenRun.happenings`: there are more of them."""

    def show_points(self, channel: str) -> None:
        """Draw a channel again: more of it has been read."""


class OpenRun:
    """One run that is open.

    Attributes
    ----------
    state, sentence : of reading it; the sentence says why it failed.
    review : what it says; None until it has been read.
    verification, again : what became of verifying and judging again; None until then.
    """

    def __init__(self, context: Context, path: Path, make_reader: MakeReader | None = None) -> None:
        self.context = context
        self.path = path
        self.state, self.sentence = State.BUSY, ""
        self.review: Review | None = None
        self.verification: Verification | None = None
        self.again: Again | None = None
        self._seal_sentence = self._judge_sentence = ""
        self._view: RunView | None = None
        self._points: dict[str, FilePoints] = {}
        self._happenings: list[Happening] = []
        self._flagged: dict[str, list[Happening]] = {}
        self._heard: list[Callable[[OpenRun], None]] = []
        self._sealed: list[Callable[[], None]] = []
        self._closed = False
        self._proofs: list[Cancel] = []
        self._reader = make_reader(path) if make_reader is not None else FileReader(path, context.background, HANDS)
        self._reader.ask(review, (), self._take, self._fail, urgency=0)

    def attach(self, view: RunView) -> None:
        """Have a view."""
        self._view = view
        view.show_run()

    def detach(self) -> None:
        """Have no view any more."""
        self._view = None

    def when_read(self, call: Callable[[OpenRun], None]) -> None:
        """Have a call made when the run has been read, or cannot be; at once if that is so already."""
        if self.state is State.BUSY:
            self._heard.append(call)
        else:
            call(self)

    def close(self) -> None:
        """Let go of the file; what is under way is not heard any more."""
        self._closed = True
        self._view = None
        self._leave_proofs()
        self._reader.close()

    # -- reading it

    def _take(self, said: Review) -> None:
        self.state, self.review = State.DONE, said
        self._happenings = happenings(said, self.context.numbers)
        self._tell()
        self._reader.ask(all_holes, (), self._take_holes, lambda _: None, urgency=50)

    def _fail(self, said: str) -> None:
        self.state, self.sentence = State.FAILED, said.removeprefix(f"{self.path}: ")
        self._tell()

    def _tell(self) -> None:
        if self._view is not None:
            self._view.show_run()
        heard, self._heard = self._heard, []
        for call in heard:
            call(self)

    def _take_holes(self, lost: dict[str, list[tuple[float, float, int]]]) -> None:
        if self.review is not None and lost:
            self._happenings = sorted([*self._happenings, *gaps(self.review, lost)], key=lambda one: one.t0)
            if self._view is not None:
                self._view.show_happenings()

    # -- proofs

    def prove(self) -> None:
        """Verify the file and judge it again, each by itself."""
        self._leave_proofs()
        self.verification = self.again = None
        self._seal_sentence = self._judge_sentence = ""
        self._verify()
        judge = self.context.background.apart
        seal = "" if self.review is None else self.review.seal
        self._proofs.append(judge(judged, (self.path, seal), self._judged, self._not_judged, deadline_s=JUDGE_S))
        self._show_proofs()

    def prove_again(self) -> None:
        """Prove it once more; one that was no sound record, or is not there any more, is read anew first."""
        if self.seal_says[2] is Tone.FAIL:
            self.context.open(self.path)
        else:
            self.prove()

    def prove_seal(self, then: Callable[[], None]) -> None:
        """Verify the file alone; ``then`` is called when that is known."""
        self._sealed.append(then)
        self._verify()

    def _verify(self) -> None:
        size = 0 if self.review is None else self.review.row.size  # as it was read: its share may not answer now
        patience_s = PATIENCE_S + size / SLOWEST_BYTES_PER_S
        verify = self.context.background.apart
        self._proofs.append(verify(checked, (self.path,), self._verified, self._not_verified, deadline_s=patience_s))

    def _leave_proofs(self) -> None:
        """What is under way is of no interest any more."""
        proofs, self._proofs = self._proofs, []
        for cancel in proofs:
            cancel()

    def _verified(self, found: Verification) -> None:
        self.verification = found
        self._seal_known()

    def _not_verified(self, said: str) -> None:
        self._seal_sentence = said
        self._seal_known()

    def _seal_known(self) -> None:
        self._show_proofs()
        heard, self._sealed = self._sealed, []
        for call in heard if not self._closed else ():
            call()

    def _judged(self, found: Again) -> None:
        self.again = found
        self._show_proofs()

    def _not_judged(self, said: str) -> None:
        self._judge_sentence = said.removeprefix(f"{self.path}: ")
        self._show_proofs()

    def _show_proofs(self) -> None:
        if self._view is not None and not self._closed:
            self._view.show_proofs()

    @property
    def is_replaced(self) -> bool:
        """Whether another file lies there by now than the one that is shown: what is proven there is not this."""
        found, review = self.verification, self.review
        if found is None or review is None or found.state in ("altered", "unreadable"):
            return False
        return digest_of(dict(found.sealed)) != review.seal

    @property
    def is_proving(self) -> bool:
        """Whether a proof is under way."""
        sealed = self.verification is not None or bool(self._seal_sentence)
        return not (sealed and (self.again is not None or bool(self._judge_sentence)))

    @property
    def seal_says(self) -> tuple[str, str, Tone]:
        """Whether the file is as it was sealed: a word, what is to be said of it, and the tone."""
        if self._seal_sentence:
            return "unreadable", f"verifying it {self._seal_sentence}", Tone.FAIL
        found = self.verification
        if found is None:
            return "verifying…", "Every byte is compared with the seal.", Tone.BUSY
        if self.is_replaced:
            return "replaced", f"{ANOTHER.capitalize()}.", Tone.FAIL
        said = "; ".join(problem.removeprefix(f"{self.path}: ") for problem in found.problems)
        if found.state == "intact":
            return "intact", f"Not a byte has changed since it was sealed. Content digest {found.digest}", Tone.GOOD
        if found.state == "rewritten":
            return "rewritten", said, Tone.WARN
        return found.state, said, Tone.FAIL

    @property
    def verdict_says(self) -> tuple[str, Tone]:
        """The stored verdict, and that it proves nothing where the file is not what was sealed."""
        assert self.review is not None
        row = self.review.row
        if self.seal_says[2] is Tone.FAIL:
            return f"{verdict_text(row)}, {self.seal_says[0]}", Tone.FAIL
        return verdict_text(row), verdict_tone(row)

    @property
    def judge_says(self) -> tuple[str, str, Tone]:
        """Whether the installed code comes to what the file says: a word, why, and the tone."""
        if self.is_replaced:
            return "not recomputed", "What would be judged is not what is shown.", Tone.FAIL
        if self._judge_sentence:
            return "not recomputed", self._judge_sentence, Tone.FAIL
        again = self.again
        if again is None:
            return "recomputing…", "The installed code judges the run again from its data.", Tone.BUSY
        if again.identical:
            return "identical", f"Recomputed from the data: {again.why}.", Tone.GOOD
        if self.review is not None and self.review.evaluation is None:
            return "not judged", again.why, Tone.WARN
        return "differs", again.why, Tone.WARN

    # -- channels

    def points(self, channel: str) -> FilePoints:
        """The samples of a channel, for plots; reading them begins when they are first drawn."""
        if channel not in self._points:
            info = self.channel(channel)
            self._points[channel] = FilePoints(
                self._reader, channel, info.extent, lambda: self._points_changed(channel)
            )
        return self._points[channel]

    def channel(self, name: str) -> ChannelInfo:
        """What is known of a channel."""
        assert self.review is not None
        return next(one for one in self.review.channels if one.name == name)

    def reading_says(self) -> str:
        """How much of the channels that are looked at has been read; empty when all is there."""
        looked_at = [one for one in self._points.values() if one.is_begun and not one.sentence]
        left = [one for one in looked_at if not one.is_whole]
        if not left:
            return ""
        rows = sum(one.extent.rows for one in looked_at)
        done = sum(one.part_read * one.extent.rows for one in looked_at) / rows
        return f"Reading the curves: {done:.0%}. What is blank has not been read yet."

    def _points_changed(self, channel: str) -> None:
        points = self._points[channel]
        if points.sentence:
            self.context.notify(points.sentence, Tone.FAIL)
        if points.is_whole and points.flags and channel not in self._flagged and self.review is not None:
            self._flagged[channel] = flags(self.review, channel, self.channel(channel).label, points.flags)
            if self._view is not None:
                self._view.show_happenings()
        if self._view is not None:
            self._view.show_points(channel)

    @property
    def happenings(self) -> list[Happening]:
        """What happened, in order of time, with the quality flags of the channels that have been looked at."""
        if not self._flagged:
            return self._happenings
        more = [one for found in self._flagged.values() for one in found]
        return sorted([*self._happenings, *more], key=lambda one: one.t0)

    def first_groups(self) -> list[PlotGroup]:
        """The channels that are plotted when the run is opened: those that the procedure measures by."""
        assert self.review is not None
        with_role = [one for one in self.review.channels if one.roles]
        return grouped([one for group in grouped(with_role)[:PLOTS] for one in group.channels[:MOST_CURVES]])


def grouped(channels: Sequence[ChannelInfo]) -> list[PlotGroup]:
    """Channels by their unit, and pressures by what they are measured against; the usual ones first."""
    found: dict[tuple[str, str], list[ChannelInfo]] = {}
    for channel in channels:
        absolute = "absolute" if channel.reference == "absolute" else ""
        found.setdefault((channel.unit, absolute), []).append(channel)
    ranked = sorted(found, key=lambda key: (bool(key[1]), ORDER.index(key[0]) if key[0] in ORDER else len(ORDER)))
    return [PlotGroup(_titled(*key, found[key]), _quantity(*key), key[0], tuple(found[key])) for key in ranked]


TITLES = {
    "uL/h": "Flow",
    "kPa": "Pressure",
    "mg": "Mass",
    "N": "Force",
    "degC": "Temperature",
    "uL": "Volume",
    "mm": "Depth",
    "%": "Percent",
    "s": "Time",
}


def _titled(unit: str, absolute: str, channels: Sequence[ChannelInfo]) -> str:
    return channels[0].label.capitalize() if len(channels) == 1 else _quantity(unit, absolute)


def _quantity(unit: str, absolute: str) -> str:
    title = TITLES.get(unit, unit_text(unit) or "Codes and flags")
    return f"{title}, absolute" if absolute else title
