"""The report of a campaign on paper: no attempt is hidden, what is missing is named, equal runs give equal bytes."""

from __future__ import annotations

import json
import platform
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.campaign.paper import Known, Papers, paper, papers_of
from bench.campaign.plan import CampaignDut, grant, load_campaign, settled, write_campaign
from bench.campaign.progress import Progress, progress_of
from bench.campaign.records import Lost
from bench.campaign.report import report_of
from bench.cli import main
from bench.trust.register import begin, enrol
from data.catalogue.entry import CheckEntry, Entry, read_entry
from data.catalogue.store import Catalogue, Line, url_of
from data.report.blocks import Report, Table
from data.report.typeset import pdf_of
from data.report.web import page

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FLOW = Path(__file__).parents[1] / "runs" / "flow-accuracy-3.h5"
RATE = "1 mL/day"
CHECK = CheckEntry("mean-flow-error", "Mean flow error", 0.0, 3.0, 2.0, -14.5, 14.5, "%", "pass", "dut", False)
ASKED = {
    "title": "lot 2231", "protocol": "flow-accuracy", "station": "sim", "since": BEGAN, "rates": (RATE,),
    "checks": ("mean-flow-error",), "approved_by": "Eve", "approved_on": date(2026, 1, 1),
}  # fmt: skip
DUTS = [CampaignDut(model="sim-peristaltic", serial=serial) for serial in ("A", "B", "C")]


def plan(folder: Path, **other: Any) -> Path:
    write_campaign(folder / "lot.toml", {**ASKED, **other}, DUTS)
    return folder / "lot.toml"


def run(file: Path, day: int, serial: str = "A", verdict: str = "pass", value: float = 0.0) -> Entry:
    params = settled(load_campaign(file), RATE)
    return Entry(
        f"/runs/{day}.h5", 1, 1, "run", run_id=f"run-{day}", procedure="flow-accuracy", origin="measured", method=4,
        dut_serial=serial, verdict=verdict, status="completed", made=f"2026-01-{day:02d}T10:00:00.000000+00:00",
        params=params, set_rate_ul_per_h=params["schedule"]["basal"]["rate_ul_per_h"], digest=f"{day:064x}",
        checks=(replace(CHECK, value=value),),
    )  # fmt: skip


def papers(file: Path, *runs: Entry, **known: Known) -> Papers:
    """Runs without files, of which ``known`` is what is said, by the number of their day."""
    with Catalogue(url_of(str(file.with_suffix(".db"))), "here", make=True) as catalogue:
        catalogue.add(runs)
        progress = progress_of(load_campaign(file), catalogue)
        figures = report_of(progress, catalogue)
    good = {one.run_id: Known(f"sim {one.run_id[4:]}", "intact", "approved") for one in runs}
    return Papers(file, progress, figures, good | {f"run-{name[1:]}": one for name, one in known.items()}, [])


def made(of: Papers) -> Report:
    return paper(of, "pumpbench 0")[0]


def rows(report: Report, section: str) -> list[list[str]]:
    there = next(one for one in report.sections if one.title == section)
    tables = [block for block in there.blocks if isinstance(block, Table)]
    return [[one if isinstance(one, str) else one.text for one in row] for table in tables for row in table.rows]


def test_every_attempt_stands_there_with_its_number_its_digest_and_its_verdict(tmp_path: Path) -> None:
    file = plan(tmp_path)
    grant(file, "run-3", "air in the line", "Eve", datetime(2026, 1, 4, tzinfo=UTC))
    runs = [run(file, 2), run(file, 3, "B", "fail"), run(file, 5, "B"), run(file, 6), run(file, 7, "C", "invalid")]
    report = made(papers(file, *runs))
    said = rows(report, "Every attempt")
    for one in runs:
        number = f"sim {one.run_id[4:]}"
        assert any(number in row and any(one.verdict in cell for cell in row) for row in said), number
        assert [number, Path(one.path).name, one.digest] in said
    assert ["3.h5", "Eve", "2026-01-04 00:00", "air in the line"] in said
    assert any("nobody had asked for it" in row[-1] for row in said)  # run 6
    assert (report.verdict, report.tone) == ("1 OF 2 RUNS PASSED", "bad")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    file = plan(tmp_path)
    known = {"_2": Known("sim 2", "altered", "approved"), "_3": Known("sim 3", "intact", "reviewed")}
    report = made(papers(file, run(file, 2), run(file, 3, "B"), **known))
    said = [row[1] for row in rows(report, "What is missing")]
    said = sorted(what.partition("replicate 1: ")[2] for what in said)
    assert said == ["2.h5 is altered", "3.h5 is reviewed, not approved", "not made"]
    assert report.tone == "warn"


def test_a_closed_run_without_its_record_is_missing_and_so_is_a_file_that_has_gone(tmp_path: Path) -> None:
    file = plan(tmp_path)
    of = papers(file, run(file, 2, "C"))
    lost = Lost("run-1", "run 1 of station sim", "A", None, "2026-01-01", "/runs/1.h5", "fail")
    other = replace(attempt(of), path="/2_1.h5")
    held = next(course for course in of.progress.courses if course.cell.serial == "A")
    held.lost.append(lost)
    progress = replace(of.progress, lost=(lost,), others=((other, "another file of the run of 2.h5, which counts"),))
    said = [row[1] for row in rows(made(replace(of, progress=progress)), "What is missing")]
    assert any(line.endswith("held, the record of run 1 of station sim is missing") for line in said)
    assert lost.said in said
    assert "2_1.h5 (pass) is another file of the run of 2.h5, which counts" in said
    gone = papers_of(file, with_file_gone(progress), of.figures, tmp_path / "home")
    assert gone.known["run-2"].record == "file gone"


def attempt(of: Papers) -> Line:
    return next(run for course in of.progress.courses for run in course.attempts)


def with_file_gone(progress: Progress) -> Progress:
    for course in progress.courses:
        course.attempts = [replace(run, kind="missing") for run in course.attempts]
    return progress


@pytest.mark.parametrize(
    ("approval", "says"),
    [
        ({"approved_by": "", "approved_on": ""}, "NOT APPROVED"),
        ({"approved_on": date(2026, 1, 3)}, "APPROVED LATE: on 2026-01-03, after the first run of 2026-01-02"),
        ({}, ""),
    ],
)
def test_a_plan_that_was_not_approved_beforehand_is_called_so_on_every_page(
    tmp_path: Path, approval: dict[str, Any], says: str
) -> None:
    file = plan(tmp_path, **approval)
    report = made(papers(file, run(file, 2)))
    assert says in report.banner
    assert bool(says) == bool(report.banner)


def test_a_campaign_with_nothing_missing_is_good(tmp_path: Path) -> None:
    file = plan(tmp_path)
    report = made(papers(file, run(file, 2), run(file, 3, "B"), run(file, 4, "C")))
    assert (report.verdict, report.tone) == ("3 OF 3 RUNS PASSED", "good")
    assert rows(report, "What is missing") == []
    assert ["3", "3", "runs", "36.8 %", "26 more for 90 %, 56 more for 95 %"] in rows(report, "Results")


def test_a_re_test_and_a_replicate_are_compared_by_en(tmp_path: Path) -> None:
    file = plan(tmp_path, replicates=2)
    grant(file, "run-2", "air in the line", "Eve", datetime(2026, 1, 3, tzinfo=UTC))
    of = papers(file, run(file, 2, value=1.0), run(file, 4, value=3.0), run(file, 5, value=9.0))
    found = [(one.kind, one.runs, one.en) for one in of.figures.agreements]
    assert found[0] == ("re-test", ("run-2", "run-4"), pytest.approx(2.0 / 18.0**0.5))
    assert found[1] == ("replicate", ("run-2", "run-5"), pytest.approx(8.0 / 18.0**0.5))
    assert [row[-1] for row in rows(made(of), "Agreement of repeated runs")] == ["agree", "DISAGREE"]


def test_the_same_campaign_gives_the_same_archivable_bytes_and_nothing_of_it_is_read_as_markup(tmp_path: Path) -> None:
    file = plan(tmp_path, title='#panic("x") <script>')
    of = papers(file, run(file, 2), run(file, 3, "B", value=2.0))
    pdf = pdf_of(*paper(of, "pumpbench 0"))
    assert pdf == pdf_of(*paper(of, "pumpbench 0"))
    assert b"pdfaid:part>3<" in pdf
    report, drawings, data = paper(of, "pumpbench 0")
    assert json.loads(data)["runs"]["run-2"]["number"] == "sim 2"
    assert "<script" not in page(report, drawings)


def test_files_are_verified_anew_and_a_run_that_was_never_closed_is_told(tmp_path: Path) -> None:
    file, path = plan(tmp_path, origin="simulated"), tmp_path / "run.h5"
    shutil.copy(FLOW, path)
    begun = {"run_id": "x", "station": {"name": "sim"}, "origin": "simulated", "procedure": "flow-accuracy"}
    assert begin(tmp_path / "home", {**begun, "dut": {"serial": "A"}}, tmp_path / "x.journal") == ""
    assert enrol(path, tmp_path / "home") == ""
    params = settled(load_campaign(file), RATE)
    entry = replace(read_entry(path), dut_serial="A", params=params, set_rate_ul_per_h=1000.0 / 24.0)
    entry = replace(entry, made="2026-02-01T10:00:00.000000+00:00")
    with Catalogue(url_of(str(tmp_path / "c.db")), platform.node(), make=True) as catalogue:
        catalogue.add([entry])
        progress = progress_of(load_campaign(file), catalogue)
        figures = report_of(progress, catalogue)
    assert papers_of(file, progress, figures, tmp_path / "home").known[entry.run_id].record == "intact"
    path.write_bytes(path.read_bytes()[:-1])
    of = papers_of(file, progress, figures, tmp_path / "home")
    said = " ".join(row[1] for row in rows(made(of), "What is missing"))
    assert "run.h5 is " in said
    assert "run 1 of station sim, A, began on" in said


def test_the_command_writes_a_report_of_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    file = plan(tmp_path)
    for words in (["report", str(file), "--html"], ["campaign", "report", str(file), "--out", str(tmp_path / "c.pdf")]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
    assert "NO RUN HAS A VERDICT" in (tmp_path / "lot.html").read_text("utf-8")
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")
