"""Tests of the window: without a screen, and every window closed at the end of its test."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before Qt is imported

from PyQt6.QtCore import QEvent
from PyQt6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from bench.protection import InterlockTable
from bench.request import Request
from bench.rpc.doors import Doors
from bench.rpc.messages import Action, Ending, Outcome, Reply, Status
from bench.run_queue import Entry, RunState, StationLock, enqueue
from data.frames import Record
from data.samples import Block, Channel, Stream
from data.schedule import Continuous, Schedule
from gui.presenters import setup, stopping
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.live import Live
from protocols.steps import Phase, Program, StartDelivery, Tare, above

PATIENCE_MS = 100_000
"""How long a test waits for what must happen: a computer may stall, and nothing is gained by giving up before."""


class PatientQtBot(QtBot):  # type: ignore[misc]  # pytest-qt has no types
    """Waits long for everything that is waited for without a time."""

    def waitUntil(self, callback: Callable[[], object], *, timeout: int = PATIENCE_MS) -> None:
        super().waitUntil(callback, timeout=timeout)

    def waitSignal(self, signal: Any, *, timeout: int = PATIENCE_MS, **options: Any) -> Any:
        return super().waitSignal(signal, timeout=timeout, **options)

    def waitExposed(self, widget: QWidget, *, timeout: int = PATIENCE_MS) -> Any:
        return super().waitExposed(widget, timeout=timeout)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> PatientQtBot:
    """Qt for a test, on a computer that may stall."""
    return PatientQtBot(request)


OF_QT = {"QTipLabel", "QComboBoxPrivateContainer"}
"""Windows that Qt makes and keeps."""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """What pages share, with folders of the test's own; `Inline.run` does what waits."""
    return Context(Inline(), person="Ada", folder=tmp_path / "runs", state_folder=tmp_path / "state")


@pytest.fixture
def inline(context: Context) -> Inline:
    """What the pages of the context have others do: `run` does it, and `tick` lets a moment pass."""
    assert isinstance(context.background, Inline)
    return context.background


@pytest.fixture
def pause(inline: Inline) -> Callable[[], None]:
    """Nothing is typed for so long that a set-up looks at what was."""

    def quiet() -> None:
        for _ in range(setup.QUIET_TICKS):
            inline.tick()

    return quiet


@pytest.fixture
def queued(context: Context, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Requests that a set-up started: they are queued as they are, and nobody conducts them."""
    asked: list[Request] = []

    def begin(request: Request) -> Entry:
        asked.append(request)
        return enqueue(context.state_folder, request, request.station)

    monkeypatch.setattr(setup, "begin", begin)
    return asked


@pytest.fixture
def signed_bench(sealed_bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that bench: the run is ``run.h5``, the state folder ``home``; signing takes no time here."""
    from bench.trust import users

    monkeypatch.setattr(users, "SCRYPT_N", 16)
    return Path(shutil.copytree(sealed_bench, tmp_path / "bench"))


def windows() -> set[QWidget]:
    """Windows that are there and not about to go."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        return set()
    app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    found = ((one, one.metaObject()) for one in app.topLevelWidgets())
    return {one for one, kind in found if kind is not None and kind.className() not in OF_QT}


@pytest.fixture(autouse=True)
def no_window_survives(request: pytest.FixtureRequest) -> Iterator[None]:
    """A window that a test leaves behind would be drawn, and heard, in every later one."""
    if "qtbot" not in request.fixturenames:
        yield
        return
    before = windows()
    yield
    if left := windows() - before:
        gc.collect()
        left = windows() - before
    assert not left, f"left behind: {', '.join(type(one).__name__ for one in left)}"


# ------------------------------------------------------------------------------------------------ runs that go on


class Answers:
    """A runner behind its doors, in place of `Client`: it answers or not."""

    def __init__(self) -> None:
        self.answers, self.state, self.outcome = True, "running", Outcome.ACCEPTED
        self.stopped: list[str] = []

    def __call__(self, doors: Doors, entry: Entry, **_: Any) -> Answers:
        return self

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def stop(self, person: str, reason: str, key: str) -> Reply:
        """Take the stop."""
        if not self.answers:
            raise ValueError("nobody answers")
        self.stopped.append(reason)
        return Reply(self.outcome)

    def status(self) -> Status:
        """Tell the state."""
        if not self.answers:
            raise ValueError("nobody answers")
        return Status(1, self.state)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """The runner of every run, as it takes a stop; each moment is short."""
    made = Answers()
    monkeypatch.setattr(stopping, "Client", made)
    monkeypatch.setattr(stopping, "STOP_ANSWER_S", 0.3)
    monkeypatch.setattr(stopping, "POLL_S", 0.02)
    return made


@pytest.fixture
def begun(context: Context) -> Iterator[Callable[..., Entry]]:
    """Begins a run on a station; it goes on until it tells of its end."""
    locks: list[StationLock] = []

    def begin(station: str = "sim") -> Entry:
        entry = enqueue(context.state_folder, Request("read-out", station), station)
        assert entry.claim()
        lock = StationLock.take(context.state_folder, station)
        assert lock is not None
        lock.tell({"number": entry.number})
        locks.append(lock)
        entry.tell(RunState("running", doors=Doors("unix:main", "unix:stop")))
        return entry

    yield begin
    for lock in locks:
        lock.release()


# ------------------------------------------------------------------------------------------ a run that is watched

RATE_UL_PER_H = 36.0
SCHEDULE = Schedule(Continuous(RATE_UL_PER_H))


def _limit(channel: str, **said: Any) -> dict[str, Any]:
    return InterlockTable(channel=channel, **said).model_dump(mode="json", by_alias=False)


HEADER: dict[str, Any] = {
    "procedure": "flow-accuracy",
    "method": 3,
    "origin": "simulated",
    "start_utc": "2026-11-01T08:00:00+00:00",
    "roles": {
        "reference_mass": "balance.mass",
        "balance": "balance",
        "pump": "pump",
        "flow": "sensor.flow",
        "outlet_pressure": "daq.outlet_pressure",
        "bath_temperature": "daq.bath_temperature",
    },
    "dut": {"model": "SIM-20", "serial": "1"},
    "fluid": {"density_basis": "water-table"},
    "schedule": SCHEDULE.to_json(),
    "station": {
        "name": "sim",
        "instruments": {
            "balance": {"calibration": {"mass": {"certificate": "C-1", "due": "2026-11-20"}}},
            "sensor": {"calibration": {"flow": {"certificate": "C-2", "due": "2026-10-31"}}},
            "pump": {},
            "daq": {},
        },
        "interlocks": {
            "outlet-pressure": _limit("daq.outlet_pressure", high="150 kPa", action="hold"),
            "bath": _limit("daq.bath_temperature", low="30 degC", high="38 degC", armed="delivery"),
            "e-stop": _limit("safety.e_stop", high="0.5"),
        },
        "protection": {"e_stop": "e-stop"},
    },
    "steps": [
        step.to_json()
        for step in (
            Tare("balance"),
            Program("pump", SCHEDULE),
            StartDelivery("pump"),
            Phase("stabilisation", for_s=600.0),
            Phase("rise", until=above("outlet_pressure", 60.0), at_most_s=1200.0),
            Phase("analysis", for_s=3600.0),
        )
    ],
}


class Link:
    """A runner that takes every command, or refuses it with ``refusal``; in place of `RunLink`."""

    def __init__(self, folder: Path) -> None:
        self.entry = Entry(7, folder / "home" / "runs" / "0007", "flow-accuracy", "sim", str(folder), "")
        self.status: Status | None = Status(7, "running", "flow-accuracy", "sim")
        self.ending: Ending | None = None
        self.silent_s = 0.0
        self.behind = False
        self.doors: Doors | None = None
        self.refusal = ""
        self.done: list[tuple[str, Action, bool]] = []
        self.said: list[Any] = []

    def take(self, limit_s: float, hear: Callable[[Any], None]) -> None:
        """Hand on what came."""
        said, self.said = self.said, []
        for one in said:
            if isinstance(one, Ending):
                self.ending = one
            hear(one)

    def do(
        self,
        person: str,
        action: Action,
        then: Callable[[Reply], None],
        failed: Callable[[str], None],
        *,
        take_over: bool = False,
    ) -> None:
        """Take or refuse a command at once."""
        if self.refusal and not take_over:
            failed(self.refusal)
            return
        self.done.append((person, action, take_over))
        then(Reply(Outcome.ACCEPTED))

    def close(self) -> None:
        """Nobody listens."""


@dataclass
class Watched:
    """A run that is watched, and what its runner says."""

    live: Live
    link: Link
    header: Mapping[str, Any] = field(default_factory=lambda: HEADER)

    def says(self, *said: Any, **status: Any) -> None:
        """Let the runner say something, and the window take it."""
        assert self.link.status is not None
        self.link.said += said
        self.link.status = replace(self.link.status, **status)
        self.live.tick()

    def record(self, kind: str, t: float, **fields: Any) -> None:
        """A record of the run."""
        self.says(Record(kind, t, fields))

    def step(self, index: int, t0: float, t1: float | None = None) -> None:
        """A step that begins, and ends if it does."""
        name = HEADER["steps"][index]["step"]
        self.record("step", t0, index=index, name=name, state="begin")
        if t1 is not None:
            self.record("step", t1, index=index, name=name, state="end", took_s=t1 - t0)

    def block(self, stream: str, t: Any, *columns: Any, quality: int = 0, stride: int = 1) -> None:
        """Samples of a stream."""
        values = np.stack([np.broadcast_to(np.asarray(one, np.float64), len(t)) for one in columns], axis=1)
        bits = np.full(values.shape, quality, np.uint16)
        self.says(Block(stream, 0, np.asarray(t, np.float64), values, bits, stride))


@pytest.fixture
def watched(context: Context, tmp_path: Path) -> Watched:
    """A run whose header and streams have come, and nothing else yet."""
    live, link = Live(context), Link(tmp_path)
    live.link = link  # type: ignore[assignment]  # see there
    run = Watched(live, link)
    streams = {
        "balance": (Channel("mass", "mg"),),
        "sensor": (Channel("flow", "uL/h"), Channel("temperature", "degC")),
        "daq": (
            Channel("outlet_pressure", "kPa", "gauge"),
            Channel("bath_temperature", "degC"),
            Channel("reservoir_pressure", "kPa", "gauge"),
        ),
        "safety": (Channel("e_stop", "1"),),
    }
    run.says(HEADER, *(Stream(name, name, channels) for name, channels in streams.items()))
    return run
