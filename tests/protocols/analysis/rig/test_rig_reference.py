"""What a run takes from the rig check that it relies on."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.checks import Verdict
from data.run import Event, Run
from protocols.analysis.rig.reference import (
    GAIN_STABILITY_PERCENT,
    ZERO_STABILITY,
    KnownRig,
    fluid_of,
    known_rig,
    rig_was_checked,
    serials_of,
)

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


@pytest.fixture
def relying() -> Iterator[Run]:
    """A run with a pump, a flow sensor and a fluid."""
    with Run.open(Path(__file__).parents[3] / "runs" / "flow-accuracy-8.h5") as run:
        yield run


def held(run: Run, **said: Any) -> None:
    """Give the run a record of a rig check that holds, made with its own instruments and fluid but for ``said``."""
    fields = {"demanded": True, "holds": True, "text": "", "check_run_id": "1", "values": FOUND}
    own = {"fluid": fluid_of(run), "serials": serials_of(run)}
    others = tuple(event for event in run.events if event.kind != "rig-check")
    run.__dict__["events"] = (Event(0.0, "rig-check", {**fields, **own, **said}), *others)


def test_a_rig_check_of_the_same_instruments_and_fluid_holds(relying: Run) -> None:
    held(relying)
    assert known_rig(relying).flow_gain is not None
    assert [check.verdict for check in rig_was_checked(relying)] == [Verdict.PASS]


def test_an_older_record_that_names_neither_holds_as_it_did(relying: Run) -> None:
    held(relying, fluid=None, serials=None)
    assert known_rig(relying).flow_gain is not None


def test_a_flow_sensor_that_was_exchanged_since_takes_no_gain_and_leaves_the_rig_unchecked(relying: Run) -> None:
    held(relying, serials={**serials_of(relying), "flow_sensor": "ANOTHER"})
    rig = known_rig(relying)
    assert (rig.holds, rig.flow_gain, rig.flow_zero(0.63)) == (False, None, None)
    (check,) = rig_was_checked(relying)
    assert check.verdict is Verdict.INVALID
    assert check.note.startswith('"flow_sensor" has serial number ')


def test_another_pump_under_test_is_no_other_rig(relying: Run) -> None:
    assert "pump" not in serials_of(relying)
    held(relying, serials={**serials_of(relying), "pump": "ANOTHER"})
    assert known_rig(relying).holds


@pytest.mark.parametrize("other", [{"name": "saline"}, {"drug": "baclofen"}, {"concentration_ug_per_ml": 500.0}])
def test_the_gain_that_a_sensor_has_for_another_fluid_is_not_taken_and_its_zero_is(relying: Run, other: Any) -> None:
    held(relying, fluid=fluid_of(relying) | other)
    rig = known_rig(relying)
    assert (rig.holds, rig.flow_gain) == (True, None)
    assert rig.flow_zero(0.63) is not None
