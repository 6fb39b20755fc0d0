"""Lead the window as a new user would, by keys alone, and picture each step: ``python -m docs.drive_window``.

Needs Xvfb, openbox, xdotool and ImageMagick.  On a screen of its own the window is opened for the first time; a
simulated run is tried and reviewed; a rig check, an occlusion and a refill are run, the refill answered by hand and
stopped; two runs are compared.  Then a QA person finds a run, answers the checklist, approves it, writes its report,
and looks at a campaign and at the register.  The pictures go to docs/images/window-*.png.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.rpc.messages import Status
from bench.run_queue import Entry, entries
from instruments.capabilities import Prompt
from instruments.clock import WallClock

WALL = WallClock()
ANSWERED = 4
"""So many questions of the refill are answered at most."""

QUESTIONS = 10
"""Of the checklist of a review."""

ANSWERS = {"vial": "baclofen 500 ug/mL"}
"""What a person reads on the vial and types."""


IMAGES = Path(__file__).parent / "images"
PUMPBENCH = [sys.executable, "-P", "-m", "bench.cli"]
SEALED = Path(__file__).parents[1] / "tests" / "runs"

PLAN = (
    *("--protocol", "flow-accuracy", "--station", "sim", "--simulated", "--title", "Flow accuracy, lot 2231"),
    *("--check", "mean-flow-error", "--rate", "0.5 mL/day", "--rate", "1 mL/day", "--approved-by", "Quinn Example"),
    *("--dut", "sim-peristaltic:SN-001", "--dut", "sim-peristaltic:SN-002", "--dut", "sim-peristaltic:SN-003"),
    *("--set", "stabilisation=20 min", "--set", "analysis=1 h", "--set", "blank_length=30 min"),
)
REVIEWED = "flow-record_lab-1_0001"
"""A measured run that an engineer has reviewed."""

MADE = 4
"""Runs of the campaign that are made before somebody looks."""

ARTICLES = """
[[articles]]
kind = "dut"
id = "SN-001"
model = "SIM-20"
lot = "2231"

[[articles]]
kind = "dut"
id = "SN-002"
model = "SIM-20"
lot = "2231"

[[articles]]
kind = "fluid"
id = "W-0412"
model = "water, ISO 3696 class III"
use_by = 2026-01-31

[[articles]]
kind = "instrument"
id = "B021002593"
model = "XPR205"
certificates = [
    { number = "SIM-BAL-00", channel = "mass", issued = 2025-01-02, due = 2026-01-02, as_found = "within" },
    { number = "SIM-BAL-01", channel = "mass", issued = 2026-01-02, due = 2099-01-02, as_found = "beyond" },
]
"""
SIZE = (1600, 960)
LOOK_S = 0.3
WORK_S = 5.0
"""So long waits are for what works in the background."""

LASTS_S = 900.0


def until(condition: Callable[[], Any], what: str, within_s: float = LASTS_S) -> Any:
    """Wait for something."""
    end = WALL.now() + within_s
    while not (found := condition()):
        if WALL.now() > end:
            raise SystemExit(f"not within {within_s:g} s: {what}")
        WALL.sleep(LOOK_S)
    return found


class Person:
    """Types, presses, looks."""

    def __init__(self, home: Path, images: Path, patience: float) -> None:
        self.home, self.images, self.patience = home, images, patience

    def keys(self, *keys: str, then_s: float = 1.0) -> None:
        """Press keys, one after the other."""
        for key in keys:
            subprocess.run(["xdotool", "key", key], check=True)
            WALL.sleep(0.15)
        self.waits(then_s)

    def waits(self, for_s: float) -> None:
        """Wait for what a process works on, longer where the computer has much else to do."""
        WALL.sleep(for_s * (self.patience if for_s >= WORK_S else 1.0))

    def types(self, text: str, then_s: float = 1.0) -> None:
        """Type a text."""
        subprocess.run(["xdotool", "type", "--delay", "40", text], check=True)
        WALL.sleep(then_s)

    def picture(self, name: str) -> None:
        """Keep what is on the screen."""
        path = self.images / f"window-{name}.png"
        small = ["-dither", "None", "-colors", "96", "-define", "png:compression-level=9"]
        subprocess.run(["import", "-window", "root", *small, f"PNG8:{path}"], check=True)
        print(path.name, flush=True)

    def latest(self) -> Entry | None:
        """The run that was started last."""
        found = entries(self.home)
        return found[-1] if found else None

    def begun(self, number: int) -> Entry:
        """Wait until a run goes on."""

        def going() -> Entry | None:
            latest = self.latest()
            return latest if latest is not None and latest.number == number and latest.state().journal else None

        found: Entry = until(going, f"run {number} goes on", 180.0)
        return found

    def ended(self, entry: Entry) -> None:
        """Wait until a run has ended and the window has seen it."""
        until(lambda: entry.state().ending is not None, f"run {entry.number} has ended")
        WALL.sleep(4.0)


@contextmanager
def screen(size: tuple[int, int]) -> Iterator[None]:
    """An X server with a window manager."""
    out, told = os.pipe()
    words = ["Xvfb", "-displayfd", str(told), "-screen", "0", f"{size[0]}x{size[1]}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(words, pass_fds=[told])
    os.close(told)
    with os.fdopen(out) as lines:
        os.environ["DISPLAY"] = f":{lines.readline().strip()}"
    os.environ.pop("QT_QPA_PLATFORM", None)
    manager = subprocess.Popen(["openbox"])
    yield
    for process in (manager, server):
        process.terminate()
        process.wait()


@contextmanager
def window(who: str, *words: str) -> Iterator[None]:
    """The window, as its command opens it."""
    process = subprocess.Popen([*PUMPBENCH, "gui", "--person", who, *words])

    def shown() -> str:
        found = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", "pumpbench|simulated"],
            capture_output=True,
            text=True,
            check=False,
        )
        return found.stdout.strip()

    number = until(shown, "the window is there", 60.0).splitlines()[0]
    subprocess.run(["xdotool", "windowactivate", "--sync", number], check=True)
    WALL.sleep(3.0)
    yield
    subprocess.run(["xdotool", "key", "alt+F4"], check=True)
    process.wait(30.0)


def first_minute(person: Person) -> None:
    """The first start: a simulated run in one press, watched, reviewed."""
    person.picture("first")
    person.keys("alt+t", then_s=4.0)
    if person.latest() is None:  # the invitation leads to the form, whose own is pressed then
        person.keys("alt+t", then_s=2.0)
    entry = person.begun(1)
    until(lambda: _share(entry) > 0.75, "the analysis goes on")
    person.picture("run")
    person.ended(entry)
    person.picture("end")
    person.keys("alt+o", then_s=12.0)
    person.picture("review")


def prepare(person: Person, station: str, protocol: str, then_s: float = 14.0) -> None:
    """Choose station and protocol in the form; a little later what stands against the run is known."""
    person.keys("ctrl+2", "alt+w")
    person.keys("alt+a", then_s=0.3)
    person.types(station)
    person.keys("alt+p", then_s=0.3)
    person.types(protocol, then_s)


def occlusion(person: Person) -> None:
    """A rig check, then an occlusion on the same station."""
    prepare(person, "sim-full", "rig")
    person.picture("prepare")
    person.keys("alt+s")
    person.ended(person.begun(2))
    prepare(person, "sim-full", "occ")
    person.keys("alt+s")
    entry = person.begun(3)
    until(lambda: _share(entry) > 0.45, "the pressure rises")
    person.picture("occlusion")
    person.ended(entry)


def refill(person: Person) -> None:
    """A refill that a person answers, and stops."""
    prepare(person, "sim-refill", "ref")
    person.keys("alt+i", then_s=10.0)
    person.picture("refill-form")
    person.keys("alt+s")
    entry = person.begun(4)
    for _ in range(ANSWERED):
        asked = until(lambda: _asked(entry), "the run asks")
        WALL.sleep(2.0)
        if asked.key in ANSWERS:
            person.keys("alt+a", then_s=0.5)
            person.types(ANSWERS[asked.key], then_s=1.0)
            person.picture("refill")
            person.keys("Return", then_s=2.0)
        elif asked.kind == "confirm":
            person.keys("alt+d", then_s=2.0)
        else:
            break
        until(lambda before=asked.key: (_asked(entry) or Nobody).key != before, "the answer is taken", 30.0)
    person.keys("F12", then_s=1.0)
    person.picture("stopping")
    person.ended(entry)


def compare(person: Person) -> None:
    """Two runs side by side; then the other pages."""
    person.keys("ctrl+3", "alt+r", then_s=6.0)
    person.picture("runs")
    person.keys("Home", "shift+Down", "alt+c", then_s=8.0)
    person.picture("compare")


def lab(folder: Path) -> None:
    """A bench with a measured run that was reviewed, runs of other kinds, a campaign under way, and articles."""
    from benchmarks.tamper import measured_run

    measured_run(folder, REVIEWED)
    (folder / "runs").mkdir()
    for sealed in sorted(SEALED.glob("*.h5")):
        shutil.copy(sealed, folder / "runs")
    (folder / "articles.toml").write_text(ARTICLES, "utf-8")
    pumpbench("catalogue", "add", str(folder))
    pumpbench("campaign", "new", "lot-2231.toml", *PLAN)
    for seed in range(1, MADE + 1):
        following = json.loads(pumpbench("campaign", "next", "lot-2231.toml", "--json"))
        pumpbench(*shlex.split(following["command"])[1:], "--seed", str(seed), "--out", str(folder / "runs"))


def pumpbench(*words: str) -> str:
    """What a command says; one whose run fails is no failure here."""
    return subprocess.run([*PUMPBENCH, *words], capture_output=True, text=True, check=False).stdout


def approve(person: Person) -> None:
    """A QA person finds a measured run, answers its checklist, approves it, and writes its report."""
    from benchmarks.tamper import QA

    person.keys("ctrl+3", then_s=4.0)
    person.picture("find")
    person.types(REVIEWED, then_s=3.0)
    person.keys("Return", "Return", then_s=14.0)
    person.keys("alt+f", then_s=8.0)
    person.keys("Tab", "Tab", then_s=0.3)  # past the signatures that are there
    for _ in range(QUESTIONS):
        person.keys("Down", "Tab", then_s=0.2)
        person.types("looked at", then_s=0.2)
        person.keys("Tab", then_s=0.2)
    person.keys("Tab", then_s=0.2)
    person.types("approved", then_s=0.5)
    person.keys("Tab", then_s=0.2)
    person.types("the record is complete, the checklist is answered", then_s=0.5)
    person.keys("Tab", then_s=0.2)
    person.types(QA, then_s=0.5)
    person.picture("checklist")
    person.keys("Return", then_s=25.0)
    person.picture("signed")
    person.keys("alt+t", then_s=25.0)
    person.keys("alt+w", then_s=4.0)
    person.picture("report")


def oversee(person: Person) -> None:
    """The same person looks at a campaign, has its next run prepared, and at the register."""
    person.keys("ctrl+6", then_s=12.0)
    person.picture("campaign")
    person.keys("alt+p", then_s=20.0)
    person.picture("campaign-next")
    person.keys("ctrl+7", then_s=10.0)
    person.keys("Home", "Down", then_s=1.0)
    person.picture("register")
    person.keys("alt+w", then_s=8.0)
    person.picture("impact")
    person.keys("alt+n", then_s=2.0)
    person.picture("numbers")


class Nobody:
    """No prompt waits."""

    key = ""


def _status(entry: Entry) -> Status | None:
    from bench.rpc.client import Client, ClientError

    try:
        with Client.of(entry) as client:
            return client.status()
    except ClientError:
        return None


def _share(entry: Entry) -> float:
    if entry.state().ending is not None:
        return 1.0
    status = _status(entry)
    return 0.0 if status is None else status.share_done


def _asked(entry: Entry) -> Prompt | None:
    status = _status(entry)
    return status.prompts[0] if status is not None and status.prompts else None


def operator(images: Path, patience: float) -> None:
    """An operator's first day."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        os.environ["PUMPBENCH_HOME"] = str(home)
        os.chdir(folder)
        person = Person(home, images, patience)
        with window("Ada Byron"):
            first_minute(person)
            occlusion(person)
            refill(person)
            compare(person)
            for number, page in ((1, "bench"), (4, "station")):
                person.keys(f"ctrl+{number}", then_s=4.0)
                person.picture(page)


def reviewer(images: Path, patience: float) -> None:
    """A QA person's hour."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        os.environ["PUMPBENCH_HOME"] = str(home)
        os.chdir(folder)
        lab(Path(folder))
        person = Person(home, images, patience)
        with window("Quinn Example", "--folder", folder):
            approve(person)
            oversee(person)


def main() -> int:
    """Everything, or one person's part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=IMAGES, help="where the pictures go")
    parser.add_argument("--only", choices=["operator", "reviewer"], help="whose part; both without it")
    parser.add_argument("--patience", type=float, default=1.0, help="times as long waits on a busy computer")
    parser.add_argument("--size", default="x".join(map(str, SIZE)), help="of the screen")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    images = asked.images.absolute()
    images.mkdir(parents=True, exist_ok=True)
    with screen((width, height)):
        for name, part in (("operator", operator), ("reviewer", reviewer)):
            if asked.only in (None, name):
                part(images, asked.patience)
    return 0


if __name__ == "__main__":
    sys.exit(main())
