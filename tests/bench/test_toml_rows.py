"""A row that is added to a TOML file is on the disk whole, or the file is as it was."""

from __future__ import annotations

import errno
import os
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.articles import change_status
from bench.campaign.plan import CampaignDut, grant, write_campaign
from bench.toml_rows import append_row, toml_value

NOW = datetime(2026, 11, 21, tzinfo=UTC)
REGISTER = '[[articles]]\nkind = "dut"\nid = "A"\nmodel = "M"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A register of one pump."""
    (tmp_path / "articles.toml").write_text(REGISTER, "utf-8")
    return tmp_path / "articles.toml"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A disk that is full when it is to confirm; sizes of the files that it was to keep."""
    sizes: list[int] = []

    def refuses(fd: int) -> None:
        sizes.append(os.fstat(fd).st_size)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuses)
    return sizes


@given(text=st.text(st.characters(codec="utf-8")), moment=st.datetimes(timezones=st.just(UTC)))
def test_every_text_and_moment_is_read_back_as_it_was(text: str, moment: datetime) -> None:
    said = tomllib.loads(f"text = {toml_value(text)}\nat = {toml_value(moment)}\nmany = {toml_value([1, 2.5, True])}")
    assert said == {"text": text, "at": moment, "many": [1, 2.5, True]}


def test_a_row_is_added_behind_what_stands_even_where_the_last_line_has_no_end(file: Path) -> None:
    file.write_text(REGISTER.rstrip(), "utf-8")
    append_row(file, "changes", {"id": "A", "reason": 'a "kink"\x7f\n', "day": date(2026, 1, 2)})
    assert file.read_text("utf-8").startswith(REGISTER)
    assert tomllib.loads(file.read_text("utf-8"))["changes"] == [
        {"id": "A", "reason": 'a "kink"\x7f\n', "day": date(2026, 1, 2)}
    ]


def test_a_disk_that_takes_no_more_leaves_register_and_campaign_as_they_were(file: Path, full: list[int]) -> None:
    with pytest.raises(OSError, match="No space left"):
        change_status(file, "A", "quarantined", "was dropped", "Eve", NOW)
    with pytest.raises(OSError, match="No space left"):
        grant(file, "run-1", "air", "Eve", NOW)
    assert all(size > len(REGISTER) for size in full), "the disk was asked with the row written"
    assert len(full) == 2
    assert file.read_text("utf-8") == REGISTER


def test_a_campaign_that_the_disk_does_not_take_leaves_no_file(tmp_path: Path, full: list[int]) -> None:
    with pytest.raises(OSError, match="No space left"):
        write_campaign(tmp_path / "c.toml", {"title": "t"}, [CampaignDut(model="m", serial="A")])
    assert full
    assert not (tmp_path / "c.toml").exists()
