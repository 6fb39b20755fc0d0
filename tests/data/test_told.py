"""What a record's lines say to people who follow a run."""

from __future__ import annotations

from typing import Any

import pytest

from data.told import told


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"person": "Ada", "key": "mass", "value": 77799.0, "unit": "mg"}, "Ada answered mass: 77799.0 mg"),
        (
            {"person": "Ada", "second_person": "Ben", "key": "vial", "value": "baclofen", "unit": ""},
            "Ada and Ben answered vial: baclofen",
        ),
        ({"key": "ready", "value": "done"}, "Somebody answered ready: done"),
    ],
)
def test_an_answer_is_told_with_its_unit_and_both_persons(said: dict[str, Any], text: str) -> None:
    found = told("answer", said)
    assert found is not None
    assert found.text == text
