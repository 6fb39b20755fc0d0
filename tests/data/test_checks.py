"""The verdict of a run: the worst of what counts, and never a pass of which no result counts."""

from __future__ import annotations

import pytest

from data.checks import Check, Evaluation, Verdict

FIT = Check("rig", "Rig", 0.0, "1", Verdict.PASS, "rig", suitability=True)
UNFIT = Check("rig", "Rig", 1.0, "1", Verdict.INVALID, "rig", suitability=True)
REPORTED = Check("change", "Change", 9.0, "%", Verdict.NOT_MEASURED, "dut", optional=True)
FAILED = Check("other", "Other", 9.0, "%", Verdict.FAIL, "dut")
AGREE = Check("vial", "Vial", 0.0, "%", Verdict.PASS, "record")
GOOD = Check("mean", "Mean", 0.1, "%", Verdict.PASS, "dut")


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ((), Verdict.NOT_MEASURED),
        ((FIT, GOOD, REPORTED), Verdict.PASS),
        ((FIT, REPORTED), Verdict.NOT_MEASURED),  # nothing limits the only result
        ((FIT, AGREE, REPORTED), Verdict.NOT_MEASURED),  # nor do records that agree
        ((FIT, AGREE, GOOD), Verdict.PASS),
        ((FIT, AGREE), Verdict.PASS),
        ((UNFIT, REPORTED), Verdict.INVALID),
        ((FIT, FAILED, REPORTED), Verdict.FAIL),
        ((FIT,), Verdict.PASS),  # a check of the rig has no other results
    ],
)
def test_a_fit_rig_and_records_that_agree_alone_pass_no_pump(checks: tuple[Check, ...], verdict: Verdict) -> None:
    assert Evaluation(checks).verdict is verdict
