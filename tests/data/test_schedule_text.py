"""A schedule as people write it, in text and in tables, what is refused, and what asks for a second entry."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from data.quantities import parse
from data.schedule import Continuous, Schedule, ScheduleError, Stopped, bridge_bolus
from data.schedule_ranges import boluses_out_of_range, out_of_range, unusual


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1 mL/day", "1 mL/day"),
        ("62.5 uL/h", "1.5 mL/day"),
        ("300 ug/day at 2000 ug/mL; drug baclofen", "0.15 mL/day at 2000 ug/mL; drug baclofen"),
        ("flex 00:00 1 mL/day, 08:00 1.5 mL/day", "flex 00:00 1 mL/day, 08:00 1.5 mL/day"),
        ("1 mL/day; bolus 50 uL over 600 s every 240 min", "1 mL/day; bolus 50 uL over 10 min every 4 h"),
        ("stopped at 2 mg/mL; bolus 50 ug over 10 min", "stopped at 2000 ug/mL; bolus 25 uL over 10 min"),
    ],
)
def test_a_schedule_is_written_in_one_way(text, canonical):
    assert str(Schedule.parse(text)) == canonical


def test_a_table_says_the_same_as_its_text():
    table = {
        "basal": ["00:00 100 ug/day", "08:00 200 ug/day"],
        "concentration": "2000 ug/mL",
        "drug": "baclofen",
        "boluses": ["priming 0.2 mL over 20 min"],
        "periodic": "5 uL over 1 min every 4 h",
        "patient": "10 uL over 5 min lockout 4 h max 6 per day",
        "starting": "06:30",
        "clock": "-20 ppm",
    }
    text = (
        "flex 00:00 100 ug/day, 08:00 200 ug/day at 2000 ug/mL; drug baclofen; priming 0.2 mL over 20 min;"
        " bolus 5 uL over 1 min every 4 h; patient 10 uL over 5 min lockout 4 h max 6 per day; starting 06:30;"
        " clock -20 ppm"
    )
    assert Schedule.from_table(table) == Schedule.parse(text) == Schedule.from_table(text)


@pytest.mark.parametrize("how", ["at 300 ug/day", "at 0.6 mL/day", "over 8 h"])
def test_an_amount_of_drug_in_a_bridge_is_that_of_the_old_concentration(how):
    (bridge,) = Schedule.parse(f"300 ug/day at 2000 ug/mL; bridge 100 ug {how} from 500 ug/mL after 1 h").boluses

    assert (bridge.kind, bridge.at_s) == ("bridge", 3600.0)
    assert bridge.volume_ul == pytest.approx(200.0)
    assert bridge.duration_s == pytest.approx(8 * 3600.0)


def test_a_dose_is_described_with_drug_concentration_and_volume():
    described = Schedule.parse("300 ug/day at 2000 ug/mL; drug baclofen").describe()
    assert described == "300 ug/day of baclofen at 2000 ug/mL = 0.15 mL/day"
    assert Schedule.parse("1 mL/day").describe() == "1 mL/day"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", 'write for example "1 mL/day" or "stopped"'),
        ("1 mL/day;", "after the last; remove one"),
        ("1,5 mL/day", "write 1.5 mL/day"),
        ("-1 mL/day", "must be 0 uL/h or more"),
        ("300 ug/day", "300 ug/day at 2000 ug/mL"),
        ("300 ug/day at 2000", "write 2000 with one of ug/mL"),
        ("300 ug/day at 0 ug/mL", "above 0 ug/mL"),
        ("flex 08:00 1 mL/day", "begins at 00:00"),
        ("flex 00:00 1 mL/day, 8:00 2 mL/day", "such as 08:00"),
        ("flex 00:00 1 mL/day, 24:00 2 mL/day", "from 00:00 to 23:59"),
        ("flex 00:00 1 mL/day, 09:00 2 mL/day, 08:00 1 mL/day", "in order of time"),
        ("1 mL/day; bolus 50 uL", "50 uL over 10 min after 2 h"),
        ("1 mL/day; bolus 50 uL over 10 min at 2 h", "50 uL over 10 min after 2 h"),
        ("1 mL/day; bolus 0 uL over 10 min", "above 0 uL"),
        ("1 mL/day; bolus 50 uL over 0 s", "above 0 s"),
        ("1 mL/day; bolus 50 ug over 3 min", 'add "at 2000 ug/mL" to the basal delivery'),
        ("1 mL/day; bolus 50 uL over 10 min every 5 min", "shorten the bolus"),
        ("1 mL/day; bonus 50 uL over 3 min", "after the basal delivery come bolus, priming"),
        ("1 mL/day; bridge 200 uL at 0 mL/day", "above 0; correct it"),
        ("300 ug/day at 2000 ug/mL; bridge 200 uL at 300 ug/day", 'add its concentration, such as "from 500 ug/mL"'),
        ("300 ug/day at 2000 ug/mL; bridge 100 ug over 16 h", 'add its concentration, such as "from 500 ug/mL"'),
        ("300 ug/day at 2000 ug/mL; bridge 100 ug at 1 mL/day", 'add its concentration, such as "from 500 ug/mL"'),
        ("1 mL/day; bridge 200 uL at 300 ug/day from 0 ug/mL", "above 0 ug/mL; correct it"),
        ("1 mL/day; bridge 200 uL", '"200 uL over 8 h"'),
        ("1 mL/day; bridge 200 uL at 1 mL/day over 8 h", '"200 uL over 8 h"'),
        ("1 mL/day; bridge 9 uL over 9 h; bridge 9 uL over 9 h", "two bridge boluses overlap"),
        ("1 mL/day; patient 10 uL over 5 min lockout 4 h", "is not complete"),
        ("1 mL/day; patient 10 uL over 5 min lockout 4 min max 6 per day", "lengthen the lockout"),
        ("1 mL/day; patient 10 uL over 5 min lockout 4 h max 6 per week", 'write "per day"'),
        ("1 mL/day; patient 10 uL over 5 min lockout 4 h max six per day", "whole number"),
        ("1 mL/day; drug", "complete or remove it"),
        ("1 mL/day; drug a; drug b", "second time"),
        ("1 mL/day; clock 5 %", "at most 10000 ppm"),
        ("1 mL/day; starting noon", "such as 08:00"),
    ],
)
def test_a_schedule_that_cannot_be_read_says_what_to_write(text, remedy):
    with pytest.raises(ScheduleError) as refusal:
        Schedule.parse(text)
    assert remedy in str(refusal.value)


@pytest.mark.parametrize(
    "table", [{}, {"basal": "1 mL/day", "bolus": []}, {"basal": 5}, {"basal": ["1 mL/day"]}, {"basal": {"mode": 1}}]
)
def test_a_table_that_is_no_schedule_is_refused(table):
    with pytest.raises(ScheduleError):
        Schedule.from_table(table)


@pytest.mark.parametrize("change", [{"basal": {"mode": "flux"}}, {"colour": 1}, {"basal": None}, {"boluses": [{}]}])
def test_a_foreign_record_is_refused(change):
    with pytest.raises(ScheduleError):
        Schedule.from_json(Schedule.parse("1 mL/day").to_json() | change)


# -- ranges --------------------------------------------------------------------------------------------------------


def test_a_dose_below_the_pumps_lowest_rate_is_found():
    (finding,) = out_of_range(Schedule.parse("90 ug/day at 2000 ug/mL; drug baclofen"), (2.0, 1000.0))
    assert "0.045 mL/day (90 ug/day of baclofen at 2000 ug/mL) is below" in finding.text
    assert out_of_range(Schedule.parse("0.048 mL/day"), (2.0, 1000.0)) == ()
    assert out_of_range(Schedule(Stopped()), (2.0, 1000.0)) == ()


def test_a_dose_exactly_at_a_limit_of_the_pump_is_within_it_whatever_the_last_bit_says():
    limits = (parse("0.048 mL/day", "flow"), parse("24 mL/day", "flow"))
    doses = ((limit * 10 * k, 10 * k) for k in range(1, 400) for limit in (0.048, 24.0))
    schedules = [Schedule.parse(f"{dose:.10g} ug/day at {each} ug/mL") for dose, each in doses]

    assert any(not limits[0] <= one.basal.rate_ul_per_h <= limits[1] for one in schedules)
    assert not any(out_of_range(one, limits) for one in schedules)


@pytest.mark.parametrize("rate", ["0.047999 mL/day", "24.0001 mL/day"])
def test_a_rate_beyond_a_limit_by_more_than_its_last_bits_is_found(rate):
    assert len(out_of_range(Schedule.parse(rate), (parse("0.048 mL/day", "flow"), parse("24 mL/day", "flow")))) == 1


@pytest.mark.parametrize(
    ("bolus", "found"),
    [
        ("bolus 25 uL over 94 s", 0),
        ("patient 25 uL over 93 s lockout 4 h max 2 per day", 1),
        ("bolus 25 uL over 91 s every 1 h", 1),
    ],
)
def test_a_bolus_adds_to_the_basal_rate_and_both_are_within_what_the_pump_can(bolus, found):
    assert len(boluses_out_of_range(Schedule.parse(f"1 mL/day; {bolus}"), 1000.0)) == found


def test_a_bridge_at_the_pumps_largest_rate_is_within_it():
    bridge = bridge_bolus(420.7, 1000.0)
    assert boluses_out_of_range(Schedule(Continuous(500.0), (bridge,)), 1000.0) == ()


def test_values_beyond_ten_times_the_usual_ask_for_a_second_entry():
    usual = {"usual_rates_ul_per_h": (2.0, 100.0), "usual_doses_ug_per_day": (50.0, 1000.0)}
    usual["usual_concentrations_ug_per_ml"] = (500.0, 2000.0)
    assert unusual(Schedule.parse("300 ug/day at 2000 ug/mL"), **usual) == ()
    assert unusual(Schedule.parse("1000 uL/h"), **usual) == ()
    found = unusual(Schedule.parse("flex 00:00 0.19 uL/h, 12:00 1001 uL/h at 49 ug/mL"), **usual)
    assert [finding.quantity for finding in found] == ["rate", "rate", "concentration"]
    assert all("enter it a second time" in finding.text for finding in found)
    (dose,) = unusual(Schedule.parse("10.1 mg/day at 2000 ug/mL"), **usual)
    assert dose.quantity == "dose"


def test_every_schedule_in_the_documentation_is_read():
    text = (Path(__file__).parents[2] / "docs/reference/schedule.md").read_text("utf-8")
    examples = text.split("```schedule\n")[1].split("```")[0].splitlines()
    assert len(examples) > 10
    for example in examples:
        assert Schedule.parse(str(Schedule.parse(example))) == Schedule.parse(example)
    table = tomllib.loads(text.split("```toml\n")[1].split("```")[0])
    assert Schedule.from_table(table["schedule"]).drug == "baclofen"
