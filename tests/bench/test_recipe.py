"""Recipes: what they fix stays fixed, an approved one that was changed is refused, and a run says which it used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.closing import reevaluate
from bench.recipe import RecipeError, approve, differences, load_recipe
from bench.request import Request, prepare
from bench.session import conduct
from bench.trust import ledger, users
from bench.trust.ledger import AUDIT, TrustError, rows_of
from data.run import Run
from data.tomlfile import FileError
from protocols.procedure import load_procedure

WORDS = "correct horse battery"

METHOD = load_procedure("flow-accuracy").method
TEXT = f"""
name = "quick basal"
version = "2"
author = "j.doe"
protocol = "flow-accuracy"
method = {METHOD}
duts = ["SIM-20"]

[params]
schedule = "1 mL/day"
analysis = "1 h"
blank = "diverter"

[limits.mean]
low = "-5 %"
high = "5 %"
source = "test plan"
revision = "A"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with two QA persons and an engineer."""
    monkeypatch.setattr(users, "SCRYPT_N", 16)
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    first = users.add(tmp_path / "home", "m.moe", "Mary Moe", "QA", WORDS, "first person")
    for name, role in (("j.doe", "QA"), ("e.roe", "engineer")):
        users.add(tmp_path / "home", name, name.upper(), role, WORDS, "joins", by=first)
    return tmp_path / "home"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "quick.toml"
    path.write_text(TEXT)
    return path


def asked(recipe: Path, **more: object) -> Request:
    return Request("flow-accuracy", "sim", **{"recipe": str(recipe), "dut": "sim-peristaltic", **more})


def test_a_recipe_sets_parameters_and_limits_and_leaves_the_others(recipe: Path, home: Path) -> None:
    prepared = prepare(asked(recipe, settings={"stabilisation": "30 min"}))
    assert prepared.procedure.analysis_s == 3600.0
    assert prepared.procedure.stabilisation_s == 1800.0
    assert prepared.articles["dut"]["limits"]["mean"]["high_percent"] == 5.0
    assert prepared.articles["dut"]["limits"]["mean"]["source"] == "test plan"


def test_what_a_recipe_fixes_cannot_be_set(recipe: Path, home: Path) -> None:
    with pytest.raises(RecipeError, match='--set analysis: recipe "quick basal, version 2" fixes it to 1 h'):
        prepare(asked(recipe, settings={"analysis_s": "2 h"}))


def test_a_recipe_is_for_its_pumps_and_its_protocol(recipe: Path, home: Path) -> None:
    with pytest.raises(RecipeError, match="is for SIM-20, not for SIM-20D"):
        prepare(asked(recipe, dut="sim-declared"))
    with pytest.raises(RecipeError, match="is for flow-accuracy, not for flow-record"):
        prepare(Request("flow-record", "sim", recipe=str(recipe)))


def test_an_approved_recipe_says_who_approved_it_and_the_trail_knows(recipe: Path, home: Path) -> None:
    assert load_recipe(recipe).state == "unsigned"
    before = load_recipe(recipe).sha256
    approved = approve(recipe, "m.moe", WORDS, "validated in VP-3", home)
    assert (approved.state, approved.sha256) == ("approved", before)
    assert "Mary Moe" in approved.why
    assert [row["new"]["sha256"] for row in rows_of(home, AUDIT)[0] if row["what"] == "recipe quick basal 2"] == [
        before
    ]


CHANGES = {
    "a parameter": ('analysis = "1 h"', 'analysis = "2 h"'),
    "a limit": ('high = "5 %"', 'high = "50 %"'),
    "its version": ('version = "2"', 'version = "3"'),
    "a parameter that was free": ("[limits.mean]", 'stabilisation = "0 h"\n\n[limits.mean]'),
    "its signer": ('name = "Mary Moe"', 'name = "Somebody"'),
    "its moment": ('when = "20', 'when = "19'),
    "its reason": ("validated in VP-3", "because"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_approved_recipe_that_was_changed_is_refused(change: str, recipe: Path, home: Path) -> None:
    approve(recipe, "m.moe", WORDS, "validated in VP-3", home)
    text = recipe.read_text()
    assert CHANGES[change][0] in text
    recipe.write_text(text.replace(*CHANGES[change], 1))
    with pytest.raises(RecipeError, match=r"was changed after|not signed with the key"):
        prepare(asked(recipe))


def test_a_recipe_is_approved_once_and_for_a_reason(recipe: Path, home: Path) -> None:
    with pytest.raises(RecipeError, match="the reason is missing"):
        approve(recipe, "m.moe", WORDS, " ", home)
    approve(recipe, "m.moe", WORDS, "validated in VP-3", home)
    with pytest.raises(RecipeError, match=r"has an \[approval\] already"):
        approve(recipe, "m.moe", WORDS, "again", home)


def test_comments_and_layout_are_no_change(recipe: Path, home: Path) -> None:
    approve(recipe, "m.moe", WORDS, "validated in VP-3", home)
    recipe.write_bytes(("# copied\n" + recipe.read_text()).replace("\n", "\r\n").encode())
    assert load_recipe(recipe).state == "approved"


def test_a_signature_of_a_person_who_is_not_known_here_counts_for_nothing(recipe: Path, home: Path) -> None:
    approve(recipe, "m.moe", WORDS, "validated in VP-3", home)
    elsewhere = load_recipe(recipe, home.parent / "other")
    assert elsewhere.state == "unproven"
    assert not elsewhere.to_json()["approved"]


@pytest.mark.parametrize(
    ("role", "why"),
    [("engineer", "who was engineer and not QA"), ("QA", "was engineer at that time, and signed as QA")],
)
def test_an_approval_that_an_engineer_has_written_counts_for_nothing(
    role: str, why: str, recipe: Path, home: Path
) -> None:
    key = users.unlocked(home, "e.roe", WORDS)[1]
    said = {"kind": "recipe", "user": "e.roe", "name": "E. Roe", "role": role, "meaning": "approved", "reason": "so"}
    row = key.signed({**said, "when": ledger.now().isoformat(), "sha256": load_recipe(recipe).sha256})
    block = "\n".join(f"{name} = {json.dumps(value)}" for name, value in row.items())
    recipe.write_text(f"{recipe.read_text()}\n[approval]\n{block}\n")
    loaded = load_recipe(recipe, home)
    assert loaded.state == "unproven"
    assert why in loaded.why


@pytest.mark.parametrize(("who", "why"), [("j.doe", "is the author"), ("e.roe", "is engineer")])
def test_neither_its_author_nor_an_engineer_approves_a_recipe(who: str, why: str, recipe: Path, home: Path) -> None:
    with pytest.raises(RecipeError, match=why):
        approve(recipe, who, WORDS, "validated", home)
    with pytest.raises(TrustError, match="wrong passphrase"):
        approve(recipe, "m.moe", "guess", "validated", home)
    assert recipe.read_text() == TEXT


WRONG = {
    "a method that is not installed": (f"method = {METHOD}", "method = 2", RecipeError, "written for method 2"),
    "a parameter that there is not": ("analysis = ", "analyses = ", RecipeError, 'did you mean "analysis"'),
    "a parameter without unit": ('analysis = "1 h"', "analysis = 25", RecipeError, "analysis"),
    "a limit without source": ('source = "test plan"\n', "", FileError, "source"),
    "a key in no table": ("author =", "autor =", FileError, 'did you mean "author"'),
}


@pytest.mark.parametrize("slip", WRONG)
def test_a_slip_in_a_recipe_is_one_sentence_that_says_where(slip: str, recipe: Path, home: Path) -> None:
    old, new, error, said = WRONG[slip]
    recipe.write_text(TEXT.replace(old, new))
    with pytest.raises(error, match=said):
        load_recipe(recipe)


def test_a_run_keeps_which_recipe_it_used_and_whether_it_was_approved(recipe: Path, home: Path, tmp_path: Path) -> None:
    result = conduct(asked(recipe, settings={"stabilisation": "0 h", "blank_length": "30 min"}, out=tmp_path / "runs"))
    assert any(finding.code == "recipe" for finding in result.findings)
    with Run.open(result.run_file) as run:
        assert (run.recipe["name"], run.recipe["version"]) == ("quick basal", "2")
        assert run.recipe["sha256"] == load_recipe(recipe).sha256
        assert run.recipe["approved"] is False
        mean = next(check for check in run.evaluation.checks if check.name == "mean-flow-error")
    assert (mean.limit_high, mean.limit_source) == (5.0, "test plan, revision A")
    assert reevaluate(result.run_file).identical


def test_a_new_recipe_can_be_used_and_differs_in_what_was_set(home: Path, tmp_path: Path, capsys) -> None:
    made = []
    for version, words in (("1", ()), ("2", ("--set", "analysis=30 h"))):
        made.append(tmp_path / f"{version}.toml")
        given = ["--name", "n", "--version", version, "--author", "a", "--dut", "SIM-20", "--out", str(made[-1])]
        with pytest.raises(SystemExit) as ended:
            main(["recipes", "new", "flow-accuracy", *given, *words])
        assert not ended.value.code, capsys.readouterr().err
    one, other = map(load_recipe, made)
    assert [key for key, *_ in differences(one, other)] == ["version", "params.analysis"]
