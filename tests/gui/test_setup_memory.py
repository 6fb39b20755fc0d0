"""What was chosen for the last run, kept for the next."""

from __future__ import annotations

import json
from pathlib import Path

from gui.presenters.setup_memory import Memory


def test_the_memory_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = Memory("sim", "occlusion", 60.0, "3", {"occlusion": {"limit": "70 kPa"}}, {"sim": {"dut": "a.toml"}})
    kept.write(tmp_path)
    assert Memory.read(tmp_path) == kept
    assert "serial" not in json.loads((tmp_path / "set-up.json").read_text("utf-8"))
