"""The run page: what is shown of the run that is watched, and whether a new one is being prepared instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.positions import parted
from bench.run_queue import Entry
from gui.presenters.asking import Asking
from gui.presenters.context import Context, Wish
from gui.presenters.controls import Controls
from gui.presenters.excluding import Excluding
from gui.presenters.instrument_rows import Instruments
from gui.presenters.limits import Interlocks
from gui.presenters.live import Live
from gui.presenters.live_plots import LivePlots, trumpet_of
from gui.presenters.provisional import Provisional
from gui.presenters.run_end import EndText, end_text
from gui.presenters.timeline import Timeline
from gui.presenters.tone import Tone


class RunPageModel:
    """All that the page is made of.

    Attributes
    ----------
    is_preparing : a new run is being prepared although one is watched.
    """

    def __init__(self, context: Context, live: Live) -> None:
        self.context = context
        self.live = live
        self.changed: Callable[[], None] = lambda: None
        self.checks_changed: Callable[[], None] = lambda: None
        self.instruments = Instruments(live, context.numbers)
        self.timeline = Timeline(live)
        self.interlocks = Interlocks(live, context.numbers)
        self.plots = LivePlots(live, self.interlocks, context.numbers)
        self.asking = Asking(context, live, lambda: self.changed())
        self.controls = Controls(context, live, lambda: self.changed())
        self.excluding = Excluding(self.controls, live)
        self.provisional = Provisional(context, live, self._judged)
        self.is_preparing = False
        context.on_follow(self._followed)
        context.on_prepare(lambda _: self.prepare())

    @property
    def shows_run(self) -> bool:
        """Whether a run is shown, not the panel in which one is prepared."""
        return self.live.link is not None and not self.is_preparing

    def prepare(self) -> None:
        """Prepare a new run; one that is watched goes on."""
        self.is_preparing = True
        self.changed()

    def back(self) -> None:
        """Show the run that is watched again."""
        self.is_preparing = False
        self.changed()

    def end(self) -> EndText | None:
        """How the run ended."""
        return end_text(self.live)

    def review(self) -> None:
        """Open the run file in the review page."""
        end = self.end()
        if end is not None and end.run_file is not None:
            self.context.open(end.run_file)

    def again(self) -> None:
        """Prepare a run like the one that has ended."""
        link = self.live.link
        if link is None:
            return
        try:
            asked, cwd = link.entry.request(), Path(link.entry.cwd)
        except ValueError as error:
            self.context.notify(str(error), Tone.WARN)
            return

        def found(name: str | None) -> str:
            """A name is the bench's; a path was told in the folder in which the run began."""
            return str(cwd / name) if name and parted(name)[0].endswith(".toml") else name or ""

        self.context.wish(
            Wish(
                station=found(asked.station),
                protocol=asked.procedure,
                settings=asked.settings,
                dut=found(asked.dut),
                catheter=found(asked.catheter),
                fluid=found(asked.fluid),
                recipe="" if asked.recipe is None else str(cwd / asked.recipe),
            )
        )

    def _followed(self, entry: Entry) -> None:
        self.is_preparing = False
        self.asking.forget()
        self.controls.forget()
        self.changed()

    def _judged(self) -> None:
        self.plots.trumpet = trumpet_of(self.provisional.curves)
        self.plots.is_judged = self.provisional.final is not None
        self.checks_changed()
