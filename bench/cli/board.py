"""What goes on in a run, as it is followed: a board on a terminal, lines elsewhere."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from bench.rpc.client import Client, ClientError, Followed
from bench.rpc.messages import Status
from data.frames import Record
from data.samples import Block, Stream
from data.told import told
from instruments.clock import WallClock

if TYPE_CHECKING:
    from rich.console import Group

ASK_EVERY_S = 1.0
"""How often the runner is asked for what the journal does not say: the share that is done, prompts."""

LINES = 10
"""Events that a board shows."""


class Board:
    """The present state of a run and its last events."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._wall = WallClock()
        self._asked_s = -math.inf
        self._live = sys.stdout.isatty()
        self._status: Status | None = None
        self._units: dict[str, str] = {}
        self._values: dict[str, tuple[float, float]] = {}  # channel -> time, value
        self._lines: deque[str] = deque(maxlen=LINES)

    @contextmanager
    def shown(self) -> Iterator[Board]:
        """Show it meanwhile, where there is a terminal."""
        if not self._live:
            yield self
            return
        from rich.live import Live

        with Live(get_renderable=self._drawn, refresh_per_second=4, transient=True):
            yield self

    def take(self, message: Followed) -> None:
        """Show what a frame says."""
        said = message.content
        if isinstance(said, Stream):
            self._units.update({f"{said.name}.{channel.name}": channel.unit for channel in said.channels})
        elif isinstance(said, Block):
            names = [name for name in self._units if name.startswith(f"{said.stream}.")]
            self._values.update(
                {name: (float(said.t[-1]), float(value)) for name, value in zip(names, said.values[-1], strict=True)}
            )
        elif isinstance(said, Record) and (words := _told(said)):
            line = f"{_clock(said.t)}  {words}"
            self._lines.append(line)
            if not self._live:
                click.echo(line)
        if self._live and self._wall.now() - self._asked_s > ASK_EVERY_S:
            self._asked_s = self._wall.now()
            with suppress(ClientError):  # it has just ended
                self._status = self._client.status()

    def _drawn(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        status = self._status
        parts: list[Any] = []
        if status is not None:
            by = f"   controlled by {status.controller}" if status.controller else ""
            head = f"run {status.number}  {status.procedure} on {status.station}   {status.state}   {status.phase}{by}"
            parts += [Text(head, style="bold"), ProgressBar(total=1.0, completed=status.share_done, width=60)]
            parts.append(Text(f"{_clock(status.elapsed_s)} of {_clock(status.planned_s)}"))
            parts += [Text(f"held by interlock {name}", style="bold red") for name in status.latched]
            parts += [Text(f"waits for {one.key}: {one.text}", style="bold yellow") for one in status.prompts]
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for heading in ("channel", "value", "", "at"):
            table.add_column(heading, justify="right" if heading == "value" else "left")
        for name, (t, value) in self._values.items():
            table.add_row(name, f"{value:.6g}" if math.isfinite(value) else "–", self._units[name], _clock(t))
        return Group(*parts, table, *(Text(line) for line in self._lines))


def _told(record: Record) -> str:
    """A record in a line, with its level where that is out of the ordinary; empty for what is no news."""
    line = told(record.kind, record.fields)
    if line is None or line.level == "detail":
        return ""
    return line.text if line.level == "news" else f"{line.level}: {line.text}"


def _clock(t: float) -> str:
    return str(timedelta(seconds=int(t))).rjust(8)
