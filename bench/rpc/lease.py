"""Who controls a run: any number may watch, one at a time controls."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from bench.rpc.messages import Grant

EXPIRES_S = 10.0
"""A lease that was not renewed for so long is free: its holder has died or lost the line."""


@dataclass(frozen=True, slots=True)
class _Held:
    secret: str
    person: str
    until_s: float


class Lease:
    """The one lease of a run.  Times are real seconds, given by the caller; it is used by one thread at a time."""

    def __init__(self) -> None:
        self._held: _Held | None = None

    def holder(self, now: float) -> str:
        """Who holds it, or ""."""
        held = self._held
        return held.person if held is not None and now < held.until_s else ""

    def acquire(self, person: str, now: float, *, take_over: bool = False) -> Grant:
        """Give it to a person when it is free, or is to be taken over; ``holder`` of a refusal says who has it."""
        if not person.strip():
            return Grant(False, holder=self.holder(now), sentence="a lease names a person; say who you are")
        holder = self.holder(now)
        if holder and not take_over:
            return Grant(False, holder=holder, sentence=f"{holder} controls this run; ask them, or take it over")
        self._held = _Held(secrets.token_hex(16), person, now + EXPIRES_S)
        return Grant(True, self._held.secret, person, EXPIRES_S)

    def renew(self, secret: str, now: float) -> Grant:
        """Keep it for another `EXPIRES_S`."""
        if refusal := self.refusal(secret, now):
            return Grant(False, holder=self.holder(now), sentence=refusal)
        assert self._held is not None
        self._held = _Held(secret, self._held.person, now + EXPIRES_S)
        return Grant(True, secret, self._held.person, EXPIRES_S)

    def release(self, secret: str, now: float) -> Grant:
        """Give it back."""
        if refusal := self.refusal(secret, now):
            return Grant(False, holder=self.holder(now), sentence=refusal)
        self._held = None
        return Grant(True)

    def refusal(self, secret: str, now: float) -> str:
        """Why whoever shows this secret may not control the run; "" when they may."""
        if self._held is None:
            return "nobody controls this run; acquire the lease first"
        if not secrets.compare_digest(secret.encode(), self._held.secret.encode()):
            holder = self.holder(now)
            return f"{holder} controls this run now" if holder else "this lease has ended; acquire it again"
        return "" if now < self._held.until_s else "this lease has ended; acquire it again"
