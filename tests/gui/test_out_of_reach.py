"""What does not answer, or answers late, keeps neither the window nor a command from going on."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.request import Request
from bench.rpc.client import Client
from bench.rpc.messages import Ending, Note, Outcome, Reply
from bench.run_queue import Entry, RunState, enqueue
from gui.app import tell_defects
from gui.presenters import stopping
from gui.presenters.background import Inline, nothing
from gui.presenters.context import Context
from gui.presenters.live import Live
from gui.presenters.qualification import Qualification
from gui.presenters.register import Register
from gui.presenters.review_list import RunList
from gui.presenters.review_open import OpenRun
from gui.presenters.run_link import Broken, RunLink
from gui.presenters.setup import SetUp
from gui.presenters.shell import Shell
from gui.presenters.station_check import Checked
from gui.presenters.station_editor import StationEditor
from gui.presenters.station_rig import StationRig
from gui.presenters.stopping import Stopping, StopState
from gui.views import background as views_background
from gui.views.background import Apart, QtBackground
from gui.views.stop_bar import StopBar
from instruments.clock import WallClock
from tests.gui.apart_work import checks, hangs_in_a_check, hangs_over_a_snapshot, never

WALL = WallClock()


def until(condition: Any, within_s: float = 60.0) -> None:
    by = WALL.now() + within_s
    while not condition():
        assert WALL.now() < by, "it did not happen"
        WALL.sleep(0.02)


@pytest.fixture
def waiting(tmp_path: Path) -> Entry:
    """A run that waits."""
    return enqueue(tmp_path / "home", Request("flow-record", "sim"), "sim")


@contextmanager
def unreadable(times: int, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Iterator[list[int]]:
    """The state of a run cannot be read, so many times."""
    plain, failed = Entry.state, list[int]()

    def state(entry: Entry) -> RunState:
        if len(failed) < times:
            failed.append(1)
            raise error
        return plain(entry)

    with monkeypatch.context() as patched:
        patched.setattr(Entry, "state", state)
        yield failed


@pytest.mark.parametrize("error", [PermissionError(13, "in use"), ValueError("half a file"), KeyError("unforeseen")])
def test_a_stop_is_asked_for_again_though_the_state_of_the_run_could_not_be_read(
    waiting: Entry, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(stopping, "POLL_S", 0.02)
    with unreadable(2, monkeypatch, error):
        stop = Stopping(waiting, "Ada", "test", lambda: None)
        stop.press()
        until(lambda: stop.state is StopState.STOPPED)


def test_a_run_that_is_just_being_withdrawn_has_not_died(
    waiting: Entry, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gui.presenters.run_link.POLL_S", 0.2)
    assert waiting.claim()  # by somebody else, who is about to say so
    plain = Entry.state

    def state(entry: Entry) -> RunState:
        found = plain(entry)
        if threading.current_thread().name.startswith("follow"):
            entry.tell(RunState("withdrawn", ending=Ending("withdrawn")))
        return found

    monkeypatch.setattr(Entry, "state", state)
    link = RunLink(waiting, context.background)
    until(lambda: link.take(0.01, lambda said: None) or link.ending is not None)
    assert link.ending is not None
    assert link.ending.state == "withdrawn"
    link.close()


def test_a_command_is_done_while_files_hang_in_other_processes(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views_background, "THREADS", 1)
    monkeypatch.setattr(views_background, "MOST_APART", 1, raising=False)
    heard: list[Any] = []
    background = QtBackground(heard.append)
    background.apart(never, (), heard.append)
    background.aside(lambda: "done", heard.append)
    qtbot.waitUntil(lambda: heard == ["done"], timeout=20_000)
    background.close()


class Late:
    """A runner that takes a command only when it is asked again with the same key."""

    asked: list[tuple[str, str]]

    def __init__(self, replies: list[Reply]) -> None:
        self.asked, self.replies = [], replies

    def __enter__(self) -> Late:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    @contextmanager
    def control(self, person: str, *, take_over: bool = False) -> Iterator[str]:
        """Give a lease."""
        yield "lease"

    def command(self, person: str, action: Any, lease: str = "", key: str = "") -> Reply:
        """Answer with what is next."""
        self.asked.append((lease, key))
        return self.replies.pop(0)


@pytest.mark.parametrize(
    ("last", "told"), [(Reply(Outcome.ACCEPTED, "kept"), "kept"), (Reply(Outcome.REFUSED, "too late"), "too late")]
)
def test_what_the_run_has_not_taken_yet_is_not_said_to_be_done(
    waiting: Entry, context: Context, inline: Inline, monkeypatch: pytest.MonkeyPatch, last: Reply, told: str
) -> None:
    late = Late([Reply(Outcome.PENDING, "the run has not taken it yet"), Reply(Outcome.PENDING), last])
    monkeypatch.setattr(Client, "of", lambda *_, **__: late)
    link = RunLink(waiting, context.background)
    heard: list[str] = []
    link.do("Ada", Note("n"), lambda reply: heard.append(reply.sentence), heard.append)
    inline.run()
    assert heard == [told]
    assert len(late.asked) == 3
    assert len({key for _, key in late.asked} - {""}) == 1
    link.close()


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_run_that_cannot_be_followed_for_whatever_reason_says_so(
    waiting: Entry, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(link: RunLink) -> Any:
        raise KeyError("of another version")

    monkeypatch.setattr(RunLink, "_client", wrong)
    link, heard = RunLink(waiting, context.background), list[Any]()
    until(lambda: link.take(0.01, heard.append) or heard)
    assert heard == [Broken("KeyError: 'of another version'")]
    link.close()


@pytest.fixture
def defects(context: Context, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told of defects of the window."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    seen: list[str] = []
    context.notify = lambda text, tone: seen.append(text)
    tell_defects(context)
    return seen


def ends_by(error: BaseException) -> None:
    """A thread that ends by an error."""

    def wrong() -> None:
        raise error

    thread = threading.Thread(target=wrong)
    thread.start()
    thread.join()


def test_a_defect_in_a_thread_is_seen_and_printed_though_the_window_takes_no_more_calls(
    defects: list[str], inline: Inline, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_by(KeyError("of another version"))
    assert "KeyError: 'of another version'" in capsys.readouterr().err
    inline.run()
    assert defects == ["The window has a defect (KeyError: 'of another version'). The run is not touched by it."]


def test_a_thread_that_ends_itself_has_no_defect(
    defects: list[str], inline: Inline, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_by(SystemExit(0))
    inline.run()
    assert (defects, capsys.readouterr().err) == ([], "")


class Mute:
    """A runner that has nothing to tell yet."""

    def __init__(self) -> None:
        self.heard, self.left = WALL.event(), WALL.event()

    def __enter__(self) -> Mute:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pieces(self) -> Iterator[Any]:
        """Wait for what comes."""
        self.heard.set()
        WALL.wait(self.left)
        raise ValueError("Cannot invoke RPC on closed channel!")
        yield

    def close(self) -> None:
        """Let go."""
        self.left.set()


def test_who_follows_no_more_leaves_a_runner_that_has_nothing_to_tell(
    waiting: Entry, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = Mute()
    monkeypatch.setattr(RunLink, "_client", lambda link: mute)
    link = RunLink(waiting, context.background)
    name = f"follow run {waiting.number}"
    until(mute.heard.is_set)
    link.close()
    until(lambda: name not in [thread.name for thread in threading.enumerate()], 20.0)
    assert not link.behind


def test_a_drive_that_does_not_answer_is_waited_for_elsewhere(
    context: Context, inline: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    monkeypatch.setattr("gui.presenters.shell._room", lambda folder: looked.append(1) or "10 GB free")
    shell = Shell(context, Live(context))

    class View:
        """Asks for what every drawing of the header asks for."""

        def show_header(self) -> None:
            shell.status_bar()

        def show_look(self) -> None: ...
        def go(self, key: str) -> None: ...
        def notify(self, text: str, tone: Any) -> None: ...

    shell.attach(View())
    for _ in range(100):  # as at each tick of a run
        shell._draw()
    assert looked == []
    inline.tick()
    assert (looked, shell.status_bar()["disk"]) == ([1], "10 GB free")


def test_what_a_drive_had_left_before_it_fell_silent_is_not_told_as_of_now(
    context: Context, inline: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("gui.presenters.shell.time.monotonic", lambda: now[0])
    monkeypatch.setattr("gui.presenters.shell._room", lambda folder: "10 GB free")
    shell = Shell(context, Live(context))
    shell._look()
    inline.run()
    assert shell.status_bar()["disk"] == "10 GB free"
    shell._look()  # does not come back
    now[0] = 60.0
    assert shell.status_bar()["disk"] == f"{context.folder} does not answer"


def test_which_process_conducts_a_run_is_known_though_the_drive_of_the_runs_does_not_answer(
    context: Context, watched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(context.background, "aside", lambda *words: asked.append(words))
    monkeypatch.setattr("gui.presenters.shell._room", lambda folder: never())
    monkeypatch.setattr(Entry, "state", lambda entry: RunState("running", pid=4711))
    shell = Shell(context, watched.live)
    shell._look()
    for work, then, *_ in asked[:2]:  # the third waits for ever
        then(work())
    assert shell.status_bar()["runner"] == "Runner connected, process 4711"


FILES = [(Path, "exists"), (Path, "is_file"), (Path, "stat"), (Path, "open"), (Path, "glob"), (os, "scandir")]


@pytest.mark.parametrize(("owner", "name"), FILES)
def test_files_of_the_pages_are_looked_for_elsewhere_than_where_the_window_is_drawn(
    owner: Any, name: str, context: Context, inline: Inline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, is_drawing = getattr(owner, name), True

    def look(path: Path, *words: Any, **options: Any) -> Any:
        assert not is_drawing, f"{path} was looked for where the window is drawn"
        return plain(path, *words, **options)

    opened: list[Path] = []
    context.on_open(opened.append)
    listed, qualified = RunList(context), Qualification(context)
    run, rig = OpenRun(context, tmp_path / "run.h5", lambda path: Unread()), StationRig(context)
    editor, set_up = StationEditor(context), SetUp(context)
    monkeypatch.setattr(inline, "apart", lambda *_, **__: nothing)  # what works in processes of its own
    monkeypatch.setattr(owner, name, look)
    run.prove_seal(lambda: None)
    rig.look("sim")
    editor.find()
    set_up.form.type_article("dut", "/share/pump.toml")
    assert set_up.form.article_says("dut") == ("a file of yours", ""), "nobody knows yet"
    context.open_if_there(tmp_path, "it is not there")
    listed.open_folder(str(tmp_path / "run.h5"))
    qualified.look()
    is_drawing = False
    inline.run()
    assert opened == [tmp_path]
    assert "there is no file" in set_up.form.article_says("dut")[1]


@pytest.mark.parametrize(("owner", "name"), [*FILES, (Path, "mkdir"), (Path, "replace"), (os, "fsync")])
def test_a_station_file_is_read_and_written_elsewhere_than_where_the_window_is_drawn(
    owner: Any, name: str, context: Context, inline: Inline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, plain_aside, is_aside = getattr(owner, name), inline.aside, list[int]()

    def aside(work: Any, *words: Any) -> None:
        def elsewhere() -> Any:
            is_aside.append(1)
            try:
                return work()
            finally:
                is_aside.pop()

        plain_aside(elsewhere, *words)

    def look(*words: Any, **options: Any) -> Any:
        assert is_aside, f"{words} was looked for where the window is drawn"
        return plain(*words, **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inline, "aside", aside)
    monkeypatch.setattr(inline, "apart", lambda work, words, then, *_: then(RIGHT) or nothing)
    editor = StationEditor(context)
    steps: list[Callable[[], object]] = [
        editor.find,
        lambda: editor.copy("mine"),
        lambda: editor.type(editor.text + "# more"),
        editor.check,
        editor.save,
        editor.write,
        lambda: editor.choose("sim"),
        lambda: editor.choose("mine"),
        lambda: editor.type(""),
        editor.revert,
        lambda: editor.begin("other", editor.text),
        editor.check,
        editor.save,
        editor.write,
    ]
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, look)
        for step in steps:
            step()
            inline.run()
    for one in ("mine", "other"):
        assert (context.folder / "stations" / f"{one}.toml").read_text("utf-8").endswith("# more")


RIGHT = Checked(())
"""A station file without mistakes."""


class Unread:
    """A file that is not read."""

    def ask(self, *_: object, **__: object) -> None:
        """Answer nothing."""

    def close(self) -> None:
        """Nothing is open."""


def test_a_file_that_was_named_before_it_was_there_is_found_when_it_comes(
    context: Context, inline: Inline, tmp_path: Path
) -> None:
    set_up, path = SetUp(context), tmp_path / "pump.toml"
    set_up.shown(True)
    set_up.form.type_article("dut", str(path))

    def said() -> str:
        set_up.form.article_says("dut")
        set_up._until_look = 0
        set_up._tick()
        inline.run()
        return set_up.form.article_says("dut")[1]

    assert "there is no file" in said()
    path.touch()
    assert said() == ""


def test_the_little_stop_window_stays_though_the_state_folder_cannot_be_read(
    waiting: Entry, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    bar = StopBar(waiting.home, "Ada")
    qtbot.addWidget(bar)
    assert bar.runs == [waiting.number]
    with unreadable(1000, monkeypatch, PermissionError(13, "in use")):
        bar.look()
    assert bar.runs == [waiting.number]


def test_a_look_at_the_queue_that_is_under_way_is_not_begun_again(context: Context, inline: Inline) -> None:
    set_up = SetUp(context)
    set_up.shown(True)
    begun = inline.waiting
    for _ in range(100):
        set_up._tick()
    assert len(begun) == 1
    begun[0]()
    begun.clear()
    for _ in range(100):
        set_up._tick()
    assert len(begun) == 1


@pytest.mark.parametrize("page", [lambda context: Register(context).look, lambda context: StationEditor(context).find])
def test_a_page_that_is_come_back_to_has_no_second_thread_wait_for_a_share(
    context: Context, monkeypatch: pytest.MonkeyPatch, page: Any
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(context.background, "aside", lambda *words: begun.append(words))
    look = page(context)
    for _ in range(20):
        look()
    assert len(begun) == 1
    work, then, *_ = begun[0]
    then(work())
    assert len(begun) == 2, "who looked meanwhile is shown what is there now"
    work, then, *_ = begun[1]
    then(work())
    assert len(begun) == 2


def test_work_that_is_ended_leaves_nothing_in_the_folder_for_what_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def poll(pipe: Any, deadline_s: float) -> bool:  # where a pipe is another class the whole deadline passes
        until(lambda: list(tmp_path.glob("*/*/so-far.h5")))
        return False

    monkeypatch.setattr(views_background.Connection, "poll", poll)
    with pytest.raises(ValueError, match="gave no answer"):
        Apart().do(hangs_over_a_snapshot, (), 4.0)
    until(lambda: not list(tmp_path.iterdir()))


def test_what_took_too_long_is_told_in_the_words_of_who_asked() -> None:
    with pytest.raises(ValueError, match="the record is long"):
        Apart().do(never, (), 0.2, "the record is long")


def test_checks_that_are_not_wanted_any_more_leave_one_folder_at_most_and_the_next_removes_it(tmp_path: Path) -> None:
    for hanging in (1, 2):
        one = Apart()
        with ThreadPoolExecutor(1) as other:
            done = other.submit(one.do, hangs_in_a_check, (tmp_path / "runs",), 100.0)
            until(lambda most=hanging: len(list(tmp_path.glob("*/*"))) == most)
            one.cancel()
            with pytest.raises(ValueError, match="ended without an answer"):
                done.result()
    assert len(list(tmp_path.iterdir())) == 1
    Apart().do(checks, (tmp_path / "runs",), 60.0)
    assert list(tmp_path.iterdir()) == []
