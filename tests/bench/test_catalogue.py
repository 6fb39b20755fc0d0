"""The catalogue of this computer: runs get into it, checks are followed, and nothing that fails harms a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import catalogue as here
from bench.cli import main
from bench.cli.catalogue import _judged, _with_u, table
from bench.trends import agreements, gauge_of, impact, trend
from data.catalogue.entry import CheckEntry, Entry, InstrumentEntry
from data.catalogue.store import Catalogue, CatalogueError, Wanted, url_of

FLOW = Path(__file__).parents[1] / "runs" / "flow-accuracy-3.h5"
CHECK = CheckEntry("mean-flow-error", "Mean flow error", 0.0, 1.0, 2.0, None, None, "%", "pass", "dut", False)
BALANCE = InstrumentEntry("balance", "mettler-mtsics", "M", "XPR", "B1", "1", "mass", "C-1", "2027-01-31", "mass")


def run(number: int, value: float, **more: object) -> Entry:
    made = f"2026-{number // 28 + 1:02d}-{number % 28 + 1:02d}T10:00:00.000000+00:00"
    entry = Entry(
        f"/runs/{number}.h5", 1, 1, "run", run_id=str(number), station="a", dut_serial="7", origin="measured",
        verdict="pass", made=made, checks=(replace(CHECK, value=value),), instruments=(BALANCE,),
    )  # fmt: skip
    return replace(entry, **more)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PUMPBENCH_CATALOGUE", raising=False)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Callable[..., Catalogue]]:
    with Catalogue(url_of(str(tmp_path / "c.db")), "here", make=True) as made:

        def fill(*entries: Entry) -> Catalogue:
            made.add(entries)
            return made

        yield fill


# -- getting in


def test_a_run_is_noted_at_its_end_only_where_there_is_a_catalogue(home):
    here.note_run(FLOW)
    assert list(home.iterdir()) == []
    with here.opened(make=True):
        pass
    here.note_run(FLOW)
    with here.opened() as catalogue:
        assert [line.path for line in catalogue.runs()] == [str(FLOW)]


def test_a_state_folder_that_cannot_be_looked_into_takes_no_result_from_a_run(home, monkeypatch):
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refused)
    here.note_run(FLOW)
    assert "Permission denied" in here.missed()[str(FLOW)]


def test_a_catalogue_that_cannot_be_used_harms_no_run_and_is_caught_up(home, monkeypatch):
    (home / "catalogue.db").write_text("no database, " * 100)
    here.note_run(FLOW)
    assert "cannot be used" in here.missed()[str(FLOW)]
    (home / "catalogue.db").unlink()
    with here.opened(make=True) as catalogue:
        here.index(catalogue, [FLOW])
    assert here.missed() == {}


def test_a_folder_is_indexed_once_and_then_only_what_has_changed(home, tmp_path):
    folder = tmp_path / "runs" / "2026"
    folder.mkdir(parents=True)
    shutil.copy(FLOW, folder)
    (folder / "bad.h5").write_bytes(b"nothing")
    with here.opened(make=True) as catalogue:
        first = here.index(catalogue, [tmp_path / "runs"])
        assert (first.added, first.unchanged, len(first.damaged)) == (2, 0, 1)
        (folder / "bad.h5").unlink()
        second = here.index(catalogue, [tmp_path / "runs"])
        assert (second.added, second.unchanged, second.missing) == (0, 1, (str(folder / "bad.h5"),))


def test_a_password_on_the_command_line_is_refused():
    with pytest.raises(CatalogueError, match=r"--catalogue: a password .* PUMPBENCH_CATALOGUE"):
        here.place_of("postgresql://me:secret@lab/bench")


# -- following a check


def test_a_check_that_wanders_breaks_a_rule_of_its_chart(filled):
    steady = [run(k, (-1.0) ** k) for k in range(20)]
    found = trend(filled(*steady, run(20, 9.0)), "mean-flow-error", Wanted())
    assert found.chart.latest_is_out
    assert "beyond three standard deviations since 20.h5" in found.chart.remark


def test_a_check_that_is_invalid_does_not_count(filled):
    bad = run(1, 99.0, checks=(replace(CHECK, value=99.0, verdict="invalid"),))
    assert trend(filled(run(0, 1.0), bad), "mean-flow-error", Wanted()).chart.values == (1.0,)


def test_a_check_that_nobody_has_says_which_there_are(filled):
    with pytest.raises(CatalogueError, match='no run has a check "mean"; there are mean-flow-error'):
        trend(filled(run(0, 1.0)), "mean", Wanted())


def test_stations_agree_as_far_as_en_says_and_repeats_do_not_make_a_station_better(filled):
    filled(run(0, 1.0), run(1, 1.0), run(2, 1.0), run(3, 4.0, station="b"))
    (found,) = agreements(filled().points("mean-flow-error"))
    assert found.en == pytest.approx(-3.0 / 2.0**0.5)
    assert (found.stations, found.runs, found.agree) == (("a", "b"), (3, 1), False)


def test_pumps_that_were_at_one_station_only_say_nothing_of_two(filled):
    filled(run(0, 1.0), run(1, 4.0, station="b", dut_serial="8"))
    assert agreements(filled().points("mean-flow-error")) == []


def test_a_gauge_study_takes_what_each_operator_did_on_each_part(filled):
    cells = [(part, person, n) for part in (10.0, 100.0) for person in ("Ada", "Bob") for n in range(3)]
    made = [run(k, part + n, set_rate_ul_per_h=part, person=person) for k, (part, person, n) in enumerate(cells)]
    study = gauge_of(filled(*made, run(20, 0.0, set_rate_ul_per_h=10.0, person="Ada")), "mean-flow-error", Wanted())
    assert (study.parts, study.operators) == (("7 at 10 uL/h", "7 at 100 uL/h"), ("Ada", "Bob"))
    assert (study.repeats, study.left_out) == (3, 1)
    assert study.gauge.repeatability == pytest.approx((8.0 / 9.0) ** 0.5)  # s of 0, 1, 2 is 1; 9 degrees of freedom
    assert study.gauge.reproducibility == 0.0


def test_a_gauge_study_that_is_not_complete_says_what_is_missing(filled):
    made = [run(k, 1.0, set_rate_ul_per_h=10.0 * (k % 2 + 1), person="AB"[k // 4]) for k in range(7)]
    with pytest.raises(CatalogueError, match="B has run 7 at 20 uL/h once"):
        gauge_of(filled(*made), "mean-flow-error", Wanted())


# -- what an instrument has touched


def test_a_certificate_in_doubt_touches_the_runs_since_it_was_first_used(filled):
    newer = replace(BALANCE, certificate="C-2")
    idle = replace(BALANCE, relied_on="")
    filled(run(0, 1.0), run(1, 1.0, instruments=(newer,), verdict="fail"), run(2, 1.0, instruments=(idle,)))
    touched, only_present = impact(filled(), "B1", "C-2")
    assert [(one.run.run_id, one.run.verdict, one.certificates) for one in touched] == [("1", "fail", ("C-2",))]
    assert only_present == 1
    assert len(impact(filled(), "B1", "")[0]) == 2
    assert impact(filled(), "B1", "2026-01-03") == ([], 1)


@pytest.mark.parametrize(
    ("serial", "since", "said"), [("B9", "", "there are B1"), ("B1", "C-9", "nor a certificate .*used C-1")]
)
def test_an_instrument_or_certificate_that_no_run_had_is_one_sentence(filled, serial, since, said):
    with pytest.raises(CatalogueError, match=said):
        impact(filled(run(0, 1.0)), serial, since)


# -- the command


def test_the_command_lists_shows_follows_and_tells_as_json(home, capsys):
    def said(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["catalogue", *words])
        return int(ended.value.code or 0), capsys.readouterr().out

    assert said("add", str(FLOW)) == (0, "1 file read, 0 as known\n")
    code, out = said("list", "--json", "--verdict", "pass")
    assert (code, [line["verdict"] for line in json.loads(out)["runs"]]) == (0, ["pass"])
    assert json.loads(said("show", "--json", FLOW.name)[1])["checks"][0]["name"] == "mean-flow-error"
    code, out = said("trend", "mean-flow-error", "--origin", "simulated", "--json")
    assert (code, json.loads(out)["points"][0]["value"]) == (0, 0.654817587123)
    assert len(json.loads(said("impact", "--instrument", "B021002593", "--json")[1])["runs"]) == 1
    assert "1 run relied on B021002593: 1 pass" in said("impact", "--instrument", "B021002593")[1]


def test_a_filter_that_no_run_can_meet_is_told_with_the_nearest(home, capsys):
    def noted(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["catalogue", *words])
        assert ended.value.code == 0
        return capsys.readouterr().err

    noted("add", str(FLOW))
    assert noted("list", "--protocol", "flow-acuracy") == (
        'note: --protocol: no run here has "flow-acuracy"; did you mean "flow-accuracy"?\n'
    )
    assert noted("list", "--dut", "42") == 'note: --dut: no run here has "42"; there are SIM-20, SIMULATED\n'
    assert noted("list", "--protocol", "flow-accuracy", "--until", "1999") == ""


def test_a_value_is_shown_to_the_second_digit_of_its_uncertainty_and_without_a_limit_has_no_verdict() -> None:
    assert [_with_u(864.2, 499.0, "s"), _with_u(0.6308, 0.04785, "%")] == ["860 ± 500 s", "0.631 ± 0.048 %"]
    told = CheckEntry("start-up", "Start-up", 864.2, 499.0, 2.0, None, None, "s", "not-measured", "dut", True)
    assert [_judged(told), _judged(replace(told, limit_high=1.0)), _judged(replace(told, value=None))] == [
        "no limit", "not-measured", "not-measured",
    ]  # fmt: skip


def test_a_sign_that_nobody_sees_is_escaped_in_a_table(capsys):
    table([{"pump": "A\n\u202e1", "verdict": "pass"}])
    assert capsys.readouterr().out.splitlines()[1].split() == [r"A\n\u202e1", "pass"]
