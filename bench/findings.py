"""What a check before the run found, as it is told, journalled and overridden."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Level = Literal["blocks", "warns", "tells"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of the preflight.

    ``code`` is what an override names; a ``blocks`` finding keeps the run from starting unless it is overridden.
    """

    code: str
    level: Level
    text: str

    def to_json(self, station: Path) -> dict[str, str]:
        """Fields as they are journalled: without the folder of the station file, which says nothing of the run."""
        return {**asdict(self), "text": self.text.replace(str(station), station.name)}
