"""Every driver against a thousand and more random faults of its wire: a value is right, flagged, or not there.

``pytest -rP`` shows what was counted; ``python -m benchmarks misbehaviour`` does the same with several seeds.
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.ordeals.cases import CASES
from benchmarks.ordeals.daq import DaqCase
from instruments.simulation.misbehaviour import KINDS

STRIKES = 1_500  # the benchmark does 10,000 with each of several seeds
RARER = {"harvard-phd": 2}  # some of what strikes it is rarer than elsewhere
DAQ_STRIKES = 500  # nidaqmx takes its time over the tasks that are made anew


@pytest.mark.parametrize("case", CASES, ids=str)
def test_whatever_the_wire_does_a_value_is_right_or_flagged_or_not_there(case: Any) -> None:
    strikes = STRIKES * RARER.get(str(case), 1)
    tally = case.ordeal(1, strikes)
    print(f"{case}: {tally}")
    assert tally.failures == []
    assert min(tally.struck[kind] for kind in KINDS) > strikes / 100
    assert tally.good > case.good_share * strikes
    assert tally.small == 0 or case.max_step > 0.0


def test_whatever_devices_and_their_server_do_a_sample_is_the_truth_at_its_index() -> None:
    case = DaqCase()
    tally = case.ordeal(1, DAQ_STRIKES)
    print(f"{case}: {tally}")
    assert tally.failures == []
    assert min(tally.struck[kind] for kind in case.kinds) >= DAQ_STRIKES / 200
    assert tally.good > 10 * DAQ_STRIKES
