"""The computer's clock: nothing is signed in the past of what is written, unless a QA person says that it was wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from bench.trust import ledger
from bench.trust.keys import MEASURED, note, own_key
from bench.trust.ledger import AUDIT, CLOCK, REGISTER, TrustError, alone, rows_of
from bench.trust.users import User, insist_on_qa

STEP = timedelta(seconds=1)


def insist_on_time(home: Path, when: datetime) -> None:
    """See that the clock was not set back; raises TrustError.

    Rows of before a QA person had accepted the clock do not count: their time is known to be wrong.
    """
    if behind := _behind(home, when):
        name, last = behind
        there = f"{name} has a row of {last:%Y-%m-%d %H:%M}"
        raise TrustError(
            f"the clock says {when:%Y-%m-%d %H:%M}, and {there}; set the clock right, or where it was wrong before "
            "a QA person says so: pumpbench audit accept-clock"
        )


def accept_clock(home: Path, reason: str, by: User) -> None:
    """Note that the clock is right now and was ahead before, so that signing goes on.

    Raises
    ------
    TrustError
        No reason, nobody with the role QA, or the clock is behind nothing.
    """
    if not reason.strip():
        raise TrustError("--reason: say why the clock was wrong; it stands in the audit trail")
    insist_on_qa(by)
    with alone(home):
        behind = _behind(home, ledger.now())
        if behind is None:
            raise TrustError("the clock is behind no row of the logs; nothing was noted")
        counts = {name: len(rows_of(home, name)[0]) for name in (REGISTER, AUDIT)}
        note(home, own_key(home, MEASURED), CLOCK, reason, old=behind[1].isoformat(), new=counts, who=by.id)


def _behind(home: Path, when: datetime) -> tuple[str, datetime] | None:
    """The log whose latest row is of after a moment, and that row's time; None where the clock is not behind."""
    accepted = [row["new"] for row in rows_of(home, AUDIT)[0] if row.get("what") == CLOCK]
    counts = accepted[-1] if accepted else {}
    for name in (REGISTER, AUDIT):
        rows = rows_of(home, name)[0][int(counts.get(name, 0)) :]
        last = max((datetime.fromisoformat(str(row["when"])) for row in rows if "when" in row), default=when)
        if last - when > STEP:
            return name, last
    return None
