"""Where the review of a run stands, by the signatures that count here, and who may sign with which meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bench.state_folder import home
from bench.trust.standing import Standing, standing

ReviewState = Literal["unreviewed", "reviewed", "approved", "rejected", "unproven"]

MAY = {
    "reviewed": ("engineer", "QA"),
    "approved": ("QA",),
    "rejected": ("engineer", "QA"),
    "addendum": ("operator", "engineer", "QA"),
}
"""Roles that may sign with each meaning."""


def review_state(path: Path, folder: Path | None = None) -> ReviewState:
    """Where the review of a run stands; "unproven" when the file or a signature is not what it was."""
    return state_of(standing(path, folder or home()))


def state_of(found: Standing) -> ReviewState:
    """The same, of a file that was verified already."""
    if not found.signatures:
        return "unreviewed"
    if found.state not in ("intact", "rewritten") or found.remarks:
        return "unproven"
    meaning = str(found.signatures[-1]["meaning"])
    if found.signatures[-1].get("role") not in MAY.get(meaning, ()):
        return "unproven"  # no bench has let that be signed
    states: dict[str, ReviewState] = {"reviewed": "reviewed", "approved": "approved", "rejected": "rejected"}
    return states.get(meaning, "unreviewed")
