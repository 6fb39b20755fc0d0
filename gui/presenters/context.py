"""What every page of the window shares: who sits at it, where runs go, which run is watched, how work is done."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.run_queue import Entry
from bench.state_folder import home
from gui.presenters.background import Background
from gui.presenters.numbers import Numbers, PlainNumbers
from gui.presenters.tone import Tone


@dataclass(frozen=True, slots=True)
class Wish:
    """A run that another page has prepared; what is empty is yet to be chosen.

    Attributes
    ----------
    settings : parameters as people type them, by name.
    dut, serial : what is tested, as `bench.request.Request` names it, and its serial number.
    catheter, fluid : with what, named likewise.
    recipe : path of the file of one, instead of the bare protocol.
    """

    station: str = ""
    protocol: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    dut: str = ""
    serial: str = ""
    catheter: str = ""
    fluid: str = ""
    recipe: str = ""


@dataclass
class Context:
    """Shared by the pages.

    Attributes
    ----------
    background : see `Background`.
    numbers : how numbers are written on this screen.
    person : who sits at the window; is recorded with each command.
    folder : where run files are written and looked for.
    state_folder : of the queue, see `bench.state_folder.home`.
    notify : shows a sentence until it is dismissed.
    stop_says : what became of the stop of a run, by its number.
    """

    background: Background
    numbers: Numbers = field(default_factory=PlainNumbers)
    person: str = field(default_factory=getpass.getuser)
    folder: Path = field(default_factory=lambda: Path("runs").absolute())
    state_folder: Path = field(default_factory=home)
    notify: Callable[[str, Tone], None] = lambda text, tone: None
    _followers: list[Callable[[Entry], None]] = field(default_factory=list)
    _openers: list[Callable[[Path], None]] = field(default_factory=list)
    _preparers: list[Callable[[Wish], None]] = field(default_factory=list)
    _finders: list[Callable[[Mapping[str, str]], None]] = field(default_factory=list)
    _editors: list[Callable[[str], None]] = field(default_factory=list)
    _stoppers: list[Callable[[Entry], None]] = field(default_factory=list)
    stop_says: Callable[[int], tuple[str, Tone]] = lambda number: ("", Tone.PLAIN)

    def on_follow(self, call: Callable[[Entry], None]) -> None:
        """Hear that a run is to be watched."""
        self._followers.append(call)

    def on_open(self, call: Callable[[Path], None]) -> None:
        """Hear that a run file is to be reviewed."""
        self._openers.append(call)

    def on_find(self, call: Callable[[Mapping[str, str]], None]) -> None:
        """Hear that runs are to be found, by fields of `data.catalogue.store.Wanted`."""
        self._finders.append(call)

    def on_prepare(self, call: Callable[[Wish], None]) -> None:
        """Hear that a run is to be prepared."""
        self._preparers.append(call)

    def on_edit(self, call: Callable[[str], None]) -> None:
        """Hear that a station is to be looked at; "" for whichever."""
        self._editors.append(call)

    def on_stop(self, call: Callable[[Entry], None]) -> None:
        """Hear that a run is to be stopped."""
        self._stoppers.append(call)

    def stop(self, entry: Entry) -> None:
        """Stop a run, whether it is watched or not."""
        for call in self._stoppers:
            call(entry)

    def follow(self, entry: Entry) -> None:
        """Watch a run in the run page."""
        for call in self._followers:
            call(entry)

    def open(self, run_file: Path) -> None:
        """Review a run file in the review page."""
        for call in self._openers:
            call(run_file)

    def open_if_there(self, run_file: Path, otherwise: str) -> None:
        """Review a run file if it can be reached, else say a sentence; looked for aside: a share may not answer."""

        def looked(is_there: bool) -> None:
            if is_there:
                self.open(run_file)
            else:
                self.notify(otherwise, Tone.WARN)

        self.background.aside(run_file.exists, looked, lambda _: looked(False))

    def find(self, **wanted: str) -> None:
        """Find runs in the review page, through the catalogue."""
        for call in self._finders:
            call(wanted)

    def prepare(self, station: str, protocol: str = "") -> None:
        """Prepare a run on a station in the run page: of this protocol, or of one yet to be chosen."""
        self.wish(Wish(station, protocol))

    def wish(self, wish: Wish) -> None:
        """Prepare a run in the run page of which more is known."""
        for call in self._preparers:
            call(wish)

    def edit(self, station: str = "") -> None:
        """Look at a station in the station page."""
        for call in self._editors:
            call(station)
