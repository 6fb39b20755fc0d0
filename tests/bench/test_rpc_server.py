"""Clients come, die, stall and come back; the run does not notice, and they miss nothing."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from bench.request import Request
from bench.rpc import runner_pb2 as pb
from bench.rpc.client import Client, ClientError
from bench.rpc.desk import FOLLOWERS, Desk
from bench.rpc.doors import DoorError, Doors, loopback_doors, private_folder, unix_doors
from bench.rpc.generate import HERE, generated
from bench.rpc.messages import Answer, Ending, Exclude, Note, Outcome, Pause, ResetInterlock
from bench.rpc.server import serving
from bench.rpc.tail import Piece
from bench.rpc.wire import CLIENT_OPTIONS, stubs
from bench.run_queue import RunState, enqueue
from bench.session import Result, Underway, conduct
from data.checks import Status
from data.frames import PREAMBLE, PREAMBLE_BYTES
from data.journal import JournalWriter, Record, read_journal
from data.run import Run
from data.samples import Block, Channel, Stream
from instruments.clock import WallClock

HEADER = {"run_id": "r", "procedure": "p", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00Z"}
WALL = WallClock()
OVER = Ending("ended", "completed", "all steps done", verdict="pass")

FOLLOWER = """
import sys
from pathlib import Path
from bench.rpc.client import Client, Ending
from bench.rpc.doors import Doors
from_seq = int(sys.stdin.readline())
with Client(Doors(sys.argv[1], sys.argv[1])) as client, Path(sys.argv[2]).open("ab", buffering=0) as spool:
    for message in client.pieces(from_seq):
        if isinstance(message, Ending):
            print(message.verdict)
        else:
            spool.write(message.data)
"""
"""A client in a process of its own, which keeps what it gets."""


def until(condition: Callable[[], Any], within_s: float = 60.0) -> None:
    """Wait in real time for something that happens in another thread or process."""
    by = WALL.now() + within_s
    while not condition():
        assert WALL.now() < by, "it did not happen"
        WALL.sleep(0.005)


class Engine:
    """Does nothing, in time."""

    steps = ()
    phase = "analysis"
    rested_s = 0.0

    def __init__(self) -> None:
        self.stopped: list[tuple[str, str]] = []

    def stop(self, person: str, reason: str) -> None:
        self.stopped.append((person, reason))

    def note(self, person: str, text: str) -> None:
        """Nothing to keep."""


class Live:
    """A desk with servers, and a journal that a test writes."""

    def __init__(self, folder: Path, doors: Doors) -> None:
        self.desk = Desk(7, "toy", "toys")
        self.journal = folder / "a.journal"
        self.engine, self.doors = Engine(), doors
        self.writer = JournalWriter(self.journal, HEADER, acknowledged=self.desk.synced)
        self.writer.stream(Stream("s", "s", (Channel("a", "mg"),), 1.0))
        self.samples = 0

    def record(self, kind: str, t: float, fields: dict[str, Any], *, urgent: bool = False) -> None:
        """As a recorder does."""
        self.writer.record(kind, t, fields)

    def begin(self) -> None:
        """Let the run be under way."""
        self.desk.begins(Underway(self.engine, WALL, self, "id", self.journal, self.journal))  # type: ignore[arg-type]  # as a recorder

    def write(self, blocks: int, samples: int = 10) -> None:
        """Write blocks and sync them."""
        for _ in range(blocks):
            t = np.arange(self.samples, self.samples + samples) * 1.0
            self.writer.block(Block("s", self.samples, t, t.reshape(-1, 1), np.zeros((samples, 1), np.uint16)))
            self.samples += samples
        self.writer.sync()

    def end(self) -> None:
        """Let the run be over."""
        self.desk.ends()
        self.writer.close()
        self.desk.over(OVER)

    def client(self, **options: Any) -> Client:
        """A client that knows nothing but the doors."""
        return Client(self.doors, **options)


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder, and a short path for sockets."""
    with tempfile.TemporaryDirectory(prefix="pb-") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        monkeypatch.setenv("PUMPBENCH_HOME", str(Path(short) / "home"))
        yield Path(short) / "home"


@contextmanager
def served(folder: Path, doors: Doors | None = None) -> Iterator[Live]:
    live = Live(folder, doors or unix_doors(folder, 7))
    with serving(live.desk, live.doors) as live.doors:
        live.begin()
        yield live
        if live.desk.ending is None:
            live.end()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A run under way behind its servers."""
    with served(tmp_path) as live:
        yield live


def bytes_of(messages: list[Piece | Ending]) -> bytes:
    return b"".join(message.data for message in messages if isinstance(message, Piece))


# ------------------------------------------------------------------------------------------------------ following


def test_a_client_killed_ten_times_has_every_frame_without_a_gap(live: Live, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.write_bytes(PREAMBLE_BYTES)
    command = [sys.executable, "-P", "-c", FOLLOWER, live.doors.main, str(spool)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    clients = [subprocess.Popen(command, **pipes) for _ in range(11)]
    writing = WALL.event()
    WALL.worker("run", lambda: [live.write(3) or WALL.sleep(0.002) for _ in iter(writing.is_set, True)])
    for killed, client in enumerate(clients):
        client.stdin.write(f"{whole_frames(spool)}\n")
        client.stdin.close()
        if killed < 10:
            there = spool.stat().st_size
            until(lambda there=there: spool.stat().st_size > there + 2000)  # type: ignore[misc]  # bound on purpose
            client.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            client.wait()
            client.stdout.close()
    writing.set()
    until(lambda: spool.stat().st_size >= live.journal.stat().st_size)
    live.end()
    assert clients[-1].stdout.read() == "pass\n"
    clients[-1].stdout.close()
    assert clients[-1].wait() == 0
    assert spool.read_bytes() == live.journal.read_bytes()


def whole_frames(spool: Path) -> int:
    """Number of the frame that is due, with what is left of a torn one cut off."""
    if spool.stat().st_size == PREAMBLE.size:
        return 0
    with read_journal(spool) as reader:
        count = sum(1 for _ in reader)
        lost = reader.tail().bytes
    os.truncate(spool, spool.stat().st_size - lost)
    return count


def test_a_client_follows_through_servers_that_are_away_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.rpc.server.GRACE_S", 0.0)
    live, got = Live(tmp_path, unix_doors(tmp_path, 7)), list[Piece | Ending]()
    live.begin()
    client = live.client()
    following = WALL.worker("client", lambda: got.extend(client.pieces()))
    for _ in range(3):
        with serving(live.desk, live.doors):
            live.write(5)
            until(lambda: bytes_of(got) == live.journal.read_bytes()[PREAMBLE.size :])
        live.write(5)
    with serving(live.desk, live.doors):
        live.end()
        following.join()
    client.close()
    assert got[-1] == OVER
    assert bytes_of(got) == live.journal.read_bytes()[PREAMBLE.size :]


def test_what_a_runner_that_is_gone_did_not_send_is_read_from_the_journal(state: Path, tmp_path: Path) -> None:
    gone = Live(tmp_path, unix_doors(tmp_path, 7))
    gone.write(50)
    gone.writer.close()
    entry = enqueue(state, Request("flow-accuracy", "sim"), "sim")
    entry.tell(RunState("ended", doors=gone.doors, journal=str(gone.journal), ending=OVER))
    with Client.of(entry) as client:
        frames = [message.frame.seq for message in client.follow() if not isinstance(message, Ending)]
        rest = list(client.pieces(30))
    assert frames == list(range(52))
    assert [piece.first_seq for piece in rest if isinstance(piece, Piece)] == [30]
    assert rest[-1] == OVER


def test_who_asks_for_frames_behind_the_end_is_told(live: Live) -> None:
    live.write(3)
    live.end()
    with (
        live.client() as client,
        pytest.raises(ClientError, match="the journal ended before frame 99; follow it from 0"),
    ):
        list(client.pieces(99))


def test_a_runner_far_away_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    nobody = Doors(f"unix:{tmp_path}/x.sock", f"unix:{tmp_path}/y.sock")
    with Client(nobody, patience_s=0.3) as client:
        with pytest.raises(ClientError, match=r"has not answered for 0\.3 s"):
            list(client.follow())
        with pytest.raises(ClientError, match="does not answer"):
            client.stop("Ada", "x")


def test_a_frame_longer_than_any_message_arrives(live: Live) -> None:
    live.write(1, samples=700_000)
    live.end()
    with live.client() as client:
        assert bytes_of(list(client.pieces())) == live.journal.read_bytes()[PREAMBLE.size :]


# --------------------------------------------------------------------------------------- slow, many and other clients


@contextmanager
def stalled(live: Live, count: int) -> Iterator[None]:
    """Followers that take the first message and then no more, while there is much."""
    calls = []
    with ExitStack() as stack:
        for _ in range(count):
            channel = grpc.insecure_channel(live.doors.main, (*CLIENT_OPTIONS, ("grpc.use_local_subchannel_pool", 1)))
            stack.callback(channel.close)
            calls.append(stubs(channel, "Runner")["Follow"](pb.FollowRequest()))
            next(calls[-1])
        until(lambda: live.desk.status().followers == count)
        yield


def test_a_stop_a_command_and_the_record_get_through_while_followers_fill_their_streams(live: Live) -> None:
    live.write(100, samples=20_000)
    with stalled(live, FOLLOWERS), live.client(answer_s=60.0) as client:
        with pytest.raises(ClientError, match="8 clients follow this run already; close one of them"):
            list(client.follow())
        assert client.stop("Ada", "smoke").outcome is Outcome.ACCEPTED
        with client.control("Ada") as lease:
            assert client.command("Ada", Note("n"), lease).outcome is Outcome.ACCEPTED
        live.write(1)
        assert client.status().followers == FOLLOWERS, "none of them had to go first"
    until(lambda: live.desk.status().followers == 0)
    assert live.engine.stopped == [("Ada", "smoke")]


def test_a_stop_gets_through_when_every_thread_of_the_service_is_taken(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang, hanging = WALL.event(), list[int]()

    def note(person: str, text: str) -> None:
        hanging.append(1)
        WALL.wait(hang)

    monkeypatch.setattr(live.engine, "note", note)
    with live.client(answer_s=60.0) as client, client.control("Ada") as lease:
        asking = [WALL.worker(str(n), lambda: client.command("Ada", Note("n"), lease)) for n in range(40)]
        try:
            until(lambda: hanging)
            assert client.stop("Ben", "smoke").outcome is Outcome.ACCEPTED
        finally:
            hang.set()
        for one in asking:
            one.join()
    assert live.engine.stopped == [("Ben", "smoke")]


def test_one_controls_and_the_rest_watch(live: Live) -> None:
    with live.client() as first, live.client() as second, first.control("Ada") as lease:
        assert first.renew(lease).granted
        with pytest.raises(ClientError, match="Ada controls this run; ask them, or take it over"):
            second.control("Ben").__enter__()
        assert second.status().controller == "Ada"
        with second.control("Ben", take_over=True):
            assert first.command("Ada", Pause(), lease).sentence == "Ben controls this run now"
            assert not first.renew(lease).granted


# -------------------------------------------------------------------------------------------------------- the doors


def test_sockets_are_for_their_user_alone(live: Live) -> None:
    for address in (live.doors.main, live.doors.stop):
        socket = Path(address.removeprefix("unix:"))
        assert stat.filemode(socket.stat().st_mode) == "srw-------"
        assert stat.filemode(socket.parent.stat().st_mode) == "drwx------"


def test_sockets_are_gone_with_their_runner(tmp_path: Path) -> None:
    with served(tmp_path) as live:
        folder = Path(live.doors.main.removeprefix("unix:")).parent
        assert len(list(folder.iterdir())) == 2
    assert list(folder.iterdir()) == []


def test_a_long_path_finds_a_shorter_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 100)
    assert os.environ["XDG_RUNTIME_DIR"] in unix_doors(deep, 1).main
    assert unix_doors(deep, 1) != unix_doors(tmp_path, 1)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert len(unix_doors(deep, 1).stop) < len("unix:") + 108
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(DoorError, match="the path is too long for a socket; set XDG_RUNTIME_DIR"):
        unix_doors(deep, 1)


def test_a_folder_that_others_can_enter_is_closed_and_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    private_folder(tmp_path / "open")
    assert stat.filemode((tmp_path / "open").stat().st_mode) == "drwx------"
    (tmp_path / "link").symlink_to(tmp_path / "open")
    with pytest.raises(DoorError, match="belongs to somebody else"):
        private_folder(tmp_path / "link")


def test_a_port_is_open_to_who_shows_the_token_and_to_nobody_else(tmp_path: Path) -> None:
    with served(tmp_path, loopback_doors()) as live:
        live.write(2)
        assert live.doors.main.startswith("127.0.0.1:")
        for token in ("", "made up", live.doors.token[:-1]):
            with Client(Doors(live.doors.main, live.doors.stop, token)) as stranger:
                for call in (
                    stranger.status,
                    lambda who=stranger: who.stop("Eve", "x"),
                    lambda who=stranger: list(who.follow()),
                ):
                    with pytest.raises(ClientError, match="the token is not this runner's"):
                        call()
        with live.client() as client:
            assert client.stop("Ada", "smoke").outcome is Outcome.ACCEPTED
            assert client.status().number == 7
            assert next(client.follow()) is not None
    assert live.engine.stopped == [("Ada", "smoke")]


def test_the_generated_code_is_that_of_the_interface() -> None:
    for name, text in generated().items():
        assert (HERE / name).read_text("utf-8") == text, "make it anew: python -P -m bench.rpc.generate"


# ----------------------------------------------------------------------------------------------------- a real engine


def test_a_run_that_is_led_by_its_clients_records_what_they_did(tmp_path: Path) -> None:
    desk, results, followed = Desk(1, "flow-record", "sim"), list[Result](), list[Any]()
    request = Request("flow-record", "sim", {"recording": "2 h"}, out=tmp_path, pace=600.0, person="Ada")
    with serving(desk, unix_doors(tmp_path, 1)) as doors, Client(doors) as client, Client(doors) as watcher:
        run = WALL.worker("run", lambda: results.append(conduct(request, lead=desk)))
        watching = WALL.worker("watcher", lambda: followed.extend(watcher.follow()))
        until(lambda: client.status().phase == "recording")
        with client.control("Ada") as lease:
            for _ in range(2):
                assert client.command("Ada", Note("a leaf fell"), lease, key="leaf").outcome is Outcome.ACCEPTED
            assert 'nobody asks "height" now' in client.command("Ada", Answer("height", "1 mm"), lease).sentence
            assert '"flow-record" judges' in client.command("Ada", Exclude(1.0, 2.0, "r"), lease).sentence
            assert '"no-such"' in client.command("Ada", ResetInterlock("no-such", "r"), lease).sentence
        assert 0.0 < client.status().share_done < 1.0
        client.stop("Ben", "seen enough", key="halt")
        run.join()
        assert run.error is None
        desk.over(Ending("ended", str(results[0].end.status)))
        watching.join()
    with Run.open(results[0].run_file) as file:
        assert (file.status, file.status_reason) == (Status.ABORTED, "seen enough")
        assert [event.fields["text"] for event in file.records("note")] == ["a leaf fell"]
        said = [
            (event.fields["command"], event.fields["key"], event.fields["person"]) for event in file.records("command")
        ]
    assert said == [("note", "leaf", "Ada"), ("stop", "halt", "Ben")]
    with read_journal(results[0].journal) as reader:
        assert [one.frame.seq for one in followed[:-1]] == [frame.seq for frame in reader]
    assert isinstance(followed[-2].content, Record)
    assert followed[-1].status == "aborted"
