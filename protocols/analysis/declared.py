"""What is known of a run before it begins, as an evaluation or a forecast reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from data.schedule import Schedule

if TYPE_CHECKING:
    from data.run import Run


@dataclass(frozen=True)
class Declared:
    """What of a run stands in its file before it begins; an evaluation that asks for more asks for what happened.

    Attributes
    ----------
    params, station, roles, dut, fluid, schedule : as the run file keeps them.
    start_h : hour of the day at which the run begins, with which the room swings; None where it is not known.
    """

    params: Mapping[str, Any]
    station: Mapping[str, Any]
    roles: Mapping[str, str]
    dut: Mapping[str, Any]
    fluid: Mapping[str, Any]
    schedule: Schedule | None = None
    start_h: float | None = None

    def calibration(self, role: str) -> dict[str, Any]:
        """Certificate of the channel in a role; empty without one."""
        instrument, _, channel = str(self.roles.get(role, role)).partition(".")
        table: Mapping[str, Any] = self.station["instruments"].get(instrument, {})
        return dict((table.get("calibration") or {}).get(channel) or {})

    def has(self, role: str) -> bool:
        """Whether a role was recorded: nothing is yet."""
        return False

    def records(self, kind: str) -> list[Any]:
        """What happened: nothing yet."""
        return []

    @property
    def answers(self) -> dict[str, Any]:
        """What persons answered: nothing yet."""
        return {}

    @property
    def as_run(self) -> Run:
        """Itself, where an evaluation takes a run."""
        return cast("Run", self)
