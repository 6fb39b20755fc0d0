"""Settings of every test."""

from __future__ import annotations

from hypothesis import settings

# The suite tries the same examples every time, so that its answer depends on the change alone; new ones are looked for
# with `--hypothesis-profile=explore`.  No deadline: a shared computer may stall for longer than any.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("repeatable")
