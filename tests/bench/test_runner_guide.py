"""The guide to detached runs: its commands do what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bench.cli import main

GUIDE = Path(__file__).parents[2] / "docs" / "howto" / "detached-runs.md"


def test_every_command_of_the_guide_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines.sort(key=lambda line: "attach" in line)  # whoever attaches stays to the end
    lines.append("pumpbench runner start 2")  # after a stop nothing moves before a person says so
    lines.append("pumpbench runner attach 2")
    for line in lines:
        with pytest.raises(SystemExit) as end:
            main(shlex.split(line)[1:])
        expected = 4 if "attach" in line else 0  # a record alone has no verdict
        assert end.value.code == expected, f"{line}\n{capsys.readouterr().err}"
    assert len(lines) == 10
