"""The one failure that comes after a run: what must outlast it could not be kept."""

from __future__ import annotations


class UnsavedError(RuntimeError):
    """The run went on to its end, but its record could not be closed, or a latch not be kept; the message says more."""
