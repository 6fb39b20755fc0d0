"""Starts the window: one QApplication, its theme, the pages and what they share."""

from __future__ import annotations

import argparse
import faulthandler
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pyqtgraph
from PyQt6.QtWidgets import QApplication

from gui.presenters.campaigns import Campaigns
from gui.presenters.context import Context
from gui.presenters.live import TICK_S, Live
from gui.presenters.qualification import Qualification
from gui.presenters.register import Register
from gui.presenters.shell import Shell, going_on
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.background import QtBackground
from gui.views.bench_page import BenchPage
from gui.views.campaign_page import CampaignPage
from gui.views.hang_guard import HangGuard, open_stop_bar
from gui.views.qualify_page import QualifyPage
from gui.views.register_page import RegisterPage
from gui.views.review_page import ReviewPage
from gui.views.run_page import RunPage
from gui.views.screen_numbers import ScreenNumbers
from gui.views.station_page import StationPage
from gui.views.stop_bar import Why
from gui.views.window import PageEntry, Window

SIZE = (1600, 960)
MARGIN = 60
"""For the frame and the title that the desktop gives a window."""


def pages(context: Context, live: Live) -> list[PageEntry]:
    """Every page of the window, in the order of the rail."""
    bench = BenchPage(context)
    run = RunPage(context, live)
    review = ReviewPage(context)
    station = StationPage(context)
    qualify = QualifyPage(Qualification(context))
    campaigns = CampaignPage(Campaigns(context))
    register = RegisterPage(Register(context))
    made: list[PageEntry] = [
        PageEntry("bench", "Bench", "bench", bench, bench.shown),
        PageEntry("run", "Run", "run", run, run.shown),
        PageEntry("review", "Review", "review", review, review.shown),
        PageEntry("station", "Station", "station", station, station.shown),
        PageEntry("qualify", "Qualify", "qualify", qualify, qualify.shown),
        PageEntry("campaigns", "Campaigns", "campaigns", campaigns, campaigns.shown),
        PageEntry("register", "Register", "register", register, register.shown),
    ]
    return made


def build(folder: Path | None = None, person: str = "") -> tuple[Window, Context]:
    """The main window and what its pages share; a QApplication has to be there."""
    look()
    pyqtgraph.setConfigOptions(antialias=False, useOpenGL=False)
    background = QtBackground(lambda text: context.notify(text, Tone.WARN))
    context = Context(background, ScreenNumbers())
    if folder is not None:
        context.folder = folder.absolute()
    if person:
        context.person = person
    live = Live(context)
    shell = Shell(context, live)
    window = Window(shell, pages(context, live))
    end = background.every(TICK_S, live.tick)

    state, who = context.state_folder, context.person
    guard = HangGuard(lambda: live.is_going or bool(going_on(state)), lambda why: open_stop_bar(state, who, why))
    shell.open_bar = guard.ask
    window.hand_over = lambda numbers: hand_over(state, who, numbers)

    def leave() -> None:
        end()
        guard.close()
        background.close()

    window.closing.connect(leave)
    window.resize(*SIZE)
    return window, context


def hand_over(state: Path, person: str, numbers: Sequence[int]) -> None:
    """Have stops that have no answer yet asked for by a small window that outlives this one; raises OSError."""
    open_stop_bar(state, person, Why.CLOSED, numbers)


def show(window: Window) -> None:
    """Show it in its size, or over the whole screen where that is not much larger."""
    screen = window.screen()
    room = None if screen is None else screen.availableSize()
    if room is not None and (room.width() < SIZE[0] + MARGIN or room.height() < SIZE[1] + MARGIN):
        window.showMaximized()
    else:
        window.show()


def heed_interrupts() -> None:
    """Let the processes that the window starts be interrupted, where a script has started it with ``&``.

    A shell has such a program ignore SIGINT, and whatever it starts inherits that: a qualification could not be
    stopped.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)


def tell_defects(context: Context) -> None:
    """Have what nobody has foreseen shown, in Qt's thread and in every other."""

    def told(kind: type[BaseException], error: BaseException | None) -> None:
        context.notify(f"The window has a defect ({kind.__name__}: {error}). The run is not touched by it.", Tone.FAIL)

    def caught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """A defect of the window is shown and survived: the run that it watches is in another process."""
        traceback.print_exception(kind, error, trace)
        told(kind, error)

    def caught_elsewhere(said: threading.ExceptHookArgs) -> None:
        """A thread with a defect ends: what it was to bring does not come any more.

        It is printed at once: Qt's thread may hang, or take no more calls since the window closes.
        """
        kind, error = said.exc_type, said.exc_value
        if issubclass(kind, SystemExit):
            return  # a thread that ends itself, as Python has it
        traceback.print_exception(kind, error, said.exc_traceback)
        context.background.post(lambda: told(kind, error))

    sys.excepthook = caught
    threading.excepthook = caught_elsewhere


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window; returns the exit code when it is closed.  Runs that go on go on."""
    parser = argparse.ArgumentParser("pumpbench gui")
    parser.add_argument("--folder", type=Path, help="where run files are written and looked for; runs without it")
    parser.add_argument("--person", default="", help="who sits at the window; the OS account without it")
    parser.add_argument("open", nargs="?", type=Path, help="run file to review")
    asked = parser.parse_args(arguments)
    faulthandler.enable()
    heed_interrupts()
    app = QApplication.instance() or QApplication(["pumpbench"])
    window, context = build(asked.folder, asked.person)
    tell_defects(context)
    show(window)
    if asked.open is not None:
        context.open(asked.open.absolute())
    return int(app.exec())
