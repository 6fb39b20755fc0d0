"""A result is plotted with its points, limits and uncertainty; the cursor goes from point to point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from data.checks import Axis, Curve
from data.run import Run
from gui.plots.axes import DecadeAxis
from gui.plots.curve_plot import CurvePlot
from gui.presenters.context import Context
from gui.theme.look import look

RUNS = Path(__file__).parents[1] / "runs"

TRUMPET = Curve(
    "trumpet",
    "Trumpet curve",
    Axis("window", "min", np.array([2.0, 5.0, 60.0])),
    (Axis("ep_max", "%", np.array([12.0, 6.0, 1.0])), Axis("ep_min", "%", np.array([-10.0, -5.0, np.nan]))),
)


@pytest.fixture
def plot(qtbot: Any, context: Context) -> CurvePlot:
    look().apply("light", "desk")
    made = CurvePlot(context)
    qtbot.addWidget(made)
    made.resize(600, 420)
    made.show_curve(TRUMPET, [("limit 15 %", 15.0)])
    with qtbot.waitExposed(made):
        made.show()
    return made


def test_windows_of_a_trumpet_are_on_an_axis_of_decades_and_everything_is_in_view(plot: CurvePlot) -> None:
    assert isinstance(plot.canvas.bottom, DecadeAxis)
    (x0, x1), (y0, y1) = plot.canvas.hands.viewRange()
    assert x0 < np.log10(2.0) < np.log10(60.0) < x1
    assert y0 < -10.0
    assert y1 > 15.0


def test_the_cursor_goes_from_point_to_point_by_keys_and_says_what_it_stands_on(plot: CurvePlot) -> None:
    for key in (Qt.Key.Key_C, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Right):
        QTest.keyClick(plot.canvas, key)
    assert plot.read() == "window 60.00\u202fmin   largest error 1.000\u202f%   smallest error –"
    assert plot.canvas.cursor == pytest.approx(np.log10(60.0))
    QTest.keyClick(plot.canvas, Qt.Key.Key_C)
    assert plot.read_out.isHidden()


def test_keys_zoom_and_show_all(plot: CurvePlot) -> None:
    whole = plot.canvas.hands.viewRange()
    QTest.keyClick(plot.canvas, Qt.Key.Key_Plus)
    zoomed = plot.canvas.hands.viewRange()
    assert zoomed[0][1] - zoomed[0][0] == pytest.approx((whole[0][1] - whole[0][0]) / 1.4)
    QTest.keyClick(plot.canvas, Qt.Key.Key_Home)
    assert plot.canvas.hands.viewRange() == whole


def test_an_uncertainty_is_a_bar_of_its_width_and_no_curve(plot: CurvePlot) -> None:
    half = Axis("expanded_uncertainty", "%", np.array([4.0, 4.0]))
    error = Axis("error", "%", np.array([1.0, -1.0]))
    plot.show_curve(Curve("boluses", "Error of each bolus", Axis("bolus", "1", np.array([1.0, 2.0])), (error, half)))
    assert [entry.key for entry in plot.head.legend.entries] == ["error"]
    low, high = plot.canvas.hands.viewRange()[1]
    assert low < -5.0
    assert high > 5.0
    plot.show_cursor(True)
    assert "expanded uncertainty 4.000" in plot.read()


@pytest.mark.parametrize("count", [0, 1])
def test_a_curve_of_no_or_one_point_is_shown_all_the_same(plot: CurvePlot, count: int) -> None:
    values = np.full(count, 3.0)
    plot.show_curve(Curve("bends", "Bends", Axis("radius", "mm", values), (Axis("ratio", "1", values),)))
    plot.show_cursor(True)
    assert plot.grab().width() == plot.width()
    assert bool(plot.read()) is bool(count)


@pytest.mark.parametrize("name", ["flow-accuracy-3", "catheter-1", "rig-check-1"])
def test_every_curve_of_a_recorded_run_is_drawn_and_told(plot: CurvePlot, name: str) -> None:
    with Run.open(RUNS / f"{name}.h5") as run:
        curves = run.evaluation.curves if run.evaluation is not None else ()
    assert curves
    for curve in curves:
        plot.show_curve(curve)
        assert plot.accessibleName() == curve.title
        assert " to " in plot.accessibleDescription()


def test_a_change_of_the_look_draws_the_curve_in_its_new_pens(plot: CurvePlot) -> None:
    before = plot.head.legend.entries[0].pen
    look().apply("dark", "desk")
    after = plot.head.legend.entries[0].pen
    look().apply("light", "desk")
    assert after != before
    assert plot.head.legend.entries[0].pen == before


def test_its_picture_is_saved(plot: CurvePlot) -> None:
    saved = plot.save()
    assert saved is not None
    assert saved.name == "trumpet-curve_0001.png"


def test_where_the_name_of_an_axis_has_no_room_its_unit_is_said(plot: CurvePlot) -> None:
    plot.show_curve(TRUMPET, title="A name of this curve that is much longer than its axis can be on any screen")
    left = plot.canvas.left
    left.resize(62.0, 80.0)
    left.restyle()
    assert left.labelText == "%"
