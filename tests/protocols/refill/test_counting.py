"""What counts in a refill: nothing that was not measured, not limited or not seen passes a pump."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from data.checks import Limits, Verdict
from data.run import Run
from data.schedule import Continuous, Flex, PatientBolus, PeriodicBolus, Schedule
from protocols.analysis.budget import Budget, Component
from protocols.analysis.refill import after, needle, records, verdict
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


def capacity(pushed_ul, *, closed=False, reservoir_ul=20_000.0, limit_ul=500.0, overfill=True, early=False):
    """The check after an over-fill test of so much, or after the filling alone; the pressure may have ended phases."""
    slow, fast = ("over-filling", "over-filling-early") if overfill else ("filling-slowly", "filling")
    ended = [SimpleNamespace(fields={"phase": phase}) for phase, is_ in ((fast, early), (slow, closed)) if is_]
    limits = {"capacity_ul": limit_ul, "source": "maker", "revision": "A"}
    run = SimpleNamespace(
        params={"left_ul": 200.0, "emptying_ul": 10.0, "overfill": overfill},
        dut={"reservoir_ul": reservoir_ul, "limits": {"refill": limits}},
        records=lambda kind: ended,
    )
    volumes = (8000.0, (None, None), pushed_ul) if overfill else (pushed_ul, (None, None), None)
    found = None if pushed_ul is None else Syringes(*volumes, 5.0, 5e-5, True)
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


@pytest.mark.parametrize(
    ("overfill", "pushed_ul", "closed", "expected"),
    [
        (True, 19_650.0, False, Verdict.NOT_MEASURED),  # then 5 mL ran in slowly, and it never closed
        (False, 4000.0, False, Verdict.NOT_MEASURED),
        (True, 19_650.0, True, Verdict.PASS),
        (False, 4000.0, True, Verdict.FAIL),
    ],
)
def test_a_reservoir_has_closed_where_the_pressure_ended_the_slow_phase(overfill, pushed_ul, closed, expected):
    check = capacity(pushed_ul, closed=closed, overfill=overfill, early=True)
    assert check.verdict is expected
    assert ("which closes nothing by itself" in check.note) is (not closed)


@pytest.mark.parametrize(("reservoir_ul", "said"), [(40_000.0, True), (20_000.0, False)])
def test_an_over_fill_test_that_does_not_fill_the_pump_is_told_before_the_start(reservoir_ul, said):
    told = RefillPort(overfill="yes").remarks({"reservoir_ul": reservoir_ul})
    assert any("its capacity will not be measured; raise overfill_most" in one for one in told) is said


def surge(came_ul, silent_h, limit_ul=50.0, complete=True):
    """The check of 48 h at 1 mL/day, so much more in the hour from 10 h on, and no balance in a stretch."""
    t_s = np.arange(0.0, 48.0 * 3600.0 + 1.0, 30.0)
    t_s = t_s[(t_s <= silent_h[0] * 3600.0) | (t_s >= silent_h[1] * 3600.0)]
    rate = 1000.0 / 86_400.0
    delivered = rate * t_s + came_ul * np.clip(t_s / 3600.0 - 10.0, 0.0, 1.0)
    record = SimpleNamespace(
        analysis=(0.0, 48.0 * 3600.0),
        complete=complete,
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


@pytest.mark.parametrize(("came_ul", "expected"), [(0.0, Verdict.NOT_MEASURED), (120.0, Verdict.FAIL)])
def test_a_watch_that_was_cut_off_passes_no_hour_and_keeps_a_surge_that_was_seen(came_ul, expected):
    check = surge(came_ul, (0.0, 0.0), complete=False)
    assert (check.verdict, check.optional) == (expected, False)


def test_what_a_silence_may_hide_is_all_that_came_in_it():
    assert "up to 187 uL" in surge(0.0, (8.0, 12.5)).note  # 4.5 h of 41.7 uL
    assert surge(0.0, (8.0, 12.5)).value == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("insertions", "unread", "expected"),
    [
        ((AT_STOP, AT_STOP), (), Verdict.PASS),
        ((AT_STOP,), (2,), Verdict.NOT_MEASURED),
        ((replace(AT_STOP, rest_n=0.2),), (2,), Verdict.INVALID),
        ((), (1, 2), Verdict.NOT_MEASURED),
    ],
)
def test_a_needle_is_at_its_stop_where_every_insertion_was_seen(insertions, unread, expected):
    run = SimpleNamespace(params={"stop_mm": 20.0, "press_mm": 0.2, "stop_force_n": 1.0})
    check = next(verdict._needle(verdict._Refill(run, None, None, None, insertions, unread)))
    assert (check.name, check.verdict, check.optional) == ("needle-at-stop", expected, False)


def test_an_insertion_that_was_made_and_not_recorded_is_missed(evaluated, monkeypatch):
    monkeypatch.setattr(verdict, "insertion", lambda run, number: AT_STOP if number == 1 else None)
    check = next(check for check in evaluated().checks if check.name == "needle-at-stop")
    assert (check.verdict, check.note) == (Verdict.NOT_MEASURED, "insertion 2 was not recorded")


@pytest.mark.parametrize("lost", ["needle_force", "needle_depth"])
def test_an_insertion_whose_gauge_or_stage_never_sent_a_sample_was_not_recorded(lost):
    with Run.open(SEALED) as run:
        run.__dict__["has"] = lambda role: role != lost
        assert needle.insertion(run, 1) is None


@pytest.mark.parametrize(("said", "note"), [(18_000.0, "its count said 18.000 mL"), (np.nan, "")])
def test_a_count_before_the_refill_that_is_no_number_is_not_told(said, note):
    before = SimpleNamespace(fields={"key": "before", "reservoir_ul": said})
    run = SimpleNamespace(params={}, dut={}, records=lambda kind: [before], phases=(), has=lambda role: False)
    first = next(verdict._filling(verdict._Refill(run, None, None, None, ())))
    assert (first.name, first.note) == ("aspirated", note)


@pytest.mark.parametrize(("limit_n", "optional"), [(3.0, False), (None, True)])
def test_a_force_that_is_limited_counts_where_nothing_was_pierced(limit_n, optional):
    limits = {"insertion_force_n": limit_n, "source": "maker", "revision": "A"}
    run = SimpleNamespace(dut={"limits": {"refill": limits}})
    (check,) = verdict._insertion_force(verdict._Refill(run, None, None, None, (replace(AT_STOP, peak_n=None),)))
    assert (check.verdict, check.optional) == (Verdict.NOT_MEASURED, optional)


def test_a_vial_that_was_not_scanned_and_a_program_that_was_not_read_back_count():
    run = SimpleNamespace(schedule=FLEX, params={"order": ""}, answers={"vial": " "}, records=lambda kind: ())
    found = {check.name: check for check in records.reconciled(run)}
    missing = {name for name, check in found.items() if not check.optional}
    assert missing == {"vial", "read-back"}
    assert {found[name].verdict for name in missing} == {Verdict.NOT_MEASURED}


DAY, NIGHT = 20.0, 60.0
FLEX = Schedule(Flex(((0.0, DAY), (43_200.0, NIGHT))))
BOLUS = PatientBolus(10.0, 60.0, 3600.0, 3)


@pytest.mark.parametrize(
    ("held", "off"),
    [
        (FLEX, 0.0),
        (Schedule(Flex(((0.0, DAY), (43_201.0, NIGHT)))), 0.0),  # a second of a clock
        (Schedule(Flex(((0.0, NIGHT), (43_200.0, DAY)))), 50.0),  # day and night the wrong way round
        (Schedule(Continuous((DAY + NIGHT) / 2.0)), 25.0),
        (replace(FLEX, pump_day_offset_s=3600.0), 0.0),
        (replace(FLEX, patient=BOLUS), 100.0),
    ],
)
def test_a_program_read_back_is_compared_by_the_course_of_its_day(held, off):
    check = records._same("read-back", "", held, FLEX, copied=True)
    assert check.value == pytest.approx(off, abs=0.01)
    assert check.verdict is (Verdict.FAIL if off else Verdict.PASS)


@pytest.mark.parametrize(
    ("changed", "alike"),
    [({}, True), ({"volume_ul": 10.005}, True), ({"volume_ul": 11.0}, False), ({"max_per_day": 4}, False)],
)
def test_a_rule_of_patient_boluses_read_back_is_compared_too(changed, alike):
    wanted = replace(FLEX, patient=BOLUS)
    check = records._same("read-back", "", replace(FLEX, patient=replace(BOLUS, **changed)), wanted, copied=True)
    assert (check.verdict is Verdict.PASS) is alike


def test_boluses_and_periodic_ones_are_compared_as_late_as_they_come():
    wanted = Schedule(Continuous(20.0), periodic=PeriodicBolus(50.0, 60.0, 2 * 86_400.0, 90_000.0))
    late = replace(wanted, periodic=replace(wanted.periodic, first_s=100_000.0))
    assert records._same("read-back", "", late, wanted, copied=True).verdict is Verdict.FAIL


def test_a_dose_a_day_that_was_ordered_is_met_by_any_course_of_the_day():
    ordered = Schedule(Continuous((DAY + NIGHT) / 2.0))
    assert records._same("order", "", FLEX, ordered).verdict is Verdict.PASS
    assert records._same("order", "", Schedule(Flex(((0.0, NIGHT), (43_200.0, DAY)))), FLEX).verdict is Verdict.FAIL


def test_a_course_of_the_day_that_is_read_back_where_one_rate_was_programmed_fails_the_record():
    held = SimpleNamespace(fields={"key": "after", "schedule": FLEX.to_json()})
    one_rate = Schedule(Continuous((DAY + NIGHT) / 2.0))
    run = SimpleNamespace(
        schedule=one_rate, params={"order": ""}, answers={"vial": "none"}, fluid={}, records=lambda _: (held,)
    )
    check = next(check for check in records.reconciled(run) if check.name == "read-back")
    assert (check.verdict, check.note) == (Verdict.FAIL, "25 % of the volume comes at another time than was meant")
