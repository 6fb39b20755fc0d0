"""Who goes on when on a virtual clock: random programs of workers against a simulation by the book."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from instruments.clock import PacedClock, VirtualClock

Log = list[tuple[float, str, object]]

# ------------------------------------------------------------- programs of workers, and what they must come to


@dataclass(frozen=True)
class Sleep:
    seconds: int


@dataclass(frozen=True)
class Set:
    event: int


@dataclass(frozen=True)
class Clear:
    event: int


@dataclass(frozen=True)
class Wait:
    event: int
    at_most_s: int


@dataclass(frozen=True)
class Hold:
    lock: int
    seconds: int


Step = Sleep | Set | Clear | Wait | Hold
Program = list[Step]
SPANS = st.integers(0, 4)  # few and small, so that workers often meet
EVENTS = st.integers(0, 1)
PROGRAMS = st.lists(
    st.lists(
        st.builds(Sleep, SPANS)
        | st.builds(Set, EVENTS)
        | st.builds(Clear, EVENTS)
        | st.builds(Wait, EVENTS, SPANS)
        | st.builds(Hold, EVENTS, SPANS),
        max_size=8,
    ),
    min_size=1,
    max_size=5,
)


def played(programs: list[Program], clock: VirtualClock, order: list[int] | None = None) -> Log:
    """What happens when workers "0", "1", ... do their programs on a clock; ``order`` is that of their creation."""
    log: Log = []
    events = [clock.event() for _ in range(2)]
    locks = [clock.lock() for _ in range(2)]

    def worker(name: str, program: Program) -> None:
        for step in program:
            match step:
                case Sleep(seconds):
                    clock.sleep(seconds)
                    log.append((clock.now(), name, step))
                case Set(event):
                    events[event].set()
                case Clear(event):
                    events[event].clear()
                case Wait(event, at_most_s):
                    woken = clock.wait(events[event], clock.now() + at_most_s)
                    log.append((clock.now(), name, woken))
                case Hold(lock, seconds):
                    with locks[lock]:
                        log.append((clock.now(), name, ("in", lock)))
                        clock.sleep(seconds)
                        log.append((clock.now(), name, ("out", lock)))

    def main() -> None:
        indices = range(len(programs)) if order is None else order
        workers = [clock.worker(str(i), partial(worker, str(i), programs[i])) for i in indices]
        for one in workers:
            one.join()

    clock.run(main)
    return log


class Reference:
    """The same programs by the book: of all who can go on, the one with the earliest (time, name) does."""

    def __init__(self, programs: list[Program]) -> None:
        self.now = 0
        self.log: Log = []
        self.is_set = [False, False]
        self.owner: list[str | None] = [None, None]
        self.wake: dict[str, float] = {str(i): 0 for i in range(len(programs))}
        self.waits_for: dict[str, tuple[str, int] | None] = dict.fromkeys(self.wake)
        self.bodies = {str(i): self.body(str(i), program) for i, program in enumerate(programs)}

    def play(self) -> Log:
        while self.wake:
            time_, name = min((t, name) for name, t in self.wake.items())
            self.now = int(time_)
            try:
                self.wake[name], self.waits_for[name] = next(self.bodies[name])
            except StopIteration:
                del self.wake[name]
        return self.log

    def rouse(self, what: tuple[str, int]) -> None:
        for name, awaited in self.waits_for.items():
            if awaited == what and name in self.wake:
                self.wake[name], self.waits_for[name] = self.now, None

    def body(self, name: str, program: Program) -> Iterator[tuple[float, tuple[str, int] | None]]:
        for step in program:
            match step:
                case Sleep(seconds):
                    if seconds:
                        yield self.now + seconds, None
                    self.log.append((self.now, name, step))
                case Set(event):
                    self.is_set[event] = True
                    self.rouse(("event", event))
                case Clear(event):
                    self.is_set[event] = False
                case Wait(event, at_most_s):
                    woken = self.is_set[event]
                    if not woken and at_most_s:
                        yield self.now + at_most_s, ("event", event)
                        woken = self.waits_for[name] is None
                        self.waits_for[name] = None
                    self.log.append((self.now, name, woken))
                case Hold(lock, seconds):
                    while self.owner[lock] is not None:
                        yield float("inf"), ("lock", lock)
                    self.owner[lock] = name
                    self.log.append((self.now, name, ("in", lock)))
                    if seconds:
                        yield self.now + seconds, None
                    self.log.append((self.now, name, ("out", lock)))
                    self.owner[lock] = None
                    self.rouse(("lock", lock))


@given(PROGRAMS)
def test_workers_go_on_in_the_order_of_time_and_name(programs: list[Program]) -> None:
    assert played(programs, VirtualClock()) == Reference(programs).play()


@given(PROGRAMS, st.randoms(use_true_random=False))
def test_the_order_in_which_workers_were_made_changes_nothing(programs: list[Program], random: object) -> None:
    order = list(range(len(programs)))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert played(programs, VirtualClock(), order) == played(programs, VirtualClock())


@given(PROGRAMS)
def test_nobody_enters_a_held_lock_however_long_its_owner_waits(programs: list[Program]) -> None:
    inside: dict[int, str] = {}
    for _, name, what in played(programs, VirtualClock()):
        match what:
            case ("in", int(lock)):
                assert lock not in inside
                inside[lock] = name
            case ("out", int(lock)):
                assert inside.pop(lock) == name


def test_a_paced_clock_keeps_the_order_of_a_virtual_one() -> None:
    programs: list[Program] = [
        [Sleep(2), Set(0), Hold(0, 3)],
        [Wait(0, 4), Hold(0, 2), Sleep(1)],
        [Hold(0, 3), Wait(1, 2), Clear(0)],
    ]
    assert played(programs, PacedClock(1000.0)) == played(programs, VirtualClock())
