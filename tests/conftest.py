"""Settings of every test."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # a shared computer may stall for longer than any deadline
settings.load_profile("unhurried")
