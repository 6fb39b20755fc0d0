"""Tables of a station file about unattended running: ``[prompts]``, ``[[notify]]`` and ``[stack_light]``."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from data.quantity_fields import Stated, TimeS

Occasion = Literal["interlock", "outage", "prompt", "end"]
OCCASIONS: tuple[Occasion, ...] = ("interlock", "outage", "prompt", "end")
Colour = Literal["red", "amber", "green"]

_SERVER = re.compile(r"[^\s:]+:\d+")


class PromptsTable(Stated):
    """How long a prompt may wait for its answer before it ends the run; without a time it waits for ever."""

    longest_wait_s: TimeS | None = Field(None, alias="longest_wait", ge=60.0)


class NotifyTable(Stated):
    """Where a message goes: a webhook (an address that takes JSON) or e-mail addresses.

    ``password_env`` names the environment variable that holds the mail server's password: a secret is never in a
    file or on a command line.  ``quiet`` is the shortest time between two messages of one occasion.
    """

    webhook: str | None = Field(None, examples=["https://lab.example/hooks/bench"])
    email: tuple[str, ...] = ()
    smtp: str | None = Field(None, examples=["mail.lab.example:587"])
    sender: str | None = None
    user: str | None = None
    password_env: str | None = None
    on: tuple[Occasion, ...] = OCCASIONS
    quiet_s: TimeS = Field(600.0, alias="quiet", ge=0.0)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.webhook is None) == (not self.email):
            raise ValueError("give either a webhook or e-mail addresses")
        if self.webhook is not None and not self.webhook.startswith(("https://", "http://")):
            raise ValueError(f'webhook "{self.webhook}" is no web address; write it like https://lab.example/hook')
        if self.email and (self.smtp is None or self.sender is None or not _SERVER.fullmatch(self.smtp)):
            raise ValueError('e-mail needs smtp = "server:port" and a sender')
        return self

    @property
    def address(self) -> str:
        """Where the message goes, for a person to read."""
        return self.webhook or ", ".join(self.email)


class StackLightTable(Stated):
    """The digital outputs that a stack light hangs on, as "instrument.valve"; a colour may be missing."""

    red: str | None = None
    amber: str | None = None
    green: str | None = None

    @property
    def lamps(self) -> dict[Colour, str]:
        """The output of each colour."""
        stated: tuple[tuple[Colour, str | None], ...] = ("red", self.red), ("amber", self.amber), ("green", self.green)
        return {colour: output for colour, output in stated if output is not None}
