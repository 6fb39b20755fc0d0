"""How the run that was watched has ended, in words, and what can be done next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.rpc.messages import Ending
from data.checks import Verdict
from gui.presenters.live import Live
from gui.presenters.tone import TONE_OF_VERDICT, Tone, tone_of_end

REMEDIES = {
    "died": "See that the bench is safe. The journal holds what was recorded: recover it to get the run file.",
    "refused": "Nothing has moved. Remove what stands against the run, then prepare it again.",
    "withdrawn": "Nothing has moved.",
    "not followed": "The run goes on, and STOP reaches it. Watch it anew from the page Bench.",
}


@dataclass(frozen=True, slots=True)
class EndText:
    """The end of a run.

    Attributes
    ----------
    status, verdict : with their tones; the verdict is empty where nothing was judged.
    run_file : None where there is none.
    """

    title: str
    status: str
    status_tone: Tone
    verdict: str
    verdict_tone: Tone
    reason: str
    next_step: str
    run_file: Path | None
    journal: str


def end_text(live: Live) -> EndText | None:
    """How the run ended; None while it goes on."""
    ending, link = live.ending, live.link
    if link is None:
        return None
    title = f"Run {link.entry.number:04d} has ended"
    if ending is None:
        if not live.broken:
            return None
        title = f"Run {link.entry.number:04d} cannot be followed any further"
        ending = Ending("not followed", reason=live.broken)
    run_file = Path(link.entry.cwd) / ending.run_file if ending.run_file else None
    word = ending.status or ending.state
    reason = ending.reason + (f" ({ending.person})" if ending.person and ending.reason else "")
    return EndText(
        title,
        word.replace("-", " "),
        tone_of_end(word),
        ending.verdict.replace("-", " "),
        _verdict_tone(ending.verdict),
        reason,
        REMEDIES.get(ending.state, ""),
        run_file,
        ending.journal,
    )


def _verdict_tone(word: str) -> Tone:
    try:
        return TONE_OF_VERDICT[Verdict(word)]
    except ValueError:
        return Tone.MUTED
