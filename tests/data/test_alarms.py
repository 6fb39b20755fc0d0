"""What a person types of an alarm becomes the word for it, and never the word for another one."""

import pytest

from data.alarms import ALARMS, alarms_typed


@pytest.mark.parametrize("alarm", ALARMS)
def test_every_alarm_is_known_however_its_name_is_written(alarm):
    spaced = alarm.replace("-", " ")
    for typed in (alarm, spaced, spaced.upper(), spaced.capitalize() + "!", f" The {spaced} alarm."):
        assert alarms_typed(typed) == (alarm,)


@pytest.mark.parametrize(
    ("typed", "alarms"),
    [
        ("Low reservoir, Low battery", ("low-reservoir", "low-battery")),
        ("Motor stalled!; reservoir is empty", ("stall", "empty-reservoir")),
        ("low reservoir and stall", ("low-reservoir", "stall")),
        ("low-reservoir, LOW RESERVOIR", ("low-reservoir",)),
        ("Reservoir volume low: 1.9 mL", ("low-reservoir",)),
        ("Reservoir low (1,9 mL)", ("low-reservoir",)),
        *((nothing, ()) for nothing in ("none", "None.", "NONE", "no alarms", "No alarm", "-", "", " , ")),
    ],
)
def test_a_list_is_taken_apart(typed, alarms):
    assert alarms_typed(typed) == alarms


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Error 51", "error-51"),
        ("Low reservoir pressure", "low-reservoir-pressure"),
        ("low battery low reservoir", "low-battery-low-reservoir"),
        ("Gerätefehler  12", "gerätefehler-12"),
    ],
)
def test_what_is_no_known_alarm_alone_stays_as_it_was_typed(typed, kept):
    assert alarms_typed(typed) == (kept,)
