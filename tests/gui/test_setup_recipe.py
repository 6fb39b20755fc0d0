"""A recipe is chosen where a protocol is: what it fixes is shown and stays, and one that was changed starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.setup import SetUp
from protocols.flow_accuracy import FlowAccuracy

TEXT = f"""
name = "quick basal"
version = "2"
author = "j.doe"
protocol = "flow-accuracy"
method = {FlowAccuracy.method}
duts = ["SIM-20"]

[params]
schedule = "1 mL/day"
analysis = "1 h"
blank = "stopped"
stop_on_clear_fail = false
"""

CHANGED = """
[approval]
kind = "recipe"
user = "m.moe"
name = "Mary Moe"
role = "QA"
meaning = "approved"
reason = "validated"
when = "2026-01-01T00:00:00+00:00"
sha256 = "00"
key = ""
signature = ""
"""


class Quiet:
    """A view that shows nothing."""

    def show_part(self, part: str, name: str) -> None:
        """Nothing."""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipes" / "quick.toml"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


@pytest.fixture
def prepared(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Path) -> SetUp:
    """The set-up, in a folder with one recipe."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(context.state_folder))
    monkeypatch.chdir(tmp_path)
    made = SetUp(context)
    made.attach(Quiet())
    made.shown(True)
    run(made)
    return made


def run(prepared: SetUp) -> None:
    background = prepared.context.background
    assert isinstance(background, Inline)
    background.run()


def test_what_a_recipe_fixes_is_filled_in_and_stays(prepared: SetUp, recipe: Path) -> None:
    form = prepared.form
    form.choose_protocol("occlusion")
    form.choose(str(recipe))
    assert form.protocol is not None
    assert form.protocol.name == "flow-accuracy"
    form.type("analysis", "2 h")
    form.type("stabilisation", "30 min")
    assert form.fields["analysis"].text == "1 h"
    assert form.fields["analysis"].says.endswith("fixed by the recipe")
    request = form.request()
    assert request is not None
    assert (request.recipe, request.settings) == (str(recipe), {"stabilisation": "30 min"})


def test_a_protocol_that_is_chosen_after_it_is_free_again(prepared: SetUp, recipe: Path) -> None:
    prepared.form.choose(str(recipe))
    prepared.form.choose("flow-accuracy")
    request = prepared.form.request()
    assert request is not None
    assert request.recipe is None
    assert prepared.form.fields["analysis"].text == "25 h"


def test_a_recipe_that_was_changed_since_it_was_chosen_starts_nothing(prepared: SetUp, recipe: Path) -> None:
    prepared.form.choose(str(recipe))
    recipe.write_text(TEXT + CHANGED)
    prepared.find()
    run(prepared)
    assert "was changed after Mary Moe approved it" in prepared.why_not
    assert prepared.form.request() is None
