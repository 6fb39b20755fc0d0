"""What the computer tells of its sleep, its power and its clock before a long run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import computer
from bench.computer import clock_error_s, clock_says, read_w32tm


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """What a Linux computer with these files says, by code."""
    monkeypatch.setattr(computer.sys, "platform", "linux")
    monkeypatch.setattr(computer.shutil, "which", lambda name: None)
    monkeypatch.setattr(computer, "clock_error_s", lambda: 0.01)

    def look(files: dict[str, str], masked: bool = False) -> dict[str, str]:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, "utf-8")
        if masked:
            (tmp_path / "etc/systemd/system").mkdir(parents=True)
            (tmp_path / "etc/systemd/system/sleep.target").symlink_to("/dev/null")
        return {finding.code: finding.text for finding in computer.computer(tmp_path)}

    return look


POWER = "sys/class/power_supply"
UPS = {"sys/class/power_supply/ups/type": "UPS\n"}
SLEEPY = {"sys/power/state": "freeze mem disk\n", **UPS}


@pytest.mark.parametrize(
    ("files", "masked", "told"),
    [
        (SLEEPY, False, ["sleep"]),
        (SLEEPY, True, []),
        ({**SLEEPY, "run/systemd/inhibit/1": "WHAT=sleep:idle\nMODE=block\n"}, False, []),
        ({**SLEEPY, "run/systemd/inhibit/1": "WHAT=sleep\nMODE=delay\n"}, False, ["sleep"]),
        (UPS, False, []),
        ({}, False, ["ups"]),
        ({"run/nut/upsmon.pid": "12"}, False, []),
        ({f"{POWER}/BAT0/type": "Battery", f"{POWER}/AC/type": "Mains", f"{POWER}/AC/online": "0"}, False, ["ups"]),
        ({f"{POWER}/mouse/type": "Battery", f"{POWER}/mouse/scope": "Device"}, False, ["ups"]),
    ],
)  # fmt: skip
def test_sleep_and_power_are_told_where_they_may_end_a_run(
    linux: Any, files: dict[str, str], masked: bool, told: list[str]
) -> None:
    assert list(linux(files, masked)) == told


@pytest.mark.parametrize(
    ("error_s", "says"), [(0.02, ""), (1.5, "1.5 s off"), (float("inf"), "nothing disciplines"), (None, "not known")]
)
def test_a_poor_clock_is_told(error_s: float | None, says: str) -> None:
    assert says in clock_says(error_s)
    assert bool(clock_says(error_s)) == bool(says)


def test_this_computer_tells_of_its_clock() -> None:
    error_s = clock_error_s()
    assert error_s is None or error_s > 0.0


ENGLISH = """Leap Indicator: 0(no warning)
Root Delay: 0.0312500s
Root Dispersion: 7.7800000s
Poll Interval: 10 (1024s)"""


@pytest.mark.parametrize(
    ("code", "said", "error_s"),
    [
        (0, ENGLISH, 7.78),
        (0, "Sprungindikator: 0(Keine Warnung)\nStammabweichung: 0,0400000s", 0.04),
        (0, "Leap Indicator: 3(not synchronized)\nRoot Dispersion: 0.0000000s", float("inf")),
        (1, "The service has not been started.", float("inf")),
        (0, "gibberish", None),
    ],
)  # fmt: skip
def test_what_windows_says_of_its_clock_is_read_in_any_language(code: int, said: str, error_s: float | None) -> None:
    assert read_w32tm(code, said) == error_s
