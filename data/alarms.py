"""The words for the alarms of a pump, and which of them are meant by what a person typed off a programmer's screen."""

from __future__ import annotations

import re
from typing import Literal, get_args

Alarm = Literal[
    "low-reservoir",
    "empty-reservoir",
    "stall",
    "occlusion",
    "valve-error",
    "low-battery",
    "replacement-due",
    "end-of-service",
    "stopped-too-long",
]
ALARMS: tuple[Alarm, ...] = get_args(Alarm)

NO_ALARM = frozenset({"", "-", "none", "no", "nothing", "no-alarm", "no-alarms"})

_BETWEEN = re.compile(r"[;&\n]|\band\b|,(?!\d)")
_NUMBER = re.compile(r"[\d.,]+ *(%|ml\b|ul\b|h\b|days?\b)?")
_BESIDE = frozenset(
    {"a", "active", "alarm", "alert", "at", "catheter", "critical", "detected", "has", "in", "is", "level", "motor"}
    | {"of", "pump", "raised", "the", "volume", "warning"}
)
"""Words beside the name of an alarm that make no other alarm of it; "pressure" would."""


def tells(told: str, alarm: str) -> bool:
    """Whether what was told has all words of an alarm, among others: "Motor stalled!" tells a stall."""
    words = _words(told)
    return all(any(word.startswith(part) for word in words) for part in _words(alarm))


def alarms_typed(text: str) -> tuple[str, ...]:
    """The alarms that a person typed, with commas between them: "Low reservoir" is "low-reservoir".

    What names no known alarm, or more than one, or says more than its name, stays as it was typed, in small letters and
    with dashes: an alarm must not be taken for another one that a run brings about itself.
    """
    found = (_word_for(one.strip(" .!\t\r")) for one in _BETWEEN.split(text.casefold()))
    return tuple(dict.fromkeys(word for word in found if word not in NO_ALARM))


def _word_for(one: str) -> str:
    meant = [alarm for alarm in ALARMS if tells(one, alarm)]
    if len(meant) == 1:
        parts = tuple(_words(meant[0]))
        more = [word for word in _words(_NUMBER.sub(" ", one)) if word not in _BESIDE and not word.startswith(parts)]
        if not more:
            return meant[0]
    return "-".join(one.split())


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.casefold())
