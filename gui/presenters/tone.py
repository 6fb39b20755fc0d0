"""How much a person should mind something; the theme gives each tone its colours and its icon."""

from __future__ import annotations

from enum import StrEnum

from data.checks import Verdict


class Tone(StrEnum):
    """From what needs no notice to what needs it now."""

    PLAIN = "plain"
    MUTED = "muted"
    GOOD = "good"
    BUSY = "busy"
    WARN = "warn"
    FAIL = "fail"


def tone_of_end(word: str) -> Tone:
    """Of how a run ended: as planned, because a person wanted it, or against everybody's will."""
    return {"": Tone.PLAIN, "completed": Tone.GOOD, "aborted": Tone.WARN, "withdrawn": Tone.WARN}.get(word, Tone.FAIL)


TONE_OF_VERDICT = {
    Verdict.PASS: Tone.GOOD,
    Verdict.CONDITIONAL_PASS: Tone.WARN,
    Verdict.CONDITIONAL_FAIL: Tone.FAIL,
    Verdict.FAIL: Tone.FAIL,
    Verdict.INVALID: Tone.WARN,
    Verdict.NOT_CAPABLE: Tone.WARN,
    Verdict.NOT_MEASURED: Tone.MUTED,
}
