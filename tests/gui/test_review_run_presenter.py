"""A run that is open: read, proved, its channels drawn as far as they are looked at; and runs compared."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checks import Check, Verdict
from data.overview import Extent, Piece, Stretch, pieces
from data.run import Event, Run
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.file_points import FilePoints, flagged, spread
from gui.presenters.file_reader import HereReader
from gui.presenters.numbers import NARROW_NBSP, PlainNumbers
from gui.presenters.review_checks import check_row, check_rows, facts, shares
from gui.presenters.review_compare import compared, differences, en_number, overlaid, shifted
from gui.presenters.review_facts import parameter, parameters, what_it_was
from gui.presenters.review_open import OpenRun, State, grouped
from gui.presenters.review_timeline import EVENT, EXCLUDED, GAP, PHASE, PROMPT, QUALITY, gaps, happenings, narrowed
from gui.presenters.tone import Tone

RUNS = Path(__file__).parents[1] / "runs"
NUMBERS = PlainNumbers()


def opened(path: Path) -> OpenRun:
    """A run that has been read, in this process."""
    background = Inline()
    run = OpenRun(Context(background), path, lambda path: HereReader(path, background))
    work(run)
    return run


def work(run: OpenRun) -> None:
    background = run.context.background
    assert isinstance(background, Inline)
    background.run()


@pytest.fixture(scope="module")
def flow() -> OpenRun:
    return opened(RUNS / "flow-accuracy-4.h5")


@pytest.fixture(scope="module")
def catheter() -> OpenRun:
    return opened(RUNS / "catheter-1.h5")


def test_a_sealed_run_is_intact_and_its_verdict_follows_from_its_data() -> None:
    run = opened(RUNS / "valve-test-3.h5")  # of the present method
    run.prove()
    assert [run.seal_says[0], run.judge_says[0]] == ["verifying…", "recomputing…"]
    assert run.is_proving
    work(run)
    assert (run.seal_says[0], run.seal_says[2]) == ("intact", Tone.GOOD)
    assert (run.judge_says[0], run.judge_says[2]) == ("identical", Tone.GOOD)
    assert not run.is_proving


def test_a_run_of_which_a_value_was_changed_is_altered_and_what_was_changed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "altered.h5"
    path.write_bytes((RUNS / "priming-1.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file["entry/balance/mass"][50:] *= 1.1
    run = opened(path)
    run.prove()
    work(run)
    assert (run.seal_says[0], run.seal_says[2]) == ("altered", Tone.FAIL)
    assert "/entry/balance/mass: was changed" in run.seal_says[1]
    assert run.verdict_says == ("pass, altered", Tone.FAIL)
    assert (run.judge_says[0], run.judge_says[2]) == ("differs", Tone.WARN)


def test_a_file_that_is_cut_off_says_so_and_nothing_is_proved(tmp_path: Path) -> None:
    path = tmp_path / "cut.h5"
    path.write_bytes((RUNS / "priming-1.h5").read_bytes()[:100_000])
    run = opened(path)
    assert run.state is State.FAILED
    assert run.sentence == "is cut off; make it again from its journal with recover"


def test_the_facts_of_a_run_tell_article_fluid_person_software_and_seed(flow: OpenRun) -> None:
    assert flow.review is not None
    said = dict(what_it_was(flow.review))
    assert said["Protocol"] == "flow-accuracy, method 4"
    assert said["Device"] == "pumpbench SIM-20 SN SIMULATED"
    assert said["Software"].startswith("pumpbench 0.1.0, python 3.")
    assert (said["Seed"], said["Faults"]) == ("1", "none")
    assert dict(parameters(flow.review, NUMBERS))["Analysis"] == "3 h"
    assert parameter("bath_high_degc", 38.0, NUMBERS) == ("Bath high", "38 °C")


# -- checks


def test_a_check_is_written_to_the_second_digit_of_its_uncertainty_with_limits_rule_and_probability() -> None:
    check = Check(
        "error", "Error", 0.654817, "%", Verdict.PASS, "dut", 0.0748, 838.6, 2.003, 0.14989, -14.5, 14.5, "the form",
        "w = U", 0.99999, budget=(("linearity", 0.03), ("noise", 0.04)),
    )  # fmt: skip
    row = check_row(check, NUMBERS)
    assert row.value == f"+0.65{NARROW_NBSP}%"
    assert row.uncertainty == f"±{NARROW_NBSP}0.15"
    assert row.limits == f"±14.5{NARROW_NBSP}%"
    assert row.probability == f"> 99.99{NARROW_NBSP}%"
    assert row.about == f"u = 0.075{NARROW_NBSP}%, k = 2.003, ν_eff = 839"
    assert [(share.source, round(share.part, 2)) for share in shares(check, NUMBERS)] == [
        ("noise", 0.64),
        ("linearity", 0.36),
    ]


def test_a_number_without_a_limit_has_no_verdict_and_stands_behind_those_that_count(flow: OpenRun) -> None:
    assert flow.review is not None
    assert flow.review.evaluation is not None
    rows = check_rows(flow.review.evaluation.checks, NUMBERS)
    assert rows[0].check.name == "mean-flow-error"
    told = next(row for row in rows if row.check.name == "mean-rate-error")
    assert (told.verdict, told.tone) == ("no limit", Tone.MUTED)
    order = [(row.check.suitability, row.check.optional) for row in rows]
    assert order == sorted(order)


def test_what_a_check_depends_on_is_named_with_its_verdict_where_that_is_no_pass() -> None:
    rig = Check("rig", "Rig is tight", 1.0, "kPa", Verdict.FAIL, "rig", suitability=True)
    check = Check("a", "A", 1.0, "kPa", Verdict.INVALID, "dut", depends_on=("rig", "gone"))
    said = dict(facts(check, NUMBERS, {"rig": rig}))
    assert said["Depends on"] == "Rig is tight (fail) · gone"


# -- the course


def test_phases_prompts_and_exclusions_are_stretches_of_time(catheter: OpenRun) -> None:
    prompts = narrowed(catheter.happenings, PROMPT)
    assert prompts[0].text == "Close the draft shield. → done by Simulated Operator"
    assert prompts[0].took == "23 s"
    phases = narrowed(catheter.happenings, PHASE)
    assert phases[0].text == "Phase bridge-vented"
    assert [one.t0 for one in catheter.happenings] == sorted(one.t0 for one in catheter.happenings)


ANSWER = {"key": "mass", "person": "Ada", "second_person": "", "unit": "mg", "value": 77_799.1234}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, f"How heavy? → 77799.1234{NARROW_NBSP}mg by Ada"),
        ({"second_person": "Ben"}, f"How heavy? → 77799.1234{NARROW_NBSP}mg by Ada and Ben"),
        ({"value": 0.00004, "unit": "uL"}, f"How heavy? → 0.00004{NARROW_NBSP}µL by Ada"),
        ({"value": "done", "unit": ""}, "How heavy? → done by Ada"),
    ],
)
def test_an_answer_is_told_whole_with_everybody_who_gave_it(catheter: OpenRun, fields: Any, said: str) -> None:
    assert catheter.review is not None
    asked = Event(10.0, "prompt", {"key": "mass", "text": "How heavy?"})
    events = (asked, Event(20.0, "answer", {**ANSWER, **fields}))
    found = narrowed(happenings(replace(catheter.review, events=events), NUMBERS), PROMPT)
    assert [one.text for one in found] == [said]


def test_what_was_disturbed_from_the_first_moment_on_lasts_from_there(catheter: OpenRun) -> None:
    assert catheter.review is not None
    told = Event(90.0, "disturbed", {"channels": ["balance.mass"], "from_s": 0.0, "to_s": 80.0, "why": "hold"})
    found = narrowed(happenings(replace(catheter.review, events=(told,)), NUMBERS), EVENT)
    assert [(one.t0, one.t1) for one in found] == [(0.0, 80.0)]


def test_an_override_is_out_of_the_ordinary_and_found_by_who_overrode(catheter: OpenRun) -> None:
    assert [row.kind for row in narrowed(catheter.happenings, "warnings", "ada")] == ["override"]


def test_lost_samples_and_what_was_not_used_are_told(catheter: OpenRun) -> None:
    assert catheter.review is not None
    lost = gaps(catheter.review, {"balance": [(1.0, 3.5, 4)]})
    assert (lost[0].kind, lost[0].text, lost[0].took) == (GAP, "balance: 4 samples lost", "2 s")
    assert narrowed(lost, EXCLUDED) == []


def test_quality_flags_of_a_channel_are_told_once_it_has_been_looked_at(catheter: OpenRun) -> None:
    assert catheter.review is not None
    flow = next(one for one in catheter.review.channels if one.name == "flow_sensor.flow")
    assert narrowed(catheter.happenings, QUALITY) == []
    catheter.points(flow.name).view(0.0, 1e4, 100)
    work(catheter)
    told = narrowed(catheter.happenings, QUALITY)
    assert "saturated" in told[0].text
    assert told[0].channel == "flow_sensor.flow"


# -- channels


def test_channels_are_grouped_by_unit_and_those_with_a_role_are_plotted_first(flow: OpenRun) -> None:
    assert [group.title for group in flow.first_groups()] == ["Flow", "Outlet pressure", "Reference mass"]
    assert flow.review is not None
    assert sum(len(group.channels) for group in grouped(flow.review.channels)) == len(flow.review.channels)


def test_channels_are_told_apart_by_their_labels() -> None:
    run = opened(RUNS / "reservoir-life-1.h5")
    assert run.review is not None
    labels = [channel.label for channel in run.review.channels]
    assert len(set(labels)) == len(labels)
    assert {"bath temperature", "bath: temperature"} <= set(labels)


def test_a_short_channel_is_drawn_sample_by_sample_as_recorded(flow: OpenRun) -> None:
    points = flow.points("balance.mass")
    assert not len(points.view(0.0, 2e4, 5000).x)
    work(flow)
    with Run.open(flow.path) as run:
        good = run.series("balance.mass")
    drawn = points.view(0.0, 2e4, 5000)
    assert drawn.exact
    np.testing.assert_array_equal(drawn.x, good.t)
    assert points.is_whole


@given(st.integers(1, 3000))
def test_any_first_part_of_the_pieces_lies_evenly_over_the_run(count: int) -> None:
    order = spread(count)
    assert sorted(order) == list(range(count))
    for read in (8, 64):
        first = sorted(order[:read])
        if len(first) == read:
            assert max(np.diff([*first, count])) <= 4 * count / read + 1


class Long:
    """A reader of a channel of many pieces of which each sample is its own number; answers when told."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def ask(self, work: Any, arguments: Any, then: Any, failed: Any, *, urgency: int = 1) -> None:
        self.asked.append((urgency, work, arguments, then))

    def answer(self) -> None:
        _, asked, arguments, then = self.asked.pop(0)
        if asked is pieces:
            then([self.piece(number) for number in arguments[1]])
        else:
            first, last = max(int(arguments[1]) - 1, 0), int(arguments[2]) + 1
            t = np.arange(first, last, dtype=float)
            then(Stretch(first, t, t, np.zeros(len(t), np.uint16)))

    def piece(self, number: int) -> Piece:
        t = number * 32768.0 + np.arange(0.0, 32768.0, 64.0)
        return Piece(number, t, t.astype(np.float32), (t + 63.0).astype(np.float32), None)

    def close(self) -> None:
        pass


def long_points() -> tuple[Long, FilePoints]:
    reader, extent = Long(), Extent(100 * 32768, 100, 0.0, 100 * 32768.0 - 1.0)
    return reader, FilePoints(reader, "daq.flow", extent, lambda: None)


def test_a_long_channel_is_shown_from_its_first_pieces_and_completed_from_the_rest() -> None:
    reader, points = long_points()
    points.view(*points.span, 500)
    reader.answer()
    first = points.view(*points.span, 500)
    assert points.part_read == 0.24
    assert first.x[-1] > 0.9 * points.span[1]
    assert np.isnan(first.y).sum() > 20, "what has not been read is drawn over"
    while reader.asked:
        reader.answer()
    whole = points.view(*points.span, 500)
    assert points.is_whole
    assert not np.isnan(whole.y).any()
    assert (whole.y.min(), whole.y.max()) == (0.0, np.float32(points.span[1]))
    assert not whole.exact


def test_a_stretch_that_is_short_enough_is_asked_for_and_drawn_sample_by_sample() -> None:
    reader, points = long_points()
    points.begin()
    while reader.asked:
        reader.answer()
    assert not points.view(1000.0, 1100.0, 500).exact
    reader.answer()
    drawn = points.view(1000.0, 1100.0, 500)
    assert drawn.exact
    np.testing.assert_array_equal(drawn.y, drawn.x)
    assert points.view(1010.0, 1090.0, 500).exact
    assert not reader.asked, "a stretch that has been read is asked for again"
    assert not points.view(500.0, 600.0, 500).exact
    assert len(reader.asked) == 1, "what lies before the stretch that has been read is not asked for"


def test_stretches_with_quality_bits_begin_and_end_where_the_bits_change() -> None:
    quality = np.array([0, 2, 2, 6, 0, 1], np.uint16)
    assert flagged(np.arange(6.0), quality, 6.0) == [(1.0, 3.0, 2), (3.0, 4.0, 6), (5.0, 6.0, 1)]


# -- runs compared


def test_the_en_number_is_the_difference_over_both_uncertainties() -> None:
    first = Check("a", "A", 10.0, "%", Verdict.PASS, "dut", expanded_uncertainty=3.0)
    assert en_number(first, replace(first, value=15.0, expanded_uncertainty=4.0)) == pytest.approx(1.0)
    assert en_number(first, replace(first, expanded_uncertainty=None)) is None
    assert en_number(first, replace(first, unit="kPa")) is None


def test_a_run_compared_with_itself_agrees_in_all_and_differs_in_nothing(flow: OpenRun) -> None:
    assert flow.review is not None
    both = [flow.review, flow.review]
    assert {row.tone for row in compared(both, NUMBERS)} == {Tone.PLAIN}
    assert not any(row.differs for row in differences(both, NUMBERS))
    assert [one.title for one in overlaid(both, "AB")][:2] == ["Flow, balance", "Flow, schedule"]


def test_what_is_not_the_same_in_two_runs_is_named_by_its_key(flow: OpenRun) -> None:
    assert flow.review is not None
    station = {**flow.review.station, "title": "Another bench"}
    other = replace(flow.review, params={**flow.review.params, "analysis_s": 3600.0}, station=station)
    rows = {row.what: row.values for row in differences([flow.review, other], NUMBERS) if row.differs}
    assert rows["Analysis"] == ("3 h", "1 h")
    assert rows["Station: title"] == ("Simulated bench for one pump", "Another bench")


@pytest.mark.parametrize(("value", "said"), [(10_800.25, "3 h 0.25 s"), (10_800.0001, "10800.0001")])
def test_parameters_that_differ_by_little_are_not_told_to_be_the_same(flow: OpenRun, value: float, said: str) -> None:
    assert flow.review is not None
    other = replace(flow.review, params={**flow.review.params, "analysis_s": value})
    rows = {row.what: row.values for row in differences([flow.review, other], NUMBERS) if row.differs}
    assert rows["Analysis"][1] == said


def test_a_parameter_is_written_as_it_was_declared() -> None:
    assert parameter("stop_kpa", 100.125, NUMBERS) == ("Stop", "100.125 kPa")
    assert parameter("rate_ul_per_h", 41.666666666666664, NUMBERS)[1] == "41.6667 µL/h"


def test_what_differs_by_little_in_the_station_is_not_written_alike(flow: OpenRun) -> None:
    assert flow.review is not None
    first, other = (replace(flow.review, station={"gain": gain}) for gain in (1.0012341, 1.0012342))
    rows = {row.what: row.values for row in differences([first, other], NUMBERS) if row.differs}
    assert rows["Station: gain"] == ("1.0012341", "1.0012342")


def test_a_shifted_channel_has_the_start_of_the_delivery_as_zero(flow: OpenRun) -> None:
    points = flow.points("balance.mass")
    points.begin()
    work(flow)
    drawn = shifted(points, 100.0)(-100.0, 400.0, 5000)
    np.testing.assert_allclose(drawn.x + 100.0, points.view(0.0, 500.0, 5000).x, rtol=1e-12)
