"""Messages to people who are elsewhere: a webhook or an e-mail on interlock, outage, waiting prompt and end.

A message is delivered by a thread of its own, so that neither sampling nor the record ever waits for a network.  What
comes within the quiet time of its kind is kept, and told when that is over, if nobody has seen to it by then.
"""

from __future__ import annotations

import json
import os
import smtplib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from email.message import EmailMessage
from typing import Any

from bench.unattended.tables import NotifyTable, Occasion
from instruments.clock import Clock

PATIENCE_S = 10.0
"""Longest wait for a mail server or a webhook, in wall seconds."""

UNDERWAY = 8
"""At most so many messages are being delivered at once; a server that hangs must not fill the memory."""

ABOUT: Mapping[str, tuple[Occasion, str]] = {
    "interlock": ("interlock", "name"),
    "reset": ("interlock", "name"),
    "outage": ("outage", "instrument"),
    "prompt": ("prompt", "key"),
    "answer": ("prompt", "key"),
}
"""What a record is about: the occasion, and the field that tells one of its kind from another."""


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
    if kind == "unsaved" and fields.get("state") == "begin":
        return "end", str(fields.get("text"))
    return None


def settled_by(kind: str, fields: Mapping[str, Any]) -> tuple[Occasion, str] | None:
    """What needs nobody elsewhere any more: a prompt that is answered, an outage that ended, a trip that was reset."""
    if kind in ("answer", "reset") or (kind == "outage" and fields.get("state") == "end"):
        occasion, name = ABOUT[kind]
        return occasion, str(fields.get(name))
    return None


@dataclass(slots=True)
class _Kept:
    """What came within the quiet time: how much, and text and time of what still stands, by what it is about."""

    count: int = 0
    standing: dict[str, tuple[str, float]] = field(default_factory=dict)
    timed: bool = False


Key = tuple[int, Occasion]
"""A table, by its place, and a kind of message."""


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
        self._sent_s: dict[Key, float] = {}
        self._kept: dict[Key, _Kept] = {}
        self._threads: list[threading.Thread] = []
        self._over = clock.event()
        self._lock = clock.lock()  # records come by one worker, and what was kept is told by others

    def hear(self, kind: str, t: float, fields: Mapping[str, Any]) -> None:
        """Take a record; returns at once."""
        with self._lock:
            self._settle(kind, fields)
            if kind == "status":
                self._tell_last(t)
            found = occasion_of(kind, fields)
            if found is None:
                return
            occasion, text = found
            about = str(fields.get(ABOUT[kind][1])) if kind in ABOUT else ""
            for at, table in enumerate(self._tables):
                if occasion in table.on:
                    self._tell((at, occasion), about, text, t)

    def finish(self) -> None:
        """No more is to come: wait until what is under way is delivered, at most as long as one message may take."""
        self._over.set()
        end = Clock.wall() + PATIENCE_S + 1.0
        for thread in self._threads:
            thread.join(max(0.0, end - Clock.wall()))

    def _tell(self, key: Key, about: str, text: str, t: float) -> None:
        """Send a message, or keep it."""
        if key[1] != "end" and (t < self._due_s(key) or self._busy()):
            self._keep(key, about, text, t)
            return
        kept = self._kept.pop(key, _Kept())
        self._send(key, text, kept.count, t, t)

    def _keep(self, key: Key, about: str, text: str, t: float) -> None:
        kept = self._kept.setdefault(key, _Kept())
        kept.count += 1
        kept.standing[about] = (text, t)
        if not kept.timed:
            kept.timed = True
            self._clock.worker("~message", lambda: self._tell_kept(key))

    def _tell_kept(self, key: Key) -> None:
        """Tell what was kept as soon as the quiet time is over, unless it was settled, or told, in between."""
        with self._lock:
            due_s = self._due_s(key)
        while not self._clock.wait(self._over, due_s):
            with self._lock:
                due_s, now, kept = self._due_s(key), self._clock.now(), self._kept.get(key)
                if now < due_s:
                    continue
                if kept is None or not kept.standing:
                    if kept is not None:
                        kept.timed = False
                    return
                if not self._busy():
                    self._send_kept(key, now)
                    return
                due_s = now + PATIENCE_S

    def _tell_last(self, t: float) -> None:
        """The run ends, and whoever is not told of that is told of an interlock that is still kept."""
        for key, kept in list(self._kept.items()):
            if key[1] == "interlock" and kept.standing and "end" not in self._tables[key[0]].on:
                self._send_kept(key, t)
        self._kept.clear()

    def _send_kept(self, key: Key, now: float) -> None:
        kept = self._kept.pop(key)
        texts = [text for text, _ in kept.standing.values()]
        self._send(key, "; ".join(texts), kept.count - len(texts), now, max(t for _, t in kept.standing.values()))

    def _settle(self, kind: str, fields: Mapping[str, Any]) -> None:
        found = settled_by(kind, fields)
        if found is None:
            return
        occasion, about = found
        for key, kept in self._kept.items():
            if key[1] == occasion:
                kept.standing.pop(about, None)

    def _due_s(self, key: Key) -> float:
        """When the quiet time of a kind is over."""
        return self._sent_s.get(key, -float("inf")) + self._tables[key[0]].quiet_s

    def _busy(self) -> bool:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return len(self._threads) >= UNDERWAY

    def _send(self, key: Key, text: str, more: int, now: float, t: float) -> None:
        """Have a thread deliver a message of what was recorded at ``t``."""
        self._sent_s[key] = now
        said = f" ({more} more of this kind before)" if more else ""
        message = Message(key[1], text + said, self._clock.utc(t).isoformat(), self._facts)
        thread = threading.Thread(target=self._deliver, args=(self._tables[key[0]], message), daemon=True)
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
