"""What the computer says of itself before a run that lasts for days: its sleep, its power, its clock.

Read without asking anybody else: no network, no other package.  What a platform does not tell is said to be not known.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.findings import Finding

CLOCK_ERROR_S = 1.0
"""A clock whose own estimate of its error is larger stamps a record poorly."""

TIME_ERROR = 5
"""State of Linux's clock that nothing disciplines (adjtimex(2))."""

ROOT = Path("/")


def computer(root: Path = ROOT) -> Iterator[Finding]:
    """What may end or spoil a long run.

    Parameters
    ----------
    root : where Linux keeps its files.
    """
    checks = (_sleep, _power) if sys.platform == "linux" else (_windows_power,) if sys.platform == "win32" else ()
    for check in checks:
        if text := check(root):
            yield Finding("sleep" if check is _sleep else "ups", "warns", text)
    if text := clock_says(clock_error_s()):
        yield Finding("clock", "warns", text)


# ------------------------------------------------------------------------------------------------------- sleep


def _sleep(root: Path) -> str:
    """Why the computer may fall asleep; "" when it cannot, or when somebody sees to that."""
    states = _read(root / "sys/power/state")
    if not states or _is_masked(root, "sleep.target") or _is_masked(root, "suspend.target"):
        return ""
    if any(_keeps_awake(_read(path)) for path in (root / "run/systemd/inhibit").glob("*")):
        return ""
    if shutil.which("systemd-inhibit"):
        return ""  # the run asks it
    return "the computer may fall asleep while the run goes on, and nothing here can keep it awake; mask sleep.target"


def _is_masked(root: Path, unit: str) -> bool:
    link = root / "etc/systemd/system" / unit
    return link.is_symlink() and link.readlink() == Path("/dev/null")


def _keeps_awake(inhibitor: str) -> bool:
    """Whether logind holds sleep off for somebody, by its file of that lock."""
    said = dict(line.split("=", 1) for line in inhibitor.splitlines() if "=" in line)
    return "sleep" in said.get("WHAT", "").split(":") and said.get("MODE") == "block"


# ------------------------------------------------------------------------------------------------------- power


def _power(root: Path) -> str:
    """What the kernel knows of mains and batteries; "" when the run would outlast a short power cut."""
    supplies = [
        path for path in sorted((root / "sys/class/power_supply").glob("*")) if _read(path / "scope") != "Device"
    ]
    kinds = {path: _read(path / "type") for path in supplies}
    mains = [path for path, kind in kinds.items() if kind in ("Mains", "USB")]
    if mains and all(_read(path / "online") == "0" for path in mains):
        return "the computer runs on its battery; plug it in"
    if any(kind in ("UPS", "Battery") for kind in kinds.values()) or _has_ups_daemon(root):
        return ""
    return "no UPS is known to the computer: a short power cut ends the run; use one, or connect its signal cable"


def _has_ups_daemon(root: Path) -> bool:
    """Whether NUT or apcupsd runs here, which watch a UPS on a cable."""
    places = ("run/nut/upsd.pid", "run/nut/upsmon.pid", "run/upsmon.pid", "run/apcupsd.pid")
    return any((root / place).exists() for place in places)


def _windows_power(_: Path) -> str:
    """GetSystemPowerStatus: 4 bytes and 2 longs; not verified against a real UPS."""
    if sys.platform != "win32":
        return ""
    status = (ctypes.c_ubyte * 12)()
    if not ctypes.windll.kernel32.GetSystemPowerStatus(ctypes.byref(status)):
        return "whether a UPS feeds the computer is not known"
    line, battery = status[0], status[1]
    if line == 0:
        return "the computer runs on its battery; plug it in"
    no_battery, unknown = 128, 255
    if battery in (no_battery, unknown):
        return "no UPS is known to the computer: a short power cut ends the run; use one, or connect its signal cable"
    return ""


# ------------------------------------------------------------------------------------------------------- clock


def clock_error_s() -> float | None:
    """Largest error of the computer's clock by its own account, infinite when nothing disciplines it; None: not known.

    Linux: ntp_adjtime(3) without any change, which everybody may ask.  Windows: ``w32tm /query /status``, whose root
    dispersion is taken (not verified on every language of Windows).
    """
    return _linux_clock() if sys.platform == "linux" else _windows_clock() if sys.platform == "win32" else None


def clock_says(error_s: float | None) -> str:
    """What to tell a person of the clock's error; "" when it is good."""
    if error_s is None:
        return "whether the computer's clock is right is not known; look at its time service"
    if error_s == float("inf"):
        return "nothing disciplines the computer's clock; switch its time service (NTP) on"
    if error_s > CLOCK_ERROR_S:
        return f"the computer's clock may be {error_s:.1f} s off by its own account; look at its time service (NTP)"
    return ""


class _Timex(ctypes.Structure):
    """``struct timex`` of Linux on 64 bits, up to what is read here; the rest is room."""

    _fields_ = [  # ctypes wants a list
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # us
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 256),
    ]


def _linux_clock() -> float | None:
    try:
        ask = ctypes.CDLL(None, use_errno=True).ntp_adjtime  # of the C library that is loaded already
    except (OSError, AttributeError):
        return None
    answer = _Timex(modes=0)
    state = ask(ctypes.byref(answer))
    if state < 0:
        return None
    return float("inf") if state == TIME_ERROR else answer.maxerror * 1e-6


def _windows_clock() -> float | None:
    if not (tool := shutil.which("w32tm")):
        return None
    try:
        done = subprocess.run([tool, "/query", "/status"], capture_output=True, text=True, timeout=10.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return read_w32tm(done.returncode, done.stdout)


def read_w32tm(code: int, said: str) -> float | None:
    """Error of the clock from what ``w32tm /query /status`` says: its last figure in s counts."""
    if code != 0:
        return float("inf")  # the time service does not run
    lines = said.splitlines()
    if lines and re.search(r":\s*3\b", lines[0]):
        return float("inf")
    found = re.findall(r":\s*([0-9]+[.,][0-9]+)s\b", said)
    return float(found[-1].replace(",", ".")) if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""
