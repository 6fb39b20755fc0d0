"""A sealed and signed record in a state folder of its own, for tests of what makes it trusted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import main
from bench.trust import users


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrapped keys that cost little."""
    monkeypatch.setattr(users, "SCRYPT_N", 16)


@pytest.fixture
def folder(tmp_path: Path, sealed_bench: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(sealed_bench, tmp_path / "bench")
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "bench" / "home"))
    return tmp_path / "bench"


@pytest.fixture
def run(folder: Path) -> Path:
    return folder / "run.h5"


@pytest.fixture
def home(folder: Path) -> Path:
    return folder / "home"


@pytest.fixture
def said() -> Callable[..., int]:
    """Gives a command to the command line; returns its exit code."""

    def give(*words: object) -> int:
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        assert isinstance(end.value.code, int)
        return end.value.code

    return give
