"""What counts in a refill: nothing that was not measured, not limited or not seen passes a pump."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from data.checks import Verdict
from data.run import Run
from protocols.analysis.refill import verdict
from protocols.analysis.refill.needle import Insertion
from protocols.refill_port import RefillPort

SEALED = Path(__file__).parents[2] / "runs" / "refill-port-1.h5"
AT_STOP = Insertion(0.0, 2.0, 0.01, 8.0, 0.4, 1.5, 0.01, 20.2, np.zeros(3), np.zeros(3))


def without_limits(dut):
    return {**dut, "limits": dict.fromkeys(dut["limits"])}


@pytest.fixture
def evaluated(monkeypatch):
    """The sealed refill, its needle at the stop, judged with another pump's file."""
    monkeypatch.setattr(verdict, "insertion", lambda run, number: AT_STOP)

    def judge(dut=lambda dut: dut):
        with Run.open(SEALED) as run:
            run.__dict__["dut"] = dut(copy.deepcopy(run.dut))
            return verdict.evaluate(run)

    return judge


def test_records_that_agree_pass_no_pump_that_nothing_limits(evaluated):
    found = evaluated(without_limits)
    agree = {check.name for check in found.checks if check.owner == "record" and check.verdict is Verdict.PASS}

    assert {"vial", "order", "read-back"} <= agree
    assert found.verdict is Verdict.NOT_MEASURED
    assert RefillPort().limited_by()[0] == ("refill", "mean")  # said before the start
