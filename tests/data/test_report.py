"""The report: what is on it, whatever the protocol; equal bytes; nothing of a run is read as markup."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checks import Check, Verdict, four_digits
from data.report.blocks import Pairs, Report, Section, Table
from data.report.content import attachment, report_of
from data.report.dose import Course, worst_windows
from data.report.typeset import report_pdf
from data.report.web import page, report_html
from data.report.wording import as_json, label, plain, value_text
from data.run import Run, RunError
from data.seal import Verification

RUNS = sorted((Path(__file__).parents[1] / "runs").glob("*.h5"))
FLOW = next(path for path in RUNS if path.stem.startswith("flow-accuracy"))
CATHETER = next(path for path in RUNS if path.stem.startswith("catheter"))
INTACT = Verification(True, "intact", (), "ab" * 32)


def described(path: Path, found: Verification = INTACT) -> tuple[Report, dict[str, Any]]:
    with Run.open(path) as run:
        report = report_of(run, found, [], "pumpbench 0")
        return report, json.loads(as_json(attachment(run, report, found.signatures)))


def attached(pdf: bytes) -> Any:
    """What a PDF carries as a file: its only stream that is JSON."""
    for stream in re.findall(rb"/Type/EmbeddedFile.*?stream\n(.*?)\nendstream", pdf, re.DOTALL):
        return json.loads(zlib.decompress(stream))
    return None


def sections(report: Report) -> dict[str, Section]:
    return {section.title: section for section in report.sections}


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_a_run_of_every_protocol_has_a_report_that_names_each_of_its_checks(path: Path) -> None:
    report, data = described(path)
    said = page(report, [])
    assert data["checks"]
    assert all(re.search(re.escape(check["title"]).replace("'", "&\\#x27;"), said) for check in data["checks"])
    assert {"Exclusions", "Overrides", "Deviations and remarks", "Signatures"} <= set(sections(report))
    assert report.verdict == data["verdict"].replace("-", " ").upper()


@pytest.mark.parametrize("stem", ["read-out-1", "bolus-accuracy-1"])
def test_the_pdf_is_tagged_archivable_and_dated_by_the_run(stem: str) -> None:
    pdf = report_pdf(FLOW.with_name(f"{stem}.h5"), found=INTACT)
    assert b"pdfaid:part>3<" in pdf
    assert b"pdfaid:conformance>A<" in pdf
    assert b"/StructTreeRoot" in pdf
    assert b"D:20260101000000" in pdf


def test_the_same_file_gives_the_same_bytes_and_carries_its_run_at_full_precision() -> None:
    path = FLOW.with_name("calibration-1.h5")
    pdf = report_pdf(path, found=INTACT)
    assert pdf == report_pdf(path, found=INTACT)
    with Run.open(path) as run:
        stored = run.evaluation
    assert stored is not None
    data = attached(pdf)
    assert [check["value"] for check in data["checks"]] == [check.value for check in stored.checks]
    assert data["content_digest"] == INTACT.digest


def test_a_simulated_run_and_an_altered_file_are_called_so_across_each_page() -> None:
    altered = Verification(False, "altered", ("/entry/fluid: was changed",), "cd" * 32)
    assert "SIMULATED" in described(FLOW)[0].banner
    assert "RECORD ALTERED: /entry/fluid" in described(FLOW, altered)[0].banner


def test_the_first_page_names_who_let_what_pass_and_why() -> None:
    overrides = sections(described(CATHETER)[0])["Overrides"].blocks[0]
    assert isinstance(overrides, Table)
    assert list(overrides.rows[0]) == ["rig-check", "Ada Example", "a run for the record of method 1"]


def test_who_signed_stands_at_the_foot_of_each_page_and_with_the_checklist_at_the_end() -> None:
    row = {"number": 1, "name": "Ada Example", "role": "qa", "meaning": "rejected", "when": "2026-11-21T10:00:00+00:00"}
    asked = {"key": "rig-check", "text": "no rig check held", "accepted": False, "note": "see note"}
    signed = replace(INTACT, signatures=({**row, "reason": "no rig check", "checklist": [asked]},))
    report, data = described(FLOW, signed)
    assert "signed: Ada Example (rejected, 2026-11-21)" in report.footer[0]
    tables = [block for block in sections(report)["Signatures"].blocks if isinstance(block, Table)]
    assert list(tables[0].rows[0]) == ["1", "Ada Example", "qa", "rejected", "2026-11-21 10:00:00", "no rig check"]
    assert list(tables[1].rows[0]) == ["rig check", "no rig check held", "not accepted", "see note"]
    assert data["signatures"][0]["name"] == "Ada Example"


def test_the_foot_of_a_page_stays_one_line_however_many_have_signed() -> None:
    row = {"name": "Ada Example", "role": "QA", "meaning": "addendum", "when": "2026-11-21T10:00:00+00:00"}
    signed = replace(INTACT, signatures=tuple({**row, "number": at} for at in range(1, 31)))
    foot = described(FLOW, signed)[0].footer[0]
    assert foot.endswith("30 signatures, the last: Ada Example (addendum, 2026-11-21), signatures not checked")


@pytest.mark.parametrize(("typed", "shown"), [("42 degC", "42 °C"), ("0.2 um", "0.2 µm"), ("a degC", "a degC")])
def test_a_quantity_that_a_file_states_has_its_unit_as_people_write_it(typed: str, shown: str) -> None:
    assert plain(typed) == shown


def test_a_copy_under_another_name_has_the_same_report(tmp_path: Path) -> None:
    copy = tmp_path / "other.h5"
    copy.write_bytes(FLOW.read_bytes())
    assert described(copy) == described(FLOW)


def test_what_a_run_says_is_text_in_html_and_runs_no_script() -> None:
    report, _ = described(FLOW)
    evil = "<script>alert(1)</script>"
    said = page(Report(**{**_fields(report), "sections": [Section(evil, [Pairs([(evil, evil)])])]}), [])
    assert "<script" not in said
    assert "http://" not in re.sub(r"data:[^\"]*", "", said)


def test_whatever_a_run_says_is_set_as_text_and_signs_that_the_font_lacks_as_their_code(tmp_path: Path) -> None:
    evil, path = '#panic("x") $x$ \u4e2d \a \ue000', tmp_path / "run.h5"
    path.write_bytes(FLOW.with_name("calibration-1.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        for curve in file["entry/evaluation/curves"].values():
            for axis in curve.values():
                axis.attrs["long_name"] = evil
    pdf = report_pdf(path, found=Verification(False, "altered", (evil,)))
    assert attached(pdf)["curves"][0]["axes"][0]["name"] == evil


def test_a_snapshot_without_an_evaluation_has_a_report_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(FLOW.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["entry/evaluation"]
    report, _ = described(path, Verification(False, "altered", (f"{path}: has no seal",)))
    assert report.verdict == "NOT EVALUATED"
    assert report.banner.startswith("RECORD ALTERED: has no seal ·")
    assert "not evaluated" in page(report, [])


def test_an_altered_file_that_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(FLOW.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["entry/evaluation/checks/verdict"]
    with pytest.raises(RunError, match=r"run\.h5: is altered and cannot be reported .*; run verify on it"):
        report_html(path, found=Verification(False, "altered", ("verdict: was removed",)))


def test_the_html_holds_its_drawings() -> None:
    said = report_html(FLOW.with_name("calibration-1.h5"), found=INTACT)
    assert said.count("data:image/svg+xml;base64,") == 2
    assert '<img alt="daq.outlet_pressure against the reference' in said


@given(st.lists(st.floats(-1, 3), min_size=30, max_size=60), st.integers(1, 29))
def test_no_window_between_points_is_worse_than_the_worst_window(flows: list[float], steps: int) -> None:
    t = np.arange(len(flows) + 1.0)
    delivered, programmed = np.concatenate(([0.0], np.cumsum(flows))), t.copy()
    found = worst_windows(Course(t, delivered, programmed), float(steps))
    assert found is not None
    windows = (delivered - programmed)[steps:] - (delivered - programmed)[:-steps]
    assert found[0].deviation_ul == pytest.approx(windows.max(), abs=1e-9)
    assert found[1].deviation_ul == pytest.approx(windows.min(), abs=1e-9)


def test_an_hour_of_double_flow_is_the_worst_hour() -> None:
    hours = np.arange(0.0, 9.0) * 3600.0
    delivered = np.cumsum([0.0, 10, 10, 20, 10, 10, 10, 5, 10])
    found = worst_windows(Course(hours, delivered, np.arange(9.0) * 10), 3600.0)
    assert found is not None
    over, under = found
    assert (over.begin_s, over.deviation_ul, over.programmed_ul) == (7200.0, 10.0, 10.0)
    assert (under.begin_s, under.deviation_ul) == (6 * 3600.0, -5.0)


@pytest.mark.parametrize(
    ("value", "spread", "unit", "text"),
    [
        (0.654817, 0.149899, "%", "+0.65 ± 0.15 %"),
        (-14.237, 0.5123, "%", "−14.24 ± 0.51 %"),
        (1234.5, 246.0, "uL", "1230 ± 250 µL"),
        (37.1258, None, "degC", "37.13 °C"),
    ],
)
def test_a_value_and_its_uncertainty_end_at_the_same_digit(
    value: float, spread: float | None, unit: str, text: str
) -> None:
    check = Check("x", "X", value, unit, Verdict.PASS, "dut", expanded_uncertainty=spread)
    assert value_text(check) == text


def test_a_weighed_volume_without_u_is_written_out() -> None:
    said = [four_digits(value) for value in (18013.8, 9999.4, 0.012345, -12345.6, 3e12)]
    assert said == ["18014", "9999", "0.01235", "-12346", "3e+12"]


def test_the_end_of_a_key_says_its_unit() -> None:
    assert label("rate_range_ul_per_h") == ("rate range", "µL/h")
    assert label("ul_per_mg") == ("ul per mg", "")
    assert label("leak_ul_per_s_kpa") == ("leak", "µL/(s·kPa)")
    assert label("pressure_coefficient_percent_per_kpa") == ("pressure coefficient", "%/kPa")
    assert label("level_coefficient_percent_per_ml") == ("level coefficient", "%/mL")


def test_every_rate_among_the_values_of_a_run_has_its_unit() -> None:
    keys = set()
    for path in (Path(__file__).parents[1] / "runs").glob("*.h5"):
        with Run.open(path) as run:
            keys |= set(run.evaluation.values) if run.evaluation else set()
    assert len(keys) > 40
    assert {key for key in keys if "_per_" in key and not label(key)[1]} == {"ul_per_mg"}


def _fields(report: Report) -> dict[str, Any]:
    return {name: getattr(report, name) for name in report.__slots__}
