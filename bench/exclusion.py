"""What a named person takes out of a run that goes on: what may be said, and the sentence why something may not."""

from __future__ import annotations

import math

from data.checks import Exclusion
from data.quantities import format_quantity
from protocols.procedure import Procedure


def refusal(said: Exclusion, procedure: Procedure, now_s: float) -> str:
    """Why a stretch cannot be kept, in one sentence with the remedy; "" when it can.

    Parameters
    ----------
    said : times in s since the run's begin.
    now_s : s since the run's begin; what has not happened yet cannot be excluded.
    """
    if not said.person.strip() or not said.reason.strip():
        return "a stretch is excluded by a named person with a reason; give both"
    if not procedure.leaves_out:
        return f'protocol "{procedure.name}" judges everything that was recorded; say in a note what happened instead'
    if not (math.isfinite(said.from_s) and math.isfinite(said.to_s)):
        return "a stretch has a begin and an end; give both as times since the run's begin, such as 2 h and 123 min"
    if said.from_s < 0.0:
        return f"the stretch begins at {_time(said.from_s)}, before the run; its first moment is 0 s"
    if said.to_s <= said.from_s:
        return f"the stretch ends at {_time(said.to_s)}, not after its begin at {_time(said.from_s)}; turn them round"
    if said.to_s > now_s:
        so_far = _time(float(math.floor(now_s)))
        return f"the stretch ends at {_time(said.to_s)}, and the run is at {so_far}; exclude it when it is over"
    return ""


def fields_of(said: Exclusion) -> dict[str, str | float]:
    """As the record keeps it."""
    reason = " ".join(said.reason.split())
    text = f"{_time(said.from_s)} to {_time(said.to_s)}: {reason}"
    return {"from_s": said.from_s, "to_s": said.to_s, "reason": reason, "person": said.person.strip(), "text": text}


def _time(seconds: float) -> str:
    return format_quantity(seconds, "time") if seconds else "0 s"
