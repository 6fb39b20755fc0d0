"""What a run takes from the rig check that it relies on."""

import math

import pytest

from protocols.analysis.rig.reference import GAIN_STABILITY_PERCENT, ZERO_STABILITY, KnownRig

FOUND = {"flow_gain": 0.98, "u_flow_gain": 0.0049, "flow_zero_ul_per_h": -0.3, "u_flow_zero_ul_per_h": 0.1}


def test_zero_and_gain_of_the_sensor_count_with_what_may_have_changed_since():
    rig = KnownRig(True, True, "", "1", FOUND)
    assert rig.flow_zero(0.63) == (-0.3, pytest.approx(math.hypot(0.1, ZERO_STABILITY * 0.63)))
    assert rig.flow_gain == (0.98, pytest.approx(math.hypot(0.5, GAIN_STABILITY_PERCENT)))


@pytest.mark.parametrize(
    "rig",
    [KnownRig(True, False, "too old", "1", FOUND), KnownRig(True, True, "", "1", {})],
    ids=["it does not hold", "it has not measured them"],
)
def test_a_rig_check_without_worth_gives_neither(rig):
    assert rig.flow_zero(0.63) is None
    assert rig.flow_gain is None
