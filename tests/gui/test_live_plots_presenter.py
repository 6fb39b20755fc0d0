"""Which curves are shown of a run that goes on, and what is worked out of its samples as they come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checks import Axis, Curve
from data.frames import Record
from data.samples import Channel, Quality, Stream
from gui.plots.pyramid import Pyramid
from gui.presenters.derived import SlopeFlow, Source, slopes, ul_per_mg
from gui.presenters.limits import Interlocks
from gui.presenters.live import Trace
from gui.presenters.live_plots import FLOW, RESULT, VOLUME, CurveSpec, LivePlots, trumpet_of
from gui.presenters.numbers import PlainNumbers

RATE_UL_PER_H = 36.0
BEGINS_S = 50.0


@pytest.fixture
def plots(watched: Any) -> LivePlots:
    return LivePlots(watched.live, Interlocks(watched.live, PlainNumbers()), PlainNumbers())


def deliver(watched: Any, plots: LivePlots, until_s: float = 1000.0, piece: int = 30) -> None:
    """Delivery from the start on, at the programmed rate, in pieces."""
    for index, (t0, t1) in enumerate(((0.0, 20.0), (20.0, 40.0), (40.0, BEGINS_S))):
        watched.step(index, t0, t1)
    t = np.arange(0.0, until_s)
    mass = np.maximum(t - BEGINS_S, 0.0) * RATE_UL_PER_H / 3600.0 / ul_per_mg({})
    for begin in range(0, len(t), piece):
        watched.block("balance", t[begin : begin + piece], mass[begin : begin + piece])
        plots.update()


def spec(plots: LivePlots, kind: str) -> list[CurveSpec]:
    return next(plot.curves for plot in plots.plots if plot.kind == kind)


# -------------------------------------------------------------------------------------------------- what is chosen


def test_the_plots_follow_from_the_protocol_and_the_channels_that_are_there(plots: LivePlots) -> None:
    assert [plot.kind for plot in plots.plots] == ["flow", "pressure", "volume", "result"]
    assert [curve.label for curve in plots.plots[0].curves] == ["balance", "sensor", "programmed"]
    assert [curve.label for curve in plots.plots[1].curves] == ["outlet"]


def test_a_plot_has_the_limits_of_its_channels_and_those_that_end_a_phase(plots: LivePlots) -> None:
    assert [(line.label, line.value) for line in plots.plots[1].limits] == [
        ("outlet-pressure", 150.0),
        ("ends rise", 60.0),
    ]


def test_what_is_worked_out_is_called_provisional_and_what_is_programmed_expected(plots: LivePlots) -> None:
    assert [curve.key for curve in spec(plots, FLOW) if curve.provisional] == ["slope"]
    assert [curve.key for curve in spec(plots, VOLUME) if curve.expected] == ["expected"]


def test_a_channel_goes_into_the_plot_of_its_unit_else_the_last_one_is_given_to_it(plots: LivePlots) -> None:
    assert plots.add("daq.reservoir_pressure") == 1
    assert [curve.key for curve in plots.plots[1].curves] == ["daq.outlet_pressure", "daq.reservoir_pressure"]
    assert plots.add("daq.bath_temperature") == 3
    assert (plots.plots[3].unit, plots.plots[3].title) == ("degC", "Bath temperature")
    assert plots.add("gone.channel") == -1


def test_a_curve_can_be_hidden_and_shown_again(plots: LivePlots) -> None:
    plots.show_curve(0, "sensor.flow", False)
    assert [curve.key for curve in plots.plots[0].visible()] == ["slope", "programmed"]
    assert plots.choices(0)[1] == ("sensor.flow", "sensor", False)
    plots.show_curve(0, "sensor.flow", True)
    assert len(plots.plots[0].visible()) == 3


def test_a_plot_can_be_about_something_else(plots: LivePlots) -> None:
    assert ("temperature", "Temperature") in plots.others(3)
    plots.replace(3, "temperature")
    assert [curve.label for curve in plots.plots[3].curves] == ["bath"]
    assert RESULT in dict(plots.others(3))


def test_what_was_added_stays_when_another_stream_begins(watched: Any, plots: LivePlots) -> None:
    plots.add("daq.reservoir_pressure")
    watched.says(Stream("room", "room", (Channel("humidity", "%"),)))
    assert [curve.key for curve in plots.plots[1].curves][-1] == "daq.reservoir_pressure"


def test_a_plot_that_was_given_to_a_channel_keeps_the_others_from_nothing_when_the_balance_is_tared(
    watched: Any, plots: LivePlots
) -> None:
    deliver(watched, plots, 300.0)
    assert plots.add("safety.e_stop") == 3
    watched.record("disturbed", 310.0, why="tare", channels=["balance.mass"], from_s=301.0, to_s=309.0)
    watched.block("balance", np.arange(310.0, 330.0), np.zeros(20))
    plots.update()
    assert plots.flow is not None
    assert spec(plots, FLOW)[0].points is plots.flow.points, "the curve that is drawn is the one that grows"
    plots.take_window(60.0)
    plots.show_difference(True)
    assert plots.plots[3].title == "Safety.e_stop"


def test_another_run_begins_without_curves(watched: Any, plots: LivePlots) -> None:
    deliver(watched, plots)
    plots._heard(frozenset(["run"]))
    assert (plots.plots, plots.flow, plots.delivered) == ([], None, None)


def test_a_trumpet_that_will_not_come_is_not_promised(plots: LivePlots) -> None:
    assert plots.why_no_trumpet().startswith("It forms")
    plots.is_judged = True
    assert plots.why_no_trumpet().startswith("The run ended before")


def test_a_trumpet_is_shown_once_it_has_points() -> None:
    axis = Axis("window", "min", np.asarray([1.0]))
    empty = Curve("trumpet", "T", Axis("window", "min", np.empty(0)), ())
    there = Curve("trumpet", "T", axis, (axis,))
    assert trumpet_of([empty]) is None
    assert trumpet_of([Curve("flow", "F", axis, (axis,)), there]) is there


# --------------------------------------------------------------------------------------------- what is worked out


def test_flow_and_volume_of_a_pump_that_delivers_as_programmed_are_the_programmed_ones(
    watched: Any, plots: LivePlots
) -> None:
    deliver(watched, plots)
    assert plots.flow is not None
    assert plots.delivered is not None
    assert plots.flow.value == pytest.approx(RATE_UL_PER_H, rel=1e-6)
    assert plots.delivered.value == pytest.approx((999.0 - BEGINS_S) * RATE_UL_PER_H / 3600.0)
    assert plots.delivered.beyond == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_what_is_worked_out_does_not_depend_on_how_the_samples_come(watched: Any, plots: LivePlots, piece: int) -> None:
    deliver(watched, plots, 700.0, piece)
    assert plots.flow is not None
    drawn = plots.flow.points.view(-np.inf, np.inf, 10_000)
    t = np.arange(0.0, 700.0)
    mass = np.maximum(t - BEGINS_S, 0.0) * RATE_UL_PER_H / 3600.0
    expected = slopes(t, mass, 300.0) * 3600.0
    known = ~np.isnan(expected)
    assert np.allclose(drawn.x, t[known] - 150.0)
    assert np.allclose(drawn.y, expected[known], atol=1e-6)


def tared(watched: Any, from_s: float, to_s: float, why: str = "tare") -> None:
    """The balance is handled, as the runner records it when it was."""
    watched.record("disturbed", to_s, channels=["balance.mass"], from_s=from_s, to_s=to_s, why=why)


def started(watched: Any, until_s: float = 4.5) -> None:
    """Tare, program, start."""
    for index, (t0, t1) in enumerate(((3.0, 4.2), (4.2, 4.4), (4.4, until_s))):
        watched.step(index, t0, t1)


@pytest.mark.parametrize(("is_read", "is_recorded"), [(True, False), (True, True), (False, True)])
def test_the_volume_begins_after_the_tare_whether_a_sample_came_meanwhile_or_not(
    watched: Any, plots: LivePlots, is_read: bool, is_recorded: bool
) -> None:
    watched.block("balance", [0.5, 1.5, 2.5], [34983.6] * 3)
    plots.update()
    if is_read:
        watched.block("balance", [3.5], 0.0, quality=int(Quality.DISTURBED))
    started(watched)
    plots.update()
    watched.block("balance", [4.7, 5.7, 6.7], [0.0, 0.01, 0.02])
    if is_recorded:
        tared(watched, 3.0, 4.2)  # the samples may be there before it
    plots.update()
    assert plots.delivered is not None
    assert plots.delivered.value == pytest.approx(0.02, rel=0.01)
    assert abs(plots.delivered.beyond) < 0.02
    assert not plots.delivered.is_bridged


def test_a_slope_does_not_reach_over_a_tare_between_two_samples(watched: Any, plots: LivePlots) -> None:
    watched.block("balance", np.arange(0.0, 400.0), 100.0)
    tared(watched, 399.2, 399.8)
    watched.block("balance", np.arange(400.0, 800.0), 0.0)
    plots.update()
    assert plots.flow is not None
    drawn = plots.flow.points.view(-np.inf, np.inf, 10_000)
    assert np.nanmax(np.abs(drawn.y)) < 1e-9


@pytest.mark.parametrize("is_recorded", [True, False])
def test_the_volume_goes_on_where_it_was_when_the_vessel_is_changed_and_says_so(
    watched: Any, plots: LivePlots, is_recorded: bool
) -> None:
    started(watched, BEGINS_S)
    watched.block("balance", [60.0, 3650.0], [0.0, 36.0])
    plots.update()
    assert plots.delivered is not None
    before = plots.delivered.value
    watched.block("balance", [3700.0], [9.0], quality=int(Quality.DISTURBED))
    watched.block("balance", [3750.0, 4110.0], [-20000.0, -19996.4])
    if is_recorded:
        tared(watched, 3690.0, 3740.0, "vessel-change")
    plots.update()
    factor = ul_per_mg({})
    assert plots.delivered.value == pytest.approx(before + 100.0 * RATE_UL_PER_H / 3600.0 + 3.6 * factor)
    assert spec(plots, VOLUME)[0].label == "balance, bridged"


def test_a_pump_that_stands_still_while_the_balance_is_not_read_is_not_said_to_deliver(
    watched: Any, plots: LivePlots
) -> None:
    started(watched, BEGINS_S)
    watched.block("balance", [60.0, 3650.0], [0.0, 36.0])
    watched.block("balance", [3700.0], [9.0], quality=int(Quality.DEVICE_ERROR))
    watched.block("balance", [7250.0], [36.0])
    plots.update()
    assert plots.delivered is not None
    assert plots.delivered.value == pytest.approx(36.0 * ul_per_mg({}))
    assert not plots.delivered.is_bridged


def test_delivery_into_the_waste_is_not_expected_on_the_balance(watched: Any, plots: LivePlots) -> None:
    watched.live.plan.roles["diverter"] = "daq.diverter"
    deliver(watched, plots, 100.0)
    watched.record("valve", 250.0, valve="daq.diverter", asked=True, read_back=True)
    watched.record("valve", 350.0, valve="daq.diverter", asked=False, read_back=False)
    plots.update()
    collected = plots.programmed.collected(np.asarray([50.0, 250.0, 350.0, 450.0]))
    assert np.allclose(collected, [0.0, 2.0, 2.0, 3.0])


def test_the_programmed_rate_is_a_step_at_the_start_of_delivery(watched: Any, plots: LivePlots) -> None:
    deliver(watched, plots, 100.0)
    x, y = plots.line(spec(plots, FLOW)[-1], 100.0)
    assert list(zip(x, y, strict=True)) == [(0.0, 0.0), (50.0, 0.0), (50.0, RATE_UL_PER_H), (100.0, RATE_UL_PER_H)]


def test_the_mass_after_a_sample_that_may_not_be_used_begins_a_new_slope(watched: Any, plots: LivePlots) -> None:
    watched.block("balance", np.arange(0.0, 400.0), 100.0)
    watched.block("balance", [400.0], 50.0, quality=int(Quality.DISTURBED))
    watched.block("balance", np.arange(401.0, 800.0), 0.0)
    plots.update()
    assert plots.flow is not None
    drawn = plots.flow.points.view(-np.inf, np.inf, 10_000)
    assert np.isnan(drawn.y).any()
    assert np.nanmax(np.abs(drawn.y)) < 1e-9


def test_another_window_is_worked_out_from_the_first_sample(watched: Any, plots: LivePlots) -> None:
    deliver(watched, plots)
    plots.take_window(60.0)
    plots.update()
    assert plots.flow is not None
    assert plots.flow.points.span == (pytest.approx(48.0 - 30.0), pytest.approx(999.0 - 30.0))


def test_the_volume_or_what_is_beyond_the_programmed_one(watched: Any, plots: LivePlots) -> None:
    deliver(watched, plots)
    plots.show_difference(True)
    assert [curve.key for curve in spec(plots, VOLUME)] == ["beyond"]
    plots.show_difference(False)
    assert [curve.key for curve in spec(plots, VOLUME)] == ["delivered", "expected"]


@given(
    st.floats(-1e3, 1e3),
    st.floats(-10.0, 10.0),
    st.lists(st.floats(0.1, 5.0), min_size=20, max_size=200),
    st.floats(5.0, 50.0),
)
def test_a_straight_line_has_its_slope_in_every_window(
    level: float, slope: float, spacing: list[float], window_s: float
) -> None:
    t = np.cumsum(spacing)
    found = slopes(t, level + slope * t, window_s)
    known = found[~np.isnan(found)]
    assert np.allclose(known, slope, rtol=1e-5, atol=1e-6)


def test_a_slope_needs_a_window_that_is_covered() -> None:
    t = np.asarray([0.0, 1.0, 2.0, 8.0, 9.0])
    assert np.isnan(slopes(t, t, 10.0)).tolist() == [True, True, True, False, False]


def test_a_source_hands_on_each_sample_once() -> None:
    trace = Trace("a.b", "a", "mg", "", (), Pyramid())
    source, flow = Source(trace), SlopeFlow(Source(trace), 10.0, 1.0)
    trace.points.extend(np.arange(5.0), np.arange(5.0))
    assert list(source.new()[0]) == [0.0, 1.0, 2.0, 3.0, 4.0]
    trace.points.extend(np.arange(5.0, 7.0), np.arange(5.0, 7.0))
    assert list(source.new()[0]) == [5.0, 6.0]
    assert len(source.new()[0]) == 0
    flow.update()
    assert len(flow.points) == 0


def test_every_move_of_the_diverter_counts_however_many_there_were(plots: LivePlots, watched: Any) -> None:
    assert watched.live.plan is not None
    watched.live.plan = replace(watched.live.plan, roles={**watched.live.plan.roles, "diverter": "daq.diverter"})
    deliver(watched, plots, 60.0)
    moves = 2600  # in pairs: ten seconds away, ten seconds onto the balance
    for move in range(moves):
        away = move % 2 == 0
        watched.link.said.append(Record("valve", 100.0 + 10.0 * move, {"valve": "daq.diverter", "asked": away}))
        if move % 100 == 99:
            watched.says()
            plots.update()
    end = 100.0 + 10.0 * moves
    onto_s = 100.0 - BEGINS_S + 10.0 * moves / 2
    _, volume = plots.line(CurveSpec("expected", "", "uL"), end)
    assert volume[-1] == pytest.approx(RATE_UL_PER_H * onto_s / 3600.0)
