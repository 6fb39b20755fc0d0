"""Messages to people who are elsewhere: a webhook or an e-mail on interlock, outage, waiting prompt and end.

A message is delivered by a thread of its own, so that neither sampling nor the record ever waits for a network.
"""

from __future__ import annotations

import json
import os
import smtplib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from typing import Any

from bench.unattended.tables import NotifyTable, Occasion
from instruments.clock import Clock

PATIENCE_S = 10.0
"""Longest wait for a mail server or a webhook, in wall seconds."""

UNDERWAY = 8
"""At most so many messages are being delivered at once; a server that hangs must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What every message of a run says."""

    station: str
    procedure: str
    run_id: str
    run_file: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message."""

    occasion: Occasion
    text: str
    utc: str
    facts: Facts

    def to_json(self) -> dict[str, Any]:
        """What a webhook gets."""
        return {"occasion": self.occasion, "text": self.text, "utc": self.utc, **asdict(self.facts)}

    @property
    def subject(self) -> str:
        """Subject of an e-mail."""
        return f"[{self.facts.station}] {self.occasion}: {self.facts.procedure}"


def occasion_of(kind: str, fields: Mapping[str, Any]) -> tuple[Occasion, str] | None:
    """What a record is an occasion for, and what to say of it; None for a record that concerns nobody elsewhere."""
    if kind == "interlock" and fields.get("action") in ("stop", "hold"):
        return "interlock", str(fields.get("text") or fields.get("name"))
    if kind == "outage" and fields.get("state") == "begin":
        return "outage", str(fields.get("text"))
    if kind == "prompt":
        return "prompt", f"waits for an answer: {fields.get('text')}"
    if kind == "status":
        return "end", f"the run ended {fields.get('status')}: {fields.get('reason')}"
    return None


class Messenger:
    """Hears the records of a run and tells people.

    Parameters
    ----------
    failed : called with a sentence when a message was not delivered; from a thread of its own.
    """

    def __init__(
        self, tables: Sequence[NotifyTable], facts: Facts, clock: Clock, failed: Callable[[str], None]
    ) -> None:
        self._tables = tuple(tables)
        self._facts = facts
        self._clock = clock
        self._failed = failed
        self._sent_s: dict[tuple[int, Occasion], float] = {}
        self._kept: dict[tuple[int, Occasion], int] = {}
        self._threads: list[threading.Thread] = []

    def hear(self, kind: str, t: float, fields: Mapping[str, Any]) -> None:
        """Take a record; returns at once."""
        found = occasion_of(kind, fields)
        if found is None:
            return
        occasion, text = found
        for at, table in enumerate(self._tables):
            if occasion in table.on:
                self._tell(at, table, occasion, text, t)

    def finish(self) -> None:
        """Wait until what is under way is delivered, at most as long as one message may take."""
        end = Clock.wall() + PATIENCE_S + 1.0
        for thread in self._threads:
            thread.join(max(0.0, end - Clock.wall()))

    def _tell(self, at: int, table: NotifyTable, occasion: Occasion, text: str, t: float) -> None:
        key = (at, occasion)
        quiet = t - self._sent_s.get(key, -float("inf")) < table.quiet_s
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if (quiet and occasion != "end") or len(self._threads) >= UNDERWAY:
            self._kept[key] = self._kept.get(key, 0) + 1
            return
        kept = self._kept.pop(key, 0)
        more = f" ({kept} more of this kind before)" if kept else ""
        self._sent_s[key] = t
        message = Message(occasion, text + more, self._clock.utc(t).isoformat(), self._facts)
        thread = threading.Thread(target=self._deliver, args=(table, message), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _deliver(self, table: NotifyTable, message: Message) -> None:
        try:
            deliver(table, message)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            self._failed(f"a message about {message.occasion} did not reach {table.address}: {error}")


def deliver(table: NotifyTable, message: Message) -> None:
    """Send one message; raises OSError, SMTPException or ValueError when it is not taken."""
    if table.webhook is not None:
        _post(table.webhook, message)
    else:
        _mail(table, message)


def _post(url: str, message: Message) -> None:
    body = json.dumps(message.to_json()).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
        reply.read(1)


def _mail(table: NotifyTable, message: Message) -> None:
    assert table.smtp is not None
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, str(table.sender), ", ".join(table.email)
    said = [message.text, "", *(f"{name}: {value}" for name, value in message.to_json().items() if name != "text")]
    mail.set_content("\n".join(said))
    host, _, port = table.smtp.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=PATIENCE_S) as server:
        if server.has_extn("starttls"):
            server.starttls()
        if table.user is not None:
            server.login(table.user, os.environ.get(table.password_env or "", ""))
        server.send_message(mail)
