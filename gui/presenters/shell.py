"""The window as a whole: which run is watched, what the header says of it, STOP, and how the window looks."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from bench import __version__
from bench.rpc.doors import Doors
from bench.run_queue import Entry, RunState
from gui.presenters.context import Context
from gui.presenters.header_text import HeaderText
from gui.presenters.known_runs import KnownRuns
from gui.presenters.limits import station_interlocks
from gui.presenters.live import Live, tone_of
from gui.presenters.numbers import duration, rough_duration
from gui.presenters.run_link import STATUS_S
from gui.presenters.stops import Stops
from gui.presenters.timeline import Timeline
from gui.presenters.tone import Tone

REASON = "pressed STOP in the window"
LOOK_S = 1.0
"""Between two looks at what a drive has left and which process conducts the run."""

LATE_S = 5.0
"""A drive that has not answered for so long does not answer: what it had left before is not what it has now."""

LOOK_FILE = "window.json"


class ShellView(Protocol):
    """What the shell asks of the window."""

    def go(self, key: str) -> None:
        """Bring a page to the front."""

    def show_header(self) -> None:
        """Show what `Shell` says now."""

    def show_look(self) -> None:
        """Take over scheme and density."""

    def notify(self, text: str, tone: Tone) -> None:
        """Show a sentence until it is dismissed."""


class Shell:
    """The window as a whole.

    Attributes
    ----------
    scheme, density : of the look; kept in the state folder.
    open_bar : opens the small window with STOP for each run that goes on.
    """

    def __init__(self, context: Context, live: Live) -> None:
        self.context = context
        self.live = live
        self._view: ShellView | None = None
        self._timeline = Timeline(live)
        self.stops = Stops(context, REASON, self._draw)
        self.open_bar: Callable[[], None] = lambda: None
        self._known = KnownRuns(context.state_folder)
        self._going: list[tuple[Entry, RunState]] = []
        self._waiting: list[Entry] = []
        self._is_seeing = False
        self._latest: int | None = None  # the run that was stopped although none was watched, while the header shows it
        self._disk = ""
        self._pid: tuple[Entry | None, int] = (None, 0)
        self._is_asking = self._is_looking = False
        self._looks_since = 0.0
        self._file = context.state_folder / LOOK_FILE
        self.scheme, self.density = kept_look(context.state_folder)
        context.on_follow(self._followed)
        context.on_open(lambda _: self._go("review"))
        context.on_find(lambda _: self._go("review"))
        context.on_prepare(lambda _: self._go("run"))
        context.on_edit(lambda _: self._go("station"))
        context.on_stop(self._stop)
        context.stop_says = self.stops.says
        live.listen(lambda _: self._draw())

    def attach(self, view: ShellView) -> None:
        """Have a window; the run that goes on is watched in it, if there is just one."""
        self._view = view
        self.context.notify = view.notify
        view.show_look()
        view.show_header()
        self._look()
        self.context.background.every(LOOK_S, self._look)
        self.context.background.aside(lambda: going_on(self.context.state_folder, self._known), self._found)

    def close(self) -> None:
        """Let go of everything."""
        self.live.close()

    # -- the run that is watched

    def _found(self, going: list[Entry]) -> None:
        if len(going) == 1:
            self.context.follow(going[0])
        elif going:
            self._go("bench")

    def _followed(self, entry: Entry) -> None:
        self._latest = None
        self.stops.show(entry.number)
        self._go("run")

    def header(self) -> HeaderText:
        """What the header says."""
        live = self.live
        if live.link is None:
            return HeaderText()
        entry, status, plan = live.link.entry, live.status, live.plan
        word, tone = state_of(live)
        elapsed = live.last_s if status is None else max(status.elapsed_s, live.last_s)
        left = self._timeline.left()
        dut = {} if plan is None else plan.dut
        return HeaderText(
            entry.station,
            word,
            tone,
            f"{entry.number:04d}",
            entry.procedure,
            f"{dut.get('model', '')} / {dut.get('serial', '')}" if dut else "",
            duration(elapsed) if plan is not None else "",
            left,
            live.origin,
            *self._emergency_stop(),
        )

    def _emergency_stop(self) -> tuple[str, Tone]:
        """The state of the hardware's emergency stop, as its input tells it."""
        plan = self.live.plan
        protection = {} if plan is None else plan.station.get("protection") or {}
        name = protection.get("e_stop")
        if plan is None:
            return "", Tone.PLAIN
        if not name:
            return "Emergency stop: none is wired", Tone.PLAIN
        units = {one.name: one.unit for one in self.live.traces.values()}
        found = [one for one in station_interlocks(plan.station, units) if one.name == name]
        live, trace = self.live, self.live.traces.get(found[0].channel) if found else None
        if trace is None or live.is_behind:
            return "Emergency stop: not read yet", Tone.PLAIN
        is_late = live.is_read and not live.is_known(trace)
        if math.isnan(trace.t):
            return "Emergency stop: not read yet", Tone.WARN if is_late else Tone.PLAIN
        pressed = found[0].state(trace.value, trace.quality)
        if not live.is_read:  # nobody reads it any more: what it was is not what it is
            was = {True: "PRESSED", False: "released", None: "not to be read"}[pressed]
            return f"Emergency stop: {was} at the end", Tone.WARN if pressed else Tone.PLAIN
        if is_late:
            return f"Emergency stop: not read for {rough_duration(live.age(trace))}", Tone.WARN
        if pressed is None:
            return "Emergency stop: its input cannot be read", Tone.WARN
        return ("Emergency stop: PRESSED", Tone.FAIL) if pressed else ("Emergency stop: released", Tone.PLAIN)

    def status_bar(self) -> dict[str, str]:
        """What the bar at the bottom says."""
        live, said = self.live, {}
        if live.link is None:
            said["runner"] = "No run is watched"
        elif live.ending is not None:
            said["runner"] = "The run has ended"
        elif live.link.silent_s > STATUS_S:
            said["runner"] = f"The runner has not answered for {live.link.silent_s:.0f} s"
        else:
            entry, pid = self._pid
            pid = pid if live.status is not None and entry is live.link.entry else 0
            said["runner"] = f"Runner connected, process {pid}" if pid else "Waiting for the runner"
        said["age"] = ""
        if live.link is not None:
            said["age"] = "catching up…" if live.link.behind else f"{live.samples:,} samples"
        said["disk"] = self._disk
        if self._is_looking and time.monotonic() - self._looks_since > LATE_S:
            said["disk"] = f"{self.context.folder} does not answer"
        said["queue"] = ""
        said["version"] = f"pumpbench {__version__}"
        return said

    def _look(self) -> None:
        """See what the bar at the bottom tells of files, aside: a drive that does not answer holds up nothing here."""
        self._draw()
        if not self._is_seeing:
            self._is_seeing = True
            self.context.background.aside(self._known.going, self._seen, self._not_seen)
        link = self.live.link
        if not self._is_asking and link is not None:
            self._is_asking, entry = True, link.entry
            background = self.context.background
            background.aside(lambda: (entry, entry.state().pid), self._told, lambda _: self._told(self._pid))
        if not self._is_looking:
            self._is_looking, self._looks_since = True, time.monotonic()
            folder = self.context.folder
            self.context.background.aside(lambda: _room(folder), self._looked, self._looked)

    def _told(self, pid: tuple[Entry | None, int]) -> None:
        self._is_asking, self._pid = False, pid

    def _looked(self, disk: str) -> None:
        self._is_looking, self._disk = False, disk

    def _seen(self, going: list[tuple[Entry, RunState]]) -> None:
        self._is_seeing = False
        self._going = [(entry, state) for entry, state in going if state.state != "waiting"]
        self._waiting = [entry for entry, state in going if state.state == "waiting"]
        others = [entry.number for entry in self._others]
        if self.live.link is None and others and self._latest not in others:  # the header names what STOP stops now
            self._latest = None
            self.stops.show(None)

    def _not_seen(self, sentence: str) -> None:
        self._is_seeing = False  # what was known stays

    # -- stop

    @property
    def can_stop(self) -> bool:
        """Whether there is anything to stop."""
        return self.live.is_going or bool(self._others)

    @property
    def _others(self) -> list[Entry]:
        """Runs that have begun and go on; not the one that is watched, whose end is known here first."""
        watched = None if self.live.link is None else self.live.link.entry
        return [entry for entry, _ in self._going if entry != watched]

    @property
    def _only_waits(self) -> bool:
        """Whether the run that is watched has not begun: nothing moves for it."""
        live = self.live
        is_told = live.link is None or live.link.doors is not None or live.status is not None or live.plan is not None
        return not is_told and live.link is not None and live.link.entry in self._waiting

    def stop(self) -> None:
        """Stop the run that is watched, now; where none is, the one that goes on; where several do, ask which.

        Who has watched a run to its end may still mean that one: another is never stopped without having been asked
        for.  Who watches one that waits in the queue most likely means what moves.
        """
        live, others = self.live, self._others
        if live.link is not None and live.is_going and not (self._only_waits and others):
            self._stop(live.link.entry)
        elif live.link is None and len(others) == 1:
            self._latest = others[0].number
            self.stops.show(self._latest)
            self._stop(others[0])
        elif others:
            try:
                self.open_bar()
            except OSError as error:
                why = f"The window with STOP for each run cannot be opened ({error.strerror})"
                self.context.notify(f"{why}; press STOP on the run's station, page Bench", Tone.FAIL)

    def _stop(self, entry: Entry) -> None:
        """Stop a run, over the line that is known already where there is one."""
        link = self.live.link
        doors = link.doors if link is not None and link.entry == entry else self._doors_of(entry)
        self.stops.press(entry, doors)
        self._draw()

    def _doors_of(self, entry: Entry) -> Doors | None:
        return next((state.doors for one, state in self._going if one == entry), None)

    def stop_says(self) -> tuple[str, Tone]:
        """What became of it, or what it would stop."""
        link = self.live.link
        said = self.stops.says(None if link is None else link.entry.number)
        others = self._others
        if not said[0] and link is not None and others and self._only_waits:
            return f"Run {link.entry.number:04d} only waits: STOP asks which run", Tone.MUTED
        if said[0] or self.live.is_going:
            return said
        if link is None and self._latest is not None:
            text, tone = self.stops.says(self._latest)
            return f"Run {self._latest:04d}: {text}", tone
        if not others:
            return "", Tone.PLAIN
        if link is None and len(others) == 1:
            return f"STOP stops run {others[0].number:04d} on {others[0].station}", Tone.MUTED
        return "STOP asks which run", Tone.MUTED

    # -- the look

    def other_scheme(self) -> None:
        """Light or dark."""
        self.scheme = "light" if self.scheme == "dark" else "dark"
        self._keep_look()

    def other_density(self) -> None:
        """For the desk or for gloves."""
        self.density = "desk" if self.density == "touch" else "touch"
        self._keep_look()

    def _keep_look(self) -> None:
        if self._view is not None:
            self._view.show_look()
        said = json.dumps({"scheme": self.scheme, "density": self.density})
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file.write_text(said, "utf-8")

    def _go(self, key: str) -> None:
        if self._view is not None:
            self._view.go(key)

    def _draw(self) -> None:
        if self._view is not None:
            self._view.show_header()


def state_of(live: Live) -> tuple[str, Tone]:
    """The word for the state of the run that is watched, and its tone."""
    assert live.link is not None
    return tone_of(live.status, live.ending, live.link.silent_s > STATUS_S)


def going_on(folder: Path, runs: KnownRuns | None = None) -> list[Entry]:
    """Runs of this computer that have begun and have not ended; where none has begun, those that wait to.

    ``runs`` is what is known of them already.
    """
    going = [(entry, state.state) for entry, state in (runs or KnownRuns(folder)).going()]
    return [entry for entry, word in going if word != "waiting"] or [entry for entry, _ in going]


def _room(folder: Path) -> str:
    """What is free where a folder is or will be: a drive may be gone, or a share not be reached."""
    there = folder
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        return f"{shutil.disk_usage(there).free / 1e9:.0f} GB free in {folder}"
    except OSError as error:
        return f"{folder} cannot be reached: {error.strerror}"


def kept_look(state_folder: Path) -> tuple[Literal["light", "dark"], Literal["desk", "touch"]]:
    """Scheme and density that a person has chosen; the usual ones where none did."""
    kept = _kept(state_folder / LOOK_FILE)
    return (
        "dark" if kept.get("scheme") == "dark" else "light",
        "touch" if kept.get("density") == "touch" else "desk",
    )


def _kept(path: Path) -> dict[str, str]:
    try:
        said = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
