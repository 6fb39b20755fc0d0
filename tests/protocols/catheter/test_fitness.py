"""Whether the rig was fit to judge a catheter: what the bridge did not show is not taken as shown."""

from __future__ import annotations

import pytest

from data.checks import Verdict
from protocols.analysis.catheter.fitness import arrives_through_the_bridge
from protocols.analysis.catheter.forced import Push


def bridged(arrived: float | None) -> Push:
    """A forced flow through the bridge with the share that the balance gained."""
    return Push("bridge-slow", 1.4, 0.3, 0.001, arrived, 0.001, blocked=False)


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ((None, None), Verdict.NOT_MEASURED),
        ((None, 1.002), Verdict.PASS),
        ((1.001, 0.95), Verdict.INVALID),
    ],
)
def test_a_balance_that_is_silent_in_every_bridged_flow_leaves_the_rig_s_flow_unmeasured(shares, verdict):
    check = arrives_through_the_bridge([bridged(share) for share in shares])
    assert (check.name, check.verdict, check.optional) == ("rig-flow", verdict, False)
