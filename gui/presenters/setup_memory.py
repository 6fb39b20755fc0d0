"""What was chosen last, kept in the state folder, so that the next run is prepared with few words.

Serial numbers, faults, overrides and the person are never kept: who they are of has to be said anew each time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

NAME = "set-up.json"


@dataclass
class Memory:
    """What was chosen last.

    Attributes
    ----------
    settings : of each protocol, the parameters that were changed, as typed.
    articles : device, catheter and fluid, by station.
    """

    station: str = ""
    protocol: str = ""
    pace: float | None = None
    seed: str = "1"
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    articles: dict[str, dict[str, str]] = field(default_factory=dict)
    person_answers: bool = False

    @classmethod
    def read(cls, folder: Path) -> Memory:
        """From the state folder; what cannot be read is forgotten."""
        try:
            said = json.loads((folder / NAME).read_text("utf-8"))
        except (OSError, ValueError):
            return cls()
        if not isinstance(said, dict):
            return cls()
        pace = said.get("pace")
        return cls(
            str(said.get("station", "")),
            str(said.get("protocol", "")),
            float(pace) if isinstance(pace, int | float) and pace > 0 else None,
            str(said.get("seed", "1")),
            _texts(said.get("settings")),
            _texts(said.get("articles")),
            said.get("person_answers") is True,
        )

    def write(self, folder: Path) -> None:
        """Into the state folder; raises OSError."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / NAME).write_text(json.dumps(asdict(self), indent=1), "utf-8")


def _texts(said: object) -> dict[str, dict[str, str]]:
    if not isinstance(said, Mapping):
        return {}
    inner = {str(key): value for key, value in said.items() if isinstance(value, Mapping)}
    return {key: {str(name): str(text) for name, text in value.items()} for key, value in inner.items()}
