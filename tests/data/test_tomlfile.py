"""Problems of any TOML file, found in tables, lists of tables and tables with free names."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field

from data.quantity_fields import TimeS
from data.tomlfile import FileError, read_toml


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    period_s: TimeS = Field(alias="period", examples=["1 s"])
    count: int = 1


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    parts: dict[str, Part] = {}
    steps: list[Part] = []


@pytest.fixture
def said(tmp_path):
    """What is said of a text, without the file's path."""

    def read(text: str) -> str:
        path = tmp_path / "whole.toml"
        path.write_text(text, "utf-8")
        with pytest.raises(FileError) as refusal:
            read_toml(path, Whole)
        return str(refusal.value).removeprefix(str(path))

    return read


def test_brackets_without_end_are_said(said):
    assert said("steps = " + "[" * 3000 + "]" * 3000) == (
        ": this is not TOML: brackets stand in brackets without end; close them"
    )


def test_a_key_in_a_table_with_a_free_name_is_found(said):
    message = said('[parts.one]\nperiod = "1 s"\n[parts.two]\nperoid = "2 s"\n')
    assert message == ':4: key "parts.two.peroid" is not known here; did you mean "period"?'


def test_the_line_is_that_of_the_right_item_of_a_list(said):
    message = said('[[steps]]\nperiod = "1 s"\n[[steps]]\nperiod = "2 parsecs"\n')
    assert message.startswith(':4: key "steps.1.period": "2 parsecs" is not a time')


def test_a_missing_key_is_said_at_its_table(said):
    assert said("[parts.one]\ncount = 2\n") == (
        ':1: key "parts.one.period" is missing; add a line such as period = "1 s"'
    )


def test_a_key_like_no_other_is_told_the_known_ones(said):
    message = said('[parts.one]\nperiod = "1 s"\nzzz = 1\n')
    assert message == ':3: key "parts.one.zzz" is not known here; known keys are period, count'


def test_a_bad_value_shows_what_stood_there(said):
    assert said('[parts.one]\nperiod = "1 s"\ncount = 1.5\n') == (
        ':3: key "parts.one.count" is 1.5; write a whole number'
    )
    assert said("parts = 3\n") == ':1: key "parts" is 3; write a table'


def test_text_that_is_not_toml_is_said_with_line_and_column(said):
    assert said("[parts.one]\nperiod = 1,5\n").startswith(":2: this is not TOML at column 11")
    assert said("parts = [").startswith(": this is not TOML at the end of the file")
