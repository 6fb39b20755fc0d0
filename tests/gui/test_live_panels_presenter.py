"""What the panels of the run page say: instruments, interlocks, prompts, commands, the end."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.protection import InterlockTable
from bench.request import Request
from bench.rpc.messages import Answer, Ending, Note, Outcome, Pause, Reply, ResetInterlock
from data.samples import Channel, Quality, Stream
from gui.presenters.asking import Asking, drawing
from gui.presenters.context import Context, Wish
from gui.presenters.controls import Controls
from gui.presenters.instrument_rows import InstrumentRow, Instruments
from gui.presenters.limits import InterlockRow, Interlocks
from gui.presenters.live_plots import CurveSpec, LivePlots, PlotSpec
from gui.presenters.numbers import PlainNumbers, digits_beside
from gui.presenters.run_end import end_text
from gui.presenters.run_link import Broken
from gui.presenters.run_page import RunPageModel
from gui.presenters.sample_periods import sample_periods
from gui.presenters.shell import Shell
from gui.presenters.tone import Tone
from instruments.capabilities import Prompt

HEIGHT = Prompt("height", "", "How high is the outlet?", "number", "mm", 0.0, 100.0)
LABEL = Prompt("label", "", "Which label is it?", "text", choices=("red", "blue"), second_person=True)


@pytest.fixture
def asking(watched: Any, context: Context) -> Asking:
    return Asking(context, watched.live)


@pytest.fixture
def controls(watched: Any, context: Context) -> Controls:
    return Controls(context, watched.live)


def instrument(watched: Any, name: str) -> InstrumentRow:
    return next(row for row in Instruments(watched.live, PlainNumbers()).rows() if row.name == name)


def interlock(watched: Any, name: str) -> InterlockRow:
    return next(row for row in Interlocks(watched.live, PlainNumbers()).rows() if row.name == name)


# -------------------------------------------------------------------------------------------------- the instruments


def test_an_instrument_that_answers_is_told_quietly_by_the_channel_that_is_measured(watched: Any) -> None:
    watched.block("balance", [1.0, 2.0], [3.0, 4.5])
    row = instrument(watched, "balance")
    assert (row.value, row.state, row.tone) == ("4.50\u202fmg", "ok", Tone.GOOD)


def test_an_instrument_that_does_not_answer_says_for_how_long(watched: Any) -> None:
    watched.block("balance", [1.0, 2.0], 3.0)
    watched.record("outage", 10.0, instrument="balance", state="begin", text="silent")
    watched.record("event", 70.0, level="info", text="x")
    assert (instrument(watched, "balance").state, instrument(watched, "balance").tone) == (
        "silent 1 min",
        Tone.FAIL,
    )
    watched.record("outage", 80.0, instrument="balance", state="end", lasted_s=70.0)
    assert instrument(watched, "balance").tone is Tone.GOOD


def test_a_channel_without_samples_for_long_is_pointed_out_before_anybody_said_so(watched: Any) -> None:
    watched.block("balance", [1.0, 2.0], 3.0)
    watched.link.entry = replace(watched.link.entry, request_fields={"pace": 60.0})
    watched.block("daq", [300.0], 1.0, 37.0, 1.0)
    assert instrument(watched, "balance").tone is Tone.GOOD
    watched.block("daq", [500.0], 1.0, 37.0, 1.0)
    assert instrument(watched, "balance").tone is Tone.WARN
    assert instrument(watched, "balance").state == "not known, last 8 min 18 s ago"
    assert instrument(watched, "balance").value == "not known"


def test_an_instrument_that_rests_is_not_taken_for_a_silent_one(watched: Any) -> None:
    watched.link.entry = replace(watched.link.entry, request_fields={"pace": 1.0})
    watched.block("balance", np.arange(200.0), 3.0)
    watched.block("balance", [210.0, 220.0], 3.0, stride=10)
    watched.record("event", 250.0, level="info", text="x")
    assert instrument(watched, "balance").tone is Tone.GOOD
    watched.record("event", 340.0, level="info", text="x")
    assert instrument(watched, "balance").tone is Tone.WARN


def test_a_sample_that_may_not_be_used_says_why(watched: Any) -> None:
    watched.block("sensor", [1.0], 40.0, 37.0, quality=int(Quality.AIR))
    row = instrument(watched, "sensor")
    assert (row.state, row.tone, row.quality) == ("air", Tone.WARN, "air")


def test_a_calibration_is_pointed_out_when_it_is_due_soon_or_was(watched: Any) -> None:
    watched.block("balance", [1.0], 1.0)
    watched.block("sensor", [1.0], 1.0, 1.0)
    assert instrument(watched, "balance").due_tone is Tone.WARN
    assert instrument(watched, "sensor").worst is Tone.FAIL
    assert instrument(watched, "sensor").due == "calibration C-2 was due 2026-10-31"


def test_what_a_held_bench_does_is_seen_though_it_does_not_count(watched: Any) -> None:
    disturbed = int(Quality.DISTURBED)
    watched.block("daq", [1.0, 2.0], 171.0, 37.0, 38.0, quality=disturbed)
    watched.block("balance", [1.0, 2.0], 5.0, quality=disturbed)
    assert watched.live.traces["daq.outlet_pressure"].points.last == (2.0, 171.0)
    assert math.isnan(watched.live.traces["balance.mass"].points.last[1])
    assert (instrument(watched, "daq").state, instrument(watched, "daq").tone) == ("disturbed", Tone.MUTED)
    watched.block("daq", [3.0], 171.0, 37.0, 38.0, quality=int(Quality.SATURATED))
    assert math.isnan(watched.live.traces["daq.outlet_pressure"].points.last[1])
    assert instrument(watched, "daq").tone is Tone.WARN


def test_an_instrument_unfolds_to_all_its_channels(watched: Any) -> None:
    panel = Instruments(watched.live, PlainNumbers())
    panel.turn("daq")
    assert [row.label for row in panel.rows() if row.depth] == [
        "outlet pressure",
        "bath temperature",
        "reservoir pressure",
    ]
    panel.turn("daq")
    assert not any(row.depth for row in panel.rows())


@pytest.fixture
def measured(watched: Any) -> Any:
    """The same run on a real bench: an hour ago everything was read, the emergency stop too."""
    watched.says({**watched.header, "origin": "measured"})
    watched.live.context.background.run()
    columns = {"balance": 1, "sensor": 2, "daq": 3, "safety": 1}
    for stream, count in columns.items():
        watched.block(stream, [99.0, 100.0], *[0.0] * count)
    watched.says(elapsed_s=100.0)
    return watched


def goes_silent(measured: Any) -> None:
    measured.link.silent_s = 3600.0


def feed_breaks(measured: Any) -> None:
    measured.says(Broken("frame 77: its checksum does not fit"))
    measured.says(elapsed_s=3700.0)


def inputs_are_lost(measured: Any) -> None:
    for name in ("safety", "daq"):
        measured.record("outage", 101.0, instrument=name, state="begin")
    measured.block("balance", [3699.0, 3700.0], 0.0)


def feed_stands(measured: Any) -> None:
    measured.says(elapsed_s=3700.0)


@pytest.mark.parametrize("happens", [goes_silent, feed_breaks, inputs_are_lost, feed_stands])
def test_what_was_read_long_ago_is_not_shown_as_what_is(measured: Any, context: Context, happens: Any) -> None:
    shell = Shell(context, measured.live)
    assert shell.header().emergency_stop == "Emergency stop: released"
    assert instrument(measured, "daq").state == interlock(measured, "outlet-pressure").state == "ok"
    limits, pressure = Interlocks(measured.live, PlainNumbers()), PlotSpec("pressure", "Pressure", "kPa")
    pressure.curves.append(CurveSpec("daq.outlet_pressure", "outlet", "kPa"))
    assert LivePlots(measured.live, limits, PlainNumbers()).is_known(pressure)
    happens(measured)
    header, daq, limit = shell.header(), instrument(measured, "daq"), interlock(measured, "outlet-pressure")
    assert (header.emergency_stop, header.emergency_tone) == ("Emergency stop: not read for 1 h", Tone.WARN)
    assert (limit.value, limit.room, limit.state, limit.tone) == ("not known", "", "not known, last 1 h ago", Tone.WARN)
    assert (daq.value, LivePlots(measured.live, limits, PlainNumbers()).is_known(pressure)) == ("not known", False)
    lost = ("silent 59 min", Tone.FAIL)  # as the runner itself has told
    assert (daq.state, daq.tone) == (lost if happens is inputs_are_lost else ("not known, last 1 h ago", Tone.WARN))


def test_a_runner_that_is_mute_for_seconds_is_known_by_every_row_and_said_again_when_nothing_is_heard(
    measured: Any, controls: Controls, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured.live._period_s = {"pump": 60.0, "balance": 60.0}
    heard: list[frozenset[str]] = []
    measured.live.listen(heard.append)
    measured.link.silent_s = 15.0
    measured.live.tick()
    assert heard == []
    monkeypatch.setattr("gui.presenters.live.TELL_S", -1.0)
    measured.live.tick()
    assert heard == [frozenset({"time"})], "else no panel would say that nobody answers"
    assert controls.who[1] is Tone.FAIL
    assert instrument(measured, "balance").state == "not known, last 15 s ago"
    measured.link.silent_s = 3.0
    assert instrument(measured, "balance").tone is Tone.GOOD


def test_a_pump_that_is_asked_once_a_minute_is_not_late_in_the_first_one(measured: Any) -> None:
    tables = {"pump": {"driver": "pump-link", "resource": "ASRL3::INSTR"}}
    header = {**measured.header, "station": {**measured.header["station"], "instruments": tables}}
    measured.says({**header, "origin": "measured"}, Stream("pump", "pump", (Channel("state", "1"),)))
    measured.block("pump", [100.0], 1.0)
    measured.says(elapsed_s=150.0)
    assert (instrument(measured, "pump").state, instrument(measured, "pump").tone) == ("waits for its next", Tone.MUTED)
    measured.live.context.background.run()  # what its driver says
    assert (instrument(measured, "pump").state, instrument(measured, "pump").age) == ("ok", "50 s")
    measured.says(elapsed_s=400.0)
    assert instrument(measured, "pump").tone is Tone.WARN


def test_periods_are_those_of_tables_and_drivers_and_what_cannot_be_understood_has_none() -> None:
    tables = {
        "balance": {"driver": "mettler-mtsics", "resource": "ASRL1::INSTR", "period": "2 s", "resting_period": "10 s"},
        "pump": {"driver": "pump-link", "resource": "ASRL3::INSTR", "calibration": {}, "uncertainty": None},
        "strange": {"driver": "of-another-lab", "period": "1 s"},
        "newer": {"driver": "pump-link", "key_of_another_version": 1},
        "no_table": {},
    }
    assert sample_periods(tables) == {"balance": 10.0, "pump": 60.0}


def test_while_its_record_is_closed_no_instrument_of_a_run_is_late(measured: Any, context: Context) -> None:
    measured.says(state="closing", elapsed_s=100.0)
    measured.link.silent_s = 60.0
    assert instrument(measured, "balance").state == "ended"
    assert Shell(context, measured.live).header().emergency_stop == "Emergency stop: released at the end"


# --------------------------------------------------------------------------------------------------- the interlocks


def test_an_interlock_tells_its_limit_and_how_far_it_is(watched: Any) -> None:
    watched.block("daq", [1.0], 42.0, 37.0, 1.0)
    row = interlock(watched, "outlet-pressure")
    assert (row.limit, row.room, row.state, row.tone) == ("≤ 150\u202fkPa", "108.00\u202fkPa", "ok", Tone.MUTED)


@pytest.mark.parametrize(
    ("high", "kpa", "limit", "value", "room"),
    [
        ("20 mmHg", 2.6681, "≤ 2.66645", "2.668", "\u22120.002"),
        ("20 mmHg", 2.6661, "≤ 2.66645", "2.6661", "0.0003"),
        ("4 Pa", 0.0045, "≤ 0.004", "0.0045", "\u22120.0005"),
        ("150 kPa", 151.3, "≤ 150", "151.30", "\u22121.30"),
    ],
)
def test_a_value_and_its_room_tell_on_which_side_of_the_limit_it_is(
    watched: Any, high: str, kpa: float, limit: str, value: str, room: str
) -> None:
    table = InterlockTable(channel="daq.outlet_pressure", high=high, action="hold").model_dump(mode="json")
    plan = watched.live.plan
    watched.live.plan = replace(plan, station={**plan.station, "interlocks": {"line": table}})
    watched.block("daq", [1.0], kpa, 37.0, 1.0)
    row = interlock(watched, "line")
    said = [text.removesuffix("\u202fkPa") for text in (row.limit, row.value, row.room)]
    assert said == [limit, value, room]


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.integers(0, 4))
def test_what_is_written_is_on_the_side_of_its_limit_on_which_it_is(value: float, limit: float, digits: int) -> None:
    limit = float(f"{limit:.6g}")
    assume(abs(value - limit) > 1e-8)
    count = digits_beside(value, [limit], digits)
    assert count >= digits
    assert (round(value, count) > limit) == (value > limit)
    assert round(value - limit, count) != 0.0


def test_an_interlock_counts_as_near_only_while_it_is_armed(watched: Any) -> None:
    watched.block("daq", [1.0], 42.0, 37.5, 1.0)
    assert interlock(watched, "bath").state == "armed from the delivery on"
    watched.step(2, 1.0, 2.0)
    assert (interlock(watched, "bath").state, interlock(watched, "bath").tone) == ("near its limit", Tone.WARN)


def test_a_crossing_lasts_until_its_channel_is_back(watched: Any) -> None:
    watched.record("interlock", 5.0, name="bath", action="stop", text="too warm", channel="daq.bath_temperature")
    assert (interlock(watched, "bath").tone, interlock(watched, "bath").cause) == (Tone.FAIL, "too warm")
    watched.record("interlock-back", 6.0, name="bath")
    assert interlock(watched, "bath").tone is Tone.MUTED
    watched.record("interlock", 7.0, name="bath", action="stop", text="too cold", channel="daq.bath_temperature")
    assert (interlock(watched, "bath").tone, interlock(watched, "bath").cause) == (Tone.FAIL, "too cold")


def test_a_latched_interlock_is_reset_by_a_reason(watched: Any, controls: Controls) -> None:
    watched.says(latched=("outlet-pressure",))
    (row,) = Interlocks(watched.live, PlainNumbers()).latched()
    controls.reset(row.name, "  ")
    assert watched.link.done == []
    assert controls.says[0].startswith("Write why")
    controls.reset(row.name, "the line was kinked; straightened")
    assert watched.link.done == [("Ada", ResetInterlock(row.name, "the line was kinked; straightened"), False)]


@pytest.mark.parametrize(("value", "said", "tone"), [(0.0, "released", Tone.PLAIN), (1.0, "PRESSED", Tone.FAIL)])
def test_the_header_reads_the_emergency_stop_by_its_interlock(
    watched: Any, context: Context, value: float, said: str, tone: Tone
) -> None:
    shell = Shell(context, watched.live)
    assert shell.header().emergency_stop == "Emergency stop: not read yet"
    watched.block("safety", [1.0], value)
    assert (shell.header().emergency_stop, shell.header().emergency_tone) == (f"Emergency stop: {said}", tone)
    watched.says(Ending("ended", "stopped-by-interlock"))  # nobody reads it any more
    assert shell.header().emergency_stop == f"Emergency stop: {said} at the end"
    assert shell.header().state == "stopped by interlock"


# -------------------------------------------------------------------------------------------------------- prompts


@pytest.mark.parametrize("typed", ["12.5", "12,5 mm", "250 mm", "5 kPa", ""])
def test_an_answer_that_cannot_be_is_refused_here_and_not_sent(watched: Any, asking: Asking, typed: str) -> None:
    watched.says(prompts=(HEIGHT,))
    asking.answer("height", typed)
    assert watched.link.done == []
    assert asking.cards()[0].refusal


@pytest.mark.parametrize(
    ("unit", "low", "high", "hint", "typed"),
    [
        ("mg", 19999.6, 20000.45, "19999.6 to 20000.45\u202fmg", "20000.45 mg"),
        ("uL", 0.0, 12.36, "0 to 12.36\u202fµL", "12.36 uL"),
    ],
)
def test_the_limit_that_is_shown_for_an_answer_can_be_answered(
    watched: Any, asking: Asking, unit: str, low: float, high: float, hint: str, typed: str
) -> None:
    watched.says(prompts=(Prompt("mass", "", "What does it show?", "number", unit, low=low, high=high),))
    assert asking.cards()[0].hint == hint
    asking.answer("mass", typed)
    assert watched.link.done == [("Ada", Answer("mass", typed), False)]


def test_a_number_alone_is_not_taken_for_another_unit_than_the_one_that_is_asked_for(
    watched: Any, asking: Asking
) -> None:
    watched.says(prompts=(HEIGHT,))
    asking.answer("height", "12.5")
    assert asking.cards()[0].refusal == "“12.5” has no unit; write 12.5 mm if it is that"
    assert watched.link.done == []


def test_an_answer_goes_out_as_it_was_typed_and_its_prompt_goes(watched: Any, asking: Asking) -> None:
    watched.says(prompts=(HEIGHT,))
    assert asking.cards()[0].hint == "0 to 100\u202fmm"
    asking.answer("height", " 1.25 cm ")
    assert watched.link.done == [("Ada", Answer("height", "1.25 cm"), False)]
    assert asking.cards() == []


def test_what_the_runner_says_against_an_answer_stands_beside_it(watched: Any, asking: Asking) -> None:
    watched.says(prompts=(HEIGHT,))
    watched.link.refusal = "Ben controls this run; ask them, or take it over"
    asking.answer("height", "12 mm")
    (card,) = asking.cards()
    assert (card.refusal, card.can_take_over, card.is_sent) == (watched.link.refusal, True, False)
    asking.answer("height", "12 mm", take_over=True)
    assert watched.link.done == [("Ada", Answer("height", "12 mm"), True)]


@pytest.mark.parametrize(("second", "text"), [("ada", "red"), ("Ben", "blue")])
def test_two_persons_are_two_and_agree(watched: Any, asking: Asking, second: str, text: str) -> None:
    watched.says(prompts=(LABEL,))
    asking.answer("label", "red", second, text)
    assert watched.link.done == []
    assert asking.cards()[0].refusal
    asking.answer("label", "red", "Ben", "Red")
    assert watched.link.done == [("Ada", Answer("label", "red", "Ben"), False)]


def test_the_first_of_two_persons_may_answer_alone_and_the_prompt_waits_for_the_other(
    watched: Any, asking: Asking
) -> None:
    watched.says(prompts=(LABEL,))
    asking.answer("label", "red")
    assert watched.link.done == [("Ada", Answer("label", "red"), False)]
    assert asking.cards()[0].refusal == "Ada has answered; another person has to answer too"


def test_what_is_asked_anew_with_the_same_key_is_shown_though_no_status_came_between(
    watched: Any, asking: Asking
) -> None:
    watched.says(prompts=(HEIGHT,), asked=1)
    asking.answer("height", "25 mm")
    assert asking.cards() == []
    watched.says(prompts=(replace(HEIGHT, text="How high is it now?"),), asked=2)
    (card,) = asking.cards()
    assert (card.text, card.is_sent) == ("How high is it now?", False)


def test_an_answer_that_is_taken_late_is_none_to_what_is_asked_by_then(watched: Any, asking: Asking) -> None:
    watched.says(prompts=(HEIGHT,), asked=1)
    taken: list[Any] = []
    watched.link.do = lambda person, action, then, failed, **_: taken.append(then)
    asking.answer("height", "25 mm")
    watched.says(asked=2)
    taken[0](Reply(Outcome.ACCEPTED))
    assert [card.is_sent for card in asking.cards()] == [False]


def test_what_a_simulated_bench_shows_stands_beside_the_question(watched: Any, asking: Asking) -> None:
    watched.says(prompts=(HEIGHT, LABEL))
    watched.record("shown", 5.0, key="height", text='the simulated bench shows 12.5 mm for "height"')
    assert [card.shows for card in asking.cards()] == ['the simulated bench shows 12.5 mm for "height"', ""]


def test_several_prompts_stack_and_a_detail_has_its_unit(watched: Any, asking: Asking) -> None:
    needle = replace(HEIGHT, key="needle", kind="confirm", details=(("depth_mm", 20.2), ("vial", "A")))
    watched.says(prompts=(HEIGHT, needle))
    cards = asking.cards()
    assert [card.key for card in cards] == ["height", "needle"]
    assert cards[1].details == (("depth", "20.2\u202fmm"), ("vial", "A"))
    assert cards[1].is_confirmation


def test_a_drawing_is_looked_for_beside_its_procedure_and_nowhere_else() -> None:
    assert drawing("flow-accuracy", "flow_accuracy.py") is not None
    assert drawing("flow-accuracy", "../pyproject.toml") is None
    assert drawing("flow-accuracy", "") is None
    assert drawing("of another lab", "x.png") is None


# ---------------------------------------------------------------------------------------------- commands and the end


def test_a_refused_command_is_done_when_the_control_is_taken_over(watched: Any, controls: Controls) -> None:
    watched.link.refusal = "Ben controls this run; ask them, or take it over"
    controls.pause()
    assert (controls.says[0], controls.can_take_over) == (watched.link.refusal, True)
    controls.take_over()
    assert watched.link.done == [("Ada", Pause(), True)]
    assert not controls.can_take_over


def test_what_one_run_refused_is_not_done_to_the_next(watched: Any, context: Context, tmp_path: Path) -> None:
    model = RunPageModel(context, watched.live)
    watched.link.refusal = "Ben controls this run; ask them, or take it over"
    model.controls.pause()
    assert model.controls.can_take_over
    other = watched.link = watched.live.link = type(watched.link)(tmp_path)
    model._followed(other.entry)
    watched.says()
    model.controls.take_over()
    assert (other.done, model.controls.says[0], model.controls.can_take_over) == ([], "", False)


def test_a_prompt_is_shown_though_the_run_before_was_asked_and_answered_the_same(
    watched: Any, context: Context, tmp_path: Path
) -> None:
    model = RunPageModel(context, watched.live)
    late: list[Any] = []
    watched.link.do = lambda *said, **_: late.append(said[2])
    watched.says(prompts=(HEIGHT,))
    model.asking.answer("height", "12 mm")
    other = watched.link = watched.live.link = type(watched.link)(tmp_path)
    model._followed(other.entry)
    watched.says(prompts=(HEIGHT,))
    late[0](Reply(Outcome.ACCEPTED))
    (card,) = model.asking.cards()
    assert not card.is_sent


def test_a_run_that_cannot_be_followed_has_not_ended(watched: Any) -> None:
    watched.says(Broken("8 clients follow this run already; close one of them"))
    end = end_text(watched.live)
    assert end is not None
    assert (end.title, end.reason.partition(";")[0]) == (
        "Run 0007 cannot be followed any further", "8 clients follow this run already",
    )  # fmt: skip
    assert watched.live.is_going
    watched.says(Ending("ended", "completed"))
    assert "has ended" in end_text(watched.live).title


def test_a_run_is_prepared_again_with_its_own_settings_articles_and_recipe(
    watched: Any, context: Context, tmp_path: Path
) -> None:
    model, wished = RunPageModel(context, watched.live), list[Wish]()
    context.on_prepare(wished.append)
    articles = {"dut": "d", "catheter": "trimmed.toml", "fluid": "water"}
    asked = Request("flow-accuracy", "lab.toml", {"analysis": "2 h"}, **articles, recipe="r.toml", out=tmp_path)
    said = asdict(asked)
    watched.link.entry = replace(watched.link.entry, request_fields=said)
    model.again()
    place = watched.link.entry.cwd
    same = {**articles, "catheter": f"{place}/trimmed.toml", "recipe": f"{place}/r.toml"}
    assert wished == [Wish(f"{place}/lab.toml", "flow-accuracy", {"analysis": "2 h"}, **same)]


def test_a_note_is_kept_in_one_line_and_an_empty_one_is_none(watched: Any, controls: Controls) -> None:
    kept: list[int] = []
    controls.note(" \n ", lambda: kept.append(1))
    controls.note("the lamp\nflickers ", lambda: kept.append(2))
    assert watched.link.done == [("Ada", Note("the lamp flickers"), False)]
    assert kept == [2]


def test_who_has_the_control_is_told(watched: Any, controls: Controls) -> None:
    assert controls.who[0] == ""
    watched.says(controller="Ben")
    assert controls.who == ("Ben holds the control", Tone.WARN)
    watched.link.silent_s = 4.0
    assert controls.who[1] is Tone.FAIL


def test_nothing_is_commanded_once_the_run_has_ended(watched: Any, controls: Controls) -> None:
    watched.says(Ending("ended", "completed"))
    controls.pause()
    assert watched.link.done == []
    assert not controls.can_command


def test_the_end_says_status_verdict_reason_and_where_the_file_is(watched: Any) -> None:
    assert end_text(watched.live) is None
    watched.says(Ending("ended", "stopped-by-interlock", "too warm", verdict="not-measured", run_file="runs/a.h5"))
    end = end_text(watched.live)
    assert end is not None
    assert (end.status, end.status_tone, end.verdict, end.verdict_tone) == (
        "stopped by interlock",
        Tone.FAIL,
        "not measured",
        Tone.MUTED,
    )
    assert end.run_file == watched.link.entry.folder.parents[2] / "runs" / "a.h5"


def test_a_runner_that_died_leaves_a_remedy(watched: Any) -> None:
    watched.says(Ending("died", reason="its runner died", journal="runs/a.journal"))
    end = end_text(watched.live)
    assert end is not None
    assert "recover" in end.next_step
    assert (end.run_file, end.journal) == (None, "runs/a.journal")


def test_a_panel_with_a_defect_keeps_no_other_from_hearing_what_has_changed(watched: Any) -> None:
    heard: list[frozenset[str]] = []
    watched.live.listen(lambda _: int("a defect"))
    watched.live.listen(heard.append)
    with pytest.raises(ValueError, match="a defect"):
        watched.says(prompts=(HEIGHT,))
    assert heard == [frozenset({"status"})]


def test_values_that_come_in_pieces_are_counted_once(watched: Any) -> None:
    for begin in range(0, 100, 10):
        watched.block("balance", np.arange(begin, begin + 10.0), 1.0)
    assert watched.live.samples == 100
