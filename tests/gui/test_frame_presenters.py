"""What the frame of the window says: numbers, event lines, the header, and what is kept of its look."""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.request import Request
from bench.rpc.messages import Ending, Status
from bench.run_queue import StationLock, enqueue
from data.frames import Record
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.events import event_row
from gui.presenters.live import Live, tone_of
from gui.presenters.numbers import (
    PlainNumbers,
    digits_of,
    duration,
    figures,
    rough_duration,
    significant,
    with_unit,
)
from gui.presenters.shell import Shell, going_on, kept_look
from gui.presenters.tone import Tone
from instruments.capabilities import Prompt

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Page:
    """A window that remembers."""

    def __init__(self) -> None:
        self.page, self.notices, self.looks = "", [], 0

    def go(self, key: str) -> None:
        self.page = key

    def show_header(self) -> None:
        pass

    def show_look(self) -> None:
        self.looks += 1

    def notify(self, text: str, tone: Tone) -> None:
        self.notices.append((text, tone))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(Inline(), person="Ada", folder=tmp_path / "runs", state_folder=tmp_path / "state")


@pytest.mark.parametrize(
    ("u", "digits"), [(0.056, 3), (0.0056, 4), (1.2, 1), (12.0, 0), (0.0, 3), (math.nan, 3), (0.1, 2)]
)
def test_a_value_is_written_to_two_digits_of_its_uncertainty(u: float, digits: int) -> None:
    assert digits_of(u) == digits


def test_numbers_have_a_true_minus_a_unit_and_a_dash_for_nothing() -> None:
    assert PlainNumbers().number(-1.2345, 2) == "−1.23"
    assert PlainNumbers().number(math.nan, 2) == PlainNumbers().number(None, 0) == "–"
    assert PlainNumbers().number(-0.004, 2) == "0.00"  # nothing has no sign
    assert with_unit("20.9", "uL/h") == "20.9\u202fµL/h"
    assert with_unit("–", "uL/h") == "–"
    assert significant(20.83) == 2
    assert significant(0.0048) == 6


@pytest.mark.parametrize(
    ("seconds", "whole", "rough"),
    [
        (41.0, "00:00:41", "41 s"),
        (24078.0, "06:41:18", "6 h 41 min"),
        (190_800.0, "2 d 05:00:00", "2 d 5 h"),
        (90_000.0, "1 d 01:00:00", "25 h"),
        (-3.0, "00:00:00", "0 s"),
        (math.nan, "–", "–"),
    ],
)
def test_stretches_of_time_are_read_at_a_glance(seconds: float, whole: str, rough: str) -> None:
    assert (duration(seconds), rough_duration(seconds)) == (whole, rough)


def test_records_of_a_run_become_lines_and_a_stop_by_an_interlock_is_red() -> None:
    fields = {"text": 'interlock "burst": 120 kPa', "action": "stop"}
    row = event_row(Record("interlock", 3600.0, fields), None)
    assert row is not None
    assert (row.clock, row.tone, row.is_warning) == ("01:00:00", Tone.FAIL, True)
    note = event_row(Record("note", 0.0, {"person": "Ada", "text": "refilled the trap"}), START)
    assert note is not None
    assert (note.text, note.is_note) == ("Ada: refilled the trap", True)
    assert event_row(Record("step", 0.0, {}), None) is None


def test_the_same_time_of_another_day_has_its_date() -> None:
    start = datetime(2026, 11, 30, 12, tzinfo=UTC)
    rows = [event_row(Record("note", days * 86400.0, {"person": "Ada", "text": "n"}), start) for days in (0, 1, 29)]
    first, second, last = (row.clock for row in rows if row is not None)
    assert (second, last) == (f"12-01 {first}", f"12-29 {first}")
    other = event_row(Record("phase", 0.0, {}), None)  # of another version
    assert other is not None
    assert other.text == "phase"


def test_the_state_of_a_run_is_one_word_and_what_waits_for_a_person_comes_first() -> None:
    prompt = Prompt("height", "measure", "How high?", "number", "mm")
    assert tone_of(Status(1, "running"), None, False) == ("running", Tone.PLAIN)
    assert tone_of(Status(1, "running", prompts=(prompt,)), None, False) == ("asks you", Tone.WARN)
    assert tone_of(Status(1, "running", prompts=(prompt,), latched=("burst",)), None, False) == ("held", Tone.FAIL)
    assert tone_of(Status(1, "running"), None, True) == ("no answer", Tone.FAIL)
    assert tone_of(None, Ending("ended", "completed"), True) == ("completed", Tone.GOOD)
    assert tone_of(None, Ending("died"), True) == ("died", Tone.FAIL)
    assert tone_of(None, Ending("ended", "aborted"), True) == ("aborted", Tone.WARN)
    assert tone_of(None, Ending("ended", "stopped-by-interlock"), True) == ("stopped by interlock", Tone.FAIL)


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "0.050"), (0.1, "0.10"), (0.0994, "0.099"), (34.6, "35"), (135.0, "135")]
)
def test_an_uncertainty_has_two_figures_and_is_no_power_of_ten(value: float, text: str) -> None:
    assert figures(value, 2) == text


def test_a_window_without_a_run_says_so_and_has_nothing_to_stop(context: Context, inline: Inline) -> None:
    page = Page()
    shell = Shell(context, Live(context))
    shell.attach(page)
    inline.tick()
    assert shell.header().station == "No station"
    assert not shell.can_stop
    shell.stop()
    assert shell.stop_says() == ("", Tone.PLAIN)
    assert (shell.status_bar()["runner"], shell.status_bar()["age"]) == ("No run is watched", "")


def test_a_window_watches_the_one_run_that_goes_on_though_others_wait(context: Context) -> None:
    begun, _ = [enqueue(context.state_folder, Request("read-out", "sim"), "sim") for _ in range(2)]
    assert len(going_on(context.state_folder)) == 2
    begun.claim()
    lock = StationLock.take(context.state_folder, "sim")
    assert lock is not None
    lock.tell({"number": begun.number})
    assert [one.number for one in going_on(context.state_folder)] == [begun.number]
    lock.release()


def test_a_drive_that_is_gone_is_said_and_looked_for_once(
    context: Context, inline: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)  # nor is its root there
    monkeypatch.setattr("shutil.disk_usage", lambda _: os.stat("not there"))
    shell = Shell(context, Live(context))
    shell.attach(Page())
    inline.tick()
    said = shell.status_bar()["disk"]
    assert said == f"{context.folder} cannot be reached: No such file or directory"


def test_light_or_dark_and_the_density_are_kept_for_the_next_time(context: Context) -> None:
    page = Page()
    shell = Shell(context, Live(context))
    shell.attach(page)
    shell.other_scheme()
    shell.other_density()
    again = Shell(context, Live(context))
    assert (again.scheme, again.density, page.looks) == ("dark", "touch", 3)
    assert kept_look(context.state_folder) == ("dark", "touch")  # as the bar takes it that comes when the window hangs


def test_a_damaged_file_of_the_look_is_no_look(context: Context) -> None:
    context.state_folder.mkdir()
    (context.state_folder / "window.json").write_text("[1", "utf-8")
    assert Shell(context, Live(context)).scheme == "light"
