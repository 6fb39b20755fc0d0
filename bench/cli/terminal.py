"""Prompts at the terminal: shows what a run asks, and takes the answers that a person types."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from bench.prompts import Prompts
    from bench.session import Underway
    from instruments.capabilities import Prompt
    from instruments.clock import Clock


def somebody_is_there() -> bool:
    """Whether a person reads what is shown and can type."""
    return sys.stdin.isatty() and sys.stderr.isatty()


class Terminal:
    """A person at the terminal who answers prompts; a `bench.session.Lead` of the run and a listener of its prompts.

    Parameters
    ----------
    person : who sits there.
    hush : called with True before something is shown and with False when the terminal is free again, so that a progress
        bar keeps out of the way.
    lines : what is typed.
    """

    def __init__(
        self,
        person: str,
        hush: Callable[[bool], None] = lambda _: None,
        lines: TextIO | None = None,
    ) -> None:
        self._person = person
        self.hush = hush
        self._lines = lines or sys.stdin
        self._reader: threading.Thread | None = None
        self._prompts: Prompts | None = None
        self._clock: Clock | None = None
        self._shown: Prompt | None = None
        self._second = False  # the first of two persons has answered
        self._name = ""  # of the second person

    # -- a lead

    def begins(self, run: Underway) -> None:
        """Listen to the run's prompts."""
        self._clock = run.clock
        self._prompts = run.engine.prompts
        self._prompts.attend(self)

    def synced(self, seq: int) -> None:
        """Nobody at a terminal needs to know that."""

    def ends(self) -> None:
        """Nothing is asked any more."""
        self._prompts = None

    # -- a listener

    def asked(self, prompt: Prompt) -> None:
        """Show a prompt and begin to read what is typed."""
        from data.quantities import plain_number

        self.hush(True)
        self._shown, self._second, self._name = prompt, False, ""
        click.echo(f"\n{prompt.text}", err=True)
        if prompt.details:
            words = (
                f"{name} {value if isinstance(value, str) else plain_number(value)}" for name, value in prompt.details
            )
            click.echo(f"  ({'; '.join(words)})", err=True)
        if prompt.picture:
            click.echo(f"  drawing: {prompt.picture}", err=True)
        self._invite(prompt)
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
            self._reader.start()

    def settled(self, prompt: Prompt) -> None:
        """Say that the prompt is gone."""
        self._shown = None
        click.echo("", err=True)
        self.hush(False)

    # -- what is typed

    def typed(self, line: str) -> None:
        """Take a line; called on the clock's own thread."""
        prompt, prompts, text = self._shown, self._prompts, line.strip()
        if prompt is None or prompts is None:
            return
        if self._second and not self._name:
            self._name = text
        else:
            value = text or ("done" if prompt.kind == "confirm" else text)
            refused = prompts.answer(prompt.key, value, self._name or self._person, source="terminal")
            if prompts.waiting is not prompt:
                return
            if refused:
                click.echo(f"  {refused}", err=True)
            self._second, self._name = prompts.half_answered, ""
        self._invite(prompt)

    def _invite(self, prompt: Prompt) -> None:
        """Say what to type next."""
        if self._second and not self._name:
            click.echo("  name of the second person: ", nl=False, err=True)
            return
        what = {"confirm": "Enter when it is done", "number": f"a number with its unit, such as 1 {prompt.unit}"}
        choices = " or ".join(prompt.choices) or "some words"
        click.echo(f"  {self._name or self._person}, {what.get(prompt.kind, choices)}: ", nl=False, err=True)

    def _read(self) -> None:
        """Body of the thread: hand each line to the clock's thread."""
        for line in self._lines:
            clock = self._clock
            if clock is None:
                return
            clock.post(lambda line=line: self.typed(line))  # type: ignore[misc]  # bound on purpose
