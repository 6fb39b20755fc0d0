"""What counts in a refill: nothing that was not measured, not limited or not seen passes a pump."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from data.checks import Limits, Verdict
from data.run import Run
from protocols.analysis.budget import Budget, Component
from protocols.analysis.refill import after, verdict
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


def surge(came_ul, silent_h, limit_ul=50.0):
    """The check of 48 h at 1 mL/day, so much more in the hour from 10 h on, and no balance in a stretch."""
    t_s = np.arange(0.0, 48.0 * 3600.0 + 1.0, 30.0)
    t_s = t_s[(t_s <= silent_h[0] * 3600.0) | (t_s >= silent_h[1] * 3600.0)]
    rate = 1000.0 / 86_400.0
    delivered = rate * t_s + came_ul * np.clip(t_s / 3600.0 - 10.0, 0.0, 1.0)
    record = SimpleNamespace(
        analysis=(0.0, 48.0 * 3600.0),
        volumes=lambda from_s, to_s: (t_s, delivered),
        programmed_ul=lambda times: rate * times + 70.0,  # it began before
        collected=SimpleNamespace(delivered=lambda from_s, to_s: (0.0, Budget("", "uL", (Component("all", 0.5),)))),
    )
    return after.surge(record, Limits(None, limit_ul, "maker"), ())


@pytest.mark.parametrize(
    ("came_ul", "silent_h", "expected"),
    [
        (0.0, (0.0, 0.0), Verdict.PASS),
        (0.0, (9.9, 10.1), Verdict.PASS),  # 8 uL were due in the silence, and 8 uL came
        (0.0, (9.5, 10.5), Verdict.PASS),  # even all at once it is 42 uL
        (0.0, (8.0, 12.5), Verdict.NOT_MEASURED),
        (120.0, (8.0, 12.5), Verdict.NOT_MEASURED),  # spread over the silence it looks like 27 uL an hour
        (30.0, (0.0, 0.0), Verdict.PASS),
        (30.0, (9.3, 10.0), Verdict.NOT_MEASURED),  # and 29 uL with it, at the end of the silence before it
        (30.0, (11.0, 11.7), Verdict.NOT_MEASURED),  # or at the beginning of that after it
        (30.0, (20.0, 20.7), Verdict.PASS),
        (120.0, (0.0, 0.0), Verdict.FAIL),
        (120.0, (30.0, 35.0), Verdict.FAIL),
    ],
)
def test_a_surge_that_a_silent_balance_may_hide_is_not_measured(came_ul, silent_h, expected):
    check = surge(came_ul, silent_h)
    assert check.verdict is expected
    assert ("silent" in check.note) is (silent_h[1] - silent_h[0] > 0.1)


def test_what_a_silence_may_hide_is_all_that_came_in_it():
    assert "up to 187 uL" in surge(0.0, (8.0, 12.5)).note  # 4.5 h of 41.7 uL
    assert surge(0.0, (8.0, 12.5)).value == pytest.approx(0.0, abs=1e-6)
