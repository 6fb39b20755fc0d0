"""`pumpbench analyse bolus` on the command line."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli.analyse import analyse

UNITS = ("--time", "t", "--time-unit", "min", "--mass", "m", "--mass-unit", "g")
MARKS = (30, 90, 150, 210, 270)
EFFECT = r"bolus (\d) is measured ([0-9.]+) % too (large|small)"
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


def noted(tmp_path, duration_s=5.0, end_s=330.0, fall_s=None):
    """Errors and notes of five boluses of 50 mg, one a minute, on a basal flow; 30 mg may be taken away."""
    t = np.arange(0.0, end_s + 0.5)
    mass = 0.01 * t + sum(50.0 * np.clip((t - at) / duration_s, 0.0, 1.0) for at in MARKS)
    if fall_s is not None:
        mass = mass - 30.0 * (t > fall_s)
    path = tmp_path / "log.csv"
    path.write_text("t,m\n" + "".join(f"{a!r},{b!r}\n" for a, b in zip(t.tolist(), mass.tolist(), strict=True)))
    options = ("--time", "t", "--time-unit", "s", "--mass", "m", "--mass-unit", "mg", "--density", "1 g/mL", "--json")
    result = run(path, "--marks", ", ".join(f"{at} s" for at in MARKS), "--set-volume", "50 uL", defaults=options)
    return json.loads(result.stdout)["errors_percent"], result.stderr


def test_sound_boluses_get_no_note_but_the_length_of_the_basal_stretch(tmp_path):
    errors, notes = noted(tmp_path)
    assert errors == pytest.approx([0.0] * 5, abs=1e-9)
    assert notes.strip().count("\n") == 0


def test_boluses_that_overlap_are_told_though_their_flow_is_steady(tmp_path):
    errors, notes = noted(tmp_path, duration_s=90.0)
    assert max(errors) < -60.0
    assert "bolus 1: more flowed from 60 s to 90 s" in notes
    assert "by 66.7 % of a bolus in its interval" in notes
    assert "is measured too small, and so may be those after it" in notes


@pytest.mark.parametrize(("end_s", "error"), [(272.0, -100.0), (276.0, -78.0)])
def test_a_last_bolus_in_which_the_log_ends_is_named_with_what_to_do(tmp_path, end_s, error):
    errors, notes = noted(tmp_path, end_s=end_s)
    assert errors[-1] == pytest.approx(error, abs=1.0)
    assert f"bolus 5: the log ends {end_s - 270.0:g} s after its mark at 270 s, and the others have 60 s" in notes
    assert "log longer, or end the log at its mark and leave the mark out" in notes


@pytest.mark.parametrize("fall_s", [160.0, 185.0, 200.0, 208.0])
def test_the_note_of_a_fall_says_what_it_does_to_each_bolus_and_no_other_note_contradicts_it(tmp_path, fall_s):
    errors, notes = noted(tmp_path, fall_s=fall_s)
    told = {int(n): float(p) * (1 if w == "large" else -1) for n, p, w in re.findall(EFFECT, notes)}
    assert 3 in told
    assert errors == pytest.approx([told.get(n, 0.0) for n in range(1, 6)], abs=0.1)
    assert "half of its interval" not in notes


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--marks", "30 s, 400 s"), "bolus 2 begins at 400 s, but the log runs from 0 s to 210 s"),
        (("--marks", "30, 90"), "--marks:"),
        (("--marks", ""), "--marks:"),
        (("--set-volume", "0 uL"), "the set volume must be above 0 uL"),
        (("--set-volume", "50 mg"), "--set-volume:"),
        (("--density", "0 g/mL"), "is no density of a fluid for a pump"),
        (("--density", "998 g/mL"), "is no density of a fluid for a pump"),
        (("--buoyancy", "1.2 g/mL"), "is no density of air"),
        (("--mass", "mass"), 'there is no column "mass"'),
    ],
)
def test_an_option_with_a_mistake_is_refused_in_one_sentence(log, options, sentence):
    result = run(log, *options)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.strip().count("\n") == 0
