"""Chained logs: what a full disk, a crash or a power cut leaves behind is whole, and what a person changed is not."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import audit
from data.audit import add_row, read_head, read_log
from data.keys import SigningKey

WHEN = "2026-11-22T10:00:00+00:00"
KEY = SigningKey.new()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "register.jsonl"
    grown(path, 3)
    return path


def grown(path: Path, rows: int) -> None:
    for number in range(rows):
        add_row(path, {"what": f"row {number}"}, WHEN, KEY)


def full(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def no_head(patch: pytest.MonkeyPatch) -> None:
    """The head's block does not fit, though the row does."""
    as_shipped = Path.open

    def opened(path: Path, *how: Any, **options: Any) -> Any:
        return full() if path.suffix == ".head-part" else as_shipped(path, *how, **options)

    patch.setattr(Path, "open", opened)


def no_name(patch: pytest.MonkeyPatch) -> None:
    """The head cannot be put in its place."""
    patch.setattr(Path, "replace", full)


def no_row(patch: pytest.MonkeyPatch) -> None:
    """The disk confirms nothing."""
    patch.setattr("os.fsync", full)


@pytest.mark.parametrize("broken", [no_head, no_name, no_row])
def test_a_row_that_a_full_disk_refuses_leaves_the_log_as_it_was(
    log: Path, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    before = log.read_bytes()
    for _ in range(3):
        with pytest.MonkeyPatch.context() as patch:
            broken(patch)
            with pytest.raises(OSError, match="No space left"):
                grown(log, 1)
        assert (log.read_bytes(), read_log(log)[1]) == (before, [])
    grown(log, 2)
    assert (len(read_log(log)[0]), read_log(log)[1]) == (5, [])
    assert sorted(path.name for path in log.parent.iterdir()) == ["register.head", "register.jsonl"]


@pytest.mark.parametrize("behind", [1, 2, 7])
def test_a_log_whose_head_stayed_behind_is_whole_and_goes_on(log: Path, behind: int) -> None:
    head = log.with_suffix(".head").read_bytes()
    grown(log, behind)
    log.with_suffix(".head").write_bytes(head)
    assert read_log(log)[1] == []
    grown(log, 1)
    assert read_log(log)[1] == []
    found = read_head(log)
    assert found is not None
    assert found.rows == 4 + behind


@pytest.mark.parametrize("at", [3, 4])
def test_rows_behind_the_head_that_nobody_signed_are_noticed_for_ever(log: Path, at: int) -> None:
    head = log.with_suffix(".head").read_bytes()
    grown(log, 2)
    log.with_suffix(".head").write_bytes(head)
    lines = log.read_bytes().splitlines(keepends=True)
    lines[at] = lines[at].replace(b'"what":"row', b'"what":"run')
    log.write_bytes(b"".join(lines))
    assert read_log(log)[1] != []
    grown(log, 1)
    assert read_log(log)[1] != []


def test_an_end_that_was_cut_off_is_noticed_for_ever(log: Path) -> None:
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    assert "rows at its end were removed" in read_log(log)[1][0]
    grown(log, 2)
    assert read_log(log)[1] != []


@pytest.mark.parametrize("torn", [b'{"number":4,"prev', b"\0" * 300, b'{"number":4,' + b"\0" * 90 + b'"x":1}\n'])
def test_a_row_of_which_a_power_cut_left_pieces_is_none(log: Path, torn: bytes) -> None:
    log.write_bytes(log.read_bytes() + torn)
    assert (len(read_log(log)[0]), read_log(log)[1]) == (3, [])
    grown(log, 1)
    assert (len(read_log(log)[0]), read_log(log)[1]) == (4, [])


def test_a_row_is_on_the_disk_before_its_head_and_the_head_before_it_has_its_name(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    synced, replaced = os.fsync, Path.replace

    def sync(fd: int) -> None:
        told.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name)
        synced(fd)

    monkeypatch.setattr("os.fsync", sync)
    monkeypatch.setattr(Path, "replace", lambda *names: (told.append("named"), replaced(*names))[1])
    grown(log, 1)
    assert told == ["register.head-part", "register.jsonl", "named"]


def test_a_log_that_grows_while_it_is_read_is_whole(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_shipped = Path.read_bytes

    def read(path: Path) -> bytes:
        data = as_shipped(path)
        monkeypatch.setattr(Path, "read_bytes", as_shipped)
        grown(log, 1)
        return data

    monkeypatch.setattr(Path, "read_bytes", read)
    assert read_log(log)[1] == []


CHANGES: list[Callable[[bytes], bytes]] = [
    lambda data: data.replace(b"row 1", b"row 7"),
    lambda data: data[: len(data) // 2],
    lambda data: data[: data.rfind(b"\n", 0, -1) + 1],
    lambda data: data[data.find(b"\n") + 1 :],
    lambda data: data + data,
    lambda data: data + b"{}\n",
    lambda data: data + b'{"torn":',
    lambda data: data[:-1] + b" \n",
    lambda data: b"",
]


@settings(max_examples=60)
@given(st.lists(st.sampled_from([None, *range(len(CHANGES))]), min_size=1, max_size=6))
def test_what_is_kept_of_a_log_never_hides_what_became_of_it(steps: Sequence[int | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "register.jsonl"
        grown(path, 3)
        for step in steps:
            if step is None:
                grown(path, 1)
            else:
                path.write_bytes(CHANGES[step](path.read_bytes()))
            found = read_log(path)
            audit._KEPT.clear()
            assert read_log(path) == found


def test_what_is_kept_is_bounded_and_of_whole_logs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = audit._KEPT
    kept.clear()
    paths = [tmp_path / f"{number}.jsonl" for number in range(audit.LOGS_KEPT + 2)]
    for path in paths:
        grown(path, 2)
        read_log(path)
    assert list(kept) == paths[2:]
    read_log(paths[-1])[0].clear()
    assert len(read_log(paths[-1])[0]) == 2
    paths[0].write_bytes(paths[0].read_bytes().replace(b"row 0", b"row 9"))
    assert read_log(paths[0])[1]
    assert paths[0] not in kept
    monkeypatch.setattr(audit, "KEPT_BYTES", 10)
    grown(paths[-1], 1)
    assert len(read_log(paths[-1])[0]) == 3
    assert paths[-1] not in kept
