"""What a person may do with the run that goes on: hold and resume it, keep a note, reset an interlock, take control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.rpc.messages import Action, Exclude, Note, Pause, Reply, ResetInterlock, Resume, Start
from gui.presenters.context import Context
from gui.presenters.live import Live
from gui.presenters.run_link import STATUS_S
from gui.presenters.tone import Tone

DEEDS: dict[type[Action], str] = {
    Start: "begin the run",
    Pause: "pause",
    Resume: "resume",
    Note: "keep the note",
    Exclude: "exclude",
    ResetInterlock: "reset",
}
"""What commands do, as a button says it."""


@dataclass
class Controls:
    """Commands to the run that is watched.  Each takes the control for its own moment, so nobody is locked out.

    Parameters
    ----------
    changed : called when an answer has come.

    Attributes
    ----------
    says : what became of the last command, with its tone.
    is_sent : a command is on its way.
    """

    context: Context
    live: Live
    changed: Callable[[], None] = lambda: None
    says: tuple[str, Tone] = ("", Tone.PLAIN)
    is_sent: bool = False
    _about: type[Action] | None = None  # what ``says`` is about
    _refused: tuple[Action, Callable[[], None]] | None = None
    _reset_of: str = ""

    def forget(self) -> None:
        """Another run is watched: what was refused by the one before is not done to it."""
        self.says, self.is_sent, self._about, self._refused = ("", Tone.PLAIN), False, None, None

    @property
    def can_command(self) -> bool:
        """Whether there is a run that could take a command."""
        return self.live.is_going and self.live.status is not None and not self.is_sent

    @property
    def is_held(self) -> bool:
        """Whether the run waits to be released."""
        return self.live.is_going and self.live.status is not None and self.live.status.state == "held"

    @property
    def is_paused(self) -> bool:
        """Whether a person has paused the run."""
        return self.live.is_going and self.live.status is not None and self.live.status.state == "paused"

    @property
    def can_take_over(self) -> bool:
        """Whether the last command was refused since somebody else has the control."""
        return self._refused is not None and self.live.is_going

    @property
    def taking_over(self) -> str:
        """What is done by taking the control over, as a button says it."""
        deed = "" if self._refused is None else DEEDS.get(type(self._refused[0]), "")
        return f"&Take over and {deed}" if deed else "&Take over the control"

    def said_of(self, kind: type[Action]) -> tuple[str, Tone]:
        """What became of the last command, where it was of this kind."""
        return self.says if self._about is kind else ("", Tone.PLAIN)

    def said_of_reset(self, name: str) -> tuple[str, Tone]:
        """What became of the last command, where it was to reset this interlock."""
        return self.said_of(ResetInterlock) if name == self._reset_of else ("", Tone.PLAIN)

    def reconsider(self, kind: type[Action]) -> None:
        """The person writes something else, or wants it no more: what was refused of this kind is not done later."""
        if self._about is kind and not self.is_sent:
            self._about = self._refused = None
            self._say("", Tone.PLAIN)

    @property
    def who(self) -> tuple[str, Tone]:
        """Who has the control now."""
        status, link = self.live.status, self.live.link
        if not self.live.is_going or status is None or link is None:
            return "", Tone.PLAIN
        if link.silent_s > STATUS_S:
            return f"The runner has not answered for {link.silent_s:.0f} s; the run goes on if it can", Tone.FAIL
        if not status.controller:
            return "", Tone.PLAIN
        if status.controller == self.context.person:
            return "You hold the control", Tone.MUTED
        return f"{status.controller} holds the control", Tone.WARN

    def start(self) -> None:
        """Release a run that was prepared and waits."""
        self._do(Start())

    def pause(self) -> None:
        """Hold the present phase."""
        self._do(Pause())

    def resume(self) -> None:
        """Go on with it."""
        self._do(Resume())

    def note(self, text: str, then: Callable[[], None] = lambda: None) -> None:
        """Keep a remark with the run; ``then`` is called when it is kept."""
        if words := " ".join(text.split()):
            self._do(Note(words), then)

    def exclude(self, from_s: float, to_s: float, reason: str, then: Callable[[], None] = lambda: None) -> None:
        """Take a stretch that is over out of what is judged; ``then`` is called when that is kept."""
        self._do(Exclude(from_s, to_s, " ".join(reason.split())), then)

    def reset(self, name: str, reason: str, then: Callable[[], None] = lambda: None) -> None:
        """Arm an interlock again that holds the bench; nothing while another command has no answer yet."""
        if not self.can_command:
            return  # what comes of that command is told where it was asked for
        self._reset_of = name
        if not reason.strip():
            self._about, self._refused = ResetInterlock, None
            self._say("Write why it may be reset: what the cause was and what was done about it", Tone.WARN)
            return
        self._do(ResetInterlock(name, " ".join(reason.split())), then)

    def take_over(self) -> None:
        """Take the control from whoever has it, and do what was refused; the record says so."""
        if self._refused is not None:
            action, then = self._refused
            self._do(action, then, take_over=True)

    # -- small parts

    def _do(self, action: Action, then: Callable[[], None] = lambda: None, *, take_over: bool = False) -> None:
        link = self.live.link
        if link is None or not self.can_command:
            return
        self.is_sent, self._about, self._refused = True, type(action), None
        self._say("", Tone.PLAIN)

        def done(reply: Reply) -> None:
            if link is not self.live.link:
                return
            self.is_sent = False
            self._say(reply.sentence, Tone.PLAIN)
            then()

        def failed(sentence: str) -> None:
            if link is not self.live.link:
                self.context.notify(f"Run {link.entry.number:04d}: {sentence}", Tone.WARN)
                return
            self.is_sent = False
            self._refused = (action, then) if "take it over" in sentence else None
            self._say(sentence, Tone.WARN)

        link.do(self.context.person, action, done, failed, take_over=take_over)

    def _say(self, text: str, tone: Tone) -> None:
        self.says = text, tone
        self.changed()
