"""Label, order and program of a refill: what each says, and whether they agree."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from data.checks import Verdict
from data.schedule import Schedule
from protocols.analysis.refill import records
from protocols.analysis.refill.label import Label, LabelError, read_label

WEAK, STRONG = "0.5 mL/day at 500 ug/mL", "0.5 mL/day at 2000 ug/mL"


def vial(label, order, drug="none", program="", **fluid):
    run = SimpleNamespace(answers={"vial": label}, fluid={"drug": drug, **fluid})
    return records._vial(run, *(Schedule.parse(text) for text in (order, program) if text))


def order(programmed, ordered, **how):
    return records._same("order", "", Schedule.parse(programmed), Schedule.parse(ordered), **how)


# -- the label


@pytest.mark.parametrize(
    "label",
    [
        "Baclofen 2000 mcg/mL",
        "Baclofen 2,000 mcg/mL",
        "Baclofen 2 000 mcg/mL",
        "Baclofen 2\N{NO-BREAK SPACE}000\N{NARROW NO-BREAK SPACE}mcg/mL",
        "Baclofen 2000\N{MICRO SIGN}g/ml",
        "Baclofen: 2 mg/mL",
        "Baclofen, 2.0 mg per mL",
        "Baclofen 40,000 mcg/20 mL",
        "Baclofen 40 mg/20 mL",
        "Baclofen 2000 mcg/mL (40 mg/20 mL)",
        "Baclofen (40 mg / 20 mL = 2 mg/mL)",
    ],
)
def test_a_concentration_is_read_in_every_way_in_which_labels_state_it(label):
    read = read_label(label)

    assert read == Label("Baclofen", pytest.approx(2000.0, rel=1e-12))
    assert read.is_plain


@pytest.mark.parametrize(
    "label",
    [
        "Baclofen 0,5 mg/mL",
        "Baclofen 2,5 mg/mL",
        "Baclofen 0,500 mg/mL",
        "Baclofen 1,23,456 mcg/mL",
        "Baclofen 1500,000 mcg/mL",
        "Baclofen 1,500 000 mcg/mL",
        "Baclofen 10 20 mcg/mL",
        "Baclofen 2, 500 mcg/mL",
        "Baclofen 2'000 mcg/mL",
        "Baclofen .5 mg/mL",
        "Baclofen 5-10 mg/mL",
        "Baclofen -2 mg/mL",
        "Vitamin B12 1000 mcg/mL",
        "Baclofen A5 500 mcg/mL",
        "Baclofen 40 mg/0 mL",
        "Baclofen 2 MG/mL",
        "Baclofen 0.2 %",
        "Baclofen 2000 mcg/mL (10 mg/20 mL)",
        "Baclofen 2000 mcg/mL, 20 mL",
        "Baclofen 500 mcg/mL diluted to 50 mcg/mL",
    ],
)
def test_a_label_that_may_say_two_things_is_not_read_and_never_split(label):
    with pytest.raises(LabelError):
        read_label(label)

    check = vial(label, WEAK, "baclofen")
    assert check.verdict is Verdict.NOT_MEASURED
    assert "is not read" in check.note
    assert not check.optional


@pytest.mark.parametrize("label", ["Baclofen 2,500 mcg/mL", "Baclofen 2 500 mcg/mL"])
def test_a_vial_of_five_times_the_concentration_fails(label):
    check = vial(label, WEAK)

    assert (check.verdict, check.value) == (Verdict.FAIL, pytest.approx(400.0))
    assert "2500 ug/mL where 500 ug/mL was ordered" in check.note


def test_the_right_vial_with_a_separator_of_thousands_passes():
    assert vial("Baclofen 2,000 mcg/mL", f"{STRONG}; drug baclofen").verdict is Verdict.PASS


@pytest.mark.parametrize(
    "label", ["5 - 10 mg/mL", "Baclofen 5 to 10 mg/mL", "10 mg/mL (200 mg/20 mL)", "Lot 7; 10 mg/mL"]
)
def test_a_label_that_does_not_name_its_drug_alone_passes_nothing(label):
    assert vial(label, "0.5 mL/day at 10 mg/mL").verdict is Verdict.NOT_MEASURED
    assert vial(label, "0.5 mL/day at 10 mg/mL; drug baclofen").verdict is Verdict.NOT_MEASURED
    assert vial(label, "0.5 mL/day at 20 mg/mL").verdict is Verdict.FAIL


@pytest.mark.parametrize(("fluid", "verdict"), [("baclofen", "pass"), ("morphine", "fail"), ("none", "not-measured")])
def test_the_drug_is_that_of_the_fluids_file_where_the_schedule_names_none(fluid, verdict):
    assert vial("Baclofen 500 mcg/mL", WEAK, fluid).verdict.value == verdict


@pytest.mark.parametrize(
    ("order", "program", "fluid", "label", "verdict"),
    [
        (WEAK, f"{WEAK}; drug baclofen", "none", "morphine 500 ug/mL", "fail"),
        (WEAK, f"{WEAK}; drug baclofen", "none", "baclofen 500 ug/mL", "pass"),
        (f"{WEAK}; drug baclofen", f"{WEAK}; drug Baclofen", "Baclofen", "baclofen 500 ug/mL", "pass"),
        (WEAK, f"{WEAK}; drug baclofen", "morphine", "baclofen 500 ug/mL", "fail"),
        (f"{WEAK}; drug baclofen", f"{WEAK}; drug baclofen", "morphine", "baclofen 500 ug/mL", "fail"),
        (f"{WEAK}; drug baclofen", "", "baclofen and morphine", "baclofen 500 ug/mL", "not-measured"),
        (f"{WEAK}; drug baclofen", "", "baclofen and morphine", "baclofen 2000 ug/mL", "fail"),
        (WEAK, WEAK, "none", "morphine 500 ug/mL", "not-measured"),  # nobody says which drug was meant
    ],
)
def test_a_label_is_held_against_the_drug_that_order_program_and_fluid_agree_on(order, program, fluid, label, verdict):
    check = vial(label, order, fluid, program)
    assert (check.verdict.value, check.optional) == (verdict, False)


@pytest.mark.parametrize(
    "label",
    ["Baclofen injection 500 mcg/mL", "Lioresal (baclofen) 500 mcg/mL", "Baclofen\N{REGISTERED SIGN} 0.5 mg/mL"],
)
def test_a_label_that_says_more_than_the_drug_is_typed_anew_and_one_of_another_concentration_fails(label):
    check = vial(label, f"{WEAK}; drug baclofen")

    assert check.verdict is Verdict.NOT_MEASURED
    assert "type drug and concentration alone" in check.note
    assert vial(label, f"{STRONG}; drug baclofen").verdict is Verdict.FAIL
    assert vial(label, f"{WEAK}; drug morphine").verdict is Verdict.FAIL


@pytest.mark.parametrize("label", ["Hydromorphone 500 mcg/mL", "Hydromorphone", "water for injection", "Pure Water"])
def test_a_name_that_only_ends_like_the_drug_is_another_one_and_a_solvent_is_no_drug(label):
    assert vial(label, f"{WEAK}; drug morphine", name="pure water").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("label", "verdict"),
    [
        ("water, ISO 3696 class III", "pass"),
        ("none", "pass"),
        ("water for injection", "not-measured"),
        ("NaCl 0.9 %", "not-measured"),
        ("Sodium chloride 9 mg/mL", "not-measured"),
        ("Morphine", "fail"),
        ("Ketamine 50 mg/mL", "fail"),
        ("morphine 500 ug/mL in water", "fail"),
    ],
)
def test_where_no_drug_was_ordered_the_fluids_own_name_passes_and_a_drug_fails(label, verdict):
    check = vial(label, "1 mL/day", name="Water, ISO 3696 class III")
    assert (check.verdict.value, check.optional) == (verdict, False)


@pytest.mark.parametrize(("label", "verdict"), [("baclofen 500 ug/mL", "pass"), ("baclofen 2 mg/mL", "fail")])
def test_an_order_in_millilitres_takes_its_drug_and_its_concentration_from_the_fluids_file(label, verdict):
    assert vial(label, "1 mL/day", "baclofen", concentration_ug_per_ml=500.0).verdict.value == verdict
    assert vial("baclofen 500 ug/mL", "1 mL/day; drug baclofen").verdict is Verdict.NOT_MEASURED


def test_a_vial_without_drug_fails_where_the_fluids_file_states_one():
    assert vial("none", "1 mL/day", "baclofen").verdict is Verdict.FAIL
    assert vial("none", "1 mL/day").verdict is Verdict.PASS


# -- program against order

PERIODIC = "1 mL/day at 500 ug/mL; bolus 50 uL over 10 min every 4 h"
PRIMED = "0.1 mL/day at 500 ug/mL; priming 0.22 mL over 20 min"


def test_periodic_boluses_are_part_of_the_dose_of_every_day():
    assert order(PERIODIC, "650 ug/day at 500 ug/mL").verdict is Verdict.PASS
    assert order(PERIODIC, "625 ug/day at 500 ug/mL").verdict is Verdict.FAIL
    assert records._dose(Schedule.parse(PERIODIC)).value == pytest.approx(650.0)


def test_a_planned_bolus_is_no_part_of_the_dose_of_a_day():
    check = records._dose(Schedule.parse(PRIMED))

    assert check.value == pytest.approx(50.0)
    assert "planned boluses of 220 uL in all come once" in check.note
    assert order(PRIMED, "160 ug/day at 500 ug/mL").note == "100 uL/day where 320 uL/day was meant"


@pytest.mark.parametrize(
    ("ordered", "alike"),
    [
        ("priming 0.22 mL over 20 min", True),
        ("bolus 220.1 uL over 20 min after 1 s", True),
        ("priming 0.23 mL over 20 min", False),
        ("priming 0.22 mL over 40 min", False),
        ("priming 0.22 mL over 20 min after 1 min", False),
        ("bridge 0.22 mL over 20 min", False),
        ("priming 0.22 mL over 20 min; bolus 1 uL over 1 min after 30 day", False),
    ],
)
@pytest.mark.parametrize("copied", [True, False])
def test_each_planned_bolus_is_compared_for_itself(ordered, alike, copied):
    check = order(PRIMED, f"50 ug/day at 500 ug/mL; {ordered}", copied=copied)
    assert check.verdict is (Verdict.PASS if alike else Verdict.FAIL)


def test_a_planned_bolus_that_nobody_ordered_fails_by_its_name():
    check = order(PRIMED, "50 ug/day at 500 ug/mL")

    assert check.verdict is Verdict.FAIL
    assert check.note == "a priming bolus of 220 uL over 1200 s after 0 s where no planned bolus was meant"
