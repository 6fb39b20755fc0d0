import json

import pytest
from click.testing import CliRunner

from bench.cli.analyse import analyse

OPTIONS = (
    *("--time", "t", "--time-unit", "min", "--pressure", "p", "--pressure-unit", "mmHg"),
    *("--set-rate", "1 mL/day", "--occluded-at", "30 min", "--released-at", "90 min", "--threshold", "450 mmHg"),
)
VOLUME = ("--volume", "v", "--volume-unit", "mL")


def log(folder, every=0.5, head="t,p,v"):
    """1 mL/day into 0.5 uL/kPa from 10 mmHg; the tip stands meanwhile, and all comes out at once."""
    flow, per_mmhg = 1.0 / 1440.0, 0.0005 / 7.50061683  # mL/min, mL/mmHg
    rows = [head]
    for k in range(round(120.0 / every) + 1):
        t = k * every
        pressure = 10.0 + (flow * (t - 30.0) / per_mmhg if 30.0 < t < 90.0 else 0.0)
        volume = flow * (min(t, 30.0) if t < 90.0 else t)
        rows.append(f"{t!r},{pressure!r},{volume!r}")
    path = folder / "log.csv"
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


def run(path, *options, defaults=OPTIONS):
    return CliRunner().invoke(analyse, ["occlusion", str(path), *defaults, *options])


@pytest.mark.parametrize("every", [0.05, 0.5, 4.0])
def test_a_log_gives_its_results_as_json(tmp_path, every):
    result = run(log(tmp_path, every), *VOLUME, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "baseline_kpa": pytest.approx(10.0 * 0.133322387),
        "time_to_threshold_s": pytest.approx(440.0 * 0.133322387 * 0.5 / (1000.0 / 86400.0)),
        "pressure_at_release_kpa": pytest.approx(10.0 * 0.133322387 + 1000.0 / 24.0 / 0.5),
        "slope_kpa_per_s": pytest.approx(1000.0 / 86400.0 / 0.5),
        "compliance_ul_per_kpa": pytest.approx(0.5),
        "bolus_ul": pytest.approx(1000.0 / 24.0),
        "missed_volume_ul": pytest.approx(1000.0 / 24.0),
    }


def test_a_log_without_release_has_no_bolus(tmp_path):
    found = json.loads(run(log(tmp_path), "--json", defaults=(*OPTIONS[:-4], *OPTIONS[-2:])).stdout)
    assert found["bolus_ul"] is None
    assert found["pressure_at_release_kpa"] is None
    assert found["compliance_ul_per_kpa"] == pytest.approx(0.5)


def test_people_get_lines(tmp_path):
    text = run(log(tmp_path)).stdout
    assert "compliance        0.5 uL/kPa" in text
    assert "bolus on release  41.667 uL" in text
    assert "after the occlusion" in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--volume", "v"), "--volume and --volume-unit go together"),
        (("--volume", "p", "--volume-unit", "mL"), 'pressure and volume are both column "p"'),
        (("--volume", "w", "--volume-unit", "mL"), 'there is no column "w"'),
        (("--pressure-unit", "mg"), "--pressure-unit"),
        (("--threshold", "60"), "--threshold"),
        (("--set-rate", "0 mL/day"), "the set rate must be above 0"),
        (("--released-at", "20 min"), "the release at 1200 s is not between"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path, options, says):
    result = run(log(tmp_path), *options)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.strip().count("\n") == 0


def test_a_cell_that_is_no_number_is_named(tmp_path):
    path = log(tmp_path)
    path.write_text(path.read_text("utf-8").replace("\n1.0,10.0,", "\n1.0,lost,"), "utf-8")
    assert 'line 4: column "p" holds "lost"' in run(path).stderr


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("1,800", 'holds "1,800": a comma is not a decimal point; write 1.800, or 1800 where it groups thousands'),
        ("1,8", 'holds "1,8": a comma is not a decimal point; write 1.8\n'),
        ("0,800", 'holds "0,800": a comma is not a decimal point; write 0.800\n'),
        ("1,234,567.5", 'holds "1,234,567.5": thousands are not grouped; write 1234567.5\n'),
    ],
)
def test_a_comma_in_a_number_is_named_with_what_it_may_mean(tmp_path, cell, says):
    path = log(tmp_path)
    path.write_text(path.read_text("utf-8").replace("\n1.0,10.0,", f'\n1.0,"{cell}",'), "utf-8")
    assert says in run(path).stderr


def test_a_log_that_ends_at_the_release_has_no_bolus_for_people_and_programs(tmp_path):
    path = log(tmp_path)
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:182]), "utf-8")
    result = run(path, *VOLUME)
    assert "bolus on release  not told" in result.stdout
    assert "note: the log ends at the release" in result.stderr
    assert json.loads(run(path, *VOLUME, "--json").stdout)["bolus_ul"] is None
