"""`pumpbench analyse bolus` on the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from bench.cli.analyse import analyse

UNITS = ("--time", "t", "--time-unit", "min", "--mass", "m", "--mass-unit", "g")
ASKED = ("--density", "0.998 g/mL", "--set-volume", "50 uL", "--marks", "30 s, 90 s, 150 s")


def run(path, *options, defaults=(*UNITS, *ASKED)):
    return CliRunner().invoke(analyse, ["bolus", str(path), *defaults, *options])


@pytest.fixture
def log(tmp_path):
    """Boluses of 50, 51 and 49 uL over 6 s on 40 uL/h less an evaporation of 0.2 mg/h; minutes and grams."""
    path = tmp_path / "log.csv"
    rows = ["t,m"]
    for t in range(211):
        boluses = sum(v * min(max((t - at) / 6.0, 0.0), 1.0) for v, at in ((50, 30), (51, 90), (49, 150)))
        rows.append(f"{t / 60.0!r},{(0.998 * (boluses + 40.0 * t / 3600.0) - 0.2 * t / 3600.0) / 1000.0!r}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_log_gives_its_boluses_as_json(log):
    result = run(log, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert set(found) == {
        "volumes_ul",
        "errors_percent",
        "mean_error_percent",
        "max_error_percent",
        "min_error_percent",
    }
    assert found["volumes_ul"] == pytest.approx([50.0, 51.0, 49.0])
    assert found["errors_percent"] == pytest.approx([0.0, 2.0, -2.0], abs=1e-6)
    assert found["mean_error_percent"] == pytest.approx(0.0, abs=1e-6)
    assert (found["max_error_percent"], found["min_error_percent"]) == pytest.approx((2.0, -2.0))


def test_people_get_a_table_and_the_length_of_the_basal_stretch(log):
    result = run(log)
    assert "mean error" in result.stdout
    assert "+2.000" in result.stdout
    assert "basal flow is taken from the last half between boluses, 30 s long" in result.stderr


def test_a_density_that_was_not_given_is_told(log):
    result = run(log, "--json", defaults=(*UNITS, *ASKED[2:]))
    assert "no --density given" in result.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--marks", "30 s, 400 s"), "bolus 2 begins at 400 s, but the log runs from 0 s to 210 s"),
        (("--marks", "30, 90"), "--marks:"),
        (("--marks", ""), "--marks:"),
        (("--set-volume", "0 uL"), "the set volume must be above 0 uL"),
        (("--set-volume", "50 mg"), "--set-volume:"),
        (("--density", "0 g/mL"), "the density must be above 0 g/mL"),
        (("--buoyancy", "1.2 g/mL"), "is no density of air"),
        (("--mass", "mass"), 'there is no column "mass"'),
    ],
)
def test_an_option_with_a_mistake_is_refused_in_one_sentence(log, options, sentence):
    result = run(log, *options)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.strip().count("\n") == 0
