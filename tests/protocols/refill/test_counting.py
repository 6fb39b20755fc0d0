"""What counts in a refill: nothing that was not measured, not limited or not seen passes a pump."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from data.checks import Verdict
from data.run import Run
from protocols.analysis.refill import verdict
from protocols.analysis.refill.ledger import Syringes
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


def capacity(pushed_ul, *, closed=False, reservoir_ul=20_000.0, limit_ul=500.0):
    """The check after an over-fill test of so much."""
    ended = [SimpleNamespace(fields={"phase": "over-filling"})] if closed else []
    limits = {"capacity_ul": limit_ul, "source": "maker", "revision": "A"}
    run = SimpleNamespace(
        params={"left_ul": 200.0, "emptying_ul": 10.0, "overfill": True},
        dut={"reservoir_ul": reservoir_ul, "limits": {"refill": limits}},
        records=lambda kind: ended,
    )
    found = None if pushed_ul is None else Syringes(8000.0, (None, None), pushed_ul, 5.0, 5e-5, True)
    return verdict._capacity(verdict._Refill(run, None, found, None, ()))


@pytest.mark.parametrize(
    ("pushed_ul", "closed", "reservoir_ul", "expected"),
    [
        (21_000.0, False, 40_000.0, Verdict.NOT_MEASURED),  # the test was too small for this pump
        (19_700.0, False, 20_000.0, Verdict.NOT_MEASURED),
        (20_310.0, False, 20_000.0, Verdict.NOT_MEASURED),  # beyond the limit, but not by U
        (21_000.0, False, 20_000.0, Verdict.FAIL),
        (19_700.0, True, 20_000.0, Verdict.PASS),
        (19_000.0, True, 20_000.0, Verdict.FAIL),
        (None, False, 20_000.0, Verdict.NOT_MEASURED),
    ],
)
def test_a_reservoir_that_did_not_close_is_known_from_below_alone(pushed_ul, closed, reservoir_ul, expected):
    check = capacity(pushed_ul, closed=closed, reservoir_ul=reservoir_ul)
    assert (check.verdict, check.optional) == (expected, False)


@pytest.mark.parametrize(("reservoir_ul", "said"), [(40_000.0, True), (20_000.0, False)])
def test_an_over_fill_test_that_does_not_fill_the_pump_is_told_before_the_start(reservoir_ul, said):
    told = RefillPort(overfill="yes").remarks({"reservoir_ul": reservoir_ul})
    assert any("its capacity will not be measured; raise overfill_most" in one for one in told) is said
