"""A campaign: its order, how far it is, that no attempt is lost, and what it says."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.campaign.plan import (
    Campaign,
    CampaignDut,
    CampaignError,
    Retest,
    cells,
    command,
    grant,
    load_campaign,
    settled,
    unknown_here,
    write_campaign,
)  # fmt: skip
from bench.campaign.progress import Progress, find_attempt, progress_of
from bench.campaign.report import cell_json, report_of
from bench.cli import main
from data.audit import Row
from data.catalogue.entry import CheckEntry, Entry
from data.catalogue.store import Catalogue, url_of
from data.tomlfile import FileError

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
RATES = ("0.5 mL/day", "1 mL/day")
CHECK = CheckEntry("mean-flow-error", "Mean flow error", 0.0, 1.0, 2.0, -14.5, 14.5, "%", "pass", "dut", False)
ASKED = {
    "title": "lot 2231", "protocol": "flow-accuracy", "station": "sim", "since": BEGAN, "rates": RATES,
    "replicates": 2, "checks": ("mean-flow-error",), "settings": {"analysis": "25 h"},
}  # fmt: skip
ORDER = ["A12", "A01", "B02", "B11", "B01", "A11", "A02", "B12"]
"""Pump, first digit of the rate, replicate."""

DUTS = [CampaignDut(model="sim-peristaltic", serial=serial) for serial in ("A", "B")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_campaign(tmp_path / "lot.toml", ASKED, DUTS)
    return tmp_path / "lot.toml"


@pytest.fixture
def progress(file: Path, tmp_path: Path) -> Iterator[Callable[..., Progress]]:
    with Catalogue(url_of(str(tmp_path / "c.db")), "here", make=True) as catalogue:

        def after(*runs: Entry, plan: Campaign | None = None, register: Sequence[Row] = ()) -> Progress:
            catalogue.add(runs)
            return progress_of(plan or load_campaign(file), catalogue, register)

        after.catalogue = catalogue  # type: ignore[attr-defined]  # for the tests that add to it
        yield after


def run(day: int, serial: str = "A", rate: str = RATES[0], verdict: str = "pass", value: float = 0.0) -> Entry:
    plan = Campaign.model_validate({**ASKED, "duts": [dut.model_dump() for dut in DUTS]})
    params = settled(plan, rate)
    return Entry(
        f"/runs/{day}.h5", 1, 1, "run", run_id=f"run-{day}", procedure="flow-accuracy", origin="measured",
        dut_serial=serial, verdict=verdict, made=f"2026-01-{day:02d}T10:00:00.000000+00:00", params=params,
        set_rate_ul_per_h=params["schedule"]["basal"]["rate_ul_per_h"], checks=(replace(CHECK, value=value),),
    )  # fmt: skip


def retested(file: Path, day: int, at: int) -> Campaign:
    grant(file, f"run-{day}", "air in the line", "Eve", datetime(2026, 1, at, tzinfo=UTC))
    return load_campaign(file)


# -- the plan


def test_every_pump_is_run_at_every_rate_as_often_as_asked_in_an_order_that_the_seed_draws(file):
    plan = load_campaign(file)
    order = [(cell.serial, cell.rate, cell.replicate) for cell in cells(plan)]
    assert len(set(order)) == 2 * 2 * 2
    assert [cell.number for cell in cells(plan)] == list(range(1, 9))
    other = [(cell.serial, cell.rate, cell.replicate) for cell in cells(plan.model_copy(update={"order_seed": 2}))]
    assert order != other
    assert order != sorted(order)
    assert sorted(order) == sorted(other)


def test_the_order_is_the_same_for_ever(file):
    assert [f"{cell.serial}{cell.rate[0]}{cell.replicate}" for cell in cells(load_campaign(file))] == ORDER


def test_the_command_of_a_run_states_pump_rate_and_settings(file):
    plan = load_campaign(file)
    cell = next(cell for cell in cells(plan) if (cell.serial, cell.rate) == ("A", RATES[0]))
    assert command(plan, cell) == (
        "pumpbench run flow-accuracy --station sim --dut sim-peristaltic --serial A --set 'analysis=25 h' "
        "--set 'schedule=0.5 mL/day'"
    )


def test_a_campaign_is_decided_once(file):
    with pytest.raises(CampaignError, match="exists already"):
        write_campaign(file, ASKED, DUTS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"protocol": "read-out", "settings": {}}, "no rate that a campaign could set"),
        ({"rates": ("24 mL/day", "1 mL/h")}, "names a rate twice"),
        ({"settings": {"analysys": "1 h"}}, 'did you mean "analysis"'),
        ({"rates": ("fast",)}, "fast"),
        ({"rates": ("0 mL/day",)}, "0 mL/day delivers nothing; give rates above 0"),
        ({"settings": {"schedule": "2 mL/day"}}, '"settings" states "schedule", which "rates" gives each run; leave'),
        ({"checks": ("mean-flow-error", "mean-flow-error")}, "names a check twice; name each once"),
    ],
)
def test_what_is_no_campaign_is_said_and_leaves_no_file(tmp_path, wrong, said):
    with pytest.raises(FileError, match=said):
        write_campaign(tmp_path / "x.toml", ASKED | wrong, DUTS)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_known_here_is_said_and_may_be_known_where_it_is_run(file):
    plan = load_campaign(file)
    assert list(unknown_here(plan, ["mean-flow-error"])) == []
    strange = CampaignDut(model="sim-peristalic", serial="A", station="bench.toml#3")
    plan = plan.model_copy(update={"station": "simm", "duts": (strange,), "checks": ("meanflow",)})
    assert list(unknown_here(plan, ["mean-flow-error", "start-up"])) == [
        'no model file "sim-peristalic" is known here; did you mean "sim-peristaltic"?',
        'there is no station "simm"; did you mean "sim"?',
        'no station file "bench.toml" is known here',
        'no run that is known here has a check "meanflow"; did you mean "mean-flow-error"?',
    ]
    assert len(list(unknown_here(plan, []))) == 3


def test_a_full_disk_is_named_with_the_plan_that_it_did_not_take(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*x\.toml'"):
        write_campaign(tmp_path / "x.toml", ASKED, DUTS)
    assert list(tmp_path.iterdir()) == []


# -- how far it is


def test_a_run_of_a_pump_at_a_rate_takes_one_replicate_after_the_other(progress):
    after = progress(run(2), run(3))
    states = {(one.cell.serial, one.cell.rate, one.cell.replicate): one.state for one in after.courses}
    assert [key for key, state in states.items() if state == "pass"] == [
        key for key in states if key[:2] == ("A", RATES[0])
    ]
    assert after.following is next(one for one in after.courses if one.state == "open")


@pytest.mark.parametrize(
    "other",
    [{"origin": "simulated"}, {"dut_serial": "C"}, {"set_rate_ul_per_h": 5.0}, {"made": "2025-12-31T10:00"}],
)
def test_a_run_of_another_origin_pump_or_rate_or_of_before_does_not_count(progress, other):
    after = progress(replace(run(2), **other))
    assert {one.state for one in after.courses} == {"open"}
    assert after.unplanned == ()


def test_a_run_with_other_settings_does_not_count_and_is_shown(progress):
    changed = run(2)
    params = {**(changed.params or {}), "analysis_s": 3600.0}
    after = progress(replace(changed, params=params))
    assert {one.state for one in after.courses} == {"open"}
    assert [why for _, why in after.unplanned] == ["made with another analysis_s than the campaign states"]


def test_a_run_too_many_does_not_count_and_is_shown(progress):
    after = progress(run(2, verdict="fail"), run(3), run(4))
    assert [one.run_id for one, _ in after.unplanned] == ["run-4"]
    assert sum(one.state == "fail" for one in after.courses) == 1


def test_a_copy_of_a_run_is_no_second_run(progress):
    after = progress(run(2), replace(run(2), path="/copy/2.h5"))
    assert sum(len(one.attempts) for one in after.courses) == 1


def test_a_failed_run_stays_the_one_that_counts_whatever_its_re_test_says(file, progress):
    after = progress(run(2, verdict="fail"), run(5), plan=retested(file, 2, 3))
    course, _ = find_attempt(after, "run-2")
    assert [one.verdict for one in course.attempts] == ["fail", "pass"]
    assert course.state == "fail"


def test_a_run_without_a_verdict_waits_for_a_reason_and_then_for_its_re_test(file, progress):
    assert "no verdict" in {one.state for one in progress(run(2, verdict="invalid")).courses}
    plan = retested(file, 2, 3)
    course, _ = find_attempt(progress(plan=plan), "run-2")
    assert course.state == "re-test"
    course, _ = find_attempt(progress(run(4), plan=plan), "run-2")
    assert [one.verdict for one in course.attempts] == ["invalid", "pass"]
    assert course.state == "pass"


def test_a_run_made_before_its_re_test_was_granted_is_the_next_replicate(file, progress):
    after = progress(run(2, verdict="invalid"), run(3), plan=retested(file, 2, 4))
    assert sorted(one.state for one in after.courses if one.attempts) == ["pass", "re-test"]


def test_a_granted_run_that_the_catalogue_does_not_know_is_said(file, progress):
    with pytest.raises(CampaignError, match=r"run-9 is granted.*catalogue reindex"):
        progress(plan=retested(file, 9, 9))


# -- what the register knows


def closed(run: Entry, **other: Any) -> Row:
    """The row of a closed run."""
    return {
        "kind": "run", "when": run.made, "station": "lab", "run_number": 1, "run_id": run.run_id, "path": run.path,
        "content": run.digest, "seal": f"seal of {run.path}", "procedure": "flow-accuracy", "origin": "measured",
        "dut": run.dut_serial, "verdict": run.verdict, "set_rate_ul_per_h": run.set_rate_ul_per_h, **other,
    }  # fmt: skip


def of_pump(after: Progress, rate: str = RATES[0]) -> list[Any]:
    found = [one for one in after.courses if (one.cell.serial, one.cell.rate) == ("A", rate)]
    return [(one.state, [run.path for run in one.attempts]) for one in found]


@pytest.mark.parametrize("knows", [True, False])
def test_the_file_of_a_run_that_was_registered_first_counts_however_often_it_is_noted(progress, knows):
    first = replace(run(2, verdict="fail"), path="/runs/RUN.h5", digest="f" * 64)
    second = replace(run(2), path="/runs/A_later.h5", digest="0" * 64)
    register = [closed(first), closed(second)] if knows else []
    for again in (first, second, first, second):
        after = progress(again, register=register)
    assert sorted(of_pump(after)) == [("fail", ["/runs/RUN.h5"]), ("open", [])]
    ((other, why),) = after.others
    assert (other.path, why) == ("/runs/A_later.h5", "another file of the run of RUN.h5, which counts")


def test_a_failed_run_whose_file_is_gone_stays_the_one_that_counts(file, progress):
    progress(run(2, verdict="fail"), run(3), run(4))
    progress.catalogue.gone(["/runs/2.h5"])
    after = progress()
    assert sorted(of_pump(after)) == [("fail", ["/runs/2.h5"]), ("pass", ["/runs/3.h5"])]
    assert cell_json(find_attempt(after, "run-2")[0])["attempts"][0]["file_gone"]


def test_a_closed_run_that_the_catalogue_lacks_holds_its_place_and_no_later_run_takes_it(progress):
    lost = run(2, verdict="fail")
    after = progress(run(3), run(4), register=[closed(lost), closed(run(3)), closed(run(4))])
    assert sorted(of_pump(after)) == [("pass", ["/runs/3.h5"]), ("record missing", [])]
    assert [one.run_id for one, _ in after.unplanned] == ["run-4"]
    assert [one.run_id for one in after.lost] == ["run-2"]
    assert after.following.cell.serial == "B" or after.following.cell.rate != RATES[0]
    assert progress(lost, register=[closed(lost)]).lost == ()


def test_a_later_file_does_not_stand_for_the_first_one_that_is_lost(progress):
    first = replace(run(2, verdict="fail"), path="/runs/RUN.h5", digest="f" * 64)
    second = replace(run(2), digest="0" * 64)
    after = progress(second, register=[closed(first), closed(second)])
    assert sorted(of_pump(after)) == [("open", []), ("record missing", [])]
    assert [one.verdict for one, _ in after.others] == ["pass"]


def test_a_lost_run_of_a_rate_that_no_row_says_holds_every_run_of_its_pump(progress):
    row = closed(run(2))
    del row["set_rate_ul_per_h"]
    after = progress(run(3), register=[row])
    assert {one.state for one in after.courses if one.cell.serial == "A"} == {"record missing"}
    assert {one.state for one in after.courses if one.cell.serial == "B"} == {"open"}
    assert report_of(after, progress.catalogue).runs.judged == 0


@pytest.mark.parametrize(
    "other",
    [{"origin": "simulated"}, {"dut": "C"}, {"set_rate_ul_per_h": 5.0}, {"set_rate_ul_per_h": None},
     {"when": "2025-12-31T10:00:00+00:00"}, {"procedure": "flow-record"}, {"kind": "signature", "row": {}}],
)  # fmt: skip
def test_a_closed_run_of_something_else_holds_nothing(progress, other):
    row = closed(run(2), **other)
    row["row"] = {"seal": "", "meaning": ""}
    assert progress(register=[row]).lost == ()


def test_a_run_that_began_before_the_campaign_and_was_recovered_later_holds_nothing(progress):
    before = replace(run(2), made="2025-12-31T10:00:00.000000+00:00")
    assert progress(before, register=[closed(run(2))]).lost == ()
    begun = {**closed(run(2)), "kind": "begun", "when": before.made}
    assert progress(register=[begun, closed(run(2))]).lost == ()


# -- what it says


def test_replicates_of_a_pump_are_one_value_and_a_failed_first_attempt_stays_in_the_rate(file, progress):
    runs = [run(2, value=1.0), run(3, value=3.0), run(4, "B", value=6.0, verdict="fail"), run(6, "B", value=0.0)]
    said = report_of(progress(*runs, plan=retested(file, 4, 5)), progress.catalogue)
    (summary,) = said.summaries
    assert (summary.values, summary.runs, summary.mean, summary.within_sd) == ((2.0, 6.0), 3, 4.0, 2.0**0.5)
    assert summary.sd == pytest.approx(8.0**0.5)
    assert summary.intervals[0].high == pytest.approx(4.0 + 31.0922 * 8.0**0.5, rel=1e-4)
    assert summary.intervals[0].within_limits is False
    assert (said.runs.passed, said.runs.judged) == (2, 3)
    assert (said.pumps.passed, said.pumps.judged) == (1, 2)


def test_a_grant_is_read_back_as_it_was_given(file):
    plan = retested(file, 2, 3)
    assert plan.retests == (
        Retest(run="run-2", reason="air in the line", person="Eve", at=datetime(2026, 1, 3, tzinfo=UTC)),
    )


# -- the command


def test_the_command_plans_tells_what_is_next_grants_and_reports(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def said(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["campaign", *words])
        return int(ended.value.code or 0), capsys.readouterr().out

    words = ("--protocol", "flow-accuracy", "--dut", "sim-peristaltic:A", "--check", "mean-flow-error")
    assert said("new", "c.toml", *words, "--rate", "1 mL/day", "--approved-by", "Eve")[0] == 0
    with pytest.raises(SystemExit, match="0"):
        main(["campaign", "new", "d.toml", *words, "--rate", "1 mL/day", "--station", "simm"])
    with pytest.raises(SystemExit, match="0"):
        main(["campaign", "next", "d.toml"])
    assert capsys.readouterr().err.count('note: there is no station "simm"; did you mean "sim"? (it may be known') == 2
    assert json.loads(said("next", "c.toml", "--json")[1])["serial"] == "A"
    Path("articles.toml").write_text('[[articles]]\nkind = "dut"\nid = "A"\nmodel = "P"\nuse_by = 2020-01-01\n')
    code, out = said("next", "c.toml", "--articles", "articles.toml")
    assert code == 4
    assert "not now: A: was to be used by 2020-01-01" in out
    with Catalogue(url_of("home/catalogue.db"), "here", make=True) as catalogue:
        made = replace(run(2, rate=RATES[1], verdict="invalid"), made="2099-01-01T00:00:00.000000+00:00")
        catalogue.add([made])
    code, out = said("next", "c.toml")
    assert code == 4
    assert "1 ended without a verdict" in out
    assert said("retest", "c.toml", "2.h5", "--reason", "the bath was cold")[0] == 0
    assert json.loads(said("status", "c.toml", "--json")[1])["cells"][0]["state"] == "re-test"
    assert json.loads(said("report", "c.toml", "--json")[1])["runs"]["judged"] == 0
    assert "approved by Eve" in said("status", "c.toml")[1]
