"""The one failure that comes after a run: its record could not be closed."""

from __future__ import annotations


class UnsavedError(RuntimeError):
    """The run went on to its end, but its record could not be closed; the message says where it is."""
