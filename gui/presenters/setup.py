"""Preparing a run: the form, what stands against it, what it would tell, its start, and the runs that wait."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from bench.request import Override, Request
from bench.run_queue import Entry
from gui.presenters.background import Cancel, nothing
from gui.presenters.context import Context, Wish
from gui.presenters.known_runs import KnownRuns
from gui.presenters.numbers import local_date, local_time, rough_duration
from gui.presenters.setup_check import NOT_CHECKED, UNSURE, Examined, FindingRow, Foreseen, begin, examine, foresee
from gui.presenters.setup_choices import Choices, StationChoice, files_stamp, find_choices, with_states
from gui.presenters.setup_fields import one_line
from gui.presenters.setup_form import USUAL, USUAL_PACE, Part, SetUpForm
from gui.presenters.setup_memory import Memory
from gui.presenters.setup_queue import QueueRow, get_going, is_first_start, queue_rows, withdraw
from gui.presenters.tone import Tone

TICK_S = 0.25
QUIET_TICKS = 2
"""Ticks without an edit before a request is looked at: between a quarter and half a second."""

LOOK_TICKS = 8
"""Ticks between two looks at the queue and at who holds the stations."""

TRIED_S = 60.0
"""Real time of the run that a first start offers."""

TRIED_SEED = "7"
RIG_CHECK = "rig-check"
"""The finding, and the protocol that remedies it."""

TODAY_S = 12 * 3600.0


class SetUpView(Protocol):
    """What the presenter asks of its panel."""

    def show_part(self, part: Part, name: str) -> None:
        """Show what the presenter says now; ``name`` is the field or the article that has changed, else empty."""


class SetUp:
    """A run that is being prepared.

    Attributes
    ----------
    form : what is chosen and typed.
    examined, foreseen : what is known of the request as it is; None while that is worked out.
    overrides : reasons, by the code of a finding that the person takes upon themselves; ``overrides_of`` is another one
        when they would be about something else.
    lapsed : codes of reasons that do not count any more, since something else was found than what they were about.
    queue : the runs that wait or go on.
    is_first : whether nobody has started a run here yet.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._memory = Memory.read(context.state_folder)
        self.form = SetUpForm(self._memory, context.person, context.folder, self._show, self._changed)
        self.form.is_there = self._is_there
        self._files: dict[str, bool] = {}  # that were named, and whether they are there
        self._sought: set[str] = set()
        self.overrides: dict[str, str] = {}
        self._overridden: dict[str, frozenset[str]] = {}  # what was found when the reason was given, by its code
        self.lapsed: frozenset[str] = frozenset()
        self.examined: Examined | None = None
        self.foreseen: Foreseen | None = None
        self.queue: tuple[QueueRow, ...] = ()
        self.is_first = False
        self.is_starting = False
        self._is_tried = False
        self._view: SetUpView | None = None
        self._wanted = Wish()
        self._is_shown = False
        self._quiet = 0
        self._until_look = 0
        self._runs = KnownRuns(context.state_folder)
        self._is_looking = False
        self._stamp: object = None  # of the station files when they were looked for
        self.overrides_of: object = None
        self._started = 0
        self._asked: Request | None = None
        self._cancel: Cancel = nothing
        context.on_prepare(self._prepare)

    def attach(self, view: SetUpView) -> None:
        """Have a panel, and find out what can be chosen."""
        self._view = view
        self.context.background.every(TICK_S, self._tick)
        self.find()

    def shown(self, is_shown: bool) -> None:
        """Whether anybody sees the panel; else nothing is looked at."""
        self._is_shown = is_shown
        self._until_look = 0

    def find(self) -> None:
        """Look for stations and files, anew too."""
        folder, state_folder = self.context.folder, self.context.state_folder
        self.context.background.aside(
            lambda: (files_stamp(folder), find_choices(folder, state_folder), is_first_start(state_folder)),
            lambda found: self._found(*found),
        )

    def _found(self, stamp: object, choices: Choices, is_first: bool) -> None:
        self.is_first, self._stamp = is_first, stamp
        wanted, self._wanted = self._wanted, Wish()
        self.form.take_choices(choices, (wanted.station, wanted.protocol))
        self._fill_in(wanted)
        self._changed()  # what stands against the run may be another thing by now

    def _prepare(self, wish: Wish) -> None:
        """Another page has a run prepared."""
        if self.form.choices is None:
            self._wanted = wish
            return
        if wish.station and self.form.called(wish.station) is None:  # its file may have come since
            self._wanted = wish
            self.find()
            return
        if wish.protocol in self.form.choices.protocols:
            self.form.choose_protocol(wish.protocol)
        self.form.choose_station(wish.station)
        self._fill_in(wish)
        self.is_first = self.is_first and not wish.settings  # who comes with a run in mind is not offered another
        self._show("choices")

    def _fill_in(self, wish: Wish) -> None:
        """Put in what a wish knows, and say what of it is not at hand."""
        form, lacks = self.form, []
        assert form.choices is not None
        if wish.recipe:
            form.choose_recipe(wish.recipe)
        for what, name, is_there in (
            ("station", wish.station, form.called(wish.station) is not None),
            ("protocol", wish.protocol, wish.protocol in form.choices.protocols),
            ("recipe", wish.recipe, form.recipe is not None and form.recipe.name == wish.recipe),
        ):
            if name and not is_there:
                lacks.append(f"{what} {name}")
        if lacks:
            said = f"Not at hand: {', '.join(lacks)}. Look at what is chosen instead before you start."
            self.context.notify(said, Tone.WARN)
        if not wish.protocol or wish.protocol in form.choices.protocols:
            form.fill_in(wish)

    def _is_there(self, path: str) -> bool | None:
        """Whether a file that was named is there; None while nobody knows."""
        if path not in self._files:
            self._seek(path)
        return self._files.get(path)

    def _seek(self, path: str) -> None:
        """Look for a file that was named, aside: a share may not answer."""
        if path in self._sought:
            return
        self._sought.add(path)

        def looked(is_there: bool) -> None:
            self._sought.discard(path)
            before, self._files[path] = self._files.get(path), is_there
            if is_there is (before is False):  # another thing is said of it than before
                for kind, typed in self.form.articles.items():
                    if typed.strip() == path:
                        self._show("article", kind)
                self._changed()

        self.context.background.aside(Path(path).is_file, looked, lambda _: looked(False))

    # -- what stands against it

    @property
    def blocking(self) -> tuple[FindingRow, ...]:
        """Findings that block and that nobody took upon themselves."""
        found = () if self.examined is None else self.examined.findings
        return tuple(one for one in found if one.level == "blocks" and not self._is_taken(one))

    def _is_taken(self, one: FindingRow) -> bool:
        return one.overridable and one.code in self.overrides

    @property
    def why_not(self) -> str:
        """Why the run cannot start, in one sentence; empty where it can."""
        if self.is_starting:
            return "Starting…"
        if wrong := self.form.wrong:
            return wrong
        if self.examined is None:
            return "Checking…"
        blocking = self.blocking
        if not blocking:
            return ""
        return blocking[0].text + (f" And {len(blocking) - 1} more." if len(blocking) > 1 else "")

    @property
    def start_word(self) -> str:
        """What the button does: the run starts, or waits for the station."""
        return "&Queue the run" if self._would_wait else "&Start the run"

    @property
    def waits_behind(self) -> str:
        """What a run that is queued now waits for, where another one waits for a person; empty where none does."""
        station = None if self.form.station is None else self.form.station.station
        left = [row.entry.number for row in self.queue if row.is_left_alone and station is not None
                and row.entry.station == station.name]  # fmt: skip
        if not left:
            return ""
        return f"Run {left[0]} waits for a person, and this one would wait behind it; begin or withdraw it first."

    @property
    def _would_wait(self) -> bool:
        return self.form.station is not None and (self.form.station.is_busy or bool(self.waits_behind))

    def override(self, code: str, reason: str) -> None:
        """Take a finding upon oneself with a reason; without one, no more."""
        self.overrides.pop(code, None)
        if reason.strip():
            self.overrides[code], self._overridden[code] = reason.strip(), self.texts(code)
            self.lapsed -= {code}
        self._show("findings")
        self._show("start")

    def texts(self, code: str) -> frozenset[str]:
        """What was found under a code that a person may take upon themselves, as the bench says it."""
        found = () if self.examined is None else self.examined.findings
        return frozenset(one.found for one in found if one.code == code and one.overridable)

    def _let_lapse(self) -> None:
        """A reason is given for what somebody has read: it is none for anything else, though that has the same code."""
        gone = {code for code in self.overrides if not self.texts(code) <= self._overridden[code]}
        self.overrides = {code: reason for code, reason in self.overrides.items() if code not in gone}
        self.lapsed |= gone

    def prepare_rig_check(self) -> None:
        """Prepare the rig check without which this run may not start."""
        self.form.choose_protocol(RIG_CHECK)

    def _taken_over(self) -> list[Override]:
        """Overrides of what is there to be overridden; others would be recorded for nothing."""
        found = () if self.examined is None else self.examined.findings
        codes = {one.code for one in found if one.overridable}
        return [
            Override(code, self.form.person, reason, tuple(sorted(self._overridden[code])))
            for code, reason in self.overrides.items()
            if code in codes
        ]

    def takes(self) -> str:
        """How long the run takes, and when it ends on the clock of the wall; empty while that is not known."""
        if self.examined is None or not self.examined.steps:
            return ""
        least_s, most_s = self.examined.takes_s
        least, most = rough_duration(least_s), rough_duration(most_s)
        takes = f"Takes {most}" if least == most else f"Takes {least} to {most}"
        if self.form.has_own_time or self.form.pace == 1.0:
            pace, at_pace = 1.0, ""
        elif self.form.pace is None:
            return f"{takes} of simulated time, as fast as possible"
        else:
            pace = self.form.pace
            bound = "" if least == most else "at most "
            at_pace = f" of simulated time: {bound}{rough_duration(most_s / pace)} at this pace"
        if self._would_wait:
            return takes + at_pace
        end = datetime.now().astimezone() + timedelta(seconds=most_s / pace)
        when = local_time(end) if most_s / pace < TODAY_S else local_date(end)
        return f"{takes}{at_pace}; ends {'at' if least == most else 'by'} {when}"

    # -- starting

    def start(self) -> None:
        """Start the run, or have it wait for its station."""
        if self.why_not:
            return
        self.form.remember()
        with contextlib.suppress(OSError):  # the next run is prepared with a few more words
            self._memory.write(self.context.state_folder)
        self._begin()

    def _begin(self) -> None:
        request = self.form.request(self._taken_over())
        if request is None:
            self._not_begun(self.form.wrong)
            return
        self.is_starting, waits = True, self._would_wait
        self._show("start")
        self.context.background.apart(
            begin, (request,), lambda entry: self._begun(entry, request, waits), self._not_begun, late=UNSURE
        )

    def try_it(self) -> None:
        """Fill in a short flow-accuracy run of the simulated station, which lasts about a minute, and start it."""
        form = self.form
        if form.choices is None or self.is_starting:
            return
        form.choose_station(USUAL[0])
        form.choose_protocol(USUAL[1])
        form.put_back()
        assert form.protocol is not None
        form.fill(dict(form.protocol.qualification))
        values = {name: one_line(field.text) for name, field in form.fields.items()}
        takes_s = sum(step.most_s for step in form.protocol(**values).steps())
        form.faults, form.seed = [], TRIED_SEED
        form.choose_pace(float(max(round(takes_s / TRIED_S), 1)))
        self._show("choices")
        self._show("simulation")
        self._is_tried = True
        self._begin()

    def _begun(self, entry: Entry, request: Request, waits: bool) -> None:
        if self._is_tried:  # which makes no habit
            self.form.put_back()
            self.form.pace, self.form.seed = USUAL_PACE, self._memory.seed
        self.is_starting = self.is_first = self._is_tried = False
        if self.form.serial == request.serial:  # else the next one was scanned meanwhile
            self.overrides, self.form.serial = {}, ""
            self._started += 1
        self._until_look = 0
        self._show("form")
        self._changed()
        if waits:
            self.context.notify(f"Run {entry.number} waits for station {entry.station}.", Tone.PLAIN)
        else:
            self.context.follow(entry)

    def _not_begun(self, sentence: str) -> None:
        self.is_starting = self._is_tried = False
        said = sentence if sentence == UNSURE else f"The run was not started. {sentence}"
        self.context.notify(said, Tone.FAIL)
        self._changed()

    # -- the queue

    def watch(self, row: QueueRow) -> None:
        """Watch a run of the queue."""
        self.context.follow(row.entry)

    def withdraw(self, row: QueueRow) -> None:
        """Take a run that waits out of the queue."""
        person = self.form.person or self.context.person
        self.context.background.aside(
            lambda: withdraw(row.entry, person, "withdrawn in the window"), lambda _: self._look()
        )

    def get_going(self, row: QueueRow) -> None:
        """Have a run begin that waits although nobody holds its station."""
        self.context.background.aside(lambda: get_going(row.entry), lambda _: self._look())

    def _look(self) -> None:
        """Look at the queue and at who holds the stations, unless that is under way: a share may not answer."""
        if self._is_looking:
            return
        self._is_looking = True
        folder, files, runs, choices = self.context.state_folder, self.context.folder, self._runs, self.form.choices
        stations = choices.stations if choices is not None else ()
        self.context.background.aside(
            lambda: (queue_rows(folder, runs), tuple(with_states(stations, folder, runs)), files_stamp(files)),
            lambda found: self._looked(choices, *found),
            self._not_looked,
        )

    def _not_looked(self, sentence: str) -> None:
        self._is_looking = False
        self.context.notify(f"The queue cannot be read: {sentence}", Tone.WARN)

    def _looked(
        self, choices: Choices | None, rows: tuple[QueueRow, ...], stations: tuple[StationChoice, ...], stamp: object
    ) -> None:
        self._is_looking = False
        if self.form.choices is not None and stamp != self._stamp:
            self.find()  # a station file has come, has gone or is another one
        if rows != self.queue:
            self.queue = rows
            self._show("queue")
        form = self.form
        if form.choices is None or form.station is None or form.choices is not choices:
            return  # others were found in between, from files that may be newer
        if form.choices.stations != stations:
            form.choices = replace(form.choices, stations=stations)
            form.station = form.called(form.station.name)
            self._show("states")
            self._show("start")

    # -- working it out

    def _changed(self) -> None:
        """What was known is no longer so; it is worked out anew when the person pauses."""
        form = self.form
        station, articles = form.station and form.station.name, tuple(form.articles.values())
        about = (self._started, station, form.protocol, form.serial, articles)
        if about != self.overrides_of:  # a reason is given for one run, of one station and one article
            self.overrides, self.lapsed, self.overrides_of = {}, frozenset(), about
        self._quiet = QUIET_TICKS
        self._cancel()
        self.examined = self.foreseen = None
        self._show("findings")
        self._show("start")

    def _tick(self) -> None:
        if not self._is_shown:
            return
        if self._until_look == 0:
            self._until_look = LOOK_TICKS
            self._look()
            for path in {typed.strip() for typed in self.form.articles.values()}:
                if self._files.get(path) is False:
                    self._seek(path)  # somebody may have put it there
            self._show("start")  # the end on the clock moves on
        self._until_look -= 1
        if self._quiet:
            self._quiet -= 1
            if self._quiet == 0:
                self.form.settle()
                self._ask()

    def _ask(self) -> None:
        """Have the request examined, the latest alone: each takes a process."""
        request = self.form.request()
        if request is None or self.is_starting:
            return
        self._asked = request
        self._cancel()
        look_at = self.context.background.apart
        self._cancel = look_at(examine, (request,), self._answered, self._not_answered, late=NOT_CHECKED)

    def _answered(self, examined: Examined) -> None:
        asked = self._asked
        if asked is None or self.form.request() != asked:
            if not self._quiet:
                self._ask()
            return
        self.examined = examined
        self._let_lapse()
        self._show("findings")
        self._show("start")
        impossible = any(one.level == "blocks" and not one.overridable for one in examined.findings)
        if examined.steps and not impossible:
            self._cancel = self.context.background.apart(
                foresee,
                (asked,),
                lambda found: self._foreseen(asked, found),
                lambda why: self._foreseen(asked, Foreseen(why_not=why)),
                late="To forecast it took longer than 2 min and was given up",
            )

    def _not_answered(self, sentence: str) -> None:
        self._answered(Examined((FindingRow("request", "blocks", sentence),)))

    def _foreseen(self, asked: Request, foreseen: Foreseen) -> None:
        if self._asked is asked and self.examined is not None:
            self.foreseen = foreseen
            self._show("findings")

    def _show(self, part: Part, name: str = "") -> None:
        if self._view is not None:
            self._view.show_part(part, name)
