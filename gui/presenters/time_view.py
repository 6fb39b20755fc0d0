"""The stretch of time that linked plots show: it follows the newest sample, until a person looks at something else."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MethodType
from weakref import WeakMethod

WINDOWS: tuple[tuple[str, float | None], ...] = (
    ("All", None),
    ("Last 10 min", 600.0),
    ("Last hour", 3600.0),
    ("Last 24 h", 86400.0),
)
"""What can be followed."""

AHEAD = 0.05
"""So much room is left free for what comes, lest the axis be drawn anew for each sample."""

SHORTEST_S = 1e-2
LONGEST_S = 1e9


class TimeView:
    """A stretch of time, and a cursor in it, that one or more plots show.

    Attributes
    ----------
    t0, t1 : what is shown, in s.
    window_s : how much is followed; None for all.
    is_following : whether the newest sample is kept in view.
    is_held : nothing moves and nothing is drawn anew, though samples go on being taken.
    cursor : where it stands, in s; None while it is off.
    draws_box : whether a drag of the mouse draws a box to zoom to, rather than moves.
    origin_s : the moment from which the axis counts.
    """

    def __init__(self) -> None:
        self.origin_s = 0.0
        self.t0, self.t1 = 0.0, 60.0
        self.window_s: float | None = None
        self.is_following = True
        self.is_held = False
        self.cursor: float | None = None
        self.draws_box = False
        self._first, self._last = math.inf, -math.inf
        self._listeners: list[Callable[[], Callable[[], None] | None]] = []

    def listen(self, call: Callable[[], None]) -> None:
        """Hear that anything of it has changed; a method is heard for as long as its object lives."""
        self._listeners.append(WeakMethod(call) if isinstance(call, MethodType) else lambda: call)

    def leave(self, call: Callable[[], None]) -> None:
        """Hear no more."""
        self._listeners = [one for one in self._listeners if one() not in (call, None)]

    def _say(self) -> None:
        for one in list(self._listeners):
            if (call := one()) is not None:
                call()

    @property
    def span_s(self) -> float:
        """Length of what is shown."""
        return self.t1 - self.t0

    @property
    def reach(self) -> tuple[float, float] | None:
        """Time of the first and of the last sample of any plot; None without samples."""
        return (self._first, self._last) if self._first <= self._last else None

    # -- what comes

    def forget(self) -> None:
        """Another run: no samples yet, everything is followed."""
        self._first, self._last = math.inf, -math.inf
        self.t0, self.t1, self.cursor = 0.0, 60.0, None
        self.is_following, self.is_held = True, False
        self._say()

    def has_come(self, first: float, last: float) -> None:
        """A plot has samples of this stretch."""
        if first >= self._first and last <= self._last:
            return
        self._first, self._last = min(first, self._first), max(last, self._last)
        if self.is_following and not self.is_held:
            self._follow()

    def _follow(self) -> None:
        if self._first > self._last:
            return
        length = self._last - self._first
        if self.window_s is None:
            begin = self._first
            is_well = self.t0 == begin and self._last <= self.t1 <= self._last + 3.0 * AHEAD * max(length, 10.0)
            end = self.t1 if is_well else self._last + AHEAD * max(length, 10.0)
        else:
            is_well = self._last <= self.t1 <= self._last + 2.0 * AHEAD * self.window_s
            end = self.t1 if is_well else self._last + AHEAD * self.window_s
            begin = end - self.window_s * (1.0 + AHEAD)
        self._set(begin, end)

    def _set(self, t0: float, t1: float) -> None:
        if (t0, t1) != (self.t0, self.t1):
            self.t0, self.t1 = t0, t1
            self._say()

    # -- what a person does

    def follow(self, window_s: float | None) -> None:
        """Keep the newest sample in view, with so much before it; None for all."""
        self.window_s, self.is_following, self.is_held = window_s, True, False
        self.t1 = -math.inf  # the room ahead is measured anew
        self._follow()
        if self.t1 == -math.inf:
            self.t0, self.t1 = 0.0, window_s or 60.0
        self._say()

    def back_to_live(self) -> None:
        """Follow again what was followed last."""
        self.follow(self.window_s)

    def hold(self, held: bool) -> None:
        """Freeze what is shown, or let it go on."""
        self.is_held = held
        if not held and self.is_following:
            self._follow()
        self._say()

    def show(self, t0: float, t1: float) -> None:
        """Show a stretch, and follow no more."""
        t0, t1 = sorted((t0, t1))
        if not math.isfinite(t1 - t0) or t1 - t0 > LONGEST_S:
            return
        if t1 - t0 < SHORTEST_S:
            middle = (t0 + t1) / 2.0
            t0, t1 = middle - SHORTEST_S / 2.0, middle + SHORTEST_S / 2.0
        self.is_following = False
        self.t0, self.t1 = t0, t1
        self._say()

    def draw_boxes(self, draws: bool) -> None:
        """Have the mouse draw boxes, or move."""
        self.draws_box = draws
        self._say()

    def zoom(self, factor: float, around: float | None = None) -> None:
        """Show so many times the stretch, with a moment kept where it stands; the middle without one."""
        fixed = (self.t0 + self.t1) / 2.0 if around is None else around
        self.show(fixed - (fixed - self.t0) * factor, fixed + (self.t1 - fixed) * factor)

    def pan(self, share: float) -> None:
        """Move by a share of what is shown."""
        by = share * self.span_s
        self.show(self.t0 + by, self.t1 + by)

    def show_all(self) -> None:
        """Show everything, and keep doing so."""
        self.follow(None)

    def point_at(self, t: float | None) -> None:
        """Set the cursor; None takes it away."""
        if t != self.cursor:
            self.cursor = t
            self._say()
